//! What is refused, and what a changed bit can do.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use weir_schema::bundle::envelope::PAYLOAD_TYPE;
use weir_schema::manifest;

use super::*;
use crate::bundle::key::SigningKey;
use crate::bundle::sign::{SignError, Terms, cosign, pack, sign, sources};

const NOW_MS: u64 = 1_000_000;
const TERMS: Terms<'_> = Terms { tenant: None, sequence: 5, expires_ms: NOW_MS + 1_000 };

fn files(version: &str) -> Content {
    let toml = format!("name = \"shop\"\nversion = \"{version}\"\n");
    Content { files: BTreeMap::from([("app.toml".to_owned(), toml)]) }
}

fn bundle(version: &str, terms: Terms<'_>, keys: &[SigningKey]) -> Vec<u8> {
    let content = files(version);
    let manifest = manifest::parse(&content.files["app.toml"]).unwrap();
    sign(&pack(&sources(content)).unwrap(), &manifest, terms, keys).unwrap()
}

fn trusted(key: &SigningKey) -> SigningKeyRecord {
    SigningKeyRecord {
        id: key.public().id(),
        public: key.public().as_bytes().to_vec(),
        trusted_ms: NOW_MS - 1_000,
        trusted_by: "operator".to_owned(),
        from_ms: None,
        expires_ms: None,
        revoked_ms: None,
    }
}

fn kept(bundle: &VerifiedBundle) -> ReleaseRecord {
    let Statement { app, tenant, version, sequence, digest, .. } = bundle.statement().clone();
    let (signers, deployed_by) = (Vec::new(), String::new());
    ReleaseRecord { app, tenant, version, sequence, digest, signers, deployed_ms: 0, deployed_by }
}

/// In these keys, of a server itself that has nothing yet.
fn trust(keys: &[SigningKeyRecord]) -> Trust<'_> {
    Trust { keys, signatures: 1, tenant: None, kept: None, as_of_ms: NOW_MS }
}

fn check(bytes: &[u8], keys: &[SigningKeyRecord], kept: Option<&ReleaseRecord>, expected: Expect) {
    let trust = Trust { kept, ..trust(keys) };
    let said = VerifiedBundle::verify(bytes, &trust).map_or_else(|refusal| refusal.to_string(), |_| "runs".to_owned());
    let named = keys
        .iter()
        .enumerate()
        .fold(said, |said, (place, key)| said.replace(&key.id.to_string(), &format!("KEY{place}")));
    expected.assert_eq(&named);
}

#[test]
fn no_changed_bit_gives_another_bundle() {
    let (key, stranger) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let keys = [trusted(&key)];
    let bytes = bundle("1.0.0", TERMS, &[key, stranger]);
    let trusting = trust(&keys);
    let good = VerifiedBundle::verify(&bytes, &trusting).unwrap();
    let mut same = Vec::new();
    each_flip(&bytes, |place, changed| {
        if let Ok(other) = VerifiedBundle::verify(changed, &trusting) {
            let meaning =
                |bundle: &VerifiedBundle| (bundle.statement.clone(), bundle.content.clone(), bundle.signers.clone());
            assert_eq!(meaning(&other), meaning(&good), "byte {place}");
            same.push(place);
        }
    });
    // What a stranger is said to have signed, and by which key, is left aside, and nothing else.
    let text = String::from_utf8_lossy(&bytes);
    let theirs = text.rfind("{\"keyid\"").unwrap()..text.rfind("\"}]}\n").unwrap();
    assert!(!same.is_empty() && same.iter().all(|place| theirs.contains(place)), "{same:?} in {theirs:?}");
}

#[test]
fn no_changed_bit_of_a_bundle_that_only_trusted_keys_have_signed_runs() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    for signers in [vec![key], vec![SigningKey::generate().unwrap(), other]] {
        let keys: Vec<SigningKeyRecord> = signers.iter().map(trusted).collect();
        let bytes = bundle("1.0.0", TERMS, &signers);
        let trusting = Trust { signatures: signers.len(), ..trust(&keys) };
        assert!(VerifiedBundle::verify(&bytes, &trusting).is_ok());
        each_flip(&bytes, |place, changed| {
            assert!(VerifiedBundle::verify(changed, &trusting).is_err(), "byte {place}");
        });
        for length in 0..bytes.len() {
            assert!(VerifiedBundle::verify(&bytes[..length], &trusting).is_err(), "cut off at {length}");
        }
    }
}

/// The same with one bit changed, for each bit of each byte.
fn each_flip(bytes: &[u8], mut look: impl FnMut(usize, &[u8])) {
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.to_vec();
            changed[place] ^= 1 << bit;
            look(place, &changed);
        }
    }
}

#[test]
fn each_refusal_says_what_it_is() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let (good, others) = ([trusted(&key)], [trusted(&other)]);
    let bytes = bundle("1.0.0", TERMS, std::slice::from_ref(&key));
    check(&bytes, &good, None, expect!["runs"]);
    check(
        &pack(&sources(files("1.0.0"))).unwrap(),
        &good,
        None,
        expect!["nobody has signed the bundle: weir deploy FILE --key KEYFILE signs it"],
    );
    let said = VerifiedBundle::verify(&bytes, &trust(&others)).unwrap_err();
    assert_eq!(said, Refusal::UnknownKey(vec![key.public().id()]));

    let one = |change: &dyn Fn(&mut SigningKeyRecord)| {
        let mut keys = good.clone();
        change(&mut keys[0]);
        keys
    };
    check(
        &bytes,
        &one(&|key| key.revoked_ms = Some(1)),
        None,
        expect!["the bundle is signed by key KEY0, which was revoked: sign it with another"],
    );
    check(
        &bytes,
        &one(&|key| key.expires_ms = Some(NOW_MS)),
        None,
        expect![
            "the bundle is signed by key KEY0, which is trusted until 1970-01-01T00:16:40.000Z: sign it with another"
        ],
    );
    check(
        &bytes,
        &one(&|key| key.from_ms = Some(NOW_MS + 60_000)),
        None,
        expect![
            "the bundle is signed by key KEY0, which is trusted from 1970-01-01T00:17:40.000Z on: sign it with another, or deploy it then"
        ],
    );
    check(
        &bytes,
        &one(&|key| key.trusted_ms = NOW_MS + 1),
        None,
        expect![
            "the bundle is signed by key KEY0, which is trusted from 1970-01-01T00:16:40.000Z on: sign it with another, or deploy it then"
        ],
    );
    // Somebody has put another key under the id of this one.
    check(
        &bytes,
        &one(&|key| key.public = vec![7; 32]),
        None,
        expect![
            "the signature of key KEY0 does not fit: the bundle was changed after it was signed, or the signature was"
        ],
    );

    // Two that are good by themselves, the content of one under the signature of the other.
    let next = bundle("1.0.1", Terms { sequence: 6, ..TERMS }, std::slice::from_ref(&key));
    let swapped = Bundle { content: Bundle::parse(&next).unwrap().content, ..Bundle::parse(&bytes).unwrap() };
    let refusal = VerifiedBundle::verify(&swapped.to_bytes(), &trust(&good)).unwrap_err();
    assert!(matches!(refusal, Refusal::Digest { .. }), "{refusal}");
    assert!(refusal.to_string().ends_with("the two are of different bundles, or it was changed"), "{refusal}");

    let late = bundle("1.0.0", Terms { expires_ms: NOW_MS, ..TERMS }, std::slice::from_ref(&key));
    check(&late, &good, None, expect!["the bundle could be deployed until 1970-01-01T00:16:40.000Z: sign it anew"]);

    let active = kept(&VerifiedBundle::verify(&bytes, &trust(&good)).unwrap());
    check(&bytes, &good, Some(&active), expect!["runs"]);
    check(&next, &good, Some(&active), expect!["runs"]);
    let newer = kept(&VerifiedBundle::verify(&next, &trust(&good)).unwrap());
    check(
        &bytes,
        &good,
        Some(&newer),
        expect!["the bundle has sequence 5, and release 1.0.1 that is active has 6: sign it anew, so that it is newer"],
    );
    let again = bundle("1.0.1", TERMS, std::slice::from_ref(&key));
    check(
        &again,
        &good,
        Some(&active),
        expect!["another bundle with sequence 5 is active: sign this one anew, so that it is newer"],
    );
    let bank = ReleaseRecord { app: "bank".to_owned(), ..active };
    check(
        &bytes,
        &good,
        Some(&bank),
        expect!["the bundle is of shop, and this server is for bank: serve another data folder for another app"],
    );
}

#[test]
fn a_bundle_of_one_tenant_runs_in_no_other() {
    let key = SigningKey::generate().unwrap();
    let keys = [trusted(&key)];
    let names: Vec<Option<TenantName>> = vec![None, Some("acme".parse().unwrap()), Some("other".parse().unwrap())];
    let mut said = String::new();
    for given in &names {
        let bytes = bundle("1.0.0", Terms { tenant: given.as_ref(), ..TERMS }, std::slice::from_ref(&key));
        for here in &names {
            let verified = VerifiedBundle::verify(&bytes, &Trust { tenant: here.as_ref(), ..trust(&keys) });
            match verified {
                Ok(verified) => assert!(verified.statement().tenant == *given && given == here),
                Err(refusal) => said.push_str(&format!("{refusal}\n")),
            }
        }
    }
    expect![[r#"
        the bundle is signed for the server itself, and this is the tenant acme: sign it for this one, with --tenant acme
        the bundle is signed for the server itself, and this is the tenant other: sign it for this one, with --tenant other
        the bundle is signed for the tenant acme, and this is the server itself: sign it for this one, without --tenant
        the bundle is signed for the tenant acme, and this is the tenant other: sign it for this one, with --tenant other
        the bundle is signed for the tenant other, and this is the server itself: sign it for this one, without --tenant
        the bundle is signed for the tenant other, and this is the tenant acme: sign it for this one, with --tenant acme
    "#]].assert_eq(&said);
    // A statement from before tenants were in it is one of the server itself, byte for byte.
    let statement = Statement {
        app: "shop".to_owned(),
        tenant: None,
        version: "1.0.0".to_owned(),
        sequence: 5,
        expires_ms: 7,
        digest: Digest::of(b""),
    };
    let before =
        format!(r#"{{"app":"shop","version":"1.0.0","sequence":5,"expiresMs":7,"digest":"{}"}}"#, Digest::of(b""));
    assert_eq!(String::from_utf8(statement.to_bytes()).unwrap(), before);
    assert_eq!(Statement::parse(before.as_bytes()), Ok(statement));
}

#[test]
fn as_many_signatures_count_as_are_asked_for() {
    let signers: Vec<SigningKey> = (0..3).map(|_| SigningKey::generate().unwrap()).collect();
    let mut keys: Vec<SigningKeyRecord> = signers.iter().map(trusted).collect();
    let verify = |bytes: &[u8], keys: &[SigningKeyRecord], signatures| {
        let verified = VerifiedBundle::verify(bytes, &Trust { signatures, ..trust(keys) });
        verified.map_or_else(|refusal| refusal.to_string(), |verified| format!("{} count", verified.signers().len()))
    };
    let one = bundle("1.0.0", TERMS, &signers[..1]);
    assert_eq!(verify(&one, &keys, 1), "1 count");
    expect!["the bundle has 1 of the 2 signatures that this server asks for, of different keys that it trusts: weir keys sign FILE --key KEYFILE adds one"].assert_eq(&verify(&one, &keys, 2));
    // Another key signs the same statement.
    let (two, statement) = cosign(&one, &signers[1]).unwrap();
    assert_eq!((statement.app.as_str(), statement.sequence), ("shop", TERMS.sequence));
    assert_eq!(verify(&two, &keys, 2), "2 count");
    assert_eq!(verify(&two, &keys, 3), verify(&one, &keys, 2).replace("1 of the 2", "2 of the 3"));
    // A signature that is there twice is that of one key.
    let Bundle { envelope, content } = Bundle::parse(&one).unwrap();
    let mut envelope = envelope.unwrap();
    envelope.signatures.push(envelope.signatures[0].clone());
    let twice = Bundle { envelope: Some(envelope), content }.to_bytes();
    assert_eq!(verify(&twice, &keys, 2), verify(&one, &keys, 2));
    // Of a key that nobody trusts, and of one that counts no more, none counts.
    assert_eq!(verify(&two, &keys[..1], 2), verify(&one, &keys, 2));
    keys[1].revoked_ms = Some(1);
    assert_eq!(verify(&two, &keys, 2), verify(&one, &keys, 2));
    let refused = |bundle: &[u8], key| match cosign(bundle, key) {
        Ok(_) => "signed".to_owned(),
        Err(refusal) => refusal.to_string().replace(&signers[1].public().id().to_string(), "KEY1"),
    };
    expect!["key KEY1 has signed the bundle already: each signature is by another key"]
        .assert_eq(&refused(&two, &signers[1]));
    expect!["nobody has signed the bundle: weir build APP -o FILE --key KEYFILE signs it first"]
        .assert_eq(&refused(&pack(&sources(files("1.0.0"))).unwrap(), &signers[1]));
    let next = bundle("1.0.1", TERMS, &signers[..1]);
    let swapped = Bundle { content: Bundle::parse(&next).unwrap().content, ..Bundle::parse(&one).unwrap() };
    assert!(refused(&swapped.to_bytes(), &signers[1]).ends_with(": build the bundle anew"));
    let again = [SigningKey::parse(&signers[1].to_pem()).unwrap(), SigningKey::parse(&signers[1].to_pem()).unwrap()];
    let manifest = manifest::parse(&files("1.0.0").files["app.toml"]).unwrap();
    let signed = sign(&pack(&sources(files("1.0.0"))).unwrap(), &manifest, TERMS, &again);
    assert!(matches!(signed, Err(SignError::Again(_))));
}

#[test]
fn what_is_signed_has_one_meaning() {
    let key = SigningKey::generate().unwrap();
    let good = [trusted(&key)];
    let bytes = bundle("1.0.0", TERMS, std::slice::from_ref(&key));
    let Bundle { envelope, content } = Bundle::parse(&bytes).unwrap();
    let mut envelope = envelope.unwrap();
    let text = String::from_utf8(envelope.payload).unwrap();
    // Signed by the right key, so that nothing but its form is wrong.
    envelope.payload = text.replace("\"version\"", "\"app\":\"bank\",\"version\"").into_bytes();
    envelope.signatures[0].sig = key.sign(&envelope.signed()).unwrap();
    let twice = Bundle { envelope: Some(envelope.clone()), content }.to_bytes();
    check(
        &twice,
        &good,
        None,
        expect!["the statement of the bundle cannot be read: duplicate field `app` at line 1 column 19"],
    );
    // A signature of the same bytes as something else.
    envelope.payload = text.into_bytes();
    envelope.signatures[0].sig = key.sign(&envelope.payload).unwrap();
    let bare = Bundle { envelope: Some(envelope.clone()), content }.to_bytes();
    check(
        &bare,
        &good,
        None,
        expect![
            "the signature of key KEY0 does not fit: the bundle was changed after it was signed, or the signature was"
        ],
    );
    let line = String::from_utf8(envelope.to_json()).unwrap();
    let doubled = line.replace("\"signatures\"", "\"payload\":\"e30=\",\"signatures\"");
    let file = [weir_schema::bundle::MAGIC.as_bytes(), doubled.as_bytes(), b"\n", content, b"\n"].concat();
    let refusal = VerifiedBundle::verify(&file, &trust(&good)).unwrap_err();
    assert!(refusal.to_string().contains("duplicate field `payload`"), "{refusal}");
    assert!(line.contains(PAYLOAD_TYPE));
}

#[test]
fn one_good_signature_is_enough_and_a_bad_one_too_much() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let mut keys = [trusted(&key), trusted(&other)];
    let bytes = bundle("1.0.0", TERMS, &[key, other]);
    assert_eq!(VerifiedBundle::verify(&bytes, &trust(&keys)).unwrap().signers().len(), 2);
    keys[0].revoked_ms = Some(1);
    assert_eq!(VerifiedBundle::verify(&bytes, &trust(&keys)).unwrap().signers(), [keys[1].id]);
    let Bundle { envelope, content } = Bundle::parse(&bytes).unwrap();
    let mut envelope = envelope.unwrap();
    envelope.signatures[0].sig[0] ^= 1;
    let changed = Bundle { envelope: Some(envelope), content }.to_bytes();
    assert_eq!(VerifiedBundle::verify(&changed, &trust(&keys)).unwrap_err(), Refusal::Signature(keys[0].id));
}

#[test]
fn the_release_that_is_kept_is_good_as_of_when_it_was_deployed_unless_its_key_was_revoked() {
    let key = SigningKey::generate().unwrap();
    let mut keys = [trusted(&key)];
    let bytes = bundle("1.0.0", TERMS, &[key]);
    let at =
        |keys: &[SigningKeyRecord; 1], as_of_ms| VerifiedBundle::verify(&bytes, &Trust { as_of_ms, ..trust(keys) });
    assert!(at(&keys, NOW_MS).is_ok());
    assert_eq!(at(&keys, TERMS.expires_ms).unwrap_err(), Refusal::Expired(TERMS.expires_ms));
    keys[0].revoked_ms = Some(TERMS.expires_ms);
    assert_eq!(at(&keys, NOW_MS).unwrap_err(), Refusal::Revoked(keys[0].id));
}

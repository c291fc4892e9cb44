//! What is refused, and what a changed bit can do.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use weir_schema::bundle::envelope::PAYLOAD_TYPE;
use weir_schema::manifest;

use super::*;
use crate::bundle::key::SigningKey;
use crate::bundle::sign::{Terms, pack, sign, sources};

const NOW_MS: u64 = 1_000_000;
const TERMS: Terms = Terms { sequence: 5, expires_ms: NOW_MS + 1_000 };

fn files(version: &str) -> Content {
    let toml = format!("name = \"shop\"\nversion = \"{version}\"\n");
    Content { files: BTreeMap::from([("app.toml".to_owned(), toml)]) }
}

fn bundle(version: &str, terms: Terms, keys: &[SigningKey]) -> Vec<u8> {
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
        expires_ms: None,
        revoked_ms: None,
    }
}

fn kept(bundle: &VerifiedBundle) -> ReleaseRecord {
    let Statement { app, version, sequence, digest, .. } = bundle.statement().clone();
    ReleaseRecord { app, version, sequence, digest, signers: Vec::new(), deployed_ms: 0, deployed_by: String::new() }
}

fn check(bytes: &[u8], keys: &[SigningKeyRecord], kept: Option<&ReleaseRecord>, expected: Expect) {
    let trust = Trust { keys, kept, as_of_ms: NOW_MS };
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
    let trust = Trust { keys: &keys, kept: None, as_of_ms: NOW_MS };
    let good = VerifiedBundle::verify(&bytes, &trust).unwrap();
    let mut same = 0;
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            if let Ok(other) = VerifiedBundle::verify(&changed, &trust) {
                let meaning = |bundle: &VerifiedBundle| {
                    (bundle.statement.clone(), bundle.content.clone(), bundle.signers.clone())
                };
                assert_eq!(meaning(&other), meaning(&good), "bit {bit} of byte {place}");
                same += 1;
            }
        }
    }
    // What a stranger is said to have signed, and by which key, is left aside: 64 bytes in base64 and 32 digits of hex.
    assert!(same > 0 && same < 8 * (88 + 32), "{same} changes that change nothing");
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
    let said = VerifiedBundle::verify(&bytes, &Trust { keys: &others, kept: None, as_of_ms: NOW_MS }).unwrap_err();
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
        &one(&|key| key.trusted_ms = NOW_MS + 1),
        None,
        expect![
            "the bundle is signed by key KEY0, which is trusted from 1970-01-01T00:16:40.000Z on: set the clock of the server"
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
    let trust = Trust { keys: &good, kept: None, as_of_ms: NOW_MS };
    let refusal = VerifiedBundle::verify(&swapped.to_bytes(), &trust).unwrap_err();
    assert!(matches!(refusal, Refusal::Digest { .. }), "{refusal}");

    let late = bundle("1.0.0", Terms { expires_ms: NOW_MS, ..TERMS }, std::slice::from_ref(&key));
    check(&late, &good, None, expect!["the bundle could be deployed until 1970-01-01T00:16:40.000Z: sign it anew"]);

    let active = kept(&VerifiedBundle::verify(&bytes, &trust).unwrap());
    check(&bytes, &good, Some(&active), expect!["runs"]);
    check(&next, &good, Some(&active), expect!["runs"]);
    let newer = kept(&VerifiedBundle::verify(&next, &trust).unwrap());
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
    let refusal = VerifiedBundle::verify(&file, &Trust { keys: &good, kept: None, as_of_ms: NOW_MS }).unwrap_err();
    assert!(refusal.to_string().contains("duplicate field `payload`"), "{refusal}");
    assert!(line.contains(PAYLOAD_TYPE));
}

#[test]
fn one_good_signature_is_enough_and_a_bad_one_too_much() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let mut keys = [trusted(&key), trusted(&other)];
    let bytes = bundle("1.0.0", TERMS, &[key, other]);
    fn trust(keys: &[SigningKeyRecord]) -> Trust<'_> {
        Trust { keys, kept: None, as_of_ms: NOW_MS }
    }
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
        |keys: &[SigningKeyRecord; 1], as_of_ms| VerifiedBundle::verify(&bytes, &Trust { keys, kept: None, as_of_ms });
    assert!(at(&keys, NOW_MS).is_ok());
    assert_eq!(at(&keys, TERMS.expires_ms).unwrap_err(), Refusal::Expired(TERMS.expires_ms));
    keys[0].revoked_ms = Some(TERMS.expires_ms);
    assert_eq!(at(&keys, NOW_MS).unwrap_err(), Refusal::Revoked(keys[0].id));
}

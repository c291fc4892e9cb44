//! What is kept of releases: all of it, sealed, and refused wherever it does not belong.

use std::fs;
use std::path::Path;

use expect_test::expect;
use weir_sandbox::compile::Sources;
use weir_schema::digest::Digest;
use weir_schema::rollout::Event;
use weir_schema::tenant::TenantName;

use super::super::keys::Validity;
use super::super::releases::{self, DeployError};
use super::super::tests::{AT_ONCE, Bench, answering, bundle};
use super::*;
use crate::bundle::key::SigningKey;
use crate::bundle::sign::{Terms, cosign, pack, sign};
use crate::rollouts::conduct::{self, Guarded, RolloutError};

/// A text that an app has and nothing else.
const CANARY: &str = "a text that is in this bundle alone";
/// One that is written as it is, to see that it would be found.
const SHOWN: &str = "a text that is there for all to see";

fn with_canary(version: &str) -> Sources {
    let sources = answering(version, 1);
    let texts = sources.paths().map(|path| {
        let text = sources.text(path).unwrap().to_owned();
        (path.to_owned(), if path.ends_with(".ts") { format!("{text}\n// {CANARY}\n") } else { text })
    });
    Sources::from_texts(texts.collect::<Vec<_>>())
}

async fn deployed(key: &SigningKey) -> Bench {
    let bench = Bench::new();
    bench.trust(key).await;
    for (version, sequence) in [("1.0.0", 10), ("1.1.0", 11)] {
        bench.deploy(&bundle(key, &with_canary(version), sequence)).await.unwrap();
    }
    bench
}

fn kept(store: &Store, sequence: u64) -> Bytes {
    store.control(&ControlKey::Bundle(sequence)).unwrap().unwrap()
}

async fn put_kept(store: &Store, sequence: u64, bytes: Vec<u8>) {
    let mut transaction = store.begin().unwrap();
    transaction.put_control(&ControlKey::Bundle(sequence), Some(bytes.into()));
    store.commit(transaction).await.unwrap();
}

async fn be_named(store: &Store, name: &str) {
    tenants::be_named(store, &name.parse().unwrap()).await.unwrap();
}

fn release(store: &Store, sequence: u64) -> ReleaseRecord {
    releases::list(store).unwrap().into_iter().find(|release| release.sequence == sequence).unwrap()
}

/// The files below a folder in which a text is found.
fn found(folder: &Path, text: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(found(&path, text));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            files.push(path.display().to_string());
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn every_release_keeps_its_bundle_and_no_file_shows_it() {
    let key = SigningKey::generate().unwrap();
    let bench = deployed(&key).await;
    for (version, sequence) in [("1.0.0", 10), ("1.1.0", 11)] {
        let kept = releases::bundle(&bench.store, sequence).unwrap();
        assert_eq!(kept, bundle(&key, &with_canary(version), sequence));
        assert!(kept.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
    let unknown = releases::bundle(&bench.store, 12).unwrap_err().to_string();
    assert_eq!(unknown, "there is no release with sequence 12 on record");
    let mut transaction = bench.store.begin().unwrap();
    transaction.put_control(&ControlKey::Trusted("shown".to_owned()), Some(Bytes::from_static(SHOWN.as_bytes())));
    bench.store.commit(transaction).await.unwrap();
    // What is in memory alone is written when it is closed.
    let Bench { folder, store, engine } = bench;
    let open = found(folder.path(), SHOWN);
    engine.close().await;
    drop((store, engine));
    assert!(!open.is_empty() && !found(folder.path(), SHOWN).is_empty());
    assert_eq!(found(folder.path(), CANARY), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_and_was_changed_or_put_elsewhere_is_refused() {
    let key = SigningKey::generate().unwrap();
    let (bench, other) = (deployed(&key).await, deployed(&key).await);
    let store = &bench.store;
    let (first, newest) = (kept(store, 10), kept(store, 11));
    assert!(verified(store, &release(store, 11), 1).is_ok());

    // No bit can be another, nor anything be cut off.
    let (sealed, bound) = (&newest[MAGIC.len()..], bound(None, &release(store, 11)));
    let unseal = |sealed: &[u8]| store.unseal(&mut store.begin().unwrap(), sealed, &bound);
    assert!(unseal(sealed).is_ok());
    for place in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.to_vec();
            changed[place] ^= 1 << bit;
            assert!(matches!(unseal(&changed), Err(UnsealError::Damaged)), "bit {bit} of byte {place}");
        }
        assert!(unseal(&sealed[..place]).is_err(), "cut off at {place}");
    }

    let changed = |place: usize| {
        let mut changed = newest.to_vec();
        changed[place] ^= 1;
        changed
    };
    let signed = bundle(&key, &with_canary("1.0.0"), 10);
    let again = bundle(&key, &with_canary("1.1.1"), 11);
    let cases = [
        ("a bit of its mark is another", changed(0)),
        ("a bit of it is another", changed(newest.len() - 1)),
        ("the sealed bundle of another release", first.to_vec()),
        ("the sealed bundle of another store", kept(&other.store, 11).to_vec()),
        ("a bundle of another release as it was signed", signed),
        ("another bundle of the same sequence as it was signed", again),
        ("nothing but its mark", MAGIC.to_vec()),
        ("nothing", Vec::new()),
    ];
    let mut said = String::new();
    for (what, bytes) in cases {
        put_kept(store, 11, bytes).await;
        let refusal = bench.engine.restore(&|_| Ok(())).await.unwrap_err();
        assert!(matches!(refusal, DeployError::Kept(_)), "{what}: {refusal:?}");
        said.push_str(&format!("{what}: {refusal}\n"));
    }
    let mut transaction = store.begin().unwrap();
    remove(&mut transaction, 11);
    store.commit(transaction).await.unwrap();
    let refusal = bench.engine.restore(&|_| Ok(())).await.unwrap_err();
    said.push_str(&format!("it is not there: {refusal}\n"));
    expect![[r#"
        a bit of its mark is another: the bundle that is kept of release 1.1.0 was changed, or is that of another release or tenant: deploy it again
        a bit of it is another: the bundle that is kept of release 1.1.0 was changed, or is that of another release or tenant: deploy it again
        the sealed bundle of another release: the bundle that is kept of release 1.1.0 was changed, or is that of another release or tenant: deploy it again
        the sealed bundle of another store: the bundle that is kept of release 1.1.0 was changed, or is that of another release or tenant: deploy it again
        a bundle of another release as it was signed: the bundle that is kept is not that of release 1.1.0: deploy it again
        another bundle of the same sequence as it was signed: the bundle that is kept is not that of release 1.1.0: deploy it again
        nothing but its mark: the bundle that is kept of release 1.1.0 was changed, or is that of another release or tenant: deploy it again
        nothing: the bundle that is kept of release 1.1.0 was changed, or is that of another release or tenant: deploy it again
        it is not there: the bundle of release 1.1.0 is not kept: deploy it again
    "#]].assert_eq(&said);
    put_kept(store, 11, newest.to_vec()).await;
    assert_eq!(bench.engine.restore(&|_| Ok(())).await.unwrap().unwrap().sequence, 11);

    // The folder of one tenant under the name of another.
    be_named(store, "acme").await;
    let refusal = bench.engine.restore(&|_| Ok(())).await.unwrap_err().to_string();
    assert!(
        refusal.starts_with("the bundle that is kept of release 1.1.0 was changed, or is that of another"),
        "{refusal}"
    );
    for bench in [bench, other] {
        bench.engine.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_one_tenant_is_deployed_in_no_other() {
    let key = SigningKey::generate().unwrap();
    let sources = answering("1.0.0", 1);
    let manifest = weir_schema::manifest::parse(sources.text("app.toml").unwrap()).unwrap();
    let signed = |tenant: Option<&str>, sequence| {
        let tenant: Option<TenantName> = tenant.map(|name| name.parse().unwrap());
        let terms = Terms { tenant: tenant.as_ref(), sequence, expires_ms: u64::MAX };
        sign(&pack(&sources).unwrap(), &manifest, terms, std::slice::from_ref(&key)).unwrap()
    };
    let bench = Bench::new();
    be_named(&bench.store, "acme").await;
    bench.trust(&key).await;
    for tenant in [None, Some("other")] {
        let refusal = bench.deploy(&signed(tenant, 1)).await.unwrap_err();
        assert!(matches!(refusal, DeployError::Refused(Refusal::OtherTenant { .. })), "{refusal}");
    }
    assert!(!bench.deploy(&signed(Some("acme"), 1)).await.unwrap());
    let release = release(&bench.store, 1);
    assert_eq!(release.tenant.as_ref().map(TenantName::as_str), Some("acme"));
    let bench = bench.reopened().await;
    assert!(bench.engine.restore(&|_| Ok(())).await.unwrap().is_some());
    bench.engine.close().await;
}

/// As format 3 had it: one bundle, not sealed, that names no tenant.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_has_deployed_before_is_sealed_and_goes_on() {
    let key = SigningKey::generate().unwrap();
    let bench = Bench::new();
    bench.trust(&key).await;
    let signed = bundle(&key, &with_canary("1.0.0"), 10);
    bench.deploy(&signed).await.unwrap();
    be_named(&bench.store, "acme").await;
    put_kept(&bench.store, 10, signed.clone()).await;
    assert_eq!(releases::bundle(&bench.store, 10).unwrap(), signed);
    let bench = bench.reopened().await;
    for _ in 0..2 {
        assert_eq!(bench.engine.restore(&|_| Ok(())).await.unwrap().unwrap().sequence, 10);
        assert!(kept(&bench.store, 10).starts_with(MAGIC));
    }
    assert_eq!(releases::bundle(&bench.store, 10).unwrap(), signed);
    let actions = bench.audit();
    assert_eq!(actions.lines().filter(|line| *line == "operator sealBundle shop 1.0.0 10").count(), 1, "{actions}");
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_signatures_are_asked_for_when_a_bundle_comes_and_when_it_is_loaded_again() {
    let [key, other] = std::array::from_fn(|_| SigningKey::generate().unwrap());
    let bench = Bench::new();
    for key in [&key, &other] {
        bench.trust(key).await;
    }
    bench.engine.ask_for_signatures(2);
    let once = bundle(&key, &answering("1.0.0", 1), 10);
    let too_few = |counted| DeployError::from(Refusal::TooFew { counted, needed: 2 }).to_string();
    assert_eq!(bench.deploy(&once).await.unwrap_err().to_string(), too_few(1));
    bench.deploy(&cosign(&once, &other).unwrap().0).await.unwrap();
    assert_eq!(release(&bench.store, 10).signers.len(), 2);
    let bench = bench.reopened().await;
    bench.engine.ask_for_signatures(2);
    assert!(bench.engine.restore(&|_| Ok(())).await.unwrap().is_some());
    keys::revoke(&bench.store, &Actor::operator(), &other.public().id().to_string()).await.unwrap();
    let bench = bench.reopened().await;
    bench.engine.ask_for_signatures(2);
    assert_eq!(bench.engine.restore(&|_| Ok(())).await.unwrap_err().to_string(), too_few(1));
    bench.engine.ask_for_signatures(1);
    assert!(bench.engine.restore(&|_| Ok(())).await.unwrap().is_some());
    bench.engine.close().await;
}

#[tokio::test]
async fn a_release_that_is_on_record_no_longer_keeps_no_bundle() {
    let (folder, key) = (tempfile::tempdir().unwrap(), SigningKey::generate().unwrap());
    let store = Store::open(&folder.path().join("data"), weir_store::Options::default()).unwrap();
    let operator = Actor::operator();
    keys::trust(&store, &operator, key.public(), Validity::default()).await.unwrap();
    for sequence in 1..=102 {
        let record = ReleaseRecord {
            app: "shop".to_owned(),
            tenant: None,
            version: "1.0.0".to_owned(),
            sequence,
            digest: Digest::of(&sequence.to_be_bytes()),
            signers: vec![key.public().id()],
            deployed_ms: 1,
            deployed_by: "operator".to_owned(),
        };
        releases::keep(&store, &operator, &record, &sequence.to_be_bytes(), (1, (&AT_ONCE, Guarded::default()), &[]))
            .await
            .unwrap();
        // It is promoted at once: one rollout after the other.
        change(&store, &operator, |transaction| {
            let moved = releases::read_traffic(transaction)?.after(&Event::Prepared, 1)?;
            conduct::put(transaction, &moved);
            Ok::<_, RolloutError>(Changed::new((), "promoteRollout", Vec::new()))
        })
        .await
        .unwrap();
    }
    let sequences: Vec<u64> = releases::list(&store).unwrap().iter().map(|release| release.sequence).collect();
    assert_eq!(sequences, (3..=102).collect::<Vec<_>>());
    for sequence in 1..=102_u64 {
        let is_kept = store.control(&ControlKey::Bundle(sequence)).unwrap().is_some();
        assert_eq!(is_kept, sequence > 2, "{sequence}");
        if is_kept {
            assert_eq!(releases::bundle(&store, sequence).unwrap(), sequence.to_be_bytes());
        }
    }
    store.close().await;
}

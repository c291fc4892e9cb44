//! From when on and until when keys count, and how one takes the place of another.

use expect_test::expect;
use tempfile::TempDir;
use weir_store::Options;

use super::*;
use crate::bundle::key::SigningKey;

const DAY_MS: u64 = 24 * 3_600_000;

fn open() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::open(&folder.path().join("data"), Options::default()).unwrap(), folder)
}

fn lasting(for_ms: u64) -> Validity {
    Validity { from_ms: None, for_ms: Some(for_ms) }
}

fn state(store: &Store, key: &SigningKey, at_ms: u64) -> SigningKeyState {
    let known = list(store).unwrap();
    find(&known, key.public().id()).unwrap().state(at_ms)
}

#[tokio::test]
async fn a_key_counts_from_when_on_and_until_when_it_was_said_to() {
    let ((store, _folder), key) = (open(), SigningKey::generate().unwrap());
    let operator = Actor::operator();
    let trusting = async |validity| {
        let trusted = trust(&store, &operator, key.public(), validity).await;
        trusted.map_err(|error| error.to_string().replace(&key.public().id().to_string(), "KEY"))
    };
    let from_ms = now_ms() + DAY_MS;
    let record = trusting(Validity { from_ms: Some(from_ms), for_ms: Some(DAY_MS) }).await.unwrap();
    assert_eq!((record.valid_from_ms(), record.expires_ms), (from_ms, Some(from_ms + DAY_MS)));
    let states = [from_ms - 1, from_ms, from_ms + DAY_MS - 1, from_ms + DAY_MS].map(|at| state(&store, &key, at));
    let [not_yet, valid, expired] = [SigningKeyState::NotYet, SigningKeyState::Valid, SigningKeyState::Expired];
    assert_eq!(states, [not_yet, valid, valid, expired]);
    // What has not begun can be put elsewhere, and begin now. What has begun cannot be as if it had not.
    trusting(Validity { from_ms: Some(from_ms + 1), for_ms: None }).await.unwrap();
    assert_eq!(state(&store, &key, from_ms), not_yet);
    let record = trusting(lasting(DAY_MS)).await.unwrap();
    assert_eq!((record.from_ms, state(&store, &key, now_ms())), (None, valid));
    let trusted_ms = record.trusted_ms;
    expect!["key KEY counts already, so its time cannot begin later: trust it without --from, or revoke it"]
        .assert_eq(&trusting(Validity { from_ms: Some(from_ms), for_ms: None }).await.unwrap_err());
    // A time that has been is now.
    let record = trusting(Validity { from_ms: Some(1), for_ms: None }).await.unwrap();
    assert_eq!((record.trusted_ms, record.from_ms, record.expires_ms), (trusted_ms, None, None));
    expect!["a key that is to be trusted has to be good for some time"]
        .assert_eq(&trusting(lasting(0)).await.unwrap_err());
    revoke(&store, &operator, &key.public().id().to_string()).await.unwrap();
    assert_eq!([0, from_ms].map(|at| state(&store, &key, at)), [SigningKeyState::Revoked; 2]);
    store.close().await;
}

#[tokio::test]
async fn a_key_takes_the_place_of_another_in_one_commit() {
    let (store, _folder) = open();
    let [old, new, other, over] = std::array::from_fn(|_| SigningKey::generate().unwrap());
    let operator = Actor::operator();
    let id = |key: &SigningKey| key.public().id().to_string();
    trust(&store, &operator, old.public(), Validity::default()).await.unwrap();
    trust(&store, &operator, over.public(), lasting(1)).await.unwrap();
    // Its time is over with the clock that keys are read by.
    while now_ms() <= list(&store).unwrap().iter().filter_map(|key| key.expires_ms).max().unwrap() {
        tokio::task::yield_now().await;
    }
    let before = store.head().sequence;
    let rotated = rotate(&store, &operator, &id(&old), new.public(), 30 * DAY_MS, Some(365 * DAY_MS)).await.unwrap();
    assert_eq!(store.head().sequence, before + 1);
    let end_ms = rotated.before.expires_ms.unwrap();
    assert_eq!(rotated.key.expires_ms.map(|ms| ms - rotated.key.trusted_ms), Some(365 * DAY_MS));
    let [valid, expired] = [SigningKeyState::Valid, SigningKeyState::Expired];
    for (at_ms, states) in [(end_ms - 1, [valid, valid]), (end_ms, [expired, valid])] {
        assert_eq!([&old, &new].map(|key| state(&store, key, at_ms)), states);
    }
    let record = store.audit(2, 10).unwrap().pop().unwrap();
    let targets = [id(&new), format!("in place of {}", id(&old)), format!("until {}", moment(&end_ms))];
    assert_eq!((record.number, record.action.as_str(), record.targets.as_slice()), (3, "rotateKey", &targets[..]));
    // A time that is over earlier is over then.
    let again = rotate(&store, &operator, &id(&old), other.public(), 60 * DAY_MS, None).await.unwrap();
    assert_eq!(again.before.expires_ms, Some(end_ms));
    revoke(&store, &operator, &id(&other)).await.unwrap();
    let refused = async |before: &str, to: &SigningKey| {
        let error = rotate(&store, &operator, before, to.public(), DAY_MS, None).await.unwrap_err().to_string();
        let names = [("OLD", &old), ("NEW", &new), ("OTHER", &other), ("OVER", &over)];
        names.into_iter().fold(error, |error, (name, key)| error.replace(&id(key), name))
    };
    let table = [
        refused(&id(&old), &old).await,
        refused(&id(&over), &new).await,
        refused(&id(&other), &new).await,
        refused(&id(&new), &other).await,
        refused("x", &new).await,
        refused(&"0".repeat(32), &new).await,
    ];
    expect![[r#"
        key OLD cannot take its own place: make a new one with weir keys generate
        the time of key OVER is over: trust another with weir keys trust FILE
        the key OTHER was revoked, and a key that was is never trusted again: make a new one with weir keys generate
        the key OTHER was revoked, and a key that was is never trusted again: make a new one with weir keys generate
        there is no key x: weir keys list shows those that there are
        there is no key 00000000000000000000000000000000: weir keys list shows those that there are"#]]
    .assert_eq(&table.join("\n"));
    assert_eq!(store.audit(0, 100).unwrap().len(), 5, "what was refused has changed nothing");
    store.close().await;
}

#[tokio::test]
async fn each_tenant_trusts_its_own_keys() {
    let ((acme, _one), (other, _two)) = (open(), open());
    let [key, its] = std::array::from_fn(|_| SigningKey::generate().unwrap());
    trust(&acme, &Actor::operator(), key.public(), Validity::default()).await.unwrap();
    trust(&other, &Actor::operator(), its.public(), Validity::default()).await.unwrap();
    let ids = |store: &Store| list(store).unwrap().iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!((ids(&acme), ids(&other)), (vec![key.public().id()], vec![its.public().id()]));
    let unknown = revoke(&other, &Actor::operator(), &key.public().id().to_string()).await;
    assert!(matches!(unknown, Err(KeysError::Unknown(_))));
    for store in [acme, other] {
        store.close().await;
    }
}

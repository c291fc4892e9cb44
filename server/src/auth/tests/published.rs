//! Keys that an issuer publishes: rotation, outage and storms, with how often it is asked for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use url::Url;
use weir_engine::Engine;
use weir_engine::fetch::FetchError;
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

use super::keys::{Signer, claims};
use super::{header, settings};
use crate::auth::error::TokenError;
use crate::auth::remote::Outside;
use crate::auth::sessions::{Sessions, watch_over};
use crate::auth::verify::Issuers;
use crate::config::Config;

const ISSUER: &str = "https://idp.example";
const KEYS: &str = "https://idp.example/keys";
const METADATA: &str = "https://idp.example/.well-known/openid-configuration";

/// What there is at URLs, and a clock.
#[derive(Default)]
struct Internet {
    pages: Mutex<HashMap<String, Vec<u8>>>,
    asked: AtomicUsize,
    now_s: AtomicU64,
    /// Answers wait for a permit each, if there is one.
    gate: Mutex<Option<Arc<Semaphore>>>,
}

impl Internet {
    fn put(&self, url: &str, page: &Value) {
        self.pages.lock().insert(url.to_owned(), page.to_string().into_bytes());
    }

    fn publish(&self, keys: &[(&str, &Signer)]) {
        let keys: Vec<Value> = keys.iter().map(|(kid, signer)| signer.jwk(kid)).collect();
        self.put(KEYS, &json!({ "keys": keys }));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn pass(&self, seconds: u64) {
        self.now_s.fetch_add(seconds, Ordering::SeqCst);
    }

    fn outside(self: &Arc<Self>) -> Outside {
        let (internet, clock) = (self.clone(), self.clone());
        Outside {
            read: Arc::new(move |url: Url| {
                let internet = internet.clone();
                Box::pin(async move {
                    internet.asked.fetch_add(1, Ordering::SeqCst);
                    let gate = internet.gate.lock().clone();
                    if let Some(gate) = gate {
                        gate.acquire().await.unwrap().forget();
                    }
                    let page = internet.pages.lock().get(url.as_str()).cloned();
                    page.ok_or_else(|| FetchError::Unknown(url.to_string()))
                })
            }),
            now: Arc::new(move || Duration::from_secs(clock.now_s.load(Ordering::SeqCst))),
        }
    }

    /// An issuer here that publishes keys in this way. They are read again after 60 seconds, believed for 600, and asked for every
    /// 10.
    fn issuers(self: &Arc<Self>, source: &str) -> Arc<Issuers> {
        let text = format!(
            "[[issuer]]\nissuer = \"{ISSUER}\"\nalgorithms = [\"ES256\", \"EdDSA\"]\naudience = [\"weir\"]\n{source}\n"
        );
        let config = Config::parse(&text, "weir.toml".as_ref()).unwrap();
        Arc::new(Issuers::new(&config.issuer, &settings(60, 600, 10), &self.outside()).unwrap())
    }
}

fn by_url() -> String {
    format!("jwks_url = \"{KEYS}\"")
}

fn token(signer: &Signer, kid: &str) -> String {
    let algorithm = if matches!(signer, Signer::Ed25519(_)) { "EdDSA" } else { "ES256" };
    signer.token(&header(algorithm, kid), &claims(ISSUER, json!({})))
}

const UNAVAILABLE: TokenError = TokenError::KeysUnavailable { retry_after: Duration::from_secs(10) };

#[tokio::test]
async fn keys_are_exchanged_and_each_token_is_checked_with_its_own() {
    let (internet, old, new) = (Arc::<Internet>::default(), Signer::p256(), Signer::ed25519());
    let issuers = internet.issuers(&by_url());
    internet.publish(&[("old", &old)]);
    assert_eq!(internet.asked(), 0, "nobody has shown a token yet");
    let before = issuers.verify(&token(&old, "old")).await.unwrap();
    assert!(issuers.verify(&token(&old, "old")).await.is_ok());
    assert_eq!(internet.asked(), 1);
    // A key that is not known yet is looked for, when the interval is over.
    internet.publish(&[("old", &old), ("new", &new)]);
    assert_eq!(issuers.verify(&token(&new, "new")).await.err(), Some(TokenError::Key));
    internet.pass(10);
    assert!(issuers.verify(&token(&new, "new")).await.is_ok());
    assert_eq!(internet.asked(), 2);
    assert!(issuers.verify(&token(&old, "old")).await.is_ok());
    assert!(!before.has_its_keys(), "it is to be checked again");
    // One that is gone is gone when the keys are read again.
    internet.publish(&[("new", &new)]);
    internet.pass(10);
    assert!(issuers.verify(&token(&old, "old")).await.is_ok());
    internet.pass(60);
    assert!(issuers.verify(&token(&old, "old")).await.is_ok(), "nobody waits for them to be read again");
    until(|| internet.asked() == 3).await;
    until_refused(&issuers, &token(&old, "old")).await;
    // A signature by the new key under the name of the old one is none.
    internet.publish(&[("old", &old), ("new", &new)]);
    internet.pass(10);
    assert_eq!(issuers.verify(&token(&new, "old")).await.err(), Some(TokenError::Algorithm));
}

/// Waits for what a task does that nobody waits for.
async fn until(done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
}

async fn until_refused(issuers: &Issuers, token: &str) {
    let waiting = async {
        while issuers.verify(token).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
}

#[tokio::test]
async fn keys_are_believed_through_an_outage_and_not_for_ever() {
    let (internet, signer) = (Arc::<Internet>::default(), Signer::p256());
    let (issuers, token) = (internet.issuers(&by_url()), token(&signer, "a"));
    assert_eq!(issuers.verify(&token).await.err(), Some(UNAVAILABLE), "nothing is there yet");
    assert_eq!(issuers.verify(&token).await.err(), Some(UNAVAILABLE));
    assert_eq!(internet.asked(), 1, "the interval is not over");
    internet.publish(&[("a", &signer)]);
    internet.pass(10);
    let verified = issuers.verify(&token).await.unwrap();
    internet.pages.lock().clear();
    for _ in 0..9 {
        internet.pass(60);
        assert!(issuers.verify(&token).await.is_ok() && verified.has_its_keys());
    }
    internet.pass(60);
    assert_eq!(issuers.verify(&token).await.err(), Some(UNAVAILABLE), "600 seconds are over");
    assert!(!verified.has_its_keys());
    internet.publish(&[("a", &signer)]);
    internet.pass(10);
    assert!(issuers.verify(&token).await.is_ok());
}

#[tokio::test]
async fn a_storm_of_unknown_keys_asks_once() {
    let (internet, signer) = (Arc::<Internet>::default(), Signer::p256());
    let issuers = internet.issuers(&by_url());
    internet.publish(&[("a", &signer)]);
    let gate = Arc::new(Semaphore::new(0));
    *internet.gate.lock() = Some(gate.clone());
    // All come before the first answer: half of them with keys that nobody has, some of them go away at once.
    let good = token(&signer, "a");
    let tasks: Vec<_> = (0..1_000)
        .map(|number| {
            let token = if number % 2 == 0 { good.clone() } else { token(&signer, &format!("k{number}")) };
            let issuers = issuers.clone();
            tokio::spawn(async move { issuers.verify(&token).await.map(drop) })
        })
        .collect();
    until(|| internet.asked() == 1).await;
    for task in tasks.iter().step_by(10) {
        task.abort();
    }
    gate.add_permits(1);
    let mut counts = (0, 0);
    for (number, task) in tasks.into_iter().enumerate() {
        match task.await {
            Ok(Ok(())) if number % 2 == 0 => counts.0 += 1,
            Ok(Err(TokenError::Key)) if number % 2 == 1 => counts.1 += 1,
            Ok(other) => panic!("{number}: {other:?}"),
            Err(gone) => assert!(gone.is_cancelled()),
        }
    }
    assert_eq!((counts, internet.asked()), ((400, 500), 1));
    // A storm that goes on asks once in each interval.
    gate.add_permits(100);
    for _ in 0..100 {
        internet.pass(1);
        let _ = issuers.verify(&token(&signer, "unknown")).await;
    }
    assert_eq!(internet.asked(), 11);
}

#[tokio::test]
async fn whoever_goes_away_does_not_take_the_answer_along() {
    let (internet, signer) = (Arc::<Internet>::default(), Signer::p256());
    let issuers = internet.issuers(&by_url());
    internet.publish(&[("a", &signer)]);
    let gate = Arc::new(Semaphore::new(0));
    *internet.gate.lock() = Some(gate.clone());
    let (asking, token) = (issuers.clone(), token(&signer, "a"));
    let shown = token.clone();
    let first = tokio::spawn(async move { asking.verify(&shown).await.map(drop) });
    until(|| internet.asked() == 1).await;
    first.abort();
    assert!(first.await.is_err());
    gate.add_permits(1);
    assert!(issuers.verify(&token).await.is_ok());
    assert_eq!(internet.asked(), 1);
}

#[tokio::test]
async fn metadata_lead_to_keys_of_their_issuer_alone() {
    let (internet, signer) = (Arc::<Internet>::default(), Signer::p256());
    let (issuers, token) = (internet.issuers("discovery = true"), token(&signer, "a"));
    internet.publish(&[("a", &signer)]);
    internet.put("http://127.0.0.1/keys", &json!({ "keys": [signer.jwk("a")] }));
    let metadata = |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": keys });
    for (page, good) in [
        (metadata("https://evil.example", KEYS), false),
        (metadata("https://idp.example/", KEYS), false),
        (metadata(ISSUER, "http://idp.example/keys"), false),
        (metadata(ISSUER, "http://127.0.0.1/keys"), false),
        (metadata(ISSUER, "file:///keys"), false),
        (json!({ "issuer": ISSUER }), false),
        (json!([]), false),
        (metadata(ISSUER, KEYS), true),
    ] {
        internet.put(METADATA, &page);
        internet.pass(10);
        let taken = issuers.verify(&token).await;
        assert_eq!(taken.err(), (!good).then_some(UNAVAILABLE), "{page}");
    }
    let twice = format!(r#"{{"issuer":"https://evil.example","issuer":"{ISSUER}","jwks_uri":"{KEYS}"}}"#);
    internet.pages.lock().insert(METADATA.to_owned(), twice.into_bytes());
    internet.pass(600);
    assert_eq!(issuers.verify(&token).await.err(), Some(UNAVAILABLE));
}

#[tokio::test]
async fn a_set_has_keys_for_signatures_each_under_one_name() {
    let (internet, a, b) = (Arc::<Internet>::default(), Signer::p256(), Signer::p256());
    let issuers = internet.issuers(&by_url());
    let with = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        jwk
    };
    let keys = json!([
        a.jwk("good"),
        a.jwk("twice"),
        b.jwk("twice"),
        with(a.jwk("encrypts"), "use", json!("enc")),
        with(a.jwk("signs"), "key_ops", json!(["sign"])),
        with(a.jwk("other algorithm"), "alg", json!("ES384")),
        with(a.jwk("private"), "d", json!("AA")),
        with(a.jwk("other curve"), "crv", json!("P-384")),
        Signer::rsa().jwk("not pinned"),
        { "kty": "oct", "k": "c2VjcmV0", "kid": "secret" },
        { "kty": "new", "kid": "new" },
        1,
    ]);
    internet.put(KEYS, &json!({ "keys": keys, "more": 1 }));
    for kid in
        ["twice", "encrypts", "signs", "other algorithm", "private", "other curve", "not pinned", "secret", "new"]
    {
        assert_eq!(issuers.verify(&token(&a, kid)).await.err(), Some(TokenError::Key), "{kid}");
    }
    assert!(issuers.verify(&token(&a, "good")).await.is_ok());
    // What is no set changes nothing of what is believed.
    let many: Vec<Value> = (0..201).map(|number| a.jwk(&number.to_string())).collect();
    for page in [json!([]), json!({ "keys": {} }), json!({ "keys": [] }), json!({ "keys": many })] {
        internet.put(KEYS, &page);
        internet.pass(61);
        assert!(issuers.verify(&token(&a, "good")).await.is_ok(), "{page}");
        assert_eq!(issuers.verify(&token(&a, "1")).await.err(), Some(TokenError::Key));
    }
}

/// The keys are read again though nobody shows a token, and what goes on ends with the key that it began with, and with that alone.
#[tokio::test]
async fn what_goes_on_ends_when_its_key_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    let internet = Arc::<Internet>::default();
    let [a, b, c, other] = [(); 4].map(|()| Signer::p256());
    let issuers = internet.issuers(&by_url());
    internet.publish(&[("a", &a), ("b", &b), ("c", &c)]);
    let (sessions, mut open) = (Arc::<Sessions>::default(), Vec::new());
    tokio::spawn(watch_over(sessions.clone(), issuers.clone(), vec![engine.clone()]));
    for (kid, signer) in [("a", &a), ("b", &b), ("c", &c)] {
        let verified = Arc::new(issuers.verify(&token(signer, kid)).await.unwrap());
        assert!(!verified.has_lost_its_key());
        open.push(sessions.open(verified));
    }
    let [first, second, third] = &mut open[..] else { panic!("three") };
    // One is gone, and another key has the name of the second. What is new is nobody's loss.
    internet.publish(&[("b", &other), ("c", &c), ("d", &Signer::p256())]);
    internet.pass(61);
    for session in [first, second] {
        let over = tokio::time::timeout(Duration::from_secs(20), session.over()).await;
        assert_eq!(over.unwrap(), TokenError::Key);
    }
    assert_eq!(internet.asked(), 2, "once for the tokens, and once more when it was time");
    assert!(tokio::time::timeout(Duration::ZERO, third.over()).await.is_err(), "this one has its key");
    // Out of order, an issuer takes nothing back.
    internet.pages.lock().clear();
    internet.pass(61);
    until_slept(|| internet.asked() > 2).await;
    assert!(tokio::time::timeout(Duration::ZERO, third.over()).await.is_err());
    engine.close().await;
}

/// The same as [`until`] where time has to pass.
async fn until_slept(done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
}

/// Who has waited for an answer that did not come does not ask again at once, however long it took.
#[tokio::test]
async fn a_storm_while_an_issuer_is_out_of_order_asks_once() {
    for source in [by_url(), "discovery = true".to_owned()] {
        let (internet, signer) = (Arc::<Internet>::default(), Signer::p256());
        let issuers = internet.issuers(&source);
        let gate = Arc::new(Semaphore::new(0));
        *internet.gate.lock() = Some(gate.clone());
        let tasks: Vec<_> = (0..500)
            .map(|number| {
                let (issuers, token) = (issuers.clone(), token(&signer, &format!("k{number}")));
                tokio::spawn(async move { issuers.verify(&token).await.map(drop) })
            })
            .collect();
        until(|| internet.asked() == 1).await;
        internet.pass(60);
        gate.add_permits(1_000);
        for task in tasks {
            assert_eq!(task.await.unwrap(), Err(UNAVAILABLE));
        }
        assert_eq!(internet.asked(), 1, "{source}");
    }
}

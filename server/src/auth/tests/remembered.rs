//! Tokens that were verified before, and what goes on with them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{Caller, TokenKind};
use weir_engine::control::Actor;
use weir_engine::revoked::{Revocation, Revoking};
use weir_sandbox::pool::PoolOptions;
use weir_schema::caller::CallerSettings;
use weir_store::{Options, Store};

use crate::auth::error::{TokenError, Unauthenticated};
use crate::auth::mint::{DevKey, ISSUER, Wanted};
use crate::auth::sessions::watch_over;
use crate::auth::verify::Issuers;
use crate::auth::{Auth, Credentials, token_of};

struct World {
    auth: Arc<Auth>,
    engine: Engine,
    key: DevKey,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let key = DevKey::open_or_make(folder.path()).unwrap();
        let mut issuers = Issuers::none();
        issuers.and_own(&DevKey::issuer(), key.keys());
        let auth = Arc::new(Auth::new(engine.clone(), issuers, 100, Caller::Anonymous));
        tokio::spawn(watch_over(auth.sessions().clone(), auth.issuers().clone(), vec![engine.clone()]));
        Self { auth, engine, key, _folder: folder }
    }

    fn token(&self, subject: &str, expires_s: u64, claims: Value) -> String {
        let wanted = Wanted {
            subject: subject.to_owned(),
            kind: TokenKind::User,
            roles: vec!["clerk".to_owned()],
            scopes: vec!["read".to_owned()],
            claims: claims.as_object().cloned().unwrap(),
            expires_s,
        };
        self.key.mint(&wanted, self.engine.clock().now_ms()).unwrap()
    }

    async fn revoke(&self, of: Revoking) {
        let revocation = Revocation { issuer: ISSUER.to_owned(), of };
        self.engine.revoke_tokens(revocation, &Actor::operator()).await.unwrap();
    }
}

fn declared(claims: &str) -> CallerSettings {
    let text = format!("name = \"a\"\nversion = \"1.0.0\"\n[caller]\nclaims = {claims}\n");
    weir_schema::manifest::parse(&text).unwrap().caller
}

#[tokio::test]
async fn logins_that_fail_are_on_record_few_for_many() {
    let world = World::new().await;
    let token = world.token("ada", 100, json!({}));
    let from = IpAddr::from([10, 0, 0, 1]);
    world.auth.of_token_from(from, &token).await.unwrap();
    for _ in 0..1_000 {
        assert!(world.auth.of_token_from(from, &format!("{token}x")).await.is_err());
    }
    world.engine.clock().advance(Duration::from_secs(101));
    assert!(world.auth.of_token_from(from, &token).await.is_err());
    world.engine.write_refusals().await;
    let records = world.engine.store().audit(0, 100).unwrap();
    assert!(records.iter().all(|record| record.action == "login"), "{records:?}");
    assert_eq!(records.iter().map(|record| record.times.unwrap_or(1)).sum::<u64>(), 1_001);
    assert!(records.iter().all(|record| record.from.as_deref() == Some("10.0.0.1")), "{records:?}");
    let counted = TokenError::REASONS.into_iter().zip(world.auth.refused()).filter(|(_, count)| *count > 0);
    assert_eq!(counted.map(|(_, count)| count).sum::<u64>(), 1_001);
    let expired = TokenError::REASONS.iter().position(|reason| *reason == TokenError::Expired.reason()).unwrap();
    assert_eq!(world.auth.refused()[expired], 1);
    assert!(records.len() < 6, "{records:?}");
    assert!(records.iter().any(|record| record.outcome.as_deref() == Some("the token has expired")), "{records:?}");
    assert!(!format!("{records:?}").contains(&token[..40]), "nothing of a token");
}

#[tokio::test]
async fn a_token_is_verified_once_and_looked_at_each_time() {
    let world = World::new().await;
    let token = world.token("ada", 100, json!({}));
    let first = world.auth.of_token(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &world.auth.of_token(&token).await.unwrap()));
    world.engine.clock().advance(Duration::from_secs(101));
    assert_eq!(world.auth.of_token(&token).await.err(), Some(TokenError::Expired));
    let token = world.token("ada", 100, json!({}));
    assert!(world.auth.of_token(&token).await.is_ok());
    world.revoke(Revoking::Subject("bob".to_owned())).await;
    assert!(world.auth.of_token(&token).await.is_ok());
    world.revoke(Revoking::Subject("ada".to_owned())).await;
    assert_eq!(world.auth.of_token(&token).await.err(), Some(TokenError::Revoked));
    // One that is made later is another.
    world.engine.clock().advance(Duration::from_secs(2));
    assert!(world.auth.of_token(&world.token("ada", 100, json!({}))).await.is_ok());
    world.engine.close().await;
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_with_its_revocation() {
    let world = World::new().await;
    let begin = async |token: &str| {
        let credentials = Credentials::Token(world.auth.of_token(token).await.unwrap());
        world.auth.session(&credentials).unwrap().unwrap()
    };
    let soon = Duration::from_secs(20);
    let (mut short, mut long) =
        (begin(&world.token("ada", 10, json!({}))).await, begin(&world.token("ada", 1_000, json!({}))).await);
    let mut renewed = begin(&world.token("ada", 10, json!({}))).await;
    renewed.goes_on_with(world.auth.of_token(&world.token("ada", 1_000, json!({}))).await.unwrap());
    world.engine.clock().advance(Duration::from_secs(11));
    assert_eq!(tokio::time::timeout(soon, short.over()).await.unwrap(), TokenError::Expired);
    let still = Duration::from_millis(600);
    assert!(
        tokio::time::timeout(still, async {
            tokio::select! { _ = long.over() => {}, _ = renewed.over() => {} }
        })
        .await
        .is_err()
    );
    world.revoke(Revoking::All).await;
    assert_eq!(tokio::time::timeout(soon, long.over()).await.unwrap(), TokenError::Revoked);
    assert_eq!(tokio::time::timeout(soon, renewed.over()).await.unwrap(), TokenError::Revoked);
    assert_eq!(world.auth.sessions().count(), 3);
    drop((short, long, renewed));
    assert_eq!(world.auth.sessions().count(), 0);
    assert!(world.auth.session(&world.auth.tokenless()).unwrap().is_none(), "who has no token needs none");
    world.engine.close().await;
}

#[tokio::test]
async fn a_caller_has_the_claims_that_the_app_declares() {
    let world = World::new().await;
    let verified = world.auth.of_token(&world.token("ada", 100, json!({ "org": "acme", "level": 3 }))).await.unwrap();
    let claims = |app: &CallerSettings| match verified.caller(app).unwrap() {
        Caller::Token(identity) => Value::Object(identity.claims.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(claims(&declared("{ org = \"string\", beta = \"boolean\" }")), json!({ "org": "acme" }));
    assert_eq!(claims(&declared("{ level = \"int\" }")), json!({ "level": 3 }));
    let error = verified.caller(&declared("{ level = \"string\" }")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the claim level (app.toml declares it as a string) of the token is missing, or not what it should be"
    );
    world.engine.close().await;
}

#[tokio::test]
async fn a_header_has_one_token_or_nothing() {
    let world = World::new().await;
    let token = world.token("ada", 100, json!({}));
    let of = async |values: &[&str]| {
        let mut headers = axum::http::HeaderMap::new();
        for value in values {
            headers.append("authorization", value.parse().unwrap());
        }
        match token_of(&headers)? {
            Some(token) => Ok(world.auth.of_token(token).await.is_ok()),
            None => Ok(false),
        }
    };
    assert_eq!(of(&[]).await, Ok(false));
    for good in [format!("Bearer {token}"), format!("bearer   {token}"), format!(" BEARER {token} ")] {
        assert_eq!(of(&[&good]).await, Ok(true), "{good}");
    }
    let bearer = format!("Bearer {token}");
    for bad in [&["Basic YTpi"][..], &[&token], &["Bearer"], &["Bearer "], &[&bearer, &bearer], &["Bearer a b"], &[""]]
    {
        assert_eq!(of(bad).await, Err(Unauthenticated::Scheme), "{bad:?}");
    }
    let issuer = Issuers::none();
    assert_eq!(issuer.verify(&token).await.err(), Some(TokenError::Issuer), "nobody's tokens are taken by default");
    world.engine.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_key_of_development_is_made_once_and_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let error = DevKey::open(folder.path()).err().unwrap().to_string();
    assert!(error.ends_with("has no key for tokens yet: start weir dev once"), "{error}");
    DevKey::open_or_make(folder.path()).unwrap();
    let file = folder.path().join("dev-token-key");
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    DevKey::open_or_make(folder.path()).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(DevKey::open_or_make(folder.path()).err().unwrap().to_string().contains("is open to others"));
    std::fs::remove_file(&file).unwrap();
    DevKey::open_or_make(folder.path()).unwrap();
    assert_ne!(std::fs::read(&file).unwrap(), bytes, "each folder has a key of its own");
}

//! Which tokens are for whom.

use serde_json::{Value, json};

use super::keys::{Signer, claims};
use super::{header, issuers, section};
use crate::auth::error::TokenError;
use crate::auth::realm::Realm;

const NAMING: &str = "https://naming.example";
const PLAIN: &str = "https://plain.example";
/// When tokens of these tests say that they were made.
const MADE_S: u64 = 1_700_000_000;

#[tokio::test]
async fn a_token_that_names_a_tenant_is_good_there_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (naming, plain) = (Signer::ed25519(), Signer::ed25519());
    let text = section(folder.path(), NAMING, "\"EdDSA\"", &naming, "n") + "tenant_claim = \"org\"\n";
    let text = text + &section(folder.path(), PLAIN, "\"EdDSA\"", &plain, "p");
    let issuers = issuers(folder.path(), &text).unwrap();
    assert!(issuers.have_tenant_claims());
    let realm = |name: &str, listed: &[&str]| {
        let listed = listed.iter().map(|issuer| (*issuer).to_owned()).collect();
        Realm::of_tenant(name.parse().unwrap(), MADE_S * 1_000, listed)
    };
    let realms = [Realm::Server, realm("acme", &[]), realm("beta", &[]), realm("acme", &[NAMING, PLAIN])];
    // The issuer, its claims, and in which of these the token is good.
    let table: &[(&str, Value, [bool; 4])] = &[
        (NAMING, json!({ "org": "acme" }), [false, true, false, true]),
        (NAMING, json!({ "org": "beta" }), [false, false, true, false]),
        (NAMING, json!({ "org": "Acme" }), [false; 4]),
        (NAMING, json!({ "org": "nobody" }), [false; 4]),
        (NAMING, json!({}), [true, false, false, true]),
        // A claim that its issuer says nothing about is one as any other.
        (PLAIN, json!({ "org": "acme" }), [true, false, false, true]),
        (PLAIN, json!({}), [true, false, false, true]),
    ];
    for (issuer, of, expected) in table {
        let signer = if *issuer == NAMING { (&naming, "n") } else { (&plain, "p") };
        let token = signer.0.token(&header("EdDSA", signer.1), &claims(issuer, of.clone()));
        let verified = issuers.verify(&token).await.unwrap();
        let takes = realms.each_ref().map(|realm| realm.takes(&verified).is_ok());
        assert_eq!(takes, *expected, "{issuer} {of}");
        let refusals = realms.iter().filter_map(|realm| realm.takes(&verified).err());
        assert!(refusals.into_iter().all(|error| error == TokenError::Foreign));
    }
    // What is there and is no name decides nothing.
    for of in [json!(7), json!(""), json!(["acme"]), json!({ "name": "acme" }), json!(true)] {
        let token = naming.token(&header("EdDSA", "n"), &claims(NAMING, json!({ "org": of })));
        assert_eq!(issuers.verify(&token).await.err(), Some(TokenError::Claim("org".to_owned())), "{of}");
    }
}

#[tokio::test]
async fn a_token_that_names_a_tenant_is_not_for_a_later_one_of_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let (naming, plain) = (Signer::ed25519(), Signer::ed25519());
    let text = section(folder.path(), NAMING, "\"EdDSA\"", &naming, "n") + "tenant_claim = \"org\"\n";
    let text = text + &section(folder.path(), PLAIN, "\"EdDSA\"", &plain, "p") + "[tokens]\nclock_skew = \"7s\"\n";
    let issuers = issuers(folder.path(), &text).unwrap();
    // When the tenant was made, in milliseconds after the token, and whether the token is good there.
    for (after_ms, expected) in [(-1, true), (0, true), (7_999, true), (8_000, false), (3_600_000, false)] {
        let created_ms = (MADE_S * 1_000).checked_add_signed(after_ms).unwrap();
        let realm = Realm::of_tenant("acme".parse().unwrap(), created_ms, vec![PLAIN.to_owned()]);
        let token = naming.token(&header("EdDSA", "n"), &claims(NAMING, json!({ "org": "acme" })));
        let taken = realm.takes(&issuers.verify(&token).await.unwrap());
        assert_eq!(taken.err(), (!expected).then_some(TokenError::Foreign), "{after_ms}");
        // What names none is good by its issuer, which the tenant lists, whenever it was made.
        let token = plain.token(&header("EdDSA", "p"), &claims(PLAIN, json!({ "org": "acme", "iat": null })));
        assert!(realm.takes(&issuers.verify(&token).await.unwrap()).is_ok(), "{after_ms}");
    }
    // One that names a tenant has to say when it was made, though others need not.
    let undated = |of| naming.token(&header("EdDSA", "n"), &claims(NAMING, of));
    let refused = issuers.verify(&undated(json!({ "org": "acme", "iat": null }))).await;
    assert_eq!(refused.err(), Some(TokenError::Claim("iat".to_owned())));
    assert!(issuers.verify(&undated(json!({ "iat": null }))).await.is_ok());
}

//! Which tokens are for whom.

use serde_json::{Value, json};

use super::keys::{Signer, claims};
use super::{header, issuers, section};
use crate::auth::error::TokenError;
use crate::auth::realm::Realm;

const NAMING: &str = "https://naming.example";
const PLAIN: &str = "https://plain.example";

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
        Realm::of_tenant(name.parse().unwrap(), listed)
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

//! Members that a caller may not view: null for the script, told where the result has the document.

use serde_json::{Value, json};
use weir_engine::call::Caller;

use super::{App, OWN, admin, user};

/// Secrets are for owners, also where others may read the note; pins are for nobody.
const PRIVATE: &str = r#"
permit(principal, action == Action::"call", resource);
permit(principal is User, action, resource is Note);
forbid(principal, action == Action::"view", resource is Note)
when { context.field == "secret" } unless { principal is User && resource.owner == principal.subject };
forbid(principal, action == Action::"view", resource is Note) when { context.field == "pin" };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_may_not_be_viewed_is_null_and_told() {
    let app = App::open(PRIVATE).await;
    let answer = app.answer(&user("ada"), "all", json!({})).await.unwrap();
    let notes = answer.value.as_array().unwrap().clone();
    let places: Vec<String> = answer.value.hidden().iter().map(|place| serde_json::to_string(place).unwrap()).collect();
    for (index, note) in notes.iter().enumerate() {
        let is_own = note["owner"] == "ada";
        let place = |member: &str| json!([index, member]).to_string();
        assert_eq!(note["pin"], Value::Null);
        assert!(places.contains(&place("pin")));
        assert_eq!(places.contains(&place("secret")), !is_own, "{note}");
        assert!(is_own || note["secret"].is_null());
    }
    assert!(notes.iter().any(|note| note["secret"] == "s1"));
    let all = app.answer(&Caller::Developer, "all", json!({})).await.unwrap();
    assert!(all.value.hidden().is_empty());
    let page = app.answer(&user("ada"), "page", json!({ "first": 1 })).await.unwrap();
    let place = json!(["edges", 0, "node", "pin"]).to_string();
    assert!(page.value.hidden().iter().any(|hidden| serde_json::to_string(hidden).unwrap() == place));
    app.end().await;
}

/// Whether a member is there is as little told as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_has_nothing_to_copy() {
    let app = App::open(PRIVATE).await;
    let bob = user("bob");
    for (function, args) in [("copied", json!({})), ("spread", json!({})), ("keys", json!({})), ("all", json!({}))] {
        let got = app.answer(&bob, function, args).await.unwrap().value.to_string();
        for secret in ["\"s1\"", "\"s5\"", "\"pin\":\"a"] {
            assert!(!got.contains(secret), "{function}: {got}");
        }
    }
    let keys = app.answer(&user("eve"), "keys", json!({})).await.unwrap();
    let keys: Vec<&str> = keys.value.as_array().unwrap().iter().map(|keys| keys.as_str().unwrap()).collect();
    assert!(keys.iter().all(|other| *other == keys[0]), "{keys:?}");
    app.end().await;
}

/// Rows cannot be found, ordered or placed by what may not be viewed in them.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_by_what_may_not_be_viewed() {
    let app = App::open(PRIVATE).await;
    let (ada, bob) = (user("ada"), user("bob"));
    assert_eq!(app.call(&ada, "bySecret", json!({ "secret": "s1" })).await, r#"["a1"]"#);
    assert_eq!(app.call(&bob, "bySecret", json!({ "secret": "s1" })).await, "[]");
    let count = async |caller, function| {
        let answer = app.answer(caller, function, json!({})).await.unwrap().value.value().clone();
        answer.as_array().or(answer["edges"].as_array()).unwrap().len()
    };
    for function in ["secretOrder", "secretPage"] {
        assert_eq!((count(&ada, function).await, count(&bob, function).await), (3, 2), "{function}");
        assert_eq!(count(&Caller::Developer, function).await, 5, "{function}");
    }
    app.end().await;
}

/// Writing back what one was shown changes nothing of what one was not.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_shown_is_not_lost() {
    let app = App::open(PRIVATE).await;
    let a1 = app.id("a1").await;
    for (function, text) in [("saved", "saved"), ("spreadPatch", "patched")] {
        let answer = app.answer(&user("bob"), function, json!({ "id": a1 })).await.unwrap();
        assert_eq!((&answer.value["text"], &answer.value["secret"]), (&json!(text), &Value::Null));
        assert_eq!(answer.value.hidden().len(), 2);
        let stored = app.answer(&Caller::Developer, "one", json!({ "id": a1 })).await.unwrap();
        assert_eq!((&stored.value["secret"], &stored.value["pin"]), (&json!("s1"), &json!("a1")), "{function}");
    }
    app.end().await;
}

/// Where the result is no document, a null that its type does not have is the policy's doing.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_misses_what_may_not_be_viewed_is_forbidden() {
    let app = App::open(&format!(
        "{OWN} forbid(principal, action == Action::\"view\", resource is Note) when {{ context.field == \"text\" }};"
    ))
    .await;
    let error = app.answer(&user("ada"), "texts", json!({})).await.unwrap_err().to_string();
    assert!(
        error.starts_with("FORBIDDEN: texts has no result for this caller, who may not view notes.text"),
        "{error}"
    );
    assert_eq!(app.answer(&user("ada"), "all", json!({})).await.unwrap().value[0]["text"], Value::Null);
    assert!(app.answer(&admin(), "counts", json!({})).await.is_ok());
    app.end().await;
}

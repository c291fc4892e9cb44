//! Ways around policies that lead nowhere, and what is told by design.

use serde_json::json;
use weir_engine::call::Caller;

use super::{App, OWN, user};

/// A taken value of a unique index is told, as everywhere; whose it is, is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_tells_that_a_value_is_taken_and_no_more() {
    let app = App::open(OWN).await;
    let b2 = app.id("b2").await;
    let error = app.call(&user("ada"), "add", json!({ "owner": "ada", "rank": 1, "text": "x", "pin": "b2" })).await;
    assert_eq!(error, "CONFLICT: notes has a document with the same pin already");
    assert!(!error.contains(&b2));
    app.end().await;
}

/// Whoever knows an id can refer to it: that says that there is a document, and nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reference_tells_that_an_id_is_one() {
    let app = App::open(OWN).await;
    let b2 = app.id("b2").await;
    let there = app.answer(&user("ada"), "comment", json!({ "note": b2 })).await;
    assert!(there.is_ok(), "{there:?}");
    let absent = app.call(&user("ada"), "comment", json!({ "note": "nothing" })).await;
    assert!(absent.starts_with("FUNCTION_FAILED"), "{absent}");
    app.end().await;
}

/// A cursor of somebody else opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_others_leads_to_what_is_ones_own() {
    for policies in
        [OWN.to_owned(), OWN.replace("== principal.subject }", "== principal.subject || resource.rank > 100 }")]
    {
        let app = App::open(&policies).await;
        let page = app.answer(&user("bob"), "page", json!({ "first": 1 })).await.unwrap().value.value().clone();
        let cursor = &page["edges"][0]["cursor"];
        let got = app.call(&user("ada"), "page", json!({ "first": 10, "after": cursor })).await;
        assert!(!got.contains("\"b2\"") && !got.contains("\"b4\""), "{got}");
        app.end().await;
    }
}

/// A view sees all documents; a function that has left one without a word has no result.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_inside_of_a_view() {
    let app = App::open(OWN).await;
    let ada = user("ada");
    assert_eq!(app.call(&ada, "withTotal", json!({})).await, "[3,5]");
    assert_eq!(app.call(&ada, "total", json!({})).await, "5");
    assert!(app.call(&ada, "perOwner", json!({})).await.contains("bob"));
    for n in [1, 1_000, 2_000, 4_000, 6_000, 7_000, 8_000, 9_000, 10_000, 20_000, 1_000_000] {
        let got = app.call(&ada, "sly", json!({ "n": n })).await;
        assert!(!got.contains("b2"), "{n}: {got}");
    }
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_no_policy() {
    let app = App::open(OWN).await;
    let error = app
        .answer(&user("ada"), "add", json!({ "owner": "bob", "rank": 1, "text": "x", "pin": "y" }))
        .await
        .unwrap_err();
    assert!(error.stack.iter().all(|frame| frame.file.ends_with(".ts")) && !error.message.contains("own notes"));
    assert!(app.answer(&Caller::Developer, "counts", json!({})).await.is_ok());
    app.end().await;
}

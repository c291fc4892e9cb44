//! Results that are kept and shared, and queries that are watched: never for a caller for whom they would differ.

use std::time::Duration;

use serde_json::json;
use weir_engine::call::{Caller, TokenKind};

use super::{App, OWN, admin, caller, texts, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_result_is_for_those_alone_who_would_get_the_same() {
    let app = App::open(OWN).await;
    let callers = [
        (user("ada"), "[3,3,2]"),
        (user("bob"), "[2,0,1]"),
        (admin(), "[5,3,3]"),
        (Caller::Developer, "[5,3,3]"),
        (Caller::Scheduler, "[5,3,3]"),
        (Caller::Anonymous, "[0,0,0]"),
        // As the scheduler calls itself.
        (caller(TokenKind::Service, "https://issuer.example", "cron", &[]), "[0,0,0]"),
        (caller(TokenKind::Service, "", "cron", &[]), "[0,0,0]"),
        (caller(TokenKind::User, "https://other.example", "ada", &[]), "[3,3,2]"),
        (caller(TokenKind::User, "https://issuer.example", "ada", &["admin"]), "[5,3,3]"),
    ];
    for round in 0..3 {
        for (caller, expected) in &callers {
            assert_eq!(app.call(caller, "counts", json!({})).await, *expected, "{caller:?} in round {round}");
        }
        let reversed: Vec<_> = callers.iter().rev().collect();
        for (caller, expected) in reversed {
            assert_eq!(app.call(caller, "counts", json!({})).await, *expected, "{caller:?} in round {round}");
        }
    }
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_shared_where_policies_look_at_no_more_than_the_kind() {
    let app = App::open("permit(principal, action, resource);").await;
    let asked = async |subject: &str| app.call(&user(subject), "counts", json!({})).await;
    asked("ada").await;
    let before = app.engine.result_counts();
    for subject in ["bob", "eve", "mallory"] {
        assert_eq!(asked(subject).await, "[5,3,3]");
    }
    let after = app.engine.result_counts();
    assert_eq!((after.kept - before.kept, after.run - before.run), (3, 0));
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_calls_without_reading_is_shared_by_all() {
    let app = App::open(OWN).await;
    assert_eq!(app.call(&user("ada"), "total", json!({})).await, "5");
    let before = app.engine.result_counts();
    assert_eq!(app.call(&user("bob"), "total", json!({})).await, "5");
    assert_eq!(app.engine.result_counts().kept - before.kept, 1);
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_query_tells_of_ones_own_alone() {
    let app = App::open(OWN).await;
    let (ada, bob) = (user("ada"), user("bob"));
    let (mut of_ada, mut of_bob) = (app.watch(&ada, "all"), app.watch(&bob, "all"));
    assert_eq!(texts(&of_ada.next().await.unwrap().value).len(), 3);
    assert_eq!(texts(&of_bob.next().await.unwrap().value).len(), 2);
    for (owner, pin) in [("ada", "n1"), ("bob", "n2"), ("ada", "n3")] {
        let args = json!({ "owner": owner, "rank": 1, "text": pin, "pin": pin });
        app.answer(&Caller::Developer, "add", args).await.unwrap();
    }
    let mut seen = Vec::new();
    while !seen.contains(&"n2".to_owned()) {
        let next = tokio::time::timeout(Duration::from_secs(30), of_bob.next()).await.unwrap().unwrap();
        seen.extend(texts(&next.value).into_iter().map(str::to_owned));
    }
    assert!(seen.iter().all(|text| !text.starts_with('a') && text != "n1" && text != "n3"), "{seen:?}");
    // Nothing more comes of what is not his.
    let more = tokio::time::timeout(Duration::from_millis(200), of_bob.next()).await;
    assert!(more.is_err(), "{:?}", more.map(|next| next.map(|next| next.value.to_string())));
    app.end().await;
}

/// A release with other policies decides anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_policies_is_another_release() {
    let mut app = App::open(OWN).await;
    assert_eq!(app.call(&user("ada"), "counts", json!({})).await, "[3,3,2]");
    app.under("permit(principal, action == Action::\"call\", resource);").await;
    assert_eq!(app.call(&user("ada"), "counts", json!({})).await, "[0,0,0]");
    app.under("").await;
    assert_eq!(app.call(&user("ada"), "counts", json!({})).await, "FORBIDDEN: the caller may not call counts");
    app.under("permit(principal, action, resource);").await;
    assert_eq!(app.call(&user("ada"), "counts", json!({})).await, "[5,3,3]");
    app.end().await;
}

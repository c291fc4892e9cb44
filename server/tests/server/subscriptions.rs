//! Watched queries over a socket: values, errors, cursors, releases.

use std::time::Duration;

use serde_json::{Value, json};
use weir::ServerOptions;
use weir_engine::call::Caller;

use crate::app::{App, NOTES, NOTES_CHANGED};

const TODOS: &str = "subscription { todos { text } }";

fn todos(id: &str, texts: &[&str]) -> Value {
    let todos: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
    json!({ "id": id, "type": "next", "payload": { "data": { "todos": todos } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_reaches_the_subscriber() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.subscribe("t", TODOS).await;
    assert_eq!(session.next_json().await, todos("t", &[]));
    app.add("a").await;
    assert_eq!(session.next_json().await, todos("t", &["a"]));
    session.send(json!({ "id": "t", "type": "complete" })).await;
    // What was said before is done when this is answered.
    session.send(json!({ "type": "ping" })).await;
    assert_eq!(session.next_json().await, json!({ "type": "pong" }));
    app.add("b").await;
    assert!(session.is_silent().await, "a complete is not echoed, and nothing follows it");
    session.subscribe("t", TODOS).await;
    assert_eq!(session.next_json().await, todos("t", &["a", "b"]), "the id is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_suppresses_what_the_client_has() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.subscribe("a", TODOS).await;
    let first: Value = serde_json::from_str(&session.next().await).unwrap();
    let weir = &first["payload"]["extensions"]["weir"];
    assert!(weir["commit"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_digit()), "{weir}");
    let after = json!({ "weir": { "after": weir["cursor"] } });
    let subscribe = json!({ "id": "b", "type": "subscribe", "payload": { "query": TODOS, "extensions": after } });
    session.send(subscribe).await;
    assert!(session.is_silent().await);
    app.add("a").await;
    let mut ids = [session.next_json().await["id"].clone(), session.next_json().await["id"].clone()];
    ids.sort_by_key(Value::to_string);
    assert_eq!(ids, ["a", "b"]);
    let bad = json!({ "weir": { "after": 5 } });
    session.send(json!({ "id": "c", "type": "subscribe", "payload": { "query": TODOS, "extensions": bad } })).await;
    assert_eq!(session.next_json().await["type"], "error");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_does_not_end_a_subscription() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.subscribe("p", "subscription { picky(most: 1) }").await;
    assert_eq!(session.next_json().await["payload"]["data"]["picky"], 0);
    app.add("a").await;
    assert_eq!(session.next_json().await["payload"]["data"]["picky"], 1);
    app.add("b").await;
    let failed = session.next_json().await;
    assert_eq!((&failed["type"], &failed["payload"]["data"]), (&json!("next"), &json!({ "picky": null })));
    assert_eq!(failed["payload"]["errors"][0]["path"], json!(["picky"]));
    app.add("c").await;
    assert!(session.is_silent().await, "the same error is not told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_no_commit_can_give_a_value_ends() {
    let options = ServerOptions { tokenless: Caller::Anonymous, subscriptions: 1, ..ServerOptions::default() };
    let app = App::start_with(options).await;
    let policy = "permit(principal, action, resource) unless { context has args && context.args has most };";
    let files = [("functions/notes.ts", NOTES), ("policies.cedar", policy)];
    app.activate_texts("[limits]\nwall_ms = 4999\n", &files).await;
    let mut session = app.session().await;
    // Its place is free again each time.
    for id in ["1", "2", "3"] {
        let told = async {
            loop {
                session.subscribe(id, "subscription { picky(most: 1) }").await;
                let message = session.next_json().await;
                // Until the release is the one with the policy, or the place of the one before is free.
                if message["payload"]["errors"][0]["message"] == "the caller may not call picky" {
                    return message;
                }
                session.send(json!({ "id": id, "type": "complete" })).await;
            }
        };
        let message = tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
        assert_eq!((&message["type"], &message["payload"]["data"]), (&json!("next"), &json!({ "picky": null })));
        assert_eq!(session.next_json().await, json!({ "id": id, "type": "complete" }));
    }
    session.subscribe("4", TODOS).await;
    assert_eq!(session.next_json().await, todos("4", &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_moves_to_the_new_release_if_it_fits() {
    let app = App::start().await;
    app.add("a").await;
    let mut session = app.session().await;
    session.subscribe("t", TODOS).await;
    assert_eq!(session.next_json().await, todos("t", &["a"]));
    session.subscribe("p", "subscription { picky(most: 9) }").await;
    session.next().await;
    app.activate(NOTES_CHANGED).await;
    let ended = session.next_json().await;
    assert_eq!((&ended["id"], &ended["type"]), (&json!("p"), &json!("error")), "{ended}");
    assert!(ended["payload"][0]["message"].as_str().unwrap().contains("schema changed"), "{ended}");
    assert!(session.is_silent().await, "an unchanged value is not sent again");
    app.add("b").await;
    assert_eq!(session.next_json().await, todos("t", &["b", "a"]), "the new release answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_gets_the_newest_value() {
    let app = App::start().await;
    let mut session = app.session().await;
    session.subscribe("t", TODOS).await;
    assert_eq!(session.next_json().await, todos("t", &[]));
    for text in 0..20 {
        app.add(&text.to_string()).await;
    }
    let newest = async {
        loop {
            let seen = session.next_json().await["payload"]["data"]["todos"].as_array().unwrap().len();
            if seen == 20 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), newest).await.unwrap();
    assert!(session.is_silent().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_closed_when_the_server_stops() {
    let mut app = App::start().await;
    let mut session = app.session().await;
    session.subscribe("t", TODOS).await;
    session.next().await;
    app.stop();
    assert_eq!(session.next().await, "close 1001 The server is stopping");
    assert_eq!(session.next().await, "gone");
    tokio::time::timeout(Duration::from_secs(5), app.server).await.unwrap().unwrap().unwrap();
}

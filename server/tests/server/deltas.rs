//! Subscriptions whose values come as JSON Patches.

use std::time::Duration;

use serde_json::{Value, json};
use weir::ServerOptions;
use weir::http::options::SocketOptions;

use crate::app::{App, NOTES_CHANGED, Socket};

const TODOS: &str = "subscription { todos { id text } }";

/// Its elements have no `id`.
const RENAMED: &str = "subscription { all: todos { key: id text } }";

const LARGE: &str = "subscription { large { fill texts } }";

/// What a client of patches has of one subscription.
struct View {
    id: &'static str,
    data: Value,
    commit: u64,
    cursor: Value,
}

/// How a value came.
#[derive(Debug, PartialEq)]
enum Came {
    Whole,
    Patch(usize),
}

impl View {
    async fn open(session: &mut Socket, id: &'static str, query: &str) -> Self {
        subscribe(session, id, query, json!({ "delta": "json-patch" })).await;
        let mut view = Self { id, data: Value::Null, commit: 0, cursor: Value::Null };
        assert_eq!(view.next(session).await, Came::Whole);
        view
    }

    /// Takes the next value, which must be of this subscription.
    async fn next(&mut self, session: &mut Socket) -> Came {
        self.take(&message(session).await)
    }

    fn take(&mut self, message: &Value) -> Came {
        assert_eq!((&message["id"], &message["type"]), (&json!(self.id), &json!("next")), "{message}");
        let payload = message["payload"].as_object().unwrap();
        assert!(!payload.contains_key("errors"), "{message}");
        let weir = &payload["extensions"]["weir"];
        let commit = weir["commit"].as_str().unwrap().parse().unwrap();
        assert!(commit >= self.commit, "{message}");
        (self.commit, self.cursor) = (commit, weir["cursor"].clone());
        assert!(self.cursor.is_string(), "{message}");
        match (payload.get("data"), weir.get("patch")) {
            (Some(data), None) => {
                self.data = data.clone();
                Came::Whole
            }
            (None, Some(Value::Array(operations))) => {
                for operation in operations {
                    apply(&mut self.data, operation);
                }
                Came::Patch(operations.len())
            }
            _ => panic!("either data or a patch: {message}"),
        }
    }

    /// What somebody gets who comes now is what the client has.
    async fn is_current(&self, app: &App, query: &str) {
        let mut session = app.session().await;
        session.subscribe("now", query).await;
        assert_eq!(message(&mut session).await["payload"]["data"], self.data);
    }
}

/// Applies an operation of those that come up here: on members, and on elements of lists.
fn apply(data: &mut Value, operation: &Value) {
    let (parent, last) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
    let parent = data.pointer_mut(parent).unwrap();
    let value = operation.get("value").cloned();
    match (operation["op"].as_str().unwrap(), parent) {
        ("replace", parent) => *parent.pointer_mut(&format!("/{last}")).unwrap() = value.unwrap(),
        ("add", Value::Array(elements)) => elements.insert(last.parse().unwrap(), value.unwrap()),
        ("remove", Value::Array(elements)) => drop(elements.remove(last.parse().unwrap())),
        ("move", _) => {
            let (from, place) = operation["from"].as_str().unwrap().rsplit_once('/').unwrap();
            let moved = data.pointer_mut(from).unwrap().as_array_mut().unwrap().remove(place.parse().unwrap());
            let (to, place) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
            data.pointer_mut(to).unwrap().as_array_mut().unwrap().insert(place.parse().unwrap(), moved);
        }
        _ => panic!("{operation}"),
    }
}

async fn subscribe(session: &mut Socket, id: &str, query: &str, weir: Value) {
    let payload = json!({ "query": query, "extensions": { "weir": weir } });
    session.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
}

async fn message(session: &mut Socket) -> Value {
    let text = session.next().await;
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
}

/// An app with some to-dos, so that a patch is shorter than all of them.
async fn start() -> App {
    let app = App::start().await;
    for text in ["a", "b", "c"] {
        app.add(text).await;
    }
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_is_sent_after_the_first_value() {
    let app = start().await;
    let (mut session, mut other) = (app.session().await, app.session().await);
    let mut view = View::open(&mut session, "v", TODOS).await;
    let mut same = View::open(&mut other, "s", TODOS).await;
    let mut renamed = View::open(&mut other, "r", RENAMED).await;
    other.subscribe("whole", TODOS).await;
    assert_eq!(message(&mut other).await["payload"]["data"], view.data);
    for text in ["d", "e"] {
        app.add(text).await;
        assert_eq!(view.next(&mut session).await, Came::Patch(1));
        for _ in 0..3 {
            let message = message(&mut other).await;
            match message["id"].as_str().unwrap() {
                "s" => assert_eq!(same.take(&message), Came::Patch(1)),
                "r" => assert_eq!(renamed.take(&message), Came::Patch(1)),
                _ => assert_eq!(message["payload"]["data"], view.data),
            }
        }
        assert_eq!(same.data, view.data);
    }
    view.is_current(&app, TODOS).await;
    renamed.is_current(&app, RENAMED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_selection_leaves_out_is_an_empty_patch() {
    let app = start().await;
    app.activate(LIVE).await;
    let mut session = app.session().await;
    let mut view = View::open(&mut session, "v", "subscription { summary { title } }").await;
    app.add("d").await;
    assert_eq!(view.next(&mut session).await, Came::Patch(0));
}

/// A query whose value changes where nobody looks, and one that is large.
const LIVE: &str = r#"
import { collection, procedure, query, type ID, type Int } from "weir";
export interface Note { text: string; kind: "plain" | "to-do" }
export const notes = collection<Note>({ index: ["kind"] });
export const add = procedure((args: { text: string; kind: "plain" | "to-do" }): ID => notes.insert(args).id);
export const summary = query((): { title: string; count: Int } => ({
  title: "a title of some length",
  count: notes.where("kind", "to-do").count(),
}));
export const large = query((): { fill: string; texts: string[] } => ({
  fill: "x".repeat(1_000_000),
  texts: notes.where("kind", "to-do").all().map((note) => note.text),
}));
"#;

#[tokio::test(flavor = "multi_thread")]
async fn values_that_were_never_sent_are_no_base() {
    let app = start().await;
    app.activate(LIVE).await;
    let mut session = app.session().await;
    // Larger than what is compared in place.
    let mut view = View::open(&mut session, "v", LARGE).await;
    for round in 0..5 {
        for text in 0..10 {
            app.add(&format!("{round} {text}")).await;
        }
        let whole = 3 + 10 * (round + 1);
        // Some come, some are overtaken by others: each patch must fit what came before it.
        while view.data["large"]["texts"].as_array().unwrap().len() < whole {
            assert_ne!(view.next(&mut session).await, Came::Whole);
        }
        view.is_current(&app, LARGE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_overtaken_in_the_outbox_are_no_base() {
    let app = start().await;
    app.activate(LIVE).await;
    let mut session = app.session().await;
    // Many large values that the client does not read fill all buffers, so that those of `v` wait and are overtaken.
    let mut view = View::open(&mut session, "v", LARGE).await;
    for id in 0..40 {
        session.subscribe(&format!("fill {id}"), "subscription { large { texts fill } }").await;
    }
    for text in 0..20 {
        app.add(&text.to_string()).await;
    }
    let newest = async {
        while view.data["large"]["texts"].as_array().unwrap().len() < 23 {
            let message = message(&mut session).await;
            if message["id"] == "v" {
                assert_ne!(view.take(&message), Came::Whole);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), newest).await.unwrap();
    view.is_current(&app, LARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_after_an_error_is_whole() {
    let app = start().await;
    app.activate(
        r#"
        import { collection, fail, procedure, query, type Doc, type ID } from "weir";
        export interface Note { text: string; kind: "plain" | "to-do" }
        export const notes = collection<Note>({ index: ["kind"] });
        export const add = procedure((args: { text: string; kind: "plain" | "to-do" }): ID => notes.insert(args).id);
        export const todos = query((): Doc<Note>[] => {
          const found = notes.where("kind", "to-do").all();
          if (found.length === 5) fail("FIVE", "not five");
          return found;
        });
        "#,
    )
    .await;
    let mut session = app.session().await;
    let mut view = View::open(&mut session, "v", TODOS).await;
    app.add("d").await;
    assert_eq!(view.next(&mut session).await, Came::Patch(1));
    app.add("e").await;
    let failed = message(&mut session).await;
    assert_eq!(failed["payload"]["data"], json!({ "todos": null }));
    assert_eq!(failed["payload"]["errors"][0]["extensions"]["appCode"], "FIVE");
    app.add("f").await;
    assert_eq!(view.next(&mut session).await, Came::Whole);
    app.add("g").await;
    assert_eq!(view.next(&mut session).await, Came::Patch(1));
    view.is_current(&app, TODOS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_value_of_another_release_is_whole() {
    let app = start().await;
    let mut session = app.session().await;
    let mut view = View::open(&mut session, "v", TODOS).await;
    app.activate(NOTES_CHANGED).await;
    assert_eq!(view.next(&mut session).await, Came::Whole);
    view.is_current(&app, TODOS).await;
    app.add("d").await;
    assert_eq!(view.next(&mut session).await, Came::Patch(1));
    view.is_current(&app, TODOS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_resumes_gets_nothing_or_a_whole_value() {
    let app = start().await;
    let mut session = app.session().await;
    let mut view = View::open(&mut session, "v", TODOS).await;
    session.send(json!({ "id": "v", "type": "complete" })).await;
    subscribe(&mut session, "v", TODOS, json!({ "delta": "json-patch", "after": view.cursor })).await;
    // Answered behind the subscription.
    session.subscribe("marker", "{ picky(most: 9) }").await;
    assert_eq!(message(&mut session).await["id"], "marker");
    assert_eq!(message(&mut session).await["type"], "complete");
    app.add("d").await;
    assert_eq!(view.next(&mut session).await, Came::Whole);
    app.add("e").await;
    assert_eq!(view.next(&mut session).await, Came::Patch(1));
    view.is_current(&app, TODOS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shorter_whole_is_sent_whole() {
    let app = start().await;
    let mut session = app.session().await;
    let mut view = View::open(&mut session, "v", "subscription { picky(most: 99) }").await;
    app.add("d").await;
    assert_eq!(view.next(&mut session).await, Came::Whole);
    assert_eq!(view.data, json!({ "picky": 4 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_delta_is_refused() {
    let app = start().await;
    let mut session = app.session().await;
    for delta in [json!("json"), json!(true), json!(["json-patch"])] {
        subscribe(&mut session, "x", TODOS, json!({ "delta": delta })).await;
        let refused = message(&mut session).await;
        assert_eq!(refused["type"], "error", "{refused}");
        assert_eq!(refused["payload"][0]["extensions"]["code"], "BAD_REQUEST");
        assert!(refused["payload"][0]["message"].as_str().unwrap().contains("\"json-patch\""), "{refused}");
    }
    subscribe(&mut session, "x", TODOS, json!({ "delta": null })).await;
    assert!(message(&mut session).await["payload"]["data"].is_object());
    app.add("d").await;
    assert!(message(&mut session).await["payload"]["data"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_nothing_is_dropped() {
    let socket = SocketOptions { stalled_timeout: Duration::from_millis(200), ..SocketOptions::default() };
    let app = App::start_with(ServerOptions { socket, sockets: 2, ..ServerOptions::default() }).await;
    app.activate(LIVE).await;
    let (mut stuck, mut other) = (app.session().await, app.session().await);
    other.subscribe("t", "subscription { summary { count } }").await;
    assert_eq!(message(&mut other).await["payload"]["data"]["summary"]["count"], 0);
    // More than the buffers of both sides can hold.
    for id in 0..60 {
        stuck.subscribe(&id.to_string(), "subscription { large { fill } }").await;
    }
    // Its place is free again, long before a ping would have told that it is silent.
    let freed = async {
        while !app.has_room().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed).await.expect("the stuck client is dropped");
    app.add("a").await;
    assert_eq!(message(&mut other).await["payload"]["data"]["summary"]["count"], 1, "others are as before");
    let mut read = 0;
    while stuck.next().await != "gone" {
        read += 1;
    }
    assert!(read < 60, "{read} messages were taken before the end");
}

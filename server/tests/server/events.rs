//! Server-sent events: how they are framed, what they carry, and who ends them.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::{Request, Response, header};
use expect_test::expect;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;
use weir::http::options::EventOptions;
use weir::{Server, ServerOptions};
use weir_engine::Engine;
use weir_engine::call::Caller;
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

use crate::app::{App, NOTES_CHANGED};

const TODOS: &str = "subscription { todos { text } }";

/// What has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The events of one answer. Nothing is read before it is asked for.
struct Events {
    body: BodyDataStream,
    text: String,
}

/// One event.
#[derive(Debug, PartialEq)]
struct Event {
    event: String,
    id: Option<String>,
    data: Value,
}

impl Events {
    fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// What comes up to the next empty line; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let Some(piece) = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("nothing comes") else {
                assert_eq!(self.text, "", "the last event is whole");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
    }

    /// The next event that is no comment; `None` at the end.
    async fn event(&mut self) -> Option<Event> {
        let block = loop {
            let block = self.block().await?;
            if block != ":" {
                break block;
            }
        };
        let mut event = Event { event: String::new(), id: None, data: Value::Null };
        for line in block.lines() {
            match line.split_once(':').unwrap() {
                ("event", name) => event.event = name.trim().into(),
                ("id", id) => event.id = Some(id.trim().into()),
                ("data", "") => {}
                ("data", data) => event.data = serde_json::from_str(data).unwrap(),
                _ => panic!("{line}"),
            }
        }
        Some(event)
    }

    /// The next event, which is a result.
    async fn next(&mut self) -> Event {
        let event = self.event().await.expect("a result");
        assert_eq!(event.event, "next", "{event:?}");
        event
    }

    /// The next value of [`TODOS`].
    async fn todos(&mut self) -> Vec<String> {
        let data = self.next().await.data;
        let todos = data["data"]["todos"].as_array().unwrap_or_else(|| panic!("{data}"));
        todos.iter().map(|todo| todo["text"].as_str().unwrap().to_owned()).collect()
    }

    async fn is_complete(&mut self) {
        let complete = Event { event: "complete".into(), id: None, data: Value::Null };
        assert_eq!(self.event().await, Some(complete));
        assert_eq!(self.event().await, None);
    }
}

fn post(body: &Value, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    request = request.header(header::ACCEPT, "text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_string())).unwrap()
}

fn get(query: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut request = Request::get(format!("/graphql?query={escaped}")).header(header::ACCEPT, "text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

async fn subscribe(app: &App, query: &str, weir: Value) -> Events {
    Events::of(app.send(post(&json!({ "query": query, "extensions": { "weir": weir } }), &[])).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_framed_as_the_standard_says() {
    let app = App::start().await;
    let mut shown = String::new();
    for query in ["{ todos { id } }", "{ picky(most: -1) }", "{ nope }", "query($m: Int!) { picky(most: $m) }", "{"] {
        let response = app.send(post(&json!({ "query": query }), &[])).await;
        shown.push_str(&format!("{} {:?}\n", response.status(), response.headers()[header::CONTENT_TYPE]));
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        shown.push_str(std::str::from_utf8(&body).unwrap());
    }
    expect![[r#"
        200 OK "text/event-stream; charset=utf-8"
        :

        event: next
        data: {"data":{"todos":[]}}

        event: complete
        data:

        200 OK "text/event-stream; charset=utf-8"
        :

        event: next
        id:
        data: {"errors":[{"message":"too many to-dos","locations":[{"line":1,"column":3}],"path":["picky"],"extensions":{"code":"FUNCTION_FAILED","appCode":"TOO_MANY","stack":["functions/notes.ts:8:26"]}}],"data":{"picky":null}}

        event: complete
        data:

        200 OK "text/event-stream; charset=utf-8"
        event: next
        id:
        data: {"errors":[{"message":"Unknown field \"nope\" on type \"Query\".","locations":[{"line":1,"column":3}],"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}

        event: complete
        data:

        200 OK "text/event-stream; charset=utf-8"
        :

        event: next
        id:
        data: {"errors":[{"message":"$m: no value given; expected Int!","locations":[{"line":1,"column":7}],"extensions":{"code":"BAD_ARGUMENTS"}}]}

        event: complete
        data:

        200 OK "text/event-stream; charset=utf-8"
        event: next
        id:
        data: {"errors":[{"message":"Syntax error: expected a field, a fragment or `}`, found the end of the document","locations":[{"line":1,"column":2}],"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}

        event: complete
        data:

    "#]].assert_eq(&shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_answered_with_a_status() {
    let app = App::start().await;
    let add = r#"mutation { add(text: "a", kind: to_do) }"#;
    let status = async |request| app.send(request).await.status().as_u16();
    assert_eq!(status(post(&json!({}), &[])).await, 400);
    assert_eq!(status(post(&json!([]), &[])).await, 400);
    assert_eq!(status(post(&json!({ "query": add }), &[("idempotency-key", "")])).await, 400);
    let refused = app.send(get(add, &[])).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()[header::ALLOW]), (405, &"POST".parse().unwrap()));
    assert_eq!(refused.headers()[header::CONTENT_TYPE], "application/json; charset=utf-8");
    let text = Request::post("/graphql").header(header::ACCEPT, "text/event-stream").body(Body::from("{}")).unwrap();
    assert_eq!(status(text).await, 415);
    let mut todos = Events::of(app.send(get("{ todos { text } }", &[])).await);
    assert_eq!(todos.todos().await, Vec::<String>::new(), "no mutation has run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_runs_once_for_each_key() {
    let app = App::start().await;
    let add = json!({ "query": r#"mutation { add(text: "a", kind: to_do) }"# });
    let mut ids = Vec::new();
    for key in ["k-1", "\"k-1\"", "k-2"] {
        let mut events = Events::of(app.send(post(&add, &[("idempotency-key", key)])).await);
        let result = events.next().await;
        assert!(result.data["extensions"]["weir"]["commit"].is_string(), "{result:?}");
        ids.push(result.data["data"]["add"].clone());
        events.is_complete().await;
    }
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    let mut both = add.clone();
    both["extensions"] = json!({ "weir": { "idempotencyKey": "another" } });
    assert_eq!(app.send(post(&both, &[("idempotency-key", "k-1")])).await.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_reaches_the_subscriber_by_post_and_by_get() {
    let app = App::start().await;
    let mut posted = subscribe(&app, TODOS, json!({})).await;
    let mut got = Events::of(app.send(get(TODOS, &[])).await);
    assert_eq!(posted.block().await.as_deref(), Some(":"), "something comes at once");
    assert_eq!(posted.todos().await, Vec::<String>::new());
    assert_eq!(got.todos().await, Vec::<String>::new());
    app.add("a").await;
    assert_eq!(posted.todos().await, ["a"]);
    assert_eq!(got.todos().await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_answered_with_events_also_if_others_are_liked_better() {
    let app = App::start().await;
    let accept = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed";
    let mut request = post(&json!({ "query": TODOS }), &[]);
    request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
    assert_eq!(Events::of(app.send(request).await).todos().await, Vec::<String>::new());
    let mut request = post(&json!({ "query": "{ todos { text } }" }), &[]);
    request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
    let response = app.send(request).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/graphql-response+json; charset=utf-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_resumes_with_its_cursor_or_the_id_of_its_last_event() {
    let app = App::start().await;
    let first = subscribe(&app, TODOS, json!({})).await.next().await;
    let cursor = first.data["extensions"]["weir"]["cursor"].as_str().unwrap().to_owned();
    assert_eq!(first.id.as_ref(), Some(&cursor));
    let stale = json!({ "query": TODOS, "extensions": { "weir": { "after": "1.00" } } });
    let resumed = [
        post(&json!({ "query": TODOS, "extensions": { "weir": { "after": cursor } } }), &[]),
        get(TODOS, &[("last-event-id", &cursor)]),
        post(&stale, &[("last-event-id", &cursor)]),
    ];
    let mut streams = Vec::new();
    for request in resumed {
        streams.push(Events::of(app.send(request).await));
    }
    // Where no cursor is known the value comes.
    let mut unknown = Events::of(app.send(get(TODOS, &[("last-event-id", "nothing")])).await);
    assert_eq!(unknown.todos().await, Vec::<String>::new());
    app.add("a").await;
    for events in &mut streams {
        assert_eq!(events.todos().await, ["a"], "what the client has did not come before");
    }
    let after = subscribe(&app, TODOS, json!({ "after": 5 })).await.next().await;
    assert_eq!(after.data["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_does_not_end_a_subscription_and_takes_the_id_back() {
    let app = App::start().await;
    let mut events = subscribe(&app, "subscription { picky(most: 0) }", json!({})).await;
    let value = events.next().await;
    assert_eq!(value.data["data"]["picky"], 0);
    assert!(value.id.is_some_and(|id| !id.is_empty()));
    app.add("a").await;
    let failed = events.next().await;
    assert_eq!((&failed.data["data"], failed.id.as_deref()), (&json!({ "picky": null }), Some("")), "{failed:?}");
    assert_eq!(failed.data["errors"][0]["extensions"]["appCode"], "TOO_MANY");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_as_patches_where_they_are_asked_for() {
    let app = App::start().await;
    for text in ["a", "b", "c"] {
        app.add(text).await;
    }
    let mut events = subscribe(&app, "subscription { todos { id text } }", json!({ "delta": "json-patch" })).await;
    let first = events.next().await;
    assert_eq!(first.data["data"]["todos"].as_array().unwrap().len(), 3);
    app.add("d").await;
    let second = events.next().await;
    let weir = &second.data["extensions"]["weir"];
    assert_eq!(
        (&weir["patch"][0]["op"], &weir["patch"][0]["value"]["text"]),
        (&json!("add"), &json!("d")),
        "{second:?}"
    );
    assert_eq!(weir["cursor"].as_str(), second.id.as_deref());
    assert!(second.data.get("data").is_none(), "{second:?}");
    let refused = subscribe(&app, TODOS, json!({ "delta": "json" })).await.next().await;
    assert_eq!(refused.data["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_moves_to_the_new_release_if_it_fits() {
    let app = App::start().await;
    app.add("a").await;
    let mut todos = subscribe(&app, TODOS, json!({})).await;
    assert_eq!(todos.todos().await, ["a"]);
    let mut picky = subscribe(&app, "subscription { picky(most: 9) }", json!({})).await;
    picky.next().await;
    app.activate(NOTES_CHANGED).await;
    let ended = picky.next().await;
    assert!(ended.data["errors"][0]["message"].as_str().unwrap().contains("schema changed"), "{ended:?}");
    picky.is_complete().await;
    app.add("b").await;
    // The release that was before may have answered once more.
    let next = todos.todos().await;
    let next = if next == ["a", "b"] { todos.todos().await } else { next };
    assert_eq!(next, ["b", "a"], "the new release answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_gets_the_newest_value() {
    let app = App::start().await;
    let mut events = subscribe(&app, TODOS, json!({})).await;
    assert_eq!(events.todos().await, Vec::<String>::new());
    for text in 0..20 {
        app.add(&text.to_string()).await;
    }
    let mut seen = 0;
    while events.todos().await.len() < 20 {
        seen += 1;
    }
    assert!(seen < 19, "{seen} values were kept for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_tells_that_the_connection_lives() {
    let events = EventOptions { keep_alive_interval: Duration::from_millis(20), ..EventOptions::default() };
    let app = App::start_with(ServerOptions { events, ..ServerOptions::default() }).await;
    let mut events = subscribe(&app, TODOS, json!({})).await;
    events.next().await;
    for _ in 0..3 {
        assert_eq!(events.block().await.as_deref(), Some(":"));
    }
    app.add("a").await;
    assert_eq!(events.todos().await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_counted_and_end_with_their_clients() {
    let app = App::start_with(ServerOptions { subscriptions: 1, ..ServerOptions::default() }).await;
    let mut first = subscribe(&app, TODOS, json!({})).await;
    first.next().await;
    let mut second = subscribe(&app, TODOS, json!({})).await;
    let refused = second.next().await;
    assert_eq!(refused.data["errors"][0]["extensions"]["limit"], "subscriptions", "{refused:?}");
    second.is_complete().await;
    drop(first);
    let freed = async {
        while subscribe(&app, TODOS, json!({})).await.next().await.data.get("errors").is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the place of the one that has gone is free");
}

const STREAMS: &str = r#"
import { fail, query, stream, type Int } from "weir";
export const one = query((): Int => 1);
export const count = stream(async function* (args: { to?: Int; fails?: Int }): AsyncGenerator<{ n: Int }> {
  for (let n = 0; n < (args.to ?? Infinity); n++) {
    if (n === args.fails) fail("ENOUGH", "no further");
    yield { n };
  }
});
export const large = stream(async function* (): AsyncGenerator<string> {
  for (;;) yield "x".repeat(1_000_000);
});
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_its_events_and_completes() {
    let app = App::start().await;
    app.activate(STREAMS).await;
    let mut events = subscribe(&app, "subscription { count(to: 100) { n } }", json!({})).await;
    for n in 0..100 {
        let event = events.next().await;
        assert_eq!((&event.data["data"]["count"]["n"], event.id), (&json!(n), None));
    }
    events.is_complete().await;
    let mut events = subscribe(&app, "subscription { count(fails: 1) { n } }", json!({})).await;
    assert_eq!(events.next().await.data["data"]["count"]["n"], 0);
    assert_eq!(events.next().await.data["errors"][0]["extensions"]["appCode"], "ENOUGH");
    events.is_complete().await;

    let mut events = subscribe(&app, "subscription { count { n } }", json!({})).await;
    events.next().await;
    drop(events);
    let over = async {
        loop {
            // Half of them, as for any caller.
            let taken: Vec<_> = std::iter::from_fn(|| app.engine.stream_place(&Caller::Developer).ok()).collect();
            if taken.len() == 16 {
                return;
            }
            drop(taken);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("the stream of the one that has gone is over");
}

/// Sends a request over a connection of its own.
async fn connect(app: &App, query: &str) -> TcpStream {
    let body = json!({ "query": query }).to_string();
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: weir\r\ncontent-type: application/json\r\naccept: text/event-stream\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_nothing_is_dropped() {
    let events = EventOptions { stalled_timeout: Duration::from_secs(1), ..EventOptions::default() };
    let app = App::start_with(ServerOptions { events, subscriptions: 1, ..ServerOptions::default() }).await;
    app.activate(STREAMS).await;
    // More than all buffers on the way can hold.
    let mut stuck = connect(&app, "subscription { large }").await;
    let mut head = Vec::new();
    // It has its place when its first event comes.
    while !head.windows(11).any(|text| text == b"event: next") {
        let byte = tokio::time::timeout(PATIENCE, stuck.read_u8()).await.unwrap().unwrap();
        head.push(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 200 OK"));
    let freed = async {
        loop {
            // `None`: it was not read in time either, on a busy machine.
            let event = subscribe(&app, "subscription { one }", json!({})).await.event().await;
            if event.is_some_and(|event| event.data.get("errors").is_none()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the stuck client is dropped");
    let mut rest = Vec::new();
    // It is broken off: an end without the last chunk, or a reset.
    let _ = tokio::time::timeout(PATIENCE, stuck.read_to_end(&mut rest)).await.expect("the end of the connection");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it was sent to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_comes_before_the_first_release_comes_again() {
    weir_sandbox::isolate::prepare_v8();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let store = tokio::task::spawn_blocking(move || Store::open(&path, Options::default())).await.unwrap().unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    let router = Server::start(engine, ServerOptions::default()).router();
    let mut events = Events::of(router.clone().oneshot(get(TODOS, &[])).await.unwrap());
    assert_eq!(events.event().await, None);
    let refused = router.oneshot(post(&json!({ "query": TODOS }), &[])).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()[header::RETRY_AFTER]), (503, &"1".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_end_when_the_server_stops() {
    let mut app = App::start().await;
    let mut stream = connect(&app, TODOS).await;
    let mut text = String::new();
    while !text.contains("todos") {
        let mut piece = [0; 1024];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "{text}");
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    app.stop();
    let mut rest = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with("0\r\n\r\n") && !rest.contains("complete"), "it is to come again: {rest:?}");
    tokio::time::timeout(PATIENCE, app.server).await.unwrap().unwrap().unwrap();
}

//! Limits as clients meet them, by a clock that stands still; and one flood by that of the system.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir::ServerOptions;
use weir::config::RateSection;
use weir::rate::clock::Clock;
use weir_engine::call::Caller;
use weir_sandbox::pool::PoolOptions;

use crate::app::App;
use crate::wire::{Answer, Wire};

pub const QUERY: &str = "/graphql?query=%7B__typename%7D";

/// Notes with an endpoint, so that its schema is none of those that were served before.
const MODULE: &str = r#"
import { action, collection, http, procedure, query, type Doc, type HttpResponse, type ID, type Int } from "weir";
export interface Note { text: string }
export const notes = collection<Note>({});
export const all = query((): Doc<Note>[] => notes.all());
export const count = query((): Int => notes.count());
export const add = procedure((args: { text: string }): ID => notes.insert(args).id);
export const hook = http.get("/hook", action(async (): Promise<HttpResponse> => ({ body: "called" })));
"#;

/// A server with these limits, its clock standing still.
pub async fn start(rate: &str, options: ServerOptions) -> (App, Clock) {
    let rate: RateSection = toml::from_str(rate).unwrap();
    let clock = Clock::paused();
    let options = ServerOptions { rate, ..options };
    (App::start_by(clock.clone(), None, PoolOptions::default(), options).await, clock)
}

/// The same without the operator's limits, where the app has some.
async fn start_app(limits: &str) -> (App, Clock) {
    let (app, clock) = start("enabled = false", ServerOptions::default()).await;
    app.activate_with(limits, MODULE).await;
    (app, clock)
}

async fn get(wire: &mut Wire, path: &str, headers: &str) -> Answer {
    wire.get(path, headers).await;
    wire.answer().await.unwrap()
}

async fn post(wire: &mut Wire, content_type: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    wire.send(&format!(
        "POST /graphql HTTP/1.1\r\nHost: weir.test\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    ))
    .await;
    wire.answer().await.unwrap()
}

async fn ask(wire: &mut Wire, query: &str, headers: &str) -> (u16, Value, Answer) {
    let answer = post(wire, "application/json", headers, &json!({ "query": query }).to_string()).await;
    let body = serde_json::from_slice(&answer.body).unwrap();
    (answer.status, body, answer)
}

fn refused(body: &Value) -> (&str, Option<u64>) {
    let extensions = &body["errors"][0]["extensions"];
    (extensions["code"].as_str().unwrap_or_default(), extensions["retryAfterMs"].as_u64())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let (app, clock) = start("[address]\nrequests = \"1/s burst 3\"", ServerOptions::default()).await;
    let mut wire = Wire::to(app.address).await;
    for left in ["2", "1", "0"] {
        let answer = get(&mut wire, QUERY, "").await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, left));
    }
    let answer = get(&mut wire, QUERY, "Origin: http://localhost:3000\r\n").await;
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, refused(&body)), (429, ("RATE_LIMITED", Some(1_000))));
    let told =
        ["retry-after", "ratelimit-policy", "ratelimit", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    assert_eq!(
        told.map(|name| answer.header(name)),
        ["1", "\"address_requests\";q=3;w=3", "\"address_requests\";r=0;t=3", "3", "0", "3"]
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.header("x-request-id").is_empty());
    // Another path is asked from the same address; who looks after the server is answered.
    assert_eq!(get(&mut wire, "/schema.graphql", "").await.status, 429);
    assert_eq!(get(&mut wire, "/hook", "").await.status, 429);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&mut wire, path, "").await.status, 200);
    }
    // Another connection is the same address; another address is not.
    assert_eq!(get(&mut Wire::to(app.address).await, QUERY, "").await.status, 429);
    assert_eq!(get(&mut Wire::from("127.0.0.2", app.address).await, QUERY, "").await.status, 200);
    clock.advance(Duration::from_millis(999));
    assert_eq!(get(&mut wire, QUERY, "").await.status, 429);
    clock.advance(Duration::from_millis(1));
    assert_eq!(get(&mut wire, QUERY, "").await.status, 200);
    clock.advance(Duration::from_secs(10));
    let metrics = get(&mut wire, "/metrics", "").await.text();
    assert!(metrics.contains("\nweir_rate_refused_total{limit=\"address_requests\"} 5\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_may_call_may_read_that_it_called_too_often() {
    let (app, _) = start("[address]\nrequests = \"1/m\"", ServerOptions::default()).await;
    let mut wire = Wire::to(app.address).await;
    assert_eq!(get(&mut wire, QUERY, "").await.status, 200);
    let local = format!("http://localhost:{}", app.address.port());
    for (origin, allowed) in [(local.as_str(), true), ("https://evil.example", false)] {
        let answer = get(&mut wire, QUERY, &format!("Origin: {origin}\r\n")).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("access-control-allow-origin"), if allowed { origin } else { "" });
        for field in ["retry-after", "ratelimit", "ratelimit-reset"] {
            assert_eq!(answer.headers("access-control-expose-headers").contains(&field), allowed, "{origin}: {field}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_called_so_often_by_whatever_way() {
    let (app, clock) = start_app("[rate.functions]\nadd = \"1/m burst 2\"\n").await;
    let mut wire = Wire::to(app.address).await;
    let add = r#"mutation { add(text: "a") }"#;
    let ways = [
        add,
        r#"mutation { other: add(text: "a") }"#,
        r#"mutation { invoke(function: "add", args: { text: "a" }) }"#,
        r#"mutation { batch(calls: [{ function: "add", args: { text: "a" } }]) { value } }"#,
        r#"mutation($c: [CallInput!]! = [{ function: "add", args: { text: "a" } }]) { batch(calls: $c) { value } }"#,
    ];
    for (place, way) in ways.into_iter().enumerate() {
        let (status, body, answer) = ask(&mut wire, way, "").await;
        assert_eq!((status, &body["errors"]), (200, &Value::Null), "{way}: {body}");
        let left = answer.header("ratelimit").to_owned();
        // A minute passes for each, and the burst is there from the beginning.
        assert_eq!(left, format!("\"app_function\";r={};t={}", 1, 60), "{place}");
        clock.advance(Duration::from_secs(60));
    }
    // Two at once are two.
    let twice = r#"mutation { a: add(text: "a") b: add(text: "b") }"#;
    assert_eq!(ask(&mut wire, twice, "").await.0, 200);
    let before = ask(&mut wire, "{ count }", "").await.1["data"]["count"].clone();
    for way in ways {
        let (status, body, answer) = ask(&mut wire, way, "").await;
        assert_eq!(
            (status, refused(&body), &body["data"]),
            (429, ("RATE_LIMITED", Some(60_000)), &Value::Null),
            "{way}"
        );
        assert_eq!(answer.header("retry-after"), "60");
    }
    // Half of an operation does not run, and what is never allowed is another error.
    let mixed = r#"mutation { a: invoke(function: "add", args: { text: "a" }) b: add(text: "b") c: add(text: "c") }"#;
    let (status, body, _) = ask(&mut wire, mixed, "").await;
    assert_eq!((status, refused(&body)), (200, ("LIMIT_EXCEEDED", None)), "{body}");
    assert_eq!(body["errors"][0]["extensions"]["limit"], "rate");
    assert_eq!(ask(&mut wire, "{ count }", "").await.1["data"]["count"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_being_too_often_is_no_outcome_of_its_key() {
    let (app, clock) = start_app("[rate.functions]\nadd = \"1/m\"\n").await;
    let mut wire = Wire::to(app.address).await;
    let (add, key) = (r#"mutation { add(text: "a") }"#, "Idempotency-Key: order-1\r\n");
    assert_eq!(ask(&mut wire, add, "").await.0, 200);
    assert_eq!(ask(&mut wire, add, key).await.0, 429);
    clock.advance(Duration::from_secs(60));
    let (status, first, _) = ask(&mut wire, add, key).await;
    assert_eq!((status, first["data"]["add"].is_string()), (200, true), "{first}");
    clock.advance(Duration::from_secs(60));
    let (status, again, _) = ask(&mut wire, add, key).await;
    assert_eq!((status, &again["data"]), (200, &first["data"]));
    assert_eq!(ask(&mut wire, "{ count }", "").await.1["data"]["count"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_and_what_they_cost_are_counted() {
    let (app, clock) = start_app("[rate]\nrequests = \"1/s burst 4\"\ncost = \"10/s burst 100\"\n").await;
    let mut wire = Wire::to(app.address).await;
    let many: String = (0..40).map(|place| format!("c{place}: count ")).collect();
    assert_eq!(ask(&mut wire, &format!("{{ {many} }}"), "").await.0, 200);
    let (status, body, _) = ask(&mut wire, &format!("{{ {many} }}"), "").await;
    assert_eq!((status, refused(&body)), (429, ("RATE_LIMITED", Some(6_000))));
    assert_eq!([ask(&mut wire, "{ count }", "").await.0, ask(&mut wire, "{ count }", "").await.0], [200, 200]);
    let (status, body, _) = ask(&mut wire, "{ count }", "").await;
    assert_eq!((status, refused(&body)), (429, ("RATE_LIMITED", Some(1_000))));
    // As events, line by line, and by an endpoint it is the same count.
    let event = "Accept: text/event-stream\r\n";
    let answer = post(&mut wire, "application/json", event, r#"{"query":"{ count }"}"#).await;
    assert!(answer.text().contains("\"code\":\"RATE_LIMITED\""), "{}", answer.text());
    let lines = "Accept: application/jsonl\r\n";
    let answer = post(&mut wire, "application/json", lines, r#"{"query":"{ all { id } }"}"#).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"), "{}", answer.text());
    let answer = get(&mut wire, "/hook", "").await;
    assert_eq!(
        (answer.status, answer.header("retry-after"), answer.text().as_str()),
        (429, "1", "too many requests\n")
    );
    clock.advance(Duration::from_secs(60));
    assert_eq!(get(&mut wire, "/hook", "").await.text(), "called");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_an_upload_is_a_call() {
    let (app, _) = start_app("[rate.functions]\nadd = \"1/m burst 2\"\n").await;
    let mut wire = Wire::to(app.address).await;
    let line = "{\"function\":\"add\",\"args\":{\"text\":\"a\"}}\n";
    let answer = post(&mut wire, "application/jsonl", "", &line.repeat(4)).await.text();
    let codes: Vec<Value> =
        answer.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["error"]["code"].clone()).collect();
    assert_eq!(json!(codes), json!([null, null, "RATE_LIMITED", "RATE_LIMITED"]), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_how_often_what_it_allows_is_called() {
    let options = ServerOptions { tokenless: Caller::Anonymous, ..ServerOptions::default() };
    let (app, clock) = start("enabled = false", options).await;
    let policies = r#"
@id("short ones")
@rate("1/m burst 2")
permit(principal, action == Action::"call", resource == Function::"add") when { context.args.text == "a" };
@id("all else that is added")
permit(principal, action == Action::"call", resource == Function::"add") when { context.args.text != "a" };
@id("reading and hooks")
@rate("1/s burst 3")
permit(principal, action == Action::"call", resource) when { ["query", "endpoint"].contains(resource.kind) };
permit(principal, action, resource is Note);
"#;
    app.activate_texts("", &[("functions/notes.ts", MODULE), ("policies.cedar", policies)]).await;
    let mut wire = Wire::to(app.address).await;
    let add = r#"mutation { add(text: "a") }"#;
    let ways = [
        add,
        r#"mutation { invoke(function: "add", args: { text: "a" }) other: add(text: "b") }"#,
        r#"mutation { batch(calls: [{ function: "add", args: { text: "a" } }]) { value } }"#,
        r#"mutation($c: [CallInput!]! = [{ function: "add", args: { text: "a" } }]) { batch(calls: $c) { value } }"#,
    ];
    for way in ways {
        let (status, body, answer) = ask(&mut wire, way, "").await;
        assert_eq!((status, &body["errors"]), (200, &Value::Null), "{way}: {body}");
        assert_eq!(answer.header("ratelimit"), "\"app_policy\";r=1;t=60", "{way}");
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(ask(&mut wire, r#"mutation { a: add(text: "a") b: add(text: "a") }"#, "").await.0, 200);
    let before = ask(&mut wire, "{ count }", "").await.1["data"]["count"].clone();
    assert_eq!(before, 7);
    for way in ways {
        let (status, body, answer) = ask(&mut wire, way, "").await;
        assert_eq!((status, refused(&body)), (429, ("RATE_LIMITED", Some(60_000))), "{way}: {body}");
        assert_eq!(answer.header("retry-after"), "60");
    }
    // Nothing has run of these, nor does a line of an upload. What another policy allows is not concerned.
    assert_eq!(ask(&mut wire, "{ count }", "").await.1["data"]["count"], before);
    let line = |text: &str| format!("{{\"function\":\"add\",\"args\":{{\"text\":\"{text}\"}}}}\n");
    let answer = post(&mut wire, "application/jsonl", "", &(line("a") + &line("b"))).await.text();
    let codes: Vec<Value> =
        answer.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["error"]["code"].clone()).collect();
    assert_eq!(json!(codes), json!(["RATE_LIMITED", null]), "{answer}");
    // Reading is counted by one policy, whatever is read and however.
    clock.advance(Duration::from_secs(3));
    assert_eq!(ask(&mut wire, "{ count }", "").await.0, 200);
    assert_eq!(get(&mut wire, "/hook", "").await.text(), "called");
    let lines = "Accept: application/jsonl\r\n";
    assert_eq!(post(&mut wire, "application/json", lines, r#"{"query":"{ all { id } }"}"#).await.status, 200);
    assert_eq!(get(&mut wire, "/hook", "").await.status, 429);
    let mut socket = app.session().await;
    socket.subscribe("1", "subscription { count }").await;
    let message: Value = serde_json::from_str(&socket.next().await).unwrap();
    assert_eq!(message["payload"][0]["extensions"]["code"], "RATE_LIMITED", "{message}");
    clock.advance(Duration::from_secs(1));
    socket.subscribe("1", "subscription { count }").await;
    assert_eq!(socket.next_json().await["type"], "next");
    // Another address is another caller.
    assert_eq!(ask(&mut Wire::from("127.0.0.2", app.address).await, add, "").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_of_a_socket_is_refused_and_the_socket_stays() {
    let (app, clock) = start_app("[rate.functions]\nadd = \"1/m\"\ncount = \"1/m burst 2\"\n").await;
    let mut socket = app.session().await;
    for (id, messages) in [("1", &["next", "complete"][..]), ("2", &["error"])] {
        socket.subscribe(id, r#"mutation { add(text: "a") }"#).await;
        for expected in messages {
            let message = socket.next_json().await;
            assert_eq!((&message["id"], &message["type"]), (&json!(id), &json!(expected)), "{message}");
        }
    }
    clock.advance(Duration::from_secs(60));
    socket.subscribe("1", "subscription { count }").await;
    assert_eq!(socket.next_json().await["payload"], json!({ "data": { "count": 1 } }));
    socket.subscribe("2", "subscription { count }").await;
    assert_eq!(socket.next_json().await["id"], "2");
    socket.subscribe("3", "subscription { count }").await;
    let message: Value = serde_json::from_str(&socket.next().await).unwrap();
    assert_eq!((&message["id"], &message["type"]), (&json!("3"), &json!("error")));
    let extensions = &message["payload"][0]["extensions"];
    assert_eq!((&extensions["code"], &extensions["retryAfterMs"]), (&json!("RATE_LIMITED"), &json!(60_000)));
    // New values of those that run are no operations.
    for _ in 0..3 {
        app.engine_add().await;
        let ids = [socket.next_json().await["id"].clone(), socket.next_json().await["id"].clone()];
        assert!(ids.contains(&json!("1")) && ids.contains(&json!("2")), "{ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_floods_messages_is_closed() {
    let (app, clock) = start("[address]\nmessages = \"1/s burst 5\"", ServerOptions::default()).await;
    let mut socket = app.session().await;
    for _ in 0..4 {
        socket.send(json!({ "type": "ping" })).await;
        assert_eq!(socket.next().await, r#"{"type":"pong"}"#);
    }
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await, "close 4429 Too many messages");
    // Another socket of the address is closed with its first message; later one is not.
    let mut socket = app.socket(Some("graphql-transport-ws")).await;
    socket.send(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.next().await, "close 4429 Too many messages");
    clock.advance(Duration::from_secs(1));
    app.session().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_tokens_is_not_listened_to_for_a_while() {
    let (app, clock) = start("[address]\nlogins_failed = \"1/m burst 3\"", ServerOptions::default()).await;
    let mut wire = Wire::to(app.address).await;
    let token = "Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln\r\n";
    assert_eq!(get(&mut wire, QUERY, token).await.status, 401);
    // What is no token at all is answered without looking at one.
    for _ in 0..5 {
        assert_eq!(get(&mut wire, QUERY, "Authorization: Basic YTpi\r\n").await.status, 401);
    }
    let (status, body, _) = ask(&mut wire, "{ __typename }", token).await;
    assert_eq!((status, refused(&body)), (401, ("UNAUTHENTICATED", None)));
    // By whatever way they come, they count together.
    let guess = json!({ "type": "connection_init", "payload": { "token": "a.b.c" } });
    let mut socket = app.socket(Some("graphql-transport-ws")).await;
    socket.send(guess.clone()).await;
    assert!(socket.next().await.starts_with("close 4403 "));
    let (status, body, answer) = ask(&mut wire, "{ __typename }", token).await;
    assert_eq!((status, refused(&body)), (429, ("RATE_LIMITED", Some(60_000))));
    assert_eq!(answer.header("retry-after"), "60");
    let mut socket = app.socket(Some("graphql-transport-ws")).await;
    socket.send(guess).await;
    assert_eq!(socket.next().await, "close 4429 Too many tokens that were not accepted");
    // Who shows none is not concerned, and neither is another address.
    assert_eq!(get(&mut wire, QUERY, "").await.status, 200);
    assert_eq!(get(&mut Wire::from("127.0.0.2", app.address).await, QUERY, token).await.status, 401);
    clock.advance(Duration::from_secs(60));
    assert_eq!(get(&mut wire, QUERY, token).await.status, 401);
    assert_eq!(get(&mut wire, QUERY, token).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_an_administrator_count_wherever_they_are_shown() {
    let options = ServerOptions { control_plane: true, ..ServerOptions::default() };
    let (app, clock) = start("[address]\nlogins_failed = \"1/m burst 2\"", options).await;
    let mut wire = Wire::to(app.address).await;
    let token = "Authorization: Bearer weir_admin_guessed\r\n";
    for status in [401, 401, 429, 429] {
        assert_eq!(get(&mut wire, "/metrics", token).await.status, status);
    }
    clock.advance(Duration::from_secs(60));
    assert_eq!(get(&mut wire, "/metrics", token).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_connections_sockets_and_subscriptions_are_held() {
    let limits = "[address]\nconnections = 4\nsockets = 2\nsubscriptions = 2\n[caller]\nsockets = 1\nsubscriptions = 1";
    let (app, _) = start(limits, ServerOptions::default()).await;
    let mut first = app.session().await;
    let mut second = app.socket(Some("graphql-transport-ws")).await;
    second.send(json!({ "type": "connection_init" })).await;
    assert_eq!(second.next().await, "close 4429 Too many sockets");
    drop(second);
    first.subscribe("1", "subscription { todos { id } }").await;
    assert_eq!(first.next_json().await["type"], "next");
    first.subscribe("2", "subscription { todos { id } }").await;
    let message: Value = serde_json::from_str(&first.next().await).unwrap();
    assert_eq!(message["payload"][0]["extensions"]["code"], "RATE_LIMITED", "{message}");
    first.send(json!({ "id": "1", "type": "complete" })).await;
    // What has ended makes room, as soon as it has.
    let again = async {
        loop {
            first.subscribe("3", "subscription { todos { id } }").await;
            if first.next_json().await["type"] == "next" {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.unwrap();
    // Three more connections, of which none is more than open; the fourth is closed.
    let mut open = Vec::new();
    let mut closed = false;
    for _ in 0..8 {
        let mut wire = Wire::to(app.address).await;
        wire.get("/healthz", "").await;
        match wire.answer().await {
            Some(answer) => {
                assert_eq!(answer.status, 200);
                open.push(wire);
            }
            None => closed = true,
        }
    }
    assert!(closed && open.len() <= 3, "{} are open", open.len());
    assert_eq!(get(&mut Wire::from("127.0.0.2", app.address).await, "/healthz", "").await.status, 200);
    drop(open);
    let room = async {
        loop {
            let mut wire = Wire::to(app.address).await;
            wire.get("/healthz", "").await;
            if wire.answer().await.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), room).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_configuration_nobody_is_limited() {
    let app = App::start().await;
    let mut wire = Wire::to(app.address).await;
    for _ in 0..2_000 {
        let answer = get(&mut wire, QUERY, "").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_gets_what_its_limit_allows_and_others_are_answered() {
    const FLOOD: usize = 3_000;
    let rate = toml::from_str("[address]\nrequests = \"50/s burst 100\"").unwrap();
    let app = App::start_with(ServerOptions { rate, ..ServerOptions::default() }).await;
    let address = app.address;
    let began = Instant::now();
    let flooding = tokio::spawn(async move {
        let mut wire = Wire::to(address).await;
        let mut answered = 0;
        for _ in 0..FLOOD {
            match get(&mut wire, QUERY, "").await.status {
                200 => answered += 1,
                status => assert_eq!(status, 429),
            }
        }
        answered
    });
    let mut healthy = Wire::from("127.0.0.2", address).await;
    for _ in 0..50 {
        assert_eq!(get(&mut healthy, QUERY, "").await.status, 200);
    }
    let answered = flooding.await.unwrap();
    let most = 100 + (began.elapsed().as_secs_f64() * 50.0).ceil() as usize;
    assert!((100..=most).contains(&answered), "{answered} of {FLOOD} were answered, and {most} may be");
}

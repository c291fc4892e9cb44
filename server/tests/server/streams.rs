//! Streams over a socket: every event, one at a time, and an end.

use std::time::Duration;

use serde_json::{Value, json};
use weir_engine::call::Caller;
use weir_engine::origin::Connection;

use crate::app::{App, Socket};

const STREAMS: &str = r#"
import { collection, fail, procedure, query, stream, type Doc, type ID, type Int } from "weir";
export interface Note { text: string; kind: "plain" | "to-do" }
export const notes = collection<Note>({ index: ["kind"] });
export const todos = query((): Doc<Note>[] => notes.where("kind", "to-do").all());
export const add = procedure((args: { text: string; kind: "plain" | "to-do" }): ID => notes.insert(args).id);
export const count = stream(async function* (args: { to?: Int; fails?: Int }): AsyncGenerator<{ n: Int; kind: Note["kind"] }> {
  for (let n = 0; n < (args.to ?? Infinity); n++) {
    if (n === args.fails) fail("ENOUGH", "no further");
    yield { n: n + STEP, kind: "to-do" };
  }
});
export const large = stream(async function* (): AsyncGenerator<string> {
  for (let n = 0; ; n++) yield `${n} `.padEnd(100_000, "x");
});
export const texts = stream(async function* (): AsyncGenerator<string[]> {
  for (;;) yield notes.orderBy("kind").all().map((note) => note.text);
});
"#;

async fn start() -> App {
    let app = App::start().await;
    app.activate(&with_step(0)).await;
    app
}

fn with_step(step: i32) -> String {
    STREAMS.replace("Note[\"kind\"]", "\"plain\" | \"to-do\"").replace("STEP", &step.to_string())
}

/// Waits until all streams have given their isolates back.
async fn streams_are_over(app: &App) {
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
    tokio::time::timeout(Duration::from_secs(20), over).await.expect("the streams are over");
}

async fn message(session: &mut Socket) -> Value {
    serde_json::from_str(&session.next().await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_its_events_and_completes() {
    let app = start().await;
    let mut session = app.session().await;
    session.subscribe("s", "subscription { all: count(to: 3) { number: n kind } }").await;
    let mut commits = Vec::new();
    for n in 0..3 {
        let mut next = message(&mut session).await;
        commits.push(next["payload"]["extensions"].take());
        assert_eq!((&next["id"], &next["type"]), (&json!("s"), &json!("next")));
        assert_eq!(next["payload"]["data"], json!({ "all": { "number": n, "kind": "to_do" } }));
    }
    assert!(commits[0]["weir"]["commit"].is_string() && commits[0]["weir"]["cursor"].is_null(), "{commits:?}");
    assert!(commits.iter().all(|commit| *commit == commits[0]), "{commits:?}");
    assert_eq!(session.next_json().await, json!({ "id": "s", "type": "complete" }));
    session.subscribe("s", "subscription { invoke(function: \"count\", args: { to: 1 }) }").await;
    assert_eq!(message(&mut session).await["payload"]["data"]["invoke"], json!({ "n": 0, "kind": "to-do" }));
    assert_eq!(session.next_json().await["type"], "complete");
    streams_are_over(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_stream_sends_its_error_and_completes() {
    let app = start().await;
    let mut session = app.session().await;
    session.subscribe("s", "subscription { count(fails: 1) { n } }").await;
    assert_eq!(session.next_json().await["payload"]["data"]["count"]["n"], 0);
    let failed = session.next_json().await;
    assert_eq!((&failed["type"], &failed["payload"]["data"]), (&json!("next"), &json!({ "count": null })), "{failed}");
    let error = &failed["payload"]["errors"][0];
    assert_eq!((&error["path"], &error["extensions"]["appCode"]), (&json!(["count"]), &json!("ENOUGH")), "{failed}");
    assert_eq!(session.next_json().await, json!({ "id": "s", "type": "complete" }));
    session.subscribe("s", "subscription { count(to: \"x\") { n } }").await;
    assert_eq!(session.next_json().await["type"], "error");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_completes_or_goes_ends_the_stream() {
    let app = start().await;
    let mut session = app.session().await;
    session.subscribe("s", "subscription { count { n } }").await;
    session.next().await;
    session.send(json!({ "id": "s", "type": "complete" })).await;
    streams_are_over(&app).await;
    // What was on its way may still come; after that nothing does.
    while !session.is_silent().await {}
    session.subscribe("s", "subscription { count { n } }").await;
    assert_eq!(session.next_json().await["payload"]["data"]["count"]["n"], 0, "the id is free again");
    drop(session);
    streams_are_over(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_late_misses_nothing() {
    let app = start().await;
    let mut session = app.session().await;
    session.subscribe("s", "subscription { large }").await;
    // Meanwhile the buffers of both sides fill, and the generator stands still.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for n in 0..150 {
        let next = message(&mut session).await;
        let large = next["payload"]["data"]["large"].as_str().unwrap();
        assert_eq!((large.split(' ').next(), large.len()), (Some(n.to_string().as_str()), 100_000));
    }
    // Others on the socket are served between its events.
    session.subscribe("q", "query { todos { text } }").await;
    let others = async { while message(&mut session).await["id"] != "q" {} };
    tokio::time::timeout(Duration::from_secs(10), others).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_stays_on_its_release_and_its_state() {
    let app = start().await;
    app.add("a").await;
    let mut session = app.session().await;
    session.subscribe("t", "subscription { texts }").await;
    assert_eq!(message(&mut session).await["payload"]["data"]["texts"], json!(["a"]));
    app.add("b").await;
    app.activate(&with_step(1000)).await;
    for _ in 0..20 {
        assert_eq!(message(&mut session).await["payload"]["data"]["texts"], json!(["a"]));
    }
    session.send(json!({ "id": "t", "type": "complete" })).await;
    streams_are_over(&app).await;
    let mut session = app.session().await;
    session.subscribe("s", "subscription { count(to: 1) { n } }").await;
    let served = message(&mut session).await;
    assert!([json!(0), json!(1000)].contains(&served["payload"]["data"]["count"]["n"]), "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_not_too_many() {
    let app = start().await;
    let mut session = app.session().await;
    let others = (1_000..1_100).map(|number| app.engine.on(Connection(number)));
    let places: Vec<_> = others.filter_map(|other| other.stream_place(&Caller::Developer).ok()).collect();
    assert_eq!(places.len(), 32);
    session.subscribe("s", "subscription { count { n } }").await;
    let refused = session.next_json().await;
    let extensions = &refused["payload"][0]["extensions"];
    assert_eq!((&extensions["code"], &extensions["retryAfterMs"]), (&json!("UNAVAILABLE"), &json!(1000)), "{refused}");
    // A watched query needs no such place.
    session.subscribe("t", "subscription { todos { text } }").await;
    assert_eq!(session.next_json().await["payload"]["data"]["todos"], json!([]));
}

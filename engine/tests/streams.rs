//! Streams and lists by the piece: what they read, how far ahead they go, and how they end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{Call, CallError, Caller};
use weir_engine::lines::Elements;
use weir_engine::origin::Connection;
use weir_engine::release::Release;
use weir_engine::streams::Stream;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::error::ErrorCode;
use weir_store::{Options, Store};

const MANIFEST: &str = "name = \"test\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = 50000\ncpu_ms = 400\n\
                        documents_read = 50\nhost_calls = 300\nresult_bytes = 10000\n";

const FUNCTIONS: &str = r#"
import { action, call, collection, procedure, query, stream, type Doc, type Int, type JSON, type Page } from "weir";
export interface Reading { n: Int; odd: boolean; note?: string }
export const readings = collection<Reading>({ unique: ["n"], index: ["odd"] });

export const fill = procedure((args: { from: Int; to: Int }): Int => {
  for (let n = args.from; n < args.to; n++) readings.insert({ n, odd: n % 2 === 1 });
  return args.to - args.from;
});
export const change = procedure((): Int => {
  const [first, second] = readings.orderBy("n").take(2);
  readings.delete(first!.id);
  readings.patch(second!.id, { n: 1_000_000, odd: false });
  return readings.insert({ n: -1, odd: true }).n;
});
export const pages = stream(async function* (args: { by: Int; down?: boolean }): AsyncGenerator<Int[]> {
  for (let after: string | null = null; ; ) {
    const page: Page<Doc<Reading>> = readings.orderBy("n", args.down ? "desc" : "asc").page({ first: args.by, after: after ?? undefined });
    yield page.edges.map((edge) => edge.node.n);
    if (!page.pageInfo.hasNextPage) return;
    after = page.pageInfo.endCursor;
  }
});
async function* counting(args: { fails?: Int }): AsyncIterableIterator<{ n: Int; total: Int }> {
  try {
    for (let n = 0; ; n++) {
      if (n === args.fails) throw new Error("no further");
      yield { n, total: total() };
    }
  } finally {
    console.log("closed");
  }
}
const total = query((): Int => readings.count());
export const count = stream(counting);
export const odd = stream(async function* (args: { how: string }): AsyncIterable<Int> {
  yield 1;
  if (args.how === "shape") yield "two" as unknown as Int;
  if (args.how === "spin") for (;;);
  if (args.how === "calls") for (;;) readings.get("x");
  if (args.how === "writes") readings.insert({ n: 0, odd: false });
  yield 2;
});
export const all = query((): Doc<Reading>[] => readings.orderBy("n"));
export const back = query((): Doc<Reading>[] => readings.orderBy("n", "desc"));
export const some = query((): Doc<Reading>[] => readings.orderBy("n").take(3));
export const touched = query((): Doc<Reading>[] => { const rows = readings.orderBy("n"); rows[0]; return rows; });
export const inner = query((): Doc<Reading>[] => all());
export const unindexed = query((): Doc<Reading>[] => readings.where("note", "x"));
export const thrown = query((): Doc<Reading>[] => { throw new Error("no list"); });
export const none = query((): Doc<Reading>[] | null => null);
export const one = query((): Int => 1);
export const viaAction = action(async (): Promise<JSON> => call(total));
"#;

struct App {
    engine: Engine,
    release: Arc<Release>,
    _folder: tempfile::TempDir,
}

impl App {
    async fn start() -> Self {
        Self::with(Options::default(), PoolOptions::default()).await
    }

    async fn with(options: Options, pool: PoolOptions) -> Self {
        weir_sandbox::isolate::prepare_v8();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let store = tokio::task::spawn_blocking(move || Store::open(&path, options)).await.unwrap().unwrap();
        let engine = Engine::start(store, pool).unwrap();
        let release = engine.activate(app(FUNCTIONS)).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    async fn call(&self, function: &str, arguments: Value) -> Value {
        self.engine.call(&self.release, &Caller::Developer, function, arguments).await.unwrap().value.take()
    }

    fn stream(&self, function: &str, arguments: Value) -> Stream {
        let place = self.engine.stream_place(&Caller::Developer).expect("there is room");
        self.engine.stream(place, &self.release, &Caller::Developer, function, arguments).unwrap()
    }

    async fn elements(&self, function: &str) -> Result<Elements, CallError> {
        self.engine.elements(&self.release, &Caller::Developer, function, Value::Null).await
    }

    /// What is in a list, and in how many pieces it came.
    async fn list(&self, function: &str) -> Result<(Vec<Value>, usize), CallError> {
        match self.elements(function).await? {
            Elements::There(answer) => Ok((answer.value.as_array().cloned().unwrap_or_default(), 0)),
            Elements::Rows(walk) => {
                let (mut rest, mut all, mut pieces) = (Some(*walk), Vec::new(), 0);
                while let Some(walk) = rest {
                    let piece = walk.piece().await?;
                    all.extend(piece.elements.into_iter().map(|given| given.value));
                    (rest, pieces) = (piece.rest, pieces + 1);
                }
                Ok((all, pieces))
            }
        }
    }

    /// Waits until all streams have given their places back, of which one caller gets so many.
    async fn streams_are_over(&self, places: usize) {
        let all = async {
            loop {
                let taken: Vec<_> = std::iter::from_fn(|| self.engine.stream_place(&Caller::Developer).ok()).collect();
                if taken.len() == places {
                    return;
                }
                drop(taken);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("the streams are over");
    }
}

fn app(functions: &str) -> weir_sandbox::App {
    let texts = [("app.toml", MANIFEST), ("functions/readings.ts", functions)];
    compile(&Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned()))))
        .unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// All events of a stream, and the error that it ended with.
async fn rest(stream: &mut Stream) -> (Vec<Value>, Option<CallError>) {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(answer) => events.push(answer.value.take()),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

fn flat(pages: &[Value]) -> Vec<Value> {
    pages.iter().flat_map(|page| page.as_array().unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_reads_the_state_of_its_start_and_more_than_a_call_may() {
    let app = App::start().await;
    app.call("fill", json!({ "from": 0, "to": 100 })).await;
    let mut stream = app.stream("pages", json!({ "by": 40 }));
    let first = stream.next().await.unwrap().unwrap();
    app.call("change", Value::Null).await;
    let second = stream.next().await.unwrap().unwrap();
    assert_eq!(first.commit, second.commit);
    let (last, error) = rest(&mut stream).await;
    assert_eq!(error, None);
    assert_eq!(flat(&[first.value.take(), second.value.take(), last[0].clone()]), numbers(0..100));
    let (pages, _) = rest(&mut app.stream("pages", json!({ "by": 40 }))).await;
    assert_eq!(flat(&pages)[..2], [json!(-1), json!(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_longer_than_a_transaction_reads_on_through_history() {
    let short = Options {
        transaction_age_max: Duration::from_secs(2),
        upkeep_interval: Duration::from_millis(20),
        ..Options::default()
    };
    let app = App::with(short, PoolOptions::default()).await;
    app.call("fill", json!({ "from": 0, "to": 50 })).await;
    app.call("fill", json!({ "from": 50, "to": 100 })).await;
    let mut up = app.stream("pages", json!({ "by": 25 }));
    let mut down = app.stream("pages", json!({ "by": 25, "down": true }));
    let (mut rising, mut falling) = (Vec::new(), Vec::new());
    for round in 0..3 {
        rising.push(up.next().await.unwrap().unwrap().value.take());
        falling.push(down.next().await.unwrap().unwrap().value.take());
        // Their snapshots are cut before anything is committed, and after that again.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        if round == 1 {
            app.call("change", Value::Null).await;
        }
    }
    rising.extend(rest(&mut up).await.0);
    falling.extend(rest(&mut down).await.0);
    assert_eq!(flat(&rising), numbers(0..100));
    assert_eq!(flat(&falling), (0..100).rev().map(Value::from).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_history_says_so() {
    let none = Options {
        transaction_age_max: Duration::from_secs(1),
        upkeep_interval: Duration::from_millis(20),
        history: Duration::ZERO,
        ..Options::default()
    };
    let app = App::with(none, PoolOptions::default()).await;
    app.call("fill", json!({ "from": 0, "to": 40 })).await;
    let mut stream = app.stream("pages", json!({ "by": 10 }));
    stream.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Without a commit in between the state is still the newest one.
    stream.next().await.unwrap().unwrap();
    app.call("fill", json!({ "from": 40, "to": 41 })).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (events, error) = rest(&mut stream).await;
    let error = error.expect("it cannot go on");
    assert_eq!((events.len(), error.code), (0, ErrorCode::Unavailable), "{error}");
    assert!(error.message.contains("is not kept any more"), "{error}");
    assert!(stream.next().await.is_none());
    app.streams_are_over(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_is_no_further_than_its_reader() {
    let app = App::start().await;
    let mut stream = app.stream("count", json!({}));
    for n in 0..200 {
        assert_eq!(*stream.next().await.unwrap().unwrap().value, json!({ "n": n, "total": 0 }));
    }
    drop(stream);
    app.streams_are_over(16).await;
    // A future that is dropped takes no event with it.
    let mut stream = app.stream("count", json!({}));
    for n in 0..50 {
        let hasty = tokio::time::timeout(Duration::ZERO, stream.next()).await;
        let event = match hasty {
            Ok(event) => event,
            Err(_) => stream.next().await,
        };
        assert_eq!(event.unwrap().unwrap().value["n"], n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_ends_a_stream() {
    let app = App::start().await;
    let (events, error) = rest(&mut app.stream("count", json!({ "fails": 3 }))).await;
    let error = error.unwrap();
    assert_eq!((events.len(), error.code, error.message.as_str()), (3, ErrorCode::FunctionFailed, "no further"));
    for (how, code, part) in [
        ("shape", ErrorCode::FunctionFailed, "odd yielded the wrong shape: result: expected Int"),
        ("spin", ErrorCode::LimitExceeded, "cpu_ms"),
        ("calls", ErrorCode::LimitExceeded, "documents_read"),
        ("writes", ErrorCode::FunctionFailed, "insert writes, which only a procedure may; this is a stream"),
    ] {
        let (events, error) = rest(&mut app.stream("odd", json!({ "how": how }))).await;
        let error = error.unwrap_or_else(|| panic!("{how}: no error"));
        assert_eq!((events, error.code), (vec![json!(1)], code), "{how}: {error}");
        assert!(error.message.contains(part), "{how}: {error}");
    }
    assert_eq!(rest(&mut app.stream("odd", json!({ "how": "well" }))).await, (numbers(1..3), None));
    app.streams_are_over(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_have_isolates_of_their_own_and_not_too_many() {
    let pool = PoolOptions { isolates: 1, stream_isolates: 5, ..PoolOptions::default() };
    let app = App::with(Options::default(), pool).await;
    let mut streams: Vec<Stream> = (0..3).map(|_| app.stream("count", json!({}))).collect();
    for stream in &mut streams {
        stream.next().await.unwrap().unwrap();
    }
    // That is all for one caller: of those that are free it would have as many as all others.
    let refused = app.engine.stream_place(&Caller::Developer).err().unwrap();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
    let held: Vec<_> =
        (1..5).filter_map(|number| app.engine.on(Connection(number)).stream_place(&Caller::Developer).ok()).collect();
    assert_eq!(held.len(), 2);
    // All of them wait for their readers; calls go on.
    assert_eq!(app.call("one", Value::Null).await, 1);
    // Another release has no more room, and the streams of this one go on.
    let next = FUNCTIONS.replace("yield { n, total: total() }", "yield { n: -n, total: total() }");
    let release = app.engine.activate(self::app(&next)).await.unwrap();
    assert!(app.engine.on(Connection(9)).stream_place(&Caller::Developer).is_err());
    assert_eq!(streams[0].next().await.unwrap().unwrap().value["n"], 1);
    drop((streams, held));
    app.streams_are_over(3).await;
    let place = app.engine.stream_place(&Caller::Developer).unwrap();
    let mut new = app.engine.stream(place, &release, &Caller::Developer, "count", json!({})).unwrap();
    new.next().await.unwrap().unwrap();
    assert_eq!(new.next().await.unwrap().unwrap().value["n"], -1);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_subscribed_to_and_nothing_else_is_one() {
    let app = App::start().await;
    let caller = Caller::Developer;
    let called = app.engine.call(&app.release, &caller, "count", json!({})).await.unwrap_err();
    assert_eq!((called.code, called.message.as_str()), (ErrorCode::BadArguments, "count is a stream: subscribe to it"));
    for atomic in [true, false] {
        let calls = vec![Call { function: "count".into(), args: json!({}) }];
        let outcomes = app.engine.batch(&app.release, &caller, calls, atomic, |_| None).await.unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap_err().message, "count is a stream: subscribe to it");
    }
    let watched = app.engine.watch(&app.release, &caller, "count", json!({}), None).next().await.unwrap_err();
    assert_eq!(watched.code, ErrorCode::BadArguments);
    let place = || app.engine.stream_place(&Caller::Developer).unwrap();
    let wrong = app.engine.stream(place(), &app.release, &caller, "one", Value::Null).err().unwrap();
    assert_eq!(wrong.message, "one is a query, not a stream");
    let wrong = app.engine.stream(place(), &app.release, &caller, "odd", Value::Null).err().unwrap();
    assert_eq!(wrong.code, ErrorCode::BadArguments);
    app.streams_are_over(16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_nobody_looked_into_come_in_pieces() {
    let app = App::start().await;
    for n in 0..25 {
        app.call("fill", json!({ "from": n * 100, "to": n * 100 + 100 })).await;
    }
    let (all, pieces) = app.list("all").await.unwrap();
    let of = |all: &[Value]| all.iter().map(|row| row["n"].clone()).collect::<Vec<_>>();
    assert_eq!((of(&all), pieces), (numbers(0..2500), 3));
    assert_eq!(all[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "n", "odd", "note"]);
    let (all, pieces) = app.list("back").await.unwrap();
    assert_eq!((of(&all), pieces), ((0..2500).rev().map(Value::from).collect(), 3));
    assert_eq!(app.list("inner").await.unwrap().1, 3);
    // What was looked into is there, within the limits.
    let (some, pieces) = app.list("some").await.unwrap();
    assert_eq!((of(&some), pieces), (numbers(0..3), 0));
    assert_eq!(app.list("touched").await.unwrap_err().code, ErrorCode::LimitExceeded);
    assert_eq!(app.list("none").await.unwrap(), (vec![], 0));
    for (function, code) in [
        ("unindexed", ErrorCode::FunctionFailed),
        ("thrown", ErrorCode::FunctionFailed),
        ("one", ErrorCode::BadArguments),
        ("fill", ErrorCode::BadArguments),
        ("count", ErrorCode::BadArguments),
    ] {
        assert_eq!(app.list(function).await.unwrap_err().code, code, "{function}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_is_of_one_state() {
    let app = App::start().await;
    for n in 0..15 {
        app.call("fill", json!({ "from": n * 100, "to": n * 100 + 100 })).await;
    }
    let Elements::Rows(walk) = app.elements("all").await.unwrap() else { panic!("rows are lazy") };
    let first = walk.piece().await.unwrap();
    app.call("change", Value::Null).await;
    let last = first.rest.unwrap().piece().await.unwrap();
    let all: Vec<Value> = first.elements.iter().chain(&last.elements).map(|row| row.value["n"].clone()).collect();
    assert_eq!(all, numbers(0..1500));
    assert!(last.rest.is_none());
}

//! Jobs on a real store: scheduled with their transaction, run once when they are due, tried again, dead, and again and again.
//!
//! The clock is the system's, and put forward: nothing here waits for seconds to pass.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::collections::BTreeSet;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{CallError, Caller};
use weir_engine::jobs::control::{self, ChangeError, Listed};
use weir_engine::jobs::{Clock, Scheduler};
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::codec::job::{Job, JobState};
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_schema::limits::Limit;
use weir_store::{JobFilter, Options, Run, Store};

const MANIFEST: &str = "name = \"test\"\nversion = \"1.0.0\"\n[limits]\njobs_scheduled = 20\n[jobs]\nattempts = 3\n\
                        backoff_ms = 60000\nbackoff_max_ms = 90000\nrunning = 4\narguments_bytes = 1000\nahead_ms = 86400000000\n";

const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Mark { n: Int; by: string }
export const marks = collection<Mark>({ unique: ["n"], index: ["by"] });
"#;

const FUNCTIONS: &str = r#"
import { action, call, caller, cancelJob, fail, procedure, query, schedule, type ID, type Int, type JSON } from "weir";
import { marks } from "../collections";

export const mark = procedure((args: { n: Int }): ID => marks.insert({ n: args.n, by: caller.subject ?? caller.kind }).id);
export const marked = query((): Int[] => marks.orderBy("n").all().map((m) => m.n));
export const markers = query((): string[] => marks.orderBy("n").all().map((m) => m.by));
export const markLater = procedure((args: { from: Int; to: Int; after: JSON; thenFail?: boolean }): ID[] => {
  const ids: ID[] = [];
  for (let n = args.from; n < args.to; n++) ids.push(schedule({ after: args.after }, mark, { n }));
  if (args.thenFail) fail("NO", "not after all");
  return ids;
});
export const later = procedure((args: { when: JSON; how: string; args: JSON }): ID =>
  args.how === "query" ? schedule(args.when, marked as any, args.args)
    : args.how === "closure" ? schedule(args.when, (() => 1) as any, args.args)
    : args.how === "action" ? schedule(args.when, act, args.args)
    : schedule(args.when, mark, args.args));
export const cancel = procedure((args: { id: ID; mark?: Int }): boolean => {
  if (args.mark !== undefined && args.mark !== null) marks.insert({ n: args.mark, by: "cancel" });
  return cancelJob(args.id);
});
export const fickle = procedure((args: { id: ID }): boolean[] => {
  const id = schedule({ after: 0 }, mark, { n: 99 });
  return [cancelJob(id), cancelJob(id), cancelJob(args.id)];
});
export const wrongly = query((args: { how: string }): JSON =>
  args.how === "cancel" ? cancelJob("x") : schedule({ after: 0 }, mark, { n: 1 }));
export const poor = procedure((args: { n: Int }): Int => {
  marks.insert({ n: args.n, by: "poor" });
  fail("BROKE", "no money");
});
export const poorLater = procedure((args: { n: Int; after?: string }): ID => schedule({ after: args.after ?? 0 }, poor, { n: args.n }));
export const act = action(async (args: { n: Int; thenFail?: boolean }): Promise<Int> => {
  await call(mark, { n: args.n });
  if (args.thenFail) throw new Error("the other side is down");
  return args.n;
});
export const actLater = procedure((args: { n: Int; thenFail?: boolean }): ID =>
  schedule({ after: "1m" }, act, { n: args.n, thenFail: args.thenFail }));
export const chain = procedure((args: { n: Int; to: Int }): Int => {
  marks.insert({ n: args.n, by: caller.subject ?? caller.kind });
  if (args.n < args.to) schedule({ after: 0 }, chain, { n: args.n + 1, to: args.to });
  return args.n;
});
export const tick = procedure((args: { step: Int }): Int => {
  const n = (marks.orderBy("n", "desc").first()?.n ?? 0) + args.step;
  marks.insert({ n, by: caller.subject ?? caller.kind });
  return n;
});
"#;

struct Bench {
    store: Store,
    engine: Engine,
    release: Arc<Release>,
    clock: Clock,
    scheduler: Option<Scheduler>,
}

fn sources(manifest: &str, functions: &str) -> Sources {
    Sources::from_texts([
        ("app.toml".to_owned(), manifest.to_owned()),
        ("collections.ts".to_owned(), COLLECTIONS.to_owned()),
        ("functions/jobs.ts".to_owned(), functions.to_owned()),
    ])
}

impl Bench {
    /// Without a scheduler: nothing runs.
    async fn still(folder: &Path, manifest: &str) -> Self {
        let app = compile(&sources(manifest, FUNCTIONS)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let store = Store::open(&folder.join("data"), Options::default()).unwrap();
        let engine = Engine::start(store.clone(), PoolOptions::default()).unwrap();
        let release = engine.activate(app).await.unwrap();
        Self { store, engine, release, clock: Clock::system(), scheduler: None }
    }

    async fn open(folder: &Path, manifest: &str) -> Self {
        let mut bench = Self::still(folder, manifest).await;
        bench.start();
        bench
    }

    fn start(&mut self) {
        self.scheduler = Some(Scheduler::start(self.engine.clone(), self.clock.clone()));
    }

    /// Stops as a server does; the data can be opened again.
    async fn close(mut self) {
        if let Some(scheduler) = self.scheduler.take() {
            scheduler.stop().await;
        }
        self.engine.close().await;
    }

    async fn activate(&mut self, manifest: &str, functions: &str) {
        let app = compile(&sources(manifest, functions)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        self.release = self.engine.activate(app).await.unwrap();
    }

    async fn call(&self, function: &str, arguments: Value) -> Result<Value, CallError> {
        self.engine.call(&self.release, &Caller::Developer, function, arguments).await.map(|answer| answer.value.take())
    }

    async fn good(&self, function: &str, arguments: Value) -> Value {
        self.call(function, arguments).await.unwrap_or_else(|error| panic!("{function}: {error}"))
    }

    async fn marked(&self) -> Vec<i64> {
        serde_json::from_value(self.good("marked", json!({})).await).unwrap()
    }

    async fn jobs(&self, state: Option<JobState>) -> Vec<Listed> {
        let filter = JobFilter { state, function: None };
        control::list(&self.store, filter, None).await.unwrap().jobs
    }

    async fn job(&self, id: &str) -> Option<Job> {
        self.jobs(None).await.into_iter().find(|listed| listed.id.as_str() == id).map(|listed| listed.job)
    }

    /// Waits until what is there is what it should be.
    async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so(self).await {
            assert!(
                Instant::now() < deadline,
                "waited for {what}: {:?}, {:?}",
                self.marked().await,
                self.jobs(None).await
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_marked(&self, numbers: &[i64]) {
        self.until("marks", async |bench| bench.marked().await == numbers).await;
    }

    async fn until_no_jobs(&self) {
        self.until("no jobs", async |bench| bench.jobs(None).await.is_empty()).await;
    }

    async fn sound(&self) {
        let report = self.store.verify(Arc::new(|_| std::ops::ControlFlow::Continue(()))).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_when_it_is_due_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), MANIFEST).await;
    let ids = bench.good("markLater", json!({ "from": 1, "to": 4, "after": "5m" })).await;
    assert_eq!(ids.as_array().unwrap().len(), 3);
    bench.good("markLater", json!({ "from": 7, "to": 8, "after": 0 })).await;
    bench.until_marked(&[7]).await;
    bench.clock.advance(minutes(4));
    bench.good("markLater", json!({ "from": 8, "to": 9, "after": 0 })).await;
    bench.until_marked(&[7, 8]).await;
    assert_eq!(bench.jobs(Some(JobState::Waiting)).await.len(), 3);
    bench.sound().await;
    bench.clock.advance(minutes(1));
    bench.until_marked(&[1, 2, 3, 7, 8]).await;
    bench.until_no_jobs().await;
    assert_eq!(bench.good("markers", json!({})).await[0], "developer");
    bench.sound().await;
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_has_scheduled_and_cancelled_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::still(folder.path(), MANIFEST).await;
    let failed =
        bench.call("markLater", json!({ "from": 1, "to": 3, "after": 0, "thenFail": true })).await.unwrap_err();
    assert_eq!(failed.app_code.as_deref(), Some("NO"));
    assert_eq!(bench.jobs(None).await, []);
    let id = bench.good("markLater", json!({ "from": 1, "to": 2, "after": "1h" })).await[0].clone();
    bench.good("mark", json!({ "n": 5 })).await;
    // The unique index stands against it when it is to be committed.
    let conflict = bench.call("cancel", json!({ "id": id, "mark": 5 })).await.unwrap_err();
    assert_eq!(conflict.code, ErrorCode::Conflict);
    assert_eq!(bench.jobs(None).await.len(), 1);
    assert_eq!(bench.good("fickle", json!({ "id": id })).await, json!([true, false, true]));
    assert_eq!(bench.jobs(None).await, []);
    bench.sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_scheduled_is_told_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::still(folder.path(), MANIFEST).await;
    let soon = json!({ "after": "1m" });
    let table = [
        (json!({ "when": soon, "how": "", "args": { "n": "x" } }), "schedule(mark): "),
        (json!({ "when": soon, "how": "", "args": { "n": 1, "m": 1 } }), "schedule(mark): "),
        (json!({ "when": soon, "how": "", "args": null }), "schedule(mark): "),
        (json!({ "when": soon, "how": "query", "args": {} }), "it is a query; only procedures and actions"),
        (json!({ "when": soon, "how": "closure", "args": {} }), "takes a function of the app"),
        (json!({ "when": null, "how": "", "args": { "n": 1 } }), "when is { after: \"5m\" }"),
        (json!({ "when": {}, "how": "", "args": { "n": 1 } }), "when is { after: \"5m\" }"),
        (json!({ "when": { "after": 1, "at": "2026-01-01T00:00:00Z" }, "how": "", "args": { "n": 1 } }), "when is"),
        (json!({ "when": { "in": 1 }, "how": "", "args": { "n": 1 } }), "it has no in"),
        (json!({ "when": { "after": -1 }, "how": "", "args": { "n": 1 } }), "-1 is no time to wait"),
        (json!({ "when": { "after": "soon" }, "how": "", "args": { "n": 1 } }), "\"soon\" is no time to wait"),
        (json!({ "when": { "at": 5 }, "how": "", "args": { "n": 1 } }), "not { at: 5 }"),
        (json!({ "when": { "at": "9999-01-01T00:00:00Z" }, "how": "", "args": { "n": 1 } }), "ahead_ms = 86400000000"),
        (json!({ "when": { "after": "99999999d" }, "how": "", "args": { "n": 1 } }), "ahead_ms = 86400000000"),
    ];
    for (arguments, words) in table {
        let error = bench.call("later", arguments.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::FunctionFailed, "{arguments}: {error}");
        assert!(error.message.contains(words), "{arguments}: {error}");
    }
    for how in ["schedule", "cancel"] {
        let error = bench.call("wrongly", json!({ "how": how })).await.unwrap_err();
        assert!(error.message.contains("writes, which only a procedure may; this is a query"), "{error}");
    }
    let flood = bench.call("markLater", json!({ "from": 0, "to": 21, "after": 0 })).await.unwrap_err();
    assert_eq!(flood.limit, Some(Limit::JobsScheduled));
    assert_eq!(bench.jobs(None).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_run_once_each_and_those_that_they_schedule_too() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), MANIFEST).await;
    for from in (0..200).step_by(20) {
        bench.good("markLater", json!({ "from": from, "to": from + 20, "after": from % 3 })).await;
    }
    bench.good("chain", json!({ "n": 1_000, "to": 1_010 })).await;
    let expected: Vec<i64> = (0..200).chain(1_000..=1_010).collect();
    bench.until_marked(&expected).await;
    bench.until_no_jobs().await;
    bench.sound().await;
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_cancel_and_a_run_one_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), MANIFEST).await;
    let (mut ran, mut cancelled) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..30_i64 {
        let ids = bench.good("markLater", json!({ "from": round * 10, "to": round * 10 + 4, "after": 0 })).await;
        for (n, id) in ids.as_array().unwrap().iter().enumerate() {
            if bench.good("cancel", json!({ "id": id })).await == json!(true) {
                cancelled.insert(round * 10 + n as i64);
            }
        }
    }
    bench.until_no_jobs().await;
    ran.extend(bench.marked().await);
    assert!(ran.is_disjoint(&cancelled), "{:?} were cancelled and ran", ran.intersection(&cancelled));
    assert_eq!(ran.len() + cancelled.len(), 120);
    assert!(!ran.is_empty() && !cancelled.is_empty(), "{} ran, {} were cancelled", ran.len(), cancelled.len());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_later_and_dead_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), MANIFEST).await;
    let id = bench.good("poorLater", json!({ "n": 1 })).await;
    let id = id.as_str().unwrap();
    let attempts = async |n: u32| {
        bench.until("an attempt", async |bench| bench.job(id).await.is_some_and(|job| job.attempts == n)).await;
        bench.job(id).await.unwrap()
    };
    let mut before = bench.clock.now_ms();
    for (failures, least, most) in [(1, 30_000, 60_000), (2, 45_000, 90_000)] {
        let job = attempts(failures).await;
        assert_eq!(job.state, JobState::Waiting);
        let error = job.error.unwrap();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("FUNCTION_FAILED", "no money"));
        let (from, to) = (before + least, bench.clock.now_ms() + most);
        assert!((from..=to).contains(&job.due_ms), "{} after {failures} failures, expected {from} to {to}", job.due_ms);
        before = bench.clock.now_ms();
        bench.clock.advance(Duration::from_millis(most));
        before += most;
    }
    let dead = attempts(3).await;
    assert_eq!(dead.state, JobState::Dead);
    bench.sound().await;
    assert_eq!(bench.marked().await, [0_i64; 0]);
    bench.clock.advance(minutes(1_000));
    assert_eq!(bench.job(id).await.unwrap().state, JobState::Dead);

    // Once it can succeed, it is made to.
    let mut bench = bench;
    let mended = FUNCTIONS.replace("fail(\"BROKE\", \"no money\")", "return 1");
    bench.activate(MANIFEST, &mended).await;
    let retried = control::retry(&bench.store, id, &bench.clock).await.unwrap();
    assert_eq!((retried.job.state, retried.job.attempts), (JobState::Waiting, 0));
    bench.until_marked(&[1]).await;
    bench.until_no_jobs().await;
    assert!(matches!(control::retry(&bench.store, id, &bench.clock).await, Err(ChangeError::NotFound(_))));
    assert!(matches!(control::cancel(&bench.store, id).await, Err(ChangeError::NotFound(_))));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_function_is_gone_or_takes_something_else_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path(), MANIFEST).await;
    let gone = bench.good("poorLater", json!({ "n": 1, "after": "1h" })).await;
    let other = bench.good("markLater", json!({ "from": 2, "to": 3, "after": "1h" })).await[0].clone();
    let functions = FUNCTIONS
        .replace("schedule({ after: args.after ?? 0 }, poor, { n: args.n })", "\"none\"")
        .replace("export const poor = ", "const poor = ")
        .replace("mark = procedure((args: { n: Int })", "mark = procedure((args: { n: Int; by: string })")
        .replace("mark, { n", "mark, { by: \"\", n");
    bench.activate(MANIFEST, &functions).await;
    bench.clock.advance(minutes(60));
    for (id, code, words) in
        [(gone, "NOT_FOUND", "there is no function \"poor\" in test 1.0.0"), (other, "BAD_ARGUMENTS", "by")]
    {
        let id = id.as_str().unwrap();
        bench.until("a failure", async |bench| bench.job(id).await.is_some_and(|job| job.error.is_some())).await;
        let error = bench.job(id).await.unwrap().error.unwrap();
        assert_eq!(error.code, code, "{}", error.message);
        assert!(error.message.contains(words), "{}", error.message);
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_running_until_it_is_over_and_runs_again_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path(), MANIFEST).await;
    bench.good("actLater", json!({ "n": 1 })).await;
    bench.clock.advance(minutes(1));
    bench.until_marked(&[1]).await;
    bench.until_no_jobs().await;
    let failing = bench.good("actLater", json!({ "n": 2, "thenFail": true })).await;
    let failing = failing.as_str().unwrap();
    bench.clock.advance(minutes(1));
    bench.until("a failure", async |bench| bench.job(failing).await.is_some_and(|job| job.error.is_some())).await;
    let job = bench.job(failing).await.unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Waiting, 1));
    assert_eq!(job.error.unwrap().message, "the other side is down");
    assert_eq!(bench.marked().await, [1, 2]);
    bench.scheduler.take().unwrap().stop().await;

    // As a crash in the middle leaves it.
    let id = bench.good("actLater", json!({ "n": 3 })).await;
    let id = DocumentId::parse(id.as_str().unwrap()).unwrap();
    let begun = bench.store.transact(Duration::from_secs(1), |mut transaction| {
        let job = transaction.job(&id).unwrap().unwrap();
        let begun = Job { state: JobState::Running, attempts: 2, due_ms: job.scheduled_ms, ..job };
        transaction.put_job(&id, begun).unwrap();
        ready(Run::Commit(transaction, ()))
    });
    begun.await.unwrap();
    assert_eq!(bench.good("cancel", json!({ "id": id })).await, json!(false));
    assert!(matches!(control::cancel(&bench.store, id.as_str()).await, Err(ChangeError::Running(_))));
    assert!(matches!(control::retry(&bench.store, id.as_str(), &bench.clock).await, Err(ChangeError::Running(_))));
    bench.start();
    bench.until("another run", async |bench| bench.marked().await.contains(&3)).await;
    bench.until("its end", async |bench| bench.job(id.as_str()).await.is_none()).await;
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_runs_at_its_times_and_makes_up_for_what_it_missed_once() {
    let folder = tempfile::tempdir().unwrap();
    let hourly = format!(
        "{MANIFEST}[[cron]]\nname = \"hourly\"\nschedule = \"0 * * * *\"\ncall = \"tick\"\nargs = {{ step = 1 }}\n"
    );
    let bench = Bench::open(folder.path(), &hourly).await;
    bench.until("the cron", async |bench| bench.job("cron:hourly").await.is_some()).await;
    assert_eq!(bench.marked().await, [0_i64; 0], "the past is not made up for");
    bench.clock.advance(minutes(60));
    bench.until_marked(&[1]).await;
    assert_eq!(bench.good("markers", json!({})).await, json!(["cron"]));
    let mark = bench.job("cron:hourly").await.unwrap().due_ms;
    assert!(mark > bench.clock.now_ms() && mark % 3_600_000 == 0);
    assert_eq!(bench.good("cancel", json!({ "id": "cron:hourly" })).await, json!(false));
    let refused = control::cancel(&bench.store, "cron:hourly").await.unwrap_err().to_string();
    assert!(refused.contains("remove its entry of [[cron]]"), "{refused}");
    let ahead = bench.clock.clone();
    bench.close().await;

    // Down for five hours: it runs once, and is due again within the hour.
    ahead.advance(minutes(300));
    let mut bench = Bench::still(folder.path(), &hourly).await;
    bench.clock = ahead;
    bench.start();
    bench.until_marked(&[1, 2]).await;
    bench
        .until("the next time", async |bench| {
            bench.job("cron:hourly").await.is_some_and(|job| job.due_ms > bench.clock.now_ms())
        })
        .await;
    assert!(bench.job("cron:hourly").await.unwrap().due_ms - bench.clock.now_ms() <= 3_600_000);
    assert_eq!(bench.marked().await, [1, 2]);

    // Asked for, it runs now.
    control::retry(&bench.store, "cron:hourly", &bench.clock).await.unwrap();
    bench.until_marked(&[1, 2, 3]).await;

    // Other arguments keep the mark, other times move it, an entry that is gone is gone.
    let other = hourly.replace("step = 1", "step = 10");
    bench.activate(&other, FUNCTIONS).await;
    bench
        .until("other arguments", async |bench| {
            bench.job("cron:hourly").await.is_some_and(|job| job.args == json!({ "step": 10 }))
        })
        .await;
    bench.clock.advance(minutes(60));
    bench.until_marked(&[1, 2, 3, 13]).await;
    bench.activate(&other.replace("0 * * * *", "0 0 1 1 *"), FUNCTIONS).await;
    bench
        .until("another time", async |bench| {
            bench.job("cron:hourly").await.is_some_and(|job| job.cron.as_deref() == Some("0 0 1 1 *"))
        })
        .await;
    bench.activate(MANIFEST, FUNCTIONS).await;
    bench.until_no_jobs().await;
    bench.sound().await;
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_that_fails_goes_on_and_leaves_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let daily = format!(
        "{MANIFEST}[[cron]]\nname = \"daily\"\nschedule = \"0 0 * * *\"\ncall = \"poor\"\nargs = {{ n = 1 }}\n"
    );
    let bench = Bench::open(folder.path(), &daily).await;
    bench.until("the cron", async |bench| bench.job("cron:daily").await.is_some()).await;
    for attempts in [1, 2] {
        bench.clock.advance(minutes(24 * 60));
        bench
            .until("a failure", async |bench| bench.job("cron:daily").await.is_some_and(|job| job.attempts == attempts))
            .await;
    }
    bench.clock.advance(minutes(5));
    bench.until("a dead letter", async |bench| bench.jobs(Some(JobState::Dead)).await.len() == 1).await;
    let dead = bench.jobs(Some(JobState::Dead)).await.remove(0);
    assert_eq!((dead.job.function.as_str(), dead.job.attempts, dead.job.cron), ("poor", 3, None));
    let cron = bench.job("cron:daily").await.unwrap();
    assert_eq!((cron.state, cron.attempts), (JobState::Waiting, 0));
    assert!(cron.due_ms > bench.clock.now_ms());
    control::cancel(&bench.store, dead.id.as_str()).await.unwrap();
    assert_eq!(bench.jobs(None).await.len(), 1);
    bench.sound().await;
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_release_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::still(folder.path(), MANIFEST).await;
    bench.good("markLater", json!({ "from": 1, "to": 3, "after": 0 })).await;
    bench.close().await;
    let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
    let engine = Engine::start(store.clone(), PoolOptions::default()).unwrap();
    let scheduler = Scheduler::start(engine.clone(), Clock::system());
    let count = async || control::list(&store, JobFilter::default(), None).await.unwrap().jobs.len();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(count().await, 2);
    }
    let app = compile(&sources(MANIFEST, FUNCTIONS)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    engine.activate(app).await.unwrap();
    while count().await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scheduler.stop().await;
    engine.close().await;
}

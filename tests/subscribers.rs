//! Subscriptions over real sockets against a model: hundreds of seeds, each a storm of changes under subscribers that come and
//! go, resume, take patches or are slow, and now and then a kill -9.
//!
//! [`model`] knows what each query gives at each commit, since every change is answered with its commit; a change that a kill
//! left without an answer is asked for again with its idempotency key. What [`subscriber`]s were sent is held against that when
//! a seed is over. A failure tells its seed; `WEIR_TESTS_SEED` repeats it, as far as what runs side by side can be repeated.

mod model;
mod patch;
mod subscriber;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use self::model::{APP, Change, Commit, History};
use self::subscriber::Subscriber;
use crate::apps::App;
use crate::kills::connection::Connection;
use crate::kills::random::Random;
use crate::weir::{Dev, say};

/// Seeds in all; on a machine that is busy so many as are done after [`ENOUGH`], and no less than [`SEEDS_MIN`].
const SEEDS: u64 = 150;
const SEEDS_MIN: usize = 50;
const ENOUGH: Duration = Duration::from_secs(60);
/// How often a seed is run that is asked for.
const REPEATS: u64 = 20;
/// One in so many has a kill in its middle.
const KILL_ONE_IN: u64 = 25;
/// Who changes something at the same time.
const WRITERS: u64 = 2;
/// Calls of each writer.
const CALLS: usize = 12;
/// Changes of one call.
const CHANGES_MAX: u64 = 4;
/// Sockets of each seed. The last is slow.
const SOCKETS: u64 = 3;
/// The longest that a writer waits between two calls, in milliseconds.
const PAUSE_MS: u64 = 4;

/// How often what happened.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    subscriptions: usize,
    values: usize,
    patches: usize,
    failures: usize,
    resumed_in_silence: usize,
    overtaken: usize,
    kills: usize,
}

#[test]
fn every_message_is_the_value_at_its_commit() {
    let named = env::var("WEIR_TESTS_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let first = named.unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64);
    let seeds: Vec<u64> =
        if named.is_some() { vec![first; REPEATS as usize] } else { (first..first + SEEDS).collect() };
    let app = App::of(APP);
    let mut dev = Dev::start(&app);
    let mut tally = Tally::default();
    let (started, mut rounds) = (Instant::now(), 0);
    for (round, seed) in seeds.iter().enumerate() {
        if round >= SEEDS_MIN && started.elapsed() > ENOUGH {
            break;
        }
        rounds = round + 1;
        let storm = AssertUnwindSafe(|| storm(&app, &mut dev, *seed, round, &mut tally));
        if let Err(panic) = catch_unwind(storm) {
            say(&format!("subscribers: WEIR_TESTS_SEED={seed}"));
            resume_unwind(panic);
        }
    }
    assert_eq!(dev.stop(), Some(0));
    say(&format!("subscribers: {rounds} seeds in {:.1?}: {tally:?}", started.elapsed()));
    let Tally { subscriptions, values, patches, failures, resumed_in_silence, overtaken, kills } = tally;
    let counts = [subscriptions, values, patches, failures, resumed_in_silence, overtaken, kills];
    assert!(named.is_some() || counts.iter().all(|count| *count > 0), "a case did not come up: {tally:?}");
}

const TOGGLED: &str = r#"
    import { collection, procedure, query, type Int } from "weir";
    export interface Mark { n: Int }
    export const marks = collection<Mark>();
    export const text = query((): string => `${marks.all().length}`.repeat(200_000));
    export const toggle = procedure((): boolean => {
      const mark = marks.all()[0];
      if (mark) marks.delete(mark.id);
      else marks.insert({ n: 1 });
      return !mark;
    });
"#;
/// How often nobody reads for a while, and how often a value goes there or back meanwhile: more than all buffers hold. Odd, so
/// that it ends once with the one and once with the other.
const SILENCES: usize = 6;
const TOGGLES: usize = 25;

/// What a slow reader has missed may end with the value that he has.
#[test]
fn a_slow_reader_is_not_sent_the_value_that_he_has() {
    let app = App::of(TOGGLED);
    let dev = Dev::start(&app);
    for weir in [json!({}), json!({ "delta": "json-patch" })] {
        let mut socket = subscriber::slow_socket(&dev.url).unwrap();
        let payload = json!({ "query": "subscription { text }", "extensions": { "weir": weir } });
        socket.send(&json!({ "id": "text", "type": "subscribe", "payload": payload }));
        let mut data = Value::Null;
        for silence in 0..SILENCES {
            (0..TOGGLES).for_each(|_| drop(dev.client().data("mutation { toggle }")));
            let marker = format!("marker {silence}");
            let payload = json!({ "query": "{ __typename }" });
            socket.send(&json!({ "id": marker, "type": "subscribe", "payload": payload }));
            loop {
                let mut message: Value = serde_json::from_str(&socket.message().unwrap()).unwrap();
                if message["id"] == "text" {
                    let before = data.clone();
                    match message["payload"]["extensions"]["weir"].get("patch") {
                        Some(patch) => patch::apply(&mut data, patch).unwrap(),
                        None => data = message["payload"]["data"].take(),
                    }
                    assert!(data != before, "the same again: {}", message["payload"]["extensions"]);
                } else if message["id"] == marker.as_str() && message["type"] == "complete" {
                    break;
                }
            }
        }
    }
}

/// One seed, from nothing to nothing left to check.
fn storm(app: &App, dev: &mut Dev, seed: u64, round: usize, tally: &mut Tally) {
    let url = dev.url.clone();
    let empty = clear(&url);
    let known = AtomicU64::new(empty);
    let mut writers: Vec<Writer> = (0..WRITERS).map(|writer| Writer::new(seed, round, writer)).collect();
    let mut subscribers: Vec<Subscriber> = (0..SOCKETS)
        .map(|socket| Subscriber::new(Random::of(seed, &[1, socket]), socket, socket + 1 == SOCKETS))
        .collect();
    if seed.is_multiple_of(KILL_ONE_IN) {
        let moment = Duration::from_millis(20 + Random::of(seed, &[2]).below(60));
        phase(&url, &known, &mut writers, &mut subscribers, || {
            thread::sleep(moment);
            dev.process.kill();
        });
        *dev = Dev::start_again(app, &url);
        tally.kills += 1;
    }
    phase(&url, &known, &mut writers, &mut subscribers, || {});

    let commits: Vec<Commit> = writers.into_iter().flat_map(|writer| writer.commits).collect();
    assert_eq!(commits.len(), WRITERS as usize * CALLS);
    let history = History::of(empty, commits);
    thread::scope(|scope| {
        for subscriber in &mut subscribers {
            scope.spawn(|| subscriber.settle(&url, &known, &history));
        }
    });
    subscribers.iter().for_each(|subscriber| subscriber.check(&history, tally));
}

/// Lets writers write and subscribers read until the writers are done, or the server is gone.
fn phase(
    url: &str,
    known: &AtomicU64,
    writers: &mut [Writer],
    subscribers: &mut [Subscriber],
    meanwhile: impl FnOnce(),
) {
    let is_over = &AtomicBool::new(false);
    thread::scope(|scope| {
        for subscriber in subscribers {
            scope.spawn(move || subscriber.run(url, known, is_over));
        }
        let writing: Vec<_> = writers.iter_mut().map(|writer| scope.spawn(move || writer.run(url, known))).collect();
        meanwhile();
        let ended: Vec<_> = writing.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Release);
        ended.into_iter().for_each(Result::unwrap);
    });
}

/// Removes everything; the commit after which there is nothing.
fn clear(url: &str) -> u64 {
    let request = json!({ "query": "mutation { clear }" });
    let answer = Connection::open(url).and_then(|mut connection| connection.post(&request, None)).unwrap();
    assert!(answer.get("errors").is_none(), "{answer}");
    commit(&answer)
}

/// The commit of a mutation's answer.
fn commit(answer: &Value) -> u64 {
    answer["extensions"]["weir"]["commit"].as_str().and_then(|commit| commit.parse().ok()).expect("a commit")
}

/// One who changes things, call after call.
struct Writer {
    random: Random,
    name: String,
    /// The changes of a call that was not answered.
    unanswered: Option<Vec<Change>>,
    commits: Vec<Commit>,
}

impl Writer {
    fn new(seed: u64, round: usize, writer: u64) -> Self {
        let name = format!("{seed}-{round}-{writer}");
        Self { random: Random::of(seed, &[0, writer]), name, unanswered: None, commits: Vec::new() }
    }

    /// Goes on until all calls are made, or the server is gone.
    fn run(&mut self, url: &str, known: &AtomicU64) {
        let Ok(mut connection) = Connection::open(url) else { return };
        while self.commits.len() < CALLS {
            let draw = |random: &mut Random| (0..1 + random.below(CHANGES_MAX)).map(|_| Change::draw(random)).collect();
            let changes: Vec<Change> = self.unanswered.take().unwrap_or_else(|| draw(&mut self.random));
            let arguments: Vec<Value> = changes.iter().map(Change::argument).collect();
            let query = "mutation ($changes: [ChangeInput!]!) { change(changes: $changes) }";
            let request = json!({ "query": query, "variables": { "changes": arguments } });
            let key = format!("{}-{}", self.name, self.commits.len());
            let Ok(answer) = connection.post(&request, Some(&key)) else {
                self.unanswered = Some(changes);
                return;
            };
            assert!(answer.get("errors").is_none(), "{answer}");
            let ids = answer["data"]["change"].as_array().expect("a list").clone();
            known.fetch_max(commit(&answer), Ordering::AcqRel);
            self.commits.push((commit(&answer), changes, ids));
            thread::sleep(Duration::from_millis(self.random.below(PAUSE_MS)));
        }
    }
}

//! Random commits, runs, readers and watchers against a model that computes every result anew at every commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use weir_sandbox::protocol::{Observed, ScriptCaller};
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_store::{Head, Notice, ReadSet};

use super::*;
use crate::call::CallError;
use crate::content::Content;

const KEYS: usize = 12;
const STEPS: usize = 80;
const CALLERS: [(&str, Option<&str>); 3] = [("user", Some("ada")), ("user", Some("bob")), ("anonymous", None)];
/// Enough for some results and not for all.
const BYTES_MAX: usize = 24 * 1_024;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A function of the model: what it reads, and what else it looks at.
#[derive(Clone, Copy)]
struct Function {
    from: usize,
    to: usize,
    kind: bool,
    subject: bool,
    /// Only if the first key it reads is odd does it look at the caller.
    sometimes: bool,
    time: bool,
}

const FUNCTIONS: [Function; 6] = [
    Function { from: 0, to: 4, kind: false, subject: false, sometimes: false, time: false },
    Function { from: 3, to: 4, kind: false, subject: false, sometimes: false, time: false },
    Function { from: 2, to: 9, kind: true, subject: false, sometimes: false, time: false },
    Function { from: 5, to: 8, kind: true, subject: true, sometimes: true, time: false },
    Function { from: 8, to: 12, kind: false, subject: true, sometimes: true, time: false },
    Function { from: 1, to: 3, kind: false, subject: false, sometimes: false, time: true },
];

type State = [u64; KEYS];

struct Model {
    /// The state at each commit, from the first, which is empty.
    states: Vec<State>,
    /// Commits whose notices are not out.
    unseen: Vec<Arc<Notice>>,
    core: Core<usize>,
    runs: Vec<(Departure, usize, usize, usize)>,
    joined: Vec<(Arc<Flight>, usize, usize, Head)>,
    watchers: Vec<Watcher>,
    due: Vec<u64>,
    again: Vec<(u64, Arc<Published>)>,
    /// What makes one look at the clock different from another.
    ticks: u64,
}

struct Watcher {
    function: usize,
    caller: usize,
    watching: Watching,
    last: Option<(Timestamp, Option<Value>)>,
}

fn key(number: usize) -> Vec<u8> {
    let mut key = b"D\0\0\0\x01".to_vec();
    key.push(number as u8);
    key
}

fn question(function: usize) -> QueryKey {
    QueryKey { release: 1, function, arguments: "{}".into() }
}

fn caller(number: usize) -> ScriptCaller {
    let (kind, subject) = CALLERS[number];
    ScriptCaller { kind, subject: subject.map(str::to_owned) }
}

fn head(sequence: usize) -> Head {
    Head { sequence: sequence as u64, timestamp: Timestamp(sequence as u64 * 10), ..Head::default() }
}

/// What a function gives on a state: a value, or nothing where it fails.
fn result(function: usize, who: usize, state: &State) -> (Option<Value>, Looked) {
    let Function { from, to, kind, subject, sometimes, time } = FUNCTIONS[function];
    let (mut looked, caller) = (Looked::default(), caller(who));
    let mut seen = json!({ "keys": &state[from..to] });
    if !sometimes || state[from] % 2 == 1 {
        if kind {
            looked.at(Observed::Kind);
            seen["kind"] = json!(caller.kind);
        }
        if subject {
            looked.at(Observed::Subject);
            seen["subject"] = json!(caller.subject);
        }
    }
    if time {
        looked.at(Observed::Time);
    }
    let fails = state[from..to].iter().sum::<u64>() % 11 == 10;
    ((!fails).then_some(seen), looked)
}

fn shown(result: &Result<Arc<Content>, CallError>) -> Option<Value> {
    match result {
        Ok(content) => Some(content.value().clone()),
        Err(_) => None,
    }
}

/// Whether it is a failure that says nothing of the function.
fn is_passing(result: &Result<Arc<Content>, CallError>) -> bool {
    result.as_ref().is_err_and(|error| error.code == ErrorCode::Unavailable)
}

impl Model {
    fn new() -> Self {
        Self {
            states: vec![[0; KEYS]],
            unseen: Vec::new(),
            core: Core::new(head(0), BYTES_MAX),
            runs: Vec::new(),
            joined: Vec::new(),
            watchers: Vec::new(),
            due: Vec::new(),
            again: Vec::new(),
            ticks: 0,
        }
    }

    fn newest(&self) -> usize {
        self.states.len() - 1
    }

    /// What somebody was given has to be the result at the commit that it is said to be of.
    fn check(&self, function: usize, who: usize, commit: Timestamp, given: Option<&Value>) {
        assert_eq!(commit.0 % 10, 0);
        let state = &self.states[(commit.0 / 10) as usize];
        let mut given = given.cloned();
        if let Some(Value::Object(members)) = &mut given {
            members.remove("tick");
        }
        assert_eq!(given, result(function, who, state).0, "{function} for {who} at {commit}");
    }

    fn commit(&mut self, random: &mut Random) {
        let mut state = self.states[self.newest()];
        let mut touched = BTreeMap::new();
        for _ in 0..=random.below(2) {
            let at = random.below(KEYS);
            // Some writes change nothing.
            state[at] = if random.chance(20) { state[at] } else { random.below(8) as u64 };
            touched.insert(key(at), ());
        }
        self.states.push(state);
        let Head { sequence, timestamp, .. } = head(self.newest());
        let touched: Vec<_> = touched.into_keys().collect();
        self.unseen.push(Arc::new(Notice { timestamp, sequence, touched: touched.into_boxed_slice() }));
    }

    fn deliver(&mut self, commits: usize) {
        for notice in self.unseen.drain(..commits.min(self.unseen.len())) {
            self.core.apply(&notice);
        }
    }

    fn read(&mut self, function: usize, who: usize) {
        let applied = self.core.applied();
        match self.core.read(&question(function), &caller(who)) {
            Reading::There(published) => {
                assert_eq!(published.commit, applied.timestamp);
                assert!(published.result.is_ok() && !FUNCTIONS[function].time, "kept what must not be");
                self.check(function, who, published.commit, shown(&published.result).as_ref());
            }
            Reading::Joined(flight, arrival) => self.joined.push((flight, function, who, arrival)),
            Reading::Run(departure) => self.runs.push((departure, function, who, self.newest())),
        }
    }

    fn start_due(&mut self, at: usize) {
        let id = self.due.swap_remove(at);
        if let Some((departure, watcher)) = self.core.depart_for(id) {
            self.runs.push((departure, watcher / CALLERS.len(), watcher % CALLERS.len(), self.newest()));
        }
    }

    fn land(&mut self, at: usize, random: &mut Random) {
        let (departure, function, who, saw) = self.runs.swap_remove(at);
        if random.chance(10) {
            self.due.extend(self.core.give_up(departure));
        } else if random.chance(10) {
            let head = self.core.applied();
            let error = CallError::new(ErrorCode::Unavailable, "the machine is busy");
            let (reads, looked) = (ReadSet::default(), Looked::default());
            let end = RunEnd { result: Err(error), head, reads, looked, cost: Duration::ZERO, may_pass: true };
            self.core.land(departure, &question(function), &caller(who), end);
        } else {
            // What a run saw is out before it lands.
            let applied = self.core.applied().sequence as usize;
            self.deliver(saw.saturating_sub(applied));
            let (value, looked) = result(function, who, &self.states[saw]);
            self.ticks += 1;
            let tick = self.ticks;
            let value = value.map(|mut value| {
                if looked.is_volatile {
                    value["tick"] = json!(tick);
                }
                Arc::new(Content::from(value))
            });
            let Function { from, to, .. } = FUNCTIONS[function];
            let mut reads = ReadSet::default();
            reads.add_range(key(from)..key(to));
            let end = RunEnd {
                result: value.ok_or_else(|| CallError::new(ErrorCode::FunctionFailed, "a sum of ten")),
                head: head(saw),
                reads,
                looked,
                cost: Duration::from_micros(random.below(500) as u64),
                may_pass: false,
            };
            let landing = self.core.land(departure, &question(function), &caller(who), end);
            self.check(function, who, landing.commit, shown(&landing.result).as_ref());
        }
        for (flight, function, who, arrival) in std::mem::take(&mut self.joined) {
            match flight.landed() {
                None => self.joined.push((flight, function, who, arrival)),
                Some(Some(landing)) if landing.serves(&caller(who), arrival.sequence) => {
                    let commit = landing.commit.max(arrival.timestamp);
                    if !is_passing(&landing.result) {
                        assert!(!FUNCTIONS[function].time, "shared what must not be");
                        self.check(function, who, commit, shown(&landing.result).as_ref());
                    }
                }
                Some(_) => self.read(function, who),
            }
        }
    }

    fn watch(&mut self, function: usize, who: usize) {
        let number = function * CALLERS.len() + who;
        let watching = self.core.watch(&question(function), &caller(who), number);
        self.watchers.push(Watcher { function, caller: who, watching, last: None });
    }

    /// A watcher takes what there is.
    fn take(&mut self, at: usize) {
        let number = self.watchers[at].number();
        loop {
            let Watcher { function, caller: who, watching, last } = &mut self.watchers[at];
            let first = watching.first.take();
            let seen = match first {
                Some(first) => Feed::Published(first),
                None => match watching.feed.changed().now_or_never() {
                    None => return,
                    Some(changed) => {
                        changed.unwrap();
                        watching.feed.borrow_and_update().clone()
                    }
                },
            };
            let published = match seen {
                Feed::Nothing => continue,
                Feed::Published(published) => published,
                Feed::Moved => {
                    self.core.unwatch(watching.id);
                    *watching = self.core.watch(&question(*function), &caller(*who), number);
                    continue;
                }
            };
            let Some(commit) = watching.takes(&published) else { continue };
            let value = shown(&published.result);
            if let Some((before, _)) = last {
                assert!(*before <= commit, "a watcher was taken back");
            }
            *last = Some((commit, value.clone()));
            let (function, who) = (*function, *who);
            // What may pass says nothing of the state.
            if !is_passing(&published.result) {
                self.check(function, who, commit, value.as_ref());
            }
        }
    }

    fn step(&mut self, random: &mut Random) {
        let (function, who) = (random.below(FUNCTIONS.len()), random.below(CALLERS.len()));
        match random.below(100) {
            0..15 => self.commit(random),
            15..32 => {
                let commits = random.below(3);
                self.deliver(commits);
            }
            32..34 => {
                self.unseen.clear();
                self.core.miss(head(self.newest()));
            }
            34..52 => self.read(function, who),
            52..62 if self.watchers.len() < 8 => self.watch(function, who),
            62..66 if !self.watchers.is_empty() => {
                let gone = self.watchers.swap_remove(random.below(self.watchers.len()));
                self.core.unwatch(gone.watching.id);
            }
            66..67 if !self.again.is_empty() => self.try_again(),
            67..80 if !self.due.is_empty() => self.start_due(random.below(self.due.len())),
            80..95 if !self.runs.is_empty() => self.land(random.below(self.runs.len()), random),
            _ if !self.watchers.is_empty() => self.take(random.below(self.watchers.len())),
            _ => {}
        }
        self.note();
    }

    /// Sees what there is to do.
    fn note(&mut self) {
        self.due.extend(self.core.take_due());
        self.again.extend(self.core.take_again().into_iter().map(|(id, _, failed)| (id, failed)));
    }

    fn try_again(&mut self) {
        for (id, failed) in std::mem::take(&mut self.again) {
            self.core.try_again(id, &failed);
        }
        self.note();
    }

    /// Lets all that is under way come to its end.
    fn rest(&mut self, random: &mut Random) {
        for _ in 0..1_000 {
            self.deliver(usize::MAX);
            self.try_again();
            while !self.due.is_empty() {
                self.start_due(0);
            }
            if self.runs.is_empty() {
                (0..self.watchers.len()).for_each(|at| self.take(at));
                self.note();
                if self.due.is_empty() && self.runs.is_empty() && self.again.is_empty() {
                    return;
                }
            } else {
                self.land(0, random);
                self.note();
            }
        }
        panic!("it does not come to rest");
    }

    fn end(mut self, random: &mut Random) {
        self.rest(random);
        assert!(self.joined.is_empty() && self.core.flights.is_at_rest());
        let newest = self.states[self.newest()];
        for Watcher { function, caller, last, .. } in &self.watchers {
            let mut last = last.clone().map(|(_, value)| value).expect("a watcher got nothing");
            if let Some(Value::Object(members)) = &mut last {
                members.remove("tick");
            }
            assert_eq!(last, result(*function, *caller, &newest).0, "a watcher does not have the newest value");
        }
        for watcher in std::mem::take(&mut self.watchers) {
            self.core.unwatch(watcher.watching.id);
        }
        let Core { entries, listed, idle, bytes, .. } = &self.core;
        assert!(entries.len() == idle.len() && listed.len() == idle.len(), "something is kept that nobody finds");
        assert!(*bytes <= BYTES_MAX);
        assert_eq!(entries.values().map(|entry| entry.bytes).sum::<usize>(), *bytes);
        self.core.retire_all_but(2);
        assert!(self.core.entries.is_empty() && self.core.bytes() == 0);
    }
}

impl Watcher {
    /// Names the watcher to the core: by what it asks, since any of those who ask the same will do.
    fn number(&self) -> usize {
        self.function * CALLERS.len() + self.caller
    }
}

#[test]
fn whatever_happens_everybody_has_the_result_of_one_commit_and_at_last_of_the_newest() {
    for seed in 0..10_000 {
        let random = &mut Random(seed);
        let mut model = Model::new();
        for _ in 0..STEPS {
            model.step(random);
        }
        model.end(random);
    }
}

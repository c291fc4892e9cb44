//! Random commits, runs, readers and watchers against a model that computes every result anew at every commit.

mod functions;
mod order;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use weir_sandbox::protocol::ScriptCaller;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_store::{Head, Notice, ReadSet};

use self::functions::{FUNCTIONS, Function, is_volatile, result};
use super::*;
use crate::call::CallError;
use crate::content::Content;
use crate::results::flight::{ViewRead, ViewRun, ViewSource};
use crate::results::key::Looked;

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

type State = [u64; KEYS];

struct Model {
    /// The state at each commit, from the first, which is empty.
    states: Vec<State>,
    /// Commits whose notices are not out.
    unseen: Vec<Arc<Notice>>,
    core: Core<usize>,
    runs: Vec<Run>,
    joined: Vec<(Arc<Flight>, usize, usize, Head)>,
    watchers: Vec<Watcher>,
    due: Vec<u64>,
    again: Vec<(u64, Arc<Published>)>,
    /// What makes one look at the clock different from another.
    ticks: u64,
    /// How often a run has found the result of a view.
    kept_views: u64,
}

/// A run in progress.
struct Run {
    departure: Departure,
    function: usize,
    caller: usize,
    /// The commit whose state it sees.
    saw: usize,
    /// What it has computed so far: all, or nothing.
    computed: Option<Computed>,
}

/// What a function gave, and all that this depends on.
struct Computed {
    value: Option<Value>,
    looked: Looked,
    reads: ReadSet,
    read: Vec<usize>,
    /// All views of the run.
    views: Vec<ViewRead<usize>>,
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
    QueryKey { release: 1, function, arguments: "{}".into(), within: None }
}

fn caller(number: usize) -> ScriptCaller {
    let (kind, subject) = CALLERS[number];
    ScriptCaller { subject: subject.map(str::to_owned), ..ScriptCaller::without_token(kind) }
}

fn head(sequence: usize) -> Head {
    Head { sequence: sequence as u64, timestamp: Timestamp(sequence as u64 * 10), ..Head::default() }
}

/// The members that are another each time are not compared.
fn without_ticks(value: &mut Value) {
    if let Value::Object(members) = value {
        members.remove("tick");
        members.values_mut().for_each(without_ticks);
    }
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
            kept_views: 0,
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
        given.iter_mut().for_each(without_ticks);
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
                assert!(published.result.is_ok() && !is_volatile(function), "kept what must not be");
                self.check(function, who, published.commit, shown(&published.result).as_ref());
            }
            Reading::Joined(flight, arrival) => self.joined.push((flight, function, who, arrival)),
            Reading::Run(departure) => self.start(departure, function, who),
        }
    }

    fn start(&mut self, departure: Departure, function: usize, caller: usize) {
        let saw = self.newest();
        // Some have computed all long before they land.
        self.ticks += 1;
        let computed = self.ticks.is_multiple_of(2).then(|| self.compute(function, caller, saw));
        self.runs.push(Run { departure, function, caller, saw, computed });
    }

    /// What a run of a function does, which asks for the views that it calls.
    fn compute(&mut self, function: usize, who: usize, saw: usize) -> Computed {
        let mut views = (Vec::new(), BTreeMap::new());
        let (value, looked, reads, read) = self.compute_part(function, who, saw, &mut views);
        Computed { value, looked, reads, read, views: views.0 }
    }

    #[allow(clippy::type_complexity, reason = "a function and what it depends on")]
    fn compute_part(
        &mut self,
        function: usize,
        who: usize,
        saw: usize,
        views: &mut (Vec<ViewRead<usize>>, BTreeMap<usize, (usize, Looked)>),
    ) -> (Option<Value>, Looked, ReadSet, Vec<usize>) {
        let state = self.states[saw];
        let Function { from, to, .. } = FUNCTIONS[function];
        let (mut value, mut looked) = result(function, who, &state);
        if looked.is_volatile {
            self.ticks += 1;
            let tick = self.ticks;
            value.iter_mut().for_each(|value| value["tick"] = json!(tick));
        }
        let (mut reads, mut read) = (ReadSet::default(), Vec::new());
        if from < to {
            reads.add_range(key(from)..key(to));
        }
        for called in FUNCTIONS[function].calls_on(&state) {
            if let Some((place, of_view)) = views.1.get(called) {
                looked.and(*of_view);
                read.push(*place);
                continue;
            }
            let sponsor = called * CALLERS.len() + who;
            if let Some(kept) = self.core.view(&question(*called), &caller(who), saw as u64) {
                self.kept_views += 1;
                let mut given = Some(kept.content.value().clone());
                given.iter_mut().for_each(without_ticks);
                assert_eq!(given, result(*called, who, &state).0, "another state's view");
                looked.and(Looked { claims: kept.claims, is_volatile: false });
                views.1.insert(*called, (views.0.len(), Looked { claims: kept.claims, is_volatile: false }));
                read.push(views.0.len());
                let source = ViewSource::Kept(kept.id);
                views.0.push(ViewRead { key: question(*called), sponsor, content: kept.content, source });
                continue;
            }
            let (given, of_view, its_reads, its_read) = self.compute_part(*called, who, saw, views);
            looked.and(of_view);
            match given {
                Some(given) if !of_view.is_volatile => {
                    let run = ViewRun { reads: its_reads, read: its_read, looked: of_view, cost: Duration::ZERO };
                    views.1.insert(*called, (views.0.len(), of_view));
                    read.push(views.0.len());
                    let (content, source) = (Arc::new(Content::from(given)), ViewSource::Run(run));
                    views.0.push(ViewRead { key: question(*called), sponsor, content, source });
                }
                _ => {
                    reads.merge(its_reads);
                    read.extend(its_read);
                }
            }
        }
        (value, looked, reads, read)
    }

    fn start_due(&mut self, at: usize) {
        let id = self.due.swap_remove(at);
        if let Some((departure, watcher)) = self.core.depart_for(id) {
            self.start(departure, watcher / CALLERS.len(), watcher % CALLERS.len());
        }
    }

    fn land(&mut self, at: usize, random: &mut Random) {
        let Run { departure, function, caller: who, saw, computed } = self.runs.swap_remove(at);
        if random.chance(10) {
            self.due.extend(self.core.give_up(departure));
        } else if random.chance(10) {
            let head = self.core.applied();
            let error = CallError::new(ErrorCode::Unavailable, "the machine is busy");
            let end = RunEnd {
                result: Err(error),
                head,
                reads: ReadSet::default(),
                views: Vec::new(),
                read: Vec::new(),
                looked: Looked::default(),
                cost: Duration::ZERO,
                may_pass: true,
            };
            self.core.land(departure, &question(function), &caller(who), end);
        } else {
            // What a run saw is out before it lands.
            let applied = self.core.applied().sequence as usize;
            self.deliver(saw.saturating_sub(applied));
            let computed = computed.unwrap_or_else(|| self.compute(function, who, saw));
            let Computed { value, looked, reads, read, views } = computed;
            let value = value.map(|value| Arc::new(Content::from(value)));
            let end = RunEnd {
                result: value.ok_or_else(|| CallError::new(ErrorCode::FunctionFailed, "a sum of ten")),
                head: head(saw),
                reads,
                views,
                read,
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
                        assert!(!is_volatile(function), "shared what must not be");
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
        let roll = random.below(100);
        self.act(roll, function, who, random);
        let is_of_use = |entry: &Entry<usize>| entry.is_fresh() || entry.is_needed() || entry.flight.is_some();
        assert!(self.core.entries.values().all(|entry| is_of_use(entry)), "something is kept that nobody needs");
    }

    fn act(&mut self, roll: usize, function: usize, who: usize, random: &mut Random) {
        match roll {
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

    /// Gives how often a run has found the result of a view.
    fn end(mut self, random: &mut Random) -> u64 {
        self.rest(random);
        assert!(self.joined.is_empty() && self.core.flights.is_at_rest());
        let newest = self.states[self.newest()];
        for Watcher { function, caller, last, .. } in &self.watchers {
            let mut last = last.clone().map(|(_, value)| value).expect("a watcher got nothing");
            last.iter_mut().for_each(without_ticks);
            assert_eq!(last, result(*function, *caller, &newest).0, "a watcher does not have the newest value");
        }
        for watcher in std::mem::take(&mut self.watchers) {
            self.core.unwatch(watcher.watching.id);
        }
        let Core { entries, listed, idle, bytes, .. } = &self.core;
        let held = entries.values().filter(|entry| !entry.dependents.is_empty()).count();
        assert!(
            entries.len() == idle.len() + held && listed.len() == entries.len(),
            "something is kept that nobody finds"
        );
        for (id, entry) in entries {
            assert!(entry.is_fresh() && entry.needed_by == 0);
            let has_dependent = |view: u64| entries[&view].dependents.contains(id);
            assert!(entry.views().into_iter().all(has_dependent), "a view does not know what was computed from it");
        }
        assert!(*bytes <= BYTES_MAX);
        assert_eq!(entries.values().map(|entry| entry.bytes).sum::<usize>(), *bytes);
        self.core.retire_all_but(&[2]);
        assert!(self.core.entries.is_empty() && self.core.bytes() == 0);
        self.kept_views
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
    let play = |seeds: std::ops::Range<u64>| {
        let mut kept_views = 0;
        for seed in seeds {
            let random = &mut Random(seed);
            let mut model = Model::new();
            for _ in 0..STEPS {
                model.step(random);
            }
            kept_views += model.end(random);
        }
        kept_views
    };
    let kept_views: u64 = std::thread::scope(|scope| {
        let halves = [scope.spawn(|| play(0..5_000)), scope.spawn(|| play(5_000..10_000))];
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    assert!(kept_views > 1_000, "only {kept_views} views were found");
}

/// Asks with arguments of some number, and runs what is not there. Whether it was.
fn ask(core: &mut Core<usize>, number: usize) -> bool {
    let key = QueryKey { release: 1, function: 0, arguments: format!("{{\"n\":{number}}}").into(), within: None };
    match core.read(&key, &caller(0)) {
        Reading::There(_) => true,
        Reading::Joined(..) => panic!("nobody else asks"),
        Reading::Run(departure) => {
            let end = RunEnd {
                result: Ok(Arc::new(Content::from(json!(number)))),
                head: core.applied(),
                reads: ReadSet::default(),
                views: Vec::new(),
                read: Vec::new(),
                looked: Looked::default(),
                cost: Duration::from_micros(100),
                may_pass: false,
            };
            core.land(departure, &key, &caller(0), end);
            false
        }
    }
}

#[test]
fn what_is_asked_once_makes_nothing_go_and_what_is_asked_again_finds_room() {
    let mut core = Core::<usize>::new(head(0), BYTES_MAX);
    let first: Vec<usize> = (0..10).collect();
    for number in &first {
        ask(&mut core, *number);
    }
    assert!(first.iter().all(|number| ask(&mut core, *number)), "there is room for all");
    for number in 1_000..2_000 {
        assert!(!ask(&mut core, number));
    }
    assert!(first.iter().all(|number| ask(&mut core, *number)), "what nobody asks for again has made others go");
    assert!(!ask(&mut core, 3_000) && !ask(&mut core, 3_000), "what is asked again is run once more");
    // Which of equals goes is left to chance.
    assert!((0..10).any(|_| ask(&mut core, 3_000)), "what is asked for time and again finds no room");
    assert!(core.bytes() <= BYTES_MAX);
}

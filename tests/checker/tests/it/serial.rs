//! Random serial executions pass, and a stale read in them is found.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_checker::{Operation, Outcome, Transaction, check};

/// What a step is about: small numbers, so that steps meet.
type Step = (Kind, u8, i64);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Append,
    List,
    Write,
    Read,
    Insert,
    Move,
    Delete,
    Range,
}

/// How a transaction is recorded, and what for.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Committed,
    Aborted,
    Unknown,
    /// Unknown to its client, but it took effect.
    Hidden,
}

/// All lists, registers and rows at one time.
#[derive(Debug, Clone, Default)]
struct State {
    lists: BTreeMap<String, Vec<u64>>,
    items: BTreeMap<String, (u64, Option<i64>)>,
}

/// Runs transactions one after the other.
#[derive(Default)]
struct Run {
    history: Vec<Transaction>,
    /// Before the first transaction, and after each.
    states: Vec<State>,
    written: u64,
}

impl State {
    fn range(&self, from: i64, to: i64) -> Operation {
        let inside = self.items.iter().filter(|(_, (_, at))| at.is_some_and(|at| (from..to).contains(&at)));
        Operation::Range { from, to, rows: inside.map(|(key, (value, _))| (key.clone(), *value)).collect() }
    }

    fn list(&self, key: &str) -> Operation {
        Operation::List { key: key.to_owned(), values: self.lists.get(key).cloned().unwrap_or_default() }
    }

    fn read(&self, key: &str) -> Operation {
        Operation::Read { key: key.to_owned(), value: self.items.get(key).map(|(value, _)| *value) }
    }

    fn row(&self, choice: u8) -> Option<String> {
        let rows: Vec<&String> = self.items.keys().filter(|key| key.starts_with('r')).collect();
        rows.get(usize::from(choice) % rows.len().max(1)).map(|key| (*key).clone())
    }

    /// All that can be read, to compare states.
    fn everything(&self) -> Vec<Operation> {
        let mut reads: Vec<Operation> = ["a", "b"].iter().map(|key| self.list(key)).collect();
        reads.extend(["x", "y"].iter().map(|key| self.read(key)));
        reads.push(self.range(0, 10));
        reads
    }
}

impl Run {
    fn value(&mut self) -> u64 {
        self.written += 1;
        self.written
    }

    fn take(&mut self, state: &mut State, (kind, choice, at): Step) -> Option<Operation> {
        let list = ["a", "b"][usize::from(choice) % 2].to_owned();
        let register = ["x", "y"][usize::from(choice) % 2].to_owned();
        match kind {
            Kind::Append => {
                let value = self.value();
                state.lists.entry(list.clone()).or_default().push(value);
                Some(Operation::Append { key: list, value })
            }
            Kind::List => Some(state.list(&list)),
            Kind::Write => self.write(state, register, None),
            Kind::Read => Some(state.read(&register)),
            Kind::Insert => {
                let key = format!("r{}", self.written);
                self.write(state, key, Some(at))
            }
            Kind::Move => {
                let key = state.row(choice)?;
                self.write(state, key, Some(at))
            }
            Kind::Delete => {
                let key = state.row(choice)?;
                let (over, _) = state.items.remove(&key)?;
                Some(Operation::Delete { key, over })
            }
            Kind::Range => Some(state.range(at, at + i64::from(choice % 4))),
        }
    }

    fn write(&mut self, state: &mut State, key: String, at: Option<i64>) -> Option<Operation> {
        let value = self.value();
        let over = state.items.insert(key.clone(), (value, at)).map(|(over, _)| over);
        Some(Operation::Write { key, over, value, at })
    }

    /// Runs a transaction at its place in the order; `early` and `late` stretch the time that it seems to take.
    fn transact(&mut self, steps: &[Step], fate: Fate, (early, late): (u64, u64)) {
        let before = self.states.last().cloned().unwrap_or_default();
        if self.states.is_empty() {
            self.states.push(before.clone());
        }
        let mut after = before.clone();
        let operations = steps.iter().filter_map(|step| self.take(&mut after, *step)).collect();
        let place = 100 + 10 * self.history.len() as u64;
        let (outcome, state) = match fate {
            Fate::Committed => (Outcome::Committed, after),
            Fate::Aborted => (Outcome::Aborted, before),
            Fate::Unknown => (Outcome::Unknown, before),
            Fate::Hidden => (Outcome::Unknown, after),
        };
        let (start, end) = (place - early, place + late);
        self.history.push(Transaction { client: 0, start, end, outcome, operations });
        self.states.push(state);
    }
}

fn steps() -> impl Strategy<Value = Step> {
    use Kind::{Append, Delete, Insert, List, Move, Range, Read, Write};
    let kinds = vec![Append, List, Write, Read, Insert, Insert, Move, Delete, Range, Range];
    (proptest::sample::select(kinds), any::<u8>(), 0..10i64)
}

fn transactions() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(steps(), 1..6)
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Committed), 1 => Just(Fate::Aborted), 1 => Just(Fate::Unknown), 1 => Just(Fate::Hidden)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn serial_executions_pass(
        transactions in proptest::collection::vec((transactions(), fates(), (0..40u64, 0..40u64)), 1..40),
        rotate in any::<proptest::sample::Index>(),
    ) {
        let mut run = Run::default();
        for (steps, fate, stretch) in transactions {
            run.transact(&steps, fate, stretch);
        }
        let middle = rotate.index(run.history.len());
        run.history.rotate_left(middle);
        let verdict = check(&run.history).unwrap();
        prop_assert!(verdict.is_strictly_serializable(), "{}", verdict);
    }

    #[test]
    fn a_stale_read_is_found(
        transactions in proptest::collection::vec(transactions(), 2..30),
        now in any::<proptest::sample::Index>(),
        past in any::<proptest::sample::Index>(),
        what in any::<proptest::sample::Index>(),
    ) {
        let mut run = Run::default();
        for steps in &transactions {
            run.transact(steps, Fate::Committed, (1, 1));
        }
        let now = now.index(run.states.len());
        let past = past.index(now + 1);
        let (fresh, stale) = (run.states[now].everything(), run.states[past].everything());
        let differing: Vec<&Operation> = stale.iter().filter(|read| !fresh.contains(read)).collect();
        prop_assume!(!differing.is_empty());
        let read = differing[what.index(differing.len())].clone();
        // After the transaction that led to the state `now`, before the next.
        let instant = 100 + 10 * now as u64 - 5;
        let reader =
            Transaction { client: 1, start: instant, end: instant, outcome: Outcome::Committed, operations: vec![read] };
        run.history.push(reader);
        let verdict = check(&run.history).unwrap();
        prop_assert!(!verdict.is_strictly_serializable());
    }
}

//! A transaction of a client: operations on the store, noted with their answers.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use weir_checker::{Operation, Outcome, Transaction as Recorded};
use weir_store::{CommitError, Direction, Range, ReadError, Scan, ScanError, Store, Transaction, WriteError};

use crate::support::id;

/// What a client wants done.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Append(&'static str),
    List(&'static str),
    Write(&'static str),
    Read(&'static str),
    Insert {
        at: i64,
    },
    /// Reads a range, and inserts a row into an empty one.
    InsertIfNone {
        from: i64,
        to: i64,
    },
    /// Moves the first row of a range.
    Move {
        from: i64,
        to: i64,
        at: i64,
    },
    /// Deletes the last row of a range.
    Delete {
        from: i64,
        to: i64,
    },
    Range {
        from: i64,
        to: i64,
    },
    /// Reads the first or last few rows of a range.
    Some {
        from: i64,
        to: i64,
        limit: usize,
        direction: Direction,
    },
}

/// Why a step cannot be taken: the store is closed.
#[derive(Debug)]
pub struct Closed;

/// What all clients share: one clock, one source of values, one history.
#[derive(Default)]
pub struct Recorder {
    clock: AtomicU64,
    values: AtomicU64,
    turns: AtomicU64,
    history: Mutex<Vec<Recorded>>,
}

/// A transaction under way.
pub struct Session<'a> {
    transaction: Transaction,
    recorder: &'a Recorder,
    attempt: Attempt,
}

/// What is noted of a transaction before its outcome is known.
pub struct Attempt {
    client: u32,
    start: u64,
    operations: Vec<Operation>,
}

struct Row {
    key: String,
    value: u64,
    at: i64,
}

impl Recorder {
    /// A moment of its own, after all before.
    pub fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::SeqCst)
    }

    /// Notes how an attempt has ended just now.
    pub fn note(&self, attempt: Attempt, outcome: Outcome) {
        let Attempt { client, start, operations } = attempt;
        self.history.lock().push(Recorded { client, start, end: self.now(), outcome, operations });
    }

    /// How many attempts there were so far.
    pub fn attempts(&self) -> usize {
        self.history.lock().len()
    }

    /// Notes that a transaction runs in turn.
    pub fn note_turn(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
    }

    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::SeqCst)
    }

    pub fn into_history(self) -> Vec<Recorded> {
        self.history.into_inner()
    }
}

impl<'a> Session<'a> {
    pub fn begin(store: &Store, recorder: &'a Recorder, client: u32) -> Result<Self, Closed> {
        let start = recorder.now();
        Ok(Self::on(store.begin().map_err(closed)?, recorder, client, start))
    }

    /// Takes a transaction that began after the moment `start`.
    pub fn on(transaction: Transaction, recorder: &'a Recorder, client: u32, start: u64) -> Self {
        Self { transaction, recorder, attempt: Attempt { client, start, operations: Vec::new() } }
    }

    /// Commits, notes the outcome and returns it.
    pub async fn commit(self, store: &Store) -> Outcome {
        let Self { transaction, recorder, attempt } = self;
        let outcome = match store.commit(transaction).await {
            Ok(_) => Outcome::Committed,
            Err(CommitError::Conflict) => Outcome::Aborted,
            Err(error) => failed(error),
        };
        recorder.note(attempt, outcome);
        outcome
    }

    /// Ends without a commit. What was only read holds all the same.
    pub fn end(self) {
        let outcome = if self.transaction.has_writes() { Outcome::Aborted } else { Outcome::Committed };
        self.recorder.note(self.attempt, outcome);
    }

    /// The transaction, for others to commit, and what was noted of it.
    pub fn into_parts(self) -> (Transaction, Attempt) {
        (self.transaction, self.attempt)
    }

    pub fn take(&mut self, step: &Step) -> Result<(), Closed> {
        match *step {
            Step::Append(key) => self.append(key),
            Step::List(key) => self.list(key).map(drop),
            Step::Write(key) => self.write(key),
            Step::Read(key) => self.read(key).map(drop),
            Step::Insert { at } => self.insert(at),
            Step::InsertIfNone { from, to } => match self.range(from, to)?.first() {
                None => self.insert(from),
                Some(_) => Ok(()),
            },
            Step::Move { from, to, at } => match self.range(from, to)?.into_iter().next() {
                Some(row) => self.put_row(row.key, Some(row.value), at),
                None => Ok(()),
            },
            Step::Delete { from, to } => match self.range(from, to)?.pop() {
                Some(row) => self.delete(row),
                None => Ok(()),
            },
            Step::Range { from, to } => self.range(from, to).map(drop),
            Step::Some { from, to, limit, direction } => self.some(from, to, limit, direction),
        }
    }

    fn append(&mut self, key: &str) -> Result<(), Closed> {
        let mut values = self.list(key)?;
        let value = self.recorder.value();
        values.push(value);
        self.put("lists", key, &[("values", json!(values))])?;
        self.attempt.operations.push(Operation::Append { key: key.to_owned(), value });
        Ok(())
    }

    fn list(&mut self, key: &str) -> Result<Vec<u64>, Closed> {
        let document = self.get("lists", key)?.unwrap_or_default();
        let values: Vec<u64> =
            document.get("values").map_or(Vec::new(), |values| serde_json::from_value(values.clone()).unwrap());
        self.attempt.operations.push(Operation::List { key: key.to_owned(), values: values.clone() });
        Ok(values)
    }

    fn read(&mut self, key: &str) -> Result<Option<u64>, Closed> {
        let value = self.get("registers", key)?.map(|document| document["value"].as_u64().unwrap());
        self.attempt.operations.push(Operation::Read { key: key.to_owned(), value });
        Ok(value)
    }

    fn write(&mut self, key: &str) -> Result<(), Closed> {
        let over = self.read(key)?;
        let value = self.recorder.value();
        self.put("registers", key, &[("value", json!(value))])?;
        self.attempt.operations.push(Operation::Write { key: key.to_owned(), over, value, at: None });
        Ok(())
    }

    fn insert(&mut self, at: i64) -> Result<(), Closed> {
        let key = format!("r{}", self.recorder.value());
        self.put_row(key, None, at)
    }

    fn put_row(&mut self, key: String, over: Option<u64>, at: i64) -> Result<(), Closed> {
        let value = self.recorder.value();
        self.put("rows", &key, &[("value", json!(value)), ("at", json!(at))])?;
        self.attempt.operations.push(Operation::Write { key, over, value, at: Some(at) });
        Ok(())
    }

    fn delete(&mut self, row: Row) -> Result<(), Closed> {
        let deleted = self.transaction.delete("rows", &id(&row.key)).map_err(not_written)?;
        assert!(deleted.existed, "{} was found and is not there", row.key);
        self.attempt.operations.push(Operation::Delete { key: row.key, over: row.value });
        Ok(())
    }

    fn range(&mut self, from: i64, to: i64) -> Result<Vec<Row>, Closed> {
        // One place is an equality, which goes another way through the store.
        let scan = if to == from + 1 {
            Scan { equal: vec![("at".to_owned(), json!(from))], ..Scan::default() }
        } else {
            Scan { range: Some(between(from, to)), ..Scan::default() }
        };
        let (rows, _) = self.scan(&scan)?;
        self.note_range(from, to, &rows);
        Ok(rows)
    }

    /// The first rows tell all as far as the place of the last; there may be more there.
    fn some(&mut self, from: i64, to: i64, limit: usize, direction: Direction) -> Result<(), Closed> {
        let order = Some(("at".to_owned(), direction));
        let scan = Scan { range: Some(between(from, to)), order, limit: Some(limit), ..Scan::default() };
        let (rows, more) = self.scan(&scan)?;
        match rows.last().map(|row| row.at) {
            Some(last) if more => {
                let (from, to) = if direction == Direction::Asc { (from, last) } else { (last + 1, to) };
                let (at_last, before): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.at == last);
                self.note_range(from, to, &before);
                let reads = at_last.into_iter().map(|row| Operation::Read { key: row.key, value: Some(row.value) });
                self.attempt.operations.extend(reads);
            }
            _ => self.note_range(from, to, &rows),
        }
        Ok(())
    }

    fn note_range(&mut self, from: i64, to: i64, rows: &[Row]) {
        let rows = rows.iter().map(|row| (row.key.clone(), row.value)).collect();
        self.attempt.operations.push(Operation::Range { from, to, rows });
    }

    fn scan(&mut self, scan: &Scan) -> Result<(Vec<Row>, bool), Closed> {
        let found = self.transaction.scan("rows", scan).map_err(|error| match error {
            ScanError::Read(error) => closed(error),
            error => panic!("{error}"),
        })?;
        let rows = found.rows.iter().map(|row| {
            let document: Value = serde_json::from_slice(&row.document).unwrap();
            Row {
                key: document["id"].as_str().unwrap().to_owned(),
                value: document["value"].as_u64().unwrap(),
                at: document["at"].as_i64().unwrap(),
            }
        });
        Ok((rows.collect(), found.more))
    }

    fn get(&mut self, collection: &str, key: &str) -> Result<Option<Map<String, Value>>, Closed> {
        let text = self.transaction.get(collection, &id(key)).map_err(closed)?;
        Ok(text.map(|text| serde_json::from_slice(&text).unwrap()))
    }

    fn put(&mut self, collection: &str, key: &str, members: &[(&str, Value)]) -> Result<(), Closed> {
        let document = members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.transaction.put(collection, &id(key), document).map(drop).map_err(not_written)
    }
}

fn between(from: i64, to: i64) -> Range {
    Range { field: "at".to_owned(), gte: Some(json!(from)), lt: Some(json!(to)), ..Range::default() }
}

/// What became of a commit that a store did not make because it stopped.
pub fn failed(error: CommitError) -> Outcome {
    match error {
        CommitError::Unavailable(_) => Outcome::Aborted,
        CommitError::OutcomeUnknown(_) => Outcome::Unknown,
        error => panic!("{error}"),
    }
}

fn closed(error: ReadError) -> Closed {
    match error {
        ReadError::Poisoned(_) => Closed,
        error => panic!("{error}"),
    }
}

fn not_written(error: WriteError) -> Closed {
    match error {
        WriteError::Read(error) => closed(error),
        error => panic!("{error}"),
    }
}

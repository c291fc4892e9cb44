//! A workload whose every state is known, run in a process of its own that something is done to.
//!
//! Some workers commit side by side. A worker's steps follow one another, so what is left of its documents has to be
//! the state after some step: after the last that was acknowledged, or after the one that was under way. The workers
//! meet in one counter. The process says what happened in a transcript, line by line, after it happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};
use weir_store::{CommitError, Committed, Options, ReadError, Scan, Store, Transaction};

use crate::support::{declare, id, scan};

pub const WORKERS: usize = 3;
/// Every so many steps a worker raises the counter.
const COUNTS_EVERY: usize = 4;
const PLACES: usize = 6;
const DECLARED: &str = "things:worker step slot name baton; worker+step slot+step !name !baton";

/// Small, so that tables are written and merged.
pub const MEMTABLE_BYTES: usize = 64 << 10;

pub fn options(memtable_bytes: usize) -> Options {
    Options { memtable_bytes, block_cache_bytes: 64 << 10, worker_threads: 2, ..Options::default() }
}

/// What a step does to one document; `None` deletes.
type Writes = Vec<(String, Option<Map<String, Value>>)>;

/// A step: puts one document, takes another away now and then, and hands a unique value from one to the other of two.
fn step(worker: usize, step: usize) -> Writes {
    let place = |place: usize| format!("w{worker}-{}", place % PLACES);
    let document = |more: Value| {
        let padding = format!("{step:04}").repeat(150);
        let mut document = json!({ "worker": format!("w{worker}"), "step": step, "padding": padding });
        let members = document.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        Some(members.clone())
    };
    let mut writes = vec![(
        place(step),
        document(json!({ "slot": format!("s{}", step % 4), "name": format!("w{worker} {step}"), "baton": null })),
    )];
    if step.is_multiple_of(3) {
        writes.push((place(step + 2), None));
    }
    for holder in 0..2 {
        let baton = if step % 2 == holder { json!(format!("baton of w{worker}")) } else { Value::Null };
        writes.push((
            format!("w{worker}-holder{holder}"),
            document(json!({ "slot": "holders", "name": null, "baton": baton })),
        ));
    }
    writes
}

/// The documents of a worker after a step, by id, as they are stored.
fn state(worker: usize, steps: usize) -> BTreeMap<String, Value> {
    let mut state = BTreeMap::new();
    for (name, document) in (1..=steps).flat_map(|number| step(worker, number)) {
        match document {
            Some(mut document) => {
                document.insert("id".to_owned(), json!(name));
                state.insert(name, Value::Object(document));
            }
            None => {
                state.remove(&name);
            }
        }
    }
    state
}

/// What went wrong with a step, if it is not a conflict.
enum Trouble {
    Conflict,
    Unknown(String),
    Unavailable(String),
}

async fn attempt(store: &Store, worker: usize, number: usize) -> Result<Committed, Trouble> {
    let unavailable = |error: &dyn std::error::Error| Trouble::Unavailable(error.to_string());
    let mut transaction = store.begin().map_err(|error| unavailable(&error))?;
    for (name, document) in step(worker, number) {
        let written = match document {
            Some(document) => transaction.put("things", &id(&name), document).map(drop),
            None => transaction.delete("things", &id(&name)).map(drop),
        };
        written.map_err(|error| unavailable(&error))?;
    }
    if number.is_multiple_of(COUNTS_EVERY) {
        let total = transaction.get("things", &id("total")).map_err(|error| unavailable(&error))?;
        let total = total.map_or(0, |text| serde_json::from_slice::<Value>(&text).unwrap()["step"].as_u64().unwrap());
        let document = json!({ "step": total + 1, "slot": "total" });
        let put = transaction.put("things", &id("total"), document.as_object().unwrap().clone());
        put.map_err(|error| unavailable(&error))?;
    }
    match store.commit(transaction).await {
        Ok(committed) => Ok(committed),
        Err(CommitError::Conflict) => Err(Trouble::Conflict),
        Err(CommitError::OutcomeUnknown(poisoned)) => Err(Trouble::Unknown(poisoned.to_string())),
        Err(error) => Err(Trouble::Unavailable(error.to_string())),
    }
}

/// The documents that a scan finds, in order.
fn documents(transaction: &mut Transaction, wanted: &Scan) -> Result<Vec<Value>, String> {
    let rows = transaction.scan("things", wanted).map_err(|error| error.to_string())?;
    Ok(rows.rows.iter().map(|row| serde_json::from_slice(&row.document).unwrap()).collect())
}

fn by_id(documents: Vec<Value>) -> BTreeMap<String, Value> {
    documents.into_iter().map(|document| (document["id"].as_str().unwrap().to_owned(), document)).collect()
}

/// One line for everything that happened, written before anything else happens.
struct Transcript(File);

impl Transcript {
    fn say(&self, line: &str) {
        (&self.0).write_all(format!("{}\n", line.replace('\n', " ")).as_bytes()).unwrap();
    }
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It closes the store.
    Close,
    /// It leaves the store as it is, as a killed process does.
    Leave,
}

/// What the process is to do.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// The steps that are done already.
    pub done: usize,
    /// The steps to do.
    pub steps: usize,
    pub end: End,
    pub memtable_bytes: usize,
}

impl Task {
    pub const VARIABLE: &str = "WEIR_TEST_TASK";

    pub fn to_text(self) -> String {
        let end = if self.end == End::Close { "close" } else { "leave" };
        format!("{} {} {end} {}", self.done, self.steps, self.memtable_bytes)
    }

    fn parse(text: &str) -> Self {
        let parts: Vec<&str> = text.split(' ').collect();
        let end = if parts[2] == "close" { End::Close } else { End::Leave };
        let number = |at: usize| parts[at].parse().unwrap();
        Self { done: number(0), steps: number(1), end, memtable_bytes: number(3) }
    }
}

/// The process itself.
#[test]
#[ignore = "started by other tests, as a process of its own"]
fn process() {
    let task = std::env::var(Task::VARIABLE).expect("started by other tests only");
    let folder = std::env::var("WEIR_FAULT_FOLDER").expect("started by other tests only");
    let transcript = Transcript(File::create(Path::new(&folder).join("transcript")).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let task = Task::parse(&task);
    let store = runtime.block_on(run(&Path::new(&folder).join("data"), task, Arc::new(transcript)));
    if task.end == End::Leave {
        std::process::exit(0);
    }
    drop(store);
}

async fn run(folder: &Path, task: Task, transcript: Arc<Transcript>) -> Option<Store> {
    let store = match Store::open(folder, options(task.memtable_bytes)) {
        Ok(store) => store,
        Err(error) => {
            transcript.say(&format!("refused {error}"));
            return None;
        }
    };
    let failed = Arc::new(AtomicBool::new(false));
    match store.apply_collections(&declare(&[DECLARED])).await {
        Ok(()) => {
            transcript.say(&format!("declared {}", store.head().sequence));
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| tokio::spawn(work(store.clone(), worker, task, failed.clone(), transcript.clone())))
                .collect();
            for worker in workers {
                worker.await.unwrap();
            }
        }
        Err(error) => {
            failed.store(true, Ordering::SeqCst);
            transcript.say(&format!("failed declaring {error}"));
        }
    }
    if failed.load(Ordering::SeqCst) && (store.is_ready().is_ok() || store.begin().is_ok()) {
        transcript.say("wrong: it goes on after a failure");
    }
    if task.end == End::Close {
        store.close().await;
        transcript.say("closed");
    }
    Some(store)
}

/// One worker.
async fn work(store: Store, worker: usize, task: Task, failed: Arc<AtomicBool>, transcript: Arc<Transcript>) {
    for number in task.done + 1..=task.done + task.steps {
        transcript.say(&format!("begun {worker} {number}"));
        loop {
            let too_late = failed.load(Ordering::SeqCst);
            match attempt(&store, worker, number).await {
                Ok(committed) => {
                    transcript.say(&format!("acknowledged {worker} {number} {}", committed.sequence));
                    if too_late {
                        transcript.say(&format!("wrong: {worker} {number} was acknowledged after a failure"));
                    }
                    break;
                }
                Err(Trouble::Conflict) => {}
                Err(Trouble::Unknown(message)) => {
                    failed.store(true, Ordering::SeqCst);
                    return transcript.say(&format!("failed unknown {message}"));
                }
                Err(Trouble::Unavailable(message)) => {
                    failed.store(true, Ordering::SeqCst);
                    return transcript.say(&format!("failed unavailable {message}"));
                }
            }
        }
        if number.is_multiple_of(5) {
            match read_own(&store, worker) {
                Ok(found) if found == state(worker, number) => {}
                Ok(found) => transcript.say(&format!("wrong: after {worker} {number} there is {found:?}")),
                Err(message) => {
                    failed.store(true, Ordering::SeqCst);
                    return transcript.say(&format!("failed reading {message}"));
                }
            }
        }
    }
}

fn read_own(store: &Store, worker: usize) -> Result<BTreeMap<String, Value>, String> {
    let mut transaction = store.begin().map_err(|error: ReadError| error.to_string())?;
    let own = scan(&[("worker", json!(format!("w{worker}")))], "step");
    documents(&mut transaction, &own).map(by_id)
}

/// What a process wrote into its transcript.
#[derive(Debug, Default)]
pub struct Told {
    pub lines: Vec<String>,
    /// The head after the collections were declared, if they were.
    declared: Option<u64>,
    begun: [usize; WORKERS],
    acknowledged: [usize; WORKERS],
    /// Of all that was acknowledged: the sequence number, the worker and the step.
    sequences: Vec<(u64, usize, usize)>,
}

impl Told {
    pub fn read(folder: &Path, task: Task) -> Self {
        let text = fs::read_to_string(folder.join("transcript")).unwrap_or_default();
        let mut told = Self { begun: [task.done; WORKERS], acknowledged: [task.done; WORKERS], ..Self::default() };
        for line in text.lines() {
            told.lines.push(line.to_owned());
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<usize>().unwrap();
            match words[0] {
                "declared" => told.declared = Some(words[1].parse().unwrap()),
                "begun" => told.begun[number(1)] = number(2),
                "acknowledged" => {
                    told.acknowledged[number(1)] = number(2);
                    told.sequences.push((words[3].parse().unwrap(), number(1), number(2)));
                }
                _ => {}
            }
        }
        told
    }

    /// Whether all of the work was acknowledged, so that only closing the store was left to do.
    pub fn is_complete(&self, task: Task) -> bool {
        self.acknowledged == [task.done + task.steps; WORKERS]
    }

    pub fn has(&self, start: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(start))
    }
}

/// Whether an opened store has what it must have after a process has told what it told, and nothing else.
pub fn verify(store: &Store, told: &Told, task: Task) -> Result<(), String> {
    if let Some(line) = told.lines.iter().find(|line| line.starts_with("wrong")) {
        return Err(format!("the process itself: {line}"));
    }
    let mut transaction = store.begin().map_err(|error| error.to_string())?;
    if matches!(transaction.get("things", &id("total")), Err(ReadError::UnknownCollection(_))) {
        let nothing_promised = told.declared.is_none() && task.done == 0;
        return if nothing_promised { Ok(()) } else { Err("the collections are gone".to_owned()) };
    }
    let mut all = by_id(documents(&mut transaction, &Scan::default())?);
    verify_indexes(&mut transaction, &all)?;

    let total = all.remove("total").map_or(0, |document| document["step"].as_u64().unwrap() as usize);
    let mut reached = [0; WORKERS];
    for (worker, reached) in reached.iter_mut().enumerate() {
        let mine = |name: &String| name.starts_with(&format!("w{worker}-"));
        let found: BTreeMap<String, Value> = all
            .iter()
            .filter(|(name, _)| mine(name))
            .map(|(name, document)| (name.clone(), document.clone()))
            .collect();
        let possible = told.acknowledged[worker]..=told.begun[worker];
        match possible.clone().find(|steps| state(worker, *steps) == found) {
            Some(steps) => *reached = steps,
            None => {
                let steps: Vec<String> =
                    found.values().map(|document| format!("{} {}", document["id"], document["step"])).collect();
                return Err(format!("w{worker} is in no state of steps {possible:?}: {}", steps.join(", ")));
            }
        }
        all.retain(|name, _| !mine(name));
    }
    if !all.is_empty() {
        return Err(format!("nobody wrote {:?}", all.keys().collect::<Vec<_>>()));
    }
    let counted: usize = reached.iter().map(|steps| steps / COUNTS_EVERY).sum();
    if total != counted {
        return Err(format!("the counter is {total} after {reached:?} steps"));
    }
    verify_sequences(store, told, task, &reached)
}

/// Every commit has one number, and no number is of no commit.
fn verify_sequences(store: &Store, told: &Told, task: Task, reached: &[usize]) -> Result<(), String> {
    let head = store.head().sequence;
    let mut sequences: Vec<u64> = told.sequences.iter().map(|(sequence, _, _)| *sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    if sequences.len() != told.sequences.len() || sequences.last().is_some_and(|last| *last > head) {
        return Err(format!("the head is {head}, acknowledged were {:?}", told.sequences));
    }
    let committed: usize = reached.iter().map(|steps| steps - task.done).sum();
    match told.declared {
        Some(declared) if head != declared + committed as u64 => {
            Err(format!("the head is {head} after {committed} commits on top of {declared}"))
        }
        _ => Ok(()),
    }
}

/// Each index leads to the documents that belong in it, once each and in order.
fn verify_indexes(transaction: &mut Transaction, all: &BTreeMap<String, Value>) -> Result<(), String> {
    let text = |document: &Value, field: &str| document[field].as_str().unwrap_or_default().to_owned();
    let step = |document: &Value| document["step"].as_u64().unwrap();
    let expect = |what: &str, found: Vec<Value>, mut wanted: Vec<&Value>| {
        wanted.sort_by_cached_key(|document| (step(document), text(document, "id")));
        if found.iter().eq(wanted.iter().copied()) {
            return Ok(());
        }
        let names = |documents: Vec<&Value>| documents.iter().map(|one| text(one, "id")).collect::<Vec<_>>().join(" ");
        Err(format!("{what} finds {} instead of {}", names(found.iter().collect()), names(wanted)))
    };
    let values = |field: &str| all.values().map(|document| text(document, field)).collect::<BTreeSet<_>>();
    for field in ["worker", "slot"] {
        for value in values(field) {
            let equal = if value.is_empty() { Value::Null } else { json!(value) };
            let found = documents(transaction, &scan(&[(field, equal)], "step"))?;
            expect(&value, found, all.values().filter(|document| text(document, field) == value).collect())?;
        }
    }
    for field in ["name", "baton"] {
        let found = documents(transaction, &scan(&[], field))?;
        let mut wanted: Vec<&Value> = all.values().collect();
        wanted.sort_by_cached_key(|document| (text(document, field), text(document, "id")));
        if !found.iter().eq(wanted.iter().copied()) {
            return Err(format!("the index of {field} does not agree with the documents"));
        }
    }
    Ok(())
}

/// The journal has all commits, and says of those that were acknowledged what they wrote.
pub async fn verify_journal(store: &Store, told: &Told) -> Result<(), String> {
    let mut tail = store.tail(1);
    let acknowledged: BTreeMap<u64, (usize, usize)> =
        told.sequences.iter().map(|(sequence, worker, number)| (*sequence, (*worker, *number))).collect();
    for expected in 1..=store.head().sequence {
        let entry = tail.next().await.map_err(|error| error.to_string())?;
        if entry.sequence != expected {
            return Err(format!("the journal has {} in the place of {expected}", entry.sequence));
        }
        let Some((worker, number)) = acknowledged.get(&expected) else { continue };
        let written: BTreeSet<String> = entry.changes.iter().map(|change| change.id.as_str().to_owned()).collect();
        let missing = step(*worker, *number).into_iter().find(|(name, document)| {
            // A document that was not there is not deleted.
            document.is_some() && !written.contains(name)
        });
        if let Some((name, _)) = missing {
            return Err(format!("journal entry {expected} does not say that {name} was written"));
        }
    }
    Ok(())
}

/// A commit more goes through.
pub async fn goes_on(store: &Store) -> Result<(), String> {
    store.apply_collections(&declare(&[DECLARED])).await.map_err(|error| error.to_string())?;
    let mut transaction = store.begin().map_err(|error| error.to_string())?;
    let document = json!({ "slot": "later" }).as_object().unwrap().clone();
    transaction.put("things", &id("later"), document).map_err(|error| error.to_string())?;
    store.commit(transaction).await.map_err(|error| error.to_string()).map(drop)
}

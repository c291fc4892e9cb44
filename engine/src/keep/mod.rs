//! What views have computed, kept in the store for the next start.
//!
//! | module | what it does |
//! |---|---|
//! | `code` | the digest of the code that results depend on, under which they are kept |
//! | `contributions` | what documents contribute to views of groups |
//! | `results` | which results of other views are in the store; `record` is one of them |
//!
//! Writes are behind: once a second what has changed is taken from memory, with the commit that it is as of. One release writes
//! at a time, the active one: what another still does is of no use to the next start.

pub(crate) mod code;
pub(crate) mod contributions;
pub(crate) mod record;
pub(crate) mod results;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::Instrument;
use weir_schema::declarations::{Function, FunctionKind};
use weir_schema::digest::Digest;
use weir_store::{Head, KeptKey, KeptRecord, Poisoned, ReadSet};

use self::contributions::Contributions;
use self::record::{Header, Record};
use self::results::{Changes, Stored};
use crate::call::CallError;
use crate::engine::{Engine, Shared};
use crate::release::Release;
use crate::results::key::{Class, QueryKey};
use crate::results::timed::{Timed, Timing};
use crate::run::Prepared;

/// How long what has changed waits to be written, at least.
const PAUSE: Duration = Duration::from_secs(1);
/// No more is written than so much in a second, in bytes, on average.
const BYTES_PER_SECOND: u64 = 4 << 20;
/// How long commits that change nothing of what is kept wait to be told to the store.
const IDLE: Duration = Duration::from_secs(10);
/// Bytes of records that are read together at start.
const PAGE_BYTES: usize = 4 << 20;

/// What of an engine's views is in the store, and how it gets there.
#[derive(Default)]
pub(crate) struct Keeping {
    /// The release that writes. Held by who writes.
    writer: tokio::sync::Mutex<Option<u64>>,
    groups: Mutex<Vec<Weak<Contributions>>>,
    results: Mutex<Stored>,
    /// When the results were last written.
    written: Mutex<Option<Instant>>,
    runs: Mutex<HashMap<(u64, usize), Runs>>,
}

/// How a view has been run since the server started.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Runs {
    pub(crate) count: u64,
    /// Why the last one failed.
    pub(crate) error: Option<CallError>,
}

/// Whether what has hardly changed is written too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Time,
    End,
}

/// Writes what has changed, for as long as the engine lives.
pub(crate) async fn run(engine: Weak<Shared>) {
    let mut pause = PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        let Some(engine) = Engine::of(&engine) else { return };
        match engine.keeping().write(&engine, Reason::Time).await {
            Ok(bytes) => pause = PAUSE.max(Duration::from_millis(bytes * 1_000 / BYTES_PER_SECOND)),
            // The store has stopped, or is about to.
            Err(error) if engine.is_ready().is_err() => {
                tracing::debug!("views are not kept any more: {error}");
                return;
            }
            Err(error) => tracing::warn!("what views have computed cannot be kept at the moment: {error}"),
        }
    }
}

impl Keeping {
    /// Makes a release the one that writes, and brings back what was kept of its views. To its end, also when nobody waits for it
    /// any more.
    pub(crate) async fn hand_over(engine: &Engine, release: &Arc<Release>) -> Result<(), CallError> {
        let (engine, release) = (engine.clone(), release.clone());
        let span = engine.span().clone();
        let handing = async move { engine.keeping().hand_over_to(&engine, &release).await };
        tokio::spawn(handing.instrument(span)).await.map_err(CallError::unavailable)?
    }

    async fn hand_over_to(&self, engine: &Engine, release: &Arc<Release>) -> Result<(), CallError> {
        self.write(engine, Reason::End).await?;
        let mut writer = self.writer.lock().await;
        *writer = Some(release.number());
        self.runs.lock().retain(|(of, _), _| *of == release.number());
        let removing = remove_unknown(engine.clone(), release.clone());
        tokio::spawn(removing.instrument(engine.span().clone()));
        self.restore(engine, release).await
    }

    /// Writes all that there is, for the last time.
    pub(crate) async fn end(&self, engine: &Engine) {
        if let Err(error) = self.write(engine, Reason::End).await {
            tracing::debug!("what views have computed was not kept: {error}");
        }
        *self.writer.lock().await = None;
    }

    /// A view of groups whose documents are to be kept.
    pub(crate) fn add_groups(&self, contributions: &Arc<Contributions>) {
        let mut groups = self.groups.lock();
        groups.retain(|known| known.strong_count() > 0);
        groups.push(Arc::downgrade(contributions));
    }

    /// Waits until not too much of a view waits to be written.
    pub(crate) async fn make_room(&self, engine: &Engine, contributions: &Contributions) -> Result<(), Poisoned> {
        if !contributions.is_full() {
            return Ok(());
        }
        let writer = self.writer.lock().await;
        let mut next = Vec::new();
        write_groups(engine, *writer, contributions, &mut next).await?;
        keep(engine, next).await
    }

    /// Removes what is kept of a view of groups, as long as that release writes.
    pub(crate) async fn remove_groups(&self, engine: &Engine, release: u64, view: &Digest) -> Result<(), Poisoned> {
        let mut after = None;
        loop {
            let writer = self.writer.lock().await;
            if *writer != Some(release) {
                return Ok(());
            }
            after = contributions::remove_some(engine.store(), view, after.as_ref()).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Removes what is kept of the results of a function of the release that writes.
    pub(crate) async fn remove_results(&self, engine: &Engine, function: &str) -> Result<(), Poisoned> {
        let _writer = self.writer.lock().await;
        let removed = self.results.lock().forget(function);
        keep(engine, removed).await
    }

    /// What is in the store of the results of a function: how many, and how many bytes.
    pub(crate) fn stored_of(&self, function: &str) -> (usize, usize) {
        self.results.lock().of(function)
    }

    /// A result that time ends was computed.
    pub(crate) fn note_timed(&self, query: &Prepared, class: &Class, timed: &Timed, cost: Duration) {
        let Some((function, code)) = query.function().ok().zip(query.release.code(query.index)) else { return };
        let header = Header {
            function: function.name.clone(),
            code,
            arguments: query.arguments.to_string(),
            class: class.clone(),
            commit: timed.commit,
            at_ms: timed.at_ms,
            cost_us: micros(cost),
            is_timed: true,
            is_scheduled: timed.until.is_none(),
        };
        let record = Record { header, reads: ReadSet::default(), value: timed.value.clone() };
        self.results.lock().note_timed(query.release.number(), record);
    }

    /// A view was run.
    pub(crate) fn note_run(&self, release: u64, function: usize, error: Option<&CallError>) {
        let mut runs = self.runs.lock();
        let runs = runs.entry((release, function)).or_default();
        runs.count += 1;
        runs.error = error.cloned();
    }

    /// How a view has been run.
    pub(crate) fn runs(&self, release: u64, function: usize) -> Runs {
        self.runs.lock().get(&(release, function)).cloned().unwrap_or_default()
    }

    /// Writes what has changed; how many bytes that were.
    async fn write(&self, engine: &Engine, reason: Reason) -> Result<u64, CallError> {
        let writer = self.writer.lock().await;
        let groups: Vec<Arc<Contributions>> = self.groups.lock().iter().filter_map(Weak::upgrade).collect();
        let (mut bytes, mut next) = (0, Vec::new());
        for contributions in groups {
            let written = write_groups(engine, *writer, &contributions, &mut next).await;
            bytes += written.map_err(CallError::unavailable)?;
        }
        if writer.is_some() {
            bytes += self.write_results(engine, reason, &mut next).await?;
        }
        keep(engine, next).await.map_err(CallError::unavailable)?;
        self.results.lock().confirm();
        Ok(bytes)
    }

    /// Adds what has changed of results to what is to be written next, and writes all but the last of it. The lock of the writer
    /// is held.
    async fn write_results(
        &self,
        engine: &Engine,
        reason: Reason,
        next: &mut Vec<KeptRecord>,
    ) -> Result<u64, CallError> {
        let mut written = 0;
        // Commits go on meanwhile. A change of the catalog that comes in between makes what is written look older than it is.
        let before = engine.store().head();
        if !self.is_due(engine, before, reason) {
            return Ok(written);
        }
        loop {
            let unsaved = engine.unsaved_results(before).await?;
            let as_of = Head { catalog: before.catalog, ..unsaved.as_of };
            let now_ms = engine.clock().now_ms();
            let plan = {
                let mut results = self.results.lock();
                let changed = unsaved.changed.into_iter();
                let changed = changed.filter_map(|result| results.record(result, now_ms)).collect();
                let gone = unsaved.gone.iter().filter_map(|(key, class)| results.place(key, class)).collect();
                results.plan(Changes { as_of, now_ms, changed, gone })
            };
            let is_done = reason == Reason::Time || (plan.left.is_empty() && !self.results.lock().has_timed());
            engine.leave_results_unsaved(plan.left);
            next.extend(plan.records);
            *self.written.lock() = Some(Instant::now());
            written += plan.bytes as u64;
            if is_done {
                return Ok(written);
            }
            keep(engine, std::mem::take(next)).await.map_err(CallError::unavailable)?;
            self.results.lock().confirm();
        }
    }

    fn is_due(&self, engine: &Engine, head: Head, reason: Reason) -> bool {
        let results = self.results.lock();
        if results.has_timed() || engine.has_unsaved_results() {
            return true;
        }
        let is_behind = !results.is_empty() && results.as_of() != Some(head);
        let is_idle = self.written.lock().is_none_or(|written| written.elapsed() >= IDLE);
        is_behind && (is_idle || reason == Reason::End)
    }

    /// Brings back the results of a release, and removes those that are good no longer. The lock of the writer is held.
    async fn restore(&self, engine: &Engine, release: &Arc<Release>) -> Result<(), CallError> {
        // What is not brought back yet is as of nothing, should this end in the middle.
        *self.results.lock() = Stored::default();
        engine.save_results_of(release.number(), saved_functions(release));
        let store = engine.store().clone();
        let read = tokio::task::spawn_blocking(move || read_results(&store)).await;
        let (as_of, records) = read.map_err(CallError::unavailable)?.map_err(CallError::unavailable)?;
        let mut removed: Vec<KeptRecord> = Vec::new();
        let mut known = Vec::new();
        for (place, bytes, record) in records {
            match record.filter(|record| record.place() == place && is_of(release, record)) {
                Some(record) => known.push((place, bytes, record)),
                None => removed.push((KeptKey::Result(place), None)),
            }
        }
        let lasting: Vec<&Record> =
            known.iter().map(|(_, _, record)| record).filter(|it| !it.header.is_timed).collect();
        let mut lasting = engine.restore_results(release, as_of, &lasting).await?.into_iter();
        // What was committed last is not in the future, whatever the clock says.
        let last_ms = engine.store().head().timestamp.0 / 1_000_000;
        let now_ms = engine.clock().now_ms().max(last_ms);
        known.retain(|(place, _, record)| {
            let is_back = match record.header.is_timed {
                true => restore_timed(engine, release, record, now_ms),
                false => lasting.next().unwrap_or(false),
            };
            if !is_back {
                removed.push((KeptKey::Result(*place), None));
            }
            is_back
        });
        tracing::debug!("brought back {} results of views, dropped {}", known.len(), removed.len());
        // Before anything is said to be as of a later commit.
        keep(engine, removed).await.map_err(CallError::unavailable)?;
        self.results.lock().start(release, as_of, &known);
        Ok(())
    }
}

/// Adds what waits of a view of groups to what is to be written next. The lock of the writer is held.
async fn write_groups(
    engine: &Engine,
    writer: Option<u64>,
    of: &Contributions,
    next: &mut Vec<KeptRecord>,
) -> Result<u64, Poisoned> {
    if writer != Some(of.release()) {
        of.pass_over();
        return Ok(0);
    }
    if of.has_gap(engine.store()).await? {
        return Ok(0);
    }
    of.write(engine.store(), next).await
}

async fn keep(engine: &Engine, records: Vec<KeptRecord>) -> Result<(), Poisoned> {
    if records.is_empty() { Ok(()) } else { engine.store().keep(records).await }
}

/// The functions of a release whose results are kept: its views, but for those of groups, which are kept otherwise, and those
/// that time ends, which say so themselves.
fn saved_functions(release: &Release) -> BTreeSet<usize> {
    let functions = release.declarations().functions.values().enumerate();
    let saved = functions.filter(|(_, function)| {
        function.kind == FunctionKind::View
            && !is_of_documents(function)
            && Timing::of(function.keep.as_ref()).is_none()
    });
    saved.map(|(index, _)| index).collect()
}

/// Whether it is made of what documents contribute.
fn is_of_documents(function: &Function) -> bool {
    function.groups.is_some() || function.index.is_some()
}

/// A place, the length of what lies there, and the record if it is one.
type Found = (Digest, usize, Option<Record>);

fn read_results(store: &weir_store::Store) -> Result<(Option<Head>, Vec<Found>), Poisoned> {
    let (mut as_of, mut found, mut after) = (None, Vec::new(), None);
    loop {
        let page = store.kept_results(after.as_ref(), PAGE_BYTES)?;
        for (key, bytes) in page.records {
            match key {
                KeptKey::Results => as_of = serde_json::from_slice(&bytes).ok(),
                KeptKey::Result(place) => found.push((place, bytes.len(), Record::decode(&bytes))),
                KeptKey::Groups(_)
                | KeptKey::Contribution(..)
                | KeptKey::Trusted(_)
                | KeptKey::Revoked(_)
                | KeptKey::Experiment(_)
                | KeptKey::Exposed(..)
                | KeptKey::Usage(..) => {}
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok((as_of, found));
        }
    }
}

/// Whether a record is of a view of the release, of the same code.
fn is_of(release: &Release, record: &Record) -> bool {
    let function = release.function(&record.header.function);
    function.is_some_and(|(index, _)| release.code(index) == Some(record.header.code))
}

fn restore_timed(engine: &Engine, release: &Release, record: &Record, now_ms: u64) -> bool {
    let Some((function, declared)) = release.function(&record.header.function) else { return false };
    let Some(timing) = Timing::of(declared.keep.as_ref()) else { return false };
    let arguments = record.header.arguments.as_str().into();
    let key = QueryKey { release: release.number(), function, arguments, within: None };
    engine.restore_timed(&key, &timing, record, now_ms)
}

/// Removes what is kept of views of groups that the release does not have, as long as it is the one that writes.
async fn remove_unknown(engine: Engine, release: Arc<Release>) {
    let functions = release.declarations().functions.values().enumerate();
    let of_documents = functions.filter(|(_, function)| is_of_documents(function));
    let known: BTreeSet<Digest> = of_documents.filter_map(|(index, _)| release.code(index)).collect();
    // An error means that the store has stopped.
    let Ok(kept) = engine.store().kept_views() else { return };
    for view in kept.iter().filter(|view| !known.contains(view)) {
        if let Err(error) = engine.keeping().remove_groups(&engine, release.number(), view).await {
            return tracing::debug!("what is kept of old views stays: {error}");
        }
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

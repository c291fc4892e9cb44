//! Keeps a view of groups up with the commits: reads all documents once, then those that commits have changed.
//!
//! What documents contribute is kept in the store besides (`crate::keep`), as the guest gave it. A keeper that finds it there
//! begins with it and asks the guest only for what commits have changed since. While another release writes, it is not kept; when
//! it is this one's turn, the keeper writes down all that the view knows, and neither reads documents nor asks the guest for that.
//!
//! What a document contributes is computed by the guest, from the document alone. A view whose functions look at anything else,
//! be it another document, the time or the caller, cannot be kept this way and is left to be computed as a whole.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tracing::Instrument;
use weir_schema::codec::journal::JournalEntry;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_store::{Head, ReadError, Scan, ScanError, Tail, TailError};

use super::view::{Building, Contributed, GroupView};
use super::{Contribution, Scalar};
use crate::call::CallError;
use crate::engine::{Engine, Shared, draw};
use crate::keep::contributions::{self, Contributions};
use crate::release::Release;
use crate::results::key::Looked;
use crate::results::may_pass;
use crate::run::{Prepared, RUNS_MAX};

/// Documents that the guest is given at once.
const BATCH_DOCUMENTS: usize = 500;
/// No more are given once they have more bytes than this.
const BATCH_BYTES: usize = 256 << 10;
/// What is kept of a document whose contributions could not be computed.
const FAILED: &[u8] = b"null";
/// How long to wait where something cannot be had at the moment.
const PAUSE: Duration = Duration::from_millis(50);
/// The first wait before documents are asked for again whose failure may pass; each further one doubles it, up to the longest.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// How much memory the groups of one view may take, in bytes, before the view is computed as a whole instead.
const BYTES_MAX: usize = 2 << 30;

/// Why a view is not kept up any longer.
enum Stopped {
    /// The release, the engine or the store is gone.
    Gone,
    /// What it is as of is not kept any more: all has to be read again.
    Outlived,
    /// It depends on more than its documents, or is too large, or there are no such documents.
    Unkept(&'static str),
}

/// One view and where its documents come from. Keeps neither alive.
struct Keeper {
    view: Weak<GroupView>,
    engine: Weak<Shared>,
    release: Weak<Release>,
    name: String,
    collection: String,
    /// What is kept in the store.
    kept: Arc<Contributions>,
}

/// What a step works with.
struct Around {
    view: Arc<GroupView>,
    engine: Engine,
    release: Arc<Release>,
}

/// Begins to keep the views of groups of a release, until the release is gone.
pub(crate) fn keep_all(engine: &Engine, release: &Arc<Release>) -> Vec<Arc<GroupView>> {
    let mut views = Vec::new();
    for (index, function) in release.declarations().functions.values().enumerate() {
        let Some(view) = GroupView::new(index, function) else { continue };
        let Some(code) = release.code(index) else { continue };
        let kept = Arc::new(Contributions::new(code, function.name.clone(), release.number()));
        engine.keeping().add_groups(&kept);
        let keeper = Keeper {
            kept,
            view: Arc::downgrade(&view),
            engine: engine.downgrade(),
            release: Arc::downgrade(release),
            name: function.name.clone(),
            collection: view.collection().to_owned(),
        };
        tokio::spawn(keeper.keep(engine.releases()).instrument(engine.span().clone()));
        views.push(view);
    }
    views
}

impl Keeper {
    async fn keep(self, mut releases: watch::Receiver<Option<Arc<Release>>>) {
        let mut beginning = self.restore().await;
        let (mut again, mut due) = (AGAIN_MIN, Instant::now());
        loop {
            if let Ok(None) = beginning {
                beginning = self.build().await.map(Some);
            }
            let Some(asked) = self.view.upgrade().map(|view| view.asked()) else { return };
            let stopped = match beginning {
                Ok(None) => Stopped::Outlived,
                Ok(Some(mut tail)) => loop {
                    let passing = self.view.upgrade().map(|view| view.passing()).unwrap_or_default();
                    if passing.is_empty() {
                        (again, due) = (AGAIN_MIN, Instant::now() + AGAIN_MIN);
                    }
                    tokio::select! {
                        () = tokio::time::sleep_until(due.into()), if !passing.is_empty() => {
                            again = (2 * again).min(AGAIN_MAX);
                            due = Instant::now() + again;
                            if let Err(stopped) = self.ask_again(passing, &mut tail).await {
                                break stopped;
                            }
                        },
                        () = asked.notified() => break Stopped::Outlived,
                        () = self.kept.is_turn() => if let Err(stopped) = self.note_all().await {
                            break stopped;
                        },
                        entry = tail.next() => if let Err(stopped) = self.step(entry, &mut tail).await {
                            break stopped;
                        },
                        // Perhaps nobody needs this release any more.
                        changed = releases.changed() => if changed.is_err() || self.around().is_err() {
                            break Stopped::Gone;
                        },
                    }
                },
                Err(stopped) => stopped,
            };
            match stopped {
                Stopped::Gone => return,
                Stopped::Outlived => {
                    if let Some(view) = self.view.upgrade() {
                        view.clear();
                    }
                    tokio::time::sleep(PAUSE).await;
                    beginning = Ok(None);
                }
                Stopped::Unkept(why) => {
                    tracing::warn!("{} is computed from all of its documents each time: {why}", self.name);
                    // An error means that the store has stopped.
                    let _ = self.forget().await;
                    if let Some(view) = self.view.upgrade() {
                        view.give_up(why);
                    }
                    return;
                }
            }
        }
    }

    fn around(&self) -> Result<Around, Stopped> {
        let (view, release) = (self.view.upgrade(), self.release.upgrade());
        let around = Engine::of(&self.engine).zip(release).zip(view);
        let ((engine, release), view) = around.ok_or(Stopped::Gone)?;
        Ok(Around { view, engine: engine.for_upkeep(), release })
    }

    /// Begins with what is kept in the store; `None` if that is nothing, or does not lead to the last commit.
    async fn restore(&self) -> Result<Option<Tail>, Stopped> {
        let engine = self.around()?.engine;
        let as_of = match contributions::as_of(engine.store(), self.kept.view()) {
            Ok(Some(as_of)) if as_of.head.sequence <= engine.store().head().sequence => as_of,
            Ok(_) => return Ok(None),
            Err(_) => return Err(Stopped::Gone),
        };
        self.around()?.view.expect(as_of.records.unwrap_or_default());
        let (mut after, mut records, mut unknown) = (None, 0, BTreeSet::new());
        loop {
            let (store, code) = (engine.store().clone(), *self.kept.view());
            let reading = tokio::task::spawn_blocking(move || contributions::page(&store, &code, after.as_ref()));
            let (page, next) = reading.await.map_err(|_| Stopped::Gone)?.map_err(|_| Stopped::Gone)?;
            let mut contributed = Vec::with_capacity(page.len());
            records += page.len() as u64;
            for (id, text) in page {
                match serde_json::from_slice(&text).ok().map(|given| (contributions_of_one(&given), given)) {
                    Some((Some(contributions), _)) => contributed.push((id, Ok(contributions))),
                    // It failed then.
                    Some((None, Value::Null)) => drop(unknown.insert(id)),
                    _ => return self.restored_wrongly(),
                }
            }
            let view = self.around()?.view;
            view.build(contributed);
            self.check_size(&view)?;
            after = next;
            if after.is_none() {
                break;
            }
        }
        if as_of.records.is_some_and(|there| there != records) {
            return self.restored_wrongly();
        }
        let mut tail = engine.store().tail(as_of.head.sequence + 1);
        drop(engine);
        self.catch_up(unknown, as_of.head, &mut tail).await?;
        tracing::debug!("{} goes on from commit {}: {records} documents", self.name, as_of.head.sequence);
        Ok(Some(tail))
    }

    /// What is kept contradicts itself.
    fn restored_wrongly(&self) -> Result<Option<Tail>, Stopped> {
        tracing::warn!("what is kept of {} cannot be used: it is built anew", self.name);
        self.around()?.view.clear();
        Ok(None)
    }

    /// Forgets what is kept in the store.
    async fn forget(&self) -> Result<(), Stopped> {
        let engine = self.around()?.engine;
        self.kept.clear();
        let (release, code) = (self.kept.release(), *self.kept.view());
        engine.keeping().remove_groups(&engine, release, &code).await.map_err(|_| Stopped::Gone)
    }

    /// Reads all documents, of one commit; from there on the journal tells.
    async fn build(&self) -> Result<Tail, Stopped> {
        self.forget().await?;
        let mut building = Building::start();
        let mut state = self.around()?.engine.store().pin().map_err(|error| stopped(&error))?;
        let head = state.head();
        self.count()?;
        let mut after = None;
        loop {
            let scan =
                Scan { limit: Some(BATCH_DOCUMENTS), bytes: Some(BATCH_BYTES), after: after.take(), ..Scan::default() };
            let collection = self.collection.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let rows = state.scan(&collection, &scan);
                (state, rows)
            });
            let (given_back, rows) = reading.await.map_err(|_| Stopped::Gone)?;
            state = given_back;
            let rows = rows.map_err(|error| match error {
                ScanError::Read(error) => stopped(&error),
                _ => Stopped::Unkept("its documents cannot be read"),
            })?;
            let mut documents = Vec::with_capacity(rows.rows.len());
            for row in rows.rows {
                after = Some(row.position);
                documents.extend(id_of(&row.document).map(|id| (id, row.document)));
            }
            let mut contributed = Vec::with_capacity(documents.len());
            self.contributions(&documents, &mut contributed).await?;
            self.kept.build();
            self.make_room().await?;
            let view = self.around()?.view;
            building.tell(&self.name, view.build(contributed), view.total());
            self.check_size(&view)?;
            if !rows.more {
                break;
            }
        }
        let Around { view, engine, .. } = self.around()?;
        view.note_built();
        self.kept.advance(head, view.documents());
        view.advance(Vec::new(), head);
        building.end(&self.name, view.size());
        Ok(engine.store().tail(head.sequence + 1))
    }

    /// Notes all that the view knows, since nothing of it is in the store.
    async fn note_all(&self) -> Result<(), Stopped> {
        if !self.kept.begin_again() {
            return Ok(());
        }
        let view = self.around()?.view;
        let (known, head) = view.known().ok_or(Stopped::Outlived)?;
        for documents in known.chunks(BATCH_DOCUMENTS) {
            for (document, contributed) in documents.iter().zip(view.contributed(documents)) {
                self.kept.note(document, Some(contributed.map_or(Bytes::from_static(FAILED), |it| text_of(&it))));
            }
            self.kept.build();
            self.make_room().await?;
        }
        self.kept.advance(head, known.len());
        Ok(())
    }

    /// Counts the documents that are to be read, beside reading them.
    fn count(&self) -> Result<(), Stopped> {
        let Around { view, engine, .. } = self.around()?;
        let mut state = engine.store().pin().map_err(|error| stopped(&error))?;
        let collection = self.collection.clone();
        tokio::task::spawn_blocking(move || match state.count(&collection, &Scan::default()) {
            Ok(documents) => view.expect(documents),
            // Nobody needs to know.
            Err(error) => tracing::debug!("the documents of {collection} were not counted: {error}"),
        });
        Ok(())
    }

    async fn make_room(&self) -> Result<(), Stopped> {
        let engine = self.around()?.engine;
        engine.keeping().make_room(&engine, &self.kept).await.map_err(|_| Stopped::Gone)
    }

    /// Asks once more for documents that failed because of how busy the machine was, or because a worker died.
    async fn ask_again(&self, documents: BTreeSet<DocumentId>, tail: &mut Tail) -> Result<(), Stopped> {
        let reached = self.around()?.view.head().ok_or(Stopped::Outlived)?;
        self.catch_up(documents, reached, tail).await
    }

    /// Takes a commit into account, with all that are durable by now.
    async fn step(&self, entry: Result<JournalEntry, TailError>, tail: &mut Tail) -> Result<(), Stopped> {
        let mut changed = BTreeSet::new();
        let reached = self.note(entry, &mut changed)?;
        self.catch_up(changed, reached, tail).await
    }

    /// Takes all commits into account that are durable by now, after one whose changes are known: of several changes of a
    /// document the last matters. No further than to one as of which somebody wants the view.
    async fn catch_up(
        &self,
        mut changed: BTreeSet<DocumentId>,
        mut reached: Head,
        tail: &mut Tail,
    ) -> Result<(), Stopped> {
        let mut state = self.around()?.engine.store().pin().map_err(|error| stopped(&error))?;
        let (mut head, mut past) = (state.head(), None);
        let wanted = self.around()?.view.wanted(reached.sequence, head.sequence);
        // What is seen of a later commit is to be known of.
        while reached.sequence < head.sequence {
            if wanted == Some(reached.sequence) {
                past = self.around()?.engine.store().at(reached.timestamp).ok();
            }
            if past.is_some() {
                head = reached;
                break;
            }
            reached = self.note(tail.next().await, &mut changed)?;
        }
        let (mut documents, mut contributed) = (Vec::new(), Vec::new());
        for id in changed {
            let document = match &mut past {
                Some(past) => past.get(&self.collection, &id),
                None => state.get(&self.collection, &id),
            };
            match document.map_err(|error| stopped(&error))? {
                Some(document) => documents.push((id, document)),
                None => {
                    self.kept.note(&id, None);
                    contributed.push((id, Ok(Vec::new())));
                }
            }
            if documents.len() == BATCH_DOCUMENTS {
                self.contributions(&documents, &mut contributed).await?;
                documents.clear();
            }
        }
        drop((state, past));
        self.contributions(&documents, &mut contributed).await?;
        let view = self.around()?.view;
        self.kept.advance(head, view.advance(contributed, head));
        self.check_size(&view)?;
        self.make_room().await
    }

    /// Notes what a commit has changed, and which it is.
    fn note(
        &self,
        entry: Result<JournalEntry, TailError>,
        changed: &mut BTreeSet<DocumentId>,
    ) -> Result<Head, Stopped> {
        let entry = entry.map_err(|error| match error {
            TailError::Resync { .. } => Stopped::Outlived,
            TailError::Ended(_) => Stopped::Gone,
        })?;
        changed.extend(self.around()?.engine.store().changed_in(&self.collection, &entry));
        Ok(Head { sequence: entry.sequence, timestamp: entry.timestamp, ..Head::default() })
    }

    fn check_size(&self, view: &GroupView) -> Result<(), Stopped> {
        let (_, _, bytes) = view.size();
        if bytes > BYTES_MAX { Err(Stopped::Unkept("what is kept of it takes too much memory")) } else { Ok(()) }
    }

    /// What documents contribute, in batches.
    async fn contributions(
        &self,
        documents: &[(DocumentId, Bytes)],
        contributed: &mut Vec<(DocumentId, Contributed)>,
    ) -> Result<(), Stopped> {
        let mut rest = documents;
        while !rest.is_empty() {
            let mut bytes = 0;
            let few = rest.iter().take(BATCH_DOCUMENTS).take_while(|(_, document)| {
                let fits = bytes < BATCH_BYTES;
                bytes += document.len();
                fits
            });
            let (batch, later) = rest.split_at(few.count().clamp(1, rest.len()));
            self.batch(batch, contributed).await?;
            rest = later;
        }
        Ok(())
    }

    /// What a batch contributes. One that fails is asked for in halves, down to the document whose failure it is.
    async fn batch(
        &self,
        batch: &[(DocumentId, Bytes)],
        contributed: &mut Vec<(DocumentId, Contributed)>,
    ) -> Result<(), Stopped> {
        let mut pending = vec![batch];
        while let Some(batch) = pending.pop() {
            match (self.ask(batch).await?, batch) {
                (Ok(given), _) => {
                    for ((id, _), (contributions, text)) in batch.iter().zip(given) {
                        self.kept.note(id, (!contributions.is_empty()).then_some(text));
                        contributed.push((id.clone(), Ok(contributions)));
                    }
                }
                (Err(error), [(id, _)]) => {
                    self.kept.note(id, Some(Bytes::from_static(FAILED)));
                    contributed.push((id.clone(), Err(error)));
                }
                (Err(_), _) => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    pending.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// Asks the guest, until there is room for it.
    async fn ask(&self, batch: &[(DocumentId, Bytes)]) -> Result<Result<Vec<Given>, CallError>, Stopped> {
        let documents: Vec<Bytes> = batch.iter().map(|(_, document)| document.clone()).collect();
        let mut runs = 0;
        loop {
            let Around { view, engine, release } = self.around()?;
            let query = Prepared::mapping(&release, view.function(), &documents);
            let transaction = engine.store().begin().map_err(|error| stopped(&error))?;
            let seed = draw().map_err(|_| Stopped::Gone)?;
            let ran = query.run(&engine, &seed, seed.ids(), Some(transaction)).await;
            runs += usize::from(ran.begun);
            let has_read = ran.transaction.is_some_and(|transaction| !transaction.read_set().is_empty());
            if has_read || ran.looked != Looked::default() {
                return Err(Stopped::Unkept(
                    "its functions look at more than the document: at others, the time, randomness or who calls",
                ));
            }
            match ran.result {
                Ok(given) => match contributions_of(&given.value).filter(|given| given.len() == batch.len()) {
                    Some(given) => return Ok(Ok(given)),
                    None => return Err(Stopped::Unkept("what its documents contribute cannot be read")),
                },
                // It had no isolate, or its worker has died, perhaps of it; or one document took too long, perhaps for the
                // machine's sake. A batch that did is halved first.
                Err(error) if runs < RUNS_MAX && is_asked_again(&error, batch.len()) => {
                    drop((view, engine, release));
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

/// Whether it may be another's fault that documents were not mapped.
fn is_asked_again(error: &CallError, documents: usize) -> bool {
    error.code == ErrorCode::Unavailable || (documents == 1 && may_pass(error))
}

/// What an error of the store means to the view.
fn stopped(error: &ReadError) -> Stopped {
    match error {
        ReadError::Poisoned(_) => Stopped::Gone,
        ReadError::UnknownCollection(_) => Stopped::Unkept("its collection is not declared any more"),
        ReadError::Cut(_) | ReadError::TooManyRead { .. } | ReadError::Outlived { .. } => Stopped::Outlived,
    }
}

/// Documents begin with their id.
fn id_of(document: &[u8]) -> Option<DocumentId> {
    #[derive(Deserialize)]
    struct Identified {
        id: DocumentId,
    }
    serde_json::from_slice::<Identified>(document).ok().map(|identified| identified.id)
}

/// What one document contributes, and the text of that.
type Given = (Vec<Contribution>, Bytes);

/// Reads `[[[key, value, …], …], …]`.
fn contributions_of(given: &Value) -> Option<Vec<Given>> {
    let of_document = |document: &Value| Some((contributions_of_one(document)?, document.to_string().into()));
    given.as_array()?.iter().map(of_document).collect()
}

/// What one document contributes as the guest would give it.
fn text_of(contributions: &[Contribution]) -> Bytes {
    let one = |Contribution { key, values }: &Contribution| {
        std::iter::once(key).chain(values).map(Scalar::to_value).collect::<Vec<Value>>()
    };
    Value::from(contributions.iter().map(one).collect::<Vec<_>>()).to_string().into()
}

/// Reads `[[key, value, …], …]`.
fn contributions_of_one(given: &Value) -> Option<Vec<Contribution>> {
    let contribution = |contribution: &Value| {
        let (key, values) = contribution.as_array()?.split_first()?;
        let values: Option<Vec<Scalar>> = values.iter().map(Scalar::of).collect();
        Some(Contribution { key: Scalar::of(key)?, values: values? })
    };
    given.as_array()?.iter().map(contribution).collect()
}

//! A view of groups as it is at some commit, for those who ask for its rows.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use weir_schema::declarations::Function;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_schema::limits::{CallLimits, Limit};
use weir_schema::size::{json_bytes, json_measure};
use weir_store::{Head, Store};

use super::Contribution;
use super::kept::{Asked, Declared};
use super::recent::{At, Recent};
use crate::access::hidden::Hidden;
use crate::call::CallError;
use crate::release::Release;
use crate::run;

/// When it may be worth to ask again for a view that is being built.
const RETRY: Duration = Duration::from_secs(1);

/// How long a run waits for what has been committed before it to be taken into account.
const PATIENCE: Duration = Duration::from_millis(100);

/// A view of groups, or a sorted one, that is kept up with the commits.
pub(crate) struct GroupView {
    function: usize,
    declared: Declared,
    recent: Mutex<Recent>,
    /// Wakes who waits for a commit to be taken into account.
    advanced: Condvar,
    progress: watch::Sender<Progress>,
    /// Commits as of which somebody will ask for it: they are not taken into account together with later ones.
    wanted: Mutex<BTreeSet<u64>>,
    /// How many documents are to be read at first, once that is known.
    total: AtomicU64,
    /// Somebody asks to have it built anew.
    asked: Arc<Notify>,
    /// How often all documents have been read.
    builds: AtomicU64,
    /// Why it is not kept up.
    unkept: OnceLock<&'static str>,
}

/// How far a view has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many documents have been read, of a first reading of all.
    Building(u64),
    /// It is as of this commit.
    AsOf(u64),
    /// It depends on more than its documents, so that it has to be computed from all of them each time.
    Unkept,
}

/// How a view is.
pub(crate) struct Condition {
    /// While it is being built: how many documents have been read, and of how many; 0 as long as that is not known.
    pub(crate) building: Option<(u64, u64)>,
    /// The commit that it is as of.
    pub(crate) head: Option<Head>,
    /// Why it is computed from all documents each time.
    pub(crate) unkept: Option<&'static str>,
    /// Why what a document contributes is not known.
    pub(crate) error: Option<CallError>,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// How often all documents have been read.
    pub(crate) builds: u64,
}

/// What a document contributes, or why that is not known.
pub(super) type Contributed = Result<Vec<Contribution>, CallError>;

/// The rows of a view as of a commit.
pub(crate) struct Rows {
    pub(crate) result: Result<Value, CallError>,
    pub(crate) head: Head,
}

/// A view as of exactly one commit.
pub(crate) enum AsOf {
    /// Its rows.
    Rows(Result<Value, CallError>),
    /// That commit is not known any more, was taken into account together with later ones, or not yet.
    Missed,
    /// The rows have to be computed from all documents.
    Unkept,
}

impl GroupView {
    /// Nothing of it is known yet. `None` for any other function.
    pub(super) fn new(place: usize, function: &Function) -> Option<Arc<Self>> {
        let declared = Declared::of(function)?;
        let (recent, (progress, _)) = (Mutex::new(Recent::new(&declared)), watch::channel(Progress::Building(0)));
        Some(Arc::new(Self {
            function: place,
            declared,
            recent,
            advanced: Condvar::new(),
            progress,
            wanted: Mutex::default(),
            total: AtomicU64::new(0),
            asked: Arc::default(),
            builds: AtomicU64::new(0),
            unkept: OnceLock::new(),
        }))
    }

    /// Which function it is, by its place in the declarations.
    pub(crate) fn function(&self) -> usize {
        self.function
    }

    /// The collection that it is over.
    pub(crate) fn collection(&self) -> &str {
        self.declared.collection()
    }

    /// Begins anew.
    pub(super) fn clear(&self) {
        self.progress.send_replace(Progress::Building(0));
        *self.recent.lock() = Recent::new(&self.declared);
        self.advanced.notify_all();
    }

    /// Takes documents into account while it is built.
    pub(super) fn build(&self, contributed: Vec<(DocumentId, Contributed)>) -> u64 {
        let so_far = match *self.progress.borrow() {
            Progress::Building(documents) => documents + contributed.len() as u64,
            _ => 0,
        };
        self.recent.lock().build(contributed);
        self.progress.send_replace(Progress::Building(so_far));
        so_far
    }

    /// Takes all into account that commits have changed, up to one. Says of how many documents something is known then.
    pub(super) fn advance(&self, contributed: Vec<(DocumentId, Contributed)>, head: Head) -> usize {
        let documents = {
            let mut recent = self.recent.lock();
            recent.advance(contributed, head);
            recent.documents()
        };
        self.wanted.lock().retain(|wanted| *wanted > head.sequence);
        self.advanced.notify_all();
        self.progress.send_replace(Progress::AsOf(head.sequence));
        documents
    }

    /// The commit that it is as of; `None` while it is being built.
    pub(super) fn head(&self) -> Option<Head> {
        self.recent.lock().head()
    }

    /// Of how many documents something is known.
    pub(super) fn documents(&self) -> usize {
        self.recent.lock().documents()
    }

    /// These documents, and the commit as of which it is.
    pub(super) fn known(&self) -> Option<(Vec<DocumentId>, Head)> {
        let recent = self.recent.lock();
        recent.head().map(|head| (recent.known(), head))
    }

    /// What some of them contribute; `None` for each of which that is not known.
    pub(super) fn contributed(&self, documents: &[DocumentId]) -> Vec<Option<Vec<Contribution>>> {
        let recent = self.recent.lock();
        documents.iter().map(|document| recent.contributed(document)).collect()
    }

    /// Some of the documents that have failed for a reason that may pass.
    pub(super) fn passing(&self) -> BTreeSet<DocumentId> {
        self.recent.lock().passing()
    }

    /// Somebody will ask for it as of this commit.
    pub(crate) fn want(&self, sequence: u64) {
        if self.recent.lock().is_behind(sequence) {
            self.wanted.lock().insert(sequence);
        }
    }

    /// The first commit that somebody wants, of those from one up to and without another.
    pub(super) fn wanted(&self, from: u64, until: u64) -> Option<u64> {
        if from < until { self.wanted.lock().range(from..until).next().copied() } else { None }
    }

    /// It cannot be kept up.
    pub(super) fn give_up(&self, why: &'static str) {
        self.clear();
        self.unkept.get_or_init(|| why);
        self.progress.send_replace(Progress::Unkept);
    }

    /// Waits until it is built, or is not going to be.
    pub(crate) async fn until_built(&self) {
        // An error would mean that it is gone.
        let _ = self.progress.subscribe().wait_for(|progress| !matches!(progress, Progress::Building(_))).await;
    }

    /// So many documents are to be read at first.
    pub(super) fn expect(&self, documents: u64) {
        self.total.store(documents, Ordering::Relaxed);
    }

    /// How many that are; 0 as long as that is not known.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Wakes who keeps it when somebody asks to have it built anew.
    pub(super) fn asked(&self) -> Arc<Notify> {
        self.asked.clone()
    }

    /// Has been built from all documents.
    pub(super) fn note_built(&self) {
        self.builds.fetch_add(1, Ordering::Relaxed);
    }

    /// Has it built anew from all documents.
    pub(crate) fn rebuild(&self) {
        self.asked.notify_one();
    }

    /// Has it built anew and waits until it is, or is known not to be kept up.
    pub(crate) async fn rebuilt(&self) {
        let before = self.builds.load(Ordering::Relaxed);
        let mut progress = self.progress.subscribe();
        self.rebuild();
        let is_over = |progress: &Progress| match progress {
            Progress::Building(_) => false,
            Progress::AsOf(_) => self.builds.load(Ordering::Relaxed) > before,
            Progress::Unkept => true,
        };
        // The view has the sender.
        let _ = progress.wait_for(is_over).await;
    }

    /// How it is.
    pub(crate) fn condition(&self) -> Condition {
        let recent = self.recent.lock();
        let (_, rows, bytes) = recent.kept().size();
        Condition {
            building: match *self.progress.borrow() {
                Progress::Building(documents) => Some((documents, self.total())),
                _ => None,
            },
            head: recent.head(),
            unkept: self.unkept.get().copied(),
            error: recent.error().cloned(),
            rows,
            bytes,
            builds: self.builds.load(Ordering::Relaxed),
        }
    }

    /// How many documents contribute, how many groups or entries they make, and how many bytes that takes.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        self.recent.lock().kept().size()
    }

    /// The rows as of a commit that is not before `needed`; `None` if they have to be computed from all documents. `arguments`
    /// are those of the function, as JSON text.
    ///
    /// Waits no longer than one call of the app may take.
    pub(crate) async fn rows(
        self: &Arc<Self>,
        store: &Store,
        release: &Release,
        arguments: &str,
        needed: u64,
    ) -> Option<Rows> {
        let function = release.declarations().callable(self.function)?;
        let asked = Arc::new(self.declared.asked(&serde_json::from_str(arguments).ok()?).ok()?);
        loop {
            match self.reach(release, needed).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Rows { result: Err(error), head: store.head() }),
            }
            let (view, asked) = (self.clone(), asked.clone());
            let (store, limits) = (store.clone(), release.limits().clone());
            // Many rows take time, and elements are read from disk.
            let computing = tokio::task::spawn_blocking(move || view.value(&asked, &store, At::From(needed), &limits));
            if let Some((value, head)) = computing.await.ok()? {
                let result = value.and_then(|value| {
                    run::check_value(release, function, value, &Hidden::default()).map(|given| given.value)
                });
                return Some(Rows { result, head });
            }
            // It was begun anew in between.
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a commit is taken into account, no longer than one call of the app may take. False if the view is not kept.
    pub(crate) async fn reach(&self, release: &Release, sequence: u64) -> Result<bool, CallError> {
        let Some(function) = release.declarations().callable(self.function) else { return Ok(false) };
        let mut progress = self.progress.subscribe();
        let is_there = |progress: &Progress| match progress {
            Progress::Building(_) => false,
            Progress::AsOf(reached) => *reached >= sequence,
            Progress::Unkept => true,
        };
        let deadline = Instant::now() + Duration::from_millis(release.limits().wall_ms);
        let waited = tokio::time::timeout_at(deadline.into(), progress.wait_for(is_there)).await;
        match waited.map(|found| found.map(|found| *found)) {
            Ok(Ok(Progress::Unkept) | Err(_)) => Ok(false),
            Ok(Ok(_)) => Ok(true),
            Err(_) => Err(not_yet(function, *progress.borrow(), self.total())),
        }
    }

    /// The rows as of exactly this commit.
    ///
    /// Blocks until the commit is taken into account, but no longer than [`PATIENCE`]: whoever keeps the view may need what the
    /// caller holds.
    pub(crate) fn rows_as_of(&self, store: &Store, release: &Release, arguments: &str, sequence: u64) -> AsOf {
        let asked = serde_json::from_str(arguments).ok().and_then(|asked| self.declared.asked(&asked).ok());
        let (Some(function), Some(asked)) = (release.declarations().callable(self.function), asked) else {
            return AsOf::Unkept;
        };
        let mut recent = self.recent.lock();
        self.advanced.wait_while_for(&mut recent, |recent| recent.is_behind(sequence), PATIENCE);
        drop(recent);
        if *self.progress.borrow() == Progress::Unkept {
            return AsOf::Unkept;
        }
        match self.value(&asked, store, At::Exactly(sequence), release.limits()) {
            Some((value, _)) => AsOf::Rows(value.and_then(|value| {
                run::check_value(release, function, value, &Hidden::default()).map(|given| given.value)
            })),
            None => AsOf::Missed,
        }
    }

    /// The rows as of a commit, and which that is; `None` if that is not known after all.
    fn value(
        &self,
        asked: &Asked,
        store: &Store,
        at: At,
        limits: &CallLimits,
    ) -> Option<(Result<Value, CallError>, Head)> {
        let find = |recent: &Recent, head: Head| match recent.error() {
            Some(error) => (Err(error.clone()), head),
            None => (recent.kept().find(asked, &self.declared, limits), head),
        };
        let (found, head) = self.recent.lock().look(at, find)?;
        let value = found.and_then(|found| self.declared.json(found, (store, head), limits));
        Some((value.and_then(|value| within(limits, value)), head))
    }
}

/// A result, if it is within the limits of results.
fn within(limits: &CallLimits, value: Value) -> Result<Value, CallError> {
    let (depth, values) = json_measure(&value);
    let limits = [
        (Limit::ResultBytes, json_bytes(&value), limits.result_bytes),
        (Limit::ResultDepth, depth, limits.result_depth),
        (Limit::ResultValues, values, limits.result_values),
    ];
    let passed = limits.into_iter().find(|(_, size, allowed)| size > allowed);
    passed.map_or(Ok(value), |(limit, _, allowed)| Err(CallError::limit(limit, allowed)))
}

fn not_yet(function: &Function, progress: Progress, total: u64) -> CallError {
    let how_far = match progress {
        Progress::Building(documents) => format!("is being built: {} have been read", how_far(documents, total)),
        _ => "has not caught up with the commits".to_owned(),
    };
    let message = format!("{} {how_far}; try again in {} ms", function.name, RETRY.as_millis());
    CallError { retry_after: Some(RETRY), ..CallError::new(ErrorCode::Unavailable, message) }
}

/// When a view began to be built, for the log.
pub(super) struct Building {
    since: Instant,
    told: Instant,
}

/// `500 of 2000 documents (25 %)`.
fn how_far(documents: u64, total: u64) -> String {
    match documents.saturating_mul(100).checked_div(total) {
        Some(share) => format!("{documents} of {total} documents ({} %)", share.min(100)),
        None => format!("{documents} documents"),
    }
}

impl Building {
    /// Between two lines of the log.
    const STEP: Duration = Duration::from_secs(5);

    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self { since: now, told: now }
    }

    /// Tells how far it is, now and then; of `total` documents, if that is known.
    pub(super) fn tell(&mut self, name: &str, documents: u64, total: u64) {
        if self.told.elapsed() >= Self::STEP {
            self.told = Instant::now();
            tracing::info!("{name} is being built: {}", how_far(documents, total));
        }
    }

    pub(super) fn end(self, name: &str, (documents, rows, bytes): (usize, usize, usize)) {
        let took = self.since.elapsed();
        tracing::debug!("{name} is built in {took:.1?}: {documents} documents, {rows} rows, {bytes} bytes");
    }
}

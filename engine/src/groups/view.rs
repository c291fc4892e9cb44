//! A view of groups as it is at some commit, for those who ask for its rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use weir_schema::declarations::Function;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_schema::limits::{CallLimits, Limit};
use weir_schema::size::json_bytes;
use weir_store::{Head, Store};

use super::Contribution;
use super::kept::{Asked, Declared, Kept};
use crate::call::CallError;
use crate::release::Release;
use crate::run;

/// When it may be worth to ask again for a view that is being built.
const RETRY: Duration = Duration::from_secs(1);

/// A view of groups, or a sorted one, that is kept up with the commits.
pub(crate) struct GroupView {
    function: usize,
    declared: Declared,
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
}

struct State {
    kept: Kept,
    /// Documents whose contributions cannot be computed.
    failed: BTreeMap<DocumentId, CallError>,
    /// The commit that it is as of; `None` while it is being built.
    head: Option<Head>,
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

/// What a document contributes, or why that is not known.
pub(super) type Contributed = Result<Vec<Contribution>, CallError>;

/// The rows of a view as of a commit.
pub(crate) struct Rows {
    pub(crate) result: Result<Value, CallError>,
    pub(crate) head: Head,
}

impl GroupView {
    /// Nothing of it is known yet. `None` for any other function.
    pub(super) fn new(place: usize, function: &Function) -> Option<Arc<Self>> {
        let declared = Declared::of(function)?;
        let (state, (progress, _)) = (Mutex::new(State::new(&declared)), watch::channel(Progress::Building(0)));
        Some(Arc::new(Self { function: place, declared, state, progress }))
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
        *self.state.lock() = State::new(&self.declared);
    }

    /// Takes documents into account while it is built.
    pub(super) fn build(&self, contributed: Vec<(DocumentId, Contributed)>) -> u64 {
        let so_far = match *self.progress.borrow() {
            Progress::Building(documents) => documents + contributed.len() as u64,
            _ => 0,
        };
        self.state.lock().set(contributed);
        self.progress.send_replace(Progress::Building(so_far));
        so_far
    }

    /// Takes all into account that commits have changed, up to one.
    pub(super) fn advance(&self, contributed: Vec<(DocumentId, Contributed)>, head: Head) {
        {
            let mut state = self.state.lock();
            state.set(contributed);
            state.head = Some(head);
        }
        self.progress.send_replace(Progress::AsOf(head.sequence));
    }

    /// It cannot be kept up.
    pub(super) fn give_up(&self) {
        self.clear();
        self.progress.send_replace(Progress::Unkept);
    }

    /// How many documents contribute, how many groups or entries they make, and how many bytes that takes.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        self.state.lock().kept.size()
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
        let mut progress = self.progress.subscribe();
        let is_there = |progress: &Progress| match progress {
            Progress::Building(_) => false,
            Progress::AsOf(sequence) => *sequence >= needed,
            Progress::Unkept => true,
        };
        let deadline = Instant::now() + Duration::from_millis(release.limits().wall_ms);
        loop {
            let waited = tokio::time::timeout_at(deadline.into(), progress.wait_for(is_there)).await;
            match waited.map(|found| found.map(|found| *found)) {
                Ok(Ok(Progress::Unkept) | Err(_)) => return None,
                Ok(Ok(_)) => {}
                Err(_) => {
                    let result = Err(not_yet(function, *progress.borrow()));
                    return Some(Rows { result, head: store.head() });
                }
            }
            let (view, asked) = (self.clone(), asked.clone());
            let (store, limits) = (store.clone(), release.limits().clone());
            // Many rows take time, and elements are read from disk.
            let computing = tokio::task::spawn_blocking(move || view.value(&asked, &store, needed, &limits));
            if let Some((value, head)) = computing.await.ok()? {
                let result = value.and_then(|value| run::check_value(release, function, value));
                return Some(Rows { result, head });
            }
            // It was begun anew in between.
            tokio::task::yield_now().await;
        }
    }

    /// The rows as they are now, and as of when; `None` if that is not known after all.
    fn value(
        &self,
        asked: &Asked,
        store: &Store,
        needed: u64,
        limits: &CallLimits,
    ) -> Option<(Result<Value, CallError>, Head)> {
        let (found, head) = {
            let state = self.state.lock();
            // It may have been begun anew since.
            let head = state.head.filter(|head| head.sequence >= needed)?;
            if let Some(error) = state.failed.values().next() {
                return Some((Err(error.clone()), head));
            }
            (state.kept.find(asked, &self.declared, limits), head)
        };
        let value = found.and_then(|found| self.declared.json(found, store, head)).and_then(|value| {
            match json_bytes(&value) > limits.result_bytes {
                true => Err(CallError::limit(Limit::ResultBytes, limits.result_bytes)),
                false => Ok(value),
            }
        });
        Some((value, head))
    }
}

impl State {
    /// Nothing is known yet.
    fn new(declared: &Declared) -> Self {
        Self { kept: Kept::new(declared), failed: BTreeMap::new(), head: None }
    }

    fn set(&mut self, contributed: Vec<(DocumentId, Contributed)>) {
        for (document, contributed) in contributed {
            match contributed {
                Ok(contributions) => {
                    self.failed.remove(&document);
                    self.kept.set(&document, contributions);
                }
                Err(error) => {
                    self.kept.set(&document, Vec::new());
                    self.failed.insert(document, error);
                }
            }
        }
    }
}

fn not_yet(function: &Function, progress: Progress) -> CallError {
    let how_far = match progress {
        Progress::Building(documents) => format!("is being built: {documents} documents have been read"),
        _ => "has not caught up with the commits".to_owned(),
    };
    let message = format!("{} {how_far}; try again in {} ms", function.name, RETRY.as_millis());
    CallError { retry_after: Some(RETRY), ..CallError::new(ErrorCode::Unavailable, message) }
}

/// When a view began to be built, for the log.
pub(super) struct Building {
    since: Instant,
    told: u64,
}

impl Building {
    /// Documents between two lines of the log.
    const STEP: u64 = 100_000;

    pub(super) fn start() -> Self {
        Self { since: Instant::now(), told: 0 }
    }

    /// Tells how far it is, now and then.
    pub(super) fn tell(&mut self, name: &str, documents: u64) {
        if documents >= self.told + Self::STEP {
            self.told = documents;
            tracing::info!("{name} is being built: {documents} documents");
        }
    }

    pub(super) fn end(self, name: &str, (documents, groups, bytes): (usize, usize, usize)) {
        let took = self.since.elapsed();
        tracing::debug!("{name} is built in {took:.1?}: {documents} documents, {groups} groups, {bytes} bytes");
    }
}

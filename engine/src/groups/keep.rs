//! Keeps a view of groups up with the commits: reads all documents once, then those that commits have changed.
//!
//! What a document contributes is computed by the guest, from the document alone. A view whose functions look at anything else,
//! be it another document, the time or the caller, cannot be kept this way and is left to be computed as a whole.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_store::{Notice, Scan};

use super::view::{Building, Contributed, GroupView};
use super::{Contribution, Scalar};
use crate::call::CallError;
use crate::engine::{Engine, Shared, draw};
use crate::release::Release;
use crate::results::key::Looked;
use crate::run::Prepared;

/// Documents that the guest is given at once.
const BATCH_DOCUMENTS: usize = 500;
/// No more are given once they have more bytes than this.
const BATCH_BYTES: usize = 256 << 10;
/// How long to wait where the guest cannot be asked at the moment.
const PAUSE: Duration = Duration::from_millis(50);
/// How much memory the groups of one view may take, in bytes, before the view is computed as a whole instead.
const BYTES_MAX: usize = 2 << 30;

/// Why a view is not kept up any longer.
enum Stopped {
    /// The release, the engine or the store is gone.
    Gone,
    /// Commits were missed: all has to be read again.
    Missed,
    /// It depends on more than its documents, or is too large.
    Unkept(&'static str),
}

/// One view and where its documents come from.
struct Keeper {
    view: Arc<GroupView>,
    engine: Weak<Shared>,
    release: Weak<Release>,
    name: String,
    notices: Receiver<Arc<Notice>>,
    /// The last commit whose notice has come.
    seen: u64,
}

/// Begins to keep the views of groups of a release, until the release is gone.
pub(crate) fn keep_all(engine: &Engine, release: &Arc<Release>) -> Vec<Arc<GroupView>> {
    let mut views = Vec::new();
    for (index, function) in release.declarations().functions.values().enumerate() {
        let Some(view) = function.groups.as_ref().and_then(|groups| GroupView::new(index, groups)) else { continue };
        let keeper = Keeper {
            view: view.clone(),
            engine: engine.downgrade(),
            release: Arc::downgrade(release),
            name: function.name.clone(),
            notices: engine.store().notices(),
            seen: 0,
        };
        tokio::spawn(keeper.keep());
        views.push(view);
    }
    views
}

impl Keeper {
    async fn keep(mut self) {
        loop {
            let stopped = match self.build().await {
                Ok(()) => self.follow().await,
                Err(stopped) => stopped,
            };
            match stopped {
                Stopped::Gone => return,
                Stopped::Missed => self.view.clear(),
                Stopped::Unkept(why) => {
                    tracing::warn!("{} is computed from all of its documents each time: {why}", self.name);
                    self.view.give_up();
                    return;
                }
            }
        }
    }

    /// Those that are asked for the next step, for as long as it takes.
    fn around(&self) -> Result<(Engine, Arc<Release>), Stopped> {
        let engine = Engine::of(&self.engine).ok_or(Stopped::Gone)?;
        Ok((engine, self.release.upgrade().ok_or(Stopped::Gone)?))
    }

    /// Reads all documents, of one commit.
    async fn build(&mut self) -> Result<(), Stopped> {
        let mut building = Building::start();
        self.notices = self.around()?.0.store().notices();
        let mut state = self.around()?.0.store().pin().map_err(|_| Stopped::Gone)?;
        let head = state.head();
        self.seen = head.sequence;
        let mut after = None;
        loop {
            let scan =
                Scan { limit: Some(BATCH_DOCUMENTS), bytes: Some(BATCH_BYTES), after: after.take(), ..Scan::default() };
            let collection = self.view.collection().to_owned();
            let reading = tokio::task::spawn_blocking(move || {
                let rows = state.scan(&collection, &scan);
                (state, rows)
            });
            let (given_back, rows) = reading.await.map_err(|_| Stopped::Gone)?;
            state = given_back;
            // A history that no longer reaches back so far: from the newest commit, then.
            let rows = rows.map_err(|_| Stopped::Missed)?;
            let mut documents = Vec::with_capacity(rows.rows.len());
            for row in rows.rows {
                after = Some(row.position);
                documents.extend(id_of(&row.document).map(|id| (id, row.document)));
            }
            let contributed = self.contributions(documents).await?;
            let so_far = self.view.build(contributed);
            building.tell(&self.name, so_far);
            if self.view.size().2 > BYTES_MAX {
                return Err(Stopped::Unkept("its groups take too much memory"));
            }
            if !rows.more {
                break;
            }
        }
        self.view.advance(Vec::new(), head);
        building.end(&self.name, self.view.size());
        Ok(())
    }

    /// Takes commits into account as they come.
    async fn follow(&mut self) -> Stopped {
        loop {
            if let Err(stopped) = self.step().await {
                return stopped;
            }
        }
    }

    /// All commits that are out: of several only the last matters.
    async fn step(&mut self) -> Result<(), Stopped> {
        let mut changed = BTreeSet::new();
        let notice = self.notices.recv().await;
        self.note(notice, &mut changed)?;
        loop {
            match self.notices.try_recv() {
                Ok(notice) => self.note(Ok(notice), &mut changed)?,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Lagged(missed)) => self.note(Err(RecvError::Lagged(missed)), &mut changed)?,
                Err(TryRecvError::Closed) => return Err(Stopped::Gone),
            }
        }
        let mut transaction = self.around()?.0.store().begin().map_err(|_| Stopped::Gone)?;
        let head = transaction.head();
        // What is seen of a later commit is to be known of.
        while self.seen < head.sequence {
            let notice = self.notices.recv().await;
            self.note(notice, &mut changed)?;
        }
        let mut documents = Vec::new();
        let mut contributed = Vec::new();
        for id in changed {
            match transaction.get(self.view.collection(), &id).map_err(|_| Stopped::Missed)? {
                Some(document) => documents.push((id, document)),
                None => contributed.push((id, Ok(Vec::new()))),
            }
        }
        drop(transaction);
        contributed.extend(self.contributions(documents).await?);
        self.view.advance(contributed, head);
        Ok(())
    }

    fn note(
        &mut self,
        notice: Result<Arc<Notice>, RecvError>,
        changed: &mut BTreeSet<DocumentId>,
    ) -> Result<(), Stopped> {
        let notice = notice.map_err(|error| match error {
            RecvError::Lagged(_) => Stopped::Missed,
            RecvError::Closed => Stopped::Gone,
        })?;
        // What came out while all was read is in what was read.
        if notice.sequence > self.seen {
            self.seen = notice.sequence;
            changed.extend(self.around()?.0.store().changed_in(self.view.collection(), &notice));
        }
        Ok(())
    }

    /// What documents contribute, in batches.
    async fn contributions(
        &self,
        documents: Vec<(DocumentId, Bytes)>,
    ) -> Result<Vec<(DocumentId, Contributed)>, Stopped> {
        let mut contributed = Vec::with_capacity(documents.len());
        let mut rest = documents.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let few = rest.iter().take(BATCH_DOCUMENTS).take_while(|(_, document)| {
                let fits = bytes < BATCH_BYTES;
                bytes += document.len();
                fits
            });
            let (batch, later) = rest.split_at(few.count().clamp(1, rest.len()));
            self.batch(batch, &mut contributed).await?;
            rest = later;
        }
        Ok(contributed)
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
                (Ok(contributions), _) => {
                    contributed.extend(batch.iter().map(|(id, _)| id.clone()).zip(contributions.into_iter().map(Ok)));
                }
                (Err(error), [(id, _)]) => contributed.push((id.clone(), Err(error))),
                (Err(_), _) => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    pending.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// Asks the guest, until there is room for it.
    async fn ask(&self, batch: &[(DocumentId, Bytes)]) -> Result<Result<Vec<Vec<Contribution>>, CallError>, Stopped> {
        let documents: Vec<Bytes> = batch.iter().map(|(_, document)| document.clone()).collect();
        loop {
            let (engine, release) = self.around()?;
            let query = Prepared::mapping(&release, self.view.function(), &documents);
            let transaction = engine.store().begin().map_err(|_| Stopped::Gone)?;
            let ran = match draw() {
                Ok(seed) => query.run(&engine, &seed, seed.ids(), Some(transaction)).await,
                Err(_) => return Err(Stopped::Gone),
            };
            let has_read = ran.transaction.is_some_and(|transaction| !transaction.read_set().is_empty());
            if has_read || ran.looked != Looked::default() {
                return Err(Stopped::Unkept(
                    "its functions look at more than the document: at others, the time, randomness or who calls",
                ));
            }
            match ran.result {
                Ok(given) => match contributions_of(&given).filter(|given| given.len() == batch.len()) {
                    Some(given) => return Ok(Ok(given)),
                    None => return Err(Stopped::Unkept("what its documents contribute cannot be read")),
                },
                Err(error) if error.code == ErrorCode::Unavailable => tokio::time::sleep(PAUSE).await,
                Err(error) => return Ok(Err(error)),
            }
        }
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

/// Reads `[[[key, value, …], …], …]`.
fn contributions_of(given: &Value) -> Option<Vec<Vec<Contribution>>> {
    let contribution = |contribution: &Value| {
        let (key, values) = contribution.as_array()?.split_first()?;
        let values: Option<Vec<Scalar>> = values.iter().map(Scalar::of).collect();
        Some(Contribution { key: Scalar::of(key)?, values: values? })
    };
    let of_document = |document: &Value| document.as_array()?.iter().map(contribution).collect();
    given.as_array()?.iter().map(of_document).collect()
}

//! Makes documents of one release those of another, batch by batch beside all that goes on, and back again.
//!
//! Each batch is one serializable transaction: it reads how far the migration is and the next documents, has them converted, and
//! writes them with how far it is then. So a migration that was cut off, however, goes on where it was, and no document is converted
//! twice for that.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use weir_schema::codec::control::{MigratedCollection, MigrationDirection, MigrationRecord, Reached};
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_store::{CommitError, Poisoned, Range, Run, Scan, Transaction};

use super::convert::{ConvertError, Converter, Documents};
use super::{Known, put_record, record, record_in};
use crate::call::CallError;
use crate::control::{Actor, Changed, ControlError, change};
use crate::engine::{Engine, draw};
use crate::release::Release;
use crate::run::RUNS_MAX;
use crate::seed::Seed;

/// Documents that one batch converts.
const BATCH_DOCUMENTS_MAX: usize = 100;
/// What these have as JSON text, in bytes, unless the first of them has more.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// How long a batch may keep others waiting.
const TURN_MAX: Duration = Duration::from_secs(10);

/// Why documents are not migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Another migration is not over.
    #[error("the migration to {release} is not over: promote that release or undo it first")]
    Other {
        /// The release.
        release: String,
    },
    /// It is being undone.
    #[error(
        "the migration to {release} is being undone: wait until that is over, or deploy a release whose migration takes documents as they are now"
    )]
    Undoing {
        /// The release.
        release: String,
    },
    /// A function has failed, or has made what cannot be stored.
    #[error("{message}")]
    Failed {
        /// What of.
        message: String,
    },
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<CommitError> for MigrateError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Unique(_) | CommitError::Held(_) => Self::Failed { message: error.to_string() },
            other => Self::Control(other.into()),
        }
    }
}

impl From<Poisoned> for MigrateError {
    fn from(poisoned: Poisoned) -> Self {
        Self::Control(poisoned.into())
    }
}

/// What a batch came to.
enum Batch {
    /// There is more to do.
    Further,
    /// All is done.
    Over(MigrationRecord),
    /// Nothing, and it may be tried again.
    Lost(CallError),
    /// Nothing.
    Failed(MigrateError),
}

impl Engine {
    /// Migrates all documents that a release has migrations for, and returns when all are: those that other releases write from then
    /// on are migrated in the commit that writes them. `None`: it has none, or there is nothing to undo.
    ///
    /// Goes on where it was if it was cut off. Both releases are loaded and the store has been told of them, and the release itself
    /// serves nobody before this returns. With [`MigrationDirection::Down`] all of it is undone; the release before may serve again
    /// while that is going on. Fails where a function does, and can be begun again or undone then.
    pub async fn migrate(
        &self,
        candidate: &Arc<Release>,
        base: Option<&Release>,
        direction: MigrationDirection,
        actor: &Actor,
    ) -> Result<Option<MigrationRecord>, MigrateError> {
        self.migrate_beside(candidate, (base, &[]), direction, actor).await
    }

    /// The same where others are compared with the release: they read all that it makes of documents, as the release before does.
    pub(crate) async fn migrate_beside(
        &self,
        candidate: &Arc<Release>,
        (base, others): (Option<&Release>, &[Arc<Release>]),
        direction: MigrationDirection,
        actor: &Actor,
    ) -> Result<Option<MigrationRecord>, MigrateError> {
        let Some(converter) = Converter::new(candidate, base) else { return Ok(None) };
        let converter = converter.beside(others.iter().map(AsRef::as_ref));
        let _alone = self.evolving().alone().await;
        let migrating =
            Migrating { engine: self, converter: Arc::new(converter), direction, actor, batch: BATCH_DOCUMENTS_MAX };
        if !migrating.begin().await? {
            return Ok(None);
        }
        loop {
            if let Some(record) = migrating.next().await? {
                return Ok(Some(record));
            }
        }
    }

    /// Has all who write know again of the migration that is on record, after a start: its release is loaded, and goes on with it later.
    pub(crate) async fn know_migration(
        &self,
        release: &Arc<Release>,
        (base, others): (Option<&Release>, &[Arc<Release>]),
    ) -> Result<(), MigrateError> {
        let _alone = self.evolving().alone().await;
        let Some((record, converter)) = record(self.store())?.zip(Converter::new(release, base)) else { return Ok(()) };
        let converter = converter.beside(others.iter().map(AsRef::as_ref));
        let (actor, direction) = (&Actor::weir(), record.direction);
        let migrating =
            Migrating { engine: self, converter: Arc::new(converter), direction, actor, batch: BATCH_DOCUMENTS_MAX };
        migrating.begin().await.map(drop)
    }

    /// Forgets a migration that is not on record: it was dropped before it had begun.
    pub(crate) async fn forget_migration(&self) {
        let _alone = self.evolving().alone().await;
        self.evolving().set(None);
    }

    /// How far the migration is that has not been promoted or undone, if there is one.
    pub fn migration_status(&self) -> Result<Option<MigrationRecord>, ControlError> {
        record(self.store())
    }

    /// Ends a migration as it is: what is migrated stays so. It cannot be undone from then on.
    pub async fn end_migration(&self, actor: &Actor) -> Result<(), MigrateError> {
        let _alone = self.evolving().alone().await;
        if record(self.store())?.is_none() {
            return Ok(());
        }
        change(self.store(), actor, |transaction| {
            let release = record_in(transaction)?.map(|record| record.release);
            put_record(transaction, None);
            Ok::<_, MigrateError>(Changed::new((), "migration.keep", release.into_iter().collect()))
        })
        .await?;
        self.evolving().set(None);
        Ok(())
    }
}

/// A migration that is being carried out.
pub(super) struct Migrating<'e> {
    pub(super) engine: &'e Engine,
    pub(super) converter: Arc<Converter>,
    pub(super) direction: MigrationDirection,
    pub(super) actor: &'e Actor,
    /// Documents that one batch converts.
    pub(super) batch: usize,
}

impl Migrating<'_> {
    /// Puts it on record, unless it is already, and has all who write know of it. Says whether there is anything to do.
    pub(super) async fn begin(&self) -> Result<bool, MigrateError> {
        let (engine, release) = (self.engine, self.converter.release().name());
        let mut begun = record(engine.store())?;
        if begun.is_none() && self.direction == MigrationDirection::Down {
            return Ok(false);
        }
        if let Some(begun) = begun.as_ref().filter(|begun| begun.release != release) {
            return Err(MigrateError::Other { release: begun.release.clone() });
        }
        if begun.as_ref().is_some_and(|begun| begun.direction > self.direction) {
            return Err(MigrateError::Undoing { release });
        }
        let is_new = begun.as_ref().is_none_or(|begun| begun.direction != self.direction);
        let mut totals = Vec::new();
        for collection in self.converter.collections().filter(|_| is_new) {
            totals.push((collection.clone(), engine.store().count_documents(collection).await?));
        }
        // Known before it is on record: whoever writes then is told by the record, or has to begin anew.
        let before = engine.evolving().set(Some(Known::Runs(self.converter.clone())));
        if is_new {
            let written = change(engine.store(), self.actor, |transaction| {
                let next = self.begun(record_in(transaction)?, &totals);
                put_record(transaction, Some(&next));
                let targets = vec![release.clone(), way(self.direction).to_owned()];
                Ok::<_, MigrateError>(Changed::new(next, "migration.begin", targets))
            });
            match written.await {
                Ok(next) => begun = Some(next),
                Err(error) => {
                    engine.evolving().set(before);
                    return Err(error);
                }
            }
        }
        if self.direction == MigrationDirection::Down {
            engine.store().let_go(self.converter.release().key()).await?;
        }
        engine.store().fence().await?;
        Ok(begun.is_some())
    }

    /// The record of the beginning.
    fn begun(&self, before: Option<MigrationRecord>, totals: &[(String, u64)]) -> MigrationRecord {
        let mut before = before.map(|before| before.collections).unwrap_or_default();
        let collections = totals.iter().map(|(collection, total)| {
            let MigratedCollection { reached, undone, .. } = before.remove(collection).unwrap_or_default();
            (collection.clone(), MigratedCollection { reached, undone, total: *total, ..MigratedCollection::default() })
        });
        let (release, direction) = (self.converter.release().name(), self.direction);
        MigrationRecord { release, direction, is_over: false, collections: collections.collect() }
    }

    /// Converts the next documents. Gives the record once all are.
    pub(super) async fn next(&self) -> Result<Option<MigrationRecord>, MigrateError> {
        let seed = draw().map_err(failed)?;
        let mut runs = 1;
        let came = loop {
            let ran = self.engine.store().transact(TURN_MAX, |transaction| self.attempt(&seed, transaction)).await?;
            match ran.value {
                Batch::Lost(_) if runs < RUNS_MAX => runs += 1,
                came => break came,
            }
        };
        match came {
            Batch::Further => Ok(None),
            Batch::Over(record) => {
                if self.direction == MigrationDirection::Down {
                    self.engine.evolving().set(None);
                }
                Ok(Some(record))
            }
            Batch::Lost(error) => Err(failed(error)),
            Batch::Failed(error) => Err(error),
        }
    }

    async fn attempt(&self, seed: &Seed, mut transaction: Transaction) -> Run<Batch> {
        transaction.write_for(self.converter.writer(self.direction).clone());
        let mut record = match record_in(&mut transaction) {
            Ok(Some(record)) => record,
            Ok(None) => return Run::Abort(Batch::Failed(failed(CallError::unavailable("the migration was ended")))),
            Err(error) => return Run::Abort(Batch::Failed(error.into())),
        };
        if record.is_over {
            return Run::Abort(Batch::Over(record));
        }
        let open = record.collections.iter_mut().find(|(_, progress)| !self.is_over(progress));
        if let Some((collection, progress)) = open {
            let (documents, reached) = match self.documents(&mut transaction, collection, progress) {
                Ok(next) => next,
                Err(error) => return Run::Abort(Batch::Failed(failed(error))),
            };
            progress.done += documents.len() as u64;
            let way = (self.direction, collection.as_str());
            match self.converter.convert(self.engine, seed, way, documents, transaction).await {
                Ok((with_it, changed)) => {
                    transaction = with_it;
                    progress.changed += changed;
                }
                Err(ConvertError { error, may_run_again: true }) => return Run::Abort(Batch::Lost(error)),
                Err(ConvertError { error, .. }) => return Run::Abort(Batch::Failed(failed(error))),
            }
            match self.direction {
                MigrationDirection::Up => progress.reached = reached,
                MigrationDirection::Down => progress.undone = reached,
            }
        }
        record.is_over = record.collections.values().all(|progress| self.is_over(progress));
        if !record.is_over {
            put_record(&mut transaction, Some(&record));
            return Run::Commit(transaction, Batch::Further);
        }
        let is_kept = self.direction == MigrationDirection::Up;
        put_record(&mut transaction, Some(&record).filter(|_| is_kept));
        let counts = record
            .collections
            .iter()
            .map(|(collection, progress)| format!("{collection}: {} of {} changed", progress.changed, progress.done));
        let targets = [record.release.clone(), way(self.direction).to_owned()].into_iter().chain(counts);
        transaction.record_alone(self.actor.note("migration.end", targets.collect()));
        Run::Commit(transaction, Batch::Over(record))
    }

    fn is_over(&self, progress: &MigratedCollection) -> bool {
        match self.direction {
            MigrationDirection::Up => progress.reached == Reached::All,
            // Nothing was migrated behind that.
            MigrationDirection::Down => progress.undone >= progress.reached,
        }
    }

    /// The next documents, and how far the migration is with them.
    fn documents(
        &self,
        transaction: &mut Transaction,
        collection: &str,
        progress: &MigratedCollection,
    ) -> Result<(Documents, Reached), CallError> {
        let text = |reached: &Reached| match reached {
            Reached::To(id) => Some(Value::from(id.as_str())),
            Reached::Nothing | Reached::All => None,
        };
        let (from, to, end) = match self.direction {
            MigrationDirection::Up => (&progress.reached, None, Reached::All),
            MigrationDirection::Down => (&progress.undone, text(&progress.reached), progress.reached.clone()),
        };
        let range = Range { field: "id".to_owned(), gt: text(from), lte: to, ..Range::default() };
        let scan = Scan {
            range: Some(range).filter(|range| range.gt.is_some() || range.lte.is_some()),
            limit: Some(self.batch),
            bytes: Some(BATCH_BYTES_MAX),
            ..Scan::default()
        };
        let rows = transaction.scan(collection, &scan).map_err(CallError::unavailable)?;
        let mut documents = Documents::with_capacity(rows.rows.len());
        for row in rows.rows {
            documents.push((id_of(&row.document)?, row.document));
        }
        let last = documents.last().filter(|_| rows.more).map(|(id, _)| Reached::To(id.clone()));
        Ok((documents, last.unwrap_or(end)))
    }
}

fn id_of(text: &[u8]) -> Result<DocumentId, CallError> {
    #[derive(serde::Deserialize)]
    struct Identified {
        id: DocumentId,
    }
    let identified: Result<Identified, _> = serde_json::from_slice(text);
    let damaged = |error| CallError::new(ErrorCode::Internal, format!("a document has no id: {error}"));
    identified.map(|identified| identified.id).map_err(damaged)
}

fn failed(error: CallError) -> MigrateError {
    MigrateError::Failed { message: error.message }
}

/// As the audit log has it.
fn way(direction: MigrationDirection) -> &'static str {
    match direction {
        MigrationDirection::Up => "up",
        MigrationDirection::Down => "down",
    }
}

//! The handle of a store: open, begin, commit, close.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{self, Runtime};
use tokio::sync::{Mutex, broadcast, mpsc, oneshot};
use tracing::Instrument;
use weir_schema::codec::audit::{AuditRecord, Person, PersonId};
use weir_schema::codec::journal::{Head, HistoryExtent};
use weir_schema::codec::key::{self, Key};
use weir_schema::commit::Timestamp;
use weir_schema::declarations::Declarations;

use crate::building::Building;
use crate::catalog::Catalog;
use crate::committer::{self, Committer, Published, Request};
use crate::declare::AllWanted;
use crate::engine::{Engine, Live};
use crate::error::{CatalogError, CommitError, HistoryError, OpenError, Poisoned, ReadError};
use crate::group::{Answer, Ends, Group, Upkeep, Verdict};
use crate::health::Health;
use crate::journal::Tail;
use crate::notice::{Committed, Notice};
use crate::options::Options;
use crate::past::{History, Past};
use crate::people::People;
use crate::pinned::Pinned;
use crate::prepared::Prepared;
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::snapshot::{Base, Readers};
use crate::transaction::{Allowance, Transaction};
use crate::turns::{Turn, Turns};
use crate::window::Window;
use crate::witness::Witness;
use crate::{backup, declare, indexing, journal, migration, past, sealing, upkeep};

/// An open store. Cheap to clone; the last clone that is dropped closes it in the background.
#[derive(Clone)]
pub struct Store {
    owner: Arc<Owner>,
}

/// Keeps the threads of the store. Tasks on them have the core, never this.
struct Owner {
    core: Arc<Core>,
    runtime: Option<Runtime>,
}

/// What the store's own tasks share.
pub(crate) struct Core {
    /// The data folder.
    pub(crate) directory: PathBuf,
    pub(crate) engine: Engine,
    pub(crate) health: Health,
    pub(crate) published: Arc<Published>,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) history: History,
    pub(crate) people: Arc<People>,
    /// Held while the catalog is being changed.
    pub(crate) applying: Mutex<()>,
    pub(crate) changing: Mutex<()>,
    /// What is being built and looked through at the moment.
    pub(crate) building: Building,
    /// Held while a backup is made.
    pub(crate) backing_up: parking_lot::Mutex<()>,
    /// Held while the encryption keys are being exchanged.
    pub(crate) rotating: Mutex<()>,
    pub(crate) options: Options,
}

/// How far a commit has come that was handed to the committer.
pub(crate) enum Submitted {
    /// It is over.
    Judged(Verdict),
    /// It has its place and waits for the disk, or is refused for what does.
    Decided(oneshot::Receiver<Verdict>),
}

/// What an opened engine holds.
struct Loaded {
    head: Head,
    ends: Ends,
    catalog: Catalog,
    history: Option<HistoryExtent>,
    witness: Witness,
    people: People,
    /// The keys that bundles are sealed by, where they were wrapped by an encryption key that is not the active one.
    rewrapped: Vec<(Key, Option<Bytes>)>,
}

impl Store {
    /// Opens the data folder or creates it. Blocks until the log is replayed and the journal checked.
    pub fn open(directory: &Path, mut options: Options) -> Result<Self, OpenError> {
        let upgrade = weir_migrations::prepare(directory)?;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(options.worker_threads)
            .thread_name("weir-store")
            .enable_time()
            .build()
            .map_err(OpenError::Threads)?;
        let health = Health::default();
        // On a thread of its own: replaying a log of several files blocks, which no caller's runtime may keep it from.
        let opening = || {
            let _inside = runtime.enter();
            Engine::open(directory, &options, health.clone())
        };
        let opened = thread::scope(|scope| scope.spawn(opening).join());
        let opened = opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let engine = match opened {
            Ok(engine) => engine,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        // The engine has the keys. A copy here would outlive their exchange.
        options.encryption = None;
        let upgraded = upgrade.map_or(Ok(()), |upgrade| migration::run(upgrade, &engine, &runtime));
        match upgraded.and_then(|()| load(directory, &engine, &health)) {
            Ok(loaded) => {
                backup::clean_up(directory);
                Ok(Self::start(directory, engine, health, loaded, options, runtime))
            }
            Err(error) => {
                // Wait, so that the folder is free again when the caller gets to know.
                let closing = thread::spawn(move || {
                    // What went wrong first is what the caller gets.
                    let _ = runtime.block_on(engine.close());
                });
                let _ = closing.join();
                Err(error)
            }
        }
    }

    fn start(
        directory: &Path,
        engine: Engine,
        health: Health,
        loaded: Loaded,
        options: Options,
        runtime: Runtime,
    ) -> Self {
        let Loaded { head, ends, catalog, history: stored, witness, people, rewrapped } = loaded;
        let people = Arc::new(people);
        let (requests, queue) = mpsc::channel(options.commit_queue_max);
        let (history, record) = History::open(stored, head, &options);
        let mut open = Group::default();
        if stored != Some(record) {
            // Nobody waits for it: where it is not written in time the next start writes it.
            let (done, _) = oneshot::channel();
            open.upkeep.push((Upkeep { history: Some(record), ..Upkeep::default() }, done));
        }
        if !rewrapped.is_empty() {
            let (done, _) = oneshot::channel();
            open.upkeep.push((Upkeep { kept: rewrapped.into(), ..Upkeep::default() }, done));
        }
        let published = Arc::new(committer::published(head, catalog, &open.pending, options.notices_max));
        let turns = Arc::new(Turns::default());
        let committer = Committer {
            engine: engine.clone(),
            health: health.clone(),
            published: published.clone(),
            turns: turns.clone(),
            window: Window::new(head.sequence, &options),
            head,
            ends,
            witness,
            people: people.clone(),
            options: options.clone(),
            open,
            write: None,
            holders_in_write: Default::default(),
            closing: Vec::new(),
        };
        runtime.spawn(committer.run(queue).in_current_span());
        let core = Arc::new(Core {
            directory: directory.to_owned(),
            engine,
            health,
            published,
            requests,
            turns,
            readers: Arc::default(),
            history,
            people,
            applying: Mutex::new(()),
            changing: Mutex::new(()),
            building: Building::default(),
            backing_up: parking_lot::Mutex::new(()),
            rotating: Mutex::new(()),
            options,
        });
        runtime.spawn(upkeep::run(Arc::downgrade(&core)).in_current_span());
        Self { owner: Arc::new(Owner { core, runtime: Some(runtime) }) }
    }

    /// Makes the collections and indexes those of the declarations.
    ///
    /// New indexes are built before they can be used; documents can be written all the while. Indexes that are no
    /// longer declared are dropped. Collections that are no longer declared keep their documents, and a later
    /// declaration finds them again. If existing documents violate a new index, nothing changes.
    pub async fn apply_collections(&self, declarations: &Declarations) -> Result<(), CatalogError> {
        self.apply(declare::wanted(declarations)?).await
    }

    /// The same for releases that are there at once, by their names and the newest first: the collections and indexes are those
    /// of all of them together, and each writer is held to the unique indexes and references of all.
    ///
    /// Nothing is dropped that one of them declares. Where they differ in what becomes of a document when one that it refers
    /// to is deleted, the first counts. Releases that no documents suit at once are refused, and nothing changes.
    pub async fn apply_releases(&self, releases: &[(&str, &Declarations)]) -> Result<(), CatalogError> {
        let wanted = releases.iter().map(|(name, declarations)| Ok((*name, declare::wanted(declarations)?)));
        let united = declare::unite::unite(&wanted.collect::<Result<Vec<_>, CatalogError>>()?)?;
        self.apply_for(united, releases.iter().map(|(name, _)| (*name).to_owned()).collect()).await
    }

    /// As [`Self::apply_collections`], for what has been read already.
    pub(crate) async fn apply(&self, wanted: AllWanted) -> Result<(), CatalogError> {
        self.apply_for(wanted, Vec::new()).await
    }

    async fn apply_for(&self, wanted: AllWanted, releases: Vec<String>) -> Result<(), CatalogError> {
        self.owner.core.health.check()?;
        let Some(runtime) = &self.owner.runtime else { return Ok(()) };
        // A task of its own: a caller that goes away does not leave it half done.
        let applied = runtime.spawn(indexing::apply(self.owner.core.clone(), wanted, releases)).await;
        applied.unwrap_or_else(|_| Err(self.owner.core.health.reason().into()))
    }

    /// Begins a transaction on the state of the last durable commit.
    pub fn begin(&self) -> Result<Transaction, ReadError> {
        Ok(self.owner.core.begin()?)
    }

    /// Has a transaction that has read and written nothing yet begin anew, on the newest state: the longer it waits with what
    /// it saw first, the more has changed. One that has is left as it is.
    pub fn renew(&self, transaction: &mut Transaction) -> Result<(), Poisoned> {
        self.owner.core.renew(transaction)
    }

    /// Commits what a transaction has written, if nothing that it read has changed since it began. See
    /// [`Self::transact`] for one that shall be run again.
    ///
    /// Once it returns `Ok` the commit survives a power cut, and its notice is out. Dropping the future leaves open
    /// whether it is committed. A transaction without writes is complete as it is.
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let Head { timestamp, sequence, .. } = transaction.head();
        transaction.check_kept()?;
        transaction.check_held()?;
        let prepared = Prepared::new(transaction);
        if prepared.is_empty() {
            return Ok(Committed { timestamp, sequence });
        }
        match self.owner.core.submit(prepared).await {
            Verdict::Committed(committed) => Ok(committed),
            Verdict::Conflict(_) => Err(CommitError::Conflict),
            Verdict::Failed(error) => Err(error),
        }
    }

    /// The state at a time of the past.
    pub fn at(&self, timestamp: Timestamp) -> Result<Past, HistoryError> {
        Past::open(&self.owner.core, timestamp)
    }

    /// The state of the last durable commit, for as long as it is needed.
    pub fn pin(&self) -> Result<Pinned, ReadError> {
        Ok(Pinned::open(self)?)
    }

    /// The oldest time that [`Self::at`] can be asked for.
    pub fn history_since(&self) -> Timestamp {
        let head = self.head();
        self.owner.core.history.oldest(head).min(head.timestamp)
    }

    /// The audit log in order: the records after the one of a number, at most `limit`, with what is sealed of them and can be
    /// opened.
    pub fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>, Poisoned> {
        let mut records = Vec::new();
        if limit > 0 {
            self.audit_each(after, |record| {
                records.push(record);
                if records.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        Ok(records)
    }

    /// The same, one record after the other until who takes them breaks off: one is in memory at a time.
    pub fn audit_each(&self, after: u64, mut take: impl FnMut(AuditRecord) -> ControlFlow<()>) -> Result<(), Poisoned> {
        let (keys, live) = self.owner.core.people.keys_and(|| self.owner.core.engine.live())?;
        let rest = Interval { start: key::audit(after.saturating_add(1)), end: key::after_prefix(&key::audit_all()) };
        let mut opening = keys.opening(&live);
        for entry in live.entries(&rest, Direction::Asc)? {
            let mut record: AuditRecord = parse_record(&live, &entry?.1, "audit record")?;
            opening.open(&mut record)?;
            if take(record).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// By which id records name a person; `None`: none does, or none that can be opened.
    pub fn audited(&self, person: &Person) -> Result<Option<PersonId>, Poisoned> {
        let (keys, live) = self.owner.core.people.keys_and(|| self.owner.core.engine.live())?;
        keys.id_of(&live, person)
    }

    /// Follows the journal from a commit on, given by its sequence.
    pub fn tail(&self, from: u64) -> Tail {
        Tail::new(self.owner.core.clone(), from)
    }

    /// The last commit.
    pub fn head(&self) -> Head {
        *self.owner.core.published.head.read()
    }

    /// Every commit from now on, in order, each after it is durable and before it is acknowledged. A receiver that
    /// falls more than `notices_max` behind is told so and misses the oldest.
    pub fn notices(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.owner.core.published.notices.subscribe()
    }

    /// How many groups of commits have been made durable since the store was opened, each by one sync.
    pub fn groups_written(&self) -> u64 {
        self.owner.core.published.groups_written.load(Ordering::Relaxed)
    }

    /// How long a transaction may be open before it is cut.
    pub fn transaction_age_max(&self) -> Duration {
        self.owner.core.options.transaction_age_max
    }

    /// Whether commits are possible; if not, why.
    pub fn is_ready(&self) -> Result<(), Poisoned> {
        self.owner.core.is_ready()
    }

    /// Runs what blocks on a thread of the store's own. It is not ended when the caller goes away.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Core) -> T + Send + 'static,
    ) -> Result<T, Poisoned> {
        let core = self.owner.core.clone();
        let Some(runtime) = &self.owner.runtime else { return Err(core.health.reason()) };
        let health = core.health.clone();
        runtime.spawn_blocking(move || run(&core)).await.map_err(|_| health.reason())
    }

    /// Runs something to its end, also where the caller goes away; `None` where the store does not run any more.
    pub(crate) async fn spawn<T: Send + 'static>(&self, run: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.owner.runtime.as_ref()?.spawn(run).await.ok()
    }

    /// Finishes the commits that wait, flushes and closes. A second call waits for the first and does nothing.
    pub async fn close(&self) {
        self.owner.core.close().await;
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.owner.core
    }
}

impl Core {
    /// Whether the store may be used; if not, why.
    pub(crate) fn is_ready(&self) -> Result<(), Poisoned> {
        self.engine.check()
    }

    pub(crate) fn begin(&self) -> Result<Transaction, Poisoned> {
        self.health.check()?;
        let (live, head) = self.live()?;
        let catalog = self.catalog_of(&live, head)?;
        Ok(Transaction::new(Base::durable(self.readers.open(live)), head, catalog, self.allowance()))
    }

    /// Begins a transaction on all that is admitted, durable or not, whose turn it is.
    pub(crate) fn begin_in_turn(&self, turn: Turn) -> Result<Transaction, Poisoned> {
        let mut transaction = self.begin_ahead()?;
        transaction.turn = Some(turn);
        Ok(transaction)
    }

    /// Begins a transaction on all that is admitted, durable or not.
    pub(crate) fn begin_ahead(&self) -> Result<Transaction, Poisoned> {
        self.health.check()?;
        let (live, view, head, catalog, epoch) = {
            // While this is held nothing becomes durable that the snapshot lacks and the view has no longer.
            let pending = self.published.pending.lock();
            (self.engine.live()?, pending.view(), pending.head, pending.catalog.clone(), pending.epoch)
        };
        let base = Base::ahead(self.readers.open(live), view);
        let mut transaction = Transaction::new(base, head, catalog, self.allowance());
        transaction.epoch = Some(epoch);
        Ok(transaction)
    }

    /// See [`Store::renew`].
    fn renew(&self, transaction: &mut Transaction) -> Result<(), Poisoned> {
        if !transaction.is_untouched() {
            return Ok(());
        }
        let mut renewed = if transaction.epoch.is_some() { self.begin_ahead()? } else { self.begin()? };
        (renewed.turn, renewed.told) = (transaction.turn.take(), transaction.told.take());
        (renewed.audit, renewed.writer) = (transaction.audit.take(), transaction.writer.take());
        renewed.overlay = std::mem::take(&mut transaction.overlay);
        if let Some(told) = &renewed.told {
            *told.lock() = renewed.seen();
        }
        *transaction = renewed;
        Ok(())
    }

    /// The newest durable state and its last commit.
    pub(crate) fn live(&self) -> Result<(Live, Head), Poisoned> {
        let live = self.engine.live()?;
        let head = read_head(&live)?;
        Ok((live, head))
    }

    pub(crate) fn allowance(&self) -> Allowance {
        Allowance {
            bytes_max: self.options.transaction_bytes_max,
            documents_read_max: self.options.transaction_documents_read_max,
            documents_written_max: self.options.transaction_documents_written_max,
        }
    }

    /// The catalog of the last commit.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.published.catalog.load_full()
    }

    /// The catalog of a state, which may have been taken just before or after the catalog changed.
    pub(crate) fn catalog_of(&self, live: &Live, head: Head) -> Result<Arc<Catalog>, Poisoned> {
        let catalog = self.catalog();
        if catalog.version == head.catalog { Ok(catalog) } else { read_catalog(live).map(Arc::new) }
    }

    /// Hands a commit to the committer and waits for what becomes of it.
    pub(crate) async fn submit(&self, prepared: Prepared) -> Verdict {
        let (answer, verdict) = oneshot::channel();
        match self.send(prepared, Answer { verdict: answer, decide: None }).await {
            Ok(()) => self.verdict(verdict).await,
            Err(refusal) => refusal,
        }
    }

    /// The same, but waits no longer than until that is decided.
    pub(crate) async fn submit_ahead(&self, prepared: Prepared) -> Submitted {
        let (answer, verdict) = oneshot::channel();
        let (decide, decided) = oneshot::channel();
        if let Err(refusal) = self.send(prepared, Answer { verdict: answer, decide: Some(decide) }).await {
            return Submitted::Judged(refusal);
        }
        match decided.await {
            Ok(()) => Submitted::Decided(verdict),
            Err(_) => Submitted::Judged(self.verdict(verdict).await),
        }
    }

    async fn send(&self, prepared: Prepared, answer: Answer) -> Result<(), Verdict> {
        let request = Request::Commit { prepared: Box::new(prepared), answer };
        let refusal = |_| Verdict::Failed(CommitError::Unavailable(self.health.reason()));
        self.requests.send(request).await.map_err(refusal)
    }

    /// What becomes of a commit that the committer has.
    pub(crate) async fn verdict(&self, verdict: oneshot::Receiver<Verdict>) -> Verdict {
        verdict.await.unwrap_or_else(|_| Verdict::Failed(CommitError::OutcomeUnknown(self.health.reason())))
    }

    async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if self.requests.send(Request::Close { answer }).await.is_ok() {
            // The committer may have ended after another close.
            let _ = closed.await;
        }
        self.requests.closed().await;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let core = self.core.clone();
        // Neither waiting nor dropping a runtime is allowed where this may happen: inside another runtime.
        thread::spawn(move || runtime.block_on(core.close()));
    }
}

fn load(directory: &Path, engine: &Engine, health: &Health) -> Result<Loaded, OpenError> {
    let unreadable = |poisoned: Poisoned| OpenError::Unreadable {
        directory: directory.to_owned(),
        message: poisoned.reason.to_string(),
    };
    let live = engine.live().map_err(unreadable)?;
    let head = read_head(&live).map_err(unreadable)?;
    let journal = journal::extent(&live).map_err(unreadable)?;
    journal::check(directory, &live, journal, head)?;
    let audit = read_record(&live, key::AUDIT_HEAD, "end of the audit log").map_err(unreadable)?;
    let catalog = read_catalog(&live).map_err(unreadable)?;
    let history = past::extent(&live).map_err(unreadable)?;
    let witness = Witness::open(directory, head.sequence)?;
    let people = People::open(directory, &live, health)?;
    let rewrapped = sealing::rewrapped_all(&live, engine.ring().as_deref()).map_err(unreadable)?;
    Ok(Loaded { head, ends: Ends { journal, audit }, catalog, history, witness, people, rewrapped })
}

pub(crate) fn read_head(live: &Live) -> Result<Head, Poisoned> {
    read_record(live, key::HEAD, "head")
}

fn read_catalog(live: &Live) -> Result<Catalog, Poisoned> {
    match live.get(key::CATALOG)? {
        None => Ok(Catalog::default()),
        Some(text) => parse_catalog(live, &text),
    }
}

pub(crate) fn parse_catalog(live: &Live, text: &[u8]) -> Result<Catalog, Poisoned> {
    parse_record(live, text, "catalog")
}

/// Reads a record of the store's own; one that is not there has its default.
pub(crate) fn read_record<T: Default + serde::de::DeserializeOwned>(
    live: &Live,
    key: &[u8],
    name: &str,
) -> Result<T, Poisoned> {
    match live.get(key)? {
        None => Ok(T::default()),
        Some(text) => parse_record(live, &text, name),
    }
}

pub(crate) fn parse_record<T: serde::de::DeserializeOwned>(
    live: &Live,
    text: &[u8],
    name: &str,
) -> Result<T, Poisoned> {
    serde_json::from_slice(text).map_err(|error| live.damaged(format_args!("the {name} cannot be read: {error}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use weir_schema::declarations::Collection;
    use weir_schema::id::DocumentId;

    #[tokio::test]
    async fn a_failing_engine_stops_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let mut declarations = Declarations::default();
        let name = "orders".to_owned();
        let (document, value) = (name.clone(), name.clone());
        declarations.collections.insert(
            name.clone(),
            Collection { name, document, value, module: String::new(), indexes: Vec::new(), references: Vec::new() },
        );
        store.apply_collections(&declarations).await.unwrap();
        let writing = |name: &str| {
            let mut transaction = store.begin().unwrap();
            transaction.put("orders", &DocumentId::parse(name).unwrap(), serde_json::Map::new()).unwrap();
            transaction
        };
        store.commit(writing("a")).await.unwrap();
        let (second, third) = (writing("b"), writing("c"));
        store.owner.core.engine.abandon();
        assert!(matches!(store.commit(second).await, Err(CommitError::OutcomeUnknown(_))));
        assert!(matches!(store.commit(third).await, Err(CommitError::Unavailable(_))));
        assert!(store.is_ready().is_err());
        assert!(store.begin().is_err());
        assert!(matches!(store.apply_collections(&declarations).await, Err(CatalogError::Unavailable(_))));

        let reopened = Store::open(folder.path(), Options::default()).unwrap();
        let acknowledged = reopened.begin().unwrap().get("orders", &DocumentId::parse("a").unwrap());
        assert_eq!(acknowledged.unwrap().unwrap(), r#"{"id":"a"}"#);
    }
}

//! The handle of a store: open, begin, commit, close.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use tokio::runtime::{self, Runtime};
use tokio::sync::{Mutex, broadcast, mpsc, oneshot};
use weir_schema::codec::journal::Head;
use weir_schema::codec::key;
use weir_schema::declarations::Declarations;

use crate::catalog::Catalog;
use crate::committer::{Committer, Outcome, Published, Request};
use crate::engine::{Engine, Snapshot};
use crate::error::{CatalogError, CommitError, OpenError, Poisoned, ReadError};
use crate::health::Health;
use crate::notice::{Committed, Notice};
use crate::options::Options;
use crate::prepared::Prepared;
use crate::transaction::Transaction;
use crate::window::Window;
use crate::{declare, indexing, journal};

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
    engine: Engine,
    health: Health,
    published: Arc<Published>,
    requests: mpsc::Sender<Request>,
    /// Held while the catalog is being changed.
    pub(crate) applying: Mutex<()>,
    pub(crate) options: Options,
}

impl Store {
    /// Opens the data folder or creates it. Blocks until the log is replayed and the journal checked.
    pub fn open(directory: &Path, options: Options) -> Result<Self, OpenError> {
        weir_migrations::prepare(directory)?;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(options.worker_threads)
            .thread_name("weir-store")
            .enable_time()
            .build()
            .map_err(OpenError::Threads)?;
        let health = Health::default();
        let opened = {
            let _inside = runtime.enter();
            Engine::open(directory, &options, health.clone())
        };
        let engine = match opened {
            Ok(engine) => engine,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        match load(directory, &engine) {
            Ok((head, catalog)) => Ok(Self::start(engine, health, head, catalog, options, runtime)),
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

    fn start(engine: Engine, health: Health, head: Head, catalog: Catalog, options: Options, runtime: Runtime) -> Self {
        let (notices, _) = broadcast::channel(options.notices_max);
        let (requests, queue) = mpsc::channel(options.commit_queue_max);
        let published =
            Arc::new(Published { head: RwLock::new(head), catalog: ArcSwap::from_pointee(catalog), notices });
        let committer = Committer {
            engine: engine.clone(),
            health: health.clone(),
            published: published.clone(),
            window: Window::new(head.sequence, &options),
            head,
            options: options.clone(),
        };
        runtime.spawn(committer.run(queue));
        let core = Arc::new(Core { engine, health, published, requests, applying: Mutex::new(()), options });
        Self { owner: Arc::new(Owner { core, runtime: Some(runtime) }) }
    }

    /// Makes the collections and indexes those of the declarations.
    ///
    /// New indexes are built before they can be used; documents can be written all the while. Indexes that are no
    /// longer declared are dropped. Collections that are no longer declared keep their documents, and a later
    /// declaration finds them again. If existing documents violate a new index, nothing changes.
    pub async fn apply_collections(&self, declarations: &Declarations) -> Result<(), CatalogError> {
        let wanted = declare::wanted(declarations)?;
        self.owner.core.health.check()?;
        let Some(runtime) = &self.owner.runtime else { return Ok(()) };
        // A task of its own: a caller that goes away does not leave it half done.
        let applied = runtime.spawn(indexing::apply(self.owner.core.clone(), wanted)).await;
        applied.unwrap_or_else(|_| Err(self.owner.core.health.reason().into()))
    }

    /// Begins a transaction on the state of the last commit.
    pub fn begin(&self) -> Result<Transaction, ReadError> {
        let core = &self.owner.core;
        core.health.check()?;
        let (snapshot, head) = core.snapshot()?;
        let catalog = core.catalog_of(&snapshot, head)?;
        Ok(Transaction::new(snapshot, head, catalog, core.options.transaction_bytes_max))
    }

    /// Commits what a transaction has written, if nothing that it read has changed since it began.
    ///
    /// Once it returns `Ok` the commit survives a power cut, and its notice is out. Dropping the future leaves open
    /// whether it is committed. A transaction without writes is complete as it is.
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let Head { timestamp, sequence, .. } = transaction.head();
        let prepared = Prepared::new(transaction);
        if prepared.writes.is_empty() {
            return Ok(Committed { timestamp, sequence });
        }
        self.owner.core.submit(prepared).await
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

    /// Whether commits are possible; if not, why.
    pub fn is_ready(&self) -> Result<(), Poisoned> {
        self.owner.core.engine.check()
    }

    /// Finishes the commits that wait, flushes and closes. A second call waits for the first and does nothing.
    pub async fn close(&self) {
        self.owner.core.close().await;
    }
}

impl Core {
    /// A snapshot and its last commit.
    pub(crate) fn snapshot(&self) -> Result<(Snapshot, Head), Poisoned> {
        let snapshot = self.engine.snapshot()?;
        let head = read_head(&snapshot)?;
        Ok((snapshot, head))
    }

    /// The catalog of the last commit.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.published.catalog.load_full()
    }

    /// The catalog of a snapshot, which may have been taken just before or after the catalog changed.
    fn catalog_of(&self, snapshot: &Snapshot, head: Head) -> Result<Arc<Catalog>, Poisoned> {
        let catalog = self.catalog();
        if catalog.version == head.catalog { Ok(catalog) } else { read_catalog(snapshot).map(Arc::new) }
    }

    /// Hands a commit to the committer and waits for its outcome.
    pub(crate) async fn submit(&self, prepared: Prepared) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let request = Request::Commit { prepared: Box::new(prepared), answer };
        if self.requests.send(request).await.is_err() {
            return Err(CommitError::Unavailable(self.health.reason()));
        }
        outcome.await.unwrap_or_else(|_| Err(CommitError::OutcomeUnknown(self.health.reason())))
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

/// What an opened engine holds.
fn load(directory: &Path, engine: &Engine) -> Result<(Head, Catalog), OpenError> {
    let unreadable = |poisoned: Poisoned| OpenError::Unreadable {
        directory: directory.to_owned(),
        message: poisoned.reason.to_string(),
    };
    let snapshot = engine.snapshot().map_err(unreadable)?;
    let head = read_head(&snapshot).map_err(unreadable)?;
    journal::check(directory, &snapshot, head)?;
    let catalog = read_catalog(&snapshot).map_err(unreadable)?;
    Ok((head, catalog))
}

fn read_head(snapshot: &Snapshot) -> Result<Head, Poisoned> {
    read_record(snapshot, key::HEAD, "head")
}

fn read_catalog(snapshot: &Snapshot) -> Result<Catalog, Poisoned> {
    read_record(snapshot, key::CATALOG, "catalog")
}

fn read_record<T: Default + serde::de::DeserializeOwned>(
    snapshot: &Snapshot,
    key: &[u8],
    name: &str,
) -> Result<T, Poisoned> {
    match snapshot.get(key)? {
        None => Ok(T::default()),
        Some(text) => serde_json::from_slice(&text)
            .map_err(|error| snapshot.damaged(format_args!("the {name} record cannot be read: {error}"))),
    }
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

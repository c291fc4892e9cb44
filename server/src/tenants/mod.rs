//! Tenants: who is served besides the server's own app, each from a data folder of its own, with an engine, worker processes, a
//! cache, a scheduler, keys, administrators and an audit log of its own.
//!
//! | module | what it does |
//! |---|---|
//! | [`host`] | for which host a request is |
//! | [`choose`] | whose a request is: by its host, or by a token that was verified |
//! | [`folder`] | what a tenant has on the disk, with its key, and the end of it |
//! | [`served`] | a tenant that is open: from its folder to its routes |
//! | [`changes`] | making, suspending and deleting tenants while the server runs |
//! | [`resealing`] | the keys of tenants while those of the server are exchanged |
//! | [`export`] | all that a tenant has, as files |
//!
//! Architecture invariant: nothing of a tenant is reached but through its own [`Gateway`], and which one that is nothing of the
//! request says but its host and its verified token.

pub mod changes;
pub mod choose;
pub mod export;
pub mod folder;
pub mod host;
pub mod resealing;
pub mod served;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::{Mutex, RwLock};
use weir_engine::control::{Actor, ControlError, tenants};
use weir_engine::fetch::Reach;
use weir_engine::recording::Recording;
use weir_engine::secrets::Secrets;
use weir_sandbox::pool::PoolOptions;
use weir_schema::codec::control::{TenantRecord, TenantState};
use weir_schema::tenant::{HostName, TenantName};
use weir_store::Store;
use weir_store::keys::KeyRing;

use self::folder::TenantFolder;
use self::served::Served;
use crate::http::gateway::Gateway;

/// Tenants that are opened at one time.
const OPENING_MAX: usize = 4;

/// What tenants are opened with.
pub struct Setup {
    /// The data folder of the server.
    pub data: PathBuf,
    /// The keys that it is encrypted with.
    pub ring: Option<KeyRing>,
    /// Tenants that there may be.
    pub max: usize,
    /// The isolates of each.
    pub pool: PoolOptions,
    /// How much memory the kept results of each may take, roughly, in bytes.
    pub results_bytes: usize,
    /// Reads the secrets of a tenant's app.
    pub secrets: ReadSecrets,
    /// Which calls are on record, in the log of each.
    pub recording: Recording,
    /// How many keys have to have signed a bundle of one.
    pub signatures: usize,
    /// Where their apps may fetch from.
    pub reach: Reach,
}

/// Reads the secrets of a tenant's app, or says why they cannot be read.
pub type ReadSecrets = Box<dyn Fn(&TenantName) -> Result<Secrets, String> + Send + Sync>;

/// All tenants of a server.
pub struct Tenants {
    /// The server's own store, which has the registry.
    store: Store,
    /// The server's own.
    own: Arc<Gateway>,
    setup: Setup,
    ring: Mutex<Option<KeyRing>>,
    table: RwLock<Table>,
    /// Held while one is being changed.
    changing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<TenantName, Entry>,
    hosts: HashMap<HostName, TenantName>,
}

/// A tenant, and what is open of it.
struct Entry {
    record: TenantRecord,
    served: Option<Arc<Served>>,
}

/// How a tenant stands for who looks after the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It is being made.
    Creating,
    /// It is served.
    Served,
    /// It is kept and not served.
    Suspended,
    /// It should be served and cannot be opened: the log says why.
    Unavailable,
    /// It is being removed.
    Deleting,
}

impl Condition {
    /// All of them, each at the place that it has as a number.
    pub const ALL: [Self; 5] = [Self::Creating, Self::Served, Self::Suspended, Self::Unavailable, Self::Deleting];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Served => "served",
            Self::Suspended => "suspended",
            Self::Unavailable => "unavailable",
            Self::Deleting => "deleting",
        }
    }

    /// How one stands of which nothing is open.
    pub fn closed(state: TenantState) -> Self {
        match state {
            TenantState::Creating => Self::Creating,
            TenantState::Active => Self::Unavailable,
            TenantState::Suspended => Self::Suspended,
            TenantState::Deleting => Self::Deleting,
        }
    }
}

impl Entry {
    fn condition(&self) -> Condition {
        match (&self.served, self.record.state) {
            (Some(_), TenantState::Active) => Condition::Served,
            (_, state) => Condition::closed(state),
        }
    }
}

impl Table {
    fn put(&mut self, record: TenantRecord, served: Option<Arc<Served>>) {
        self.hosts.retain(|_, name| *name != record.name);
        self.hosts.extend(record.hosts.iter().map(|host| (host.clone(), record.name.clone())));
        self.entries.insert(record.name.clone(), Entry { record, served });
    }

    fn remove(&mut self, name: &TenantName) {
        self.hosts.retain(|_, of| of != name);
        self.entries.remove(name);
    }
}

impl Tenants {
    /// Opens all that are to be served. One that cannot be opened leaves the others alone; what was cut off of others is brought
    /// to its end.
    pub async fn start(setup: Setup, own: Arc<Gateway>) -> Result<Arc<Self>, ControlError> {
        let store = own.service.engine().store().clone();
        let all = tenants::list(&store)?;
        let ring = Mutex::new(setup.ring.clone());
        let (table, changing) = (RwLock::default(), Arc::default());
        let tenants = Arc::new(Self { store, own, setup, ring, table, changing });
        let opening = stream::iter(all).for_each_concurrent(OPENING_MAX, |record| tenants.clone().begin(record));
        opening.await;
        Ok(tenants)
    }

    async fn begin(self: Arc<Self>, record: TenantRecord) {
        let name = record.name.clone();
        self.table.write().put(record.clone(), None);
        match record.state {
            TenantState::Creating | TenantState::Deleting => match self.destroy(&Actor::operator(), &name).await {
                Ok(()) => tracing::info!("the tenant {name} is removed, which had been cut off"),
                Err(error) => tracing::error!("the tenant {name} cannot be removed: {error}"),
            },
            TenantState::Active | TenantState::Suspended => {
                // After a crash in the middle of an exchange of keys, or one while the server did not run.
                if let Err(error) = self.folder(&name).reseal_by(self.ring().as_ref()) {
                    tracing::error!("the key of the tenant {name} stays as it is: {error}");
                }
                if record.state == TenantState::Active {
                    self.open(&record).await;
                }
            }
        }
    }

    /// Opens one. If that fails the log says why.
    async fn open(&self, record: &TenantRecord) {
        let (folder, ring) = (self.folder(&record.name), self.ring());
        let opened = tokio::task::spawn_blocking(move || folder.open(ring.as_ref()));
        let served = match opened.await {
            Ok(Ok(store)) => self.serve(record, store).await,
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match served {
            Ok(served) => self.table.write().put(record.clone(), Some(served)),
            Err(reason) => tracing::error!("the tenant {} cannot be served: {reason}", record.name),
        }
    }

    /// Serves one whose store is open.
    async fn serve(&self, record: &TenantRecord, store: Store) -> Result<Arc<Served>, String> {
        let folder = self.folder(&record.name);
        Served::start(&self.own, &self.setup, record, folder.path(), store).await.map(Arc::new)
    }

    fn folder(&self, name: &TenantName) -> TenantFolder {
        TenantFolder::of(&self.setup.data, name)
    }

    fn ring(&self) -> Option<KeyRing> {
        self.ring.lock().clone()
    }

    /// All of them with how they stand.
    pub fn list(&self) -> Vec<(TenantRecord, Condition)> {
        self.table.read().entries.values().map(|entry| (entry.record.clone(), entry.condition())).collect()
    }

    /// How many stand how.
    pub fn counts(&self) -> [u64; Condition::ALL.len()] {
        let mut counts = [0; Condition::ALL.len()];
        for entry in self.table.read().entries.values() {
            if let Some(count) = counts.get_mut(entry.condition() as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Has all of them end what they do, as the server does.
    pub fn stop(&self) {
        for served in self.all_served() {
            served.stop();
        }
    }

    /// Closes all of them, side by side.
    pub async fn close(&self) {
        stream::iter(self.all_served()).for_each_concurrent(None, async |served| served.close().await).await;
    }

    fn all_served(&self) -> Vec<Arc<Served>> {
        self.table.read().entries.values().filter_map(|entry| entry.served.clone()).collect()
    }
}

/// Where the tenants of a server are found once there are some. Clones are one.
#[derive(Clone, Default)]
pub struct Slot(Arc<OnceLock<Weak<Tenants>>>);

impl Slot {
    /// The tenants; `None`: the server has none, or has not come so far.
    pub fn get(&self) -> Option<Arc<Tenants>> {
        self.0.get().and_then(Weak::upgrade)
    }

    /// Says where they are, once.
    pub fn set(&self, tenants: &Arc<Tenants>) {
        self.0.get_or_init(|| Arc::downgrade(tenants));
    }
}

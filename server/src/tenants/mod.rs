//! Tenants and environments: who is served besides the server's own app, each from a data folder of its own, with an engine, worker
//! processes, a cache, a scheduler, keys, administrators and an audit log of its own. A tenant has an app and callers of its own; an
//! environment is the same app and the same callers with other data and another active release.
//!
//! | module | what it does |
//! |---|---|
//! | [`host`] | for which host a request is |
//! | [`choose`] | whose a request is: by its host, or by a token that was verified; and which environment it names |
//! | [`folder`] | what one has on the disk, with its key, and the end of it |
//! | [`served`] | one that is open: from its folder to its routes |
//! | [`changes`] | making, suspending and deleting tenants while the server runs |
//! | [`environments`] | making, copying and deleting environments, and the end of those that expire |
//! | [`offline`] | the same changes where nothing is served |
//! | [`resealing`] | the keys of all of them while those of the server are exchanged |
//! | [`export`] | all that a tenant has, as files |
//!
//! Architecture invariant: nothing of a tenant is reached but through its own [`Gateway`], and which one that is nothing of the
//! request says but its host and its verified token. A request leads to an environment of whom it is, and of nobody else.

pub mod changes;
pub mod choose;
pub mod environments;
pub mod export;
pub mod folder;
pub mod host;
pub mod offline;
pub mod resealing;
pub mod served;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};

use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use weir_engine::control::{Actor, ControlError, tenants};
use weir_engine::fetch::Reach;
use weir_engine::recording::Recording;
use weir_engine::secrets::Secrets;
use weir_sandbox::pool::PoolOptions;
use weir_schema::codec::control::{InstanceRecord, InstanceState};
use weir_schema::tenant::{HostName, InstanceName};
use weir_store::Store;
use weir_store::keys::KeyRing;

use self::folder::InstanceFolder;
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
    /// What tenants may use.
    pub tenants: Allowance,
    /// What environments may use.
    pub environments: Allowance,
    /// The domain under which each environment of the server's own app is a host by its name.
    pub domain: Option<HostName>,
    /// Reads the secrets of the app of a tenant or environment.
    pub secrets: ReadSecrets,
    /// Which calls are on record, in the log of each.
    pub recording: Recording,
    /// How many keys have to have signed a bundle of one.
    pub signatures: usize,
    /// Where the apps of tenants may fetch from.
    pub reach: Reach,
}

/// What may be used.
pub struct Allowance {
    /// How many there may be: of tenants, or of the environments of one app.
    pub max: usize,
    /// The isolates of each.
    pub pool: PoolOptions,
    /// How much memory the kept results of each may take, roughly, in bytes.
    pub results_bytes: usize,
}

impl Setup {
    /// What one may use.
    fn allowance(&self, name: &InstanceName) -> &Allowance {
        if name.environment_name().is_some() { &self.environments } else { &self.tenants }
    }
}

/// Reads the secrets of the app of a tenant or environment, or says why they cannot be read.
pub type ReadSecrets = Box<dyn Fn(&InstanceName) -> Result<Secrets, String> + Send + Sync>;

/// All tenants and environments of a server.
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
    /// Environments that are being made, which others need not wait for; each stops where it is told to.
    making: Mutex<HashMap<InstanceName, Arc<AtomicBool>>>,
    /// Told when one may expire earlier than another did.
    expiring: Arc<Notify>,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<InstanceName, Entry>,
    hosts: HashMap<HostName, InstanceName>,
}

/// A tenant or an environment, and what is open of it.
struct Entry {
    record: InstanceRecord,
    served: Option<Arc<Served>>,
}

/// How one stands for who looks after the server.
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
    pub fn closed(state: InstanceState) -> Self {
        match state {
            InstanceState::Creating => Self::Creating,
            InstanceState::Active => Self::Unavailable,
            InstanceState::Suspended => Self::Suspended,
            InstanceState::Deleting => Self::Deleting,
        }
    }
}

impl Entry {
    fn condition(&self) -> Condition {
        match (&self.served, self.record.state) {
            (Some(_), InstanceState::Active) => Condition::Served,
            (_, state) => Condition::closed(state),
        }
    }
}

impl Table {
    fn put(&mut self, record: InstanceRecord, served: Option<Arc<Served>>) {
        self.hosts.retain(|_, name| *name != record.name);
        self.hosts.extend(record.hosts.iter().map(|host| (host.clone(), record.name.clone())));
        self.entries.insert(record.name.clone(), Entry { record, served });
    }

    fn remove(&mut self, name: &InstanceName) {
        self.hosts.retain(|_, of| of != name);
        self.entries.remove(name);
    }
}

impl Tenants {
    /// Opens all that are to be served, tenants before their environments. One that cannot be opened leaves the others alone; what was
    /// cut off of others is brought to its end, and what has expired meanwhile is removed.
    pub async fn start(setup: Setup, own: Arc<Gateway>) -> Result<Arc<Self>, ControlError> {
        let store = own.service.engine().store().clone();
        let all = tenants::list(&store)?;
        let ring = Mutex::new(setup.ring.clone());
        let (table, changing, making, expiring) = (RwLock::default(), Arc::default(), Mutex::default(), Arc::default());
        let tenants = Arc::new(Self { store, own, setup, ring, table, changing, making, expiring });
        let (environments, of_tenants): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|record| record.name.environment_name().is_some());
        for records in [of_tenants, environments] {
            stream::iter(records).for_each_concurrent(OPENING_MAX, |record| tenants.clone().begin(record)).await;
        }
        tokio::spawn(environments::expire(Arc::downgrade(&tenants)));
        Ok(tenants)
    }

    async fn begin(self: Arc<Self>, record: InstanceRecord) {
        let (name, told) = (record.name.clone(), record.name.told());
        self.table.write().put(record.clone(), None);
        match record.state {
            InstanceState::Creating | InstanceState::Deleting => match self.destroy(&Actor::operator(), &name).await {
                Ok(()) => tracing::info!("the {told} is removed, which had been cut off"),
                Err(error) => tracing::error!("the {told} cannot be removed: {error}"),
            },
            InstanceState::Active | InstanceState::Suspended => {
                // After a crash in the middle of an exchange of keys, or one while the server did not run.
                if let Err(error) = self.folder(&name).reseal_by(self.ring().as_ref()) {
                    tracing::error!("the key of the {told} stays as it is: {error}");
                }
                if record.state == InstanceState::Active {
                    self.open(&record).await;
                }
            }
        }
    }

    /// Opens one. If that fails the log says why.
    async fn open(&self, record: &InstanceRecord) {
        let (folder, ring) = (self.folder(&record.name), self.ring());
        let opened = tokio::task::spawn_blocking(move || folder.open(ring.as_ref()));
        let served = match opened.await {
            Ok(Ok(store)) => self.serve(record, store).await,
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match served {
            Ok(served) => self.table.write().put(record.clone(), Some(served)),
            Err(reason) => tracing::error!("the {} cannot be served: {reason}", record.name.told()),
        }
    }

    /// Serves one whose store is open.
    async fn serve(&self, record: &InstanceRecord, store: Store) -> Result<Arc<Served>, String> {
        let folder = self.folder(&record.name);
        let owner = match self.owner(&record.name) {
            Ok(owner) => owner,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        Served::start(&self.own, owner.as_deref(), &self.setup, record, folder.path(), store).await.map(Arc::new)
    }

    /// The app of which one is an environment, which has to be served; `None`: it is none.
    fn owner(&self, name: &InstanceName) -> Result<Option<Arc<Gateway>>, String> {
        match (name.environment_name(), name.tenant()) {
            (None, _) => Ok(None),
            (Some(_), None) => Ok(Some(self.own.clone())),
            (Some(_), Some(tenant)) => match self.served(&InstanceName::Tenant(tenant.clone())) {
                Some(served) => Ok(Some(served.gateway().clone())),
                None => Err(format!("the tenant {tenant} is not served")),
            },
        }
    }

    fn folder(&self, name: &InstanceName) -> InstanceFolder {
        InstanceFolder::of(&self.setup.data, name)
    }

    fn ring(&self) -> Option<KeyRing> {
        self.ring.lock().clone()
    }

    /// All tenants with how they stand.
    pub fn list(&self) -> Vec<(InstanceRecord, Condition)> {
        self.listed(|name| name.environment_name().is_none())
    }

    fn listed(&self, is_meant: impl Fn(&InstanceName) -> bool) -> Vec<(InstanceRecord, Condition)> {
        let table = self.table.read();
        let meant = table.entries.values().filter(|entry| is_meant(&entry.record.name));
        meant.map(|entry| (entry.record.clone(), entry.condition())).collect()
    }

    /// How many tenants stand how, and how many environments.
    pub fn counts(&self) -> [Counts; 2] {
        let mut counts = [Counts::default(), Counts::default()];
        let [of_tenants, of_environments] = &mut counts;
        for entry in self.table.read().entries.values() {
            let counts =
                if entry.record.name.environment_name().is_some() { &mut *of_environments } else { &mut *of_tenants };
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

    fn served(&self, name: &InstanceName) -> Option<Arc<Served>> {
        self.table.read().entries.get(name).and_then(|entry| entry.served.clone())
    }

    fn all_served(&self) -> Vec<Arc<Served>> {
        self.table.read().entries.values().filter_map(|entry| entry.served.clone()).collect()
    }
}

/// How many stand how, in the order of [`Condition::ALL`].
pub type Counts = [u64; Condition::ALL.len()];

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

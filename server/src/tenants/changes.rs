//! Making, suspending and deleting tenants while the server runs. One change comes after the other, each is brought to its end
//! whoever has asked for it and gone, and a crash in the middle of one is made good at the next start.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use weir_engine::control::administrators::{self, AdminToken, AdministratorsError};
use weir_engine::control::environments::CopyEnvironmentError;
use weir_engine::control::tenants::{self, Reached, TenantsError};
use weir_engine::control::{Actor, ControlError};
use weir_schema::codec::control::{CopiedFrom, InstanceRecord, Permission};
use weir_schema::tenant::{HostName, InstanceName, TenantName};
use weir_store::Store;

use super::folder::FolderError;
use super::{Condition, Tenants};

/// The name of a tenant's first administrator.
const FIRST_ADMINISTRATOR: &str = "root";

/// Why a tenant or an environment was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The registry says no.
    #[error(transparent)]
    Registry(#[from] TenantsError),
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It has no administrator.
    #[error(transparent)]
    Administrators(#[from] AdministratorsError),
    /// It cannot have what another has.
    #[error(transparent)]
    Copy(#[from] CopyEnvironmentError),
    /// It is made and cannot be served.
    #[error("{0}")]
    Serve(String),
    /// Somebody was making it.
    #[error("the {} was still being made: that is stopped now, and nothing of it is left in a moment", .0.told())]
    Stopped(InstanceName),
    /// What was to do it is gone.
    #[error("the change was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
}

impl From<ControlError> for ChangeError {
    fn from(error: ControlError) -> Self {
        Self::Registry(error.into())
    }
}

impl Tenants {
    /// Makes a tenant and serves it. The token is that of its first administrator, and is nowhere else.
    pub async fn create(
        self: &Arc<Self>,
        actor: Actor,
        name: TenantName,
        reached: Reached,
    ) -> Result<(InstanceRecord, AdminToken), ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            let record = tenants.reserve(&actor, &name.into(), &reached, None).await?;
            let made = async {
                let store = tenants.make_folder(&record.name).await?;
                let token = closed_on_error(&store, furnish(&store, &record.name).await).await?;
                Ok((tenants.take_up(&actor, &record, store, None).await?, token))
            };
            tenants.whole_or_gone(&actor, &record.name, made.await).await
        })
        .await?
    }

    /// Reserves a name, where nothing lies that it would have.
    pub(super) async fn reserve(
        &self,
        actor: &Actor,
        name: &InstanceName,
        reached: &Reached,
        expires_ms: Option<u64>,
    ) -> Result<InstanceRecord, ChangeError> {
        let is_known = self.table.read().entries.contains_key(name);
        // Of one that is known the registry says so.
        if !is_known {
            self.folder(name).is_free()?;
        }
        self.may_have(&reached.hosts)?;
        let max = self.setup.allowance(name).max;
        let record = tenants::reserve(&self.store, actor, name, reached, max, expires_ms).await?;
        self.table.write().put(record.clone(), None);
        Ok(record)
    }

    /// Looks whether hosts would take their names from environments.
    pub(super) fn may_have(&self, hosts: &[HostName]) -> Result<(), TenantsError> {
        let Some(domain) = &self.setup.domain else { return Ok(()) };
        let taken = hosts.iter().find(|host| host.is_below(domain));
        taken.map_or(Ok(()), |host| Err(TenantsError::BelowDomain(host.clone())))
    }

    /// Makes the folder of one whose name is reserved.
    pub(super) async fn make_folder(&self, name: &InstanceName) -> Result<Store, ChangeError> {
        let (folder, ring) = (self.folder(name), self.ring());
        Ok(tokio::task::spawn_blocking(move || folder.make(ring.as_ref())).await??)
    }

    /// Serves one whose folder is made.
    pub(super) async fn take_up(
        &self,
        actor: &Actor,
        record: &InstanceRecord,
        store: Store,
        copied: Option<CopiedFrom>,
    ) -> Result<InstanceRecord, ChangeError> {
        let served = self.serve(record, store).await.map_err(ChangeError::Serve)?;
        match tenants::activate(&self.store, actor, &record.name, copied).await {
            Ok(record) => {
                self.table.write().put(record.clone(), Some(served));
                Ok(record)
            }
            Err(error) => {
                served.close().await;
                Err(error.into())
            }
        }
    }

    /// What was made, or nothing of it.
    pub(super) async fn whole_or_gone<T>(
        &self,
        actor: &Actor,
        name: &InstanceName,
        made: Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        if made.is_err()
            && let Err(error) = self.destroy(actor, name).await
        {
            tracing::error!("what was made of the {} cannot be removed: {error}", name.told());
        }
        made
    }

    /// Has one be reached by these hosts and issuers, and by no others. What goes on with a token of another ends.
    pub async fn reach(
        self: &Arc<Self>,
        actor: Actor,
        name: TenantName,
        reached: Reached,
    ) -> Result<InstanceRecord, ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            tenants.may_have(&reached.hosts)?;
            let record = tenants::reach(&tenants.store, &actor, &name.into(), &reached).await?;
            let served = tenants.served(&record.name);
            tenants.table.write().put(record.clone(), served.clone());
            if let Some(served) = served {
                served.gateway().auth.set_tenant_issuers(record.issuers.clone());
                for environment in tenants.environments_of(&record.name) {
                    if let Some(served) = tenants.served(&environment.name) {
                        served.gateway().auth.end_foreign();
                    }
                }
            }
            Ok(record)
        })
        .await?
    }

    /// Has one be kept and not served, and its environments with it. Their sockets end.
    pub async fn suspend(self: &Arc<Self>, actor: Actor, name: InstanceName) -> Result<InstanceRecord, ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            let record = tenants::suspend(&tenants.store, &actor, &name).await?;
            for environment in tenants.environments_of(&record.name) {
                tenants.shut(&environment).await;
            }
            tenants.shut(&record).await;
            Ok(record)
        })
        .await?
    }

    /// Has one be served again. Where it cannot be opened it is not, and the log says why.
    pub async fn resume(
        self: &Arc<Self>,
        actor: Actor,
        name: InstanceName,
    ) -> Result<(InstanceRecord, Condition), ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            let record = tenants::resume(&tenants.store, &actor, &name).await?;
            tenants.table.write().put(record.clone(), None);
            tenants.open(&record).await;
            for environment in tenants.environments_of(&record.name) {
                tenants.open(&environment).await;
            }
            let condition = tenants.condition(&record);
            Ok((record, condition))
        })
        .await?
    }

    /// Removes all that one has, its key first. There is no way back.
    pub async fn delete(self: &Arc<Self>, actor: Actor, name: TenantName) -> Result<(), ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            tenants.end(&actor, &name.into()).await
        })
        .await?
    }

    /// Removes all that one has, by whom nobody else changes anything meanwhile.
    pub(super) async fn end(&self, actor: &Actor, name: &InstanceName) -> Result<(), ChangeError> {
        if let Some(stop) = self.making.lock().get(name) {
            stop.store(true, Ordering::Relaxed);
            return Err(ChangeError::Stopped(name.clone()));
        }
        let record = tenants::begin_deletion(&self.store, actor, name).await?;
        self.shut(&record).await;
        self.destroy(actor, name).await?;
        // They are in the hands of the operator. Whatever is there and cannot be read is there.
        if (self.setup.secrets)(name).map_or(true, |secrets| secrets.names().next().is_some()) {
            let told = name.told();
            tracing::warn!("the secrets of the {told} are still there: who gets its name next would have them");
        }
        Ok(())
    }

    /// How one stands.
    pub fn condition(&self, record: &InstanceRecord) -> Condition {
        self.served(&record.name).map_or(Condition::closed(record.state), |_| Condition::Served)
    }

    /// Serves one no more: from here on nothing leads there, and what is open of it is closed.
    pub(super) async fn shut(&self, record: &InstanceRecord) {
        let served = self.served(&record.name);
        self.table.write().put(record.clone(), None);
        if let Some(served) = served {
            served.suspend().await;
        }
    }

    /// Removes what is on the disk of one that is not open, and then its record.
    pub(super) async fn destroy(&self, actor: &Actor, name: &InstanceName) -> Result<(), ChangeError> {
        let folder = self.folder(name);
        tokio::task::spawn_blocking(move || folder.destroy()).await??;
        tenants::remove(&self.store, actor, name).await?;
        self.table.write().remove(name);
        Ok(())
    }
}

/// What was done to a store, which is closed where that failed.
pub(super) async fn closed_on_error<T>(store: &Store, done: Result<T, ChangeError>) -> Result<T, ChangeError> {
    if done.is_err() {
        store.close().await;
    }
    done
}

/// Has a new store know whose it is, with an administrator, whose token this is.
pub(super) async fn furnish(store: &Store, name: &InstanceName) -> Result<AdminToken, ChangeError> {
    tenants::be_named(store, name).await?;
    // Its log is its own: of who administers the server it says no more than that.
    let operator = Actor::operator();
    let (has, gets) = (&Permission::ALL, &Permission::OF_TENANT);
    Ok(administrators::create(store, &operator, has, FIRST_ADMINISTRATOR, gets).await?)
}

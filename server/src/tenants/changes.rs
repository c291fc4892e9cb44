//! Making, suspending and deleting tenants while the server runs. One change comes after the other, each is brought to its end
//! whoever has asked for it and gone, and a crash in the middle of one is made good at the next start.

use std::sync::Arc;

use weir_engine::control::administrators::{self, AdminToken, AdministratorsError};
use weir_engine::control::tenants::{self, Reached, TenantsError};
use weir_engine::control::{Actor, ControlError};
use weir_schema::codec::control::{Permission, TenantRecord, TenantState};
use weir_schema::tenant::TenantName;
use weir_store::Store;
use weir_store::keys::KeyRing;

use super::folder::{FolderError, TenantFolder};
use super::{Condition, Tenants};

/// The name of a tenant's first administrator.
const FIRST_ADMINISTRATOR: &str = "root";

/// Why a tenant was not changed.
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
    /// It is made and cannot be served.
    #[error("{0}")]
    Serve(String),
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
    ) -> Result<(TenantRecord, AdminToken), ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            tenants.is_free(&name)?;
            let record = tenants::reserve(&tenants.store, &actor, &name, &reached, tenants.setup.max).await?;
            tenants.table.write().put(record.clone(), None);
            match tenants.make(&actor, &record).await {
                Ok(made) => Ok(made),
                Err(error) => {
                    if let Err(error) = tenants.destroy(&actor, &name).await {
                        tracing::error!("what was made of the tenant {name} cannot be removed: {error}");
                    }
                    Err(error)
                }
            }
        })
        .await?
    }

    /// Whether nothing lies where one of a new name would be.
    fn is_free(&self, name: &TenantName) -> Result<(), FolderError> {
        let is_known = self.table.read().entries.contains_key(name);
        // Of one that is known the registry says so.
        if is_known { Ok(()) } else { self.folder(name).is_free() }
    }

    async fn make(&self, actor: &Actor, record: &TenantRecord) -> Result<(TenantRecord, AdminToken), ChangeError> {
        let (name, folder, ring) = (&record.name, self.folder(&record.name), self.ring());
        let store = tokio::task::spawn_blocking(move || folder.make(ring.as_ref())).await??;
        let token = match furnish(&store, name).await {
            Ok(token) => token,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        let served = self.serve(record, store).await.map_err(ChangeError::Serve)?;
        match tenants::activate(&self.store, actor, name).await {
            Ok(record) => {
                self.table.write().put(record.clone(), Some(served));
                Ok((record, token))
            }
            Err(error) => {
                served.close().await;
                Err(error.into())
            }
        }
    }

    /// Has one be reached by these hosts and issuers, and by no others. What goes on with a token of another ends.
    pub async fn reach(
        self: &Arc<Self>,
        actor: Actor,
        name: TenantName,
        reached: Reached,
    ) -> Result<TenantRecord, ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            let record = tenants::reach(&tenants.store, &actor, &name, &reached).await?;
            let served = tenants.served(&name);
            tenants.table.write().put(record.clone(), served.clone());
            if let Some(served) = served {
                served.gateway().auth.set_tenant_issuers(record.issuers.clone());
            }
            Ok(record)
        })
        .await?
    }

    /// Has one be kept and not served. Its sockets end.
    pub async fn suspend(self: &Arc<Self>, actor: Actor, name: TenantName) -> Result<TenantRecord, ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            let record = tenants::suspend(&tenants.store, &actor, &name).await?;
            tenants.shut(&record).await;
            Ok(record)
        })
        .await?
    }

    /// Has one be served again. Where it cannot be opened it is not, and the log says why.
    pub async fn resume(
        self: &Arc<Self>,
        actor: Actor,
        name: TenantName,
    ) -> Result<(TenantRecord, Condition), ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            let record = tenants::resume(&tenants.store, &actor, &name).await?;
            tenants.table.write().put(record.clone(), None);
            tenants.open(&record).await;
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
            let record = tenants::begin_deletion(&tenants.store, &actor, &name).await?;
            tenants.shut(&record).await;
            tenants.destroy(&actor, &name).await?;
            // They are in the hands of the operator. Whatever is there and cannot be read is there.
            if (tenants.setup.secrets)(&name).map_or(true, |secrets| secrets.names().next().is_some()) {
                tracing::warn!(
                    "the secrets of the tenant {name} are still there: who gets its name next would have them"
                );
            }
            Ok(())
        })
        .await?
    }

    /// How one stands.
    pub fn condition(&self, record: &TenantRecord) -> Condition {
        self.served(&record.name).map_or(Condition::closed(record.state), |_| Condition::Served)
    }

    /// Serves one no more: from here on nothing leads there, and what is open of it is closed.
    async fn shut(&self, record: &TenantRecord) {
        let served = self.served(&record.name);
        self.table.write().put(record.clone(), None);
        if let Some(served) = served {
            served.suspend().await;
        }
    }

    /// Removes what is on the disk of one that is not open, and then its record.
    pub(super) async fn destroy(&self, actor: &Actor, name: &TenantName) -> Result<(), ChangeError> {
        let folder = self.folder(name);
        tokio::task::spawn_blocking(move || folder.destroy()).await??;
        tenants::remove(&self.store, actor, name).await?;
        self.table.write().remove(name);
        Ok(())
    }

    fn served(&self, name: &TenantName) -> Option<Arc<super::served::Served>> {
        self.table.read().entries.get(name).and_then(|entry| entry.served.clone())
    }
}

/// Has a new store know whose it is, with an administrator, whose token this is.
async fn furnish(store: &Store, name: &TenantName) -> Result<AdminToken, ChangeError> {
    tenants::be_named(store, name).await?;
    // Its log is its own: of who administers the server it says no more than that.
    let operator = Actor::operator();
    let (has, gets) = (&Permission::ALL, &Permission::OF_TENANT);
    Ok(administrators::create(store, &operator, has, FIRST_ADMINISTRATOR, gets).await?)
}

/// The same changes where nothing is served, by who has the data folder of the server, whose store is open.
pub struct Offline<'a> {
    /// The server's own store.
    pub store: &'a Store,
    /// Its folder.
    pub data: &'a std::path::Path,
    /// The keys that it is encrypted with.
    pub ring: Option<&'a KeyRing>,
}

impl Offline<'_> {
    /// See [`Tenants::create`].
    pub async fn create(&self, name: &TenantName, reached: &Reached, max: usize) -> Result<AdminToken, ChangeError> {
        let operator = Actor::operator();
        self.tidy().await?;
        if tenants::list(self.store)?.iter().all(|known| known.name != *name) {
            TenantFolder::of(self.data, name).is_free()?;
        }
        tenants::reserve(self.store, &operator, name, reached, max).await?;
        let store = TenantFolder::of(self.data, name).make(self.ring)?;
        let token = furnish(&store, name).await;
        store.close().await;
        let token = token?;
        tenants::activate(self.store, &operator, name).await?;
        Ok(token)
    }

    /// See [`Tenants::delete`].
    pub async fn delete(&self, name: &TenantName) -> Result<(), ChangeError> {
        tenants::begin_deletion(self.store, &Actor::operator(), name).await?;
        self.destroy(name).await
    }

    /// Brings to its end what was cut off.
    async fn tidy(&self) -> Result<(), ChangeError> {
        for TenantRecord { name, state, .. } in tenants::list(self.store)? {
            if matches!(state, TenantState::Creating | TenantState::Deleting) {
                self.destroy(&name).await?;
            }
        }
        Ok(())
    }

    async fn destroy(&self, name: &TenantName) -> Result<(), ChangeError> {
        TenantFolder::of(self.data, name).destroy()?;
        Ok(tenants::remove(self.store, &Actor::operator(), name).await?)
    }
}

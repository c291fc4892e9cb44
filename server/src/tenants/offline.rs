//! Changes of tenants and environments where nothing is served, by who has the data folder of the server. A crash in the middle of one is
//! made good by the next, or when the server starts.

use std::path::Path;

use weir_engine::control::administrators::AdminToken;
use weir_engine::control::tenants::{self, Reached, TenantsError};
use weir_engine::control::{Actor, now_ms};
use weir_schema::codec::control::{CopiedFrom, InstanceRecord, InstanceState};
use weir_schema::tenant::{EnvironmentName, InstanceName, TenantName};
use weir_store::Store;
use weir_store::keys::KeyRing;
use weir_store::progress::Watch;

use super::changes::{ChangeError, furnish};
use super::environments::{Changing, From, Making, changed, fill, is_expired};
use super::folder::InstanceFolder;

/// What is changed.
pub struct Offline<'a> {
    /// The server's own store.
    pub store: &'a Store,
    /// Its folder.
    pub data: &'a Path,
    /// The keys that it is encrypted with.
    pub ring: Option<&'a KeyRing>,
}

impl Offline<'_> {
    /// See [`Tenants::create`](super::Tenants::create).
    pub async fn create(&self, name: TenantName, reached: &Reached, max: usize) -> Result<AdminToken, ChangeError> {
        let name = name.into();
        let store = self.reserve(&name, reached, max, None).await?;
        let token = furnish(&store, &name).await;
        store.close().await;
        let token = token?;
        tenants::activate(self.store, &Actor::operator(), &name, None).await?;
        Ok(token)
    }

    /// See [`Tenants::create_environment`](super::Tenants::create_environment).
    pub async fn create_environment(
        &self,
        of: Option<TenantName>,
        making: Making,
        max: usize,
        watch: Watch,
    ) -> Result<InstanceRecord, ChangeError> {
        let Making { name, hosts, expires_ms, from } = making;
        let name = InstanceName::environment(of, name);
        let store = self.reserve(&name, &Reached { hosts, issuers: Vec::new() }, max, expires_ms).await?;
        let filled = self.filled(&store, &name, from, watch).await;
        store.close().await;
        let filled = match filled {
            Ok(filled) => filled,
            Err(error) => {
                self.destroy(&name).await?;
                return Err(error);
            }
        };
        Ok(tenants::activate(self.store, &Actor::operator(), &name, filled).await?)
    }

    async fn filled(
        &self,
        store: &Store,
        name: &InstanceName,
        from: From,
        watch: Watch,
    ) -> Result<Option<CopiedFrom>, ChangeError> {
        let From::Copy(environment) = from else { return fill(store, name, None, watch).await };
        let Some(source) = self.source(name, environment.as_ref())? else {
            return fill(store, name, Some((self.store.clone(), environment)), watch).await;
        };
        let filled = fill(store, name, Some((source.clone(), environment)), watch).await;
        source.close().await;
        filled
    }

    /// The store that is copied, to be closed; `None`: it is the server's own.
    fn source(&self, name: &InstanceName, other: Option<&EnvironmentName>) -> Result<Option<Store>, ChangeError> {
        let source = match (other, name.tenant()) {
            (None, None) => return Ok(None),
            (None, Some(tenant)) => InstanceName::Tenant(tenant.clone()),
            (Some(other), tenant) => InstanceName::environment(tenant.cloned(), other.clone()),
        };
        tenants::find(self.store, &source)?;
        Ok(Some(InstanceFolder::of(self.data, &source).open(self.ring)?))
    }

    /// Reserves a name and makes its folder.
    async fn reserve(
        &self,
        name: &InstanceName,
        reached: &Reached,
        max: usize,
        expires_ms: Option<u64>,
    ) -> Result<Store, ChangeError> {
        self.tidy().await?;
        if tenants::list(self.store)?.iter().all(|known| known.name != *name) {
            InstanceFolder::of(self.data, name).is_free()?;
        }
        tenants::reserve(self.store, &Actor::operator(), name, reached, max, expires_ms).await?;
        Ok(InstanceFolder::of(self.data, name).make(self.ring)?)
    }

    /// See [`Tenants::change_environment`](super::Tenants::change_environment).
    pub async fn change_environment(
        &self,
        name: &InstanceName,
        changing: Changing,
    ) -> Result<InstanceRecord, TenantsError> {
        changed(self.store, &Actor::operator(), name, changing).await
    }

    /// See [`Tenants::delete`](super::Tenants::delete).
    pub async fn delete(&self, name: &InstanceName) -> Result<(), ChangeError> {
        tenants::begin_deletion(self.store, &Actor::operator(), name).await?;
        self.destroy(name).await
    }

    /// Brings to its end what was cut off, and removes what has expired.
    async fn tidy(&self) -> Result<(), ChangeError> {
        for record in tenants::list(self.store)? {
            if matches!(record.state, InstanceState::Creating | InstanceState::Deleting) {
                self.destroy(&record.name).await?;
            } else if is_expired(&record, now_ms()) {
                self.delete(&record.name).await?;
            }
        }
        Ok(())
    }

    async fn destroy(&self, name: &InstanceName) -> Result<(), ChangeError> {
        InstanceFolder::of(self.data, name).destroy()?;
        Ok(tenants::remove(self.store, &Actor::operator(), name).await?)
    }
}

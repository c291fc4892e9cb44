//! Tenants: who is served on a server besides its own app, each from a data folder of its own. This is the registry, which lies in
//! the server's own store; of a tenant's data nothing does.
//!
//! | from | to | by |
//! |---|---|---|
//! | nothing | creating | [`reserve`] |
//! | creating | active | [`activate`] |
//! | active | suspended | [`suspend`] |
//! | suspended | active | [`resume`] |
//! | active, suspended | deleting | [`begin_deletion`] |
//! | creating, deleting | nothing | [`remove`] |
//!
//! Architecture invariant: a name that is given again finds nothing of who had it before: its record goes after its folder.

use serde::{Deserialize, Serialize};
use weir_schema::codec::control::{TenantRecord, TenantState};
use weir_schema::tenant::{HostName, TenantName};
use weir_store::{ControlKey, ControlKind, Poisoned, Store, Transaction};

use super::{Actor, Changed, ControlError, all, all_in, change, now_ms, parse, text};

/// Hosts that a tenant may have, and issuers.
pub const NAMES_MAX: usize = 100;
/// The longest issuer, in bytes.
const ISSUER_BYTES_MAX: usize = 1_024;

/// Why tenants were not changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    /// Somebody has it, or had it and is being removed.
    #[error("there is a tenant {0} already: choose another name")]
    Taken(TenantName),
    /// Somebody has it.
    #[error("the host {0} is that of another tenant: take it from that one first")]
    HostTaken(HostName),
    /// There is none.
    #[error("there is no tenant {0}: weir tenant list shows those that there are")]
    Unknown(TenantName),
    /// There would be too many.
    #[error("there are {0} tenants, as many as max in [tenants] of weir.toml allows")]
    TooMany(usize),
    /// More than a tenant may have.
    #[error("a tenant has at most {NAMES_MAX} hosts and {NAMES_MAX} issuers")]
    TooManyNames,
    /// No issuer has such a name.
    #[error("an issuer is what tokens have as iss: 1 to {ISSUER_BYTES_MAX} bytes")]
    Issuer,
    /// It does not stand so that this could be done.
    #[error("the tenant {name} is {}: this needs one that is {needs}", .state.as_str())]
    State {
        /// Which.
        name: TenantName,
        /// How it stands.
        state: TenantState,
        /// How it would have to.
        needs: &'static str,
    },
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// By what a tenant is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Its hosts.
    pub hosts: Vec<HostName>,
    /// Issuers all of whose tokens are good there.
    pub issuers: Vec<String>,
}

impl Reached {
    /// In order and without repeats, if it can be.
    fn checked(&self) -> Result<Self, TenantsError> {
        let Self { mut hosts, mut issuers } = self.clone();
        hosts.sort_unstable();
        hosts.dedup();
        issuers.sort_unstable();
        issuers.dedup();
        if hosts.len() > NAMES_MAX || issuers.len() > NAMES_MAX {
            return Err(TenantsError::TooManyNames);
        }
        if issuers.iter().any(|issuer| issuer.is_empty() || issuer.len() > ISSUER_BYTES_MAX) {
            return Err(TenantsError::Issuer);
        }
        Ok(Self { hosts, issuers })
    }

    fn targets(&self, name: &TenantName) -> Vec<String> {
        let hosts = self.hosts.iter().map(|host| format!("host {host}"));
        let issuers = self.issuers.iter().map(|issuer| format!("issuer {issuer}"));
        std::iter::once(name.to_string()).chain(hosts).chain(issuers).collect()
    }
}

/// All tenants, by name.
pub fn list(store: &Store) -> Result<Vec<TenantRecord>, ControlError> {
    all(store, ControlKind::Tenants)
}

/// One of them.
pub fn find(store: &Store, name: &TenantName) -> Result<TenantRecord, TenantsError> {
    let found = store.control(&ControlKey::Tenant(name.clone())).map_err(ControlError::from)?;
    let found = found.ok_or_else(|| TenantsError::Unknown(name.clone()))?;
    Ok(parse(&found)?)
}

/// Begins to make a tenant, of `max` that there may be. Its folder comes next, then [`activate`]; what is cut off in between is
/// taken back at the next start.
pub async fn reserve(
    store: &Store,
    actor: &Actor,
    name: &TenantName,
    reached: &Reached,
    max: usize,
) -> Result<TenantRecord, TenantsError> {
    let reached = reached.checked()?;
    change(store, actor, |transaction| {
        let known: Vec<TenantRecord> = all_in(transaction, ControlKind::Tenants)?;
        if known.iter().any(|known| known.name == *name) {
            return Err(TenantsError::Taken(name.clone()));
        }
        if known.len() >= max {
            return Err(TenantsError::TooMany(known.len()));
        }
        are_free(&known, name, &reached.hosts)?;
        let targets = reached.targets(name);
        let Reached { hosts, issuers } = reached.clone();
        let record = TenantRecord {
            name: name.clone(),
            hosts,
            issuers,
            state: TenantState::Creating,
            created_ms: now_ms(),
            created_by: actor.as_str().to_owned(),
        };
        put(transaction, &record);
        Ok(Changed::new(record, "createTenant", targets))
    })
    .await
}

/// Has one be served whose folder is made.
pub async fn activate(store: &Store, actor: &Actor, name: &TenantName) -> Result<TenantRecord, TenantsError> {
    to(store, actor, name, &[TenantState::Creating], "being created", TenantState::Active, "activateTenant").await
}

/// Has one be kept and not served.
pub async fn suspend(store: &Store, actor: &Actor, name: &TenantName) -> Result<TenantRecord, TenantsError> {
    to(store, actor, name, &[TenantState::Active], "active", TenantState::Suspended, "suspendTenant").await
}

/// Has one be served again.
pub async fn resume(store: &Store, actor: &Actor, name: &TenantName) -> Result<TenantRecord, TenantsError> {
    to(store, actor, name, &[TenantState::Suspended], "suspended", TenantState::Active, "resumeTenant").await
}

/// From here on there is no way back: its key goes next, its folder after that, and its record last.
pub async fn begin_deletion(store: &Store, actor: &Actor, name: &TenantName) -> Result<TenantRecord, TenantsError> {
    let from = [TenantState::Active, TenantState::Suspended, TenantState::Deleting];
    to(store, actor, name, &from, "active or suspended", TenantState::Deleting, "deleteTenant").await
}

/// Forgets one of which nothing is left. Its name may be given again.
pub async fn remove(store: &Store, actor: &Actor, name: &TenantName) -> Result<(), TenantsError> {
    change(store, actor, |transaction| {
        let record = get(transaction, name)?;
        if !matches!(record.state, TenantState::Creating | TenantState::Deleting) {
            return Err(TenantsError::State { name: name.clone(), state: record.state, needs: "being deleted" });
        }
        transaction.put_control(&ControlKey::Tenant(name.clone()), None);
        Ok(Changed::new((), "removeTenant", vec![name.to_string()]))
    })
    .await
}

/// Has one be reached by these hosts and issuers, and by no others.
pub async fn reach(
    store: &Store,
    actor: &Actor,
    name: &TenantName,
    reached: &Reached,
) -> Result<TenantRecord, TenantsError> {
    let reached = reached.checked()?;
    change(store, actor, |transaction| {
        let known: Vec<TenantRecord> = all_in(transaction, ControlKind::Tenants)?;
        let record = get(transaction, name)?;
        if record.state == TenantState::Deleting {
            return Err(TenantsError::State { name: name.clone(), state: record.state, needs: "active or suspended" });
        }
        are_free(&known, name, &reached.hosts)?;
        let targets = reached.targets(name);
        let Reached { hosts, issuers } = reached.clone();
        let record = TenantRecord { hosts, issuers, ..record };
        put(transaction, &record);
        Ok(Changed::new(record, "changeTenant", targets))
    })
    .await
}

/// The name of the tenant that a store is of; `None`: it is a server's own.
pub fn name_of(store: &Store) -> Result<Option<TenantName>, ControlError> {
    store.control(&ControlKey::Name)?.map(|text| parse(&text)).transpose()
}

/// Has a store be that of a tenant. One that is already is left as it is.
pub async fn be_named(store: &Store, name: &TenantName) -> Result<(), ControlError> {
    if name_of(store)?.as_ref() == Some(name) {
        return Ok(());
    }
    change(store, &Actor::operator(), |transaction| {
        transaction.put_control(&ControlKey::Name, Some(text(name)));
        Ok(Changed::new((), "nameStore", vec![name.to_string()]))
    })
    .await
}

async fn to(
    store: &Store,
    actor: &Actor,
    name: &TenantName,
    from: &[TenantState],
    needs: &'static str,
    state: TenantState,
    action: &'static str,
) -> Result<TenantRecord, TenantsError> {
    change(store, actor, |transaction| {
        let record = get(transaction, name)?;
        if !from.contains(&record.state) {
            return Err(TenantsError::State { name: name.clone(), state: record.state, needs });
        }
        let record = TenantRecord { state, ..record };
        put(transaction, &record);
        Ok(Changed::new(record, action, vec![name.to_string()]))
    })
    .await
}

fn get(transaction: &mut Transaction, name: &TenantName) -> Result<TenantRecord, TenantsError> {
    let found = transaction.control(&ControlKey::Tenant(name.clone())).map_err(ControlError::from)?;
    Ok(parse(&found.ok_or_else(|| TenantsError::Unknown(name.clone()))?)?)
}

fn put(transaction: &mut Transaction, record: &TenantRecord) {
    transaction.put_control(&ControlKey::Tenant(record.name.clone()), Some(text(record)));
}

fn are_free(known: &[TenantRecord], name: &TenantName, hosts: &[HostName]) -> Result<(), TenantsError> {
    let of_others = || known.iter().filter(|known| known.name != *name).flat_map(|known| &known.hosts);
    match hosts.iter().find(|host| of_others().any(|other| other == *host)) {
        Some(host) => Err(TenantsError::HostTaken(host.clone())),
        None => Ok(()),
    }
}

impl From<Poisoned> for TenantsError {
    fn from(stopped: Poisoned) -> Self {
        Self::Control(stopped.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use weir_store::Options;

    use super::*;

    fn reached(hosts: &[&str], issuers: &[&str]) -> Reached {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        Reached { hosts, issuers: issuers.iter().map(|issuer| (*issuer).to_owned()).collect() }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tenant_goes_from_state_to_state_and_each_change_is_on_record() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let (operator, acme, other) = (Actor::operator(), "acme".parse().unwrap(), "other".parse().unwrap());
        let at = reached(&["acme.example", "ACME.example."], &["https://i"]);
        assert_eq!(reserve(&store, &operator, &acme, &at, 2).await.unwrap().hosts.len(), 1);
        let state = |name: &TenantName| find(&store, name).unwrap().state;
        let refused = |outcome: Result<TenantRecord, TenantsError>| outcome.unwrap_err().to_string();
        assert_eq!(
            refused(suspend(&store, &operator, &acme).await),
            "the tenant acme is creating: this needs one that is active"
        );
        activate(&store, &operator, &acme).await.unwrap();
        assert_eq!(
            refused(reserve(&store, &operator, &acme, &at, 2).await),
            "there is a tenant acme already: choose another name"
        );
        assert_eq!(
            refused(reserve(&store, &operator, &other, &at, 2).await),
            "the host acme.example is that of another tenant: take it from that one first"
        );
        reserve(&store, &operator, &other, &Reached::default(), 2).await.unwrap();
        let third = reserve(&store, &operator, &"third".parse().unwrap(), &Reached::default(), 2).await;
        assert_eq!(refused(third), "there are 2 tenants, as many as max in [tenants] of weir.toml allows");
        assert_eq!(
            refused(reach(&store, &operator, &other, &at).await),
            "the host acme.example is that of another tenant: take it from that one first"
        );
        reach(&store, &operator, &acme, &reached(&["b.example"], &[])).await.unwrap();
        reach(&store, &operator, &other, &at).await.unwrap();
        suspend(&store, &operator, &acme).await.unwrap();
        assert_eq!(state(&acme), TenantState::Suspended);
        resume(&store, &operator, &acme).await.unwrap();
        assert!(remove(&store, &operator, &acme).await.is_err(), "it is active");
        begin_deletion(&store, &operator, &acme).await.unwrap();
        // What was cut off is begun again.
        begin_deletion(&store, &operator, &acme).await.unwrap();
        assert!(resume(&store, &operator, &acme).await.is_err(), "there is no way back");
        remove(&store, &operator, &acme).await.unwrap();
        remove(&store, &operator, &other).await.unwrap();
        assert!(list(&store).unwrap().is_empty());
        let acts = store.audit(0, 100).unwrap();
        let acts: Vec<String> = acts.iter().map(|act| format!("{} {}", act.action, act.targets.join(" "))).collect();
        assert_eq!(
            acts,
            [
                "createTenant acme host acme.example issuer https://i",
                "activateTenant acme",
                "createTenant other",
                "changeTenant acme host b.example",
                "changeTenant other host acme.example issuer https://i",
                "suspendTenant acme",
                "resumeTenant acme",
                "deleteTenant acme",
                "deleteTenant acme",
                "removeTenant acme",
                "removeTenant other",
            ]
        );
        assert_eq!(name_of(&store).unwrap(), None);
        be_named(&store, &acme).await.unwrap();
        be_named(&store, &acme).await.unwrap();
        assert_eq!((name_of(&store).unwrap(), store.audit(11, 9).unwrap().len()), (Some(acme), 1));
        store.close().await;
    }
}

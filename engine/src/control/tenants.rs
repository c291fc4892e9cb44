//! Tenants, who are served on a server besides its own app, and environments of its app and of theirs: each from a data folder of its
//! own. This is the registry of both, which lies in the server's own store; of their data nothing does.
//!
//! | from | to | by |
//! |---|---|---|
//! | nothing | creating | [`reserve`] |
//! | creating | active | [`activate`] |
//! | active | suspended | [`suspend`] |
//! | suspended | active | [`resume`] |
//! | creating, active, suspended | deleting | [`begin_deletion`] |
//! | creating, deleting | nothing | [`remove`] |
//!
//! An environment is served where its tenant is, and goes before its tenant does.
//!
//! Architecture invariant: a name that is given again finds nothing of who had it before: its record goes after its folder.

use serde::{Deserialize, Serialize};
use weir_schema::codec::control::{CopiedFrom, InstanceRecord, InstanceState};
use weir_schema::tenant::{EnvironmentName, HostName, InstanceName, PRODUCTION};
use weir_store::{ControlKey, ControlKind, Poisoned, Store, Transaction};

use super::{Actor, Changed, ControlError, all, all_in, change, now_ms, parse, text};
use crate::bundle::verified::moment;

/// Hosts that one may have, and issuers.
pub const NAMES_MAX: usize = 100;
/// The longest time that an environment is there before it is removed by itself, in milliseconds: a hundred years.
const LASTING_MS_MAX: u64 = 100 * 365 * 24 * 3_600_000;
/// The longest issuer, in bytes.
const ISSUER_BYTES_MAX: usize = 1_024;

/// Why tenants and environments were not changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    /// There is one, or there was and it is being removed.
    #[error("there is a{} {} already: choose another name", article(.0), .0.told())]
    Taken(InstanceName),
    /// Another one has it.
    #[error("the host {0} is that of another tenant or environment: take it from that one first")]
    HostTaken(HostName),
    /// It is below the domain of environments.
    #[error("the host {0} is below the domain of [environments] in weir.toml, where each environment is by its name")]
    BelowDomain(HostName),
    /// There is none.
    #[error("there is no {}: {} shows those that there are", .0.told(), .0.list_command())]
    Unknown(InstanceName),
    /// There would be too many.
    #[error("there are {0} tenants, as many as max in [tenants] of weir.toml allows")]
    TooMany(usize),
    /// There would be too many of one app.
    #[error(
        "there are {0} environments, as many as max in [environments] of weir.toml allows: remove one with weir env delete"
    )]
    TooManyEnvironments(usize),
    /// More than one may have.
    #[error("a tenant has at most {NAMES_MAX} hosts and {NAMES_MAX} issuers, and an environment as many hosts")]
    TooManyNames,
    /// No issuer has such a name.
    #[error("an issuer is what tokens have as iss: 1 to {ISSUER_BYTES_MAX} bytes")]
    Issuer,
    /// It does not stand so that this could be done.
    #[error("the {} is {}: this needs one that is {needs}", .name.told(), .state.as_str())]
    State {
        /// Which.
        name: InstanceName,
        /// How it stands.
        state: InstanceState,
        /// How it would have to.
        needs: &'static str,
    },
    /// They would be left without it.
    #[error("the {} has environments: remove them first, with weir env delete: {environments}", .name.told())]
    HasEnvironments {
        /// Which.
        name: InstanceName,
        /// Their names.
        environments: String,
    },
    /// There is nothing to be an environment of.
    #[error("there is no {} that could have environments", .0.told())]
    NoOwner(InstanceName),
    /// It would be over before it began.
    #[error(
        "an environment that is to be removed by itself has to be there for a while, and for a hundred years at most: name a time to come"
    )]
    Expired,
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// What stands before what somebody is.
fn article(name: &InstanceName) -> &'static str {
    if name.environment_name().is_some() { "n" } else { "" }
}

/// By what a tenant or an environment is reached.
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

    fn targets(&self, name: &InstanceName) -> Vec<String> {
        let hosts = self.hosts.iter().map(|host| format!("host {host}"));
        let issuers = self.issuers.iter().map(|issuer| format!("issuer {issuer}"));
        std::iter::once(name.to_string()).chain(hosts).chain(issuers).collect()
    }
}

/// All tenants and environments, by name.
pub fn list(store: &Store) -> Result<Vec<InstanceRecord>, ControlError> {
    all(store, ControlKind::Instances)
}

/// One of them.
pub fn find(store: &Store, name: &InstanceName) -> Result<InstanceRecord, TenantsError> {
    let found = store.control(&ControlKey::Instance(name.clone())).map_err(ControlError::from)?;
    let found = found.ok_or_else(|| TenantsError::Unknown(name.clone()))?;
    Ok(parse(&found)?)
}

/// Begins to make one, of `max` that there may be: tenants, or environments of one app. An environment is removed by itself when it
/// expires. The folder comes next, then [`activate`]; what is cut off in between is taken back at the next start.
pub async fn reserve(
    store: &Store,
    actor: &Actor,
    name: &InstanceName,
    reached: &Reached,
    max: usize,
    expires_ms: Option<u64>,
) -> Result<InstanceRecord, TenantsError> {
    let reached = reached.checked()?;
    may_expire(expires_ms)?;
    change(store, actor, |transaction| {
        let known: Vec<InstanceRecord> = all_in(transaction, ControlKind::Instances)?;
        if known.iter().any(|known| known.name == *name) {
            return Err(TenantsError::Taken(name.clone()));
        }
        has_room(&known, name, max)?;
        are_free(&known, name, &reached.hosts)?;
        let mut targets = reached.targets(name);
        targets.extend(expires_ms.map(until));
        let Reached { hosts, issuers } = reached.clone();
        let record = InstanceRecord {
            name: name.clone(),
            hosts,
            issuers,
            state: InstanceState::Creating,
            created_ms: now_ms(),
            created_by: actor.as_str().to_owned(),
            copied: None,
            expires_ms,
        };
        put(transaction, &record);
        Ok(Changed::new(record, act(name, "createTenant", "createEnvironment"), targets))
    })
    .await
}

/// Whether one more may be made.
fn has_room(known: &[InstanceRecord], name: &InstanceName, max: usize) -> Result<(), TenantsError> {
    let Some(_) = name.environment_name() else {
        let tenants = known.iter().filter(|known| known.name.environment_name().is_none()).count();
        return if tenants < max { Ok(()) } else { Err(TenantsError::TooMany(tenants)) };
    };
    if let Some(tenant) = name.tenant() {
        let owner = InstanceName::Tenant(tenant.clone());
        match known.iter().find(|known| known.name == owner) {
            None => return Err(TenantsError::NoOwner(owner)),
            Some(record) if record.state == InstanceState::Active => {}
            Some(record) => {
                return Err(TenantsError::State { name: owner, state: record.state, needs: "active" });
            }
        }
    }
    let of_the_same = environments(known, name).count();
    if of_the_same < max { Ok(()) } else { Err(TenantsError::TooManyEnvironments(of_the_same)) }
}

/// The environments among these that are of the same app as one.
fn environments<'a>(
    known: &'a [InstanceRecord],
    name: &'a InstanceName,
) -> impl Iterator<Item = &'a InstanceName> + use<'a> {
    let all = known.iter().map(|known| &known.name).filter(|known| known.environment_name().is_some());
    all.filter(|known| known.tenant() == name.tenant())
}

fn may_expire(expires_ms: Option<u64>) -> Result<(), TenantsError> {
    let now_ms = now_ms();
    let is_good = |expires_ms: u64| expires_ms > now_ms && expires_ms <= now_ms.saturating_add(LASTING_MS_MAX);
    if expires_ms.is_none_or(is_good) { Ok(()) } else { Err(TenantsError::Expired) }
}

/// Until when one is there, for the audit log.
fn until(expires_ms: u64) -> String {
    format!("until {}", moment(&expires_ms))
}

/// What is done, for the audit log.
fn act(name: &InstanceName, to_tenant: &'static str, to_environment: &'static str) -> &'static str {
    if name.environment_name().is_some() { to_environment } else { to_tenant }
}

/// Has one be served whose folder is made, of an environment with what it was copied from.
pub async fn activate(
    store: &Store,
    actor: &Actor,
    name: &InstanceName,
    copied: Option<CopiedFrom>,
) -> Result<InstanceRecord, TenantsError> {
    change(store, actor, |transaction| {
        let record = get(transaction, name)?;
        if record.state != InstanceState::Creating {
            return Err(TenantsError::State { name: name.clone(), state: record.state, needs: "being created" });
        }
        let mut targets = vec![name.to_string()];
        if let Some(CopiedFrom { environment, sequence, .. }) = &copied {
            let from = environment.as_ref().map_or(PRODUCTION, EnvironmentName::as_str);
            targets.push(format!("from {from} at commit {sequence}"));
        }
        let record = InstanceRecord { state: InstanceState::Active, copied: copied.clone(), ..record };
        put(transaction, &record);
        Ok(Changed::new(record, act(name, "activateTenant", "activateEnvironment"), targets))
    })
    .await
}

/// Has one be kept and not served.
pub async fn suspend(store: &Store, actor: &Actor, name: &InstanceName) -> Result<InstanceRecord, TenantsError> {
    let action = act(name, "suspendTenant", "suspendEnvironment");
    to(store, actor, name, &[InstanceState::Active], "active", InstanceState::Suspended, action).await
}

/// Has one be served again.
pub async fn resume(store: &Store, actor: &Actor, name: &InstanceName) -> Result<InstanceRecord, TenantsError> {
    let action = act(name, "resumeTenant", "resumeEnvironment");
    to(store, actor, name, &[InstanceState::Suspended], "suspended", InstanceState::Active, action).await
}

/// From here on there is no way back, and nobody may be making it still: its key goes next, its folder after that, and its record last.
pub async fn begin_deletion(store: &Store, actor: &Actor, name: &InstanceName) -> Result<InstanceRecord, TenantsError> {
    // One that is being created, and by nobody any more, has to be removed as well.
    let from = InstanceState::ALL;
    let action = act(name, "deleteTenant", "deleteEnvironment");
    to(store, actor, name, &from, "active or suspended", InstanceState::Deleting, action).await
}

/// Forgets one of which nothing is left. Its name may be given again.
pub async fn remove(store: &Store, actor: &Actor, name: &InstanceName) -> Result<(), TenantsError> {
    change(store, actor, |transaction| {
        let record = get(transaction, name)?;
        if !matches!(record.state, InstanceState::Creating | InstanceState::Deleting) {
            return Err(TenantsError::State { name: name.clone(), state: record.state, needs: "being deleted" });
        }
        transaction.put_control(&ControlKey::Instance(name.clone()), None);
        Ok(Changed::new((), act(name, "removeTenant", "removeEnvironment"), vec![name.to_string()]))
    })
    .await
}

/// What is changed of an environment; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Altered {
    /// Hosts under which it is reached, and by no others.
    pub hosts: Option<Vec<HostName>>,
    /// When it is removed by itself; `Some(None)`: never.
    pub expires_ms: Option<Option<u64>>,
}

/// Changes what is said of an environment, all of it or nothing.
pub async fn alter(
    store: &Store,
    actor: &Actor,
    name: &InstanceName,
    altered: &Altered,
) -> Result<InstanceRecord, TenantsError> {
    may_expire(altered.expires_ms.flatten())?;
    let hosts = altered.hosts.clone().map(|hosts| Reached { hosts, issuers: Vec::new() }.checked()).transpose()?;
    change(store, actor, |transaction| {
        let known: Vec<InstanceRecord> = all_in(transaction, ControlKind::Instances)?;
        let mut record = get(transaction, name)?;
        if record.state == InstanceState::Deleting {
            return Err(TenantsError::State { name: name.clone(), state: record.state, needs: "active or suspended" });
        }
        let mut targets = vec![name.to_string()];
        if let Some(reached) = &hosts {
            are_free(&known, name, &reached.hosts)?;
            record.hosts.clone_from(&reached.hosts);
            targets = reached.targets(name);
        }
        if let Some(expires_ms) = altered.expires_ms {
            record.expires_ms = expires_ms;
            targets.push(expires_ms.map_or_else(|| "for good".to_owned(), until));
        }
        put(transaction, &record);
        Ok(Changed::new(record, "changeEnvironment", targets))
    })
    .await
}

/// Has one be reached by these hosts and issuers, and by no others.
pub async fn reach(
    store: &Store,
    actor: &Actor,
    name: &InstanceName,
    reached: &Reached,
) -> Result<InstanceRecord, TenantsError> {
    let reached = reached.checked()?;
    change(store, actor, |transaction| {
        let known: Vec<InstanceRecord> = all_in(transaction, ControlKind::Instances)?;
        let record = get(transaction, name)?;
        if record.state == InstanceState::Deleting {
            return Err(TenantsError::State { name: name.clone(), state: record.state, needs: "active or suspended" });
        }
        are_free(&known, name, &reached.hosts)?;
        let targets = reached.targets(name);
        let Reached { hosts, issuers } = reached.clone();
        let record = InstanceRecord { hosts, issuers, ..record };
        put(transaction, &record);
        Ok(Changed::new(record, act(name, "changeTenant", "changeEnvironment"), targets))
    })
    .await
}

/// The name of the tenant or environment that a store is of; `None`: it is a server's own.
pub fn name_of(store: &Store) -> Result<Option<InstanceName>, ControlError> {
    store.control(&ControlKey::Name)?.map(|text| parse(&text)).transpose()
}

/// The same as a transaction sees it.
pub(crate) fn name_in(transaction: &mut Transaction) -> Result<Option<InstanceName>, ControlError> {
    transaction.control(&ControlKey::Name)?.map(|text| parse(&text)).transpose()
}

/// Has a store be that of a tenant or environment. One that is already is left as it is.
pub async fn be_named(store: &Store, name: &InstanceName) -> Result<(), ControlError> {
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
    name: &InstanceName,
    from: &[InstanceState],
    needs: &'static str,
    state: InstanceState,
    action: &'static str,
) -> Result<InstanceRecord, TenantsError> {
    change(store, actor, |transaction| {
        let record = get(transaction, name)?;
        if !from.contains(&record.state) {
            return Err(TenantsError::State { name: name.clone(), state: record.state, needs });
        }
        if state == InstanceState::Deleting && name.environment_name().is_none() {
            let known: Vec<InstanceRecord> = all_in(transaction, ControlKind::Instances)?;
            let left = environments(&known, name).filter_map(InstanceName::environment_name);
            let left: Vec<&str> = left.map(EnvironmentName::as_str).collect();
            if !left.is_empty() {
                let environments = left.join(", ");
                return Err(TenantsError::HasEnvironments { name: name.clone(), environments });
            }
        }
        let record = InstanceRecord { state, ..record };
        put(transaction, &record);
        Ok(Changed::new(record, action, vec![name.to_string()]))
    })
    .await
}

fn get(transaction: &mut Transaction, name: &InstanceName) -> Result<InstanceRecord, TenantsError> {
    let found = transaction.control(&ControlKey::Instance(name.clone())).map_err(ControlError::from)?;
    Ok(parse(&found.ok_or_else(|| TenantsError::Unknown(name.clone()))?)?)
}

fn put(transaction: &mut Transaction, record: &InstanceRecord) {
    transaction.put_control(&ControlKey::Instance(record.name.clone()), Some(text(record)));
}

fn are_free(known: &[InstanceRecord], name: &InstanceName, hosts: &[HostName]) -> Result<(), TenantsError> {
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
        let (operator, acme, other): (_, InstanceName, InstanceName) =
            (Actor::operator(), "acme".parse().unwrap(), "other".parse().unwrap());
        let at = reached(&["acme.example", "ACME.example."], &["https://i"]);
        assert_eq!(reserve(&store, &operator, &acme, &at, 2, None).await.unwrap().hosts.len(), 1);
        let state = |name: &InstanceName| find(&store, name).unwrap().state;
        let refused = |outcome: Result<InstanceRecord, TenantsError>| outcome.unwrap_err().to_string();
        assert_eq!(
            refused(suspend(&store, &operator, &acme).await),
            "the tenant acme is creating: this needs one that is active"
        );
        activate(&store, &operator, &acme, None).await.unwrap();
        assert_eq!(
            refused(reserve(&store, &operator, &acme, &at, 2, None).await),
            "there is a tenant acme already: choose another name"
        );
        assert_eq!(
            refused(reserve(&store, &operator, &other, &at, 2, None).await),
            "the host acme.example is that of another tenant or environment: take it from that one first"
        );
        reserve(&store, &operator, &other, &Reached::default(), 2, None).await.unwrap();
        let third = reserve(&store, &operator, &"third".parse().unwrap(), &Reached::default(), 2, None).await;
        assert_eq!(refused(third), "there are 2 tenants, as many as max in [tenants] of weir.toml allows");
        assert_eq!(
            refused(reach(&store, &operator, &other, &at).await),
            "the host acme.example is that of another tenant or environment: take it from that one first"
        );
        reach(&store, &operator, &acme, &reached(&["b.example"], &[])).await.unwrap();
        reach(&store, &operator, &other, &at).await.unwrap();
        suspend(&store, &operator, &acme).await.unwrap();
        assert_eq!(state(&acme), InstanceState::Suspended);
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

    #[tokio::test(flavor = "multi_thread")]
    async fn environments_are_counted_for_their_app_and_go_before_their_tenant() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let operator = Actor::operator();
        let name = |text: &str| text.parse::<InstanceName>().unwrap();
        let make = async |text: &str, hosts: &[&str], expires_ms| {
            let made = reserve(&store, &operator, &name(text), &reached(hosts, &[]), 2, expires_ms).await;
            made.map(|record| record.expires_ms).map_err(|error| error.to_string())
        };
        let refused = |text: &str| Err(text.to_owned());
        assert_eq!(
            make("acme+staging", &[], None).await,
            refused("there is no tenant acme that could have environments")
        );
        assert_eq!(make("acme", &["acme.example"], None).await, Ok(None));
        assert_eq!(
            make("acme+staging", &[], None).await,
            refused("the tenant acme is creating: this needs one that is active")
        );
        activate(&store, &operator, &name("acme"), None).await.unwrap();
        assert_eq!(
            make("acme+staging", &["acme.example"], None).await,
            refused("the host acme.example is that of another tenant or environment: take it from that one first")
        );
        let later = now_ms() + 60_000;
        assert_eq!(make("acme+staging", &["staging.acme.example"], Some(later)).await, Ok(Some(later)));
        assert_eq!(
            make("acme+staging", &[], None).await,
            refused("there is an environment staging of the tenant acme already: choose another name")
        );
        for over in [1, u64::MAX] {
            assert_eq!(
                make("+pr-1", &[], Some(over)).await,
                refused(
                    "an environment that is to be removed by itself has to be there for a while, and for a hundred years at \
                     most: name a time to come"
                )
            );
        }
        // Those of one app do not count for another, and tenants not for either.
        for text in ["acme+pr-1", "+staging", "+pr-1", "other"] {
            assert_eq!(make(text, &[], None).await, Ok(None), "{text}");
        }
        for text in ["acme+pr-2", "+pr-2"] {
            assert_eq!(
                make(text, &[], None).await,
                refused(
                    "there are 2 environments, as many as max in [environments] of weir.toml allows: remove one with weir \
                     env delete"
                ),
                "{text}"
            );
        }
        let copied = CopiedFrom { environment: None, sequence: 7, documents: 9 };
        let record = activate(&store, &operator, &name("acme+staging"), Some(copied.clone())).await.unwrap();
        assert_eq!((record.copied, record.state), (Some(copied), InstanceState::Active));
        let alter = async |hosts: &[&str], expires_ms| {
            let hosts = Some(reached(hosts, &[]).hosts);
            let altered = Altered { hosts, expires_ms };
            let altered = alter(&store, &operator, &name("acme+staging"), &altered).await;
            altered.map(|record| (record.hosts.len(), record.expires_ms)).map_err(|error| error.to_string())
        };
        // All of it or nothing.
        assert!(alter(&["acme.example"], Some(None)).await.is_err());
        assert_eq!(find(&store, &name("acme+staging")).unwrap().expires_ms, Some(later));
        assert_eq!(alter(&[], Some(None)).await, Ok((0, None)));
        let delete = async |text: &str| {
            let begun = begin_deletion(&store, &operator, &name(text)).await;
            begun.map(|record| record.state).map_err(|error| error.to_string())
        };
        assert_eq!(
            delete("acme").await,
            Err("the tenant acme has environments: remove them first, with weir env delete: pr-1, staging".to_owned())
        );
        let unknown = "there is no environment nobody: weir env list shows those that there are";
        assert_eq!(delete("+nobody").await, Err(unknown.to_owned()));
        assert_eq!(delete("acme+staging").await, Ok(InstanceState::Deleting));
        remove(&store, &operator, &name("acme+staging")).await.unwrap();
        remove(&store, &operator, &name("acme+pr-1")).await.unwrap();
        assert_eq!(delete("acme").await, Ok(InstanceState::Deleting));
        let acts = store.audit(0, 100).unwrap();
        let acts: Vec<String> = acts.iter().map(|act| format!("{} {}", act.action, act.targets.join(" "))).collect();
        assert_eq!(acts[3], "createEnvironment acme+pr-1");
        assert!(acts[2].starts_with("createEnvironment acme+staging host staging.acme.example until 2"), "{}", acts[2]);
        assert!(acts.contains(&"activateEnvironment acme+staging from production at commit 7".to_owned()), "{acts:?}");
        assert!(acts.contains(&"changeEnvironment acme+staging for good".to_owned()), "{acts:?}");
        store.close().await;
    }
}

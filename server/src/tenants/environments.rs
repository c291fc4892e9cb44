//! Environments: the same app for the same callers, each with data and an active release of its own. One begins empty, or as a copy of
//! what the app or another environment has at that time; it is there until somebody removes it, or until it expires.
//!
//! Rule: an environment has the callers of its app. Which tokens are good there, and which are revoked, is what the app says.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;
use weir_engine::control::environments;
use weir_engine::control::tenants::{self, Altered, Reached, TenantsError};
use weir_engine::control::{Actor, now_ms};
use weir_schema::codec::control::{CopiedFrom, InstanceRecord, InstanceState};
use weir_schema::tenant::{EnvironmentName, HostName, InstanceName, PRODUCTION, TenantName};
use weir_store::Store;
use weir_store::progress::Watch;

use super::changes::{ChangeError, closed_on_error};
use super::choose::{Chosen, Refused};
use super::{Condition, Slot, Tenants};

/// The longest between two looks at the clock, which may be put right meanwhile.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// Which environments there are where somebody asks.
#[derive(Clone)]
pub enum Environments {
    /// Those of the app that is asked.
    Of {
        /// All that are served.
        tenants: Slot,
        /// Whose app it is; `None`: the server's own.
        tenant: Option<TenantName>,
    },
    /// It is one itself, and has none.
    Is(EnvironmentName),
}

/// An environment to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Making {
    /// Its name.
    pub name: EnvironmentName,
    /// Hosts under which it is reached.
    pub hosts: Vec<HostName>,
    /// When it is removed, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// What it begins with.
    pub from: From,
}

/// What an environment begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum From {
    /// Nothing.
    Nothing,
    /// What another one has; `None`: what the app itself has.
    Copy(Option<EnvironmentName>),
}

/// What is to be changed of an environment. What is not named stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changing {
    /// Hosts under which it is reached, and by no others.
    pub hosts: Option<Vec<HostName>>,
    /// When it is removed.
    pub expires: Option<Expiry>,
}

/// When an environment is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expiry {
    /// When somebody says so.
    Never,
    /// By itself, at a time in milliseconds since 1970.
    At(u64),
}

impl Environments {
    /// Who answers in the environment of a name: [`Chosen::Own`] where that is who is asked.
    pub fn choose(&self, name: &str) -> Chosen {
        match self {
            Self::Is(here) if here.as_str() == name => Chosen::Own,
            Self::Is(_) => Chosen::Refused(Refused::NoEnvironment),
            Self::Of { .. } if name == PRODUCTION => Chosen::Own,
            Self::Of { tenants, tenant } => match tenants.get() {
                Some(tenants) => tenants.environment(tenant.as_ref(), name),
                None => Chosen::Refused(Refused::NoEnvironment),
            },
        }
    }

    /// Who answers in an environment of who would answer otherwise.
    pub fn of_chosen(&self, chosen: Chosen, name: &str) -> Chosen {
        match chosen {
            Chosen::Own => self.choose(name),
            Chosen::Tenant(served) => match served.gateway().environments.choose(name) {
                Chosen::Own => Chosen::Tenant(served),
                chosen => chosen,
            },
            refused @ Chosen::Refused(_) => refused,
        }
    }
}

impl Tenants {
    /// The environments of an app, of a tenant's or of the server's own, with how they stand.
    pub fn environments(&self, of: Option<&TenantName>) -> Vec<(InstanceRecord, Condition)> {
        self.listed(|name| name.environment_name().is_some() && name.tenant() == of)
    }

    /// The hosts of a tenant.
    pub fn hosts_of(&self, tenant: &TenantName) -> Vec<HostName> {
        let table = self.table.read();
        let entry = table.entries.get(&InstanceName::Tenant(tenant.clone()));
        entry.map(|entry| entry.record.hosts.clone()).unwrap_or_default()
    }

    /// Makes an environment and serves it.
    pub async fn create_environment(
        self: &Arc<Self>,
        actor: Actor,
        of: Option<TenantName>,
        making: Making,
        watch: Watch,
    ) -> Result<InstanceRecord, ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let Making { name, hosts, expires_ms, from } = making;
            let name = InstanceName::environment(of, name);
            let reached = Reached { hosts, issuers: Vec::new() };
            let turn = tenants.changing.lock().await;
            let source = tenants.source(&name, from)?;
            let record = tenants.reserve(&actor, &name, &reached, expires_ms).await?;
            let made = tenants.make_folder(&name).await;
            let making = tenants.begin_making(&name);
            // Nobody waits for the documents: whoever wants it gone stops it.
            drop(turn);
            let filled = async {
                let store = made?;
                let watch = making.stopped_or(watch);
                let copied = closed_on_error(&store, fill(&store, &name, source, watch).await).await?;
                Ok((store, copied))
            };
            let filled = filled.await;
            let _turn = tenants.changing.lock().await;
            drop(making);
            let made = match filled {
                Ok((store, copied)) => tenants.take_up(&actor, &record, store, copied).await,
                Err(error) => Err(error),
            };
            let made = tenants.whole_or_gone(&actor, &name, made).await;
            tenants.expiring.notify_one();
            made
        })
        .await?
    }

    fn begin_making(self: &Arc<Self>, name: &InstanceName) -> UnderWay {
        let stop = Arc::new(AtomicBool::new(false));
        self.making.lock().insert(name.clone(), stop.clone());
        UnderWay { tenants: self.clone(), name: name.clone(), stop }
    }

    /// From where an environment is filled, which has to be served.
    fn source(&self, name: &InstanceName, from: From) -> Result<Option<(Store, Option<EnvironmentName>)>, ChangeError> {
        let From::Copy(environment) = from else { return Ok(None) };
        let gateway = match &environment {
            None => self.owner(name).map_err(ChangeError::Serve)?.unwrap_or_else(|| self.own.clone()),
            Some(other) => {
                let other = InstanceName::environment(name.tenant().cloned(), other.clone());
                let is_known = self.table.read().entries.contains_key(&other);
                let served = self.served(&other).ok_or_else(|| match is_known {
                    true => ChangeError::Serve(format!("the {} is not served, so it is not copied", other.told())),
                    false => TenantsError::Unknown(other).into(),
                })?;
                served.gateway().clone()
            }
        };
        Ok(Some((gateway.service.engine().store().clone(), environment)))
    }

    /// Has an environment be reached otherwise, or be there for another time.
    pub async fn change_environment(
        self: &Arc<Self>,
        actor: Actor,
        name: InstanceName,
        changing: Changing,
    ) -> Result<(InstanceRecord, Condition), ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            tenants.may_have(changing.hosts.as_deref().unwrap_or_default())?;
            let record = changed(&tenants.store, &actor, &name, changing).await?;
            let served = tenants.served(&name);
            tenants.table.write().put(record.clone(), served);
            tenants.expiring.notify_one();
            let condition = tenants.condition(&record);
            Ok((record, condition))
        })
        .await?
    }

    /// Removes all that an environment has, its key first. There is no way back.
    pub async fn delete_environment(self: &Arc<Self>, actor: Actor, name: InstanceName) -> Result<(), ChangeError> {
        let tenants = self.clone();
        tokio::spawn(async move {
            let _turn = tenants.changing.lock().await;
            tenants.end(&actor, &name).await
        })
        .await?
    }

    /// Removes an environment whose time is over, unless somebody has given it more.
    async fn end_expired(self: Arc<Self>, name: InstanceName) -> Result<(), ChangeError> {
        let _turn = self.changing.lock().await;
        if is_expired(&tenants::find(&self.store, &name)?, now_ms()) {
            self.end(&Actor::weir(), &name).await?;
            tracing::info!("the {} has expired and is removed", name.told());
        }
        Ok(())
    }

    /// The environments whose time is over, and how long it is until that of the next.
    fn expired(&self, now_ms: u64) -> (Vec<InstanceName>, Duration) {
        let table = self.table.read();
        let records = || table.entries.values().map(|entry| &entry.record);
        let is_there =
            |record: &&InstanceRecord| !matches!(record.state, InstanceState::Creating | InstanceState::Deleting);
        let over = records().filter(|record| is_expired(record, now_ms)).filter(is_there);
        let over = over.map(|record| record.name.clone()).collect();
        let next = records().filter_map(|record| record.expires_ms?.checked_sub(now_ms)).filter(|left| *left > 0).min();
        (over, next.map_or(LOOK_MAX, |left| Duration::from_millis(left).min(LOOK_MAX)))
    }

    /// The environments that go and come with a tenant.
    pub(super) fn environments_of(&self, tenant: &InstanceName) -> Vec<InstanceRecord> {
        if tenant.environment_name().is_some() {
            return Vec::new();
        }
        let listed = self.environments(tenant.tenant()).into_iter().map(|(record, _)| record);
        listed.filter(|record| record.state == InstanceState::Active).collect()
    }

    /// Who answers in an environment of a tenant's app, or of the server's own.
    pub(super) fn environment(&self, of: Option<&TenantName>, name: &str) -> Chosen {
        let Ok(name) = name.parse() else { return Chosen::Refused(Refused::NoEnvironment) };
        match self.named(&InstanceName::environment(of.cloned(), name)) {
            Chosen::Refused(Refused::Nowhere) => Chosen::Refused(Refused::NoEnvironment),
            chosen => chosen,
        }
    }

    /// Where more is known of who may expire.
    pub(super) fn expiring(&self) -> Arc<Notify> {
        self.expiring.clone()
    }
}

/// Has a record say what is changed.
pub(super) async fn changed(
    store: &Store,
    actor: &Actor,
    name: &InstanceName,
    Changing { hosts, expires }: Changing,
) -> Result<InstanceRecord, TenantsError> {
    let expires_ms = expires.map(|expires| match expires {
        Expiry::Never => None,
        Expiry::At(expires_ms) => Some(expires_ms),
    });
    tenants::alter(store, actor, name, &Altered { hosts, expires_ms }).await
}

/// An environment that is being made, until this is dropped.
struct UnderWay {
    tenants: Arc<Tenants>,
    name: InstanceName,
    stop: Arc<AtomicBool>,
}

impl UnderWay {
    /// Who watches, where somebody may stop it besides.
    fn stopped_or(&self, watch: Watch) -> Watch {
        let stop = self.stop.clone();
        Arc::new(move |progress| match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => watch(progress),
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.tenants.making.lock().remove(&self.name);
    }
}

pub(super) fn is_expired(record: &InstanceRecord, now_ms: u64) -> bool {
    record.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms)
}

/// Has the new store of an environment know what it is, and have what it begins with.
pub(super) async fn fill(
    store: &Store,
    name: &InstanceName,
    source: Option<(Store, Option<EnvironmentName>)>,
    watch: Watch,
) -> Result<Option<CopiedFrom>, ChangeError> {
    tenants::be_named(store, name).await?;
    let Some((from, environment)) = source else { return Ok(None) };
    Ok(Some(environments::copy(&from, environment, store, watch).await?))
}

/// Removes environments when their time is over, for as long as the server runs.
pub(super) async fn expire(tenants: Weak<Tenants>) {
    loop {
        let Some(all) = tenants.upgrade() else { return };
        let (over, wait) = all.expired(now_ms());
        for name in over {
            let told = name.told();
            if let Err(error) = all.clone().end_expired(name).await {
                tracing::error!("the {told} has expired and cannot be removed: {error}");
            }
        }
        let expiring = all.expiring();
        // Nothing of it is held while nothing is to be done.
        drop(all);
        // Either is a reason to look again.
        let _ = timeout(wait, expiring.notified()).await;
    }
}

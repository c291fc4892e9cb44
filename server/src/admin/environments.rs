//! What the fields about environments have in common. An app has its own; an environment has none.

use std::sync::Arc;

use async_graphql::{Context, Result, SimpleObject};
use weir_engine::Engine;
use weir_engine::control::acts::{self, Act};
use weir_engine::control::administrators::Administrator;
use weir_engine::control::{Actor, now_ms};
use weir_schema::codec::control::{CopiedFrom, InstanceRecord};
use weir_schema::datetime;
use weir_schema::duration::parse_ms;
use weir_schema::error::ErrorCode;
use weir_schema::tenant::{
    BadEnvironmentName, BadHostName, EnvironmentName, HostName, InstanceName, PRODUCTION, TenantName,
};
use weir_store::progress::unwatched;

use super::queries::{bad, unavailable};
use super::tenants::of_change;
use super::types::TenantCondition;
use super::{actor, from, refused};
use crate::http::gateway::Gateway;
use crate::tenants::environments::{Changing, Environments, Expiry, From, Making};
use crate::tenants::{Condition, Tenants};

/// The app with data and an active release of its own.
#[derive(SimpleObject)]
pub struct Environment {
    /// The name.
    pub name: String,
    /// Hosts under which it is reached.
    pub hosts: Vec<String>,
    /// How it stands.
    pub state: TenantCondition,
    /// When it was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
    /// Of what it was made; null: it began empty.
    pub copied: Option<Copied>,
    /// When it is removed; null: when somebody says so.
    pub expires_at: Option<String>,
}

/// Of what an environment was made.
#[derive(SimpleObject)]
pub struct Copied {
    /// `production`, or another environment.
    pub from: String,
    /// The last commit that it has of that one.
    pub sequence: String,
    /// Documents that were copied.
    pub documents: String,
}

impl Environment {
    fn of(record: InstanceRecord, condition: Condition) -> Self {
        let InstanceRecord { name, hosts, created_ms, created_by, copied, expires_ms, .. } = record;
        Self {
            name: name.environment_name().map(ToString::to_string).unwrap_or_default(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            state: condition.into(),
            created_at: datetime::of_ms(created_ms),
            created_by,
            copied: copied.map(|CopiedFrom { environment, sequence, documents }| Copied {
                from: environment.map_or(PRODUCTION.to_owned(), |name| name.to_string()),
                sequence: sequence.to_string(),
                documents: documents.to_string(),
            }),
            expires_at: expires_ms.map(datetime::of_ms),
        }
    }
}

/// All that are served, and whose the app is that is asked.
fn all(context: &Context<'_>) -> Result<(Arc<Tenants>, Option<TenantName>)> {
    let found = match &context.data::<Arc<Gateway>>()?.environments {
        Environments::Of { tenants, tenant } => tenants.get().map(|tenants| (tenants, tenant.clone())),
        Environments::Is(_) => None,
    };
    found.ok_or_else(|| refused(ErrorCode::NotFound, "there are no environments here: ask the app that this is one of"))
}

fn name(text: &str) -> Result<EnvironmentName> {
    text.parse().map_err(|error: BadEnvironmentName| bad(error.to_string()))
}

fn hosts(texts: &[String]) -> Result<Vec<HostName>> {
    let parsed = texts.iter().map(|host| host.parse()).collect::<std::result::Result<_, _>>();
    parsed.map_err(|error: BadHostName| bad(error.to_string()))
}

/// Looks whether hosts may be those of the environments of an app: a tenant has those below its own. What the server's own
/// administrators name is theirs to know.
fn may_have(hosts: &[HostName], app: Option<&TenantName>, tenants: &Tenants) -> Result<()> {
    let Some(tenant) = app else { return Ok(()) };
    let own = tenants.hosts_of(tenant);
    let is_below = |host: &HostName| own.iter().any(|own| host.is_below(own));
    match hosts.iter().find(|host| !is_below(host)) {
        Some(host) => Err(bad(format!(
            "{host} is not below a host of the tenant {tenant}: who operates the server can have it be one"
        ))),
        None => Ok(()),
    }
}

/// Who asks, as the log of the server has them: its own administrators may have the same name.
fn asking(context: &Context<'_>, app: Option<&TenantName>) -> Result<Actor> {
    let Some(tenant) = app else { return actor(context) };
    let administrator = context.data::<Administrator>()?.clone();
    let named = Administrator { name: format!("{}@{tenant}", administrator.name), ..administrator };
    Ok(named.actor(from(context)))
}

/// Has it on record of a tenant too what was done to its environments: the registry is the server's.
async fn on_record(context: &Context<'_>, app: Option<&TenantName>, action: &'static str, name: &str) -> Result<()> {
    if app.is_none() {
        return Ok(());
    }
    let store = context.data::<Engine>()?.store();
    let recorded = acts::record(store, &actor(context)?, &Act::on(action, vec![name.to_owned()])).await;
    recorded.map_err(unavailable)
}

fn after(time: &str) -> Result<u64> {
    let time = parse_ms(time).ok_or_else(|| bad("for is a number and a unit, such as 12h or 7d"))?;
    Ok(now_ms().saturating_add(time))
}

/// All of an app.
pub fn list(context: &Context<'_>) -> Result<Vec<Environment>> {
    let (tenants, app) = all(context)?;
    Ok(tenants
        .environments(app.as_ref())
        .into_iter()
        .map(|(record, condition)| Environment::of(record, condition))
        .collect())
}

/// Makes one.
pub async fn create(
    context: &Context<'_>,
    new: &str,
    from: Option<String>,
    at: &[String],
    time: Option<String>,
) -> Result<Environment> {
    let (tenants, app) = all(context)?;
    let begins = match from.as_deref() {
        None => From::Nothing,
        Some(PRODUCTION) => From::Copy(None),
        Some(other) => From::Copy(Some(name(other)?)),
    };
    let expires_ms = time.as_deref().map(after).transpose()?;
    let making = Making { name: name(new)?, hosts: hosts(at)?, expires_ms, from: begins };
    may_have(&making.hosts, app.as_ref(), &tenants)?;
    let made = tenants.create_environment(asking(context, app.as_ref())?, app.clone(), making, unwatched()).await;
    let made = made.map_err(of_change)?;
    on_record(context, app.as_ref(), "createEnvironment", new).await?;
    Ok(Environment::of(made, Condition::Served))
}

/// Changes one.
pub async fn change(
    context: &Context<'_>,
    text: &str,
    at: Option<Vec<String>>,
    time: Option<String>,
) -> Result<Environment> {
    let (tenants, app) = all(context)?;
    let expires = match time.as_deref() {
        None => None,
        Some("never") => Some(Expiry::Never),
        Some(time) => Some(Expiry::At(after(time)?)),
    };
    let changing = Changing { hosts: at.as_deref().map(hosts).transpose()?, expires };
    let changed =
        tenants.change_environment(actor(context)?, InstanceName::environment(app, name(text)?), changing).await;
    let (record, condition) = changed.map_err(of_change)?;
    Ok(Environment::of(record, condition))
}

/// Removes one.
pub async fn delete(context: &Context<'_>, text: &str, confirm: &str) -> Result<bool> {
    let (tenants, app) = all(context)?;
    if text != confirm {
        return Err(bad("confirm is the name of the environment once more: all that it has is removed"));
    }
    let (by, instance) = (asking(context, app.as_ref())?, InstanceName::environment(app.clone(), name(text)?));
    tenants.delete_environment(by, instance).await.map_err(of_change)?;
    on_record(context, app.as_ref(), "deleteEnvironment", text).await?;
    Ok(true)
}

/// Has one be kept and not served.
pub async fn suspend(context: &Context<'_>, text: &str) -> Result<Environment> {
    let (tenants, app) = all(context)?;
    let (by, instance) = (asking(context, app.as_ref())?, InstanceName::environment(app.clone(), name(text)?));
    let record = tenants.suspend(by, instance).await.map_err(of_change)?;
    on_record(context, app.as_ref(), "suspendEnvironment", text).await?;
    Ok(Environment::of(record, Condition::Suspended))
}

/// Has one be served again.
pub async fn resume(context: &Context<'_>, text: &str) -> Result<Environment> {
    let (tenants, app) = all(context)?;
    let (by, instance) = (asking(context, app.as_ref())?, InstanceName::environment(app.clone(), name(text)?));
    let (record, condition) = tenants.resume(by, instance).await.map_err(of_change)?;
    on_record(context, app.as_ref(), "resumeEnvironment", text).await?;
    Ok(Environment::of(record, condition))
}

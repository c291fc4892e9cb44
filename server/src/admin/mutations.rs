//! What the control plane can be told to do. Each change is one commit with its audit record.

use async_graphql::{Context, Object, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_engine::Engine;
use weir_engine::bundle::key::PublicKey;
use weir_engine::control::ControlError;
use weir_engine::control::administrators::{self, Administrator, AdministratorsError};
use weir_engine::control::erasure::{EraseError, Whom};
use weir_engine::control::judge::Incompatible;
use weir_engine::control::keys::{self, KeysError, Validity};
use weir_engine::control::releases::{DeployError, Deployed};
use weir_engine::control::tokens::RevokeError;
use weir_engine::revoked::{self, Revoking};
use weir_schema::codec::control::Permission;
use weir_schema::datetime;
use weir_schema::duration::parse_ms;
use weir_schema::error::ErrorCode;
use weir_schema::rollout::Event;

use super::environments::Environment;
use super::queries::{bad, unavailable};
use super::rollouts::{Rollout, RolloutStatus, StrategyInput};
use super::types::{
    AdminPermission, Deployment, KeyRotation, NewAdministrator, NewTenant, Release, Revocation, SigningKey, Tenant,
};
use super::{actor, environments, needs, refused, rollouts, tenants};
use crate::control::message::RevokedKey;
use crate::graphql::schema::servable;
use crate::tenants::Condition;

/// The mutations.
pub struct Mutation;

#[Object]
impl Mutation {
    /// Rolls a bundle out, given as base64 (`weir build`, `weir deploy`): all callers move to it at once when it is ready, unless the
    /// strategy says otherwise. One that does not verify, compile, load or fit the data changes nothing, and neither does one whose
    /// version is too small for what it changes, unless that is forced. One that is unguarded is taken back by hand alone.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn deploy(
        &self,
        context: &Context<'_>,
        bundle: String,
        strategy: Option<StrategyInput>,
        #[graphql(default = false)] force: bool,
        #[graphql(default = false)] unguarded: bool,
    ) -> Result<Deployment> {
        let engine = context.data::<Engine>()?;
        let bundle = STANDARD.decode(bundle).map_err(|_| bad("bundle is a bundle in base64"))?;
        let (actor, strategy) = (actor(context)?, StrategyInput::strategy(strategy, engine.store())?);
        let incompatible = if force { Incompatible::Forced } else { Incompatible::Refused };
        let how = (strategy, incompatible, rollouts::guarded(unguarded));
        let deployed = engine.deploy_judged(&bundle, how, &actor, &servable).await.map_err(|error| match error {
            DeployError::Control(error) => unavailable(error),
            error => refused(ErrorCode::Conflict, error.to_string()),
        })?;
        let Deployed { release, was_active, rollout } = deployed;
        let (name, by) = (format!("{} {}", release.app, release.version), actor.as_str());
        match &rollout {
            None => tracing::info!("{name} is served, deployed by {by}"),
            Some(rollout) => tracing::info!("{name} is being rolled out, deployed by {by}: {}", rollout.in_words()),
        }
        let release = Release::of(release, rollout.is_none());
        Ok(Deployment { release, was_active, rollout: rollout.map(Rollout::from) })
    }

    /// Rolls a release out that is on record, named by its version or its sequence. One that is unguarded is taken back by hand alone.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn start_rollout(
        &self,
        context: &Context<'_>,
        release: String,
        strategy: Option<StrategyInput>,
        #[graphql(default = false)] unguarded: bool,
    ) -> Result<RolloutStatus> {
        rollouts::start(context, &release, (strategy, unguarded)).await
    }

    /// Begins the next step of the rollout under way.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn advance_rollout(&self, context: &Context<'_>) -> Result<RolloutStatus> {
        rollouts::roll(context, Event::Advance).await
    }

    /// Begins no further step until it is resumed.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn pause_rollout(&self, context: &Context<'_>) -> Result<RolloutStatus> {
        rollouts::roll(context, Event::Pause).await
    }

    /// Goes on with the steps.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn resume_rollout(&self, context: &Context<'_>) -> Result<RolloutStatus> {
        rollouts::roll(context, Event::Resume).await
    }

    /// Moves all callers to the release that is rolled out; of an experiment to the one that is named by its version or its sequence.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn promote_rollout(&self, context: &Context<'_>, release: Option<String>) -> Result<RolloutStatus> {
        rollouts::promote(context, release).await
    }

    /// Lets the rollout under way, or the one that is watched, go on whatever its calls come to: it is taken back by hand alone.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn unguard_rollout(&self, context: &Context<'_>) -> Result<RolloutStatus> {
        rollouts::roll(context, Event::Unguard).await
    }

    /// Moves all callers back, for the next call of each: to where they were before the rollout under way, or else to the release that
    /// was active before.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn roll_back(&self, context: &Context<'_>, why: String, release: Option<String>) -> Result<RolloutStatus> {
        rollouts::roll_back(context, release, why).await
    }

    /// Trusts a key for signing bundles: its public part as PEM text, from now or a later time on, for a time such as `365d` or until it
    /// is revoked.
    #[graphql(guard = "needs(Permission::Keys)")]
    async fn trust_key(
        &self,
        context: &Context<'_>,
        public_key: String,
        from: Option<String>,
        #[graphql(name = "for")] time: Option<String>,
    ) -> Result<SigningKey> {
        let public = public(&public_key)?;
        let from_ms = match from {
            Some(from) => Some(datetime::parse_ms(&from).map_err(|error| bad(format!("from is {error}")))?),
            None => None,
        };
        let validity = Validity { from_ms, for_ms: length("for", time)? };
        let (store, actor) = (context.data::<Engine>()?.store(), actor(context)?);
        Ok(keys::trust(store, &actor, &public, validity).await.map_err(of_keys)?.into())
    }

    /// Trusts a key in the place of another, whose time is over after `overlap`, which is 30 days unless you say otherwise.
    #[graphql(guard = "needs(Permission::Keys)")]
    async fn rotate_key(
        &self,
        context: &Context<'_>,
        id: String,
        public_key: String,
        overlap: Option<String>,
        #[graphql(name = "for")] time: Option<String>,
    ) -> Result<KeyRotation> {
        let public = public(&public_key)?;
        let (overlap, for_ms) = (length("overlap", overlap)?.unwrap_or(keys::OVERLAP_MS), length("for", time)?);
        let (store, actor) = (context.data::<Engine>()?.store(), actor(context)?);
        let rotated = keys::rotate(store, &actor, &id, &public, overlap, for_ms).await.map_err(of_keys)?;
        Ok(KeyRotation { key: rotated.key.into(), before: rotated.before.into() })
    }

    /// Has nothing count any more that a key has signed.
    #[graphql(guard = "needs(Permission::Keys)")]
    async fn revoke_key(&self, context: &Context<'_>, id: String) -> Result<Revocation> {
        let (engine, actor) = (context.data::<Engine>()?, actor(context)?);
        let revoked = RevokedKey::of(engine.store(), &actor, &id, engine.signatures_asked()).await;
        let RevokedKey { key, orphan } = revoked.map_err(of_keys)?;
        Ok(Revocation { key: key.into(), orphan })
    }

    /// Has tokens of the app's callers count no more: the one with an id (`jti`), those of a subject that were made up to now, or,
    /// with neither, all that the issuer has made up to now.
    #[graphql(guard = "needs(Permission::Keys)")]
    async fn revoke_tokens(
        &self,
        context: &Context<'_>,
        issuer: String,
        jti: Option<String>,
        subject: Option<String>,
    ) -> Result<bool> {
        let of = match (jti, subject) {
            (Some(_), Some(_)) => return Err(bad("give jti or subject, or neither for all tokens of the issuer")),
            (Some(id), None) => Revoking::Token(id),
            (None, Some(subject)) => Revoking::Subject(subject),
            (None, None) => Revoking::All,
        };
        let (engine, actor) = (context.data::<Engine>()?, actor(context)?);
        engine.revoke_tokens(revoked::Revocation { issuer, of }, &actor).await.map_err(|error| match error {
            RevokeError::Text => bad(error.to_string()),
            RevokeError::TooMany => refused(ErrorCode::Conflict, error.to_string()),
            error => unavailable(error),
        })?;
        Ok(true)
    }

    /// Has the audit log tell of somebody no more, whom the tokens of a subject or an address name: nobody can read any more what is
    /// sealed of them. Gives the id by which records go on naming them.
    #[graphql(guard = "needs(Permission::Erase)")]
    async fn erase_audit(
        &self,
        context: &Context<'_>,
        issuer: Option<String>,
        subject: Option<String>,
        address: Option<String>,
    ) -> Result<String> {
        let whom = match (issuer, subject, address) {
            (Some(issuer), Some(subject), None) => Whom::Subject { issuer, subject },
            (None, None, Some(address)) => Whom::Address(address.parse().map_err(|_| bad("address is no IP address"))?),
            _ => return Err(bad("give issuer and subject, or address")),
        };
        let (engine, actor) = (context.data::<Engine>()?, actor(context)?);
        let erased = engine.erase(&actor, &whom).await.map_err(|error| match error {
            EraseError::Unknown(_) => refused(ErrorCode::NotFound, error.to_string()),
            EraseError::Control(error) => unavailable(error),
        })?;
        Ok(erased.id.to_string())
    }

    /// Makes an administrator with permissions that you have yourself. The token is told here and nowhere else.
    #[graphql(guard = "needs(Permission::Administrators)")]
    async fn create_administrator(
        &self,
        context: &Context<'_>,
        name: String,
        permissions: Vec<AdminPermission>,
    ) -> Result<NewAdministrator> {
        let (store, has) = (context.data::<Engine>()?.store(), &context.data::<Administrator>()?.permissions);
        let permissions: Vec<Permission> = permissions.into_iter().map(Permission::from).collect();
        let token = administrators::create(store, &actor(context)?, has, &name, &permissions).await;
        let token = token.map_err(of_administrators)?;
        Ok(NewAdministrator { name, token: token.reveal().to_owned() })
    }

    /// Makes a tenant, which is served at once: with hosts under which it is reached, and issuers all of whose tokens are good
    /// there.
    #[graphql(guard = "needs(Permission::Tenants)")]
    async fn create_tenant(
        &self,
        context: &Context<'_>,
        name: String,
        #[graphql(default)] hosts: Vec<String>,
        #[graphql(default)] issuers: Vec<String>,
    ) -> Result<NewTenant> {
        let (all, name) = (tenants::all(context)?, tenants::name(&name)?);
        let made = all.create(actor(context)?, name, tenants::reached(&hosts, issuers)?).await;
        let (record, token) = made.map_err(tenants::of_change)?;
        Ok(NewTenant { tenant: Tenant::of(record, Condition::Served), token: token.reveal().to_owned() })
    }

    /// Has a tenant be reached by these hosts and issuers, and by no others.
    #[graphql(guard = "needs(Permission::Tenants)")]
    async fn change_tenant(
        &self,
        context: &Context<'_>,
        name: String,
        #[graphql(default)] hosts: Vec<String>,
        #[graphql(default)] issuers: Vec<String>,
    ) -> Result<Tenant> {
        let (all, name) = (tenants::all(context)?, tenants::name(&name)?);
        let changed = all.reach(actor(context)?, name, tenants::reached(&hosts, issuers)?).await;
        let record = changed.map_err(tenants::of_change)?;
        let condition = all.condition(&record);
        Ok(Tenant::of(record, condition))
    }

    /// Has a tenant be kept and not served. Its sockets end.
    #[graphql(guard = "needs(Permission::Tenants)")]
    async fn suspend_tenant(&self, context: &Context<'_>, name: String) -> Result<Tenant> {
        let (all, name) = (tenants::all(context)?, tenants::name(&name)?);
        let record = all.suspend(actor(context)?, name.into()).await.map_err(tenants::of_change)?;
        Ok(Tenant::of(record, Condition::Suspended))
    }

    /// Has a tenant be served again.
    #[graphql(guard = "needs(Permission::Tenants)")]
    async fn resume_tenant(&self, context: &Context<'_>, name: String) -> Result<Tenant> {
        let (all, name) = (tenants::all(context)?, tenants::name(&name)?);
        let (record, condition) = all.resume(actor(context)?, name.into()).await.map_err(tenants::of_change)?;
        Ok(Tenant::of(record, condition))
    }

    /// Removes all that a tenant has, its key first. There is no way back, so the name is given twice.
    #[graphql(guard = "needs(Permission::Tenants)")]
    async fn delete_tenant(&self, context: &Context<'_>, name: String, confirm: String) -> Result<bool> {
        if confirm != name {
            return Err(bad("confirm is the name of the tenant once more: all that it has is removed"));
        }
        let (all, name) = (tenants::all(context)?, tenants::name(&name)?);
        all.delete(actor(context)?, name).await.map_err(tenants::of_change)?;
        Ok(true)
    }

    /// Makes an environment of the app, which is served at once: empty, or `from` what `production` or another environment has now, the
    /// active release included. With hosts under which it is reached, and `for` a time such as `7d` after which it is removed.
    #[graphql(guard = "needs(Permission::Environments)")]
    async fn create_environment(
        &self,
        context: &Context<'_>,
        name: String,
        from: Option<String>,
        #[graphql(default)] hosts: Vec<String>,
        #[graphql(name = "for")] time: Option<String>,
    ) -> Result<Environment> {
        environments::create(context, &name, from, &hosts, time).await
    }

    /// Has an environment be reached by these hosts and by no others, or be there for a time from now on, and `never` be removed by
    /// itself.
    #[graphql(guard = "needs(Permission::Environments)")]
    async fn change_environment(
        &self,
        context: &Context<'_>,
        name: String,
        hosts: Option<Vec<String>>,
        #[graphql(name = "for")] time: Option<String>,
    ) -> Result<Environment> {
        environments::change(context, &name, hosts, time).await
    }

    /// Has an environment be kept and not served. Its sockets end.
    #[graphql(guard = "needs(Permission::Environments)")]
    async fn suspend_environment(&self, context: &Context<'_>, name: String) -> Result<Environment> {
        environments::suspend(context, &name).await
    }

    /// Has an environment be served again.
    #[graphql(guard = "needs(Permission::Environments)")]
    async fn resume_environment(&self, context: &Context<'_>, name: String) -> Result<Environment> {
        environments::resume(context, &name).await
    }

    /// Removes all that an environment has, its key first. There is no way back, so the name is given twice.
    #[graphql(guard = "needs(Permission::Environments)")]
    async fn delete_environment(&self, context: &Context<'_>, name: String, confirm: String) -> Result<bool> {
        environments::delete(context, &name, &confirm).await
    }

    /// Has the token of an administrator count no more, who has no permission that you lack.
    #[graphql(guard = "needs(Permission::Administrators)")]
    async fn revoke_administrator(&self, context: &Context<'_>, name: String) -> Result<bool> {
        let (store, has) = (context.data::<Engine>()?.store(), &context.data::<Administrator>()?.permissions);
        administrators::revoke(store, &actor(context)?, has, &name).await.map_err(of_administrators)?;
        Ok(true)
    }
}

fn public(text: &str) -> Result<PublicKey> {
    PublicKey::parse(text).map_err(|error| bad(format!("publicKey {error}")))
}

/// A length of time in milliseconds.
fn length(name: &str, text: Option<String>) -> Result<Option<u64>> {
    let parsed = text.map(|text| parse_ms(&text).filter(|ms| *ms > 0));
    match parsed {
        Some(None) => Err(bad(format!("{name} is a number and a unit, such as 12h or 90d"))),
        parsed => Ok(parsed.flatten()),
    }
}

fn of_keys(error: KeysError) -> async_graphql::Error {
    match error {
        KeysError::Control(error) => of_control(error),
        KeysError::Unknown(_) => refused(ErrorCode::NotFound, error.to_string()),
        KeysError::Expired | KeysError::Itself(_) => bad(error.to_string()),
        KeysError::Revoked(_) | KeysError::Over(_) | KeysError::Counts(_) | KeysError::TooMany => {
            refused(ErrorCode::Conflict, error.to_string())
        }
    }
}

fn of_administrators(error: AdministratorsError) -> async_graphql::Error {
    match error {
        AdministratorsError::Control(error) => of_control(error),
        AdministratorsError::NoRandomness(_) => unavailable(error),
        AdministratorsError::Unknown(_) => refused(ErrorCode::NotFound, error.to_string()),
        AdministratorsError::Name(_) | AdministratorsError::NoPermission => bad(error.to_string()),
        AdministratorsError::TooMuch(_) | AdministratorsError::TooStrong { .. } => {
            refused(ErrorCode::Forbidden, error.to_string())
        }
        AdministratorsError::Taken(_)
        | AdministratorsError::Last(_)
        | AdministratorsError::Bootstrapped
        | AdministratorsError::TooMany
        | AdministratorsError::TooManyNames => refused(ErrorCode::Conflict, error.to_string()),
    }
}

fn of_control(error: ControlError) -> async_graphql::Error {
    unavailable(error)
}

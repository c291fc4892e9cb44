//! What the control plane can be asked.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_engine::Engine;
use weir_engine::control::difference::{Difference, DifferenceError, NoRelease, Side, find};
use weir_engine::control::log::{self, Page, Wanted};
use weir_engine::control::releases::OnRecord;
use weir_engine::control::{administrators, keys, releases};
use weir_schema::codec::control::{Permission, ReleaseRecord};
use weir_schema::datetime;
use weir_schema::error::ErrorCode;

use super::environments::Environment;
use super::experiments::ExperimentReport;
use super::rollouts::{Rollout, RolloutStatements, RolloutStatus};
use super::shadow::ShadowReport;
use super::types::{
    AdministratorInfo, AuditPage, Building, Migration, NANOSECONDS, Release, ReleaseDiff, SigningKey, Status, Tenant,
    Usage, moment,
};
use super::{environments, experiments, needs, refused, rollouts, tenants};
use crate::control::message::AdministratorShown;
use crate::http::gateway::Gateway;
use crate::releases::asked;

/// Records in one answer.
const RECORDS_MAX: usize = 1_000;
/// Bytes of records in one answer, but for one more.
const BYTES_MAX: usize = 4 << 20;

/// The queries.
pub struct Query;

#[Object]
impl Query {
    /// How the server is.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn status(&self, context: &Context<'_>) -> Result<Status> {
        let engine = context.data::<Engine>()?;
        let head = engine.store().head();
        let release = engine.releases().borrow().as_ref().map(|release| release.name());
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            ready: engine.is_ready().is_ok() && release.is_some(),
            release,
            sequence: head.sequence.to_string(),
            committed_at: moment(head.timestamp.0 / NANOSECONDS),
        })
    }

    /// What is counted, as Prometheus reads it: the text of `/metrics`.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn metrics(&self, context: &Context<'_>) -> Result<String> {
        Ok(context.data::<Arc<Gateway>>()?.metrics())
    }

    /// What was deployed, the newest first.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn releases(&self, context: &Context<'_>) -> Result<Vec<Release>> {
        let store = context.data::<Engine>()?.store();
        let OnRecord { releases, active } = releases::on_record(store).map_err(unavailable)?;
        let newest_first = releases.into_iter().rev();
        let shown = |record: ReleaseRecord| {
            let is_active = active == Some(record.sequence);
            Release::of(record, is_active)
        };
        Ok(newest_first.map(shown).collect())
    }

    /// Which releases take calls, and how far the rollout under way is.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn rollout_status(&self, context: &Context<'_>) -> Result<RolloutStatus> {
        rollouts::current(context)
    }

    /// The rollouts that are over, the newest first.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn rollouts(&self, context: &Context<'_>) -> Result<Vec<Rollout>> {
        rollouts::ended(context)
    }

    /// What was stated of the rollout of a number, signed; without a number, of the last one that began.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn rollout_statements(&self, context: &Context<'_>, rollout: Option<String>) -> Result<RolloutStatements> {
        rollouts::statements(context, rollout)
    }

    /// What the shadow rollout under way has found, or the last one since the server was started; null: there was none. It shows
    /// parts of arguments and of documents.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn shadow_report(&self, context: &Context<'_>) -> Result<Option<ShadowReport>> {
        Ok(context.data::<Engine>()?.shadow_report().map(ShadowReport::from))
    }

    /// What is known of the experiment that the rollout of a number is; without a number, of the last one.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn experiment_report(&self, context: &Context<'_>, experiment: Option<String>) -> Result<ExperimentReport> {
        experiments::report(context, experiment)
    }

    /// What is being built for a release that is being loaded: indexes, and what documents are looked through for.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn building(&self, context: &Context<'_>) -> Result<Vec<Building>> {
        let building = context.data::<Engine>()?.store().building();
        Ok(building.into_iter().map(Building::from).collect())
    }

    /// The migration of documents that is neither kept nor undone, if there is one.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn migration(&self, context: &Context<'_>) -> Result<Option<Migration>> {
        let status = context.data::<Engine>()?.migration_status().map_err(unavailable)?;
        Ok(status.map(Migration::from))
    }

    /// One of those: by its version, its sequence, or as `active`. Of several of one version it is the newest.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn release(&self, context: &Context<'_>, release: String) -> Result<Release> {
        let known = releases::on_record(context.data::<Engine>()?.store()).map_err(unavailable)?;
        let record = find(&known, &release).map_err(not_found)?;
        let is_active = known.active == Some(record.sequence);
        Ok(Release::of(record, is_active))
    }

    /// What has changed from one release to another, which version that takes, and who would notice.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn diff(&self, context: &Context<'_>, from: String, to: String) -> Result<ReleaseDiff> {
        diff(context, from, Side::Release(to)).await
    }

    /// The same for a bundle that is not deployed yet, given as base64 and signed by whomever.
    #[graphql(guard = "needs(Permission::Deploy)")]
    async fn judge(
        &self,
        context: &Context<'_>,
        bundle: String,
        #[graphql(default_with = "\"active\".to_owned()")] from: String,
    ) -> Result<ReleaseDiff> {
        let bundle = STANDARD.decode(bundle).map_err(|_| bad("bundle is a bundle in base64"))?;
        diff(context, from, Side::Bundle(bundle)).await
    }

    /// What clients have asked for in the last 30 days, the most frequent first: of a release, or of all.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn usage(&self, context: &Context<'_>, release: Option<String>) -> Result<Vec<Usage>> {
        let engine = context.data::<Engine>()?;
        let known = releases::on_record(engine.store()).map_err(unavailable)?;
        let release = release.map(|release| find(&known, &release)).transpose().map_err(not_found)?;
        engine.write_usage().await;
        let (store, now_ms) = (engine.store().clone(), engine.clock().now_ms());
        let sequence = release.map(|release| release.sequence);
        let reading = tokio::task::spawn_blocking(move || asked(&store, sequence, now_ms));
        let all = reading.await.map_err(unavailable)?.map_err(unavailable)?;
        Ok(all.into_iter().map(Usage::from).collect())
    }

    /// The keys that bundles may be signed with, revoked ones included.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn keys(&self, context: &Context<'_>) -> Result<Vec<SigningKey>> {
        let known = keys::list(context.data::<Engine>()?.store()).map_err(unavailable)?;
        Ok(known.into_iter().map(SigningKey::from).collect())
    }

    /// Who may use the control plane.
    #[graphql(guard = "needs(Permission::Administrators)")]
    async fn administrators(&self, context: &Context<'_>) -> Result<Vec<AdministratorInfo>> {
        let known = administrators::list(context.data::<Engine>()?.store()).map_err(unavailable)?;
        Ok(known.into_iter().map(AdministratorShown::from).map(AdministratorInfo::from).collect())
    }

    /// Who is served besides the server's own app, by name.
    #[graphql(guard = "needs(Permission::Tenants)")]
    async fn tenants(&self, context: &Context<'_>) -> Result<Vec<Tenant>> {
        let all = tenants::all(context)?.list();
        Ok(all.into_iter().map(|(record, condition)| Tenant::of(record, condition)).collect())
    }

    /// The environments of the app, by name.
    #[graphql(guard = "needs(Permission::Environments)")]
    async fn environments(&self, context: &Context<'_>) -> Result<Vec<Environment>> {
        environments::list(context)
    }

    /// What was done, the oldest first: records after one, of an actor, of a kind, on a target, with an outcome, from a time on and
    /// until one.
    #[graphql(guard = "needs(Permission::Audit)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of the field")]
    async fn audit(
        &self,
        context: &Context<'_>,
        #[graphql(default = 100)] first: usize,
        after: Option<String>,
        actor: Option<String>,
        action: Option<String>,
        target: Option<String>,
        outcome: Option<String>,
        since: Option<String>,
        until: Option<String>,
    ) -> Result<AuditPage> {
        if first == 0 || first > RECORDS_MAX {
            return Err(bad(format!("first is a number from 1 to {RECORDS_MAX}")));
        }
        let after = after.map_or(Ok(0), |after| after.parse::<u64>());
        let after = after.map_err(|_| bad("after is what an answer before has as next"))?;
        let (since_ns, until_ns) = (nanoseconds("since", since)?, nanoseconds("until", until)?);
        let wanted = Wanted { actor, action, target, outcome, since_ns, until_ns };
        let store = context.data::<Engine>()?.store().clone();
        // As much as that is read from the disk: on a thread that may be kept waiting.
        let reading = tokio::task::spawn_blocking(move || log::page(&store, &wanted, after, first, BYTES_MAX));
        let Page { records, next } = reading.await.map_err(unavailable)?.map_err(unavailable)?;
        let records = records.into_iter().map(Into::into).collect();
        Ok(AuditPage { records, next: next.map(|next| next.to_string()) })
    }
}

/// What has changed from a release to something else.
async fn diff(context: &Context<'_>, from: String, to: Side) -> Result<ReleaseDiff> {
    let engine = context.data::<Engine>()?;
    engine.write_usage().await;
    let difference = Difference::between(Some(engine.store()), Side::Release(from), to).await;
    difference.map(Into::into).map_err(|error| match error {
        DifferenceError::Unknown(error) => not_found(error),
        DifferenceError::Bundle(error) => bad(error.to_string()),
        DifferenceError::Control(error) => unavailable(error),
        error => refused(ErrorCode::Conflict, error.to_string()),
    })
}

fn not_found(error: NoRelease) -> async_graphql::Error {
    refused(ErrorCode::NotFound, error.to_string())
}

fn nanoseconds(name: &str, text: Option<String>) -> Result<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    let no_time = || bad(format!("{name} is a time such as 2026-11-29T12:00:00Z"));
    let moment = datetime::parse(&text).map_err(|_| no_time())?;
    let seconds = u64::try_from(moment.seconds).map_err(|_| no_time())?;
    Ok(Some(seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(moment.nanoseconds))))
}

pub(super) fn bad(message: impl Into<String>) -> async_graphql::Error {
    refused(ErrorCode::BadArguments, message)
}

pub(super) fn unavailable(error: impl std::fmt::Display) -> async_graphql::Error {
    refused(ErrorCode::Unavailable, error.to_string())
}

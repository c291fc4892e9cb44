//! What the control plane can be asked.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use weir_engine::Engine;
use weir_engine::control::{administrators, keys, releases};
use weir_schema::codec::audit::AuditRecord;
use weir_schema::codec::control::Permission;
use weir_schema::datetime;
use weir_schema::error::ErrorCode;

use super::types::{AdministratorInfo, AuditPage, NANOSECONDS, Record, Release, SigningKey, Status, Tenant, moment};
use super::{needs, refused, tenants};
use crate::control::message::AdministratorShown;
use crate::http::gateway::Gateway;

/// Records that are read at a time.
const READ: usize = 1_000;
/// Records that one request looks at. What comes after is asked for with `next`.
const LOOKED_AT_MAX: usize = 20_000;
/// Records in one answer.
const RECORDS_MAX: usize = 1_000;

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

    /// What was deployed, the newest first: that is the active one.
    #[graphql(guard = "needs(Permission::Read)")]
    async fn releases(&self, context: &Context<'_>) -> Result<Vec<Release>> {
        let known = releases::list(context.data::<Engine>()?.store()).map_err(unavailable)?;
        let newest_first = known.into_iter().rev().enumerate();
        Ok(newest_first.map(|(place, record)| Release::of(record, place == 0)).collect())
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
        let (since, until) = (nanoseconds("since", since)?, nanoseconds("until", until)?);
        let wanted = move |record: &AuditRecord| {
            actor.as_ref().is_none_or(|actor| *actor == record.actor)
                && action.as_ref().is_none_or(|action| *action == record.action)
                && target.as_ref().is_none_or(|target| record.targets.contains(target))
                && outcome.as_ref().is_none_or(|outcome| record.outcome.as_ref() == Some(outcome))
                && since.is_none_or(|since| record.timestamp.0 >= since)
                && until.is_none_or(|until| record.timestamp.0 < until)
        };
        let store = context.data::<Engine>()?.store().clone();
        // As much as that is read from the disk: on a thread that may be kept waiting.
        let reading = tokio::task::spawn_blocking(move || {
            let mut records: Vec<Record> = Vec::new();
            let (mut last, mut looked_at) = (after, 0);
            loop {
                let read = store.audit(last, READ)?;
                let is_end = read.len() < READ;
                for record in read {
                    (last, looked_at) = (record.number, looked_at + 1);
                    if wanted(&record) {
                        records.push(record.into());
                    }
                    if records.len() == first || looked_at == LOOKED_AT_MAX {
                        return Ok(AuditPage { records, next: Some(last.to_string()) });
                    }
                }
                if is_end {
                    return Ok(AuditPage { records, next: None });
                }
            }
        });
        reading.await.map_err(unavailable)?.map_err(|stopped: weir_store::Poisoned| unavailable(stopped))
    }
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

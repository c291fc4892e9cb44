//! Views with `keep: { cron: "0 * * * *" }`: computed at the times of their schedule, whether anybody asks or not.
//!
//! What one is as of is known beyond a restart, so it is known then whether a time was missed. One or many that were missed are
//! made up for by one run. Where the clock was set back, the next time counts from now.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;
use weir_schema::cron::Schedule;

use crate::call::Caller;
use crate::engine::Engine;
use crate::keep::millis;
use crate::release::Release;
use crate::results::timed::Timing;
use crate::run::Prepared;

/// How often the next time is reckoned anew.
const RECKONING: Duration = Duration::from_secs(10);

/// Has the views of a release computed, until these tasks are ended or it is not the active one any more.
pub(crate) fn run_all(engine: &Engine, release: &Arc<Release>, tasks: &mut JoinSet<()>) {
    for function in release.declarations().functions.values() {
        let Some(Timing::Cron(schedule)) = Timing::of(function.keep.as_ref()) else { continue };
        let query = match Prepared::new(release, &Caller::Scheduler, &function.name, json!({})) {
            Ok(query) => query,
            Err(error) => {
                tracing::error!("the view {} cannot be computed at its times: {error}", function.name);
                continue;
            }
        };
        let running = run(engine.for_upkeep(), query, schedule, engine.releases());
        tasks.spawn(running.instrument(engine.span().clone()));
    }
}

async fn run(engine: Engine, query: Prepared, schedule: Schedule, mut active: watch::Receiver<Option<Arc<Release>>>) {
    let timing = Timing::Cron(schedule.clone());
    let number = query.release.number();
    let mut not_before_ms = 0;
    loop {
        let question = engine.timed_question(&query);
        let mut changes = question.changes();
        let now_ms = engine.clock().now_ms();
        let last_ms = question.scheduled_at_ms().map(|last_ms| last_ms.min(now_ms));
        let Some(due_ms) = last_ms.map_or(Some(now_ms), |last_ms| schedule.next_after(last_ms)) else { return };
        let is_active = |active: &Option<Arc<Release>>| active.as_ref().is_some_and(|it| it.number() == number);
        tokio::select! {
            () = engine.clock().until(due_ms.max(not_before_ms)) => {}
            // The clock may have been set.
            () = tokio::time::sleep(RECKONING) => continue,
            // Its results may have been dropped.
            _ = changes.changed() => continue,
            gone = active.wait_for(|active| !is_active(active)) => return drop(gone),
        }
        not_before_ms = 0;
        if let Err(error) = engine.run_scheduled(&query, &timing).await {
            let now_ms = engine.clock().now_ms();
            let next_ms = schedule.next_after(now_ms).unwrap_or(u64::MAX);
            not_before_ms = next_ms.min(now_ms + millis(timing.pause()));
            tracing::warn!("the view {} fails: {error}", query.function().map_or("", |function| &function.name));
        }
    }
}

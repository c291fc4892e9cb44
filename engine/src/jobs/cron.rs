//! Makes the stored crons those of the active release.
//!
//! A cron is a job of a known id that is never over: each run moves it to its next time. Its due time is its mark. One that
//! was missed, once or often, is due since then and runs once. A new one, or one at other times than before, is first due
//! after now.

use std::collections::BTreeSet;
use std::future::ready;
use std::time::Duration;

use serde_json::Value;
use weir_schema::codec::job::{Job, JobState};
use weir_schema::cron::Schedule;
use weir_schema::id::DocumentId;
use weir_schema::manifest::Cron;
use weir_store::{CommitError, JobFilter, Run, Transaction};

use crate::call::Caller;
use crate::engine::Engine;
use crate::jobs::run::store_failed;
use crate::release::Release;

/// What the ids of all crons start with. Those of other jobs never do.
const PREFIX: &str = "cron:";
/// How long it may keep others waiting.
const TURN_MAX: Duration = Duration::from_secs(1);
/// Stored crons that are read at a time.
const PAGE_JOBS: usize = 1_000;
/// Bytes of these.
const PAGE_BYTES: usize = 8 << 20;

/// Adds, changes and removes crons.
pub(super) async fn reconcile(engine: &Engine, release: &Release, now_ms: u64) -> Result<(), CommitError> {
    let stored = stored(engine).await?;
    let wanted: Vec<(DocumentId, &Cron)> =
        release.crons().iter().filter_map(|cron| Some((id_of(&cron.name)?, cron))).collect();
    let kept: BTreeSet<&DocumentId> = wanted.iter().map(|(id, _)| id).collect();
    let gone: Vec<&DocumentId> = stored.iter().filter(|id| !kept.contains(id)).collect();
    if wanted.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let change = |transaction| ready(change(transaction, &wanted, &gone, now_ms));
    engine.store().transact(TURN_MAX, change).await?.value
}

/// The job of an entry.
fn id_of(name: &str) -> Option<DocumentId> {
    DocumentId::parse(format!("{PREFIX}{name}")).ok()
}

/// The ids of the crons that there are.
async fn stored(engine: &Engine) -> Result<Vec<DocumentId>, CommitError> {
    let mut stored = Vec::new();
    let mut after = DocumentId::parse(PREFIX).ok();
    loop {
        let page = engine.store().jobs(JobFilter::default(), after, PAGE_JOBS, PAGE_BYTES).await?;
        let ids = page.jobs.into_iter().map(|(id, _)| id).take_while(|id| id.as_str().starts_with(PREFIX));
        stored.extend(ids);
        match page.next {
            Some(next) if next.as_str().starts_with(PREFIX) => after = Some(next),
            _ => return Ok(stored),
        }
    }
}

fn change(
    mut transaction: Transaction,
    wanted: &[(DocumentId, &Cron)],
    gone: &[&DocumentId],
    now_ms: u64,
) -> Run<Result<(), CommitError>> {
    let mut all = || {
        for (id, cron) in wanted {
            let before = transaction.job(id).map_err(store_failed)?;
            if let Some(after) = changed(before.as_ref(), cron, now_ms) {
                transaction.put_job(id, after).map_err(store_failed)?;
            }
        }
        gone.iter().try_for_each(|id| transaction.remove_job(id).map_err(store_failed))
    };
    match all() {
        Ok(()) => Run::Commit(transaction, Ok(())),
        Err(error) => Run::Abort(Err(error)),
    }
}

/// What a cron's job has to become; `None` where it may stay.
fn changed(before: Option<&Job>, cron: &Cron, now_ms: u64) -> Option<Job> {
    let Cron { schedule, call, args, .. } = cron;
    let args = Value::Object(args.clone());
    match before {
        Some(job) if job.cron.as_deref() == Some(schedule.to_string().as_str()) => {
            let is_same = job.function == *call && job.args == args;
            let due_ms = pulled_back(job, schedule, now_ms);
            let is_in_place = due_ms == job.due_ms;
            (!is_same || !is_in_place).then(|| Job { function: call.clone(), args, due_ms, ..job.clone() })
        }
        _ => Some(Job {
            function: call.clone(),
            args,
            caller: serde_json::to_value(Caller::Scheduler).unwrap_or_default(),
            scheduled_ms: now_ms,
            due_ms: schedule.next_after(now_ms)?,
            state: JobState::Waiting,
            attempts: 0,
            error: None,
            cron: Some(schedule.to_string()),
            line: None,
            release: None,
        }),
    }
}

/// When a cron is due whose schedule has not changed. Where that is later than the time after the next, the clock was ahead
/// once.
fn pulled_back(job: &Job, schedule: &Schedule, now_ms: u64) -> u64 {
    let next = schedule.next_after(now_ms);
    match next.and_then(|next| schedule.next_after(next)) {
        Some(second) if job.due_ms > second && job.state == JobState::Waiting && job.attempts == 0 => {
            next.unwrap_or(job.due_ms)
        }
        _ => job.due_ms,
    }
}

/// A cron after a run: due at its next time. `None` for other jobs, and where there is no next time. The clock may have
/// been set back since the run began: it is not due again for the time that it ran for.
pub(super) fn again(job: &Job, now_ms: u64) -> Option<Job> {
    let due_ms = Schedule::parse(job.cron.as_deref()?).ok()?.next_after(now_ms.max(job.due_ms))?;
    Some(Job { due_ms, state: JobState::Waiting, attempts: 0, error: None, ..job.clone() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    const HOUR: u64 = 3_600_000;

    fn cron(schedule: &str, call: &str) -> Cron {
        let schedule = Schedule::parse(schedule).unwrap();
        Cron { name: "nightly".to_owned(), schedule, call: call.to_owned(), args: Map::new() }
    }

    #[test]
    fn a_new_cron_waits_for_its_first_time_and_the_past_is_not_made_up_for() {
        let job = changed(None, &cron("0 * * * *", "tidy"), 10 * HOUR).unwrap();
        assert_eq!((job.due_ms, job.state, job.attempts), (11 * HOUR, JobState::Waiting, 0));
        assert_eq!(job.caller, json!({ "kind": "scheduler" }));
    }

    #[test]
    fn what_stays_the_same_keeps_its_mark_and_so_what_it_missed() {
        let missed = changed(None, &cron("0 * * * *", "tidy"), 10 * HOUR).unwrap();
        assert_eq!(changed(Some(&missed), &cron("0 * * * *", "tidy"), 30 * HOUR), None);
        let renamed = changed(Some(&missed), &cron("0 * * * *", "tidyUp"), 30 * HOUR).unwrap();
        assert_eq!((renamed.due_ms, renamed.function.as_str()), (11 * HOUR, "tidyUp"));
        let moved = changed(Some(&missed), &cron("30 * * * *", "tidy"), 30 * HOUR).unwrap();
        assert_eq!(moved.due_ms, 30 * HOUR + HOUR / 2);
    }

    #[test]
    fn a_clock_that_is_set_does_not_have_a_cron_run_twice_or_for_ever_later() {
        let every_hour = cron("0 * * * *", "tidy");
        let job = changed(None, &every_hour, 10 * HOUR).unwrap();
        assert_eq!(job.due_ms, 11 * HOUR);
        // It ran at eleven, and then it was a moment before.
        let ran = again(&job, 11 * HOUR - 300).unwrap();
        assert_eq!(ran.due_ms, 12 * HOUR);
        assert_eq!(changed(Some(&ran), &every_hour, 11 * HOUR - 300), None);
        // It ran in another century.
        let ahead = again(&job, 1_000_000 * HOUR).unwrap();
        assert_eq!(changed(Some(&ahead), &every_hour, 11 * HOUR + 1).unwrap().due_ms, 12 * HOUR);
    }

    #[test]
    fn missed_times_are_made_up_for_once() {
        let missed = changed(None, &cron("0 * * * *", "tidy"), 10 * HOUR).unwrap();
        let failed = Job { attempts: 3, state: JobState::Running, ..missed };
        let again = again(&failed, 30 * HOUR).unwrap();
        assert_eq!((again.due_ms, again.attempts, again.state), (31 * HOUR, 0, JobState::Waiting));
    }
}

//! Does what is due by itself: the next step of a canary, the rest of what a crash has left half done, and the end of releases that
//! nobody needs any more.

use std::sync::Weak;
use std::time::Duration;

use tracing::Instrument;
use weir_schema::rollout::{Event, Phase, Traffic};

use super::conduct::RolloutError;
use super::guarding;
use crate::control::{Actor, releases};
use crate::engine::{Engine, Shared};

/// How often releases are looked for that nobody needs, and how late a step may be where the clock was put forward.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// A pause after what does not go on. It doubles each time, up to a minute.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it doubles.
const DOUBLINGS_MAX: u32 = 6;

/// Runs for as long as the engine lives.
pub(crate) async fn run(engine: Weak<Shared>) {
    tokio::spawn(guarding::run(engine.clone()).in_current_span());
    let (mut failures, mut unloadable) = (0_u32, None);
    loop {
        let Some(engine) = Engine::of(&engine) else { return };
        if engine.runs_anything() {
            return;
        }
        let pause = match engine.do_what_is_due(&mut unloadable).await {
            Ok(()) => {
                failures = 0;
                LOOK_AGAIN
            }
            Err(_) if engine.is_ready().is_err() || engine.has_ended() => return,
            Err(error) => {
                tracing::error!("a rollout does not go on, and is tried again: {error}");
                failures = failures.saturating_add(1);
                pause_after(failures)
            }
        };
        let turned = engine.shared().turned.clone();
        let due_ms = releases::traffic(engine.store()).ok().and_then(|traffic| traffic.due_ms());
        // What was due and could not be done is so all the time.
        let due_ms = due_ms.filter(|_| failures == 0);
        let clock = engine.clock().clone();
        // Who waits keeps no engine.
        drop(engine);
        tokio::select! {
            () = turned.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = clock.until(due_ms.unwrap_or(u64::MAX)), if due_ms.is_some() => {}
        }
    }
}

fn pause_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
    PAUSE.saturating_mul(1 << doublings).min(Duration::from_secs(60))
}

impl Engine {
    /// `unloadable` is the state in which the release to roll back to could not be loaded: it is not tried again and again.
    async fn do_what_is_due(&self, unloadable: &mut Option<Traffic>) -> Result<(), RolloutError> {
        let state = releases::traffic(self.store())?;
        if state.active().is_some() && self.traffic().borrow().active().is_none() {
            // After a start nothing happens by itself before calls go where they went.
            return self.restore_again().await;
        }
        // Where a rollout does not go on, all else does.
        let gone_on = self.go_on(&state).await;
        let state = releases::traffic(self.store())?;
        // While a release is being loaded steps go on, and what has to be undone waits for it.
        if self.traffic().borrow().active().is_some()
            && self.has_to_undo(&state)?
            && self.shared().loading.try_lock().is_ok()
        {
            let _alone = self.deploying().lock().await;
            self.undo_migration().await?;
        }
        let state = releases::traffic(self.store())?;
        self.end_experiments(&state);
        self.load_previous(&state, unloadable).await;
        self.hold_again_if_quiet().await?;
        self.drain(&self.needed_now()?, true).await;
        gone_on
    }

    /// Loads what was deployed, where that has failed at the start for a reason that may pass.
    async fn restore_again(&self) -> Result<(), RolloutError> {
        let Some(admit) = self.shared().turns.to_be_restored() else { return Ok(()) };
        let restored = self.restore(admit).await;
        let failed = |error| RolloutError::Stopped(format!("what was deployed is not served: {error}"));
        restored.map(drop).map_err(failed)
    }

    async fn go_on(&self, state: &Traffic) -> Result<(), RolloutError> {
        self.go_by_what_is_committed().await?;
        if state.due_ms().is_some_and(|due_ms| due_ms <= self.clock().now_ms()) {
            match self.roll(Event::Due, &Actor::weir()).await {
                // Somebody was faster.
                Ok(_) | Err(RolloutError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        // Nobody waits for a rollout that was being prepared when the server was killed.
        if let Ok(_alone) = self.deploying().try_lock()
            && self.traffic().borrow().active().is_some()
        {
            self.finish_preparing().await?;
        }
        Ok(())
    }

    /// Goes on with a rollout that was being prepared when the server ended.
    pub(crate) async fn finish_preparing(&self) -> Result<(), RolloutError> {
        let state = releases::traffic(self.store())?;
        let Some(rollout) = state.rollout.filter(|rollout| rollout.phase == Phase::Preparing) else { return Ok(()) };
        let known = releases::list(self.store())?;
        let variants: Vec<u64> = rollout.variants().into_iter().map(|(sequence, _)| sequence).collect();
        let gone_on = match self.ready_all(&known, &variants).await {
            Ok(()) => self.prepare(&Actor::weir()).await,
            // What the server's end has cut off goes on after the next start, and what may pass is tried again.
            Err(error) if self.has_ended() || error.may_pass() => Err(error),
            Err(error) => self.roll(Event::Failed { why: error.to_string() }, &Actor::weir()).await,
        };
        match gone_on {
            Err(RolloutError::Unready(why)) => {
                tracing::error!("rollout {} is over: {why}", rollout.number);
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Has the release ready that one would roll back to.
    async fn load_previous(&self, state: &Traffic, unloadable: &mut Option<Traffic>) {
        let Some(previous) = state.previous().filter(|previous| self.loaded_as(*previous).is_none()) else { return };
        if unloadable.as_ref() == Some(state) {
            return;
        }
        let known = releases::list(self.store()).unwrap_or_default();
        let Some(record) = known.iter().find(|release| release.sequence == previous) else { return };
        if let Err(error) = self.load_kept(record).await {
            tracing::warn!("release {} cannot be loaded to be rolled back to: {error}", record.version);
            *unloadable = Some(state.clone());
        }
    }
}

/// What stays loaded whether it is used or not.
pub(crate) fn needed(state: &Traffic) -> Vec<u64> {
    let variants = state.rollout.iter().flat_map(|rollout| rollout.variants());
    state.active().into_iter().chain(state.previous()).chain(variants.map(|(sequence, _)| sequence)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_on_is_tried_less_and_less_often() {
        let pauses = [1, 2, 3, 6, 7, 8, u32::MAX].map(|failures| pause_after(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60, 60]);
    }
}

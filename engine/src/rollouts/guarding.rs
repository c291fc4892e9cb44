//! Watches the release that is rolled out, and takes the rollout back where a guard is violated.
//!
//! During a canary it is held against the base over the same time; once all callers have moved to it, against what the base was like
//! before they did, for as long as the release's `watch` says. That is in the state of the traffic: it goes on after a restart. Where the
//! base had few calls over that time, what it was like before counts as well.

use std::sync::Weak;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use weir_schema::guards::{Guards, WINDOW_MS};
use weir_schema::metrics::MetricKind;
use weir_schema::rollout::{Event, Health, Phase, Rollout, Traffic, Watch};

use super::conduct::RolloutError;
use super::guards::{Compared, milliseconds, verdicts, violated};
use super::status::Status;
use crate::control::{Actor, releases};
use crate::engine::{Engine, Shared};
use crate::release::Release;

/// How often one looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs for as long as the engine lives, where there are rollouts.
pub(crate) async fn run(engine: Weak<Shared>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(engine) = Engine::of(&engine) else { return };
        if engine.runs_anything() {
            return;
        }
        engine.look_after_rollouts().await;
    }
}

/// Which releases are compared.
struct Guarded {
    rollout: u64,
    candidate: u64,
    base: u64,
    /// Since when.
    since_ms: u64,
    /// What the base was like, where that is known for good.
    before: Option<Health>,
}

impl Guarded {
    fn of(state: &Traffic, now_ms: u64) -> Option<Self> {
        if let Some(rollout) = &state.rollout {
            return Some(Self {
                rollout: rollout.number,
                candidate: rollout.candidate,
                base: rollout.base.filter(|_| rollout.is_guarded())?,
                since_ms: rollout.started_ms,
                before: None,
            });
        }
        let watch = state.watched(now_ms)?;
        Some(Self {
            rollout: watch.rollout,
            candidate: state.active()?,
            base: state.previous()?,
            since_ms: watch.since_ms,
            before: Some(watch.before.clone()),
        })
    }
}

fn guards(release: &Release) -> &Guards {
    &release.app().manifest.rollout.guards
}

/// How a release was in the last window; or where it had too few calls to say anything, in the longest that is remembered; or since it
/// was loaded.
fn lately(release: &Release, guards: &Guards, now_ms: u64) -> Health {
    let [_, longest] = WINDOW_MS;
    let spans = [guards.window, longest].map(|span| release.health_since(now_ms.saturating_sub(span)));
    let enough = spans.into_iter().find(|health| health.calls() >= guards.min_calls);
    enough.unwrap_or_else(|| release.health_since(0))
}

impl Engine {
    /// Remembers how all releases are, and takes a rollout back whose guard is violated.
    pub(crate) async fn look_after_rollouts(&self) {
        let now_ms = self.clock().now_ms();
        let loaded = self.loaded().borrow().clone();
        for release in &loaded {
            release.mark_sometimes(now_ms);
        }
        let Ok(state) = releases::traffic(self.store()) else { return };
        let Some(guarded) = Guarded::of(&state, now_ms) else { return };
        let Some(why) = self.violation(&guarded, now_ms) else { return };
        let rollout = guarded.rollout;
        match self.roll(Event::Violated { rollout, why: why.clone() }, &Actor::weir()).await {
            Ok(_) => tracing::error!("rollout {rollout} is taken back: {why}"),
            // Somebody was faster.
            Err(RolloutError::Refused(_)) => {}
            Err(error) => tracing::error!("rollout {rollout} is not taken back, and is tried again: {why}: {error}"),
        }
    }

    /// The guards of the release that is watched, by name, and whether each is violated.
    pub(super) fn guard_verdicts(&self) -> Vec<(String, bool)> {
        let now_ms = self.clock().now_ms();
        let guarded = releases::traffic(self.store()).ok().and_then(|state| Guarded::of(&state, now_ms));
        let look = |guarded: Guarded| {
            self.compared(&guarded, now_ms, |guards, kind, compared| verdicts(guards, kind, compared))
        };
        guarded
            .and_then(look)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, violated)| (name, violated.is_some()))
            .collect()
    }

    fn violation(&self, guarded: &Guarded, now_ms: u64) -> Option<String> {
        self.compared(guarded, now_ms, |guards, kind, compared| violated(guards, kind, compared))?
    }

    /// What is seen where the two releases are compared; `None`: they cannot be.
    fn compared<T>(
        &self,
        guarded: &Guarded,
        now_ms: u64,
        look: impl FnOnce(&Guards, &dyn Fn(&str) -> Option<MetricKind>, &Compared<'_>) -> T,
    ) -> Option<T> {
        let candidate = self.loaded_as(guarded.candidate)?;
        let since_ms = now_ms.saturating_sub(guards(&candidate).window).max(guarded.since_ms);
        let base = self.loaded_as(guarded.base);
        let old = self.held_against(guarded, &candidate, now_ms)?;
        let old_name = match base {
            Some(base) => base.version().to_string(),
            None => self.version_of(guarded.base),
        };
        let metrics = &candidate.app().manifest.metrics;
        let kind = |name: &str| metrics.get(name).map(|metric| metric.kind);
        let compared = Compared { new: &candidate.health_since(since_ms), old: &old, old_name: &old_name };
        Some(look(guards(&candidate), &kind, &compared))
    }

    /// What the calls of the candidate are held against.
    fn held_against(&self, guarded: &Guarded, candidate: &Release, now_ms: u64) -> Option<Health> {
        match &guarded.before {
            Some(before) => Some(before.clone()),
            // It was the same before the rollout began.
            None => Some(lately(&*self.loaded_as(guarded.base)?, guards(candidate), now_ms)),
        }
    }

    /// How a release is called that need not be loaded.
    fn version_of(&self, sequence: u64) -> String {
        let known = releases::list(self.store()).unwrap_or_default();
        let record = known.into_iter().find(|record| record.sequence == sequence);
        record.map_or_else(|| sequence.to_string(), |record| record.version)
    }

    /// The watch that begins when a rollout has moved all callers; `None`: nobody wants one, or there is nowhere to go back to.
    pub(crate) fn watch_after(&self, ended: &Rollout, now_ms: u64) -> Option<Watch> {
        if ended.phase != Phase::Promoted || ended.unguarded {
            return None;
        }
        let candidate = self.loaded_as(ended.candidate)?;
        let Guards { watch, .. } = guards(&candidate);
        let before = self.loaded_as(ended.base?).map(|base| lately(&base, guards(&candidate), now_ms));
        (*watch > 0).then(|| Watch {
            rollout: ended.number,
            since_ms: now_ms,
            until_ms: now_ms.saturating_add(*watch),
            before: before.unwrap_or_default(),
        })
    }

    /// A status with how the releases are that it is about, as long as they are loaded.
    pub fn with_health(&self, mut status: Status) -> Status {
        let now_ms = self.clock().now_ms();
        let guarded = releases::traffic(self.store()).ok().and_then(|state| Guarded::of(&state, now_ms));
        let [active, candidate, previous] = [&status.active, &status.candidate, &status.previous]
            .map(|record| record.iter().map(|record| record.sequence));
        let variants = status.variants.iter().map(|variant| variant.sequence);
        let mut named: Vec<u64> = Vec::new();
        // One may be the candidate and the one that a rollback leads to.
        for sequence in active.chain(candidate).chain(variants).chain(previous) {
            if !named.contains(&sequence) {
                named.push(sequence);
            }
        }
        let loaded = named.into_iter().filter_map(|sequence| self.loaded_as(sequence));
        let candidate = guarded.as_ref().and_then(|guarded| self.loaded_as(guarded.candidate));
        let window = candidate.as_ref().map_or(Guards::default().window, |candidate| guards(candidate).window);
        let health = |release: &Release| {
            let health = release.health_since(now_ms.saturating_sub(window));
            ReleaseHealth {
                version: release.version().to_string(),
                calls: health.calls(),
                errors: health.errors(),
                p50_us: health.percentile_us(50),
                p95_us: health.percentile_us(95),
            }
        };
        status.health = loaded.map(|release| health(&release)).collect();
        status.window_ms = Some(window);
        status.guards = candidate.as_ref().map(|candidate| guards(candidate).in_words()).unwrap_or_default();
        let old = guarded.as_ref().zip(candidate.as_ref());
        let old = old.and_then(|(guarded, candidate)| self.held_against(guarded, candidate, now_ms));
        if let Some((old, candidate)) =
            old.zip(candidate).filter(|(old, candidate)| old.calls() < guards(candidate).min_calls)
        {
            status.guards.push(format!(
                "the release before had {} calls, which are too few to compare latencies and metrics with, and errors are held against 5% \
                 more than is allowed (min_calls = {})",
                old.calls(),
                guards(&candidate).min_calls
            ));
        }
        status
    }
}

/// What the calls of a release came to in the last window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseHealth {
    /// Its version.
    pub version: String,
    /// Its calls.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// How long half of those took at most that were answered, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<u64>,
    /// How long all but 5% of them took at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_us: Option<u64>,
}

impl std::fmt::Display for ReleaseHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, calls, errors, p50_us, p95_us } = self;
        write!(f, "{version}: {calls} calls, {errors} failed")?;
        if let Some((p50_us, p95_us)) = p50_us.zip(*p95_us) {
            write!(f, ", p50 {}, p95 {}", milliseconds(p50_us), milliseconds(p95_us))?;
        }
        Ok(())
    }
}

//! How callers go back: to the base of the rollout under way, or to the release that was active before.
//!
//! Rule: who names what is to be taken back takes back that or nothing, and who does not takes back one release, also where it was asked
//! twice, or beside a guard.

use serde::{Deserialize, Serialize};

use super::{Event, Moved, Phase, Refused, Rollout, Traffic};

/// For how long after a rollback the next one has to name what it takes back, in milliseconds.
pub const NAMED_FOR_MS: u64 = 30_000;

/// The last rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TakenBack {
    /// The release that was left.
    pub release: u64,
    /// How many rollouts there had been.
    pub rollouts: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Traffic {
    /// Looks whether what is to be taken back is what whoever asks has in mind.
    pub(super) fn may_go_back(&self, event: &Event, now_ms: u64) -> Result<(), Refused> {
        match event {
            Event::TakeBack { release, .. } => {
                let is_meant = match &self.rollout {
                    Some(rollout) => rollout.variants().iter().any(|(variant, _)| variant == release),
                    None => self.active() == Some(*release),
                };
                if is_meant { Ok(()) } else { Err(Refused::Left(*release)) }
            }
            Event::RollBack { .. } if self.rollout.is_none() && self.previous().is_some() => {
                let is_recent = |last: &&TakenBack| {
                    last.rollouts == self.rollouts && now_ms.saturating_sub(last.at_ms) < NAMED_FOR_MS
                };
                match self.taken_back.as_ref().filter(is_recent).zip(self.active()) {
                    Some((last, active)) => Err(Refused::Again { taken: last.release, active }),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The same with the release active that was so before.
    pub(super) fn back(&self, now_ms: u64) -> Result<Moved, Refused> {
        self.previous().ok_or(Refused::First)?;
        let (mut promoted, strays) = (self.promoted.clone(), self.strays_without_active());
        let left = promoted.pop().and_then(|release| self.left(release, now_ms));
        Ok(Moved { traffic: Self { promoted, strays, watch: None, taken_back: left, ..self.clone() }, ended: None })
    }

    /// Forgets releases that are not on record any more, so that nobody is led back to them.
    pub fn forget(&mut self, gone: &[u64]) {
        self.promoted.retain(|sequence| !gone.contains(sequence));
        self.promoted.dedup();
    }

    pub(super) fn left(&self, release: u64, at_ms: u64) -> Option<TakenBack> {
        Some(TakenBack { release, rollouts: self.rollouts, at_ms })
    }
}

impl Event {
    /// Why callers go back, if that is what happens.
    pub fn why_back(&self) -> Option<&str> {
        match self {
            Self::RollBack { why } | Self::TakeBack { why, .. } | Self::Violated { why, .. } => Some(why),
            _ => None,
        }
    }
}

impl Rollout {
    /// The same, which was promoted, once its release was taken back after all.
    pub fn taken_back(&self, why: &str, now_ms: u64) -> Self {
        let phase = Phase::RolledBack { why: why.to_owned() };
        Self { phase, since_ms: now_ms, promoted_ms: Some(self.since_ms), ..self.clone() }
    }
}

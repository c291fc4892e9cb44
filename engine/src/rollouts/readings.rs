//! Rollouts in numbers, for `/metrics`.

use weir_schema::codec::control::ReleaseRecord;

use super::report::Counts;
use super::status;
use crate::control::ControlError;
use crate::engine::Engine;

/// What there is of releases and rollouts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutReadings {
    /// The releases that have a part in it.
    pub releases: Vec<ReleaseRole>,
    /// The rollout under way: its number, how it goes on, how far it is.
    pub rollout: Option<(u64, &'static str, &'static str)>,
    /// The guards of the release that is watched, by name, and whether each is violated.
    pub guards: Vec<(String, bool)>,
    /// The number of the shadow rollout under way, and what came of the calls that are made once more.
    pub shadow: Option<(u64, Counts)>,
}

/// A release, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRole {
    /// Its version.
    pub version: String,
    /// Its sequence.
    pub sequence: u64,
    /// `active`, `previous`, to which a rollback leads, `candidate`, or `variant`, another release of an experiment.
    pub role: &'static str,
}

impl Engine {
    /// How it is now.
    pub fn rollout_readings(&self) -> Result<RolloutReadings, ControlError> {
        let status = status::status(self.store())?;
        let number = status.rollout.as_ref().map(|rollout| rollout.number);
        let shadow = self.traffic().borrow().report().filter(|report| Some(report.rollout()) == number).cloned();
        let named = |record: &Option<ReleaseRecord>, role| {
            let release = record.as_ref()?;
            Some(ReleaseRole { version: release.version.clone(), sequence: release.sequence, role })
        };
        let roles =
            [(&status.active, "active"), (&status.previous, "previous"), (&status.candidate, "candidate")].into_iter();
        let mut releases: Vec<ReleaseRole> = roles.filter_map(|(record, role)| named(record, role)).collect();
        for variant in &status.variants {
            let sequence = variant.sequence;
            if !releases.iter().any(|known| known.sequence == sequence && known.role != "previous") {
                releases.push(ReleaseRole { version: variant.version.clone(), sequence, role: "variant" });
            }
        }
        Ok(RolloutReadings {
            releases,
            rollout: status.rollout.map(|rollout| (rollout.number, rollout.strategy.as_str(), rollout.phase.as_str())),
            guards: self.guard_verdicts(),
            shadow: shadow.map(|report| (report.rollout(), report.counts())),
        })
    }
}

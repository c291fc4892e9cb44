//! How far rollouts are, with the releases that they are about.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_schema::codec::control::ReleaseRecord;
use weir_schema::rollout::{Rollout, Share, Strategy, Traffic, Variant, WHOLE};
use weir_store::Store;

use super::conduct::RolloutError;
use super::guarding::ReleaseHealth;
use super::progress::{self, Progress};
use super::report::Counts;
use crate::control::{ControlError, releases};
use crate::engine::Engine;

/// Which releases take calls, and what is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The active release; absent: none was deployed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ReleaseRecord>,
    /// The one that a rollback leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ReleaseRecord>,
    /// The one that is being rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<ReleaseRecord>,
    /// How far that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Whose calls go to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The releases between which the callers are divided, or will be once they are ready: the base first, then the candidate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<ReleaseShare>,
    /// How long the step under way, or the paused one, still takes, where a server runs; absent: until somebody says that it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// How far it is with what a release waits for before it takes calls. Of indexes and views a server knows alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<Progress>,
    /// What came of the calls that are made on it too; absent: none are, or nobody serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Counts>,
    /// What watches the release that is rolled out, or was a while ago, and takes it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<String>,
    /// What their calls came to, where a server runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<ReleaseHealth>,
    /// Over how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
}

/// A release, and which share of the callers goes to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseShare {
    /// Its version.
    pub version: String,
    /// Its sequence.
    pub sequence: u64,
    /// Whose calls go to it.
    pub share: Share,
}

/// How it is now.
pub fn status(store: &Store) -> Result<Status, ControlError> {
    let status = of(releases::traffic(store)?, &releases::list(store)?);
    Ok(Status { progress: progress::of_migration(store)?, ..status })
}

/// How callers are divided during a rollout.
fn shares(traffic: &Traffic) -> Vec<(u64, Share)> {
    let Some((rollout, base)) = traffic.rollout.as_ref().and_then(|rollout| Some((rollout, rollout.base?))) else {
        return Vec::new();
    };
    let moved = match rollout.strategy {
        Strategy::Experiment { .. } => rollout.variants(),
        Strategy::BlueGreen { .. } | Strategy::Canary { .. } | Strategy::Shadow { .. } => traffic.beside(),
    };
    let all = moved.iter().fold(0_u16, |all, (_, share)| all.saturating_add(share.hundredths()));
    let stays = Share::of(WHOLE.saturating_sub(all)).filter(|_| !moved.is_empty());
    stays.map(|stays| (base, stays)).into_iter().chain(moved).collect()
}

/// The same of a state of the traffic.
pub fn of(traffic: Traffic, known: &[ReleaseRecord]) -> Status {
    let find = |sequence: u64| known.iter().find(|release| release.sequence == sequence).cloned();
    Status {
        active: traffic.active().and_then(find),
        previous: traffic.previous().and_then(find),
        candidate: traffic.rollout.as_ref().and_then(|rollout| find(rollout.candidate)),
        share: traffic.candidate().map(|(_, share)| share),
        variants: shares(&traffic)
            .into_iter()
            .map(|(sequence, share)| {
                let version = find(sequence).map_or_else(|| sequence.to_string(), |release| release.version);
                ReleaseShare { version, sequence, share }
            })
            .collect(),
        shadow: None,
        rollout: traffic.rollout,
        ..Status::default()
    }
}

impl Engine {
    /// How it is now, with what is known in memory alone.
    pub fn rollout_status(&self) -> Result<Status, ControlError> {
        let status = self.with_progress(status(self.store())?)?;
        let number = status.rollout.as_ref().map(|rollout| rollout.number);
        let traffic = self.traffic().borrow().clone();
        let report = traffic.report().filter(|report| Some(report.rollout()) == number);
        Ok(Status { shadow: report.map(|report| report.counts()), ..status })
    }
}

/// The release that a version or a sequence names: of those with one version the newest.
pub fn find(store: &Store, named: &str) -> Result<ReleaseRecord, RolloutError> {
    let known = releases::list(store)?;
    let sequence = named.parse::<u64>().ok();
    let is_it = |release: &&ReleaseRecord| release.version == named || Some(release.sequence) == sequence;
    let state = releases::traffic(store)?;
    // A version may be on record more than once: then it is that to which calls go.
    let beside = state.rollout.iter().flat_map(|rollout| rollout.variants()).map(|(sequence, _)| sequence);
    let called: Vec<u64> = state.active().into_iter().chain(beside).collect();
    let found = known.iter().rev().filter(is_it).min_by_key(|release| !called.contains(&release.sequence)).cloned();
    found.ok_or_else(|| RolloutError::Unknown(named.chars().take(100).collect()))
}

/// A release that takes part in an experiment beside the candidate, as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedVariant {
    /// Its version, or its sequence.
    pub release: String,
    /// Whose calls go to it.
    pub share: Share,
}

/// The same strategy, where it is an experiment, with more releases.
pub fn with_variants(store: &Store, strategy: Strategy, more: &[NamedVariant]) -> Result<Strategy, RolloutError> {
    let Strategy::Experiment { share, mut others, compared } = strategy else { return Ok(strategy) };
    for NamedVariant { release, share } in more {
        others.push(Variant { release: find(store, release)?.sequence, share: *share });
    }
    Ok(Strategy::Experiment { share, others, compared })
}

impl fmt::Display for Status {
    /// In words, a line or two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.active {
            None => f.write_str("no release is active yet")?,
            Some(active) => write!(f, "{} is active", named(active))?,
        }
        if let Some(previous) = &self.previous {
            write!(f, ", and a rollback leads to {}", named(previous))?;
        }
        if let Some(rollout) = &self.rollout {
            let candidate = self.candidate.as_ref().map_or_else(|| rollout.candidate.to_string(), named);
            write!(f, "\nrollout {} of {candidate}: {}", rollout.number, rollout.in_words())?;
        }
        if let Some(Rollout { strategy: Strategy::Experiment { .. }, .. }) = &self.rollout {
            for ReleaseShare { version, sequence, share } in &self.variants {
                write!(f, "\n{share} of the callers: {version}, sequence {sequence}")?;
            }
        }
        if let Some(left_ms) = self.left_ms {
            write!(f, "\nthe step takes {} more", progress::in_words(left_ms))?;
        }
        for progress in &self.progress {
            write!(f, "\n{progress}")?;
        }
        if let Some(counts) = &self.shadow {
            write!(f, "\n{counts}: weir rollout differences shows them")?;
        }
        for guard in &self.guards {
            write!(f, "\nguard {guard}")?;
        }
        if let Some(window_ms) = self.window_ms {
            let health = self.health.iter().filter(|health| health.calls > 0);
            health.into_iter().try_for_each(|health| write!(f, "\nin the last {} s {health}", window_ms / 1_000))?;
        }
        Ok(())
    }
}

fn named(release: &ReleaseRecord) -> String {
    format!("{} {}, sequence {}", release.app, release.version, release.sequence)
}

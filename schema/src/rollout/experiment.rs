//! What is an experiment's alone of a rollout: how callers are divided between releases, and what is compared.

use serde::{Deserialize, Serialize};

use super::{BadStrategy, Bucket, Refused, Rollout, Share, Strategy, WHOLE};
use crate::limits::METRICS_MAX;

/// The most releases of an experiment beside the base.
pub const VARIANTS_MAX: usize = 9;

/// Which of the shares has a caller, where they lie one after the other from the first callers on; `None`: none of them.
pub fn place(shares: impl IntoIterator<Item = Share>, bucket: Bucket) -> Option<usize> {
    let mut end = 0_u16;
    shares.into_iter().position(|share| {
        end = end.saturating_add(share.0);
        bucket.0 < end
    })
}

/// A release of an experiment beside the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variant {
    /// Its sequence.
    pub release: u64,
    /// Whose calls go to it.
    pub share: Share,
}

/// What an experiment compares, and how sure it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compared {
    /// The metrics that decide; none: all that the releases declare.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// How often an experiment in which nothing differs may be taken for one in which something does.
    pub alpha: Share,
    /// How many callers are expected, of all variants together.
    pub callers_planned: u64,
}

impl Default for Compared {
    fn default() -> Self {
        Self { metrics: Vec::new(), alpha: Share(500), callers_planned: 20_000 }
    }
}

impl Compared {
    pub(super) fn check(&self) -> Result<(), BadStrategy> {
        if self.metrics.len() > METRICS_MAX {
            return Err(BadStrategy::Metrics);
        }
        if !(1..=2_000).contains(&self.alpha.0) {
            return Err(BadStrategy::Alpha(self.alpha));
        }
        if self.callers_planned == 0 { Err(BadStrategy::Callers) } else { Ok(()) }
    }
}

/// Whether callers can be divided so; if not, why.
pub(super) fn divided(share: Share, others: &[Variant]) -> Result<(), BadStrategy> {
    if others.len() >= VARIANTS_MAX {
        return Err(BadStrategy::Variants);
    }
    for (place, variant) in others.iter().enumerate() {
        if others.iter().take(place).any(|other| other.release == variant.release) {
            return Err(BadStrategy::Twice(variant.release));
        }
    }
    let mut shares = std::iter::once(share).chain(others.iter().map(|variant| variant.share));
    let all: u32 = shares.clone().map(|share| u32::from(share.0)).sum();
    if shares.any(|share| share == Share::NONE) || all >= u32::from(WHOLE) {
        return Err(BadStrategy::Shares);
    }
    Ok(())
}

impl Rollout {
    /// The sequences of the releases that it may end with, the candidate first, with the shares that they have in an experiment.
    pub fn variants(&self) -> Vec<(u64, Share)> {
        match &self.strategy {
            Strategy::Experiment { share, others, .. } => {
                let others = others.iter().map(|variant| (variant.release, variant.share));
                std::iter::once((self.candidate, *share)).chain(others).collect()
            }
            Strategy::BlueGreen { .. } | Strategy::Canary { .. } | Strategy::Shadow { .. } => {
                vec![(self.candidate, Share::ALL)]
            }
        }
    }

    /// The same with a release as the candidate that it may end with. The one before takes its place among the variants.
    pub(super) fn choosing(&self, release: u64) -> Result<Self, Refused> {
        if Some(release) == self.base {
            return Err(Refused::Base(self.number));
        }
        let mut chosen = self.clone();
        if release == self.candidate {
            return Ok(chosen);
        }
        let not_part = Refused::NotPart { release, number: self.number };
        let Strategy::Experiment { share, others, .. } = &mut chosen.strategy else { return Err(not_part) };
        let Some(variant) = others.iter_mut().find(|variant| variant.release == release) else { return Err(not_part) };
        std::mem::swap(&mut variant.release, &mut chosen.candidate);
        std::mem::swap(&mut variant.share, share);
        Ok(chosen)
    }
}

//! What an experiment compares. It is fixed when the experiment begins: whoever changes it afterwards, having seen what came, proves
//! nothing.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use weir_schema::limits::METRICS_MAX;
use weir_schema::metrics::Metric;

/// Variants of one experiment, the control among them.
pub const VARIANTS_MAX: usize = 10;
/// The level of an experiment that says nothing else: how often one that changes nothing may be taken for one that does.
pub const ALPHA: f64 = 0.05;
/// Callers that an experiment plans with that says nothing else.
pub const CALLERS_PLANNED: u64 = 20_000;

/// What an experiment compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Design {
    /// The variants. The first is the control, with which all others are compared.
    pub variants: Vec<Variant>,
    /// The metrics that are compared, as the app declares them.
    pub metrics: IndexMap<String, Metric>,
    /// The probability that anything is taken for different that is not, over all variants and metrics together.
    pub alpha: f64,
    /// How many callers are expected, of all variants together. What is said is right with any number, and most exact with this one.
    pub callers_planned: u64,
}

/// One of the variants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    /// Its name, different from those of the others.
    pub name: String,
    /// The sequence of its release.
    pub release: u64,
    /// Of so many callers by the sum of all weights it has one.
    pub weight: u32,
}

/// Why there can be no experiment of a design.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DesignError {
    /// Too few or too many variants.
    #[error("an experiment has 2 to {VARIANTS_MAX} variants, not {0}")]
    Variants(usize),
    /// A name is missing or there twice.
    #[error("the variants of an experiment have names, each one of its own: {0:?} is none")]
    Name(String),
    /// Nobody would see a variant.
    #[error("variant {0} has the weight 0: give it 1 or more, or leave it out")]
    Weight(String),
    /// Nothing or too much to compare.
    #[error("an experiment compares 1 to {METRICS_MAX} metrics, not {0}: declare them under [metrics] in app.toml")]
    Metrics(usize),
    /// No level.
    #[error("alpha = {0} is not the level of a test: write a number between 0.0001 and 0.2, such as 0.05")]
    Alpha(f64),
}

impl Design {
    /// Whether it can be; if not, why.
    pub fn check(&self) -> Result<(), DesignError> {
        if !(2..=VARIANTS_MAX).contains(&self.variants.len()) {
            return Err(DesignError::Variants(self.variants.len()));
        }
        for (place, variant) in self.variants.iter().enumerate() {
            let is_same = |other: &Variant| other.name == variant.name;
            if variant.name.is_empty() || self.variants.iter().take(place).any(is_same) {
                return Err(DesignError::Name(variant.name.clone()));
            }
            if variant.weight == 0 {
                return Err(DesignError::Weight(variant.name.clone()));
            }
        }
        if !(1..=METRICS_MAX).contains(&self.metrics.len()) {
            return Err(DesignError::Metrics(self.metrics.len()));
        }
        if !(0.0001..=0.2).contains(&self.alpha) {
            return Err(DesignError::Alpha(self.alpha));
        }
        Ok(())
    }

    /// In how many comparisons something may wrongly be taken for different: one for each metric and variant but the control.
    pub fn comparisons(&self) -> usize {
        self.variants.len().saturating_sub(1) * self.metrics.len()
    }

    /// The weights of the variants.
    pub fn weights(&self) -> Vec<f64> {
        self.variants.iter().map(|variant| f64::from(variant.weight)).collect()
    }
}

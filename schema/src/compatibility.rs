//! What has changed from one release of an app to another, and which version the other one has to have for it.
//!
//! | module | what it compares |
//! |---|---|
//! | `functions` | functions, and the types that clients see of them; endpoints |
//! | `collections` | collections, their indexes, references and documents |
//! | `policies` | who may do what |
//! | `settings` | `app.toml`: limits, rates, schedules, hosts, secrets, claims |
//! | `rollouts` | `app.toml`: migrations, metrics, checks, guards |
//! | `version` | what follows for the version |
//! | `usage` | who would notice, by what clients have asked for |
//!
//! Rule: what clients could do and cannot any more, or get otherwise than they expect, is breaking. What they can do besides is an
//! addition. All else is internal.

mod collections;
mod functions;
mod policies;
mod rollouts;
mod settings;
#[cfg(test)]
mod tests;
mod usage;
mod version;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::declarations::Declarations;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::outline::Outline;

pub use policies::{Effect, PolicyOutline};
pub use usage::Usage;
pub use version::{is_enough, least_version};

/// All of a release that is compared.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its `app.toml`.
    pub manifest: Manifest,
    /// What it declares.
    pub declarations: Declarations,
    /// What clients can see of its schema.
    pub outline: Outline,
    /// Its policies in the order of the text; `None`: it has none.
    pub policies: Option<Vec<PolicyOutline>>,
    /// A digest for each function, in the order of declaration, which is another where its code is.
    pub codes: Vec<Digest>,
}

/// How much a change asks of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// What was right is refused, or gives what nobody expects.
    Breaking,
    /// What was right stays so, and may be refused or give something else where it comes close to a bound.
    Dangerous,
    /// There is more than before.
    Addition,
    /// No client notices.
    Internal,
}

impl Level {
    /// All of them, the worst first.
    pub const ALL: [Self; 4] = [Self::Breaking, Self::Dangerous, Self::Addition, Self::Internal];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Dangerous => "dangerous",
            Self::Addition => "addition",
            Self::Internal => "internal",
        }
    }
}

/// What of an app has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// A function.
    Function,
    /// A type that clients see.
    Type,
    /// An HTTP endpoint.
    Endpoint,
    /// A collection.
    Collection,
    /// A policy.
    Policy,
    /// A bound of calls or of requests.
    Limit,
    /// How often callers may ask.
    Rate,
    /// What is called again and again.
    Schedule,
    /// A host that actions fetch from.
    Host,
    /// A secret.
    Secret,
    /// What functions know of who calls.
    Claim,
    /// How documents of releases before become those of this one.
    Migration,
    /// What the app measures.
    Metric,
    /// What is called before any call goes to the release.
    Check,
    /// When a rollout is taken back by itself.
    Guard,
    /// Something else in `app.toml`.
    Setting,
}

impl Part {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Type => "type",
            Self::Endpoint => "endpoint",
            Self::Collection => "collection",
            Self::Policy => "policy",
            Self::Limit => "limit",
            Self::Rate => "rate",
            Self::Schedule => "schedule",
            Self::Host => "host",
            Self::Secret => "secret",
            Self::Claim => "claim",
            Self::Migration => "migration",
            Self::Metric => "metric",
            Self::Check => "check",
            Self::Guard => "guard",
            Self::Setting => "setting",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// How much it asks of clients.
    pub level: Level,
    /// Of what.
    pub part: Part,
    /// Where: what clients see as GraphQL writes schema coordinates (`Query.ordersOf`, `Order.total`), a setting by its place in
    /// `app.toml` (`limits.cpu_ms`).
    pub coordinate: String,
    /// What it is, in one sentence.
    pub description: String,
    /// By which functions clients come to it, where the coordinate itself is nothing that they ask for: a type, a member of
    /// what they send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached_by: Vec<String>,
}

/// Changes from one release to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The version of the one.
    pub from: Version,
    /// That of the other.
    pub to: Version,
    /// What has changed: the worst first, and within that in the order of the parts above.
    pub changes: Vec<Change>,
}

impl Comparison {
    /// Compares two releases.
    pub fn of(old: &Described, new: &Described) -> Self {
        let mut found = Found::default();
        functions::compare(old, new, &mut found);
        collections::compare(&old.declarations, &new.declarations, &mut found);
        policies::compare(old.policies.as_deref(), new.policies.as_deref(), &mut found);
        settings::compare(&old.manifest, &new.manifest, &mut found);
        rollouts::compare(&old.manifest, &new.manifest, &mut found);
        let mut changes = found.0;
        changes.sort_by_key(|change| change.level);
        Self { from: old.manifest.version.clone(), to: new.manifest.version.clone(), changes }
    }

    /// The worst that has happened; internal where nothing has that can be told.
    pub fn level(&self) -> Level {
        self.changes.first().map_or(Level::Internal, |change| change.level)
    }

    /// The least version that the other one may have.
    pub fn least_version(&self) -> Version {
        least_version(&self.from, self.level())
    }

    /// Whether it has such a version.
    pub fn is_enough(&self) -> bool {
        is_enough(&self.from, &self.to, self.level())
    }
}

/// What was found so far.
#[derive(Default)]
struct Found(Vec<Change>);

impl Found {
    fn add(&mut self, level: Level, part: Part, coordinate: impl Into<String>, description: impl Into<String>) {
        let (coordinate, description) = (coordinate.into(), description.into());
        self.0.push(Change { level, part, coordinate, description, reached_by: Vec::new() });
    }
}

//! What has changed from one release to another, for who looks at it: with who would notice, and which version it takes.
//!
//! A release of the past is compiled again from its bundle, which runs nothing. One such comparison is made at a time.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use weir_sandbox::App;
use weir_sandbox::compile::compile;
use weir_schema::bundle::{BadBundle, Bundle, Content};
use weir_schema::codec::control::ReleaseRecord;
use weir_schema::compatibility::{Change, Comparison, Described, Level, Part, Usage};
use weir_store::Store;

use super::described::describe;
use super::kept_bundles::KeptError;
use super::releases::OnRecord;
use super::releases::{self, told};
use super::{ControlError, now_ms};
use crate::bundle::sign::sources;
use crate::usage;

/// Changes that are told, the worst first.
pub const CHANGES_MAX: usize = 500;

/// Comparisons that are made at once: each compiles two apps.
static PLACES: Semaphore = Semaphore::const_new(1);

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The name of the app.
    pub app: String,
    /// The version of the one.
    pub from: String,
    /// That of the other.
    pub to: String,
    /// The worst of what changed.
    pub level: Level,
    /// The least version that the other one may have.
    pub least_version: String,
    /// Whether it has such a version.
    pub is_enough: bool,
    /// What changed, the worst first.
    pub changes: Vec<Noticed>,
    /// How many more there are.
    pub more: usize,
}

/// A change, and who would notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Noticed {
    /// The change.
    #[serde(flatten)]
    pub change: Change,
    /// How often clients have asked in the last days for what it is about; only of what is breaking or dangerous to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// When last, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_ms: Option<u64>,
    /// The same in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// A release on record: `active`, a version or a sequence.
    Release(String),
    /// A bundle, whoever has signed it.
    Bundle(Vec<u8>),
}

/// Why two releases cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DifferenceError {
    /// There is none of that name.
    #[error(transparent)]
    Unknown(#[from] NoRelease),
    /// It is known, and its texts are not.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// It is none.
    #[error(transparent)]
    Bundle(#[from] BadBundle),
    /// It does not compile here.
    #[error("{which} has mistakes, as this version of weir sees it:\n{mistakes}")]
    Mistakes {
        /// What was to be compared.
        which: String,
        /// What is wrong with it.
        mistakes: String,
    },
    /// It cannot be taken apart.
    #[error("{which} cannot be compared: {because}")]
    Unservable {
        /// What was to be compared.
        which: String,
        /// Why.
        because: String,
    },
    /// They have nothing to do with each other.
    #[error("{0} and {1} are two apps: compare two releases of one")]
    OtherApp(String, String),
    /// A defect of Weir.
    #[error("the comparison stopped: {0}")]
    Stopped(String),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// What names no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no release {0:?}: weir releases list shows their versions and sequences, and active is the one that is served"
)]
pub struct NoRelease(pub String);

/// The release of that name among those on record: `active`, a version, or a sequence. Of those that have a version in common it is the
/// newest, which have one content.
pub fn find(known: &OnRecord, name: &str) -> Result<ReleaseRecord, NoRelease> {
    let OnRecord { releases, active } = known;
    let mut newest_first = releases.iter().rev();
    let found = match (name, name.parse::<u64>()) {
        ("active", _) => newest_first.find(|release| Some(release.sequence) == *active),
        (_, Ok(sequence)) => newest_first.find(|release| release.sequence == sequence),
        (version, Err(_)) => newest_first.find(|release| release.version == version),
    };
    found.cloned().ok_or_else(|| NoRelease(name.to_owned()))
}

impl Difference {
    /// Compares two releases, on a thread that may be kept busy. Without a store both are bundles, and nobody knows what clients ask for.
    pub async fn between(store: Option<&Store>, from: Side, to: Side) -> Result<Self, DifferenceError> {
        let stopped = |error: &dyn fmt::Display| DifferenceError::Stopped(error.to_string());
        let place = PLACES.acquire().await.map_err(|error| stopped(&error))?;
        let store = store.cloned();
        let comparing = tokio::task::spawn_blocking(move || {
            let (from, to) = (described(store.as_ref(), &from)?, described(store.as_ref(), &to)?);
            let known = store.as_ref().map(Known::of).transpose()?;
            drop(place);
            Self::of(&from, &to, known.as_ref())
        });
        comparing.await.map_err(|error| stopped(&error))?
    }

    /// Compares two releases, with what is known of clients.
    pub(super) fn of(from: &Described, to: &Described, known: Option<&Known>) -> Result<Self, DifferenceError> {
        let [one, other] = [from, to].map(|described| described.manifest.name.clone());
        if one != other {
            return Err(DifferenceError::OtherApp(one, other));
        }
        let comparison = Comparison::of(from, to);
        let more = comparison.changes.len().saturating_sub(CHANGES_MAX);
        let changes = comparison.changes.iter().take(CHANGES_MAX);
        Ok(Self {
            app: one,
            from: comparison.from.to_string(),
            to: comparison.to.to_string(),
            level: comparison.level(),
            least_version: comparison.least_version().to_string(),
            is_enough: comparison.is_enough(),
            changes: changes.map(|change| Noticed::of(change, known)).collect(),
            more,
        })
    }

    /// A line for each change, with who would notice; those of a level alone, and of worse ones, where one is given.
    pub fn lines(&self, down_to: Level) -> Vec<String> {
        let told = self.changes.iter().filter(|noticed| noticed.change.level <= down_to);
        let mut lines: Vec<String> = told.map(ToString::to_string).collect();
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines
    }
}

impl Noticed {
    fn of(change: &Change, known: Option<&Known>) -> Self {
        // Clients ask for nothing by the name of a limit or of a policy.
        let is_counted =
            change.level <= Level::Dangerous && matches!(change.part, Part::Function | Part::Type | Part::Endpoint);
        let known = known.filter(|_| is_counted);
        let used = known.map(|known| known.usage.of(change));
        Self {
            change: change.clone(),
            used: used.map(|used| used.count),
            last_used_ms: used.map(|used| used.last_ms).filter(|last_ms| *last_ms > 0),
            usage: known.map(|known| known.usage.told(change, known.now_ms)),
        }
    }
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { level, part, coordinate, description, .. } = &self.change;
        write!(f, "{} {} {coordinate}: {description}", level.as_str(), part.as_str())?;
        self.usage.as_ref().map_or(Ok(()), |usage| write!(f, " {usage}"))
    }
}

/// What clients have asked for, as of a time in milliseconds since 1970.
pub(super) struct Known {
    usage: Usage,
    now_ms: u64,
}

impl Known {
    pub(super) fn of(store: &Store) -> Result<Self, ControlError> {
        let now_ms = now_ms();
        Ok(Self { usage: usage::read(store, None, now_ms)?, now_ms })
    }
}

fn described(store: Option<&Store>, side: &Side) -> Result<Described, DifferenceError> {
    let (which, bundle) = match side {
        Side::Bundle(bundle) => ("the bundle".to_owned(), bundle.clone()),
        Side::Release(name) => {
            let store = store.ok_or_else(|| NoRelease(name.clone()))?;
            let release = find(&releases::on_record(store)?, name)?;
            let which = format!("release {}", release.version);
            (which, releases::bundle(store, release.sequence)?)
        }
    };
    let app = app_in(&bundle, &which)?;
    describe(&app).map_err(|because| DifferenceError::Unservable { which, because })
}

/// The app in a bundle, compiled.
pub(super) fn app_in(bundle: &[u8], which: &str) -> Result<App, DifferenceError> {
    let content = Content::parse(Bundle::parse(bundle)?.content)?;
    let compiled = compile(&sources(content));
    compiled.map_err(|mistakes| DifferenceError::Mistakes { which: which.to_owned(), mistakes: told(&mistakes) })
}

#[cfg(test)]
mod tests;

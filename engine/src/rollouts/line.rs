//! Callers who stay on a line: a range of versions, such as `^1`. They are answered by the newest release of it, also when the
//! active one is past it.
//!
//! Rule: what somebody has rolled back is on no line.

use std::sync::Arc;

use parking_lot::Mutex;
use semver::{Version, VersionReq};
use weir_schema::codec::control::ReleaseRecord;

use super::loaded::{LINES_MAX, Lease};
use super::traffic::{Asker, Traffic};
use crate::control::ControlError;
use crate::control::releases::{self, DeployError};
use crate::engine::Engine;
use crate::release::Release;

/// The longest range, in bytes.
const RANGE_BYTES_MAX: usize = 100;
/// Versions that are named to who asked for another.
const NAMED_MAX: usize = 5;

/// A range of versions that somebody stays on, with the release that they were led to last, which stays loaded.
#[derive(Debug)]
pub struct Line {
    range: VersionReq,
    lease: Mutex<Option<Lease>>,
}

/// Why a call cannot be answered on a line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no range.
    #[error("{0:?} is no range of versions: write one such as ^1, ~1.4 or =1.4.0")]
    Malformed(String),
    /// There is no release of it.
    #[error("no release is {range}{}", known(.versions))]
    Empty {
        /// The range.
        range: VersionReq,
        /// Some that there are.
        versions: Vec<String>,
    },
    /// Nothing is deployed.
    #[error("no release is active yet")]
    NoRelease,
    /// There are too many that have to be loaded.
    #[error(
        "{LINES_MAX} releases are loaded for callers who stay on older versions already: try again later, or ask for the active one"
    )]
    Full,
    /// It cannot be loaded.
    #[error("release {version} cannot be loaded any more: {why}")]
    Load {
        /// Which.
        version: String,
        /// Why.
        why: Box<DeployError>,
    },
}

fn known(versions: &[String]) -> String {
    if versions.is_empty() { String::new() } else { format!(": there are {}", versions.join(", ")) }
}

/// The releases that callers may stay on, the newest first.
pub(super) type Offered = Vec<(Version, ReleaseRecord)>;

impl Line {
    /// Reads a range.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let malformed = || LineError::Malformed(text.chars().take(RANGE_BYTES_MAX).collect());
        if text.len() > RANGE_BYTES_MAX {
            return Err(malformed());
        }
        let range = VersionReq::parse(text.trim()).map_err(|_| malformed())?;
        Ok(Self { range, lease: Mutex::default() })
    }

    /// The range.
    pub fn range(&self) -> &VersionReq {
        &self.range
    }

    /// The newest release of it.
    fn newest<'o>(&self, offered: &'o Offered) -> Result<&'o ReleaseRecord, LineError> {
        let newest = offered.iter().find(|(version, _)| self.range.matches(version));
        newest.map(|(_, record)| record).ok_or_else(|| LineError::Empty {
            range: self.range.clone(),
            versions: offered.iter().take(NAMED_MAX).map(|(version, _)| version.to_string()).collect(),
        })
    }

    fn unreadable(&self, error: ControlError) -> LineError {
        LineError::Load { version: self.range.to_string(), why: Box::new(error.into()) }
    }

    /// Holds a release for as long as it leads there.
    pub(crate) fn leads_to(&self, release: &Arc<Release>, now_ms: u64) -> Arc<Release> {
        *self.lease.lock() = Some(release.lease(now_ms));
        release.clone()
    }
}

impl Engine {
    /// Where the calls of a caller go who stays on a line: where they go anyway, if that is on it; or to the newest release that is.
    pub async fn route_on(&self, line: &Line, asker: Asker<'_>) -> Result<Arc<Release>, LineError> {
        let now_ms = self.clock().now_ms();
        let traffic = self.traffic().borrow().clone();
        let usual = traffic.route(|| asker).ok_or(LineError::NoRelease)?;
        let serving = [Some(usual), traffic.active()];
        if let Some(release) = serving.into_iter().flatten().find(|release| line.range.matches(release.version())) {
            return Ok(line.leads_to(release, now_ms));
        }
        let known = self.known_offered(&traffic).map_err(|error| line.unreadable(error))?;
        let newest = line.newest(known)?;
        let release = match self.loaded_as(newest.sequence) {
            Some(_) => self.kept_for_line(newest).await?,
            None => {
                // What takes a while to be loaded is not looked for in what was on record a while ago.
                let offered = self.offered().map_err(|error| line.unreadable(error))?;
                self.load_for_line(line.newest(&offered)?).await?
            }
        };
        Ok(line.leads_to(&release, self.clock().now_ms()))
    }

    /// Whether a release on record is of a range, also one that was rolled back or has yet to be rolled out.
    pub(crate) fn is_on_record(&self, range: &VersionReq) -> Result<bool, ControlError> {
        let known = releases::list(self.store())?;
        Ok(known.iter().any(|release| Version::parse(&release.version).is_ok_and(|version| range.matches(&version))))
    }

    /// What callers may stay on, read from the store once for each state of the traffic.
    fn known_offered<'t>(&self, traffic: &'t Traffic) -> Result<&'t Offered, ControlError> {
        match traffic.offered().get() {
            Some(offered) => Ok(offered),
            None => {
                let read = self.offered()?;
                Ok(traffic.offered().get_or_init(|| read))
            }
        }
    }

    /// What callers may stay on: what was active and was not rolled back.
    fn offered(&self) -> Result<Offered, ControlError> {
        let promoted = releases::traffic(self.store())?.promoted;
        let known = releases::list(self.store())?;
        let offered = known.into_iter().filter(|release| promoted.contains(&release.sequence));
        let versions = offered.filter_map(|release| Some((Version::parse(&release.version).ok()?, release)));
        let mut versions: Vec<(Version, ReleaseRecord)> = versions.collect();
        versions.sort_by(|(one, a), (other, b)| other.cmp(one).then(b.sequence.cmp(&a.sequence)));
        Ok(versions)
    }

    async fn load_for_line(&self, record: &ReleaseRecord) -> Result<Arc<Release>, LineError> {
        let _one_at_a_time = self.shared().lining.lock().await;
        let unreadable =
            |error: ControlError| LineError::Load { version: record.version.clone(), why: Box::new(error.into()) };
        if self.loaded_as(record.sequence).is_none() && !self.make_room(LINES_MAX).await.map_err(unreadable)? {
            return Err(LineError::Full);
        }
        self.kept_for_line(record).await
    }

    async fn kept_for_line(&self, record: &ReleaseRecord) -> Result<Arc<Release>, LineError> {
        let loaded = self.load_kept(record).await;
        loaded.map_err(|why| LineError::Load { version: record.version.clone(), why: Box::new(why) })
    }
}

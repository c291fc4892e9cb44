//! Callers who stay on a line: a range of versions, such as `^1`. They are answered by the newest release of it, also when the
//! active one is past it.
//!
//! Rule: what somebody has rolled back is on no line.

use std::sync::Arc;

use parking_lot::Mutex;
use semver::{Version, VersionReq};
use weir_schema::codec::control::ReleaseRecord;

use super::loaded::{LINES_MAX, Lease};
use super::traffic::Asker;
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

    fn leads_to(&self, release: &Arc<Release>, now_ms: u64) -> Arc<Release> {
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
        let record = self.newest_of(line)?;
        if let Some(release) = self.loaded_as(record.sequence) {
            return Ok(line.leads_to(&release, now_ms));
        }
        let release = self.load_for_line(&record).await?;
        Ok(line.leads_to(&release, now_ms))
    }

    /// The newest release of a line that was active and was not rolled back.
    fn newest_of(&self, line: &Line) -> Result<ReleaseRecord, LineError> {
        let unreadable = |error: crate::control::ControlError| LineError::Load {
            version: line.range.to_string(),
            why: Box::new(error.into()),
        };
        let promoted = releases::traffic(self.store()).map_err(unreadable)?.promoted;
        let known = releases::list(self.store()).map_err(unreadable)?;
        let offered = known.iter().filter(|release| promoted.contains(&release.sequence));
        let versions = offered.filter_map(|release| Some((Version::parse(&release.version).ok()?, release)));
        let mut versions: Vec<(Version, &ReleaseRecord)> = versions.collect();
        versions.sort_by(|(one, a), (other, b)| one.cmp(other).then(a.sequence.cmp(&b.sequence)));
        let newest = versions.iter().rev().find(|(version, _)| line.range.matches(version));
        newest.map(|(_, record)| (*record).clone()).ok_or_else(|| LineError::Empty {
            range: line.range.clone(),
            versions: versions.iter().rev().take(NAMED_MAX).map(|(version, _)| version.to_string()).collect(),
        })
    }

    async fn load_for_line(&self, record: &ReleaseRecord) -> Result<Arc<Release>, LineError> {
        let _one_at_a_time = self.shared().lining.lock().await;
        if let Some(release) = self.loaded_as(record.sequence) {
            return Ok(release);
        }
        let traffic = self.traffic().borrow().clone();
        let beside = self.loaded().borrow().iter().filter(|release| !traffic.goes_to(release)).count();
        if beside >= LINES_MAX {
            return Err(LineError::Full);
        }
        self.load_kept(record)
            .await
            .map_err(|why| LineError::Load { version: record.version.clone(), why: Box::new(why) })
    }
}

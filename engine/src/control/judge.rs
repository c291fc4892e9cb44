//! Whether a bundle may follow the release that is active, by what it changes and by its version.
//!
//! Rule: a version has one content. What is on record already may be deployed again; of all else the version has to say what it asks
//! of clients, unless somebody insists, and then that is on record.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_sandbox::App;
use weir_schema::bundle::Statement;
use weir_schema::codec::control::ReleaseRecord;
use weir_schema::compatibility::Level;

use super::described::describe;
use super::difference::{Difference, Known, app_in};
use super::releases::{self, DeployError};
use crate::engine::Engine;

/// Changes that a refusal names, and a record of what was forced.
const NAMED_MAX: usize = 20;

/// What becomes of a bundle whose version is too small for what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Incompatible {
    /// It is refused.
    Refused,
    /// It is deployed all the same, and that is on record.
    Forced,
}

/// A bundle whose version is too small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooSmall(pub Difference);

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { app, from, to, level, least_version, .. } = &self.0;
        let does = match level {
            Level::Breaking => format!("breaks clients of {from}"),
            Level::Dangerous => format!("may fail clients of {from}"),
            Level::Addition => format!("adds to {from}"),
            Level::Internal => format!("is to follow {from}"),
        };
        write!(
            f,
            "{app} {to} {does}, so its version has to be {least_version} or later: raise it in app.toml and build it anew, or \
             insist (weir deploy --force)"
        )?;
        named(&self.0).iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// The changes for which a version has to be another one, some of them.
fn named(difference: &Difference) -> Vec<String> {
    let mut lines = difference.lines(difference.level);
    let more = lines.len().saturating_sub(NAMED_MAX);
    lines.truncate(NAMED_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// That no other content is on record under the version of a bundle.
pub(super) fn one_content(known: &[ReleaseRecord], statement: &Statement) -> Result<(), DeployError> {
    let is_other =
        |release: &&ReleaseRecord| release.version == statement.version && release.digest != statement.digest;
    match known.iter().rev().find(is_other) {
        Some(release) => {
            Err(DeployError::OtherContent { version: release.version.clone(), sequence: release.sequence })
        }
        None => Ok(()),
    }
}

/// Judges what follows the active release, one of those that are known. Gives what is to be on record besides: what was forced.
pub(super) async fn judge(
    engine: &Engine,
    (active, known): (Option<&ReleaseRecord>, &[ReleaseRecord]),
    statement: &Statement,
    app: &App,
    incompatible: Incompatible,
) -> Result<Vec<String>, DeployError> {
    let Some(active) = active else { return Ok(Vec::new()) };
    if known.iter().any(|release| release.digest == statement.digest) {
        return Ok(Vec::new());
    }
    let (engine, active, app) = (engine.clone(), active.clone(), app.clone());
    engine.write_usage().await;
    let judging = tokio::task::spawn_blocking(move || difference(&engine, &active, &app));
    let judged = judging.await.map_err(|error| DeployError::Stopped(error.to_string()))??;
    let Some(difference) = judged.filter(|difference| !difference.is_enough) else { return Ok(Vec::new()) };
    match incompatible {
        Incompatible::Refused => Err(DeployError::Incompatible(Box::new(TooSmall(difference)))),
        Incompatible::Forced => {
            let forced = format!("forced, where {} was asked for", difference.least_version);
            Ok([forced].into_iter().chain(named(&difference)).collect())
        }
    }
}

/// What an app changes in a release; `None` where that one cannot be read here any more, and so nothing can be said.
fn difference(engine: &Engine, active: &ReleaseRecord, app: &App) -> Result<Option<Difference>, DeployError> {
    let kept = |bundle: Vec<u8>| app_in(&bundle, &active.version).map_err(|error| error.to_string());
    let old = match engine.loaded_as(active.sequence) {
        Some(loaded) => describe(loaded.app()),
        None => match releases::bundle(engine.store(), active.sequence) {
            Ok(bundle) => kept(bundle).and_then(|app| describe(&app)),
            Err(error) => Err(error.to_string()),
        },
    };
    let old = match old {
        Ok(old) => old,
        Err(why) => {
            tracing::warn!("what changes from release {} on cannot be told: {why}", active.version);
            return Ok(None);
        }
    };
    let new = describe(app).map_err(DeployError::Unservable)?;
    let known = Known::of(engine.store())?;
    Difference::of(&old, &new, Some(&known)).map(Some).map_err(|error| DeployError::Stopped(error.to_string()))
}

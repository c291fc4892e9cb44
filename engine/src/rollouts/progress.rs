//! How far it is with what a release waits for before it takes calls, and how long a step of a rollout still takes.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_schema::codec::control::{MigrationDirection, MigrationRecord};
use weir_schema::rollout::{Phase, Rollout};
use weir_store::Store;

use super::status::Status;
use crate::control::ControlError;
use crate::engine::Engine;
use crate::evolution;

/// Documents that are gone through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What for, in words.
    pub what: String,
    /// The documents so far. More than in all where documents came meanwhile.
    pub done: u64,
    /// The documents when it began; 0 as long as that is not known.
    pub total: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, done, total } = self;
        match total {
            0 => write!(f, "{what}: {done} documents"),
            total => write!(f, "{what}: {done} of {total} documents"),
        }
    }
}

/// How far the migration under way is, as it lies in the store.
pub(super) fn of_migration(store: &Store) -> Result<Vec<Progress>, ControlError> {
    let Some(MigrationRecord { release, direction, is_over: false, collections }) = evolution::record(store)? else {
        return Ok(Vec::new());
    };
    let way = match direction {
        MigrationDirection::Up => "migrated to",
        MigrationDirection::Down => "brought back from",
    };
    let progress = collections.into_iter().map(|(collection, migrated)| Progress {
        what: format!("{collection} is being {way} {release}"),
        done: migrated.done,
        total: migrated.total,
    });
    Ok(progress.collect())
}

/// How long the step under way, or the paused one, still takes; `None`: there is none, or it ends when somebody says so.
fn left_ms(rollout: &Rollout, now_ms: u64) -> Option<u64> {
    match rollout.phase {
        Phase::Step { due_ms, .. } => due_ms.map(|due_ms| due_ms.saturating_sub(now_ms)),
        Phase::Paused { left_ms, .. } => left_ms,
        _ => None,
    }
}

/// A length of time in words, in whole seconds and no shorter than it is.
pub(super) fn in_words(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

impl Engine {
    /// A status with how long its step still takes, and how far it is with what a release waits for.
    pub fn with_progress(&self, mut status: Status) -> Result<Status, ControlError> {
        let now_ms = self.clock().now_ms();
        status.left_ms = status.rollout.as_ref().and_then(|rollout| left_ms(rollout, now_ms));
        status.progress = of_migration(self.store())?;
        status.progress.extend(self.progress());
        Ok(status)
    }

    /// How far it is with indexes that are being built, documents that are being looked through, and views of loaded releases that
    /// are being built.
    fn progress(&self) -> Vec<Progress> {
        let building = self.store().building().into_iter().map(|build| Progress {
            what: format!("{} is being gone through for {}", build.collection, build.index),
            done: build.done,
            total: build.total,
        });
        let mut progress: Vec<Progress> = building.collect();
        for release in self.loaded().borrow().iter() {
            for view in release.all_groups() {
                if let Some((done, total)) = view.condition().building {
                    let name = release.declarations().callable(view.function()).map_or("", |view| view.name.as_str());
                    progress.push(Progress {
                        what: format!("{name} of {} is being built", release.name()),
                        done,
                        total,
                    });
                }
            }
        }
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn what_is_left_is_told_in_whole_seconds() {
        let table = [
            (0, "0 s"),
            (1, "1 s"),
            (1_000, "1 s"),
            (61_500, "1 min 2 s"),
            (3_600_000, "1 h"),
            (90_061_000, "1 d 1 h 1 min 1 s"),
        ];
        for (ms, expected) in table {
            assert_eq!(in_words(ms), expected);
        }
    }
}

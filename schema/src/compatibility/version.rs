//! Which version a release has to have (<https://semver.org>), so that who pins a range (`^1.2.0`) is never broken within it.
//!
//! What is breaking leaves the range of the old version: the next major one, of `0.y.z` the next `y`, of `0.0.z` the next `z`. What is
//! added or has become dangerous raises the minor one, below `1.0.0` the last number; all else raises the last number.

use semver::Version;

use super::Level;

/// The least version that may follow another one with such changes. A pre-release promises nothing: whatever its version leads up to
/// may follow it.
pub fn least_version(old: &Version, level: Level) -> Version {
    let Version { major, minor, patch, .. } = *old;
    if !old.pre.is_empty() {
        return Version::new(major, minor, patch);
    }
    match (level, major, minor) {
        (Level::Breaking, 0, 0) => Version::new(0, 0, patch.saturating_add(1)),
        (Level::Breaking, 0, _) => Version::new(0, minor.saturating_add(1), 0),
        (Level::Breaking, ..) => Version::new(major.saturating_add(1), 0, 0),
        (Level::Dangerous | Level::Addition, 1.., _) => Version::new(major, minor.saturating_add(1), 0),
        (Level::Dangerous | Level::Addition | Level::Internal, ..) => {
            Version::new(major, minor, patch.saturating_add(1))
        }
    }
}

/// Whether a version may follow another one with such changes: it is newer, and no less than the least one, pre-releases of that
/// included.
pub fn is_enough(old: &Version, new: &Version, level: Level) -> bool {
    let numbers = |version: &Version| (version.major, version.minor, version.patch);
    new.cmp_precedence(old).is_gt() && numbers(new) >= numbers(&least_version(old, level))
}

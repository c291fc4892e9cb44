//! Releases as they are told, to whoever asks by whichever way.

use serde::{Deserialize, Serialize};
use weir_engine::control::ControlError;
use weir_engine::usage;
use weir_store::Store;

/// What clients have asked for, in one answer: the most of it.
pub const ASKED_MAX: usize = 1_000;

/// Something that clients have asked for in the last days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// A function by its name, a field or an argument by its schema coordinate, an endpoint by method and path.
    pub name: String,
    /// How often.
    pub count: u64,
    /// When last, in milliseconds since 1970.
    pub last_ms: u64,
}

/// What clients have asked for, of the release with a sequence or of all, the most frequent first.
pub fn asked(store: &Store, release: Option<u64>, now_ms: u64) -> Result<Vec<Asked>, ControlError> {
    let usage = usage::read(store, release, now_ms)?;
    let all = usage.iter().map(|(name, used)| (name.to_owned(), used));
    let mut all: Vec<Asked> =
        all.map(|(name, used)| Asked { name, count: used.count, last_ms: used.last_ms }).collect();
    // In the order of their names where they are equal.
    all.sort_by_key(|asked| std::cmp::Reverse(asked.count));
    all.truncate(ASKED_MAX);
    Ok(all)
}

//! Times as people read them.

use weir_schema::datetime::{self, Moment};

/// A time in milliseconds since 1970.
pub fn moment(ms: u64) -> String {
    let nanoseconds = u32::try_from(ms % 1_000).unwrap_or_default() * 1_000_000;
    let moment = i64::try_from(ms / 1_000).ok().map(|seconds| Moment { seconds, nanoseconds });
    moment.and_then(|moment| datetime::format(moment).ok()).unwrap_or_else(|| ms.to_string())
}

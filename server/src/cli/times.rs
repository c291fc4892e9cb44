//! Times as people read and write them.

use weir_schema::datetime;
pub use weir_schema::datetime::of_ms as moment;

/// Reads a time, as milliseconds since 1970.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    datetime::parse_ms(text).map_err(|_| "write a time such as 2026-11-29T12:00:00Z".to_owned())
}

//! The one written form of a `DateTime`: RFC 3339 in UTC, `2026-11-22T09:30:00.000Z`.
//!
//! It is what JavaScript's `toISOString` prints: milliseconds, and years of four digits. So values compare as strings as
//! they do in time, and slicing a day off one is always the UTC day. Finer fractions of a second are cut off.

use jiff::Timestamp;

/// Why a string is not a `DateTime`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time as RFC 3339 writes it, such as 2026-11-22T09:30:00Z")]
pub struct BadDateTime;

/// A moment, as index keys order it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Whole seconds since 1970, rounded down.
    pub seconds: i64,
    /// Nanoseconds past them, 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// Parses any RFC 3339 date and time (an offset is required).
pub fn parse(text: &str) -> Result<Moment, BadDateTime> {
    let timestamp: Timestamp = text.parse().map_err(|_| BadDateTime)?;
    let nanoseconds = timestamp.as_nanosecond();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).map_err(|_| BadDateTime)?;
    let nanoseconds = u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).map_err(|_| BadDateTime)?;
    Ok(Moment { seconds, nanoseconds })
}

/// Parses the same as milliseconds since 1970; finer fractions are cut off.
pub fn parse_ms(text: &str) -> Result<u64, BadDateTime> {
    let Moment { seconds, nanoseconds } = parse(text)?;
    let seconds = u64::try_from(seconds).map_err(|_| BadDateTime)?;
    Ok(seconds.saturating_mul(1_000).saturating_add(u64::from(nanoseconds / 1_000_000)))
}

/// Writes a moment in the one form.
pub fn format(moment: Moment) -> Result<String, BadDateTime> {
    let timestamp = Timestamp::new(moment.seconds, 0).map_err(|_| BadDateTime)?;
    let whole = timestamp.to_string();
    let whole = whole.strip_suffix('Z').filter(|_| whole.len() == "2026-11-22T09:30:00Z".len()).ok_or(BadDateTime)?;
    Ok(format!("{whole}.{:03}Z", moment.nanoseconds / 1_000_000))
}

/// A time in milliseconds since 1970 in the one form; the number itself where it is past the year 9999.
pub fn of_ms(ms: u64) -> String {
    let nanoseconds = u32::try_from(ms % 1_000).unwrap_or_default() * 1_000_000;
    let moment = i64::try_from(ms / 1_000).ok().map(|seconds| Moment { seconds, nanoseconds });
    moment.and_then(|moment| format(moment).ok()).unwrap_or_else(|| ms.to_string())
}

/// Rewrites any RFC 3339 text in the one form.
pub fn normalize(text: &str) -> Result<String, BadDateTime> {
    format(parse(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_counted_from_1970_on() {
        let table = [
            ("1970-01-01T00:00:00.001999Z", Ok(1)),
            ("1970-01-01T01:00:01+01:00", Ok(1_000)),
            ("1969-12-31T23:59:59.999Z", Err(BadDateTime)),
            ("1970-01-01", Err(BadDateTime)),
        ];
        for (text, expected) in table {
            assert_eq!(parse_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn every_spelling_of_a_moment_becomes_one() {
        let table = [
            ("2026-11-22T09:30:00Z", "2026-11-22T09:30:00.000Z"),
            ("2026-11-22T10:30:00.120+01:00", "2026-11-22T09:30:00.120Z"),
            ("2026-11-22T09:30:00.123999999Z", "2026-11-22T09:30:00.123Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"),
        ];
        for (text, normal) in table {
            assert_eq!(normalize(text).as_deref(), Ok(normal), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in
            ["", "yesterday", "2026-11-22", "2026-11-22T09:30:00", "2026-02-30T00:00:00Z", "-000001-01-01T00:00:00Z"]
        {
            assert_eq!(normalize(text), Err(BadDateTime), "{text:?}");
        }
    }
}

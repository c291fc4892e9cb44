//! How often something may happen, as `app.toml` and `weir.toml` write it: `10/s burst 20`.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest count and the largest burst: more in a second than there are nanoseconds is no limit.
pub const COUNT_MAX: u32 = 1_000_000_000;

/// The longest that an empty burst may take to be full again.
pub const REFILL_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// So many in a time, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    per: Per,
    burst: NonZeroU32,
}

/// The time in which a count is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
}

impl Per {
    fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
        }
    }
}

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// It does not have the form.
    #[error(
        "{0:?} is no rate: write a number for each second, minute or hour, such as \"10/s\", \"600/m burst 50\" or \"5/h\""
    )]
    Form(String),
    /// A number that allows nothing, or that is past all limits.
    #[error("{0:?} is no rate: its numbers are from 1 to {COUNT_MAX}")]
    Number(String),
    /// The burst is as good as endless.
    #[error(
        "{0:?} is no rate: a burst that takes more than 30 days to come back is as good as none; write a smaller one"
    )]
    Refill(String),
}

impl Rate {
    /// The time that one takes to come back.
    pub fn interval(self) -> Duration {
        self.per.duration() / self.count.get()
    }

    /// How many may happen at once.
    pub fn burst(self) -> NonZeroU32 {
        self.burst
    }

    /// The time in which a whole burst comes back.
    pub fn refill(self) -> Duration {
        let nanoseconds = self.per.duration().as_nanos() * u128::from(self.burst.get()) / u128::from(self.count.get());
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let form = || RateError::Form(text.to_owned());
        let mut words = text.split_ascii_whitespace();
        let (count, per) = words.next().and_then(|rate| rate.split_once('/')).ok_or_else(form)?;
        let per = match per {
            "s" => Per::Second,
            "m" => Per::Minute,
            "h" => Per::Hour,
            _ => return Err(form()),
        };
        let count = number(count, text)?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, _, _) => count,
            (Some("burst"), Some(burst), None) => number(burst, text)?,
            _ => return Err(form()),
        };
        let rate = Self { count, per, burst };
        if rate.refill() > REFILL_MAX { Err(RateError::Refill(text.to_owned())) } else { Ok(rate) }
    }
}

fn number(digits: &str, text: &str) -> Result<NonZeroU32, RateError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RateError::Form(text.to_owned()));
    }
    let number = digits.parse().ok().filter(|number: &NonZeroU32| number.get() <= COUNT_MAX);
    number.ok_or_else(|| RateError::Number(text.to_owned()))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, per, burst } = self;
        write!(f, "{count}/{}", per.as_str())?;
        if burst == count { Ok(()) } else { write!(f, " burst {burst}") }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How often each caller may ask an app: the `[rate]` table of `app.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateSettings {
    /// Operations, whatever they call.
    pub requests: Option<Rate>,
    /// What they cost together.
    pub cost: Option<Rate>,
    /// Calls of functions, by name.
    pub functions: BTreeMap<String, Rate>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time_and_perhaps_a_burst() {
        let table = [
            ("10/s", "10/s", 100_000_000, 10),
            ("10/s burst 20", "10/s burst 20", 100_000_000, 20),
            ("  600/m   burst 50 ", "600/m burst 50", 100_000_000, 50),
            ("5/h", "5/h", 720_000_000_000, 5),
            ("3/s burst 3", "3/s", 333_333_333, 3),
            ("1000000000/s", "1000000000/s", 1, 1_000_000_000),
        ];
        for (text, written, nanoseconds, burst) in table {
            let rate: Rate = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(rate.to_string(), written);
            assert_eq!(rate.interval(), Duration::from_nanos(nanoseconds), "{text}");
            assert_eq!(rate.burst().get(), burst, "{text}");
            assert_eq!(written.parse(), Ok(rate));
        }
        let rate: Rate = "10/s burst 20".parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(rate.refill(), Duration::from_secs(2));
    }

    #[test]
    fn what_is_no_rate_is_told_how_to_write_one() {
        let table = [
            ("", "such as \"10/s\""),
            ("10", "such as \"10/s\""),
            ("/s", "such as \"10/s\""),
            ("10/d", "such as \"10/s\""),
            ("10 / s", "such as \"10/s\""),
            ("-1/s", "such as \"10/s\""),
            ("1.5/s", "such as \"10/s\""),
            ("10/s burst", "such as \"10/s\""),
            ("10/s burst 20 30", "such as \"10/s\""),
            ("10/s bursts 20", "such as \"10/s\""),
            ("0/s", "from 1 to 1000000000"),
            ("10/s burst 0", "from 1 to 1000000000"),
            ("1000000001/s", "from 1 to 1000000000"),
            ("99999999999999999999/s", "from 1 to 1000000000"),
            ("1/h burst 1000", "30 days"),
        ];
        for (text, expected) in table {
            let error = Rate::from_str(text).map_or_else(|error| error.to_string(), |rate| panic!("{text}: {rate}"));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

//! When a rollout is taken back by itself: the table `[rollout.guards]` of `app.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::duration::parse_ms;
use crate::rollout::Share;

/// The shortest and the longest time over which calls are compared, in milliseconds.
pub const WINDOW_MS: [u64; 2] = [10_000, 600_000];
/// The longest time for which a release is watched that was promoted, in milliseconds.
pub const WATCH_MS_MAX: u64 = 86_400_000;
/// The fewest calls by which anything is concluded.
pub const MIN_CALLS: u64 = 20;

/// How an app is rolled out: `[rollout]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutSettings {
    /// Queries and views by their exported names, which are called without arguments and must not fail before any call goes to the
    /// release.
    pub checks: Vec<String>,
    /// When that is taken back by itself.
    pub guards: Guards,
}

/// What of a new release is compared with the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guards {
    /// How much larger the share of calls that fail may be.
    pub error_rate: ErrorRate,
    /// How slow the slowest calls but 5% may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p95: Option<Latency>,
    /// How many calls there have to be before rates and times are compared.
    #[serde(deserialize_with = "min_calls")]
    pub min_calls: u64,
    /// Over how long.
    #[serde(deserialize_with = "window", serialize_with = "time")]
    pub window: u64,
    /// For how long a release is watched once all callers have moved to it; not at all: `0s`.
    #[serde(deserialize_with = "watch", serialize_with = "time")]
    pub watch: u64,
    /// How much metrics of the app may change.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricGuard>,
}

impl Default for Guards {
    fn default() -> Self {
        let error_rate = ErrorRate(Share::of(100));
        Self { error_rate, latency_p95: None, min_calls: 100, window: 60_000, watch: 300_000, metrics: BTreeMap::new() }
    }
}

impl Guards {
    /// Each in words.
    pub fn in_words(&self) -> Vec<String> {
        let mut words = vec!["crashes: more than half of 20 calls or more".to_owned()];
        words.extend(
            self.error_rate.0.map(|share| format!("error_rate: at most {share} above that of the release before")),
        );
        words.extend(self.latency_p95.map(|latency| match latency {
            Latency::Times(_) => format!("latency_p95: at most {latency} that of the release before"),
            Latency::Ms(_) => format!("latency_p95: at most {latency}"),
        }));
        words.extend(self.metrics.iter().map(|(name, MetricGuard { min_change, max_change })| {
            let bounds = [("no less than", min_change), ("no more than", max_change)];
            let bounds: Vec<String> =
                bounds.iter().filter_map(|(how, change)| Some(format!("{how} {}", (**change)?))).collect();
            format!("{name}: changed by {}", bounds.join(" and "))
        }));
        words
    }
}

/// How much larger the share of calls that fail may be; `off`: as large as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRate(pub Option<Share>);

impl fmt::Display for ErrorRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(share) => share.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl FromStr for ErrorRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = (text != "off").then(|| Share::parse(text).ok_or(()));
        let share = share.transpose();
        share
            .map(Self)
            .map_err(|()| format!("error_rate {text:?} is no share of calls: write one such as \"1%\", or \"off\""))
    }
}

/// How slow calls may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// So many times as slow as those of the release before, in hundredths.
    Times(u64),
    /// In milliseconds.
    Ms(u64),
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(hundredths) => write!(f, "{}x", decimal(*hundredths)),
            Self::Ms(ms) => write!(f, "{ms}ms"),
        }
    }
}

impl FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let times = text.strip_suffix('x').and_then(hundredths).filter(|times| *times >= 100).map(Self::Times);
        let latency = times.or_else(|| parse_ms(text).filter(|ms| *ms > 0).map(Self::Ms));
        latency.ok_or_else(|| format!("latency_p95 {text:?} is no bound: write one such as \"1.5x\" or \"200ms\""))
    }
}

/// How much a metric may change, from the release before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricGuard {
    /// No less than that, such as `-5%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_change: Option<Change>,
    /// No more than that, such as `5%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_change: Option<Change>,
}

/// A change, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change(i64);

impl Change {
    /// As a part of one.
    pub fn part(self) -> f64 {
        self.0 as f64 / 10_000.0
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}%", decimal(self.0.unsigned_abs()))
    }
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no change of a metric: write one such as \"-5%\"");
        let number = text.strip_suffix('%').ok_or_else(bad)?;
        let (sign, digits) = match number.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, number.strip_prefix('+').unwrap_or(number)),
        };
        let size = hundredths(digits).and_then(|size| i64::try_from(size).ok()).ok_or_else(bad)?;
        Ok(Self(sign * size))
    }
}

/// A decimal number of two digits after the point at most, in hundredths.
fn hundredths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || whole.len() > 6 || part.len() > 2 {
        return None;
    }
    let part = format!("{part:0<2}").parse::<u64>().ok()?;
    Some(whole.parse::<u64>().ok()? * 100 + part)
}

/// The same as text.
fn decimal(hundredths: u64) -> String {
    match (hundredths / 100, hundredths % 100) {
        (whole, 0) => whole.to_string(),
        (whole, part) if part % 10 == 0 => format!("{whole}.{}", part / 10),
        (whole, part) => format!("{whole}.{part:02}"),
    }
}

macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

as_text!(ErrorRate, Latency, Change);

fn min_calls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let calls = u64::deserialize(deserializer)?;
    if calls < MIN_CALLS {
        return Err(D::Error::custom(format!(
            "min_calls is too small to conclude anything: write {MIN_CALLS} or more"
        )));
    }
    Ok(calls)
}

fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let [least, most] = WINDOW_MS;
    let time = parse_ms(&text).filter(|ms| (least..=most).contains(ms));
    time.ok_or_else(|| D::Error::custom(format!("window {text:?} is not allowed: write a time from 10s to 10m")))
}

fn watch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = parse_ms(&text).filter(|ms| *ms <= WATCH_MS_MAX);
    time.ok_or_else(|| D::Error::custom(format!("watch {text:?} is not allowed: write a time up to 24h, such as 5m")))
}

fn time<S: Serializer>(ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{ms}ms"))
}

/// The first guard of a metric that stops nothing, and why.
pub(crate) fn useless(guards: &Guards, is_declared: impl Fn(&str) -> bool) -> Option<(&str, String)> {
    guards.metrics.iter().find_map(|(name, guard)| {
        let why = if !is_declared(name) {
            format!("the guard of {name:?} has no metric: declare it as [metrics.{name}]")
        } else if guard.min_change.is_none() && guard.max_change.is_none() {
            format!("the guard of {name:?} has no bound: write min_change = \"-5%\", or max_change")
        } else {
            return None;
        };
        Some((name.as_str(), why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    fn parse(rollout: &str) -> Result<Guards, String> {
        let text = format!(
            "name = \"shop\"\nversion = \"1.0.0\"\n[metrics.order_value]\nkind = \"mean\"\n[rollout.guards]\n{rollout}\n"
        );
        manifest::parse(&text).map(|manifest| manifest.rollout.guards).map_err(|error| error.message)
    }

    #[test]
    fn guards_are_on_without_a_word_and_say_what_they_do() {
        assert_eq!(parse(""), Ok(Guards::default()));
        let guards = parse(
            "error_rate = \"0.5%\"\nlatency_p95 = \"1.25x\"\nmin_calls = 50\nwindow = \"30s\"\nwatch = \"1h\"\n\
             [rollout.guards.metrics.order_value]\nmin_change = \"-5%\"\nmax_change = \"12.5%\"",
        );
        let guards = guards.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((guards.min_calls, guards.window, guards.watch), (50, 30_000, 3_600_000));
        assert_eq!(
            guards.in_words(),
            [
                "crashes: more than half of 20 calls or more",
                "error_rate: at most 0.5% above that of the release before",
                "latency_p95: at most 1.25x that of the release before",
                "order_value: changed by no less than -5% and no more than 12.5%",
            ]
        );
        // As workers get it.
        let again = serde_json::to_string(&guards).and_then(|text| serde_json::from_str::<Guards>(&text));
        assert_eq!(again.ok(), Some(guards));
        let off = parse("error_rate = \"off\"\nlatency_p95 = \"200ms\"\nwatch = \"0s\"");
        let off = off.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((off.error_rate, off.latency_p95, off.watch), (ErrorRate(None), Some(Latency::Ms(200)), 0));
    }

    #[test]
    fn what_is_no_guard_says_what_to_write() {
        let metric = |text: &str| format!("[rollout.guards.metrics.order_value]\n{text}");
        for (text, words) in [
            ("error_rate = \"1\"".to_owned(), "\"1\" is no share of calls: write one such as \"1%\", or \"off\""),
            ("latency_p95 = \"0.5x\"".to_owned(), "write one such as \"1.5x\" or \"200ms\""),
            ("latency_p95 = \"0ms\"".to_owned(), "write one such as \"1.5x\" or \"200ms\""),
            ("latency_p95 = \"x\"".to_owned(), "write one such as \"1.5x\" or \"200ms\""),
            ("min_calls = 19".to_owned(), "write 20 or more"),
            ("window = \"9s\"".to_owned(), "write a time from 10s to 10m"),
            ("window = \"11m\"".to_owned(), "write a time from 10s to 10m"),
            ("watch = \"25h\"".to_owned(), "write a time up to 24h"),
            ("latency = \"1s\"".to_owned(), "unknown field `latency`"),
            (metric("min_change = \"-5\""), "write one such as \"-5%\""),
            (metric("min_change = \"--5%\""), "write one such as \"-5%\""),
            (metric(""), "has no bound"),
            ("[rollout.guards.metrics.gone]\nmin_change = \"-5%\"".to_owned(), "declare it as [metrics.gone]"),
        ] {
            let error = parse(&text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

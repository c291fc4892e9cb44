//! What clients have asked for in the last days, and so who would notice a change.

use std::collections::BTreeMap;

use super::Change;
use crate::codec::usage::{UsageRecord, Used};
use crate::limits::USAGE_DAYS;

/// What clients have asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage(BTreeMap<String, Used>);

impl Usage {
    /// Adds what was counted on a day.
    pub fn add(&mut self, record: UsageRecord) {
        for (name, used) in record.used {
            let sum = self.0.entry(name).or_default();
            *sum = sum.and(used);
        }
    }

    /// All of it, by what was asked for.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Used)> {
        self.0.iter().map(|(name, used)| (name.as_str(), *used))
    }

    /// How often clients have asked for what a change is about. Where that is nothing that they ask for by itself, it is how
    /// often they have called the functions by which they come to it.
    pub fn of(&self, change: &Change) -> Used {
        let sum = |names: &mut dyn Iterator<Item = &str>| {
            names.filter_map(|name| self.0.get(name)).fold(Used::default(), |sum, used| sum.and(*used))
        };
        if change.reached_by.is_empty() {
            sum(&mut [function(&change.coordinate).unwrap_or(&change.coordinate)].into_iter())
        } else {
            sum(&mut change.reached_by.iter().map(String::as_str))
        }
    }

    /// In words, who would notice a change, as of a time in milliseconds since 1970: `It was selected 1,203 times in the last 30 days, last 2
    /// minutes ago.`
    pub fn told(&self, change: &Change, now_ms: u64) -> String {
        let is_called = function(&change.coordinate).is_some() || change.coordinate.contains('/');
        let subject = match change.reached_by.as_slice() {
            [] if is_called => "It was called".to_owned(),
            [] if change.coordinate.ends_with(":)") => "It was given".to_owned(),
            [] => "It was selected".to_owned(),
            [one] => format!("{one}, which clients come to it by, was called"),
            all => format!("The functions that clients come to it by ({}) were called", all.join(", ")),
        };
        let Used { count, last_ms } = self.of(change);
        let times = match count {
            // One that is held was begun before the days that are counted.
            0 if last_ms > 0 => return format!("{subject} before the last {USAGE_DAYS} days, and is still watched."),
            0 => return format!("{subject} by nobody in the last {USAGE_DAYS} days."),
            1 => "once".to_owned(),
            count => format!("{} times", thousands(count)),
        };
        format!("{subject} {times} in the last {USAGE_DAYS} days, last {}.", ago(now_ms.saturating_sub(last_ms)))
    }
}

/// The function that a coordinate of a root field names.
fn function(coordinate: &str) -> Option<&str> {
    let (root, field) = coordinate.split_once('.')?;
    (matches!(root, "Query" | "Mutation" | "Subscription") && !field.contains('(')).then_some(field)
}

/// `1,203`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `2 minutes ago`, with as much precision as counts have that are written every few seconds.
fn ago(ms: u64) -> String {
    let (number, unit) = match ms / 1_000 {
        0..60 => return "within a minute".to_owned(),
        seconds @ 60..3_600 => (seconds / 60, "minute"),
        seconds @ 3_600..86_400 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural} ago")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compatibility::{Level, Part};

    #[test]
    fn a_change_is_told_with_who_would_notice() {
        let mut usage = Usage::default();
        let day = |counts: &[(&str, u64, u64)]| UsageRecord {
            used: counts.iter().map(|(name, count, last_ms)| ((*name).to_owned(), (*count, *last_ms).into())).collect(),
        };
        usage.add(day(&[("Order.total", 1_200, 1_000), ("a", 1, 5_000), ("b", 2, 7_000), ("POST /pay", 1, 1)]));
        usage.add(day(&[("Order.total", 3, 80_000), ("Order.at", 0, 80_000), ("Query.a(n:)", 1_000_000, 80_000)]));
        let table = [
            ("Order.total", &[][..], "It was selected 1,203 times in the last 30 days, last 2 minutes ago."),
            ("Order.note", &[], "It was selected by nobody in the last 30 days."),
            ("Order.at", &[], "It was selected before the last 30 days, and is still watched."),
            ("Query.a", &[], "It was called once in the last 30 days, last 3 minutes ago."),
            ("Query.a(n:)", &[], "It was given 1,000,000 times in the last 30 days, last 2 minutes ago."),
            ("POST /pay", &[], "It was called once in the last 30 days, last 3 minutes ago."),
            (
                "OrderInput.n",
                &["a"],
                "a, which clients come to it by, was called once in the last 30 days, last 3 minutes ago.",
            ),
            (
                "OrderInput",
                &["a", "b"],
                "The functions that clients come to it by (a, b) were called 3 times in the last 30 days, last 3 minutes ago.",
            ),
        ];
        for (coordinate, reached_by, expected) in table {
            let change = Change {
                level: Level::Breaking,
                part: Part::Type,
                coordinate: coordinate.to_owned(),
                description: String::new(),
                reached_by: reached_by.iter().map(|name| (*name).to_owned()).collect(),
            };
            assert_eq!(usage.told(&change, 200_000), expected, "{coordinate}");
        }
    }

    #[test]
    fn times_are_told_as_people_do() {
        let table =
            [(0, "within a minute"), (60_000, "1 minute ago"), (7_200_000, "2 hours ago"), (90_000_000, "1 day ago")];
        for (ms, expected) in table {
            assert_eq!(ago(ms), expected);
        }
        assert_eq!([0, 999, 1_000, 12_345_678].map(thousands), ["0", "999", "1,000", "12,345,678"]);
    }
}

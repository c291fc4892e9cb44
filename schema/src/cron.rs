//! Times that come again and again, written as cron does: minute, hour, day of the month, month, day of the week, in UTC.
//!
//! The dialect is that of Vixie cron (crontab(5)): each field is `*` or a list of numbers and ranges, each with a step if
//! need be (`*/15`, `1-5`, `8-18/2`, `0,30`). Months and days of the week may be named (`jan`, `mon`), Sunday is 0 and 7.
//! Where neither day field starts with `*`, a day counts that fits either of them.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// The days of a schedule that come most seldom are those of the 29th of February, at most eight years apart. With a day
/// of the week besides, within 40 years.
const DAYS_LOOKED_AT: u32 = 41 * 366;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A schedule. A field is the set of its values, as bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day has to fit both day fields rather than either.
    both_days: bool,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// Too few or too many fields.
    #[error("a schedule has five fields, minute hour day month weekday, such as \"0 3 * * *\"; this one has {0}")]
    Fields(usize),
    /// One that cannot be read.
    #[error("{part:?} is no {field}: write *, {first}-{last}, a list such as {first},{last}, or a step such as */2")]
    Part {
        /// Which field.
        field: &'static str,
        /// What stands there.
        part: String,
        /// The least value.
        first: u32,
        /// The greatest value.
        last: u32,
    },
    /// No day fits.
    #[error("no day ever fits day of the month {days:?} and month {months:?}")]
    Never {
        /// The field of days.
        days: String,
        /// The field of months.
        months: String,
    },
}

/// What a field may hold.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, names: &[] },
    Field { name: "hour", first: 0, last: 23, names: &[] },
    Field { name: "day of the month", first: 1, last: 31, names: &[] },
    Field { name: "month", first: 1, last: 12, names: &MONTHS },
    Field { name: "day of the week", first: 0, last: 7, names: &WEEKDAYS },
];

impl Field {
    fn parse(&self, text: &str) -> Result<u64, BadSchedule> {
        text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part)?))
    }

    fn part(&self, part: &str) -> Result<u64, BadSchedule> {
        let Self { name, first, last, .. } = *self;
        let bad = || BadSchedule::Part { field: name, part: part.to_owned(), first, last };
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0).ok_or_else(bad)?)),
            None => (part, None),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (first, last),
            (_, Some((from, to))) => (self.value(from).ok_or_else(bad)?, self.value(to).ok_or_else(bad)?),
            // A step needs something to step through.
            (_, None) if step.is_some() => return Err(bad()),
            (_, None) => self.value(range).map(|value| (value, value)).ok_or_else(bad)?,
        };
        if from > to {
            return Err(bad());
        }
        let step = usize::try_from(step.unwrap_or(1)).map_err(|_| bad())?;
        Ok((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let lower = text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| *name == lower);
        let value = match named {
            Some(place) => u32::try_from(place).ok()? + self.first,
            None => number(text)?,
        };
        (self.first..=self.last).contains(&value).then_some(value)
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn has(bits: u64, value: impl Into<i32>) -> bool {
    bits >> value.into() & 1 == 1
}

impl Schedule {
    /// Reads a schedule. One that never comes is refused.
    pub fn parse(text: &str) -> Result<Self, BadSchedule> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(BadSchedule::Fields(fields.len()));
        };
        let [minute, hour, day, month, weekday] = &FIELDS;
        let week = weekday.parse(weekdays)?;
        let schedule = Self {
            text: fields.join(" "),
            minutes: minute.parse(minutes)?,
            hours: hour.parse(hours)?,
            days: day.parse(days)?,
            months: month.parse(months)?,
            // Sunday is 0 and 7.
            weekdays: week | week >> 7,
            both_days: days.starts_with('*') || weekdays.starts_with('*'),
        };
        match schedule.next_after(0) {
            Some(_) => Ok(schedule),
            None => Err(BadSchedule::Never { days: days.to_owned(), months: months.to_owned() }),
        }
    }

    /// The first time after another, both in milliseconds since 1970. `None` only past the year 9999.
    pub fn next_after(&self, ms: u64) -> Option<u64> {
        let start = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?.to_zoned(TimeZone::UTC);
        let (mut date, time) = (start.date(), start.time());
        let mut first = Some((time.hour(), time.minute()));
        for _ in 0..DAYS_LOOKED_AT {
            if self.fits(date)
                && let Some((hour, minute)) = self.time_after(first)
            {
                let next = date.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).ok()?;
                return u64::try_from(next.timestamp().as_millisecond()).ok();
            }
            date = date.checked_add(Span::new().days(1)).ok()?;
            first = None;
        }
        None
    }

    fn fits(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        has(self.months, date.month()) && if self.both_days { day && weekday } else { day || weekday }
    }

    /// The first hour and minute of a day, after some if there are any.
    fn time_after(&self, after: Option<(i8, i8)>) -> Option<(i8, i8)> {
        let hours = (0..24_i8).filter(|hour| has(self.hours, *hour));
        let mut times = hours
            .flat_map(|hour| (0..60_i8).filter(|minute| has(self.minutes, *minute)).map(move |minute| (hour, minute)));
        times.find(|time| after.is_none_or(|after| *time > after))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Schedule {
    type Error = BadSchedule;

    fn try_from(text: String) -> Result<Self, BadSchedule> {
        Self::parse(&text)
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.text
    }
}

#[cfg(test)]
#[path = "cron/tests.rs"]
mod tests;

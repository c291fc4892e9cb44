//! Schedules against tables, and against a look at each minute.

use proptest::prelude::*;

use super::*;
use crate::datetime;

fn ms(text: &str) -> u64 {
    let moment = datetime::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    u64::try_from(moment.seconds).unwrap_or_default() * 1_000 + u64::from(moment.nanoseconds / 1_000_000)
}

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_next_time_is_the_first_that_fits() {
    let table = [
        ("* * * * *", "2026-11-24T14:00:00Z", "2026-11-24T14:01:00Z"),
        ("* * * * *", "2026-11-24T14:00:59.999Z", "2026-11-24T14:01:00Z"),
        ("0 3 * * *", "2026-11-24T02:59:59Z", "2026-11-24T03:00:00Z"),
        ("0 3 * * *", "2026-11-24T03:00:00Z", "2026-11-25T03:00:00Z"),
        ("*/15 8-18/5 * * *", "2026-11-24T08:50:00Z", "2026-11-24T13:00:00Z"),
        ("5,35 * * * *", "2026-12-31T23:40:00Z", "2027-01-01T00:05:00Z"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
        ("0 9 * * mon-fri", "2026-11-27T10:00:00Z", "2026-11-30T09:00:00Z"),
        ("0 9 * JAN Sun", "2026-11-27T10:00:00Z", "2027-01-03T09:00:00Z"),
        ("0 9 * * 7", "2026-11-27T10:00:00Z", "2026-11-29T09:00:00Z"),
        // Either day field, where both are narrowed: Friday the 27th, before the 1st.
        ("0 0 1 * fri", "2026-11-24T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("0 0 13 * fri", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z"),
        // Both, where one begins with a star.
        ("0 0 */2 * fri", "2026-11-24T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("0 0 */2 * fri", "2026-11-27T00:00:00Z", "2026-12-11T00:00:00Z"),
    ];
    for (text, after, next) in table {
        assert_eq!(schedule(text).next_after(ms(after)), Some(ms(next)), "{text} after {after}");
    }
}

#[test]
fn what_is_no_schedule_is_explained() {
    let table = [
        ("", "has five fields"),
        ("* * * *", "this one has 4"),
        ("* * * * * *", "this one has 6"),
        ("@daily", "this one has 1"),
        ("60 * * * *", "\"60\" is no minute"),
        ("* 24 * * *", "is no hour"),
        ("* * 0 * *", "is no day of the month"),
        ("* * * 13 *", "is no month"),
        ("* * * * 8", "is no day of the week"),
        ("*/0 * * * *", "\"*/0\" is no minute"),
        ("5/10 * * * *", "\"5/10\" is no minute"),
        ("30-10 * * * *", "\"30-10\" is no minute"),
        ("1,,2 * * * *", "\"\" is no minute"),
        ("-1 * * * *", "is no minute"),
        ("+1 * * * *", "is no minute"),
        ("* * * foo *", "\"foo\" is no month"),
        ("jan * * * *", "is no minute"),
        ("99999999999 * * * *", "is no minute"),
        ("0 0 30 2 *", "no day ever fits"),
        ("0 0 31 4,6,9,11 *", "no day ever fits"),
    ];
    for (text, words) in table {
        let error = Schedule::parse(text).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(words), "{text:?}: {error}");
    }
}

#[test]
fn a_schedule_is_written_as_it_was_read() {
    let text = serde_json::to_string(&schedule(" 0  3 * * mon ")).unwrap_or_default();
    assert_eq!(text, "\"0 3 * * mon\"");
    assert_eq!(serde_json::from_str::<Schedule>(&text).ok(), Some(schedule("0 3 * * mon")));
}

/// A field with few enough values that the next time is within a few days.
fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        (first..=last).prop_map(|value| value.to_string()),
        (first..=last, first..=last).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        (first..=last, first..=last).prop_map(|(a, b)| format!("{a},{b}")),
        (1..=last).prop_map(|step| format!("*/{step}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_time_that_fits_is_skipped(
        minutes in field(0, 59), hours in field(0, 23), weekdays in field(0, 7), start in 0u64..4_000_000_000,
    ) {
        let schedule = schedule(&format!("{minutes} {hours} * * {weekdays}"));
        let next = schedule.next_after(start * 1_000).unwrap_or_default();
        // Every minute from the start on: none but the next fits.
        let mut minute = (start / 60 + 1) * 60;
        let fits = |seconds: u64| {
            let at = Timestamp::from_second(i64::try_from(seconds).unwrap_or_default());
            let at = at.unwrap_or_default().to_zoned(TimeZone::UTC);
            has(schedule.minutes, at.minute()) && has(schedule.hours, at.hour()) && schedule.fits(at.date())
        };
        while !fits(minute) {
            minute += 60;
        }
        prop_assert_eq!(next, minute * 1_000);
    }
}

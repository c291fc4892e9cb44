//! `view(fn, { keep })`: when a view's result is computed and kept.

use oxc::ast::ast::{Argument, Expression};
use oxc::span::GetSpan;
use weir_schema::declarations::Keep;

use super::literal;
use super::report::{File, Report, Reported};

/// The longest interval, in milliseconds: 366 days.
const EVERY_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;

/// Reads the options of a view.
pub(super) fn read<'a>(file: &File, options: &'a Argument<'a>, report: &Report) -> Result<Keep, Reported> {
    let Some(options) = literal::argument(options) else {
        return Err(report.error(file, options.span(), "the options must be written out here"));
    };
    let mut keep = Keep::default();
    for property in literal::properties(file, options, "the options of a view", report)? {
        if property.name != "keep" {
            let message = format!("a view has no option `{}`", property.name);
            return Err(report.error_with_help(file, property.span, message, "its option is keep"));
        }
        keep = policy(file, property.value, report)?;
    }
    Ok(keep)
}

fn policy<'a>(file: &File, value: &'a Expression<'a>, report: &Report) -> Result<Keep, Reported> {
    match literal::string(value) {
        Some("eager") => return Ok(Keep::Eager),
        Some("onDemand") => return Ok(Keep::OnDemand),
        _ => {}
    }
    let help = "write \"eager\", \"onDemand\" or { every: \"5m\" }";
    if let Expression::ObjectExpression(_) = value
        && let [every] = literal::properties(file, value, "the options of a view", report)?.as_slice()
        && every.name == "every"
    {
        let interval = literal::string(every.value).and_then(milliseconds);
        return interval.filter(|ms| (1..=EVERY_MS_MAX).contains(ms)).map(Keep::EveryMs).ok_or_else(|| {
            let help = "write a whole number and ms, s, m, h or d, such as \"5m\"; at most 366d";
            report.error_with_help(file, every.value.span(), "this is not an interval", help)
        });
    }
    Err(report.error_with_help(file, value.span(), "this is not a way to keep a view", help))
}

/// `250ms`, `30s`, `5m`, `1h`, `7d` in milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn intervals_are_numbers_with_a_unit() {
        let table = [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("7d", Some(604_800_000)),
            ("5", None),
            ("m", None),
            ("1.5h", None),
            ("5 m", None),
            ("99999999999999999999s", None),
        ];
        for (text, expected) in table {
            assert_eq!(milliseconds(text), expected, "{text:?}");
        }
    }
}

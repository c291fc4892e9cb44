//! `view(fn, { keep })`: when a view's result is computed and kept.

use oxc::ast::ast::{Argument, Expression};
use oxc::span::GetSpan;
use weir_schema::declarations::Keep;
use weir_schema::duration;

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
        let interval = literal::string(every.value).and_then(duration::parse_ms);
        return interval.filter(|ms| (1..=EVERY_MS_MAX).contains(ms)).map(Keep::EveryMs).ok_or_else(|| {
            let help = "write a whole number and ms, s, m, h or d, such as \"5m\"; at most 366d";
            report.error_with_help(file, every.value.span(), "this is not an interval", help)
        });
    }
    Err(report.error_with_help(file, value.span(), "this is not a way to keep a view", help))
}

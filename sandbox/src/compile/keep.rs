//! `view(fn, { keep })`: when a view's result is computed and kept.

use oxc::ast::ast::{Argument, Expression};
use oxc::span::GetSpan;
use weir_schema::cron::Schedule;
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
    let help = "write \"eager\", \"onDemand\", { every: \"5m\" } or { cron: \"0 3 * * *\" }";
    if let Expression::ObjectExpression(_) = value
        && let [property] = literal::properties(file, value, "the options of a view", report)?.as_slice()
    {
        match property.name {
            "every" => return every(file, property.value, report),
            "cron" => return cron(file, property.value, report),
            _ => {}
        }
    }
    Err(report.error_with_help(file, value.span(), "this is not a way to keep a view", help))
}

fn every<'a>(file: &File, value: &'a Expression<'a>, report: &Report) -> Result<Keep, Reported> {
    let interval = literal::string(value).and_then(duration::parse_ms);
    interval.filter(|ms| (1..=EVERY_MS_MAX).contains(ms)).map(Keep::EveryMs).ok_or_else(|| {
        let help = "write a whole number and ms, s, m, h or d, such as \"5m\"; at most 366d";
        report.error_with_help(file, value.span(), "this is not an interval", help)
    })
}

fn cron<'a>(file: &File, value: &'a Expression<'a>, report: &Report) -> Result<Keep, Reported> {
    let Some(text) = literal::string(value) else {
        let help = "write minute, hour, day of the month, month and day of the week, such as \"0 3 * * *\"";
        return Err(report.error_with_help(file, value.span(), "this is not a schedule", help));
    };
    Schedule::parse(text)
        .map(Box::new)
        .map(Keep::Cron)
        .map_err(|error| report.error(file, value.span(), error.to_string()))
}

//! `weir audit list`: what is on record, with what is sealed of it opened.

use std::io::{self, Write};

use clap::Args;
use weir_engine::control::log::{self, Page, Wanted};
use weir_schema::codec::audit::AuditRecord;
use weir_schema::datetime;

use crate::cli::Failure;
use crate::cli::place::PlaceArguments;
use crate::cli::progress::Bars;
use crate::cli::times::moment;
use crate::control::message::{AUDIT_PAGE_BYTES, AUDIT_PAGE_RECORDS, Request};

/// Nanoseconds of a millisecond.
const NANOSECONDS: u64 = 1_000_000;

/// The arguments of `weir audit list`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Records of this actor; for a caller with a token ["ISSUER","SUBJECT"].
    #[arg(long)]
    actor: Option<String>,
    /// Records of this kind, such as call, login or deploy.
    #[arg(long)]
    action: Option<String>,
    /// Records that have this among their targets.
    #[arg(long)]
    target: Option<String>,
    /// Records with this outcome, such as FORBIDDEN.
    #[arg(long)]
    outcome: Option<String>,
    /// From this time on, such as 2026-11-29T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    since: Option<u64>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = nanoseconds)]
    until: Option<u64>,
    /// As lines of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

fn nanoseconds(text: &str) -> Result<u64, String> {
    let no_time = || "write a time such as 2026-11-29T12:00:00Z".to_owned();
    let moment = datetime::parse(text).map_err(|_| no_time())?;
    let seconds = u64::try_from(moment.seconds).map_err(|_| no_time())?;
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(moment.nanoseconds)))
}

/// Asks the process that serves the folder, or reads it, page by page.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { actor, action, target, outcome, since, until, json, place } = arguments;
    let [actor, action, target, outcome] = [actor, action, target, outcome].map(Clone::clone);
    let wanted = Wanted { actor, action, target, outcome, since_ns: *since, until_ns: *until };
    let (folder, bars) = (place.folder()?, Bars::default());
    let mut after = 0;
    loop {
        let asked = folder.ask(&Request::Audit { wanted: wanted.clone(), after }, &bars)?;
        let Some(Page { records, next }) = asked else { break };
        if !show(&records, *json)? {
            return Ok(());
        }
        let Some(next) = next else { return Ok(()) };
        after = next;
    }
    // Nobody serves it, at least not any more.
    folder.alone(&bars, async |store| {
        loop {
            let page = log::page(store, &wanted, after, AUDIT_PAGE_RECORDS, AUDIT_PAGE_BYTES);
            let Page { records, next } = page.map_err(Failure::because)?;
            let goes_on = show(&records, *json)?;
            match next.filter(|_| goes_on) {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    })
}

/// Writes records. Whoever reads may have seen enough: then it is `false`.
fn show(records: &[AuditRecord], json: bool) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    for record in records {
        let line = if json { serde_json::to_string(record).map_err(Failure::because)? } else { line(record) };
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            written => written.map_err(|error| Failure::because(format!("the log cannot be written: {error}")))?,
        }
    }
    Ok(true)
}

fn line(record: &AuditRecord) -> String {
    let AuditRecord { number, timestamp, actor, action, targets, from, outcome, times, arguments, .. } = record;
    let mut line = format!("{number}  {}  {actor}  {action}", moment(timestamp.0 / NANOSECONDS));
    for target in targets {
        line.push(' ');
        line.push_str(target);
    }
    let parts = [
        arguments.clone(),
        from.as_ref().map(|from| format!("from {from}")),
        outcome.clone(),
        times.map(|times| format!("{times} times")),
    ];
    for part in parts.into_iter().flatten() {
        line.push_str("  ");
        line.push_str(&part);
    }
    // What others have written shall not look like lines of ours, nor steer a terminal.
    line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use weir_schema::commit::Timestamp;
    use weir_schema::digest::Digest;

    use super::*;

    #[test]
    fn a_record_is_a_line_whatever_is_in_it() {
        let mut record = AuditRecord {
            number: 7,
            previous: Digest::default(),
            commit: 9,
            timestamp: Timestamp(1_700_000_000_000_000_000),
            actor: "operator".to_owned(),
            action: "export".to_owned(),
            targets: vec!["a\nb".to_owned()],
            from: None,
            outcome: None,
            times: None,
            arguments: None,
            statement: None,
            sealed: None,
            about: None,
        };
        assert_eq!(line(&record), "7  2023-11-14T22:13:20.000Z  operator  export a b");
        record.from = Some("10.0.0.1".to_owned());
        record.outcome = Some("\u{1b}[2J".to_owned());
        record.times = Some(3);
        assert_eq!(line(&record), "7  2023-11-14T22:13:20.000Z  operator  export a b  from 10.0.0.1   [2J  3 times");
        assert_eq!(nanoseconds("1970-01-01T00:00:01.5Z"), Ok(1_500_000_000));
        assert!(nanoseconds("yesterday").is_err());
    }
}

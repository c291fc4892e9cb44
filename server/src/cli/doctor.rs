//! `weir doctor`: what is wrong with a data folder, and what keeps worker processes locked in on this machine.

mod sandbox;

use clap::Args;
use indicatif::HumanBytes;
use weir_store::Report;

use super::folder::{FolderArguments, count};
use super::progress::Bars;
use super::{Failure, logging};
use crate::control::message::Request;

/// The arguments of `weir doctor`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    folder: FolderArguments,
}

/// Looks at every record and prints what it finds. Then, whatever that was, at the sandbox, which can only be warned of:
/// it is no part of the data.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let looked = look_at_data(&arguments.folder);
    if looked.is_ok() {
        anstream::println!();
    }
    sandbox::look();
    looked
}

fn look_at_data(folder: &FolderArguments) -> Result<(), Failure> {
    let bars = Bars::default();
    let report = match folder.ask(&Request::Verify, &bars)? {
        Some(report) => report,
        None => folder.alone(&bars, async |store| store.verify(bars.watch()).await.map_err(Failure::because))?,
    };
    print(&report);
    if report.problem_count == 0 {
        return Ok(());
    }
    let found = count(report.problem_count, "problem");
    Err(Failure::because(format!("{found} found: restore the folder from a backup with `weir restore`")))
}

fn print(report: &Report) {
    let Report { format, head, collections, indexes, documents, index_entries, journal_entries, disk_bytes, .. } =
        report;
    anstream::println!("format {format}, commit {}, {} on disk", head.sequence, HumanBytes(*disk_bytes));
    let (collections, indexes) = (count(*collections, "collection"), format!("{indexes} indexes"));
    anstream::println!("{collections} with {}, {indexes}", count(*documents, "document"));
    anstream::println!("{index_entries} index entries, {journal_entries} journal entries");
    for problem in &report.problems {
        anstream::println!("problem: {problem}");
    }
    let told = report.problems.len() as u64;
    if report.problem_count > told {
        anstream::println!("and {} more", report.problem_count - told);
    } else if report.problem_count == 0 {
        anstream::println!("no problems");
    }
}

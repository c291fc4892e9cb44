//! `weir doctor`: what is wrong with a data folder, and what keeps worker processes locked in on this machine.

mod sandbox;

use clap::Args;
use indicatif::HumanBytes;
use weir_engine::control::inspection::{Inspected, inspect};
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
    let inspected = match folder.ask(&Request::Inspect, &bars)? {
        Some(inspected) => inspected,
        // How many signatures are asked for stands in the configuration of who serves.
        None => folder.alone(&bars, async |store| inspect(store, 1).map_err(Failure::because))?,
    };
    print(&report, &inspected);
    let (found, kept) = (report.problem_count, inspected.problem_count);
    match (found, kept) {
        (0, 0) => Ok(()),
        (0, kept) => Err(Failure::because(format!("{} found: each line says what to do", count(kept, "problem")))),
        (found, _) => {
            let found = count(found, "problem");
            Err(Failure::because(format!("{found} found: restore the folder from a backup with `weir restore`")))
        }
    }
}

fn print(report: &Report, inspected: &Inspected) {
    let Report { format, head, collections, indexes, documents, index_entries, journal_entries, disk_bytes, .. } =
        report;
    anstream::println!("format {format}, commit {}, {} on disk", head.sequence, HumanBytes(*disk_bytes));
    let (collections, indexes) = (count(*collections, "collection"), format!("{indexes} indexes"));
    anstream::println!("{collections} with {}, {indexes}", count(*documents, "document"));
    anstream::println!("{index_entries} index entries, {journal_entries} journal entries");
    if inspected.releases > 0 {
        let (releases, statements) = (count(inspected.releases, "release"), count(inspected.statements, "statement"));
        anstream::println!("{releases} with bundles, {statements} about rollouts");
    }
    for problem in report.problems.iter().chain(&inspected.problems) {
        anstream::println!("problem: {problem}");
    }
    let told = (report.problems.len() + inspected.problems.len()) as u64;
    let all = report.problem_count + inspected.problem_count;
    if all > told {
        anstream::println!("and {} more", all - told);
    } else if all == 0 {
        anstream::println!("no problems");
    }
    for remark in &inspected.remarks {
        anstream::println!("remark: {remark}");
    }
}

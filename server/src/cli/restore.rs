//! `weir restore BACKUP [--replace]`

use std::path::PathBuf;

use clap::Args;
use weir_engine::control::acts::Act;
use weir_store::{Existing, Restored, restore};

use super::folder::{FolderArguments, count, on_record, threads};
use super::progress::Bars;
use super::{Failure, logging};

/// The arguments of `weir restore`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder that `weir backup` has made.
    backup: PathBuf,
    /// Let a data folder that is there give way. It is kept under another name.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    folder: FolderArguments,
}

/// Verifies the backup and makes it the data folder.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let Arguments { backup, replace, folder } = arguments;
    let (data, options) = (folder.data(), folder.options()?);
    let existing = if *replace { Existing::Replace } else { Existing::Keep };
    let bars = Bars::default();
    let restored = threads()?.block_on(restore(backup, &data, existing, &options, bars.watch()));
    bars.clear();
    let Restored { head, report, kept } = restored.map_err(Failure::because)?;
    let from = backup.canonicalize().unwrap_or_else(|_| backup.clone()).display().to_string();
    let act = Act::on("restore", [from, format!("commit {}", head.sequence)]);
    folder.alone(&bars, async |store| on_record(store, act).await)?;
    let documents = count(report.documents, "document");
    anstream::println!("restored commit {} to {}: {documents}", head.sequence, data.display());
    if let Some(kept) = kept {
        anstream::println!("the data from before is kept in {}", kept.display());
    }
    Ok(())
}

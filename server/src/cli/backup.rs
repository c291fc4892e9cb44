//! `weir backup DIR`

use std::path::{self, PathBuf};

use clap::Args;
use indicatif::HumanBytes;

use super::folder::{FolderArguments, count, on_record};
use super::progress::Bars;
use super::{Failure, logging};
use crate::control::message::{BackedUp, Request};

/// The arguments of `weir backup`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of the backup: a new or an empty one.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    folder: FolderArguments,
}

/// Makes a backup and says what is in it.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let Arguments { to, folder } = arguments;
    let to = path::absolute(to).map_err(Failure::because)?;
    let bars = Bars::default();
    let done = match folder.ask(&Request::Backup { to: to.clone() }, &bars)? {
        Some(done) => done,
        None => folder.alone(&bars, async |store| {
            let manifest = store.backup(&to, bars.watch()).await.map_err(Failure::because)?;
            on_record(store, BackedUp::act(&to, manifest.sequence)).await?;
            Ok(BackedUp::from(&manifest))
        })?,
    };
    let BackedUp { sequence, files, bytes } = done;
    anstream::println!("backed up commit {sequence}: {}, {}", count(files, "file"), HumanBytes(bytes));
    Ok(())
}

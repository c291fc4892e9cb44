//! `weir export FILE`

use std::io;
use std::path::{self, Path, PathBuf};

use clap::Args;
use weir_store::Exported;

use super::folder::{FolderArguments, count, on_record};
use super::progress::Bars;
use super::{Failure, logging};
use crate::control::message::{self, Request};

/// The arguments of `weir export`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file: a new one. `-` is stdout, for a data folder that is not served.
    file: PathBuf,
    #[command(flatten)]
    folder: FolderArguments,
}

/// Writes the export and says what is in it.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let Arguments { file, folder } = arguments;
    let bars = Bars::default();
    if file == Path::new("-") {
        return folder.alone(&bars, async |store| {
            let done = store.export_to(io::stdout(), bars.watch()).await.map_err(Failure::because)?;
            on_record(store, message::exported(file, &done)).await
        });
    }
    let to = path::absolute(file).map_err(Failure::because)?;
    let exported = match folder.ask(&Request::Export { to: to.clone() }, &bars)? {
        Some(exported) => exported,
        None => folder.alone(&bars, async |store| {
            let done = store.export(&to, bars.watch()).await.map_err(Failure::because)?;
            on_record(store, message::exported(&to, &done)).await?;
            Ok(done)
        })?,
    };
    anstream::println!("exported commit {}: {}", exported.sequence, contents(&exported));
    Ok(())
}

/// `2 collections, 1 document`.
pub fn contents(exported: &Exported) -> String {
    format!("{}, {}", count(exported.collections(), "collection"), count(exported.documents(), "document"))
}

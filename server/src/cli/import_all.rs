//! `weir import FILE --all`
//!
//! The whole export is checked before anything is made of it, and the data folder is there when all of it is loaded.

use std::path::Path;

use weir_store::import_all;

use super::Failure;
use super::export::contents;
use super::folder::threads;
use super::progress::Bars;
use super::storage::StorageArguments;

/// Makes a data folder from an export and says what is in it.
pub fn run(file: &Path, storage: &StorageArguments, default: &Path) -> Result<(), Failure> {
    let (data, options) = (storage.folder(default), storage.options(default)?);
    let bars = Bars::default();
    let imported = threads()?.block_on(import_all(file, &data, &options, bars.watch()));
    bars.clear();
    let imported = imported.map_err(Failure::because)?;
    anstream::println!("imported into {}: {}", data.display(), contents(&imported));
    Ok(())
}

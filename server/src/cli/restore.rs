//! `weir restore BACKUP [--replace]`

use std::path::PathBuf;

use clap::Args;
use weir_engine::control::acts::Act;
use weir_engine::control::tenants;
use weir_store::{Existing, Restored, Store, restore_if};

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
    let belongs = |store: &Store| belongs(store, folder, existing);
    let restored = threads()?.block_on(restore_if(backup, &data, existing, &options, bars.watch(), belongs));
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

/// Whether a backup is of what it is to be: of this tenant or environment, or of what was in this folder.
fn belongs(store: &Store, folder: &FolderArguments, existing: Existing) -> Result<(), String> {
    let is_of = tenants::name_of(store).map_err(|error| error.to_string())?;
    let told = is_of.as_ref().map_or("a server's own app".to_owned(), |name| format!("the {}", name.told()));
    match (folder.instance(), &is_of) {
        (Some(wanted), is_of) if is_of.as_ref() != Some(&wanted) => Err(format!(
            "the backup is of {told}, and not of the {}: weir env copy makes one environment of another",
            wanted.told()
        )),
        // A folder that is there is that of a server, or it has the name of whose it is.
        (None, Some(name))
            if existing == Existing::Replace && folder.data().file_name() != Some(name.to_string().as_ref()) =>
        {
            Err(format!("the backup is of {told}: name that with --tenant and --env"))
        }
        _ => Ok(()),
    }
}

//! `weir encryption generate`: a new key. `weir encryption status`: which keys a data folder needs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use weir_store::encryption::{self, EncryptionStatus};
use weir_store::keys::{KeyId, KeyRing};

use super::folder::count;
use super::storage::StorageArguments;
use super::{Failure, default_data};
use crate::tenants::folder::sealed_by;

/// The arguments of `weir encryption`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a new key, as the line to add to the file of keys; its number follows on those of --encryption-keys.
    Generate(Folder),
    /// Say which keys the files of a data folder need. It works while the folder is in use, and without keys.
    Status(Folder),
}

#[derive(Debug, Args)]
struct Folder {
    /// The app folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    app: PathBuf,
    #[command(flatten)]
    storage: StorageArguments,
}

/// Prints what was asked for on stdout.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Generate(Folder { app, storage }) => {
            let before = storage.keys_to_extend(&default_data(&app))?;
            let line = KeyRing::generate(before.as_ref())
                .map_err(|error| Failure::because(format!("the file of keys {error}")))?;
            anstream::println!("{}", *line);
        }
        Command::Status(Folder { app, storage }) => {
            let default = default_data(&app);
            let folder = storage.folder(&default);
            if !folder.join("FORMAT").is_file() {
                return Err(Failure::because(format!(
                    "{} is no data folder: name another with --data",
                    folder.display()
                )));
            }
            let ring = storage.keys(&default)?;
            let status = encryption::status(&folder, ring.as_ref())
                .map_err(|error| Failure::because(format!("{}: {error}", folder.display())))?;
            match status {
                Some(status) => print(&status, ring.as_ref(), &sealed_by(&folder).map_err(Failure::because)?),
                None => anstream::println!("not encrypted"),
            }
        }
    }
    Ok(())
}

fn print(status: &EncryptionStatus, ring: Option<&KeyRing>, sealed: &BTreeMap<KeyId, u64>) {
    anstream::println!("encrypted with {}", status.cipher);
    for key in &status.keys {
        let note = match ring {
            Some(_) if !key.is_held => ", missing from the given keys",
            Some(ring) if ring.active() == key.id => ", new files use it",
            Some(_) if status.is_removable(key.id) && !sealed.contains_key(&key.id) => {
                ", not needed any more but by backups"
            }
            _ => "",
        };
        anstream::println!("key {}: {} files, {} bytes{note}", key.id, key.files, key.bytes);
    }
    for (key, tenants) in sealed {
        let told = count(*tenants, "data folder");
        anstream::println!("key {key}: the keys of {told} of tenants and environments are sealed by it");
    }
    if status.unattributed_files > 0 {
        anstream::println!("{} files do not say which key they need", status.unattributed_files);
    }
    for remark in &status.remarks {
        anstream::println!("{remark}");
    }
}

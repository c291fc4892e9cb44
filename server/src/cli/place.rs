//! The arguments of commands on what `weir serve` serves: its data folder, named or by its configuration.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::folder::FolderArguments;
use super::storage::StorageArguments;
use crate::config::{self, Config};

/// To be flattened into the arguments of a command.
#[derive(Debug, Args)]
pub struct PlaceArguments {
    /// The data folder. [default: that of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration of the server. [default: weir.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PlaceArguments {
    /// The data folder, for who asks the process that serves it or opens it.
    pub fn folder(&self) -> Result<FolderArguments, Failure> {
        let server = Config::find(self.config.as_deref()).map_err(Failure::because)?.server;
        let data = self.data.clone().or(server.data).ok_or_else(no_data)?;
        Ok(FolderArguments::at(StorageArguments::of(Some(data), server.encryption_keys)))
    }
}

/// Nobody has said where the data is.
pub fn no_data() -> Failure {
    Failure::because(format!("name the data folder: with --data, or as data in [server] of {}", config::FILE))
}

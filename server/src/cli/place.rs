//! The arguments of commands on what `weir serve` serves: its data folder, named or by its configuration, one of its tenants, and an
//! environment of the app.

use std::path::PathBuf;

use clap::Args;
use weir_schema::tenant::{EnvironmentName, TenantName};

use super::Failure;
use super::folder::{FolderArguments, Which, which};
use super::storage::StorageArguments;
use crate::config::{self, Config};

/// To be flattened into the arguments of a command on a server or one of its tenants.
#[derive(Debug, Args)]
pub struct PlaceArguments {
    #[command(flatten)]
    server: ServerPlace,
    /// One of its tenants.
    #[arg(long, value_name = "NAME")]
    tenant: Option<TenantName>,
    /// One of the environments of the app (weir env list). [default: production, the app itself]
    #[arg(long, value_name = "NAME", value_parser = which)]
    env: Option<Which>,
}

/// To be flattened into the arguments of a command on a server.
#[derive(Debug, Args)]
pub struct ServerPlace {
    /// The data folder. [default: that of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration of the server. [default: weir.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PlaceArguments {
    /// Which of its tenants; `None`: the server itself.
    pub fn tenant(&self) -> Option<&TenantName> {
        self.tenant.as_ref()
    }

    /// Which environment; `None`: the app itself.
    pub fn env(&self) -> Option<&EnvironmentName> {
        self.env.as_ref().and_then(|Which(env)| env.as_ref())
    }

    /// How many signatures of a bundle the server asks for.
    pub fn signatures(&self) -> Result<usize, Failure> {
        Ok(self.server.config()?.releases.signatures)
    }

    /// The data folder, for who asks the process that serves it or opens it.
    pub fn folder(&self) -> Result<FolderArguments, Failure> {
        Ok(self.server.folder()?.of(self.tenant.clone(), self.env().cloned()))
    }
}

impl ServerPlace {
    /// The same of the server itself.
    pub fn folder(&self) -> Result<FolderArguments, Failure> {
        let server = self.config()?.server;
        let data = self.data.clone().or(server.data).ok_or_else(no_data)?;
        Ok(FolderArguments::at(StorageArguments::of(Some(data), server.encryption_keys)))
    }

    /// Tenants that there may be.
    pub fn tenants_max(&self) -> Result<usize, Failure> {
        Ok(self.config()?.tenants.max)
    }

    /// Environments that an app may have.
    pub fn environments_max(&self) -> Result<usize, Failure> {
        Ok(self.config()?.environments.max)
    }

    fn config(&self) -> Result<Config, Failure> {
        Config::find(self.config.as_deref()).map_err(Failure::because)
    }
}

/// Nobody has said where the data is.
pub fn no_data() -> Failure {
    Failure::because(format!("name the data folder: with --data, or as data in [server] of {}", config::FILE))
}

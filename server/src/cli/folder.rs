//! What the commands on a data folder have in common: which one it is, and who does what is to be done.
//!
//! A folder is open in one process. If that one serves, it is asked; otherwise the command opens the folder itself.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::DeserializeOwned;
use tokio::runtime::{self, Runtime};
use weir_engine::control::Actor;
use weir_engine::control::acts::{self, Act};
use weir_schema::tenant::{BadEnvironmentName, EnvironmentName, InstanceName, PRODUCTION, TenantName};
use weir_store::keys::KeyRing;
use weir_store::{Options, Store, is_data_folder};

use super::progress::Bars;
use super::storage::StorageArguments;
use super::{Failure, default_data};
use crate::control::message::Request;
use crate::control::{AskError, ask};
use crate::tenants::folder::InstanceFolder;

/// To be flattened into the arguments of a command.
#[derive(Debug, Args)]
pub struct FolderArguments {
    /// The app folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    app: PathBuf,
    /// A tenant: its data folder in that of the server is meant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<TenantName>,
    /// An environment of the app: its data folder in that of the server is meant.
    #[arg(long, value_name = "NAME", value_parser = which)]
    env: Option<Which>,
    #[command(flatten)]
    storage: StorageArguments,
}

/// Which environment of an app; `None` in it: `production`, the app itself.
#[derive(Debug, Clone)]
pub struct Which(pub Option<EnvironmentName>);

/// Reads the name of an environment, or `production`.
pub fn which(text: &str) -> Result<Which, BadEnvironmentName> {
    match text {
        PRODUCTION => Ok(Which(None)),
        name => name.parse().map(Some).map(Which),
    }
}

impl FolderArguments {
    /// A data folder that was found otherwise.
    pub fn at(storage: StorageArguments) -> Self {
        Self { app: PathBuf::from("."), tenant: None, env: None, storage }
    }

    /// That of a tenant, of an environment or of both, in this one of a server.
    pub fn of(self, tenant: Option<TenantName>, env: Option<EnvironmentName>) -> Self {
        Self { tenant, env: Some(Which(env)), ..self }
    }

    /// Which of those in the data folder of a server; `None`: that one itself.
    pub fn instance(&self) -> Option<InstanceName> {
        match (&self.tenant, &self.env) {
            (tenant, Some(Which(Some(env)))) => Some(InstanceName::environment(tenant.clone(), env.clone())),
            (tenant, Some(Which(None)) | None) => tenant.clone().map(InstanceName::Tenant),
        }
    }

    /// The app folder.
    pub fn app(&self) -> &Path {
        &self.app
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        let data = self.storage.folder(&default_data(&self.app));
        self.instance().map_or(data.clone(), |name| InstanceFolder::of(&data, &name).path().to_owned())
    }

    /// The keys of the server.
    pub fn ring(&self) -> Result<Option<KeyRing>, Failure> {
        self.storage.keys(&default_data(&self.app))
    }

    /// What its store is opened with.
    pub fn options(&self) -> Result<Options, Failure> {
        let Some(name) = self.instance() else { return self.storage.options(&default_data(&self.app)) };
        let folder = InstanceFolder::of(&self.storage.folder(&default_data(&self.app)), &name);
        folder.options(self.ring()?.as_ref()).map_err(Failure::because)
    }

    /// Asks the process that serves the folder; `None` if there is none.
    pub fn ask<T: DeserializeOwned>(&self, request: &Request, bars: &Bars) -> Result<Option<T>, Failure> {
        let answer = ask(&self.data(), request, |progress| bars.show(progress));
        bars.clear();
        let outcome = answer.map_err(Failure::because)?;
        outcome.map(serde_json::from_value).transpose().map_err(|_| Failure::because(AskError::NoAnswer))
    }

    /// Opens the store, which has to be there, and closes it after `run`.
    pub fn alone<T>(&self, bars: &Bars, run: impl AsyncFnOnce(&Store) -> Result<T, Failure>) -> Result<T, Failure> {
        let data = self.data();
        if !is_data_folder(&data) {
            let reason = match self.instance() {
                None => format!("{} is not a data folder: name one with --data, or its app with --app", data.display()),
                Some(name) => format!(
                    "there is no {} in {}: {} shows those that there are",
                    name.told(),
                    self.storage.folder(&default_data(&self.app)).display(),
                    name.list_command(),
                ),
            };
            return Err(Failure::because(reason));
        }
        let store = Store::open(&data, self.options()?).map_err(Failure::because)?;
        threads()?.block_on(async {
            let done = run(&store).await;
            bars.clear();
            store.close().await;
            done
        })
    }
}

/// Has it on record that whoever operates has done something.
pub async fn on_record(store: &Store, act: Act) -> Result<(), Failure> {
    acts::record(store, &Actor::operator(), &act).await.map_err(Failure::because)
}

/// What waits for the store, which has threads of its own.
pub fn threads() -> Result<Runtime, Failure> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because(format!("cannot start threads: {error}")))
}

/// `1 file`, `2 files`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

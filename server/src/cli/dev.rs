//! `weir dev [APP]`: serves an app while it is being written.
//!
//! The folder is watched. A change that compiles becomes the active release; one that does not is explained on stderr
//! and the last good release goes on serving.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use weir_engine::Engine;
use weir_engine::engine::{ActivateError, RESULTS_BYTES_MAX, Runs};
use weir_sandbox::compile::Sources;

use super::build::{BuildError, build, print_mistakes, summary};
use super::check::load_failure;
use super::listening::{Listening, ListeningArguments};
use super::secrets::SecretsArguments;
use super::serving::{Announce, Open, Plan};
use super::storage::StorageArguments;
use super::watch::FolderWatch;
use super::{Failure, default_data, logging, memory, runtime, types};
use crate::auth::Tokens;
use crate::auth::mint::DevKey;
use crate::auth::remote::Outside;
use crate::auth::verify::Issuers;
use crate::config::{Config, Isolation, LoadSection};
use crate::http::ServerOptions;

/// The arguments of `weir dev`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The app folder.
    #[arg(default_value = ".")]
    app: PathBuf,
    #[command(flatten)]
    listening: ListeningArguments,
    /// Where functions run: on threads of the server, or in worker processes that are locked down and can be killed.
    #[arg(long, value_enum, default_value_t = Isolation::Thread)]
    isolation: Isolation,
    /// How much memory kept results of queries and views may take, roughly, in MiB; those with subscribers stay.
    #[arg(long, value_name = "MIB", default_value_t = RESULTS_BYTES_MAX >> 20)]
    results_mib: usize,
    /// Run only documents that were pushed (weir documents push), and those that ask for the schema.
    #[arg(long)]
    trusted_documents: bool,
    #[command(flatten)]
    storage: StorageArguments,
    #[command(flatten)]
    secrets: SecretsArguments,
    /// A weir.toml, of which [[issuer]] and [tokens] are read: whose tokens are taken besides those of weir token.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Serves until SIGTERM or Ctrl-C.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    memory::give_back();
    logging::start();
    let runtime = runtime()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { app: folder, listening, isolation, results_mib, trusted_documents, storage, secrets, config } =
        arguments;
    let config = config.map(|file| Config::read(&file)).transpose().map_err(Failure::because)?.unwrap_or_default();
    let sources = Sources::read(&folder).map_err(Failure::because)?;
    let listening = Listening::from(listening);
    let origins = listening.origins();
    let (default_data, runs) = (default_data(&folder), Runs::Anything);
    let (load, recording) = (LoadSection::patient(), config.audit.recording());
    let plan = Plan {
        listening,
        storage,
        default_data,
        secrets,
        isolation,
        results_mib,
        runs,
        load,
        recording,
        signatures: 1,
        tenants: None,
    };
    let open = Open::open(plan).await?;
    if let Err(error) = types::write(&folder) {
        tracing::warn!("cannot write the editor's types into {}: {error}", folder.display());
    }
    let tokens = tokens(&config, &open.data)?;
    let watch = FolderWatch::start(&folder)
        .map_err(|error| Failure::because(format!("cannot watch {}: {error}", folder.display())))?;
    let reloading = tokio::spawn(keep_up(open.engine.clone(), folder, sources, watch));
    let options = ServerOptions { origins, trusted_documents, ..ServerOptions::default() };
    open.serve(options, tokens, Announce::WhenServed, Some(reloading)).await
}

/// Those of the configuration, and those that `weir token` makes with the key of the data folder.
fn tokens(config: &Config, data: &Path) -> Result<Tokens, Failure> {
    let mut issuers = Issuers::new(&config.issuer, &config.tokens, &Outside::real()).map_err(Failure::because)?;
    let key = DevKey::open_or_make(data).map_err(Failure::because)?;
    issuers.and_own(&DevKey::issuer(), key.keys());
    Ok(Tokens { issuers, remembered: config.tokens.remembered })
}

/// Makes each change of the folder the active release, if it can be one.
async fn keep_up(engine: Engine, folder: PathBuf, mut sources: Sources, mut watch: FolderWatch) {
    let mut tried: Option<Sources> = None;
    loop {
        if tried.as_ref() != Some(&sources) {
            let has_release = engine.releases().borrow().is_some();
            if let Err(reason) = reload(&engine, sources.clone()).await {
                explain(&reason, has_release);
            }
            tried = Some(sources.clone());
        }
        watch.changed().await;
        match read(&folder).await {
            Ok(read) => sources = read,
            Err(error) => anstream::eprintln!("weir: {error}"),
        }
    }
}

async fn read(folder: &Path) -> Result<Sources, ReloadError> {
    let folder = folder.to_owned();
    let reading = tokio::task::spawn_blocking(move || Sources::read(&folder));
    Ok(reading.await?.map_err(BuildError::from)?)
}

/// Why a change did not become the active release.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Activate(#[from] ActivateError),
    #[error("the compiler stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

async fn reload(engine: &Engine, sources: Sources) -> Result<(), ReloadError> {
    let started = Instant::now();
    let built = tokio::task::spawn_blocking(move || build(&sources)).await??;
    let summary = summary(&built.app);
    engine.activate(built.app).await?;
    tracing::info!("{summary}, live in {} ms", started.elapsed().as_millis());
    Ok(())
}

fn explain(error: &ReloadError, has_release: bool) {
    match error {
        ReloadError::Build(BuildError::Mistakes(mistakes))
        | ReloadError::Activate(ActivateError::Policies(mistakes)) => print_mistakes(mistakes),
        ReloadError::Activate(ActivateError::Load(error)) => anstream::eprintln!("weir: {}", load_failure(error)),
        other => anstream::eprintln!("weir: {other}"),
    }
    let state = if has_release { "the last good release goes on serving" } else { "waiting for a change" };
    anstream::eprintln!("weir: {state}");
}

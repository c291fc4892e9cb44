//! `weir dev [APP]`: serves an app while it is being written.
//!
//! The folder is watched. A change that compiles becomes the active release; one that does not is explained on stderr
//! and the last good release goes on serving.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use weir_engine::Engine;
use weir_engine::engine::{ActivateError, RESULTS_BYTES_MAX};
use weir_engine::jobs::Scheduler;
use weir_sandbox::compile::Sources;
use weir_sandbox::pool::{self, PoolOptions};

use super::build::{BuildError, build, print_mistakes, summary};
use super::check::load_failure;
use super::listening::ListeningArguments;
use super::rotation::Rotation;
use super::secrets::SecretsArguments;
use super::storage::StorageArguments;
use super::watch::FolderWatch;
use super::{Failure, default_data, logging, memory, runtime, types};
use crate::control::Control;
use crate::http::{Server, ServerOptions};

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
}

/// Where functions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Isolation {
    /// On threads of the server: for those who trust their own code.
    Thread,
    /// In worker processes.
    Process,
}

impl From<Isolation> for pool::Isolation {
    fn from(isolation: Isolation) -> Self {
        match isolation {
            Isolation::Thread => Self::Thread,
            Isolation::Process => Self::Process,
        }
    }
}

/// Serves until SIGTERM or Ctrl-C.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    memory::give_back();
    logging::start();
    let runtime = runtime()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { app: folder, listening, isolation, results_mib, trusted_documents, storage, secrets } = arguments;
    let sources = Sources::read(&folder).map_err(Failure::because)?;
    let tls = listening.tls()?;
    let listener = listening.bind().await?;
    let address = listener.local_addr().map_err(Failure::because)?;
    let data = default_data(&folder);
    let secrets = secrets.read(&storage.folder(&data))?;
    let store = storage.open(&data)?;
    let data_folder = storage.folder(&data);
    let rotation = Rotation::start(store.clone(), storage, data).await?;
    if let Err(error) = types::write(&folder) {
        tracing::warn!("cannot write the editor's types into {}: {error}", folder.display());
    }
    let pool = PoolOptions { isolation: isolation.into(), ..PoolOptions::default() };
    let engine = Engine::start_with(store.clone(), pool, secrets, results_mib.saturating_mul(1 << 20))
        .map_err(Failure::because)?;
    let control = Control::start(store, engine.clone(), &data_folder).map_err(|error| {
        Failure::because(format!("cannot listen for commands in {}: {error}", data_folder.display()))
    })?;
    let watch = FolderWatch::start(&folder)
        .map_err(|error| Failure::because(format!("cannot watch {}: {error}", folder.display())))?;
    let jobs = Scheduler::start(engine.clone(), engine.clock().clone());
    let options = ServerOptions { origins: listening.origins(), trusted_documents, ..ServerOptions::default() };
    let mut server = Server::start(engine.clone(), options);
    let mut scheme = "http";
    if let Some(tls) = tls {
        (server, scheme) = (server.with_tls(tls), "https");
    }
    let ready = server.ready();
    let announcing = tokio::spawn(async move {
        ready.await;
        anstream::println!("listening on {scheme}://{address}");
        tracing::info!("GraphiQL: {scheme}://{address}/graphiql");
    });
    let reloading = tokio::spawn(keep_up(engine.clone(), folder, sources, watch));
    let served = server.serve(listener, stop_signal()).await;
    announcing.abort();
    reloading.abort();
    control.stop().await;
    jobs.stop().await;
    rotation.stop().await;
    engine.close().await;
    served.map_err(|error| Failure::because(format!("the server stopped: {error}")))
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
        ReloadError::Build(BuildError::Mistakes(mistakes)) => print_mistakes(mistakes),
        ReloadError::Activate(ActivateError::Load(error)) => anstream::eprintln!("weir: {}", load_failure(error)),
        other => anstream::eprintln!("weir: {other}"),
    }
    let state = if has_release { "the last good release goes on serving" } else { "waiting for a change" };
    anstream::eprintln!("weir: {state}");
}

/// Done on SIGTERM or Ctrl-C.
async fn stop_signal() {
    let interrupted = async {
        // Without a handler there is nothing to wait for: then only SIGTERM stops it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}

//! What `weir dev` and `weir serve` have in common: everything that is open while something is served, and the order in which it
//! is opened and closed. What is served, and from where it comes, is for the commands.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use weir_engine::Engine;
use weir_engine::control::acts::Act;
use weir_engine::engine::Runs;
use weir_engine::fetch::Reach;
use weir_engine::jobs::Scheduler;
use weir_engine::recording::Recording;
use weir_engine::secrets::Secrets;
use weir_sandbox::pool::PoolOptions;
use weir_schema::tenant::InstanceName;
use weir_store::keys::KeyRing;

use super::folder::on_record;
use super::listening::Listening;
use super::rotation::Rotation;
use super::secrets::SecretsArguments;
use super::storage::StorageArguments;
use super::{Failure, core_files, secrets};
use crate::auth::Tokens;
use crate::config::{EnvironmentsSection, Isolation, LoadSection, TenantsSection};
use crate::control::Control;
use crate::http::tls::Tls;
use crate::http::{Server, ServerOptions};
use crate::tenants::{Allowance, Setup, Slot, Tenants};

/// What a command has made of its arguments.
pub struct Plan {
    /// Where.
    pub listening: Listening,
    /// Where the data is.
    pub storage: StorageArguments,
    /// The data folder where `storage` names none.
    pub default_data: PathBuf,
    /// What actions may know.
    pub secrets: SecretsArguments,
    /// Where functions run.
    pub isolation: Isolation,
    /// How much memory kept results may take, in MiB.
    pub results_mib: usize,
    /// Which apps may become active.
    pub runs: Runs,
    /// How long calls wait, and how many.
    pub load: LoadSection,
    /// Which calls are on record.
    pub recording: Recording,
    /// How many keys have to have signed a bundle.
    pub signatures: usize,
    /// Who else is served, tenants and environments; `None`: nobody ever.
    pub tenants: Option<(TenantsSection, EnvironmentsSection)>,
}

/// When the line is printed that says where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    /// When a release is served.
    WhenServed,
    /// At once: a release may come by the server itself.
    AtOnce,
}

/// All that is open.
pub struct Open {
    /// Runs what is served.
    pub engine: Engine,
    /// The data folder.
    pub data: PathBuf,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    rotation: Rotation,
    control: Control,
    jobs: Scheduler,
    slot: Slot,
    tenants: Option<Setup>,
}

impl Open {
    /// Opens everything: the port first, which is the likeliest to be taken.
    pub async fn open(plan: Plan) -> Result<Self, Failure> {
        let Plan {
            listening,
            storage,
            default_data,
            secrets,
            isolation,
            results_mib,
            runs,
            load,
            recording,
            signatures,
            tenants,
        } = plan;
        core_files::forbid();
        let tls = listening.tls()?;
        let listener = listening.bind().await?;
        let address = listener.local_addr().map_err(Failure::because)?;
        let data = storage.folder(&default_data);
        let secrets = secrets.read(&data)?;
        let store = storage.open(&default_data)?;
        let (slot, ring) = (Slot::default(), storage.keys(&default_data)?);
        let rotation = Rotation::start(store.clone(), storage, default_data).await?;
        let LoadSection { wait, waiting, waiting_caller } = load;
        let pool = PoolOptions {
            isolation: isolation.into(),
            wait_max: wait,
            queue_max: waiting,
            queue_share_max: waiting_caller,
            ..PoolOptions::default()
        };
        let results_bytes = results_mib.saturating_mul(1 << 20);
        let named: Vec<String> = secrets.names().map(ToString::to_string).collect();
        if !named.is_empty() {
            on_record(&store, Act::on("useSecrets", named)).await?;
        }
        let tenants = tenants.map(|sections| setup(sections, &pool, &data, ring, recording, signatures));
        let engine = Engine::start_with(store.clone(), pool, Some(secrets), results_bytes, runs);
        let engine = engine.map_err(Failure::because)?;
        engine.have_on_record(recording);
        engine.ask_for_signatures(signatures);
        let control = Control::start(store, engine.clone(), &data, slot.clone())
            .map_err(|error| Failure::because(format!("cannot listen for commands in {}: {error}", data.display())))?;
        let jobs = Scheduler::start(engine.clone(), engine.clock().clone());
        Ok(Self { engine, data, listener, address, tls, rotation, control, jobs, slot, tenants })
    }

    /// Closes everything, where nothing is served after all.
    pub async fn close(self) {
        close(self.engine, self.control, self.jobs, self.rotation).await;
    }

    /// Serves until SIGTERM or Ctrl-C, and closes everything. What runs `alongside` ends then too.
    pub async fn serve(
        self,
        options: ServerOptions,
        tokens: Tokens,
        announce: Announce,
        alongside: Option<JoinHandle<()>>,
    ) -> Result<(), Failure> {
        let Self { engine, listener, address, tls, mut rotation, control, jobs, slot, tenants, .. } = self;
        let has_editor = options.graphiql;
        let mut server = Server::start_with(engine.clone(), options, tokens);
        let mut scheme = "http";
        if let Some(tls) = tls {
            (server, scheme) = (server.with_tls(tls), "https");
        }
        if let Some(setup) = tenants {
            match Tenants::start(setup, server.gateway().clone()).await {
                Ok(tenants) => {
                    slot.set(&tenants);
                    server = server.with_tenants(tenants);
                }
                Err(error) => {
                    close(engine, control, jobs, rotation).await;
                    return Err(Failure::because(error));
                }
            }
        }
        rotation.follow(slot);
        let (ready, stop) = (server.ready(), stop_signal());
        let announcing = tokio::spawn(async move {
            if announce == Announce::WhenServed {
                ready.await;
            }
            anstream::println!("listening on {scheme}://{address}");
            if has_editor {
                tracing::info!("GraphiQL: {scheme}://{address}/graphiql");
            }
        });
        let served = server.serve(listener, stop).await;
        announcing.abort();
        if let Some(task) = alongside {
            task.abort();
        }
        close(engine, control, jobs, rotation).await;
        served.map_err(|error| Failure::because(format!("the server stopped: {error}")))
    }
}

/// What tenants and environments are opened with.
fn setup(
    (tenants, environments): (TenantsSection, EnvironmentsSection),
    pool: &PoolOptions,
    data: &Path,
    ring: Option<KeyRing>,
    recording: Recording,
    signatures: usize,
) -> Setup {
    let TenantsSection { max, isolates, results_mib, secrets: of_tenants, fetch_addresses } = tenants;
    let allowance = |max, isolates, results_mib: usize| Allowance {
        max,
        pool: PoolOptions { isolates, ..pool.clone() },
        results_bytes: results_mib.saturating_mul(1 << 20),
    };
    let tenants = allowance(max, isolates, results_mib);
    let EnvironmentsSection { max, isolates, results_mib, secrets: of_environments, domain } = environments;
    let environments = allowance(max, isolates, results_mib);
    let server = data.to_owned();
    let secrets = move |name: &InstanceName| {
        let folder = if name.environment_name().is_some() { &of_environments } else { &of_tenants };
        match folder {
            // The names of both are never the same, so that one folder may have all of them.
            Some(folder) => {
                secrets::of_tenant(&folder.join(name.to_string()), &server).map_err(|error| error.to_string())
            }
            None => Ok(Secrets::default()),
        }
    };
    Setup {
        data: data.to_owned(),
        ring,
        tenants,
        environments,
        domain,
        secrets: Box::new(secrets),
        recording,
        signatures,
        reach: Reach::Within(fetch_addresses.into()),
    }
}

/// The store last: all others use it.
async fn close(engine: Engine, control: Control, jobs: Scheduler, rotation: Rotation) {
    control.stop().await;
    jobs.stop().await;
    rotation.stop().await;
    engine.close().await;
}

/// Done on SIGTERM or Ctrl-C, which count from the call on: whoever has read where the server listens may stop it at once.
#[cfg(unix)]
fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Without a handler there is nothing to wait for.
    async fn received(signal: io::Result<Signal>) {
        match signal {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    }
    let (interrupted, terminated) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        tokio::select! {
            () = received(interrupted) => {}
            () = received(terminated) => {}
        }
    }
}

/// Done on Ctrl-C.
#[cfg(not(unix))]
async fn stop_signal() {
    // Without a handler there is nothing to wait for.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

//! `weir serve`: serves what was deployed.
//!
//! Rule: nothing runs here that nobody has signed, and who shows no token is nobody in particular.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use weir_engine::call::Caller;
use weir_engine::control::administrators;
use weir_engine::engine::Runs;
use weir_store::Store;

use super::listening::Listening;
use super::place::no_data;
use super::secrets::SecretsArguments;
use super::serving::{Announce, Open, Plan};
use super::storage::StorageArguments;
use super::{Failure, logging, memory, runtime};
use crate::auth::Tokens;
use crate::auth::remote::Outside;
use crate::auth::verify::Issuers;
use crate::config::{Config, Isolation, ServerSection};
use crate::graphql::schema::servable;
use crate::http::ServerOptions;
use crate::http::tls::TlsFiles;

/// What is said before the first release.
const NOTHING_DEPLOYED: &str = "nothing is deployed yet: weir deploy APP";
/// What is said where the one that is kept may not run.
const NOT_SERVED: &str = "what was deployed is not served, the log of the server says why: deploy again";
/// The name of the first administrator.
const FIRST_ADMINISTRATOR: &str = "root";

/// The arguments of `weir serve`. What they say counts more than what the configuration says.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration. [default: weir.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen; port 0 picks a free one. [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where functions run: in worker processes that are locked down and can be killed, or on threads of the server.
    /// [default: process]
    #[arg(long, value_enum)]
    isolation: Option<Isolation>,
    /// Make the first administrator and print the token, once. Refused where there is one already.
    #[arg(long)]
    bootstrap: bool,
}

/// Serves until SIGTERM or Ctrl-C.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    memory::give_back();
    logging::start();
    let config = configuration(&arguments)?;
    let runtime = runtime()?;
    runtime.block_on(serve(config, arguments.bootstrap))
}

/// The configuration with what the command line changes of it.
fn configuration(arguments: &Arguments) -> Result<Config, Failure> {
    let mut config = Config::find(arguments.config.as_deref()).map_err(Failure::because)?;
    let Arguments { listen, data, isolation, .. } = arguments;
    let server = &mut config.server;
    server.listen = listen.unwrap_or(server.listen);
    server.data = data.clone().or(server.data.take());
    server.isolation = isolation.unwrap_or(server.isolation);
    Ok(config)
}

async fn serve(config: Config, is_bootstrap: bool) -> Result<(), Failure> {
    let Config { server, issuer, tokens, rate, proxies, load, audit, releases, tenants, environments } = config;
    let ServerSection {
        listen,
        data,
        isolation,
        tls,
        allow_origins,
        encryption_keys,
        secrets,
        results_mib,
        trusted_documents,
    } = server;
    let issuers = Issuers::new(&issuer, &tokens, &Outside::real()).map_err(Failure::because)?;
    let tokens = Tokens { issuers, remembered: tokens.remembered };
    let data = data.ok_or_else(no_data)?;
    let tls = tls.map(|tls| TlsFiles { certificate: tls.certificate, key: tls.key });
    let listening = Listening { listen, tls, allow_origins };
    let origins = listening.origins();
    let plan = Plan {
        listening,
        storage: StorageArguments::of(None, encryption_keys),
        default_data: data,
        secrets: SecretsArguments::of(secrets),
        isolation,
        results_mib,
        runs: Runs::SignedBundles,
        load,
        recording: audit.recording(),
        signatures: releases.signatures,
        tenants: Some((tenants, environments)),
    };
    let open = Open::open(plan).await?;
    open.engine.deny_without_policies();
    if is_bootstrap && let Err(failure) = bootstrap(open.engine.store()).await {
        open.close().await;
        return Err(failure);
    }
    let nothing_served = match open.engine.restore(&servable).await {
        Ok(Some(release)) => {
            tracing::info!("{} {} is served", release.app, release.version);
            NOTHING_DEPLOYED
        }
        Ok(None) => NOTHING_DEPLOYED,
        // Another one can be deployed: for that it has to run.
        Err(error) => {
            tracing::error!("what was deployed is not served: {error}");
            NOT_SERVED
        }
    };
    let options = ServerOptions {
        tokenless: Caller::Anonymous,
        graphiql: false,
        control_plane: true,
        nothing_served: Cow::Borrowed(nothing_served),
        rate,
        proxies,
        origins,
        trusted_documents,
        ..ServerOptions::default()
    };
    let announce = if open.engine.releases().borrow().is_some() { Announce::WhenServed } else { Announce::AtOnce };
    open.serve(options, tokens, announce, None).await
}

/// Makes the first administrator and tells the token, which is nowhere else.
async fn bootstrap(store: &Store) -> Result<(), Failure> {
    let token = administrators::bootstrap(store, FIRST_ADMINISTRATOR).await.map_err(Failure::because)?;
    anstream::println!("token of the administrator {FIRST_ADMINISTRATOR}, shown once: {}", token.reveal());
    Ok(())
}

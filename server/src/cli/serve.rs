//! `weir serve`: serves what was deployed.
//!
//! Rule: nothing runs here that nobody has signed, and who shows no token is nobody in particular.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use weir_engine::call::Caller;

use super::listening::Listening;
use super::secrets::SecretsArguments;
use super::serving::{Announce, Open, Plan};
use super::storage::StorageArguments;
use super::{Failure, logging, memory, runtime};
use crate::auth::Tokens;
use crate::auth::remote::Outside;
use crate::auth::verify::Issuers;
use crate::config::{self, Config, Isolation, ServerSection};
use crate::http::ServerOptions;
use crate::http::tls::TlsFiles;

/// What is said before the first release.
const NOTHING_DEPLOYED: &str = "nothing is deployed yet: weir deploy APP";

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
}

/// Serves until SIGTERM or Ctrl-C.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    memory::give_back();
    logging::start();
    let config = configuration(&arguments)?;
    let runtime = runtime()?;
    runtime.block_on(serve(config))
}

/// The configuration with what the command line changes of it.
fn configuration(arguments: &Arguments) -> Result<Config, Failure> {
    let default = Path::new(config::FILE);
    let mut config = match &arguments.config {
        Some(file) => Config::read(file).map_err(Failure::because)?,
        None if default.exists() => Config::read(default).map_err(Failure::because)?,
        None => Config::default(),
    };
    let Arguments { listen, data, isolation, .. } = arguments;
    let server = &mut config.server;
    server.listen = listen.unwrap_or(server.listen);
    server.data = data.clone().or(server.data.take());
    server.isolation = isolation.unwrap_or(server.isolation);
    Ok(config)
}

async fn serve(config: Config) -> Result<(), Failure> {
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
    } = config.server;
    let issuers = Issuers::new(&config.issuer, &config.tokens, &Outside::real()).map_err(Failure::because)?;
    let tokens = Tokens { issuers, remembered: config.tokens.remembered };
    let Some(data) = data else {
        let reason = format!("name the data folder: with --data, or as data in [server] of {}", config::FILE);
        return Err(Failure::because(reason));
    };
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
    };
    let open = Open::open(plan).await?;
    let options = ServerOptions {
        tokenless: Caller::Anonymous,
        graphiql: false,
        nothing_served: Cow::Borrowed(NOTHING_DEPLOYED),
        origins,
        trusted_documents,
        ..ServerOptions::default()
    };
    open.serve(options, tokens, Announce::AtOnce, None).await
}

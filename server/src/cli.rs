//! The command line: one file per command.
//!
//! Every command exits 0 on success, 1 on a failure that it explains in one line, 2 on bad usage.

mod admin;
mod against;
mod audit;
mod backup;
mod build;
mod check;
mod core_files;
mod deploy;
mod dev;
mod doctor;
mod documents;
mod encryption;
mod environment;
mod export;
mod folder;
mod graph;
mod handed;
mod import;
mod import_all;
mod jobs;
mod keys;
mod listening;
mod lockdown_probe;
mod logging;
mod memory;
mod pack;
mod place;
mod policy;
mod private_file;
mod progress;
mod releases;
mod remote;
mod restore;
mod rollout;
mod rotation;
mod rows;
mod secrets;
mod serve;
mod serving;
mod signing;
mod storage;
mod strategy;
mod tenant;
mod times;
mod token;
mod types;
mod views;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Turns a folder of TypeScript into a live, typed GraphQL backend.
#[derive(Debug, Parser)]
#[command(name = "weir", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve an app while you write it: watches the folder, reloads, GraphiQL at /graphiql.
    Dev(dev::Arguments),
    /// Serve what was deployed: callers show tokens, and only signed bundles run.
    Serve(serve::Arguments),
    /// Make a bundle of an app: all of it in one file, the same for the same sources.
    Build(pack::Arguments),
    /// Have a server serve a bundle, or an app that is built first.
    Deploy(deploy::Arguments),
    /// Have a release take the place of another, at once or step by step, and take that back.
    Rollout(rollout::Arguments),
    /// List what was deployed, show one of it, or tell what has changed from one release to another.
    Releases(releases::Arguments),
    /// Make keys for signing bundles; list, trust and revoke those of a server.
    Keys(keys::Arguments),
    /// Make tokens for who may use the control plane of a server, list and revoke them.
    Admin(admin::Arguments),
    /// Make tenants of a server, each with data and an app of its own; list, suspend, delete and export them.
    Tenant(tenant::Arguments),
    /// Make environments of an app, such as staging or one for a branch, and remove them: each has data and an active release of its own.
    Env(environment::Arguments),
    /// Say whether the audit log is whole, or print its end, signed.
    Audit(audit::Arguments),
    /// Compile an app and print its mistakes, its GraphQL schema, or what it changes for clients of another one.
    Check(check::Arguments),
    /// Print which functions of an app use which collections and each other.
    Graph(graph::Arguments),
    /// Write the editor's types of the module "weir" into an app folder.
    Types(types::Arguments),
    /// Load rows from a JSON file into a collection or through a procedure, or all of an export.
    Import(import::Arguments),
    /// Write all data as JSON lines, from a data folder that is served or not.
    Export(export::Arguments),
    /// Copy the data folder, served or not, into a new folder.
    Backup(backup::Arguments),
    /// Make a data folder from a backup, verified before it replaces anything.
    Restore(restore::Arguments),
    /// Look at every record of a data folder and tell what is wrong; try how worker processes are locked down here.
    Doctor(doctor::Arguments),
    /// List, cancel and retry what is to be called later.
    Jobs(jobs::Arguments),
    /// Show, compute and forget what is kept of views.
    Views(views::Arguments),
    /// Have an app trust documents of its clients, list them, or trust them no longer.
    Documents(documents::Arguments),
    /// Test the policies of an app, or have a decision explained.
    Policy(policy::Arguments),
    /// Make a token for weir dev, or revoke tokens.
    Token(token::Arguments),
    /// Make a key for encryption at rest, or say which keys a data folder needs.
    Encryption(encryption::Arguments),
    /// Run an app's functions for another process of weir.
    #[cfg(unix)]
    #[command(hide = true, name = weir_sandbox::process::guest::ARGUMENT)]
    IsolateWorker {
        /// How many isolates.
        isolates: u64,
        /// The memory that each may need.
        bytes_each: u64,
    },
    /// What `weir doctor` runs to see how a worker process is locked down here.
    #[command(hide = true)]
    LockdownProbe,
}

/// Why a command failed. Shown after `weir: `.
#[derive(Debug)]
pub(crate) enum Failure {
    /// In one line, with what to do.
    Because(String),
    /// All has been said on stderr.
    Explained,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Because(reason) => f.write_str(reason),
            Self::Explained => f.write_str("see above"),
        }
    }
}

impl Failure {
    fn because(reason: impl fmt::Display) -> Self {
        Self::Because(reason.to_string())
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Dev(arguments) => dev::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Build(arguments) => pack::run(&arguments),
        Command::Deploy(arguments) => deploy::run(&arguments),
        Command::Rollout(arguments) => rollout::run(&arguments),
        Command::Releases(arguments) => releases::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Admin(arguments) => admin::run(&arguments),
        Command::Tenant(arguments) => tenant::run(&arguments),
        Command::Env(arguments) => environment::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Graph(arguments) => graph::run(&arguments),
        Command::Types(arguments) => types::run(&arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Jobs(arguments) => jobs::run(&arguments),
        Command::Views(arguments) => views::run(&arguments),
        Command::Documents(arguments) => documents::run(&arguments),
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Encryption(arguments) => encryption::run(arguments),
        #[cfg(unix)]
        Command::IsolateWorker { isolates, bytes_each } => {
            return weir_sandbox::process::guest::main(isolates, bytes_each);
        }
        Command::LockdownProbe => lockdown_probe::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Explained) => ExitCode::FAILURE,
        Err(Failure::Because(reason)) => {
            anstream::eprintln!("weir: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Where an app keeps its data while it is developed, unless `--data` says otherwise.
fn default_data(app: &Path) -> PathBuf {
    app.join(".weir").join("data")
}

/// The runtime that commands with a server or a store run on.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // V8 wants its first call on the main thread, before other threads are started.
    weir_sandbox::isolate::prepare_v8();
    tokio::runtime::Runtime::new().map_err(|error| Failure::because(format!("cannot start threads: {error}")))
}

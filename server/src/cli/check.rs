//! `weir check APP [--schema] [--against RELEASE|URL|FILE]`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use weir_sandbox::isolate::{Isolate, IsolateError, Place, prepare_v8};
use weir_sandbox::protocol::ScriptError;
use weir_sandbox::watchdog::{Ignored, Watchdog};
use weir_schema::sdl;

use super::build::{Built, build_folder, summary};
use super::place::PlaceArguments;
use super::{Failure, against, releases};

/// The arguments of `weir check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The app folder.
    app: PathBuf,
    /// Print the GraphQL schema (SDL) on stdout.
    #[arg(long)]
    schema: bool,
    /// Tell what the app changes for clients of another schema: a server's, at http://HOST:PORT/schema.graphql, or a file of
    /// SDL; or of a release on record (a version, a sequence, or active), with how often clients have asked for it. Fails if
    /// something breaks them.
    #[arg(long, value_name = "RELEASE|URL|FILE", conflicts_with = "schema")]
    against: Option<String>,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Compiles the app, loads it once, and prints what was asked for.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Built { app, api, .. } = build_folder(&arguments.app)?;
    let summary = summary(&app);
    prepare_v8();
    let watchdog = Watchdog::start(give_up).map_err(Failure::because)?;
    let place = Place::here(0, &watchdog).map_err(Failure::because)?;
    Isolate::new(&Arc::new(app), &place).map(drop).map_err(|error| Failure::because(load_failure(&error)))?;
    if let Some(release) = arguments.against.as_deref().filter(|other| releases::names_release(other)) {
        return releases::against(&arguments.app, release, &arguments.place);
    }
    if let Some(other) = &arguments.against {
        return against::report(&api, other);
    }
    if arguments.schema {
        anstream::print!("{}", sdl::print(&api));
    } else {
        anstream::println!("{summary}: no mistakes");
    }
    Ok(())
}

/// A module computes on after it was told to end: nothing but the end of the process stops it.
fn give_up(ignored: Ignored) {
    anstream::eprintln!("weir: loading the app's modules is past {} and cannot be stopped", ignored.limit);
    std::process::exit(1);
}

/// Says where a module threw while it was loaded.
pub fn load_failure(error: &IsolateError) -> String {
    match error {
        IsolateError::App(ScriptError { message, stack, .. }) => match stack.first() {
            Some(frame) => format!("{}:{}:{}: {message}", frame.file, frame.line, frame.column),
            None => message.clone(),
        },
        other => other.to_string(),
    }
}

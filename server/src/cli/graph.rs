//! `weir graph APP [--dot]`

use std::path::PathBuf;

use clap::Args;
use weir_schema::dependencies;

use super::Failure;
use super::build::{Built, build_folder};

/// The arguments of `weir graph`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The app folder.
    app: PathBuf,
    /// Print it for Graphviz: `weir graph APP --dot | dot -Tsvg`.
    #[arg(long)]
    dot: bool,
}

/// Compiles the app and prints how its functions and collections hang together. None of its code runs.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Built { app, dependencies, .. } = build_folder(&arguments.app)?;
    let text = match arguments.dot {
        true => dependencies::dot(&app.manifest.name, &dependencies),
        false => dependencies::text(&dependencies),
    };
    anstream::print!("{text}");
    Ok(())
}

//! From an app folder to a compiled app whose schema can be served, or to mistakes on the terminal.

use std::path::Path;

use weir_engine::access;
use weir_sandbox::compile::{Compiled, Sources, compile_and_relate};
use weir_sandbox::diagnostic::{Diagnostic, Style};
use weir_sandbox::{App, compile};
use weir_schema::api::{Api, ApiError};
use weir_schema::dependencies::DependencyGraph;

use super::Failure;
use crate::graphql::Schema;
use crate::graphql::schema::SchemaError;

/// Why an app folder is no app.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder cannot be read.
    #[error(transparent)]
    Sources(#[from] compile::SourcesError),
    /// Mistakes in its files.
    #[error("{} mistakes", .0.len())]
    Mistakes(Vec<Diagnostic>),
    /// Its types cannot be one GraphQL schema.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Its GraphQL schema cannot be served.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// A compiled app and its GraphQL view.
pub struct Built {
    /// What runs.
    pub app: App,
    /// What is asked.
    pub api: Api,
    /// What its functions do with its collections and each other.
    pub dependencies: DependencyGraph,
}

/// Compiles sources.
pub fn build(sources: &Sources) -> Result<Built, BuildError> {
    let Compiled { app, dependencies } = compile_and_relate(sources).map_err(BuildError::Mistakes)?;
    let api = Api::of(&app.declarations)?;
    if let Some(policies) = &app.policies {
        access::compile::compile(&app.declarations, &app.manifest.caller, policies).map_err(BuildError::Mistakes)?;
    }
    // What cannot be served must be found before it replaces what is.
    Schema::build(&app.declarations, &app.manifest.graphql)?;
    Ok(Built { app, api, dependencies })
}

/// Reads and compiles a folder; mistakes go to stderr.
pub fn build_folder(folder: &Path) -> Result<Built, Failure> {
    build_or_explain(&Sources::read(folder).map_err(Failure::because)?)
}

/// Compiles sources; mistakes go to stderr.
pub fn build_or_explain(sources: &Sources) -> Result<Built, Failure> {
    build(sources).map_err(|error| match error {
        BuildError::Mistakes(mistakes) => {
            print_mistakes(&mistakes);
            Failure::Explained
        }
        other => Failure::because(other),
    })
}

/// Prints mistakes as compilers do, in colour where stderr is a terminal.
pub fn print_mistakes(mistakes: &[Diagnostic]) {
    for mistake in mistakes {
        anstream::eprintln!("{}", mistake.render(Style::Ansi));
    }
    let noun = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
    anstream::eprintln!("weir: {} {noun} found", mistakes.len());
}

/// `3 functions, 1 collection`.
pub fn summary(app: &App) -> String {
    let count = |n: usize, noun: &str| if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") };
    let declarations = &app.declarations;
    format!(
        "{} {}: {}, {}",
        app.manifest.name,
        app.manifest.version,
        count(declarations.functions.len(), "function"),
        count(declarations.collections.len(), "collection")
    )
}

//! `weir import FILE --into COLLECTION | --with PROCEDURE | --all`
//!
//! `--all` is another thing: see [`super::import_all`].
//!
//! The whole file is read and checked before anything is written; then it is committed in batches, in order. What a
//! batch has committed stays, whatever happens to a later one, and the number of loaded rows is always told.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgGroup, Args};
use serde_json::Value;
use weir_engine::Engine;
use weir_engine::call::{Call, CallError, Caller};
use weir_engine::import::{ImportError, import};
use weir_engine::release::Release;
use weir_sandbox::pool::PoolOptions;
use weir_schema::declarations::{Collection, Declarations, Function, FunctionKind};
use weir_schema::error::ErrorCode;
use weir_schema::validate::{self, Violation};

use super::build::build_folder;
use super::rows::{Row, Rows, RowsError};
use super::storage::StorageArguments;
use super::{Failure, default_data, import_all, logging, progress, runtime};

/// Rows in one commit.
const BATCH_ROWS: usize = 1_000;

/// The arguments of `weir import`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").required(true)))]
pub struct Arguments {
    /// A JSON array of objects, or one JSON object per line; with --all what `weir export` has written.
    file: PathBuf,
    /// Each row is a document of this collection; a member `id` is taken as its id.
    #[arg(long, value_name = "COLLECTION", group = "target")]
    into: Option<String>,
    /// Each row is the arguments of this procedure.
    #[arg(long, value_name = "PROCEDURE", group = "target")]
    with: Option<String>,
    /// The file is an export: make a new data folder with all that is in it. Needs no app.
    #[arg(long, group = "target")]
    all: bool,
    /// The app folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    app: PathBuf,
    #[command(flatten)]
    storage: StorageArguments,
}

/// Checks the file, then loads it.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    logging::start();
    let Arguments { file, into, with, all, app: folder, storage } = arguments;
    if all {
        return import_all::run(&file, &storage, &default_data(&folder));
    }
    let built = build_folder(&folder)?;
    let target = Target::find(&built.app.declarations, into, with)?;
    let runtime = runtime()?;
    let rows = check(&file, &built.app.declarations, &target)?;
    runtime.block_on(async {
        let store = storage.open(&default_data(&folder))?;
        let engine = Engine::start(store, PoolOptions::default()).map_err(Failure::because)?;
        let loaded = match engine.activate(built.app).await {
            Ok(release) => load(&engine, &release, &target, &file, rows).await,
            Err(error) => Err(Failure::because(error)),
        };
        engine.close().await;
        loaded
    })
}

/// Where rows go.
enum Target {
    Collection(Collection),
    Procedure(Function),
}

impl Target {
    fn find(declarations: &Declarations, into: Option<String>, with: Option<String>) -> Result<Self, Failure> {
        let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        if let Some(name) = into {
            let known = names(declarations.collections.keys().map(String::as_str).collect());
            let found = declarations.collections.get(&name).cloned().map(Self::Collection);
            return found
                .ok_or_else(|| Failure::because(format!("there is no collection {name}; the app has: {known}")));
        }
        let name = with.unwrap_or_default();
        let procedures = declarations.functions.values().filter(|function| function.kind == FunctionKind::Procedure);
        let known = names(procedures.clone().map(|function| function.name.as_str()).collect());
        let found = procedures.clone().find(|function| function.name == name).cloned().map(Self::Procedure);
        found.ok_or_else(|| Failure::because(format!("there is no procedure {name}; the app has: {known}")))
    }

    /// Checks one row against the declared type.
    fn check(&self, declarations: &Declarations, mut value: Value) -> Result<(), Violation> {
        match self {
            Self::Collection(collection) => {
                if let Some(members) = value.as_object_mut() {
                    members.shift_remove("id");
                }
                validate::document(collection, &declarations.definitions, value).map(drop)
            }
            Self::Procedure(function) => validate::arguments(function, &declarations.definitions, value).map(drop),
        }
    }
}

fn in_file(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::because(format!("{}: {error}", file.display()))
}

/// Reads the whole file and checks each row; how many there are.
fn check(file: &Path, declarations: &Declarations, target: &Target) -> Result<u64, Failure> {
    let length = fs::metadata(file).map_err(|error| in_file(file, error))?.len();
    let bar = progress::bytes("checking", length);
    let mut rows = Rows::open(file).map_err(|error| in_file(file, error))?;
    let mut count = 0;
    let mut ids = HashSet::new();
    while let Some(Row { line, value, end }) = rows.next().map_err(|error| nothing(file, &error))? {
        if let (Target::Collection(_), Some(id)) = (target, value.get("id").and_then(Value::as_str))
            && !ids.insert(id.to_owned())
        {
            let message = format!("a row before has the id {id:?} already");
            return Err(nothing(file, &RowsError::Bad { line, message }));
        }
        target
            .check(declarations, value)
            .map_err(|violation| nothing(file, &RowsError::Bad { line, message: violation.to_string() }))?;
        count += 1;
        if count % 256 == 0 {
            bar.set_position(end);
        }
    }
    bar.finish_and_clear();
    Ok(count)
}

fn nothing(file: &Path, error: &RowsError) -> Failure {
    in_file(file, format!("{error}; nothing was loaded"))
}

async fn load(engine: &Engine, release: &Arc<Release>, target: &Target, file: &Path, rows: u64) -> Result<(), Failure> {
    let started = Instant::now();
    let length = fs::metadata(file).map_err(|error| in_file(file, error))?.len();
    let bar = progress::bytes("loading", length);
    let mut reader = Rows::open(file).map_err(|error| in_file(file, error))?;
    let mut loaded = 0;
    loop {
        let partly = |line: u64, error: &dyn std::fmt::Display| {
            in_file(file, format!("line {line}: {error}; the {loaded} rows before are loaded"))
        };
        let mut lines = Vec::with_capacity(BATCH_ROWS);
        let mut values = Vec::with_capacity(BATCH_ROWS);
        while values.len() < BATCH_ROWS {
            match reader.next() {
                Ok(Some(row)) => {
                    bar.set_position(row.end);
                    lines.push(row.line);
                    values.push(row.value);
                }
                Ok(None) => break,
                Err(error) => return Err(partly(lines.last().copied().unwrap_or_default(), &error)),
            }
        }
        if values.is_empty() {
            break;
        }
        let count = values.len() as u64;
        if let Err((index, error)) = commit(engine, release, target, values).await {
            return Err(partly(lines.get(index).copied().unwrap_or_default(), &error));
        }
        loaded += count;
        tracing::debug!("{loaded} rows are committed");
    }
    bar.finish_and_clear();
    if loaded != rows {
        let message = format!("the file changed while it was read: {rows} rows were checked, {loaded} are loaded");
        return Err(in_file(file, message));
    }
    let seconds = started.elapsed().as_secs_f64();
    anstream::println!("loaded {loaded} rows in {seconds:.1} s ({:.0} rows/s)", loaded as f64 / seconds);
    Ok(())
}

/// Commits one batch; the error comes with the place of the row that is to blame.
async fn commit(
    engine: &Engine,
    release: &Arc<Release>,
    target: &Target,
    batch: Vec<Value>,
) -> Result<(), (usize, CallError)> {
    match target {
        Target::Collection(collection) => import(engine, release, &collection.name, &batch)
            .await
            .map(drop)
            .map_err(|ImportError { index, error }| (index, error)),
        Target::Procedure(function) => {
            let calls = batch.into_iter().map(|args| Call { function: function.name.clone(), args }).collect();
            let outcomes = engine.batch(release, &Caller::Developer, calls, true, |_| None).await;
            let outcomes = outcomes.map_err(|error| (0, error))?;
            let failed = outcomes.into_iter().enumerate().find_map(|(index, outcome)| match outcome {
                Err(error) if error.code != ErrorCode::RolledBack => Some((index, error)),
                _ => None,
            });
            failed.map_or(Ok(()), Err)
        }
    }
}

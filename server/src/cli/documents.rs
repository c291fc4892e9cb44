//! `weir documents push|list|remove`: the documents that an app trusts, in a data folder that is served or not.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{self, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use weir_engine::control::Actor;
use weir_engine::trusted;

use super::build::build_folder;
use super::folder::{FolderArguments, count};
use super::progress::Bars;
use super::{Failure, logging};
use crate::control::message::Request;
use crate::documents::{self, Misfit, Pushed};
use crate::graphql::Schema;

/// The arguments of `weir documents`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trust documents, if all of them fit the schema: manifests of graphql-codegen, Relay and Apollo (.json), documents
    /// (.graphql, .gql), or folders of these.
    Push {
        /// The files and folders.
        #[arg(required = true, value_name = "FILE|DIR")]
        files: Vec<PathBuf>,
        /// Trust documents also that do not fit the schema yet; they are refused until they do.
        #[arg(long)]
        anyway: bool,
        /// As a line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: FolderArguments,
    },
    /// List what is trusted: ids and the beginnings of documents.
    List {
        /// As lines of JSON, with the whole documents.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: FolderArguments,
    },
    /// Trust documents no longer.
    Remove {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        folder: FolderArguments,
    },
}

/// Asks the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let bars = Bars::default();
    match &arguments.command {
        Command::Push { files, anyway, json, folder } => {
            let pushed = push(files, *anyway, folder, &bars)?;
            for Misfit { id, message } in &pushed.told {
                anstream::eprintln!("{id}: {message}");
            }
            let Pushed { documents, new, misfits, .. } = pushed;
            if misfits > 0 && !anyway {
                return Err(Failure::because(format!(
                    "{misfits} of {} do not fit the schema, so none was pushed: mend them, or push them with --anyway",
                    count(documents, "document"),
                )));
            }
            write(&[match json {
                true => json!({ "documents": documents, "new": new, "misfits": misfits }).to_string(),
                false => format!("pushed {}, {new} of them new", count(documents, "document")),
            }])
        }
        Command::List { json, folder } => {
            let documents = list(folder, &bars)?;
            let lines = documents.iter().map(|(id, text)| match json {
                true => json!({ "id": id, "document": text }).to_string(),
                false => format!("{id}  {}", beginning(text)),
            });
            write(&lines.collect::<Vec<_>>())
        }
        Command::Remove { ids, folder } => {
            let removed: Option<Value> = folder.ask(&Request::RemoveDocuments { ids: ids.clone() }, &bars)?;
            if removed.is_none() {
                let by = Actor::operator();
                let remove = async |store: &_| trusted::remove_stored(store, &by, ids).await.map_err(Failure::because);
                folder.alone(&bars, remove)?;
            }
            write(&[format!("removed {}", count(ids.len() as u64, "document"))])
        }
    }
}

fn push(files: &[PathBuf], anyway: bool, folder: &FolderArguments, bars: &Bars) -> Result<Pushed, Failure> {
    let files: Result<Vec<PathBuf>, io::Error> = files.iter().map(path::absolute).collect();
    let files = files.map_err(Failure::because)?;
    if let Some(pushed) = folder.ask(&Request::PushDocuments { files: files.clone(), anyway }, bars)? {
        return Ok(pushed);
    }
    // Nobody serves it: they have to fit the app as it stands in its folder.
    let built = build_folder(folder.app())?;
    let schema = Schema::build(&built.app.declarations, &built.app.manifest.graphql).map_err(Failure::because)?;
    folder.alone(bars, async |store| {
        let keep = async |documents| trusted::push_stored(store, &Actor::operator(), documents).await;
        documents::push(&schema, &files, anyway, keep).await.map_err(Failure::because)
    })
}

fn list(folder: &FolderArguments, bars: &Bars) -> Result<BTreeMap<String, String>, Failure> {
    let mut documents = BTreeMap::new();
    loop {
        let after = documents.keys().next_back().cloned();
        let page: Option<BTreeMap<String, String>> = folder.ask(&Request::Documents { after }, bars)?;
        match page {
            Some(page) if page.is_empty() => return Ok(documents),
            Some(page) => documents.extend(page),
            None => return folder.alone(bars, async |store| trusted::stored(store).map_err(Failure::because)),
        }
    }
}

/// The beginning of a document on one line.
fn beginning(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Writes lines; whoever reads may have seen enough.
fn write(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match lines.iter().try_for_each(|line| writeln!(out, "{line}")) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because(format!("the answer cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

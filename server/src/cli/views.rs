//! `weir views status|refresh|drop`: what is kept of views, in a data folder that is served or not.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use weir_engine::jobs::Clock;
use weir_engine::views::{self, ViewStatus};
use weir_schema::datetime::{self, Moment};

use super::folder::{FolderArguments, on_record};
use super::progress::Bars;
use super::{Failure, logging};
use crate::control::message::{self, Request};

/// The arguments of `weir views`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is kept of each view; where nobody serves the folder, what there is in the store.
    Status {
        /// As lines of JSON, with all that is known of each.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: FolderArguments,
    },
    /// Compute a view now and wait for it; one of groups from all documents. The folder has to be served.
    Refresh {
        /// The view.
        view: String,
        /// As a line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: FolderArguments,
    },
    /// Forget what is kept of a view.
    Drop {
        /// The view.
        view: String,
        /// As a line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: FolderArguments,
    },
}

/// Asks the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let bars = Bars::default();
    match &arguments.command {
        Command::Status { json, folder } => {
            let views = match folder.ask(&Request::Views, &bars)? {
                Some(views) => views,
                None => folder.alone(&bars, async |store| {
                    views::stored(store, Clock::system().now_ms()).map_err(Failure::because)
                })?,
            };
            show(&views, *json)
        }
        Command::Refresh { view, json, folder } => {
            let refreshed: Option<ViewStatus> = folder.ask(&Request::RefreshView { name: view.clone() }, &bars)?;
            let Some(status) = refreshed else {
                let data = folder.data();
                return Err(Failure::because(format!(
                    "nobody serves {}, so nobody can run {view}: start the server first, or forget what is kept with weir views drop",
                    data.display()
                )));
            };
            say(&status, *json, &format!("{view} is {}: {}", status.state.as_str(), kept(&status)))
        }
        Command::Drop { view, json, folder } => {
            let status: ViewStatus = match folder.ask(&Request::DropView { name: view.clone() }, &bars)? {
                Some(dropped) => dropped,
                None => folder.alone(&bars, async |store| {
                    let dropped = views::drop_stored(store, view).await.map_err(Failure::because)?;
                    on_record(store, message::of_view("dropView", view)).await?;
                    Ok(dropped)
                })?,
            };
            say(&status, *json, &format!("forgot what was kept of {view}"))
        }
    }
}

fn say(status: &ViewStatus, json: bool, sentence: &str) -> Result<(), Failure> {
    let line = if json { serde_json::to_string(status).map_err(Failure::because)? } else { sentence.to_owned() };
    write(&[line])
}

fn show(views: &[ViewStatus], json: bool) -> Result<(), Failure> {
    if json {
        let lines: Result<Vec<String>, _> = views.iter().map(serde_json::to_string).collect();
        return write(&lines.map_err(Failure::because)?);
    }
    if views.is_empty() {
        return write(&["no views".to_owned()]);
    }
    let heads = ["VIEW", "POLICY", "STATE", "COMMIT", "AGE", "ROWS", "BYTES", "STORED", "RUNS", "ERROR"];
    let mut table = vec![heads.map(str::to_owned)];
    table.extend(views.iter().map(cells));
    let mut widths = [0; 10];
    for cells in &table {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; 10]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    write(&table.iter().map(line).collect::<Vec<_>>())
}

/// The longest error in a table.
const ERROR_CHARACTERS: usize = 120;

fn cells(view: &ViewStatus) -> [String; 10] {
    let error = view.error.clone().unwrap_or_default();
    [
        view.name.clone(),
        view.policy.clone(),
        state(view),
        view.commit.map(|commit| moment(commit.0)).unwrap_or_default(),
        view.age_ms.map(age).unwrap_or_default(),
        view.rows.to_string(),
        view.bytes.to_string(),
        view.stored.to_string(),
        view.runs.to_string(),
        error.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_CHARACTERS).collect(),
    ]
}

/// `building 40 %`.
fn state(view: &ViewStatus) -> String {
    let state = view.state.as_str();
    match (view.documents, view.documents_total) {
        (Some(documents), Some(total)) if total > 0 => {
            format!("{state} {} % ({documents})", (documents.saturating_mul(100) / total).min(100))
        }
        (Some(documents), _) => format!("{state} ({documents})"),
        (None, _) => state.to_owned(),
    }
}

fn kept(view: &ViewStatus) -> String {
    format!("{} rows or results, {} bytes, {} runs", view.rows, view.bytes, view.runs)
}

/// `4.2 s`, `3 min`, `5 h`, `2 d`.
fn age(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..60 => format!("{seconds}.{} s", ms % 1_000 / 100),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

fn moment(nanoseconds: u64) -> String {
    let ms = nanoseconds / 1_000_000;
    let within = u32::try_from(ms % 1_000).unwrap_or_default() * 1_000_000;
    let moment = i64::try_from(ms / 1_000).ok().map(|seconds| Moment { seconds, nanoseconds: within });
    moment.and_then(|moment| datetime::format(moment).ok()).unwrap_or_else(|| ms.to_string())
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

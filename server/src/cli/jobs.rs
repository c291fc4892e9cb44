//! `weir jobs list|cancel|retry`: what is to be called later, in a data folder that is served or not.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};
use weir_engine::jobs::Clock;
use weir_engine::jobs::control::{self, Listed, Listing};
use weir_schema::codec::job::JobState;
use weir_schema::datetime::{self, Moment};
use weir_schema::id::DocumentId;
use weir_store::JobFilter;

use super::folder::FolderArguments;
use super::progress::Bars;
use super::{Failure, logging};
use crate::control::message::Request;

/// The arguments of `weir jobs`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show jobs in the order in which they were scheduled.
    List {
        /// Those in this state.
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Those of this function.
        #[arg(long, value_name = "NAME")]
        function: Option<String>,
        /// No more than so many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// As lines of JSON, with all that is known of each.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: FolderArguments,
    },
    /// Remove a job that waits or is dead.
    Cancel {
        /// The job.
        id: String,
        #[command(flatten)]
        folder: FolderArguments,
    },
    /// Run a job that waits or is dead now.
    Retry {
        /// The job.
        id: String,
        #[command(flatten)]
        folder: FolderArguments,
    },
}

/// The state of a job.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Due now or later, for the first time or again.
    Waiting,
    /// An action that was begun.
    Running,
    /// Failed too often.
    Dead,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Running => Self::Running,
            State::Dead => Self::Dead,
        }
    }
}

/// Asks the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::List { state, function, limit, json, folder } => {
            let filter = JobFilter { state: state.map(JobState::from), function: function.clone() };
            let form = if *json { Form::Lines } else { Form::Table };
            let mut list = List { form, left: limit.unwrap_or(usize::MAX), out: io::stdout().lock(), is_empty: true };
            list.all(folder, filter)
        }
        Command::Cancel { id, folder } => {
            let bars = Bars::default();
            let cancelled: Listed = match folder.ask(&Request::CancelJob { id: id.clone() }, &bars)? {
                Some(cancelled) => cancelled,
                None => {
                    folder.alone(&bars, async |store| control::cancel(store, id).await.map_err(Failure::because))?
                }
            };
            anstream::println!("cancelled {}, a call of {}", cancelled.id, cancelled.job.function);
            Ok(())
        }
        Command::Retry { id, folder } => {
            let bars = Bars::default();
            let retried: Listed = match folder.ask(&Request::RetryJob { id: id.clone() }, &bars)? {
                Some(retried) => retried,
                None => folder.alone(&bars, async |store| {
                    control::retry(store, id, &Clock::system()).await.map_err(Failure::because)
                })?,
            };
            anstream::println!("{}, a call of {}, is due now", retried.id, retried.job.function);
            Ok(())
        }
    }
}

/// How jobs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// For people.
    Table,
    /// JSON lines.
    Lines,
}

/// A list that is being written.
struct List<W> {
    form: Form,
    /// How many more jobs it may have.
    left: usize,
    out: W,
    is_empty: bool,
}

impl<W: Write> List<W> {
    /// Writes all pages, one after the other.
    fn all(&mut self, folder: &FolderArguments, filter: JobFilter) -> Result<(), Failure> {
        let bars = Bars::default();
        let JobFilter { state, function } = filter.clone();
        let request = |after| Request::Jobs { state, function: function.clone(), after };
        match folder.ask::<Listing>(&request(None), &bars)? {
            Some(mut listing) => {
                while let Some(after) = self.page(&listing)? {
                    let next = folder.ask(&request(Some(after)), &bars)?;
                    listing = next.ok_or_else(|| Failure::because("the server has stopped: list again"))?;
                }
            }
            None => folder.alone(&bars, async |store| {
                let mut after = None;
                loop {
                    let listing = control::list(store, filter.clone(), after).await.map_err(Failure::because)?;
                    after = self.page(&listing)?;
                    if after.is_none() {
                        return Ok(());
                    }
                }
            })?,
        }
        match (self.form, self.is_empty) {
            (Form::Table, true) => self.write("no jobs".to_owned()).map(drop),
            _ => Ok(()),
        }
    }

    /// Writes a page. Returns where to go on, if more is wanted.
    fn page(&mut self, listing: &Listing) -> Result<Option<DocumentId>, Failure> {
        for Listed { id, job } in listing.jobs.iter().take(self.left) {
            let line = match self.form {
                Form::Lines => {
                    serde_json::to_string(&Listed { id: id.clone(), job: job.clone() }).map_err(Failure::because)?
                }
                Form::Table => {
                    if self.is_empty && !self.write(row("ID", "STATE", "FUNCTION", "DUE", "FAILED", "LAST ERROR"))? {
                        return Ok(None);
                    }
                    let error = job.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
                    let error: String = error.unwrap_or_default().chars().map(shown).take(ERROR_CHARACTERS).collect();
                    row(
                        id.as_str(),
                        job.state.as_str(),
                        &job.function,
                        &due(job.due_ms),
                        &job.attempts.to_string(),
                        &error,
                    )
                }
            };
            self.is_empty = false;
            if !self.write(line)? {
                return Ok(None);
            }
        }
        self.left = self.left.saturating_sub(listing.jobs.len());
        Ok(listing.next.clone().filter(|_| self.left > 0))
    }

    /// Writes a line; false where whoever reads has seen enough.
    fn write(&mut self, line: String) -> Result<bool, Failure> {
        match writeln!(self.out, "{line}") {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::because(format!("the list cannot be written: {error}"))),
        }
    }
}

/// The longest error in a table.
const ERROR_CHARACTERS: usize = 120;

fn row(id: &str, state: &str, function: &str, due: &str, failed: &str, error: &str) -> String {
    format!("{id:<26}  {state:<7}  {function:<20}  {due:<24}  {failed:>6}  {error}").trim_end().to_owned()
}

/// Errors are what scripts say: a line stays a line.
fn shown(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

fn due(ms: u64) -> String {
    let nanoseconds = u32::try_from(ms % 1_000).unwrap_or_default() * 1_000_000;
    let moment = i64::try_from(ms / 1_000).ok().map(|seconds| Moment { seconds, nanoseconds });
    moment.and_then(|moment| datetime::format(moment).ok()).unwrap_or_else(|| ms.to_string())
}

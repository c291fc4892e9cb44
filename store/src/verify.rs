//! Compares all that is in a store with what it should be, in one state.
//!
//! Each part below looks at one kind of record and only reads. What is found wrong is told in one line each, the first
//! [`PROBLEMS_MAX`] of them, and all are counted. A table that cannot be read at all is no finding: the engine's error
//! stops the store as it would stop any reader.

pub(crate) mod audit;
mod documents;
mod jobs;
mod journal;

use serde::{Deserialize, Serialize};
use weir_schema::codec::journal::Head;

use crate::backup::files;
use crate::catalog::Catalog;
use crate::engine::Live;
use crate::error::Poisoned;
use crate::people::file::Keys;
use crate::progress::{Meter, Phase, Stopped, Watch};
use crate::store::{Core, Store};

/// Problems that are told. More are counted.
const PROBLEMS_MAX: usize = 100;
/// The longest line about a problem, in characters.
const PROBLEM_CHARACTERS_MAX: usize = 300;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The format of the data folder.
    pub format: u32,
    /// The last commit.
    pub head: Head,
    /// Collections that are declared.
    pub collections: u64,
    /// Their indexes.
    pub indexes: u64,
    /// Documents, those of collections that are no longer declared included.
    pub documents: u64,
    /// Entries of all indexes.
    pub index_entries: u64,
    /// Entries of the journal.
    pub journal_entries: u64,
    /// Records of the audit log.
    pub audit_records: u64,
    /// Jobs, whatever their state.
    pub jobs: u64,
    /// The size of the data folder on disk, in bytes.
    pub disk_bytes: u64,
    /// What is wrong, in one line each; the first of them.
    pub problems: Vec<String>,
    /// How many there are.
    pub problem_count: u64,
}

impl Report {
    /// Adds a problem.
    fn problem(&mut self, line: impl std::fmt::Display) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(line.to_string().chars().take(PROBLEM_CHARACTERS_MAX).collect());
        }
    }
}

/// Why nothing was found out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Who asked for it stopped it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store failed or was closed.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
}

/// What the parts share.
struct Examination<'a> {
    live: &'a Live,
    people: &'a Keys,
    head: Head,
    catalog: &'a Catalog,
    meter: Meter<'a>,
    report: Report,
}

impl Store {
    /// Looks at every record of the last commit's state. Commits go on meanwhile.
    pub async fn verify(&self, watch: Watch) -> Result<Report, VerifyError> {
        self.blocking(move |core| verify(core, &watch)).await?
    }
}

fn verify(core: &Core, watch: &Watch) -> Result<Report, VerifyError> {
    core.is_ready()?;
    // Not one of the readers that are cut when they grow old: this takes as long as it takes.
    let (people, (live, head)) = core.people.keys_and(|| core.live())?;
    let catalog = core.catalog_of(&live, head)?;
    let declared = || catalog.collections.values().filter(|collection| collection.declared);
    let report = Report {
        format: weir_migrations::FORMAT,
        head,
        collections: declared().count() as u64,
        indexes: declared().map(|collection| collection.indexes.len() as u64).sum(),
        disk_bytes: files::size(&core.directory),
        ..Report::default()
    };
    let meter = Meter::new(watch, Phase::Verifying, None);
    let mut examination = Examination { live: &live, people: &people, head, catalog: &catalog, meter, report };
    examination.journal()?;
    examination.documents()?;
    examination.index_entries()?;
    examination.audit_log()?;
    examination.jobs()?;
    Ok(examination.report)
}

#[cfg(test)]
#[path = "verify/tests.rs"]
mod tests;

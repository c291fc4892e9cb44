//! From a backup to a data folder: everything is verified before anything is replaced.
//!
//! The files are compared with the manifest while they are copied into a folder beside the data folder. The copy is
//! opened there, which brings it to the format of this binary, and verified as a whole. Only then it takes its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir_schema::codec::journal::Head;

use super::files::{self, CopyError};
use super::manifest::{self, Manifest};
use super::staging::{Existing, Staging, StagingError};
use crate::error::{OpenError, Poisoned};
use crate::options::Options;
use crate::progress::{Meter, Phase, Stopped, Watch};
use crate::store::Store;
use crate::verify::{Report, VerifyError};

/// Why nothing was restored. The data folder is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is no backup, or not the one that was made.
    #[error("{} cannot be restored: {problem}; nothing was changed", .backup.display())]
    Unusable {
        /// The folder.
        backup: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The copy cannot be opened, say because the key is another one.
    #[error("the backup was copied but cannot be opened: {0}; nothing was changed")]
    Open(OpenError),
    /// There is a data folder already.
    #[error("{} is not empty: restore with --replace, which keeps it under another name, or choose another folder with --data", .0.display())]
    Occupied(PathBuf),
    /// A process has the data folder open.
    #[error("{} is in use: stop the `weir` that serves it first", .0.display())]
    InUse(PathBuf),
    /// It is whole, and belongs elsewhere.
    #[error("{0}; nothing was changed")]
    Misplaced(String),
    /// A file cannot be read or written.
    #[error("the backup cannot be copied: {0}")]
    Files(String),
    /// Who asked for it stopped it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The copy could not be read.
    #[error("the copy of the backup cannot be read: {0}; nothing was changed")]
    Unavailable(#[from] Poisoned),
}

impl From<CopyError> for RestoreError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Io { .. } => Self::Files(error.to_string()),
            CopyError::Stopped(stopped) => stopped.into(),
        }
    }
}

impl From<StagingError> for RestoreError {
    fn from(error: StagingError) -> Self {
        match error {
            StagingError::Occupied(data) => Self::Occupied(data),
            StagingError::InUse(data) => Self::InUse(data),
            StagingError::Files(error) => error.into(),
        }
    }
}

impl From<VerifyError> for RestoreError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Stopped(stopped) => stopped.into(),
            VerifyError::Unavailable(poisoned) => poisoned.into(),
        }
    }
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The last commit.
    pub head: Head,
    /// What was found in it.
    pub report: Report,
    /// The name under which the data folder from before is kept, if there was one.
    pub kept: Option<PathBuf>,
}

/// Makes `data` the data folder that a backup was made of.
pub async fn restore(
    backup: &Path,
    data: &Path,
    existing: Existing,
    options: &Options,
    watch: Watch,
) -> Result<Restored, RestoreError> {
    restore_if(backup, data, existing, options, watch, |_| Ok(())).await
}

/// The same for who looks at what was copied before it takes its place, and may say why it does not belong there.
pub async fn restore_if(
    backup: &Path,
    data: &Path,
    existing: Existing,
    options: &Options,
    watch: Watch,
    belongs: impl FnOnce(&Store) -> Result<(), String>,
) -> Result<Restored, RestoreError> {
    let unusable = |problem: String| RestoreError::Unusable { backup: backup.to_owned(), problem };
    let manifest = Manifest::read(backup).map_err(unusable)?;
    let staging = Staging::new(data, existing)?;
    copy(backup, &manifest, &staging.path(), &watch)?;
    let store = Store::open(&staging.path(), options.clone()).map_err(RestoreError::Open)?;
    let (head, verified, belongs) = (store.head(), store.verify(watch).await, belongs(&store));
    store.close().await;
    let report = verified?;
    if head.sequence != manifest.sequence || head.timestamp != manifest.timestamp {
        let problem = format!("it ends with commit {}, not with {}", head.sequence, manifest.sequence);
        return Err(unusable(problem));
    }
    if let Some(first) = report.problems.first() {
        return Err(unusable(format!("{} problems were found in it, the first: {first}", report.problem_count)));
    }
    belongs.map_err(RestoreError::Misplaced)?;
    let kept = staging.place()?;
    Ok(Restored { head, report, kept })
}

/// Copies the files that the manifest names, each as it has to be.
fn copy(backup: &Path, manifest: &Manifest, target: &Path, watch: &Watch) -> Result<(), RestoreError> {
    let unusable = |problem: String| RestoreError::Unusable { backup: backup.to_owned(), problem };
    let found = files::list(&backup.join(manifest::DATA))?;
    let (named, there): (BTreeSet<_>, BTreeSet<_>) = (manifest.files.keys().collect(), found.keys().collect());
    if let Some(missing) = named.difference(&there).next() {
        return Err(unusable(format!("its file {missing} is missing")));
    }
    if let Some(extra) = there.difference(&named).next() {
        return Err(unusable(format!("it has a file {extra} that it was not made with")));
    }
    let mut meter = Meter::new(watch, Phase::Copying, Some(manifest.bytes()));
    for ((path, entry), source) in manifest.files.iter().zip(found.values()) {
        let copied = files::copy(source, &target.join(path), &mut meter)?;
        if copied != *entry {
            return Err(unusable(format!("its file {path} is not as it was made: it has changed since")));
        }
    }
    Ok(())
}

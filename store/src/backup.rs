//! A copy of the data folder, made while commits go on, and the way back.
//!
//! The engine's checkpoint gives one state: hard links to its tables, which never change. They lie in a folder of their
//! own inside the data folder for as long as it takes to copy them; a backup shares no file with what it protects. The
//! copy has another name until it is whole. Which commit it ends with is read from the checkpoint, opened after it was
//! copied.
//!
//! | module | what it does |
//! |---|---|
//! | `manifest` | the file `BACKUP` |
//! | `files` | copying, syncing, removing |
//! | `restore` | from a backup to a data folder |
//! | `staging` | a data folder beside the one that it is to be, and how it takes its place |

pub(crate) mod files;
pub(crate) mod manifest;
pub(crate) mod restore;
pub(crate) mod staging;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::runtime::Handle;

use self::files::{CopyError, Scratch};
use self::manifest::Manifest;
use crate::engine::Engine;
use crate::error::{OpenError, Poisoned};
use crate::health::Health;
use crate::keys::KeyRing;
use crate::options::Options;
use crate::people::file as people;
use crate::progress::{Meter, Phase, Stopped, Watch};
use crate::store::{Core, Store, read_head};

/// The folder inside the data folder where a checkpoint lies while it is copied.
const CHECKPOINT: &str = "checkpoint";

/// Why there is no backup. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something is there already.
    #[error("{} exists and is not empty: choose another folder for the backup", .0.display())]
    Exists(PathBuf),
    /// What an earlier attempt left cannot be told from what somebody else put there.
    #[error("{} is in the way and holds other files: remove it or choose another folder", .0.display())]
    InTheWay(PathBuf),
    /// The backup would lie in what it protects.
    #[error("{} is inside the data folder: choose a folder outside of it", .0.display())]
    Inside(PathBuf),
    /// One at a time.
    #[error("another backup of this data folder is being made: wait until it is done")]
    Busy,
    /// The engine cannot make a checkpoint, or the checkpoint cannot be read.
    #[error("the data cannot be copied: {0}")]
    Checkpoint(String),
    /// A file cannot be read or written.
    #[error("the backup cannot be written: {0}")]
    Files(String),
    /// Who asked for it stopped it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store failed or was closed.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
}

impl From<CopyError> for BackupError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Io { .. } => Self::Files(error.to_string()),
            CopyError::Stopped(stopped) => stopped.into(),
        }
    }
}

impl Store {
    /// Copies the state as of now into a new folder. Commits go on meanwhile.
    ///
    /// `target` must not exist or be empty. It has the backup whole, synced, or not at all.
    pub async fn backup(&self, target: &Path, watch: Watch) -> Result<Manifest, BackupError> {
        let target = files::real_path(target);
        self.blocking(move |core| back_up(core, &target, &watch)).await?
    }
}

fn back_up(core: &Core, target: &Path, watch: &Watch) -> Result<Manifest, BackupError> {
    let Some(_turn) = core.backing_up.try_lock() else { return Err(BackupError::Busy) };
    core.is_ready()?;
    check_target(&core.directory, target)?;
    let partial = clear_partial(files::with_suffix(target, ".partial"))?;
    let checkpoint = Scratch::new(core.directory.join(CHECKPOINT));
    files::remove(checkpoint.path())?;
    let tree = checkpoint.path().join("tree");
    let people = {
        // None of these keys is replaced before the state that they belong to is caught.
        let _replacing = core.people.replacing.blocking_lock();
        core.engine.checkpoint(&tree).map_err(BackupError::Checkpoint)?;
        core.people.keys()
    };

    let data = partial.path().join(manifest::DATA);
    let mut copied = copy_all(&core.directory, &tree, &data, watch)?;
    copied.insert(people::FILE.to_owned(), files::write_private(&data.join(people::FILE), &people.to_bytes())?);
    // The keys of now: they may have been exchanged since the store was opened.
    let encryption = core.engine.ring().map(|ring| KeyRing::clone(&ring));
    let head = last_commit(checkpoint.path(), &Options { encryption, ..core.options.clone() })?;
    let manifest = Manifest::new(head.sequence, head.timestamp, copied);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| BackupError::Files(error.to_string()))?;
    files::write(&partial.path().join(manifest::FILE), &text)?;
    files::sync_folders(partial.path())?;
    // Renaming onto an empty folder is not possible everywhere.
    if target.exists() {
        fs::remove_dir(target).map_err(files::at(target))?;
    }
    fs::rename(partial.path(), target).map_err(files::at(target))?;
    partial.keep();
    files::sync_folder(files::parent(target))?;
    Ok(manifest)
}

/// Removes the checkpoint that a crash in the middle of a backup left. The folder must be ours: locked.
pub(crate) fn clean_up(directory: &Path) {
    // What cannot be removed takes room and nothing else.
    if let Err(error) = files::remove(&directory.join(CHECKPOINT)) {
        tracing::warn!("{error}");
    }
}

fn check_target(directory: &Path, target: &Path) -> Result<(), BackupError> {
    let parent = files::parent(target);
    let real = fs::canonicalize(parent).map_err(files::at(parent))?;
    let data = fs::canonicalize(directory).map_err(files::at(directory))?;
    if real.starts_with(&data) || target.file_name().is_some_and(|name| real.join(name) == data) {
        return Err(BackupError::Inside(target.to_owned()));
    }
    if files::is_free(target)? { Ok(()) } else { Err(BackupError::Exists(target.to_owned())) }
}

/// Makes room for the copy. What a crash left of an earlier one is removed, if it looks like that.
fn clear_partial(partial: PathBuf) -> Result<Scratch, BackupError> {
    if partial.exists() {
        for entry in fs::read_dir(&partial).map_err(files::at(&partial))? {
            let name = entry.map_err(files::at(&partial))?.file_name();
            if name != manifest::DATA && name != manifest::FILE {
                return Err(BackupError::InTheWay(partial));
            }
        }
        files::remove(&partial)?;
    }
    files::create_private(&partial).map_err(files::at(&partial))?;
    Ok(Scratch::new(partial))
}

/// Copies what makes a data folder: the marker and the tables of the checkpoint.
fn copy_all(
    directory: &Path,
    tree: &Path,
    target: &Path,
    watch: &Watch,
) -> Result<BTreeMap<String, manifest::FileEntry>, BackupError> {
    let marker = weir_migrations::marker::FILE;
    let mut sources = BTreeMap::from([(marker.to_owned(), directory.join(marker))]);
    let tables = files::list(tree)?.into_iter().filter(|(path, _)| path != Engine::CHECKPOINT_NOTE);
    sources.extend(tables.map(|(path, source)| (format!("tree/{path}"), source)));
    let mut total = 0;
    for source in sources.values() {
        total += fs::metadata(source).map_err(files::at(source))?.len();
    }
    let mut meter = Meter::new(watch, Phase::Copying, Some(total));
    let mut copied = BTreeMap::new();
    for (path, source) in sources {
        let entry = files::copy(&source, &target.join(&path), &mut meter)?;
        copied.insert(path, entry);
    }
    Ok(copied)
}

/// The last commit in a checkpoint.
fn last_commit(checkpoint: &Path, options: &Options) -> Result<weir_schema::codec::journal::Head, BackupError> {
    let unreadable = |reason: String| BackupError::Checkpoint(reason);
    let options = Options { block_cache_bytes: 1 << 20, ..options.clone() };
    let engine = Engine::open(checkpoint, &options, Health::default()).map_err(|error| match error {
        OpenError::Unreadable { message, .. } => unreadable(message),
        other => unreadable(other.to_string()),
    })?;
    let head = engine.live().and_then(|live| read_head(&live));
    let closed = Handle::current().block_on(engine.close());
    let head = head.map_err(|poisoned| unreadable(poisoned.reason.to_string()))?;
    closed.map_err(|poisoned| unreadable(poisoned.reason.to_string()))?;
    Ok(head)
}

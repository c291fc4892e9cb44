//! A data folder in the making, beside the one that it is to be, and how it takes its place.
//!
//! It grows in `DATA.restoring/data`. Just before it takes its place, it gets a file `STAGED` and the room around it a
//! file `SWAPPING`. Where there is a data folder already, both change places in one step if the system can do that
//! (Linux, macOS). So after a crash at any moment `DATA` is what it was or what it was to be, and the next attempt can
//! tell which: `DATA/STAGED` says that it is in place, and that what lies in the room is the data from before; that is
//! never removed. Elsewhere `DATA` is renamed away before, and does not exist for a moment.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, CopyError, Scratch, at};

/// In a folder that was staged: until everything around it is tidied up.
const STAGED: &str = "STAGED";
/// In the room, once the folders may have changed places.
const SWAPPING: &str = "SWAPPING";

/// What may become of a data folder that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It has to stay: only a new or empty folder is filled.
    Keep,
    /// It gives way, and is kept under another name.
    Replace,
}

/// Why a folder cannot be staged or put into place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StagingError {
    #[error("{0}")]
    Occupied(PathBuf),
    #[error("{0}")]
    InUse(PathBuf),
    #[error(transparent)]
    Files(#[from] CopyError),
}

/// A data folder that is not in place yet; gone with its value.
pub(crate) struct Staging {
    /// Where it is to be; no symbolic link.
    data: PathBuf,
    room: Scratch,
    existing: Existing,
    /// Keeps others from opening the folder that is there.
    lock: Option<File>,
}

impl Staging {
    /// Makes room beside `data`, which is not touched but for what an earlier attempt left.
    pub(crate) fn new(data: &Path, existing: Existing) -> Result<Self, StagingError> {
        let data = files::real_path(data);
        if let Some(parent) = data.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let room = files::with_suffix(&data, ".restoring");
        let lock = lock(&data)?;
        settle(&data, &room, None)?;
        if existing == Existing::Keep && !files::is_free(&data)? {
            return Err(StagingError::Occupied(data));
        }
        files::create_private(&room).map_err(at(&room))?;
        let staging = Self { data, room: Scratch::new(room), existing, lock };
        let staged = staging.path();
        fs::create_dir(&staged).map_err(at(&staged))?;
        if let Ok(before) = fs::metadata(&staging.data) {
            fs::set_permissions(&staged, before.permissions()).map_err(at(&staged))?;
        }
        Ok(staging)
    }

    /// The data folder in the making.
    pub(crate) fn path(&self) -> PathBuf {
        self.room.path().join("data")
    }

    /// Puts it into place; the name that the folder from before has now.
    pub(crate) fn place(self) -> Result<Option<PathBuf>, StagingError> {
        let is_free = files::is_free(&self.data)?;
        if self.existing == Existing::Keep && !is_free {
            return Err(StagingError::Occupied(self.data.clone()));
        }
        let staged = self.path();
        let Self { data, room, lock, .. } = self;
        files::write(&staged.join(STAGED), b"")?;
        files::sync_folders(&staged)?;
        files::write(&room.path().join(SWAPPING), b"")?;
        files::sync_folder(room.path())?;
        let kept = if is_free {
            take(&staged, &data)?;
            None
        } else {
            let name = free_name(&data);
            exchange(&staged, &data, &name).map_err(at(&data))?;
            Some(name)
        };
        // What is in the room now may be the data from before.
        let room_path = room.path().to_owned();
        room.keep();
        files::sync_folder(files::parent(&data))?;
        settle(&data, &room_path, kept.as_deref())?;
        drop(lock);
        Ok(kept)
    }
}

/// Moves a folder to where nothing or an empty folder is.
fn take(staged: &Path, data: &Path) -> Result<(), CopyError> {
    if data.exists() {
        fs::remove_dir(data).map_err(at(data))?;
    }
    fs::rename(staged, data).map_err(at(data))
}

/// Makes sure that nobody has the folder open, and nobody opens it meanwhile. It is the engine's own lock.
fn lock(data: &Path) -> Result<Option<File>, StagingError> {
    let path = data.join("tree").join("LOCK");
    let file = match File::options().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(at(&path)(error).into()),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StagingError::InUse(data.to_owned())),
        Err(TryLockError::Error(error)) => Err(at(&path)(error).into()),
    }
}

/// Tidies up after a swap, or after what a crash left of one: see the head of this file. What was there before the swap
/// gets the name `kept`.
fn settle(data: &Path, room: &Path, kept: Option<&Path>) -> Result<(), CopyError> {
    let (staged, mark, swapping) = (room.join("data"), data.join(STAGED), room.join(SWAPPING));
    let is_from_before = mark.exists() || swapping.exists() && !staged.join(STAGED).exists();
    if is_from_before && staged.exists() {
        let name = kept.map_or_else(|| free_name(data), Path::to_owned);
        fs::rename(&staged, &name).map_err(at(&name))?;
        files::sync_folder(files::parent(data))?;
    }
    if swapping.exists() {
        fs::remove_file(&swapping).map_err(at(&swapping))?;
        files::sync_folder(room)?;
    }
    files::remove(room)?;
    if mark.exists() {
        fs::remove_file(&mark).map_err(at(&mark))?;
        files::sync_folder(data)?;
    }
    Ok(())
}

/// A name for the folder from before that nothing has yet.
fn free_name(data: &Path) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |more: &str| files::with_suffix(data, &format!(".before-restore-{now}{more}"));
    let mut found = name("");
    let mut number = 2;
    while found.exists() {
        found = name(&format!("-{number}"));
        number += 1;
    }
    found
}

/// Lets two folders change places in one step.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(staged: &Path, data: &Path, name: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, staged, CWD, data, RenameFlags::EXCHANGE) {
        // A file system that cannot.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            replace(staged, data, name)
        }
        other => Ok(other?),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(staged: &Path, data: &Path, name: &Path) -> io::Result<()> {
    replace(staged, data, name)
}

/// Puts one folder in the place of another, which gets a new name first.
fn replace(staged: &Path, data: &Path, name: &Path) -> io::Result<()> {
    fs::rename(data, name)?;
    fs::rename(staged, data).inspect_err(|_| {
        // Back to what it was; the first error is the one to tell.
        let _ = fs::rename(name, data);
    })
}

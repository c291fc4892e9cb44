//! Copies files so that they are on disk, and says what was copied.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::manifest::FileEntry;
use crate::progress::{Meter, Stopped};

/// Bytes that are read at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Why a file was not copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Puts the path of a file before what the operating system says of it.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> CopyError {
    move |source| CopyError::Io { path: path.to_owned(), source }
}

/// The files below a folder, by their paths with `/`. Symbolic links and the like are named as files, so that whoever
/// compares names finds them.
pub(crate) fn list(folder: &Path) -> Result<BTreeMap<String, PathBuf>, CopyError> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = waiting.pop() {
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry.map_err(at(&folder))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(at(&entry.path()))?.is_dir() {
                waiting.push((entry.path(), format!("{name}/")));
            } else {
                found.insert(name, entry.path());
            }
        }
    }
    Ok(found)
}

/// Copies one file into a new one, synced, and returns what was read. Folders on the way are made.
pub(crate) fn copy(from: &Path, to: &Path, meter: &mut Meter<'_>) -> Result<FileEntry, CopyError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    let mut source = File::open(from).map_err(at(from))?;
    let mut target = OpenOptions::new().write(true).create_new(true).open(to).map_err(at(to))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut digest, mut size) = (Sha256::new(), 0);
    loop {
        let count = source.read(&mut buffer).map_err(at(from))?;
        let read = buffer.get(..count).unwrap_or_default();
        if read.is_empty() {
            break;
        }
        target.write_all(read).map_err(at(to))?;
        digest.update(read);
        size += read.len() as u64;
        meter.add(read.len() as u64)?;
    }
    target.sync_all().map_err(at(to))?;
    Ok(FileEntry { size, sha256: hex(&digest.finalize()) })
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a new file, synced.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), CopyError> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(at(path))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at(path))
}

/// Writes a new file that only its owner can read, synced, and says what it has.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<FileEntry, CopyError> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create_new(true).open(path).map_err(at(path))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at(path))?;
    Ok(FileEntry { size: content.len() as u64, sha256: hex(&Sha256::digest(content)) })
}

/// Makes the names in a folder and in those below survive a power cut.
pub(crate) fn sync_folders(folder: &Path) -> Result<(), CopyError> {
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        if entry.file_type().map_err(at(&entry.path()))?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

/// Makes the names in a folder survive a power cut. Windows has no such call and needs none.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), CopyError> {
    if cfg!(unix) { File::open(folder).and_then(|file| file.sync_all()).map_err(at(folder)) } else { Ok(()) }
}

/// The folder that a path is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        // The root of the file system is in itself.
        None => path,
    }
}

/// A path as it is once links are followed; one that leads nowhere yet, without a slash at its end.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.components().collect())
}

/// A folder that nobody else may look into, where the system has such folders.
pub(crate) fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A path with something appended to its last name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether a path is free: nothing is there, or an empty folder.
pub(crate) fn is_free(path: &Path) -> Result<bool, CopyError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(at(path)(error)),
    }
}

/// The size of all files in a folder; those that go meanwhile are not counted.
pub(crate) fn size(folder: &Path) -> u64 {
    let files = list(folder).unwrap_or_default();
    files.values().filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum()
}

/// Removes a folder with all that is in it, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<(), CopyError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}

/// A folder that is removed with its value, unless it is kept.
pub(crate) struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, kept: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets it stay, because it has become something else.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is found and removed by whoever needs its place next.
        if !self.kept
            && let Err(error) = remove(&self.path)
        {
            tracing::warn!("{error}");
        }
    }
}

//! Files that hold secrets: read only where nobody but their owner can reach them.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// Why a file is not read. Shown after its name.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The system does not give it out.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a file")]
    NotAFile,
    /// Others than its owner can reach it.
    #[error("is open to others (mode {mode:03o}): restrict it with chmod 600")]
    Open {
        /// Its permissions.
        mode: u32,
    },
    /// It is something else.
    #[error("is larger than {0} bytes")]
    TooLarge(usize),
}

/// Reads a file of at most so many bytes.
pub fn read(file: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    // Before it is opened: opening a pipe waits for whoever writes to it.
    check(&fs::metadata(file)?)?;
    let file = File::open(file)?;
    // The name may lead elsewhere by now, so what was opened decides.
    let metadata = file.metadata()?;
    check(&metadata)?;
    let expected = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if expected > bytes_max {
        return Err(PrivateFileError::TooLarge(bytes_max));
    }
    // All of the room at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    file.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a new file that only its owner can reach.
pub fn create(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    io::Write::write_all(&mut file, text)?;
    file.sync_all()
}

fn check(metadata: &Metadata) -> Result<(), PrivateFileError> {
    if !metadata.is_file() {
        return Err(PrivateFileError::NotAFile);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(PrivateFileError::Open { mode });
        }
    }
    Ok(())
}

//! Brings a data folder to the format of this binary.
//!
//! The marker is rewritten after each step, so that a start that was cut off goes on with the step that it did not
//! finish. A step therefore has to bear being run again over what it left.

use std::io;
use std::path::{Path, PathBuf};

use crate::marker::{self, Found};

/// One step: from the version before to the next one.
type Step = fn(&Path) -> io::Result<()>;

/// The steps in order; the first leads from format 1 to format 2.
const STEPS: &[Step] = &[];

/// The format that this binary reads and writes.
pub const FORMAT: u32 = 1 + STEPS.len() as u32;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It holds something that Weir did not write.
    #[error(
        "{} is not a Weir data folder: it is not empty and has no valid {} file; choose another one with --data",
        .0.display(), marker::FILE
    )]
    Foreign(PathBuf),
    /// A later version of Weir wrote it.
    #[error(
        "{} was made by a newer Weir (format {found}, this one reads up to {supported}): use that version",
        .directory.display()
    )]
    Newer {
        /// The data folder.
        directory: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this binary reads.
        supported: u32,
    },
    /// It cannot be read or written.
    #[error("{} cannot be used: {source}", .directory.display())]
    Io {
        /// The data folder.
        directory: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Makes sure that `directory` is a data folder of format [`FORMAT`]: creates it or runs the steps that are missing.
pub fn prepare(directory: &Path) -> Result<(), PrepareError> {
    run(directory, STEPS)
}

fn run(directory: &Path, steps: &[Step]) -> Result<(), PrepareError> {
    let io = |source| PrepareError::Io { directory: directory.to_owned(), source };
    let supported = 1 + steps.len() as u32;
    let found = match marker::read(directory).map_err(io)? {
        Found::Nothing => return marker::write(directory, supported).map_err(io),
        Found::Foreign => return Err(PrepareError::Foreign(directory.to_owned())),
        Found::Format(format) => format,
    };
    if found > supported {
        return Err(PrepareError::Newer { directory: directory.to_owned(), found, supported });
    }
    // There never was a format 0.
    let Some(done) = found.checked_sub(1) else { return Err(PrepareError::Foreign(directory.to_owned())) };
    for (format, step) in (2..).zip(steps).skip(done as usize) {
        step(directory).map_err(io)?;
        marker::write(directory, format).map_err(io)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn append(directory: &Path, letter: &str) -> io::Result<()> {
        let file = directory.join("trace");
        let text = fs::read_to_string(&file).unwrap_or_default();
        fs::write(file, text + letter)
    }

    fn trace(directory: &Path) -> String {
        fs::read_to_string(directory.join("trace")).unwrap_or_default()
    }

    const ALL: [Step; 3] = [|d| append(d, "a"), |d| append(d, "b"), |d| append(d, "c")];

    #[test]
    fn a_new_folder_has_the_format_of_this_binary_at_once() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(prepare(folder.path()).is_ok());
        assert_eq!(marker::read(folder.path())?, Found::Format(FORMAT));
        assert!(run(folder.path(), &ALL).is_ok());
        assert_eq!(trace(folder.path()), "abc");
        Ok(())
    }

    #[test]
    fn a_failed_step_is_where_the_next_start_goes_on() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        marker::write(folder.path(), 2)?;
        let failing: [Step; 3] = [ALL[0], ALL[1], |_| Err(io::Error::other("power cut"))];
        assert!(matches!(run(folder.path(), &failing), Err(PrepareError::Io { .. })));
        assert_eq!(marker::read(folder.path())?, Found::Format(3));
        assert!(run(folder.path(), &ALL).is_ok());
        assert_eq!(trace(folder.path()), "bc");
        Ok(())
    }

    #[test]
    fn what_cannot_be_used_is_said() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        marker::write(folder.path(), 9)?;
        let error = run(folder.path(), &ALL).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.ends_with("was made by a newer Weir (format 9, this one reads up to 4): use that version"));
        marker::write(folder.path(), 0)?;
        assert!(matches!(run(folder.path(), &ALL), Err(PrepareError::Foreign(_))));
        Ok(())
    }
}

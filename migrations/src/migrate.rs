//! Brings a data folder to the format of this binary.
//!
//! The marker is rewritten after each step, so that a start that was cut off goes on with the step that it did not
//! finish. A step therefore has to bear being run again over what it left, wherever it was cut off.

use std::io;
use std::path::{Path, PathBuf};

use crate::administrator_tokens;
use crate::journal_offsets;
use crate::kept_bundles;
use crate::marker::{self, Found};

/// A key and its value.
pub type Record = (Vec<u8>, Vec<u8>);

/// What a step changes: the records of the database, by key.
pub trait Records {
    /// The records from a key up to and without another, in order, at most so many.
    fn read(&self, from: &[u8], to: &[u8], limit: usize) -> io::Result<Vec<Record>>;

    /// Writes and, where there is no value, removes records, all or none and durably. What a record was before is
    /// forgotten.
    fn write(&mut self, records: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> io::Result<()>;
}

/// One step: from the version before to the next one.
type Step = fn(&mut dyn Records) -> io::Result<()>;

/// The steps in order; the first leads from format 1 to format 2.
const STEPS: &[Step] = &[journal_offsets::run, administrator_tokens::run, kept_bundles::run];

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

/// Makes sure that `directory` is a data folder that this binary can read, and creates it where there is none. One of an
/// older format has to be upgraded before anything else is made of it.
pub fn prepare(directory: &Path) -> Result<Option<Upgrade>, PrepareError> {
    prepare_for(directory, FORMAT)
}

fn prepare_for(directory: &Path, supported: u32) -> Result<Option<Upgrade>, PrepareError> {
    let io = |source| PrepareError::Io { directory: directory.to_owned(), source };
    let found = match marker::read(directory).map_err(io)? {
        Found::Nothing => {
            marker::write(directory, supported).map_err(io)?;
            return Ok(None);
        }
        Found::Foreign => return Err(PrepareError::Foreign(directory.to_owned())),
        Found::Format(format) => format,
    };
    if found > supported {
        return Err(PrepareError::Newer { directory: directory.to_owned(), found, supported });
    }
    // There never was a format 0.
    let Some(done) = found.checked_sub(1) else { return Err(PrepareError::Foreign(directory.to_owned())) };
    Ok((found < supported).then(|| Upgrade { directory: directory.to_owned(), done }))
}

/// The steps that a folder is behind.
#[derive(Debug)]
pub struct Upgrade {
    directory: PathBuf,
    /// Steps that it has had.
    done: u32,
}

impl Upgrade {
    /// Runs the steps over the records of the folder's database.
    pub fn run(self, records: &mut dyn Records) -> Result<(), PrepareError> {
        self.run_steps(records, STEPS)
    }

    fn run_steps(self, records: &mut dyn Records, steps: &[Step]) -> Result<(), PrepareError> {
        let io = |source| PrepareError::Io { directory: self.directory.clone(), source };
        for (format, step) in (2..).zip(steps).skip(self.done as usize) {
            step(records).map_err(io)?;
            marker::write(&self.directory, format).map_err(io)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn append(records: &mut dyn Records, letter: u8) -> io::Result<()> {
        let mut trace = records.read(b"T", b"U", 1)?.pop().map(|(_, trace)| trace).unwrap_or_default();
        trace.push(letter);
        records.write(vec![(b"T".to_vec(), Some(trace))])
    }

    const ALL: [Step; 3] = [|r| append(r, b'a'), |r| append(r, b'b'), |r| append(r, b'c')];

    fn upgrade(directory: &Path, records: &mut Memory, steps: &[Step]) -> Result<(), PrepareError> {
        match prepare_for(directory, 1 + steps.len() as u32)? {
            Some(upgrade) => upgrade.run_steps(records, steps),
            None => Ok(()),
        }
    }

    #[test]
    fn a_new_folder_has_the_format_of_this_binary_at_once() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(matches!(prepare(folder.path()), Ok(None)));
        assert_eq!(marker::read(folder.path())?, Found::Format(FORMAT));
        Ok(())
    }

    #[test]
    fn a_failed_step_is_where_the_next_start_goes_on() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut records = Memory::default();
        marker::write(folder.path(), 2)?;
        let failing: [Step; 3] = [ALL[0], ALL[1], |_| Err(io::Error::other("power cut"))];
        assert!(matches!(upgrade(folder.path(), &mut records, &failing), Err(PrepareError::Io { .. })));
        assert_eq!(marker::read(folder.path())?, Found::Format(3));
        assert!(upgrade(folder.path(), &mut records, &ALL).is_ok());
        assert_eq!(records.read(b"T", b"U", 1)?, [(b"T".to_vec(), b"bc".to_vec())]);
        assert!(matches!(prepare_for(folder.path(), 4), Ok(None)));
        Ok(())
    }

    #[test]
    fn what_cannot_be_used_is_said() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        marker::write(folder.path(), 9)?;
        let error = prepare_for(folder.path(), 4).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.ends_with("was made by a newer Weir (format 9, this one reads up to 4): use that version"));
        marker::write(folder.path(), 0)?;
        assert!(matches!(prepare_for(folder.path(), 4), Err(PrepareError::Foreign(_))));
        Ok(())
    }
}

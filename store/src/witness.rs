//! What was acknowledged, remembered beside the database: the file `ACKNOWLEDGED` in the data folder.
//!
//! A log that ends too early looks like one that a crash tore: its last commit may be one that nobody was told of, or
//! one that the disk has lost. The number in this file tells them apart. It is written after a commit is durable and
//! never synced, so a power cut may leave an older one, but none is ever ahead of what was durable: a database that
//! ends before it has lost acknowledged commits, and is not opened.
//!
//! The file is one line: the sequence number, and the first half of the digest of its digits.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use weir_schema::digest::Digest;

use crate::error::OpenError;

/// The name of the file in the data folder.
const FILE: &str = "ACKNOWLEDGED";

/// The file, open.
pub(crate) struct Witness(File);

impl Witness {
    /// Compares a database that ends at `head` with what was acknowledged.
    pub(crate) fn open(directory: &Path, head: u64) -> Result<Self, OpenError> {
        let path = directory.join(FILE);
        let unreadable = |error: io::Error| OpenError::Unreadable {
            directory: directory.to_owned(),
            message: format!("{FILE}: {error}"),
        };
        let acknowledged = match fs::read(&path) {
            Ok(line) => parse(&line).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(unreadable(error)),
        };
        if acknowledged > head {
            return Err(OpenError::CommitsMissing { directory: directory.to_owned(), acknowledged, found: head });
        }
        let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(unreadable)?;
        Ok(Self(file))
    }

    /// Remembers that all commits up to this one are durable.
    pub(crate) fn acknowledge(&self, sequence: u64) {
        let mut file = &self.0;
        let line = line(sequence);
        let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            // An older number is as true, it only proves less.
            tracing::warn!(%error, "cannot write {FILE}");
        }
    }
}

/// Always of the same length.
fn line(sequence: u64) -> String {
    let digits = format!("{sequence:020}");
    let digest = Digest::of(digits.as_bytes()).to_string();
    let half: String = digest.chars().take(32).collect();
    format!("{digits} {half}\n")
}

/// The number of a line that is whole; a power cut may leave half of one.
fn parse(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let sequence = text.split(' ').next()?.parse().ok()?;
    (line(sequence) == text).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_count() {
        let whole = line(42);
        assert_eq!(parse(whole.as_bytes()), Some(42));
        assert_eq!(whole.len(), line(u64::MAX).len());
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..cut]), None, "{cut}");
        }
        assert_eq!(parse(whole.replace("42", "43").as_bytes()), None);
        assert_eq!(parse(b""), None);
    }
}

//! The file `audit-keys` of a data folder: the keys by which the keys of people are wrapped, one for each bucket.
//!
//! It is small, so that a key can be destroyed in it. A database keeps what was replaced until it compacts, a copy on write file
//! system until it needs the room; here a new file takes the place of the old one, which is then overwritten.
//!
//! Format: [`MAGIC`], the keys of all buckets in order, the number of keys that are being replaced, each with its bucket before it,
//! and the SHA-256 of all that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use weir_schema::digest::Digest;
use zeroize::Zeroizing;

use crate::backup::files::{parent, sync_folder, with_suffix};
use crate::cipher::{KEY_BYTES, SealingKey};

/// The name of the file in a data folder, and in a backup.
pub(crate) const FILE: &str = "audit-keys";
/// Buckets: a byte says which.
pub(super) const BUCKETS: usize = 256;

const MAGIC: &[u8] = b"weir audit keys 1\n";
const DIGEST_BYTES: usize = 32;
/// The most that a file has: every bucket being replaced.
const FILE_BYTES_MAX: usize = MAGIC.len() + BUCKETS * (2 * KEY_BYTES + 1) + 2 + DIGEST_BYTES;

/// The keys of all buckets.
#[derive(Clone)]
pub(crate) struct Keys {
    buckets: Vec<SealingKey>,
    /// Those of before, for as long as a write that does without them is under way.
    pub(super) replaced: Vec<(u8, SealingKey)>,
}

impl Keys {
    /// New ones.
    pub(super) fn draw() -> io::Result<Self> {
        let buckets = (0..BUCKETS).map(|_| SealingKey::draw().map_err(io::Error::other));
        Ok(Self { buckets: buckets.collect::<io::Result<_>>()?, replaced: Vec::new() })
    }

    /// That of a bucket.
    pub(super) fn of(&self, bucket: u8) -> Option<&SealingKey> {
        self.buckets.get(usize::from(bucket))
    }

    /// Gives a bucket a key and returns the one of before.
    pub(super) fn exchange(&mut self, bucket: u8, key: SealingKey) -> Option<SealingKey> {
        self.buckets.get_mut(usize::from(bucket)).map(|of| std::mem::replace(of, key))
    }

    /// As they lie in the file.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // As large as it gets at once: what grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX));
        bytes.extend_from_slice(MAGIC);
        self.buckets.iter().for_each(|key| bytes.extend_from_slice(key.bytes()));
        bytes.extend_from_slice(&u16::try_from(self.replaced.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (bucket, key) in &self.replaced {
            bytes.push(*bucket);
            bytes.extend_from_slice(key.bytes());
        }
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (bytes, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST_BYTES)?)?;
        if Digest::of(bytes).as_bytes().as_slice() != digest {
            return None;
        }
        let (buckets, rest) = bytes.strip_prefix(MAGIC)?.split_at_checked(BUCKETS * KEY_BYTES)?;
        let buckets = buckets.chunks(KEY_BYTES).map(SealingKey::of).collect::<Option<Vec<_>>>()?;
        let (count, rest) = rest.split_first_chunk::<2>()?;
        let replaced = rest.chunks(1 + KEY_BYTES).map(|entry| {
            let (bucket, key) = entry.split_first()?;
            Some((*bucket, SealingKey::of(key)?))
        });
        let replaced = replaced.collect::<Option<Vec<_>>>()?;
        (replaced.len() == usize::from(u16::from_be_bytes(*count))).then_some(Self { buckets, replaced })
    }
}

/// Reads the file; `None`: there is none.
pub(super) fn read(directory: &Path) -> io::Result<Option<Keys>> {
    let file = match File::open(directory.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    // A copy may have come with the permissions of copies.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let damaged = || io::Error::other(format!("the file {FILE} is damaged"));
    Keys::parse(&bytes).map(Some).ok_or_else(damaged)
}

/// Puts the file in the place of the one that is there, durably, and overwrites what that one had.
pub(super) fn write(directory: &Path, keys: &Keys) -> io::Result<()> {
    let (path, new) = (directory.join(FILE), with_suffix(&directory.join(FILE), ".new"));
    remove(&new)?;
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.write(true).create_new(true).open(&new)?;
    written.write_all(&keys.to_bytes())?;
    written.sync_all()?;
    let old = match OpenOptions::new().write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        opened => Some(opened?),
    };
    fs::rename(&new, &path)?;
    sync_folder(parent(&path)).map_err(io::Error::other)?;
    old.map_or(Ok(()), overwrite)
}

/// Removes a file of keys, if it is there, that a crash may have left.
fn remove(path: &PathBuf) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => {
            overwrite(opened?)?;
            fs::remove_file(path)
        }
    }
}

fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len().min(FILE_BYTES_MAX as u64);
    file.rewind()?;
    file.write_all(&vec![0; usize::try_from(length).unwrap_or_default()])?;
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_the_file_wherever_it_came_from() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write(folder.path(), &Keys::draw().unwrap()).unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(folder.path()).unwrap().is_some());
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn the_file_is_read_as_it_was_written_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap().is_none());
        let mut keys = Keys::draw().unwrap();
        write(folder.path(), &keys).unwrap();
        let old = keys.exchange(7, SealingKey::draw().unwrap()).unwrap();
        keys.replaced.push((7, old.clone()));
        // What a crash has left is in nobody's way.
        fs::write(folder.path().join("audit-keys.new"), "half").unwrap();
        let held = File::open(folder.path().join(FILE)).unwrap();
        write(folder.path(), &keys).unwrap();
        let again = read(folder.path()).unwrap().unwrap();
        assert!(again.buckets == keys.buckets && again.replaced == [(7, old)]);
        let mut before = Vec::new();
        (&held).read_to_end(&mut before).unwrap();
        assert!(!before.is_empty() && before.iter().all(|byte| *byte == 0), "what was there is overwritten");
        let bytes = fs::read(folder.path().join(FILE)).unwrap();
        for place in [0, MAGIC.len(), bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            fs::write(folder.path().join(FILE), changed).unwrap();
            assert_eq!(read(folder.path()).err().unwrap().to_string(), "the file audit-keys is damaged");
        }
        fs::write(folder.path().join(FILE), &bytes[..40]).unwrap();
        assert!(read(folder.path()).is_err());
    }
}

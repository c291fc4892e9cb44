//! Keys from a file that only its owner can reach, apart from the data.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::Path;
use std::str;

use zeroize::Zeroizing;

use super::{KeyRing, KeysError};

/// The largest file of keys, in bytes: hundreds of keys.
pub const KEY_FILE_BYTES_MAX: usize = 64 << 10;

impl KeyRing {
    /// Reads the keys of a data folder, which need not exist yet, from a file outside of it.
    pub fn read(file: &Path, data: &Path) -> Result<Self, KeysError> {
        // Before it is opened: opening a pipe waits for whoever writes to it.
        check(&fs::metadata(file).map_err(KeysError::Unreadable)?)?;
        if lies_in(file, data)? {
            return Err(KeysError::BesideTheData);
        }
        let file = File::open(file).map_err(KeysError::Unreadable)?;
        // The name may lead elsewhere by now, so what was opened decides.
        check(&file.metadata().map_err(KeysError::Unreadable)?)?;
        // All of the room at once: a vector that grows leaves copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX + 1));
        file.take(KEY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(KeysError::Unreadable)?;
        if text.len() > KEY_FILE_BYTES_MAX {
            return Err(KeysError::TooLarge);
        }
        Self::parse(str::from_utf8(&text).map_err(|_| KeysError::NotText)?)
    }
}

fn check(metadata: &Metadata) -> Result<(), KeysError> {
    if !metadata.is_file() {
        return Err(KeysError::NotAFile);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeysError::Open { mode });
        }
    }
    Ok(())
}

/// Whether a file lies in a folder, links resolved. A folder that does not exist has no files.
fn lies_in(file: &Path, folder: &Path) -> Result<bool, KeysError> {
    let Ok(folder) = fs::canonicalize(folder) else { return Ok(false) };
    Ok(fs::canonicalize(file).map_err(KeysError::Unreadable)?.starts_with(folder))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const KEY: &str = "1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

    fn refusal(file: &Path, data: &Path) -> String {
        KeyRing::read(file, data).unwrap_err().to_string()
    }

    /// A file that only its owner can read.
    fn write(file: &Path, text: impl AsRef<[u8]>) {
        fs::write(file, text).unwrap();
        #[cfg(unix)]
        permit(file, 0o600);
    }

    #[cfg(unix)]
    fn permit(file: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_of_keys_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, data) = (folder.path().join("keys"), folder.path().join("data"));
        write(&file, KEY);
        assert_eq!(KeyRing::read(&file, &data).unwrap(), KeyRing::parse(KEY).unwrap());
        write(&file, format!("#{}\n{KEY}", " ".repeat(KEY_FILE_BYTES_MAX - KEY.len() - 2)));
        KeyRing::read(&file, &data).unwrap();
    }

    #[test]
    fn what_is_no_file_of_keys_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, data) = (folder.path().join("keys"), folder.path().join("data"));
        assert!(refusal(&file, &data).starts_with("cannot be read: "));
        assert_eq!(refusal(folder.path(), &data), "is not a file");
        write(&file, "#".repeat(KEY_FILE_BYTES_MAX + 1));
        assert_eq!(refusal(&file, &data), "is larger than 65536 bytes, so it is no file of keys");
        write(&file, b"1 \xff");
        assert_eq!(refusal(&file, &data), "is not text: it has one key a line, a number, a blank and 64 hex digits");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_reach_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, data) = (folder.path().join("keys"), folder.path().join("data"));
        write(&file, KEY);
        for mode in [0o640, 0o620, 0o604, 0o601, 0o644] {
            permit(&file, mode);
            let expected = format!("is open to others (mode {mode:03o}): restrict it with chmod 600");
            assert_eq!(refusal(&file, &data), expected);
        }
        permit(&file, 0o400);
        KeyRing::read(&file, &data).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_in_the_data_folder_is_refused_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, data) = (folder.path().join("data/tree/keys"), folder.path().join("data"));
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        write(&inside, KEY);
        let (link, other) = (folder.path().join("link"), folder.path().join("other"));
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        std::os::unix::fs::symlink(&data, &other).unwrap();
        let roundabout = folder.path().join("data/../data/tree/../tree/keys");
        for file in [&inside, &link, &roundabout] {
            for data in [&data, &other] {
                let expected = "lies in the data folder: keep keys apart from the data that they protect";
                assert_eq!(refusal(file, data), expected);
            }
        }
        // A folder whose name only begins the same.
        let beside = folder.path().join("data.keys");
        write(&beside, KEY);
        KeyRing::read(&beside, &data).unwrap();
    }
}

//! The file `BACKUP`: what a backup holds, with the digest of every file. Written last, so a folder that has it is whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use weir_schema::commit::Timestamp;

/// The name of the manifest in the folder of a backup.
pub(crate) const FILE: &str = "BACKUP";
/// The folder beside it that holds a data folder. `BACKUP` itself is outside, so that nobody serves a backup in place:
/// the folder of a backup is not a data folder.
pub(crate) const DATA: &str = "data";

const PRODUCT: &str = "weir";
const VERSION: u32 = 1;
/// The longest manifest that is read. 100,000 files have one of 16 MiB.
const BYTES_MAX: u64 = 256 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    product: String,
    /// The version of this file.
    backup: u32,
    /// The format of the data folder.
    pub format: u32,
    /// The last commit that is in it.
    pub sequence: u64,
    /// When that was.
    #[serde(with = "decimal")]
    pub timestamp: Timestamp,
    /// When the backup was made, as RFC 3339.
    pub created: String,
    /// Every file below `data`, by its path with `/`.
    pub files: BTreeMap<String, FileEntry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// Timestamps as the decimal strings that JSON carries them as.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use weir_schema::commit::Timestamp;

    pub(super) fn serialize<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(timestamp)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Timestamp).map_err(|_| D::Error::custom("a timestamp is a decimal string"))
    }
}

impl Manifest {
    pub(crate) fn new(sequence: u64, timestamp: Timestamp, files: BTreeMap<String, FileEntry>) -> Self {
        Self {
            product: PRODUCT.to_owned(),
            backup: VERSION,
            format: weir_migrations::FORMAT,
            sequence,
            timestamp,
            created: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            files,
        }
    }

    /// The size of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }

    /// Reads the manifest of a backup; the error says what is wrong with it.
    pub(crate) fn read(backup: &Path) -> Result<Self, String> {
        let path = backup.join(FILE);
        let text = match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > BYTES_MAX => return Err(format!("its file {FILE} is too large")),
            Ok(_) => fs::read(&path),
            Err(error) => Err(error),
        };
        let text = text.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("it has no file {FILE}"),
            _ => format!("its file {FILE} cannot be read: {error}"),
        })?;
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| format!("its file {FILE} is damaged: {error}"))?;
        if manifest.product != PRODUCT {
            return Err(format!("its file {FILE} is of something else"));
        }
        if manifest.backup > VERSION {
            return Err(format!("it was made by a newer Weir (version {}): use that one", manifest.backup));
        }
        match manifest.files.keys().find(|path| !is_inside(path)) {
            Some(path) => Err(format!("its file {FILE} names {path:?}, which is outside of it")),
            None => Ok(manifest),
        }
    }
}

/// Whether a path stays below the folder that it is joined to.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

//! The arguments of every command that opens a store: where the data is, and which keys it is encrypted with.
//!
//! Keys come from a file or from the environment, never from both: nobody shall have to guess which ones count.

use std::env::{self, VarError};
use std::path::{Path, PathBuf};

use clap::Args;
use weir_store::keys::{KEYS_VARIABLE, KeyRing, KeysError};
use weir_store::{Options, Store};
use zeroize::Zeroizing;

use super::Failure;

/// To be flattened into the arguments of a command.
#[derive(Debug, Args)]
pub struct StorageArguments {
    /// The data folder. [default: APP/.weir/data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The encryption keys, in a file outside of the data folder. [default: those in WEIR_ENCRYPTION_KEYS, if any]
    #[arg(long, value_name = "FILE")]
    encryption_keys: Option<PathBuf>,
}

impl StorageArguments {
    /// What a configuration says.
    pub fn of(data: Option<PathBuf>, encryption_keys: Option<PathBuf>) -> Self {
        Self { data, encryption_keys }
    }

    /// The data folder: `default` unless another was named.
    pub fn folder(&self, default: &Path) -> PathBuf {
        self.data.clone().unwrap_or_else(|| default.to_owned())
    }

    /// The keys of the data folder; `None`: it is not encrypted.
    pub fn keys(&self, default: &Path) -> Result<Option<KeyRing>, Failure> {
        match (&self.encryption_keys, environment()?) {
            (Some(file), Some(_)) => Err(Failure::because(format!(
                "encryption keys are given twice: leave out the file {} or unset {KEYS_VARIABLE}",
                file.display()
            ))),
            (Some(file), None) => KeyRing::read(file, &self.folder(default))
                .map(Some)
                .map_err(|error| Failure::because(format!("{} {error}", file.display()))),
            (None, Some(text)) => {
                KeyRing::parse(&text).map(Some).map_err(|error| Failure::because(format!("{KEYS_VARIABLE} {error}")))
            }
            (None, None) => Ok(None),
        }
    }

    /// What a store is opened with.
    pub fn options(&self, default: &Path) -> Result<Options, Failure> {
        Ok(Options { encryption: self.keys(default)?, ..Options::default() })
    }

    /// The keys that a new one is to be added to; `None`: there are none yet.
    pub fn keys_to_extend(&self, default: &Path) -> Result<Option<KeyRing>, Failure> {
        match &self.encryption_keys {
            Some(file) if !file.exists() => Ok(None),
            Some(file) => match KeyRing::read(file, &self.folder(default)) {
                Err(KeysError::Empty) => Ok(None),
                read => read.map(Some).map_err(|error| Failure::because(format!("{} {error}", file.display()))),
            },
            None => self.keys(default),
        }
    }

    /// Whether the keys come from a file, which can be read again.
    pub fn has_key_file(&self) -> bool {
        self.encryption_keys.is_some()
    }

    /// Opens the store. It blocks, on a thread of a runtime as well as elsewhere.
    pub fn open(&self, default: &Path) -> Result<Store, Failure> {
        Store::open(&self.folder(default), self.options(default)?).map_err(Failure::because)
    }
}

/// The keys in the environment, unparsed.
fn environment() -> Result<Option<Zeroizing<String>>, Failure> {
    match env::var(KEYS_VARIABLE) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(VarError::NotPresent) => Ok(None),
        // The message of the error would repeat the text.
        Err(VarError::NotUnicode(_)) => Err(Failure::because(format!("{KEYS_VARIABLE} is not text"))),
    }
}

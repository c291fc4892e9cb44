//! The engine's encryption: the keys that it asks for, and why it opens nothing without the right ones.
//!
//! Every file is encrypted with a key of its own, made from the key of the ring that is active when the file is begun.
//! Nothing of a ring is ever written.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use surrealkv::{CipherPreference, EncryptionError, KeyManager, KeyState, inspect};

use super::TREE;
use crate::error::OpenError;
use crate::keys::{KeyBytes, KeyId, KeyRing};

/// The ring that the engine uses now. It can be exchanged while the engine runs.
pub(super) struct Keys(ArcSwap<KeyRing>);

impl Keys {
    pub(super) fn new(ring: KeyRing) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(ring)))
    }
}

impl KeyManager for Keys {
    fn active_key_id(&self) -> u32 {
        self.0.load().active()
    }

    fn key_state(&self, id: u32) -> KeyState {
        let ring = self.0.load();
        if id == ring.active() {
            KeyState::Active
        } else if ring.has(id) {
            KeyState::DecryptOnly
        } else {
            KeyState::Unknown
        }
    }

    fn root_key(&self, id: u32) -> Result<KeyBytes, EncryptionError> {
        self.0.load().bytes(id).cloned().ok_or(EncryptionError::UnknownKeyId)
    }
}

/// What the engine is told to encrypt with.
pub(super) fn encrypted(settings: surrealkv::Options, keys: &Arc<Keys>) -> surrealkv::Options {
    settings.with_encryption(keys.clone(), CipherPreference::Auto)
}

/// Why a folder does not open with these keys.
pub(super) fn refusal(directory: &Path, ring: Option<&KeyRing>, error: &EncryptionError) -> OpenError {
    let directory = directory.to_owned();
    match error {
        EncryptionError::NotConfigured => OpenError::KeysMissing(directory),
        EncryptionError::NotEncrypted => OpenError::NotEncrypted(directory),
        EncryptionError::UnknownKeyId => {
            let missing = written_with(&directory).into_iter().filter(|id| !ring.is_some_and(|ring| ring.has(*id)));
            OpenError::KeyMissing { missing: missing.collect(), directory }
        }
        EncryptionError::WrongKey => {
            let given = written_with(&directory).into_iter().filter(|id| ring.is_some_and(|ring| ring.has(*id)));
            OpenError::WrongKey { given: given.collect(), directory }
        }
        other => OpenError::Unreadable { directory, message: other.to_string() },
    }
}

/// The numbers of the keys that the files of a folder name, which needs no key.
fn written_with(directory: &Path) -> Vec<KeyId> {
    let report = inspect::encryption_report(directory.join(TREE));
    report.map(|report| report.keys.iter().map(|usage| usage.key_id).collect()).unwrap_or_default()
}

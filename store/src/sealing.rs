//! What is sealed besides the encryption of the folder: bundles. A store draws a key for that, for itself alone, and keeps it as one of
//! its records: wrapped by the active encryption key where the folder is encrypted, as it is where it is not.
//!
//! Rule: an exchange of the encryption keys writes nothing again that is sealed, only the key, in one commit. Whatever is cut off,
//! the key is there, wrapped by the one of before or by the new one, and no ring is taken that lacks the one that it is wrapped by.
//!
//! Without encryption the key lies beside what it seals. Then sealing binds each text to where it belongs, and keeps nothing from who
//! has the folder.

use bytes::Bytes;

use crate::cipher::SealingKey;
use crate::control::ControlKey;
use crate::encryption::EncryptionError;
use crate::error::{CommitError, Poisoned, ReadError};
use crate::keys::sealed::{self, SealedKeyError};
use crate::keys::{KeyBytes, KeyId, KeyRing};
use crate::store::Store;
use crate::transaction::Transaction;

/// What the key is for, as part of what wraps it. No tenant has such a name.
const OF: &str = "bundles of the store";

/// Why a text is not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The transaction cannot go on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The key cannot be used.
    #[error("the key that bundles are sealed by {0}")]
    Key(#[from] SealedKeyError),
    /// The operating system gives no randomness.
    #[error("nothing can be sealed: the system gives no randomness")]
    NoRandomness,
}

/// Why a sealed text is not opened.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// The store has stopped.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The key cannot be used.
    #[error("the key that bundles are sealed by {0}")]
    Key(#[from] SealedKeyError),
    /// It was changed, or belongs elsewhere.
    #[error("what is sealed was changed, or belongs elsewhere")]
    Damaged,
}

impl Store {
    /// Seals a text that is to be written by this transaction, which makes the key where the store has none yet. It opens only
    /// together with what it is bound to, and in this store.
    pub fn seal(&self, transaction: &mut Transaction, text: &[u8], bound: &[u8]) -> Result<Vec<u8>, SealError> {
        let ring = self.core().engine.ring();
        let key = match transaction.control(&ControlKey::SealingKey)? {
            Some(written) => open(&written, ring.as_deref())?,
            None => {
                let key = SealingKey::draw().map_err(|_| SealError::NoRandomness)?;
                transaction.put_control(&ControlKey::SealingKey, Some(written(&key, ring.as_deref())?));
                key
            }
        };
        key.seal(text, bound).map_err(|_| SealError::NoRandomness)
    }

    /// Opens what was sealed, bound to this.
    pub fn unseal(&self, sealed: &[u8], bound: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let written = self.control(&ControlKey::SealingKey)?.ok_or(UnsealError::Damaged)?;
        let key = open(&written, self.core().engine.ring().as_deref())?;
        let mut text = key.open(sealed, bound).ok_or(UnsealError::Damaged)?;
        Ok(std::mem::take(&mut *text))
    }

    /// Wraps the key by the active encryption key, where it is wrapped by another.
    pub(crate) async fn rewrap(&self) -> Result<(), EncryptionError> {
        loop {
            let Some(ring) = self.core().engine.ring() else { return Ok(()) };
            let mut transaction = self.core().begin()?;
            let written = transaction.control(&ControlKey::SealingKey).map_err(of_read)?;
            let Some(rewrapped) = written.and_then(|written| rewrapped(&written, &ring)) else { return Ok(()) };
            transaction.put_control(&ControlKey::SealingKey, Some(rewrapped));
            match self.commit(transaction).await {
                Ok(_) => return Ok(()),
                // It has been made or wrapped meanwhile.
                Err(CommitError::Conflict) => {}
                Err(CommitError::Unavailable(poisoned) | CommitError::OutcomeUnknown(poisoned)) => {
                    return Err(poisoned.into());
                }
                Err(error) => return Err(EncryptionError::Files(error.to_string())),
            }
        }
    }

    /// The encryption key that the key is wrapped by; `None`: there is none.
    pub(crate) fn wrapped_by(&self) -> Result<Option<KeyId>, EncryptionError> {
        let written = self.control(&ControlKey::SealingKey)?;
        Ok(written.and_then(|written| sealed::wrapped_by(&written).ok()))
    }
}

/// The key wrapped anew, for the start of a store; `None`: it is wrapped as it should be, or cannot be opened. Then what it seals is
/// lost, and nothing else is.
pub(crate) fn rewrapped(written: &[u8], ring: &KeyRing) -> Option<Bytes> {
    if sealed::wrapped_by(written).is_ok_and(|id| id == ring.active()) {
        return None;
    }
    match open(written, Some(ring)).and_then(|key| self::written(&key, Some(ring))) {
        Ok(rewrapped) => Some(rewrapped),
        Err(error) => {
            tracing::error!("the key that bundles are sealed by {error}");
            None
        }
    }
}

/// The key as it lies in the store: wrapped in JSON, or its bytes alone.
fn written(key: &SealingKey, ring: Option<&KeyRing>) -> Result<Bytes, SealedKeyError> {
    let Some(ring) = ring else { return Ok(Bytes::copy_from_slice(key.bytes())) };
    let mut bytes = Box::new(KeyBytes::default());
    bytes.copy_from_slice(key.bytes());
    Ok(sealed::seal(&bytes, OF, ring)?.into())
}

fn open(written: &[u8], ring: Option<&KeyRing>) -> Result<SealingKey, SealedKeyError> {
    let key = match ring {
        Some(ring) => SealingKey::of(sealed::unwrap(written, OF, ring)?.as_slice()),
        None => SealingKey::of(written),
    };
    key.ok_or(SealedKeyError::Damaged)
}

fn of_read(error: ReadError) -> EncryptionError {
    match error {
        ReadError::Poisoned(poisoned) => poisoned.into(),
        error => EncryptionError::Files(error.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::options::Options;

    fn ring(ids: &[KeyId]) -> KeyRing {
        let keys: Vec<String> = ids.iter().map(|id| format!("{id} {id:064x}")).collect();
        KeyRing::parse(&keys.join("\n")).unwrap()
    }

    fn open(folder: &Path, encryption: Option<KeyRing>) -> Store {
        Store::open(folder, Options { encryption, ..Options::default() }).unwrap()
    }

    /// Seals in a commit of its own, which has what is sealed.
    async fn seal(store: &Store, text: &[u8], bound: &[u8]) -> Vec<u8> {
        let mut transaction = store.begin().unwrap();
        let sealed = store.seal(&mut transaction, text, bound).unwrap();
        transaction.put_control(&ControlKey::Trusted("sealed".to_owned()), Some(Bytes::copy_from_slice(&sealed)));
        store.commit(transaction).await.unwrap();
        sealed
    }

    fn written(store: &Store) -> Bytes {
        store.control(&ControlKey::SealingKey).unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_is_sealed_opens_where_it_belongs_and_in_its_store_alone() {
        for encryption in [None, Some(ring(&[1]))] {
            let (folder, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let [store, other] = [&folder, &beside].map(|folder| open(folder.path(), encryption.clone()));
            assert!(store.unseal(b"", b"").is_err(), "there is no key yet");
            let (one, two) = (seal(&store, b"one", b"1").await, seal(&store, b"two", b"2").await);
            seal(&other, b"else", b"1").await;
            assert_eq!(store.unseal(&one, b"1").unwrap(), b"one");
            assert_eq!(store.unseal(&two, b"2").unwrap(), b"two");
            for (store, sealed, bound) in [(&store, &one, b"2"), (&store, &two, b"1"), (&other, &one, b"1")] {
                assert!(matches!(store.unseal(sealed, bound), Err(UnsealError::Damaged)));
            }
            store.close().await;
            drop(store);
            let store = open(folder.path(), encryption);
            assert_eq!(store.unseal(&one, b"1").unwrap(), b"one");
            for store in [store, other] {
                store.close().await;
            }
        }
    }

    #[tokio::test]
    async fn the_key_follows_the_encryption_keys_while_the_store_is_open_and_when_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), Some(ring(&[1])));
        let sealed = seal(&store, b"text", b"").await;
        assert_eq!(store.wrapped_by(), Ok(Some(1)));
        store.rotate_keys(ring(&[1, 2])).await.unwrap();
        assert_eq!(store.wrapped_by(), Ok(Some(2)));
        assert_eq!(store.unseal(&sealed, b"").unwrap(), b"text");
        store.close().await;
        drop(store);
        let store = open(folder.path(), Some(ring(&[1, 2, 3])));
        // The first commit comes after what the start has to write.
        seal(&store, b"", b"").await;
        assert_eq!(store.wrapped_by(), Ok(Some(3)));
        assert_eq!(store.unseal(&sealed, b"").unwrap(), b"text");
        store.close().await;
    }

    /// As after a failure between the exchange and the commit that wraps the key anew.
    #[tokio::test]
    async fn no_encryption_key_is_given_up_that_wraps_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), Some(ring(&[1, 2])));
        let sealed = seal(&store, b"text", b"").await;
        let put = async |written: Bytes| {
            let mut transaction = store.begin().unwrap();
            transaction.put_control(&ControlKey::SealingKey, Some(written));
            store.commit(transaction).await.unwrap();
        };
        let key = super::open(&written(&store), Some(&ring(&[2]))).unwrap();
        put(super::written(&key, Some(&ring(&[1]))).unwrap()).await;
        assert_eq!(store.wrapped_by(), Ok(Some(1)));
        // It is wrapped anew before the ring is looked at.
        store.rotate_keys(ring(&[2, 3])).await.unwrap();
        assert_eq!(store.wrapped_by(), Ok(Some(3)));
        assert_eq!(store.unseal(&sealed, b"").unwrap(), b"text");
        // One that nobody can unwrap any more keeps the encryption key that it names, and is told of.
        let damaged =
            String::from_utf8(written(&store).to_vec()).unwrap().replace("\"sealed\":\"", "\"sealed\":\"AAAA");
        put(damaged.into_bytes().into()).await;
        let refusal = store.unseal(&sealed, b"").unwrap_err().to_string();
        assert_eq!(refusal, "the key that bundles are sealed by is not a sealed key of this folder, or was changed");
        store.rotate_keys(ring(&[2, 3, 4])).await.unwrap();
        store.reencrypt().await.unwrap();
        let refused = store.rotate_keys(ring(&[2, 4])).await;
        assert_eq!(refused, Err(EncryptionError::StillNeeded(vec![3])));
        store.close().await;
    }
}

//! What is sealed besides the encryption of the folder: bundles, and the key that statements about rollouts are signed with. A store draws
//! a key for that, for itself alone, and keeps it as one of its records: wrapped by the active encryption key where the folder is
//! encrypted, as it is where it is not.
//!
//! Rule: an exchange of the encryption keys writes nothing again that is sealed, only the key, in one commit. Whatever is cut off,
//! the key is there, wrapped by the one of before or by the new one, and no ring is taken that lacks the one that it is wrapped by.
//!
//! The key itself can be exchanged too. Then the one of before is kept beside the new one until whoever has sealed texts has written the
//! last of them again: a text says by opening which of the two it is sealed by.
//!
//! Without encryption the key lies beside what it seals. Then sealing binds each text to where it belongs, and keeps nothing from who
//! has the folder.

use bytes::Bytes;
use weir_schema::codec::key::Key;

use crate::cipher::SealingKey;
use crate::control::ControlKey;
use crate::encryption::EncryptionError;
use crate::engine::Live;
use crate::error::{CommitError, Poisoned, ReadError};
use crate::keys::sealed::{self, SealedKeyError};
use crate::keys::{KeyBytes, KeyId, KeyRing};
use crate::store::Store;
use crate::transaction::Transaction;

/// What the key is for, as part of what wraps it. No tenant has such a name.
const OF: &str = "bundles of the store";

/// Where the keys lie.
const KEYS: [ControlKey; 2] = [ControlKey::SealingKey, ControlKey::SealingKeyBefore];

/// What came of asking for a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// There is a new one, and the one of before is kept.
    Begun,
    /// One of before is kept already.
    UnderWay,
    /// There is none yet.
    NothingSealed,
}

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
    /// The transaction cannot go on.
    #[error(transparent)]
    Read(#[from] ReadError),
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
            None => self.draw(transaction)?,
        };
        key.seal(text, bound).map_err(|_| SealError::NoRandomness)
    }

    /// Opens what the transaction sees and was sealed, bound to this: by the key that there is, or by the one of before.
    pub fn unseal(&self, transaction: &mut Transaction, sealed: &[u8], bound: &[u8]) -> Result<Vec<u8>, UnsealError> {
        match self.unseal_by(&ControlKey::SealingKey, transaction, sealed, bound) {
            Err(UnsealError::Damaged) => self.unseal_by(&ControlKey::SealingKeyBefore, transaction, sealed, bound),
            opened => opened,
        }
    }

    /// Opens what is sealed by the key of before; `None`: it is not.
    pub fn unseal_before(
        &self,
        transaction: &mut Transaction,
        sealed: &[u8],
        bound: &[u8],
    ) -> Result<Option<Vec<u8>>, UnsealError> {
        match self.unseal_by(&ControlKey::SealingKeyBefore, transaction, sealed, bound) {
            Ok(text) => Ok(Some(text)),
            Err(UnsealError::Damaged) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the transaction draw a new key to seal by, and keep the one of before for what is sealed by it. While one of before is
    /// kept it draws none: there are two at most.
    pub fn exchange_sealing_key(&self, transaction: &mut Transaction) -> Result<Exchange, SealError> {
        if transaction.control(&ControlKey::SealingKeyBefore)?.is_some() {
            return Ok(Exchange::UnderWay);
        }
        let Some(before) = transaction.control(&ControlKey::SealingKey)? else { return Ok(Exchange::NothingSealed) };
        self.draw(transaction)?;
        transaction.put_control(&ControlKey::SealingKeyBefore, Some(before));
        Ok(Exchange::Begun)
    }

    /// Has the transaction give up the key of before: what is still sealed by it is lost.
    pub fn forget_sealing_key_before(&self, transaction: &mut Transaction) {
        transaction.put_control(&ControlKey::SealingKeyBefore, None);
    }

    fn draw(&self, transaction: &mut Transaction) -> Result<SealingKey, SealError> {
        let key = SealingKey::draw().map_err(|_| SealError::NoRandomness)?;
        let written = written(&key, self.core().engine.ring().as_deref())?;
        transaction.put_control(&ControlKey::SealingKey, Some(written));
        Ok(key)
    }

    fn unseal_by(
        &self,
        key: &ControlKey,
        transaction: &mut Transaction,
        sealed: &[u8],
        bound: &[u8],
    ) -> Result<Vec<u8>, UnsealError> {
        let written = transaction.control(key)?.ok_or(UnsealError::Damaged)?;
        let key = open(&written, self.core().engine.ring().as_deref())?;
        let mut text = key.open(sealed, bound).ok_or(UnsealError::Damaged)?;
        Ok(std::mem::take(&mut *text))
    }

    /// Wraps the keys by the active encryption key, where they are wrapped by another.
    pub(crate) async fn rewrap(&self) -> Result<(), EncryptionError> {
        loop {
            let Some(ring) = self.core().engine.ring() else { return Ok(()) };
            let mut transaction = self.core().begin()?;
            let mut is_any = false;
            for key in KEYS {
                let written = transaction.control(&key).map_err(of_read)?;
                if let Some(rewrapped) = written.and_then(|written| rewrapped(&written, &ring)) {
                    transaction.put_control(&key, Some(rewrapped));
                    is_any = true;
                }
            }
            if !is_any {
                return Ok(());
            }
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

    /// The encryption keys that the keys are wrapped by.
    pub(crate) fn wrapped_by(&self) -> Result<Vec<KeyId>, EncryptionError> {
        let mut ids = Vec::new();
        for key in KEYS {
            let written = self.control(&key)?;
            ids.extend(written.and_then(|written| sealed::wrapped_by(&written).ok()));
        }
        Ok(ids)
    }
}

/// The keys that are wrapped anew, for the start of a store.
pub(crate) fn rewrapped_all(live: &Live, ring: Option<&KeyRing>) -> Result<Vec<(Key, Option<Bytes>)>, Poisoned> {
    let Some(ring) = ring else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for key in KEYS.map(|key| key.encode()) {
        if let Some(rewrapped) = live.get(&key)?.and_then(|written| rewrapped(&written, ring)) {
            all.push((key, Some(rewrapped)));
        }
    }
    Ok(all)
}

/// A key wrapped anew; `None`: it is wrapped as it should be, or cannot be opened. Then what it seals is lost, and nothing else is.
fn rewrapped(written: &[u8], ring: &KeyRing) -> Option<Bytes> {
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

    fn unseal(store: &Store, sealed: &[u8], bound: &[u8]) -> Result<Vec<u8>, UnsealError> {
        store.unseal(&mut store.begin().unwrap(), sealed, bound)
    }

    fn written(store: &Store) -> Bytes {
        store.control(&ControlKey::SealingKey).unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_is_sealed_opens_where_it_belongs_and_in_its_store_alone() {
        for encryption in [None, Some(ring(&[1]))] {
            let (folder, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let [store, other] = [&folder, &beside].map(|folder| open(folder.path(), encryption.clone()));
            assert!(unseal(&store, b"", b"").is_err(), "there is no key yet");
            let (one, two) = (seal(&store, b"one", b"1").await, seal(&store, b"two", b"2").await);
            seal(&other, b"else", b"1").await;
            assert_eq!(unseal(&store, &one, b"1").unwrap(), b"one");
            assert_eq!(unseal(&store, &two, b"2").unwrap(), b"two");
            for (store, sealed, bound) in [(&store, &one, b"2"), (&store, &two, b"1"), (&other, &one, b"1")] {
                assert!(matches!(unseal(store, sealed, bound), Err(UnsealError::Damaged)));
            }
            store.close().await;
            drop(store);
            let store = open(folder.path(), encryption);
            assert_eq!(unseal(&store, &one, b"1").unwrap(), b"one");
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
        assert_eq!(store.wrapped_by(), Ok(vec![1]));
        store.rotate_keys(ring(&[1, 2])).await.unwrap();
        assert_eq!(store.wrapped_by(), Ok(vec![2]));
        assert_eq!(unseal(&store, &sealed, b"").unwrap(), b"text");
        store.close().await;
        drop(store);
        let store = open(folder.path(), Some(ring(&[1, 2, 3])));
        // The first commit comes after what the start has to write.
        seal(&store, b"", b"").await;
        assert_eq!(store.wrapped_by(), Ok(vec![3]));
        assert_eq!(unseal(&store, &sealed, b"").unwrap(), b"text");
        store.close().await;
    }

    async fn exchange(store: &Store) -> Exchange {
        let mut transaction = store.begin().unwrap();
        let exchange = store.exchange_sealing_key(&mut transaction).unwrap();
        store.commit(transaction).await.unwrap();
        exchange
    }

    #[tokio::test]
    async fn what_the_key_of_before_has_sealed_opens_until_it_is_given_up() {
        for encryption in [None, Some(ring(&[1]))] {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path(), encryption.clone());
            assert_eq!(exchange(&store).await, Exchange::NothingSealed);
            let before = seal(&store, b"before", b"1").await;
            let old = written(&store);
            // One that was begun before the exchange does not commit after it.
            let mut late = store.begin().unwrap();
            let sealed = store.seal(&mut late, b"late", b"").unwrap();
            late.put_control(&ControlKey::Trusted("late".to_owned()), Some(sealed.into()));
            assert_eq!(exchange(&store).await, Exchange::Begun);
            assert!(matches!(store.commit(late).await, Err(CommitError::Conflict)));
            assert_ne!(written(&store), old);
            assert_eq!(exchange(&store).await, Exchange::UnderWay);
            assert_eq!(store.control(&ControlKey::SealingKeyBefore).unwrap(), Some(old), "there are two at most");
            let since = seal(&store, b"since", b"1").await;
            if encryption.is_some() {
                assert_eq!(store.wrapped_by(), Ok(vec![1, 1]));
                store.rotate_keys(ring(&[1, 2])).await.unwrap();
                assert_eq!(store.wrapped_by(), Ok(vec![2, 2]));
            }
            store.close().await;
            drop(store);
            let store = open(folder.path(), encryption.as_ref().map(|_| ring(&[1, 2, 3])));
            seal(&store, b"", b"").await;
            assert_eq!(store.wrapped_by(), Ok(encryption.map_or(Vec::new(), |_| vec![3, 3])));
            assert_eq!(
                (unseal(&store, &before, b"1").unwrap(), unseal(&store, &since, b"1").unwrap()),
                (b"before".to_vec(), b"since".to_vec())
            );
            let mut transaction = store.begin().unwrap();
            let opened = store.unseal_before(&mut transaction, &before, b"1").unwrap();
            assert_eq!(opened.as_deref(), Some(b"before".as_slice()));
            assert_eq!(store.unseal_before(&mut transaction, &since, b"1").unwrap(), None);
            store.forget_sealing_key_before(&mut transaction);
            store.commit(transaction).await.unwrap();
            assert!(matches!(unseal(&store, &before, b"1"), Err(UnsealError::Damaged)));
            assert_eq!(unseal(&store, &since, b"1").unwrap(), b"since");
            store.close().await;
        }
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
        assert_eq!(store.wrapped_by(), Ok(vec![1]));
        // It is wrapped anew before the ring is looked at.
        store.rotate_keys(ring(&[2, 3])).await.unwrap();
        assert_eq!(store.wrapped_by(), Ok(vec![3]));
        assert_eq!(unseal(&store, &sealed, b"").unwrap(), b"text");
        // One that nobody can unwrap any more keeps the encryption key that it names, and is told of.
        let damaged =
            String::from_utf8(written(&store).to_vec()).unwrap().replace("\"sealed\":\"", "\"sealed\":\"AAAA");
        put(damaged.into_bytes().into()).await;
        let refusal = unseal(&store, &sealed, b"").unwrap_err().to_string();
        assert_eq!(refusal, "the key that bundles are sealed by is not a sealed key of this folder, or was changed");
        store.rotate_keys(ring(&[2, 3, 4])).await.unwrap();
        store.reencrypt().await.unwrap();
        let refused = store.rotate_keys(ring(&[2, 4])).await;
        assert_eq!(refused, Err(EncryptionError::StillNeeded(vec![3])));
        store.close().await;
    }
}

//! Keys that bundles may be signed with: trusted by who operates, until they expire or are revoked. One that was revoked stays on
//! record, so that it is never trusted again by mistake.

use weir_schema::bundle::envelope::KeyId;
use weir_schema::codec::control::SigningKeyRecord;
use weir_store::{ControlKey, ControlKind, Store};

use super::{Actor, Changed, ControlError, all, all_in, change, now_ms, text};
use crate::bundle::key::PublicKey;

/// Keys that a server may know, revoked ones included.
pub const KEYS_MAX: usize = 1_000;

/// Why keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It was revoked.
    #[error(
        "the key {0} was revoked, and a key that was is never trusted again: make a new one with weir keys generate"
    )]
    Revoked(KeyId),
    /// There is none.
    #[error("there is no key {0}: weir keys list shows those that there are")]
    Unknown(String),
    /// There would be too many.
    #[error("a server knows at most {KEYS_MAX} keys")]
    TooMany,
    /// It would expire at once.
    #[error("a key that is to be trusted has to be good for some time")]
    Expired,
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// All keys that were ever trusted, by id.
pub fn list(store: &Store) -> Result<Vec<SigningKeyRecord>, ControlError> {
    all(store, ControlKind::SigningKeys)
}

/// Trusts a key, for a time in milliseconds or until it is revoked. For one that is trusted already that time begins now.
pub async fn trust(
    store: &Store,
    actor: &Actor,
    public: &PublicKey,
    for_ms: Option<u64>,
) -> Result<SigningKeyRecord, KeysError> {
    let id = public.id();
    if for_ms == Some(0) {
        return Err(KeysError::Expired);
    }
    change(store, actor, |transaction| {
        let known: Vec<SigningKeyRecord> = all_in(transaction, ControlKind::SigningKeys)?;
        let before = known.iter().find(|key| key.id == id);
        if before.is_some_and(|key| key.revoked_ms.is_some()) {
            return Err(KeysError::Revoked(id));
        }
        if before.is_none() && known.len() >= KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        let now_ms = now_ms();
        let key = SigningKeyRecord {
            id,
            public: public.as_bytes().to_vec(),
            // What it has signed and was deployed before goes on counting.
            trusted_ms: before.map_or(now_ms, |key| key.trusted_ms),
            trusted_by: actor.as_str().to_owned(),
            expires_ms: for_ms.map(|for_ms| now_ms.saturating_add(for_ms)),
            revoked_ms: None,
        };
        transaction.put_control(&ControlKey::SigningKey(id), Some(text(&key)));
        Ok(Changed::new(key, "trustKey", vec![id.to_string()]))
    })
    .await
}

/// Has nothing count any more that a key has signed. What is served goes on until the server is started again.
pub async fn revoke(store: &Store, actor: &Actor, id: &str) -> Result<SigningKeyRecord, KeysError> {
    let unknown = || KeysError::Unknown(id.to_owned());
    let parsed = KeyId::parse(id).ok_or_else(unknown)?;
    change(store, actor, |transaction| {
        let known: Vec<SigningKeyRecord> = all_in(transaction, ControlKind::SigningKeys)?;
        let before = known.into_iter().find(|key| key.id == parsed).ok_or_else(unknown)?;
        if before.revoked_ms.is_some() {
            return Err(KeysError::Revoked(parsed));
        }
        let key = SigningKeyRecord { revoked_ms: Some(now_ms()), ..before };
        transaction.put_control(&ControlKey::SigningKey(parsed), Some(text(&key)));
        Ok(Changed::new(key, "revokeKey", vec![parsed.to_string()]))
    })
    .await
}

//! Keys that bundles may be signed with: trusted by who operates, from some time on, until they expire or are revoked. One takes the
//! place of another with an overlap, in which both count. One that was revoked stays on record, so that it is never trusted again by
//! mistake. Each store has its own: those of a tenant count for that tenant.

use serde::{Deserialize, Serialize};
use weir_schema::bundle::envelope::KeyId;
use weir_schema::codec::control::{SigningKeyRecord, SigningKeyState};
use weir_store::{ControlKey, ControlKind, Store, Transaction};

use super::{Actor, Changed, ControlError, all, all_in, change, now_ms, text};
use crate::bundle::key::PublicKey;
use crate::bundle::verified::moment;

/// Keys that a server may know, revoked ones included.
pub const KEYS_MAX: usize = 1_000;

/// How long the key of before still counts where nobody says otherwise, in milliseconds: 30 days.
pub const OVERLAP_MS: u64 = 30 * 24 * 3_600_000;

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
    /// Its time is over.
    #[error("the time of key {0} is over: trust another with weir keys trust FILE")]
    Over(KeyId),
    /// A key cannot take its own place.
    #[error("key {0} cannot take its own place: make a new one with weir keys generate")]
    Itself(KeyId),
    /// Its time has begun.
    #[error("key {0} counts already, so its time cannot begin later: trust it without --from, or revoke it")]
    Counts(KeyId),
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

/// From when on a key is trusted, and until when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validity {
    /// From when on, in milliseconds since 1970; from now on without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// For how long from then on, in milliseconds; until it is revoked without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// A key that has taken the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotatedKey {
    /// The new one.
    pub key: SigningKeyRecord,
    /// The one of before, with the end of its time.
    pub before: SigningKeyRecord,
}

/// Trusts a key. For one that is trusted already its time begins now.
pub async fn trust(
    store: &Store,
    actor: &Actor,
    public: &PublicKey,
    validity: Validity,
) -> Result<SigningKeyRecord, KeysError> {
    change(store, actor, |transaction| {
        let known: Vec<SigningKeyRecord> = all_in(transaction, ControlKind::SigningKeys)?;
        let key = trusted(&known, actor, public, validity)?;
        put(transaction, &key);
        Ok(Changed::new(key, "trustKey", vec![public.id().to_string()]))
    })
    .await
}

/// Trusts a key in the place of another, from now on and for a time in milliseconds or until it is revoked. The time of the other is
/// over after `overlap_ms`: until then both count.
pub async fn rotate(
    store: &Store,
    actor: &Actor,
    id: &str,
    public: &PublicKey,
    overlap_ms: u64,
    for_ms: Option<u64>,
) -> Result<RotatedKey, KeysError> {
    let parsed = parse_id(id)?;
    if parsed == public.id() {
        return Err(KeysError::Itself(parsed));
    }
    change(store, actor, |transaction| {
        let known: Vec<SigningKeyRecord> = all_in(transaction, ControlKind::SigningKeys)?;
        let before = find(&known, parsed)?.clone();
        let now_ms = now_ms();
        match before.state(now_ms) {
            SigningKeyState::Revoked => return Err(KeysError::Revoked(parsed)),
            SigningKeyState::Expired => return Err(KeysError::Over(parsed)),
            SigningKeyState::Valid | SigningKeyState::NotYet => {}
        }
        let end_ms = now_ms.saturating_add(overlap_ms);
        let before = SigningKeyRecord {
            expires_ms: Some(before.expires_ms.map_or(end_ms, |expires_ms| expires_ms.min(end_ms))),
            ..before
        };
        let key = trusted(&known, actor, public, Validity { from_ms: None, for_ms })?;
        put(transaction, &key);
        put(transaction, &before);
        let until = moment(&before.expires_ms.unwrap_or_default());
        let targets = vec![key.id.to_string(), format!("in place of {parsed}"), format!("until {until}")];
        Ok(Changed::new(RotatedKey { key, before }, "rotateKey", targets))
    })
    .await
}

/// The record of a key that is to be trusted, beside those that are known.
fn trusted(
    known: &[SigningKeyRecord],
    actor: &Actor,
    public: &PublicKey,
    Validity { from_ms, for_ms }: Validity,
) -> Result<SigningKeyRecord, KeysError> {
    let (id, now_ms) = (public.id(), now_ms());
    if for_ms == Some(0) {
        return Err(KeysError::Expired);
    }
    let before = known.iter().find(|key| key.id == id);
    if before.is_some_and(|key| key.revoked_ms.is_some()) {
        return Err(KeysError::Revoked(id));
    }
    if before.is_none() && known.len() >= KEYS_MAX {
        return Err(KeysError::TooMany);
    }
    let from_ms = from_ms.filter(|from_ms| *from_ms > now_ms);
    let counts = before.filter(|key| key.valid_from_ms() <= now_ms);
    if from_ms.is_some() && counts.is_some() {
        return Err(KeysError::Counts(id));
    }
    let expires_ms = for_ms.map(|for_ms| from_ms.unwrap_or(now_ms).saturating_add(for_ms));
    Ok(SigningKeyRecord {
        id,
        public: public.as_bytes().to_vec(),
        // What it has signed and was deployed before goes on counting.
        trusted_ms: counts.map_or(now_ms, |key| key.trusted_ms),
        trusted_by: actor.as_str().to_owned(),
        from_ms: from_ms.or(counts.and_then(|key| key.from_ms)),
        expires_ms,
        revoked_ms: None,
    })
}

fn put(transaction: &mut Transaction, key: &SigningKeyRecord) {
    transaction.put_control(&ControlKey::SigningKey(key.id), Some(text(key)));
}

fn parse_id(id: &str) -> Result<KeyId, KeysError> {
    KeyId::parse(id).ok_or_else(|| KeysError::Unknown(id.to_owned()))
}

fn find(known: &[SigningKeyRecord], id: KeyId) -> Result<&SigningKeyRecord, KeysError> {
    known.iter().find(|key| key.id == id).ok_or_else(|| KeysError::Unknown(id.to_string()))
}

/// Has nothing count any more that a key has signed. What is served goes on until the server is started again.
pub async fn revoke(store: &Store, actor: &Actor, id: &str) -> Result<SigningKeyRecord, KeysError> {
    let parsed = parse_id(id)?;
    change(store, actor, |transaction| {
        let known: Vec<SigningKeyRecord> = all_in(transaction, ControlKind::SigningKeys)?;
        let before = find(&known, parsed)?.clone();
        if before.revoked_ms.is_some() {
            return Err(KeysError::Revoked(parsed));
        }
        let key = SigningKeyRecord { revoked_ms: Some(now_ms()), ..before };
        put(transaction, &key);
        Ok(Changed::new(key, "revokeKey", vec![parsed.to_string()]))
    })
    .await
}

#[cfg(test)]
mod tests;

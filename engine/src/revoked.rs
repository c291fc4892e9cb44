//! Which tokens are good no longer, though they are still of an issuer that is trusted and not expired: kept in the store, and all
//! of it in memory, since each request may show a token.
//!
//! Rule: what is revoked stays so. A revocation is acknowledged once it is durable and in force.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use weir_schema::digest::Digest;
use weir_schema::limits::{REVOCATION_TEXT_BYTES_MAX, REVOCATIONS_MAX};
use weir_store::{KeptKey, Poisoned, Store};

use crate::engine::Engine;

/// Bytes of records that are read together.
const PAGE_BYTES: usize = 4 << 20;

/// Which tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Of this issuer.
    pub issuer: String,
    /// Which of them.
    pub of: Revoking,
}

/// Which tokens of an issuer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Revoking {
    /// The one with this `jti`.
    Token(String),
    /// Those of this `sub` that were made up to now.
    Subject(String),
    /// All that were made up to now.
    All,
}

/// A revocation, and when it was said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// Which tokens.
    #[serde(flatten)]
    pub revocation: Revocation,
    /// In seconds since 1970: tokens that were made later are good, but for one that is revoked by its `jti`.
    pub at_s: u64,
}

/// What is known of a token that may be revoked.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `sub`
    pub subject: &'a str,
    /// `jti`
    pub id: Option<&'a str>,
    /// `iat`, in seconds since 1970. One that does not say when it was made was made before anything.
    pub made_s: u64,
}

/// Why tokens are not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// Nobody has such names.
    #[error("an issuer, a subject and the id of a token have 1 to {REVOCATION_TEXT_BYTES_MAX} bytes")]
    Text,
    /// There would be too many.
    #[error("{REVOCATIONS_MAX} revocations are kept already: revoke by issuer or subject instead of by token")]
    TooMany,
    /// The store has stopped.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// The revocations of a store.
pub(crate) struct Revocations {
    known: ArcSwap<Known>,
    /// One change at a time: each is written from what was there before.
    changing: Mutex<()>,
    changed: watch::Sender<u64>,
}

/// What is known of them at one time.
#[derive(Debug, Default)]
pub struct Known {
    issuers: HashMap<String, Issuer>,
}

#[derive(Debug, Default)]
struct Issuer {
    all_s: Option<u64>,
    subjects: HashMap<String, u64>,
    tokens: HashSet<String>,
}

impl Known {
    fn of(all: Vec<Revoked>) -> Self {
        let mut known = Self::default();
        for Revoked { revocation: Revocation { issuer, of }, at_s } in all {
            let issuer = known.issuers.entry(issuer).or_default();
            match of {
                Revoking::Token(id) => {
                    issuer.tokens.insert(id);
                }
                Revoking::Subject(subject) => {
                    issuer.subjects.insert(subject, at_s);
                }
                Revoking::All => issuer.all_s = Some(at_s),
            }
        }
        known
    }

    /// Whether a token is among those that are revoked.
    pub fn has(&self, shown: &Shown<'_>) -> bool {
        let Some(issuer) = self.issuers.get(shown.issuer) else { return false };
        let is_before = |at_s: u64| shown.made_s <= at_s;
        issuer.all_s.is_some_and(is_before)
            || issuer.subjects.get(shown.subject).copied().is_some_and(is_before)
            || shown.id.is_some_and(|id| issuer.tokens.contains(id))
    }
}

/// All revocations that are kept in a store.
pub fn stored(store: &Store) -> Result<Vec<Revoked>, Poisoned> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.kept_revocations(after.as_ref(), PAGE_BYTES)?;
        // What cannot be read was never written here.
        all.extend(page.records.iter().filter_map(|(_, text)| serde_json::from_slice::<Revoked>(text).ok()));
        after = page.next;
        if after.is_none() {
            all.sort_unstable();
            return Ok(all);
        }
    }
}

/// Keeps a revocation.
pub async fn revoke_stored(store: &Store, revocation: Revocation, at_s: u64) -> Result<Revoked, RevokeError> {
    let text = match &revocation.of {
        Revoking::Token(text) | Revoking::Subject(text) => text.as_str(),
        Revoking::All => "*",
    };
    if [&revocation.issuer, text].into_iter().any(|text| text.is_empty() || text.len() > REVOCATION_TEXT_BYTES_MAX) {
        return Err(RevokeError::Text);
    }
    let kind = match revocation.of {
        Revoking::Token(_) => "token",
        Revoking::Subject(_) => "subject",
        Revoking::All => "all",
    };
    let parts = [kind, &revocation.issuer, text];
    let key = KeptKey::Revoked(Digest::of_parts(&parts.map(str::as_bytes)));
    let before = store.kept(&key)?.and_then(|text| serde_json::from_slice::<Revoked>(&text).ok());
    // Those that stand for many tokens are always let in: there are few, and they are what is left to who has too many.
    if before.is_none() && matches!(revocation.of, Revoking::Token(_)) && stored(store)?.len() >= REVOCATIONS_MAX {
        return Err(RevokeError::TooMany);
    }
    // A clock that was set back takes nothing of an earlier one back.
    let at_s = before.map_or(at_s, |before| before.at_s.max(at_s));
    let revoked = Revoked { revocation, at_s };
    // Plain data, which always has a JSON form.
    let value = serde_json::to_vec(&revoked).unwrap_or_default();
    store.keep(vec![(key, Some(Bytes::from(value)))]).await?;
    Ok(revoked)
}

impl Revocations {
    /// Those of a store.
    pub(crate) fn of(store: &Store) -> Result<Self, Poisoned> {
        let known = ArcSwap::from_pointee(Known::of(stored(store)?));
        Ok(Self { known, changing: Mutex::default(), changed: watch::channel(0).0 })
    }
}

impl Engine {
    /// Which tokens are revoked.
    pub fn revoked(&self) -> Arc<Known> {
        self.revocations().known.load_full()
    }

    /// Turns whenever something is revoked.
    pub fn revocations_changed(&self) -> watch::Receiver<u64> {
        self.revocations().changed.subscribe()
    }

    /// Revokes tokens, from now on and for good.
    pub async fn revoke(&self, revocation: Revocation) -> Result<Revoked, RevokeError> {
        let revocations = self.revocations();
        let _changing = revocations.changing.lock().await;
        let revoked = revoke_stored(self.store(), revocation, self.clock().now_ms() / 1_000).await?;
        revocations.known.store(Arc::new(Known::of(stored(self.store())?)));
        revocations.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
        Ok(revoked)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use weir_store::Options;

    use super::*;

    fn revocation(issuer: &str, of: Revoking) -> Revocation {
        Revocation { issuer: issuer.to_owned(), of }
    }

    #[test]
    fn a_revocation_is_of_the_tokens_that_it_names() {
        let known = Known::of(
            [("a", Revoking::Token("t1".to_owned())), ("a", Revoking::Subject("ada".to_owned())), ("b", Revoking::All)]
                .map(|(issuer, of)| Revoked { revocation: revocation(issuer, of), at_s: 100 })
                .to_vec(),
        );
        let table = [
            ("a", "ada", None, 100, true),
            ("a", "ada", None, 101, false),
            ("a", "ada", None, 0, true),
            ("a", "bob", None, 0, false),
            ("a", "bob", Some("t1"), 101, true),
            ("a", "bob", Some("t2"), 0, false),
            ("b", "bob", None, 100, true),
            ("b", "bob", Some("t1"), 101, false),
            ("c", "ada", Some("t1"), 0, false),
        ];
        for (issuer, subject, id, made_s, expected) in table {
            let shown = Shown { issuer, subject, id, made_s };
            assert_eq!(known.has(&shown), expected, "{shown:?}");
        }
    }

    #[tokio::test]
    async fn what_is_revoked_stays_so_over_a_restart_and_a_clock_that_is_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let ada = revocation("a", Revoking::Subject("ada".to_owned()));
        revoke_stored(&store, ada.clone(), 100).await.unwrap();
        revoke_stored(&store, revocation("a", Revoking::All), 50).await.unwrap();
        assert_eq!(revoke_stored(&store, ada.clone(), 90).await.unwrap().at_s, 100);
        store.close().await;
        drop(store);
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let kept = stored(&store).unwrap();
        assert_eq!(kept.iter().map(|revoked| revoked.at_s).collect::<Vec<_>>(), [100, 50]);
        assert_eq!(kept.first().map(|revoked| revoked.revocation.clone()), Some(ada));
        for bad in [revocation("", Revoking::All), revocation("a", Revoking::Token("x".repeat(10_000)))] {
            assert!(matches!(revoke_stored(&store, bad, 1).await, Err(RevokeError::Text)));
        }
        store.close().await;
    }
}

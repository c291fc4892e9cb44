//! Which tokens are good no longer, though they are still of an issuer that is trusted and not expired: kept in the store, and all
//! of it in memory, since each request may show a token.
//!
//! Rule: what is revoked stays so. A revocation is acknowledged once it is durable and in force.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard, watch};
use weir_store::{Poisoned, Store};

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

impl Revocations {
    /// Those of a store.
    pub(crate) fn of(store: &Store) -> Result<Self, Poisoned> {
        let known = ArcSwap::from_pointee(Known::of(stored(store)?));
        Ok(Self { known, changing: Mutex::default(), changed: watch::channel(0).0 })
    }

    /// Waits until nobody else changes them.
    pub(crate) async fn changing(&self) -> Changing<'_> {
        Changing { revocations: self, _turn: self.changing.lock().await }
    }
}

/// One change of them.
pub(crate) struct Changing<'a> {
    revocations: &'a Revocations,
    _turn: MutexGuard<'a, ()>,
}

impl Changing<'_> {
    /// Has what is in the store be in force.
    pub(crate) fn done(self, store: &Store) -> Result<(), Poisoned> {
        self.revocations.known.store(Arc::new(Known::of(stored(store)?)));
        self.revocations.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
        Ok(())
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use weir_store::Options;

    use super::*;
    use crate::control::Actor;
    use crate::control::tokens::{self, RevokeError};

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
        let by = Actor::operator();
        tokens::revoke(&store, &by, ada.clone(), 100).await.unwrap();
        tokens::revoke(&store, &by, revocation("a", Revoking::All), 50).await.unwrap();
        assert_eq!(tokens::revoke(&store, &by, ada.clone(), 90).await.unwrap().at_s, 100);
        store.close().await;
        drop(store);
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let kept = stored(&store).unwrap();
        assert_eq!(kept.iter().map(|revoked| revoked.at_s).collect::<Vec<_>>(), [100, 50]);
        assert_eq!(kept.first().map(|revoked| revoked.revocation.clone()), Some(ada));
        for bad in [revocation("", Revoking::All), revocation("a", Revoking::Token("x".repeat(10_000)))] {
            assert!(matches!(tokens::revoke(&store, &by, bad, 1).await, Err(RevokeError::Text)));
        }
        // Each has its record in its own commit, which seals whom it is about.
        let records = store.audit(0, 10).unwrap();
        let told: Vec<String> = records.iter().map(|record| record.targets.join(" ")).collect();
        assert_eq!(told, [r#"a subject ["a","ada"]"#, "a all", r#"a subject ["a","ada"]"#]);
        assert_eq!(records.last().unwrap().commit, store.head().sequence);
        store.close().await;
    }
}

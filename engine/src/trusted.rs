//! The documents that an app trusts: kept in the store, and all of them in memory, since each request may name one.
//!
//! They are no data and in no journal entry: a backup has them, an export has not.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Mutex;
use weir_schema::digest::Digest;
use weir_schema::graphql::{TRUSTED_BYTES_MAX, TRUSTED_DOCUMENTS_MAX, TRUSTED_ID_BYTES_MAX};
use weir_store::{ControlKey, KeptKey, Poisoned, Store};

use crate::control::{Actor, Changed, ControlError, change};
use crate::engine::Engine;

/// What ids that are digests start with.
const SHA256: &str = "sha256:";
/// Documents that a record in the audit log names. It counts the others.
const TARGETS_MAX: usize = 100;
/// Bytes of records that are read together.
const PAGE_BYTES: usize = 4 << 20;

/// The documents of a store.
pub(crate) struct TrustedDocuments {
    known: ArcSwap<Known>,
    /// One change at a time: each is written from what was there before.
    changing: Mutex<()>,
}

/// What is known of them at one time.
#[derive(Default)]
struct Known {
    by_id: Arc<BTreeMap<String, Arc<str>>>,
    /// The digests of their texts.
    texts: HashSet<Digest>,
}

/// Why documents are not kept.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The id is not one.
    #[error(
        "{0:?} cannot be the id of a document: use 1 to {TRUSTED_ID_BYTES_MAX} letters, digits and punctuation of ASCII"
    )]
    Id(String),
    /// The id says that it is the digest of the text, and is not.
    #[error("{id} is not the SHA-256 of its document, which is {SHA256}{digest}")]
    Digest {
        /// The id.
        id: String,
        /// That of the text.
        digest: Digest,
    },
    /// Another document has it.
    #[error("{0} is the id of another document already: remove that first with weir documents remove")]
    Taken(String),
    /// There would be too many.
    #[error(
        "an app may have {TRUSTED_DOCUMENTS_MAX} documents of {TRUSTED_BYTES_MAX} bytes together: remove some first"
    )]
    TooMany,
    /// There is none of this id.
    #[error("there is no document {0}")]
    Unknown(String),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<Poisoned> for TrustError {
    fn from(poisoned: Poisoned) -> Self {
        Self::Control(poisoned.into())
    }
}

/// The id under which a document is kept, given the one that a tool has written: 64 digits of hex that are the SHA-256 of
/// the text get the prefix by which clients know such ids.
pub fn canonical_id(id: &str, text: &str) -> Result<String, TrustError> {
    if id.is_empty() || id.len() > TRUSTED_ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TrustError::Id(id.to_owned()));
    }
    let digest = Digest::of(text.as_bytes());
    match id.strip_prefix(SHA256) {
        Some(hex) if Digest::parse(hex) == Some(digest) => Ok(id_of(&digest)),
        Some(_) => Err(TrustError::Digest { id: id.to_owned(), digest }),
        None if Digest::parse(id) == Some(digest) => Ok(id_of(&digest)),
        None => Ok(id.to_owned()),
    }
}

/// The id of a document that has no other.
pub fn id_of(digest: &Digest) -> String {
    format!("{SHA256}{digest}")
}

/// All documents that are kept in a store.
pub fn stored(store: &Store) -> Result<BTreeMap<String, String>, Poisoned> {
    let (mut documents, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.kept_trusted(after.as_ref(), PAGE_BYTES)?;
        for (key, text) in page.records {
            // What is no text was never written here.
            if let (KeptKey::Trusted(id), Ok(text)) = (key, std::str::from_utf8(&text)) {
                documents.insert(id, text.to_owned());
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(documents);
        }
    }
}

/// Keeps documents beside those that are there, all or none, on record. How many of them were not there before.
pub async fn push_stored(store: &Store, actor: &Actor, pushed: BTreeMap<String, String>) -> Result<usize, TrustError> {
    let mut documents = stored(store)?;
    let mut new = Vec::new();
    for (id, text) in pushed {
        let id = canonical_id(&id, &text)?;
        match documents.get(&id) {
            Some(there) if *there == text => {}
            Some(_) => return Err(TrustError::Taken(id)),
            None => {
                new.push((id.clone(), Some(Bytes::from(text.clone()))));
                documents.insert(id, text);
            }
        }
    }
    let bytes: usize = documents.iter().map(|(id, text)| id.len() + text.len()).sum();
    if documents.len() > TRUSTED_DOCUMENTS_MAX || bytes > TRUSTED_BYTES_MAX {
        return Err(TrustError::TooMany);
    }
    let count = new.len();
    write(store, actor, "pushDocuments", new).await?;
    Ok(count)
}

/// Keeps documents no longer, all or none of these, on record.
pub async fn remove_stored(store: &Store, actor: &Actor, ids: &[String]) -> Result<(), TrustError> {
    let documents = stored(store)?;
    let known = |id: &String| if documents.contains_key(id) { Ok(()) } else { Err(TrustError::Unknown(id.clone())) };
    ids.iter().try_for_each(known)?;
    write(store, actor, "removeDocuments", ids.iter().map(|id| (id.clone(), None)).collect()).await
}

/// Writes and removes documents, in one commit with the record about it.
async fn write(
    store: &Store,
    actor: &Actor,
    action: &'static str,
    documents: Vec<(String, Option<Bytes>)>,
) -> Result<(), TrustError> {
    if documents.is_empty() {
        return Ok(());
    }
    let mut targets: Vec<String> = documents.iter().take(TARGETS_MAX).map(|(id, _)| id.clone()).collect();
    let others = documents.len().saturating_sub(TARGETS_MAX);
    targets.extend((others > 0).then(|| format!("and {others} more")));
    change(store, actor, |transaction| {
        for (id, text) in &documents {
            transaction.put_control(&ControlKey::Trusted(id.clone()), text.clone());
        }
        Ok(Changed::new((), action, targets.clone()))
    })
    .await
}

impl TrustedDocuments {
    /// Those of a store.
    pub(crate) fn of(store: &Store) -> Result<Self, Poisoned> {
        let documents = Self { known: ArcSwap::default(), changing: Mutex::default() };
        documents.read(store)?;
        Ok(documents)
    }

    fn read(&self, store: &Store) -> Result<(), Poisoned> {
        let documents = stored(store)?;
        let texts = documents.values().map(|text| Digest::of(text.as_bytes())).collect();
        let by_id = documents.into_iter().map(|(id, text)| (id, Arc::from(text))).collect();
        self.known.store(Arc::new(Known { by_id: Arc::new(by_id), texts }));
        Ok(())
    }
}

impl Engine {
    /// The trusted document of an id, as clients name it: with the prefix of digests or without.
    pub fn trusted(&self, id: &str) -> Option<Arc<str>> {
        let known = self.trusted_documents().known.load();
        let documents = &known.by_id;
        let known = documents.get(id).or_else(|| documents.get(&format!("{SHA256}{id}")));
        known.or_else(|| documents.get(id.strip_prefix(SHA256)?)).cloned()
    }

    /// Whether a text is that of a trusted document, whatever its id.
    pub fn trusts(&self, text: &str) -> bool {
        self.trusted_documents().known.load().texts.contains(&Digest::of(text.as_bytes()))
    }

    /// All trusted documents, by id.
    pub fn trusted_all(&self) -> Arc<BTreeMap<String, Arc<str>>> {
        self.trusted_documents().known.load().by_id.clone()
    }

    /// Keeps documents beside those that are there, all or none. How many of them were not there before.
    pub async fn push_trusted(&self, actor: &Actor, pushed: BTreeMap<String, String>) -> Result<usize, TrustError> {
        let documents = self.trusted_documents();
        let _changing = documents.changing.lock().await;
        let count = push_stored(self.store(), actor, pushed).await?;
        documents.read(self.store())?;
        Ok(count)
    }

    /// Keeps documents no longer, all or none of these.
    pub async fn remove_trusted(&self, actor: &Actor, ids: &[String]) -> Result<(), TrustError> {
        let documents = self.trusted_documents();
        let _changing = documents.changing.lock().await;
        remove_stored(self.store(), actor, ids).await?;
        documents.read(self.store())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_digests_or_what_a_tool_chose() {
        let text = "{ a }";
        let hex = Digest::of(text.as_bytes()).to_string();
        let table = [
            (hex.clone(), Some(format!("sha256:{hex}"))),
            (hex.to_uppercase(), Some(format!("sha256:{hex}"))),
            (format!("sha256:{hex}"), Some(format!("sha256:{hex}"))),
            ("sha256:00".to_owned(), None),
            (format!("sha256:{}", hex.replace(|c: char| c.is_ascii_digit(), "0")), None),
            ("5d41402abc4b2a76b9719d911017c592".to_owned(), Some("5d41402abc4b2a76b9719d911017c592".to_owned())),
            ("x-app:1/orders".to_owned(), Some("x-app:1/orders".to_owned())),
            (String::new(), None),
            ("a b".to_owned(), None),
            ("ä".to_owned(), None),
            ("a".repeat(TRUSTED_ID_BYTES_MAX + 1), None),
        ];
        for (id, expected) in table {
            assert_eq!(canonical_id(&id, text).ok(), expected, "{id}");
        }
    }
}

//! What is kept beside the data and is no part of it: of views, which follows from the data, so that losing it costs a
//! computation; of experiments, which follows from what callers do; what clients have asked for, counted; the documents that an app
//! trusts; and which tokens are revoked. The latter two are written on record (`control`) and read here. What follows is of views, and of
//! what is counted.
//!
//! The committer writes it with the next group of commits, or alone where there is none. It is in no journal entry: nobody is
//! told of it, and no transaction reads it. A write is whole or not there, also after a crash, and none that came before it is
//! missing. It is synced as all others are, though it need not be: where several writes are not on disk yet a power cut may take
//! one and leave the next, and the engine does not open a log with a hole in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use weir_schema::codec::journal::Head;
use weir_schema::codec::key::{self, CollectionNumber, Key};
use weir_schema::digest::Digest;
use weir_schema::id::DocumentId;

use crate::committer::Request;
use crate::error::Poisoned;
use crate::group::Upkeep;
use crate::journal;
use crate::read_set::{Interval, ReadSet};
use crate::scan::Direction;
use crate::store::Store;

/// Journal entries that are looked at together.
const ENTRIES_MAX: usize = 1_024;

/// Where something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptKey {
    /// As of which commit a view of groups is kept, by the digest of its code.
    Groups(Digest),
    /// What a document contributes to it.
    Contribution(Digest, DocumentId),
    /// As of which commit results are kept.
    Results,
    /// A result.
    Result(Digest),
    /// A document that the app trusts, by its id.
    Trusted(String),
    /// A revocation of tokens, by the digest of which they are.
    Revoked(Digest),
    /// An experiment, by its number.
    Experiment(u64),
    /// A caller of it, by a digest of who that is.
    Exposed(u64, [u8; 16]),
    /// How often clients have asked for what a release has, by its sequence, on a day, in days since 1970.
    Usage(u64, u32),
}

impl KeptKey {
    fn encode(&self) -> Key {
        match self {
            Self::Groups(view) => key::groups(view),
            Self::Contribution(view, id) => key::contribution(view, id),
            Self::Results => key::results_all(),
            Self::Result(digest) => key::result(digest),
            Self::Trusted(id) => key::trusted(id),
            Self::Revoked(digest) => key::revoked(digest),
            Self::Experiment(number) => key::experiment(*number),
            Self::Exposed(experiment, caller) => key::exposed(*experiment, caller),
            Self::Usage(release, day) => key::usage(*release, *day),
        }
    }

    fn decode(key: &[u8]) -> Option<Self> {
        if key == key::results_all() {
            return Some(Self::Results);
        }
        if let Some(id) = key::trusted_id(key) {
            return Some(Self::Trusted(id.to_owned()));
        }
        if let Some(digest) = key::revoked_digest(key) {
            return Some(Self::Revoked(digest));
        }
        match key::experiment_parts(key) {
            Some((experiment, Some(caller))) => return Some(Self::Exposed(experiment, caller)),
            Some((experiment, None)) => return Some(Self::Experiment(experiment)),
            None => {}
        }
        if let Some((release, day)) = key::usage_parts(key) {
            return Some(Self::Usage(release, day));
        }
        match key::groups_parts(key) {
            Some((view, Some(id))) => Some(Self::Contribution(view, id)),
            Some((view, None)) => Some(Self::Groups(view)),
            None => key::result_digest(key).map(Self::Result),
        }
    }
}

/// What is kept under a key; `None` to have nothing kept there.
pub type KeptRecord = (KeptKey, Option<Bytes>);

/// Some of what is kept, in the order of its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptPage {
    /// The records.
    pub records: Vec<(KeptKey, Bytes)>,
    /// The last key of the page, if there may be more after it.
    pub next: Option<KeptKey>,
}

impl Store {
    /// Writes and removes what is kept, all or nothing.
    pub async fn keep(&self, records: Vec<KeptRecord>) -> Result<(), Poisoned> {
        let core = self.core();
        let kept: Arc<[_]> = records.into_iter().map(|(key, value)| (key.encode(), value)).collect();
        loop {
            let (done, written) = oneshot::channel();
            let upkeep = Upkeep { kept: kept.clone(), ..Upkeep::default() };
            if core.requests.send(Request::Upkeep { upkeep, done }).await.is_err() {
                return Err(core.health.reason());
            }
            match written.await {
                Ok(()) => return Ok(()),
                // The engine has refused the write, or the store has stopped.
                Err(_) => core.health.check()?,
            }
        }
    }

    /// What is kept under a key.
    pub fn kept(&self, key: &KeptKey) -> Result<Option<Bytes>, Poisoned> {
        self.core().engine.live()?.get(&key.encode())
    }

    /// Some of the results that are kept, with the commit that they are as of: those after a key, at most about so many bytes.
    pub fn kept_results(&self, after: Option<&KeptKey>, bytes_max: usize) -> Result<KeptPage, Poisoned> {
        self.kept_page(key::results_all(), after, bytes_max)
    }

    /// Some of what documents contribute to a view of groups, with the commit that it is as of, in the same way.
    pub fn kept_groups(&self, view: &Digest, after: Option<&KeptKey>, bytes_max: usize) -> Result<KeptPage, Poisoned> {
        self.kept_page(key::groups(view), after, bytes_max)
    }

    /// Some of the documents that the app trusts, in the same way.
    pub fn kept_trusted(&self, after: Option<&KeptKey>, bytes_max: usize) -> Result<KeptPage, Poisoned> {
        self.kept_page(key::trusted_all(), after, bytes_max)
    }

    /// Some of the revocations of tokens, in the same way.
    pub fn kept_revocations(&self, after: Option<&KeptKey>, bytes_max: usize) -> Result<KeptPage, Poisoned> {
        self.kept_page(key::revoked_all(), after, bytes_max)
    }

    /// Some of the experiments, each followed by its callers, or of one of them, in the same way.
    pub fn kept_experiments(
        &self,
        of: Option<u64>,
        after: Option<&KeptKey>,
        bytes_max: usize,
    ) -> Result<KeptPage, Poisoned> {
        self.kept_page(of.map_or_else(key::experiments_all, key::experiment), after, bytes_max)
    }

    /// Some of how often clients have asked for what releases have, in the same way.
    pub fn kept_usage(&self, after: Option<&KeptKey>, bytes_max: usize) -> Result<KeptPage, Poisoned> {
        self.kept_page(key::usage_all(), after, bytes_max)
    }

    /// The views of groups of which something is kept.
    pub fn kept_views(&self) -> Result<Vec<Digest>, Poisoned> {
        let live = self.core().engine.live()?;
        let mut rest = Interval::prefix(key::groups_all());
        let mut views = Vec::new();
        while let Some(entry) = live.entries(&rest, Direction::Asc)?.next() {
            let (key, _) = entry?;
            let Some((view, _)) = key::groups_parts(&key) else {
                rest.start = key::successor(&key);
                continue;
            };
            rest.start = key::after_prefix(&key::groups(&view));
            views.push(view);
        }
        Ok(views)
    }

    fn kept_page(&self, prefix: Key, after: Option<&KeptKey>, bytes_max: usize) -> Result<KeptPage, Poisoned> {
        let live = self.core().engine.live()?;
        let mut rest = Interval::prefix(prefix);
        if let Some(after) = after {
            rest.start = key::successor(&after.encode());
        }
        let (mut page, mut bytes) = (KeptPage::default(), 0);
        for entry in live.entries(&rest, Direction::Asc)? {
            let (key, value) = entry?;
            bytes += key.len() + value.len();
            page.records.extend(KeptKey::decode(&key).map(|key| (key, value)));
            if bytes >= bytes_max {
                page.next = page.records.last().map(|(key, _)| key.clone());
                break;
            }
        }
        Ok(page)
    }

    /// Which of these have read nothing that a commit after `since` has changed, as far as the journal tells, and the last
    /// commit that was looked at. `None` where it cannot tell: it does not reach back that far, the catalog is another, or
    /// there is no such commit.
    ///
    /// The journal names documents, not what they were in an index before. So who has read along an index counts as touched by
    /// every change in its collection: rather too much than too little.
    pub fn untouched_since(&self, since: Head, reads: &[&ReadSet]) -> Result<Option<(Head, Vec<bool>)>, Poisoned> {
        let (live, head) = self.core().live()?;
        let reaches_back = journal::extent(&live)?.first <= since.sequence.saturating_add(1);
        if since.sequence > head.sequence || since.catalog != head.catalog || !reaches_back {
            return Ok(None);
        }
        let mut untouched = vec![true; reads.len()];
        let later = Interval { start: key::journal(since.sequence + 1), end: key::after_prefix(&key::journal_all()) };
        let mut changed = Changed::default();
        let mut seen = 0;
        for entry in live.entries(&later, Direction::Asc)? {
            let entry = journal::parse(&live, &entry?.1)?;
            for change in entry.changes {
                changed.collections.insert(change.collection);
                changed.documents.insert(key::document(change.collection, &change.id));
            }
            seen += 1;
            if seen == ENTRIES_MAX {
                changed.apply(reads, &mut untouched);
                seen = 0;
            }
        }
        changed.apply(reads, &mut untouched);
        Ok(Some((head, untouched)))
    }
}

/// What some commits have changed.
#[derive(Default)]
struct Changed {
    collections: BTreeSet<CollectionNumber>,
    documents: BTreeSet<Key>,
}

impl Changed {
    /// Notes who has read any of it, and forgets it.
    fn apply(&mut self, reads: &[&ReadSet], untouched: &mut [bool]) {
        let documents: Vec<Key> = std::mem::take(&mut self.documents).into_iter().collect();
        let collections = std::mem::take(&mut self.collections);
        let indexes = collections.into_iter().map(|collection| Interval::prefix(key::indexes(collection)));
        let indexes: Vec<Interval> = indexes.collect();
        for (reads, untouched) in reads.iter().zip(untouched) {
            *untouched &= !reads.touches_keys(&documents) && !indexes.iter().any(|index| reads.reads_in(index));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;
    use weir_schema::declarations::{Collection, Declarations, Index};
    use weir_schema::shape::{Definition, Member, ObjectDefinition, Shape, Slot};

    use super::*;
    use crate::options::Options;
    use crate::scan::Scan;

    async fn store(folder: &std::path::Path) -> Store {
        let store = Store::open(folder, Options::default()).unwrap();
        let mut declarations = Declarations::default();
        for name in ["a", "b"] {
            let (name, module) = (name.to_owned(), String::new());
            let indexes = vec![Index { fields: vec!["n".to_owned()], unique: false }];
            let (document, value, references) = (name.clone(), "Value".to_owned(), Vec::new());
            let collection = Collection { name: name.clone(), document, value, module, indexes, references };
            declarations.collections.insert(name, collection);
        }
        let slot = Slot { shape: Shape::Int, nullable: false, optional: false };
        let members = vec![Member { name: "n".to_owned(), description: None, slot, literal: None }];
        let (name, input_name) = ("Value".to_owned(), "ValueInput".to_owned());
        let value = ObjectDefinition { name: name.clone(), input_name, description: None, members };
        declarations.definitions.insert(name, Definition::Object(value));
        store.apply_collections(&declarations).await.unwrap();
        store
    }

    fn id(text: &str) -> DocumentId {
        DocumentId::parse(text).unwrap()
    }

    async fn put(store: &Store, collection: &str, document: &str, n: u32) {
        let mut transaction = store.begin().unwrap();
        transaction.put(collection, &id(document), json!({ "n": n }).as_object().cloned().unwrap()).unwrap();
        store.commit(transaction).await.unwrap();
    }

    #[tokio::test]
    async fn the_journal_tells_who_has_read_what_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        put(&store, "a", "x", 1).await;
        put(&store, "b", "x", 1).await;
        let since = store.head();
        let reads = |collection: &str, read: &str| {
            let mut transaction = store.begin().unwrap();
            match read {
                "all" => drop(transaction.scan(collection, &Scan::default()).unwrap()),
                "index" => {
                    let scan = Scan { equal: vec![("n".to_owned(), json!(7))], ..Scan::default() };
                    transaction.scan(collection, &scan).unwrap();
                }
                document => drop(transaction.get(collection, &id(document)).unwrap()),
            }
            transaction.into_read_set()
        };
        let all = [("a", "x"), ("a", "y"), ("a", "all"), ("a", "index"), ("b", "x"), ("b", "all"), ("b", "index")];
        let all: Vec<ReadSet> = all.map(|(collection, read)| reads(collection, read)).into();
        let all: Vec<&ReadSet> = all.iter().collect();
        assert_eq!(store.untouched_since(since, &all).unwrap(), Some((since, vec![true; 7])));
        put(&store, "a", "x", 2).await;
        let untouched = vec![false, true, false, false, true, true, true];
        assert_eq!(store.untouched_since(since, &all).unwrap(), Some((store.head(), untouched)));
        assert_eq!(store.untouched_since(store.head(), &all).unwrap(), Some((store.head(), vec![true; 7])));
        for wrong in [Head { catalog: since.catalog + 1, ..since }, Head { sequence: since.sequence + 9, ..since }] {
            assert_eq!(store.untouched_since(wrong, &all).unwrap(), None, "{wrong:?}");
        }
        store.close().await;
    }

    #[tokio::test]
    async fn what_is_kept_is_read_in_pages_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let contributions = (0..10).map(|number| KeptKey::Contribution(one, id(&format!("d{number}"))));
        let mut keys: Vec<KeptKey> = contributions.chain([KeptKey::Groups(other), KeptKey::Results]).collect();
        keys.push(KeptKey::Result(other));
        keys.push(KeptKey::Trusted("sha256:0a".to_owned()));
        keys.push(KeptKey::Revoked(one));
        let of_one = [KeptKey::Experiment(1), KeptKey::Exposed(1, [0; 16]), KeptKey::Exposed(1, [255; 16])];
        let others = [KeptKey::Experiment(0), KeptKey::Experiment(256)];
        keys.extend(of_one.iter().chain(&others).cloned());
        let text = Bytes::from_static(b"text");
        store.keep(keys.iter().map(|key| (key.clone(), Some(text.clone()))).collect()).await.unwrap();
        let head = store.head();
        store.close().await;
        drop(store);
        let store = Store::open(folder.path(), Options::default()).unwrap();
        assert_eq!(store.head(), head, "it is no commit");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.kept_groups(&one, after.as_ref(), 100).unwrap();
            found.extend(page.records.into_iter().map(|(key, _)| key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, keys[..10]);
        let mut views = vec![one, other];
        views.sort_unstable();
        assert_eq!(store.kept_views().unwrap(), views);
        assert_eq!(store.kept_results(None, usize::MAX).unwrap().records.len(), 2);
        let trusted = store.kept_trusted(None, usize::MAX).unwrap().records;
        assert_eq!(trusted, [(KeptKey::Trusted("sha256:0a".to_owned()), text.clone())]);
        let revoked = store.kept_revocations(None, usize::MAX).unwrap().records;
        assert_eq!(revoked, [(KeptKey::Revoked(one), text.clone())]);
        let experiments = |of, after| -> Vec<KeptKey> {
            let records = store.kept_experiments(of, after, usize::MAX).unwrap().records;
            records.into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(experiments(Some(1), None), of_one);
        assert_eq!(experiments(Some(1), Some(&of_one[0])), of_one[1..]);
        let [first, last] = others;
        assert_eq!(experiments(None, None), [[first].as_slice(), of_one.as_slice(), &[last]].concat());
        store.keep(keys.into_iter().map(|key| (key, None)).collect()).await.unwrap();
        assert_eq!(store.kept_views().unwrap(), []);
        store.close().await;
    }
}

//! The key space. Every key starts with one byte that says what it is.
//!
//! | key | value |
//! |---|---|
//! | `A` number | an audit record |
//! | `C` | the catalog: names of collections and indexes with their numbers, as JSON |
//! | `D` collection `id` | a document as JSON text, `id` first |
//! | `E` milliseconds digest | empty: when a kept outcome expires |
//! | `G` digest | the commit as of which the contributions to a view of groups are kept, as JSON |
//! | `G` digest `id` | what a document contributes to it, as the guest's JSON text |
//! | `I` collection index components `id` | empty: an entry of a plain index, or of a unique one with a null in it |
//! | `I` collection index components | the id: an entry of a unique index |
//! | `I` collection index target `id` | empty: the document refers to the target; an index of references alone |
//! | `J` `id` | a job as JSON |
//! | `K` digest | the outcome of a call with an idempotency key |
//! | `L` sequence | a journal entry |
//! | `M` `audit` | the last audit record: its number and digest |
//! | `M` `head` | timestamp and sequence of the last commit |
//! | `M` `history` | from when on old versions are known |
//! | `M` `journal` | how far the journal reaches |
//! | `N` `i` person id | the key of a person of the audit log, wrapped |
//! | `N` `l` bucket digest | which person that is and by which id, wrapped; the digest is under a key of the bucket |
//! | `P` `a` name | somebody who may use the control plane, as JSON |
//! | `P` `b` sequence | the bundle of a release, sealed |
//! | `P` `k` key id | a key that bundles may be signed with, as JSON |
//! | `P` `n` | the name of the tenant that the store is of, as JSON |
//! | `P` `r` sequence | what is known of a release, as JSON |
//! | `P` `s` | the key that bundles are sealed by, wrapped |
//! | `P` `d` digest | the name of who shows the token of the digest |
//! | `P` `t` name | a tenant, as JSON |
//! | `R` | the commit as of which results of views are kept, as JSON |
//! | `R` digest | a result of a view |
//! | `T` `id` | the text of a trusted document |
//! | `U` sequence day | how often clients have asked for what a release has, on a day, as JSON |
//! | `W` milliseconds `id` | empty: when a job is due that waits or runs |
//! | `X` digest | which tokens are revoked, as JSON |
//!
//! Numbers are 32 bits (sequences, audit numbers and times 64), big endian; digests are 32 bytes. The id at the end of a key stands as it is.

mod control;

pub use control::*;
use serde_json::{Map, Value};

use super::component::{self, BadComponent, TAG_NULL, TextOrder};
use crate::codec::audit::PersonId;
use crate::digest::Digest;
use crate::id::DocumentId;
use crate::limits::INDEX_KEY_BYTES_MAX;

/// A key as it lies in the engine.
pub type Key = Vec<u8>;

/// The key of the catalog.
pub const CATALOG: &[u8] = b"C";
/// The key of the head record.
pub const HEAD: &[u8] = b"Mhead";
/// The key of the last link of the audit chain.
pub const AUDIT_HEAD: &[u8] = b"Maudit";
/// The key of the number of the last audit record from before records were sealed; there is none where all are.
pub const AUDIT_UNSEALED: &[u8] = b"Munsealed";
/// The key of the extent of the journal.
pub const JOURNAL_EXTENT: &[u8] = b"Mjournal";
/// The key of the extent of the history.
pub const HISTORY_EXTENT: &[u8] = b"Mhistory";

const AUDIT: u8 = b'A';
const EXPIRY: u8 = b'E';
const OUTCOME: u8 = b'K';
const DOCUMENT: u8 = b'D';
const INDEX: u8 = b'I';
const JOB: u8 = b'J';
const JOURNAL: u8 = b'L';
const EXPERIMENT: u8 = b'O';
const PERSON: u8 = b'N';
const GROUPS: u8 = b'G';
const CONTROL: u8 = b'P';
const RESULT: u8 = b'R';
const TRUSTED: u8 = b'T';
const USAGE: u8 = b'U';
const WAITING: u8 = b'W';
const REVOKED: u8 = b'X';

/// The number of a collection in the catalog; never used again after the collection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct CollectionNumber(pub u32);

/// The number of an index in the catalog, unique in the whole store; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct IndexNumber(pub u32);

/// The key of a document.
pub fn document(collection: CollectionNumber, id: &DocumentId) -> Key {
    let mut key = documents(collection);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// What the keys of all documents of a collection start with.
pub fn documents(collection: CollectionNumber) -> Key {
    let mut key = vec![DOCUMENT];
    key.extend_from_slice(&collection.0.to_be_bytes());
    key
}

/// What the keys of all entries of an index start with.
pub fn index(collection: CollectionNumber, index: IndexNumber) -> Key {
    let mut key = vec![INDEX];
    key.extend_from_slice(&collection.0.to_be_bytes());
    key.extend_from_slice(&index.0.to_be_bytes());
    key
}

/// What the keys of all entries of a collection's indexes start with.
pub fn indexes(collection: CollectionNumber) -> Key {
    let mut key = indexes_all();
    key.extend_from_slice(&collection.0.to_be_bytes());
    key
}

/// What the keys of all documents start with.
pub fn documents_all() -> Key {
    vec![DOCUMENT]
}

/// What the keys of all index entries start with.
pub fn indexes_all() -> Key {
    vec![INDEX]
}

/// The collection in the key of a document.
pub fn document_collection(key: &[u8]) -> Option<CollectionNumber> {
    number(key.strip_prefix(&[DOCUMENT])?, 0).map(CollectionNumber)
}

/// The collection and the index in the key of an index entry.
pub fn index_numbers(key: &[u8]) -> Option<(CollectionNumber, IndexNumber)> {
    let rest = key.strip_prefix(&[INDEX])?;
    Some((CollectionNumber(number(rest, 0)?), IndexNumber(number(rest, 4)?)))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The key of a journal entry.
pub fn journal(sequence: u64) -> Key {
    let mut key = vec![JOURNAL];
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// What the keys of all journal entries start with.
pub fn journal_all() -> Key {
    vec![JOURNAL]
}

/// The sequence number in the key of a journal entry.
pub fn journal_sequence(key: &[u8]) -> Option<u64> {
    let sequence = key.strip_prefix(&[JOURNAL])?;
    Some(u64::from_be_bytes(sequence.try_into().ok()?))
}

/// The key of an audit record.
pub fn audit(number: u64) -> Key {
    let mut key = vec![AUDIT];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What the keys of all audit records start with.
pub fn audit_all() -> Key {
    vec![AUDIT]
}

/// The number in the key of an audit record.
pub fn audit_number(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(&[AUDIT])?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

/// The key of the key of a person of the audit log.
pub fn person(id: &PersonId) -> Key {
    let mut key = vec![PERSON, b'i'];
    key.extend_from_slice(id.as_bytes());
    key
}

/// What the keys of all keys of persons in a bucket start with.
pub fn people(bucket: u8) -> Key {
    vec![PERSON, b'i', bucket]
}

/// The id in the key of the key of a person.
pub fn person_id(key: &[u8]) -> Option<PersonId> {
    Some(PersonId::from_bytes(key.strip_prefix(&[PERSON, b'i'])?.try_into().ok()?))
}

/// The key under which a person is looked up, by a digest under a key of the bucket.
pub fn person_lookup(bucket: u8, digest: &[u8]) -> Key {
    let mut key = person_lookups(bucket);
    key.extend_from_slice(digest);
    key
}

/// What the keys of all look-ups in a bucket start with.
pub fn person_lookups(bucket: u8) -> Key {
    vec![PERSON, b'l', bucket]
}

/// What all keys about persons of the audit log start with.
pub fn people_all() -> Key {
    vec![PERSON]
}

/// The key of a kept outcome.
pub fn outcome(of: &Digest) -> Key {
    let mut key = vec![OUTCOME];
    key.extend_from_slice(of.as_bytes());
    key
}

/// The key that says when a kept outcome expires, in milliseconds since 1970.
pub fn expiry(at_ms: u64, of: &Digest) -> Key {
    let mut key = expiries_from(at_ms);
    key.extend_from_slice(of.as_bytes());
    key
}

/// What sorts before all expiries of that millisecond and after all earlier ones.
pub fn expiries_from(at_ms: u64) -> Key {
    let mut key = vec![EXPIRY];
    key.extend_from_slice(&at_ms.to_be_bytes());
    key
}

/// The kept outcome that an expiry is about.
pub fn expiring_outcome(key: &[u8]) -> Option<Digest> {
    let digest = key.strip_prefix(&[EXPIRY])?.get(8..)?;
    Some(Digest::from_bytes(digest.try_into().ok()?))
}

/// The key of a job.
pub fn job(id: &DocumentId) -> Key {
    let mut key = jobs_all();
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// What the keys of all jobs start with.
pub fn jobs_all() -> Key {
    vec![JOB]
}

/// The id in the key of a job.
pub fn job_id(key: &[u8]) -> Option<DocumentId> {
    id_from(key.strip_prefix(&[JOB])?)
}

/// The key that says when a job is due that waits or runs, in milliseconds since 1970. Its order is that of time.
pub fn waiting(due_ms: u64, id: &DocumentId) -> Key {
    let mut key = waiting_all();
    key.extend_from_slice(&due_ms.to_be_bytes());
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// What the keys of all jobs that wait or run start with.
pub fn waiting_all() -> Key {
    vec![WAITING]
}

/// When a job is due, and which, by a key that says so.
pub fn waiting_job(key: &[u8]) -> Option<(u64, DocumentId)> {
    let (due_ms, id) = key.strip_prefix(&[WAITING])?.split_at_checked(8)?;
    Some((u64::from_be_bytes(due_ms.try_into().ok()?), id_from(id)?))
}

/// Whether what lies under a key has no history: jobs, what the control plane knows, trusted documents and revocations.
pub fn has_no_history(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(JOB | WAITING | CONTROL | TRUSTED | REVOKED)))
}

/// The key that says how far a view of groups is kept, and what all keys about it start with.
pub fn groups(view: &Digest) -> Key {
    let mut key = groups_all();
    key.extend_from_slice(view.as_bytes());
    key
}

/// What the keys about all views of groups start with.
pub fn groups_all() -> Key {
    vec![GROUPS]
}

/// The key of what a document contributes to a view of groups.
pub fn contribution(view: &Digest, id: &DocumentId) -> Key {
    let mut key = groups(view);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// The view that a key of groups is about, and the document if it is about one.
pub fn groups_parts(key: &[u8]) -> Option<(Digest, Option<DocumentId>)> {
    let (digest, id) = key.strip_prefix(&[GROUPS])?.split_at_checked(32)?;
    let digest = Digest::from_bytes(digest.try_into().ok()?);
    if id.is_empty() { Some((digest, None)) } else { Some((digest, Some(id_from(id)?))) }
}

/// The key of a kept result of a view.
pub fn result(of: &Digest) -> Key {
    let mut key = results_all();
    key.extend_from_slice(of.as_bytes());
    key
}

/// The key that says as of when results of views are kept, and what all of their keys start with.
pub fn results_all() -> Key {
    vec![RESULT]
}

/// The digest in the key of a kept result.
pub fn result_digest(key: &[u8]) -> Option<Digest> {
    Some(Digest::from_bytes(key.strip_prefix(&[RESULT])?.try_into().ok()?))
}

/// The key of a trusted document.
pub fn trusted(id: &str) -> Key {
    let mut key = trusted_all();
    key.extend_from_slice(id.as_bytes());
    key
}

/// What the keys of all trusted documents start with.
pub fn trusted_all() -> Key {
    vec![TRUSTED]
}

/// The id in the key of a trusted document.
pub fn trusted_id(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.strip_prefix(&[TRUSTED])?).ok()
}

/// The key of an experiment, and what the keys of its callers start with.
pub fn experiment(number: u64) -> Key {
    let mut key = experiments_all();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The key of a caller of an experiment, by a digest of who that is.
pub fn exposed(experiment: u64, caller: &[u8; 16]) -> Key {
    let mut key = self::experiment(experiment);
    key.extend_from_slice(caller);
    key
}

/// What the keys of all experiments and their callers start with.
pub fn experiments_all() -> Key {
    vec![EXPERIMENT]
}

/// The experiment, and of a caller its digest, in the key of either.
pub fn experiment_parts(key: &[u8]) -> Option<(u64, Option<[u8; 16]>)> {
    let (number, caller) = key.strip_prefix(&[EXPERIMENT])?.split_at_checked(8)?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    if caller.is_empty() { Some((number, None)) } else { Some((number, Some(caller.try_into().ok()?))) }
}

/// The key of how often clients have asked for what a release has, by its sequence and the day in days since 1970.
pub fn usage(release: u64, day: u32) -> Key {
    [usage_all().as_slice(), &release.to_be_bytes(), &day.to_be_bytes()].concat()
}

/// What all of these keys start with.
pub fn usage_all() -> Key {
    vec![USAGE]
}

/// The release and the day in such a key.
pub fn usage_parts(key: &[u8]) -> Option<(u64, u32)> {
    let (release, day) = key.strip_prefix(&[USAGE])?.split_at_checked(8)?;
    Some((u64::from_be_bytes(release.try_into().ok()?), u32::from_be_bytes(day.try_into().ok()?)))
}

/// The key of a revocation of tokens, by the digest of which they are.
pub fn revoked(digest: &Digest) -> Key {
    let mut key = revoked_all();
    key.extend_from_slice(digest.as_bytes());
    key
}

/// What the keys of all revocations start with.
pub fn revoked_all() -> Key {
    vec![REVOKED]
}

/// The digest in the key of a revocation.
pub fn revoked_digest(key: &[u8]) -> Option<Digest> {
    Some(Digest::from_bytes(key.strip_prefix(&[REVOKED])?.try_into().ok()?))
}

/// The first key after all that start with `prefix`. Every key starts with a letter, so there always is one.
pub fn after_prefix(prefix: &[u8]) -> Key {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < 0xff {
            key.push(last + 1);
            return key;
        }
    }
    vec![0xff]
}

/// The key right after `key`: nothing lies between them.
pub fn successor(key: &[u8]) -> Key {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// The id of a document in its key, whose collection's keys start with `prefix`.
pub fn document_id(prefix: &[u8], key: &[u8]) -> Option<DocumentId> {
    id_from(key.strip_prefix(prefix)?)
}

/// The id of the document that an index entry leads to; the index's keys start with `prefix` and hold `fields`
/// components.
pub fn index_entry_id(prefix: &[u8], fields: usize, key: &[u8], value: &[u8]) -> Option<DocumentId> {
    if !value.is_empty() {
        return id_from(value);
    }
    let mut rest = key.strip_prefix(prefix)?;
    for _ in 0..fields {
        rest = component::skip(rest)?;
    }
    id_from(rest)
}

fn id_from(bytes: &[u8]) -> Option<DocumentId> {
    DocumentId::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// An index entry of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The key.
    pub key: Key,
    /// The value: the document's id where the key does not hold it.
    pub value: Vec<u8>,
}

/// Why a document has no entry in an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIndexEntry {
    /// A field cannot be encoded.
    #[error("{field}: {source}")]
    Component {
        /// The indexed field.
        field: String,
        /// Why.
        source: BadComponent,
    },
    /// The fields together are too long.
    #[error("an index key has at most {INDEX_KEY_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
}

/// A field of an index and how its text sorts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct IndexField {
    /// The member of the document.
    pub name: String,
    /// How its text sorts.
    pub order: TextOrder,
}

/// Makes the entry of a document in an index whose keys start with `prefix`.
pub fn index_entry(
    prefix: &[u8],
    fields: &[IndexField],
    unique: bool,
    id: &DocumentId,
    document: &Map<String, Value>,
) -> Result<IndexEntry, BadIndexEntry> {
    let mut key = prefix.to_vec();
    let mut has_null = false;
    for field in fields {
        let value = document.get(&field.name).unwrap_or(&Value::Null);
        let start = key.len();
        component::encode(&mut key, value, field.order)
            .map_err(|source| BadIndexEntry::Component { field: field.name.clone(), source })?;
        has_null |= key.get(start) == Some(&TAG_NULL);
    }
    let mut value = Vec::new();
    if unique && !has_null {
        value.extend_from_slice(id.as_str().as_bytes());
    } else {
        key.extend_from_slice(id.as_str().as_bytes());
    }
    if key.len() > INDEX_KEY_BYTES_MAX { Err(BadIndexEntry::TooLong(key.len())) } else { Ok(IndexEntry { key, value }) }
}

/// What the keys of all entries start with whose first component is this id; `prefix` is that of their index.
pub fn referrers(prefix: &[u8], target: &DocumentId) -> Key {
    let mut key = prefix.to_vec();
    component::encode_text(&mut key, target.as_str());
    key
}

/// The key of the entry that leads from a document to one that refers to it, in an index of references alone.
pub fn referrer(prefix: &[u8], target: &DocumentId, id: &DocumentId) -> Key {
    let mut key = referrers(prefix, target);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn after_a_prefix_comes_the_next_key() {
        let table: [(&[u8], &[u8]); 4] = [(b"D", b"E"), (b"D\x00\xff", b"D\x01"), (b"L\xff\xff", b"M"), (b"", b"\xff")];
        for (prefix, next) in table {
            assert_eq!(after_prefix(prefix), next, "{prefix:?}");
        }
    }

    #[test]
    fn keys_say_whose_they_are() {
        let id = DocumentId::parse("a").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(document_collection(&document(CollectionNumber(3), &id)), Some(CollectionNumber(3)));
        assert_eq!(document_collection(b"D\0\0\0"), None);
        assert_eq!(index_numbers(b"I\0\0\0\x03\0\0\x07"), None);
        assert_eq!(index_numbers(CATALOG), None);
    }

    proptest! {
        #[test]
        fn waiting_jobs_sort_by_time_then_id(
            a in (any::<u64>(), "[a-z:é]{1,4}"), b in (0u64..3, "[a-z:é]{1,4}"), c in (0u64..3, "[a-z:é]{1,4}"),
        ) {
            let key = |(due_ms, id): &(u64, String)| {
                waiting(*due_ms, &DocumentId::parse(id.clone()).unwrap_or_else(|error| panic!("{error}")))
            };
            for (one, other) in [(&a, &b), (&b, &c)] {
                prop_assert_eq!(key(one).cmp(&key(other)), one.cmp(other));
            }
            let (due_ms, id) = waiting_job(&key(&a)).unwrap_or_else(|| panic!("no waiting job"));
            prop_assert_eq!((due_ms, id.as_str()), (a.0, a.1.as_str()));
        }
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a\\x00b]{0,4}".prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn an_entry_leads_back_to_its_document(
            a in scalar(), b in scalar(), id in "[a-z0-9]{1,8}", unique in any::<bool>(),
        ) {
            let id = DocumentId::parse(id).unwrap_or_else(|error| panic!("{error}"));
            let prefix = index(CollectionNumber(3), IndexNumber(7));
            let fields = ["a", "b"].map(|name| IndexField { name: name.to_owned(), order: TextOrder::CodePoint });
            let document = json!({ "a": a, "b": b });
            let document = document.as_object().cloned().unwrap_or_default();
            let entry = index_entry(&prefix, &fields, unique, &id, &document)
                .unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(entry.value.is_empty(), !unique || a.is_null() || b.is_null());
            prop_assert_eq!(index_entry_id(&prefix, 2, &entry.key, &entry.value), Some(id));
            prop_assert_eq!(index_numbers(&entry.key), Some((CollectionNumber(3), IndexNumber(7))));
        }
    }
}

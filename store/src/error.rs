//! Errors, one enum per operation. Each message says what to do where there is something to do.

use std::path::PathBuf;
use std::sync::Arc;

use weir_schema::codec::component::BadComponent;
use weir_schema::codec::key::BadIndexEntry;
use weir_schema::commit::Timestamp;
use weir_schema::id::DocumentId;
use weir_schema::limits::DOCUMENT_BYTES_MAX;
use weir_schema::validate::Violation;

use crate::held::name_of;
use crate::keys::{KEYS_VARIABLE, KeyId, Numbered};
use crate::position::BadCursor;

/// The store stopped after a failure of the engine: nothing is committed until it is opened again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store stopped: {reason}; what was acknowledged is safe, restart weir to go on")]
pub struct Poisoned {
    /// What failed first.
    pub reason: Arc<str>,
}

/// Why a folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is no data folder, or one of another version.
    #[error(transparent)]
    Format(#[from] weir_migrations::PrepareError),
    /// Another process, or another handle of this one, has it open.
    #[error("{} is in use: stop the other `weir` or choose another folder with --data", .0.display())]
    InUse(PathBuf),
    /// The engine cannot read it.
    #[error("{} cannot be opened: {message}; restore it from a backup or choose another folder with --data", .directory.display())]
    Unreadable {
        /// The data folder.
        directory: PathBuf,
        /// What the engine or the operating system says.
        message: String,
    },
    /// The journal does not follow up to the last commit.
    #[error("{}: the journal jumps from {expected_after} to {found}: commits are missing, restore the folder from a backup", .directory.display())]
    JournalGap {
        /// The data folder.
        directory: PathBuf,
        /// The last sequence number before the gap.
        expected_after: u64,
        /// The sequence number after it.
        found: u64,
    },
    /// The database ends before the last commit that was acknowledged.
    #[error("{}: commit {acknowledged} was acknowledged, but the database ends at {found}: the disk lost commits; restore the folder from a backup, or remove its file ACKNOWLEDGED to go on without them", .directory.display())]
    CommitsMissing {
        /// The data folder.
        directory: PathBuf,
        /// The last commit that was acknowledged.
        acknowledged: u64,
        /// The last commit that is there.
        found: u64,
    },
    /// It is encrypted, and no keys were given.
    #[error("{} is encrypted: name its keys with --encryption-keys FILE or in {KEYS_VARIABLE}", .0.display())]
    KeysMissing(PathBuf),
    /// It was created without encryption, and keys were given.
    #[error("{} is not encrypted, and a folder stays as it was created: leave out the encryption keys, or import its data into a new folder", .0.display())]
    NotEncrypted(PathBuf),
    /// Some of its files were written with a key that was not given.
    #[error("{} needs more than the given keys: add {}", .directory.display(), Numbered(.missing))]
    KeyMissing {
        /// The data folder.
        directory: PathBuf,
        /// The numbers of the keys.
        missing: Vec<KeyId>,
    },
    /// A given key is not the one that it was written with.
    #[error("{} was written with another key than the one given as {}: give the right one", .directory.display(), Numbered(.given))]
    WrongKey {
        /// The data folder.
        directory: PathBuf,
        /// The numbers of the given keys that its files name; at least one of them is wrong.
        given: Vec<KeyId>,
    },
    /// The threads of the store cannot be started.
    #[error("the store cannot start its threads: {0}")]
    Threads(std::io::Error),
}

/// The snapshot of a transaction was taken away: it was open for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the transaction was open for too long and was cut: read less at a time, or raise transaction_age_max")]
pub struct SnapshotCut;

/// Why something cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The transaction was open for too long.
    #[error(transparent)]
    Cut(#[from] SnapshotCut),
    /// The transaction read too much.
    #[error("a transaction reads at most {max} documents: read less, or in several transactions")]
    TooManyRead {
        /// The limit.
        max: u64,
    },
    /// What reads one state for a long time has outlived the history.
    #[error("the state at {commit} is not kept any more: it was read for longer than history is kept")]
    Outlived {
        /// The commit of the state.
        commit: Timestamp,
    },
    /// No release that is applied declares the collection.
    #[error("there is no collection {0:?}")]
    UnknownCollection(String),
    /// The engine failed; the store stops.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// Why a document cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// As for reads: every write reads the document before.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The document is too large.
    #[error("a document has at most {DOCUMENT_BYTES_MAX} bytes as JSON, {collection} {id} has {bytes}")]
    DocumentTooLarge {
        /// The collection.
        collection: String,
        /// The document.
        id: DocumentId,
        /// Its size in bytes.
        bytes: usize,
    },
    /// A field cannot be indexed as declared.
    #[error("{collection} {id} cannot be indexed: {source}")]
    NotIndexable {
        /// The collection.
        collection: String,
        /// The document.
        id: DocumentId,
        /// Why.
        source: BadIndexEntry,
    },
    /// It refers to what is not there.
    #[error("{collection} {id} cannot be stored: its {member} leads to {target} {missing:?}, which does not exist")]
    Dangling {
        /// The collection.
        collection: String,
        /// The document.
        id: DocumentId,
        /// The member that is the reference, or in which it lies.
        member: String,
        /// The collection that it leads to.
        target: String,
        /// The id that no document there has.
        missing: String,
    },
    /// Another document refers to the one that is to be deleted.
    #[error(
        "{collection} {id} cannot be deleted: the {member} of {by} {referrer} leads to it; delete or change that first"
    )]
    Restricted {
        /// The collection.
        collection: String,
        /// The document, which may be one that would be deleted with the one asked for.
        id: DocumentId,
        /// The collection of the other.
        by: String,
        /// The member of the other.
        member: String,
        /// The other document.
        referrer: DocumentId,
    },
    /// More documents would be deleted or changed along with one than was allowed.
    #[error("deleting {collection} {id} would write more than {max} documents")]
    TooManyDocuments {
        /// The collection.
        collection: String,
        /// The document that was to be deleted.
        id: DocumentId,
        /// How many were allowed.
        max: usize,
    },
    /// The transaction writes too many documents.
    #[error("a transaction writes at most {max} documents: write less, or in several transactions")]
    TooManyWritten {
        /// The limit.
        max: u64,
    },
    /// The transaction writes too much.
    #[error("a transaction writes at most {max} bytes: write less, or in several transactions")]
    TransactionTooLarge {
        /// The limit in bytes.
        max: usize,
    },
}

/// Why a scan is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// As for reads.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The document type has no such member.
    #[error("{collection} has no field {field:?}")]
    UnknownField {
        /// The collection.
        collection: String,
        /// The field.
        field: String,
    },
    /// The member has a type without an order.
    #[error("{collection}.{field} is {kind} and cannot be used in where, range or orderBy")]
    NotIndexable {
        /// The collection.
        collection: String,
        /// The field.
        field: String,
        /// What it is.
        kind: &'static str,
    },
    /// No declared index serves it.
    #[error("{collection} has no index for {asked}: declare index: [{declare}] in its collection")]
    NoIndex {
        /// The collection.
        collection: String,
        /// The calls, as TypeScript.
        asked: String,
        /// The element to add to `index`, as TypeScript.
        declare: String,
    },
    /// The calls contradict each other or go beyond what one index can do.
    #[error("{collection}: {message}")]
    Combination {
        /// The collection.
        collection: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A value cannot be compared with the field.
    #[error("{collection}.{field}: {source}")]
    BadValue {
        /// The collection.
        collection: String,
        /// The field.
        field: String,
        /// Why.
        source: BadComponent,
    },
    /// A bound of a range is null.
    #[error("{collection}.{field}: a bound of a range cannot be null; leave it out, or use where(\"{field}\", null)")]
    NullBound {
        /// The collection.
        collection: String,
        /// The field.
        field: String,
    },
    /// The position was made by a scan of another kind.
    #[error(transparent)]
    Cursor(#[from] BadCursor),
}

/// Two documents with the same values in a unique index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{collection} {id} and {other} have the same {}, which is unique", .fields.join(", "))]
pub struct UniqueViolation {
    /// The collection.
    pub collection: String,
    /// The fields of the index.
    pub fields: Vec<String>,
    /// The document that was to be written.
    pub id: DocumentId,
    /// The document that has the values already.
    pub other: DocumentId,
}

/// A document that does not have the type that a release needs which came after the one that writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{collection} {id} cannot be stored: release {} could not read it: {violation}", name_of(release))]
pub struct TypeViolation {
    /// The collection.
    pub collection: String,
    /// The document that was to be written.
    pub id: DocumentId,
    /// The release, as it was named to [`crate::Store::hold`].
    pub release: String,
    /// What it does not know of the document.
    pub violation: Violation,
}

/// Why a transaction was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Something that it read has changed since its snapshot. Nothing was written; run it again.
    #[error("something that was read has changed meanwhile")]
    Conflict,
    /// A unique index stands against it. Nothing was written.
    #[error(transparent)]
    Unique(UniqueViolation),
    /// With the outcome that it keeps the transaction is too large. Nothing was written.
    #[error("a transaction writes at most {max} bytes, and keeps its outcome among them: return less, or make several")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// A document that it writes does not have the type that a later release needs. Nothing was written.
    #[error("{0}")]
    Held(Box<TypeViolation>),
    /// The store stopped or was closed before. Nothing was written.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
    /// The store failed while it wrote: whether the commit took effect shows only after a restart.
    #[error("the outcome of the commit is not known: {0}")]
    OutcomeUnknown(Poisoned),
}

/// Why a state of the past cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The versions of that time are not kept, or not any more.
    #[error("the state at {asked} is not kept any more: the oldest one that can be read is {oldest}")]
    Forgotten {
        /// The time that was asked for.
        asked: Timestamp,
        /// The oldest time that can be asked for.
        oldest: Timestamp,
    },
    /// There may still be commits at that time or before.
    #[error("there is no state at {asked} yet: the last commit was at {last}")]
    NotYet {
        /// The time that was asked for.
        asked: Timestamp,
        /// The last commit.
        last: Timestamp,
    },
    /// The store stopped.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
}

/// Why the journal cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// The next entry is not kept any more. Read the state anew, then follow from its commit on.
    #[error("the journal is kept from {first} on, {next} would be next: read the state anew and follow from there")]
    Resync {
        /// The entry that would be next.
        next: u64,
        /// The first entry that is kept.
        first: u64,
    },
    /// The store stopped or was closed: there will be no further entry.
    #[error(transparent)]
    Ended(#[from] Poisoned),
}

/// Why declarations cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Existing documents violate a new unique index.
    #[error("a new unique index is violated: {0}; change one of them first")]
    Unique(UniqueViolation),
    /// An existing document does not fit a new index.
    #[error("cannot index {collection} by {}: document {id}: {source}", .fields.join(", "))]
    NotIndexable {
        /// The collection.
        collection: String,
        /// The fields of the index.
        fields: Vec<String>,
        /// The document.
        id: DocumentId,
        /// Why.
        source: BadIndexEntry,
    },
    /// An index names a member that has no order or does not exist.
    #[error("{collection} cannot have an index on {field:?}: {problem}")]
    BadField {
        /// The collection.
        collection: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A reference is declared that cannot be.
    #[error("{collection} cannot have the reference {field}: {problem}")]
    BadReference {
        /// The collection.
        collection: String,
        /// The member.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An existing document does not keep to a new reference.
    #[error(
        "a new reference leads nowhere: the {member} of {collection} {id} is {missing:?}, which {target} does not have; change or delete that document first"
    )]
    Dangling {
        /// The collection.
        collection: String,
        /// The document.
        id: DocumentId,
        /// The member that is the reference, or in which it lies.
        member: String,
        /// The collection that it leads to.
        target: String,
        /// The id that no document there has.
        missing: String,
    },
    /// Two releases cannot be there at once: no documents suit both.
    #[error(
        "releases {one} and {other} cannot be live at once: {collection}.{field} {problem}; end one of them first, or give the member another name"
    )]
    Apart {
        /// The collection.
        collection: String,
        /// The member.
        field: String,
        /// What of it differs.
        problem: &'static str,
        /// The release that came first in what was asked for.
        one: String,
        /// The other.
        other: String,
    },
    /// The store failed or was closed.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
}

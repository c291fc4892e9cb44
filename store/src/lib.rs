//! The only user of surrealkv: snapshots, transactions, the committer, indexes, the journal, history, encryption, backup.
//!
//! A [`Transaction`] reads from one snapshot, keeps its writes to itself and notes all it reads in a [`ReadSet`].
//! [`Store::commit`] hands it to the one committer, which refuses it if anything it read has changed since, and
//! otherwise makes its writes durable; [`Store::transact`] runs it again until it is. `docs/storage.md` writes down the key
//! space, the protocol and the promises.
//!
//! | module | what it does |
//! |---|---|
//! | [`store`] | the handle: open, begin, commit, close |
//! | `transact` | runs a transaction until it is committed; `turns` lets those that collide run one after the other |
//! | `ahead` | the same for a row of transactions that do not wait for the disk between them |
//! | `transaction` | reads and writes on one snapshot |
//! | `snapshot` | what it reads from, and how it is cut when it is too old |
//! | `overlay` | the writes of a transaction that is not committed yet, their index entries, and savepoints among them |
//! | `references` | that documents refer to what is there; `deletion` finds what refers to a document that goes |
//! | `scan` | what a scan asks for and what it answers; `rows` walks it, `merge` adds the overlay |
//! | `planner` | which index answers a scan, or which one to declare |
//! | `position` | places in the order of a scan, and cursors made of them |
//! | [`read_set`] | what was read, as points and intervals of keys |
//! | `read_index` | which of many read sets a commit touches |
//! | `committer` | the one task that orders commits; `prepared` is what it takes, `group` what it writes at once |
//! | `uniqueness` | unique indexes at commit |
//! | `pending` | what is admitted and not durable yet, for those whose turn it is and those who go ahead |
//! | `window` | what recent commits touched, to validate read sets against; `validation` says what of them |
//! | `clock` | timestamps of commits |
//! | `notice` | what is told of every commit |
//! | `catalog` | collections and indexes with their numbers; `declare` compares them with declarations, those of several releases at once as one, `indexing` builds and drops indexes |
//! | `held` | types that writers of documents are held to for the sake of a later release |
//! | `building` | how far indexes are that are being built |
//! | `kept` | what views have computed: written beside commits, read when a release becomes active |
//! | `journal` | the check at start that no commit is missing, and the tail that follows every commit |
//! | `follow` | what of a collection a commit has changed |
//! | `past` | states of the past |
//! | `pinned` | one state for readers that take their time |
//! | `upkeep` | cuts, ends and erases what is too old |
//! | `migration` | lends the records of an older folder to its upgrade |
//! | `witness` | what was acknowledged, remembered beside the database |
//! | `backup` | a copy of the data folder while it is in use, and the way back |
//! | `export` | all that is in a store as lines of JSON, and the way back; a copy from store to store |
//! | `verify` | compares all that is in a store with what it should be |
//! | [`progress`] | how far these are |
//! | `engine` | surrealkv behind the few calls that are used; `health` stops the store after a failure |
//! | [`keys`] | the keys that a folder is encrypted with; [`keys::sealed`] is one of its own that others seal; [`encryption`] exchanges them and says which ones files need |
//! | `control` | what the control plane knows: releases, keys, administrators, tenants, environments |
//! | `sealing` | the key of its own that a store seals bundles by, and how it is wrapped; `cipher` seals |
//! | `people` | whom the audit log tells of: what is sealed by their keys, and how those are destroyed |
//! | `jobs` | calls that are to be made later: written with a transaction, found by when they are due |
//! | [`error`], [`options`] | errors per operation; limits by name |

mod ahead;
mod backup;
mod building;
mod catalog;
mod cipher;
mod clock;
mod committer;
mod control;
mod declare;
mod deletion;
pub mod encryption;
mod engine;
pub mod error;
mod export;
mod follow;
mod group;
mod health;
mod held;
mod indexing;
mod jobs;
mod journal;
mod kept;
pub mod keys;
mod merge;
mod migration;
mod notice;
pub mod options;
mod overlay;
mod past;
mod pending;
mod people;
mod pinned;
mod planner;
mod position;
mod prepared;
pub mod progress;
mod read_index;
pub mod read_set;
mod references;
mod rows;
mod scan;
mod sealing;
mod snapshot;
pub mod store;
mod transact;
mod transaction;
mod turns;
mod uniqueness;
mod upkeep;
mod validation;
mod verify;
mod window;
mod witness;

pub use ahead::Ahead;
pub use backup::BackupError;
pub use backup::manifest::{FileEntry, Manifest};
pub use backup::restore::{RestoreError, Restored, restore, restore_if};
pub use backup::staging::Existing;
pub use building::BuildProgress;
pub use control::{ControlKey, ControlKind};
pub use deletion::Deleted;
pub use encryption::{EncryptionError, EncryptionStatus};
pub use error::{
    CatalogError, CommitError, HistoryError, OpenError, Poisoned, ReadError, ScanError, SnapshotCut, TailError,
    TypeViolation, UniqueViolation, WriteError,
};
pub use export::copy::{CopyError, Source};
pub use export::import::{ImportError, import_all};
pub use export::{ExportError, Exported};
pub use held::{HeldTo, Unfit};
pub use jobs::{Due, JobFilter, JobPage};
pub use journal::Tail;
pub use kept::{KeptKey, KeptPage, KeptRecord};
pub use keys::KeyRing;
pub use notice::{Committed, Notice};
pub use options::Options;
pub use overlay::NoSavepoint;
pub use past::{Past, Version};
pub use pinned::Pinned;
pub use position::{BadCursor, Position};
pub use read_index::ReadIndex;
pub use read_set::ReadSet;
pub use references::PutAllError;
pub use scan::{Direction, End, Range, Row, Rows, Scan};
pub use sealing::{Exchange, SealError, UnsealError};
pub use store::Store;
pub use transact::{Run, Transacted};
pub use transaction::{Changes, Transaction};
pub use validation::Validation;
pub use verify::audit::AuditReport;
pub use verify::{Report, VerifyError};
pub use weir_migrations::is_data_folder;
pub use weir_schema::codec::journal::Head;

//! A new data folder from an export: all of the file is checked before anything is made of it.
//!
//! The folder grows beside the one that it is to be and takes its place when it is complete. What is in it are new
//! commits: the same collections, indexes and documents under the same ids, not the history that led to them. The audit
//! log is carried over byte for byte, so its chain holds; its records name the commits of the store that they are from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use weir_schema::codec::audit::{self, AuditHead, AuditRecord};
use weir_schema::codec::job::Job;
use weir_schema::codec::key;
use weir_schema::declarations::Index;
use weir_schema::id::DocumentId;

use super::lines::{
    AuditLine, CollectionRecord, DocumentRecord, JobLine, LineReader, PersonLine, ReadLineError, Record,
};
use super::{BUFFER_BYTES, Exported};
use crate::backup::files::CopyError;
use crate::backup::staging::{Existing, Staging, StagingError};
use crate::cipher::SealingKey;
use crate::declare::{AllWanted, Wanted};
use crate::error::{CatalogError, CommitError, OpenError, Poisoned, ReadError, WriteError};
use crate::group::to_json;
use crate::options::Options;
use crate::people::Holder;
use crate::progress::{Meter, Phase, Stopped, Watch};
use crate::store::Store;

/// Documents, audit records and jobs in one commit.
pub(super) const BATCH_RECORDS: usize = 1_000;
/// Bytes of these in one commit.
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// Why nothing was imported. There is no new data folder.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read, or is no export, or not the one that was made.
    #[error("{}: {problem}; nothing was imported", .file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is a data folder already.
    #[error("{} is not empty: an import of everything needs a new data folder, choose one with --data", .0.display())]
    Occupied(PathBuf),
    /// A process has the data folder open.
    #[error("{} is in use: choose another folder with --data", .0.display())]
    InUse(PathBuf),
    /// The new data folder cannot be made.
    #[error("the data folder cannot be made: {0}")]
    Files(String),
    /// The new data folder cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Who asked for it stopped it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<StagingError> for ImportError {
    fn from(error: StagingError) -> Self {
        match error {
            StagingError::Occupied(data) => Self::Occupied(data),
            StagingError::InUse(data) => Self::InUse(data),
            StagingError::Files(CopyError::Stopped(stopped)) => stopped.into(),
            StagingError::Files(error) => Self::Files(error.to_string()),
        }
    }
}

/// Makes `data`, which must not exist or be empty, a data folder with all that an export holds.
///
/// It reads and checks on the thread that runs it: for commands, not for servers.
pub async fn import_all(file: &Path, data: &Path, options: &Options, watch: Watch) -> Result<Exported, ImportError> {
    let unusable = |problem: Problem| match problem {
        Problem::Stopped(stopped) => ImportError::Stopped(stopped),
        problem => ImportError::Unusable { file: file.to_owned(), problem: problem.to_string() },
    };
    // Before a long check: whether the folder can be filled at all.
    let staging = Staging::new(data, Existing::Keep)?;
    let contents = check(file, &watch).map_err(unusable)?;
    let store = Store::open(&staging.path(), options.clone())?;
    let loaded = load(&store, file, &contents, &watch).await;
    store.close().await;
    let imported = loaded.map_err(unusable)?;
    staging.place()?;
    Ok(imported)
}

/// What a checked file holds, but for what there is much of.
struct Contents {
    collections: Vec<CollectionRecord>,
    /// The end of its audit log.
    audit: AuditHead,
    /// The last record of that from before records were sealed; 0: there is none.
    unsealed: u64,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Line(#[from] ReadLineError),
    #[error("line {line}: {error}")]
    Document { line: u64, error: Box<WriteError> },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

type Reader = LineReader<BufReader<File>>;

/// The lines of a file, and its size.
fn open(file: &Path) -> Result<(Reader, u64), Problem> {
    let opened = File::open(file)?;
    let bytes = opened.metadata()?.len();
    Ok((LineReader::start(BufReader::with_capacity(BUFFER_BYTES, opened))?, bytes))
}

/// Reads the whole file.
fn check(file: &Path, watch: &Watch) -> Result<Contents, Problem> {
    let (mut lines, bytes) = open(file)?;
    let mut meter = Meter::new(watch, Phase::Checking, Some(bytes));
    let mut collections = Vec::new();
    let mut names = BTreeSet::new();
    let (mut audit, mut sealed) = (AuditHead::default(), None);
    while let Some((record, bytes)) = lines.next()? {
        meter.add(bytes)?;
        match record {
            Record::Collection(collection) => {
                if !names.insert(collection.name.clone()) {
                    return Err(lines.bad(format!("a second collection {:?}", collection.name)).into());
                }
                wanted(&collection)?;
                collections.push(collection);
            }
            Record::Document(document) => {
                if !names.contains(&document.collection) {
                    return Err(lines.bad(format!("no line before declares {:?}", document.collection)).into());
                }
                parse(&document).map_err(|problem| lines.bad(problem))?;
            }
            Record::Audit(AuditLine { number, entry }) => {
                let followed = audit.follow(number, entry.get().as_bytes());
                audit = followed.map_err(|broken| lines.bad(broken.to_string()))?;
                if sealed.is_none() && is_sealed(&entry) {
                    sealed = Some(number);
                }
            }
            Record::Person(person) => drop(of_person(&person).map_err(|problem| lines.bad(problem))?),
            Record::Job(_) => {}
        }
    }
    // A reference may lead to a collection that comes later.
    all_wanted(&collections)?;
    // Where the file does not say it, what comes before the first that is sealed may be from before.
    let before_sealed = || sealed.map_or(audit.number, |first| first.saturating_sub(1));
    let unsealed = lines.unsealed.unwrap_or_else(before_sealed);
    Ok(Contents { collections, audit, unsealed })
}

fn is_sealed(entry: &RawValue) -> bool {
    let record = serde_json::from_str::<AuditRecord>(entry.get());
    record.is_ok_and(|record| record.sealed.is_some() || record.about.is_some())
}

/// The collections that the app had, with their references.
pub(super) fn all_wanted(collections: &[CollectionRecord]) -> Result<AllWanted, CatalogError> {
    let declared = || collections.iter().filter(|collection| collection.declared);
    let names: BTreeSet<&str> = declared().map(|collection| collection.name.as_str()).collect();
    let all = declared().map(|collection| {
        let (name, mut wanted) = wanted(collection)?;
        wanted.refer(&name, &collection.references, |target| names.contains(target))?;
        Ok((name, wanted))
    });
    all.collect()
}

/// A collection without its references.
pub(super) fn wanted(collection: &CollectionRecord) -> Result<(String, Wanted), CatalogError> {
    let indexes: Vec<Index> = collection.indexes.iter().cloned().map(Index::from).collect();
    Ok((collection.name.clone(), Wanted::new(&collection.name, collection.fields.clone(), &indexes)?))
}

pub(super) fn parse(record: &DocumentRecord) -> Result<(DocumentId, Map<String, Value>), String> {
    let text = record.document.get();
    let document: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("not a document: {error}"))?;
    let id = document.get("id").and_then(Value::as_str).ok_or("a document without an id")?;
    let id = DocumentId::parse(id).map_err(|error| error.to_string())?;
    Ok((id, document))
}

fn of_person(record: &PersonLine) -> Result<Holder, String> {
    let key = SealingKey::of(&record.key).ok_or("the key of a person has 32 bytes")?;
    Ok(Holder { person: audit::Person::parse(record.person.clone()), id: record.id, key })
}

/// Makes the collections and commits the documents, in the order of the file. The references are declared at the end:
/// before, what they lead to need not be there.
async fn load(store: &Store, file: &Path, contents: &Contents, watch: &Watch) -> Result<Exported, Problem> {
    let Contents { collections, audit, unsealed } = contents;
    let all: AllWanted = collections.iter().map(wanted).collect::<Result<_, _>>()?;
    store.apply(all).await?;
    let (mut lines, file_bytes) = open(file)?;
    let mut meter = Meter::new(watch, Phase::Loading, Some(file_bytes));
    let mut counts = BTreeMap::from([("collection".to_owned(), collections.len() as u64)]);
    let mut batch = Batch::default();
    while let Some((record, bytes)) = lines.next()? {
        meter.add(bytes)?;
        match record {
            Record::Collection(_) => {}
            Record::Document(record) => {
                batch.bytes += record.document.get().len();
                let (id, document) = parse(&record).map_err(|problem| lines.bad(problem))?;
                batch.documents.push((lines.line, record.collection, id, document));
                *counts.entry("document".to_owned()).or_default() += 1;
            }
            Record::Audit(record) => {
                batch.bytes += record.entry.get().len();
                batch.audit.push(record);
                *counts.entry("audit".to_owned()).or_default() += 1;
            }
            Record::Person(record) => {
                batch.bytes += record.person.len();
                batch.people.push(of_person(&record).map_err(|problem| lines.bad(problem))?);
                *counts.entry("person".to_owned()).or_default() += 1;
            }
            Record::Job(line) => {
                let JobLine { id, job } = *line;
                batch.bytes += job.args.to_string().len();
                batch.jobs.push((lines.line, id, job));
                *counts.entry("job".to_owned()).or_default() += 1;
            }
        }
        if batch.records() >= BATCH_RECORDS || batch.bytes >= BATCH_BYTES {
            std::mem::take(&mut batch).commit(store).await?;
        }
    }
    batch.commit(store).await?;
    store.apply(all_wanted(collections)?).await?;
    if audit.number > 0 {
        // Last of all: from here on the store would go on with an audit log of its own.
        let mut end = store.core().engine.batch()?;
        end.replace(key::AUDIT_HEAD, &to_json(audit))?;
        end.replace(key::AUDIT_UNSEALED, &to_json(unsealed))?;
        end.commit().await?;
    }
    Ok(Exported { counts, bytes: file_bytes, sequence: store.head().sequence })
}

/// What is committed together.
#[derive(Default)]
struct Batch {
    audit: Vec<AuditLine>,
    /// Documents with the lines that they are on.
    documents: Vec<(u64, String, DocumentId, Map<String, Value>)>,
    /// Jobs with the lines that they are on.
    jobs: Vec<(u64, DocumentId, Job)>,
    people: Vec<Holder>,
    bytes: usize,
}

impl Batch {
    fn records(&self) -> usize {
        self.documents.len() + self.audit.len() + self.jobs.len() + self.people.len()
    }

    async fn commit(self, store: &Store) -> Result<(), Problem> {
        if !self.audit.is_empty() || !self.people.is_empty() {
            let mut records = store.core().engine.batch()?;
            store.core().people.import(&self.people, &mut records)?;
            for AuditLine { number, entry } in self.audit {
                records.replace(&key::audit(number), entry.get().as_bytes())?;
            }
            records.commit().await?;
        }
        let mut transaction = store.begin()?;
        for (line, collection, id, document) in self.documents {
            transaction
                .put(&collection, &id, document)
                .map_err(|error| Problem::Document { line, error: error.into() })?;
        }
        for (line, id, job) in self.jobs {
            transaction.put_job(&id, job).map_err(|error| Problem::Document { line, error: error.into() })?;
        }
        store.commit(transaction).await?;
        Ok(())
    }
}

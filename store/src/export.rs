//! All that is in a store, as lines of JSON that need neither the engine nor this version of Weir to be read.
//!
//! It is one state, read from one snapshot, one record in memory at a time. Indexes are exported as what is declared;
//! their entries follow from the documents. `lines` is the format, `import` the way back, and `copy` goes from store to store without a
//! file.

pub(crate) mod copy;
pub(crate) mod import;
mod lines;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_schema::codec::key;

use self::lines::{AuditLine, CollectionRecord, DocumentRecord, IndexRecord, JobLine, Lines, PersonLine, Record};
use crate::backup::files;
use crate::catalog::{self, Collection, IndexState, ReferenceState};
use crate::error::Poisoned;
use crate::people::Holder;
use crate::progress::{Meter, Phase, Stopped, Watch};
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::store::{Core, Store};
use crate::verify::audit::read_unsealed;

/// Bytes that are written at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something is there already.
    #[error("{} exists: choose another name for the export", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("the export cannot be written: {0}")]
    Io(#[from] io::Error),
    /// A record is not what it should be.
    #[error("{place} has a damaged record: {problem}; see what `weir doctor` finds")]
    Damaged {
        /// The collection, or what else the record belongs to.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// Who asked for it stopped it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store failed or was closed.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
}

/// What was exported or imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Lines by kind.
    pub counts: BTreeMap<String, u64>,
    /// The size of all lines.
    pub bytes: u64,
    /// The last commit that is in it.
    pub sequence: u64,
}

impl Exported {
    /// Documents in it.
    pub fn documents(&self) -> u64 {
        self.counts.get("document").copied().unwrap_or_default()
    }

    /// Collections in it.
    pub fn collections(&self) -> u64 {
        self.counts.get("collection").copied().unwrap_or_default()
    }
}

impl Store {
    /// Writes the state as of now into a new file, which has it whole or is not there. Commits go on meanwhile.
    pub async fn export(&self, file: &Path, watch: Watch) -> Result<Exported, ExportError> {
        let file = files::real_path(file);
        self.blocking(move |core| export_file(core, &file, &watch)).await?
    }

    /// Writes the state as of now.
    pub async fn export_to(&self, writer: impl Write + Send + 'static, watch: Watch) -> Result<Exported, ExportError> {
        self.blocking(move |core| export(core, BufWriter::with_capacity(BUFFER_BYTES, writer), &watch).map(|it| it.1))
            .await?
    }
}

fn export_file(core: &Core, file: &Path, watch: &Watch) -> Result<Exported, ExportError> {
    if file.exists() {
        return Err(ExportError::Exists(file.to_owned()));
    }
    let partial = Partial(files::with_suffix(file, ".partial"));
    let mut options = OpenOptions::new();
    // An export is readable, whatever the data is encrypted with: for its owner only.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.write(true).create(true).truncate(true).open(&partial.0)?;
    let (writer, exported) = export(core, BufWriter::with_capacity(BUFFER_BYTES, opened), watch)?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&partial.0, file)?;
    files::sync_folder(files::parent(file)).map_err(io::Error::other)?;
    Ok(exported)
}

/// A file that is removed with its value, if it still has that name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Once it has its final name there is nothing to remove.
        let _ = fs::remove_file(&self.0);
    }
}

fn export<W: Write>(core: &Core, writer: W, watch: &Watch) -> Result<(W, Exported), ExportError> {
    core.is_ready()?;
    // Not one of the readers that are cut when they grow old: an export takes as long as it takes.
    let (people, (live, head)) = core.people.keys_and(|| core.live())?;
    let catalog = core.catalog_of(&live, head)?;
    let mut meter = Meter::new(watch, Phase::Exporting, None);
    let unsealed = read_unsealed(&live)?;
    let mut lines = Lines::start(writer, head.sequence, head.timestamp.to_string(), unsealed)?;
    for (name, collection) in &catalog.collections {
        lines.write(&Record::Collection(describe(name, collection)))?;
    }
    for (name, collection) in &catalog.collections {
        for entry in live.entries(&Interval::prefix(key::documents(collection.number)), Direction::Asc)? {
            let (_, text) = entry?;
            let document = raw(text, name)?;
            lines.write(&Record::Document(DocumentRecord { collection: name.clone(), document }))?;
            meter.add(1)?;
        }
    }
    for entry in live.entries(&Interval::prefix(key::audit_all()), Direction::Asc)? {
        let (key, text) = entry?;
        let number = key::audit_number(&key).unwrap_or_default();
        lines.write(&Record::Audit(AuditLine { number, entry: raw(text, "the audit log")? }))?;
        meter.add(1)?;
    }
    people.each(&live, |Holder { person, id, key }| {
        let person = person.as_str().to_owned();
        lines.write(&Record::Person(PersonLine { person, id, key: key.bytes().to_vec() }))?;
        meter.add(1).map_err(ExportError::from)
    })?;
    for entry in live.entries(&Interval::prefix(key::jobs_all()), Direction::Asc)? {
        let (key, text) = entry?;
        let damaged = |problem: &str| ExportError::Damaged { place: "a job".to_owned(), problem: problem.to_owned() };
        let id = key::job_id(&key).ok_or_else(|| damaged("its id cannot be read"))?;
        let job = serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
        lines.write(&Record::Job(Box::new(JobLine { id, job })))?;
        meter.add(1)?;
    }
    let (writer, counts, bytes) = lines.end()?;
    Ok((writer, Exported { counts, bytes, sequence: head.sequence }))
}

/// The text of a record, as it is stored.
fn raw(text: Bytes, place: &str) -> Result<Box<RawValue>, ExportError> {
    let damaged = |problem: String| ExportError::Damaged { place: place.to_owned(), problem };
    let text = String::from_utf8(text.into()).map_err(|error| damaged(error.to_string()))?;
    RawValue::from_string(text).map_err(|error| damaged(error.to_string()))
}

/// What is declared of a collection. An index or a reference that is not complete yet is declared again by the app.
fn describe(name: &str, collection: &Collection) -> CollectionRecord {
    let ready = collection.indexes.iter().filter(|index| index.state == IndexState::Ready && index.ids.is_none());
    let references = collection.references.iter().filter(|reference| reference.state == ReferenceState::Ready);
    CollectionRecord {
        name: name.to_owned(),
        declared: collection.declared,
        fields: collection.fields.clone(),
        indexes: ready.map(|index| IndexRecord { fields: index.field_names(), unique: index.unique }).collect(),
        references: references.map(catalog::Reference::declaration).collect(),
    }
}

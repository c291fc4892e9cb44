//! The format of an export: JSON lines, each with a member `record` that says what it is. `docs/operations.md` describes
//! it for those who read it with other tools.
//!
//! A header comes first, the trailer last. The trailer counts the lines of each kind and has the SHA-256 of all bytes
//! before it, so that an export that was cut off or changed is noticed. A new kind of record is a variant of [`Record`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use weir_schema::base64;
use weir_schema::codec::audit::PersonId;
use weir_schema::codec::job::Job;
use weir_schema::declarations::Index;
use weir_schema::id::DocumentId;
use weir_schema::references::Reference;
use zeroize::Zeroize;

use crate::backup::files::hex;
use crate::catalog::FieldKind;

const FORMAT: &str = "weir-export";
const VERSION: u32 = 1;
/// The longest line. A document has at most a mebibyte.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// What the lines between the header and the trailer hold.
#[derive(Debug, Serialize)]
#[serde(tag = "record", rename_all = "camelCase")]
pub(crate) enum Record {
    Collection(CollectionRecord),
    Document(DocumentRecord),
    Audit(AuditLine),
    Person(PersonLine),
    /// Boxed, as it is much larger than the others.
    Job(Box<JobLine>),
}

/// A collection with its indexes and references.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CollectionRecord {
    pub(crate) name: String,
    /// Whether the app had it when the export was made.
    pub(crate) declared: bool,
    pub(crate) fields: BTreeMap<String, FieldKind>,
    pub(crate) indexes: Vec<IndexRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) references: Vec<Reference>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IndexRecord {
    pub(crate) fields: Vec<String>,
    pub(crate) unique: bool,
}

/// A document with its id.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DocumentRecord {
    pub(crate) collection: String,
    /// As it is stored.
    pub(crate) document: Box<RawValue>,
}

/// A record of the audit log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AuditLine {
    pub(crate) number: u64,
    /// As it is stored, byte for byte: the record after it has the digest of this text.
    pub(crate) entry: Box<RawValue>,
}

/// Somebody whom the audit log tells of, with the key of what is sealed there.
#[derive(Serialize, Deserialize)]
pub(crate) struct PersonLine {
    pub(crate) person: String,
    pub(crate) id: PersonId,
    #[serde(with = "base64")]
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for PersonLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonLine").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for PersonLine {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// A call that is to be made later.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobLine {
    pub(crate) id: DocumentId,
    pub(crate) job: Job,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    /// The last commit that is in it.
    sequence: u64,
    /// When that was, in nanoseconds since 1970.
    timestamp: String,
    /// The last audit record from before records were sealed. Exports from before that do not say it.
    #[serde(default)]
    unsealed: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Trailer {
    /// Lines by kind.
    counts: BTreeMap<String, u64>,
    sha256: String,
}

#[derive(Serialize)]
#[serde(tag = "record", rename_all = "camelCase")]
enum Frame<'a> {
    Header(&'a Header),
    End(&'a Trailer),
}

/// What a line is, whatever else it holds.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
}

impl From<IndexRecord> for Index {
    fn from(record: IndexRecord) -> Self {
        Self { fields: record.fields, unique: record.unique }
    }
}

impl Record {
    fn kind(&self) -> &'static str {
        match self {
            Self::Collection(_) => "collection",
            Self::Document(_) => "document",
            Self::Audit(_) => "audit",
            Self::Person(_) => "person",
            Self::Job(_) => "job",
        }
    }

    /// Reads a line between the header and the trailer.
    fn parse(kind: &str, line: &str) -> Result<Self, String> {
        let bad = |error: serde_json::Error| format!("not a {kind}: {error}");
        match kind {
            "collection" => serde_json::from_str(line).map(Self::Collection).map_err(bad),
            "document" => serde_json::from_str(line).map(Self::Document).map_err(bad),
            "audit" => serde_json::from_str(line).map(Self::Audit).map_err(bad),
            "person" => serde_json::from_str(line).map(Self::Person).map_err(bad),
            "job" => serde_json::from_str(line).map(Self::Job).map_err(bad),
            "header" => Err("a second header".to_owned()),
            _ => Err(format!("a record {kind:?}, which this Weir does not know: use a newer one")),
        }
    }
}

/// Writes an export.
pub(crate) struct Lines<W> {
    writer: W,
    digest: Sha256,
    counts: BTreeMap<String, u64>,
    bytes: u64,
}

impl<W: Write> Lines<W> {
    /// Begins with the header.
    pub(crate) fn start(writer: W, sequence: u64, timestamp: String, unsealed: u64) -> io::Result<Self> {
        let mut lines = Self { writer, digest: Sha256::new(), counts: BTreeMap::new(), bytes: 0 };
        let header =
            Header { format: FORMAT.to_owned(), version: VERSION, sequence, timestamp, unsealed: Some(unsealed) };
        lines.line(&Frame::Header(&header))?;
        Ok(lines)
    }

    pub(crate) fn write(&mut self, record: &Record) -> io::Result<()> {
        *self.counts.entry(record.kind().to_owned()).or_default() += 1;
        self.line(record)
    }

    /// Ends with the trailer; the lines by kind, and the bytes of all.
    pub(crate) fn end(mut self) -> io::Result<(W, BTreeMap<String, u64>, u64)> {
        let counts = std::mem::take(&mut self.counts);
        let trailer = Trailer { counts, sha256: hex(&self.digest.clone().finalize()) };
        self.line(&Frame::End(&trailer))?;
        self.writer.flush()?;
        Ok((self.writer, trailer.counts, self.bytes))
    }

    fn line(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(record)?;
        text.push(b'\n');
        self.digest.update(&text);
        self.bytes += text.len() as u64;
        self.writer.write_all(&text)
    }
}

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadLineError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("line {line}: {problem}")]
    Bad { line: u64, problem: String },
}

/// Reads an export from its header to its trailer, and compares it with the trailer.
pub(crate) struct LineReader<R> {
    reader: R,
    digest: Sha256,
    counts: BTreeMap<String, u64>,
    /// See [`Header::unsealed`].
    pub(crate) unsealed: Option<u64>,
    /// The line that was read last, from 1.
    pub(crate) line: u64,
    ended: bool,
}

impl<R: BufRead> LineReader<R> {
    /// Reads the header.
    pub(crate) fn start(reader: R) -> Result<Self, ReadLineError> {
        let (digest, counts) = (Sha256::new(), BTreeMap::new());
        let mut lines = Self { reader, digest, counts, unsealed: None, line: 0, ended: false };
        let text = lines.take_line()?.unwrap_or_default();
        match serde_json::from_str::<Header>(&text) {
            Ok(header) if header.format == FORMAT && header.version <= VERSION => {
                lines.digest.update(&text);
                lines.unsealed = header.unsealed;
                Ok(lines)
            }
            Ok(header) if header.format == FORMAT => {
                Err(lines.bad(format!("made by a newer Weir (version {}): use that one", header.version)))
            }
            _ => Err(lines.bad("not the header of a Weir export")),
        }
    }

    /// The next record and the bytes of its line; `None` once the trailer has proved that none is missing.
    pub(crate) fn next(&mut self) -> Result<Option<(Record, u64)>, ReadLineError> {
        if self.ended {
            return Ok(None);
        }
        let text = self.take_line()?.unwrap_or_default();
        let kind = serde_json::from_str::<Kind<'_>>(&text).map(|kind| kind.record);
        if kind.as_deref().is_ok_and(|kind| kind == "end") {
            self.end(&text)?;
            return Ok(None);
        }
        if !text.ends_with('\n') {
            return Err(self.bad("the export ends too soon: it was cut off"));
        }
        let kind = kind.map_err(|error| self.bad(format!("not a record: {error}")))?;
        let record = Record::parse(&kind, &text).map_err(|problem| self.bad(problem))?;
        self.digest.update(&text);
        *self.counts.entry(record.kind().to_owned()).or_default() += 1;
        Ok(Some((record, text.len() as u64)))
    }

    fn end(&mut self, text: &str) -> Result<(), ReadLineError> {
        let trailer: Trailer =
            serde_json::from_str(text).map_err(|error| self.bad(format!("not a trailer: {error}")))?;
        if trailer.counts != self.counts {
            return Err(self.bad("the trailer counts other lines: the export was changed"));
        }
        if trailer.sha256 != hex(&self.digest.clone().finalize()) {
            return Err(self.bad("the digest does not fit: the export was changed"));
        }
        if self.take_line()?.is_some() {
            return Err(self.bad("something stands behind the end of the export"));
        }
        self.ended = true;
        Ok(())
    }

    pub(crate) fn bad(&self, problem: impl Into<String>) -> ReadLineError {
        ReadLineError::Bad { line: self.line, problem: problem.into() }
    }

    /// The next line with its end; `None` at the end of the file.
    fn take_line(&mut self) -> Result<Option<String>, ReadLineError> {
        let mut text = Vec::new();
        self.line += 1;
        self.reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() as u64 == LINE_BYTES_MAX && text.last() != Some(&b'\n') {
            return Err(self.bad(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        String::from_utf8(text).map(Some).map_err(|_| self.bad("not UTF-8"))
    }
}

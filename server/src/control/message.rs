//! What is asked and answered: one line of JSON each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_engine::revoked::{Revocation, Revoked};
use weir_schema::codec::job::JobState;
use weir_schema::id::DocumentId;
use weir_store::Manifest;
use weir_store::progress::Progress;

/// The longest request, in bytes.
pub const REQUEST_BYTES_MAX: u64 = 64 << 10;
/// The longest line of an answer, in bytes.
pub const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What a command asks for. Paths are absolute: the two processes may stand in different folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "camelCase")]
pub enum Request {
    /// A backup in a new folder. Done with [`BackedUp`].
    Backup {
        /// The folder.
        to: PathBuf,
    },
    /// An export into a new file. Done with [`weir_store::Exported`].
    Export {
        /// The file.
        to: PathBuf,
    },
    /// A look at every record. Done with [`weir_store::Report`].
    Verify,
    /// Some of the jobs. Done with [`weir_engine::jobs::control::Listing`].
    Jobs {
        /// Those in this state; all without.
        state: Option<JobState>,
        /// Those of this function; all without.
        function: Option<String>,
        /// Those after this one.
        after: Option<DocumentId>,
    },
    /// The end of a job that waits or is dead. Done with [`weir_engine::jobs::control::Listed`].
    CancelJob {
        /// The job.
        id: String,
    },
    /// Another run of a job, now. Done with [`weir_engine::jobs::control::Listed`].
    RetryJob {
        /// The job.
        id: String,
    },
    /// How all views are. Done with a list of [`weir_engine::views::ViewStatus`].
    Views,
    /// A run of a view, now. Done with [`weir_engine::views::ViewStatus`].
    RefreshView {
        /// The view.
        name: String,
    },
    /// Documents to be trusted. Done with [`crate::documents::Pushed`].
    PushDocuments {
        /// The files and folders that have them.
        files: Vec<PathBuf>,
        /// Also those that do not fit the schema.
        anyway: bool,
    },
    /// Some of the trusted documents. Done with them, by id; with none after the last.
    Documents {
        /// Those after this one.
        after: Option<String>,
    },
    /// The end of trust in documents. Done with null.
    RemoveDocuments {
        /// Their ids.
        ids: Vec<String>,
    },
    /// The end of tokens. Done with [`weir_engine::revoked::Revoked`].
    RevokeTokens {
        /// Which.
        revocation: Revocation,
    },
    /// Some of what is revoked. Done with a list of [`weir_engine::revoked::Revoked`]; with none after the last.
    Revocations {
        /// Those after this one.
        after: Option<Revoked>,
    },
    /// The end of all that is kept of a view. Done with [`weir_engine::views::ViewStatus`].
    DropView {
        /// The view.
        name: String,
    },
}

/// One line of the answer. The last is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "camelCase")]
pub enum Answer {
    /// How far it is.
    Progress(Progress),
    /// It is done.
    Done {
        /// What the request says.
        outcome: Value,
    },
    /// It is not done, and will not be.
    Failed {
        /// Why, in one line.
        reason: String,
    },
}

/// What a backup holds, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// The last commit in it.
    pub sequence: u64,
    /// Its files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

impl From<&Manifest> for BackedUp {
    fn from(manifest: &Manifest) -> Self {
        Self { sequence: manifest.sequence, files: manifest.files.len() as u64, bytes: manifest.bytes() }
    }
}

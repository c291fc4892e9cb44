//! All that a tenant has, as files that need neither the server nor this version of it to be read.
//!
//! | file | what it has |
//! |---|---|
//! | `tenant.json` | what the registry has: hosts, issuers, when it was made |
//! | `data.jsonl` | collections, documents, jobs and the audit log: an export as `weir export` writes it, which `weir import` reads |
//! | `audit-head.json` | where the audit log was just before: the log in `data.jsonl` leads through it |
//! | `releases.json`, `bundle.weir` | what was deployed, and the bundle of the newest, as it was uploaded |
//! | `rollout-statements.jsonl`, `rollout-key.pub` | what was stated of rollouts, one a line, and the key that verifies it |
//! | `signing-keys.json` | the keys that were ever trusted |
//! | `administrators.json` | names and permissions. Of their tokens nothing is there |
//! | `trusted-documents.json` | the documents that clients may ask by their ids |
//! | `revocations.json` | which tokens of callers count no more |

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weir_engine::control::kept_bundles::KeptError;
use weir_engine::control::{ControlError, administrators, keys, releases};
use weir_engine::rollouts::statements::{self, NoStatements};
use weir_engine::{revoked, trusted};
use weir_schema::codec::control::InstanceRecord;
use weir_store::progress::Watch;
use weir_store::{ExportError, Exported, Poisoned, Store};

use crate::control::message::AdministratorShown;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportAllError {
    /// Something is there already.
    #[error("{} exists: choose another name for the export", .0.display())]
    Exists(PathBuf),
    /// It has no name of its own.
    #[error("{} is no name for a new folder: end it with one", .0.display())]
    Unnamed(PathBuf),
    /// Another is being made, or was cut off; or it is something else of that name.
    #[error("{} is there: if no export is being made there, remove it, or choose another name for this one", .0.display())]
    Unfinished(PathBuf),
    /// It cannot be written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The data cannot be exported.
    #[error(transparent)]
    Data(#[from] ExportError),
    /// The bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] KeptError),
    /// The rest cannot be read.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<Poisoned> for ExportAllError {
    fn from(stopped: Poisoned) -> Self {
        Self::Control(stopped.into())
    }
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The names of the files, in order.
    pub files: Vec<String>,
    /// What is in `data.jsonl`.
    pub data: Exported,
}

/// Writes all of it into a new folder that only its owner can read, which has it whole or is not there.
pub async fn all(store: &Store, tenant: &InstanceRecord, to: &Path, watch: Watch) -> Result<Summary, ExportAllError> {
    if to.exists() {
        return Err(ExportAllError::Exists(to.to_owned()));
    }
    // The name alone: behind a slash at the end nothing can be added.
    let mut name = to.file_name().ok_or_else(|| ExportAllError::Unnamed(to.to_owned()))?.to_owned();
    name.push(".partial");
    let folder = &to.with_file_name(name);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| ExportAllError::Io { path, error }
    };
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => ExportAllError::Unfinished(folder.clone()),
        _ => at(folder)(error),
    })?;
    // Not before: what was there is not removed.
    let _partial = Partial(folder.clone());
    let mut files = Vec::new();
    let mut write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        files.push(name.to_owned());
        fs::write(&path, bytes).map_err(at(&path))
    };
    let administrators: Vec<AdministratorShown> =
        administrators::list(store)?.into_iter().map(AdministratorShown::from).collect();
    write("tenant.json", &json(tenant))?;
    write("audit-head.json", &json(&store.audit_head()?))?;
    let deployed = releases::list(store)?;
    write("releases.json", &json(&deployed))?;
    if let Some(newest) = deployed.last() {
        write("bundle.weir", &releases::bundle(store, newest.sequence)?)?;
    }
    match statements::public_key(store) {
        Ok(key) => {
            let mut lines = Vec::new();
            for rollout in statements::rollouts(store)? {
                lines.extend(statements::of(store, rollout)?.into_iter().map(|line| line + "\n"));
            }
            write("rollout-statements.jsonl", lines.concat().as_bytes())?;
            write("rollout-key.pub", key.to_pem().as_bytes())?;
        }
        Err(NoStatements::Control(error)) => return Err(error.into()),
        // Nothing was rolled out.
        Err(NoStatements::Of(_) | NoStatements::None | NoStatements::NoKey) => {}
    }
    write("signing-keys.json", &json(&keys::list(store)?))?;
    write("administrators.json", &json(&administrators))?;
    write("trusted-documents.json", &json(&trusted::stored(store)?))?;
    write("revocations.json", &json(&revoked::stored(store)?))?;
    let data = store.export(&folder.join("data.jsonl"), watch).await?;
    files.push("data.jsonl".to_owned());
    for file in &files {
        let path = folder.join(file);
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(at(&path))?;
    }
    fs::rename(folder, to).map_err(at(to))?;
    files.sort_unstable();
    Ok(Summary { files, data })
}

/// Plain data, which always has a JSON form: with line breaks, as people may read it.
fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

/// A folder that is removed with its value, if it still has that name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // It is not there any more where all went well.
        let _ = fs::remove_dir_all(&self.0);
    }
}

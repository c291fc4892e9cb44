//! Loads documents without running a function: what `weir import --into` does.

use std::future::ready;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use weir_schema::codec::audit::AuditNote;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_store::{CommitError, PutAllError, Run, Transacted, Transaction};

use crate::call::CallError;
use crate::documents::{self, DocumentError};
use crate::engine::Engine;
use crate::evolution::follow;
use crate::release::Release;
use crate::seed::Seed;

/// How long one batch may keep others waiting.
const TURN_MAX: Duration = Duration::from_secs(10);

/// Why a batch was not loaded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct ImportError {
    /// The document to blame, by its place in the batch.
    pub index: usize,
    /// What is wrong.
    pub error: CallError,
}

/// Commits documents, all or none. A member `id` is taken as the document's id, replacing one that has it already.
/// They may refer to each other in any order.
pub async fn import(
    engine: &Engine,
    release: &Release,
    collection: &str,
    batch: &[Value],
) -> Result<Timestamp, ImportError> {
    let whole = |error| ImportError { index: 0, error };
    let seed = Seed::draw().map_err(|error| whole(CallError::new(ErrorCode::Internal, error.to_string())))?;
    let written = Mutex::new(Vec::new());
    let load = |transaction| {
        ready(match follow::check_unfollowed(engine, release, collection) {
            Ok(()) => load(transaction, release, collection, batch, &seed, &written),
            Err(error) => Run::Abort(Err(whole(error))),
        })
    };
    match engine.store().transact(TURN_MAX, load).await {
        Ok(Transacted { value: Err(error), .. }) => Err(error),
        Ok(Transacted { committed, .. }) => Ok(committed.map_or(Timestamp::ZERO, |committed| committed.timestamp)),
        Err(CommitError::Unique(violation)) => {
            let index = written.lock().iter().rposition(|id| *id == violation.id).unwrap_or_default();
            Err(ImportError { index, error: CallError::conflict(&violation) })
        }
        Err(error @ CommitError::OutcomeUnknown(_)) => {
            Err(whole(CallError::new(ErrorCode::OutcomeUnknown, error.to_string())))
        }
        Err(
            error @ (CommitError::Unavailable(_)
            | CommitError::Conflict
            | CommitError::TooLarge { .. }
            | CommitError::Held(_)),
        ) => Err(whole(CallError::unavailable(error))),
    }
}

fn load(
    mut transaction: Transaction,
    release: &Release,
    collection: &str,
    batch: &[Value],
    seed: &Seed,
    all_written: &Mutex<Vec<DocumentId>>,
) -> Run<Result<(), ImportError>> {
    let abort = |index, error| Run::Abort(Err(ImportError { index, error: call_error(error) }));
    transaction.write_for(release.key().clone());
    let mut ids = seed.ids();
    let mut written = Vec::with_capacity(batch.len());
    let mut loading = Vec::with_capacity(batch.len());
    for (index, document) in batch.iter().enumerate() {
        let checked = take_id(collection, document.clone(), &mut || ids.next())
            .and_then(|(id, value)| Ok((id, documents::checked(release.declarations(), collection, value)?)));
        match checked {
            Ok((id, document)) => {
                written.push(id.clone());
                loading.push((id, document));
            }
            Err(error) => return abort(index, error),
        }
    }
    if let Err(PutAllError { index, error }) = transaction.put_all(collection, loading) {
        return abort(index, (*error).into());
    }
    *all_written.lock() = written;
    let (actor, action) = ("import".to_owned(), "import".to_owned());
    transaction.record(AuditNote { actor, action, targets: vec![collection.to_owned()], ..AuditNote::default() });
    Run::Commit(transaction, Ok(()))
}

/// The id that a document brings along, or a new one, and the document without it.
fn take_id(
    collection: &str,
    mut document: Value,
    fresh: &mut dyn FnMut() -> DocumentId,
) -> Result<(DocumentId, Value), DocumentError> {
    let given = document.as_object_mut().and_then(|members| members.shift_remove("id"));
    let id = match given {
        None => fresh(),
        Some(Value::String(text)) => documents::id(collection, text)?,
        Some(other) => return Err(DocumentError::Refused(format!("{collection}.id: expected a string, got {other}"))),
    };
    Ok((id, document))
}

fn call_error(error: DocumentError) -> CallError {
    match error {
        DocumentError::Refused(message) => CallError::new(ErrorCode::BadArguments, message),
        DocumentError::Forbidden(message) => CallError::new(ErrorCode::Forbidden, message),
        error @ DocumentError::Limit(_) => CallError::new(ErrorCode::LimitExceeded, error.to_string()),
        error @ DocumentError::Cut => CallError::unavailable(error),
        DocumentError::GivenUp(error) => *error,
    }
}

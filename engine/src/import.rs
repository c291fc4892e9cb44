//! Loads documents without running a function: what `weir import --into` does.

use serde_json::Value;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_store::{CommitError, PutAllError};

use crate::call::CallError;
use crate::documents::{self, DocumentError};
use crate::engine::Engine;
use crate::release::Release;
use crate::seed::Seed;

/// Attempts before a batch is given up; others write to the same documents only if they share ids.
const ATTEMPTS: usize = 16;

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
    for _ in 0..ATTEMPTS {
        let mut transaction = engine.store().begin().map_err(|error| whole(CallError::unavailable(error)))?;
        let mut ids = seed.ids();
        let mut written = Vec::with_capacity(batch.len());
        let mut loading = Vec::with_capacity(batch.len());
        for (index, document) in batch.iter().enumerate() {
            let blame = |error| ImportError { index, error: call_error(error) };
            let (id, value) = take_id(collection, document.clone(), &mut || ids.next()).map_err(blame)?;
            let document = documents::checked(release.declarations(), collection, value).map_err(blame)?;
            written.push(id.clone());
            loading.push((id, document));
        }
        transaction
            .put_all(collection, loading)
            .map_err(|PutAllError { index, error }| ImportError { index, error: call_error((*error).into()) })?;
        match engine.store().commit(transaction).await {
            Ok(committed) => return Ok(committed.timestamp),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Unique(violation)) => {
                let index = written.iter().rposition(|id| *id == violation.id).unwrap_or_default();
                return Err(ImportError { index, error: CallError::conflict(&violation) });
            }
            Err(error @ CommitError::OutcomeUnknown(_)) => {
                return Err(whole(CallError::new(ErrorCode::OutcomeUnknown, error.to_string())));
            }
            Err(error @ CommitError::Unavailable(_)) => return Err(whole(CallError::unavailable(error))),
        }
    }
    Err(whole(CallError::unavailable("other writers keep changing the same documents")))
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
        error @ DocumentError::Limit(_) => CallError::new(ErrorCode::LimitExceeded, error.to_string()),
        DocumentError::Poisoned(poisoned) => CallError::unavailable(poisoned),
    }
}

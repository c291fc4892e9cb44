//! What becomes of documents in a migration: they are given to a function of the release, and what it returns is stored.
//!
//! Rule: what `up` makes of a document is one that the release before can read as well. That one goes on serving while documents are
//! being migrated, and after a rollback, so a release first adds what is new, and a later one takes away what is old.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use weir_schema::codec::control::MigrationDirection;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_schema::manifest::Migration;
use weir_schema::narrowing::DocumentType;
use weir_schema::validate::Violation;
use weir_store::Transaction;

use crate::call::{CallError, Caller};
use crate::documents::DocumentError;
use crate::engine::Engine;
use crate::release::Release;
use crate::run::Prepared;
use crate::seed::Seed;

/// A release with what it has documents migrated by.
pub(crate) struct Converter {
    release: Arc<Release>,
    /// The release before, as the store knows it.
    base: Option<Arc<str>>,
    collections: BTreeMap<String, Types>,
}

struct Types {
    functions: Migration,
    /// What the release declares.
    new: DocumentType,
    /// What the release before declares; `None` where it has no such collection.
    old: Option<DocumentType>,
    /// What releases declare that are compared with it, by their names.
    others: Vec<(String, DocumentType)>,
}

/// Documents as they are stored.
pub(crate) type Documents = Vec<(DocumentId, Bytes)>;

/// Why documents were not converted.
#[derive(Debug)]
pub(crate) struct ConvertError {
    /// For whoever has called.
    pub(crate) error: CallError,
    /// Whether it is nobody's fault, so that it may be tried again.
    pub(crate) may_run_again: bool,
}

impl From<CallError> for ConvertError {
    fn from(error: CallError) -> Self {
        Self { error, may_run_again: false }
    }
}

impl Converter {
    /// `None` where the release has no migrations. Without a release before it nobody asks for the types of that one.
    pub(crate) fn new(release: &Arc<Release>, base: Option<&Release>) -> Option<Self> {
        let entries = release.migrations().iter().filter_map(|(collection, functions)| {
            let new = DocumentType::of(release.declarations(), collection)?;
            let old = base.and_then(|base| DocumentType::of(base.declarations(), collection));
            Some((collection.clone(), Types { functions: functions.clone(), new, old, others: Vec::new() }))
        });
        let collections: BTreeMap<String, Types> = entries.collect();
        let base = base.map(|base| base.key().clone());
        (!collections.is_empty()).then(|| Self { release: release.clone(), base, collections })
    }

    /// The same where other releases have to be able to read what it makes of documents too: those that are compared with it.
    pub(crate) fn beside<'r>(mut self, others: impl IntoIterator<Item = &'r Release>) -> Self {
        for other in others {
            for (collection, types) in &mut self.collections {
                let ty = DocumentType::of(other.declarations(), collection);
                types.others.extend(ty.map(|ty| (other.name(), ty)));
            }
        }
        self
    }

    pub(crate) fn release(&self) -> &Arc<Release> {
        &self.release
    }

    /// Whose documents it makes of documents.
    pub(super) fn writer(&self, direction: MigrationDirection) -> &Arc<str> {
        match (direction, &self.base) {
            (MigrationDirection::Down, Some(base)) => base,
            _ => self.release.key(),
        }
    }

    pub(crate) fn collections(&self) -> impl Iterator<Item = &String> {
        self.collections.keys()
    }

    /// Converts documents of a collection in a transaction, which it gives back with how many are others now.
    pub(crate) async fn convert(
        &self,
        engine: &Engine,
        seed: &Seed,
        (direction, collection): (MigrationDirection, &str),
        documents: Documents,
        transaction: Transaction,
    ) -> Result<(Transaction, u64), ConvertError> {
        let Some(types) = self.collections.get(collection) else { return Ok((transaction, 0)) };
        let before = documents.iter().map(|(id, text)| parse(collection, id, text));
        let before = before.collect::<Result<Vec<Map<String, Value>>, CallError>>()?;
        let (mut transaction, after) = match types.function(direction) {
            Some(function) => self.call(engine, seed, function, &before, transaction).await?,
            None => (transaction, before.iter().cloned().map(Value::Object).collect()),
        };
        let mut changed = 0;
        for (((id, text), before), after) in documents.iter().zip(&before).zip(after) {
            let refused = |what: &dyn std::fmt::Display| self.refused(direction, collection, id, what);
            let after = own(id, after).map_err(|what| refused(&what))?;
            let after = types.fitted(direction, before, after).map_err(|violation| refused(&violation))?;
            let mut stored = Map::from_iter([("id".to_owned(), Value::from(id.as_str()))]);
            stored.extend(after);
            if Value::Object(stored.clone()).to_string().as_bytes() != text.as_ref() {
                stored.shift_remove("id");
                let put = transaction.put(collection, id, stored);
                put.map_err(|error| call_error(error.into(), |what| refused(&what)))?;
                changed += 1;
            }
        }
        Ok((transaction, changed))
    }

    /// Has a function make documents of documents.
    async fn call(
        &self,
        engine: &Engine,
        seed: &Seed,
        function: &str,
        documents: &[Map<String, Value>],
        transaction: Transaction,
    ) -> Result<(Transaction, Vec<Value>), ConvertError> {
        let arguments = json!({ "documents": documents });
        let prepared = Prepared::undecided(&self.release, &Caller::Scheduler, function, arguments)?;
        let ran = prepared.run(&engine.for_upkeep(), seed, seed.ids(), Some(transaction)).await;
        let given = ran.result.map_err(|error| {
            let message = format!("{function} of {}: {}", self.release.name(), error.message);
            ConvertError { error: CallError { message, ..error }, may_run_again: ran.may_run_again }
        })?;
        let lost = || CallError::new(ErrorCode::Internal, "the transaction was lost");
        let transaction = ran.transaction.ok_or_else(lost)?;
        match given.value {
            Value::Array(made) if made.len() == documents.len() => Ok((transaction, made)),
            Value::Array(made) => {
                let message = format!(
                    "{function} of {} has returned {} documents for {}: return one for each, in their order",
                    self.release.name(),
                    made.len(),
                    documents.len()
                );
                Err(CallError::new(ErrorCode::FunctionFailed, message).into())
            }
            _ => Err(CallError::new(ErrorCode::Internal, "a migration has returned no list").into()),
        }
    }

    fn refused(
        &self,
        direction: MigrationDirection,
        collection: &str,
        id: &DocumentId,
        what: &dyn std::fmt::Display,
    ) -> CallError {
        let way = match direction {
            MigrationDirection::Up => "migrated to",
            MigrationDirection::Down => "brought back from",
        };
        let message = format!("{collection} {id} cannot be {way} {}: {what}", self.release.name());
        CallError::new(ErrorCode::FunctionFailed, message)
    }
}

impl Types {
    fn function(&self, direction: MigrationDirection) -> Option<&str> {
        match direction {
            MigrationDirection::Up => Some(&self.functions.up),
            MigrationDirection::Down => self.functions.down.as_deref(),
        }
    }

    /// The document as it is stored, if it has the types that it has to have.
    fn fitted(
        &self,
        direction: MigrationDirection,
        before: &Map<String, Value>,
        after: Map<String, Value>,
    ) -> Result<Map<String, Value>, Violation> {
        let (to, from) = match direction {
            MigrationDirection::Up => (Some(&self.new), self.old.as_ref()),
            MigrationDirection::Down => (self.old.as_ref(), Some(&self.new)),
        };
        let Some(to) = to else { return Ok(after) };
        let is_declared = |ty: Option<&DocumentType>, name: &str| ty.is_some_and(|ty| ty.declares(name));
        let violation = |name: &str, message: String| Violation { path: format!("{}.{name}", to.collection), message };
        if let Some(name) =
            after.keys().find(|name| !to.declares(name) && !is_declared(from, name) && !before.contains_key(*name))
        {
            return Err(violation(name, "neither release declares it".to_owned()));
        }
        let mut fitted = to.normalize(after)?;
        if direction == MigrationDirection::Up {
            for (release, ty) in &self.others {
                ty.check(fitted.clone()).map_err(|found| Violation {
                    message: format!("{release}, which is compared with it, cannot read it: {}", found.message),
                    ..found
                })?;
            }
        }
        match (direction, from) {
            // The release before goes on reading it.
            (MigrationDirection::Up, Some(old)) => old.check(fitted.clone()).map_err(|found| Violation {
                message: format!(
                    "the release before cannot read it: {}; keep what that one needs until it is gone",
                    found.message
                ),
                ..found
            })?,
            (MigrationDirection::Up, None) => {}
            (MigrationDirection::Down, from) => fitted.retain(|name, _| to.declares(name) || !is_declared(from, name)),
        }
        Ok(fitted)
    }
}

fn parse(collection: &str, id: &DocumentId, text: &[u8]) -> Result<Map<String, Value>, CallError> {
    let damaged = |error| CallError::new(ErrorCode::Internal, format!("{collection} {id} is damaged: {error}"));
    serde_json::from_slice(text).map_err(damaged)
}

/// What a function made of a document, without its id.
fn own(id: &DocumentId, made: Value) -> Result<Map<String, Value>, String> {
    let Value::Object(mut made) = made else { return Err("what it becomes is not an object".to_owned()) };
    match made.shift_remove("id") {
        Some(given) if given.as_str() != Some(id.as_str()) => {
            Err(format!("its id became {given}; ids do not change, and documents stay in their order"))
        }
        _ => Ok(made),
    }
}

/// What a refused write means to whoever has called.
fn call_error(error: DocumentError, refused: impl FnOnce(String) -> CallError) -> CallError {
    match error {
        DocumentError::GivenUp(error) => *error,
        DocumentError::Cut => CallError::unavailable("the transaction was open for too long"),
        other => refused(other.to_string()),
    }
}

//! Insert, replace, patch and delete, with the document's type checked.
//!
//! Rule: what the release does not declare of a document it does not touch. Another release that is there at the same time may have
//! put it there, or one that was.

use std::mem;

use bytes::Bytes;
use serde_json::{Map, Value};
use weir_schema::declarations::{Collection, Declarations};
use weir_schema::id::DocumentId;
use weir_schema::limits::Limit;
use weir_schema::{shape, validate};
use weir_store::{Deleted, ReadError, Transaction, WriteError};

use crate::access::action::Action;
use crate::access::rows::{Entity, RowRules};
use crate::call::CallError;

/// Why a document was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The script's mistake, for its author.
    #[error("{0}")]
    Refused(String),
    /// The caller may not do that, says the policy of the app.
    #[error("{0}")]
    Forbidden(String),
    /// Past a limit of the call.
    #[error("past the limit {0}")]
    Limit(Limit),
    /// The transaction was open for too long. What the script has seen is true, but it can go no further.
    #[error("the transaction was open for too long")]
    Cut,
    /// The run cannot go on, for what is no mistake of the script: its caller is told.
    #[error("{}", .0.message)]
    GivenUp(Box<CallError>),
}

impl DocumentError {
    /// Past a limit of the transaction, which the run may share with others of the same batch.
    fn past(limit: Limit, error: impl std::fmt::Display) -> Self {
        Self::GivenUp(Box::new(CallError::transaction_limit(limit, error)))
    }
}

impl From<ReadError> for DocumentError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Cut(_) => Self::Cut,
            ReadError::Poisoned(poisoned) => Self::GivenUp(Box::new(CallError::unavailable(poisoned))),
            ReadError::Outlived { .. } => {
                Self::GivenUp(Box::new(CallError::unavailable(format_args!("{error}; subscribe again"))))
            }
            ReadError::TooManyRead { .. } => Self::past(Limit::TransactionDocumentsRead, error),
            ReadError::UnknownCollection(_) => Self::Refused(error.to_string()),
        }
    }
}

impl From<WriteError> for DocumentError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Read(error) => error.into(),
            WriteError::TooManyWritten { .. } => Self::past(Limit::TransactionDocumentsWritten, error),
            WriteError::TransactionTooLarge { .. } => Self::past(Limit::TransactionBytes, error),
            // Which documents these are may not be for the caller to know.
            WriteError::Restricted { collection, by, member, .. } => Self::Refused(format!(
                "the document of {collection} cannot be deleted: {by} has documents whose {member} leads to it"
            )),
            other => Self::Refused(other.to_string()),
        }
    }
}

fn refused(message: impl std::fmt::Display) -> DocumentError {
    DocumentError::Refused(message.to_string())
}

/// Takes a script's string as an id.
pub fn id(collection: &str, text: String) -> Result<DocumentId, DocumentError> {
    let shown = text.clone();
    DocumentId::parse(text).map_err(|bad| refused(format!("{collection}: {shown:?} is no id: {bad}")))
}

/// The declared collection of a name.
pub fn collection<'a>(declarations: &'a Declarations, name: &str) -> Result<&'a Collection, DocumentError> {
    declarations.collections.get(name).ok_or_else(|| refused(format!("there is no collection {name:?}")))
}

/// A document that must be there, for whom rules do not hide it, with what they look at of it.
fn existing(
    transaction: &mut Transaction,
    name: &str,
    id: &DocumentId,
    rules: Option<&RowRules>,
) -> Result<(Bytes, Option<Entity>), DocumentError> {
    let absent = || refused(format!("{name} has no document {id}; insert makes new ones"));
    let text = transaction.get(name, id)?.ok_or_else(absent)?;
    let Some(rules) = rules else { return Ok((text, None)) };
    let entity = rules.entity(&text).ok_or_else(|| refused(format!("{name} {id} is damaged")))?;
    if rules.shows(&entity, &[]) { Ok((text, Some(entity))) } else { Err(absent()) }
}

fn forbidden(action: Action, name: &str) -> DocumentError {
    DocumentError::Forbidden(format!("the caller may not {} this document of {name}", action.name()))
}

/// Stores a new document.
pub fn insert(
    transaction: &mut Transaction,
    declarations: &Declarations,
    rules: Option<&RowRules>,
    name: &str,
    id: &DocumentId,
    value: Value,
) -> Result<Bytes, DocumentError> {
    let document = checked(declarations, name, value)?;
    if let Some(rules) = rules
        && !rules.allows(&rules.create, &rules.entity_of(id.as_str(), &document))
    {
        return Err(forbidden(Action::Create, name));
    }
    Ok(transaction.put(name, id, document)?)
}

/// Stores a document in the place of an existing one. A member that the caller may not view stays what it was where the new
/// document has none: who was not shown it cannot say that it should go.
pub fn replace(
    transaction: &mut Transaction,
    declarations: &Declarations,
    rules: Option<&RowRules>,
    name: &str,
    id: &DocumentId,
    mut value: Value,
) -> Result<Bytes, DocumentError> {
    drop_own_id(name, id, &mut value)?;
    let (text, old) = existing(transaction, name, id, rules)?;
    let mut stored = members(name, id, &text)?;
    let undeclared = undeclared(declarations, name, &mut stored)?;
    if let (Some(rules), Some(old), Value::Object(given)) = (rules, &old, &mut value)
        && rules.hides_members()
    {
        for hidden in rules.hidden(old) {
            if given.get(&**hidden).is_none_or(Value::is_null)
                && let Some(kept) = stored.remove(&**hidden)
            {
                given.insert(hidden.to_string(), kept);
            }
        }
    }
    change(transaction, declarations, rules.zip(old.as_ref()), name, id, value, undeclared)
}

/// Sets and removes members of an existing document. Null is not set where the caller was shown null for what a member is.
pub fn patch(
    transaction: &mut Transaction,
    declarations: &Declarations,
    rules: Option<&RowRules>,
    name: &str,
    id: &DocumentId,
    mut part: Value,
    removed: &[String],
) -> Result<Bytes, DocumentError> {
    drop_own_id(name, id, &mut part)?;
    let Value::Object(mut part) = part else { return Err(refused(format!("{name}.patch takes an object"))) };
    let (text, old) = existing(transaction, name, id, rules)?;
    if let (Some(rules), Some(old)) = (rules, &old) {
        for hidden in rules.hidden(old) {
            if part.get(&**hidden).is_some_and(Value::is_null) {
                part.shift_remove(&**hidden);
            }
        }
    }
    let mut document = members(name, id, &text)?;
    let undeclared = undeclared(declarations, name, &mut document)?;
    document.shift_remove("id");
    document.extend(part);
    for member in removed {
        document.shift_remove(member);
    }
    change(transaction, declarations, rules.zip(old.as_ref()), name, id, Value::Object(document), undeclared)
}

/// Deletes a document, with at most `others_max` that are deleted or changed on account of it. Those are what the app declares
/// of its data, and are not asked rules about.
pub fn delete(
    transaction: &mut Transaction,
    rules: Option<&RowRules>,
    name: &str,
    id: &DocumentId,
    others_max: u32,
) -> Result<Deleted, DocumentError> {
    if let Some(rules) = rules {
        let Some(text) = transaction.get(name, id)? else { return Ok(Deleted::default()) };
        let entity = rules.entity(&text).ok_or_else(|| refused(format!("{name} {id} is damaged")))?;
        if !rules.shows(&entity, &[]) {
            return Ok(Deleted::default());
        }
        if !rules.allows(&rules.delete, &entity) {
            return Err(forbidden(Action::Delete, name));
        }
    }
    let max = (others_max as usize).saturating_add(1);
    match transaction.delete_at_most(name, id, max) {
        Err(WriteError::TooManyDocuments { .. }) => Err(DocumentError::Limit(Limit::DocumentsWritten)),
        other => Ok(other?),
    }
}

/// Takes out of a stored document what the release does not declare of it.
fn undeclared(
    declarations: &Declarations,
    name: &str,
    document: &mut Map<String, Value>,
) -> Result<Map<String, Value>, DocumentError> {
    let Some(object) = shape::object(&declarations.definitions, &collection(declarations, name)?.value) else {
        return Ok(Map::new());
    };
    let is_declared = |member: &String| member == "id" || object.member(member).is_some();
    if document.keys().all(is_declared) {
        return Ok(Map::new());
    }
    let (declared, undeclared) = mem::take(document).into_iter().partition(|(member, _)| is_declared(member));
    *document = declared;
    Ok(undeclared)
}

/// Stores another state of a document, if the caller may change the old one and into the new one. What the release does not declare
/// of it goes along.
fn change(
    transaction: &mut Transaction,
    declarations: &Declarations,
    rules: Option<(&RowRules, &Entity)>,
    name: &str,
    id: &DocumentId,
    value: Value,
    undeclared: Map<String, Value>,
) -> Result<Bytes, DocumentError> {
    if let Some((rules, old)) = rules
        && !rules.allows(&rules.update, old)
    {
        return Err(forbidden(Action::Update, name));
    }
    let mut document = checked(declarations, name, value)?;
    if let Some((rules, _)) = rules
        && !rules.allows(&rules.update, &rules.entity_of(id.as_str(), &document))
    {
        return Err(DocumentError::Forbidden(format!("the caller may not update a document of {name} to this")));
    }
    document.extend(undeclared);
    Ok(transaction.put(name, id, document)?)
}

/// The members of a stored document.
fn members(name: &str, id: &DocumentId, text: &[u8]) -> Result<Map<String, Value>, DocumentError> {
    serde_json::from_slice(text).map_err(|error| refused(format!("{name} {id} is damaged: {error}")))
}

/// A document of the collection's type.
pub fn checked(declarations: &Declarations, name: &str, value: Value) -> Result<Map<String, Value>, DocumentError> {
    let collection = collection(declarations, name)?;
    match validate::document(collection, &declarations.definitions, value).map_err(refused)? {
        Value::Object(document) => Ok(document),
        other => Err(refused(format!("{name}: expected an object, got {other}"))),
    }
}

/// `replace` and `patch` accept the document's own id, and no other.
fn drop_own_id(name: &str, id: &DocumentId, value: &mut Value) -> Result<(), DocumentError> {
    let given = value.as_object_mut().and_then(|members| members.shift_remove("id"));
    match given {
        Some(given) if given.as_str() != Some(id.as_str()) => {
            Err(refused(format!("{name}: the id {given} cannot be put in the place of {id}; ids do not change")))
        }
        _ => Ok(()),
    }
}

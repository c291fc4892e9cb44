//! Members that a run was not shown, and where its result would have them.
//!
//! The script gets null in their place, so it can neither return them nor copy them elsewhere. Where its result has the document
//! of such a member, that null is no mistake of the function: the place is told, and what cannot be null there is nulled around
//! it as GraphQL does.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use weir_schema::validate::Place;

use super::rows::{Entity, RowRules};

/// Where a result has members that its caller may not view. Sorted.
pub type Places = Arc<[Place]>;

/// The most members of documents that a run is told apart by; past them the call ends.
pub(crate) const HIDDEN_MAX: usize = 250_000;

/// The type of a document and a member of it.
type MemberOf = (Arc<str>, Arc<str>);

/// What a run was not shown.
#[derive(Default)]
pub(crate) struct Hidden {
    /// The ids of the documents.
    members: BTreeMap<MemberOf, HashSet<Arc<str>>>,
    count: usize,
    /// For messages: `customers.email`.
    names: BTreeSet<String>,
}

impl Hidden {
    /// Notes a member of a document. False: there are too many.
    #[must_use]
    pub(crate) fn note(&mut self, collection: &str, document: &Arc<str>, member: &Arc<str>, id: &Arc<str>) -> bool {
        let ids = self.members.entry((document.clone(), member.clone())).or_default();
        if ids.is_empty() {
            self.names.insert(format!("{collection}.{member}"));
        }
        self.count += usize::from(ids.insert(id.clone()));
        self.count <= HIDDEN_MAX
    }

    /// Whether a member of a document was hidden.
    pub(crate) fn has(&self, document: &str, id: &str, member: &str) -> bool {
        let key = (Arc::from(document), Arc::from(member));
        self.members.get(&key).is_some_and(|ids| ids.contains(id))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// `customers.email, customers.phone`.
    pub(crate) fn names(&self) -> String {
        self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Why a document is not shown.
pub(crate) enum Unshown {
    /// It is none.
    Damaged,
    /// The run was not shown too many members already.
    TooMany,
}

/// The text of a document with null in the place of what the caller may not view, which is noted.
pub(crate) fn mask(
    collection: &str,
    rules: &RowRules,
    entity: &Entity,
    document: &[u8],
    all: &mut Hidden,
) -> Result<String, Unshown> {
    let text = || std::str::from_utf8(document).map(str::to_owned).map_err(|_| Unshown::Damaged);
    if !rules.hides_members() {
        return text();
    }
    let mut hidden = rules.hidden(entity).peekable();
    if hidden.peek().is_none() {
        return text();
    }
    let mut members: Map<String, Value> = serde_json::from_slice(document).map_err(|_| Unshown::Damaged)?;
    for member in hidden {
        // Where it stood, and whether it was there at all, is not told either.
        members.shift_remove(&**member);
        members.insert(member.to_string(), Value::Null);
        if !all.note(collection, &rules.document, member, &entity.uid.id) {
            return Err(Unshown::TooMany);
        }
    }
    Ok(Value::Object(members).to_string())
}

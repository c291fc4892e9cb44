//! What a view is declared to be, what is kept for it, and what it answers with.

use serde_json::{Map, Value, json};
use weir_schema::declarations::{self, Function, ViewIndex};
use weir_schema::id::DocumentId;
use weir_schema::limits::{CallLimits, Limit};
use weir_store::{End, Head, Store};

use super::elements::Elements;
use super::index::{Entry, Form, Index, Page};
use super::question::{BadQuestion, Question};
use super::{Aggregate, Cell, Contribution, Groups, Packed, Row, cursor};
use crate::call::CallError;

/// What a maintained view is.
pub(crate) enum Declared {
    Groups(declarations::Groups),
    /// With the name of the view, which is part of its cursors.
    Index(String, ViewIndex),
}

/// What is kept of it.
pub(super) enum Kept {
    Groups(Groups),
    Index(Index),
}

/// What it is asked.
pub(super) enum Asked {
    Rows,
    Page(Box<Question>),
}

/// What it answers with, of which some has yet to be read.
pub(super) enum Found {
    Rows(Vec<Row>),
    Page(Page, End),
}

impl Declared {
    /// `None` if the function is no maintained view.
    pub(super) fn of(function: &Function) -> Option<Self> {
        let groups = function.groups.clone().map(Self::Groups);
        groups.or_else(|| function.index.clone().map(|index| Self::Index(function.name.clone(), index)))
    }

    /// The collection that it is over.
    pub(super) fn collection(&self) -> &str {
        match self {
            Self::Groups(groups) => &groups.collection,
            Self::Index(_, index) => &index.collection,
        }
    }

    fn lists(&self) -> &[String] {
        match self {
            Self::Groups(groups) => &groups.lists,
            Self::Index(_, index) => &index.lists,
        }
    }

    /// What arguments of the function ask, which have their declared types.
    pub(super) fn asked(&self, arguments: &Value) -> Result<Asked, BadQuestion> {
        match self {
            Self::Groups(_) => Ok(Asked::Rows),
            Self::Index(name, index) => {
                Question::parse(name, index, arguments).map(|question| Asked::Page(Box::new(question)))
            }
        }
    }

    /// What is found as JSON, as of the commit that it is of.
    pub(super) fn json(
        &self,
        found: Found,
        (store, head): (&Store, Head),
        limits: &CallLimits,
    ) -> Result<Value, CallError> {
        let mut elements = Elements::new(self.collection(), self.lists(), (store, head), limits);
        match (self, found) {
            (Self::Groups(declared), Found::Rows(rows)) => {
                rows.into_iter().map(|row| row_json(declared, row, &mut elements)).collect()
            }
            (Self::Index(name, declared), Found::Page(Page { entries, more, others }, from)) => {
                let edges = entries.into_iter().map(|entry| edge_json(name, declared, entry, &mut elements));
                let (next, previous) = match from {
                    End::First => (more, others),
                    End::Last => (others, more),
                };
                Ok(page_json(edges.collect::<Result<_, _>>()?, next, previous))
            }
            _ => Err(CallError::unavailable("the view was asked for what it has not")),
        }
    }
}

impl Kept {
    /// No documents yet.
    pub(super) fn new(declared: &Declared) -> Self {
        match declared {
            Declared::Groups(groups) => Self::Groups(groups_of(groups)),
            Declared::Index(_, index) => Self::Index(Index::new(Form {
                parts: index.key_parts(),
                lists: index.lists.len(),
                has_values: index.has_values,
            })),
        }
    }

    /// What is kept of contributions.
    pub(super) fn pack(&self, contributions: Vec<Contribution>) -> Packed {
        match self {
            Self::Groups(groups) => groups.pack(contributions),
            Self::Index(index) => index.pack(contributions),
        }
    }

    /// Replaces what a document contributes. Gives what it contributed before.
    pub(super) fn put(&mut self, document: &DocumentId, contributed: Packed) -> Packed {
        match self {
            Self::Groups(groups) => groups.put(document, contributed),
            Self::Index(index) => index.put(document, contributed),
        }
    }

    /// The documents that contribute.
    pub(super) fn known(&self) -> Vec<DocumentId> {
        match self {
            Self::Groups(groups) => groups.known().cloned().collect(),
            Self::Index(index) => index.known().cloned().collect(),
        }
    }

    /// What a document contributes.
    pub(super) fn unpacked(&self, document: &DocumentId) -> Vec<Contribution> {
        match self {
            Self::Groups(groups) => groups.unpacked(document),
            Self::Index(index) => index.unpacked(document),
        }
    }

    /// How many documents contribute, how many rows or entries that makes, and how many bytes it takes.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        match self {
            Self::Groups(groups) => (groups.documents(), groups.groups(), groups.bytes()),
            Self::Index(index) => (index.documents(), index.entries(), index.bytes()),
        }
    }

    /// What is asked for, as it is now.
    pub(super) fn find(&self, asked: &Asked, declared: &Declared, limits: &CallLimits) -> Result<Found, CallError> {
        match (self, asked, declared) {
            (Self::Groups(groups), _, Declared::Groups(declared)) => {
                // Each row has a member for each aggregate, and one for the key.
                let values = groups.groups().saturating_mul(2 + declared.aggregates.len());
                if values > limits.result_values {
                    return Err(CallError::limit(Limit::ResultValues, limits.result_values));
                }
                let mut size = Size::default();
                let rows = groups.rows().map(|row| size.count(&row, limits).map(|()| row));
                Ok(Found::Rows(rows.collect::<Result<_, _>>()?))
            }
            (Self::Index(index), Asked::Page(question), _) => {
                let Question { range, window } = &**question;
                Ok(Found::Page(index.page(range, window), window.from))
            }
            _ => Err(CallError::unavailable("the view was asked for what it has not")),
        }
    }
}

/// How large rows are that are yet to be written.
#[derive(Default)]
struct Size {
    bytes: usize,
    elements: usize,
}

impl Size {
    fn count(&mut self, row: &Row, limits: &CallLimits) -> Result<(), CallError> {
        self.bytes += row.key.as_str().map_or(0, str::len);
        let elements = |cell: &Cell| if let Cell::Top(elements) = cell { elements.len() } else { 0 };
        self.elements += row.cells.iter().map(elements).sum::<usize>();
        if self.bytes > limits.result_bytes {
            return Err(CallError::limit(Limit::ResultBytes, limits.result_bytes));
        }
        if self.elements > limits.result_values {
            return Err(CallError::limit(Limit::ResultValues, limits.result_values));
        }
        Ok(())
    }
}

fn groups_of(declared: &declarations::Groups) -> Groups {
    let aggregate = |aggregate: &declarations::Aggregate| match *aggregate {
        declarations::Aggregate::Count => Aggregate::Count,
        declarations::Aggregate::Sum => Aggregate::Sum,
        declarations::Aggregate::Avg => Aggregate::Avg,
        declarations::Aggregate::Min => Aggregate::Min,
        declarations::Aggregate::Max => Aggregate::Max,
        declarations::Aggregate::Top { n } => Aggregate::Top { n: n as usize },
    };
    let lists = if declared.gives_elements() { declared.lists.len() } else { 0 };
    Groups::new(declared.aggregates.iter().map(|(_, it)| aggregate(it)).collect(), lists)
}

fn row_json(declared: &declarations::Groups, row: Row, elements: &mut Elements<'_>) -> Result<Value, CallError> {
    let mut members = Map::with_capacity(1 + row.cells.len());
    members.insert("key".to_owned(), row.key);
    for ((name, _), cell) in declared.aggregates.iter().zip(row.cells) {
        let value = match cell {
            Cell::Value(value) => value,
            Cell::Top(located) => located.iter().map(|it| elements.read(it)).collect::<Result<_, _>>()?,
        };
        members.insert(name.clone(), value);
    }
    Ok(Value::Object(members))
}

fn edge_json(name: &str, declared: &ViewIndex, entry: Entry, elements: &mut Elements<'_>) -> Result<Value, CallError> {
    let mut parts = entry.key.scalars().map(super::Scalar::to_value);
    let key = match &declared.parts {
        Some(names) => Value::Object(names.iter().cloned().zip(parts).collect()),
        None => parts.next().unwrap_or_default(),
    };
    let node = match &entry.value {
        Some(text) => elements.parse(text)?,
        None => elements.read(&entry.located)?,
    };
    let cursor = cursor::write(name, &entry.key, &entry.place);
    elements.count(cursor.len())?;
    Ok(json!({ "key": key, "document": entry.place.document, "node": node, "cursor": cursor }))
}

fn page_json(edges: Vec<Value>, next: bool, previous: bool) -> Value {
    let cursor = |edge: Option<&Value>| edge.and_then(|edge| edge.get("cursor")).cloned();
    let info = json!({
        "hasNextPage": next,
        "hasPreviousPage": previous,
        "startCursor": cursor(edges.first()),
        "endCursor": cursor(edges.last()),
    });
    json!({ "edges": edges, "pageInfo": info })
}

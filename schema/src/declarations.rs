//! What an app declares: its collections with their indexes, and its functions.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::cron::Schedule;
use crate::endpoints::Endpoint;
use crate::references::Reference;
use crate::shape::{Definitions, Member, Slot};

/// Everything that the TypeScript of one app declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declarations {
    /// Named types.
    pub definitions: Definitions,
    /// Collections by exported name.
    pub collections: IndexMap<String, Collection>,
    /// Functions by exported name, which is also the GraphQL root field.
    pub functions: IndexMap<String, Function>,
    /// What answers HTTP requests. GraphQL knows nothing of it.
    pub endpoints: Vec<Endpoint>,
}

impl Declarations {
    /// All that runs in isolates, by its place there: the functions, then what answers the endpoints.
    pub fn callables(&self) -> impl Iterator<Item = &Function> {
        self.functions.values().chain(self.endpoints.iter().map(|endpoint| &endpoint.function))
    }

    /// What runs at a place of [`Self::callables`].
    pub fn callable(&self, place: usize) -> Option<&Function> {
        match self.functions.get_index(place) {
            Some((_, function)) => Some(function),
            None => {
                let endpoint = self.endpoints.get(place.checked_sub(self.functions.len())?);
                endpoint.map(|endpoint| &endpoint.function)
            }
        }
    }
}

/// A typed collection of documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// The exported name.
    pub name: String,
    /// The module that exports it, relative to the app folder: `collections.ts`.
    pub module: String,
    /// The object definition with `id`: what is stored and returned.
    pub document: String,
    /// The object definition without `id`: what `insert` takes.
    pub value: String,
    /// Declared indexes, in the order of declaration, unique ones first.
    pub indexes: Vec<Index>,
    /// What its documents refer to, in the order of their members.
    pub references: Vec<Reference>,
}

/// One declared index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Index {
    /// Members of the document, most significant first.
    pub fields: Vec<String>,
    /// At most one document for each combination of values; combinations with an absent or null value are free.
    pub unique: bool,
}

/// What a function is allowed to do and where GraphQL shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FunctionKind {
    /// Reads. On Query and Subscription.
    Query,
    /// Reads, materialized by policy. On Query and Subscription.
    View,
    /// Reads and writes in one serializable transaction. On Mutation.
    Procedure,
    /// Asynchronous; reads and writes through calls of other functions. On Mutation.
    Action,
    /// An async generator that reads. On Subscription; each `yield` is an event.
    Stream,
}

impl FunctionKind {
    /// Whether it is on Query and Subscription rather than on Mutation.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Query | Self::View)
    }

    /// As written in TypeScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::View => "view",
            Self::Procedure => "procedure",
            Self::Action => "action",
            Self::Stream => "stream",
        }
    }
}

/// An exported function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// The exported name, unique in the app.
    pub name: String,
    /// What it may do.
    pub kind: FunctionKind,
    /// Its doc comment.
    pub description: Option<String>,
    /// The module that exports it, relative to the app folder: `functions/orders.ts`.
    pub module: String,
    /// Line of the export in that module, from 1.
    pub line: u32,
    /// Its arguments, in the order of declaration.
    pub arguments: Vec<Member>,
    /// What it returns; of a stream, each of its events.
    pub result: Slot,
    /// When a view is materialized; `None` for other kinds.
    pub keep: Option<Keep>,
    /// What a `view.groupBy` is over; `None` for all else.
    pub groups: Option<Groups>,
    /// What a `view.index` is over; `None` for all else.
    pub index: Option<ViewIndex>,
}

/// What a view of groups is over, and what it computes: enough to keep its rows up to date document by document.
///
/// Called with the arguments `{"documents": [document, …]}`, which only the host can pass, the view gives what each
/// document contributes, in their order: a list of `[key, value, …]` for each, with one value for each aggregate. With an
/// [`Aggregate::Top`] there follows where the element is: its index in each of `lists`. All are strings, finite numbers,
/// booleans or null. Called with `{}` it reads all documents and gives its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// The collection, by its exported name.
    pub collection: String,
    /// The members that lead from a document to the elements: each holds a list. Empty where the elements are documents.
    pub lists: Vec<String>,
    /// The aggregates by the members of the row that hold them, in the order of declaration.
    pub aggregates: Vec<(String, Aggregate)>,
}

impl Groups {
    /// Whether some of its elements are in its rows.
    pub fn gives_elements(&self) -> bool {
        self.aggregates.iter().any(|(_, aggregate)| matches!(aggregate, Aggregate::Top { .. }))
    }
}

/// What a sorted view is over, and what its entries are made of: enough to keep them up to date document by document.
///
/// Called with the arguments `{"documents": [document, …]}`, which only the host can pass, the view gives the entries of each
/// document, in their order: a list of `[part, …, index, …, value]` for each. The parts are those of the key; an index is that of
/// the element in each of `lists`; the value is a JSON text and there only if `has_values`. Parts are strings, finite numbers,
/// booleans or null. Called with the arguments that callers pass it reads all documents and gives a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewIndex {
    /// The collection, by its exported name.
    pub collection: String,
    /// The members that lead from a document to the elements, as in [`Groups::lists`].
    pub lists: Vec<String>,
    /// The members of the key from the most significant to the least, where it is an object; `None` where it is one value.
    pub parts: Option<Vec<String>>,
    /// Whether each entry has a value of its own; the element is the value otherwise.
    pub has_values: bool,
}

impl ViewIndex {
    /// How many parts a key has.
    pub fn key_parts(&self) -> usize {
        self.parts.as_ref().map_or(1, Vec::len)
    }
}

/// What is computed over the elements of one group, from one value of each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Aggregate {
    /// How many elements there are. Each contributes 1.
    Count,
    /// The sum of the values, rounded once: the double nearest to it. NaN if one of them is no number.
    Sum,
    /// The same, divided by how many there are.
    Avg,
    /// The least value that is not null, or null.
    Min,
    /// The greatest value that is not null, or null.
    Max,
    /// The elements with the greatest values that are not null, the greatest first; of equal ones the first by the id of
    /// the document, then by place in it.
    Top {
        /// How many at most; 1 to [`TOP_MAX`](crate::limits::TOP_MAX).
        n: u32,
    },
}

/// When a view's result is computed and kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Keep {
    /// On every commit that touches it.
    Eager,
    /// At the first read.
    #[default]
    OnDemand,
    /// At this interval in milliseconds, whatever changes meanwhile.
    EveryMs(u64),
    /// At these times, whatever changes meanwhile.
    Cron(Box<Schedule>),
}

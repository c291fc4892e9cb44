//! What a scan asks for and what it answers.

use bytes::Bytes;
use serde_json::Value;

use crate::position::Position;

/// What to read of a collection, narrowed along one declared index.
///
/// Without any narrowing the documents come in the order of their ids; along an index in the order of its fields.
/// Documents with equal fields come in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scan {
    /// Fields that equal a value; null finds absent and null.
    pub equal: Vec<(String, Value)>,
    /// Bounds on one more field.
    pub range: Option<Range>,
    /// The order of one field.
    pub order: Option<(String, Direction)>,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// No more rows once they have more bytes than this.
    pub bytes: Option<usize>,
    /// Only what comes after this position.
    pub after: Option<Position>,
    /// Only what comes before this position.
    pub before: Option<Position>,
    /// From which end the rows are taken that `limit` allows.
    pub from: End,
}

/// An end of what a scan could read. Rows are in order whichever they are taken from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// The first rows, behind `after`.
    #[default]
    First,
    /// The last rows, before `before`.
    Last,
}

/// Bounds on a field. With any bound, absent and null values are out; with none, all documents are in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Range {
    /// The field.
    pub field: String,
    /// Greater than.
    pub gt: Option<Value>,
    /// Greater than or equal to.
    pub gte: Option<Value>,
    /// Less than.
    pub lt: Option<Value>,
    /// Less than or equal to.
    pub lte: Option<Value>,
}

/// Which of two values comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// The least first; null before all else.
    #[default]
    Asc,
    /// The greatest first; null after all else.
    Desc,
}

impl Direction {
    /// The other one.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Asc => Self::Desc,
            Self::Desc => Self::Asc,
        }
    }
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// In order.
    pub rows: Vec<Row>,
    /// Further rows exist beyond the limit.
    pub more: bool,
    /// Rows exist on the other side of the position from which these were taken: at it or before `after`, at it or behind
    /// `before`. Without a position there are none.
    pub others: bool,
}

/// One document and where it stands in the scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// JSON text, `id` first.
    pub document: Bytes,
    /// To go on after it.
    pub position: Position,
}

//! What is recorded: transactions as their clients saw them, one JSON object a line.
//!
//! Three rules make a history checkable. Within one list or one item no value is written twice, by aborted transactions
//! neither. A write names the value that it replaced, as its transaction saw it. An item that was deleted is not
//! inserted again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Transactions that a history may have: the checker keeps a few hundred bytes for each, and bits for pairs of them.
pub const TRANSACTIONS_MAX: usize = 50_000;
/// Elements of a list, or rows, that are shown in full.
const SHOWN_MAX: usize = 8;

/// A transaction, or one attempt at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// Who made it; shown, not judged.
    pub client: u32,
    /// When it was asked for, on one clock that never goes back for all clients.
    pub start: u64,
    /// When its answer was there.
    pub end: u64,
    /// What the answer was.
    pub outcome: Outcome,
    /// What it did, in order.
    pub operations: Vec<Operation>,
}

/// How a transaction ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It took effect. Also for one that only read.
    Committed,
    /// It did not, and never will.
    Aborted,
    /// It may have, now or at any time later.
    Unknown,
}

/// What a transaction did, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Operation {
    /// Added a value to the end of a list.
    Append {
        /// The list.
        key: String,
        /// The value.
        value: u64,
    },
    /// Read a list.
    List {
        /// The list.
        key: String,
        /// All that is in it; a list that was never appended to is empty.
        values: Vec<u64>,
    },
    /// Read an item.
    Read {
        /// The item.
        key: String,
        /// What was there, if anything.
        value: Option<u64>,
    },
    /// Wrote an item: inserted, changed or moved it.
    Write {
        /// The item.
        key: String,
        /// What was there before, if anything.
        over: Option<u64>,
        /// What is there now.
        value: u64,
        /// Where ranges find it from now on; without, they never do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<i64>,
    },
    /// Deleted an item for good.
    Delete {
        /// The item.
        key: String,
        /// What was there before.
        over: u64,
    },
    /// Read all items between two bounds.
    Range {
        /// The least place.
        from: i64,
        /// The place after the last.
        to: i64,
        /// The items that are there and their values, in any order.
        rows: Vec<(String, u64)>,
    },
}

/// Why a history cannot be checked: a mistake of who recorded it, not of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHistory {
    /// A line is no transaction.
    #[error("line {line} is no transaction: {message}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What does not fit.
        message: String,
    },
    /// A transaction ends before it starts.
    #[error("T{transaction} ends at {end} and starts at {start}")]
    Instants {
        /// Counted from 1.
        transaction: usize,
        /// When it starts.
        start: u64,
        /// When it ends.
        end: u64,
    },
    /// A value does not tell who wrote it.
    #[error("{value} is written to {key} twice, by T{first} and T{second}: give every write a value of its own")]
    Ambiguous {
        /// The list or item.
        key: String,
        /// The value.
        value: u64,
        /// Counted from 1.
        first: usize,
        /// Counted from 1.
        second: usize,
    },
    /// There are too many.
    #[error("a history has at most {TRANSACTIONS_MAX} transactions, this one has {0}: check it in parts")]
    TooLong(usize),
}

/// Reads a history from JSON lines; empty lines are left out.
pub fn from_json_lines(text: &str) -> Result<Vec<Transaction>, BadHistory> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line)
                .map_err(|error| BadHistory::Line { line: number + 1, message: error.to_string() })
        })
        .collect()
}

/// Writes a history as JSON lines.
pub fn to_json_lines(history: &[Transaction]) -> String {
    // Plain data always has JSON.
    history.iter().filter_map(|transaction| Some(serde_json::to_string(transaction).ok()? + "\n")).collect()
}

pub(crate) fn validate(history: &[Transaction]) -> Result<(), BadHistory> {
    if history.len() > TRANSACTIONS_MAX {
        return Err(BadHistory::TooLong(history.len()));
    }
    match history.iter().position(|transaction| transaction.end < transaction.start) {
        Some(wrong) => {
            let Transaction { start, end, .. } = history[wrong];
            Err(BadHistory::Instants { transaction: wrong + 1, start, end })
        }
        None => Ok(()),
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { key, value } => write!(f, "append {key} {value}"),
            Self::List { key, values } => {
                let left_out = values.len().saturating_sub(SHOWN_MAX);
                write!(f, "list {key} [{}", if left_out > 0 { "…" } else { "" })?;
                let shown: Vec<String> = values[left_out..].iter().map(u64::to_string).collect();
                write!(f, "{}]", shown.join(" "))
            }
            Self::Read { key, value: Some(value) } => write!(f, "read {key} {value}"),
            Self::Read { key, value: None } => write!(f, "read {key} -"),
            Self::Write { key, over, value, at } => {
                write!(f, "write {key} {value}")?;
                at.map_or(Ok(()), |at| write!(f, " at {at}"))?;
                over.map_or(Ok(()), |over| write!(f, " over {over}"))
            }
            Self::Delete { key, over } => write!(f, "delete {key} over {over}"),
            Self::Range { from, to, rows } => {
                write!(f, "range {from}..{to} [")?;
                let shown: Vec<String> =
                    rows.iter().take(SHOWN_MAX).map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "{}{}]", shown.join(" "), if rows.len() > SHOWN_MAX { " …" } else { "" })
            }
        }
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Committed => "ok",
            Outcome::Aborted => "aborted",
            Outcome::Unknown => "unknown",
        };
        write!(f, "client {} {}-{} {outcome}:", self.client, self.start, self.end)?;
        for (number, operation) in self.operations.iter().enumerate() {
            write!(f, "{} {operation}", if number > 0 { ";" } else { "" })?;
        }
        Ok(())
    }
}

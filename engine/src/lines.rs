//! The list that a query returns, in pieces: for callers who want it element by element, however long it is.
//!
//! A query that returns rows of a collection without having looked into them has them neither read nor kept: the sandbox
//! hands over the plan, and [`Walk`] reads what it names, a piece at a time, all of the state that the query ran on. Any
//! other list is there as a whole already, within the limits of results.
//!
//! Rule: what a caller takes costs the caller time, so there is no bound on it; what is looked at and hidden costs the server
//! alone, so that counts for the limits of reading.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use weir_schema::commit::Timestamp;
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_schema::limits::Limit;
use weir_schema::shape::Shape;
use weir_schema::validate;
use weir_store::{Pinned, Position, Scan, ScanError};

use crate::access::hidden::{self, Hidden, Unshown};
use crate::access::rows::{RowRules, Verdict};
use crate::call::{Answer, CallError, Caller};
use crate::content::Given;
use crate::engine::{Engine, draw};
use crate::host::scan_of;
use crate::reads::narrowed;
use crate::release::Release;
use crate::run::{self, Prepared, RUNS_MAX};

/// Documents that are read at once.
const PIECE_DOCUMENTS: usize = 1_000;
/// No more are read once they have more bytes than this.
const PIECE_BYTES: usize = 512 << 10;

/// A list that a query returned.
pub enum Elements {
    /// The result as it is: an array, or null.
    There(Answer),
    /// To be read.
    Rows(Box<Walk>),
}

/// A walk along the rows of a plan.
pub struct Walk {
    prepared: Prepared,
    state: Pinned,
    collection: String,
    scan: Scan,
    after: Option<Position>,
    read: usize,
    /// What binds the caller; `None` where all is allowed.
    bound: Option<Bound>,
    hidden: Hidden,
    passed: Passed,
}

/// The rules of what is read, and the members by which it is found.
struct Bound {
    rules: Arc<RowRules>,
    by: Vec<String>,
}

/// What was looked at and hidden.
#[derive(Default)]
struct Passed {
    documents: u32,
    bytes: usize,
}

/// Some elements of a list, and what comes after them.
pub struct Piece {
    /// Each checked against the declared type.
    pub elements: Vec<Given>,
    /// The rest, if there is any.
    pub rest: Option<Walk>,
}

/// Runs a query or view whose result is a list.
pub(crate) async fn elements(
    engine: &Engine,
    release: &Arc<Release>,
    caller: &Caller,
    function: &str,
    arguments: Value,
) -> Result<Elements, CallError> {
    let prepared = engine.judged(release, caller, function, Prepared::new(release, caller, function, arguments))?;
    let declared = prepared.function()?;
    if !declared.kind.is_read() || !matches!(declared.result.shape, Shape::List(_)) {
        let message = format!("{function} is not a query that returns a list");
        return Err(CallError::new(ErrorCode::BadArguments, message));
    }
    // What is kept by other ways than runs is not to be read from all documents here either.
    if prepared.timing().is_some() || release.groups(prepared.index).is_some() {
        return engine.read(&prepared).await.map(Elements::There);
    }
    let seed = draw()?;
    let mut runs = 0;
    loop {
        let state = engine.store().pin().map_err(CallError::unavailable)?;
        let (commit, head) = (state.commit(), state.head());
        let ran = prepared.run_lazily(engine, &seed, state).await;
        runs += 1;
        if ran.may_run_again && runs < RUNS_MAX {
            continue;
        }
        let value = ran.result?;
        engine.take_into_account(head).await?;
        return match ran.rows {
            Some((state, plan)) => {
                let (collection, scan) = scan_of(plan);
                Walk::along(prepared, state, collection, scan)
            }
            None => Ok(Elements::There(Answer::new(value, commit))),
        };
    }
}

impl Walk {
    fn along(prepared: Prepared, mut state: Pinned, collection: String, mut scan: Scan) -> Result<Elements, CallError> {
        let is_view = prepared.function()?.kind == FunctionKind::View;
        let guard = prepared.guard.as_ref().filter(|_| !is_view);
        let rules = guard.and_then(|guard| guard.rules(&collection)).filter(|rules| !rules.hides_nothing());
        let mut bound = None;
        if let Some(rules) = rules {
            let (narrow, by) = narrowed(&rules, scan, |scan| state.fields_of(&collection, scan)).map_err(not_read)?;
            if rules.visibility(&by) == Verdict::Nothing {
                return Ok(Elements::There(Answer::new(Value::Array(Vec::new()), state.commit())));
            }
            scan = narrow;
            bound = Some(Bound { rules, by });
        }
        let (hidden, passed) = (Hidden::default(), Passed::default());
        let walk = Self { prepared, state, collection, scan, after: None, read: 0, bound, hidden, passed };
        Ok(Elements::Rows(Box::new(walk)))
    }

    /// The commit whose state is read.
    pub fn commit(&self) -> Timestamp {
        self.state.commit()
    }

    /// Reads on, on a thread for what blocks.
    pub async fn piece(self) -> Result<Piece, CallError> {
        let reading = tokio::task::spawn_blocking(move || self.read());
        reading.await.unwrap_or_else(|error| Err(CallError::new(ErrorCode::Internal, error.to_string())))
    }

    fn read(mut self) -> Result<Piece, CallError> {
        let (limit, bytes) = (Some(PIECE_DOCUMENTS), Some(PIECE_BYTES));
        let scan = Scan { limit, bytes, after: self.after.take(), ..self.scan.clone() };
        let found = self.state.scan(&self.collection, &scan).map_err(not_read)?;
        let mut elements = Vec::with_capacity(found.rows.len());
        for row in found.rows {
            match self.shown(&row.document)? {
                Some(text) => elements.push(self.element(text.as_bytes())?),
                None => self.pass(row.document.len())?,
            }
            self.after = Some(row.position);
        }
        Ok(Piece { elements, rest: found.more.then_some(self) })
    }

    /// A document as the caller may see it; `None` where it is hidden.
    fn shown<'d>(&mut self, document: &'d [u8]) -> Result<Option<Cow<'d, str>>, CallError> {
        let damaged = || CallError::new(ErrorCode::Internal, "a stored document is damaged");
        let Some(Bound { rules, by }) = &self.bound else {
            return std::str::from_utf8(document).map(|text| Some(text.into())).map_err(|_| damaged());
        };
        let entity = rules.entity(document).ok_or_else(damaged)?;
        if !rules.shows(&entity, by) {
            return Ok(None);
        }
        // Each element is told for itself.
        self.hidden = Hidden::default();
        match hidden::mask(&self.collection, rules, &entity, document, &mut self.hidden) {
            Ok(text) => Ok(Some(text.into())),
            Err(Unshown::Damaged | Unshown::TooMany) => Err(damaged()),
        }
    }

    /// Counts a document that is hidden.
    fn pass(&mut self, bytes: usize) -> Result<(), CallError> {
        let limits = self.prepared.release.limits();
        self.passed.documents = self.passed.documents.saturating_add(1);
        self.passed.bytes = self.passed.bytes.saturating_add(bytes);
        if self.passed.documents > limits.documents_read {
            return Err(CallError::limit(Limit::DocumentsRead, limits.documents_read));
        }
        if self.passed.bytes > limits.read_bytes {
            return Err(CallError::limit(Limit::ReadBytes, limits.read_bytes));
        }
        Ok(())
    }

    /// An element of the declared type.
    fn element(&mut self, document: &[u8]) -> Result<Given, CallError> {
        let function = self.prepared.function()?;
        let failed = |why: String| {
            CallError::new(ErrorCode::FunctionFailed, format!("{} returned the wrong shape: {why}", function.name))
        };
        let value = serde_json::from_slice(document).map_err(|error| failed(error.to_string()))?;
        let definitions = &self.prepared.release.declarations().definitions;
        let is_hidden = |document: &str, id: &str, member: &str| self.hidden.has(document, id, member);
        let (value, mut hidden) = validate::element_without(function, definitions, self.read, value, &is_hidden)
            .map_err(|violation| match self.hidden.is_empty() {
                true => failed(violation.to_string()),
                false => run::unviewed(function, &self.hidden, violation),
            })?;
        self.read += 1;
        hidden.sort_unstable();
        Ok(Given { value, hidden: hidden.into() })
    }
}

fn not_read(error: ScanError) -> CallError {
    match error {
        ScanError::Read(error) => CallError::unavailable(error),
        other => CallError::new(ErrorCode::FunctionFailed, other.to_string()),
    }
}

//! One run of a query or view, with all that its result depends on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_store::{Head, ReadSet};

use super::flight::RunEnd;
use super::key::Looked;
use crate::call::CallError;
use crate::content::Content;
use crate::engine::{Engine, draw};
use crate::run::Prepared;

/// Why a query was not run.
pub(super) enum NotRun {
    /// It cannot be, whatever is committed.
    Never(CallError),
    /// There was no room; nothing is known of its result.
    Yet(CallError),
    /// Its worker died, perhaps of it.
    Lost(CallError),
}

impl RunEnd {
    /// No run will ever give anything else.
    pub(super) fn never(error: CallError, head: Head) -> Self {
        Self { result: Err(error), head, reads: ReadSet::default(), looked: Looked::default(), cost: Duration::ZERO }
    }
}

/// Runs it on the state of the last durable commit.
pub(super) async fn run(engine: &Engine, query: &Prepared) -> Result<RunEnd, NotRun> {
    let seed = draw().map_err(NotRun::Yet)?;
    let transaction = engine.store().begin().map_err(|error| NotRun::Never(CallError::unavailable(error)))?;
    let (head, begun) = (transaction.head(), Instant::now());
    let ran = query.run(engine, &seed, seed.ids(), Some(transaction)).await;
    let reads = match (ran.transaction, &ran.result) {
        (None, Err(error)) if ran.may_run_again => return Err(NotRun::Lost(error.clone())),
        (Some(transaction), _) => transaction.into_read_set(),
        (None, Err(error)) => return Err(NotRun::Yet(error.clone())),
        (None, Ok(_)) => ReadSet::default(),
    };
    let result = ran.result.map(|value| Arc::new(Content::from(value)));
    Ok(RunEnd { result, head, reads, looked: ran.looked, cost: begun.elapsed() })
}

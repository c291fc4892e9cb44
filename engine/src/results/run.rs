//! One run of a query or view, with all that its result depends on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_schema::error::ErrorCode;
use weir_schema::limits::Limit;
use weir_store::{Head, ReadSet};

use super::flight::{RunEnd, ViewSource};
use super::key::Looked;
use crate::call::CallError;
use crate::content::Content;
use crate::engine::{Engine, draw};
use crate::groups::view::Rows;
use crate::rollouts::shadow::How;
use crate::run::Prepared;

/// How often a run ends because a maintained view that it calls is not known as of its commit, before it computes that itself.
const PATIENCE: u32 = 3;

/// Why a query was not run.
pub(super) enum NotRun {
    /// It cannot be, whatever is committed.
    Never(CallError),
    /// There was no room; nothing is known of its result.
    Yet(CallError),
    /// Its worker died, perhaps of it.
    Lost(CallError),
}

/// The end of a run of what is prepared.
pub(super) type End = RunEnd<Arc<Prepared>>;

impl End {
    /// No run will ever give anything else.
    pub(super) fn never(error: CallError, head: Head) -> Self {
        Self::of(Err(error), head, Duration::ZERO)
    }

    /// One that has not read anything.
    fn of(result: Result<Arc<Content>, CallError>, head: Head, cost: Duration) -> Self {
        let (views, read) = (Vec::new(), Vec::new());
        let (reads, looked) = (ReadSet::default(), Looked::default());
        Self { result, head, reads, views, read, looked, cost, may_pass: false }
    }

    /// The run failed for a reason that may pass.
    pub(super) fn passing(error: CallError, head: Head) -> Self {
        Self { may_pass: true, ..Self::never(error, head) }
    }
}

/// Runs it on the state of the last durable commit.
pub(super) async fn run(engine: &Engine, query: &Prepared) -> Result<End, NotRun> {
    if let Some(end) = kept_groups(engine, query).await {
        return end;
    }
    // From before the state is known that is read: all that the other release declares is there then.
    let shadow = engine.shadow_of(query);
    let mut patience = PATIENCE;
    let (ran, seed, head, begun) = loop {
        let seed = draw().map_err(NotRun::Yet)?;
        let transaction = engine.store().begin().map_err(|error| NotRun::Never(CallError::unavailable(error)))?;
        let (head, begun) = (transaction.head(), Instant::now());
        await_called_groups(query, head).await.map_err(NotRun::Yet)?;
        let ran = query.run_to_keep(engine, &seed, transaction, patience > 0).await;
        if !ran.is_behind {
            break (ran, seed, head, begun);
        }
        patience -= 1;
    };
    if let Some(shadow) = shadow
        && let Some(original) = shadow.original((engine, query), &seed, &ran, begun.elapsed(), How::ToKeep)
    {
        shadow.offer(original);
    }
    let reads = match (ran.transaction, &ran.result) {
        (_, Err(error)) if ran.may_run_again => return Err(NotRun::Lost(error.clone())),
        (Some(transaction), _) => transaction.into_read_set(),
        (None, Err(error)) if !ran.begun => return Err(NotRun::Yet(error.clone())),
        (None, _) => ReadSet::default(),
    };
    engine.keeping().note_run(query.release.number(), query.index, ran.result.as_ref().err());
    let (views, read) = ran.views.end();
    // Another run finds these views, and has what they took for itself.
    let has_computed = views.iter().any(|view| matches!(view.source, ViewSource::Run(_)));
    let may_pass = |error: &CallError| may_pass(error) || (has_computed && error.code == ErrorCode::LimitExceeded);
    let may_pass = ran.result.as_ref().err().is_some_and(may_pass);
    let result = ran.result.map(|given| Arc::new(Content::from(given)));
    Ok(End { reads, views, read, looked: ran.looked, may_pass, ..End::of(result, head, begun.elapsed()) })
}

/// Waits until the maintained views that a function calls are known as of what its run sees: inside of an isolate it would keep
/// that from those who maintain them.
async fn await_called_groups(query: &Prepared, head: Head) -> Result<(), CallError> {
    let called = query.release.called_groups(&query.function()?.name);
    for view in &called {
        view.want(head.sequence);
    }
    for view in &called {
        view.reach(&query.release, head.sequence).await?;
    }
    Ok(())
}

/// Waits until all maintained views that a run needs are known as of a commit or a later one, no longer than a call may take.
pub(super) async fn await_maintained(query: &Prepared, head: Head) -> Result<(), CallError> {
    let called = query.release.called_groups(&query.function()?.name);
    for view in called.iter().chain(query.release.groups(query.index)) {
        view.reach(&query.release, head.sequence).await?;
    }
    Ok(())
}

/// The rows of a view of groups that is kept up with the commits.
async fn kept_groups(engine: &Engine, query: &Prepared) -> Option<Result<End, NotRun>> {
    let view = query.release.groups(query.index)?;
    let (store, begun) = (engine.store(), Instant::now());
    let Rows { result, head } = view.rows(store, &query.release, &query.arguments, store.head().sequence).await?;
    let may_pass = result.as_ref().err().is_some_and(may_pass);
    let result = result.map(|value| Arc::new(Content::from(value)));
    let reads = store.reads_of(view.collection());
    Some(Ok(End { reads, may_pass, ..End::of(result, head, begun.elapsed()) }))
}

/// Whether another run may do better though nothing has been committed: it depends on how busy the machine is.
pub(crate) fn may_pass(error: &CallError) -> bool {
    let is_of_time = matches!(error.limit, Some(Limit::Cpu | Limit::Wall | Limit::Heap | Limit::ArrayBuffers));
    is_of_time || matches!(error.code, ErrorCode::Unavailable | ErrorCode::Internal)
}

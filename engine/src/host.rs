//! Answers what a script asks: reads and writes of documents in a transaction.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;
use weir_sandbox::pool::InFlight;
use weir_sandbox::protocol::{
    Answering, Bounds, Host, HostCall, HostError, Observed, Order, Outcome, PageEnd, Plan, SavepointStep, Taken, Wanted,
};
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_schema::limits::Limit;
use weir_store::{BadCursor, Direction, End, Pinned, Position, Range, Scan, ScanError, Transaction};

use crate::access::guard::Guard;
use crate::access::hidden::Hidden;
use crate::attempts::Attempts;
use crate::call::{CallError, Caller};
use crate::documents::DocumentError;
use crate::engine::Engine;
use crate::experiments::counts::Measurement;
use crate::fetch::Budget;
use crate::nested_views::Views;
use crate::origin::Place;
use crate::release::Release;
use crate::results::key::Looked;
use crate::run;
use crate::seed::{CallId, Ids};
use crate::streams::Feed;

#[cfg(test)]
mod tests;

/// The host of one run.
pub struct RunHost {
    /// The engine, for the calls of actions.
    pub engine: Engine,
    /// Whose function runs.
    pub release: Arc<Release>,
    /// Who called it.
    pub caller: Caller,
    /// What the policies of the release have to say; `None` without policies.
    pub(crate) guard: Option<Arc<Guard>>,
    /// What the caller may not view of documents that the function has read.
    pub(crate) hidden: Hidden,
    /// The function's name, for its log.
    pub function: String,
    /// Which call it is, for its log.
    pub call: CallId,
    /// What it may do.
    pub kind: FunctionKind,
    /// What it reads and writes; `None` for actions.
    pub transaction: Option<Transaction>,
    /// What it reads instead if that takes long: a stream, or a query whose rows are sent line by line.
    pub pinned: Option<Pinned>,
    /// The rows that are the result of such a query, which it has not looked into.
    pub rows: Option<Plan>,
    /// What else a query or view has looked at.
    pub(crate) looked: Looked,
    /// The views that it has read.
    pub(crate) views: Views,
    /// Who reads a stream; `None` for all others.
    pub feed: Option<Feed>,
    /// Where the ids of new documents come from.
    pub ids: Ids,
    /// What it has used up.
    pub used: Used,
    /// What it may still send and receive with `fetch`.
    pub fetching: Budget,
    /// The documents it wrote, in order.
    pub written: Vec<(String, DocumentId)>,
    /// What it has given to metrics, in order.
    pub(crate) measured: Vec<Measurement>,
    /// What it may yet take back.
    pub attempts: Attempts,
    /// How long it has waited for an isolate.
    pub waiting: Waiting,
    /// Why the host gave up.
    pub aborted: Option<Aborted>,
    /// Whether an action has called what may have written, or has fetched.
    pub acted: bool,
    /// The last that was refused for what is not the script's mistake, a call of an action or a write, and the message that
    /// the script got for it.
    pub failed: Arc<Mutex<Option<(String, CallError)>>>,
    /// Counts the run as long as it is under way, if it keeps an isolate from others.
    pub in_flight: Option<InFlight>,
    /// Who waits for the end.
    pub done: oneshot::Sender<Finished>,
}

/// What a run has used up of its limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    pub(crate) documents_read: u32,
    pub(crate) documents_counted: u32,
    pub(crate) documents_written: u32,
    pub(crate) read_bytes: usize,
    written_bytes: usize,
    pub(crate) jobs_scheduled: u32,
    pub(crate) metrics_emitted: u32,
    pub(crate) fetches: u32,
}

/// The time that a run spends in the queue.
#[derive(Debug, Clone, Copy)]
pub enum Waiting {
    /// It has asked for nothing yet.
    Since(Instant),
    /// This long, until its first request.
    Over(Duration),
}

/// Why the host gave up.
#[derive(Debug)]
pub struct Aborted {
    /// What the caller is told.
    pub error: CallError,
    /// Whether it is the queue's doing, so that another run may do better.
    pub may_run_again: bool,
    /// Whether a maintained view is not known as of the commit that the run sees.
    pub is_behind: bool,
}

/// The end of a run.
pub struct Finished {
    /// How the script ended.
    pub outcome: Outcome,
    /// What it read and wrote.
    pub transaction: Option<Transaction>,
    /// The rows that are its result, and the state that they are to be read from.
    pub rows: Option<(Pinned, Plan)>,
    /// What else it looked at.
    pub(crate) looked: Looked,
    /// The views that it has read.
    pub(crate) views: Views,
    /// The documents it wrote, in order.
    pub written: Vec<(String, DocumentId)>,
    /// What it has given to metrics, in order.
    pub(crate) measured: Vec<Measurement>,
    /// Where the ids go on, for the next call of the same batch.
    pub ids: Ids,
    /// Why the host gave up.
    pub aborted: Option<Aborted>,
    /// Whether an action has called what may have written, or has fetched.
    pub acted: bool,
    /// What the caller may not view of documents that the function has read.
    pub(crate) hidden: Hidden,
    /// What was refused last for what is not the script's mistake, and the message that the script got for it.
    pub failed: Option<(String, CallError)>,
}

impl RunHost {
    pub(crate) fn transaction(&mut self) -> Result<&mut Transaction, HostError> {
        let kind = self.kind;
        self.transaction.as_mut().ok_or_else(|| {
            HostError::Refused(format!("{} reads and writes only through call(fn, args)", kind.as_str()))
        })
    }

    /// Gives up: whatever the script makes of it, its call ends with this.
    fn abort(&mut self, aborted: Aborted) -> HostError {
        self.aborted.get_or_insert(aborted);
        HostError::Aborted
    }

    /// The transaction was open for too long: since before the run was queued.
    fn abort_cut(&mut self) -> HostError {
        let age_max = self.engine.store().transaction_age_max();
        let waited = match self.waiting {
            Waiting::Since(since) => since.elapsed(),
            Waiting::Over(waited) => waited,
        };
        let may_run_again = waited > age_max / 2;
        self.abort(Aborted { error: CallError::cut(age_max), may_run_again, is_behind: false })
    }

    /// A maintained view is not known as of the commit that the run sees.
    pub(crate) fn abort_behind(&mut self) -> HostError {
        let error = CallError::unavailable("a view that the function calls is not known as of its commit");
        self.abort(Aborted { error, may_run_again: false, is_behind: true })
    }

    pub(crate) fn refuse(&mut self, error: DocumentError) -> HostError {
        match error {
            DocumentError::Refused(message) => HostError::Refused(message),
            DocumentError::Limit(limit) => HostError::Limit(limit),
            DocumentError::Cut => self.abort_cut(),
            DocumentError::Forbidden(message) => {
                let error = CallError::new(ErrorCode::Forbidden, message.clone());
                *self.failed.lock() = Some((message.clone(), error));
                HostError::Refused(message)
            }
            DocumentError::GivenUp(error) => {
                self.abort(Aborted { error: *error, may_run_again: false, is_behind: false })
            }
        }
    }

    pub(crate) fn refuse_scan(&mut self, error: ScanError) -> HostError {
        match error {
            ScanError::Read(error) => self.refuse(error.into()),
            other => HostError::Refused(other.to_string()),
        }
    }

    pub(crate) fn count_read(&mut self, documents: usize) -> Result<(), HostError> {
        let limit = self.release.limits().documents_read;
        let read = u32::try_from(documents).unwrap_or(u32::MAX);
        self.used.documents_read = self.used.documents_read.saturating_add(read);
        if self.used.documents_read > limit { Err(HostError::Limit(Limit::DocumentsRead)) } else { Ok(()) }
    }

    pub(crate) fn count_counted(&mut self, documents: usize) -> Result<(), HostError> {
        let limit = self.release.limits().documents_counted;
        let counted = u32::try_from(documents).unwrap_or(u32::MAX);
        self.used.documents_counted = self.used.documents_counted.saturating_add(counted);
        if self.used.documents_counted > limit { Err(HostError::Limit(Limit::DocumentsCounted)) } else { Ok(()) }
    }

    pub(crate) fn count_written(&mut self, documents: usize) -> Result<(), HostError> {
        let limit = self.release.limits().documents_written;
        let written = u32::try_from(documents).unwrap_or(u32::MAX);
        self.used.documents_written = self.used.documents_written.saturating_add(written);
        if self.used.documents_written > limit { Err(HostError::Limit(Limit::DocumentsWritten)) } else { Ok(()) }
    }

    pub(crate) fn count_read_bytes(&mut self, bytes: usize) -> Result<(), HostError> {
        self.used.read_bytes = self.used.read_bytes.saturating_add(bytes);
        let limit = self.release.limits().read_bytes;
        if self.used.read_bytes > limit { Err(HostError::Limit(Limit::ReadBytes)) } else { Ok(()) }
    }

    pub(crate) fn count_written_bytes(&mut self, bytes: usize) -> Result<(), HostError> {
        self.used.written_bytes = self.used.written_bytes.saturating_add(bytes);
        let limit = self.release.limits().written_bytes;
        if self.used.written_bytes > limit { Err(HostError::Limit(Limit::WrittenBytes)) } else { Ok(()) }
    }

    /// What runs at the moment: the function, or a view that it has called. A worker may say otherwise.
    pub(crate) fn running(&self) -> FunctionKind {
        if self.views.is_inside() { FunctionKind::View } else { self.kind }
    }

    pub(crate) fn must_write(&self) -> Result<(), HostError> {
        match self.running() {
            FunctionKind::Procedure => Ok(()),
            kind => Err(HostError::Refused(format!("only a procedure writes, this is a {}", kind.as_str()))),
        }
    }

    fn savepoint(&mut self, step: SavepointStep, number: usize) -> Result<String, HostError> {
        // One is ended also where a view was left without a word.
        if self.kind != FunctionKind::Procedure || step == SavepointStep::Set {
            self.must_write()?;
        }
        let Self { attempts, transaction, written, measured, .. } = self;
        let lost = || HostError::Refused("the call has no transaction".to_owned());
        attempts.take(step, number, transaction.as_mut().ok_or_else(lost)?, written, measured)
    }

    fn answer_later(&mut self, call: HostCall) -> Answering {
        let (function, args) = match call {
            HostCall::Call { function, args } => (function, args),
            HostCall::Fetch(request) => return self.fetch(request),
            _ => {
                return Box::pin(async {
                    Err(HostError::Refused("actions read and write through call(fn, args)".into()))
                });
            }
        };
        // What only reads can be called again.
        let writes = |kind| !matches!(kind, FunctionKind::Query | FunctionKind::View);
        self.acted |= self.release.function(&function).is_some_and(|(_, function)| writes(function.kind));
        let (engine, release, caller) = (self.engine.for_action(), self.release.clone(), self.caller.clone());
        let guard = self.guard.clone();
        let failed = self.failed.clone();
        Box::pin(async move {
            let args = if args.is_null() { Value::Object(serde_json::Map::new()) } else { args };
            match engine.call_of_action(&release, &caller, guard, &function, args).await {
                Ok(answer) => Ok(answer.value.to_string()),
                Err(error) => {
                    let message = format!("{function}: {}", error.message);
                    *failed.lock() = Some((message.clone(), error));
                    Err(HostError::Refused(message))
                }
            }
        })
    }

    /// A line of the function log for each line of the text: none can pass for one of the server's own.
    fn log(&self, level: &str, text: &str) {
        // Its caller is answered by another release, whose lines these are not.
        if self.engine.origin().place == Place::Shadow {
            return;
        }
        let (function, call, release) = (self.function.as_str(), self.call, self.release.name());
        let text = self.release.secrets().redact(text);
        let _whose = self.engine.span().enter();
        for line in text.lines() {
            let line = printable(line);
            match level {
                "error" => tracing::error!(target: "weir::function", function, %call, release, "{line}"),
                "warn" => tracing::warn!(target: "weir::function", function, %call, release, "{line}"),
                "debug" => tracing::debug!(target: "weir::function", function, %call, release, "{line}"),
                _ => tracing::info!(target: "weir::function", function, %call, release, "{line}"),
            }
        }
    }
}

impl Host for RunHost {
    fn ask(&mut self, call: HostCall) -> Result<String, HostError> {
        if let Waiting::Since(since) = self.waiting {
            self.waiting = Waiting::Over(since.elapsed());
            // It saw what there was before it waited. What fails here fails again with the first read.
            if let (FunctionKind::Procedure, Some(transaction)) = (self.kind, &mut self.transaction) {
                let _ = self.engine.store().renew(transaction);
            }
        }
        match call {
            HostCall::Get { collection, id } => self.get(&collection, id),
            HostCall::Insert { .. } | HostCall::Replace { .. } | HostCall::Patch { .. } | HostCall::Delete { .. } => {
                self.write(call)
            }
            HostCall::Rows { plan, taken: Taken::Whole, .. } if self.pinned.is_some() && self.feed.is_none() => {
                // What is wrong with the plan is told where it was made.
                let (collection, scan) = scan_of(plan.clone());
                self.check_scan(&collection, scan)?;
                self.rows = Some(plan);
                Ok("null".to_owned())
            }
            HostCall::Rows { plan, limit, .. } => {
                let (collection, scan) = scan_of(plan);
                let shown = self.shown_rows(&collection, Scan { limit, ..scan })?;
                let texts: Vec<String> = shown.rows.into_iter().map(|(text, _)| text).collect();
                Ok(format!("[{}]", texts.join(",")))
            }
            HostCall::Page { plan, size, from, after, before } => {
                let position = |cursor: Option<String>| cursor.map(|cursor| Position::parse(&cursor)).transpose();
                let refused = |bad: BadCursor| HostError::Refused(bad.to_string());
                let (after, before) = (position(after).map_err(refused)?, position(before).map_err(refused)?);
                let from = match from {
                    PageEnd::First => End::First,
                    PageEnd::Last => End::Last,
                };
                let (collection, scan) = scan_of(plan);
                self.page(&collection, Scan { limit: Some(size), from, after, before, ..scan })
            }
            HostCall::Count { plan } => self.count(plan),
            HostCall::Observe(Observed::Depth) => {
                self.fold_views();
                Ok("null".to_owned())
            }
            HostCall::Observe(observed) => {
                self.looked.at(observed);
                Ok("null".to_owned())
            }
            HostCall::View { function, args } => self.enter_view(&function, args),
            HostCall::ViewResult { number, value } => self.leave_view(number, value),
            HostCall::ViewFailed { number } => self.fail_view(number),
            HostCall::Log { level, text } => {
                self.log(&level, &text);
                Ok("null".to_owned())
            }
            HostCall::Metric { name, value } => self.measure(&name, value),
            HostCall::Schedule { function, args, when } => self.schedule(&function, args, &when),
            HostCall::CancelJob { id } => self.cancel_job(id),
            HostCall::Savepoint { step, number } => self.savepoint(step, number),
            HostCall::Secret { name } => self.secret(&name),
            HostCall::Call { .. } | HostCall::Fetch(_) => {
                Err(HostError::Refused("only actions call and fetch through the host".to_owned()))
            }
        }
    }

    fn start(&mut self, call: HostCall) -> Answering {
        let (engine, answering) = (self.engine.clone(), self.answer_later(call));
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = answering => answer,
                () = engine.ended() => Err(HostError::Aborted),
            }
        })
    }

    fn event(&mut self, event: String) -> Wanted {
        let lost = self.has_lost_a_view().then(|| lost_view(&self.function).error);
        let Self { release, function, hidden, feed: Some(feed), .. } = self else { return Wanted::Nothing };
        let event = match (lost, release.function(function)) {
            (Some(error), _) => Err(error),
            (None, Some((_, function))) => run::check_result(release, function, &event, hidden),
            (None, None) => Err(run::isolate_ended()),
        };
        let wanted = feed.give(event);
        // Each event may use as much as a call: there is no end to how many there are.
        self.used = Used::default();
        wanted
    }

    fn is_awaited(&self) -> bool {
        !self.done.is_closed()
    }

    fn finish(mut self: Box<Self>, outcome: Outcome) {
        if matches!(outcome, Outcome::Value(_) | Outcome::Failed(_)) && self.has_lost_a_view() {
            self.aborted.get_or_insert(lost_view(&self.function));
        }
        self.note_lost_view();
        if !matches!(outcome, Outcome::Value(_)) && self.engine.has_ended() {
            self.aborted = Some(ended(self.acted));
        }
        // A limit may have ended the call in the middle of some.
        self.fold_views();
        let Self {
            transaction,
            pinned,
            rows,
            looked,
            views,
            written,
            measured,
            ids,
            attempts,
            aborted,
            acted,
            hidden,
            failed,
            in_flight,
            done,
            ..
        } = *self;
        drop(in_flight);
        let rows = pinned.zip(rows);
        let outcome = attempts.judge(outcome);
        let failed = failed.lock().take();
        // Nobody may be waiting any more: then nothing is committed.
        let ended = Finished {
            outcome,
            transaction,
            rows,
            looked,
            views,
            written,
            measured,
            ids,
            aborted,
            acted,
            hidden,
            failed,
        };
        let _ = done.send(ended);
    }
}

/// A script was in the middle of a view, where it reads what its caller may not, and went on without a word.
fn lost_view(function: &str) -> Aborted {
    let message = format!("{function} went on in the middle of a view that it had called");
    Aborted { error: CallError::new(ErrorCode::FunctionFailed, message), may_run_again: false, is_behind: false }
}

/// The engine ends all calls: this one, after it has acted or not, was in the middle.
fn ended(acted: bool) -> Aborted {
    let message = if acted {
        "this is not served any more, and the action was ended in the middle: what it had called and fetched has happened"
    } else {
        "this is not served any more: try again later"
    };
    Aborted { error: CallError::unavailable(message), may_run_again: false, is_behind: false }
}

/// Text without characters that move the cursor of a terminal or colour it.
fn printable(line: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && c != '\t';
    if line.contains(is_control) {
        line.chars().map(|c| if is_control(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
    } else {
        line.into()
    }
}

/// Documents are stored as the text of a `serde_json` value.
pub(crate) fn text(document: &[u8]) -> Result<String, HostError> {
    std::str::from_utf8(document)
        .map(str::to_owned)
        .map_err(|error| HostError::Refused(format!("a stored document is damaged: {error}")))
}

/// What the store is asked for.
pub(crate) fn scan_of(plan: Plan) -> (String, Scan) {
    let Plan { collection, equal, range, order } = plan;
    let range = range.map(|Bounds { field, gt, gte, lt, lte }| Range { field, gt, gte, lt, lte });
    let order = order.map(|(field, order)| match order {
        Order::Asc => (field, Direction::Asc),
        Order::Desc => (field, Direction::Desc),
    });
    (collection, Scan { equal, range, order, ..Scan::default() })
}

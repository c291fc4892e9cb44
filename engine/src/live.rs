//! Watched queries: a new value when, and only when, a commit touches what was read.
//!
//! All who watch the same share its runs and its values (`results`). Each emission is the result at one commit; of those that
//! come faster than they are taken the newest is emitted; a value equal to the last one is not.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;

use crate::call::{CallError, Caller, Emission};
use crate::content::ValueDigest;
use crate::engine::Engine;
use crate::release::Release;
use crate::results::timed::Timing;
use crate::results::{Published, Watched};
use crate::run::Prepared;

/// A watched query. Dropping it ends the watch.
pub struct Watch {
    engine: Engine,
    query: Result<Arc<Prepared>, CallError>,
    /// What the caller has.
    last: Option<Last>,
    watched: Option<Watched>,
    /// When the next result is due, of a view that is computed now and then.
    due: Due,
}

/// When to look for a result.
enum Due {
    Now,
    /// Then, or when somebody else has one.
    At(Instant),
    /// When there is another one.
    WithNext,
}

/// What a caller has.
#[derive(PartialEq)]
enum Last {
    /// A value of this digest.
    Value(ValueDigest),
    /// An error.
    Error(CallError),
}

impl Watch {
    pub(crate) fn new(
        engine: &Engine,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
        after: Option<String>,
    ) -> Self {
        let prepared = Prepared::new(release, caller, function, arguments).and_then(readable);
        let query = engine.judged(release, caller, function, prepared).map(Arc::new);
        let last = after.and_then(|cursor| ValueDigest::of_cursor(&cursor)).map(Last::Value);
        Self { engine: engine.clone(), query, last, watched: None, due: Due::Now }
    }

    /// The next value. An error does not end the watch, unless it [is over](Self::is_over) with it: a later commit may bring a value
    /// again. A slow reader misses values in between, never the newest.
    ///
    /// Dropping the future loses nothing: the next call goes on where this one was.
    pub async fn next(&mut self) -> Result<Emission, CallError> {
        let query = match &self.query {
            Ok(query) => query.clone(),
            Err(error) => {
                let error = error.clone();
                // Nothing that is committed changes it.
                if !self.replace(Last::Error(error.clone())) {
                    std::future::pending::<()>().await;
                }
                return Err(error);
            }
        };
        if let Some(timing) = query.timing() {
            // Of no concern to the many that wait for a commit: it would make each of them as large.
            return Box::pin(self.next_timed(&query, &timing)).await;
        }
        loop {
            let watched = self.watched.get_or_insert_with(|| self.engine.watch_results(&query));
            let Some((published, commit)) = watched.next().await else {
                self.watched = None;
                continue;
            };
            if let Some(emission) = self.emit(&published, commit) {
                query.release.tally().count(emission.as_ref().map(drop), None);
                return emission;
            }
        }
    }

    /// Whether nothing that is committed brings a value: the call is none, or may not be made. The first error says why, and nothing
    /// comes after it.
    pub fn is_over(&self) -> bool {
        self.query.is_err()
    }

    /// The next value that time brings.
    async fn next_timed(&mut self, query: &Prepared, timing: &Timing) -> Result<Emission, CallError> {
        let question = self.engine.timed_question(query);
        let mut changes = question.changes();
        loop {
            match self.due {
                Due::Now => {}
                Due::At(at) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    _ = changes.changed() => {}
                },
                // The question has the sender.
                Due::WithNext => drop(changes.changed().await),
            }
            changes.borrow_and_update();
            let timed = self.engine.read_timed(query, timing).await;
            self.due = match &timed {
                Ok(timed) => timed.until.map_or(Due::WithNext, Due::At),
                Err(_) => Due::At(Instant::now() + timing.pause()),
            };
            match timed {
                Ok(timed) => {
                    let digest = timed.value.digest();
                    if self.replace(Last::Value(digest)) {
                        query.release.tally().count(Ok(()), None);
                        let (age, cursor) = (Some(timed.age()), digest.cursor(timed.commit));
                        return Ok(Emission { value: timed.value, commit: timed.commit, cursor, age });
                    }
                }
                Err(error) => {
                    if self.replace(Last::Error(error.clone())) {
                        query.release.tally().count(Err(&error), None);
                        return Err(error);
                    }
                }
            }
        }
    }

    /// What the caller gets; `None` if it has that already.
    fn emit(&mut self, published: &Published, commit: Timestamp) -> Option<Result<Emission, CallError>> {
        match &published.result {
            Ok(content) => {
                let digest = content.digest();
                let cursor = digest.cursor(commit);
                let emission = Emission { value: content.clone(), commit, cursor, age: None };
                self.replace(Last::Value(digest)).then_some(Ok(emission))
            }
            Err(error) => self.replace(Last::Error(error.clone())).then(|| Err(error.clone())),
        }
    }

    /// Notes what the caller gets; false if it has that already.
    fn replace(&mut self, new: Last) -> bool {
        let is_new = self.last.as_ref() != Some(&new);
        self.last = Some(new);
        is_new
    }
}

/// Only what reads can be watched.
fn readable(prepared: Prepared) -> Result<Prepared, CallError> {
    let function = prepared.function()?;
    if function.kind.is_read() {
        return Ok(prepared);
    }
    let message = format!("{} is a {}: only queries and views can be watched", function.name, function.kind.as_str());
    Err(CallError::new(ErrorCode::BadArguments, message))
}

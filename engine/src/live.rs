//! Watched queries: a new value when, and only when, a commit touches what was read.
//!
//! All who watch the same share its runs and its values (`results`). Each emission is the result at one commit; of those that
//! come faster than they are taken the newest is emitted; a value equal to the last one is not.

use std::sync::Arc;

use serde_json::Value;
use weir_schema::error::ErrorCode;

use crate::call::{CallError, Caller, Emission};
use crate::content::ValueDigest;
use crate::engine::Engine;
use crate::release::Release;
use crate::results::{Published, Watched};
use crate::run::Prepared;

/// A watched query. Dropping it ends the watch.
pub struct Watch {
    engine: Engine,
    query: Result<Arc<Prepared>, CallError>,
    /// What the caller has.
    last: Option<Last>,
    watched: Option<Watched>,
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
        let query = Prepared::new(release, caller, function, arguments).and_then(readable).map(Arc::new);
        let last = after.and_then(|cursor| ValueDigest::of_cursor(&cursor)).map(Last::Value);
        Self { engine: engine.clone(), query, last, watched: None }
    }

    /// The next value. An error does not end the watch: a later commit may bring a value again. A slow reader misses
    /// values in between, never the newest.
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
        loop {
            let watched = self.watched.get_or_insert_with(|| self.engine.watch_results(&query));
            let Some(published) = watched.next().await else {
                self.watched = None;
                continue;
            };
            if let Some(emission) = self.emit(&published) {
                return emission;
            }
        }
    }

    /// What the caller gets; `None` if it has that already.
    fn emit(&mut self, published: &Published) -> Option<Result<Emission, CallError>> {
        let Published { result, commit } = published;
        match result {
            Ok(content) => {
                let digest = content.digest();
                let emission = || Emission { value: content.clone(), commit: *commit, cursor: digest.cursor(*commit) };
                self.replace(Last::Value(digest)).then(|| Ok(emission()))
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

//! Watched queries: a new value when, and only when, a commit touches what was read.
//!
//! A watch runs its query, remembers the read set of that run and looks at every commit after it. The first that
//! touches the read set makes it run again, on the newest state; a value equal to the last one is not emitted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_store::{Notice, ReadSet};

use crate::call::{CallError, Caller, Emission};
use crate::engine::Engine;
use crate::release::Release;
use crate::run::{Prepared, RUNS_MAX};
use crate::seed::Seed;

/// A watched query. Dropping it ends the watch.
pub struct Watch {
    engine: Engine,
    query: Result<Prepared, CallError>,
    notices: Receiver<Arc<Notice>>,
    /// What the caller has.
    last: Option<Last>,
    /// What the last run read, and the sequence of the last commit that it saw. `None`: a run is due.
    seen: Option<(ReadSet, u64)>,
    /// How long to wait before the run that is due, because the last could not be made.
    backoff: Option<Duration>,
    /// How many runs in a row have lost their worker.
    losses: usize,
}

/// The first wait after a run that could not be made; each further one doubles it.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// The longest.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What a caller has.
#[derive(PartialEq)]
enum Last {
    /// A value of this digest.
    Value(ValueDigest),
    /// An error.
    Error(CallError),
}

/// One run of the query.
struct Run {
    result: Result<(Value, ValueDigest), CallError>,
    commit: Timestamp,
    read: ReadSet,
    sequence: u64,
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
        let notices = engine.store().notices();
        let query = Prepared::new(release, caller, function, arguments).and_then(readable);
        let last = after.and_then(|cursor| ValueDigest::of_cursor(&cursor)).map(Last::Value);
        Self { engine: engine.clone(), query, notices, last, seen: None, backoff: None, losses: 0 }
    }

    /// The next value. An error does not end the watch: a later commit may bring a value again. A slow reader misses
    /// values in between, never the newest.
    ///
    /// Dropping the future loses nothing: the next call goes on where this one was.
    pub async fn next(&mut self) -> Result<Emission, CallError> {
        loop {
            self.touched().await;
            if let Some(backoff) = self.backoff {
                tokio::time::sleep(backoff).await;
            }
            let run = match &self.query {
                Ok(query) => run(&self.engine, query).await,
                Err(error) => Err(NotRun::Never(error.clone())),
            };
            let Run { result, commit, read, sequence } = match run {
                Ok(run) => run,
                Err(NotRun::Lost(_)) if self.losses + 1 < RUNS_MAX => {
                    self.losses += 1;
                    continue;
                }
                Err(NotRun::Never(error) | NotRun::Lost(error)) => {
                    self.seen = Some((ReadSet::default(), u64::MAX));
                    return Err(error);
                }
                Err(NotRun::Yet(error)) => {
                    tracing::debug!("a watched query waits: {error}");
                    self.backoff = Some(self.backoff.map_or(BACKOFF_MIN, |backoff| (backoff * 2).min(BACKOFF_MAX)));
                    continue;
                }
            };
            self.seen = Some((read, sequence));
            (self.backoff, self.losses) = (None, 0);
            match result {
                Ok((value, digest)) => {
                    let cursor = digest.cursor(commit);
                    if self.replace(Last::Value(digest)) {
                        return Ok(Emission { value: Arc::new(value), commit, cursor });
                    }
                }
                Err(error) => {
                    if self.replace(Last::Error(error.clone())) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Notes what the caller gets; false if it has that already.
    fn replace(&mut self, new: Last) -> bool {
        let is_new = self.last.as_ref() != Some(&new);
        self.last = Some(new);
        is_new
    }

    /// Waits for a commit that touches what was read; returns at once before the first run.
    async fn touched(&mut self) {
        let Some((read, sequence)) = &self.seen else { return };
        loop {
            match self.notices.recv().await {
                Ok(notice) if notice.sequence <= *sequence || !read.touches(&notice) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => break,
                // The store is closed: nothing will ever change again.
                Err(RecvError::Closed) => std::future::pending::<()>().await,
            }
        }
        // The run to come sees all commits that are out by now.
        while !matches!(self.notices.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
        self.seen = None;
    }
}

/// Why a query was not run.
enum NotRun {
    /// It cannot be, whatever is committed.
    Never(CallError),
    /// There was no room; nothing is known of its result.
    Yet(CallError),
    /// Its worker died, perhaps of it.
    Lost(CallError),
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

async fn run(engine: &Engine, query: &Prepared) -> Result<Run, NotRun> {
    let _turn = engine.watch_turn().await;
    let seed = Seed::draw().map_err(|error| NotRun::Yet(CallError::new(ErrorCode::Internal, error.to_string())))?;
    let transaction = engine.store().begin().map_err(|error| NotRun::Never(CallError::unavailable(error)))?;
    let head = transaction.head();
    let ran = query.run(engine, &seed, seed.ids(), Some(transaction)).await;
    let read = match (ran.transaction, &ran.result) {
        (None, Err(error)) if ran.may_run_again => return Err(NotRun::Lost(error.clone())),
        (Some(transaction), _) => transaction.into_read_set(),
        (None, Err(error)) => return Err(NotRun::Yet(error.clone())),
        (None, Ok(_)) => ReadSet::default(),
    };
    let result = ran.result.map(|value| {
        let digest = ValueDigest::of(&value);
        (value, digest)
    });
    Ok(Run { result, commit: head.timestamp, read, sequence: head.sequence })
}

/// Stands for a value when two are compared: half of the SHA-256 of its JSON text.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ValueDigest([u8; 16]);

impl ValueDigest {
    fn of(value: &Value) -> Self {
        let digest = Sha256::digest(value.to_string().as_bytes());
        Self(std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default()))
    }

    /// The cursor of an emission: when, and what.
    fn cursor(self, commit: Timestamp) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{commit}.{hex}")
    }

    /// The digest in a cursor; `None` for what is no cursor, which then suppresses nothing.
    fn of_cursor(cursor: &str) -> Option<Self> {
        let (_, hex) = cursor.split_once('.')?;
        let digest = u128::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 32)?;
        Some(Self(digest.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_carries_its_digest() {
        let digest = ValueDigest::of(&Value::from(vec![1, 2]));
        assert!(ValueDigest::of_cursor(&digest.cursor(Timestamp(7))) == Some(digest));
        for odd in ["", "7", "7.", "7.zz", "7.0011"] {
            assert!(ValueDigest::of_cursor(odd).is_none(), "{odd:?}");
        }
    }
}

//! Streams: the events of an async generator, each as it is asked for.
//!
//! All that a stream reads is of the commit at its start. It has an isolate for as long as it lasts, so there is a bound on
//! how many there are at once: who starts one shows a [`Place`], which is given back when the isolate is free again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use weir_sandbox::protocol::Wanted;
use weir_schema::declarations::FunctionKind;
use weir_schema::error::ErrorCode;
use weir_store::Head;

use crate::call::{Answer, CallError, Caller};
use crate::content::Given;
use crate::engine::{Engine, draw};
use crate::host::Finished;
use crate::places::Place;
use crate::release::Release;
use crate::run::{self, Prepared, RUNS_MAX};
use crate::seed::Seed;

/// A stream under way. Dropping it has the generator return.
pub struct Stream {
    engine: Engine,
    prepared: Prepared,
    seed: Seed,
    /// `None` once it has ended.
    running: Option<Running>,
    events: usize,
    runs: usize,
}

/// One run of the generator.
struct Running {
    head: Head,
    events: mpsc::Receiver<Result<Given, CallError>>,
    /// Asks for the next event.
    demand: SyncSender<()>,
    /// Whether the last event has been taken, and the next not been asked for.
    is_owed: bool,
    finished: oneshot::Receiver<Finished>,
    place: Arc<Place>,
}

impl Stream {
    pub(crate) fn start(
        engine: &Engine,
        place: Place,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
    ) -> Result<Self, CallError> {
        let prepared = engine.judged(release, caller, function, Prepared::new(release, caller, function, arguments))?;
        let kind = prepared.function()?.kind;
        if kind != FunctionKind::Stream {
            let message = format!("{function} is a {}, not a stream", kind.as_str());
            return Err(CallError::new(ErrorCode::BadArguments, message));
        }
        let mut stream = Self { engine: engine.clone(), prepared, seed: draw()?, running: None, events: 0, runs: 0 };
        stream.run(Arc::new(place))?;
        Ok(stream)
    }

    /// Lets the generator run to its first event.
    fn run(&mut self, place: Arc<Place>) -> Result<(), CallError> {
        let state = self.engine.store().pin().map_err(CallError::unavailable)?;
        let head = state.head();
        let (give, events) = mpsc::channel(1);
        let (demand, demanded) = sync_channel(1);
        let feed = Feed { events: give, demand: demanded, _place: place.clone() };
        let finished = self.prepared.start_stream(&self.engine, &self.seed, state, feed)?;
        self.running = Some(Running { head, events, demand, is_owed: false, finished, place });
        self.runs += 1;
        Ok(())
    }

    /// The next event, with the commit of the stream; `None` at its end. An error is the end as well.
    ///
    /// The generator goes on to an event when it is asked for here. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Answer, CallError>> {
        loop {
            if self.events == 0 {
                let head = self.running.as_ref()?.head;
                if let Err(error) = self.engine.take_into_account(head).await {
                    self.running = None;
                    return Some(Err(error));
                }
            }
            let running = self.running.as_mut()?;
            if std::mem::take(&mut running.is_owed) {
                // One that has ended meanwhile says so next.
                let _ = running.demand.try_send(());
            }
            let given = running.events.recv().await;
            match given {
                Some(Ok(given)) => {
                    running.is_owed = true;
                    self.events += 1;
                    return Some(Ok(Answer::new(given, running.head.timestamp)));
                }
                Some(Err(error)) => {
                    self.running = None;
                    return Some(Err(error));
                }
                None => {}
            }
            let finished = (&mut running.finished).await;
            let place = running.place.clone();
            self.running = None;
            let ran = match finished {
                Ok(finished) => self.prepared.judge(finished),
                Err(_) => return Some(Err(run::isolate_ended())),
            };
            // Nobody has seen anything of it.
            if ran.may_run_again && self.events == 0 && self.runs < RUNS_MAX {
                if let Err(error) = self.run(place) {
                    return Some(Err(error));
                }
                continue;
            }
            return ran.result.err().map(Err);
        }
    }
}

/// The host's side of a stream: the way to whoever reads it.
pub(crate) struct Feed {
    events: mpsc::Sender<Result<Given, CallError>>,
    demand: Receiver<()>,
    _place: Arc<Place>,
}

impl Feed {
    /// Hands over an event or the error that ends the stream, and waits until the next event is asked for. An event is asked
    /// for when none is there: so there is room for it.
    pub fn give(&mut self, event: Result<Given, CallError>) -> Wanted {
        let is_last = event.is_err();
        if self.events.try_send(event).is_err() || is_last || self.demand.recv().is_err() {
            return Wanted::Nothing;
        }
        Wanted::Next
    }
}

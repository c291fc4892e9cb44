//! Results that are kept until a commit touches what they were computed from, and that all who ask the same share.
//!
//! [`core`] has the rules; here are the runs and those who wait for them. Commits are taken into account in order, by
//! whoever comes first: whoever asks for a result has taken all into account that were acknowledged before.

mod core;
mod entry;
mod flight;
pub(crate) mod key;
pub(crate) mod pump;
mod restore;
mod run;
pub(crate) mod timed;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{Notify, Semaphore};
use weir_sandbox::protocol::ScriptCaller;
use weir_schema::commit::Timestamp;
use weir_store::{Head, Notice, Store};

use self::core::{Core, Reading, Watching};
pub(crate) use self::core::{KeptView, Unwritten};
use self::entry::Feed;
pub(crate) use self::entry::Published;
use self::flight::{Departure, Landing};
pub(crate) use self::flight::{ViewRead, ViewRun, ViewSource};
use self::key::QueryKey;
pub(crate) use self::run::may_pass;
use self::run::{End, NotRun, await_maintained, run};
use self::timed::TimedResults;
use crate::call::{Answer, CallError};
use crate::engine::{Engine, Shared};
use crate::run::{Prepared, RUNS_MAX};

/// How often somebody waits for a run of others that turns out to be of no use to him, before he runs the function alone.
const JOINS_MAX: usize = 3;
/// How long a commit may be durable before its notice is out, without the store being asked whether it is still well.
const NOTICE_PATIENCE: Duration = Duration::from_millis(100);
/// The first wait before a watched query is run again that could not be; each further one doubles it.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// The longest.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// All results of an engine.
pub(crate) struct Results {
    state: Mutex<State>,
    /// More commits are taken into account.
    advanced: Notify,
    /// Turns of watched queries: a commit may wake all at once, and calls must find room in the queue beside them.
    turns: Semaphore,
    runtime: Handle,
    /// Those that time ends.
    timed: TimedResults,
    counts: Counts,
}

/// How calls of queries and views were answered.
#[derive(Default)]
struct Counts {
    kept: AtomicU64,
    joined: AtomicU64,
    run: AtomicU64,
}

/// How calls of queries and views have been answered since the engine started; each is counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultCounts {
    /// By a result that was kept.
    pub kept: u64,
    /// By a run that was under way for somebody else.
    pub joined: u64,
    /// By a run of their own.
    pub run: u64,
}

struct State {
    core: Core<Arc<Prepared>>,
    notices: Receiver<Arc<Notice>>,
}

impl Results {
    /// No results yet. Must be called on a runtime, which the runs of watched queries go to.
    pub(crate) fn start(store: &Store, bytes_max: usize, turns: usize) -> std::io::Result<Self> {
        let runtime = Handle::try_current().map_err(std::io::Error::other)?;
        // What is committed in between is noticed twice, which does no harm.
        let notices = store.notices();
        let state = State { core: Core::new(store.head(), bytes_max), notices };
        let (advanced, turns) = (Notify::new(), Semaphore::new(turns));
        let (timed, counts) = (TimedResults::default(), Counts::default());
        Ok(Self { state: Mutex::new(state), advanced, turns, runtime, timed, counts })
    }
}

impl Engine {
    /// Takes all commits into account that are out, then does something, then sees to what is due for a run.
    fn on_results<T>(&self, act: impl FnOnce(&mut Core<Arc<Prepared>>) -> T) -> T {
        let results = self.results();
        let (done, due, again, has_advanced) = {
            let mut state = results.state.lock();
            let State { core, notices } = &mut *state;
            let before = core.applied().sequence;
            loop {
                match notices.try_recv() {
                    Ok(notice) => core.apply(&notice),
                    Err(TryRecvError::Lagged(_)) => core.miss(self.store().head()),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            let has_advanced = core.applied().sequence > before;
            let done = act(core);
            (done, core.take_due(), core.take_again(), has_advanced)
        };
        if has_advanced {
            results.advanced.notify_waiters();
        }
        for id in due {
            results.runtime.spawn(refresh(self.clone(), id));
        }
        for (id, wait, failed) in again {
            results.runtime.spawn(try_again(self.downgrade(), id, wait, failed));
        }
        done
    }

    /// Takes the commits into account that are out.
    fn catch_up(&self) {
        self.on_results(|_| ());
    }

    /// Nothing more is kept of other releases but what is watched.
    pub(crate) fn keep_results_of(&self, releases: &[u64]) {
        self.on_results(|core| core.retire_all_but(releases));
        self.results().timed.retire_all_but(releases);
    }

    /// How calls of queries and views have been answered.
    pub fn result_counts(&self) -> ResultCounts {
        let Counts { kept, joined, run } = &self.results().counts;
        let [kept, joined, run] = [kept, joined, run].map(|count| count.load(Ordering::Relaxed));
        ResultCounts { kept, joined, run }
    }

    /// Answers a query or view: from what is kept, by a run that is in progress, or by one of its own.
    pub(crate) async fn read(&self, query: &Prepared) -> Result<Answer, CallError> {
        if let Some(timing) = query.timing() {
            let timed = self.read_timed(query, &timing).await?;
            return Ok(Answer { age: Some(timed.age()), value: timed.value, commit: timed.commit });
        }
        let (key, caller) = (query.key(), query.seen());
        let (mut joins, mut losses) = (0, 0);
        let counts = &self.results().counts;
        loop {
            let reading = self.on_results(|core| match joins < JOINS_MAX {
                true => core.read(&key, caller),
                false => Reading::Run(core.depart_alone()),
            });
            let departure = match reading {
                Reading::There(published) => {
                    counts.kept.fetch_add(1, Ordering::Relaxed);
                    let value = published.result.clone()?;
                    return Ok(Answer { value, commit: published.commit, age: None });
                }
                Reading::Joined(flight, arrival) => {
                    joins += 1;
                    match flight.landing().await {
                        Some(landing) if landing.serves(caller, arrival.sequence) => {
                            counts.joined.fetch_add(1, Ordering::Relaxed);
                            return answer(&landing, arrival.timestamp);
                        }
                        _ => continue,
                    }
                }
                Reading::Run(departure) => departure,
            };
            let leave = Leave { engine: self, departure: Some(departure) };
            match run(self, query).await {
                Ok(end) => {
                    self.take_into_account(end.head).await?;
                    counts.run.fetch_add(1, Ordering::Relaxed);
                    return answer(&leave.land(query, end), Timestamp::ZERO);
                }
                Err(NotRun::Lost(_)) if losses + 1 < RUNS_MAX => losses += 1,
                Err(NotRun::Never(error) | NotRun::Yet(error) | NotRun::Lost(error)) => return Err(error),
            }
        }
    }

    /// Begins to watch a query or view.
    pub(crate) fn watch_results(&self, query: &Arc<Prepared>) -> Watched {
        let (key, caller) = (query.key(), query.seen());
        let watching = self.on_results(|core| core.watch(&key, caller, query.clone()));
        Watched { engine: self.clone(), watching }
    }

    /// A view's result for a caller on the state after a commit, if it is kept.
    pub(crate) fn kept_view(&self, key: &QueryKey, caller: &ScriptCaller, sequence: u64) -> Option<KeptView> {
        self.on_results(|core| core.view(key, caller, sequence))
    }

    /// Waits until a commit that a run has seen is taken into account: what it saw, nobody shall see undone after it.
    pub(crate) async fn take_into_account(&self, head: Head) -> Result<(), CallError> {
        loop {
            let mut advanced = std::pin::pin!(self.results().advanced.notified());
            // Counts from here on, also before it is awaited.
            advanced.as_mut().enable();
            if self.on_results(|core| core.applied().sequence >= head.sequence) {
                return Ok(());
            }
            if tokio::time::timeout(NOTICE_PATIENCE, advanced).await.is_err() {
                self.is_ready().map_err(CallError::unavailable)?;
            }
        }
    }
}

fn answer(landing: &Landing, arrival: Timestamp) -> Result<Answer, CallError> {
    let value = landing.result.clone()?;
    Ok(Answer { value, commit: landing.commit.max(arrival), age: None })
}

/// Leave for a run, given back when the run is dropped.
struct Leave<'e> {
    engine: &'e Engine,
    departure: Option<Departure>,
}

impl Leave<'_> {
    fn land(mut self, query: &Prepared, end: End) -> Arc<Landing> {
        let departure = self.departure.take();
        self.engine.on_results(|core| {
            let departure = departure.unwrap_or_else(|| core.depart_alone());
            core.land(departure, &query.key(), query.seen(), end)
        })
    }

    /// Without a result. Whoever calls this runs the function again, if it is watched.
    fn give_up(mut self) {
        if let Some(departure) = self.departure.take() {
            self.engine.on_results(|core| core.give_up(departure));
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let Some(departure) = self.departure.take() else { return };
        if let Some(id) = self.engine.on_results(|core| core.give_up(departure)) {
            self.engine.results().runtime.spawn(refresh(self.engine.clone(), id));
        }
    }
}

/// Runs a watched query that is due, until there is a result of it.
async fn refresh(engine: Engine, id: u64) {
    let mut backoff = BACKOFF_MIN;
    let mut losses = 0;
    loop {
        {
            let Some(query) = engine.on_results(|core| core.sponsor(id)) else { return };
            // Views that are being built would keep turns from all others. What comes of it the run will see.
            let _ = await_maintained(&query, engine.store().head()).await;
            // Never closed.
            let _turn = engine.results().turns.acquire().await;
            let Some((departure, query)) = engine.on_results(|core| core.depart_for(id)) else { return };
            let leave = Leave { engine: &engine, departure: Some(departure) };
            let end = match run(&engine.for_upkeep(), &query).await {
                Ok(end) => match engine.take_into_account(end.head).await {
                    Ok(()) => end,
                    Err(error) => End::never(error, end.head),
                },
                Err(NotRun::Lost(_)) if losses + 1 < RUNS_MAX => {
                    losses += 1;
                    leave.give_up();
                    continue;
                }
                Err(NotRun::Never(error)) => End::never(error, engine.store().head()),
                Err(NotRun::Lost(error)) => End::passing(error, engine.store().head()),
                Err(NotRun::Yet(error)) => {
                    tracing::debug!("a watched query waits: {error}");
                    leave.give_up();
                    drop(query);
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    continue;
                }
            };
            leave.land(&query, end);
            return;
        }
    }
}

/// Has a watched query that gave this run again after a while, if it has given nothing else since.
async fn try_again(engine: Weak<Shared>, id: u64, wait: Duration, failed: Arc<Published>) {
    tokio::time::sleep(wait).await;
    if let Some(engine) = Engine::of(&engine) {
        engine.on_results(|core| core.try_again(id, &failed));
    }
}

/// Somebody's part in a watched query. Dropping it ends that.
pub(crate) struct Watched {
    engine: Engine,
    watching: Watching,
}

impl Watched {
    /// The next result, and a commit that it is of; not all that were in between. `None`: it has to be watched anew.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<(Arc<Published>, Timestamp)> {
        if let Some(first) = self.watching.first.take() {
            let commit = first.commit;
            return Some((first, commit));
        }
        loop {
            self.watching.feed.changed().await.ok()?;
            let seen = self.watching.feed.borrow_and_update().clone();
            match seen {
                Feed::Nothing => {}
                Feed::Published(published) => {
                    if let Some(commit) = self.watching.takes(&published) {
                        return Some((published, commit));
                    }
                }
                Feed::Moved => return None,
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let id = self.watching.id;
        self.engine.on_results(|core| core.unwatch(id));
    }
}

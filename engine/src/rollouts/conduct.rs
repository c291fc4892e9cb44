//! Begins rollouts, takes them from one state to the next, and takes them back.
//!
//! A change is one commit: the new state of the traffic, its audit record and the signed statement about it. Then, still under the same
//! lock, calls go by it. So whoever is told that a rollback is done can ask, and is answered by the release before: nothing is compiled
//! or started for that, since both releases of a rollout, and the one that was active before the active one, are loaded.
//!
//! Rule: no call goes by a state that is not committed, and what is committed is gone by, also where whoever asked for it has gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::Instrument;
use weir_schema::codec::control::ReleaseRecord;
use weir_schema::rollout::{self, Event, Moved, Phase, Rollout, Strategy};
use weir_store::{ControlKey, ControlKind, Store, Transaction};

use super::loaded::Writes;
use super::ready::ReadyError;
use super::shadow::Shadow;
use super::statements::{self, StatementError};
use super::traffic::{Split, Traffic};
use crate::control::releases::{self, Admit, DeployError, read_traffic};
use crate::control::{Actor, Changed, ControlError, all, all_in, change, keys, text};
use crate::eager;
use crate::engine::{ActivateError, Engine};
use crate::experiments::observations::BeginError;
use crate::keep::Keeping;
use crate::release::Release;
use crate::scheduled;

/// What may take a rollout back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Guarded {
    /// What its calls come to, where its release has guards.
    #[default]
    ByGuards,
    /// Somebody's hand alone.
    ByHand,
}

impl Guarded {
    /// A state in which a rollout has just begun, with that said of it.
    pub(crate) fn applied(self, mut begun: rollout::Traffic) -> rollout::Traffic {
        if let Some(rollout) = &mut begun.rollout {
            rollout.unguarded = self == Self::ByHand;
        }
        begun
    }

    /// What the audit log says of it.
    pub(crate) fn target(self) -> Option<String> {
        (self == Self::ByHand).then(|| "unguarded".to_owned())
    }
}

/// Rollouts that are over and are on record, with what was stated of them.
pub(super) const ROLLOUTS_MAX: u64 = 1_000;

/// How often one looks whether an index is being built.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why a rollout was not begun, or is where it was.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// It cannot go there from where it is.
    #[error(transparent)]
    Refused(#[from] rollout::Refused),
    /// There is no such release.
    #[error("there is no release {0}: weir releases list shows those that there are")]
    Unknown(String),
    /// A release that it leads to cannot be loaded.
    #[error("release {version} cannot take calls: {why}")]
    Load {
        /// Which.
        version: String,
        /// Why.
        why: Box<DeployError>,
    },
    /// Its candidate cannot be made ready.
    #[error("the release does not take over: {0}")]
    Unready(#[from] ReadyError),
    /// Nothing can be compared so.
    #[error(transparent)]
    Experiment(#[from] BeginError),
    /// None of the releases of an experiment declares a metric.
    #[error("no release of the experiment declares the metric {0}: name one that stands under [metrics] in app.toml")]
    Metric(String),
    /// Documents cannot be those of several releases at once.
    #[error(
        "{one} and {other} both migrate documents, and an experiment has one release at most that does: promote one of them first, \
         and compare it with releases without [migration.*] of their own"
    )]
    Migrations {
        /// A release of the experiment.
        one: String,
        /// Another.
        other: String,
    },
    /// It is somebody's who writes the app.
    #[error("this server runs an app that is being written: there are rollouts where weir serve runs")]
    Develops,
    /// Its keys count no more.
    #[error(
        "release {0} may not run any more, since keys that it is signed with were revoked: deploy another one, signed with keys that count"
    )]
    Revoked(String),
    /// It cannot be stated.
    #[error("nothing has changed, since nothing can be signed about it: {0}")]
    Statement(#[from] StatementError),
    /// A defect of Weir.
    #[error("the rollout stopped: {0}")]
    Stopped(String),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl RolloutError {
    /// Whether another try may come to something else, with all as it is.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Control(_) | Self::Stopped(_) => true,
            Self::Load { why, .. } => why.may_pass(),
            _ => false,
        }
    }
}

/// What the memory of an engine knows of the states of the traffic.
#[derive(Default)]
pub(crate) struct Turns {
    /// The state that calls go by, once all that it names is loaded.
    gone_by: Mutex<Option<rollout::Traffic>>,
    /// How many tasks are letting go of what releases asked for that have been left.
    letting_go: watch::Sender<usize>,
    /// Where what was deployed could not be loaded at the start for a reason that may pass: who admits it, for the next try.
    restoring: Mutex<Option<Admit>>,
}

impl Turns {
    /// Has the conductor try once more to load what was deployed.
    pub(crate) fn restore_later(&self, admit: Admit) {
        *self.restoring.lock() = Some(admit);
    }

    /// Who admits what is to be tried once more, if it is.
    pub(super) fn to_be_restored(&self) -> Option<Admit> {
        self.restoring.lock().take()
    }
}

/// A task lets go of what releases asked for, until this is dropped.
struct LettingGo(watch::Sender<usize>);

impl LettingGo {
    fn begun(turns: &Turns) -> Self {
        turns.letting_go.send_modify(|tasks| *tasks += 1);
        Self(turns.letting_go.clone())
    }
}

impl Drop for LettingGo {
    fn drop(&mut self) {
        self.0.send_modify(|tasks| *tasks -= 1);
    }
}

/// The rollouts that are over, the newest last.
pub fn ended(store: &Store) -> Result<Vec<Rollout>, ControlError> {
    all(store, ControlKind::Rollouts)
}

/// What a change of the traffic is called in the audit log.
fn action(event: &Event, moved: &Moved) -> &'static str {
    match (event, moved.ended.as_ref().map(|ended| &ended.phase)) {
        (_, Some(Phase::Promoted)) => "promoteRollout",
        (Event::RollBack { .. } | Event::TakeBack { .. } | Event::Violated { .. }, _) => "rollBack",
        (Event::Unguard, _) => "unguardRollout",
        (Event::Failed { .. }, _) => "failRollout",
        (Event::Pause, _) => "pauseRollout",
        (Event::Resume, _) => "resumeRollout",
        (Event::Prepared | Event::Due | Event::Advance | Event::Promote | Event::Choose { .. }, _) => "advanceRollout",
    }
}

/// What the audit log says of a change.
fn targets(store: &[ReleaseRecord], before: &rollout::Traffic, moved: &Moved, event: &Event) -> Vec<String> {
    let name = |sequence: u64| {
        let known = store.iter().find(|release| release.sequence == sequence);
        known.map_or_else(|| sequence.to_string(), |release| format!("{} {}", release.app, release.version))
    };
    let rollout = moved.ended.as_ref().or(moved.traffic.rollout.as_ref());
    let mut targets = Vec::new();
    if let Some(rollout) = rollout {
        targets.push(format!("rollout {}", rollout.number));
        targets.push(name(rollout.candidate));
        if let (Phase::Step { .. }, Some((_, share))) = (&rollout.phase, moved.traffic.candidate()) {
            targets.push(share.to_string());
        }
    }
    if before.active() != moved.traffic.active() {
        targets.extend(before.active().map(|sequence| format!("from {}", name(sequence))));
        targets.extend(moved.traffic.active().map(|sequence| format!("to {}", name(sequence))));
    }
    let why = event.why_back().map(str::to_owned);
    targets.extend(if let Event::Failed { why } = event { Some(why.clone()) } else { why });
    targets
}

/// The rollout that has made a release the active one, if it is still on record: of several the last.
fn promoted_by(transaction: &mut Transaction, release: Option<u64>) -> Result<Option<Rollout>, ControlError> {
    let ended: Vec<Rollout> = all_in(transaction, ControlKind::Rollouts)?;
    let is_it = |rollout: &Rollout| rollout.phase == Phase::Promoted && Some(rollout.candidate) == release;
    Ok(ended.into_iter().rev().find(is_it))
}

/// Writes a new state of the traffic.
pub(crate) fn put(transaction: &mut Transaction, moved: &Moved) {
    transaction.put_control(&ControlKey::Traffic, Some(text(&moved.traffic)));
    if let Some(ended) = &moved.ended {
        transaction.put_control(&ControlKey::Rollout(ended.number), Some(text(ended)));
        if let Some(old) = ended.number.checked_sub(ROLLOUTS_MAX) {
            transaction.put_control(&ControlKey::Rollout(old), None);
        }
    }
}

impl Engine {
    /// Begins a rollout of a release that is on record, and waits until its candidate is ready: promoted, or taking calls, as the
    /// strategy has it. What has begun is finished, also where whoever asked has gone.
    pub async fn start_rollout(
        &self,
        sequence: u64,
        strategy: Strategy,
        actor: &Actor,
    ) -> Result<rollout::Traffic, RolloutError> {
        self.start_rollout_guarded(sequence, (strategy, Guarded::default()), actor).await
    }

    /// The same, where no guard may take it back.
    pub async fn start_rollout_guarded(
        &self,
        sequence: u64,
        (strategy, guarded): (Strategy, Guarded),
        actor: &Actor,
    ) -> Result<rollout::Traffic, RolloutError> {
        self.may_roll_out()?;
        let (engine, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move { engine.start_to_the_end(sequence, (strategy, guarded), &actor).await }).await
    }

    async fn start_to_the_end(
        &self,
        sequence: u64,
        (strategy, guarded): (Strategy, Guarded),
        actor: &Actor,
    ) -> Result<rollout::Traffic, RolloutError> {
        let _one_at_a_time = self.deploying().lock().await;
        let known = releases::list(self.store())?;
        let record = known.into_iter().find(|release| release.sequence == sequence);
        let record = record.ok_or_else(|| RolloutError::Unknown(sequence.to_string()))?;
        // What cannot begin loads nothing.
        let next = releases::traffic(self.store())?;
        let next = next.start(sequence, strategy.clone(), actor.as_str(), self.clock().now_ms())?;
        self.ready_to_load(&record).await?;
        self.ready_to_compare(&next).await?;
        let now_ms = self.clock().now_ms();
        change(self.store(), actor, |transaction| {
            let before = read_traffic(transaction)?;
            let traffic = guarded.applied(before.start(sequence, strategy.clone(), actor.as_str(), now_ms)?);
            let (number, mut moved) = (traffic.rollouts, Moved { traffic, ended: None });
            let statement = statements::begun(self.store(), transaction, &before, &mut moved, (actor, now_ms))?;
            put(transaction, &moved);
            let mut targets = vec![
                format!("rollout {number}"),
                format!("{} {}", record.app, record.version),
                strategy.as_str().to_owned(),
            ];
            targets.extend(guarded.target());
            Ok::<_, RolloutError>(Changed::new((), "startRollout", targets).stated(statement))
        })
        .await?;
        self.prepare(actor).await
    }

    /// Something happens to the rollout under way, or the last one is taken back. What has begun is finished, also where whoever asked
    /// has gone.
    pub async fn roll(&self, event: Event, actor: &Actor) -> Result<rollout::Traffic, RolloutError> {
        self.may_roll_out()?;
        let (engine, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move { engine.roll_to_the_end(event, &actor).await }).await
    }

    async fn roll_to_the_end(&self, event: Event, actor: &Actor) -> Result<rollout::Traffic, RolloutError> {
        let state = releases::traffic(self.store())?;
        // What shadows the active release holds nobody to its types before.
        let is_checked = state.shadow().is_some() && matches!(event, Event::Promote | Event::Choose { .. });
        if !is_checked {
            return self.happen(event, actor).await;
        }
        let _one_at_a_time = self.deploying().lock().await;
        self.check_shadow(&state).await?;
        let happened = self.happen(event, actor).await;
        match &happened {
            Ok(_) => self.keep_migrated_before(actor).await?,
            Err(_) => self.let_go_of_others(&releases::traffic(self.store())?).await?,
        }
        happened
    }

    /// In a task of its own: dropped between its commit and the switch, a change would be on record and no call would go by it.
    async fn to_the_end(
        &self,
        changing: impl Future<Output = Result<rollout::Traffic, RolloutError>> + Send + 'static,
    ) -> Result<rollout::Traffic, RolloutError> {
        let changed = tokio::spawn(changing.instrument(self.span().clone())).await;
        changed.unwrap_or_else(|error| Err(RolloutError::Stopped(error.to_string())))
    }

    fn may_roll_out(&self) -> Result<(), RolloutError> {
        if self.runs_anything() { Err(RolloutError::Develops) } else { Ok(()) }
    }

    /// Has several releases loaded, those that are not.
    pub(super) async fn ready_all(&self, known: &[ReleaseRecord], sequences: &[u64]) -> Result<(), RolloutError> {
        for sequence in sequences {
            let record = known.iter().find(|release| release.sequence == *sequence);
            self.ready_to_load(record.ok_or_else(|| RolloutError::Unknown(sequence.to_string()))?).await?;
        }
        Ok(())
    }

    /// Looks whether a release that is loaded could be loaded still, as far as its keys go.
    fn may_run(&self, known: &[ReleaseRecord], sequence: u64) -> Result<(), RolloutError> {
        let Some(record) = known.iter().find(|release| release.sequence == sequence) else { return Ok(()) };
        let keys = keys::list(self.store())?;
        let count = keys.iter().filter(|key| key.revoked_ms.is_none() && record.signers.contains(&key.id)).count();
        if count < self.signatures_asked() { Err(RolloutError::Revoked(record.version.clone())) } else { Ok(()) }
    }

    /// Commits what happens, and has calls go by it.
    pub(super) async fn happen(&self, event: Event, actor: &Actor) -> Result<rollout::Traffic, RolloutError> {
        let now_ms = self.clock().now_ms();
        let next = releases::traffic(self.store())?.after(&event, now_ms)?;
        // As a rule they are loaded. Where they are not, as right after a start, they are before anything is said to have happened.
        let known = releases::list(self.store())?;
        self.ready_all(&known, &next.traffic.called()).await?;
        // Whoever sees a variant is counted from the first call on.
        self.begin_experiment(&next.traffic).await?;
        let becomes_active = next.traffic.active().filter(|active| self.active_sequence() != Some(*active));
        let promoted = becomes_active.filter(|_| event.why_back().is_none());
        if let Some(release) = becomes_active.filter(|_| promoted.is_none()) {
            self.may_run(&known, release)?;
        }
        if let Some(release) = promoted.and_then(|sequence| self.loaded_as(sequence)) {
            // What its views have computed before is there when its first call comes. A rollback has no time for that.
            self.hand_over(&release).await;
        }
        let moved = {
            let _turn = self.shared().turning.lock().await;
            let moved = change(self.store(), actor, |transaction| {
                let before = read_traffic(transaction)?;
                let now_ms = self.clock().now_ms();
                let mut moved = before.after(&event, now_ms)?;
                if let Some(ended) = &moved.ended {
                    moved.traffic.watch = self.watch_after(ended, now_ms);
                } else if let Some(why) = event.why_back() {
                    let promoted = promoted_by(transaction, before.active())?;
                    moved.ended = promoted.map(|rollout| rollout.taken_back(why, now_ms));
                }
                let statement =
                    statements::after(self.store(), transaction, &before, &mut moved, (&event, actor, now_ms))?;
                put(transaction, &moved);
                let (targets, action) = (targets(&known, &before, &moved, &event), action(&event, &moved));
                Ok::<_, RolloutError>(Changed::new(moved, action, targets).stated(statement))
            })
            .await?;
            self.go_by(&moved.traffic);
            moved
        };
        // As a rule there is nothing to be done: only what was unloaded since it was made ready is loaded once more.
        if let Err(error) = self.go_by_what_is_committed().await {
            tracing::error!("calls do not go by what is on record yet: {error}");
        }
        self.end_experiments(&moved.traffic);
        self.shared().turned.notify_one();
        if becomes_active.is_some() || moved.ended.is_some() {
            let letting_go = self.let_go_soon(&moved.traffic);
            self.until_done(letting_go, &event).await;
        }
        if promoted.is_none()
            && let Some(release) = becomes_active.and_then(|sequence| self.loaded_as(sequence))
        {
            let engine = self.clone();
            tokio::spawn(async move { engine.hand_over(&release).await });
        }
        Ok(moved.traffic)
    }

    /// Lets go of what releases asked for that have been left. Calls go by the new state already, so that it is not undone by a failure.
    fn let_go_soon(&self, state: &rollout::Traffic) -> JoinHandle<()> {
        let (engine, state, under_way) = (self.clone(), state.clone(), LettingGo::begun(&self.shared().turns));
        let letting_go = async move {
            if let Err(error) = engine.let_go_of_others(&state).await
                && engine.is_ready().is_ok()
            {
                tracing::error!("writers are held to the types of a release that was left: {error}");
            }
            drop(under_way);
        };
        tokio::spawn(letting_go.instrument(self.span().clone()))
    }

    /// Waits for a task, as a rule a moment. Whoever rolls back has no time for it where an index is being built, which it may have to wait for.
    async fn until_done(&self, mut task: JoinHandle<()>, event: &Event) {
        loop {
            tokio::select! {
                _ = &mut task => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    if event.why_back().is_some() && !self.store().building().is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits until all that is let go of is let go of, so that it does not let go of what is asked for next.
    pub(super) async fn until_let_go(&self) {
        // The sender lives as long as this.
        let _ = self.shared().turns.letting_go.subscribe().wait_for(|tasks| *tasks == 0).await;
    }

    async fn hand_over(&self, release: &Arc<Release>) {
        if let Err(error) = Keeping::hand_over(self, release).await {
            tracing::warn!("what views have computed before is not used: {error}");
        }
    }

    fn active_sequence(&self) -> Option<u64> {
        self.traffic().borrow().active().and_then(|release| release.sequence())
    }

    /// Has calls go by what is committed, where they do not. What that names is loaded first.
    pub(crate) async fn go_by_what_is_committed(&self) -> Result<(), RolloutError> {
        loop {
            let state = releases::traffic(self.store())?;
            if self.shared().turns.gone_by.lock().as_ref() == Some(&state) {
                return Ok(());
            }
            self.ready_all(&releases::list(self.store())?, &state.called()).await?;
            let _turn = self.shared().turning.lock().await;
            // Something may have happened meanwhile.
            if releases::traffic(self.store())? == state {
                self.go_by(&state);
                return Ok(());
            }
        }
    }

    /// From now on calls go by that, which is committed. What it names is loaded; what is not takes no calls, and where that is the active
    /// release, all stays as it was. For who holds the lock of turns.
    pub(crate) fn go_by(&self, state: &rollout::Traffic) {
        let is_loaded = |sequence: &u64| self.loaded_as(*sequence).is_some();
        let is_whole = state.called().iter().all(is_loaded);
        *self.shared().turns.gone_by.lock() = is_whole.then(|| state.clone());
        if let Some(lost) = state.active().filter(|active| !is_loaded(active)) {
            tracing::error!("release {lost} is active and not loaded: calls go on as before until it is");
            return;
        }
        let active = state.active().and_then(|sequence| self.loaded_as(sequence));
        let before = self.traffic().borrow().clone();
        let number = state.rollout.as_ref().map_or(0, |rollout| rollout.number);
        let shadow = state.shadow().and_then(|(sequence, share)| {
            let (base, candidate) = (active.as_ref()?, self.loaded_as(sequence)?);
            Some(Shadow::of(self, before.shadow(), number, (base, candidate), share))
        });
        let traffic = Traffic::to(active).after(&before);
        let traffic = match shadow {
            Some(shadow) => traffic.shadowed(shadow),
            None => traffic,
        };
        let all = state.beside().into_iter();
        let beside: Option<Vec<_>> = all.map(|(sequence, share)| Some((self.loaded_as(sequence)?, share))).collect();
        self.direct(match (beside, &state.rollout) {
            (Some(beside), Some(Rollout { number, strategy, .. })) if !beside.is_empty() => {
                let is_experiment = matches!(strategy, Strategy::Experiment { .. });
                traffic.split(Split { rollout: *number, beside, is_experiment })
            }
            _ => traffic,
        });
    }

    /// Has calls go there from now on.
    pub(crate) fn direct(&self, traffic: Traffic) {
        let active = traffic.active().cloned();
        let now_ms = self.clock().now_ms();
        let now = self.traffic().borrow().clone();
        for release in self.loaded().borrow().iter() {
            release.mark(now_ms);
            // Where calls do not go any more, some may be on their way.
            if now.goes_to(release) || traffic.goes_to(release) {
                release.took_calls.store(true, Ordering::Relaxed);
                release.is_found(now_ms);
            }
        }
        let before = self.shared().traffic.send_replace(Arc::new(traffic));
        let number = |release: &Arc<Release>| release.number();
        if before.active().map(number) == active.as_ref().map(number) {
            return;
        }
        self.shared().active.send_replace(active.clone());
        // Those of the release before end with the set that they are in.
        let mut tasks = JoinSet::new();
        if let Some(release) = active {
            eager::watch_all(self, &release, &mut tasks);
            scheduled::run_all(self, &release, &mut tasks);
        }
        *self.shared().beside.lock() = tasks;
    }

    /// Loads what a release has on record, unless it is loaded, and waits until it is served.
    pub(crate) async fn load_kept(&self, record: &ReleaseRecord) -> Result<Arc<Release>, DeployError> {
        let Some(release) = self.loaded_as(record.sequence) else {
            let app = self.kept_app(record).await?;
            return Ok(self.load(app, Some(record.sequence), Writes::NotYet).await?);
        };
        release.is_found(self.clock().now_ms());
        // Whoever loads it may not be done.
        self.until_served(&release).await;
        match release.unservable() {
            None => Ok(release),
            Some(why) => Err(ActivateError::Unservable(why.to_owned()).into()),
        }
    }
}

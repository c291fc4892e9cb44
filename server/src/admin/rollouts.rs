//! Rollouts as the control plane tells and takes them.

use async_graphql::{ComplexObject, Context, Enum, InputObject, Result, SimpleObject};
use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::control::releases;
use weir_engine::rollouts::conduct::{self, Guarded, RolloutError};
use weir_engine::rollouts::guarding;
use weir_engine::rollouts::progress::Progress;
use weir_engine::rollouts::statements::{self, NoStatements};
use weir_engine::rollouts::status::{self, NamedVariant};
use weir_schema::duration::parse_ms;
use weir_schema::error::ErrorCode;
use weir_schema::rollout::{self, Compared, Event, Phase, Share, Step, Strategy};
use weir_store::Store;

use super::queries::{bad, unavailable};
use super::types::{Release, moment};
use super::{actor, refused};
use crate::control::message::Rolling;

/// Which releases take calls, and what is under way.
#[derive(SimpleObject)]
pub struct RolloutStatus {
    /// All of it in words.
    pub summary: String,
    /// The active release; null: none was deployed yet.
    pub active: Option<Release>,
    /// The one that a rollback leads to.
    pub previous: Option<Release>,
    /// The one that is being rolled out.
    pub candidate: Option<Release>,
    /// Whose calls go to it, such as `5%`; null: nobody's.
    pub share: Option<String>,
    /// The releases between which the callers are divided, or will be once they are ready: the base first, then the candidate.
    pub variants: Vec<ReleaseShare>,
    /// How far that is.
    pub rollout: Option<Rollout>,
    /// How long its step still takes, in milliseconds; null: until somebody says that it goes on.
    #[graphql(name = "leftMs")]
    pub left_ms: Option<String>,
    /// How far it is with what a release waits for before it takes calls: migrations, indexes, views.
    pub progress: Vec<RolloutProgress>,
    /// What takes it back by itself, in words; empty: nothing, or it is over and not watched any more.
    pub guards: Vec<String>,
    /// What the calls of these releases came to lately.
    pub health: Vec<ReleaseHealth>,
}

/// A release, and which share of the callers goes to it.
#[derive(SimpleObject)]
pub struct ReleaseShare {
    /// Its version.
    pub version: String,
    /// Its sequence.
    pub sequence: String,
    /// Whose calls go to it, such as `25%`.
    pub share: String,
}

/// Documents that are gone through.
#[derive(SimpleObject)]
pub struct RolloutProgress {
    /// What for, in words.
    pub what: String,
    /// The documents so far.
    pub done: String,
    /// The documents when it began; `0` as long as that is not known.
    pub total: String,
}

/// What the calls of a release came to in the last window of its guards.
#[derive(SimpleObject)]
pub struct ReleaseHealth {
    /// Its version.
    pub version: String,
    /// Its calls, without those that were refused.
    pub calls: String,
    /// Those that failed.
    pub errors: String,
    /// How long half of those took at most that were answered, in milliseconds.
    #[graphql(name = "p50Ms")]
    pub p50_ms: Option<f64>,
    /// How long all but 5% of them took at most.
    #[graphql(name = "p95Ms")]
    pub p95_ms: Option<f64>,
}

impl From<guarding::ReleaseHealth> for ReleaseHealth {
    fn from(health: guarding::ReleaseHealth) -> Self {
        let guarding::ReleaseHealth { version, calls, errors, p50_us, p95_us } = health;
        let ms = |us: u64| us as f64 / 1_000.0;
        let (p50_ms, p95_ms) = (p50_us.map(ms), p95_us.map(ms));
        Self { version, calls: calls.to_string(), errors: errors.to_string(), p50_ms, p95_ms }
    }
}

/// What was stated of a rollout.
#[derive(SimpleObject)]
pub struct RolloutStatements {
    /// The public key that they are verified with, as PEM text.
    pub public_key: String,
    /// The statements, the newest last: each a DSSE envelope as JSON text.
    pub statements: Vec<String>,
}

/// One release on its way to take the place of another.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Rollout {
    /// Which it is of all that there were, from 1.
    pub number: String,
    /// The sequence of the release that was active when it began.
    pub base: Option<String>,
    /// The sequence of the release that is to become active.
    pub candidate: String,
    /// How.
    pub strategy: StrategyKind,
    /// The steps of a canary.
    pub steps: Vec<CanaryStep>,
    /// The releases of an experiment beside the base, the candidate first.
    pub variants: Vec<RolloutVariant>,
    /// How far it is.
    pub phase: RolloutPhase,
    /// Which step it is at, from 1.
    pub step: Option<usize>,
    /// When the next step begins by itself.
    pub due_at: Option<String>,
    /// Why it was rolled back, or failed.
    pub why: Option<String>,
    /// When all callers had moved, where it was rolled back after that.
    pub promoted_at: Option<String>,
    /// When it came there.
    pub since: String,
    /// When it began.
    pub started_at: String,
    /// By whom.
    pub started_by: String,
    /// Whether it is taken back by hand alone.
    pub unguarded: bool,
}

#[ComplexObject]
impl Rollout {
    /// What was stated of each of its changes, the newest last: DSSE envelopes as JSON text. `rolloutStatements` has the key.
    async fn statements(&self, context: &Context<'_>) -> Result<Vec<String>> {
        let number = self.number.parse().unwrap_or_default();
        statements::of(context.data::<Engine>()?.store(), number).map_err(unavailable)
    }
}

/// A step of a canary.
#[derive(SimpleObject)]
pub struct CanaryStep {
    /// Whose calls go to the candidate, such as `5%`.
    pub share: String,
    /// How long, in milliseconds; null: until somebody says that it goes on.
    #[graphql(name = "forMs")]
    pub for_ms: Option<String>,
}

/// A release of an experiment.
#[derive(SimpleObject)]
pub struct RolloutVariant {
    /// Its sequence.
    pub release: String,
    /// Whose calls go to it, such as `25%`.
    pub share: String,
}

/// How callers move.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum StrategyKind {
    /// All at once.
    BlueGreen,
    /// Step by step.
    Canary,
    /// Nobody, while calls are made on the candidate too and compared.
    Shadow,
    /// Some, until it is known which release is better.
    Experiment,
}

/// How far a rollout is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum RolloutPhase {
    /// The candidate is made ready. No call goes to it.
    Preparing,
    /// It is ready, and waits to be promoted.
    Ready,
    /// It is ready, and some calls are made on it once more: see `shadowReport`.
    Shadowing,
    /// Some callers go to it.
    Step,
    /// The same callers go on to go to it until it is resumed.
    Paused,
    /// The callers are divided between the variants of an experiment.
    Running,
    /// Over: it is the active release, or was.
    Promoted,
    /// Over: all callers are back where they were.
    RolledBack,
    /// Over: it could not be made ready.
    Failed,
}

/// How callers are to move. With none of these they move at once, as soon as the release is ready.
#[derive(InputObject)]
pub struct StrategyInput {
    /// Step by step.
    pub canary: Option<Vec<StepInput>>,
    /// Only when `promoteRollout` says so.
    #[graphql(default = false)]
    pub hold: bool,
    /// Only when `promoteRollout` says so; until then such a share of the calls, such as `10%`, is made on it too, and compared.
    pub shadow: Option<String>,
    /// Until it is known which release is better.
    pub experiment: Option<ExperimentInput>,
}

/// How a release is compared with the active one.
#[derive(InputObject)]
pub struct ExperimentInput {
    /// Whose calls go to it, such as `50%`.
    pub share: String,
    /// More releases that are compared.
    #[graphql(default)]
    pub others: Vec<VariantInput>,
    /// The metrics that decide; none: all that the releases declare.
    #[graphql(default)]
    pub metrics: Vec<String>,
    /// How often an experiment in which nothing differs may be taken for one in which something does.
    #[graphql(default = "5%")]
    pub alpha: String,
    /// How many callers are expected, of all variants together.
    #[graphql(default = 20_000)]
    pub callers: u32,
}

/// One more release that is compared.
#[derive(InputObject)]
pub struct VariantInput {
    /// Its version, or its sequence.
    pub release: String,
    /// Whose calls go to it, such as `25%`.
    pub share: String,
}

/// A step of a canary.
#[derive(InputObject)]
pub struct StepInput {
    /// Whose calls go to the candidate, such as `5%`.
    pub share: String,
    /// How long, such as `10m`; null: until somebody says that it goes on.
    #[graphql(name = "for")]
    pub time: Option<String>,
}

impl StrategyInput {
    /// What it says. The releases that it names are looked up.
    pub fn strategy(given: Option<Self>, store: &Store) -> Result<Strategy> {
        let given = given.unwrap_or(Self { canary: None, hold: false, shadow: None, experiment: None });
        let strategy = match given {
            Self { canary: None, hold, shadow: None, experiment: None } => Strategy::BlueGreen { hold },
            Self { canary: None, hold: false, shadow: Some(text), experiment: None } => {
                Strategy::Shadow { share: share(&text)? }
            }
            Self { shadow: Some(_), .. } => {
                return Err(bad("a shadow moves nobody and always holds: leave out canary, hold and experiment"));
            }
            Self { canary: Some(steps), hold: false, experiment: None, .. } => {
                Strategy::Canary { steps: steps.into_iter().map(step).collect::<Result<_>>()? }
            }
            Self { canary: None, hold: false, shadow: None, experiment: Some(experiment) } => {
                compared(experiment, store)?
            }
            _ => return Err(bad("a strategy is canary, hold or experiment: leave out the others")),
        };
        strategy.check().map_err(|error| bad(error.to_string()))?;
        Ok(strategy)
    }

    /// A strategy as a variable of this type.
    pub fn variables(strategy: &Strategy, more: &[NamedVariant]) -> Value {
        match strategy {
            Strategy::BlueGreen { hold } => json!({ "hold": hold }),
            Strategy::Shadow { share } => json!({ "shadow": share.to_string() }),
            Strategy::Canary { steps } => {
                let step = |Step { share, for_ms }: &Step| json!({ "share": share.to_string(), "for": for_ms.map(|for_ms| format!("{for_ms}ms")) });
                json!({ "canary": steps.iter().map(step).collect::<Vec<_>>() })
            }
            Strategy::Experiment { share, compared: Compared { metrics, alpha, callers_planned }, .. } => {
                let variant = |NamedVariant { release, share }: &NamedVariant| json!({ "release": release, "share": share.to_string() });
                let others: Vec<Value> = more.iter().map(variant).collect();
                let (share, alpha) = (share.to_string(), alpha.to_string());
                let experiment = json!({ "share": share, "others": others, "metrics": metrics, "alpha": alpha, "callers": callers_planned });
                json!({ "experiment": experiment })
            }
        }
    }
}

fn compared(experiment: ExperimentInput, store: &Store) -> Result<Strategy> {
    let ExperimentInput { share, others, metrics, alpha, callers } = experiment;
    let alpha = Share::parse(&alpha).ok_or_else(|| bad("alpha is a percentage such as 5%"))?;
    let compared = Compared { metrics, alpha, callers_planned: callers.into() };
    let strategy = Strategy::Experiment { share: self::share(&share)?, others: Vec::new(), compared };
    let variant = |VariantInput { release, share }| Ok(NamedVariant { release, share: self::share(&share)? });
    let others = others.into_iter().map(variant).collect::<Result<Vec<_>>>()?;
    status::with_variants(store, strategy, &others).map_err(of_rollout)
}

fn share(text: &str) -> Result<Share> {
    Share::parse(text).ok_or_else(|| bad("a share is a percentage such as 5% or 0.25%"))
}

fn step(StepInput { share, time }: StepInput) -> Result<Step> {
    let share = self::share(&share)?;
    let for_ms = time.map(|time| parse_ms(&time).ok_or_else(|| bad("for is a number and a unit, such as 10m")));
    Ok(Step { share, for_ms: for_ms.transpose()? })
}

impl From<status::Status> for RolloutStatus {
    fn from(status: status::Status) -> Self {
        let summary = status.to_string();
        let status::Status { active, previous, candidate, rollout, share, guards, health, .. } = status;
        let variant = |status::ReleaseShare { version, sequence, share }: status::ReleaseShare| ReleaseShare {
            version,
            sequence: sequence.to_string(),
            share: share.to_string(),
        };
        let progress = |Progress { what, done, total }: Progress| RolloutProgress {
            what,
            done: done.to_string(),
            total: total.to_string(),
        };
        Self {
            summary,
            active: active.map(|record| Release::of(record, true)),
            previous: previous.map(|record| Release::of(record, false)),
            candidate: candidate.map(|record| Release::of(record, false)),
            share: share.map(|share| share.to_string()),
            variants: status.variants.into_iter().map(variant).collect(),
            left_ms: status.left_ms.map(|left_ms| left_ms.to_string()),
            progress: status.progress.into_iter().map(progress).collect(),
            rollout: rollout.map(Rollout::from),
            guards,
            health: health.into_iter().map(ReleaseHealth::from).collect(),
        }
    }
}

impl From<rollout::Rollout> for Rollout {
    fn from(rollout: rollout::Rollout) -> Self {
        let variants = match &rollout.strategy {
            Strategy::Experiment { .. } => rollout.variants(),
            Strategy::BlueGreen { .. } | Strategy::Canary { .. } | Strategy::Shadow { .. } => Vec::new(),
        };
        let variant =
            |(release, share): (u64, Share)| RolloutVariant { release: release.to_string(), share: share.to_string() };
        let variants = variants.into_iter().map(variant).collect();
        let rollout::Rollout {
            number,
            base,
            candidate,
            strategy,
            phase,
            since_ms,
            started_ms,
            started_by,
            unguarded,
            promoted_ms,
        } = rollout;
        let (strategy, steps) = match strategy {
            Strategy::BlueGreen { .. } => (StrategyKind::BlueGreen, Vec::new()),
            Strategy::Canary { steps } => (StrategyKind::Canary, steps),
            Strategy::Experiment { .. } => (StrategyKind::Experiment, Vec::new()),
            Strategy::Shadow { .. } => (StrategyKind::Shadow, Vec::new()),
        };
        let (phase, step, due_ms, why) = match phase {
            Phase::Preparing => (RolloutPhase::Preparing, None, None, None),
            Phase::Ready => (RolloutPhase::Ready, None, None, None),
            Phase::Shadowing => (RolloutPhase::Shadowing, None, None, None),
            Phase::Step { number, due_ms } => (RolloutPhase::Step, Some(number), due_ms, None),
            Phase::Paused { number, .. } => (RolloutPhase::Paused, Some(number), None, None),
            Phase::Running => (RolloutPhase::Running, None, None, None),
            Phase::Promoted => (RolloutPhase::Promoted, None, None, None),
            Phase::RolledBack { why } => (RolloutPhase::RolledBack, None, None, Some(why)),
            Phase::Failed { why } => (RolloutPhase::Failed, None, None, Some(why)),
        };
        let of_step = |Step { share, for_ms }: Step| CanaryStep {
            share: share.to_string(),
            for_ms: for_ms.map(|for_ms| for_ms.to_string()),
        };
        Self {
            promoted_at: promoted_ms.map(moment),
            number: number.to_string(),
            base: base.map(|base| base.to_string()),
            candidate: candidate.to_string(),
            strategy,
            steps: steps.into_iter().map(of_step).collect(),
            variants,
            phase,
            step: step.map(|step| step.saturating_add(1)),
            due_at: due_ms.map(moment),
            why,
            since: moment(since_ms),
            started_at: moment(started_ms),
            started_by,
            unguarded,
        }
    }
}

/// How it is now.
pub fn current(context: &Context<'_>) -> Result<RolloutStatus> {
    let engine = context.data::<Engine>()?;
    Ok(engine.with_health(engine.rollout_status().map_err(unavailable)?).into())
}

/// The rollouts that are over, the newest first.
pub fn ended(context: &Context<'_>) -> Result<Vec<Rollout>> {
    let ended = conduct::ended(context.data::<Engine>()?.store()).map_err(unavailable)?;
    Ok(ended.into_iter().rev().map(Rollout::from).collect())
}

/// What was stated of one of them, or of the last one.
pub fn statements(context: &Context<'_>, rollout: Option<String>) -> Result<RolloutStatements> {
    let number = rollout.map(|rollout| rollout.parse::<u64>()).transpose();
    let number = number.map_err(|_| bad("rollout is the number of one, such as \"3\""))?;
    let signed = statements::signed(context.data::<Engine>()?.store(), number).map_err(|error| match error {
        NoStatements::Control(error) => unavailable(error),
        error => refused(ErrorCode::NotFound, error.to_string()),
    })?;
    Ok(RolloutStatements { public_key: signed.public_key, statements: signed.statements })
}

/// Begins one of a release that a version or a sequence names.
pub async fn start(
    context: &Context<'_>,
    release: &str,
    (strategy, unguarded): (Option<StrategyInput>, bool),
) -> Result<RolloutStatus> {
    let (engine, actor) = (context.data::<Engine>()?, actor(context)?);
    let strategy = StrategyInput::strategy(strategy, engine.store())?;
    let found = status::find(engine.store(), release).map_err(of_rollout)?;
    let started = engine.start_rollout_guarded(found.sequence, (strategy, guarded(unguarded)), &actor).await;
    let state = started.map_err(of_rollout)?;
    shown(engine, state)
}

/// What may take a rollout back.
pub fn guarded(unguarded: bool) -> Guarded {
    if unguarded { Guarded::ByHand } else { Guarded::ByGuards }
}

/// Promotes the release that is rolled out, or the one of those that a version or a sequence names.
pub async fn promote(context: &Context<'_>, release: Option<String>) -> Result<RolloutStatus> {
    let event = Rolling::Promote { release }.event(context.data::<Engine>()?.store()).map_err(of_rollout)?;
    roll(context, event).await
}

/// Takes back what is rolled out, or active without a rollout; where a version or a sequence is named, that release or none.
pub async fn roll_back(context: &Context<'_>, release: Option<String>, why: String) -> Result<RolloutStatus> {
    let event = Rolling::RollBack { release, why }.event(context.data::<Engine>()?.store()).map_err(of_rollout)?;
    roll(context, event).await
}

/// Something happens to the one that is under way.
pub async fn roll(context: &Context<'_>, event: Event) -> Result<RolloutStatus> {
    let (engine, actor) = (context.data::<Engine>()?, actor(context)?);
    let state = engine.roll(event, &actor).await.map_err(of_rollout)?;
    shown(engine, state)
}

fn shown(engine: &Engine, state: rollout::Traffic) -> Result<RolloutStatus> {
    let known = releases::list(engine.store()).map_err(unavailable)?;
    let status = engine.with_progress(status::of(state, &known)).map_err(unavailable)?;
    Ok(engine.with_health(status).into())
}

fn of_rollout(error: RolloutError) -> async_graphql::Error {
    match error {
        RolloutError::Control(error) => unavailable(error),
        RolloutError::Unknown(_) => refused(ErrorCode::NotFound, error.to_string()),
        error => refused(ErrorCode::Conflict, error.to_string()),
    }
}

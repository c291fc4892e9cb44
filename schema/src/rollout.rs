//! Rollouts: how one release comes to take the place of another. A state machine, as it lies in the store.
//!
//! ```text
//!             prepared                due (canary)
//! preparing ───────────► ready ─┐   ┌─────────┐
//!     │      │                  │   ▼         │          promote, or due after the last step
//!     │      ├────────────────► step n ───────┘ ───────────────────────────────────────────► promoted
//!     │      └────────────────► shadowing ─── promote ─────────────────────────────────────► promoted
//!     │      └────────────────► running (experiment) ── promote, or choose a variant ──────► promoted
//!     │                           │
//!     └── failed ──► failed       └── roll back, or violated ──► rolled back
//! ```
//!
//! Rule: a state follows from the one before, what has happened and the time, and from nothing else: so a rollout goes on after a
//! crash from the last state that was committed.

pub mod back;
mod experiment;
mod refused;
mod share;
pub mod statement;
mod strays;
pub mod watch;

use serde::{Deserialize, Serialize};

pub use self::back::TakenBack;
use self::experiment::divided;
pub use self::experiment::{Compared, VARIANTS_MAX, Variant, place};
pub use self::refused::Refused;
pub use self::share::{Bucket, Share, WHOLE};
pub use self::watch::{Health, Watch};
use crate::datetime;
use crate::limits::METRICS_MAX;

/// The most steps of a canary.
pub const STEPS_MAX: usize = 100;
/// The releases that were promoted and are remembered, the active one among them.
pub const PROMOTED_MAX: usize = 100;

/// A step of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Whose calls go to the candidate.
    pub share: Share,
    /// How long, in milliseconds; `None`: until somebody says that it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// How a candidate comes to be the active release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Strategy {
    /// All calls move at once.
    BlueGreen {
        /// Whether it waits, prepared, until somebody says so.
        hold: bool,
    },
    /// More and more callers move, step by step, and then all.
    Canary {
        /// The steps, in order.
        steps: Vec<Step>,
    },
    /// No caller moves: some calls are made on it once more, and what comes of them is compared, until somebody says that all move.
    Shadow {
        /// Of the calls.
        share: Share,
    },
    /// The callers are divided between the base and other releases, until somebody promotes one of them.
    Experiment {
        /// Whose calls go to the candidate.
        share: Share,
        /// More releases, and whose calls go to them. All other callers stay with the base.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<Variant>,
        /// What is compared.
        compared: Compared,
    },
}

impl Strategy {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::BlueGreen { .. } => "blue-green",
            Self::Canary { .. } => "canary",
            Self::Shadow { .. } => "shadow",
            Self::Experiment { .. } => "experiment",
        }
    }

    /// Whether it can be carried out; if not, why.
    pub fn check(&self) -> Result<(), BadStrategy> {
        let steps = match self {
            Self::BlueGreen { .. } => return Ok(()),
            Self::Shadow { share: Share::NONE } => return Err(BadStrategy::NoCalls),
            Self::Shadow { .. } => return Ok(()),
            Self::Experiment { share, others, compared } => {
                divided(*share, others)?;
                return compared.check();
            }
            Self::Canary { steps } => steps,
        };
        if steps.is_empty() || steps.len() > STEPS_MAX {
            return Err(BadStrategy::Steps);
        }
        let is_rising = steps.iter().zip(steps.iter().skip(1)).all(|(step, next)| step.share < next.share);
        let are_some = steps.iter().all(|step| step.share > Share::NONE && step.share < Share::ALL);
        if is_rising && are_some { Ok(()) } else { Err(BadStrategy::Order) }
    }
}

/// Why a strategy cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadStrategy {
    /// There are none, or too many.
    #[error("a canary has 1 to {STEPS_MAX} steps")]
    Steps,
    /// They do not rise.
    #[error("the steps of a canary rise, from above 0% to below 100%: after the last all callers move")]
    Order,
    /// Nothing would be compared.
    #[error("a shadow rollout has a share of the calls above 0%")]
    NoCalls,
    /// Too many releases are compared.
    #[error("an experiment has 1 to {VARIANTS_MAX} releases beside the active one")]
    Variants,
    /// One is there more than once.
    #[error(
        "release {0} is in the experiment more than once: each variant is another release, and the active one is among them anyway"
    )]
    Twice(u64),
    /// The base or another release would have no callers.
    #[error(
        "the shares of an experiment are above 0% each and below 100% together: the other callers stay with the active release"
    )]
    Shares,
    /// More metrics are named than an app may declare.
    #[error("an experiment names {METRICS_MAX} metrics at most")]
    Metrics,
    /// No level of a test.
    #[error("alpha is between 0.01% and 20%, such as 5%, not {0}")]
    Alpha(Share),
    /// Nobody is expected.
    #[error("an experiment expects one caller or more")]
    Callers,
}

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Phase {
    /// The candidate is made ready. No call goes to it.
    Preparing,
    /// It is ready, and waits to be promoted.
    Ready,
    /// It is ready, no call goes to it, and some calls are made on it once more.
    Shadowing,
    /// Some callers go to it.
    Step {
        /// Which step, from 0.
        number: usize,
        /// When the next begins, in milliseconds since 1970; `None`: when somebody says so.
        due_ms: Option<u64>,
    },
    /// The same callers go on to go to it until it is resumed.
    Paused {
        /// Which step, from 0.
        number: usize,
        /// How long it would have gone on.
        left_ms: Option<u64>,
    },
    /// The callers are divided between the variants of an experiment.
    Running,
    /// Over: it is the active release, or was.
    Promoted,
    /// Over: all callers are back where they were.
    RolledBack {
        /// Why.
        why: String,
    },
    /// Over: it could not be made ready.
    Failed {
        /// Why.
        why: String,
    },
}

impl Phase {
    /// Whether nothing comes after it.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Promoted | Self::RolledBack { .. } | Self::Failed { .. })
    }

    /// In words.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Shadowing => "shadowing",
            Self::Step { .. } => "step",
            Self::Paused { .. } => "paused",
            Self::Running => "running",
            Self::Promoted => "promoted",
            Self::RolledBack { .. } => "rolled back",
            Self::Failed { .. } => "failed",
        }
    }
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// Which it is of all that there were, from 1.
    pub number: u64,
    /// The sequence of the release that was active when it began; `None`: there was none.
    pub base: Option<u64>,
    /// The sequence of the release that is to become active.
    pub candidate: u64,
    /// How.
    pub strategy: Strategy,
    /// How far it is.
    pub phase: Phase,
    /// When it came there, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it began.
    pub started_ms: u64,
    /// By whom.
    pub started_by: String,
    /// Whether it is taken back by hand alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unguarded: bool,
    /// When it was promoted, where it was taken back after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_ms: Option<u64>,
}

/// Which releases take calls: the state of all rollouts together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traffic {
    /// The sequences of the releases that were promoted and not taken back since, in order: one as often as it was. The last one is active.
    pub promoted: Vec<u64>,
    /// The sequences of those that were taken back after calls went to them, and after which no other one was promoted yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<u64>,
    /// How many rollouts there were.
    pub rollouts: u64,
    /// How many statements were signed of the last one.
    #[serde(default)]
    pub statements: u64,
    /// The one that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The watch over the active release, until the next rollout begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    /// The last rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<TakenBack>,
}

/// What happens to a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The candidate is ready.
    Prepared,
    /// It cannot be made ready.
    Failed {
        /// Why.
        why: String,
    },
    /// It is late enough for what comes next.
    Due,
    /// The candidate becomes the active release now.
    Promote,
    /// One of the releases that are rolled out becomes the active one now: the candidate, or another variant of an experiment.
    Choose {
        /// Its sequence.
        release: u64,
    },
    /// The next step begins now.
    Advance,
    /// No further step begins.
    Pause,
    /// The steps go on.
    Resume,
    /// All callers go back: to the base of the rollout under way, or else to the release that was active before.
    RollBack {
        /// Why.
        why: String,
    },
    /// The same, as long as it is that release which they go back from: the one that is rolled out, or else the active one.
    TakeBack {
        /// Its sequence.
        release: u64,
        /// Why.
        why: String,
    },
    /// The same because of what its calls come to, as long as it is that rollout which is under way or watched.
    Violated {
        /// The rollout.
        rollout: u64,
        /// Why.
        why: String,
    },
    /// From now on nobody goes back but by hand.
    Unguard,
}

/// A new state of the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The state.
    pub traffic: Traffic,
    /// The rollout that is over now.
    pub ended: Option<Rollout>,
}

impl Traffic {
    /// The sequence of the active release.
    pub fn active(&self) -> Option<u64> {
        self.promoted.last().copied()
    }

    /// That of the release that was active before it: where one rolls back to.
    pub fn previous(&self) -> Option<u64> {
        self.promoted.iter().rev().nth(1).copied()
    }

    /// The candidate where it takes calls, and whose.
    pub fn candidate(&self) -> Option<(u64, Share)> {
        self.beside().first().copied()
    }

    /// The releases beside the active one that take calls, the candidate first, and whose: their shares lie one after the other
    /// ([`place`]), so that who is among the few of a step is among the more of the next.
    pub fn beside(&self) -> Vec<(u64, Share)> {
        let Some(rollout) = &self.rollout else { return Vec::new() };
        match (&rollout.strategy, &rollout.phase) {
            (Strategy::Canary { steps }, Phase::Step { number, .. } | Phase::Paused { number, .. }) => {
                steps.get(*number).map(|step| (rollout.candidate, step.share)).into_iter().collect()
            }
            (Strategy::Experiment { .. }, Phase::Running) => rollout.variants(),
            _ => Vec::new(),
        }
    }

    /// The release on which calls are made once more, and how many of them.
    pub fn shadow(&self) -> Option<(u64, Share)> {
        let rollout = self.rollout.as_ref().filter(|rollout| rollout.phase == Phase::Shadowing)?;
        let Strategy::Shadow { share } = &rollout.strategy else { return None };
        Some((rollout.candidate, *share))
    }

    /// All releases on which calls are made: the active one, and those beside it.
    pub fn called(&self) -> Vec<u64> {
        let beside = self.beside().into_iter().chain(self.shadow()).map(|(sequence, _)| sequence);
        self.active().into_iter().chain(beside).collect()
    }

    /// When something is due by itself, in milliseconds since 1970.
    pub fn due_ms(&self) -> Option<u64> {
        match self.rollout.as_ref()?.phase {
            Phase::Step { due_ms, .. } => due_ms,
            _ => None,
        }
    }

    /// Begins a rollout.
    pub fn start(&self, candidate: u64, strategy: Strategy, by: &str, now_ms: u64) -> Result<Self, Refused> {
        if let Some(rollout) = &self.rollout {
            return Err(Refused::UnderWay(rollout.number));
        }
        if self.active() == Some(candidate) {
            return Err(Refused::Active);
        }
        strategy.check()?;
        if let Strategy::Experiment { others, .. } = &strategy {
            let is_twice = |other: &&Variant| other.release == candidate || Some(other.release) == self.active();
            if let Some(twice) = others.iter().find(is_twice) {
                return Err(BadStrategy::Twice(twice.release).into());
            }
        }
        let rollout = Rollout {
            number: self.rollouts.saturating_add(1),
            base: self.active(),
            candidate,
            strategy,
            phase: Phase::Preparing,
            since_ms: now_ms,
            started_ms: now_ms,
            started_by: by.to_owned(),
            unguarded: false,
            promoted_ms: None,
        };
        Ok(Self { rollouts: rollout.number, statements: 0, rollout: Some(rollout), watch: None, ..self.clone() })
    }

    /// What follows when something happens.
    pub fn after(&self, event: &Event, now_ms: u64) -> Result<Moved, Refused> {
        self.may_go_back(event, now_ms)?;
        let Some(rollout) = &self.rollout else {
            let watch = self.watched(now_ms);
            return match event {
                Event::RollBack { .. } | Event::TakeBack { .. } => self.back(now_ms),
                Event::Violated { rollout, .. } if watch.is_some_and(|watch| watch.rollout == *rollout) => {
                    self.back(now_ms)
                }
                Event::Violated { rollout, .. } => Err(Refused::Unwatched(*rollout)),
                Event::Unguard if watch.is_some() => Ok(self.unwatched()),
                _ => Err(Refused::None),
            };
        };
        if let Event::Choose { release } = event {
            let chosen = rollout.choosing(*release)?;
            return Self { rollout: Some(chosen), ..self.clone() }.promoted(now_ms);
        }
        let refused = |asked| Refused::Phase { number: rollout.number, phase: rollout.phase.as_str(), asked };
        let phase = match (event, &rollout.phase) {
            (Event::Prepared, Phase::Preparing) => rollout.ready(now_ms),
            (Event::Prepared, _) => return Err(refused("prepared")),
            (Event::Failed { why }, Phase::Preparing) => Phase::Failed { why: why.clone() },
            (Event::Failed { .. }, _) => return Err(refused("given up")),
            (Event::Due, Phase::Step { number, due_ms: Some(due_ms) }) if *due_ms <= now_ms => {
                rollout.step(number.saturating_add(1), now_ms)
            }
            (Event::Due, _) => return Err(Refused::Early(rollout.number)),
            (Event::Promote, Phase::Running) if rollout.variants().len() > 1 => {
                return Err(Refused::Which(rollout.number));
            }
            (Event::Promote | Event::Choose { .. }, _) => return self.promoted(now_ms),
            (Event::Advance, Phase::Step { number, .. } | Phase::Paused { number, .. }) => {
                rollout.step(number.saturating_add(1), now_ms)
            }
            (Event::Advance, _) => return Err(refused("advanced")),
            (Event::Pause, Phase::Step { number, due_ms }) => {
                Phase::Paused { number: *number, left_ms: due_ms.map(|due_ms| due_ms.saturating_sub(now_ms)) }
            }
            (Event::Pause, _) => return Err(refused("paused")),
            (Event::Resume, Phase::Paused { number, left_ms }) => {
                Phase::Step { number: *number, due_ms: left_ms.map(|left_ms| now_ms.saturating_add(left_ms)) }
            }
            (Event::Resume, _) => return Err(refused("resumed")),
            (Event::RollBack { why } | Event::TakeBack { why, .. }, _) => Phase::RolledBack { why: why.clone() },
            (Event::Violated { rollout: number, why }, _) if rollout.is_guarded() && *number == rollout.number => {
                Phase::RolledBack { why: why.clone() }
            }
            (Event::Violated { rollout: number, .. }, _) => return Err(Refused::Unwatched(*number)),
            (Event::Unguard, _) => {
                let rollout = Rollout { unguarded: true, ..rollout.clone() };
                return Ok(Moved { traffic: Self { rollout: Some(rollout), ..self.clone() }, ended: None });
            }
        };
        Ok(self.with(Rollout { phase, since_ms: now_ms, ..rollout.clone() }))
    }

    /// The same with the candidate promoted, if it is ready.
    fn promoted(&self, now_ms: u64) -> Result<Moved, Refused> {
        let rollout = self.rollout.as_ref().ok_or(Refused::None)?;
        match rollout.phase {
            Phase::Ready | Phase::Shadowing | Phase::Step { .. } | Phase::Paused { .. } | Phase::Running => {
                Ok(self.with(Rollout { phase: Phase::Promoted, since_ms: now_ms, ..rollout.clone() }))
            }
            _ => Err(Refused::Phase { number: rollout.number, phase: rollout.phase.as_str(), asked: "promoted" }),
        }
    }

    /// The same with the rollout where it is now.
    fn with(&self, rollout: Rollout) -> Moved {
        if !rollout.phase.is_over() {
            return Moved { traffic: Self { rollout: Some(rollout), ..self.clone() }, ended: None };
        }
        let (mut promoted, strays) = (self.promoted.clone(), self.strays_after(&rollout));
        let mut taken_back = self.taken_back;
        match rollout.phase {
            Phase::Promoted => {
                promoted.push(rollout.candidate);
                let old = promoted.len().saturating_sub(PROMOTED_MAX);
                promoted.drain(..old);
            }
            Phase::RolledBack { .. } => taken_back = self.left(rollout.candidate, rollout.since_ms),
            _ => {}
        }
        Moved { traffic: Self { promoted, strays, taken_back, rollout: None, ..self.clone() }, ended: Some(rollout) }
    }

    /// The watch over the active release, if it goes on.
    pub fn watched(&self, now_ms: u64) -> Option<&Watch> {
        self.watch.as_ref().filter(|watch| now_ms < watch.until_ms)
    }

    /// The same with nobody watching.
    fn unwatched(&self) -> Moved {
        Moved { traffic: Self { watch: None, ..self.clone() }, ended: None }
    }
}

impl Rollout {
    /// Whether it is taken back by what its calls come to: they have begun, and nobody has said otherwise.
    pub fn is_guarded(&self) -> bool {
        !self.unguarded && matches!(self.phase, Phase::Step { .. } | Phase::Paused { .. })
    }

    /// How far it is, in words.
    pub fn in_words(&self) -> String {
        let strategy = self.strategy.as_str();
        let step = |number: usize| match &self.strategy {
            Strategy::Canary { steps } => {
                let share = steps.get(number).map_or(Share::NONE, |step| step.share);
                format!("step {} of {}, {share} of the callers", number.saturating_add(1), steps.len())
            }
            Strategy::BlueGreen { .. } | Strategy::Shadow { .. } | Strategy::Experiment { .. } => {
                "all callers".to_owned()
            }
        };
        match &self.phase {
            Phase::Preparing => format!("{strategy}, being prepared"),
            Phase::Ready => format!("{strategy}, ready: weir rollout promote moves all callers"),
            Phase::Shadowing => {
                let share = match &self.strategy {
                    Strategy::Shadow { share } => *share,
                    _ => Share::NONE,
                };
                format!("{strategy}, {share} of the calls are made on it too: weir rollout promote moves all callers")
            }
            Phase::Step { number, due_ms: Some(due_ms) } => {
                format!("{strategy}, {}, until {}", step(*number), datetime::of_ms(*due_ms))
            }
            Phase::Step { number, due_ms: None } => {
                format!("{strategy}, {}: weir rollout advance goes on", step(*number))
            }
            Phase::Paused { number, .. } => format!("{strategy}, paused at {}", step(*number)),
            Phase::Running => {
                let shares: Vec<String> = self.variants().iter().map(|(_, share)| share.to_string()).collect();
                let shares = shares.join(" and ");
                format!("{strategy} with {shares} of the callers: weir rollout report says what comes of it")
            }
            Phase::Promoted => format!("{strategy}, promoted {}", datetime::of_ms(self.since_ms)),
            Phase::RolledBack { why } => {
                let promoted =
                    self.promoted_ms.map(|ms| format!("promoted {}, ", datetime::of_ms(ms))).unwrap_or_default();
                format!("{strategy}, {promoted}rolled back {}: {why}", datetime::of_ms(self.since_ms))
            }
            Phase::Failed { why } => format!("{strategy}, failed {}: {why}", datetime::of_ms(self.since_ms)),
        }
    }

    fn ready(&self, now_ms: u64) -> Phase {
        match (&self.strategy, self.base) {
            (Strategy::BlueGreen { hold: true }, Some(_)) => Phase::Ready,
            // Where nothing is served there is nobody to be moved from it.
            (Strategy::BlueGreen { .. }, _) | (_, None) => Phase::Promoted,
            (Strategy::Canary { .. }, Some(_)) => self.step(0, now_ms),
            (Strategy::Shadow { .. }, Some(_)) => Phase::Shadowing,
            (Strategy::Experiment { .. }, Some(_)) => Phase::Running,
        }
    }

    fn step(&self, number: usize, now_ms: u64) -> Phase {
        let Strategy::Canary { steps } = &self.strategy else { return Phase::Promoted };
        match steps.get(number) {
            Some(step) => Phase::Step { number, due_ms: step.for_ms.map(|for_ms| now_ms.saturating_add(for_ms)) },
            None => Phase::Promoted,
        }
    }
}

#[cfg(test)]
#[path = "rollout/tests.rs"]
mod tests;

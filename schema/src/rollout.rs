//! Rollouts: how one release comes to take the place of another. A state machine, as it lies in the store.
//!
//! ```text
//!             prepared                due (canary)
//! preparing ───────────► ready ─┐   ┌─────────┐
//!     │      │                  │   ▼         │          promote, or due after the last step
//!     │      ├────────────────► step n ───────┘ ───────────────────────────────────────────► promoted
//!     │      └────────────────► shadowing ─── promote ─────────────────────────────────────► promoted
//!     │                           │
//!     └── failed ──► failed       └── roll back, or violated ──► rolled back
//! ```
//!
//! Rule: a state follows from the one before, what has happened and the time, and from nothing else: so a rollout goes on after a
//! crash from the last state that was committed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::datetime;
use crate::digest::Digest;

pub mod watch;

pub use watch::{Health, Watch};

/// All callers, in hundredths of a percent.
pub const WHOLE: u16 = 10_000;
/// The most steps of a canary.
pub const STEPS_MAX: usize = 100;
/// The releases that were promoted and are remembered, the active one among them.
pub const PROMOTED_MAX: usize = 100;

/// A share of the callers, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(u16);

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(WHOLE);

    /// So many hundredths of a percent; `None` where that is more than all.
    pub fn of(hundredths: u16) -> Option<Self> {
        (hundredths <= WHOLE).then_some(Self(hundredths))
    }

    /// Reads a percentage such as `5%` or `0.25%`, two digits after the point at most.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.trim().strip_suffix('%')?.trim_end();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(part) || whole.len() > 3 || part.len() > 2 {
            return None;
        }
        let part = format!("{part:0<2}").parse::<u16>().ok()?;
        Self::of(whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(part)?)
    }

    /// In hundredths of a percent.
    pub fn hundredths(self) -> u16 {
        self.0
    }

    /// Whether a caller is among them. Who is among few is among more.
    pub fn has(self, bucket: Bucket) -> bool {
        bucket.0 < self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

/// Where a caller stands among all callers of one rollout: always at the same place in that one, and anywhere in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket(u16);

impl Bucket {
    /// That of a caller, by what the caller is known by.
    pub fn of(rollout: u64, caller: &[&[u8]]) -> Self {
        let number = rollout.to_be_bytes();
        let parts: Vec<&[u8]> = std::iter::once(number.as_slice()).chain(caller.iter().copied()).collect();
        let [a, b, c, d, ..] = *Digest::of_parts(&parts).as_bytes();
        // 10,000 in four billion: how uneven that is cannot be measured.
        Self((u32::from_be_bytes([a, b, c, d]) % u32::from(WHOLE)) as u16)
    }
}

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
}

impl Strategy {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::BlueGreen { .. } => "blue-green",
            Self::Canary { .. } => "canary",
            Self::Shadow { .. } => "shadow",
        }
    }

    /// Whether it can be carried out; if not, why.
    pub fn check(&self) -> Result<(), BadStrategy> {
        let steps = match self {
            Self::BlueGreen { .. } => return Ok(()),
            Self::Shadow { share: Share::NONE } => return Err(BadStrategy::NoCalls),
            Self::Shadow { .. } => return Ok(()),
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
}

/// Which releases take calls: the state of all rollouts together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traffic {
    /// The sequences of the releases that were promoted and not taken back since, in order. The last one is active.
    pub promoted: Vec<u64>,
    /// How many rollouts there were.
    pub rollouts: u64,
    /// The one that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The watch over the active release, until the next rollout begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
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

/// Why something cannot happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One is under way.
    #[error("rollout {0} is under way: promote it or roll it back first")]
    UnderWay(u64),
    /// None is.
    #[error("no rollout is under way: weir rollout start begins one")]
    None,
    /// The release is active.
    #[error("the release is active already")]
    Active,
    /// The strategy cannot be carried out.
    #[error(transparent)]
    Strategy(#[from] BadStrategy),
    /// It is not yet, or no longer, time for that.
    #[error("rollout {number} is {phase}: it cannot be {asked}")]
    Phase {
        /// Which rollout.
        number: u64,
        /// How far it is.
        phase: &'static str,
        /// What was asked.
        asked: &'static str,
    },
    /// It is not time yet.
    #[error("the next step of rollout {0} is not due yet")]
    Early(u64),
    /// Nobody watches it any more.
    #[error("rollout {0} is not watched: it is over, or was left alone")]
    Unwatched(u64),
    /// There is no release to go back to.
    #[error("no release was active before this one: deploy another instead")]
    First,
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

    /// The release beside the active one that takes calls, and whose.
    pub fn candidate(&self) -> Option<(u64, Share)> {
        let rollout = self.rollout.as_ref()?;
        let (Phase::Step { number, .. } | Phase::Paused { number, .. }) = &rollout.phase else { return None };
        let Strategy::Canary { steps } = &rollout.strategy else { return None };
        Some((rollout.candidate, steps.get(*number)?.share))
    }

    /// The release on which calls are made once more, and how many of them.
    pub fn shadow(&self) -> Option<(u64, Share)> {
        let rollout = self.rollout.as_ref().filter(|rollout| rollout.phase == Phase::Shadowing)?;
        let Strategy::Shadow { share } = &rollout.strategy else { return None };
        Some((rollout.candidate, *share))
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
        };
        Ok(Self { rollouts: rollout.number, rollout: Some(rollout), watch: None, ..self.clone() })
    }

    /// What follows when something happens.
    pub fn after(&self, event: &Event, now_ms: u64) -> Result<Moved, Refused> {
        let Some(rollout) = &self.rollout else {
            let watch = self.watched(now_ms);
            return match event {
                Event::RollBack { .. } => self.taken_back(),
                Event::Violated { rollout, .. } if watch.is_some_and(|watch| watch.rollout == *rollout) => {
                    self.taken_back()
                }
                Event::Violated { rollout, .. } => Err(Refused::Unwatched(*rollout)),
                Event::Unguard if watch.is_some() => Ok(self.unwatched()),
                _ => Err(Refused::None),
            };
        };
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
            (Event::Promote, Phase::Ready | Phase::Shadowing | Phase::Step { .. } | Phase::Paused { .. }) => {
                Phase::Promoted
            }
            (Event::Promote, _) => return Err(refused("promoted")),
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
            (Event::RollBack { why }, _) => Phase::RolledBack { why: why.clone() },
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

    /// The same with the rollout where it is now.
    fn with(&self, rollout: Rollout) -> Moved {
        if !rollout.phase.is_over() {
            return Moved { traffic: Self { rollout: Some(rollout), ..self.clone() }, ended: None };
        }
        let mut promoted = self.promoted.clone();
        if rollout.phase == Phase::Promoted {
            promoted.retain(|sequence| *sequence != rollout.candidate);
            promoted.push(rollout.candidate);
            let old = promoted.len().saturating_sub(PROMOTED_MAX);
            promoted.drain(..old);
        }
        Moved { traffic: Self { promoted, rollout: None, ..self.clone() }, ended: Some(rollout) }
    }

    /// The same with the release active that was so before.
    fn taken_back(&self) -> Result<Moved, Refused> {
        self.previous().ok_or(Refused::First)?;
        let mut promoted = self.promoted.clone();
        promoted.pop();
        Ok(Moved { traffic: Self { promoted, watch: None, ..self.clone() }, ended: None })
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
            Strategy::BlueGreen { .. } | Strategy::Shadow { .. } => "all callers".to_owned(),
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
            Phase::Promoted => format!("{strategy}, promoted {}", datetime::of_ms(self.since_ms)),
            Phase::RolledBack { why } => format!("{strategy}, rolled back {}: {why}", datetime::of_ms(self.since_ms)),
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

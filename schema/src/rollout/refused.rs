//! Why the state of the traffic does not change.

use super::BadStrategy;

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
    /// The release has no part in it.
    #[error("release {release} is not being rolled out by rollout {number}: weir rollout status shows what is")]
    NotPart {
        /// Which release.
        release: u64,
        /// Which rollout.
        number: u64,
    },
    /// It is the base.
    #[error("the release is active already: weir rollout rollback ends rollout {0} with it")]
    Base(u64),
    /// There are several.
    #[error("rollout {0} has several variants: say which of them is to be promoted, as in weir rollout promote 2.0.0")]
    Which(u64),
    /// It is not time yet.
    #[error("the next step of rollout {0} is not due yet")]
    Early(u64),
    /// Nobody watches it any more.
    #[error("rollout {0} is not watched: it is over, or was left alone")]
    Unwatched(u64),
    /// There is no release to go back to.
    #[error("no release was active before this one: deploy another instead")]
    First,
    /// The release that is to be taken back takes no calls, or others have moved since.
    #[error(
        "release {0} is neither rolled out nor active without a rollout any more: weir rollout status shows what is"
    )]
    Left(u64),
    /// One was taken back a moment ago.
    #[error(
        "release {taken} was taken back a moment ago, and callers are on release {active}: to take that one back too, name it, as in weir \
         rollout rollback {active}"
    )]
    Again {
        /// The one that was.
        taken: u64,
        /// The one that would be.
        active: u64,
    },
}

//! Where calls come from, and so in whose line they wait for an isolate.
//!
//! Who has a token is known by it, whatever connections the calls come by. All others have the same identity, so there the
//! connection counts too: one is not kept waiting for what another asks.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::LazyLock;

use weir_sandbox::pool::Share;

use crate::call::Caller;
use crate::engine::Engine;
use crate::experiments::CallerDigest;

/// There are no tenants yet.
const TENANT: u64 = 0;

/// A connection to the server, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Connection(pub u64);

/// Where the calls of one handle of the engine come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Origin {
    pub(crate) connection: Connection,
    pub(crate) place: Place,
    /// From which address, where that is known.
    pub(crate) address: Option<IpAddr>,
    /// By what a client without a token is known again, for experiments.
    pub(crate) visitor: Option<CallerDigest>,
}

impl Engine {
    /// The same for a client that says by what it is known again: what it does without a token counts in experiments.
    pub fn of_visitor(&self, visitor: &str) -> Self {
        let mut engine = self.clone();
        engine.origin.visitor = Some(CallerDigest::of_visitor(visitor));
        engine
    }
}

/// What makes the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Place {
    /// Somebody outside.
    #[default]
    Outside,
    /// An action, which holds an isolate meanwhile.
    Action,
    /// Nobody: what is kept is brought up to date.
    Upkeep,
    /// Nobody: a call of somebody is made once more on another release, to see what would come of it.
    Shadow,
}

impl Origin {
    /// Whose line the caller's calls wait in. Nobody outside can find two callers of one number.
    pub(crate) fn share(self, caller: &Caller) -> Share {
        static NUMBERS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let caller = match self.place {
            Place::Outside | Place::Action => {
                let connection = (!matches!(caller, Caller::Token(_))).then_some(self.connection);
                NUMBERS.hash_one((caller.identity(), connection))
            }
            // A line of its own, whoever is the first to watch.
            Place::Upkeep => NUMBERS.hash_one("upkeep"),
            Place::Shadow => NUMBERS.hash_one("shadow"),
        };
        Share { tenant: TENANT, caller }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_a_line_of_its_own_and_what_its_actions_call_waits_there() {
        let share = |connection, place| {
            Origin { connection: Connection(connection), place, ..Origin::default() }.share(&Caller::Developer)
        };
        assert_eq!(share(1, Place::Outside), share(1, Place::Action));
        assert_ne!(share(1, Place::Outside), share(2, Place::Outside));
        assert_eq!(share(1, Place::Upkeep), share(2, Place::Upkeep));
        assert_ne!(share(1, Place::Upkeep), share(1, Place::Outside));
    }
}

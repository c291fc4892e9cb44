//! Who gets the same result: callers who agree on all that runs of a function have looked at.

use std::mem;

use indexmap::map::Entry as Place;
use weir_sandbox::protocol::ScriptCaller;

use super::{Core, ENTRY_BYTES, Entry};
use crate::results::key::{Claims, Class, Looked, QueryKey};

/// So many sets of claims are told apart for a function. What is found by other sets is for callers who agree on everything, so
/// that finding a result does not take longer and longer where each run looks at other claims.
const SETS_MAX: usize = 16;

/// What runs of a function have looked at.
#[derive(Default)]
pub(super) struct Habits {
    /// The sets of claims by which results are told apart.
    pub(super) claims: Vec<Claims>,
    /// Whether the last run looked at the time or at randomness.
    pub(super) is_volatile: bool,
}

impl<S: Clone> Core<S> {
    pub(super) fn is_volatile(&self, key: &QueryKey) -> bool {
        self.habits.get(&(key.release, key.function)).is_some_and(|habits| habits.is_volatile)
    }

    /// The entry that answers a caller's question.
    pub(super) fn find(&self, key: &QueryKey, caller: &ScriptCaller) -> Option<u64> {
        let known = self.habits.get(&(key.release, key.function)).map_or(&[][..], |habits| &habits.claims);
        let known = known.iter().chain((!known.contains(&Claims::ALL)).then_some(&Claims::ALL));
        known.into_iter().find_map(|claims| self.listed.get(&(key.clone(), Class::of(caller, *claims))).copied())
    }

    /// A new entry without a result. Until a run has shown better it is for callers who agree on all that earlier runs of the
    /// function looked at.
    pub(super) fn open(&mut self, key: &QueryKey, caller: &ScriptCaller, is_listed: bool) -> u64 {
        let habits = self.habits.get(&(key.release, key.function));
        let known = habits.filter(|habits| !habits.claims.is_empty() && habits.claims.len() < SETS_MAX);
        let claims = known.map_or(Claims::ALL, |habits| habits.claims.iter().fold(Claims::NONE, |all, one| all | *one));
        let class = Class::of(caller, claims);
        let id = self.next_id;
        self.next_id += 1;
        if is_listed {
            self.listed.insert((key.clone(), class.clone()), id);
        }
        self.bytes += ENTRY_BYTES;
        self.entries.insert(id, Box::new(Entry::new(key.clone(), class, is_listed)));
        id
    }

    /// Whether a run of one of an entry's callers speaks for all of them. The first tells who they are.
    pub(super) fn fits(&mut self, id: u64, caller: &ScriptCaller, looked: Looked) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        if looked.is_volatile {
            return !entry.is_listed;
        }
        let habits = self.habits.get(&(entry.key.release, entry.key.function));
        let is_full =
            habits.is_some_and(|habits| habits.claims.len() >= SETS_MAX && !habits.claims.contains(&looked.claims));
        // For all of it there is a place always.
        let looked = if is_full { Looked { claims: Claims::ALL, ..looked } } else { looked };
        let is_narrower = !entry.is_settled && entry.is_listed && looked.claims != entry.class.claims;
        if looked.claims.are_among(entry.class.claims) {
            entry.is_settled = true;
            if is_narrower {
                let class = Class::of(caller, looked.claims);
                let wider = mem::replace(&mut entry.class, class.clone());
                let key = entry.key.clone();
                self.listed.swap_remove(&(key.clone(), wider));
                let place = self.listed.entry((key, class));
                if let Place::Occupied(_) = place {
                    // Another has come to the same.
                    entry.is_listed = false;
                    return false;
                }
                place.or_insert(id);
            }
        }
        let is_among = looked.claims.are_among(entry.class.claims);
        let (place, claims) = ((entry.key.release, entry.key.function), entry.class.claims | looked.claims);
        if !self.retired.contains(&place.0) {
            let habits = self.habits.entry(place).or_default();
            if !habits.claims.contains(&claims) {
                habits.claims.push(claims);
            }
        }
        is_among
    }
}

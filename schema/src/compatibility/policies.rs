//! Who may do what, by the policies of two releases.
//!
//! Rule: a condition is not understood here, so of a policy that says something else it is only told that it does.

use super::{Found, Level, Part};

/// What a policy does to what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Permits it.
    Permit,
    /// Forbids it, whatever others permit.
    Forbid,
}

/// A policy, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOutline {
    /// Its annotation `@id`.
    pub id: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// All that it says, in one form however it is laid out.
    pub meaning: String,
}

impl PolicyOutline {
    fn coordinate(&self) -> String {
        self.id.as_ref().map_or_else(|| "without @id".to_owned(), |id| format!("{id:?}"))
    }

    fn subject(&self) -> String {
        self.id.as_ref().map_or_else(|| "A policy without @id".to_owned(), |id| format!("The policy {id:?}"))
    }
}

pub(super) fn compare(old: Option<&[PolicyOutline]>, new: Option<&[PolicyOutline]>, found: &mut Found) {
    // Where nobody may do anything, as without policies on a server, nothing gets narrower.
    let may_narrow = |level| {
        let permits_any = old.is_some_and(|old| old.iter().any(|policy| policy.effect == Effect::Permit));
        if permits_any { level } else { Level::Internal }
    };
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let mut add = |level, policy: &PolicyOutline, what: &str| {
        found.add(level, Part::Policy, policy.coordinate(), format!("{} {what}", policy.subject()));
    };
    for pair in pairs(old, new) {
        match pair {
            (Some(before), None) if before.effect == Effect::Permit => {
                add(Level::Breaking, before, "permitted something and was removed: access may narrow.");
            }
            (Some(before), None) => {
                add(Level::Addition, before, "forbade something and was removed: access may widen.")
            }
            (Some(before), Some(now)) => match (before.effect, now.effect) {
                (Effect::Permit, Effect::Forbid) => {
                    add(Level::Breaking, now, "permitted something and forbids it now: access may narrow.");
                }
                (Effect::Forbid, Effect::Permit) => {
                    add(Level::Addition, now, "forbade something and permits it now: access may widen.");
                }
                _ => add(may_narrow(Level::Dangerous), now, "says something else: access may narrow or widen."),
            },
            (None, Some(now)) if now.effect == Effect::Permit => {
                add(Level::Addition, now, "was added and permits something: access may widen.");
            }
            (None, Some(now)) => {
                add(may_narrow(Level::Breaking), now, "was added and forbids something: access may narrow.");
            }
            (None, None) => {}
        }
    }
}

/// A policy of the one release, and what has become of it in the other.
type Pair<'a> = (Option<&'a PolicyOutline>, Option<&'a PolicyOutline>);

/// The policies that are not in both as they are: those of one id together, and those without an id that have the same effect, in their
/// order.
fn pairs<'a>(old: &'a [PolicyOutline], new: &'a [PolicyOutline]) -> Vec<Pair<'a>> {
    let mut left: Vec<&PolicyOutline> = new.iter().filter(|now| !old.contains(now)).collect();
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    for before in old.iter().filter(|before| !new.contains(before)) {
        let is_same = |now: &&PolicyOutline| match &before.id {
            Some(id) => now.id.as_ref() == Some(id),
            None => now.id.is_none() && now.effect == before.effect,
        };
        let place = left.iter().position(is_same);
        pairs.push((Some(before), place.map(|place| left.remove(place))));
    }
    pairs.extend(left.into_iter().map(|now| (None, Some(now))));
    pairs
}

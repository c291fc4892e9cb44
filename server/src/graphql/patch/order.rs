//! How one list of distinct ids becomes another with the fewest removals, additions and moves.
//!
//! A longest run of elements that are in the right order already stays where it is; each of the others moves once. Where
//! an element is at the moment is counted in a Fenwick tree, so that all of it takes O(n log n).

use std::collections::HashMap;
use std::hash::Hash;

/// One change of a list. Places are those at the moment when it is made.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Takes an element out.
    Remove {
        /// Its place.
        at: usize,
    },
    /// Puts an element in.
    Add {
        /// The place that it has then.
        at: usize,
        /// Its place in the new list.
        new: usize,
    },
    /// Takes an element out and puts it in again.
    Move {
        /// Its place.
        from: usize,
        /// The place that it has then.
        to: usize,
    },
}

/// The steps from one list to another, and where each element of the new one was in the old one.
pub fn arrange<I: Eq + Hash>(old: &[I], new: &[I]) -> (Vec<Step>, Vec<Option<usize>>) {
    if old == new {
        return (Vec::new(), (0..new.len()).map(Some).collect());
    }
    let places: HashMap<&I, usize> = old.iter().enumerate().map(|(place, id)| (id, place)).collect();
    let origins: Vec<Option<usize>> = new.iter().map(|id| places.get(id).copied()).collect();
    let stays = longest_rise(&origins);
    let mut fates = vec![Fate::Goes; old.len()];
    for (origin, stays) in origins.iter().zip(&stays) {
        if let Some(fate) = origin.and_then(|origin| fates.get_mut(origin)) {
            *fate = if *stays { Fate::Stays } else { Fate::Moves };
        }
    }
    let goes = fates.iter().enumerate().rev().filter(|(_, fate)| **fate == Fate::Goes);
    let mut steps: Vec<Step> = goes.map(|(at, _)| Step::Remove { at }).collect();
    let Slots { of_new, of_old, mut occupied } = slots(&fates, &stays);
    for (place, ((origin, stays), slot)) in origins.iter().zip(&stays).zip(of_new).enumerate() {
        if *stays {
            continue;
        }
        let left = origin.and_then(|origin| of_old.get(origin).copied());
        let from = left.map(|left| occupied.leave(left));
        let at = occupied.enter(slot);
        match from {
            None => steps.push(Step::Add { at, new: place }),
            // What was between has gone its own way meanwhile.
            Some(from) if from == at => {}
            Some(from) => steps.push(Step::Move { from, to: at }),
        }
    }
    (steps, origins)
}

/// What becomes of an element of the old list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Goes,
    Moves,
    Stays,
}

/// Everywhere that an element is before, between and after the steps, in one row.
struct Slots {
    /// Of each element of the new list.
    of_new: Vec<usize>,
    /// Of each element of the old list; only that of one that moves means anything.
    of_old: Vec<usize>,
    occupied: Occupied,
}

/// Lays out the row: after each element that stays, what comes to be behind it, and then what moves away from there.
fn slots(fates: &[Fate], stays: &[bool]) -> Slots {
    let mut taken = Vec::with_capacity(fates.len() + stays.len());
    let (mut of_new, mut of_old) = (Vec::with_capacity(stays.len()), Vec::with_capacity(fates.len()));
    let mut slot = |is_taken: bool| {
        taken.push(is_taken);
        taken.len() - 1
    };
    let mut left = fates.iter();
    let mut leave = |slot: &mut dyn FnMut(bool) -> usize| {
        for fate in left.by_ref() {
            match fate {
                Fate::Stays => break,
                Fate::Moves => of_old.push(slot(true)),
                Fate::Goes => of_old.push(0),
            }
        }
        of_old.push(0);
    };
    for stays in stays {
        if *stays {
            leave(&mut slot);
        }
        of_new.push(slot(*stays));
    }
    leave(&mut slot);
    Slots { of_new, of_old, occupied: Occupied::new(&taken) }
}

/// Which slots are taken: a Fenwick tree, which counts those before a slot in O(log n).
struct Occupied {
    sums: Vec<usize>,
}

impl Occupied {
    fn new(taken: &[bool]) -> Self {
        let mut occupied = Self { sums: vec![0; taken.len() + 1] };
        for (slot, _) in taken.iter().enumerate().filter(|(_, taken)| **taken) {
            occupied.update(slot, |sum| sum + 1);
        }
        occupied
    }

    /// Empties a slot. How many taken ones are before it.
    fn leave(&mut self, slot: usize) -> usize {
        self.update(slot, |sum| sum.saturating_sub(1));
        self.before(slot)
    }

    /// Takes a slot. How many taken ones are before it.
    fn enter(&mut self, slot: usize) -> usize {
        self.update(slot, |sum| sum + 1);
        self.before(slot)
    }

    fn update(&mut self, slot: usize, change: impl Fn(usize) -> usize) {
        let mut index = slot + 1;
        while let Some(sum) = self.sums.get_mut(index) {
            *sum = change(*sum);
            index += index & index.wrapping_neg();
        }
    }

    fn before(&self, slot: usize) -> usize {
        let (mut index, mut before) = (slot, 0);
        while index > 0 {
            before += self.sums.get(index).copied().unwrap_or(0);
            index &= index - 1;
        }
        before
    }
}

/// Marks the elements of a longest sequence, not necessarily contiguous, whose numbers rise. The numbers are distinct.
fn longest_rise(numbers: &[Option<usize>]) -> Vec<bool> {
    // Of the sequences of each length the one with the smallest last number: that number and its place.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    let mut before = vec![None; numbers.len()];
    for (place, number) in numbers.iter().enumerate() {
        let Some(number) = *number else { continue };
        let length = ends.partition_point(|(end, _)| *end < number);
        let previous = length.checked_sub(1).and_then(|shorter| ends.get(shorter)).map(|(_, place)| *place);
        if let Some(before) = before.get_mut(place) {
            *before = previous;
        }
        match ends.get_mut(length) {
            Some(end) => *end = (number, place),
            None => ends.push((number, place)),
        }
    }
    let mut rises = vec![false; numbers.len()];
    let mut next = ends.last().map(|(_, place)| *place);
    while let Some(place) = next {
        if let Some(rises) = rises.get_mut(place) {
            *rises = true;
        }
        next = before.get(place).copied().flatten();
    }
    rises
}

//! Places for what lasts: streams, uploads, results that are sent line by line.
//!
//! Rule: who holds as many places as are free gets no more. So nobody takes more than half of what is there, and whoever
//! comes next finds one, as long as not very many come.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use weir_sandbox::pool::Share;

/// A number of places for which callers compete.
#[derive(Clone)]
pub struct Places {
    shared: Arc<Shared>,
}

struct Shared {
    max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    count: usize,
    /// Who holds some, and how many.
    by_share: HashMap<Share, usize>,
}

/// One of them, until it is dropped.
#[must_use = "a place is given back when it is dropped"]
pub struct Place {
    places: Places,
    share: Share,
}

impl Places {
    /// So many places.
    pub fn new(max: usize) -> Self {
        Self { shared: Arc::new(Shared { max, taken: Mutex::default() }) }
    }

    /// A place for one more, if there is one for this caller.
    pub(crate) fn take(&self, share: Share) -> Option<Place> {
        let mut taken = self.shared.taken.lock();
        let free = self.shared.max.saturating_sub(taken.count);
        if taken.by_share.get(&share).copied().unwrap_or_default() >= free {
            return None;
        }
        *taken.by_share.entry(share).or_default() += 1;
        taken.count += 1;
        drop(taken);
        Some(Place { places: self.clone(), share })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.shared.taken.lock();
        taken.count = taken.count.saturating_sub(1);
        if let Some(held) = taken.by_share.get_mut(&self.share) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                taken.by_share.remove(&self.share);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(places: &Places, caller: u64) -> Vec<Place> {
        std::iter::from_fn(|| places.take(Share { tenant: 0, caller })).collect()
    }

    #[test]
    fn one_caller_takes_half_and_others_half_of_the_rest() {
        let places = Places::new(32);
        let first = take_all(&places, 1);
        let second = take_all(&places, 2);
        let third = take_all(&places, 3);
        assert_eq!((first.len(), second.len(), third.len()), (16, 8, 4));
        drop(first);
        assert_eq!(take_all(&places, 2).len(), 6);
        drop((second, third));
        let all: Vec<_> = (1..=40).filter_map(|caller| places.take(Share { tenant: 0, caller })).collect();
        assert_eq!(all.len(), 32);
        drop(all);
        assert!(places.shared.taken.lock().by_share.is_empty());
        assert_eq!(take_all(&Places::new(1), 1).len(), 1);
        assert_eq!(take_all(&Places::new(0), 1).len(), 0);
    }
}

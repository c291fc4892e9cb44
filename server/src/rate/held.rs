//! How many somebody holds of what lasts: connections, sockets, subscriptions.
//!
//! It is as large as what is held, which has a bound of its own for all together.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// What is held of one kind, by key.
#[derive(Debug, Clone)]
pub struct Held {
    most: u32,
    by_key: Arc<Mutex<HashMap<u64, u32>>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Hold {
    by_key: Arc<Mutex<HashMap<u64, u32>>>,
    key: u64,
}

impl Held {
    /// So many for each key.
    pub fn new(most: u32) -> Self {
        Self { most, by_key: Arc::default() }
    }

    /// One more of a key, unless it has as many as it may.
    pub fn take(&self, key: u64) -> Option<Hold> {
        let mut by_key = self.by_key.lock();
        let held = by_key.get(&key).copied().unwrap_or(0);
        if held >= self.most {
            return None;
        }
        by_key.insert(key, held + 1);
        Some(Hold { by_key: self.by_key.clone(), key })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut by_key = self.by_key.lock();
        match by_key.get_mut(&self.key) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                by_key.remove(&self.key);
            }
        }
        // After a flood there is no need for its room.
        if by_key.len() * 4 < by_key.capacity() && by_key.capacity() > SPARE_MAX {
            by_key.shrink_to_fit();
        }
    }
}

/// Room that is kept for keys that are not there.
const SPARE_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_holds_so_many_and_gives_them_back() {
        let held = Held::new(2);
        let (first, second) = (held.take(1), held.take(1));
        assert!(first.is_some() && second.is_some() && held.take(1).is_none());
        let other = held.take(2);
        assert!(other.is_some());
        drop(first);
        assert!(held.take(1).is_some());
        drop((second, other));
        assert!(held.by_key.lock().is_empty());
        let flood: Vec<_> = (0..100_000).map(|key| held.take(key)).collect();
        assert!(flood.iter().all(Option::is_some));
        drop(flood);
        let capacity = held.by_key.lock().capacity();
        assert!(capacity <= 4 * SPARE_MAX, "{capacity}");
    }
}

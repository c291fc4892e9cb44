//! What recent commits touched, to validate read sets against. Bounded: what is older than the window is refused.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use weir_schema::codec::key::Key;

use crate::notice::Notice;
use crate::options::Options;
use crate::read_set::ReadSet;

/// The last commits in order.
#[derive(Debug)]
pub(crate) struct Window {
    recent: VecDeque<Arc<Notice>>,
    /// The last commit in the window that touched a key, by the key's hash. Two keys with one hash can only make a
    /// transaction run again, and the seed is nobody's to know.
    last: HashMap<u64, u64>,
    seed: RandomState,
    /// Touched keys in `recent`.
    keys: usize,
    /// The last commit that is no longer in the window.
    floor: u64,
    commits_max: usize,
    keys_max: usize,
}

impl Window {
    /// An empty window after the commit `floor`.
    pub(crate) fn new(floor: u64, options: &Options) -> Self {
        Self {
            recent: VecDeque::new(),
            last: HashMap::new(),
            seed: RandomState::new(),
            keys: 0,
            floor,
            commits_max: options.conflict_window_commits_max,
            keys_max: options.conflict_window_keys_max,
        }
    }

    /// Whether nothing of the set has changed after the commit `since`. What cannot be told counts as changed.
    pub(crate) fn is_current(&self, since: u64, read_set: &ReadSet) -> bool {
        if since < self.floor {
            return read_set.is_empty();
        }
        if read_set
            .points()
            .any(|point| self.last.get(&self.seed.hash_one(point)).is_some_and(|sequence| *sequence > since))
        {
            return false;
        }
        let newer = self.recent.iter().rev().take_while(|notice| notice.sequence > since);
        !read_set.has_intervals() || !newer.into_iter().any(|notice| read_set.touches_intervals(&notice.touched))
    }

    /// Whether no commit after `since` touched the key. What cannot be told counts as touched.
    pub(crate) fn is_untouched(&self, since: u64, key: &Key) -> bool {
        since >= self.floor && self.last.get(&self.seed.hash_one(key)).is_none_or(|sequence| *sequence <= since)
    }

    /// Adds the newest commit; the oldest make room.
    pub(crate) fn push(&mut self, notice: Arc<Notice>) {
        for key in &notice.touched {
            self.last.insert(self.seed.hash_one(key), notice.sequence);
        }
        self.keys += notice.touched.len();
        self.recent.push_back(notice);
        while self.recent.len() > self.commits_max || self.keys > self.keys_max {
            self.forget_oldest();
        }
    }

    /// Forgets everything: only transactions that begin after the commit `floor` can be validated.
    pub(crate) fn reset(&mut self, floor: u64) {
        self.recent.clear();
        self.last.clear();
        self.keys = 0;
        self.floor = floor;
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.recent.pop_front() else { return };
        self.floor = oldest.sequence;
        self.keys -= oldest.touched.len();
        for key in &oldest.touched {
            let hash = self.seed.hash_one(key);
            if self.last.get(&hash) == Some(&oldest.sequence) {
                self.last.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_set::Interval;
    use weir_schema::codec::journal::Head;

    fn window(commits: &[(u64, &[&str])], commits_max: usize) -> Window {
        let options = Options { conflict_window_commits_max: commits_max, ..Options::default() };
        let mut window = Window::new(0, &options);
        for (sequence, keys) in commits {
            let head = Head { sequence: *sequence, ..Head::default() };
            let touched = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
            window.push(Arc::new(Notice::new(head, touched)));
        }
        window
    }

    fn point(key: &str) -> ReadSet {
        let mut set = ReadSet::default();
        set.add_point(key.as_bytes().to_vec());
        set
    }

    #[test]
    fn only_what_came_after_the_snapshot_counts() {
        let window = window(&[(1, &["a"]), (2, &["b"]), (3, &["a", "c"])], 10);
        let table = [("a", 2, false), ("a", 3, true), ("b", 1, false), ("b", 2, true), ("z", 0, true)];
        for (key, since, current) in table {
            assert_eq!(window.is_current(since, &point(key)), current, "{key} since {since}");
            let mut interval = ReadSet::default();
            interval.add_interval(Interval::point(key.as_bytes().to_vec()));
            assert_eq!(window.is_current(since, &interval), current, "[{key}] since {since}");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_refused() {
        let window = window(&[(1, &["a"]), (2, &["b"]), (3, &["c"])], 2);
        assert!(!window.is_current(0, &point("z")));
        assert!(window.is_current(1, &point("z")));
        assert!(window.is_current(1, &point("a")));
        assert_eq!((window.last.len(), window.keys), (2, 2));
    }
}

//! Which questions were asked lately, of those that found no room: a table of tags, in which the later overwrites the
//! earlier (the doorkeeper of TinyLFU, Einziger, Friedman and Manes 2017, which ages by being overwritten).
//!
//! Rule: what is asked once and never again, arguments that no two calls share, costs those results nothing that are asked for
//! time and again.

use std::hash::{BuildHasher, Hash, RandomState};
use std::mem;

/// Tags in the table. So many questions ago one is still known, roughly.
const TAGS: usize = 1 << 18;

/// The questions of late.
#[derive(Debug, Default)]
pub(super) struct Asked {
    hasher: RandomState,
    /// None before the first question.
    tags: Vec<u32>,
}

impl Asked {
    /// Whether the question is known; from now on it is. One in some billions that is not known is taken for one that is.
    pub(super) fn before(&mut self, question: &impl Hash) -> bool {
        /// Of a place that has none.
        const NONE: u32 = 0;
        if self.tags.is_empty() {
            self.tags = vec![NONE; TAGS];
        }
        let hash = self.hasher.hash_one(question);
        let [high, low] = [hash >> 32, hash & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or_default());
        let tag = high.max(NONE + 1);
        let place = low as usize % TAGS;
        self.tags.get_mut(place).is_some_and(|known| mem::replace(known, tag) == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_known_until_many_others_were_asked() {
        let mut asked = Asked::default();
        assert!(!asked.before(&"a"));
        assert!(asked.before(&"a"));
        assert!((0..1_000).filter(|question| asked.before(question)).count() <= 1);
        assert!((0..1_000).filter(|question| asked.before(question)).count() > 950);
        let others = 8 * TAGS as u64;
        (0..others).for_each(|question| {
            asked.before(&("other", question));
        });
        assert!((0..1_000).filter(|question| asked.before(question)).count() < 20);
    }
}

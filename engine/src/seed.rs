//! What makes a run repeatable: its time, its randomness, the ids it hands out.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_schema::id::DocumentId;

/// Drawn once per call and kept for all its runs, so that a run after a conflict does as the first one did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// The time that the script sees, in milliseconds since 1970.
    pub now_ms: u64,
    /// What `Math.random` starts from.
    pub script: [u32; 4],
    /// What ids start from.
    ids: u128,
    /// Tells the call's lines in the log from those of others.
    pub call: CallId,
}

/// Names a call, all of its runs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallId(u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Seed {
    /// Draws a seed from the clock and the operating system's randomness.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut random = [0; 40];
        getrandom::fill(&mut random)?;
        let (script, rest) = random.split_at(16);
        let (ids, call) = rest.split_at(16);
        let mut words = script.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_ne_bytes);
        let script = std::array::from_fn(|_| words.next().unwrap_or_default());
        let ids = ids.try_into().map(u128::from_ne_bytes).unwrap_or_default();
        let call = CallId(call.try_into().map(u64::from_ne_bytes).unwrap_or_default());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX), script, ids, call })
    }

    /// The same at another time.
    pub fn at(self, now_ms: u64) -> Self {
        Self { now_ms, ..self }
    }

    /// The ids of new documents, in order: a later one sorts after an earlier one.
    pub fn ids(&self) -> Ids {
        // The topmost of the 80 bits stays clear, so that counting on never wraps around.
        Ids { now_ms: self.now_ms, next: self.ids & ((1 << 79) - 1) }
    }
}

/// Hands out the ids of one call's documents and jobs.
#[derive(Debug, Clone)]
pub struct Ids {
    now_ms: u64,
    next: u128,
}

impl Ids {
    /// The time of the call, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The next id.
    pub fn next(&mut self) -> DocumentId {
        let id = DocumentId::generate(self.now_ms, self.next);
        self.next += 1;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_hands_out_the_same_rising_ids_each_time() {
        let seed = Seed::draw().unwrap();
        let three = |mut ids: Ids| [ids.next(), ids.next(), ids.next()];
        let first = three(seed.ids());
        assert_eq!(first, three(seed.ids()));
        assert!(first.is_sorted());
        assert_ne!(first, three(Seed::draw().unwrap().ids()));
    }
}

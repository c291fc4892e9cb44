//! Repeatable random numbers (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).

/// Random numbers from a seed.
pub struct Random(u64);

impl Random {
    /// Those of one seed, apart for every list of parts.
    pub fn of(seed: u64, parts: &[u64]) -> Self {
        parts.iter().fold(Self(seed), |mut random, part| Self(random.next() ^ part))
    }

    /// One from 0 to below the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

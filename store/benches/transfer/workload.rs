//! The transfers: which two accounts, and how much. Drawn as pgbench draws them, so that both sides do the same.

/// Accounts have the numbers from 1 to this.
pub const ACCOUNTS: u64 = 100_000;
/// What every account holds at first.
pub const BALANCE: i64 = 1_000;
/// The most that one transfer moves.
pub const AMOUNT_MAX: u64 = 100;
/// The exponent of the skewed workload: the first account is drawn 38 times in a hundred.
pub const ZIPF_EXPONENT: f64 = 1.5;

/// How accounts are drawn.
pub enum Draw {
    /// Each as often as any other.
    Uniform,
    /// The n-th with a weight of n^-[`ZIPF_EXPONENT`]; these are the sums of the weights so far.
    Zipf(Vec<f64>),
}

/// One transfer between two different accounts.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    pub source: u64,
    pub target: u64,
    pub amount: i64,
}

impl Draw {
    pub fn zipf() -> Self {
        let weights = (1..=ACCOUNTS).map(|rank| (rank as f64).powf(-ZIPF_EXPONENT));
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self::Zipf(sums.collect())
    }

    /// The transfer of this number, the same each time. An account drawn twice pays its neighbour.
    pub fn transfer(&self, number: u64) -> Transfer {
        let mut random = Random(number.wrapping_mul(0xd134_2543_de82_ef95));
        let source = self.account(&mut random);
        let drawn = self.account(&mut random);
        let target = if drawn == source { source % ACCOUNTS + 1 } else { drawn };
        let amount = 1 + (random.fraction() * AMOUNT_MAX as f64) as i64;
        Transfer { source, target, amount }
    }

    fn account(&self, random: &mut Random) -> u64 {
        let fraction = random.fraction();
        match self {
            Self::Uniform => 1 + (fraction * ACCOUNTS as f64) as u64,
            Self::Zipf(sums) => {
                let all = sums.last().copied().unwrap_or_default();
                1 + sums.partition_point(|sum| *sum <= fraction * all) as u64
            }
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood: Fast splittable pseudorandom number generators, 2014).
struct Random(u64);

impl Random {
    /// At least 0 and less than 1.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

//! The exact sum of doubles: a fixed-point number wide enough for all of them, of which only the words in use are kept.
//!
//! Every double is a whole multiple of the least one, 2^-1074, so that sums are sums of integers. What was added can be taken
//! away again and nothing of it is left, in whatever order that happens. (Kulisch's accumulator, after "Computer Arithmetic and
//! Validity", 2008; there it has all its words all the time.)

use std::iter;

/// Bits of a double that are its fraction. Its significand has one more.
const FRACTION_BITS: u32 = 52;
/// The exponent field of infinity.
const EXPONENT_MAX: u64 = 0x7ff;
const WORD_BITS: usize = 64;

/// A sum. Doubles of the same magnitude take two or three words; the most is 2,098 bits and those for the carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Exact {
    /// The words of the two's complement, lowest first, in units of 2^-1074. Those above are the sign, those below are 0; there
    /// are no more here than needed, and none for 0.
    words: Vec<u64>,
    /// Which word is the first.
    low: usize,
}

impl Exact {
    /// What the words of a sum usually take, in bytes.
    pub(super) const HEAP_BYTES: usize = 4 * size_of::<u64>();

    /// Adds a finite number.
    pub(super) fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let fraction = bits & ((1 << FRACTION_BITS) - 1);
        let (significand, shift) = match (bits >> FRACTION_BITS) & EXPONENT_MAX {
            0 => (fraction, 0),
            exponent => (fraction | 1 << FRACTION_BITS, exponent as usize - 1),
        };
        if significand == 0 {
            return;
        }
        let (at, shift) = (shift / WORD_BITS, shift % WORD_BITS);
        let magnitude = i128::from(significand) << shift;
        let addend = if value.is_sign_negative() { -magnitude } else { magnitude };
        self.widen(at);
        let above = iter::repeat((addend >> 127) as u64);
        let addends = [addend as u64, (addend >> WORD_BITS) as u64].into_iter().chain(above);
        let mut carry = false;
        for (word, addend) in self.words.iter_mut().skip(at - self.low).zip(addends) {
            (*word, carry) = word.carrying_add(addend, carry);
        }
        self.narrow();
    }

    /// Takes away a finite number.
    pub(super) fn subtract(&mut self, value: f64) {
        self.add(-value);
    }

    /// The nearest double; of two that are equally near, the even one. Infinity if it is beyond the greatest.
    pub(super) fn round(&self) -> f64 {
        let is_negative = self.sign() != 0;
        let magnitude = self.magnitude();
        let Some(top) = magnitude.iter().rposition(|word| *word != 0) else { return 0.0 };
        let word = |at: usize| at.checked_sub(self.low).and_then(|at| magnitude.get(at)).copied().unwrap_or(0);
        let top = self.low + top;
        let bits = (top + 1) * WORD_BITS - word(top).leading_zeros() as usize;
        // What has as few bits as a significand is a double: its bits are that of the integer.
        let Some(shift) = bits.checked_sub(FRACTION_BITS as usize + 1).filter(|shift| *shift > 0) else {
            return signed(word(0), is_negative);
        };
        let (at, offset) = (shift / WORD_BITS, shift % WORD_BITS);
        let significand = ((u128::from(word(at + 1)) << WORD_BITS | u128::from(word(at))) >> offset) as u64;
        let (at, offset) = ((shift - 1) / WORD_BITS, (shift - 1) % WORD_BITS);
        let is_half = word(at) >> offset & 1 == 1;
        let is_more = word(at) & ((1 << offset) - 1) != 0 || (self.low..at).any(|at| word(at) != 0);
        let up = is_half && (is_more || significand & 1 == 1);
        // The first bit of the significand counts one more in the exponent, and so does a carry out of it.
        let exponent = (shift as u64).min(EXPONENT_MAX - 1) << FRACTION_BITS;
        signed((exponent + significand + u64::from(up)).min(EXPONENT_MAX << FRACTION_BITS), is_negative)
    }

    /// The word that all those above are.
    fn sign(&self) -> u64 {
        self.words.last().map_or(0, |word| (word.cast_signed() >> (WORD_BITS - 1)).cast_unsigned())
    }

    /// The words without the sign.
    fn magnitude(&self) -> Vec<u64> {
        let sign = self.sign();
        let mut carry = sign != 0;
        let words = self.words.iter().map(|word| {
            let negated;
            (negated, carry) = (word ^ sign).carrying_add(0, carry);
            negated
        });
        words.collect()
    }

    /// Makes room for a sum with two words from `at` on.
    fn widen(&mut self, at: usize) {
        if self.words.is_empty() {
            self.low = at;
        }
        if at < self.low {
            self.words.splice(..0, iter::repeat_n(0, self.low - at));
            self.low = at;
        }
        // One more than either has.
        let len = (self.words.len() + 1).max(at - self.low + 3);
        self.words.resize(len, self.sign());
    }

    /// Drops the words that say nothing.
    fn narrow(&mut self) {
        while let Some(last) = self.words.pop() {
            if self.sign() != last {
                self.words.push(last);
                break;
            }
        }
        let zeros = self.words.iter().take_while(|word| **word == 0).count();
        self.words.drain(..zeros);
        self.low = if self.words.is_empty() { 0 } else { self.low + zeros };
    }
}

fn signed(bits: u64, is_negative: bool) -> f64 {
    f64::from_bits(bits | u64::from(is_negative) << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut exact = Exact::default();
        for value in values {
            exact.add(*value);
        }
        exact.round()
    }

    #[test]
    fn sums_are_rounded_once() {
        let (half, least) = (f64::EPSILON / 2.0, 5e-324);
        // Half a step above the greatest, whose last bit is odd.
        let half_beyond = 2_f64.powi(970);
        let cases: [(&[f64], f64); 22] = [
            (&[], 0.0),
            (&[0.0, -0.0], 0.0),
            (&[0.1, 0.2], 0.3_f64.next_up()),
            (&[0.1; 10], 1.0),
            (&[1.0, half], 1.0),
            (&[1.0, half, least], 1.0_f64.next_up()),
            (&[1.0, half, -least], 1.0),
            (&[1.0_f64.next_up(), half], 1.0_f64.next_up().next_up()),
            (&[-1.0, -half, -least], -1.0_f64.next_up()),
            (&[1e308, -1e308, least], least),
            (&[1e308, 1e308, -1e308], 1e308),
            (&[1e308, 1e308], f64::INFINITY),
            (&[-1e308, -1e308], f64::NEG_INFINITY),
            (&[f64::MAX, f64::MAX], f64::INFINITY),
            (&[f64::MAX, 9e291], f64::MAX),
            (&[f64::MAX, half_beyond], f64::INFINITY),
            (&[f64::MAX, half_beyond, -least], f64::MAX),
            (&[f64::MIN_POSITIVE, -least], f64::MIN_POSITIVE - least),
            (&[f64::MIN_POSITIVE, f64::MIN_POSITIVE, -least], f64::MIN_POSITIVE * 2.0 - least),
            (&[9_007_199_254_740_992.0, 1.0], 9_007_199_254_740_992.0),
            (&[9_007_199_254_740_992.0, 1.0, 1.0], 9_007_199_254_740_994.0),
            (&[1e16, 1.0, -1e16], 1.0),
        ];
        for (values, expected) in cases {
            assert_eq!(sum(values).to_bits(), expected.to_bits(), "{values:?}: {} for {expected}", sum(values));
        }
    }

    #[test]
    fn each_double_is_its_own_sum() {
        for exponent in 0..EXPONENT_MAX {
            for fraction in [0, 1, 0x5_5555_5555_5555, (1 << FRACTION_BITS) - 1] {
                let value = f64::from_bits(exponent << FRACTION_BITS | fraction);
                assert_eq!(sum(&[value]), value);
                assert_eq!(sum(&[-value]), -value);
                assert_eq!(sum(&[value, -1.5, 1.5]), value);
            }
        }
    }

    #[test]
    fn nothing_is_left_of_what_was_taken_away() {
        let values = [0.1, -1e300, 5e-324, 3.0, -7.25, 1e-300, f64::MAX, f64::MAX, -f64::MIN_POSITIVE];
        let mut exact = Exact::default();
        exact.add(0.5);
        let before = exact.clone();
        for value in values {
            exact.add(value);
        }
        for value in values {
            exact.subtract(value);
        }
        assert_eq!(exact, before);
        exact.subtract(0.5);
        assert_eq!(exact, Exact::default());
    }
}

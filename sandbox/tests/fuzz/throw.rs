//! Throws a corpus at a target, and then so many mutations of it, the same each time. Used by all crates that have targets.

use std::fs;
use std::path::Path;

/// Mutations of each corpus.
const ROUNDS: usize = 20_000;

/// A generator that needs no crate: xorshift64* (Vigna, 2016).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }

    /// A few changes of one case, at times with a piece of another.
    fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(7) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                2 => bytes.truncate(at),
                3 => {
                    let piece = bytes[at..].to_vec();
                    let times = self.below(50);
                    (0..times).for_each(|_| bytes.extend_from_slice(&piece));
                }
                4 => bytes.insert(at, [b'[', b'{', b'"', b'\\', b'-', b'9', 0xc3][self.below(7)]),
                5 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
            bytes.truncate(100_000);
        }
        bytes
    }
}

/// Throws the files of a folder and the seeds, as they are and changed. A target fails by a panic.
pub fn throw(folder: &Path, seeds: Vec<Vec<u8>>, target: fn(&[u8])) {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut corpus = seeds;
    corpus.extend(files.iter().map(|file| fs::read(file).unwrap()));
    corpus.iter().for_each(|bytes| target(bytes));
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        target(&chance.mutate(&corpus));
    }
}

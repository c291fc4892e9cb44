//! A read set as bytes, to be kept with what was computed from it.
//!
//! The number of points, the points, then the starts and ends of the intervals to the end. Each key has its length before it;
//! numbers have 32 bits, big endian.

use super::{Interval, ReadSet};
use weir_schema::codec::key::Key;

impl ReadSet {
    /// The set as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, self.points.len());
        let intervals = self.intervals.iter().flat_map(|(start, end)| [start, end]);
        for key in self.points.iter().chain(intervals) {
            put_number(&mut bytes, key.len());
            bytes.extend_from_slice(key);
        }
        bytes
    }

    /// The set that these bytes are of; `None` if they are of none.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut set = Self::default();
        for _ in 0..take_number(&mut bytes)? {
            set.points.insert(take_key(&mut bytes)?);
        }
        while !bytes.is_empty() {
            let interval = Interval { start: take_key(&mut bytes)?, end: take_key(&mut bytes)? };
            set.add_interval(interval);
        }
        Some(set)
    }
}

fn put_number(bytes: &mut Vec<u8>, number: usize) {
    // Keys are short, and a set has few of them.
    bytes.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    usize::try_from(u32::from_be_bytes(*number)).ok()
}

fn take_key(bytes: &mut &[u8]) -> Option<Key> {
    let length = take_number(bytes)?;
    let (key, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(key.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_is_read_as_it_was_written_and_parts_of_it_are_none(
            points in proptest::collection::btree_set(proptest::collection::vec(any::<u8>(), 0..4), 0..6),
            intervals in proptest::collection::vec((any::<u8>(), any::<u8>()), 0..4),
            cut in 1..4usize,
        ) {
            let mut set = ReadSet::default();
            intervals.into_iter().for_each(|(start, end)| set.add_interval(Interval { start: vec![start], end: vec![end] }));
            points.into_iter().for_each(|point| set.add_point(point));
            let bytes = set.encode();
            prop_assert_eq!(ReadSet::decode(&bytes), Some(set));
            prop_assert_eq!(ReadSet::decode(&bytes[..bytes.len() - cut]), None);
        }
    }
}

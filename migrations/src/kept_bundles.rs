//! Format 3 to 4: each release has its bundle, by its sequence. From this format on bundles are sealed, which those that were there
//! before become when the server starts; see `docs/storage.md`.
//!
//! The one bundle of before lies under `Pb` and is that of the newest release. Releases lie under `Pr` and their sequence, 8 bytes, big
//! endian; bundles from now on under `Pb` and the sequence.

use std::io;

use crate::migrate::Records;

const BUNDLE: &[u8] = b"Pb";
const AFTER_BUNDLE: &[u8] = b"Pb\0";
const RELEASES: &[u8] = b"Pr";
const AFTER_RELEASES: &[u8] = b"Ps";
/// More than there can be.
const RELEASES_MAX: usize = 10_000;

/// Runs the step. It can be run again: where it has been, nothing lies under the old key.
pub(crate) fn run(records: &mut dyn Records) -> io::Result<()> {
    let Some((old, bundle)) = records.read(BUNDLE, AFTER_BUNDLE, 1)?.pop() else { return Ok(()) };
    let newest = records.read(RELEASES, AFTER_RELEASES, RELEASES_MAX)?.pop();
    // Without a release nobody asked for the bundle.
    let moved =
        newest.map(|(key, _)| ([BUNDLE, key.strip_prefix(RELEASES).unwrap_or_default()].concat(), Some(bundle)));
    records.write(moved.into_iter().chain([(old, None)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn release(sequence: u64) -> Vec<u8> {
        [RELEASES, &sequence.to_be_bytes()].concat()
    }

    #[test]
    fn the_bundle_goes_to_the_newest_release() -> io::Result<()> {
        let mut records = Memory::default();
        run(&mut records)?;
        records.write(vec![
            (release(9), Some(b"{}".to_vec())),
            (release(300), Some(b"{}".to_vec())),
            (b"Pb".to_vec(), Some(b"weir bundle 1\n".to_vec())),
            (b"Pa".to_vec(), Some(b"other".to_vec())),
        ])?;
        run(&mut records)?;
        run(&mut records)?;
        let moved = [b"Pb".as_slice(), &300_u64.to_be_bytes()].concat();
        assert_eq!(records.read(b"Pb", b"Pc", 10)?, [(moved, b"weir bundle 1\n".to_vec())]);
        assert_eq!(records.read(b"P", b"Q", 10)?.len(), 4);
        Ok(())
    }

    #[test]
    fn a_bundle_without_a_release_goes() -> io::Result<()> {
        let mut records = Memory::default();
        records.write(vec![(b"Pb".to_vec(), Some(b"weir bundle 1\n".to_vec()))])?;
        run(&mut records)?;
        assert_eq!(records.read(b"P", b"Q", 10)?, []);
        Ok(())
    }
}

//! The keys that a data folder is encrypted with. Parsed once, from text; never shown, wiped when dropped.
//!
//! The text has one key a line, `ID HEX`: a number of one's own and 64 hex digits. `#` begins a comment. Where lines
//! are hard to come by, as in a variable of the environment, a comma ends a key as well. The key with the highest number
//! is the active one, which new files are written with, wherever it stands; the others are there to read older files.

mod file;
pub mod sealed;

use std::fmt;
use std::io;
use std::sync::Arc;

use zeroize::Zeroizing;

pub use file::KEY_FILE_BYTES_MAX;

/// The variable of the environment that can hold keys instead of a file.
pub const KEYS_VARIABLE: &str = "WEIR_ENCRYPTION_KEYS";

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// The number of a key. It is written, readable, into every file that is encrypted with the key.
pub type KeyId = u32;

/// The bytes of a key, in memory that is wiped once it is no longer used.
pub(crate) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// At least one key, each with a number of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRing {
    /// By number.
    keys: Arc<[Key]>,
}

#[derive(PartialEq, Eq)]
struct Key {
    id: KeyId,
    /// Boxed, so that moving the key leaves no copy behind.
    bytes: Box<KeyBytes>,
}

/// Why keys are refused. No message repeats anything of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Nothing but blanks and comments.
    #[error("holds no key: `weir encryption generate` makes one")]
    Empty,
    /// Not `ID HEX`.
    #[error("line {line} is no key: write its number (1 or more), a blank and 64 hex digits")]
    Malformed {
        /// From 1.
        line: usize,
    },
    /// A number stands for two keys.
    #[error("has two keys with the number {0}: give each a number of its own, and leave those in use as they are")]
    Repeated(KeyId),
    /// Two numbers stand for one key: to change the number changes nothing.
    #[error("has the same key under the numbers {0} and {1}: make a new one with `weir encryption generate`")]
    Same(KeyId, KeyId),
    /// No number is left for a new key.
    #[error("has a key with the highest number that there is, so none can be added")]
    NoNumberLeft,
    /// Bytes that are not text.
    #[error("is not text: it has one key a line, a number, a blank and 64 hex digits")]
    NotText,
    /// A folder, a pipe, a device.
    #[error("is not a file")]
    NotAFile,
    /// Not a file of keys.
    #[error("is larger than {KEY_FILE_BYTES_MAX} bytes, so it is no file of keys")]
    TooLarge,
    /// Others than its owner can reach it.
    #[error("is open to others (mode {mode:03o}): restrict it with chmod 600")]
    Open {
        /// Its permissions.
        mode: u32,
    },
    /// Who has the folder would have the keys.
    #[error("lies in the data folder: keep keys apart from the data that they protect")]
    BesideTheData,
    /// The operating system does not let it be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// The operating system gives no randomness.
    #[error("no key can be made, the system has no randomness: {0}")]
    NoRandomness(String),
}

impl KeyRing {
    /// Parses keys. The text is the caller's to wipe.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split_once('#').map_or(line, |(before, _)| before);
            for key in line.split(',').map(str::trim).filter(|key| !key.is_empty()) {
                keys.push(parse_key(key).ok_or(KeysError::Malformed { line: number + 1 })?);
            }
        }
        keys.sort_by_key(|key| key.id);
        for (position, key) in keys.iter().enumerate() {
            for later in keys.iter().skip(position + 1) {
                if later.id == key.id {
                    return Err(KeysError::Repeated(key.id));
                }
                if later.bytes == key.bytes {
                    return Err(KeysError::Same(key.id, later.id));
                }
            }
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(Self { keys: keys.into() }) }
    }

    /// Makes a new key, as the line to add to these, so that it becomes the active one. Without keys it is the first.
    pub fn generate(before: Option<&Self>) -> Result<Zeroizing<String>, KeysError> {
        let id = before.map_or(0, Self::active).checked_add(1).ok_or(KeysError::NoNumberLeft)?;
        let mut bytes = KeyBytes::default();
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| KeysError::NoRandomness(error.to_string()))?;
        // Large enough from the start: a string that grows leaves copies behind.
        let mut line = Zeroizing::new(String::with_capacity(16 + 2 * KEY_BYTES));
        line.push_str(&id.to_string());
        line.push(' ');
        for byte in bytes.iter() {
            line.extend([byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)));
        }
        Ok(line)
    }

    /// The key that new files are written with.
    pub fn active(&self) -> KeyId {
        self.keys.last().map_or(0, |key| key.id)
    }

    /// The numbers of all keys, ascending.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|key| key.id)
    }

    /// Whether it has the key.
    pub fn has(&self, id: KeyId) -> bool {
        self.bytes(id).is_some()
    }

    pub(crate) fn bytes(&self, id: KeyId) -> Option<&KeyBytes> {
        self.keys.iter().find(|key| key.id == id).map(|key| &*key.bytes)
    }
}

/// The numbers of its keys.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.ids().collect::<Vec<_>>()).finish()
    }
}

/// Keys in a sentence: `encryption key 3`, or `encryption keys 3, 4`.
pub(crate) struct Numbered<'a>(pub(crate) &'a [KeyId]);

impl fmt::Display for Numbered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "encryption {} {}", if ids.len() == 1 { "key" } else { "keys" }, ids.join(", "))
    }
}

fn parse_key(text: &str) -> Option<Key> {
    let (id, digits) = text.split_once(char::is_whitespace)?;
    let (id, digits) = (id.parse().ok().filter(|id| *id > 0)?, digits.trim().as_bytes());
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut bytes = Box::new(KeyBytes::default());
    for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in digits {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = (*byte << 4) | u8::try_from(digit).ok()?;
        }
    }
    Some(Key { id, bytes })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const A: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const B: &str = "FFfefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0";

    #[test]
    fn keys_are_read_in_any_order_and_the_highest_number_is_active() {
        for text in
            [format!("# ours\n\n  7\t{B}   # made today\r\n2 {A}\n"), format!("7 {B}\n2 {A}"), format!(" 2 {A},7 {B},")]
        {
            let ring = KeyRing::parse(&text).unwrap();
            assert_eq!(ring.ids().collect::<Vec<_>>(), [2, 7]);
            assert_eq!(ring.active(), 7);
            assert_eq!(ring.bytes(2).unwrap().first_chunk(), Some(&[0, 1, 2]));
            assert_eq!(ring.bytes(7).unwrap().first_chunk(), Some(&[255, 254, 253]));
            assert!(ring.has(2) && !ring.has(3));
            assert_eq!(ring, KeyRing::parse(&text).unwrap());
            assert_ne!(ring, KeyRing::parse(&format!("2 {A}")).unwrap());
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused_without_showing_it() {
        let malformed = "line 2 is no key: write its number (1 or more), a blank and 64 hex digits";
        let cases = [
            (String::new(), "holds no key: `weir encryption generate` makes one"),
            ("# 1 of these days\n ,\n".to_owned(), "holds no key: `weir encryption generate` makes one"),
            (format!("\n{A}"), malformed),
            (format!("1 {B}\nx {A}"), malformed),
            (format!("\n0 {A}"), malformed),
            (format!("\n-1 {A}"), malformed),
            (format!("\n4294967296 {A}"), malformed),
            (format!("\n1 {A}0"), malformed),
            (format!("\n1 {}", A.replace('f', "g")), malformed),
            (format!("\n1 {}é", A.get(2..).unwrap()), malformed),
            (format!("\n1 {A} 2 {B}"), malformed),
            (
                format!("3 {A}\n3 {B}"),
                "has two keys with the number 3: give each a number of its own, and leave those in use as they are",
            ),
            (
                format!("3 {A}\n5 {A}"),
                "has the same key under the numbers 3 and 5: make a new one with `weir encryption generate`",
            ),
        ];
        for (text, expected) in cases {
            let error = KeyRing::parse(&text).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("0102"));
        }
    }

    #[test]
    fn debug_output_has_no_key() {
        let ring = KeyRing::parse(&format!("1 {A},2 {B}")).unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing([1, 2])");
    }

    #[test]
    fn generated_keys_differ_and_follow_on() {
        let first = KeyRing::generate(None).unwrap();
        let ring = KeyRing::parse(&first).unwrap();
        assert_eq!(ring.active(), 1);
        let second = KeyRing::generate(Some(&ring)).unwrap();
        let both = KeyRing::parse(&format!("{}\n{}", *first, *second)).unwrap();
        assert_eq!(both.active(), 2);
        let last = KeyRing::parse(&format!("{} {A}", KeyId::MAX)).unwrap();
        assert!(matches!(KeyRing::generate(Some(&last)), Err(KeysError::NoNumberLeft)));
    }
}

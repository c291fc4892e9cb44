//! The memory that the bodies of requests take together while they are read and answered.
//!
//! What text of JSON becomes once it is parsed counts as well: that of many short values is far larger than the text.
//!
//! Rule: a connection that holds as many bytes as are free gets no more. So none takes more than half of what there is,
//! and the small bodies of others are always let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::activity::Activity;
use super::connection::Written;

/// What the bodies of one connection may have whatever others hold: an ordinary request is never refused.
const ALWAYS_BYTES: u64 = 64 << 10;

/// What a parsed value takes, and the name of a member, with some of what their lists and tables keep free.
const VALUE_BYTES: usize = 96;

/// The bytes of all bodies. Clones count together.
#[derive(Debug, Clone)]
pub struct Bodies {
    bytes_max: u64,
    bytes: Arc<AtomicU64>,
}

/// The bytes of the body of one request. They are free again when this is dropped.
#[derive(Debug)]
pub struct Held {
    bytes_max: u64,
    all: Arc<AtomicU64>,
    connection: Arc<Activity>,
    bytes: u64,
}

/// Others hold too much at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no memory for the body, which it or those of other requests take: try again, or send less at a time")]
pub struct NoRoom;

impl Bodies {
    /// So many bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: Arc::default() }
    }

    /// Nothing yet of a request that comes by a connection.
    pub fn hold(&self, connection: &Written) -> Held {
        Held { bytes_max: self.bytes_max, all: self.bytes.clone(), connection: connection.0.clone(), bytes: 0 }
    }
}

impl Held {
    /// Holds so many bytes more, if they may be had.
    pub fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let bytes = bytes as u64;
        self.bytes += bytes;
        let all = self.all.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let connection = self.connection.bodies.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match connection <= ALWAYS_BYTES
            || connection <= self.bytes_max.saturating_sub(all.saturating_sub(connection)) / 2
        {
            true => Ok(()),
            // What was asked for is given back with the rest.
            false => Err(NoRoom),
        }
    }
}

impl Held {
    /// Holds what text of JSON takes once it is parsed, besides the text.
    pub fn grow_for_parsed(&mut self, json: &[u8]) -> Result<(), NoRoom> {
        // Each value and each name but the first stands behind one of these.
        let values = json.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
        self.grow(json.len().saturating_add(values.saturating_mul(VALUE_BYTES)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
        self.connection.bodies.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_connection_has_half_of_what_others_leave_and_a_little_always() {
        let bodies = Bodies::new(16 << 20);
        let (first, second, third) = (Written::default(), Written::default(), Written::default());
        let mut held = [bodies.hold(&first), bodies.hold(&first), bodies.hold(&second)];
        let [one, same, other] = &mut held;
        assert_eq!((one.grow(5 * MIB), same.grow(3 * MIB)), (Ok(()), Ok(())));
        assert_eq!((other.grow(4 * MIB), other.grow(1)), (Ok(()), Err(NoRoom)));
        let mut small = bodies.hold(&third);
        assert_eq!((small.grow(2 * MIB - 1), small.grow(1)), (Ok(()), Err(NoRoom)));
        let little = Written::default();
        let mut little = [bodies.hold(&little), bodies.hold(&little)];
        let [one, same] = &mut little;
        assert_eq!((one.grow(60 << 10), same.grow(4 << 10)), (Ok(()), Ok(())));
        drop((held, small, little));
        assert_eq!(bodies.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(bodies.hold(&first).grow(8 * MIB), Ok(()));
    }

    #[test]
    fn what_is_parsed_takes_what_its_values_take() {
        let bodies = Bodies::new(32 << 20);
        let connection = Written::default();
        let many = format!("[{}0]", "0,".repeat(100_000));
        let mut held = bodies.hold(&connection);
        assert_eq!(held.grow_for_parsed(many.as_bytes()), Ok(()));
        // At least what the values themselves are.
        let values: Vec<serde_json::Value> = serde_json::from_str(&many).unwrap_or_default();
        assert!(held.bytes >= size_of_val(&values[..]) as u64 && values.len() == 100_001, "{}", held.bytes);
        let more = format!("[{}0]", "0,".repeat(200_000));
        assert_eq!(bodies.hold(&connection).grow_for_parsed(more.as_bytes()), Err(NoRoom));
        // A long text is its length.
        let mut held = bodies.hold(&Written::default());
        assert_eq!((held.grow_for_parsed(&[b'a'; MIB]), held.bytes), (Ok(()), MIB as u64));
    }
}

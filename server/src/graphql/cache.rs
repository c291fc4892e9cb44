//! Operations kept for the next request with the same text.

use std::sync::Arc;

use quick_cache::{Equivalent, Weighter, sync::Cache};

use super::document::Operation;

/// Operations of one release that are kept, in bytes.
pub const PLAN_CACHE_BYTES: u64 = 64 << 20;

/// The operations of one schema, bounded by the bytes that they hold.
pub struct OperationCache {
    operations: Cache<Key, Arc<Operation>, OperationBytes>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    text: String,
    operation_name: Option<String>,
}

/// A [`Key`] that is only looked up. Hashes as that does.
#[derive(Hash)]
struct KeyRef<'a> {
    text: &'a str,
    operation_name: Option<&'a str>,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.text == key.text && self.operation_name == key.operation_name.as_deref()
    }
}

#[derive(Clone)]
struct OperationBytes;

impl Weighter<Key, Arc<Operation>> for OperationBytes {
    fn weight(&self, key: &Key, operation: &Arc<Operation>) -> u64 {
        operation.bytes(&key.text)
    }
}

impl OperationCache {
    /// A cache of at most so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        /// What an operation usually holds; only the first reservation depends on it.
        const OPERATION_BYTES: u64 = 16 << 10;
        let expected = usize::try_from(bytes_max / OPERATION_BYTES).unwrap_or(usize::MAX);
        Self { operations: Cache::with_weighter(expected, bytes_max, OperationBytes) }
    }

    /// The operation of this text, if it is kept.
    pub fn get(&self, text: &str, operation_name: Option<&str>) -> Option<Arc<Operation>> {
        self.operations.get(&KeyRef { text, operation_name })
    }

    /// Keeps an operation.
    pub fn insert(&self, text: &str, operation_name: Option<&str>, operation: Arc<Operation>) {
        let key = Key { text: text.to_owned(), operation_name: operation_name.map(str::to_owned) };
        self.operations.insert(key, operation);
    }
}

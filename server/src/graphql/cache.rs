//! Operations kept for the next request with the same text.

use std::sync::Arc;

use quick_cache::{Equivalent, Weighter, sync::Cache};

use super::document::Operation;

/// The operations of one schema, bounded by the bytes of their texts.
pub struct OperationCache {
    operations: Cache<Key, Arc<Operation>, TextBytes>,
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
struct TextBytes;

impl Weighter<Key, Arc<Operation>> for TextBytes {
    fn weight(&self, key: &Key, _: &Arc<Operation>) -> u64 {
        (key.text.len() as u64).max(1)
    }
}

impl OperationCache {
    /// A cache of at most so many bytes of text.
    pub fn new(bytes_max: u64) -> Self {
        /// What a text usually has; only the first reservation depends on it.
        const TEXT_BYTES: u64 = 512;
        let expected = usize::try_from(bytes_max / TEXT_BYTES).unwrap_or(usize::MAX);
        Self { operations: Cache::with_weighter(expected, bytes_max, TextBytes) }
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

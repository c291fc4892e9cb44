//! Every limit by name, with its default. Sizes are bytes, times milliseconds.
//!
//! An app narrows or widens the per-call limits in the `[limits]` table of `app.toml`, by these names.

use serde::{Deserialize, Serialize};

/// What one call of a function may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallLimits {
    /// From the start of the call to its value, in milliseconds.
    pub wall_ms: u64,
    /// V8 heap of the isolate, in bytes.
    pub heap_bytes: usize,
    /// The result as JSON text, in bytes.
    pub result_bytes: usize,
    /// The arguments as JSON text, in bytes.
    pub arguments_bytes: usize,
    /// Calls of the host (reads, writes, logs) that one call makes.
    pub host_calls: u32,
    /// Documents that one call reads.
    pub documents_read: u32,
    /// Documents that one call counts without reading them.
    pub documents_counted: u32,
    /// Documents that one call writes.
    pub documents_written: u32,
    /// Text that one call logs, in bytes.
    pub log_bytes: usize,
    /// How deep `call` may nest.
    pub call_depth: u32,
    /// How long the outcome of a call with an idempotency key is kept, in milliseconds.
    pub idempotency_ms: u64,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            wall_ms: 5_000,
            heap_bytes: 64 << 20,
            result_bytes: 8 << 20,
            arguments_bytes: 8 << 20,
            host_calls: 100_000,
            documents_read: 200_000,
            documents_counted: 1_000_000,
            documents_written: 50_000,
            log_bytes: 64 << 10,
            call_depth: 16,
            idempotency_ms: 24 * 3_600_000,
        }
    }
}

impl CallLimits {
    /// The value of a limit by its name.
    pub fn value(&self, name: &str) -> u64 {
        let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        match name {
            "wall_ms" => self.wall_ms,
            "heap_bytes" => wide(self.heap_bytes),
            "result_bytes" => wide(self.result_bytes),
            "arguments_bytes" => wide(self.arguments_bytes),
            "host_calls" => u64::from(self.host_calls),
            "documents_read" => u64::from(self.documents_read),
            "documents_counted" => u64::from(self.documents_counted),
            "documents_written" => u64::from(self.documents_written),
            "log_bytes" => wide(self.log_bytes),
            "call_depth" => u64::from(self.call_depth),
            "idempotency_ms" => self.idempotency_ms,
            _ => 0,
        }
    }
}

/// The smallest `heap_bytes`: V8 itself needs some of it.
pub const HEAP_BYTES_MIN: usize = 16 << 20;
/// The largest document as JSON text, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// The largest encoded index key, in bytes.
pub const INDEX_KEY_BYTES_MAX: usize = 4 << 10;
/// Fields in one index.
pub const INDEX_FIELDS_MAX: usize = 8;
/// Collections of one app.
pub const COLLECTIONS_MAX: usize = 1_000;
/// Functions of one app.
pub const FUNCTIONS_MAX: usize = 5_000;
/// The largest source file of an app, in bytes.
pub const SOURCE_BYTES_MAX: u64 = 4 << 20;
/// Source files of one app.
pub const SOURCES_MAX: usize = 2_000;

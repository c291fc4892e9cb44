//! What a GraphQL document may ask, by name. Past one of them a request fails with `LIMIT_EXCEEDED` before it runs.

/// Bounds of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentLimits {
    /// The text, in bytes.
    pub document_bytes: usize,
    /// Its tokens: names, numbers, strings, punctuation.
    pub document_tokens: usize,
    /// How deep its brackets nest, and how deep its selections nest with all fragments spread.
    pub document_depth: usize,
    /// Its selections with all fragments spread.
    pub document_selections: usize,
    /// Compiled operations kept for the next request with the same text, in bytes.
    pub plan_cache_bytes: u64,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            document_bytes: 256 << 10,
            document_tokens: 10_000,
            document_depth: 48,
            document_selections: 10_000,
            plan_cache_bytes: 64 << 20,
        }
    }
}

//! Operations kept for the next request with the same text, and what is wrong with texts that are none.
//!
//! A text is compiled once, however many ask at the same time: the others wait for the first. Refusals are kept too, so that
//! who repeats a mistake costs no more than who does not. What is used again and again stays whatever else comes: the cache
//! tells by use what to give up.

use std::future::Future;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, Weighter};

use super::GraphqlError;
use super::document::Operation;

/// Operations of one release that are kept, in bytes.
pub const PLAN_CACHE_BYTES: u64 = 64 << 20;

/// What a text came to.
pub type Outcome = Result<Arc<Operation>, Arc<[GraphqlError]>>;

/// What caches of operations have done, for `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct CacheCounters {
    /// Texts that were known, or that another request was compiling.
    pub hits: Counter,
    /// Texts that were compiled, or refused, for the first time.
    pub misses: Counter,
    /// Operations that had to go for others.
    pub evictions: Counter,
}

/// The operations of one schema, bounded by the bytes that they hold.
pub struct OperationCache {
    operations: Cache<Key, Outcome, OutcomeBytes, DefaultHashBuilder, Evictions>,
    counters: CacheCounters,
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
struct OutcomeBytes;

impl Weighter<Key, Outcome> for OutcomeBytes {
    fn weight(&self, key: &Key, outcome: &Outcome) -> u64 {
        /// Of an error, with its places, and what the cache itself holds of an entry.
        const ERROR_BYTES: usize = 512;
        match outcome {
            Ok(operation) => operation.bytes(&key.text),
            Err(errors) => {
                let told: usize = errors.iter().map(|error| error.message.len() + ERROR_BYTES).sum();
                (key.text.len() + told + ERROR_BYTES) as u64
            }
        }
    }
}

/// Counts what has to go.
#[derive(Clone)]
struct Evictions(Counter);

impl Lifecycle<Key, Outcome> for Evictions {
    type RequestState = <DefaultLifecycle<Key, Outcome> as Lifecycle<Key, Outcome>>::RequestState;

    fn begin_request(&self) -> Self::RequestState {
        DefaultLifecycle::<Key, Outcome>::default().begin_request()
    }

    fn on_evict(&self, state: &mut Self::RequestState, key: Key, outcome: Outcome) {
        self.0.inc();
        DefaultLifecycle::<Key, Outcome>::default().on_evict(state, key, outcome);
    }
}

impl OperationCache {
    /// A cache of at most so many bytes.
    pub fn new(bytes_max: u64, counters: CacheCounters) -> Self {
        /// What an operation usually holds; only the first reservation depends on it.
        const OPERATION_BYTES: u64 = 16 << 10;
        let expected = usize::try_from(bytes_max / OPERATION_BYTES).unwrap_or(usize::MAX);
        let evictions = Evictions(counters.evictions.clone());
        let operations = Cache::with(expected, bytes_max, OutcomeBytes, DefaultHashBuilder::default(), evictions);
        Self { operations, counters }
    }

    /// What this text came to, if that is known.
    pub fn known(&self, text: &str, operation_name: Option<&str>) -> Option<Outcome> {
        let known = self.operations.get(&KeyRef { text, operation_name })?;
        self.counters.hits.inc();
        Some(known)
    }

    /// What this text came to, where that was not known; compiles it unless somebody does.
    pub async fn get(
        &self,
        text: &str,
        operation_name: Option<&str>,
        compile: impl Future<Output = Result<Operation, Vec<GraphqlError>>>,
    ) -> Outcome {
        let key = Key { text: text.to_owned(), operation_name: operation_name.map(str::to_owned) };
        match self.operations.get_value_or_guard_async(&key).await {
            Ok(known) => {
                self.counters.hits.inc();
                known
            }
            Err(place) => {
                self.counters.misses.inc();
                let outcome = compile.await.map(Arc::new).map_err(Arc::from);
                // It is there already if the place was taken away meanwhile, as the cache may.
                let _ = place.insert(outcome.clone());
                outcome
            }
        }
    }

    /// The bytes that are held.
    pub fn bytes(&self) -> u64 {
        self.operations.weight()
    }

    /// How many operations and refusals are held.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

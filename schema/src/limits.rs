//! Every limit by name, with its default. Sizes are bytes, times milliseconds.
//!
//! An app narrows or widens the per-call limits in the `[limits]` table of `app.toml`, by these names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How deep `attempt(fn)` may stand inside of another in one call.
pub const ATTEMPTS_DEEP_MAX: usize = 64;

/// What one call of a function may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallLimits {
    /// What the call may compute, in milliseconds of its thread's CPU clock.
    pub cpu_ms: u64,
    /// From the start of the call to its value, in milliseconds.
    pub wall_ms: u64,
    /// V8 heap of the isolate, in bytes.
    pub heap_bytes: usize,
    /// Contents of array buffers, which are outside of the heap, in bytes.
    pub array_buffer_bytes: usize,
    /// The result as JSON text, in bytes.
    pub result_bytes: usize,
    /// How deep arrays and objects of the result nest.
    pub result_depth: usize,
    /// Values in the result: elements, members, and arrays and objects themselves.
    pub result_values: usize,
    /// The arguments as JSON text, in bytes.
    pub arguments_bytes: usize,
    /// Calls of the host (reads, writes, logs) that one call makes.
    pub host_calls: u32,
    /// Calls of the host that an action has made and that are not answered yet.
    pub outstanding_promises: u32,
    /// Documents that one call reads.
    pub documents_read: u32,
    /// Documents that one call counts without reading them.
    pub documents_counted: u32,
    /// Documents that one call writes.
    pub documents_written: u32,
    /// What the documents that one call reads have as JSON text, in bytes. What it reads at once has to fit into
    /// `heap_bytes` besides.
    pub read_bytes: usize,
    /// What the documents that one call writes have as JSON text, in bytes.
    pub written_bytes: usize,
    /// Text that one call logs, in bytes.
    pub log_bytes: usize,
    /// How deep `call` may nest.
    pub call_depth: u32,
    /// How long the outcome of a call with an idempotency key is kept, in milliseconds.
    pub idempotency_ms: u64,
    /// Jobs that one call schedules.
    pub jobs_scheduled: u32,
    /// Values that one call gives to metrics.
    pub metrics_emitted: u32,
    /// Requests that one call of an action sends with `fetch`, redirects not counted.
    pub fetches: u32,
    /// What all these send and receive, headers and bodies together, in bytes.
    pub fetch_bytes: usize,
    /// Calls of one batch.
    pub batch_calls: usize,
    /// What the results of all calls of one request have as JSON text, in bytes. Those after the one that reaches it are
    /// not made.
    pub response_bytes: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            cpu_ms: 1_000,
            wall_ms: 5_000,
            heap_bytes: 64 << 20,
            array_buffer_bytes: 64 << 20,
            result_bytes: 8 << 20,
            result_depth: 100,
            result_values: 1_000_000,
            arguments_bytes: 8 << 20,
            host_calls: 100_000,
            outstanding_promises: 1_000,
            documents_read: 200_000,
            documents_counted: 1_000_000,
            documents_written: 50_000,
            read_bytes: 256 << 20,
            written_bytes: 64 << 20,
            log_bytes: 64 << 10,
            call_depth: 16,
            idempotency_ms: 24 * 3_600_000,
            jobs_scheduled: 10_000,
            metrics_emitted: 1_000,
            fetches: 100,
            fetch_bytes: 16 << 20,
            batch_calls: 10_000,
            response_bytes: 32 << 20,
        }
    }
}

/// A limit that a call can reach, which ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Limit {
    /// [`CallLimits::cpu_ms`].
    Cpu,
    /// [`CallLimits::wall_ms`].
    Wall,
    /// [`CallLimits::heap_bytes`].
    Heap,
    /// [`CallLimits::array_buffer_bytes`].
    ArrayBuffers,
    /// [`CallLimits::result_bytes`].
    ResultBytes,
    /// [`CallLimits::result_depth`].
    ResultDepth,
    /// [`CallLimits::result_values`].
    ResultValues,
    /// [`CallLimits::arguments_bytes`].
    Arguments,
    /// [`CallLimits::host_calls`].
    HostCalls,
    /// [`CallLimits::outstanding_promises`].
    OutstandingPromises,
    /// [`CallLimits::documents_read`].
    DocumentsRead,
    /// [`CallLimits::documents_counted`].
    DocumentsCounted,
    /// [`CallLimits::documents_written`].
    DocumentsWritten,
    /// [`CallLimits::read_bytes`].
    ReadBytes,
    /// [`CallLimits::written_bytes`].
    WrittenBytes,
    /// [`CallLimits::log_bytes`].
    Log,
    /// [`CallLimits::jobs_scheduled`].
    JobsScheduled,
    /// [`CallLimits::metrics_emitted`].
    MetricsEmitted,
    /// [`CallLimits::fetches`].
    Fetches,
    /// [`CallLimits::fetch_bytes`].
    FetchBytes,
    /// [`CallLimits::batch_calls`].
    BatchCalls,
    /// [`CallLimits::response_bytes`].
    ResponseBytes,
    /// Bytes that one transaction writes. Those of transactions are not the app's to set.
    TransactionBytes,
    /// Documents that one transaction reads.
    TransactionDocumentsRead,
    /// Documents that one transaction writes.
    TransactionDocumentsWritten,
}

impl Limit {
    /// Its name in `app.toml` and in errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_ms",
            Self::Wall => "wall_ms",
            Self::Heap => "heap_bytes",
            Self::ArrayBuffers => "array_buffer_bytes",
            Self::ResultBytes => "result_bytes",
            Self::ResultDepth => "result_depth",
            Self::ResultValues => "result_values",
            Self::Arguments => "arguments_bytes",
            Self::HostCalls => "host_calls",
            Self::OutstandingPromises => "outstanding_promises",
            Self::DocumentsRead => "documents_read",
            Self::DocumentsCounted => "documents_counted",
            Self::DocumentsWritten => "documents_written",
            Self::ReadBytes => "read_bytes",
            Self::WrittenBytes => "written_bytes",
            Self::Log => "log_bytes",
            Self::JobsScheduled => "jobs_scheduled",
            Self::MetricsEmitted => "metrics_emitted",
            Self::Fetches => "fetches",
            Self::FetchBytes => "fetch_bytes",
            Self::BatchCalls => "batch_calls",
            Self::ResponseBytes => "response_bytes",
            Self::TransactionBytes => "transaction_bytes_max",
            Self::TransactionDocumentsRead => "transaction_documents_read_max",
            Self::TransactionDocumentsWritten => "transaction_documents_written_max",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CallLimits {
    /// The value of a limit. Of one that is no call's it is the default.
    pub fn value(&self, limit: Limit) -> u64 {
        let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        match limit {
            Limit::Cpu => self.cpu_ms,
            Limit::Wall => self.wall_ms,
            Limit::Heap => wide(self.heap_bytes),
            Limit::ArrayBuffers => wide(self.array_buffer_bytes),
            Limit::ResultBytes => wide(self.result_bytes),
            Limit::ResultDepth => wide(self.result_depth),
            Limit::ResultValues => wide(self.result_values),
            Limit::Arguments => wide(self.arguments_bytes),
            Limit::HostCalls => u64::from(self.host_calls),
            Limit::OutstandingPromises => u64::from(self.outstanding_promises),
            Limit::DocumentsRead => u64::from(self.documents_read),
            Limit::DocumentsCounted => u64::from(self.documents_counted),
            Limit::DocumentsWritten => u64::from(self.documents_written),
            Limit::ReadBytes => wide(self.read_bytes),
            Limit::WrittenBytes => wide(self.written_bytes),
            Limit::Log => wide(self.log_bytes),
            Limit::JobsScheduled => u64::from(self.jobs_scheduled),
            Limit::MetricsEmitted => u64::from(self.metrics_emitted),
            Limit::Fetches => u64::from(self.fetches),
            Limit::FetchBytes => wide(self.fetch_bytes),
            Limit::BatchCalls => wide(self.batch_calls),
            Limit::ResponseBytes => wide(self.response_bytes),
            Limit::TransactionBytes => wide(TRANSACTION_BYTES_MAX),
            Limit::TransactionDocumentsRead => TRANSACTION_DOCUMENTS_READ_MAX,
            Limit::TransactionDocumentsWritten => TRANSACTION_DOCUMENTS_WRITTEN_MAX,
        }
    }
}

/// How jobs are run: the `[jobs]` table of `app.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// Calls of one job, until it is dead.
    pub attempts: u32,
    /// How long a job waits after its first failure, in milliseconds; each further one doubles it.
    pub backoff_ms: u64,
    /// The longest that it waits, in milliseconds.
    pub backoff_max_ms: u64,
    /// Jobs that run at the same time.
    pub running: usize,
    /// The arguments of one job as JSON text, in bytes.
    pub arguments_bytes: usize,
    /// How far ahead a job can be scheduled, in milliseconds.
    pub ahead_ms: u64,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            attempts: 10,
            backoff_ms: 1_000,
            backoff_max_ms: 600_000,
            running: 32,
            arguments_bytes: 64 << 10,
            ahead_ms: 366 * 86_400_000,
        }
    }
}

/// For how many days it is known what clients have asked for.
pub const USAGE_DAYS: u32 = 30;
/// Functions, fields and arguments of one release of which it is counted.
pub const USAGE_COORDINATES_MAX: usize = 20_000;

/// The largest `running`: each takes a place in the queue before the isolates.
pub const JOBS_RUNNING_MAX: usize = 1_000;
/// The largest `arguments_bytes` of a job.
pub const JOB_ARGUMENTS_BYTES_MAX: usize = 1 << 20;
/// The largest of the times in the settings of jobs: some hundred years.
pub const JOB_MS_MAX: u64 = 100 * 366 * 86_400_000;
/// Entries of `[[cron]]` in one app.
pub const CRONS_MAX: usize = 1_000;

/// The smallest `heap_bytes`: V8 itself needs some of it.
pub const HEAP_BYTES_MIN: usize = 16 << 20;
/// The largest `heap_bytes`: V8 keeps no larger one.
pub const HEAP_BYTES_MAX: usize = 4 << 30;
/// The largest `array_buffer_bytes`.
pub const ARRAY_BUFFER_BYTES_MAX: usize = 4 << 30;
/// The largest `arguments_bytes` and `result_bytes`: one message between a script and its host.
pub const TEXT_BYTES_MAX: usize = 256 << 20;
/// The largest `batch_calls`.
pub const BATCH_CALLS_MAX: usize = 1_000_000;
/// The largest `response_bytes`.
pub const RESPONSE_BYTES_MAX: usize = 1 << 30;
/// The largest `result_depth`: readers of JSON text stop at 128.
pub const RESULT_DEPTH_MAX: usize = 120;
/// The largest `cpu_ms` and `wall_ms`: a day.
pub const CALL_MS_MAX: u64 = 86_400_000;
/// How long a transaction may be open, in milliseconds: its snapshot holds back compaction.
pub const TRANSACTION_MS_MAX: u64 = 60_000;
/// What one transaction may write, in bytes: documents, index entries and a kept outcome.
pub const TRANSACTION_BYTES_MAX: usize = 64 << 20;
/// Documents that one transaction may read, counted as often as it reads them.
pub const TRANSACTION_DOCUMENTS_READ_MAX: u64 = 5_000_000;
/// Documents that one transaction may write.
pub const TRANSACTION_DOCUMENTS_WRITTEN_MAX: u64 = 200_000;
/// The largest document as JSON text, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// The largest encoded index key, in bytes.
pub const INDEX_KEY_BYTES_MAX: usize = 4 << 10;
/// Fields in one index.
pub const INDEX_FIELDS_MAX: usize = 8;
/// How many elements `top(n, of)` may keep of each group of a view.
pub const TOP_MAX: u32 = 1_000;
/// How many entries of a `view.index` one page may have.
pub const INDEX_PAGE_MAX: u32 = 1_000;
/// How many it has unless the caller says.
pub const INDEX_PAGE_DEFAULT: u32 = 20;
/// Collections of one app.
pub const COLLECTIONS_MAX: usize = 1_000;
/// Functions of one app.
pub const FUNCTIONS_MAX: usize = 5_000;
/// The largest source file of an app, in bytes.
pub const SOURCE_BYTES_MAX: u64 = 4 << 20;
/// Source files of one app.
pub const SOURCES_MAX: usize = 2_000;
/// Hosts that one app may name in `app.toml`.
pub const FETCH_HOSTS_MAX: usize = 200;
/// The longest name of a host, in bytes: that of the domain name system.
pub const HOST_BYTES_MAX: usize = 253;
/// The longest URL that is fetched, in bytes.
pub const FETCH_URL_BYTES_MAX: usize = 16 << 10;
/// Headers of one request and of one response.
pub const FETCH_HEADERS_MAX: usize = 100;
/// The names and values of the headers of one request, and of those of one response with its first line, in bytes.
pub const FETCH_HEADER_BYTES_MAX: usize = 64 << 10;
/// Headers of the response of an HTTP endpoint.
pub const RESPONSE_HEADERS_MAX: usize = 100;
/// Their names and values, in bytes.
pub const RESPONSE_HEADER_BYTES_MAX: usize = 64 << 10;
/// Redirects that one `fetch` follows.
pub const FETCH_REDIRECTS_MAX: usize = 10;
/// How long a `fetch` tries to connect, with all addresses of the host together, in milliseconds.
pub const FETCH_CONNECT_MS_MAX: u64 = 10_000;
/// Requests that all actions of a release have under way at one time; others wait for their turn.
pub const FETCHES_AT_ONCE_MAX: usize = 256;
/// Metrics that one app may declare.
pub const METRICS_MAX: usize = 50;
/// The largest value that a call may give to a metric, below zero or above.
pub const METRIC_VALUE_MAX: f64 = 1e15;
/// The longest name of a metric, in bytes.
pub const METRIC_NAME_BYTES_MAX: usize = 64;
/// Secrets that one app may name in `app.toml`.
pub const SECRETS_MAX: usize = 200;

/// The most claims that an app may declare. What of them a run has looked at is told in one number of the script's.
pub const CLAIMS_MAX: usize = 20;

/// The most revocations of tokens that are kept.
pub const REVOCATIONS_MAX: usize = 100_000;

/// The longest issuer, subject or id of a token that can be revoked, in bytes.
pub const REVOCATION_TEXT_BYTES_MAX: usize = 1_024;

/// The longest name of a claim in bytes.
pub const CLAIM_NAME_BYTES_MAX: usize = 128;
/// The longest name of a secret, in bytes.
pub const SECRET_NAME_BYTES_MAX: usize = 64;
/// The shortest secret, in bytes: what is shorter is found by chance in text that does not hold it.
pub const SECRET_BYTES_MIN: usize = 8;
/// The longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 16 << 10;

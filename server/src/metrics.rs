//! What is counted, in the words of Prometheus (<https://prometheus.io/docs/concepts/data_model/>).
//!
//! A counter is an atomic number that is looked up once, at start: counting takes no lock and looks at no label. What others
//! count, or can be seen at any time, is read when it is asked for.

mod rollouts;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};
use weir_engine::experiments::counts::Counted;
use weir_engine::rollouts::health::ReleaseCalls;
use weir_engine::rollouts::readings::RolloutReadings;
use weir_schema::error::ErrorCode;
use weir_schema::rollout::Health;

use self::rollouts::RolloutGauges;
use crate::auth::error::TokenError;
use crate::graphql::cache::CacheCounters;
use crate::graphql::plan::OperationKind;
use crate::rate::Limit;
use crate::tenants::{Condition, Counts};

/// The form of the text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The metric of an app, and the release.
type AppLabels = [(&'static str, String); 2];

/// The release.
type ReleaseLabels = [(&'static str, String); 1];

/// All that is counted.
pub struct Metrics {
    registry: Registry,
    /// By kind and by outcome, in the order of [`KINDS`] and of [`ErrorCode::ALL`], what went well first.
    requests: Vec<Vec<Counter>>,
    /// What caches of operations have done.
    pub plan_cache: CacheCounters,
    plan_cache_bytes: Gauge,
    plan_cache_operations: Gauge,
    results: [Counter; 3],
    registered_bytes: Gauge,
    /// In the order of [`Limit::ALL`].
    rate_refused: Vec<Counter>,
    rate_overflowed: Counter,
    /// In the order of [`TokenError::REASONS`].
    tokens_refused: Vec<Counter>,
    sockets: Gauge,
    subscriptions: Gauge,
    /// What was given to metrics of the app: how many values, their sum, the sum of their squares.
    app_values: Family<AppLabels, Counter>,
    app_sums: [Family<AppLabels, Gauge<f64, AtomicU64>>; 2],
    /// What the calls of releases came to, and how long they took.
    release_calls: Family<AppLabels, Counter>,
    release_seconds: Family<ReleaseLabels, Seconds>,
    rollouts: RolloutGauges,
    /// In the order of [`Condition::ALL`](crate::tenants::Condition::ALL); of a server that has tenants.
    tenants: Vec<Gauge>,
    /// The same of environments.
    environments: Vec<Gauge>,
}

/// The kinds of requests. One that is refused before it is known which it would be has the last.
const KINDS: [&str; 4] = ["query", "mutation", "subscription", "unknown"];

/// What is read when it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// Bytes of the operations that are kept.
    pub plan_cache_bytes: u64,
    /// How many those are.
    pub plan_cache_operations: u64,
    /// Calls of queries and views that were answered by what is kept, by a run of others, and by a run of their own.
    pub results: [u64; 3],
    /// Bytes of the documents that clients have registered by their digests.
    pub registered_bytes: u64,
    /// What each limit has refused, in the order of [`Limit::ALL`].
    pub rate_refused: [u64; Limit::ALL.len()],
    /// How often somebody had to be counted together with others.
    pub rate_overflowed: u64,
    /// How many tokens were not taken, in the order of [`TokenError::REASONS`].
    pub tokens_refused: [u64; TokenError::REASONS.len()],
    /// WebSockets that are open.
    pub sockets: u64,
    /// Subscriptions that run.
    pub subscriptions: u64,
    /// What was given to metrics of the app, by the name of the metric and the release.
    pub app: Vec<(String, String, Counted)>,
    /// What the calls of the loaded releases came to.
    pub releases: Vec<ReleaseCalls>,
    /// Which releases take calls, and how far a rollout is.
    pub rollouts: RolloutReadings,
    /// Tenants and environments by how they stand, where there can be some.
    pub tenants: Option<[Counts; 2]>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("weir");
        let by_kind = Family::<Labels<2>, Counter>::default();
        let outcomes = || std::iter::once("OK").chain(ErrorCode::ALL.into_iter().map(ErrorCode::as_str));
        let counters = |kind| {
            let counter = |outcome| by_kind.get_or_create_owned(&[("kind", kind), ("outcome", outcome)]);
            outcomes().map(counter).collect()
        };
        let requests = KINDS.into_iter().map(counters).collect();
        registry.register(
            "requests",
            "GraphQL requests, by what came of them: OK or the code of the first error",
            by_kind,
        );
        let plan_cache = CacheCounters::default();
        registry.register("plan_cache_hits", "Documents that had been compiled before", plan_cache.hits.clone());
        registry.register("plan_cache_misses", "Documents that were compiled", plan_cache.misses.clone());
        registry.register("plan_cache_evictions", "Compiled documents that had to go", plan_cache.evictions.clone());
        let by_answer = Family::<Labels<1>, Counter>::default();
        let results = ["kept", "joined", "run"].map(|by| by_answer.get_or_create_owned(&[("by", by)]));
        registry.register("results", "Calls of queries and views, by how they were answered", by_answer);
        let by_limit = Family::<Labels<1>, Counter>::default();
        let refused = |limit: Limit| by_limit.get_or_create_owned(&[("limit", limit.as_str())]);
        let rate_refused = Limit::ALL.into_iter().map(refused).collect();
        registry.register("rate_refused", "What was refused for being asked too often, by limit", by_limit);
        let rate_overflowed = Counter::default();
        let about = "Requests of addresses and callers that were counted together with others, as there were too many";
        registry.register("rate_overflowed", about, rate_overflowed.clone());
        let by_reason = Family::<Labels<1>, Counter>::default();
        let refused = |reason| by_reason.get_or_create_owned(&[("reason", reason)]);
        let tokens_refused = TokenError::REASONS.into_iter().map(refused).collect();
        registry.register("tokens_refused", "Tokens of callers that were not taken, by the reason", by_reason);
        let [plan_cache_bytes, plan_cache_operations, registered_bytes, sockets, subscriptions] =
            std::array::from_fn(|_| Gauge::default());
        registry.register("plan_cache_bytes", "What compiled documents hold", plan_cache_bytes.clone());
        registry.register("plan_cache_operations", "Compiled documents", plan_cache_operations.clone());
        let about = "What documents hold that clients have registered by their digests";
        registry.register("registered_documents_bytes", about, registered_bytes.clone());
        registry.register("sockets", "Open WebSockets", sockets.clone());
        registry.register("subscriptions", "Running subscriptions", subscriptions.clone());
        let (app_values, app_sums) = (Family::default(), [Family::default(), Family::default()]);
        let about = "Values that calls have given to metrics of the app, by metric and release";
        registry.register("app_metric_values", about, app_values.clone());
        let [sums, squares] = &app_sums;
        registry.register("app_metric_sum", "The sum of these values", sums.clone());
        registry.register("app_metric_squares", "The sum of their squares", squares.clone());
        let (release_calls, release_seconds) = (Family::default(), Family::default());
        let about = "Calls of loaded releases, by what they came to: answered, refused, failed, crashed";
        registry.register("release_calls", about, release_calls.clone());
        let about = "How long calls took that were answered, by release";
        registry.register_with_unit("release_call", about, Unit::Seconds, release_seconds.clone());
        let rollouts = RolloutGauges::default();
        rollouts.register(&mut registry);
        Self {
            registry,
            requests,
            plan_cache,
            plan_cache_bytes,
            plan_cache_operations,
            results,
            registered_bytes,
            rate_refused,
            rate_overflowed,
            tokens_refused,
            sockets,
            subscriptions,
            app_values,
            app_sums,
            release_calls,
            release_seconds,
            rollouts,
            tenants: Vec::new(),
            environments: Vec::new(),
        }
    }
}

impl Metrics {
    /// The same of a server that has tenants.
    pub fn with_tenants() -> Self {
        let mut metrics = Self::default();
        let by_condition = Family::<Labels<1>, Gauge>::default();
        let gauge = |condition: Condition| by_condition.get_or_create_owned(&[("state", condition.as_str())]);
        metrics.tenants = Condition::ALL.into_iter().map(gauge).collect();
        metrics.registry.register("tenants", "Tenants, by how they stand", by_condition);
        let by_condition = Family::<Labels<1>, Gauge>::default();
        let gauge = |condition: Condition| by_condition.get_or_create_owned(&[("state", condition.as_str())]);
        metrics.environments = Condition::ALL.into_iter().map(gauge).collect();
        metrics.registry.register("environments", "Environments, by how they stand", by_condition);
        metrics
    }
}

impl Metrics {
    /// A request has been answered, or its first answer is on its way.
    pub fn request(&self, kind: Option<OperationKind>, outcome: Result<(), ErrorCode>) {
        let kind = match kind {
            Some(OperationKind::Query) => 0,
            Some(OperationKind::Mutation) => 1,
            Some(OperationKind::Subscription) => 2,
            None => 3,
        };
        let outcome = outcome.err().map_or(0, |code| code as usize + 1);
        if let Some(counter) = self.requests.get(kind).and_then(|counters| counters.get(outcome)) {
            counter.inc();
        }
    }

    /// The text of all that is counted.
    pub fn text(&self, readings: &Readings) -> String {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.plan_cache_bytes, readings.plan_cache_bytes);
        set(&self.plan_cache_operations, readings.plan_cache_operations);
        set(&self.registered_bytes, readings.registered_bytes);
        set(&self.sockets, readings.sockets);
        set(&self.subscriptions, readings.subscriptions);
        if let Some([tenants, environments]) = &readings.tenants {
            for (gauge, value) in self.tenants.iter().zip(tenants).chain(self.environments.iter().zip(environments)) {
                set(gauge, *value);
            }
        }
        let refused = self.rate_refused.iter().zip(readings.rate_refused);
        let others = [(&self.rate_overflowed, readings.rate_overflowed)];
        let tokens = self.tokens_refused.iter().zip(readings.tokens_refused);
        for (counter, value) in self.results.iter().zip(readings.results).chain(refused).chain(others).chain(tokens) {
            counter.inner().store(value, std::sync::atomic::Ordering::Relaxed);
        }
        self.set_app(&readings.app);
        self.set_releases(&readings.releases);
        self.rollouts.set(&readings.rollouts);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Metrics {
    /// Metrics of the app come and go with its releases.
    fn set_app(&self, app: &[(String, String, Counted)]) {
        let [sums, squares] = &self.app_sums;
        self.app_values.clear();
        sums.clear();
        squares.clear();
        for (name, release, counted) in app {
            let labels = [("name", name.clone()), ("release", release.clone())];
            let values = self.app_values.get_or_create_owned(&labels);
            values.inner().store(counted.values, std::sync::atomic::Ordering::Relaxed);
            sums.get_or_create_owned(&labels).set(counted.sum);
            squares.get_or_create_owned(&labels).set(counted.squares);
        }
    }
}

impl Metrics {
    /// Releases come and go.
    fn set_releases(&self, releases: &[ReleaseCalls]) {
        self.release_calls.clear();
        self.release_seconds.clear();
        for ReleaseCalls { release, health, took } in releases {
            let Health { answered, refused, failed, crashed, .. } = health;
            for (outcome, count) in
                [("answered", answered), ("refused", refused), ("failed", failed), ("crashed", crashed)]
            {
                let labels = [("release", release.clone()), ("outcome", outcome.to_owned())];
                let calls = self.release_calls.get_or_create_owned(&labels);
                calls.inner().store(*count, std::sync::atomic::Ordering::Relaxed);
            }
            *self.release_seconds.get_or_create_owned(&[("release", release.clone())]).0.lock() =
                (health.clone(), *took);
        }
    }
}

/// The times of calls as a histogram, whose bounds are those of the classes in which they are counted.
#[derive(Debug, Clone, Default)]
struct Seconds(Arc<Mutex<(Health, Duration)>>);

impl EncodeMetric for Seconds {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (health, took) = &*self.0.lock();
        let count = health.timed();
        // From a quarter of a millisecond to half a minute, each twice the one before.
        let bounds = (8..=25).map(|doublings| 1_u64 << doublings);
        let mut below = 0;
        let mut buckets: Vec<(f64, u64)> = bounds
            .map(|us| {
                let until = count - health.slower_than_us(us - 1);
                let new = until - below;
                below = until;
                (us as f64 / 1e6, new)
            })
            .collect();
        buckets.push((f64::INFINITY, count - below));
        encoder.encode_histogram::<NoLabelSet>(took.as_secs_f64(), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl TypedMetric for Seconds {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use weir_schema::rollout::watch::{LATENCY_CLASSES, latency_class};

    use super::*;

    #[test]
    fn requests_are_counted_by_kind_and_outcome() {
        let metrics = Metrics::default();
        metrics.request(Some(OperationKind::Query), Ok(()));
        metrics.request(Some(OperationKind::Query), Ok(()));
        metrics.request(Some(OperationKind::Mutation), Err(ErrorCode::Conflict));
        metrics.request(None, Err(ErrorCode::GraphqlParseFailed));
        metrics.plan_cache.hits.inc();
        let of = |release: &str, sum| {
            let counted = Counted { values: 2, sum, squares: 5.0 };
            ("order_value".to_owned(), release.to_owned(), counted)
        };
        // One of another release that is loaded no longer.
        metrics.text(&Readings { app: vec![of("shop 0.9.0", 1.0)], ..Readings::default() });
        let app = vec![of("shop 1.0.0", -3.5)];
        let mut latencies = vec![0; LATENCY_CLASSES];
        for us in [300, 400, 1_500] {
            latencies[latency_class(us)] += 1;
        }
        let health = Health { answered: 3, failed: 2, latencies, ..Health::default() };
        let releases = vec![ReleaseCalls { release: "shop 1.0.0".into(), health, took: Duration::from_micros(2_200) }];
        let text = metrics.text(&Readings { results: [1, 2, 3], sockets: 4, app, releases, ..Readings::default() });
        assert!(!text.contains("0.9.0"), "{text}");
        for line in [
            "weir_requests_total{kind=\"query\",outcome=\"OK\"} 2",
            "weir_requests_total{kind=\"mutation\",outcome=\"CONFLICT\"} 1",
            "weir_requests_total{kind=\"unknown\",outcome=\"GRAPHQL_PARSE_FAILED\"} 1",
            "weir_requests_total{kind=\"subscription\",outcome=\"OK\"} 0",
            "weir_plan_cache_hits_total 1",
            "weir_results_total{by=\"joined\"} 2",
            "weir_sockets 4",
            "weir_app_metric_values_total{name=\"order_value\",release=\"shop 1.0.0\"} 2",
            "weir_app_metric_sum{name=\"order_value\",release=\"shop 1.0.0\"} -3.5",
            "weir_app_metric_squares{name=\"order_value\",release=\"shop 1.0.0\"} 5.0",
            "weir_release_calls_total{release=\"shop 1.0.0\",outcome=\"answered\"} 3",
            "weir_release_calls_total{release=\"shop 1.0.0\",outcome=\"failed\"} 2",
            "weir_release_call_seconds_sum{release=\"shop 1.0.0\"} 0.0022",
            "weir_release_call_seconds_count{release=\"shop 1.0.0\"} 3",
            "weir_release_call_seconds_bucket{le=\"0.000256\",release=\"shop 1.0.0\"} 0",
            "weir_release_call_seconds_bucket{le=\"0.000512\",release=\"shop 1.0.0\"} 2",
            "weir_release_call_seconds_bucket{le=\"0.002048\",release=\"shop 1.0.0\"} 3",
            "weir_release_call_seconds_bucket{le=\"+Inf\",release=\"shop 1.0.0\"} 3",
            "# EOF",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn every_code_has_its_place() {
        for (place, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{code}");
        }
    }
}

//! What an experiment costs calls: seeing a variant, giving a value to a metric; and what a report costs.
//!
//! `cargo bench --bench experiments` prints the median of each, with 100,000 callers in the experiment, and how long it takes to write
//! all of them to the store and to read them again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_engine::experiments::statistics::power::plan_conversion;
use weir_engine::experiments::{CallerDigest, Design, Observations, Variant};
use weir_schema::metrics::{Goal, Metric, MetricKind};
use weir_store::{Options, Store};

const CALLERS: usize = 100_000;
/// Of these that are measured at once.
const ROUND: usize = 500;
const REPORTS: u32 = 500;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
    let observations = Observations::of(&store).unwrap();
    observations.begin(&store, 1, design(2, 2)).await.unwrap();
    observations.begin(&store, 2, design(10, 50)).await.unwrap();
    let callers: Vec<CallerDigest> = (0..CALLERS).map(|number| CallerDigest::of_text(&number.to_string())).collect();
    let variant = |caller: &CallerDigest| usize::from(caller.as_bytes()[0]) % 2;
    let values = [("m0", 12.5), ("m1", 1.0)];
    let expose = |caller: &CallerDigest| {
        black_box(observations.expose(1, variant(caller), *caller));
    };
    let observe = |caller: &CallerDigest| observations.observe(*caller, variant(caller) as u64, &values);
    println!("a caller sees a variant for the first time: {:?}", each(&callers, expose));
    println!("a caller sees it again: {:?}", each(&callers, expose));
    println!("a caller gives values to two metrics for the first time: {:?}", each(&callers, observe));
    println!("a caller gives them again: {:?}", each(&callers, observe));
    println!("a report of 2 variants and 2 metrics: {:?}", report(&observations, 1));
    println!("a report of 10 variants and 50 metrics: {:?}", report(&observations, 2));
    let begun = Instant::now();
    observations.write(&store).await.unwrap();
    println!("writing {CALLERS} callers: {:?}", begun.elapsed());
    let begun = Instant::now();
    black_box(Observations::of(&store).unwrap());
    println!("reading them: {:?}", begun.elapsed());
    let begun = Instant::now();
    black_box(plan_conversion(black_box(0.1), 0.02, 0.05, 0.8).unwrap());
    println!("planning an experiment: {:?}", begun.elapsed());
    store.close().await;
}

/// The time for each caller.
fn each(callers: &[CallerDigest], ask: impl Fn(&CallerDigest)) -> Duration {
    median(callers.chunks(ROUND).map(|round| {
        let begun = Instant::now();
        round.iter().for_each(&ask);
        begun.elapsed() / ROUND as u32
    }))
}

fn report(observations: &Observations, experiment: u64) -> Duration {
    median((0..REPORTS).map(|_| {
        let begun = Instant::now();
        drop(black_box(observations.report(experiment).unwrap()));
        begun.elapsed()
    }))
}

/// In the round in the middle: what else the machine does is in some of them.
fn median(rounds: impl Iterator<Item = Duration>) -> Duration {
    let mut rounds: Vec<Duration> = rounds.collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}

/// Every second metric is a mean, the others are conversions.
fn design(variants: u64, metrics: usize) -> Design {
    let variant = |place| Variant { name: format!("v{place}"), release: place, weight: 1 };
    let metric = |place: usize| {
        let kind = if place.is_multiple_of(2) { MetricKind::Mean } else { MetricKind::Conversion };
        (format!("m{place}"), Metric { kind, goal: Goal::Increase, function: None })
    };
    let (variants, metrics) = ((0..variants).map(variant).collect(), (0..metrics).map(metric).collect());
    Design { variants, metrics, alpha: 0.05, callers_planned: 20_000 }
}

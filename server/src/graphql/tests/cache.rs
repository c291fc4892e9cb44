//! Compiled once, however many ask; refusals as well; within bounds.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use weir_schema::error::ErrorCode;
use weir_schema::graphql::GraphqlSettings;

use super::super::cache::{CacheCounters, OperationCache};
use super::super::document::Operation;
use super::super::{GraphqlError, Schema, fixture};

fn counts(counters: &CacheCounters) -> (u64, u64) {
    (counters.hits.get(), counters.misses.get())
}

fn refused() -> Result<Operation, Vec<GraphqlError>> {
    Err(vec![GraphqlError::new(ErrorCode::GraphqlParseFailed, "no")])
}

#[tokio::test]
async fn who_asks_meanwhile_waits_for_the_first() {
    let counters = CacheCounters::default();
    let cache = OperationCache::new(1 << 20, counters.clone());
    let compiled = AtomicUsize::new(0);
    let ask = |_| {
        cache.get("{", None, async {
            compiled.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            refused()
        })
    };
    let outcomes = join_all((0..10).map(ask)).await;
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!((compiled.load(Ordering::Relaxed), counts(&counters)), (1, (9, 1)));
    // One that gives up in the middle leaves its place to the next.
    drop(futures_util::poll!(Box::pin(cache.get("{ a", None, std::future::pending()))));
    assert!(cache.get("{ a", None, async { refused() }).await.is_err());
    assert_eq!(counts(&counters), (9, 3));
}

#[tokio::test]
async fn documents_and_their_mistakes_are_kept() {
    let counters = CacheCounters::default();
    let schema = Schema::build_counted(&fixture::shop(), &GraphqlSettings::default(), counters.clone()).unwrap();
    for (document, fits) in [("{ countOrders }", true), ("{ countOrder }", false), ("{", false)] {
        let (hits, misses) = counts(&counters);
        for _ in 0..3 {
            assert_eq!(schema.prepare(document, None).await.is_ok(), fits, "{document}");
        }
        assert_eq!(counts(&counters), (hits + 2, misses + 1), "{document}");
    }
    // Another operation of the same text is another one.
    let several = "query A { countOrders } query B { a: countOrders }";
    for name in ["A", "B", "A"] {
        assert!(schema.prepare(several, Some(name)).await.is_ok());
    }
    assert_eq!(counts(&counters), (7, 5));
    let long = format!("{{ countOrders }} #{}", "x".repeat(GraphqlSettings::default().document_bytes));
    assert!(schema.prepare(&long, None).await.is_err());
    assert_eq!(counts(&counters), (7, 5), "nobody looks for what is too long");
}

#[tokio::test]
async fn what_is_kept_has_a_bound() {
    const BYTES: u64 = 64 << 10;
    let counters = CacheCounters::default();
    let cache = OperationCache::new(BYTES, counters.clone());
    let mistake = "{".repeat(500);
    for number in 0..1_000 {
        assert!(cache.get(&format!("{number} {mistake}"), None, async { refused() }).await.is_err());
        assert!(cache.get(&mistake, None, async { refused() }).await.is_err());
    }
    assert!(cache.bytes() <= BYTES && cache.len() < 100, "{} bytes of {}", cache.bytes(), cache.len());
    assert!(counters.evictions.get() > 900);
    assert!(counters.hits.get() >= 990, "what is used again and again stays: {}", counters.hits.get());
}

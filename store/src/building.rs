//! What is being built or looked through for a release, and how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::store::Store;

/// How far the documents of a collection have been gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildProgress {
    /// The collection.
    pub collection: String,
    /// For what: `customer, at` for an index by these fields, several divided by `;`, or in words.
    pub index: String,
    /// The documents so far. More than in all where documents came meanwhile, or batches were done again.
    pub done: u64,
    /// The documents when it began.
    pub total: u64,
}

/// All of it that is under way.
#[derive(Debug, Default)]
pub(crate) struct Building {
    under_way: Mutex<Vec<Arc<Build>>>,
}

#[derive(Debug)]
struct Build {
    collection: String,
    index: String,
    done: AtomicU64,
    total: u64,
}

/// One that is under way, until it is dropped.
pub(crate) struct UnderWay<'b> {
    building: &'b Building,
    build: Arc<Build>,
}

impl Building {
    pub(crate) fn begin(&self, collection: &str, index: String, total: u64) -> UnderWay<'_> {
        let build = Arc::new(Build { collection: collection.to_owned(), index, done: AtomicU64::new(0), total });
        self.under_way.lock().push(build.clone());
        UnderWay { building: self, build }
    }
}

impl UnderWay<'_> {
    /// So many documents more are done.
    pub(crate) fn add(&self, documents: u64) {
        self.build.done.fetch_add(documents, Ordering::Relaxed);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.building.under_way.lock().retain(|build| !Arc::ptr_eq(build, &self.build));
    }
}

impl Store {
    /// The indexes that are being built and the types that documents are being looked through for, in the order in which they
    /// were begun. Nothing of it can be used yet.
    pub fn building(&self) -> Vec<BuildProgress> {
        let under_way = self.core().building.under_way.lock();
        let shown = under_way.iter().map(|build| BuildProgress {
            collection: build.collection.clone(),
            index: build.index.clone(),
            done: build.done.load(Ordering::Relaxed),
            total: build.total,
        });
        shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[tokio::test]
    async fn what_is_under_way_is_told_and_then_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let shown = |store: &Store| {
            let told = store.building().into_iter();
            told.map(|one| format!("{} {}: {} of {}", one.collection, one.index, one.done, one.total))
                .collect::<Vec<_>>()
        };
        let first = store.core().building.begin("orders", "at".to_owned(), 10);
        let second = store.core().building.begin("orders", "at".to_owned(), 10);
        first.add(4);
        first.add(3);
        assert_eq!(shown(&store), ["orders at: 7 of 10", "orders at: 0 of 10"]);
        drop(first);
        assert_eq!(shown(&store), ["orders at: 0 of 10"]);
        drop(second);
        assert!(shown(&store).is_empty());
    }
}

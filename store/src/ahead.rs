//! Transactions that go ahead of the disk: each begins on what is admitted, and the next can begin before it is durable.
//!
//! So a row of transactions, each of which sees what the ones before have written, is many to one write to the disk.
//!
//! Rule: what one came to is sealed until all that it rests on is durable. That holds for what it read as for what it
//! wrote, and for failures too.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{CommitError, Poisoned};
use crate::store::{Core, Store};
use crate::transact::{Fate, Goal, Run, Transacted};
use crate::transaction::Transaction;

/// What a transaction came to, not to be told before it is settled.
#[must_use = "what was not settled may never come true"]
pub struct Ahead<T> {
    value: T,
    fate: Fate,
    core: Arc<Core>,
}

impl Store {
    /// As [`Store::transact`], but begins on all that is admitted, durable or not, and returns as soon as what becomes of
    /// the transaction is decided. What begins after that sees its writes.
    ///
    /// An error at once is one that rests on what is durable.
    pub async fn transact_ahead<T, F>(
        &self,
        limit: Duration,
        run: impl FnMut(Transaction) -> F,
    ) -> Result<Ahead<T>, CommitError>
    where
        F: Future<Output = Run<T>>,
    {
        let (value, fate) = self.core().transact(limit, run, Goal::Admitted).await?;
        Ok(Ahead { value, fate, core: self.core().clone() })
    }

    /// Waits until all is durable that is admitted by now.
    pub async fn all_durable(&self) -> Result<(), Poisoned> {
        self.core().all_durable().await
    }
}

impl<T> Ahead<T> {
    /// What the transaction came to, for who decides how to go on: it is not to be told.
    pub fn peek(&self) -> &T {
        &self.value
    }

    /// Waits until nothing can take back what the transaction came to.
    ///
    /// [`CommitError::Conflict`] says that the engine refused what it was written with or what it had read. Nothing of
    /// it was written; it may be run again.
    pub async fn settled(self) -> Result<Transacted<T>, CommitError> {
        let Self { value, fate, core } = self;
        Ok(Transacted { value, committed: core.settle(fate).await? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::future::ready;
    use std::sync::atomic::Ordering;

    use futures_util::FutureExt;
    use serde_json::{Map, Value, json};
    use weir_schema::declarations::{Collection, Declarations};
    use weir_schema::id::DocumentId;

    use super::*;
    use crate::options::Options;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let mut declarations = Declarations::default();
        let (name, module) = ("counters".to_owned(), String::new());
        let (document, value, indexes, references) = (name.clone(), name.clone(), Vec::new(), Vec::new());
        let collection = Collection { name: name.clone(), document, value, module, indexes, references };
        declarations.collections.insert(name, collection);
        store.apply_collections(&declarations).await.unwrap();
        (store, folder)
    }

    fn number(transaction: &mut Transaction) -> u64 {
        let text = transaction.get("counters", &DocumentId::parse("a").unwrap()).unwrap();
        text.map_or(0, |text| serde_json::from_slice::<Value>(&text).unwrap()["n"].as_u64().unwrap())
    }

    fn add(mut transaction: Transaction) -> std::future::Ready<Run<u64>> {
        let n = number(&mut transaction) + 1;
        let document: Map<String, Value> = [("n".to_owned(), json!(n))].into_iter().collect();
        transaction.put("counters", &DocumentId::parse("a").unwrap(), document).unwrap();
        ready(Run::Commit(transaction, n))
    }

    fn read(mut transaction: Transaction) -> std::future::Ready<Run<u64>> {
        ready(Run::Abort(number(&mut transaction)))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_row_does_not_wait_for_the_disk_and_tells_nothing_before_it() {
        let (store, _folder) = store().await;
        let disk = store.core().engine.disk.clone();
        let before = store.groups_written();
        let gate = disk.gate.write().await;
        let mut row = Vec::new();
        for n in 1..=200 {
            row.push((n, store.transact_ahead(LIMIT, add).await.unwrap()));
            row.push((n, store.transact_ahead(LIMIT, read).await.unwrap()));
        }
        // An ordinary reader sees nothing of it, and nobody is told.
        assert_eq!(number(&mut store.begin().unwrap()), 0);
        let mut settled: Vec<_> = row.into_iter().map(|(n, ahead)| (n, Box::pin(ahead.settled()))).collect();
        assert!(settled.iter_mut().all(|(_, settled)| settled.as_mut().now_or_never().is_none()));
        assert!(store.all_durable().now_or_never().is_none());
        drop(gate);
        for (n, settled) in settled {
            assert_eq!(settled.await.unwrap().value, n);
        }
        // The first went alone, all others followed together.
        assert_eq!(store.groups_written() - before, 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_the_engine_refuses_is_told_to_all_who_have_seen_it_and_the_store_goes_on() {
        let (store, _folder) = store().await;
        let disk = store.core().engine.disk.clone();
        let gate = disk.gate.write().await;
        disk.refuses.store(true, Ordering::SeqCst);
        let mut row = Vec::new();
        for _ in 0..5 {
            row.push(store.transact_ahead(LIMIT, add).await.unwrap());
            row.push(store.transact_ahead(LIMIT, read).await.unwrap());
        }
        drop(gate);
        for ahead in row {
            assert_eq!(ahead.settled().await, Err(CommitError::Conflict));
        }
        assert_eq!(store.transact_ahead(LIMIT, read).await.unwrap().settled().await.unwrap().value, 0);
        assert_eq!(store.transact_ahead(LIMIT, add).await.unwrap().settled().await.unwrap().value, 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_the_engine_refuses_is_run_again_for_who_waits_in_turn() {
        let (store, _folder) = store().await;
        let disk = store.core().engine.disk.clone();
        let gate = disk.gate.write().await;
        disk.refuses.store(true, Ordering::SeqCst);
        let first = store.transact_ahead(LIMIT, add).await.unwrap();
        // Its first run conflicts with what is pending, and its second reads that.
        let others = store.clone();
        let waiting = tokio::spawn(async move { others.transact(LIMIT, add).await });
        let reading = store.transact_ahead(LIMIT, read).await.unwrap();
        drop(gate);
        assert_eq!(first.settled().await, Err(CommitError::Conflict));
        assert_eq!(reading.settled().await, Err(CommitError::Conflict));
        assert_eq!(waiting.await.unwrap().unwrap().value, 1);
    }
}

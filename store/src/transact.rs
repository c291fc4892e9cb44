//! Runs a transaction until it is committed: beside others first, after a conflict in its turn.
//!
//! Rule: contention delays a transaction and never fails it.

use std::time::Duration;

use crate::error::{CommitError, Poisoned};
use crate::group::Verdict;
use crate::notice::Committed;
use crate::prepared::Prepared;
use crate::store::{Core, Store};
use crate::transaction::Transaction;
use crate::turns::Footprint;

/// Turns after which a transaction, whose footprint is another each time, waits until it is alone.
const TURNS_BY_FOOTPRINT: u32 = 3;

/// What one run of a transaction came to.
#[allow(clippy::large_enum_variant, reason = "it is made and taken apart at once, and mostly it is the large variant")]
pub enum Run<T> {
    /// It shall be committed.
    Commit(Transaction, T),
    /// Nothing of it shall be kept.
    Abort(T),
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transacted<T> {
    /// What its last run gave.
    pub value: T,
    /// Its commit; `None` where it was aborted.
    pub committed: Option<Committed>,
}

impl Store {
    /// Runs a transaction as often as it takes, each time on a newer state, and commits it.
    ///
    /// After `attempts_optimistic` conflicts it reserves what its last run read and wrote, and waits for its turn: those
    /// that would conflict with it wait for theirs. In its turn it reads what is admitted, durable or not, and is told
    /// what came of it when all of that is durable. A turn lasts for `limit` at most.
    pub async fn transact<T, F>(
        &self,
        limit: Duration,
        mut run: impl FnMut(Transaction) -> F,
    ) -> Result<Transacted<T>, CommitError>
    where
        F: Future<Output = Run<T>>,
    {
        let core = self.core();
        let mut footprint = Footprint::default();
        for _ in 0..core.options.attempts_optimistic {
            let transaction = core.begin()?;
            match attempt(core, transaction, &mut run).await? {
                Attempt::Over(transacted) => return Ok(transacted),
                Attempt::Conflict(again) => footprint = again,
            }
        }
        let mut turns = 0;
        loop {
            let reserved = if turns > TURNS_BY_FOOTPRINT { Footprint::everything() } else { footprint.clone() };
            let turn = core.turns.reserve(reserved, limit).await;
            let transaction = core.begin_in_turn(turn)?;
            match attempt(core, transaction, &mut run).await? {
                Attempt::Over(transacted) => return Ok(transacted),
                Attempt::Conflict(again) => footprint.widen(again),
            }
            turns += 1;
        }
    }
}

enum Attempt<T> {
    Over(Transacted<T>),
    Conflict(Footprint),
}

async fn attempt<T, F>(
    core: &Core,
    transaction: Transaction,
    run: &mut impl FnMut(Transaction) -> F,
) -> Result<Attempt<T>, CommitError>
where
    F: Future<Output = Run<T>>,
{
    let seen = transaction.head();
    let (prepared, value) = match run(transaction).await {
        Run::Commit(transaction, value) => (Prepared::new(transaction), value),
        Run::Abort(value) => {
            core.durable(seen.sequence).await?;
            return Ok(Attempt::Over(Transacted { value, committed: None }));
        }
    };
    if prepared.is_empty() {
        drop(prepared);
        core.durable(seen.sequence).await?;
        let committed = Committed { timestamp: seen.timestamp, sequence: seen.sequence };
        return Ok(Attempt::Over(Transacted { value, committed: Some(committed) }));
    }
    match core.submit(prepared).await {
        Verdict::Committed(committed) => Ok(Attempt::Over(Transacted { value, committed: Some(committed) })),
        Verdict::Conflict(footprint) => Ok(Attempt::Conflict(footprint)),
        Verdict::Failed(error) => Err(error),
    }
}

impl Core {
    /// Waits until a commit is durable: what was learned from it may be told then.
    pub(crate) async fn durable(&self, sequence: u64) -> Result<(), Poisoned> {
        let mut durable = self.published.durable.subscribe();
        while *durable.borrow_and_update() < sequence {
            self.health.check()?;
            // The sender lives as long as the core does.
            let _ = durable.changed().await;
        }
        Ok(())
    }
}

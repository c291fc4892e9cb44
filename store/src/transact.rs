//! Runs a transaction until it is committed: beside others first, after a conflict in its turn.
//!
//! Rule: contention delays a transaction and never fails it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use weir_schema::codec::journal::Head;

use crate::error::{CommitError, Poisoned};
use crate::group::Verdict;
use crate::notice::Committed;
use crate::prepared::Prepared;
use crate::store::{Core, Store, Submitted};
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
    /// Runs a transaction as often as it takes, each time on a newer state, and commits it. It reads what is admitted, durable
    /// or not, and what came of it is told when all of that is durable.
    ///
    /// After `attempts_optimistic` conflicts it reserves what its last run read and wrote, and waits for its turn: those
    /// that would conflict with it wait for theirs. A turn lasts for `limit` at most.
    pub async fn transact<T, F>(
        &self,
        limit: Duration,
        run: impl FnMut(Transaction) -> F,
    ) -> Result<Transacted<T>, CommitError>
    where
        F: Future<Output = Run<T>>,
    {
        let (value, fate) = self.core().transact(limit, run, Goal::Durable).await?;
        Ok(Transacted { value, committed: self.core().settle(fate).await? })
    }
}

/// How far a transaction is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Until nothing can take back what it came to.
    Durable,
    /// Until it has its place in the order of commits.
    Admitted,
}

/// What is known of a transaction that has reached its goal.
#[derive(Debug)]
pub(crate) enum Fate {
    /// All that it rests on is durable.
    Known(Option<Committed>),
    /// It has written nothing, and has read up to here.
    Read { seen: Seen, committed: Option<Committed> },
    /// It will be committed once those before it are.
    Admitted(oneshot::Receiver<Verdict>),
}

/// The last commit that a transaction sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) sequence: u64,
    /// As in [`Transaction`]: with one it may not be durable yet.
    pub(crate) epoch: Option<u64>,
}

enum Attempt<T> {
    Over(T, Fate),
    Conflict(Footprint),
}

impl Core {
    /// Runs a transaction until it has reached its goal, as often as it takes.
    pub(crate) async fn transact<T, F>(
        &self,
        limit: Duration,
        mut run: impl FnMut(Transaction) -> F,
        goal: Goal,
    ) -> Result<(T, Fate), CommitError>
    where
        F: Future<Output = Run<T>>,
    {
        let mut footprint = Footprint::default();
        for _ in 0..self.options.attempts_optimistic {
            match self.attempt(self.begin_ahead()?, &mut run, goal).await? {
                Attempt::Over(value, fate) => return Ok((value, fate)),
                Attempt::Conflict(again) => footprint = again,
            }
        }
        let mut turns = 0;
        loop {
            let reserved = if turns > TURNS_BY_FOOTPRINT { Footprint::everything() } else { footprint.clone() };
            let turn = self.turns.reserve(reserved, limit).await;
            let transaction = self.begin_in_turn(turn)?;
            match self.attempt(transaction, &mut run, goal).await? {
                Attempt::Over(value, fate) => return Ok((value, fate)),
                Attempt::Conflict(again) => footprint.widen(again),
            }
            turns += 1;
        }
    }

    async fn attempt<T, F>(
        &self,
        mut transaction: Transaction,
        run: &mut impl FnMut(Transaction) -> F,
        goal: Goal,
    ) -> Result<Attempt<T>, CommitError>
    where
        F: Future<Output = Run<T>>,
    {
        let told = Arc::new(Mutex::new(transaction.seen()));
        transaction.told = Some(told.clone());
        let (transaction, value) = match run(transaction).await {
            Run::Commit(transaction, value) => (transaction, value),
            Run::Abort(value) => {
                let seen = *told.lock();
                return self.read(value, seen, None, goal).await;
            }
        };
        transaction.check_kept()?;
        transaction.check_held()?;
        let (seen, Head { sequence, timestamp, .. }) = (transaction.seen(), transaction.head());
        let prepared = Prepared::new(transaction);
        if prepared.is_empty() {
            drop(prepared);
            return self.read(value, seen, Some(Committed { timestamp, sequence }), goal).await;
        }
        let submitted = match goal {
            Goal::Durable => Submitted::Judged(self.submit(prepared).await),
            Goal::Admitted => self.submit_ahead(prepared).await,
        };
        let verdict = match submitted {
            Submitted::Decided(verdict) => return Ok(Attempt::Over(value, Fate::Admitted(verdict))),
            Submitted::Judged(verdict) => verdict,
        };
        match verdict {
            Verdict::Committed(committed) => Ok(Attempt::Over(value, Fate::Known(Some(committed)))),
            Verdict::Conflict(footprint) => Ok(Attempt::Conflict(footprint)),
            Verdict::Failed(error) => Err(error),
        }
    }

    /// Ends an attempt that has nothing to commit.
    async fn read<T>(
        &self,
        value: T,
        seen: Seen,
        committed: Option<Committed>,
        goal: Goal,
    ) -> Result<Attempt<T>, CommitError> {
        match goal {
            Goal::Admitted => Ok(Attempt::Over(value, Fate::Read { seen, committed })),
            Goal::Durable if self.durable(seen).await? => Ok(Attempt::Over(value, Fate::Known(committed))),
            Goal::Durable => Ok(Attempt::Conflict(Footprint::default())),
        }
    }

    /// Waits until nothing can take back what a transaction came to. `Conflict`: the engine has refused what it was
    /// written with, or what it had read.
    pub(crate) async fn settle(&self, fate: Fate) -> Result<Option<Committed>, CommitError> {
        match fate {
            Fate::Known(committed) => Ok(committed),
            Fate::Read { seen, committed } => {
                if self.durable(seen).await? {
                    Ok(committed)
                } else {
                    Err(CommitError::Conflict)
                }
            }
            Fate::Admitted(verdict) => match self.verdict(verdict).await {
                Verdict::Committed(committed) => Ok(Some(committed)),
                Verdict::Conflict(_) => Err(CommitError::Conflict),
                Verdict::Failed(error) => Err(error),
            },
        }
    }

    /// Waits until what was seen is durable: what was learned from it may be told then. False where it will never be,
    /// because the engine refused it.
    pub(crate) async fn durable(&self, seen: Seen) -> Result<bool, Poisoned> {
        let mut durable = self.published.durable.subscribe();
        while *durable.borrow_and_update() < seen.sequence {
            self.health.check()?;
            if self.is_given_up(seen) {
                return Ok(false);
            }
            // The sender lives as long as the core does.
            let _ = durable.changed().await;
        }
        Ok(!self.is_given_up(seen))
    }

    fn is_given_up(&self, seen: Seen) -> bool {
        seen.epoch.is_some_and(|epoch| self.published.pending.lock().epoch != epoch)
    }

    /// Waits until all is durable that is admitted by now.
    pub(crate) async fn all_durable(&self) -> Result<(), Poisoned> {
        let seen = {
            let pending = self.published.pending.lock();
            Seen { sequence: pending.head.sequence, epoch: Some(pending.epoch) }
        };
        // What is given up need not be waited for.
        self.durable(seen).await.map(drop)
    }
}

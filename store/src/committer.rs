//! The one task that orders commits.
//!
//! A commit is admitted, or refused, as soon as it arrives: it gets its place and waits in the open group. One group is
//! being written at a time, by a task beside this one; when it is durable the open one follows. So what arrives during a
//! write shares the next, and a transaction whose turn it is can read what is admitted and follow it into its group.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use weir_schema::codec::journal::Head;
use weir_schema::codec::key::{self, Key};
use weir_schema::codec::outcome::KeptOutcome;

use crate::catalog::Catalog;
use crate::clock;
use crate::engine::Engine;
use crate::error::{CommitError, Poisoned};
use crate::group::{Admitted, Answer, Ends, Group, Holders, Upkeep, Verdict, to_json};
use crate::health::Health;
use crate::notice::{Committed, Notice};
use crate::options::Options;
use crate::pending::{Pending, PendingGroup};
use crate::people::People;
use crate::prepared::Prepared;
use crate::turns::{Footprint, Turns};
use crate::uniqueness::{self, Uniqueness};
use crate::window::Window;
use crate::witness::Witness;

/// What the committer is asked.
pub(crate) enum Request {
    /// Commits, and answers once it is durable or refused. The caller need not wait for the answer.
    Commit { prepared: Box<Prepared>, answer: Answer },
    /// Erases what is no longer needed and writes what is kept of views, with the next write.
    Upkeep { upkeep: Upkeep, done: oneshot::Sender<()> },
    /// Takes no further commits, closes the engine and answers.
    Close { answer: oneshot::Sender<()> },
}

/// What the committer tells everyone.
pub(crate) struct Published {
    /// The last durable commit.
    pub(crate) head: RwLock<Head>,
    /// That of the last durable commit. A snapshot may be ahead or behind: compare versions.
    pub(crate) catalog: ArcSwap<Catalog>,
    pub(crate) notices: broadcast::Sender<Arc<Notice>>,
    /// The sequence of the last durable commit; also wakes when the store stops.
    pub(crate) durable: watch::Sender<u64>,
    /// Writes with commits in them.
    pub(crate) groups_written: AtomicU64,
    pub(crate) pending: Mutex<Pending>,
}

/// The group that is being written, and what comes of it.
type Write = JoinHandle<(Group, Result<Option<Ends>, Poisoned>)>;

/// The state that only the committer has.
pub(crate) struct Committer {
    pub(crate) engine: Engine,
    pub(crate) health: Health,
    pub(crate) published: Arc<Published>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) window: Window,
    /// The last admitted commit.
    pub(crate) head: Head,
    pub(crate) ends: Ends,
    pub(crate) witness: Witness,
    pub(crate) people: Arc<People>,
    pub(crate) options: Options,
    pub(crate) open: Group,
    pub(crate) write: Option<Write>,
    /// What the group in the write changed of the unique indexes.
    pub(crate) holders_in_write: Holders,
    pub(crate) closing: Vec<oneshot::Sender<()>>,
}

impl Committer {
    /// Serves requests until all handles are gone.
    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        if !self.open.is_empty() {
            self.start_write();
        }
        loop {
            let room = if self.closing.is_empty() { self.room() } else { 0 };
            tokio::select! {
                biased;
                (group, written) = finished(&mut self.write), if self.write.is_some() => self.finish(group, written),
                arrived = requests.recv(), if room > 0 => match arrived {
                    Some(request) => self.take_with_others(request, room, &mut requests),
                    None => break,
                },
            }
            if self.write.is_none() && !self.open.is_empty() {
                self.start_write();
            }
            if self.write.is_none() && !self.closing.is_empty() {
                self.close(&mut requests).await;
            }
        }
    }

    /// How many more commits the open group takes.
    fn room(&self) -> usize {
        if self.open.bytes >= self.options.commit_group_bytes_max {
            return 0;
        }
        self.options.commit_group_max.saturating_sub(self.open.commits.len() + self.open.upkeep.len())
    }

    /// Takes a request and those that have arrived with it: at most so many, and none once the open group is full.
    fn take_with_others(&mut self, first: Request, count: usize, requests: &mut mpsc::Receiver<Request>) {
        self.take(first);
        for _ in 1..count {
            if self.room() == 0 {
                return;
            }
            let Ok(request) = requests.try_recv() else { return };
            self.take(request);
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Commit { prepared, answer } => match self.engine.check() {
                Ok(()) => self.judge(*prepared, answer),
                // Nothing was given to the engine yet.
                Err(poisoned) => answer.reply(Verdict::Failed(CommitError::Unavailable(poisoned))),
            },
            Request::Upkeep { upkeep, done } => {
                if upkeep.erased.iter().all(|key| self.window.is_untouched(upkeep.since, key)) {
                    // A store that has stopped keeps what it has.
                    if self.engine.check().is_ok() {
                        self.open.bytes += bytes_of(&upkeep.kept);
                        self.open.upkeep.push((upkeep, done));
                    }
                } else {
                    // It has to be worked out again. Who asked may have gone.
                    let _ = done.send(());
                }
            }
            Request::Close { answer } => self.closing.push(answer),
        }
    }

    /// Gives a commit its place, or says why it has none. Its turn ends either way.
    ///
    /// What is pending is locked meanwhile: a transaction whose turn begins either sees this commit, or had its reads
    /// protected from it.
    fn judge(&mut self, prepared: Prepared, mut answer: Answer) {
        let published = self.published.clone();
        let mut pending = published.pending.lock();
        if !self.is_current(&prepared, pending.epoch) {
            let Prepared { read_set: reads, touched, .. } = prepared;
            return answer.reply(Verdict::Conflict(Footprint { reads, touched }));
        }
        match uniqueness::check(&prepared, &[&self.open.holders, &self.holders_in_write], &self.engine) {
            Ok(Uniqueness::Kept(holders)) => self.open.holders.extend(holders),
            Ok(Uniqueness::Violated(violation)) => {
                let refusal = CommitError::Unique(violation);
                return if self.open.is_empty() && self.write.is_none() {
                    answer.reply(Verdict::Failed(refusal));
                } else {
                    answer.decided();
                    self.open.refused.push((answer, refusal));
                };
            }
            Err(poisoned) => return answer.reply(Verdict::Failed(CommitError::Unavailable(poisoned))),
        }
        self.admit(prepared, answer, &mut pending);
    }

    /// Whether nothing that it read has changed, and nothing that others rely on would be.
    fn is_current(&self, prepared: &Prepared, now: u64) -> bool {
        let Prepared { since, epoch, read_set, touched, turn, .. } = prepared;
        let number = turn.as_ref().map(|turn| turn.number);
        if epoch.is_some_and(|epoch| epoch != now) || !self.turns.permit(number, touched) {
            return false;
        }
        let compared = self.options.validation.compared(read_set, touched);
        number.is_some_and(|number| self.turns.protects(number, read_set)) || self.window.is_current(*since, &compared)
    }

    fn admit(&mut self, prepared: Prepared, mut answer: Answer, pending: &mut Pending) {
        self.head.sequence += 1;
        self.head.timestamp = clock::next(self.head.timestamp, clock::now_ns());
        let Prepared { mut writes, changes, touched, kept, audit, erases, next_catalog, turn, .. } = prepared;
        if let Some(kept) = kept {
            let expiry = key::expiry(kept.expires_ms, &kept.key);
            let record = KeptOutcome {
                request: kept.request,
                commit: self.head.timestamp,
                expires_ms: kept.expires_ms,
                outcome: kept.outcome,
            };
            writes.push((key::outcome(&kept.key), Some(to_json(&record).into())));
            writes.push((expiry, Some(Bytes::new())));
        }
        self.open.bytes += bytes_of(&writes);
        if let Some(catalog) = next_catalog {
            self.head.catalog = catalog.version;
            pending.catalog = catalog.clone();
            self.open.catalog = Some(catalog);
        }
        let writes: Arc<[_]> = writes.into();
        let notice = Arc::new(Notice::new(self.head, touched));
        self.window.push(notice.clone());
        self.open.pending.push(self.head.sequence, writes.clone());
        pending.head = self.head;
        // Who goes on and whose turn comes next find this commit pending.
        answer.decided();
        drop(turn);
        self.open.commits.push(Admitted { head: self.head, writes, changes, audit, erases, notice, answer });
    }

    fn start_write(&mut self) {
        let mut group = std::mem::take(&mut self.open);
        self.published.pending.lock().groups.push(self.open.pending.clone());
        self.holders_in_write = std::mem::take(&mut group.holders);
        let (engine, people, ends) = (self.engine.clone(), self.people.clone(), self.ends);
        self.write = Some(tokio::spawn(async move {
            let written = group.write(&engine, &people, ends).await;
            (group, written)
        }));
    }

    /// Tells what came of a write. What is durable is told before it is acknowledged: who gets the answer can rely on
    /// all others having the notice.
    fn finish(&mut self, group: Group, written: Result<Option<Ends>, Poisoned>) {
        self.write = None;
        self.holders_in_write = Holders::default();
        match written {
            Ok(Some(ends)) => {
                self.ends = ends;
                self.published.pending.lock().groups.remove(0);
                if self.open.is_empty() {
                    // What they were refused for is durable now.
                    let refused = std::mem::take(&mut self.open.refused);
                    refused.into_iter().for_each(|(answer, refusal)| answer.reply(Verdict::Failed(refusal)));
                } else {
                    self.start_write();
                }
                self.announce(group);
            }
            Ok(None) => self.start_over(group),
            Err(poisoned) => {
                let poisoned = self.health.poison(poisoned.reason);
                let open = std::mem::take(&mut self.open);
                let unknown = CommitError::OutcomeUnknown(poisoned.clone());
                group.commits.into_iter().for_each(|it| it.answer.reply(Verdict::Failed(unknown.clone())));
                let unavailable = CommitError::Unavailable(poisoned);
                let never_written = open.commits.into_iter().map(|it| it.answer);
                let refused = group.refused.into_iter().chain(open.refused).map(|(answer, _)| answer);
                never_written.chain(refused).for_each(|answer| answer.reply(Verdict::Failed(unavailable.clone())));
                self.published.durable.send_modify(|_| {});
            }
        }
    }

    fn announce(&self, group: Group) {
        if let Some(catalog) = group.catalog {
            self.published.catalog.store(catalog);
        }
        if let Some(last) = group.commits.last() {
            self.witness.acknowledge(last.head.sequence);
            *self.published.head.write() = last.head;
            for commit in &group.commits {
                // Nobody may be listening.
                let _ = self.published.notices.send(commit.notice.clone());
            }
            self.published.groups_written.fetch_add(1, Ordering::Relaxed);
            self.published.durable.send_replace(last.head.sequence);
        }
        for Admitted { head, answer, .. } in group.commits {
            answer.reply(Verdict::Committed(Committed { timestamp: head.timestamp, sequence: head.sequence }));
        }
        for (answer, refusal) in group.refused {
            answer.reply(Verdict::Failed(refusal));
        }
        for (_, done) in group.upkeep {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    /// The engine refused a write, and nothing of it took effect: what was admitted has lost its place.
    fn start_over(&mut self, group: Group) {
        self.head = *self.published.head.read();
        self.window.reset(self.head.sequence);
        let open = std::mem::take(&mut self.open);
        {
            let mut pending = self.published.pending.lock();
            let epoch = pending.epoch + 1;
            let catalog = self.published.catalog.load_full();
            *pending = Pending { groups: vec![self.open.pending.clone()], head: self.head, catalog, epoch };
        }
        // Nobody shall wait for what will never be.
        self.published.durable.send_modify(|_| {});
        for group in [group, open] {
            let refused = group.refused.into_iter().map(|(answer, _)| answer);
            let answers = group.commits.into_iter().map(|commit| commit.answer).chain(refused);
            answers.for_each(|answer| answer.reply(Verdict::Conflict(Footprint::default())));
        }
    }

    async fn close(&mut self, requests: &mut mpsc::Receiver<Request>) {
        self.health.close();
        // The reason is kept in `health`; who closes has nothing better to do with it.
        let _ = self.engine.close().await;
        requests.close();
        self.published.durable.send_modify(|_| {});
        for answer in self.closing.drain(..) {
            let _ = answer.send(());
        }
    }
}

/// Of what is written.
fn bytes_of(writes: &[(Key, Option<Bytes>)]) -> usize {
    writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum()
}

/// The published state of a store that was just opened.
pub(crate) fn published(head: Head, catalog: Catalog, open: &Arc<PendingGroup>, notices_max: usize) -> Published {
    let (notices, _) = broadcast::channel(notices_max);
    let catalog = Arc::new(catalog);
    let pending = Pending { groups: vec![open.clone()], head, catalog: catalog.clone(), epoch: 0 };
    Published {
        head: RwLock::new(head),
        catalog: ArcSwap::new(catalog),
        notices,
        durable: watch::channel(head.sequence).0,
        groups_written: AtomicU64::new(0),
        pending: Mutex::new(pending),
    }
}

async fn finished(write: &mut Option<Write>) -> (Group, Result<Option<Ends>, Poisoned>) {
    match write {
        Some(write) => match write.await {
            Ok(finished) => finished,
            // A write that panics takes its group with it; its callers are told that the outcome is not known.
            Err(error) => (Group::default(), Err(Poisoned { reason: error.to_string().into() })),
        },
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use futures_util::future::join_all;
    use serde_json::json;
    use weir_schema::declarations::{Collection, Declarations};
    use weir_schema::id::DocumentId;

    use crate::{Options, Store};

    #[tokio::test]
    async fn a_group_takes_no_more_once_it_has_its_bytes_also_of_those_that_arrive_together() {
        const COMMITS: u64 = 100;
        let folder = tempfile::tempdir().unwrap();
        let options = Options { commit_group_bytes_max: 1_000, ..Options::default() };
        let store = Store::open(folder.path(), options).unwrap();
        let mut declarations = Declarations::default();
        let (name, module) = ("texts".to_owned(), String::new());
        let (document, value, indexes, references) = (name.clone(), name.clone(), Vec::new(), Vec::new());
        let collection = Collection { name: name.clone(), document, value, module, indexes, references };
        declarations.collections.insert(name, collection);
        store.apply_collections(&declarations).await.unwrap();
        let before = store.groups_written();
        let disk = store.core().engine.disk.clone();
        let gate = disk.gate.write().await;
        let large = |number: u64| {
            let mut transaction = store.begin().unwrap();
            let text = json!({ "text": "x".repeat(1_000) }).as_object().cloned().unwrap();
            transaction.put("texts", &DocumentId::parse(format!("t{number}")).unwrap(), text).unwrap();
            store.commit(transaction)
        };
        let commits = join_all((0..COMMITS).map(large));
        let open = async {
            tokio::task::yield_now().await;
            drop(gate);
        };
        let (committed, ()) = tokio::join!(commits, open);
        assert!(committed.into_iter().all(|committed| committed.is_ok()));
        assert_eq!(store.groups_written() - before, COMMITS);
    }
}

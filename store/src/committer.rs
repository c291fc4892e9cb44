//! The one task that orders commits. One group is in flight at a time; what arrives meanwhile is the next one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use tokio::sync::{broadcast, mpsc, oneshot};
use weir_schema::codec::journal::Head;

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::{CommitError, Poisoned};
use crate::group::Group;
use crate::health::Health;
use crate::notice::{Committed, Notice};
use crate::options::Options;
use crate::prepared::Prepared;
use crate::window::Window;

/// What a commit ends in.
pub(crate) type Outcome = Result<Committed, CommitError>;

/// What the committer is asked.
pub(crate) enum Request {
    /// Commits, and answers once it is durable or refused. The caller need not wait for the answer.
    Commit { prepared: Box<Prepared>, answer: oneshot::Sender<Outcome> },
    /// Takes no further commits, closes the engine and answers.
    Close { answer: oneshot::Sender<()> },
}

/// What the committer tells everyone.
pub(crate) struct Published {
    pub(crate) head: RwLock<Head>,
    /// That of the last commit. A snapshot may be ahead or behind: compare versions.
    pub(crate) catalog: ArcSwap<Catalog>,
    pub(crate) notices: broadcast::Sender<Arc<Notice>>,
}

/// The state that only the committer has.
pub(crate) struct Committer {
    pub(crate) engine: Engine,
    pub(crate) health: Health,
    pub(crate) published: Arc<Published>,
    pub(crate) window: Window,
    /// The last durable commit.
    pub(crate) head: Head,
    pub(crate) options: Options,
}

/// A commit that is in the group and waits for it.
struct Admitted {
    answer: oneshot::Sender<Outcome>,
    outcome: Outcome,
}

impl Committer {
    /// Serves requests until it is asked to close or all handles are gone.
    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut arrived = Vec::new();
        while requests.recv_many(&mut arrived, self.options.commit_group_max).await > 0 {
            let mut commits = Vec::with_capacity(arrived.len());
            let mut closing = Vec::new();
            for request in arrived.drain(..) {
                match request {
                    Request::Commit { prepared, answer } => commits.push((prepared, answer)),
                    Request::Close { answer } => closing.push(answer),
                }
            }
            let mut commits = commits.into_iter().peekable();
            while commits.peek().is_some() {
                self.commit_some(&mut commits).await;
            }
            if !closing.is_empty() {
                self.health.close();
                // The reason is kept in `health`; who closes has nothing better to do with it.
                let _ = self.engine.close().await;
                requests.close();
            }
            for answer in closing {
                let _ = answer.send(());
            }
        }
    }

    /// Commits as many as fit into one group.
    async fn commit_some(&mut self, commits: &mut impl Iterator<Item = (Box<Prepared>, oneshot::Sender<Outcome>)>) {
        let mut admitted = Vec::new();
        match self.engine.check().and_then(|()| self.admit(commits, &mut admitted)) {
            Ok(group) if group.is_empty() => {}
            Ok(group) => self.write(group, &mut admitted).await,
            // Nothing was given to the engine yet.
            Err(poisoned) => {
                for waiting in &mut admitted {
                    waiting.outcome = Err(CommitError::Unavailable(poisoned.clone()));
                }
                for (_, answer) in commits {
                    let outcome = Err(CommitError::Unavailable(poisoned.clone()));
                    admitted.push(Admitted { answer, outcome });
                }
            }
        }
        for Admitted { answer, outcome } in admitted {
            // A caller that has gone does not want to know.
            let _ = answer.send(outcome);
        }
    }

    fn admit(
        &mut self,
        commits: &mut impl Iterator<Item = (Box<Prepared>, oneshot::Sender<Outcome>)>,
        admitted: &mut Vec<Admitted>,
    ) -> Result<Group, Poisoned> {
        let mut group = Group::new(&self.engine, self.head)?;
        let mut bytes = 0;
        for (prepared, answer) in commits.by_ref() {
            bytes += prepared.bytes();
            match group.admit(&mut self.window, self.options.validation, *prepared) {
                Ok(outcome) => admitted.push(Admitted { answer, outcome }),
                Err(poisoned) => {
                    admitted.push(Admitted { answer, outcome: Err(CommitError::Unavailable(poisoned.clone())) });
                    return Err(poisoned);
                }
            }
            if bytes >= self.options.commit_group_bytes_max {
                break;
            }
        }
        Ok(group)
    }

    /// Writes the group. What is durable is told before it is acknowledged: who gets the answer can rely on all others
    /// having the notice.
    async fn write(&mut self, group: Group, admitted: &mut [Admitted]) {
        let failure = match group.commit().await {
            Ok(Some(durable)) => {
                self.head = durable.head;
                if let Some(catalog) = durable.catalog {
                    self.published.catalog.store(catalog);
                }
                *self.published.head.write() = durable.head;
                for notice in durable.notices {
                    // Nobody may be listening.
                    let _ = self.published.notices.send(notice);
                }
                return;
            }
            Ok(None) => {
                self.window.reset(self.head.sequence);
                CommitError::Conflict
            }
            Err(poisoned) => CommitError::OutcomeUnknown(poisoned),
        };
        for waiting in admitted.iter_mut().filter(|waiting| waiting.outcome.is_ok()) {
            waiting.outcome = Err(failure.clone());
        }
    }
}

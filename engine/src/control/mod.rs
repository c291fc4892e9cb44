//! The control plane: which keys are trusted, who administers, what is deployed. It needs the store alone, so that it works
//! whether it is served or not.
//!
//! | module | what it does |
//! |---|---|
//! | [`keys`] | keys that bundles may be signed with |
//! | [`administrators`] | who may use the control plane, and the tokens that they show |
//! | [`acts`] | what changes nothing in the store and is on record all the same |
//! | [`audit`] | the end of the audit log, signed |
//! | [`erasure`] | people whom the audit log tells of no more |
//! | [`inspection`] | a look at what is kept of releases and rollouts |
//! | [`kept_bundles`] | the bundles of releases, sealed |
//! | [`log`] | the audit log, read by who, what and when |
//! | [`refusals`] | what was refused, on record |
//! | [`tokens`] | the end of tokens of the app's callers |
//! | [`tenants`] | tenants and environments, which are served from data folders of their own |
//! | [`environments`] | what an environment has of its app when it is made |
//! | [`resealing`] | a new key that bundles are sealed by |
//! | [`releases`] | what is deployed, and how it becomes the active release |
//! | `judge` | whether its version says what it asks of clients |
//! | `stages` | how long the stages of a deployment took, for the log |
//! | [`difference`] | what has changed from one release to another; `described` is what of an app is compared |
//!
//! Architecture invariant: every change has an audit record, in the commit that makes it.

pub mod acts;
pub mod administrators;
pub mod audit;
mod described;
pub mod difference;
pub mod environments;
pub mod erasure;
pub mod inspection;
pub mod judge;
pub mod kept_bundles;
pub mod keys;
pub mod log;
pub mod refusals;
pub mod releases;
pub mod resealing;
pub(crate) mod stages;
pub mod tenants;
pub mod tokens;

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use weir_schema::codec::audit::{AuditNote, Person};
use weir_schema::digest::Digest;
use weir_store::{CommitError, ControlKind, Poisoned, ReadError, Run, Store, Transaction};

use crate::jobs::Clock;

/// How long a change may keep others waiting.
const TURN_MAX: Duration = Duration::from_secs(5);

/// Who changes something, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    from: Option<String>,
}

impl Actor {
    /// Whoever has the data folder: commands on the machine of the server.
    pub fn operator() -> Self {
        Self { name: "operator".to_owned(), from: None }
    }

    /// Weir itself, where it does by itself what somebody has begun.
    pub fn weir() -> Self {
        Self { name: "weir".to_owned(), from: None }
    }

    /// For the audit log: that they have done something.
    pub(crate) fn note(&self, action: &str, targets: Vec<String>) -> AuditNote {
        let Self { name: actor, from } = self.clone();
        AuditNote { actor, action: action.to_owned(), targets, from, ..AuditNote::default() }
    }

    /// The name in the audit log.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// Why the control plane could not be read or changed, whatever was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The store cannot.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The store has stopped.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The transaction cannot go on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record is not what was written.
    #[error("a record of the control plane cannot be read: {0}")]
    Damaged(String),
}

/// What a change came to, and what is to be said of it in the audit log.
pub(crate) struct Changed<T> {
    value: T,
    action: &'static str,
    targets: Vec<String>,
    /// The person whom it is about, if it is.
    about: Option<Person>,
    /// The digest of what was signed of it, if anything was.
    statement: Option<Digest>,
}

impl<T> Changed<T> {
    pub(crate) fn new(value: T, action: &'static str, targets: Vec<String>) -> Self {
        Self { value, action, targets, about: None, statement: None }
    }

    /// The same with a statement that was signed of it.
    pub(crate) fn stated(self, statement: Digest) -> Self {
        Self { statement: Some(statement), ..self }
    }
}

/// Makes a change and its audit record in one commit.
pub(crate) async fn change<T, E: From<ControlError>>(
    store: &Store,
    actor: &Actor,
    change: impl Fn(&mut Transaction) -> Result<Changed<T>, E>,
) -> Result<T, E> {
    let attempt = |mut transaction: Transaction| match change(&mut transaction) {
        Ok(Changed { value, action, targets, about, statement }) => {
            transaction.record_alone(AuditNote { about, statement, ..actor.note(action, targets) });
            Run::Commit(transaction, Ok(value))
        }
        Err(error) => Run::Abort(Err(error)),
    };
    let transacted = store.transact(TURN_MAX, |transaction| ready(attempt(transaction))).await;
    transacted.map_err(|error| E::from(ControlError::from(error)))?.value
}

/// All records of a kind, as of the last commit.
pub(crate) fn all<T: DeserializeOwned>(store: &Store, kind: ControlKind) -> Result<Vec<T>, ControlError> {
    store.control_all(kind)?.iter().map(|text| parse(text)).collect()
}

/// All records of a kind, as a transaction sees them.
pub(crate) fn all_in<T: DeserializeOwned>(
    transaction: &mut Transaction,
    kind: ControlKind,
) -> Result<Vec<T>, ControlError> {
    transaction.control_all(kind)?.iter().map(|text| parse(text)).collect()
}

pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(text).map_err(|error| ControlError::Damaged(error.to_string()))
}

/// A record of our own, which always has a JSON form.
pub(crate) fn text(record: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(record).unwrap_or_default().into()
}

/// What the clock of the system says, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    Clock::system().now_ms()
}

#[cfg(test)]
pub(crate) mod tests;

//! People whom the audit log tells of no more: their keys are destroyed, and with them what is sealed in its records.
//!
//! Rule: the record about it names by its id whom it was about, and by nothing else.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weir_schema::codec::audit::{Person, PersonId};
use weir_store::{Poisoned, Store};

use super::{Actor, Changed, ControlError, change};
use crate::engine::Engine;

/// Who is to be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Whom {
    /// Who shows the tokens of a subject.
    Subject {
        /// `iss`
        issuer: String,
        /// `sub`
        subject: String,
    },
    /// Who has acted from an address and showed no token.
    Address(IpAddr),
}

/// Somebody of whom the audit log tells no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The id by which records go on naming them.
    pub id: PersonId,
    /// What that has no effect on.
    pub unsealed: Unsealed,
}

/// The last record from before what tells of people was sealed, 0 where there is none. Shown as what that means to whoever erases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsealed(pub u64);

impl fmt::Display for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            last => {
                write!(f, "; records up to {last}, from before format 3, are not sealed and may still name them")
            }
        }
    }
}

/// Why nobody is erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The log says nothing of them that is sealed and could be read.
    #[error("the audit log has nothing about them that can be read{0}")]
    Unknown(Unsealed),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<Poisoned> for EraseError {
    fn from(poisoned: Poisoned) -> Self {
        Self::Control(poisoned.into())
    }
}

impl Whom {
    fn person(&self) -> Person {
        match self {
            Self::Subject { issuer, subject } => Person::of_token(issuer, subject),
            Self::Address(address) => Person::of_address(*address),
        }
    }
}

/// Has the audit log of a store tell of somebody no more.
pub async fn erase(store: &Store, actor: &Actor, whom: &Whom) -> Result<Erased, EraseError> {
    let (person, unsealed) = (whom.person(), Unsealed(store.audit_unsealed()?));
    let id = store.audited(&person)?.ok_or(EraseError::Unknown(unsealed))?;
    change(store, actor, |transaction| {
        transaction.erase(person.clone());
        Ok::<_, EraseError>(Changed::new(Erased { id, unsealed }, "erase", vec![id.to_string()]))
    })
    .await
}

impl Engine {
    /// The same where what was refused until now may not be on record yet. That comes first: written later it would name them
    /// under a new key.
    pub async fn erase(&self, actor: &Actor, whom: &Whom) -> Result<Erased, EraseError> {
        self.refusals().write(self.store()).await.map_err(ControlError::from)?;
        erase(self.store(), actor, whom).await
    }
}

//! The end of tokens of the app's callers, by who administers.
//!
//! Revocations are kept apart from the data, in force before they are acknowledged; the record about one follows at once.

use std::future::ready;

use weir_schema::codec::audit::AuditNote;
use weir_store::{Run, Transaction};

use super::{Actor, ControlError, TURN_MAX};
use crate::engine::Engine;
use crate::revoked::{Revocation, RevokeError, Revoked, Revoking};

/// Why tokens are not revoked, or that is not on record.
#[derive(Debug, thiserror::Error)]
pub enum RevokeTokensError {
    /// They are not.
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    /// They are, and nothing says who did it.
    #[error("the tokens are revoked, but that is not on record: {0}")]
    NotOnRecord(ControlError),
}

impl Engine {
    /// Has tokens of the app's callers count no more.
    pub async fn revoke_tokens(&self, revocation: Revocation, actor: &Actor) -> Result<Revoked, RevokeTokensError> {
        let revoked = self.revoke(revocation).await?;
        let Revocation { issuer, of } = &revoked.revocation;
        let of = match of {
            Revoking::Token(id) => format!("token {id}"),
            Revoking::Subject(subject) => format!("subject {subject}"),
            Revoking::All => "all".to_owned(),
        };
        let Actor { name, from } = actor.clone();
        let targets = vec![issuer.clone(), of];
        let note = AuditNote { actor: name, action: "revokeTokens".to_owned(), targets, from, ..AuditNote::default() };
        let attempt = |mut transaction: Transaction| {
            transaction.record_alone(note.clone());
            ready(Run::Commit(transaction, ()))
        };
        let recorded = self.store().transact(TURN_MAX, attempt).await;
        recorded.map_err(|error| RevokeTokensError::NotOnRecord(error.into()))?;
        Ok(revoked)
    }
}

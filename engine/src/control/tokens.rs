//! The end of tokens of the app's callers, by who administers: the revocation and its record are one commit.

use weir_schema::codec::audit::Person;
use weir_schema::digest::Digest;
use weir_schema::limits::{REVOCATION_TEXT_BYTES_MAX, REVOCATIONS_MAX};
use weir_store::{ControlKey, Store};

use super::{Actor, Changed, ControlError, change, parse, text};
use crate::engine::Engine;
use crate::revoked::{Revocation, Revoked, Revoking, stored};

/// Why tokens are not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// Nobody has such names.
    #[error("an issuer, a subject and the id of a token have 1 to {REVOCATION_TEXT_BYTES_MAX} bytes")]
    Text,
    /// There would be too many.
    #[error("{REVOCATIONS_MAX} revocations are kept already: revoke by issuer or subject instead of by token")]
    TooMany,
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Keeps a revocation that was said at a time in seconds since 1970.
pub async fn revoke(store: &Store, actor: &Actor, revocation: Revocation, at_s: u64) -> Result<Revoked, RevokeError> {
    let Revocation { issuer, of } = &revocation;
    let (kind, named) = match of {
        Revoking::Token(id) => ("token", id.as_str()),
        Revoking::Subject(subject) => ("subject", subject.as_str()),
        Revoking::All => ("all", "*"),
    };
    if [issuer, named].into_iter().any(|text| text.is_empty() || text.len() > REVOCATION_TEXT_BYTES_MAX) {
        return Err(RevokeError::Text);
    }
    let key = ControlKey::Revoked(Digest::of_parts(&[kind, issuer, named].map(str::as_bytes)));
    // Those that stand for many tokens are always let in: there are few, and they are what is left to who has too many.
    let is_full =
        matches!(of, Revoking::Token(_)) && stored(store).map_err(ControlError::from)?.len() >= REVOCATIONS_MAX;
    change(store, actor, |transaction| {
        let before = transaction.control(&key).map_err(ControlError::from)?;
        if before.is_none() && is_full {
            return Err(RevokeError::TooMany);
        }
        let before = before.map(|text| parse::<Revoked>(&text)).transpose()?;
        // A clock that was set back takes nothing of an earlier one back.
        let at_s = before.map_or(at_s, |before| before.at_s.max(at_s));
        let revoked = Revoked { revocation: revocation.clone(), at_s };
        transaction.put_control(&key, Some(text(&revoked)));
        let (targets, about) = match of {
            Revoking::Token(id) => (vec![issuer.clone(), format!("token {id}")], None),
            Revoking::Subject(subject) => {
                (vec![issuer.clone(), kind.to_owned()], Some(Person::of_token(issuer, subject)))
            }
            Revoking::All => (vec![issuer.clone(), kind.to_owned()], None),
        };
        Ok(Changed { about, ..Changed::new(revoked, "revokeTokens", targets) })
    })
    .await
}

impl Engine {
    /// Revokes tokens of the app's callers, from now on and for good.
    pub async fn revoke_tokens(&self, revocation: Revocation, actor: &Actor) -> Result<Revoked, RevokeError> {
        let changing = self.revocations().changing().await;
        let revoked = revoke(self.store(), actor, revocation, self.clock().now_ms() / 1_000).await?;
        changing.done(self.store()).map_err(ControlError::from)?;
        Ok(revoked)
    }
}

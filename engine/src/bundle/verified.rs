//! The check that a bundle may run: signed by as many keys that are trusted as are asked for, whole, for this server's app and this
//! tenant, and newer than what there is.
//!
//! Rule: there is no other way to a [`VerifiedBundle`], and without one nothing is deployed.

use weir_schema::bundle::envelope::{Envelope, KeyId, Signature};
use weir_schema::bundle::{BadBundle, Bundle, Content, Statement};
use weir_schema::codec::control::{ReleaseRecord, SigningKeyRecord, SigningKeyState};
use weir_schema::datetime::{self, Moment};
use weir_schema::digest::Digest;
use weir_schema::tenant::TenantName;

use super::key::PublicKey;

/// A bundle that may run.
#[derive(Debug)]
pub struct VerifiedBundle {
    statement: Statement,
    content: Content,
    signers: Vec<KeyId>,
}

/// What is known when a bundle is checked.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// The keys that were ever trusted.
    pub keys: &'a [SigningKeyRecord],
    /// How many of them have to have signed it; at least one.
    pub signatures: usize,
    /// The tenant whom it has to be for; `None`: the server itself.
    pub tenant: Option<&'a TenantName>,
    /// The release that the store has; `None`: none yet.
    pub kept: Option<&'a ReleaseRecord>,
    /// As of when keys and the statement have to be good, in milliseconds since 1970: now where a bundle is deployed; where the
    /// one that is kept is loaded again, the time when it was. A key that was revoked counts no more either way.
    pub as_of_ms: u64,
}

/// Why a bundle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is none.
    #[error(transparent)]
    Malformed(#[from] BadBundle),
    /// Nobody has signed it.
    #[error("nobody has signed the bundle: weir deploy FILE --key KEYFILE signs it")]
    Unsigned,
    /// Nobody whom this server trusts has.
    #[error("the bundle is signed by {}, which is not trusted here: weir keys trust FILE, with the --tenant and --env that it is deployed to", list(.0))]
    UnknownKey(Vec<KeyId>),
    /// It was changed, or the signature was.
    #[error("the signature of key {0} does not fit: the bundle was changed after it was signed, or the signature was")]
    Signature(KeyId),
    /// The key counts no more.
    #[error("the bundle is signed by key {0}, which was revoked: sign it with another")]
    Revoked(KeyId),
    /// The key counts no more.
    #[error("the bundle is signed by key {key}, which is trusted until {}: sign it with another", moment(.expires_ms))]
    KeyExpired {
        /// The key.
        key: KeyId,
        /// Until when it was good.
        expires_ms: u64,
    },
    /// The key does not count yet.
    #[error(
        "the bundle is signed by key {key}, which is trusted from {} on: sign it with another, or deploy it then",
        moment(.from_ms)
    )]
    KeyTooNew {
        /// The key.
        key: KeyId,
        /// From when on it is good.
        from_ms: u64,
    },
    /// Not as many keys that count as are asked for.
    #[error(
        "the bundle has {counted} of the {needed} signatures that this server asks for, of different keys that it trusts: \
         weir keys sign FILE --key KEYFILE adds one"
    )]
    TooFew {
        /// How many count.
        counted: usize,
        /// How many have to.
        needed: usize,
    },
    /// The content is another than the one that was signed.
    #[error(
        "the content has the digest {found}, signed is {signed}: the two are of different bundles, or it was changed"
    )]
    Digest {
        /// What the statement says.
        signed: Digest,
        /// What it is.
        found: Digest,
    },
    /// The statement is too old.
    #[error("the bundle could be deployed until {}: sign it anew", moment(.0))]
    Expired(u64),
    /// It is of another app.
    #[error("the bundle is of {given}, and this server is for {kept}: serve another data folder for another app")]
    OtherApp {
        /// The app of the bundle.
        given: String,
        /// That of the server.
        kept: String,
    },
    /// It is for somebody else.
    #[error("the bundle is signed for {}, and this is {}: sign it for this one, {}", of(.given), of(.here), how(.here))]
    OtherTenant {
        /// Whom it is for; `None`: the server itself.
        given: Option<TenantName>,
        /// Whose store it is; `None`: the server's own.
        here: Option<TenantName>,
    },
    /// It is older than what the server has.
    #[error(
        "the bundle has sequence {given}, and release {version} that is active has {kept}: sign it anew, so that it is newer"
    )]
    Downgrade {
        /// That of the bundle.
        given: u64,
        /// That of the active release.
        kept: u64,
        /// The version of that.
        version: String,
    },
    /// Two bundles say that they are the same.
    #[error("another bundle with sequence {0} is active: sign this one anew, so that it is newer")]
    Replayed(u64),
}

fn list(keys: &[KeyId]) -> String {
    let noun = if keys.len() == 1 { "key" } else { "keys" };
    format!("{noun} {}", keys.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", "))
}

fn of(tenant: &Option<TenantName>) -> String {
    tenant.as_ref().map_or_else(|| "the server itself".to_owned(), |name| format!("the tenant {name}"))
}

/// How one signs for a tenant.
fn how(tenant: &Option<TenantName>) -> String {
    tenant.as_ref().map_or_else(|| "without --tenant".to_owned(), |name| format!("with --tenant {name}"))
}

/// As people read it.
pub(crate) fn moment(ms: &u64) -> String {
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    datetime::format(Moment { seconds, nanoseconds: 0 }).unwrap_or_else(|_| format!("{ms} ms after 1970"))
}

impl VerifiedBundle {
    /// Checks a bundle.
    pub fn verify(bytes: &[u8], trust: &Trust<'_>) -> Result<Self, Refusal> {
        let Bundle { envelope, content } = Bundle::parse(bytes)?;
        let envelope = envelope.ok_or(Refusal::Unsigned)?;
        let signers = signers(&envelope, trust)?;
        // From here on what the statement says was said by somebody who is trusted.
        let statement = Statement::parse(&envelope.payload)?;
        if statement.tenant.as_ref() != trust.tenant {
            return Err(Refusal::OtherTenant { given: statement.tenant, here: trust.tenant.cloned() });
        }
        let found = Digest::of(content);
        if statement.digest != found {
            return Err(Refusal::Digest { signed: statement.digest, found });
        }
        if statement.expires_ms <= trust.as_of_ms {
            return Err(Refusal::Expired(statement.expires_ms));
        }
        if let Some(kept) = trust.kept {
            is_newer(&statement, kept)?;
        }
        Ok(Self { content: Content::parse(content)?, statement, signers })
    }

    /// What was signed.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Whose signatures count, in order.
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// The texts of the app.
    pub fn into_content(self) -> Content {
        self.content
    }
}

/// Whose signatures of an envelope count. One that is said to be by a key that is known has to be by it; those of others are
/// left aside.
fn signers(envelope: &Envelope, trust: &Trust<'_>) -> Result<Vec<KeyId>, Refusal> {
    let message = envelope.signed();
    let (mut signers, mut refusal) = (Vec::new(), None);
    for Signature { keyid, sig } in &envelope.signatures {
        let Some(key) = trust.keys.iter().find(|key| key.id == *keyid) else { continue };
        let public = PublicKey::of(&key.public).filter(|public| public.id() == *keyid);
        if !public.is_some_and(|public| public.has_signed(&message, sig)) {
            return Err(Refusal::Signature(*keyid));
        }
        match is_good(key, trust.as_of_ms) {
            Ok(()) => signers.push(*keyid),
            Err(reason) => refusal = refusal.or(Some(reason)),
        }
    }
    signers.sort_unstable();
    signers.dedup();
    match (signers.len(), refusal) {
        (0, Some(refusal)) => Err(refusal),
        (0, None) => Err(Refusal::UnknownKey(envelope.signatures.iter().map(|signature| signature.keyid).collect())),
        (counted, _) if counted < trust.signatures => Err(Refusal::TooFew { counted, needed: trust.signatures }),
        _ => Ok(signers),
    }
}

/// Whether what a key has signed counts.
fn is_good(key: &SigningKeyRecord, as_of_ms: u64) -> Result<(), Refusal> {
    match key.state(as_of_ms) {
        SigningKeyState::Valid => Ok(()),
        SigningKeyState::Revoked => Err(Refusal::Revoked(key.id)),
        SigningKeyState::NotYet => Err(Refusal::KeyTooNew { key: key.id, from_ms: key.valid_from_ms() }),
        SigningKeyState::Expired => {
            Err(Refusal::KeyExpired { key: key.id, expires_ms: key.expires_ms.unwrap_or_default() })
        }
    }
}

/// Whether a bundle may follow on the release that is kept, or is that one.
fn is_newer(statement: &Statement, kept: &ReleaseRecord) -> Result<(), Refusal> {
    if statement.app != kept.app {
        return Err(Refusal::OtherApp { given: statement.app.clone(), kept: kept.app.clone() });
    }
    let given = statement.sequence;
    if given < kept.sequence {
        return Err(Refusal::Downgrade { given, kept: kept.sequence, version: kept.version.clone() });
    }
    if given == kept.sequence && statement.digest != kept.digest {
        return Err(Refusal::Replayed(given));
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

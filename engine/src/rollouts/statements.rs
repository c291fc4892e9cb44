//! Statements about rollouts: each change is stated in the commit that makes it, signed with a key of the store's own, and kept with the
//! rollout for who asks.
//!
//! The key is drawn when the first statement is made, and its private part never leaves the store, where it is sealed as bundles are. One that
//! cannot be opened any more is replaced: a rollback does not wait for somebody to find out why.
//!
//! Rule: a change without a statement is not committed, and a statement without its change is not either. To sign is all that a statement
//! adds to a commit: nothing is waited for.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use weir_schema::bundle::envelope::Envelope;
use weir_schema::codec::control::{ReleaseRecord, StatementKeyRecord};
use weir_schema::digest::Digest;
use weir_schema::rollout::statement::{PAYLOAD_TYPE, Stated, StatedRelease, Statement};
use weir_schema::rollout::{self, Event, Moved};
use weir_schema::tenant::InstanceName;
use weir_store::{ControlKey, ControlKind, SealError, Store, Transaction, UnsealError};
use zeroize::Zeroizing;

use super::conduct::ROLLOUTS_MAX;
use crate::bundle::key::{BadKey, PublicKey, SigningKey};
use crate::bundle::sign::seal;
use crate::bundle::signed::{self, BadSigned};
use crate::control::{Actor, Changed, ControlError, change, parse, releases, tenants, text};

/// Statements that are kept of one rollout, the newest.
const STATEMENTS_MAX: u64 = 100;
/// What the sealed key is bound to.
const KEY: &[u8] = b"key of statements about rollouts";

/// Why nothing is stated.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The key cannot be kept.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The key of before cannot be used.
    #[error(transparent)]
    Unseal(UnsealError),
    /// The key cannot be used.
    #[error("the key for statements {0}")]
    Key(#[from] BadKey),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Why there is nothing to be shown.
#[derive(Debug, thiserror::Error)]
pub enum NoStatements {
    /// There is no such rollout.
    #[error(
        "nothing was stated of rollout {0}, or it is kept no longer: weir rollout list shows the rollouts that there were"
    )]
    Of(u64),
    /// There was none.
    #[error("there was no rollout yet, and so nothing was stated")]
    None,
    /// No key was drawn.
    #[error("nothing was signed yet: the key is drawn when the first rollout begins")]
    NoKey,
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Why something is no statement of a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadStatement {
    /// Nobody has signed it, somebody else, or it was changed.
    #[error(transparent)]
    Signed(#[from] BadSigned),
    /// What is signed is something else.
    #[error("what is signed cannot be read: {0}")]
    Malformed(String),
    /// It does not follow the one before.
    #[error(
        "statement {found} of rollout {rollout} stands after statement {before}: one is missing, or stands somewhere else"
    )]
    Missing {
        /// Of which rollout.
        rollout: u64,
        /// The one before.
        before: u64,
        /// This one.
        found: u64,
    },
}

/// The first of several that does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// Which line it is, from 1.
    pub line: usize,
    /// Why.
    pub why: BadStatement,
}

/// A change, by what is said of it.
struct Said<'a> {
    event: Stated,
    why: Option<String>,
    actor: &'a Actor,
    at_ms: u64,
}

/// States that a rollout has begun: see [`after`].
pub(crate) fn begun(
    store: &Store,
    transaction: &mut Transaction,
    before: &rollout::Traffic,
    moved: &mut Moved,
    (actor, at_ms): (&Actor, u64),
) -> Result<Digest, StatementError> {
    state(store, transaction, (before, moved), Said { event: Stated::Started, why: None, actor, at_ms })
}

/// Signs what has followed from an event, and keeps that in the transaction that writes the new state. Returns the digest of what is
/// signed, for the audit record.
pub(crate) fn after(
    store: &Store,
    transaction: &mut Transaction,
    before: &rollout::Traffic,
    moved: &mut Moved,
    (event, actor, at_ms): (&Event, &Actor, u64),
) -> Result<Digest, StatementError> {
    let said = Said { event: Stated::of(event, moved), why: Statement::why(event), actor, at_ms };
    state(store, transaction, (before, moved), said)
}

fn state(
    store: &Store,
    transaction: &mut Transaction,
    (before, moved): (&rollout::Traffic, &mut Moved),
    said: Said<'_>,
) -> Result<Digest, StatementError> {
    let Said { event, why, actor, at_ms } = said;
    let (rollout, number) = (moved.traffic.rollouts, moved.traffic.statements.saturating_add(1));
    let mut release = |sequence: Option<u64>| match sequence {
        // One that is on record no more has no name. That keeps nobody from going back.
        Some(sequence) => release_in(transaction, sequence),
        None => Ok(None),
    };
    let under_way = moved.ended.as_ref().or(moved.traffic.rollout.as_ref());
    let candidate = release(under_way.map(|rollout| rollout.candidate))?;
    let (from, to) = (release(before.active())?, release(moved.traffic.active())?);
    let app = candidate.as_ref().or(to.as_ref()).or(from.as_ref()).map(|release| release.app.clone());
    let named = |release: Option<ReleaseRecord>| release.as_ref().map(StatedRelease::from);
    let here = tenants::name_in(transaction)?;
    let statement = Statement {
        app: app.unwrap_or_default(),
        tenant: here.as_ref().and_then(InstanceName::tenant).cloned(),
        environment: here.as_ref().and_then(InstanceName::environment_name).map(ToString::to_string),
        rollout,
        takes_back: moved.ended.as_ref().map(|ended| ended.number).filter(|ended| *ended != rollout),
        number,
        event,
        from: named(from),
        to: named(to),
        candidate: named(candidate),
        share: moved.traffic.candidate().map(|(_, share)| share.to_string()),
        why,
        actor: actor.as_str().to_owned(),
        at_ms,
        audit: store.audit_head().map_err(ControlError::from)?,
    };
    let payload = statement.to_bytes();
    let digest = Digest::of(&payload);
    let key = own_key(store, transaction, at_ms)?;
    let envelope = seal(PAYLOAD_TYPE, payload, std::slice::from_ref(&key))?;
    transaction.put_control(&ControlKey::Statement { rollout, number }, Some(envelope.to_json().into()));
    if let Some(number) = number.checked_sub(STATEMENTS_MAX) {
        transaction.put_control(&ControlKey::Statement { rollout, number }, None);
    }
    if let Some(old) = moved.ended.as_ref().and_then(|ended| ended.number.checked_sub(ROLLOUTS_MAX)) {
        transaction.remove_control_all(ControlKind::Statements(old)).map_err(ControlError::from)?;
    }
    moved.traffic.statements = number;
    Ok(digest)
}

fn release_in(transaction: &mut Transaction, sequence: u64) -> Result<Option<ReleaseRecord>, StatementError> {
    let record = transaction.control(&ControlKey::Release(sequence)).map_err(ControlError::from)?;
    Ok(record.map(|record| parse(&record)).transpose()?)
}

/// The key that signs, which is drawn in the transaction where there is none that opens.
fn own_key(store: &Store, transaction: &mut Transaction, now_ms: u64) -> Result<SigningKey, StatementError> {
    if let Some(written) = transaction.control(&ControlKey::StatementKey).map_err(ControlError::from)? {
        if let Some(key) = opened(store, transaction, &written)? {
            return Ok(key);
        }
        tracing::error!("the key for statements about rollouts was changed: another signs them from now on");
    }
    let key = SigningKey::generate()?;
    put_key(store, transaction, &key, now_ms)?;
    Ok(key)
}

fn put_key(store: &Store, transaction: &mut Transaction, key: &SigningKey, now_ms: u64) -> Result<(), StatementError> {
    let sealed = store.seal(transaction, key.to_pem().as_bytes(), KEY)?;
    let record = StatementKeyRecord { public: key.public().as_bytes().to_vec(), sealed, drawn_ms: now_ms };
    transaction.put_control(&ControlKey::StatementKey, Some(text(&record)));
    Ok(())
}

/// The private key; `None`: it was changed, or what it is sealed by is lost.
fn opened(store: &Store, transaction: &mut Transaction, written: &[u8]) -> Result<Option<SigningKey>, ControlError> {
    let Ok(StatementKeyRecord { public, sealed, .. }) = parse(written) else { return Ok(None) };
    let private = match store.unseal(transaction, &sealed, KEY) {
        Ok(private) => Zeroizing::new(private),
        Err(UnsealError::Read(error)) => return Err(error.into()),
        Err(UnsealError::Damaged | UnsealError::Key(_)) => return Ok(None),
    };
    let key = std::str::from_utf8(&private).ok().and_then(|pem| SigningKey::parse(pem).ok());
    Ok(key.filter(|key| key.public().as_bytes().as_slice() == public))
}

/// Seals the key anew, if the key of before has sealed it.
pub(crate) async fn reseal(store: &Store, actor: &Actor) -> Result<(), StatementError> {
    let mut transaction = store.begin().map_err(ControlError::from)?;
    if sealed_before(store, &mut transaction)?.is_none() {
        return Ok(());
    }
    change(store, actor, |transaction| {
        if let Some((private, record)) = sealed_before(store, transaction)? {
            let sealed = store.seal(transaction, &private, KEY)?;
            transaction.put_control(&ControlKey::StatementKey, Some(text(&StatementKeyRecord { sealed, ..record })));
        }
        Ok(Changed::new((), "sealStatementKey", Vec::new()))
    })
    .await
}

/// A private key, and its record.
type PrivateKey = (Zeroizing<Vec<u8>>, StatementKeyRecord);

/// The private key, where the key of before has sealed it.
fn sealed_before(store: &Store, transaction: &mut Transaction) -> Result<Option<PrivateKey>, StatementError> {
    let written = transaction.control(&ControlKey::StatementKey).map_err(ControlError::from)?;
    // One that cannot be read is replaced when it is to sign.
    let Some(record) = written.and_then(|written| parse::<StatementKeyRecord>(&written).ok()) else { return Ok(None) };
    match store.unseal_before(transaction, &record.sealed, KEY) {
        Ok(private) => Ok(private.map(|private| (Zeroizing::new(private), record))),
        Err(UnsealError::Read(error)) => Err(ControlError::from(error).into()),
        // What it seals is not given up for that.
        Err(error) => Err(StatementError::Unseal(error)),
    }
}

/// Whether the private key opens; `true` also where none was drawn yet.
pub(crate) fn opens(store: &Store) -> Result<bool, ControlError> {
    let mut transaction = store.begin()?;
    let Some(written) = transaction.control(&ControlKey::StatementKey)? else { return Ok(true) };
    Ok(opened(store, &mut transaction, &written)?.is_some())
}

/// What is kept of a rollout, with what verifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    /// The public key, as PEM text.
    pub public_key: String,
    /// The statements, the newest last: each an envelope as a line of JSON.
    pub statements: Vec<String>,
}

/// The statements about a rollout; without a number, about the last one that began.
pub fn signed(store: &Store, rollout: Option<u64>) -> Result<Signed, NoStatements> {
    let number = match rollout {
        Some(number) => number,
        None => Some(releases::traffic(store)?.rollouts).filter(|last| *last > 0).ok_or(NoStatements::None)?,
    };
    let statements = of(store, number)?;
    if statements.is_empty() {
        return Err(NoStatements::Of(number));
    }
    Ok(Signed { public_key: public_key(store)?.to_pem(), statements })
}

/// The statements about a rollout, of which there may be none.
pub fn of(store: &Store, rollout: u64) -> Result<Vec<String>, ControlError> {
    let kept = store.control_all(ControlKind::Statements(rollout))?;
    Ok(kept.iter().map(|envelope| String::from_utf8_lossy(envelope).into_owned()).collect())
}

/// The rollouts about which there may be statements, in order.
pub fn rollouts(store: &Store) -> Result<RangeInclusive<u64>, ControlError> {
    let last = releases::traffic(store)?.rollouts;
    Ok(last.saturating_sub(ROLLOUTS_MAX)..=last)
}

/// The key that verifies the statements of a store.
pub fn public_key(store: &Store) -> Result<PublicKey, NoStatements> {
    let written = store.control(&ControlKey::StatementKey).map_err(ControlError::from)?.ok_or(NoStatements::NoKey)?;
    let record: StatementKeyRecord = parse(&written)?;
    let key = PublicKey::of(&record.public);
    Ok(key.ok_or_else(|| ControlError::Damaged("the key for statements has 32 bytes".to_owned()))?)
}

/// Reads a statement that nothing is known of.
pub fn read(envelope: &str) -> Result<Statement, BadStatement> {
    let envelope = Envelope::parse(envelope.as_bytes(), PAYLOAD_TYPE).map_err(BadSigned::from)?;
    parsed(&envelope.payload)
}

/// Reads a statement that a key has signed.
pub fn verify(envelope: &str, key: &PublicKey) -> Result<Statement, BadStatement> {
    parsed(&signed::open(envelope.as_bytes(), PAYLOAD_TYPE, key)?)
}

fn parsed(payload: &[u8]) -> Result<Statement, BadStatement> {
    serde_json::from_slice(payload).map_err(|error| BadStatement::Malformed(error.to_string()))
}

/// Reads statements that a key has signed, one a line. Those about one rollout that follow each other leave none out.
pub fn verify_all(lines: &str, key: &PublicKey) -> Result<Vec<Statement>, BadLine> {
    let mut statements: Vec<Statement> = Vec::new();
    for (place, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |why| BadLine { line: place.saturating_add(1), why };
        let statement = verify(line, key).map_err(bad)?;
        if let Some(before) = statements.last().filter(|before| before.rollout == statement.rollout)
            && before.number.saturating_add(1) != statement.number
        {
            let Statement { rollout, number: found, .. } = statement;
            return Err(bad(BadStatement::Missing { rollout, before: before.number, found }));
        }
        statements.push(statement);
    }
    Ok(statements)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

//! The bundles of releases, as they are kept: each sealed by the key of the store, and bound to the tenant or environment, the sequence and the
//! digest of its release, so that none can be put in the place of another.
//!
//! Rule: what is kept is verified again whenever it is loaded, as of the time when it was deployed. Sealing keeps it from who reads the
//! disk; that it may run is said by its signatures alone.

use bytes::Bytes;
use weir_schema::bundle::Statement;
use weir_schema::codec::control::{ReleaseRecord, SigningKeyRecord};
use weir_schema::tenant::InstanceName;
use weir_store::{ControlKey, ControlKind, SealError, Store, Transaction, UnsealError};

use super::{Actor, Changed, ControlError, all, change, keys, tenants};
use crate::bundle::VerifiedBundle;
use crate::bundle::verified::{Refusal, Trust};

/// What a sealed bundle begins with. One of before format 4 of the data folder begins as bundles do.
const MAGIC: &[u8] = b"weir sealed bundle 1\n";

/// Why there is no bundle of a release.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// There is no such release.
    #[error("there is no release with sequence {0} on record")]
    Unknown(u64),
    /// It is not there.
    #[error("the bundle of release {0} is not kept: deploy it again")]
    NotThere(String),
    /// It was changed, or belongs elsewhere.
    #[error(
        "the bundle that is kept of release {0} was changed, or is that of another release or tenant: deploy it again"
    )]
    Damaged(String),
    /// It is another, however whole.
    #[error("the bundle that is kept is not that of release {0}: deploy it again")]
    Another(String),
    /// It may not run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It cannot be opened, whatever is kept.
    #[error(transparent)]
    Unseal(UnsealError),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Keeps the bundle of a release, in the commit of its record.
pub(crate) fn put(
    store: &Store,
    transaction: &mut Transaction,
    release: &ReleaseRecord,
    bundle: &[u8],
) -> Result<(), KeptError> {
    let here = tenants::name_in(transaction)?;
    let sealed = store.seal(transaction, bundle, &bound(here.as_ref(), release))?;
    let sealed = Bytes::from([MAGIC, &sealed].concat());
    transaction.put_control(&ControlKey::Bundle(release.sequence), Some(sealed));
    Ok(())
}

/// Keeps the bundle of a release no longer, in the commit that removes its record.
pub(crate) fn remove(transaction: &mut Transaction, sequence: u64) {
    transaction.put_control(&ControlKey::Bundle(sequence), None);
}

/// The bundle of a release, as it was uploaded. It is not verified.
pub fn read(store: &Store, release: &ReleaseRecord) -> Result<Vec<u8>, KeptError> {
    // The bundle and the key are of one state, also while the key is exchanged.
    let mut transaction = store.begin().map_err(ControlError::from)?;
    let kept = transaction.control(&ControlKey::Bundle(release.sequence)).map_err(ControlError::from)?;
    let kept = kept.ok_or_else(|| KeptError::NotThere(release.version.clone()))?;
    // From before bundles were sealed.
    let Some(sealed) = kept.strip_prefix(MAGIC) else { return Ok(kept.to_vec()) };
    let here = tenants::name_in(&mut transaction)?;
    store.unseal(&mut transaction, sealed, &bound(here.as_ref(), release)).map_err(|error| unsealed(error, release))
}

fn unsealed(error: UnsealError, release: &ReleaseRecord) -> KeptError {
    match error {
        UnsealError::Damaged => KeptError::Damaged(release.version.clone()),
        UnsealError::Read(error) => ControlError::from(error).into(),
        error @ UnsealError::Key(_) => KeptError::Unseal(error),
    }
}

/// The bundle of a release, if it may run still: it was good when it came, what has expired since was deployed in time. A key that was
/// revoked since counts no more, and as many signatures are asked for as now.
pub(crate) fn verified(store: &Store, release: &ReleaseRecord, signatures: usize) -> Result<VerifiedBundle, KeptError> {
    verified_by(store, release, &keys::list(store)?, signatures)
}

/// The same, whatever has become of its keys since it was deployed: it is what was signed then.
pub(crate) fn was_good(store: &Store, release: &ReleaseRecord) -> Result<VerifiedBundle, KeptError> {
    let mut keys = keys::list(store)?;
    for key in &mut keys {
        (key.from_ms, key.expires_ms, key.revoked_ms) = (None, None, None);
    }
    verified_by(store, release, &keys, 1)
}

fn verified_by(
    store: &Store,
    release: &ReleaseRecord,
    keys: &[SigningKeyRecord],
    signatures: usize,
) -> Result<VerifiedBundle, KeptError> {
    let bundle = read(store, release)?;
    let here = tenants::name_of(store)?;
    // What a tenant deployed before statements named tenants goes on.
    let tenant = here.as_ref().and_then(InstanceName::tenant).filter(|_| release.tenant.is_some());
    let trust = Trust { keys, signatures, tenant, kept: None, as_of_ms: release.deployed_ms };
    let verified = VerifiedBundle::verify(&bundle, &trust).map_err(|refusal| match refusal {
        Refusal::Malformed(_) => KeptError::Damaged(release.version.clone()),
        refusal => KeptError::Refused(refusal),
    })?;
    let Statement { app, version, sequence, digest, .. } = verified.statement();
    let is_of =
        (app, version, *sequence, *digest) == (&release.app, &release.version, release.sequence, release.digest);
    if is_of { Ok(verified) } else { Err(KeptError::Another(release.version.clone())) }
}

/// Seals what is kept from before bundles were sealed.
pub(crate) async fn seal_older(store: &Store) -> Result<(), KeptError> {
    let releases: Vec<ReleaseRecord> = all(store, ControlKind::Releases)?;
    for release in releases {
        let key = ControlKey::Bundle(release.sequence);
        let is_open = |kept: &Bytes| !kept.starts_with(MAGIC);
        if !store.control(&key).map_err(ControlError::from)?.as_ref().is_some_and(is_open) {
            continue;
        }
        reseal(store, &Actor::operator(), &release).await?;
    }
    Ok(())
}

/// Seals the bundle of a release anew, if the key of before has sealed it or it is from before bundles were sealed. Returns whether it was.
pub(crate) async fn reseal(store: &Store, actor: &Actor, release: &ReleaseRecord) -> Result<bool, KeptError> {
    if to_be_sealed(store, &mut store.begin().map_err(ControlError::from)?, release)?.is_none() {
        return Ok(false);
    }
    change(store, actor, |transaction| {
        if let Some(bundle) = to_be_sealed(store, transaction, release)? {
            put(store, transaction, release, &bundle)?;
        }
        let targets = vec![format!("{} {}", release.app, release.version), release.sequence.to_string()];
        Ok::<_, KeptError>(Changed::new((), "sealBundle", targets))
    })
    .await?;
    Ok(true)
}

/// The bundle of a release where it is to be sealed anew.
fn to_be_sealed(
    store: &Store,
    transaction: &mut Transaction,
    release: &ReleaseRecord,
) -> Result<Option<Vec<u8>>, KeptError> {
    let kept = transaction.control(&ControlKey::Bundle(release.sequence)).map_err(ControlError::from)?;
    // One that is not there any more went with its release, or was lost before.
    let Some(kept) = kept else { return Ok(None) };
    let Some(sealed) = kept.strip_prefix(MAGIC) else { return Ok(Some(kept.to_vec())) };
    let bound = bound(tenants::name_in(transaction)?.as_ref(), release);
    let before = store.unseal_before(transaction, sealed, &bound).map_err(|error| unsealed(error, release))?;
    if before.is_none() {
        store.unseal(transaction, sealed, &bound).map_err(|error| unsealed(error, release))?;
    }
    Ok(before)
}

/// Where a bundle belongs.
fn bound(here: Option<&InstanceName>, release: &ReleaseRecord) -> Vec<u8> {
    // Text and numbers always have a JSON form.
    serde_json::to_vec(&("bundle", here, release.sequence, release.digest)).unwrap_or_default()
}

#[cfg(test)]
mod tests;

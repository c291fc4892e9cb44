//! What an environment has of the app that it is an environment of: the documents of one state, and of that state the active release,
//! the keys that bundles may be signed with, and the documents that clients are trusted with.
//!
//! What it does not have: jobs, so that nothing is done twice; the audit log and the administrators, which are each one's own; releases that are
//! not active and rollouts; revocations, of which those of the app count; and what was counted.
//!
//! Architecture invariant: what is copied is one state of the other store. The release that the copy runs is the one that was active for
//! these documents, and it is verified again there before it runs.

use weir_schema::codec::control::{CopiedFrom, ReleaseRecord};
use weir_schema::rollout::Traffic;
use weir_schema::tenant::EnvironmentName;
use weir_store::progress::Watch;
use weir_store::{ControlKey, ControlKind, CopyError, Poisoned, Source, Store};

use super::kept_bundles::{self, KeptError};
use super::releases::before_rollouts;
use super::{Actor, Changed, ControlError, change, parse, text};
use crate::trusted::{self, TrustError};

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyEnvironmentError {
    /// Its documents are between two releases.
    #[error(
        "the documents are being migrated for a release: copy them once its rollout is promoted or rolled back (weir rollout status)"
    )]
    Migrating,
    /// The documents cannot be copied.
    #[error("the documents cannot be copied: {0}")]
    Documents(#[from] CopyError),
    /// The bundle cannot be read or kept.
    #[error("the bundle of the active release cannot be copied: {0}")]
    Bundle(#[from] KeptError),
    /// Nor the documents of clients.
    #[error("the trusted documents cannot be copied: {0}")]
    Trusted(#[from] TrustError),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<Poisoned> for CopyEnvironmentError {
    fn from(stopped: Poisoned) -> Self {
        Self::Control(stopped.into())
    }
}

/// The active release of a state; `None`: nothing is deployed.
fn active(source: &Source) -> Result<Option<ReleaseRecord>, ControlError> {
    let known = source.control_all(ControlKind::Releases)?;
    let known: Vec<ReleaseRecord> = known.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
    let traffic: Traffic = match source.control(&ControlKey::Traffic)? {
        Some(text) => parse(&text)?,
        None => before_rollouts(known.clone()),
    };
    Ok(known.into_iter().find(|release| Some(release.sequence) == traffic.active()))
}

/// Fills the empty store of an environment with what another one has now, which is that of the app or of another of its environments.
/// Commits go on there meanwhile.
pub async fn copy(
    from: &Store,
    environment: Option<EnvironmentName>,
    to: &Store,
    watch: Watch,
) -> Result<CopiedFrom, CopyEnvironmentError> {
    let source = from.source()?;
    if source.control(&ControlKey::Migration)?.is_some() {
        return Err(CopyEnvironmentError::Migrating);
    }
    let release = active(&source)?;
    let bundle = release.as_ref().map(|release| kept_bundles::read(from, release)).transpose()?;
    let keys = source.control_all(ControlKind::SigningKeys)?;
    let trusted = trusted::stored(from)?;
    let copied = source.copy_to(to, watch).await?;
    let operator = Actor::operator();
    trusted::push_stored(to, &operator, trusted).await?;
    change(to, &operator, |transaction| {
        let mut targets = vec![format!("commit {}", copied.sequence), format!("{} documents", copied.documents())];
        for key in &keys {
            let record: weir_schema::codec::control::SigningKeyRecord = parse(key)?;
            transaction.put_control(&ControlKey::SigningKey(record.id.clone()), Some(key.clone()));
        }
        if let Some((release, bundle)) = release.as_ref().zip(bundle.as_ref()) {
            transaction.put_control(&ControlKey::Release(release.sequence), Some(text(release)));
            kept_bundles::put(to, transaction, release, bundle)?;
            let traffic = Traffic { promoted: vec![release.sequence], ..Traffic::default() };
            transaction.put_control(&ControlKey::Traffic, Some(text(&traffic)));
            targets.push(format!("{} {}", release.app, release.version));
        }
        Ok::<_, CopyEnvironmentError>(Changed::new((), "copyEnvironment", targets))
    })
    .await?;
    Ok(CopiedFrom { environment, sequence: copied.sequence, documents: copied.documents() })
}

//! Changing the encryption keys of a store that is being served: SIGHUP has their file read again.
//!
//! What is written with older keys is written again in the background, so that they fall out of use. A change that is
//! refused leaves everything as it was; each one, done or refused, is one line of the log.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;
use weir_engine::control::Actor;
use weir_engine::control::acts::{self, Act};
use weir_store::{EncryptionStatus, Store};

use super::Failure;
use super::storage::StorageArguments;
use crate::tenants::Slot;

/// Waits for changes, if the store is encrypted. Without encryption SIGHUP ends the process as ever.
pub struct Rotation(Option<State>);

enum State {
    /// Changes are kept for later: not all is open that they concern.
    Opening(Box<Opening>),
    /// The task that makes them.
    Following(JoinHandle<()>),
}

struct Opening {
    store: Store,
    storage: StorageArguments,
    default: PathBuf,
    hangups: Hangups,
}

impl Rotation {
    /// Starts to wait, for the store that `storage` has opened with this default folder. Nothing is changed before
    /// [`Self::follow`].
    pub async fn start(store: Store, storage: StorageArguments, default: PathBuf) -> Result<Self, Failure> {
        let Some(status) = store.encryption_status().await.map_err(Failure::because)? else { return Ok(Self(None)) };
        tracing::info!("encrypted with {}: {}", status.cipher, in_use(&status));
        let hangups = Hangups::new().map_err(|error| Failure::because(format!("cannot wait for SIGHUP: {error}")))?;
        Ok(Self(Some(State::Opening(Box::new(Opening { store, storage, default, hangups })))))
    }

    /// Makes changes from now on, those included that were asked for meanwhile. All tenants are known, if there are to be any.
    pub fn follow(&mut self, tenants: Slot) {
        self.0 = match self.0.take() {
            Some(State::Opening(opening)) => {
                let Opening { store, storage, default, hangups } = *opening;
                let following = follow(store, Arc::new(storage), default, tenants, hangups);
                Some(State::Following(tokio::spawn(following)))
            }
            other => other,
        };
    }

    /// Ends it, before the store is closed.
    pub async fn stop(self) {
        if let Some(State::Following(task)) = self.0 {
            task.abort();
            // Being aborted is all that can become of it.
            let _ = task.await;
        }
    }
}

async fn follow(store: Store, storage: Arc<StorageArguments>, default: PathBuf, tenants: Slot, mut hangups: Hangups) {
    loop {
        tokio::select! {
            () = replace_old(&store) => hangups.next().await,
            () = hangups.next() => {}
        }
        match change(&store, storage.clone(), default.clone(), &tenants).await {
            Ok(line) => tracing::info!("encryption keys read: {line}"),
            Err(reason) => tracing::warn!("encryption keys not changed: {reason}"),
        }
    }
}

/// Reads the keys again; what is in use then.
async fn change(
    store: &Store,
    storage: Arc<StorageArguments>,
    default: PathBuf,
    tenants: &Slot,
) -> Result<String, String> {
    if !storage.has_key_file() {
        return Err("they come from the environment, so restart to change them".to_owned());
    }
    let reading = tokio::task::spawn_blocking(move || storage.keys(&default));
    let ring = match reading.await.map_err(|error| error.to_string())? {
        Ok(Some(ring)) => ring,
        Ok(None) => return Err("there are none".to_owned()),
        Err(failure) => return Err(failure.to_string()),
    };
    store.may_rotate_keys(&ring).await.map_err(|error| error.to_string())?;
    // What tenants need is not given up by the server, and nothing of theirs counts that it refuses.
    let sealing = match tenants.get() {
        Some(tenants) => Some(tenants.seal_for(ring.clone()).await.map_err(|error| error.to_string())?),
        None => None,
    };
    store.rotate_keys(ring).await.map_err(|error| error.to_string())?;
    if let Some(sealing) = sealing {
        for error in sealing.keep().await {
            tracing::error!("a tenant still needs the key of before, until the keys are read again: {error}");
        }
    }
    let held = store.encryption_status().await.map_err(|error| error.to_string())?;
    let active = held.and_then(|status| status.active).map(|id| format!("key {id}"));
    let act = Act::on("rotateKeys", active);
    let recorded = acts::record(store, &Actor::operator(), &act).await;
    recorded.map_err(|error| format!("they are, but that is not on record: {error}"))?;
    let status = store.encryption_status().await.map_err(|error| error.to_string())?;
    Ok(status.as_ref().map(in_use).unwrap_or_default())
}

fn in_use(status: &EncryptionStatus) -> String {
    let active = status.active.map(|id| format!("new files use key {id}")).unwrap_or_default();
    let old: Vec<String> = status.old().map(|key| format!("key {} is needed by {} files", key.id, key.files)).collect();
    if old.is_empty() { active } else { format!("{active}; {}, which are written again", old.join(", ")) }
}

/// Writes again what needs older keys, and says so.
async fn replace_old(store: &Store) {
    let replaced = async {
        let before = store.encryption_status().await?;
        let old: Vec<String> = before.iter().flat_map(|status| status.old().map(|key| key.id.to_string())).collect();
        if !old.is_empty() {
            store.reencrypt().await?;
            tracing::info!(
                "all files are written with the new key: once no backup needs them, key {} can be taken from the keys",
                old.join(" and ")
            );
        }
        Ok::<_, weir_store::EncryptionError>(())
    };
    if let Err(error) = replaced.await {
        tracing::warn!("files under older keys are not written again: {error}");
    }
}

#[cfg(unix)]
struct Hangups(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Hangups {
    fn new() -> std::io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map(Self)
    }

    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// There is no such signal.
#[cfg(not(unix))]
struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}

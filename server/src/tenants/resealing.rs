//! The keys of tenants while those of the server are exchanged: first each is sealed anew in a file beside its own, then the
//! server exchanges its keys, then each takes the place of the one before.
//!
//! Rule: until the server has exchanged its keys, those of before open all that tenants have; from then on the new ones do.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use weir_schema::tenant::InstanceName;
use weir_store::keys::KeyRing;

use super::Tenants;
use super::folder::{FolderError, InstanceFolder};

/// Keys that are sealed anew and do not count yet. Dropped, they are taken away and all is as before.
pub struct Resealing {
    tenants: Arc<Tenants>,
    ring: KeyRing,
    sealed: Vec<InstanceFolder>,
    /// Nobody makes one meanwhile, nor removes one.
    _turn: OwnedMutexGuard<()>,
}

impl Tenants {
    /// Seals the keys of all by the active one of these, beside what they have. All that they have must be readable by these.
    pub async fn seal_for(self: &Arc<Self>, ring: KeyRing) -> Result<Resealing, FolderError> {
        let turn = self.changing.clone().lock_owned().await;
        let sealing = Resealing { tenants: self.clone(), ring, sealed: Vec::new(), _turn: turn };
        let sealed = tokio::task::spawn_blocking(move || sealing.seal_all());
        sealed.await.map_err(FolderError::CutOff)?
    }
}

impl Resealing {
    fn seal_all(mut self) -> Result<Self, FolderError> {
        let names: Vec<InstanceName> = self.tenants.table.read().entries.keys().cloned().collect();
        for name in &names {
            self.tenants.folder(name).is_readable_by(&self.ring)?;
        }
        for name in &names {
            let folder = self.tenants.folder(name);
            let prepared = folder.prepare_key(&self.ring);
            // What was only begun is taken away too.
            if !matches!(prepared, Ok(false)) {
                self.sealed.push(folder);
            }
            prepared?;
        }
        Ok(self)
    }

    /// Has them count, once the server has exchanged its keys. What is told of stays sealed as it was, which the new keys open
    /// as well.
    pub async fn keep(self) -> Vec<FolderError> {
        let kept = tokio::task::spawn_blocking(move || self.keep_all());
        kept.await.unwrap_or_else(|error| vec![FolderError::CutOff(error)])
    }

    fn keep_all(mut self) -> Vec<FolderError> {
        // These open both.
        *self.tenants.ring.lock() = Some(self.ring.clone());
        let mut failed = Vec::new();
        for folder in std::mem::take(&mut self.sealed) {
            failed.extend(folder.put_key().err());
        }
        failed
    }
}

impl Drop for Resealing {
    fn drop(&mut self) {
        for folder in &self.sealed {
            if let Err(error) = folder.discard_key() {
                tracing::warn!("what was sealed in vain stays there: {error}");
            }
        }
    }
}

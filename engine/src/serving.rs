//! Whether what has become active is served: who serves a release has something to make of it first.

use tokio::sync::watch;

use crate::engine::Engine;
use crate::release::Release;

/// Somebody serves what becomes active, until this is dropped.
pub struct Serving(watch::Sender<Option<u64>>);

impl Engine {
    /// Says that what becomes active is served from now on.
    pub fn serving(&self) -> Serving {
        let served = self.served().clone();
        served.send_replace(Some(0));
        Serving(served)
    }

    /// Waits until a release is served that has become active, if there is somebody who serves.
    pub(crate) async fn until_served(&self, release: &Release) {
        let is_served = |served: &Option<u64>| served.is_none_or(|number| number >= release.number());
        // An error would mean that the engine is gone.
        let _ = self.served().subscribe().wait_for(is_served).await;
    }
}

impl Serving {
    /// What is asked from now on is asked of the release of this number, or of one before it where that one cannot be served.
    pub fn has_come_to(&self, number: u64) {
        self.0.send_replace(Some(number));
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

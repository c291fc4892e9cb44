//! The releases that are loaded: those that calls go to, those that one may roll back to, and those that somebody still uses.
//!
//! A release is compiled and started once and shared by all who need it. What nobody needs any more drains: it goes when it has not
//! been asked for a while and nobody holds it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument;
use weir_sandbox::App;
use weir_store::CatalogError;

use super::conductor::needed;
use crate::control::stages::Stages;
use crate::control::{ControlError, releases};
use crate::engine::{ActivateError, Engine};
use crate::groups;
use crate::keep::Keeping;
use crate::release::Release;

/// How long a release stays that nobody has asked for anything.
pub(crate) const DRAIN_AFTER: Duration = Duration::from_secs(300);
/// How long one stays that calls went to, where nobody has asked to stay on it: nobody will be back. Whoever deploys often would
/// otherwise have the releases of five minutes in memory.
pub(crate) const DRAIN_TAKEN_OVER_AFTER: Duration = Duration::from_secs(10);
/// Releases that are loaded for callers who stay on a line, at one time.
pub(crate) const LINES_MAX: usize = 8;

const STILL_THERE: &str = "what a release has declared that is gone is still in the store";

/// Somebody uses a release. It stays loaded until this is dropped.
#[derive(Debug, Clone)]
#[must_use = "the release may go when this is dropped"]
pub struct Lease {
    _held: Arc<()>,
}

impl Release {
    /// Says that somebody uses it.
    pub(crate) fn lease(&self, now_ms: u64) -> Lease {
        self.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        self.hold()
    }

    /// The same for who does not stay on it: a row of calls.
    pub(crate) fn hold(&self) -> Lease {
        Lease { _held: self.leases.clone() }
    }

    /// Says that whoever has found it loaded is about to need it: it does not drain before that is known.
    pub(crate) fn is_found(&self, now_ms: u64) {
        self.loaded_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// Whether somebody has asked to stay on it.
    fn is_stayed_on(&self) -> bool {
        self.used_ms.load(Ordering::Relaxed) > 0
    }

    /// Whether somebody uses it.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.leases) > 1 || self.pool().calls_in_flight() > 0
    }

    /// Whether nobody uses it, nor has for a while.
    fn is_idle(&self, now_ms: u64) -> bool {
        let last_ms = self.used_ms.load(Ordering::Relaxed).max(self.loaded_ms.load(Ordering::Relaxed));
        let is_taken_over = self.took_calls.load(Ordering::Relaxed) && !self.is_stayed_on();
        let patience = if is_taken_over { DRAIN_TAKEN_OVER_AFTER } else { DRAIN_AFTER };
        !self.is_held() && Duration::from_millis(now_ms.saturating_sub(last_ms)) >= patience
    }
}

/// Whether a release writes what its views have computed into the store from the beginning: that is for the one that is about to be
/// the active one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    FromNow,
    NotYet,
}

impl Engine {
    /// All that are loaded, and each change of that.
    pub fn loaded(&self) -> watch::Receiver<Vec<Arc<Release>>> {
        self.shared().loaded.subscribe()
    }

    /// The loaded release of a sequence.
    pub(crate) fn loaded_as(&self, sequence: u64) -> Option<Arc<Release>> {
        let loaded = self.shared().loaded.borrow();
        loaded.iter().find(|release| release.sequence() == Some(sequence)).cloned()
    }

    /// Loads an app beside all others: brings the collections and indexes in line, and waits until it is served. No call goes to it yet.
    /// What has begun is finished, or undone, also where whoever asked has gone.
    pub(crate) async fn load(
        &self,
        app: App,
        sequence: Option<u64>,
        writes: Writes,
    ) -> Result<Arc<Release>, ActivateError> {
        let (engine, span) = (self.clone(), self.span().clone());
        let loading = async move { engine.load_to_the_end(app, sequence, writes).await };
        let loaded = tokio::spawn(loading.instrument(span)).await;
        loaded.unwrap_or_else(|error| Err(ActivateError::Stopped(error.to_string())))
    }

    async fn load_to_the_end(
        &self,
        app: App,
        sequence: Option<u64>,
        writes: Writes,
    ) -> Result<Arc<Release>, ActivateError> {
        let _one_at_a_time = self.shared().loading.lock().await;
        if let Some(loaded) = sequence.and_then(|sequence| self.loaded_as(sequence)) {
            loaded.is_found(self.clock().now_ms());
            return Ok(loaded);
        }
        let mut stages = Stages::begin();
        let release = self.start_release(app, sequence).await?;
        stages.passed("isolates");
        if let Err(error) = self.unite_and_hold(&release).await {
            // Of a release that is not there nothing stays.
            self.leave_collections_of_loaded().await;
            return Err(error);
        }
        stages.passed("collections");
        if writes == Writes::FromNow
            && let Err(error) = Keeping::hand_over(self, &release).await
        {
            tracing::warn!("what views have computed before is not used: {error}");
        }
        if let Some(sequence) = sequence {
            self.count_for(&release, sequence);
        }
        release.keep_groups(groups::keep::keep_all(self, &release));
        stages.passed("views");
        release.is_found(self.clock().now_ms());
        self.shared().loaded.send_modify(|loaded| loaded.push(release.clone()));
        self.until_served(&release).await;
        stages.passed("schema");
        tracing::debug!("stages of loading {}: {stages}", release.name());
        match release.unservable() {
            None => Ok(release),
            Some(why) => {
                let why = why.to_owned();
                self.unload_one(&release).await;
                Err(ActivateError::Unservable(why))
            }
        }
    }

    /// Drops a release that takes no calls after all. What the active one's views compute goes into the store again.
    pub(crate) async fn give_up(&self, release: &Arc<Release>) {
        let _one_at_a_time = self.shared().loading.lock().await;
        self.unload_one(release).await;
    }

    async fn unload_one(&self, release: &Arc<Release>) {
        self.unload(|other| other.number() == release.number());
        self.leave_collections_of_loaded().await;
        let active = self.traffic().borrow().active().cloned();
        if let Some(active) = active
            && let Err(error) = Keeping::hand_over(self, &active).await
        {
            tracing::warn!("what views compute is not kept: {error}");
        }
    }

    async fn unite_and_hold(&self, release: &Arc<Release>) -> Result<(), ActivateError> {
        self.unite_with(release).await?;
        if release.sequence().is_some() {
            self.hold_beside(release).await?;
        }
        Ok(())
    }

    /// Has the store hold what loaded releases declare, and nothing besides.
    async fn leave_collections_of_loaded(&self) {
        if let Err(error) = self.apply_collections(None).await {
            tracing::warn!("{STILL_THERE}: {error}");
        }
    }

    /// Has the store hold what a release declares beside all others. What nobody needs or uses makes way for it, and nothing else does.
    async fn unite_with(&self, release: &Arc<Release>) -> Result<(), ActivateError> {
        let united = self.apply_collections(Some(release)).await;
        let Err(ActivateError::Collections(CatalogError::Apart { .. })) = &united else { return united };
        let needed = self.needed_now()?;
        if self.unload(|other| self.is_spare(other, &needed) && !other.is_held()) {
            self.apply_collections(Some(release)).await
        } else {
            united
        }
    }

    /// What stays loaded whether it is used or not, by sequence.
    pub(super) fn needed_now(&self) -> Result<Vec<u64>, ControlError> {
        let mut needed = needed(&releases::traffic(self.store())?);
        needed.extend(self.migrated_to()?);
        Ok(needed)
    }

    /// Whether neither calls go to a release nor would they after a rollback. One that is being written is alone.
    fn is_spare(&self, release: &Release, needed: &[u64]) -> bool {
        let is_needed = release.sequence().is_some_and(|sequence| needed.contains(&sequence));
        !is_needed && !self.traffic().borrow().goes_to(release)
    }

    /// Makes room for one more release that nobody needs, where there may be so many: `false`: all of them are in use.
    pub(super) async fn make_room(&self, most: usize) -> Result<bool, ControlError> {
        let _one_at_a_time = self.shared().loading.lock().await;
        let needed = self.needed_now()?;
        let loaded = self.loaded().borrow().clone();
        let spare: Vec<_> = loaded.iter().filter(|release| self.is_spare(release, &needed)).collect();
        if spare.len() < most {
            return Ok(true);
        }
        let unused = spare.into_iter().filter(|release| !release.is_held());
        let Some(oldest) = unused.min_by_key(|release| release.used_ms.load(Ordering::Relaxed)) else {
            return Ok(false);
        };
        self.let_drain(|release| release.number() == oldest.number()).await;
        Ok(true)
    }

    /// Has the store hold what all loaded releases declare, and one that is to be. An app that is being written is alone: the one
    /// before it is on its way out.
    async fn apply_collections(&self, next: Option<&Arc<Release>>) -> Result<(), ActivateError> {
        let loaded = self.shared().loaded.borrow().clone();
        let beside = loaded.iter().filter(|_| next.is_none_or(|next| next.sequence().is_some()));
        let all = next.into_iter().chain(beside.rev());
        let all: Vec<_> = all.map(|release| (&**release.key(), release.declarations())).collect();
        if all.is_empty() { Ok(()) } else { Ok(self.store().apply_releases(&all).await?) }
    }

    /// Drops loaded releases. What runs on them ends there.
    fn unload(&self, is_gone: impl Fn(&Release) -> bool) -> bool {
        let before = self.shared().loaded.borrow().len();
        self.shared().loaded.send_if_modified(|loaded| {
            loaded.retain(|release| !is_gone(release));
            loaded.len() < before
        })
    }

    /// Drops releases that nobody needs: neither calls go to them nor would they after a rollback, and nobody uses them. Without
    /// `patience` no release stays that somebody may still ask for.
    pub(crate) async fn drain(&self, needed: &[u64], patience: bool) {
        let _one_at_a_time = self.shared().loading.lock().await;
        let now_ms = self.clock().now_ms();
        self.let_drain(|release| self.is_spare(release, needed) && (!patience || release.is_idle(now_ms))).await;
    }

    async fn let_drain(&self, is_gone: impl Fn(&Release) -> bool) {
        if !self.unload(is_gone) {
            return;
        }
        let left: Vec<u64> = self.loaded().borrow().iter().map(|release| release.number()).collect();
        self.keep_results_of(&left);
        self.leave_collections_of_loaded().await;
    }
}

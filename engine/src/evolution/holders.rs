//! Who is held to whose types: writers of the releases before to those of the active release, and to those of each release that a
//! rollout may end with, once the documents have been looked through.
//!
//! Rule: a release is held to the types of those that came after it, and never the other way round: what a new release adds, the ones
//! before need not know. One that was taken back, and still runs, is held to those of all.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_schema::narrowing::{DocumentType, Narrowing};
use weir_schema::rollout::{Phase, Traffic};
use weir_store::HeldTo;

use crate::control::{ControlError, releases};
use crate::engine::Engine;
use crate::release::Release;

impl Engine {
    /// Holds a release that is about to be loaded to the types of those that came after it.
    pub(crate) async fn hold_beside(&self, next: &Release) -> Result<(), ControlError> {
        let state = releases::traffic(self.store())?;
        self.hold_all(&state, &[next]).await
    }

    /// Holds nobody any more to what releases ask for that are neither active nor about to be.
    pub(crate) async fn let_go_of_others(&self, state: &Traffic) -> Result<(), ControlError> {
        self.evolving().holds_for_none();
        let holders = self.holders(state);
        let loaded = self.loaded().borrow().clone();
        for release in loaded.iter().filter(|release| !is_among(&holders, release)) {
            self.store().let_go(release.key()).await?;
        }
        Ok(())
    }

    /// Holds the releases that are loaded to the types of the one that is active now.
    pub(crate) async fn hold_again(&self) -> Result<(), ControlError> {
        let _nobody_comes = self.shared().loading.lock().await;
        self.hold_all(&releases::traffic(self.store())?, &[]).await
    }

    /// The same, unless a release is being loaded, which may take as long as its indexes are built. That one holds all again.
    pub(crate) async fn hold_again_if_quiet(&self) -> Result<(), ControlError> {
        match self.shared().loading.try_lock() {
            Ok(_nobody_comes) => self.hold_all(&releases::traffic(self.store())?, &[]).await,
            Err(_) => Ok(()),
        }
    }

    /// Holds to the types of a candidate the release that it is to take the place of, and all who came before that one.
    pub(super) async fn hold_for(&self, candidate: &Release, base: &Release) -> Result<(), ControlError> {
        let _nobody_comes = self.shared().loading.lock().await;
        if let Some(sequence) = candidate.sequence() {
            self.evolving().holds_for(sequence);
        }
        let state = releases::traffic(self.store())?;
        let before = self.before(&state, candidate);
        let others: Vec<&Release> = before.iter().map(AsRef::as_ref).chain([base]).collect();
        self.hold_to(&state, candidate, &others).await
    }

    async fn hold_all(&self, state: &Traffic, next: &[&Release]) -> Result<(), ControlError> {
        let holders = self.holders(state);
        let loaded = self.loaded().borrow().clone();
        let all = loaded.iter().map(AsRef::as_ref).chain(next.iter().copied());
        for holder in all.filter(|release| is_among(&holders, release)) {
            let before = self.before(state, holder);
            // What was not promoted is loaded to be rolled out, or is held when it is known to be taken back.
            let next =
                next.iter().copied().filter(|next| is_among(&state.promoted, next) && is_held(state, next, holder));
            let others: Vec<&Release> = before.iter().map(AsRef::as_ref).chain(next).collect();
            self.hold_to(state, holder, &others).await?;
        }
        Ok(())
    }

    async fn hold_to(&self, state: &Traffic, holder: &Release, others: &[&Release]) -> Result<(), ControlError> {
        Ok(self.store().hold(holder.key(), held_to(state, holder, others)).await?)
    }

    /// The loaded releases whose writers are held to the types of one.
    fn before(&self, state: &Traffic, holder: &Release) -> Vec<Arc<Release>> {
        let loaded = self.loaded().borrow().clone();
        loaded.into_iter().filter(|release| is_held(state, release, holder)).collect()
    }

    fn holders(&self, state: &Traffic) -> Vec<u64> {
        // What shadows the active release changes nothing for its callers, until it is about to be promoted.
        let is_early = |phase: &Phase| matches!(phase, Phase::Preparing | Phase::Shadowing);
        let is_early = state.rollout.as_ref().is_some_and(|rollout| is_early(&rollout.phase));
        let rolled_out =
            rolled_out(state).into_iter().filter(|sequence| !is_early || self.evolving().is_held_for(*sequence));
        state.active().into_iter().chain(rolled_out).collect()
    }
}

/// The releases that the rollout under way may end with.
fn rolled_out(state: &Traffic) -> Vec<u64> {
    let variants = state.rollout.iter().flat_map(|rollout| rollout.variants());
    variants.map(|(sequence, _)| sequence).collect()
}

/// Whether a release came before the holder or was taken back, or is compared with it: then either may become active.
fn is_held(state: &Traffic, release: &Release, holder: &Release) -> bool {
    let rolled_out = rolled_out(state);
    let is_held = !is_among(&rolled_out, release) || is_among(&rolled_out, holder);
    is_held && release.number() != holder.number()
}

fn is_among(holders: &[u64], release: &Release) -> bool {
    release.sequence().is_some_and(|sequence| holders.contains(&sequence))
}

/// What a release asks of the documents that others write, and who these are. A collection that one of them does not have it does not
/// write.
fn held_to(state: &Traffic, holder: &Release, others: &[&Release]) -> Vec<HeldTo> {
    // What came after the holder, and was taken back, has members that it does not know, and does not mind.
    let rolled_out = rolled_out(state);
    let is_back = |other: &Release| {
        let sequence = other.sequence();
        sequence.is_some_and(|sequence| !state.promoted.contains(&sequence) && !rolled_out.contains(&sequence))
    };
    let collections = holder.declarations().collections.keys();
    let held = collections.filter_map(|collection| {
        let to = DocumentType::of(holder.declarations(), collection)?;
        let asked = others.iter().filter_map(|other| {
            let old = DocumentType::of(other.declarations(), collection)?;
            let asked = match is_back(other) {
                true => Narrowing::reading(&old, to.clone()),
                false => Narrowing::between(Some(&old), to.clone()),
            };
            Some((asked?, BTreeSet::from([other.key().to_string()])))
        });
        asked.reduce(|(one, writers), (other, more)| (one.and(other), writers.into_iter().chain(more).collect()))
    });
    held.collect()
}

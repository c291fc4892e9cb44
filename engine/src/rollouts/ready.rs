//! Makes the candidate of a rollout ready before any call goes to it, and so each release of an experiment: its documents, its views,
//! its checks. What cannot be made ready is given up, and all is as it was.
//!
//! Rule: documents are migrated, up and down, by whoever holds the lock of deployments, so that nothing is migrated that is being
//! undone. A rollback does not wait for that lock: it takes effect, and whoever prepares its candidate stops.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use weir_schema::codec::control::{MigrationDirection, MigrationRecord, ReleaseRecord};
use weir_schema::rollout::{self, Event, Phase, Rollout, Strategy, Traffic};

use super::conduct::RolloutError;
use crate::call::Caller;
use crate::control::releases::{self, DeployError};
use crate::control::{Actor, ControlError};
use crate::engine::Engine;
use crate::evolution::check::CheckError;
use crate::evolution::migrate::MigrateError;
use crate::release::Release;

/// How long a rollout waits for the views of its candidate. Those that take longer are built while they are asked for.
const VIEWS_MAX: Duration = Duration::from_secs(60);

/// Why a candidate is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// Its documents cannot be migrated.
    #[error("the documents cannot be migrated: {0}; mend the migration and deploy it as another version")]
    Migrate(MigrateError),
    /// There are documents that it does not know.
    #[error(transparent)]
    Unfit(CheckError),
    /// One of its checks fails.
    #[error("its check {check} fails: {message}; mend the app and deploy it as another version")]
    Check {
        /// Which.
        check: String,
        /// Why.
        message: String,
    },
    /// Documents would change while no caller is to notice anything.
    #[error(
        "{0} migrates documents, and in a shadow rollout none change: roll it out with --canary or --hold, or without any of these"
    )]
    Shadow(String),
    /// Somebody was faster.
    #[error("it was rolled back while it was being prepared")]
    TakenBack,
}

impl From<MigrateError> for RolloutError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Control(error) => Self::Control(error),
            other => Self::Unready(ReadyError::Migrate(other)),
        }
    }
}

impl From<CheckError> for RolloutError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Control(error) => Self::Control(error),
            CheckError::Unavailable(poisoned) => Self::Control(poisoned.into()),
            unfit @ CheckError::Unfit { .. } => Self::Unready(ReadyError::Unfit(unfit)),
        }
    }
}

impl Engine {
    /// Makes the candidate of the rollout under way ready, and has the rollout go on. A candidate that cannot be made ready is given
    /// up before this returns. For who holds the lock of deployments.
    pub(crate) async fn prepare(&self, actor: &Actor) -> Result<rollout::Traffic, RolloutError> {
        let state = releases::traffic(self.store())?;
        let Some(rollout) = state.rollout.clone().filter(|rollout| rollout.phase == Phase::Preparing) else {
            return self.happen(Event::Prepared, actor).await;
        };
        self.until_let_go().await;
        let made = match self.make_ready_unless_taken_back(&rollout, actor).await {
            Ok(()) => self.happen(Event::Prepared, actor).await,
            Err(error) => Err(error),
        };
        // What the server's end has cut off goes on after the next start.
        if let Err(RolloutError::Unready(why)) = &made
            && !self.has_ended()
        {
            if !matches!(why, ReadyError::TakenBack) {
                self.happen(Event::Failed { why: why.to_string() }, actor).await?;
            }
            self.undo_migration().await?;
            // It may have been held to while somebody took it back.
            self.let_go_of_others(&releases::traffic(self.store())?).await?;
            let variants = rollout.variants().into_iter().map(|(sequence, _)| sequence);
            for sequence in variants.filter(|sequence| !state.promoted.contains(sequence)) {
                if let Some(release) = self.loaded_as(sequence) {
                    self.give_up(&release).await;
                }
            }
        }
        made
    }

    async fn make_ready_unless_taken_back(&self, rollout: &Rollout, actor: &Actor) -> Result<(), RolloutError> {
        let mut traffic = self.traffic();
        let mut making = pin!(self.make_ready(rollout, actor));
        loop {
            let now = releases::traffic(self.store())?.rollout;
            if now.is_none_or(|now| now.number != rollout.number || now.phase != Phase::Preparing) {
                return Err(ReadyError::TakenBack.into());
            }
            tokio::select! {
                made = &mut making => return made,
                // Each state is told there after it was committed.
                changed = traffic.changed() => if changed.is_err() {
                    return Err(ReadyError::TakenBack.into());
                },
            }
        }
    }

    async fn make_ready(&self, rollout: &Rollout, actor: &Actor) -> Result<(), RolloutError> {
        let known = releases::list(self.store())?;
        // Where nothing is served there is nothing to be compared with, and the candidate alone takes over.
        let rolled_out = rollout.variants().into_iter().take(if rollout.base.is_some() { usize::MAX } else { 1 });
        let mut variants = Vec::new();
        for (sequence, _) in rolled_out {
            variants.push(self.load_of(&known, sequence).await?);
        }
        let base = match rollout.base {
            // One that cannot be loaded any more writes nothing, and takes no calls after a rollback.
            Some(base) => self.load_of(&known, base).await.inspect_err(|error| tracing::warn!("{error}")).ok(),
            None => None,
        };
        // What was taken back before is held to what is active, and these are not any more.
        self.hold_again().await?;
        // A rollback takes effect while a deployment holds the lock: what it leaves to be undone is undone first.
        self.undo_migration().await?;
        // There is one at most: no other experiment begins.
        let migrating = variants.iter().find(|release| !release.migrations().is_empty());
        let is_shadow = matches!(rollout.strategy, Strategy::Shadow { .. }) && base.is_some();
        if let Some(release) = migrating.filter(|_| is_shadow) {
            return Err(ReadyError::Shadow(release.name()).into());
        }
        // One that is being undone is not begun again before all is: its documents would be given to `up` twice.
        let is_its_own = |record: &MigrationRecord| migrating.is_some_and(|release| record.release == release.name());
        let before = self.migration_status()?.filter(|record| !is_its_own(record));
        if let Some(release) = migrating {
            if let Some(before) = &before {
                self.keep_migrated(before, actor).await?;
            }
            let others = others(&variants, release);
            self.migrate_beside(release, (base.as_deref(), &others), MigrationDirection::Up, actor).await?;
        }
        for release in &variants {
            match base.as_deref().filter(|_| is_shadow) {
                // Nobody is held to anything before it is to be promoted.
                Some(base) => self.look_at_data(release, base).await?,
                None => self.check_data(release, base.as_deref()).await?,
            }
        }
        let building = async {
            for view in variants.iter().flat_map(|release| release.all_groups()) {
                view.until_built().await;
            }
        };
        if tokio::time::timeout(VIEWS_MAX, building).await.is_err() {
            let names: Vec<String> = variants.iter().map(|release| release.name()).collect();
            tracing::warn!("{} takes calls before all of its views are built", names.join(", "));
        }
        for release in &variants {
            self.check(release).await?;
        }
        // What this one writes is not for the release that had documents migrated. A shadow writes nothing before it is promoted.
        if let Some(before) = before.filter(|_| migrating.is_none() && !is_shadow) {
            self.keep_migrated(&before, actor).await?;
        }
        Ok(())
    }

    /// Leaves documents as another release had them migrated, now that a shadow is promoted.
    pub(super) async fn keep_migrated_before(&self, actor: &Actor) -> Result<(), RolloutError> {
        match self.migration_status()? {
            Some(record) => self.keep_migrated(&record, actor).await,
            None => Ok(()),
        }
    }

    /// Leaves documents as they are migrated.
    async fn keep_migrated(&self, record: &MigrationRecord, actor: &Actor) -> Result<(), RolloutError> {
        if record.direction == MigrationDirection::Down {
            tracing::error!("the migration to {} was not undone, and some documents stay migrated", record.release);
        }
        Ok(self.end_migration(actor).await?)
    }

    /// Checks the documents for a release that shadows the active one and is about to take its place. It goes on to shadow where they do
    /// not fit.
    pub(super) async fn check_shadow(&self, state: &Traffic) -> Result<(), RolloutError> {
        let loaded = |sequence: Option<u64>| sequence.and_then(|sequence| self.loaded_as(sequence));
        let (base, candidate) = (loaded(state.active()), loaded(state.shadow().map(|(sequence, _)| sequence)));
        match candidate {
            Some(candidate) => Ok(self.check_data(&candidate, base.as_deref()).await?),
            None => Ok(()),
        }
    }

    /// Calls what the release wants called before it takes calls.
    async fn check(&self, candidate: &Arc<Release>) -> Result<(), RolloutError> {
        for check in candidate.checks() {
            let called = self.for_upkeep().call(candidate, &Caller::Scheduler, check, Value::Object(Map::new())).await;
            called.map_err(|error| ReadyError::Check { check: check.clone(), message: error.message })?;
        }
        Ok(())
    }

    async fn load_of(&self, known: &[ReleaseRecord], sequence: u64) -> Result<Arc<Release>, RolloutError> {
        let record = known.iter().find(|release| release.sequence == sequence);
        self.ready_to_load(record.ok_or_else(|| RolloutError::Unknown(sequence.to_string()))?).await
    }

    /// Undoes the migration of a release that was taken back, and ends one that nothing leads back from. For who holds the lock of
    /// deployments.
    pub(crate) async fn undo_migration(&self) -> Result<(), RolloutError> {
        let (state, known) = (releases::traffic(self.store())?, releases::list(self.store())?);
        let Some(record) = self.migration_status()? else {
            self.forget_migration().await;
            return Ok(());
        };
        if is_over(&state, &known, &record) {
            return Ok(self.end_migration(&Actor::weir()).await?);
        }
        if record.direction == MigrationDirection::Up && !is_taken_back(&state, &known, &record) {
            return Ok(());
        }
        let release = match self.load_migrated(&known, &record).await {
            Ok(release) => release,
            Err(error) => {
                tracing::error!("documents stay as they were migrated to {}: {error}", record.release);
                return Ok(self.end_migration(&Actor::weir()).await?);
            }
        };
        let base = state.active().and_then(|active| self.loaded_as(active));
        // What still runs of it writes nothing from now on that would have to be brought back.
        self.hold_again().await?;
        match self.migrate(&release, base.as_deref(), MigrationDirection::Down, &Actor::weir()).await {
            Err(error @ (MigrateError::Failed { .. } | MigrateError::Other { .. } | MigrateError::Undoing { .. })) => {
                tracing::error!("the migration to {} is not undone, and it is tried again: {error}", record.release);
                Ok(())
            }
            undone => Ok(undone.map(drop)?),
        }
    }

    /// Whether there is something for [`Self::undo_migration`] to do.
    pub(crate) fn has_to_undo(&self, state: &Traffic) -> Result<bool, ControlError> {
        let Some(record) = self.migration_status()? else { return Ok(false) };
        let known = releases::list(self.store())?;
        Ok(is_over(state, &known, &record) || is_taken_back(state, &known, &record))
    }

    /// Has the migration that is on record known again after a start, before anybody writes.
    pub(crate) async fn resume_migration(&self, state: &Traffic) -> Result<(), RolloutError> {
        let Some(record) = self.migration_status()? else { return Ok(()) };
        let known = releases::list(self.store())?;
        let release = match self.load_migrated(&known, &record).await {
            Ok(release) => release,
            Err(error) => {
                tracing::error!("the migration to {} does not go on: {error}", record.release);
                return Ok(());
            }
        };
        let before = if release.sequence() == state.active() { state.previous() } else { state.active() };
        let base = match before {
            Some(before) => self.load_of(&known, before).await.inspect_err(|error| tracing::error!("{error}")).ok(),
            None => None,
        };
        let variants = state.rollout.iter().flat_map(|rollout| rollout.variants());
        let variants: Vec<_> = variants.filter_map(|(sequence, _)| self.loaded_as(sequence)).collect();
        Ok(self.know_migration(&release, (base.as_deref(), &others(&variants, &release))).await?)
    }

    async fn load_migrated(
        &self,
        known: &[ReleaseRecord],
        record: &MigrationRecord,
    ) -> Result<Arc<Release>, RolloutError> {
        let release = migrated(known, record).ok_or_else(|| RolloutError::Unknown(record.release.clone()))?;
        self.ready_to_load(release).await
    }

    /// A release to be loaded, if it is not.
    pub(super) async fn ready_to_load(&self, record: &ReleaseRecord) -> Result<Arc<Release>, RolloutError> {
        let loaded = self.load_kept(record).await;
        loaded.map_err(|why: DeployError| RolloutError::Load { version: record.version.clone(), why: Box::new(why) })
    }

    /// The release that documents are migrated to, if they are: it stays loaded.
    pub(crate) fn migrated_to(&self) -> Result<Option<u64>, ControlError> {
        let Some(record) = self.migration_status()? else { return Ok(None) };
        Ok(migrated(&releases::list(self.store())?, &record).map(|release| release.sequence))
    }
}

/// The releases but one.
fn others(all: &[Arc<Release>], one: &Release) -> Vec<Arc<Release>> {
    all.iter().filter(|release| release.number() != one.number()).cloned().collect()
}

/// The release that a migration is of.
fn migrated<'k>(known: &'k [ReleaseRecord], record: &MigrationRecord) -> Option<&'k ReleaseRecord> {
    known.iter().rev().find(|release| is_of(record, release))
}

fn is_of(record: &MigrationRecord, release: &ReleaseRecord) -> bool {
    record.release == format!("{} {}", release.app, release.version)
}

/// Whether a migration is of a release that is neither active nor about to be.
fn is_taken_back(state: &Traffic, known: &[ReleaseRecord], record: &MigrationRecord) -> bool {
    let variants = state.rollout.iter().flat_map(|rollout| rollout.variants()).map(|(sequence, _)| sequence);
    let all: Vec<u64> = state.active().into_iter().chain(variants).collect();
    let takes_over = |release: &ReleaseRecord| is_of(record, release) && all.contains(&release.sequence);
    !known.iter().any(takes_over)
}

/// Whether a migration is of the active release, and there is none to go back to.
fn is_over(state: &Traffic, known: &[ReleaseRecord], record: &MigrationRecord) -> bool {
    let is_active = |release: &ReleaseRecord| is_of(record, release) && state.active() == Some(release.sequence);
    record.direction == MigrationDirection::Up && state.previous().is_none() && known.iter().any(is_active)
}

//! What is deployed: a bundle is verified, compiled, loaded, put into the store with its audit record, and then rolled out.
//!
//! Rule: a bundle that does not verify, compile, load or fit the data changes nothing. What is in the store was verified when it
//! came, and is verified again before it runs.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use tracing::Instrument;
use weir_sandbox::App;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::diagnostic::{Diagnostic, Style};
use weir_sandbox::isolate::IsolateError;
use weir_schema::bundle::Statement;
use weir_schema::codec::control::{MigrationRecord, ReleaseRecord, SigningKeyRecord};
use weir_schema::digest::Digest;
use weir_schema::rollout::{self, Phase, Rollout, Strategy};
use weir_schema::tenant::InstanceName;
use weir_store::{CatalogError, ControlKey, ControlKind, Store, Transaction};

use super::judge::{self, Incompatible, TooSmall};
use super::kept_bundles::{self, KeptError};
use super::refusals::{Kind, Refused};
use super::stages::Stages;
use super::{Actor, Changed, ControlError, all, all_in, change, keys, now_ms, parse, resealing, tenants, text};
use crate::bundle::sign::sources;
use crate::bundle::verified::{Refusal, Trust, VerifiedBundle};
use crate::engine::{ActivateError, Engine};
use crate::rollouts::conduct::{Guarded, RolloutError, put};
use crate::rollouts::conductor::needed;
use crate::rollouts::loaded::Writes;
use crate::rollouts::statements;

/// Releases that are on record, those among them that take calls or may have to again.
const RELEASES_MAX: usize = 100;
/// Mistakes that are told.
const MISTAKES_MAX: usize = 20;

/// Whether an app can be served by whoever serves; if not, why.
pub type Admit = &'static (dyn Fn(&App) -> Result<(), String> + Sync);

/// What became of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The release.
    pub release: ReleaseRecord,
    /// Whether it was active before.
    pub was_active: bool,
    /// How far it is, unless it is active now.
    pub rollout: Option<Rollout>,
}

/// Why a bundle was not deployed. All is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// It may not run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It does not compile here.
    #[error("the app of the bundle has mistakes, as this version of weir sees it:\n{0}")]
    Mistakes(String),
    /// It says of itself what was not signed.
    #[error("the bundle is signed as {signed}, and its app.toml says {found}: build it anew")]
    Mislabelled {
        /// What the statement says.
        signed: String,
        /// What `app.toml` says.
        found: String,
    },
    /// Its schema cannot be served.
    #[error("the app cannot be served: {0}")]
    Unservable(String),
    /// Its version is on record with another content.
    #[error(
        "version {version} is on record with another content, as sequence {sequence}: raise the version in app.toml and build it anew"
    )]
    OtherContent {
        /// The version.
        version: String,
        /// The release that has it.
        sequence: u64,
    },
    /// Its version is too small for what it changes.
    #[error("{0}")]
    Incompatible(Box<TooSmall>),
    /// It cannot be loaded, or does not fit the data.
    #[error("the app cannot become active: {0}")]
    Activate(#[from] ActivateError),
    /// It is somebody's who writes the app.
    #[error("this server runs an app that is being written: deploy to one that weir serve has started")]
    Develops,
    /// The bundle of a release is not what was put there, may not run any more, or cannot be kept.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// Not as many keys count any more that it was signed with as are asked for.
    #[error("keys that the bundle was signed with were revoked meanwhile: sign it with others")]
    KeysRevoked,
    /// It is on record, and does not become active.
    #[error(transparent)]
    Rollout(#[from] Box<RolloutError>),
    /// A defect of Weir.
    #[error("the deployment stopped: {0}")]
    Stopped(String),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl DeployError {
    /// Whether another try may come to something else, with all as it is: no process could be started, the store had no time.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Activate(ActivateError::Load(IsolateError::Internal(_)) | ActivateError::Control(_))
            | Self::Activate(ActivateError::Collections(CatalogError::Unavailable(_)))
            | Self::Kept(KeptError::Control(_))
            | Self::Stopped(_)
            | Self::Control(_) => true,
            Self::Rollout(error) => error.may_pass(),
            _ => false,
        }
    }
}

/// The releases that are on record, the newest last.
pub fn list(store: &Store) -> Result<Vec<ReleaseRecord>, ControlError> {
    all(store, ControlKind::Releases)
}

/// The active release.
pub fn active(store: &Store) -> Result<Option<ReleaseRecord>, ControlError> {
    let OnRecord { releases, active } = on_record(store)?;
    Ok(releases.into_iter().find(|release| Some(release.sequence) == active))
}

/// The releases that are on record, and which of them is active.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnRecord {
    /// All of them, the newest last.
    pub releases: Vec<ReleaseRecord>,
    /// The sequence of the active one.
    pub active: Option<u64>,
}

/// The same with which of them is active.
pub fn on_record(store: &Store) -> Result<OnRecord, ControlError> {
    Ok(OnRecord { releases: list(store)?, active: traffic(store)?.active() })
}

/// Which releases take calls, and how far the rollout under way is.
pub fn traffic(store: &Store) -> Result<rollout::Traffic, ControlError> {
    match store.control(&ControlKey::Traffic)? {
        Some(text) => parse(&text),
        None => Ok(before_rollouts(list(store)?)),
    }
}

/// The same as a transaction sees it.
pub(crate) fn read_traffic(transaction: &mut Transaction) -> Result<rollout::Traffic, ControlError> {
    match transaction.control(&ControlKey::Traffic)? {
        Some(text) => parse(&text),
        None => Ok(before_rollouts(all_in(transaction, ControlKind::Releases)?)),
    }
}

/// Data folders from before there were rollouts: the newest release is the active one.
pub(super) fn before_rollouts(known: Vec<ReleaseRecord>) -> rollout::Traffic {
    let promoted = known.last().map(|release| release.sequence).into_iter().collect();
    rollout::Traffic { promoted, ..rollout::Traffic::default() }
}

/// The bundle of a release on record, as it was uploaded.
pub fn bundle(store: &Store, sequence: u64) -> Result<Vec<u8>, KeptError> {
    let record = store.control(&ControlKey::Release(sequence)).map_err(ControlError::from)?;
    let record = record.ok_or(KeptError::Unknown(sequence))?;
    kept_bundles::read(store, &parse(&record)?)
}

impl Engine {
    /// Asks from now on for so many signatures of a bundle, by different keys that are trusted: of one that is deployed, and of one that
    /// is loaded again. Otherwise for one.
    pub fn ask_for_signatures(&self, signatures: usize) {
        self.signatures().store(signatures.max(1), Ordering::Relaxed);
    }

    /// How many signatures are asked for.
    pub fn signatures_asked(&self) -> usize {
        self.signatures().load(Ordering::Relaxed)
    }

    /// The app of a release that is on record, out of its bundle: verified once more, and compiled.
    pub(crate) async fn kept_app(&self, release: &ReleaseRecord) -> Result<App, DeployError> {
        compiled(kept_bundles::verified(self.store(), release, self.signatures_asked())?).await
    }

    /// Deploys a bundle: when this returns it is served, or its rollout is as far as it gets by itself. One that is refused is on
    /// record too, and so is one whose version is too small for what it changes. What has begun is finished, also where whoever asked
    /// has gone.
    pub async fn deploy(
        &self,
        bundle: &[u8],
        strategy: Strategy,
        actor: &Actor,
        admit: Admit,
    ) -> Result<Deployed, DeployError> {
        self.deploy_judged(bundle, (strategy, Incompatible::Refused, Guarded::default()), actor, admit).await
    }

    /// The same, where somebody may insist on a version that is too small, and that no guard takes its rollout back.
    pub async fn deploy_judged(
        &self,
        bundle: &[u8],
        how: (Strategy, Incompatible, Guarded),
        actor: &Actor,
        admit: Admit,
    ) -> Result<Deployed, DeployError> {
        let (engine, bundle, actor) = (self.clone(), bundle.to_vec(), actor.clone());
        let span = self.span().clone();
        let deploying = async move { engine.deploy_to_the_end(&bundle, how, &actor, admit).await };
        tokio::spawn(deploying.instrument(span))
            .await
            .unwrap_or_else(|error| Err(DeployError::Stopped(error.to_string())))
    }

    async fn deploy_to_the_end(
        &self,
        bundle: &[u8],
        how: (Strategy, Incompatible, Guarded),
        actor: &Actor,
        admit: Admit,
    ) -> Result<Deployed, DeployError> {
        let deployed = self.try_deploy(bundle, how, actor, admit).await;
        if let Err(error) = &deployed {
            let Actor { name, from } = actor.clone();
            let (target, outcome) = (Digest::of(bundle).to_string(), error.to_string());
            let (kind, person) = (Kind::Control, None);
            self.refused(Refused { kind, actor: name, person, action: "deploy", target, from, outcome });
        }
        deployed
    }

    async fn try_deploy(
        &self,
        bundle: &[u8],
        (strategy, incompatible, guarded): (Strategy, Incompatible, Guarded),
        actor: &Actor,
        admit: Admit,
    ) -> Result<Deployed, DeployError> {
        if self.runs_anything() {
            return Err(DeployError::Develops);
        }
        let one_at_a_time = self.deploying().lock().await;
        let mut stages = Stages::begin();
        let (trusted, known, state) = (keys::list(self.store())?, list(self.store())?, traffic(self.store())?);
        let deployed_ms = now_ms();
        let (tenant, signatures) = (tenants::name_of(self.store())?, self.signatures_asked());
        let (kept, tenant) = (known.last(), tenant.as_ref().and_then(InstanceName::tenant));
        let trust = Trust { keys: &trusted, signatures, tenant, kept, as_of_ms: deployed_ms };
        let verified = VerifiedBundle::verify(bundle, &trust)?;
        stages.passed("verified");
        let sequence = verified.statement().sequence;
        if let Some(kept) = known.last().filter(|kept| kept.sequence == sequence) {
            let (release, rollout) = (kept.clone(), state.rollout.filter(|rollout| rollout.candidate == sequence));
            if state.promoted.last() == Some(&sequence) {
                let was_active = self.loaded_as(sequence).is_some();
                if !was_active {
                    self.load_kept(kept).await?;
                    let _turn = self.shared().turning.lock().await;
                    self.go_by(&traffic(self.store())?);
                }
                return Ok(Deployed { release, was_active, rollout: None });
            }
            if rollout.is_some() {
                return Ok(Deployed { release, was_active: false, rollout });
            }
            drop(one_at_a_time);
            let started = self.start_rollout_guarded(sequence, (strategy, guarded), actor).await;
            let state = started.map_err(Box::new)?;
            return Ok(Deployed { release, was_active: false, rollout: state.rollout });
        }
        // What cannot begin is not even compiled.
        let begun = state
            .start(sequence, strategy.clone(), actor.as_str(), deployed_ms)
            .map_err(RolloutError::from)
            .map_err(Box::new)?;
        let statement = verified.statement().clone();
        judge::one_content(&known, &statement)?;
        let signers = verified.signers().to_vec();
        let deployed_by = actor.as_str().to_owned();
        let compiled = compiled(verified).await?;
        stages.passed("compiled");
        admit(&compiled).map_err(DeployError::Unservable)?;
        let active = state.active().and_then(|active| known.iter().find(|release| release.sequence == active));
        let forced = judge::judge(self, (active, &known), &statement, &compiled, incompatible).await?;
        stages.passed("judged");
        let Statement { app, tenant, version, digest, .. } = statement;
        let record = ReleaseRecord { app, tenant, version, sequence, digest, signers, deployed_ms, deployed_by };
        let is_at_once = strategy == Strategy::BlueGreen { hold: false } || state.active().is_none();
        let writes = if is_at_once { Writes::FromNow } else { Writes::NotYet };
        let loaded = self.load(compiled, Some(sequence), writes).await?;
        stages.passed("loaded");
        let kept = match self.ready_to_compare(&begun).await {
            Ok(()) => keep(self.store(), actor, &record, bundle, (signatures, (&strategy, guarded), &forced)).await,
            Err(error) => Err(Box::new(error).into()),
        };
        if let Err(error) = kept {
            self.give_up(&loaded).await;
            return Err(error);
        }
        stages.passed("recorded");
        let state = self.prepare(actor).await.map_err(Box::new)?;
        stages.passed("rolled out");
        tracing::debug!("stages of the deployment of {}: {stages}", loaded.name());
        Ok(Deployed { release: record, was_active: false, rollout: state.rollout })
    }

    /// Has calls go again where they went when the server ended; `None`: nothing is deployed.
    pub async fn restore(&self, admit: Admit) -> Result<Option<ReleaseRecord>, DeployError> {
        let restored = self.try_restore(admit).await;
        if restored.as_ref().is_err_and(DeployError::may_pass) {
            self.shared().turns.restore_later(admit);
        }
        restored
    }

    async fn try_restore(&self, admit: Admit) -> Result<Option<ReleaseRecord>, DeployError> {
        let _one_at_a_time = self.deploying().lock().await;
        if traffic(self.store())?.active().is_none() {
            // The first one may have been cut off.
            self.finish_preparing().await.map_err(Box::new)?;
            return Ok(active_of(self)?);
        }
        kept_bundles::seal_older(self.store()).await?;
        if resealing::is_under_way(self.store())? {
            tracing::warn!(
                "bundles are being sealed by a new key, and that was cut off: weir keys reseal goes on with it"
            );
        }
        let (state, unloadable) = loop {
            let state = traffic(self.store())?;
            let unloadable = self.load_all_of(&state, admit).await?;
            let _turn = self.shared().turning.lock().await;
            // It may have been rolled back meanwhile, or have gone on.
            if traffic(self.store())? == state {
                self.go_by(&state);
                break (state, unloadable);
            }
        };
        // What was cut off goes on now.
        self.shared().turned.notify_one();
        if let Some(error) = unloadable.as_ref().filter(|error| self.has_ended() || error.may_pass()) {
            tracing::error!("what is being rolled out is not loaded after the start, and is tried again: {error}");
        } else if let Some((rollout, error)) = state.rollout.zip(unloadable) {
            let why = format!("what is being rolled out cannot be loaded after a start: {error}");
            tracing::error!("the rollout is taken back: {why}");
            match self.roll(rollout::Event::TakeBack { release: rollout.candidate, why }, &Actor::weir()).await {
                // Somebody was faster.
                Ok(_) | Err(RolloutError::Refused(_)) => {}
                Err(error) => return Err(Box::new(error).into()),
            }
        }
        Ok(active_of(self)?)
    }

    /// Loads after a start what calls go to, all but releases that are rolled out and cannot be loaded: then why the first of them cannot.
    async fn load_all_of(&self, state: &rollout::Traffic, admit: Admit) -> Result<Option<DeployError>, DeployError> {
        let Some(active) = state.active() else { return Ok(None) };
        let known = list(self.store())?;
        let record = known.iter().find(|release| release.sequence == active).ok_or(KeptError::Unknown(active))?;
        let app = self.kept_app(record).await?;
        admit(&app).map_err(DeployError::Unservable)?;
        self.load(app, Some(active), Writes::FromNow).await?;
        // Those of a rollout that was being prepared are loaded when it goes on.
        let ready = state.rollout.as_ref().filter(|rollout| rollout.phase != Phase::Preparing);
        let mut unloadable = None;
        for (sequence, _) in ready.map(Rollout::variants).unwrap_or_default() {
            unloadable = unloadable.or(self.load_candidate(sequence).await.err());
        }
        self.resume_migration(state).await.map_err(Box::new)?;
        if unloadable.is_none()
            && let Err(error) = self.begin_experiment(state).await
        {
            tracing::error!("the experiment goes on and counts nobody: {error}");
        }
        Ok(unloadable)
    }

    async fn load_candidate(&self, sequence: u64) -> Result<(), DeployError> {
        let known = list(self.store())?;
        let record = known.iter().find(|release| release.sequence == sequence);
        let record = record.ok_or(KeptError::Unknown(sequence))?;
        self.load_kept(record).await.map(drop)
    }
}

fn active_of(engine: &Engine) -> Result<Option<ReleaseRecord>, ControlError> {
    active(engine.store())
}

/// The app in a bundle.
async fn compiled(verified: VerifiedBundle) -> Result<App, DeployError> {
    let Statement { app: name, version, .. } = verified.statement();
    let signed = format!("{name} {version}");
    let sources = sources(verified.into_content());
    let app = compile_elsewhere(sources).await?;
    let found = format!("{} {}", app.manifest.name, app.manifest.version);
    if found != signed {
        return Err(DeployError::Mislabelled { signed, found });
    }
    Ok(app)
}

/// Compiles on a thread that may be kept busy.
async fn compile_elsewhere(sources: Sources) -> Result<App, DeployError> {
    let compiling = tokio::task::spawn_blocking(move || compile(&sources));
    let compiled = compiling.await.map_err(|error| DeployError::Mistakes(format!("the compiler stopped: {error}")))?;
    compiled.map_err(|mistakes| DeployError::Mistakes(told(&mistakes)))
}

pub(super) fn told(mistakes: &[Diagnostic]) -> String {
    let mut lines: Vec<String> =
        mistakes.iter().take(MISTAKES_MAX).map(|mistake| mistake.render(Style::Plain)).collect();
    let more = mistakes.len().saturating_sub(MISTAKES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// Puts a release on record, with its bundle, and begins its rollout, unless its keys count no more since it was verified.
pub(super) async fn keep(
    store: &Store,
    actor: &Actor,
    record: &ReleaseRecord,
    bundle: &[u8],
    (signatures, (strategy, guarded), forced): (usize, (&Strategy, Guarded), &[String]),
) -> Result<(), DeployError> {
    change(store, actor, |transaction| {
        let keys: Vec<SigningKeyRecord> = all_in(transaction, ControlKind::SigningKeys)?;
        let count = keys.iter().filter(|key| key.revoked_ms.is_none() && record.signers.contains(&key.id)).count();
        if count < signatures {
            return Err(DeployError::KeysRevoked);
        }
        let before = read_traffic(transaction)?;
        let begun = before.start(record.sequence, strategy.clone(), actor.as_str(), record.deployed_ms);
        let mut traffic = guarded.applied(begun.map_err(RolloutError::from).map_err(Box::new)?);
        let known: Vec<ReleaseRecord> = all_in(transaction, ControlKind::Releases)?;
        let (old, needed) = ((known.len() + 1).saturating_sub(RELEASES_MAX), needed(&traffic));
        let mut spare: Vec<u64> = known.iter().map(|release| release.sequence).collect();
        spare.retain(|sequence| !needed.contains(sequence));
        // What has to be undone is undone by its release.
        if let Some(text) = transaction.control(&ControlKey::Migration).map_err(ControlError::from)? {
            let migration: MigrationRecord = parse(&text)?;
            let is_of = |release: &ReleaseRecord| migration.release == format!("{} {}", release.app, release.version);
            spare.retain(|sequence| !known.iter().any(|release| release.sequence == *sequence && is_of(release)));
        }
        // Those that nobody would go back to are the first to go.
        spare.sort_by_key(|sequence| traffic.promoted.contains(sequence));
        spare.truncate(old);
        for sequence in &spare {
            transaction.put_control(&ControlKey::Release(*sequence), None);
            kept_bundles::remove(transaction, *sequence);
        }
        traffic.forget(&spare);
        transaction.put_control(&ControlKey::Release(record.sequence), Some(text(record)));
        kept_bundles::put(store, transaction, record, bundle)?;
        let (number, mut moved) = (traffic.rollouts, rollout::Moved { traffic, ended: None });
        let statement = statements::begun(store, transaction, &before, &mut moved, (actor, record.deployed_ms));
        let statement = statement.map_err(RolloutError::from).map_err(Box::new)?;
        put(transaction, &moved);
        let mut targets =
            vec![format!("{} {}", record.app, record.version), record.sequence.to_string(), record.digest.to_string()];
        targets.extend(record.signers.iter().map(|signer| format!("signed by {signer}")));
        targets.push(format!("rollout {number}, {}", strategy.as_str()));
        targets.extend(guarded.target());
        targets.extend(forced.iter().cloned());
        Ok::<_, DeployError>(Changed::new((), "deploy", targets).stated(statement))
    })
    .await
}

//! What is deployed: a bundle is verified, compiled, loaded, put into the store with its audit record, and then becomes the active
//! release.
//!
//! Rule: a bundle that does not verify, compile, load or fit the data changes nothing. What is in the store was verified when it
//! came, and is verified again before it runs.

use bytes::Bytes;
use tracing::Instrument;
use weir_sandbox::App;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::diagnostic::{Diagnostic, Style};
use weir_schema::bundle::Statement;
use weir_schema::codec::control::{ReleaseRecord, SigningKeyRecord};
use weir_schema::digest::Digest;
use weir_store::{ControlKey, ControlKind, Store};

use super::refusals::{Kind, Refused};
use super::{Actor, Changed, ControlError, all, all_in, change, keys, now_ms, text};
use crate::bundle::sign::sources;
use crate::bundle::verified::{Refusal, Trust, VerifiedBundle};
use crate::engine::{ActivateError, Engine};

/// Releases that are on record, the active one among them.
const RELEASES_MAX: usize = 100;
/// Mistakes that are told.
const MISTAKES_MAX: usize = 20;

/// Whether an app can be served by whoever serves; if not, why.
pub type Admit = &'static (dyn Fn(&App) -> Result<(), String> + Sync);

/// What became of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The release that is active now.
    pub release: ReleaseRecord,
    /// Whether it was before.
    pub was_active: bool,
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
    /// It cannot be loaded, or does not fit the data.
    #[error("the app cannot become active: {0}")]
    Activate(#[from] ActivateError),
    /// It is somebody's who writes the app.
    #[error("this server runs an app that is being written: deploy to one that weir serve has started")]
    Develops,
    /// What the store has is not what was put there.
    #[error("the bundle that is kept is not that of release {0}: deploy it again")]
    NotKept(String),
    /// No key counts any more that it was signed with.
    #[error("the keys that the bundle was signed with were revoked meanwhile: sign it with another")]
    KeysRevoked,
    /// A defect of Weir.
    #[error("the deployment stopped: {0}")]
    Stopped(String),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// The releases that are on record, the newest last: that is the active one.
pub fn list(store: &Store) -> Result<Vec<ReleaseRecord>, ControlError> {
    all(store, ControlKind::Releases)
}

impl Engine {
    /// Deploys a bundle: it is served when this returns. One that is refused is on record too. What has begun is finished, also where whoever asked has gone.
    pub async fn deploy(&self, bundle: &[u8], actor: &Actor, admit: Admit) -> Result<Deployed, DeployError> {
        let (engine, bundle, actor) = (self.clone(), bundle.to_vec(), actor.clone());
        let span = self.span().clone();
        let deploying = async move { engine.deploy_to_the_end(&bundle, &actor, admit).await };
        tokio::spawn(deploying.instrument(span))
            .await
            .unwrap_or_else(|error| Err(DeployError::Stopped(error.to_string())))
    }

    async fn deploy_to_the_end(&self, bundle: &[u8], actor: &Actor, admit: Admit) -> Result<Deployed, DeployError> {
        let deployed = self.try_deploy(bundle, actor, admit).await;
        if let Err(error) = &deployed {
            let Actor { name, from } = actor.clone();
            let (target, outcome) = (Digest::of(bundle).to_string(), error.to_string());
            let (kind, person) = (Kind::Control, None);
            self.refused(Refused { kind, actor: name, person, action: "deploy", target, from, outcome });
        }
        deployed
    }

    async fn try_deploy(&self, bundle: &[u8], actor: &Actor, admit: Admit) -> Result<Deployed, DeployError> {
        if self.runs_anything() {
            return Err(DeployError::Develops);
        }
        let mut served = self.deploying().lock().await;
        let (trusted, kept) = (keys::list(self.store())?, list(self.store())?.pop());
        let deployed_ms = now_ms();
        let trust = Trust { keys: &trusted, kept: kept.as_ref(), as_of_ms: deployed_ms };
        let verified = VerifiedBundle::verify(bundle, &trust)?;
        if let Some(kept) = kept.filter(|kept| kept.sequence == verified.statement().sequence) {
            let was_active = *served == Some(kept.sequence);
            if !was_active {
                self.run(verified, admit).await?;
                *served = Some(kept.sequence);
            }
            return Ok(Deployed { release: kept, was_active });
        }
        let Statement { app, version, sequence, digest, .. } = verified.statement().clone();
        let signers = verified.signers().to_vec();
        let deployed_by = actor.as_str().to_owned();
        let record = ReleaseRecord { app, version, sequence, digest, signers, deployed_ms, deployed_by };
        let loaded = self.load(compiled(verified, admit).await?).await?;
        keep(self.store(), actor, &record, bundle).await?;
        self.switch(&loaded).await;
        self.until_served(&loaded).await;
        *served = Some(sequence);
        Ok(Deployed { release: record, was_active: false })
    }

    /// Makes the release that the store has the active one again; `None`: it has none.
    pub async fn restore(&self, admit: Admit) -> Result<Option<ReleaseRecord>, DeployError> {
        let mut served = self.deploying().lock().await;
        let Some(kept) = list(self.store())?.pop() else { return Ok(None) };
        let bundle = self.store().control(&ControlKey::Bundle).map_err(ControlError::from)?.unwrap_or_default();
        let trusted = keys::list(self.store())?;
        // It was good when it came. What has expired since was deployed in time.
        let trust = Trust { keys: &trusted, kept: Some(&kept), as_of_ms: kept.deployed_ms };
        let verified = VerifiedBundle::verify(&bundle, &trust)?;
        if verified.statement().sequence != kept.sequence {
            return Err(DeployError::NotKept(kept.version));
        }
        self.run(verified, admit).await?;
        *served = Some(kept.sequence);
        Ok(Some(kept))
    }

    /// Makes what a bundle has the active release.
    async fn run(&self, verified: VerifiedBundle, admit: Admit) -> Result<(), DeployError> {
        let loaded = self.load(compiled(verified, admit).await?).await?;
        self.switch(&loaded).await;
        self.until_served(&loaded).await;
        Ok(())
    }
}

/// The app in a bundle.
async fn compiled(verified: VerifiedBundle, admit: Admit) -> Result<App, DeployError> {
    let Statement { app: name, version, .. } = verified.statement();
    let signed = format!("{name} {version}");
    let sources = sources(verified.into_content());
    let app = compile_elsewhere(sources).await?;
    let found = format!("{} {}", app.manifest.name, app.manifest.version);
    if found != signed {
        return Err(DeployError::Mislabelled { signed, found });
    }
    admit(&app).map_err(DeployError::Unservable)?;
    Ok(app)
}

/// Compiles on a thread that may be kept busy.
async fn compile_elsewhere(sources: Sources) -> Result<App, DeployError> {
    let compiling = tokio::task::spawn_blocking(move || compile(&sources));
    let compiled = compiling.await.map_err(|error| DeployError::Mistakes(format!("the compiler stopped: {error}")))?;
    compiled.map_err(|mistakes| DeployError::Mistakes(told(&mistakes)))
}

fn told(mistakes: &[Diagnostic]) -> String {
    let mut lines: Vec<String> =
        mistakes.iter().take(MISTAKES_MAX).map(|mistake| mistake.render(Style::Plain)).collect();
    let more = mistakes.len().saturating_sub(MISTAKES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// Puts a release on record, with its bundle, unless its keys count no more since it was verified.
async fn keep(store: &Store, actor: &Actor, record: &ReleaseRecord, bundle: &[u8]) -> Result<(), DeployError> {
    let bundle = Bytes::copy_from_slice(bundle);
    change(store, actor, |transaction| {
        let keys: Vec<SigningKeyRecord> = all_in(transaction, ControlKind::SigningKeys)?;
        if !keys.iter().any(|key| key.revoked_ms.is_none() && record.signers.contains(&key.id)) {
            return Err(DeployError::KeysRevoked);
        }
        let known: Vec<ReleaseRecord> = all_in(transaction, ControlKind::Releases)?;
        let old = (known.len() + 1).saturating_sub(RELEASES_MAX);
        for release in known.iter().take(old) {
            transaction.put_control(&ControlKey::Release(release.sequence), None);
        }
        transaction.put_control(&ControlKey::Release(record.sequence), Some(text(record)));
        transaction.put_control(&ControlKey::Bundle, Some(bundle.clone()));
        let mut targets =
            vec![format!("{} {}", record.app, record.version), record.sequence.to_string(), record.digest.to_string()];
        targets.extend(record.signers.iter().map(|signer| format!("signed by {signer}")));
        Ok::<_, DeployError>(Changed::new((), "deploy", targets))
    })
    .await
}

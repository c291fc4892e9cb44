//! What is asked and answered: one line of JSON each.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_engine::control::Actor;
use weir_engine::control::acts::Act;
use weir_engine::control::erasure::Whom;
use weir_engine::control::judge::Incompatible;
use weir_engine::control::keys::{self, KeysError, Validity};
use weir_engine::control::log::Wanted;
use weir_engine::control::releases::{self, Deployed};
use weir_engine::control::tenants::Reached;
use weir_engine::revoked::{Revocation, Revoked};
use weir_engine::rollouts::conduct::{Guarded, RolloutError};
use weir_engine::rollouts::status::{self, NamedVariant};
use weir_schema::codec::audit::{AuditHead, Person};
use weir_schema::codec::control::{AdministratorRecord, InstanceRecord, Permission, ReleaseRecord, SigningKeyRecord};
use weir_schema::codec::job::JobState;
use weir_schema::id::DocumentId;
use weir_schema::rollout::{Event, Rollout, Strategy};
use weir_schema::tenant::{InstanceName, TenantName};
use weir_store::progress::Progress;
use weir_store::{Exported, Manifest, Store};

use crate::auth::mint;

use crate::tenants::Condition;
use crate::tenants::environments::{Changing, Making};

/// The longest request, in bytes.
pub const REQUEST_BYTES_MAX: u64 = 64 << 10;
/// The longest line of an answer, in bytes.
pub const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Records of the audit log in one answer.
pub const AUDIT_PAGE_RECORDS: usize = 200;
/// Bytes of these, but for one more: with what JSON adds an answer has room for them.
pub const AUDIT_PAGE_BYTES: usize = 256 << 10;

/// What a command asks for. Paths are absolute: the two processes may stand in different folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "camelCase")]
pub enum Request {
    /// A backup in a new folder. Done with [`BackedUp`].
    Backup {
        /// The folder.
        to: PathBuf,
    },
    /// An export into a new file. Done with [`weir_store::Exported`].
    Export {
        /// The file.
        to: PathBuf,
    },
    /// A look at every record. Done with [`weir_store::Report`].
    Verify,
    /// A look at what is kept of releases and rollouts. Done with [`Inspected`](weir_engine::control::inspection::Inspected).
    Inspect,
    /// Some of the jobs. Done with [`weir_engine::jobs::control::Listing`].
    Jobs {
        /// Those in this state; all without.
        state: Option<JobState>,
        /// Those of this function; all without.
        function: Option<String>,
        /// Those after this one.
        after: Option<DocumentId>,
    },
    /// The end of a job that waits or is dead. Done with [`weir_engine::jobs::control::Listed`].
    CancelJob {
        /// The job.
        id: String,
    },
    /// Another run of a job, now. Done with [`weir_engine::jobs::control::Listed`].
    RetryJob {
        /// The job.
        id: String,
    },
    /// How all views are. Done with a list of [`weir_engine::views::ViewStatus`].
    Views,
    /// A run of a view, now. Done with [`weir_engine::views::ViewStatus`].
    RefreshView {
        /// The view.
        name: String,
    },
    /// Documents to be trusted. Done with [`crate::documents::Pushed`].
    PushDocuments {
        /// The files and folders that have them.
        files: Vec<PathBuf>,
        /// Also those that do not fit the schema.
        anyway: bool,
    },
    /// Some of the trusted documents. Done with them, by id; with none after the last.
    Documents {
        /// Those after this one.
        after: Option<String>,
    },
    /// The end of trust in documents. Done with null.
    RemoveDocuments {
        /// Their ids.
        ids: Vec<String>,
    },
    /// A record that a token was made with the key of the data folder. Done with null.
    TokenMinted {
        /// For whom.
        subject: String,
    },
    /// The end of tokens. Done with [`weir_engine::revoked::Revoked`].
    RevokeTokens {
        /// Which.
        revocation: Revocation,
    },
    /// Some of what is revoked. Done with a list of [`weir_engine::revoked::Revoked`]; with none after the last.
    Revocations {
        /// Those after this one.
        after: Option<Revoked>,
    },
    /// The keys that bundles may be signed with. Done with a list of [`SigningKeyRecord`].
    SigningKeys,
    /// Trust in one. Done with a [`SigningKeyRecord`].
    TrustKey {
        /// The public key, as PEM text.
        public: String,
        /// From when on, and for how long.
        #[serde(flatten)]
        validity: Validity,
    },
    /// Trust in one in the place of another. Done with a [`RotatedKey`](weir_engine::control::keys::RotatedKey).
    RotateKey {
        /// The id of the other.
        id: String,
        /// The public key, as PEM text.
        public: String,
        /// How long the other still counts.
        overlap_ms: u64,
        /// For how long the new one does; until it is revoked without.
        for_ms: Option<u64>,
    },
    /// The end of trust in one. Done with [`RevokedKey`].
    RevokeKey {
        /// Its id.
        id: String,
    },
    /// A new key for what the store seals, and all of it sealed by that. Done with a
    /// [`Resealed`](weir_engine::control::resealing::Resealed).
    Reseal,
    /// A bundle to be rolled out. Done with [`Shipped`].
    Deploy {
        /// Its file.
        file: PathBuf,
        /// How.
        strategy: Strategy,
        /// What becomes of it where its version is too small.
        incompatible: Incompatible,
        /// What may take its rollout back.
        #[serde(default)]
        guarded: Guarded,
    },
    /// Which releases take calls. Done with a [`weir_engine::rollouts::status::Status`].
    RolloutStatus,
    /// What the shadow rollout under way, or the last one, has found. Done with a
    /// [`ShadowReport`](weir_engine::rollouts::report::ShadowReport), or null.
    ShadowReport,
    /// The rollouts that are over. Done with a list of [`Rollout`].
    Rollouts,
    /// What was stated of a rollout, signed. Done with [`Signed`](weir_engine::rollouts::statements::Signed).
    RolloutStatements {
        /// Its number; of the last one that began without.
        rollout: Option<u64>,
    },
    /// A release that is on record to be rolled out. Done with a [`weir_engine::rollouts::status::Status`].
    StartRollout {
        /// Its version, or its sequence.
        release: String,
        /// How.
        strategy: Strategy,
        /// More releases of an experiment.
        #[serde(default)]
        variants: Vec<NamedVariant>,
        /// What may take it back.
        #[serde(default)]
        guarded: Guarded,
    },
    /// What is known of an experiment. Done with an [`ExperimentReport`](weir_engine::experiments::ExperimentReport).
    ExperimentReport {
        /// The number of its rollout; of the last one without.
        experiment: Option<u64>,
    },
    /// Something to happen to the rollout under way. Done with a [`weir_engine::rollouts::status::Status`].
    Roll {
        /// What.
        rolling: Rolling,
    },
    /// What was deployed. Done with [`releases::OnRecord`].
    Releases,
    /// What clients have asked for. Done with a list of [`Asked`](crate::releases::Asked).
    Usage {
        /// Of the release with this sequence; of all without.
        release: Option<u64>,
    },
    /// What has changed from one release to another. Done with a [`Difference`](weir_engine::control::difference::Difference).
    Diff {
        /// The one.
        from: Compared,
        /// The other.
        to: Compared,
    },
    /// The end of the audit log. Done with an [`AuditHead`].
    AuditHead,
    /// A look at the audit log. Done with [`weir_store::AuditReport`].
    VerifyAudit {
        /// An earlier end that it has to lead through.
        through: Option<AuditHead>,
    },
    /// Some of the audit log. Done with a [`Page`](weir_engine::control::log::Page).
    Audit {
        /// Which records.
        wanted: Wanted,
        /// Those after this one.
        after: u64,
    },
    /// The end of what the audit log tells of somebody. Done with a [`weir_engine::control::erasure::Erased`].
    EraseAudit {
        /// Of whom.
        whom: Whom,
    },
    /// Who may use the control plane. Done with a list of [`AdministratorShown`].
    Administrators,
    /// One more. Done with the token.
    CreateAdministrator {
        /// The name.
        name: String,
        /// What they may do.
        permissions: Vec<Permission>,
    },
    /// One less. Done with null.
    RevokeAdministrator {
        /// The name.
        name: String,
    },
    /// All that a tenant has, as files in a new folder; asked of who serves the tenant. Done with
    /// [`Summary`](crate::tenants::export::Summary).
    ExportAll {
        /// The folder.
        to: PathBuf,
        /// What the registry has of it.
        tenant: InstanceRecord,
    },
    /// All tenants. Done with a list of [`TenantShown`].
    Tenants,
    /// One more. Done with [`NewTenant`].
    CreateTenant {
        /// The name.
        name: TenantName,
        /// By what it is reached.
        reached: Reached,
    },
    /// Other hosts and issuers of one. Done with a [`TenantShown`].
    ReachTenant {
        /// The name.
        name: TenantName,
        /// By what it is reached from now on.
        reached: Reached,
    },
    /// One that is kept and not served. Done with a [`TenantShown`].
    SuspendTenant {
        /// The name.
        name: TenantName,
    },
    /// One that is served again. Done with a [`TenantShown`].
    ResumeTenant {
        /// The name.
        name: TenantName,
    },
    /// The end of all that one has. Done with null.
    DeleteTenant {
        /// The name.
        name: TenantName,
    },
    /// All environments of an app. Done with a list of [`TenantShown`].
    Environments {
        /// Of which tenant; of the server's own app without.
        of: Option<TenantName>,
    },
    /// One more. Done with a [`TenantShown`].
    CreateEnvironment {
        /// Of which tenant; of the server's own app without.
        of: Option<TenantName>,
        /// What.
        making: Making,
    },
    /// Another time or other hosts of one. Done with a [`TenantShown`].
    ChangeEnvironment {
        /// The environment.
        name: InstanceName,
        /// What.
        changing: Changing,
    },
    /// One that is kept and not served. Done with a [`TenantShown`].
    SuspendEnvironment {
        /// The environment.
        name: InstanceName,
    },
    /// One that is served again. Done with a [`TenantShown`].
    ResumeEnvironment {
        /// The environment.
        name: InstanceName,
    },
    /// The end of all that one has. Done with null.
    DeleteEnvironment {
        /// The environment.
        name: InstanceName,
    },
    /// The end of all that is kept of a view. Done with [`weir_engine::views::ViewStatus`].
    DropView {
        /// The view.
        name: String,
    },
}

/// What whoever operates may have happen to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rolling {
    /// The next step.
    Advance,
    /// No further step.
    Pause,
    /// The steps go on.
    Resume,
    /// All callers move.
    Promote {
        /// To the release with this version or sequence, if it is one of those that are rolled out; without, to the only one.
        release: Option<String>,
    },
    /// Nobody goes back but by hand.
    Unguard,
    /// All callers move back.
    RollBack {
        /// From the release with this version or sequence, if it is the one that is rolled out, or else the active one; without, from
        /// whichever is.
        #[serde(default)]
        release: Option<String>,
        /// Why.
        why: String,
    },
}

impl Rolling {
    /// The same with what it names looked up.
    pub fn event(self, store: &Store) -> Result<Event, RolloutError> {
        Ok(match self {
            Self::Advance => Event::Advance,
            Self::Pause => Event::Pause,
            Self::Resume => Event::Resume,
            Self::Promote { release: None } => Event::Promote,
            Self::Promote { release: Some(release) } => {
                Event::Choose { release: status::find(store, &release)?.sequence }
            }
            Self::Unguard => Event::Unguard,
            Self::RollBack { release: None, why } => Event::RollBack { why },
            Self::RollBack { release: Some(release), why } => {
                Event::TakeBack { release: status::find(store, &release)?.sequence, why }
            }
        })
    }
}

/// A release to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Compared {
    /// One on record: `active`, a version or a sequence.
    Release(String),
    /// A bundle in a file.
    Bundle(PathBuf),
}

/// One line of the answer. The last is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "camelCase")]
pub enum Answer {
    /// How far it is.
    Progress(Progress),
    /// It is done.
    Done {
        /// What the request says.
        outcome: Value,
    },
    /// It is not done, and will not be.
    Failed {
        /// Why, in one line.
        reason: String,
    },
}

/// What a backup holds, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// The last commit in it.
    pub sequence: u64,
    /// Its files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

impl BackedUp {
    /// That a backup was made, for the audit log.
    pub fn act(to: &Path, sequence: u64) -> Act {
        Act::on("backup", [to.display().to_string(), format!("commit {sequence}")])
    }
}

/// That an export was made, for the audit log.
pub fn exported(to: &Path, exported: &Exported) -> Act {
    Act::on("export", [to.display().to_string(), format!("commit {}", exported.sequence)])
}

/// That all of a tenant was exported, for its audit log.
pub fn exported_all(to: &Path, exported: &Exported) -> Act {
    Act::on("exportTenant", [to.display().to_string(), format!("commit {}", exported.sequence)])
}

/// That a token of development was made for somebody, for the audit log.
pub fn token_minted(subject: &str) -> Act {
    let about = Some(Person::of_token(mint::ISSUER, subject));
    Act { about, ..Act::on("mintToken", [mint::ISSUER.to_owned()]) }
}

/// That what is kept of a view was dropped, or computed anew, for the audit log.
pub fn of_view(action: &'static str, name: &str) -> Act {
    Act::on(action, [name.to_owned()])
}

impl From<&Manifest> for BackedUp {
    fn from(manifest: &Manifest) -> Self {
        Self { sequence: manifest.sequence, files: manifest.files.len() as u64, bytes: manifest.bytes() }
    }
}

/// A key that counts no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokedKey {
    /// The key.
    pub key: SigningKeyRecord,
    /// The version of the newest release, if not as many keys that count have signed it any more as are asked for.
    pub orphan: Option<String>,
}

impl RevokedKey {
    /// Revokes a key, where so many signatures of a bundle are asked for.
    pub async fn of(store: &Store, actor: &Actor, id: &str, signatures: usize) -> Result<Self, KeysError> {
        let key = keys::revoke(store, actor, id).await?;
        let (known, active) = (keys::list(store)?, releases::active(store)?);
        let counts = |signer| known.iter().any(|key| key.id == signer && key.revoked_ms.is_none());
        let count = |release: &ReleaseRecord| release.signers.iter().filter(|signer| counts(**signer)).count();
        let orphan = active.filter(|release| count(release) < signatures);
        Ok(Self { key, orphan: orphan.map(|release| release.version) })
    }
}

/// A bundle that is rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shipped {
    /// The release.
    pub release: ReleaseRecord,
    /// Whether it was active before.
    pub was_active: bool,
    /// How far its rollout is, unless it is active now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

impl fmt::Display for Shipped {
    /// In words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, was_active, rollout } = self;
        write!(f, "{} {} ", release.app, release.version)?;
        match rollout {
            None if *was_active => f.write_str("is served already")?,
            None => f.write_str("is served")?,
            Some(rollout) => write!(f, "is being rolled out: {}", rollout.in_words())?,
        }
        write!(f, ", sequence {}", release.sequence)
    }
}

impl From<Deployed> for Shipped {
    fn from(Deployed { release, was_active, rollout }: Deployed) -> Self {
        Self { release, was_active, rollout }
    }
}

/// A tenant, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantShown {
    /// What the registry has.
    #[serde(flatten)]
    pub record: InstanceRecord,
    /// How it stands, where it is served or should be: `creating`, `served`, `suspended`, `unavailable` or `deleting`.
    pub condition: String,
}

impl TenantShown {
    /// One of a server that runs.
    pub fn of(record: InstanceRecord, condition: Condition) -> Self {
        Self { record, condition: condition.as_str().to_owned() }
    }

    /// One of a server that does not.
    pub fn at_rest(record: InstanceRecord) -> Self {
        let condition = record.state.as_str().to_owned();
        Self { record, condition }
    }
}

/// A tenant that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTenant {
    /// The tenant.
    pub tenant: TenantShown,
    /// The token of its first administrator. It is nowhere else.
    pub token: String,
}

/// An administrator, without what is known of the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdministratorShown {
    /// The name.
    pub name: String,
    /// What they may do.
    pub permissions: Vec<Permission>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// By whom.
    pub created_by: String,
}

impl From<AdministratorRecord> for AdministratorShown {
    fn from(record: AdministratorRecord) -> Self {
        let AdministratorRecord { name, permissions, created_ms, created_by, .. } = record;
        Self { name, permissions, created_ms, created_by }
    }
}

//! What the control plane tells.

use async_graphql::{Enum, SimpleObject};
use weir_engine::control::difference::{Difference, Noticed};
use weir_engine::jobs::Clock;
use weir_schema::codec::audit::AuditRecord;
use weir_schema::codec::control::{
    self, InstanceRecord, MigrationDirection, MigrationRecord, ReleaseRecord, SigningKeyRecord, SigningKeyState,
};
use weir_schema::compatibility::Change;
use weir_schema::datetime::{self, Moment};
use weir_store::BuildProgress;

use super::rollouts::Rollout;
use crate::control::message::AdministratorShown;
use crate::releases::Asked;
use crate::tenants::Condition;

/// How the server is.
#[derive(SimpleObject)]
pub struct Status {
    /// The version of weir.
    pub version: &'static str,
    /// Whether calls can be answered.
    pub ready: bool,
    /// The release that is served.
    pub release: Option<String>,
    /// The number of the last commit.
    pub sequence: String,
    /// When that was.
    pub committed_at: String,
}

/// A version of the app that was deployed.
#[derive(SimpleObject)]
pub struct Release {
    /// The name of the app.
    pub app: String,
    /// Its version.
    pub version: String,
    /// Its place among the bundles of the app: the highest is the newest.
    pub sequence: String,
    /// The SHA-256 of its content.
    pub digest: String,
    /// The ids of the keys whose signatures counted.
    pub signers: Vec<String>,
    /// When it was deployed.
    pub deployed_at: String,
    /// The same in milliseconds since 1970.
    pub deployed_ms: String,
    /// By whom.
    pub deployed_by: String,
    /// Whether it is the active one.
    pub active: bool,
}

impl Release {
    /// A release; whether it is active is not in its record.
    pub fn of(record: ReleaseRecord, active: bool) -> Self {
        let ReleaseRecord { app, tenant: _, version, sequence, digest, signers, deployed_ms, deployed_by } = record;
        Self {
            app,
            version,
            sequence: sequence.to_string(),
            digest: digest.to_string(),
            signers: signers.iter().map(ToString::to_string).collect(),
            deployed_at: moment(deployed_ms),
            deployed_ms: deployed_ms.to_string(),
            deployed_by,
            active,
        }
    }
}

/// Documents that are being gone through for a release that is being loaded.
#[derive(SimpleObject)]
pub struct Building {
    /// The collection.
    pub collection: String,
    /// For which index, by its fields, or for what else.
    pub index: String,
    /// The documents so far.
    pub done: String,
    /// The documents when it began.
    pub total: String,
}

impl From<BuildProgress> for Building {
    fn from(BuildProgress { collection, index, done, total }: BuildProgress) -> Self {
        Self { collection, index, done: done.to_string(), total: total.to_string() }
    }
}

/// A migration of documents that its release has begun and that is neither kept nor undone.
#[derive(SimpleObject)]
pub struct Migration {
    /// The app and the version.
    pub release: String,
    /// Whether it is being undone.
    pub undoing: bool,
    /// Whether all documents have been gone through.
    pub over: bool,
    /// How far it is.
    pub collections: Vec<Migrated>,
}

/// How far a migration is in one collection.
#[derive(SimpleObject)]
pub struct Migrated {
    /// The collection.
    pub collection: String,
    /// The documents so far.
    pub done: String,
    /// The documents when it began.
    pub total: String,
    /// How many of them are others than they were.
    pub changed: String,
}

impl From<MigrationRecord> for Migration {
    fn from(MigrationRecord { release, direction, is_over, collections }: MigrationRecord) -> Self {
        let migrated = collections.into_iter().map(|(collection, progress)| Migrated {
            collection,
            done: progress.done.to_string(),
            total: progress.total.to_string(),
            changed: progress.changed.to_string(),
        });
        let undoing = direction == MigrationDirection::Down;
        Self { release, undoing, over: is_over, collections: migrated.collect() }
    }
}

/// What has changed from one release to another.
#[derive(SimpleObject)]
pub struct ReleaseDiff {
    /// The name of the app.
    pub app: String,
    /// The version of the one.
    pub from: String,
    /// That of the other.
    pub to: String,
    /// The worst of what changed: `breaking`, `dangerous`, `addition` or `internal`.
    pub level: &'static str,
    /// The least version that the other one may have.
    pub least_version: String,
    /// Whether it has such a version.
    pub is_enough: bool,
    /// What changed, the worst first.
    pub changes: Vec<ReleaseChange>,
    /// How many more there are.
    pub more: usize,
}

impl From<Difference> for ReleaseDiff {
    fn from(difference: Difference) -> Self {
        let Difference { app, from, to, level, least_version, is_enough, changes, more } = difference;
        let (level, changes) = (level.as_str(), changes.into_iter().map(ReleaseChange::from).collect());
        Self { app, from, to, level, least_version, is_enough, changes, more }
    }
}

/// One change, and who would notice.
#[derive(SimpleObject)]
pub struct ReleaseChange {
    /// How much it asks of clients: `breaking`, `dangerous`, `addition` or `internal`.
    pub level: &'static str,
    /// Of what: `function`, `type`, `endpoint`, `collection`, `policy`, `limit`, `rate`, `schedule`, `host`, `secret`, `claim` or `setting`.
    pub part: &'static str,
    /// Where: what clients see as a schema coordinate, a setting by its place in `app.toml`.
    pub coordinate: String,
    /// What it is, in one sentence.
    pub description: String,
    /// By which functions clients come to it, where it is nothing that they ask for by itself.
    pub reached_by: Vec<String>,
    /// How often clients have asked for it in the last 30 days, where that is counted.
    pub used: Option<String>,
    /// When last.
    pub last_used_at: Option<String>,
    /// The same in one sentence.
    pub usage: Option<String>,
}

impl From<Noticed> for ReleaseChange {
    fn from(Noticed { change, used, last_used_ms, usage }: Noticed) -> Self {
        let Change { level, part, coordinate, description, reached_by } = change;
        let (level, part) = (level.as_str(), part.as_str());
        let (used, last_used_at) = (used.map(|used| used.to_string()), last_used_ms.map(moment));
        Self { level, part, coordinate, description, reached_by, used, last_used_at, usage }
    }
}

/// Something that clients have asked for.
#[derive(SimpleObject)]
pub struct Usage {
    /// A function by its name, a field or an argument by its schema coordinate, an endpoint by method and path.
    pub name: String,
    /// How often.
    pub count: String,
    /// When last.
    pub last_at: String,
    /// The same in milliseconds since 1970.
    pub last_ms: String,
}

impl From<Asked> for Usage {
    fn from(Asked { name, count, last_ms }: Asked) -> Self {
        Self { name, count: count.to_string(), last_at: moment(last_ms), last_ms: last_ms.to_string() }
    }
}

/// A key that bundles may be signed with.
#[derive(SimpleObject)]
pub struct SigningKey {
    /// What it is known by.
    pub id: String,
    /// How it stands.
    pub state: KeyState,
    /// Since when it is trusted.
    pub trusted_at: String,
    /// By whom.
    pub trusted_by: String,
    /// From when on what it signs counts.
    pub valid_from: String,
    /// Until when; null: until it is revoked.
    pub expires_at: Option<String>,
    /// Since when it counts no more.
    pub revoked_at: Option<String>,
}

impl From<SigningKeyRecord> for SigningKey {
    fn from(record: SigningKeyRecord) -> Self {
        let state = record.state(Clock::system().now_ms()).into();
        let valid_from = moment(record.valid_from_ms());
        let SigningKeyRecord { id, trusted_ms, trusted_by, expires_ms, revoked_ms, .. } = record;
        Self {
            id: id.to_string(),
            state,
            trusted_at: moment(trusted_ms),
            trusted_by,
            valid_from,
            expires_at: expires_ms.map(moment),
            revoked_at: revoked_ms.map(moment),
        }
    }
}

/// How a key stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It does not count yet.
    NotYet,
    /// It counts.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl From<SigningKeyState> for KeyState {
    fn from(state: SigningKeyState) -> Self {
        match state {
            SigningKeyState::NotYet => Self::NotYet,
            SigningKeyState::Valid => Self::Valid,
            SigningKeyState::Expired => Self::Expired,
            SigningKeyState::Revoked => Self::Revoked,
        }
    }
}

/// A key that has taken the place of another.
#[derive(SimpleObject)]
pub struct KeyRotation {
    /// The new one.
    pub key: SigningKey,
    /// The one of before, with the end of its time.
    pub before: SigningKey,
}

/// Somebody who may use the control plane.
#[derive(SimpleObject)]
pub struct AdministratorInfo {
    /// The name.
    pub name: String,
    /// What they may do.
    pub permissions: Vec<AdminPermission>,
    /// When it was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
}

impl From<AdministratorShown> for AdministratorInfo {
    fn from(shown: AdministratorShown) -> Self {
        let AdministratorShown { name, permissions, created_ms, created_by } = shown;
        let permissions = permissions.into_iter().map(AdminPermission::from).collect();
        Self { name, permissions, created_at: moment(created_ms), created_by }
    }
}

/// What somebody may do with the control plane.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "control::Permission")]
pub enum AdminPermission {
    /// See releases, keys and how the server is.
    Read,
    /// Deploy.
    Deploy,
    /// Trust keys and revoke them.
    Keys,
    /// Make administrators, and have them be none.
    Administrators,
    /// Read the audit log.
    Audit,
    /// Have the audit log tell of somebody no more.
    Erase,
    /// Make tenants, suspend and delete them.
    Tenants,
    /// Make environments of the app, and delete them.
    Environments,
}

/// Somebody whose app and data are apart from all others.
#[derive(SimpleObject)]
pub struct Tenant {
    /// The name.
    pub name: String,
    /// Hosts under which it is reached.
    pub hosts: Vec<String>,
    /// Issuers all of whose tokens are good there.
    pub issuers: Vec<String>,
    /// How it stands.
    pub state: TenantCondition,
    /// When it was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
}

impl Tenant {
    /// A tenant; how it stands is not all in its record.
    pub fn of(record: InstanceRecord, condition: Condition) -> Self {
        let InstanceRecord { name, hosts, issuers, created_ms, created_by, .. } = record;
        Self {
            name: name.to_string(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            issuers,
            state: condition.into(),
            created_at: moment(created_ms),
            created_by,
        }
    }
}

/// How a tenant or an environment stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Condition")]
pub enum TenantCondition {
    /// It is being made.
    Creating,
    /// It is served.
    Served,
    /// It is kept and not served.
    Suspended,
    /// It should be served and cannot be opened: the log of the server says why.
    Unavailable,
    /// It is being removed.
    Deleting,
}

/// A tenant that was made.
#[derive(SimpleObject)]
pub struct NewTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// The token of its first administrator. It is nowhere else.
    pub token: String,
}

/// A token that is told once.
#[derive(SimpleObject)]
pub struct NewAdministrator {
    /// The name.
    pub name: String,
    /// The token. It is nowhere else.
    pub token: String,
}

/// What became of a bundle.
#[derive(SimpleObject)]
pub struct Deployment {
    /// The release.
    pub release: Release,
    /// Whether it was active before.
    pub was_active: bool,
    /// How far it is, unless it is active now.
    pub rollout: Option<Rollout>,
}

/// What became of a key.
#[derive(SimpleObject)]
pub struct Revocation {
    /// The key.
    pub key: SigningKey,
    /// The version of the active release, if no key that counts has signed it any more: it is served until the server is started
    /// again.
    pub orphan: Option<String>,
}

/// Some of the audit log.
#[derive(SimpleObject)]
pub struct AuditPage {
    /// The records, the oldest first.
    pub records: Vec<Record>,
    /// What to give as `after` for those that follow; null where the log ends.
    pub next: Option<String>,
}

/// One act.
#[derive(SimpleObject)]
pub struct Record {
    /// Its place in the log.
    pub number: String,
    /// Who acted.
    pub actor: String,
    /// What kind of act it was.
    pub action: String,
    /// What was acted on.
    pub targets: Vec<String>,
    /// When.
    pub at: String,
    /// From which address, where it is known.
    pub from: Option<String>,
    /// With what: for a call its arguments as JSON text, where they are on record.
    pub arguments: Option<String>,
    /// By which id the record names who acted, where that is a person: whatever was sealed of them is gone once they are erased.
    pub person: Option<String>,
    /// What came of it, where that is not what was wanted.
    pub outcome: Option<String>,
    /// How many acts it stands for: those alike within some time are one record.
    pub times: String,
    /// The number of the commit that it is part of.
    pub commit: String,
    /// The SHA-256 of the record before.
    pub previous: String,
    /// The SHA-256 of the statement that was signed of it; null: none was.
    pub statement: Option<String>,
}

impl From<AuditRecord> for Record {
    fn from(record: AuditRecord) -> Self {
        let AuditRecord { number, previous, commit, timestamp, actor, action, targets, from, outcome, times, .. } =
            record;
        Self {
            arguments: record.arguments,
            person: record.sealed.map(|sealed| sealed.person.to_string()),
            number: number.to_string(),
            actor,
            action,
            targets,
            at: moment(timestamp.0 / NANOSECONDS),
            from,
            outcome,
            times: times.unwrap_or(1).to_string(),
            commit: commit.to_string(),
            previous: previous.to_string(),
            statement: record.statement.map(|digest| digest.to_string()),
        }
    }
}

/// Nanoseconds of a millisecond.
pub(super) const NANOSECONDS: u64 = 1_000_000;

/// A time in milliseconds since 1970, as people and programs read it.
pub(super) fn moment(ms: u64) -> String {
    let nanoseconds = u32::try_from(ms % 1_000).unwrap_or_default() * 1_000_000;
    let moment = i64::try_from(ms / 1_000).ok().map(|seconds| Moment { seconds, nanoseconds });
    moment.and_then(|moment| datetime::format(moment).ok()).unwrap_or_else(|| ms.to_string())
}

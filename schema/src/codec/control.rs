//! What the control plane knows, as it lies in the store: JSON text under `P`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base64;
use crate::bundle::envelope::KeyId;
use crate::digest::Digest;
use crate::id::DocumentId;
use crate::tenant::{EnvironmentName, HostName, InstanceName, TenantName};

/// A release that was deployed. The one with the highest sequence is the active one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRecord {
    /// The name of the app.
    pub app: String,
    /// The tenant, as the statement has it. One that was deployed before statements named tenants has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    /// Its version.
    pub version: String,
    /// As the statement has it.
    pub sequence: u64,
    /// That of the content.
    pub digest: Digest,
    /// Whose signatures counted.
    pub signers: Vec<KeyId>,
    /// When, in milliseconds since 1970.
    pub deployed_ms: u64,
    /// By whom.
    pub deployed_by: String,
}

/// A migration of documents that a release carries: from when it begins until the release has been promoted, or until all of it is
/// undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationRecord {
    /// The release, by the name of its app and its version.
    pub release: String,
    /// Which way it goes.
    pub direction: MigrationDirection,
    /// Whether all documents have been gone through.
    pub is_over: bool,
    /// How far it is, by collection: they are gone through in this order.
    pub collections: BTreeMap<String, MigratedCollection>,
}

/// Which way a migration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MigrationDirection {
    /// Documents become those of the release.
    Up,
    /// They become again what they were.
    Down,
}

/// How far a migration is in one collection. Documents are gone through in the order of their ids, so those that are migrated at
/// the moment are those after [`undone`](Self::undone) and no further than [`reached`](Self::reached).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigratedCollection {
    /// How far documents have been migrated.
    pub reached: Reached,
    /// How far that has been undone.
    pub undone: Reached,
    /// Documents that have been gone through in this direction.
    pub done: u64,
    /// How many there were when it began.
    pub total: u64,
    /// How many of those that were gone through are others than they were.
    pub changed: u64,
}

/// A place in the order of ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reached {
    /// Before all documents.
    #[default]
    Nothing,
    /// At this one.
    To(DocumentId),
    /// Behind all, those that will come included.
    All,
}

impl Reached {
    /// Whether a document is at the place or before it.
    pub fn has(&self, id: &DocumentId) -> bool {
        match self {
            Self::Nothing => false,
            Self::To(last) => id <= last,
            Self::All => true,
        }
    }
}

impl MigratedCollection {
    /// Whether a document is migrated.
    pub fn has(&self, id: &DocumentId) -> bool {
        self.reached.has(id) && !self.undone.has(id)
    }
}

/// A key that bundles may be signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningKeyRecord {
    /// What it is known by.
    pub id: KeyId,
    /// The public key.
    #[serde(with = "base64")]
    pub public: Vec<u8>,
    /// When it was trusted first, in milliseconds since 1970.
    pub trusted_ms: u64,
    /// By whom.
    pub trusted_by: String,
    /// From when on what it signs counts; `None`: since it was trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// Until when what it signs counts; `None`: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Since when nothing counts that it has signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
}

/// The key that a store signs statements about rollouts with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementKeyRecord {
    /// The public key.
    #[serde(with = "base64")]
    pub public: Vec<u8>,
    /// The private key, sealed.
    #[serde(with = "base64")]
    pub sealed: Vec<u8>,
    /// When it was drawn, in milliseconds since 1970.
    pub drawn_ms: u64,
}

/// How a key stands at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SigningKeyState {
    /// It does not count yet.
    NotYet,
    /// It counts.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl SigningKeyRecord {
    /// How it stands at a time, in milliseconds since 1970. One that was revoked is that at any time.
    pub fn state(&self, at_ms: u64) -> SigningKeyState {
        match (self.revoked_ms, self.expires_ms) {
            (Some(_), _) => SigningKeyState::Revoked,
            _ if self.valid_from_ms() > at_ms => SigningKeyState::NotYet,
            (None, Some(expires_ms)) if expires_ms <= at_ms => SigningKeyState::Expired,
            (None, _) => SigningKeyState::Valid,
        }
    }

    /// From when on what it signs counts, in milliseconds since 1970.
    pub fn valid_from_ms(&self) -> u64 {
        self.from_ms.unwrap_or(self.trusted_ms)
    }
}

/// Somebody who may use the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdministratorRecord {
    /// The name, unique.
    pub name: String,
    /// The digest of the token. The token itself is nowhere.
    pub token: Digest,
    /// In order, without repeats.
    pub permissions: Vec<Permission>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// By whom.
    pub created_by: String,
    /// Since when they are none any more: the record stays, so that nobody else gets the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
}

/// What has a data folder of its own beside the server's: a tenant, or an environment of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRecord {
    /// The name, unique.
    pub name: InstanceName,
    /// Hosts under which it is reached; each is one instance's at most.
    pub hosts: Vec<HostName>,
    /// Issuers all of whose tokens are good there, as in `iss`. An environment has those of its app.
    pub issuers: Vec<String>,
    /// How it stands.
    pub state: InstanceState,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// By whom.
    pub created_by: String,
    /// Of an environment: where its data is from; `None`: it began empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<CopiedFrom>,
    /// Of an environment: when it is removed, in milliseconds since 1970; `None`: when somebody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// Of what an environment was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopiedFrom {
    /// Another environment of the same app; `None`: the app itself.
    pub environment: Option<EnvironmentName>,
    /// The last commit that it has of that one.
    pub sequence: u64,
    /// Documents that were copied.
    pub documents: u64,
}

/// How an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Its folder is being made. Where that was cut off it is taken back.
    Creating,
    /// It is served.
    Active,
    /// It is kept, and not served.
    Suspended,
    /// What it has is being removed, for good.
    Deleting,
}

impl InstanceState {
    /// All that there are, each at the place that it has as a number.
    pub const ALL: [Self; 4] = [Self::Creating, Self::Active, Self::Suspended, Self::Deleting];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }
}

/// What somebody may do with the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
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
    /// Make environments, of the app whose control plane it is, and delete them.
    Environments,
}

impl Permission {
    /// All that there are.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Deploy,
        Self::Keys,
        Self::Administrators,
        Self::Audit,
        Self::Erase,
        Self::Tenants,
        Self::Environments,
    ];
    /// Those that the first administrator of a tenant has: all but the one over tenants.
    pub const OF_TENANT: [Self; 7] =
        [Self::Read, Self::Deploy, Self::Keys, Self::Administrators, Self::Audit, Self::Erase, Self::Environments];
    /// Those that the first administrator of an environment has, which has no environments.
    pub const OF_ENVIRONMENT: [Self; 6] =
        [Self::Read, Self::Deploy, Self::Keys, Self::Administrators, Self::Audit, Self::Erase];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Keys => "keys",
            Self::Administrators => "administrators",
            Self::Audit => "audit",
            Self::Erase => "erase",
            Self::Tenants => "tenants",
            Self::Environments => "environments",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no permission: there are read, deploy, keys, administrators, audit, erase, tenants and environments")]
pub struct NoPermission(pub String);

impl FromStr for Permission {
    type Err = NoPermission;

    fn from_str(text: &str) -> Result<Self, NoPermission> {
        let found = Self::ALL.into_iter().find(|permission| permission.as_str() == text);
        found.ok_or_else(|| NoPermission(text.to_owned()))
    }
}

//! Who may use the control plane. An administrator shows a token that is drawn once and told once; the store has its digest.
//!
//! Rule: a token of an app, whatever it says, is no administrator's. The first administrator is made on an empty store by who
//! operates, all others by those who may.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_schema::codec::control::{AdministratorRecord, Permission};
use weir_schema::digest::Digest;
use weir_store::{ControlKey, ControlKind, Store};
use zeroize::Zeroizing;

use super::{Actor, Changed, ControlError, all, all_in, change, now_ms, text};

/// Administrators that there may be.
pub const ADMINISTRATORS_MAX: usize = 1_000;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// What every token begins with, so that one that lies about is known for what it is.
const PREFIX: &str = "weir_admin_";
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// A token. It is shown once, to who asked for it.
pub struct AdminToken(Zeroizing<String>);

impl AdminToken {
    fn draw() -> Result<Self, AdministratorsError> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| AdministratorsError::NoRandomness(error.to_string()))?;
        let mut token = Zeroizing::new(String::with_capacity(PREFIX.len() + TOKEN_BYTES * 2));
        token.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut token);
        Ok(Self(token))
    }

    /// The token, to be told.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

/// Somebody whose token was found to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    /// The name.
    pub name: String,
    /// What they may do.
    pub permissions: Vec<Permission>,
}

impl Administrator {
    /// Whether they may.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// For the audit log, with the address from which they act where that is known.
    pub fn actor(&self, from: Option<String>) -> Actor {
        Actor { name: format!("administrator {}", self.name), from }
    }
}

/// Why administrators were not changed.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorsError {
    /// It cannot be a name.
    #[error("{0:?} is no name: use 1 to {NAME_BYTES_MAX} letters, digits, hyphens, dots and underscores")]
    Name(String),
    /// Somebody has it.
    #[error("there is an administrator {0} already: choose another name, or revoke that one first")]
    Taken(String),
    /// There is none.
    #[error("there is no administrator {0}: weir admin token list shows those that there are")]
    Unknown(String),
    /// Without any it is none.
    #[error("an administrator has at least one permission: read, deploy, keys, administrators, audit")]
    NoPermission,
    /// More than who gives them has.
    #[error("you cannot give the permission {0}, which you do not have")]
    TooMuch(Permission),
    /// Nobody could make another.
    #[error("{0} is the last who may make administrators: make another first")]
    Last(String),
    /// There are some.
    #[error(
        "there are administrators already, so nobody is made one this way: one of them can, or weir admin token create"
    )]
    Bootstrapped,
    /// There would be too many.
    #[error("there are at most {ADMINISTRATORS_MAX} administrators: revoke some first")]
    TooMany,
    /// The operating system gives no randomness.
    #[error("no token can be made, the system has no randomness: {0}")]
    NoRandomness(String),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// All administrators, by name.
pub fn list(store: &Store) -> Result<Vec<AdministratorRecord>, ControlError> {
    all(store, ControlKind::Administrators)
}

/// Whose token this is; `None`: nobody's.
pub fn authenticate(store: &Store, token: &str) -> Result<Option<Administrator>, ControlError> {
    if !token.starts_with(PREFIX) {
        return Ok(None);
    }
    // Compared are digests: how long that takes tells nothing of a token.
    let digest = Digest::of(token.as_bytes());
    let found = list(store)?.into_iter().find(|administrator| administrator.token == digest);
    Ok(found.map(|AdministratorRecord { name, permissions, .. }| Administrator { name, permissions }))
}

/// Makes the first administrator, who may do everything, where there is none yet.
pub async fn bootstrap(store: &Store, name: &str) -> Result<AdminToken, AdministratorsError> {
    let first = |known: &[AdministratorRecord]| match known {
        [] => Ok(()),
        _ => Err(AdministratorsError::Bootstrapped),
    };
    insert(store, &Actor::operator(), name, &Permission::ALL, "bootstrap", first).await
}

/// Makes an administrator, with permissions that whoever makes it has: who operates has all.
pub async fn create(
    store: &Store,
    actor: &Actor,
    has: &[Permission],
    name: &str,
    permissions: &[Permission],
) -> Result<AdminToken, AdministratorsError> {
    if let Some(more) = permissions.iter().find(|permission| !has.contains(permission)) {
        return Err(AdministratorsError::TooMuch(*more));
    }
    insert(store, actor, name, permissions, "createAdministrator", |_| Ok(())).await
}

async fn insert(
    store: &Store,
    actor: &Actor,
    name: &str,
    permissions: &[Permission],
    action: &'static str,
    check: impl Fn(&[AdministratorRecord]) -> Result<(), AdministratorsError>,
) -> Result<AdminToken, AdministratorsError> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_letter) {
        return Err(AdministratorsError::Name(name.to_owned()));
    }
    let mut permissions = permissions.to_vec();
    permissions.sort_unstable();
    permissions.dedup();
    if permissions.is_empty() {
        return Err(AdministratorsError::NoPermission);
    }
    let token = AdminToken::draw()?;
    change(store, actor, |transaction| {
        let known: Vec<AdministratorRecord> = all_in(transaction, ControlKind::Administrators)?;
        check(&known)?;
        if known.iter().any(|known| known.name == name) {
            return Err(AdministratorsError::Taken(name.to_owned()));
        }
        if known.len() >= ADMINISTRATORS_MAX {
            return Err(AdministratorsError::TooMany);
        }
        let record = AdministratorRecord {
            name: name.to_owned(),
            token: Digest::of(token.reveal().as_bytes()),
            permissions: permissions.clone(),
            created_ms: now_ms(),
            created_by: actor.as_str().to_owned(),
        };
        transaction.put_control(&ControlKey::Administrator(record.name.clone()), Some(text(&record)));
        let given = permissions.iter().map(|permission| permission.as_str().to_owned());
        Ok(Changed { value: (), action, targets: [record.name].into_iter().chain(given).collect() })
    })
    .await?;
    Ok(token)
}

/// Has an administrator's token count no more. The last who can make others stays.
pub async fn revoke(store: &Store, actor: &Actor, name: &str) -> Result<(), AdministratorsError> {
    change(store, actor, |transaction| {
        let known: Vec<AdministratorRecord> = all_in(transaction, ControlKind::Administrators)?;
        let makes_others = |known: &AdministratorRecord| known.permissions.contains(&Permission::Administrators);
        let found = known.iter().find(|known| known.name == name);
        let found = found.ok_or_else(|| AdministratorsError::Unknown(name.to_owned()))?;
        if makes_others(found) && known.iter().filter(|known| makes_others(known)).count() == 1 {
            return Err(AdministratorsError::Last(name.to_owned()));
        }
        transaction.put_control(&ControlKey::Administrator(name.to_owned()), None);
        Ok(Changed { value: (), action: "revokeAdministrator", targets: vec![name.to_owned()] })
    })
    .await
}

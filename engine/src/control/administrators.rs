//! Who may use the control plane. An administrator shows a token that is drawn once and told once; the store has its digest.
//!
//! Rule: a token of an app, whatever it says, is no administrator's. The first administrator is made on an empty store by who
//! operates, all others by those who may. Who is revoked keeps the name, so that in the audit log it is always the same one.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use weir_schema::codec::control::{AdministratorRecord, Permission};
use weir_schema::digest::Digest;
use weir_schema::tenant::{InstanceName, PRODUCTION};
use weir_store::{ControlKey, ControlKind, Store};
use zeroize::Zeroizing;

use super::{Actor, Changed, ControlError, all, all_in, change, now_ms, parse, tenants, text};

/// Administrators that there may be.
pub const ADMINISTRATORS_MAX: usize = 1_000;
/// Names that there may have been, theirs included.
pub const NAMES_MAX: usize = 10_000;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// What every token begins with, so that one that lies about is known for what it is.
const PREFIX: &str = "weir_admin_";
/// What stands behind the name of a tenant or an environment in a token of one of its administrators. What is drawn never has it.
const BEHIND_NAME: char = '.';
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// A token. It is shown once, to who asked for it.
pub struct AdminToken(Zeroizing<String>);

impl AdminToken {
    /// Draws one. That of an administrator of a tenant or an environment says of which, so that it leads there by itself.
    fn draw(of: Option<&InstanceName>) -> Result<Self, AdministratorsError> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| AdministratorsError::NoRandomness(error.to_string()))?;
        let name = of.map(InstanceName::to_string).unwrap_or_default();
        let mut token = Zeroizing::new(String::with_capacity(PREFIX.len() + name.len() + 1 + TOKEN_BYTES * 2));
        token.push_str(PREFIX);
        if of.is_some() {
            token.push_str(&name);
            token.push(BEHIND_NAME);
        }
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

    /// The same of one of the app, in an environment of it. Nobody's name there has an `@`.
    #[must_use]
    pub fn of_app(self) -> Self {
        Self { name: format!("{}@{PRODUCTION}", self.name), ..self }
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
    /// Somebody has it, or had it.
    #[error("there is or was an administrator {0}, and nobody gets the name of another: choose another one")]
    Taken(String),
    /// There is none.
    #[error("there is no administrator {0}: weir admin token list shows those that there are")]
    Unknown(String),
    /// Without any it is none.
    #[error(
        "an administrator has at least one permission: read, deploy, keys, administrators, audit, erase, tenants, environments"
    )]
    NoPermission,
    /// More than who gives them has.
    #[error("you cannot give the permission {0}, which you do not have")]
    TooMuch(Permission),
    /// They have more than who would revoke them.
    #[error("you cannot revoke {name}, who has the permission {permission}, which you do not have")]
    TooStrong {
        /// Whose token it is.
        name: String,
        /// What they have more.
        permission: Permission,
    },
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
    /// There would have been too many.
    #[error(
        "there have been {NAMES_MAX} administrators, and no more are made: give the tokens that there are to others"
    )]
    TooManyNames,
    /// The operating system gives no randomness.
    #[error("no token can be made, the system has no randomness: {0}")]
    NoRandomness(String),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// All administrators, by name.
pub fn list(store: &Store) -> Result<Vec<AdministratorRecord>, ControlError> {
    let known: Vec<AdministratorRecord> = all(store, ControlKind::Administrators)?;
    Ok(known.into_iter().filter(is_one).collect())
}

fn is_one(record: &AdministratorRecord) -> bool {
    record.revoked_ms.is_none()
}

/// Whose token this is; `None`: nobody's.
pub fn authenticate(store: &Store, token: &str) -> Result<Option<Administrator>, ControlError> {
    if !token.starts_with(PREFIX) {
        return Ok(None);
    }
    // Looked up is a digest: how long that takes tells nothing of a token.
    let digest = Digest::of(token.as_bytes());
    let Some(name) = store.control(&ControlKey::AdministratorToken(digest))? else { return Ok(None) };
    let name = String::from_utf8_lossy(&name).into_owned();
    let Some(record) = store.control(&ControlKey::Administrator(name))? else { return Ok(None) };
    let record: AdministratorRecord = parse(&record)?;
    if !is_one(&record) || record.token != digest {
        return Ok(None);
    }
    let AdministratorRecord { name, permissions, .. } = record;
    Ok(Some(Administrator { name, permissions }))
}

/// The tenant or environment whose administrator's token this may be; `None`: that of a server's own, or no such token at all.
pub fn instance_of(token: &str) -> Option<InstanceName> {
    token.strip_prefix(PREFIX)?.split_once(BEHIND_NAME)?.0.parse().ok()
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
    let token = AdminToken::draw(tenants::name_of(store)?.as_ref())?;
    change(store, actor, |transaction| {
        let known: Vec<AdministratorRecord> = all_in(transaction, ControlKind::Administrators)?;
        check(&known)?;
        if known.iter().any(|known| known.name == name) {
            return Err(AdministratorsError::Taken(name.to_owned()));
        }
        if known.iter().filter(|known| is_one(known)).count() >= ADMINISTRATORS_MAX {
            return Err(AdministratorsError::TooMany);
        }
        if known.len() >= NAMES_MAX {
            return Err(AdministratorsError::TooManyNames);
        }
        let record = AdministratorRecord {
            name: name.to_owned(),
            token: Digest::of(token.reveal().as_bytes()),
            permissions: permissions.clone(),
            created_ms: now_ms(),
            created_by: actor.as_str().to_owned(),
            revoked_ms: None,
        };
        let name_of = Bytes::copy_from_slice(record.name.as_bytes());
        transaction.put_control(&ControlKey::AdministratorToken(record.token), Some(name_of));
        transaction.put_control(&ControlKey::Administrator(record.name.clone()), Some(text(&record)));
        let given = permissions.iter().map(|permission| permission.as_str().to_owned());
        Ok(Changed::new((), action, [record.name].into_iter().chain(given).collect()))
    })
    .await?;
    Ok(token)
}

/// Has the token of an administrator count no more, by who has all permissions of that one: who operates has all. The last who can
/// make others stays.
pub async fn revoke(store: &Store, actor: &Actor, has: &[Permission], name: &str) -> Result<(), AdministratorsError> {
    change(store, actor, |transaction| {
        let known: Vec<AdministratorRecord> = all_in(transaction, ControlKind::Administrators)?;
        let makes_others =
            |known: &AdministratorRecord| is_one(known) && known.permissions.contains(&Permission::Administrators);
        let found = known.iter().find(|known| known.name == name && is_one(known));
        let found = found.ok_or_else(|| AdministratorsError::Unknown(name.to_owned()))?;
        if let Some(more) = found.permissions.iter().find(|permission| !has.contains(permission)) {
            return Err(AdministratorsError::TooStrong { name: name.to_owned(), permission: *more });
        }
        if makes_others(found) && known.iter().filter(|known| makes_others(known)).count() == 1 {
            return Err(AdministratorsError::Last(name.to_owned()));
        }
        let revoked = AdministratorRecord { revoked_ms: Some(now_ms()), ..found.clone() };
        transaction.put_control(&ControlKey::AdministratorToken(found.token), None);
        transaction.put_control(&ControlKey::Administrator(name.to_owned()), Some(text(&revoked)));
        Ok(Changed::new((), "revokeAdministrator", vec![name.to_owned()]))
    })
    .await
}

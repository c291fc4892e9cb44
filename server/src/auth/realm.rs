//! Which tokens are for whom: the server's own app, or one of its tenants.
//!
//! Rule: a token that names a tenant is good there and nowhere else, and where it is not good nothing is told about it but that
//! there is nothing. A name may be given again: what was made before the tenant names another one.

use parking_lot::RwLock;
use weir_schema::tenant::TenantName;

use super::error::TokenError;
use super::verify::Verified;

/// For whom tokens are taken.
#[derive(Debug)]
pub enum Realm {
    /// For the server's own app: all that name no tenant.
    Server,
    /// For a tenant: those that name it, and those of its issuers that name none.
    Tenant {
        /// Its name.
        name: TenantName,
        /// When it was made, in milliseconds since 1970.
        created_ms: u64,
        /// Issuers all of whose tokens are for it. They can be exchanged while it is served.
        issuers: RwLock<Vec<String>>,
    },
}

impl Realm {
    /// That of a tenant.
    pub fn of_tenant(name: TenantName, created_ms: u64, issuers: Vec<String>) -> Self {
        Self::Tenant { name, created_ms, issuers: RwLock::new(issuers) }
    }

    /// Whether a token is for this one.
    pub fn takes(&self, verified: &Verified) -> Result<(), TokenError> {
        let takes = match (self, verified.tenant()) {
            (Self::Server, named) => named.is_none(),
            (Self::Tenant { name, created_ms, .. }, Some(named)) => {
                named == name.as_str() && verified.may_be_made_since(*created_ms)
            }
            (Self::Tenant { issuers, .. }, None) => issuers.read().iter().any(|issuer| issuer == verified.issuer()),
        };
        if takes { Ok(()) } else { Err(TokenError::Foreign) }
    }
}

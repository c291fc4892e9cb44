//! What the fields about tenants have in common. Only the control plane of the server itself has a registry.

use std::sync::Arc;

use async_graphql::{Context, Result};
use weir_engine::control::ControlError;
use weir_engine::control::tenants::{Reached, TenantsError};
use weir_schema::error::ErrorCode;
use weir_schema::tenant::TenantName;

use super::queries::{bad, unavailable};
use super::refused;
use crate::http::gateway::Gateway;
use crate::tenants::Tenants;
use crate::tenants::changes::ChangeError;

/// The tenants of the server; a tenant has none.
pub fn all(context: &Context<'_>) -> Result<Arc<Tenants>> {
    let tenants = context.data::<Arc<Gateway>>()?.tenants.get();
    tenants.ok_or_else(|| refused(ErrorCode::NotFound, "there are no tenants here"))
}

/// A name.
pub fn name(text: &str) -> Result<TenantName> {
    text.parse().map_err(|error: weir_schema::tenant::BadTenantName| bad(error.to_string()))
}

/// By what one is to be reached.
pub fn reached(hosts: &[String], issuers: Vec<String>) -> Result<Reached> {
    let parsed = hosts.iter().map(|host| host.parse()).collect::<std::result::Result<_, _>>();
    let hosts = parsed.map_err(|error: weir_schema::tenant::BadHostName| bad(error.to_string()))?;
    Ok(Reached { hosts, issuers })
}

/// Why one was not changed.
pub fn of_change(error: ChangeError) -> async_graphql::Error {
    match error {
        ChangeError::Registry(error) => match error {
            TenantsError::Unknown(_) => refused(ErrorCode::NotFound, error.to_string()),
            TenantsError::Control(ControlError::Commit(_) | ControlError::Poisoned(_)) => unavailable(error),
            TenantsError::TooManyNames | TenantsError::Issuer => bad(error.to_string()),
            error => refused(ErrorCode::Conflict, error.to_string()),
        },
        error => unavailable(error),
    }
}

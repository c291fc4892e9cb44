//! The control plane, `/admin/graphql`: what is deployed, whose signatures count, who administers, and what was done.
//!
//! | module | what it does |
//! |---|---|
//! | [`http`] | requests, and whose they are |
//! | [`queries`], [`mutations`] | the root fields, each with the permission that it needs |
//! | [`environments`] | what those about environments have in common, and what they give |
//! | [`experiments`] | what an experiment has shown |
//! | [`rollouts`] | what those about rollouts have in common, and what they give |
//! | [`shadow`] | what a shadow rollout has found |
//! | [`tenants`] | what those about tenants have in common |
//! | [`types`] | what they give |
//!
//! Its schema is static, and none of it is the app's. All of it needs the token of an administrator (`weir serve --bootstrap`,
//! `weir admin token create`); a token of the app, whatever it says, is none.
//!
//! Architecture invariant: every root field names the permission that it needs, and none is answered without.

pub mod environments;
pub mod experiments;
pub mod http;
pub mod mutations;
pub mod queries;
pub mod rollouts;
pub mod shadow;
pub mod tenants;
pub mod types;

use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::{Context, EmptySubscription, ErrorExtensions, Schema};
use weir_engine::Engine;
use weir_engine::control::Actor;
use weir_engine::control::administrators::Administrator;
use weir_engine::control::refusals::{Kind, Refused};
use weir_schema::codec::control::Permission;
use weir_schema::error::ErrorCode;

use crate::http::gateway::Gateway;
use mutations::Mutation;
use queries::Query;

/// How deep a request may go: as deep as tools ask for a schema.
const DEPTH_MAX: usize = 16;
/// How many fields it may have. The introspection of tools has about two hundred.
const COMPLEXITY_MAX: usize = 1_000;

/// The schema of the control plane.
pub type AdminSchema = Schema<Query, Mutation, EmptySubscription>;

/// The control plane of a server.
pub fn schema(gateway: Arc<Gateway>) -> AdminSchema {
    Schema::build(Query, Mutation, EmptySubscription)
        .data(gateway.service.engine().clone())
        .data(gateway)
        .limit_depth(DEPTH_MAX)
        .limit_complexity(COMPLEXITY_MAX)
        .finish()
}

/// Lets a field through for who has the permission.
fn needs(permission: Permission) -> impl Fn(&Context<'_>) -> async_graphql::Result<()> + Send + Sync + 'static {
    move |context| match context.data_opt::<Administrator>() {
        Some(administrator) if administrator.may(permission) => Ok(()),
        Some(administrator) => {
            if let Ok(engine) = context.data::<Engine>() {
                let (actor, target) =
                    (format!("administrator {}", administrator.name), context.field().name().to_owned());
                let outcome = format!("the permission {permission} is missing");
                let from = context.data_opt::<Peer>().map(|Peer(address)| address.to_string());
                let (kind, person) = (Kind::Control, None);
                engine.refused(Refused { kind, actor, person, action: "admin", target, from, outcome });
            }
            let message = format!("the administrator {} does not have the permission {permission}", administrator.name);
            Err(refused(ErrorCode::Forbidden, message))
        }
        None => Err(refused(ErrorCode::Unauthenticated, http::UNAUTHENTICATED)),
    }
}

/// Who asks, for the audit log.
fn actor(context: &Context<'_>) -> async_graphql::Result<Actor> {
    Ok(context.data::<Administrator>()?.actor(from(context)))
}

/// The address from which a request comes.
fn from(context: &Context<'_>) -> Option<String> {
    context.data_opt::<Peer>().map(|Peer(address)| address.to_string())
}

/// From which address a request comes.
struct Peer(IpAddr);

/// An error with its code.
fn refused(code: ErrorCode, message: impl Into<String>) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", code.as_str()))
}

#[cfg(test)]
mod tests;

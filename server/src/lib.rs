//! How Weir is reached: HTTP, GraphQL, server-sent events, WebSocket.
//!
//! [`Server`] ties them to an engine: [`Server::start`] follows the engine's releases, [`Server::serve`] answers on a
//! listener until it is told to stop.
//!
//! | module | what it does |
//! |---|---|
//! | [`admin`] | the control plane, `/admin/graphql` |
//! | [`auth`] | who calls: tokens, whose they are, and how long they are good |
//! | [`cli`] | the commands of the binary `weir` |
//! | [`config`] | `weir.toml` |
//! | [`control`] | how commands ask the process that has a data folder open |
//! | [`documents`] | documents that are to be trusted: how tools write them, whether they fit |
//! | [`http`] | routes, limits, content negotiation, pages |
//! | [`metrics`] | what is counted, for Prometheus |
//! | [`graphql`] | schemas, plans, execution: all that does not know how a request came |
//! | [`rate`] | how often somebody may ask |
//! | [`releases`] | releases as they are told |
//! | [`operations`] | operations at work, for who sends their results as they come |
//! | [`tenants`] | who is served besides the server's own app, each apart: tenants and environments |
//! | [`request_id`] | the number of a request, for whoever looks for it in the log |
//! | [`websocket`] | the `graphql-transport-ws` protocol |
//!
//! Architecture invariant: [`graphql`] knows neither [`http`] nor [`websocket`]: a request is the same whatever brought
//! it.

pub mod admin;
pub mod auth;
pub mod cli;
pub mod config;
pub mod control;
pub mod documents;
pub mod graphql;
pub mod http;
pub mod metrics;
pub mod operations;
pub mod rate;
pub mod releases;
pub mod request_id;
pub mod tenants;
pub mod websocket;

pub use http::{Server, ServerOptions};

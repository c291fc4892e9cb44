//! GraphQL for an app: one schema per release, one plan per operation, our own execution.
//!
//! The life of a request: [`request`] takes it apart → [`document`] bounds, parses and validates its text → [`compile`]
//! makes a [`plan`] of it (kept by [`cache`], so a known text starts here) → [`input`] coerces the variables →
//! [`execute`] calls each root field once → [`project`] writes the values through the selection sets → [`response`].
//!
//! | module | what it does |
//! |---|---|
//! | [`schema`] | the schema of one release, and the way in: `prepare` |
//! | [`scan`] | bounds on a document before anything recursive touches it |
//! | [`syntax`] | text to a syntax tree |
//! | [`validate`] | a syntax tree against a schema |
//! | [`suggest`] | what a mistyped name may have been meant to be |
//! | [`cost`] | what an operation costs, told before it runs |
//! | [`introspection`] | the schema as a value |
//! | [`document`] | text to a valid operation |
//! | [`plan`] | what a compiled operation consists of |
//! | [`compile`] | selection sets merged into a plan |
//! | [`coordinates`] | what a plan asks for, to be counted |
//! | [`template`] | arguments: constants and variables |
//! | [`input`] | input coercion, GraphQL spelling to TypeScript spelling |
//! | [`execute`] | root fields in order, each once |
//! | [`project`] | result coercion, TypeScript spelling to GraphQL spelling, null propagation |
//! | [`delta`] | the values of a subscription, whole or as what changed
//! | [`patch`] | what changes one value into another, as a JSON Patch |
//! | [`lines`] | the list of a query as newline-delimited JSON |
//! | [`affinity`] | what a client says of which release it is answered by |
//! | [`call`] | root fields as calls of the engine |
//! | [`outline`] | schema definition language of whichever server, to compare |
//! | [`persisted`] | documents that clients name instead of sending them |
//! | [`service`] | the active release, and operations run against it |
//!
//! Architecture invariant: nothing but [`call`], [`persisted`] and [`service`] knows the engine (the others know its words for calls and
//! its counts of them),
//! and nothing but [`syntax`], [`document`], [`scan`], [`validate`],
//! [`compile`], [`template`] and [`outline`] knows the syntax tree, which is async-graphql's.

pub mod affinity;
pub mod cache;
pub mod call;
pub mod compile;
pub mod coordinates;
pub mod cost;
pub mod delta;
pub mod document;
pub mod error;
pub mod execute;
#[cfg(test)]
mod fixture;
pub mod input;
pub mod introspection;
pub mod lines;
pub mod outline;
pub mod patch;
pub mod persisted;
pub mod plan;
pub mod project;
pub mod request;
pub mod response;
pub mod scan;
pub mod schema;
pub mod service;
pub mod suggest;
pub mod syntax;
pub mod template;
#[cfg(test)]
mod tests;
pub mod validate;

pub use error::GraphqlError;
pub use request::Request;
pub use response::Response;
pub use schema::Schema;

//! The vocabulary of Weir, shared by every other part. Pure: no tokio, no I/O.
//!
//! | module | what it names |
//! |---|---|
//! | [`shape`] | the TypeScript types an app may use, after compilation: shapes, members, definitions |
//! | [`declarations`] | what an app declares: collections, indexes, functions |
//! | [`dependencies`] | which functions use which collections and each other, as text and for Graphviz |
//! | [`endpoints`] | the HTTP endpoints of an app: methods, paths, which request goes where |
//! | [`references`] | where documents refer to others, and what deleting those does |
//! | [`validate`] | JSON against shapes: arguments, documents, results |
//! | [`api`] | the GraphQL view of the declarations: named types, inputs, root fields |
//! | [`sdl`] | that view as schema definition language |
//! | [`outline`] | what clients can see of any GraphQL schema |
//! | [`changes`] | what has changed between two of those, and whether it breaks clients |
//! | [`compatibility`] | what has changed from one release to another, and which version that takes |
//! | [`bundle`] | an app in one file, and who has signed it; [`base64`] how bytes stand in JSON |
//! | [`manifest`] | `app.toml` |
//! | [`caller`] | the claims of tokens that `app.toml` declares |
//! | [`metrics`] | what `app.toml` says is measured |
//! | [`outside`] | the hosts and secrets that `app.toml` names |
//! | [`datetime`] | the one written form of a `DateTime` |
//! | [`duration`] | lengths of time as users write them |
//! | [`cron`] | times that come again and again, as `app.toml` writes them |
//! | [`guards`] | when a rollout is taken back by itself, as `app.toml` says |
//! | [`id`] | document ids and how they are generated |
//! | [`commit`] | commit timestamps and cursors |
//! | [`codec`] | order-preserving keys and the store's records, as they lie on disk |
//! | [`digest`] | SHA-256, where something large or secret is known by it |
//! | [`error`] | the closed list of error codes |
//! | [`graphql`] | how an app's GraphQL API answers: the bounds of requests |
//! | [`limits`] | every limit by name, with its default |
//! | [`narrowing`] | the types of documents, and which of two leaves documents of the other out |
//! | [`network`] | networks by their addresses |
//! | [`rate`] | how often something may happen |
//! | [`rollout`] | how one release takes the place of another, as a state machine |
//! | [`size`] | how long values are as JSON text |
//! | [`tenant`] | the names of tenants and of their hosts |

pub mod api;
pub mod base64;
pub mod bundle;
pub mod caller;
pub mod changes;
pub mod codec;
pub mod commit;
pub mod compatibility;
pub mod cron;
pub mod datetime;
pub mod declarations;
pub mod dependencies;
pub mod digest;
pub mod duration;
pub mod endpoints;
pub mod error;
pub mod graphql;
pub mod guards;
pub mod id;
pub mod limits;
pub mod manifest;
pub mod metrics;
pub mod name;
pub mod narrowing;
pub mod network;
pub mod outline;
pub mod outside;
pub mod rate;
pub mod references;
pub mod rollout;
pub mod sdl;
pub mod shape;
pub mod size;
pub mod tenant;
pub mod validate;

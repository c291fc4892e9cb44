//! What the product does: runs functions against the store and keeps their results live.
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`] | the entry: activate a release, call, batch, watch |
//! | [`bundle`] | apps in one file: packed, signed, and verified before they may run |
//! | [`call`] | who calls what, and what can come of it |
//! | [`control`] | the control plane: keys, administrators, what is deployed |
//! | [`content`] | the value of a result, shared by all who have it |
//! | [`release`] | a compiled app made ready to run: its declarations, its warm isolates |
//! | [`serving`] | whether what has become active is served |
//! | `run` | one run of one function in an isolate, and what its outcome means to a caller |
//! | [`access`] | who may do what: policies in Cedar, decided here, outside of the sandbox |
//! | `host`, `reads`, `writes` | answers what a script asks: reads and writes of documents in a transaction |
//! | `attempts` | savepoints: what `attempt(fn)` takes back |
//! | `documents` | insert, replace, patch and delete, with the document's type checked |
//! | `eager` | views that are computed whether anybody asks or not |
//! | [`evolution`] | a release takes over the documents of another: checked, migrated, and back |
//! | [`experiments`] | what callers of variants do, and what may be concluded from it |
//! | [`fetch`] | what actions ask of other servers: which hosts, which addresses, how much |
//! | `scheduled` | views that are computed at the times of a schedule |
//! | [`secrets`] | what actions may know and nobody may read |
//! | `outside` | what a run asks of these two |
//! | `actions` | runs actions; those with an idempotency key one at a time, the outcome kept when it is over |
//! | `activating` | why a release cannot be loaded beside those that there are |
//! | `procedures` | runs and commits, again as long as what was read has changed |
//! | [`recording`] | which calls the audit log tells of |
//! | [`revoked`] | which tokens are good no longer |
//! | [`rollouts`] | how one release takes the place of another, while both are called |
//! | [`room`] | how much the results of one request may be together |
//! | [`row`] | calls one after the other, each its own transaction, that share the disk's time |
//! | [`idempotency`] | a call with a key runs once, repeats get its outcome |
//! | `groups` | what views of groups are made of, kept up to date document by document |
//! | [`import`] | loads documents without running a function |
//! | [`jobs`] | calls that are made later, once or again and again |
//! | `keep` | what views have computed, kept in the store for the next start |
//! | `lasting` | what goes on for longer than a call |
//! | [`lines`] | the list that a query returns, in pieces |
//! | `results` | results that are kept until a commit touches what they were computed from |
//! | [`live`] | watched queries: a new value when, and only when, a commit touches what was read |
//! | [`origin`] | where calls come from, and so in whose line they wait for an isolate |
//! | [`places`] | places for what lasts, of which nobody takes all |
//! | [`streams`] | the events of an async generator, each as it is asked for |
//! | [`usage`] | what clients ask for, counted for each release |
//! | [`views`] | what is kept of views, told and changed from outside |
//! | `seed` | what makes a run repeatable: its time, its randomness, the ids it hands out |

pub mod access;
mod actions;
mod activating;
mod attempts;
pub mod bundle;
pub mod call;
pub mod content;
pub mod control;
mod documents;
mod eager;
pub mod engine;
pub mod evolution;
pub mod experiments;
pub mod fetch;
mod groups;
mod host;
pub mod idempotency;
pub mod import;
pub mod jobs;
mod keep;
mod lasting;
pub mod lines;
pub mod live;
mod nested_views;
pub mod origin;
mod outside;
pub mod places;
mod procedures;
mod reads;
pub mod recording;
pub mod release;
mod results;
pub mod revoked;
pub mod rollouts;
pub mod room;
pub mod row;
mod run;
mod scheduled;
pub mod secrets;
mod seed;
pub mod serving;
pub mod streams;
pub mod trusted;
pub mod usage;
pub mod views;
mod writes;

pub use engine::Engine;
pub use results::ResultCounts;

//! The whole system from outside: scenarios through the real binary, the network and real clients.
//!
//! | module | what it shows |
//! |---|---|
//! | [`workspace`] | the parts depend on each other in one direction only; what is vendored is what it says |
//! | [`shop`] | `examples/shop` answers as its types say, errors included |
//! | [`bundles`] | from `weir keys generate` to an answered query; what is refused on the way |
//! | [`clients`] | real clients (`graphql-ws`, Apollo Client, urql): live queries, resuming, reloads, restarts |
//! | [`conformance`] | 61 of the 61 audits of GraphQL over HTTP are ok |
//! | [`demo`] | `examples/live-demo.sh`: one terminal sees what is ordered in another |
//! | [`dev`] | `weir dev`: saving, breaking and mending an app; starting and stopping |
//! | [`edge`] | HTTPS with files, numbers of requests in the log |
//! | [`documents`] | documents by name: Apollo's and urql's links, `weir documents`, nothing but trusted ones |
//! | [`encryption`] | encryption keys: from a file or the environment, exchanged while serving, missing, wrong |
//! | [`access`] | the example of each kind of policy in `docs/access.md`, and that nothing outlives its policies |
//! | [`actions`] | which hosts actions reach, what they are told, and what of their secrets is seen |
//! | [`audit`] | every kind of tampering with the audit log is told; who is erased is nowhere any more |
//! | [`bad_input`] | every mistake of an app is told with its place and what to do |
//! | [`bad_calls`] | calls, requests and files that do not fit |
//! | [`dependencies`] | `weir graph`: which functions use which collections and each other |
//! | [`differential`] | random requests to random apps are answered as by the reference implementation of GraphQL |
//! | [`types`] | the official compiler accepts the editor's types |
//! | [`atlas`] | `examples/atlas` on all its real data; imports, and crashes in the middle of them |
//! | [`kills`] | hundreds of kill -9 under load: what was acknowledged is there, whole, and retries tell the first answer |
//! | [`bank`] | a minute of transfers, batches, savepoints, repeats, cut connections and a kill: money is conserved at every commit |
//! | [`events`] | server-sent events as `graphql-sse` and a browser's EventSource take them |
//! | [`graphiql`] | GraphiQL in a browser: written, run, watched, with pictures in `target/artefacts` |
//! | [`experiments`] | `weir deploy --experiment`, `weir rollout report`: who is counted, and that the report says what they did |
//! | [`floods`] | slow heads, floods of messages and of addresses: whoever asks as usual is answered |
//! | [`secrets`] | nothing that is written anywhere holds a secret |
//! | [`evolution`] | a migration of documents goes on over kills, and so does its end |
//! | [`files`] | files that Apollo Client uploads |
//! | [`guards`] | a release whose workers die with each call is taken back, by hand and by itself |
//! | [`hostile`] | scripts that mean harm are stopped at their limits, and nobody else notices |
//! | [`jobs`] | 10,000 jobs over kills, each once; `weir jobs` |
//! | [`matrix`] | every client of the documentation asks, changes, fails and subscribes |
//! | [`operations`] | backup, restore, export, import of everything, doctor; on a folder that is served and one that is not |
//! | [`streaming`] | a million documents leave in order, and memory stays flat |
//! | [`hot_row`] | 64 connections increment one document: the sum is exact, and nobody gets an error |
//! | [`limits`] | what an app lets requests ask and cost, by its `app.toml` |
//! | [`loads`] | the load tests of `load-tests/` hold in their quick form, and fail where an answer is wrong |
//! | [`lockdown`] | a worker process reaches nothing that it must not, and the doctor says so |
//! | [`subscribers`] | hundreds of storms of changes: each message of a subscription is the value at its commit, over kills too |
//! | [`tls`] | whose certificates `fetch` takes, and what it tells of others |
//! | [`paging`] | pages of lists and sorted views from both ends, also while they change |
//! | [`permissions`] | every root field of the shop and of the control plane, asked by all kinds of callers |
//! | [`serve`] | `weir serve`: configured, empty, and from a key to an answered query |
//! | [`tenants`] | several of one app on one server, apart in everything; environments; their beginning and their end |
//! | [`tokens`] | who calls: tokens of `weir token` and of an issuer of the test's own; sockets and events end with them |
//! | [`rollout_kills`] | rollouts at random, with `kill -9` in the middle |
//! | [`rollouts`] | the walk through `docs/rollouts.md`, and switches that no caller notices |
//! | [`releases`] | `weir releases`: what clients ask for, what a release takes from them, and that its version says so |
//! | [`schema_changes`] | `weir check --against`: what breaks clients, as GraphQL.js has it |
//! | [`typed_clients`] | graphql-codegen and gql.tada make types of a served schema, and programs compile against them |
//! | [`typescript_client`] | the npm package `@weir/client`: its own tests against the binary |
//! | [`uploads`] | many calls in one request, as JSON lines: slow readers, clients that go, memory |
//! | [`views`] | what views have computed is there after a kill; `weir views` |
//! | [`outsider`] | an app that was written from the documentation alone |
//!
//! Beside them: [`weir`] runs the binary, [`apps`] makes app folders, [`graphql`] asks, [`socket`] subscribes,
//! [`production`] has `weir serve` run an app for callers of an [`issuer`], [`outside`] is a server that actions fetch from, [`node`] runs what is on npm.
//!
//! Every wait has an end, and every process that is started ends with its test. No test is about how long something
//! takes: what is worth knowing is printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: a panic is a failure with its place"
)]

mod apps;
mod graphql;
mod issuer;
mod node;
mod outside;
mod production;
mod socket;
mod weir;

mod access;
mod actions;
mod atlas;
mod audit;
mod bad_calls;
mod bad_input;
mod bank;
mod bundles;
mod clients;
mod conformance;
mod demo;
mod dependencies;
mod dev;
mod differential;
mod documents;
mod edge;
mod encryption;
mod events;
mod evolution;
mod experiments;
mod files;
mod floods;
mod graphiql;
mod guards;
mod hostile;
mod hot_row;
mod jobs;
mod kills;
mod limits;
mod loads;
mod lockdown;
mod matrix;
mod operations;
mod outsider;
mod paging;
mod permissions;
mod policies;
mod releases;
mod rollout_kills;
mod rollouts;
mod schema_changes;
mod secrets;
mod serve;
mod shop;
mod streaming;
mod subscribers;
mod tenants;
mod tls;
mod tokens;
mod typed_clients;
mod types;
mod typescript_client;
mod uploads;
mod views;
mod workspace;

//! The server from outside: an app in a temporary store, its routes and sockets, raw requests and messages.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod app;
mod caching;
mod connections;
mod deltas;
mod events;
mod fairness;
mod files;
mod frames;
mod fuzz;
mod graphql_over_http;
mod lines;
mod manners;
mod metrics;
mod pages;
mod protocol;
mod proxies;
mod rates;
mod sorted_views;
mod streams;
mod subscriptions;
mod tls;
mod uploads;
mod wire;

//! What it costs to ask a limit, with 1, 1,000 and 100,000 keys known.
//!
//! `cargo bench --bench rate` prints nanoseconds for a check of an address, for an operation with a caller's limits of requests
//! and cost, and for one whose app limits it and one of its functions too.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Map;
use weir::config::RateSection;
use weir::rate::clock::Clock;
use weir::rate::rates::Asked;
use weir::rate::{AppRates, Rates, Who};
use weir_engine::call::{Caller, Identity, TokenKind};

const CHECKS: usize = 2_000_000;
/// Of which the median counts.
const RUNS: usize = 5;

fn main() {
    println!("{:>10}  {:>12}  {:>12}  {:>12}", "keys", "an address", "an operation", "of a function");
    for keys in [1, 1_000, 100_000] {
        let rates = Rates::new(&generous(), Clock::system());
        let none = AppRates::default();
        let limited = "requests = \"1000000/s\"\ncost = \"1000000000/s\"\n[functions]\nplaceOrder = \"1000000/s\"";
        let limited = rates.for_app(&toml::from_str(limited).unwrap(), []);
        let (addresses, callers) = (addresses(keys), callers(keys));
        let operation = |app: &AppRates, place: usize| {
            let who = Who { address: addresses[place], caller: &callers[place] };
            rates
                .operation(app, who, &Asked { cost: 25, functions: &|name| name("placeOrder"), policies: &|_| {} })
                .is_ok()
        };
        let address = each(keys, |place| rates.request(addresses[place]).is_ok());
        let plain = each(keys, |place| operation(&none, place));
        let function = each(keys, |place| operation(&limited, place));
        println!("{keys:>10}  {address:>9.0} ns  {plain:>9.0} ns  {function:>9.0} ns");
    }
}

/// The usual limits, as high as they can be: what is refused is not what is measured.
fn generous() -> RateSection {
    let text = "[address]\nrequests = \"1000000000/s\"\n[caller]\nrequests = \"1000000000/s\"\ncost = \"1000000000/s\"";
    toml::from_str(text).unwrap()
}

fn addresses(count: usize) -> Vec<IpAddr> {
    (0..count).map(|number| Ipv4Addr::from_bits(0x0A00_0000 + number as u32).into()).collect()
}

fn callers(count: usize) -> Vec<Caller> {
    let identity = |number| Identity {
        kind: TokenKind::User,
        issuer: "https://issuer.example".to_owned(),
        subject: format!("user-{number}"),
        roles: Vec::new(),
        scopes: Vec::new(),
        claims: Map::new(),
    };
    (0..count).map(|number| Caller::Token(Arc::new(identity(number)))).collect()
}

/// Nanoseconds for one check, of keys in an order in which none comes twice before all have come.
fn each(keys: usize, check: impl Fn(usize) -> bool) -> f64 {
    let once = || {
        let started = Instant::now();
        for number in 0..CHECKS {
            black_box(check(number % keys));
        }
        started.elapsed().as_nanos() as f64 / CHECKS as f64
    };
    let mut runs: Vec<f64> = (0..RUNS).map(|_| once()).collect();
    runs.sort_by(f64::total_cmp);
    runs[RUNS / 2]
}

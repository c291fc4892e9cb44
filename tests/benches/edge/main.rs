//! The GraphQL edge: a query with variables that calls a function and returns three fields, over HTTP with 32 connections.
//!
//! `cargo bench --bench edge` prints medians of some rounds, in which each server has its turn: `weir dev` in both modes, GraphQL
//! servers of npm on Node, Deno and Bun, and a bare axum handler as the floor. Then come the ratios to the fastest of the
//! others and to the floor. Every server's answer is compared before it is measured. Client and servers share the
//! machine's cores, whoever serves. Weir keeps results: a variable is another one each time, so that the function
//! runs; lines with "a result at hand" say what it is where all requests are alike. `-- wrk sockets` runs parts:
//!
//! | part | |
//! |---|---|
//! | `wrk` | driven by wrk, or by the load of the other benchmarks where it is missing |
//! | `k6` | driven by k6, which checks each answer and takes most of the machine for it |
//! | `sockets` | memory and connect rate of 5,000 idle WebSockets, beside the bare handler's (Linux) |
//!
//! wrk does not look into answers, but for their status. `WEIR_EDGE_SCALE=0.2` takes a fifth of the seconds, rounds and sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    reason = "a benchmark that uses a part of the tests' tools"
)]

#[path = "../../apps.rs"]
mod apps;
#[path = "../fan_out/audience.rs"]
mod audience;
mod drivers;
#[path = "../transfers/figures.rs"]
mod figures;
mod floor;
#[path = "../fan_out/frames.rs"]
mod frames;
#[path = "../../graphql.rs"]
mod graphql;
#[path = "../peers/load.rs"]
mod load;
#[path = "../../node.rs"]
mod node;
#[path = "../fan_out/open_files.rs"]
mod open_files;
mod servers;
mod sockets;
#[path = "../../weir.rs"]
mod weir;

use drivers::{CONNECTIONS, Driver, Exchange};
use figures::Figures;
use serde_json::{Value, json};
use servers::{Kind, Server};
use tokio::runtime::Runtime;

const PARTS: [&str; 3] = ["wrk", "k6", "sockets"];
const ROUNDS: usize = 3;
/// Of a run, and of the one before the first round.
const SECONDS: u64 = 5;
const AIM_OF_PEER: f64 = 3.0;
const AIM_OF_FLOOR: f64 = 0.5;

const QUERY: &str = "query Total($items: [ItemInput!]!, $rate: Float!, $call: Int!) { \
    total(items: $items, rate: $rate, call: $call) { net tax gross } }";

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with("--")).collect();
    if given == [floor::ARGUMENT] {
        return floor::run();
    }
    if let Some(unknown) = given.iter().find(|part| !PARTS.contains(&part.as_str())) {
        panic!("there is no part {unknown}: {PARTS:?}");
    }
    let is_wanted = |part: &str| given.is_empty() || given.iter().any(|given| given == part);
    let mut drivers = Vec::new();
    if is_wanted("wrk") {
        drivers.push(Driver::wrk());
    }
    if is_wanted("k6") {
        match Driver::k6() {
            Ok(driver) => drivers.push(driver),
            Err(missing) => println!("k6 is left out: {missing}"),
        }
    }
    if !drivers.is_empty() {
        let mut servers = vec![
            Server::floor(),
            Server::weir("weir dev --isolation thread", "thread"),
            Server::weir("weir dev --isolation process", "process"),
        ];
        servers.extend(servers::peers());
        let contests = contests(&servers);
        drivers.iter().for_each(|driver| compare(driver, &contests));
    }
    if is_wanted("sockets") {
        sockets::run(scale());
    }
}

fn scale() -> f64 {
    let scale = std::env::var("WEIR_EDGE_SCALE").ok();
    scale.map_or(1.0, |text| text.parse().expect("WEIR_EDGE_SCALE is a number"))
}

/// What is measured of a server.
struct Contest<'a> {
    server: &'a Server,
    exchange: Exchange,
}

impl Contest<'_> {
    fn name(&self) -> String {
        let kept = if self.exchange.is_counted { "" } else { ", a result at hand" };
        format!("{}{kept}", self.server.name)
    }
}

/// Each server, once it has answered as it must; those that keep results a second time.
fn contests(servers: &[Server]) -> Vec<Contest<'_>> {
    let items = json!([
        { "price": 9.5, "quantity": 2.5 }, { "price": 3.25, "quantity": 7 }, { "price": 1.25, "quantity": 4 }
    ]);
    let variables = json!({ "items": items, "rate": 0.2, "call": load::number() });
    let body = json!({ "query": QUERY, "variables": variables }).to_string();
    let runtime = Runtime::new().unwrap();
    let at_hand = servers.iter().filter(|server| server.kind == Kind::Weir).map(|server| (server, false));
    let all = servers.iter().map(|server| (server, true)).chain(at_hand);
    all.map(|(server, is_counted)| {
        let expected = runtime.block_on(load::answer(server.address, &load::request("/graphql", &body)));
        assert_is_right(&expected, server.name);
        Contest { server, exchange: Exchange { body: body.clone(), expected, address: server.address, is_counted } }
    })
    .collect()
}

fn assert_is_right(answer: &str, name: &str) {
    let (net, rate) = (9.5 * 2.5 + 3.25 * 7.0 + 1.25 * 4.0, 0.2);
    let total = json!({ "net": net, "tax": net * rate, "gross": net + net * rate });
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer, json!({ "data": { "total": total } }), "{name}");
}

/// Runs all in turn and prints their medians, and Weir's ratios.
fn compare(driver: &Driver, contests: &[Contest<'_>]) {
    let seconds = ((SECONDS as f64 * scale()) as u64).max(1);
    let rounds = ((ROUNDS as f64 * scale()) as usize).max(1);
    println!("{}, {CONNECTIONS} connections, the median of {rounds} rounds of {seconds} s", driver.name());
    // Whoever compiles what is hot has done so before.
    for contest in contests {
        driver.run(&contest.exchange, seconds);
    }
    let mut measured = vec![Vec::new(); contests.len()];
    for _ in 0..rounds {
        for (contest, measured) in contests.iter().zip(&mut measured) {
            measured.push(driver.run(&contest.exchange, seconds));
        }
    }
    let medians: Vec<Figures> = measured.into_iter().map(Figures::median).collect();
    let of = |kind| {
        let all = contests.iter().zip(&medians).filter(move |(contest, _)| contest.server.kind == kind);
        all.map(|(contest, figures)| (contest, figures.per_second))
    };
    let (_, floor) = of(Kind::Floor).next().expect("the floor is always there");
    for (contest, Figures { per_second, p50_us, p99_us }) in contests.iter().zip(&medians) {
        println!(
            "{:<46} {per_second:>8.0} requests/s, p50 {p50_us:>7.0} µs, p99 {p99_us:>8.0} µs, of the floor {:.2}",
            contest.name(),
            per_second / floor
        );
    }
    let fastest = of(Kind::Peer).max_by(|(_, a), (_, b)| a.total_cmp(b));
    for (weir, per_second) in of(Kind::Weir) {
        if let Some((peer, others)) = &fastest {
            println!("{} / {}: {:.2}", weir.name(), peer.name(), per_second / others);
        }
        println!("{} / floor: {:.2}", weir.name(), per_second / floor);
    }
    println!(
        "the aim, on threads and with each call a run: {AIM_OF_PEER} of the fastest peer, {AIM_OF_FLOOR} of the floor"
    );
}

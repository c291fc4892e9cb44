//! How much slower those are answered who ask as usual while others attack.
//!
//! `cargo bench --bench attacks` asks `weir dev` one call after the other: alone, beside 2,000 slow heads, and beside a flood of
//! WebSocket messages; and `weir serve` alone, and beside a flood of a hundred thousand addresses.

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
#[path = "../../floods/attackers.rs"]
mod attackers;
#[path = "../../graphql.rs"]
mod graphql;
#[path = "../fan_out/open_files.rs"]
mod open_files;
#[path = "../../weir.rs"]
mod weir;

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use apps::App;
use attackers::{Attack, flood_of_addresses, flood_of_messages, slow_heads};
use weir::{Dev, Process, eventually, weir};

const CALLS: usize = 2_000;
const SLOW: usize = 2_000;
const ADDRESSES: u32 = 100_000;
const APP: &str = "import { query } from \"weir\";\nexport const hello = query((): string => \"hello\");\n";

fn main() {
    assert!(open_files::open_files() > SLOW + 200, "raise how many files may be open (ulimit -n)");
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let address = dev.url.trim_start_matches("http://").to_owned();
    let client = dev.client();
    let ask = || drop(client.data("{ hello }"));
    let alone = show("weir dev, alone", &each(CALLS, ask, |_| true), None);
    let attack = slow_heads(&address, SLOW);
    eventually("the slow heads", || (attack.done() >= SLOW as u64).then_some(()));
    show("beside 2,000 slow heads", &each(CALLS, ask, |_| true), Some(alone));
    attack.end();
    let attack = flood_of_messages(&address, 8);
    eventually("the flood", || (attack.done() >= 1_000).then_some(()));
    let (began, before) = (Instant::now(), attack.done());
    show("beside a flood of messages", &each(CALLS, ask, |_| true), Some(alone));
    let rate = (attack.done() - before) as f64 / began.elapsed().as_secs_f64();
    println!("  of {rate:.0} messages/s");
    attack.end();
    drop(dev);
    addresses(&app);
}

fn addresses(app: &App) {
    let file = app.beside("weir.toml");
    let config = "[server]\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\n[proxies]\ntrusted = [\"127.0.0.1\"]\n\
                  header = \"x-forwarded-for\"\n";
    std::fs::write(&file, config).unwrap();
    let mut command = weir(&["serve", "--config", file.to_str().unwrap()]);
    command.stdin(Stdio::null());
    let server = Dev::of(Process::start(command));
    let url = format!("{}/schema.graphql", server.url);
    let ask = || {
        let answer = minreq::get(&url).with_header("X-Forwarded-For", "203.0.113.9").send().unwrap();
        assert_ne!(answer.status_code, 429);
    };
    let alone = show("weir serve, alone", &each(CALLS, ask, |_| true), None);
    let began = Instant::now();
    let attack: Attack = flood_of_addresses(server.url.trim_start_matches("http://"), ADDRESSES);
    let times = each(CALLS, ask, |_| !attack.is_over());
    let took = began.elapsed().as_secs_f64();
    let asked = attack.end();
    show("beside a flood of addresses", &times, Some(alone));
    println!("  of {:.0} addresses/s", asked as f64 / took);
}

/// How long calls take, one each millisecond, as long as it goes on.
fn each(calls: usize, ask: impl Fn(), goes_on: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut times = Vec::with_capacity(calls);
    while times.len() < calls && goes_on(times.len()) {
        let started = Instant::now();
        ask();
        times.push(started.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    times.sort_unstable();
    times
}

/// Prints the times of calls; the median.
fn show(name: &str, times: &[Duration], alone: Option<Duration>) -> Duration {
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    let ratio = alone.map_or(1.0, |alone| at(50).as_secs_f64() / alone.as_secs_f64());
    println!("{name:<28} p50 {:>8.1?}  p99 {:>8.1?}  {ratio:>5.1} times as long", at(50), at(99));
    at(50)
}

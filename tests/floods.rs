//! Who means harm by asking, through the binary: 2,000 slow heads, a flood of WebSocket messages, a hundred thousand addresses.
//! Whoever asks as usual meanwhile is answered. How much slower, `cargo bench --bench attacks` prints.

#[path = "benches/fan_out/open_files.rs"]
mod open_files;

pub mod attackers;

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::apps::App;
use crate::serve::serve;
use crate::weir::{Dev, PATIENCE, eventually, say};
use attackers::{flood_of_addresses, flood_of_messages, slow_heads};
use open_files::open_files;

const APP: &str = "import { query } from \"weir\";\nexport const hello = query((): string => \"hello\");\n";
/// Calls of whoever asks as usual.
const HEALTHY: usize = 200;

/// Asks as usual, and is answered each time.
fn ask_as_usual(dev: &Dev) {
    let client = dev.client();
    for _ in 0..HEALTHY {
        assert_eq!(client.data("{ hello }"), json!({ "hello": "hello" }));
    }
}

#[test]
fn who_asks_as_usual_is_answered_beside_2000_slow_heads() {
    const SOCKETS: usize = 2_000;
    let files = open_files();
    if files < SOCKETS + 200 {
        return say(&format!("skipped: 2,000 slow heads: this process may have no more than {files} files"));
    }
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let attack = slow_heads(dev.url.trim_start_matches("http://"), SOCKETS);
    eventually("2,000 slow heads", || (attack.done() >= SOCKETS as u64).then_some(()));
    ask_as_usual(&dev);
    attack.end();
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn who_asks_as_usual_is_answered_beside_a_flood_of_messages() {
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let attack = flood_of_messages(dev.url.trim_start_matches("http://"), 8);
    eventually("a flood", || (attack.done() >= 1_000).then_some(()));
    ask_as_usual(&dev);
    assert!(attack.end() > 1_000);
    assert_eq!(dev.stop(), Some(0));
}

/// The memory of a process that is in use, in bytes.
#[cfg(target_os = "linux")]
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[cfg(target_os = "linux")]
#[test]
fn a_hundred_thousand_addresses_take_little_memory_and_others_are_answered() {
    const ADDRESSES: u32 = 100_000;
    const MEMORY_MAX: u64 = 64 << 20;
    // What is told to who is no administrator.
    const ANSWERED: u16 = 401;
    let app = App::of("");
    let config = "[server]\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\n[rate.address]\nrequests = \"10/s burst 20\"\n\
                  [proxies]\ntrusted = [\"127.0.0.1\"]\nheader = \"x-forwarded-for\"\n";
    let file = app.beside("weir.toml");
    std::fs::write(&file, config).unwrap();
    let server = serve(&["--config", file.to_str().unwrap()]);
    let ask = |client: &str| {
        let request = minreq::get(format!("{}/metrics", server.url)).with_header("X-Forwarded-For", client);
        let answer = request.with_timeout(PATIENCE.as_secs()).send().unwrap();
        (answer.status_code, answer.as_str().unwrap().to_owned())
    };
    assert_eq!(ask("203.0.113.9").0, ANSWERED);
    let before = memory(server.process.id());
    let attack = flood_of_addresses(server.url.trim_start_matches("http://"), ADDRESSES);
    let mut healthy = 0;
    while !attack.is_over() {
        // Ten a second are allowed to each.
        assert_eq!(ask(&format!("203.0.113.{}", 10 + healthy % 20)).0, ANSWERED, "after {healthy} that were answered");
        healthy += 1;
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(attack.end(), u64::from(ADDRESSES));
    let grown = memory(server.process.id()).saturating_sub(before);
    assert!(grown < MEMORY_MAX, "{} MiB more than before", grown >> 20);
    assert!(healthy > 0);
    // The limit is there: who asks too often is told so.
    let statuses: Vec<i32> = (0..40).map(|_| i32::from(ask("198.51.100.1").0 == 429)).collect();
    assert!(statuses.iter().sum::<i32>() > 0, "nobody is refused");
    assert_eq!(server.stop(), Some(0));
}

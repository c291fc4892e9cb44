//! From a bundle to a call that is answered by its release.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::connection::{Connection, request};
use crate::figures::{quantile, show};
use crate::server::Shop;
use crate::weir::{self, finish, weir};

const DEPLOYMENTS: usize = 20;
const COMMANDS: usize = 15;
const AIM_MS: f64 = 500.0;
/// Between two looks which release answers.
const BETWEEN_LOOKS: Duration = Duration::from_micros(500);
/// What the log says before the stages.
const STAGES: [&str; 2] = ["stages of the deployment of ", "stages of loading "];

pub fn run() {
    let shop = Shop::start();
    let floor: Vec<Duration> = (0..DEPLOYMENTS)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(weir::run(&["--version"]).code, Some(0));
            Connection::open(&shop.server.url).ask(&request("/graphql", None, &json!({ "query": "{ __typename }" })));
            begun.elapsed()
        })
        .collect();
    show("a process from start to end, and one plain request", &floor);
    let from = shop.server.log.count();
    let mut uploads = Vec::with_capacity(DEPLOYMENTS);
    for number in 1..=DEPLOYMENTS {
        let version = format!("1.0.{number}");
        let upload = shop.upload(&version);
        uploads.push(until_answered(&shop, &version, || drop(shop.connection().ask(&upload))));
    }
    show("deploy, upload to first answer by the new release", &uploads);
    stages(&shop.server.log.text(from));
    let mut commands = Vec::with_capacity(COMMANDS);
    for number in 1..=COMMANDS {
        let version = format!("1.1.{number}");
        shop.edit(&version);
        commands.push(until_answered(&shop, &version, || {
            let mut command = weir(&["deploy", "--key", &shop.path("key.pem"), "--server", &shop.server.url]);
            command.args(["--token-file", &shop.path("token")]).arg(shop.app.path()).stdin(Stdio::null());
            let ended = finish(command, Duration::from_secs(60));
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }));
    }
    show("weir deploy APP --server, start to first answer", &commands);
    let p50 = quantile(&uploads, 50);
    println!("deploy / floor: {:.1}", p50 / quantile(&floor, 50));
    println!("deploy / aim: {:.2} of {AIM_MS} ms", p50 / AIM_MS);
    assert_eq!(shop.server.stop(), Some(0));
}

/// The time from when something begins until a client, who asks all the time, is answered by a release.
fn until_answered(shop: &Shop, version: &str, deploy: impl FnOnce()) -> Duration {
    let (mut client, is_ready) = (shop.connection(), AtomicBool::new(false));
    let question =
        request("/graphql", None, &json!({ "query": "{ customerByEmail(email: \"ada@example.com\") { name } }" }));
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            loop {
                let answer = client.ask(&question);
                is_ready.store(true, Ordering::Release);
                if answer.release.as_deref() == Some(version) {
                    return Instant::now();
                }
                thread::sleep(BETWEEN_LOOKS);
            }
        });
        while !is_ready.load(Ordering::Acquire) {
            thread::sleep(BETWEEN_LOOKS);
        }
        let begun = Instant::now();
        deploy();
        looking.join().unwrap() - begun
    })
}

/// What the log says of each stage, as medians.
fn stages(log: &str) {
    for said in STAGES {
        let mut all: BTreeMap<(usize, String), Vec<Duration>> = BTreeMap::new();
        let lines = log.lines().filter_map(|line| line.split_once(said)?.1.split_once(": "));
        for (_, line) in lines {
            let line = line.split(" client=").next().unwrap();
            for (place, stage) in line.split(", ").enumerate() {
                let (name, ms) = stage.trim_end_matches(" ms").rsplit_once(' ').unwrap();
                let took = Duration::from_secs_f64(ms.parse::<f64>().unwrap() / 1e3);
                all.entry((place, name.to_owned())).or_default().push(took);
            }
        }
        for ((_, name), times) in all {
            show(&format!("  {said}it: {name}"), &times);
        }
    }
}

//! Live subscriptions: from a mutation until the last subscriber has the new value, over `graphql-transport-ws`.
//!
//! `cargo bench --bench fan_out` prints medians and 99th percentiles of some rounds, in which each server has its turn, and
//! ratios. A round is one mutation; it runs until the last subscription has got its value, which must be the right one, once
//! and for those alone whom it concerns. Client and server share the machine's cores, whoever serves. Ratios are of the
//! medians from the request to the last delivery: below 1 Weir is faster. `-- one node` runs parts:
//!
//! | part | |
//! |---|---|
//! | `one` | subscribers of one query; beside the least that a server has to do: write the bytes |
//! | `args` | a subscription for each of 20,000 customers, of whom a commit touches some; beside the same commit unwatched |
//! | `node` | subscribers of one query, beside graphql-ws on Node with its state in memory |
//! | `reads` | reads of that query over HTTP, beside GraphQL that calls nothing |
//! | `memory` | what 20,000 idle subscriptions take (Linux) |
//!
//! `WEIR_FAN_OUT_SCALE=0.1` takes a tenth of the subscribers and of the rounds.

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
mod audience;
mod floor;
mod frames;
#[path = "../../graphql.rs"]
mod graphql;
#[path = "../peers/load.rs"]
mod load;
#[path = "../../node.rs"]
mod node;
mod open_files;
mod servers;
#[path = "../../socket.rs"]
mod socket;
mod times;
#[path = "../../weir.rs"]
mod weir;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use audience::Audience;
use open_files::open_files;
use serde_json::{Value, json};
use servers::{POINTS_FIRST, Server};
use socket::Socket;
use times::{Round, Times};
use tokio::task::{LocalSet, spawn_blocking};

const PARTS: [&str; 5] = ["one", "args", "node", "reads", "memory"];
/// All that a server takes by default, with as many on each socket as it takes there.
const SUBSCRIPTIONS: usize = 20_000;
const EACH: usize = 100;
/// Rounds before those that count.
const WARM_UPS: usize = 3;
/// Rounds that count, at any scale.
const ROUNDS_MIN: usize = 3;
/// Files that a process has open beside its sockets, and more.
const OTHER_FILES: usize = 1_000;
/// Between what a server did and a look at its memory.
const SETTLING: Duration = Duration::from_secs(1);

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with("--")).collect();
    if given == [floor::ARGUMENT] {
        return floor::run();
    }
    if let Some(unknown) = given.iter().find(|part| !PARTS.contains(&part.as_str())) {
        panic!("there is no part {unknown}: {PARTS:?}");
    }
    let is_wanted = |part: &str| given.is_empty() || given.iter().any(|given| given == part);
    println!("{} files may be open; scale {}", open_files(), scale());
    let run = |part: &str, work: &dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>| {
        if is_wanted(part) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, work());
        }
    };
    run("one", &|| Box::pin(one()));
    run("args", &|| Box::pin(args()));
    run("node", &|| Box::pin(beside_node()));
    run("memory", &|| Box::pin(memory()));
    if is_wanted("reads") {
        reads();
    }
}

fn scale() -> f64 {
    let scale = std::env::var("WEIR_FAN_OUT_SCALE").ok();
    scale.map_or(1.0, |text| text.parse().expect("WEIR_FAN_OUT_SCALE is a number"))
}

/// So many subscribers, as far as this run goes.
fn scaled(number: usize) -> usize {
    ((number as f64 * scale()).round() as usize).max(1)
}

/// So many rounds, as far as this run goes.
fn rounds(number: usize) -> usize {
    scaled(number).max(ROUNDS_MIN)
}

/// Subscribers of one query, each on a socket and then many on each.
async fn one() {
    let files = open_files();
    let shapes = [(1, 1, 300), (100, 1, 200), (1_000, 1, 100), (1_000, 10, 30), (10_000, 1, 30)];
    for (sockets, each, count) in shapes {
        let sockets = scaled(sockets);
        if sockets + OTHER_FILES > files {
            println!("{sockets} sockets are left out: only {files} files may be open");
            continue;
        }
        board(&[Server::board("thread"), Server::floor()], sockets, each, rounds(count)).await;
    }
}

/// Subscribers of one query, beside graphql-ws.
async fn beside_node() {
    for sockets in [1, 1_000, 2_000, 5_000] {
        let sockets = scaled(sockets);
        let graphql_ws = match Server::graphql_ws() {
            Ok(server) => server,
            Err(missing) => return println!("graphql-ws is left out: {missing}"),
        };
        board(&[Server::board("thread"), graphql_ws], sockets, 1, rounds(50)).await;
    }
}

/// Rounds of all servers, and their ratio.
async fn board(servers: &[Server], sockets: usize, each: usize, rounds: usize) {
    let at_a_time = if sockets * servers.len() + OTHER_FILES <= open_files() { servers.len() } else { 1 };
    if at_a_time < servers.len() {
        println!("one server after the other: there may not be so many files open as they have sockets together");
    }
    let mut times = Vec::new();
    for servers in servers.chunks(at_a_time) {
        times.extend(board_rounds(servers, sockets, each, rounds).await);
    }
    let title = format!("{} on {sockets} sockets", sockets * each);
    for (server, times) in servers.iter().zip(&times) {
        println!("{title:>24}, {:<10} {times}", server.name);
    }
    println!("{title:>24}, {} / {}: {:.2}", servers[0].name, servers[1].name, times[0].p50_ms() / times[1].p50_ms());
}

/// Rounds in which all subscribers of the board get the new one, from each server in turn.
async fn board_rounds(servers: &[Server], sockets: usize, each: usize, rounds: usize) -> Vec<Times> {
    let mut audiences = Vec::new();
    for server in servers {
        audiences.push(watch_board(server, sockets, each).await);
    }
    let mut times: Vec<Times> = servers.iter().map(|_| Times::default()).collect();
    for index in 0..WARM_UPS + rounds {
        let points = POINTS_FIRST + 1 + index as u64;
        for ((server, audience), times) in servers.iter().zip(&audiences).zip(&mut times) {
            let board: Rc<str> = servers::board(points).into();
            audience.expect(sockets * each, move |_| Some(board.clone()));
            let round = round(server.address, audience, servers::score(points)).await;
            if index >= WARM_UPS {
                times.push(round);
            }
        }
    }
    times
}

async fn watch_board(server: &Server, sockets: usize, each: usize) -> Audience {
    let first: Rc<str> = servers::board(POINTS_FIRST).into();
    let connections = audience::open(server.address, sockets).await;
    Audience::subscribe(connections, each, |_| servers::watch_board(), move |_| first.clone()).await
}

/// Subscriptions of one query with as many arguments, of which commits touch one, some and all.
async fn args() {
    let sockets = scaled(SUBSCRIPTIONS / EACH);
    let customers = sockets * EACH;
    let server = Server::orders(customers, "thread");
    let touches = [(1, 100), (customers.min(100), 100), (customers, 10)];
    // What the same commits take when nobody watches.
    let mut unwatched = Vec::new();
    for (touched, count) in touches {
        let step = customers / touched;
        let mut times = Times::default();
        for index in 0..WARM_UPS + rounds(count) {
            let total = 1 + index as u64;
            let (asked, answered) = ask(server.address, &servers::charge(index % step, step, touched, total));
            if index >= WARM_UPS {
                times.push(Round { asked, answered, last: answered });
            }
        }
        unwatched.push(times);
    }
    ask(server.address, &servers::charge(0, 1, customers, 0));
    let audience = watch_customers(&server, sockets).await;
    let mut total = 0;
    for ((touched, count), unwatched) in touches.into_iter().zip(unwatched) {
        let step = customers / touched;
        let mut times = Times::default();
        for index in 0..WARM_UPS + rounds(count) {
            total += 1;
            // Others each time.
            let first = index % step;
            audience.expect(touched, move |id| (id % step == first).then(|| servers::customer(id, total).into()));
            let payload = servers::charge(first, step, touched, total);
            let round = round(server.address, &audience, payload).await;
            if index >= WARM_UPS {
                times.push(round);
            }
        }
        let title = format!("{touched} of {customers} args");
        println!("{title:>24}, {:<10} {times}", server.name);
        println!("{title:>24}, unwatched  {unwatched}");
        println!("{title:>24}, watched / unwatched: {:.2}", times.p50_ms() / unwatched.p50_ms());
    }
    println!("nobody got what did not concern them");
}

async fn watch_customers(server: &Server, sockets: usize) -> Audience {
    let connections = audience::open(server.address, sockets).await;
    Audience::subscribe(connections, EACH, servers::watch_customer, |id| servers::customer(id, 0).into()).await
}

/// One mutation, until the last of those whom it concerns has the new value.
async fn round(server: SocketAddr, audience: &Audience, mutation: Value) -> Round {
    // On a thread of its own, so that the answer does not wait for deliveries to be read.
    let asking = spawn_blocking(move || ask(server, &mutation));
    let last = audience.all().await;
    let (asked, answered) = asking.await.unwrap();
    Round { asked, answered, last }
}

/// Makes a mutation on a socket of its own: when it was sent, and when it was answered.
fn ask(server: SocketAddr, mutation: &Value) -> (Instant, Instant) {
    let mut socket = Socket::open(&format!("http://{server}"));
    let message = json!({ "id": "m", "type": "subscribe", "payload": mutation });
    let asked = Instant::now();
    socket.send(&message);
    let answer = socket.message().unwrap();
    let answered = Instant::now();
    assert!(answer.contains(r#""type":"next""#) && !answer.contains(r#""errors""#), "{answer}");
    (asked, answered)
}

/// What idle subscriptions take. Functions run in another process, whose heaps are not counted.
async fn memory() {
    if !cfg!(target_os = "linux") {
        return println!("memory is left out: it is read from /proc");
    }
    // One socket is there before, so that all that a server has to load is loaded.
    let sockets = scaled(SUBSCRIPTIONS / EACH).max(2) - 1;
    let orders = Server::orders(sockets * EACH, "process");
    idle("different arguments", &orders, sockets, watch_customers(&orders, 1), watch_customers(&orders, sockets)).await;
    let board = Server::board("process");
    idle("one query", &board, sockets, watch_board(&board, 1, EACH), watch_board(&board, sockets, EACH)).await;
    match Server::graphql_ws() {
        Ok(node) => {
            idle("one query", &node, sockets, watch_board(&node, 1, EACH), watch_board(&node, sockets, EACH)).await;
        }
        Err(missing) => println!("graphql-ws is left out: {missing}"),
    }
}

/// Looks at a server's memory when a few have subscribed, and when all have.
async fn idle(
    what: &str,
    server: &Server,
    sockets: usize,
    few: impl Future<Output = Audience>,
    all: impl Future<Output = Audience>,
) {
    let settled = async || {
        tokio::time::sleep(SETTLING).await;
        server.memory_bytes()
    };
    let _few = few.await;
    let before = settled().await;
    let _all = all.await;
    let after = settled().await;
    let subscriptions = sockets * EACH;
    let each_kib = (after as f64 - before as f64) / 1024.0 / subscriptions as f64;
    println!(
        "{subscriptions} idle, {what:<20} {:<10} {each_kib:>6.2} KiB each with its part of a socket, {} MiB before, {} MiB after",
        server.name,
        before >> 20,
        after >> 20
    );
}

/// Reads of the board over HTTP, beside a document that calls nothing.
fn reads() {
    let server = Server::board("thread");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let request = |query: &str| load::request("/graphql", &json!({ "query": query }).to_string());
    let requests = [request("{ board { id name points } }"), request("{ __typename }")];
    for connections in [1, 16] {
        let [board, nothing] = requests.each_ref().map(|request| {
            runtime.block_on(async {
                let expected = load::answer(server.address, request).await;
                load::throughput(&[server.address], connections, load::Request::Same(request), &expected).await
            })
        });
        println!(
            "{connections:>2} connections: {board:.0} reads of the board/s, {nothing:.0} of nothing/s, ratio {:.2}",
            board / nothing
        );
    }
}

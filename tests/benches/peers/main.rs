//! Calls per second of `weir dev`, on threads and in worker processes, beside other runtimes that answer the same function
//! over HTTP with the same JSON in and out.
//!
//! `cargo bench --bench peers` prints medians of some rounds, in which each has its turn, and ratios to `weir dev` on
//! threads. Client and server share the machine's cores, whoever serves. Weir parses, checks and executes a GraphQL
//! operation, which the others take for JSON around the arguments.

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
#[path = "../../graphql.rs"]
mod graphql;
mod load;
#[path = "../../node.rs"]
mod node;
#[path = "../../weir.rs"]
mod weir;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use apps::App;
use serde_json::{Value, json};
use weir::{Process, eventually};

const ROUNDS: usize = 5;
const CONNECTIONS: usize = 32;

const FUNCTION: &str = r#"
    import { query, type Float, type Int } from "weir";
    interface Stats { count: Int; sum: Float; mean: Float }
    export const stats = query((args: { numbers: Float[]; call: Int }): Stats => {
      const sum = args.numbers.reduce((sum, number) => sum + number, 0);
      return { count: args.numbers.length, sum, mean: sum / args.numbers.length };
    });
"#;

const QUERY: &str =
    "query Stats($numbers: [Float!]!, $call: Int!) { stats(numbers: $numbers, call: $call) { count sum mean } }";

fn main() {
    let numbers: Vec<f64> = (0..100).map(|number| f64::from(number) + 0.255).collect();
    let body = json!({ "query": QUERY, "variables": { "numbers": numbers, "call": load::number() } }).to_string();
    let app = App::of(FUNCTION);
    let mut servers = ["thread", "process"].map(|isolation| Server::weir(&app, isolation)).into_iter().collect();
    peers(&mut servers);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut rounds = vec![Vec::new(); servers.len()];
    for _ in 0..ROUNDS {
        for (server, measured) in servers.iter().zip(&mut rounds) {
            let request = load::request(server.path, &body);
            measured.push(runtime.block_on(async {
                let expected = load::answer(server.addresses[0], &request).await;
                assert_is_right(&expected, &numbers);
                let request = load::Request::Counted(&request);
                load::throughput(&server.addresses, CONNECTIONS, request, &expected).await
            }));
        }
    }
    let medians: Vec<f64> = rounds.into_iter().map(median).collect();
    for (server, median) in servers.iter().zip(&medians) {
        println!("{:<34} {median:>9.0} calls/s  {:.2}", server.name, median / medians[0]);
    }
}

fn assert_is_right(answer: &str, numbers: &[f64]) {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let sum: f64 = numbers.iter().sum();
    let expected = json!({ "count": numbers.len(), "sum": sum, "mean": sum / numbers.len() as f64 });
    assert_eq!(answer["data"]["stats"], expected);
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Who answers. Ends with its value.
struct Server {
    name: String,
    path: &'static str,
    addresses: Vec<SocketAddr>,
    _processes: Vec<Process>,
}

impl Server {
    fn weir(app: &App, isolation: &str) -> Self {
        let data = app.beside(isolation);
        let arguments = ["--isolation", isolation, "--data", data.to_str().unwrap()];
        let mut command = weir::weir(&["dev", "--listen", "127.0.0.1:0"]);
        command.args(arguments).arg(app.path()).stdin(Stdio::null());
        let (process, stdout, _) = Process::start(command);
        let (_, line) = stdout.wait_for(0, |line| line.starts_with("listening on "));
        let address = line.trim_start_matches("listening on http://").parse().unwrap();
        let name = format!("weir dev --isolation {isolation}");
        Self { name, path: "/graphql", addresses: vec![address], _processes: vec![process] }
    }

    /// Processes of one program, each with a port of its own.
    fn peer(name: &str, processes: usize, command: impl Fn(SocketAddr) -> Command) -> Self {
        let started = (0..processes).map(|_| {
            let address = free_address();
            let (process, ..) = Process::start(command(address));
            eventually(name, || TcpStream::connect(address).ok());
            (address, process)
        });
        let (addresses, processes) = started.unzip();
        Self { name: name.to_owned(), path: "/", addresses, _processes: processes }
    }
}

/// Others that answer the same function. Where they cannot be had, the benchmark says so and goes on without.
fn peers(servers: &mut Vec<Server>) {
    if !node::has_node() {
        return println!("workerd and deno are left out: node is not installed");
    }
    let folder = match node::install("tests/benches/peers", "peers") {
        Ok(folder) => folder,
        Err(error) => return println!("workerd and deno are left out: {error}"),
    };
    match program(&folder, "@cloudflare", "bin/workerd") {
        Some(workerd) => {
            let command = |address: SocketAddr| {
                let mut command = Command::new(&workerd);
                command.args(["serve", "workerd.capnp", "--socket-addr"]).arg(format!("http={address}"));
                in_folder(command, &folder)
            };
            servers.push(Server::peer("workerd", 1, command));
            servers.push(Server::peer("workerd, two processes", 2, command));
        }
        None => println!("workerd is left out: npm has none for this machine"),
    }
    match program(&folder, "@deno", "deno") {
        Some(deno) => {
            let command = |arguments: &'static [&str]| {
                let (deno, folder) = (&deno, &folder);
                move |address: SocketAddr| {
                    let mut command = Command::new(deno);
                    command.arg("serve").args(arguments).args(["--host", &address.ip().to_string()]);
                    command.args(["--port", &address.port().to_string(), "function.mjs"]);
                    in_folder(command, folder)
                }
            };
            servers.push(Server::peer("deno serve", 1, command(&[])));
            servers.push(Server::peer("deno serve --parallel", 1, command(&["--parallel"])));
        }
        None => println!("deno is left out: npm has none for this machine"),
    }
}

fn in_folder(mut command: Command, folder: &Path) -> Command {
    command
        .current_dir(folder)
        .env("DENO_DIR", folder.join("deno"))
        .env("DENO_NO_UPDATE_CHECK", "1")
        .stdin(Stdio::null());
    command
}

/// The one program that npm has installed for this machine, among those for others.
fn program(folder: &Path, scope: &str, path: &str) -> Option<PathBuf> {
    let packages = std::fs::read_dir(folder.join("node_modules").join(scope)).ok()?;
    packages.map(|package| package.unwrap().path().join(path)).find(|program| program.exists())
}

/// An address of this machine that nobody listens on.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

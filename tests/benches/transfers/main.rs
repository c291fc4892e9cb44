//! Transfers over GraphQL: `weir dev`, on threads and in worker processes, beside a plpgsql function of PostgreSQL behind
//! mercurius on Node, on the same machine and disk.
//!
//! `cargo bench --bench transfers` prints medians of some rounds, in which each has its turn, and ratios. A transfer reads
//! two of 100,000 accounts and writes both, durably; 64 connections make one at a time each. Accounts are drawn
//! uniformly, then by Zipf's law, the same ones for all. Client and servers share the machine's cores, whoever serves. At
//! the end no money may be missing on either side. `-- thread skewed` runs parts: of `thread`, `process` and `mercurius`, of
//! `uniform` and `skewed`.

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
mod figures;
#[path = "../../graphql.rs"]
mod graphql;
mod load;
#[path = "../../node.rs"]
mod node;
#[path = "../../../store/benches/transfer/postgres.rs"]
mod postgres;
#[path = "../../weir.rs"]
mod weir;
#[path = "../../../store/benches/transfer/workload.rs"]
mod workload;

/// Where the cluster of PostgreSQL looks for them.
mod support {
    pub use crate::figures::Figures;
}

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use apps::App;
use figures::Figures;
use graphql::Client;
use load::CONNECTIONS;
use postgres::Postgres;
use serde_json::{Value, json};
use weir::{Process, eventually};
use workload::{ACCOUNTS, BALANCE, Draw};

const ROUNDS: usize = 3;
const TOTAL: i64 = ACCOUNTS as i64 * BALANCE;

const APP: &str = r#"
    import { collection, fail, procedure, query, type ID, type Int } from "weir";
    export interface Account { owner: string; balance: Int }
    export const accounts = collection<Account>();
    export const transfer = procedure((args: { source: ID; target: ID; amount: Int }): boolean => {
      const source = accounts.get(args.source);
      const target = accounts.get(args.target);
      if (!source || !target) fail("NO_ACCOUNT", "there is no such account");
      accounts.patch(source.id, { balance: source.balance - args.amount });
      accounts.patch(target.id, { balance: target.balance + args.amount });
      return true;
    });
    export const total = query((): string => String(accounts.all().reduce((sum, account) => sum + account.balance, 0)));
    // file: app.toml
    name = "transfers"
    version = "1.0.0"
    [limits]
    documents_read = 200000
    read_bytes = 100000000
    heap_bytes = 500000000
    cpu_ms = 60000
    wall_ms = 50000
"#;

fn main() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let app = App::of(APP);
    let accounts = app.beside("accounts.jsonl");
    std::fs::write(&accounts, rows()).unwrap();
    let data = tempfile::tempdir_in(place).unwrap();
    let given: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with("--")).collect();
    let is_wanted = |among: &[&str], part: &str| {
        let is_given = |part: &str| given.iter().any(|given| given == part);
        is_given(part) || !among.iter().any(|other| is_given(other))
    };
    let is_served = |part: &str| is_wanted(&["thread", "process", "mercurius"], part);
    let modes = ["thread", "process"].into_iter().filter(|mode| is_served(mode));
    let mut servers: Vec<Server> =
        modes.map(|isolation| Server::weir(&app, &accounts, data.path(), isolation)).collect();
    let wanted = if is_served("mercurius") { Ok(()) } else { Err("as asked for".to_owned()) };
    let postgres = wanted.and_then(|()| Postgres::start(place)).and_then(|postgres| {
        let folder = mercurius()?;
        println!("beside {} in {}", postgres.version(), postgres.folder().display());
        servers.push(Server::mercurius(&folder, &postgres, 1));
        servers.push(Server::mercurius(&folder, &postgres, 2));
        Ok(postgres)
    });
    if let Err(missing) = &postgres {
        println!("Weir alone: {missing}");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (name, draw) in [("uniform", Draw::Uniform), ("skewed", Draw::zipf())] {
        if !is_wanted(&["uniform", "skewed"], name) {
            continue;
        }
        let medians = compare(&runtime, name, &servers, &Arc::new(draw));
        if let [threads, processes, rest @ ..] = &medians[..] {
            // The better of the two ways to run it.
            let best = rest.iter().map(|figures| figures.per_second).fold(f64::NAN, f64::max);
            if postgres.is_ok() {
                println!("{name:>8}, threads / PostgreSQL:   {:.2}", threads.per_second / best);
                println!("{name:>8}, processes / PostgreSQL: {:.2}", processes.per_second / best);
            }
        }
    }
    for server in &servers {
        assert_eq!(server.total(), TOTAL, "{}: money is missing", server.name);
    }
    if let Ok(postgres) = &postgres {
        assert_eq!(postgres.total(), TOTAL, "PostgreSQL: money is missing");
    }
    println!("all money is there");
}

/// Runs all servers in turn; the medians, in their order.
fn compare(runtime: &tokio::runtime::Runtime, name: &str, servers: &[Server], draw: &Arc<Draw>) -> Vec<Figures> {
    let numbers: Vec<_> = servers.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
    let mut rounds = vec![Vec::new(); servers.len()];
    let mut errors = vec![(0, None); servers.len()];
    for _ in 0..ROUNDS {
        for (index, server) in servers.iter().enumerate() {
            let ran = runtime.block_on(load::run(&server.addresses, draw, &numbers[index]));
            rounds[index].push(ran.figures);
            errors[index] = (errors[index].0 + ran.errors, ran.error.or(errors[index].1.take()));
        }
    }
    let medians: Vec<Figures> = rounds.into_iter().map(Figures::median).collect();
    for ((server, Figures { per_second, p50_us, p99_us }), (errors, error)) in servers.iter().zip(&medians).zip(errors)
    {
        println!(
            "{name:>8}, {:<34} {per_second:>8.0}/s, p50 {p50_us:>7.0} µs, p99 {p99_us:>8.0} µs, {errors} errors{}",
            server.name,
            error.map(|error| format!(", such as {error}")).unwrap_or_default()
        );
    }
    medians
}

/// All accounts, one per line.
fn rows() -> String {
    (1..=ACCOUNTS).fold(String::new(), |mut rows, number| {
        let row = json!({ "id": number.to_string(), "owner": format!("owner-{number}"), "balance": BALANCE });
        writeln!(rows, "{row}").unwrap();
        rows
    })
}

/// Where mercurius is installed.
fn mercurius() -> Result<std::path::PathBuf, String> {
    if !node::has_node() {
        return Err("node is not installed".to_owned());
    }
    node::install("tests/benches/transfers/mercurius", "mercurius")
}

/// Who answers. Ends with its value.
struct Server {
    name: String,
    addresses: Vec<SocketAddr>,
    _processes: Vec<Process>,
}

impl Server {
    fn weir(app: &App, accounts: &Path, data: &Path, isolation: &str) -> Self {
        let (path, data) = (app.path(), data.join(isolation));
        let (path, data) = (path.to_str().unwrap(), data.to_str().unwrap());
        let accounts = accounts.to_str().unwrap();
        let loaded = weir::run_import(&["import", accounts, "--into", "accounts", "--app", path, "--data", data]);
        assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
        let mut command = weir::weir(&["dev", "--listen", "127.0.0.1:0", "--isolation", isolation, "--data", data]);
        command.arg(path).stdin(Stdio::null());
        let (process, stdout, _) = Process::start(command);
        let (_, line) = stdout.wait_for(0, |line| line.starts_with("listening on "));
        let address = line.trim_start_matches("listening on http://").parse().unwrap();
        Self { name: format!("weir dev --isolation {isolation}"), addresses: vec![address], _processes: vec![process] }
    }

    /// Processes of Node, which share the connections to PostgreSQL that one would have.
    fn mercurius(folder: &Path, postgres: &Postgres, processes: usize) -> Self {
        let started = (0..processes).map(|_| {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut node = Command::new("node");
            node.arg("server.mjs").args([address.ip().to_string(), address.port().to_string()]);
            node.arg(postgres.socket()).arg((CONNECTIONS * 3 / 4 / processes).to_string());
            node.current_dir(folder).env("NODE_ENV", "production").stdin(Stdio::null());
            let (process, ..) = Process::start(node);
            eventually("mercurius", || TcpStream::connect(address).ok());
            (address, process)
        });
        let (addresses, processes): (Vec<_>, Vec<_>) = started.unzip();
        Self { name: format!("mercurius, {} processes", processes.len()), addresses, _processes: processes }
    }

    fn total(&self) -> i64 {
        let total = Client::of(&format!("http://{}", self.addresses[0])).data("{ total }")["total"].take();
        match total {
            Value::String(text) => text.parse().unwrap(),
            other => panic!("{other}"),
        }
    }
}

//! Who serves, and what: a board of players that all watch, and the orders of customers, each watched alone.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::apps::App;
use crate::weir::{Process, eventually, run_import, weir};
use crate::{floor, node};

/// The points of the leader before anything happens. Nobody ever has more.
pub const POINTS_FIRST: u64 = 100;
const PLAYERS: u64 = 100;
const SHOWN: u64 = 10;

const BOARD: &str = r#"
    import { collection, procedure, query, type Doc, type Int } from "weir";
    export interface Player { name: string; points: Int }
    export const players = collection<Player>({ index: ["points"] });
    export const board = query((): Doc<Player>[] => players.orderBy("points", "desc").take(10));
    export const score = procedure((args: { points: Int }): Int => {
      players.patch("p0", { points: args.points });
      return args.points;
    });
"#;

const ORDERS: &str = r#"
    import { collection, procedure, query, type Int } from "weir";
    export interface Order { customer: Int; total: Int }
    export const orders = collection<Order>({ index: ["customer"] });
    export interface Customer { id: Int; total: Int }
    export const ofCustomer = query((args: { id: Int }): Customer => {
      const total = orders.where("customer", args.id).all().reduce((sum, order) => sum + order.total, 0);
      return { id: args.id, total };
    });
    /** Sets the totals of every so many customers, from one on. */
    export const charge = procedure((args: { first: Int; step: Int; count: Int; total: Int }): Int => {
      for (let n = 0; n < args.count; n++) orders.patch(`o${args.first + n * args.step}`, { total: args.total });
      return args.count;
    });
    // file: app.toml
    name = "orders"
    version = "1.0.0"
    [limits]
    cpu_ms = 50000
    wall_ms = 50000
    heap_bytes = 500000000
"#;

/// A server. Ends with its value.
pub struct Server {
    pub name: &'static str,
    pub address: SocketAddr,
    process: Process,
    _files: Option<(App, TempDir)>,
}

impl Server {
    /// `weir dev` with the board.
    pub fn board(isolation: &str) -> Self {
        let players = (0..PLAYERS).map(player);
        Self::weir(BOARD, "players", players, isolation)
    }

    /// `weir dev` with an order for each of so many customers.
    pub fn orders(customers: usize, isolation: &str) -> Self {
        let orders = (0..customers).map(|n| json!({ "id": format!("o{n}"), "customer": n, "total": 0 }));
        Self::weir(ORDERS, "orders", orders, isolation)
    }

    fn weir(app: &str, collection: &str, rows: impl Iterator<Item = Value>, isolation: &str) -> Self {
        let app = App::of(app);
        let file = app.beside("rows.jsonl");
        let text = rows.fold(String::new(), |mut text, row| {
            writeln!(text, "{row}").unwrap();
            text
        });
        std::fs::write(&file, text).unwrap();
        // On the disk of the target folder: where temporary files are, there may be none.
        let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (folder, data_path) = (app.path(), data.path());
        let [file, folder, data_path] = [&file, &folder, data_path].map(|path| path.to_str().unwrap());
        let loaded = run_import(&["import", file, "--into", collection, "--app", folder, "--data", data_path]);
        assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
        let mut command =
            weir(&["dev", "--listen", "127.0.0.1:0", "--isolation", isolation, "--data", data_path, folder]);
        command.stdin(Stdio::null());
        let (process, address) = listening(command, "listening on http://");
        Self { name: "weir dev", address, process, _files: Some((app, data)) }
    }

    /// The board behind graphql-ws, or why there is none.
    pub fn graphql_ws() -> Result<Self, String> {
        if !node::has_node() {
            return Err("node is not installed".to_owned());
        }
        let folder = node::install("tests/benches/fan_out/graphql-ws", "graphql-ws")?;
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut node = Command::new("node");
        node.arg("server.mjs").args([address.ip().to_string(), address.port().to_string()]);
        node.current_dir(folder).env("NODE_ENV", "production").stdin(Stdio::null());
        let (process, ..) = Process::start(node);
        eventually("graphql-ws", || TcpStream::connect(address).ok());
        Ok(Self { name: "graphql-ws", address, process, _files: None })
    }

    /// The least that a server has to do for the board.
    pub fn floor() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(floor::ARGUMENT).stdin(Stdio::null());
        let (process, address) = listening(command, "listening on ");
        Self { name: "floor", address, process, _files: None }
    }

    /// What its process has in memory, without processes that it started.
    pub fn memory_bytes(&self) -> u64 {
        let id = self.process.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

/// Starts a server that says where it listens.
fn listening(command: Command, before: &str) -> (Process, SocketAddr) {
    let (process, stdout, _) = Process::start(command);
    let (_, line) = stdout.wait_for(0, |line| line.starts_with(before));
    (process, line.trim_start_matches(before).parse().unwrap())
}

fn player(n: u64) -> Value {
    json!({ "id": format!("p{n}"), "name": format!("player {n}"), "points": POINTS_FIRST - n })
}

/// The payload of `subscribe` for the board.
pub fn watch_board() -> Value {
    json!({ "query": "subscription { board { id name points } }" })
}

/// The payload that changes the board.
pub fn score(points: u64) -> Value {
    let query = "mutation($points: Int!) { score(points: $points) }";
    json!({ "query": query, "variables": { "points": points } })
}

/// The data of the board when the leader has so many points.
pub fn board(points: u64) -> String {
    let shown = (0..SHOWN).fold(String::new(), |mut text, n| {
        let points = if n == 0 { points } else { POINTS_FIRST - n };
        let comma = if n == 0 { "" } else { "," };
        write!(text, r#"{comma}{{"id":"p{n}","name":"player {n}","points":{points}}}"#).unwrap();
        text
    });
    format!(r#"{{"board":[{shown}]}}"#)
}

/// The payload of `subscribe` for a customer's orders.
pub fn watch_customer(id: usize) -> Value {
    let query = "subscription($id: Int!) { ofCustomer(id: $id) { id total } }";
    json!({ "query": query, "variables": { "id": id } })
}

/// The payload that sets the totals of every so many customers.
pub fn charge(first: usize, step: usize, count: usize, total: u64) -> Value {
    let query = "mutation($first: Int!, $step: Int!, $count: Int!, $total: Int!) \
        { charge(first: $first, step: $step, count: $count, total: $total) }";
    json!({ "query": query, "variables": { "first": first, "step": step, "count": count, "total": total } })
}

/// The data of a customer's orders.
pub fn customer(id: usize, total: u64) -> String {
    format!(r#"{{"ofCustomer":{{"id":{id},"total":{total}}}}}"#)
}

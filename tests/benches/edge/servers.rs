//! Who answers: Weir, the servers of others, and the floor. All have the same schema and function.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::apps::App;
use crate::weir::{Process, eventually, weir};
use crate::{floor, node};

const FUNCTION: &str = r#"
    import { query, type Float, type Int } from "weir";
    interface Item { price: Float; quantity: Float }
    interface Total { net: Float; tax: Float; gross: Float }
    export const total = query((args: { items: Item[]; rate: Float; call: Int }): Total => {
      const net = args.items.reduce((sum, item) => sum + item.price * item.quantity, 0);
      const tax = net * args.rate;
      return { net, tax, gross: net + tax };
    });
"#;

/// What a server is to the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Floor,
    Weir,
    Peer,
}

/// A server. Ends with its value.
pub struct Server {
    pub name: &'static str,
    pub kind: Kind,
    pub address: SocketAddr,
    process: Process,
    _app: Option<App>,
}

impl Server {
    /// `weir dev`, where functions run on threads of it or in processes.
    pub fn weir(name: &'static str, isolation: &str) -> Self {
        let app = App::of(FUNCTION);
        let mut command = weir(&["dev", "--listen", "127.0.0.1:0", "--isolation", isolation, "--data"]);
        command.arg(app.data()).arg(app.path()).stdin(Stdio::null());
        Self { _app: Some(app), ..Self::listening(name, Kind::Weir, command) }
    }

    /// A bare handler of axum.
    pub fn floor() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(floor::ARGUMENT).stdin(Stdio::null());
        Self::listening("bare axum handler", Kind::Floor, command)
    }

    /// Starts a server that says where it listens.
    fn listening(name: &'static str, kind: Kind, command: Command) -> Self {
        let (process, stdout, _) = Process::start(command);
        let (_, line) = stdout.wait_for(0, |line| line.starts_with("listening on "));
        let address = line.trim_start_matches("listening on http://").parse().unwrap();
        Self { name, kind, address, process, _app: None }
    }

    /// Starts a server that is told where to listen.
    fn peer(name: &'static str, folder: &Path, program: &Path, before: &[&str], after: &[&str]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(program);
        command.args(before).args([address.ip().to_string(), address.port().to_string()]).args(after);
        command.current_dir(folder).env("NODE_ENV", "production").stdin(Stdio::null());
        // Neither looks for anything elsewhere.
        command.env("DENO_DIR", folder.join("deno")).env("DENO_NO_UPDATE_CHECK", "1").env("DO_NOT_TRACK", "1");
        let (process, ..) = Process::start(command);
        eventually(name, || TcpStream::connect(address).ok());
        Self { name, kind: Kind::Peer, address, process, _app: None }
    }

    /// What its process has in memory, without processes that it started.
    pub fn memory_bytes(&self) -> u64 {
        let id = self.process.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

/// The servers of others. Which cannot be had is said, and left out.
pub fn peers() -> Vec<Server> {
    if !node::has_node() {
        println!("other servers are left out: node is not installed");
        return Vec::new();
    }
    let folder = match node::install("tests/benches/edge/node", "edge") {
        Ok(folder) => folder,
        Err(error) => {
            println!("other servers are left out: {error}");
            return Vec::new();
        }
    };
    let node = Path::new("node");
    let mut servers = vec![
        Server::peer("mercurius, jit", &folder, node, &["mercurius.mjs"], &["1"]),
        Server::peer("mercurius, jit, two processes", &folder, node, &["mercurius.mjs"], &["2"]),
        Server::peer("graphql-yoga on Node", &folder, node, &["yoga.mjs"], &[]),
    ];
    match program(&folder, "@deno", "deno") {
        Some(deno) => {
            let before = ["run", "--allow-all", "--no-remote", "--quiet", "yoga.mjs"];
            servers.push(Server::peer("graphql-yoga on Deno", &folder, &deno, &before, &[]));
        }
        None => println!("deno is left out: npm has none for this machine"),
    }
    match program(&folder, "@oven", "bin/bun") {
        Some(bun) => servers.push(Server::peer("graphql-yoga on Bun", &folder, &bun, &["yoga.mjs"], &[])),
        None => println!("bun is left out: npm has none for this machine"),
    }
    servers
}

/// The one program that npm has installed for this machine, among those for others.
fn program(folder: &Path, scope: &str, path: &str) -> Option<PathBuf> {
    let packages = std::fs::read_dir(folder.join("node_modules").join(scope)).ok()?;
    packages.map(|package| package.unwrap().path().join(path)).find(|program| program.exists())
}

//! Who asks: wrk, k6, or the load that other benchmarks make, over as many connections. Each sends the same bytes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::apps::root;
use crate::figures::Figures;
use crate::load;
use crate::weir::finish;

pub const CONNECTIONS: usize = 32;
/// Of wrk, which has a part of the connections on each.
const THREADS: usize = 2;
/// How many numbers a run may count through, on each thread.
const NUMBERS: u64 = 2_000_000;
/// The longest that a run, or the installation of k6, may take beyond its seconds.
const PATIENCE: Duration = Duration::from_secs(300);

/// A request, and what every server answers.
pub struct Exchange {
    pub body: String,
    /// The body of the answer, as this server writes it.
    pub expected: String,
    pub address: SocketAddr,
    /// Whether its number is counted up, so that the function has to run each time.
    pub is_counted: bool,
}

/// A program that asks.
pub enum Driver {
    Wrk,
    K6(PathBuf),
    Own,
}

impl Driver {
    /// wrk, or what stands in for it.
    pub fn wrk() -> Self {
        // It has no option that only tells its version: without arguments it ends with how it is used.
        if Command::new("wrk").output().is_ok() {
            return Self::Wrk;
        }
        println!("wrk is not installed (Debian: apt-get install wrk): the benchmarks' own load stands in for it");
        Self::Own
    }

    /// k6, as the load tests get it, or why there is none.
    pub fn k6() -> Result<Self, String> {
        let mut install = Command::new("python3");
        install.arg(root().join("load-tests/run")).arg("--install");
        install.env("CARGO_TARGET_DIR", crate::weir::profile_folder().parent().unwrap());
        if Command::new("python3").arg("--version").output().is_err() {
            return Err("python3 is not installed".to_owned());
        }
        let ended = finish(install, PATIENCE);
        match ended.code {
            Some(0) => Ok(Self::K6(PathBuf::from(ended.stdout.trim()))),
            _ => Err(ended.stderr),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::K6(_) => "k6",
            Self::Own => "own load",
        }
    }

    /// Asks for so many seconds.
    pub fn run(&self, exchange: &Exchange, seconds: u64) -> Figures {
        match self {
            Self::Wrk => wrk(exchange, seconds),
            Self::K6(program) => k6(program, exchange, seconds),
            Self::Own => own(exchange, seconds),
        }
    }
}

fn wrk(exchange: &Exchange, seconds: u64) -> Figures {
    let files = Files::new();
    let request = files.write("request", &load::request("/graphql", &exchange.body));
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", &THREADS.to_string(), "--connections", &CONNECTIONS.to_string()]);
    // Slow answers are figures, not failures.
    wrk.args(["--timeout", "60s", "--duration", &format!("{seconds}s")])
        .arg("--script")
        .arg(root().join("tests/benches/edge/wrk.lua"));
    wrk.arg(format!("http://{}/graphql", exchange.address)).arg("--").arg(request);
    if exchange.is_counted {
        wrk.arg(load::reserve(NUMBERS * THREADS as u64).to_string());
    }
    let [requests, took_us, failed, p50_us, p99_us] = figures(wrk, seconds);
    assert!(failed == 0.0, "{failed} requests failed");
    Figures { per_second: requests / took_us * 1e6, p50_us, p99_us }
}

fn k6(program: &Path, exchange: &Exchange, seconds: u64) -> Figures {
    let files = Files::new();
    let mut k6 = Command::new(program);
    k6.args(["run", "--quiet", "--no-usage-report", "--address", ""]).arg(root().join("tests/benches/edge/k6.js"));
    k6.env("BODY", files.write("body", &exchange.body)).env("EXPECTED", files.write("expected", &exchange.expected));
    k6.env("URL", format!("http://{}/graphql", exchange.address));
    k6.env("CONNECTIONS", CONNECTIONS.to_string()).env("SECONDS", seconds.to_string());
    if exchange.is_counted {
        k6.env("FIRST", load::reserve(NUMBERS).to_string());
    }
    let [requests, took_ms, failed, p50_ms, p99_ms] = figures(k6, seconds);
    assert!(failed == 0.0, "{failed} answers were wrong");
    Figures { per_second: requests / took_ms * 1e3, p50_us: p50_ms * 1e3, p99_us: p99_ms * 1e3 }
}

/// Its warm-up and its seconds are its own.
fn own(exchange: &Exchange, _: u64) -> Figures {
    let request = load::request("/graphql", &exchange.body);
    let request = if exchange.is_counted { load::Request::Counted(&request) } else { load::Request::Same(&request) };
    let addresses = [exchange.address];
    let asking = load::times(&addresses, CONNECTIONS, request, &exchange.expected);
    Figures::of(&Runtime::new().unwrap().block_on(asking), load::MEASURED)
}

/// What a program tells of its run, in a line of its own: requests, time, failures, p50 and p99.
fn figures(command: Command, seconds: u64) -> [f64; 5] {
    let ended = finish(command, PATIENCE + Duration::from_secs(seconds));
    let line = ended.stdout.lines().find_map(|line| line.strip_prefix("figures "));
    let Some(line) = line else { panic!("{:?}: {}{}", ended.code, ended.stdout, ended.stderr) };
    let told: Vec<f64> = line.split(' ').map(|figure| figure.parse().unwrap()).collect();
    told.try_into().unwrap()
}

/// What a program reads. Goes with its value.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

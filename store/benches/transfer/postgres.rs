//! PostgreSQL for the time of the benchmark: a cluster of its own, reached through a Unix socket alone.
//!
//! It refuses to run as root; then it runs as `postgres` or `nobody`, in a folder on the same disk that this user can
//! enter. Dropping it stops the server and removes the folder, also while a failed check unwinds. The server is a child
//! in the foreground, so that an interrupt from the terminal stops it too.

#![allow(dead_code, reason = "two benchmarks use it, each a part")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::support::Figures;
use super::workload::{ACCOUNTS, AMOUNT_MAX, BALANCE, ZIPF_EXPONENT};

/// What is needed of an installation.
const PROGRAMS: [&str; 5] = ["initdb", "postgres", "pg_ctl", "pgbench", "psql"];
/// Where Debian has the versions.
const VERSIONS: &str = "/usr/lib/postgresql";
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Threads of pgbench for all its clients.
const CLIENT_THREADS: usize = 2;

/// Memory for all data, room for all clients, and no checkpoint that the size of the log forces. Durability is as
/// PostgreSQL has it by default, said once more.
const SETTINGS: [&str; 7] = [
    "listen_addresses=",
    "shared_buffers=256MB",
    "max_connections=100",
    "max_wal_size=8GB",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
];

/// One transfer as the applications of PostgreSQL do it where rows are locked: in the order of their ids, so that no two
/// transfers wait for each other.
const SCHEMA: &str = "
CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL, balance bigint NOT NULL);
CREATE FUNCTION transfer(source int, target int, amount bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source_balance bigint;
    target_balance bigint;
BEGIN
    IF source < target THEN
        SELECT balance INTO STRICT source_balance FROM accounts WHERE id = source FOR UPDATE;
        SELECT balance INTO STRICT target_balance FROM accounts WHERE id = target FOR UPDATE;
    ELSE
        SELECT balance INTO STRICT target_balance FROM accounts WHERE id = target FOR UPDATE;
        SELECT balance INTO STRICT source_balance FROM accounts WHERE id = source FOR UPDATE;
    END IF;
    UPDATE accounts SET balance = source_balance - amount WHERE id = source;
    UPDATE accounts SET balance = target_balance + amount WHERE id = target;
END $$;
";

/// How transfers are kept apart.
#[derive(Clone, Copy)]
pub enum Isolation {
    /// By the locks of the function; the default of PostgreSQL.
    ReadCommitted,
    /// By PostgreSQL; pgbench repeats what fails.
    Serializable,
}

/// A running server.
pub struct Postgres {
    programs: PathBuf,
    version: String,
    user: Option<User>,
    /// Holds `data`, and what pgbench reads and writes. Removed last.
    folder: TempDir,
    /// The path of a socket has 108 bytes at most: a short folder of its own.
    socket: TempDir,
    server: Child,
}

/// Who the server runs as.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Starts one with filled accounts on the disk of `beside`; otherwise says what is missing.
    pub fn start(beside: &Path) -> Result<Self, String> {
        let programs = find_programs().ok_or_else(|| {
            format!("PostgreSQL is missing ({}); on Debian: apt-get install postgresql", PROGRAMS.join(", "))
        })?;
        let version = output(Command::new(programs.join("postgres")).arg("--version"));
        let is_root = fs::metadata(beside).unwrap().uid() == 0;
        let user = if is_root { Some(unprivileged().ok_or("no user but root to run PostgreSQL as")?) } else { None };
        let folder = folder_for(user, beside).ok_or("no folder on this disk that PostgreSQL's user can enter")?;
        let socket = tempfile::Builder::new().prefix("weir-pg-").tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        if let Some(User { uid, gid }) = user {
            for owned in [data.as_path(), socket.path()] {
                chown(owned, Some(uid), Some(gid)).unwrap();
            }
        }
        let mut initdb = command(&programs.join("initdb"), user, &data);
        output(
            initdb.args(["--auth=trust", "--username=weir", "--encoding=UTF8", "--no-locale", "--pgdata"]).arg(&data),
        );
        let mut server = command(&programs.join("postgres"), user, &data);
        server.arg("-D").arg(&data).arg("-k").arg(socket.path()).args(SETTINGS.iter().flat_map(|set| ["-c", set]));
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // From here on its drop cleans up.
        let postgres = Self { programs, version, user, folder, socket, server };
        postgres.wait_until_ready();
        postgres.query(SCHEMA);
        postgres.query(&format!(
            "INSERT INTO accounts SELECT n, 'owner-' || n, {BALANCE} FROM generate_series(1, {ACCOUNTS}) n"
        ));
        postgres.query("VACUUM ANALYZE accounts");
        postgres.query("CHECKPOINT");
        for (script, draw) in [
            ("uniform", format!("random(1, {ACCOUNTS})")),
            ("skewed", format!("random_zipfian(1, {ACCOUNTS}, {ZIPF_EXPONENT})")),
        ] {
            fs::write(postgres.folder.path().join(script), pgbench_script(&draw)).unwrap();
        }
        Ok(postgres)
    }

    /// The folder of the socket.
    pub fn socket(&self) -> &Path {
        self.socket.path()
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What all accounts hold together.
    pub fn total(&self) -> i64 {
        self.query("SELECT sum(balance) FROM accounts").parse().unwrap()
    }

    /// Transfers from so many clients for a while. `script` is `uniform` or `skewed`.
    pub fn measure(&self, script: &str, isolation: Isolation, clients: usize, run: Duration) -> Figures {
        let log = tempfile::tempdir_in(self.folder.path()).unwrap();
        let level = match isolation {
            Isolation::ReadCommitted => "read committed",
            Isolation::Serializable => "serializable",
        };
        let mut pgbench = Command::new(self.programs.join("pgbench"));
        pgbench
            .env("PGOPTIONS", format!("-c default_transaction_isolation={}", level.replace(' ', "\\ ")))
            .arg("--host")
            .arg(self.socket.path())
            .args(["--username=weir", "--no-vacuum", "--protocol=prepared", "--max-tries=0", "--log"])
            .arg(format!("--log-prefix={}", log.path().join("times").display()))
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={CLIENT_THREADS}"))
            .arg(format!("--time={}", run.as_secs()))
            .arg(format!("--file={}", self.folder.path().join(script).display()))
            .arg("postgres");
        let report = output(&mut pgbench);
        let per_second = report.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        Figures::new(times_us(log.path()), per_second.unwrap())
    }

    fn wait_until_ready(&self) {
        let start = Instant::now();
        while !self.psql("SELECT 1").stderr(Stdio::null()).stdout(Stdio::null()).status().unwrap().success() {
            assert!(start.elapsed() < START_PATIENCE, "PostgreSQL does not answer");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn query(&self, sql: &str) -> String {
        output(&mut self.psql(sql))
    }

    fn psql(&self, sql: &str) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.arg("--host").arg(self.socket.path());
        psql.args([
            "--username=weir",
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "postgres",
            "--command",
        ]);
        psql.arg(sql);
        psql
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let mut stop = command(&self.programs.join("pg_ctl"), self.user, &data);
        let stopped = stop.arg("stop").arg("-D").arg(&data).args(["-m", "fast", "-w"]).stdout(Stdio::null()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

/// A command of this user, in a folder that it can enter.
fn command(program: &Path, user: Option<User>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// What a command prints; it has to succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The folder of the newest installation.
fn find_programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir(VERSIONS)
        .map(|found| found.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    versions.sort_by_key(|folder| {
        let version = folder.parent().and_then(|version| version.file_name()?.to_str()?.parse::<u32>().ok());
        std::cmp::Reverse(version)
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions.extend(std::env::split_paths(&path));
    versions.into_iter().find(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()))
}

fn unprivileged() -> Option<User> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|wanted| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some(User { uid: numbers.next()?.ok()?, gid: numbers.next()?.ok()? })
    })
}

/// A new folder in `beside`, or else in another place of the same disk, that the user can enter.
fn folder_for(user: Option<User>, beside: &Path) -> Option<TempDir> {
    let disk = fs::metadata(beside).ok()?.dev();
    let places = [beside.to_owned(), PathBuf::from("/var/tmp"), std::env::temp_dir()];
    places.into_iter().filter(|place| fs::metadata(place).is_ok_and(|place| place.dev() == disk)).find_map(|place| {
        let folder = tempfile::Builder::new().prefix("weir-postgres-").tempdir_in(place).ok()?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).ok()?;
        let entered = command(Path::new("true"), user, folder.path()).status();
        entered.is_ok_and(|status| status.success()).then_some(folder)
    })
}

fn pgbench_script(draw: &str) -> String {
    format!(
        "\\set source {draw}
\\set drawn {draw}
\\set target case when :drawn = :source then :source % {ACCOUNTS} + 1 else :drawn end
\\set amount random(1, {AMOUNT_MAX})
SELECT transfer(:source, :target, :amount);
"
    )
}

/// The times in the logs of pgbench: the third field of each line.
fn times_us(folder: &Path) -> Vec<f64> {
    let mut times = Vec::new();
    for log in fs::read_dir(folder).unwrap() {
        let log = fs::read_to_string(log.unwrap().path()).unwrap();
        times.extend(log.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok()));
    }
    times
}

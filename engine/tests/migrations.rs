//! A migration of documents beside a release that writes, killed again and again: it goes on where it was, and no document is given
//! to it twice for that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::Caller;
use weir_engine::control::Actor;
use weir_engine::import::import;
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::codec::control::MigrationDirection;
use weir_store::{Options, Scan, Store};

/// Documents; a batch is a hundred.
const DOCUMENTS: usize = 700;
/// Of so many documents one is written meanwhile.
const WRITTEN: usize = 7;
/// How often the process is killed in each direction.
const KILLS: usize = 3;
/// The process ends by itself after this, whatever it waits for.
const PATIENCE: Duration = Duration::from_secs(120);

const FOLDER: &str = "WEIR_MIGRATION_FOLDER";
const DIRECTION: &str = "WEIR_MIGRATION_DIRECTION";
/// Set where the process waits to be killed and does not end when it is over.
const KILLED: &str = "WEIR_MIGRATION_KILLED";

fn sources(version: &str, members: &str, functions: &str, migration: &str) -> Sources {
    let manifest = format!("name = \"shop\"\nversion = \"{version}\"\n{migration}");
    let collections = format!(
        "import {{ collection, type Int }} from \"weir\";\n\
         export interface Customer {{ name: string; {members} }}\nexport const customers = collection<Customer>();"
    );
    let functions = format!(
        "import {{ procedure, type ID, type JSON }} from \"weir\";\nimport {{ customers }} from \"../collections\";\n\
         export const rename = procedure((args: {{ id: ID; name: string }}): boolean => {{\n\
           customers.patch(args.id, {{ name: args.name }}); return true; }});\n{functions}"
    );
    let texts = [("app.toml", manifest), ("collections.ts", collections), ("functions/f.ts", functions)];
    Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text)))
}

/// Both releases, the one before first.
struct Both {
    engine: Engine,
    base: Arc<Release>,
    candidate: Arc<Release>,
}

impl Both {
    async fn open(folder: &Path) -> Self {
        let engine = Engine::start(Store::open(folder, Options::default()).unwrap(), PoolOptions::default()).unwrap();
        let functions = r#"
            export const split = procedure((args: { documents: JSON[] }): JSON[] => (args.documents as any[]).map((customer) => {
              const [first, last] = customer.name.split(" ");
              return { ...customer, first, last, times: (customer.times ?? 0) + 1 };
            }));
            export const join = procedure((args: { documents: JSON[] }): JSON[] => (args.documents as any[]).map((customer) => {
              const { first, last, times, ...rest } = customer;
              return rest;
            }));"#;
        let migration = "[migration.customers]\nup = \"split\"\ndown = \"join\"\n";
        let apps = [
            sources("2.0.0", "first: string; last: string; times: Int", functions, migration),
            sources("1.0.0", "", "", ""),
        ];
        let mut releases = Vec::new();
        for app in &apps {
            let app = compile(app).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
            releases.push(engine.activate(app).await.unwrap());
        }
        let (base, candidate) = (releases.pop().unwrap(), releases.pop().unwrap());
        let both = Self { engine, base, candidate };
        let (new, old) = (both.candidate.name(), both.base.name());
        let releases = [(new.as_str(), both.candidate.declarations()), (old.as_str(), both.base.declarations())];
        both.engine.store().apply_releases(&releases).await.unwrap();
        both
    }

    fn documents(&self) -> BTreeMap<String, String> {
        let mut transaction = self.engine.store().begin().unwrap();
        let rows = transaction.scan("customers", &Scan::default()).unwrap().rows;
        let texts = rows.into_iter().map(|row| {
            let text = String::from_utf8(row.document.to_vec()).unwrap();
            let document: Value = serde_json::from_str(&text).unwrap();
            (document["id"].as_str().unwrap().to_owned(), text)
        });
        texts.collect()
    }
}

fn name(number: usize) -> String {
    format!("c{number:04}")
}

fn is_written(id: &str) -> bool {
    id.trim_start_matches('c').parse::<usize>().unwrap().is_multiple_of(WRITTEN)
}

/// What is killed: migrates in one direction, and tells how far that is.
#[test]
#[ignore = "the process of another test"]
fn process() {
    // The line of the test's name ends here.
    println!();
    let folder = std::env::var(FOLDER).unwrap();
    let is_up = std::env::var(DIRECTION).unwrap() == "up";
    let is_to_be_killed = std::env::var(KILLED).is_ok();
    let direction = if is_up { MigrationDirection::Up } else { MigrationDirection::Down };
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        std::process::exit(3);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let both = Arc::new(Both::open(Path::new(&folder)).await);
        let telling = both.clone();
        let told = move |last: Option<u64>| {
            let record = telling.engine.migration_status().unwrap().filter(|record| record.direction == direction);
            let done = record.map(|record| record.collections["customers"].done);
            if done != last
                && let Some(done) = done
            {
                println!("done {done}");
            }
            done
        };
        let mut last = told(None);
        thread::spawn(move || {
            loop {
                last = told(last);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let writing = both.clone();
        let writer = tokio::spawn(async move {
            for round in 0.. {
                for number in (0..DOCUMENTS).step_by(WRITTEN) {
                    let arguments = json!({ "id": name(number), "name": format!("R{round} N{number}") });
                    let called = writing.engine.call(&writing.base, &Caller::Developer, "rename", arguments).await;
                    // Before the release is loaded again nobody writes; then it is.
                    if let Err(error) = called {
                        assert!(error.message.contains("has not gone on yet"), "{}", error.message);
                    }
                }
            }
        });
        let record =
            both.engine.migrate(&both.candidate, Some(&both.base), direction, &Actor::operator()).await.unwrap();
        assert!(!writer.is_finished(), "who writes has failed");
        if is_to_be_killed {
            println!("done {}", record.map_or(DOCUMENTS as u64, |record| record.collections["customers"].done));
            std::future::pending::<()>().await;
        }
        println!("over");
    });
    std::process::exit(0);
}

/// Runs the process. It is killed once it has told of so many documents, and no fewer than were told of before; without `until` it
/// ends by itself. The number that it has told of last.
fn run(folder: &Path, direction: &str, until: Option<u64>, before: u64) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process", "--ignored", "--nocapture"]).env(FOLDER, folder).env(DIRECTION, direction);
    match until {
        Some(_) => command.env(KILLED, "yes"),
        None => command.env_remove(KILLED),
    };
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut is_over, mut done) = (false, before);
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        is_over |= line == "over";
        let Some(now) = line.strip_prefix("done ") else { continue };
        let now = now.parse().unwrap();
        assert!(now >= done, "{now} after {done}: what was told of is gone");
        done = now;
        if until.is_some_and(|until| done >= until) {
            process.kill().unwrap();
        }
    }
    let status = process.wait().unwrap();
    match until {
        Some(until) => assert!(done >= until && !status.success(), "it ended with {status} after {done} documents"),
        None => assert!(is_over && status.success(), "it ended with {status} after {done} documents"),
    }
    done
}

#[test]
fn a_migration_that_is_killed_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let open = || runtime.block_on(Both::open(&data));
    let close = |both: Both| runtime.block_on(async move { both.engine.close().await });

    let both = open();
    let customers: Vec<Value> =
        (0..DOCUMENTS).map(|number| json!({ "id": name(number), "name": format!("A{number} B{number}") })).collect();
    runtime.block_on(import(&both.engine, &both.base, "customers", &customers)).unwrap();
    let before = both.documents();
    close(both);

    let mut random = 0x9e37_79b9_u64;
    for direction in ["up", "down"] {
        let mut told = 0;
        for _ in 0..KILLS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            told = run(&data, direction, Some((told + 1 + (random >> 33) % 200).min(DOCUMENTS as u64)), told);
        }
        run(&data, direction, None, told);
        let both = open();
        let documents = both.documents();
        assert_eq!(documents.len(), DOCUMENTS);
        for (id, text) in &documents {
            let document: Value = serde_json::from_str(text).unwrap();
            match direction {
                "up" => {
                    let split =
                        format!("{} {}", document["first"].as_str().unwrap(), document["last"].as_str().unwrap());
                    assert_eq!(document["name"], json!(split), "{id}");
                    assert!(is_written(id) || document["times"] == json!(1), "{text}");
                }
                _ if is_written(id) => assert!(!text.contains("first") && !text.contains("times"), "{text}"),
                _ => assert_eq!(*text, before[id]),
            }
        }
        assert_eq!(both.engine.migration_status().unwrap().is_some(), direction == "up");
        close(both);
    }
}

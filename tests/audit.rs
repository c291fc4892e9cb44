//! The audit log from outside: every kind of tampering is told by its first record, and whoever is erased is nowhere any more.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::apps::App;
use crate::weir::{Dev, Ended, Process, run, weir};

const APP: &str = r#"
    import { procedure, type Int } from "weir";
    import { things } from "../collections";
    export const add = procedure((args: { name: string }): Int => { things.insert({ name: args.name }); return things.count(); });
    // file: collections.ts
    import { collection } from "weir";
    export interface Thing { name: string }
    export const things = collection<Thing>();
"#;

/// An app that is served by `weir dev` with arguments on record, and its data folder.
struct Log {
    app: App,
}

impl Log {
    fn new() -> Self {
        let app = App::of(APP);
        fs::write(app.beside("weir.toml"), "[audit]\narguments = true\n").unwrap();
        Self { app }
    }

    fn start(&self) -> Dev {
        let (path, data, config) = (self.app.path(), self.app.data(), self.path("weir.toml"));
        let mut command = weir(&["dev", path.to_str().unwrap(), "--data", data.to_str().unwrap()]);
        command.args(["--listen", "127.0.0.1:0", "--config", &config]).stdin(std::process::Stdio::null());
        Dev::of(Process::start(command))
    }

    fn path(&self, name: &str) -> String {
        self.app.beside(name).to_str().unwrap().to_owned()
    }

    /// A command on the data folder.
    fn on_data(&self, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--data", self.app.data().to_str().unwrap()]].concat())
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let ended = self.on_data(arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.trim_end().to_owned()
    }

    /// Signs the end of the log.
    fn sign(&self) {
        let public = run(&["keys", "generate", "--out", &self.path("key.pem")]).stdout;
        fs::write(self.app.beside("key.pub"), public).unwrap();
        let head = self.done(&["audit", "head", "--key", &self.path("key.pem")]);
        fs::write(self.app.beside("head.json"), head).unwrap();
    }

    /// Verifies a folder against the end that was signed.
    fn verify(&self, data: &Path) -> Ended {
        let (head, signer) = (self.path("head.json"), self.path("key.pub"));
        run(&["audit", "verify", "--head", &head, "--signer", &signer, "--data", data.to_str().unwrap()])
    }
}

fn add(dev: &Dev, token: &str, name: &str) {
    let query = format!("mutation {{ add(name: {}) }}", json!(name));
    let request = minreq::post(format!("{}/graphql", dev.url)).with_header("content-type", "application/json");
    let request = request.with_header("authorization", format!("Bearer {token}"));
    let response = request.with_body(json!({ "query": query }).to_string()).send().unwrap();
    assert_eq!(response.status_code, 200, "{:?}", response.as_str());
}

/// The files of a folder in which a text is.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            found.extend(files_with(&path, text));
        } else if kind.is_file() {
            let (bytes, first) = (fs::read(&path).unwrap(), text.as_bytes()[0]);
            let is_there = |(place, byte): (usize, &u8)| *byte == first && bytes[place..].starts_with(text.as_bytes());
            if bytes.iter().enumerate().any(is_there) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// A name that is nowhere by chance.
fn somebody() -> String {
    let mut random = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random).unwrap();
    format!("ada-{:032x}", u128::from_be_bytes(random))
}

#[test]
fn who_is_erased_is_nowhere_and_the_log_stays_whole() {
    let (log, ada) = (Log::new(), somebody());
    let dev = log.start();
    let token = log.done(&["token", "--subject", &ada]);
    add(&dev, &token, "a thing");
    log.sign();
    let data = log.app.data();
    assert_eq!(files_with(&data, &ada), Vec::<String>::new(), "it is sealed from the first");
    let by_ada = json!(["weir-dev", ada]).to_string();
    let calls = |ada: &str| log.done(&["audit", "list", "--actor", ada, "--action", "call"]);
    let told = calls(&by_ada);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains(r#"call add  {"name":"a thing"}  from 127.0.0.1"#), "{told}");
    let [before, after] = ["before.jsonl", "after.jsonl"].map(|name| log.path(name));
    log.done(&["export", &before]);
    assert!(fs::read_to_string(&before).unwrap().contains(&ada), "an export has the keys");
    let wrong = log.on_data(&["audit", "erase", "--issuer", "weir-dev", "--subject", "nobody"]);
    assert_eq!(wrong.stderr, "weir: the audit log has nothing about them that can be read\n");
    let erase = ["audit", "erase", "--issuer", "weir-dev", "--subject", &ada];
    let said = log.done(&erase);
    let id = said.strip_prefix("erased: the audit log names them ").unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(log.on_data(&erase).stderr, "weir: the audit log has nothing about them that can be read\n");
    assert_eq!(calls(&by_ada), "");
    let told = calls(&format!("erased {id}"));
    assert!(told.ends_with("call add"), "{told}");
    log.done(&["export", &after]);
    let exported = fs::read_to_string(&after).unwrap();
    assert!(!exported.contains(&ada) && exported.contains(&id));
    assert_eq!(dev.stop(), Some(0));

    // While nobody serves it too.
    let verified = log.verify(&data);
    assert!(verified.stdout.starts_with("the audit log is whole: "), "{}", verified.stderr);
    assert_eq!(log.on_data(&erase).code, Some(1));
    assert_eq!(files_with(&data, &ada), Vec::<String>::new());
    assert!(log.done(&["doctor"]).contains("no problems"));
    let listed = log.done(&["audit", "list", "--json", "--target", &id]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["actor"], &listed["action"]), (&json!("operator"), &json!("erase")));
    let erasure = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let erasure: Vec<Value> = erasure.filter(|line| line["entry"]["action"] == "erase").collect();
    assert_eq!(erasure.len(), 1);
    assert_eq!(erasure[0]["entry"]["targets"], json!([id]));
}

/// What becomes of a log in an export before it is imported.
type Tampering = fn(&mut Vec<Value>);

/// Makes each record follow the one before, as who can write the data folder can.
fn relinked(records: &mut [Value]) {
    let mut previous = "0".repeat(64);
    for (place, record) in records.iter_mut().enumerate() {
        let number = json!(place + 1);
        record["number"] = number.clone();
        record["entry"]["number"] = number;
        record["entry"]["previous"] = json!(previous);
        previous = hex(record["entry"].to_string().as_bytes());
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An export with other records, whose trailer fits.
fn with_records(export: &str, records: &[Value]) -> String {
    let lines = export.lines().filter(|line| !line.contains("\"record\":\"end\""));
    let (mut text, mut written) = (String::new(), false);
    for line in lines {
        let is_record = line.starts_with("{\"record\":\"audit\"");
        if is_record && !written {
            records.iter().for_each(|record| text.push_str(&format!("{record}\n")));
            written = true;
        }
        if !is_record {
            text.push_str(&format!("{line}\n"));
        }
    }
    let end: Value = serde_json::from_str(export.lines().last().unwrap()).unwrap();
    let mut counts = end["counts"].clone();
    match records.len() {
        // What is not there is not counted.
        0 => drop(counts.as_object_mut().unwrap().remove("audit")),
        count => counts["audit"] = json!(count),
    }
    let end = json!({ "record": "end", "counts": counts, "sha256": hex(text.as_bytes()) });
    format!("{text}{end}\n")
}

#[test]
fn every_kind_of_tampering_is_told_by_its_first_record() {
    let (log, ada) = (Log::new(), somebody());
    let dev = log.start();
    let token = log.done(&["token", "--subject", &ada]);
    for name in ["one", "two", "three"] {
        add(&dev, &token, name);
    }
    log.sign();
    log.done(&["export", &log.path("all.jsonl")]);
    assert_eq!(dev.stop(), Some(0));
    let export = fs::read_to_string(log.path("all.jsonl")).unwrap();
    let records = export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records: Vec<Value> = records.filter(|line| line["record"] == "audit").collect();
    assert_eq!(records.len(), 4, "a token and three calls");
    let edit_sealed: Tampering = |records| {
        let text = &mut records[1]["entry"]["sealed"]["text"];
        let before = text.as_str().unwrap();
        let other = if before.starts_with('A') { 'B' } else { 'A' };
        let changed: String = std::iter::once(other).chain(before.chars().skip(1)).collect();
        *text = json!(changed);
    };
    // Of who leaves the chain as it is, the import tells; of who makes it anew, the end that was signed.
    let table: [(&str, Tampering, &str); 10] = [
        ("nothing", |_| {}, "the audit log is whole: 4 records"),
        (
            "edited",
            |records| records[1]["entry"]["action"] = json!("read"),
            "audit record 2 was changed after it was written",
        ),
        ("edited in what is sealed", edit_sealed, "audit record 2 was changed after it was written"),
        ("removed", |records| drop(records.remove(1)), "audit record 2 is missing: 3 stands in its place"),
        ("put elsewhere", |records| records.swap(1, 2), "audit record 2 is missing: 3 stands in its place"),
        ("cut off", |records| drop(records.pop()), "the audit log ends with record 3, it had 4"),
        ("all cut off", |records| records.clear(), "the audit log ends with record 0, it had 4"),
        (
            "edited and made anew",
            |records| {
                records[1]["entry"]["action"] = json!("read");
                relinked(records);
            },
            "audit record 4 was changed after it was written",
        ),
        (
            "removed and made anew",
            |records| {
                records.remove(0);
                relinked(records);
            },
            "the audit log ends with record 3, it had 4",
        ),
        (
            "put elsewhere and made anew",
            |records| {
                records.swap(1, 2);
                relinked(records);
            },
            "audit record 4 was changed after it was written",
        ),
    ];
    for (place, (name, tampering, expected)) in table.into_iter().enumerate() {
        let mut changed = records.clone();
        tampering(&mut changed);
        let (file, data) = (log.path(&format!("{place}.jsonl")), log.app.beside(&format!("data-{place}")));
        fs::write(&file, with_records(&export, &changed)).unwrap();
        let imported = run(&["import", &file, "--all", "--data", data.to_str().unwrap()]);
        let told = if imported.code == Some(0) { log.verify(&data) } else { imported };
        assert!(format!("{}{}", told.stdout, told.stderr).contains(expected), "{name}: {}{}", told.stdout, told.stderr);
    }
}

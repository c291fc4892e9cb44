//! Rollouts through the binary: the walk through `docs/rollouts.md` word for word, and switches that no caller notices.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::apps::{App, root};
use crate::production::Production;
use crate::serve::{serve, write_private};
use crate::socket::Socket;
use crate::weir::{PATIENCE, binary, finish, run, say};

/// Commands, each with what it is said to print.
fn walk(page: &str) -> Vec<(String, String)> {
    let page = fs::read_to_string(root().join(page)).unwrap();
    let mut steps: Vec<(String, String)> = Vec::new();
    for block in page.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push((command.to_owned(), String::new())),
                None => steps.last_mut().unwrap().1 += &format!("{line}\n"),
            }
        }
    }
    steps
}

/// Whether a text is what is expected, where `…` stands for anything.
fn is_as_said(text: &str, expected: &str) -> bool {
    let mut rest = text;
    for (place, part) in expected.split('…').enumerate() {
        let found = if place == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part) };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || expected.trim_end().ends_with('…')
}

#[test]
fn what_stands_for_anything_does() {
    assert!(is_as_said("a 12 b\n", "a … b\n") && is_as_said("a b\nc\n", "a…\n") && is_as_said("x\n", "x\n"));
    assert!(!is_as_said("a 12 c\n", "a … b\n") && !is_as_said("xy\n", "x\n") && !is_as_said("yx\n", "x\n"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true if entry.file_name() != ".weir" => copy(&entry.path(), &target),
            true => {}
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn the_walk_through_the_documentation_is_what_happens() {
    walk_through("docs/rollouts.md", 20);
}

/// Does what a page says, beside a copy of the shop, and finds what it says there.
pub fn walk_through(page: &str, steps_min: usize) {
    if Command::new("curl").arg("--version").output().is_err() {
        let reason = "there is no curl, which the page asks with";
        assert!(std::env::var_os("WEIR_TESTS_MUST_RUN").is_none(), "{reason}");
        return say(&format!("skipped: {reason}"));
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("examples/shop"), &folder.path().join("shop"));
    let data = folder.path().join("data");
    let server = serve(&["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let path = format!("{}:{}", binary().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let steps = walk(page);
    assert!(steps.len() > steps_min, "{steps:?}");
    for (command, expected) in steps {
        let mut shell = Command::new("sh");
        shell.args(["-c", &command.replace("127.0.0.1:4000", &address)]).current_dir(folder.path());
        let ended = finish(
            {
                shell.env("PATH", &path);
                shell
            },
            PATIENCE,
        );
        let printed = ended.stdout.replace('\r', "");
        assert!(
            is_as_said(printed.trim_end(), expected.trim_end()),
            "$ {command}\n{printed}{}\nexpected:\n{expected}",
            ended.stderr
        );
    }
    assert_eq!(server.stop(), Some(0));
}

const COUNTER: &str = r#"
    import { collection, procedure, query, type Int } from "weir";
    export interface Count { name: string; n: Int }
    export const counts = collection<Count>({ unique: ["name"] });
    export const count = query((args: { seat: Int }): Int => counts.where("name", "all").first()?.n ?? 0);
    export const up = procedure((): Int => {
      const known = counts.where("name", "all").first() ?? counts.insert({ name: "all", n: 0 });
      return counts.patch(known.id, { n: known.n + 1 }).n;
    });
    // file: policies.cedar
    permit(principal, action, resource);
"#;

const SOCKETS: usize = 20;
const SUBSCRIPTIONS: usize = 10;
const SWITCHES: usize = 50;

/// The values that one subscriber has got.
type Seen = BTreeMap<String, Vec<u64>>;

/// Takes values until all subscriptions of a socket have the last; or says what went wrong.
fn take(socket: &mut Socket, seen: &mut Seen, last: u64) -> Result<(), String> {
    while !seen.values().all(|values| values.last() == Some(&last)) {
        let message: Value = serde_json::from_str(&socket.message()?).map_err(|error| error.to_string())?;
        match message["type"].as_str() {
            Some("ping") => socket.send(&json!({ "type": "pong" })),
            Some("next") => {
                let id = message["id"].as_str().unwrap_or_default();
                let value =
                    message.pointer("/payload/data/count").and_then(Value::as_u64).ok_or(message.to_string())?;
                seen.get_mut(id).ok_or(id)?.push(value);
            }
            _ => return Err(message.to_string()),
        }
    }
    Ok(())
}

/// What is said of a rollout but for how long its step still takes, which is another thing each time.
fn lasting(said: &str) -> Vec<&str> {
    said.lines().filter(|line| !line.starts_with("the step takes ")).collect()
}

#[test]
fn who_administers_from_elsewhere_sees_and_does_the_same() {
    let production = Production::start(App::of(COUNTER));
    let token = production.app.beside("token");
    write_private(&token, &production.root);
    let elsewhere = ["--server", &production.server.url, "--token-file", token.to_str().unwrap()];
    let there = |arguments: &[&str]| run(&[&["rollout"], arguments, elsewhere.as_slice()].concat());
    let here = |arguments: &[&str]| production.on_data(&[&["rollout"], arguments].concat());
    production.app.edit("app.toml", "1.0.0", "1.0.1");
    let folder = production.app.path();
    let key = production.app.beside("key.pem");
    let deploy = ["deploy", folder.to_str().unwrap(), "--key", key.to_str().unwrap(), "--canary", "0.5%,20%:1h"];
    let deployed = run(&[deploy.as_slice(), elsewhere.as_slice()].concat());
    assert!(deployed.stdout.contains("is being rolled out by rollout 2"), "{}{}", deployed.stdout, deployed.stderr);
    for step in [vec!["status"], vec!["advance"], vec!["pause"], vec!["resume"], vec!["rollback", "--why", "no"]] {
        let said = there(&step);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{step:?}");
        assert_eq!(lasting(&said.stdout), lasting(&here(&["status"]).stdout), "{step:?}");
    }
    let signed = there(&["statements", "2", "--json"]);
    assert_eq!((signed.stdout.lines().count(), signed.stderr.as_str()), (6, ""));
    assert_eq!(signed.stdout, here(&["statements", "2", "--json"]).stdout);
    assert!(there(&["key"]).stdout.starts_with("key ") && there(&["key"]).stdout == here(&["key"]).stdout);
    let started = there(&["start", "1.0.1", "--hold"]);
    assert!(started.stdout.contains("rollout 3 of app 1.0.1"), "{}{}", started.stdout, started.stderr);
    let told: Value = serde_json::from_str(&there(&["status", "--json"]).stdout).unwrap();
    assert_eq!((&told["rollout"]["phase"], &told["active"]["version"]), (&json!("READY"), &json!("1.0.0")));
    assert!(there(&["promote"]).stdout.starts_with("app 1.0.1, "));
    let refused = there(&["promote"]);
    assert_eq!(
        (refused.code, refused.stderr.as_str()),
        (Some(1), "weir: no rollout is under way: weir rollout start begins one\n")
    );
    for refused in [there(&["rollback", "1.0.0"]), here(&["rollback", "1.0.0"])] {
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains(" is neither rolled out nor active "), "{}", refused.stderr);
    }
    // While nobody serves the folder, the same is done on it.
    let Production { app, server, .. } = production;
    assert_eq!(server.stop(), Some(0));
    let alone =
        |arguments: &[&str]| run(&[&["rollout"], arguments, &["--data", app.data().to_str().unwrap()]].concat());
    let back = alone(&["rollback", "1.0.1"]);
    assert!(back.stdout.starts_with("app 1.0.0, "), "{}{}", back.stdout, back.stderr);
    assert_eq!(alone(&["list"]).stdout.lines().count(), 3);
    let stated = alone(&["statements"]).stdout;
    assert!(
        stated
            .lines()
            .last()
            .unwrap()
            .ends_with("  operator  rolled back app 1.0.1, from app 1.0.1 to app 1.0.0: by hand"),
        "{stated}"
    );
    let none = alone(&["statements", "9"]).stderr;
    assert!(none.starts_with("weir: nothing was stated of rollout 9, "), "{none}");
}

/// Callers ask, and subscribers wait, while all of them are moved from one release to another and back, fifty times.
#[test]
fn nobody_notices_a_switch() {
    let production = Production::start(App::of(COUNTER));
    let first = production.app.read("app.toml");
    production.app.write("app.toml", &first.replace("1.0.0", "1.0.1"));
    production.deploy();
    let control = |mutation: &str| {
        let request = minreq::post(format!("{}/admin/graphql", production.server.url))
            .with_header("content-type", "application/json")
            .with_header("authorization", format!("Bearer {}", production.root));
        let response = request.with_body(json!({ "query": mutation }).to_string()).send().unwrap();
        let answer: Value = serde_json::from_str(response.as_str().unwrap()).unwrap();
        assert!(answer.get("errors").is_none(), "{mutation}: {answer}");
    };
    let (over, asked, client) = (AtomicBool::new(false), AtomicU64::new(0), production.server.client());
    let url = production.server.url.clone();
    let mut sockets: Vec<(Socket, Seen)> = (0..SOCKETS)
        .map(|number| {
            let mut socket = Socket::open(&url);
            let mut seen = Seen::new();
            for place in 0..SUBSCRIPTIONS {
                let (id, seat) = (format!("s{place}"), number * SUBSCRIPTIONS + place);
                let query = format!("subscription {{ count(seat: {seat}) }}");
                socket.send(&json!({ "type": "subscribe", "id": id, "payload": { "query": query } }));
                seen.insert(id, Vec::new());
            }
            (socket, seen)
        })
        .collect();
    let counted = thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                client.data("{ count(seat: 0) }");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let switching = scope.spawn(|| {
            for switch in 0..SWITCHES {
                control(match switch % 2 {
                    0 => "mutation { rollBack(why: \"to and fro\") { summary } }",
                    _ => "mutation { startRollout(release: \"1.0.1\") { summary } }",
                });
                thread::sleep(Duration::from_millis(20));
            }
            over.store(true, Ordering::Relaxed);
        });
        // Each value is with all subscribers before the next is made: so each of them has to get each value, once.
        let mut counted = 0;
        for (socket, seen) in &mut sockets {
            take(socket, seen, 0).unwrap();
        }
        while !over.load(Ordering::Relaxed) {
            counted += 1;
            assert_eq!(client.data("mutation { up }"), json!({ "up": counted }));
            for (socket, seen) in &mut sockets {
                take(socket, seen, counted).unwrap();
            }
        }
        load.join().unwrap();
        switching.join().unwrap();
        counted
    });
    let all: Vec<u64> = (0..=counted).collect();
    for (_, seen) in &sockets {
        for (id, values) in seen {
            assert_eq!(values, &all, "{id}");
        }
    }
    let asked = asked.into_inner();
    assert!(asked > 0 && counted > 0);
    say(&format!(
        "{SWITCHES} switches beside {asked} queries and {counted} values for {} subscribers",
        SOCKETS * SUBSCRIPTIONS
    ));
    drop(sockets);
    assert_eq!(production.server.stop(), Some(0));
}

//! A server with the scripts, and how much memory it and its workers take.

use std::collections::HashMap;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Mode;
use super::specification::APP;
use crate::apps::App;
use crate::outside::Outside;
use crate::socket::Socket;
use crate::weir::{Dev, Process, weir};

/// How long an answer may take: far more than any limit of the app.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// The things that scripts find.
pub const THINGS: usize = 100;
/// How many of them one call may write.
const THINGS_AT_ONCE: usize = 25;
/// How many events of a stream are taken.
const EVENTS: usize = 3;

/// Where the app has the address of the server outside, and what stands there in the source tree.
const ADDRESSED: [&str; 2] = ["app.toml", "lib/outside.ts"];
const NO_ADDRESS: &str = "127.0.0.1:1";
/// The secret that the app names, and one of another app. Longer than what messages show of a text.
pub const SECRET: &str = "hk_live_Zx81QmN4vRt07LpW3sYd95KcGh2BfJ6aTuE8oXiCnVrMzPq";
pub const ANOTHER_SECRET: &str = "another_app_owns_this_8d1f";

/// A running server.
pub struct Stage {
    /// Goes with the stage.
    _app: App,
    dev: Dev,
    /// What its actions may fetch from.
    outside: Outside,
    /// Processes that were seen below the server, with their starts.
    seen: HashMap<u32, String>,
}

/// A process as `/proc` shows it.
struct Shown {
    id: u32,
    parent: u32,
    state: String,
    start: String,
}

impl Stage {
    /// Starts a server and fills its store.
    pub fn set(mode: Mode) -> Self {
        let (app, outside) = (App::copy_of(APP), Outside::start());
        for path in ADDRESSED {
            app.edit(path, NO_ADDRESS, &outside.address.to_string());
        }
        let mut command = weir(&["dev", "--listen", "127.0.0.1:0"]);
        // What is kept for good reason is not what a script leaves behind.
        command.args(["--results-mib", "8"]);
        command.args(mode.arguments()).arg("--data").arg(app.data()).arg(app.path()).stdin(Stdio::null());
        command.env("WEIR_SECRET_HOSTILE_KEY", SECRET).env("WEIR_SECRET_ANOTHER_KEY", ANOTHER_SECRET);
        // Measurements are told to who asks for them.
        command.env("WEIR_LOG", "info,weir::metric=debug");
        let dev = Dev::of(Process::start(command));
        let stage = Self { _app: app, dev, outside, seen: HashMap::new() };
        for from in (0..THINGS).step_by(THINGS_AT_ONCE) {
            let asked = json!({ "from": from, "count": THINGS_AT_ONCE });
            let answer = call(stage.url(), "mutation", "prepare", &asked).unwrap();
            assert_eq!(answer["data"]["invoke"], from + THINGS_AT_ONCE, "{answer}");
        }
        stage
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> &str {
        &self.dev.url
    }

    /// What the server wrote on stderr, its end.
    pub fn last_words(&self) -> String {
        let text = self.dev.log.text(self.dev.log.count().saturating_sub(12));
        text.chars().take(1500).collect()
    }

    /// What nobody may find in the log: as much of the secrets as nobody hits on by chance.
    pub fn secrets_told(&self) -> Vec<String> {
        let log = self.dev.log.text(0);
        log.lines().filter(|line| tells_a_secret(line)).map(str::to_owned).collect()
    }

    /// The requests that came where none may come.
    pub fn trespasses(&self) -> Vec<String> {
        self.outside.requests_below("/never")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        self.dev.process.wait(Duration::ZERO).map(|status| status.to_string())
    }

    /// The memory of the server and of the processes below it, in bytes: what is shared counts once.
    pub fn memory(&mut self) -> u64 {
        let shown = self.below();
        for process in &shown {
            self.seen.insert(process.id, process.start.clone());
        }
        let ids = shown.iter().map(|process| process.id).chain([self.dev.process.id()]);
        ids.map(proportional_set).sum()
    }

    /// The processes below the server that have ended and that nobody has asked how.
    pub fn zombies(&self) -> Vec<u32> {
        self.below().iter().filter(|process| process.state == "Z").map(|process| process.id).collect()
    }

    /// Stops the server; those processes that were below it and are still there a moment later.
    pub fn strike(self) -> Vec<u32> {
        assert_eq!(self.dev.stop(), Some(0));
        let remain = || {
            let now = processes();
            let is_there = |(id, start): (&u32, &String)| {
                now.iter().any(|process| process.id == *id && process.start == *start).then_some(*id)
            };
            self.seen.iter().filter_map(is_there).collect::<Vec<u32>>()
        };
        let deadline = Instant::now() + ANSWER_PATIENCE;
        while !remain().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        remain()
    }

    fn below(&self) -> Vec<Shown> {
        let mut left = processes();
        let mut below = Vec::new();
        let mut parents = vec![self.dev.process.id()];
        while let Some(parent) = parents.pop() {
            let (children, others) = left.into_iter().partition(|process| process.parent == parent);
            left = others;
            let children: Vec<Shown> = children;
            parents.extend(children.iter().map(|process| process.id));
            below.extend(children);
        }
        below
    }
}

/// Whether a text holds a secret, or its beginning.
pub fn tells_a_secret(text: &str) -> bool {
    [SECRET, ANOTHER_SECRET].iter().any(|secret| text.contains(&secret[..12]))
}

/// Calls a function of the app: the answer of the server, or why there is none. Of a stream it is what [`events`] says, of
/// an endpoint what [`respond`] does; its root is its method, and its name its path.
pub fn call(url: &str, root: &str, function: &str, arguments: &Value) -> Result<Value, String> {
    if root == "subscription" {
        return events(url, function, arguments);
    }
    if function.starts_with('/') {
        return respond(url, root, function, arguments);
    }
    let query = format!("{root}($args: JSON) {{ invoke(function: \"{function}\", args: $args) }}");
    let body = json!({ "query": query, "variables": { "args": arguments } }).to_string();
    let request = minreq::post(format!("{url}/graphql")).with_header("content-type", "application/json");
    let answer = request.with_body(body).with_timeout(ANSWER_PATIENCE.as_secs()).send();
    let answer = answer.map_err(|error| format!("no answer: {error}"))?;
    let text = answer.as_str().map_err(|error| format!("no text: {error}"))?;
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

/// Sends a request to an endpoint: its status, headers and body.
fn respond(url: &str, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let request = minreq::Request::new(minreq::Method::Custom(method.to_uppercase()), format!("{url}{path}"));
    let request = request.with_body(body.to_string()).with_timeout(ANSWER_PATIENCE.as_secs());
    let answer = request.send().map_err(|error| format!("no answer: {error}"))?;
    let body = String::from_utf8_lossy(answer.as_bytes()).into_owned();
    Ok(json!({ "status": answer.status_code, "headers": answer.headers, "body": body }))
}

/// Takes the first events of a stream and goes away: all of them as one value, or the error that came in the place of one.
fn events(url: &str, function: &str, arguments: &Value) -> Result<Value, String> {
    let mut socket = Socket::open(url);
    let query = format!("subscription($args: JSON) {{ invoke(function: \"{function}\", args: $args) }}");
    socket.send(&json!({ "id": "s", "type": "subscribe", "payload": {
        "query": query, "variables": { "args": arguments } } }));
    let mut events = Vec::new();
    while events.len() < EVENTS {
        let mut message: Value = serde_json::from_str(&socket.message()?).map_err(|error| error.to_string())?;
        match message["type"].as_str() {
            Some("next") if message["payload"].get("errors").is_some() => return Ok(message["payload"].take()),
            Some("next") => events.push(message["payload"]["data"]["invoke"].take()),
            Some("error") => return Ok(json!({ "errors": message["payload"] })),
            Some("complete") => break,
            _ => return Err(format!("what is {message}?")),
        }
    }
    // Every other time without a word.
    if function.len().is_multiple_of(2) {
        socket.send(&json!({ "id": "s", "type": "complete" }));
    }
    Ok(json!({ "data": { "invoke": events } }))
}

/// Every process of the machine.
fn processes() -> Vec<Shown> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| {
        // It may have ended in between.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before it, in parentheses, may contain anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        Some(Shown { id, state: field(0).to_owned(), parent: field(1).parse().ok()?, start: field(19).to_owned() })
    })
    .collect()
}

/// What a process takes of the memory, in bytes; 0 if it has ended.
fn proportional_set(id: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

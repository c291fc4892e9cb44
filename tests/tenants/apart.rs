//! Random acts on two tenants of one app: nothing of the one is ever seen by the other.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::town::{Asked, Town, random_text};
#[cfg(target_os = "linux")]
use crate::weir::eventually;

/// Acts on each.
const ACTS: usize = 60;

/// What somebody has, to be tried on the other.
#[derive(Default)]
struct Own {
    ids: Vec<String>,
    cursors: Vec<String>,
    hashes: Vec<String>,
    keys: Vec<String>,
    canaries: BTreeSet<String>,
}

struct Side {
    name: &'static str,
    asked: Asked,
    own: Own,
    seen: String,
}

impl Side {
    /// Asks, and remembers what came.
    fn ask(&mut self, body: &Value) -> Value {
        self.ask_with(body, &[])
    }

    fn ask_with(&mut self, body: &Value, headers: &[(&str, &str)]) -> Value {
        let asked = headers.iter().fold(self.asked.clone(), |asked, (name, value)| asked.with_header(name, value));
        let answer = asked.post(body);
        self.seen += &answer.1;
        serde_json::from_str(&answer.1).unwrap_or_else(|error| panic!("{error}: {}", answer.1))
    }

    /// A text that nobody else has.
    fn canary(&mut self) -> String {
        let canary = format!("canary-{}-{}", self.name, random_text(12));
        self.own.canaries.insert(canary.clone());
        canary
    }
}

#[test]
fn what_is_of_one_is_never_seen_by_the_other() {
    let town = Town::start(&[]);
    let administrators = ["acme", "beta"].map(|name| {
        let token = town.create(name, &["--host", &format!("{name}.example")]);
        town.deploy(name);
        token
    });
    let side = |name: &'static str, asked: Asked| Side { name, asked, own: Own::default(), seen: String::new() };
    // One is reached by its host, the other by its token.
    let token = town.token(json!({ "org": "beta" }));
    let mut sides = [side("acme", town.at("acme.example")), side("beta", town.server().showing(&token))];
    let seed: Vec<u8> = random_text(ACTS).into_bytes();
    // Two digits for each byte: so many acts on both together.
    for (turn, which) in seed.into_iter().enumerate() {
        let [acme, beta] = &mut sides;
        let (one, other) = if turn.is_multiple_of(2) { (acme, beta) } else { (beta, acme) };
        act(one, other, which % 8, turn);
    }
    // What is to be done later is one's own too, also for who operates.
    let jobs = |name: &str, arguments: &[&str]| town.run_on_data(&[&["jobs"], arguments, &["--tenant", name]].concat());
    for turn in 0..2 {
        let [acme, beta] = &mut sides;
        let (one, other) = if turn == 0 { (acme, beta) } else { (beta, acme) };
        let text = one.canary();
        let query = "mutation($text: String!) { later(text: $text) }";
        let id = one.ask(&json!({ "query": query, "variables": { "text": text } }))["data"]["later"].clone();
        let id = id.as_str().unwrap();
        let (own, others) = (jobs(one.name, &["list", "--json"]), jobs(other.name, &["list", "--json"]));
        assert!(own.stdout.contains(id) && !others.stdout.contains(id), "{}{}", own.stderr, others.stderr);
        let refused = jobs(other.name, &["cancel", id]);
        assert_eq!(refused.code, Some(1), "{}", refused.stdout);
        assert_eq!(jobs(one.name, &["cancel", id]).code, Some(0));
    }
    for (side, token) in sides.iter_mut().zip(&administrators) {
        let administrator = side.asked.without_token().showing(token);
        side.seen += &administrator.get("/metrics").1;
        side.seen += &administrator
            .admin("{ status { release } releases { version } audit { records { action targets actor } } }")
            .to_string();
        let requests = administrator.admin("{ metrics }")["data"]["metrics"].as_str().unwrap().to_owned();
        assert!(requests.contains("weir_requests_total"), "{requests}");
    }
    for name in ["/schema.graphql", "/readyz"] {
        for side in &mut sides {
            side.seen += &side.asked.get(name).1;
        }
    }
    let log = town.log();
    let [acme, beta] = &sides;
    for (one, other) in [(acme, beta), (beta, acme)] {
        assert!(one.own.canaries.len() > 4, "{} acts", one.own.canaries.len());
        for canary in &other.own.canaries {
            assert!(!one.seen.contains(canary), "{} has seen {canary}", one.name);
        }
        for id in &other.own.ids {
            assert!(!one.seen.contains(&format!("\"id\":\"{id}\"")), "{} has seen {id}", one.name);
        }
        // A line of the log that tells of one says whose it is, and never of the other.
        for line in log.lines() {
            let tells = one.own.canaries.iter().any(|canary| line.contains(canary.as_str()));
            assert!(!tells || line.contains(&format!("tenant={}", one.name)), "{line}");
            assert!(!tells || !line.contains(&format!("tenant={}", other.name)), "{line}");
        }
        assert!(log.lines().any(|line| line.contains(&format!("tenant={}", one.name))), "{log}");
    }
    town.stop();
}

/// One act, and what the other has, tried here.
fn act(one: &mut Side, other: &mut Side, which: u8, turn: usize) {
    let last = |list: &[String]| list.get(turn % list.len().max(1)).cloned();
    match which {
        0 | 1 => {
            let (text, key) = (one.canary(), format!("key-{turn}"));
            let body = json!({ "query": "mutation($text: String!) { add(text: $text) { id text } }", "variables": { "text": text } });
            let added = one.ask_with(&body, &[("idempotency-key", &key)]);
            one.own.ids.push(added["data"]["add"]["id"].as_str().unwrap().to_owned());
            one.own.keys.push(key);
        }
        2 => {
            // A key that the other has used is a new one here.
            let Some(key) = last(&other.own.keys).filter(|key| !one.own.keys.contains(key)) else { return };
            let text = one.canary();
            let body = json!({ "query": "mutation($text: String!) { add(text: $text) { id text } }", "variables": { "text": text } });
            let added = one.ask_with(&body, &[("idempotency-key", &key)]);
            assert_eq!(added["data"]["add"]["text"], json!(text), "{added}");
            one.own.ids.push(added["data"]["add"]["id"].as_str().unwrap().to_owned());
            one.own.keys.push(key);
        }
        3 => {
            let Some(id) = last(&other.own.ids) else { return };
            let found = one
                .ask(&json!({ "query": "query($id: ID!) { note(id: $id) { id text } }", "variables": { "id": id } }));
            assert_eq!(found["data"]["note"], Value::Null, "{found}");
        }
        4 => {
            let query = "query($after: String) { listed(after: $after) { edges { node { id text } cursor } } }";
            let page = one.ask(&json!({ "query": query, "variables": { "after": last(&one.own.cursors) } }));
            if let Some(cursor) = page.pointer("/data/listed/edges/0/cursor").and_then(Value::as_str) {
                one.own.cursors.push(cursor.to_owned());
            }
            // Whatever place it is of there: here it leads to what is here.
            if let Some(cursor) = last(&other.own.cursors) {
                one.ask(&json!({ "query": query, "variables": { "after": cursor } }));
            }
        }
        5 => {
            let text = one.canary();
            let failed = one.ask(
                &json!({ "query": "query($text: String!) { fails(text: $text) }", "variables": { "text": text } }),
            );
            assert_eq!(failed["errors"][0]["message"], json!(text), "{failed}");
        }
        6 => {
            let text = one.canary();
            let query = format!("{{ texts fails(text: \"{text}\") }}");
            let hash: String = {
                use sha2::Digest;
                sha2::Sha256::digest(query.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
            };
            let named = |hash: &str| json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
            one.ask(&json!({ "query": query, "extensions": named(&hash) }));
            one.own.hashes.push(hash);
            if let Some(hash) = last(&other.own.hashes) {
                let unknown = one.ask(&json!({ "extensions": named(&hash) }));
                assert!(unknown.get("data").is_none_or(Value::is_null), "{unknown}");
            }
        }
        _ => {
            one.ask(&json!({ "query": "{ texts }" }));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_workers_of_one_die_and_others_notice_nothing() {
    let town = Town::start(&[]);
    town.create("acme", &["--host", "acme.example"]);
    town.deploy("acme");
    town.add("acme", "here");
    let of_acme = town.children();
    assert!(!of_acme.is_empty());
    town.create("beta", &["--host", "beta.example"]);
    town.deploy("beta");
    for _ in 0..5 {
        let of_beta: Vec<u32> = town.children().into_iter().filter(|id| !of_acme.contains(id)).collect();
        for id in of_beta {
            // It may have ended by itself.
            let _ = std::process::Command::new("kill").args(["-s", "KILL", &id.to_string()]).status();
        }
        assert_eq!(town.at("acme.example").data("{ texts }", json!({})), json!({ "texts": ["here"] }));
    }
    let now = town.children();
    assert!(of_acme.iter().all(|id| now.contains(id)), "{of_acme:?} {now:?}");
    eventually("the other one", || (town.at("beta.example").code("{ texts }").0 == 200).then_some(()));
    let log = town.log();
    let died: Vec<&str> = log.lines().filter(|line| line.contains(" died (")).collect();
    assert!(!died.is_empty() && died.iter().all(|line| line.contains("tenant=beta")), "{log}");
    town.stop();
}

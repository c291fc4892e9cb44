//! Rollouts at random, with `kill -9` in the middle: what was acknowledged stays, what was not has happened or has not, and everybody is
//! where the state says that they are.

use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::apps::App;
use crate::production::Production;
use crate::serve::serve;
use crate::weir::say;

const APP: &str = r#"
    import { query, type Int } from "weir";
    export const one = query((): Int => 1);
    // file: policies.cedar
    permit(principal, action, resource);
"#;

const VERSIONS: [&str; 3] = ["1.0.0", "1.0.1", "1.0.2"];
const ROUNDS: usize = 8;
const STEPS: usize = 10;
/// Clients that are known by a name.
const VISITORS: usize = 12;

/// What the documentation says of a rollout, in as few words as possible.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    promoted: Vec<&'static str>,
    rollout: Option<(&'static str, usize, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Start(&'static str),
    Advance,
    Pause,
    Resume,
    Promote,
    RollBack,
}

impl Act {
    fn mutation(self, model: &Model) -> String {
        let field = match self {
            Self::Start(version) => {
                let strategy = "{ canary: [{ share: \"30%\" }, { share: \"60%\", for: \"1h\" }] }";
                format!("startRollout(release: \"{version}\", strategy: {strategy})")
            }
            Self::Advance => "advanceRollout".to_owned(),
            Self::Pause => "pauseRollout".to_owned(),
            Self::Resume => "resumeRollout".to_owned(),
            Self::Promote => "promoteRollout".to_owned(),
            Self::RollBack => {
                let left = model.rollout.map_or(model.promoted.last().copied(), |(version, ..)| Some(version)).unwrap();
                format!("rollBack(release: \"{left}\", why: \"at random\")")
            }
        };
        format!("mutation {{ {field} {{ summary }} }}")
    }
}

impl Model {
    /// What follows; `None`: it is refused.
    fn after(&self, act: Act) -> Option<Self> {
        let mut next = self.clone();
        let active = *self.promoted.last()?;
        match (act, self.rollout) {
            (Act::Start(version), None) if version != active => next.rollout = Some((version, 0, false)),
            (Act::Advance, Some((version, 0, _))) => next.rollout = Some((version, 1, false)),
            (Act::Pause, Some((version, step, false))) => next.rollout = Some((version, step, true)),
            (Act::Resume, Some((version, step, true))) => next.rollout = Some((version, step, false)),
            (Act::Advance | Act::Promote, Some((version, ..))) => {
                next.promoted.push(version);
                next.rollout = None;
            }
            (Act::RollBack, Some(_)) => next.rollout = None,
            (Act::RollBack, None) if self.promoted.len() > 1 => drop(next.promoted.pop()),
            _ => return None,
        }
        Some(next)
    }

    fn told(&self) -> Value {
        let previous = self.promoted.iter().rev().nth(1);
        let rollout = self
            .rollout
            .map(|(version, step, is_paused)| (version, step + 1, if is_paused { "PAUSED" } else { "STEP" }));
        json!([self.promoted.last(), previous, rollout])
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// The answer of the control plane; `None`: it was cut off.
fn control(url: &str, root: &str, document: &str) -> Option<Value> {
    let request = minreq::post(format!("{url}/admin/graphql"))
        .with_header("content-type", "application/json")
        .with_header("authorization", format!("Bearer {root}"));
    let response = request.with_body(json!({ "query": document }).to_string()).send().ok()?;
    serde_json::from_str(response.as_str().ok()?).ok()
}

fn told(url: &str, root: &str) -> Value {
    let query =
        "{ s: rolloutStatus { active { version } previous { version } candidate { version } rollout { phase step } } }";
    let answer = control(url, root, query).unwrap();
    let status = &answer["data"]["s"];
    let rollout = match &status["rollout"] {
        Value::Null => Value::Null,
        rollout => json!([status["candidate"]["version"], rollout["step"], rollout["phase"]]),
    };
    json!([status["active"]["version"], status["previous"]["version"], rollout])
}

/// The same once nothing is being prepared: what was cut off goes on by itself.
fn prepared(url: &str, root: &str) -> Value {
    for _ in 0..600 {
        let told = told(url, root);
        if told[2][2] != "PREPARING" {
            return told;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("it is still being prepared");
}

/// The versions that answer a few visitors.
fn answering(url: &str) -> Vec<String> {
    let version = |visitor: usize| {
        let request = minreq::post(format!("{url}/graphql")).with_header("content-type", "application/json");
        let request = request.with_header("x-weir-visitor", format!("v{visitor}"));
        let response = request.with_body(r#"{"query":"{ one }"}"#).send().unwrap();
        assert_eq!(response.as_str().unwrap(), r#"{"data":{"one":1}}"#);
        let header = response.headers.iter().find(|(name, _)| name == "x-weir-release");
        header.unwrap().1.clone()
    };
    (0..VISITORS).map(version).collect()
}

/// The digests of all that was stated, as the statements have them and as the audit log does, each in order.
fn stated(url: &str, root: &str) -> (Vec<String>, Vec<Value>) {
    let query = "{ rollouts { statements } rolloutStatus { rollout { statements } } \
                 audit(first: 1000) { records { statement } next } }";
    let answer = control(url, root, query).unwrap();
    let data = &answer["data"];
    assert_eq!(data["audit"]["next"], Value::Null, "{answer}");
    let ended = data["rollouts"].as_array().unwrap().iter().rev();
    let all = ended.chain([&data["rolloutStatus"]["rollout"]]).filter_map(|rollout| rollout["statements"].as_array());
    let digest = |envelope: &Value| {
        let envelope: Value = serde_json::from_str(envelope.as_str().unwrap()).unwrap();
        let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        Sha256::digest(payload).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let records = data["audit"]["records"].as_array().unwrap().iter();
    let recorded = records.map(|record| record["statement"].clone()).filter(|digest| !digest.is_null());
    (all.flatten().map(digest).collect(), recorded.collect())
}

#[test]
fn what_was_acknowledged_of_a_rollout_survives_a_kill() {
    let production = Production::start(App::of(APP));
    for version in VERSIONS.iter().skip(1) {
        let manifest = production.app.read("app.toml");
        let before = manifest.lines().find(|line| line.starts_with("version")).unwrap().to_owned();
        production.app.write("app.toml", &manifest.replace(&before, &format!("version = \"{version}\"")));
        production.deploy();
    }
    let Production { app, mut server, root, .. } = production;
    let config = app.beside("weir.toml").to_str().unwrap().to_owned();
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut model = Model { promoted: VERSIONS.to_vec(), rollout: None };
    let (mut done, mut cut) = (0, 0);
    for round in 0..ROUNDS {
        let mut draw = || match random.below(7) {
            0 | 1 => Act::Start(VERSIONS[random.below(3)]),
            2 => Act::Advance,
            3 => Act::Pause,
            4 => Act::Resume,
            5 => Act::Promote,
            _ => Act::RollBack,
        };
        // Mostly something that can be done.
        let mut act = |model: &Model| {
            let drawn: Vec<Act> = (0..4).map(|_| draw()).collect();
            drawn.iter().copied().find(|act| model.after(*act).is_some()).unwrap_or(drawn[0])
        };
        for _ in 0..STEPS {
            let act = act(&model);
            let answer = control(&server.url, &root, &act.mutation(&model)).unwrap();
            match model.after(act) {
                Some(next) => {
                    assert!(answer.get("errors").is_none(), "{act:?} after {model:?}: {answer}");
                    (model, done) = (next, done + 1);
                }
                None => assert_eq!(answer["errors"][0]["extensions"]["code"], "CONFLICT", "{act:?} after {model:?}"),
            }
            assert_eq!(told(&server.url, &root), model.told(), "after {act:?}");
        }
        let before = answering(&server.url);
        // One more is cut off, somewhere.
        let last = act(&model);
        let (url, token, document) = (server.url.clone(), root.clone(), last.mutation(&model));
        let asking = thread::spawn(move || control(&url, &token, &document));
        thread::sleep(Duration::from_micros(random.below(12_000) as u64));
        server.process.kill();
        let answer = asking.join().unwrap();
        server = serve(&["--config", &config]);
        let (now, next) = (prepared(&server.url, &root), model.after(last));
        let (statements, recorded) = stated(&server.url, &root);
        assert!(statements.len() > round && recorded == statements, "{statements:?}\n{recorded:?}");
        match (&next, answer) {
            (Some(next), Some(answer)) if answer.get("errors").is_none() => {
                assert_eq!(now, next.told(), "{last:?} was acknowledged")
            }
            (Some(next), _) => assert!(now == model.told() || now == next.told(), "{last:?} in round {round}: {now}"),
            (None, _) => assert_eq!(now, model.told(), "{last:?} is refused"),
        }
        if now == model.told() {
            assert_eq!(answering(&server.url), before, "everybody is where they were");
        }
        if let Some(next) = next.filter(|next| now == next.told()) {
            (model, cut) = (next, cut + 1);
        }
        let among: Vec<&str> =
            model.promoted.last().copied().into_iter().chain(model.rollout.map(|(version, ..)| version)).collect();
        assert!(answering(&server.url).iter().all(|version| among.contains(&version.as_str())), "{model:?}");
    }
    say(&format!("{done} changes and {ROUNDS} kills, of which {cut} came after the commit"));
    assert!(done > ROUNDS);
    assert_eq!(server.stop(), Some(0));
}

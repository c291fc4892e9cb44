//! Neighbours: threads that call harmless functions again and again, and want every answer to be right.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stage::call;

/// Between two calls of one neighbour.
const PAUSE: Duration = Duration::from_millis(2);

/// Neighbours of one server.
pub struct Neighbours {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    leaves: AtomicBool,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    /// What was answered wrongly since it was last asked.
    wrong: Vec<String>,
    took: Vec<Duration>,
}

impl Neighbours {
    /// Lets so many of them call.
    pub fn arrive(url: &str, count: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let start = |number: usize| {
            let (shared, url) = (shared.clone(), url.to_owned());
            thread::spawn(move || {
                let mut round = number;
                while !shared.leaves.load(Ordering::Relaxed) {
                    live(&shared, &url, round);
                    round += count;
                    thread::sleep(PAUSE);
                }
            })
        };
        let threads = (0..count).map(start).collect();
        Self { shared, threads }
    }

    /// The wrong answers since the last time.
    pub fn wrong(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.said.lock().unwrap().wrong)
    }

    /// Lets them finish their last calls: how long each call took, the shortest first, and the last wrong answers.
    pub fn leave(self) -> (Vec<Duration>, Vec<String>) {
        self.shared.leaves.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let mut said = self.shared.said.lock().unwrap();
        let mut took = std::mem::take(&mut said.took);
        took.sort_unstable();
        (took, std::mem::take(&mut said.wrong))
    }
}

/// One round of calls.
fn live(shared: &Shared, url: &str, round: usize) {
    let ask = |root: &str, function: &str, arguments: &Value| {
        let started = Instant::now();
        let answer = call(url, root, function, arguments);
        let mut said = shared.said.lock().unwrap();
        said.took.push(started.elapsed());
        let value = answer.as_ref().ok().filter(|answer| answer.get("errors").is_none());
        let value = value.map(|answer| answer["data"]["invoke"].clone());
        if value.is_none() {
            said.wrong.push(format!("{function}: {answer:?}"));
        }
        value
    };
    let expect = |root: &str, function: &str, arguments: Value, expected: Value| {
        let value = ask(root, function, &arguments);
        if let Some(value) = value.filter(|value| *value != expected) {
            shared.said.lock().unwrap().wrong.push(format!("{function}({arguments}) is {value}"));
        }
    };
    let n = round % 1_000;
    match round % 4 {
        0 => expect("query", "sumTo", json!({ "n": n }), json!(n * (n + 1) / 2)),
        1 => {
            let value = json!({ "round": round, "text": "é\u{1f600}", "list": [null, true, 1.5, {}] });
            expect("query", "echo", json!({ "value": value }), value.clone());
        }
        2 => expect("mutation", "addInAction", json!({ "n": n }), json!(n * (n + 1) / 2 + 1)),
        _ => {
            let name = format!("round {round}");
            let Some(note) = ask("mutation", "remember", &json!({ "name": name, "size": n })) else { return };
            let id = json!({ "id": note["id"] });
            expect("query", "recall", id.clone(), json!({ "id": note["id"], "name": name, "size": n }));
            expect("mutation", "forget", id, json!(true));
        }
    }
}

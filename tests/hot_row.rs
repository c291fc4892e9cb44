//! One hot row: many connections increment the same document, all at once.
//!
//! Every increment is in conflict with others, is run again and takes its turn: none fails, none is lost, and none counts
//! twice. How long that takes is printed. And each run of a call sees the same time and randomness.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::apps::App;
use crate::kills::connection::Connection;
use crate::weir::{Dev, eventually, say};

const CONNECTIONS: usize = 64;
const INCREMENTS: usize = 100;

const COUNTER: &str = r#"
    import { collection, now, procedure, query, type ID, type Int } from "weir";
    export interface Counter { value: Int }
    export const counters = collection<Counter>();
    export const create = procedure((): ID => counters.insert({ value: 0 }).id);
    export const increment = procedure((args: { id: ID }): Int => {
      const value = (counters.get(args.id)?.value ?? 0) + 1;
      counters.patch(args.id, { value });
      return value;
    });
    export const roll = procedure((args: { id: ID }): Int => {
      console.log(`saw ${JSON.stringify([now(), Date.now(), String(new Date()), Math.random()])}.`);
      return counters.patch(args.id, { value: (counters.get(args.id)?.value ?? 0) + 1 }).value;
    });
    export const value = query((args: { id: ID }): Int | null => counters.get(args.id)?.value ?? null);
"#;

#[test]
fn increments_of_one_row_are_exact_on_threads() {
    increments("thread");
}

#[test]
fn increments_of_one_row_are_exact_in_worker_processes() {
    increments("process");
}

fn increments(isolation: &str) {
    let app = App::of(COUNTER);
    let dev = Dev::starting_with(&app, &["--isolation", isolation]).ready();
    let id = dev.client().data("mutation { create }")["create"].clone();
    let request = json!({
        "query": "mutation Increment($id: ID!) { increment(id: $id) }",
        "variables": { "id": id },
    });
    let started = Instant::now();
    let mut answers: Vec<(i64, Duration)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::open(&dev.url).unwrap();
                    let increment = |_| {
                        let started = Instant::now();
                        let answer = connection.post(&request, None).unwrap();
                        let took = started.elapsed();
                        assert!(answer.get("errors").is_none(), "{answer}");
                        (answer["data"]["increment"].as_i64().unwrap(), took)
                    };
                    (0..INCREMENTS).map(increment).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let took = started.elapsed();
    let all = CONNECTIONS * INCREMENTS;
    let mut times: Vec<Duration> = answers.iter().map(|(_, took)| *took).collect();
    times.sort_unstable();
    say(&format!(
        "hot row, --isolation {isolation}: {CONNECTIONS} connections, {all} increments in {took:.1?}, p50 {:.1?}, p99 {:.1?}",
        times[all / 2],
        times[all * 99 / 100],
    ));
    // Each increment saw another value: none was lost on the way, and none ran twice.
    answers.sort_unstable();
    let values: Vec<i64> = answers.into_iter().map(|(value, _)| value).collect();
    assert_eq!(values, (1..=all as i64).collect::<Vec<_>>());
    let value = dev.client().data_with("query Value($id: ID!) { value(id: $id) }", json!({ "id": id }));
    assert_eq!(value["value"], json!(all));
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn all_runs_of_one_call_see_the_same_time_and_randomness() {
    let app = App::of(COUNTER);
    let dev = Dev::start(&app);
    let id = dev.client().data("mutation { create }")["create"].clone();
    let request = json!({ "query": "mutation Roll($id: ID!) { roll(id: $id) }", "variables": { "id": id } });
    // In conflict with each other sooner or later, and then run again.
    for round in 1..=100 {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Connection::open(&dev.url).unwrap().post(&request, None).unwrap());
            }
        });
        let runs = runs_by_call(&dev, round * 8);
        for (call, saw) in &runs {
            assert!(saw.iter().all(|seen| *seen == saw[0]), "call {call}: {saw:#?}");
        }
        if runs.values().any(|saw| saw.len() > 1) {
            let mut first: Vec<&String> = runs.values().map(|saw| &saw[0]).collect();
            first.sort_unstable();
            first.dedup();
            assert_eq!(first.len(), round * 8, "calls share their randomness");
            assert_eq!(dev.stop(), Some(0));
            return;
        }
    }
    panic!("no call was run again");
}

/// What each run of each call has logged, once all calls have.
fn runs_by_call(dev: &Dev, calls: usize) -> HashMap<String, Vec<String>> {
    eventually("the log of all calls", || {
        let mut runs: HashMap<String, Vec<String>> = HashMap::new();
        for line in dev.log.text(0).lines().filter(|line| line.contains("saw [")) {
            let between = |from, to| Some(line.split_once(from)?.1.split_once(to)?.0.to_owned());
            runs.entry(between("call=", " ")?).or_default().push(between("saw [", "].")?);
        }
        (runs.len() == calls).then_some(runs)
    })
}

//! One hot row: many connections increment the same document, all at once.
//!
//! Every increment is in conflict with others, is run again and takes its turn: none fails, none is lost, and none counts
//! twice. How long that takes is printed.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::apps::App;
use crate::kills::connection::Connection;
use crate::weir::{Dev, say};

const CONNECTIONS: usize = 64;
const INCREMENTS: usize = 100;

const COUNTER: &str = r#"
    import { collection, procedure, query, type ID, type Int } from "weir";
    export interface Counter { value: Int }
    export const counters = collection<Counter>();
    export const create = procedure((): ID => counters.insert({ value: 0 }).id);
    export const increment = procedure((args: { id: ID }): Int => {
      const value = (counters.get(args.id)?.value ?? 0) + 1;
      counters.patch(args.id, { value });
      return value;
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

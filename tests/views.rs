//! What is kept of views through the real binary: a kill -9 leaves a warm start, and `weir views` shows, computes and forgets.

use std::path::Path;

use serde_json::{Value, json};

use crate::apps::App;
use crate::weir::{Dev, Ended, eventually, run};

const APP: &str = r#"
    import { collection, count, procedure, sum, view, type Int } from "weir";
    export interface Item { kind: string; n: Int }
    export const items = collection<Item>();
    export const add = procedure((args: { kind: string; n: Int }): Int => { items.insert(args); return args.n; });
    export const fill = procedure((args: { of: Int }): Int => {
      for (let n = 0; n < args.of; n++) items.insert({ kind: `k${n % 7}`, n });
      return args.of;
    });
    export const total = view((): Int => items.all().reduce((sum, item) => sum + item.n, 0), { keep: "eager" });
    export const nightly = view((): Int => items.all().length, { keep: { cron: "0 3 29 2 *" } });
    export const ofKind = view((args: { kind: string }): Int => items.all().filter((item) => item.kind === args.kind).length);
    export const byKind = view.groupBy(items, (item) => item.kind, { items: count(), total: sum((item) => item.n) });
"#;

fn views(data: &Path, arguments: &[&str]) -> Ended {
    run(&[&["views"], arguments, &["--data", data.to_str().unwrap()]].concat())
}

/// What `weir views status --json` says of a view.
#[track_caller]
fn status(data: &Path, view: &str) -> Value {
    let ended = views(data, &["status", "--json"]);
    // After a kill the store may have something to say of what it found.
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["name"] == view).unwrap_or_else(|| panic!("no {view} in {}", ended.stdout))
}

#[test]
fn a_kill_leaves_a_warm_start() {
    let app = App::of(APP);
    let data = app.data();
    let mut dev = Dev::start(&app);
    dev.client().data("mutation { fill(of: 700) }");
    let total: i64 = (0..700).sum();
    let query = "{ total byKind { key items total } nightly }";
    let before = eventually("views of the last commit", || {
        let answer = dev.client().data(query);
        (answer["total"] == json!(total)).then_some(answer)
    });
    assert_eq!(before["byKind"].as_array().unwrap().len(), 7);
    // All of it is in the store, as of the last commit.
    eventually("what is kept", || {
        let stored = |view| status(&data, view)["stored"].clone();
        (stored("total") == 1 && stored("nightly") == 1 && stored("byKind") == 700).then_some(())
    });
    dev.process.kill();
    // Nobody serves it.
    assert_eq!(status(&data, "total")["state"], "stored");
    let dev = Dev::start(&app);
    assert_eq!(dev.client().data(query), before);
    for view in ["total", "nightly", "byKind"] {
        assert_eq!(
            (&status(&data, view)["runs"], &status(&data, view)["state"]),
            (&json!(0), &json!("current")),
            "{view}"
        );
    }
    // What comes later is not missed.
    dev.client().data(r#"mutation { add(kind: "k0", n: 1000) }"#);
    let after = eventually("the next value", || {
        let answer = dev.client().data(query);
        (answer["total"] == json!(total + 1_000)).then_some(answer)
    });
    assert_eq!(after["byKind"][0]["items"], 101);
    assert_eq!(after["nightly"], before["nightly"]);
    assert_eq!(dev.stop(), Some(0));
    let ended = run(&["doctor", "--data", data.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
}

#[test]
fn views_are_shown_refreshed_and_dropped_served_or_not() {
    let app = App::of(APP);
    let data = app.data();
    let dev = Dev::start(&app);
    dev.client().data("mutation { fill(of: 70) }");
    dev.client().data(r#"{ ofKind(kind: "k1") byKind { key } }"#);
    eventually("what is computed", || (status(&data, "total")["state"] == "current").then_some(()));
    let table = views(&data, &["status"]).stdout;
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["VIEW", "POLICY", "STATE", "COMMIT", "AGE", "ROWS", "BYTES", "STORED", "RUNS", "ERROR"]);
    assert_eq!(lines[1][..3], ["total", "eager", "current"]);
    assert_eq!(lines[2][..7], ["nightly", "cron", "0", "3", "29", "2", "*"]);
    assert_eq!(lines[3][..3], ["ofKind", "onDemand", "current"]);
    assert_eq!(lines[4][..3], ["byKind", "groups", "current"]);
    assert!(status(&data, "byKind")["commit"].as_str().unwrap().parse::<u64>().is_ok());

    let builds = status(&data, "byKind")["runs"].as_u64().unwrap();
    let refreshed = views(&data, &["refresh", "byKind", "--json"]);
    assert_eq!((refreshed.code, refreshed.stderr.as_str()), (Some(0), ""));
    let refreshed: Value = serde_json::from_str(&refreshed.stdout).unwrap();
    assert_eq!((&refreshed["runs"], &refreshed["rows"]), (&json!(builds + 1), &json!(7)));
    let said = views(&data, &["refresh", "total"]);
    assert!(said.stdout.starts_with("total is current: 1 rows or results, "), "{}", said.stdout);
    let unknown = views(&data, &["refresh", "add"]);
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (Some(1), "weir: there is no view \"add\": see weir views status\n")
    );

    eventually("what is kept", || (status(&data, "ofKind")["stored"] == 1).then_some(()));
    let dropped = views(&data, &["drop", "ofKind"]);
    assert_eq!((dropped.code, dropped.stdout.as_str()), (Some(0), "forgot what was kept of ofKind\n"));
    assert_eq!((&status(&data, "ofKind")["state"], &status(&data, "ofKind")["stored"]), (&json!("empty"), &json!(0)));
    eventually("all documents", || (status(&data, "byKind")["stored"] == 70).then_some(()));
    assert_eq!(dev.stop(), Some(0));

    // While it is not served.
    let kept = status(&data, "byKind");
    assert_eq!((&kept["state"], &kept["stored"]), (&json!("stored"), &json!(70)));
    let refused = views(&data, &["refresh", "byKind"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("start the server first"), "{}", refused.stderr);
    assert_eq!(views(&data, &["drop", "byKind"]).code, Some(0));
    let again = views(&data, &["drop", "byKind"]);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (Some(1), "weir: there is no view \"byKind\": see weir views status\n")
    );
    let dev = Dev::start(&app);
    assert_eq!(dev.client().data("{ byKind { items } }")["byKind"].as_array().unwrap().len(), 7);
    assert_eq!(status(&data, "byKind")["runs"], 1);
    assert_eq!(dev.stop(), Some(0));
}

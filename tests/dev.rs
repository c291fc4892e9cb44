//! `weir dev`: saving, breaking and mending an app while it is served; starting and stopping.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use serde_json::json;

use crate::apps::App;
use crate::graphql::Client;
use crate::weir::{Dev, Ended, Lines, eventually, run, say};

const FILE: &str = "functions/orders.ts";

/// A running shop without data.
fn shop() -> (App, Dev, Client) {
    let app = App::copy_of("examples/shop");
    let dev = Dev::start(&app);
    let client = dev.client();
    (app, dev, client)
}

/// A file of one query that returns a text.
fn greeting(text: &str) -> String {
    format!("import {{ query }} from \"weir\";\nexport const greeting = query((): string => \"{text}\");\n")
}

/// What the query of [`greeting`] returns; `None` where there is no such query.
fn greeted(client: &Client) -> Option<String> {
    let answer = client.answer("{ greeting }", json!({}));
    answer["data"]["greeting"].as_str().map(str::to_owned)
}

/// What is said from line `from` on about a change that did not become a release, without log lines.
fn explanation(app: &App, log: &Lines, from: usize) -> String {
    let (last, _) = log.wait_for(from, |line| {
        line == "weir: the last good release goes on serving" || line == "weir: waiting for a change"
    });
    let lines = log.text(from);
    let shown: Vec<&str> =
        lines.lines().take(last + 1 - from).filter(|line| !line.trim_start().starts_with("INFO")).collect();
    app.neutral(&(shown.join("\n") + "\n"))
}

#[test]
fn a_saved_change_is_live() {
    let (app, _dev, client) = shop();
    let mut times = Vec::new();
    for text in ["one", "two", "three"] {
        let started = Instant::now();
        app.write("functions/greeting.ts", &greeting(text));
        eventually("the new greeting", || greeted(&client).filter(|greeted| greeted == text));
        times.push(started.elapsed());
    }
    say(&format!("from a save to the first answer with it: {times:.0?}"));
    fs::remove_file(app.path().join("functions/greeting.ts")).unwrap();
    eventually("the end of the greeting", || (!client.has_query("greeting")).then_some(()));
}

#[test]
fn a_broken_change_is_explained_and_the_last_good_release_serves_on() {
    let (app, dev, client) = shop();
    client.data("mutation { seed { orders } }");
    let serves = || assert_eq!(client.data("{ revenueByDay { orders } }")["revenueByDay"][0]["orders"], 1);

    let good = app.read(FILE);
    let from = dev.log.count();
    app.write(FILE, &good.replace("args.limit ?? 20),", "args.limit ?? ),"));
    expect![[r#"
        error: syntax error: Unexpected token
         --> functions/orders.ts:6:84
          |
        6 |   orders.where("customer", args.customer).orderBy("at", "desc").take(args.limit ?? ),
          |                                                                                    ^

        weir: 1 mistake found
        weir: the last good release goes on serving
    "#]]
    .assert_eq(&explanation(&app, &dev.log, from));
    serves();

    let from = dev.log.count();
    app.write(FILE, &good.replace("args: { customer: ID; limit?: Int }", "args: { customer: ID; limit?: Date }"));
    expect![[r#"
        error: `Date` has no counterpart in GraphQL
         --> functions/orders.ts:5:62
          |
        5 | export const ordersOf = query((args: { customer: ID; limit?: Date }): Doc<Order>[] =>
          |                                                              ^^^^
        help: write DateTime (from "weir")

        weir: 1 mistake found
        weir: the last good release goes on serving
    "#]]
    .assert_eq(&explanation(&app, &dev.log, from));
    serves();

    let from = dev.log.count();
    app.write(FILE, &good.replace("/** Orders of one", "const bad = orders.count();\n/** Orders of one"));
    expect![[r#"
        weir: functions/orders.ts:4:20: data can be read and written only while a function runs, not while a module loads or after the call
        weir: the last good release goes on serving
    "#]]
    .assert_eq(&explanation(&app, &dev.log, from));
    serves();

    let manifest = app.read("app.toml");
    let from = dev.log.count();
    app.write("app.toml", "name = \"shop\"\nversion = \"0.1.0\"\ncolour = \"red\"\n");
    expect![[r#"
        error: unknown field `colour`, expected one of `name`, `version`, `transpiler`, `limits`, `graphql`, `rate`, `jobs`, `cron`, `migration`, `caller`, `fetch`, `secrets`, `metrics`, `rollout`
         --> app.toml:3:1
          |
        3 | colour = "red"
          | ^

        weir: 1 mistake found
        weir: the last good release goes on serving
    "#]]
    .assert_eq(&explanation(&app, &dev.log, from));
    serves();

    app.write("app.toml", &manifest);
    app.write(FILE, &(good + "export const mended = query((): boolean => true);\n"));
    eventually("the mended release", || client.has_query("mended").then_some(()));
    serves();
}

#[test]
fn a_half_written_save_never_becomes_a_release() {
    let (app, dev, client) = shop();
    app.write("functions/greeting.ts", &greeting("old"));
    eventually("the greeting", || greeted(&client));
    let from = dev.log.count();

    // Half of it compiles by itself, so that only the open file shows that it is half.
    let text = greeting("new");
    let rest = "export const other = query((): string => \"other\");\n";
    let mut file = File::create(app.path().join("functions/greeting.ts")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.sync_all().unwrap();
    let writing = Instant::now();
    while writing.elapsed() < Duration::from_millis(500) {
        assert_eq!(greeted(&client).as_deref(), Some("old"));
        thread::sleep(Duration::from_millis(10));
    }
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    eventually("the whole file", || client.has_query("other").then_some(()));
    assert_eq!(greeted(&client).as_deref(), Some("new"));
    let releases = dev.log.text(from).matches(", live in ").count();
    assert_eq!(releases, 1, "{}", dev.log.text(from));
}

/// A way in which an editor saves a text.
type Save<'a> = &'a dyn Fn(&str);

#[test]
fn saves_of_every_kind_of_editor_are_seen() {
    let (app, _dev, client) = shop();
    let path = app.path().join("functions/greeting.ts");
    let aside = app.path().join("functions/.greeting.ts.swp");
    let ways: [(&str, Save); 3] = [
        ("truncated and written", &|text| fs::write(&path, text).unwrap()),
        ("written aside and renamed", &|text| {
            fs::write(&aside, text).unwrap();
            fs::rename(&aside, &path).unwrap();
        }),
        ("moved away and written anew", &|text| {
            fs::rename(&path, path.with_extension("ts~")).unwrap();
            fs::write(&path, text).unwrap();
            fs::remove_file(path.with_extension("ts~")).unwrap();
        }),
    ];
    for (how, save) in ways {
        save(&greeting(how));
        eventually(how, || greeted(&client).filter(|greeted| greeted == how));
    }
    // A folder that is made after the start is watched too.
    app.write("more/deep/words.ts", "export const words = \"from a new folder\";\n");
    let text = "import { query } from \"weir\";\nimport { words } from \"../more/deep/words\";\n";
    app.write("functions/greeting.ts", &format!("{text}export const greeting = query((): string => words);\n"));
    eventually("the new folder", || greeted(&client).filter(|greeted| greeted == "from a new folder"));
    app.write("more/deep/words.ts", "export const words = \"changed\";\n");
    eventually("the change in it", || greeted(&client).filter(|greeted| greeted == "changed"));
}

#[test]
fn an_app_that_does_not_build_yet_is_waited_for() {
    let app = App::copy_of("examples/shop");
    let good = app.read(FILE);
    app.write(FILE, &good.replace("import { count", "import { cuont"));
    let starting = Dev::starting(&app);
    expect![[r#"
        error: "weir" exports no `cuont`
         --> functions/orders.ts:1:10
          |
        1 | import { cuont, fail, now, procedure, query, sum, view, type Doc, type Float, type ID, type Int, type Page } from "weir";
          |          ^^^^^
        help: it exports query, view, procedure, action, stream, collection, sum, count, min, max, avg, top, now, fail, attempt, caller, call, metric, schedule, cancelJob, secret, hmac, timingSafeEqual, http, ID, Int, Float, DateTime, JSON, Bytes, Doc, Ref, Page, Edge, PageInfo

        error: this is not an aggregate
          --> functions/orders.ts:17:11
           |
        17 |   orders: count(),
           |           ^^^^^^^
        help: write count(), sum((o) => o.total), avg(…), min(…), max(…) or top(3, (o) => o.total), imported from "weir"

        weir: 2 mistakes found
        weir: waiting for a change
    "#]].assert_eq(&explanation(&app, &starting.log, 0));
    app.write(FILE, &good);
    let dev = starting.ready();
    assert_eq!(dev.client().data("{ revenueByDay { orders } }"), json!({ "revenueByDay": [] }));
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn sigterm_stops_it_cleanly() {
    let (_app, dev, _client) = shop();
    let (stdout, url) = (dev.stdout.clone(), dev.url.clone());
    assert_eq!(dev.stop(), Some(0));
    assert_eq!(stdout.all(), [format!("listening on {url}")]);
}

/// How a start fails: its code, and what it says.
fn check_refusal(app: &App, ended: &Ended, expected: Expect) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    expected.assert_eq(&app.neutral(&ended.stderr));
}

fn dev_arguments<'a>(app: &'a str, data: &'a str, listen: &'a str) -> [&'a str; 6] {
    ["dev", app, "--data", data, "--listen", listen]
}

#[test]
fn a_taken_port_is_told() {
    let app = App::copy_of("examples/shop");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (path, data, listen) = (app.path(), app.data(), address.to_string());
    let mut ended = run(&dev_arguments(path.to_str().unwrap(), data.to_str().unwrap(), &listen));
    ended.stderr = ended.stderr.replace(&address.port().to_string(), "PORT");
    check_refusal(
        &app,
        &ended,
        expect![[r#"
        weir: port PORT is taken: stop what listens there, or choose another with --listen 127.0.0.1:0
    "#]],
    );
}

#[test]
fn data_in_use_is_told() {
    let (app, dev, client) = shop();
    let (path, data) = (app.path(), app.data());
    let ended = run(&dev_arguments(path.to_str().unwrap(), data.to_str().unwrap(), "127.0.0.1:0"));
    check_refusal(
        &app,
        &ended,
        expect![[r#"
        weir: TMP/data is in use: stop the other `weir` or choose another folder with --data
    "#]],
    );
    let rows = app.beside("rows.json");
    fs::write(&rows, "[]").unwrap();
    let (path, data) = (path.to_str().unwrap(), data.to_str().unwrap());
    let import = ["import", rows.to_str().unwrap(), "--into", "customers", "--app", path, "--data", data];
    check_refusal(
        &app,
        &run(&import),
        expect![[r#"
        weir: TMP/data is in use: stop the other `weir` or choose another folder with --data
    "#]],
    );
    // Nothing happened to the one that was there first.
    assert_eq!(client.data("mutation { seed { orders } }")["seed"]["orders"], 20);
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn a_folder_of_another_version_or_of_something_else_is_left_alone() {
    let app = App::copy_of("examples/shop");
    let (path, data) = (app.path(), app.data());
    let start = || run(&dev_arguments(path.to_str().unwrap(), data.to_str().unwrap(), "127.0.0.1:0"));
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("FORMAT"), "{\"product\":\"weir\",\"format\":99}\n").unwrap();
    check_refusal(
        &app,
        &start(),
        expect![[r#"
        weir: TMP/data was made by a newer Weir (format 99, this one reads up to 4): use that version
    "#]],
    );
    fs::remove_file(data.join("FORMAT")).unwrap();
    fs::write(data.join("thesis.txt"), "chapter 1").unwrap();
    check_refusal(
        &app,
        &start(),
        expect![[r#"
        weir: TMP/data is not a Weir data folder: it is not empty and has no valid FORMAT file; choose another one with --data
    "#]],
    );
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(data.join("thesis.txt")).unwrap(), "chapter 1");
}

#[test]
fn bad_usage_exits_with_2() {
    let table: [&[&str]; 13] = [
        &[],
        &["nonsense"],
        &["dev", "--port", "4000"],
        &["dev", "--listen", "nowhere"],
        &["check"],
        &["import"],
        &["import", "rows.json"],
        &["import", "rows.json", "--into", "a", "--with", "b"],
        &["types"],
        &["import", "all.jsonl", "--all", "--into", "a"],
        &["backup"],
        &["restore"],
        &["export"],
    ];
    for arguments in table {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
        let is_helpful = ended.stderr.contains("Usage: weir") || ended.stderr.contains("try '--help'");
        assert!(is_helpful, "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_folder_that_is_no_app_is_told() {
    let app = App::of("// file: app.toml\nname = \"a\"\nversion = \"1.0.0\"\n");
    let missing = app.beside("missing");
    let file = app.path().join("app.toml");
    for path in [missing, file] {
        let (path, data) = (path.to_str().unwrap(), app.data());
        for command in [&["check", path][..], &dev_arguments(path, data.to_str().unwrap(), "127.0.0.1:0")] {
            let ended = run(command);
            assert_eq!(ended.code, Some(1), "{command:?}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
            assert!(ended.stderr.starts_with("weir: ") && ended.stderr.contains(path), "{}", ended.stderr);
        }
    }
}

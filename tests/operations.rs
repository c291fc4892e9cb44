//! The commands on a data folder, served or not: backup, restore, export, import of everything, doctor.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use expect_test::{Expect, expect};
use serde_json::json;

use crate::apps::App;
use crate::graphql::Client;
use crate::weir::{Dev, Ended, eventually, run};

const ORDERS: &str = "{ revenueByDay { orders } }";

fn shop() -> (App, Dev, Client) {
    let app = App::copy_of("examples/shop");
    let dev = Dev::start(&app);
    let client = dev.client();
    client.data("mutation { seed { orders } }");
    (app, dev, client)
}

/// Runs a command on a data folder.
fn on(data: &Path, arguments: &[&str]) -> Ended {
    run(&[arguments, &["--data", data.to_str().unwrap()]].concat())
}

/// A command that has to succeed; what it says on stdout.
#[track_caller]
fn done(data: &Path, arguments: &[&str]) -> String {
    let ended = on(data, arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}: {}", ended.stdout);
    ended.stdout
}

fn orders(client: &Client) -> u64 {
    let days = client.data(ORDERS);
    days["revenueByDay"].as_array().unwrap().iter().map(|day| day["orders"].as_u64().unwrap()).sum()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The lines of an export without those that tell when it was made.
fn body(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .filter(|line| !line.contains(r#""record":"header""#) && !line.contains(r#""record":"end""#))
        .map(str::to_owned)
        .collect()
}

/// The same without what is on record.
fn data(file: &Path) -> Vec<String> {
    body(file).into_iter().filter(|line| !line.contains(r#""record":"audit""#)).collect()
}

#[test]
fn a_served_folder_is_backed_up_while_it_is_written_and_served_from_the_backup() {
    let (app, dev, client) = shop();
    let customer =
        client.data(r#"{ customerByEmail(email: "ada@example.com") { id } }"#)["customerByEmail"]["id"].clone();
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (client, stop, customer) = (client.clone(), stop.clone(), customer.clone());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let place = "mutation ($c: ID!) { placeOrder(customer: $c, total: 1) { id } }";
                client.data_with(place, json!({ "c": customer }));
            }
        })
    };
    let start = orders(&client);
    eventually("orders", || (orders(&client) > start + 5).then_some(()));
    let before = orders(&client);
    let backup = app.beside("backup");
    let said = done(&app.data(), &["backup", text(&backup)]);
    let after = orders(&client);
    assert!(said.starts_with("backed up commit "), "{said}");
    eventually("orders after the backup", || (orders(&client) > after + 5).then_some(()));
    stop.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    assert_eq!(dev.stop(), Some(0));
    assert!(!app.data().join("control").exists());

    let other = App::copy_of("examples/shop");
    let said = done(&other.data(), &["restore", text(&backup)]);
    assert!(said.starts_with("restored commit "), "{said}");
    let dev = Dev::start(&other);
    let restored = orders(&dev.client());
    assert!((before..=after).contains(&restored), "{before} {restored} {after}");
    let again = dev.client().data(r#"{ customerByEmail(email: "ada@example.com") { id } }"#);
    assert_eq!(again["customerByEmail"]["id"], customer);
    dev.client()
        .data_with("mutation ($c: ID!) { placeOrder(customer: $c, total: 1) { id } }", json!({ "c": customer }));
    assert_eq!(orders(&dev.client()), restored + 1);
}

#[test]
fn a_data_folder_gives_way_when_asked_and_is_kept() {
    let (app, dev, client) = shop();
    let backup = app.beside("backup");
    done(&app.data(), &["backup", text(&backup)]);
    let then = orders(&client);
    let customer =
        client.data(r#"{ customerByEmail(email: "ada@example.com") { id } }"#)["customerByEmail"]["id"].clone();
    client.data_with("mutation ($c: ID!) { placeOrder(customer: $c, total: 1) { id } }", json!({ "c": customer }));
    assert_ne!(orders(&client), then);
    assert_eq!(dev.stop(), Some(0));
    let said = app.neutral(&done(&app.data(), &["restore", text(&backup), "--replace"]));
    let export = app.beside("restored.jsonl");
    done(&app.data(), &["export", text(&export)]);
    assert!(body(&export).iter().any(|line| line.contains(r#""action":"restore""#)), "it is on record");
    let kept = said.lines().nth(1).unwrap().strip_prefix("the data from before is kept in TMP/").unwrap().to_owned();
    assert!(app.beside(&kept).join("FORMAT").exists(), "{said}");
    assert_eq!(orders(&Dev::start(&app).client()), then);
}

#[test]
fn what_is_exported_can_be_imported_as_a_whole() {
    let (app, dev, _client) = shop();
    let (served, closed, again, stdout) =
        (app.beside("served.jsonl"), app.beside("closed.jsonl"), app.beside("again.jsonl"), app.beside("stdout.jsonl"));
    let said = done(&app.data(), &["export", text(&served)]);
    assert!(said.starts_with("exported commit ") && said.contains(" collections, "), "{said}");
    assert_eq!(dev.stop(), Some(0));
    done(&app.data(), &["export", text(&closed)]);
    assert_eq!(data(&served), data(&closed));
    assert!(body(&closed).iter().any(|line| line.contains(r#""action":"export""#)), "the first is on record");
    fs::write(&stdout, done(&app.data(), &["export", "-"])).unwrap();
    assert_eq!(data(&stdout), data(&closed));

    let other = App::copy_of("examples/shop");
    let said = done(&other.data(), &["import", text(&served), "--all"]);
    assert!(said.starts_with("imported into "), "{said}");
    done(&other.data(), &["export", text(&again)]);
    assert_eq!(body(&again), body(&served));
    assert!(body(&again).len() > 5);
    done(&other.data(), &["doctor"]);
    let dev = Dev::start(&other);
    assert!(
        dev.client().data(r#"{ customerByEmail(email: "ada@example.com") { id } }"#)["customerByEmail"].is_object()
    );
}

#[test]
fn the_doctor_sees_the_same_whoever_has_the_folder() {
    let (app, dev, _client) = shop();
    let served = done(&app.data(), &["doctor"]);
    assert!(served.starts_with("format ") && served.contains("\nno problems\n\nsandbox "), "{served}");
    assert_eq!(dev.stop(), Some(0));
    let closed = done(&app.data(), &["doctor"]);
    let below = |said: &str| said.split_once('\n').unwrap().1.to_owned();
    assert_eq!(below(&served), below(&closed));
}

/// A table of the engine with a byte changed in its middle.
fn harm(data: &Path) {
    let mut tables: Vec<PathBuf> =
        fs::read_dir(data.join("tree/sstables")).unwrap().map(|entry| entry.unwrap().path()).collect();
    tables.sort();
    let table = tables.first().unwrap();
    let mut content = fs::read(table).unwrap();
    let place = content.len() / 4;
    content[place] ^= 0xff;
    fs::write(table, content).unwrap();
}

#[test]
fn the_doctor_refuses_a_damaged_folder() {
    let (app, dev, _client) = shop();
    assert_eq!(dev.stop(), Some(0));
    harm(&app.data());
    let ended = on(&app.data(), &["doctor"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.lines().last().unwrap().starts_with("weir: "), "{}", ended.stderr);
}

#[test]
fn a_killed_server_leaves_a_folder_that_commands_open() {
    let (app, mut dev, client) = shop();
    let before = orders(&client);
    dev.process.kill();
    assert!(app.data().join("control").exists(), "nobody was left to remove it");
    done(&app.data(), &["doctor"]);
    done(&app.data(), &["backup", text(&app.beside("backup"))]);
    let dev = Dev::start(&app);
    assert_eq!(orders(&dev.client()), before);
    done(&app.data(), &["doctor"]);
}

/// A refusal exits 1 and explains itself in one line.
#[track_caller]
fn refused(app: &App, data: &Path, arguments: &[&str], expected: &Expect) {
    let ended = on(data, arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}: {}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    expected.assert_eq(&app.neutral(&ended.stderr));
}

#[test]
fn refusals_say_what_to_do() {
    let (app, dev, _client) = shop();
    let data = app.data();
    let (backup, file, none) = (app.beside("backup"), app.beside("all.jsonl"), app.beside("none"));
    done(&data, &["backup", text(&backup)]);
    done(&data, &["export", text(&file)]);
    let (backup, file) = (text(&backup), text(&file));
    let is_taken = expect![[r#"
        weir: TMP/backup exists and is not empty: choose another folder for the backup
    "#]];
    refused(&app, &data, &["backup", backup], &is_taken);
    let is_inside = expect![[r#"
        weir: TMP/data/copy is inside the data folder: choose a folder outside of it
    "#]];
    refused(&app, &data, &["backup", text(&data.join("copy"))], &is_inside);
    let exists = expect![[r#"
        weir: TMP/all.jsonl exists: choose another name for the export
    "#]];
    refused(&app, &data, &["export", file], &exists);
    refused(
        &app,
        &data,
        &["export", "-"],
        &expect![[r#"
            weir: TMP/data is in use: stop the other `weir` or choose another folder with --data
        "#]],
    );
    refused(
        &app,
        &data,
        &["restore", backup, "--replace"],
        &expect![[r#"
            weir: TMP/data is in use: stop the `weir` that serves it first
        "#]],
    );
    refused(
        &app,
        &data,
        &["import", file, "--all"],
        &expect![[r#"
            weir: TMP/data is in use: choose another folder with --data
        "#]],
    );
    assert_eq!(dev.stop(), Some(0));
    refused(&app, &data, &["backup", backup], &is_taken);
    refused(&app, &data, &["backup", text(&data.join("copy"))], &is_inside);
    refused(&app, &data, &["export", file], &exists);
    refused(
        &app,
        &data,
        &["restore", backup],
        &expect![[r#"
            weir: TMP/data is not empty: restore with --replace, which keeps it under another name, or choose another folder with --data
        "#]],
    );
    refused(
        &app,
        &data,
        &["import", file, "--all"],
        &expect![[r#"
            weir: TMP/data is not empty: an import of everything needs a new data folder, choose one with --data
        "#]],
    );
    for command in [["backup", "new"], ["export", "new"]] {
        refused(
            &app,
            &none,
            &command,
            &expect![[r#"
                weir: TMP/none is not a data folder: name one with --data, or its app with --app
            "#]],
        );
    }
    refused(
        &app,
        &none,
        &["restore", text(&app.path())],
        &expect![[r#"
            weir: TMP/app cannot be restored: it has no file BACKUP; nothing was changed
        "#]],
    );
    harm(&Path::new(backup).join("data"));
    let ended = on(&none, &["restore", backup]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("is not as it was made: it has changed since; nothing was changed"),
        "{}",
        ended.stderr
    );
    let cut = fs::read_to_string(file).unwrap();
    fs::write(file, &cut[..cut.len() / 2]).unwrap();
    let ended = on(&none, &["import", file, "--all"]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the export ends too soon: it was cut off; nothing was imported"),
        "{}",
        ended.stderr
    );
    assert!(!none.exists());
}

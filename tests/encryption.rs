//! Encryption at rest through the binary: where keys come from, SIGHUP, and what wrong ones are answered.

#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use expect_test::{Expect, expect};

use crate::apps::App;
use crate::weir::{Dev, Ended, PATIENCE, eventually, finish, run, weir};

/// Something that is in the data of a shop once it is seeded.
const SEEDED: &str = "ada@example.com";

/// Saves the keys where only their owner can read them, and returns their path.
fn save(app: &App, keys: &[&str]) -> String {
    let file = app.beside("keys");
    fs::write(&file, keys.join("\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A new key after those in the file.
fn generate(file: &str) -> String {
    let ended = run(&["encryption", "generate", "--encryption-keys", file]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout.trim_end().to_owned()
}

/// How a start ends that is refused.
fn refused(app: &App, arguments: &[&str], environment: Option<&str>, expected: Expect) {
    let (path, data) = (app.path(), app.data());
    let mut all = vec!["dev", path.to_str().unwrap(), "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    all.extend(arguments);
    let mut command = weir(&all);
    if let Some(keys) = environment {
        command.env("WEIR_ENCRYPTION_KEYS", keys);
    }
    let Ended { code, stdout, stderr } = finish(command, PATIENCE);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    expected.assert_eq(&app.neutral(&stderr));
}

fn is_readable(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_readable(&path);
        }
        // A running server removes files between two looks.
        fs::read(&path).is_ok_and(|bytes| bytes.windows(SEEDED.len()).any(|window| window == SEEDED.as_bytes()))
    })
}

/// The keys that the data folder needs, and whether it says that the last of them is the active one.
fn status(app: &App, file: &str) -> String {
    let data = app.data();
    let ended = run(&["encryption", "status", "--data", data.to_str().unwrap(), "--encryption-keys", file]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let lines = ended.stdout.lines().map(|line| match line.split_once(": ") {
        Some((key, rest)) => {
            let (_, note) = rest.split_once(" bytes").unwrap();
            format!("{key}{}{note}", if rest.starts_with("0 files") { ", unused" } else { "" })
        }
        None => "encrypted".to_owned(),
    });
    lines.collect::<Vec<_>>().join("; ")
}

#[test]
fn keys_are_exchanged_while_it_serves() {
    let app = App::copy_of("examples/shop");
    let file = save(&app, &[]);
    let first = generate(&file);
    assert!(first.starts_with("1 "), "the number of the first key");
    save(&app, &[&first]);
    let second = generate(&file);
    let arguments = ["--encryption-keys", &file];

    let dev = Dev::starting_with(&app, &arguments).ready();
    let client = dev.client();
    assert_eq!(client.data("mutation { seed { orders } }")["seed"]["orders"], 20);
    assert!(!is_readable(&app.data()));
    assert_eq!(status(&app, &file), "encrypted; key 1, new files use it");

    // A change that is refused leaves everything as it was.
    let from = dev.log.count();
    save(&app, &[&second]);
    dev.process.signal("HUP");
    let (number, line) = dev.log.wait_for(from, |line| line.contains("encryption keys"));
    expect!["encryption keys not changed: files still need encryption key 1: keep all keys that `weir encryption status` lists"]
        .assert_eq(line.trim_start().trim_start_matches("WARN "));
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    dev.process.signal("HUP");
    let (number, line) = dev.log.wait_for(number + 1, |line| line.contains("encryption keys"));
    expect!["encryption keys not changed: TMP/keys is open to others (mode 644): restrict it with chmod 600"]
        .assert_eq(&app.neutral(line.trim_start().trim_start_matches("WARN ")));

    // One that fits takes effect, and the old key falls out of use.
    save(&app, &[&first, &second]);
    dev.process.signal("HUP");
    let (number, line) = dev.log.wait_for(number + 1, |line| line.contains("encryption keys"));
    assert!(line.contains("encryption keys read: new files use key 2"), "{line}");
    dev.log.wait_for(number + 1, |line| line.contains("key 1 can be taken from the keys"));
    assert_eq!(
        status(&app, &file),
        "encrypted; key 1, unused, not needed any more but by backups; key 2, new files use it"
    );
    save(&app, &[&second]);
    dev.process.signal("HUP");
    dev.log.wait_for(number + 1, |line| line.contains("encryption keys read: new files use key 2"));
    assert_eq!(client.data("{ revenueByDay { orders } }")["revenueByDay"].as_array().map(Vec::is_empty), Some(false));
    let data = app.data();
    let on_record = run(&["audit", "list", "--action", "rotateKeys", "--data", data.to_str().unwrap()]).stdout;
    assert_eq!(on_record.lines().filter(|line| line.ends_with("operator  rotateKeys key 2")).count(), 2, "{on_record}");
    let log = dev.log.clone();
    assert_eq!(dev.stop(), Some(0));
    let log = log.all().join("\n");
    for key in [&first, &second] {
        assert!(!log.contains(key.split_once(' ').unwrap().1), "a key is in the log");
    }

    // Afterwards only the new key opens it.
    assert!(!is_readable(&app.data()));
    save(&app, &[&first]);
    let missing = expect![[r#"
        weir: TMP/data needs more than the given keys: add encryption key 2
    "#]];
    refused(&app, &arguments, None, missing);
    save(&app, &[&first.replacen('1', "2", 1)]);
    let wrong = expect![[r#"
        weir: TMP/data was written with another key than the one given as encryption key 2: give the right one
    "#]];
    refused(&app, &arguments, None, wrong);
    let none = expect![[r#"
        weir: TMP/data is encrypted: name its keys with --encryption-keys FILE or in WEIR_ENCRYPTION_KEYS
    "#]];
    refused(&app, &[], None, none);
    save(&app, &[&second]);
    let dev = Dev::starting_with(&app, &arguments).ready();
    assert_eq!(
        dev.client().data("{ customerByEmail(email: \"ada@example.com\") { name } }")["customerByEmail"]["name"],
        "Ada"
    );
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn keys_come_from_the_environment_or_a_file_but_not_from_both_and_not_from_beside_the_data() {
    let app = App::copy_of("examples/shop");
    let file = save(&app, &[]);
    let key = generate(&file);
    save(&app, &[&key]);
    let twice = expect![[r#"
        weir: encryption keys are given twice: leave out the file TMP/keys or unset WEIR_ENCRYPTION_KEYS
    "#]];
    refused(&app, &["--encryption-keys", &file], Some(&key), twice);
    let empty = expect![[r#"
        weir: WEIR_ENCRYPTION_KEYS holds no key: `weir encryption generate` makes one
    "#]];
    refused(&app, &[], Some(""), empty);
    let broken = expect![[r#"
        weir: WEIR_ENCRYPTION_KEYS line 1 is no key: write its number (1 or more), a blank and 64 hex digits
    "#]];
    refused(&app, &[], Some(key.get(2..).unwrap()), broken);
    assert!(!app.data().exists(), "a folder was made without a key");

    fs::create_dir_all(app.data()).unwrap();
    let inside = app.data().join("keys");
    fs::copy(&file, &inside).unwrap();
    let beside = expect![[r#"
        weir: TMP/data/keys lies in the data folder: keep keys apart from the data that they protect
    "#]];
    refused(&app, &["--encryption-keys", inside.to_str().unwrap()], None, beside);
    fs::remove_file(&inside).unwrap();

    // A folder that was made with keys from the environment is imported into with the same from a file.
    let (data, path, rows) = (app.data(), app.path(), app.beside("rows.json"));
    let (data, path) = (data.to_str().unwrap(), path.to_str().unwrap());
    fs::write(&rows, r#"[{"name":"Ada","email":"ada@example.com","tier":"pro"}]"#).unwrap();
    let import = ["import", rows.to_str().unwrap(), "--into", "customers", "--app", path, "--data", data];
    let mut command = weir(&import);
    command.env("WEIR_ENCRYPTION_KEYS", &key);
    assert_eq!(finish(command, PATIENCE).code, Some(0));
    assert!(!is_readable(&app.data()));
    let ended = run(&import);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let dev = Dev::starting_with(&app, &["--encryption-keys", &file]).ready();
    assert_eq!(
        dev.client().data("{ customerByEmail(email: \"ada@example.com\") { name } }")["customerByEmail"]["name"],
        "Ada"
    );
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn a_folder_without_encryption_is_told_apart() {
    let app = App::copy_of("examples/shop");
    let dev = Dev::start(&app);
    dev.client().data("mutation { seed { orders } }");
    eventually("what the log holds", || is_readable(&app.data()).then_some(()));
    assert_eq!(dev.stop(), Some(0));
    let data = app.data();
    let ended = run(&["encryption", "status", "--data", data.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "not encrypted\n"));
    let file = save(&app, &[]);
    save(&app, &[&generate(&file)]);
    let plain = expect![[r#"
        weir: TMP/data is not encrypted, and a folder stays as it was created: leave out the encryption keys, or import its data into a new folder
    "#]];
    refused(&app, &["--encryption-keys", &file], None, plain);
    let nothing = run(&["encryption", "status", "--data", app.path().to_str().unwrap()]);
    assert_eq!(nothing.code, Some(1));
    assert_eq!(app.neutral(&nothing.stderr), "weir: TMP/app is no data folder: name another with --data\n");
}

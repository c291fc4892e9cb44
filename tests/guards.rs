//! Rollbacks while the workers of the new release die with each call, by hand and by a guard: what callers are answered is that of the
//! release before again. How long that took is printed.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::apps::App;
use crate::bundles::answers;
use crate::graphql::Client;
use crate::serve::serve;
use crate::weir::{Ended, eventually, run, say};

const APP: &str = r#"
    import { query, type Int } from "weir";
    export const answer = query((): Int => 1);
    // file: app.toml
    name = "app"
    version = "1.0.0"
    [limits]
    heap_bytes = 33554432
    cpu_ms = 10000
    wall_ms = 20000
    // file: policies.cedar
    permit(principal, action, resource);
"#;

/// Takes a quarter of a GiB at once, of which its worker dies.
const BOMB: &str = r#"
import { query, type Int } from "weir";
export const answer = query((): Int => {
  let text = "ab";
  while (text.length < 2 ** 28) text += text;
  return /b$/.test(text) ? text.charCodeAt(5) : 0;
});
"#;

/// Those who call all the time.
const CALLERS: usize = 4;

fn on_data(app: &App, arguments: &[&str]) -> Ended {
    run(&[arguments, &["--data", app.data().to_str().unwrap()]].concat())
}

#[track_caller]
fn done(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout
}

/// Deploys the app as it is now.
#[track_caller]
fn deploy(app: &App) {
    let (folder, key) = (app.path(), app.beside("key.pem"));
    done(on_data(app, &["deploy", folder.to_str().unwrap(), "--key", key.to_str().unwrap()]));
}

/// Calls until it is told to stop. What callers are answered is counted: answers and errors.
fn keep_calling(client: &Client, is_over: &AtomicBool, [answered, failed]: [&AtomicU64; 2]) {
    while !is_over.load(Ordering::Relaxed) {
        let answer = client.answer("{ answer }", json!({}));
        let counted = if answer.get("errors").is_some() { failed } else { answered };
        counted.fetch_add(1, Ordering::Relaxed);
    }
}

/// The reason of the last rollback on record, by whom.
fn last_rollback(app: &App) -> Option<(String, String)> {
    let log = done(on_data(app, &["audit", "list", "--action", "rollBack", "--json"]));
    let last: Value = serde_json::from_str(log.lines().last()?).unwrap();
    let why = last["targets"].as_array()?.last()?.as_str()?;
    Some((last["actor"].as_str()?.to_owned(), why.to_owned()))
}

#[test]
fn rollbacks_take_effect_while_workers_die() {
    let app = App::of(APP);
    let key = app.beside("key.pem");
    let public = run(&["keys", "generate", "--out", key.to_str().unwrap()]);
    fs::write(app.beside("key.pub"), &public.stdout).unwrap();
    let data = app.data();
    let server = serve(&["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap(), "--isolation", "process"]);
    done(on_data(&app, &["keys", "trust", app.beside("key.pub").to_str().unwrap()]));
    deploy(&app);
    let client = server.client();
    answers(&client, 1);

    let (is_over, [answered, failed]) = (AtomicBool::new(false), [const { AtomicU64::new(0) }; 2]);
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| keep_calling(&server.client(), &is_over, [&answered, &failed]));
        }
        // Whatever fails below, they end.
        let _end = End(&is_over);
        let fails = |more: u64| {
            let before = failed.load(Ordering::Relaxed);
            eventually("calls that fail", || (failed.load(Ordering::Relaxed) >= before + more).then_some(()));
        };

        // By hand: of a release that nobody watches.
        app.write("functions/t.ts", BOMB);
        app.edit("app.toml", "1.0.0", "1.0.1");
        app.write("app.toml", &format!("{}\n[rollout.guards]\nwatch = \"0s\"\n", app.read("app.toml")));
        deploy(&app);
        fails(20);
        let asked = Instant::now();
        done(on_data(&app, &["rollout", "rollback", "--why", "it dies"]));
        answers(&client, 1);
        say(&format!("a rollback by hand took effect {:?} after the command began", asked.elapsed()));
        assert_eq!(last_rollback(&app), Some(("operator".to_owned(), "it dies".to_owned())));

        // By the guard: nobody says anything.
        app.edit("app.toml", "1.0.1", "1.0.2");
        app.edit("app.toml", "watch = \"0s\"", "watch = \"1h\"");
        deploy(&app);
        let began = Instant::now();
        let (by, why) = eventually("the guard", || last_rollback(&app).filter(|(by, _)| by == "weir"));
        answers(&client, 1);
        say(&format!("a guard took effect {:?} after the switch: {why}", began.elapsed()));
        assert!(by == "weir" && why.starts_with("guard "), "{by}: {why}");
        let status = done(on_data(&app, &["rollout", "status"]));
        assert!(status.starts_with("app 1.0.0, sequence "), "{status}");
        assert!(status.contains("in the last 60 s 1.0.0: "), "{status}");
        let before = answered.load(Ordering::Relaxed);
        eventually("calls that are answered", || (answered.load(Ordering::Relaxed) > before + 20).then_some(()));
    });
    assert_eq!(server.stop(), Some(0));
}

/// Ends what goes on when this is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

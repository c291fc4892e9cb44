//! Rollbacks while the workers of the new release die with each call, by hand and by a guard: what callers are answered is that of the
//! release before again. How long that took is printed.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::apps::App;
use crate::bundles::answers;
use crate::graphql::Client;
use crate::production::outcome;
use crate::serve::serve;
use crate::weir::{Ended, eventually, run, say};

const APP: &str = r#"
    import { query, type Int } from "weir";
    export const answer = query((): Int => 1);
    // file: app.toml
    name = "app"
    version = "1.0.0"
    [limits]
    cpu_ms = 50
    // file: policies.cedar
    permit(principal, action, resource);
"#;

/// Computes on where V8 cannot be stopped, so that its worker ends itself.
const BOMB: &str = r#"
import { query, type Int } from "weir";
export const answer = query((): Int => "a".repeat(2 ** 20).lastIndexOf("a".repeat(2 ** 19) + "b"));
"#;

/// Those who call all the time.
const CALLERS: usize = 8;

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

/// What callers are told, and how often: `ok` or the code of an error.
#[derive(Default)]
struct Told(Mutex<BTreeMap<String, u64>>);

impl Told {
    /// Calls until it is told to stop.
    fn keep_calling(&self, client: &Client, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let code = outcome(&client.answer("{ answer }", json!({})));
            *self.0.lock().unwrap().entry(code).or_default() += 1;
        }
    }

    fn answered(&self) -> u64 {
        self.0.lock().unwrap().get("ok").copied().unwrap_or(0)
    }

    fn failed(&self) -> u64 {
        self.0.lock().unwrap().iter().filter(|(code, _)| *code != "ok").map(|(_, count)| count).sum()
    }

    fn wait_for(&self, what: &str, count: impl Fn(&Self) -> u64) {
        let before = count(self);
        eventually(what, || (count(self) >= before + 20).then_some(()));
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
    let config =
        "[server]\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\nisolation = \"process\"\n[rate]\nenabled = false\n";
    fs::write(app.beside("weir.toml"), config).unwrap();
    let server = serve(&["--config", app.beside("weir.toml").to_str().unwrap()]);
    done(on_data(&app, &["keys", "trust", app.beside("key.pub").to_str().unwrap()]));
    deploy(&app);
    let client = server.client();
    answers(&client, 1);

    let (is_over, told) = (AtomicBool::new(false), Told::default());
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| told.keep_calling(&server.client(), &is_over));
        }
        // Whatever fails below, they end.
        let _end = End(&is_over);

        // By hand: of a release that nobody watches.
        app.write("functions/t.ts", BOMB);
        app.edit("app.toml", "1.0.0", "1.0.1");
        app.write("app.toml", &format!("{}\n[rollout.guards]\nwatch = \"0s\"\n", app.read("app.toml")));
        deploy(&app);
        told.wait_for("calls that fail", Told::failed);
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
        // The new release answers nobody.
        told.wait_for("answers after the guard", Told::answered);
        let took = began.elapsed();
        let (by, why) = last_rollback(&app).unwrap();
        say(&format!("a guard took effect {took:?} after the switch: {why}; {:?}", told.0.lock().unwrap()));
        assert!(by == "weir" && why.starts_with("guard "), "{by}: {why}");
        answers(&client, 1);
        let status = done(on_data(&app, &["rollout", "status"]));
        assert!(status.starts_with("app 1.0.0, sequence "), "{status}");
        assert!(status.contains("in the last 60 s 1.0.0: "), "{status}");
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

//! Environments: the same app for the same callers with other data and another release, from their making to their end.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::life::files;
use super::town::{Asked, Town, random_text};
use crate::weir::{Ended, eventually};

#[track_caller]
fn well(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout
}

#[track_caller]
fn texts(asked: &Asked) -> Value {
    asked.data("{ texts }", json!({}))["texts"].clone()
}

#[track_caller]
fn add(asked: &Asked, text: &str) {
    asked.data("mutation($text: String!) { add(text: $text) { text } }", json!({ "text": text }));
}

/// A server with an app of its own that has a note.
fn with_an_app(config: &str) -> Town {
    let town = Town::found(config);
    town.serve(&[]);
    town.deploy_to("1.0.0", &[]);
    eventually("the release", || (town.server().code("{ __typename }").0 == 200).then_some(()));
    add(&town.server(), "of production");
    town
}

fn env(town: &Town, arguments: &[&str]) -> Ended {
    town.run(&[&["env"], arguments].concat())
}

/// What is in the folder of tenants and environments.
fn folders(town: &Town) -> Vec<String> {
    let all = fs::read_dir(town.data().join("tenants")).into_iter().flatten().flatten();
    let mut names: Vec<String> = all.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn one_has_data_and_a_release_of_its_own_and_is_reached_by_its_name() {
    let town = with_an_app("[environments]\ndomain = \"preview.example\"");
    let production = town.server();
    // Nothing below the domain is for production, also where there is no environment.
    for host in ["nobody.preview.example", "v1.4.preview.example"] {
        assert_eq!(town.at(host).code("{ texts }"), (404, json!("NOT_FOUND")), "{host}");
    }
    assert_eq!(texts(&town.at("production.preview.example")), json!(["of production"]));
    town.server().data("mutation { later(text: \"later\") }", json!({}));
    let made = well(env(&town, &["copy", "production", "staging", "--host", "staging.example"]));
    assert!(made.starts_with("staging  served  host staging.example  from production at commit "), "{made}");
    assert!(made.ends_with(", 1 document\n"), "{made}");
    let by_header = production.with_header("x-weir-environment", "staging");
    let ways = [&by_header, &town.at("STAGING.example:80"), &town.at("staging.preview.example")];
    for asked in ways {
        assert_eq!(texts(asked), json!(["of production"]));
    }
    // What is done in one is not seen in the other.
    add(&by_header, "of staging");
    add(&production, "too");
    for asked in ways {
        assert_eq!(texts(asked), json!(["of production", "of staging"]));
    }
    assert_eq!(texts(&production.with_header("x-weir-environment", "production")), json!(["of production", "too"]));
    // Nothing that production is to do is done twice.
    assert!(well(town.run_on_data(&["jobs", "list"])).contains("add"));
    assert!(!well(town.run_on_data(&["jobs", "list", "--env", "staging"])).contains("add"));
    // What is tried there is deployed here, the same bundle.
    let app = town.deploy_to("1.1.0", &["--env", "staging"]);
    assert!(app.starts_with("app 1.1.0 is served"), "{app}");
    assert_eq!([&production, &by_header].map(Asked::version), ["1.0.0", "1.1.0"]);
    well(town.run(&["rollout", "rollback", "--why", "to see it", "--env", "staging"]));
    assert_eq!([&production, &by_header].map(Asked::version), ["1.0.0", "1.0.0"]);
    // No name leads to production by mistake.
    for name in ["nobody", "", "Staging", "../staging", "+staging"] {
        let lost = production.with_header("x-weir-environment", name);
        assert_eq!(lost.code("mutation { add(text: \"lost\") { id } }"), (404, json!("NOT_FOUND")), "{name}");
        assert_eq!(lost.get("/schema.graphql").0, 404);
    }
    assert_eq!(
        by_header.with_header("x-weir-environment", "production").code("{ texts }"),
        (400, json!("BAD_REQUEST"))
    );
    let elsewhere = town.at("staging.example").with_header("x-weir-environment", "production");
    assert_eq!(elsewhere.code("{ texts }"), (404, json!("NOT_FOUND")), "an environment has none");
    assert_eq!(
        texts(&town.at("staging.example").with_header("x-weir-environment", "staging")).as_array().unwrap().len(),
        2
    );
    assert_eq!(town.at("nobody.preview.example").code("{ texts }"), (404, json!("NOT_FOUND")));
    // A copy of a copy.
    well(env(&town, &["copy", "staging", "pr-1"]));
    assert_eq!(texts(&production.with_header("x-weir-environment", "pr-1")), json!(["of production", "of staging"]));
    // None takes the name of another, and none is restored as another.
    let taken = env(&town, &["create", "other", "--host", "staging.preview.example"]);
    assert!(taken.stderr.contains("is below the domain of [environments] in weir.toml"), "{}", taken.stderr);
    let backup = town.path("backup");
    well(town.run_on_data(&["backup", &backup, "--env", "staging"]));
    // One that is kept and not served is as if it were being mended.
    assert!(well(env(&town, &["suspend", "pr-1"])).starts_with("pr-1  suspended  from staging at commit "));
    let suspended = production.with_header("x-weir-environment", "pr-1");
    assert_eq!(suspended.code("{ texts }"), (503, json!("UNAVAILABLE")));
    let misplaced = town.run_on_data(&["restore", &backup, "--env", "pr-1", "--replace"]);
    assert!(
        misplaced
            .stderr
            .contains("the backup is of the environment staging, and not of the environment pr-1: weir env copy"),
        "{}",
        misplaced.stderr
    );
    assert!(well(env(&town, &["resume", "pr-1"])).starts_with("pr-1  served  from staging at commit "));
    assert_eq!(texts(&suspended), json!(["of production", "of staging"]));
    well(env(&town, &["create", "empty"]));
    let empty = production.with_header("x-weir-environment", "empty");
    assert_eq!(empty.code("{ texts }"), (503, json!("UNAVAILABLE")), "nothing is deployed there");
    town.deploy_to("1.2.0", &["--env", "empty"]);
    eventually("the release", || (empty.code("{ __typename }").0 == 200).then_some(()));
    assert_eq!(texts(&empty), json!([]));
    let listed: Vec<Value> =
        well(env(&town, &["list", "--json"])).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.len(), 3);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["copied"], &listed[0]["condition"]),
        (&json!("empty"), &Value::Null, &json!("served"))
    );
    assert_eq!((&listed[1]["name"], &listed[1]["copied"]["from"]), (&json!("pr-1"), &json!("staging")));
    assert_eq!(listed[2]["hosts"], json!(["staging.example"]));
    let taken = env(&town, &["create", "staging"]);
    assert_eq!(taken.stderr, "weir: there is an environment staging already: choose another name\n");
    let unknown = env(&town, &["copy", "nobody", "pr-2"]);
    assert_eq!(unknown.stderr, "weir: there is no environment nobody: weir env list shows those that there are\n");
    assert_eq!(folders(&town), ["+empty", "+pr-1", "+staging"], "nothing is left of what was refused");
    // All of it is there after a restart.
    town.stop();
    town.serve(&[]);
    assert_eq!(texts(&town.at("staging.example")), json!(["of production", "of staging"]));
    assert_eq!(texts(&town.server()), json!(["of production", "too"]));
}

#[test]
fn it_has_the_callers_and_administrators_of_its_app() {
    let town = Town::start(&["--bootstrap"]);
    town.deploy_to("1.0.0", &[]);
    eventually("the release", || (town.server().code("{ __typename }").0 == 200).then_some(()));
    let root = town.server().showing(&town.root());
    let made = root.admin(
        "mutation { createEnvironment(name: \"staging\", from: \"production\", for: \"1h\") \
         { name state hosts copied { from documents } expiresAt } }",
    );
    let made = &made["data"]["createEnvironment"];
    assert_eq!(made["state"], json!("SERVED"), "{made}");
    assert_eq!(made["copied"], json!({ "from": "production", "documents": "0" }));
    assert!(made["expiresAt"].is_string());
    let there = |asked: Asked| asked.with_header("x-weir-environment", "staging");
    // Who may not make them does not.
    let reader = root.admin("mutation { createAdministrator(name: \"reader\", permissions: [READ]) { token } }");
    let reader = reader["data"]["createAdministrator"]["token"].as_str().unwrap().to_owned();
    let refused = town.server().showing(&reader).admin("mutation { createEnvironment(name: \"x\") { name } }");
    assert_eq!(refused["errors"][0]["extensions"]["code"], json!("FORBIDDEN"));
    // The administrators of the app are those of its environments, with what they may do, until they are none.
    let reads = |token: &str| there(town.server().showing(token)).admin("{ releases { version } }");
    assert_eq!(reads(&reader)["data"]["releases"], json!([{ "version": "1.0.0" }]));
    assert_eq!(
        there(town.server().showing(&reader)).admin("mutation { trustKey(publicKey: \"x\") { id } }")["errors"][0]["extensions"]
            ["code"],
        json!("FORBIDDEN")
    );
    let inside = there(root.clone())
        .admin("mutation { createAdministrator(name: \"ci\", permissions: [DEPLOY, READ]) { token } }");
    let inside = inside["data"]["createAdministrator"]["token"].as_str().unwrap().to_owned();
    assert!(inside.starts_with("weir_admin_+staging."), "its token leads there by itself");
    let audit = there(root.clone()).admin("{ audit(action: \"createAdministrator\") { records { actor } } }");
    assert_eq!(audit["data"]["audit"]["records"], json!([{ "actor": "administrator root@production" }]));
    assert_eq!(
        town.server().showing(&inside).admin("{ releases { version } }")["data"]["releases"],
        json!([{ "version": "1.0.0" }])
    );
    let none = there(root.clone()).admin("{ environments { name } }");
    assert_eq!(none["errors"][0]["extensions"]["code"], json!("NOT_FOUND"), "{none}");
    root.admin("mutation { revokeAdministrator(name: \"reader\") }");
    assert_eq!(reads(&reader)["errors"][0]["extensions"]["code"], json!("UNAUTHENTICATED"));
    // So it is with callers: what is revoked for the app is revoked here, and what goes on ends.
    let token = town.other_token(json!({ "jti": "one" }));
    let caller = there(town.server().showing(&token));
    assert_eq!(caller.code("{ texts }").0, 200);
    let payload = json!({ "token": token, "environment": "staging" });
    let mut socket = town.socket_with(None, None, &payload).unwrap();
    socket.send(&json!({ "id": "a", "type": "subscribe", "payload": { "query": "subscription { texts }" } }));
    assert!(socket.message().unwrap().contains("[]"));
    add(&there(town.server()), "of staging");
    assert!(socket.message().unwrap().contains("of staging"));
    well(town.run_on_data(&["token", "revoke", "--issuer", super::town::OTHER, "--id", "one"]));
    assert_eq!(caller.code("{ texts }"), (401, json!("UNAUTHENTICATED")));
    let end = socket.message().unwrap_err();
    assert!(end.contains("revoked"), "{end}");
    let lost = town.socket_with(None, None, &json!({ "environment": "nobody" })).err().unwrap();
    assert!(lost.contains("no such environment"), "{lost}");
    // It ends for good, with what is open of it.
    let mut socket = town.socket_with(None, None, &json!({ "environment": "staging" })).unwrap();
    socket.send(&json!({ "id": "a", "type": "subscribe", "payload": { "query": "subscription { texts }" } }));
    socket.message().unwrap();
    let deleted = root.admin("mutation { deleteEnvironment(name: \"staging\", confirm: \"staging\") }");
    assert_eq!(deleted["data"]["deleteEnvironment"], json!(true), "{deleted}");
    let end = socket.message().unwrap_err();
    assert!(end.contains("Away"), "{end}");
    assert_eq!(there(town.server()).code("{ texts }"), (404, json!("NOT_FOUND")));
    assert_eq!(
        town.server().showing(&inside).admin("{ status { ready } }")["errors"][0]["extensions"]["code"],
        json!("UNAUTHENTICATED")
    );
    assert!(folders(&town).is_empty());
}

#[test]
fn those_of_a_tenant_are_reached_through_it_and_go_before_it() {
    let town = Town::start(&[]);
    let root = town.create("acme", &["--host", "acme.example"]);
    town.create("beta", &["--host", "beta.example"]);
    town.deploy("acme");
    town.deploy("beta");
    town.add("acme", "of acme");
    // Whoever administers it has hosts of its own at most, and is on record as who that is.
    let root = town.at("acme.example").showing(&root);
    let create = |name: &str, host: &str| {
        let query = format!("mutation {{ createEnvironment(name: \"{name}\", hosts: [\"{host}\"]) {{ name }} }}");
        root.admin(&query)
    };
    for host in ["api.example.com", "acme.example", "localhost", "xacme.example"] {
        let refused = create("taken", host);
        assert_eq!(refused["errors"][0]["extensions"]["code"], json!("BAD_ARGUMENTS"), "{refused}");
    }
    assert_eq!(create("own", "own.acme.example")["data"]["createEnvironment"]["name"], json!("own"));
    assert_eq!(root.admin("mutation { deleteEnvironment(name: \"own\", confirm: \"own\") }")["errors"], Value::Null);
    let log = well(town.run(&["audit", "list", "--action", "createEnvironment"]));
    assert!(log.contains("administrator root@acme  createEnvironment acme+own"), "{log}");
    let log = well(town.run(&["audit", "list", "--action", "createEnvironment", "--tenant", "acme"]));
    assert!(log.contains("administrator root  createEnvironment own"), "{log}");
    well(env(&town, &["copy", "production", "staging", "--tenant", "acme"]));
    let staging = town.at("acme.example").with_header("x-weir-environment", "staging");
    assert_eq!(texts(&staging), json!(["of acme"]));
    let by_token = town.server().showing(&town.token(json!({ "org": "acme" })));
    assert_eq!(texts(&by_token.with_header("x-weir-environment", "staging")), json!(["of acme"]));
    // Of nobody else.
    for asked in [town.at("beta.example"), town.server(), town.server().showing(&town.token(json!({ "org": "beta" })))]
    {
        assert_eq!(asked.with_header("x-weir-environment", "staging").code("{ texts }"), (404, json!("NOT_FOUND")));
    }
    let stranger = staging.showing(&town.token(json!({ "org": "beta" })));
    assert_eq!(stranger.code("{ texts }"), (404, json!("NOT_FOUND")), "a token of another tenant");
    well(town.tenant(&["suspend", "acme"]));
    assert_eq!(staging.code("{ texts }"), (503, json!("UNAVAILABLE")));
    let refused = env(&town, &["create", "more", "--tenant", "acme"]);
    assert_eq!(refused.stderr, "weir: the tenant acme is suspended: this needs one that is active\n");
    well(town.tenant(&["resume", "acme"]));
    eventually("the environment", || (staging.code("{ texts }").0 == 200).then_some(()));
    let kept = town.tenant(&["delete", "acme", "--confirm", "acme"]);
    assert_eq!(
        kept.stderr,
        "weir: the tenant acme has environments: remove them first, with weir env delete: staging\n"
    );
    assert_eq!(well(env(&town, &["list", "--tenant", "acme"])).split(' ').next(), Some("staging"));
    well(env(&town, &["delete", "staging", "--confirm", "staging", "--tenant", "acme"]));
    well(town.tenant(&["delete", "acme", "--confirm", "acme"]));
    assert_eq!(folders(&town), ["beta"]);
}

#[test]
fn one_that_expires_is_removed_by_itself_also_while_nothing_runs() {
    let town = with_an_app("");
    well(env(&town, &["copy", "production", "short", "--expires", "1s"]));
    well(env(&town, &["create", "long", "--expires", "1h"]));
    eventually("the end of it", || (folders(&town) == ["+long"]).then_some(()));
    assert_eq!(town.server().with_header("x-weir-environment", "short").code("{ texts }"), (404, json!("NOT_FOUND")));
    let audit = well(town.run(&["audit", "list", "--action", "deleteEnvironment"]));
    assert!(audit.contains("weir  deleteEnvironment +short"), "{audit}");
    let changed = well(env(&town, &["change", "long", "--expires", "1s", "--host", "long.example"]));
    assert!(changed.starts_with("long  served  host long.example  until 2"), "{changed}");
    town.stop();
    thread::sleep(Duration::from_millis(1_100));
    town.serve(&[]);
    eventually("the end of it", || folders(&town).is_empty().then_some(()));
    let nothing = env(&town, &["change", "long"]);
    assert_eq!(nothing.stderr, "weir: say what is to be changed, with --host or --expires\n");
}

#[test]
fn one_is_made_also_where_nothing_is_served_and_encrypted_by_a_key_of_its_own() {
    let town = Town::found("encryption_keys = \"keys\"");
    town.private("keys", &format!("1 {}\n", random_text(32)));
    town.serve(&[]);
    town.deploy_to("1.0.0", &[]);
    eventually("the release", || (town.server().code("{ __typename }").0 == 200).then_some(()));
    let canary = random_text(16);
    add(&town.server(), &canary);
    town.stop();
    let made = well(env(&town, &["copy", "production", "one"]));
    assert!(made.starts_with("one  active  from production at commit "), "{made}");
    well(env(&town, &["copy", "one", "two", "--host", "two.example"]));
    let refused = env(&town, &["copy", "nobody", "three"]);
    assert_eq!(refused.stderr, "weir: there is no environment nobody: weir env list shows those that there are\n");
    assert_eq!(folders(&town), ["+one", "+one.key", "+two", "+two.key"]);
    for file in files(&town.data()) {
        let bytes = fs::read(town.data().join(&file)).unwrap();
        assert!(!bytes.windows(canary.len()).any(|bytes| bytes == canary.as_bytes()), "{file}");
    }
    let keys = town.path("keys");
    well(town.run_on_data(&["doctor", "--env", "two", "--encryption-keys", &keys]));
    let lost = town.run_on_data(&["doctor", "--env", "three", "--encryption-keys", &keys]);
    assert!(lost.stderr.contains("there is no environment three in "), "{}", lost.stderr);
    well(env(&town, &["delete", "one", "--confirm", "one"]));
    town.serve(&[]);
    assert_eq!(texts(&town.at("two.example")), json!([canary]));
    assert_eq!(town.at("two.example").version(), "1.0.0");
    assert_eq!(folders(&town), ["+two", "+two.key"]);
}

#[test]
fn what_a_crash_cuts_off_is_whole_or_gone() {
    let town = with_an_app("");
    for number in 0..300 {
        add(&town.server(), &format!("note {number}"));
    }
    for round in 0..4_u64 {
        let (config, name) = (town.path("weir.toml"), format!("pr-{round}"));
        let copying =
            thread::spawn(move || crate::weir::run(&["env", "copy", "production", &name, "--config", &config]));
        thread::sleep(Duration::from_millis(20 + round * 60));
        town.kill();
        let copied = copying.join().unwrap().code == Some(0);
        town.serve(&[]);
        let listed = well(env(&town, &["list"]));
        let name = format!("pr-{round}");
        let is_there = listed.contains(&format!("{name}  served"));
        assert!(is_there || !copied, "what was acknowledged is there: {listed}");
        assert_eq!(folders(&town).contains(&format!("+{name}")), is_there, "{listed}");
        if is_there {
            let asked = town.server().with_header("x-weir-environment", &name);
            assert_eq!(texts(&asked).as_array().unwrap().len(), 301);
        }
    }
}

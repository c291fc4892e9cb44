//! `weir serve`: its configuration, what it answers before anything is deployed, its administrators, and what is on record.

use std::path::Path;

use serde_json::{Value, json};

use crate::apps::App;
use crate::bundles::answers;
use crate::graphql::Client;
use crate::weir::{Dev, Process, run, weir};

const APP: &str = r#"
    import { query, type Int } from "weir";
    export const answer = query((): Int => 1);
    // file: policies.cedar
    permit(principal, action, resource);
"#;

/// Starts `weir serve` with these arguments and waits until it listens.
pub fn serve(arguments: &[&str]) -> Dev {
    let mut command = weir(&["serve"]);
    command.args(arguments).stdin(std::process::Stdio::null());
    Dev::of(Process::start(command))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn before_anything_is_deployed_it_says_so() {
    let app = App::of("");
    app.write("../weir.toml", "[server]\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\n");
    let server = serve(&["--config", text(&app.beside("weir.toml"))]);
    let client = Client::of(&server.url);
    let nothing = "nothing is deployed yet: weir deploy APP";
    assert_eq!(client.get("/healthz"), (200, "ok\n".to_owned()));
    for path in ["/readyz", "/schema.graphql", "/graphiql", "/"] {
        assert_eq!(client.get(path), (503, format!("{nothing}\n")), "{path}");
    }
    let error = &client.answer("{ __typename }", json!({}))["errors"][0];
    assert_eq!((&error["extensions"]["code"], &error["message"]), (&json!("UNAVAILABLE"), &json!(nothing)));
    assert!(app.data().join("control").exists(), "the data folder is that of the file's folder");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn mistakes_of_the_configuration_are_told_with_their_line() {
    let app = App::of("");
    let file = app.beside("weir.toml");
    let refused = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let ended = run(&[&["serve", "--config", file.to_str().unwrap()], arguments].concat());
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        app.neutral(ended.stderr.trim_end())
    };
    assert_eq!(refused("", &[]), "weir: name the data folder: with --data, or as data in [server] of weir.toml");
    let unknown = refused("[server]\ndata = \"data\"\nislation = \"thread\"\n", &[]);
    assert!(unknown.starts_with("weir: TMP/weir.toml:3: unknown field `islation`, expected one of "), "{unknown}");
    let refusal =
        refused("[server]\ntls = { certificate = \"none.pem\", key = \"none.pem\" }\n", &["--data", text(&app.data())]);
    assert!(refusal.starts_with("weir: cannot read TMP/none.pem: "), "{refusal}");
}

#[test]
fn the_first_administrator_is_made_once_and_deploys_from_elsewhere() {
    let app = App::of(APP);
    let (data, key, token) = (app.data(), app.beside("key.pem"), app.beside("token"));
    let arguments = ["--listen", "127.0.0.1:0", "--data", text(&data), "--bootstrap"];
    let server = serve(&arguments);
    let (_, line) = server.stdout.wait_for(0, |line| line.starts_with("token of the administrator root"));
    let root = line.rsplit(' ').next().unwrap().to_owned();
    write_private(&token, &root);
    let public = run(&["keys", "generate", "--out", text(&key)]);
    let ask = |token: &str, query: &str| {
        let request =
            minreq::post(format!("{}/admin/graphql", server.url)).with_header("content-type", "application/json");
        let request = request.with_header("authorization", format!("Bearer {token}"));
        let response = request.with_body(json!({ "query": query }).to_string()).send().unwrap();
        (response.status_code, serde_json::from_str::<Value>(response.as_str().unwrap()).unwrap())
    };
    let trust = format!("mutation {{ trustKey(publicKey: {}) {{ id }} }}", json!(public.stdout));
    assert_eq!(ask("eyJhbGciOiJub25lIn0.e30.", &trust).0, 401);
    let (status, trusted) = ask(&root, &trust);
    assert!(status == 200 && trusted.get("errors").is_none(), "{trusted}");
    let deploy = |token: &Path| {
        let arguments = ["--key", text(&key), "--server", &server.url, "--token-file", text(token)];
        run(&[&["deploy", text(&app.path())], arguments.as_slice()].concat())
    };
    let deployed = deploy(&token);
    assert!(deployed.stdout.starts_with("app 1.0.0 is served, sequence "), "{}{}", deployed.stdout, deployed.stderr);
    answers(&server.client(), 1);

    // One who may only read.
    let reader = run(&["admin", "token", "create", "reader", "--data", text(&data)]);
    write_private(&app.beside("reader"), reader.stdout.trim());
    let refused = deploy(&app.beside("reader"));
    assert_eq!(refused.stderr, "weir: the administrator reader does not have the permission deploy\n");
    assert_eq!(ask(reader.stdout.trim(), "{ status { release } }").1["data"]["status"]["release"], "app 1.0.0");
    let elsewhere = run(&[
        "deploy",
        text(&app.path()),
        "--key",
        text(&key),
        "--server",
        "http://api.example.com",
        "--token-file",
        text(&token),
    ]);
    assert!(elsewhere.stderr.contains("would have your token sent in the clear"), "{}", elsewhere.stderr);

    let (_, audit) = ask(&root, "{ audit { records { actor action from } } }");
    let from = json!("127.0.0.1");
    let expected = [
        json!({ "actor": "operator", "action": "bootstrap", "from": null }),
        json!({ "actor": "administrator root", "action": "trustKey", "from": from }),
        json!({ "actor": "administrator root", "action": "deploy", "from": from }),
        json!({ "actor": "administrator root", "action": "promoteRollout", "from": from }),
        json!({ "actor": "operator", "action": "createAdministrator", "from": null }),
    ];
    let changes: Vec<&Value> = audit["data"]["audit"]["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| !["admin", "adminLogin"].contains(&record["action"].as_str().unwrap()))
        .collect();
    assert_eq!(changes, expected.iter().collect::<Vec<_>>());
    let log = server.log.text(0) + &server.stdout.text(1);
    assert!(!log.contains(&root) && !log.contains(reader.stdout.trim()), "no token is in the log");
    assert_eq!(server.stop(), Some(0));
    let again = run(&[&["serve"], arguments.as_slice()].concat());
    assert!(again.stderr.contains("there are administrators already"), "{}", again.stderr);
}

#[test]
fn the_audit_log_is_verified_against_an_end_that_was_signed() {
    let app = App::of(APP);
    let (data, key, public, head) = (app.data(), app.beside("key.pem"), app.beside("key.pub"), app.beside("head.json"));
    std::fs::write(&public, run(&["keys", "generate", "--out", text(&key)]).stdout).unwrap();
    let on_data = |arguments: &[&str]| run(&[arguments, &["--data", text(&data)]].concat());
    let server = serve(&["--listen", "127.0.0.1:0", "--data", text(&data)]);
    assert_eq!(on_data(&["keys", "trust", text(&public)]).code, Some(0));
    let signed = on_data(&["audit", "head", "--key", text(&key)]);
    std::fs::write(&head, &signed.stdout).unwrap();
    assert_eq!(on_data(&["deploy", text(&app.path()), "--key", text(&key)]).code, Some(0));
    let verify = || on_data(&["audit", "verify", "--head", text(&head), "--signer", text(&public)]);
    let whole = verify();
    assert!(
        whole.stdout.starts_with("the audit log is whole: 3 records, the last is "),
        "{}{}",
        whole.stdout,
        whole.stderr
    );
    assert!(whole.stdout.ends_with(", it leads through record 1 as it was signed\n"), "{}", whole.stdout);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(verify().stdout, whole.stdout, "and while nobody serves it");
    std::fs::write(&head, signed.stdout.replace("\"sig\":\"", "\"sig\":\"A")).unwrap();
    assert_eq!(verify().code, Some(1));

    // Another log is no continuation of that one.
    std::fs::write(&head, &signed.stdout).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    let server = serve(&["--listen", "127.0.0.1:0", "--data", text(&data)]);
    assert_eq!(on_data(&["keys", "trust", text(&public)]).code, Some(0));
    assert_eq!(verify().stderr, "weir: audit record 1 was changed after it was written\n");
    assert_eq!(server.stop(), Some(0));
}

/// Writes a file that only its owner can read.
pub fn write_private(file: &Path, content: &str) {
    std::fs::write(file, content).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

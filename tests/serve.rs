//! `weir serve`: its configuration, and what it answers before anything is deployed.

use std::path::Path;

use serde_json::json;

use crate::apps::App;
use crate::graphql::Client;
use crate::weir::{Dev, Process, run, weir};

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

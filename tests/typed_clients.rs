//! What makes types of the schema, and programs that are compiled against these: graphql-codegen's client preset reads
//! `/schema.graphql`, gql.tada asks by introspection.
//!
//! Each line of the programs that says that an error is to come has one: the compiler fails where it has none.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::apps::App;
use crate::node;
use crate::weir::{Dev, Ended, PATIENCE, finish};

/// Besides what the shop has: a union, bytes and plain JSON.
const SHELF: &str = r#"
import { query, type Bytes, type Float, type JSON } from "weir";

export interface Book { kind: "book"; title: string; cover: Bytes | null }
export interface Box { kind: "box"; content: JSON; weights: Float[] }

/** What is there. */
export const shelf = query((): (Book | Box)[] => [{ kind: "book", title: "Weir", cover: null }]);
"#;

fn shop() -> (App, Dev) {
    let app = App::copy_of("examples/shop");
    app.write("functions/shelf.ts", SHELF);
    let dev = Dev::start(&app);
    (app, dev)
}

#[track_caller]
fn run(tools: &Path, schema: &str, script: &str, arguments: &[&str]) -> Ended {
    let mut node = Command::new("node");
    node.arg(tools.join("node_modules").join(script)).args(arguments).current_dir(tools);
    let ended = finish(
        {
            node.env("WEIR_SCHEMA", schema);
            node
        },
        PATIENCE,
    );
    assert_eq!(ended.code, Some(0), "{script} {arguments:?}\n{}{}", ended.stdout, ended.stderr);
    ended
}

#[test]
fn programs_are_typed_by_what_the_tools_make_of_a_served_schema() {
    let test = "programs_are_typed_by_what_the_tools_make_of_a_served_schema";
    let Some(tools) = node::package(test, "tests/typed", "typed") else { return };
    // The programs use it, and find it beside the tools.
    node::package(test, "clients/typescript", "typescript-client").unwrap();
    let (_app, dev) = shop();
    // What an earlier schema gave would do in place of what this one does not give.
    let made = ["codegen/gql/gql.ts", "codegen/gql/graphql.ts", "tada/schema.graphql", "tada/graphql-env.d.ts"];
    for file in made {
        let _ = fs::remove_file(tools.join(file));
    }
    let sdl = format!("{}/schema.graphql", dev.url);
    run(&tools, &sdl, "@graphql-codegen/cli/esm/bin.js", &["--config", "codegen.mjs"]);
    let api = format!("{}/graphql", dev.url);
    let tada = "gql.tada/bin/cli.js";
    run(
        &tools,
        "",
        tada,
        &["generate-schema", &api, "--output", "tada/schema.graphql", "--tsconfig", "tada/tsconfig.json"],
    );
    run(&tools, "", tada, &["generate-output", "--tsconfig", "tada/tsconfig.json"]);
    for file in made {
        assert!(tools.join(file).exists(), "{file}");
    }
    for project in ["tsconfig.json", "tada/tsconfig.json"] {
        run(&tools, "", "typescript/bin/tsc", &["--noEmit", "--pretty", "false", "--project", project]);
    }
}

#[test]
fn scalars_name_what_specifies_them() {
    let (_app, dev) = shop();
    let specified = |name: &str| {
        let query = "query ($name: String!) { __type(name: $name) { kind specifiedByURL } }";
        dev.client().data_with(query, json!({ "name": name }))["__type"].take()
    };
    for (name, url) in [
        ("DateTime", Some("https://www.rfc-editor.org/rfc/rfc3339")),
        ("JSON", Some("https://www.rfc-editor.org/rfc/rfc8259")),
        ("Bytes", Some("https://www.rfc-editor.org/rfc/rfc4648#section-4")),
        ("Float", None),
    ] {
        assert_eq!(specified(name), json!({ "kind": "SCALAR", "specifiedByURL": url }), "{name}");
    }
}

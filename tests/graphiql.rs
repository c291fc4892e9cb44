//! GraphiQL as the binary serves it, used in Chromium as a person does: a query is completed, run and marked where it is wrong, a
//! mutation is made, a subscription watched, the schema read.
//!
//! Pictures of the page are kept in `target/artefacts/graphiql-*.png`. The browser is one that the machine has: on the
//! `PATH`, or named by `CHROMIUM`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clients::Shop;
use crate::node;
use crate::weir::{finish, profile_folder};

/// The longest that all of it may take; its own waits end before.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the browser is called.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn chromium() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|file| file.is_file())
}

/// The folder for pictures, without those of the last time.
fn pictures() -> PathBuf {
    let folder = profile_folder().parent().unwrap().join("artefacts");
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("graphiql-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    folder
}

#[test]
fn graphiql_asks_changes_watches_and_explains_in_a_browser() {
    let test = "graphiql_asks_changes_watches_and_explains_in_a_browser";
    let Some(chromium) = chromium() else {
        return node::skip(test, "no chromium on the PATH, and CHROMIUM names none");
    };
    let Some(package) = node::package(test, "tests/browser", "browser") else { return };
    let shop = Shop::start();
    let pictures = pictures();
    let mut node = Command::new("node");
    node.arg(package.join("graphiql.mjs")).arg(chromium).arg(&shop.dev.url);
    node.arg(shop.app.beside("profile")).arg(&pictures);
    let ended = finish(node, PATIENCE);
    let seen: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr));
    let expected = json!({
        "title": "shop 0.1.0 · GraphiQL",
        "language": "en",
        "logo": "shop 0.1.0",
        "editors": ["Query", "Variables", "Response"],
        "example": { "data": { "__typename": "Query" } },
        "completion": "customerByEmail",
        "pretty": "{\n  customerByEmail(email: \"ada@example.com\") {\n    id\n    name\n    tier\n  }\n}",
        "query": { "name": "Ada", "tier": "pro" },
        "mutation": { "placeOrder": { "total": 41.5, "status": "open" } },
        "error": "no such customer",
        "errorIsShown": true,
        "marked": "nam",
        "mistake": "Cannot query field \"nam\" on type \"Customer\". Did you mean \"name\"?",
        "first": { "ordersOf": [{ "total": 41.5 }, { "total": 20 }] },
        "changed": { "ordersOf": [{ "total": 77 }, { "total": 41.5 }] },
        "sent": ["connection_init", "subscribe", "complete"],
        "sockets": 1,
        "roots": ["Query", "Mutation", "Subscription"],
        "description": "Somebody who orders.",
        "linked": true,
        "complaints": [],
        "gone": { "errors": [{ "message": "The server does not answer. Is it running? (Failed to fetch)" }] },
        "elsewhere": [],
        "policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; img-src data:; \
            connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    });
    assert_eq!(seen, expected, "pictures are in {}", pictures.display());
}

//! `weir releases`: what clients ask for is counted whatever brings it, what a release takes from them is told with it, and a version
//! says what it asks of them.

use serde_json::{Value, json};

use crate::apps::App;
use crate::production::{Pieces, Production};
use crate::serve::serve;
use crate::socket::Socket;
use crate::weir::{Ended, run};

const APP: &str = r#"
    import { query, stream, procedure, http, action, type Doc, type Int } from "weir";
    import { items, type Item } from "../collections";
    export const list = query((args: { first?: Int }): Doc<Item>[] => items.all().slice(0, args.first ?? 100));
    export const count = query((): Int => items.count());
    export const ticks = stream(async function* (): AsyncGenerator<Int> { yield 1; });
    export const add = procedure((args: { item: Item }): Doc<Item> => items.insert(args.item));
    export const clear = procedure((): Int => { for (const { id } of items.all()) items.delete(id); return items.count(); });
    export const hook = http.post("/hook", action(async () => ({ status: 200 })));
    // file: collections.ts
    import { collection, type Int } from "weir";
    export interface Item { title: string; size: Int; color: "red" | "blue" }
    export const items = collection<Item>();
    // file: policies.cedar
    permit(principal, action, resource);
"#;

/// The usage that a release is shown with, without the times.
fn usage(shown: &Ended) -> Vec<(String, u64)> {
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let asked = shown["usage"].as_array().unwrap().iter();
    let mut asked: Vec<(String, u64)> =
        asked.map(|asked| (asked["name"].as_str().unwrap().to_owned(), asked["count"].as_u64().unwrap())).collect();
    asked.sort();
    asked
}

fn post(production: &Production, path: &str, content_type: &str, body: &str) -> String {
    let request = minreq::post(format!("{}{path}", production.server.url)).with_header("content-type", content_type);
    request.with_body(body).send().unwrap().as_str().unwrap().to_owned()
}

#[test]
fn what_clients_ask_for_is_counted_whatever_brings_it_and_kept() {
    let production = Production::start(App::of(APP));
    let client = production.server.client();
    let item = "{ title: \"a\", size: 1, color: red }";
    client.data(&format!("mutation {{ add(item: {item}) {{ id }} }}"));
    for _ in 0..2 {
        client.data("{ list(first: 1) { title } }");
    }
    client.data_with(
        "query($n: Int, $more: Boolean!) { list(first: $n) { title size @include(if: $more) } }",
        json!({ "more": false }),
    );
    client.data("{ invoke(function: \"count\") }");
    let call = "{ function: \"add\", args: { title: 1 } }";
    client.data(&format!("mutation {{ batch(calls: [{call}], atomic: false) {{ error {{ code }} }} }}"));
    let good = "{ function: \"add\", args: { item: { title: \"b\", size: 2, color: \"blue\" } } }";
    client.data(&format!("mutation {{ batch(calls: [{good}, {good}]) {{ error {{ code }} }} }}"));
    assert!(production.pieces(None, "application/jsonl", "{ list { color } }").count() > 1);
    let line = json!({ "function": "add", "args": { "item": { "title": "c", "size": 3, "color": "red" } } });
    let answer = post(&production, "/graphql", "application/jsonl", &format!("{line}\n"));
    assert!(answer.contains("\"title\":\"c\""), "{answer}");
    post(&production, "/hook", "text/plain", "");
    let open = |query: &str| -> Pieces { production.pieces(None, "text/event-stream", query) };
    let mut events = open("subscription { list { id size } }");
    assert!(events.next().is_some());
    assert!(open("subscription { ticks }").next().is_some());
    let mut socket = Socket::open(&production.server.url);
    socket.send(
        &json!({ "id": "a", "type": "subscribe", "payload": { "query": "subscription { list(first: 1) { size } }" } }),
    );
    assert!(socket.message().unwrap().contains("\"size\":1"));

    let show = || production.on_data(&["releases", "show", "active", "--json"]);
    let expected = [
        ("Item.color", 1),
        ("Item.id", 2),
        ("Item.size", 2),
        ("Item.title", 3),
        ("Mutation.add(item:)", 1),
        ("POST /hook", 1),
        ("Query.list(first:)", 4),
        ("add", 4),
        ("count", 1),
        ("list", 6),
        ("ticks", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(usage(&show()), expected);
    drop((events, socket));
    let Production { app, server, .. } = production;
    assert_eq!(server.stop(), Some(0));
    let data = app.data();
    let show = || run(&["releases", "show", "1.0.0", "--json", "--data", data.to_str().unwrap()]);
    assert_eq!(usage(&show()), expected, "while nobody serves it");
    let server = serve(&["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    server.client().data("{ count }");
    let again = usage(&show());
    assert!(again.contains(&("count".to_owned(), 2)) && again.contains(&("list".to_owned(), 6)), "{again:?}");
}

#[test]
fn what_a_release_takes_from_clients_is_told_and_refused() {
    let production = Production::start(App::of(APP));
    let client = production.server.client();
    client.data("mutation { add(item: { title: \"a\", size: 1, color: red }) { size } }");
    let app = production.app.path();
    let folder = app.to_str().unwrap();
    let diff = |from: &str, to: &str, more: &[&str]| {
        let ended = production.on_data(&[&["releases", "diff", from, to], more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    // The member goes from the output and from the input.
    production.app.edit("collections.ts", "size: Int; ", "");
    production.app.edit("app.toml", "1.0.0", "1.0.1");
    let told = diff("active", folder, &[]);
    assert!(
        told.contains("breaking type Item.size: Item.size was removed. It was selected once in the last 30 days, last within a minute.\n"),
        "{told}"
    );
    assert!(
        told.contains("breaking type ItemInput.size: ItemInput.size was removed. add, which clients come to it by, was called once"),
        "{told}"
    );
    assert!(told.ends_with("what follows 1.0.0 has to be 2.0.0 or later, and this is 1.0.1\n"), "{told}");
    // Who checks the app is told the same, and that it breaks clients.
    let checked = production.on_data(&["check", folder, "--against", "active"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(1), told.as_str()), "{}", checked.stderr);
    assert!(checked.stderr.contains("what clients could do with 1.0.0 they cannot any more"), "{}", checked.stderr);
    let json: Value = serde_json::from_str(&diff("active", folder, &["--json"])).unwrap();
    assert_eq!(
        (&json["leastVersion"], &json["isEnough"], &json["level"]),
        (&json!("2.0.0"), &json!(false), &json!("breaking"))
    );

    // The same from elsewhere, and between what nobody has deployed.
    let token = production.app.beside("token");
    crate::serve::write_private(&token, &production.root);
    let elsewhere = ["--server", &production.server.url, "--token-file", token.to_str().unwrap()];
    let remotely = |arguments: &[&str]| {
        let ended = run(&[&["releases"], arguments, &elsewhere].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    assert_eq!(remotely(&["diff", "active", folder]), told);
    let file = production.app.beside("next.weir");
    assert_eq!(run(&["build", folder, "-o", file.to_str().unwrap()]).code, Some(0));
    assert_eq!(diff(folder, file.to_str().unwrap(), &[]).lines().count(), 1, "nothing has changed");
    let unknown = production.on_data(&["releases", "diff", "active", "7.0.0"]);
    assert!(
        unknown.stderr.starts_with("weir: there is no release \"7.0.0\": weir releases list"),
        "{}",
        unknown.stderr
    );

    let deploy = |more: &[&str]| {
        let key = production.app.beside("key.pem");
        production.on_data(&[&["deploy", folder, "--key", key.to_str().unwrap()], more].concat())
    };
    let refused = deploy(&[]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .starts_with("weir: app 1.0.1 breaks clients of 1.0.0, so its version has to be 2.0.0 or later: "),
        "{}",
        refused.stderr
    );
    client.data("{ list { size } }");
    // No version lets a release lose what documents have.
    client.data("mutation { clear }");
    let forced = deploy(&["--force"]);
    assert!(forced.stdout.starts_with("app 1.0.1 is served"), "{}", forced.stderr);
    let errors = client.errors("{ list { size } }").to_string();
    assert!(errors.contains("Unknown field"), "{errors}");
    let audit = production.on_data(&["audit", "list", "--action", "deploy", "--json"]).stdout;
    assert!(audit.contains("forced, where 2.0.0 was asked for"), "{audit}");
    assert!(audit.contains("breaking type Item.size: Item.size was removed."), "{audit}");

    let list = |ended: String| -> Vec<(Value, Value)> {
        let lines = ended.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|release| (release["version"].clone(), release["active"].clone())).collect()
    };
    let expected = [(json!("1.0.1"), json!(true)), (json!("1.0.0"), json!(false))];
    assert_eq!(list(production.on_data(&["releases", "list", "--json"]).stdout), expected);
    assert_eq!(list(remotely(&["list", "--json"])), expected);
    let table = production.on_data(&["releases", "list"]).stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    let shown = remotely(&["show", "active"]);
    assert!(shown.starts_with("app 1.0.1, active\nsequence "), "{shown}");
    let Production { app, server, .. } = production;
    assert_eq!(server.stop(), Some(0));
    let alone = run(&["releases", "list", "--json", "--data", app.data().to_str().unwrap()]);
    assert_eq!(list(alone.stdout), expected, "while nobody serves it");
}

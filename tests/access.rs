//! The example of `docs/access.md`, as it stands there: an app with a policy of each kind, what its callers ask over HTTP, WebSockets,
//! server-sent events and in lines, and what comes of it. And that nothing outlives the policies that allowed it.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::apps::{App, root};
use crate::production::{Pieces, Production};
use crate::socket::Socket;
use crate::weir::run;

/// The blocks of code in the example, each with its language.
fn example() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(root().join("docs/access.md")).unwrap();
    let (_, example) = page.split_once("## An example of each rule\n").expect("the page has the example");
    let example = example.split("\n## ").next().unwrap();
    let blocks = example.split("```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').map(|(of, text)| (of.to_owned(), text.to_owned())).unwrap()).collect()
}

/// The app of the example: files whose first line is their name as a comment.
fn app() -> App {
    let app = App::of("");
    let files = example().into_iter().filter(|(of, _)| of != "console");
    for (_, text) in files {
        let (name, content) = text.split_once('\n').unwrap();
        app.write(name.trim_start_matches(['/', '#', ' ']), content);
    }
    app
}

/// Who asks, by the name in the example.
fn token(production: &Production, who: &str) -> Option<String> {
    let claims = match who {
        "nobody" => return None,
        "eve" => json!({ "org": "umbra" }),
        "agent" => json!({ "org": "acme", "roles": ["agent"] }),
        _ => json!({ "org": "acme" }),
    };
    Some(production.token(who, claims))
}

/// What an answer says, as the example has it: the data, and each error.
fn told(answer: &Value) -> String {
    let has_some = |data: &&Value| data.as_object().is_some_and(|fields| fields.values().any(|field| !field.is_null()));
    let data = answer.get("data").filter(has_some).map(Value::to_string);
    let error = |error: &Value| {
        let [code, message] = [&error["extensions"]["code"], &error["message"]].map(|text| text.as_str().unwrap());
        format!("{code}: {message}")
    };
    let errors = answer.get("errors").and_then(Value::as_array).into_iter().flatten().map(error);
    data.into_iter().chain(errors).collect::<Vec<_>>().join("\n")
}

/// A subscription that goes on.
enum Open {
    Socket(Box<Socket>),
    Events(Pieces),
}

impl Open {
    fn next(&mut self) -> Value {
        match self {
            Self::Socket(socket) => {
                let message: Value = serde_json::from_str(&socket.message().unwrap()).unwrap();
                match message["type"].as_str() {
                    Some("error") => json!({ "errors": message["payload"] }),
                    _ => message["payload"].clone(),
                }
            }
            Self::Events(pieces) => pieces.next().expect("an event"),
        }
    }
}

fn over_a_socket(production: &Production, token: &str, query: &str) -> Open {
    let (mut socket, _) = Socket::showing(&production.server.url, &json!({ "token": token })).unwrap();
    socket.send(&json!({ "id": "a", "type": "subscribe", "payload": { "query": query } }));
    Open::Socket(Box::new(socket))
}

#[test]
fn the_example_of_the_documentation_holds() {
    let production = Production::start(app());
    let mut open: HashMap<String, Open> = HashMap::new();
    let mut asked = 0;
    for (_, block) in example().into_iter().filter(|(of, _)| of == "console") {
        let is_question = |line: &str| {
            ["nobody", "ada", "bob", "eve", "agent"].iter().any(|name| line.split([':', ' ']).next() == Some(*name))
        };
        let mut lines = block.lines().peekable();
        while let Some(question) = lines.next() {
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| !is_question(line)) {
                expected.push(line);
            }
            let (who, rest) = question.split_once([':', ' ']).unwrap();
            let token = token(&production, who);
            let shown = token.as_deref();
            let came = if rest == "hears" {
                told(&open.get_mut(who).unwrap().next())
            } else if let Some(query) = rest.strip_prefix("over a socket: ") {
                let mut socket = over_a_socket(&production, shown.unwrap(), query);
                let first = told(&socket.next());
                open.insert(who.to_owned(), socket);
                first
            } else if let Some(query) = rest.strip_prefix("over events: ") {
                let mut events = Open::Events(production.pieces(shown, "text/event-stream", query));
                let first = told(&events.next());
                open.insert(who.to_owned(), events);
                first
            } else if let Some(query) = rest.strip_prefix("in lines: ") {
                let lines = production.pieces(shown, "application/jsonl", query);
                let elements = lines.filter(|line| line.get("extensions").is_none());
                elements.map(|line| line.to_string()).collect::<Vec<_>>().join("\n")
            } else {
                let client = production.server.client();
                let client = shown.map_or(client.clone(), |token| client.showing(token));
                told(&client.answer(rest.trim_start(), json!({})))
            };
            assert_eq!(came, expected.join("\n"), "{question}");
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked} questions are in the example");
    assert_eq!(production.server.stop(), Some(0));
}

/// What is said to who began under other policies.
const OVER: &str = "FORBIDDEN: the policies have changed since this began: begin it again";

/// A deployment that takes a permission away has taken it away when it is done: nothing that began before goes on under the policies of
/// then.
#[test]
fn what_runs_ends_with_the_policies_that_allowed_it() {
    let app = app();
    app.edit(
        "functions/desk.ts",
        "for (const ticket of desk.orderBy(\"title\")) yield ticket.title;",
        "for (;;) for (const ticket of desk.orderBy(\"title\")) yield ticket.title;",
    );
    let production = Production::start(app);
    let (ada, eve) = (token(&production, "ada").unwrap(), token(&production, "eve").unwrap());
    for token in [&ada, &eve] {
        production.server.client().showing(token).data_with(
            "mutation($title: String!) { open(title: $title) { title } }",
            json!({ "title": &token[token.len() - 8..] }),
        );
    }
    let streams = |token: &str| {
        let query = "subscription { titles }";
        [
            over_a_socket(&production, token, query),
            Open::Events(production.pieces(Some(token), "text/event-stream", query)),
        ]
    };
    let watches = |token: &str| over_a_socket(&production, token, "subscription { tickets { title } }");
    let (mut of_ada, mut of_eve) = (streams(&ada), streams(&eve));
    let mut watched = [watches(&ada), watches(&eve)];
    for open in of_ada.iter_mut().chain(&mut of_eve).chain(&mut watched) {
        assert!(told(&open.next()).starts_with('{'));
    }

    // A release with the same policies changes nothing for them.
    production.app.edit("app.toml", "1.0.0", "1.0.1");
    production.deploy();
    for open in of_ada.iter_mut().chain(&mut of_eve) {
        assert!(told(&open.next()).starts_with("{\"titles\":"));
    }

    // One that leaves the members of one house alone.
    production.app.edit("app.toml", "1.0.1", "1.1.0");
    production.app.edit(
        "policies.cedar",
        "when { principal.claims has org };",
        "when { principal.claims has org && principal.claims.org == \"umbra\" };",
    );
    production.deploy();
    for stream in of_ada.iter_mut().chain(&mut of_eve) {
        // What was on its way before may come yet; it is not without end.
        let last = (0..100_000).map(|_| told(&stream.next())).find(|told| !told.starts_with('{'));
        assert_eq!(last.as_deref(), Some(OVER));
    }
    assert_eq!(told(&watched[0].next()), "FORBIDDEN: the caller may not call tickets");
    // Who may still ask begins again, and who watches a query has not noticed.
    assert!(told(&streams(&eve)[0].next()).starts_with("{\"titles\":"));
    assert_eq!(told(&streams(&ada)[0].next()), "FORBIDDEN: the caller may not call titles");
    production.server.client().showing(&eve).data("mutation { open(title: \"new\") { title } }");
    assert!(told(&watched[1].next()).contains("new"));
    assert_eq!(production.server.stop(), Some(0));
}

/// Tickets with notes, and the length of each: more together than is on its way to a client who does not read.
const TICKETS: usize = 30;
const NOTE_BYTES: usize = 600_000;

#[test]
fn a_list_in_lines_ends_with_the_policies_that_allowed_it() {
    let production = Production::start(app());
    let agent = token(&production, "agent").unwrap();
    let by_agent = production.server.client().showing(&agent);
    for number in 0..TICKETS {
        let title = format!("agent {number}");
        by_agent.data_with("mutation($title: String!) { open(title: $title) { title } }", json!({ "title": title }));
        let variables = json!({ "title": title, "note": "x".repeat(NOTE_BYTES) });
        by_agent.data_with(
            "mutation($title: String!, $note: String!) { annotate(title: $title, note: $note) { title } }",
            variables,
        );
    }
    let mut lines = production.pieces(Some(&agent), "application/jsonl", "{ tickets { title note } }");
    assert!(told(&lines.next().unwrap()).starts_with('{'));
    production.app.edit("app.toml", "1.0.0", "1.1.0");
    production.app.edit("policies.cedar", "!resource.open", "resource.owner == principal.subject");
    production.deploy();
    let lines: Vec<Value> = lines.collect();
    assert!(lines.len() < TICKETS - 1, "{} lines", lines.len());
    assert_eq!(told(lines.last().unwrap()), OVER);
    assert_eq!(production.server.stop(), Some(0));
}

/// The blocks of a language on the page about policies.
fn on_policies(of: &str) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/policies.md")).unwrap();
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(&format!("{of}\n")).map(str::to_owned)).collect()
}

/// All policies that the page shows, in one app that has what they are about; and its table of cases for the shop.
#[test]
fn the_policies_of_the_documentation_are_good_ones() {
    let app = App::of(
        r#"
        import { procedure, query, type Doc, type ID, type Int } from "weir";
        import { customers, orders, type Order } from "../collections";
        export const products = query((): string[] => ["bread"]);
        export const exportAll = query((): Doc<Order>[] => orders.all());
        export const isKnown = query((args: { email: string }): boolean => customers.where("email", args.email).first() !== null);
        export const requestPasswordReset = procedure((args: { email: string }): boolean =>
          customers.where("email", args.email).first() !== null);
        export const placeOrder = procedure((args: { customer: string; total: Int }): ID =>
          orders.insert({ customer: args.customer, total: args.total, status: "open", at: "2026-01-01T00:00:00Z" }).id);
        // file: collections.ts
        import { collection, type DateTime, type Int } from "weir";
        export interface Customer { name: string; email: string; phone: string | null; tier: string }
        export interface Order { customer: string; org?: string; total: Int; status: "open" | "paid"; at: DateTime }
        export const customers = collection<Customer>({ unique: ["email"] });
        export const orders = collection<Order>({ index: [["customer", "at"]] });
        "#,
    );
    let claims = on_policies("toml").into_iter().find(|text| text.contains("[caller]")).unwrap();
    app.write("app.toml", &format!("name = \"app\"\nversion = \"1.0.0\"\n{claims}"));
    let policies = on_policies("cedar");
    assert!(policies.len() > 5, "{} blocks", policies.len());
    app.write("policies.cedar", &policies.join("\n"));
    let ended = run(&["check", app.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let shop = App::copy_of("examples/shop");
    let cases = on_policies("toml").into_iter().find(|text| text.contains("[[case]]")).unwrap();
    shop.write("policies.test.toml", &cases);
    let ended = run(&["policy", "test", shop.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

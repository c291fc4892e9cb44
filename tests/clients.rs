//! Live queries over real clients in Node: `graphql-ws`, Apollo Client, urql.
//!
//! That nothing comes is shown without waiting for it: what must come later is the very next message.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::apps::App;
use crate::graphql::Client;
use crate::node;
use crate::weir::{Dev, Lines, Process, eventually};

/// A client in Node that is told what to do line by line.
pub struct Driven {
    process: Process,
    messages: Lines,
    read: usize,
}

impl Driven {
    /// A socket of `graphql-ws`, driven by `clients/socket.mjs`.
    pub fn socket(packages: &Path, dev: &Dev) -> Self {
        let url = dev.url.replace("http://", "ws://") + "/graphql";
        let (process, messages, _) = node::start(packages, "socket.mjs", &[&url]);
        let mut socket = Self { process, messages, read: 0 };
        assert_eq!(socket.message(), json!({ "connected": true }));
        socket
    }

    /// A client of `graphql-sse`, driven by `clients/events.mjs`.
    pub fn events(packages: &Path, dev: &Dev) -> Self {
        let (process, messages, _) = node::start(packages, "events.mjs", &[&format!("{}/graphql", dev.url)]);
        Self { process, messages, read: 0 }
    }

    /// The next message, whatever it is about.
    #[track_caller]
    pub fn message(&mut self) -> Value {
        let (number, line) = self.messages.wait_for(self.read, |_| true);
        self.read = number + 1;
        serde_json::from_str(&line).unwrap()
    }

    /// The next message, which must be a value of this subscription.
    #[track_caller]
    pub fn next(&mut self, name: &str) -> Value {
        let mut message = self.message();
        assert_eq!(message["name"], name, "{message}");
        assert!(message["next"]["data"].is_object() && message["next"].get("errors").is_none(), "{message}");
        message["next"].take()
    }

    /// Subscribes to the totals of a customer's orders.
    pub fn watch_totals(&mut self, name: &str, customer: &str, extensions: Value) {
        let query = "subscription($customer: ID!) { ordersOf(customer: $customer) { total } }";
        self.subscribe(name, query, json!({ "customer": customer }), extensions);
    }

    pub fn subscribe(&mut self, name: &str, query: &str, variables: Value, extensions: Value) {
        self.tell(&json!({ "subscribe": name, "query": query, "variables": variables, "extensions": extensions }));
    }

    pub fn complete(&mut self, name: &str) {
        self.tell(&json!({ "complete": name }));
    }

    /// Writes a line that its script knows.
    pub fn tell(&mut self, line: &Value) {
        self.process.tell(&line.to_string());
    }
}

/// A running shop with its customers and orders.
pub struct Shop {
    pub app: App,
    pub dev: Dev,
    pub client: Client,
    pub ada: String,
    grace: String,
}

impl Shop {
    pub fn start() -> Self {
        let app = App::copy_of("examples/shop");
        let dev = Dev::start(&app);
        let client = dev.client();
        client.data("mutation { seed { orders } }");
        let id = |name: &str| {
            let query = format!("{{ customerByEmail(email: \"{name}@example.com\") {{ id }} }}");
            client.data(&query)["customerByEmail"]["id"].as_str().unwrap().to_owned()
        };
        let (ada, grace) = (id("ada"), id("grace"));
        Self { app, dev, client, ada, grace }
    }

    pub fn place_order(&self, customer: &str, total: u32) {
        let query =
            "mutation($customer: ID!, $total: Float!) { placeOrder(customer: $customer, total: $total) { id } }";
        self.client.data_with(query, json!({ "customer": customer, "total": total }));
    }
}

/// The totals in a message of `watch_totals`.
pub fn totals(message: &Value) -> Vec<f64> {
    message["data"]["ordersOf"].as_array().unwrap().iter().map(|order| order["total"].as_f64().unwrap()).collect()
}

/// The totals of Ada's orders, newest first.
pub const ADAS: [f64; 5] = [20.0, 17.5, 15.0, 12.5, 10.0];
const GRACES: [f64; 5] = [30.0, 27.5, 25.0, 22.5, 20.0];

#[test]
fn a_subscriber_receives_the_new_list_and_others_stay_silent() {
    let Some(packages) = node::packages("a_subscriber_receives_the_new_list_and_others_stay_silent") else { return };
    let shop = Shop::start();
    let mut socket = Driven::socket(packages, &shop.dev);
    socket.watch_totals("ada", &shop.ada, json!({}));
    assert_eq!(totals(&socket.next("ada")), ADAS);
    socket.watch_totals("grace", &shop.grace, json!({}));
    let first = socket.next("grace");
    assert_eq!(totals(&first), GRACES);

    shop.place_order(&shop.ada, 1);
    let second = socket.next("ada");
    assert_eq!(totals(&second), [&[1.0], &ADAS[..]].concat());
    shop.place_order(&shop.ada, 2);
    assert_eq!(totals(&socket.next("ada")), [&[2.0, 1.0], &ADAS[..]].concat());
    // Had Grace's list been sent again in between, it would come first.
    shop.place_order(&shop.grace, 3);
    assert_eq!(totals(&socket.next("grace")), [&[3.0], &GRACES[..]].concat());

    let commit = |message: &Value| message["extensions"]["weir"]["commit"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(commit(&first) < commit(&second), "{first} {second}");
    assert!(second["extensions"]["weir"]["cursor"].is_string());
}

#[test]
fn a_subscriber_that_resumes_gets_nothing_until_something_changed() {
    let Some(packages) = node::packages("a_subscriber_that_resumes_gets_nothing_until_something_changed") else {
        return;
    };
    let shop = Shop::start();
    let mut socket = Driven::socket(packages, &shop.dev);
    socket.watch_totals("first", &shop.ada, json!({}));
    let cursor = socket.next("first")["extensions"]["weir"]["cursor"].take();
    socket.complete("first");
    assert_eq!(socket.message(), json!({ "name": "first", "complete": true }));

    let after = json!({ "weir": { "after": cursor } });
    socket.watch_totals("again", &shop.ada, after.clone());
    // Answered on the same socket behind the subscription: it is in place when this has come.
    socket.subscribe("marker", "{ customerByEmail(email: \"x\") { id } }", json!({}), json!({}));
    assert_eq!(socket.next("marker")["data"], json!({ "customerByEmail": null }));
    assert_eq!(socket.message(), json!({ "name": "marker", "complete": true }));
    shop.place_order(&shop.grace, 1);
    shop.place_order(&shop.ada, 2);
    assert_eq!(totals(&socket.next("again")), [&[2.0], &ADAS[..]].concat());

    // A change that came while nobody watched comes at once.
    socket.watch_totals("late", &shop.ada, after);
    assert_eq!(totals(&socket.next("late")), [&[2.0], &ADAS[..]].concat());
}

#[test]
fn a_subscriber_that_takes_patches_has_the_same_list() {
    let Some(packages) = node::packages("a_subscriber_that_takes_patches_has_the_same_list") else { return };
    let shop = Shop::start();
    let mut socket = Driven::socket(packages, &shop.dev);
    let query = "subscription($customer: ID!) { ordersOf(customer: $customer) { id total } }";
    let (variables, delta) = (json!({ "customer": shop.ada }), json!({ "weir": { "delta": "json-patch" } }));
    socket.subscribe("patched", query, variables.clone(), delta);
    let patch = |message: &Value| message["extensions"]["weir"]["patch"].as_array().map(Vec::len);
    let first = socket.next("patched");
    assert_eq!((patch(&first), totals(&first)), (None, ADAS.to_vec()));
    shop.place_order(&shop.ada, 1);
    let second = socket.next("patched");
    assert_eq!((patch(&second), totals(&second)), (Some(1), [&[1.0], &ADAS[..]].concat()));
    shop.place_order(&shop.ada, 2);
    let third = socket.next("patched");
    assert_eq!((patch(&third), totals(&third)), (Some(1), [&[2.0, 1.0], &ADAS[..]].concat()));
    socket.subscribe("whole", query, variables, json!({}));
    assert_eq!(socket.next("whole")["data"], third["data"]);
}

#[test]
fn a_new_connection_resumes_after_a_restart() {
    let Some(packages) = node::packages("a_new_connection_resumes_after_a_restart") else { return };
    let Shop { app, dev, client: _, ada, .. } = Shop::start();
    let mut socket = Driven::socket(packages, &dev);
    socket.watch_totals("ada", &ada, json!({}));
    let cursor = socket.next("ada")["extensions"]["weir"]["cursor"].take();
    assert_eq!(dev.stop(), Some(0));
    // The server says why it goes: the client library calls this a fatal code or a going away, never an abnormal one.
    let closed = eventually("the end of the socket", || {
        Some(socket.message()).filter(|message| message.get("closed").is_some())
    });
    assert_eq!(closed, json!({ "closed": 1001 }));

    let dev = Dev::start(&app);
    let mut socket = Driven::socket(packages, &dev);
    socket.watch_totals("ada", &ada, json!({ "weir": { "after": cursor } }));
    socket.watch_totals("marker", &ada, json!({}));
    assert_eq!(totals(&socket.next("marker")), ADAS);
}

/// What the clients of `clients/returning.mjs` show.
struct Returning {
    _process: Process,
    messages: Lines,
    errors: Lines,
    read: usize,
}

impl Returning {
    const NAMES: [&str; 5] = ["apollo", "graphql-sse", "graphql-ws", "patches", "urql"];

    fn start(packages: &Path, dev: &Dev, customer: &str) -> Self {
        let url = dev.url.replace("http://", "ws://") + "/graphql";
        let (process, messages, errors) = node::start(packages, "returning.mjs", &[&url, customer]);
        Self { _process: process, messages, errors, read: 0 }
    }

    /// Waits until each of them shows these totals. What they show before that may be older, and the same again.
    #[track_caller]
    fn come_to(&mut self, expected: &[f64]) {
        let mut left = BTreeSet::from(Self::NAMES);
        while !left.is_empty() {
            let Some((number, line)) = self.messages.find(self.read, |_| true) else {
                panic!("{left:?} never showed {expected:?}:\n{}\n{}", self.messages.text(0), self.errors.text(0));
            };
            self.read = number + 1;
            let message: Value = serde_json::from_str(&line).unwrap();
            assert!(message.get("ended").is_none(), "{message}");
            let totals = message["totals"].as_array().unwrap().iter().map(|total| total.as_f64().unwrap());
            if totals.eq(expected.iter().copied()) {
                left.remove(message["name"].as_str().unwrap());
            }
        }
    }
}

#[test]
fn clients_come_back_by_themselves_after_a_stop_and_after_a_kill() {
    let Some(packages) = node::packages("clients_come_back_by_themselves_after_a_stop_and_after_a_kill") else {
        return;
    };
    let mut shop = Shop::start();
    let mut clients = Returning::start(packages, &shop.dev, &shop.ada);
    clients.come_to(&ADAS);
    shop.place_order(&shop.ada, 1);
    clients.come_to(&[&[1.0], &ADAS[..]].concat());

    let url = shop.dev.url.clone();
    assert_eq!(shop.dev.stop(), Some(0));
    shop.dev = Dev::start_again(&shop.app, &url);
    shop.place_order(&shop.ada, 2);
    clients.come_to(&[&[2.0, 1.0], &ADAS[..]].concat());

    shop.dev.process.kill();
    shop.dev = Dev::start_again(&shop.app, &url);
    shop.place_order(&shop.ada, 3);
    clients.come_to(&[&[3.0, 2.0, 1.0], &ADAS[..]].concat());
}

#[test]
fn subscriptions_go_on_across_reloads() {
    let Some(packages) = node::packages("subscriptions_go_on_across_reloads") else { return };
    let shop = Shop::start();
    let mut socket = Driven::socket(packages, &shop.dev);
    socket.watch_totals("ada", &shop.ada, json!({}));
    assert_eq!(totals(&socket.next("ada")), ADAS);

    // The code changes, and with it the value.
    shop.app.edit("functions/orders.ts", "args.limit ?? 20", "args.limit ?? 3");
    let three = [1.0, 20.0, 17.5];
    assert_eq!(totals(&socket.next("ada")), ADAS[..3]);
    shop.place_order(&shop.ada, 1);
    assert_eq!(totals(&socket.next("ada")), three);

    // The schema changes too: a new member, and a new query.
    shop.app.edit("collections.ts", "  total: Float;", "  total: Float;\n  note?: string;");
    let added = "\nexport const noteOf = query((args: { id: ID }): string => orders.get(args.id)?.note ?? \"none\");\n";
    let before = shop.app.read("functions/orders.ts");
    shop.app.write("functions/orders.ts", &(before + added));
    eventually("the new schema", || shop.client.has_query("noteOf").then_some(()));
    shop.place_order(&shop.ada, 2);
    // An order that has got a member is another value: the list may come once more before the order does.
    let next = totals(&socket.next("ada"));
    let next = if next == three { totals(&socket.next("ada")) } else { next };
    assert_eq!(next, [2.0, 1.0, 20.0]);
}

#[test]
fn a_subscription_that_no_longer_fits_ends_with_the_reason() {
    let Some(packages) = node::packages("a_subscription_that_no_longer_fits_ends_with_the_reason") else { return };
    let shop = Shop::start();
    let mut socket = Driven::socket(packages, &shop.dev);
    socket.watch_totals("ada", &shop.ada, json!({}));
    assert_eq!(totals(&socket.next("ada")), ADAS);
    shop.app.edit("functions/orders.ts", "const ordersOf", "const ordersBy");
    let message = socket.message();
    assert_eq!(message["name"], "ada", "{message}");
    assert_eq!(message["error"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{message}");
    // The socket is still good.
    socket.subscribe("after", "{ customerByEmail(email: \"ada@example.com\") { name } }", json!({}), json!({}));
    assert_eq!(socket.next("after")["data"]["customerByEmail"]["name"], "Ada");
}

#[test]
fn a_stream_sends_every_event_and_ends_when_it_is_told() {
    let Some(packages) = node::packages("a_stream_sends_every_event_and_ends_when_it_is_told") else { return };
    let app = App::of(
        r#"
        import { query, stream, type Int } from "weir";
        export const count = stream(async function* (args: { to?: Int }): AsyncGenerator<{ n: Int }> {
          for (let n = 0; n < (args.to ?? Infinity); n++) yield { n };
        });
        export const one = query((): Int => 1);
        "#,
    );
    // With process isolation the events cross one boundary more.
    let dev = Dev::starting_with(&app, &["--isolation", "process"]).ready();
    let mut socket = Driven::socket(packages, &dev);
    socket.subscribe("some", "subscription { count(to: 300) { n } }", json!({}), json!({}));
    for n in 0..300 {
        assert_eq!(socket.next("some")["data"]["count"]["n"], n);
    }
    assert_eq!(socket.message(), json!({ "name": "some", "complete": true }));

    socket.subscribe("all", "subscription { count { n } }", json!({}), json!({}));
    for n in 0..10 {
        assert_eq!(socket.next("all")["data"]["count"]["n"], n);
    }
    socket.complete("all");
    socket.subscribe("marker", "{ one }", json!({}), json!({}));
    // What was on its way comes before.
    let marker = eventually("the marker", || Some(socket.message()).filter(|message| message["name"] == "marker"));
    assert_eq!(marker["next"]["data"], json!({ "one": 1 }));
    assert_eq!(socket.message(), json!({ "name": "marker", "complete": true }));
}

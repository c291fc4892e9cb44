//! Server-sent events over real clients in Node: `graphql-sse`, and an EventSource as browsers have it.

use serde_json::{Value, json};

use crate::apps::App;
use crate::clients::{ADAS, Driven, Shop, totals};
use crate::node;
use crate::weir::{Dev, eventually};

#[test]
fn a_client_of_events_watches_changes_and_asks() {
    let Some(packages) = node::packages("a_client_of_events_watches_changes_and_asks") else { return };
    let shop = Shop::start();
    let mut events = Driven::events(packages, &shop.dev);
    events.watch_totals("ada", &shop.ada, json!({}));
    assert_eq!(totals(&events.next("ada")), ADAS);
    shop.place_order(&shop.ada, 1);
    assert_eq!(totals(&events.next("ada")), [&[1.0], &ADAS[..]].concat());

    // A mutation: its answer and the value that it changes come in any order.
    let place = "mutation($customer: ID!, $total: Float!) { placeOrder(customer: $customer, total: $total) { total } }";
    events.subscribe("place", place, json!({ "customer": shop.ada, "total": 2 }), json!({}));
    let mut came = [events.message(), events.message(), events.message()];
    came.sort_by_key(|message| (message["name"].to_string(), message.get("complete").is_some()));
    assert_eq!(totals(&came[0]["next"]), [&[2.0, 1.0], &ADAS[..]].concat());
    assert_eq!(came[1]["next"]["data"]["placeOrder"], json!({ "total": 2 }));
    assert_eq!(came[2], json!({ "name": "place", "complete": true }));
    events.complete("ada");
    assert_eq!(events.message(), json!({ "name": "ada", "complete": true }));

    events.subscribe("refused", "{ nope }", json!({}), json!({}));
    let refused = events.message();
    let code = &refused["next"]["errors"][0]["extensions"]["code"];
    assert_eq!((&refused["name"], code), (&json!("refused"), &json!("GRAPHQL_VALIDATION_FAILED")), "{refused}");
    assert_eq!(events.message(), json!({ "name": "refused", "complete": true }));
    events.subscribe("failed", place, json!({ "customer": "nobody", "total": 2 }), json!({}));
    let failed = events.message();
    assert_eq!(failed["next"]["errors"][0]["extensions"]["appCode"], "NOT_FOUND", "{failed}");
    assert_eq!(events.message(), json!({ "name": "failed", "complete": true }));
}

#[test]
fn a_client_of_events_resumes_and_takes_patches() {
    let Some(packages) = node::packages("a_client_of_events_resumes_and_takes_patches") else { return };
    let shop = Shop::start();
    let mut events = Driven::events(packages, &shop.dev);
    events.watch_totals("first", &shop.ada, json!({}));
    let cursor = events.next("first")["extensions"]["weir"]["cursor"].take();
    events.complete("first");
    assert_eq!(events.message(), json!({ "name": "first", "complete": true }));
    events.watch_totals("resumed", &shop.ada, json!({ "weir": { "after": cursor } }));
    let query = "subscription($customer: ID!) { ordersOf(customer: $customer) { id total } }";
    let delta = json!({ "weir": { "delta": "json-patch" } });
    events.subscribe("patches", query, json!({ "customer": shop.ada }), delta);
    // Had the client of the cursor been sent what it has, that would come before.
    assert_eq!(totals(&events.next("patches")), ADAS);
    shop.place_order(&shop.ada, 1);
    let mut came = [events.message(), events.message()];
    came.sort_by_key(|message| message["name"].to_string());
    let expected = [&[1.0], &ADAS[..]].concat();
    assert_eq!((&came[0]["name"], totals(&came[0]["next"])), (&json!("patches"), expected.clone()));
    assert_eq!(came[0]["next"]["extensions"]["weir"]["patch"].as_array().unwrap().len(), 1, "{}", came[0]);
    assert_eq!((&came[1]["name"], totals(&came[1]["next"])), (&json!("resumed"), expected));
}

#[test]
fn a_stream_sends_every_event_to_a_client_of_events() {
    let Some(packages) = node::packages("a_stream_sends_every_event_to_a_client_of_events") else { return };
    let app = App::of(
        r#"
        import { query, stream, type Int } from "weir";
        export const count = stream(async function* (args: { to?: Int }): AsyncGenerator<{ n: Int }> {
          for (let n = 0; n < (args.to ?? Infinity); n++) yield { n };
        });
        export const one = query((): Int => 1);
        "#,
    );
    let dev = Dev::start(&app);
    let mut events = Driven::events(packages, &dev);
    events.subscribe("some", "subscription { count(to: 300) { n } }", json!({}), json!({}));
    for n in 0..300 {
        assert_eq!(events.next("some")["data"]["count"]["n"], n);
    }
    assert_eq!(events.message(), json!({ "name": "some", "complete": true }));
    events.subscribe("all", "subscription { count { n } }", json!({}), json!({}));
    for n in 0..10 {
        assert_eq!(events.next("all")["data"]["count"]["n"], n);
    }
    events.complete("all");
    events.subscribe("marker", "{ one }", json!({}), json!({}));
    // What was on its way comes before.
    let marker = eventually("the marker", || Some(events.message()).filter(|message| message["name"] == "marker"));
    assert_eq!(marker["next"]["data"], json!({ "one": 1 }));
}

#[test]
fn a_browser_comes_back_by_itself_where_it_was() {
    let Some(packages) = node::packages("a_browser_comes_back_by_itself_where_it_was") else { return };
    let mut shop = Shop::start();
    let mut events = Driven::events(packages, &shop.dev);
    let query = "subscription($customer: ID!) { ordersOf(customer: $customer) { total } }";
    events.tell(&json!({ "watch": "ada", "query": query, "variables": { "customer": shop.ada } }));
    assert_eq!(events.message(), json!({ "name": "ada", "asks": null }));
    let first = events.next("ada");
    assert_eq!(totals(&first), ADAS);

    let url = shop.dev.url.clone();
    assert_eq!(shop.dev.stop(), Some(0));
    shop.dev = Dev::start_again(&shop.app, &url);
    assert_eq!(events.message(), json!({ "name": "ada", "asks": first["extensions"]["weir"]["cursor"] }));
    shop.place_order(&shop.ada, 1);
    // Perhaps it had to ask several times before the server was there.
    let next =
        eventually("the next value", || Some(events.message()).filter(|message: &Value| message["next"].is_object()));
    assert_eq!(totals(&next["next"]), [&[1.0], &ADAS[..]].concat(), "what it has does not come again");
}

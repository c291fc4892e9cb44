//! The same through the whole product: random apps in `weir dev`, asked over HTTP and a WebSocket.
//!
//! Here functions run, so what they return is checked before a response is made of it, and arguments before a function sees
//! them. What is called with what does not show.

use serde_json::{Map, Value, json};

use super::app::{self, App, Function, spoil};
use super::document::{self, Case};
use super::random::{Choose, Random};
use super::seed;
use super::sides::{Sides, difference};
use crate::node;
use crate::socket::Socket;
use crate::weir::{Dev, say};

/// Random apps.
const APPS: u64 = 2;
/// Requests to each.
const REQUESTS: u64 = 60;

#[test]
fn the_whole_product_answers_as_the_reference() {
    let Some(packages) = node::packages("the_whole_product_answers_as_the_reference") else { return };
    let seed = seed();
    say(&format!("differential: WEIR_TESTS_SEED={seed}"));
    let mut sides = Sides::start(packages);
    for number in 0..APPS {
        let mut random = Random::of(seed, &[1, number]);
        let drawn = App::draw(&mut random);
        let returns = returns(&drawn, &mut random);
        let text = drawn.typescript(|function| body(function, &returns[&function.name]));
        let enums = sides.make(&text, &drawn.literals(), app::DISCRIMINATOR);
        let app = crate::apps::App::of(&text);
        let dev = Dev::start(&app);
        let mut socket = Socket::open(&dev.url);
        for request in 0..REQUESTS {
            let case = document::draw(&drawn, &enums, &mut Random::of(seed, &[1, number, request]));
            // What these reach they give without GraphQL's types.
            if case.tokens.iter().any(|token| token.contains("invoke") || token.contains("batch")) {
                continue;
            }
            let case = Case { returns: returns.clone(), ..case };
            let mut asked = case.asked();
            asked["checked"] = true.into();
            let mut reference = sides.ask_reference(&asked);
            if let Some(told) = reference.as_object_mut() {
                told.insert("calls".into(), json!([]));
            }
            let response = match reference["subscription"].as_bool() {
                Some(true) => subscribed(&mut socket, request, &asked),
                _ => posted(&dev, &asked),
            };
            let weir = json!({ "response": response, "calls": [] });
            let why = difference(&weir, &reference);
            assert!(
                why.is_none(),
                "WEIR_TESTS_SEED={seed}\n{}\n{text}\n{}\nvariables {}\noperation {}\nweir {weir}\nreference {reference}",
                why.unwrap_or_default(),
                asked["query"].as_str().unwrap(),
                asked["variables"],
                asked["operationName"],
            );
        }
        assert_eq!(dev.stop(), Some(0));
    }
}

/// What each function gives: the same for every request.
fn returns(app: &App, random: &mut Random) -> Map<String, Value> {
    let drawn = app.functions.iter().map(|function| {
        let mut value = app.value(random, &function.result, 0);
        if random.chance(15) {
            spoil(random, &mut value);
        }
        let returned = if random.chance(15) { json!({ "fail": "on purpose" }) } else { json!({ "value": value }) };
        (function.name.clone(), returned)
    });
    drawn.collect()
}

fn body(function: &Function, returned: &Value) -> String {
    match returned.get("fail") {
        Some(message) => format!("throw new Error({message});"),
        None => {
            let text = Value::String(returned["value"].to_string());
            let gives = if function.maker == "stream" { "yield" } else { "return" };
            format!("{gives} JSON.parse({text}) as never;")
        }
    }
}

fn posted(dev: &Dev, asked: &Value) -> Value {
    let request = json!({
        "query": asked["query"], "variables": asked["variables"], "operationName": asked["operationName"],
    });
    let (_, body) = dev.client().post(&request.to_string());
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// The first value of a subscription, or why there is none.
fn subscribed(socket: &mut Socket, request: u64, asked: &Value) -> Value {
    let id = request.to_string();
    let payload = json!({
        "query": asked["query"], "variables": asked["variables"], "operationName": asked["operationName"],
    });
    socket.send(&json!({ "type": "subscribe", "id": id, "payload": payload }));
    loop {
        let mut message: Value = serde_json::from_str(&socket.message().unwrap()).unwrap();
        if message["id"] != id {
            continue;
        }
        match message["type"].as_str() {
            Some("next") => {
                socket.send(&json!({ "type": "complete", "id": id }));
                return message["payload"].take();
            }
            Some("error") => return json!({ "errors": message["payload"] }),
            _ => panic!("{message}"),
        }
    }
}

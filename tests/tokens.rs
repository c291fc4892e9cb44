//! Who calls: tokens that `weir token` makes and tokens of an issuer of the test's own, over HTTP, WebSocket and server-sent
//! events; and that nothing goes on when a token is good no longer.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::apps::App;
use crate::issuer::{Issuer, Key};
use crate::socket::Socket;
use crate::weir::{Dev, PATIENCE, eventually, run, say};

const APP: &str = r#"
    import { caller, procedure, query, type Int } from "weir";
    import { things } from "../collections";
    export const who = query((): string =>
      `${caller.kind} ${caller.subject} of ${caller.claims.org}: ${caller.roles.join()} ${caller.scopes.join()}, ${things.count()}`);
    export const level = query((): Int | null => caller.claims.level);
    export const add = procedure((args: { name: string }): Int => { things.insert({ name: args.name }); return things.count(); });
    export const fails = query((): Int => { throw new Error("no"); });
    // file: collections.ts
    import { collection } from "weir";
    export interface Thing { name: string }
    export const things = collection<Thing>();
    // file: app.toml
    name = "tokens"
    version = "1.0.0"
    [caller]
    claims = { org = "string", level = "int" }
"#;

/// A token of `weir token` with these arguments.
fn token(app: &App, arguments: &[&str]) -> String {
    let data = app.data();
    let ended = run(&[&["token"], arguments, &["--data", data.to_str().unwrap()]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().to_owned()
}

fn revoke(app: &App, arguments: &[&str]) -> String {
    let data = app.data();
    let ended = run(&[&["token", "revoke"], arguments, &["--data", data.to_str().unwrap()]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().to_owned()
}

fn subscribe(socket: &mut Socket) -> Value {
    socket.send(&json!({ "id": "a", "type": "subscribe", "payload": { "query": "subscription { who }" } }));
    next(socket)
}

fn next(socket: &mut Socket) -> Value {
    let message: Value = serde_json::from_str(&socket.message().unwrap()).unwrap();
    message["payload"]["data"]["who"].clone()
}

/// Reads on until the socket ends: how, and what came until then.
fn to_the_end(socket: &mut Socket) -> (String, Vec<String>) {
    let mut came = Vec::new();
    loop {
        match socket.message() {
            Ok(message) => came.push(message),
            Err(end) => return (end, came),
        }
    }
}

#[test]
fn a_caller_is_who_the_token_says() {
    let app = App::of(APP);
    let data = app.data();
    let missing = run(&["token", "--subject", "ada", "--data", data.to_str().unwrap()]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("has no key for tokens yet: start weir dev once"), "{}", missing.stderr);
    let dev = Dev::start(&app);
    let developer = dev.client();
    assert_eq!(developer.data("{ who }"), json!({ "who": "developer null of null:  , 0" }));
    let ada = token(
        &app,
        &[
            "--subject",
            "ada",
            "--role",
            "b",
            "--role",
            "a",
            "--scope",
            "read",
            "--claim",
            "org=acme",
            "--claim",
            "level=3",
        ],
    );
    let ada = developer.showing(&ada);
    assert_eq!(ada.data("{ who level }"), json!({ "who": "user ada of acme: a,b read, 0", "level": 3 }));
    let robot = developer.showing(&token(&app, &["--subject", "robot", "--kind", "service"]));
    assert_eq!(robot.data("{ who level }"), json!({ "who": "service robot of null:  , 0", "level": null }));
    assert_eq!(robot.data("mutation { add(name: \"a\") }"), json!({ "add": 1 }));
    let stack = |answer: Value| answer["errors"][0]["extensions"].get("stack").is_some();
    assert!(stack(developer.answer("{ fails }", json!({}))));
    assert!(!stack(ada.answer("{ fails }", json!({}))), "a stack is the developer's alone");
    let typed = token(&app, &["--subject", "ada", "--claim", "level=high"]);
    let refused = developer.showing(&typed).answer("{ who }", json!({}));
    let error = &refused["errors"][0];
    assert_eq!(error["extensions"]["code"], json!("UNAUTHENTICATED"));
    assert!(error["message"].as_str().unwrap().contains("level (app.toml declares it as a whole number)"), "{error}");
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn what_is_no_good_token_is_told_and_nothing_runs() {
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let good = token(&app, &["--subject", "ada"]);
    let [head, body, tail] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let changed = format!("{head}.{body}.{}A", tail.get(1..).unwrap());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let table = [
        (format!("Bearer {changed}"), "the signature of the token does not hold"),
        (format!("Bearer {none}.{body}."), "the token is signed by an algorithm that no issuer here uses"),
        (format!("Bearer {}", "x".repeat(20_000)), "the token has more than 16384 bytes"),
        ("Basic YTpi".to_owned(), "send one header Authorization: Bearer, and the token after it"),
    ];
    let query = json!({ "query": "mutation { add(name: \"a\") }" }).to_string();
    for (authorization, words) in &table {
        for accept in
            ["application/json", "application/graphql-response+json", "text/event-stream", "application/jsonl"]
        {
            let response = minreq::post(format!("{}/graphql", dev.url))
                .with_header("content-type", "application/json")
                .with_header("accept", accept)
                .with_header("authorization", authorization.as_str())
                .with_body(query.as_str())
                .with_timeout(PATIENCE.as_secs())
                .send()
                .unwrap();
            assert_eq!(response.status_code, 401, "{words}");
            let named = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
            let challenge = &named.unwrap().1;
            assert!(challenge.starts_with("Bearer realm=\"weir\", error=\"invalid_token\""), "{challenge}");
            let answer: Value = serde_json::from_str(response.as_str().unwrap().trim()).unwrap();
            assert_eq!(answer["errors"][0]["extensions"]["code"], json!("UNAUTHENTICATED"));
            assert_eq!(answer["errors"][0]["message"], json!(words));
        }
        let shown = authorization.trim_start_matches("Bearer ");
        let refused = Socket::showing(&dev.url, &json!({ "token": shown })).err().unwrap();
        assert!(refused.contains("4403"), "{refused}");
    }
    assert_eq!(dev.client().data("{ who }"), json!({ "who": "developer null of null:  , 0" }), "nothing was added");
    assert!(!dev.log.text(0).contains(tail), "no token is in the log");
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn a_socket_ends_with_its_token() {
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let minted = Instant::now();
    let short = token(&app, &["--subject", "ada", "--expires", "4s"]);
    let (mut first, ack) = Socket::showing(&dev.url, &json!({ "Authorization": format!("Bearer {short}") })).unwrap();
    assert_eq!(ack["type"], json!("connection_ack"));
    assert!(ack["payload"]["expiresAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{ack}");
    let (mut renewed, _) = Socket::showing(&dev.url, &json!({ "authorization": format!("Bearer {short}") })).unwrap();
    let (mut changed, _) = Socket::showing(&dev.url, &json!({ "token": short })).unwrap();
    for socket in [&mut first, &mut renewed, &mut changed] {
        assert_eq!(subscribe(socket), json!("user ada of null:  , 0"));
    }
    let ending = thread::spawn(move || (to_the_end(&mut first), minted.elapsed()));
    // Another token of the same caller keeps the socket open, and what runs on it.
    renewed.send(&json!({ "type": "ping", "payload": { "token": token(&app, &["--subject", "ada"]) } }));
    let pong: Value = serde_json::from_str(&renewed.message().unwrap()).unwrap();
    assert!(pong["type"] == json!("pong") && pong["payload"]["expiresAt"].is_string(), "{pong}");
    // One that says something else of the caller ends what runs, and not the socket.
    changed.send(&json!({ "type": "ping", "payload": { "token": token(&app, &["--subject", "ada", "--role", "x"]) } }));
    let messages = [changed.message().unwrap(), changed.message().unwrap()];
    assert!(messages.iter().any(|message| message.contains("pong")), "{messages:?}");
    let ended: Value = messages
        .iter()
        .find(|message| message.contains("\"error\""))
        .map(|text| serde_json::from_str(text).unwrap())
        .unwrap();
    assert_eq!((&ended["id"], &ended["payload"][0]["extensions"]["code"]), (&json!("a"), &json!("UNAUTHENTICATED")));
    assert_eq!(subscribe(&mut changed), json!("user ada of null: x , 0"));
    let ((end, came), after) = ending.join().unwrap();
    // Within a second, where the machine has time.
    assert!(after < Duration::from_secs(8), "{after:?}");
    assert!(end.contains("4403") && end.contains("the token has expired"), "{end}");
    assert!(came.is_empty(), "{came:?}");
    say(&format!("a socket whose token was good for 4 s ended {after:?} after that was made"));
    dev.client().data("mutation { add(name: \"a\") }");
    assert_eq!(next(&mut renewed), json!("user ada of null:  , 1"));
    assert_eq!(next(&mut changed), json!("user ada of null: x , 1"));
    // Somebody else's token ends it.
    renewed.send(&json!({ "type": "ping", "payload": { "token": token(&app, &["--subject", "eve"]) } }));
    let (end, _) = to_the_end(&mut renewed);
    assert!(end.contains("4403") && end.contains("not of the caller who opened this connection"), "{end}");
    let mut developer = Socket::open(&dev.url);
    developer.send(&json!({ "type": "ping", "payload": { "a": 1 } }));
    assert_eq!(developer.message().unwrap(), r#"{"type":"pong","payload":{"a":1}}"#);
    developer.send(&json!({ "type": "ping", "payload": { "token": token(&app, &["--subject", "ada"]) } }));
    assert!(to_the_end(&mut developer).0.contains("4403"), "who had no token gets none later");
    assert_eq!(dev.stop(), Some(0));
}

/// What a renewed token says of what the app does not declare yet is what counts when it does.
#[test]
fn a_renewed_token_counts_in_the_releases_to_come() {
    let app = App::of(APP);
    let (declared, undeclared) = ("claims = { org = \"string\", level = \"int\" }", "claims = { org = \"string\" }");
    let (looks, does_not) = ("(): Int | null => caller.claims.level", "(): Int | null => null");
    app.edit("app.toml", declared, undeclared);
    app.edit("functions/t.ts", looks, does_not);
    let dev = Dev::start(&app);
    let of = |level: &str| token(&app, &["--subject", "ada", "--claim", &format!("level={level}")]);
    let (mut socket, _) = Socket::showing(&dev.url, &json!({ "token": of("1") })).unwrap();
    socket.send(&json!({ "id": "a", "type": "subscribe", "payload": { "query": "subscription { level }" } }));
    let mut told = || -> Value { serde_json::from_str(&socket.message().unwrap()).unwrap() };
    assert_eq!(told()["payload"]["data"], json!({ "level": null }));
    let renewed = of("2");
    socket.send(&json!({ "type": "ping", "payload": { "token": renewed } }));
    let mut told = || -> Value { serde_json::from_str(&socket.message().unwrap()).unwrap() };
    assert_eq!(told()["type"], json!("pong"));
    app.edit("app.toml", undeclared, declared);
    app.edit("functions/t.ts", does_not, looks);
    assert_eq!(told()["payload"]["data"], json!({ "level": 2 }));
    assert_eq!(dev.stop(), Some(0));
}

/// Server-sent events of a subscription, as lines.
fn events(url: &str, token: &str) -> impl Iterator<Item = String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = json!({ "query": "subscription { who }" }).to_string();
    write!(
        stream,
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    BufReader::new(stream).lines().map_while(Result::ok)
}

#[test]
fn events_end_with_their_token() {
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let token = token(&app, &["--subject", "ada", "--expires", "3s"]);
    let lines: Vec<String> = events(&dev.url, &token).collect();
    let data: Vec<Value> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let [first, last] = data.as_slice() else { panic!("{lines:#?}") };
    assert_eq!(first["data"]["who"], json!("user ada of null:  , 0"));
    assert_eq!(last["errors"][0]["extensions"]["code"], json!("UNAUTHENTICATED"));
    assert_eq!(last["errors"][0]["message"], json!("the token has expired"));
    let named: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(named, ["next", "next", "complete"]);
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn what_is_revoked_ends_and_stays_so() {
    let app = App::of(APP);
    let dev = Dev::start(&app);
    let of = |subject: &str| token(&app, &["--subject", subject]);
    let (one, other, eve) = (of("ada"), of("ada"), of("eve"));
    let claims = |token: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
    };
    let open = |token: &str| {
        let (mut socket, _) = Socket::showing(&dev.url, &json!({ "token": token })).unwrap();
        subscribe(&mut socket);
        socket
    };
    let mut sockets = [open(&one), open(&other), open(&eve)];
    let lines = {
        let (url, token) = (dev.url.clone(), other.clone());
        thread::spawn(move || events(&url, &token).collect::<Vec<_>>())
    };
    let id = claims(&one)["jti"].as_str().unwrap().to_owned();
    let said = revoke(&app, &["--issuer", "weir-dev", "--id", &id]);
    assert_eq!(said, format!("revoked the token {id} of weir-dev"));
    let asked = Instant::now();
    let (end, _) = to_the_end(&mut sockets[0]);
    say(&format!("a socket ended {:?} after its token was revoked", asked.elapsed()));
    assert!(end.contains("4403") && end.contains("the token was revoked"), "{end}");
    let refused =
        |dev: &Dev, token: &str| dev.client().showing(token).answer("{ who }", json!({})).get("errors").is_some();
    assert_eq!([&one, &other, &eve].map(|token| refused(&dev, token)), [true, false, false]);
    revoke(&app, &["--issuer", "weir-dev", "--subject", "ada"]);
    assert!(to_the_end(&mut sockets[1]).0.contains("4403"));
    let lines = lines.join().unwrap();
    assert!(lines.iter().any(|line| line.contains("the token was revoked")), "{lines:#?}");
    assert_eq!([&one, &other, &eve].map(|token| refused(&dev, token)), [true, true, false]);
    dev.client().data("mutation { add(name: \"a\") }");
    assert_eq!(next(&mut sockets[2]), json!("user eve of null:  , 1"), "others notice nothing");
    // Tokens that are made later are good.
    let later = eventually("a second to pass", || Some(of("ada")).filter(|token| !refused(&dev, token)));
    assert_eq!(dev.stop(), Some(0));
    // Nobody serves the folder: the command writes into it itself.
    let said = revoke(&app, &["--issuer", "weir-dev", "--subject", "eve"]);
    assert_eq!(said, "revoked the tokens of eve from weir-dev that were made up to now");
    let dev = Dev::start(&app);
    assert_eq!([&one, &other, &eve, &later].map(|token| refused(&dev, token)), [true, true, true, false]);
    let listed = run(&["token", "revoked", "--json", "--data", app.data().to_str().unwrap()]);
    assert_eq!(listed.stdout.lines().count(), 3, "{}", listed.stdout);
    revoke(&app, &["--issuer", "weir-dev"]);
    assert!(refused(&dev, &later));
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn an_issuer_exchanges_its_keys_and_goes_out_of_order() {
    let (app, issuer) = (App::of(APP), Issuer::start());
    let config = app.beside("weir.toml");
    let text = format!(
        "[[issuer]]\nissuer = \"{}\"\nalgorithms = [\"ES256\"]\naudience = [\"shop\"]\ndiscovery = true\n\
         [tokens]\nkeys_interval = \"1s\"\n",
        issuer.url
    );
    std::fs::write(&config, text).unwrap();
    let dev = Dev::starting_with(&app, &["--config", config.to_str().unwrap()]).ready();
    let code = |token: &str| {
        let answer = dev.client().showing(token).answer("{ who }", json!({}));
        answer["errors"][0]["extensions"]["code"].clone()
    };
    let (old, new) = (Key::make("old"), Key::make("new"));
    let of = |key: &Key, subject: &str| key.token(&issuer.url, &json!({ "sub": subject, "scope": "read" }));
    let (by_old, by_new) = (of(&old, "ada"), of(&new, "ada"));
    assert_eq!(code(&by_old), json!("UNAVAILABLE"), "no keys can be had");
    issuer.publish(&[&old]);
    eventually("the keys", || (code(&by_old) == Value::Null).then_some(()));
    let who = dev.client().showing(&by_old).data("{ who }");
    assert_eq!(who, json!({ "who": "user ada of null:  read, 0" }));
    // The next key is found when a token needs it. What many tokens of unknown keys ask for is asked for once in an interval.
    issuer.publish(&[&old, &new]);
    eventually("the new key", || (code(&by_new) == Value::Null).then_some(()));
    let (before, storm, began) = (issuer.asked(), Key::make("storm"), Instant::now());
    for number in 0..200 {
        assert_eq!(code(&of(&storm, &number.to_string())), json!("UNAUTHENTICATED"));
    }
    let (asked, seconds) = (issuer.asked() - before, began.elapsed().as_secs() as usize);
    assert!(asked <= 2 * (seconds + 2), "{asked} requests in {seconds} s");
    // A key that is taken back ends what its tokens have begun, once the keys were read again: here because of a token with one that
    // nobody knows.
    let third = Key::make("third");
    issuer.publish(&[&old, &new, &third]);
    let by_third = of(&third, "ada");
    eventually("the third key", || (code(&by_third) == Value::Null).then_some(()));
    let open = |token: &str| {
        let (mut socket, _) = Socket::showing(&dev.url, &json!({ "token": token })).unwrap();
        subscribe(&mut socket);
        socket
    };
    let (mut stays, mut ends) = (open(&by_new), open(&by_third));
    let lines = {
        let (url, token) = (dev.url.clone(), by_third.clone());
        thread::spawn(move || events(&url, &token).collect::<Vec<_>>())
    };
    issuer.publish(&[&old, &new]);
    eventually("the keys to be read", || {
        assert_eq!(code(&of(&storm, "eve")), json!("UNAUTHENTICATED"));
        (code(&by_third) != Value::Null).then_some(())
    });
    let (end, _) = to_the_end(&mut ends);
    assert!(end.contains("4403") && end.contains("the key that the token is signed with is not known here"), "{end}");
    let lines = lines.join().unwrap();
    assert!(lines.iter().any(|line| line.contains("the key that the token is signed with")), "{lines:#?}");
    dev.client().data("mutation { add(name: \"a\") }");
    assert_eq!(next(&mut stays), json!("user ada of null:  read, 1"), "the others notice nothing");
    // Out of order, its keys are believed.
    issuer.go_out_of_order();
    thread::sleep(Duration::from_millis(1_100));
    assert_eq!(code(&of(&storm, "eve")), json!("UNAUTHENTICATED"));
    assert_eq!([code(&by_old), code(&by_new)], [Value::Null, Value::Null]);
    assert_eq!(dev.stop(), Some(0));
}

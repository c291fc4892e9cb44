//! Tenants: two of one app on one server, chosen by host and by the claim of a token, over everything that is spoken; what is one's
//! is never seen by the other; and what becomes of one that is suspended or deleted. And environments of their app and the server's.

#![cfg(unix)]

mod apart;
mod environments;
mod life;
mod town;

use serde_json::{Value, json};

use self::town::{Asked, Town};
use crate::weir::run;

#[test]
fn a_request_is_whose_its_host_or_its_token_says() {
    let town = Town::start(&[]);
    for name in ["acme", "beta"] {
        town.create(name, &["--host", &format!("{name}.example")]);
        town.deploy(name);
    }
    let add = |asked: Asked, text: &str| {
        asked.data("mutation($text: String!) { add(text: $text) { text } }", json!({ "text": text }))
    };
    let texts = |asked: Asked| asked.data("{ texts }", json!({}))["texts"].clone();
    // By the host, in whatever way it is written, for who shows no token.
    add(town.at("acme.example"), "of acme");
    add(town.at("BETA.example.:80"), "of beta");
    assert_eq!(texts(town.at("ACME.example:4000")), json!(["of acme"]));
    assert_eq!(texts(town.at("beta.example")), json!(["of beta"]));
    // By the claim, at a host that is nobody's.
    assert_eq!(texts(town.at("nobody.localhost").showing(&town.token(json!({ "org": "acme" })))), json!(["of acme"]));
    assert_eq!(texts(town.server().showing(&town.token(json!({ "org": "beta" })))), json!(["of beta"]));
    // Nothing else that a request says counts.
    let server = town.server().with_header("x-forwarded-host", "acme.example").with_header("x-tenant", "acme");
    assert_eq!(server.code("{ texts }"), (503, json!("UNAVAILABLE")), "the server itself has no app");
    // A token is good with its own tenant alone, and what leads nowhere is told in the same words.
    let there_is_nothing = town.at("acme.example").showing(&town.token(json!({ "org": "beta" }))).answer("{ texts }");
    assert_eq!((there_is_nothing.0, there_is_nothing.code()), (404, json!("NOT_FOUND")));
    for (asked, org) in [
        (town.server(), "nobody"),
        (town.server(), "Acme"),
        (town.server(), "../acme"),
        (town.at("beta.example"), "acme"),
        (town.at("beta.example"), "nobody"),
    ] {
        let answer = asked.showing(&town.token(json!({ "org": org }))).answer("{ texts }");
        assert_eq!((answer.0, &answer.1), (404, &there_is_nothing.1), "{org}");
    }
    // Whatever is asked of the app with a token of another.
    let stranger = town.at("acme.example").showing(&town.token(json!({ "org": "beta" })));
    for query in [
        "{ texts }",
        "{ note(id: \"x\") { text } }",
        "{ listed { edges { cursor } } }",
        "{ fails(text: \"x\") }",
        "{ invoke(function: \"texts\") }",
        "mutation { add(text: \"x\") { id } }",
        "mutation { later(text: \"x\") }",
        "mutation { batch(calls: []) { value } }",
        "mutation { invoke(function: \"add\") }",
        "subscription { texts }",
        "{ __schema { queryType { name } } }",
        "no document",
    ] {
        let answer = stranger.answer(query);
        assert_eq!((answer.0, &answer.1), (404, &there_is_nothing.1), "{query}");
    }
    // A token that names none is good where its issuer is listed.
    let stranger = town.other_token(json!({}));
    assert_eq!(town.at("acme.example").showing(&stranger).code("{ texts }").0, 404);
    assert_eq!(town.tenant(&["change", "acme", "--host", "acme.example", "--issuer", town::OTHER]).code, Some(0));
    assert_eq!(texts(town.at("acme.example").showing(&stranger)), json!(["of acme"]));
    assert_eq!(town.at("beta.example").showing(&stranger).code("{ texts }").0, 404);
    // A claim that cannot be a tenant's name decides nothing.
    assert_eq!(
        town.server().showing(&town.token(json!({ "org": 7 }))).code("{ texts }"),
        (401, json!("UNAUTHENTICATED"))
    );
    // One that nobody has signed is told of as ever, whatever it names.
    let forged = town.token(json!({ "org": "acme" })) + "A";
    assert_eq!(town.server().showing(&forged).code("{ texts }"), (401, json!("UNAUTHENTICATED")));
    // More than one host is none.
    assert_eq!(town.at("acme.example").with_header("host", "beta.example").code("{ texts }").0, 400);
    assert_eq!(town.at("acme.example").get("/healthz").0, 200);
    assert_eq!(town.at("acme.example").get("/readyz").0, 200);
    assert_eq!(town.server().get("/readyz").0, 503);
    town.stop();
}

#[test]
fn sockets_and_events_are_whose_their_host_or_their_token_says() {
    let town = Town::start(&[]);
    for name in ["acme", "beta"] {
        town.create(name, &["--host", &format!("{name}.example")]);
        town.deploy(name);
        town.add(name, &format!("of {name}"));
    }
    let (acme, beta) = (town.token(json!({ "org": "acme" })), town.token(json!({ "org": "beta" })));
    let watch = json!({ "id": "a", "type": "subscribe", "payload": { "query": "subscription { texts }" } });
    let first = |socket: &mut crate::socket::Socket| -> Value {
        socket.send(&watch);
        serde_json::from_str::<Value>(&socket.message().unwrap()).unwrap()["payload"]["data"]["texts"].clone()
    };
    // By the token in the first message, by that of the upgrade, and by the host.
    let mut sockets = [
        town.socket(None, None, Some(&acme)).unwrap(),
        town.socket(None, Some(&acme), None).unwrap(),
        town.socket(Some("acme.example"), None, None).unwrap(),
        town.socket(Some("acme.example"), None, Some(&acme)).unwrap(),
    ];
    for socket in &mut sockets {
        assert_eq!(first(socket), json!(["of acme"]));
    }
    town.add("acme", "more");
    town.add("beta", "nothing of acme's");
    for socket in &mut sockets {
        let message = socket.message().unwrap();
        assert!(message.contains("more") && !message.contains("nothing"), "{message}");
    }
    // Before anything was asked, a token that leads nowhere ends it; and so does one of another tenant later on.
    let unknown = town.token(json!({ "org": "nobody" }));
    for (host, token) in [(None, &unknown), (Some("acme.example"), &beta), (Some("acme.example"), &unknown)] {
        let refused = town.socket(host, None, Some(token)).err().unwrap();
        assert!(refused.contains("4403") && refused.contains("there is nothing here for this token"), "{refused}");
    }
    let [first_socket, second, ..] = &mut sockets;
    for socket in [first_socket, second] {
        socket.send(&json!({ "type": "ping", "payload": { "token": beta } }));
        let end = socket.message().unwrap_err();
        assert!(end.contains("4403"), "{end}");
    }
    // Without a token, and without an app of the server's own, there is nothing to be asked.
    let refused = town.socket(None, None, None).err().unwrap();
    assert!(refused.contains("Again"), "{refused}");
    for (asked, expected) in [(town.at("beta.example"), "nothing of acme's"), (town.server().showing(&acme), "more")] {
        let line = asked.first_event("subscription { texts }");
        assert!(line.contains(expected), "{line}");
    }
    let nowhere =
        town.server().showing(&unknown).with_header("accept", "text/event-stream").answer("subscription { texts }");
    assert_eq!((nowhere.0, nowhere.code()), (404, json!("NOT_FOUND")));
    town.stop();
}

#[test]
fn administrators_are_of_their_tenant_alone() {
    let town = Town::start(&["--bootstrap"]);
    let (acme, beta) =
        (town.create("acme", &["--host", "acme.example"]), town.create("beta", &["--host", "beta.example"]));
    let root = town.root();
    assert!(acme.starts_with("weir_admin_acme.") && beta.starts_with("weir_admin_beta."), "{acme} {beta}");
    town.deploy("beta");
    let app_token = town.token(json!({ "org": "beta" }));
    // The token leads to where it is looked up, or the host does.
    for asked in [town.server(), town.at("acme.example"), town.at("nobody.localhost")] {
        let status = asked.showing(&acme).admin("{ status { ready release } }");
        assert_eq!(status["data"]["status"], json!({ "ready": false, "release": null }));
    }
    let shape = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
    let shape = town.server().showing(&root).admin(shape)["data"]["__schema"].clone();
    let mut asked_for = 0;
    for (kind, of) in [("query", "queryType"), ("mutation", "mutationType")] {
        for field in shape[of]["fields"].as_array().unwrap() {
            let name = field["name"].as_str().unwrap();
            let query = format!("{kind} {{ {name} }}");
            asked_for += 1;
            // At another's host, or with the name of another, no token is one; nor is an app's.
            let renamed = acme.replace("acme", "beta");
            let unknown = acme.replace("acme", "nobody");
            for (asked, token) in [
                (town.at("beta.example"), &acme),
                (town.at("beta.example"), &root),
                (town.server(), &renamed),
                (town.server(), &unknown),
                (town.at("beta.example"), &renamed),
                (town.at("beta.example"), &app_token),
                (town.server(), &app_token),
            ] {
                let answer = asked.showing(token).admin(&query);
                assert_eq!(answer["errors"][0]["extensions"]["code"], json!("UNAUTHENTICATED"), "{name}: {answer}");
                assert!(answer.get("data").is_none(), "{name}");
            }
        }
    }
    assert!(asked_for >= 18, "{asked_for}");
    // Tenants are the server's: one of them finds none, and may not look.
    for query in ["{ tenants { name } }", "mutation { deleteTenant(name: \"beta\", confirm: \"beta\") }"] {
        let answer = town.server().showing(&acme).admin(query);
        assert_eq!(answer["errors"][0]["extensions"]["code"], json!("FORBIDDEN"), "{answer}");
    }
    let all = town.server().showing(&root).admin("{ tenants { name state hosts } }");
    let expected = json!([
        { "name": "acme", "state": "SERVED", "hosts": ["acme.example"] },
        { "name": "beta", "state": "SERVED", "hosts": ["beta.example"] },
    ]);
    assert_eq!(all["data"]["tenants"], expected);
    // Keys, and so releases, are each one's own.
    let keys = |token: &str| town.server().showing(token).admin("{ keys { id } }")["data"]["keys"].clone();
    assert_eq!((keys(&acme), keys(&beta).as_array().unwrap().len()), (json!([]), 1));
    let metrics = town.server().showing(&beta).get("/metrics");
    assert!(metrics.0 == 200 && !metrics.1.contains("weir_tenants"), "{metrics:?}");
    let metrics = town.server().showing(&root).get("/metrics");
    assert!(metrics.1.contains("weir_tenants{state=\"served\"} 2"), "{metrics:?}");
    assert_eq!(town.at("beta.example").showing(&acme).get("/metrics").0, 401);
    // What leads nowhere is counted, and so is what is none, also where nobody looks at it again.
    let counted = |reason: &str| {
        let metrics = town.server().showing(&root).get("/metrics").1;
        let line = format!("weir_tokens_refused_total{{reason=\"{reason}\"}} ");
        let count = metrics.lines().find_map(|found| found.strip_prefix(&line)).map(str::to_owned);
        count.unwrap_or_else(|| panic!("{metrics}"))
    };
    assert_eq!((counted("malformed"), counted("foreign")), ("0".to_owned(), "0".to_owned()));
    for (path, token) in [
        ("/schema.graphql", "a.b".to_owned()),
        ("/anywhere", "a.b".to_owned()),
        ("/readyz", "a.b".to_owned()),
        ("/schema.graphql", town.token(json!({ "org": "nobody" }))),
    ] {
        town.server().showing(&token).get(path);
    }
    town.server().showing("a.b").code("{ __typename }");
    town.server().showing(&town.token(json!({ "org": "nobody" }))).code("{ __typename }");
    assert_eq!((counted("malformed"), counted("foreign")), ("3".to_owned(), "2".to_owned()));
    // Over GraphQL as by the command, remote or not.
    let token_file = town.private("root", &root);
    let remote = |arguments: &[&str]| {
        run(&[&["tenant"], arguments, &["--server", &town.url(), "--token-file", &token_file]].concat())
    };
    let made = remote(&["create", "gamma", "--host", "gamma.example"]);
    assert!(made.stdout.starts_with("weir_admin_gamma."), "{}{}", made.stdout, made.stderr);
    assert_eq!(remote(&["suspend", "gamma"]).stdout, "gamma  suspended  host gamma.example\n");
    assert_eq!(remote(&["resume", "gamma"]).stdout, "gamma  served  host gamma.example\n");
    let listed = remote(&["list"]).stdout;
    assert_eq!(
        listed,
        "acme  served  host acme.example\nbeta  served  host beta.example\ngamma  served  host gamma.example\n"
    );
    assert_eq!(town.tenant(&["list"]).stdout, listed);
    let unconfirmed = remote(&["delete", "gamma", "--confirm", "beta"]);
    assert_eq!(unconfirmed.stderr, "weir: all that gamma has is removed: say so with --confirm gamma\n");
    assert_eq!(remote(&["delete", "gamma", "--confirm", "gamma"]).stdout, "gamma is removed, with all that it had\n");
    let again = town.tenant(&["create", "acme"]);
    assert_eq!(again.stderr, "weir: there is a tenant acme already: choose another name\n");
    let audit = town.server().showing(&root).admin("{ audit { records { actor action targets } } }");
    let deleted = json!({ "actor": "administrator root", "action": "deleteTenant", "targets": ["gamma"] });
    assert!(audit["data"]["audit"]["records"].as_array().unwrap().contains(&deleted), "{audit}");
    let log = town.log();
    assert!(!log.contains(&acme) && !log.contains(&root), "no token is in the log");
    town.stop();
}

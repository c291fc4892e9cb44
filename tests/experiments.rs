//! `weir deploy --experiment` and `weir rollout report`: callers are divided and counted over HTTP, and the report says what they did.

use serde_json::{Value, json};

use crate::apps::App;
use crate::production::Production;
use crate::rollouts::walk_through;
use crate::serve::{serve, write_private};
use crate::weir::{Ended, run};

const APP: &str = r#"
    import { metric, procedure, type Int } from "weir";
    export const order = procedure((args: { value: Int }): Int => { metric("order_value", args.value); return 1; });
    export const look = procedure((): Int => 1);
    // file: app.toml
    name = "app"
    version = "1.0.0"

    [metrics.order_value]
    kind = "mean"

    [metrics.ordered]
    kind = "conversion"
    function = "order"
    // file: policies.cedar
    permit(principal, action, resource);
"#;

const VISITORS: usize = 40;

/// What a visitor is answered, who orders for 10 or only looks.
fn answer(url: &str, visitor: &str, orders: bool, line: Option<&str>) -> u64 {
    let document = if orders { "mutation { answer: order(value: 10) }" } else { "mutation { answer: look }" };
    let mut request = minreq::post(format!("{url}/graphql")).with_header("content-type", "application/json");
    request = request.with_header("x-weir-visitor", visitor);
    if let Some(line) = line {
        request = request.with_header("x-weir-release", line);
    }
    let response = request.with_body(json!({ "query": document }).to_string()).send().unwrap();
    let answer: Value = serde_json::from_str(response.as_str().unwrap()).unwrap();
    answer["data"]["answer"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

/// What many visitors are answered, every other of whom orders.
fn answers(url: &str) -> Vec<u64> {
    (0..VISITORS).map(|number| answer(url, &format!("visitor-{number}"), number % 2 == 0, None)).collect()
}

fn good(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout
}

fn json_of(ended: Ended) -> Value {
    serde_json::from_str(&good(ended)).unwrap()
}

#[test]
fn the_walk_through_the_documentation_is_what_happens() {
    walk_through("docs/experiments.md", 15);
}

#[test]
fn an_experiment_tells_what_its_callers_did() {
    let production = Production::start(App::of(APP));
    let none = production.on_data(&["rollout", "report"]);
    assert_eq!(
        (none.code, none.stderr.trim_end()),
        (Some(1), "weir: there was no experiment yet: weir rollout start VERSION --experiment 50% begins one")
    );
    production.app.edit("app.toml", "1.0.0", "1.1.0");
    production.app.edit("functions/t.ts", "return 1", "return 2");
    production.app.edit("functions/t.ts", "Int => 1)", "Int => 2)");
    let (folder, key) = (production.app.path(), production.app.beside("key.pem"));
    let (folder, key) = (folder.to_str().unwrap(), key.to_str().unwrap());
    let deployed = good(production.on_data(&["deploy", folder, "--key", key, "--experiment", "50%"]));
    assert!(
        deployed.starts_with(
            "app 1.1.0 is being rolled out: experiment with 50% of the callers: weir rollout report says what comes of it"
        ),
        "{deployed}"
    );
    let first = answers(&production.server.url);
    let report = || json_of(production.on_data(&["rollout", "report", "--json"]));
    let told = report();
    // Visitors stand where their digests say, so nothing of this is by chance.
    for (variant, version) in [(0, "1.0.0"), (1, "1.1.0")] {
        let is_its = |answer: &u64| *answer == variant as u64 + 1;
        let callers = first.iter().filter(|answer| is_its(answer)).count();
        let ordered = first.iter().step_by(2).filter(|answer| is_its(answer)).count();
        assert!(callers > 5 && ordered > 0, "{first:?}");
        assert_eq!(told["variants"][variant]["name"], version);
        assert_eq!(told["variants"][variant]["callers"], callers);
        let mean = |metric: usize| told["metrics"][metric]["variants"][variant]["mean"].as_f64().unwrap();
        assert_eq!(
            (told["metrics"][0]["name"].as_str(), mean(0)),
            (Some("order_value"), 10.0 * ordered as f64 / callers as f64)
        );
        assert_eq!((told["metrics"][1]["name"].as_str(), mean(1)), (Some("ordered"), ordered as f64 / callers as f64));
    }
    assert_eq!((&told["experiment"], &told["isRunning"], &told["moved"]), (&json!(2), &json!(true), &json!(0)));

    // What is no operation is no call. What one release does not know is one, or variants would be compared by different callers.
    for (visitor, document) in [("noise", "this is not GraphQL"), ("stale", "{ gone }")] {
        let request = minreq::post(format!("{}/graphql", production.server.url)).with_header("x-weir-visitor", visitor);
        let request = request.with_header("content-type", "application/json");
        request.with_body(json!({ "query": document }).to_string()).send().unwrap();
    }
    // Who stays on a line is where they want to be, which is no chance: they are not counted.
    assert_eq!(answer(&production.server.url, "pinned", true, Some("=1.0.0")), 1);
    assert_eq!(answers(&production.server.url), first, "each stays where they are");
    let callers =
        |told: &Value| told["variants"].as_array().unwrap().iter().map(|one| one["callers"].as_u64().unwrap()).sum();
    let counted: u64 = callers(&report());
    assert_eq!(counted, VISITORS as u64 + 1);

    // The same from elsewhere, in words and as types.
    let token = production.app.beside("token");
    write_private(&token, &production.root);
    let elsewhere = ["--server", &production.server.url, "--token-file", token.to_str().unwrap()];
    let words = good(production.on_data(&["rollout", "report"]));
    assert_eq!(good(run(&[&["rollout", "report"], &elsewhere[..]].concat())), words);
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "experiment 2 is running",
            "order_value: too early to say anything of 1.1.0: too few callers, or the mean rests on a few of them",
            "ordered: too early to say anything of 1.1.0: too few callers, or the mean rests on a few of them",
        ]
    );
    assert!(lines[3].starts_with("1.0.0, sequence ") && lines[3].ends_with(" callers, 50.0 % set"), "{words}");

    // A restart changes nothing of it; and while nobody serves, it is told too.
    let Production { app, server, .. } = production;
    assert_eq!(server.stop(), Some(0));
    let data = app.data();
    let on_data = |arguments: &[&str]| run(&[arguments, &["--data", data.to_str().unwrap()]].concat());
    assert_eq!(good(on_data(&["rollout", "report"])), words);
    let server = serve(&["--config", app.beside("weir.toml").to_str().unwrap()]);
    assert_eq!(answers(&server.url), first);
    assert_eq!(callers(&json_of(on_data(&["rollout", "report", "--json"]))), VISITORS as u64 + 1);
    let unknown = on_data(&["rollout", "promote", "7.0.0"]);
    assert_eq!(unknown.stderr, "weir: there is no release 7.0.0: weir releases list shows those that there are\n");
    good(on_data(&["rollout", "promote", "1.1.0"]));
    assert_eq!(answers(&server.url), [2; VISITORS]);
    let over = good(on_data(&["rollout", "report", "2"]));
    assert_eq!(over.lines().next(), Some("experiment 2 is over"));
    assert_eq!(over.lines().skip(1).collect::<Vec<_>>(), words.lines().skip(1).collect::<Vec<_>>());

    // Several releases at once, from elsewhere.
    app.edit("app.toml", "1.1.0", "1.2.0");
    good(on_data(&["deploy", folder, "--key", key]));
    let elsewhere = ["--server", &server.url, "--token-file", token.to_str().unwrap()];
    let there = |arguments: &[&str]| good(run(&[&["rollout"], arguments, &elsewhere].concat()));
    let two = ["--experiment", "25%", "--variant", "1.1.0=20%", "--metric", "ordered", "--alpha", "1%"];
    let started = there(&[&["start", "1.0.0"], two.as_slice()].concat());
    assert!(started.contains("experiment with 25% and 20% of the callers"), "{started}");
    let told: Value = serde_json::from_str(&there(&["report", "--json"])).unwrap();
    let variants = told["variants"].as_array().unwrap().iter().map(|one| (&one["name"], &one["shareSet"]));
    assert_eq!(
        variants.collect::<Vec<_>>(),
        [(&json!("1.2.0"), &json!(0.55)), (&json!("1.0.0"), &json!(0.25)), (&json!("1.1.0"), &json!(0.2))]
    );
    assert_eq!((&told["alpha"], told["metrics"].as_array().unwrap().len()), (&json!(0.01), 1));
    assert!(there(&["promote", "1.1.0"]).starts_with("app 1.1.0, sequence "));
    assert_eq!(server.stop(), Some(0));
}

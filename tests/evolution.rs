//! A migration of documents through the binary: `weir serve` is killed while it goes on, up and down, and each document is migrated
//! once and brought back.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::apps::App;
use crate::production::Production;
use crate::serve::serve;
use crate::weir::{eventually, run};

const APP: &str = r#"
    import { procedure, query, type Int, type JSON } from "weir";
    import { customers } from "../collections";
    export const fill = procedure((args: { from: Int; count: Int }): Int => {
      for (let n = args.from; n < args.from + args.count; n++) customers.insert({ name: `A${n} B${n}` });
      return args.count;
    });
    export const digest = query((): JSON => customers.all().map((customer) => customer.name).sort().join());
    // file: collections.ts
    import { collection, type Int } from "weir";
    export interface Customer { name: string }
    export const customers = collection<Customer>();
    // file: policies.cedar
    permit(principal, action, resource);
"#;

/// Takes its time, so that there is some to be killed in.
const MIGRATION: &str = r#"
    const think = (n: number) => { for (let i = 0; i < 300_000; i++) n = (n * 31 + i) % 1_000_003; return n; };
    export const up = procedure((args: { documents: JSON[] }): JSON[] => (args.documents as any[]).map((customer) => {
      think(customer.name.length);
      return { ...customer, first: customer.name.split(" ")[0], times: (customer.times ?? 0) + 1 };
    }));
    export const down = procedure((args: { documents: JSON[] }): JSON[] => (args.documents as any[]).map((customer) => {
      const { first, times, ...rest } = customer;
      think(customer.name.length);
      return rest;
    }));
    export const second = query((): Int => 2);
    export const migrated = query((): JSON =>
      customers.all().map((customer) => `${customer.first} ${customer.times}`).sort().join());
"#;

const CUSTOMERS: usize = 2_000;
/// Kills in each direction.
const KILLS: usize = 3;
/// Nobody is asked more often than that how far it is.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(25);

struct Walk {
    production: Production,
}

impl Walk {
    /// How many documents are done of the migration that is on record, if one is.
    fn done(&self) -> Option<String> {
        thread::sleep(BETWEEN_QUESTIONS);
        let request = minreq::post(format!("{}/admin/graphql", self.production.server.url))
            .with_header("content-type", "application/json")
            .with_header("authorization", format!("Bearer {}", self.production.root));
        let body = json!({ "query": "{ migration { collections { done } } }" }).to_string();
        let answer: Value = serde_json::from_str(request.with_body(body).send().unwrap().as_str().unwrap()).unwrap();
        assert!(answer.get("errors").is_none(), "{answer}");
        answer.pointer("/data/migration/collections/0/done").map(|done| done.as_str().unwrap().to_owned())
    }

    /// Kills the server once more documents are done than before, or none are to be done any more; and starts it again.
    fn kill(&mut self, is_over: impl Fn(&Self) -> bool) {
        let before = self.done();
        eventually("some more of the migration", || (self.done() != before || is_over(self)).then_some(()));
        self.production.server.process.kill();
        let config = self.production.app.beside("weir.toml");
        self.production.server = serve(&["--config", config.to_str().unwrap()]);
    }

    fn data(&self, query: &str) -> Value {
        self.production.server.client().data(query)
    }

    fn serves_the_second(&self) -> bool {
        self.production.server.client().answer("{ second }", json!({})).get("errors").is_none()
    }
}

#[test]
fn a_migration_goes_on_over_kills_and_so_does_its_end() {
    let mut walk = Walk { production: Production::start(App::of(APP)) };
    for from in (0..CUSTOMERS).step_by(500) {
        walk.data(&format!("mutation {{ fill(from: {from}, count: 500) }}"));
    }
    let before = walk.data("{ digest }");

    let app = &walk.production.app;
    app.edit("collections.ts", "name: string", "name: string; first: string; times: Int");
    app.edit("app.toml", "1.0.0", "2.0.0");
    let manifest = app.read("app.toml");
    app.write("app.toml", &format!("{manifest}\n[migration.customers]\nup = \"up\"\ndown = \"down\"\n"));
    let functions = APP.split("// file: collections.ts").next().unwrap();
    app.write("functions/t.ts", &format!("{functions}{MIGRATION}"));
    let (folder, key, data) = (app.path(), app.beside("key.pem"), app.data());
    let [folder, key, data] = [folder, key, data].map(|path| path.to_str().unwrap().to_owned());
    let deploying = thread::spawn(move || run(&["deploy", &folder, "--key", &key, "--data", &data]));
    eventually("the migration", || (walk.done().is_some() || walk.serves_the_second()).then_some(()));
    for _ in 0..KILLS {
        walk.kill(Walk::serves_the_second);
    }
    // Whoever deploys was cut off, or has been told before.
    drop(deploying.join().unwrap());
    eventually("the release", || walk.serves_the_second().then_some(()));
    let mut expected: Vec<String> = (0..CUSTOMERS).map(|n| format!("A{n} 1")).collect();
    expected.sort();
    assert_eq!(walk.data("{ migrated }"), json!({ "migrated": expected.join(",") }));

    let back = walk.production.on_data(&["rollout", "rollback"]);
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert!(!walk.serves_the_second());
    for _ in 0..KILLS {
        walk.kill(|walk| walk.done().is_none());
        assert!(!walk.serves_the_second());
    }
    eventually("the end of the migration", || walk.done().is_none().then_some(()));
    assert_eq!(walk.data("{ digest }"), before);
    let data = walk.production.app.data();
    let Production { app, server, .. } = walk.production;
    assert_eq!(server.stop(), Some(0));
    let file = app.beside("customers.jsonl");
    let exported = run(&["export", file.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let exported = fs::read_to_string(file).unwrap();
    let documents: Vec<&str> = exported.lines().filter(|line| line.starts_with("{\"record\":\"document\"")).collect();
    assert_eq!(documents.len(), CUSTOMERS);
    assert!(documents.iter().all(|line| !line.contains("first") && !line.contains("times")), "{exported}");
}

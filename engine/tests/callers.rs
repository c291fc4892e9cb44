//! Who calls, as functions see it, and who shares a result with whom: callers who agree on what was read of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{Caller, Identity, TokenKind};
use weir_engine::jobs::Scheduler;
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const MANIFEST: &str = "name = \"test\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 20000\nwall_ms = 50000\n\
    [caller]\nclaims = { org = \"string\", level = \"int\", beta = \"boolean\", groups = \"[string]\" }\n";

const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Item { n: Int; by?: string }
export const items = collection<Item>();
"#;

const FUNCTIONS: &str = r#"
import { caller, procedure, query, schedule, view, type ID, type Int, type JSON } from "weir";
import { items } from "../collections";
const size = (): Int => items.all().length;
export const all = query((): JSON => caller as unknown as JSON);
export const nobodys = query((): Int => size());
export const issuers = query((): string => `${caller.issuer} ${size()}`);
export const roles = query((): string => `${caller.roles.join()} ${size()}`);
export const scopes = query((): string => `${caller.scopes.join()} ${size()}`);
export const orgs = query((): string => `${caller.claims.org} ${size()}`);
export const beta = view((): string => `${caller.claims.beta}`);
export const orgOrLevel = view((): string => caller.claims.org ?? `level ${caller.claims.level}`);
export const nested = query((): string => `${beta()} ${orgOrLevel()} ${size()}`);
export const some = query((args: { mask: Int }): string => {
  const looks = [
    () => caller.kind, () => caller.subject, () => caller.issuer, () => caller.roles.join(), () => caller.claims.org,
    () => caller.claims.level,
  ];
  return looks.filter((_, place) => (args.mask & (1 << place)) !== 0).map((look) => `${look()}`).join(" ");
});
export const admins = query((): Int | null => caller.roles.includes("admin") ? size() : null);
export const add = procedure((): ID => items.insert({ n: 1, by: `${caller.subject} ${caller.claims.org}` }).id);
export const later = procedure((): ID => schedule({ after: 1 }, add, {}));
export const by = query((): JSON => items.all().map((item) => item.by ?? null) as unknown as JSON);
export const hoards = query((): string => {
  for (const one of [caller.roles, caller.claims] as any[]) {
    try { one.push("admin"); } catch { /* It is frozen. */ }
    try { one.org = "evil"; } catch { /* This too. */ }
  }
  return `${caller.roles.join()} ${caller.claims.org}`;
});
"#;

struct App {
    engine: Engine,
    release: Arc<Release>,
    _folder: tempfile::TempDir,
}

impl App {
    async fn open() -> Self {
        let texts = [("app.toml", MANIFEST), ("collections.ts", COLLECTIONS), ("functions/items.ts", FUNCTIONS)];
        let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let app = compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let release = engine.activate(app).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    async fn ask(&self, caller: &Caller, function: &str) -> Value {
        let answer = self.engine.call(&self.release, caller, function, json!({})).await;
        answer.unwrap_or_else(|error| panic!("{function}: {error}")).value.take()
    }

    /// Whether the second of two callers is answered with the result of the first.
    async fn share(&self, function: &str, first: &Caller, second: &Caller) -> bool {
        // A commit, so that nothing is kept yet, and the callers' own answers, so that it is known what is read.
        self.ask(&Caller::Developer, "add").await;
        let one = self.ask(first, function).await;
        let runs = self.engine.result_counts().run;
        let other = self.ask(second, function).await;
        let shared = self.engine.result_counts().run == runs;
        assert!(!shared || one == other, "{function}: {one} and {other}");
        shared
    }
}

fn identity(subject: &str, claims: Value) -> Identity {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    Identity {
        kind: TokenKind::User,
        issuer: "https://a.example".to_owned(),
        subject: subject.to_owned(),
        roles: vec!["clerk".to_owned()],
        scopes: vec!["read".to_owned(), "write".to_owned()],
        claims,
    }
}

fn token(subject: &str, claims: Value) -> Caller {
    Caller::Token(Arc::new(identity(subject, claims)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_the_token_as_app_toml_declares_it() {
    let app = App::open().await;
    let ada = token("ada", json!({ "org": "acme", "level": "high", "groups": ["a", "b"], "undeclared": 1 }));
    let seen = app.ask(&ada, "all").await;
    let expected = json!({
        "kind": "user", "subject": "ada", "issuer": "https://a.example", "roles": ["clerk"], "scopes": ["read", "write"],
        "claims": { "beta": null, "groups": ["a", "b"], "level": null, "org": "acme" },
    });
    assert_eq!(seen, expected);
    let without = |kind: &str, subject: Value| {
        json!({
            "kind": kind, "subject": subject, "issuer": null, "roles": [], "scopes": [],
            "claims": { "beta": null, "groups": null, "level": null, "org": null },
        })
    };
    assert_eq!(app.ask(&Caller::Anonymous, "all").await, without("anonymous", Value::Null));
    assert_eq!(app.ask(&Caller::Scheduler, "all").await, without("service", json!("cron")));
    let service = Caller::Token(Arc::new(Identity { kind: TokenKind::Service, ..identity("robot", json!({})) }));
    assert_eq!(app.ask(&service, "all").await["kind"], json!("service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_function_does_to_what_it_sees_reaches_the_next() {
    let app = App::open().await;
    let ada = token("ada", json!({ "org": "acme" }));
    for _ in 0..3 {
        assert_eq!(app.ask(&ada, "hoards").await, json!("clerk acme"));
        app.ask(&Caller::Developer, "add").await;
    }
    assert_eq!(app.ask(&token("bob", json!({})), "hoards").await, json!("clerk null"));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_share_a_result_who_agree_on_what_it_read() {
    let app = App::open().await;
    let ada = token("ada", json!({ "org": "acme", "beta": true }));
    // Another in all but the issuer, the roles, the scopes and one claim at a time.
    let bob = |change: fn(&mut Identity)| {
        let mut bob = identity("bob", json!({ "org": "acme", "beta": true, "level": 7 }));
        change(&mut bob);
        Caller::Token(Arc::new(bob))
    };
    let same = bob(|_| ());
    let others = [
        ("issuers", bob(|bob| bob.issuer = "https://b.example".to_owned())),
        ("roles", bob(|bob| bob.roles = vec!["admin".to_owned()])),
        ("scopes", bob(|bob| bob.scopes = Vec::new())),
        ("orgs", bob(|bob| drop(bob.claims.insert("org".to_owned(), json!("other"))))),
        ("beta", bob(|bob| drop(bob.claims.remove("beta")))),
    ];
    for function in ["nobodys", "issuers", "roles", "scopes", "orgs", "nested"] {
        // So that it is known what of a caller the function reads.
        app.share(function, &ada, &same).await;
        assert!(app.share(function, &ada, &same).await, "{function}: they differ in nothing that it reads");
        for (differs, other) in &others {
            let reads = *differs == function || (function == "nested" && ["orgs", "beta"].contains(differs));
            assert_eq!(app.share(function, &ada, other).await, !reads, "{function} with another of {differs}");
        }
    }
    assert!(app.share("nobodys", &ada, &Caller::Anonymous).await);
    assert!(!app.share("roles", &ada, &Caller::Anonymous).await);
    assert!(app.ask(&bob(|bob| bob.roles = vec!["admin".to_owned()]), "admins").await.is_number());
    assert!(app.ask(&ada, "admins").await.is_null(), "roles decide, whatever was kept for others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_reads_something_else_each_time_gives_each_caller_its_own() {
    let app = App::open().await;
    let mut bob = identity("bob", json!({ "org": "other", "level": 2 }));
    (bob.kind, bob.issuer, bob.roles) = (TokenKind::Service, "b".to_owned(), vec!["x".to_owned()]);
    let callers = [
        (
            token("ada", json!({ "org": "acme", "level": 1 })),
            ["user", "ada", "https://a.example", "clerk", "acme", "1"],
        ),
        (Caller::Token(Arc::new(bob)), ["service", "bob", "b", "x", "other", "2"]),
    ];
    let mut runs = 0;
    // More sets of what was read than are told apart, then all of them again. Those that were open when there were too many are
    // looked for anew in the second round.
    for round in 0..3 {
        for mask in 0..64 {
            for (caller, all) in &callers {
                let expected: Vec<&str> =
                    (0..6).filter(|place| mask & (1 << place) != 0).map(|place| all[place]).collect();
                let answer = app.engine.call(&app.release, caller, "some", json!({ "mask": mask })).await.unwrap();
                assert_eq!(answer.value.take(), json!(expected.join(" ")), "{mask} in round {round}");
            }
        }
        let now = app.engine.result_counts().run;
        assert!(round < 2 || now == runs, "all is kept: {} more runs", now - runs);
        runs = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_view_reads_of_a_caller_counts_for_who_calls_it() {
    let app = App::open().await;
    // With an org the level is not read.
    let [one, other] = [7, 8].map(|level| token("ada", json!({ "org": "acme", "level": level })));
    app.share("nested", &one, &other).await;
    assert!(app.share("nested", &one, &other).await);
    let [low, high] = [7, 8].map(|level| token("ada", json!({ "level": level })));
    assert!(!app.share("nested", &low, &high).await);
    assert_eq!(app.ask(&low, "orgOrLevel").await, json!("level 7"));
    assert_eq!(app.ask(&high, "orgOrLevel").await, json!("level 8"));
    assert_eq!(app.ask(&one, "orgOrLevel").await, json!("acme"));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_share_a_run_who_agree_on_what_it_read() {
    let app = App::open().await;
    let [ada, bob, eve] =
        [("ada", "acme"), ("bob", "acme"), ("eve", "evil")].map(|(name, org)| token(name, json!({ "org": org })));
    let watch = |caller: &Caller| app.engine.watch(&app.release, caller, "orgs", json!({}), None);
    let mut watches = [watch(&ada), watch(&bob), watch(&eve)];
    for (watch, first) in watches.iter_mut().zip(["acme 0", "acme 0", "evil 0"]) {
        assert_eq!(*watch.next().await.unwrap().value, json!(first));
    }
    app.ask(&Caller::Developer, "add").await;
    for (watch, next) in watches.iter_mut().zip(["acme 1", "acme 1", "evil 1"]) {
        let next_value = tokio::time::timeout(Duration::from_secs(60), watch.next()).await.expect("a value").unwrap();
        assert_eq!(*next_value.value, json!(next));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_called_by_who_scheduled_it() {
    let app = App::open().await;
    let jobs = Scheduler::start(app.engine.clone(), app.engine.clock().clone());
    app.ask(&token("ada", json!({ "org": "acme" })), "later").await;
    let done = async {
        while app.ask(&Caller::Developer, "by").await != json!(["ada acme"]) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done).await.expect("the job runs");
    jobs.stop().await;
}

//! Decisions of policies, and what rules of rows cost.
//!
//! `cargo bench --bench policies` prints the median of a decision with 100 policies (aim: under 10 µs), and how long a query
//! over 1,000 rows takes with a rule for each row beside the same without policies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, json};
use weir_engine::Engine;
use weir_engine::access::action::Action;
use weir_engine::access::compile::compile as compile_policies;
use weir_engine::access::policies::Policies;
use weir_engine::access::question::Question;
use weir_engine::call::{Caller, Identity, TokenKind};
use weir_engine::release::Release;
use weir_sandbox::App;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const POLICIES: usize = 100;
const DECISIONS: usize = 20_000;
const ROWS: usize = 1_000;
const QUERIES: usize = 300;

const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Order { owner: string; org: string; amount: Int; status: "open" | "paid"; tags: string[]; note?: string }
export const orders = collection<Order>({ index: ["amount"] });
"#;

const FUNCTIONS: &str = r#"
import { procedure, query, type Doc, type Int } from "weir";
import { orders, type Order } from "../collections";
export const all = query((args: { round: Int }): Int => orders.all().length + 0 * args.round);
export const counted = query((args: { round: Int }): Int => orders.count() + 0 * args.round);
export const place = procedure((args: { owner: string; amount: Int }): Doc<Order> =>
  orders.insert({ owner: args.owner, org: "acme", amount: args.amount, status: "open", tags: ["a", "b"], note: "no note" }));
"#;

/// Policies of a large app: each about some action, caller, resource and condition of its own.
fn policies() -> String {
    let mut text = String::new();
    for number in 0..POLICIES {
        let policy = match number % 5 {
            0 => format!(
                "permit(principal is User, action == Action::\"call\", resource) when {{ principal.roles.contains(\"role{number}\") }};"
            ),
            1 => format!(
                "permit(principal is User, action in [Action::\"read\", Action::\"update\"], resource is Order)
                 when {{ resource.owner == principal.subject && resource.amount < {number} }};"
            ),
            2 => format!(
                "permit(principal, action in Action::\"read\", resource is Order) when {{ principal.claims has org && resource.org == principal.claims.org && resource.tags.contains(\"t{number}\") }};"
            ),
            3 => format!(
                "forbid(principal is Service, action, resource) unless {{ principal.scopes.contains(\"scope{number}\") }};"
            ),
            _ => format!(
                "permit(principal, action == Action::\"call\", resource == Function::\"place\")
                 when {{ context.args.amount < {number} && principal.roles.contains(\"clerk\") }};"
            ),
        };
        writeln!(text, "{policy}").unwrap();
    }
    text
}

fn main() {
    let caller = user("ada", &["clerk", "role95"]);
    let app = app(None);
    let policies =
        compile_policies(&app.declarations, &app.manifest.caller, &policies()).expect("the policies compile");
    assert_eq!(policies.count(), POLICIES);
    let call = Question::Call { function: "place".into(), arguments: object(json!({ "owner": "ada", "amount": 50 })) };
    let document =
        object(json!({ "id": "1", "owner": "ada", "org": "acme", "amount": 40, "status": "open", "tags": ["t92"] }));
    let read = Question::Document {
        action: Action::Read,
        collection: "orders".into(),
        document,
        function: "all".into(),
        field: None,
    };
    for (what, question) in [("call", &call), ("read", &read)] {
        let median = decisions(&policies, &app, &caller, question);
        println!("decision of {what} with {POLICIES} policies       p50 {median:>9.2?}");
    }
    let rule = "permit(principal, action == Action::\"call\", resource);
        permit(principal is User, action in Action::\"read\", resource is Order) when { resource.owner == principal.subject };";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for function in ["all", "counted"] {
            let (without, with) = rows(rule, &caller, function).await;
            println!("{function:<8} of {ROWS} rows without policies      p50 {without:>9.2?}");
            println!("{function:<8} of {ROWS} rows, a rule for each      p50 {with:>9.2?}");
            println!("ratio                                    {:.2}", with.as_secs_f64() / without.as_secs_f64());
        }
    });
}

fn app(policies: Option<&str>) -> App {
    let manifest = "name = \"bench\"\nversion = \"1.0.0\"\n[caller]\nclaims = { org = \"string\" }\n";
    let mut texts = vec![("app.toml", manifest), ("collections.ts", COLLECTIONS), ("functions/orders.ts", FUNCTIONS)];
    texts.extend(policies.map(|text| ("policies.cedar", text)));
    let texts = texts.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned()));
    compile(&Sources::from_texts(texts)).expect("the benchmark's app compiles")
}

fn user(subject: &str, roles: &[&str]) -> Caller {
    Caller::Token(Arc::new(Identity {
        kind: TokenKind::User,
        issuer: "https://issuer.example".into(),
        subject: subject.into(),
        roles: roles.iter().map(ToString::to_string).collect(),
        scopes: Vec::new(),
        claims: object(json!({ "org": "acme" })),
    }))
}

fn object(json: serde_json::Value) -> Map<String, serde_json::Value> {
    json.as_object().unwrap().clone()
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// From the caller and what is asked to the decision, all of it.
fn decisions(policies: &Policies, app: &App, caller: &Caller, question: &Question) -> Duration {
    let one = || {
        let begun = Instant::now();
        let decision = policies.answer(&app.declarations, black_box(caller), black_box(question)).unwrap();
        assert!(black_box(decision).allowed);
        begun.elapsed()
    };
    median((0..DECISIONS).map(|_| one()).collect())
}

/// A query that looks at all rows, without policies and with a rule, in turns. All rows are of the caller, so both give the same.
async fn rows(rule: &str, caller: &Caller, function: &str) -> (Duration, Duration) {
    let both = [Rows::with(None).await, Rows::with(Some(rule)).await];
    let mut samples = [Vec::with_capacity(QUERIES), Vec::with_capacity(QUERIES)];
    for round in 0..QUERIES {
        for (rows, samples) in both.iter().zip(&mut samples) {
            let begun = Instant::now();
            let answer = rows.engine.call(&rows.release, caller, function, json!({ "round": round })).await.unwrap();
            samples.push(begun.elapsed());
            assert_eq!(answer.value.as_u64(), Some(ROWS as u64));
        }
    }
    for rows in both {
        rows.engine.close().await;
    }
    let [without, with] = samples.map(median);
    (without, with)
}

/// An app with rows.
struct Rows {
    engine: Engine,
    release: Arc<Release>,
    _folder: tempfile::TempDir,
}

impl Rows {
    async fn with(policies: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let release = engine.activate(app(policies)).await.unwrap();
        for amount in 0..ROWS {
            let args = json!({ "owner": "ada", "amount": amount });
            engine.call(&release, &Caller::Developer, "place", args).await.unwrap();
        }
        Self { engine, release, _folder: folder }
    }
}

//! How fast documents that are made to cost much are refused, beside reading the same bytes as JSON.
//!
//! `cargo bench --bench hostile_documents` prints, for each document of the tests: the time until it is refused and by
//! what, and the ratio to reading the request that it comes in. It does so for 1 MB with the default limits; for 1 MB where
//! `document_bytes` lets it in; and for the largest documents that fit the default limits, which are parsed and validated.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

#[path = "../src/graphql/tests/hostile_documents.rs"]
mod hostile_documents;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir::graphql::Schema;
use weir_sandbox::compile::{Sources, compile};
use weir_schema::graphql::GraphqlSettings;

use self::hostile_documents::hostile_documents;

const MEGABYTE: usize = 1 << 20;
/// Of which the median counts.
const RUNS: usize = 9;

/// What the documents are for.
const SHOP: &str = r#"
import { query, type ID, type Int, type JSON } from "weir";
interface Order { id: ID; total: Int }
interface Done { kind: "done"; balance: Int }
interface Refused { kind: "refused"; reason: Int }
export const countOrders = query((): Int => 1);
export const order = query((args: { id: ID }): Order => ({ id: args.id, total: 1 }));
export const ordersOf = query((args: { customer: ID; limit?: Int }): Order[] => []);
export const settings = query((args: { key?: JSON }): JSON => null);
export const lastTransfer = query((): Done | Refused => ({ kind: "done", balance: 1 }));
"#;

fn main() {
    let texts = [("app.toml", "name = \"bench\"\nversion = \"1.0.0\"\n"), ("functions/shop.ts", SHOP)];
    let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let app = compile(&Sources::from_texts(texts)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let measure = |title: &str, settings: &GraphqlSettings, bytes: usize| {
        println!("{title}");
        let schema = Schema::build(&app.declarations, settings).unwrap();
        let mut longest = Duration::ZERO;
        for (name, document) in hostile_documents(bytes) {
            let mut outcome = String::new();
            // Each another one, so that none is known.
            let mut others = (0..RUNS).map(|run| format!("{document}\n#{run}")).collect::<Vec<_>>().into_iter();
            let refused = median(|| {
                let document = others.next().unwrap();
                outcome = runtime.block_on(schema.prepare(&document, None)).map_or_else(
                    |errors| errors[0].extensions.limit.unwrap_or(errors[0].extensions.code.as_str()).to_owned(),
                    |_| "let through".to_owned(),
                );
            });
            let body = json!({ "query": document }).to_string();
            let read = median(|| drop(serde_json::from_slice::<Value>(body.as_bytes())));
            let ratio = refused.as_secs_f64() / read.as_secs_f64().max(1e-9);
            let length = document.len();
            println!("  {name:<28} {length:>8} bytes {refused:>11.2?}  {ratio:>7.2} of JSON  {outcome}");
            longest = longest.max(refused);
        }
        println!("  longest {longest:.2?}");
    };
    let limits = GraphqlSettings::default();
    measure("1 MB, default limits", &limits, MEGABYTE);
    let open = GraphqlSettings { document_bytes: 2 * MEGABYTE, ..limits.clone() };
    measure("1 MB, document_bytes = 2 MiB", &open, MEGABYTE);
    measure("16 KiB, default limits", &limits, 16 << 10);
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2]
}

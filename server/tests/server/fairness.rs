//! Two connections: one floods the server, the other is answered.

use serde_json::json;
use weir::ServerOptions;
use weir_sandbox::pool::PoolOptions;

use crate::app::App;

/// `burn` computes for some tens of milliseconds. A procedure, since equal queries share a run.
const MODULE: &str = r#"
import { procedure, query, type Int } from "weir";
export const burn = procedure((): Int => {
  let x = 1;
  for (let i = 0; i < 2_000_000; i++) x = (x * 16807) % 2147483647;
  return x % 1;
});
export const quick = query((): Int => 7);
"#;

async fn app(pool: PoolOptions) -> App {
    let app = App::start_on(pool, ServerOptions::default()).await;
    app.activate(MODULE).await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_call_overtakes_the_flood_of_another_connection() {
    const FLOOD: usize = 100;
    let app = app(PoolOptions { isolates: 2, ..PoolOptions::default() }).await;
    let (mut flooding, mut quick) = (app.session().await, app.session().await);
    for id in 0..FLOOD {
        flooding.subscribe(&id.to_string(), "mutation { burn }").await;
    }
    // The flood has arrived when its first result is there.
    let first = flooding.next_json().await;
    assert_eq!(first["payload"]["data"], json!({ "burn": 0 }));
    for id in 0..3 {
        quick.subscribe(&id.to_string(), "{ quick }").await;
        assert_eq!(quick.next_json().await["payload"]["data"], json!({ "quick": 7 }));
        assert_eq!(quick.next_json().await["type"], "complete");
    }
    // What was there before the answer to this was finished by then.
    flooding.send(json!({ "type": "ping" })).await;
    let (mut before, mut after) = (1, 0);
    let mut ponged = false;
    while before + after < FLOOD {
        let message = flooding.next_json().await;
        match message["type"].as_str() {
            Some("next") if ponged => after += 1,
            Some("next") => before += 1,
            Some("pong") => ponged = true,
            _ => {}
        }
    }
    assert!(after > 0, "{before} of {FLOOD} slow calls had ended before three quick ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_line_is_unavailable_and_says_when_to_retry() {
    let app = app(PoolOptions { isolates: 1, queue_share_max: 1, ..PoolOptions::default() }).await;
    let (mut flooding, mut other) = (app.session().await, app.session().await);
    for id in 0..6 {
        flooding.subscribe(&id.to_string(), "mutation { burn }").await;
    }
    let (mut ended, mut refused) = (0, 0);
    while ended < 6 {
        let message: serde_json::Value = serde_json::from_str(&flooding.next().await).unwrap();
        match message["type"].as_str() {
            Some("next") => {
                let error = &message["payload"]["errors"][0];
                if error.is_object() {
                    refused += 1;
                    assert_eq!(error["extensions"]["code"], "UNAVAILABLE", "{message}");
                    assert!(error["extensions"]["retryAfterMs"].as_u64().is_some_and(|retry| retry >= 10), "{message}");
                }
            }
            _ => ended += 1,
        }
    }
    assert!(refused > 0, "one waits at most");
    other.subscribe("a", "{ quick }").await;
    assert_eq!(other.next_json().await["payload"]["data"], json!({ "quick": 7 }));
}

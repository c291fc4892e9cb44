//! A query with variables that calls a function, over HTTP, beside a bare axum handler that parses the same request and
//! returns the same JSON. Both answer in this process, one after the other, to the same load.
//!
//! `cargo bench -p weir --bench http` prints requests per second, latencies and the ratio.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir::{Server, ServerOptions};
use weir_engine::Engine;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

const FUNCTIONS: &str = r#"
import { query, type Float } from "weir";
interface Item { price: Float; quantity: Float }
interface Total { net: Float; tax: Float; gross: Float }
export const total = query((args: { items: Item[]; rate: Float }): Total => {
  const net = args.items.reduce((sum, item) => sum + item.price * item.quantity, 0);
  const tax = net * args.rate;
  return { net, tax, gross: net + tax };
});
"#;

fn body() -> String {
    json!({
        "query": "query Total($items: [ItemInput!]!, $rate: Float!) { total(items: $items, rate: $rate) { net tax gross } }",
        "variables": {
            "items": [{ "price": 9.5, "quantity": 2 }, { "price": 3, "quantity": 7 }, { "price": 1.25, "quantity": 4 }],
            "rate": 0.2,
        },
    })
    .to_string()
}

fn main() {
    weir_sandbox::isolate::prepare_v8();
    let folder = tempfile::tempdir().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let weir = start_weir(folder.path()).await;
        let bare = start_bare().await;
        let mut ratios = Vec::new();
        for round in 0..=ROUNDS {
            let (floor, ours) = (load(bare).await, load(weir).await);
            // The first round warms both up.
            if round > 0 {
                let ratio = ours.rate / floor.rate;
                println!("bare axum {floor}   weir {ours}   ratio {ratio:.2}");
                ratios.push(ratio);
            }
        }
        ratios.sort_unstable_by(f64::total_cmp);
        println!("ratio weir / bare axum, median of {ROUNDS} rounds: {:.2}", ratios[ratios.len() / 2]);
    });
}

async fn start_weir(folder: &std::path::Path) -> SocketAddr {
    let sources = Sources::from_texts([
        ("app.toml".to_owned(), "name = \"bench\"\nversion = \"1.0.0\"".to_owned()),
        ("functions/total.ts".to_owned(), FUNCTIONS.to_owned()),
    ]);
    let store = Store::open(&folder.join("data"), Options::default()).unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    let server = Server::start(engine.clone(), ServerOptions::default());
    engine.activate(compile(&sources).expect("the benchmark's app compiles")).await.unwrap();
    server.ready().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener, std::future::pending()));
    address
}

async fn start_bare() -> SocketAddr {
    async fn answer(Json(request): Json<Value>) -> Json<Value> {
        let variables = &request["variables"];
        let product = |item: &Value| item["price"].as_f64().unwrap() * item["quantity"].as_f64().unwrap();
        let net: f64 = variables["items"].as_array().unwrap().iter().map(product).sum();
        let tax = net * variables["rate"].as_f64().unwrap();
        Json(json!({ "data": { "total": { "net": net, "tax": tax, "gross": net + tax } } }))
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/graphql", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

struct Load {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>7.0}/s p50 {:>8.1?} p99 {:>8.1?}", self.rate, self.p50, self.p99)
    }
}

/// Keep-alive connections that each send the next request when the last is answered.
async fn load(address: SocketAddr) -> Load {
    let body = body();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let started = Instant::now();
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut samples, mut buffer) = (Vec::new(), vec![0; 4096]);
                while started.elapsed() < ROUND {
                    let sent = Instant::now();
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let read = stream.read(&mut buffer).await.unwrap();
                    let text = std::str::from_utf8(&buffer[..read]).unwrap();
                    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"gross\":54"), "{text}");
                    samples.push(sent.elapsed());
                }
                samples
            })
        })
        .collect();
    let mut samples = Vec::new();
    for connection in connections {
        samples.extend(connection.await.unwrap());
    }
    let rate = samples.len() as f64 / started.elapsed().as_secs_f64();
    samples.sort_unstable();
    Load { rate, p50: samples[samples.len() / 2], p99: samples[samples.len() * 99 / 100] }
}

//! GraphQL over HTTP beside a bare axum handler that parses and returns the same JSON.
//!
//! `cargo bench --bench graphql` prints requests per second and their ratio. Client and server share the machine's cores in both cases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Json;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir::{Server, ServerOptions};
use weir_engine::Engine;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);

const FUNCTIONS: &str = r#"
import { query, type Float, type Int } from "weir";
interface Item { price: Float; quantity: Float }
interface Total { net: Float; tax: Float; gross: Float }
export const total = query((args: { items: Item[]; rate: Float; call: Int }): Total => {
  const net = args.items.reduce((sum, item) => sum + item.price * item.quantity, 0);
  const tax = net * args.rate;
  return { net, tax, gross: net + tax };
});
"#;

const QUERY: &str = "query Total($items: [ItemInput!]!, $rate: Float!, $call: Int!) {
    total(items: $items, rate: $rate, call: $call) { net tax gross }
}";
/// What `call` is first; it has so many digits always.
const CALL: u64 = 100_000_000;

fn request(path: &str, query: &str) -> String {
    let items = json!([
        { "price": 9.5, "quantity": 2 }, { "price": 3, "quantity": 7 }, { "price": 1.25, "quantity": 4 }
    ]);
    let body = json!({ "query": query, "variables": { "items": items, "rate": 0.2, "call": CALL } }).to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn main() {
    weir_sandbox::isolate::prepare_v8();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let bare = throughput(serve_bare().await, request("/bare", QUERY), false).await;
        let folder = tempfile::tempdir().unwrap();
        let address = serve_weir(folder.path()).await;
        let idle = throughput(address, request("/graphql", "{ __typename }"), false).await;
        let kept = throughput(address, request("/graphql", QUERY), false).await;
        let weir = throughput(address, request("/graphql", QUERY), true).await;
        println!("bare axum handler           {bare:>9.0} requests/s");
        println!("GraphQL that calls nothing  {idle:>9.0} requests/s");
        println!("GraphQL over HTTP           {weir:>9.0} requests/s, each a run of its function");
        println!("GraphQL, a result at hand   {kept:>9.0} requests/s");
        println!("ratio GraphQL / bare        {:>9.2}", weir / bare);
        println!("ratio at hand / bare        {:>9.2}", kept / bare);
    });
}

/// What Weir does, without Weir: parse the request, compute, write the response.
async fn serve_bare() -> SocketAddr {
    let handler = |Json(request): Json<Value>| async move {
        let variables = &request["variables"];
        let items = variables["items"].as_array().unwrap();
        let amount = |item: &Value| item["price"].as_f64().unwrap() * item["quantity"].as_f64().unwrap();
        let net: f64 = items.iter().map(amount).sum();
        let tax = net * variables["rate"].as_f64().unwrap();
        Json(json!({ "data": { "total": { "net": net, "tax": tax, "gross": net + tax } } }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().route("/bare", post(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn serve_weir(folder: &std::path::Path) -> SocketAddr {
    let folder = folder.to_owned();
    let store = tokio::task::spawn_blocking(move || Store::open(&folder, Options::default())).await.unwrap().unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    let texts = [("app.toml", "name = \"bench\"\nversion = \"1.0.0\"\n"), ("functions/total.ts", FUNCTIONS)];
    let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
    engine.activate(compile(&Sources::from_texts(texts)).unwrap()).await.unwrap();
    let server = Server::start(engine, ServerOptions::default());
    server.ready().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener, std::future::pending()));
    address
}

/// Requests per second over connections that are kept alive: all the same, or no two the same.
async fn throughput(address: SocketAddr, request: String, differ: bool) -> f64 {
    let digits = request.find(&CALL.to_string());
    let start = Instant::now() + WARM_UP;
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|client| {
            let (mut request, mut call) = (request.clone(), CALL + client as u64 * 2_000_000);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut buffer, mut counted) = (vec![0; 4096], 0_u64);
                while start.elapsed() < MEASURED {
                    if let (true, Some(at)) = (differ, digits) {
                        call += 1;
                        request.replace_range(at..at + 9, &call.to_string());
                    }
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let length = stream.read(&mut buffer).await.unwrap();
                    let answer = &buffer[..length];
                    assert!(
                        answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"}"),
                        "one read holds the response"
                    );
                    counted += u64::from(Instant::now() > start);
                }
                counted
            })
        })
        .collect();
    let mut sum = 0;
    for client in clients {
        sum += client.await.unwrap();
    }
    sum as f64 / MEASURED.as_secs_f64()
}

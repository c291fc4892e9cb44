//! Whole requests with all that stands before and behind a call, and with none of it.
//!
//! On the one server a token is shown with each request, a hundred policies are asked, limits of the operator, of the app and of a
//! policy are counted, a query's rows are looked at by a rule, and each call of a procedure is put on record in its commit. On the
//! other nobody shows a token, there are no policies and no limits, and no call is on record. Both have the same documents.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir::auth::Tokens;
use weir::auth::remote::Outside;
use weir::auth::verify::Issuers;
use weir::config::{Config, RateSection};
use weir::{Server, ServerOptions};
use weir_engine::Engine;
use weir_engine::call::Caller;
use weir_engine::recording::{Calls, Recording};
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

use super::keys::{Signer, claims};

const POLICIES: usize = 100;
const CONNECTIONS: usize = 16;
/// Pairs of rounds, of which the median ratio is told.
const PAIRS: usize = 7;
const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_millis(1_500);
const DOCUMENTS: usize = 20;

const MANIFEST: &str = "name = \"bench\"\nversion = \"1.0.0\"\n[caller]\nclaims = { org = \"string\" }\n";
/// As high as they can be: what is refused is not what is measured.
const APP_LIMITS: &str =
    "[rate]\nrequests = \"1000000000/s\"\ncost = \"1000000000/s\"\n[rate.functions]\nplace = \"1000000000/s\"\n";
const LIMITS: &str = "[address]\nrequests = \"1000000000/s\"\nconnections = 100000\n\
    [caller]\nrequests = \"1000000000/s\"\ncost = \"1000000000/s\"\n";

const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Order { owner: string; org: string; amount: Int }
export const orders = collection<Order>({ index: ["owner"] });
"#;

const FUNCTIONS: &str = r#"
import { procedure, query, type Doc, type Float, type ID, type Int } from "weir";
import { orders, type Order } from "../collections";
export const total = query((args: { amounts: Float[]; call: Int }): Float =>
  args.amounts.reduce((sum, amount) => sum + amount, 0));
export const mine = query((args: { owner: string; call: Int }): Doc<Order>[] =>
  orders.where("owner", args.owner).take(20 + 0 * args.call));
export const place = procedure((args: { owner: string; call: Int }): ID =>
  orders.insert({ owner: args.owner, org: "acme", amount: args.call }).id);
"#;

/// What `call` is first; it has so many digits always.
const CALL: u64 = 100_000_000;
/// More than a connection makes in a round.
const CALLS_MAX: u64 = 500_000;
/// So that no round asks what another has asked.
static ROUNDS: AtomicU64 = AtomicU64::new(0);

pub fn run() {
    weir_sandbox::isolate::prepare_v8();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let on = Served::start(&folder.path().join("on"), true).await;
    let off = Served::start(&folder.path().join("off"), false).await;
    println!("whole requests            all on     all off      ratio   (lowest, highest of {PAIRS} pairs)");
    let requests = [
        ("a query", "query($call: Int!) { total(amounts: [9.5, 3, 1.25], call: $call) }"),
        ("a query of 20 rows", "query($call: Int!) { mine(owner: \"ada\", call: $call) { id owner org amount } }"),
        ("a procedure", "mutation($call: Int!) { place(owner: \"bob\", call: $call) }"),
    ];
    for (what, query) in requests {
        let mut pairs = Vec::with_capacity(PAIRS);
        for pair in 0..PAIRS {
            let mut figures = [0.0; 2];
            // In turns, so that what else the machine does is the same for both.
            let order = if pair.is_multiple_of(2) { [0, 1] } else { [1, 0] };
            for which in order {
                figures[which] = [&on, &off][which].throughput(query).await;
            }
            pairs.push(figures);
        }
        pairs.sort_by(|one, other| (one[0] / one[1]).total_cmp(&(other[0] / other[1])));
        let ratio = |[on, off]: [f64; 2]| on / off;
        let [with, without] = pairs[PAIRS / 2];
        let (middle, lowest, highest) = (with / without, ratio(pairs[0]), ratio(pairs[PAIRS - 1]));
        println!("{what:<20} {with:>9.0}/s {without:>9.0}/s {middle:>10.3}   ({lowest:.3}, {highest:.3})");
    }
    on.engine.close().await;
    off.engine.close().await;
}

struct Served {
    engine: Engine,
    address: SocketAddr,
    /// The token in a header, if one is shown.
    header: String,
}

impl Served {
    async fn start(folder: &Path, is_on: bool) -> Self {
        std::fs::create_dir(folder).unwrap();
        let store = Store::open(&folder.join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let calls = if is_on { Calls::All } else { Calls::None };
        engine.have_on_record(Recording { calls, ..Recording::default() });
        let manifest = format!("{MANIFEST}{}", if is_on { APP_LIMITS } else { "" });
        let policies = policies();
        let mut texts =
            vec![("app.toml", manifest.as_str()), ("collections.ts", COLLECTIONS), ("functions/orders.ts", FUNCTIONS)];
        texts.extend(is_on.then_some(("policies.cedar", policies.as_str())));
        let texts = texts.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned()));
        let app = compile(&Sources::from_texts(texts)).expect("the benchmark's app compiles");
        let release = engine.activate(app).await.unwrap();
        for number in 0..DOCUMENTS {
            let arguments = json!({ "owner": "ada", "call": number });
            engine.call(&release, &Caller::Developer, "place", arguments).await.unwrap();
        }
        let (tokens, header) = if is_on { tokens(folder) } else { (Tokens::default(), String::new()) };
        let rate = if is_on { toml::from_str(LIMITS).unwrap() } else { RateSection::off() };
        let tokenless = if is_on { Caller::Anonymous } else { Caller::Developer };
        let options = ServerOptions { rate, tokenless, ..ServerOptions::default() };
        let server = Server::start_with(engine.clone(), options, tokens);
        server.ready().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(server.serve(listener, std::future::pending()));
        Self { engine, address, header }
    }

    /// Requests per second over connections that are kept alive, no two the same.
    async fn throughput(&self, query: &str) -> f64 {
        let body = json!({ "query": query, "variables": { "call": CALL } }).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{body}",
            self.header,
            body.len()
        );
        let at = request.rfind(&CALL.to_string()).unwrap();
        let round = ROUNDS.fetch_add(1, Ordering::Relaxed);
        let (address, start) = (self.address, Instant::now() + WARM_UP);
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|client| {
                let mut call = CALL + (round * CONNECTIONS as u64 + client as u64) * CALLS_MAX;
                let mut request = request.clone();
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let (mut buffer, mut counted) = (vec![0; 16 << 10], 0_u64);
                    while start.elapsed() < MEASURED {
                        call += 1;
                        request.replace_range(at..at + 9, &call.to_string());
                        stream.write_all(request.as_bytes()).await.unwrap();
                        let length = stream.read(&mut buffer).await.unwrap();
                        let answer = std::str::from_utf8(&buffer[..length]).unwrap();
                        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with('}'), "{answer}");
                        assert!(!answer.contains("\"errors\""), "{answer}");
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
}

/// A token of an issuer, and the header that shows it.
fn tokens(folder: &Path) -> (Tokens, String) {
    let signer = Signer::p256();
    std::fs::write(folder.join("keys.json"), signer.jwk("k").to_string()).unwrap();
    let file = folder.join("weir.toml");
    let text = "[[issuer]]\nissuer = \"i\"\nalgorithms = [\"ES256\"]\naudience = [\"weir\"]\nkeys = [{ file = \"keys.json\" }]\n";
    std::fs::write(&file, text).unwrap();
    let config = Config::read(&file).unwrap();
    let issuers = Issuers::new(&config.issuer, &config.tokens, &Outside::real()).unwrap();
    let more = json!({ "roles": ["clerk"], "org": "acme" });
    let token = signer.token(&json!({ "alg": "ES256", "kid": "k", "typ": "JWT" }), &claims("i", more));
    (Tokens { issuers, remembered: 100 }, format!("authorization: Bearer {token}\r\n"))
}

/// Policies of a large app: each about some caller and resource of its own, and the ones that permit what is asked among them.
fn policies() -> String {
    let mut text = String::from(
        "@id(\"clerks\")\n@rate(\"1000000000/s\")\n\
         permit(principal is User, action == Action::\"call\", resource) when { principal.roles.contains(\"clerk\") };\n\
         permit(principal is User, action in Action::\"read\", resource is Order)\n\
         when { principal.claims has org && resource.org == principal.claims.org };\n\
         permit(principal is User, action == Action::\"create\", resource is Order) when { resource.amount >= 0 };\n",
    );
    for number in 3..POLICIES {
        let policy = match number % 4 {
            0 => format!(
                "permit(principal is User, action == Action::\"call\", resource) when {{ principal.roles.contains(\"role{number}\") }};"
            ),
            1 => format!(
                "permit(principal is User, action in [Action::\"read\", Action::\"update\"], resource is Order)
                 when {{ resource.owner == principal.subject && resource.amount < {number} }};"
            ),
            2 => format!(
                "forbid(principal is Service, action, resource) unless {{ principal.scopes.contains(\"scope{number}\") }};"
            ),
            _ => format!(
                "permit(principal, action == Action::\"call\", resource == Function::\"place\")
                 when {{ context.args.call < {number} && principal.roles.contains(\"till\") }};"
            ),
        };
        writeln!(text, "{policy}").unwrap();
    }
    text
}

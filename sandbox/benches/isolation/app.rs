//! The app of the benchmark, its limits, and a host for its calls.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use weir_sandbox::App;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::{InFlight, Isolation};
use weir_sandbox::protocol::{Answering, CallRequest, Host, HostCall, HostError, Outcome, ScriptCaller};

const MANIFEST: &str = "name = \"bench\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 50\nwall_ms = 5000\n";

const COLLECTIONS: &str = r#"
import { collection } from "weir";
export interface Order { note: string }
export const orders = collection<Order>();
"#;

const FUNCTIONS: &str = r#"
import { query, type Float, type Int } from "weir";
import { orders } from "../collections";
interface Item { price: Float; quantity: Float }
interface Total { net: Float; tax: Float; gross: Float }
export const total = query((args: { items: Item[]; rate: Float }): Total => {
  const net = args.items.reduce((sum, item) => sum + item.price * item.quantity, 0);
  const tax = net * args.rate;
  return { net, tax, gross: net + tax };
});
export const asks = query((args: { count: Int }): Int => {
  let found = 0;
  for (let i = 0; i < args.count; i++) if (orders.get("o1") !== null) found++;
  return found;
});
export const spoils = query((): Int => { Promise.reject(new Error("nobody listens")); return 1; });
export const loops = query((): Int => { for (;;); });
export const scans = query((): Int => Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1));
"#;

/// What `total` gets.
pub const ARGUMENTS: &str =
    r#"{"items":[{"price":9.5,"quantity":2},{"price":3,"quantity":7},{"price":1.25,"quantity":4}],"rate":0.2}"#;

/// What `total` gives.
pub const TOTAL: &str = r#"{"net":45,"tax":9,"gross":54}"#;

/// Both ways of isolation, by name.
pub const MODES: [(&str, Isolation); 2] = [("thread", Isolation::Thread), ("process", Isolation::Process)];

pub fn app() -> Arc<App> {
    let texts = [("app.toml", MANIFEST), ("collections.ts", COLLECTIONS), ("functions/bench.ts", FUNCTIONS)];
    let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
    Arc::new(compile(&Sources::from_texts(texts)).expect("the benchmark's app compiles"))
}

pub fn request(app: &App, function: &str, arguments: &str) -> CallRequest {
    CallRequest {
        function: app.declarations.functions.get_index_of(function).unwrap(),
        arguments: arguments.into(),
        now_ms: 1_700_000_000_000,
        seed: [1, 2, 3, 4],
        caller: ScriptCaller::without_token("developer").text(),
    }
}

/// A host that has its only document at hand.
pub struct NearHost {
    pub done: Sender<Outcome>,
    /// Of a call through a pool.
    pub in_flight: Option<InFlight>,
}

impl Host for NearHost {
    fn ask(&mut self, _call: HostCall) -> Result<String, HostError> {
        Ok(r#"{"id":"o1","note":"near"}"#.into())
    }

    fn start(&mut self, call: HostCall) -> Answering {
        Box::pin(async move { Err(HostError::Refused(format!("no action here: {call:?}"))) })
    }

    fn finish(mut self: Box<Self>, outcome: Outcome) {
        drop(self.in_flight.take());
        // A caller that has gone does not ask.
        let _ = self.done.send(outcome);
    }
}

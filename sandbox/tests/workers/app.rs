//! Apps, their workers, and calls of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use weir_sandbox::isolate::IsolateError;
use weir_sandbox::process::remote::RemoteIsolate;
use weir_sandbox::process::supervisor::Supervisor;
use weir_sandbox::process::worker::this_program;
use weir_sandbox::protocol::{Answering, CallRequest, Host, HostCall, HostError, Outcome, ScriptCaller, Wanted};
use weir_sandbox::{App, Module};
use weir_schema::declarations::{Collection, Declarations, Function, FunctionKind};
use weir_schema::manifest;
use weir_schema::shape::{Shape, Slot};

use super::examples::DOCUMENTS;

/// Small enough for tests to be quick; the wall limit is far off, since machines may be busy.
pub const LIMITS: &str = "cpu_ms = 500\nwall_ms = 30000\nheap_bytes = 33554432\narray_buffer_bytes = 8388608\n\
                          host_calls = 200\noutstanding_promises = 100\nresult_bytes = 100000";

/// The same with a wall limit that is near.
pub fn short() -> String {
    LIMITS.replace("wall_ms = 30000", "wall_ms = 1000")
}

/// An app of one module, which exports the collection `orders` and the functions named.
pub fn app(limits: &str, functions: &[(&str, FunctionKind)], body: &str) -> Arc<App> {
    let mut declarations = Declarations::default();
    let collection = Collection {
        name: "orders".into(),
        module: "main.ts".into(),
        document: "Order".into(),
        value: "OrderValue".into(),
        indexes: vec![],
        references: vec![],
    };
    declarations.collections.insert("orders".into(), collection);
    for (name, kind) in functions {
        let function = Function {
            name: (*name).into(),
            kind: *kind,
            description: None,
            module: "main.ts".into(),
            line: 1,
            arguments: vec![],
            result: Slot::required(Shape::Json),
            keep: None,
            groups: None,
            index: None,
        };
        declarations.functions.insert((*name).into(), function);
    }
    let manifest = format!("name = \"test\"\nversion = \"1.0.0\"\n[limits]\n{limits}");
    Arc::new(App {
        manifest: manifest::parse(&manifest).unwrap(),
        declarations,
        policies: None,
        modules: vec![Module {
            path: "main.ts".into(),
            code: format!(
                "import {{ query, procedure, action, stream, collection, call, fail, now }} from \"weir\";\n\
                 export const orders = collection();\n{body}\n"
            ),
            source_map: r#"{"version":3,"sources":[],"names":[],"mappings":""}"#.into(),
            imports: vec![("weir".into(), "weir".into())],
        }],
    })
}

/// One query `f`.
pub fn query(limits: &str, body: &str) -> Arc<App> {
    app(limits, &[("f", FunctionKind::Query)], &format!("export const f = query((args) => {{ {body} }});"))
}

/// Workers of this binary.
pub fn supervise(app: &App, seats: usize, spare: usize) -> Arc<Supervisor> {
    supervise_as(this_program().unwrap(), app, seats, spare)
}

/// Workers of any binary.
pub fn supervise_as(program: PathBuf, app: &App, seats: usize, spare: usize) -> Arc<Supervisor> {
    Arc::new(Supervisor::start(program, app, seats, spare).unwrap())
}

/// An isolate in a worker.
pub fn isolate(supervisor: &Arc<Supervisor>, app: &Arc<App>) -> Result<RemoteIsolate, IsolateError> {
    RemoteIsolate::new(supervisor, app)
}

/// Calls the function at a place, and says what it came to.
pub fn call_at(isolate: &mut RemoteIsolate, function: usize, arguments: &str) -> Outcome {
    let (done, outcome) = channel();
    let request = CallRequest {
        function,
        arguments: arguments.into(),
        now_ms: 1_700_000_000_000,
        seed: [1, 2, 3, 4],
        caller: ScriptCaller::without_token("developer").text(),
    };
    isolate.call(&request, Box::new(TableHost { done, events: Vec::new(), wanted: 0, reader: Duration::ZERO }));
    outcome.recv().unwrap().0
}

/// Runs the first function as a stream, for a reader who takes so many events and so long for each: the events and the end.
pub fn stream(isolate: &mut RemoteIsolate, wanted: usize, reader: Duration) -> (Vec<String>, Outcome) {
    let (done, outcome) = channel();
    let request = CallRequest {
        function: 0,
        arguments: "{}".into(),
        now_ms: 1_700_000_000_000,
        seed: [1, 2, 3, 4],
        caller: ScriptCaller::without_token("developer").text(),
    };
    isolate.call(&request, Box::new(TableHost { done, events: Vec::new(), wanted, reader }));
    let (outcome, events) = outcome.recv().unwrap();
    (events, outcome)
}

/// Calls the first function.
pub fn call(isolate: &mut RemoteIsolate) -> Outcome {
    call_at(isolate, 0, "{}")
}

/// What a call came to that gave this value.
pub fn value(text: &str) -> Outcome {
    Outcome::Value(text.into())
}

/// Answers from a table, and takes events.
struct TableHost {
    done: Sender<(Outcome, Vec<String>)>,
    events: Vec<String>,
    wanted: usize,
    reader: Duration,
}

impl Host for TableHost {
    fn ask(&mut self, call: HostCall) -> Result<String, HostError> {
        match call {
            HostCall::Get { id, .. } if id == "slow" => {
                std::thread::sleep(Duration::from_millis(1500));
                Ok(r#"{"id":"slow"}"#.into())
            }
            HostCall::Get { id, .. } if id == "large" => Ok(format!(r#"{{"id":"{}"}}"#, "x".repeat(3 << 20))),
            HostCall::Get { id, .. } => Ok(format!(r#"{{"id":"{id}"}}"#)),
            HostCall::Rows { .. } => Ok(DOCUMENTS.into()),
            HostCall::Page { .. } => {
                let documents: Vec<Value> = serde_json::from_str(DOCUMENTS).unwrap();
                let edges: Vec<_> = documents.iter().map(|node| json!({ "node": node, "cursor": "c" })).collect();
                let ends =
                    json!({ "hasNextPage": false, "hasPreviousPage": false, "startCursor": "c", "endCursor": "c" });
                Ok(json!({ "edges": edges, "pageInfo": ends }).to_string())
            }
            HostCall::Count { .. } => Ok("2".into()),
            HostCall::Insert { value, .. } if value != json!({}) => Ok(value.to_string()),
            HostCall::Insert { .. } => Err(HostError::Refused("orders.total: missing".into())),
            HostCall::Delete { .. } => Err(HostError::Aborted),
            _ => Ok("null".into()),
        }
    }

    fn start(&mut self, call: HostCall) -> Answering {
        let HostCall::Call { args, .. } = call else { panic!("{call:?}") };
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(args["after"].as_u64().unwrap_or(0))).await;
            Ok(match args["size"].as_u64() {
                Some(size) => format!("\"{}\"", "x".repeat(usize::try_from(size).unwrap())),
                None => args["n"].to_string(),
            })
        })
    }

    fn event(&mut self, event: String) -> Wanted {
        std::thread::sleep(self.reader);
        self.events.push(event);
        if self.events.len() < self.wanted { Wanted::Next } else { Wanted::Nothing }
    }

    fn finish(self: Box<Self>, outcome: Outcome) {
        self.done.send((outcome, self.events)).unwrap();
    }
}

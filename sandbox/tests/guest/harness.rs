//! One isolate with modules of JavaScript in it, and a host that answers from a table.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};

use serde_json::json;
use weir_sandbox::isolate::{Isolate, IsolateError, Place};
use weir_sandbox::protocol::{
    Answering, CallRequest, Host, HostCall, HostError, Outcome, SavepointStep, ScriptCaller, Wanted,
};
use weir_sandbox::watchdog::Watchdog;
use weir_sandbox::{App, Module};
use weir_schema::declarations::{Collection, Declarations, Function, FunctionKind, ViewIndex};
use weir_schema::limits::Limit;
use weir_schema::manifest;
use weir_schema::shape::{Shape, Slot};

/// Has two orders, refuses orders without a total and calls that ask for it, and gives up when told to delete.
struct TableHost {
    /// A JSON list of the documents that every collection has.
    documents: &'static str,
    /// How many events of a stream it takes.
    events: usize,
    /// How many are set.
    savepoints: usize,
    log: Vec<String>,
    done: Sender<(Outcome, Vec<String>)>,
}

impl Host for TableHost {
    fn ask(&mut self, call: HostCall) -> Result<String, HostError> {
        self.log.push(format!("{call:?}"));
        match call {
            HostCall::Get { id, .. } if id == "o1" => Ok(r#"{"id":"o1","total":5}"#.into()),
            HostCall::Get { .. } => Ok("null".into()),
            HostCall::Rows { .. } => Ok(self.documents.into()),
            HostCall::Page { .. } => {
                let documents: Vec<serde_json::Value> = serde_json::from_str(self.documents).unwrap();
                let edges: Vec<_> = documents.iter().map(|node| json!({ "node": node, "cursor": "c" })).collect();
                let info =
                    json!({ "hasNextPage": false, "hasPreviousPage": false, "startCursor": "c", "endCursor": "c" });
                Ok(json!({ "edges": edges, "pageInfo": info }).to_string())
            }
            HostCall::Count { .. } => Ok("2".into()),
            HostCall::Insert { collection, value } if collection == "orders" && value.get("total").is_none() => {
                Err(HostError::Refused("orders.total: missing".into()))
            }
            HostCall::Insert { value, .. } => Ok(value.to_string()),
            HostCall::Delete { .. } => Err(HostError::Aborted),
            HostCall::Savepoint { step, number } => {
                self.savepoints = if step == SavepointStep::Set { self.savepoints + 1 } else { number - 1 };
                Ok(self.savepoints.to_string())
            }
            _ => Ok("null".into()),
        }
    }

    fn start(&mut self, call: HostCall) -> Answering {
        self.log.push(format!("{call:?}"));
        if matches!(&call, HostCall::Call { args, .. } if args.get("refuse").is_some()) {
            return Box::pin(async { Err(HostError::Refused("g: refused".into())) });
        }
        let answer = match call {
            HostCall::Fetch(_) => {
                r#"{"status":200,"statusText":"OK","url":"u","redirected":false,"headers":[["a","b"]],"body":{"text":"hi"}}"#
            }
            _ => "41",
        };
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            Ok(answer.into())
        })
    }

    fn event(&mut self, event: String) -> Wanted {
        self.log.push(event);
        self.events -= 1;
        if self.events > 0 { Wanted::Next } else { Wanted::Nothing }
    }

    fn finish(self: Box<Self>, outcome: Outcome) {
        self.done.send((outcome, self.log)).unwrap();
    }
}

fn place() -> Place {
    static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();
    Place::here(0, WATCHDOG.get_or_init(|| Watchdog::start(|_| ()).unwrap())).unwrap()
}

/// An isolate, with what its calls left.
pub struct Guest {
    isolate: Isolate,
    documents: &'static str,
    events: usize,
}

const ORDERS: &str = r#"[{"id":"o1","total":5},{"id":"o2","total":7}]"#;

impl Guest {
    /// Loads an app of one module that has to export `f`, of the given kind. `orders` is a collection there.
    pub fn of_kind(kind: FunctionKind, code: &str) -> Result<Self, IsolateError> {
        Self::of_result(kind, Slot::required(Shape::Json), code)
    }

    /// The same with a declared result.
    pub fn of_result(kind: FunctionKind, result: Slot, code: &str) -> Result<Self, IsolateError> {
        Self::load(&app(kind, result, vec![main(code)]))
    }

    /// The same with a sorted view, whose keys have these parts.
    pub fn of_index(parts: Option<&[&str]>, code: &str) -> Result<Self, IsolateError> {
        let mut app = app(FunctionKind::View, Slot::required(Shape::Json), vec![main(code)]);
        let function = Arc::get_mut(&mut app).unwrap().declarations.functions.get_mut("f").unwrap();
        let parts = parts.map(|parts| parts.iter().map(|part| (*part).to_owned()).collect());
        function.index = Some(ViewIndex { collection: "orders".into(), lists: Vec::new(), parts, has_values: false });
        Self::load(&app)
    }

    /// Loads an app.
    pub fn load(app: &Arc<App>) -> Result<Self, IsolateError> {
        Isolate::new(app, &place()).map(|isolate| Self { isolate, documents: ORDERS, events: usize::MAX })
    }

    /// With other documents than two orders: a JSON list.
    pub fn with_documents(self, documents: &'static str) -> Self {
        Self { documents, ..self }
    }

    /// With a caller who takes so many events of a stream and goes away.
    pub fn with_events(self, events: usize) -> Self {
        Self { events, ..self }
    }

    /// Calls the function at a place in the declarations. Returns the outcome and what the host was asked.
    pub fn call_function(&mut self, function: usize, arguments: &str) -> (Outcome, Vec<String>) {
        let (done, outcome) = channel();
        let request = CallRequest {
            function,
            arguments: arguments.into(),
            now_ms: 1_700_000_000_000,
            seed: [1, 2, 3, 4],
            caller: ScriptCaller::without_token("developer").text(),
        };
        let host = TableHost { documents: self.documents, events: self.events, savepoints: 0, log: vec![], done };
        self.isolate.call(&request, Box::new(host));
        outcome.recv().unwrap()
    }

    /// Calls `f`. Returns the outcome in one line.
    pub fn call(&mut self, arguments: &str) -> String {
        let (outcome, _) = self.call_function(0, arguments);
        self.shown(&outcome)
    }

    /// Runs the stream `f`. Returns its events, what it asked of the host, and how it ended, in one line.
    pub fn stream(&mut self, arguments: &str) -> String {
        let (outcome, log) = self.call_function(0, arguments);
        log.into_iter().chain([self.shown(&outcome)]).collect::<Vec<_>>().join(" ")
    }

    fn shown(&self, outcome: &Outcome) -> String {
        let spoiled = if self.isolate.is_spoiled() { " (discarded)" } else { "" };
        format!("{}{spoiled}", show(outcome))
    }
}

/// An outcome in one line.
pub fn show(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Value(text) => text.clone(),
        Outcome::Failed(error) => match &error.app_code {
            Some(code) => format!("failed with {code}: {}", error.message),
            None => format!("failed: {}", error.message),
        },
        // Which of them comes first is the machine's to say.
        Outcome::Limit(Limit::Cpu | Limit::Wall) => "limit: time".to_owned(),
        Outcome::Limit(limit) => format!("limit: {}", limit.as_str()),
        other => format!("{other:?}"),
    }
}

/// What comes of one call of a query of this body in a new isolate.
pub fn query(body: &str) -> String {
    run(FunctionKind::Query, &format!("export const f = query((args) => {{ {body} }});"))
}

/// What comes of one call of `f` in a new isolate with this module.
pub fn run(kind: FunctionKind, code: &str) -> String {
    match Guest::of_kind(kind, code) {
        Ok(mut guest) => guest.call("{}"),
        Err(IsolateError::App(error)) => format!("does not load: {}", error.message),
        Err(error) => format!("broken: {error}"),
    }
}

/// The module `main.ts` with this code, below what it imports and a collection `orders`.
fn main(code: &str) -> Module {
    let code = format!(
        "import {{ query, view, procedure, action, stream, collection, call, caller, cancelJob, fail, attempt, now, metric, schedule, sum, count, avg, min, max, hmac, http, secret, timingSafeEqual, top }} from \"weir\";\n\
         export const orders = collection();\n{code}\n"
    );
    Module {
        path: "main.ts".into(),
        code,
        source_map: r#"{"version":3,"sources":[],"names":[],"mappings":""}"#.into(),
        imports: vec![("weir".into(), "weir".into())],
    }
}

/// An app of these modules, of which `main.ts` exports `orders`, `f` and perhaps a query `g`.
pub fn app(kind: FunctionKind, result: Slot, modules: Vec<Module>) -> Arc<App> {
    let mut declarations = Declarations::default();
    declarations.collections.insert(
        "orders".into(),
        Collection {
            name: "orders".into(),
            module: "main.ts".into(),
            document: "Order".into(),
            value: "OrderValue".into(),
            indexes: vec![],
            references: vec![],
        },
    );
    let exports_g = modules.iter().any(|module| module.code.contains("export const g = query"));
    let others = exports_g.then_some(("g", FunctionKind::Query));
    for (name, kind) in std::iter::once(("f", kind)).chain(others) {
        let function = Function {
            name: name.into(),
            kind,
            description: None,
            module: "main.ts".into(),
            line: 1,
            arguments: vec![],
            result: result.clone(),
            keep: None,
            groups: None,
            index: None,
        };
        declarations.functions.insert(name.into(), function);
    }
    let manifest = "name = \"test\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = 20000\nresult_bytes = 1000000";
    Arc::new(App { manifest: manifest::parse(manifest).unwrap(), declarations, policies: None, modules })
}

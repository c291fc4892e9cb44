//! What an app does: every function called once in a real isolate, its outcome as text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use weir_sandbox::App;
use weir_sandbox::isolate::{Isolate, IsolateError, Place};
use weir_sandbox::protocol::{Answering, CallRequest, Host, HostCall, HostError, Outcome, ScriptCaller, ScriptError};
use weir_sandbox::watchdog::Watchdog;

/// Answers of the host: what collections hold and what called functions return, by name.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// One document for each collection.
    pub documents: BTreeMap<String, Value>,
    /// One result for each function.
    pub results: BTreeMap<String, Value>,
}

/// Answers from a table and notes what was asked.
struct TableHost {
    answers: Arc<Answers>,
    asked: Vec<String>,
    done: Sender<(Outcome, Vec<String>)>,
}

impl TableHost {
    fn answer(&self, call: &HostCall) -> String {
        let document = |name: &str| self.answers.documents.get(name).cloned().unwrap_or_default();
        let answer = match call {
            HostCall::Get { collection, .. } => document(collection),
            HostCall::Insert { collection, .. }
            | HostCall::Replace { collection, .. }
            | HostCall::Patch { collection, .. } => document(collection),
            HostCall::Rows { plan, .. } => Value::Array(vec![document(&plan.collection), document(&plan.collection)]),
            HostCall::Page { plan, .. } => serde_json::json!({
                "edges": [{ "node": document(&plan.collection), "cursor": "c" }],
                "pageInfo": { "hasNextPage": false, "hasPreviousPage": false, "startCursor": "c", "endCursor": "c" },
            }),
            HostCall::Count { .. } => Value::from(2),
            HostCall::Delete { .. } => Value::from(true),
            HostCall::Call { function, .. } => self.answers.results.get(function).cloned().unwrap_or_default(),
            _ => Value::Null,
        };
        answer.to_string()
    }
}

impl Host for TableHost {
    fn ask(&mut self, call: HostCall) -> Result<String, HostError> {
        self.asked.push(format!("{call:?}"));
        Ok(self.answer(&call))
    }

    fn start(&mut self, call: HostCall) -> Answering {
        self.asked.push(format!("{call:?}"));
        let answer = self.answer(&call);
        Box::pin(async { Ok(answer) })
    }

    fn finish(self: Box<Self>, outcome: Outcome) {
        self.done.send((outcome, self.asked)).unwrap();
    }
}

fn place() -> Place {
    static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();
    Place::here(0, WATCHDOG.get_or_init(|| Watchdog::start(|_| ()).unwrap())).unwrap()
}

/// Loads an app and calls each of its functions with these arguments, by name; those that are not named get none.
pub fn of(app: App, arguments: &BTreeMap<String, Value>, answers: &Arc<Answers>) -> String {
    let app = Arc::new(app);
    let mut text = String::new();
    for module in &app.modules {
        let imports: Vec<String> =
            module.imports.iter().map(|(written, target)| format!("{written} ({target})")).collect();
        let _ = writeln!(
            text,
            "{} imports {}",
            module.path,
            if imports.is_empty() { "nothing".into() } else { imports.join(", ") }
        );
    }
    let mut isolate = match Isolate::new(&app, &place()) {
        Ok(isolate) => isolate,
        Err(IsolateError::App(error)) => return format!("{text}does not load: {}\n", show_error(&error)),
        Err(error) => panic!("{error}"),
    };
    for (index, name) in app.declarations.functions.keys().enumerate() {
        let (done, outcome) = channel();
        let request = CallRequest {
            function: index,
            arguments: arguments.get(name).map_or("{}".to_owned(), Value::to_string),
            now_ms: 1_700_000_000_000,
            seed: [1, 2, 3, 4],
            caller: ScriptCaller::without_token("developer").text(),
        };
        isolate.call(&request, Box::new(TableHost { answers: answers.clone(), asked: Vec::new(), done }));
        let (outcome, asked) = outcome.recv().unwrap();
        assert!(!isolate.is_spoiled(), "{name}: {outcome:?}");
        let shown = match outcome {
            Outcome::Value(value) => value,
            Outcome::Failed(error) => format!("throws {}", show_error(&error)),
            other => panic!("{name}: {other:?}"),
        };
        let _ = writeln!(text, "{name}: {shown}");
        for call in asked {
            let _ = writeln!(text, "    asks {call}");
        }
    }
    text
}

fn show_error(error: &ScriptError) -> String {
    let mut text = error.message.clone();
    for frame in &error.stack {
        let function = frame.function.as_deref().map(|name| format!(" in {name}")).unwrap_or_default();
        let _ = write!(text, "\n    at {}:{}:{}{function}", frame.file, frame.line, frame.column);
    }
    text
}

//! The two that are asked, and how their answers are compared.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::node;
use crate::weir::{Lines, Process, example};

/// Rules that Weir checks before all others: it names what breaks the first of them alone.
const EARLY: [&str; 5] = [
    "UniqueOperationNamesRule",
    "LoneAnonymousOperationRule",
    "UniqueFragmentNamesRule",
    "UniqueInputFieldNamesRule",
    "NoFragmentCyclesRule",
];
/// Rules of which the places are not compared. Which fields conflict is looked for after all else; the two on subscriptions
/// are told in other places, and the reference stops short on some documents.
const WITHOUT_PLACES: [&str; 3] =
    ["OverlappingFieldsCanBeMergedRule", "SingleFieldSubscriptionsRule", "ConditionAtSubscription"];

/// Answers JSON lines with JSON lines.
struct Side {
    process: Process,
    lines: Lines,
    log: Lines,
    asked: usize,
}

impl Side {
    fn start((process, lines, log): (Process, Lines, Lines)) -> Self {
        Self { process, lines, log, asked: 0 }
    }

    fn ask(&mut self, asked: &Value) -> Value {
        self.process.tell(&asked.to_string());
        let answer = self.lines.find(self.asked, |_| true);
        let (_, line) = answer.unwrap_or_else(|| panic!("no answer to {asked}\n{}", self.log.text(0)));
        self.asked += 1;
        serde_json::from_str(&line).unwrap()
    }
}

/// Weir and the reference.
pub struct Sides {
    weir: Side,
    reference: Side,
}

impl Sides {
    /// Starts both.
    pub fn start(packages: &Path) -> Self {
        static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
        let mut command = Command::new(EXAMPLE.get_or_init(|| example("graphql")));
        command.stdin(Stdio::piped());
        let weir = Side::start(Process::start(command));
        Self { weir, reference: Side::start(node::start(packages, "reference.mjs", &[])) }
    }

    /// Makes the schema of an app, which both introspect alike. The spellings of its enums.
    pub fn make(&mut self, typescript: &str, literals: &Value, discriminator: &str) -> Value {
        let manifest = "name = \"app\"\nversion = \"1.0.0\"\n";
        self.make_of(&json!({ "app.toml": manifest, "functions/t.ts": typescript }), literals, discriminator)
    }

    /// The same for an app of several files.
    pub fn make_of(&mut self, files: &Value, literals: &Value, discriminator: &str) -> Value {
        let made = self.weir.ask(&json!({ "app": files }));
        let names = self.weir.ask(&json!({ "query": "{ __schema { types { name } } }", "returns": {} }));
        let names: Value = names["response"]["data"]["__schema"]["types"]
            .as_array()
            .unwrap()
            .iter()
            .map(|ty| ty["name"].clone())
            .collect();
        let schema = json!({
            "sdl": made["sdl"], "enums": made["enums"], "literals": literals, "discriminator": discriminator, "types": names,
        });
        self.reference.ask(&schema);
        let (weir, reference) = self.ask(&json!({ "query": include_str!("introspection.graphql"), "returns": {} }));
        let lines = |answer: &Value| serde_json::to_string_pretty(answer).unwrap().lines().map(str::to_owned).collect();
        let (told, wanted): (Vec<String>, Vec<String>) = (lines(&weir["response"]["data"]), lines(&reference["data"]));
        let apart = told.iter().zip(&wanted).position(|(told, wanted)| told != wanted);
        if let Some(apart) = apart {
            let around = apart.saturating_sub(20)..(apart + 5).min(told.len()).min(wanted.len());
            let (told, wanted) = (told[around.clone()].join("\n"), wanted[around].join("\n"));
            panic!("introspection gives\n{told}\nand should give\n{wanted}\n{files:#}");
        }
        assert_eq!(told.len(), wanted.len());
        made["enums"].clone()
    }

    /// Asks the reference alone.
    pub fn ask_reference(&mut self, asked: &Value) -> Value {
        self.reference.ask(asked)
    }

    /// Asks both.
    pub fn ask(&mut self, asked: &Value) -> (Value, Value) {
        (self.weir.ask(asked), self.reference.ask(asked))
    }
}

/// How an answer of Weir differs from the reference's, if it does.
pub fn difference(weir: &Value, reference: &Value) -> Option<String> {
    let response = &weir["response"];
    let errors = list(&response["errors"]);
    let codes: BTreeSet<&str> = errors.iter().filter_map(|error| error["extensions"]["code"].as_str()).collect();
    if response.get("data").is_none() && codes.contains("LIMIT_EXCEEDED") {
        return None;
    }
    let kind = match codes.first() {
        _ if response.get("data").is_some() => "executed",
        Some(&"GRAPHQL_PARSE_FAILED") => "parse",
        Some(&"GRAPHQL_VALIDATION_FAILED") => "validation",
        _ => "request",
    };
    if reference["kind"] != kind {
        return Some(format!("the kind is {kind} and should be {}", reference["kind"]));
    }
    match kind {
        "parse" => None,
        "validation" => different_rules(&errors, &reference["rules"]),
        _ => different_results(weir, &errors, reference),
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The places of an error as text.
fn places(error: &Value) -> String {
    let places = list(if error.is_array() { error } else { &error["locations"] });
    places.iter().map(|place| format!("{}:{} ", place["line"], place["column"])).collect()
}

fn different_rules(errors: &[Value], rules: &Value) -> Option<String> {
    let rules = rules.as_object().unwrap();
    if EARLY.iter().any(|rule| rules.contains_key(*rule)) {
        return None;
    }
    let told: BTreeSet<String> = errors.iter().map(places).collect();
    let compared = rules.iter().filter(|(rule, _)| !WITHOUT_PLACES.contains(&rule.as_str()));
    let wanted: BTreeSet<String> = compared.flat_map(|(_, errors)| list(errors)).map(|error| places(&error)).collect();
    if wanted.is_empty() {
        return None;
    }
    let only_subscription = |error: &&Value| {
        let message = error["message"].as_str().unwrap();
        message.contains("subscription")
    };
    let excused: BTreeSet<String> = errors.iter().filter(only_subscription).map(places).collect();
    let more: Vec<&String> = told.difference(&wanted).filter(|place| !excused.contains(*place)).collect();
    let less: Vec<&String> = wanted.difference(&told).collect();
    (!more.is_empty() || !less.is_empty()).then(|| format!("errors too many at {more:?}, missing at {less:?}"))
}

fn different_results(weir: &Value, errors: &[Value], reference: &Value) -> Option<String> {
    let wanted = list(&reference["errors"]);
    if reference["kind"] == "request" {
        let told: BTreeSet<String> = errors.iter().map(places).collect();
        let wanted: BTreeSet<String> = wanted.iter().map(places).collect();
        // A condition that is null is refused in its own place.
        return (told != wanted && !wanted.is_empty()).then(|| format!("refused at {told:?}, should be at {wanted:?}"));
    }
    let shown = |errors: &[Value]| -> Vec<String> {
        errors.iter().map(|error| format!("{} at {}", error["path"], places(error))).collect()
    };
    let (data, wanted_data) = (plain(&weir["response"]["data"]), plain(&reference["data"]));
    let (calls, wanted_calls) = (plain(&weir["calls"]), plain(&reference["calls"]));
    let (told, wanted) = (shown(errors), shown(&wanted));
    if data != wanted_data {
        Some(format!("the data is\n{data}\nand should be\n{wanted_data}"))
    } else if told != wanted {
        Some(format!("the errors are\n{told:?}\nand should be\n{wanted:?}"))
    } else if calls != wanted_calls {
        Some(format!("the calls are\n{calls}\nand should be\n{wanted_calls}"))
    } else {
        None
    }
}

/// JSON text in which a number has one form: JavaScript writes `3.0` as `3`.
fn plain(value: &Value) -> String {
    fn number(value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(number),
            Value::Object(members) => members.values_mut().for_each(number),
            Value::Number(written) => {
                let float = written.as_f64().unwrap();
                *value = if float.fract() == 0.0 && float.abs() < 9e15 { json!(float as i64) } else { json!(float) };
            }
            _ => {}
        }
    }
    let mut value = value.clone();
    number(&mut value);
    value.to_string()
}

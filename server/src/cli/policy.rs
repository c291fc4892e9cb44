//! `weir policy test|explain APP`: what the policies of an app decide, without a server.

mod cases;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use weir_engine::access::action::Action;
use weir_engine::access::compile::{FILE, compile};
use weir_engine::access::policies::{Deciding, Decision, Effect, Policies};
use weir_engine::access::question::{CallerForm, Question};
use weir_engine::access::rate::PolicyRate;
use weir_sandbox::App;

use super::build::{Built, build_folder};
use super::{Failure, logging};

/// The arguments of `weir policy`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask the policies what policies.test.toml asks, print a table, and fail where the answer is another than expected.
    Test {
        /// The app folder.
        app: PathBuf,
    },
    /// Say whether a caller may do something, and which policies decide it.
    Explain(Box<Explain>),
}

#[derive(Debug, Args)]
struct Explain {
    /// The app folder.
    app: PathBuf,
    /// Who asks: {"kind": "user", "subject": "ada", "roles": ["admin"]}, or a file with that.
    #[arg(long, value_name = "JSON|FILE")]
    caller: String,
    #[command(flatten)]
    what: What,
    /// The arguments of the call, as JSON or a file.
    #[arg(long, value_name = "JSON|FILE", requires = "call")]
    args: Option<String>,
    /// The document, as JSON or a file: as much of it as the policies look at.
    #[arg(long, value_name = "JSON|FILE", conflicts_with = "call")]
    document: Option<String>,
    /// The function that was called and reads or writes the document.
    #[arg(long, value_name = "FUNCTION", conflicts_with = "call", default_value = "")]
    function: String,
    /// As a line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Call this function.
    #[arg(long, value_name = "FUNCTION")]
    call: Option<String>,
    /// Read a document of this collection.
    #[arg(long, value_name = "COLLECTION")]
    read: Option<String>,
    /// Store a new one.
    #[arg(long, value_name = "COLLECTION")]
    create: Option<String>,
    /// Change one: ask for what it is and for what it is to be.
    #[arg(long, value_name = "COLLECTION")]
    update: Option<String>,
    /// Delete one.
    #[arg(long, value_name = "COLLECTION")]
    delete: Option<String>,
    /// See this member of one that may be read.
    #[arg(long, value_name = "COLLECTION.MEMBER")]
    view: Option<String>,
}

impl What {
    /// The action, and what it is done to.
    fn named(&self) -> Option<(Action, &str)> {
        let Self { call, read, create, update, delete, view } = self;
        let all = [call, read, create, update, delete, view];
        Action::ALL.into_iter().zip(all).find_map(|(action, named)| Some((action, named.as_deref()?)))
    }
}

/// The question of an action on something.
fn question(
    action: Action,
    on: &str,
    args: Map<String, Value>,
    document: Map<String, Value>,
    function: &str,
) -> Question {
    if action == Action::Call {
        return Question::Call { function: on.to_owned(), arguments: args };
    }
    let (collection, field) = match on.split_once('.') {
        Some((collection, field)) => (collection, Some(field.to_owned())),
        None => (on, None),
    };
    Question::Document { action, collection: collection.to_owned(), document, function: function.to_owned(), field }
}

/// Asks the policies of the app.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::Test { app } => {
            let (built, policies) = policies_of(app)?;
            cases::run(app, &built, &policies)
        }
        Command::Explain(explain) => self::explain(explain),
    }
}

/// The compiled app and its policies.
fn policies_of(folder: &std::path::Path) -> Result<(App, Policies), Failure> {
    let Built { app, .. } = build_folder(folder)?;
    let Some(text) = &app.policies else {
        let message =
            format!("{} has no {FILE}: without it nobody but the developer may do anything", folder.display());
        return Err(Failure::because(message));
    };
    match compile(&app.declarations, &app.manifest.caller, text) {
        Ok(policies) => Ok((app, policies)),
        // They were found good a moment ago.
        Err(mistakes) => Err(Failure::because(format!("{FILE} has {} mistakes", mistakes.len()))),
    }
}

fn explain(explain: &Explain) -> Result<(), Failure> {
    let (app, policies) = policies_of(&explain.app)?;
    let caller: CallerForm = read("--caller", &explain.caller)?;
    let object = |flag: &str, given: &Option<String>| match given {
        Some(given) => read(flag, given),
        None => Ok(Map::new()),
    };
    let (args, document) = (object("--args", &explain.args)?, object("--document", &explain.document)?);
    let Some((action, on)) = explain.what.named() else {
        return Err(Failure::because("say what is to be done: --call, --read, --create, --update, --delete or --view"));
    };
    let caller = caller.caller(&app.manifest.caller).map_err(Failure::because)?;
    let question = question(action, on, args, document, &explain.function);
    let decision = policies.answer(&app.declarations, &caller, &question).map_err(Failure::because)?;
    let mut out = io::stdout().lock();
    let written = if explain.json {
        writeln!(out, "{}", as_json(&decision))
    } else {
        out.write_all(as_text(&decision).as_bytes())
    };
    written.map_err(Failure::because)
}

/// What was given on the command line: JSON, or a file with it.
fn read<T: DeserializeOwned>(flag: &str, given: &str) -> Result<T, Failure> {
    let text = match given.trim_start().starts_with(['{', '[', '"']) {
        true => given.to_owned(),
        false => fs::read_to_string(given).map_err(|error| Failure::because(format!("{flag} {given}: {error}")))?,
    };
    serde_json::from_str(&text).map_err(|error| Failure::because(format!("{flag}: {error}")))
}

fn as_text(decision: &Decision) -> String {
    let mut text = String::from(if decision.allowed { "allow\n" } else { "deny\n" });
    for policy in &decision.by {
        let does = match policy.effect {
            Effect::Permit => "permitted",
            Effect::Forbid => "forbidden",
        };
        text.push_str(&format!("  {does} by {}\n", named(policy)));
    }
    if decision.by.is_empty() {
        text.push_str(if decision.allowed {
            "  no policy is asked about this caller\n"
        } else {
            "  no policy permits it\n"
        });
    }
    if let Some(PolicyRate { policy, rate }) = &decision.rate {
        text.push_str(&format!("  no more often than {rate} for each caller, by {policy}\n"));
    }
    for policy in &decision.failed {
        text.push_str(&format!("  {} failed and counts for nothing: it looks at what is not there\n", named(policy)));
    }
    text
}

fn named(policy: &Deciding) -> String {
    format!("{} ({FILE}:{})", policy.name, policy.line)
}

fn as_json(decision: &Decision) -> Value {
    let all = |policies: &[Deciding]| -> Vec<Value> {
        policies.iter().map(|policy| json!({ "id": policy.name, "line": policy.line })).collect()
    };
    let mut told = json!({
        "decision": if decision.allowed { "allow" } else { "deny" },
        "by": all(&decision.by),
        "failed": all(&decision.failed),
    });
    if let (Some(PolicyRate { policy, rate }), Value::Object(members)) = (&decision.rate, &mut told) {
        members.insert("rate".to_owned(), json!({ "id": policy, "rate": rate }));
    }
    told
}

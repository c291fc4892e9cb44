//! `policies.test.toml`: questions to the policies of an app, each with the answer that is expected.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use weir_engine::access::action::Action;
use weir_engine::access::policies::Policies;
use weir_engine::access::question::{CallerForm, CallerKind};
use weir_sandbox::App;

use super::{named, question};
use crate::cli::Failure;

/// The file with the cases, in the app folder.
const FILE: &str = "policies.test.toml";

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Callers by the names that cases have for them.
    #[serde(default)]
    callers: BTreeMap<String, CallerForm>,
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

/// One question with what is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    caller: Named,
    call: Option<String>,
    read: Option<String>,
    create: Option<String>,
    update: Option<String>,
    delete: Option<String>,
    view: Option<String>,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default)]
    document: Map<String, Value>,
    /// The function that was called and reads or writes the document.
    #[serde(default)]
    function: String,
    expect: Expected,
    /// The policies that are expected to decide it, by their ids.
    by: Option<Vec<String>>,
}

/// A caller, by name or as it is.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Named {
    Name(String),
    Form(CallerForm),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Expected {
    Allow,
    Deny,
}

impl Case {
    fn asked(&self) -> Option<(Action, &str)> {
        let Self { call, read, create, update, delete, view, .. } = self;
        let mut all = Action::ALL.into_iter().zip([call, read, create, update, delete, view]);
        let asked = all.find_map(|(action, named)| Some((action, named.as_deref()?)))?;
        all.all(|(_, other)| other.is_none()).then_some(asked)
    }
}

/// The columns of the table.
const COLUMNS: usize = 6;

/// Asks all that the file asks, and prints what came of it.
pub(super) fn run(folder: &Path, app: &App, policies: &Policies) -> Result<(), Failure> {
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::because(format!("cannot read {}: {error}; write cases as docs/policies.md shows", path.display()))
    })?;
    let table: Table = toml::from_str(&text).map_err(|error| Failure::because(format!("{FILE}: {error}")))?;
    let mut rows = vec![["", "caller", "action", "on", "expected", "decided by"].map(str::to_owned)];
    let mut wrong = 0;
    for (index, case) in table.cases.iter().enumerate() {
        let place = |why: String| Failure::because(format!("{FILE}: case {}: {why}", index + 1));
        let asked = case.asked().ok_or_else(|| place("name one of call, read, create, update, delete and view".into()));
        let (action, on) = asked?;
        let (name, form) = caller(&table, &case.caller).map_err(&place)?;
        let caller = form.caller(&app.manifest.caller).map_err(|error| place(error.to_string()))?;
        let question = question(action, on, case.args.clone(), case.document.clone(), &case.function);
        let decision =
            policies.answer(&app.declarations, &caller, &question).map_err(|error| place(error.to_string()))?;
        let decided = if decision.allowed { Expected::Allow } else { Expected::Deny };
        let mut ids: Vec<&str> = decision.by.iter().map(|policy| policy.name.as_str()).collect();
        ids.sort_unstable();
        let by_others = case.by.as_ref().is_some_and(|expected| {
            let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            expected.sort_unstable();
            expected != ids
        });
        let is_right = decided == case.expect && !by_others;
        wrong += usize::from(!is_right);
        let by = match decision.by.is_empty() {
            true => "no policy".to_owned(),
            false => decision.by.iter().map(named).collect::<Vec<_>>().join(", "),
        };
        let mark = if is_right { "ok" } else { "WRONG" };
        rows.push([
            mark.to_owned(),
            name,
            action.name().to_owned(),
            on.to_owned(),
            spelled(case.expect).to_owned(),
            by,
        ]);
    }
    let count = table.cases.len();
    let mut out = io::stdout().lock();
    out.write_all(laid_out(&rows).as_bytes()).map_err(Failure::because)?;
    match wrong {
        0 => writeln!(out, "{count} cases, all as expected").map_err(Failure::because),
        wrong => Err(Failure::because(format!(
            "{wrong} of {count} cases are decided otherwise than {FILE} expects; weir policy explain tells why"
        ))),
    }
}

/// The caller of a case, and a name for it.
fn caller(table: &Table, named: &Named) -> Result<(String, CallerForm), String> {
    let plain = |kind| CallerForm {
        kind,
        subject: String::new(),
        issuer: String::new(),
        roles: Vec::new(),
        scopes: Vec::new(),
        claims: Map::new(),
    };
    match named {
        Named::Form(form) => Ok((form.subject.clone(), form.clone())),
        Named::Name(name) => match (table.callers.get(name), name.as_str()) {
            (Some(form), _) => Ok((name.clone(), form.clone())),
            (None, "anonymous") => Ok((name.clone(), plain(CallerKind::Anonymous))),
            (None, "developer") => Ok((name.clone(), plain(CallerKind::Developer))),
            (None, name) => Err(format!("there is no [callers.{name}]")),
        },
    }
}

fn spelled(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Deny => "deny",
    }
}

/// Rows with their columns under each other.
fn laid_out(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

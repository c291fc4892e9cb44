//! From the text of `policies.cedar` to policies that can be asked, or to mistakes with file, line and column.
//!
//! Cedar parses the text and validates each policy against the schema of the app. What is kept for decisions is our own form
//! of it: see `expr.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use cedar_policy::{
    Effect as CedarEffect, Policy as CedarPolicy, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic as Explained;
use serde_json::Value as Json;
use weir_sandbox::diagnostic::Diagnostic;
use weir_schema::caller::CallerSettings;
use weir_schema::declarations::Declarations;

use super::action::Action;
use super::attributes::Attributes;
use super::expr::{self, Expr};
use super::policies::{Actions, Effect, Policies, Policy, Scope};
use super::rate;
use super::schema::{FUNCTION, Model};
use super::value::Uid;

/// The file with an app's policies.
pub const FILE: &str = "policies.cedar";
/// The most policies of one app.
pub const POLICIES_MAX: usize = 1_000;

/// Compiles the policies of an app. What is wrong is told all at once, by file and position.
pub fn compile(declarations: &Declarations, caller: &CallerSettings, text: &str) -> Result<Policies, Vec<Diagnostic>> {
    let model = Model::of(declarations, caller);
    let source = Source { text, starts: statements(text) };
    let set = PolicySet::from_str(text)
        .map_err(|errors| errors.iter().map(|error| source.explained(error)).collect::<Vec<_>>())?;
    let mut mistakes: Vec<Diagnostic> = Vec::new();
    if let Some(template) = set.templates().next() {
        let place = source.statement(template.id().as_ref());
        let help = "write the entity in place of ?principal and ?resource";
        mistakes.push(source.mistake(place, 1, "a template is no policy: nothing links it", Some(help.to_owned())));
    }
    let mut found: Vec<&CedarPolicy> = set.policies().collect();
    // In the order of the text: `policy0`, `policy1` and so on.
    found.sort_by_key(|policy| place_in_order(policy.id().as_ref()));
    if found.len() > POLICIES_MAX {
        let message = format!("there are more than {POLICIES_MAX} policies");
        mistakes.push(source.mistake(
            0,
            1,
            message,
            Some("join those that permit the same under other conditions".to_owned()),
        ));
        return Err(mistakes);
    }
    let (mut policies, mut groups) = (Vec::new(), BTreeMap::<Option<String>, Vec<CedarPolicy>>::new());
    let mut names = BTreeSet::new();
    for policy in found {
        let start = source.statement(policy.id().as_ref());
        match source.policy(policy, start, &model) {
            Ok((own, function)) => {
                if let Some(id) = policy.annotation("id")
                    && !names.insert(id)
                {
                    let message = format!("another policy has the id {id:?} as well");
                    mistakes.push(source.mistake(start, 1, message, None));
                }
                policies.push(own);
                groups.entry(function).or_default().push(policy.clone());
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    for (function, policies) in groups {
        mistakes.extend(source.validated(&model, function.as_deref(), policies));
    }
    if mistakes.is_empty() {
        return Ok(Policies::new(model, policies, caller));
    }
    mistakes
        .sort_by(|one, other| (one.line, one.column, &one.message).cmp(&(other.line, other.column, &other.message)));
    mistakes.dedup();
    Err(mistakes)
}

/// Policies as they are, whether they fit the app or not.
#[cfg(test)]
#[allow(clippy::panic, reason = "test code")]
pub(super) fn unvalidated(model: Model, caller: &CallerSettings, text: &str) -> Policies {
    let source = Source { text, starts: statements(text) };
    let set = PolicySet::from_str(text).unwrap_or_else(|error| panic!("{error}"));
    let mut found: Vec<&CedarPolicy> = set.policies().collect();
    found.sort_by_key(|policy| place_in_order(policy.id().as_ref()));
    let policies = found.into_iter().map(|policy| {
        let start = source.statement(policy.id().as_ref());
        source.policy(policy, start, &model).unwrap_or_else(|mistake| panic!("{mistake:?}")).0
    });
    let policies = policies.collect();
    Policies::new(model, policies, caller)
}

/// The place of a policy in the text, which is the number in the id that Cedar gives it.
pub(super) fn place_in_order(id: &str) -> usize {
    id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(usize::MAX)
}

/// The text, for who tells where something stands.
struct Source<'t> {
    text: &'t str,
    /// Where each statement begins.
    starts: Vec<usize>,
}

impl Source<'_> {
    /// Takes a policy apart. Also tells the function whose calls alone it is about, if there is one.
    fn policy(
        &self,
        policy: &CedarPolicy,
        start: usize,
        model: &Model,
    ) -> Result<(Policy, Option<String>), Diagnostic> {
        let unknown = |what: String| self.mistake(start, 1, what, None);
        let json = policy.to_json().map_err(|error| unknown(error.to_string()))?;
        self.check_functions(&json, start, model)?;
        let scope = |name: &str| {
            json.get(name)
                .and_then(scope)
                .ok_or_else(|| unknown(format!("the {name} of the policy is of no known form")))
        };
        let (principal, resource) = (scope("principal")?, scope("resource")?);
        let actions = json
            .get("action")
            .and_then(actions)
            .ok_or_else(|| unknown("the action of the policy is of no known form".to_owned()))?;
        let mut condition = Expr::TRUE;
        for clause in json.get("conditions").and_then(Json::as_array).into_iter().flatten() {
            let body = clause.get("body").map_or(Err(expr::Unknown("a condition has no body".to_owned())), Expr::parse);
            let body = body.map_err(|error| unknown(error.to_string()))?;
            let is_unless = clause.get("kind").and_then(Json::as_str) == Some("unless");
            condition = condition.and(if is_unless { Expr::Not(Box::new(body)) } else { body });
        }
        let (line, _) = self.position(start);
        let function = match &resource {
            Scope::Is(uid) if *uid.of == *FUNCTION => Some(uid.id.to_string()),
            _ => None,
        };
        let name = policy.annotation("id").map_or_else(|| format!("policy on line {line}"), str::to_owned);
        let effect = match policy.effect() {
            CedarEffect::Permit => Effect::Permit,
            CedarEffect::Forbid => Effect::Forbid,
        };
        let attributes = Attributes::of_scope(&principal).and(Attributes::of(&condition));
        let rate = policy.annotation(rate::ANNOTATION).map(|text| {
            rate::read(text, policy.annotation("id"), effect, actions).map_err(|why| {
                let (at, length) = self.annotation(start, rate::ANNOTATION);
                self.mistake(at, length, why, None)
            })
        });
        let rate = rate.transpose()?;
        Ok((Policy { name, line, effect, principal, actions, resource, condition, attributes, rate }, function))
    }

    /// Where an annotation of a policy stands, and how long it is on its line.
    fn annotation(&self, start: usize, name: &str) -> (usize, usize) {
        let rest = self.text.get(start..).unwrap_or_default();
        let Some(at) = rest.find(&format!("@{name}")) else { return (start, 1) };
        let line = rest.get(at..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let end = line.find(')').map_or(name.len() + 1, |end| end + 1);
        (start + at, line.get(..end).unwrap_or(line).chars().count())
    }

    /// That functions which are named exist. Cedar knows of entities by their types alone.
    fn check_functions(&self, json: &Json, start: usize, model: &Model) -> Result<(), Diagnostic> {
        match json {
            Json::Object(members) => {
                if let Some(Uid { of, id }) = expr::uid(json)
                    && *of == *FUNCTION
                    && !model.functions.contains_key(&*id)
                {
                    let quoted = format!("Function::\"{id}\"");
                    let at = self.text.get(start..).and_then(|rest| rest.find(&quoted)).map_or(start, |at| start + at);
                    let names: Vec<&str> = model.functions.keys().map(String::as_str).collect();
                    let help = format!("functions of the app: {}", names.join(", "));
                    return Err(self.mistake(
                        at,
                        quoted.chars().count(),
                        format!("the app has no function {id:?}"),
                        Some(help),
                    ));
                }
                members.values().try_for_each(|member| self.check_functions(member, start, model))
            }
            Json::Array(elements) => {
                elements.iter().try_for_each(|element| self.check_functions(element, start, model))
            }
            _ => Ok(()),
        }
    }

    /// What Cedar finds wrong with policies about one function, or about all else.
    fn validated(&self, model: &Model, function: Option<&str>, policies: Vec<CedarPolicy>) -> Vec<Diagnostic> {
        let defect = |error: String| vec![self.mistake(0, 1, error, None)];
        let schema = match Schema::from_json_value(model.schema(function)) {
            Ok(schema) => schema,
            Err(error) => return defect(format!("no schema can be made of the app: {error}")),
        };
        let set = match PolicySet::from_policies(policies) {
            Ok(set) => set,
            Err(error) => return defect(error.to_string()),
        };
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        let mut mistakes: Vec<Diagnostic> = result.validation_errors().map(|error| self.explained(error)).collect();
        // What can never apply is a mistake; how texts look is not.
        let never = result.validation_warnings().filter(|warning| {
            matches!(warning, ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_))
        });
        if mistakes.is_empty() {
            mistakes.extend(never.map(|warning| self.explained(warning)));
        }
        mistakes
    }

    /// What Cedar says, in the form of all mistakes.
    fn explained(&self, error: &dyn Explained) -> Diagnostic {
        let label = error.labels().and_then(|mut labels| labels.next());
        let (offset, bytes) = label.as_ref().map_or((0, 1), |label| (label.offset(), label.len()));
        let meant = self.text.get(offset..offset.saturating_add(bytes)).unwrap_or_default();
        // What reaches over several lines is shown by its first.
        let length = meant.lines().next().map_or(0, |line| line.chars().count());
        let message = error.to_string();
        // Cedar names policies by their number, which nobody wrote.
        let message = match message.split_once("`, ") {
            Some((start, rest)) if start.starts_with("for policy `") => rest.to_owned(),
            _ => message,
        };
        let help = error.help().map(|help| help.to_string());
        let said = label.and_then(|label| label.label().map(str::to_owned)).filter(|said| !message.contains(said));
        self.mistake(offset, length, message, help.or(said))
    }

    fn mistake(&self, offset: usize, length: usize, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        let (line, column) = self.position(offset);
        Diagnostic {
            file: FILE.to_owned(),
            line,
            column,
            length: u32::try_from(length.max(1)).unwrap_or(u32::MAX),
            message: message.into(),
            help,
            excerpt: self.text.lines().nth(line.saturating_sub(1) as usize).map(str::to_owned),
        }
    }

    /// Line and column of a byte.
    fn position(&self, offset: usize) -> (u32, u32) {
        let before = self.text.get(..self.text.floor_char_boundary(offset)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// Where the policy of an id begins, its annotations included.
    fn statement(&self, id: &str) -> usize {
        self.starts.get(place_in_order(id)).copied().unwrap_or_default()
    }
}

/// Where each statement of a text that parses begins.
fn statements(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut is_between = true;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'/' if bytes.peek().is_some_and(|(_, next)| *next == b'/') => {
                while bytes.next_if(|(_, byte)| *byte != b'\n').is_some() {}
                continue;
            }
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => {
                            bytes.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            byte if byte.is_ascii_whitespace() => continue,
            b';' => {
                is_between = true;
                continue;
            }
            _ => {}
        }
        if std::mem::take(&mut is_between) {
            starts.push(at);
        }
    }
    starts
}

fn scope(json: &Json) -> Option<Scope> {
    let entity = || json.get("entity").and_then(expr::uid);
    match json.get("op")?.as_str()? {
        "All" => Some(Scope::Any),
        // Nothing but actions is below anything else.
        "==" | "in" => entity().map(Scope::Is),
        "is" => {
            let of = json.get("entity_type")?.as_str()?.into();
            match json.get("in") {
                None | Some(Json::Null) => Some(Scope::OfType(of)),
                Some(ancestor) => {
                    let uid = ancestor.get("entity").and_then(expr::uid)?;
                    Some(if uid.of == of { Scope::Is(uid) } else { Scope::Nobody })
                }
            }
        }
        _ => None,
    }
}

/// The actions that a policy is about.
fn actions(json: &Json) -> Option<Actions> {
    let one = |uid: Uid, op: &str| {
        let is_meant = |action: &Action| action.uid() == uid || (op == "in" && Action::is_below(&action.uid(), &uid));
        Action::ALL.into_iter().filter(is_meant).collect::<Actions>()
    };
    match json.get("op")?.as_str()? {
        "All" => Some(Action::ALL.into_iter().collect()),
        op @ ("==" | "in") => match (json.get("entity"), json.get("entities").and_then(Json::as_array)) {
            (Some(entity), _) => Some(one(expr::uid(entity)?, op)),
            (None, Some(entities)) => {
                let each = entities.iter().map(|entity| Some(one(expr::uid(entity)?, op)));
                each.collect::<Option<Vec<Actions>>>().map(|each| each.into_iter().flat_map(Actions::iter).collect())
            }
            (None, None) => None,
        },
        _ => None,
    }
}

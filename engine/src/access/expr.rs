//! Conditions of policies as this engine evaluates them, read from Cedar's JSON form of a policy.

use std::sync::Arc;

use serde_json::Value as Json;

use super::value::{Uid, Val};

/// How deep a condition nests. Evaluating one recurses as deep.
pub(super) const DEPTH_MAX: usize = 200;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Value(Val),
    /// What fails whenever it is evaluated.
    Error,
    Var(Var),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    IsEmpty(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    If(Box<[Expr; 3]>),
    Attribute(Box<Expr>, Arc<str>),
    /// Whether one attribute of another and so on is there; at least one.
    Has(Box<Expr>, Arc<[Arc<str>]>),
    Like(Box<Expr>, Arc<[Pattern]>),
    Is(Box<Expr>, Arc<str>),
    Set(Vec<Expr>),
    Record(Vec<(Arc<str>, Expr)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Var {
    Principal,
    Action,
    Resource,
    Context,
}

/// What takes two values, both of which are always evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Add,
    Subtract,
    Multiply,
    In,
    Contains,
    ContainsAll,
    ContainsAny,
}

/// A piece of the pattern of `like`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    Any,
    Character(char),
}

/// What of a policy this engine does not know.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unknown(pub(super) String);

fn unknown(what: impl std::fmt::Display) -> Unknown {
    Unknown(format!("{what} is not known to policies of Weir"))
}

impl Expr {
    pub(super) const TRUE: Self = Self::Value(Val::Bool(true));

    pub(super) fn and(self, other: Self) -> Self {
        match self {
            Self::TRUE => other,
            first => Self::And(Box::new(first), Box::new(other)),
        }
    }

    /// Reads Cedar's JSON form.
    pub(super) fn parse(json: &Json) -> Result<Self, Unknown> {
        parse(json, 0)
    }

    /// What it is made of.
    pub(super) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Value(_) | Self::Error | Self::Var(_) => Vec::new(),
            Self::Not(of) | Self::Negate(of) | Self::IsEmpty(of) => vec![of],
            Self::Attribute(of, _) | Self::Has(of, _) | Self::Like(of, _) | Self::Is(of, _) => vec![of],
            Self::And(left, right) | Self::Or(left, right) | Self::Binary(_, left, right) => vec![left, right],
            Self::If(parts) => parts.iter().collect(),
            Self::Set(elements) => elements.iter().collect(),
            Self::Record(members) => members.iter().map(|(_, member)| member).collect(),
        }
    }

    /// Whether it gives true or false wherever it does not fail.
    pub(super) fn is_boolean(&self) -> bool {
        match self {
            Self::Value(value) => matches!(value, Val::Bool(_)),
            Self::Not(_) | Self::IsEmpty(_) | Self::And(..) | Self::Or(..) => true,
            Self::Has(..) | Self::Like(..) | Self::Is(..) => true,
            Self::Binary(operator, ..) => !matches!(operator, Operator::Add | Operator::Subtract | Operator::Multiply),
            Self::Error | Self::Var(_) | Self::Negate(_) | Self::If(_) | Self::Attribute(..) => false,
            Self::Set(_) | Self::Record(_) => false,
        }
    }
}

/// The entity that JSON names: `{"type": …, "id": …}`.
pub(super) fn uid(json: &Json) -> Option<Uid> {
    let json = json.get("__entity").unwrap_or(json);
    Some(Uid::new(json.get("type")?.as_str()?, json.get("id")?.as_str()?))
}

fn parse(json: &Json, depth: usize) -> Result<Expr, Unknown> {
    if depth > DEPTH_MAX {
        return Err(Unknown(format!("the condition nests more than {DEPTH_MAX} deep")));
    }
    let (kind, of) = match json.as_object().map(|object| (object.len(), object.iter().next())) {
        Some((1, Some(only))) => only,
        _ => return Err(unknown(json)),
    };
    let part = |name: &str| match of.get(name) {
        Some(part) => parse(part, depth + 1).map(Box::new),
        None => Err(unknown(json)),
    };
    let text = |name: &str| of.get(name).and_then(Json::as_str).ok_or_else(|| unknown(json));
    let two = |operator| Ok(Expr::Binary(operator, part("left")?, part("right")?));
    // What is greater is less the other way round; both sides are evaluated whichever comes first.
    let swapped = |operator| Ok(Expr::Binary(operator, part("right")?, part("left")?));
    match kind.as_str() {
        "Value" => literal(of).map(Expr::Value),
        "Var" => match of.as_str() {
            Some("principal") => Ok(Expr::Var(Var::Principal)),
            Some("action") => Ok(Expr::Var(Var::Action)),
            Some("resource") => Ok(Expr::Var(Var::Resource)),
            Some("context") => Ok(Expr::Var(Var::Context)),
            _ => Err(unknown(of)),
        },
        "!" => Ok(Expr::Not(part("arg")?)),
        "neg" => Ok(Expr::Negate(part("arg")?)),
        "isEmpty" => Ok(Expr::IsEmpty(part("arg")?)),
        "&&" => Ok(Expr::And(part("left")?, part("right")?)),
        "||" => Ok(Expr::Or(part("left")?, part("right")?)),
        "==" => two(Operator::Equal),
        "!=" => two(Operator::Equal).map(|equal| Expr::Not(Box::new(equal))),
        "<" => two(Operator::Less),
        "<=" => two(Operator::LessOrEqual),
        ">" => swapped(Operator::Less),
        ">=" => swapped(Operator::LessOrEqual),
        "+" => two(Operator::Add),
        "-" => two(Operator::Subtract),
        "*" => two(Operator::Multiply),
        "in" => two(Operator::In),
        "contains" => two(Operator::Contains),
        "containsAll" => two(Operator::ContainsAll),
        "containsAny" => two(Operator::ContainsAny),
        "." => Ok(Expr::Attribute(part("left")?, text("attr")?.into())),
        "has" => Ok(Expr::Has(part("left")?, attributes(of).ok_or_else(|| unknown(json))?)),
        "like" => Ok(Expr::Like(part("left")?, pattern(of).ok_or_else(|| unknown(json))?)),
        "is" => {
            let is = Expr::Is(part("left")?, text("entity_type")?.into());
            match of.get("in") {
                None | Some(Json::Null) => Ok(is),
                Some(ancestor) => {
                    let ancestor = Box::new(parse(ancestor, depth + 1)?);
                    Ok(is.and(Expr::Binary(Operator::In, part("left")?, ancestor)))
                }
            }
        }
        "if-then-else" => Ok(Expr::If(Box::new([*part("if")?, *part("then")?, *part("else")?]))),
        "Set" => {
            let elements = of.as_array().ok_or_else(|| unknown(json))?;
            elements.iter().map(|element| parse(element, depth + 1)).collect::<Result<_, _>>().map(Expr::Set)
        }
        "Record" => {
            let members = of.as_object().ok_or_else(|| unknown(json))?;
            let member = |(name, value): (&String, &Json)| Ok((name.as_str().into(), parse(value, depth + 1)?));
            members.iter().map(member).collect::<Result<_, _>>().map(Expr::Record)
        }
        other => Err(unknown(other)),
    }
}

fn literal(json: &Json) -> Result<Val, Unknown> {
    match json {
        Json::Bool(value) => Ok(Val::Bool(*value)),
        Json::Number(number) => number.as_i64().map(Val::Long).ok_or_else(|| unknown(number)),
        Json::String(text) => Ok(Val::string(text)),
        Json::Object(_) => uid(json).map(Val::Entity).ok_or_else(|| unknown(json)),
        other => Err(unknown(other)),
    }
}

/// `has a` names one attribute, `has a.b` a list of them.
fn attributes(of: &Json) -> Option<Arc<[Arc<str>]>> {
    match of.get("attr")? {
        Json::String(name) => Some(Arc::new([Arc::from(name.as_str())])),
        Json::Array(names) if !names.is_empty() => names.iter().map(|name| name.as_str().map(Arc::from)).collect(),
        _ => None,
    }
}

fn pattern(of: &Json) -> Option<Arc<[Pattern]>> {
    let mut pattern = Vec::new();
    for piece in of.get("pattern")?.as_array()? {
        match (piece.as_str(), piece.get("Literal").and_then(Json::as_str)) {
            (Some("Wildcard"), _) => pattern.push(Pattern::Any),
            (_, Some(text)) => pattern.extend(text.chars().map(Pattern::Character)),
            _ => return None,
        }
    }
    Some(pattern.into())
}

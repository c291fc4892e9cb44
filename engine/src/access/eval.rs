//! Evaluates conditions as Cedar's own evaluator does: what it answers, and when it fails.
//!
//! Followed is <https://docs.cedarpolicy.com/policies/syntax-operators.html>; `tests` hold both evaluators to random policies
//! and documents.

use std::sync::Arc;

use super::action::Action;
use super::expr::{Expr, Operator, Pattern, Var};
use super::value::{Uid, Val};

/// A policy that fails counts as if it were not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

/// An entity with its attributes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Entity {
    pub(crate) uid: Uid,
    pub(super) attributes: Vec<(Arc<str>, Val)>,
}

impl Entity {
    fn attribute(&self, name: &str) -> Option<&Val> {
        self.attributes.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) principal: &'r Entity,
    pub(super) action: Action,
    pub(super) resource: &'r Entity,
    /// A record.
    pub(super) context: &'r Val,
}

impl Request<'_> {
    /// Whether a condition holds; not, if it fails.
    pub(super) fn satisfies(&self, condition: &Expr) -> bool {
        self.eval(condition) == Ok(Val::Bool(true))
    }

    pub(super) fn eval(&self, expr: &Expr) -> Result<Val, Failed> {
        match expr {
            Expr::Value(value) => Ok(value.clone()),
            Expr::Error => Err(Failed),
            Expr::Var(Var::Principal) => Ok(Val::Entity(self.principal.uid.clone())),
            Expr::Var(Var::Action) => Ok(Val::Entity(self.action.uid())),
            Expr::Var(Var::Resource) => Ok(Val::Entity(self.resource.uid.clone())),
            Expr::Var(Var::Context) => Ok(self.context.clone()),
            Expr::Not(of) => self.boolean(of).map(|value| Val::Bool(!value)),
            Expr::Negate(of) => self.long(of)?.checked_neg().map(Val::Long).ok_or(Failed),
            Expr::IsEmpty(of) => set(&self.eval(of)?).map(|elements| Val::Bool(elements.is_empty())),
            Expr::And(left, right) => Ok(Val::Bool(self.boolean(left)? && self.boolean(right)?)),
            Expr::Or(left, right) => Ok(Val::Bool(self.boolean(left)? || self.boolean(right)?)),
            Expr::Binary(operator, left, right) => binary(*operator, &self.eval(left)?, &self.eval(right)?),
            Expr::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                self.eval(if self.boolean(condition)? { then } else { otherwise })
            }
            Expr::Attribute(of, name) => self.attribute_of(of, name),
            Expr::Has(of, names) => self.has(of, names),
            Expr::Like(of, pattern) => match self.eval(of)? {
                Val::String(text) => Ok(Val::Bool(matches(pattern, &text))),
                _ => Err(Failed),
            },
            Expr::Is(of, name) => match self.eval(of)? {
                Val::Entity(uid) => Ok(Val::Bool(uid.of == *name)),
                _ => Err(Failed),
            },
            Expr::Set(elements) => {
                elements.iter().map(|element| self.eval(element)).collect::<Result<_, _>>().map(Val::set)
            }
            Expr::Record(members) => {
                let member = |(name, value): &(Arc<str>, Expr)| Ok((name.clone(), self.eval(value)?));
                members.iter().map(member).collect::<Result<Vec<_>, _>>().map(Val::record)
            }
        }
    }

    fn boolean(&self, expr: &Expr) -> Result<bool, Failed> {
        match self.eval(expr)? {
            Val::Bool(value) => Ok(value),
            _ => Err(Failed),
        }
    }

    fn long(&self, expr: &Expr) -> Result<i64, Failed> {
        match self.eval(expr)? {
            Val::Long(value) => Ok(value),
            _ => Err(Failed),
        }
    }

    fn entity(&self, uid: &Uid) -> Option<&Entity> {
        [self.principal, self.resource].into_iter().find(|entity| entity.uid == *uid)
    }

    /// Without a copy of the whole where an attribute of one of the entities is asked for.
    fn attribute_of(&self, of: &Expr, name: &str) -> Result<Val, Failed> {
        let entity = match of {
            Expr::Var(Var::Principal) => self.principal,
            Expr::Var(Var::Resource) => self.resource,
            of => {
                return match self.eval(of)? {
                    Val::Record(members) => members.get(name).cloned().ok_or(Failed),
                    Val::Entity(uid) => {
                        self.entity(&uid).and_then(|entity| entity.attribute(name)).cloned().ok_or(Failed)
                    }
                    _ => Err(Failed),
                };
            }
        };
        entity.attribute(name).cloned().ok_or(Failed)
    }

    fn has(&self, of: &Expr, names: &[Arc<str>]) -> Result<Val, Failed> {
        let mut at = self.eval(of)?;
        for name in names {
            let next = match &at {
                Val::Record(members) => members.get(name),
                Val::Entity(uid) => self.entity(uid).and_then(|entity| entity.attribute(name)),
                _ => return Err(Failed),
            };
            match next {
                Some(next) => at = next.clone(),
                None => return Ok(Val::Bool(false)),
            }
        }
        Ok(Val::Bool(true))
    }
}

/// The elements of a set.
fn set(value: &Val) -> Result<&[Val], Failed> {
    match value {
        Val::Set(elements) => Ok(elements),
        _ => Err(Failed),
    }
}

pub(super) fn binary(operator: Operator, left: &Val, right: &Val) -> Result<Val, Failed> {
    let longs = || match (left, right) {
        (Val::Long(left), Val::Long(right)) => Ok((*left, *right)),
        _ => Err(Failed),
    };
    let value = match operator {
        Operator::Equal => left == right,
        Operator::Less => longs().map(|(left, right)| left < right)?,
        Operator::LessOrEqual => longs().map(|(left, right)| left <= right)?,
        Operator::Add => return longs().and_then(|(left, right)| long(left.checked_add(right))),
        Operator::Subtract => return longs().and_then(|(left, right)| long(left.checked_sub(right))),
        Operator::Multiply => return longs().and_then(|(left, right)| long(left.checked_mul(right))),
        Operator::In => is_in(left, right)?,
        Operator::Contains => set(left)?.binary_search(right).is_ok(),
        Operator::ContainsAll => {
            let (left, right) = (set(left)?, set(right)?);
            right.iter().all(|element| left.binary_search(element).is_ok())
        }
        Operator::ContainsAny => {
            let (left, right) = (set(left)?, set(right)?);
            right.iter().any(|element| left.binary_search(element).is_ok())
        }
    };
    Ok(Val::Bool(value))
}

fn long(value: Option<i64>) -> Result<Val, Failed> {
    value.map(Val::Long).ok_or(Failed)
}

/// Whether an entity is another one or below it. Only actions are below others.
fn is_in(left: &Val, right: &Val) -> Result<bool, Failed> {
    let Val::Entity(uid) = left else { return Err(Failed) };
    let is_below = |ancestor: &Uid| uid == ancestor || Action::is_below(uid, ancestor);
    match right {
        Val::Entity(ancestor) => Ok(is_below(ancestor)),
        Val::Set(ancestors) => {
            let mut uids = Vec::with_capacity(ancestors.len());
            for ancestor in &**ancestors {
                let Val::Entity(ancestor) = ancestor else { return Err(Failed) };
                uids.push(ancestor);
            }
            Ok(uids.into_iter().any(is_below))
        }
        _ => Err(Failed),
    }
}

/// Whether a text has a pattern, in time that is bounded by the product of both lengths.
pub(super) fn matches(pattern: &[Pattern], text: &str) -> bool {
    let mut text = text.chars();
    let mut pattern = pattern.iter();
    // Where to go on after a mismatch: behind the last `*`, one character later.
    let mut again: Option<(std::slice::Iter<'_, Pattern>, std::str::Chars<'_>)> = None;
    loop {
        let (rest, mut ahead) = (text.clone(), pattern.clone());
        match (ahead.next(), text.next()) {
            (Some(Pattern::Any), _) => {
                pattern = ahead;
                text = rest;
                again = Some((pattern.clone(), text.clone()));
            }
            (Some(Pattern::Character(expected)), Some(found)) if *expected == found => pattern = ahead,
            (None, None) => return true,
            _ => {
                let Some((behind, later)) = &mut again else { return false };
                if later.next().is_none() {
                    return false;
                }
                (pattern, text) = (behind.clone(), later.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_wholes() {
        let table = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*b*", "abc", true),
            ("*ab", "aab", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ü*", "über", true),
        ];
        for (pattern, text, expected) in table {
            let piece = |c| if c == '*' { Pattern::Any } else { Pattern::Character(c) };
            let pieces: Vec<Pattern> = pattern.chars().map(piece).collect();
            assert_eq!(matches(&pieces, text), expected, "{text:?} like {pattern:?}");
        }
    }
}

//! Evaluates what is known of a condition before the document is: who calls, what is done, from which function.
//!
//! Rule: what is left gives for each document of the type what the whole condition gives, failures included.

use super::eval::{Entity, Request, binary};
use super::expr::{Expr, Operator, Var};
use super::value::{Uid, Val};

/// What is known, with a document of which nothing is known but its type.
pub(super) struct Reduction<'r> {
    request: Request<'r>,
}

impl<'r> Reduction<'r> {
    /// `request.resource` stands for all documents of its type; its attributes are not looked at.
    pub(super) fn new(request: Request<'r>) -> Self {
        Self { request }
    }

    /// Of a condition that can hold what is left of it; `None` where it never holds.
    pub(super) fn condition(&self, condition: &Expr) -> Option<Expr> {
        let left = self.reduce(condition);
        (!never_holds(&left)).then_some(left)
    }

    fn reduce(&self, expr: &Expr) -> Expr {
        match expr {
            Expr::Value(_) | Expr::Error | Expr::Var(Var::Resource) => expr.clone(),
            Expr::Var(_) => self.known(expr),
            Expr::Not(of) => self.one(of, Expr::Not),
            Expr::Negate(of) => self.one(of, Expr::Negate),
            Expr::IsEmpty(of) => self.one(of, Expr::IsEmpty),
            Expr::Like(of, pattern) => self.one(of, |of| Expr::Like(of, pattern.clone())),
            Expr::Is(of, name) => match **of {
                Expr::Var(Var::Resource) => Expr::Value(Val::Bool(self.request.resource.uid.of == *name)),
                _ => self.one(of, |of| Expr::Is(of, name.clone())),
            },
            Expr::Attribute(of, name) => self.one(of, |of| Expr::Attribute(of, name.clone())),
            Expr::Has(of, names) => self.one(of, |of| Expr::Has(of, names.clone())),
            Expr::And(left, right) => self.and(left, right),
            Expr::Or(left, right) => self.or(left, right),
            Expr::Binary(operator, left, right) => match (self.reduce(left), self.reduce(right)) {
                (Expr::Error, _) | (_, Expr::Error) => Expr::Error,
                (Expr::Value(left), Expr::Value(right)) => {
                    binary(*operator, &left, &right).map_or(Expr::Error, Expr::Value)
                }
                (left, right) => self.about_resource(*operator, left, right),
            },
            Expr::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                match self.reduce(condition) {
                    Expr::Value(Val::Bool(true)) => self.reduce(then),
                    Expr::Value(Val::Bool(false)) => self.reduce(otherwise),
                    Expr::Value(_) | Expr::Error => Expr::Error,
                    left => Expr::If(Box::new([left, self.reduce(then), self.reduce(otherwise)])),
                }
            }
            Expr::Set(elements) => {
                let elements: Vec<Expr> = elements.iter().map(|element| self.reduce(element)).collect();
                self.whole(Expr::Set(elements))
            }
            Expr::Record(members) => {
                let members = members.iter().map(|(name, member)| (name.clone(), self.reduce(member)));
                self.whole(Expr::Record(members.collect()))
            }
        }
    }

    /// Evaluates what does not depend on the document.
    fn known(&self, expr: &Expr) -> Expr {
        self.request.eval(expr).map_or(Expr::Error, Expr::Value)
    }

    fn one(&self, of: &Expr, make: impl FnOnce(Box<Expr>) -> Expr) -> Expr {
        let of = self.reduce(of);
        // An entity that is named may be the document.
        let may_be_it = matches!(&of, Expr::Value(Val::Entity(Uid { of, .. })) if *of == self.request.resource.uid.of);
        let is_known = matches!(of, Expr::Value(_)) && !may_be_it;
        match of {
            Expr::Error => Expr::Error,
            of => {
                let made = make(Box::new(of));
                // What is named by a type is so whichever it is.
                if is_known || (may_be_it && matches!(made, Expr::Is(..))) { self.known(&made) } else { made }
            }
        }
    }

    /// A set or a record whose parts are reduced.
    fn whole(&self, expr: Expr) -> Expr {
        let parts = expr.parts();
        if parts.contains(&&Expr::Error) {
            return Expr::Error;
        }
        if parts.iter().all(|part| matches!(part, Expr::Value(_))) { self.known(&expr) } else { expr }
    }

    fn and(&self, left: &Expr, right: &Expr) -> Expr {
        match self.reduce(left) {
            Expr::Value(Val::Bool(false)) => Expr::Value(Val::Bool(false)),
            Expr::Value(Val::Bool(true)) => {
                boolean(self.reduce(right), |right| Expr::And(Box::new(Expr::TRUE), Box::new(right)))
            }
            Expr::Value(_) | Expr::Error => Expr::Error,
            left => match self.reduce(right) {
                Expr::TRUE if left.is_boolean() => left,
                right => Expr::And(Box::new(left), Box::new(right)),
            },
        }
    }

    fn or(&self, left: &Expr, right: &Expr) -> Expr {
        match self.reduce(left) {
            Expr::TRUE => Expr::TRUE,
            Expr::Value(Val::Bool(false)) => {
                boolean(self.reduce(right), |right| Expr::Or(Box::new(Expr::Value(Val::Bool(false))), Box::new(right)))
            }
            Expr::Value(_) | Expr::Error => Expr::Error,
            left => match self.reduce(right) {
                Expr::Value(Val::Bool(false)) if left.is_boolean() => left,
                right => Expr::Or(Box::new(left), Box::new(right)),
            },
        }
    }

    /// Tells documents from entities of other types.
    fn about_resource(&self, operator: Operator, left: Expr, right: Expr) -> Expr {
        let is_other = |value: &Val| match value {
            Val::Entity(uid) => uid.of != self.request.resource.uid.of,
            _ => operator == Operator::Equal,
        };
        match (operator, &left, &right) {
            (Operator::Equal | Operator::In, Expr::Var(Var::Resource), Expr::Value(value))
            | (Operator::Equal, Expr::Value(value), Expr::Var(Var::Resource))
                if is_other(value) =>
            {
                // Anything but an entity is nothing to be in, which fails.
                Expr::Value(Val::Bool(false))
            }
            _ => Expr::Binary(operator, Box::new(left), Box::new(right)),
        }
    }
}

/// What has to be true or false, with its check where that is not known.
fn boolean(expr: Expr, checked: impl FnOnce(Expr) -> Expr) -> Expr {
    match expr {
        Expr::Value(Val::Bool(_)) => expr,
        Expr::Value(_) | Expr::Error => Expr::Error,
        expr if expr.is_boolean() => expr,
        expr => checked(expr),
    }
}

/// Whether a condition holds for no document.
fn never_holds(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => *value != Val::Bool(true),
        Expr::Error => true,
        Expr::And(left, right) => never_holds(left) || never_holds(right),
        Expr::Or(left, right) => never_holds(left) && never_holds(right),
        _ => false,
    }
}

/// An entity of a type of which nothing else is known.
pub(super) fn any_of(of: &str) -> Entity {
    Entity { uid: Uid::new(of, ""), attributes: Vec::new() }
}

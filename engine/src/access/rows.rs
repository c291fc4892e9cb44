//! The rules of a collection for one caller of one function: what is left of the policies once all but the document is known.
//!
//! Rule: a document is there for a caller only where `read` allows it, and a member of it only where `view` does. The member
//! `id` is part of the document. Who may not view a member finds no document by it either: neither order nor position along an
//! index tell what the member is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value as Json};

use super::action::Action;
use super::eval::Request;
use super::expr::{Expr, Operator, Var};
use super::policies::{Effect, Policies};
use super::reduce::{Reduction, any_of};
use super::schema::DocumentType;
use super::value::{Type, Uid, Val};

pub(crate) use super::eval::Entity;

/// One action on all documents of a collection.
#[derive(Debug)]
pub(crate) struct Rule {
    action: Action,
    /// Of each policy what is left to be asked of a document.
    permits: Vec<Expr>,
    forbids: Vec<Expr>,
    verdict: Verdict,
    context: Val,
}

/// What a rule says of all documents at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    All,
    Nothing,
    /// It depends on the document.
    Some,
}

/// The rules of a collection.
pub(crate) struct RowRules {
    principal: Arc<Entity>,
    /// The declared type of the documents.
    pub(crate) document: Arc<str>,
    /// The same as an entity type.
    entity: Arc<str>,
    pub(crate) read: Rule,
    pub(crate) create: Rule,
    pub(crate) update: Rule,
    pub(crate) delete: Rule,
    /// Of those members that not everybody may view in all documents.
    views: BTreeMap<Arc<str>, Rule>,
    /// The members that the rules look at, with their types.
    members: BTreeMap<Arc<str>, Type>,
}

impl Rule {
    fn of(
        policies: &Policies,
        principal: &Entity,
        action: Action,
        function: &str,
        field: Option<&str>,
        of: &str,
    ) -> Self {
        let field = field.map(|field| (Arc::from("field"), Val::string(field)));
        let context = Val::record([(Arc::from("function"), Val::string(function))].into_iter().chain(field));
        let any = any_of(of);
        let (mut permits, mut forbids) = (Vec::new(), Vec::new());
        {
            let reduction = Reduction::new(Request { principal, action, resource: &any, context: &context });
            for policy in policies.about(&principal.uid, action, of) {
                let condition = match policy.resource_condition() {
                    Some(is_meant) => is_meant.and(policy.condition.clone()),
                    None => policy.condition.clone(),
                };
                let Some(left) = reduction.condition(&condition) else { continue };
                match policy.effect {
                    Effect::Permit => permits.push(left),
                    Effect::Forbid => forbids.push(left),
                }
            }
        }
        let is_permitted = permits.contains(&Expr::TRUE);
        let verdict = if permits.is_empty() || forbids.contains(&Expr::TRUE) {
            Verdict::Nothing
        } else if is_permitted && forbids.is_empty() {
            Verdict::All
        } else {
            Verdict::Some
        };
        if is_permitted {
            permits = vec![Expr::TRUE];
        }
        Self { action, permits, forbids, verdict, context }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn allows(&self, principal: &Entity, document: &Entity) -> bool {
        match self.verdict {
            Verdict::All => true,
            Verdict::Nothing => false,
            Verdict::Some => {
                let (action, context) = (self.action, &self.context);
                let request = Request { principal, action, resource: document, context };
                self.permits.iter().any(|permit| request.satisfies(permit))
                    && !self.forbids.iter().any(|forbid| request.satisfies(forbid))
            }
        }
    }

    /// Members that have the same value in all documents that it allows.
    fn equal(&self) -> BTreeMap<Arc<str>, Val> {
        let mut permits = self.permits.iter().map(equalities);
        let first = permits.next().unwrap_or_default();
        permits.fold(first, |mut equal, other| {
            equal.retain(|member, value| other.get(member) == Some(value));
            equal
        })
    }

    fn look_for_members(&self, names: &mut BTreeSet<Arc<str>>) {
        let mut left: Vec<&Expr> = self.permits.iter().chain(&self.forbids).collect();
        while let Some(expr) = left.pop() {
            match expr {
                Expr::Attribute(_, name) => names.extend([name.clone()]),
                Expr::Has(_, path) => names.extend(path.iter().cloned()),
                _ => {}
            }
            left.extend(expr.parts());
        }
    }
}

/// Members of the document that equal a value wherever a condition holds.
fn equalities(condition: &Expr) -> BTreeMap<Arc<str>, Val> {
    let mut equal = BTreeMap::new();
    let mut left = vec![condition];
    while let Some(expr) = left.pop() {
        match expr {
            Expr::And(first, second) => left.extend([&**first, &**second]),
            Expr::Binary(Operator::Equal, first, second) => {
                if let (Expr::Attribute(of, name), Expr::Value(value)) | (Expr::Value(value), Expr::Attribute(of, name)) =
                    (&**first, &**second)
                    && **of == Expr::Var(Var::Resource)
                {
                    equal.insert(name.clone(), value.clone());
                }
            }
            _ => {}
        }
    }
    equal
}

impl RowRules {
    pub(super) fn of(policies: &Policies, principal: &Arc<Entity>, function: &str, document: &DocumentType) -> Self {
        let rule = |action, field| Rule::of(policies, principal, action, function, field, &document.entity);
        let [read, create, update, delete] =
            [Action::Read, Action::Create, Action::Update, Action::Delete].map(|action| rule(action, None));
        let views =
            document.fields.iter().map(|field| (Arc::from(field.as_str()), rule(Action::View, Some(field.as_str()))));
        let views: BTreeMap<Arc<str>, Rule> = views.filter(|(_, rule)| rule.verdict() != Verdict::All).collect();
        let mut names = BTreeSet::new();
        for rule in [&read, &create, &update, &delete].into_iter().chain(views.values()) {
            rule.look_for_members(&mut names);
        }
        let members = names.into_iter().filter_map(|name| {
            let (of, _) = document.members.get(&*name)?;
            Some((name, of.clone()))
        });
        let (principal, members) = (principal.clone(), members.collect());
        let (document, entity) = (document.name.as_str().into(), document.entity.as_str().into());
        Self { principal, document, entity, read, create, update, delete, views, members }
    }

    /// Whether a caller sees all documents of the collection, and all of each.
    pub(crate) fn hides_nothing(&self) -> bool {
        self.read.verdict() == Verdict::All && self.views.is_empty()
    }

    /// Whether documents are to be looked into one by one where they are found by these members.
    pub(crate) fn visibility(&self, by: &[String]) -> Verdict {
        let rules = [&self.read].into_iter().chain(by.iter().filter_map(|name| self.views.get(name.as_str())));
        let mut verdict = Verdict::All;
        for rule in rules {
            match rule.verdict() {
                Verdict::All => {}
                Verdict::Nothing => return Verdict::Nothing,
                Verdict::Some => verdict = Verdict::Some,
            }
        }
        verdict
    }

    /// Whether a document is there for the caller who finds it by these members.
    pub(crate) fn shows(&self, document: &Entity, by: &[String]) -> bool {
        self.allows(&self.read, document)
            && by.iter().filter_map(|name| self.views.get(name.as_str())).all(|rule| self.allows(rule, document))
    }

    pub(crate) fn allows(&self, rule: &Rule, document: &Entity) -> bool {
        rule.allows(&self.principal, document)
    }

    /// The members that the caller may not view in a document, all of which may be hidden in some.
    pub(crate) fn hidden<'r>(&'r self, document: &'r Entity) -> impl Iterator<Item = &'r Arc<str>> {
        self.views.iter().filter(|(_, rule)| !self.allows(rule, document)).map(|(name, _)| name)
    }

    /// Whether some members are hidden in some documents.
    pub(crate) fn hides_members(&self) -> bool {
        !self.views.is_empty()
    }

    /// Members that have one value in all documents that the caller may read, as JSON.
    pub(crate) fn equal(&self) -> Vec<(String, Json)> {
        if self.read.verdict() != Verdict::Some {
            return Vec::new();
        }
        let json = |value: &Val| match value {
            Val::Bool(value) => Some(Json::Bool(*value)),
            Val::Long(value) => Some((*value).into()),
            Val::String(text) => Some(Json::String(text.to_string())),
            Val::Entity(_) | Val::Set(_) | Val::Record(_) => None,
        };
        let equal = self.read.equal().into_iter();
        // By what may not be viewed nothing is found.
        let may_be_used = |name: &Arc<str>| self.members.contains_key(name) && self.is_viewed_where_read(name);
        equal
            .filter(|(name, _)| may_be_used(name))
            .filter_map(|(name, value)| Some((name.to_string(), json(&value)?)))
            .collect()
    }

    /// Whether a member may be viewed wherever its document may be read, as far as the rules say so in the same words.
    fn is_viewed_where_read(&self, member: &str) -> bool {
        let Some(view) = self.views.get(member) else { return true };
        let is_permitted = |permit| view.permits.contains(&Expr::TRUE) || view.permits.contains(permit);
        self.read.permits.iter().all(is_permitted)
            && view.forbids.iter().all(|forbid| self.read.forbids.contains(forbid))
    }

    /// What the rules look at of a stored document; `None` for what is none.
    pub(crate) fn entity(&self, text: &[u8]) -> Option<Entity> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        Picking { rules: self }.deserialize(&mut deserializer).ok()
    }

    /// The same of a document that is to be stored.
    pub(crate) fn entity_of(&self, id: &str, document: &Map<String, Json>) -> Entity {
        let id_member = Json::String(id.to_owned());
        let members = self.members.iter().filter_map(|(name, of)| {
            let value = if **name == *"id" { &id_member } else { document.get(&**name)? };
            Some((name.clone(), of.value(value)?))
        });
        Entity { uid: Uid { of: self.entity.clone(), id: id.into() }, attributes: members.collect() }
    }
}

/// Reads of a document what rules look at, and skips the rest.
struct Picking<'r> {
    rules: &'r RowRules,
}

impl<'de> DeserializeSeed<'de> for Picking<'_> {
    type Value = Entity;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entity, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Picking<'_> {
    type Value = Entity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entity, A::Error> {
        let RowRules { members, entity, .. } = self.rules;
        let mut attributes = Vec::with_capacity(members.len());
        let mut id: Arc<str> = "".into();
        while let Some(name) = map.next_key_seed(Name { members })? {
            match name {
                Named::Id(known) => {
                    id = map.next_value::<String>()?.into();
                    attributes.extend(known.map(|name| (name.clone(), Val::String(id.clone()))));
                }
                Named::Member(name, of) => {
                    let value: Json = map.next_value()?;
                    attributes.extend(of.value(&value).map(|value| (name.clone(), value)));
                }
                Named::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Entity { uid: Uid { of: entity.clone(), id }, attributes })
    }
}

/// Reads the name of a member, without a copy.
struct Name<'r> {
    members: &'r BTreeMap<Arc<str>, Type>,
}

/// What a member is to the rules.
enum Named<'r> {
    /// The id, with its name if they look at it.
    Id(Option<&'r Arc<str>>),
    Member(&'r Arc<str>, &'r Type),
    Other,
}

impl<'de, 'r> DeserializeSeed<'de> for Name<'r> {
    type Value = Named<'r>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named<'r>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'r> Visitor<'_> for Name<'r> {
    type Value = Named<'r>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Named<'r>, E> {
        Ok(match (name, self.members.get_key_value(name)) {
            ("id", known) => Named::Id(known.map(|(name, _)| name)),
            (_, Some((name, of))) => Named::Member(name, of),
            (_, None) => Named::Other,
        })
    }
}

//! The policies of a release, and what they decide.
//!
//! Rule: what no policy permits is denied, what one forbids is denied, and a policy that fails counts as if it were not there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use quick_cache::sync::Cache;
use serde_json::Value as Json;
use weir_sandbox::protocol::Observed;
use weir_schema::caller::CallerSettings;

use super::action::Action;
use super::attributes::{Attributes, CLAIMS};
use super::eval::{Entity, Request};
use super::expr::Expr;
use super::rate::PolicyRate;
use super::rows::RowRules;
use super::schema::{DocumentType, FUNCTION, Model, has_token};
use super::value::{Type, Uid, Val};
use crate::call::{Caller, TokenKind};

/// Row rules that are kept: of so many callers, functions and collections.
const RULES_MAX: usize = 4_096;

/// What a policy does to what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Permits it.
    Permit,
    /// Forbids it, whatever others permit.
    Forbid,
}

/// Some actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Actions(u8);

impl Actions {
    pub(super) fn has(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.has(*action))
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |all, action| all | (1 << action as u8)))
    }
}

/// Which entities a policy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Any,
    OfType(Arc<str>),
    Is(Uid),
    Nobody,
}

impl Scope {
    pub(super) fn has(&self, entity: &Uid) -> bool {
        match self {
            Self::Any => true,
            Self::OfType(of) => entity.of == *of,
            Self::Is(uid) => entity == uid,
            Self::Nobody => false,
        }
    }

    /// Whether it has entities of a type.
    fn may_have(&self, of: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OfType(known) => **known == *of,
            Self::Is(uid) => *uid.of == *of,
            Self::Nobody => false,
        }
    }
}

/// One policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) effect: Effect,
    pub(super) principal: Scope,
    pub(super) actions: Actions,
    pub(super) resource: Scope,
    pub(super) condition: Expr,
    /// What of a caller it looks at.
    pub(super) attributes: Attributes,
    /// How often it allows a call.
    pub(super) rate: Option<PolicyRate>,
}

impl Policy {
    pub(super) fn is_about(&self, request: &Request<'_>) -> bool {
        self.actions.has(request.action)
            && self.resource.has(&request.resource.uid)
            && self.principal.has(&request.principal.uid)
    }
}

/// The policies of a release.
pub struct Policies {
    model: Model,
    pub(super) policies: Vec<Policy>,
    /// By the collection.
    observed: HashMap<String, Vec<Observed>>,
    rules: Cache<RulesKey, Arc<RowRules>>,
}

/// Whose rules: a caller, a function by its name, a collection by its name.
type RulesKey = (Arc<Entity>, Arc<str>, Arc<str>);

/// What was decided, and by which policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// Those that decided: which forbid, or else which permit. None where nothing permits.
    pub by: Vec<Deciding>,
    /// Those that failed, and so counted as if they were not there.
    pub failed: Vec<Deciding>,
    /// How often it may be done, if that is limited.
    pub rate: Option<PolicyRate>,
}

/// A policy, for who wants to look it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    /// Its annotation `@id`, or where it is.
    pub name: String,
    /// The line in `policies.cedar` on which it begins, from 1.
    pub line: u32,
    /// What it does.
    pub effect: Effect,
}

impl Policies {
    pub(super) fn new(model: Model, policies: Vec<Policy>, settings: &CallerSettings) -> Self {
        let collections = model.collections.iter();
        let observed = collections.map(|(name, of)| (name.clone(), observed(&policies, of, settings))).collect();
        Self { model, policies, observed, rules: Cache::new(RULES_MAX) }
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.policies.len()
    }

    /// The caller as policies see it. `None`: nobody asks policies about it.
    pub(super) fn principal(&self, caller: &Caller) -> Option<Entity> {
        let identity = match caller {
            Caller::Developer | Caller::Scheduler => return None,
            Caller::Anonymous => return Some(self.entity("Anonymous", "anonymous", &[], &[], |_| None)),
            Caller::Token(identity) => identity,
        };
        let of = match identity.kind {
            TokenKind::User => "User",
            TokenKind::Service => "Service",
        };
        let id = format!("{}|{}", identity.issuer, identity.subject);
        let mut entity = self.entity(of, &id, &identity.roles, &identity.scopes, |name| identity.claims.get(name));
        if has_token(of) {
            entity.attributes.push(("subject".into(), Val::string(&identity.subject)));
            entity.attributes.push(("issuer".into(), Val::string(&identity.issuer)));
        }
        Some(entity)
    }

    fn entity<'j>(
        &self,
        of: &str,
        id: &str,
        roles: &[String],
        scopes: &[String],
        claim: impl Fn(&str) -> Option<&'j Json>,
    ) -> Entity {
        let claims = self.model.claims.iter();
        let claims = claims.filter_map(|(name, known)| Some((name.as_str().into(), known.value(claim(name)?)?)));
        let attributes = vec![
            ("roles".into(), Val::strings(roles)),
            ("scopes".into(), Val::strings(scopes)),
            (CLAIMS.into(), Val::record(claims)),
        ];
        Entity { uid: Uid::new(of, id), attributes }
    }

    /// A function as a resource.
    pub(super) fn function(&self, name: &str) -> Entity {
        let (kind, module) = match self.model.functions.get(name) {
            Some(function) => (function.kind, function.module.as_str()),
            None => ("", ""),
        };
        let attributes = [("name", name), ("kind", kind), ("module", module)];
        let attributes = attributes.map(|(attribute, text)| (attribute.into(), Val::string(text)));
        Entity { uid: Uid::new(FUNCTION, name), attributes: attributes.into() }
    }

    /// The context of a call with checked arguments.
    pub(super) fn call_context(&self, function: &str, arguments: &Json) -> Val {
        let arguments = match self.model.functions.get(function) {
            Some(known) => Type::record(&known.arguments, |name| arguments.get(name)),
            None => Val::record([]),
        };
        Val::record([("function".into(), Val::string(function)), ("args".into(), arguments)])
    }

    /// Whether it may be done.
    pub(super) fn allow(&self, request: &Request<'_>) -> bool {
        let mut is_permitted = false;
        for policy in self.policies.iter().filter(|policy| policy.is_about(request)) {
            match policy.effect {
                Effect::Permit if is_permitted => {}
                Effect::Permit => is_permitted = request.satisfies(&policy.condition),
                Effect::Forbid if request.satisfies(&policy.condition) => return false,
                Effect::Forbid => {}
            }
        }
        is_permitted
    }

    /// The same with the reasons.
    pub(super) fn decide(&self, request: &Request<'_>) -> Decision {
        let mut by = BTreeMap::<bool, Vec<Deciding>>::new();
        let mut failed = Vec::new();
        for policy in self.policies.iter().filter(|policy| policy.is_about(request)) {
            let deciding = || Deciding { name: policy.name.clone(), line: policy.line, effect: policy.effect };
            match request.eval(&policy.condition) {
                Ok(Val::Bool(true)) => by.entry(policy.effect == Effect::Forbid).or_default().push(deciding()),
                Ok(Val::Bool(false)) => {}
                Ok(_) | Err(_) => failed.push(deciding()),
            }
        }
        let (forbidding, permitting) = (by.remove(&true), by.remove(&false));
        let allowed = forbidding.is_none() && permitting.is_some();
        let by = forbidding.or(permitting).unwrap_or_default();
        Decision { allowed, by, failed, rate: self.rate(request).cloned() }
    }

    /// Those that may be about an action on documents of a type by somebody.
    pub(super) fn about<'p>(
        &'p self,
        principal: &'p Uid,
        action: Action,
        of: &'p str,
    ) -> impl Iterator<Item = &'p Policy> {
        self.policies.iter().filter(move |policy| {
            policy.actions.has(action) && policy.resource.may_have(of) && policy.principal.has(principal)
        })
    }

    /// The rules of a collection for a caller of a function. They are worked out once for all of its documents.
    pub(super) fn rules(
        &self,
        principal: &Arc<Entity>,
        function: &Arc<str>,
        collection: &str,
    ) -> Option<Arc<RowRules>> {
        let key = (principal.clone(), function.clone(), Arc::from(collection));
        if let Some(rules) = self.rules.get(&key) {
            return Some(rules);
        }
        let rules = Arc::new(RowRules::of(self, principal, function, self.model.collections.get(collection)?));
        self.rules.insert(key, rules.clone());
        Some(rules)
    }

    /// What a run looks at of its caller that reads a collection, whoever it is.
    pub(crate) fn observed(&self, collection: &str) -> &[Observed] {
        self.observed.get(collection).map_or(&[], Vec::as_slice)
    }
}

/// What policies look at of a caller to decide what may be read of some documents.
fn observed(policies: &[Policy], document: &DocumentType, settings: &CallerSettings) -> Vec<Observed> {
    let is_about = |policy: &&Policy| {
        let reads = policy.actions.has(Action::Read) || policy.actions.has(Action::View);
        reads && policy.resource.may_have(&document.entity)
    };
    let attributes = policies.iter().filter(is_about).map(|policy| policy.attributes.clone());
    attributes.fold(Attributes::default(), Attributes::and).observed(settings)
}

impl Policy {
    /// Whether it is about a document of a type that it may be about.
    pub(super) fn resource_condition(&self) -> Option<Expr> {
        match &self.resource {
            Scope::Is(uid) => Some(Expr::Binary(
                super::expr::Operator::Equal,
                Box::new(Expr::Var(super::expr::Var::Resource)),
                Box::new(Expr::Value(Val::Entity(uid.clone()))),
            )),
            Scope::Any | Scope::OfType(_) | Scope::Nobody => None,
        }
    }
}

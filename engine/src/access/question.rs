//! One question to the policies of an app, asked from outside: by tests of policies and by who wants a decision explained.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use weir_schema::caller::CallerSettings;
use weir_schema::declarations::Declarations;
use weir_schema::validate;

use super::action::Action;
use super::eval::{Entity, Request};
use super::policies::{Decision, Policies};
use super::value::{Type, Uid, Val};
use crate::call::{Caller, Identity, TokenKind};

/// Who asks, as people write it: `{"kind": "user", "subject": "ada", "roles": ["admin"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerForm {
    /// `anonymous`, `user`, `service` or `developer`.
    pub kind: CallerKind,
    /// Of users and services.
    #[serde(default)]
    pub subject: String,
    /// Of users and services.
    #[serde(default)]
    pub issuer: String,
    /// In any order.
    #[serde(default)]
    pub roles: Vec<String>,
    /// In any order.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Those that `app.toml` declares.
    #[serde(default)]
    pub claims: Map<String, Json>,
}

/// A kind of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallerKind {
    /// Without a token.
    Anonymous,
    /// A person with a token.
    User,
    /// A program with a token.
    Service,
    /// Of `weir dev`.
    Developer,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Whether a function may be called.
    Call {
        /// Its name.
        function: String,
        /// Its arguments.
        arguments: Map<String, Json>,
    },
    /// Whether something may be done to a document.
    Document {
        /// Anything but [`Action::Call`].
        action: Action,
        /// The collection's name.
        collection: String,
        /// As much of the document as the policies look at.
        document: Map<String, Json>,
        /// The function that was called.
        function: String,
        /// The member, with [`Action::View`].
        field: Option<String>,
    },
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum BadQuestion {
    /// What is named is not in the app.
    #[error("the app has no {what} {name:?}; it has: {known}")]
    Unknown {
        /// `function`, `collection`, `claim` or `member`.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// Arguments or a member of another type.
    #[error("{0}")]
    Type(String),
    /// A user or a service without a subject.
    #[error("the caller needs a subject: {{\"kind\": \"user\", \"subject\": \"ada\"}}")]
    NoSubject,
    /// [`Action::View`] without a member, or a member with another action.
    #[error("`view` names a member, as in customers.email, and nothing else does")]
    Field,
}

fn unknown<'n>(what: &'static str, name: &str, known: impl Iterator<Item = &'n str>) -> BadQuestion {
    BadQuestion::Unknown { what, name: name.to_owned(), known: known.collect::<Vec<_>>().join(", ") }
}

impl CallerForm {
    /// The caller who is meant.
    pub fn caller(&self, settings: &CallerSettings) -> Result<Caller, BadQuestion> {
        let kind = match self.kind {
            CallerKind::Anonymous => return Ok(Caller::Anonymous),
            CallerKind::Developer => return Ok(Caller::Developer),
            CallerKind::User => TokenKind::User,
            CallerKind::Service => TokenKind::Service,
        };
        if self.subject.is_empty() {
            return Err(BadQuestion::NoSubject);
        }
        for (name, value) in &self.claims {
            let Some(of) = settings.claims.get(name) else {
                return Err(unknown("claim", name, settings.claims.keys().map(String::as_str)));
            };
            if !of.has(value) {
                return Err(BadQuestion::Type(format!("the claim {name} is {}, not {value}", of.described())));
            }
        }
        let sorted = |texts: &[String]| {
            let mut texts = texts.to_vec();
            texts.sort_unstable();
            texts.dedup();
            texts
        };
        Ok(Caller::Token(Arc::new(Identity {
            kind,
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            roles: sorted(&self.roles),
            scopes: sorted(&self.scopes),
            claims: self.claims.clone(),
        })))
    }
}

impl Policies {
    /// Answers a question. Who may do everything is told so by no policy.
    pub fn answer(
        &self,
        declarations: &Declarations,
        caller: &Caller,
        question: &Question,
    ) -> Result<Decision, BadQuestion> {
        let functions = || self.model().functions.keys().map(String::as_str);
        let (action, resource, context) = match question {
            Question::Call { function, arguments } => {
                if !self.model().functions.contains_key(function) {
                    return Err(unknown("function", function, functions()));
                }
                let mut given = Json::Object(arguments.clone());
                if let Some(declared) = declarations.functions.get(function) {
                    given = validate::arguments(declared, &declarations.definitions, given)
                        .map_err(|violation| BadQuestion::Type(violation.to_string()))?;
                }
                (Action::Call, self.function(function), self.call_context(function, &given))
            }
            Question::Document { action, collection, document, function, field } => {
                if !function.is_empty() && !self.model().functions.contains_key(function) {
                    return Err(unknown("function", function, functions()));
                }
                let context = [("function".into(), Val::string(function))];
                let context = match (action, field) {
                    (Action::View, Some(field)) => {
                        Val::record(context.into_iter().chain([("field".into(), Val::string(field))]))
                    }
                    (Action::Read | Action::Create | Action::Update | Action::Delete, None) => Val::record(context),
                    _ => return Err(BadQuestion::Field),
                };
                (*action, self.document(collection, document, field.as_deref())?, context)
            }
        };
        let Some(principal) = self.principal(caller) else {
            return Ok(Decision { allowed: true, by: Vec::new(), failed: Vec::new(), rate: None });
        };
        Ok(self.decide(&Request { principal: &principal, action, resource: &resource, context: &context }))
    }

    fn document(&self, name: &str, document: &Map<String, Json>, field: Option<&str>) -> Result<Entity, BadQuestion> {
        let collections = &self.model().collections;
        let Some(known) = collections.get(name) else {
            return Err(unknown("collection", name, collections.keys().map(String::as_str)));
        };
        for member in document.keys().map(String::as_str).chain(field) {
            if (member != "id" || field == Some("id")) && !known.fields.iter().any(|field| field == member) {
                return Err(unknown("member", member, known.fields.iter().map(String::as_str)));
            }
        }
        let mut attributes = Vec::new();
        for (member, (of, _)) in &known.members {
            let Some(given) = document.get(member).filter(|given| !given.is_null()) else { continue };
            let value = of.value(given).ok_or_else(|| BadQuestion::Type(mismatch(name, member, of, given)))?;
            attributes.push((member.as_str().into(), value));
        }
        let id = document.get("id").and_then(Json::as_str).unwrap_or_default();
        Ok(Entity { uid: Uid::new(&known.entity, id), attributes })
    }
}

fn mismatch(collection: &str, member: &str, of: &Type, given: &Json) -> String {
    let expected = match of {
        Type::Bool => "true or false",
        Type::Long => "a whole number",
        Type::String => "a string",
        Type::Set(_) => "a list",
        Type::Record(_) => "an object",
    };
    format!("{collection}.{member} is {expected}, not {given}")
}

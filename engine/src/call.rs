//! Who calls what, and what can come of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use weir_schema::caller::{CallerSettings, ClaimType};
use weir_schema::codec::audit::Person;
use weir_schema::commit::Timestamp;
use weir_schema::error::ErrorCode;
use weir_schema::limits::Limit;

pub use weir_sandbox::protocol::Frame;
use weir_sandbox::protocol::ScriptCaller;
use weir_store::UniqueViolation;

use crate::content::Content;

/// What a token is known by: its issuer and its subject.
pub(crate) fn token_identity(issuer: &str, subject: &str) -> String {
    json!([issuer, subject]).to_string()
}

/// Who calls. Jobs keep who scheduled them in this form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Caller {
    /// Somebody at the machine of `weir dev`, without a token: sees stacks.
    Developer,
    /// What `app.toml` calls again and again, and all that it schedules.
    Scheduler,
    /// Somebody who showed nothing: whoever calls an HTTP endpoint.
    Anonymous,
    /// Somebody who showed a token that was verified.
    Token(#[serde(with = "shared")] Arc<Identity>),
}

/// An identity is written down as what it is, whoever else has it.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Identity;

    pub(super) fn serialize<S: Serializer>(identity: &Identity, serializer: S) -> Result<S::Ok, S::Error> {
        identity.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Identity>, D::Error> {
        Identity::deserialize(deserializer).map(Arc::new)
    }
}

/// What a verified token says of who shows it. Whoever makes one has verified it, or read it back from where such a one was
/// kept: a job keeps its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Whether a person or a program. A caller is written down with a `kind` of its own, so this one has another name there.
    #[serde(rename = "tokenKind")]
    pub kind: TokenKind,
    /// `iss`: who says so.
    pub issuer: String,
    /// `sub`: who it is among those whom the issuer knows.
    pub subject: String,
    /// Sorted, without repeats.
    pub roles: Vec<String>,
    /// Sorted, without repeats.
    pub scopes: Vec<String>,
    /// The claims of the token that `app.toml` declares, each of its declared type.
    pub claims: Map<String, Value>,
}

/// For whom a token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenKind {
    /// A person.
    User,
    /// A program.
    Service,
}

impl TokenKind {
    /// Its name, as scripts see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

/// The kinds of callers that scripts see.
pub(crate) const CALLER_KINDS: [&str; 4] = ["developer", "user", "service", "anonymous"];

impl Caller {
    /// The caller as scripts of an app see it that declares these claims. A claim is null that the token has not, or of another
    /// type: a job may have been scheduled under an earlier version of the app.
    pub(crate) fn in_script(&self, app: &CallerSettings) -> ScriptCaller {
        match self {
            Self::Developer => ScriptCaller::without_token("developer"),
            Self::Scheduler => {
                ScriptCaller { subject: Some("cron".to_owned()), ..ScriptCaller::without_token("service") }
            }
            Self::Anonymous => ScriptCaller::without_token("anonymous"),
            Self::Token(identity) => {
                let Identity { kind, issuer, subject, roles, scopes, claims } = &**identity;
                let claim = |(name, of): (&String, &ClaimType)| match claims.get(name).filter(|value| of.has(value)) {
                    Some(value) => text(value),
                    None => "null".into(),
                };
                let mut more = vec![text(issuer), text(roles), text(scopes)];
                more.extend(app.claims.iter().map(claim));
                ScriptCaller { kind: kind.name(), subject: Some(subject.clone()), more }
            }
        }
    }

    /// Who it is, for the audit log and as the owner of idempotency keys. No two have the same: of a token it is the issuer and
    /// the subject as a list of JSON, which no other text is.
    pub fn identity(&self) -> Cow<'static, str> {
        match self {
            Self::Developer => "developer".into(),
            Self::Scheduler => "cron".into(),
            Self::Anonymous => "anonymous".into(),
            Self::Token(identity) => token_identity(&identity.issuer, &identity.subject).into(),
        }
    }

    /// The person who that is, if it is one: what the audit log tells of them is sealed by their key.
    pub fn person(&self) -> Option<Person> {
        match self {
            Self::Token(identity) => Some(Person::of_token(&identity.issuer, &identity.subject)),
            Self::Developer | Self::Scheduler | Self::Anonymous => None,
        }
    }

    /// Whether errors may carry stacks.
    pub fn sees_stacks(&self) -> bool {
        matches!(self, Self::Developer)
    }
}

/// As JSON text, which texts, lists of them and JSON always have.
fn text(value: &impl Serialize) -> Box<str> {
    serde_json::to_string(value).unwrap_or_default().into()
}

/// One call of a batch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Call {
    /// The function's name.
    pub function: String,
    /// Its arguments as an object; null for none.
    #[serde(default)]
    pub args: Value,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result: checked against the declared type, enum values in their TypeScript spelling.
    pub value: Arc<Content>,
    /// A commit at which a read has this result, or that a procedure made.
    pub commit: Timestamp,
    /// How long ago it was computed, of a view that is computed now and then, whatever is committed.
    pub age: Option<Duration>,
}

impl Answer {
    /// A result that nobody else has yet.
    pub fn new(given: impl Into<Content>, commit: Timestamp) -> Self {
        Self { value: Arc::new(given.into()), commit, age: None }
    }
}

/// One value of a watched query.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// The result, as in [`Answer`].
    pub value: Arc<Content>,
    /// The commit at which the query has this value.
    pub commit: Timestamp,
    /// Opaque: sent again with a new subscription, it suppresses a value that has not changed since.
    pub cursor: String,
    /// As in [`Answer`].
    pub age: Option<Duration>,
}

/// When it may be worth another try to write what another release does not take.
const HELD_BACK: Duration = Duration::from_secs(1);

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallError {
    /// From the closed list.
    pub code: ErrorCode,
    /// For any caller.
    pub message: String,
    /// What the function named in `fail`.
    pub app_code: Option<String>,
    /// The limit's name, with `LIMIT_EXCEEDED`.
    pub limit: Option<Limit>,
    /// When it may be worth another try, with `UNAVAILABLE` where too many calls wait.
    pub retry_after: Option<Duration>,
    /// For the developer only: what the function asked of the database or of another function when it was refused.
    pub host_call: Option<Box<str>>,
    /// For the developer only: where in the TypeScript it happened, innermost first.
    pub stack: Vec<Frame>,
}

impl CallError {
    /// An error without further detail.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            app_code: None,
            limit: None,
            retry_after: None,
            host_call: None,
            stack: Vec::new(),
        }
    }

    /// Another release is in the way, and may be gone soon or have taken over.
    pub(crate) fn held_back(why: impl std::fmt::Display) -> Self {
        Self { retry_after: Some(HELD_BACK), ..Self::new(ErrorCode::Unavailable, why.to_string()) }
    }

    /// A limit was reached.
    pub(crate) fn limit(limit: Limit, allowed: impl std::fmt::Display) -> Self {
        let message = format!("past the limit {limit} = {allowed}; app.toml can raise it under [limits]");
        Self { limit: Some(limit), ..Self::new(ErrorCode::LimitExceeded, message) }
    }

    /// A limit of the transaction was reached, which no app can raise.
    pub(crate) fn transaction_limit(limit: Limit, error: impl std::fmt::Display) -> Self {
        let message = format!("past the limit {limit}: {error}");
        Self { limit: Some(limit), ..Self::new(ErrorCode::LimitExceeded, message) }
    }

    /// The transaction was open for longer than may be. That says as much about how busy the server is as about the call.
    pub(crate) fn cut(age_max: Duration) -> Self {
        let message = format!(
            "the transaction took longer than transaction_age_max = {} ms and nothing of it is kept: try again when less is \
             going on, and make the calls of a large batch in several",
            age_max.as_millis()
        );
        Self::new(ErrorCode::Unavailable, message)
    }

    /// A unique index stands against a write. Which other document it is may not be for the caller to know.
    pub(crate) fn conflict(violation: &UniqueViolation) -> Self {
        let UniqueViolation { collection, fields, .. } = violation;
        let message = format!("{collection} has a document with the same {} already", fields.join(" and "));
        Self::new(ErrorCode::Conflict, message)
    }

    /// Too many calls wait.
    pub(crate) fn busy(retry_after: Duration) -> Self {
        let message = format!("too many calls are waiting; try again in {} ms", retry_after.as_millis());
        Self { retry_after: Some(retry_after), ..Self::new(ErrorCode::Unavailable, message) }
    }

    /// Others hold what is there, or this caller holds as much as one may.
    pub(crate) fn no_place(what: &str) -> Self {
        let retry_after = Duration::from_secs(1);
        let message = format!(
            "too many {what} are running: end one, or try again in {} ms; one caller has no more than half of them",
            retry_after.as_millis()
        );
        Self { retry_after: Some(retry_after), ..Self::new(ErrorCode::Unavailable, message) }
    }

    /// The store stopped.
    pub(crate) fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::Unavailable, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(issuer: &str, subject: &str) -> Caller {
        Caller::Token(Arc::new(Identity {
            kind: TokenKind::User,
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            roles: vec!["admin".to_owned()],
            scopes: Vec::new(),
            claims: Map::from_iter([("org".to_owned(), json!("acme"))]),
        }))
    }

    #[test]
    fn no_two_callers_have_one_identity() {
        let callers = [
            Caller::Developer,
            Caller::Scheduler,
            Caller::Anonymous,
            token("a", "b"),
            token("b", "a"),
            token("a\",\"b", ""),
            token("a", "\",\"b"),
            token("developer", ""),
            token("", "developer"),
        ];
        for (place, one) in callers.iter().enumerate() {
            for other in &callers[..place] {
                assert_ne!(one.identity(), other.identity());
            }
        }
        let ada = token("https://idp.example", "ada");
        assert_eq!(ada.identity(), r#"["https://idp.example","ada"]"#);
        assert_eq!(ada.person().map(|person| person.as_str().to_owned()).as_deref(), Some(&*ada.identity()));
        assert_eq!(Caller::Anonymous.person(), None);
    }

    #[test]
    fn a_job_keeps_who_scheduled_it() {
        let texts = [
            (Caller::Developer, json!({ "kind": "developer" })),
            (
                token("a", "b"),
                json!({
                    "kind": "token", "tokenKind": "user", "issuer": "a", "subject": "b", "roles": ["admin"], "scopes": [],
                    "claims": { "org": "acme" },
                }),
            ),
        ];
        for (caller, kept) in texts {
            assert_eq!(serde_json::to_value(&caller).unwrap_or_default(), kept);
            assert_eq!(serde_json::from_value::<Caller>(kept).ok(), Some(caller));
        }
    }
}

//! Idempotency keys: the first outcome of a call is returned again, the call is not run again.
//!
//! The outcome of a procedure is in its own commit, so no crash comes between the two; the same commit that would make
//! a repeat run twice makes it conflict. Values and failures of scripts are kept. What says nothing about the call, such
//! as a limit or a store that stopped, is not: the next try runs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_schema::codec::outcome::KeptOutcome;
use weir_schema::commit::Timestamp;
use weir_schema::digest::Digest;
use weir_schema::error::ErrorCode;
use weir_schema::validate::Place;
use weir_store::{ReadError, Transaction};

use crate::call::{CallError, Caller};
use crate::content::Given;
use crate::seed::Seed;

/// The longest key in bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// A key that a client made up for one request and its repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// Why a string is not an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to {KEY_BYTES_MAX} bytes and no control characters")]
pub struct BadIdempotencyKey;

impl IdempotencyKey {
    /// Takes a client's string as a key.
    pub fn parse(text: &str) -> Result<Self, BadIdempotencyKey> {
        let good = !text.is_empty() && text.len() <= KEY_BYTES_MAX && !text.chars().any(char::is_control);
        if good { Ok(Self(text.to_owned())) } else { Err(BadIdempotencyKey) }
    }

    /// The key of one among callers whom nothing tells apart but where they are.
    pub fn at(&self, place: &str) -> Self {
        // No client can send a key with this in it.
        Self(format!("{place}\n{}", self.0))
    }

    /// What the key stands for: one root field of one request of a caller. `field` is the name under which the response
    /// has it, so that a request may call one function several times.
    pub fn scope(&self, caller: &Caller, field: &str) -> Scope {
        // There is one tenant so far.
        let identity = caller.identity();
        let parts = ["", &identity, &self.0, field];
        Scope(Digest::of_parts(&parts.map(str::as_bytes)))
    }
}

/// What is answered once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope(Digest);

/// A request that is to be answered once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Once {
    scope: Scope,
    request: Digest,
    /// How long the outcome is kept, in milliseconds.
    kept_ms: u64,
}

/// The outcomes of the calls of one transaction, in order.
pub(crate) type Outcomes = Vec<Result<Given, CallError>>;

/// An outcome as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Stored {
    Value(Value),
    /// A value in which its caller may not view everything.
    Partly {
        value: Value,
        hidden: Vec<Place>,
    },
    Error {
        code: ErrorCode,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        app_code: Option<String>,
    },
}

impl Once {
    /// A request of these calls, each with its checked arguments.
    pub(crate) fn new<'a>(scope: Scope, calls: impl Iterator<Item = (&'a str, &'a str)>, kept_ms: u64) -> Self {
        let parts: Vec<&[u8]> =
            calls.flat_map(|(function, arguments)| [function.as_bytes(), arguments.as_bytes()]).collect();
        Self { scope, request: Digest::of_parts(&parts), kept_ms }
    }

    /// What the first such request came to, if that is known.
    pub(crate) fn recall(&self, transaction: &mut Transaction, seed: &Seed) -> Result<Option<Recalled>, ReadError> {
        let kept = transaction.kept_outcome(&self.scope.0, seed.now_ms)?;
        Ok(kept.map(|kept| if kept.request == self.request { recalled(kept) } else { other_request() }))
    }

    /// Keeps what the request came to, in the commit of the transaction.
    pub(crate) fn keep(&self, transaction: &mut Transaction, seed: &Seed, outcomes: &Outcomes) {
        let stored: Vec<Stored> = outcomes.iter().map(store).collect();
        let expires_ms = seed.now_ms.saturating_add(self.kept_ms);
        // Values of JSON and text always have a JSON form.
        let outcome = serde_json::to_value(stored).unwrap_or_default();
        transaction.keep_outcome(self.scope.0, self.request, expires_ms, outcome);
    }
}

/// Whether a failure is one of the script's, which a repeat is told again.
pub(crate) fn is_kept(error: &CallError) -> bool {
    error.code == ErrorCode::FunctionFailed
}

/// What is known of an earlier request.
pub(crate) struct Recalled {
    /// Its outcomes; one error where it was another request.
    pub(crate) outcomes: Result<Outcomes, CallError>,
    /// Its commit.
    pub(crate) commit: Timestamp,
}

fn recalled(kept: KeptOutcome) -> Recalled {
    let unreadable = |error| CallError::new(ErrorCode::Internal, format!("a kept outcome cannot be read: {error}"));
    let stored: Result<Vec<Stored>, _> = serde_json::from_value(kept.outcome);
    let outcomes = stored.map(|stored| stored.into_iter().map(load).collect()).map_err(unreadable);
    Recalled { outcomes, commit: kept.commit }
}

fn other_request() -> Recalled {
    let message = "this idempotency key was used for another request: make a new key for each request";
    let outcomes = Err(CallError::new(ErrorCode::Conflict, message));
    Recalled { outcomes, commit: Timestamp::ZERO }
}

fn store(outcome: &Result<Given, CallError>) -> Stored {
    match outcome {
        Ok(Given { value, hidden }) if hidden.is_empty() => Stored::Value(value.clone()),
        Ok(Given { value, hidden }) => Stored::Partly { value: value.clone(), hidden: hidden.to_vec() },
        Err(CallError { code, message, app_code, .. }) => {
            Stored::Error { code: *code, message: message.clone(), app_code: app_code.clone() }
        }
    }
}

fn load(stored: Stored) -> Result<Given, CallError> {
    match stored {
        Stored::Value(value) => Ok(value.into()),
        Stored::Partly { value, hidden } => Ok(Given { value, hidden: hidden.into() }),
        Stored::Error { code, message, app_code } => Err(CallError { app_code, ..CallError::new(code, message) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_text_of_some_length() {
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        for (text, good) in
            [("a", true), ("7f2c-ü", true), (&long[1..], true), ("", false), ("a\nb", false), (&long, false)]
        {
            assert_eq!(IdempotencyKey::parse(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_scope_is_of_one_caller_key_and_field() {
        let key = |text| IdempotencyKey::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let scope = key("a").scope(&Caller::Developer, "pay");
        assert_eq!(scope, key("a").scope(&Caller::Developer, "pay"));
        assert_ne!(scope, key("b").scope(&Caller::Developer, "pay"));
        assert_ne!(scope, key("a").scope(&Caller::Developer, "refund"));
    }
}

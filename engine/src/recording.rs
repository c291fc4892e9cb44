//! Which calls the audit log tells of: procedures that commit something, in their commit; and calls that failed or were denied,
//! among what was refused.
//!
//! Rule: who is denied a call is on record, whatever is configured.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json, value::RawValue};
use weir_schema::codec::audit::AuditNote;
use weir_schema::declarations::FunctionKind;
use weir_schema::digest::Digest;
use weir_schema::error::ErrorCode;

use crate::call::{CallError, Caller};
use crate::control::refusals::{Kind, Refused};
use crate::engine::Engine;
use crate::release::Release;

/// The longest arguments that are on record as they are, in bytes. Of longer ones it is their digest.
pub const ARGUMENTS_BYTES_MAX: usize = 64 << 10;

/// Which calls of procedures are on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Those that have committed something, and those that failed.
    All,
    /// Those that failed.
    Failed,
    /// None.
    None,
}

/// Which calls are on record, and what of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording {
    /// Which.
    pub calls: Calls,
    /// Whether with their arguments, where they have committed something.
    pub arguments: bool,
}

impl Default for Recording {
    fn default() -> Self {
        Self { calls: Calls::All, arguments: false }
    }
}

impl Engine {
    /// For the audit log: who has called what, if that is to be on record.
    pub(crate) fn note(&self, action: &str, caller: &Caller, calls: &[(&str, &str)]) -> Option<AuditNote> {
        let Recording { calls: recorded, arguments } = self.recording();
        if recorded != Calls::All {
            return None;
        }
        let mut seen = HashSet::new();
        let names = calls.iter().map(|(name, _)| *name).filter(|name| seen.insert(*name));
        let targets: Vec<String> = names.map(str::to_owned).collect();
        Some(AuditNote {
            actor: caller.identity().into_owned(),
            person: caller.person(),
            action: action.to_owned(),
            targets,
            from: self.origin().address.map(|address| address.to_canonical().to_string()),
            arguments: arguments.then(|| told(calls)),
            ..AuditNote::default()
        })
    }

    /// Has it on record if a call was denied, or if one of a procedure failed and that is to be.
    pub(crate) fn judged<T>(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        outcome: Result<T, CallError>,
    ) -> Result<T, CallError> {
        outcome.inspect_err(|error| self.failed("call", release, caller, function, error))
    }

    /// The same for one that is known to have failed.
    pub(crate) fn failed(
        &self,
        action: &'static str,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        error: &CallError,
    ) {
        let is_procedure = || release.function(function).is_some_and(|(_, of)| of.kind == FunctionKind::Procedure);
        let is_wanted = || self.recording().calls != Calls::None && is_procedure();
        if error.code == ErrorCode::RolledBack || (error.code != ErrorCode::Forbidden && !is_wanted()) {
            return;
        }
        let outcome = match &error.app_code {
            Some(code) => format!("{} {code}", error.code),
            None => error.code.to_string(),
        };
        let (actor, person) = (caller.identity().into_owned(), caller.person());
        let from = self.origin().address.map(|address| address.to_canonical().to_string());
        let kind = if error.code == ErrorCode::Forbidden { Kind::Access } else { Kind::Failure };
        self.refused(Refused { kind, actor, person, action, target: function.to_owned(), from, outcome });
    }
}

/// The arguments of one call, or of several as a list.
fn told(calls: &[(&str, &str)]) -> String {
    let text = match calls {
        [(_, one)] => (*one).to_owned(),
        all => {
            let raw = all.iter().map(|(_, text)| RawValue::from_string((*text).to_owned()));
            // They were written as JSON before.
            serde_json::to_string(&raw.map(Result::ok).collect::<Vec<_>>()).unwrap_or_default()
        }
    };
    if text.len() <= ARGUMENTS_BYTES_MAX {
        return text;
    }
    let (bytes, sha256) = (text.len(), Digest::of(text.as_bytes()).to_string());
    Value::to_string(&json!({ "bytes": bytes, "sha256": sha256 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_whole_or_by_their_digest() {
        let long = format!("{{\"text\":\"{}\"}}", "x".repeat(ARGUMENTS_BYTES_MAX));
        let digest = json!({ "bytes": long.len(), "sha256": Digest::of(long.as_bytes()).to_string() }).to_string();
        let table = [
            (vec![("f", "{\"a\":1}")], "{\"a\":1}".to_owned()),
            (vec![("f", "{}"), ("g", "{\"b\":[2]}")], "[{},{\"b\":[2]}]".to_owned()),
            (vec![("f", long.as_str())], digest),
        ];
        for (calls, expected) in table {
            assert_eq!(told(&calls), expected);
        }
    }
}

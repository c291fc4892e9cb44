//! What two runs of one call came to, compared: what they gave, and what they would have changed.
//!
//! Rule: members of objects have no order, and a number is what it is worth, however it is written. Of two errors the codes count and
//! not the words. Of two jobs it does not count which release has scheduled them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use weir_schema::id::DocumentId;
use weir_store::Changes;

use crate::call::CallError;

/// In what two runs differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Aspect {
    /// In what the function gave.
    Result,
    /// In the documents that it would write or delete.
    Documents,
    /// In the jobs that it would schedule or cancel.
    Jobs,
    /// In what it is: one of the two may not be run for this.
    Kind,
}

impl Aspect {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Documents => "documents",
            Self::Jobs => "jobs",
            Self::Kind => "kind",
        }
    }
}

/// The first difference between two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) aspect: Aspect,
    /// Where, as a JSON pointer.
    pub(super) path: String,
    /// What the one has there.
    pub(super) base: String,
    /// What the other has.
    pub(super) candidate: String,
}

/// What a side has where the other has something.
const NOTHING: &str = "nothing";

/// The first difference between what two runs gave.
pub(super) fn outcomes(base: &Result<Value, CallError>, candidate: &Result<Value, CallError>) -> Option<Difference> {
    let differ = |base: String, candidate: String| {
        Some(Difference { aspect: Aspect::Result, path: String::new(), base, candidate })
    };
    match (base, candidate) {
        (Ok(base), Ok(candidate)) => values(Aspect::Result, String::new(), Some(base), Some(candidate)),
        (Err(base), Err(candidate)) if base.code == candidate.code && base.app_code == candidate.app_code => None,
        (Err(base), Err(candidate)) => differ(error(base), error(candidate)),
        (Ok(base), Err(candidate)) => differ(base.to_string(), error(candidate)),
        (Err(base), Ok(candidate)) => differ(error(base), candidate.to_string()),
    }
}

fn error(error: &CallError) -> String {
    match &error.app_code {
        Some(app_code) => format!("error {} {app_code}: {}", error.code, error.message),
        None => format!("error {}: {}", error.code, error.message),
    }
}

/// The first difference between what two runs would have changed.
pub(super) fn changes(base: &Changes, candidate: &Changes) -> Option<Difference> {
    let documents = |changes: &Changes| -> BTreeMap<String, Option<Value>> {
        let documents = changes.documents.iter();
        let named = |(collection, id, text): &(String, DocumentId, Option<_>)| {
            (step(collection) + &step(id.as_str()), json(text))
        };
        documents.map(named).collect()
    };
    let jobs = |changes: &Changes| -> BTreeMap<String, Option<Value>> {
        let named = |(id, text): &(DocumentId, Option<_>)| (step(id.as_str()), json(text).map(without_release));
        changes.jobs.iter().map(named).collect()
    };
    let of_documents = || all(Aspect::Documents, &documents(base), &documents(candidate));
    of_documents().or_else(|| all(Aspect::Jobs, &jobs(base), &jobs(candidate)))
}

fn json(text: &Option<impl AsRef<[u8]>>) -> Option<Value> {
    // What is written was made of such a value.
    text.as_ref().map(|text| serde_json::from_slice(text.as_ref()).unwrap_or_default())
}

fn without_release(mut job: Value) -> Value {
    if let Value::Object(members) = &mut job {
        members.shift_remove("release");
    }
    job
}

/// The first difference of what is changed, by where it is. What is there to be deleted is not the same as what is left alone.
fn all(
    aspect: Aspect,
    base: &BTreeMap<String, Option<Value>>,
    candidate: &BTreeMap<String, Option<Value>>,
) -> Option<Difference> {
    let told = |change: Option<&Option<Value>>| match change {
        None => "unchanged".to_owned(),
        Some(None) => "deleted".to_owned(),
        Some(Some(value)) => value.to_string(),
    };
    let paths: BTreeSet<&String> = base.keys().chain(candidate.keys()).collect();
    paths.into_iter().find_map(|path| match (base.get(path), candidate.get(path)) {
        (Some(Some(base)), Some(Some(candidate))) => values(aspect, path.clone(), Some(base), Some(candidate)),
        (base, candidate) if base == candidate => None,
        (base, candidate) => {
            Some(Difference { aspect, path: path.clone(), base: told(base), candidate: told(candidate) })
        }
    })
}

/// The first difference between two values, in the order of the first.
fn values(aspect: Aspect, path: String, base: Option<&Value>, candidate: Option<&Value>) -> Option<Difference> {
    match (base, candidate) {
        (Some(Value::Object(base)), Some(Value::Object(candidate))) => {
            let new = candidate.keys().filter(|name| !base.contains_key(*name));
            base.keys()
                .chain(new)
                .find_map(|name| values(aspect, format!("{path}{}", step(name)), base.get(name), candidate.get(name)))
        }
        (Some(Value::Array(base)), Some(Value::Array(candidate))) => (0..base.len().max(candidate.len()))
            .find_map(|place| values(aspect, format!("{path}/{place}"), base.get(place), candidate.get(place))),
        (Some(Value::Number(base)), Some(Value::Number(candidate))) if are_equal(base, candidate) => None,
        (base, candidate) if base == candidate => None,
        (base, candidate) => {
            let told = |value: Option<&Value>| value.map_or_else(|| NOTHING.to_owned(), Value::to_string);
            Some(Difference { aspect, path, base: told(base), candidate: told(candidate) })
        }
    }
}

/// `1` and `1.0` are one number, as they are to a script.
fn are_equal(base: &Number, candidate: &Number) -> bool {
    base == candidate || ((base.is_f64() || candidate.is_f64()) && base.as_f64() == candidate.as_f64())
}

/// A step of a JSON pointer.
fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;
    use weir_schema::error::ErrorCode;

    use super::*;

    fn told(difference: Option<Difference>) -> String {
        difference.map_or_else(String::new, |Difference { aspect, path, base, candidate }| {
            format!("{} {path:?}: {base} | {candidate}", aspect.as_str())
        })
    }

    #[test]
    fn values_differ_where_they_differ_first() {
        let error = |code, message: &str| Err(CallError::new(code, message));
        let app = |code: &str| {
            Err(CallError { app_code: Some(code.into()), ..CallError::new(ErrorCode::FunctionFailed, "no") })
        };
        let table = [
            (Ok(json!({ "a": 1, "b": [2] })), Ok(json!({ "b": [2.0], "a": 1 })), ""),
            (Ok(json!({ "a": 1, "b": [2, 3] })), Ok(json!({ "a": 1, "b": [2] })), r#"result "/b/1": 3 | nothing"#),
            (Ok(json!({ "x/y": { "~": null } })), Ok(json!({ "x/y": {} })), r#"result "/x~1y/~0": null | nothing"#),
            (Ok(json!({})), Ok(json!({ "new": "v" })), r#"result "/new": nothing | "v""#),
            (
                Ok(json!(9_007_199_254_740_993_u64)),
                Ok(json!(9_007_199_254_740_992_u64)),
                "result \"\": 9007199254740993 | 9007199254740992",
            ),
            (Ok(json!("1")), Ok(json!(1)), "result \"\": \"1\" | 1"),
            (error(ErrorCode::Forbidden, "a"), error(ErrorCode::Forbidden, "b"), ""),
            (Ok(json!(1)), error(ErrorCode::Forbidden, "not you"), "result \"\": 1 | error FORBIDDEN: not you"),
            (error(ErrorCode::NotFound, "gone"), Ok(json!(1)), "result \"\": error NOT_FOUND: gone | 1"),
            (app("EMPTY"), app("EMPTY"), ""),
            (
                app("EMPTY"),
                app("FULL"),
                "result \"\": error FUNCTION_FAILED EMPTY: no | error FUNCTION_FAILED FULL: no",
            ),
        ];
        for (base, candidate, expected) in table {
            assert_eq!(told(outcomes(&base, &candidate)), expected, "{base:?} {candidate:?}");
        }
    }

    #[test]
    fn what_is_changed_differs_by_document_and_by_job() {
        let id = |id: &str| DocumentId::parse(id.to_owned()).unwrap();
        let text = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        let of = |documents: &[(&str, Option<&str>)], jobs: &[(&str, Option<&str>)]| Changes {
            documents: documents
                .iter()
                .map(|(name, value)| ("items".to_owned(), id(name), value.and_then(text)))
                .collect(),
            jobs: jobs.iter().map(|(name, value)| (id(name), value.and_then(text))).collect(),
        };
        let table = [
            (of(&[], &[]), of(&[], &[]), ""),
            (of(&[("a", Some(r#"{"id":"a","n":1}"#))], &[]), of(&[("a", Some(r#"{"n":1,"id":"a"}"#))], &[]), ""),
            (
                of(&[("a", Some(r#"{"n":1}"#)), ("b", Some(r#"{"n":1}"#))], &[]),
                of(&[("a", Some(r#"{"n":1}"#)), ("b", Some(r#"{"n":2}"#))], &[]),
                r#"documents "/items/b/n": 1 | 2"#,
            ),
            (of(&[("a", None)], &[]), of(&[], &[]), r#"documents "/items/a": deleted | unchanged"#),
            (of(&[], &[]), of(&[("a", Some("{}"))], &[]), r#"documents "/items/a": unchanged | {}"#),
            (of(&[], &[("j", Some(r#"{"release":1}"#))]), of(&[], &[("j", Some(r#"{"release":2}"#))]), ""),
            (
                of(&[], &[("j", Some(r#"{"function":"f","release":1}"#))]),
                of(&[], &[("j", Some(r#"{"function":"g","release":2}"#))]),
                r#"jobs "/j/function": "f" | "g""#,
            ),
        ];
        for (base, candidate, expected) in table {
            assert_eq!(told(changes(&base, &candidate)), expected, "{base:?} {candidate:?}");
        }
    }
}

//! A response and its bytes.

use serde::Serialize;
use serde_json::Value;
use weir_schema::commit::Timestamp;

use super::GraphqlError;

/// What one execution gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Response {
    /// The JSON text of `data`; none if the request was refused before it ran.
    pub data: Option<Vec<u8>>,
    /// In the order in which they came up.
    pub errors: Vec<GraphqlError>,
    /// What Weir adds under `extensions.weir`.
    pub weir: Option<WeirExtensions>,
}

/// `extensions.weir` of a response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeirExtensions {
    /// Where the watch stands, with subscriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The commit that the value belongs to.
    #[serde(serialize_with = "decimal")]
    pub commit: Timestamp,
    /// How long ago the value was computed, where that is not the last commit: in milliseconds.
    #[serde(rename = "ageMs", skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
}

fn decimal<S: serde::Serializer>(commit: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(commit)
}

impl Response {
    /// A request that was refused before it ran.
    pub fn refused(errors: Vec<GraphqlError>) -> Self {
        Self { data: None, errors, weir: None }
    }

    /// The JSON text (<https://spec.graphql.org/draft/#sec-Response-Format>).
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.as_ref().map_or(256, |data| data.len() + 64));
        self.write(&mut out);
        out
    }

    /// Appends the JSON text.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if !self.errors.is_empty() {
            out.extend_from_slice(b"\"errors\":");
            write_json(out, &self.errors);
        }
        if let Some(data) = &self.data {
            out.extend_from_slice(if self.errors.is_empty() { b"\"data\":" } else { b",\"data\":" });
            out.extend_from_slice(data);
        }
        if let Some(weir) = &self.weir {
            out.extend_from_slice(b",\"extensions\":{\"weir\":");
            write_json(out, weir);
            out.push(b'}');
        }
        out.push(b'}');
    }
}

/// Appends JSON text. `null` stands for what has none, which none of our types is.
pub(super) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Appends the JSON text of a value.
pub(super) fn write_value(out: &mut Vec<u8>, value: &Value) {
    write_json(out, value);
}

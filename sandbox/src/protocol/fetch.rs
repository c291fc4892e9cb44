//! What an action asks of another server.

use serde::Deserialize;

/// What to ask of another server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FetchRequest {
    /// Absolute.
    pub url: String,
    /// In any case.
    pub method: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Option<FetchBody>,
    /// What to do when the server answers with another URL.
    pub redirect: Redirect,
    /// How long all of it may take, in milliseconds; without, as long as the call.
    #[serde(rename = "timeoutMs")]
    pub timeout_ms: Option<u64>,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FetchBody {
    /// As UTF-8.
    Text(String),
    /// Bytes.
    Base64(String),
}

/// What to do when a server answers with another URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Redirect {
    /// Ask there.
    Follow,
    /// Fail.
    Error,
    /// Return the answer.
    Manual,
}

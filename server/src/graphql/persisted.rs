//! Documents that clients name instead of sending them.
//!
//! - `documentId` names a trusted document
//!   (<https://graphql.github.io/graphql-over-http/draft/#sec-Appendix-Persisted-Documents>).
//! - `extensions.persistedQuery` is what Apollo's clients send
//!   (<https://www.apollographql.com/docs/apollo-server/performance/apq#apq-request-format>): the SHA-256 of a document, at
//!   first alone. The text is sent with it if nobody has before, and then kept for a while, in bounded memory. It has to have
//!   that digest and to fit the schema; what is kept here is forgotten with the process.
//!
//! Rule: where only trusted documents run, nothing else is compiled but what asks for a schema that everybody may know.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use weir_engine::Engine;
use weir_schema::digest::Digest;
use weir_schema::error::ErrorCode;
use weir_schema::graphql::Documents;

use super::GraphqlError;
use super::document::Operation;
use super::request::{Asked, Request};
use super::service::Served;

/// Texts that clients have registered, in bytes.
pub const REGISTERED_BYTES_MAX: u64 = 16 << 20;

/// What Apollo's clients look for, letter for letter.
const NOT_FOUND: &str = "PersistedQueryNotFound";

/// What is known of documents that are named.
pub struct Persisted {
    registered: Cache<Digest, Arc<str>, TextBytes>,
    /// Whether only trusted documents run, whatever the app says.
    trusted_only: bool,
}

#[derive(Clone)]
struct TextBytes;

impl Weighter<Digest, Arc<str>> for TextBytes {
    fn weight(&self, _: &Digest, text: &Arc<str>) -> u64 {
        /// Of the digest, and what the cache itself holds of an entry.
        const ENTRY_BYTES: usize = 128;
        (text.len() + ENTRY_BYTES) as u64
    }
}

impl Persisted {
    /// Nothing is known yet.
    pub fn new(trusted_only: bool) -> Self {
        /// What a document usually has; only the first reservation depends on it.
        const TEXT_BYTES: u64 = 1 << 10;
        let expected = usize::try_from(REGISTERED_BYTES_MAX / TEXT_BYTES).unwrap_or(usize::MAX);
        Self { registered: Cache::with_weighter(expected, REGISTERED_BYTES_MAX, TextBytes), trusted_only }
    }

    /// Whether only trusted documents run on a release.
    pub fn is_trusted_only(&self, served: &Served) -> bool {
        self.trusted_only || served.release.graphql().documents == Documents::Trusted
    }

    /// The operation that a request asks for, however it names its document.
    pub async fn prepare(
        &self,
        engine: &Engine,
        served: &Served,
        request: &Request,
    ) -> Result<Arc<Operation>, Vec<GraphqlError>> {
        let name = request.operation_name.as_deref();
        let trusted_only = self.is_trusted_only(served);
        match &request.asked {
            Asked::Text(text) if trusted_only && !engine.trusts(text) => untrusted(served, text, name).await,
            Asked::Text(text) => served.schema.prepare(text, name).await,
            Asked::Id(id) => match engine.trusted(id) {
                Some(text) => served.schema.prepare(&text, name).await,
                None => Err(vec![unknown(id)]),
            },
            Asked::Hash { hash, text } => {
                if let Some(text) = engine.trusted(hash) {
                    return served.schema.prepare(&text, name).await;
                }
                if trusted_only {
                    return Err(vec![refused()]);
                }
                self.registered(served, hash, text.as_deref(), name).await
            }
        }
    }

    async fn registered(
        &self,
        served: &Served,
        hash: &str,
        text: Option<&str>,
        name: Option<&str>,
    ) -> Result<Arc<Operation>, Vec<GraphqlError>> {
        let bad = |message: &str| vec![GraphqlError::new(ErrorCode::BadRequest, message)];
        let digest = Digest::parse(hash).ok_or_else(|| {
            bad("extensions.persistedQuery.sha256Hash must be a SHA-256 of 64 digits of hex, or the id of a trusted document")
        })?;
        let Some(text) = text else {
            let Some(text) = self.registered.get(&digest) else {
                return Err(vec![GraphqlError::new(ErrorCode::PersistedQueryNotFound, NOT_FOUND)]);
            };
            return served.schema.prepare(&text, name).await;
        };
        if Digest::of(text.as_bytes()) != digest {
            return Err(bad("extensions.persistedQuery.sha256Hash is not the SHA-256 of the query"));
        }
        let operation = served.schema.prepare(text, name).await?;
        if self.registered.peek(&digest).is_none() {
            self.registered.insert(digest, Arc::from(text));
        }
        Ok(operation)
    }

    /// Has a request hold the text that it names, if that may be forgotten before the request is over.
    pub fn hold(&self, request: &mut Request) {
        if let Asked::Hash { hash, text: text @ None } = &mut request.asked
            && let Some(digest) = Digest::parse(hash)
        {
            *text = self.registered.peek(&digest).map(|known| known.to_string());
        }
    }

    /// The bytes of texts that clients have registered.
    pub fn registered_bytes(&self) -> u64 {
        self.registered.weight()
    }
}

/// What a document is answered that is not trusted, where only those run: it may ask for the schema, if anybody may.
async fn untrusted(served: &Served, text: &str, name: Option<&str>) -> Result<Arc<Operation>, Vec<GraphqlError>> {
    if served.schema.settings.introspection
        && let Ok(operation) = served.schema.prepare(text, name).await
        && operation.only_introspects
    {
        return Ok(operation);
    }
    Err(vec![refused()])
}

fn refused() -> GraphqlError {
    let message =
        "only trusted documents run here: push this one with weir documents push, or send the documentId of one";
    GraphqlError::new(ErrorCode::Forbidden, message)
}

fn unknown(id: &str) -> GraphqlError {
    /// The most of an id that is repeated.
    const CHARACTERS_MAX: usize = 100;
    let id: String = id.chars().take(CHARACTERS_MAX).collect();
    let message = format!("there is no document {id}: push it with weir documents push, or send its query");
    GraphqlError::new(ErrorCode::NotFound, message)
}

//! The number of a request: for its sender, who may have given it, and for whoever looks for it in the log.
//!
//! It is in the header `X-Request-Id` of the response, in the log lines that are written while the request is being answered,
//! and in errors that are a defect of Weir.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Instrument;

/// Where it stands in requests and responses.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest that is taken over from a client.
const BYTES_MAX: usize = 128;

tokio::task_local! {
    static CURRENT: (RequestId, IpAddr);
}

/// The number of a request: ASCII letters, digits and a few signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's, if it can be written anywhere; otherwise a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        headers.get(HEADER).filter(|given| is_sane(given)).map_or_else(Self::new, |given| Self(given.clone()))
    }

    /// One that nobody else has: a number of this process, and one of the request.
    fn new() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("process"));
        static REQUESTS: AtomicU64 = AtomicU64::new(1);
        let request = REQUESTS.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:016x}-{request:x}", *PROCESS);
        // Digits and a hyphen are always a value.
        Self(HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static("-")))
    }

    /// As a header has it.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// As people read it.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Answers the request: what is done meanwhile knows its number, and the address of its client.
    pub async fn scope<F: Future>(self, client: IpAddr, answering: F) -> F::Output {
        CURRENT.scope((self, client), answering).await
    }

    /// Has a task that is made here for the request know its number too, and whose it is.
    pub fn carry<F: Future>(task: F) -> impl Future<Output = F::Output> {
        Self::under(Self::current_of_client(), task.in_current_span())
    }

    /// Runs what belongs to a request and its client, if it is of one.
    pub async fn under<F: Future>(request: Option<(Self, IpAddr)>, task: F) -> F::Output {
        match request {
            Some((id, client)) => id.scope(client, task).await,
            None => task.await,
        }
    }

    /// That of the request that is being answered here.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|(id, _)| id.clone()).ok()
    }

    /// The same with the address of its client.
    pub fn current_of_client() -> Option<(Self, IpAddr)> {
        CURRENT.try_with(Clone::clone).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_sane(given: &HeaderValue) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    (1..=BYTES_MAX).contains(&given.len()) && given.as_bytes().iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use weir_schema::error::ErrorCode;

    use super::*;
    use crate::graphql::GraphqlError;

    #[test]
    fn a_sane_number_is_taken_over() {
        let long = "x".repeat(BYTES_MAX + 1);
        let table = [
            ("a", true),
            ("0191d6b0-7f3c-7cc4:1/2@x_y+z=", true),
            (&long[1..], true),
            (&long, false),
            ("", false),
            ("a b", false),
            ("a,b", false),
            ("a\tb", false),
            ("\"a\"", false),
        ];
        for (given, taken) in table {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(given).unwrap());
            let id = RequestId::of(&headers);
            assert_eq!(id.as_str() == given, taken, "{given}");
            assert!(is_sane(&id.header()));
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn what_answers_a_request_knows_its_number() {
        let (id, client) = (RequestId::new(), IpAddr::from([203, 0, 113, 9]));
        assert_eq!(RequestId::current(), None);
        assert_eq!(
            id.clone().scope(client, async { RequestId::current_of_client() }).await,
            Some((id.clone(), client))
        );
        let task = async { tokio::spawn(RequestId::carry(async { RequestId::current() })).await.unwrap() };
        assert_eq!(id.clone().scope(client, task).await, Some(id));
        assert_eq!(RequestId::carry(async { RequestId::current() }).await, None);
    }

    #[tokio::test]
    async fn a_defect_has_the_number_of_its_request() {
        let (id, client) = (RequestId::new(), IpAddr::from([203, 0, 113, 9]));
        let errors = id.clone().scope(client, async {
            [ErrorCode::Internal, ErrorCode::FunctionFailed].map(|code| GraphqlError::new(code, "no"))
        });
        let numbers = errors.await.map(|error| error.extensions.request_id);
        assert_eq!(numbers, [Some(id.as_str().into()), None]);
    }
}

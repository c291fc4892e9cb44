//! What a client says of where its calls should go: the range of versions that it stays on, and who it is where it has no token.
//!
//! ```text
//! x-weir-release: ^1          payload of connection_init: { "release": "^1", "visitor": "9f3c…" }
//! x-weir-visitor: 9f3c…
//! ```

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use weir_engine::rollouts::line::{Line, LineError};
use weir_schema::error::ErrorCode;

use super::GraphqlError;

/// The header with a range of versions, and in a response the version that has answered.
pub const RELEASE: HeaderName = HeaderName::from_static("x-weir-release");
/// The header with a text by which a client without a token is known again.
pub const VISITOR: HeaderName = HeaderName::from_static("x-weir-visitor");
/// The longest of these texts, in bytes.
const VISITOR_BYTES_MAX: usize = 128;

/// What a client has said.
#[derive(Debug, Default)]
pub struct Affinity {
    line: Option<Line>,
    visitor: Option<String>,
}

/// Why there is nothing to answer a client with.
#[derive(Debug, thiserror::Error)]
pub enum Unrouted {
    /// What it says of itself is no text for that.
    #[error(
        "{VISITOR} is 1 to {VISITOR_BYTES_MAX} visible ASCII characters, such as a random id that the client keeps"
    )]
    Visitor,
    /// One of the headers is there more than once, or is no text.
    #[error("{0} is there more than once, or is not ASCII text: send one")]
    Header(HeaderName),
    /// The line that it stays on.
    #[error("{RELEASE}: {0}")]
    Line(#[from] LineError),
    /// Nothing is served at all.
    #[error("no release is active yet")]
    Nothing,
}

impl Affinity {
    /// What is said by a range and a visitor; `None`: nothing.
    pub fn of(release: Option<&str>, visitor: Option<&str>) -> Result<Option<Arc<Self>>, Unrouted> {
        if release.is_none() && visitor.is_none() {
            return Ok(None);
        }
        let line = release.map(Line::parse).transpose()?;
        let is_good = |text: &str| {
            !text.is_empty() && text.len() <= VISITOR_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match visitor {
            Some(text) if !is_good(text) => Err(Unrouted::Visitor),
            visitor => Ok(Some(Arc::new(Self { line, visitor: visitor.map(str::to_owned) }))),
        }
    }

    /// What the headers of a request say.
    pub fn of_headers(headers: &HeaderMap) -> Result<Option<Arc<Self>>, Unrouted> {
        Self::of(text(headers, RELEASE)?, text(headers, VISITOR)?)
    }

    /// What is said later, each of it in place of what was said before: who says nothing of the one keeps it.
    pub fn after(
        before: Option<&Arc<Self>>,
        release: Option<&str>,
        visitor: Option<&str>,
    ) -> Result<Option<Arc<Self>>, Unrouted> {
        if release.is_none() && visitor.is_none() {
            return Ok(before.cloned());
        }
        let range = before.and_then(|before| before.line()).map(|line| line.range().to_string());
        Self::of(release.or(range.as_deref()), visitor.or(before.and_then(|before| before.visitor())))
    }

    /// The range of versions that it stays on.
    pub fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    /// By what it is known again.
    pub fn visitor(&self) -> Option<&str> {
        self.visitor.as_deref()
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Unrouted> {
    let mut all = headers.get_all(&name).iter();
    let Some(first) = all.next() else { return Ok(None) };
    match (first.to_str(), all.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(Unrouted::Header(name)),
    }
}

impl Unrouted {
    /// Whether it is the client's to mend; otherwise it may try again.
    pub fn is_clients(&self) -> bool {
        match self {
            Self::Visitor | Self::Header(_) | Self::Line(LineError::Malformed(_) | LineError::Empty { .. }) => true,
            Self::Line(LineError::NoRelease | LineError::Full | LineError::Load { .. }) | Self::Nothing => false,
        }
    }
}

impl From<&Unrouted> for GraphqlError {
    fn from(unrouted: &Unrouted) -> Self {
        let code = if unrouted.is_clients() { ErrorCode::BadRequest } else { ErrorCode::Unavailable };
        // Why a release cannot be loaded is the operator's to know.
        if let Unrouted::Line(LineError::Load { version, why }) = unrouted {
            tracing::warn!("release {version} cannot be loaded for a caller who stays on it: {why}");
            return Self::new(code, format!("{RELEASE}: release {version} cannot be loaded at the moment"));
        }
        Self::new(code, unrouted.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&HeaderName, &str)]) -> Result<Option<Arc<Affinity>>, Unrouted> {
        let mut headers = HeaderMap::new();
        for (name, text) in lines {
            headers.append(*name, text.parse().unwrap_or_else(|error| panic!("{text}: {error}")));
        }
        Affinity::of_headers(&headers)
    }

    #[test]
    fn headers_say_where_calls_go() {
        assert!(matches!(of(&[]), Ok(None)));
        let said = of(&[(&RELEASE, " ^1.2 "), (&VISITOR, "9f3c")]).unwrap().unwrap();
        assert_eq!(said.line().map(|line| line.range().to_string()).as_deref(), Some("^1.2"));
        assert_eq!(said.visitor(), Some("9f3c"));
        // What is said later takes the place of what it is said of.
        let after = |release, visitor| {
            let after = Affinity::after(Some(&said), release, visitor).unwrap().unwrap();
            (after.line().unwrap().range().to_string(), after.visitor().map(str::to_owned))
        };
        assert_eq!(after(None, Some("b")), ("^1.2".to_owned(), Some("b".to_owned())));
        assert_eq!(after(Some("^2"), None), ("^2".to_owned(), Some("9f3c".to_owned())));
        assert_eq!(after(None, None), ("^1.2".to_owned(), Some("9f3c".to_owned())));
        assert!(matches!(Affinity::after(Some(&said), None, Some("a b")), Err(Unrouted::Visitor)));
        assert!(matches!(Affinity::after(None, None, None), Ok(None)));
        let long = "x".repeat(VISITOR_BYTES_MAX + 1);
        for visitor in ["", "a b", &long] {
            assert!(matches!(of(&[(&VISITOR, visitor)]), Err(Unrouted::Visitor)), "{visitor}");
        }
        let refused = |lines: &[(&HeaderName, &str)]| of(lines).unwrap_err().to_string();
        assert_eq!(
            refused(&[(&RELEASE, "latest")]),
            "x-weir-release: \"latest\" is no range of versions: write one such as ^1, ~1.4 or =1.4.0"
        );
        assert_eq!(
            refused(&[(&RELEASE, "^1"), (&RELEASE, "^2")]),
            "x-weir-release is there more than once, or is not ASCII text: send one"
        );
    }
}

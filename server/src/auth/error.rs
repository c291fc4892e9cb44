//! Why a token is not taken.
//!
//! Whoever shows one learns what is wrong with it, and nothing of the server: no address of keys, no name of a file. None of the
//! messages repeats a token, a signature or a claim's value.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weir_schema::error::ErrorCode;

use crate::graphql::GraphqlError;
use crate::rate::Limited;

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// More than a token ever has.
    #[error("the token has more than {0} bytes")]
    TooLong(usize),
    /// Not three parts of base64url, or no JSON in them.
    #[error("the token cannot be read: {0}")]
    Malformed(&'static str),
    /// `alg` is none that a token may have.
    #[error("the token is signed by an algorithm that no issuer here uses")]
    Algorithm,
    /// The header says how the token is to be taken, where only the configuration may.
    #[error("the header of the token has {0}, which is not taken here")]
    Header(&'static str),
    /// Nobody knows who it is.
    #[error("the issuer of the token is not known here")]
    Issuer,
    /// `(iss, kid)` leads to no key.
    #[error("the key that the token is signed with is not known here")]
    Key,
    /// There are no keys to look at now.
    #[error("the keys of the token's issuer cannot be had now; try again later")]
    KeysUnavailable {
        /// When it may be worth another try.
        retry_after: Duration,
    },
    /// Made by somebody else, or changed.
    #[error("the signature of the token does not hold")]
    Signature,
    /// Meant for somebody else.
    #[error("the token is not meant for this server")]
    Audience,
    /// It lacks what it must have, or has something else there.
    #[error("the claim {0} of the token is missing, or not what it should be")]
    Claim(String),
    /// Too late.
    #[error("the token has expired")]
    Expired,
    /// Too early.
    #[error("the token is not good yet")]
    NotYet,
    /// It is for a tenant that is not here, or for none where one would have to be.
    #[error("there is nothing here for this token")]
    Foreign,
    /// It was good.
    #[error("the token was revoked")]
    Revoked,
    /// Somebody else's, where the same was to go on.
    #[error("the token is not of the caller who opened this connection")]
    Another,
    /// What runs began with what the token before said.
    #[error("the new token says something else than the one before: start what runs again")]
    Changed,
}

/// Why a request's credentials are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// Not `Bearer`, several of them, or not text.
    #[error("send one header Authorization: Bearer, and the token after it")]
    Scheme,
    /// A token that is not taken.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// So many of this address were not taken that this one is not looked at.
    #[error(transparent)]
    TooMany(#[from] Limited),
}

/// How many tokens were not taken, by the reason.
#[derive(Debug, Default)]
pub struct RefusedTokens([AtomicU64; TokenError::REASONS.len()]);

impl RefusedTokens {
    /// One more.
    pub fn count(&self, error: &TokenError) {
        let place = TokenError::REASONS.iter().position(|reason| *reason == error.reason());
        if let Some(count) = place.and_then(|place| self.0.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// In the order of [`TokenError::REASONS`].
    pub fn read(&self) -> [u64; TokenError::REASONS.len()] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl TokenError {
    /// The names of all reasons, for what counts them.
    pub const REASONS: [&str; 16] = [
        "too_long",
        "malformed",
        "algorithm",
        "header",
        "issuer",
        "key",
        "keys_unavailable",
        "signature",
        "audience",
        "claim",
        "expired",
        "not_yet",
        "foreign",
        "revoked",
        "another",
        "changed",
    ];

    /// The name of the reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "too_long",
            Self::Malformed(_) => "malformed",
            Self::Algorithm => "algorithm",
            Self::Header(_) => "header",
            Self::Issuer => "issuer",
            Self::Key => "key",
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Claim(_) => "claim",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Foreign => "foreign",
            Self::Revoked => "revoked",
            Self::Another => "another",
            Self::Changed => "changed",
        }
    }

    /// Whether it is no token of an issuer here, and may be a guess: not one that was, nor one that nobody can look at now.
    pub fn is_no_token(&self) -> bool {
        !matches!(
            self,
            Self::KeysUnavailable { .. }
                | Self::Expired
                | Self::NotYet
                | Self::Foreign
                | Self::Revoked
                | Self::Another
                | Self::Changed
        )
    }
}

impl From<&TokenError> for GraphqlError {
    fn from(error: &TokenError) -> Self {
        let TokenError::KeysUnavailable { retry_after } = error else {
            let code = if *error == TokenError::Foreign { ErrorCode::NotFound } else { ErrorCode::Unauthenticated };
            return Self::new(code, error.to_string());
        };
        let mut unavailable = Self::new(ErrorCode::Unavailable, error.to_string());
        unavailable.extensions.retry_after_ms = u64::try_from(retry_after.as_millis()).ok();
        unavailable
    }
}

impl From<&Unauthenticated> for GraphqlError {
    fn from(error: &Unauthenticated) -> Self {
        match error {
            Unauthenticated::Scheme => Self::new(ErrorCode::Unauthenticated, error.to_string()),
            Unauthenticated::Token(error) => error.into(),
            Unauthenticated::TooMany(limited) => limited.clone().into(),
        }
    }
}

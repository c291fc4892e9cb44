//! The closed list of error codes that callers see in `extensions.code`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, as a caller's program may tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The request is not a GraphQL request at all.
    BadRequest,
    /// The document does not parse.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// Variables or arguments do not have the declared types.
    BadArguments,
    /// A token is missing or not valid.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// No function, document or release of this name.
    NotFound,
    /// A unique index or an idempotency key stands against it.
    Conflict,
    /// Too often; the error carries `retryAfterMs`.
    RateLimited,
    /// Past a limit; the error carries `limit`.
    LimitExceeded,
    /// The function threw, called `fail` or returned a value of the wrong shape.
    FunctionFailed,
    /// Undone because another call of the same atomic batch failed.
    RolledBack,
    /// The commit may have happened.
    OutcomeUnknown,
    /// Not now; a later try may do.
    Unavailable,
    /// A digest whose document is not known yet: to be sent again with it. The name is Apollo's.
    PersistedQueryNotFound,
    /// A defect of Weir.
    Internal,
}

impl ErrorCode {
    /// All of them, each at the place that it has as a number.
    pub const ALL: [Self; 16] = [
        Self::BadRequest,
        Self::GraphqlParseFailed,
        Self::GraphqlValidationFailed,
        Self::BadArguments,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::RateLimited,
        Self::LimitExceeded,
        Self::FunctionFailed,
        Self::RolledBack,
        Self::OutcomeUnknown,
        Self::Unavailable,
        Self::PersistedQueryNotFound,
        Self::Internal,
    ];

    /// As it stands in `extensions.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::BadArguments => "BAD_ARGUMENTS",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::RateLimited => "RATE_LIMITED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::FunctionFailed => "FUNCTION_FAILED",
            Self::RolledBack => "ROLLED_BACK",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::Unavailable => "UNAVAILABLE",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::Internal => "INTERNAL",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_about_errors_has_all_codes_and_no_others() {
        let page = include_str!("../../docs/graphql.md");
        let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
        let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let is_code = |name: &&str| {
            name.contains(|c: char| c.is_ascii_uppercase()) && !name.contains(|c: char| c.is_ascii_lowercase())
        };
        let listed: BTreeSet<&str> = names.filter(is_code).collect();
        assert_eq!(listed, ErrorCode::ALL.map(ErrorCode::as_str).into_iter().collect());
    }
}

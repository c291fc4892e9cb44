//! Names: which ones GraphQL allows, which ones Weir keeps for itself, how an enum value is spelled.

/// Root fields that Weir adds beside an app's functions.
pub const RESERVED_FUNCTIONS: [&str; 2] = ["invoke", "batch"];

/// Type names that GraphQL or Weir defines.
pub const RESERVED_TYPES: [&str; 15] = [
    "Query",
    "Mutation",
    "Subscription",
    "String",
    "Boolean",
    "Int",
    "Float",
    "ID",
    "DateTime",
    "JSON",
    "Bytes",
    "CallInput",
    "CallResult",
    "CallError",
    "PageInfo",
];

/// Whether GraphQL allows the name: `[_A-Za-z][_0-9A-Za-z]*`, and not `__…`, which belongs to introspection.
pub fn is_graphql_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic());
    starts_well && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) && !name.starts_with("__")
}

/// Spells an enum value for GraphQL: what it does not allow becomes `_`, a leading digit gets `_` before it.
///
/// `None` where no spelling is possible: the empty string, or what GraphQL keeps (`true`, `false`, `null`).
pub fn enum_value(typescript: &str) -> Option<String> {
    let mut spelled: String =
        typescript.chars().map(|c| if c == '_' || c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if spelled.starts_with(|first: char| first.is_ascii_digit()) {
        spelled.insert(0, '_');
    }
    let allowed = is_graphql_name(&spelled) && !matches!(spelled.as_str(), "true" | "false" | "null");
    allowed.then_some(spelled)
}

/// Joins an owner and a member into the name of an anonymous type: `customer` and `tier` are `CustomerTier`.
pub fn join(owner: &str, member: &str) -> String {
    format!("{}{}", capitalized(owner), capitalized(member))
}

/// The word with its first letter in upper case.
pub fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enum_values_are_spelled_for_graphql() {
        let table = [
            ("free", Some("free")),
            ("fee-pool", Some("fee_pool")),
            ("2xl", Some("_2xl")),
            ("São Tomé", Some("S_o_Tom_")),
            ("", None),
            ("null", None),
            ("__typename", None),
        ];
        for (typescript, graphql) in table {
            assert_eq!(enum_value(typescript).as_deref(), graphql, "{typescript:?}");
        }
    }

    #[test]
    fn anonymous_types_are_named_after_owner_and_member() {
        assert_eq!(join("transfer", "result"), "TransferResult");
        assert_eq!(join("Customer", "tier"), "CustomerTier");
    }
}

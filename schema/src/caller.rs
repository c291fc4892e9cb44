//! What an app's functions may know of who calls, besides kind, subject, issuer, roles and scopes: the table `[caller]` of
//! `app.toml`.
//!
//! A claim that is not named there does not reach the app, whatever a token has. One that is named has its declared type,
//! or is not there.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::limits::{CLAIM_NAME_BYTES_MAX, CLAIMS_MAX};

/// The table `[caller]` of `app.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallerSettings {
    /// The claims of tokens that functions may read, in the order of their names. Results are kept by the place of a claim among
    /// them.
    #[serde(deserialize_with = "claims")]
    pub claims: BTreeMap<String, ClaimType>,
}

/// The type of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimType {
    /// A text.
    #[serde(rename = "string")]
    String,
    /// A whole number that JavaScript has exactly.
    #[serde(rename = "int")]
    Int,
    /// Any number.
    #[serde(rename = "float")]
    Float,
    /// True or false.
    #[serde(rename = "boolean")]
    Boolean,
    /// A list of texts.
    #[serde(rename = "[string]")]
    Strings,
    /// A list of whole numbers.
    #[serde(rename = "[int]")]
    Ints,
}

/// The largest whole number below which JavaScript has all.
const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

impl ClaimType {
    /// Whether a value is of the type.
    pub fn has(self, value: &Value) -> bool {
        let all = |one: Self| value.as_array().is_some_and(|values| values.iter().all(|value| one.has(value)));
        match self {
            Self::String => value.is_string(),
            Self::Int => value.as_i64().is_some_and(|number| number.unsigned_abs() <= SAFE_INTEGER_MAX),
            Self::Float => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Strings => all(Self::String),
            Self::Ints => all(Self::Int),
        }
    }

    /// As a sentence has it.
    pub fn described(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Boolean => "true or false",
            Self::Strings => "a list of strings",
            Self::Ints => "a list of whole numbers",
        }
    }

    /// As TypeScript has it.
    pub fn typescript(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int | Self::Float => "number",
            Self::Boolean => "boolean",
            Self::Strings => "readonly string[]",
            Self::Ints => "readonly number[]",
        }
    }
}

/// Claims that say how a token is to be taken, or that functions have under another name.
const ELSEWHERE: [(&str, &str); 9] = [
    ("sub", "functions have it as caller.subject"),
    ("iss", "functions have it as caller.issuer"),
    ("roles", "functions have them as caller.roles"),
    ("scope", "functions have it as caller.scopes"),
    ("scopes", "functions have them as caller.scopes"),
    ("exp", "it says how long the token is good and is of no use to functions"),
    ("nbf", "it says how long the token is good and is of no use to functions"),
    ("iat", "it says how long the token is good and is of no use to functions"),
    ("jti", "it names one token of many and is of no use to functions"),
];

fn claims<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, ClaimType>, D::Error> {
    let claims = BTreeMap::<String, ClaimType>::deserialize(deserializer)?;
    if claims.len() > CLAIMS_MAX {
        return Err(D::Error::custom(format!("more than {CLAIMS_MAX} claims")));
    }
    for name in claims.keys() {
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
        let good = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.len() <= CLAIM_NAME_BYTES_MAX
            && name.bytes().all(may_stand);
        if !good {
            return Err(D::Error::custom(format!(
                "the claim {name:?} is not allowed: use 1 to {CLAIM_NAME_BYTES_MAX} letters, digits and _ - . : /, starting with \
                 a letter"
            )));
        }
        if let Some((_, why)) = ELSEWHERE.iter().find(|(taken, _)| taken == name) {
            return Err(D::Error::custom(format!("the claim {name:?} is not to be declared: {why}")));
        }
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::parse;

    fn declared(claims: &str) -> Result<BTreeMap<String, ClaimType>, String> {
        let text = format!("name = \"shop\"\nversion = \"1.0.0\"\n[caller]\nclaims = {claims}\n");
        parse(&text).map(|manifest| manifest.caller.claims).map_err(|error| {
            assert!(error.offset.is_some(), "{error}");
            error.message
        })
    }

    #[test]
    fn claims_have_names_and_types() {
        let claims = declared(
            "{ org = \"string\", level = \"int\", share = \"float\", beta = \"boolean\", groups = \"[string]\", \
             \"https://a.example/ids\" = \"[int]\" }",
        );
        let claims = claims.unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<&str> = claims.keys().map(String::as_str).collect();
        assert_eq!(names, ["beta", "groups", "https://a.example/ids", "level", "org", "share"]);
        let many = (0..=CLAIMS_MAX).map(|number| format!("c{number} = \"int\"")).collect::<Vec<_>>().join(", ");
        let long = format!("{{ {} = \"int\" }}", "c".repeat(CLAIM_NAME_BYTES_MAX + 1));
        for (claims, words) in [
            ("{ org = \"text\" }", "unknown variant `text`"),
            ("{ __proto__ = \"string\" }", "is not allowed"),
            ("{ \"a b\" = \"string\" }", "is not allowed"),
            ("{ \"\" = \"string\" }", "is not allowed"),
            ("{ sub = \"string\" }", "caller.subject"),
            ("{ scope = \"string\" }", "caller.scopes"),
            ("{ exp = \"int\" }", "how long the token is good"),
            (&long, "is not allowed"),
            (&format!("{{ {many} }}"), "more than 20 claims"),
        ] {
            let error = declared(claims).err().unwrap_or_else(|| panic!("{claims}"));
            assert!(error.contains(words), "{claims}: {error}");
        }
    }

    #[test]
    fn a_type_has_its_values_alone() {
        use ClaimType::{Boolean, Float, Int, Ints, String, Strings};
        let table = [
            (json!("a"), vec![String]),
            (json!(1), vec![Int, Float]),
            (json!(-9_007_199_254_740_991_i64), vec![Int, Float]),
            (json!(9_007_199_254_740_992_i64), vec![Float]),
            (json!(1.5), vec![Float]),
            (json!(true), vec![Boolean]),
            (json!([]), vec![Strings, Ints]),
            (json!(["a", "b"]), vec![Strings]),
            (json!([1, 2]), vec![Ints]),
            (json!([1, "a"]), vec![]),
            (json!([["a"]]), vec![]),
            (json!({}), vec![]),
            (Value::Null, vec![]),
        ];
        for (value, types) in table {
            let having: Vec<ClaimType> =
                [String, Int, Float, Boolean, Strings, Ints].into_iter().filter(|one| one.has(&value)).collect();
            assert_eq!(having, types, "{value}");
        }
    }
}

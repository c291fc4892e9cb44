//! The editor's view of the module "weir".

use weir_schema::caller::{CallerSettings, ClaimType};

/// The types of the module, as `weir types` writes them beside an app for `tsc` and editors: one file, kept in two.
pub const TYPES: &str = concat!(include_str!("../../types/weir.d.ts"), "\n", include_str!("../../types/outside.d.ts"));

/// What stands there for the claims that an app declares.
const NO_CLAIMS: &str = "export interface CallerClaims {}";

/// The types as an app has them: with the claims that its `app.toml` declares.
pub fn of_app(caller: &CallerSettings) -> String {
    let member = |(name, of): (&String, &ClaimType)| format!("  readonly {name:?}: {} | null;\n", of.typescript());
    let members: String = caller.claims.iter().map(member).collect();
    match members.as_str() {
        "" => TYPES.to_owned(),
        members => TYPES.replace(NO_CLAIMS, &format!("export interface CallerClaims {{\n{members}}}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use weir_schema::manifest;

    use super::{TYPES, of_app};
    use crate::compile::weir;

    #[test]
    fn an_app_has_the_claims_that_it_declares() {
        let text = "name = \"a\"\nversion = \"1.0.0\"\n";
        let types = |text: &str| of_app(&manifest::parse(text).unwrap_or_else(|error| panic!("{error}")).caller);
        assert_eq!(types(text), TYPES);
        let claims = "[caller]\nclaims = { org = \"string\", \"https://a.example/ids\" = \"[int]\" }\n";
        let declared = "export interface CallerClaims {\n  readonly \"https://a.example/ids\": readonly number[] | null;\n  \
                        readonly \"org\": string | null;\n}\n";
        assert!(types(&format!("{text}{claims}")).contains(declared));
    }

    #[test]
    fn the_compiler_knows_what_the_types_export() {
        let mut values = BTreeSet::new();
        let mut types = BTreeSet::new();
        for line in TYPES.lines() {
            let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphanumeric()).collect();
            match words.as_slice() {
                ["export", "declare", "function" | "const", name, ..] => values.insert(*name),
                ["export", "type" | "interface", name, ..] => types.insert(*name),
                _ => false,
            };
        }
        assert_eq!(values, BTreeSet::from(weir::VALUES));
        assert_eq!(types, weir::TYPES.into_iter().chain(weir::CODE_TYPES).collect());
    }
}

//! The editor's view of the module "weir": the files that make an app's folder known to `tsc` and to editors.

/// `node_modules/weir/index.d.ts`: the types of the module.
pub const TYPES: &str = include_str!("../../types/weir.d.ts");

/// `node_modules/weir/package.json`: makes the folder a package.
pub const PACKAGE_JSON: &str = include_str!("../../types/package.json");

/// `tsconfig.json` for an app that has none.
pub const TSCONFIG_JSON: &str = include_str!("../../types/tsconfig.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::TYPES;
    use crate::compile::weir;

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

//! The editor's view of the module "weir".

/// The types of the module, as `weir types` writes them beside an app for `tsc` and editors: one file, kept in two.
pub const TYPES: &str = concat!(include_str!("../../types/weir.d.ts"), "\n", include_str!("../../types/outside.d.ts"));

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

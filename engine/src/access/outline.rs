//! The policies of a text as they are compared with those of another one: by their annotation `@id`, without a look at what they mean.

use std::str::FromStr;

use cedar_policy::{Effect as CedarEffect, Policy, PolicySet};
use weir_schema::compatibility::{Effect, PolicyOutline};

/// The policies of a text, in its order; `Err`: why it has none.
pub(crate) fn of(text: &str) -> Result<Vec<PolicyOutline>, String> {
    let set = PolicySet::from_str(text).map_err(|error| format!("its policies cannot be read: {error}"))?;
    let mut policies: Vec<&Policy> = set.policies().collect();
    policies.sort_by_key(|policy| super::compile::place_in_order(policy.id().as_ref()));
    let outline = |policy: &Policy| {
        let effect = match policy.effect() {
            CedarEffect::Permit => Effect::Permit,
            CedarEffect::Forbid => Effect::Forbid,
        };
        // Cedar's JSON form, which has neither comments nor layout.
        let meaning = policy.to_json().map_err(|error| format!("its policies cannot be read: {error}"))?;
        Ok(PolicyOutline { id: policy.annotation("id").map(str::to_owned), effect, meaning: meaning.to_string() })
    };
    policies.into_iter().map(outline).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_equal_however_they_are_laid_out() {
        let text =
            "@id(\"a\") permit (principal, action, resource) when { 1 < 2 };\nforbid (principal, action, resource);";
        let other = "// Other.\n@id(\"a\")\npermit (principal,\n  action, resource)\nwhen { 1<2 };\n\nforbid(principal, action, resource);";
        let (one, two) = (of(text).unwrap(), of(other).unwrap());
        assert_eq!(one, two);
        let told: Vec<_> = one.iter().map(|policy| (policy.id.as_deref(), policy.effect)).collect();
        assert_eq!(told, [(Some("a"), Effect::Permit), (None, Effect::Forbid)]);
        assert_ne!(of(&text.replace('2', "3")).unwrap(), one);
        assert!(of("permit").unwrap_err().starts_with("its policies cannot be read"));
    }
}

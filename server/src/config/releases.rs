//! `[releases]`: what is asked of a bundle before it runs.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use weir_schema::bundle::envelope::SIGNATURES_MAX;

/// The section, with what `weir serve` does where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReleasesSection {
    /// How many different keys that are trusted have to have signed a bundle, of the server as of its tenants.
    #[serde(deserialize_with = "signatures")]
    pub signatures: usize,
}

impl Default for ReleasesSection {
    fn default() -> Self {
        Self { signatures: 1 }
    }
}

fn signatures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if (1..=SIGNATURES_MAX).contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom(format!("signatures = {number} cannot be: write a number from 1 to {SIGNATURES_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_signature_is_asked_for_unless_it_is_said_otherwise() {
        let read = |text: &str| toml::from_str::<ReleasesSection>(text).map_err(|error| error.to_string());
        assert_eq!(read(""), Ok(ReleasesSection { signatures: 1 }));
        assert_eq!(read("signatures = 2"), Ok(ReleasesSection { signatures: 2 }));
        for (text, expected) in [
            ("signatures = 0", "signatures = 0 cannot be: write a number from 1 to 16"),
            ("signatures = 17", "signatures = 17 cannot be: write a number from 1 to 16"),
            ("signature = 2", "unknown field `signature`"),
        ] {
            let error = read(text).err().unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

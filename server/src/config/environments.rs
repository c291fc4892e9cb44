//! `[environments]` of `weir.toml`: how many an app may have, what each may use, and under which hosts they are.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use weir_schema::tenant::HostName;

use super::tenants::{ISOLATES_MAX, MAX, within};

/// The section, with what `weir serve` does where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentsSection {
    /// Environments that an app may have.
    #[serde(deserialize_with = "max")]
    pub max: usize,
    /// Isolates for queries, views and procedures of each that are warm from the start.
    #[serde(deserialize_with = "isolates")]
    pub isolates: usize,
    /// How much memory the kept results of each may take, roughly, in MiB.
    pub results_mib: usize,
    /// The folder of the files of secrets, each with the name of an environment: `+staging`, or `acme+staging` of a tenant's.
    pub secrets: Option<PathBuf>,
    /// The domain below which each environment of the server's own app is a host by its name.
    pub domain: Option<HostName>,
}

impl Default for EnvironmentsSection {
    fn default() -> Self {
        Self { max: 20, isolates: 1, results_mib: 16, secrets: None, domain: None }
    }
}

fn max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within(deserializer, "max", MAX)
}

fn isolates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within(deserializer, "isolates", ISOLATES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_usual() {
        let read = |text: &str| toml::from_str::<EnvironmentsSection>(text).map_err(|error| error.to_string());
        assert_eq!(read(""), Ok(EnvironmentsSection::default()));
        let domain = "preview.example.com".parse().ok();
        let all = EnvironmentsSection { max: 3, isolates: 4, results_mib: 5, secrets: Some("s".into()), domain };
        let text = "max = 3\nisolates = 4\nresults_mib = 5\nsecrets = \"s\"\ndomain = \"preview.example.com\"";
        assert_eq!(read(text), Ok(all));
        for (text, expected) in [
            ("max = 0", "max = 0 cannot be: write a number from 1 to 10000"),
            ("domain = \"https://x\"", "is not the name of a host"),
            ("hosts = []", "unknown field `hosts`"),
        ] {
            let error = read(text).err().unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

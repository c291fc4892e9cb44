//! `[tenants]` of `weir.toml`: how many there may be, and what each may use.

use std::path::PathBuf;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use weir_schema::network::Network;

/// The section, with what `weir serve` does where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantsSection {
    /// Tenants that there may be.
    #[serde(deserialize_with = "max")]
    pub max: usize,
    /// Isolates for queries, views and procedures of each that are warm from the start.
    #[serde(deserialize_with = "isolates")]
    pub isolates: usize,
    /// How much memory the kept results of each may take, roughly, in MiB.
    pub results_mib: usize,
    /// The folder of the files of secrets, each with the name of a tenant.
    pub secrets: Option<PathBuf>,
    /// The networks that are not of the public internet from which their apps may fetch what they list.
    pub fetch_addresses: Vec<Network>,
}

/// The most tenants: each has threads, files and memory of its own.
pub(super) const MAX: usize = 10_000;
/// The most isolates of one.
pub(super) const ISOLATES_MAX: usize = 1_024;

impl Default for TenantsSection {
    fn default() -> Self {
        Self { max: 100, isolates: 2, results_mib: 64, secrets: None, fetch_addresses: Vec::new() }
    }
}

fn max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within(deserializer, "max", MAX)
}

fn isolates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within(deserializer, "isolates", ISOLATES_MAX)
}

/// A number from 1 on.
pub(super) fn within<'de, D: Deserializer<'de>>(deserializer: D, name: &str, most: usize) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom(format!("{name} = {number} cannot be: write a number from 1 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_as_usual() {
        let read = |text: &str| toml::from_str::<TenantsSection>(text).map_err(|error| error.to_string());
        assert_eq!(read(""), Ok(TenantsSection::default()));
        let secrets = Some(PathBuf::from("s"));
        let fetch_addresses = ["10.0.0.5", "fd00::/8"].iter().filter_map(|text| text.parse().ok()).collect();
        let all = TenantsSection { max: 3, isolates: 4, results_mib: 5, secrets, fetch_addresses };
        let text =
            "max = 3\nisolates = 4\nresults_mib = 5\nsecrets = \"s\"\nfetch_addresses = [\"10.0.0.5\", \"fd00::/8\"]";
        assert_eq!(read(text), Ok(all));
        for (text, expected) in [
            ("max = 0", "max = 0 cannot be: write a number from 1 to 10000"),
            ("isolates = 9999", "from 1 to 1024"),
            ("fetch_addresses = [\"10.0.0.5/8\"]", "the network is \"10.0.0.0/8\""),
            ("fetch_addresses = [\"db.internal\"]", "is no network"),
            ("min = 1", "unknown field `min`"),
        ] {
            let error = read(text).err().unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

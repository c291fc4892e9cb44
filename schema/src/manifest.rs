//! `app.toml`: what an app says of itself beside its TypeScript.

use std::ops::Range;

use semver::Version;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;
use toml::de::DeTable;

use crate::limits::{
    ARRAY_BUFFER_BYTES_MAX, CALL_MS_MAX, CallLimits, HEAP_BYTES_MAX, HEAP_BYTES_MIN, RESULT_DEPTH_MAX, TEXT_BYTES_MAX,
};
use crate::outside::{self, Fetch, SecretName};

/// The parsed `app.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Lower-case letters, digits and hyphens, starting with a letter.
    pub name: String,
    /// Semantic version.
    #[serde(deserialize_with = "version")]
    pub version: Version,
    /// What turns the app's TypeScript into JavaScript.
    #[serde(default)]
    pub transpiler: Transpiler,
    /// What one call may use.
    #[serde(default)]
    pub limits: CallLimits,
    /// Where its actions may fetch from.
    #[serde(default)]
    pub fetch: Fetch,
    /// The secrets that its actions use.
    #[serde(default, deserialize_with = "outside::secrets")]
    pub secrets: Vec<SecretName>,
}

/// What erases the types of a module. All behave alike; a build of Weir may lack some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transpiler {
    /// <https://oxc.rs>, which every build has.
    #[default]
    Oxc,
    /// <https://swc.rs>.
    Swc,
}

impl Transpiler {
    /// As `app.toml` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oxc => "oxc",
            Self::Swc => "swc",
        }
    }
}

/// Why an `app.toml` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ManifestError {
    /// What is wrong and what is expected.
    pub message: String,
    /// Byte offset in the file, where known.
    pub offset: Option<usize>,
}

/// What users call the unsigned types of limits.
const WHOLE: &str = "expected a whole number, 0 or more";

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    let explain = |_| D::Error::custom(format!("version {text:?} is not semantic: write three numbers, such as 1.0.0"));
    Version::parse(&text).map_err(explain)
}

/// Where the value of a key at the top of an `app.toml` stands, in bytes; `None` if it is not there.
pub fn place(text: &str, key: &str) -> Option<Range<usize>> {
    DeTable::parse(text).ok()?.get_ref().get(key).map(Spanned::span)
}

/// Parses `app.toml`. A byte order mark is allowed.
pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let manifest: Manifest = toml::from_str(text).map_err(|error| ManifestError {
        message: error
            .message()
            .replace("expected u64", WHOLE)
            .replace("expected usize", WHOLE)
            .replace("expected u32", WHOLE),
        offset: error.span().map(|span| span.start),
    })?;
    let name = &manifest.name;
    let good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !good {
        return Err(ManifestError {
            message: format!(
                "name {name:?} is not allowed: use 1 to 64 lower-case letters, digits and hyphens, starting with a letter"
            ),
            offset: text.find("name"),
        });
    }
    match out_of_range(&manifest.limits) {
        Some((name, message)) => {
            Err(ManifestError { message: format!("{name} is {message}"), offset: text.find(name) })
        }
        None => Ok(manifest),
    }
}

/// The first limit with a value that cannot be kept, and why.
fn out_of_range(limits: &CallLimits) -> Option<(&'static str, String)> {
    let milliseconds = [("cpu_ms", limits.cpu_ms), ("wall_ms", limits.wall_ms)];
    let zero = milliseconds.iter().find(|(_, value)| *value == 0).map(|(name, _)| (*name, 1));
    let heap = (limits.heap_bytes < HEAP_BYTES_MIN).then_some(("heap_bytes", HEAP_BYTES_MIN));
    if let Some((name, least)) = zero.or(heap) {
        return Some((name, format!("too small for anything to run: write {least} or more")));
    }
    let wide = |milliseconds: u64| usize::try_from(milliseconds).unwrap_or(usize::MAX);
    let bounded = [
        ("cpu_ms", wide(limits.cpu_ms), wide(CALL_MS_MAX)),
        ("wall_ms", wide(limits.wall_ms), wide(CALL_MS_MAX)),
        ("heap_bytes", limits.heap_bytes, HEAP_BYTES_MAX),
        ("array_buffer_bytes", limits.array_buffer_bytes, ARRAY_BUFFER_BYTES_MAX),
        ("arguments_bytes", limits.arguments_bytes, TEXT_BYTES_MAX),
        ("result_bytes", limits.result_bytes, TEXT_BYTES_MAX),
        ("result_depth", limits.result_depth, RESULT_DEPTH_MAX),
        ("fetch_bytes", limits.fetch_bytes, TEXT_BYTES_MAX),
    ];
    let (name, _, most) = bounded.into_iter().find(|(_, value, most)| value > most)?;
    Some((name, format!("more than can be kept: write {most} or less")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_its_app_and_narrows_limits() {
        let manifest = parse("name = \"shop\"\nversion = \"1.2.0\"\n[limits]\nwall_ms = 50\n");
        let manifest = manifest.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((manifest.name.as_str(), manifest.limits.wall_ms), ("shop", 50));
        assert_eq!(manifest.limits.heap_bytes, 64 << 20);
        assert_eq!(manifest.transpiler, Transpiler::Oxc);
    }

    #[test]
    fn a_manifest_names_its_transpiler() {
        for transpiler in [Transpiler::Oxc, Transpiler::Swc] {
            let name = transpiler.as_str();
            let text = format!("name = \"shop\"\nversion = \"1.0.0\"\ntranspiler = \"{name}\"\n");
            let manifest = parse(&text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(manifest.transpiler, transpiler);
            let place = place(&text, "transpiler").and_then(|place| text.get(place));
            assert_eq!(place, Some(format!("\"{name}\"").as_str()));
        }
        assert_eq!(place("name = \"shop\"", "transpiler"), None);
    }

    #[test]
    fn a_manifest_names_hosts_and_secrets() {
        let text = "name = \"shop\"\nversion = \"1.0.0\"\nsecrets = [\"KEY\"]\n[fetch]\nhosts = [\"a.example\", \"[::1]:9\"]\n";
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}"));
        let hosts: Vec<String> = manifest.fetch.hosts.iter().map(ToString::to_string).collect();
        assert_eq!((hosts, manifest.secrets.len()), (vec!["a.example".to_owned(), "[::1]:9".to_owned()], 1));
        // As workers get it.
        let again = serde_json::to_string(&manifest).and_then(|text| serde_json::from_str::<Manifest>(&text));
        assert_eq!(again.ok().as_ref(), Some(&manifest));
        let bad = text.replace("[::1]", "[::1");
        let error = parse(&bad).err().unwrap_or_else(|| panic!("a bad host"));
        assert_eq!(error.offset, bad.find("\"[::1"), "{error}");
    }

    #[test]
    fn mistakes_are_explained() {
        let table = [
            ("version = \"1.0.0\"", "missing field `name`"),
            ("name = \"Shop\"\nversion = \"1.0.0\"", "lower-case"),
            ("name = \"shop\"\nversion = \"1\"", "three numbers, such as 1.0.0"),
            ("name = \"shop\"\nversion = \"1.0.0\"\ncolour = 1", "unknown field `colour`"),
            (
                "name = \"shop\"\nversion = \"1.0.0\"\ntranspiler = \"tsc\"",
                "unknown variant `tsc`, expected `oxc` or `swc`",
            ),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nwall = 1", "unknown field `wall`"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nheap_bytes = 1000", "write 16777216 or more"),
            (
                "name = \"shop\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 0",
                "cpu_ms is too small for anything to run: write 1",
            ),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nresult_depth = 500", "write 120 or less"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = 9223372036854775807", "write 86400000 or less"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = -1", "expected a whole number, 0 or more"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[fetch]\nhosts = \"a.example\"", "expected a sequence"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[fetch]\nhosts = [\"https://a.example\"]", "is more than a host"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[fetch]\nproxy = \"a\"", "unknown field `proxy`"),
            ("name = \"shop\"\nversion = \"1.0.0\"\nsecrets = [\"key\"]", "is not the name of a secret"),
            ("name = \"shop\"\nversion = \"1.0.0\"\nsecrets = [\"A\", \"A\"]", "the secret A is named twice"),
        ];
        for (text, expected) in table {
            let error = parse(text).err().map(|error| error.message).unwrap_or_default();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}

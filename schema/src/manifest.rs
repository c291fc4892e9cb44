//! `app.toml`: what an app says of itself beside its TypeScript.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use semver::Version;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::DeTable;

use crate::caller::CallerSettings;
use crate::cron::Schedule;
use crate::graphql::{self, GraphqlSettings};
use crate::guards::{self, RolloutSettings};
use crate::limits::{
    ARRAY_BUFFER_BYTES_MAX, BATCH_CALLS_MAX, CALL_MS_MAX, CRONS_MAX, CallLimits, HEAP_BYTES_MAX, HEAP_BYTES_MIN,
    JOB_ARGUMENTS_BYTES_MAX, JOB_MS_MAX, JOBS_RUNNING_MAX, JobSettings, RESPONSE_BYTES_MAX, RESULT_DEPTH_MAX,
    TEXT_BYTES_MAX,
};
use crate::metrics::{self, Metric};
use crate::outside::{self, Fetch, SecretName};
use crate::rate::RateSettings;

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
    /// How its GraphQL API answers.
    #[serde(default)]
    pub graphql: GraphqlSettings,
    /// How often each caller may ask it.
    #[serde(default)]
    pub rate: RateSettings,
    /// How jobs are run.
    #[serde(default)]
    pub jobs: JobSettings,
    /// What is called again and again.
    #[serde(default)]
    pub cron: Vec<Cron>,
    /// How documents of releases before become documents of this one, by collection.
    #[serde(default)]
    pub migration: BTreeMap<String, Migration>,
    /// What functions may know of who calls.
    #[serde(default)]
    pub caller: CallerSettings,
    /// Where its actions may fetch from.
    #[serde(default)]
    pub fetch: Fetch,
    /// The secrets that its actions use.
    #[serde(default, deserialize_with = "outside::secrets")]
    pub secrets: Vec<SecretName>,
    /// What it measures, by name.
    #[serde(default, deserialize_with = "metrics::metrics")]
    pub metrics: BTreeMap<String, Metric>,
    /// How it is rolled out.
    #[serde(default)]
    pub rollout: RolloutSettings,
}

/// A call that is made again and again: an entry of `[[cron]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// Letters, digits, hyphens and underscores; unique in the app.
    pub name: String,
    /// When.
    pub schedule: Schedule,
    /// The function's exported name.
    pub call: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Map<String, Value>,
}

/// How the documents of one collection are migrated: an entry of `[migration]`.
///
/// Both are procedures of `{ documents: JSON[] }` that return the documents that they become, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// Makes documents of this release of those of the one before.
    pub up: String,
    /// Undoes that. Without it, what only this release declares is removed.
    #[serde(default)]
    pub down: Option<String>,
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

/// Where the value of a limit in the `[limits]` of an `app.toml` stands, in bytes; `None` if it is not there.
pub fn limit_place(text: &str, limit: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    table.get_ref().get("limits")?.get_ref().as_table()?.get(limit).map(Spanned::span)
}

/// Where the cost of a function in the `[graphql.costs]` of an `app.toml` stands, in bytes; `None` if it is not there.
pub fn cost_place(text: &str, function: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let graphql = table.get_ref().get("graphql")?.get_ref().as_table()?;
    graphql.get("costs")?.get_ref().as_table()?.get(function).map(Spanned::span)
}

/// Where the rate of a function in the `[rate.functions]` of an `app.toml` stands, in bytes; `None` if it is not there.
pub fn rate_place(text: &str, function: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let rate = table.get_ref().get("rate")?.get_ref().as_table()?;
    rate.get("functions")?.get_ref().as_table()?.get(function).map(Spanned::span)
}

/// Where the function of a metric in the `[metrics]` of an `app.toml` stands, in bytes; `None` if it is not there.
pub fn metric_function_place(text: &str, metric: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let metrics = table.get_ref().get("metrics")?.get_ref().as_table()?;
    metrics.get(metric)?.get_ref().as_table()?.get("function").map(Spanned::span)
}

/// Where a key of an entry of `[[cron]]` stands, in bytes; the entry where it does not have the key.
pub fn cron_place(text: &str, index: usize, key: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let entry = table.get_ref().get("cron")?.get_ref().as_array()?.get(index)?;
    let value = entry.get_ref().as_table().and_then(|entry| entry.get(key));
    Some(value.map_or_else(|| entry.span(), Spanned::span))
}

/// Where a key of an entry of `[migration]` stands, in bytes; the entry where it does not have the key.
pub fn migration_place(text: &str, collection: &str, key: &str) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let entry = table.get_ref().get("migration")?.get_ref().as_table()?.get(collection)?;
    let value = entry.get_ref().as_table().and_then(|entry| entry.get(key));
    Some(value.map_or_else(|| entry.span(), Spanned::span))
}

/// Where one of the `checks` of `[rollout]` stands in an `app.toml`, in bytes; `None` if it is not there.
pub fn check_place(text: &str, index: usize) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let rollout = table.get_ref().get("rollout")?.get_ref().as_table()?;
    rollout.get("checks")?.get_ref().as_array()?.get(index).map(Spanned::span)
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
    if let Some((name, message)) = out_of_range(&manifest.limits).or_else(|| jobs_out_of_range(&manifest.jobs)) {
        return Err(ManifestError { message: format!("{name} is {message}"), offset: text.find(name) });
    }
    if let Some((name, message)) = graphql::out_of_range(&manifest.graphql) {
        return Err(ManifestError { message: format!("{name} is {message}"), offset: text.find(&name) });
    }
    if let Some((name, message)) = guards::useless(&manifest.rollout.guards, |name| manifest.metrics.contains_key(name))
    {
        let offset = text.find(&format!("rollout.guards.metrics.{name}"));
        return Err(ManifestError { message, offset });
    }
    match bad_cron(&manifest.cron) {
        Some((index, key, message)) => {
            Err(ManifestError { message, offset: cron_place(text, index, key).map(|place| place.start) })
        }
        None => Ok(manifest),
    }
}

/// The first setting of jobs with a value that cannot be kept, and why.
fn jobs_out_of_range(jobs: &JobSettings) -> Option<(&'static str, String)> {
    let least = [("attempts", u64::from(jobs.attempts)), ("running", jobs.running as u64)];
    if let Some((name, _)) = least.into_iter().find(|(_, value)| *value == 0) {
        return Some((name, "too small for anything to run: write 1 or more".to_owned()));
    }
    let bounded = [
        ("backoff_ms", jobs.backoff_ms, JOB_MS_MAX),
        ("backoff_max_ms", jobs.backoff_max_ms, JOB_MS_MAX),
        ("ahead_ms", jobs.ahead_ms, JOB_MS_MAX),
        ("running", jobs.running as u64, JOBS_RUNNING_MAX as u64),
        ("arguments_bytes", jobs.arguments_bytes as u64, JOB_ARGUMENTS_BYTES_MAX as u64),
    ];
    let (name, _, most) = bounded.into_iter().find(|(_, value, most)| value > most)?;
    Some((name, format!("more than can be kept: write {most} or less")))
}

/// The first entry of `[[cron]]` that cannot be, the key to blame, and why.
fn bad_cron(crons: &[Cron]) -> Option<(usize, &'static str, String)> {
    if crons.len() > CRONS_MAX {
        return Some((CRONS_MAX, "name", format!("there are more than {CRONS_MAX} entries of [[cron]]")));
    }
    let mut names = BTreeSet::new();
    crons.iter().enumerate().find_map(|(index, Cron { name, .. })| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_letter) {
            let message = format!("name {name:?} is not allowed: use 1 to 64 letters, digits, hyphens and underscores");
            return Some((index, "name", message));
        }
        (!names.insert(name)).then(|| (index, "name", format!("a second entry of [[cron]] is named {name:?}")))
    })
}

/// The first limit with a value that cannot be kept, and why.
fn out_of_range(limits: &CallLimits) -> Option<(&'static str, String)> {
    let milliseconds = [("cpu_ms", limits.cpu_ms), ("wall_ms", limits.wall_ms)];
    let zero = milliseconds.iter().find(|(_, value)| *value == 0).map(|(name, _)| (*name, 1));
    let none = (limits.response_bytes == 0).then_some(("response_bytes", 1));
    let heap = (limits.heap_bytes < HEAP_BYTES_MIN).then_some(("heap_bytes", HEAP_BYTES_MIN));
    if let Some((name, least)) = zero.or(none).or(heap) {
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
        ("batch_calls", limits.batch_calls, BATCH_CALLS_MAX),
        ("response_bytes", limits.response_bytes, RESPONSE_BYTES_MAX),
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
    fn a_manifest_bounds_its_graphql_api() {
        let text = "name = \"shop\"\nversion = \"1.0.0\"\n[graphql]\nintrospection = false\ncost = 500\n[graphql.costs]\nordersOf = 5\n";
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}"));
        let GraphqlSettings { introspection, cost, costs, document_tokens, .. } = manifest.graphql;
        assert_eq!((introspection, cost, costs.get("ordersOf"), document_tokens), (false, 500, Some(&5), 10_000));
        assert_eq!(cost_place(text, "ordersOf").and_then(|place| text.get(place)), Some("5"));
        assert_eq!(cost_place(text, "gone"), None);
    }

    #[test]
    fn a_manifest_says_how_often_it_may_be_asked() {
        let text = "name = \"shop\"\nversion = \"1.0.0\"\n[rate]\nrequests = \"100/s\"\n[rate.functions]\nplaceOrder = \"10/s burst 20\"\n";
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}"));
        let RateSettings { requests, cost, functions } = &manifest.rate;
        assert_eq!((requests.map(|rate| rate.to_string()).as_deref(), cost), (Some("100/s"), &None));
        assert_eq!(functions.get("placeOrder").map(|rate| rate.burst().get()), Some(20));
        assert_eq!(rate_place(text, "placeOrder").and_then(|place| text.get(place)), Some("\"10/s burst 20\""));
        assert_eq!(rate_place(text, "gone"), None);
        // As workers get it.
        let again = serde_json::to_string(&manifest).and_then(|text| serde_json::from_str::<Manifest>(&text));
        assert_eq!(again.ok().as_ref(), Some(&manifest));
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
    fn a_manifest_says_what_has_to_go_well_before_a_release_takes_over() {
        let text = "name = \"shop\"\nversion = \"1.0.0\"\n[rollout]\nchecks = [\"selfTest\", \"prices\"]\n";
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(manifest.rollout.checks, ["selfTest", "prices"]);
        assert_eq!(check_place(text, 1).and_then(|place| text.get(place)), Some("\"prices\""));
        assert_eq!(check_place(text, 2), None);
    }

    #[test]
    fn a_manifest_says_what_is_called_again_and_again() {
        let text = "name = \"shop\"\nversion = \"1.0.0\"\n[jobs]\nattempts = 3\n[[cron]]\nname = \"nightly\"\n\
                    schedule = \"0 3 * * *\"\ncall = \"cleanUp\"\nargs = { days = 30 }\n";
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((manifest.jobs.attempts, manifest.jobs.backoff_ms), (3, 1_000));
        let [Cron { name, schedule, call, args }] = manifest.cron.as_slice() else { panic!("one entry") };
        assert_eq!((name.as_str(), schedule.to_string().as_str(), call.as_str()), ("nightly", "0 3 * * *", "cleanUp"));
        assert_eq!(args.get("days"), Some(&Value::from(30)));
        let place = cron_place(text, 0, "call").and_then(|place| text.get(place));
        assert_eq!(place, Some("\"cleanUp\""));
        assert_eq!(cron_place(text, 1, "call"), None);
    }

    #[test]
    fn a_manifest_says_how_documents_are_migrated() {
        let text = "name = \"shop\"\nversion = \"1.0.0\"\n[migration]\ncustomers = { up = \"split\", down = \"join\" }\n\
                    [migration.orders]\nup = \"total\"\n";
        let manifest = parse(text).unwrap_or_else(|error| panic!("{error}"));
        let shown: Vec<String> = manifest
            .migration
            .iter()
            .map(|(name, Migration { up, down })| format!("{name} {up} {}", down.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(shown, ["customers split join", "orders total -"]);
        let place = |collection, key| migration_place(text, collection, key).and_then(|place| text.get(place));
        assert_eq!(place("customers", "down"), Some("\"join\""));
        assert_eq!(place("carts", "up"), None);
        assert!(parse("name = \"shop\"\nversion = \"1.0.0\"\n[migration.orders]\ndown = \"x\"\n").is_err());
    }

    #[test]
    fn mistakes_in_schedules_have_a_place() {
        let cron = |entry: &str| format!("name = \"shop\"\nversion = \"1.0.0\"\n[[cron]]\n{entry}\n");
        let good = "name = \"a\"\nschedule = \"* * * * *\"\ncall = \"f\"";
        let table = [
            (cron("name = \"a\"\nschedule = \"0 25 * * *\"\ncall = \"f\""), "\"25\" is no hour", "\"0 25 * * *\""),
            (cron("name = \"a b\"\nschedule = \"* * * * *\"\ncall = \"f\""), "is not allowed", "\"a b\""),
            (
                cron(&format!("{good}\n[[cron]]\n{good}")),
                "a second entry",
                "\"a\"\nschedule = \"* * * * *\"\ncall = \"f\"\n$",
            ),
            (cron("name = \"a\"\nschedule = \"* * * * *\""), "missing field `call`", ""),
            (cron(&format!("{good}\nat = 1")), "unknown field `at`", "at = 1"),
        ];
        for (text, words, place) in table {
            let error = parse(&text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.message.contains(words), "{text}: {error}");
            let offset = error.offset.unwrap_or_else(|| panic!("{text}"));
            let rest = text.get(offset..).unwrap_or_default();
            let is_there = match place.strip_suffix('$') {
                Some(end) => rest == end,
                None => rest.starts_with(place),
            };
            assert!(is_there, "{text}: at {rest:?}");
        }
        for jobs in ["attempts = 0", "running = 0", "running = 1001", "backoff_ms = 9223372036854775807"] {
            let text = format!("name = \"shop\"\nversion = \"1.0.0\"\n[jobs]\n{jobs}\n");
            assert!(parse(&text).is_err(), "{jobs}");
        }
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
        assert_eq!(error.offset, bad.find("[\"a.example"), "{error}");
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
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nresponse_bytes = 0", "write 1 or more"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nbatch_calls = 2000000", "write 1000000 or less"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = 9223372036854775807", "write 86400000 or less"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = -1", "expected a whole number, 0 or more"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[graphql]\ndocument_depth = 100", "write 60 or less"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[graphql]\nroot_fields = 0", "write 1 or more"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[graphql]\ndepth = 1", "unknown field `depth`"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[graphql]\nintrospection = 0", "expected a boolean"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[graphql]\ndocuments = \"some\"", "expected `any` or `trusted`"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[graphql.costs]\nf = -1", "expected a whole number, 0 or more"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[graphql.costs]\nf = 9000000000000", "f is more than can be kept"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[rate]\nrequests = \"10\"", "such as \"10/s\""),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[rate]\nsockets = 1", "unknown field `sockets`"),
            ("name = \"shop\"\nversion = \"1.0.0\"\n[rate.functions]\nf = \"0/s\"", "its numbers are from 1"),
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

//! What `app.toml` says of rollouts, in two releases: migrations, metrics, checks and guards. No client notices any of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::settings::{internal, members};
use super::{Found, Level, Part};
use crate::guards::{Guards, MetricGuard};
use crate::manifest::Manifest;

pub(super) fn compare(old: &Manifest, new: &Manifest, found: &mut Found) {
    tables("migration", Part::Migration, (&old.migration, &new.migration), found);
    tables("metrics", Part::Metric, (&old.metrics, &new.metrics), found);
    internal(&old.rollout.checks, &new.rollout.checks, Part::Check, "rollout.checks", found);
    let (old, new) = (&old.rollout.guards, &new.rollout.guards);
    let own = |guards: &Guards| Guards { metrics: BTreeMap::<String, MetricGuard>::new(), ..guards.clone() };
    entries("rollout.guards", Part::Guard, (&own(old), &own(new)), found);
    tables("rollout.guards.metrics", Part::Guard, (&old.metrics, &new.metrics), found);
}

/// Compares tables by their names, and of those that both have what is in them.
fn tables<T: Serialize>(
    table: &str,
    part: Part,
    (old, new): (&BTreeMap<String, T>, &BTreeMap<String, T>),
    found: &mut Found,
) {
    let names = |tables: &BTreeMap<String, T>| tables.keys().cloned().collect::<Vec<String>>();
    internal(&names(old), &names(new), part, table, found);
    for (name, before) in old {
        if let Some(now) = new.get(name) {
            entries(&format!("{table}.{name}"), part, (before, now), found);
        }
    }
}

/// Compares what is in two tables. What is not written is not set.
fn entries<T: Serialize>(table: &str, part: Part, (old, new): (&T, &T), found: &mut Found) {
    let (old, new) = (members(old), members(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let told = |value: Option<&Value>| match value {
            None | Some(Value::Null) => "not set".to_owned(),
            Some(value) => value.to_string(),
        };
        let (before, now) = (told(old.get(name)), told(new.get(name)));
        if before != now {
            let at = format!("{table}.{name}");
            found.add(Level::Internal, part, &at, format!("{at} was {before} and is {now}."));
        }
    }
}

//! `app.toml` of two releases.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Found, Level, Part};
use crate::graphql::Documents;
use crate::manifest::{Cron, Manifest};
use crate::rate::Rate;

pub(super) fn compare(old: &Manifest, new: &Manifest, found: &mut Found) {
    numbers("limits", (&old.limits, &new.limits), |_| Wider::More, found);
    graphql(old, new, found);
    rates(old, new, found);
    crons(&old.cron, &new.cron, found);
    hosts(old, new, found);
    claims(old, new, found);
    plain("jobs", &old.jobs, &new.jobs, found);
    if old.transpiler != new.transpiler {
        let what = format!("transpiler was {} and is {}.", old.transpiler.as_str(), new.transpiler.as_str());
        found.add(Level::Internal, Part::Setting, "transpiler", what);
    }
}

/// Which way a number allows more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wider {
    More,
    Less,
}

/// The members of a table, by name.
pub(super) fn members(table: &impl Serialize) -> BTreeMap<String, Value> {
    match serde_json::to_value(table) {
        Ok(Value::Object(members)) => members.into_iter().collect(),
        // A table always is one.
        _ => BTreeMap::new(),
    }
}

/// Compares the numbers of a table of bounds.
fn numbers<T: Serialize>(table: &str, (old, new): (&T, &T), wider: impl Fn(&str) -> Wider, found: &mut Found) {
    let (old, new) = (members(old), members(new));
    for (name, before) in &old {
        let Some((before, now)) = before.as_u64().zip(new.get(name).and_then(Value::as_u64)) else { continue };
        bound(&format!("{table}.{name}"), before, now, wider(name), found);
    }
}

fn bound(at: &str, before: u64, now: u64, wider: Wider, found: &mut Found) {
    if before == now {
        return;
    }
    let (level, how) = match (now > before) == (wider == Wider::More) {
        true => (Level::Internal, "widened"),
        false => (Level::Dangerous, "narrowed"),
    };
    found.add(level, Part::Limit, at, format!("{at} was {how} from {before} to {now}."));
}

fn graphql(old: &Manifest, new: &Manifest, found: &mut Found) {
    let (old, new) = (&old.graphql, &new.graphql);
    // A longer list costs more.
    let wider = |name: &str| if name == "list_size" { Wider::Less } else { Wider::More };
    numbers("graphql", (old, new), wider, found);
    for (name, now) in &new.costs {
        let at = format!("graphql.costs.{name}");
        match old.costs.get(name) {
            Some(before) => bound(&at, *before, *now, Wider::Less, found),
            None => found.add(Level::Dangerous, Part::Limit, &at, format!("{name} costs {now} now.")),
        }
    }
    for name in old.costs.keys().filter(|name| !new.costs.contains_key(*name)) {
        let at = format!("graphql.costs.{name}");
        found.add(Level::Dangerous, Part::Limit, at, format!("{name} costs what others do now."));
    }
    match (old.introspection, new.introspection) {
        (true, false) => {
            let what = "Clients may not ask for the schema any more.";
            found.add(Level::Dangerous, Part::Setting, "graphql.introspection", what);
        }
        (false, true) => {
            found.add(Level::Addition, Part::Setting, "graphql.introspection", "Clients may ask for the schema now.");
        }
        _ => {}
    }
    match (old.documents, new.documents) {
        (Documents::Any, Documents::Trusted) => {
            let what = "Documents that nobody has pushed are refused now.";
            found.add(Level::Breaking, Part::Setting, "graphql.documents", what);
        }
        (Documents::Trusted, Documents::Any) => {
            found.add(Level::Addition, Part::Setting, "graphql.documents", "Any document runs now.");
        }
        _ => {}
    }
}

fn rates(old: &Manifest, new: &Manifest, found: &mut Found) {
    let (old, new) = (&old.rate, &new.rate);
    rate("rate.requests", old.requests, new.requests, found);
    rate("rate.cost", old.cost, new.cost, found);
    let names = old.functions.keys().chain(new.functions.keys().filter(|name| !old.functions.contains_key(*name)));
    for name in names {
        let [before, now] = [old, new].map(|rates| rates.functions.get(name).copied());
        rate(&format!("rate.functions.{name}"), before, now, found);
    }
}

fn rate(at: &str, before: Option<Rate>, now: Option<Rate>, found: &mut Found) {
    let (level, what) = match (before, now) {
        (Some(before), None) => (Level::Internal, format!("{at} was {before} and there is no such limit now.")),
        (None, Some(now)) => (Level::Dangerous, format!("{at} is limited to {now} now.")),
        (Some(before), Some(now)) if before != now => {
            let is_narrower = now.interval() > before.interval() || now.burst() < before.burst();
            let (level, how) = match is_narrower {
                true => (Level::Dangerous, "narrowed"),
                false => (Level::Internal, "widened"),
            };
            (level, format!("{at} was {how} from {before} to {now}."))
        }
        _ => return,
    };
    found.add(level, Part::Rate, at, what);
}

fn crons(old: &[Cron], new: &[Cron], found: &mut Found) {
    let names = |crons: &[Cron]| crons.iter().map(|cron| cron.name.clone()).collect::<Vec<_>>();
    internal(&names(old), &names(new), Part::Schedule, "cron", found);
    let at = |name: &str| format!("cron {name}");
    for cron in old {
        let Some(now) = new.iter().find(|now| now.name == cron.name && *now != cron) else { continue };
        let described = |cron: &Cron| format!("{} at {}", cron.call, cron.schedule);
        let what = match described(cron) == described(now) {
            true => format!("{} calls {} with other arguments.", at(&cron.name), cron.call),
            false => format!("{} called {} and calls {} now.", at(&cron.name), described(cron), described(now)),
        };
        found.add(Level::Internal, Part::Schedule, at(&cron.name), what);
    }
}

fn hosts(old: &Manifest, new: &Manifest, found: &mut Found) {
    let hosts = |manifest: &Manifest| manifest.fetch.hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (before, now) = (hosts(old), hosts(new));
    internal(&before, &now, Part::Host, "fetch.hosts", found);
    let secrets =
        |manifest: &Manifest| manifest.secrets.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
    let (before, now) = (secrets(old), secrets(new));
    internal(&before, &now, Part::Secret, "secrets", found);
}

/// What no client notices, by the names in two lists.
pub(super) fn internal(old: &[String], new: &[String], part: Part, table: &str, found: &mut Found) {
    for name in old.iter().filter(|name| !new.contains(name)) {
        let at = format!("{table} {name}");
        found.add(Level::Internal, part, &at, format!("{at} was removed."));
    }
    for name in new.iter().filter(|name| !old.contains(name)) {
        let at = format!("{table} {name}");
        found.add(Level::Internal, part, &at, format!("{at} was added."));
    }
}

fn claims(old: &Manifest, new: &Manifest, found: &mut Found) {
    let (old, new) = (&old.caller.claims, &new.caller.claims);
    let names = |claims: &BTreeMap<String, _>| claims.keys().cloned().collect::<Vec<String>>();
    internal(&names(old), &names(new), Part::Claim, "caller.claims", found);
    for (name, before) in old {
        if new.get(name).is_some_and(|now| now != before) {
            let at = format!("caller.claims {name}");
            found.add(Level::Internal, Part::Claim, &at, format!("{at} is of another type now."));
        }
    }
}

/// Settings that no client notices.
fn plain<T: Serialize>(table: &str, old: &T, new: &T, found: &mut Found) {
    let (old, new) = (members(old), members(new));
    for (name, before) in &old {
        if let Some(now) = new.get(name).filter(|now| *now != before) {
            let at = format!("{table}.{name}");
            found.add(Level::Internal, Part::Setting, &at, format!("{at} was {before} and is {now}."));
        }
    }
}

//! Collections of two releases. Clients see documents only through what functions give, which `functions` compares: here is what
//! changes for the data.

use std::collections::BTreeMap;

use super::{Found, Level, Part};
use crate::declarations::{Collection, Declarations, Index};
use crate::shape::{Member, object};

pub(super) fn compare(old: &Declarations, new: &Declarations, found: &mut Found) {
    for (name, before) in &old.collections {
        match new.collections.get(name) {
            None => {
                let what = format!("The collection {name} was removed: nobody reaches its documents any more.");
                found.add(Level::Dangerous, Part::Collection, name, what);
            }
            Some(now) => {
                members(name, &documents(old, before), &documents(new, now), found);
                indexes(name, before, now, found);
                references(name, before, now, found);
            }
        }
    }
    for name in new.collections.keys().filter(|name| !old.collections.contains_key(*name)) {
        found.add(Level::Internal, Part::Collection, name, format!("The collection {name} was added."));
    }
}

/// The members of a collection's documents, by name.
fn documents<'a>(declarations: &'a Declarations, collection: &Collection) -> BTreeMap<&'a str, &'a Member> {
    let document = object(&declarations.definitions, &collection.value);
    let members = document.into_iter().flat_map(|document| &document.members);
    members.map(|member| (member.name.as_str(), member)).collect()
}

fn members(name: &str, old: &BTreeMap<&str, &Member>, new: &BTreeMap<&str, &Member>, found: &mut Found) {
    for (member, before) in old {
        let at = format!("{name}.{member}");
        match new.get(member) {
            None => {
                found.add(Level::Internal, Part::Collection, &at, format!("Documents have no member {at} any more."))
            }
            Some(now) if before.slot != now.slot || before.literal != now.literal => {
                found.add(Level::Internal, Part::Collection, &at, format!("The member {at} has another type."));
            }
            Some(_) => {}
        }
    }
    for member in new.keys().filter(|member| !old.contains_key(*member)) {
        let at = format!("{name}.{member}");
        found.add(Level::Internal, Part::Collection, &at, format!("Documents have a member {at} besides."));
    }
}

fn indexes(name: &str, old: &Collection, new: &Collection, found: &mut Found) {
    let at = |index: &Index| format!("{name}({})", index.fields.join(", "));
    for index in old.indexes.iter().filter(|index| !new.indexes.contains(index)) {
        let which = if index.unique { "unique index" } else { "index" };
        found.add(Level::Internal, Part::Collection, at(index), format!("The {which} {} was removed.", at(index)));
    }
    for index in new.indexes.iter().filter(|index| !old.indexes.contains(index)) {
        let (level, what) = match index.unique {
            true => (Level::Dangerous, "unique index {} was added: writes that it stands against fail with CONFLICT."),
            false => (Level::Internal, "index {} was added."),
        };
        found.add(level, Part::Collection, at(index), format!("The {}", what.replace("{}", &at(index))));
    }
}

fn references(name: &str, old: &Collection, new: &Collection, found: &mut Found) {
    for now in &new.references {
        let at = format!("{name}.{}", now.member);
        let before = old.references.iter().find(|before| before.member == now.member && before.target == now.target);
        match before {
            Some(before) if before.on_delete != now.on_delete => {
                let (before, now) = (before.on_delete.as_str(), now.on_delete.as_str());
                let what = format!("Deleting what {at} refers to was {before} and is {now}.");
                found.add(Level::Dangerous, Part::Collection, &at, what);
            }
            Some(_) => {}
            None => {
                let what = format!("{at} has to refer to a document of {}.", now.target);
                found.add(Level::Dangerous, Part::Collection, &at, what);
            }
        }
    }
    for before in &old.references {
        let is_there = |now: &crate::references::Reference| now.member == before.member && now.target == before.target;
        if !new.references.iter().any(is_there) {
            let at = format!("{name}.{}", before.member);
            let what = format!("{at} refers to no document of {} any more.", before.target);
            found.add(Level::Internal, Part::Collection, &at, what);
        }
    }
}

//! Unique indexes at commit: each key has one holder in every state that anybody can read.

use weir_schema::codec::key;
use weir_schema::id::DocumentId;

use crate::engine::Engine;
use crate::error::{Poisoned, UniqueViolation};
use crate::group::Holders;
use crate::prepared::{Claim, Prepared};

/// What a commit does to the unique indexes.
pub(crate) enum Uniqueness {
    /// Each key has one holder, these have changed.
    Kept(Holders),
    Violated(UniqueViolation),
}

/// Works out who has the unique keys after a commit. `pending` are the changes that are not durable yet, newest first.
pub(crate) fn check(prepared: &Prepared, pending: &[&Holders], engine: &Engine) -> Result<Uniqueness, Poisoned> {
    let mut holders: Holders = prepared.releases.iter().map(|(key, _)| (key.clone(), None)).collect();
    for Claim { key, id, index } in &prepared.claims {
        let known = holders.get(key).or_else(|| pending.iter().find_map(|changed| changed.get(key)));
        let holder = match known {
            Some(holder) => holder.clone(),
            None => stored(key, engine)?,
        };
        match holder {
            Some(other) if other != *id => {
                return Ok(Uniqueness::Violated(prepared.catalog.violation(*index, id.clone(), other)));
            }
            _ => holders.insert(key.clone(), Some(id.clone())),
        };
    }
    Ok(Uniqueness::Kept(holders))
}

fn stored(unique: &[u8], engine: &Engine) -> Result<Option<DocumentId>, Poisoned> {
    let live = engine.live()?;
    let Some(value) = live.get(unique)? else { return Ok(None) };
    match key::index_entry_id(&[], 0, &[], &value) {
        Some(id) => Ok(Some(id)),
        None => Err(live.damaged(format_args!("unique entry {unique:?} leads to no document"))),
    }
}

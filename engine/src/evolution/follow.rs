//! What releases write while a migration is known: in the commit of a document that is migrated, and that another release has
//! changed, it is migrated anew.
//!
//! The release itself writes documents as they are to be. Only while it is being undone those are brought back that it still changes
//! where that was done already.

use std::sync::Arc;

use weir_schema::codec::control::{MigratedCollection, MigrationDirection, MigrationRecord};
use weir_schema::id::DocumentId;
use weir_store::Transaction;

pub(crate) use super::convert::ConvertError;
use super::convert::{Converter, Documents};
use super::{Known, record_in};
use crate::call::CallError;
use crate::engine::Engine;
use crate::release::Release;
use crate::seed::Seed;

/// Looks through what a run has written, and converts what has to be. Gives the transaction back.
pub(crate) async fn follow(
    engine: &Engine,
    seed: &Seed,
    writer: &Release,
    written: &[(String, DocumentId)],
    transaction: Transaction,
) -> Result<Transaction, ConvertError> {
    match engine.evolving().known() {
        Some(Known::Runs(converter)) if !written.is_empty() => {
            follow_with(engine, &converter, seed, writer, written, transaction).await
        }
        known => {
            let collections = written.iter().map(|(collection, _)| collection.as_str());
            check(known, writer, collections).map(|()| transaction).map_err(ConvertError::from)
        }
    }
}

/// Whether documents may be written without being looked at, as an import does.
pub(crate) fn check_unfollowed(engine: &Engine, writer: &Release, collection: &str) -> Result<(), CallError> {
    match engine.evolving().known() {
        Some(Known::Runs(converter)) if converter.collections().any(|migrated| migrated == collection) => {
            let release = converter.release().name();
            Err(CallError::unavailable(format_args!(
                "{collection} is being migrated to {release}: import when it is over"
            )))
        }
        known => check(known, writer, std::iter::once(collection)),
    }
}

/// What other releases write of a migration that waits is refused: what has to become of it, a release says that is not there.
fn check<'c>(
    known: Option<Known>,
    writer: &Release,
    mut written: impl Iterator<Item = &'c str>,
) -> Result<(), CallError> {
    let Some(Known::Waits(record)) = known else { return Ok(()) };
    let is_own = writer.name() == record.release && record.direction == MigrationDirection::Up;
    match written.find(|collection| !is_own && record.collections.contains_key(*collection)) {
        Some(collection) => Err(CallError::unavailable(format_args!(
            "the migration of {collection} to {} was cut off and has not gone on yet",
            record.release
        ))),
        None => Ok(()),
    }
}

async fn follow_with(
    engine: &Engine,
    converter: &Arc<Converter>,
    seed: &Seed,
    writer: &Release,
    written: &[(String, DocumentId)],
    mut transaction: Transaction,
) -> Result<Transaction, ConvertError> {
    let is_own = writer.number() == converter.release().number();
    let Some(record) = record_in(&mut transaction).map_err(CallError::unavailable)? else { return Ok(transaction) };
    let direction = if is_own { MigrationDirection::Down } else { MigrationDirection::Up };
    for collection in converter.collections() {
        let Some(progress) = record.collections.get(collection) else { continue };
        let mut ids: Vec<&DocumentId> =
            written.iter().filter(|(name, _)| name == collection).map(|(_, id)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| has_to_be_converted(is_own, &record, progress, id));
        let mut documents = Documents::with_capacity(ids.len());
        for id in ids {
            let text = transaction.get(collection, id).map_err(CallError::unavailable)?;
            documents.extend(text.map(|text| (id.clone(), text)));
        }
        if !documents.is_empty() {
            let way = (direction, collection.as_str());
            let converted = converter.convert(engine, seed, way, documents, transaction).await;
            (transaction, _) =
                converted.map_err(|error| if is_own { error } else { blamed(converter, collection, error) })?;
        }
    }
    Ok(transaction)
}

/// What a call is told whose documents another release does not take: that is the failure of this one, and not of the call's own.
fn blamed(converter: &Converter, collection: &str, error: ConvertError) -> ConvertError {
    if error.may_run_again {
        return error;
    }
    let release = converter.release();
    release.tally().count(Err(&error.error), None);
    tracing::warn!("a call of another release has failed: {}", error.error.message);
    let error = CallError::held_back(format_args!(
        "{collection} cannot take this change while release {} takes over its documents: try again later",
        release.name()
    ));
    ConvertError { error, may_run_again: false }
}

fn has_to_be_converted(is_own: bool, record: &MigrationRecord, progress: &MigratedCollection, id: &DocumentId) -> bool {
    if is_own {
        return record.direction == MigrationDirection::Down && progress.undone.has(id);
    }
    progress.has(id)
}

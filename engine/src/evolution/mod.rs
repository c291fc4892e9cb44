//! A release takes over the documents of another.
//!
//! | module | what it does |
//! |---|---|
//! | [`check`] | all documents have the types of the release, and go on having them |
//! | [`migrate`] | they are made to: batch by batch, and back again |
//! | `holders` | who is held to whose types |
//! | `convert` | what becomes of documents, by the functions that the release has for it |
//! | `follow` | what other releases write meanwhile |
//!
//! The record of a migration ([`MigrationRecord`]) says which documents are migrated at the moment: those up to an id. Each batch
//! moves that id in its own commit, and whoever writes a document while a migration is known reads the record in the transaction that
//! writes it. So the two are in one order, and of every document the record says at each commit whether it is migrated.
//!
//! Architecture invariant: each document is given to `up` once, and once again for each time that another release has changed it.
//!
//! [`MigrationRecord`]: weir_schema::codec::control::MigrationRecord

pub mod check;
mod convert;
pub(crate) mod follow;
mod holders;
pub mod migrate;

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{Mutex, MutexGuard};
use weir_schema::codec::control::MigrationRecord;
use weir_store::{ControlKey, ReadError, Store, Transaction};

use crate::control::ControlError;
use convert::Converter;

/// The migration of an engine, if there is one.
#[derive(Default)]
pub(crate) struct Evolving {
    known: RwLock<Option<Known>>,
    /// Held while documents are gone through.
    migrating: Mutex<()>,
    /// The releases that others are held to the types of while these are being prepared, by their sequences.
    held_for: RwLock<Vec<u64>>,
}

/// What is known of a migration that is not over.
#[derive(Clone)]
enum Known {
    /// It was begun, and its release has not been loaded since the start: nobody can say what becomes of the documents of others.
    Waits(MigrationRecord),
    /// It goes on.
    Runs(Arc<Converter>),
}

impl Evolving {
    /// What the store has of it.
    pub(crate) fn of(store: &Store) -> Result<Self, ControlError> {
        Ok(Self { known: RwLock::new(record(store)?.map(Known::Waits)), ..Self::default() })
    }

    fn known(&self) -> Option<Known> {
        self.known.read().clone()
    }

    fn set(&self, known: Option<Known>) -> Option<Known> {
        std::mem::replace(&mut *self.known.write(), known)
    }

    fn is_held_for(&self, candidate: u64) -> bool {
        self.held_for.read().contains(&candidate)
    }

    /// Others are held to the types of this release from now on, though it is still being prepared.
    fn holds_for(&self, candidate: u64) {
        self.held_for.write().push(candidate);
    }

    /// Nobody is held to the types of what is still being prepared.
    fn holds_for_none(&self) {
        self.held_for.write().clear();
    }

    async fn alone(&self) -> MutexGuard<'_, ()> {
        self.migrating.lock().await
    }
}

/// The migration that is not over, as of the last commit.
pub(crate) fn record(store: &Store) -> Result<Option<MigrationRecord>, ControlError> {
    store.control(&ControlKey::Migration)?.map(|text| read(&text)).transpose()
}

/// The same as a transaction sees it.
fn record_in(transaction: &mut Transaction) -> Result<Option<MigrationRecord>, ControlError> {
    let text = transaction.control(&ControlKey::Migration).map_err(|error: ReadError| ControlError::from(error))?;
    text.map(|text| read(&text)).transpose()
}

fn put_record(transaction: &mut Transaction, record: Option<&MigrationRecord>) {
    let text = record.map(|record| serde_json::to_vec(record).unwrap_or_default().into());
    transaction.put_control(&ControlKey::Migration, text);
}

fn read(text: &[u8]) -> Result<MigrationRecord, ControlError> {
    serde_json::from_slice(text).map_err(|error| ControlError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests;

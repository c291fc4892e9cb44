//! For who follows all documents of a collection: what of it a commit has changed.

use weir_schema::codec::journal::JournalEntry;
use weir_schema::codec::key;
use weir_schema::id::DocumentId;

use crate::read_set::{Interval, ReadSet};
use crate::store::Store;

impl Store {
    /// What somebody has read who has read all documents of a collection.
    pub fn reads_of(&self, collection: &str) -> ReadSet {
        let mut reads = ReadSet::default();
        reads.add_point(key::CATALOG.to_vec());
        if let Some(collection) = self.core().catalog().collection(collection) {
            reads.add_interval(Interval::prefix(key::documents(collection.number)));
        }
        reads
    }

    /// The documents of a collection that a commit wrote or deleted.
    pub fn changed_in(&self, collection: &str, entry: &JournalEntry) -> Vec<DocumentId> {
        let catalog = self.core().catalog();
        let Some(collection) = catalog.collection(collection) else { return Vec::new() };
        let changes = entry.changes.iter().filter(|change| change.collection == collection.number);
        changes.map(|change| change.id.clone()).collect()
    }
}

//! For who follows all documents of a collection: what of it a commit has changed.

use weir_schema::codec::key;
use weir_schema::id::DocumentId;

use crate::notice::Notice;
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

    /// The documents of a collection that a commit wrote or deleted, in the order of their ids.
    pub fn changed_in(&self, collection: &str, notice: &Notice) -> Vec<DocumentId> {
        let catalog = self.core().catalog();
        let Some(collection) = catalog.collection(collection) else { return Vec::new() };
        let prefix = key::documents(collection.number);
        let from = notice.touched.partition_point(|key| *key < prefix);
        let rest = notice.touched.get(from..).unwrap_or_default();
        let ids = rest.iter().map_while(|key| key.strip_prefix(prefix.as_slice()));
        ids.filter_map(|id| DocumentId::parse(str::from_utf8(id).ok()?).ok()).collect()
    }
}

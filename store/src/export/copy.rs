//! From one store into another that has nothing yet: the collections and the documents of one state, without a file between them.
//!
//! What is copied are new commits there, as of an import: the same documents under the same ids, none of the history that led to
//! them, no job, no audit record, and nothing of the control plane, which who copies can read as of the same state.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use weir_schema::codec::journal::Head;
use weir_schema::codec::key;
use weir_schema::id::DocumentId;

use super::import::{BATCH_BYTES, BATCH_RECORDS, all_wanted, parse, wanted};
use super::lines::{CollectionRecord, DocumentRecord};
use super::{Exported, describe, raw};
use crate::control::{ControlKey, ControlKind};
use crate::engine::Live;
use crate::error::{CatalogError, CommitError, Poisoned, ReadError, WriteError};
use crate::progress::{Meter, Phase, Stopped, Watch};
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::store::{Core, Store};

/// Batches that were read and are not written yet.
const BATCHES_AHEAD: usize = 2;

/// Why nothing was copied, or not all of it: who made the other store removes it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A record is not what it should be.
    #[error("{place} has a damaged record: {problem}; see what `weir doctor` finds")]
    Damaged {
        /// The collection, or what else the record belongs to.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// A document is not taken.
    #[error("a document of {collection} is not taken: {error}")]
    Document {
        /// The collection.
        collection: String,
        /// Why.
        error: Box<WriteError>,
    },
    /// The collections are not taken.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A transaction cannot begin.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A batch is not committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// One of the stores failed or was closed.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
    /// Who asked for it stopped it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// One state of a store, to be copied. It is kept readable for as long as that takes.
pub struct Source {
    store: Store,
    live: Live,
    head: Head,
}

/// Documents that are committed together.
type Batch = Vec<(String, DocumentId, Map<String, Value>)>;

impl Store {
    /// The state as of now, to be copied. Commits go on meanwhile.
    pub fn source(&self) -> Result<Source, Poisoned> {
        let (live, head) = self.core().live()?;
        Ok(Source { store: self.clone(), live, head })
    }
}

impl Source {
    /// The text of a record of the control plane in this state.
    pub fn control(&self, key: &ControlKey) -> Result<Option<Bytes>, Poisoned> {
        self.live.get(&key.encode())
    }

    /// The texts of all records of a kind, in order.
    pub fn control_all(&self, kind: ControlKind) -> Result<Vec<Bytes>, Poisoned> {
        let all = Interval::prefix(kind.prefix());
        self.live.entries(&all, Direction::Asc)?.map(|entry| Ok(entry?.1)).collect()
    }

    /// Copies collections, with their indexes and references, and documents into a store that has none.
    pub async fn copy_to(&self, target: &Store, watch: Watch) -> Result<Exported, CopyError> {
        let (live, head) = (self.live.clone(), self.head);
        let catalog = self.store.core().catalog_of(&live, head)?;
        let collections: Vec<CollectionRecord> =
            catalog.collections.iter().map(|(name, collection)| describe(name, collection)).collect();
        target.apply(collections.iter().map(wanted).collect::<Result<_, _>>()?).await?;
        let (batches, mut written) = mpsc::channel::<Batch>(BATCHES_AHEAD);
        let reading = self.store.blocking(move |core| read(core, &live, head, &batches, &watch));
        // Once it is over, `written` is dropped, and so whoever reads for it stops.
        let writing = async move {
            while let Some(batch) = written.recv().await {
                commit(target, batch).await?;
            }
            Ok::<_, CopyError>(())
        };
        let (read, wrote) = tokio::join!(reading, writing);
        // Where writing fails, reading does because of it.
        wrote?;
        let (documents, bytes) = read??;
        // Before, what they lead to need not be there.
        target.apply(all_wanted(&collections)?).await?;
        let counts =
            BTreeMap::from([("collection".to_owned(), collections.len() as u64), ("document".to_owned(), documents)]);
        Ok(Exported { counts, bytes, sequence: head.sequence })
    }
}

/// Reads all documents and hands them on; how many there were, and the bytes of their texts.
fn read(
    core: &Core,
    live: &Live,
    head: Head,
    batches: &mpsc::Sender<Batch>,
    watch: &Watch,
) -> Result<(u64, u64), CopyError> {
    let catalog = core.catalog_of(live, head)?;
    let mut meter = Meter::new(watch, Phase::Exporting, None);
    let (mut documents, mut bytes) = (0, 0);
    let (mut batch, mut batch_bytes) = (Batch::new(), 0);
    // Who writes says why it has gone.
    let hand_on = |batch: &mut Batch| batches.blocking_send(std::mem::take(batch)).map_err(|_| Stopped);
    for (name, collection) in &catalog.collections {
        let damaged = |problem: String| CopyError::Damaged { place: name.clone(), problem };
        for entry in live.entries(&Interval::prefix(key::documents(collection.number)), Direction::Asc)? {
            let (_, text) = entry?;
            let size = text.len();
            let document = raw(text, name).map_err(|error| damaged(error.to_string()))?;
            let (id, document) = parse(&DocumentRecord { collection: name.clone(), document }).map_err(damaged)?;
            batch.push((name.clone(), id, document));
            (documents, bytes, batch_bytes) = (documents + 1, bytes + size as u64, batch_bytes + size);
            meter.add(1)?;
            if batch.len() >= BATCH_RECORDS || batch_bytes >= BATCH_BYTES {
                hand_on(&mut batch)?;
                batch_bytes = 0;
            }
        }
    }
    hand_on(&mut batch)?;
    Ok((documents, bytes))
}

async fn commit(target: &Store, batch: Batch) -> Result<(), CopyError> {
    let mut transaction = target.begin()?;
    for (collection, id, document) in batch {
        transaction
            .put(&collection, &id, document)
            .map_err(|error| CopyError::Document { collection: collection.clone(), error: error.into() })?;
    }
    target.commit(transaction).await?;
    Ok(())
}

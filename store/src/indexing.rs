//! Carries out changes of the catalog: builds new indexes while documents are being written, drops old ones.
//!
//! An index is announced in the catalog first. From then on every commit writes its entries, so what is left are the
//! documents that were there before; they are read in batches, and a batch that overlaps a later write is done again.
//! Entries follow from the document alone, so a build that was cut off by a crash is simply done again.
//!
//! One set of declarations is carried out at a time (`applying`), which may take hours. Each change of the catalog follows from the catalog
//! as it is at that moment (`changing`): types that documents are held to come and go while indexes are built.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};
use weir_schema::codec::key::{self, Key};
use weir_schema::id::DocumentId;

use crate::catalog::{Catalog, Collection, Entry, Index, IndexState, ReferenceState};
use crate::declare::{self, AllWanted};
use crate::error::{CatalogError, CommitError, Poisoned};
use crate::group::{Verdict, to_json};
use crate::held;
use crate::notice::Committed;
use crate::prepared::{Claim, Prepared};
use crate::read_set::{Interval, ReadSet};
use crate::references;
use crate::scan::Direction;
use crate::snapshot::State;
use crate::store::Core;
use crate::turns::Footprint;

/// How long a step of a change of the catalog may keep others waiting.
const TURN_MAX: Duration = Duration::from_secs(10);

/// Makes the catalog equal to what is declared by releases of these names, where they have names.
pub(crate) async fn apply(core: Arc<Core>, all: AllWanted, releases: Vec<String>) -> Result<(), CatalogError> {
    let _turn = core.applying.lock().await;
    if declare::is_done(&core.catalog(), &all, &releases) {
        return Ok(());
    }
    let before = core.catalog();
    change_catalog(&core, |catalog| {
        Some(declare::started(catalog, &all)).filter(|started| started.collections != catalog.collections)
    })
    .await?;
    if let Err(error) = build_all(&core).await {
        if !matches!(error, CatalogError::Unavailable(_)) {
            change_catalog(&core, |catalog| Some(declare::given_up(catalog, &before))).await?;
            sweep(&core).await?;
        }
        return Err(error);
    }
    change_catalog(&core, |catalog| Some(declare::switched(catalog, &all, &releases))).await?;
    Ok(sweep(&core).await?)
}

/// Commits what the catalog becomes, if it does not stay as it is.
pub(crate) async fn change_catalog(
    core: &Core,
    change: impl FnOnce(&Catalog) -> Option<Catalog>,
) -> Result<(), Poisoned> {
    let _turn = core.changing.lock().await;
    match change(&core.catalog()) {
        Some(next) => commit_catalog(core, next).await,
        None => Ok(()),
    }
}

/// Commits a catalog when its turn has come: everybody reads it, so beside others it might never get through.
async fn commit_catalog(core: &Core, next: Catalog) -> Result<(), Poisoned> {
    let next = Arc::new(next);
    let text = Bytes::from(to_json(&*next));
    let touched = vec![key::CATALOG.to_vec()];
    loop {
        let footprint = Footprint { reads: ReadSet::default(), touched: touched.clone() };
        let prepared = Prepared {
            writes: vec![(key::CATALOG.to_vec(), Some(text.clone()))],
            touched: touched.clone(),
            next_catalog: Some(next.clone()),
            turn: Some(core.turns.reserve(footprint, TURN_MAX).await),
            ..Prepared::default()
        };
        if submit(core, prepared).await?.is_some() {
            return Ok(());
        }
    }
}

/// Commits what has read nothing and keeps no outcome. `None`: it conflicted and can be tried again.
async fn submit(core: &Core, prepared: Prepared) -> Result<Option<Committed>, Poisoned> {
    match core.submit(prepared).await {
        Verdict::Committed(committed) => Ok(Some(committed)),
        Verdict::Conflict(_)
        | Verdict::Failed(
            CommitError::Conflict | CommitError::Unique(_) | CommitError::TooLarge { .. } | CommitError::Held(_),
        ) => Ok(None),
        Verdict::Failed(CommitError::Unavailable(poisoned) | CommitError::OutcomeUnknown(poisoned)) => Err(poisoned),
    }
}

async fn build_all(core: &Core) -> Result<(), CatalogError> {
    let catalog = core.catalog();
    for (name, collection) in &catalog.collections {
        let building: Vec<&Index> =
            collection.indexes.iter().filter(|index| index.state == IndexState::Building).collect();
        let checking = collection.references.iter().any(|reference| reference.state == ReferenceState::Checking);
        if checking || !building.is_empty() {
            Build { core, catalog: &catalog, name, collection, building }.run().await?;
        }
    }
    Ok(())
}

/// The build of all new indexes of one collection.
struct Build<'a> {
    core: &'a Core,
    catalog: &'a Arc<Catalog>,
    name: &'a str,
    collection: &'a Collection,
    building: Vec<&'a Index>,
}

impl Build<'_> {
    async fn run(&self) -> Result<(), CatalogError> {
        let batch_max = self.core.options.index_batch_max;
        let mut rest = Interval::prefix(key::documents(self.collection.number));
        let mut size = batch_max;
        let mut conflicted: Option<Footprint> = None;
        let indexes: Vec<String> = self.building.iter().map(|index| index.describe()).collect();
        let indexes = if indexes.is_empty() { "references".to_owned() } else { indexes.join("; ") };
        // It reads for as long as there are documents.
        let total = tokio::task::block_in_place(|| held::count(self.core, self.collection.number))?;
        let under_way = self.core.building.begin(self.name, indexes, total);
        while let (prepared, Some((last, documents))) = self.next_batch(&rest, size, conflicted.take()).await? {
            // What was written since keeps to new references from the start, so what was found to keep to them does. What
            // is not durable yet may still come to nothing: it counts when the batch is admitted after it.
            if prepared.writes.is_empty() && prepared.turn.is_none() {
                rest.start = key::successor(&last);
                under_way.add(documents);
                continue;
            }
            match self.core.submit(prepared).await {
                Verdict::Committed(_) => {
                    under_way.add(documents);
                    rest.start = key::successor(&last);
                    size = batch_max;
                }
                // Smaller batches, in their turn, get through between the writes of others.
                Verdict::Conflict(footprint) => {
                    size = (size / 2).max(1);
                    conflicted = Some(footprint);
                }
                Verdict::Failed(CommitError::Unique(violation)) => return Err(CatalogError::Unique(violation)),
                // It keeps no outcome, so that it is never too large, and writes no documents.
                Verdict::Failed(CommitError::Conflict | CommitError::TooLarge { .. } | CommitError::Held(_)) => {}
                Verdict::Failed(CommitError::Unavailable(poisoned) | CommitError::OutcomeUnknown(poisoned)) => {
                    return Err(poisoned.into());
                }
            }
        }
        Ok(())
    }

    async fn next_batch(
        &self,
        rest: &Interval,
        size: usize,
        conflicted: Option<Footprint>,
    ) -> Result<(Prepared, Option<(Key, u64)>), CatalogError> {
        let Some(footprint) = conflicted else {
            let (live, head) = self.core.live()?;
            return self.batch(&State::of(live), head.sequence, rest, size);
        };
        let turn = self.core.turns.reserve(footprint, TURN_MAX).await;
        let transaction = self.core.begin_in_turn(turn)?;
        // A snapshot that is cut this early says that the machine stood still: then the next attempt finds another.
        let Ok(state) = transaction.base.state() else {
            let (live, head) = self.core.live()?;
            return self.batch(&State::of(live), head.sequence, rest, size);
        };
        let (mut prepared, last) = self.batch(&state, transaction.head.sequence, rest, size)?;
        drop(state);
        (prepared.epoch, prepared.turn) = (transaction.epoch, transaction.turn);
        Ok((prepared, last))
    }

    /// The entries of the next documents, and the key of the last of these with how many they are.
    fn batch(
        &self,
        state: &State<'_>,
        since: u64,
        rest: &Interval,
        size: usize,
    ) -> Result<(Prepared, Option<(Key, u64)>), CatalogError> {
        let mut prepared = Prepared { since, catalog: self.catalog.clone(), ..Prepared::default() };
        let prefix = key::documents(self.collection.number);
        let (mut last, mut documents) = (None, 0);
        for document in state.entries(rest, Direction::Asc)?.take(size) {
            let (key, text) = document?;
            let id = key::document_id(&prefix, &key)
                .ok_or_else(|| state.damaged(format_args!("document key {key:?} has no id")))?;
            let document: Map<String, Value> = serde_json::from_slice(&text)
                .map_err(|error| state.damaged(format_args!("document {id} is not JSON: {error}")))?;
            references::check_stored(self.catalog, (self.name, self.collection), &id, &document, |target| {
                prepared.read_set.add_point(target.clone());
                Ok(state.get(&target)?.is_some())
            })?;
            for index in &self.building {
                self.write_entries(index, &id, &document, &mut prepared)?;
            }
            prepared.read_set.add_point(key.clone());
            (last, documents) = (Some(key), documents + 1);
        }
        prepared.touched.sort_unstable();
        prepared.touched.dedup();
        Ok((prepared, last.map(|last| (last, documents))))
    }

    fn write_entries(
        &self,
        index: &Index,
        id: &DocumentId,
        document: &Map<String, Value>,
        prepared: &mut Prepared,
    ) -> Result<(), CatalogError> {
        let entries = index.entries(self.collection.number, id, document).map_err(|source| {
            let (collection, fields) = (self.name.to_owned(), index.field_names());
            CatalogError::NotIndexable { collection, fields, id: id.clone(), source }
        })?;
        // Who deletes a document has read its absence from here: the index is asked for referrers while it is built.
        let is_read = self.collection.references.iter().any(|reference| reference.index == index.number);
        for Entry { key, exclusive, .. } in entries {
            let mut value = Bytes::new();
            if exclusive {
                value = Bytes::copy_from_slice(id.as_str().as_bytes());
                prepared.claims.push(Claim { key: key.clone(), id: id.clone(), index: index.number });
            }
            if is_read {
                prepared.touched.push(key.clone());
            }
            prepared.writes.push((key, Some(value)));
        }
        Ok(())
    }
}

/// Removes the entries of dropped indexes, then the indexes from the catalog.
async fn sweep(core: &Core) -> Result<(), Poisoned> {
    let catalog = core.catalog();
    let mut swept = false;
    for collection in catalog.collections.values() {
        for index in collection.indexes.iter().filter(|index| index.state == IndexState::Dropping) {
            swept = true;
            let all = Interval::prefix(index.prefix(collection.number));
            loop {
                let keys = first_keys(core, &all)?;
                if keys.is_empty() {
                    break;
                }
                let writes = keys.into_iter().map(|key| (key, None)).collect();
                // One that conflicts finds the same keys again.
                submit(core, Prepared { writes, ..Prepared::default() }).await?;
            }
        }
    }
    if swept { change_catalog(core, |catalog| Some(declare::swept(catalog))).await } else { Ok(()) }
}

fn first_keys(core: &Core, interval: &Interval) -> Result<Vec<Key>, Poisoned> {
    let (live, _) = core.live()?;
    let entries = live.entries(interval, Direction::Asc)?.take(core.options.index_batch_max);
    entries.map(|entry| entry.map(|(key, _)| key)).collect()
}

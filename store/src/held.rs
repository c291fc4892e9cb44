//! Types that all documents of a collection are to have: what a release that takes over needs of the documents of those before it.
//! Writers of these are held to them. Whoever writes for no release is held to all.
//!
//! A release goes by its name, and where there are several of one name by that with `#` and what tells it from the others behind it.
//!
//! What a transaction has written is looked at when it is to be committed: on its way there a document may be anything.
//!
//! A type is put into the catalog first. The catalog is in the read set of all who write, so whatever is committed from then on was
//! written under it, and what is left are the documents that were there before. Rule: once these have been looked through and
//! keep to it, every document has the type until it is given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use weir_schema::codec::key::{self, CollectionNumber, Key};
use weir_schema::id::DocumentId;
use weir_schema::narrowing::Narrowing;
use weir_schema::validate::Violation;

use crate::building::UnderWay;
use crate::catalog::{Catalog, Held};
use crate::error::{CommitError, Poisoned, TypeViolation};
use crate::indexing;
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::snapshot::State;
use crate::store::{Core, Store};
use crate::transaction::Transaction;

/// Different mistakes that are told of one collection. Documents with others are counted.
const UNFIT_MAX: usize = 8;
/// Documents that are named of each.
const IDS_MAX: usize = 3;

/// A type, and the releases whose writers are held to it.
pub type HeldTo = (Narrowing, BTreeSet<String>);

/// The name of a release, without what tells it from others of that name.
pub(crate) fn name_of(release: &str) -> &str {
    release.split_once('#').map_or(release, |(name, _)| name)
}

/// Documents of a collection that do not have a type, all for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The collection.
    pub collection: String,
    /// What is wrong with them; `None` for those whose reasons were too many.
    pub violation: Option<Violation>,
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub ids: Vec<DocumentId>,
}

impl Store {
    /// Looks through the documents that are there for those that do not keep to types. Documents can be written all the while.
    pub async fn find_unfit(&self, release: &str, narrowings: &[Narrowing]) -> Result<Vec<Unfit>, Poisoned> {
        let mut unfit = Vec::new();
        for narrowing in narrowings {
            let (release, narrowing) = (release.to_owned(), narrowing.clone());
            unfit.extend(self.blocking(move |core| look_through(core, &release, &narrowing)).await??);
        }
        Ok(unfit)
    }

    /// How many documents a collection has, those of one that is not declared any more included.
    pub async fn count_documents(&self, collection: &str) -> Result<u64, Poisoned> {
        let collection = collection.to_owned();
        self.blocking(move |core| {
            let number = core.catalog().collections.get(&collection).map(|collection| collection.number);
            number.map_or(Ok(0), |number| count(core, number))
        })
        .await?
    }

    /// Holds writers of releases to types, for the sake of another one, and to no others that they were held to for it before: until
    /// it is given up with [`Self::let_go`], or [`Self::apply_releases`] is told of releases among which it is not, or of it alone.
    ///
    /// What is under way and has not been committed is run again under it. Whether documents are there that do not keep to it is
    /// another matter: see [`Self::find_unfit`].
    pub async fn hold(&self, release: &str, held: Vec<HeldTo>) -> Result<(), Poisoned> {
        let release = release.to_owned();
        self.change_catalog(move |catalog| {
            let mut held: BTreeMap<String, HeldTo> =
                held.into_iter().map(|held| (held.0.to.collection.clone(), held)).collect();
            for (name, collection) in &mut catalog.collections {
                let next = held.remove(name);
                let next = next.map(|(narrowing, writers)| Held { release: release.clone(), narrowing, writers });
                // What stays as it is stays where it is, so that nothing has changed.
                match (collection.held.iter().position(|held| held.release == release), next) {
                    (Some(place), Some(next)) => {
                        collection.held.get_mut(place).into_iter().for_each(|held| *held = next.clone());
                    }
                    (Some(place), None) => drop(collection.held.remove(place)),
                    (None, next) => collection.held.extend(next),
                }
            }
        })
        .await
    }

    /// Holds nobody to the types of a release any more.
    pub async fn let_go(&self, release: &str) -> Result<(), Poisoned> {
        let release = release.to_owned();
        self.change_catalog(move |catalog| {
            for collection in catalog.collections.values_mut() {
                collection.held.retain(|held| held.release != release);
            }
        })
        .await
    }

    /// Has all transactions begin anew that have used a collection and are not committed yet: what they go by outside of the store
    /// has changed.
    pub async fn fence(&self) -> Result<(), Poisoned> {
        self.change_catalog(|catalog| catalog.version += 1).await
    }

    async fn change_catalog(&self, change: impl FnOnce(&mut Catalog) + Send + 'static) -> Result<(), Poisoned> {
        let core = self.core().clone();
        core.is_ready()?;
        let changing = async move {
            indexing::change_catalog(&core, |catalog| {
                let mut next = catalog.clone();
                change(&mut next);
                let is_changed = next != *catalog;
                next.version = catalog.version + 1;
                is_changed.then_some(next)
            })
            .await
        };
        // A task of its own: a caller that goes away does not leave it half done.
        let changed = self.spawn(changing).await;
        changed.unwrap_or_else(|| Err(self.core().health.reason()))
    }
}

impl Transaction {
    /// Says of which release it is what it writes: it is held to what the release is held to.
    pub fn write_for(&mut self, release: Arc<str>) {
        self.writer = Some(release);
    }

    /// Whether what it has written keeps to the types that all have to keep to.
    pub(crate) fn check_held(&self) -> Result<(), CommitError> {
        let is_held = |held: &&Held| self.writer.as_ref().is_none_or(|writer| held.writers.contains(&**writer));
        for (name, collection) in &self.catalog.collections {
            let held: Vec<&Held> = collection.held.iter().filter(is_held).collect();
            if held.is_empty() {
                continue;
            }
            let all = Interval::prefix(key::documents(collection.number));
            for (key, text) in self.overlay.documents(&all) {
                let (Some(text), Some(id)) = (text, key::document_id(&all.start, key)) else { continue };
                // It was made of an object, so that it is one.
                let mut document: Map<String, Value> = serde_json::from_slice(text).unwrap_or_default();
                document.shift_remove("id");
                check(name, &held, &id, &document)?;
            }
        }
        Ok(())
    }
}

fn check(name: &str, held: &[&Held], id: &DocumentId, document: &Map<String, Value>) -> Result<(), CommitError> {
    for Held { release, narrowing, .. } in held {
        narrowing.check(document.clone()).map_err(|violation| {
            let (collection, id, release) = (name.to_owned(), id.clone(), release.clone());
            CommitError::Held(Box::new(TypeViolation { collection, id, release, violation }))
        })?;
    }
    Ok(())
}

/// Goes through the documents of a collection in batches, each of the newest state, so that no state is kept for long.
fn look_through(core: &Core, release: &str, narrowing: &Narrowing) -> Result<Vec<Unfit>, Poisoned> {
    let name = &narrowing.to.collection;
    let catalog = core.catalog();
    let Some(collection) = catalog.collections.get(name) else { return Ok(Vec::new()) };
    let total = count(core, collection.number)?;
    let under_way = core.building.begin(name, format!("the type of release {release}"), total);
    let mut found = Found::default();
    each_document(core, collection.number, &under_way, |id, document| {
        if let Err(violation) = narrowing.check(document) {
            found.add(violation, id);
        }
    })?;
    Ok(found.into_unfit(name))
}

/// How many documents a collection has.
pub(crate) fn count(core: &Core, collection: CollectionNumber) -> Result<u64, Poisoned> {
    let mut rest = Interval::prefix(key::documents(collection));
    let mut count = 0;
    while let Some((last, batch)) = next(core, &rest, |_, _, _| Ok(()))? {
        rest.start = key::successor(&last);
        count += batch;
    }
    Ok(count)
}

fn each_document(
    core: &Core,
    collection: CollectionNumber,
    under_way: &UnderWay<'_>,
    mut each: impl FnMut(DocumentId, Map<String, Value>),
) -> Result<(), Poisoned> {
    let prefix = key::documents(collection);
    let mut rest = Interval::prefix(prefix.clone());
    let mut read = |state: &State<'_>, key: &Key, text: &Bytes| {
        let id = key::document_id(&prefix, key)
            .ok_or_else(|| state.damaged(format_args!("document key {key:?} has no id")))?;
        let mut document: Map<String, Value> = serde_json::from_slice(text)
            .map_err(|error| state.damaged(format_args!("document {id} is not JSON: {error}")))?;
        document.shift_remove("id");
        each(id, document);
        Ok(())
    };
    while let Some((last, batch)) = next(core, &rest, &mut read)? {
        rest.start = key::successor(&last);
        under_way.add(batch);
    }
    Ok(())
}

/// Reads the next documents; the key of the last and how many they were, `None` if there are none.
fn next(
    core: &Core,
    rest: &Interval,
    mut each: impl FnMut(&State<'_>, &Key, &Bytes) -> Result<(), Poisoned>,
) -> Result<Option<(Key, u64)>, Poisoned> {
    let (live, _) = core.live()?;
    let state = State::of(live);
    let (mut last, mut count) = (None, 0);
    for entry in state.entries(rest, Direction::Asc)?.take(core.options.index_batch_max) {
        let (key, text) = entry?;
        each(&state, &key, &text)?;
        (last, count) = (Some(key), count + 1);
    }
    Ok(last.map(|last| (last, count)))
}

/// Documents that do not fit, by what is wrong with them.
#[derive(Default)]
struct Found {
    by_violation: BTreeMap<(String, String), (u64, Vec<DocumentId>)>,
    others: (u64, Vec<DocumentId>),
}

impl Found {
    fn add(&mut self, violation: Violation, id: DocumentId) {
        let reason = (violation.path, violation.message);
        let is_full = self.by_violation.len() >= UNFIT_MAX && !self.by_violation.contains_key(&reason);
        let (count, ids) = if is_full { &mut self.others } else { self.by_violation.entry(reason).or_default() };
        *count += 1;
        if ids.len() < IDS_MAX {
            ids.push(id);
        }
    }

    fn into_unfit(self, collection: &str) -> Vec<Unfit> {
        let unfit = |violation, (count, ids)| Unfit { collection: collection.to_owned(), violation, count, ids };
        let named = self.by_violation.into_iter();
        let named = named.map(|((path, message), found)| unfit(Some(Violation { path, message }), found));
        let others = (self.others.0 > 0).then(|| unfit(None, self.others));
        named.chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Options, Store};

    #[tokio::test]
    async fn who_is_held_to_types_is_changed_while_indexes_are_built() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let store =
            Store::open(&folder.path().join("data"), Options::default()).unwrap_or_else(|error| panic!("{error}"));
        let _building = store.core().applying.lock().await;
        store.hold("2.0.0", Vec::new()).await.unwrap_or_else(|error| panic!("{error}"));
        store.fence().await.unwrap_or_else(|error| panic!("{error}"));
        store.let_go("2.0.0").await.unwrap_or_else(|error| panic!("{error}"));
    }
}

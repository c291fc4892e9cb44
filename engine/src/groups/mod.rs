//! Views of groups and sorted views, kept so that a change of one document costs that document, and never a reading of all.
//!
//! Each document of the source contributes any number of times: a key, and one value for each aggregate, or what an entry of a
//! sorted view consists of. The rows are at all times what the contributions that are there now give, whatever was there before:
//! nothing is approximate, nothing drifts.
//!
//! | module | what it does |
//! |---|---|
//! | `scalar` | keys and values, in the order that JavaScript gives them |
//! | `exact` | sums without rounding errors |
//! | `ordered` | values from the least to the greatest, with removal |
//! | `state` | one group: the state of each of its aggregates |
//! | `index` | entries in the order of their keys, and pages of them |
//! | `question` | what a sorted view is asked: arguments as a range of its entries |
//! | `cursor` | places in a sorted view as text |
//! | `elements` | what is in rows of documents that only the store has |
//! | `kept` | what is kept of a view of either kind, and what it answers with |
//! | `recent` | what is kept, as of the last commits |
//! | `view` | a view as it is at some commit, for those who ask for its rows |
//! | `keep` | reads documents, asks the guest what they contribute, and keeps views up with the commits |

mod cursor;
mod elements;
mod exact;
mod index;
pub(crate) mod keep;
mod kept;
mod ordered;
pub(crate) mod question;
mod recent;
mod scalar;
mod state;
pub(crate) mod view;

use std::collections::{BTreeMap, HashMap};
use std::iter;

use serde_json::Value;
use weir_schema::id::DocumentId;

pub(crate) use scalar::Scalar;
use state::{Group, PlaceOf};

/// What an allocation takes besides what was asked for, in bytes: its header, and rounding up.
const ALLOCATION_BYTES: usize = 16;

/// What is computed of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    /// How many contributions there are. Their values do not matter.
    Count,
    /// The exact sum, rounded once, half to even. Null while a value is not a number, or if the sum is too great for a double.
    Sum,
    /// The sum, as above, divided by the count.
    Avg,
    /// The least value that is not null; null if there is none.
    Min,
    /// The greatest value that is not null; null if there is none.
    Max,
    /// The `n` contributions with the greatest values, those of equal value in the order of [`Place`]. Null is left out.
    Top { n: usize },
}

impl Aggregate {
    /// Whether it depends on values, rather than on how many there are.
    fn takes_values(self) -> bool {
        self != Self::Count
    }
}

/// What a document adds to a group, or an entry of it.
#[derive(Debug, Clone)]
pub(crate) struct Contribution {
    /// Which group; absent is null. Of an entry the first part of its key.
    pub(crate) key: Scalar,
    /// One for each aggregate, in their order, and then where the element is in its document: its index in each list on the
    /// way. Of an entry the other parts of its key, where its element is, and the JSON text of its value if it has one. What is
    /// missing is null.
    pub(crate) values: Vec<Scalar>,
}

/// All that a document contributes, as it is kept: as many scalars for each contribution, one after the other.
pub(crate) type Packed = Box<[Scalar]>;

/// Which contribution: the document and the place among all that the document contributes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) document: DocumentId,
    pub(crate) contribution: usize,
}

/// Where an element is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) document: DocumentId,
    /// The index in each list on the way from the document to it.
    pub(crate) at: Vec<usize>,
}

/// One group as it is now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) key: Value,
    /// One for each aggregate, in their order.
    pub(crate) cells: Vec<Cell>,
}

/// What an aggregate gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Value(Value),
    /// These have yet to be read.
    Top(Vec<Located>),
}

/// All that documents contribute, and the groups that it makes.
pub(crate) struct Groups {
    aggregates: Box<[Aggregate]>,
    /// How many lists there are on the way to an element, if elements are given.
    lists: usize,
    /// For each document that contributes: for each contribution the key, the values that are needed and the indexes in lists.
    documents: HashMap<DocumentId, Packed>,
    /// None without a contribution.
    groups: BTreeMap<Scalar, Group>,
    /// What documents and groups take, in bytes, except for the table of documents.
    bytes: usize,
}

impl Groups {
    /// No documents yet.
    pub(crate) fn new(aggregates: Vec<Aggregate>, lists: usize) -> Self {
        let aggregates = aggregates.into_boxed_slice();
        Self { aggregates, lists, documents: HashMap::new(), groups: BTreeMap::new(), bytes: 0 }
    }

    /// Replaces what a document contributes; nothing if it is gone or filtered out. Gives what it contributed before.
    ///
    /// Takes time in the logarithm of the number of groups, and of values in the group, for each contribution that changed.
    pub(crate) fn put(&mut self, document: &DocumentId, after: Packed) -> Packed {
        if self.documents.get(document).map_or(after.is_empty(), |before| *before == after) {
            return after;
        }
        let held = self.documents.remove_entry(document);
        let (id, before) = held.unwrap_or_else(|| (document.clone(), Box::default()));
        let stride = self.stride();
        let removed: Vec<_> = differing(&before, &after, stride).collect();
        for (contribution, key, values) in &removed {
            if let Some(group) = self.groups.get_mut(key) {
                let place = PlaceOf { document: &id, contribution: *contribution };
                self.bytes = self.bytes.saturating_sub(group.remove(place, values));
            }
        }
        for (contribution, key, values) in differing(&after, &before, stride) {
            let place = PlaceOf { document: &id, contribution };
            let group = self.groups.entry(key.clone()).or_insert_with(|| {
                let group = Group::new(&self.aggregates);
                self.bytes += group.bytes() + key.heap_bytes();
                group
            });
            self.bytes += group.add(place, values);
        }
        // Only now: a group whose only contribution changes stays where it is.
        for (_, key, _) in removed {
            if self.groups.get(key).is_some_and(Group::is_empty)
                && let Some((key, group)) = self.groups.remove_entry(key)
            {
                self.bytes = self.bytes.saturating_sub(group.bytes() + key.heap_bytes());
            }
        }
        if !before.is_empty() {
            self.bytes = self.bytes.saturating_sub(document_bytes(&id, &before, stride));
        }
        if !after.is_empty() {
            self.bytes += document_bytes(&id, &after, stride);
            self.documents.insert(id, after);
        }
        before
    }

    /// How many documents contribute.
    pub(crate) fn documents(&self) -> usize {
        self.documents.len()
    }

    /// How many rows there are.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The rows in the order of their keys.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> {
        let locate = |place: &Place| self.locate(place);
        self.groups.iter().map(move |(key, group)| Row { key: key.to_value(), cells: group.cells(locate) })
    }

    fn locate(&self, Place { document, contribution }: &Place) -> Located {
        let scalars = self.documents.get(document).map_or(&[][..], |scalars| scalars);
        let scalars = scalars.chunks_exact(self.stride()).nth(*contribution).unwrap_or_default();
        let at = scalars.iter().skip(self.stride() - self.lists).map(index_of).collect();
        Located { document: document.clone(), at }
    }

    /// About how much memory all of it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        // The table is at most 7/8 full, and has a byte for each place besides.
        let place = size_of::<(DocumentId, Packed)>() + 1;
        size_of::<Self>() + self.documents.capacity() / 7 * 8 * place + self.bytes
    }

    /// How many scalars are kept of a contribution.
    fn stride(&self) -> usize {
        1 + self.aggregates.iter().filter(|aggregate| aggregate.takes_values()).count() + self.lists
    }

    /// The documents that contribute.
    pub(crate) fn known(&self) -> impl Iterator<Item = &DocumentId> {
        self.documents.keys()
    }

    /// What a document contributes, as [`Self::pack`] takes it. What no aggregate has asked for is null.
    pub(crate) fn unpacked(&self, document: &DocumentId) -> Vec<Contribution> {
        let scalars = self.documents.get(document).map_or(&[][..], |scalars| scalars);
        let contribution = |scalars: &[Scalar]| {
            let (key, values) = scalars.split_first()?;
            let mut values = values.iter().cloned();
            let mut value = |is_kept: bool| if is_kept { values.next() } else { None };
            let mut all: Vec<Scalar> =
                self.aggregates.iter().map(|it| value(it.takes_values()).unwrap_or(Scalar::Null)).collect();
            all.extend(values);
            Some(Contribution { key: key.clone(), values: all })
        };
        scalars.chunks_exact(self.stride()).filter_map(contribution).collect()
    }

    /// What is kept of contributions. The text of keys is shared with their groups.
    pub(crate) fn pack(&self, contributions: Vec<Contribution>) -> Packed {
        let mut scalars = Vec::with_capacity(contributions.len() * self.stride());
        for Contribution { key, values } in contributions {
            let shared = self.groups.get_key_value(&key).map(|(shared, _)| shared.clone());
            scalars.push(shared.unwrap_or(key));
            let mut values = values.into_iter().chain(iter::repeat(Scalar::Null));
            let taken = self.aggregates.iter().zip(&mut values).filter(|(aggregate, _)| aggregate.takes_values());
            scalars.extend(taken.map(|(_, value)| value));
            scalars.extend(values.take(self.lists));
        }
        scalars.into_boxed_slice()
    }
}

/// The contributions of a document that are not the same in `others`: their places, keys and values.
fn differing<'a>(
    all: &'a [Scalar],
    others: &'a [Scalar],
    stride: usize,
) -> impl Iterator<Item = (usize, &'a Scalar, &'a [Scalar])> {
    let differing = all.chunks_exact(stride).enumerate().filter(move |(contribution, scalars)| {
        let other = others.chunks_exact(stride).nth(*contribution);
        other != Some(*scalars)
    });
    differing.filter_map(|(contribution, scalars)| {
        let (key, values) = scalars.split_first()?;
        Some((contribution, key, values))
    })
}

/// An index in a list, as a script says it.
fn index_of(scalar: &Scalar) -> usize {
    match scalar {
        Scalar::Number(number) => *number as usize,
        Scalar::Null | Scalar::Bool(_) | Scalar::Text(_) => 0,
    }
}

/// What a document takes besides its place in the table, in bytes.
fn document_bytes(id: &DocumentId, scalars: &[Scalar], stride: usize) -> usize {
    // Groups count the text of keys.
    let values = scalars.chunks_exact(stride).filter_map(|scalars| scalars.split_first());
    let text: usize = values.flat_map(|(_, values)| values).map(Scalar::heap_bytes).sum();
    id.as_str().len() + size_of_val(scalars) + 2 * ALLOCATION_BYTES + text
}

#[cfg(test)]
mod tests;

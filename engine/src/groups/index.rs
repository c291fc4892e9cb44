//! Entries of documents in the order of their keys.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, btree_set};
use std::ops::Bound;
use std::sync::Arc;
use std::{iter, slice};

use weir_schema::id::DocumentId;
use weir_store::End;

use super::scalar::{Scalar, cmp_utf16};
use super::{ALLOCATION_BYTES, Contribution, Located, Packed, Place, differing, index_of};

/// A part of a key, or a bound that lies behind some parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Is(Scalar),
    /// Behind all texts that begin with this one.
    BehindTexts(Arc<str>),
    /// Behind all that there is.
    BehindAll,
}

/// A key: most have one part.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    One(Part),
    Several(Arc<[Part]>),
}

/// Where an entry is among those of its key, or before or behind all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    Before,
    At(Place),
    Behind,
}

/// The place of an entry in the order, or a bound. Only [`Spot::At`] is the place of an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) key: Key,
    pub(crate) spot: Spot,
}

/// The entries between two bounds, neither of which is among them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Range {
    pub(crate) lower: Option<Position>,
    pub(crate) upper: Option<Position>,
}

/// Which of the entries of a range are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// Only those behind this one, in the order in which they are given.
    pub(crate) after: Option<Position>,
    /// Only those ahead of this one.
    pub(crate) before: Option<Position>,
    /// Whether they are given from the end of the range.
    pub(crate) descending: bool,
    /// From which end of what is left.
    pub(crate) from: End,
    /// How many at most.
    pub(crate) size: usize,
}

/// Entries that were asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Page {
    /// In the order asked for.
    pub(crate) entries: Vec<Entry>,
    /// Whether there are more beyond the size.
    pub(crate) more: bool,
    /// Whether there are others on the other side of the position from which these were taken.
    pub(crate) others: bool,
}

/// What an entry has beside its key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) place: Place,
    /// Where its element is.
    pub(crate) located: Located,
    /// The JSON text of its value, where entries have values of their own.
    pub(crate) value: Option<Arc<str>>,
}

/// What of each document there are entries of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// How many parts keys have; at least one.
    pub(crate) parts: usize,
    /// How many lists there are on the way from documents to elements.
    pub(crate) lists: usize,
    /// Whether entries have values of their own.
    pub(crate) has_values: bool,
}

/// All entries.
pub(crate) struct Index {
    form: Form,
    /// For each document with entries: for each of them the parts of the key, the indexes in lists and the value.
    documents: HashMap<DocumentId, Packed>,
    entries: BTreeSet<Position>,
    /// What documents and entries take besides their places in the table and in the tree, in bytes.
    bytes: usize,
}

impl Index {
    /// No documents yet.
    pub(crate) fn new(form: Form) -> Self {
        Self { form, documents: HashMap::new(), entries: BTreeSet::new(), bytes: 0 }
    }

    /// Replaces the entries of a document; none if it is gone or filtered out. Gives those that it had.
    ///
    /// Takes time in the logarithm of the number of entries, for each that changed.
    pub(crate) fn put(&mut self, document: &DocumentId, after: Packed) -> Packed {
        let stride = self.stride();
        let before = self.documents.remove(document).unwrap_or_default();
        for (contribution, first, rest) in differing(&before, &after, stride) {
            let position = self.position(document, contribution, first, rest);
            if self.entries.remove(&position) {
                self.bytes = self.bytes.saturating_sub(position.heap_bytes());
            }
        }
        for (contribution, first, rest) in differing(&after, &before, stride) {
            let position = self.position(document, contribution, first, rest);
            let bytes = position.heap_bytes();
            if self.entries.insert(position) {
                self.bytes += bytes;
            }
        }
        self.bytes = self.bytes.saturating_sub(document_bytes(document, &before));
        self.bytes += document_bytes(document, &after);
        if !after.is_empty() {
            self.documents.insert(document.clone(), after);
        }
        before
    }

    /// Entries of a range.
    ///
    /// Takes time in the logarithm of the number of entries, and in how many it gives.
    pub(crate) fn page(&self, range: &Range, window: &Window) -> Page {
        let Window { after, before, descending, from, size } = window;
        let (low, high) = if *descending { (before, after) } else { (after, before) };
        let mut rest = range.clone();
        low.iter().for_each(|position| rest.from(position.clone()));
        high.iter().for_each(|position| rest.until(position.clone()));
        let mut within = self.within(&rest);
        let backwards = *descending == (*from == End::First);
        let mut next = || if backwards { within.next_back() } else { within.next() };
        let mut entries: Vec<Entry> =
            iter::from_fn(&mut next).take(*size).filter_map(|position| self.entry(position)).collect();
        let more = next().is_some();
        let start = match from {
            End::First => after,
            End::Last => {
                entries.reverse();
                before
            }
        };
        let others = start.as_ref().is_some_and(|start| {
            // What is at the position counts: it is cut off too.
            if range.contains(start) && self.entries.contains(start) {
                return true;
            }
            let mut others = range.clone();
            if backwards {
                others.from(start.clone())
            } else {
                others.until(start.clone())
            }
            self.within(&others).next().is_some()
        });
        Page { entries, more, others }
    }

    /// The places of entries in a range.
    fn within(&self, Range { lower, upper }: &Range) -> btree_set::Range<'_, Position> {
        let bound = |position: &'_ Option<Position>| position.clone().map_or(Bound::Unbounded, Bound::Excluded);
        // A tree takes no bounds in the wrong order.
        let upper = match (lower, upper) {
            (Some(lower), Some(upper)) if lower >= upper => return btree_set::Range::default(),
            (_, upper) => upper,
        };
        self.entries.range((bound(lower), bound(upper)))
    }

    /// How many documents have entries.
    pub(crate) fn documents(&self) -> usize {
        self.documents.len()
    }

    /// How many entries there are.
    pub(crate) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// About how much memory all of it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        // The table is at most 7/8 full, and has a byte for each place besides; trees that grow at one end are half full.
        let place = size_of::<(DocumentId, Packed)>() + 1;
        let table = self.documents.capacity() / 7 * 8 * place;
        size_of::<Self>() + table + self.entries.len() * size_of::<Position>() * 2 + self.bytes
    }

    /// How many scalars are kept of an entry.
    fn stride(&self) -> usize {
        self.form.parts + self.form.lists + usize::from(self.form.has_values)
    }

    /// The documents that have entries.
    pub(crate) fn known(&self) -> impl Iterator<Item = &DocumentId> {
        self.documents.keys()
    }

    /// The entries of a document, as [`Self::pack`] takes them.
    pub(crate) fn unpacked(&self, document: &DocumentId) -> Vec<Contribution> {
        let scalars = self.documents.get(document).map_or(&[][..], |scalars| scalars);
        let contributions = scalars.chunks_exact(self.stride()).filter_map(|scalars| {
            let (key, values) = scalars.split_first()?;
            Some(Contribution { key: key.clone(), values: values.to_vec() })
        });
        contributions.collect()
    }

    /// What is kept of contributions.
    pub(crate) fn pack(&self, contributions: Vec<Contribution>) -> Packed {
        let mut scalars = Vec::with_capacity(contributions.len() * self.stride());
        for Contribution { key, values } in contributions {
            let rest = values.into_iter().chain(iter::repeat(Scalar::Null));
            scalars.extend(iter::once(key).chain(rest).take(self.stride()));
        }
        scalars.into_boxed_slice()
    }

    fn position(&self, document: &DocumentId, contribution: usize, first: &Scalar, rest: &[Scalar]) -> Position {
        let parts = iter::once(first).chain(rest.iter().take(self.form.parts - 1));
        let key = Key::of(parts.cloned().map(Part::Is).collect());
        Position { key, spot: Spot::At(Place { document: document.clone(), contribution }) }
    }

    fn entry(&self, Position { key, spot }: &Position) -> Option<Entry> {
        let Spot::At(place) = spot else { return None };
        let scalars = self.documents.get(&place.document)?.chunks_exact(self.stride()).nth(place.contribution)?;
        let (at, value) = scalars.get(self.form.parts..)?.split_at_checked(self.form.lists)?;
        let located = Located { document: place.document.clone(), at: at.iter().map(index_of).collect() };
        let value = value.first().and_then(|value| match value {
            Scalar::Text(text) => Some(text.clone()),
            Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => None,
        });
        Some(Entry { key: key.clone(), place: place.clone(), located, value })
    }
}

impl Range {
    fn contains(&self, position: &Position) -> bool {
        self.lower.as_ref().is_none_or(|lower| lower < position)
            && self.upper.as_ref().is_none_or(|upper| position < upper)
    }

    /// Without what is not behind a position.
    pub(crate) fn from(&mut self, lower: Position) {
        let before = self.lower.take();
        self.lower = before.into_iter().chain([lower]).max();
    }

    /// Without what is not before a position.
    pub(crate) fn until(&mut self, upper: Position) {
        let before = self.upper.take();
        self.upper = before.into_iter().chain([upper]).min();
    }
}

impl Position {
    /// Before or behind all entries of a key.
    pub(crate) fn beside(key: &[Scalar], spot: Spot) -> Self {
        Self { key: Key::of(key.iter().cloned().map(Part::Is).collect()), spot }
    }

    /// What it takes besides its own size, in bytes. The text of keys is the document's.
    fn heap_bytes(&self) -> usize {
        let parts = match &self.key {
            Key::One(_) => 0,
            Key::Several(parts) => size_of_val(&**parts) + 2 * size_of::<usize>() + ALLOCATION_BYTES,
        };
        match &self.spot {
            Spot::At(place) => parts + place.document.as_str().len() + ALLOCATION_BYTES,
            Spot::Before | Spot::Behind => parts,
        }
    }
}

impl Key {
    /// A key of these parts.
    pub(crate) fn of(mut parts: Vec<Part>) -> Self {
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => Self::One(only),
            (last, _) => Self::Several(parts.into_iter().chain(last).collect()),
        }
    }

    /// Its parts, the most significant first.
    pub(crate) fn parts(&self) -> &[Part] {
        match self {
            Self::One(part) => slice::from_ref(part),
            Self::Several(parts) => parts,
        }
    }

    /// The same as values. Bounds have none.
    pub(crate) fn scalars(&self) -> impl Iterator<Item = &Scalar> {
        self.parts().iter().filter_map(|part| match part {
            Part::Is(scalar) => Some(scalar),
            Part::BehindTexts(_) | Part::BehindAll => None,
        })
    }
}

impl Ord for Key {
    /// By the first parts that differ. A key that has no more parts comes before those that go on.
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(other.parts())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Is(a), Self::Is(b)) => a.cmp(b),
            (Self::BehindAll, Self::BehindAll) => Ordering::Equal,
            (Self::BehindAll, _) => Ordering::Greater,
            (Self::BehindTexts(a), Self::BehindTexts(b)) if a == b => Ordering::Equal,
            (Self::BehindTexts(a), Self::BehindTexts(b) | Self::Is(Scalar::Text(b))) if b.starts_with(&**a) => {
                Ordering::Greater
            }
            (Self::BehindTexts(a), Self::BehindTexts(b)) if a.starts_with(&**b) => Ordering::Less,
            (Self::BehindTexts(a), Self::BehindTexts(b) | Self::Is(Scalar::Text(b))) => cmp_utf16(a, b),
            // Texts come last.
            (Self::BehindTexts(_), Self::Is(_)) => Ordering::Greater,
            (a, b) => b.cmp(a).reverse(),
        }
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a document takes besides its place in the table, in bytes.
fn document_bytes(id: &DocumentId, scalars: &[Scalar]) -> usize {
    if scalars.is_empty() {
        return 0;
    }
    let text: usize = scalars.iter().map(Scalar::heap_bytes).sum();
    id.as_str().len() + size_of_val(scalars) + 2 * ALLOCATION_BYTES + text
}

#[cfg(test)]
mod tests;

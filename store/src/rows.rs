//! Walks what a plan names, over a state and the overlay, as far as the limit and no further.

use bytes::Bytes;
use weir_schema::codec::key::{self, CollectionNumber, Key};
use weir_schema::id::DocumentId;

use crate::error::Poisoned;
use crate::merge::Merge;
use crate::overlay::{EntryChange, Overlay};
use crate::planner::{Plan, Source};
use crate::position::Position;
use crate::read_set::Interval;
use crate::scan::{Direction, End, Row, Rows, Scan};
use crate::snapshot::State;

/// What rows are read from.
pub(crate) struct View<'a> {
    pub(crate) state: &'a State<'a>,
    pub(crate) overlay: &'a Overlay,
    pub(crate) collection: CollectionNumber,
}

/// A row that was found; the document is there where the source holds it.
struct Found {
    key: Key,
    id: Option<DocumentId>,
    document: Option<Bytes>,
}

/// What the state has.
type Stored<'a> = Box<dyn Iterator<Item = Result<(Key, Bytes), Poisoned>> + 'a>;

type Walk<'a> = Box<dyn Iterator<Item = Result<Found, Poisoned>> + 'a>;

impl View<'_> {
    /// Reads rows as far as the scan's bounds go; also tells the keys that this covered, the one that shows that there are
    /// more included.
    pub(crate) fn rows(&self, plan: &Plan, scan: &Scan) -> Result<(Rows, Interval), Poisoned> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let mut further = None;
        for found in self.walk(plan)? {
            let found = found?;
            if scan.limit == Some(rows.len()) || scan.bytes.is_some_and(|most| bytes > most) {
                further = Some(found.key);
                break;
            }
            let row = self.row(plan, found)?;
            bytes += row.document.len();
            rows.push(row);
        }
        if scan.from == End::Last {
            rows.reverse();
        }
        let more = further.is_some();
        let covered = further.map_or_else(|| plan.interval.clone(), |key| covered_to(plan, key));
        let (others, covered) = match plan.to_others() {
            Some(others) => self.others(&others, covered)?,
            None => (false, covered),
        };
        Ok((Rows { rows, more, others }, covered))
    }

    /// Whether there is anything in a plan, and what is covered by that together with what lies beside it.
    fn others(&self, plan: &Plan, beside: Interval) -> Result<(bool, Interval), Poisoned> {
        let nearest = self.walk(plan)?.next().transpose()?;
        let others = nearest.is_some();
        let Interval { start, end } =
            nearest.map_or_else(|| plan.interval.clone(), |found| covered_to(plan, found.key));
        // An interval that holds nothing lies anywhere.
        let covered = match beside.is_empty() {
            true => Interval { start, end },
            false => Interval { start: start.min(beside.start), end: end.max(beside.end) },
        };
        Ok((others, covered))
    }

    /// Counts rows up to `limit` without reading what an index leads to.
    pub(crate) fn count(&self, plan: &Plan, limit: Option<usize>) -> Result<(u64, Interval), Poisoned> {
        let mut count = 0;
        for found in self.walk(plan)? {
            let found = found?;
            if limit == usize::try_from(count).ok() {
                return Ok((count, covered_to(plan, found.key)));
            }
            count += 1;
        }
        Ok((count, plan.interval.clone()))
    }

    /// The entries of an index with the ids that they lead to, as they are asked for.
    pub(crate) fn ids(
        &self,
        plan: &Plan,
    ) -> Result<impl Iterator<Item = Result<(Key, DocumentId), Poisoned>> + '_, Poisoned> {
        let found = self.walk(plan)?;
        Ok(found.filter_map(|found| found.map(|Found { key, id, .. }| Some((key, id?))).transpose()))
    }

    fn walk(&self, plan: &Plan) -> Result<Walk<'_>, Poisoned> {
        match plan.source {
            Source::Documents => self.documents(plan),
            Source::Index { fields, .. } => self.entries(plan, fields),
        }
    }

    fn documents(&self, plan: &Plan) -> Result<Walk<'_>, Poisoned> {
        let below = self.stored(plan)?;
        let above = directed(self.overlay.documents(&plan.interval), plan.direction);
        let above = above.map(|(key, document)| (key.clone(), document.cloned()));
        let merged = Merge::new(below, above, plan.direction);
        Ok(Box::new(merged.map(|entry| entry.map(|(key, document)| Found { key, id: None, document: Some(document) }))))
    }

    fn entries(&self, plan: &Plan, fields: usize) -> Result<Walk<'_>, Poisoned> {
        let prefix = plan.prefix.clone();
        let state = self.state;
        let below = self.stored(plan)?.map(move |entry| {
            let (key, value) = entry?;
            match key::index_entry_id(&prefix, fields, &key, &value) {
                Some(id) => Ok(((key, id), ())),
                None => Err(state.damaged(format_args!("index entry {key:?} leads to no document"))),
            }
        });
        let above = directed(self.overlay.entries(&plan.interval), plan.direction);
        let above =
            above.map(|(key, id, kind)| ((key.clone(), id.clone()), (kind == EntryChange::Added).then_some(())));
        let merged = Merge::new(below, above, plan.direction);
        Ok(Box::new(merged.map(|entry| entry.map(|((key, id), ())| Found { key, id: Some(id), document: None }))))
    }

    /// What the state has: a point is looked up, which is much cheaper than starting a walk.
    fn stored(&self, plan: &Plan) -> Result<Stored<'_>, Poisoned> {
        if plan.is_point && !plan.interval.is_empty() {
            let value = self.state.get(&plan.interval.start)?;
            let key = plan.interval.start.clone();
            return Ok(Box::new(value.into_iter().map(move |value| Ok((key.clone(), value)))));
        }
        self.state.entries(&plan.interval, plan.direction)
    }

    fn row(&self, plan: &Plan, found: Found) -> Result<Row, Poisoned> {
        let Found { key, id, document } = found;
        let document = match (document, id) {
            (Some(document), _) => document,
            (None, Some(id)) => self.document(&id)?,
            (None, None) => Bytes::new(),
        };
        let suffix = key.strip_prefix(plan.prefix.as_slice()).unwrap_or_default().to_vec();
        let index = match plan.source {
            Source::Documents => None,
            Source::Index { number, .. } => Some(number),
        };
        Ok(Row { document, position: Position { collection: self.collection, index, suffix } })
    }

    fn document(&self, id: &DocumentId) -> Result<Bytes, Poisoned> {
        let key = key::document(self.collection, id);
        let document = match self.overlay.get(&key) {
            Some(written) => written.document.clone(),
            None => self.state.get(&key)?,
        };
        document.ok_or_else(|| self.state.damaged(format_args!("an index leads to {id}, which is not there")))
    }
}

fn covered_to(plan: &Plan, last: Key) -> Interval {
    let Interval { start, end } = plan.interval.clone();
    match plan.direction {
        Direction::Asc => Interval { start, end: key::successor(&last) },
        Direction::Desc => Interval { start: last, end },
    }
}

fn directed<'a, T: 'a>(
    iterator: impl DoubleEndedIterator<Item = T> + 'a,
    direction: Direction,
) -> Box<dyn Iterator<Item = T> + 'a> {
    match direction {
        Direction::Asc => Box::new(iterator),
        Direction::Desc => Box::new(iterator.rev()),
    }
}

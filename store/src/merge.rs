//! Two ordered sequences as one: what is below, with what was written over it.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::error::Poisoned;
use crate::scan::Direction;

/// Walks both in the same direction. `overlay` wins where both have a key; `None` in it hides the key.
pub(crate) struct Merge<S: Iterator, O: Iterator> {
    snapshot: Peekable<S>,
    overlay: Peekable<O>,
    direction: Direction,
}

impl<S: Iterator, O: Iterator> Merge<S, O> {
    pub(crate) fn new(snapshot: S, overlay: O, direction: Direction) -> Self {
        Self { snapshot: snapshot.peekable(), overlay: overlay.peekable(), direction }
    }
}

impl<K: Ord, V, S, O> Iterator for Merge<S, O>
where
    S: Iterator<Item = Result<(K, V), Poisoned>>,
    O: Iterator<Item = (K, Option<V>)>,
{
    type Item = Result<(K, V), Poisoned>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.snapshot.peek(), self.overlay.peek()) {
                (Some(Ok((below, _))), Some((above, _))) => match self.direction {
                    Direction::Asc => below.cmp(above),
                    Direction::Desc => above.cmp(below),
                },
                (Some(_), _) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            if order == Ordering::Less {
                return self.snapshot.next();
            }
            if order == Ordering::Equal {
                self.snapshot.next();
            }
            if let (key, Some(value)) = self.overlay.next()? {
                return Some(Ok((key, value)));
            }
        }
    }
}

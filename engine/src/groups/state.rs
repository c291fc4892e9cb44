//! One group: how many contributions it has, and for each aggregate as much of their values as it takes to give its cell.

use std::cmp::Reverse;

use serde_json::Value;
use weir_schema::id::DocumentId;

use super::exact::Exact;
use super::ordered::Ordered;
use super::scalar::{Scalar, number};
use super::{ALLOCATION_BYTES, Aggregate, Cell, Located, Place};

/// The state of a group.
pub(super) struct Group {
    count: usize,
    states: Box<[State]>,
}

/// A [`Place`] of somebody else's.
#[derive(Clone, Copy)]
pub(super) struct PlaceOf<'a> {
    pub(super) document: &'a DocumentId,
    pub(super) contribution: usize,
}

/// The state of an aggregate.
enum State {
    Count,
    Sum(Total),
    Avg(Total),
    Min(Ordered<Scalar>),
    Max(Ordered<Scalar>),
    Top { n: usize, ranked: Ordered<Ranked> },
}

/// A sum of what should be numbers.
#[derive(Default)]
struct Total {
    exact: Exact,
    /// How many values are something else.
    strangers: usize,
}

/// A contribution among those of its group, the greatest value first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    value: Reverse<Scalar>,
    place: Place,
}

impl Group {
    /// A group without a contribution.
    pub(super) fn new(aggregates: &[Aggregate]) -> Self {
        Self { count: 0, states: aggregates.iter().copied().map(State::new).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a contribution, given the values for the aggregates that take any. Gives about how much memory that took, in bytes.
    pub(super) fn add(&mut self, place: PlaceOf<'_>, values: &[Scalar]) -> usize {
        self.count += 1;
        self.with(values).map(|(state, value)| state.add(place, value)).sum()
    }

    /// Takes away a contribution that was added with these values. Gives about how much memory that made free, in bytes.
    pub(super) fn remove(&mut self, place: PlaceOf<'_>, values: &[Scalar]) -> usize {
        self.count -= 1;
        self.with(values).map(|(state, value)| state.remove(place, value)).sum()
    }

    /// What the aggregates give, in their order.
    pub(super) fn cells(&self, locate: impl Fn(&Place) -> Located + Copy) -> Vec<Cell> {
        self.states.iter().map(|state| state.cell(self.count, locate)).collect()
    }

    /// About how much memory a group without values takes where groups are kept, in bytes.
    pub(super) fn bytes(&self) -> usize {
        // Trees that grow at one end are half full.
        let place = size_of::<(Scalar, Self)>() * 2;
        let totals = self.states.iter().filter(|state| matches!(state, State::Sum(_) | State::Avg(_))).count();
        place + ALLOCATION_BYTES + size_of_val(&*self.states) + totals * (ALLOCATION_BYTES + Exact::HEAP_BYTES)
    }

    fn with<'a>(&mut self, values: &'a [Scalar]) -> impl Iterator<Item = (&mut State, &'a Scalar)> {
        self.states.iter_mut().filter(|state| !matches!(state, State::Count)).zip(values)
    }
}

impl State {
    fn new(aggregate: Aggregate) -> Self {
        match aggregate {
            Aggregate::Count => Self::Count,
            Aggregate::Sum => Self::Sum(Total::default()),
            Aggregate::Avg => Self::Avg(Total::default()),
            Aggregate::Min => Self::Min(Ordered::new()),
            Aggregate::Max => Self::Max(Ordered::new()),
            Aggregate::Top { n } => Self::Top { n, ranked: Ordered::new() },
        }
    }

    fn add(&mut self, place: PlaceOf<'_>, value: &Scalar) -> usize {
        match self {
            Self::Count => 0,
            Self::Sum(total) | Self::Avg(total) => {
                match value {
                    Scalar::Number(number) => total.exact.add(*number),
                    Scalar::Null | Scalar::Bool(_) | Scalar::Text(_) => total.strangers += 1,
                }
                0
            }
            Self::Min(_) | Self::Max(_) | Self::Top { .. } if *value == Scalar::Null => 0,
            Self::Min(values) | Self::Max(values) => {
                if values.insert(value.clone()) {
                    Ordered::<Scalar>::ENTRY_BYTES
                } else {
                    0
                }
            }
            Self::Top { ranked, .. } => {
                if ranked.insert(Ranked::new(place, value)) {
                    Ranked::bytes(place)
                } else {
                    0
                }
            }
        }
    }

    fn remove(&mut self, place: PlaceOf<'_>, value: &Scalar) -> usize {
        match self {
            Self::Count => 0,
            Self::Sum(total) | Self::Avg(total) => {
                match value {
                    Scalar::Number(number) => total.exact.subtract(*number),
                    Scalar::Null | Scalar::Bool(_) | Scalar::Text(_) => total.strangers -= 1,
                }
                0
            }
            Self::Min(values) | Self::Max(values) => {
                if values.remove(value) {
                    Ordered::<Scalar>::ENTRY_BYTES
                } else {
                    0
                }
            }
            Self::Top { ranked, .. } => {
                if ranked.remove(&Ranked::new(place, value)) {
                    Ranked::bytes(place)
                } else {
                    0
                }
            }
        }
    }

    fn cell(&self, count: usize, locate: impl Fn(&Place) -> Located) -> Cell {
        let value_of = |value: Option<&Scalar>| value.map_or(Value::Null, Scalar::to_value);
        Cell::Value(match self {
            Self::Count => Value::from(count),
            Self::Sum(total) => total.round().map_or(Value::Null, number),
            Self::Avg(total) => total.round().map_or(Value::Null, |sum| number(sum / count as f64)),
            Self::Min(values) => value_of(values.first()),
            Self::Max(values) => value_of(values.last()),
            Self::Top { n, ranked } => {
                return Cell::Top(ranked.leading(*n).into_iter().map(|ranked| locate(&ranked.place)).collect());
            }
        })
    }
}

impl Total {
    /// `None` while there is a value that is not a number. May be infinite.
    fn round(&self) -> Option<f64> {
        (self.strangers == 0).then(|| self.exact.round())
    }
}

impl Ranked {
    fn new(place: PlaceOf<'_>, value: &Scalar) -> Self {
        Self {
            value: Reverse(value.clone()),
            place: Place { document: place.document.clone(), contribution: place.contribution },
        }
    }

    /// About how much memory one takes, in bytes. The text of its value is the document's.
    fn bytes(place: PlaceOf<'_>) -> usize {
        Ordered::<Self>::ENTRY_BYTES + place.document.as_str().len() + ALLOCATION_BYTES
    }
}

//! Values from the least to the greatest, each as often as it was put in.

use std::collections::BTreeMap;

/// Values that are kept in a list: the least that a tree takes is room for eleven.
const FEW_MAX: usize = 8;

/// A multiset. Most groups have few values, some have very many.
#[derive(Debug)]
pub(super) enum Ordered<T> {
    /// In order, with how often.
    Few(Vec<(T, usize)>),
    Many(BTreeMap<T, usize>),
}

impl<T: Ord> Ordered<T> {
    /// About how much memory a value takes, in bytes: trees that grow at one end are half full.
    pub(super) const ENTRY_BYTES: usize = size_of::<(T, usize)>() * 2;

    pub(super) fn new() -> Self {
        Self::Few(Vec::new())
    }

    /// Puts in a value. Says whether it was not there.
    pub(super) fn insert(&mut self, value: T) -> bool {
        match self {
            Self::Few(few) => match few.binary_search_by(|(held, _)| held.cmp(&value)) {
                Ok(at) => {
                    if let Some((_, times)) = few.get_mut(at) {
                        *times += 1;
                    }
                    false
                }
                Err(at) if few.len() < FEW_MAX => {
                    few.reserve_exact(1);
                    few.insert(at, (value, 1));
                    true
                }
                Err(_) => {
                    let mut many: BTreeMap<T, usize> = few.drain(..).collect();
                    many.insert(value, 1);
                    *self = Self::Many(many);
                    true
                }
            },
            Self::Many(many) => {
                let times = many.entry(value).or_default();
                *times += 1;
                *times == 1
            }
        }
    }

    /// Takes out a value once. Says whether it is not there any more.
    pub(super) fn remove(&mut self, value: &T) -> bool {
        match self {
            Self::Few(few) => {
                let Ok(at) = few.binary_search_by(|(held, _)| held.cmp(value)) else { return false };
                let Some((_, times)) = few.get_mut(at) else { return false };
                *times -= 1;
                let is_last = *times == 0;
                if is_last {
                    few.remove(at);
                }
                is_last
            }
            Self::Many(many) => {
                let Some(times) = many.get_mut(value) else { return false };
                *times -= 1;
                let is_last = *times == 0;
                if is_last {
                    many.remove(value);
                }
                is_last
            }
        }
    }

    /// The least.
    pub(super) fn first(&self) -> Option<&T> {
        match self {
            Self::Few(few) => few.first().map(|(value, _)| value),
            Self::Many(many) => many.first_key_value().map(|(value, _)| value),
        }
    }

    /// The greatest.
    pub(super) fn last(&self) -> Option<&T> {
        match self {
            Self::Few(few) => few.last().map(|(value, _)| value),
            Self::Many(many) => many.last_key_value().map(|(value, _)| value),
        }
    }

    /// The `n` least that are not equal, in order.
    pub(super) fn leading(&self, n: usize) -> Vec<&T> {
        match self {
            Self::Few(few) => few.iter().take(n).map(|(value, _)| value).collect(),
            Self::Many(many) => many.keys().take(n).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_there_as_often_as_they_were_put_in() {
        let mut ordered = Ordered::new();
        // More than a list holds, each twice.
        let values: Vec<usize> = (0..3 * FEW_MAX).map(|i| i * 7 % (3 * FEW_MAX)).collect();
        for value in &values {
            assert!(ordered.insert(*value));
            assert!(!ordered.insert(*value));
        }
        assert_eq!((ordered.first(), ordered.last()), (Some(&0), Some(&(3 * FEW_MAX - 1))));
        assert_eq!(ordered.leading(3), [&0, &1, &2]);
        for value in &values {
            assert!(!ordered.remove(value));
            assert!(ordered.remove(value));
            assert!(!ordered.remove(value));
        }
        assert_eq!((ordered.first(), ordered.last()), (None, None));
        assert!(ordered.leading(3).is_empty());
    }

    #[test]
    fn a_short_list_is_in_order() {
        let mut ordered = Ordered::new();
        for value in ["c", "a", "b", "a"] {
            ordered.insert(value);
        }
        assert_eq!(ordered.leading(9), [&"a", &"b", &"c"]);
        assert!(!ordered.remove(&"a"));
        assert_eq!(ordered.first(), Some(&"a"));
        assert!(ordered.remove(&"a"));
        assert_eq!((ordered.first(), ordered.last()), (Some(&"b"), Some(&"c")));
    }
}

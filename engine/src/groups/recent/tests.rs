use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weir_schema::declarations::{Aggregate, Groups, ViewIndex};
use weir_schema::error::ErrorCode;
use weir_schema::limits::CallLimits;
use weir_store::Head;

use super::super::Scalar;
use super::super::kept::Found;
use super::*;

fn declared(groups: bool) -> Declared {
    let (collection, lists) = ("things".to_owned(), vec!["lines".to_owned()]);
    match groups {
        true => {
            let aggregates = [("n", Aggregate::Count), ("sum", Aggregate::Sum), ("top", Aggregate::Top { n: 2 })];
            let aggregates = aggregates.map(|(name, aggregate)| (name.to_owned(), aggregate)).to_vec();
            Declared::Groups(Groups { collection, lists, aggregates })
        }
        false => Declared::Index("v".to_owned(), ViewIndex { collection, lists, parts: None, has_values: true }),
    }
}

fn head(sequence: u64) -> Head {
    serde_json::from_value(json!({ "sequence": sequence, "timestamp": sequence * 10, "catalog": 0 })).unwrap()
}

/// All that can be seen of a view.
fn seen(recent: &Recent, declared: &Declared) -> String {
    let asked = declared.asked(&json!({ "first": 1000 })).unwrap();
    let found = match recent.kept().find(&asked, declared, &CallLimits::default()).unwrap() {
        Found::Rows(rows) => format!("{rows:?}"),
        Found::Page(page, _) => format!("{:?}", page.entries),
    };
    format!("{found} {:?}", recent.error().map(|error| &error.message))
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn contributed(&mut self, groups: bool) -> Contributed {
        if self.below(12) == 0 {
            return Err(CallError::new(ErrorCode::FunctionFailed, format!("error {}", self.below(3))));
        }
        let scalar = |value: Value| Scalar::of(&value).unwrap();
        let mut contribution = |at: usize| {
            let (key, value) = (scalar(json!(self.below(3))), json!(self.below(4)));
            let values = match groups {
                true => vec![json!(1), value.clone(), value, json!(at)],
                false => vec![json!(at), json!(value.to_string())],
            };
            Contribution { key, values: values.into_iter().map(scalar).collect() }
        };
        let contributions = [0, 1, 2].map(&mut contribution);
        Ok(contributions.into_iter().take(self.below(4)).collect())
    }
}

#[test]
fn each_of_the_last_commits_can_be_looked_at() {
    const SEEDS: u64 = 100;
    for seed in 0..SEEDS {
        let (random, groups) = (&mut Random(seed), seed % 2 == 0);
        let declared = declared(groups);
        let mut recent = Recent::new(&declared);
        let id = |n: usize| DocumentId::parse(format!("d{n}")).unwrap();
        recent.build((0..8).map(|n| (id(n), random.contributed(groups))).collect());
        assert_eq!(recent.look(At::From(0), |_, _| ()), None, "it is being built");
        recent.advance(Vec::new(), head(10));
        let mut sequence = 10;
        let now = |recent: &mut Recent| recent.look(At::From(0), |recent, _| seen(recent, &declared)).unwrap();
        // What is known as of each commit.
        let mut told = BTreeMap::from([(10, now(&mut recent))]);
        for _ in 0..12 {
            // Several commits may be taken into account at once.
            let (merged, changed) = (1 + random.below(2), random.below(4));
            sequence += merged as u64;
            let documents: BTreeSet<usize> = (0..changed).map(|_| random.below(8)).collect();
            if documents.is_empty() {
                // All of these are as the one before them.
                (sequence - merged as u64 + 1..sequence)
                    .for_each(|between| drop(told.insert(between, now(&mut recent))));
            }
            recent
                .advance(documents.into_iter().map(|n| (id(n), random.contributed(groups))).collect(), head(sequence));
            told.insert(sequence, now(&mut recent));
            for back in 10..=sequence + 1 {
                let seen = recent.look(At::Exactly(back), |recent, _| seen(recent, &declared));
                assert_eq!(seen.as_ref(), told.get(&back), "seed {seed}, {back} of {sequence}");
            }
            assert_eq!(recent.look(At::From(sequence + 1), |_, _| ()), None);
        }
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let declared = declared(true);
    let mut recent = Recent::new(&declared);
    recent.advance(Vec::new(), head(0));
    let changes = |n: usize| -> Vec<(DocumentId, Contributed)> {
        (0..n).map(|n| (DocumentId::parse(format!("d{n}")).unwrap(), Ok(Vec::new()))).collect()
    };
    for sequence in 1..=1_000 {
        recent.advance(changes(1), head(sequence));
    }
    assert_eq!((recent.steps.len(), recent.weight), (STEPS_MAX, STEPS_MAX));
    let oldest = 1_000 - STEPS_MAX as u64;
    assert_eq!(recent.look(At::Exactly(oldest), |_, head| head.sequence), Some(oldest));
    assert_eq!(recent.look(At::Exactly(oldest - 1), |_, _| ()), None);
    recent.advance(Vec::new(), head(1_100));
    assert_eq!(
        recent.look(At::Exactly(oldest), |_, head| head.sequence),
        Some(oldest),
        "nothing was changed elsewhere"
    );
    assert_eq!(recent.look(At::Exactly(1_050), |_, head| head.sequence), Some(1_100));
    recent.advance(changes(WEIGHT_MAX - 1), head(1_101));
    assert_eq!(recent.steps.len(), 2);
    recent.advance(changes(WEIGHT_MAX + 1), head(1_102));
    assert_eq!((recent.steps.len(), recent.weight), (0, 0));
    assert_eq!(recent.look(At::Exactly(1_101), |_, _| ()), None, "a commit that changes very much is not taken back");
    assert_eq!(recent.look(At::Exactly(1_102), |_, head| head.sequence), Some(1_102));
}

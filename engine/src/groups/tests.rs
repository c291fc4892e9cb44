use std::cmp::Ordering;

use num_bigint::BigInt;
use serde_json::json;

use super::scalar::number;
use super::*;

/// What a document contributes, as a script says it.
type Said = Vec<(Value, Vec<Value>)>;

/// The contributions to a group.
type Members<'a> = Vec<(Place, &'a Vec<Value>)>;

fn id(n: usize) -> DocumentId {
    DocumentId::parse(format!("d{n}")).unwrap()
}

fn set(groups: &mut Groups, n: usize, said: &Said) -> bool {
    let of = |value: &Value| Scalar::of(value).unwrap();
    let contributions =
        said.iter().map(|(key, values)| Contribution { key: of(key), values: values.iter().map(of).collect() });
    let packed = groups.pack(contributions.collect());
    groups.put(&id(n), packed.clone()) != packed
}

fn rows(groups: &Groups) -> Vec<Row> {
    groups.rows().collect()
}

/// The rows with the text of their cells.
fn shown(groups: &Groups) -> Vec<String> {
    let cell = |cell: &Cell| match cell {
        Cell::Value(value) => value.to_string(),
        Cell::Top(located) => {
            let at = |Located { document, at }: &Located| format!("{document}{at:?}");
            format!("[{}]", located.iter().map(at).collect::<Vec<_>>().join(" "))
        }
    };
    let row = |row: Row| format!("{}: {}", row.key, row.cells.iter().map(cell).collect::<Vec<_>>().join(", "));
    groups.rows().map(row).collect()
}

/// The sum by other means: as a fraction of integers, which the standard library rounds when it parses its decimals.
fn summed(values: &[f64]) -> f64 {
    const LEAST: u64 = 1_074;
    let mut sum = BigInt::ZERO;
    for value in values {
        let bits = value.abs().to_bits();
        let (exponent, fraction) = (bits >> 52, bits & ((1 << 52) - 1));
        let significand = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        let units = BigInt::from(significand) << exponent.saturating_sub(1);
        sum += if *value < 0.0 { -units } else { units };
    }
    let zeros = sum.trailing_zeros().unwrap_or(LEAST);
    let decimals = LEAST.saturating_sub(zeros) as u32;
    let digits = (sum >> zeros.min(LEAST)) * BigInt::from(5).pow(decimals);
    format!("{digits}e-{decimals}").parse().unwrap()
}

fn compared(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.encode_utf16().cmp(b.encode_utf16()),
        (Value::Number(a), Value::Number(b)) => a.as_f64().unwrap().partial_cmp(&b.as_f64().unwrap()).unwrap(),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => panic!("{a} and {b}"),
    }
}

/// The rows computed from nothing.
fn recomputed(aggregates: &[Aggregate], documents: &BTreeMap<usize, Said>) -> Vec<Row> {
    let mut groups: Vec<(&Value, Members)> = Vec::new();
    for (n, said) in documents {
        for (contribution, (key, values)) in said.iter().enumerate() {
            let member = (Place { document: id(*n), contribution }, values);
            match groups.iter_mut().find(|(other, _)| compared(other, key).is_eq()) {
                Some((_, members)) => members.push(member),
                None => groups.push((key, vec![member])),
            }
        }
    }
    groups.sort_by(|(a, _), (b, _)| compared(a, b));
    let row = |(key, members): &(&Value, Members)| {
        let cell = |(at, aggregate): (usize, &Aggregate)| {
            let values: Vec<(&Place, &Value)> = members.iter().map(|(place, values)| (place, &values[at])).collect();
            let sum = || {
                let numbers: Option<Vec<f64>> = values.iter().map(|(_, value)| value.as_f64()).collect();
                numbers.map(|numbers| summed(&numbers))
            };
            let known = || {
                let mut known: Vec<_> = values.iter().copied().filter(|(_, value)| !value.is_null()).collect();
                known.sort_by(|(a, x), (b, y)| compared(y, x).then_with(|| a.cmp(b)));
                known
            };
            Cell::Value(match aggregate {
                Aggregate::Count => json!(members.len()),
                Aggregate::Sum => sum().map_or(Value::Null, number),
                Aggregate::Avg => sum().map_or(Value::Null, |sum| number(sum / members.len() as f64)),
                Aggregate::Min => known().last().map_or(Value::Null, |(_, value)| stringified(value)),
                Aggregate::Max => known().first().map_or(Value::Null, |(_, value)| stringified(value)),
                Aggregate::Top { n } => {
                    let located = |(place, _): &(&Place, &Value)| located(place, documents, aggregates.len());
                    return Cell::Top(known().iter().take(*n).map(located).collect());
                }
            })
        };
        Row { key: stringified(key), cells: aggregates.iter().enumerate().map(cell).collect() }
    };
    groups.iter().map(row).collect()
}

/// Where a contribution says that its element is.
fn located(place: &Place, documents: &BTreeMap<usize, Said>, aggregates: usize) -> Located {
    let (_, said) = documents.iter().find(|(n, _)| id(**n) == place.document).unwrap();
    let (_, values) = &said[place.contribution];
    let at = values[aggregates..].iter().map(|index| index.as_u64().unwrap() as usize).collect();
    Located { document: place.document.clone(), at }
}

fn stringified(value: &Value) -> Value {
    if value.is_number() { number(value.as_f64().unwrap()) } else { value.clone() }
}

/// Random choices that are the same each time (splitmix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn number(&mut self) -> Value {
        const HARD: [f64; 16] = [
            0.0,
            -0.0,
            0.1,
            -0.1,
            0.3,
            5e-324,
            -5e-324,
            1e-308,
            1e16,
            -1e16,
            1e22,
            f64::EPSILON,
            1e308,
            -1e308,
            f64::MAX,
            f64::MIN,
        ];
        match self.below(4) {
            0 => json!(self.one_of(&HARD)),
            1 => json!(self.below(2_000) as f64 / 100.0 - 10.0),
            2 => json!(self.below(5)),
            _ => json!((self.below(1 << 50) as f64 - 5e14) * 2_f64.powi(self.below(120) as i32 - 60)),
        }
    }

    fn contribution(
        &mut self,
        keys: &[Value],
        aggregates: &[Aggregate],
        lists: usize,
        kind: Kind,
    ) -> (Value, Vec<Value>) {
        const TEXTS: [&str; 6] = ["", "a", "b", "\u{ffff}", "\u{1f600}", "2026-11-22T10:30:00.000Z"];
        let value = |aggregate: &Aggregate| match (aggregate, self.below(12)) {
            (Aggregate::Sum | Aggregate::Avg, 0) => self.one_of(&[json!(null), json!("1"), json!(true)]),
            (Aggregate::Sum | Aggregate::Avg, _) => self.number(),
            (_, 0) => Value::Null,
            (_, _) => match kind {
                Kind::Numbers => self.number(),
                Kind::Texts => json!(self.one_of(&TEXTS)),
                Kind::Truths => json!(self.below(2) == 0),
            },
        };
        let mut values: Vec<Value> = aggregates.iter().map(value).collect();
        values.extend((0..lists).map(|_| json!(self.below(5))));
        (self.one_of(keys), values)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Numbers,
    Texts,
    Truths,
}

#[test]
fn rows_are_at_all_times_those_computed_from_nothing() {
    const SEEDS: u64 = 1_500;
    const ALL: [Aggregate; 7] = [
        Aggregate::Sum,
        Aggregate::Count,
        Aggregate::Avg,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::Top { n: 3 },
        Aggregate::Top { n: 0 },
    ];
    let keys = [
        vec![
            json!(null),
            json!(0),
            json!(-0.0),
            json!(-3),
            json!(0.5),
            json!(1e21),
            json!(9_223_372_036_854_775_807_u64),
        ],
        vec![json!("b"), json!("\u{ffff}"), json!("\u{1f600}"), json!(""), json!(null), json!("\u{1f601}")],
        vec![json!(true), json!(false), json!(null)],
        vec![json!("only")],
    ];
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let aggregates: Vec<Aggregate> = (0..random.below(5)).map(|_| random.one_of(&ALL)).collect();
        let keys = random.one_of(&keys);
        let lists = random.below(3);
        let kind = random.one_of(&[Kind::Numbers, Kind::Texts, Kind::Truths]);
        // Some seeds fill groups beyond what a list holds.
        let ids = random.one_of(&[3, 10, 30]);
        let mut groups = Groups::new(aggregates.clone(), lists);
        let (mut documents, mut before) = (BTreeMap::<usize, Said>::new(), Vec::new());
        for batch in 0..6 {
            let mut may_differ = false;
            for _ in 0..random.below(ids) + 1 {
                let n = random.below(ids);
                let len = random.one_of(&[0, 1, 1, 1, 1, 2, 4]);
                let mut said: Said = (0..len).map(|_| random.contribution(&keys, &aggregates, lists, kind)).collect();
                // Some stay the same in part, or altogether.
                if let Some(old) = documents.get(&n)
                    && random.below(3) == 0
                {
                    let kept = random.below(old.len() + 1);
                    said.splice(..kept.min(said.len()), old[..kept].iter().cloned());
                }
                may_differ |= set(&mut groups, n, &said);
                if said.is_empty() {
                    documents.remove(&n)
                } else {
                    documents.insert(n, said)
                };
            }
            let now = rows(&groups);
            assert_eq!(now, recomputed(&aggregates, &documents), "seed {seed}, batch {batch}, {aggregates:?}");
            assert!(may_differ || now == before, "seed {seed}, batch {batch}");
            assert_eq!((groups.documents(), groups.groups()), (documents.len(), now.len()));
            before = now;
        }
        for n in 0..ids {
            set(&mut groups, n, &vec![]);
        }
        assert!(rows(&groups).is_empty());
        assert_eq!((groups.documents(), groups.bytes), (0, 0), "seed {seed}");
    }
}

#[test]
fn keys_are_in_the_order_of_code_units() {
    let mut groups = Groups::new(vec![Aggregate::Count], 0);
    for (n, key) in ["\u{ffff}", "b", "\u{1f600}", "", "B"].into_iter().enumerate() {
        set(&mut groups, n, &vec![(json!(key), vec![])]);
    }
    set(&mut groups, 9, &vec![(json!(null), vec![])]);
    assert_eq!(shown(&groups), ["null: 1", "\"\": 1", "\"B\": 1", "\"b\": 1", "\"\u{1f600}\": 1", "\"\u{ffff}\": 1"]);
}

#[test]
fn minus_zero_and_zero_are_one_key() {
    let mut groups = Groups::new(vec![Aggregate::Count, Aggregate::Min], 0);
    set(&mut groups, 1, &vec![(json!(-0.0), vec![json!(0), json!(-0.0)])]);
    set(&mut groups, 2, &vec![(json!(0), vec![json!(0), json!(0)])]);
    assert_eq!(shown(&groups), ["0: 2, 0"]);
}

#[test]
fn great_values_that_cancel_leave_the_small_ones() {
    let mut groups = Groups::new(vec![Aggregate::Sum, Aggregate::Avg], 0);
    for (n, value) in [1e308, -1e308, 5e-324].into_iter().enumerate() {
        set(&mut groups, n, &vec![(json!("a"), vec![json!(value), json!(value)])]);
    }
    assert_eq!(shown(&groups), ["\"a\": 5e-324, 0"]);
    set(&mut groups, 1, &vec![(json!("a"), vec![json!(1e308), json!(1)])]);
    assert_eq!(shown(&groups), ["\"a\": null, 3.333333333333333e+307"]);
    set(&mut groups, 0, &vec![]);
    assert_eq!(shown(&groups), ["\"a\": 1e+308, 0.5"]);
}

#[test]
fn what_is_not_a_number_makes_a_sum_null_while_it_is_there() {
    let mut groups = Groups::new(vec![Aggregate::Sum, Aggregate::Avg, Aggregate::Count], 0);
    let of = |value: Value| vec![(json!("a"), vec![value.clone(), value, Value::Null])];
    set(&mut groups, 1, &of(json!(5)));
    set(&mut groups, 2, &of(json!("5")));
    set(&mut groups, 3, &of(json!(null)));
    assert_eq!(shown(&groups), ["\"a\": null, null, 3"]);
    set(&mut groups, 2, &of(json!(2.5)));
    assert_eq!(shown(&groups), ["\"a\": null, null, 3"]);
    set(&mut groups, 3, &of(json!(1.5)));
    assert_eq!(shown(&groups), ["\"a\": 9, 3, 3"]);
}

#[test]
fn a_group_goes_with_its_last_contribution() {
    let mut groups = Groups::new(vec![Aggregate::Count], 0);
    let of = |keys: &[&str]| keys.iter().map(|key| (json!(key), vec![])).collect();
    assert!(set(&mut groups, 1, &of(&["a", "b", "a"])));
    assert!(set(&mut groups, 2, &of(&["b"])));
    assert_eq!(shown(&groups), ["\"a\": 2", "\"b\": 2"]);
    assert!(set(&mut groups, 1, &of(&["c"])));
    assert_eq!(shown(&groups), ["\"b\": 1", "\"c\": 1"]);
    assert!(set(&mut groups, 2, &of(&[])));
    assert_eq!(shown(&groups), ["\"c\": 1"]);
    assert!(set(&mut groups, 1, &of(&[])));
    assert_eq!((groups.documents(), groups.groups()), (0, 0));
}

#[test]
fn what_stays_the_same_changes_nothing() {
    let mut groups = Groups::new(vec![Aggregate::Count, Aggregate::Sum], 0);
    let of = |counted: i32, value: f64| vec![(json!("a"), vec![json!(counted), json!(value)])];
    assert!(!set(&mut groups, 1, &vec![]));
    assert!(set(&mut groups, 1, &of(1, 1.0)));
    assert!(!set(&mut groups, 1, &of(2, 1.0)));
    assert!(set(&mut groups, 1, &of(2, 2.0)));
}

#[test]
fn of_equal_values_the_first_document_is_the_first() {
    let mut groups = Groups::new(vec![Aggregate::Top { n: 3 }], 1);
    let of = |values: &[Value]| {
        let contributions = values.iter().enumerate();
        contributions.map(|(at, value)| (json!("a"), vec![value.clone(), json!(at)])).collect()
    };
    set(&mut groups, 3, &of(&[json!(7)]));
    set(&mut groups, 2, &of(&[json!(1), json!(7), json!(7)]));
    set(&mut groups, 1, &of(&[json!(null), json!(6)]));
    assert_eq!(shown(&groups), ["\"a\": [d2[1] d2[2] d3[0]]"]);
    set(&mut groups, 2, &of(&[json!(1)]));
    assert_eq!(shown(&groups), ["\"a\": [d3[0] d1[1] d2[0]]"]);
    set(&mut groups, 3, &of(&[json!(null)]));
    assert_eq!(shown(&groups), ["\"a\": [d1[1] d2[0]]"]);
}

#[test]
fn keys_of_different_types_are_in_some_order() {
    let mut groups = Groups::new(vec![Aggregate::Count], 0);
    for (n, key) in [json!("1"), json!(1), json!(true), json!(null)].into_iter().enumerate() {
        set(&mut groups, n, &vec![(key, vec![])]);
    }
    assert_eq!(shown(&groups), ["null: 1", "true: 1", "1: 1", "\"1\": 1"]);
}

#[test]
fn missing_values_are_null() {
    let mut groups = Groups::new(vec![Aggregate::Count, Aggregate::Max, Aggregate::Sum], 0);
    set(&mut groups, 1, &vec![(json!("a"), vec![json!(1), json!(2)])]);
    assert_eq!(shown(&groups), ["\"a\": 1, 2, null"]);
}

#[test]
fn sums_do_not_drift() {
    const DOCUMENTS: usize = 100;
    let mut groups = Groups::new(vec![Aggregate::Sum, Aggregate::Avg], 0);
    let mut random = Random(7);
    let of = |cents: usize| vec![(json!("a"), vec![json!(cents as f64 / 10.0), json!(cents as f64 / 10.0)])];
    for n in 0..DOCUMENTS {
        set(&mut groups, n, &of(n));
    }
    assert_eq!(shown(&groups), ["\"a\": 495, 4.95"]);
    for _ in 0..100_000 {
        let n = random.below(DOCUMENTS);
        let cents = random.below(1_000);
        set(&mut groups, n, &of(cents));
    }
    for n in 0..DOCUMENTS {
        set(&mut groups, n, &of(n));
    }
    assert_eq!(shown(&groups), ["\"a\": 495, 4.95"]);
}

#[test]
fn a_document_takes_little() {
    const DOCUMENTS: usize = 50_000;
    let mut groups = Groups::new(vec![Aggregate::Count, Aggregate::Sum], 0);
    for n in 0..DOCUMENTS {
        let key = Scalar::of(&json!(format!("2026-11-{:02}", n % 30))).unwrap();
        let values = vec![Scalar::Null, Scalar::Number(n as f64 / 10.0)];
        let packed = groups.pack(vec![Contribution { key, values }]);
        groups.put(&DocumentId::generate(n as u64, 0), packed);
    }
    let bytes = groups.bytes() / DOCUMENTS;
    assert!(bytes < 220, "{bytes}");
}

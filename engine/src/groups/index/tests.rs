use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_schema::declarations::ViewIndex;

use super::super::{Scalar, cursor};
use super::*;
use crate::groups::question::Question;

/// An entry as a script says it: the parts of its key, where its element is, and its value.
type Said = (Vec<Value>, Vec<usize>, Option<String>);

/// An entry of all documents: its key, its document and its place there, and what else it has.
type Found<'a> = (&'a [Value], DocumentId, usize, &'a Said);

fn id(n: usize) -> DocumentId {
    DocumentId::parse(format!("d{n}")).unwrap()
}

fn declared(parts: usize, lists: usize, has_values: bool) -> ViewIndex {
    ViewIndex {
        collection: "things".into(),
        lists: (0..lists).map(|list| format!("list{list}")).collect(),
        parts: (parts > 1).then(|| (0..parts).map(|part| format!("part{part}")).collect()),
        has_values,
    }
}

fn index_of_declared(declared: &ViewIndex) -> Index {
    let (lists, has_values) = (declared.lists.len(), declared.has_values);
    Index::new(Form { parts: declared.key_parts(), lists, has_values })
}

fn set(index: &mut Index, n: usize, said: &[Said]) {
    let contribution = |(key, at, value): &Said| {
        let at = at.iter().map(|index| json!(index));
        let all = key.iter().cloned().chain(at).chain(value.iter().map(|value| json!(value)));
        let mut scalars = all.map(|value| Scalar::of(&value).unwrap());
        Contribution { key: scalars.next().unwrap(), values: scalars.collect() }
    };
    let packed = index.pack(said.iter().map(contribution).collect());
    index.put(&id(n), packed);
}

fn compared(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        _ => 3,
    };
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.encode_utf16().cmp(b.encode_utf16()),
        (Value::Number(a), Value::Number(b)) => a.as_f64().unwrap().partial_cmp(&b.as_f64().unwrap()).unwrap(),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn keys_compared(a: &[Value], b: &[Value]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| compared(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// A key as an argument or in a row.
fn shown(declared: &ViewIndex, key: &[Value]) -> Value {
    match &declared.parts {
        None => key[0].clone(),
        Some(names) => names.iter().cloned().zip(key.iter().cloned()).collect(),
    }
}

/// Whether the arguments want a key, by other means than ranges.
fn is_wanted(declared: &ViewIndex, arguments: &Value, key: &[Value]) -> bool {
    let of = |value: &Value| -> Vec<Value> {
        match &declared.parts {
            None => vec![value.clone()],
            Some(names) => names.iter().map(|name| value[name].clone()).collect(),
        }
    };
    let order = |name: &str| arguments.get(name).map(|bound| keys_compared(key, &of(bound)));
    let begins = match arguments.get("prefix") {
        None => true,
        Some(Value::String(text)) => key[0].as_str().is_some_and(|key| key.starts_with(text.as_str())),
        Some(parts) => {
            let names = declared.parts.iter().flatten();
            names.zip(key).all(|(name, part)| parts.get(name).is_none_or(|wanted| compared(wanted, part).is_eq()))
        }
    };
    begins
        && order("key").is_none_or(Ordering::is_eq)
        && order("gt").is_none_or(Ordering::is_gt)
        && order("gte").is_none_or(Ordering::is_ge)
        && order("lt").is_none_or(Ordering::is_lt)
        && order("lte").is_none_or(Ordering::is_le)
}

/// All entries that the arguments want, in their order, computed from nothing.
fn recomputed<'a>(
    declared: &ViewIndex,
    arguments: &Value,
    documents: &'a BTreeMap<usize, Vec<Said>>,
) -> Vec<Found<'a>> {
    let entries = documents.iter().flat_map(|(n, said)| {
        said.iter().enumerate().map(move |(place, entry)| (entry.0.as_slice(), id(*n), place, entry))
    });
    let mut entries: Vec<Found<'a>> = entries.filter(|entry| is_wanted(declared, arguments, entry.0)).collect();
    entries.sort_by(|a, b| keys_compared(a.0, b.0).then_with(|| (&a.1, a.2).cmp(&(&b.1, b.2))));
    if arguments["order"] == "desc" {
        entries.reverse();
    }
    entries
}

/// Reads everything that the arguments want, page by page from either end, and compares it with what is computed from nothing.
fn compare(declared: &ViewIndex, index: &Index, arguments: &Value, documents: &BTreeMap<usize, Vec<Said>>, seed: u64) {
    let wanted = recomputed(declared, arguments, documents);
    let size = arguments["first"].as_u64().unwrap() as usize;
    for (count, cursor, opposite) in [("first", "after", "before"), ("last", "before", "after")] {
        let mut arguments = arguments.clone();
        arguments["first"] = Value::Null;
        arguments[count] = json!(size);
        let mut read = 0;
        loop {
            let Question { range, window } = Question::parse("v", declared, &arguments).unwrap();
            let Page { entries, more, others } = index.page(&range, &window);
            let told = format!("seed {seed}, {arguments}, after {read} of {}", wanted.len());
            let left = if count == "first" { &wanted[read..] } else { &wanted[..wanted.len() - read] };
            let taken = size.min(left.len());
            let expected = if count == "first" { &left[..taken] } else { &left[left.len() - taken..] };
            assert_eq!(entries.len(), expected.len(), "{told}");
            for (entry, (key, document, place, (_, at, value))) in entries.iter().zip(expected) {
                let parts: Vec<Value> = entry.key.scalars().map(Scalar::to_value).collect();
                assert!(
                    keys_compared(&parts, key).is_eq() && parts.len() == key.len(),
                    "{parts:?} and {key:?}, {told}"
                );
                assert_eq!((&entry.place.document, entry.place.contribution), (document, *place), "{told}");
                assert_eq!((&entry.located.at, entry.value.as_deref()), (at, value.as_deref()), "{told}");
            }
            assert_eq!(others, read > 0, "{told}");
            read += entries.len();
            assert_eq!(more, read < wanted.len(), "{told}");
            let end = if count == "first" { entries.last() } else { entries.first() };
            let Some(end) = end else { break };
            // The other cursor narrows what comes, and says nothing about what is beyond it.
            let mut between = arguments.clone();
            between[opposite] = json!(cursor::write("v", &end.key, &end.place));
            let Question { range, window } = Question::parse("v", declared, &between).unwrap();
            let page = index.page(&range, &window);
            assert_eq!((page.entries.len(), page.more, page.others), (entries.len() - 1, false, others), "{told}");
            if !more {
                break;
            }
            arguments[cursor] = between[opposite].take();
        }
    }
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

    fn key(&mut self, kinds: &[Vec<Value>]) -> Vec<Value> {
        kinds.iter().map(|kind| self.one_of(kind)).collect()
    }

    fn said(&mut self, kinds: &[Vec<Value>], declared: &ViewIndex) -> Said {
        let at = declared.lists.iter().map(|_| self.below(4)).collect();
        (self.key(kinds), at, declared.has_values.then(|| json!(self.below(5)).to_string()))
    }

    fn arguments(&mut self, kinds: &[Vec<Value>], declared: &ViewIndex) -> Value {
        let mut arguments = json!({ "first": 1 + self.below(6), "order": self.one_of(&["asc", "desc"]) });
        for name in ["key", "gt", "gte", "lt", "lte"] {
            if self.below(5) == 0 {
                arguments[name] = shown(declared, &self.key(kinds));
            }
        }
        if self.below(3) == 0 {
            let key = self.key(kinds);
            match (&declared.parts, &key[0]) {
                (None, Value::String(text)) => {
                    let chars = text.chars().count();
                    arguments["prefix"] = text.chars().take(self.below(chars + 1)).collect::<String>().into();
                }
                (None, _) => {}
                (Some(names), _) => {
                    let given = self.below(names.len() + 1);
                    arguments["prefix"] = names.iter().cloned().zip(key).take(given).collect();
                }
            }
        }
        arguments
    }
}

#[test]
fn pages_are_at_all_times_those_computed_from_nothing() {
    const SEEDS: u64 = 1_000;
    let texts = ["", "a", "aa", "ab", "b", "\u{ffff}", "\u{ffff}x", "\u{1f600}", "\u{1f600}x", "\u{1f601}"];
    let kinds = [
        texts.map(Value::from).to_vec(),
        vec![json!(0), json!(-0.0), json!(-3), json!(0.1), json!(1e21), json!(5e-324)],
        vec![json!(false), json!(true)],
        vec![json!(null), json!("a"), json!("b")],
    ];
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let parts = random.one_of(&[1, 1, 2, 3]);
        // A key of one part is never null.
        let kinds: Vec<Vec<Value>> =
            (0..parts).map(|_| random.one_of(&kinds[..if parts == 1 { 3 } else { 4 }])).collect();
        let declared = declared(parts, random.below(3), random.below(2) == 0);
        let ids = random.one_of(&[3, 12, 30]);
        let (mut index, mut documents) = (index_of_declared(&declared), BTreeMap::<usize, Vec<Said>>::new());
        for _ in 0..4 {
            for _ in 0..random.below(ids) + 1 {
                let n = random.below(ids);
                let len = random.one_of(&[0, 1, 1, 1, 2, 4]);
                let mut said: Vec<Said> = (0..len).map(|_| random.said(&kinds, &declared)).collect();
                // Some stay the same in part, or altogether.
                if let Some(old) = documents.get(&n)
                    && random.below(3) == 0
                {
                    let kept = random.below(old.len() + 1);
                    said.splice(..kept.min(said.len()), old[..kept].iter().cloned());
                }
                set(&mut index, n, &said);
                documents.insert(n, said);
            }
            for _ in 0..2 {
                let arguments = random.arguments(&kinds, &declared);
                compare(&declared, &index, &arguments, &documents, seed);
            }
            let entries: usize = documents.values().map(Vec::len).sum();
            assert_eq!(index.entries(), entries, "seed {seed}");
        }
        for n in 0..ids {
            set(&mut index, n, &[]);
        }
        assert_eq!((index.documents(), index.entries(), index.bytes), (0, 0, 0), "seed {seed}");
    }
}

#[test]
fn arguments_that_ask_for_nothing_are_told() {
    let several = declared(3, 0, false);
    let told = |arguments: Value| Question::parse("v", &several, &arguments).map(|_| ()).unwrap_err().to_string();
    let lines = [
        json!({ "first": 1001 }),
        json!({ "first": -1 }),
        json!({ "last": 1001 }),
        json!({ "first": 1, "last": 1 }),
        json!({ "before": "x" }),
        json!({ "prefix": { "part1": "a" } }),
        json!({ "prefix": { "part0": "a", "part2": "a" } }),
        json!({ "after": "" }),
        json!({ "after": cursor::write("v", &Key::One(Part::Is(Scalar::Null)), &Place { document: id(1), contribution: 0 }) }),
    ];
    expect_test::expect![[r#"
        args.first: a page of an index has from 0 to 1000 entries; ask for more with `after` or `before`
        args.first: a page of an index has from 0 to 1000 entries; ask for more with `after` or `before`
        args.last: a page of an index has from 0 to 1000 entries; ask for more with `after` or `before`
        args.last: it stands with `first`: say one of them
        args.before: this is not a cursor
        args.prefix: `part1` is of no use without `part0`, which comes before it in the key
        args.prefix: `part2` is of no use without `part1`, which comes before it in the key
        args.after: this is not a cursor
        args.after: this cursor belongs to another query, or its index has changed: start again without it"#]]
    .assert_eq(&lines.map(told).join("\n"));
}

#[test]
fn bounds_that_leave_nothing_between_them_are_no_mistake() {
    let declared = declared(1, 0, false);
    let mut index = index_of_declared(&declared);
    set(&mut index, 1, &[(vec![json!(5)], vec![], None)]);
    let none = [
        json!({ "gt": 7, "lt": 3 }),
        json!({ "gt": 5, "lt": 5 }),
        json!({ "key": 5, "gt": 5 }),
        json!({ "gt": 5 }),
        json!({ "first": 0, "gt": 5 }),
    ];
    for arguments in none {
        let Question { range, window } = Question::parse("v", &declared, &arguments).unwrap();
        let nothing = Page { entries: vec![], more: false, others: false };
        assert_eq!(index.page(&range, &window), nothing, "{arguments}");
    }
    let page = |size: usize, order: &str| {
        let arguments = json!({ "gte": 5, "lte": 5, "first": size, "order": order });
        let Question { range, window } = Question::parse("v", &declared, &arguments).unwrap();
        index.page(&range, &window)
    };
    assert_eq!(page(0, "asc"), Page { entries: vec![], more: true, others: false });
    assert_eq!(page(1, "desc").entries.len(), 1);
}

#[test]
fn a_page_costs_no_more_where_there_are_many_entries() {
    const ENTRIES: usize = 100_000;
    let declared = declared(1, 0, false);
    let mut index = index_of_declared(&declared);
    for n in 0..ENTRIES {
        let contribution = Contribution { key: Scalar::Number((n * 7919 % ENTRIES) as f64), values: vec![] };
        let packed = index.pack(vec![contribution]);
        index.put(&DocumentId::generate(n as u64, 0), packed);
    }
    let bytes = index.bytes() / ENTRIES;
    assert!(bytes < 400, "{bytes}");
    // Reading all for each page would take hours.
    let mut after = json!({ "first": 10, "gte": 1000 });
    for page in 0..2_000 {
        let Question { range, window } = Question::parse("v", &declared, &after).unwrap();
        let Page { entries, more, .. } = index.page(&range, &window);
        let keys: Vec<Value> = entries.iter().flat_map(|entry| entry.key.scalars().map(Scalar::to_value)).collect();
        let wanted: Vec<Value> = (0..10).map(|n| json!(1000 + page * 10 + n)).collect();
        assert_eq!((keys, more), (wanted, true));
        let last = entries.last().unwrap();
        after["after"] = json!(cursor::write("v", &last.key, &last.place));
    }
}

//! Random transactions on the store and on a plain map give the same answers.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use weir_schema::id::DocumentId;
use weir_store::{CommitError, Direction, End as Side, NoSavepoint, Range, ReadSet, Rows, Scan, Store, Transaction};

use crate::support::{declare, id, open, options};

const DECLARED: &str = "things:a b u; a a+b !u";

type Model = BTreeMap<DocumentId, Map<String, Value>>;

#[derive(Debug, Clone)]
enum Step {
    Put(DocumentId, Map<String, Value>),
    Delete(DocumentId),
    Get(DocumentId),
    Scan(Scan),
    Pages(Scan, usize),
    Savepoint,
    /// Of the savepoints that are set, one by its place; without any the number 1 is refused.
    RollBack(Index),
    Release(Index),
}

#[derive(Debug, Clone)]
enum Round {
    Transaction(Vec<Step>, End),
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Commit,
    Drop,
}

fn ids() -> impl Strategy<Value = DocumentId> {
    select(vec!["a", "b", "c", "d", "e", "f"]).prop_map(id)
}

fn values() -> impl Strategy<Value = Value> {
    select(vec![json!(null), json!(-1), json!(0), json!(2.5), json!(""), json!("x"), json!("x\0y"), json!("xy")])
}

fn documents() -> impl Strategy<Value = Map<String, Value>> {
    let unique = prop_oneof![3 => Just(json!(null)), 2 => (0..12).prop_map(Value::from)];
    (proptest::option::of(values()), values(), unique).prop_map(|(a, b, u)| {
        let members = [("a", a), ("b", Some(b)), ("u", Some(u))];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    })
}

fn ranges(field: &'static str) -> impl Strategy<Value = Range> {
    let bound = || proptest::option::of(values().prop_filter("no null bounds", |value| !value.is_null()));
    (bound(), bound(), bound(), bound()).prop_map(|(gt, gte, lt, lte)| Range {
        field: field.to_owned(),
        gt,
        gte,
        lt,
        lte,
    })
}

/// Scans that some declared index serves.
fn scans() -> impl Strategy<Value = Scan> {
    let direction = || select(vec![Direction::Asc, Direction::Desc]);
    let ordered = |field: &'static str| direction().prop_map(move |direction| Some((field.to_owned(), direction)));
    let base = |equal: Vec<(String, Value)>, range, order| Scan { equal, range, order, ..Scan::default() };
    prop_oneof![
        ordered("id").prop_map(move |order| base(vec![], None, order)),
        (values(), ordered("b")).prop_map(move |(a, order)| base(vec![("a".to_owned(), a)], None, order)),
        (values(), ranges("b"), ordered("b")).prop_map(move |(a, range, order)| base(
            vec![("a".to_owned(), a)],
            Some(range),
            order
        )),
        (values(), values()).prop_map(move |(a, b)| base(vec![("b".to_owned(), b), ("a".to_owned(), a)], None, None)),
        (ranges("a"), ordered("a")).prop_map(move |(range, order)| base(vec![], Some(range), order)),
        (ranges("u"), ordered("u")).prop_map(move |(range, order)| base(vec![], Some(range), order)),
        (0..12).prop_map(move |u| base(vec![("u".to_owned(), json!(u))], None, None)),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (ids(), documents()).prop_map(|(id, document)| Step::Put(id, document)),
        1 => ids().prop_map(Step::Delete),
        1 => ids().prop_map(Step::Get),
        2 => (scans(), proptest::option::of(0..4usize)).prop_map(|(scan, limit)| Step::Scan(Scan { limit, ..scan })),
        1 => (scans(), 1..4usize).prop_map(|(scan, size)| Step::Pages(scan, size)),
        1 => Just(Step::Savepoint),
        1 => any::<Index>().prop_map(Step::RollBack),
        1 => any::<Index>().prop_map(Step::Release),
    ]
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let transaction = (proptest::collection::vec(steps(), 1..20), select(vec![End::Commit, End::Commit, End::Drop]))
        .prop_map(|(steps, end)| Round::Transaction(steps, end));
    proptest::collection::vec(prop_oneof![9 => transaction, 1 => Just(Round::Reopen)], 1..16)
}

/// What one index component sorts by: its kind, then its value. `Value` itself has no order.
fn rank(value: &Value) -> (u8, f64, String) {
    match value {
        Value::Number(number) => (1, number.as_f64().unwrap(), String::new()),
        Value::String(text) => (2, 0.0, text.clone()),
        _ => (0, 0.0, String::new()),
    }
}

fn naive_scan(model: &Model, scan: &Scan) -> Vec<(DocumentId, Map<String, Value>)> {
    let member = |document: &Map<String, Value>, field: &str| document.get(field).cloned().unwrap_or(Value::Null);
    let mut found: Vec<_> = model
        .iter()
        .filter(|(_, document)| scan.equal.iter().all(|(field, value)| rank(&member(document, field)) == rank(value)))
        .filter(|(_, document)| {
            let Some(range) = &scan.range else { return true };
            let value = rank(&member(document, &range.field));
            let all = [&range.gt, &range.gte, &range.lt, &range.lte];
            if all.iter().any(|bound| bound.is_some()) && value.0 == 0 {
                return false;
            }
            range.gt.as_ref().is_none_or(|bound| value > rank(bound))
                && range.gte.as_ref().is_none_or(|bound| value >= rank(bound))
                && range.lt.as_ref().is_none_or(|bound| value < rank(bound))
                && range.lte.as_ref().is_none_or(|bound| value <= rank(bound))
        })
        .map(|(id, document)| (id.clone(), document.clone()))
        .collect();
    if let Some((field, direction)) = &scan.order {
        found.sort_by(|(left, first), (right, second)| {
            let order = rank(&member(first, field)).partial_cmp(&rank(&member(second, field))).unwrap();
            order.then_with(|| left.cmp(right))
        });
        if *direction == Direction::Desc {
            found.reverse();
        }
    }
    found
}

fn text(id: &DocumentId, document: &Map<String, Value>) -> Value {
    let mut whole = Map::new();
    whole.insert("id".to_owned(), json!(id.as_str()));
    whole.extend(document.clone());
    Value::Object(whole)
}

fn found(transaction: &mut Transaction, scan: &Scan) -> (Vec<Value>, bool, Option<weir_store::Position>) {
    let rows = transaction.scan("things", scan).unwrap_or_else(|error| panic!("{scan:?}: {error}"));
    let last = rows.rows.last().map(|row| row.position.clone());
    (rows.rows.iter().map(|row| serde_json::from_slice(&row.document).unwrap()).collect(), rows.more, last)
}

/// `saved` has the model of each savepoint that is set.
fn take_step(transaction: &mut Transaction, model: &mut Model, saved: &mut Vec<Model>, step: Step) {
    let place = |index: Index, saved: &[Model]| if saved.is_empty() { 0 } else { index.index(saved.len()) };
    match step {
        Step::Savepoint => {
            saved.push(model.clone());
            assert_eq!(transaction.set_savepoint(), saved.len());
        }
        Step::RollBack(index) => {
            let place = place(index, saved);
            let rolled_back = transaction.roll_back(place + 1);
            match saved.drain(place.min(saved.len())..).next() {
                Some(before) => *model = before,
                None => assert_eq!(rolled_back, Err(NoSavepoint { number: 1 })),
            }
        }
        Step::Release(index) => {
            let place = place(index, saved);
            let released = transaction.release(place + 1);
            assert_eq!(released.is_err(), saved.drain(place.min(saved.len())..).next().is_none());
        }
        Step::Put(id, document) => {
            let stored = transaction.put("things", &id, document.clone()).unwrap();
            assert_eq!(stored, text(&id, &document).to_string());
            model.insert(id, document);
        }
        Step::Delete(id) => {
            assert_eq!(transaction.delete("things", &id).unwrap().existed, model.remove(&id).is_some());
        }
        Step::Get(id) => {
            let stored = transaction.get("things", &id).unwrap();
            assert_eq!(stored, model.get(&id).map(|document| text(&id, document).to_string().into()));
        }
        Step::Scan(scan) => {
            let expected: Vec<Value> = naive_scan(model, &scan).iter().map(|(id, d)| text(id, d)).collect();
            let limit = scan.limit.unwrap_or(usize::MAX);
            let (rows, more, _) = found(transaction, &scan);
            assert_eq!(rows, expected[..expected.len().min(limit)], "{scan:?}");
            assert_eq!(more, expected.len() > limit, "{scan:?}");
            assert_eq!(transaction.count("things", &scan).unwrap(), expected.len().min(limit) as u64);
        }
        Step::Pages(scan, size) => {
            // Pages along a unique index go by its keys, which a transaction may hold twice before it commits.
            if has_duplicates(model) {
                return;
            }
            let expected: Vec<Value> = naive_scan(model, &scan).iter().map(|(id, d)| text(id, d)).collect();
            for from in [Side::First, Side::Last] {
                let mut all = Vec::new();
                let mut page = Scan { limit: Some(size), from, ..scan.clone() };
                loop {
                    let Rows { rows, more, others } = transaction.scan("things", &page).unwrap();
                    assert_eq!(others, !all.is_empty(), "{page:?}");
                    let read = rows.iter().map(|row| serde_json::from_slice::<Value>(&row.document).unwrap());
                    match from {
                        Side::First => all.extend(read),
                        Side::Last => drop(all.splice(0..0, read)),
                    }
                    match from {
                        Side::First => page.after = rows.last().map(|row| row.position.clone()),
                        Side::Last => page.before = rows.first().map(|row| row.position.clone()),
                    }
                    if !more {
                        break;
                    }
                }
                assert_eq!(all, expected, "{scan:?} by {size} from {from:?}");
            }
        }
    }
}

/// A scan that was made on the store, what it found and what it read.
struct Watch {
    scan: Scan,
    rows: Rows,
    read_set: ReadSet,
}

fn watch(store: &Store, scan: Scan) -> Watch {
    let mut transaction = store.begin().unwrap();
    let rows = transaction.scan("things", &scan).unwrap();
    Watch { scan, rows, read_set: transaction.into_read_set() }
}

/// A scan, and the pages that follow it from both ends.
fn watch_pages(store: &Store, scan: &Scan) -> Vec<Watch> {
    let first = watch(store, scan.clone());
    let last = watch(store, Scan { from: Side::Last, ..scan.clone() });
    let after = first.rows.rows.last().map(|row| Scan { after: Some(row.position.clone()), ..scan.clone() });
    let before = last.rows.rows.first().map(|row| row.position.clone());
    let before = before.map(|position| Scan { before: Some(position), ..last.scan.clone() });
    let following: Vec<Watch> = after.into_iter().chain(before).map(|scan| watch(store, scan)).collect();
    [first, last].into_iter().chain(following).collect()
}

/// What a commit does not touch is as it was.
fn is_unchanged(store: &Store, before: &Watch) -> bool {
    let now = watch(store, before.scan.clone());
    assert_eq!(now.rows, before.rows, "{:?} changed unnoticed", before.scan);
    true
}

fn has_duplicates(model: &Model) -> bool {
    let mut taken: Vec<_> = model.values().filter_map(|document| document.get("u")?.as_i64()).collect();
    taken.sort_unstable();
    taken.windows(2).any(|pair| pair[0] == pair[1])
}

async fn run(rounds: Vec<Round>) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), options()).unwrap();
    store.apply_collections(&declare(&[DECLARED])).await.unwrap();
    let mut model = Model::new();
    let mut notices = store.notices();
    let mut watches: Vec<Watch> = Vec::new();
    for round in rounds {
        match round {
            Round::Reopen => {
                store.close().await;
                store = open(folder.path());
                notices = store.notices();
            }
            Round::Transaction(steps, end) => {
                let mut transaction = store.begin().unwrap();
                let mut changed = model.clone();
                let mut saved = Vec::new();
                for step in steps {
                    if let Step::Scan(scan) = &step {
                        watches.extend(watch_pages(&store, scan));
                    }
                    take_step(&mut transaction, &mut changed, &mut saved, step);
                }
                if let End::Drop = end {
                    continue;
                }
                match store.commit(transaction).await {
                    Ok(_) => {
                        assert!(!has_duplicates(&changed));
                        model = changed;
                        // A transaction that undid all its writes has no notice.
                        if let Ok(notice) = notices.try_recv() {
                            watches.retain(|watch| !watch.read_set.touches(&notice) && is_unchanged(&store, watch));
                        } else {
                            assert!(watches.iter().all(|watch| is_unchanged(&store, watch)));
                        }
                    }
                    Err(CommitError::Unique(_)) => assert!(has_duplicates(&changed)),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_like_a_map(rounds in rounds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(rounds));
    }
}

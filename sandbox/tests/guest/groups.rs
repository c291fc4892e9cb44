//! Views of groups: their rows, and what each document contributes to them, which come to the same.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use serde_json::{Map, Value, json};
use weir_schema::declarations::{Aggregate, FunctionKind};

use crate::harness::{Guest, query, run};

/// A view of this source, key and aggregates over these documents, as `f`.
fn view(arguments: &str, documents: &[Value]) -> Guest {
    let code = format!("export const f = view.groupBy({arguments});");
    let documents = Value::from(documents.to_vec()).to_string();
    Guest::of_kind(FunctionKind::View, &code).unwrap().with_documents(documents.leak())
}

/// The rows of a view, and what each document contributes.
fn check(arguments: &str, documents: &[Value], expected: Expect) {
    let mut guest = view(arguments, documents);
    let rows = guest.call("{}");
    let contributions = guest.call(&json!({ "documents": documents }).to_string());
    expected.assert_eq(&format!("{rows}\n{contributions}"));
}

#[test]
fn rows_and_contributions() {
    let orders = [
        json!({ "id": "1", "paid": true, "total": 0.1, "lines": [{ "p": "a", "n": 1 }, { "p": "b", "n": 5 }] }),
        json!({ "id": "2", "paid": true, "total": 0.2, "lines": [{ "p": "b", "n": 5 }, { "p": "a", "n": 7 }, { "p": "b", "n": 6 }] }),
        json!({ "id": "3", "paid": false, "total": 0.3 }),
        json!({ "id": "4", "paid": true, "total": -0.0, "lines": null }),
    ];
    check(
        "orders, (o) => o.paid, { n: count(), all: sum((o) => o.total), mean: avg((o) => o.total), low: min((o) => o.total), high: max((o) => o.id) }",
        &orders,
        expect![[r#"
            [{"key":false,"n":1,"all":0.3,"mean":0.3,"low":0.3,"high":"3"},{"key":true,"n":3,"all":0.30000000000000004,"mean":0.10000000000000002,"low":0,"high":"4"}]
            [[[true,1,0.1,0.1,0.1,"1"]],[[true,1,0.2,0.2,0.2,"2"]],[[false,1,0.3,0.3,0.3,"3"]],[[true,1,0,0,0,"4"]]]"#]],
    );
    check(
        "orders.filter((o) => o.paid), (o) => o.lines?.length, { best: top(2, (o) => o.total) }",
        &orders,
        expect![[r#"
            [{"key":null,"best":[{"id":"4","paid":true,"total":0,"lines":null}]},{"key":2,"best":[{"id":"1","paid":true,"total":0.1,"lines":[{"p":"a","n":1},{"p":"b","n":5}]}]},{"key":3,"best":[{"id":"2","paid":true,"total":0.2,"lines":[{"p":"b","n":5},{"p":"a","n":7},{"p":"b","n":6}]}]}]
            [[[2,0.1]],[[3,0.2]],[],[[null,0]]]"#]],
    );
    check(
        "orders.flatMap((o) => o.lines), (l) => l.p, { n: sum((l) => l.n), best: top(2, (l) => l.n) }",
        &orders,
        expect![[r#"
            [{"key":"a","n":8,"best":[{"p":"a","n":7},{"p":"a","n":1}]},{"key":"b","n":16,"best":[{"p":"b","n":6},{"p":"b","n":5}]}]
            [[["a",1,1,0],["b",5,5,1]],[["b",5,5,0],["a",7,7,1],["b",6,6,2]],[],[]]"#]],
    );
    check(
        "orders.filter((o) => o.total > 0.1).flatMap((o) => o.lines).filter((l) => l.n < 7), (l) => l.p, { n: count() }",
        &orders,
        expect![[r#"
            [{"key":"b","n":2}]
            [[],[["b",1],["b",1]],[],[]]"#]],
    );
    check(
        "orders, (o) => o.id, {}",
        &[],
        expect![[r#"
        []
        []"#]],
    );
}

#[test]
fn values_that_are_no_scalars() {
    let documents = [json!({ "id": "1" })];
    let values = [
        "undefined",
        "null",
        "-0",
        "NaN",
        "Infinity",
        "1n",
        "[1]",
        "{}",
        "() => 1",
        "Symbol('x')",
        "new Date(0)",
        "'x'",
        "false",
    ];
    let all = json!({ "documents": documents }).to_string();
    let both = |arguments: String| {
        let mut guest = view(&arguments, &documents);
        format!("{} {}", guest.call(&all), guest.call("{}"))
    };
    let lines = values.iter().map(|value| {
        let taken = both(format!("orders, () => 'k', {{ low: min(() => ({value})), best: top(1, () => ({value})) }}"));
        format!("{value} => {taken} | {}", both(format!("orders, () => ({value}), {{}}")))
    });
    expect![[r#"
        undefined => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | [[[null]]] [{"key":null}]
        null => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | [[[null]]] [{"key":null}]
        -0 => [[["k",0,0]]] [{"key":"k","low":0,"best":[{"id":"1"}]}] | [[[0]]] [{"key":0}]
        NaN => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | failed: TypeError: a key is NaN: give a string, a finite number, a boolean or null failed: TypeError: a key is NaN: give a string, a finite number, a boolean or null
        Infinity => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | failed: TypeError: a key is Infinity: give a string, a finite number, a boolean or null failed: TypeError: a key is Infinity: give a string, a finite number, a boolean or null
        1n => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | failed: TypeError: a key is 1n: give a string, a finite number, a boolean or null failed: TypeError: a key is 1n: give a string, a finite number, a boolean or null
        [1] => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | failed: TypeError: a key is an object: give a string, a finite number, a boolean or null failed: TypeError: a key is an object: give a string, a finite number, a boolean or null
        {} => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | failed: TypeError: a key is an object: give a string, a finite number, a boolean or null failed: TypeError: a key is an object: give a string, a finite number, a boolean or null
        () => 1 => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | failed: TypeError: a key is a function: give a string, a finite number, a boolean or null failed: TypeError: a key is a function: give a string, a finite number, a boolean or null
        Symbol('x') => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | failed: TypeError: a key is Symbol(x): give a string, a finite number, a boolean or null failed: TypeError: a key is Symbol(x): give a string, a finite number, a boolean or null
        new Date(0) => [[["k",null,null]]] [{"key":"k","low":null,"best":[]}] | failed: TypeError: a key is an object: give a string, a finite number, a boolean or null failed: TypeError: a key is an object: give a string, a finite number, a boolean or null
        'x' => [[["k","x","x"]]] [{"key":"k","low":"x","best":[{"id":"1"}]}] | [[["x"]]] [{"key":"x"}]
        false => [[["k",false,false]]] [{"key":"k","low":false,"best":[{"id":"1"}]}] | [[[false]]] [{"key":false}]"#]].assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn sums_of_what_is_no_number() {
    let sums = |total: Value| {
        let documents = [json!({ "id": "1", "total": 1 }), json!({ "id": "2", "total": total })];
        let mut guest = view("orders, () => 'k', { all: sum((o) => o.total), mean: avg((o) => o.total) }", &documents);
        format!("{total} => {} {}", guest.call("{}"), guest.call(&json!({ "documents": documents }).to_string()))
    };
    let lines: Vec<String> = [json!(null), json!(true), json!("2"), json!([2])].into_iter().map(sums).collect();
    expect![[r#"
        null => failed: TypeError: result[0].all is NaN, which JSON cannot hold [[["k",1,1]],[["k",null,null]]]
        true => failed: TypeError: result[0].all is NaN, which JSON cannot hold [[["k",1,1]],[["k",true,true]]]
        "2" => failed: TypeError: result[0].all is NaN, which JSON cannot hold [[["k",1,1]],[["k","2","2"]]]
        [2] => failed: TypeError: result[0].all is NaN, which JSON cannot hold [[["k",1,1]],[["k",null,null]]]"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn half_a_character_is_refused() {
    let documents = [json!({ "id": "1", "name": "😀" })];
    check(
        "orders, (o) => o.name[0], { n: count() }",
        &documents,
        expect![[r#"
        failed: TypeError: a value of key has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
        failed: TypeError: a value of key has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()"#]],
    );
    check(
        "orders, (o) => o.id, { best: top(1, (o) => o.name[0]) }",
        &documents,
        expect![[r#"
        failed: TypeError: a value of best has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
        failed: TypeError: a value of best has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()"#]],
    );
}

#[test]
fn only_the_host_asks_for_contributions() {
    let code = "export const g = view.groupBy(orders, (o) => o.total > 5, { n: count() });
                export const f = query(() => g({ documents: [{ total: 1 }] }));";
    expect![[r#"[{"key":false,"n":1},{"key":true,"n":1}]"#]].assert_eq(&run(FunctionKind::Query, code));
}

#[test]
fn what_views_cannot_be_made_of() {
    let load = |code: &str| format!("{code} => {}", run(FunctionKind::View, &format!("export const f = {code};")));
    let lines = [
        "view.groupBy()",
        "view.groupBy(5, (o) => o.total, {})",
        "view.groupBy([].filter((o) => o), (o) => o.total, {})",
        "view.groupBy(orders, 'total', {})",
        "view.groupBy(orders, (o) => o.total)",
        "view.groupBy(orders, (o) => o.total, { n: 5 })",
        "view.groupBy(orders, (o) => o.total, { n: { start: 0, add: (n) => n, end: (n) => n } })",
        "view.groupBy(orders.filter('paid'), (o) => o.total, {})",
        "view.groupBy(orders.flatMap(), (o) => o.total, {})",
        "view.groupBy(orders, (o) => o.total, { n: top(0, (o) => o.total) })",
        "view.groupBy(orders, (o) => o.total, { n: top(1001, (o) => o.total) })",
        "view.groupBy(orders, (o) => o.total, { n: top(1.5, (o) => o.total) })",
        "view.groupBy(orders, (o) => o.total, { n: top((o) => o.total) })",
        "view.groupBy(orders, (o) => o.total, { n: top(5) })",
        "view.groupBy(orders.flatMap((o) => o.total), (o) => o, {})",
    ];
    let lines: Vec<String> = lines.into_iter().map(load).collect();
    expect![[r#"
        view.groupBy() => does not load: TypeError: view.groupBy(undefined, ...): pass a collection, or filter(...) or flatMap(...) of one
        view.groupBy(5, (o) => o.total, {}) => does not load: TypeError: view.groupBy(5, ...): pass a collection, or filter(...) or flatMap(...) of one
        view.groupBy([].filter((o) => o), (o) => o.total, {}) => does not load: TypeError: view.groupBy(an object, ...): pass a collection, or filter(...) or flatMap(...) of one
        view.groupBy(orders, 'total', {}) => does not load: TypeError: view.groupBy(..., "total", ...): pass a function of a document
        view.groupBy(orders, (o) => o.total) => does not load: TypeError: view.groupBy(..., undefined): pass an object of aggregates
        view.groupBy(orders, (o) => o.total, { n: 5 }) => does not load: TypeError: view.groupBy: n is no aggregate: write count(), sum((o) => o.total) and the like
        view.groupBy(orders, (o) => o.total, { n: { start: 0, add: (n) => n, end: (n) => n } }) => does not load: TypeError: view.groupBy: n is no aggregate: write count(), sum((o) => o.total) and the like
        view.groupBy(orders.filter('paid'), (o) => o.total, {}) => does not load: TypeError: filter("paid"): pass a function of a document
        view.groupBy(orders.flatMap(), (o) => o.total, {}) => does not load: TypeError: flatMap(undefined): pass a function of a document
        view.groupBy(orders, (o) => o.total, { n: top(0, (o) => o.total) }) => does not load: TypeError: top(0, ...): pass a whole number from 1 to 1000
        view.groupBy(orders, (o) => o.total, { n: top(1001, (o) => o.total) }) => does not load: TypeError: top(1001, ...): pass a whole number from 1 to 1000
        view.groupBy(orders, (o) => o.total, { n: top(1.5, (o) => o.total) }) => does not load: TypeError: top(1.5, ...): pass a whole number from 1 to 1000
        view.groupBy(orders, (o) => o.total, { n: top((o) => o.total) }) => does not load: TypeError: top(a function, ...): pass a whole number from 1 to 1000
        view.groupBy(orders, (o) => o.total, { n: top(5) }) => does not load: TypeError: top(5, undefined): pass a function of a document
        view.groupBy(orders.flatMap((o) => o.total), (o) => o, {}) => failed: TypeError: flatMap was given 5: give a list"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn a_function_does_not_filter_a_collection() {
    let bodies = ["return orders.filter((o) => o.total > 5)", "return orders.flatMap((o) => o.lines).length"];
    let lines: Vec<String> = bodies.into_iter().map(query).collect();
    expect![[r#"
        failed: TypeError: orders.filter reads nothing, it is for view.groupBy(orders.filter(...), ...) and view.index: write orders.all().filter(...)
        failed: TypeError: orders.flatMap reads nothing, it is for view.groupBy(orders.flatMap(...), ...) and view.index: write orders.all().flatMap(...)"#]]
    .assert_eq(&lines.join("\n"));
}

/// Numbers that look random, by xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    /// A double of any size, or one near the largest, a half or the least of them.
    fn double(&mut self) -> f64 {
        let sign = if self.below(2) == 0 { 1.0 } else { -1.0 };
        match self.below(4) {
            0 => f64::from_bits(self.next() & !(1 << 62)) * sign,
            1 => sign * (f64::MAX - f64::from(self.below(3) as u32) * 2f64.powi(970)),
            2 => sign * 2f64.powi(i32::try_from(self.below(2000)).unwrap() - 1000),
            _ => sign * f64::from_bits(self.below(4)),
        }
    }
}

/// The double nearest to a sum, from a whole number of units of 2^-1074 in limbs of 32 bits, the lowest two of them zero.
fn nearest_sum(values: &[f64]) -> f64 {
    let mut limbs = [0i64; 72];
    for value in values {
        let (exponent, fraction) = (value.to_bits() >> 52 & 0x7ff, value.to_bits() & ((1 << 52) - 1));
        let (units, shift) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent as usize - 1) };
        let units = u128::from(units) << (shift % 32);
        for (i, limb) in limbs[shift / 32 + 2..][..3].iter_mut().enumerate() {
            let part = (units >> (32 * i) & 0xffff_ffff) as i64;
            *limb += if value.is_sign_negative() { -part } else { part };
        }
    }
    let carry = |limbs: &mut [i64; 72]| {
        limbs.iter_mut().fold(0, |carried, limb| {
            let sum = *limb + carried;
            *limb = sum & 0xffff_ffff;
            sum >> 32
        })
    };
    let sign = if carry(&mut limbs) < 0 { -1.0 } else { 1.0 };
    if sign < 0.0 {
        limbs = limbs.map(|limb| -limb);
        carry(&mut limbs);
    }
    let Some(highest) = limbs.iter().rposition(|limb| *limb != 0) else { return 0.0 };
    let three = limbs[highest - 2..=highest].iter().rev().fold(0u128, |high, limb| high << 32 | *limb as u128);
    let rest = limbs[..highest - 2].iter().any(|limb| *limb != 0);
    let exponent = 32 * (highest as i64 - 2) - 1074;
    let power = match exponent {
        1024.. => f64::INFINITY,
        -1022.. => f64::from_bits(((exponent + 1023) as u64) << 52),
        _ => f64::from_bits(1 << (exponent + 1074)),
    };
    sign * ((three | u128::from(rest)) as f64 * 2f64.powi(-64)) * power
}

#[test]
fn the_nearest_sum_of_the_test_itself() {
    assert_eq!(nearest_sum(&[0.1, 0.2, 0.3]), 0.6);
    assert_eq!(nearest_sum(&[0.1; 10]), 1.0);
    assert_eq!(nearest_sum(&[f64::MAX, f64::MAX, -f64::MAX, 1.0]), f64::MAX);
    assert_eq!(nearest_sum(&[f64::MAX, 2f64.powi(970)]), f64::INFINITY);
    assert_eq!(nearest_sum(&[1e308, 5e-324, -1e308]), 5e-324);
    assert_eq!(nearest_sum(&[-1.0, -2f64.powi(-53), -2f64.powi(-106)]), -1.0 - 2f64.powi(-52));
}

#[test]
fn sums_are_exact() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut sums: Vec<(Vec<f64>, f64)> = Vec::new();
    while sums.len() < 500 {
        let mut values: Vec<f64> = (0..=random.below(8)).map(|_| random.double()).collect();
        if random.below(3) == 0 {
            values.extend(values.clone().iter().map(|value| -value));
            values.push(random.double());
        }
        let sum = nearest_sum(&values);
        if sum.is_finite() {
            sums.push((values, sum));
        }
    }
    let documents: Vec<Value> = sums
        .iter()
        .enumerate()
        .flat_map(|(key, (values, _))| values.iter().map(move |value| json!({ "key": key, "value": value })))
        .collect();
    let rows =
        view("orders, (o) => o.key, { all: sum((o) => o.value), mean: avg((o) => o.value) }", &documents).call("{}");
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap_or_else(|_| panic!("{rows}"));
    assert_eq!(rows.len(), sums.len());
    for (row, (values, sum)) in rows.iter().zip(sums) {
        assert_eq!(row["all"].as_f64(), Some(sum), "{values:?}");
        assert_eq!(row["mean"].as_f64(), Some(sum / values.len() as f64), "{values:?}");
    }
}

/// A view, and its elements as Rust finds them in a document.
struct Case {
    arguments: &'static str,
    aggregates: &'static [(&'static str, Aggregate)],
    elements: fn(&Value) -> Vec<Value>,
}

const OF_DOCUMENTS: &[(&str, Aggregate)] = &[
    ("n", Aggregate::Count),
    ("all", Aggregate::Sum),
    ("mean", Aggregate::Avg),
    ("low", Aggregate::Min),
    ("high", Aggregate::Max),
    ("best", Aggregate::Top { n: 3 }),
];

const OF_LINES: &[(&str, Aggregate)] =
    &[("n", Aggregate::Count), ("sold", Aggregate::Sum), ("best", Aggregate::Top { n: 2 })];

fn lines(document: &Value) -> Vec<Value> {
    document["lines"].as_array().cloned().unwrap_or_default()
}

const CASES: [Case; 4] = [
    Case {
        arguments: "orders, (o) => o.kind, { n: count(), all: sum((o) => o.total), mean: avg((o) => o.total), low: min((o) => o.mark), high: max((o) => o.mark), best: top(3, (o) => o.mark) }",
        aggregates: OF_DOCUMENTS,
        elements: |document| vec![document.clone()],
    },
    Case {
        arguments: "orders.filter((o) => o.total > 0), (o) => o.mark, { n: count(), all: sum((o) => o.total), mean: avg((o) => o.total), low: min((o) => o.kind), high: max((o) => o.total), best: top(3, (o) => o.kind) }",
        aggregates: OF_DOCUMENTS,
        elements: |document| if document["total"].as_f64() > Some(0.0) { vec![document.clone()] } else { vec![] },
    },
    Case {
        arguments: "orders.flatMap((o) => o.lines), (l) => l.product, { n: count(), sold: sum((l) => l.quantity), best: top(2, (l) => l.quantity) }",
        aggregates: OF_LINES,
        elements: lines,
    },
    Case {
        arguments: "orders.filter((o) => o.kind !== 'a').flatMap((o) => o.lines).filter((l) => l.quantity !== 2), (l) => l.product, { n: count(), sold: sum((l) => l.quantity), best: top(2, (l) => l.product) }",
        aggregates: OF_LINES,
        elements: |document| {
            let lines = if document["kind"] == "a" { vec![] } else { lines(document) };
            lines.into_iter().filter(|line| line["quantity"] != 2).collect()
        },
    },
];

fn documents(random: &mut Random) -> Vec<Value> {
    let kinds = [
        json!("a"),
        json!("b"),
        json!(null),
        json!("\u{ffff}"),
        json!("😀"),
        json!(2),
        json!(-0.0),
        json!(true),
        json!(false),
    ];
    let marks = [json!(1), json!(2), json!(null), json!("x"), json!("y"), json!(true)];
    let document = |i: usize| {
        let line = |random: &mut Random| {
            let product = ["p", "q"][random.below(2) as usize];
            json!({ "product": product, "quantity": random.below(4), "at": random.below(1000) })
        };
        let mut document = json!({ "id": format!("{i:03}"), "total": random.double() * 2f64.powi(-20) });
        let mut set = |name: &str, value: Value| document[name] = value;
        if random.below(8) > 0 {
            set("kind", kinds[random.below(9) as usize].clone());
        }
        if random.below(8) > 0 {
            set("mark", marks[random.below(6) as usize].clone());
        }
        if random.below(8) > 0 {
            set("lines", (0..random.below(4)).map(|_| line(random)).collect());
        }
        document
    };
    (0..120).map(document).collect()
}

/// Null, booleans, numbers, strings by their UTF-16 code units.
fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        _ => 3,
    };
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap(),
        (Value::String(a), Value::String(b)) => a.encode_utf16().cmp(b.encode_utf16()),
        _ => Ordering::Equal,
    })
}

/// What the values of one group and their elements come to.
fn end(aggregate: Aggregate, group: &[(Value, Value)]) -> Value {
    let values = || group.iter().map(|(value, _)| value).filter(|value| !value.is_null());
    let sum = || nearest_sum(&values().map(|value| value.as_f64().unwrap()).collect::<Vec<_>>());
    match aggregate {
        Aggregate::Count => json!(group.len()),
        Aggregate::Sum => json!(sum()),
        Aggregate::Avg => json!(sum() / group.len() as f64),
        Aggregate::Min => values().min_by(|a, b| order(a, b)).cloned().unwrap_or_default(),
        Aggregate::Max => values().max_by(|a, b| order(a, b)).cloned().unwrap_or_default(),
        Aggregate::Top { n } => {
            let mut all: Vec<&(Value, Value)> = group.iter().filter(|(value, _)| !value.is_null()).collect();
            all.sort_by(|(a, _), (b, _)| order(b, a));
            all.into_iter().take(n as usize).map(|(_, element)| element.clone()).collect()
        }
    }
}

/// Values of one aggregate, each with its element.
type Column = Vec<(Value, Value)>;

/// Rows, from what each document contributes.
fn rows(case: &Case, documents: &[Value], contributions: &[Value]) -> Vec<Value> {
    let mut groups: BTreeMap<String, (Value, Vec<Column>)> = BTreeMap::new();
    assert_eq!(documents.len(), contributions.len());
    for (document, contributed) in documents.iter().zip(contributions) {
        let elements = (case.elements)(document);
        let contributed = contributed.as_array().unwrap();
        assert_eq!(elements.len(), contributed.len());
        for (element, contribution) in elements.iter().zip(contributed) {
            let [key, values @ ..] = contribution.as_array().unwrap().as_slice() else { panic!("{contribution}") };
            let (values, at) = values.split_at(case.aggregates.len());
            assert!(at.iter().all(Value::is_u64), "{contribution}");
            let empty = || (key.clone(), vec![Vec::new(); values.len()]);
            let (_, group) = groups.entry(key.to_string()).or_insert_with(empty);
            group.iter_mut().zip(values).for_each(|(column, value)| column.push((value.clone(), element.clone())));
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by(|(a, _), (b, _)| order(a, b));
    let row = |(key, columns): (Value, Vec<Column>)| {
        let mut row = Map::from_iter([("key".to_owned(), key)]);
        for ((name, aggregate), column) in case.aggregates.iter().zip(columns) {
            row.insert((*name).to_owned(), end(*aggregate, &column));
        }
        Value::Object(row)
    };
    groups.into_iter().map(row).collect()
}

/// Numbers alike, whether they are written as whole or not.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap() + 0.0),
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn contributions_come_to_the_rows() {
    let mut random = Random(7);
    for case in CASES {
        let documents = documents(&mut random);
        let mut guest = view(case.arguments, &documents);
        let parsed = |text: String| serde_json::from_str::<Vec<Value>>(&text).unwrap_or_else(|_| panic!("{text}"));
        let whole = parsed(guest.call("{}"));
        let contributions = parsed(guest.call(&json!({ "documents": documents }).to_string()));
        let rows = rows(&case, &documents, &contributions);
        assert!(rows.len() > 1);
        assert_eq!(plain(&whole.into()), plain(&rows.into()), "{}", case.arguments);
    }
}

//! Which index a scan is answered along, as tables.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use expect_test::{Expect, expect};
use serde_json::json;
use std::collections::BTreeMap;
use weir_schema::codec::key::CollectionNumber;

use super::*;
use crate::catalog::FieldKind;

/// `orders` with an index for each word: fields joined by `+`, `!` before a unique one.
fn orders(indexes: &str) -> Collection {
    let kinds = [
        ("customer", FieldKind::Plain),
        ("status", FieldKind::Plain),
        ("total", FieldKind::Plain),
        ("at", FieldKind::Moment),
        ("lines", FieldKind::List),
        ("extra", FieldKind::Json),
    ];
    let fields: BTreeMap<String, FieldKind> = kinds.map(|(name, kind)| (name.to_owned(), kind)).into();
    let indexes = indexes.split_whitespace().zip(1..).map(|(index, number)| Index {
        number: IndexNumber(number),
        unique: index.starts_with('!'),
        ids: None,
        state: if index.ends_with('?') { IndexState::Building } else { IndexState::Ready },
        fields: index
            .trim_matches(['!', '?'])
            .split('+')
            .map(|name| IndexField { name: name.to_owned(), order: fields[name].order().unwrap() })
            .collect(),
    });
    let indexes = indexes.collect();
    Collection {
        number: CollectionNumber(1),
        declared: true,
        fields,
        indexes,
        references: Vec::new(),
        held: Vec::new(),
    }
}

/// A scan as `where customer=1; range at gte="2026-01-01T00:00:00Z"; order at desc`.
fn parse(text: &str) -> Scan {
    let mut scan = Scan::default();
    for call in text.split(';').map(str::trim).filter(|call| !call.is_empty()) {
        let words: Vec<&str> = call.split(' ').collect();
        let value = |text: &str| serde_json::from_str(text).unwrap();
        match words[..] {
            ["where", pair] => {
                let (field, text) = pair.split_once('=').unwrap();
                scan.equal.push((field.to_owned(), value(text)));
            }
            ["range", field, ref bounds @ ..] => {
                let mut range = Range { field: field.to_owned(), ..Range::default() };
                for bound in bounds {
                    let (name, text) = bound.split_once('=').unwrap();
                    let place = match name {
                        "gt" => &mut range.gt,
                        "gte" => &mut range.gte,
                        "lt" => &mut range.lt,
                        _ => &mut range.lte,
                    };
                    *place = Some(value(text));
                }
                scan.range = Some(range);
            }
            ["order", field, direction] => {
                let direction = if direction == "desc" { Direction::Desc } else { Direction::Asc };
                scan.order = Some((field.to_owned(), direction));
            }
            _ => panic!("{call}"),
        }
    }
    scan
}

fn describe(collection: &Collection, scan: &Scan) -> String {
    let plan = match plan("orders", collection, scan) {
        Ok(plan) => plan,
        Err(error) => return error.to_string(),
    };
    let source = match plan.source {
        Source::Documents => "documents".to_owned(),
        Source::Index { number, .. } => {
            let index = collection.indexes.iter().find(|index| index.number == number).unwrap();
            index.field_names().join("+")
        }
    };
    let short = |key: &Key| match key.strip_prefix(plan.prefix.as_slice()) {
        Some(rest) => rest.escape_ascii().to_string(),
        None => "end".to_owned(),
    };
    let what = if plan.interval.is_empty() {
        "nothing".to_owned()
    } else if plan.is_point {
        format!("= {}", short(&plan.interval.start))
    } else {
        format!("{} .. {}", short(&plan.interval.start), short(&plan.interval.end))
    };
    let backwards = if plan.direction == Direction::Desc { " backwards" } else { "" };
    format!("{source} {what}{backwards}")
}

fn check(indexes: &str, scans: &[&str], expected: Expect) {
    let collection = orders(indexes);
    let table: String =
        scans.iter().map(|scan| format!("{scan:<40} {}\n", describe(&collection, &parse(scan)))).collect();
    expected.assert_eq(&table);
}

#[test]
fn equalities_and_orders_find_their_index() {
    check(
        "!total customer+at status",
        &[
            "",
            "order id desc",
            "where customer=\"c\"",
            "where customer=null",
            "where customer=\"c\"; order at desc",
            "where customer=\"c\"; order customer desc",
            "where status=\"open\"; order id desc",
            "order customer asc",
            "where total=1",
            "where total=null",
            "order total desc",
        ],
        expect![[r#"
                                                     documents  .. end
            order id desc                            documents  .. end backwards
            where customer="c"                       customer+at \x06c\x00\x01 .. \x06c\x00\x02
            where customer=null                      customer+at \x01 .. \x02
            where customer="c"; order at desc        customer+at \x06c\x00\x01 .. \x06c\x00\x02 backwards
            where customer="c"; order customer desc  customer+at \x06c\x00\x01 .. \x06c\x00\x02 backwards
            where status="open"; order id desc       status \x06open\x00\x01 .. \x06open\x00\x02 backwards
            order customer asc                       customer+at  .. end
            where total=1                            total = \x04\xbf\xf0\x00\x00\x00\x00\x00\x00
            where total=null                         total \x01 .. \x02
            order total desc                         total  .. end backwards
        "#]],
    );
}

#[test]
fn ranges_leave_nulls_out() {
    check(
        "customer+status total",
        &[
            "range total",
            "range total gt=1",
            "range total gte=1 lt=2",
            "range total lte=1",
            "range total gt=2 lt=1",
            "where customer=\"c\"; range status gte=\"a\" lt=\"b\"; order status desc",
        ],
        expect![[r#"
            range total                              total  .. end
            range total gt=1                         total \x04\xbf\xf0\x00\x00\x00\x00\x00\x01 .. end
            range total gte=1 lt=2                   total \x04\xbf\xf0\x00\x00\x00\x00\x00\x00 .. \x04\xc0\x00\x00\x00\x00\x00\x00\x00
            range total lte=1                        total \x02 .. \x04\xbf\xf0\x00\x00\x00\x00\x00\x01
            range total gt=2 lt=1                    total nothing
            where customer="c"; range status gte="a" lt="b"; order status desc customer+status \x06c\x00\x01\x06a\x00\x01 .. \x06c\x00\x01\x06b\x00\x01 backwards
        "#]],
    );
}

#[test]
fn the_shortest_index_that_fits_is_taken() {
    check(
        "customer+at customer status+customer total?",
        &[
            "where customer=\"c\"",
            "where customer=\"c\"; where status=\"s\"",
            "where customer=\"c\"; order at asc",
            "where total=1",
        ],
        expect![[r#"
            where customer="c"                       customer \x06c\x00\x01 .. \x06c\x00\x02
            where customer="c"; where status="s"     status+customer \x06s\x00\x01\x06c\x00\x01 .. \x06s\x00\x01\x06c\x00\x02
            where customer="c"; order at asc         customer+at \x06c\x00\x01 .. \x06c\x00\x02
            where total=1                            orders has no index for where("total"): declare index: ["total"] in its collection
        "#]],
    );
}

#[test]
fn ids_are_an_index_of_their_own() {
    check(
        "status",
        &[
            "where id=\"a\"",
            "where id=1",
            "where id=\"\"",
            "range id gte=\"a\" lt=\"b\"; order id desc",
            "range id gt=\"a\"",
            "where id=\"a\"; where status=\"s\"",
            "where status=\"s\"; range id gt=\"a\"",
            "range id gt=\"a\"; order status asc",
        ],
        expect![[r#"
            where id="a"                             documents = a
            where id=1                               documents nothing
            where id=""                              documents nothing
            range id gte="a" lt="b"; order id desc   documents a .. b backwards
            range id gt="a"                          documents a\x00 .. end
            where id="a"; where status="s"           orders: "id" cannot be combined with other fields; filter the result
            where status="s"; range id gt="a"        orders: "id" cannot be combined with other fields; filter the result
            range id gt="a"; order status asc        orders: "id" cannot be combined with other fields; filter the result
        "#]],
    );
}

#[test]
fn what_no_index_serves_is_explained() {
    check(
        "status customer+at",
        &[
            "where customer=\"c\"; where status=\"s\"",
            "where customer=\"c\"; order total asc",
            "where total=1",
            "range at gt=\"2026-01-01T00:00:00Z\"",
            "where status=\"s\"; range at gt=\"2026-01-01T00:00:00Z\"; order at asc",
            "range at gt=\"2026-01-01T00:00:00Z\"; order total asc",
            "order total asc",
            "range customer gt=\"c\"; order id asc",
            "where nothing=1",
            "where lines=1",
            "order extra asc",
            "where status=\"s\"; where status=\"t\"",
            "where status=\"s\"; range status gt=\"t\"",
            "where status=[1]",
            "range customer gt=null",
            "where customer=\"c\"; range at gt=\"soon\"",
        ],
        expect![[r#"
            where customer="c"; where status="s"     orders has no index for where("customer").where("status"): declare index: [["customer", "status"]] in its collection
            where customer="c"; order total asc      orders has no index for where("customer").orderBy("total"): declare index: [["customer", "total"]] in its collection
            where total=1                            orders has no index for where("total"): declare index: ["total"] in its collection
            range at gt="2026-01-01T00:00:00Z"       orders has no index for range("at"): declare index: ["at"] in its collection
            where status="s"; range at gt="2026-01-01T00:00:00Z"; order at asc orders has no index for where("status").range("at").orderBy("at"): declare index: [["status", "at"]] in its collection
            range at gt="2026-01-01T00:00:00Z"; order total asc orders: range("at").orderBy("total") cannot be answered by one index: order by the field of the range, or sort the result
            order total asc                          orders has no index for orderBy("total"): declare index: ["total"] in its collection
            range customer gt="c"; order id asc      orders: range("customer").orderBy("id") cannot be answered by one index: order by the field of the range, or sort the result
            where nothing=1                          orders has no field "nothing"
            where lines=1                            orders.lines is a list and cannot be used in where, range or orderBy
            order extra asc                          orders.extra is JSON and cannot be used in where, range or orderBy
            where status="s"; where status="t"       orders: where("status") stands twice; keep one
            where status="s"; range status gt="t"    orders: "status" has both where and range; keep one
            where status=[1]                         orders.status: arrays and objects cannot be indexed
            range customer gt=null                   orders.customer: a bound of a range cannot be null; leave it out, or use where("customer", null)
            where customer="c"; range at gt="soon"   orders.at: not a date and time as RFC 3339 writes it, such as 2026-11-22T09:30:00Z
        "#]],
    );
}

#[test]
fn positions_fit_their_own_query_only() {
    let collection = orders("customer status");
    let position = |index, suffix: &[u8]| Position { collection: CollectionNumber(1), index, suffix: suffix.to_vec() };
    let first = Some(IndexNumber(1));
    let table = [
        ("where customer=\"c\"", position(first, b"\x06c\0\x01id"), true),
        ("where customer=\"c\"; order customer desc", position(first, b"\x06c\0\x01id"), true),
        ("where customer=\"d\"", position(first, b"\x06c\0\x01id"), false),
        ("where status=\"c\"", position(first, b"\x06c\0\x01id"), false),
        ("", position(first, b"\x06c\0\x01id"), false),
        ("", position(None, b"id"), true),
        ("range customer gt=\"d\"", position(first, b"\x06c\0\x01id"), true),
    ];
    for (text, after, fits) in table {
        let result = plan("orders", &collection, &Scan { after: Some(after), ..parse(text) });
        let foreign = matches!(result, Err(ScanError::Cursor(BadCursor::Foreign)));
        assert_eq!(!foreign, fits, "{text}");
    }
    let other = Position { collection: CollectionNumber(2), ..position(None, b"id") };
    let scan = Scan { after: Some(other), ..Scan::default() };
    assert_eq!(plan("orders", &collection, &scan), Err(ScanError::Cursor(BadCursor::Foreign)));
}

#[test]
fn moments_are_compared_as_moments() {
    let collection = orders("at");
    let with = |text: &str| Scan { equal: vec![("at".to_owned(), json!(text))], ..Scan::default() };
    let utc = plan("orders", &collection, &with("2026-01-01T00:00:00Z"));
    assert_eq!(utc, plan("orders", &collection, &with("2026-01-01T01:00:00.000+01:00")));
    assert!(utc.is_ok());
}

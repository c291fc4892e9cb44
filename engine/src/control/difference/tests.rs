//! What is told of two apps, and which version it takes.

use expect_test::{Expect, expect};
use weir_schema::codec::usage::UsageRecord;
use weir_schema::digest::Digest;

use super::*;
use weir_sandbox::compile::Sources;

const TOML: &str = "name = \"shop\"\nversion = \"1.2.0\"\n";
const COLLECTIONS: &str = "import { collection, type Float, type Ref } from \"weir\";
export interface Customer { name: string; email: string }
export interface Order { customer: Ref<Customer>; total: Float; note?: string; status: \"open\" | \"paid\" }
export const customers = collection<Customer>({ unique: [\"email\"] });
export const orders = collection<Order>({ index: [\"customer\"] });
";
const FUNCTIONS: &str = "import { query, procedure, http, action, type Doc, type ID, type Int, type Float } from \"weir\";
import { orders, type Order } from \"../collections\";
export const ordersOf = query((args: { customer: ID; limit?: Int }): Doc<Order>[] => orders.where(\"customer\", args.customer).take(args.limit ?? 20));
export const placeOrder = procedure((args: { order: Order }): Doc<Order> => orders.insert(args.order));
export const count = query((): Int => orders.count());
export const hook = http.post(\"/hook\", action(async () => ({ status: 200 })));
";
const POLICIES: &str = "@id(\"all\") permit (principal, action, resource);";

fn described_of(files: [&str; 4]) -> Described {
    let [toml, collections, functions, policies] = files;
    let sources = Sources::from_texts([
        ("app.toml".to_owned(), toml.to_owned()),
        ("collections.ts".to_owned(), collections.to_owned()),
        ("functions/t.ts".to_owned(), functions.to_owned()),
        ("policies.cedar".to_owned(), policies.to_owned()),
    ]);
    let app = compile(&sources).unwrap_or_else(|mistakes| panic!("{}", told(&mistakes)));
    describe(&app).unwrap()
}

fn between(edits: &[(&str, &str)]) -> Difference {
    let old = [TOML, COLLECTIONS, FUNCTIONS, POLICIES];
    let mut new = old.map(str::to_owned);
    for (from, to) in edits {
        let place = new.iter().position(|text| text.contains(from)).unwrap_or_else(|| panic!("{from}"));
        new[place] = new[place].replace(from, to);
    }
    let new = new.each_ref().map(String::as_str);
    let mut usage = Usage::default();
    let counts = [("Order.total", 1_203, 0), ("ordersOf", 3, 0), ("placeOrder", 2, 0), ("POST /hook", 1, 0)];
    let used = counts.map(|(name, count, last_ms)| (name.to_owned(), (count, last_ms).into())).into();
    usage.add(UsageRecord { used });
    Difference::of(&described_of(old), &described_of(new), Some(&Known { usage, now_ms: 120_000 })).unwrap()
}

fn check(edits: &[(&str, &str)], expected: Expect) {
    let difference = between(edits);
    let lines = difference.lines(Level::Internal).join("\n");
    expected.assert_eq(&format!("at least {}\n{lines}\n", difference.least_version));
}

#[test]
fn what_clients_use_is_not_taken_away_by_a_small_version() {
    check(
        &[("total: Float; note?: string", "note?: string")],
        expect![[r#"
        at least 2.0.0
        breaking type Order.total: Order.total was removed. It was selected 1,203 times in the last 30 days, last 2 minutes ago.
        breaking type OrderInput.total: OrderInput.total was removed. placeOrder, which clients come to it by, was called 2 times in the last 30 days, last 2 minutes ago.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal collection orders.total: Documents have no member orders.total any more.
    "#]],
    );
    check(
        &[("note?: string", "note: string")],
        expect![[r#"
        at least 2.0.0
        breaking type OrderInput.note: OrderInput.note changed type from String to String!. placeOrder, which clients come to it by, was called 2 times in the last 30 days, last 2 minutes ago.
        addition type Order.note: Order.note changed type from String to String!.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal collection orders.note: The member orders.note has another type.
    "#]],
    );
    check(
        &[("total: Float", "total?: Float")],
        expect![[r#"
        at least 2.0.0
        breaking type Order.total: Order.total changed type from Float! to Float. It was selected 1,203 times in the last 30 days, last 2 minutes ago.
        addition type OrderInput.total: OrderInput.total changed type from Float! to Float.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal collection orders.total: The member orders.total has another type.
    "#]],
    );
    check(
        &[("\"open\" | \"paid\"", "\"open\"")],
        expect![[r#"
        at least 2.0.0
        breaking type Order.status: Order.status changed type from OrderStatus! to String!. It was selected by nobody in the last 30 days.
        breaking type OrderStatus: OrderStatus was removed. The functions that clients come to it by (ordersOf, placeOrder) were called 5 times in the last 30 days, last 2 minutes ago.
        breaking type OrderInput.status: OrderInput.status changed type from OrderStatus! to String!. placeOrder, which clients come to it by, was called 2 times in the last 30 days, last 2 minutes ago.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal collection orders.status: The member orders.status has another type.
    "#]],
    );
    check(
        &[("limit?: Int", "limit: Int")],
        expect![[r#"
            at least 2.0.0
            breaking function Query.ordersOf(limit:): Query.ordersOf arg limit has changed type from Int to Int!. ordersOf, which clients come to it by, was called 3 times in the last 30 days, last 2 minutes ago.
            internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        "#]],
    );
    check(
        &[("limit?: Int", "limit?: Float")],
        expect![[r#"
            at least 2.0.0
            breaking function Query.ordersOf(limit:): Query.ordersOf arg limit has changed type from Int to Float. ordersOf, which clients come to it by, was called 3 times in the last 30 days, last 2 minutes ago.
            internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        "#]],
    );
    check(
        &[("export const count = query", "export const count = procedure")],
        expect![[r#"
        at least 2.0.0
        breaking function Query.count: Query.count was removed. It was called by nobody in the last 30 days.
        breaking function Mutation.count: count was a query and is a procedure now. It was called by nobody in the last 30 days.
        addition function Mutation.count: Mutation.count was added.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal function Mutation.count: The code of count, or what it rests on, changed.
    "#]],
    );
    check(
        &[("export const count = query((): Int => orders.count());", "")],
        expect![[r#"
        at least 2.0.0
        breaking function Query.count: Query.count was removed. It was called by nobody in the last 30 days.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
    "#]],
    );
    check(
        &[("http.post(\"/hook\"", "http.put(\"/hook\"")],
        expect![[r#"
        at least 2.0.0
        breaking endpoint POST /hook: POST /hook was removed. It was called once in the last 30 days, last 2 minutes ago.
        addition endpoint PUT /hook: PUT /hook was added.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal function Query.count: The code of count, or what it rests on, changed.
    "#]],
    );
    check(
        &[("permit (principal, action, resource)", "forbid (principal, action, resource)")],
        expect![[r#"
        at least 2.0.0
        breaking policy "all": The policy "all" permitted something and forbids it now: access may narrow.
    "#]],
    );
}

#[test]
fn what_is_added_takes_a_minor_version() {
    check(
        &[("note?: string", "note?: string; more?: string")],
        expect![[r#"
        at least 1.3.0
        addition type OrderInput.more: An optional field more on input type OrderInput was added.
        addition type Order.more: Order.more was added.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal collection orders.more: Documents have a member orders.more besides.
    "#]],
    );
    check(
        &[("limit?: Int", "limit?: Int; skip?: Int")],
        expect![[r#"
        at least 1.3.0
        addition function Query.ordersOf(skip:): An optional arg skip on Query.ordersOf was added.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
    "#]],
    );
    check(
        &[("export const count", "export const twice = query((): Int => 2);\nexport const count")],
        expect![[r#"
        at least 1.3.0
        addition function Query.twice: Query.twice was added.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal function Query.count: The code of count, or what it rests on, changed.
    "#]],
    );
    check(
        &[("{ unique: [\"email\"] }", "{ unique: [\"email\", \"name\"] }")],
        expect![[r#"
        at least 1.3.0
        dangerous collection customers(name): The unique index customers(name) was added: writes that it stands against fail with CONFLICT.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal function Query.count: The code of count, or what it rests on, changed.
    "#]],
    );
    check(
        &[("version = \"1.2.0\"", "version = \"1.2.0\"\n[limits]\ncpu_ms = 10")],
        expect![[r#"
        at least 1.3.0
        dangerous limit limits.cpu_ms: limits.cpu_ms was narrowed from 1000 to 10.
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal function Query.count: The code of count, or what it rests on, changed.
    "#]],
    );
    check(
        &[(
            POLICIES,
            "@id(\"all\") permit (principal, action, resource);\n@id(\"more\") permit (principal, action, resource);",
        )],
        expect![[r#"
            at least 1.3.0
            addition policy "more": The policy "more" was added and permits something: access may widen.
        "#]],
    );
}

#[test]
fn what_nobody_sees_takes_a_patch() {
    check(
        &[],
        expect![[r#"
        at least 1.2.1

    "#]],
    );
    check(
        &[("?? 20", "?? 21")],
        expect![[r#"
        at least 1.2.1
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal function Query.count: The code of count, or what it rests on, changed.
    "#]],
    );
    check(
        &[("export const count = query", "/** How many there are. */\nexport const count = query")],
        expect![[r#"
        at least 1.2.1

    "#]],
    );
    check(
        &[("{ index: [\"customer\"] }", "{ index: [\"status\"] }")],
        expect![[r#"
        at least 1.2.1
        internal function Query.ordersOf: The code of ordersOf, or what it rests on, changed.
        internal function Mutation.placeOrder: The code of placeOrder, or what it rests on, changed.
        internal function Query.count: The code of count, or what it rests on, changed.
        internal collection orders(customer): The index orders(customer) was removed.
        internal collection orders(status): The index orders(status) was added.
    "#]],
    );
    check(
        &[("version = \"1.2.0\"", "version = \"1.2.0\"\nsecrets = [\"KEY\"]\n[fetch]\nhosts = [\"api.example\"]")],
        expect![[r#"
            at least 1.2.1
            internal host fetch.hosts api.example: fetch.hosts api.example was added.
            internal secret secrets KEY: secrets KEY was added.
        "#]],
    );
}

#[test]
fn a_version_that_is_too_small_is_told_with_who_would_notice() {
    let small = crate::control::judge::TooSmall(between(&[
        ("total: Float; note?: string", "note?: string"),
        ("1.2.0", "1.3.0"),
    ]));
    expect![[r#"
        shop 1.3.0 breaks clients of 1.2.0, so its version has to be 2.0.0 or later: raise it in app.toml and build it anew, or insist (weir deploy --force)
        breaking type Order.total: Order.total was removed. It was selected 1,203 times in the last 30 days, last 2 minutes ago.
        breaking type OrderInput.total: OrderInput.total was removed. placeOrder, which clients come to it by, was called 2 times in the last 30 days, last 2 minutes ago."#]].assert_eq(&small.to_string());
}

#[test]
fn a_release_is_found_by_its_names() {
    let record = |sequence: u64, version: &str| ReleaseRecord {
        app: "shop".to_owned(),
        tenant: None,
        version: version.to_owned(),
        sequence,
        digest: Digest::of(version.as_bytes()),
        signers: Vec::new(),
        deployed_ms: 0,
        deployed_by: String::new(),
    };
    let releases = vec![record(1, "1.0.0"), record(5, "1.1.0"), record(7, "1.0.0")];
    let known = OnRecord { releases, active: Some(5) };
    for (name, sequence) in
        [("active", Some(5)), ("1.0.0", Some(7)), ("1", Some(1)), ("1.1.0", Some(5)), ("5", Some(5)), ("2", None)]
    {
        assert_eq!(find(&known, name).ok().map(|release| release.sequence), sequence, "{name}");
    }
    assert_eq!(
        find(&OnRecord::default(), "active").unwrap_err().to_string(),
        "there is no release \"active\": weir releases list shows their versions and sequences, and active is the one that is served"
    );
}

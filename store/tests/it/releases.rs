//! Several releases at once on one catalog: it has what each of them declares.

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_schema::codec::key::{self, CollectionNumber};
use weir_schema::declarations::Declarations;
use weir_schema::narrowing::{DocumentType, Narrowing};
use weir_schema::references;
use weir_schema::shape::{Member, Shape, Slot};
use weir_store::{CatalogError, CommitError, HeldTo, Store, Unfit};

use crate::support::{change_raw, declare, doc, find, id, open, put_all, scan, store};

async fn apply(store: &Store, releases: &[(&str, &[&str])]) -> Result<(), CatalogError> {
    let declared: Vec<(&str, Declarations)> = releases.iter().map(|(name, lines)| (*name, declare(lines))).collect();
    let declared: Vec<(&str, &Declarations)> = declared.iter().map(|(name, declared)| (*name, declared)).collect();
    store.apply_releases(&declared).await
}

#[tokio::test]
async fn each_release_finds_its_indexes_and_collections_until_it_is_gone() {
    let old: &[&str] = &["orders:customer code; customer", "carts:code; code"];
    let new: &[&str] = &["orders:customer code; code", "notes:text; text"];
    let (store, _folder) = store(old).await;
    put_all(&store, "orders", &[("a", r#"{"customer":"x","code":"1"}"#), ("b", r#"{"customer":"y","code":"2"}"#)])
        .await
        .unwrap();
    put_all(&store, "carts", &[("a", r#"{"code":"1"}"#)]).await.unwrap();
    apply(&store, &[("1.1.0", new), ("1.0.0", old)]).await.unwrap();

    put_all(&store, "orders", &[("c", r#"{"customer":"x","code":"2"}"#)]).await.unwrap();
    let by_customer = scan(&[("customer", json!("x"))], "");
    let by_code = scan(&[("code", json!("2"))], "");
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "orders", &by_customer), "a c");
    assert_eq!(find(&mut transaction, "orders", &by_code), "b c");
    assert_eq!(find(&mut transaction, "carts", &scan(&[("code", json!("1"))], "")), "a");
    assert_eq!(find(&mut transaction, "notes", &scan(&[("text", json!("1"))], "")), "");

    let head = store.head();
    apply(&store, &[("1.1.0", new), ("1.0.0", old)]).await.unwrap();
    assert_eq!(store.head(), head, "what is there already changes nothing");

    apply(&store, &[("1.1.0", new)]).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert!(transaction.scan("orders", &by_customer).is_err());
    assert_eq!(find(&mut transaction, "orders", &by_code), "b c");
    assert!(transaction.get("carts", &id("a")).is_err());
    apply(&store, &[("1.0.0", old), ("1.1.0", new)]).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(find(&mut transaction, "orders", &by_customer), "a c");
    assert_eq!(find(&mut transaction, "carts", &scan(&[("code", json!("1"))], "")), "a");
}

#[tokio::test]
async fn a_unique_index_of_one_release_holds_for_all_writers() {
    let (old, new): (&[&str], &[&str]) = (&["orders:code note; code"], &["orders:code note; !code"]);
    let (store, _folder) = store(old).await;
    put_all(&store, "orders", &[("a", r#"{"code":"1"}"#), ("b", r#"{"code":"1"}"#)]).await.unwrap();
    let refused = apply(&store, &[("2.0.0", new), ("1.0.0", old)]).await;
    assert!(matches!(refused, Err(CatalogError::Unique(_))), "{refused:?}");
    // Nothing of the release that was refused is left, and the other goes on.
    put_all(&store, "orders", &[("c", r#"{"code":"1"}"#)]).await.unwrap();
    assert_eq!(find(&mut store.begin().unwrap(), "orders", &scan(&[("code", json!("1"))], "")), "a b c");

    put_all(&store, "orders", &[("b", r#"{"code":"2"}"#), ("c", r#"{"code":"3"}"#)]).await.unwrap();
    apply(&store, &[("2.0.0", new), ("1.0.0", old)]).await.unwrap();
    let twice = put_all(&store, "orders", &[("d", r#"{"code":"2"}"#)]).await;
    assert!(matches!(twice, Err(CommitError::Unique(_))), "{twice:?}");
    apply(&store, &[("1.0.0", old)]).await.unwrap();
    put_all(&store, "orders", &[("d", r#"{"code":"2"}"#)]).await.unwrap();
}

/// The catalog as it lies in the store, without its counters, which only rise.
async fn catalog(folder: &TempDir) -> String {
    let mut found = String::new();
    change_raw(folder.path(), key::CATALOG, |text| {
        let Ok(Value::Object(catalog)) = serde_json::from_str(&text) else { panic!("{text}") };
        found = catalog["collections"].to_string();
        Some(text)
    })
    .await;
    found
}

#[tokio::test]
async fn what_cannot_be_built_to_its_end_leaves_nothing() {
    let old: &[&str] = &["orders:code note; code"];
    // What is built before and after it goes well: a collection, an index of another, a reference.
    let new: &[&str] = &["notes:text; text", "orders:code note; note !code", "zones:order:ref=orders; order"];
    let (store, folder) = store(old).await;
    put_all(&store, "orders", &[("a", r#"{"code":"1"}"#), ("b", r#"{"code":"1"}"#)]).await.unwrap();
    store.close().await;
    let before = catalog(&folder).await;
    let store = open(folder.path());
    apply(&store, &[("1.0.0", old)]).await.unwrap();
    let refused = apply(&store, &[("2.0.0", new), ("1.0.0", old)]).await;
    assert!(matches!(refused, Err(CatalogError::Unique(_))), "{refused:?}");
    let head = store.head();
    apply(&store, &[("1.0.0", old)]).await.unwrap();
    assert_eq!(store.head(), head, "nothing is left to be taken away");
    store.close().await;
    assert_eq!(catalog(&folder).await, before);

    // Once the documents fit it goes well, whatever was begun.
    let store = open(folder.path());
    put_all(&store, "orders", &[("b", r#"{"code":"2"}"#)]).await.unwrap();
    apply(&store, &[("2.0.0", new), ("1.0.0", old)]).await.unwrap();
    put_all(&store, "notes", &[("n", r#"{"text":"x"}"#)]).await.unwrap();
    assert_eq!(find(&mut store.begin().unwrap(), "notes", &scan(&[("text", json!("x"))], "")), "n");
}

#[tokio::test]
async fn a_reference_of_one_release_holds_for_all_writers() {
    let old: &[&str] = &["customers: name", "orders: customer"];
    let new: &[&str] = &["customers: name", "orders: customer:ref=customers/cascade"];
    let (store, _folder) = store(old).await;
    put_all(&store, "customers", &[("c1", "{}")]).await.unwrap();
    put_all(&store, "orders", &[("o1", r#"{"customer":"c1"}"#)]).await.unwrap();
    apply(&store, &[("2.0.0", new), ("1.0.0", old)]).await.unwrap();
    let mut transaction = store.begin().unwrap();
    let refused = transaction.put("orders", &id("o2"), doc(r#"{"customer":"c2"}"#));
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(transaction.delete("customers", &id("c1")).unwrap().cascaded.len(), 1);
}

/// What becomes of the order `o1` when the customer that it refers to is deleted.
async fn deleted_customer(store: &Store) -> String {
    let mut transaction = store.begin().unwrap();
    if let Err(error) = transaction.delete("customers", &id("c1")) {
        return error.to_string().split(':').next().unwrap().to_owned();
    }
    let order = transaction.get("orders", &id("o1")).unwrap();
    order.map_or("deleted".to_owned(), |text| String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn the_first_release_says_what_becomes_of_references_unless_another_could_not_bear_it() {
    let with = |policy: &str| {
        let orders = format!("orders: customer:ref=customers/{policy}");
        declare(&["customers: name", &orders])
    };
    // The same, of a member that there must be.
    let mut required = with("cascade");
    let customer = Member {
        name: "customer".to_owned(),
        description: None,
        slot: Slot::required(Shape::Ref("customers".to_owned())),
        literal: None,
    };
    required.collections["orders"].references[0].places = references::of(&|_| None, &customer).remove(0).1;

    let cleared = r#"{"id":"o1","customer":null}"#;
    let table = [
        (with("cascade"), with("setNull"), "deleted"),
        (with("setNull"), with("cascade"), cleared),
        (with("setNull"), required.clone(), "deleted"),
        (required, with("setNull"), "deleted"),
    ];
    for (first, second, expected) in table {
        let (store, _folder) = store(&[]).await;
        store.apply_releases(&[("2.0.0", &first), ("1.0.0", &second)]).await.unwrap();
        put_all(&store, "customers", &[("c1", "{}")]).await.unwrap();
        put_all(&store, "orders", &[("o1", r#"{"customer":"c1"}"#)]).await.unwrap();
        // What is cleared may also be absent.
        let became = deleted_customer(&store).await.replace(r#"{"id":"o1"}"#, cleared);
        assert_eq!(became, expected);
    }
}

#[tokio::test]
async fn releases_that_no_documents_suit_at_once_are_refused() {
    let end = "end one of them first, or give the member another name";
    let order = "is in an index and sorts in another way in each";
    let table: [(&[&str], &[&str], &str); 4] = [
        (&["orders:at:date; at"], &["orders:at; at"], order),
        (&["orders:at:date"], &["orders:at; at"], order),
        (&["orders:at; at"], &["orders:at:list"], order),
        (&["orders:at:ref=a", "a:x"], &["orders:at:ref=b", "b:x"], "refers to another collection in each"),
    ];
    for (old, new, problem) in table {
        let (store, _folder) = store(old).await;
        let head = store.head();
        let refused = apply(&store, &[("2.0.0", new), ("1.0.0", old)]).await.unwrap_err().to_string();
        let (one, other) =
            if refused.starts_with("releases 2.0.0 and") { ("2.0.0", "1.0.0") } else { ("1.0.0", "2.0.0") };
        assert_eq!(refused, format!("releases {one} and {other} cannot be live at once: orders.at {problem}; {end}"));
        assert_eq!(store.head(), head);
    }
    // Of a member that no index has it is the data that says whether both can be.
    let (store, _folder) = store(&["orders:at"]).await;
    apply(&store, &[("2.0.0", &["orders:at:date"]), ("1.0.0", &["orders:at"])]).await.unwrap();
}

/// A candidate that was being loaded at a crash: nothing of it may keep the release that was active from starting again.
#[tokio::test]
async fn what_was_begun_for_a_release_that_is_gone_is_given_up() {
    let (old, new): (&[&str], &[&str]) = (&["orders:code"], &["orders:code; !code"]);
    let (store, folder) = store(new).await;
    put_all(&store, "orders", &[("a", r#"{"code":"1"}"#)]).await.unwrap();
    store.close().await;
    change_raw(folder.path(), key::CATALOG, |text| Some(text.replace("ready", "building"))).await;
    // Nothing that an index can have.
    let document = key::document(CollectionNumber(1), &id("a"));
    change_raw(folder.path(), &document, |text| Some(text.replace(r#""1""#, "[]"))).await;

    let store = open(folder.path());
    assert!(matches!(store.apply_collections(&declare(new)).await, Err(CatalogError::NotIndexable { .. })));
    store.close().await;
    change_raw(folder.path(), key::CATALOG, |text| {
        let index = r#""indexes":[{"number":1,"fields":[{"name":"code","order":"codePoint"}],"unique":true,"state":"building"}]"#;
        Some(text.replace(r#""indexes":[]"#, index))
    })
    .await;
    let store = open(folder.path());
    apply(&store, &[("1.0.0", old)]).await.unwrap();
    store.close().await;
    change_raw(folder.path(), key::CATALOG, |text| {
        assert!(text.contains(r#""indexes":[]"#), "{text}");
        None
    })
    .await;
}

/// That `at` of orders is a date.
fn dated() -> Vec<Narrowing> {
    let of = |line: &str| DocumentType::of(&declare(&[line]), "orders").unwrap();
    let narrowing = Narrowing::between(Some(&of("orders:at note gone")), of("orders:at:date note"));
    vec![narrowing.unwrap()]
}

/// The same for writers of two releases.
fn held_to() -> Vec<HeldTo> {
    let writers = ["1.0.0", "0.9.0"].map(str::to_owned);
    dated().into_iter().map(|narrowing| (narrowing, writers.clone().into())).collect()
}

fn told(unfit: &[Unfit]) -> String {
    let told = unfit.iter().map(|Unfit { collection, violation, count, ids }| {
        let violation = violation.as_ref().map_or("others".to_owned(), ToString::to_string);
        let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        format!("{count} {collection}: {violation}: {}\n", ids.join(" "))
    });
    told.collect()
}

#[tokio::test]
async fn documents_that_do_not_have_a_type_are_counted_and_named() {
    let (store, _folder) = store(&["orders:at note gone", "others:at"]).await;
    assert!(store.find_unfit("2.0.0", &dated()).await.unwrap().is_empty());
    let mut documents = Vec::new();
    for number in 0..40 {
        let text = match number % 4 {
            0 => r#"{"at":"2026-01-01T00:00:00.000Z","note":"a"}"#.to_owned(),
            1 => r#"{"at":"soon"}"#.to_owned(),
            2 if number < 12 => r#"{"gone":"x","note":"b"}"#.to_owned(),
            2 => format!(r#"{{"at":"{number}"}}"#),
            _ => r#"{"leftOver":1}"#.to_owned(),
        };
        documents.push((format!("o{number:02}"), text));
    }
    let documents: Vec<(&str, &str)> = documents.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    put_all(&store, "orders", &documents).await.unwrap();
    put_all(&store, "others", &[("a", r#"{"at":"soon"}"#)]).await.unwrap();
    let found = told(&store.find_unfit("2.0.0", &dated()).await.unwrap());
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 9, "{found}");
    assert!(found.contains("3 orders: orders.gone: is not declared any more: o02 o06 o10\n"), "{found}");
    assert!(found.contains("1 orders: orders.at: \"14\" is "), "{found}");
    assert!(found.contains(": o01 o05 o09\n") && found.contains("10 orders: orders.at: \"soon\" is "), "{found}");
    assert!(lines.last().unwrap().starts_with("1 orders: others: o"), "{found}");
}

/// Why an order cannot be written.
async fn refused(store: &Store, text: &str) -> Option<String> {
    match put_all(store, "orders", &[("a", text)]).await {
        Err(error @ CommitError::Held(_)) => Some(error.to_string()),
        other => other.map(|_| None).unwrap(),
    }
}

#[tokio::test]
async fn who_writes_is_held_to_the_types_of_a_release_until_it_is_let_go() {
    let declared: &[&str] = &["orders:at note gone", "others:at"];
    let (store, folder) = store(declared).await;
    let mut under_way = store.begin().unwrap();
    under_way.put("orders", &id("a"), doc(r#"{"at":"soon"}"#)).unwrap();
    store.hold("2.0.0", held_to()).await.unwrap();
    assert_eq!(store.commit(under_way).await, Err(CommitError::Conflict));

    let message = refused(&store, r#"{"at":"soon"}"#).await.unwrap_or_default();
    let begins = "orders a cannot be stored: release 2.0.0 could not read it: orders.at: \"soon\" is ";
    assert!(message.starts_with(begins), "{message}");
    assert!(refused(&store, r#"{"gone":"x"}"#).await.is_some());
    for fits in [r#"{"at":"2026-01-01T00:00:00.000Z"}"#, "{}", r#"{"leftOver":1}"#] {
        assert_eq!(refused(&store, fits).await, None, "{fits}");
    }
    put_all(&store, "others", &[("a", r#"{"at":"soon"}"#)]).await.unwrap();
    // On its way there a document may be anything.
    let mut transaction = store.begin().unwrap();
    transaction.put("orders", &id("a"), doc(r#"{"at":"soon"}"#)).unwrap();
    transaction.put("orders", &id("a"), doc(r#"{"note":"x"}"#)).unwrap();
    store.commit(transaction).await.unwrap();

    // It outlives the process, and goes with one of the releases.
    store.close().await;
    let store = open(folder.path());
    assert!(refused(&store, r#"{"at":"soon"}"#).await.is_some());
    apply(&store, &[("2.0.0", declared), ("1.0.0", declared)]).await.unwrap();
    assert!(refused(&store, r#"{"at":"soon"}"#).await.is_some());
    apply(&store, &[("1.0.0", declared), ("0.9.0", declared)]).await.unwrap();
    assert_eq!(refused(&store, r#"{"at":"soon"}"#).await, None);
    for gone in [Some(vec![("2.0.0", declared)]), None] {
        store.hold("2.0.0", held_to()).await.unwrap();
        assert!(refused(&store, r#"{"at":"soon"}"#).await.is_some());
        match gone {
            Some(releases) => apply(&store, &releases).await.unwrap(),
            None => store.let_go("2.0.0").await.unwrap(),
        }
        assert_eq!(refused(&store, r#"{"at":"soon"}"#).await, None);
    }
    let head = store.head();
    store.let_go("2.0.0").await.unwrap();
    assert_eq!(store.head(), head, "what nobody is held to changes nothing");
}

#[tokio::test]
async fn who_writes_is_held_to_the_types_of_releases_that_came_after_its_own() {
    let (store, _folder) = store(&["orders:at note gone"]).await;
    store.hold("2.0.0#20", held_to()).await.unwrap();
    let write = async |writer: &str| {
        let mut transaction = store.begin().unwrap();
        transaction.write_for(writer.into());
        transaction.put("orders", &id("a"), doc(r#"{"at":"soon"}"#)).unwrap();
        store.commit(transaction).await.map(drop)
    };
    let refused = write("1.0.0").await.unwrap_err().to_string();
    assert!(refused.starts_with("orders a cannot be stored: release 2.0.0 could not read it: "), "{refused}");
    for later in ["2.0.0#20", "3.0.0", "1.0.0#30"] {
        assert_eq!(write(later).await, Ok(()), "{later}");
    }
    // Whoever is not held to it any more is left alone.
    let (narrowing, _) = held_to().remove(0);
    store.hold("2.0.0#20", vec![(narrowing, ["0.9.0".to_owned()].into())]).await.unwrap();
    assert_eq!(write("1.0.0").await, Ok(()));
    assert!(write("0.9.0").await.is_err());
    let head = store.head();
    store.hold("2.0.0#20", vec![(dated().remove(0), ["0.9.0".to_owned()].into())]).await.unwrap();
    assert_eq!(store.head(), head, "nothing has changed");
    store.hold("2.0.0#20", Vec::new()).await.unwrap();
    assert_eq!(write("0.9.0").await, Ok(()));
}

#[tokio::test]
async fn a_fence_has_those_begin_anew_that_have_used_a_collection() {
    let (store, _folder) = store(&["orders:at"]).await;
    let mut before = store.begin().unwrap();
    before.put("orders", &id("a"), doc("{}")).unwrap();
    store.fence().await.unwrap();
    assert_eq!(store.commit(before).await, Err(CommitError::Conflict));
    put_all(&store, "orders", &[("a", "{}")]).await.unwrap();
}

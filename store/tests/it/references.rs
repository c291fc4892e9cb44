//! References: they lead to documents that are there, and deleting those restricts, cascades or sets to null.

use std::future::ready;
use std::time::Duration;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use weir_schema::codec::key::{self, CollectionNumber};
use weir_store::progress::unwatched;
use weir_store::{CommitError, Options, Run, Scan, Store, Transaction, WriteError};

use crate::support::{change_raw, declare, doc, find, id, open, options, put_all, scan, store};

/// Runs steps in one transaction: `put collection id {…}`, `delete collection id`, `show collection`. What each gave.
fn run(transaction: &mut Transaction, steps: &str) -> String {
    let mut shown = String::new();
    for step in steps.lines().map(str::trim).filter(|step| !step.is_empty()) {
        let words: Vec<&str> = step.splitn(4, ' ').collect();
        let outcome = match words[..] {
            ["put", collection, name, text] => match transaction.put(collection, &id(name), doc(text)) {
                Ok(_) => continue,
                Err(error) => error.to_string(),
            },
            ["delete", collection, name] => match transaction.delete(collection, &id(name)) {
                Ok(deleted) => {
                    let names = |documents: &[(String, weir_schema::id::DocumentId)]| {
                        documents.iter().map(|(name, id)| format!(" {name} {id}")).collect::<Vec<_>>().join(",")
                    };
                    let (with, cleared) = (names(&deleted.cascaded), names(&deleted.cleared));
                    format!("{step}: {}; with it:{with}; cleared:{cleared}", deleted.existed)
                }
                Err(error) => error.to_string(),
            },
            ["show", collection] => {
                let rows = transaction.scan(collection, &Scan::default()).unwrap().rows;
                let rows: Vec<&str> = rows.iter().map(|row| std::str::from_utf8(&row.document).unwrap()).collect();
                format!("{collection}: {}", rows.join(" "))
            }
            _ => panic!("{step}"),
        };
        shown.push_str(&outcome);
        shown.push('\n');
    }
    shown
}

/// Runs blocks of steps, a transaction for each, separated by lines `commit`.
async fn check(collections: &[&str], blocks: &str, expected: Expect) {
    let (store, _folder) = store(collections).await;
    let mut shown = String::new();
    for block in blocks.split("commit") {
        let mut transaction = store.begin().unwrap();
        shown.push_str(&run(&mut transaction, block));
        store.commit(transaction).await.unwrap();
    }
    expected.assert_eq(&shown);
}

#[tokio::test]
async fn a_reference_leads_to_what_is_there() {
    check(
        &["customers: name", "orders: customer:ref=customers"],
        r#"put orders o1 {"customer":"c1"}
           put customers c1 {}
           put orders o1 {"customer":"c1"}
           put orders o2 {}
           put orders o3 {"customer":null}
           put orders o4 {"customer":""}
           commit
           put orders o5 {"customer":"c1"}
           put orders o1 {"customer":"c2"}
           show orders"#,
        expect![[r#"
            orders o1 cannot be stored: its customer leads to customers "c1", which does not exist
            orders o4 cannot be stored: its customer leads to customers "", which does not exist
            orders o1 cannot be stored: its customer leads to customers "c2", which does not exist
            orders: {"id":"o1","customer":"c1"} {"id":"o2"} {"id":"o3","customer":null} {"id":"o5","customer":"c1"}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn references_in_lists_and_nested_ones_too() {
    check(
        &["tags: name", "posts: tags:refs=tags body:parts=tags"],
        r#"put tags a {}
           put tags b {}
           put posts p1 {"tags":["a",null,"b","a"]}
           put posts p2 {"tags":["a","x"]}
           put posts p3 {"body":[{"of":"a","parts":[{"parts":[{"of":"b"}]}]}]}
           put posts p4 {"body":[{"of":"a","parts":[{"parts":[{"of":"y"}]}]}]}
           commit
           delete tags b
           put posts p1 {"tags":["a"]}
           delete tags b
           put posts p3 {}
           delete tags b
           show posts"#,
        expect![[r#"
            posts p2 cannot be stored: its tags leads to tags "x", which does not exist
            posts p4 cannot be stored: its body leads to tags "y", which does not exist
            tags b cannot be deleted: the tags of posts p1 leads to it; delete or change that first
            tags b cannot be deleted: the body of posts p3 leads to it; delete or change that first
            delete tags b: true; with it:; cleared:
            posts: {"id":"p1","tags":["a"]} {"id":"p3"}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn restrict_is_the_default() {
    for indexes in ["", "; customer", "; !customer", "; customer+at"] {
        check(
            &["customers: name", &format!("orders: customer:ref=customers at{indexes}")],
            r#"put customers c1 {}
               put customers c2 {}
               put orders o1 {"customer":"c1"}
               delete customers c1
               commit
               delete customers c1
               delete customers c2
               delete customers c2
               delete orders o1
               delete customers c1
               show customers"#,
            expect![[r#"
                customers c1 cannot be deleted: the customer of orders o1 leads to it; delete or change that first
                customers c1 cannot be deleted: the customer of orders o1 leads to it; delete or change that first
                delete customers c2: true; with it:; cleared:
                delete customers c2: false; with it:; cleared:
                delete orders o1: true; with it:; cleared:
                delete customers c1: true; with it:; cleared:
                customers: 
            "#]],
        )
        .await;
    }
}

#[tokio::test]
async fn cascades_go_on() {
    for indexes in ["", "; customer"] {
        check(
            &[
                "customers: name",
                &format!("orders: customer:ref=customers/cascade{indexes}"),
                "lines: order:ref=orders/cascade",
                "notes: about:ref=lines/setNull text",
            ],
            r#"put customers c1 {}
               put customers c2 {}
               put orders o1 {"customer":"c1"}
               put orders o2 {"customer":"c1"}
               put orders o3 {"customer":"c2"}
               put lines l1 {"order":"o1"}
               put lines l2 {"order":"o1"}
               put lines l3 {"order":"o3"}
               put notes n1 {"about":"l1","text":"x"}
               put notes n2 {"about":"l3"}
               commit
               delete customers c1
               show orders
               commit
               show customers
               show orders
               show lines
               show notes"#,
            expect![[r#"
                delete customers c1: true; with it: orders o1, orders o2, lines l1, lines l2; cleared: notes n1
                orders: {"id":"o3","customer":"c2"}
                customers: {"id":"c2"}
                orders: {"id":"o3","customer":"c2"}
                lines: {"id":"l3","order":"o3"}
                notes: {"id":"n1","about":null,"text":"x"} {"id":"n2","about":"l3"}
            "#]],
        )
        .await;
    }
}

#[tokio::test]
async fn what_refuses_a_deletion_leaves_nothing_half_done() {
    check(
        &[
            "customers: name",
            "orders: customer:ref=customers/cascade",
            "notes: about:ref=orders/setNull",
            "bills: order:ref=orders",
        ],
        r#"put customers c1 {}
           put orders o1 {"customer":"c1"}
           put orders o2 {"customer":"c1"}
           put notes n1 {"about":"o1"}
           put bills b1 {"order":"o2"}
           commit
           delete customers c1
           show customers
           show orders
           show notes
           commit
           delete bills b1
           delete customers c1
           show notes"#,
        expect![[r#"
            orders o2 cannot be deleted: the order of bills b1 leads to it; delete or change that first
            customers: {"id":"c1"}
            orders: {"id":"o1","customer":"c1"} {"id":"o2","customer":"c1"}
            notes: {"id":"n1","about":"o1"}
            delete bills b1: true; with it:; cleared:
            delete customers c1: true; with it: orders o1, orders o2; cleared: notes n1
            notes: {"id":"n1","about":null}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn who_is_deleted_too_does_not_restrict() {
    check(
        &["customers: name", "orders: customer:ref=customers/cascade payer:ref=customers previous:ref=orders"],
        r#"put customers c1 {}
           put orders o1 {"customer":"c1","payer":"c1"}
           put orders o2 {"customer":"c1","previous":"o1"}
           commit
           delete orders o1
           delete customers c1
           show orders"#,
        expect![[r#"
            orders o1 cannot be deleted: the previous of orders o2 leads to it; delete or change that first
            delete customers c1: true; with it: orders o1, orders o2; cleared:
            orders: 
        "#]],
    )
    .await;
}

#[tokio::test]
async fn documents_refer_to_themselves_and_in_circles() {
    for (policy, expected) in [
        (
            "restrict",
            expect![[r#"
                delete nodes s: true; with it:; cleared:
                nodes a cannot be deleted: the next of nodes b leads to it; delete or change that first
                nodes: {"id":"a","next":"b"} {"id":"b","next":"a"}
            "#]],
        ),
        (
            "cascade",
            expect![[r#"
                delete nodes s: true; with it:; cleared:
                delete nodes a: true; with it: nodes b; cleared:
                nodes: 
            "#]],
        ),
        (
            "setNull",
            expect![[r#"
                delete nodes s: true; with it:; cleared:
                delete nodes a: true; with it:; cleared: nodes b
                nodes: {"id":"b","next":null}
            "#]],
        ),
    ] {
        check(
            &[&format!("nodes: next:ref=nodes/{policy}")],
            r#"put nodes s {"next":"s"}
               put nodes a {}
               put nodes b {"next":"a"}
               put nodes a {"next":"b"}
               commit
               delete nodes s
               delete nodes a
               show nodes"#,
            expected,
        )
        .await;
    }
}

#[tokio::test]
async fn set_null_reaches_every_place() {
    check(
        &["users: name", "posts: author:ref=users/setNull likes:refs=users/setNull body:parts=users/setNull"],
        r#"put users a {}
           put users b {}
           put posts p {"author":"a","likes":["b","a","a"],"body":[{"of":"a","parts":[{"of":"b"},{"of":"a"}]}]}
           commit
           delete users a
           show posts
           delete users b
           show posts"#,
        expect![[r#"
            delete users a: true; with it:; cleared: posts p
            posts: {"id":"p","author":null,"likes":["b",null,null],"body":[{"of":null,"parts":[{"of":"b"},{"of":null}]}]}
            delete users b: true; with it:; cleared: posts p
            posts: {"id":"p","author":null,"likes":[null,null,null],"body":[{"of":null,"parts":[{"of":null},{"of":null}]}]}
        "#]],
    )
    .await;
}

#[tokio::test]
async fn documents_put_together_may_refer_to_each_other_in_any_order() {
    let (store, _folder) = store(&["nodes: next:ref=nodes"]).await;
    let documents = |names: &[(&str, &str)]| {
        names.iter().map(|(name, next)| (id(name), doc(&format!(r#"{{"next":"{next}"}}"#)))).collect()
    };
    let mut transaction = store.begin().unwrap();
    let refused = transaction.put_all("nodes", documents(&[("a", "b"), ("c", "x"), ("b", "c")])).unwrap_err();
    assert_eq!(
        (refused.index, refused.to_string().as_str()),
        (1, r#"nodes c cannot be stored: its next leads to nodes "x", which does not exist"#)
    );
    assert!(!transaction.has_writes());
    transaction.put_all("nodes", documents(&[("a", "b"), ("c", "a"), ("b", "c")])).unwrap();
    store.commit(transaction).await.unwrap();
    assert_eq!(find(&mut store.begin().unwrap(), "nodes", &Scan::default()), "a b c");
}

#[tokio::test]
async fn a_deletion_writes_no_more_than_is_allowed() {
    let (store, _folder) = store(&["nodes: next:ref=nodes/cascade last:ref=nodes/setNull"]).await;
    put_all(
        &store,
        "nodes",
        &[("a", "{}"), ("b", r#"{"next":"a"}"#), ("c", r#"{"next":"b"}"#), ("d", r#"{"last":"a"}"#)],
    )
    .await
    .unwrap();
    let mut transaction = store.begin().unwrap();
    for max in 0..4 {
        let refused = transaction.delete_at_most("nodes", &id("a"), max).unwrap_err();
        assert_eq!(refused.to_string(), format!("deleting nodes a would write more than {max} documents"));
        assert!(!transaction.has_writes());
    }
    assert_eq!(transaction.delete_at_most("nodes", &id("a"), 4).unwrap().others().count(), 3);
}

/// A transaction that makes an order, and one that deletes its customer.
fn order_and_deletion(store: &Store) -> (Transaction, Transaction) {
    let (mut order, mut deletion) = (store.begin().unwrap(), store.begin().unwrap());
    order.put("orders", &id("o1"), doc(r#"{"customer":"c1"}"#)).unwrap();
    deletion.delete("customers", &id("c1")).unwrap();
    (order, deletion)
}

#[tokio::test]
async fn of_a_reference_and_the_deletion_of_its_target_one_is_refused() {
    for declared in ["", "; customer", "; !customer"] {
        for policy in ["restrict", "cascade", "setNull"] {
            let orders = format!("orders: customer:ref=customers/{policy}{declared}");
            let (store, _folder) = store(&["customers: name", &orders]).await;
            put_all(&store, "customers", &[("c1", "{}")]).await.unwrap();
            let (order, deletion) = order_and_deletion(&store);
            store.commit(order).await.unwrap();
            assert_eq!(store.commit(deletion).await, Err(CommitError::Conflict), "{orders}");

            let mut transaction = store.begin().unwrap();
            transaction.delete("orders", &id("o1")).unwrap();
            store.commit(transaction).await.unwrap();
            let (order, deletion) = order_and_deletion(&store);
            store.commit(deletion).await.unwrap();
            assert_eq!(store.commit(order).await, Err(CommitError::Conflict), "{orders}");
        }
    }
}

#[tokio::test]
async fn a_change_of_one_who_refers_does_not_outlive_the_deletion() {
    for policy in ["cascade", "setNull"] {
        let orders = format!("orders: customer:ref=customers/{policy} note");
        let (store, _folder) = store(&["customers: name", &orders]).await;
        let mut transaction = store.begin().unwrap();
        run(&mut transaction, "put customers c1 {}\nput orders o1 {\"customer\":\"c1\"}");
        store.commit(transaction).await.unwrap();
        for first in ["change", "deletion"] {
            let (mut change, mut deletion) = (store.begin().unwrap(), store.begin().unwrap());
            change.put("orders", &id("o1"), doc(r#"{"customer":"c1","note":"x"}"#)).unwrap();
            deletion.delete("customers", &id("c1")).unwrap();
            let (first, second) = if first == "change" { (change, deletion) } else { (deletion, change) };
            store.commit(first).await.unwrap();
            assert_eq!(store.commit(second).await, Err(CommitError::Conflict), "{policy}");
        }
    }
}

#[tokio::test]
async fn a_change_of_the_target_is_no_matter_to_those_who_refer_already() {
    let (store, _folder) = store(&["customers: name", "orders: customer:ref=customers note"]).await;
    let mut transaction = store.begin().unwrap();
    run(&mut transaction, "put customers c1 {}\nput orders o1 {\"customer\":\"c1\"}");
    store.commit(transaction).await.unwrap();
    let mut change = store.begin().unwrap();
    change.put("orders", &id("o1"), doc(r#"{"customer":"c1","note":"x"}"#)).unwrap();
    put_all(&store, "customers", &[("c1", r#"{"name":"y"}"#)]).await.unwrap();
    store.commit(change).await.unwrap();
}

#[tokio::test]
async fn scans_know_nothing_of_the_hidden_index() {
    let (store, _folder) = store(&["customers: name", "orders: customer:ref=customers"]).await;
    let refused = store.begin().unwrap().scan("orders", &scan(&[("customer", json!("c1"))], "")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        r#"orders has no index for where("customer"): declare index: ["customer"] in its collection"#
    );
}

#[tokio::test]
async fn a_new_reference_holds_for_documents_that_were_there() {
    for declared in ["", "; customer"] {
        let plain = declare(&["customers: name", &format!("orders: customer{declared}")]);
        let referring = declare(&["customers: name", &format!("orders: customer:ref=customers{declared}")]);
        let (store, folder) = store(&[]).await;
        store.apply_collections(&plain).await.unwrap();
        let orders: Vec<String> = (0..40).map(|number| format!("o{number:02}")).collect();
        for (number, name) in orders.iter().enumerate() {
            put_all(&store, "orders", &[(name, &format!(r#"{{"customer":"c{}"}}"#, number % 3))]).await.unwrap();
        }
        put_all(&store, "customers", &[("c0", "{}"), ("c1", "{}")]).await.unwrap();
        let refused = store.apply_collections(&referring).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a new reference leads nowhere: the customer of orders o02 is \"c2\", which customers does not have; \
             change or delete that document first"
        );
        put_all(&store, "orders", &[("free", r#"{"customer":"nobody"}"#)]).await.unwrap();
        put_all(&store, "customers", &[("c2", "{}"), ("nobody", "{}")]).await.unwrap();
        store.apply_collections(&referring).await.unwrap();
        let mut transaction = store.begin().unwrap();
        assert_eq!(
            run(&mut transaction, "delete customers c2\nput orders new {\"customer\":\"c3\"}"),
            "customers c2 cannot be deleted: the customer of orders o02 leads to it; delete or change that first\n\
             orders new cannot be stored: its customer leads to customers \"c3\", which does not exist\n"
        );
        // Without the reference, and without the index that it had: anything goes again.
        store.apply_collections(&plain).await.unwrap();
        let mut transaction = store.begin().unwrap();
        assert_eq!(
            run(&mut transaction, "delete customers c2\nput orders new {\"customer\":\"c3\"}"),
            "delete customers c2: true; with it:; cleared:\n"
        );
        store.close().await;
        let mut indexes = 0;
        change_raw(folder.path(), key::CATALOG, |catalog| {
            indexes = catalog.matches("\"unique\"").count();
            assert!(!catalog.contains("places"), "{catalog}");
            Some(catalog)
        })
        .await;
        assert_eq!(indexes, usize::from(!declared.is_empty()));
    }
}

#[tokio::test]
async fn what_becomes_of_referrers_can_be_declared_anew() {
    let (store, _folder) = store(&["customers: name", "orders: customer:ref=customers"]).await;
    let mut transaction = store.begin().unwrap();
    run(&mut transaction, "put customers c1 {}\nput orders o1 {\"customer\":\"c1\"}");
    store.commit(transaction).await.unwrap();
    for (orders, expected) in [
        (
            "orders: customer:ref=customers",
            "customers c1 cannot be deleted: the customer of orders o1 leads to it; delete or change that first\n",
        ),
        (
            "orders: customer:ref=customers/setNull; customer",
            "delete customers c1: true; with it:; cleared: orders o1\n",
        ),
        ("orders: customer:ref=customers/cascade", "delete customers c1: true; with it: orders o1; cleared:\n"),
        ("orders: customer", "delete customers c1: true; with it:; cleared:\n"),
    ] {
        store.apply_collections(&declare(&["customers: name", orders])).await.unwrap();
        assert_eq!(run(&mut store.begin().unwrap(), "delete customers c1"), expected, "{orders}");
    }
}

#[tokio::test]
async fn a_check_that_was_cut_off_is_finished_by_the_next_start() {
    let collections = ["customers: name", "orders: customer:ref=customers/cascade"];
    let (store, folder) = store(&collections).await;
    let mut transaction = store.begin().unwrap();
    run(&mut transaction, "put customers c1 {}\nput customers c2 {}\nput orders o1 {\"customer\":\"c1\"}");
    store.commit(transaction).await.unwrap();
    store.close().await;
    change_raw(folder.path(), key::CATALOG, |catalog| {
        // The index, then the reference.
        assert_eq!(catalog.matches("ready").count(), 2, "{catalog}");
        let catalog = catalog.replace("ready", "building");
        let (before, after) = catalog.rsplit_once("building").unwrap();
        Some(format!("{before}checking{after}"))
    })
    .await;
    let store = open(folder.path());
    // Held to already, and not carried out yet.
    assert_eq!(
        run(
            &mut store.begin().unwrap(),
            "put orders o2 {\"customer\":\"x\"}\ndelete customers c1\ndelete customers c2"
        ),
        "orders o2 cannot be stored: its customer leads to customers \"x\", which does not exist\n\
         customers c1 cannot be deleted: the customer of orders o1 leads to it; delete or change that first\n\
         delete customers c2: true; with it:; cleared:\n"
    );
    store.apply_collections(&declare(&collections)).await.unwrap();
    assert_eq!(
        run(&mut store.begin().unwrap(), "delete customers c1"),
        "delete customers c1: true; with it: orders o1; cleared:\n"
    );
}

#[tokio::test]
async fn references_that_cannot_be() {
    let (store, _folder) = store(&[]).await;
    let mut declared = declare(&["customers: name", "orders: customer:ref=customers/setNull"]);
    declared.collections.shift_remove("customers");
    let refused = store.apply_collections(&declared).await.unwrap_err();
    expect!["orders cannot have the reference customer: the collection that it leads to is not declared"]
        .assert_eq(&refused.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_declared_under_writes_misses_nothing() {
    let plain = declare(&["customers: name", "orders: customer"]);
    let referring = declare(&["customers: name", "orders: customer:ref=customers"]);
    let (store, _folder) = store(&[]).await;
    store.apply_collections(&plain).await.unwrap();
    let customers: Vec<String> = (0..30).map(|number| format!("c{number:02}")).collect();
    for round in 0..6 {
        for (number, name) in customers.iter().enumerate() {
            put_all(&store, "customers", &[(name, "{}")]).await.unwrap();
            let order = format!(r#"{{"customer":"{name}"}}"#);
            put_all(&store, "orders", &[(&format!("o{number:02}"), &order)]).await.unwrap();
        }
        let deleter = tokio::spawn({
            let (store, name) = (store.clone(), customers[29 - round].clone());
            async move {
                loop {
                    let mut transaction = store.begin().unwrap();
                    if transaction.delete("customers", &id(&name)).is_err() {
                        return false;
                    }
                    match store.commit(transaction).await {
                        Ok(_) => return true,
                        Err(error) => assert_eq!(error, CommitError::Conflict),
                    }
                }
            }
        });
        let declared = store.apply_collections(&referring).await;
        let deleted = deleter.await.unwrap();
        // Whoever comes first, no order is left without its customer once the reference is declared.
        assert_eq!(declared.is_err(), deleted, "{declared:?}");
        store.apply_collections(&plain).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_deletion_writes_counts_for_the_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { transaction_documents_written_max: 4, ..options() };
    let store = Store::open(folder.path(), options).unwrap();
    let collections =
        ["customers: name", "orders: customer:ref=customers/cascade", "notes: about:ref=customers/setNull"];
    store.apply_collections(&declare(&collections)).await.unwrap();
    put_all(&store, "customers", &[("c1", "{}"), ("c2", "{}"), ("c3", "{}")]).await.unwrap();
    put_all(&store, "orders", &[("o1", r#"{"customer":"c1"}"#), ("o2", r#"{"customer":"c1"}"#)]).await.unwrap();
    put_all(&store, "notes", &[("n1", r#"{"about":"c1"}"#)]).await.unwrap();
    let mut transaction = store.begin().unwrap();
    assert_eq!(
        // With what is written already there is no room for all four.
        run(
            &mut transaction,
            "put customers c2 {}
             delete customers c1
             show orders
             show notes"
        ),
        "a transaction writes at most 4 documents: write less, or in several transactions\n\
         orders: {\"id\":\"o1\",\"customer\":\"c1\"} {\"id\":\"o2\",\"customer\":\"c1\"}\n\
         notes: {\"id\":\"n1\",\"about\":\"c1\"}\n"
    );
    let both = ["c2", "c3"].map(|name| (id(name), doc("{}"))).to_vec();
    assert_eq!(transaction.put_all("customers", both).unwrap().len(), 2);
    let four = ["c3", "c4", "c5", "c6"].map(|name| (id(name), doc("{}"))).to_vec();
    let refused = transaction.put_all("customers", four).unwrap_err();
    assert_eq!((refused.index, *refused.error), (3, WriteError::TooManyWritten { max: 4 }));
    assert!(transaction.get("customers", &id("c4")).unwrap().is_none());

    let mut transaction = store.begin().unwrap();
    assert_eq!(
        // What is written already is no further document.
        run(
            &mut transaction,
            "put orders o1 {\"customer\":\"c1\"}
             put notes n1 {\"about\":\"c1\"}
             delete customers c1"
        ),
        "delete customers c1: true; with it: orders o1, orders o2; cleared: notes n1\n"
    );
    store.commit(transaction).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn references_hold_among_transactions_in_turn() {
    const LIMIT: Duration = Duration::from_secs(10);
    for policy in ["restrict", "cascade", "setNull"] {
        let orders = format!("orders: customer:ref=customers/{policy}");
        let (store, _folder) = store(&["customers: name", &orders]).await;
        let tasks: Vec<_> = (0..6)
            .map(|task| {
                let store = store.clone();
                tokio::spawn(async move {
                    for round in 0..20 {
                        let customer = format!("c{}", round % 2);
                        let order = format!(r#"{{"customer":"{customer}"}}"#);
                        let step = |mut transaction: Transaction| {
                            // Refusals are part of it: what is committed must keep to the references.
                            let _ = match task % 3 {
                                0 => transaction.put("customers", &id(&customer), doc("{}")).map(drop),
                                1 => transaction.delete("customers", &id(&customer)).map(drop),
                                _ => transaction.put("orders", &id(&format!("o{task}")), doc(&order)).map(drop),
                            };
                            ready(Run::Commit(transaction, ()))
                        };
                        store.transact(LIMIT, step).await.unwrap();
                        assert_eq!(dangling(&store), "", "{policy}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_reference_to_what_was_lost_is_found() {
    let (store, folder) = store(&["customers: name", "orders: customer:ref=customers"]).await;
    put_all(&store, "customers", &[("c1", "{}"), ("c2", "{}")]).await.unwrap();
    put_all(&store, "orders", &[("o1", r#"{"customer":"c1"}"#), ("o2", r#"{"customer":"c2"}"#)]).await.unwrap();
    assert_eq!(store.verify(unwatched()).await.unwrap().problems, Vec::<String>::new());
    store.close().await;
    let customers = CollectionNumber(1);
    change_raw(folder.path(), &key::document(customers, &id("c2")), |_| None).await;
    let report = open(folder.path()).verify(unwatched()).await.unwrap();
    assert_eq!(report.problems, [r#"orders o2: its customer leads to customers "c2", which is not there"#]);
}

/// The orders whose customer is not there.
fn dangling(store: &Store) -> String {
    let mut transaction = store.begin().unwrap();
    let orders = transaction.scan("orders", &Scan::default()).unwrap().rows;
    let orders = orders.iter().map(|row| serde_json::from_slice::<Value>(&row.document).unwrap());
    let missing = orders.filter(|order| {
        let customer = order["customer"].as_str();
        customer.is_some_and(|name| transaction.get("customers", &id(name)).unwrap().is_none())
    });
    missing.map(|order| order.to_string()).collect()
}

//! Rows and writes: what a caller may not read is not there, what one may not write is refused.

use serde_json::{Value, json};
use weir_engine::call::Caller;
use weir_engine::lines::Elements;

use super::{App, OWN, admin, texts, user};

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_others_are_not_there() {
    let app = App::open(OWN).await;
    let (ada, bob, nobody) = (user("ada"), user("bob"), Caller::Anonymous);
    let table = [("all", json!({})), ("of", json!({ "owner": "bob" })), ("one", json!({ "id": app.id("b2").await }))];
    for (function, args) in table {
        let got = app.answer(&ada, function, args.clone()).await.unwrap().value.value().clone();
        assert!(!got.to_string().contains("\"b2\""), "{function}: {got}");
        let got = app.answer(&bob, function, args.clone()).await.unwrap().value.value().clone();
        assert!(got.to_string().contains("\"b2\""), "{function}: {got}");
        let got = app.answer(&nobody, function, args).await.unwrap().value.value().clone();
        assert!(got.is_null() || got == json!([]), "{function}: {got}");
    }
    let table = [
        ("ranked", json!({ "least": 2 }), r#"["a5","a3"]"#, r#"["b4","b2"]"#, r#"["a5","b4","a3","b2"]"#),
        ("top", json!({ "n": 2 }), r#"["a5","a3"]"#, r#"["b4","b2"]"#, r#"["a5","b4"]"#),
        ("firstOf", json!({}), r#""a1""#, r#""b2""#, r#""a1""#),
        ("counts", json!({}), "[3,3,2]", "[2,0,1]", "[5,3,3]"),
        ("through", json!({}), "3", "2", "5"),
    ];
    for (function, args, of_ada, of_bob, of_all) in table {
        assert_eq!(app.call(&ada, function, args.clone()).await, of_ada, "{function}");
        assert_eq!(app.call(&bob, function, args.clone()).await, of_bob, "{function}");
        assert_eq!(app.call(&admin(), function, args.clone()).await, of_all, "{function}");
        assert_eq!(app.call(&Caller::Developer, function, args.clone()).await, of_all, "{function}");
    }
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_streams_have_the_same_rows() {
    let app = App::open(OWN).await;
    for (caller, expected) in [(user("ada"), vec!["a1", "a3", "a5"]), (user("eve"), vec![])] {
        let Elements::Rows(walk) = app.engine.elements(&app.release, &caller, "listed", json!({})).await.unwrap()
        else {
            panic!("rows are lazy")
        };
        let (mut rest, mut all) = (Some(*walk), Vec::new());
        while let Some(walk) = rest {
            let piece = walk.piece().await.unwrap();
            all.extend(piece.elements.into_iter().map(|given| given.value));
            rest = piece.rest;
        }
        let all = Value::Array(all);
        let mut got = texts(&all);
        got.sort_unstable();
        assert_eq!(got, expected);
        let place = app.engine.stream_place(&caller).unwrap();
        let mut stream = app.engine.stream(place, &app.release, &caller, "events", json!({})).unwrap();
        let mut got = Vec::new();
        while let Some(event) = stream.next().await {
            got.push(event.unwrap().value.as_str().unwrap().to_owned());
        }
        got.sort_unstable();
        assert_eq!(got, expected);
    }
    app.end().await;
}

/// Pages of somebody are as if the documents of others had never been, from either end.
#[tokio::test(flavor = "multi_thread")]
async fn pages_tell_of_what_may_be_read_alone() {
    // One that no index narrows, and one that an index does.
    let by_or = OWN
        .replace("resource.owner == principal.subject", "resource.owner == principal.subject || resource.rank > 100");
    for policies in [OWN, &by_or] {
        let app = App::open(policies).await;
        let ada = user("ada");
        for (way, expected) in [
            ("first", ["a1 true false", "a3 true true", "a5 false true"]),
            ("last", ["a5 false true", "a3 true true", "a1 true false"]),
        ] {
            let from = if way == "first" { "after" } else { "before" };
            let mut cursor = Value::Null;
            for expected in expected {
                let page =
                    app.answer(&ada, "page", json!({ (way): 1, (from): cursor })).await.unwrap().value.value().clone();
                let (edges, info) = (page["edges"].as_array().unwrap(), &page["pageInfo"]);
                assert_eq!(edges.len(), 1);
                let got = format!(
                    "{} {} {}",
                    edges[0]["node"]["text"].as_str().unwrap(),
                    info["hasNextPage"],
                    info["hasPreviousPage"]
                );
                assert_eq!(got, expected, "{way} of {policies}");
                cursor = edges[0]["cursor"].clone();
            }
        }
        app.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_decided_where_they_are_made() {
    let app = App::open(OWN).await;
    let (ada, admin) = (user("ada"), admin());
    let note = |owner: &str, pin: &str| json!({ "owner": owner, "rank": 7, "text": pin, "pin": pin });
    let create = "FORBIDDEN: the caller may not create this document of notes";
    assert!(app.call(&ada, "add", note("ada", "n1")).await.contains("n1"));
    assert_eq!(app.call(&ada, "add", note("bob", "n2")).await, create);
    assert_eq!(app.call(&Caller::Anonymous, "add", note("bob", "n2")).await, create);
    assert_eq!(
        app.call(&ada, "tryAdd", note("bob", "n2")).await,
        "\"the caller may not create this document of notes\""
    );
    let of = |id: &str| json!({ "id": id, "text": "new", "owner": "bob" });
    let without = |id: &str, members: &[&str]| {
        let mut args = of(id);
        members.iter().for_each(|member| drop(args.as_object_mut().unwrap().remove(*member)));
        args
    };
    let (a1, b2) = (app.id("a1").await, app.id("b2").await);
    assert!(app.call(&ada, "retext", without(&a1, &["owner"])).await.contains("\"new\""));
    // Into what one may not have.
    let into = "FORBIDDEN: the caller may not update a document of notes to this";
    assert_eq!(app.call(&ada, "give", without(&a1, &["text"])).await, into);
    // One that may be read and not changed, and one that is not there.
    let update = "FORBIDDEN: the caller may not update this document of notes";
    assert_eq!(app.call(&admin, "retext", without(&a1, &["owner"])).await, update);
    let absent = app.call(&ada, "retext", json!({ "id": "nothing", "text": "x" })).await;
    let hidden = app.call(&ada, "retext", json!({ "id": b2, "text": "x" })).await;
    assert_eq!(absent.replace("nothing", "ID"), hidden.replace(&b2, "ID"));
    let id_of = |id: &str| json!({ "id": id });
    assert_eq!(app.call(&ada, "remove", id_of(&b2)).await, "false");
    assert_eq!(app.call(&ada, "remove", id_of("nothing")).await, "false");
    assert_eq!(
        app.call(&admin, "remove", id_of(&b2)).await,
        "FORBIDDEN: the caller may not delete this document of notes"
    );
    assert_eq!(app.call(&ada, "remove", id_of(&a1)).await, "true");
    // An action sees the refusal of what it calls.
    let refused = app.call(&ada, "adding", json!({ "pin": "n3" })).await;
    assert!(refused.contains("the caller may not create this document of notes"), "{refused}");
    let left = app.answer(&Caller::Developer, "all", json!({})).await.unwrap();
    let mut left = texts(&left.value);
    left.sort_unstable();
    assert_eq!(left, ["a3", "a5", "b2", "b4", "n1"]);
    app.end().await;
}

/// What goes with a document is what the app declares.
#[tokio::test(flavor = "multi_thread")]
async fn cascades_are_not_asked_about() {
    let policies = OWN.replace(
        "permit(principal, action, resource is Comment);",
        "permit(principal, action == Action::\"create\", resource is Comment);",
    );
    let app = App::open(&policies).await;
    let a1 = app.id("a1").await;
    assert!(!app.call(&user("ada"), "comment", json!({ "note": a1 })).await.contains("FORBIDDEN"));
    assert_eq!(app.call(&user("ada"), "remove", json!({ "id": a1 })).await, "true");
    app.end().await;
}

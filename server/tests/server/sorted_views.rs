//! Sorted views in GraphQL: their types, their pages, and who watches one.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use expect_test::expect;
use serde_json::{Value, json};

use crate::app::App;

const POSTS: &str = r#"
import { collection, procedure, view, type ID } from "weir";
export interface Post { title: string; kind: "plain" | "to-do"; tags: string[] }
export const posts = collection<Post>();
/** Posts by their tags. */
export const byTag = view.index(posts, (p) => p.tags, (p) => ({ title: p.title, kind: p.kind }));
export const byKind = view.index(posts, (p) => ({ kind: p.kind, title: p.title }));
export const publish = procedure((args: { title: string; kind: "plain" | "to-do"; tags: string[] }): ID => posts.insert(args).id);
"#;

async fn app() -> App {
    let app = App::start().await;
    app.activate(POSTS).await;
    for (title, kind, tags) in [("A", "plain", ["x", "y"]), ("B", "to_do", ["xy", "y"]), ("C", "plain", ["z", "z"])] {
        publish(&app, title, kind, &tags).await;
    }
    app
}

async fn publish(app: &App, title: &str, kind: &str, tags: &[&str]) {
    let query = "mutation($title: String!, $kind: PublishKind!, $tags: [String!]!) { publish(title: $title, kind: $kind, tags: $tags) }";
    let variables = json!({ "title": title, "kind": kind, "tags": tags });
    let answer = ask(app, query, variables).await;
    assert!(answer.get("errors").is_none(), "{answer}");
}

async fn ask(app: &App, query: &str, variables: Value) -> Value {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let response = app.send(request.body(Body::from(body)).unwrap()).await;
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_connections() {
    let app = app().await;
    let query = "query($order: IndexOrder, $key: ByKindKeyInput) {
        all: byTag { edges { key node { title kind } } }
        some: byTag(prefix: \"x\", order: $order, first: 1) { edges { key node { title } } pageInfo { hasNextPage hasPreviousPage } }
        of: byKind(prefix: { kind: plain }) { edges { key { kind title } node { tags } } }
        from: byKind(gte: $key) { edges { node { title } } }
    }";
    let variables = json!({ "order": "desc", "key": { "kind": "plain", "title": "C" } });
    let data = ask(&app, query, variables).await;
    let lines = data["data"].as_object().unwrap_or_else(|| panic!("{data}"));
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    expect![[r#"
        all: {"edges":[{"key":"x","node":{"title":"A","kind":"plain"}},{"key":"xy","node":{"title":"B","kind":"to_do"}},{"key":"y","node":{"title":"A","kind":"plain"}},{"key":"y","node":{"title":"B","kind":"to_do"}},{"key":"z","node":{"title":"C","kind":"plain"}}]}
        some: {"edges":[{"key":"xy","node":{"title":"B"}}],"pageInfo":{"hasNextPage":true,"hasPreviousPage":false}}
        of: {"edges":[{"key":{"kind":"plain","title":"A"},"node":{"tags":["x","y"]}},{"key":{"kind":"plain","title":"C"},"node":{"tags":["z","z"]}}]}
        from: {"edges":[{"node":{"title":"C"}},{"node":{"title":"B"}}]}"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_lead_through_all_pages() {
    let app = app().await;
    let query = "query($after: String) { byTag(first: 2, after: $after) { edges { key document cursor } pageInfo { hasNextPage endCursor } } }";
    let (mut after, mut keys, mut documents) = (Value::Null, Vec::new(), std::collections::BTreeSet::new());
    loop {
        let page = ask(&app, query, json!({ "after": after })).await["data"]["byTag"].take();
        for edge in page["edges"].as_array().unwrap() {
            keys.push(edge["key"].as_str().unwrap().to_owned());
            documents.insert(edge["document"].to_string());
        }
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(keys, ["x", "xy", "y", "y", "z"]);
    assert_eq!(documents.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_given_is_a_bad_argument() {
    let app = app().await;
    let told = async |query: &str| {
        let answer = ask(&app, query, json!({})).await;
        let error = &answer["errors"][0];
        format!("{} {}", error["extensions"]["code"].as_str().unwrap(), error["message"].as_str().unwrap())
    };
    let queries = [
        "{ byTag(first: 1001) { edges { key } } }",
        "{ byTag(after: \"x\") { edges { key } } }",
        "{ byKind(prefix: { title: \"A\" }) { edges { key { title } } } }",
        "{ byKind(gt: { title: \"A\" }) { edges { key { title } } } }",
        "{ byTag(key: 5) { edges { key } } }",
    ];
    let mut lines = Vec::new();
    for query in queries {
        lines.push(told(query).await);
    }
    expect![[r#"
        BAD_ARGUMENTS args.first: a page of an index has from 0 to 1000 entries; ask for more with `after` or `before`
        BAD_ARGUMENTS args.after: this is not a cursor
        BAD_ARGUMENTS args.prefix: `title` is of no use without `kind`, which comes before it in the key
        GRAPHQL_VALIDATION_FAILED Argument gt: ByKindKeyInput needs kind: PostKind!
        GRAPHQL_VALIDATION_FAILED Argument key: expected String, got 5"#]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_a_page_hears_only_of_that() {
    let app = app().await;
    let mut session = app.session().await;
    session.subscribe("p", "subscription { byTag(gte: \"y\", first: 3) { edges { node { title } } } }").await;
    let titles = |message: Value| {
        let edges =
            message["payload"]["data"]["byTag"]["edges"].as_array().unwrap_or_else(|| panic!("{message}")).clone();
        edges.iter().map(|edge| edge["node"]["title"].as_str().unwrap().to_owned()).collect::<String>()
    };
    assert_eq!(titles(session.next_json().await), "ABC");
    publish(&app, "D", "plain", &["a"]).await;
    assert!(session.is_silent().await);
    publish(&app, "E", "plain", &["y"]).await;
    assert_eq!(titles(session.next_json().await), "ABE");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_named_after_the_view() {
    let app = app().await;
    let response = app.send(Request::get("/schema.graphql").body(Body::empty()).unwrap()).await;
    let sdl = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
    let blocks = sdl.split("\n\n").filter(|block| {
        ["enum IndexOrder", "type ByTag", "type ByKindKey", "input ByKind"].iter().any(|start| block.contains(start))
    });
    let query = sdl.lines().skip_while(|line| !line.contains("Posts by their tags")).take(25);
    let shown = format!("{}\n\n{}", blocks.collect::<Vec<_>>().join("\n\n"), query.collect::<Vec<_>>().join("\n"));
    expect![[r#"
        type ByTagConnection {
          edges: [ByTagEdge!]!
          pageInfo: PageInfo!
        }

        type ByTagEdge {
          key: String!
          """The id of the document that the entry comes from."""
          document: ID!
          node: ByTagValue!
          cursor: String!
        }

        type ByTagValue {
          title: String!
          kind: PostKind!
        }

        type ByKindKey {
          kind: PostKind!
          title: String!
        }

        enum IndexOrder {
          asc
          desc
        }

        input ByKindKeyInput {
          kind: PostKind!
          title: String!
        }

        input ByKindPrefixInput {
          kind: PostKind
          title: String
        }

          """Posts by their tags."""
          byTag(
            """Only this key."""
            key: String
            """Only keys greater than this one."""
            gt: String
            """Only this key and greater ones."""
            gte: String
            """Only keys less than this one."""
            lt: String
            """Only this key and lesser ones."""
            lte: String
            """Only keys that begin so."""
            prefix: String
            """Ascending unless told."""
            order: IndexOrder
            """How many entries at most, up to 1,000; 20 unless told."""
            first: Int
            """The cursor of the entry before the page."""
            after: String
            """How many entries at most, from the end of those that are asked for."""
            last: Int
            """The cursor of the entry behind the page."""
            before: String
          ): ByTagConnection"#]]
    .assert_eq(&shown);
}

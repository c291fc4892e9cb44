//! `weir check APP --against`: what an app changes for clients of another schema. GraphQL.js is the judge of what breaks them.

use std::fs;

use expect_test::expect;
use serde_json::Value;

use crate::apps::App;
use crate::node;
use crate::weir::{Dev, Ended, run};

/// Other schemas that are made of one and compared with it.
const OTHERS: usize = 150;

/// All that an app's schema may have.
const RICH: &str = r#"
import { query, procedure, stream, view, type Bytes, type DateTime, type Doc, type Float, type ID, type Int, type JSON } from "weir";
import { things, type Thing } from "../collections";

export interface Filter { text: string; kinds?: ("good" | "bad")[]; near?: { x: Float; y: Float; within: Float | null } }
export interface Circle { shape: "circle"; r: Float }
export interface Square { shape: "square"; side: Float; tags: string[] }

/** Finds. */
export const find = query((args: { filter: Filter; first?: Int; after?: string | null; ids: ID[] }): Doc<Thing>[] | null => null);
export const one = query((args: { id: ID; deep: boolean; at?: DateTime }): Doc<Thing> | null => things.get(args.id));
export const drawn = query((args: { scale: Float }): (Circle | Square)[] => []);
export const matrix = query((): Int[][] => [[1]]);
export const anything = query((args: { of: JSON }): JSON => args.of);
export const put = procedure((args: { thing: Thing; key?: string }): Doc<Thing> => things.insert(args.thing));
export const raw = procedure((args: { bytes: Bytes; kind: "good" | "bad" }): Bytes => args.bytes);
export const counted = stream(async function* (args: { to: Int }): AsyncGenerator<Int> { yield args.to; });
export const byKind = view.groupBy(things, (t) => t.kind, {});

// file: collections.ts
import { collection, type DateTime } from "weir";
export interface Thing { name: string; kind: "good" | "bad"; at: DateTime | null; size?: { w: number; h: number } }
export const things = collection<Thing>({ index: ["kind"] });
"#;

fn against(app: &App, other: &str) -> Ended {
    run(&["check", app.path().to_str().unwrap(), "--against", other])
}

/// Saves the schema of an app.
fn schema_of(app: &App) -> String {
    let ended = run(&["check", app.path().to_str().unwrap(), "--schema"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let file = app.beside("schema.graphql");
    fs::write(&file, ended.stdout).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn graphql_js_finds_the_same_changes() {
    let Some(packages) = node::packages("graphql_js_finds_the_same_changes") else { return };
    let app = App::of(RICH);
    let (schema, folder) = (schema_of(&app), app.beside("others"));
    fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    let made = node::run(packages, "other-schemas.mjs", &[&schema, folder, &OTHERS.to_string()]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let expected: Vec<Value> = made.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(expected.len(), OTHERS);
    for (number, expected) in expected.iter().enumerate() {
        let other = format!("{folder}/{number}.graphql");
        let ended = against(&app, &other);
        let mut expected: Vec<String> = expected.as_array().unwrap().iter().map(line_of).collect();
        let mut found: Vec<&str> = ended.stdout.lines().collect();
        assert!(found.pop().unwrap().starts_with("changes: "), "{}", ended.stdout);
        found.retain(|line| !line.starts_with("safe "));
        expected.sort();
        found.sort_unstable();
        let about = || format!("{}\nfound {found:#?}\nGraphQL.js: {expected:#?}", fs::read_to_string(&other).unwrap());
        assert_eq!(found.len(), expected.len(), "{}", about());
        // What to do stands behind what GraphQL.js says.
        let same = found.iter().zip(&expected).all(|(found, expected)| found.starts_with(&format!("{expected} ")));
        assert!(same, "{}", about());
        let breaks = expected.iter().any(|line| line.starts_with("breaking "));
        assert_eq!(ended.code, Some(i32::from(breaks)), "{}", ended.stderr);
    }
}

fn line_of(change: &Value) -> String {
    format!("{} {}", change["severity"].as_str().unwrap(), change["change"].as_str().unwrap())
}

/// What the first app's clients notice of the second, and what is said of it.
#[track_caller]
fn check(before: &str, after: &str, code: i32, expected: expect_test::Expect) {
    let (before, after) = (App::of(before), App::of(after));
    let ended = against(&after, &schema_of(&before));
    let said = before.neutral(&format!("{}{}", ended.stdout, ended.stderr));
    expected.assert_eq(&said.replace(before.path().parent().unwrap().to_str().unwrap(), "TMP"));
    assert_eq!(ended.code, Some(code));
}

#[test]
fn each_change_is_told_with_what_to_do() {
    check(
        r#"
        import { query, type Int } from "weir";
        export const total = query((args: { of: string; limit?: Int }): number => 1);
        export const state = query((): "open" | "paid" => "open");
        export const old = query((): Int => 1);
        "#,
        r#"
        import { query, type Int } from "weir";
        export const total = query((args: { of?: string; first: Int; unit?: string }): number => 1);
        export const state = query((): "open" | "sent" => "open");
        export const young = query((): Int => 1);
        "#,
        1,
        expect![[r#"
            breaking ARG_REMOVED: Query.total arg limit was removed. Keep it, optional, until no operation gives it.
            breaking REQUIRED_ARG_ADDED: A required arg first on Query.total was added. Make it optional, as `name?: T`.
            breaking FIELD_REMOVED: Query.old was removed. Keep it until no operation names it.
            breaking ARG_REMOVED: Subscription.total arg limit was removed. Keep it, optional, until no operation gives it.
            breaking REQUIRED_ARG_ADDED: A required arg first on Subscription.total was added. Make it optional, as `name?: T`.
            breaking FIELD_REMOVED: Subscription.old was removed. Keep it until no operation names it.
            breaking VALUE_REMOVED_FROM_ENUM: paid was removed from enum type StateResult. Keep it until no operation gives it.
            dangerous OPTIONAL_ARG_ADDED: An optional arg unit on Query.total was added. See that nothing changes for who leaves it out.
            dangerous OPTIONAL_ARG_ADDED: An optional arg unit on Subscription.total was added. See that nothing changes for who leaves it out.
            dangerous VALUE_ADDED_TO_ENUM: sent was added to enum type StateResult. See that clients have a case for values that they do not know.
            safe ARG_CHANGED_KIND_SAFE: Query.total arg of has changed type from String! to String.
            safe FIELD_ADDED: Query.young was added.
            safe ARG_CHANGED_KIND_SAFE: Subscription.total arg of has changed type from String! to String.
            safe FIELD_ADDED: Subscription.young was added.
            changes: 7 breaking, 3 dangerous, 4 safe
            weir: some changes break clients of TMP/schema.graphql: do what the line says, or release this when no client needs the old schema
        "#]],
    );
    let same = r#"import { query } from "weir"; export const a = query((): string => "a");"#;
    let more = r#"import { query } from "weir"; export const a = query((): string => "a"); export const b = query((): string => "b");"#;
    check(
        same,
        same,
        0,
        expect![[r#"
        changes: 0 breaking, 0 dangerous, 0 safe
    "#]],
    );
    check(
        same,
        more,
        0,
        expect![[r#"
        safe FIELD_ADDED: Query.b was added.
        safe FIELD_ADDED: Subscription.b was added.
        changes: 0 breaking, 0 dangerous, 2 safe
    "#]],
    );
}

#[test]
fn a_served_schema_is_compared_with_and_what_is_none_is_refused() {
    let app = App::of(RICH);
    let dev = Dev::start(&app);
    let ended = against(&app, &format!("{}/schema.graphql", dev.url));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "changes: 0 breaking, 0 dangerous, 0 safe\n"));
    // Not the one that is served: that would be served then.
    let app = App::of(RICH);
    app.edit("functions/t.ts", "export const matrix", "export const matrices");
    let ended = against(&app, &format!("{}/schema.graphql", dev.url));
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.starts_with("breaking FIELD_REMOVED: Query.matrix was removed."), "{}", ended.stdout);
    let missing = app.beside("missing.graphql");
    for (other, expected) in [
        (format!("{}/nothing", dev.url), "404: give the whole address"),
        (format!("{}/healthz", dev.url), "is no GraphQL schema"),
        ("https://127.0.0.1/schema.graphql".to_owned(), "only http:// is fetched"),
        (missing.to_str().unwrap().to_owned(), "cannot read"),
    ] {
        let ended = against(&app, &other);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}

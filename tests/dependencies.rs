//! `weir graph`: which functions use which collections and each other.

use expect_test::expect;

use crate::apps::App;
use crate::weir::run;

#[test]
fn the_shop_as_text() {
    let app = App::copy_of("examples/shop");
    let ended = run(&["graph", app.path().to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    expect![[r#""#]].assert_eq(&ended.stdout);
}

#[test]
fn the_shop_for_graphviz() {
    let app = App::copy_of("examples/shop");
    let ended = run(&["graph", app.path().to_str().unwrap(), "--dot"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    expect![[r#""#]].assert_eq(&ended.stdout);
}

#[test]
fn every_kind_of_function_for_graphviz() {
    let app = App::of(
        r#"
        import { action, call, count, http, procedure, query, schedule, stream, view, type HttpRequest, type HttpResponse, type Int } from "weir";
        import { notes } from "../collections";
        import { sizeOf } from "../lib/size";
        export const size = query((): Int => sizeOf(notes));
        export const byText = view.groupBy(notes, (n) => n.text, { n: count() });
        export const notesOf = view((): Int => size());
        export const add = procedure((): string => notes.insert({ text: "" }).id);
        export const later = procedure((): string => schedule({ after: "1h" }, add));
        export const act = action(async (): Promise<string> => await call(add));
        export const sizes = stream(async function* (): AsyncGenerator<Int> { yield size(); });
        export const hook = http.post("/hooks/add", action(async (request: HttpRequest): Promise<HttpResponse> => {
          await call(add);
          return { status: 204 };
        }));
        // file: collections.ts
        import { collection } from "weir";
        export interface Note { text: string }
        export const notes = collection<Note>();
        // file: lib/size.ts
        export const sizeOf = (of: { count(): number }): number => of.count();
        // file: app.toml
        name = "kinds"
        version = "1.0.0"
        [[cron]]
        name = "nightly"
        schedule = "0 3 * * *"
        call = "later"
        "#,
    );
    let ended = run(&["graph", app.path().to_str().unwrap(), "--dot"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    expect![[r#""#]].assert_eq(&ended.stdout);
}

#[test]
fn mistakes_are_told_as_by_check() {
    let app = App::of(
        r#"
        import { view, type Int } from "weir";
        export const a = view((): Int => b());
        export const b = view((): Int => a());
        "#,
    );
    let path = app.path();
    let ended = run(&["graph", path.to_str().unwrap(), "--dot"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    expect![[r#""#]].assert_eq(&app.neutral(&ended.stderr));
    assert_eq!(ended.stderr, run(&["check", path.to_str().unwrap()]).stderr);
    let missing = run(&["graph", app.beside("missing").to_str().unwrap()]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));
    assert_eq!(run(&["graph"]).code, Some(2));
    assert_eq!(run(&["graph", path.to_str().unwrap(), "--svg"]).code, Some(2));
}

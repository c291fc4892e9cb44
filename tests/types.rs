//! The editor's types: what Weir runs the official compiler accepts, and what Weir refuses to run it refuses too.

use std::path::Path;
use std::process::Command;

use expect_test::expect;

use crate::apps::{App, root};
use crate::node;
use crate::weir::{Ended, PATIENCE, finish, run};

const APPS: [&str; 4] = ["examples/shop", "examples/atlas", "tests/fixtures/jobs", "tests/fixtures/observatory"];

/// A copy of an app with the editor's types.
fn typed(path: &str) -> App {
    let app = App::copy_of(path);
    let ended = run(&["types", app.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    app
}

fn compile(packages: &Path, app: &App) -> Ended {
    let mut compiler = Command::new("node");
    compiler.arg(packages.join("node_modules/typescript/bin/tsc")).args(["--noEmit", "--pretty", "false", "-p", "."]);
    compiler.current_dir(app.path());
    finish(compiler, PATIENCE)
}

#[test]
fn the_official_compiler_accepts_every_app() {
    let Some(packages) = node::packages("the_official_compiler_accepts_every_app") else { return };
    for path in APPS {
        let ended = compile(packages, &typed(path));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{path}");
    }
}

/// Each line that says that an error is to come has one.
#[test]
fn the_official_compiler_agrees_with_the_types_own_test() {
    let Some(packages) = node::packages("the_official_compiler_agrees_with_the_types_own_test") else { return };
    let app = typed("examples/shop");
    let test = std::fs::read_to_string(root().join("sandbox/types/weir.test-d.ts")).unwrap();
    assert!(test.contains("@ts-expect-error"));
    app.write("functions/types.ts", &test);
    let ended = compile(packages, &app);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
}

#[test]
fn the_official_compiler_sees_mistakes() {
    let Some(packages) = node::packages("the_official_compiler_sees_mistakes") else { return };
    let app = typed("examples/shop");
    app.write(
        "functions/mistakes.ts",
        r#"import { action, call, procedure, query, view, count, sum, type Doc, type Float, type ID } from "weir";
import { customers, orders, type Order } from "../collections";
import { ordersOf, placeOrder } from "./orders";

export const a = query((): Doc<Order>[] => orders.where("colour", "red"));
export const b = query((): Doc<Order>[] => orders.where("status", "lost"));
export const c = procedure((args: { id: ID }): Doc<Order> => orders.insert({ customer: args.id, total: "1" }));
export const d = procedure((args: { id: ID }): Doc<Order> => orders.patch(args.id, { totel: 1 }));
export const e = query((): string => customers.get(1)?.name ?? "");
export const f = action(async (): Promise<Float> => (await call(placeOrder, { customer: "a" })).total);
export const g = view.groupBy(orders, (o) => o.status, { orders: count(), revenue: sum((o) => o.status) });
export const h = query((): Doc<Order>[] => ordersOf({ client: "a" }));
export const i = query((): string => orders.orderBy("at", "down").first()!.customer);
export const j = query((args: { id: ID }): string => customers.get(args.id).name);
"#,
    );
    let ended = compile(packages, &app);
    assert_ne!(ended.code, Some(0));
    expect![[r#"
        functions/mistakes.ts(5,57): error TS2345: Argument of type '"colour"' is not assignable to parameter of type 'Field<Order>'.
        functions/mistakes.ts(6,67): error TS2345: Argument of type '"lost"' is not assignable to parameter of type '"open" | "paid"'.
        functions/mistakes.ts(7,97): error TS2322: Type 'string' is not assignable to type 'number'.
        functions/mistakes.ts(8,86): error TS2561: Object literal may only specify known properties, but 'totel' does not exist in type 'Partial<Doc<Order>>'. Did you mean to write 'total'?
        functions/mistakes.ts(9,52): error TS2345: Argument of type 'number' is not assignable to parameter of type 'string'.
        functions/mistakes.ts(10,77): error TS2345: Argument of type '{ customer: string; }' is not assignable to parameter of type '{ customer: string; total: number; }'.
          Property 'total' is missing in type '{ customer: string; }' but required in type '{ customer: string; total: number; }'.
        functions/mistakes.ts(11,95): error TS2322: Type 'string' is not assignable to type 'number'.
          Type 'string' is not assignable to type 'number'.
        functions/mistakes.ts(12,55): error TS2353: Object literal may only specify known properties, and 'client' does not exist in type '{ customer: string; limit?: number | undefined; }'.
        functions/mistakes.ts(13,59): error TS2345: Argument of type '"down"' is not assignable to parameter of type '"asc" | "desc" | undefined'.
        functions/mistakes.ts(14,54): error TS2531: Object is possibly 'null'.
    "#]].assert_eq(&ended.stdout);
}

#[test]
fn the_folder_is_left_as_it_is_but_for_the_types() {
    let app = App::of("// file: tsconfig.json\n{ \"extends\": \"./mine.json\" }\n");
    let ended = run(&["types", app.path().to_str().unwrap()]);
    expect![[r#"
        wrote TMP/app/.weir/types/weir.d.ts
    "#]]
    .assert_eq(&app.neutral(&(ended.stdout + &ended.stderr)));
    assert_eq!(app.read("tsconfig.json"), "{ \"extends\": \"./mine.json\" }\n");
    let ended = run(&["types", app.beside("missing").to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    expect![[r#"
        weir: cannot write types into TMP/missing: not a folder
    "#]]
    .assert_eq(&app.neutral(&ended.stderr));
}

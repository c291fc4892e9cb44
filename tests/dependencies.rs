//! `weir graph`: which functions use which collections and each other.

use expect_test::expect;

use crate::apps::App;
use crate::weir::run;

#[test]
fn the_shop_as_text() {
    let app = App::copy_of("examples/shop");
    let ended = run(&["graph", app.path().to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    expect![[r#"
        query customerByEmail (functions/customers.ts:5)
          reads       customers

        procedure addCustomer (functions/customers.ts:10)
          writes      customers

        procedure removeCustomer (functions/customers.ts:16)
          writes      customers, orders

        procedure seed (functions/customers.ts:25)
          reads       customers, orders
          writes      customers, orders

        query ordersOf (functions/orders.ts:5)
          reads       orders

        query ordersPage (functions/orders.ts:10)
          reads       orders

        view revenueByDay (functions/orders.ts:15)
          over        orders

        procedure placeOrder (functions/orders.ts:21)
          reads       customers
          writes      orders

        procedure payOrder (functions/orders.ts:28)
          reads       orders
          writes      orders

        collection customers (collections.ts)
          read by     customerByEmail, seed, placeOrder
          written by  addCustomer, removeCustomer, seed

        collection orders (collections.ts)
          viewed by   revenueByDay
          read by     seed, ordersOf, ordersPage, payOrder
          written by  removeCustomer, seed, placeOrder, payOrder
    "#]]
    .assert_eq(&ended.stdout);
}

#[test]
fn the_shop_for_graphviz() {
    let app = App::copy_of("examples/shop");
    let ended = run(&["graph", app.path().to_str().unwrap(), "--dot"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    expect![[r#"
        digraph "shop" {
          rankdir = "LR";
          "function customerByEmail" [label = "customerByEmail", shape = "ellipse"];
          "function addCustomer" [label = "addCustomer", shape = "box"];
          "function removeCustomer" [label = "removeCustomer", shape = "box"];
          "function seed" [label = "seed", shape = "box"];
          "function ordersOf" [label = "ordersOf", shape = "ellipse"];
          "function ordersPage" [label = "ordersPage", shape = "ellipse"];
          "function revenueByDay" [label = "revenueByDay", shape = "hexagon"];
          "function placeOrder" [label = "placeOrder", shape = "box"];
          "function payOrder" [label = "payOrder", shape = "box"];
          "collection customers" [label = "customers", shape = "cylinder"];
          "collection orders" [label = "orders", shape = "cylinder"];
          "function customerByEmail" -> "collection customers" [label = "reads", style = "solid"];
          "function addCustomer" -> "collection customers" [label = "writes", style = "bold"];
          "function removeCustomer" -> "collection customers" [label = "writes", style = "bold"];
          "function removeCustomer" -> "collection orders" [label = "writes", style = "bold"];
          "function seed" -> "collection customers" [label = "reads", style = "solid"];
          "function seed" -> "collection orders" [label = "reads", style = "solid"];
          "function seed" -> "collection customers" [label = "writes", style = "bold"];
          "function seed" -> "collection orders" [label = "writes", style = "bold"];
          "function ordersOf" -> "collection orders" [label = "reads", style = "solid"];
          "function ordersPage" -> "collection orders" [label = "reads", style = "solid"];
          "function revenueByDay" -> "collection orders" [label = "over", style = "solid"];
          "function placeOrder" -> "collection customers" [label = "reads", style = "solid"];
          "function placeOrder" -> "collection orders" [label = "writes", style = "bold"];
          "function payOrder" -> "collection orders" [label = "reads", style = "solid"];
          "function payOrder" -> "collection orders" [label = "writes", style = "bold"];
        }
    "#]]
    .assert_eq(&ended.stdout);
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
    expect![[r#"
        digraph "kinds" {
          rankdir = "LR";
          "function size" [label = "size", shape = "ellipse"];
          "function byText" [label = "byText", shape = "hexagon"];
          "function notesOf" [label = "notesOf", shape = "hexagon"];
          "function add" [label = "add", shape = "box"];
          "function later" [label = "later\n0 3 * * *", shape = "box"];
          "function act" [label = "act", shape = "component"];
          "function sizes" [label = "sizes", shape = "cds"];
          "function hook" [label = "hook\nPOST /hooks/add", shape = "house"];
          "collection notes" [label = "notes", shape = "cylinder"];
          "function size" -> "collection notes" [label = "possibly reads", style = "solid", color = "gray"];
          "function byText" -> "collection notes" [label = "over", style = "solid"];
          "function notesOf" -> "function size" [label = "calls", style = "dashed"];
          "function add" -> "collection notes" [label = "writes", style = "bold"];
          "function later" -> "function add" [label = "schedules", style = "dotted"];
          "function act" -> "function add" [label = "calls", style = "dashed"];
          "function sizes" -> "function size" [label = "calls", style = "dashed"];
          "function hook" -> "function add" [label = "calls", style = "dashed"];
        }
    "#]]
    .assert_eq(&ended.stdout);
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
    expect![[r#"
        error: the view `a` reads itself: a → b → a
         --> functions/t.ts:2:34
          |
        2 | export const a = view((): Int => b());
          |                                  ^
        help: put what calls itself into a plain function, or make these views queries

        weir: 1 mistake found
    "#]]
    .assert_eq(&app.neutral(&ended.stderr));
    assert_eq!(ended.stderr, run(&["check", path.to_str().unwrap()]).stderr);
    let missing = run(&["graph", app.beside("missing").to_str().unwrap()]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));
    assert_eq!(run(&["graph"]).code, Some(2));
    assert_eq!(run(&["graph", path.to_str().unwrap(), "--svg"]).code, Some(2));
}

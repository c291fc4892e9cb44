//! Which functions use which collections and each other.

use expect_test::{Expect, expect};
use weir_schema::dependencies;

use super::compiled;

const COLLECTIONS: &str = r#"
        // file: collections.ts
        import { collection, type Ref } from "weir";
        export interface Customer { name: string }
        export interface Order { customer: Ref<Customer>; status: string }
        export interface Line { order: Ref<Order>; n: number }
        export interface Note { on?: Ref<Order>; text: string }
        export const customers = collection<Customer>();
        export const orders = collection<Order>({ index: ["status"], onDelete: { customer: "cascade" } });
        export const lines = collection<Line>({ onDelete: { order: "cascade" } });
        export const notes = collection<Note>({ onDelete: { on: "setNull" } });
        "#;

/// Checks the graph of files beside a few collections, as text.
fn check(text: &str, expected: Expect) {
    let compiled = compiled(&(text.to_owned() + COLLECTIONS)).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    expected.assert_eq(&dependencies::text(&compiled.dependencies));
}

#[test]
fn reads_and_writes_by_method() {
    check(
        r#"
        import { procedure, query, stream, type Int } from "weir";
        import { customers, lines, notes, orders } from "../collections";
        export const all = query((): Int => orders.where("status", "open").count() + lines?.count());
        export const one = query((args: { id: string }): boolean => !!(customers)!["get"](args.id));
        export const add = procedure((): string => customers.insert({ name: "" }).id);
        export const change = procedure((args: { id: string }): boolean => {
          notes.patch(args.id, { text: "" });
          orders.replace(args.id, { customer: "", status: "" });
          return true;
        });
        export const dropCustomer = procedure((args: { id: string }): boolean => customers.delete(args.id));
        export const dropLine = procedure((args: { id: string }): boolean => lines.delete(args.id));
        export const listed = stream(async function* (): AsyncGenerator<Int> { yield notes.count(); });
        export const nothing = query((): Int => { const orders = [1]; return orders.length; });
        "#,
        expect![[r#"
            query all (functions/t.ts:3)
              reads       lines, orders

            query one (functions/t.ts:4)
              reads       customers

            procedure add (functions/t.ts:5)
              writes      customers

            procedure change (functions/t.ts:6)
              writes      notes, orders

            procedure dropCustomer (functions/t.ts:11)
              writes      customers, lines, notes, orders

            procedure dropLine (functions/t.ts:12)
              writes      lines

            stream listed (functions/t.ts:13)
              reads       notes

            query nothing (functions/t.ts:14)

            collection customers (collections.ts)
              read by     one
              written by  add, dropCustomer

            collection orders (collections.ts)
              read by     all
              written by  change, dropCustomer

            collection lines (collections.ts)
              read by     all
              written by  dropCustomer, dropLine

            collection notes (collections.ts)
              read by     listed
              written by  change, dropCustomer
        "#]],
    );
}

#[test]
fn helpers_are_followed() {
    check(
        r#"
        import { procedure, query, type Int } from "weir";
        import * as lib from "../lib/helpers";
        import { givenBody, openOrders as open, Report, table } from "../lib/helpers";
        export const direct = query((): Int => open());
        export const whole = query((): Int => lib.openOrders());
        export const made = query((): Int => new Report().lines());
        export const filled = query((): Int => table.notes());
        export const unaffected = query((): Int => lib.plain(1));
        export const handed = procedure((): Int => lib.sizeOf(lib.collections.customers));
        export const everything = query((): Int => lib.sizeOf(lib));
        const hidden = query((): Int => open());
        export const shown = query((): Int => hidden());
        export const given = query(givenBody);
        // file: lib/helpers.ts
        import { lines, notes, orders } from "../collections";
        export * as collections from "../collections";
        export function openOrders(): number { return counted(() => orders.where("status", "open")); }
        const counted = (rows: () => { count(): number }) => rows().count();
        export const sizeOf = (x: unknown) => 1;
        export const plain = (x: number) => x;
        export class Report { lines() { return lines.count(); } }
        export const table: Record<string, () => number> = {};
        table.notes = () => notes.count();
        export const givenBody = (): number => notes.count();
        export { counted };
        "#,
        expect![[r#"
            query direct (functions/t.ts:4)
              reads       orders

            query whole (functions/t.ts:5)
              reads       orders

            query made (functions/t.ts:6)
              reads       lines

            query filled (functions/t.ts:7)
              reads       notes

            query unaffected (functions/t.ts:8)

            procedure handed (functions/t.ts:9)
              reads       customers (possibly)
              writes      customers (possibly), lines (possibly), notes (possibly), orders (possibly)

            query everything (functions/t.ts:10)
              reads       customers (possibly), lines, notes, orders

            query shown (functions/t.ts:12)
              reads       orders

            query given (functions/t.ts:13)
              reads       notes

            collection customers (collections.ts)
              read by     handed (possibly), everything (possibly)
              written by  handed (possibly)

            collection orders (collections.ts)
              read by     direct, whole, everything, shown
              written by  handed (possibly)

            collection lines (collections.ts)
              read by     made, everything
              written by  handed (possibly)

            collection notes (collections.ts)
              read by     filled, everything, given
              written by  handed (possibly)
        "#]],
    );
}

#[test]
fn functions_call_and_schedule_functions() {
    check(
        r#"
        import { action, attempt, call, http, procedure, query, schedule, stream, view, type HttpRequest, type HttpResponse, type Int } from "weir";
        import * as weir from "weir";
        import { notes } from "../collections";
        export const size = query((): Int => notes.count());
        export const note = procedure((): Int => { notes.insert({ text: "" }); return size(); });
        export const tick = procedure((): string => schedule({ after: 0 }, note));
        export const twice = procedure((): boolean => attempt(note).ok && attempt(() => call(note)).ok);
        export const act = action(async (): Promise<Int> => await weir.call(note));
        export const each = procedure((): Int => [note, size].map((f) => f()).length);
        export const kept = view((): Int => size(), { keep: "eager" });
        export const streamed = stream(async function* (): AsyncGenerator<Int> { yield kept(); });
        export const hook = http.post("/hooks/:name", action(async (request: HttpRequest): Promise<HttpResponse> => {
          await call(note);
          return { status: 204 };
        }));
        const shared = { read: () => notes.count(), write: () => notes.insert({ text: "" }) };
        export const reading = query((): Int => shared.read());
        // file: app.toml
        name = "t"
        version = "1.0.0"
        [[cron]]
        name = "tick"
        schedule = "0 3 * * *"
        call = "tick"
        "#,
        expect![[r#"
            query size (functions/t.ts:4)
              reads       notes

            procedure note (functions/t.ts:5)
              writes      notes
              calls       size

            procedure tick (functions/t.ts:6)
              runs at     0 3 * * *
              schedules   note

            procedure twice (functions/t.ts:7)
              calls       note

            action act (functions/t.ts:8)
              calls       note

            procedure each (functions/t.ts:9)
              calls       note (possibly), size (possibly)

            view kept (functions/t.ts:10)
              calls       size

            stream streamed (functions/t.ts:11)
              calls       kept

            action hook (functions/t.ts:12)
              answers     POST /hooks/:name
              calls       note

            query reading (functions/t.ts:17)
              reads       notes

            collection customers (collections.ts)

            collection orders (collections.ts)

            collection lines (collections.ts)

            collection notes (collections.ts)
              read by     size, reading
              written by  note
        "#]],
    );
}

#[test]
fn views_of_groups() {
    check(
        r#"
        import { count, query, view, type Int } from "weir";
        import { notes, orders } from "../collections";
        const isOpen = (status: string) => status === "open";
        export const byStatus = view.groupBy(orders, (o) => o.status, { n: count() });
        export const open = view.groupBy(orders.filter((o) => isOpen(o.status) && notes.count() > 0), (o) => o.status, { n: count() });
        export const sorted = view.index(orders, (o): string => o.status + notes.count());
        export const rows = query((): Int => byStatus().length + sorted({ prefix: "open" }).edges.length);
        "#,
        expect![[r#"
            view byStatus (functions/t.ts:4)
              over        orders

            view open (functions/t.ts:5)
              over        orders
              reads       notes

            view sorted (functions/t.ts:6)
              over        orders
              reads       notes

            query rows (functions/t.ts:7)
              calls       byStatus, sorted

            collection customers (collections.ts)

            collection orders (collections.ts)
              viewed by   byStatus, open, sorted

            collection lines (collections.ts)

            collection notes (collections.ts)
              read by     open, sorted
        "#]],
    );
}

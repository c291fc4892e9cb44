//! State that would outlive a call.

use expect_test::expect;

use super::check;

#[test]
fn variables() {
    check(
        r#"
        import { query } from "weir";
        let counter = 0;
        var old = 1, { x } = { x: 1 };
        export let exported = 2;
        { let hidden = 0; function bump() { hidden++; } }
        for (let i = 0; i < 3; i++) {}
        declare let ambient: string;
        export const a = query((): string => { let fine = 0; fine++; counter++; return ""; });
        "#,
        expect![[r#"
            error: `counter` at the top of a module would outlive the call that changes it
             --> functions/t.ts:2:5
              |
            2 | let counter = 0;
              |     ^^^^^^^
            help: write const, or move it into the function; what must last belongs in a collection

            error: `old` at the top of a module would outlive the call that changes it
             --> functions/t.ts:3:5
              |
            3 | var old = 1, { x } = { x: 1 };
              |     ^^^
            help: write const, or move it into the function; what must last belongs in a collection

            error: `x` at the top of a module would outlive the call that changes it
             --> functions/t.ts:3:16
              |
            3 | var old = 1, { x } = { x: 1 };
              |                ^
            help: write const, or move it into the function; what must last belongs in a collection

            error: `exported` at the top of a module would outlive the call that changes it
             --> functions/t.ts:4:12
              |
            4 | export let exported = 2;
              |            ^^^^^^^^
            help: write const, or move it into the function; what must last belongs in a collection

            error: `hidden` at the top of a module would outlive the call that changes it
             --> functions/t.ts:5:7
              |
            5 | { let hidden = 0; function bump() { hidden++; } }
              |       ^^^^^^
            help: write const, or move it into the function; what must last belongs in a collection
        "#]],
    );
}

#[test]
fn containers_and_static_fields() {
    check(
        r#"
        import { query } from "weir";
        const cache = new Map<string, string>();
        const seen = { inside: [new Set()] };
        const at = new Date();
        const pattern = new RegExp("x");
        class K { static count = 0; static { K.count = 1; } own = new Map(); static make() { return new Map(); } }
        export const a = query((): string => { const fine = new Map(); return ""; });
        "#,
        expect![[r#"
            error: a `Map` at the top of a module would outlive the call that changes it
             --> functions/t.ts:2:15
              |
            2 | const cache = new Map<string, string>();
              |               ^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write an array or object literal, or move it into the function

            error: a `Set` at the top of a module would outlive the call that changes it
             --> functions/t.ts:3:25
              |
            3 | const seen = { inside: [new Set()] };
              |                         ^^^^^^^^^
            help: write an array or object literal, or move it into the function

            error: a `Date` at the top of a module would outlive the call that changes it
             --> functions/t.ts:4:12
              |
            4 | const at = new Date();
              |            ^^^^^^^^^^
            help: write an array or object literal, or move it into the function

            error: a static field would outlive the call that changes it
             --> functions/t.ts:6:11
              |
            6 | class K { static count = 0; static { K.count = 1; } own = new Map(); static make() { return new Map(); } }
              |           ^^^^^^^^^^^^^^^^^
            help: write a constant beside the class, or a field of its instances

            error: a static field would outlive the call that changes it
             --> functions/t.ts:6:29
              |
            6 | class K { static count = 0; static { K.count = 1; } own = new Map(); static make() { return new Map(); } }
              |                             ^^^^^^^^^^^^^^^^^^^^^^^
            help: write a constant beside the class, or a field of its instances
        "#]],
    );
}

#[test]
fn constants_that_functions_change() {
    check(
        r#"
        import { query } from "weir";
        import { shared } from "../lib/shared";
        const list: string[] = [];
        const nested = { list: [] as string[], count: 0 };
        const api = { push(x: string) { return x; } };
        for (const x of ["a"]) list.push(x);
        function f() {}
        export const a = query((): string => {
          list.push("x");
          list[0] = "x";
          nested.list.push("y");
          nested.count++;
          nested.count += 1;
          delete (nested as any).count;
          ({ count: nested.count } = { count: 1 });
          [list[0]] = ["x"];
          Object.assign(nested, { count: 2 });
          shared.sort();
          f.cache = 1;
          api.push("x");
          [...list].sort();
          list.toSorted();
          const local = { list: [] as string[] };
          local.list.push("x");
          return "";
        });
        export const b = query((): string => { const list: string[] = []; list.push("x"); return ""; });
        // file: lib/shared.ts
        export const shared = ["b", "a"];
        "#,
        expect![[r#"
            error: this changes `list`, which would outlive the call
             --> functions/t.ts:9:3
              |
            9 |   list.push("x");
              |   ^^^^^^^^^^^^^^
            help: change a copy: [...list], or toSorted(), toReversed(), with()

            error: this changes `list`, which would outlive the call
              --> functions/t.ts:10:3
               |
            10 |   list[0] = "x";
               |   ^^^^^^^
            help: use a variable inside of the function; what must last belongs in a collection

            error: this changes `nested`, which would outlive the call
              --> functions/t.ts:11:3
               |
            11 |   nested.list.push("y");
               |   ^^^^^^^^^^^^^^^^^^^^^
            help: change a copy: [...list], or toSorted(), toReversed(), with()

            error: this changes `nested`, which would outlive the call
              --> functions/t.ts:12:3
               |
            12 |   nested.count++;
               |   ^^^^^^^^^^^^
            help: use a variable inside of the function; what must last belongs in a collection

            error: this changes `nested`, which would outlive the call
              --> functions/t.ts:13:3
               |
            13 |   nested.count += 1;
               |   ^^^^^^^^^^^^
            help: use a variable inside of the function; what must last belongs in a collection

            error: this changes `nested`, which would outlive the call
              --> functions/t.ts:14:3
               |
            14 |   delete (nested as any).count;
               |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: change a copy: const { member, ...rest } = object

            error: this changes `nested`, which would outlive the call
              --> functions/t.ts:15:13
               |
            15 |   ({ count: nested.count } = { count: 1 });
               |             ^^^^^^^^^^^^
            help: use a variable inside of the function; what must last belongs in a collection

            error: this changes `list`, which would outlive the call
              --> functions/t.ts:16:4
               |
            16 |   [list[0]] = ["x"];
               |    ^^^^^^^
            help: use a variable inside of the function; what must last belongs in a collection

            error: this changes `nested`, which would outlive the call
              --> functions/t.ts:17:3
               |
            17 |   Object.assign(nested, { count: 2 });
               |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: change a copy: { ...object, member: value }

            error: this changes `shared`, which would outlive the call
              --> functions/t.ts:18:3
               |
            18 |   shared.sort();
               |   ^^^^^^^^^^^^^
            help: change a copy: [...list], or toSorted(), toReversed(), with()

            error: this changes `f`, which would outlive the call
              --> functions/t.ts:19:3
               |
            19 |   f.cache = 1;
               |   ^^^^^^^
            help: use a variable inside of the function; what must last belongs in a collection
        "#]],
    );
}

#[test]
fn assignments_to_functions_and_classes() {
    check(
        r#"
        import { query } from "weir";
        function f() { return 1; }
        class K {}
        export const a = query((): string => { f = () => 2; ({ K } = { K: 1 }); return ""; });
        "#,
        expect![[r#"
            error: this assigns to `f`, which is no variable
             --> functions/t.ts:4:40
              |
            4 | export const a = query((): string => { f = () => 2; ({ K } = { K: 1 }); return ""; });
              |                                        ^
            help: use a variable inside of the function; what must last belongs in a collection

            error: this assigns to `K`, which is no variable
             --> functions/t.ts:4:56
              |
            4 | export const a = query((): string => { f = () => 2; ({ K } = { K: 1 }); return ""; });
              |                                                        ^
            help: use a variable inside of the function
        "#]],
    );
}

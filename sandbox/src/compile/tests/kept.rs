//! State behind closures, in generators and in instances.

use expect_test::expect;

use super::{check, compile_text};

/// Checks that code at the top of a module is fine.
fn check_fine(code: &str) {
    let text = format!(
        "import {{ query, collection, type Collection, type Doc }} from \"weir\";\nimport {{ orders, type Order }} from \"../collections\";\nimport * as lib from \"../lib/lib\";\n{code}\n\
         export const last = query((): number => orders.count() + lib.one());\n\
         // file: collections.ts\nimport {{ collection }} from \"weir\";\nexport interface Order {{ total: number }}\nexport const orders = collection<Order>();\n\
         // file: lib/lib.ts\nexport function one(): number {{ return 1 }}\n"
    );
    if let Err(diagnostics) = compile_text(&text) {
        panic!("{code}\n{diagnostics}");
    }
}

#[test]
fn ordinary_helpers_are_fine() {
    for code in [
        "function sumOf(list: number[]) { let total = 0; list.forEach((x) => { total += x; }); return total; } const TOTAL = sumOf([1, 2]);",
        "const RUNNING = (() => { let sum = 0; return [1, 2].map((x) => (sum += x)); })();",
        "function comparing(key: string) { return (a: any, b: any) => (a[key] < b[key] ? -1 : 1); } const byName = comparing('name');",
        "function withDefault(options?: { n: number }) { options = options ?? { n: 1 }; return () => options!.n; } const one = withDefault();",
        "function* ids() { let n = 0; while (n < 3) yield n++; } const IDS = [...ids()]; const SET = Array.from(ids());",
        "function makeCounter() { let n = 0; return () => ++n; } const f = query((): number => { const next = makeCounter(); next(); return next(); });",
        "function makeCounter() { let n = 0; return () => ++n; } const FIRST = makeCounter()();",
        "function parse(text: string) { let at = 0; const next = () => text[at++]; const tree: any = { first: next(), rest: rest() }; function rest(): any { return next() === undefined ? null : { next: rest() }; } return tree; } const TREE = parse('abc');",
        "class Rng { #state = 1; next() { this.#state = this.#state * 2; return this.#state; } } function table(rng: Rng) { return [rng.next(), rng.next()]; } const TABLE = table(new Rng());",
        "class Money { readonly cents: number; constructor(cents: number) { this.cents = cents; } plus(other: Money) { return new Money(this.cents + other.cents); } } const FREE = new Money(0);",
        "class Repo { constructor(private readonly of: typeof orders) {} remove(id: string) { return this.of.delete(id); } } const repo = new Repo(orders);",
        "function crud(of: typeof orders) { return { remove: (id: string) => of.delete(id), add: (value: Order) => of.insert(value) }; } const ops = crud(orders);",
        "const compose = (...fns: any[]) => (x: any) => fns.reduce((value, fn) => fn(value), x); const both = compose((x: number) => x + 1, (x: number) => x * 2);",
        "const ROUTES = Object.fromEntries(['a', 'b'].map((name) => [name, (n: number) => { let left = n; while (left > 0) left--; return name; }]));",
        "const SIZE = (() => { const seen = ['x']; seen.push('y'); return seen.length; })();",
        "const lazy = () => { let cache: number | undefined; return (cache ??= 1); };",
        "function validator(rules: any[]) { const errors = rules.filter((rule) => !rule.ok); return (value: any) => { const found: any[] = []; for (const rule of rules) if (!rule.test(value)) found.push(rule); return found.concat(errors); }; } const check = validator([]);",
        "class Builder { parts: string[] = []; add(part: string) { this.parts.push(part); return this; } build() { return this.parts.join(); } } const TEXT = new Builder().add('x').build();",
        "const even = (n: number): boolean => (n === 0 ? true : odd(n - 1)); const odd = (n: number): boolean => (n === 0 ? false : even(n - 1)); const E = even(4);",
        "const WORDS = /\\w+/g; const count = (text: string) => { let n = 0; while (WORDS.exec(text)) n++; return n; };",
        "const table: Record<string, number> = {}; ['a', 'b'].forEach((key, i) => { table[key] = i; }); for (const key of ['c']) table[key] = 3;",
        "const nested: Record<string, string[]> = {}; ['a'].map((key) => { (nested[key] ??= []).push(key); return key; });",
        "const filled: any = {}; (() => { filled.a = 1; ['b'].forEach((key) => { filled[key] = 2; }); })();",
    ] {
        check_fine(code);
    }
}

#[test]
fn closures_that_count_do_not_stay() {
    check(
        r#"
        import { query } from "weir";
        import { makeCounter, memoize } from "../lib/state";
        const next = makeCounter();
        const squared = memoize((n: number) => n * n);
        const inline = (() => { let n = 0; return () => { n += 1; return n; }; })();
        const held = { deep: [Object.freeze({ bump: makeCounter() })] };
        const either = held ? makeCounter() : null;
        const api: any = {};
        api.next = makeCounter();
        (() => { let hits = 0; api.hit = () => hits++; })();
        (function () { const log: string[] = []; api.log = (line: string) => { log.push(line); }; })();
        function Old(this: any) { let n = 0; this.next = () => ++n; }
        const old = new (Old as any)();
        const bound = makeCounter().bind(null);
        { let local = 0; api.local = () => { const read = local; return read; }; }
        { const cache: any = {}; api.cached = (key: string) => (cache[key] ??= key.length); }
        const wrapped = (() => { const inner = makeCounter(); return () => inner(); })();
        const viaHelper = (() => { let n = 0; function bump() { n++; } const step = () => bump(); return { step }; })();
        const K = (() => { let made = 0; return class { constructor() { made++; } }; })();
        const Counting = (() => class { static #n = 0; static bump() { const own = this; return ++own.#n; } })();
        const stepping = (() => { const WORD = /x/g; return (text: string) => WORD.test(text); })();
        const once = (() => { let done: boolean; return function () { if (!done) done = true; }; })();
        export const f = query((() => { let calls = 0; return (): number => ++calls; })());
        export const g = query((): number => next() + squared(2));
        // file: lib/state.ts
        export function makeCounter() {
          let n = 0;
          return () => ++n;
        }
        export const memoize = (fn: (n: number) => number) => {
          const cache = new Map<number, number>();
          return (n: number) => {
            if (!cache.has(n)) cache.set(n, fn(n));
            return cache.get(n);
          };
        };
        "#,
        expect![[r#"
            error: this keeps a function that changes `n` (lib/state.ts:2), which would outlive the call
             --> functions/t.ts:3:7
              |
            3 | const next = makeCounter();
              |       ^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `cache` (lib/state.ts:6), which would outlive the call
             --> functions/t.ts:4:7
              |
            4 | const squared = memoize((n: number) => n * n);
              |       ^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `n` (functions/t.ts:5), which would outlive the call
             --> functions/t.ts:5:7
              |
            5 | const inline = (() => { let n = 0; return () => { n += 1; return n; }; })();
              |       ^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `n` (lib/state.ts:2), which would outlive the call
             --> functions/t.ts:6:7
              |
            6 | const held = { deep: [Object.freeze({ bump: makeCounter() })] };
              |       ^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `n` (lib/state.ts:2), which would outlive the call
             --> functions/t.ts:7:7
              |
            7 | const either = held ? makeCounter() : null;
              |       ^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `n` (lib/state.ts:2), which would outlive the call
             --> functions/t.ts:9:12
              |
            9 | api.next = makeCounter();
              |            ^^^^^^^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `hits` (functions/t.ts:10), which would outlive the call
              --> functions/t.ts:10:1
               |
            10 | (() => { let hits = 0; api.hit = () => hits++; })();
               | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `log` (functions/t.ts:11), which would outlive the call
              --> functions/t.ts:11:1
               |
            11 | (function () { const log: string[] = []; api.log = (line: string) => { log.push(line); }; })();
               | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `n` (functions/t.ts:12), which would outlive the call
              --> functions/t.ts:13:7
               |
            13 | const old = new (Old as any)();
               |       ^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `n` (lib/state.ts:2), which would outlive the call
              --> functions/t.ts:14:7
               |
            14 | const bound = makeCounter().bind(null);
               |       ^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this changes `cache`, which would outlive the call
              --> functions/t.ts:16:57
               |
            16 | { const cache: any = {}; api.cached = (key: string) => (cache[key] ??= key.length); }
               |                                                         ^^^^^^^^^^
            help: use a variable inside of the function; what must last belongs in a collection

            error: this keeps a function that changes `n` (lib/state.ts:2), which would outlive the call
              --> functions/t.ts:17:7
               |
            17 | const wrapped = (() => { const inner = makeCounter(); return () => inner(); })();
               |       ^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `n` (functions/t.ts:18), which would outlive the call
              --> functions/t.ts:18:7
               |
            18 | const viaHelper = (() => { let n = 0; function bump() { n++; } const step = () => bump(); return { step }; })();
               |       ^^^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `made` (functions/t.ts:19), which would outlive the call
              --> functions/t.ts:19:7
               |
            19 | const K = (() => { let made = 0; return class { constructor() { made++; } }; })();
               |       ^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a class with a static field (functions/t.ts:20), which would outlive the call that changes it
              --> functions/t.ts:20:7
               |
            20 | const Counting = (() => class { static #n = 0; static bump() { const own = this; return ++own.#n; } })();
               |       ^^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `WORD` (functions/t.ts:21), which would outlive the call
              --> functions/t.ts:21:7
               |
            21 | const stepping = (() => { const WORD = /x/g; return (text: string) => WORD.test(text); })();
               |       ^^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `done` (functions/t.ts:22), which would outlive the call
              --> functions/t.ts:22:7
               |
            22 | const once = (() => { let done: boolean; return function () { if (!done) done = true; }; })();
               |       ^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a function that changes `calls` (functions/t.ts:23), which would outlive the call
              --> functions/t.ts:23:14
               |
            23 | export const f = query((() => { let calls = 0; return (): number => ++calls; })());
               |              ^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: `f` is not given a function
              --> functions/t.ts:23:24
               |
            23 | export const f = query((() => { let calls = 0; return (): number => ++calls; })());
               |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
            help: write (args: { … }): Result => …
        "#]],
    );
}

#[test]
fn generators_and_instances_do_not_stay() {
    check(
        r#"
        import { query } from "weir";
        import { Queue as Line } from "../lib/queue";
        function* ids() { let n = 0; while (true) yield n++; }
        const steps = ids();
        const held = { steps: ids() };
        const nextId = (() => { const all = ids(); return () => all.next().value; })();
        const queue = new Line();
        const child = new (class Child extends Line {})();
        class Small extends Line {}
        const small = new Small();
        class Lazy { #value?: number; get value() { return (this.#value ??= 1); } }
        const lazy = new Lazy();
        class Memo { readonly #seen = new Map<string, number>(); of(key: string) { this.#seen.set(key, 1); return this.#seen.size; } }
        const memo = { inner: new Memo() };
        class Bound { n = 0; bump = () => { this.n++; }; }
        const handler = new Bound();
        class Late { n = 0; bump; constructor() { this.bump = () => this.n++; } }
        const late = new Late();
        export const f = query((): number => new Line().add(1));
        // file: lib/queue.ts
        export class Queue {
          #items: number[] = [];
          add(item: number) {
            this.#items.push(item);
            return this.#items.length;
          }
        }
        "#,
        expect![[r#"
            error: this keeps a generator, which would outlive the call that moves it on
             --> functions/t.ts:4:7
              |
            4 | const steps = ids();
              |       ^^^^^
            help: keep what it yields, [...generator], or start it inside of the function

            error: this keeps a generator, which would outlive the call that moves it on
             --> functions/t.ts:5:7
              |
            5 | const held = { steps: ids() };
              |       ^^^^
            help: keep what it yields, [...generator], or start it inside of the function

            error: this keeps a generator, which would outlive the call that moves it on
             --> functions/t.ts:6:7
              |
            6 | const nextId = (() => { const all = ids(); return () => all.next().value; })();
              |       ^^^^^^
            help: keep what it yields, [...generator], or start it inside of the function

            error: this keeps a `Queue`, which its methods change (lib/queue.ts:3): it would outlive the call
             --> functions/t.ts:7:7
              |
            7 | const queue = new Line();
              |       ^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a `Queue`, which its methods change (lib/queue.ts:3): it would outlive the call
             --> functions/t.ts:8:7
              |
            8 | const child = new (class Child extends Line {})();
              |       ^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a `Queue`, which its methods change (lib/queue.ts:3): it would outlive the call
              --> functions/t.ts:10:7
               |
            10 | const small = new Small();
               |       ^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a `Lazy`, which its methods change (functions/t.ts:11): it would outlive the call
              --> functions/t.ts:12:7
               |
            12 | const lazy = new Lazy();
               |       ^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a `Memo`, which its methods change (functions/t.ts:13): it would outlive the call
              --> functions/t.ts:14:7
               |
            14 | const memo = { inner: new Memo() };
               |       ^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a `Bound`, which its methods change (functions/t.ts:15): it would outlive the call
              --> functions/t.ts:16:7
               |
            16 | const handler = new Bound();
               |       ^^^^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection

            error: this keeps a `Late`, which its methods change (functions/t.ts:17): it would outlive the call
              --> functions/t.ts:18:7
               |
            18 | const late = new Late();
               |       ^^^^
            help: make it inside of the function that needs it; what must last belongs in a collection
        "#]],
    );
}

//! A call leaves nothing that the next can see.

use expect_test::expect;
use weir_sandbox::compile::{Sources, compile};
use weir_schema::declarations::FunctionKind;

use crate::harness::{Guest, query, run};

/// What comes of one call after another in one isolate.
fn calls(kind: FunctionKind, code: &str, arguments: &[&str]) -> String {
    let mut guest = Guest::of_kind(kind, code).unwrap_or_else(|error| panic!("{error}"));
    arguments.iter().map(|arguments| guest.call(arguments)).collect::<Vec<_>>().join("\n")
}

/// Compiles files and loads them.
fn load(files: &[(&str, &str)]) -> String {
    let toml = [("app.toml", "name = \"t\"\nversion = \"1.0.0\"\n")];
    let sources = toml.iter().chain(files).map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let app = compile(&Sources::from_texts(sources)).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"));
    match Guest::load(&app.into()) {
        Ok(mut guest) => guest.call("{}"),
        Err(error) => format!("does not load: {error}"),
    }
}

/// The same for one module with a query `f` of this body.
fn load_module(top: &str, body: &str) -> String {
    let text = format!(
        "import {{ query, type JSON as Json }} from \"weir\";\nimport {{ orders }} from \"../collections\";\n{top}\n\
         export const f = query((): Json => {{ {body} }});\nexport const used = [orders];\n"
    );
    let collections = "import { collection } from \"weir\";\nexport interface Order { total: number }\nexport const orders = collection<Order>();\n";
    load(&[("functions/main.ts", &text), ("collections.ts", collections)])
}

#[test]
fn what_constants_hold_is_frozen() {
    let lines = [
        load_module("const list = [1];", "const same = list; same.push(2); return same"),
        load_module("const deep = { a: [{ b: 1 }] };", "deep.a.forEach((one) => { one.b = 2 }); return deep"),
        load_module("function helper(): any { return 1 }", "const same: any = helper; same.kept = 1; return 1"),
        load_module("class K { go() { return 1 } }", "(Object.getPrototypeOf(new K()) as any).go = 1; return 1"),
        load_module("class K { a = 1 } const k = new K();", "const same = k; same.a = 2; return k"),
        load_module("const { a, ...rest } = { a: {}, b: { c: 1 } };", "const same: any = rest; same.b.c = 2; return a"),
        load_module("const table = { get lazy() { throw new Error('ran') } };", "return Object.keys(table)"),
        load_module("const error: any = new Error('x');", "const same = error; same.kept = 1; return 1"),
        load_module(
            "const key = Symbol(); const keyed: any = { [key]: {} };",
            "const same = keyed; same[key].kept = 1; return 1",
        ),
        load_module(
            "const symbol = Symbol('x'), big = 10n, text = 'x', nothing = null;",
            "return [symbol.description, `${big}`, text, nothing]",
        ),
    ];
    expect![[r#"
        failed: TypeError: Cannot add property 1, object is not extensible
        failed: TypeError: Cannot assign to read only property 'b' of object '[object Object]'
        failed: TypeError: Cannot add property kept, object is not extensible
        failed: TypeError: go of a prototype that all calls share cannot be changed
        failed: TypeError: Cannot assign to read only property 'a' of object '[object Object]'
        failed: TypeError: Cannot assign to read only property 'c' of object '[object Object]'
        ["lazy"]
        failed: TypeError: Cannot add property kept, object is not extensible
        failed: TypeError: Cannot add property kept, object is not extensible
        ["x","10","x",null]"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn what_cannot_be_frozen_does_not_load() {
    let lines = [
        "const made = (() => new Map())();",
        "const held = { inside: [JSON.parse('[]', () => new Set())] };",
        "const at = (() => new Date(0))();",
        "const at = [0].map((ms) => new Date(ms));",
        "const bytes = { 'the-key': Uint8Array.of(1) };",
        "const bytes = (() => new ArrayBuffer(1))();",
        "const weak = (() => new WeakMap())();",
        "const later = (async () => 1)();",
        "const steps = [1].values();",
        "const steps = (() => new Map().keys())();",
        "const steps = 'abc'[Symbol.iterator]();",
        "const steps = [1].values().map((x) => x);",
        "const rows = orders.where('total', 1);",
        "function f2() {} Object.defineProperty(f2, 'hidden', { get: Object.assign(() => 1, { kept: (() => new Set())() }) });",
    ]
    .map(|top| format!("{top} => {}", load_module(top, "return 1")));
    expect![[r#"
        const made = (() => new Map())(); => does not load: functions/main.ts: made is a Map, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const held = { inside: [JSON.parse('[]', () => new Set())] }; => does not load: functions/main.ts: held.inside[0] is a Set, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const at = (() => new Date(0))(); => does not load: functions/main.ts: at is a Date, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const at = [0].map((ms) => new Date(ms)); => does not load: functions/main.ts: at[0] is a Date, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const bytes = { 'the-key': Uint8Array.of(1) }; => does not load: functions/main.ts: bytes[the-key] is a typed array, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const bytes = (() => new ArrayBuffer(1))(); => does not load: functions/main.ts: bytes is an ArrayBuffer, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const weak = (() => new WeakMap())(); => does not load: functions/main.ts: weak is a WeakMap, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const later = (async () => 1)(); => does not load: functions/main.ts: later is a promise, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const steps = [1].values(); => does not load: functions/main.ts: steps is an iterator, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const steps = (() => new Map().keys())(); => does not load: functions/main.ts: steps is an iterator, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const steps = 'abc'[Symbol.iterator](); => does not load: functions/main.ts: steps is an iterator, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const steps = [1].values().map((x) => x); => does not load: functions/main.ts: steps is an iterator, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        const rows = orders.where('total', 1); => does not load: functions/main.ts: rows is a proxy (rows of a collection are one), which would keep what a call leaves in it: make it inside of the function, or write arrays and objects
        function f2() {} Object.defineProperty(f2, 'hidden', { get: Object.assign(() => 1, { kept: (() => new Set())() }) }); => does not load: functions/main.ts: f2.hidden.kept is a Set, which would keep what a call leaves in it: make it inside of the function, or write arrays and objects"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn classes_of_the_app_are_ordinary() {
    let lines = [
        load_module(
            "class P { name = 'x'; constructor() { this.go = this.go.bind(this) } go() { return this.name } }",
            "return new P().go()",
        ),
        load_module(
            "class A { say() { return 'a' } } class B extends A { say() { return super.say() + 'b' } }",
            "return new B().say()",
        ),
        load_module(
            "class E extends Error { constructor(m: string) { super(m); this.name = 'E' } }",
            "throw new E('x')",
        ),
        load_module("class Q { #n = 0; add() { return ++this.#n } }", "const q = new Q(); q.add(); return q.add()"),
        load_module("const base = { hello() { return 'hi' } };", "return Object.create(base).hello()"),
        load_module("function* ids() { yield 1; yield 2 } const LIST = [...ids()];", "return [...ids(), ...LIST]"),
    ];
    expect![[r#"
        "x"
        "ab"
        failed: E: x
        2
        "hi"
        [1,2,1,2]"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn patterns_start_anew_in_each_call() {
    let code = "const WORD = /\\w/g; const STICKY = /a/y; const held = { inside: [/\\d/g] };
        export { WORD, STICKY, held };
        export const f = query(({ throws }) => {
          const seen = [WORD.exec('ab').index, WORD.lastIndex, STICKY.test('aa'), held.inside[0].test('12'), 'abc'.replace(WORD, '')];
          WORD.exec('ab');
          if (throws) throw new Error('in the middle');
          return seen;
        });";
    expect![[r#"
        [0,1,true,true,""]
        [0,1,true,true,""]
        failed: in the middle
        [0,1,true,true,""]"#]]
    .assert_eq(&calls(FunctionKind::Query, code, &["{}", "{}", r#"{"throws":true}"#, "{}"]));
    expect!["failed: TypeError: Cannot add property kept, object is not extensible"]
        .assert_eq(&load_module("const WORD = /x/g;", "const same: any = WORD; same.kept = 1; return 1"));
    expect!["failed: TypeError: Cannot assign to read only property 'exec' of object '[object RegExp]'"]
        .assert_eq(&load_module("const WORD = /x/g;", "const same: any = WORD; same.exec = () => null; return 1"));
    expect!["failed: TypeError: Cannot assign to read only property 'lastIndex' of object '[object RegExp]'"]
        .assert_eq(&load_module("const WORD = /x/;", "const same = WORD; same.lastIndex = 5; return 1"));
}

#[test]
fn what_a_module_hands_to_the_isolate_does_not_show() {
    let text = "import { query, type JSON as Json } from \"weir\";\nimport * as lib from \"../lib/lib\";\n\
                export const f = query((): Json => [Object.keys(lib), lib.shown()]);\n";
    let lib = "const hidden = [1];\nconst weirKeep = 2, __proto__ = [3];\n\
               export function shown() { const same = [hidden, __proto__]; return same.map(Object.isFrozen).concat(weirKeep > 1); }\n";
    expect![[r#"[["shown"],[true,true,true]]"#]].assert_eq(&load(&[("functions/main.ts", text), ("lib/lib.ts", lib)]));
}

#[test]
fn source_maps_stay_right() {
    let text = "import { query } from \"weir\";\n\n\nconst hidden = { a: 1 };\nexport const f = query((): number => {\n  const same: { a: number } = hidden;\n  same.a = 2;\n  return 1;\n});\n";
    let toml = "name = \"t\"\nversion = \"1.0.0\"\n";
    let sources =
        [("app.toml", toml), ("functions/main.ts", text)].map(|(path, text)| (path.to_owned(), text.to_owned()));
    let mut guest = Guest::load(&compile(&Sources::from_texts(sources)).unwrap().into()).unwrap();
    let (outcome, _) = guest.call_function(0, "{}");
    let weir_sandbox::protocol::Outcome::Failed(error) = outcome else { panic!("{outcome:?}") };
    expect![[r#"TypeError: Cannot assign to read only property 'a' of object '[object Object]' [Frame { function: None, file: "functions/main.ts", line: 7, column: 8 }]"#]].assert_eq(&format!("{} {:?}", error.message, error.stack));
}

#[test]
fn handles_are_of_no_use_in_a_later_call() {
    let keep = |kept: &str, later: &str| {
        let code = format!(
            "let kept; export const f = query(({{ later }}) => {{ if (later) return ({later})(kept); kept = {kept}; return 'kept' }});"
        );
        calls(FunctionKind::Query, &code, &["{}", r#"{"later":true}"#])
    };
    let lines = [
        keep("orders.where('a', 1)", "(rows) => rows.length"),
        keep("orders.where('a', 1)", "(rows) => rows.take(1)"),
        keep("orders.where('a', 1)", "(rows) => rows"),
        keep("orders.where('a', 1)", "(rows) => 0 in rows"),
        keep("orders.where('a', 1)", "(rows) => Object.keys(rows)"),
        keep("orders.where('a', 1).orderBy('b')", "(rows) => rows.where('b', 2).all()"),
        keep(
            "(() => { const rows = orders.where('a', 1); rows.length; return rows })()",
            "(rows) => rows.map((row) => row.id)",
        ),
        keep(
            "(() => { const steps = orders.where('a', 1)[Symbol.iterator](); steps.next(); return steps })()",
            "(steps) => steps.next()",
        ),
        keep("orders.where('a', 1).entries()", "(steps) => [...steps]"),
        keep("orders.where('a', 1).take", "(take) => take(1)"),
        keep("orders", "(orders) => orders.count()"),
    ];
    expect![[r#"
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        failed: these rows belong to a call that has ended
        "kept"
        2"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn what_is_asked_outside_of_a_call_is_refused() {
    let lines = [
        "caller.kind",
        "caller.subject",
        "caller.issuer",
        "caller.roles",
        "caller.scopes",
        "caller.claims",
        "now()",
        "Math.random()",
        "orders.get('o1')",
        "orders.count()",
        "metric('a', 1)",
        "new Date()",
        "Date.now()",
        "Temporal.Now.instant()",
        "new Intl.DateTimeFormat().format()",
        "call(query(() => 1))",
        "[...orders.where('a', 1)]",
    ]
    .map(|asked| {
        format!(
            "{asked} => {}",
            run(FunctionKind::Query, &format!("const x = {asked}; export const f = query(() => 1);"))
        )
    });
    expect![[r#"
        caller.kind => does not load: who calls is known only inside a function, not while a module loads or after the call
        caller.subject => does not load: who calls is known only inside a function, not while a module loads or after the call
        caller.issuer => does not load: who calls is known only inside a function, not while a module loads or after the call
        caller.roles => does not load: who calls is known only inside a function, not while a module loads or after the call
        caller.scopes => does not load: who calls is known only inside a function, not while a module loads or after the call
        caller.claims => does not load: who calls is known only inside a function, not while a module loads or after the call
        now() => does not load: the time and randomness exist only inside a function, not while a module loads
        Math.random() => does not load: the time and randomness exist only inside a function, not while a module loads
        orders.get('o1') => does not load: data can be read and written only while a function runs, not while a module loads or after the call
        orders.count() => does not load: data can be read and written only while a function runs, not while a module loads or after the call
        metric('a', 1) => does not load: data can be read and written only while a function runs, not while a module loads or after the call
        new Date() => does not load: the time and randomness exist only inside a function, not while a module loads
        Date.now() => does not load: the time and randomness exist only inside a function, not while a module loads
        Temporal.Now.instant() => does not load: the time and randomness exist only inside a function, not while a module loads
        new Intl.DateTimeFormat().format() => does not load: the time and randomness exist only inside a function, not while a module loads
        call(query(() => 1)) => does not load: a function can be called only inside another, not while a module loads
        [...orders.where('a', 1)] => does not load: data can be read and written only while a function runs, not while a module loads or after the call"#]].assert_eq(&lines.join("\n"));
    assert_eq!(query("return caller.kind"), r#""developer""#);
}

#[test]
fn promises_end_with_the_call() {
    let lines = [
        "new Promise(() => {}); return 1",
        "Promise.resolve(1).then(() => {}); return 1",
        "Promise.resolve().then(() => orders.get('late')); return 1",
        "Promise.resolve().then(() => { for (;;); }); return 1",
        "(async () => { await null; orders.get('late') })(); return 1",
        "(async () => { await null })(); throw new Error('the first to be told')",
        "(async () => { throw new Error('unheard') })(); return 1",
        "(async () => { throw new Error('heard') })().catch(() => {}); return 1",
        "Promise.reject(new Error('unheard')); return 1",
        "new Promise((settle) => settle({ then() { for (;;); } })); return 1",
        "new Promise((settle) => settle({ then(done) { done(1) } })); return 1",
        "(async function* () { yield 1 })().next(); return 1",
        "const steps = (async function* () { yield 1 })(); return 1",
        "(async () => 1)(); return 1",
        "Promise.resolve(1); const { promise, resolve } = Promise.withResolvers(); resolve(1); return 1",
        "Promise.all([]); Promise.resolve(Promise.resolve(1)); return 1",
        "Promise.allSettled([Promise.reject(1)]); return 1",
        "(async () => { for await (const x of [1]) orders.get(x) })(); return 1",
        "Array.fromAsync([1]); return 1",
        "(async () => { await using a = { [Symbol.asyncDispose]() {} } })(); return 1",
        "return (async () => 1)()",
        "return (async () => { await null; return 1 })()",
        "return { then(done) { done(1) } }",
    ]
    .map(|body| format!("{body} => {}", query(body)));
    expect![[r#"
        new Promise(() => {}); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        Promise.resolve(1).then(() => {}); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        Promise.resolve().then(() => orders.get('late')); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        Promise.resolve().then(() => { for (;;); }); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        (async () => { await null; orders.get('late') })(); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        (async () => { await null })(); throw new Error('the first to be told') => failed: the first to be told (discarded)
        (async () => { throw new Error('unheard') })(); return 1 => failed: f left a rejected promise that nothing awaited: unheard (discarded)
        (async () => { throw new Error('heard') })().catch(() => {}); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        Promise.reject(new Error('unheard')); return 1 => failed: f left a rejected promise that nothing awaited: unheard (discarded)
        new Promise((settle) => settle({ then() { for (;;); } })); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        new Promise((settle) => settle({ then(done) { done(1) } })); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        (async function* () { yield 1 })().next(); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        const steps = (async function* () { yield 1 })(); return 1 => 1
        (async () => 1)(); return 1 => 1
        Promise.resolve(1); const { promise, resolve } = Promise.withResolvers(); resolve(1); return 1 => 1
        Promise.all([]); Promise.resolve(Promise.resolve(1)); return 1 => 1
        Promise.allSettled([Promise.reject(1)]); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        (async () => { for await (const x of [1]) orders.get(x) })(); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        Array.fromAsync([1]); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        (async () => { await using a = { [Symbol.asyncDispose]() {} } })(); return 1 => failed: f returned while a promise was pending: only actions are asynchronous (discarded)
        return (async () => 1)() => failed: TypeError: f returned a promise: only actions are asynchronous, database calls need no await
        return (async () => { await null; return 1 })() => failed: TypeError: f returned a promise: only actions are asynchronous, database calls need no await (discarded)
        return { then(done) { done(1) } } => failed: TypeError: f returned a promise: only actions are asynchronous, database calls need no await"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn actions_end_with_all_that_they_began() {
    let lines = [
        "return await call(g)",
        "call(g); return 1",
        "call(g).catch(() => {}); return 1",
        "Promise.race([call(g), 1]); return 1",
        "await Promise.race([call(g), 1]); return 1",
        "return Promise.all([call(g), call(g)])",
        "await new Promise(() => {})",
        "new Promise(() => {}); return 1",
        "(async () => { await null; await null; throw new Error('unheard') })(); return 1",
        "call(g).then(() => { for (;;); }); return 1",
        "setTimeout(() => {}); return 1",
    ]
    .map(|body| {
        let code = format!("export const g = query(() => 1); export const f = action(async () => {{ {body} }});");
        format!("{body} => {}", run(FunctionKind::Action, &code))
    });
    expect![[r#"
        return await call(g) => 41
        call(g); return 1 => failed: f returned while calls were still running: await every call (discarded)
        call(g).catch(() => {}); return 1 => failed: f returned while calls were still running: await every call (discarded)
        Promise.race([call(g), 1]); return 1 => failed: f returned while calls were still running: await every call (discarded)
        await Promise.race([call(g), 1]); return 1 => failed: f returned while calls were still running: await every call (discarded)
        return Promise.all([call(g), call(g)]) => [41,41]
        await new Promise(() => {}) => failed: f waits for a promise that nothing can settle (discarded)
        new Promise(() => {}); return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        (async () => { await null; await null; throw new Error('unheard') })(); return 1 => failed: f left a rejected promise that nothing awaited: unheard (discarded)
        call(g).then(() => { for (;;); }); return 1 => failed: f returned while calls were still running: await every call (discarded)
        setTimeout(() => {}); return 1 => failed: ReferenceError: setTimeout is not defined"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn a_promise_is_pending_until_it_is_settled_however_others_are() {
    let lines = [
        // Promises that follow others, and one that is left behind.
        "await (async () => Promise.resolve(1))(); new Promise(() => {}); return 1",
        "await new Promise((go) => go(Promise.resolve(1))); new Promise(() => {}); return 1",
        "await null; await Promise.resolve().then(() => Promise.resolve(1)); new Promise(() => {}); return 1",
        "await { then(done) { done(Promise.resolve(1)) } }; new Promise(() => {}); return 1",
        "let go; const p = new Promise((g) => { go = g }); go(p); await p.catch(() => {}); new Promise(() => {}); return 1",
        "for (let i = 0; i < 100; i++) await (async () => call(g))(); new Promise(() => {}); return 1",
        "const left = new Promise(() => {}); for (let i = 0; i < 1000; i++) await null; return 1",
        "const left = Array.from({ length: 500 }, () => Promise.withResolvers()); left.slice(1).forEach(({ resolve }) => resolve(1)); return 1",
        // None is left behind.
        "await (async () => Promise.resolve(1))(); return 1",
        "for (let i = 0; i < 1000; i++) await (async () => i)(); return 1",
        "await Promise.all(Array.from({ length: 1000 }, async (_, i) => { await null; return Promise.resolve(i) })); return 1",
        "return (await Promise.allSettled([Promise.reject(1), call(g)])).length",
        "return await Promise.any([Promise.reject(1), 2])",
        "for await (const n of (async function* () { yield 1; yield Promise.resolve(2) })()) if (n === 2) return n",
        "for await (const n of [1, Promise.resolve(2)]) if (n === 1) break; return 1",
        "return await Array.fromAsync((function* () { yield 1; yield Promise.resolve(2) })())",
        "{ await using a = { async [Symbol.asyncDispose]() { await null } } } return 1",
        "const steps = (async function* () { yield 1 })(); await steps.next(); return 1",
        "const steps = (async function* () { yield 1 })(); return (await Promise.all([steps.next(), steps.return(2), steps.next()])).length",
        // Nor is what they were settled with.
        "for (let i = 0; i < 400; i++) await new Array(100_000).fill(i); return 1",
    ]
    .map(|body| {
        let code = format!("export const g = query(() => 1); export const f = action(async () => {{ {body} }});");
        format!("{body} => {}", run(FunctionKind::Action, &code))
    });
    expect![[r#"
        await (async () => Promise.resolve(1))(); new Promise(() => {}); return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        await new Promise((go) => go(Promise.resolve(1))); new Promise(() => {}); return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        await null; await Promise.resolve().then(() => Promise.resolve(1)); new Promise(() => {}); return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        await { then(done) { done(Promise.resolve(1)) } }; new Promise(() => {}); return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        let go; const p = new Promise((g) => { go = g }); go(p); await p.catch(() => {}); new Promise(() => {}); return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        for (let i = 0; i < 100; i++) await (async () => call(g))(); new Promise(() => {}); return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        const left = new Promise(() => {}); for (let i = 0; i < 1000; i++) await null; return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        const left = Array.from({ length: 500 }, () => Promise.withResolvers()); left.slice(1).forEach(({ resolve }) => resolve(1)); return 1 => failed: f returned while a promise was pending: await every promise (discarded)
        await (async () => Promise.resolve(1))(); return 1 => 1
        for (let i = 0; i < 1000; i++) await (async () => i)(); return 1 => 1
        await Promise.all(Array.from({ length: 1000 }, async (_, i) => { await null; return Promise.resolve(i) })); return 1 => 1
        return (await Promise.allSettled([Promise.reject(1), call(g)])).length => 2
        return await Promise.any([Promise.reject(1), 2]) => 2
        for await (const n of (async function* () { yield 1; yield Promise.resolve(2) })()) if (n === 2) return n => 2
        for await (const n of [1, Promise.resolve(2)]) if (n === 1) break; return 1 => 1
        return await Array.fromAsync((function* () { yield 1; yield Promise.resolve(2) })()) => [1,2]
        { await using a = { async [Symbol.asyncDispose]() { await null } } } return 1 => 1
        const steps = (async function* () { yield 1 })(); await steps.next(); return 1 => 1
        const steps = (async function* () { yield 1 })(); return (await Promise.all([steps.next(), steps.return(2), steps.next()])).length => 3
        for (let i = 0; i < 400; i++) await new Array(100_000).fill(i); return 1 => 1"#]].assert_eq(&lines.join("\n"));
}

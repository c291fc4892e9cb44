//! Everything in reach of a script is on a list and frozen; what is not on it is refused.

use expect_test::{Expect, expect, expect_file};
use serde_json::Value;
use weir_schema::declarations::FunctionKind;

use crate::harness::{query, run};

const WALK: &str = include_str!("walk.js");

#[test]
fn all_that_is_in_reach_is_listed_and_frozen() {
    let api = "{ query, view, procedure, action, collection, call, caller, cancelJob, fail, attempt, now, metric, schedule, stream, sum, count, avg, min, max, hmac, http, secret, timingSafeEqual, top, orders, elements }";
    let elements = "const elements = orders.filter(() => true);";
    let text = run(FunctionKind::Query, &format!("{WALK}\n{elements}\nexport const f = query(() => walk({api}));"));
    let found: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    let lines = found["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    let list = lines.map(|line| format!("{line}\n")).collect::<String>();
    expect_file!["allowlist.txt"].assert_eq(&list);
    assert_eq!(found["changeable"], serde_json::json!([]));
}

#[test]
fn what_an_action_gets_of_a_response_is_listed_and_frozen() {
    let code = r#"
        const members = (object) => Reflect.ownKeys(object).map(String).sort().join(" ");
        const frozen = (object) => Object.isFrozen(object) && Reflect.ownKeys(object).every((key) => {
          const { value, get } = Reflect.getOwnPropertyDescriptor(object, key);
          return get === undefined && (typeof value !== "function" || Object.isFrozen(value));
        });
        export const f = action(async () => {
          const response = await fetch("https://a.example");
          const parts = [response, response.headers];
          const all = parts.flatMap((part) => [part, Object.getPrototypeOf(part)]);
          return all.map((one) => `${frozen(one)}: ${members(one)}`).concat(Object.isFrozen(fetch));
        });"#;
    let found: Value = serde_json::from_str(&run(FunctionKind::Action, code)).unwrap();
    let lines: Vec<String> =
        found.as_array().unwrap().iter().map(|line| line.as_str().map_or(line.to_string(), str::to_owned)).collect();
    expect![[r#"
        true: headers ok redirected status statusText url
        true: bytes constructor json text
        true: 
        true: Symbol(Symbol.iterator) constructor entries get has keys values
        true"#]]
    .assert_eq(&lines.join("\n"));
}

/// The outcome of a query with this body, one a line.
fn check(bodies: &[&str], expected: Expect) {
    let lines: Vec<String> = bodies.iter().map(|body| format!("{body} => {}", query(body))).collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn globals_that_tell_or_keep_too_much_are_absent() {
    let names = [
        "Deno",
        "__bootstrap",
        "__weir",
        "eval",
        "Function",
        "WebAssembly",
        "SharedArrayBuffer",
        "Atomics",
        "WeakRef",
        "FinalizationRegistry",
        "ShadowRealm",
        "queueMicrotask",
        "setTimeout",
        "setInterval",
        "setImmediate",
        "clearTimeout",
        "clearInterval",
        "performance",
        "structuredClone",
        "Response",
        "Headers",
        "process",
        "require",
        "global",
        "window",
        "self",
        "navigator",
        "gc",
        "escape",
        "unescape",
        "op_host",
        "op_host_start",
        "op_kind",
        "Worker",
    ];
    let body = format!("return {names:?}.filter((name) => name in globalThis)");
    assert_eq!(query(&body), "[]");
    let members = [
        ["Error", "captureStackTrace"],
        ["Error", "prepareStackTrace"],
        ["RegExp", "$1"],
        ["RegExp", "input"],
        ["RegExp", "lastMatch"],
        ["RegExp", "leftContext"],
    ];
    let body = format!("return {members:?}.filter(([owner, name]) => name in globalThis[owner])");
    assert_eq!(query(&body), "[]");
}

#[test]
fn text_never_becomes_code() {
    check(
        &[
            "return (() => {}).constructor('return 1')()",
            "return new (function () {}).constructor('return 1')",
            "return Reflect.construct((() => {}).constructor, ['return 1'])",
            "return Reflect.construct(Object, [], (() => {}).constructor) instanceof (() => {}).constructor",
            "return (async () => {}).constructor('return 1')()",
            "return (function* () {}).constructor('yield 1')()",
            "return (async function* () {}).constructor('yield 1')()",
            "return Object.getPrototypeOf((async () => {}).constructor)('return 1')",
            "return (0, eval)('1')",
            "return globalThis.constructor === Object",
            "return (class { static { this.made = (() => {}).constructor } }).made('return 1')",
            "return query.constructor('return 1')()",
            "return orders.insert.constructor('return 1')()",
        ],
        expect![[r#"
            return (() => {}).constructor('return 1')() => failed: EvalError: code cannot be made of text here
            return new (function () {}).constructor('return 1') => failed: EvalError: code cannot be made of text here
            return Reflect.construct((() => {}).constructor, ['return 1']) => failed: EvalError: code cannot be made of text here
            return Reflect.construct(Object, [], (() => {}).constructor) instanceof (() => {}).constructor => true
            return (async () => {}).constructor('return 1')() => failed: EvalError: code cannot be made of text here
            return (function* () {}).constructor('yield 1')() => failed: EvalError: code cannot be made of text here
            return (async function* () {}).constructor('yield 1')() => failed: EvalError: code cannot be made of text here
            return Object.getPrototypeOf((async () => {}).constructor)('return 1') => failed: f returned undefined where a value is declared
            return (0, eval)('1') => failed: ReferenceError: eval is not defined
            return globalThis.constructor === Object => true
            return (class { static { this.made = (() => {}).constructor } }).made('return 1') => failed: EvalError: code cannot be made of text here
            return query.constructor('return 1')() => failed: EvalError: code cannot be made of text here
            return orders.insert.constructor('return 1')() => failed: EvalError: code cannot be made of text here"#]],
    );
}

#[test]
fn modules_are_only_those_of_the_app() {
    let import = |code: &str| run(FunctionKind::Query, code);
    let lines = [
        import("export const f = query(() => import.meta);"),
        import("export const f = query(() => { import.meta.kept = 1 });"),
        import("export const f = query(() => { import('./main.ts'); return 1 });"),
        import("export const f = query(() => { import('weir').catch(() => {}); return 1 });"),
        import("import { op_host } from 'ext:core/ops'; export const f = query(() => 1);"),
        import("import 'ext:weir/weir.js'; export const f = query(() => 1);"),
        import("import 'file:///etc/passwd'; export const f = query(() => 1);"),
        import("import data from './data.json' with { type: 'json' }; export const f = query(() => 1);"),
        import("import { host } from 'weir'; export const f = query(() => 1);"),
        run(FunctionKind::Action, "export const f = action(async () => (await import('./main.ts')).f);"),
    ];
    expect![[r#"
        {}
        failed: TypeError: Cannot add property kept, object is not extensible
        failed: TypeError: import() cannot load anything while code runs
        failed: TypeError: import() cannot load anything while code runs
        broken: the app has no module ext:core/ops
        broken: the app has no module ext:weir/weir.js
        broken: the app has no module file:///etc/passwd
        broken: the app has no module ./data.json
        does not load: SyntaxError: The requested module 'weir' does not provide an export named 'host'
        failed: TypeError: import() cannot load anything while code runs"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn what_all_calls_share_stays_as_it_is() {
    check(
        &[
            "Array.prototype.map = () => 'mine'",
            "Object.prototype.polluted = 1",
            "({}).__proto__.polluted = 1",
            "Object.setPrototypeOf(Array.prototype, null)",
            "globalThis.kept = 1",
            "globalThis.Date = 1",
            "delete globalThis.Date",
            "Object.setPrototypeOf(globalThis, null)",
            "Error.stackTraceLimit = 0",
            "Error.prepareStackTrace = (_, sites) => sites",
            "Symbol.prototype.description = 1",
            "orders.where.kept = 1",
            "orders.kept = 1",
            "query.kept = 1",
            "caller.kind = 'developer'",
            "f.kept = 1",
            "new Intl.Collator('en').compare.kept = 1; return 1",
            "new Intl.NumberFormat('en').format.kept = 1; return 1",
            "class Stamp extends (function (o) { return o }) { #kept = 1 } new Stamp(globalThis)",
        ],
        expect![[r#"
            Array.prototype.map = () => 'mine' => failed: TypeError: Cannot assign to read only property 'map' of object '[object Array]'
            Object.prototype.polluted = 1 => failed: TypeError: Cannot add property polluted, object is not extensible
            ({}).__proto__.polluted = 1 => failed: TypeError: Cannot add property polluted, object is not extensible
            Object.setPrototypeOf(Array.prototype, null) => failed: TypeError: [object Array] is not extensible
            globalThis.kept = 1 => failed: TypeError: Cannot add property kept, object is not extensible
            globalThis.Date = 1 => failed: TypeError: Cannot assign to read only property 'Date' of object '[object Object]'
            delete globalThis.Date => failed: TypeError: Cannot delete property 'Date' of [object Object]
            Object.setPrototypeOf(globalThis, null) => failed: TypeError: [object Object] is not extensible
            Error.stackTraceLimit = 0 => failed: TypeError: Cannot assign to read only property 'stackTraceLimit' of function 'function Error() { [native code] }'
            Error.prepareStackTrace = (_, sites) => sites => failed: TypeError: Cannot add property prepareStackTrace, object is not extensible
            Symbol.prototype.description = 1 => failed: TypeError: Cannot set property description of [object Symbol] which has only a getter
            orders.where.kept = 1 => failed: TypeError: Cannot add property kept, object is not extensible
            orders.kept = 1 => failed: TypeError: Cannot add property kept, object is not extensible
            query.kept = 1 => failed: TypeError: Cannot add property kept, object is not extensible
            caller.kind = 'developer' => failed: TypeError: Cannot set property kind of [object Object] which has only a getter
            f.kept = 1 => failed: TypeError: Cannot add property kept, object is not extensible
            new Intl.Collator('en').compare.kept = 1; return 1 => failed: TypeError: Cannot add property kept, object is not extensible
            new Intl.NumberFormat('en').format.kept = 1; return 1 => failed: TypeError: Cannot add property kept, object is not extensible
            class Stamp extends (function (o) { return o }) { #kept = 1 } new Stamp(globalThis) => failed: TypeError: Cannot define property #kept, object is not extensible"#]],
    );
}

#[test]
fn ordinary_code_runs() {
    check(
        &[
            "class E extends Error { constructor(m) { super(m); this.name = 'E'; } } return String(new E('x'))",
            "class P { constructor() { this.go = this.go.bind(this) } go() { return 1 } } return new P().go()",
            "const o = {}; o.toString = () => 'mine'; o.constructor = 1; return String(o) + o.constructor",
            "function Old() {} Old.prototype = Object.create(Error.prototype); Old.prototype.constructor = Old; Old.prototype.toString = () => 'old'; return String(new Old())",
            "const e = new Error('x'); e.message = 'y'; e.code = 1; return e.message",
            "return 'a1b2'.replace(/\\d/g, '') + [...'a1'.matchAll(/\\w/g)].length",
            "return (() => {}) instanceof (() => {}).constructor",
            "return typeof new Error('x').stack",
        ],
        expect![[r#"
            class E extends Error { constructor(m) { super(m); this.name = 'E'; } } return String(new E('x')) => "E: x"
            class P { constructor() { this.go = this.go.bind(this) } go() { return 1 } } return new P().go() => 1
            const o = {}; o.toString = () => 'mine'; o.constructor = 1; return String(o) + o.constructor => "mine1"
            function Old() {} Old.prototype = Object.create(Error.prototype); Old.prototype.constructor = Old; Old.prototype.toString = () => 'old'; return String(new Old()) => "old"
            const e = new Error('x'); e.message = 'y'; e.code = 1; return e.message => "y"
            return 'a1b2'.replace(/\d/g, '') + [...'a1'.matchAll(/\w/g)].length => "ab2"
            return (() => {}) instanceof (() => {}).constructor => true
            return typeof new Error('x').stack => "string""#]],
    );
}

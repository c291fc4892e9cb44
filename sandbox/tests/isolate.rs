//! Script in, outcome out: calls in a real isolate against a host that answers from a table.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use expect_test::{Expect, expect};
use weir_sandbox::isolate::{Isolate, IsolateError, Place};
use weir_sandbox::protocol::{Answering, CallRequest, Host, HostCall, HostError, Outcome, ScriptCaller};
use weir_sandbox::watchdog::Watchdog;
use weir_sandbox::{App, Module};
use weir_schema::declarations::{Collection, Declarations, Function, FunctionKind};
use weir_schema::limits::{HEAP_BYTES_MAX, HEAP_BYTES_MIN, Limit};
use weir_schema::manifest;
use weir_schema::shape::{Shape, Slot};

/// Logs what a script asks; `orders` has one document.
struct TableHost {
    log: Vec<String>,
    done: Sender<(Outcome, Vec<String>)>,
}

impl Host for TableHost {
    fn ask(&mut self, call: HostCall) -> Result<String, HostError> {
        self.log.push(format!("{call:?}"));
        match call {
            HostCall::Get { id, .. } if id == "o1" => Ok(r#"{"id":"o1","total":5}"#.into()),
            HostCall::Get { .. } => Ok("null".into()),
            HostCall::Rows { .. } => Ok(r#"[{"id":"o1","total":5},{"id":"o2","total":7}]"#.into()),
            HostCall::Delete { .. } => Err(HostError::Aborted),
            HostCall::Page { .. } => Ok(r#"{"edges":[{"node":{"id":"o1","total":5}},{"node":{"id":"o2","total":7}}],"pageInfo":{"hasNextPage":false}}"#.into()),
            HostCall::Count { .. } => Ok("2".into()),
            HostCall::Insert { .. } => Err(HostError::Refused("orders.total: missing".into())),
            _ => Ok("null".into()),
        }
    }

    fn start(&mut self, call: HostCall) -> Answering {
        self.log.push(format!("{call:?}"));
        let forever = matches!(call, HostCall::Call { args, .. } if args["forever"] == true);
        let wait = Duration::from_millis(if forever { 60_000 } else { 1 });
        Box::pin(async move {
            tokio::time::sleep(wait).await;
            Ok("41".into())
        })
    }

    fn finish(self: Box<Self>, outcome: Outcome) {
        self.done.send((outcome, self.log)).unwrap();
    }
}

fn place() -> Place {
    static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();
    // Some built-ins go on for a while after they were told to end.
    Place::here(0, WATCHDOG.get_or_init(|| Watchdog::start(|_| ()).unwrap())).unwrap()
}

const MANIFEST: &str = r#"
name = "test"
version = "1.0.0"
[limits]
cpu_ms = 1000
wall_ms = 60000
heap_bytes = 33554432
array_buffer_bytes = 8388608
result_bytes = 1000
result_depth = 20
host_calls = 50
outstanding_promises = 5
log_bytes = 100
"#;

/// An app of one module that exports `orders`, the query `other`, and the function `f` of the given kind.
fn app(kind: FunctionKind, body: &str) -> Arc<App> {
    app_within(MANIFEST, kind, body)
}

/// The same with another manifest.
fn app_within(text: &str, kind: FunctionKind, body: &str) -> Arc<App> {
    let mut declarations = Declarations::default();
    declarations.collections.insert(
        "orders".into(),
        Collection {
            name: "orders".into(),
            module: "main.ts".into(),
            document: "Order".into(),
            value: "OrderValue".into(),
            indexes: vec![],
            references: vec![],
        },
    );
    for (name, kind) in [("f", kind), ("other", FunctionKind::Query)] {
        let function = Function {
            name: name.into(),
            kind,
            description: None,
            module: "main.ts".into(),
            line: 1,
            arguments: vec![],
            result: Slot::required(Shape::Json),
            keep: None,
            groups: None,
            index: None,
        };
        declarations.functions.insert(name.into(), function);
    }
    let code = format!(
        "import {{ query, view, procedure, action, collection, call, caller, fail, now, sum, count, avg, min, max }} from \"weir\";\n\
         export const orders = collection();\nexport const other = query(() => 1);\n{body}\n"
    );
    Arc::new(App {
        manifest: manifest::parse(text).unwrap(),
        declarations,
        policies: None,
        modules: vec![Module {
            path: "main.ts".into(),
            code,
            source_map: r#"{"version":3,"sources":[],"names":[],"mappings":""}"#.into(),
            imports: vec![("weir".into(), "weir".into())],
        }],
    })
}

fn call(isolate: &mut Isolate, arguments: &str) -> (Outcome, Vec<String>) {
    let (done, outcome) = channel();
    let request = CallRequest {
        function: 0,
        arguments: arguments.into(),
        now_ms: 1_700_000_000_000,
        seed: [1, 2, 3, 4],
        caller: ScriptCaller::without_token("developer").text(),
    };
    isolate.call(&request, Box::new(TableHost { log: vec![], done }));
    outcome.recv().unwrap()
}

fn check_kind(kind: FunctionKind, body: &str, expected: Expect) {
    check_app(&app(kind, body), expected);
}

fn check_app(app: &Arc<App>, expected: Expect) {
    let text = match Isolate::new(app, &place()) {
        Err(IsolateError::App(error)) => format!("load: {}", error.message),
        Err(error) => format!("broken: {error}"),
        Ok(mut isolate) => {
            let (outcome, log) = call(&mut isolate, "{}");
            let spoiled = if isolate.is_spoiled() { " (spoiled)" } else { "" };
            let shown = match outcome {
                Outcome::Failed(error) => format!("failed: {:?} {}", error.app_code, error.message),
                other => format!("{other:?}"),
            };
            std::iter::once(format!("{shown}{spoiled}")).chain(log).collect::<Vec<_>>().join("\n")
        }
    };
    expected.assert_eq(&text);
}

fn check(body: &str, expected: Expect) {
    check_kind(FunctionKind::Query, &format!("export const f = query(() => {{ {body} }});"), expected);
}

#[test]
fn a_value_comes_back_as_json() {
    check("return { a: [1, 'x', null], b: undefined }", expect![[r#"Value("{\"a\":[1,\"x\",null]}")"#]]);
}

#[test]
fn reads_go_to_the_host() {
    check(
        "return [orders.get('o1').total, orders.where('a', 1).range('b', { gt: 2 }).orderBy('b', 'desc').take(3).length]",
        expect![[r#"
            Value("[5,2]")
            Get { collection: "orders", id: "o1" }
            Rows { plan: Plan { collection: "orders", equal: [("a", Number(1))], range: Some(Bounds { field: "b", gt: Some(Number(2)), gte: None, lt: None, lte: None }), order: Some(("b", Desc)) }, limit: Some(3), taken: Apart }"#]],
    );
}

#[test]
fn rows_are_lazy_and_behave_as_an_array() {
    check(
        "const rows = orders.where('a', 1); rows.where('b', 2); return [Array.isArray(rows), rows.length, rows.map((r) => r.total), [...rows].length, rows.count()]",
        expect![[r#"
            Value("[true,2,[5,7],2,2]")
            Rows { plan: Plan { collection: "orders", equal: [("a", Number(1))], range: None, order: None }, limit: None, taken: Apart }
            Count { plan: Plan { collection: "orders", equal: [("a", Number(1))], range: None, order: None } }"#]],
    );
}

#[test]
fn rows_can_be_returned_as_they_are() {
    check(
        "return orders.where('a', 1)",
        expect![[r#"
            Value("[{\"id\":\"o1\",\"total\":5},{\"id\":\"o2\",\"total\":7}]")
            Rows { plan: Plan { collection: "orders", equal: [("a", Number(1))], range: None, order: None }, limit: None, taken: Whole }"#]],
    );
}

#[test]
fn undefined_is_no_value() {
    check("return undefined", expect!["failed: None f returned undefined where a value is declared"]);
}

#[test]
fn a_throw_names_its_error() {
    check("null.x", expect!["failed: None TypeError: Cannot read properties of null (reading 'x')"]);
    check("throw new Error('out of tea')", expect!["failed: None out of tea"]);
    check("throw { tea: 'cold' }", expect!["failed: None threw an object that is no Error"]);
    check("throw 'tea'", expect!["failed: None tea"]);
    check("fail('NOT_FOUND', 'no such customer')", expect![[r#"failed: Some("NOT_FOUND") no such customer"#]]);
}

#[test]
fn errors_of_the_apps_own_classes_keep_their_name() {
    check(
        "class TeaError extends Error { constructor(m) { super(m); this.name = 'TeaError' } } throw new TeaError('cold')",
        expect!["failed: None TeaError: cold"],
    );
}

#[test]
fn queries_do_not_write_and_are_not_async() {
    check(
        "orders.insert({ total: 1 })",
        expect!["failed: None insert writes, which only a procedure may; this is a query"],
    );
    check(
        "return Promise.resolve(1)",
        expect![[
            r#"failed: None TypeError: f returned a promise: only actions are asynchronous, database calls need no await"#
        ]],
    );
}

#[test]
fn what_the_host_refuses_is_thrown_where_it_was_asked() {
    check_kind(
        FunctionKind::Procedure,
        "export const f = procedure(() => { try { orders.insert({}) } catch (e) { return e.message } });",
        expect![[r#"
            Value("\"orders.total: missing\"")
            Insert { collection: "orders", value: Object {} }"#]],
    );
}

#[test]
fn a_host_that_gives_up_ends_the_call_whatever_the_script_does() {
    check_kind(
        FunctionKind::Procedure,
        "export const f = procedure(() => { for (;;) { try { orders.delete('x') } catch {} } });",
        expect![[r#"
            Aborted (spoiled)
            Delete { collection: "orders", id: "x" }"#]],
    );
}

#[test]
fn numbers_that_json_cannot_hold_are_refused() {
    check_kind(
        FunctionKind::Procedure,
        "export const f = procedure(() => orders.insert({ total: 0 / 0 }));",
        expect!["failed: None TypeError: orders.total is NaN, which JSON cannot hold"],
    );
}

#[test]
fn endless_loops_end() {
    check("for (;;);", expect!["Limit(Cpu) (spoiled)"]);
}

#[test]
fn limits_end_the_call() {
    check("const a = []; for (;;) a.push(new Array(1000))", expect!["Limit(Heap) (spoiled)"]);
    check("return 'x'.repeat(2000)", expect!["Limit(ResultBytes) (spoiled)"]);
    check(
        "for (let i = 0; i < 60; i++) Math.random(); console.log('x'.repeat(200))",
        expect![[r#"
        Limit(Log) (spoiled)
        Observe(Randomness)"#]],
    );
    check("const f = () => f(); f()", expect!["failed: None RangeError: Maximum call stack size exceeded"]);
}

#[test]
fn any_size_of_the_heap_will_do() {
    for bytes in
        [HEAP_BYTES_MIN + 1, 33_333_333, 100_000_000, 477 << 20, 500_000_000, HEAP_BYTES_MAX - 1, HEAP_BYTES_MAX]
    {
        let mut app = Arc::unwrap_or_clone(app(FunctionKind::Query, "export const f = query(() => 7);"));
        app.manifest.limits.heap_bytes = bytes;
        let mut isolate = Isolate::new(&Arc::new(app), &place()).unwrap_or_else(|error| panic!("{bytes}: {error:?}"));
        assert_eq!(call(&mut isolate, "{}").0, Outcome::Value("7".into()), "{bytes}");
    }
}

#[test]
fn one_huge_allocation_ends_the_call_and_not_the_process() {
    check("return new Array(50_000_000).fill(0).length", expect!["Limit(Heap) (spoiled)"]);
}

#[test]
fn array_buffers_end_the_call() {
    // More than the limit over time, but never at once.
    check(
        "let n = 0; for (let i = 0; i < 100; i++) n += new Uint8Array(1 << 20).length; return n",
        expect![[r#"Value("104857600")"#]],
    );
    check("const a = []; for (;;) a.push(new Uint8Array(1 << 20))", expect!["Limit(ArrayBuffers) (spoiled)"]);
    check(
        "const a = []; for (;;) try { a.push(new Uint8Array(1 << 20)) } catch {}",
        expect!["Limit(ArrayBuffers) (spoiled)"],
    );
    check("return new ArrayBuffer(16 << 20).byteLength", expect!["Limit(ArrayBuffers) (spoiled)"]);
    check("try { new ArrayBuffer(16 << 20) } catch { return 'goes on' }", expect!["Limit(ArrayBuffers) (spoiled)"]);
    check(
        "return new ArrayBuffer(2 ** 60).byteLength",
        expect!["failed: None RangeError: Invalid array buffer length"],
    );
    check("return new ArrayBuffer(8, { maxByteLength: 1 << 20 }).resizable", expect![[r#"Value("true")"#]]);
    check("return new ArrayBuffer(8, { maxByteLength: 16 << 20 }).resizable", expect!["Limit(ArrayBuffers) (spoiled)"]);
    check(
        "let sizes = [1, 1 << 30]; return new ArrayBuffer(0, { get maxByteLength() { return sizes.shift() } }).maxByteLength",
        expect![[r#"Value("1")"#]],
    );
    check(
        "let b = new ArrayBuffer(8, { maxByteLength: 3 << 20 }); for (;;) b = b.transfer()",
        expect!["Limit(ArrayBuffers) (spoiled)"],
    );
    check(
        "class Mine extends ArrayBuffer {}; const b = new Mine(8); return [b instanceof Mine, b instanceof ArrayBuffer, b.slice(2).byteLength, b.slice(2) instanceof Mine, ArrayBuffer.isView(new DataView(b))]",
        expect![[r#"Value("[true,true,6,true,true]")"#]],
    );
    check("return ArrayBuffer(8)", expect!["failed: None TypeError: Constructor ArrayBuffer requires 'new'"]);
}

#[test]
fn cpu_time_ends_the_call() {
    check("for (let i = 0; ; i++) Math.sqrt(i)", expect!["Limit(Cpu) (spoiled)"]);
    check("for (;;) { try { for (;;); } catch {} finally { for (;;); } }", expect!["Limit(Cpu) (spoiled)"]);
    check_kind(
        FunctionKind::Action,
        "export const f = action(async () => { for (;;) await null; });",
        expect!["Limit(Cpu) (spoiled)"],
    );
}

#[test]
fn wall_time_ends_the_call() {
    let manifest = MANIFEST.replace("wall_ms = 60000", "wall_ms = 1000");
    let action = |body: &str, expected: Expect| {
        let body = format!("export const f = action(async () => {{ {body} }});");
        check_app(&app_within(&manifest, FunctionKind::Action, &body), expected);
    };
    action(
        "return await call(other, { forever: true })",
        expect![[r#"
        Limit(Wall) (spoiled)
        Call { function: "other", args: Object {"forever": Bool(true)} }"#]],
    );
    action(
        "try { await call(other, { forever: true }) } finally { return 1 }",
        expect![[r#"
        Limit(Wall) (spoiled)
        Call { function: "other", args: Object {"forever": Bool(true)} }"#]],
    );
}

#[test]
fn unanswered_calls_are_bounded() {
    let action = |body: &str, expected: Expect| {
        check_kind(FunctionKind::Action, &format!("export const f = action(async () => {{ {body} }});"), expected);
    };
    let many =
        |n: usize| format!("return (await Promise.all(Array.from({{ length: {n} }}, () => call(other)))).length");
    action(
        &many(5),
        expect![[r#"
        Value("5")
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }"#]],
    );
    action(
        &many(6),
        expect![[r#"
        Limit(OutstandingPromises) (spoiled)
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }"#]],
    );
    action(
        "let n = 0; for (let i = 0; i < 20; i++) n += await call(other); return n",
        expect![[r#"
        Value("820")
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }
        Call { function: "other", args: Object {} }"#]],
    );
}

#[test]
fn results_nest_as_deep_as_allowed() {
    let nested = |depth: usize| format!("return {}{}", "[".repeat(depth), "]".repeat(depth));
    check(&nested(20), expect![[r#"Value("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]")"#]]);
    check(&nested(21), expect!["Limit(ResultDepth)"]);
    check(
        "return '[['.repeat(50)",
        expect![[
            r#"Value("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"")"#
        ]],
    );
    check("let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a", expect!["Limit(ResultDepth)"]);
    check_kind(
        FunctionKind::Procedure,
        "export const f = procedure(() => { let a = []; for (let i = 0; i < 200; i++) a = [a]; return orders.insert({ a }) });",
        expect!["failed: None the value nests more than 120 deep"],
    );
}

#[test]
fn promises_of_a_call_end_with_it() {
    check(
        "Promise.resolve().then(() => { for (;;); }); return 1",
        expect!["failed: None f returned while a promise was pending: only actions are asynchronous (spoiled)"],
    );
    check(
        "Promise.reject(new Error('unheard')); return 1",
        expect!["failed: None f left a rejected promise that nothing awaited: unheard (spoiled)"],
    );
}

#[test]
fn too_many_host_calls_end_the_call() {
    let body = "export const f = query(() => { for (let i = 0; ; i++) orders.get('x') });";
    let mut isolate = Isolate::new(&app(FunctionKind::Query, body), &place()).unwrap();
    let (outcome, log) = call(&mut isolate, "{}");
    assert_eq!((outcome, log.len()), (Outcome::Limit(Limit::HostCalls), 50));
}

#[test]
fn time_and_randomness_are_given() {
    check(
        "return [now(), Date.now(), new Date().toISOString(), Math.random(), new Intl.DateTimeFormat('en').format(), Temporal.Now.instant().epochMilliseconds]",
        expect![[r#"
            Value("[\"2023-11-14T22:13:20.000Z\",1700000000000,\"2023-11-14T22:13:20.000Z\",1.6298145055770874e-9,\"11/14/2023\",1700000000000]")
            Observe(Time)
            Observe(Randomness)"#]],
    );
}

#[test]
fn functions_call_functions_of_their_kind_or_less() {
    check_kind(
        FunctionKind::Procedure,
        "const g = query(({ n }) => n + 1); export const f = procedure(() => [g({ n: 1 }), call(g, { n: 2 })]);",
        expect![[r#"Value("[2,3]")"#]],
    );
    check_kind(
        FunctionKind::Query,
        "const g = procedure(() => 1); export const f = query(() => g());",
        expect!["failed: None a query cannot call a procedure"],
    );
}

#[test]
fn actions_await_calls() {
    check_kind(
        FunctionKind::Action,
        "const g = action(async () => 1); export const f = action(async () => await call(g) + await call(f2)); const f2 = action(() => 41);",
        expect![[r#"Value("42")"#]],
    );
    check_kind(
        FunctionKind::Action,
        "export const f = action(async () => { try { await null; fail('NO', 'no') } finally { } });",
        expect![[r#"failed: Some("NO") no"#]],
    );
    check_kind(
        FunctionKind::Action,
        "export const f = action(async () => { Promise.reject(new Error('unheard')); return 1 });",
        expect!["failed: None f left a rejected promise that nothing awaited: unheard (spoiled)"],
    );
    check_kind(
        FunctionKind::Action,
        "export const f = action(async () => { call(f2); return 1 }); const f2 = query(() => 1);",
        expect!["failed: None call(fn, args) takes an exported function"],
    );
    check_kind(
        FunctionKind::Action,
        "export const f = action(() => new Promise(() => {}));",
        expect!["failed: None f waits for a promise that nothing can settle (spoiled)"],
    );
}

#[test]
fn views_group_rows() {
    check_kind(
        FunctionKind::View,
        "export const f = view.groupBy(orders, (o) => o.total > 5, { n: count(), all: sum((o) => o.total), mean: avg((o) => o.total), low: min((o) => o.total), high: max((o) => o.total) });",
        expect![[r#"
            Value("[{\"key\":false,\"n\":1,\"all\":5,\"mean\":5,\"low\":5,\"high\":5},{\"key\":true,\"n\":1,\"all\":7,\"mean\":7,\"low\":7,\"high\":7}]")
            Page { plan: Plan { collection: "orders", equal: [], range: None, order: None }, size: 1000, from: First, after: None, before: None }"#]],
    );
}

#[test]
fn built_ins_cannot_be_changed_and_globals_not_added() {
    check(
        "Array.prototype.map = () => 'mine'; return 1",
        expect!["failed: None TypeError: Cannot assign to read only property 'map' of object '[object Array]'"],
    );
    check("globalThis.seen = 1", expect!["failed: None TypeError: Cannot add property seen, object is not extensible"]);
    check(
        "Object.prototype.toString = 1",
        expect!["failed: None TypeError: toString of a prototype that all calls share cannot be changed"],
    );
}

#[test]
fn nothing_of_the_engine_is_in_reach() {
    check(
        "return ['Deno', '__weir', '__bootstrap', 'eval', 'Function', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'setTimeout', 'queueMicrotask', 'performance', 'process', 'require'].filter((name) => name in globalThis)",
        expect![[r#"Value("[]")"#]],
    );
    check(
        "return (() => {}).constructor('return 1')()",
        expect!["failed: None EvalError: code cannot be made of text here"],
    );
}

#[test]
fn a_module_that_throws_does_not_load() {
    check_kind(
        FunctionKind::Query,
        "const r = Math.random(); export const f = query(() => r);",
        expect!["load: the time and randomness exist only inside a function, not while a module loads"],
    );
    check_kind(
        FunctionKind::Query,
        "null.x; export const f = query(() => 1);",
        expect!["load: TypeError: Cannot read properties of null (reading 'x')"],
    );
    check_kind(
        FunctionKind::Query,
        "orders.get('x'); export const f = query(() => 1);",
        expect![
            "load: data can be read and written only while a function runs, not while a module loads or after the call"
        ],
    );
    let endless = app(FunctionKind::Query, "for (;;); export const f = query(() => 1);");
    let Err(IsolateError::App(error)) = Isolate::new(&endless, &place()) else { panic!("it loads") };
    // On a busy machine five seconds may be over before one of them was computed.
    let needs = |limit| format!("loading its modules needs more than {limit}: raise it in app.toml under [limits]");
    assert!(["cpu_ms = 1000", "wall_ms = 5000"].map(needs).contains(&error.message), "{}", error.message);
}

#[test]
fn calls_do_not_see_each_other() {
    let mut isolate = Isolate::new(
        &app(
            FunctionKind::Query,
            "export const f = query(({ n }) => { if (n === 1) throw new Error('one'); return Math.random() });",
        ),
        &place(),
    )
    .unwrap();
    let first = call(&mut isolate, "{}").0;
    let failed = call(&mut isolate, r#"{"n":1}"#).0;
    let second = call(&mut isolate, "{}").0;
    assert!(matches!(failed, Outcome::Failed(_)), "{failed:?}");
    assert_eq!(first, second, "the seed decides");
    assert!(!isolate.is_spoiled());
}

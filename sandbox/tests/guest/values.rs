//! What becomes of values on their way out of a script, and what is not let out.

use expect_test::{Expect, expect};
use weir_schema::declarations::FunctionKind;
use weir_schema::shape::{Shape, Slot};

use crate::harness::{Guest, query, run};

/// Shortens what is long.
fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// What a result that may be any JSON becomes, for each expression.
fn check_results(expressions: &[&str], expected: Expect) {
    let lines = expressions
        .iter()
        .map(|expression| format!("{expression} => {}", short(&query(&format!("return {expression}")))));
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

/// The same for a result of a declared type.
fn check_declared(slot: &Slot, expressions: &[&str], expected: Expect) {
    let lines = expressions.iter().map(|expression| {
        let code = format!("export const f = query(() => {expression});");
        format!("{expression} => {}", Guest::of_result(FunctionKind::Query, slot.clone(), &code).unwrap().call("{}"))
    });
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

/// What the host is asked, or what the script is told, for each call in a procedure.
fn check_calls(calls: &[&str], expected: Expect) {
    let lines = calls.iter().map(|call| {
        let code = format!("export const f = procedure(() => {{ {call}; return 'done' }});");
        let mut guest = Guest::of_kind(FunctionKind::Procedure, &code).unwrap();
        let (outcome, log) = guest.call_function(0, "{}");
        let asked = log.iter().map(|line| format!(" [{}]", short(line))).collect::<String>();
        format!("{call} => {}{asked}", crate::harness::show(&outcome))
    });
    expected.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn results_of_any_json() {
    check_results(
        &[
            "-0",
            "1e308 * 10",
            "[NaN]",
            "{ a: { 'b-c': [1, -Infinity] } }",
            "{ n: 1n }",
            "[undefined, 1]",
            "{ a: undefined }",
            "{ a: () => 1 }",
            "[Symbol('x')]",
            "Symbol('x')",
            "() => 1",
            "new Date(0)",
            "new Date(NaN)",
            "{ a: new Map([[1, 2]]) }",
            "new Set([1])",
            "{ a: [new Uint8Array(2)] }",
            "new ArrayBuffer(2)",
            "new WeakMap()",
            "/x/g",
            "{ p: Promise.resolve(1) }",
            "[1].values()",
            "(function* () { yield 1 })()",
            "new Error('x')",
            "Object(1)",
            "Object('x')",
            "class K { a = 1; #b = 2; get c() { return 3 } } ? new (class K { a = 1; #b = 2; get c() { return 3 } })() : 0",
            "Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true }, hidden: { value: 3 } })",
            "Object.assign(Object.create(null), { a: 1 })",
            "JSON.parse('{\"__proto__\":{\"polluted\":1}}')",
            "{ ['__proto__']: 1 }",
            "({ ...JSON.parse('{\"__proto__\":{\"polluted\":1}}') }).polluted ?? 'clean'",
            "{ get a() { return 1 } }",
            "{ get a() { throw new Error('from a getter') } }",
            "{ toJSON: () => ({ b: 2 }) }",
            "{ toJSON() { throw new TypeError('from toJSON') } }",
            "{ toJSON: (key) => key }",
            "{ toJSON() { for (;;); } }",
            "new Proxy({ a: 1 }, {})",
            "new Proxy({ a: 1 }, { ownKeys: () => ['a', 'b'], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }), get: (_, key) => key === 'toJSON' ? undefined : key })",
            "new Proxy([1, 2], { get: (list, key) => key === 'length' ? 2 ** 31 : Reflect.get(list, key) })",
            "(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return { proxy } })()",
            "(() => { const a = { b: [] }; a.b.push(a); return a })()",
            "(() => { const a = []; a.push(a); return a })()",
            "(() => { const a = { b: 1 }; return [a, a] })()",
            "'\\ud800'",
            "{ text: ['ok', 'x\\udc00'] }",
            "{ ['\\ud83d']: 1 }",
            "'\\ud83d\\ude00'",
            "'C:\\\\udev'",
            "'\\u0000\\u2028\"\\\\'",
            "Array(3)",
            "[1, , 3]",
            "(() => { const a = []; a[3] = 1; return a })()",
            "(() => { let deep = []; for (let i = 0; i < 1e5; i++) deep = [deep]; return deep })()",
            "orders.where('a', 1)",
            "orders.get('none')",
            "globalThis.Math",
            "orders",
        ],
        expect![[r#"
            -0 => 0
            1e308 * 10 => failed: TypeError: result is Infinity, which JSON cannot hold
            [NaN] => failed: TypeError: result[0] is NaN, which JSON cannot hold
            { a: { 'b-c': [1, -Infinity] } } => failed: TypeError: result.a.b-c[1] is -Infinity, which JSON cannot hold
            { n: 1n } => failed: TypeError: result.n is a bigint, which JSON cannot hold; use a number or a string
            [undefined, 1] => [null,1]
            { a: undefined } => {}
            { a: () => 1 } => failed: TypeError: result.a is a function, which JSON cannot hold
            [Symbol('x')] => failed: TypeError: result[0] is a symbol, which JSON cannot hold
            Symbol('x') => failed: TypeError: result is a symbol, which JSON cannot hold
            () => 1 => failed: TypeError: result is a function, which JSON cannot hold
            new Date(0) => "1970-01-01T00:00:00.000Z"
            new Date(NaN) => null
            { a: new Map([[1, 2]]) } => failed: TypeError: result.a is a Map, which JSON cannot hold; write Object.fromEntries(map) or [...map]
            new Set([1]) => failed: TypeError: result is a Set, which JSON cannot hold; write [...set]
            { a: [new Uint8Array(2)] } => failed: TypeError: result.a[0] is a typed array, which JSON cannot hold; write bytes.toBase64(), or [...numbers]
            new ArrayBuffer(2) => failed: TypeError: result is an ArrayBuffer, which JSON cannot hold; write new Uint8Array(buffer).toBase64()
            new WeakMap() => failed: TypeError: result is a WeakMap, which JSON cannot hold; leave it out
            /x/g => failed: TypeError: result is a regular expression, which JSON cannot hold; write its source
            { p: Promise.resolve(1) } => failed: TypeError: result.p is a promise, which JSON cannot hold; await it in an action
            [1].values() => failed: TypeError: result is an iterator, which JSON cannot hold; write [...iterator]
            (function* () { yield 1 })() => failed: TypeError: result is a generator, which JSON cannot hold; write [...generator]
            new Error('x') => failed: TypeError: result is an error, which JSON cannot hold; write its message
            Object(1) => 1
            Object('x') => "x"
            class K { a = 1; #b = 2; get c() { return 3 } } ? new (class K { a = 1; #b = 2; get c() { return 3 } })() : 0 => {"a":1}
            Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true }, hidden: { value: 3 } }) => {"own":2}
            Object.assign(Object.create(null), { a: 1 }) => {"a":1}
            JSON.parse('{"__proto__":{"polluted":1}}') => {"__proto__":{"polluted":1}}
            { ['__proto__']: 1 } => {"__proto__":1}
            ({ ...JSON.parse('{"__proto__":{"polluted":1}}') }).polluted ?? 'clean' => "clean"
            { get a() { return 1 } } => {"a":1}
            { get a() { throw new Error('from a getter') } } => failed: from a getter
            { toJSON: () => ({ b: 2 }) } => {"b":2}
            { toJSON() { throw new TypeError('from toJSON') } } => failed: TypeError: from toJSON
            { toJSON: (key) => key } => ""
            { toJSON() { for (;;); } } => limit: time (discarded)
            new Proxy({ a: 1 }, {}) => {"a":1}
            new Proxy({ a: 1 }, { ownKeys: () => ['a', 'b'], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }), get: (_, key) => key === 'toJSON' ? undefined : key }) => {"a":"a","b":"b"}
            new Proxy([1, 2], { get: (list, key) => key === 'length' ? 2 ** 31 : Reflect.get(list, key) }) => failed: RangeError: Invalid string length
            (() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return { proxy } })() => failed: TypeError: Cannot perform 'get' on a proxy that has been revoked
            (() => { const a = { b: [] }; a.b.push(a); return a })() => failed: TypeError: result.b[0] contains itself, which JSON cannot hold
            (() => { const a = []; a.push(a); return a })() => failed: TypeError: result[0] contains itself, which JSON cannot hold
            (() => { const a = { b: 1 }; return [a, a] })() => [{"b":1},{"b":1}]
            '\ud800' => failed: TypeError: result has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            { text: ['ok', 'x\udc00'] } => failed: TypeError: result.text[1] has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            { ['\ud83d']: 1 } => failed: TypeError: the name of result.� has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            '\ud83d\ude00' => "😀"
            'C:\\udev' => "C:\\udev"
            '\u0000\u2028"\\' => "\u0000 \"\\"
            Array(3) => [null,null,null]
            [1, , 3] => [1,null,3]
            (() => { const a = []; a[3] = 1; return a })() => [null,null,null,1]
            (() => { let deep = []; for (let i = 0; i < 1e5; i++) deep = [deep]; return deep })() => limit: result_depth
            orders.where('a', 1) => [{"id":"o1","total":5},{"id":"o2","total":7}]
            orders.get('none') => null
            globalThis.Math => {}
            orders => failed: TypeError: result.where is a function, which JSON cannot hold"#]],
    );
}

#[test]
fn huge_arrays_end_at_a_limit() {
    let lines = ["Array(3e5)", "(() => { const a = []; a[4294967294] = 1; return a })()", "Array(3e5).fill('xx')"]
        .map(|expression| format!("{expression} => {}", query(&format!("return {expression}"))));
    expect![[r#"
        Array(3e5) => limit: result_bytes (discarded)
        (() => { const a = []; a[4294967294] = 1; return a })() => failed: RangeError: Invalid string length
        Array(3e5).fill('xx') => limit: result_bytes (discarded)"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn results_of_declared_types() {
    let number = Slot::nullable(Shape::Float);
    let numbers = Slot::required(Shape::List(Box::new(number.clone())));
    check_declared(
        &number,
        &["1.5", "null", "NaN", "-Infinity", "undefined", "1n"],
        expect![[r#"
        1.5 => 1.5
        null => null
        NaN => failed: TypeError: result is NaN, which JSON cannot hold
        -Infinity => failed: TypeError: result is -Infinity, which JSON cannot hold
        undefined => failed: f returned undefined where a value is declared
        1n => failed: TypeError: result is a bigint, which JSON cannot hold; use a number or a string"#]],
    );
    check_declared(
        &numbers,
        &["[1, null]", "[1, NaN]", "[1, undefined]", "[, 1]", "[1, () => 1]"],
        expect![[r#"
        [1, null] => [1,null]
        [1, NaN] => failed: TypeError: result[1] is NaN, which JSON cannot hold
        [1, undefined] => [1,null]
        [, 1] => [null,1]
        [1, () => 1] => failed: TypeError: result[1] is a function, which JSON cannot hold"#]],
    );
    let text = Slot::required(Shape::String);
    check_declared(
        &text,
        &[
            "'x'",
            "NaN",
            "1n",
            "'\\udfff'",
            "(() => { const a = []; a[0] = a; return a })()",
            "({ toJSON() { throw new Error('mine') } })",
        ],
        expect![[r#"
        'x' => "x"
        NaN => null
        1n => failed: TypeError: result is a bigint, which JSON cannot hold; use a number or a string
        '\udfff' => failed: TypeError: result has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
        (() => { const a = []; a[0] = a; return a })() => failed: TypeError: result[0] contains itself, which JSON cannot hold
        ({ toJSON() { throw new Error('mine') } }) => failed: mine"#]],
    );
    let bytes = Slot::required(Shape::Bytes);
    check_declared(
        &bytes,
        &["Uint8Array.of(104, 105).toBase64()", "Uint8Array.of(104)"],
        expect![[r#"
        Uint8Array.of(104, 105).toBase64() => "aGk="
        Uint8Array.of(104) => {"0":104}"#]],
    );
}

#[test]
fn documents() {
    check_calls(
        &[
            "orders.insert({ total: 1 })",
            "orders.insert({ total: -0 })",
            "orders.insert({ total: 1, at: new Date(0), none: undefined, list: [undefined] })",
            "orders.insert({ total: NaN })",
            "orders.insert({ lines: [{ price: 1 }, { price: Infinity }] })",
            "orders.insert({ total: 1n })",
            "orders.insert({ total: 1, f() {} })",
            "orders.insert({ total: 1, tags: new Set(['a']) })",
            "orders.insert({ total: 1, bytes: new Uint8Array(1) })",
            "orders.insert({ total: 1, text: 'half \\ud800' })",
            "orders.insert({ total: 1, ['\\ud800']: 1 })",
            "orders.insert(JSON.parse('{\"total\":1,\"__proto__\":{\"x\":1}}'))",
            "orders.insert({ get total() { return 5 } })",
            "orders.insert({ get total() { throw new Error('from a getter') } })",
            "orders.insert({ get total() { orders.count(); return 5 } })",
            "orders.insert({ toJSON: () => ({ total: 6 }) })",
            "orders.insert({ toJSON: () => undefined })",
            "orders.insert({ toJSON: () => 5 })",
            "orders.insert(new Proxy({ total: 7 }, {}))",
            "const a = { total: 1 }; a.a = a; orders.insert(a)",
            "orders.insert()",
            "orders.insert(null)",
            "orders.insert('x')",
            "orders.insert(() => 1)",
            "orders.insert([])",
            "orders.replace('o1')",
            "orders.replace(1, { total: 1 })",
            "orders.patch('o1', { total: undefined, at: 'x', [Symbol()]: 1 })",
            "orders.patch('o1', undefined)",
            "orders.patch('o1', 5)",
            "orders.patch(null, {})",
            "orders.insert({ total: 1, blob: 'x'.repeat(2000) })",
        ],
        expect![[r#"
            orders.insert({ total: 1 }) => "done" [Insert { collection: "orders", value: Object {"total": Number(1)} }]
            orders.insert({ total: -0 }) => "done" [Insert { collection: "orders", value: Object {"total": Number(0)} }]
            orders.insert({ total: 1, at: new Date(0), none: undefined, list: [undefined] }) => "done" [Insert { collection: "orders", value: Object {"total": Number(1), "at": String("1970-01-01T00:00:00.000Z"), "list": Array [Null]} }]
            orders.insert({ total: NaN }) => failed: TypeError: orders.total is NaN, which JSON cannot hold
            orders.insert({ lines: [{ price: 1 }, { price: Infinity }] }) => failed: TypeError: orders.lines[1].price is Infinity, which JSON cannot hold
            orders.insert({ total: 1n }) => failed: TypeError: orders.total is a bigint, which JSON cannot hold; use a number or a string
            orders.insert({ total: 1, f() {} }) => failed: TypeError: orders.f is a function, which JSON cannot hold
            orders.insert({ total: 1, tags: new Set(['a']) }) => failed: TypeError: orders.tags is a Set, which JSON cannot hold; write [...set]
            orders.insert({ total: 1, bytes: new Uint8Array(1) }) => failed: TypeError: orders.bytes is a typed array, which JSON cannot hold; write bytes.toBase64(), or [...numbers]
            orders.insert({ total: 1, text: 'half \ud800' }) => failed: TypeError: orders.text has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            orders.insert({ total: 1, ['\ud800']: 1 }) => failed: TypeError: the name of orders.� has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            orders.insert(JSON.parse('{"total":1,"__proto__":{"x":1}}')) => "done" [Insert { collection: "orders", value: Object {"total": Number(1), "__proto__": Object {"x": Number(1)}} }]
            orders.insert({ get total() { return 5 } }) => "done" [Insert { collection: "orders", value: Object {"total": Number(5)} }]
            orders.insert({ get total() { throw new Error('from a getter') } }) => failed: from a getter
            orders.insert({ get total() { orders.count(); return 5 } }) => "done" [Count { plan: Plan { collection: "orders", equal: [], range: None, order: None } }] [Insert { collection: "orders", value: Object {"total": Number(5)} }]
            orders.insert({ toJSON: () => ({ total: 6 }) }) => "done" [Insert { collection: "orders", value: Object {"total": Number(6)} }]
            orders.insert({ toJSON: () => undefined }) => failed: TypeError: orders is undefined, which JSON cannot hold
            orders.insert({ toJSON: () => 5 }) => failed: orders.total: missing [Insert { collection: "orders", value: Number(5) }]
            orders.insert(new Proxy({ total: 7 }, {})) => "done" [Insert { collection: "orders", value: Object {"total": Number(7)} }]
            const a = { total: 1 }; a.a = a; orders.insert(a) => failed: TypeError: orders.a contains itself, which JSON cannot hold
            orders.insert() => failed: TypeError: insert(undefined): pass a document, an object
            orders.insert(null) => failed: TypeError: insert(null): pass a document, an object
            orders.insert('x') => failed: TypeError: insert("x"): pass a document, an object
            orders.insert(() => 1) => failed: TypeError: insert(a function): pass a document, an object
            orders.insert([]) => failed: orders.total: missing [Insert { collection: "orders", value: Array [] }]
            orders.replace('o1') => failed: TypeError: replace(undefined): pass a document, an object
            orders.replace(1, { total: 1 }) => failed: TypeError: replace(1): pass the id of a document, a string
            orders.patch('o1', { total: undefined, at: 'x', [Symbol()]: 1 }) => "done" [Patch { collection: "orders", id: "o1", part: Object {"at": String("x")}, removed: ["total"] }]
            orders.patch('o1', undefined) => failed: TypeError: patch(undefined): pass a document, an object
            orders.patch('o1', 5) => failed: TypeError: patch(5): pass a document, an object
            orders.patch(null, {}) => failed: TypeError: patch(null): pass the id of a document, a string
            orders.insert({ total: 1, blob: 'x'.repeat(2000) }) => "done" [Insert { collection: "orders", value: Object {"total": Number(1), "blob": String("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (2087 bytes)]"#]],
    );
}

#[test]
fn arguments_of_reading() {
    check_calls(
        &[
            "orders.get()",
            "orders.get(5)",
            "orders.get({ toString: () => 'o1' })",
            "orders.get(Symbol('x'))",
            "orders.get('\\ud800')",
            "orders.get('')",
            "orders.delete(null)",
            "orders.where('a')",
            "orders.where()",
            "orders.where(5, 1)",
            "orders.where(Symbol('x'), 1)",
            "orders.where('a', NaN)",
            "orders.where('a', 1n)",
            "orders.where('a', {})",
            "orders.where('a', [1])",
            "orders.where('a', () => 1)",
            "orders.where('a', null).count()",
            "orders.where('a', -0).count()",
            "orders.where('a', '\\udc00').count()",
            "orders.where('__proto__', 1).count()",
            "orders.range('a')",
            "orders.range('a', 5)",
            "orders.range(null, {})",
            "orders.range('a', { from: 1 })",
            "orders.range('a', { gt: Infinity })",
            "orders.range('a', { gt: {} })",
            "orders.range('a', { gt: undefined, lt: 5 }).count()",
            "orders.range('a', { gt: 1 }).range('b', { gt: 1 })",
            "orders.range('a', JSON.parse('{\"__proto__\":1}'))",
            "orders.orderBy()",
            "orders.orderBy('a', 'up')",
            "orders.orderBy('a', { toString: () => 'asc' })",
            "orders.orderBy('a').orderBy('b')",
            "orders.take()",
            "orders.take(-1)",
            "orders.take(1.5)",
            "orders.take(NaN)",
            "orders.take(Infinity)",
            "orders.take(1e300)",
            "orders.take('5')",
            "orders.take(5n)",
            "orders.take({ valueOf: () => 5 })",
            "orders.take(-0)",
            "orders.take(2 ** 53 - 1)",
            "orders.page(null)",
            "orders.page(5)",
            "orders.page({ first: -1 })",
            "orders.page({ first: 'x' })",
            "orders.page({ after: 5 })",
            "orders.page({ first: null, after: null })",
            "orders.page({ after: '\\ud800' })",
            "orders.page({ last: 5, before: 'x' })",
            "orders.page({ before: 'x' })",
            "orders.page({ after: 'x', before: 'y' })",
            "orders.page({ first: 1, last: 1 })",
            "orders.page({ before: 5 })",
            "orders.get.call({}, 'o1')",
            "Reflect.construct(orders.constructor, []).count()",
            "collection().count()",
        ],
        expect![[r#"
            orders.get() => failed: TypeError: get(undefined): pass the id of a document, a string
            orders.get(5) => failed: TypeError: get(5): pass the id of a document, a string
            orders.get({ toString: () => 'o1' }) => failed: TypeError: get(an object): pass the id of a document, a string
            orders.get(Symbol('x')) => failed: TypeError: get(Symbol(x)): pass the id of a document, a string
            orders.get('\ud800') => failed: TypeError: get("\ud800"): the text has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            orders.get('') => "done" [Get { collection: "orders", id: "" }]
            orders.delete(null) => failed: TypeError: delete(null): pass the id of a document, a string
            orders.where('a') => failed: TypeError: where("a", undefined): pass a value, or null for absent ones
            orders.where() => failed: TypeError: where(undefined): pass the name of a member, a string
            orders.where(5, 1) => failed: TypeError: where(5): pass the name of a member, a string
            orders.where(Symbol('x'), 1) => failed: TypeError: where(Symbol(x)): pass the name of a member, a string
            orders.where('a', NaN) => failed: TypeError: where("a", NaN): pass a string, a finite number, a boolean or null
            orders.where('a', 1n) => failed: TypeError: where("a", 1n): pass a string, a finite number, a boolean or null
            orders.where('a', {}) => failed: TypeError: where("a", an object): pass a string, a finite number, a boolean or null
            orders.where('a', [1]) => failed: TypeError: where("a", an object): pass a string, a finite number, a boolean or null
            orders.where('a', () => 1) => failed: TypeError: where("a", a function): pass a string, a finite number, a boolean or null
            orders.where('a', null).count() => "done" [Count { plan: Plan { collection: "orders", equal: [("a", Null)], range: None, order: None } }]
            orders.where('a', -0).count() => "done" [Count { plan: Plan { collection: "orders", equal: [("a", Number(0))], range: None, order: None } }]
            orders.where('a', '\udc00').count() => failed: TypeError: where("\udc00"): the text has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            orders.where('__proto__', 1).count() => "done" [Count { plan: Plan { collection: "orders", equal: [("__proto__", Number(1))], range: None, order: None } }]
            orders.range('a') => failed: TypeError: range(undefined): pass an object
            orders.range('a', 5) => failed: TypeError: range(5): pass an object
            orders.range(null, {}) => failed: TypeError: range(null): pass the name of a member, a string
            orders.range('a', { from: 1 }) => failed: TypeError: range bounds are gt, gte, lt and lte, not from
            orders.range('a', { gt: Infinity }) => failed: TypeError: range("a", Infinity): pass a string, a finite number, a boolean or null
            orders.range('a', { gt: {} }) => failed: TypeError: range("a", an object): pass a string, a finite number, a boolean or null
            orders.range('a', { gt: undefined, lt: 5 }).count() => "done" [Count { plan: Plan { collection: "orders", equal: [], range: Some(Bounds { field: "a", gt: None, gte: None, lt: Some(Number(5)), lte: None }), order: None } }]
            orders.range('a', { gt: 1 }).range('b', { gt: 1 }) => failed: range stands twice: give both bounds in one
            orders.range('a', JSON.parse('{"__proto__":1}')) => failed: TypeError: range bounds are gt, gte, lt and lte, not __proto__
            orders.orderBy() => failed: TypeError: orderBy(undefined): pass the name of a member, a string
            orders.orderBy('a', 'up') => failed: TypeError: orderBy("a", "up"): say "asc" or "desc"
            orders.orderBy('a', { toString: () => 'asc' }) => failed: TypeError: orderBy("a", an object): say "asc" or "desc"
            orders.orderBy('a').orderBy('b') => failed: orderBy stands twice: declare a compound index and order by its first free field
            orders.take() => failed: TypeError: take(undefined): pass a whole number, 0 or more
            orders.take(-1) => failed: TypeError: take(-1): pass a whole number, 0 or more
            orders.take(1.5) => failed: TypeError: take(1.5): pass a whole number, 0 or more
            orders.take(NaN) => failed: TypeError: take(NaN): pass a whole number, 0 or more
            orders.take(Infinity) => failed: TypeError: take(Infinity): pass a whole number, 0 or more
            orders.take(1e300) => failed: TypeError: take(1e+300): pass a whole number, 0 or more
            orders.take('5') => failed: TypeError: take("5"): pass a whole number, 0 or more
            orders.take(5n) => failed: TypeError: take(5n): pass a whole number, 0 or more
            orders.take({ valueOf: () => 5 }) => failed: TypeError: take(an object): pass a whole number, 0 or more
            orders.take(-0) => "done" [Rows { plan: Plan { collection: "orders", equal: [], range: None, order: None }, limit: Some(0), taken: Apart }]
            orders.take(2 ** 53 - 1) => "done" [Rows { plan: Plan { collection: "orders", equal: [], range: None, order: None }, limit: Some(9007199254740991), taken: Apart }]
            orders.page(null) => failed: TypeError: page(null): pass an object
            orders.page(5) => failed: TypeError: page(5): pass an object
            orders.page({ first: -1 }) => failed: TypeError: page(-1): pass a whole number, 0 or more
            orders.page({ first: 'x' }) => failed: TypeError: page("x"): pass a whole number, 0 or more
            orders.page({ after: 5 }) => failed: TypeError: page({ after: 5 }): pass the cursor of an edge, a string
            orders.page({ first: null, after: null }) => "done" [Page { plan: Plan { collection: "orders", equal: [], range: None, order: None }, size: 20, from: First, after: None, before: None }]
            orders.page({ after: '\ud800' }) => failed: TypeError: page("\ud800"): the text has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            orders.page({ last: 5, before: 'x' }) => "done" [Page { plan: Plan { collection: "orders", equal: [], range: None, order: None }, size: 5, from: Last, after: None, before: Some("x") }]
            orders.page({ before: 'x' }) => "done" [Page { plan: Plan { collection: "orders", equal: [], range: None, order: None }, size: 20, from: Last, after: None, before: Some("x") }]
            orders.page({ after: 'x', before: 'y' }) => "done" [Page { plan: Plan { collection: "orders", equal: [], range: None, order: None }, size: 20, from: First, after: Some("x"), before: Some("y") }]
            orders.page({ first: 1, last: 1 }) => failed: TypeError: first and last stand together: say one of them
            orders.page({ before: 5 }) => failed: TypeError: page({ before: 5 }): pass the cursor of an edge, a string
            orders.get.call({}, 'o1') => failed: TypeError: Cannot read private member #name from an object whose class did not declare it
            Reflect.construct(orders.constructor, []).count() => failed: this collection is not exported, so it has no name: export it from its module
            collection().count() => failed: this collection is not exported, so it has no name: export it from its module"#]],
    );
}

#[test]
fn arguments_of_the_api() {
    check_calls(
        &[
            "fail()",
            "fail('')",
            "fail(5)",
            "fail(Symbol('x'))",
            "fail('CODE')",
            "fail('CODE', 5)",
            "fail('CODE', Symbol('x'))",
            "fail('CODE', { toString() { throw new Error('from toString') } })",
            "fail('CO\\ud800DE', 'half \\ud800')",
            "metric()",
            "metric('a', NaN)",
            "metric('a', '1')",
            "metric(5, 1)",
            "metric('\\ud800', 1)",
            "metric('a', -0)",
            "call()",
            "call(5)",
            "call(() => 1)",
            "call(f, null)",
            "now(5)",
            "sum()",
            "sum(5)",
            "min('total')",
            "query()",
            "query(5)",
            "view.groupBy()",
            "view.groupBy(orders, (o) => o.total, { n: 5 })",
            "console.log('a', 1, { b: 1n }, undefined, () => 1, Symbol('x'), null, '\\ud800', Object.create(null))",
            "console.log({ toJSON() { throw 1 }, toString() { throw 2 } })",
            "const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); console.log(proxy)",
            "const a = {}; a.a = a; console.error(a)",
            "console.warn()",
        ],
        expect![[r#"
            fail() => failed: TypeError: fail(code, message): the code is a string such as "NOT_FOUND"
            fail('') => failed: TypeError: fail(code, message): the code is a string such as "NOT_FOUND"
            fail(5) => failed: TypeError: fail(code, message): the code is a string such as "NOT_FOUND"
            fail(Symbol('x')) => failed: TypeError: fail(code, message): the code is a string such as "NOT_FOUND"
            fail('CODE') => failed with CODE: CODE
            fail('CODE', 5) => failed with CODE: 5
            fail('CODE', Symbol('x')) => failed with CODE: Symbol(x)
            fail('CODE', { toString() { throw new Error('from toString') } }) => failed: from toString
            fail('CO\ud800DE', 'half \ud800') => failed with CO�DE: half �
            metric() => failed: TypeError: metric(name, value) takes a string and a finite number
            metric('a', NaN) => failed: TypeError: metric(name, value) takes a string and a finite number
            metric('a', '1') => failed: TypeError: metric(name, value) takes a string and a finite number
            metric(5, 1) => failed: TypeError: metric(name, value) takes a string and a finite number
            metric('\ud800', 1) => failed: TypeError: metric("\ud800"): the text has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
            metric('a', -0) => "done" [Metric { name: "a", value: 0.0 }]
            call() => failed: TypeError: call(fn, args) takes a function of the app
            call(5) => failed: TypeError: call(fn, args) takes a function of the app
            call(() => 1) => failed: TypeError: call(fn, args) takes a function of the app
            call(f, null) => failed: RangeError: calls nest more than 16 deep: f → f
            now(5) => "done"
            sum() => failed: TypeError: sum(undefined): pass a function of a document
            sum(5) => failed: TypeError: sum(5): pass a function of a document
            min('total') => failed: TypeError: min("total"): pass a function of a document
            query() => failed: TypeError: query(...) takes a function
            query(5) => failed: TypeError: query(...) takes a function
            view.groupBy() => failed: TypeError: view.groupBy(undefined, ...): pass a collection, or filter(...) or flatMap(...) of one
            view.groupBy(orders, (o) => o.total, { n: 5 }) => failed: TypeError: view.groupBy: n is no aggregate: write count(), sum((o) => o.total) and the like
            console.log('a', 1, { b: 1n }, undefined, () => 1, Symbol('x'), null, '\ud800', Object.create(null)) => "done" [Log { level: "info", text: "a 1 {\"b\":\"1n\"} undefined () => 1 Symbol(x) null � {}" }]
            console.log({ toJSON() { throw 1 }, toString() { throw 2 } }) => "done" [Log { level: "info", text: "[object]" }]
            const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); console.log(proxy) => "done" [Log { level: "info", text: "[object]" }]
            const a = {}; a.a = a; console.error(a) => "done" [Log { level: "error", text: "[object]" }]
            console.warn() => "done" [Log { level: "warn", text: "" }]"#]],
    );
}

#[test]
fn arguments_of_calls_in_actions() {
    let lines = [
        "{ n: NaN }",
        "{ n: 1n }",
        "{ text: '\\ud800' }",
        "5",
        "null",
        "undefined",
        "() => 1",
        "{ toJSON() { throw new Error('mine') } }",
        "{ s: new Set() }",
        "{ ['__proto__']: 1 }",
    ]
    .map(|args| {
        let code =
            format!("export const g = query(() => 1); export const f = action(async () => await call(g, {args}));");
        format!("{args} => {}", run(FunctionKind::Action, &code))
    });
    expect![[r#"
        { n: NaN } => failed: TypeError: g.n is NaN, which JSON cannot hold
        { n: 1n } => failed: TypeError: g.n is a bigint, which JSON cannot hold; use a number or a string
        { text: '\ud800' } => failed: TypeError: g.text has half of a surrogate pair in it: cut text by characters, [...text], or mend it with text.toWellFormed()
        5 => 41
        null => 41
        undefined => 41
        () => 1 => failed: TypeError: g is a function, which JSON cannot hold
        { toJSON() { throw new Error('mine') } } => failed: mine
        { s: new Set() } => failed: TypeError: g.s is a Set, which JSON cannot hold; write [...set]
        { ['__proto__']: 1 } => 41"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn arguments_arrive_as_they_are() {
    let code = "export const f = query((args) => [Object.getPrototypeOf(args) === Object.prototype, Object.keys(args), args.polluted ?? 'clean', Object.is(args.zero, -0), args.text?.length]);";
    let mut guest = Guest::of_kind(FunctionKind::Query, code).unwrap();
    let lines = [
        r#"{"__proto__":{"polluted":1}}"#,
        r#"{"zero":-0.0}"#,
        r#"{"text":"😀\u0000"}"#,
        r#"{"constructor":1,"toString":2}"#,
    ]
    .map(|arguments| guest.call(arguments));
    expect![[r#"
        [true,["__proto__"],"clean",false,null]
        [true,["zero"],"clean",true,null]
        [true,["text"],"clean",false,3]
        [true,["constructor","toString"],"clean",false,null]"#]]
    .assert_eq(&lines.join("\n"));
}

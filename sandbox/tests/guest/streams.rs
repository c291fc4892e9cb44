//! Streams: what a generator's events and its end come to, and what is left of it.

use expect_test::{Expect, expect};
use weir_schema::declarations::FunctionKind;

use crate::harness::Guest;

fn of(body: &str) -> Guest {
    let code = format!(
        "export const f = stream(async function* (args) {{ {body} }});\nexport const g = query((args) => args.n);"
    );
    Guest::of_kind(FunctionKind::Stream, &code).unwrap()
}

/// Events, requests and end of each body, for a caller who takes so many events.
fn check(events: usize, bodies: &[&str], expected: Expect) {
    let line = |body: &&str| format!("{body}\n  => {}\n", of(body).with_events(events).stream("{}"));
    expected.assert_eq(&bodies.iter().map(line).collect::<String>());
}

#[test]
fn each_yield_is_an_event() {
    check(
        usize::MAX,
        &[
            "",
            "yield 1; yield 'two'; yield { three: [3] };",
            "yield 1; return 2;",
            "for (let n = 0; n < 3; n++) yield n;",
            "yield* [1, 2];",
            "yield* (async function* () { yield 1; yield 2; })();",
            "for await (const n of [1, Promise.resolve(2)]) yield n;",
            "yield Promise.resolve(1); await null; yield await Promise.all([1, 2]);",
            "yield null;",
            "const e = yield 1; yield e === undefined;",
        ],
        expect![[r#"

              => null
            yield 1; yield 'two'; yield { three: [3] };
              => 1 "two" {"three":[3]} null
            yield 1; return 2;
              => 1 null
            for (let n = 0; n < 3; n++) yield n;
              => 0 1 2 null
            yield* [1, 2];
              => 1 2 null
            yield* (async function* () { yield 1; yield 2; })();
              => 1 2 null
            for await (const n of [1, Promise.resolve(2)]) yield n;
              => 1 2 null
            yield Promise.resolve(1); await null; yield await Promise.all([1, 2]);
              => 1 [1,2] null
            yield null;
              => null null
            const e = yield 1; yield e === undefined;
              => 1 true null
        "#]],
    );
}

#[test]
fn it_reads_and_calls_queries_and_does_not_write() {
    check(
        usize::MAX,
        &[
            "yield orders.get('o1'); yield orders.count();",
            "yield orders.where('total', 5);",
            "const rows = orders.where('total', 5); yield rows[0]; yield rows.length;",
            "yield g({ n: 1 }); yield call(g, { n: 2 });",
            "orders.insert({ total: 1 });",
            "const rows = orders.orderBy('total'); yield 1; yield rows;",
            "console.log('hello'); yield 1;",
        ],
        expect![[r#"
            yield orders.get('o1'); yield orders.count();
              => Get { collection: "orders", id: "o1" } {"id":"o1","total":5} Count { plan: Plan { collection: "orders", equal: [], range: None, order: None } } 2 null
            yield orders.where('total', 5);
              => Rows { plan: Plan { collection: "orders", equal: [("total", Number(5))], range: None, order: None }, limit: None, taken: Whole } [{"id":"o1","total":5},{"id":"o2","total":7}] null
            const rows = orders.where('total', 5); yield rows[0]; yield rows.length;
              => Rows { plan: Plan { collection: "orders", equal: [("total", Number(5))], range: None, order: None }, limit: None, taken: Apart } {"id":"o1","total":5} 2 null
            yield g({ n: 1 }); yield call(g, { n: 2 });
              => 1 2 null
            orders.insert({ total: 1 });
              => failed: insert writes, which only a procedure may; this is a stream
            const rows = orders.orderBy('total'); yield 1; yield rows;
              => 1 Rows { plan: Plan { collection: "orders", equal: [], range: None, order: Some(("total", Asc)) }, limit: None, taken: Whole } [{"id":"o1","total":5},{"id":"o2","total":7}] null
            console.log('hello'); yield 1;
              => Log { level: "info", text: "hello" } 1 null
        "#]],
    );
}

#[test]
fn an_error_is_its_end() {
    check(
        usize::MAX,
        &[
            "yield 1; throw new Error('after one');",
            "fail('NO', 'no'); yield 1;",
            "yield 1; yield undefined;",
            "yield () => 1;",
            "yield Promise.reject(new Error('rejected'));",
            "yield 1; Promise.reject(new Error('unheard')); yield 2;",
            "yield { toJSON() { throw new Error('in toJSON'); } };",
            "yield { get n() { return orders.get('o1').total; } };",
            "yield 'x'.repeat(2_000_000);",
            "let deep = []; for (let n = 0; n < 500; n++) deep = [deep]; yield deep;",
            "yield 1n;",
            "try { yield 1; throw new Error('first'); } finally { throw new Error('second'); }",
        ],
        expect![[r#"
            yield 1; throw new Error('after one');
              => 1 failed: after one
            fail('NO', 'no'); yield 1;
              => failed with NO: no
            yield 1; yield undefined;
              => 1 failed: f returned undefined where a value is declared
            yield () => 1;
              => failed: TypeError: result is a function, which JSON cannot hold
            yield Promise.reject(new Error('rejected'));
              => failed: rejected
            yield 1; Promise.reject(new Error('unheard')); yield 2;
              => 1 failed: f left a rejected promise that nothing awaited: unheard (discarded)
            yield { toJSON() { throw new Error('in toJSON'); } };
              => failed: in toJSON
            yield { get n() { return orders.get('o1').total; } };
              => Get { collection: "orders", id: "o1" } {"n":5} null
            yield 'x'.repeat(2_000_000);
              => limit: result_bytes (discarded)
            let deep = []; for (let n = 0; n < 500; n++) deep = [deep]; yield deep;
              => limit: result_depth
            yield 1n;
              => failed: TypeError: result is a bigint, which JSON cannot hold; use a number or a string
            try { yield 1; throw new Error('first'); } finally { throw new Error('second'); }
              => 1 failed: second
        "#]],
    );
}

#[test]
fn a_caller_who_goes_has_it_return() {
    check(
        2,
        &[
            "for (let n = 0; ; n++) yield n;",
            "try { for (;;) yield 1; } finally { console.log('closed'); }",
            "try { for (;;) yield 1; } finally { await null; console.log('closed'); }",
            "try { for (;;) yield 1; } finally { throw new Error('at the end'); }",
            "try { for (;;) yield 1; } finally { yield 'more'; }",
            "for (;;) try { for (;;) yield 1; } finally { continue; }",
            "try { for (;;) yield 1; } finally { for (;;); }",
            "try { for (;;) yield 1; } finally { await new Promise(() => {}); }",
            "yield* { [Symbol.asyncIterator]() { return this }, next() { return { value: 1, done: false } }, return() { console.log('closed'); return {} } };",
            "yield 1; yield 2; yield 3;",
            "const later = new Promise(() => {}); for (;;) yield 1;",
        ],
        expect![[r#"
            for (let n = 0; ; n++) yield n;
              => 0 1 null
            try { for (;;) yield 1; } finally { console.log('closed'); }
              => 1 1 Log { level: "info", text: "closed" } null
            try { for (;;) yield 1; } finally { await null; console.log('closed'); }
              => 1 1 Log { level: "info", text: "closed" } null
            try { for (;;) yield 1; } finally { throw new Error('at the end'); }
              => 1 1 failed: at the end
            try { for (;;) yield 1; } finally { yield 'more'; }
              => 1 1 failed: f yields after it was told to return (discarded)
            for (;;) try { for (;;) yield 1; } finally { continue; }
              => 1 1 failed: f yields after it was told to return (discarded)
            try { for (;;) yield 1; } finally { for (;;); }
              => 1 1 limit: time (discarded)
            try { for (;;) yield 1; } finally { await new Promise(() => {}); }
              => 1 1 failed: f waits for a promise that nothing can settle (discarded)
            yield* { [Symbol.asyncIterator]() { return this }, next() { return { value: 1, done: false } }, return() { console.log('closed'); return {} } };
              => 1 1 Log { level: "info", text: "closed" } failed: f yields after it was told to return (discarded)
            yield 1; yield 2; yield 3;
              => 1 2 null
            const later = new Promise(() => {}); for (;;) yield 1;
              => 1 1 null (discarded)
        "#]],
    );
}

#[test]
fn it_waits_for_nothing_that_cannot_come() {
    check(
        usize::MAX,
        &[
            "await new Promise(() => {});",
            "yield 1; await new Promise(() => {});",
            "let settle; const later = new Promise((resolve) => { settle = resolve; }); yield 1; settle(2); yield await later;",
            "let n = 0; const background = (async () => { for (;;) { n++; await null; if (n > 3) return; } })(); yield 0; yield n;",
            "const forgotten = new Promise(() => {}); yield 1;",
            "yield await (async () => Promise.resolve(1))(); new Promise(() => {});",
            "new Promise(() => {}); yield 1; throw new Error('the first to be told');",
            "for (;;) await null;",
            "for (;;);",
            "yield 1; for (;;);",
            "(async () => { for (;;) await null; })(); yield 1;",
        ],
        expect![[r#"
            await new Promise(() => {});
              => failed: f waits for a promise that nothing can settle (discarded)
            yield 1; await new Promise(() => {});
              => 1 failed: f waits for a promise that nothing can settle (discarded)
            let settle; const later = new Promise((resolve) => { settle = resolve; }); yield 1; settle(2); yield await later;
              => 1 2 null
            let n = 0; const background = (async () => { for (;;) { n++; await null; if (n > 3) return; } })(); yield 0; yield n;
              => 0 4 null
            const forgotten = new Promise(() => {}); yield 1;
              => 1 failed: f returned while a promise was pending: await every promise (discarded)
            yield await (async () => Promise.resolve(1))(); new Promise(() => {});
              => 1 failed: f returned while a promise was pending: await every promise (discarded)
            new Promise(() => {}); yield 1; throw new Error('the first to be told');
              => 1 failed: the first to be told (discarded)
            for (;;) await null;
              => limit: time (discarded)
            for (;;);
              => limit: time (discarded)
            yield 1; for (;;);
              => 1 limit: time (discarded)
            (async () => { for (;;) await null; })(); yield 1;
              => limit: time (discarded)
        "#]],
    );
}

#[test]
fn what_counts_is_counted_for_each_event() {
    // Each of them alone is within the limits, all of them together are far past them.
    let body = "for (let n = 0; n < 60; n++) { for (let i = 0; i < 2_000; i++) orders.count(); yield 'x'.repeat(500_000).length; }";
    let (outcome, log) = of(body).call_function(0, "{}");
    let events = log.iter().filter(|line| *line == "500000").count();
    assert_eq!((format!("{outcome:?}"), events), ("Value(\"null\")".to_owned(), 60));
    let body = "yield 1; for (;;) orders.count();";
    let (outcome, _) = of(body).call_function(0, "{}");
    assert!(format!("{outcome:?}").contains("Limit"), "{outcome:?}");
}

#[test]
fn its_time_stands_still_and_its_dice_go_on() {
    let body = "for (let n = 0; n < 3; n++) yield [now(), Date.now(), Math.random()];";
    let (first, again) = (of(body).stream("{}"), of(body).stream("{}"));
    assert_eq!(first, again);
    expect![[r#"["2023-11-14T22:13:20.000Z",1700000000000,1.6298145055770874e-9] ["2023-11-14T22:13:20.000Z",1700000000000,7.916241884231567e-9] ["2023-11-14T22:13:20.000Z",1700000000000,0.01318361610174179] null"#]].assert_eq(&first);
}

#[test]
fn nothing_of_a_stream_is_left_for_the_next() {
    let body = "if (args.first) { Promise.prototype.then.left; globalThis.left = 1; } \
                for (let n = 0; n < 2; n++) yield [typeof left, n, Math.random()];";
    let mut guest = of(body);
    let lines = ["{\"first\":false}", "{\"first\":true}", "{\"first\":false}"].map(|arguments| guest.stream(arguments));
    expect![[r#"
        ["undefined",0,1.6298145055770874e-9] ["undefined",1,7.916241884231567e-9] null
        failed: TypeError: Cannot add property left, object is not extensible
        ["undefined",0,1.6298145055770874e-9] ["undefined",1,7.916241884231567e-9] null"#]]
    .assert_eq(&lines.join("\n"));
    // A generator that was left in the middle does not go on.
    let mut guest = of("let n = 0; try { for (;;) yield n++; } finally { console.log('closed', n); }").with_events(3);
    assert_eq!(guest.stream("{}"), guest.stream("{}"));
}

#[test]
fn only_streams_call_streams() {
    let code = "export const s = stream(async function* () { yield 1; yield 2; });
                export const f = stream(async function* () { yield* s(); yield* call(s); for await (const n of s()) yield -n; });";
    expect!["1 2 1 2 -1 -2 null"].assert_eq(&Guest::of_kind(FunctionKind::Stream, code).unwrap().stream("{}"));
    for (kind, making) in [
        (FunctionKind::Query, "query(() => { s(); })"),
        (FunctionKind::Procedure, "procedure(() => { call(s); })"),
        (FunctionKind::Action, "action(async () => { await call(s); })"),
        (FunctionKind::Action, "action(async () => { s(); })"),
    ] {
        let code = format!("const s = stream(async function* () {{ yield 1; }}); export const f = {making};");
        let told = Guest::of_kind(kind, &code).unwrap().call("{}");
        assert!(told.contains("cannot call a stream"), "{making}: {told}");
    }
}

//! What `attempt` asks of the host, what it makes of a throw, and what goes past it.

use expect_test::{Expect, expect};
use weir_schema::declarations::FunctionKind;

use crate::harness::{Guest, run, show};

/// The outcome of each body of a procedure, and what the host was asked.
fn check(bodies: &[&str], expected: Expect) {
    let line = |body: &&str| {
        let code = format!(
            "export const f = procedure((args) => {{ {body} }});\nexport const g = query(() => attempt(() => 1));"
        );
        let mut guest = Guest::of_kind(FunctionKind::Procedure, &code).unwrap();
        let (outcome, asked) = guest.call_function(0, "{}");
        format!("{body}\n  => {} [{}]\n", show(&outcome), asked.join(", "))
    };
    expected.assert_eq(&bodies.iter().map(line).collect::<String>());
}

#[test]
fn a_throw_is_told_and_taken_back() {
    check(
        &[
            "return attempt(() => 5);",
            "return attempt(() => fail('POOR', 'no money'));",
            "return attempt(() => fail('POOR'));",
            "return attempt(() => { throw new TypeError('no') });",
            "return attempt(() => { throw 'text' });",
            "return attempt(() => { throw null });",
            "return attempt(() => { throw undefined });",
            "return attempt(() => { throw Symbol('x') });",
            "return attempt(() => { throw { toString() { throw 1 } } });",
            "return attempt(() => { throw Object.defineProperty(new Error('a'), 'message', { get() { throw 1 } }) });",
            "return attempt(() => orders.insert({}));",
            "return attempt(() => attempt(() => fail('INNER')));",
            "return attempt(() => { attempt(() => fail('INNER')); fail('OUTER') });",
            "try { attempt(() => { throw new Error('never out') }); return 'on' } catch { return 'out' }",
            "const ids = attempt(() => orders.all().map((o) => o.id)); return ids.value;",
        ],
        expect![[r#"
            return attempt(() => 5);
              => {"ok":true,"value":5} [Savepoint { step: Set, number: 0 }, Savepoint { step: Release, number: 1 }]
            return attempt(() => fail('POOR', 'no money'));
              => {"ok":false,"error":{"message":"no money","code":"POOR"}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => fail('POOR'));
              => {"ok":false,"error":{"message":"POOR","code":"POOR"}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => { throw new TypeError('no') });
              => {"ok":false,"error":{"message":"no","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => { throw 'text' });
              => {"ok":false,"error":{"message":"text","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => { throw null });
              => {"ok":false,"error":{"message":"null","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => { throw undefined });
              => {"ok":false,"error":{"message":"undefined","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => { throw Symbol('x') });
              => {"ok":false,"error":{"message":"Symbol(x)","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => { throw { toString() { throw 1 } } });
              => {"ok":false,"error":{"message":"something was thrown that cannot be shown","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => { throw Object.defineProperty(new Error('a'), 'message', { get() { throw 1 } }) });
              => {"ok":false,"error":{"message":"something was thrown that cannot be shown","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => orders.insert({}));
              => {"ok":false,"error":{"message":"orders.total: missing","code":null}} [Savepoint { step: Set, number: 0 }, Insert { collection: "orders", value: Object {} }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => attempt(() => fail('INNER')));
              => {"ok":true,"value":{"ok":false,"error":{"message":"INNER","code":"INNER"}}} [Savepoint { step: Set, number: 0 }, Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 2 }, Savepoint { step: Release, number: 1 }]
            return attempt(() => { attempt(() => fail('INNER')); fail('OUTER') });
              => {"ok":false,"error":{"message":"OUTER","code":"OUTER"}} [Savepoint { step: Set, number: 0 }, Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 2 }, Savepoint { step: RollBack, number: 1 }]
            try { attempt(() => { throw new Error('never out') }); return 'on' } catch { return 'out' }
              => "on" [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            const ids = attempt(() => orders.all().map((o) => o.id)); return ids.value;
              => ["o1","o2"] [Savepoint { step: Set, number: 0 }, Rows { plan: Plan { collection: "orders", equal: [], range: None, order: None }, limit: None, taken: Apart }, Savepoint { step: Release, number: 1 }]
        "#]],
    );
}

#[test]
fn what_attempt_cannot_do_is_an_error() {
    check(
        &[
            "return attempt(5);",
            "return attempt();",
            "attempt(async () => 1);",
            "attempt(() => Promise.resolve(1));",
            "return attempt(() => ({ then() {} }));",
            "return attempt(() => { attempt(async () => 1); });",
            "return g();",
            "return attempt(() => g());",
        ],
        expect![[r#"
            return attempt(5);
              => failed: TypeError: attempt(fn): pass a function []
            return attempt();
              => failed: TypeError: attempt(fn): pass a function []
            attempt(async () => 1);
              => failed: TypeError: attempt(fn): fn returned a promise, so what it writes could not be taken back; it must not be async, database calls need no await [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            attempt(() => Promise.resolve(1));
              => failed: TypeError: attempt(fn): fn returned a promise, so what it writes could not be taken back; it must not be async, database calls need no await [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => ({ then() {} }));
              => failed: TypeError: attempt(fn): fn returned a promise, so what it writes could not be taken back; it must not be async, database calls need no await [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
            return attempt(() => { attempt(async () => 1); });
              => {"ok":false,"error":{"message":"attempt(fn): fn returned a promise, so what it writes could not be taken back; it must not be async, database calls need no await","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 2 }, Savepoint { step: RollBack, number: 1 }]
            return g();
              => failed: attempt(fn) takes back what fn writes, which only a procedure may; this is a query []
            return attempt(() => g());
              => {"ok":false,"error":{"message":"attempt(fn) takes back what fn writes, which only a procedure may; this is a query","code":null}} [Savepoint { step: Set, number: 0 }, Savepoint { step: RollBack, number: 1 }]
        "#]],
    );
    let code = "attempt(() => 1); export const f = query(() => 1);";
    let loading = run(FunctionKind::Query, code);
    let view = run(FunctionKind::View, "export const f = view(() => attempt(() => 1));");
    let action = run(FunctionKind::Action, "export const f = action(async () => attempt(() => 1));");
    expect![[r#"
        does not load: data can be read and written only while a function runs, not while a module loads or after the call
        failed: attempt(fn) takes back what fn writes, which only a procedure may; this is a view
        failed: an action writes nothing itself, so there is nothing to take back: use attempt in the procedure that it calls"#]].assert_eq(&[loading, view, action].join("\n"));
}

#[test]
fn what_ends_a_call_goes_past_it() {
    check(
        &[
            "return attempt(() => { for (;;); });",
            "return attempt(() => orders.delete('o1'));",
            "attempt(() => orders.delete('o1')); return 'on';",
            "return attempt(() => attempt(() => orders.delete('o1')));",
        ],
        expect![[r#"
            return attempt(() => { for (;;); });
              => limit: time [Savepoint { step: Set, number: 0 }]
            return attempt(() => orders.delete('o1'));
              => Aborted [Savepoint { step: Set, number: 0 }, Delete { collection: "orders", id: "o1" }]
            attempt(() => orders.delete('o1')); return 'on';
              => Aborted [Savepoint { step: Set, number: 0 }, Delete { collection: "orders", id: "o1" }]
            return attempt(() => attempt(() => orders.delete('o1')));
              => Aborted [Savepoint { step: Set, number: 0 }, Savepoint { step: Set, number: 0 }, Delete { collection: "orders", id: "o1" }]
        "#]],
    );
}

#[test]
fn nothing_of_an_attempt_outlives_its_call() {
    let code = "export const f = procedure((args) => { const tried = attempt(() => fail('X', 'y')); \
                try { tried.error.message = 'z'; globalThis.kept = tried } catch (e) { return String(e) } return tried });";
    let mut guest = Guest::of_kind(FunctionKind::Procedure, code).unwrap();
    let first = guest.call("{}");
    assert_eq!(guest.call("{}"), first);
    expect![[r#""TypeError: Cannot add property kept, object is not extensible""#]].assert_eq(&first);
}

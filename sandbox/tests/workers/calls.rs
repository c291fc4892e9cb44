//! What isolates in workers answer.

use libtest_mimic::Trial;
use weir_sandbox::App;
use weir_sandbox::isolate::IsolateError;
use weir_sandbox::protocol::Outcome;
use weir_schema::declarations::FunctionKind;
use weir_schema::limits::Limit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::{LIMITS, app, call, call_at, isolate, query, short, stream, supervise, value};
use super::examples::EXAMPLES;
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("values_and_host_calls_cross_the_boundary", values_and_host_calls_cross_the_boundary),
        trial("what_the_host_refuses_is_thrown_there", what_the_host_refuses_is_thrown_there),
        trial("a_host_that_takes_its_time_is_not_the_workers_silence", a_host_that_takes_its_time),
        trial("actions_ask_side_by_side", actions_ask_side_by_side),
        trial("requests_and_answers_that_pile_up_pass_each_other", requests_and_answers_pass_each_other),
        trial("an_answer_that_came_early_is_not_waited_for", an_answer_that_came_early_is_not_waited_for),
        trial("who_asks_for_too_much_at_once_is_told_at_once", who_asks_for_too_much_at_once_is_told_at_once),
        trial("streams_give_events_at_their_readers_pace", streams_give_events_at_their_readers_pace),
        trial("what_is_too_long_to_ask_is_refused_there", what_is_too_long_to_ask_is_refused_there),
        trial("an_answer_that_nobody_awaits_costs_no_worker", an_answer_that_nobody_awaits_costs_no_worker),
        trial("limits_are_kept_on_both_sides", limits_are_kept_on_both_sides),
        trial("errors_are_cut", errors_are_cut),
        trial("an_app_that_cannot_be_loaded_says_why", an_app_that_cannot_be_loaded_says_why),
        trial("two_workers_give_the_same", two_workers_give_the_same),
        trial("the_examples_give_the_same_in_two_workers", the_examples_give_the_same_in_two_workers),
    ]
}

fn values_and_host_calls_cross_the_boundary() {
    let app = query(LIMITS, "return [args, orders.get('o1'), orders.get('large').id.length, now(), '\\ud83d\\ude00']");
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let expected = r#"[{"a":[1.5,null,"é"]},{"id":"o1"},3145728,"2023-11-14T22:13:20.000Z","😀"]"#;
    for _ in 0..100 {
        assert_eq!(call_at(&mut isolate, 0, r#"{"a":[1.5,null,"é"]}"#), value(expected));
    }
    let large = format!("{{\"a\":\"{}\"}}", "y".repeat(50_000));
    let Outcome::Value(text) = call_at(&mut isolate, 0, &large) else { panic!() };
    assert!(text.len() > 50_000);
}

fn what_the_host_refuses_is_thrown_there() {
    let app = query(
        LIMITS,
        "const said = []; try { orders.get('o1'); orders.where('a', 1).page({ first: -1 }) } catch (e) { said.push(e.message) } return said",
    );
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    assert_eq!(call(&mut isolate), value(r#"["page(-1): pass a whole number, 0 or more"]"#));
    let app = super::app::app(
        LIMITS,
        &[("f", FunctionKind::Procedure), ("g", FunctionKind::Procedure)],
        "export const f = procedure(() => { try { orders.insert({}) } catch (e) { return e.message } });
         export const g = procedure(() => { for (;;) try { orders.delete('o1') } catch {} });",
    );
    let workers = supervise(&app, 1, 0);
    let mut isolate = super::app::isolate(&workers, &app).unwrap();
    assert_eq!(call(&mut isolate), value("\"orders.total: missing\""));
    assert_eq!(call_at(&mut isolate, 1, "{}"), Outcome::Aborted);
    isolate.renew().unwrap();
    assert_eq!(call(&mut isolate), value("\"orders.total: missing\""));
}

fn a_host_that_takes_its_time() {
    let app = query(LIMITS, "return orders.get('slow')");
    let workers = supervise(&app, 1, 0);
    let mut slow = isolate(&workers, &app).unwrap();
    assert_eq!(call(&mut slow), value(r#"{"id":"slow"}"#));
    // Past the wall limit the call ends when the host has answered, and the worker lives on.
    let app = query(&short(), "return orders.get(args.id)");
    let workers = supervise(&app, 1, 0);
    let mut slow = isolate(&workers, &app).unwrap();
    assert_eq!(call_at(&mut slow, 0, r#"{"id":"slow"}"#), Outcome::Limit(Limit::Wall));
    slow.renew().unwrap();
    assert_eq!(call_at(&mut slow, 0, r#"{"id":"o1"}"#), value(r#"{"id":"o1"}"#));
}

fn actions_ask_side_by_side() {
    let functions = [("f", FunctionKind::Action), ("other", FunctionKind::Query)];
    let body = |body: &str| {
        format!("export const other = query(() => 1);\nexport const f = action(async () => {{ {body} }});")
    };
    let cases = [
        ("let sum = 0; for (let n = 0; n < 20; n++) sum += await call(other, { n }); return sum", value("190")),
        (
            "const of = (n) => call(other, { n, after: 50 - n });
             return (await Promise.all(Array.from({ length: 50 }, (_, n) => of(n)))).join()",
            value(&format!("\"{}\"", (0..50).map(|n| n.to_string()).collect::<Vec<_>>().join(","))),
        ),
        ("call(other, { n: 1 }); console.log('hello'); return await call(other, { n: 2 })", value("2")),
        ("return await call(other, { n: 1, after: 60000 })", Outcome::Limit(Limit::Wall)),
        ("for (;;) await null", Outcome::Limit(Limit::Cpu)),
        (
            "return await Promise.all(Array.from({ length: 101 }, () => call(other, { n: 1, after: 60000 })))",
            Outcome::Limit(Limit::OutstandingPromises),
        ),
    ];
    for (code, expected) in cases {
        let limits = if expected == Outcome::Limit(Limit::Wall) { short() } else { LIMITS.to_owned() };
        let app = app(&limits, &functions, &body(code));
        let workers = supervise(&app, 1, 0);
        let mut isolate = isolate(&workers, &app).unwrap();
        assert_eq!(call(&mut isolate), expected, "{code}");
        isolate.renew().unwrap();
        assert_eq!(call(&mut isolate), expected, "{code}, again");
    }
}

/// An action `f` of this body, with time and room for many calls of `other`.
fn fanning_out(body: &str) -> Arc<App> {
    let limits =
        LIMITS.replace("cpu_ms = 500", "cpu_ms = 20000").replace("heap_bytes = 33554432", "heap_bytes = 268435456");
    let limits = limits.replace("host_calls = 200", "host_calls = 2000").replace("promises = 100", "promises = 1000");
    let body = format!("export const other = query(() => 1);\nexport const f = action(async () => {{ {body} }});");
    app(&limits, &[("f", FunctionKind::Action), ("other", FunctionKind::Query)], &body)
}

fn requests_and_answers_pass_each_other() {
    let fan_out = "const calls = Array.from({ length: 1000 }, (_, n) => call(other, { n, size: 20_000 }));";
    let app = fanning_out(&format!(
        "{fan_out} let bytes = 0; for (const page of await Promise.all(calls)) bytes += page.length; return bytes"
    ));
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    assert_eq!(call(&mut isolate), value("20000000"));
    // What the host is asked and told in between, and the end of the call, pass the answers too.
    for (end, expected) in [
        ("console.log('hello'); return 1", "f returned while calls were still running: await every call"),
        ("throw new Error('x'.repeat(5_000))", "f returned while calls were still running: await every call"),
    ] {
        let app = fanning_out(&format!("{fan_out} {end}"));
        let workers = supervise(&app, 1, 0);
        let mut isolate = super::app::isolate(&workers, &app).unwrap();
        let Outcome::Failed(error) = call(&mut isolate) else { panic!("{end}") };
        assert_eq!(error.message, expected, "{end}");
        let worker = isolate.worker_id();
        isolate.renew().unwrap();
        assert_eq!(isolate.worker_id(), worker, "{end}");
    }
}

fn an_answer_that_came_early_is_not_waited_for() {
    // The first is answered while the script computes, and read with what the host says to the line of log.
    let app = fanning_out(
        "const first = call(other, { n: 1, after: 50 }); await call(other, { n: 2 });
         let sum = 0; for (let i = 0; i < 500_000_000; i++) sum = (sum + i) | 0;
         console.log(sum); return await first",
    );
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    assert_eq!(call(&mut isolate), value("1"));
}

fn who_asks_for_too_much_at_once_is_told_at_once() {
    let functions = [("f", FunctionKind::Action), ("other", FunctionKind::Query)];
    let body = "export const other = query(() => 1);
        export const f = action(() => Promise.all(Array.from({ length: 101 }, () => call(other, { after: 60000 }))));";
    let app = app(LIMITS, &functions, body);
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let started = Instant::now();
    assert_eq!(call(&mut isolate), Outcome::Limit(Limit::OutstandingPromises));
    let wall = Duration::from_millis(app.manifest.limits.wall_ms);
    assert!(started.elapsed() < wall, "{:?}", started.elapsed());
}

fn streams_give_events_at_their_readers_pace() {
    let app_of = |limits: &str, body: &str| {
        let body = format!("export const f = stream(async function* () {{ {body} }});");
        app(limits, &[("f", FunctionKind::Stream)], &body)
    };
    let cases = [
        ("for (let n = 0; n < 3; n++) yield orders.get(`o${n}`).id;", 9, 3, value("null")),
        ("for (let n = 0; ; n++) yield n;", 50, 50, value("null")),
        ("try { for (;;) yield 1 } finally { orders.get('o1') }", 2, 2, value("null")),
        ("try { for (;;) yield 1 } finally { for (;;); }", 2, 2, Outcome::Limit(Limit::Cpu)),
        ("yield 1; for (;;);", 9, 1, Outcome::Limit(Limit::Cpu)),
        ("yield 1; for (;;) orders.get('o1');", 9, 1, Outcome::Limit(Limit::HostCalls)),
        (
            "for (let n = 0; n < 5; n++) { for (let i = 0; i < 150; i++) orders.get('o1'); yield n; }",
            9,
            5,
            value("null"),
        ),
        ("yield 1; yield 'x'.repeat(200_000);", 9, 1, Outcome::Limit(Limit::ResultBytes)),
        ("yield 1; Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);", 9, 1, Outcome::Limit(Limit::Cpu)),
    ];
    for (body, wanted, given, expected) in cases {
        let app = app_of(LIMITS, body);
        let workers = supervise(&app, 1, 0);
        let mut isolate = isolate(&workers, &app).unwrap();
        for _ in 0..2 {
            let (events, outcome) = stream(&mut isolate, wanted, Duration::ZERO);
            assert_eq!((events.len(), &outcome), (given, &expected), "{body}");
            isolate.renew().unwrap();
        }
    }
    // What its reader takes is not its time: all of it together is past the wall limit.
    let app = app_of(&short(), "for (let n = 0; n < 6; n++) yield n;");
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let (events, outcome) = stream(&mut isolate, 9, Duration::from_millis(400));
    assert_eq!((events.join(" "), outcome), ("0 1 2 3 4 5".to_owned(), value("null")));
}

fn what_is_too_long_to_ask_is_refused_there() {
    let limits = format!("{LIMITS}\narguments_bytes = 1000");
    let app = query(&limits, "try { orders.get('x'.repeat(3_000_000)) } catch (error) { return error.message }");
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let worker = isolate.worker_id();
    for _ in 0..2 {
        assert_eq!(call(&mut isolate), value(r#""the request has more than 2098176 bytes""#));
        isolate.renew().unwrap();
    }
    assert_eq!(isolate.worker_id(), worker);
}

fn an_answer_that_nobody_awaits_costs_no_worker() {
    let functions = [("f", FunctionKind::Action), ("other", FunctionKind::Query)];
    // The answer comes while the script computes, and is not looked at before the call has ended.
    let body = "export const other = query(() => 1);
         export const f = action(async ({ leaves }) => {
           if (!leaves) return 2;
           call(other, { n: 1 });
           let sum = 0;
           for (let n = 0; n < 50_000_000; n++) sum += n % 7;
           return sum;
         });";
    let app = app(&LIMITS.replace("cpu_ms = 500\n", "cpu_ms = 20000\n"), &functions, body);
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let worker = isolate.worker_id();
    for _ in 0..2 {
        let outcome = call_at(&mut isolate, 0, r#"{"leaves":true}"#);
        let Outcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert!(error.message.contains("await every call"), "{error:?}");
        isolate.renew().unwrap();
        assert_eq!(call_at(&mut isolate, 0, "{}"), value("2"));
    }
    assert_eq!(isolate.worker_id(), worker);
}

fn limits_are_kept_on_both_sides() {
    let cases = [
        ("for (;;);", Limit::Cpu),
        ("const a = []; for (;;) a.push(new Array(1000))", Limit::Heap),
        ("const a = []; for (;;) a.push(new Uint8Array(1 << 20))", Limit::ArrayBuffers),
        ("return 'x'.repeat(200000)", Limit::ResultBytes),
        ("let a = []; for (let i = 0; i < 110; i++) a = [a]; return a", Limit::ResultDepth),
        ("for (;;) orders.get('x')", Limit::HostCalls),
        ("for (;;) console.log('x'.repeat(1000))", Limit::Log),
    ];
    for (code, limit) in cases {
        // The one limit is to be reached before the other, however busy the machine is.
        let roomy = LIMITS.replace("cpu_ms = 500", "cpu_ms = 10000");
        let limits = if limit == Limit::Cpu { LIMITS } else { &roomy };
        let app = query(limits, &format!("if (args.ok) return 1; {code}"));
        let workers = supervise(&app, 1, 0);
        let mut isolate = isolate(&workers, &app).unwrap();
        for _ in 0..2 {
            assert_eq!(call(&mut isolate), Outcome::Limit(limit), "{code}");
            isolate.renew().unwrap();
            assert_eq!(call_at(&mut isolate, 0, r#"{"ok":true}"#), value("1"), "{code}");
        }
    }
}

fn errors_are_cut() {
    let app = query(LIMITS, "throw new Error('x'.repeat(1_000_000))");
    let workers = supervise(&app, 1, 0);
    let mut isolate = isolate(&workers, &app).unwrap();
    let outcome = call(&mut isolate);
    let Outcome::Failed(error) = outcome else { panic!("{outcome:?}") };
    assert!(error.message.len() < 10_000 && error.message.ends_with('…'));
}

fn an_app_that_cannot_be_loaded_says_why() {
    for (code, expected) in [("throw new TypeError('at once')", "at once"), ("for (;;);", "cpu_ms = 1000")] {
        let app = app(LIMITS, &[("f", FunctionKind::Query)], &format!("export const f = query(() => 1);\n{code}"));
        let workers = supervise(&app, 2, 2);
        let Err(IsolateError::App(error)) = isolate(&workers, &app) else { panic!("{code}") };
        assert!(error.message.contains(expected), "{error:?}");
    }
}

fn two_workers_give_the_same() {
    let app = query(
        LIMITS,
        "const s = new Set(); for (let i = 0; i < 50; i++) s.add(Math.random());
         return [...s, Date.now(), new Date().toString(), new Date(2020, 5).getHours(), new Intl.DateTimeFormat().resolvedOptions(), (1234.5).toLocaleString()]",
    );
    let (one, two) = (supervise(&app, 1, 0), supervise(&app, 1, 0));
    let [mut one, mut two] = [isolate(&one, &app).unwrap(), isolate(&two, &app).unwrap()];
    let first = call(&mut one);
    assert!(matches!(&first, Outcome::Value(_)), "{first:?}");
    assert_eq!(call(&mut two), first);
    assert_eq!(call(&mut one), first);
}

fn the_examples_give_the_same_in_two_workers() {
    for example in EXAMPLES {
        let app = example.app();
        let (one, two) = (supervise(&app, 1, 0), supervise(&app, 1, 0));
        let [mut one, mut two] = [isolate(&one, &app).unwrap(), isolate(&two, &app).unwrap()];
        assert_ne!(one.worker_id(), two.worker_id());
        for (index, function) in app.declarations.functions.keys().enumerate() {
            let arguments = example.arguments(function);
            let [first, second] = [&mut one, &mut two].map(|isolate| {
                isolate.renew().unwrap();
                call_at(isolate, index, arguments)
            });
            assert_eq!(first, second, "{function}");
            let gives_a_value = matches!(first, Outcome::Value(_));
            assert_eq!(gives_a_value, !example.refusing.contains(&function.as_str()), "{function}: {first:?}");
        }
    }
}

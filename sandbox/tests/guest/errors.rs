//! The author learns which call of the host failed and where; nobody learns of the host.

use expect_test::expect;
use weir_sandbox::protocol::Outcome;
use weir_schema::declarations::FunctionKind;

use crate::harness::{Guest, query, run};

#[test]
fn errors_of_the_host_name_what_was_asked() {
    let blame = |kind: FunctionKind, body: &str| {
        let declared = match kind {
            FunctionKind::Action => format!("action(async () => {{ {body} }})"),
            _ => format!("procedure(() => {{ {body} }})"),
        };
        let code = format!("export const g = query(() => 1); export const f = {declared};");
        let (outcome, _) = Guest::of_kind(kind, &code).unwrap().call_function(0, "{}");
        match outcome {
            Outcome::Failed(error) => format!("{} | {:?}", error.message, error.host_call),
            other => format!("{other:?}"),
        }
    };
    let lines = [
        blame(FunctionKind::Procedure, "orders.insert({})"),
        blame(FunctionKind::Procedure, "try { orders.insert({}) } catch (error) { throw error }"),
        blame(
            FunctionKind::Procedure,
            "try { orders.insert({}) } catch (error) { error.message = 'mine'; throw error }",
        ),
        blame(
            FunctionKind::Procedure,
            "try { orders.insert({}) } catch (error) { throw new Error('mine', { cause: error }) }",
        ),
        blame(FunctionKind::Procedure, "try { orders.insert({}) } catch { } throw new Error('after')"),
        blame(FunctionKind::Procedure, "orders.insert(5)"),
        blame(FunctionKind::Procedure, "throw 5"),
        blame(FunctionKind::Procedure, "fail('NO')"),
        blame(FunctionKind::Action, "await call(g, { refuse: true })"),
        blame(FunctionKind::Action, "orders.insert({})"),
    ];
    expect![[r#"
        orders.total: missing | Some("orders.insert")
        orders.total: missing | Some("orders.insert")
        mine | Some("orders.insert")
        mine | None
        after | None
        TypeError: insert(5): pass a document, an object | None
        5 | None
        NO | None
        g: refused | Some("call(g)")
        insert writes, which only a procedure may; this is an action | None"#]]
    .assert_eq(&lines.join("\n"));
}

/// Paths of the machine that built or runs this, and of the libraries in it.
const OF_THE_HOST: [&str; 7] = [env!("CARGO_MANIFEST_DIR"), "/root", "/home", "/registry", "file:", ".rs", "deno"];

#[test]
fn nothing_of_the_host_shows_in_errors() {
    let throwing = [
        "null.x",
        "orders.get(5)",
        "orders.where('a', 1).range()",
        "fail('NO', 'x')",
        "[1].map(() => { throw new Error('x') })",
        "JSON.parse('{')",
        "JSON.stringify(1n)",
        "new (() => {}).constructor('x')",
        "now.call.call(1)",
        "console.log.bind.bind(1)()",
        "orders.insert({})",
        "const f = () => f(); f()",
        "new Array(-1)",
        "'x'.repeat(-1)",
        "structuredClone(1)",
        "new Intl.NumberFormat('xx-invalid-')",
        "Temporal.Instant.from('x')",
        "import('file:///etc/passwd')",
    ];
    for body in throwing {
        let text = query(&format!(
            "try {{ {body} }} catch (error) {{ return [error.name, error.message, error.stack, String(error.cause), Object.getOwnPropertyNames(error)] }}"
        ));
        assert!(text.starts_with('['), "{body}: {text}");
        for path in OF_THE_HOST {
            assert!(!text.contains(path), "{body}: {text}");
        }
    }
    let loading = [
        "import 'file:///etc/passwd'; export const f = query(() => 1);",
        "import './other.ts'; export const f = query(() => 1);",
        "import { nothing } from 'weir'; export const f = query(() => 1);",
        "null.x; export const f = query(() => 1);",
        "export const f = query(() => 1); export const f = 2;",
        "export const g = 5;",
        "export const f = 5;",
        "export const f = query(() => 1); new Promise(() => {}); await new Promise(() => {});",
    ];
    for code in loading {
        let text = run(FunctionKind::Query, code);
        for path in OF_THE_HOST.iter().filter(|path| **path != "file:") {
            assert!(!text.contains(path), "{code}: {text}");
        }
    }
}

#[test]
fn stacks_that_scripts_see_lead_to_the_app_and_the_api() {
    let body =
        "const inner = () => { orders.get(5) }; try { inner() } catch (error) { return error.stack.split('\\n') }";
    let lines: Vec<String> = serde_json::from_str(&query(body)).unwrap();
    let (own, api): (Vec<&String>, Vec<&String>) = lines.iter().skip(1).partition(|line| line.contains("app:///"));
    expect![[r#"["    at inner (app:///main.ts:3:65)", "    at app:///main.ts:3:81"]"#]].assert_eq(&format!("{own:?}"));
    assert!(api.iter().all(|line| line.contains("(ext:weir/")), "{api:?}");
}

#[test]
fn calls_that_nest_too_deep_name_their_way() {
    let start = |code: &str| {
        let (outcome, _) = Guest::of_kind(FunctionKind::Query, code).unwrap().call_function(0, "{}");
        match outcome {
            Outcome::Failed(error) => error.message,
            other => format!("{other:?}"),
        }
    };
    let lines = [
        start("const go = (fn) => fn(); export const g = query(() => go(f)); export const f = query(() => go(g));"),
        start("export const g = query(() => call(g)); export const f = query(() => g());"),
        start(
            "const hidden = view(() => f()); export const g = query(() => 1); export const f = query(() => hidden());",
        ),
    ];
    expect![[r#"
        RangeError: calls nest more than 16 deep: f → g → f
        RangeError: calls nest more than 16 deep: f → g → g
        RangeError: calls nest more than 16 deep: f → a function without a name → f"#]]
    .assert_eq(&lines.join("\n"));
}

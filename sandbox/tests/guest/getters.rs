//! Getters of a thrown error run when the error is read, after the script: they find no call, and leave nothing for the next.

use expect_test::expect;
use weir_schema::declarations::FunctionKind;

use crate::harness::Guest;

/// A promise whose reactions no promise tells of: what `then` gives is none.
const UNTOLD: &str =
    "const untold = () => { const p = Promise.resolve(); Object.defineProperty(p, 'constructor', { value: {
    [Symbol.species]: class { constructor(go) { go(() => {}, () => {}) } } } }); return p };";

/// What comes of two calls in one isolate, each with what it asked of the host: the first throws an error of which the
/// getter of `property` does what `getter` says.
fn of(kind: FunctionKind, property: &str, getter: &str) -> String {
    let throws = format!(
        "if (args.first) {{ const error = new Error('thrown'); \
         Object.defineProperty(error, '{property}', {{ get() {{ {getter}; return 'got' }} }}); throw error }}"
    );
    let body = match kind {
        FunctionKind::Stream => format!("stream(async function* (args) {{ {throws} yield 1; }})"),
        _ => format!("action(async (args) => {{ {throws} return 1 }})"),
    };
    let code = format!("{UNTOLD}\nexport const f = {body};\nexport const g = query(() => 1);");
    let mut guest = Guest::of_kind(kind, &code).unwrap();
    [r#"{"first":true}"#, r#"{"first":false}"#].map(|arguments| guest.stream(arguments)).join(", then ")
}

const GETTERS: [&str; 9] = [
    "Promise.resolve().then(() => orders.get('o1'))",
    "untold().then(() => orders.get('o1'))",
    "untold().then(() => call(g, { stolen: caller.kind }))",
    "untold().then(() => fetch('https://a.example'))",
    "untold().then(() => console.log('late'))",
    "console.log('late')",
    "try { call(g) } catch {}",
    "try { fetch('https://a.example') } catch {}",
    "new Promise(() => {})",
];

#[test]
fn of_an_action_they_find_no_call() {
    let lines = GETTERS.map(|getter| format!("{getter} => {}", of(FunctionKind::Action, "message", getter)));
    expect![[r#"
        Promise.resolve().then(() => orders.get('o1')) => failed: got, then 1
        untold().then(() => orders.get('o1')) => failed: got, then 1
        untold().then(() => call(g, { stolen: caller.kind })) => failed: got, then 1
        untold().then(() => fetch('https://a.example')) => failed: got, then 1
        untold().then(() => console.log('late')) => failed: got, then 1
        console.log('late') => failed: got, then 1
        try { call(g) } catch {} => failed: got, then 1
        try { fetch('https://a.example') } catch {} => failed: got, then 1
        new Promise(() => {}) => failed: got (discarded), then 1 (discarded)"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn of_a_stream_they_find_no_call() {
    let lines = GETTERS.map(|getter| format!("{getter} => {}", of(FunctionKind::Stream, "message", getter)));
    expect![[r#"
        Promise.resolve().then(() => orders.get('o1')) => failed: got, then 1 null
        untold().then(() => orders.get('o1')) => failed: got, then 1 null
        untold().then(() => call(g, { stolen: caller.kind })) => failed: got, then 1 null
        untold().then(() => fetch('https://a.example')) => failed: got, then 1 null
        untold().then(() => console.log('late')) => failed: got, then 1 null
        console.log('late') => failed: got, then 1 null
        try { call(g) } catch {} => failed: got, then 1 null
        try { fetch('https://a.example') } catch {} => failed: got, then 1 null
        new Promise(() => {}) => failed: got (discarded), then 1 null (discarded)"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn whichever_property_is_read() {
    let getter = "untold().then(() => call(g, { stolen: caller.kind }))";
    let lines = ["message", "name", "cause", "stack", "errors", "constructor"]
        .map(|property| format!("{property} => {}", of(FunctionKind::Action, property, getter)));
    expect![[r#"
        message => failed: got, then 1
        name => failed: got: thrown, then 1
        cause => failed: thrown, then 1
        stack => failed: thrown, then 1
        errors => failed: thrown, then 1
        constructor => failed: thrown, then 1"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn nor_those_of_a_rejection_that_nothing_awaited() {
    let code = "export const g = query(() => 1);
        export const f = action(async () => {
          Promise.reject(Object.defineProperty(new Error(), 'message', { get() { call(g); return 'got' } }));
          return 1;
        });";
    let mut guest = Guest::of_kind(FunctionKind::Action, code).unwrap();
    expect!["failed: f left a rejected promise that nothing awaited: Error (discarded)"].assert_eq(&guest.stream("{}"));
}

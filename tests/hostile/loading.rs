//! Scripts that mean harm while they are loaded: they do not become the active release, and the one before goes on.

use std::sync::PoisonError;

use serde_json::json;

use super::{ALONE, Mode};
use crate::apps::App;
use crate::weir::Dev;

/// A module, and what the developer is told of it.
struct Load {
    name: &'static str,
    /// The module, beside a function that does no harm.
    code: &'static str,
    /// Part of what is told.
    told: &'static str,
    /// Why isolates that are threads cannot contain it.
    thread: Option<&'static str>,
}

const fn load(name: &'static str, code: &'static str, told: &'static str) -> Load {
    Load { name, code, told, thread: None }
}

const fn beyond_threads(name: &'static str, code: &'static str, told: &'static str, reason: &'static str) -> Load {
    Load { name, code, told, thread: Some(reason) }
}

/// Modules that compile. What they do at their top is run by every isolate.
const LOADED: [Load; 22] = [
    load("a loop", "for (;;);", "loading its modules"),
    load("a generator", "const all = [...(function* () { for (;;) yield 1; })()];", "loading its modules"),
    load("a pattern", "const found = /^(a+)+$/.test('a'.repeat(40) + '!');", "loading its modules"),
    load("promises", "const again = (): any => Promise.resolve().then(again);\nagain();", "loading its modules"),
    load("arrays", "const all: any[] = [];\nfor (;;) all.push([1, 2, 3, 4, 5, 6, 7, 8]);", "loading its modules"),
    load(
        "closures",
        "const grow = (f: any): any => grow(() => f);\ntry { grow(null); } catch {}\nfor (;;) grow(1);",
        "Maximum call stack",
    ),
    load("a try that survives", "for (;;) { try { for (;;); } finally { continue; } }", "loading its modules"),
    load(
        "buffers",
        "const all: any[] = [];\nfor (;;) all.push(Uint8Array.of(1).buffer.transfer(1 << 20));",
        "loading its modules",
    ),
    beyond_threads(
        "a built-in",
        "const found = Array.prototype.indexOf.call({ length: 2 ** 53 - 1 } as any, 1);",
        "loading its modules",
        "the loop inside of indexOf has no interrupt check",
    ),
    beyond_threads(
        "a spread string",
        "const all = [...'x'.repeat(2 ** 28)];",
        "loading its modules",
        "V8 ends the process at an array that it cannot allocate",
    ),
    load("recursion", "const down = (): any => [down()];\ndown();", "Maximum call stack size exceeded"),
    load("an error", "throw new RangeError('not today');", "RangeError: not today"),
    load(
        "causes",
        "const chain = (n: number, cause?: Error): Error => (n === 0 ? cause! : chain(n - 1, new Error(`cause ${n}`, { cause })));\nthrow chain(100);",
        "cause 1",
    ),
    load(
        "an endless message",
        "throw Object.defineProperty(new Error(), 'message', { get: () => { for (;;); } });",
        "loading its modules",
    ),
    load("the clock", "const started = Date.now();", "exist only inside a function"),
    load("chance", "const lucky = Math.random();", "exist only inside a function"),
    load("a read", "const all = things.all();", "only while a function runs"),
    load("a request", "const asked = fetch('http://127.0.0.1:1/never');", "fetch works only while an action runs"),
    load(
        "a secret",
        "import { secret } from 'weir';\nconst key = secret('A_KEY');",
        "secret works only while an action runs",
    ),
    load("a prototype", "const target: any = Object.prototype;\nconst done = (target.poison = 1);", "TypeError"),
    load("code from text", "const two = ((() => 1) as any).constructor('return 2')();", ""),
    load("a rejection", "Promise.reject(new Error('nobody listens'));", "nobody listens"),
];

/// Modules that do not compile.
const REFUSED: [Load; 22] = [
    load("a dynamic import", "export const other = query((): string => import('node:fs') as any);", "`import()`"),
    load("import.meta", "export const other = query((): string => import.meta.url);", "`import.meta`"),
    load("a module of Node", "import fs from 'node:fs';\nfs.readFileSync('/etc/passwd');", "node:fs"),
    load("a bare module", "import fs from 'fs';\nfs.readFileSync('/etc/passwd');", "fs"),
    load("ops", "import { op_host } from 'ext:core/ops';\nop_host('');", "ext:core/ops"),
    load("the prelude", "import { host } from 'ext:weir/weir.js';\nhost.end();", "ext:weir/weir.js"),
    load("what is Weir's own", "import entry from 'weir:entry';\nentry();", "weir:entry"),
    load("a file by its address", "import text from 'file:///etc/passwd';\ntext();", "file:///etc/passwd"),
    load("a file by its path", "import text from '/etc/passwd';\ntext();", "/etc/passwd"),
    load("a file outside", "import text from '../../../../etc/passwd';\ntext();", "etc/passwd"),
    load(
        "text as a module",
        "import text from 'data:text/javascript,export default 1';\ntext();",
        "data:text/javascript",
    ),
    load("a module of the network", "import text from 'https://127.0.0.1/x.js';\ntext();", "https://127.0.0.1/x.js"),
    load("a package", "import text from 'npm:left-pad';\ntext();", "npm:left-pad"),
    load("data as a module", "import data from '../app.toml' with { type: 'text' };\ndata();", "only TypeScript files"),
    load(
        "a variable",
        "let counter = 0;\nexport const other = query((): Int => (counter += 1));",
        "would outlive the call",
    ),
    load(
        "a container",
        "const seen = new Map();\nexport const other = query((): Int => seen.set(1, 1).size);",
        "would outlive the call",
    ),
    load(
        "a constant that changes",
        "const box = { n: 0 };\nexport const other = query((): Int => (box.n += 1));",
        "would outlive the call",
    ),
    load(
        "a static field",
        "class Box { static n = 0; }\nexport const other = query((): Int => (Box.n += 1));",
        "would outlive the call",
    ),
    load("waiting at the top", "await new Promise(() => {});", "`await` cannot stand at the top"),
    load("with", "export const other = query((): Int => { with ({ n: 1 }) return n; });", "with"),
    load("no end", "export const other = query((): Int => {{{{{{{{{{", ""),
    load("great depth", "export const other = query((): JSON => DEEP);", ""),
];

const HARMLESS: &str = "import { query, type Int, type JSON as Json } from \"weir\";\nimport { things } from \"../collections\";\n\
                        export const fine = query((): Int => things.count());\n";

/// Saves each module in its turn.
pub fn run(mode: Mode) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let app = App::of(
        "// file: collections.ts
        import { collection, type Int } from \"weir\";
        export interface Thing { size: Int }
        export const things = collection<Thing>({ index: [\"size\"] });
        // file: app.toml
        name = \"loading\"
        version = \"1.0.0\"
        [limits]
        cpu_ms = 50
        wall_ms = 2000
        array_buffer_bytes = 16777216
        heap_bytes = 33554432",
    );
    app.write("functions/t.ts", HARMLESS);
    let dev = Dev::starting_with(&app, &mode.arguments()).ready();
    dev.log.wait_for(0, |line| line.contains(" live in "));
    let mut wrong = Vec::new();
    let loads = LOADED.iter().chain(&REFUSED).filter(|load| mode == Mode::Process || load.thread.is_none());
    for (number, load) in loads.enumerate() {
        let from = dev.log.count();
        let code = load.code.replace("DEEP", &format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)));
        // A comment: no two modules are equal.
        app.write("functions/t.ts", &format!("{HARMLESS}{code}\n// {number}\n"));
        let (end, _) = dev.log.wait_for(from, |line| line.ends_with("goes on serving") || line.contains(" live in "));
        let told = dev.log.text(from);
        let told = told.lines().take(end + 1 - from).collect::<Vec<_>>().join("\n");
        if !told.contains("goes on serving") || !told.contains(load.told) {
            let told: String = told.chars().take(600).collect();
            wrong.push(format!("loading {}: expected {:?}, got {told}", load.name, load.told));
        }
        let fine = dev.client().answer("{ fine }", json!({}));
        if fine["data"]["fine"] != 0 {
            wrong.push(format!("loading {}: then the release before answers {fine}", load.name));
        }
    }
    assert_eq!(dev.stop(), Some(0));
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

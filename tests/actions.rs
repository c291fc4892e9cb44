//! Actions and the world outside: which hosts they reach, what they are told, and what of their secrets is ever seen.

use serde_json::{Value, json};

use crate::apps::App;
use crate::outside::Outside;
use crate::weir::{Dev, Process, weir};

/// Both ways of running functions.
const ISOLATIONS: [&str; 2] = ["thread", "process"];

const FUNCTIONS: &str = r#"
// file: functions/outside.ts
import { action, call, caller, fail, hmac, http, query, procedure, secret, timingSafeEqual, type HttpRequest, type HttpResponse, type Int, type JSON as Json } from "weir";
import { notes } from "../collections";

/** What a server answers, or why not. */
export const get = action(async (args: { url: string; options?: Json }): Promise<Json> => {
  const response = await fetch(args.url, args.options ?? {});
  const length = (await response.bytes()).length;
  return { status: response.status, type: response.headers.get("Content-Type"), url: response.url, length, text: await response.text() };
});
/** Sends bytes, and returns those that came back. */
export const echo = action(async (args: { url: string; bytes: Int[] }): Promise<Int[]> => {
  const response = await fetch(args.url, { method: "POST", body: Uint8Array.from(args.bytes), headers: [["x-a", 1]] });
  for (const [name, value] of response.headers) if (name === "x-echo" && value !== "yes") return [];
  return [...(await response.bytes())];
});
export const getMany = action(async (args: { url: string; times: Int }): Promise<Int> => {
  const responses = await Promise.all(Array.from({ length: args.times }, () => fetch(args.url)));
  return responses.filter((response) => response.ok).length;
});
export const getInAQuery = query((): string => {
  fetch("https://api.example.com");
  return "fetched";
});
export const charge = action(async (args: { url: string }): Promise<string> => {
  const key = secret("PAYMENT_KEY");
  console.log("the key is", key, { key });
  const response = await fetch(args.url, { method: "POST", headers: { authorization: `Bearer ${key}` }, body: "1" });
  return (await response.json()).request.includes(`authorization: Bearer ${key}`) ? "sent" : "lost";
});
export const leak = action(async (args: { how: string }): Promise<string> => {
  const key = secret("PAYMENT_KEY");
  if (args.how === "fail") fail("LEAK", "it is " + key);
  if (args.how === "code") fail(key, "no message");
  if (args.how === "call") await call(refuse, { text: key });
  if (args.how === "unnamed") return secret("OTHER_KEY");
  if (args.how === "empty") return secret("");
  throw new Error(`no charge with ${key}, sorry`);
});
export const refuse = procedure((args: { text: string }): Int => {
  console.warn(args.text);
  notes.insert({ text: "before" });
  throw new Error("cannot keep " + args.text);
});
export const secretInAQuery = query((): string => secret("PAYMENT_KEY"));
export const keep = procedure((args: { text: string }): string => {
  notes.insert({ text: args.text });
  return caller.kind;
});
/** A webhook with a signature. */
export const payHook = http.post("/hooks/pay", action(async (request: HttpRequest): Promise<HttpResponse> => {
  const signature = hmac("SHA-256", secret("PAYMENT_KEY"), await request.bytes(), "hex");
  if (!timingSafeEqual(signature, request.headers.get("X-Signature") ?? "")) return { status: 401, body: "no" };
  const { text } = await request.json();
  return { status: 201, headers: { "x-kind": await call(keep, { text }) }, body: { kept: text, by: caller.kind } };
}));
export const shown = http.get("/shown/:what", action(async (request: HttpRequest): Promise<HttpResponse> => {
  if (request.params.what === "error") throw new Error("the inside of " + secret("PAYMENT_KEY"));
  if (request.params.what === "header") return { headers: { "content-length": "5" } };
  if (request.params.what === "split") return { headers: { "x-a": "a\r\nb: c" } };
  if (request.params.what === "status") return { status: 99 };
  if (request.params.what === "headers") return { headers: Array.from({ length: 40_000 }, (_, n): [string, string] => [`x-${n}`, ""]) };
  if (request.params.what === "deep") return { body: Array.from({ length: 300 }).reduce((body: Json) => [body], null) };
  if (request.params.what === "bytes") return { body: Uint8Array.of(255, 0) };
  if (request.params.what === "endless") for (;;);
  return { body: `${request.method} ${request.path} ${request.query.getAll("a").join("+")} ${await request.text()}` };
}));
export const sign = query((args: { key: string; data: string }): string =>
  hmac("SHA-256", args.key, args.data, "hex") + " " + timingSafeEqual(args.key, args.data));
"#;

/// An app that may fetch from these hosts.
fn app(hosts: &[&str], limits: &str) -> App {
    App::of(&format!(
        "// file: app.toml\nname = \"outside\"\nversion = \"1.0.0\"\nsecrets = [\"PAYMENT_KEY\"]\n[fetch]\nhosts = {}\n\
         [limits]\n{limits}\n\
         // file: collections.ts\nimport {{ collection }} from \"weir\";\n\
         export interface Note {{ text: string }}\nexport const notes = collection<Note>();\n{FUNCTIONS}",
        json!(hosts)
    ))
}

const KEY: &str = "sk_test_4eC39HqLyjWDarjtT1zdp7dc";

fn start(app: &App, isolation: &str) -> Dev {
    let mut command = weir(&["dev", "--listen", "127.0.0.1:0", "--isolation", isolation]);
    command.arg("--data").arg(app.data()).arg(app.path()).stdin(std::process::Stdio::null());
    command.env("WEIR_SECRET_PAYMENT_KEY", KEY).env("WEIR_SECRET_OTHER_KEY", "another app's").env("WEIR_LOG", "debug");
    // Nothing of the environment changes where requests go.
    command.env("http_proxy", "http://127.0.0.1:1").env("HTTP_PROXY", "http://127.0.0.1:1");
    Dev::of(Process::start(command))
}

/// Calls a function: its value, or its error as code, limit, app code and message.
fn invoke(dev: &Dev, function: &str, args: Value) -> Value {
    let query = "mutation ($f: String!, $args: JSON) { invoke(function: $f, args: $args) }";
    let answer = dev.client().answer(query, json!({ "f": function, "args": args }));
    match &answer["errors"][0] {
        Value::Null => answer["data"]["invoke"].clone(),
        error => {
            let extensions = &error["extensions"];
            let parts = [&extensions["code"], &extensions["limit"], &extensions["appCode"], &error["message"]];
            let parts: Vec<&str> = parts.into_iter().filter_map(Value::as_str).collect();
            json!(parts.join(" "))
        }
    }
}

fn query(dev: &Dev, function: &str) -> String {
    let query = "query ($f: String!) { invoke(function: $f) }";
    let answer = dev.client().answer(query, json!({ "f": function }));
    answer["errors"][0]["message"].as_str().unwrap_or("answered").to_owned()
}

#[test]
fn an_action_reaches_what_is_listed_and_nothing_else() {
    let (outside, other) = (Outside::start(), Outside::start());
    let listed = [outside.address.to_string(), format!("localhost:{}", other.port())];
    let app = app(&[&listed[0], &listed[1]], "");
    for isolation in ISOLATIONS {
        let dev = start(&app, isolation);
        let get = |url: &str| invoke(&dev, "get", json!({ "url": url }));
        let before = outside.requests();
        let answer = get(&outside.url("/hello"));
        assert_eq!((&answer["status"], &answer["type"]), (&json!(200), &json!("application/json")), "{answer}");
        assert!(answer["text"].as_str().unwrap().contains("GET /hello HTTP/1.1"), "{answer}");
        assert_eq!(get(&outside.url("/to//again"))["url"], outside.url("/again"));
        assert_eq!(outside.requests(), before + 3);
        for bytes in [vec![0, 255, 128, 7], vec![104, 105], vec![]] {
            let echoed = invoke(&dev, "echo", json!({ "url": outside.url("/echo"), "bytes": bytes }));
            assert_eq!(echoed, json!(bytes), "{isolation}");
        }

        let port = other.port();
        let refusals = [
            (
                // Another port.
                format!("http://127.0.0.1:{port}/"),
                format!(
                    "FUNCTION_FAILED fetch: the app may fetch from 127.0.0.1 at other ports than {port} only: add \
                     \"127.0.0.1:{port}\" to hosts under [fetch] in app.toml"
                ),
            ),
            (
                "http://other.example/".to_owned(),
                "FUNCTION_FAILED fetch: the app may not fetch from other.example: add \"other.example\" to hosts under \
                 [fetch] in app.toml"
                    .to_owned(),
            ),
            (
                // A redirect to another host.
                outside.url("/to/http://other.example/"),
                format!(
                    "FUNCTION_FAILED fetch: {} redirects to where the app may not follow: the app may not fetch from \
                     other.example: add \"other.example\" to hosts under [fetch] in app.toml",
                    outside.address
                ),
            ),
        ];
        for (url, expected) in refusals {
            assert_eq!(get(&url), json!(expected), "{isolation}");
        }
        // A private address by name: the name is listed, what it leads to is not.
        let message = get(&format!("http://localhost:{port}/")).as_str().unwrap().to_owned();
        assert!(message.starts_with("FUNCTION_FAILED fetch: localhost leads to "), "{message}");
        assert!(message.contains(", a loopback address: if that is meant, add "), "{message}");
        let message = get(&outside.url(&format!("/to/http://localhost:{port}/"))).as_str().unwrap().to_owned();
        assert!(message.contains("may not follow: localhost leads to "), "{message}");
        assert_eq!(other.requests(), 0);
        assert_eq!(query(&dev, "getInAQuery"), "only an action may use fetch; this is a query");
        assert_eq!(dev.stop(), Some(0));
    }
}

#[test]
fn requests_keep_to_the_limits_of_their_call() {
    let outside = Outside::start();
    let app = app(&[&outside.address.to_string()], "fetches = 5\nfetch_bytes = 100000\nwall_ms = 20000");
    for isolation in ISOLATIONS {
        let dev = start(&app, isolation);
        let get = |url: &str, options: Value| invoke(&dev, "get", json!({ "url": url, "options": options }));
        let limit = |answer: Value, limit: &str| {
            let answer = answer.as_str().unwrap().to_owned();
            assert!(answer.starts_with(&format!("LIMIT_EXCEEDED {limit} ")), "{isolation}: {answer}");
        };
        limit(get(&outside.url("/endless"), json!({})), "fetch_bytes");
        limit(get(&outside.url("/"), json!({ "method": "POST", "body": "x".repeat(100_001) })), "fetch_bytes");
        assert_eq!(invoke(&dev, "getMany", json!({ "url": outside.url("/"), "times": 5 })), json!(5));
        limit(invoke(&dev, "getMany", json!({ "url": outside.url("/"), "times": 6 })), "fetches");
        let late = get("http://127.0.0.1:1/", json!({ "timeoutMs": 1, "method": "GET" }));
        assert!(late.as_str().unwrap().contains("other ports"), "{late}");
        let table = [
            (
                json!({ "signal": 1 }),
                "TypeError: fetch has no option signal; it has method, headers, body, redirect, timeoutMs",
            ),
            (
                json!({ "timeoutMs": 0.5 }),
                "TypeError: fetch: timeoutMs is 0.5, and should be a whole number, 1 or more",
            ),
            (json!({ "headers": { "host": "x" } }), "fetch: the header host is not a function's to set: leave it out"),
            (json!({ "body": "x" }), "fetch: a request with the method GET has no body"),
            (
                json!({ "body": { "a": 1 } }),
                "TypeError: fetch: the body is an object, and should be a string or a Uint8Array; write JSON.stringify(value)",
            ),
            (json!({ "redirect": "always" }), "TypeError: fetch: redirect is \"follow\", \"error\" or \"manual\""),
        ];
        for (options, expected) in table {
            assert_eq!(get(&outside.url("/"), options), json!(format!("FUNCTION_FAILED {expected}")));
        }
        // Neighbours are as they were.
        assert_eq!(get(&outside.url("/"), json!({}))["status"], 200);
        assert_eq!(dev.stop(), Some(0));
    }
}

#[test]
fn secrets_are_used_and_never_seen() {
    let outside = Outside::start();
    let app = app(&[&outside.address.to_string()], "");
    for isolation in ISOLATIONS {
        let dev = start(&app, isolation);
        assert_eq!(invoke(&dev, "charge", json!({ "url": outside.url("/") })), json!("sent"));
        let leak = |how: &str| invoke(&dev, "leak", json!({ "how": how })).as_str().unwrap().to_owned();
        assert_eq!(leak("throw"), "FUNCTION_FAILED no charge with [secret PAYMENT_KEY], sorry");
        assert_eq!(leak("fail"), "FUNCTION_FAILED LEAK it is [secret PAYMENT_KEY]");
        assert_eq!(leak("code"), "FUNCTION_FAILED [secret PAYMENT_KEY] no message");
        assert_eq!(leak("call"), "FUNCTION_FAILED refuse: cannot keep [secret PAYMENT_KEY]");
        let unnamed = "FUNCTION_FAILED the app names no secret \"OTHER_KEY\": add it to secrets in app.toml";
        assert_eq!(leak("unnamed"), unnamed);
        assert_eq!(leak("empty"), unnamed.replace("OTHER_KEY", ""));
        assert_eq!(query(&dev, "secretInAQuery"), "only an action may use secret; this is a query");
        let log = dev.log.clone();
        assert_eq!(dev.stop(), Some(0));
        let log = log.all().join("\n");
        assert!(log.contains("the key is [secret PAYMENT_KEY] {\"key\":\"[secret PAYMENT_KEY]\"}"), "{log}");
        assert!(!log.contains(KEY) && !log.contains("another app's"), "{log}");
    }
}

#[test]
fn a_secret_that_is_missing_is_told_at_the_start() {
    let app = app(&[], "");
    let file = app.beside("secrets");
    let start = |text: &str| {
        std::fs::write(&file, text).unwrap();
        restrict(&file);
        Dev::starting_with(&app, &["--secrets", file.to_str().unwrap()])
    };
    let starting = start("# none\n");
    let missing = "weir: the app needs the secret PAYMENT_KEY: start the server with --secrets FILE that has a line \
                   PAYMENT_KEY=…, or with WEIR_SECRET_PAYMENT_KEY in its environment";
    starting.log.wait_for(0, |line| line == missing);
    drop(starting);
    let dev = start(&format!("PAYMENT_KEY=\"{KEY}\"\n")).ready();
    let leak = invoke(&dev, "leak", json!({ "how": "throw" }));
    assert_eq!(leak, json!("FUNCTION_FAILED no charge with [secret PAYMENT_KEY], sorry"));
    assert_eq!(dev.stop(), Some(0));
    let refusals = [
        ("PAYMENT_KEY=short\n", "the secret PAYMENT_KEY is shorter than 8 bytes, so it cannot be kept out of logs"),
        ("PAYMENT_KEY\n", "FILE line 1 is no secret: write NAME=value"),
    ];
    for (text, expected) in refusals {
        let starting = start(text);
        let (_, line) = starting.log.wait_for(0, |line| line.starts_with("weir: "));
        assert_eq!(line.replace(file.to_str().unwrap(), "FILE"), format!("weir: {expected}"));
    }
}

#[cfg(unix)]
fn restrict(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn restrict(_file: &std::path::Path) {}

#[test]
fn signatures_are_those_of_the_standard() {
    let app = app(&[], "");
    let dev = start(&app, "thread");
    let sign = |key: &str, data: &str| {
        let query = "query ($args: JSON) { invoke(function: \"sign\", args: $args) }";
        dev.client().answer(query, json!({ "args": { "key": key, "data": data } }))["data"]["invoke"].clone()
    };
    // RFC 4231, test case 2.
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843 false";
    assert_eq!(sign("Jefe", "what do ya want for nothing?"), json!(expected));
    assert!(sign("Jefe", "Jefe").as_str().unwrap().ends_with(" true"));
    assert_eq!(dev.stop(), Some(0));
}

/// What came of a request to an endpoint: its status, the value of a header, and its body.
type Sent = (u16, String, Vec<u8>);

/// Sends a request to an endpoint, as a page of somebody else's would.
fn send(dev: &Dev, method: minreq::Method, path: &str, signature: &str, body: &[u8], header: &str) -> Sent {
    let request = minreq::Request::new(method, format!("{}{path}", dev.url)).with_header("x-signature", signature);
    let answer = request.with_header("origin", "https://evil.example").with_body(body).with_timeout(30).send().unwrap();
    let found = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(header));
    let header = found.map(|(_, value)| value.clone()).unwrap_or_default();
    (answer.status_code, header, answer.into_bytes())
}

#[test]
fn endpoints_answer_whoever_signs() {
    use minreq::Method;

    let app = app(&[], "wall_ms = 20000");
    for isolation in ISOLATIONS {
        let dev = start(&app, isolation);
        let text = |answer: Sent| (answer.0, answer.1, String::from_utf8_lossy(&answer.2).into_owned());
        let is = |status: u16, header: &str, body: &str| (status, header.to_owned(), body.to_owned());
        let body = format!("{{\"text\":\"{isolation} ü\"}}");
        let query = "query ($args: JSON) { invoke(function: \"sign\", args: $args) }";
        let signed = dev.client().answer(query, json!({ "args": { "key": KEY, "data": body } }));
        let signature = signed["data"]["invoke"].as_str().unwrap().split(' ').next().unwrap().to_owned();
        let pay = |signature: &str| send(&dev, Method::Post, "/hooks/pay", signature, body.as_bytes(), "x-kind");
        assert_eq!(text(pay("")), is(401, "", "no"));
        assert_eq!(text(pay(&signature.to_uppercase())), is(401, "", "no"));
        // Never the developer, though `weir dev` takes whoever asks GraphQL for it.
        let kept = format!("{{\"kept\":\"{isolation} ü\",\"by\":\"anonymous\"}}");
        assert_eq!(text(pay(&signature)), is(201, "anonymous", &kept));
        let get = |path: &str, header: &str| send(&dev, Method::Get, path, "", b"", header);
        let plain = "text/plain; charset=utf-8";
        let shown = text(get("/shown/x%20y?a=1&b=2&a=%C3%BC", "content-type"));
        assert_eq!(shown, is(200, plain, "GET /shown/x%20y 1+ü "));
        assert_eq!(get("/shown/bytes", "content-type"), (200, "application/octet-stream".to_owned(), vec![255, 0]));
        for wrong in ["error", "header", "split", "status", "headers", "deep"] {
            assert_eq!(text(get(&format!("/shown/{wrong}"), "")), is(500, "", "the endpoint failed\n"), "{wrong}");
        }
        assert_eq!(text(get("/shown/endless", "")), is(504, "", "past a limit\n"));
        assert_eq!(text(get("/shown", "")), is(404, "", "not found\n"));
        assert_eq!(text(get("/hooks/pay", "allow")), is(405, "POST, OPTIONS", ""));
        assert_eq!(send(&dev, Method::Options, "/shown/x", "", b"", "allow").1, "GET, HEAD, OPTIONS");
        assert_eq!(send(&dev, Method::Head, "/shown/x", "", b"", "").2, b"");
        let large = vec![b'x'; 9 << 20];
        assert_eq!(send(&dev, Method::Post, "/hooks/pay", "", &large, "").0, 413);
        // Neither a field of GraphQL nor in reach of `invoke`.
        assert!(invoke(&dev, "payHook", json!({})).as_str().unwrap().starts_with("NOT_FOUND"));
        let log = dev.log.clone();
        assert_eq!(dev.stop(), Some(0));
        let log = log.all().join("\n");
        for told in [
            "the inside of [secret PAYMENT_KEY]",
            "its response has the header content-length, which is the connection's: leave it out",
            "its response has a header that is none: names are letters, digits and hyphens, values are ASCII text of one line",
            "TypeError: the status is 99, and should be a number from 200 to 599",
            "its response has more than 100 headers or 65536 bytes of them",
            "TypeError: body nests more than 100 deep",
        ] {
            assert!(log.contains(&format!("an endpoint failed: FUNCTION_FAILED: {told}")), "{told}: {log}");
        }
        assert!(!log.contains(KEY), "{log}");
    }
}

#[test]
fn endpoints_that_cannot_be_are_told() {
    let app = App::of(
        r#"
        import { action, http, type HttpRequest, type HttpResponse } from "weir";
        const path = "/a";
        export const a = http.post("/graphql/x", action(async (): Promise<HttpResponse> => ({})));
        export const b = http.get("/b/:x", action(async (request: HttpRequest): Promise<HttpResponse> => ({})));
        export const c = http.get("/b/:y", action(async (): Promise<HttpResponse> => ({})));
        export const d = http.get(path, action(async (): Promise<HttpResponse> => ({})));
        export const e = http.trace("/e", action(async (): Promise<HttpResponse> => ({})));
        export const f = http.post("/f");
        export const g = http.post("g", action(async (): Promise<HttpResponse> => ({})));
        "#,
    );
    let ended = crate::weir::run(&["check", app.path().to_str().unwrap()]);
    assert_eq!(ended.code, Some(1));
    let is_told =
        |line: &&str| line.starts_with("error") || line.starts_with("help: the first") || line.contains("-->");
    let told: Vec<&str> = ended.stderr.lines().filter(is_told).collect();
    expect_test::expect![[r#"
        error: "/graphql/x" is a path that Weir itself answers
         --> functions/t.ts:3:28
        error: a second endpoint answers GET /b/:y
         --> functions/t.ts:5:27
        help: the first is `b` at functions/t.ts:4
        error: the path of `d` must be written out here, as a string
         --> functions/t.ts:6:18
        error: `http` has get, post, put, patch and delete
         --> functions/t.ts:7:18
        error: `f` is not given an action
         --> functions/t.ts:8:18
        error: "g" is not a path: begin with `/`, and write letters, digits and `-._~` between slashes, or `:name`
         --> functions/t.ts:9:28"#]]
    .assert_eq(&told.join("\n"));
}

//! Files in requests: forms as browsers send them, and what is refused of them.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use weir::ServerOptions;

use crate::app::App;

const FILES: &str = r#"
import { procedure, query, type Bytes, type Int, type JSON } from "weir";
export interface Attached { name: string; content: Bytes; more?: Bytes[] }
export const store = procedure((args: { file: Bytes }): Bytes => args.file);
export const storeAll = procedure((args: { files: Bytes[]; attached?: Attached }): Bytes[] =>
  [...args.files, ...(args.attached ? [args.attached.content, ...(args.attached.more ?? [])] : [])]);
export const text = query((args: { text: string }): string => args.text);
"#;

const ONE: &str = "mutation($file: Bytes!) { store(file: $file) }";
const ALL: &str =
    "mutation($files: [Bytes!]!, $attached: AttachedInput) { storeAll(files: $files, attached: $attached) }";

async fn start() -> App {
    let options =
        ServerOptions { body_bytes: 200_000, upload_files: 4, upload_file_bytes: 70_000, ..ServerOptions::default() };
    let app = App::start_with(options).await;
    app.activate(FILES).await;
    app
}

/// A form of these parts; files have a file name.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        let file =
            if ["operations", "map"].contains(name) { "" } else { "; filename=\"f\"\r\nContent-Type: image/png" };
        body.extend(format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--X--\r\n");
    body
}

fn request(body: Vec<u8>) -> Request<Body> {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "multipart/form-data; boundary=X");
    let request = request.header(header::ACCEPT, "application/graphql-response+json").header("GraphQL-Preflight", "1");
    request.body(Body::from(body)).unwrap()
}

async fn send(app: &App, request: Request<Body>) -> (u16, Value) {
    let response = app.send(request).await;
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap())
}

async fn upload(app: &App, query: &str, variables: Value, map: Value, files: &[(&str, &[u8])]) -> (u16, Value) {
    let (operations, map) = (json!({ "query": query, "variables": variables }).to_string(), map.to_string());
    let parts: Vec<_> = [("operations", operations.as_bytes()), ("map", map.as_bytes())]
        .into_iter()
        .chain(files.iter().copied())
        .collect();
    send(app, request(form(&parts))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_become_bytes_where_the_map_says() {
    let app = start().await;
    // All bytes, line ends and what looks like a boundary; and one that comes in many pieces.
    let awkward: Vec<u8> = (0..=255).chain(*b"\r\n--Y\r\n\r\n--").collect();
    let long: Vec<u8> = (0..65_537_u32).map(|i| (i % 251) as u8).collect();
    for content in [&b""[..], b"a", b"ab", b"abc", &awkward, &long] {
        let (status, answer) =
            upload(&app, ONE, json!({ "file": null }), json!({ "0": ["variables.file"] }), &[("0", content)]).await;
        assert_eq!((status, &answer["data"]["store"]), (200, &json!(STANDARD.encode(content))), "{answer}");
        assert!(answer["extensions"]["weir"]["commit"].is_string());
    }
    let variables = json!({ "files": [null, null], "attached": { "name": "n", "content": null, "more": [null] } });
    let map = json!({ "a": ["variables.files.1"], "b": ["variables.files.0", "variables.attached.content"], "c": ["variables.attached.more.0"] });
    let (status, answer) = upload(&app, ALL, variables, map, &[("b", b"B"), ("c", b"C"), ("a", b"A")]).await;
    let expected: Vec<String> = ["B", "A", "B", "C"].iter().map(|text| STANDARD.encode(text)).collect();
    assert_eq!((status, &answer["data"]["storeAll"]), (200, &json!(expected)), "{answer}");
    // One file where a list is asked for, and bytes within plain JSON.
    let (_, answer) =
        upload(&app, ALL, json!({ "files": null }), json!({ "0": ["variables.files"] }), &[("0", b"A")]).await;
    assert_eq!(answer["data"]["storeAll"], json!(["QQ=="]), "{answer}");
    let invoke = "mutation($args: JSON) { invoke(function: \"store\", args: $args) }";
    let (_, answer) = upload(
        &app,
        invoke,
        json!({ "args": { "file": null } }),
        json!({ "0": ["variables.args.file"] }),
        &[("0", b"A")],
    )
    .await;
    assert_eq!(answer["data"]["invoke"], json!("QQ=="), "{answer}");
    // None at all.
    let (_, answer) = upload(&app, "{ text(text: \"a\") }", json!({}), json!({}), &[]).await;
    assert_eq!(answer["data"]["text"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_form_is_said() {
    let app = start().await;
    let mut shown = String::new();
    let mut show = |(status, answer): (u16, Value)| {
        let error = &answer["errors"][0];
        assert!(answer.get("data").is_none(), "{answer}");
        let limit = error["extensions"]["limit"].as_str().map(|limit| format!(" {limit}")).unwrap_or_default();
        let (code, message) = (error["extensions"]["code"].as_str().unwrap(), error["message"].as_str().unwrap());
        shown.push_str(&format!("{status} {code}{limit}: {message}\n"));
    };
    let (file, map) = (json!({ "file": null }), json!({ "0": ["variables.file"] }));
    let big = vec![b'x'; 70_001];
    let one: &[(&str, &[u8])] = &[("0", b"a")];
    let many = json!({ "0": (0..5).map(|i| format!("variables.files.{i}")).collect::<Vec<_>>() });
    for (query, variables, map, files) in [
        (ONE, json!({}), map.clone(), one),
        (ONE, json!({ "file": "there" }), map.clone(), one),
        (ONE, file.clone(), json!({ "0": ["file"] }), one),
        (ONE, file.clone(), json!({ "0": "variables.file" }), one),
        (ONE, file.clone(), json!({ "0": ["variables.file"], "1": ["variables.file"] }), one),
        (ONE, file.clone(), map.clone(), &[]),
        (ONE, file.clone(), map.clone(), &[("0", b"a"), ("1", b"b")]),
        (ONE, file.clone(), map.clone(), &[("0", b"a"), ("0", b"b")]),
        (ONE, file.clone(), map.clone(), &[("0", &big)]),
        (
            ALL,
            json!({ "files": [null, null, null] }),
            json!({ "0": ["variables.files.0"], "1": ["variables.files.1"], "2": ["variables.files.2"] }),
            &[("0", &big[1..]), ("1", &big[1..]), ("2", &big[1..])],
        ),
        (ALL, json!({ "files": [null, null, null, null, null] }), many, one),
        ("query($file: String!) { text(text: $file) }", file.clone(), map.clone(), one),
        (
            "mutation($a: AttachedInput!) { storeAll(files: [], attached: $a) }",
            json!({ "a": { "name": null, "content": "" } }),
            json!({ "0": ["variables.a.name"] }),
            one,
        ),
        ("mutation($file: Bytes!) { nothing(file: $file) }", file.clone(), map.clone(), one),
        ("mutation { store(file: \"\") }", file.clone(), json!([]), &[]),
    ] {
        show(upload(&app, query, variables, map, files).await);
    }
    let operations = json!({ "query": ONE, "variables": file }).to_string();
    let (operations, map) = (("operations", operations.as_bytes()), ("map", &b"{\"0\": [\"variables.file\"]}"[..]));
    let whole = form(&[operations, map, ("0", b"a")]);
    for body in [
        form(&[map, operations, ("0", b"a")]),
        form(&[operations, ("0", b"a"), map]),
        form(&[]),
        form(&[("operations", b"{"), map]),
        form(&[("operations", b"[]"), map]),
        whole[..whole.len() - 20].to_vec(),
        b"no form".to_vec(),
    ] {
        show(send(&app, request(body)).await);
    }
    let mut without = request(whole.clone());
    without.headers_mut().remove("GraphQL-Preflight");
    show(send(&app, without).await);
    let mut without = request(whole);
    without.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("multipart/form-data"));
    show(send(&app, without).await);
    check(
        &shown,
        expect![[r#"
        400 BAD_REQUEST: map: variables.file must be null in operations, and stand in map once
        400 BAD_REQUEST: map: variables.file must be null in operations, and stand in map once
        400 BAD_REQUEST: map is an object of lists of paths, as {"0": ["variables.file"]}
        400 BAD_REQUEST: map is an object of lists of paths, as {"0": ["variables.file"]}
        400 BAD_REQUEST: map: variables.file must be null in operations, and stand in map once
        400 BAD_REQUEST: the file "0" is in map, and not in the form
        400 BAD_REQUEST: the part "1" is not in map, or there twice
        400 BAD_REQUEST: the part "0" is not in map, or there twice
        413 LIMIT_EXCEEDED upload_file_bytes: the file "0" has more than 70000 bytes
        413 LIMIT_EXCEEDED body_bytes: the body has more than 200000 bytes
        413 LIMIT_EXCEEDED upload_files: map has 5 places for files; the limit is 4
        400 BAD_ARGUMENTS: $file: only Bytes take a file; declare it as Bytes
        400 BAD_ARGUMENTS: $a.name: only Bytes take a file; declare it as Bytes
        400 GRAPHQL_VALIDATION_FAILED: Unknown field "nothing" on type "Mutation".
        400 BAD_REQUEST: map is an object of lists of paths, as {"0": ["variables.file"]}
        400 BAD_REQUEST: the parts of the form are operations, map, then the files, in this order
        400 BAD_REQUEST: the parts of the form are operations, map, then the files, in this order
        400 BAD_REQUEST: the parts of the form are operations, map, then the files, in this order
        400 BAD_REQUEST: operations is not JSON: EOF while parsing an object at line 1 column 1
        400 BAD_REQUEST: operations is a list: send a form for each request
        400 BAD_REQUEST: the body broke off
        400 BAD_REQUEST: the body broke off
        400 BAD_REQUEST: a form with files needs a header that browsers ask for before they send it: add GraphQL-Preflight: 1 (or Apollo-Require-Preflight, or X-Requested-With)
        400 BAD_REQUEST: the content type has no boundary
    "#]],
    );
}

fn check(shown: &str, expected: Expect) {
    expected.assert_eq(shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_headers_will_do() {
    let app = start().await;
    let operations = json!({ "query": ONE, "variables": { "file": null } }).to_string();
    let body = form(&[("operations", operations.as_bytes()), ("map", b"{\"0\": [\"variables.file\"]}"), ("0", b"a")]);
    for name in ["Apollo-Require-Preflight", "X-Requested-With", "graphql-preflight"] {
        let mut request = request(body.clone());
        request.headers_mut().remove("GraphQL-Preflight");
        request
            .headers_mut()
            .insert(header::HeaderName::try_from(name).unwrap(), header::HeaderValue::from_static("yes"));
        assert_eq!(send(&app, request).await.0, 200, "{name}");
    }
}

//! What every response has, whatever it is about: a number, and a body no larger than need be.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::app::App;
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_compressed_for_who_takes_that() {
    let app = App::start().await;
    app.add(&"milk ".repeat(1000)).await;
    let mut wire = Wire::to(app.address).await;
    let gunzip = |bytes: &[u8]| {
        let mut text = String::new();
        GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    };
    let todos = "/graphql?query=%7Btodos%7Btext%7D%7D";
    wire.get(todos, "").await;
    let plain = wire.answer().await.unwrap();
    assert_eq!(plain.header("content-encoding"), "");
    wire.get(todos, "Accept-Encoding: gzip, br\r\n").await;
    let coded = wire.answer().await.unwrap();
    assert_eq!(coded.header("content-encoding"), "gzip");
    assert_eq!(gunzip(&coded.body), plain.text());
    // Another coding, another tag; each is known when it comes again.
    let (tag, coded_tag) = (plain.header("etag").to_owned(), coded.header("etag").to_owned());
    assert_eq!(coded_tag, format!("{}-gzip\"", tag.strip_suffix('"').unwrap()));
    for known in [tag, coded_tag] {
        wire.get(todos, &format!("Accept-Encoding: gzip\r\nIf-None-Match: {known}\r\n")).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("etag")), (304, known.as_str()));
    }
    // GraphiQL and the schema.
    for path in ["/graphiql/graphiql-3.9.0.min.js", "/graphiql/react-18.3.1.min.js"] {
        wire.get(path, "Accept-Encoding: gzip\r\n").await;
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("content-encoding")), (200, "gzip"), "{path}");
        assert_eq!(answer.header("vary"), "accept-encoding");
    }
    // What comes line by line goes as it comes, and what is small stays.
    wire.get(todos, "Accept-Encoding: gzip\r\nAccept: application/jsonl\r\n").await;
    let lines = wire.answer().await.unwrap();
    assert_eq!((lines.status, lines.header("content-encoding")), (200, ""));
    wire.get("/graphql?query=%7B__typename%7D", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(wire.answer().await.unwrap().text(), r#"{"data":{"__typename":"Query"}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_come_in_gzip() {
    let app = App::start().await;
    let mut wire = Wire::to(app.address).await;
    let mut post = async |content: &str, coding: &str, body: Vec<u8>| {
        let head = format!(
            "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: {content}\r\nContent-Encoding: {coding}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        wire.send(&head).await;
        wire.send_bytes(&body).await;
        let answer = wire.answer().await.unwrap();
        (answer.status, answer.header("accept-encoding").to_owned(), answer.text())
    };
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let (json, query) = ("application/json", r#"{"query":"{ __typename }"}"#);
    let typename = r#"{"data":{"__typename":"Query"}}"#.to_owned();
    assert_eq!(post(json, "gzip", gzip(query)).await, (200, String::new(), typename.clone()));
    assert_eq!(post(json, "identity", query.into()).await, (200, String::new(), typename));
    // Small on the way, and more than a body may have.
    let (status, _, body) = post(json, "gzip", gzip(&" ".repeat(1 << 20))).await;
    assert_eq!(status, 413);
    assert!(body.contains("body_bytes"), "{body}");
    let (status, _, body) = post(json, "gzip", query.into()).await;
    assert_eq!(status, 400);
    assert!(body.contains("the body is not gzip, or not whole"), "{body}");
    let (status, taken, body) = post(json, "br", query.into()).await;
    assert_eq!((status, taken.as_str()), (415, "gzip"));
    assert!(body.contains("Content-Encoding: gzip"), "{body}");
    assert_eq!(post("application/jsonl", "gzip", gzip("{}")).await.0, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_a_number() {
    let app = App::start().await;
    let mut wire = Wire::to(app.address).await;
    let mut numbers = Vec::new();
    for path in ["/graphql?query=%7B__typename%7D", "/graphql", "/healthz", "/nowhere"] {
        wire.get(path, "").await;
        numbers.push(wire.answer().await.unwrap().header("x-request-id").to_owned());
        wire.get(path, "X-Request-Id: order-17.b\r\n").await;
        assert_eq!(wire.answer().await.unwrap().header("x-request-id"), "order-17.b", "{path}");
        wire.get(path, "X-Request-Id: two words\r\n").await;
        numbers.push(wire.answer().await.unwrap().header("x-request-id").to_owned());
    }
    numbers.sort();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "{numbers:?}");
    assert!(numbers.iter().all(|number| number.len() > 16), "{numbers:?}");
}

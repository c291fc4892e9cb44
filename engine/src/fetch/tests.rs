//! Requests to a server on loopback that answers as its paths say, or does not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir_sandbox::protocol::{FetchBody, FetchRequest, HostError, Redirect};
use weir_schema::limits::Limit;
use weir_schema::manifest;

use super::{Budget, Fetcher, Reach, Resolve, resolve_by_system};

/// What one request of a test may send and receive, in bytes.
const BUDGET: usize = 100_000;

/// A server on loopback. Ends with its test.
struct Server {
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        Self { address }
    }

    /// `http://127.0.0.1:PORT/path`
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Reads a request and answers as its path says. Errors are those of clients that have gone.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut part = [0; 4096];
        match stream.read(&mut part).await? {
            0 => return Ok(()),
            read => request.extend_from_slice(&part[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap();
    let ok =
        |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nx-a: 1\r\nX-A: 2\r\n\r\n{body}", body.len());
    match path.split_at(path[1..].find(['/', '?']).map_or(path.len(), |at| at + 1)) {
        ("/echo", _) => stream.write_all(ok(&text).as_bytes()).await?,
        ("/bytes", _) => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\xff\x00\x01").await?,
        ("/latin", _) => stream.write_all(b"HTTP/1.1 404 Gone\r\nx-a: \xfc\r\ncontent-length: 0\r\n\r\n").await?,
        ("/to", location) => {
            let answer = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", &location[1..]);
            stream.write_all(answer.as_bytes()).await?;
        }
        ("/keep", location) => {
            let answer = format!("HTTP/1.1 307 Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await?;
        }
        ("/loop", _) => stream.write_all(b"HTTP/1.1 308 Again\r\nlocation: /loop\r\ncontent-length: 0\r\n\r\n").await?,
        ("/silent", _) => tokio::time::sleep(Duration::from_secs(60)).await,
        ("/endless", _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(b"5\r\nhello\r\n").await?;
            }
        }
        ("/trickle", _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        ("/huge", _) => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nx").await?,
        ("/cut", _) => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx").await?,
        ("/nonsense", _) => stream.write_all(b"220 mail ready\r\n\r\n").await?,
        ("/switch", _) => {
            stream.write_all(b"HTTP/1.1 101 Switch\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n").await?;
        }
        ("/informs", _) => loop {
            stream.write_all(b"HTTP/1.1 103 Early\r\n\r\n").await?;
        },
        ("/headers", _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"x-header: and another one\r\n").await?;
            }
        }
        ("/header", _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-header: ").await?;
            loop {
                stream.write_all(b"and so on ").await?;
            }
        }
        (other, _) => panic!("{other}"),
    }
    Ok(())
}

/// Whether a request has come with its body.
fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    request.len() >= end + 4 + length.unwrap_or(0)
}

fn fetcher(hosts: &[&str], resolve: Option<Resolve>) -> Fetcher {
    let text = format!("name = \"test\"\nversion = \"1.0.0\"\n[fetch]\nhosts = {}\n", json!(hosts));
    let manifest = manifest::parse(&text).unwrap();
    Fetcher::new(&manifest, Reach::Listed, resolve.unwrap_or_else(resolve_by_system))
}

fn get(url: &str) -> FetchRequest {
    FetchRequest {
        url: url.to_owned(),
        method: "GET".to_owned(),
        headers: vec![],
        body: None,
        redirect: Redirect::Follow,
        timeout_ms: None,
    }
}

async fn fetch(fetcher: &Fetcher, request: FetchRequest) -> Result<Value, String> {
    match fetcher.clone().fetch(request, Budget::new(BUDGET)).await {
        Ok(text) => Ok(serde_json::from_str(&text).unwrap()),
        Err(HostError::Refused(message)) => Err(message),
        Err(error) => Err(error.to_string()),
    }
}

/// A server, and a fetcher that may reach it by its address.
async fn start() -> (Server, Fetcher) {
    let server = Server::start().await;
    let fetcher = fetcher(&[&server.address.to_string()], None);
    (server, fetcher)
}

/// Asks with GET: why there is no response, the port left out.
async fn refusal(server: &Server, fetcher: &Fetcher, url: &str) -> String {
    let message = fetch(fetcher, get(url)).await.unwrap_err();
    message.replace(&format!(":{}", server.address.port()), ":PORT")
}

#[tokio::test]
async fn a_response_comes_whole() {
    let (server, fetcher) = start().await;
    let response = fetch(&fetcher, get(&server.url("/echo?a=b c#part"))).await.unwrap();
    assert_eq!(response["status"], 200);
    assert_eq!(response["redirected"], false);
    assert_eq!(response["url"], server.url("/echo?a=b%20c#part"));
    let length = response["body"]["text"].as_str().unwrap().len().to_string();
    assert_eq!(response["headers"], json!([["content-length", length], ["x-a", "1"], ["x-a", "2"]]));
    let expected = format!(
        "GET /echo?a=b%20c HTTP/1.1\r\naccept: */*\r\nuser-agent: weir\r\nhost: {}\r\naccept-encoding: identity\r\n\
         connection: close\r\n\r\n",
        server.address
    );
    assert_eq!(response["body"]["text"], expected);
    let response = fetch(&fetcher, get(&server.url("/bytes"))).await.unwrap();
    assert_eq!(response["body"], json!({ "base64": "/wAB" }));
    let response = fetch(&fetcher, get(&server.url("/latin"))).await.unwrap();
    assert_eq!((&response["status"], &response["headers"][0]), (&json!(404), &json!(["x-a", "ü"])));
}

#[tokio::test]
async fn a_body_is_sent_whole() {
    let (server, fetcher) = start().await;
    let bodies = [(FetchBody::Text("{\"a\":\"ü\"}".into()), "{\"a\":\"ü\"}"), (FetchBody::Base64("aGk=".into()), "hi")];
    for (body, expected) in bodies {
        let headers = vec![("Content-Type".into(), "application/json".into()), ("authorization".into(), "x".into())];
        let request = FetchRequest { method: "post".into(), headers, body: Some(body), ..get(&server.url("/echo")) };
        let response = fetch(&fetcher, request).await.unwrap();
        let text = response["body"]["text"].as_str().unwrap();
        assert!(text.starts_with("POST /echo HTTP/1.1\r\n"), "{text}");
        assert!(text.contains("\r\ncontent-type: application/json\r\nauthorization: x\r\n"), "{text}");
        assert!(text.contains(&format!("\r\ncontent-length: {}\r\n", expected.len())), "{text}");
        assert!(text.ends_with(&format!("\r\n\r\n{expected}")), "{text}");
    }
    let request = FetchRequest {
        method: "PUT".into(),
        body: Some(FetchBody::Base64("not base64!".into())),
        ..get(&server.url("/echo"))
    };
    assert_eq!(fetch(&fetcher, request).await.unwrap_err(), "fetch: the body cannot be read");
}

#[tokio::test]
async fn only_what_is_listed_is_reached() {
    let (server, fetcher) = start().await;
    let port = server.address.port();
    let table = [
        (
            "http://127.0.0.1:1/".to_owned(),
            "fetch: the app may fetch from 127.0.0.1 at other ports than 1 only: add \"127.0.0.1:1\" to hosts under \
             [fetch] in app.toml",
        ),
        (
            format!("http://127.0.0.2:{port}/"),
            "fetch: the app may not fetch from 127.0.0.2:PORT: add \"127.0.0.2:PORT\" to hosts under [fetch] in app.toml",
        ),
        (
            server.url("/to/http://other.example/"),
            "fetch: 127.0.0.1:PORT redirects to where the app may not follow: the app may not fetch from other.example: \
             add \"other.example\" to hosts under [fetch] in app.toml",
        ),
        (
            server.url("/to/http://127.0.0.1:1/"),
            "fetch: 127.0.0.1:PORT redirects to where the app may not follow: the app may fetch from 127.0.0.1 at other \
             ports than 1 only: add \"127.0.0.1:1\" to hosts under [fetch] in app.toml",
        ),
        (
            server.url("/to/file:///etc/passwd"),
            "fetch: 127.0.0.1:PORT redirects to where the app may not follow: file: URLs are not fetched; write https:// \
             or http://",
        ),
        ("nonsense".to_owned(), "fetch: the URL cannot be read: relative URL without a base"),
    ];
    for (url, expected) in table {
        assert_eq!(refusal(&server, &fetcher, &url).await, expected);
    }
    let refused = super::tests::fetcher(&["127.0.0.1:1"], None);
    assert!(fetch(&refused, get("http://127.0.0.1:1/")).await.unwrap_err().starts_with("fetch: no connection to "));
}

/// What names lead to in these tests: the first answer, and what the next would be.
fn rebinding(port: u16) -> Resolve {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    Arc::new(move |name, asked_port| {
        assert_eq!(asked_port, port);
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let address = match (name.as_str(), number) {
            ("inside.example", _) => "10.1.2.3",
            ("changing.example", 0) => "127.0.0.1",
            ("changing.example", _) => "169.254.169.254",
            (other, _) => panic!("{other}"),
        };
        Box::pin(async move { Ok(vec![SocketAddr::new(address.parse().unwrap(), 1)]) })
    })
}

#[tokio::test]
async fn a_name_leads_to_no_private_address() {
    let server = Server::start().await;
    let port = server.address.port();
    let hosts = [format!("127.0.0.1:{port}"), format!("*.example.com:{port}"), format!("inside.example:{port}")];
    let listed: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let refuser = fetcher(&listed, Some(rebinding(port)));
    assert_eq!(
        refusal(&server, &refuser, &format!("http://inside.example:{port}/")).await,
        "fetch: inside.example leads to 10.1.2.3, a private address: if that is meant, add \"10.1.2.3:PORT\" to hosts \
         under [fetch] in app.toml too"
    );
    assert_eq!(
        refusal(&server, &refuser, &server.url(&format!("/to/http://inside.example:{port}/"))).await,
        "fetch: 127.0.0.1:PORT redirects to where the app may not follow: inside.example leads to 10.1.2.3, a private \
         address: if that is meant, add \"10.1.2.3:PORT\" to hosts under [fetch] in app.toml too"
    );
    // By the system's own resolver.
    let local = fetcher(&[&format!("localhost:{port}")], None);
    let message = refusal(&server, &local, &format!("http://localhost:{port}/echo")).await;
    assert!(message.starts_with("fetch: localhost leads to "), "{message}");
    assert!(message.contains("a loopback address: if that is meant, add "), "{message}");
    let both = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    let both = fetcher(&[&both[0], &both[1]], None);
    let response = fetch(&both, get(&format!("http://localhost:{port}/echo"))).await.unwrap();
    assert!(response["body"]["text"].as_str().unwrap().contains(&format!("host: localhost:{port}\r\n")));
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_request() {
    let server = Server::start().await;
    let port = server.address.port();
    let hosts = [format!("127.0.0.1:{port}"), format!("changing.example:{port}")];
    let fetcher = fetcher(&[&hosts[0], &hosts[1]], Some(rebinding(port)));
    let url = format!("http://changing.example:{port}/echo");
    // The answer that was looked at is the one that is connected to, whatever a second would say, and at the port of the URL.
    assert_eq!(fetch(&fetcher, get(&url)).await.unwrap()["status"], 200);
    assert!(fetch(&fetcher, get(&url)).await.unwrap_err().contains("169.254.169.254, a link-local address"));
}

#[tokio::test]
async fn redirects_are_followed_within_the_list() {
    let (server, fetcher) = start().await;
    let url = server.url("/to//to//echo");
    let response = fetch(&fetcher, get(&url)).await.unwrap();
    assert_eq!((&response["status"], &response["redirected"]), (&json!(200), &json!(true)));
    assert_eq!(response["url"], server.url("/echo"));
    let request = FetchRequest { redirect: Redirect::Manual, ..get(&url) };
    let response = fetch(&fetcher, request).await.unwrap();
    assert_eq!((&response["status"], &response["redirected"]), (&json!(302), &json!(false)));
    let request = FetchRequest { redirect: Redirect::Error, ..get(&url) };
    assert!(
        fetch(&fetcher, request).await.unwrap_err().ends_with("redirects, and the request says redirect: \"error\"")
    );
    assert_eq!(refusal(&server, &fetcher, &server.url("/loop")).await, "fetch: more than 10 redirects");

    let post = |path: &str| FetchRequest {
        method: "POST".into(),
        headers: vec![("authorization".into(), "Bearer x".into())],
        body: Some(FetchBody::Text("body".into())),
        ..get(&server.url(path))
    };
    let text = |response: Value| response["body"]["text"].as_str().unwrap().to_owned();
    let kept = text(fetch(&fetcher, post("/keep/echo")).await.unwrap());
    assert!(kept.starts_with("POST /echo") && kept.contains("Bearer x") && kept.ends_with("body"), "{kept}");
    let changed = text(fetch(&fetcher, post("/to//echo")).await.unwrap());
    assert!(changed.starts_with("GET /echo") && changed.ends_with("\r\n\r\n"), "{changed}");

    // Another origin, though it is listed.
    let other = Server::start().await;
    let hosts = [server.address.to_string(), other.address.to_string()];
    let both = super::tests::fetcher(&[&hosts[0], &hosts[1]], None);
    let elsewhere = text(fetch(&both, post(&format!("/to/{}", other.url("/echo")))).await.unwrap());
    assert!(!elsewhere.contains("Bearer"), "{elsewhere}");
}

#[tokio::test]
async fn responses_that_are_none_are_told() {
    let (server, fetcher) = start().await;
    let unreadable = "fetch: the response of 127.0.0.1:PORT cannot be read: ";
    let table = [
        ("/cut", "it ends too early"),
        ("/nonsense", "it is not HTTP"),
        ("/headers", "its headers are too many or too long"),
        ("/header", "its headers are too many or too long"),
        ("/switch", "it switches to another protocol"),
    ];
    for (path, because) in table {
        let message = refusal(&server, &fetcher, &server.url(path)).await;
        assert_eq!(message, format!("{unreadable}{because}"), "{path}");
    }
}

#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let (server, fetcher) = start().await;
    for path in ["/silent", "/trickle", "/informs"] {
        let started = Instant::now();
        let request = FetchRequest { timeout_ms: Some(150), ..get(&server.url(path)) };
        let message = fetch(&fetcher, request).await.unwrap_err();
        assert!(message.ends_with("within 150 ms"), "{path}: {message}");
        assert!(started.elapsed() >= Duration::from_millis(150), "{path}");
    }
}

#[tokio::test]
async fn what_is_too_long_is_cut() {
    let (server, fetcher) = start().await;
    let long = |method: &str| FetchRequest {
        method: method.into(),
        body: Some(FetchBody::Text("x".repeat(BUDGET))),
        ..get(&server.url("/echo"))
    };
    for request in [get(&server.url("/endless")), long("POST")] {
        let outcome = fetcher.clone().fetch(request, Budget::new(BUDGET)).await;
        assert_eq!(outcome, Err(HostError::Limit(Limit::FetchBytes)));
    }
    // What is announced takes no memory before it comes.
    assert!(fetch(&fetcher, get(&server.url("/huge"))).await.unwrap_err().contains("it ends too early"));
    // All requests of a call share one allowance.
    let budget = Budget::new(1_000);
    let mut answered = 0;
    while fetcher.clone().fetch(get(&server.url("/echo")), budget.clone()).await.is_ok() {
        answered += 1;
    }
    assert!((1..10).contains(&answered), "{answered}");
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fetcher = fetcher(&[&address.to_string()], None);
    let request = get(&format!("http://{address}/"));
    let waiting = tokio::spawn(fetcher.fetch(request, Budget::new(BUDGET)));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut part = [0; 4096];
    assert!(stream.read(&mut part).await.unwrap() > 0);
    waiting.abort();
    // The other side has closed: nothing more comes, however it says so.
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut part)).await.unwrap();
    assert!(end.is_err() || end.is_ok_and(|read| read == 0));
}

#[tokio::test]
async fn what_a_server_is_set_up_with_is_read_whole_or_not_at_all() {
    let server = Server::start().await;
    let get = async |path: &str, bytes_max, patience| {
        let url = url::Url::parse(&server.url(path)).unwrap();
        super::get(&url, bytes_max, patience).await.map_err(|error| error.to_string())
    };
    let (much, long) = (BUDGET, Duration::from_secs(20));
    let text = String::from_utf8(get("/echo", much, long).await.unwrap()).unwrap();
    assert!(text.starts_with("GET /echo HTTP/1.1\r\n") && text.contains("accept: application/json\r\n"), "{text}");
    let host = server.address.to_string();
    let table = [
        ("/latin", much, long, format!("the response of {host} cannot be read: its status is 404 Not Found")),
        ("/to/echo", much, long, format!("the response of {host} cannot be read: its status is 302 Found")),
        ("/endless", 1_000, long, format!("the response of {host} cannot be read: it has more than 1000 bytes")),
        ("/silent", much, Duration::from_millis(100), format!("no response from {host} within 100 ms")),
    ];
    for (path, bytes_max, patience, expected) in table {
        assert_eq!(get(path, bytes_max, patience).await.unwrap_err(), expected, "{path}");
    }
    let ftp = url::Url::parse("ftp://127.0.0.1/").unwrap();
    assert!(super::get(&ftp, 1, long).await.unwrap_err().to_string().starts_with("ftp: URLs are not fetched"));
}

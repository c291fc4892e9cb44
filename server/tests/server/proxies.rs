//! Whose request it is behind proxies, over real connections. What headers say is in `src/http/client_address.rs`.

use std::time::Duration;

use weir::ServerOptions;
use weir::config::ProxiesSection;
use weir::http::options::ConnectionOptions;

use crate::rates::{QUERY, start};
use crate::wire::Wire;

const ONE_EACH: &str = "[address]\nrequests = \"1/m\"\nconnections = 3";

fn behind(proxies: &str) -> ServerOptions {
    let proxies: ProxiesSection = toml::from_str(proxies).unwrap();
    let connection = ConnectionOptions { handshake_timeout: Duration::from_secs(2), ..ConnectionOptions::default() };
    ServerOptions { proxies, connection, ..ServerOptions::default() }
}

async fn status(wire: &mut Wire, headers: &str) -> u16 {
    wire.get(QUERY, headers).await;
    wire.answer().await.map_or(0, |answer| answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_for_whom_it_asks() {
    let (app, _) = start(ONE_EACH, behind("trusted = [\"127.0.0.1\"]\nheader = \"x-forwarded-for\"")).await;
    let mut proxy = Wire::to(app.address).await;
    for (client, expected) in [("203.0.113.1", 200), ("203.0.113.2", 200), ("203.0.113.1", 429)] {
        assert_eq!(status(&mut proxy, &format!("X-Forwarded-For: {client}\r\n")).await, expected, "{client}");
    }
    // Who puts another address before its own is counted by its own.
    assert_eq!(status(&mut proxy, "X-Forwarded-For: 198.51.100.7, 203.0.113.1\r\n").await, 429);
    assert_eq!(status(&mut proxy, "Forwarded: for=198.51.100.7\r\nX-Forwarded-For: 203.0.113.2\r\n").await, 429);
    // A proxy has as many connections as it needs.
    let mut more = Vec::new();
    for number in 0..5 {
        let mut wire = Wire::to(app.address).await;
        assert_eq!(status(&mut wire, &format!("X-Forwarded-For: 192.0.2.{number}\r\n")).await, 200);
        more.push(wire);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_does() {
    let (app, _) = start(ONE_EACH, behind("trusted = [\"127.0.0.9\"]\nheader = \"forwarded\"")).await;
    let mut client = Wire::to(app.address).await;
    assert_eq!(status(&mut client, "Forwarded: for=203.0.113.1\r\n").await, 200);
    assert_eq!(status(&mut client, "Forwarded: for=203.0.113.2\r\n").await, 429);
    let mut proxy = Wire::from("127.0.0.9", app.address).await;
    assert_eq!(status(&mut proxy, "Forwarded: for=203.0.113.1\r\n").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_says_for_whom_it_connects() {
    let (app, _) = start(ONE_EACH, behind("trusted = [\"127.0.0.1\"]\nproxy_protocol = true")).await;
    let connect = async |preface: &[u8]| {
        let mut wire = Wire::to(app.address).await;
        wire.send_bytes(preface).await;
        wire
    };
    let version_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x02\x7f\0\0\x01\x12\x34\0\x50";
    let mut first = connect(b"PROXY TCP4 203.0.113.1 127.0.0.1 4711 80\r\n").await;
    assert_eq!(status(&mut first, "").await, 200);
    let mut second = connect(version_2).await;
    assert_eq!(status(&mut second, "").await, 200);
    for preface in [&b"PROXY TCP4 203.0.113.2 127.0.0.1 4712 80\r\n"[..], version_2] {
        assert_eq!(status(&mut connect(preface).await, "X-Forwarded-For: 192.0.2.1\r\n").await, 429);
    }
    // Each client has its own number of connections.
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut wire = connect(b"PROXY TCP4 203.0.113.5 127.0.0.1 4711 80\r\n").await;
        assert!(status(&mut wire, "").await > 0);
        held.push(wire);
    }
    assert_eq!(status(&mut connect(b"PROXY TCP4 203.0.113.5 127.0.0.1 4711 80\r\n").await, "").await, 0);
    // One that does not begin as agreed is closed, and one that takes its time.
    assert_eq!(status(&mut Wire::to(app.address).await, "").await, 0);
    assert!(connect(b"PROXY TCP4 203.0.113.1").await.is_closed().await);
    assert!(connect(b"").await.is_closed().await);
    // From anybody else it is no HTTP.
    let mut client = Wire::from("127.0.0.2", app.address).await;
    client.send("PROXY TCP4 203.0.113.77 127.0.0.1 4711 80\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 400);
    let mut client = Wire::from("127.0.0.2", app.address).await;
    assert_eq!(status(&mut client, "").await, 200);
}

//! Whose request it is: the address of who has connected, or of whom trusted proxies say that they ask for.
//!
//! Each proxy adds to the header from whom it has the request. So it is read from the right, as far as what is read was said by
//! a proxy that is trusted: the first address that is none of those is the client's. What stands left of it are the client's own
//! words, and so is all of the header where the connection is no trusted proxy's.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use crate::config::{ForwardingHeader, ProxiesSection};

/// Proxies that a request may have come through. Past these nobody is asked any more.
const HOPS_MAX: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client that a peer sends a request of. `peer` is the client itself unless it is a trusted proxy.
pub fn of_request(proxies: &ProxiesSection, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    let Some(header) = proxies.header else { return peer };
    if !proxies.trusts(peer) {
        return peer;
    }
    let (name, elements, address): (_, Elements, fn(&str) -> Option<IpAddr>) = match header {
        ForwardingHeader::Forwarded => (header::FORWARDED, quoted_from_right, forwarded),
        ForwardingHeader::XForwardedFor => (X_FORWARDED_FOR, plain_from_right, plain),
    };
    let mut client = peer;
    let lines = headers.get_all(name).iter().rev();
    for element in lines.flat_map(|line| elements(line.as_bytes())).take(HOPS_MAX) {
        // Who said so is trusted; whom it does not name, or not by an address, is known by who said so.
        let Some(before) = str::from_utf8(element).ok().and_then(address) else { break };
        client = before;
        if !proxies.trusts(client) {
            break;
        }
    }
    client
}

/// The elements of a list, the last first. What a proxy has added is told from what stood there before by what it looks like
/// itself: whatever a client has sent, an open quote too, stands left of it.
type Elements = fn(&[u8]) -> Vec<&[u8]>;

/// Of a list without quotes.
fn plain_from_right(line: &[u8]) -> Vec<&[u8]> {
    line.rsplit(|byte| *byte == b',').take(HOPS_MAX).collect()
}

/// Of a list in which a comma between quotes is part of an element: each has as few commas as have its quotes closed.
fn quoted_from_right(line: &[u8]) -> Vec<&[u8]> {
    let (mut elements, mut rest, mut quotes) = (Vec::new(), line, 0_usize);
    for (at, byte) in line.iter().enumerate().rev() {
        let is_escaped = at > 0 && line.get(at - 1) == Some(&b'\\');
        match byte {
            b'"' if !is_escaped => quotes += 1,
            b',' if quotes.is_multiple_of(2) => {
                elements.extend(rest.get(at + 1..));
                rest = rest.get(..at).unwrap_or_default();
                quotes = 0;
            }
            _ => {}
        }
        if elements.len() == HOPS_MAX {
            return elements;
        }
    }
    elements.push(rest);
    elements
}

/// Splits a text where a character stands outside of quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let splits = c == at && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        splits
    })
    .collect()
}

/// The address in an element of `X-Forwarded-For`.
fn plain(element: &str) -> Option<IpAddr> {
    node(element.trim())
}

/// The address in an element of `Forwarded`, which has it once (<https://www.rfc-editor.org/rfc/rfc7239#section-4>).
fn forwarded(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, ';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            let value = value.trim();
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"')?,
                None => value,
            };
            if found.replace(node(value)?).is_some() {
                return None;
            }
        }
    }
    found
}

/// An address with or without a port; of IPv6 in brackets, or without a port. Names that hide it are none.
fn node(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    let address = address.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const FORWARDED: &str = "forwarded";
    const X: &str = "x-forwarded-for";

    fn client(peer: &str, header: &str, lines: &[(&'static str, &str)]) -> String {
        let text = format!("trusted = [\"10.0.0.0/8\", \"fd00::/8\", \"192.0.2.1\"]\nheader = \"{header}\"");
        let proxies: ProxiesSection = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, HeaderValue::from_bytes(line.as_bytes()).unwrap_or_else(|error| panic!("{error}")));
        }
        of_request(&proxies, peer.parse().unwrap_or_else(|error| panic!("{peer}: {error}")), &headers).to_string()
    }

    type Row<'t> = (&'t str, &'t str, &'t [(&'static str, &'t str)], &'t str);

    #[test]
    fn nobody_is_fooled() {
        let all = "203.0.113.9";
        let hops: String = (0..100).map(|_| "10.0.0.2, ").collect::<String>() + "10.0.0.3";
        // Who connects, the header that is believed, the lines of the request, the client.
        let table: &[Row] = &[
            // Nobody says anything.
            ("203.0.113.5", X, &[], "203.0.113.5"),
            ("10.0.0.1", X, &[], "10.0.0.1"),
            ("::ffff:203.0.113.5", X, &[], "203.0.113.5"),
            // A client lies.
            ("203.0.113.5", X, &[(X, all)], "203.0.113.5"),
            ("203.0.113.5", X, &[(X, "10.0.0.1")], "203.0.113.5"),
            ("203.0.113.5", FORWARDED, &[(FORWARDED, "for=203.0.113.9")], "203.0.113.5"),
            ("2001:db8::5", X, &[(X, all)], "2001:db8::5"),
            // A client leaves something open, to which a proxy adds.
            ("10.0.0.1", X, &[(X, "\", 203.0.113.9")], all),
            ("10.0.0.1", X, &[(X, "\u{fc}, 203.0.113.9")], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=\", for=203.0.113.9")], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=\"\\, for=\"203.0.113.9\"")], all),
            // A proxy says who it is.
            ("10.0.0.1", X, &[(X, all)], all),
            ("::ffff:10.0.0.1", X, &[(X, all)], all),
            ("fd00::1", X, &[(X, "2001:db8::7")], "2001:db8::7"),
            ("10.0.0.1", X, &[(X, "203.0.113.9:1234")], all),
            ("10.0.0.1", X, &[(X, "[2001:db8::7]:1234")], "2001:db8::7"),
            ("10.0.0.1", X, &[(X, "::ffff:203.0.113.9")], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=203.0.113.9")], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "For=\"203.0.113.9:47\" ; proto=https;by=10.0.0.1")], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "proto=https;for=\"[2001:db8::7]:4711\"")], "2001:db8::7"),
            // The other header is the client's own.
            ("10.0.0.1", X, &[(FORWARDED, "for=203.0.113.9")], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(X, all)], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(X, "1.2.3.4"), (FORWARDED, "for=203.0.113.9")], all),
            ("10.0.0.1", X, &[("x-real-ip", "1.2.3.4"), (X, all)], all),
            // What the client has put there before the proxy added to it.
            ("10.0.0.1", X, &[(X, "1.2.3.4, 203.0.113.9")], all),
            ("10.0.0.1", X, &[(X, "10.9.9.9, 203.0.113.9")], all),
            ("10.0.0.1", X, &[(X, "1.2.3.4"), (X, all)], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=1.2.3.4, for=203.0.113.9")], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=1.2.3.4"), (FORWARDED, "for=203.0.113.9")], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=\"1.2.3.4, for=5.6.7.8\", for=203.0.113.9")], all),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=\"a\\\", for=1.2.3.4\", for=203.0.113.9")], all),
            // Several proxies.
            ("10.0.0.1", X, &[(X, "203.0.113.9, 10.0.0.2, fd00::3, 192.0.2.1")], all),
            ("10.0.0.1", X, &[(X, "1.2.3.4, 203.0.113.9, 10.0.0.2")], all),
            ("10.0.0.1", X, &[(X, "203.0.113.9, 192.0.2.2, 10.0.0.2")], "192.0.2.2"),
            // All of them are trusted: the client is one of ours.
            ("10.0.0.1", X, &[(X, "10.0.0.7, 10.0.0.2")], "10.0.0.7"),
            ("10.0.0.1", X, &[(X, &hops)], "10.0.0.2"),
            // What is no address ends it: the client is known by who said so.
            ("10.0.0.1", X, &[(X, "unknown")], "10.0.0.1"),
            ("10.0.0.1", X, &[(X, "1.2.3.4, unknown, 10.0.0.2")], "10.0.0.2"),
            ("10.0.0.1", X, &[(X, "1.2.3.4, , 10.0.0.2")], "10.0.0.2"),
            ("10.0.0.1", X, &[(X, "203.0.113.9 1.2.3.4")], "10.0.0.1"),
            ("10.0.0.1", X, &[(X, "")], "10.0.0.1"),
            ("10.0.0.1", X, &[(X, "1.2.3.4"), (X, "\u{fc}")], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=_hidden")], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=unknown;proto=http")], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=1.2.3.4;for=203.0.113.9")], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=1.2.3.4;proto")], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "proto=http;host=x")], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "for=\"1.2.3.4")], "10.0.0.1"),
            ("10.0.0.1", FORWARDED, &[(FORWARDED, "203.0.113.9")], "10.0.0.1"),
        ];
        for (peer, header, lines, expected) in table {
            assert_eq!(client(peer, header, lines), *expected, "{peer} {header} {lines:?}");
        }
    }

    #[test]
    fn without_a_header_to_believe_none_is_read() {
        let proxies: ProxiesSection = toml::from_str("trusted = [\"10.0.0.0/8\"]\nproxy_protocol = true")
            .unwrap_or_else(|error| panic!("{error}"));
        let mut headers = HeaderMap::new();
        headers.insert(X, HeaderValue::from_static("1.2.3.4"));
        headers.insert(FORWARDED, HeaderValue::from_static("for=1.2.3.4"));
        let peer = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(of_request(&proxies, peer, &headers), peer);
    }
}

//! The PROXY protocol, versions 1 and 2 (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>): what a proxy says before
//! all else about for whom it has connected.
//!
//! Rule: it is read from trusted peers alone, and has to be there. Whether it is there is never guessed: a client could say so
//! as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The shortest of all: `PROXY UNKNOWN` and the end of its line.
const BYTES_MIN: usize = 15;
/// The longest line of version 1.
const LINE_BYTES_MAX: usize = 107;
/// The most that version 2 may have beside its beginning: addresses, and what else is told.
const BODY_BYTES_MAX: usize = 4 << 10;

/// Why it cannot be read. The connection is of no use then.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It ends too early.
    #[error("the connection ends in the middle of the PROXY protocol: {0}")]
    Broken(#[from] std::io::Error),
    /// It is something else.
    #[error("the connection does not begin with the PROXY protocol")]
    Missing,
    /// It is malformed.
    #[error("the PROXY protocol is malformed: {0}")]
    Malformed(&'static str),
}

/// Reads it, and not a byte more. Gives the address of the client; `None` where the proxy speaks for itself.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Option<IpAddr>, ProxyError> {
    let mut first = [0; BYTES_MIN];
    stream.read_exact(&mut first).await?;
    if let Some((_, rest)) = first.split_at_checked(SIGNATURE.len()).filter(|(signature, _)| *signature == SIGNATURE) {
        return binary(stream, rest).await;
    }
    if !first.starts_with(b"PROXY ") {
        return Err(ProxyError::Missing);
    }
    let mut line = first.to_vec();
    // What follows the line is not ours to read.
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(ProxyError::Malformed("its line is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    text(&line)
}

/// Version 1: a line of text.
fn text(line: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    let malformed = ProxyError::Malformed;
    let line = std::str::from_utf8(line).map_err(|_| malformed("its line is no text"))?;
    let line = line.strip_suffix("\r\n").ok_or(malformed("its line has no end"))?;
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let mut word = || words.next().ok_or(malformed("a word is missing"));
    let (source, target, source_port, target_port) = (word()?, word()?, word()?, word()?);
    if words.next().is_some() {
        return Err(malformed("it has too many words"));
    }
    for port in [source_port, target_port] {
        let plain = port.bytes().all(|byte| byte.is_ascii_digit());
        port.parse::<u16>().ok().filter(|_| plain).ok_or(malformed("a port is none"))?;
    }
    let no_address = malformed("an address is none");
    match family {
        Some("TCP4") => {
            let (Ok(source), Ok(_)) = (source.parse::<Ipv4Addr>(), target.parse::<Ipv4Addr>()) else {
                return Err(no_address);
            };
            Ok(Some(source.into()))
        }
        Some("TCP6") => {
            let (Ok(source), Ok(_)) = (source.parse::<Ipv6Addr>(), target.parse::<Ipv6Addr>()) else {
                return Err(no_address);
            };
            Ok(Some(IpAddr::from(source).to_canonical()))
        }
        _ => Err(malformed("its protocol is neither TCP4 nor TCP6")),
    }
}

/// Version 2, after its signature and three bytes.
async fn binary<R: AsyncRead + Unpin>(stream: &mut R, first: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    let malformed = ProxyError::Malformed;
    let [command, family, high] = first else { return Err(malformed("it ends too early")) };
    let length = usize::from(u16::from_be_bytes([*high, stream.read_u8().await?]));
    if length > BODY_BYTES_MAX {
        return Err(malformed("it is too long"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    match command {
        // LOCAL: the proxy's own, to see whether there is anybody.
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err(malformed("its version or command is unknown")),
    }
    let too_short = malformed("its addresses are too short");
    match family {
        // TCP over IPv4: two addresses, two ports.
        0x11 => match body.first_chunk::<12>() {
            Some([a, b, c, d, ..]) => Ok(Some(Ipv4Addr::new(*a, *b, *c, *d).into())),
            None => Err(too_short),
        },
        0x21 => {
            let source = body.first_chunk::<36>().and_then(|addresses| addresses.first_chunk::<16>());
            source.map(|source| Some(IpAddr::from(*source).to_canonical())).ok_or(too_short)
        }
        // What is said of other protocols is to be skipped.
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    async fn shown(sent: &[u8]) -> String {
        let mut rest = sent;
        let read = match read(&mut rest).await {
            Ok(Some(address)) => address.to_string(),
            Ok(None) => "itself".into(),
            Err(error) => return error.to_string(),
        };
        format!("{read}, then {}", String::from_utf8_lossy(rest))
    }

    #[tokio::test]
    async fn what_follows_is_left_alone() {
        let four = [203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        let six: Vec<u8> =
            [&"2001:db8::7".parse::<Ipv6Addr>().map(|a| a.octets()).unwrap_or_default()[..], &[0; 20]].concat();
        let mapped: Vec<u8> = [&[0; 10][..], &[255, 255, 203, 0, 113, 9], &[0; 20]].concat();
        let told = |mut body: Vec<u8>| {
            body.extend_from_slice(&[4, 0, 2, 9, 9]);
            body
        };
        let long = format!("PROXY TCP6 {} ::1 1 2\r\n", "1".repeat(100));
        let table: Vec<(Vec<u8>, &str)> = vec![
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\nGET /".into(), "203.0.113.9, then GET /"),
            (b"PROXY TCP6 2001:db8::7 fd00::1 4711 80\r\nGET /".into(), "2001:db8::7, then GET /"),
            (b"PROXY TCP6 ::ffff:203.0.113.9 fd00::1 4711 80\r\n".into(), "203.0.113.9, then "),
            (b"PROXY UNKNOWN\r\nGET /".into(), "itself, then GET /"),
            (b"PROXY UNKNOWN ffff::1 ::1 65535 65535\r\nGET /".into(), "itself, then GET /"),
            ([v2(0x21, 0x11, &four), b"GET /".to_vec()].concat(), "203.0.113.9, then GET /"),
            ([v2(0x21, 0x11, &told(four.to_vec())), b"GET /".to_vec()].concat(), "203.0.113.9, then GET /"),
            ([v2(0x21, 0x21, &six), b"GET /".to_vec()].concat(), "2001:db8::7, then GET /"),
            (v2(0x21, 0x21, &mapped), "203.0.113.9, then "),
            ([v2(0x20, 0x00, b""), b"GET /".to_vec()].concat(), "itself, then GET /"),
            ([v2(0x20, 0x11, &four), b"GET /".to_vec()].concat(), "itself, then GET /"),
            (v2(0x21, 0x31, &[0; 216]), "itself, then "),
            (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".into(), "the connection does not begin with the PROXY protocol"),
            (b"PROXY TCP4 1.2.3.4\r\n".into(), "the PROXY protocol is malformed: a word is missing"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n".into(), "the PROXY protocol is malformed: it has too many words"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n".into(), "the PROXY protocol is malformed: a port is none"),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n".into(), "the PROXY protocol is malformed: a port is none"),
            (b"PROXY TCP4 ::1 1.2.3.4 1 2\r\n".into(), "the PROXY protocol is malformed: an address is none"),
            (
                b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n".into(),
                "the PROXY protocol is malformed: its protocol is neither TCP4 nor TCP6",
            ),
            (long.into_bytes(), "the PROXY protocol is malformed: its line is too long"),
            (v2(0x31, 0x11, &four), "the PROXY protocol is malformed: its version or command is unknown"),
            (v2(0x22, 0x11, &four), "the PROXY protocol is malformed: its version or command is unknown"),
            (v2(0x21, 0x11, &four[..11]), "the PROXY protocol is malformed: its addresses are too short"),
            (v2(0x21, 0x21, &six[..35]), "the PROXY protocol is malformed: its addresses are too short"),
            (v2(0x21, 0x11, &[0; 5_000]), "the PROXY protocol is malformed: it is too long"),
        ];
        for (sent, expected) in table {
            assert_eq!(shown(&sent).await, expected, "{}", String::from_utf8_lossy(&sent));
        }
        let broken = [b"PROXY".to_vec(), b"PROXY TCP4 203.0.113.9 10.".to_vec(), v2(0x21, 0x11, &four)[..20].to_vec()];
        for sent in broken {
            assert!(shown(&sent).await.contains("in the middle"), "{sent:?}");
        }
    }
}

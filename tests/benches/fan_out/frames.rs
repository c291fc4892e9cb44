//! Frames of a WebSocket by hand (RFC 6455), so that receiving takes as little as can be of the machine that is measured.
//!
//! Messages are not fragmented here and have no extensions: no server of this benchmark does either.

use std::io;
use std::ops::Range;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const READ_BYTES: usize = 16 << 10;
const MASKED: u8 = 0x80;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    Text = 1,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// Who sends a frame. A client has to mask; with a mask of zeros, which changes nothing.
#[derive(Clone, Copy)]
pub enum Side {
    Client,
    Server,
}

/// Adds a frame.
pub fn put(side: Side, opcode: Opcode, payload: &[u8], into: &mut Vec<u8>) {
    let masked = match side {
        Side::Client => MASKED,
        Side::Server => 0,
    };
    into.push(0x80 | opcode as u8);
    match payload.len() {
        length @ ..126 => into.push(masked | length as u8),
        length => {
            into.push(masked | 126);
            into.extend(u16::try_from(length).expect("messages of this benchmark are small").to_be_bytes());
        }
    }
    if masked != 0 {
        into.extend([0; 4]);
    }
    into.extend(payload);
}

/// A connection, and what has arrived on it.
pub struct Connection {
    pub stream: TcpStream,
    arrived: Vec<u8>,
    /// Of these bytes, how many were taken.
    taken: usize,
}

impl Connection {
    pub fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, arrived: Vec::new(), taken: 0 }
    }

    /// Reads what there is, or waits for some.
    pub async fn read(&mut self) -> io::Result<()> {
        self.arrived.drain(..self.taken);
        self.taken = 0;
        self.arrived.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.arrived).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The head of a request or response of HTTP.
    pub async fn head(&mut self) -> io::Result<String> {
        loop {
            let end = self.arrived[self.taken..].windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&self.arrived[self.taken..self.taken + end]).into_owned();
                self.taken += end + 4;
                return Ok(head);
            }
            self.read().await?;
        }
    }

    /// The next frame, unmasked, once it is whole.
    pub fn frame(&mut self) -> Option<(Opcode, &[u8])> {
        let rest = &self.arrived[self.taken..];
        let [first, second, ..] = *rest else { return None };
        let opcode = match first {
            0x81 => Opcode::Text,
            0x88 => Opcode::Close,
            0x89 => Opcode::Ping,
            0x8a => Opcode::Pong,
            other => panic!("a frame that begins with {other:#x}"),
        };
        let (length, head) = match second & !MASKED {
            126 => (usize::from(u16::from_be_bytes(*rest.get(2..)?.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest.get(2..)?.first_chunk()?) as usize, 10),
            short => (usize::from(short), 2),
        };
        let mask = (second & MASKED != 0).then_some(head..head + 4);
        let start = head + mask.as_ref().map_or(0, Range::len);
        if rest.len() < start + length {
            return None;
        }
        let payload = self.taken + start..self.taken + start + length;
        if let Some(mask) = mask {
            let mask: [u8; 4] = rest[mask].try_into().unwrap();
            self.arrived[payload.clone()].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        }
        self.taken = payload.end;
        Some((opcode, &self.arrived[payload]))
    }

    /// The next message of the protocol above. For what is not measured.
    pub async fn text(&mut self) -> io::Result<String> {
        loop {
            while let Some((opcode, payload)) = self.frame() {
                if opcode == Opcode::Text {
                    return Ok(String::from_utf8_lossy(payload).into_owned());
                }
            }
            self.read().await?;
        }
    }
}

/// Where in a text another begins.
pub fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|bytes| bytes == what)
}

//! Frames over a socket pair: a length, little-endian in four bytes, then as many bytes.
//!
//! The length is checked before anything is kept for it, and memory grows with what arrives, not with what is announced.
//! Whoever waits looks again for a moment before it sleeps (`awake.rs`).

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::frame::{self, BadFrame};
use crate::awake::Awake;

/// How much is read at once, and the largest buffer that is kept from one frame to the next.
const CHUNK_BYTES: usize = 64 << 10;

const HEADER_BYTES: usize = 4;

/// One end of a channel.
pub struct Channel {
    stream: UnixStream,
    /// Longer frames are refused.
    frame_bytes_max: usize,
    /// What has arrived and is no whole frame yet.
    arrived: Vec<u8>,
    chunk: Box<[u8]>,
    /// Where frames are written; kept for its memory.
    outgoing: Vec<u8>,
    awake: Awake,
}

/// Why a channel is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other side has gone.
    #[error("the other side has gone")]
    Closed,
    /// The other side has sent nothing, or taken nothing, until the deadline.
    #[error("the other side keeps silent")]
    Late,
    /// A frame is longer than allowed.
    #[error("a frame of {bytes} bytes, where {allowed} are allowed")]
    TooLong {
        /// As announced.
        bytes: usize,
        /// As allowed.
        allowed: usize,
    },
    /// What has come is none of the frames that may come here.
    #[error(transparent)]
    Bad(#[from] BadFrame),
    /// The operating system says so.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Channel {
    /// A channel over one end of a socket pair.
    pub fn new(stream: UnixStream, frame_bytes_max: usize) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let chunk = vec![0; CHUNK_BYTES].into_boxed_slice();
        Ok(Self { stream, frame_bytes_max, arrived: Vec::new(), chunk, outgoing: Vec::new(), awake: Awake::default() })
    }

    /// A channel and the descriptor of its other end.
    pub fn pair(frame_bytes_max: usize) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self::new(ours, frame_bytes_max)?, theirs.into()))
    }

    /// The socket, to wait for it together with other things.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Sends a frame whole. Waits for the other side to take it, until the deadline if there is one.
    pub fn send<T: Serialize>(&mut self, frame: &T, deadline: Option<Instant>) -> Result<(), ChannelError> {
        self.queue(frame)?;
        while !self.flush()? {
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(ChannelError::Late);
            }
            self.sleep(PollFlags::OUT, deadline)?;
        }
        Ok(())
    }

    /// The same, and hands over what comes meanwhile: two sides that both only send would wait for each other.
    pub fn send_and_take<T: Serialize>(
        &mut self,
        frame: &T,
        mut take: impl FnMut(&[u8]) -> Result<(), ChannelError>,
    ) -> Result<(), ChannelError> {
        self.queue(frame)?;
        while !self.flush()? {
            self.sleep(PollFlags::OUT | PollFlags::IN, None)?;
            while let Some(bytes) = self.try_receive()? {
                take(&bytes)?;
            }
        }
        Ok(())
    }

    /// Lines a frame up behind those that are not sent yet.
    pub fn queue<T: Serialize>(&mut self, frame: &T) -> Result<(), ChannelError> {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        let start = outgoing.len();
        outgoing.extend_from_slice(&[0; HEADER_BYTES]);
        let mut outgoing = frame::write(frame, outgoing)?;
        let bytes = outgoing.len() - start - HEADER_BYTES;
        let header = u32::try_from(bytes).map_err(|_| ChannelError::TooLong { bytes, allowed: u32::MAX as usize })?;
        if let Some(place) = outgoing.get_mut(start..start + HEADER_BYTES) {
            place.copy_from_slice(&header.to_le_bytes());
        }
        self.outgoing = outgoing;
        Ok(())
    }

    /// How many bytes are lined up.
    pub fn queued_bytes(&self) -> usize {
        self.outgoing.len()
    }

    /// Sends as much as goes without waiting; whether that was all.
    pub fn flush(&mut self) -> Result<bool, ChannelError> {
        let mut sent = 0;
        while let Some(rest) = self.outgoing.get(sent..).filter(|rest| !rest.is_empty()) {
            match (&self.stream).write(rest) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(gone(error)),
            }
        }
        self.outgoing.drain(..sent);
        if self.outgoing.is_empty() && self.outgoing.capacity() > CHUNK_BYTES {
            self.outgoing = Vec::new();
        }
        Ok(self.outgoing.is_empty())
    }

    /// The next frame's bytes. Waits for them, until the deadline if there is one.
    pub fn receive(&mut self, deadline: Option<Instant>) -> Result<Vec<u8>, ChannelError> {
        let mut awake = self.awake;
        let found = awake.look(|| self.try_receive().transpose());
        self.awake = awake;
        if let Some(received) = found {
            return received;
        }
        loop {
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(ChannelError::Late);
            }
            self.sleep(PollFlags::IN, deadline)?;
            if let Some(bytes) = self.try_receive()? {
                return Ok(bytes);
            }
        }
    }

    /// The next frame's bytes, if they are all there.
    pub fn try_receive(&mut self) -> Result<Option<Vec<u8>>, ChannelError> {
        loop {
            if let Some(bytes) = self.take_frame()? {
                return Ok(Some(bytes));
            }
            match (&self.stream).read(&mut self.chunk) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(read) => self.arrived.extend_from_slice(self.chunk.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(gone(error)),
            }
        }
    }

    /// Cuts the first frame off what has arrived, if it is whole.
    fn take_frame(&mut self) -> Result<Option<Vec<u8>>, ChannelError> {
        let Some(header) = self.arrived.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let bytes = u32::from_le_bytes(*header) as usize;
        if bytes > self.frame_bytes_max {
            return Err(ChannelError::TooLong { bytes, allowed: self.frame_bytes_max });
        }
        let end = HEADER_BYTES + bytes;
        if self.arrived.len() < end {
            return Ok(None);
        }
        let rest = self.arrived.split_off(end);
        let mut frame = std::mem::replace(&mut self.arrived, rest);
        frame.drain(..HEADER_BYTES);
        Ok(Some(frame))
    }

    fn sleep(&self, flags: PollFlags, deadline: Option<Instant>) -> Result<(), ChannelError> {
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut [PollFd::new(&self.stream, flags)], timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(ChannelError::Io(error.into())),
        }
    }
}

fn gone(error: io::Error) -> ChannelError {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => ChannelError::Closed,
        _ => ChannelError::Io(error),
    }
}

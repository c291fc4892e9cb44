//! What passes between a host and its worker, as bytes.
//!
//! Postcard (<https://postcard.jamesmunns.com/wire-format>): both ends are the same binary, so the format needs no versions.
//! What comes from a worker may be anything: reading it gives a frame or an error, and takes no more memory than the
//! bytes themselves. How many bytes there may be is the channel's to say.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use weir_schema::limits::Limit;

use crate::isolate::IsolateError;
use crate::lockdown;
use crate::ops::{Reply, Wanted};
use crate::protocol::Outcome;

/// What a worker is told on its control channel, once.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The app, as JSON text: its maps keep their order in it.
    pub app: String,
}

/// What a worker tells on its control channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// What of the lock-down is on.
    LockedDown(lockdown::Report),
    /// The process ends, for the fault of the isolate of this number.
    Culprit {
        /// Which isolate.
        isolate: u32,
        /// What its call is past.
        limit: Limit,
    },
}

/// What an isolate is told.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToIsolate<'a> {
    /// Run this.
    Call {
        /// The function, by its place in the declarations.
        function: u32,
        /// The time that the script sees.
        now_ms: u64,
        /// What `Math.random` starts from.
        seed: [u32; 4],
        /// Who calls, as JSON text.
        #[serde(borrow)]
        caller: Cow<'a, str>,
        /// The arguments, as JSON text.
        #[serde(borrow)]
        arguments: Cow<'a, str>,
    },
    /// The answer to what it asked.
    Answer(Reply),
    /// The answer to what it started under this number.
    Settled(u32, Reply),
    /// What is wanted after an event.
    Wanted(Wanted),
}

/// What an isolate tells.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromIsolate<'a> {
    /// It has loaded the app and waits for a call.
    Ready,
    /// It could not be made.
    Unmade(IsolateError),
    /// A request of the script, which waits for the answer.
    Ask(#[serde(borrow)] Cow<'a, str>),
    /// A request of an action, which goes on meanwhile.
    Start(u32, #[serde(borrow)] Cow<'a, str>),
    /// The call is over.
    Ended {
        /// How.
        outcome: Outcome,
        /// Whether another isolate must take the place of this one, which then says [`FromIsolate::Ready`].
        spoiled: bool,
    },
    /// An event of a stream, which waits until it is told what is wanted.
    Event(#[serde(borrow)] Cow<'a, str>),
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a frame: {0}")]
pub struct BadFrame(String);

impl BadFrame {
    /// A frame that has no business where it came.
    pub fn unexpected(name: &str) -> Self {
        Self(format!("{name} where it may not come"))
    }
}

/// A frame as bytes, behind what `buffer` holds already.
pub fn write<T: Serialize>(frame: &T, buffer: Vec<u8>) -> Result<Vec<u8>, BadFrame> {
    postcard::to_extend(frame, buffer).map_err(|error| BadFrame(error.to_string()))
}

/// Bytes as a frame: all of them.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BadFrame> {
    match postcard::take_from_bytes(bytes) {
        Ok((frame, [])) => Ok(frame),
        Ok((_, rest)) => Err(BadFrame(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(BadFrame(error.to_string())),
    }
}

/// Bytes as a frame that keeps nothing of them.
pub fn read_owned<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadFrame> {
    read(bytes)
}

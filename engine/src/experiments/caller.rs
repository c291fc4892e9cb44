//! By what callers are told apart in experiments.

use weir_schema::digest::Digest;

use crate::call::{Caller, token_identity};
use crate::rollouts::traffic::Asker;

/// A caller, known by half of the SHA-256 of who that is: whoever reads it cannot tell the name, and two callers have the same as
/// good as never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerDigest([u8; 16]);

impl CallerDigest {
    /// Of a caller with a token, by its issuer and subject. `None` of all others, whom nothing tells apart.
    pub fn of(caller: &Caller) -> Option<Self> {
        match caller {
            Caller::Token(_) => Some(Self::of_text(&caller.identity())),
            Caller::Developer | Caller::Scheduler | Caller::Anonymous => None,
        }
    }

    /// Of a client that says of itself by what it is known again.
    pub fn of_visitor(visitor: &str) -> Self {
        // What a token is known by is a list of JSON, which this is not.
        Self::of_text(&format!("visitor {visitor}"))
    }

    /// Of whoever asks, where calls are divided. Of who is known by an address alone there is none: many may have the same, and one
    /// comes by several.
    pub(crate) fn of_asker(asker: Asker<'_>) -> Option<Self> {
        match asker {
            Asker::Token { issuer, subject } => Some(Self::of_text(&token_identity(issuer, subject))),
            Asker::Visitor(visitor) => Some(Self::of_visitor(visitor)),
            Asker::Address(_) | Asker::Nobody => None,
        }
    }

    /// Of whoever has this text to themselves.
    pub fn of_text(text: &str) -> Self {
        let [low, _] = halves(Digest::of_parts(&[b"experiments", text.as_bytes()]).as_bytes());
        Self(low)
    }

    /// Takes 16 bytes that are one.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn halves(bytes: &[u8; 32]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    for (half, bytes) in halves.iter_mut().zip(bytes.chunks_exact(16)) {
        half.copy_from_slice(bytes);
    }
    halves
}

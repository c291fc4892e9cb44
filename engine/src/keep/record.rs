//! A kept result of a view, as bytes.
//!
//! A digest of all that follows, then three parts, each after its length in 32 bits, big endian: a header as JSON, what was
//! read, the value as JSON text. What does not come out as it went in is no result.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_schema::commit::Timestamp;
use weir_schema::digest::Digest;
use weir_store::ReadSet;

use crate::content::Content;
use crate::results::key::Class;

/// A result, and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) header: Header,
    pub(crate) reads: ReadSet,
    pub(crate) value: Arc<Content>,
}

/// What is known of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// The view.
    pub(crate) function: String,
    /// The digest of its code.
    pub(crate) code: Digest,
    /// Checked arguments, as JSON text.
    pub(crate) arguments: String,
    /// Whose it is.
    pub(crate) class: Class,
    /// A commit as of which it was right.
    pub(crate) commit: Timestamp,
    /// When it was written, or computed if that is told with it, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// How long it took to compute, in microseconds.
    pub(crate) cost_us: u64,
    /// Whether time ends it, and no commit.
    pub(crate) is_timed: bool,
    /// Whether it is good until its schedule brings another.
    pub(crate) is_scheduled: bool,
}

impl Record {
    /// Where it is kept: there is one for each question and each class of callers.
    pub(crate) fn place(&self) -> Digest {
        place(&self.header.code, &self.header.arguments, &self.header.class)
    }

    /// The record as bytes.
    pub(crate) fn encode(&self) -> Bytes {
        let header = serde_json::to_vec(&self.header).unwrap_or_default();
        let value = self.value.value().to_string();
        let mut rest = Vec::new();
        for part in [header.as_slice(), &self.reads.encode(), value.as_bytes()] {
            rest.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            rest.extend_from_slice(part);
        }
        let mut bytes = Digest::of(&rest).as_bytes().to_vec();
        bytes.extend_from_slice(&rest);
        bytes.into()
    }

    /// The record that these bytes are; `None` if they are none, or not all of one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (digest, mut rest) = bytes.split_first_chunk::<32>()?;
        if Digest::of(rest).as_bytes() != digest {
            return None;
        }
        let header = serde_json::from_slice(part(&mut rest)?).ok()?;
        let reads = ReadSet::decode(part(&mut rest)?)?;
        let value: serde_json::Value = serde_json::from_slice(part(&mut rest)?).ok()?;
        rest.is_empty().then(|| Self { header, reads, value: Arc::new(Content::from(value)) })
    }

    /// What tells it from the record before at the same place, but for when it was written. A result with an age has another
    /// one each time.
    pub(crate) fn content(&self) -> Digest {
        let at_ms = if self.header.is_timed { self.header.at_ms } else { 0 };
        Digest::of_parts(&[&at_ms.to_be_bytes(), &self.reads.encode(), self.value.value().to_string().as_bytes()])
    }
}

/// Where the result of a function of that code is kept.
pub(crate) fn place(code: &Digest, arguments: &str, class: &Class) -> Digest {
    // A class is plain data, which always has a JSON form.
    let class = serde_json::to_vec(class).unwrap_or_default();
    Digest::of_parts(&[code.as_bytes(), arguments.as_bytes(), &class])
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;
    use weir_sandbox::protocol::ScriptCaller;

    use super::*;
    use crate::results::key::Claims;

    #[test]
    fn a_record_is_read_as_it_was_written_and_a_damaged_one_is_none() {
        let more = [r#""https://idp.example""#, r#"["admin"]"#, "[]", "null", "7"].map(Into::into).to_vec();
        let caller = ScriptCaller { kind: "service", subject: Some("cron".to_owned()), more };
        let header = Header {
            function: "total".to_owned(),
            code: Digest::of(b"code"),
            arguments: "{}".to_owned(),
            class: Class::of(&caller, Claims::ALL),
            commit: Timestamp(7),
            at_ms: 8,
            cost_us: 9,
            is_timed: false,
            is_scheduled: false,
        };
        let value = Arc::new(Content::from(json!({ "a": [0.1, 1e300, "é"] })));
        let record = Record { header, reads: ReadSet::default(), value };
        let bytes = record.encode().to_vec();
        let read = Record::decode(&bytes).unwrap();
        assert_eq!((&read.header, read.value.value()), (&record.header, record.value.value()));
        assert_eq!((read.place(), read.content()), (record.place(), record.content()));
        assert!(read.header.class.caller().is_some_and(|caller| read.header.class.has(&caller)));
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            *damaged.get_mut(place).unwrap() ^= 1;
            assert!(Record::decode(&damaged).is_none(), "byte {place}");
            assert!(Record::decode(bytes.get(..place).unwrap()).is_none(), "cut at {place}");
        }
    }
}

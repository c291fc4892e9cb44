//! Audit records: who did what, each holding the digest of the one before it.
//!
//! A record is its JSON text, under `A` and its number. Its `previous` is the SHA-256 of the text of the record before,
//! of the first one all zeros; `M` `audit` holds number and digest of the last. So a record that is changed, removed or
//! put elsewhere shows at its successor, and one cut off the end shows at the head.

use serde::{Deserialize, Serialize};

use crate::commit::Timestamp;
use crate::digest::Digest;

/// What is known of an act before it is committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditNote {
    /// Who acted.
    pub actor: String,
    /// What kind of act it was, such as `call`.
    pub action: String,
    /// What was acted on: for a call the functions, in order.
    pub targets: Vec<String>,
    /// From where: the address of who acted, where it is known.
    pub from: Option<String>,
    /// What came of it, where that is not what was wanted.
    pub outcome: Option<String>,
    /// How many acts it stands for, where that are several alike.
    pub times: Option<u64>,
}

/// One act, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its place: 1 for the first, no gaps.
    pub number: u64,
    /// The digest of the text of the record before.
    pub previous: Digest,
    /// The commit that it is part of.
    pub commit: u64,
    /// When that was.
    pub timestamp: Timestamp,
    /// See [`AuditNote::actor`].
    pub actor: String,
    /// See [`AuditNote::action`].
    pub action: String,
    /// See [`AuditNote::targets`].
    pub targets: Vec<String>,
    /// See [`AuditNote::from`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// See [`AuditNote::outcome`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// See [`AuditNote::times`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

/// The last link of the chain (JSON text under `M` `audit`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The number of the last record, 0 before the first.
    pub number: u64,
    /// The digest of its text.
    pub digest: Digest,
}

/// Where a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// A record is missing, or one stands where another belongs.
    #[error("audit record {expected} is missing: {found} stands in its place")]
    Missing {
        /// The number that would be next.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// A record is not the one that its successor, or the head, was made after.
    #[error("audit record {0} was changed after it was written")]
    Changed(u64),
    /// It is no record at all.
    #[error("audit record {number} cannot be read: {message}")]
    Unreadable {
        /// Its number, by its key.
        number: u64,
        /// What is wrong.
        message: String,
    },
    /// The end of the chain is not the one that was written last.
    #[error("the audit log ends with record {found}, it had {expected}")]
    Cut {
        /// The last number, by the head.
        expected: u64,
        /// The last number that is there.
        found: u64,
    },
}

impl AuditHead {
    /// The text of the next record and the head after it.
    pub fn append(self, note: AuditNote, commit: u64, timestamp: Timestamp) -> (Self, Vec<u8>) {
        let AuditNote { actor, action, targets, from, outcome, times } = note;
        let (number, previous) = (self.number + 1, self.digest);
        let record = AuditRecord { number, previous, commit, timestamp, actor, action, targets, from, outcome, times };
        // Numbers and text always have a JSON form.
        let text = serde_json::to_vec(&record).unwrap_or_default();
        (Self { number, digest: Digest::of(&text) }, text)
    }

    /// Follows the chain by the record that lies under `number`.
    pub fn follow(self, number: u64, text: &[u8]) -> Result<Self, BrokenChain> {
        let expected = self.number + 1;
        if number != expected {
            return Err(BrokenChain::Missing { expected, found: number });
        }
        let record: AuditRecord = serde_json::from_slice(text)
            .map_err(|error| BrokenChain::Unreadable { number, message: error.to_string() })?;
        if record.number != number {
            return Err(BrokenChain::Missing { expected, found: record.number });
        }
        if record.previous != self.digest {
            return Err(BrokenChain::Changed(self.number));
        }
        Ok(Self { number, digest: Digest::of(text) })
    }

    /// Whether this, the end that was found, is the head that was written last.
    pub fn ends_at(self, head: Self) -> Result<(), BrokenChain> {
        match (self.number == head.number, self.digest == head.digest) {
            (true, true) => Ok(()),
            (true, false) => Err(BrokenChain::Changed(self.number)),
            (false, _) => Err(BrokenChain::Cut { expected: head.number, found: self.number }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn chain() -> (Vec<(u64, String)>, AuditHead) {
        let mut head = AuditHead::default();
        let mut records = Vec::new();
        for number in 1..=4 {
            let note = AuditNote {
                actor: "ada".into(),
                action: "call".into(),
                targets: vec!["pay".into()],
                ..AuditNote::default()
            };
            let appended = head.append(note, number * 10, Timestamp(number));
            head = appended.0;
            records.push((number, String::from_utf8_lossy(&appended.1).into_owned()));
        }
        (records, head)
    }

    fn check(change: impl FnOnce(&mut Vec<(u64, String)>), expected: Expect) {
        let (mut records, head) = chain();
        change(&mut records);
        let walked = records
            .iter()
            .try_fold(AuditHead::default(), |head, (number, text)| head.follow(*number, text.as_bytes()))
            .and_then(|end| end.ends_at(head));
        expected.assert_eq(&walked.err().map_or("whole".to_owned(), |broken| broken.to_string()));
    }

    #[test]
    fn records_of_before_have_the_same_text() {
        let old = r#"{"number":1,"previous":"0000000000000000000000000000000000000000000000000000000000000000","commit":10,"timestamp":1,"actor":"ada","action":"call","targets":["pay"]}"#;
        assert_eq!(chain().0[0].1, old);
        let record: AuditRecord = serde_json::from_str(old).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((record.from, record.outcome, record.times), (None, None, None));
        let note = AuditNote { from: Some("10.0.0.1".into()), times: Some(3), ..AuditNote::default() };
        let (_, text) = AuditHead::default().append(note, 1, Timestamp(1));
        assert!(String::from_utf8_lossy(&text).ends_with(r#","targets":[],"from":"10.0.0.1","times":3}"#));
    }

    #[test]
    fn every_kind_of_tampering_shows() {
        check(|_| {}, expect!["whole"]);
        check(
            |records| records[1].1 = records[1].1.replace("ada", "eve"),
            expect!["audit record 2 was changed after it was written"],
        );
        check(
            |records| records[3].1 = records[3].1.replace("ada", "eve"),
            expect!["audit record 4 was changed after it was written"],
        );
        check(|records| drop(records.remove(1)), expect!["audit record 2 is missing: 3 stands in its place"]);
        check(|records| drop(records.pop()), expect!["the audit log ends with record 3, it had 4"]);
        check(|records| records.clear(), expect!["the audit log ends with record 0, it had 4"]);
        check(
            |records| {
                let first = records[0].1.clone();
                records[0].1 = std::mem::replace(&mut records[1].1, first);
            },
            expect!["audit record 1 is missing: 2 stands in its place"],
        );
        check(
            |records| records[2].1 = "{}".to_owned(),
            expect!["audit record 3 cannot be read: missing field `number` at line 1 column 2"],
        );
    }
}

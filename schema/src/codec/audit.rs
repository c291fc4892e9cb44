//! Audit records: who did what, each holding the digest of the one before it.
//!
//! A record is its JSON text, under `A` and its number. Its `previous` is the SHA-256 of the text of the record before,
//! of the first one all zeros; `M` `audit` holds number and digest of the last. So a record that is changed, removed or
//! put elsewhere shows at its successor, and one cut off the end shows at the head.
//!
//! What tells of a person is sealed in the text by a key of that person ([`Sealed`]). The digests are of the sealed text, so that
//! the key can be destroyed and the chain holds as before.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::base64;
use crate::commit::Timestamp;
use crate::digest::Digest;

/// Somebody whom the log tells of: known by issuer and subject, or else by an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Person(String);

impl Person {
    /// Who shows the tokens of a subject: issuer and subject as a list of JSON, which no address is.
    pub fn of_token(issuer: &str, subject: &str) -> Self {
        Self(json!([issuer, subject]).to_string())
    }

    /// Whoever acts from an address, where no more is known.
    pub fn of_address(address: IpAddr) -> Self {
        Self(address.to_canonical().to_string())
    }

    /// One who was written down as text before.
    pub fn parse(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it stands in records.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands for a person in records: random, so that it says nothing of them once their key is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId([u8; PersonId::BYTES]);

impl PersonId {
    /// Its length.
    pub const BYTES: usize = 16;

    /// Takes random bytes.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Reads 32 digits of hex.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = (text.len() == Self::BYTES * 2).then(|| u128::from_str_radix(text, 16).ok())?;
        digits.filter(|_| !text.starts_with('+')).map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Serialize for PersonId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PersonId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("the id of a person has 32 digits of hex"))
    }
}

/// What is known of an act before it is committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditNote {
    /// Who acted.
    pub actor: String,
    /// The person whom that is, if it is one: then the actor, the address and the arguments are sealed by that one's key. Else the
    /// address and the arguments are sealed by the key of who is at the address.
    pub person: Option<Person>,
    /// What kind of act it was, such as `call`.
    pub action: String,
    /// What was acted on: for a call the functions, in order.
    pub targets: Vec<String>,
    /// On whom, if on a person: sealed by that one's key.
    pub about: Option<Person>,
    /// From where: the address of who acted, where it is known.
    pub from: Option<String>,
    /// What came of it, where that is not what was wanted.
    pub outcome: Option<String>,
    /// How many acts it stands for, where that are several alike.
    pub times: Option<u64>,
    /// With what: for a call its arguments as JSON text, where they are to be on record.
    pub arguments: Option<String>,
    /// The digest of the statement that was signed of it, where one was.
    pub statement: Option<Digest>,
}

/// What tells of a person, sealed by the key of that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Whose key it is.
    pub person: PersonId,
    /// The sealed text.
    #[serde(with = "base64")]
    pub text: Vec<u8>,
}

/// What is sealed of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seals {
    /// What tells of who acted: a [`Private`] as JSON.
    pub own: Option<Sealed>,
    /// On whom they acted: the text of a [`Person`].
    pub about: Option<Sealed>,
}

/// What tells of who acted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// See [`AuditNote::actor`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// See [`AuditNote::from`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// See [`AuditNote::arguments`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

impl AuditNote {
    /// Takes out what tells of who acted, and who that is; `None`: nothing does.
    pub fn take_private(&mut self) -> Option<(Person, Private)> {
        let (person, actor) = match self.person.take() {
            Some(person) => (person, Some(std::mem::take(&mut self.actor))),
            None => (Person::parse(self.from.clone()?), None),
        };
        Some((person, Private { actor, from: self.from.take(), arguments: self.arguments.take() }))
    }
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
    /// See [`AuditNote::arguments`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// See [`AuditNote::statement`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Digest>,
    /// See [`Seals::own`]. Without an actor that one is sealed too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// See [`Seals::about`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Sealed>,
}

impl AuditRecord {
    /// Fills in what was sealed of who acted; `None`: their key is gone.
    pub fn unseal(&mut self, private: Option<Private>) {
        let Some(sealed) = &self.sealed else { return };
        let erased = format!("erased {}", sealed.person);
        match private {
            Some(Private { actor, from, arguments }) => {
                self.actor = actor.unwrap_or_else(|| std::mem::take(&mut self.actor));
                (self.from, self.arguments) = (from, arguments.or_else(|| self.arguments.take()));
            }
            None if self.actor.is_empty() => self.actor = erased,
            None => self.from = Some(erased),
        }
    }

    /// Adds to the targets on whom they acted; `None`: that one's key is gone.
    pub fn unseal_about(&mut self, person: Option<Person>) {
        let Some(sealed) = &self.about else { return };
        let told = person.map_or_else(|| format!("erased {}", sealed.person), |Person(text)| text);
        self.targets.push(told);
    }
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
    /// The text of the next record and the head after it. What is sealed of the note was taken out of it.
    pub fn append(self, note: AuditNote, seals: Seals, commit: u64, timestamp: Timestamp) -> (Self, Vec<u8>) {
        let AuditNote { actor, action, targets, from, outcome, times, arguments, statement, person: _, about: _ } =
            note;
        let (number, previous) = (self.number + 1, self.digest);
        let Seals { own: sealed, about } = seals;
        let record = AuditRecord {
            number,
            previous,
            commit,
            timestamp,
            actor,
            action,
            targets,
            from,
            outcome,
            times,
            arguments,
            statement,
            sealed,
            about,
        };
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
            let appended = head.append(note, Seals::default(), number * 10, Timestamp(number));
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
        let (_, text) = AuditHead::default().append(note, Seals::default(), 1, Timestamp(1));
        assert!(String::from_utf8_lossy(&text).ends_with(r#","targets":[],"from":"10.0.0.1","times":3}"#));
    }

    #[test]
    fn what_was_sealed_is_filled_in_or_told_as_erased() {
        let person = PersonId::from_bytes([0xab; PersonId::BYTES]);
        assert_eq!(PersonId::parse(&person.to_string()), Some(person));
        for odd in ["", "ab", &"g".repeat(32), &format!("+{}", "1".repeat(31))] {
            assert_eq!(PersonId::parse(odd), None, "{odd}");
        }
        let ada = Person::of_token("https://idp.example", "ada");
        let mut note = AuditNote {
            actor: ada.as_str().to_owned(),
            person: Some(ada.clone()),
            from: Some("10.0.0.1".into()),
            arguments: Some("{}".into()),
            ..AuditNote::default()
        };
        let (of, private) = note.take_private().unwrap_or_else(|| panic!("it tells of nobody"));
        assert_eq!((of, note.clone()), (ada.clone(), AuditNote::default()), "nothing is left");
        let sealed = Some(Sealed { person, text: b"sealed".to_vec() });
        let seals = Seals { own: sealed.clone(), about: sealed };
        let (_, text) = AuditHead::default().append(note, seals, 1, Timestamp(1));
        let record: AuditRecord = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{error}"));
        let mut opened = record.clone();
        opened.unseal(Some(private));
        opened.unseal_about(Some(ada.clone()));
        assert_eq!((opened.actor.as_str(), opened.from.as_deref()), (ada.as_str(), Some("10.0.0.1")));
        assert_eq!((opened.arguments.as_deref(), opened.targets), (Some("{}"), vec![ada.as_str().to_owned()]));
        let mut erased = record;
        erased.unseal(None);
        erased.unseal_about(None);
        let told = format!("erased {person}");
        assert_eq!((&erased.actor, &erased.targets, erased.from), (&told, &vec![told.clone()], None));
        let mut nameless =
            AuditNote { actor: "anonymous".into(), from: Some("10.0.0.1".into()), ..AuditNote::default() };
        let of = nameless.take_private().map(|(person, private)| (person, private.actor));
        assert_eq!(of, Some((Person::of_address([10, 0, 0, 1].into()), None)));
        assert_eq!((nameless.actor.as_str(), nameless.from), ("anonymous", None));
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

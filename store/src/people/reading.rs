//! What the keys of the buckets lead to: the keys of people, and with them what is sealed in records.

use std::collections::HashMap;

use weir_schema::codec::audit::{AuditRecord, Person, PersonId, Private, Sealed};
use weir_schema::codec::key;
use weir_schema::digest::Digest;
use zeroize::Zeroizing;

use super::file::Keys;
use super::{Holder, Known};
use crate::cipher::{SealingKey, Unsealable};
use crate::engine::{Batch, Live};
use crate::error::Poisoned;
use crate::read_set::Interval;
use crate::scan::Direction;

/// What a sealed text is bound to, besides the record: which part of it.
pub(super) const OWN: u8 = 0;
pub(super) const ABOUT: u8 = 1;

/// People whose keys are remembered while records are opened. When there would be more, all are forgotten.
const SEEN_MAX: usize = 1_024;

/// Why a key is not wrapped.
pub(super) enum WrapError {
    Poisoned(Poisoned),
    Unsealable(Unsealable),
}

impl Keys {
    /// The keys by which what is in a bucket may be wrapped: two while one is being replaced.
    pub(super) fn all_of(&self, bucket: u8) -> impl Iterator<Item = &SealingKey> {
        let replaced = self.replaced.iter().filter(move |(of, _)| *of == bucket).map(|(_, key)| key);
        self.of(bucket).into_iter().chain(replaced)
    }

    /// The key of the person of an id; `None`: there is none, or none any more.
    fn key_of(&self, live: &Live, id: PersonId) -> Result<Option<SealingKey>, Poisoned> {
        let key = key::person(&id);
        let Some(wrapped) = live.get(&key)? else { return Ok(None) };
        let opened = self.all_of(bucket_of_id(id)).find_map(|of_bucket| of_bucket.open(&wrapped, &key));
        Ok(opened.and_then(|text| SealingKey::of(&text)))
    }

    /// A person, as a state has them.
    pub(super) fn find(&self, live: &Live, person: &Person) -> Result<Option<Known>, Poisoned> {
        for of_bucket in self.all_of(bucket_of(person)) {
            let key = lookup(of_bucket, person);
            let Some(wrapped) = live.get(&key)? else { continue };
            let Some(text) = of_bucket.open(&wrapped, &key) else { continue };
            let Some((id, _)) = read_lookup(&text) else { continue };
            return Ok(self.key_of(live, id)?.map(|key| Known { id, key }));
        }
        Ok(None)
    }

    /// By which id a person is known.
    pub(crate) fn id_of(&self, live: &Live, person: &Person) -> Result<Option<PersonId>, Poisoned> {
        Ok(self.find(live, person)?.map(|known| known.id))
    }

    /// For opening what is sealed of records of a state.
    pub(crate) fn opening<'a>(&'a self, live: &'a Live) -> Opening<'a> {
        Opening { keys: self, live, seen: HashMap::new() }
    }

    /// All of them, one after the other.
    pub(crate) fn each<E: From<Poisoned>>(
        &self,
        live: &Live,
        mut take: impl FnMut(Holder) -> Result<(), E>,
    ) -> Result<(), E> {
        for bucket in 0..=u8::MAX {
            for entry in live.entries(&Interval::prefix(key::person_lookups(bucket)), Direction::Asc)? {
                let (key, wrapped) = entry?;
                let opened = self.all_of(bucket).find_map(|of_bucket| of_bucket.open(&wrapped, &key));
                let Some((id, person)) = opened.as_deref().and_then(|text| read_lookup(text)) else { continue };
                if let Some(key) = self.key_of(live, id)? {
                    take(Holder { person, id, key })?;
                }
            }
        }
        Ok(())
    }

    /// How many records about people cannot be opened by the keys that are there.
    pub(crate) fn unreadable(&self, live: &Live) -> Result<u64, Poisoned> {
        let mut count = 0;
        for entry in live.entries(&Interval::prefix(key::people_all()), Direction::Asc)? {
            let (key, wrapped) = entry?;
            let bucket = key.get(2).copied().unwrap_or_default();
            count += u64::from(!self.all_of(bucket).any(|of_bucket| of_bucket.open(&wrapped, &key).is_some()));
        }
        Ok(count)
    }

    /// Writes a person.
    pub(super) fn wrap(
        &self,
        person: &Person,
        id: PersonId,
        own: &SealingKey,
        batch: &mut Batch,
    ) -> Result<(), WrapError> {
        let mut put = |bucket: u8, key: key::Key, text: &[u8]| {
            let Some(of_bucket) = self.of(bucket) else { return Ok(()) };
            let wrapped = of_bucket.seal(text, &key).map_err(WrapError::Unsealable)?;
            batch.replace(&key, &wrapped).map_err(WrapError::Poisoned)
        };
        put(bucket_of_id(id), key::person(&id), own.bytes())?;
        let bucket = bucket_of(person);
        let Some(of_bucket) = self.of(bucket) else { return Ok(()) };
        put(bucket, lookup(of_bucket, person), &[id.as_bytes(), person.as_str().as_bytes()].concat())
    }
}

/// Opens what is sealed of the records of one state.
pub(crate) struct Opening<'a> {
    keys: &'a Keys,
    live: &'a Live,
    /// Keys that were needed already; `None`: there is none, or none any more.
    seen: HashMap<PersonId, Option<SealingKey>>,
}

impl Opening<'_> {
    /// Fills in what is sealed of a record, or that it was erased.
    pub(crate) fn open(&mut self, record: &mut AuditRecord) -> Result<(), Poisoned> {
        if let Some(sealed) = record.sealed.clone() {
            let text = self.text(&sealed, record.number, OWN)?;
            let private: Option<Private> = text.and_then(|text| serde_json::from_slice(&text).ok());
            record.unseal(private);
        }
        if let Some(sealed) = record.about.clone() {
            let text = self.text(&sealed, record.number, ABOUT)?;
            let person = text.and_then(|text| String::from_utf8(text.to_vec()).ok());
            record.unseal_about(person.map(Person::parse));
        }
        Ok(())
    }

    fn text(&mut self, sealed: &Sealed, number: u64, part: u8) -> Result<Option<Zeroizing<Vec<u8>>>, Poisoned> {
        let key = match self.seen.get(&sealed.person) {
            Some(key) => key.clone(),
            None => {
                let key = self.keys.key_of(self.live, sealed.person)?;
                if self.seen.len() >= SEEN_MAX {
                    self.seen.clear();
                }
                self.seen.insert(sealed.person, key.clone());
                key
            }
        };
        Ok(key.and_then(|key| key.open(&sealed.text, &bound(number, part, sealed.person))))
    }
}

/// Ends what a crash has cut off: whichever of two keys is in use stays.
pub(super) fn settle(keys: &mut Keys, live: &Live) -> Result<Keys, Poisoned> {
    for (bucket, old) in std::mem::take(&mut keys.replaced) {
        let first = |prefix| live.entries(&Interval::prefix(prefix), Direction::Asc)?.next().transpose();
        let one = match first(key::people(bucket))? {
            None => first(key::person_lookups(bucket))?,
            found => found,
        };
        if one.is_some_and(|(key, wrapped)| old.open(&wrapped, &key).is_some()) {
            keys.exchange(bucket, old);
        }
    }
    Ok(keys.clone())
}

/// The bucket of the look-up of a person. It is nowhere in a record.
pub(super) fn bucket_of(person: &Person) -> u8 {
    Digest::of(person.as_str().as_bytes()).as_bytes().first().copied().unwrap_or_default()
}

/// The bucket of the key of a person: random, as the id is.
pub(super) fn bucket_of_id(id: PersonId) -> u8 {
    id.as_bytes().first().copied().unwrap_or_default()
}

pub(super) fn lookup(of_bucket: &SealingKey, person: &Person) -> key::Key {
    key::person_lookup(bucket_of(person), &of_bucket.digest(person.as_str().as_bytes()))
}

pub(super) fn read_lookup(text: &[u8]) -> Option<(PersonId, Person)> {
    let (id, person) = text.split_first_chunk::<{ PersonId::BYTES }>()?;
    Some((PersonId::from_bytes(*id), Person::parse(std::str::from_utf8(person).ok()?)))
}

pub(super) fn bound(number: u64, part: u8, id: PersonId) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[part], id.as_bytes()].concat()
}

//! The people whom the audit log tells of, and the keys by which that is sealed.
//!
//! Each has a key of their own, which lies in the database, written by the commit of the first record that needs it. It is wrapped
//! by the key of a bucket, and so is the look-up that leads to it; those keys lie in a small file of their own (`file`, `reading`). To
//! erase somebody, their buckets get new keys and whoever else is in them is wrapped anew. Then the keys of before are destroyed,
//! and with them whatever the database, its log or a copy of its files may still have of the erased.
//!
//! Rule: all of a bucket is wrapped by one key. The commit of an erasure changes a bucket as a whole, so that after a crash it
//! is known by any one of its records whether the old key or the new one is in use.

pub(crate) mod file;
mod reading;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, RwLock};
use weir_schema::codec::audit::{AuditNote, Person, PersonId, Sealed, Seals};
use weir_schema::codec::key;
use zeroize::Zeroizing;

use self::file::Keys;
use self::reading::{ABOUT, OWN, WrapError, bound, bucket_of, bucket_of_id, lookup, read_lookup, settle};
use crate::cipher::SealingKey;
use crate::engine::{Batch, Engine, Live};
use crate::error::{OpenError, Poisoned};
use crate::health::Health;
use crate::read_set::Interval;
use crate::scan::Direction;

/// People whose keys are at hand. When there would be more, all are forgotten.
const AT_HAND_MAX: usize = 4_096;

/// The people of a store.
pub(crate) struct People {
    directory: PathBuf,
    health: Health,
    keys: RwLock<Keys>,
    at_hand: Mutex<HashMap<Person, Known>>,
    /// Held while keys are being replaced, and while a copy of the store is made that has to fit its keys.
    pub(crate) replacing: tokio::sync::Mutex<()>,
}

/// A person who has a key.
#[derive(Clone)]
struct Known {
    id: PersonId,
    key: SealingKey,
}

/// What one write of the committer adds.
#[derive(Default)]
pub(crate) struct Changes {
    /// Who has a key from this write on. Who is erased by it as well has acted again after that.
    new: HashMap<Person, Known>,
    /// Whose key of before this write is destroyed.
    erased: BTreeSet<Person>,
}

/// A person with their key, as an export has it.
pub(crate) struct Holder {
    pub(crate) person: Person,
    pub(crate) id: PersonId,
    pub(crate) key: SealingKey,
}

impl Changes {
    /// Has a person erased by this write, with what it has of them so far. What comes after is somebody else's.
    pub(crate) fn erase(&mut self, person: Person) {
        self.new.remove(&person);
        self.erased.insert(person);
    }

    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.erased.is_empty()
    }
}

impl People {
    /// Those of a store, with the keys in its folder: new ones where there are none, as in a folder of before.
    pub(crate) fn open(directory: &Path, live: &Live, health: &Health) -> Result<Self, OpenError> {
        let unreadable = |error: String| OpenError::Unreadable { directory: directory.to_owned(), message: error };
        let mut keys = match file::read(directory).map_err(|error| unreadable(error.to_string()))? {
            Some(keys) => keys,
            None => {
                let keys = Keys::draw().map_err(|error| unreadable(error.to_string()))?;
                file::write(directory, &keys).map_err(|error| unreadable(error.to_string()))?;
                keys
            }
        };
        if !keys.replaced.is_empty() {
            let settled = settle(&mut keys, live).map_err(|error| unreadable(error.reason.to_string()))?;
            file::write(directory, &settled).map_err(|error| unreadable(error.to_string()))?;
            keys = settled;
        }
        let (directory, health) = (directory.to_owned(), health.clone());
        let (keys, at_hand, replacing) = (RwLock::new(keys), Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { directory, health, keys, at_hand, replacing })
    }

    /// The keys of now. Whoever reads a state with them has to have both from [`Self::keys_and`], or to hold `replacing`.
    pub(crate) fn keys(&self) -> Keys {
        self.keys.read().clone()
    }

    /// The keys of now and a state that they open: none is exchanged in between. Keys are there before they are in use, and those of
    /// before as long as they are.
    pub(crate) fn keys_and<T>(&self, state: impl FnOnce() -> Result<T, Poisoned>) -> Result<(Keys, T), Poisoned> {
        let keys = self.keys.read();
        let state = state()?;
        Ok((keys.clone(), state))
    }

    /// Takes out of a note what tells of people, and seals it for the record of that number.
    pub(crate) fn seal(
        &self,
        engine: &Engine,
        changes: &mut Changes,
        note: &mut AuditNote,
        number: u64,
    ) -> Result<Seals, Poisoned> {
        let mut seal = |person: Person, part: u8, text: &[u8]| {
            let known = self.known(engine, changes, person)?;
            let text =
                known.key.seal(text, &bound(number, part, known.id)).map_err(|error| self.health.poison(error))?;
            Ok::<_, Poisoned>(Sealed { person: known.id, text })
        };
        let own = note.take_private().map(|(person, private)| {
            // Plain text, which always has a JSON form.
            let text = Zeroizing::new(serde_json::to_vec(&private).unwrap_or_default());
            seal(person, OWN, &text)
        });
        let own = own.transpose()?;
        let about = note.about.take().map(|person| seal(person.clone(), ABOUT, person.as_str().as_bytes()));
        Ok(Seals { own, about: about.transpose()? })
    }

    /// The key of a person, a new one for who has none.
    fn known(&self, engine: &Engine, changes: &mut Changes, person: Person) -> Result<Known, Poisoned> {
        if let Some(known) = changes.new.get(&person) {
            return Ok(known.clone());
        }
        // A key of before that this write destroys seals nothing more.
        if !changes.erased.contains(&person) {
            if let Some(known) = self.at_hand.lock().get(&person) {
                return Ok(known.clone());
            }
            if let Some(known) = self.keys.read().find(&engine.live()?, &person)? {
                self.hold(person, known.clone());
                return Ok(known);
            }
        }
        let mut id = [0; PersonId::BYTES];
        getrandom::fill(&mut id).map_err(|error| self.health.poison(error))?;
        let key = SealingKey::draw().map_err(|error| self.health.poison(error))?;
        let known = Known { id: PersonId::from_bytes(id), key };
        changes.new.insert(person, known.clone());
        Ok(known)
    }

    fn hold(&self, person: Person, known: Known) {
        let mut at_hand = self.at_hand.lock();
        if at_hand.len() >= AT_HAND_MAX {
            at_hand.clear();
        }
        at_hand.insert(person, known);
    }

    /// Adds to a write who is new in it, and does without who is erased by it. What is returned has to be told what came of it.
    pub(crate) fn write(&self, engine: &Engine, changes: Changes, batch: &mut Batch) -> Result<Change<'_>, Poisoned> {
        if changes.is_empty() {
            return Ok(Change { people: self, new: HashMap::new(), keys: None });
        }
        let Changes { new, erased } = changes;
        let mut next = self.keys.read().clone();
        if !erased.is_empty() {
            let live = engine.live()?;
            let (mut buckets, mut gone) = (BTreeSet::new(), BTreeSet::new());
            for person in &erased {
                let Some(Known { id, .. }) = next.find(&live, person)? else { continue };
                buckets.extend([bucket_of(person), bucket_of_id(id)]);
                gone.insert(id);
            }
            for bucket in buckets {
                self.replace(&live, &mut next, bucket, &gone, batch)?;
            }
        }
        for (person, Known { id, key }) in &new {
            next.wrap(person, *id, key, batch).map_err(|error| self.of_wrapping(error))?;
        }
        let keys = (!next.replaced.is_empty()).then_some(next);
        if let Some(keys) = &keys {
            // Before the write: who opens the folder after a crash needs the one or the other.
            self.put(keys)?;
        }
        Ok(Change { people: self, new, keys })
    }

    /// Gives a bucket a new key and wraps anew whoever is in it, without those who are gone.
    fn replace(
        &self,
        live: &Live,
        keys: &mut Keys,
        bucket: u8,
        gone: &BTreeSet<PersonId>,
        batch: &mut Batch,
    ) -> Result<(), Poisoned> {
        let new = SealingKey::draw().map_err(|error| self.health.poison(error))?;
        let Some(old) = keys.exchange(bucket, new.clone()) else { return Ok(()) };
        let seal = |text: &[u8], key: &[u8]| new.seal(text, key).map_err(|error| self.health.poison(error));
        for entry in live.entries(&Interval::prefix(key::people(bucket)), Direction::Asc)? {
            let (key, wrapped) = entry?;
            match key::person_id(&key).filter(|id| !gone.contains(id)).and_then(|_| old.open(&wrapped, &key)) {
                Some(text) => batch.replace(&key, &seal(&text, &key)?)?,
                None => batch.erase(&key)?,
            }
        }
        for entry in live.entries(&Interval::prefix(key::person_lookups(bucket)), Direction::Asc)? {
            let (key, wrapped) = entry?;
            batch.erase(&key)?;
            let Some(text) = old.open(&wrapped, &key) else { continue };
            let Some((id, person)) = read_lookup(&text) else { continue };
            if !gone.contains(&id) {
                let key = lookup(&new, &person);
                batch.replace(&key, &seal(&text, &key)?)?;
            }
        }
        keys.replaced.push((bucket, old));
        Ok(())
    }

    /// Keeps keys, in the file and in memory.
    fn put(&self, keys: &Keys) -> Result<(), Poisoned> {
        file::write(&self.directory, keys)
            .map_err(|error| self.health.poison(format_args!("{} cannot be written: {error}", file::FILE)))?;
        *self.keys.write() = keys.clone();
        Ok(())
    }

    fn of_wrapping(&self, error: WrapError) -> Poisoned {
        match error {
            WrapError::Poisoned(poisoned) => poisoned,
            WrapError::Unsealable(error) => self.health.poison(error),
        }
    }

    /// Writes those of another store.
    pub(crate) fn import(&self, people: &[Holder], batch: &mut Batch) -> Result<(), Poisoned> {
        let keys = self.keys.read();
        people.iter().try_for_each(|Holder { person, id, key }| {
            keys.wrap(person, *id, key, batch).map_err(|error| self.of_wrapping(error))
        })
    }
}

/// What is under way while a write is.
pub(crate) struct Change<'a> {
    people: &'a People,
    new: HashMap<Person, Known>,
    /// Keys, some of which are new.
    keys: Option<Keys>,
}

impl Change<'_> {
    /// It is durable: what was replaced is destroyed.
    pub(crate) fn done(self) -> Result<(), Poisoned> {
        if let Some(mut keys) = self.keys {
            keys.replaced.clear();
            self.people.put(&keys)?;
            self.people.at_hand.lock().clear();
        }
        self.new.into_iter().for_each(|(person, known)| self.people.hold(person, known));
        Ok(())
    }

    /// Nothing of it took effect.
    pub(crate) fn undone(self) -> Result<(), Poisoned> {
        let Some(mut keys) = self.keys else { return Ok(()) };
        for (bucket, old) in std::mem::take(&mut keys.replaced) {
            keys.exchange(bucket, old);
        }
        self.people.put(&keys)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

//! What the control plane knows: releases, rollouts and what was stated of them, keys that are trusted, administrators, tenants,
//! environments, and what else is changed on record: trusted documents and revocations, which `kept` reads. A transaction writes it, in the commit of the
//! audit record about it.
//!
//! It has no history. A transaction that looks at a record has its key in the read set, and who writes it
//! touches the key: so of two that change one at the same time one conflicts. No script can reach it.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_schema::bundle::envelope::KeyId;
use weir_schema::codec::key::{self, Key};
use weir_schema::digest::Digest;
use weir_schema::tenant::InstanceName;

use crate::error::{Poisoned, ReadError};
use crate::prepared::Prepared;
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::store::Store;
use crate::transaction::Transaction;

/// A record of the control plane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ControlKey {
    /// The bundle of a release, by its sequence.
    Bundle(u64),
    /// What is known of a release, by its sequence.
    Release(u64),
    /// Where calls go.
    Traffic,
    /// A rollout that is over, by its number.
    Rollout(u64),
    /// A statement about a rollout, signed.
    Statement {
        /// The number of the rollout.
        rollout: u64,
        /// Its own among those of the rollout.
        number: u64,
    },
    /// The key that these are signed with.
    StatementKey,
    /// A key that bundles may be signed with.
    SigningKey(KeyId),
    /// Somebody who may use the control plane, by name.
    Administrator(String),
    /// The name of who shows a token, by its digest.
    AdministratorToken(Digest),
    /// A document that the app trusts, by its id.
    Trusted(String),
    /// A revocation of tokens, by the digest of which they are.
    Revoked(Digest),
    /// A tenant or an environment, by name.
    Instance(InstanceName),
    /// The name of the tenant or environment that the store is of; of a server's own there is none.
    Name,
    /// The key that [`Store::seal`] seals by.
    SealingKey,
    /// The one of before, as long as anything is sealed by it.
    SealingKeyBefore,
    /// The migration of documents that is not over; mostly there is none.
    Migration,
}

/// All records of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlKind {
    /// [`ControlKey::Release`], in the order of their sequences.
    Releases,
    /// [`ControlKey::Rollout`], in the order of their numbers.
    Rollouts,
    /// [`ControlKey::Statement`] of the rollout with this number, in order.
    Statements(u64),
    /// [`ControlKey::SigningKey`].
    SigningKeys,
    /// [`ControlKey::Administrator`].
    Administrators,
    /// [`ControlKey::Instance`].
    Instances,
}

impl ControlKey {
    pub(crate) fn encode(&self) -> Key {
        match self {
            Self::Bundle(sequence) => key::control_bundle(*sequence),
            Self::Release(sequence) => key::control_release(*sequence),
            Self::Traffic => key::control_traffic(),
            Self::Rollout(number) => key::control_rollout(*number),
            Self::Statement { rollout, number } => key::control_statement(*rollout, *number),
            Self::StatementKey => key::control_statement_key(),
            Self::SigningKey(id) => key::control_signing_key(id),
            Self::Administrator(name) => key::control_administrator(name),
            Self::AdministratorToken(digest) => key::control_administrator_token(digest),
            Self::Trusted(id) => key::trusted(id),
            Self::Revoked(digest) => key::revoked(digest),
            Self::Instance(name) => key::control_instance(name),
            Self::Name => key::control_name(),
            Self::SealingKey => key::control_sealing_key(),
            Self::SealingKeyBefore => key::control_sealing_key_before(),
            Self::Migration => key::control_migration(),
        }
    }
}

impl ControlKind {
    pub(crate) fn prefix(self) -> Key {
        match self {
            Self::Releases => key::control_releases(),
            Self::Rollouts => key::control_rollouts(),
            Self::Statements(rollout) => key::control_statements(rollout),
            Self::SigningKeys => key::control_signing_keys(),
            Self::Administrators => key::control_administrators(),
            Self::Instances => key::control_instances(),
        }
    }
}

/// What a transaction has written of it.
pub(crate) type ControlWrites = BTreeMap<Key, Option<Bytes>>;

/// Adds what the committer has to write, and what it touches.
pub(crate) fn prepare(writes: ControlWrites, into: &mut Prepared) {
    into.touched.extend(writes.keys().cloned());
    into.writes.extend(writes);
}

impl Transaction {
    /// The text of a record.
    pub fn control(&mut self, key: &ControlKey) -> Result<Option<Bytes>, ReadError> {
        let key = key.encode();
        if let Some(written) = self.control.get(&key) {
            return Ok(written.clone());
        }
        let text = self.base.state()?.get(&key)?;
        self.read_set.add_point(key);
        Ok(text)
    }

    /// The texts of all records of a kind, in order, without what this transaction has written itself.
    pub fn control_all(&mut self, kind: ControlKind) -> Result<Vec<Bytes>, ReadError> {
        let all = Interval::prefix(kind.prefix());
        let state = self.base.state()?;
        let texts = state.entries(&all, Direction::Asc)?.map(|entry| Ok(entry?.1)).collect::<Result<_, Poisoned>>()?;
        self.read_set.add_interval(all);
        Ok(texts)
    }

    /// Writes a record; removes it with `None`.
    pub fn put_control(&mut self, key: &ControlKey, text: Option<Bytes>) {
        self.control.insert(key.encode(), text);
    }

    /// Removes all records of a kind, but for those that this transaction writes itself.
    pub fn remove_control_all(&mut self, kind: ControlKind) -> Result<(), ReadError> {
        let all = Interval::prefix(kind.prefix());
        let state = self.base.state()?;
        let keys =
            state.entries(&all, Direction::Asc)?.map(|entry| Ok(entry?.0)).collect::<Result<Vec<_>, Poisoned>>()?;
        self.read_set.add_interval(all);
        for key in keys {
            self.control.entry(key).or_insert(None);
        }
        Ok(())
    }
}

impl Store {
    /// The text of a record, as of the last commit.
    pub fn control(&self, key: &ControlKey) -> Result<Option<Bytes>, Poisoned> {
        self.core().engine.live()?.get(&key.encode())
    }

    /// The texts of all records of a kind, in order.
    pub fn control_all(&self, kind: ControlKind) -> Result<Vec<Bytes>, Poisoned> {
        let live = self.core().engine.live()?;
        live.entries(&Interval::prefix(kind.prefix()), Direction::Asc)?.map(|entry| Ok(entry?.1)).collect()
    }
}

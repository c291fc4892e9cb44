//! The keys of what the control plane knows: releases, rollouts, keys, administrators, tenants, environments.

use super::{CONTROL, Key};
use crate::bundle::envelope::KeyId;
use crate::digest::Digest;
use crate::tenant::InstanceName;

/// The key of the bundle of a release.
pub fn control_bundle(sequence: u64) -> Key {
    let mut key = vec![CONTROL, b'b'];
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// The key of the key that bundles are sealed by.
pub fn control_sealing_key() -> Key {
    vec![CONTROL, b's']
}

/// The key of the key that bundles were sealed by before, as long as any still is.
pub fn control_sealing_key_before() -> Key {
    vec![CONTROL, b'p']
}

/// The key of what is known of a release. Their order is that of the sequences.
pub fn control_release(sequence: u64) -> Key {
    let mut key = control_releases();
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// The key of where calls go.
pub fn control_traffic() -> Key {
    vec![CONTROL, b'f']
}

/// The key of a rollout that is over. Their order is that of their numbers.
pub fn control_rollout(number: u64) -> Key {
    let mut key = control_rollouts();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What the keys of all rollouts that are over start with.
pub fn control_rollouts() -> Key {
    vec![CONTROL, b'o']
}

/// The key of a statement about a rollout, by its number among those of the rollout. Their order is that of the numbers.
pub fn control_statement(rollout: u64, number: u64) -> Key {
    let mut key = control_statements(rollout);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What the keys of all statements about a rollout start with.
pub fn control_statements(rollout: u64) -> Key {
    let mut key = vec![CONTROL, b'e'];
    key.extend_from_slice(&rollout.to_be_bytes());
    key
}

/// The key of the key that statements about rollouts are signed with.
pub fn control_statement_key() -> Key {
    vec![CONTROL, b'y']
}

/// What the keys of all releases start with.
pub fn control_releases() -> Key {
    vec![CONTROL, b'r']
}

/// The key of a key that bundles may be signed with.
pub fn control_signing_key(id: &KeyId) -> Key {
    let mut key = control_signing_keys();
    key.extend_from_slice(id.to_string().as_bytes());
    key
}

/// What the keys of all keys that bundles may be signed with start with.
pub fn control_signing_keys() -> Key {
    vec![CONTROL, b'k']
}

/// The key of somebody who may use the control plane.
pub fn control_administrator(name: &str) -> Key {
    let mut key = control_administrators();
    key.extend_from_slice(name.as_bytes());
    key
}

/// The key under which somebody is looked up who may use the control plane, by the digest of the token.
pub fn control_administrator_token(digest: &Digest) -> Key {
    let mut key = vec![CONTROL, b'd'];
    key.extend_from_slice(digest.as_bytes());
    key
}

/// What the keys of all who may use the control plane start with.
pub fn control_administrators() -> Key {
    vec![CONTROL, b'a']
}

/// The key of a tenant, or of an environment.
pub fn control_instance(name: &InstanceName) -> Key {
    let mut key = control_instances();
    key.extend_from_slice(name.to_string().as_bytes());
    key
}

/// What the keys of all tenants and environments start with.
pub fn control_instances() -> Key {
    vec![CONTROL, b't']
}

/// The key of the name of the tenant or environment that the store is of.
pub fn control_name() -> Key {
    vec![CONTROL, b'n']
}

/// The key of the migration of documents that is not over.
pub fn control_migration() -> Key {
    vec![CONTROL, b'm']
}

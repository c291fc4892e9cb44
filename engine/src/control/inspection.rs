//! Looks at what is kept of releases and rollouts and would be missed only when it is needed: bundles, statements, and what seals them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_schema::bundle::envelope::KeyId;
use weir_schema::codec::control::ReleaseRecord;
use weir_store::{ControlKey, Store};

use super::kept_bundles::{self, KeptError};
use super::{ControlError, releases, resealing};
use crate::bundle::signed::BadSigned;
use crate::rollouts::statements::{self, BadStatement, NoStatements};

/// Problems that are told. More are counted.
const PROBLEMS_MAX: usize = 100;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspected {
    /// Releases on record.
    pub releases: u64,
    /// Statements that are kept about rollouts.
    pub statements: u64,
    /// What is not what was put there, each with what to do; the first of it.
    pub problems: Vec<String>,
    /// How many problems there are.
    pub problem_count: u64,
    /// What is as it was put there, and of no use for what it was kept for.
    pub remarks: Vec<String>,
}

/// Looks at all of it, where so many signatures are asked for. It takes as long as all bundles are large.
pub fn inspect(store: &Store, signatures: usize) -> Result<Inspected, ControlError> {
    let mut found = Inspected::default();
    for release in releases::list(store)? {
        found.releases += 1;
        found.look_at_bundle(store, &release, signatures)?;
    }
    found.look_at_statements(store)?;
    if resealing::is_under_way(store)? {
        let line = "bundles are being sealed by a new key, and that is not over: weir keys reseal goes on with it";
        found.remarks.push(line.to_owned());
    }
    Ok(found)
}

impl Inspected {
    fn look_at_bundle(
        &mut self,
        store: &Store,
        release: &ReleaseRecord,
        signatures: usize,
    ) -> Result<(), ControlError> {
        let Err(now) = kept_bundles::verified(store, release, signatures) else { return Ok(()) };
        let ReleaseRecord { app, version, sequence, .. } = release;
        let is_refused = matches!(now, KeptError::Refused(_));
        match kept_bundles::was_good(store, release) {
            Err(KeptError::Control(error)) => return Err(error),
            Ok(_) if is_refused => {
                self.remarks.push(format!("{app} {version}, sequence {sequence}, is not loaded again: {now}"));
            }
            Ok(_) => {}
            // It went with its release meanwhile.
            Err(_) if store.control(&ControlKey::Release(*sequence))?.is_none() => {}
            Err(error) => self.problem(format!("{app} {version}, sequence {sequence}: {error}")),
        }
        Ok(())
    }

    fn look_at_statements(&mut self, store: &Store) -> Result<(), ControlError> {
        let key = match statements::public_key(store) {
            Ok(key) => key,
            Err(NoStatements::Control(error)) => return Err(error),
            Err(_) => return Ok(()),
        };
        if !statements::opens(store)? {
            let line = "the key for statements about rollouts does not open any more: the next change of a rollout draws \
                        another, and what was signed before is verified with what weir rollout key prints until then";
            self.problem(line.to_owned());
        }
        let mut others = BTreeMap::<KeyId, u64>::new();
        for rollout in statements::rollouts(store)? {
            for statement in statements::of(store, rollout)? {
                self.statements += 1;
                match statements::verify(&statement, &key) {
                    Ok(stated) if stated.rollout == rollout => {}
                    Ok(stated) => self.problem(format!(
                        "a statement about rollout {} stands among those of rollout {rollout}: the audit log says what has happened",
                        stated.rollout
                    )),
                    Err(BadStatement::Signed(BadSigned::OtherKey { found, .. })) => {
                        *others.entry(found).or_default() += 1;
                    }
                    Err(error) => self.problem(format!(
                        "a statement about rollout {rollout} is not what was signed: {error}; the audit log says what has happened"
                    )),
                }
            }
        }
        self.remarks.extend(others.into_iter().map(|(key, times)| {
            format!("statements about rollouts that key {key} has signed, which is not the store's any more: {times}")
        }));
        Ok(())
    }

    fn problem(&mut self, line: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(line);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use bytes::Bytes;
    use expect_test::expect;

    use super::*;
    use crate::bundle::key::SigningKey;
    use crate::control::tests::{Bench, answering, bundle};
    use crate::control::{Actor, keys};

    #[tokio::test(flavor = "multi_thread")]
    async fn what_would_be_missed_later_is_told_with_what_to_do() {
        let [key, other] = std::array::from_fn(|_| SigningKey::generate().unwrap());
        let bench = Bench::new();
        assert_eq!(inspect(&bench.store, 1).unwrap(), Inspected::default());
        for key in [&key, &other] {
            bench.trust(key).await;
        }
        for (version, sequence, key) in
            [("1.0.0", 10, &other), ("1.1.0", 11, &key), ("1.2.0", 12, &key), ("1.3.0", 13, &key)]
        {
            bench.deploy(&bundle(key, &answering(version, 1), sequence)).await.unwrap();
        }
        let whole = Inspected { releases: 4, statements: 8, ..Inspected::default() };
        assert_eq!(inspect(&bench.store, 1).unwrap(), whole);
        assert_eq!(inspect(&bench.store, 2).unwrap().remarks.len(), 4, "more signatures are asked for than they have");

        keys::revoke(&bench.store, &Actor::operator(), &other.public().id().to_string()).await.unwrap();
        let control = |key: &ControlKey| bench.store.control(key).unwrap().unwrap();
        let put = async |key: ControlKey, bytes: Option<Bytes>| {
            let mut transaction = bench.store.begin().unwrap();
            transaction.put_control(&key, bytes);
            bench.store.commit(transaction).await.unwrap();
        };
        put(ControlKey::Bundle(11), Some(control(&ControlKey::Bundle(10)))).await;
        put(ControlKey::Bundle(12), Some(bundle(&key, &answering("1.2.1", 1), 12).into())).await;
        put(ControlKey::Bundle(13), None).await;
        let statement = |rollout| ControlKey::Statement { rollout, number: 1 };
        put(statement(2), Some(control(&statement(1)))).await;
        put(statement(3), Some(Bytes::from_static(b"{}"))).await;
        let mut transaction = bench.store.begin().unwrap();
        bench.store.exchange_sealing_key(&mut transaction).unwrap();
        bench.store.commit(transaction).await.unwrap();
        let Inspected { problems, remarks, .. } = inspect(&bench.store, 1).unwrap();
        let said = [problems, vec!["remarks:".to_owned()], remarks].concat().join("\n");
        let said = said.replace(&other.public().id().to_string(), "OTHER");
        expect![[r#"
            shop 1.1.0, sequence 11: the bundle that is kept of release 1.1.0 was changed, or is that of another release or tenant: deploy it again
            shop 1.2.0, sequence 12: the bundle that is kept is not that of release 1.2.0: deploy it again
            shop 1.3.0, sequence 13: the bundle of release 1.3.0 is not kept: deploy it again
            a statement about rollout 1 stands among those of rollout 2: the audit log says what has happened
            a statement about rollout 3 is not what was signed: the envelope cannot be read: missing field `payloadType` at line 1 column 2; the audit log says what has happened
            remarks:
            shop 1.0.0, sequence 10, is not loaded again: the bundle is signed by key OTHER, which was revoked: sign it with another
            bundles are being sealed by a new key, and that is not over: weir keys reseal goes on with it
        "#]]
        .assert_eq(&(said + "\n"));
        bench.engine.close().await;
    }
}

//! Exchanges the key that a store seals by: a new one is drawn, and what is sealed is written again, one after the other.
//!
//! Rule: each step is one commit, and until the last one the key of before is there. Whatever is cut off, all that is sealed opens, and who
//! begins anew goes on where it ended.

use serde::{Deserialize, Serialize};
use weir_schema::codec::control::ReleaseRecord;
use weir_store::{ControlKey, ControlKind, Exchange, SealError, Store};

use super::kept_bundles::{self, KeptError};
use super::{Actor, Changed, ControlError, all, change};
use crate::rollouts::statements::{self, StatementError};

/// What was sealed anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resealed {
    /// Whether that had been begun before, and was not over.
    pub was_under_way: bool,
    /// Bundles that were sealed by the key of before.
    pub bundles: u64,
    /// The versions of releases whose bundles do not open, as before.
    pub damaged: Vec<String>,
}

/// Why not all is sealed anew. What was stays so.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// There is nothing to exchange.
    #[error("nothing is sealed yet: the key is drawn when the first bundle is deployed")]
    NothingSealed,
    /// No key can be drawn.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A bundle cannot be written again.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The key for statements cannot be written again.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Whether an exchange has begun and is not over.
pub fn is_under_way(store: &Store) -> Result<bool, ControlError> {
    Ok(store.control(&ControlKey::SealingKeyBefore)?.is_some())
}

/// Draws a new key, unless an exchange is under way, seals all by it that is sealed, and gives up the key of before.
pub async fn reseal(store: &Store, actor: &Actor) -> Result<Resealed, ResealError> {
    let was_under_way = begin(store, actor).await?;
    let mut resealed = Resealed { was_under_way, ..Resealed::default() };
    for step in steps(store)? {
        take(store, actor, step, &mut resealed).await?;
    }
    Ok(resealed)
}

/// What is to be done, each in a commit of its own.
enum Step {
    /// The key for statements.
    StatementKey,
    /// The bundle of a release.
    Bundle(ReleaseRecord),
    /// The end of the key of before.
    Forget,
}

/// Draws a new key. Returns whether that was done before.
async fn begin(store: &Store, actor: &Actor) -> Result<bool, ResealError> {
    if is_under_way(store)? {
        return Ok(true);
    }
    change(store, actor, |transaction| {
        let exchange = store.exchange_sealing_key(transaction)?;
        match exchange {
            Exchange::NothingSealed => Err(ResealError::NothingSealed),
            // Somebody else has begun it meanwhile, which is as good.
            Exchange::UnderWay | Exchange::Begun => {
                Ok(Changed::new(exchange == Exchange::UnderWay, "drawSealingKey", Vec::new()))
            }
        }
    })
    .await
}

/// All that may be sealed by the key of before, now that a new one is there. Nobody else seals by it any more: a transaction that has
/// read it as the key to seal by conflicts.
fn steps(store: &Store) -> Result<Vec<Step>, ResealError> {
    let releases: Vec<ReleaseRecord> = all(store, ControlKind::Releases)?;
    let bundles = releases.into_iter().map(Step::Bundle);
    Ok([Step::StatementKey].into_iter().chain(bundles).chain([Step::Forget]).collect())
}

async fn take(store: &Store, actor: &Actor, step: Step, resealed: &mut Resealed) -> Result<(), ResealError> {
    match step {
        Step::StatementKey => statements::reseal(store, actor).await?,
        Step::Bundle(release) => match kept_bundles::reseal(store, actor, &release).await {
            Ok(is_resealed) => resealed.bundles += u64::from(is_resealed),
            // It opens by neither key, so nothing is lost that was not before.
            Err(KeptError::Damaged(version)) => resealed.damaged.push(version),
            Err(error) => return Err(error.into()),
        },
        Step::Forget => {
            change(store, actor, |transaction| {
                store.forget_sealing_key_before(transaction);
                Ok::<_, ResealError>(Changed::new((), "removeSealingKey", Vec::new()))
            })
            .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::bundle::key::SigningKey;
    use crate::control::releases;
    use crate::control::tests::{Bench, answering, bundle};

    const VERSIONS: [(&str, u64); 3] = [("1.0.0", 10), ("1.1.0", 11), ("1.2.0", 12)];

    async fn deployed(key: &SigningKey) -> Bench {
        let bench = Bench::new();
        bench.trust(key).await;
        for (version, sequence) in VERSIONS {
            bench.deploy(&bundle(key, &answering(version, 1), sequence)).await.unwrap();
        }
        bench
    }

    fn kept(store: &Store) -> Vec<Bytes> {
        VERSIONS.map(|(_, sequence)| store.control(&ControlKey::Bundle(sequence)).unwrap().unwrap()).to_vec()
    }

    /// All opens: the bundles, and the key for statements, which signs.
    async fn opens(bench: &Bench, key: &SigningKey) {
        for (version, sequence) in VERSIONS {
            let read = releases::bundle(&bench.store, sequence).unwrap();
            assert_eq!(read, bundle(key, &answering(version, 1), sequence));
        }
        assert!(statements::opens(&bench.store).unwrap());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_is_cut_off_all_opens_and_the_exchange_goes_on() {
        let key = SigningKey::generate().unwrap();
        let operator = Actor::operator();
        // Before the first step, after each of them, and after the last but the end.
        for cut in 0..=VERSIONS.len() + 1 {
            let bench = deployed(&key).await;
            let (before, signer) = (kept(&bench.store), statements::public_key(&bench.store).unwrap());
            assert!(!begin(&bench.store, &operator).await.unwrap());
            let mut cut_off = Resealed::default();
            for step in steps(&bench.store).unwrap().into_iter().take(cut) {
                take(&bench.store, &operator, step, &mut cut_off).await.unwrap();
            }
            opens(&bench, &key).await;
            let bench = bench.reopened().await;
            assert!(is_under_way(&bench.store).unwrap(), "after {cut} steps");
            opens(&bench, &key).await;
            assert!(bench.engine.restore(&|_| Ok(())).await.unwrap().is_some(), "it is served meanwhile");
            let resealed = reseal(&bench.store, &operator).await.unwrap();
            assert!(resealed.was_under_way && resealed.damaged.is_empty());
            assert_eq!(cut_off.bundles + resealed.bundles, 3, "none twice");
            assert!(!is_under_way(&bench.store).unwrap());
            opens(&bench, &key).await;
            assert!(kept(&bench.store).iter().zip(&before).all(|(now, before)| now != before));
            assert_eq!(statements::public_key(&bench.store).unwrap(), signer, "it is the same key, sealed anew");
            let bench = bench.reopened().await;
            opens(&bench, &key).await;
            let audit = bench.audit();
            let count = |action: &str| audit.lines().filter(|line| line.split(' ').nth(1) == Some(action)).count();
            let counts = ["drawSealingKey", "sealBundle", "sealStatementKey", "removeSealingKey"].map(count);
            assert_eq!(counts, [1, 3, 1, 1], "{audit}");
            bench.engine.close().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_does_not_open_is_told_and_nothing_opens_by_the_key_that_was_given_up() {
        let key = SigningKey::generate().unwrap();
        let bench = Bench::new();
        let none = reseal(&bench.store, &Actor::operator()).await.unwrap_err().to_string();
        assert_eq!(none, "nothing is sealed yet: the key is drawn when the first bundle is deployed");
        bench.engine.close().await;
        let bench = deployed(&key).await;
        let old = kept(&bench.store);
        let put = async |sequence: u64, bytes: Bytes| {
            let mut transaction = bench.store.begin().unwrap();
            transaction.put_control(&ControlKey::Bundle(sequence), Some(bytes));
            bench.store.commit(transaction).await.unwrap();
        };
        put(11, old[0].clone()).await;
        let resealed = reseal(&bench.store, &Actor::operator()).await.unwrap();
        assert_eq!(resealed, Resealed { was_under_way: false, bundles: 2, damaged: vec!["1.1.0".to_owned()] });
        put(10, old[0].clone()).await;
        assert!(matches!(releases::bundle(&bench.store, 10), Err(KeptError::Damaged(_))));
        // A second exchange is another one.
        assert!(!reseal(&bench.store, &Actor::operator()).await.unwrap().was_under_way);
        assert!(releases::bundle(&bench.store, 12).is_ok());
        bench.engine.close().await;
    }
}

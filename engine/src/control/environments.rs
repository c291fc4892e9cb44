//! What an environment has of the app that it is an environment of: the documents of one state, and of that state the active release,
//! the keys that bundles may be signed with, and the documents that clients are trusted with.
//!
//! What it does not have: jobs, so that nothing is done twice; the audit log and the administrators, which are each one's own; releases that are
//! not active and rollouts; revocations, of which those of the app count; and what was counted.
//!
//! Architecture invariant: what is copied is one state of the other store. The release that the copy runs is the one that was active for
//! these documents, and it is verified again there before it runs.

use weir_schema::codec::control::{CopiedFrom, MigrationDirection, MigrationRecord, ReleaseRecord, SigningKeyRecord};
use weir_schema::rollout::Traffic;
use weir_schema::tenant::EnvironmentName;
use weir_store::progress::Watch;
use weir_store::{ControlKey, ControlKind, CopyError, Poisoned, Source, Store};

use super::kept_bundles::{self, KeptError};
use super::releases::before_rollouts;
use super::{Actor, Changed, ControlError, change, parse, text};
use crate::trusted::{self, TrustError};

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyEnvironmentError {
    /// Its documents are between two releases.
    #[error(
        "the documents are being migrated for {0}, or back: copy them once its rollout is promoted or they are back (weir rollout status)"
    )]
    Migrating(String),
    /// The documents cannot be copied.
    #[error("the documents cannot be copied: {0}")]
    Documents(#[from] CopyError),
    /// The bundle cannot be read or kept.
    #[error("the bundle of the active release cannot be copied: {0}")]
    Bundle(#[from] KeptError),
    /// Nor the documents of clients.
    #[error("the trusted documents cannot be copied: {0}")]
    Trusted(#[from] TrustError),
    /// The control plane cannot.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<Poisoned> for CopyEnvironmentError {
    fn from(stopped: Poisoned) -> Self {
        Self::Control(stopped.into())
    }
}

/// The active release of a state, `None`: nothing is deployed; and where calls went.
fn active(source: &Source) -> Result<(Option<ReleaseRecord>, Traffic), ControlError> {
    let known = source.control_all(ControlKind::Releases)?;
    let known: Vec<ReleaseRecord> = known.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
    let traffic: Traffic = match source.control(&ControlKey::Traffic)? {
        Some(text) => parse(&text)?,
        None => before_rollouts(known.clone()),
    };
    Ok((known.into_iter().find(|release| Some(release.sequence) == traffic.active()), traffic))
}

/// Looks whether all documents have the types of the active release.
fn are_of(source: &Source, release: Option<&ReleaseRecord>) -> Result<(), CopyEnvironmentError> {
    let Some(text) = source.control(&ControlKey::Migration)? else { return Ok(()) };
    let record: MigrationRecord = parse(&text)?;
    // Once the release is active that can still be undone there. A copy goes on from what the documents are.
    let name = release.map(|release| format!("{} {}", release.app, release.version));
    let is_done = record.direction == MigrationDirection::Up && record.is_over;
    if is_done && name.as_ref() == Some(&record.release) {
        return Ok(());
    }
    Err(CopyEnvironmentError::Migrating(record.release))
}

/// Fills the empty store of an environment with what another one has now, which is that of the app or of another of its environments.
/// Commits go on there meanwhile.
pub async fn copy(
    from: &Store,
    environment: Option<EnvironmentName>,
    to: &Store,
    watch: Watch,
) -> Result<CopiedFrom, CopyEnvironmentError> {
    let source = from.source()?;
    let (release, traffic) = active(&source)?;
    are_of(&source, release.as_ref())?;
    // What others have written is here too, and need not have the types of the active one: a release to come has to look.
    let mut strays = traffic.strays.clone();
    for (beside, _) in traffic.beside() {
        if !strays.contains(&beside) {
            strays.push(beside);
        }
    }
    let bundle = release.as_ref().map(|release| kept_bundles::read(from, release)).transpose()?;
    let keys = source.control_all(ControlKind::SigningKeys)?;
    let trusted = trusted::stored(from)?;
    let copied = source.copy_to(to, watch).await?;
    let operator = Actor::operator();
    trusted::push_stored(to, &operator, trusted).await?;
    change(to, &operator, |transaction| {
        let mut targets = vec![format!("commit {}", copied.sequence), format!("{} documents", copied.documents())];
        for key in &keys {
            let record: SigningKeyRecord = parse(key)?;
            transaction.put_control(&ControlKey::SigningKey(record.id), Some(key.clone()));
        }
        if let Some((release, bundle)) = release.as_ref().zip(bundle.as_ref()) {
            transaction.put_control(&ControlKey::Release(release.sequence), Some(text(release)));
            kept_bundles::put(to, transaction, release, bundle)?;
            let (promoted, strays) = (vec![release.sequence], strays.clone());
            let traffic = Traffic { promoted, strays, ..Traffic::default() };
            transaction.put_control(&ControlKey::Traffic, Some(text(&traffic)));
            targets.push(format!("{} {}", release.app, release.version));
        }
        Ok::<_, CopyEnvironmentError>(Changed::new((), "copyEnvironment", targets))
    })
    .await?;
    Ok(CopiedFrom { environment, sequence: copied.sequence, documents: copied.documents() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};
    use weir_schema::tenant::InstanceName;
    use weir_store::progress::unwatched;

    use super::super::tests::{AT_ONCE, Bench, answering, bundle};
    use super::super::{keys, releases, tenants};
    use super::*;
    use crate::bundle::key::SigningKey;
    use crate::rollouts::statements;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_copy_runs_the_release_that_was_active_and_goes_its_own_way() {
        let (app, key) = (Bench::new(), SigningKey::generate().unwrap());
        app.trust(&key).await;
        app.deploy(&bundle(&key, &answering("1.0.0", 1), 10)).await.unwrap();
        app.deploy(&bundle(&key, &answering("1.1.0", 2), 20)).await.unwrap();
        app.call("add", json!({ "n": 7 })).await;
        let documents = BTreeMap::from([("q".to_owned(), "{ answer }".to_owned())]);
        trusted::push_stored(&app.store, &Actor::operator(), documents.clone()).await.unwrap();
        let hold = weir_schema::rollout::Strategy::BlueGreen { hold: true };
        let newer = bundle(&key, &answering("1.2.0", 3), 30);
        app.engine.deploy(&newer, hold, &Actor::operator(), &|_| Ok(())).await.unwrap();

        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), weir_store::Options::default()).unwrap();
        let name: InstanceName = "+staging".parse().unwrap();
        tenants::be_named(&store, &name).await.unwrap();
        let copied = copy(&app.store, None, &store, unwatched()).await.unwrap();
        assert_eq!((copied.environment, copied.documents), (None, 1));
        store.close().await;
        drop(store);

        // It is verified there as what it was signed for: the app, in whatever environment.
        let copy = Bench::open(folder);
        copy.engine.restore(&|_| Ok(())).await.unwrap();
        assert_eq!(copy.answer().await, json!(2));
        let known: Vec<u64> = releases::list(&copy.store).unwrap().iter().map(|release| release.sequence).collect();
        assert_eq!(known, [20], "the others are not here");
        assert_eq!(keys::list(&copy.store).unwrap(), keys::list(&app.store).unwrap());
        assert_eq!(trusted::stored(&copy.store).unwrap(), documents);
        let audit = copy.audit();
        let expected = [
            "operator nameStore +staging",
            "operator pushDocuments q",
            &format!("operator copyEnvironment commit {} 1 documents shop 1.1.0", copied.sequence),
        ];
        assert_eq!(audit.lines().take(3).collect::<Vec<_>>(), expected);
        // The same bundle goes from one to the other, and each has its own state.
        copy.engine.deploy(&newer, AT_ONCE, &Actor::operator(), &|_| Ok(())).await.unwrap();
        assert_eq!((copy.answer().await, app.answer().await), (json!(3), json!(2)));
        // So what is stated of it is signed by a key of its own, and names the environment.
        let key = statements::public_key(&copy.store).unwrap();
        assert_ne!(key, statements::public_key(&app.store).unwrap());
        let stated = statements::verify(statements::of(&copy.store, 1).unwrap().last().unwrap(), &key).unwrap();
        assert_eq!((stated.tenant, stated.environment.as_deref()), (None, Some("staging")));
        copy.call("add", json!({ "n": 8 })).await;
        let count = |bench: &Bench| {
            let scan = weir_store::Scan::default();
            bench.store.begin().unwrap().scan("items", &scan).unwrap().rows.len()
        };
        assert_eq!((count(&copy), count(&app)), (2, 1));
        let _: Value = app.call("add", json!({ "n": 9 })).await;
        for bench in [app, copy] {
            bench.engine.close().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn documents_between_two_releases_are_not_copied_and_those_of_others_are_remembered() {
        let (app, key) = (Bench::new(), SigningKey::generate().unwrap());
        app.trust(&key).await;
        app.deploy(&bundle(&key, &answering("1.0.0", 1), 10)).await.unwrap();
        let steps =
            vec![weir_schema::rollout::Step { share: weir_schema::rollout::Share::of(5_000).unwrap(), for_ms: None }];
        let canary = weir_schema::rollout::Strategy::Canary { steps };
        let newer = bundle(&key, &answering("1.1.0", 2), 20);
        app.engine.deploy(&newer, canary, &Actor::operator(), &|_| Ok(())).await.unwrap();
        let copied = async |migration: Option<(&str, MigrationDirection, bool)>| {
            let record = migration.map(|(release, direction, is_over)| {
                let collections = BTreeMap::new();
                text(&MigrationRecord { release: release.to_owned(), direction, is_over, collections })
            });
            change(&app.store, &Actor::operator(), |transaction| {
                transaction.put_control(&ControlKey::Migration, record.clone());
                Ok::<_, ControlError>(Changed::new((), "migrate", Vec::new()))
            })
            .await
            .unwrap();
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("data"), weir_store::Options::default()).unwrap();
            let copied = copy(&app.store, None, &store, unwatched()).await;
            let traffic = releases::traffic(&store).unwrap();
            store.close().await;
            copied.map(|_| (traffic.promoted, traffic.strays)).map_err(|error| error.to_string())
        };
        // What calls go to beside the active one has written too.
        assert_eq!(copied(None).await, Ok((vec![10], vec![20])));
        let refused = |release: &str| {
            Err(format!(
                "the documents are being migrated for {release}, or back: copy them once its rollout is promoted or they are back \
                 (weir rollout status)"
            ))
        };
        let (up, down) = (MigrationDirection::Up, MigrationDirection::Down);
        assert_eq!(copied(Some(("shop 1.0.0", up, true))).await, Ok((vec![10], vec![20])));
        for (release, direction, is_over) in [
            ("shop 1.0.0", up, false),
            ("shop 1.0.0", down, true),
            ("shop 1.1.0", up, true),
            ("shop 1.1.0", down, false),
        ] {
            assert_eq!(copied(Some((release, direction, is_over))).await, refused(release), "{direction:?} {is_over}");
        }
        app.engine.close().await;
    }
}

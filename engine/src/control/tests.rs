//! The control plane on a real store: what a bundle changes, what a refused one does not, who may do what, what is on record.

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_sandbox::App;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::codec::control::{Permission, ReleaseRecord};
use weir_schema::digest::Digest;
use weir_schema::rollout::{Event, Strategy};
use weir_store::progress::unwatched;
use weir_store::{ControlKey, ControlKind, Options, Store, Transaction};

use super::administrators::{self, Administrator};
use super::judge::Incompatible;
use super::keys::Validity;
use super::releases::{self, DeployError, read_traffic};
use super::{Actor, Changed, ControlError, change, keys};
use crate::Engine;
use crate::bundle::key::SigningKey;
use crate::bundle::sign::{Terms, pack, sign};
use crate::call::{Call, Caller};
use crate::engine::{ActivateError, RESULTS_BYTES_MAX, Runs};
use crate::rollouts::conduct::{self, Guarded};
use crate::usage;

pub(crate) const AT_ONCE: Strategy = Strategy::BlueGreen { hold: false };

pub(crate) const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Item { n: Int }
export const items = collection<Item>();
"#;

pub(crate) fn sources(version: &str, collections: &str, functions: &str) -> Sources {
    let manifest = format!("name = \"shop\"\nversion = \"{version}\"\n");
    let functions = format!(
        "import {{ procedure, query, type Int }} from \"weir\";\nimport {{ items }} from \"../collections\";\n{functions}"
    );
    let texts = [("app.toml", manifest.as_str()), ("collections.ts", collections), ("functions/f.ts", &functions)];
    Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())))
}

pub(crate) fn answering(version: &str, answer: u32) -> Sources {
    let add = "export const add = procedure((args: { n: Int }): Int => { items.insert(args); return args.n; });";
    sources(version, COLLECTIONS, &format!("{add}\nexport const answer = query((): Int => {answer});"))
}

pub(crate) fn bundle(key: &SigningKey, sources: &Sources, sequence: u64) -> Vec<u8> {
    let manifest = weir_schema::manifest::parse(sources.text("app.toml").unwrap()).unwrap();
    let terms = Terms { tenant: None, sequence, expires_ms: u64::MAX };
    sign(&pack(sources).unwrap(), &manifest, terms, std::slice::from_ref(key)).unwrap()
}

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    pub(crate) fn open(folder: TempDir) -> Self {
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let pool = PoolOptions::default();
        let engine = Engine::start_with(store.clone(), pool, None, RESULTS_BYTES_MAX, Runs::SignedBundles).unwrap();
        Self { folder, store, engine }
    }

    pub(crate) async fn reopened(self) -> Self {
        let Self { folder, store, engine } = self;
        engine.close().await;
        drop((engine, store));
        Self::open(folder)
    }

    pub(crate) async fn trust(&self, key: &SigningKey) {
        keys::trust(&self.store, &Actor::operator(), key.public(), Validity::default()).await.unwrap();
    }

    pub(crate) async fn deploy(&self, bundle: &[u8]) -> Result<bool, DeployError> {
        let deployed = self.engine.deploy(bundle, AT_ONCE, &Actor::operator(), &|_| Ok(())).await;
        deployed.map(|deployed| deployed.was_active)
    }

    pub(crate) async fn call(&self, function: &str, arguments: Value) -> Value {
        let release = self.engine.releases().borrow().clone().unwrap();
        let answer = self.engine.call(&release, &Caller::Anonymous, function, arguments).await;
        answer.unwrap().value.take()
    }

    pub(crate) async fn answer(&self) -> Value {
        self.call("answer", Value::Null).await
    }

    /// All that the control plane has on record, as lines.
    pub(crate) fn audit(&self) -> String {
        let line = |record: weir_schema::codec::audit::AuditRecord| {
            format!("{} {} {}\n", record.actor, record.action, record.targets.join(" "))
        };
        self.store.audit(0, 1_000).unwrap().into_iter().map(line).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_bundle_is_served_also_after_a_restart() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    assert_eq!(bench.engine.restore(&|_| Ok(())).await.unwrap(), None);
    let first = bundle(&key, &answering("1.0.0", 1), 10);
    assert!(!bench.deploy(&first).await.unwrap());
    assert!(bench.deploy(&first).await.unwrap(), "it is the one that is active");
    assert_eq!(bench.answer().await, json!(1));
    assert!(!bench.deploy(&bundle(&key, &answering("1.1.0", 2), 11)).await.unwrap());
    assert_eq!(bench.answer().await, json!(2));
    let bench = bench.reopened().await;
    let restored = bench.engine.restore(&|_| Ok(())).await.unwrap().unwrap();
    assert_eq!((restored.version.as_str(), restored.sequence), ("1.1.0", 11));
    assert_eq!(bench.answer().await, json!(2));
    // What was downgraded to was good once.
    let refusal = bench.deploy(&first).await.unwrap_err().to_string();
    assert_eq!(
        refusal,
        "the bundle has sequence 10, and release 1.1.0 that is active has 11: sign it anew, so that it is newer"
    );
    // So it is signed anew to be rolled back to.
    bench.deploy(&bundle(&key, &answering("1.0.0", 1), 12)).await.unwrap();
    assert_eq!(bench.answer().await, json!(1));
    let versions: Vec<String> =
        releases::list(&bench.store).unwrap().into_iter().map(|release| release.version).collect();
    assert_eq!(versions, ["1.0.0", "1.1.0", "1.0.0"]);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_changes_nothing() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    bench.deploy(&bundle(&key, &answering("1.0.0", 1), 10)).await.unwrap();
    for _ in 0..2 {
        bench.call("add", json!({ "n": 7 })).await;
    }
    let known = async || {
        let data = bench.store.verify(unwatched()).await.unwrap();
        (releases::list(&bench.store).unwrap(), data.collections, data.indexes, data.index_entries, data.documents)
    };
    let before = known().await;
    let refused = async |sources: &Sources, expected: Expect| {
        let refusal = bench.deploy(&bundle(&key, sources, 20)).await.unwrap_err().to_string();
        let said = refusal.lines().take(2).collect::<Vec<_>>().join(" ");
        // Which documents stand against each other is another thing each time.
        expected.assert_eq(said.split(": items ").next().unwrap().trim_end());
        assert_eq!(known().await, before);
        assert_eq!(bench.answer().await, json!(1));
    };
    refused(
        &sources("2.0.0", COLLECTIONS, "export const answer = query((): Elsewhere => 1);"),
        expect![
            "the app of the bundle has mistakes, as this version of weir sees it: error: there is no type `Elsewhere`"
        ],
    )
    .await;
    let throwing =
        "const broken = ((): Int => { throw new Error(\"no\"); })();\nexport const answer = query((): Int => broken);";
    refused(&sources("2.0.0", COLLECTIONS, throwing), expect!["the app cannot become active: no"]).await;
    let unique = COLLECTIONS.replace("collection<Item>()", "collection<Item>({ unique: [\"n\"] })");
    refused(
        &sources("2.0.0", &unique, "export const answer = query((): Int => 2);"),
        expect!["the app cannot become active: a new unique index is violated"],
    )
    .await;
    let denied = bench
        .engine
        .deploy(&bundle(&key, &answering("2.0.0", 2), 20), AT_ONCE, &Actor::operator(), &|_: &App| Err("no".to_owned()))
        .await;
    assert_eq!(denied.unwrap_err().to_string(), "the app cannot be served: no");
    // Somebody signs one app as another.
    let manifest = weir_schema::manifest::parse("name = \"shop\"\nversion = \"9.0.0\"\n").unwrap();
    let terms = Terms { tenant: None, sequence: 20, expires_ms: u64::MAX };
    let mislabelled =
        sign(&pack(&answering("2.0.0", 2)).unwrap(), &manifest, terms, std::slice::from_ref(&key)).unwrap();
    assert_eq!(
        bench.deploy(&mislabelled).await.unwrap_err().to_string(),
        "the bundle is signed as shop 9.0.0, and its app.toml says shop 2.0.0: build it anew"
    );
    assert_eq!(known().await, before);
    assert_eq!(bench.answer().await, json!(1));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_that_nobody_has_signed() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    let app = compile(&answering("1.0.0", 1)).unwrap();
    assert!(matches!(bench.engine.activate(app.clone()).await, Err(ActivateError::Unsigned)));
    let signed = bundle(&key, &answering("1.0.0", 1), 1);
    let refusal = bench.deploy(&signed).await.unwrap_err().to_string();
    assert!(refusal.contains("which is not trusted here: weir keys trust FILE"), "{refusal}");
    bench.trust(&key).await;
    bench.deploy(&signed).await.unwrap();
    // A key that is revoked counts no more, also for what is deployed already.
    let id = key.public().id().to_string();
    keys::revoke(&bench.store, &Actor::operator(), &id).await.unwrap();
    let bench = bench.reopened().await;
    let refusal = bench.engine.restore(&|_| Ok(())).await.unwrap_err().to_string();
    assert_eq!(refusal, format!("the bundle is signed by key {id}, which was revoked: sign it with another"));
    assert!(bench.engine.releases().borrow().is_none());
    let again =
        keys::trust(&bench.store, &Actor::operator(), key.public(), Validity::default()).await.unwrap_err().to_string();
    assert!(again.contains("is never trusted again"), "{again}");
    bench.engine.close().await;
    // Who develops runs what they like, and nothing is deployed there.
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    engine.activate(app).await.unwrap();
    let refused = engine.deploy(&signed, AT_ONCE, &Actor::operator(), &|_| Ok(())).await;
    assert!(matches!(refused, Err(DeployError::Develops)));
    engine.close().await;
}

/// Of more releases than are kept those go first that nobody would go back to, and nobody is led to one that has gone.
#[tokio::test]
async fn what_was_never_active_is_forgotten_first() {
    let bench = Bench::new();
    let put = async |sequence: u64, event: Event| {
        let record = ReleaseRecord {
            app: "shop".to_owned(),
            tenant: None,
            version: format!("{sequence}.0.0"),
            sequence,
            digest: Digest::of(b"content"),
            signers: Vec::new(),
            deployed_ms: 0,
            deployed_by: "ada".to_owned(),
        };
        releases::keep(&bench.store, &Actor::operator(), &record, b"bundle", (0, (&AT_ONCE, Guarded::default()), &[]))
            .await
            .unwrap();
        let after = |transaction: &mut Transaction| {
            let moved = read_traffic(transaction)?.after(&event, 0).unwrap();
            conduct::put(transaction, &moved);
            Ok::<_, ControlError>(Changed::new((), "advanceRollout", Vec::new()))
        };
        change(&bench.store, &Actor::operator(), after).await.unwrap();
        let kept: Vec<u64> = releases::list(&bench.store).unwrap().iter().map(|release| release.sequence).collect();
        (kept, releases::traffic(&bench.store).unwrap().promoted)
    };
    for sequence in 1..=99 {
        put(sequence, Event::Prepared).await;
    }
    let (kept, _) = put(100, Event::Failed { why: "it fails".to_owned() }).await;
    assert_eq!((kept.len(), kept[0]), (100, 1));
    let (kept, promoted) = put(101, Event::Prepared).await;
    assert_eq!((kept.len(), kept[0], kept.contains(&100), promoted[0]), (100, 1, false, 1));
    let (kept, promoted) = put(102, Event::Prepared).await;
    assert_eq!((kept[0], &promoted), (2, &kept));
    bench.engine.close().await;
}

/// A deployment is over when what is asked is asked of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_ends_when_it_is_served() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    // Nobody serves: nothing is waited for.
    bench.deploy(&bundle(&key, &answering("1.0.0", 1), 1)).await.unwrap();
    let serving = bench.engine.serving();
    let next = async |sequence: u64| {
        let (engine, signed) = (bench.engine.clone(), bundle(&key, &answering("1.0.1", 2), sequence));
        let (mut loaded, before) =
            (engine.loaded(), engine.releases().borrow().as_ref().map(|release| release.number()));
        loaded.borrow_and_update();
        let deploying =
            tokio::spawn(async move { engine.deploy(&signed, AT_ONCE, &Actor::operator(), &|_| Ok(())).await });
        loaded.changed().await.unwrap();
        let number = loaded.borrow().last().unwrap().number();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!deploying.is_finished(), "it is loaded, and not served");
        assert_eq!(bench.engine.releases().borrow().as_ref().map(|release| release.number()), before);
        (deploying, number)
    };
    let (deploying, number) = next(2).await;
    serving.has_come_to(number);
    assert!(!deploying.await.unwrap().unwrap().was_active);
    // Who serves has gone in the middle.
    let (deploying, _) = next(3).await;
    drop(serving);
    assert!(deploying.await.unwrap().is_ok());
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_on_record_and_a_refused_bundle_too() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    let store = &bench.store;
    let root = administrators::bootstrap(store, "root").await.unwrap();
    let root = administrators::authenticate(store, root.reveal()).unwrap().unwrap();
    administrators::create(store, &root.actor(None), &root.permissions, "ci", &[Permission::Deploy]).await.unwrap();
    bench.trust(&key).await;
    let signed = bundle(&key, &answering("1.0.0", 1), 10);
    bench.engine.deploy(&signed, AT_ONCE, &root.actor(None), &|_| Ok(())).await.unwrap();
    administrators::revoke(store, &root.actor(None), &root.permissions, "ci").await.unwrap();
    let id = key.public().id().to_string();
    keys::revoke(store, &root.actor(None), &id).await.unwrap();
    // Nothing comes of these.
    administrators::bootstrap(store, "other").await.unwrap_err();
    administrators::revoke(store, &root.actor(None), &root.permissions, "ci").await.unwrap_err();
    keys::revoke(store, &root.actor(None), &id).await.unwrap_err();
    bench.deploy(&bundle(&key, &answering("1.0.1", 1), 11)).await.unwrap_err();
    let digest = releases::list(store).unwrap()[0].digest.to_string();
    expect![[r#"
        operator bootstrap root read deploy keys administrators audit erase tenants environments
        administrator root createAdministrator ci deploy
        operator trustKey KEY
        administrator root deploy shop 1.0.0 10 DIGEST signed by KEY rollout 1, blue-green
        administrator root promoteRollout rollout 1 shop 1.0.0 to shop 1.0.0
        administrator root revokeAdministrator ci
        administrator root revokeKey KEY
    "#]]
    .assert_eq(&bench.audit().replace(&id, "KEY").replace(&digest, "DIGEST"));
    let bench = bench.reopened().await;
    let refused = bench.store.audit(7, 10).unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].action.as_str(), refused[0].times), ("deploy", None));
    assert!(refused[0].outcome.as_ref().unwrap().contains("which was revoked"), "{refused:?}");
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_have_tokens_that_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
    let known = |token: &str| administrators::authenticate(&store, token).unwrap();
    let root = administrators::bootstrap(&store, "root").await.unwrap();
    let token = root.reveal();
    assert!(token.starts_with("weir_admin_") && token.len() == "weir_admin_".len() + 43, "256 bits");
    let root = known(token).unwrap();
    assert_eq!(root, Administrator { name: "root".to_owned(), permissions: Permission::ALL.to_vec() });
    for other in ["", "weir_admin_", "root", &token[1..], &token[..token.len() - 1], &format!("{token}x")] {
        assert_eq!(known(other), None, "{other}");
    }
    assert_eq!(administrators::instance_of(token), None);
    let refused = async |by: Option<&Administrator>, name: &str, permissions: &[Permission]| {
        let has = by.map_or(Permission::ALL.to_vec(), |by| by.permissions.clone());
        administrators::create(&store, &Actor::operator(), &has, name, permissions).await.unwrap_err().to_string()
    };
    let makes = [Permission::Administrators, Permission::Read];
    let maker = administrators::create(&store, &root.actor(None), &root.permissions, "maker", &makes).await.unwrap();
    let maker = known(maker.reveal()).unwrap();
    let all = &Permission::ALL;
    let table = [
        (
            refused(Some(&maker), "x", &[Permission::Deploy]).await,
            "you cannot give the permission deploy, which you do not have",
        ),
        (
            refused(None, "maker", all).await,
            "there is or was an administrator maker, and nobody gets the name of another: choose another one",
        ),
        (
            refused(None, "x", &[]).await,
            "an administrator has at least one permission: read, deploy, keys, administrators, audit, erase, tenants, environments",
        ),
        (
            refused(None, "a b", all).await,
            "\"a b\" is no name: use 1 to 64 letters, digits, hyphens, dots and underscores",
        ),
        (refused(None, "", all).await, "\"\" is no name: use 1 to 64 letters, digits, hyphens, dots and underscores"),
    ];
    for (said, expected) in table {
        assert_eq!(said, expected);
    }
    // Who may make administrators alone can end none who may do more.
    let strong = administrators::revoke(&store, &Actor::operator(), &maker.permissions, "root").await;
    assert_eq!(
        strong.unwrap_err().to_string(),
        "you cannot revoke root, who has the permission deploy, which you do not have"
    );
    assert!(known(token).is_some());
    administrators::revoke(&store, &Actor::operator(), all, "root").await.unwrap();
    assert_eq!(known(token), None);
    let names: Vec<String> = administrators::list(&store).unwrap().into_iter().map(|known| known.name).collect();
    assert_eq!(names, ["maker"]);
    // Nobody can look in the log like one who was, and nobody is the first again.
    assert!(refused(None, "root", all).await.starts_with("there is or was an administrator root, "));
    assert!(administrators::bootstrap(&store, "first").await.is_err());
    let gone = administrators::revoke(&store, &Actor::operator(), all, "root").await.unwrap_err().to_string();
    assert_eq!(gone, "there is no administrator root: weir admin token list shows those that there are");
    let last = administrators::revoke(&store, &Actor::operator(), all, "maker").await.unwrap_err().to_string();
    assert_eq!(last, "maker is the last who may make administrators: make another first");
    // Nothing in the store is a token, nor leads to one.
    let shown = format!("{:?}{:?}", administrators::list(&store).unwrap(), store.audit(0, 100).unwrap());
    assert!(!shown.contains("weir_admin_"), "{shown}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_of_an_older_folder_are_found_by_their_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = Store::open(&data, Options::default()).unwrap();
    let root = administrators::bootstrap(&store, "root").await.unwrap();
    // As format 2 had it: nothing leads from the token to the name.
    let mut transaction = store.begin().unwrap();
    let lookup = ControlKey::AdministratorToken(Digest::of(root.reveal().as_bytes()));
    transaction.put_control(&lookup, None);
    store.commit(transaction).await.unwrap();
    assert_eq!(administrators::authenticate(&store, root.reveal()).unwrap(), None);
    store.close().await;
    drop(store);
    let marker = std::fs::read_to_string(data.join("FORMAT")).unwrap();
    std::fs::write(data.join("FORMAT"), marker.replace("\"format\":4", "\"format\":2")).unwrap();
    let store = Store::open(&data, Options::default()).unwrap();
    assert_eq!(administrators::authenticate(&store, root.reveal()).unwrap().unwrap().name, "root");
    assert!(store.control_all(ControlKind::Instances).unwrap().is_empty());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_says_what_it_asks_of_clients_unless_somebody_insists() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    bench.deploy(&bundle(&key, &answering("1.0.0", 1), 1)).await.unwrap();

    // One version has one content, whoever insists; and may be signed anew.
    let other = bundle(&key, &answering("1.0.0", 2), 2);
    let insisting = async |bundle: &[u8]| {
        bench
            .engine
            .deploy_judged(bundle, (AT_ONCE, Incompatible::Forced, Guarded::default()), &Actor::operator(), &|_| Ok(()))
            .await
    };
    for refusal in [bench.deploy(&other).await.unwrap_err(), insisting(&other).await.unwrap_err()] {
        assert_eq!(
            refusal.to_string(),
            "version 1.0.0 is on record with another content, as sequence 1: raise the version in app.toml and build it anew"
        );
    }
    bench.deploy(&bundle(&key, &answering("1.0.0", 1), 3)).await.unwrap();

    // A function is gone.
    let without = |version: &str| sources(version, COLLECTIONS, "export const answer = query((): Int => 3);");
    bench.call("add", json!({ "n": 1 })).await;
    let refusal = bench.deploy(&bundle(&key, &without("1.1.0"), 4)).await.unwrap_err().to_string();
    expect![[r#"
        shop 1.1.0 breaks clients of 1.0.0, so its version has to be 2.0.0 or later: raise it in app.toml and build it anew, or insist (weir deploy --force)
        breaking function Mutation.add: Mutation.add was removed. It was called once in the last 30 days, last within a minute."#]]
    .assert_eq(&refusal);
    assert_eq!(bench.answer().await, json!(1), "what is refused changes nothing");
    insisting(&bundle(&key, &without("1.1.0"), 5)).await.unwrap();
    assert_eq!(bench.answer().await, json!(3));
    let audit = bench.audit();
    let line = audit.lines().find(|line| line.contains("shop 1.1.0 5")).unwrap();
    assert!(
        line.contains("forced, where 2.0.0 was asked for breaking function Mutation.add: Mutation.add was removed."),
        "{line}"
    );

    // What is older is refused, unless it is on record: then it is rolled back to.
    let refusal = bench.deploy(&bundle(&key, &answering("1.0.5", 4), 6)).await.unwrap_err().to_string();
    assert!(refusal.starts_with("shop 1.0.5 adds to 1.1.0, so its version has to be 1.2.0 or later"), "{refusal}");
    bench.deploy(&bundle(&key, &answering("1.0.0", 1), 7)).await.unwrap();
    assert_eq!(bench.answer().await, json!(1));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_while_nobody_serves_is_judged_by_the_bundle_that_is_kept() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    bench.deploy(&bundle(&key, &answering("1.0.0", 1), 1)).await.unwrap();
    bench.call("add", json!({ "n": 1 })).await;
    let bench = bench.reopened().await;
    let without = sources("1.0.1", COLLECTIONS, "export const answer = query((): Int => 3);");
    let refusal = bench.deploy(&bundle(&key, &without, 2)).await.unwrap_err();
    assert!(matches!(refusal, DeployError::Incompatible(_)), "{refusal}");
    assert!(refusal.to_string().contains("It was called once in the last 30 days"), "{refusal}");
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_clients_are_counted_whatever_brings_them() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    let functions = "export const outer = action(async (): Promise<Int> => call(answer, {}));\n\
                     export const answer = query((): Int => 1);\n\
                     export const add = procedure((args: { n: Int }): Int => { items.insert(args); return args.n; });\n\
                     export const hook = http.post(\"/hook\", action(async () => ({ status: 200 })));";
    let functions = format!("import {{ action, call, http }} from \"weir\";\n{functions}");
    bench.deploy(&bundle(&key, &sources("1.0.0", COLLECTIONS, &functions), 1)).await.unwrap();
    let release = bench.engine.releases().borrow().clone().unwrap();
    let (engine, caller) = (&bench.engine, &Caller::Anonymous);
    for _ in 0..2 {
        bench.call("answer", Value::Null).await;
    }
    // Kept results count too, and what the app calls itself does not.
    bench.call("outer", Value::Null).await;
    for atomic in [true, false] {
        let call = |n: u32| Call { function: "add".to_owned(), args: json!({ "n": n }) };
        engine.batch(&release, caller, vec![call(1), call(2)], atomic, |_| None).await.unwrap();
    }
    let _watch = engine.watch(&release, caller, "answer", Value::Null, None);
    let request = json!({ "method": "POST", "path": "/hook", "params": {}, "query": {}, "headers": {}, "body": "" });
    let _ = engine.answer(&release, 0, &request).await;
    // What is refused is no use of it.
    engine.call(&release, caller, "add", json!({ "n": "x" })).await.unwrap_err();
    engine.write_usage().await;
    let counted = usage::read(&bench.store, Some(1), engine.clock().now_ms()).unwrap();
    let counted: Vec<(String, u64)> = counted.iter().map(|(name, used)| (name.to_owned(), used.count)).collect();
    let expected = [("POST /hook", 1), ("add", 4), ("answer", 3), ("outer", 1)];
    assert_eq!(counted, expected.map(|(name, count)| (name.to_owned(), count)));
    bench.engine.close().await;
}

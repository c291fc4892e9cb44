//! A rollout prepares the data: what a deployment changes of it, what a refused one does not, what a rollback undoes, wherever the
//! server ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_sandbox::compile::Sources;
use weir_schema::error::ErrorCode;
use weir_schema::rollout::{Compared, Event, Phase, Share, Step, Strategy, Variant};
use weir_store::Store;

use super::super::convert::Converter;
use super::super::migrate::Migrating;
use super::{BASE, DOWN, Down, SPLIT, UP, Up, app, check_split, splitting, stored, times};
use crate::bundle::key::SigningKey;
use crate::call::{CallError, Caller};
use crate::control::releases::{self, DeployError};
use crate::control::tests::{AT_ONCE, Bench, bundle};
use crate::control::{Actor, Changed, change};
use crate::import::import;
use crate::release::Release;
use crate::rollouts::conduct::{self, put};

const MIGRATION: &str = "[migration.customers]\nup = \"up\"\ndown = \"down\"\n";

/// A server with the release 1.0.0, sequence 10, and so many customers.
async fn filled(count: usize) -> (Bench, SigningKey) {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    bench.deploy(&bundle(&key, &app("1.0.0", BASE, "", ""), 10)).await.unwrap();
    let customer = |n: usize| json!({ "id": format!("c{n:03}"), "name": format!("A{n} B{n}"), "tier": "pro" });
    let customers: Vec<Value> = (0..count).map(customer).collect();
    import(&bench.engine, &loaded(&bench, 10), "customers", &customers).await.unwrap();
    (bench, key)
}

fn loaded(bench: &Bench, sequence: u64) -> Arc<Release> {
    bench.engine.loaded_as(sequence).unwrap()
}

fn active(bench: &Bench) -> Option<u64> {
    bench.engine.traffic().borrow().active().and_then(|release| release.sequence())
}

async fn deploy(bench: &Bench, key: &SigningKey, sources: &Sources, sequence: u64) -> Result<(), String> {
    bench.deploy(&bundle(key, sources, sequence)).await.map(drop).map_err(|error| error.to_string())
}

async fn roll_back(bench: &Bench) {
    let back = Event::RollBack { why: "it is slow".to_owned() };
    bench.engine.roll(back, &Actor::operator()).await.unwrap();
}

async fn edit(bench: &Bench, sequence: u64, how: &str, id: &str, value: Value) -> Result<(), CallError> {
    let arguments = json!({ "how": how, "id": id, "value": value });
    bench.engine.call(&loaded(bench, sequence), &Caller::Developer, "edit", arguments).await.map(drop)
}

/// Waits for what the engine does by itself.
async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..2_400 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not become so");
}

async fn undone(bench: &Bench) {
    until(|| bench.engine.migration_status().unwrap().is_none()).await;
}

fn is_split(documents: &BTreeMap<String, String>) -> bool {
    documents.values().any(|text| text.contains("first"))
}

fn last_phase(store: &Store) -> Option<Phase> {
    conduct::ended(store).unwrap().pop().map(|rollout| rollout.phase)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_deployed_with_its_migration_and_taken_back_with_it() {
    let (bench, key) = filled(120).await;
    let before = stored(&bench.store);
    deploy(&bench, &key, &splitting("2.0.0"), 20).await.unwrap();
    assert_eq!(active(&bench), Some(20));
    let after = stored(&bench.store);
    check_split(&after);
    assert_eq!((after.len(), times(&after, "c000"), times(&after, "c119")), (120, Some(1), Some(1)));
    // The release before goes on for whoever stays on it.
    edit(&bench, 10, "insert", "-", json!({ "name": "Late Comer" })).await.unwrap();
    let with_it = stored(&bench.store);
    check_split(&with_it);
    let late = with_it.into_keys().find(|id| !before.contains_key(id)).unwrap();

    roll_back(&bench).await;
    assert_eq!(active(&bench), Some(10), "before anything is undone");
    undone(&bench).await;
    edit(&bench, 10, "delete", &late, json!(null)).await.unwrap();
    assert_eq!(stored(&bench.store), before);

    // Once more, and for good: nothing is undone any more when the next one is ready.
    bench.engine.start_rollout(20, AT_ONCE, &Actor::operator()).await.unwrap();
    check_split(&stored(&bench.store));
    deploy(&bench, &key, &app("3.0.0", SPLIT, "", ""), 30).await.unwrap();
    assert_eq!(bench.engine.migration_status().unwrap(), None);
    roll_back(&bench).await;
    assert_eq!(active(&bench), Some(20));
    check_split(&stored(&bench.store));
    let audit = bench.audit();
    let migrations: Vec<&str> = audit.lines().filter(|line| line.contains("migration.")).collect();
    assert_eq!(
        migrations,
        [
            "operator migration.begin shop 2.0.0 up",
            "operator migration.end shop 2.0.0 up customers: 120 of 120 changed",
            "weir migration.begin shop 2.0.0 down",
            "weir migration.end shop 2.0.0 down customers: 121 of 121 changed",
            "operator migration.begin shop 2.0.0 up",
            "operator migration.end shop 2.0.0 up customers: 120 of 120 changed",
            "operator migration.keep shop 2.0.0",
        ]
    );
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_ready_is_given_up_and_nothing_is_changed() {
    let (bench, key) = filled(130).await;
    let before = stored(&bench.store);
    let narrow = r#"export interface Customer { name: string; tier?: "free"; note?: string }"#;
    let one_throws =
        UP.replace("const [first", "if (customer.id === \"c120\") throw new Error(\"no such name\");\n  const [first");
    let failing = "export const selfTest = query((): string => { throw new Error(\"I am not well\"); });";
    let table = [
        (
            app("2.0.0", narrow, "", ""),
            r#"the release does not take over: the data does not fit shop 2.0.0: 130 of customers: customers.tier: expected "free", got "pro" (c000, c001, c002 and 127 more); migrate these documents first, or have the release keep what they have"#,
        ),
        (
            app("3.0.0", SPLIT, &format!("{one_throws}{DOWN}"), MIGRATION),
            "the release does not take over: the documents cannot be migrated: up of shop 3.0.0: no such name; mend the migration and deploy it as another version",
        ),
        (
            app(
                "4.0.0",
                SPLIT,
                &format!("{UP}{DOWN}{failing}"),
                &format!("{MIGRATION}[rollout]\nchecks = [\"selfTest\"]\n"),
            ),
            "the release does not take over: its check selfTest fails: I am not well; mend the app and deploy it as another version",
        ),
    ];
    for (sequence, (sources, message)) in (20..).zip(table) {
        let refused = deploy(&bench, &key, &sources, sequence).await.unwrap_err();
        assert_eq!(refused, message);
        assert!(matches!(last_phase(&bench.store), Some(Phase::Failed { .. })));
        assert_eq!((active(&bench), bench.engine.loaded_as(sequence).is_none()), (Some(10), true));
        assert_eq!(stored(&bench.store), before);
        assert_eq!(bench.engine.migration_status().unwrap(), None);
        // Nobody is held to what it has asked for.
        edit(&bench, 10, "patch", "c000", json!({ "tier": "free" })).await.unwrap();
        edit(&bench, 10, "patch", "c000", json!({ "tier": "pro" })).await.unwrap();
    }
    // A check that goes well.
    let well = failing.replace("throw new Error(\"I am not well\")", "return \"well\"");
    let sources = app("5.0.0", BASE, &well, "[rollout]\nchecks = [\"selfTest\"]\n");
    deploy(&bench, &key, &sources, 23).await.unwrap();
    assert_eq!(active(&bench), Some(23));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_releases_before_are_held_to_the_types_of_those_that_came_after() {
    let (bench, key) = filled(0).await;
    import(&bench.engine, &loaded(&bench, 10), "customers", &[json!({ "id": "a", "name": "x" })]).await.unwrap();
    let narrow = r#"export interface Customer { name: string; tier?: "free"; note?: string }"#;
    let canary = Strategy::Canary { steps: vec![Step { share: Share::of(5_000).unwrap(), for_ms: None }] };
    let signed = bundle(&key, &app("2.0.0", narrow, "", ""), 20);
    bench.engine.deploy(&signed, canary, &Actor::operator(), &|_| Ok(())).await.unwrap();
    let pro = || json!({ "tier": "pro" });
    let check_held = async |bench: &Bench| {
        let refused = edit(bench, 10, "patch", "a", pro()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unavailable);
        assert!(refused.message.contains("release shop 2.0.0 could not read it"), "{}", refused.message);
    };
    check_held(&bench).await;
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    check_held(&bench).await;
    bench.engine.roll(Event::Promote, &Actor::operator()).await.unwrap();
    check_held(&bench).await;
    // The release before comes back after a start, for whoever stays on it.
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    until(|| bench.engine.loaded_as(10).is_some()).await;
    check_held(&bench).await;
    roll_back(&bench).await;
    edit(&bench, 10, "patch", "a", pro()).await.unwrap();
    // What was written meanwhile is found when it is rolled out again.
    let refused = bench.engine.start_rollout(20, AT_ONCE, &Actor::operator()).await.unwrap_err().to_string();
    assert!(refused.contains("1 of customers: customers.tier"), "{refused}");
    edit(&bench, 10, "patch", "a", json!({ "tier": "free" })).await.unwrap();
    bench.engine.start_rollout(20, AT_ONCE, &Actor::operator()).await.unwrap();
    assert_eq!(active(&bench), Some(20));
    bench.engine.close().await;
}

/// Rolls a release out to half of the callers.
async fn canary(bench: &Bench, key: &SigningKey, sources: &Sources, sequence: u64) {
    let canary = Strategy::Canary { steps: vec![Step { share: Share::of(5_000).unwrap(), for_ms: None }] };
    bench.engine.deploy(&bundle(key, sources, sequence), canary, &Actor::operator(), &|_| Ok(())).await.unwrap();
}

const NARROW: &str = r#"export interface Customer { name: string; tier?: "free"; note?: string }"#;
const WIDER: &str = r#"export interface Customer { name: string; tier?: "free" | "pro" | "void"; note?: string }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_not_held_to_the_types_of_those_before_it() {
    let (bench, key) = filled(0).await;
    deploy(&bench, &key, &app("2.0.0", NARROW, "", ""), 20).await.unwrap();
    canary(&bench, &key, &app("3.0.0", WIDER, "", ""), 30).await;
    edit(&bench, 30, "insert", "-", json!({ "name": "x", "tier": "void" })).await.unwrap();
    // The one before the active one still is held to it.
    let refused = edit(&bench, 10, "insert", "-", json!({ "name": "x", "tier": "pro" })).await.unwrap_err();
    assert!(refused.message.contains("release shop 2.0.0 could not read it"), "{}", refused.message);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_has_the_name_of_another_is_not_taken_for_it() {
    let (bench, key) = filled(0).await;
    deploy(&bench, &key, &app("2.0.0", WIDER, "", ""), 20).await.unwrap();
    // To go back it is signed anew.
    deploy(&bench, &key, &app("1.0.0", BASE, "", ""), 30).await.unwrap();
    assert_eq!((active(&bench), loaded(&bench, 10).name()), (Some(30), loaded(&bench, 30).name()));
    let refused = edit(&bench, 20, "insert", "-", json!({ "name": "x", "tier": "void" })).await.unwrap_err();
    assert!(refused.message.contains("release shop 1.0.0 could not read it"), "{}", refused.message);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_and_still_runs_writes_nothing_that_the_active_release_could_not_read() {
    let (bench, key) = filled(3).await;
    let before = stored(&bench.store);
    let full = r#"export interface Customer { name?: string; tier?: "free" | "pro"; note?: string; full: string }"#;
    let functions = r#"
export const up = procedure((args: { documents: JSON[] }): JSON[] =>
  (args.documents as any[]).map((customer) => ({ ...customer, full: customer.name })));
export const down = procedure((args: { documents: JSON[] }): JSON[] =>
  (args.documents as any[]).map(({ full, ...customer }) => ({ ...customer, name: full })));"#;
    deploy(&bench, &key, &app("2.0.0", full, functions, MIGRATION), 20).await.unwrap();
    let wide = json!({ "full": "Late Comer" });
    edit(&bench, 20, "insert", "-", wide.clone()).await.unwrap();
    roll_back(&bench).await;
    undone(&bench).await;
    // As an action that has begun before.
    let refused = edit(&bench, 20, "insert", "-", wide.clone()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(refused.message.contains("release shop 1.0.0 could not read it: customers.name"), "{}", refused.message);
    edit(&bench, 20, "insert", "-", json!({ "full": "Late Comer", "name": "Late Comer" })).await.unwrap();
    let read = bench.engine.call(&loaded(&bench, 10), &Caller::Developer, "all", json!({})).await.unwrap();
    assert_eq!(read.value.take().as_array().map(Vec::len), Some(before.len() + 2));
    // Where it is rolled out again it writes what it declares.
    bench.engine.start_rollout(20, AT_ONCE, &Actor::operator()).await.unwrap();
    edit(&bench, 20, "insert", "-", wide).await.unwrap();
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_while_a_deployment_waits_is_undone_by_it() {
    let (bench, key) = filled(3).await;
    let before = stored(&bench.store);
    deploy(&bench, &key, &splitting("2.0.0"), 20).await.unwrap();
    deploy_after_a_rollback(&bench, &bundle(&key, &app("2.1.0", BASE, "", ""), 30)).await;
    assert_eq!((active(&bench), stored(&bench.store)), (Some(30), before));
    assert_eq!(bench.engine.migration_status().unwrap(), None);
    assert!(!bench.audit().contains("migration.keep"), "{}", bench.audit());
    bench.engine.close().await;
}

/// As where a rollback comes while a deployment compiles: that one has the lock of deployments.
async fn deploy_after_a_rollback(bench: &Bench, signed: &[u8]) {
    let lock = bench.engine.deploying().lock().await;
    let (engine, signed) = (bench.engine.clone(), signed.to_vec());
    let deploying = tokio::spawn(async move {
        let deployed = engine.deploy(&signed, AT_ONCE, &Actor::operator(), &|_| Ok(())).await;
        deployed.map(drop).map_err(|error| error.to_string())
    });
    // It waits for the lock before whoever undoes migrations does.
    tokio::time::sleep(Duration::from_millis(100)).await;
    roll_back(bench).await;
    drop(lock);
    deploying.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_migration_is_not_undone_is_not_migrated_to_again() {
    let (bench, key) = filled(3).await;
    let stuck =
        DOWN.replace("const { first", "if (customer.id === \"c001\") throw new Error(\"stuck\");\n  const { first");
    deploy(&bench, &key, &app("2.0.0", SPLIT, &format!("{UP}{stuck}"), MIGRATION), 20).await.unwrap();
    roll_back(&bench).await;
    let is_undoing = || bench.engine.migration_status().unwrap().is_some_and(|record| record.direction == Down);
    until(is_undoing).await;
    let refused = bench.engine.start_rollout(20, AT_ONCE, &Actor::operator()).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the release does not take over: the documents cannot be migrated: the migration to shop 2.0.0 is being undone: wait until that is over, or deploy a release whose migration takes documents as they are now; mend the migration and deploy it as another version"
    );
    let documents = stored(&bench.store);
    assert!(documents.keys().all(|id| times(&documents, id) == Some(1)), "{documents:#?}");
    assert_eq!((active(&bench), is_undoing()), (Some(10), true));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_looked_through_for_what_releases_have_written_that_were_taken_back() {
    let (bench, key) = filled(0).await;
    let void = |name: &str| json!({ "name": name, "tier": "void" });
    canary(&bench, &key, &app("2.0.0", WIDER, "", ""), 20).await;
    edit(&bench, 20, "insert", "-", void("by a canary")).await.unwrap();
    roll_back(&bench).await;
    deploy(&bench, &key, &app("2.1.0", WIDER, "", ""), 21).await.unwrap();
    edit(&bench, 21, "insert", "-", void("by what was promoted")).await.unwrap();
    roll_back(&bench).await;
    // It has the types of the active release, and there are documents that have not.
    for sequence in [30, 31] {
        let same = app(&format!("3.0.{sequence}"), BASE, "", "");
        let refused = deploy(&bench, &key, &same, sequence).await.unwrap_err();
        assert!(refused.contains("2 of customers: customers.tier: expected"), "{refused}");
    }
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    let refused = deploy(&bench, &key, &app("3.1.0", BASE, "", ""), 32).await.unwrap_err();
    assert!(refused.contains("2 of customers: customers.tier: expected"), "{refused}");
    // Once one is promoted that they fit, nothing is looked for any more.
    deploy(&bench, &key, &app("4.0.0", WIDER, "", ""), 40).await.unwrap();
    assert!(releases::traffic(&bench.store).unwrap().strays.is_empty());
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_holds_nobody_to_its_types_before_it_is_promoted() {
    let (bench, key) = filled(0).await;
    let shadow = || Strategy::Shadow { share: Share::of(1_000).unwrap() };
    let start = async |sources: &Sources, sequence: u64| {
        let signed = bundle(&key, sources, sequence);
        let deployed = bench.engine.deploy(&signed, shadow(), &Actor::operator(), &|_| Ok(())).await;
        deployed.map(drop).map_err(|error| error.to_string())
    };
    let refused = start(&splitting("2.0.0"), 20).await.unwrap_err();
    assert!(refused.contains("shop 2.0.0 migrates documents, and in a shadow rollout none change"), "{refused}");
    start(&app("3.0.0", NARROW, "", ""), 30).await.unwrap();
    edit(&bench, 10, "insert", "-", json!({ "name": "x", "tier": "pro" })).await.unwrap();
    bench.engine.hold_again().await.unwrap();
    let id = stored(&bench.store).into_keys().next().unwrap();
    edit(&bench, 10, "patch", &id, json!({ "note": "n" })).await.unwrap();
    // It is held to when it is promoted, and goes on to shadow where documents do not fit.
    let refused = bench.engine.roll(Event::Promote, &Actor::operator()).await.unwrap_err().to_string();
    assert!(refused.contains("1 of customers: customers.tier"), "{refused}");
    assert_eq!(releases::traffic(&bench.store).unwrap().rollout.unwrap().phase, Phase::Shadowing);
    edit(&bench, 10, "patch", &id, json!({ "note": "m" })).await.unwrap();
    edit(&bench, 10, "patch", &id, json!({ "tier": "free" })).await.unwrap();
    bench.engine.roll(Event::Promote, &Actor::operator()).await.unwrap();
    assert_eq!(active(&bench), Some(30));
    let refused = edit(&bench, 10, "patch", &id, json!({ "tier": "pro" })).await.unwrap_err();
    assert!(refused.message.contains("release shop 3.0.0 could not read it"), "{}", refused.message);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_release_keeps_others_from_writing_is_its_failure() {
    let (bench, key) = filled(0).await;
    let counted = |sequence: u64| {
        let health = loaded(&bench, sequence).health();
        (health.answered, health.refused, health.failed, health.crashed)
    };
    let picky = UP
        .replace("const [first", "if (!customer.name.includes(\" \")) throw new Error(\"a secret\");\n  const [first");
    canary(&bench, &key, &app("2.0.0", SPLIT, &format!("{picky}{DOWN}"), MIGRATION), 20).await;
    let refused = edit(&bench, 10, "insert", "-", json!({ "name": "Ada" })).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str(), refused.retry_after.is_some()),
        (
            ErrorCode::Unavailable,
            "customers cannot take this change while release shop 2.0.0 takes over its documents: try again later",
            true
        )
    );
    edit(&bench, 10, "insert", "-", json!({ "name": "Ada Lovelace" })).await.unwrap();
    assert_eq!((counted(10), counted(20)), ((1, 1, 0, 0), (0, 0, 1, 0)));
    roll_back(&bench).await;
    undone(&bench).await;

    canary(&bench, &key, &app("3.0.0", NARROW, "", ""), 30).await;
    let pro = || json!({ "name": "x", "tier": "pro" });
    edit(&bench, 10, "insert", "-", pro()).await.unwrap_err();
    assert_eq!((counted(10), counted(30)), ((1, 2, 0, 0), (0, 0, 1, 0)));
    // Who stays on an older release knows that it is one.
    bench.engine.roll(Event::Promote, &Actor::operator()).await.unwrap();
    edit(&bench, 10, "insert", "-", pro()).await.unwrap_err();
    assert_eq!((counted(10), counted(30)), ((1, 3, 0, 0), (0, 0, 1, 0)));
    bench.engine.close().await;
}

/// As a crash leaves it: the rollout is on record, and its candidate has some of the documents migrated.
async fn half_prepared(batches: usize) -> (Bench, BTreeMap<String, String>) {
    let (bench, key) = filled(60).await;
    let before = stored(&bench.store);
    let signed = bundle(&key, &splitting("2.0.0"), 20);
    let hold = Strategy::BlueGreen { hold: true };
    bench.engine.deploy(&signed, hold.clone(), &Actor::operator(), &|_| Ok(())).await.unwrap();
    roll_back(&bench).await;
    undone(&bench).await;
    assert_eq!(stored(&bench.store), before);
    let actor = Actor::operator();
    change(&bench.store, &actor, |transaction| {
        let started = releases::read_traffic(transaction)?.start(20, AT_ONCE, "operator", 1);
        put(transaction, &weir_schema::rollout::Moved { traffic: started.unwrap(), ended: None });
        Ok::<_, DeployError>(Changed::new((), "startRollout", Vec::new()))
    })
    .await
    .unwrap();
    let known = releases::list(&bench.store).unwrap();
    let candidate = bench.engine.load_kept(known.last().unwrap()).await.unwrap();
    let converter = Arc::new(Converter::new(&candidate, Some(&loaded(&bench, 10))).unwrap());
    let migrating = Migrating { engine: &bench.engine, converter, direction: Up, actor: &actor, batch: 7 };
    migrating.begin().await.unwrap();
    for _ in 0..batches {
        assert!(migrating.next().await.unwrap().is_none());
    }
    let split = stored(&bench.store).values().filter(|text| text.contains("first")).count();
    assert_eq!(split, batches * 7);
    let status = bench.engine.rollout_status().unwrap().to_string();
    let how_far = format!("\ncustomers is being migrated to shop 2.0.0: {} of 60 documents", batches * 7);
    assert!(status.contains("being prepared") && status.ends_with(&how_far), "{status}");
    (bench.reopened().await, before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_was_cut_off_while_documents_were_migrated_goes_on() {
    for batches in [0, 3] {
        let (bench, before) = half_prepared(batches).await;
        bench.engine.restore(&|_| Ok(())).await.unwrap();
        // Whoever is served meanwhile can write at once.
        edit(&bench, 10, "patch", "c001", json!({ "name": "New Name" })).await.unwrap();
        until(|| active(&bench) == Some(20)).await;
        let documents = stored(&bench.store);
        check_split(&documents);
        assert_eq!((documents.len(), times(&documents, "c000"), times(&documents, "c059")), (60, Some(1), Some(1)));

        // What is being undone goes on as well, and so does what nobody has begun to undo.
        let bench = bench.reopened().await;
        bench.engine.restore(&|_| Ok(())).await.unwrap();
        edit(&bench, 10, "patch", "c001", json!({ "name": "A1 B1" })).await.unwrap();
        check_split(&stored(&bench.store));
        roll_back(&bench).await;
        let bench = bench.reopened().await;
        bench.engine.restore(&|_| Ok(())).await.unwrap();
        edit(&bench, 10, "patch", "c002", json!({ "note": "written meanwhile" })).await.unwrap();
        undone(&bench).await;
        let mut after = stored(&bench.store);
        assert!(!is_split(&after), "{after:#?}");
        let written = after.insert("c002".to_owned(), before["c002"].clone()).unwrap();
        assert!(written.contains("written meanwhile"), "{written}");
        assert_eq!(after, before);
        bench.engine.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_while_it_is_prepared_is_undone() {
    let (bench, before) = half_prepared(2).await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    // Whether all are migrated by then or not.
    roll_back(&bench).await;
    assert_eq!(active(&bench), Some(10));
    undone(&bench).await;
    assert_eq!(stored(&bench.store), before);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_be_loaded_any_more_leaves_documents_that_the_one_before_reads_and_writes() {
    let (bench, _) = filled(20).await;
    let other = SigningKey::generate().unwrap();
    bench.trust(&other).await;
    let hold = Strategy::BlueGreen { hold: true };
    let signed = bundle(&other, &splitting("2.0.0"), 20);
    bench.engine.deploy(&signed, hold, &Actor::operator(), &|_| Ok(())).await.unwrap();
    check_split(&stored(&bench.store));
    let id = other.public().id().to_string();
    crate::control::keys::revoke(&bench.store, &Actor::operator(), &id).await.unwrap();
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    assert!(matches!(last_phase(&bench.store), Some(Phase::RolledBack { .. })));
    undone(&bench).await;
    edit(&bench, 10, "patch", "c000", json!({ "name": "New Name" })).await.unwrap();
    assert!(bench.audit().contains("weir migration.keep shop 2.0.0"));
    bench.engine.close().await;
}

const METRIC: &str = "[metrics.orders]\nkind = \"mean\"\n";

/// Puts a release on record that nobody is served by: its rollout is taken back.
async fn keep(bench: &Bench, key: &SigningKey, sources: &Sources, sequence: u64) {
    let hold = Strategy::BlueGreen { hold: true };
    bench.engine.deploy(&bundle(key, sources, sequence), hold, &Actor::operator(), &|_| Ok(())).await.unwrap();
    roll_back(bench).await;
    undone(bench).await;
}

/// Compares two releases with the active one.
async fn compare(bench: &Bench, candidate: u64, other: u64) -> Result<(), String> {
    let share = Share::of(3_000).unwrap();
    let others = vec![Variant { release: other, share }];
    let strategy = Strategy::Experiment { share, others, compared: Compared::default() };
    let started = bench.engine.start_rollout(candidate, strategy, &Actor::operator()).await;
    started.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_migrated_to_whichever_release_of_an_experiment_has_them_so() {
    let (bench, key) = filled(40).await;
    let before = stored(&bench.store);
    keep(&bench, &key, &splitting("2.0.0"), 20).await;
    keep(&bench, &key, &app("3.0.0", BASE, "", METRIC), 30).await;
    // The candidate migrates nothing, and the other one does.
    compare(&bench, 30, 20).await.unwrap();
    check_split(&stored(&bench.store));
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    // What any of them writes is migrated.
    let mut written = Vec::new();
    for sequence in [10, 30] {
        let known = stored(&bench.store);
        edit(&bench, sequence, "insert", "-", json!({ "name": "Late Comer" })).await.unwrap();
        let documents = stored(&bench.store);
        check_split(&documents);
        written.extend(documents.into_keys().filter(|id| !known.contains_key(id)));
    }
    let promote = Event::Choose { release: 30 };
    bench.engine.roll(promote, &Actor::operator()).await.unwrap();
    assert_eq!(active(&bench), Some(30));
    // Of the one that was not promoted nothing is left.
    undone(&bench).await;
    for id in &written {
        edit(&bench, 30, "delete", id, json!(null)).await.unwrap();
    }
    assert_eq!((written.len(), stored(&bench.store)), (2, before));

    // The one that migrates is promoted: its documents stay, and a rollback brings them back.
    keep(&bench, &key, &app("4.0.0", BASE, "", METRIC), 40).await;
    compare(&bench, 40, 20).await.unwrap();
    bench.engine.roll(Event::Choose { release: 20 }, &Actor::operator()).await.unwrap();
    until(|| bench.engine.loaded_as(20).is_some()).await;
    edit(&bench, 30, "insert", "-", json!({ "name": "Late Comer" })).await.unwrap();
    check_split(&stored(&bench.store));
    roll_back(&bench).await;
    undone(&bench).await;
    assert!(!is_split(&stored(&bench.store)));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_release_of_an_experiment_has_to_be_ready_and_to_bear_the_others() {
    let (bench, key) = filled(30).await;
    let before = stored(&bench.store);
    let narrow = r#"export interface Customer { name: string; tier?: "free"; note?: string }"#;
    // No document has that member yet.
    let other_first =
        r#"export interface Customer { name: string; tier?: "free" | "pro"; note?: string; first?: Int }"#;
    let failing = "export const selfTest = query((): string => { throw new Error(\"I am not well\"); });";
    let checked = format!("{METRIC}[rollout]\nchecks = [\"selfTest\"]\n");
    keep(&bench, &key, &splitting("2.0.0"), 20).await;
    keep(&bench, &key, &app("3.0.0", BASE, "", METRIC), 30).await;
    keep(&bench, &key, &app("4.0.0", other_first, "", METRIC), 40).await;
    // A release can be loaded and have no document that it knows, and a check that fails: it is on record all the same.
    let unwell = [(app("5.0.0", narrow, "", METRIC), 50), (app("6.0.0", BASE, failing, &checked), 60)];
    for (sources, sequence) in &unwell {
        deploy(&bench, &key, sources, *sequence).await.unwrap_err();
    }
    keep(&bench, &key, &splitting("7.0.0"), 70).await;
    let unready = [
        (20, 40, "the documents cannot be migrated: customers c000 cannot be migrated to shop 2.0.0"),
        (30, 50, "the data does not fit shop 5.0.0: 30 of customers"),
        (30, 60, "its check selfTest fails: I am not well"),
        (20, 60, "its check selfTest fails: I am not well"),
    ];
    for (candidate, other, message) in unready {
        let refused = compare(&bench, candidate, other).await.unwrap_err();
        assert!(refused.starts_with(&format!("the release does not take over: {message}")), "{refused}");
        if other == 40 {
            let why = "customers.first: shop 4.0.0, which is compared with it, cannot read it: ";
            assert!(refused.contains(why), "{refused}");
        }
        assert!(matches!(last_phase(&bench.store), Some(Phase::Failed { .. })));
        let is_loaded = |sequence: u64| bench.engine.loaded_as(sequence).is_some();
        assert_eq!((active(&bench), is_loaded(candidate), is_loaded(other)), (Some(10), false, false));
        assert_eq!((stored(&bench.store), bench.engine.migration_status().unwrap()), (before.clone(), None));
        // Nobody is held to what either has asked for.
        edit(&bench, 10, "patch", "c000", json!({ "tier": "free" })).await.unwrap();
        edit(&bench, 10, "patch", "c000", json!({ "tier": "pro" })).await.unwrap();
    }
    // What cannot be is not begun.
    let ended = conduct::ended(&bench.store).unwrap().len();
    let refused = compare(&bench, 20, 70).await.unwrap_err();
    assert_eq!(
        refused,
        "shop 2.0.0 and shop 7.0.0 both migrate documents, and an experiment has one release at most that does: promote one of them first, and compare it with releases without [migration.*] of their own"
    );
    assert_eq!((conduct::ended(&bench.store).unwrap().len(), stored(&bench.store)), (ended, before));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_writers_of_an_experiment_are_held_to_the_types_of_each_release_of_it() {
    let (bench, key) = filled(0).await;
    import(&bench.engine, &loaded(&bench, 10), "customers", &[json!({ "id": "a", "name": "x" })]).await.unwrap();
    let narrow = r#"export interface Customer { name: string; tier?: "free"; note?: string }"#;
    keep(&bench, &key, &app("2.0.0", narrow, "", ""), 20).await;
    keep(&bench, &key, &app("3.0.0", BASE, "", METRIC), 30).await;
    compare(&bench, 30, 20).await.unwrap();
    let check_held = async |bench: &Bench| {
        for writer in [10, 30] {
            let refused = edit(bench, writer, "patch", "a", json!({ "tier": "pro" })).await.unwrap_err();
            assert!(refused.message.contains("release shop 2.0.0 could not read it"), "{}", refused.message);
        }
    };
    check_held(&bench).await;
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    check_held(&bench).await;
    bench.engine.roll(Event::Choose { release: 30 }, &Actor::operator()).await.unwrap();
    edit(&bench, 30, "patch", "a", json!({ "tier": "pro" })).await.unwrap();
    bench.engine.close().await;
}

//! Rollouts on a real store: whose calls go where, what stays so after a restart, what happens by itself, what is taken back.

use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use weir_sandbox::App;
use weir_sandbox::compile::{Sources, compile};
use weir_schema::codec::job::JobState;
use weir_schema::id::DocumentId;
use weir_schema::rollout::{Event, Moved, Phase, Share, Step, Strategy, Traffic};
use weir_store::{ControlKey, JobFilter, Transaction};

use super::conduct::{self, RolloutError};
use super::conductor::needed;
use super::line::Line;
use super::loaded::{DRAIN_AFTER, DRAIN_TAKEN_OVER_AFTER, Writes};
use super::status;
use super::traffic::Asker;
use crate::bundle::key::SigningKey;
use crate::call::Caller;
use crate::control::releases::{self, DeployError};
use crate::control::tests::{AT_ONCE, Bench, COLLECTIONS, answering, bundle, sources};
use crate::control::{Actor, Changed, ControlError, change, keys};
use crate::engine::ActivateError;
use crate::jobs::control;
use crate::release::Release;
use crate::views::ViewState;

mod lines;

fn canary(steps: &[(u16, Option<u64>)]) -> Strategy {
    let step =
        |(percent, for_ms): &(u16, Option<u64>)| Step { share: Share::of(percent * 100).unwrap(), for_ms: *for_ms };
    Strategy::Canary { steps: steps.iter().map(step).collect() }
}

async fn deploy(bench: &Bench, signed: &[u8], strategy: Strategy) -> Result<Option<Phase>, DeployError> {
    let deployed = bench.engine.deploy(signed, strategy, &Actor::operator(), &|_| Ok(())).await;
    deployed.map(|deployed| deployed.rollout.map(|rollout| rollout.phase))
}

async fn roll(bench: &Bench, event: Event) -> Result<Traffic, RolloutError> {
    bench.engine.roll(event, &Actor::operator()).await
}

fn back() -> Event {
    Event::RollBack { why: "it is slow".into() }
}

async fn ask(bench: &Bench, release: &Arc<Release>) -> Value {
    let answer = bench.engine.call(release, &Caller::Anonymous, "answer", Value::Null).await;
    answer.unwrap().value.take()
}

/// What each of many visitors is answered.
async fn answers(bench: &Bench) -> Vec<Value> {
    let mut answers = Vec::new();
    for visitor in 0..40 {
        let name = format!("visitor {visitor}");
        let release = bench.engine.route(|| Asker::Visitor(&name)).unwrap();
        answers.push(ask(bench, &release).await);
    }
    answers
}

fn count(answers: &[Value], answer: u32) -> usize {
    answers.iter().filter(|given| **given == json!(answer)).count()
}

/// Two releases, of which the second is rolled out in some way.
async fn two(strategy: Strategy) -> (Bench, SigningKey) {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    assert_eq!(deploy(&bench, &bundle(&key, &answering("1.0.0", 1), 10), strategy.clone()).await.unwrap(), None);
    deploy(&bench, &bundle(&key, &answering("2.0.0", 2), 20), strategy).await.unwrap();
    (bench, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_takes_some_callers_then_more_then_all() {
    let (bench, _) = two(canary(&[(20, None), (60, None)])).await;
    let few = answers(&bench).await;
    assert!((1..20).contains(&count(&few, 2)) && count(&few, 1) + count(&few, 2) == 40, "{few:?}");
    assert_eq!(answers(&bench).await, few, "each stays where they are");
    assert_eq!(bench.answer().await, json!(1), "what nobody in particular asks stays");
    roll(&bench, Event::Advance).await.unwrap();
    let more = answers(&bench).await;
    assert!(count(&more, 2) > count(&few, 2) && count(&more, 1) > 0, "{more:?}");
    assert!(few.iter().zip(&more).all(|(few, more)| few == &json!(1) || more == &json!(2)), "nobody goes back");
    // It is rolled back, and what has come of that is on record.
    roll(&bench, back()).await.unwrap();
    assert_eq!(count(&answers(&bench).await, 1), 40);
    let ended = conduct::ended(&bench.store).unwrap();
    assert_eq!(ended.last().unwrap().phase, Phase::RolledBack { why: "it is slow".into() });
    bench.engine.start_rollout(20, canary(&[(20, None)]), &Actor::operator()).await.unwrap();
    roll(&bench, Event::Promote).await.unwrap();
    assert_eq!(count(&answers(&bench).await, 2), 40);
    assert_eq!(bench.answer().await, json!(2));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_needs_nothing_but_what_is_there() {
    let (bench, key) = two(AT_ONCE).await;
    assert_eq!(bench.answer().await, json!(2));
    let before = bench.engine.loaded_as(10).unwrap();
    let state = roll(&bench, back()).await.unwrap();
    assert_eq!((state.active(), state.previous()), (Some(10), None));
    assert_eq!(bench.answer().await, json!(1));
    assert_eq!(bench.engine.releases().borrow().as_ref().unwrap().number(), before.number(), "it was never unloaded");
    let refused = roll(&bench, back()).await.unwrap_err().to_string();
    assert_eq!(refused, "no release was active before this one: deploy another instead");
    // What was rolled back can be tried again, and what is newer deployed.
    assert_eq!(bench.engine.start_rollout(20, AT_ONCE, &Actor::operator()).await.unwrap().active(), Some(20));
    deploy(&bench, &bundle(&key, &answering("3.0.0", 3), 30), AT_ONCE).await.unwrap();
    roll(&bench, back()).await.unwrap();
    assert_eq!(bench.answer().await, json!(2));
    // What was promoted and taken back later is so on record.
    let ended = conduct::ended(&bench.store).unwrap();
    let over: Vec<&str> = ended.iter().map(|rollout| rollout.phase.as_str()).collect();
    assert_eq!(over, ["promoted", "rolled back", "promoted", "rolled back"]);
    assert_eq!(ended[3].phase, Phase::RolledBack { why: "it is slow".into() });
    // Who has not seen that does not take back one more, and who says which one does.
    let again = roll(&bench, back()).await.unwrap_err().to_string();
    assert!(again.starts_with("release 30 was taken back a moment ago, and callers are on release 20: "), "{again}");
    let named = |release| Event::TakeBack { release, why: "it is slow too".into() };
    let left = roll(&bench, named(30)).await.unwrap_err().to_string();
    assert!(left.starts_with("release 30 is neither rolled out nor active"), "{left}");
    let audit = bench.audit();
    let tail: Vec<&str> = audit.lines().rev().take(3).collect();
    assert_eq!(tail[0], "operator rollBack rollout 4 shop 3.0.0 from shop 3.0.0 to shop 2.0.0 it is slow");
    assert_eq!(tail[1], "operator promoteRollout rollout 4 shop 3.0.0 from shop 2.0.0 to shop 3.0.0");
    bench.engine.close().await;
}

/// Commits something else.
async fn commit(bench: &Bench) {
    let nothing = |_: &mut Transaction| Ok::<_, ControlError>(Changed::new((), "nothing", Vec::new()));
    change(&bench.store, &Actor::weir(), nothing).await.unwrap();
}

/// Waits until calls go to a release, and whoever asks which one is active is told that one, which comes after it.
async fn until_active(bench: &Bench, sequence: u64) {
    let mut active = bench.engine.releases();
    let is_active = |active: &Option<Arc<Release>>| active.as_ref().is_some_and(|it| it.sequence() == Some(sequence));
    drop(tokio::time::timeout(Duration::from_secs(60), active.wait_for(is_active)).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_finished_where_whoever_asked_has_gone() {
    let (bench, _) = two(AT_ONCE).await;
    let turn = bench.engine.shared().turning.lock().await;
    {
        let mut rolling = pin!(roll(&bench, back()));
        tokio::select! {
            biased;
            _ = &mut rolling => panic!("nothing is committed out of turn"),
            () = std::future::ready(()) => {}
        }
    }
    drop(turn);
    until_active(&bench, 10).await;
    assert_eq!((releases::traffic(&bench.store).unwrap().active(), bench.answer().await), (Some(10), json!(1)));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_gone_by_wherever_that_was_missed() {
    let (bench, _) = two(AT_ONCE).await;
    let state = Traffic { promoted: vec![10], ..releases::traffic(&bench.store).unwrap() };
    change(&bench.store, &Actor::weir(), |transaction| {
        conduct::put(transaction, &Moved { traffic: state.clone(), ended: None });
        Ok::<_, ControlError>(Changed::new((), "rollBack", Vec::new()))
    })
    .await
    .unwrap();
    bench.engine.shared().turned.notify_one();
    until_active(&bench, 10).await;
    assert_eq!(bench.answer().await, json!(1));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_start_goes_by_what_has_happened_during_it() {
    static MET: Barrier = Barrier::new(2);
    fn admitting(app: &App) -> Result<(), String> {
        if app.manifest.version.to_string() == "2.0.0" {
            MET.wait();
            MET.wait();
        }
        Ok(())
    }
    let met = async || assert!(tokio::task::spawn_blocking(|| MET.wait()).await.is_ok());
    let bench = two(AT_ONCE).await.0.reopened().await;
    let engine = bench.engine.clone();
    let restoring = tokio::spawn(async move { engine.restore(&admitting).await });
    // What was active has been read, and is looked at.
    met().await;
    roll(&bench, back()).await.unwrap();
    met().await;
    assert_eq!(restoring.await.unwrap().unwrap().unwrap().version, "1.0.0");
    assert_eq!((releases::traffic(&bench.store).unwrap().active(), bench.answer().await), (Some(10), json!(1)));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_waits_until_what_it_leads_to_is_served() {
    let bench = two(AT_ONCE).await.0.reopened().await;
    let serving = bench.engine.serving();
    let engine = bench.engine.clone();
    let restoring = tokio::spawn(async move { engine.restore(&|_| Ok(())).await });
    let newest = async |count: usize| {
        let mut loaded = bench.engine.loaded();
        let loaded = loaded.wait_for(|loaded| loaded.len() == count);
        let loaded = tokio::time::timeout(Duration::from_secs(60), loaded).await.unwrap().unwrap();
        loaded.last().unwrap().number()
    };
    serving.has_come_to(newest(1).await);
    restoring.await.unwrap().unwrap();
    // The one before is loaded now, and nobody has made anything of it.
    let number = newest(2).await;
    let engine = bench.engine.clone();
    let rolling = tokio::spawn(async move { engine.roll(back(), &Actor::operator()).await });
    for _ in 0..20 {
        commit(&bench).await;
    }
    assert!(!rolling.is_finished());
    assert_eq!((releases::traffic(&bench.store).unwrap().active(), bench.answer().await), (Some(20), json!(2)));
    serving.has_come_to(number);
    rolling.await.unwrap().unwrap();
    assert_eq!(bench.answer().await, json!(1));
    drop(serving);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_calls_have_just_left_does_not_drain_at_once() {
    let (bench, _) = two(canary(&[(50, None)])).await;
    bench.engine.clock().advance(DRAIN_AFTER * 2);
    roll(&bench, back()).await.unwrap();
    bench.engine.drain(&[], true).await;
    assert!(bench.engine.loaded_as(20).is_some(), "calls may be under way on it");
    bench.engine.clock().advance(DRAIN_AFTER);
    bench.engine.drain(&[], true).await;
    assert!(bench.engine.loaded_as(20).is_none());
    bench.engine.close().await;
}

/// Items with a note of some type.
fn noting(version: &str, answer: u32, note: &str, options: &str) -> Sources {
    let collections = format!(
        "import {{ collection, type Int }} from \"weir\";\nexport interface Item {{ n: Int; note: {note} }}\n\
         export const items = collection<Item>({options});"
    );
    let all = "export const all = query((): Int[] => items.all().map((item) => item.n));";
    sources(version, &collections, &format!("{all}\nexport const answer = query((): Int => {answer});"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_needed_or_used_makes_way_for_nothing() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    let (text, object) = ("string", "{ text: string }");
    deploy(&bench, &bundle(&key, &noting("1.0.0", 1, text, "{ index: [\"note\"] }"), 10), AT_ONCE).await.unwrap();
    deploy(&bench, &bundle(&key, &noting("2.0.0", 2, text, ""), 20), AT_ONCE).await.unwrap();
    let refused = async |sequence: u64| {
        let other = bundle(&key, &noting("3.0.0", 3, object, ""), sequence);
        let refused = deploy(&bench, &other, Strategy::BlueGreen { hold: true }).await.unwrap_err().to_string();
        assert!(refused.contains("releases shop 1.0.0 and shop 3.0.0 cannot be live at once: items.note"), "{refused}");
        assert!(bench.engine.loaded_as(10).is_some());
    };
    // A rollback leads to the first.
    refused(30).await;
    assert_eq!(releases::list(&bench.store).unwrap().len(), 2);
    // It does not any more, and somebody is on it.
    deploy(&bench, &bundle(&key, &noting("2.1.0", 4, text, ""), 21), AT_ONCE).await.unwrap();
    let line = Line::parse("=1.0.0").unwrap();
    bench.engine.route_on(&line, Asker::Nobody).await.unwrap();
    refused(31).await;
    drop(line);
    let other = bundle(&key, &noting("3.0.0", 3, object, ""), 32);
    let held = deploy(&bench, &other, Strategy::BlueGreen { hold: true }).await.unwrap();
    assert_eq!((held, bench.engine.loaded_as(10).is_none()), (Some(Phase::Ready), true));
    roll(&bench, back()).await.unwrap();
    roll(&bench, Event::TakeBack { release: 21, why: "it is slow".into() }).await.unwrap();
    assert_eq!(bench.answer().await, json!(2));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_longest_ago_makes_room_on_lines() {
    let (bench, key) = two(AT_ONCE).await;
    for n in 3..=5 {
        let next = bundle(&key, &answering(&format!("{n}.0.0"), n), u64::from(n) * 10);
        deploy(&bench, &next, AT_ONCE).await.unwrap();
    }
    let line = async |range: &str| {
        bench.engine.clock().advance(Duration::from_secs(1));
        let line = Line::parse(range).unwrap();
        bench.engine.route_on(&line, Asker::Nobody).await.unwrap();
        line
    };
    let held = line("^1").await;
    drop((line("^3").await, line("^2").await));
    let are_loaded = |all: [u64; 3]| all.map(|sequence| bench.engine.loaded_as(sequence).is_some());
    // The active one and the one before take no place.
    assert!(bench.engine.make_room(4).await.unwrap());
    assert_eq!(are_loaded([10, 20, 30]), [true, true, true]);
    assert!(bench.engine.make_room(3).await.unwrap());
    assert_eq!(are_loaded([10, 20, 30]), [true, true, false]);
    assert!(bench.engine.make_room(2).await.unwrap());
    assert_eq!(are_loaded([10, 20, 30]), [true, false, false]);
    assert!(!bench.engine.make_room(1).await.unwrap(), "it is in use");
    drop(held);
    assert!(bench.engine.make_room(1).await.unwrap());
    assert_eq!(are_loaded([10, 40, 50]), [false, true, true]);
    bench.engine.close().await;
}

/// What may not be loaded is not gone back to either, though it is loaded still.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_key_was_revoked_is_not_gone_back_to() {
    let (bench, key) = two(AT_ONCE).await;
    let other = SigningKey::generate().unwrap();
    bench.trust(&other).await;
    deploy(&bench, &bundle(&other, &answering("3.0.0", 3), 30), AT_ONCE).await.unwrap();
    keys::revoke(&bench.store, &Actor::operator(), &key.public().id().to_string()).await.unwrap();
    let refused = roll(&bench, back()).await.unwrap_err().to_string();
    assert!(refused.starts_with("release 2.0.0 may not run any more, since keys"), "{refused}");
    assert_eq!(releases::traffic(&bench.store).unwrap().active(), Some(30));
    assert_eq!(bench.answer().await, json!(3));
    bench.engine.close().await;
}

/// A version that is on record more than once is the one to which calls go.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_the_release_that_takes_calls() {
    let (bench, key) = two(AT_ONCE).await;
    deploy(&bench, &bundle(&key, &answering("2.0.0", 2), 30), AT_ONCE).await.unwrap();
    let found = || status::find(&bench.store, "2.0.0").unwrap().sequence;
    assert_eq!(found(), 30);
    roll(&bench, back()).await.unwrap();
    assert_eq!(found(), 20);
    let release = found();
    roll(&bench, Event::TakeBack { release, why: "still slow".into() }).await.unwrap();
    assert_eq!(bench.answer().await, json!(1));
    assert_eq!(found(), 30, "the newest, where none takes calls");
    bench.engine.close().await;
}

/// The end of the server is not that of a rollout which is being prepared.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_end_has_cut_off_goes_on_later() {
    let (bench, _) = two(AT_ONCE).await;
    bench.engine.end_calls();
    // What cannot be loaded.
    let state = releases::traffic(&bench.store).unwrap().start(99, AT_ONCE, "ada", 0).unwrap();
    change(&bench.store, &Actor::weir(), |transaction| {
        conduct::put(transaction, &Moved { traffic: state.clone(), ended: None });
        Ok::<_, ControlError>(Changed::new((), "startRollout", Vec::new()))
    })
    .await
    .unwrap();
    bench.engine.finish_preparing().await.unwrap_err();
    assert_eq!(releases::traffic(&bench.store).unwrap(), state);
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    let mut traffic = releases::traffic(&bench.store).unwrap();
    for _ in 0..2_400 {
        if traffic.rollout.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
        traffic = releases::traffic(&bench.store).unwrap();
    }
    assert_eq!((traffic.active(), traffic.rollout), (Some(20), None), "now it is known for good");
    bench.engine.close().await;
}

/// A rollout that does not go on keeps nothing else from being done.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_and_fails_is_in_the_way_of_nothing() {
    let (bench, _) = two(AT_ONCE).await;
    bench.engine.give_up(&bench.engine.loaded_as(10).unwrap()).await;
    // There is no such release, and its next step is due.
    let started = releases::traffic(&bench.store).unwrap().start(99, canary(&[(5, Some(0))]), "ada", 0).unwrap();
    let step = started.after(&Event::Prepared, 0).unwrap();
    change(&bench.store, &Actor::weir(), |transaction| {
        conduct::put(transaction, &step);
        Ok::<_, ControlError>(Changed::new((), "advanceRollout", Vec::new()))
    })
    .await
    .unwrap();
    bench.engine.shared().turned.notify_one();
    let mut loaded = bench.engine.loaded();
    let is_back = |loaded: &Vec<Arc<Release>>| loaded.iter().any(|release| release.sequence() == Some(10));
    drop(tokio::time::timeout(Duration::from_secs(60), loaded.wait_for(is_back)).await.unwrap().unwrap());
    assert_eq!((releases::traffic(&bench.store).unwrap(), bench.answer().await), (step.traffic, json!(2)));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rollout_at_a_time_and_nothing_else_changes() {
    let (bench, key) = two(Strategy::BlueGreen { hold: true }).await;
    assert_eq!(bench.answer().await, json!(1), "it waits");
    let another = bundle(&key, &answering("3.0.0", 3), 30);
    let refused = deploy(&bench, &another, AT_ONCE).await.unwrap_err().to_string();
    assert_eq!(refused, "rollout 2 is under way: promote it or roll it back first");
    assert_eq!(releases::list(&bench.store).unwrap().len(), 2);
    let unknown = bench.engine.start_rollout(99, AT_ONCE, &Actor::operator()).await.unwrap_err().to_string();
    assert_eq!(unknown, "there is no release 99: weir releases list shows those that there are");
    // The same bundle once more says how far it is.
    let again = deploy(&bench, &bundle(&key, &answering("2.0.0", 2), 20), AT_ONCE).await.unwrap();
    assert_eq!(again, Some(Phase::Ready));
    roll(&bench, Event::Promote).await.unwrap();
    assert_eq!(bench.answer().await, json!(2));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_follow_by_themselves() {
    let (bench, _) = two(canary(&[(20, Some(3_600_000)), (60, Some(3_600_000))])).await;
    let mut traffic = bench.engine.traffic();
    traffic.borrow_and_update();
    for _ in 0..2 {
        bench.engine.clock().advance(Duration::from_secs(3_600));
        tokio::time::timeout(Duration::from_secs(60), traffic.changed()).await.unwrap().unwrap();
    }
    let active = traffic.borrow().active().unwrap().clone();
    assert_eq!((active.sequence(), ask(&bench, &active).await), (Some(20), json!(2)));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_after_a_restart() {
    let (bench, key) = two(canary(&[(20, None), (60, None)])).await;
    let before = answers(&bench).await;
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    assert_eq!(answers(&bench).await, before, "everybody is where they were");
    roll(&bench, Event::Promote).await.unwrap();
    let bench = bench.reopened().await;
    assert_eq!(bench.engine.restore(&|_| Ok(())).await.unwrap().unwrap().version, "2.0.0");
    roll(&bench, back()).await.unwrap();
    assert_eq!(bench.answer().await, json!(1));
    // A candidate whose keys count no more does not keep the active release from being served.
    let other = SigningKey::generate().unwrap();
    bench.trust(&other).await;
    deploy(&bench, &bundle(&other, &answering("3.0.0", 3), 30), canary(&[(50, None)])).await.unwrap();
    let id = other.public().id().to_string();
    crate::control::keys::revoke(&bench.store, &Actor::operator(), &id).await.unwrap();
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    assert_eq!(count(&answers(&bench).await, 1), 40);
    let ended = conduct::ended(&bench.store).unwrap().pop().unwrap();
    let Phase::RolledBack { why } = ended.phase else { panic!("{:?}", ended.phase) };
    assert!(why.contains("was revoked"), "{why}");
    drop(key);
    bench.engine.close().await;
}

const INDEXED: &str = r#"
import { collection, type Int } from "weir";
export interface Item { n: Int }
export const items = collection<Item>({ unique: ["n"] });
export const notes = collection<Item>();
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_be_loaded_to_the_end_leaves_nothing_in_the_store() {
    let (bench, _) = two(AT_ONCE).await;
    let next = || compile(&sources("3.0.0", INDEXED, "export const answer = query((): Int => 3);")).unwrap();
    let put = async |text: Bytes| {
        let mut transaction = bench.store.begin().unwrap();
        transaction.put_control(&ControlKey::Traffic, Some(text));
        bench.store.commit(transaction).await.unwrap();
    };
    let whole = bench.store.control(&ControlKey::Traffic).unwrap().unwrap();
    // After its collections and indexes are there, who is held to what cannot be found out.
    put(Bytes::from_static(b"damaged")).await;
    let refused = bench.engine.load(next(), Some(30), Writes::NotYet).await.map(drop);
    put(whole).await;
    assert!(matches!(refused, Err(ActivateError::Control(_))), "{refused:?}");
    assert!(bench.engine.loaded_as(30).is_none());
    let note = |id: &str| bench.store.begin().unwrap().get("notes", &DocumentId::parse(id).unwrap()).map(drop);
    assert!(note("a").is_err(), "there is no such collection");
    // Nor is anybody held to its index.
    for _ in 0..2 {
        assert_eq!(bench.call("add", json!({ "n": 1 })).await, json!(1));
    }
    // It is loaded all the same once it can be, and then its index counts.
    let twice = bench.engine.load(next(), Some(30), Writes::NotYet).await.map(drop);
    assert!(matches!(twice, Err(ActivateError::Collections(_))), "{twice:?}");
    assert!(note("a").is_err());
    bench.engine.close().await;
}

const GROUPED: &str = "export const add = procedure((args: { n: Int }): Int => { items.insert(args); return args.n; });\n\
    export const byN = view.groupBy(items, (item) => `k${item.n % 3}`, { items: count(), total: sum((item) => item.n * FACTOR), \
    most: top(2, (item) => item.n) });\n\
    export const sorted = view.index(items, (item) => -item.n);\n";

/// A release with views of groups whose code depends on the version.
fn grouping(version: &str, factor: &str) -> Sources {
    let manifest = format!("name = \"shop\"\nversion = \"{version}\"\n");
    let functions = format!(
        "import {{ count, procedure, sum, top, view, type Int }} from \"weir\";\n\
         import {{ items }} from \"../collections\";\n{}",
        GROUPED.replace("FACTOR", factor)
    );
    let texts = [("app.toml", manifest.as_str()), ("collections.ts", COLLECTIONS), ("functions/f.ts", &functions)];
    Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())))
}

/// How often the views of the active release have read all documents since the start, once so many documents are kept of each.
async fn builds(bench: &Bench, stored: u64) -> Vec<u64> {
    for _ in 0..2_400 {
        let views = bench.engine.views().unwrap();
        if views.iter().all(|view| view.stored == stored && view.state == ViewState::Current) {
            return views.iter().map(|view| view.runs).collect();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{:?}", bench.engine.views().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_views_have_computed_beside_the_active_release_is_kept_once_theirs_is_active() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    deploy(&bench, &bundle(&key, &grouping("1.0.0", "1"), 10), AT_ONCE).await.unwrap();
    for n in 0..20 {
        bench.call("add", json!({ "n": n })).await;
    }
    assert_eq!(builds(&bench, 20).await, [1, 1]);
    deploy(&bench, &bundle(&key, &grouping("2.0.0", "2"), 20), Strategy::BlueGreen { hold: true }).await.unwrap();
    // What both follow is kept of the active one alone. Once that has been written the other has passed it over.
    for n in 20..30 {
        bench.call("add", json!({ "n": n })).await;
    }
    builds(&bench, 30).await;
    roll(&bench, Event::Promote).await.unwrap();
    assert_eq!(builds(&bench, 30).await, [1, 1]);
    bench.call("add", json!({ "n": 30 })).await;
    builds(&bench, 31).await;
    let rows = bench.call("byN", json!({})).await;
    assert_eq!((&rows[0]["items"], &rows[0]["total"]), (&json!(11), &json!(330)));

    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    assert_eq!(builds(&bench, 31).await, [0, 0], "no document was read for that");
    assert_eq!(bench.call("byN", json!({})).await, rows);
    // Of the one that a rollback leads to the same is true.
    let mut loaded = bench.engine.loaded();
    loaded.wait_for(|all| all.iter().any(|release| release.sequence() == Some(10))).await.unwrap();
    for view in bench.engine.loaded_as(10).unwrap().all_groups() {
        view.until_built().await;
    }
    bench.call("add", json!({ "n": 31 })).await;
    builds(&bench, 32).await;
    roll(&bench, back()).await.unwrap();
    builds(&bench, 32).await;
    let rows = bench.call("byN", json!({})).await;
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    assert_eq!(builds(&bench, 32).await, [0, 0]);
    assert_eq!(bench.call("byN", json!({})).await, rows);
    assert_eq!((&rows[0]["items"], &rows[0]["total"]), (&json!(11), &json!(165)));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_how_long_a_step_still_takes() {
    let (bench, _) = two(canary(&[(20, Some(3_600_000)), (60, None)])).await;
    roll(&bench, Event::Pause).await.unwrap();
    // The time that is left stands still.
    let left_ms = bench.engine.rollout_status().unwrap().left_ms.unwrap();
    assert!((1..=3_600_000).contains(&left_ms), "{left_ms}");
    bench.engine.clock().advance(Duration::from_secs(600));
    let status = bench.engine.rollout_status().unwrap();
    assert_eq!(status.left_ms, Some(left_ms));
    assert!(status.to_string().contains("\nthe step takes "), "{status}");
    let shares: Vec<String> = status.variants.iter().map(|it| format!("{} {}", it.version, it.share)).collect();
    assert_eq!(shares, ["1.0.0 80%", "2.0.0 20%"]);
    roll(&bench, Event::Resume).await.unwrap();
    bench.engine.clock().advance(Duration::from_secs(60));
    let later_ms = bench.engine.rollout_status().unwrap().left_ms.unwrap();
    assert!(later_ms <= left_ms - 60_000, "{later_ms} of {left_ms}");
    // What ends when somebody says so has no time.
    roll(&bench, Event::Advance).await.unwrap();
    assert_eq!(bench.engine.rollout_status().unwrap().left_ms, None);
    bench.engine.close().await;
}

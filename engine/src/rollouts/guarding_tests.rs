//! Guards on a real store: which calls are held against a release, what is taken back by itself, and what stays so after a restart.

use std::time::Duration;

use serde_json::{Value, json};
use weir_sandbox::compile::Sources;
use weir_schema::rollout::statement::Stated;
use weir_schema::rollout::{Event, Phase, Share, Step, Strategy};

use super::conduct::{self, Guarded};
use super::statements;
use super::status::{self, Status};
use crate::bundle::key::SigningKey;
use crate::call::{Call, Caller};
use crate::control::judge::Incompatible;
use crate::control::tests::{AT_ONCE, Bench, COLLECTIONS, bundle, sources};
use crate::control::{Actor, releases};

/// Answers, or throws if it is told to.
fn app(version: &str, guards: &str) -> Sources {
    let functions = "import { fail } from \"weir\";\n\
        export const answer = query((args: { throws: boolean, fails: boolean }): Int => {\n\
          if (args.throws) throw new Error(\"it is broken\");\n\
          if (args.fails) fail(\"SOLD_OUT\");\n\
          return 1;\n\
        });\n\
        export const add = procedure((args: { n: Int }): Int => { items.insert(args); return args.n; });";
    let plain = sources(version, COLLECTIONS, functions);
    let manifest = format!("{}[rollout.guards]\n{guards}\n", plain.text("app.toml").unwrap());
    let texts = [
        ("app.toml", manifest.as_str()),
        ("collections.ts", COLLECTIONS),
        ("functions/f.ts", plain.text("functions/f.ts").unwrap()),
    ];
    Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())))
}

fn canary() -> Strategy {
    Strategy::Canary { steps: vec![Step { share: Share::of(5_000).unwrap(), for_ms: None }] }
}

async fn deploy(bench: &Bench, key: &SigningKey, (app, sequence): (Sources, u64), strategy: Strategy) {
    bench.engine.deploy(&bundle(key, &app, sequence), strategy, &Actor::operator(), &|_| Ok(())).await.unwrap();
}

/// Two releases, of which the second is rolled out in some way. The first has been called.
async fn two(strategy: Strategy, guards: &str) -> (Bench, SigningKey) {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    deploy(&bench, &key, (app("1.0.0", ""), 10), strategy.clone()).await;
    call(&bench, 10, 200, WORKS()).await;
    deploy(&bench, &key, (app("2.0.0", guards), 20), strategy).await;
    (bench, key)
}

/// Calls a release that often.
async fn call(bench: &Bench, sequence: u64, times: u32, arguments: Value) {
    let release = bench.engine.loaded_as(sequence).unwrap();
    for _ in 0..times {
        // What it comes to is counted.
        let _ = bench.engine.call(&release, &Caller::Anonymous, "answer", arguments.clone()).await;
    }
}

async fn look(bench: &Bench) -> Option<u64> {
    bench.engine.look_after_rollouts().await;
    status::status(&bench.store).unwrap().active.map(|active| active.sequence)
}

fn shown(bench: &Bench) -> Status {
    bench.engine.with_health(status::status(&bench.store).unwrap())
}

/// Why the last rollout that is over was taken back.
fn why_ended(bench: &Bench) -> String {
    match conduct::ended(&bench.store).unwrap().pop().unwrap().phase {
        Phase::RolledBack { why } => why,
        phase => panic!("{phase:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_is_taken_back_also_where_the_release_before_had_few_calls() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    deploy(&bench, &key, (app("1.0.0", ""), 10), AT_ONCE).await;
    call(&bench, 10, 10, WORKS()).await;
    deploy(&bench, &key, (app("2.0.0", LONG), 20), AT_ONCE).await;
    let told = shown(&bench).guards;
    assert!(told.iter().any(|told| told.contains("had 10 calls, which are too few")), "{told:?}");
    call(&bench, 20, 60, WORKS()).await;
    call(&bench, 20, 60, THROWS()).await;
    assert_eq!(look(&bench).await, Some(10));
    bench.engine.close().await;
}

/// Times that no test takes.
const LONG: &str = "window = \"10m\"\nwatch = \"1h\"";

const THROWS: fn() -> Value = || json!({ "throws": true, "fails": false });
const WORKS: fn() -> Value = || json!({ "throws": false, "fails": false });
const FAILS: fn() -> Value = || json!({ "throws": false, "fails": true });

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_fails_is_taken_back() {
    let (bench, _) = two(canary(), LONG).await;
    // What the app says with fail, and what callers ask wrongly, is nothing to hold against it.
    call(&bench, 20, 200, FAILS()).await;
    call(&bench, 20, 200, json!({ "throws": 1 })).await;
    look(&bench).await;
    let status = shown(&bench);
    assert!(status.rollout.is_some(), "{status}");
    let counted: Vec<(&str, u64, u64)> =
        status.health.iter().map(|health| (health.version.as_str(), health.calls, health.errors)).collect();
    assert_eq!(counted, [("1.0.0", 200, 0), ("2.0.0", 200, 0)]);
    assert!(status.to_string().contains("guard error_rate: at most 1% above that of the release before"), "{status}");
    call(&bench, 20, 100, THROWS()).await;
    look(&bench).await;
    assert!(shown(&bench).rollout.is_none());
    // How many had failed when somebody looked is a matter of time.
    let why = why_ended(&bench);
    assert!(why.starts_with("guard error_rate: ") && why.ends_with(" calls failed, 0.0% of 200 on 1.0.0"), "{why}");
    let audit = bench.audit();
    assert_eq!(audit.lines().last(), Some(format!("weir rollBack rollout 2 shop 2.0.0 {why}").as_str()));
    let (signed, key) = (statements::of(&bench.store, 2).unwrap(), statements::public_key(&bench.store).unwrap());
    let stated = statements::verify(signed.last().unwrap(), &key).unwrap();
    assert_eq!((stated.event, stated.why, stated.actor.as_str()), (Stated::RolledBackByGuard, Some(why), "weir"));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_watched_after_all_callers_have_moved_also_after_a_restart() {
    let (bench, key) = two(AT_ONCE, LONG).await;
    call(&bench, 20, 99, THROWS()).await;
    assert_eq!(look(&bench).await, Some(20), "these are too few");
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    let watch = releases::traffic(&bench.store).unwrap().watch.unwrap();
    assert_eq!((watch.rollout, watch.before.calls(), watch.before.errors()), (2, 200, 0));
    call(&bench, 20, 99, THROWS()).await;
    assert_eq!(look(&bench).await, Some(20), "what calls came to before is forgotten");
    call(&bench, 20, 1, THROWS()).await;
    assert_eq!(look(&bench).await, Some(10));
    let why = "guard error_rate: 100.0% of 100 calls failed, 0.0% of 200 on 1.0.0";
    let audit = bench.audit();
    let taken_back = format!("weir rollBack rollout 2 shop 2.0.0 from shop 2.0.0 to shop 1.0.0 {why}");
    assert_eq!(audit.lines().last(), Some(taken_back.as_str()));
    // Once the time is over nobody watches any more.
    deploy(&bench, &key, (app("3.0.0", "watch = \"1h\""), 30), AT_ONCE).await;
    assert!(!shown(&bench).guards.is_empty());
    bench.engine.clock().advance(Duration::from_secs(3_600));
    call(&bench, 30, 200, THROWS()).await;
    assert_eq!((look(&bench).await, shown(&bench).guards), (Some(30), Vec::new()));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_back_is_forgotten_and_what_was_left_alone_goes_on() {
    let (bench, _) = two(canary(), "window = \"10s\"").await;
    call(&bench, 20, 99, THROWS()).await;
    bench.engine.loaded_as(20).unwrap().mark(bench.engine.clock().now_ms());
    bench.engine.clock().advance(Duration::from_secs(11));
    call(&bench, 10, 200, WORKS()).await;
    call(&bench, 20, 99, THROWS()).await;
    look(&bench).await;
    assert!(shown(&bench).rollout.is_some(), "the first were longer ago than the window");
    bench.engine.roll(Event::Unguard, &Actor::operator()).await.unwrap();
    call(&bench, 20, 150, THROWS()).await;
    look(&bench).await;
    assert!(shown(&bench).rollout.is_some());
    bench.engine.roll(Event::Promote, &Actor::operator()).await.unwrap();
    assert_eq!(look(&bench).await, Some(20));
    assert_eq!(releases::traffic(&bench.store).unwrap().watch, None);
    assert!(bench.audit().contains("operator unguardRollout rollout 2 shop 2.0.0"), "{}", bench.audit());
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_rolled_out_once_more_begins_anew() {
    let (bench, _) = two(canary(), LONG).await;
    call(&bench, 20, 99, THROWS()).await;
    bench.engine.roll(Event::RollBack { why: "by hand".into() }, &Actor::operator()).await.unwrap();
    bench.engine.clock().advance(Duration::from_secs(1));
    bench.engine.start_rollout(20, canary(), &Actor::operator()).await.unwrap();
    call(&bench, 20, 99, THROWS()).await;
    look(&bench).await;
    assert!(shown(&bench).rollout.is_some());
    call(&bench, 20, 1, THROWS()).await;
    look(&bench).await;
    assert_eq!(why_ended(&bench), "guard error_rate: 100.0% of 100 calls failed, 0.0% of 200 on 1.0.0");
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_wait_for_is_counted_however_they_ask() {
    let (bench, _) = two(AT_ONCE, "watch = \"0s\"").await;
    let release = bench.engine.loaded_as(20).unwrap();
    let add = |n: Value| Call { function: "add".into(), args: json!({ "n": n }) };
    let batch = async |calls, atomic| {
        bench.engine.batch(&release, &Caller::Anonymous, calls, atomic, |_| None).await.unwrap();
    };
    batch(vec![add(json!(1)), add(json!(2))], true).await;
    batch(vec![add(json!(3)), add(json!("x"))], false).await;
    let mut watch = bench.engine.watch(&release, &Caller::Anonymous, "answer", THROWS(), None);
    watch.next().await.unwrap_err();
    let health = release.health();
    assert_eq!((health.answered, health.refused, health.failed, health.crashed), (3, 1, 1, 0));
    assert_eq!(health.timed(), 3);
    assert!(health.percentile_us(95) >= health.percentile_us(50) && health.percentile_us(50).is_some());
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_unguarded_is_taken_back_by_hand_alone() {
    let (bench, key) = two(canary(), LONG).await;
    bench.engine.roll(Event::RollBack { why: "by hand".into() }, &Actor::operator()).await.unwrap();
    let (actor, signed) = (Actor::operator(), bundle(&key, &app("3.0.0", LONG), 30));
    let how = |strategy| (strategy, Incompatible::Refused, Guarded::ByHand);
    bench.engine.deploy_judged(&signed, how(canary()), &actor, &|_| Ok(())).await.unwrap();
    call(&bench, 30, 200, THROWS()).await;
    look(&bench).await;
    let status = shown(&bench);
    assert!(status.rollout.is_some_and(|rollout| rollout.unguarded));
    assert_eq!(status.guards, Vec::<String>::new());
    bench.engine.roll(Event::Promote, &actor).await.unwrap();
    assert_eq!(look(&bench).await, Some(30));
    // The same where all callers move at once, of what is on record.
    bench.engine.start_rollout_guarded(20, (AT_ONCE, Guarded::ByHand), &actor).await.unwrap();
    call(&bench, 20, 200, THROWS()).await;
    assert_eq!(look(&bench).await, Some(20));
    assert_eq!(releases::traffic(&bench.store).unwrap().watch, None);
    let audit = bench.audit();
    let begun: Vec<&str> = audit.lines().filter(|line| line.ends_with(" unguarded")).collect();
    assert!(
        matches!(begun.as_slice(), [deploy, start] if deploy.starts_with("operator deploy shop 3.0.0 30 ")
        && *start == "operator startRollout rollout 4 shop 2.0.0 blue-green unguarded"),
        "{audit}"
    );
    // It holds for one rollout.
    bench.engine.start_rollout(30, AT_ONCE, &actor).await.unwrap();
    assert!(releases::traffic(&bench.store).unwrap().watch.is_some());
    bench.engine.close().await;
}

//! Shadow rollouts on a real store: what differs is told, and nothing else comes of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_sandbox::compile::Sources;
use weir_schema::rollout::{Event, Phase, Share, Strategy};
use weir_store::JobFilter;

use super::report::{Counts, FunctionReport, MetricReport, MetricSum, ShadowReport};
use super::shadow::How;
use crate::bundle::key::SigningKey;
use crate::call::{Call, Caller};
use crate::control::Actor;
use crate::control::tests::{AT_ONCE, Bench, bundle};
use crate::engine::draw;
use crate::experiments::counts::Counted;
use crate::row::Row;
use crate::run::Prepared;
use crate::usage;

const ALL: Strategy = Strategy::Shadow { share: Share::ALL };

/// The release that answers.
const FUNCTIONS: &str = r#"
import { collection, fail, metric, procedure, query, schedule, view, type Int } from "weir";
export interface Item { n: Int }
export const items = collection<Item>();
export const add = procedure((args: { n: Int }): Int => { items.insert(args); return args.n; });
export const change = procedure((args: { n: Int }): Int => {
  for (const item of items.all()) items.patch(item.id, { n: args.n });
  return args.n;
});
export const drawn = procedure((): string => `${items.insert({ n: 1 }).id} ${Math.random()} ${Date.now()}`);
export const told = procedure((): Int => { metric("spent", 3); return 0; });
export const later = procedure((): string => schedule({ after: "1h" }, add, { n: 5 }));
export const numbers = query((): Int[] => items.all().map((item) => item.n));
export const total = view((): Int => items.all().reduce((sum, item) => sum + item.n, 0));
export const sum = query((args: { of: string }): { of: string; n: Int } => ({ of: args.of, n: total() }));
export const drawnAgain = query((): string => `${Math.random()} ${Date.now()}`);
export const refuse = procedure((): Int => fail("NO", "not now"));
"#;

fn sources(version: &str, functions: &str, limits: &str, policies: Option<&str>) -> Sources {
    let manifest =
        format!("name = \"shop\"\nversion = \"{version}\"\n[limits]\n{limits}[metrics.spent]\nkind = \"mean\"\n");
    let texts =
        [("app.toml", Some(manifest.as_str())), ("functions/f.ts", Some(functions)), ("policies.cedar", policies)];
    let texts = texts.into_iter().filter_map(|(path, text)| Some((path.to_owned(), text?.to_owned())));
    Sources::from_texts(texts)
}

/// A release, and another that shadows it.
async fn shadowed(candidate: &Sources) -> Bench {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    let base = bundle(&key, &sources("1.0.0", FUNCTIONS, "", None), 10);
    bench.engine.deploy(&base, AT_ONCE, &Actor::operator(), &|_| Ok(())).await.unwrap();
    let candidate = bundle(&key, candidate, 20);
    let deployed = bench.engine.deploy(&candidate, ALL, &Actor::operator(), &|_| Ok(())).await.unwrap();
    assert_eq!(deployed.rollout.unwrap().phase, Phase::Shadowing);
    bench
}

/// The functions with something in the place of something else.
fn changed(from: &str, to: &str) -> String {
    assert!(FUNCTIONS.contains(from));
    FUNCTIONS.replace(from, to)
}

/// What was found once so many runs are accounted for.
async fn found(bench: &Bench, runs: u64) -> ShadowReport {
    let begun = Instant::now();
    loop {
        let report = bench.engine.shadow_report().unwrap();
        let Counts { same, different, skipped } = report.counts;
        if same + different + skipped >= runs {
            return report;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{report}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn counts(same: u64, different: u64) -> Counts {
    Counts { same, different, skipped: 0 }
}

fn of<'r>(report: &'r ShadowReport, function: &str) -> &'r FunctionReport {
    report.functions.iter().find(|report| report.function == function).unwrap()
}

/// The differences of a function, as lines.
fn lines(report: &ShadowReport, function: &str) -> Vec<String> {
    let line = |shown: &super::report::Shown| {
        let (aspect, path) = (shown.aspect.as_str(), &shown.path);
        format!("{aspect} {path}: {} | {} | {}", shown.base, shown.candidate, shown.arguments)
    };
    of(report, function).differences.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_told_with_where_and_how() {
    let functions = changed("({ of: args.of, n: total() })", "({ of: args.of, n: total() + 1 })")
        .replace("items.patch(item.id, { n: args.n })", "items.patch(item.id, { n: -args.n })")
        .replace("schedule({ after: \"1h\" }, add, { n: 5 })", "schedule({ after: \"2h\" }, add, { n: 5 })")
        .replace("fail(\"NO\", \"not now\")", "7");
    let bench = shadowed(&sources("2.0.0", &functions, "", None)).await;
    let added = bench.call("add", json!({ "n": 2 })).await;
    bench.call("change", json!({ "n": 3 })).await;
    assert_eq!((added, bench.call("sum", json!({ "of": "all" })).await["n"].clone()), (json!(2), json!(3)));
    bench.call("later", Value::Null).await;
    let release = bench.engine.releases().borrow().clone().unwrap();
    bench.engine.call(&release, &Caller::Anonymous, "refuse", Value::Null).await.unwrap_err();
    let report = found(&bench, 5).await;
    assert_eq!(report.counts, counts(1, 4), "{report}");
    assert_eq!(of(&report, "add").counts, counts(1, 0));
    assert_eq!(lines(&report, "sum"), ["result /n: 3 | 4 | {\"of\":\"all\"}"]);
    let [changed] = lines(&report, "change").try_into().unwrap();
    assert!(changed.starts_with("documents /items/") && changed.ends_with("/n: 3 | -3 | {\"n\":3}"), "{changed}");
    let [later] = lines(&report, "later").try_into().unwrap();
    assert!(later.starts_with("jobs /") && later.contains("/dueMs: "), "{later}");
    let [refuse] = lines(&report, "refuse").try_into().unwrap();
    assert_eq!(refuse, "result : error FUNCTION_FAILED NO: not now | 7 | {}");
    let status = bench.engine.rollout_status().unwrap();
    assert_eq!(status.shadow, Some(report.counts));
    assert!(status.to_string().contains("5 compared, 4 different, 0 skipped"), "{status}");
    // It is promoted, what was found stays at hand, and nothing is compared any more.
    bench.engine.roll(Event::Promote, &Actor::operator()).await.unwrap();
    assert_eq!(bench.call("sum", json!({ "of": "all" })).await["n"], json!(4));
    assert_eq!(bench.engine.shadow_report(), Some(report));
    assert_eq!(bench.engine.rollout_status().unwrap().shadow, None);
    bench.engine.close().await;
}

/// Time, randomness and ids are those of the call, so what comes of them is the same; and nothing but the call itself leaves anything.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_call_itself_leaves_anything_behind() {
    let bench = shadowed(&sources("2.0.0", FUNCTIONS, "", None)).await;
    let audit = bench.audit();
    let release = bench.engine.releases().borrow().clone().unwrap();
    let mut row = Row::new(&bench.engine, &release, &Caller::Anonymous);
    for function in ["drawn", "told", "later", "drawnAgain", "numbers"] {
        bench.call(function, Value::Null).await;
        let call = Call { function: function.to_owned(), args: Value::Null };
        row.call(call, None).await.opened().await.unwrap();
    }
    let report = found(&bench, 10).await;
    assert_eq!(report.counts, counts(10, 0), "{report}");
    let documents = bench.call("numbers", Value::Null).await;
    assert_eq!(documents, json!([1, 1]));
    let jobs = bench.store.jobs(JobFilter::default(), None, 10, usize::MAX).await.unwrap().jobs;
    assert_eq!(jobs.iter().map(|(_, job)| job.release).collect::<Vec<_>>(), [Some(10), Some(10)]);
    let values = |sequence| bench.engine.loaded_as(sequence).unwrap().counts().all().remove(0).1.values;
    assert_eq!((values(10), values(20)), (2, 0));
    let calls = "anonymous call drawn\nanonymous call drawn\nanonymous call later\nanonymous call later\n";
    assert_eq!(bench.audit(), audit + calls);
    bench.engine.write_usage().await;
    let used = |sequence| {
        let used = usage::read(&bench.store, Some(sequence), bench.engine.clock().now_ms()).unwrap();
        used.iter().map(|(_, used)| used.count).sum::<u64>()
    };
    assert_eq!((used(10), used(20)), (11, 0));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_policies_decide_and_what_is_gone_is_not_there() {
    let policies = "permit(principal, action == Action::\"call\", resource == Function::\"sum\");\n\
                    permit(principal, action in Action::\"read\", resource is Item);";
    let functions = changed("export const told = procedure(", "export const untold = procedure(")
        .replace("export const refuse = procedure((): Int => fail(\"NO\", \"not now\"))", "");
    let bench = shadowed(&sources("2.0.0", &functions, "", Some(policies))).await;
    bench.call("numbers", Value::Null).await;
    bench.call("told", Value::Null).await;
    bench.call("sum", json!({ "of": "all" })).await;
    let report = found(&bench, 3).await;
    assert_eq!(report.counts, counts(1, 2), "{report}");
    let [numbers] = lines(&report, "numbers").try_into().unwrap();
    assert!(numbers.starts_with("result : [] | error FORBIDDEN: "), "{numbers}");
    let [told] = lines(&report, "told").try_into().unwrap();
    assert!(told.starts_with("result : 0 | error NOT_FOUND: there is no function \"told\""), "{told}");
    bench.engine.close().await;
}

/// Whoever calls is answered as if there were no other release, however many of its runs never end by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_ends_is_nobodys_trouble() {
    let functions = changed("items.insert(args); return args.n;", "for (;;) {}");
    let bench = shadowed(&sources("2.0.0", &functions, "cpu_ms = 50\n", None)).await;
    for n in 0..70 {
        assert_eq!(bench.call("add", json!({ "n": n })).await, json!(n));
    }
    let report = found(&bench, 70).await;
    let Counts { same, different, skipped } = report.counts;
    assert!(same == 0 && different > 0 && different + skipped == 70, "{report}");
    assert!(lines(&report, "add")[0].starts_with("result : 0 | error LIMIT_EXCEEDED: "), "{report}");
    assert!(of(&report, "add").differences.len() <= 20);
    bench.engine.roll(Event::RollBack { why: "it hangs".into() }, &Actor::operator()).await.unwrap();
    assert_eq!(bench.call("numbers", Value::Null).await.as_array().unwrap().len(), 70);
    bench.engine.close().await;
}

/// On one thread, where nothing is taken out while the test puts in.
#[tokio::test]
async fn no_more_wait_than_there_is_room_for() {
    let bench = shadowed(&sources("2.0.0", FUNCTIONS, "", None)).await;
    let release = bench.engine.releases().borrow().clone().unwrap();
    let prepared = Prepared::new(&release, &Caller::Anonymous, "add", json!({ "n": 1 })).unwrap();
    let shadow = bench.engine.shadow_of(&prepared).unwrap();
    assert!(bench.engine.for_action().shadow_of(&prepared).is_none(), "what an action calls is part of that");
    let seed = draw().unwrap();
    let ran = prepared.run(&bench.engine, &seed, seed.ids(), Some(bench.store.begin().unwrap())).await;
    for _ in 0..100 {
        let original = shadow.original((&bench.engine, &prepared), &seed, &ran, Duration::ZERO, How::ToCommit);
        shadow.offer(original.unwrap());
    }
    assert_eq!(bench.engine.shadow_report().unwrap().counts, Counts { same: 0, different: 0, skipped: 36 });
    let report = found(&bench, 100).await;
    assert_eq!(report.counts, Counts { same: 64, different: 0, skipped: 36 });
    assert_eq!(bench.call("numbers", Value::Null).await, json!([]));
    drop(shadow);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_a_restart() {
    let functions = changed("n: total() }", "n: total() + 1 }");
    let bench = shadowed(&sources("2.0.0", &functions, "", None)).await;
    bench.call("sum", json!({ "of": "a" })).await;
    assert_eq!(found(&bench, 1).await.counts, counts(0, 1));
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    assert_eq!(bench.engine.shadow_report().unwrap().counts, Counts::default(), "what was found was in memory");
    assert_eq!(bench.call("sum", json!({ "of": "b" })).await, json!({ "of": "b", "n": 0 }));
    let report = found(&bench, 1).await;
    assert_eq!(lines(&report, "sum"), ["result /n: 0 | 1 | {\"of\":\"b\"}"]);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_release_would_give_to_metrics_is_told() {
    let bench = shadowed(&sources("2.0.0", &changed("metric(\"spent\", 3)", "metric(\"spent\", 4)"), "", None)).await;
    for _ in 0..3 {
        bench.call("told", Value::Null).await;
    }
    bench.call("add", json!({ "n": 1 })).await;
    let report = found(&bench, 4).await;
    // What a call gives to metrics is no difference of the call.
    assert_eq!(report.counts, counts(4, 0), "{report}");
    let (base, candidate) = (MetricSum { values: 3, sum: 9.0 }, MetricSum { values: 3, sum: 12.0 });
    assert_eq!(report.metrics, [MetricReport { metric: "spent".to_owned(), base, candidate }]);
    let line = "\nmetric spent: 3 values, sum 9, mean 3 became 3 values, sum 12, mean 4\n";
    assert!(report.to_string().contains(line), "{report}");
    // Nothing of it has counted for the release itself.
    let counted = bench.engine.loaded_as(20).unwrap().counts().all();
    assert_eq!(counted, [("spent".to_owned(), Counted::default())]);
    bench.engine.close().await;
}

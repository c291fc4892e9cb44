//! Experiments on a real store: who sees what, who is counted, what counts for whom, and what stays of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weir_sandbox::compile::Sources;
use weir_schema::rollout::{Compared, Event, Phase, Share, Strategy, Variant};

use super::super::traffic::Asker;
use super::*;
use crate::bundle::key::SigningKey;
use crate::call::{Caller, Identity, TokenKind};
use crate::control::Actor;
use crate::control::releases::DeployError;
use crate::control::tests::{AT_ONCE, Bench, answering, bundle};

const METRICS: &str =
    "[metrics.order_value]\nkind = \"mean\"\n[metrics.ordered]\nkind = \"conversion\"\nfunction = \"order\"\n";
const ISSUER: &str = "https://id.example.com";

/// A release whose orders are all of one value.
fn ordering(version: &str, value: u32) -> Sources {
    let manifest = format!("name = \"shop\"\nversion = \"{version}\"\n{METRICS}");
    let functions = format!(
        "import {{ metric, procedure, type Int }} from \"weir\";\n\
         export const order = procedure((): Int => {{ metric(\"order_value\", {value}); return {value}; }});"
    );
    let texts = [("app.toml", manifest), ("functions/f.ts", functions)];
    Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text)))
}

fn experiment(percent: u16, others: &[(u64, u16)], metrics: &[&str]) -> Strategy {
    let share = |percent: u16| Share::of(percent * 100).unwrap();
    let variant = |(release, percent): &(u64, u16)| Variant { release: *release, share: share(*percent) };
    let metrics = metrics.iter().map(|name| (*name).to_owned()).collect();
    let compared = Compared { metrics, ..Compared::default() };
    Strategy::Experiment { share: share(percent), others: others.iter().map(variant).collect(), compared }
}

async fn deploy(bench: &Bench, signed: &[u8], strategy: Strategy) -> Result<Option<Phase>, DeployError> {
    let deployed = bench.engine.deploy(signed, strategy, &Actor::operator(), &|_| Ok(())).await;
    deployed.map(|deployed| deployed.rollout.map(|rollout| rollout.phase))
}

async fn roll(bench: &Bench, event: Event) {
    bench.engine.roll(event, &Actor::operator()).await.unwrap();
}

/// Three releases on record: 10 is active, and 20 and 30 are to be compared with it.
async fn three() -> (Bench, SigningKey) {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    deploy(&bench, &bundle(&key, &ordering("1.0.0", 1), 10), AT_ONCE).await.unwrap();
    deploy(&bench, &bundle(&key, &ordering("2.0.0", 2), 20), Strategy::BlueGreen { hold: true }).await.unwrap();
    roll(&bench, Event::RollBack { why: "it waits".into() }).await;
    let running = deploy(&bench, &bundle(&key, &ordering("3.0.0", 3), 30), experiment(30, &[(20, 30)], &[])).await;
    assert_eq!(running.unwrap(), Some(Phase::Running));
    (bench, key)
}

const VISITORS: usize = 60;

/// Where a call of somebody goes, who is counted for it.
fn called(bench: &Bench, asker: Asker<'_>) -> Option<Arc<Release>> {
    bench.engine.count_caller(asker);
    bench.engine.route(|| asker)
}

fn visitor(number: usize) -> String {
    format!("visitor {number}")
}

/// The sequences of the releases that many visitors see, in order.
fn seen(bench: &Bench) -> Vec<u64> {
    let see = |number| {
        let name = visitor(number);
        called(bench, Asker::Visitor(&name)).unwrap().sequence().unwrap()
    };
    (0..VISITORS).map(see).collect()
}

/// A visitor orders what it sees.
async fn order(bench: &Bench, number: usize) -> Value {
    let name = visitor(number);
    let release = called(bench, Asker::Visitor(&name)).unwrap();
    let engine = bench.engine.of_visitor(&name);
    engine.call(&release, &Caller::Anonymous, "order", Value::Null).await.unwrap().value.take()
}

fn known(bench: &Bench) -> ExperimentReport {
    report(bench.engine.observations(), None).unwrap()
}

/// By the sequence of each variant: its callers, how many of them have ordered, and for how much.
fn results(bench: &Bench) -> BTreeMap<u64, (u64, f64, f64)> {
    let report = known(bench);
    let summary = bench.engine.observations().summary(report.experiment).unwrap();
    let of = |(variant, summary): (&crate::experiments::report::VariantReport, &crate::experiments::VariantSummary)| {
        let sum = |name: &str| summary.metrics[name].sum;
        (variant.release, (variant.callers, sum("ordered"), sum("order_value")))
    };
    report.variants.iter().zip(&summary).map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_names_all_variants_with_their_shares() {
    let (bench, _key) = three().await;
    let status = bench.engine.rollout_status().unwrap();
    let told = status.to_string();
    let lines: Vec<&str> = told.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "40% of the callers: 1.0.0, sequence 10",
            "30% of the callers: 3.0.0, sequence 30",
            "30% of the callers: 2.0.0, sequence 20"
        ]
    );
    let variants: Vec<u64> = status.variants.iter().map(|variant| variant.sequence).collect();
    assert_eq!((variants, status.left_ms, status.progress), (vec![10, 30, 20], None, Vec::new()));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_divided_and_what_they_do_counts_for_what_they_see() {
    let (bench, _key) = three().await;
    let first = seen(&bench);
    let among = |sequence: u64| first.iter().filter(|seen| **seen == sequence).count();
    // Visitors stand where their digests say: the same in each run.
    assert!([10, 20, 30].iter().all(|sequence| among(*sequence) > 5), "{first:?}");
    assert_eq!(seen(&bench), first, "each stays where they are");
    for number in (0..VISITORS).step_by(2) {
        assert_eq!(order(&bench, number).await, json!(first[number] / 10));
    }
    // Once more: the total of a caller grows, and it has converted once.
    order(&bench, 0).await;
    let mut expected: BTreeMap<u64, (u64, f64, f64)> = [10, 20, 30].map(|sequence| (sequence, (0, 0.0, 0.0))).into();
    for (number, sequence) in first.iter().enumerate() {
        let (callers, ordered, value) = expected.get_mut(sequence).unwrap();
        *callers += 1;
        if number % 2 == 0 {
            *ordered += 1.0;
            *value += (*sequence / 10) as f64 * if number == 0 { 2.0 } else { 1.0 };
        }
    }
    assert_eq!(results(&bench), expected);
    let report = known(&bench);
    let variants: Vec<(&str, f64)> =
        report.variants.iter().map(|variant| (variant.name.as_str(), variant.share_set)).collect();
    assert_eq!(variants, [("1.0.0", 0.4), ("3.0.0", 0.3), ("2.0.0", 0.3)]);
    assert_eq!((report.experiment, report.is_running, report.moved), (3, true, 0));
    // All of it is there after a restart, and goes on.
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    assert_eq!(results(&bench), expected);
    assert_eq!((seen(&bench), known(&bench).moved), (first.clone(), 0));
    assert_eq!(results(&bench), expected, "nobody counts twice");
    // One of them is chosen: everybody sees it, and what was known stays.
    roll(&bench, Event::Choose { release: 20 }).await;
    assert_eq!(seen(&bench), [20; VISITORS]);
    order(&bench, 1).await;
    assert_eq!((results(&bench), known(&bench).is_running), (expected.clone(), false));
    let audit = bench.audit();
    assert_eq!(
        audit.lines().last(),
        Some("operator promoteRollout rollout 3 shop 2.0.0 from shop 1.0.0 to shop 2.0.0")
    );
    let bench = bench.reopened().await;
    bench.engine.restore(&|_| Ok(())).await.unwrap();
    assert_eq!((results(&bench), known(&bench).is_running, seen(&bench)), (expected, false, vec![20; VISITORS]));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_told_apart_is_not_counted() {
    let (bench, _key) = three().await;
    let counted = |bench: &Bench| results(bench).values().map(|(callers, ..)| callers).sum::<u64>();
    let address = "192.0.2.1".parse().unwrap();
    let at_address = called(&bench, Asker::Address(address)).unwrap();
    bench.engine.call(&at_address, &Caller::Anonymous, "order", Value::Null).await.unwrap();
    assert_eq!(called(&bench, Asker::Nobody).unwrap().sequence(), Some(10));
    // Who only looks where calls would go calls nothing.
    bench.engine.route(|| Asker::Visitor("looks")).unwrap();
    assert_eq!(counted(&bench), 0);
    // Who has a token is known by it, also where a visitor is named beside.
    let subject = "ada".to_owned();
    let release = called(&bench, Asker::Token { issuer: ISSUER, subject: &subject }).unwrap();
    let (issuer, roles, scopes, claims) = (ISSUER.to_owned(), Vec::new(), Vec::new(), Map::new());
    let ada = Caller::Token(Arc::new(Identity { kind: TokenKind::User, issuer, subject, roles, scopes, claims }));
    bench.engine.of_visitor("9f3c").call(&release, &ada, "order", Value::Null).await.unwrap();
    let value = release.sequence().unwrap() / 10;
    assert_eq!(results(&bench)[&release.sequence().unwrap()], (1, 1.0, value as f64));
    assert_eq!(counted(&bench), 1);
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_changes_nothing() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    deploy(&bench, &bundle(&key, &answering("1.0.0", 1), 10), AT_ONCE).await.unwrap();
    assert_eq!(report(bench.engine.observations(), None), Err(NoReport::None));
    let refused = async |app: &Sources, strategy: Strategy| {
        let refusal = deploy(&bench, &bundle(&key, app, 20), strategy).await.unwrap_err().to_string();
        assert_eq!(crate::control::releases::list(&bench.store).unwrap().len(), 1);
        assert!(bench.engine.loaded_as(20).is_none());
        refusal
    };
    assert_eq!(
        refused(&answering("2.0.0", 2), experiment(50, &[], &[])).await,
        "an experiment compares 1 to 50 metrics, not 0: declare them under [metrics] in app.toml"
    );
    assert_eq!(
        refused(&ordering("2.0.0", 2), experiment(50, &[], &["odered"])).await,
        "no release of the experiment declares the metric odered: name one that stands under [metrics] in app.toml"
    );
    assert_eq!(
        refused(&ordering("2.0.0", 2), experiment(50, &[(99, 10)], &[])).await,
        "there is no release 99: weir releases list shows those that there are"
    );
    // One metric of several decides where it is named; and one experiment after the other has a number of its own.
    deploy(&bench, &bundle(&key, &ordering("2.0.0", 2), 20), experiment(50, &[], &["ordered"])).await.unwrap();
    let names = |bench: &Bench| known(bench).metrics.into_iter().map(|metric| metric.name).collect::<Vec<_>>();
    assert_eq!((names(&bench), known(&bench).experiment), (vec!["ordered".to_owned()], 2));
    roll(&bench, Event::RollBack { why: "it is slow".into() }).await;
    assert!(!known(&bench).is_running);
    bench.engine.start_rollout(20, experiment(50, &[], &[]), &Actor::operator()).await.unwrap();
    assert_eq!((names(&bench).len(), known(&bench).experiment, known(&bench).is_running), (2, 3, true));
    assert_eq!(report(bench.engine.observations(), Some(1)), Err(NoReport::Unknown(1)));
    assert!(!report(bench.engine.observations(), Some(2)).unwrap().is_running);
    roll(&bench, Event::Promote).await;
    assert_eq!(bench.engine.route(|| Asker::Nobody).unwrap().sequence(), Some(20));
    bench.engine.close().await;
}

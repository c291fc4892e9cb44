//! Callers who stay on a line of versions, what they schedule, and how many releases are loaded for it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn callers_stay_on_a_line() {
    let (bench, key) = two(AT_ONCE).await;
    let on = async |range: &str| {
        let line = Line::parse(range).unwrap();
        let release = bench.engine.route_on(&line, Asker::Nobody).await?;
        Ok::<_, super::super::line::LineError>((ask(&bench, &release).await, line))
    };
    let of = async |range: &str| on(range).await.map(|(answer, _)| answer).map_err(|error| error.to_string());
    assert_eq!((of("^1").await, of("^2").await, of("*").await), (Ok(json!(1)), Ok(json!(2)), Ok(json!(2))));
    assert_eq!(of("^3").await, Err("no release is ^3: there are 2.0.0, 1.0.0".to_owned()));
    // Nobody needs 1.0.0 for a rollback any more, but somebody holds it.
    deploy(&bench, &bundle(&key, &answering("3.0.0", 3), 30), AT_ONCE).await.unwrap();
    let (_, held) = on("=1.0.0").await.unwrap();
    bench.engine.clock().advance(DRAIN_AFTER * 2);
    bench.engine.drain(&[], true).await;
    assert!(bench.engine.loaded_as(10).is_some() && bench.engine.loaded_as(20).is_none());
    drop(held);
    bench.engine.drain(&[], true).await;
    assert!(bench.engine.loaded_as(10).is_none());
    assert_eq!(bench.answer().await, json!(3));
    // It comes back for who asks for it.
    assert_eq!(of("^1").await, Ok(json!(1)));
    // What was rolled back is on no line.
    roll(&bench, back()).await.unwrap();
    assert_eq!(of("^3").await, Err("no release is ^3: there are 2.0.0, 1.0.0".to_owned()));
    assert_eq!(of("<1").await, Err("no release is <1: there are 2.0.0, 1.0.0".to_owned()));
    bench.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_deploys_often_has_few_releases_in_memory() {
    let (bench, key) = two(AT_ONCE).await;
    // Somebody stays on the second one, and nobody on any other.
    let line = Line::parse("=2.0.0").unwrap();
    drop(bench.engine.route_on(&line, Asker::Nobody).await.unwrap());
    drop(line);
    for number in 3..=8 {
        deploy(&bench, &bundle(&key, &answering(&format!("{number}.0.0"), number), u64::from(number) * 10), AT_ONCE)
            .await
            .unwrap();
    }
    let drained = async |time: Duration| {
        bench.engine.clock().advance(time);
        let needed = needed(&releases::traffic(&bench.store).unwrap());
        bench.engine.drain(&needed, true).await;
        let loaded = bench.engine.loaded().borrow().clone();
        loaded.iter().filter_map(|release| release.sequence()).collect::<Vec<_>>()
    };
    assert_eq!(drained(DRAIN_TAKEN_OVER_AFTER).await, [20, 70, 80]);
    assert_eq!(drained(DRAIN_AFTER).await, [70, 80]);
    // One that goes back a few times has them loaded again.
    roll(&bench, back()).await.unwrap();
    bench.engine.clock().advance(Duration::from_millis(weir_schema::rollout::back::NAMED_FOR_MS));
    roll(&bench, back()).await.unwrap();
    assert_eq!(bench.answer().await, json!(6));
    bench.engine.close().await;
}

/// A release that notes its number, later if that is asked.
fn notes(version: &str, n: u32) -> Sources {
    let functions = format!(
        "export const note = procedure((): Int => {{ items.insert({{ n: {n} }}); return {n}; }});\n\
         export const later = procedure((): string => schedule({{ after: \"1h\" }}, note, {{}}));\n\
         export const muchLater = procedure((): string => schedule({{ after: \"2h\" }}, note, {{}}));\n\
         export const all = query((): Int[] => items.all().map((item) => item.n));"
    );
    sources(version, COLLECTIONS, &format!("import {{ schedule }} from \"weir\";\n{functions}"))
}

/// What was noted, as soon as that is so much.
async fn noted(bench: &Bench, count: usize) -> Vec<u64> {
    let mut notes = bench.call("all", Value::Null).await;
    for _ in 0..600 {
        if notes.as_array().unwrap().len() == count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        notes = bench.call("all", Value::Null).await;
    }
    let mut notes: Vec<u64> = notes.as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    notes.sort_unstable();
    notes
}

/// A candidate is on no line yet, and runs what its callers on that line have scheduled; and what leads nowhere is no attempt.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_candidate_run_on_it_and_wait_where_it_is_taken_back() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    deploy(&bench, &bundle(&key, &notes("1.0.0", 1), 10), AT_ONCE).await.unwrap();
    deploy(&bench, &bundle(&key, &notes("2.0.0", 2), 20), canary(&[(50, None)])).await.unwrap();
    let line = Line::parse("^2").unwrap();
    let scheduled = async |function: &str| {
        let candidate = bench.engine.loaded_as(20).unwrap();
        let pinned = bench.engine.on_line(line.range());
        pinned.call(&candidate, &Caller::Anonymous, function, Value::Null).await.unwrap();
    };
    scheduled("later").await;
    let scheduler = crate::jobs::Scheduler::start(bench.engine.clone(), bench.engine.clock().clone());
    bench.engine.clock().advance(Duration::from_secs(3_601));
    assert_eq!(noted(&bench, 1).await, [2]);
    scheduled("muchLater").await;
    roll(&bench, back()).await.unwrap();
    bench.engine.clock().advance(Duration::from_secs(3_601));
    let job = async || {
        let listing = control::list(&bench.store, JobFilter::default(), None).await.unwrap();
        listing.jobs.into_iter().next().unwrap().job
    };
    let mut failed = job().await;
    for _ in 0..600 {
        if failed.error.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        failed = job().await;
    }
    assert_eq!(failed.error.unwrap().message, "no release is ^2: there are 1.0.0");
    assert_eq!((failed.state, failed.attempts), (JobState::Waiting, 0));
    // It is rolled out once more, and there is a release of the line again.
    bench.engine.start_rollout(20, AT_ONCE, &Actor::operator()).await.unwrap();
    bench.engine.clock().advance(Duration::from_secs(3_601));
    assert_eq!(noted(&bench, 2).await, [2, 2]);
    scheduler.stop().await;
    bench.engine.close().await;
}

/// What is scheduled on a line runs there.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_stay_on_the_line_of_their_caller() {
    let (bench, key) = (Bench::new(), SigningKey::generate().unwrap());
    bench.trust(&key).await;
    deploy(&bench, &bundle(&key, &notes("1.0.0", 1), 10), AT_ONCE).await.unwrap();
    deploy(&bench, &bundle(&key, &notes("2.0.0", 2), 20), AT_ONCE).await.unwrap();
    let line = Line::parse("^1").unwrap();
    let old = bench.engine.route_on(&line, Asker::Nobody).await.unwrap();
    let pinned = bench.engine.on_line(line.range());
    pinned.call(&old, &Caller::Anonymous, "later", Value::Null).await.unwrap();
    drop((line, old));
    bench.call("later", Value::Null).await;
    let scheduler = crate::jobs::Scheduler::start(bench.engine.clone(), bench.engine.clock().clone());
    bench.engine.clock().advance(Duration::from_secs(3_601));
    assert_eq!(noted(&bench, 2).await, [1, 2]);
    scheduler.stop().await;
    bench.engine.close().await;
}

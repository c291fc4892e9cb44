//! Who may call what, by every way in.

use futures_util::FutureExt;
use serde_json::{Value, json};
use weir_engine::call::{Call, Caller};
use weir_engine::idempotency::IdempotencyKey;
use weir_engine::jobs::{Clock, Scheduler};
use weir_engine::recording::{Calls, Recording};
use weir_engine::row::Row;
use weir_schema::error::ErrorCode;

use super::{App, OWN, caller, user};
use weir_engine::call::TokenKind;

const SOME: &str = r#"
permit(principal is User, action == Action::"call", resource) when { ["counts", "through", "later"].contains(resource.name) };
@id("small ranks")
permit(principal is User, action == Action::"call", resource == Function::"top") when { context.args.n <= 2 };
permit(principal is User, action, resource is Note) when { resource.owner == principal.subject };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nothing_permits_is_forbidden_by_every_way() {
    let app = App::open(SOME).await;
    let ada = user("ada");
    let denied = "FORBIDDEN: the caller may not call all";
    assert_eq!(app.call(&ada, "all", json!({})).await, denied);
    assert_eq!(app.watch(&ada, "all").next().await.unwrap_err().to_string(), denied);
    let lines = app.engine.elements(&app.release, &ada, "all", json!({})).await;
    assert_eq!(lines.err().unwrap().to_string(), denied);
    let place = app.engine.stream_place(&ada).unwrap();
    let stream = app.engine.stream(place, &app.release, &ada, "events", json!({}));
    assert_eq!(stream.err().unwrap().to_string(), "FORBIDDEN: the caller may not call events");
    for atomic in [true, false] {
        let calls = ["counts", "all"].map(|name| Call { function: name.into(), args: Value::Null }).into();
        let outcomes = app.engine.batch(&app.release, &ada, calls, atomic, |_| None).await.unwrap();
        assert_eq!(outcomes[0].is_ok(), !atomic);
        assert_eq!(outcomes[1].as_ref().unwrap_err().to_string(), denied);
    }
    assert_eq!(app.call(&Caller::Anonymous, "counts", json!({})).await, "FORBIDDEN: the caller may not call counts");
    assert_eq!(app.call(&ada, "counts", json!({})).await, "[3,3,2]");
    // What is not there, and what is called wrongly, is told as to everybody.
    assert!(app.call(&ada, "nothing", json!({})).await.starts_with("NOT_FOUND"));
    assert!(app.call(&ada, "top", json!({ "n": "x" })).await.starts_with("BAD_ARGUMENTS"));
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_decide() {
    let app = App::open(SOME).await;
    let ada = user("ada");
    assert_eq!(app.call(&ada, "top", json!({ "n": 2 })).await, r#"["a5","a3"]"#);
    assert_eq!(app.call(&ada, "top", json!({ "n": 3 })).await, "FORBIDDEN: the caller may not call top");
    app.end().await;
}

/// The app makes those calls, and for the same caller.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_calls_is_its_own_affair_and_is_bound_by_its_caller() {
    let app = App::open(SOME).await;
    assert_eq!(app.call(&user("ada"), "through", json!({})).await, "3");
    assert_eq!(app.call(&user("bob"), "through", json!({})).await, "2");
    assert_eq!(app.call(&Caller::Developer, "through", json!({})).await, "5");
    // `stamp` is scheduled, which nobody may call.
    assert!(app.call(&user("bob"), "stamp", json!({ "text": "x" })).await.starts_with("FORBIDDEN"));
    app.call(&user("bob"), "later", json!({ "text": "bob was here" })).await;
    let jobs = Scheduler::start(app.engine.clone(), Clock::system());
    let mut watch = app.watch(&Caller::Developer, "all");
    loop {
        let emission = tokio::time::timeout(std::time::Duration::from_secs(30), watch.next()).await.unwrap().unwrap();
        let all = emission.value.value().clone();
        let stamped: Vec<&str> = super::texts(&all).into_iter().filter(|text| *text == "bob was here").collect();
        if stamped.len() == 2 {
            assert_eq!(super::texts(&all).iter().filter(|text| text.starts_with('a')).count(), 3);
            break;
        }
        assert!(stamped.is_empty(), "{all}");
    }
    jobs.stop().await;
    app.end().await;
}

/// A policy names the function that was called: through others it gives the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_function_may_have_more_than_its_callers() {
    let more = r#"
        permit(principal, action == Action::"call", resource);
        permit(principal, action in Action::"read", resource is Note) when { context.function == "through" };
    "#;
    let app = App::open(more).await;
    for _ in 0..2 {
        assert_eq!(app.call(&user("ada"), "counts", json!({})).await, "[0,0,0]");
        assert_eq!(app.call(&user("ada"), "through", json!({})).await, "5");
    }
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_called_by_nobody() {
    let request =
        json!({ "method": "GET", "path": "/hook", "params": [], "query": [], "headers": [], "body": { "text": "" } });
    let answer = async |policies: &str| {
        let app = App::open(policies).await;
        let answered = app.engine.answer(&app.release, 0, &request).await;
        app.end().await;
        answered
    };
    let denied = answer(OWN.replace("permit(principal, action == Action::\"call\", resource);", "").as_str()).await;
    assert_eq!(denied.unwrap_err().code, ErrorCode::Forbidden);
    let named = "permit(principal is Anonymous, action == Action::\"call\", resource == Function::\"hook\");";
    let given = answer(named).await.unwrap();
    assert!(given.to_string().contains("0"), "{given}");
    let reads = format!(
        "{named} permit(principal, action in Action::\"read\", resource) when {{ context.function == \"hook\" }};"
    );
    assert!(answer(&reads).await.unwrap().to_string().contains('5'));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_policies_all_is_allowed_or_all_is_denied() {
    let app = App::open_with(None, |_| ()).await;
    for caller in [user("ada"), Caller::Anonymous, Caller::Developer] {
        assert_eq!(app.call(&caller, "counts", json!({})).await, "[5,3,3]");
    }
    app.end().await;
    let app = App::open_with(None, weir_engine::Engine::deny_without_policies).await;
    let service = caller(TokenKind::Service, "https://issuer.example", "cron", &["admin"]);
    for caller in [user("ada"), service, Caller::Anonymous] {
        assert_eq!(app.call(&caller, "counts", json!({})).await, "FORBIDDEN: the caller may not call counts");
    }
    for caller in [Caller::Scheduler, Caller::Developer] {
        assert_eq!(app.call(&caller, "counts", json!({})).await, "[5,3,3]");
    }
    app.end().await;
}

/// Each record about calls as actor, function, address and outcome; arguments where there are some.
async fn recorded(app: &App) -> Vec<String> {
    app.engine.write_refusals().await;
    let records = app.engine.store().audit(0, 1_000).unwrap().into_iter();
    let of_ada = records.filter(|record| record.actor.contains("ada"));
    let line = |record: weir_schema::codec::audit::AuditRecord| {
        let times = record.times.map(|times| times.to_string()).unwrap_or_default();
        let told = [record.from, record.outcome, record.arguments, Some(times)];
        let told: Vec<String> = told.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        format!("{} {} {}", record.action, record.targets.join(","), told.join(" ")).trim_end().to_owned()
    };
    let mut lines: Vec<String> = of_ada.map(line).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_calls_are_on_record_by_every_way_with_their_address() {
    let mut app = App::open(SOME).await;
    let here = app.engine.clone();
    app.engine = here.at([10, 0, 0, 1].into());
    let ada = user("ada");
    app.call(&ada, "counts", json!({})).await;
    app.call(&ada, "all", json!({})).await;
    let _ = app.watch(&ada, "listed").next().await;
    drop(app.engine.elements(&app.release, &ada, "of", json!({ "owner": "x" })).await);
    let place = app.engine.stream_place(&ada).unwrap();
    drop(app.engine.stream(place, &app.release, &ada, "events", json!({})));
    for (atomic, name) in [(true, "texts"), (false, "keys")] {
        let calls = ["counts", name].map(|name| Call { function: name.into(), args: Value::Null }).into();
        app.engine.batch(&app.release, &ada, calls, atomic, |_| None).await.unwrap();
    }
    // One of two in a transaction is to blame.
    let add = json!({ "owner": "bob", "rank": 1, "text": "t", "pin": "p" });
    app.under(OWN).await;
    app.call(&ada, "add", add).await;
    let denied = ["all", "events", "keys", "listed", "of", "texts"];
    let mut expected: Vec<String> = denied.iter().map(|name| format!("call {name} 10.0.0.1 FORBIDDEN")).collect();
    expected.push("call add 10.0.0.1 FORBIDDEN".to_owned());
    expected.sort_unstable();
    assert_eq!(recorded(&app).await, expected);
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_procedures_are_on_record_as_is_configured() {
    let (all, failed, none) = (Calls::All, Calls::Failed, Calls::None);
    let kept = r#"{"owner":"ada","rank":9,"text":"t","pin":"p"}"#;
    let with_arguments = format!("call add {kept}");
    let table = [
        (all, false, vec!["call add", "call add CONFLICT 2", "call all FORBIDDEN"]),
        (all, true, vec!["call add CONFLICT 2", &with_arguments, "call all FORBIDDEN"]),
        (failed, true, vec!["call add CONFLICT 2", "call all FORBIDDEN"]),
        (none, true, vec!["call all FORBIDDEN"]),
    ];
    for (calls, arguments, expected) in table {
        let policies = r#"
            permit(principal, action, resource) unless { action == Action::"call" && resource == Function::"all" };
        "#;
        let app = App::open(policies).await;
        app.engine.have_on_record(Recording { calls, arguments });
        let ada = user("ada");
        for _ in 0..3 {
            app.call(&ada, "add", serde_json::from_str(kept).unwrap()).await;
        }
        app.call(&ada, "counts", json!({})).await;
        app.call(&ada, "all", json!({})).await;
        assert_eq!(recorded(&app).await, expected, "{calls:?} {arguments}");
        app.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_calls_are_on_record_where_nobody_takes_the_answer_and_where_an_action_made_them() {
    let policies = r#"
        permit(principal, action, resource) unless { action == Action::"call" && resource == Function::"all" };
    "#;
    let app = App::open(policies).await;
    let (ada, call) = (user("ada"), |function: &str, args| Call { function: function.into(), args });
    let add = |pin: &str| call("add", json!({ "owner": "ada", "rank": 9, "text": "t", "pin": pin }));
    let mut row = Row::new(&app.engine, &app.release, &ada);
    for one in [add("p"), add("p"), call("all", Value::Null)] {
        drop(row.call(one, None).await);
    }
    // A conflict with what was not durable is decided when that is.
    let settled = async {
        while recorded(&app).await.len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), settled).await.unwrap();
    assert!(app.call(&ada, "adding", json!({ "pin": "p" })).await.contains("add: "));
    // A function that is called more than once in a transaction is named once.
    let batch = vec![add("q"), call("counts", Value::Null), add("r")];
    app.engine.batch(&app.release, &ada, batch, true, |_| None).await.unwrap();
    assert_eq!(
        recorded(&app).await,
        ["call add", "call add CONFLICT", "call add CONFLICT", "call add,counts", "call all FORBIDDEN"]
    );
    app.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_as_a_whole_is_on_record() {
    let app = App::open("permit(principal, action, resource);").await;
    let (ada, call) = (user("ada"), |function: &str, args| Call { function: function.into(), args });
    let add = |pin: &str| call("add", json!({ "owner": "ada", "rank": 9, "text": "t", "pin": pin }));
    for (atomic, pin) in [(true, "p"), (false, "q")] {
        let scope = IdempotencyKey::parse(pin).unwrap().scope(&ada, "batch");
        let batch = async |calls| {
            let scope = |place: Option<usize>| place.is_none().then_some(scope);
            app.engine.batch(&app.release, &ada, calls, atomic, scope).await.unwrap()
        };
        assert!(batch(vec![add(pin)]).await[0].is_ok());
        // The key is that of another batch.
        let refused = batch(vec![add("r"), call("counts", Value::Null)]).await;
        assert!(refused.iter().all(|outcome| outcome.as_ref().unwrap_err().code == ErrorCode::Conflict));
    }
    assert_eq!(recorded(&app).await, ["call add", "call add", "call add CONFLICT 2"]);
    app.end().await;
}

/// Nothing of a denied call waits for anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_is_decided_before_it_gets_to_an_isolate() {
    let app = App::open(SOME).await;
    let (engine, release) = (app.engine.clone(), app.release.clone());
    let denied = engine.call(&release, &Caller::Anonymous, "all", json!({})).now_or_never();
    assert_eq!(denied.unwrap().unwrap_err().code, ErrorCode::Forbidden);
    app.end().await;
}

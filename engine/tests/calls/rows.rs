//! Calls in a row: `batch` with `atomic: false`.

use weir_engine::row::Row;

use super::*;

fn deposit(owner: &str, amount: i64) -> Call {
    Call { function: "deposit".into(), args: json!({ "owner": owner, "amount": amount }) }
}

async fn row(bank: &Bank, calls: Vec<Call>, key: Option<&str>) -> Vec<String> {
    let scope = |place: Option<usize>| {
        let key = IdempotencyKey::parse(key?).unwrap();
        let field = place.map_or("batch".to_owned(), |place| format!("batch[{place}]"));
        Some(key.scope(&Caller::Developer, &field))
    };
    let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, calls, false, scope).await.unwrap();
    outcomes.into_iter().map(|outcome| show(outcome.map(|answer| answer.value.take()))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_sees_what_the_ones_before_wrote_whatever_they_are() {
    let bank = Bank::open().await;
    let query = Call { function: "balance".into(), args: json!({ "owner": "ada" }) };
    let action = Call { function: "move".into(), args: json!({ "from": "x", "to": "ada", "amount": 10 }) };
    let calls = vec![
        Call { function: "open".into(), args: json!({ "owner": "ada" }) },
        deposit("ada", 1),
        query.clone(),
        deposit("nobody", 1),
        deposit("ada", -1),
        deposit("ada", 2),
        Call { function: "open".into(), args: json!({ "owner": "ada" }) },
        Call { function: "deposit".into(), args: json!({ "owner": 5 }) },
        Call { function: "missing".into(), args: Value::Null },
        action,
        query.clone(),
        deposit("ada", 3),
        query,
    ];
    let mut shown = row(&bank, calls, None).await;
    shown[0].truncate(6);
    expect![[r#"
        {"id":
        1
        1
        FUNCTION_FAILED [NO_ACCOUNT]: no account of nobody at functions/bank.ts:11
        FUNCTION_FAILED: cannot deposit less than nothing at functions/bank.ts:13
        3
        CONFLICT: accounts has a document with the same owner already
        BAD_ARGUMENTS: args.owner: expected a string, got 5
        NOT_FOUND: there is no function "missing" in test 1.0.0
        13
        13
        16
        16"#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(bank.show("balance", json!({ "owner": "ada" })).await, "16");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_row_runs_only_what_did_not_happen() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let action = Call { function: "move".into(), args: json!({ "from": "x", "to": "ada", "amount": 10 }) };
    let calls: Vec<Call> = vec![deposit("ada", 1), deposit("ada", -1), action, deposit("ada", 2)];
    // The server ended after three of them.
    let key = IdempotencyKey::parse("k").unwrap();
    let (mut row_before, mut first) = (Row::new(&bank.engine, &bank.release, &Caller::Developer), Vec::new());
    for (place, call) in calls[..3].iter().enumerate() {
        let scope = key.scope(&Caller::Developer, &format!("batch[{place}]"));
        let outcome = row_before.call(call.clone(), Some(scope)).await.opened().await;
        first.push(show(outcome.map(|answer| answer.value.take())));
    }
    for _ in 0..2 {
        let again = row(&bank, calls.clone(), Some("k")).await;
        assert_eq!(again[0], first[0]);
        // A kept failure has no place.
        assert!(first[1].starts_with(&again[1]), "{first:?} {again:?}");
        assert_eq!(again[2], first[2]);
        assert_eq!(again[3], "13");
    }
    // Of other calls nothing is run, also where they are more of the same or all together.
    let [mut others, mut more] = [calls.clone(), calls.clone()];
    others[3] = deposit("ada", 4);
    more.push(deposit("ada", 4));
    for conflicting in [others, more] {
        let outcomes = row(&bank, conflicting, Some("k")).await;
        assert!(outcomes.iter().all(|outcome| outcome.starts_with("CONFLICT")), "{outcomes:?}");
    }
    let scope = |_| Some(key.scope(&Caller::Developer, "batch"));
    let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, calls, true, scope).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.is_err()), "{outcomes:?}");
    assert_eq!(bank.show("balance", json!({ "owner": "ada" })).await, "13");
    let repeats = (0..4).map(|_| row(&bank, vec![deposit("ada", 5); 3], Some("at once")));
    for repeat in futures_util::future::join_all(repeats).await {
        assert_eq!(repeat, ["18", "23", "28"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_side_by_side_and_single_calls_lose_nothing() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let rows = (0..4).map(|_| row(&bank, vec![deposit("ada", 1); 20], None));
    let singles = (0..20).map(|_| bank.call("deposit", json!({ "owner": "ada", "amount": 1 })));
    let (rows, singles) =
        futures_util::future::join(futures_util::future::join_all(rows), futures_util::future::join_all(singles)).await;
    let mut all: Vec<i64> = rows.iter().flatten().map(|shown| shown.parse().unwrap()).collect();
    for row in rows {
        assert!(row.iter().map(|shown| shown.parse::<i64>().unwrap()).is_sorted(), "{row:?}");
    }
    all.extend(singles.into_iter().map(|single| single.unwrap().as_i64().unwrap()));
    all.sort_unstable();
    assert_eq!(all, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_goes_away_before_a_call_is_decided_has_written_nothing_by_it() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let mut calls = Row::new(&bank.engine, &bank.release, &Caller::Developer);
    let first = calls.call(deposit("ada", 1), None).await;
    assert_eq!(first.bytes(), 1);
    {
        // It is with its isolate when its caller goes.
        let late = Call { function: "depositLate".into(), args: json!({ "owner": "ada", "amount": 2 }) };
        let mut second = Box::pin(calls.call(late, None));
        assert!(futures_util::poll!(&mut second).is_pending());
    }
    assert_eq!(*first.opened().await.unwrap().value, json!(1));
    bank.call("open", json!({ "owner": "bob" })).await.unwrap();
    assert_eq!(bank.show("balance", json!({ "owner": "ada" })).await, "1");
}

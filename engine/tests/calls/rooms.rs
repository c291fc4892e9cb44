//! What one request may ask for and get, however many calls it makes.

use super::*;

const MANIFEST: &str = "name = \"rooms\"\nversion = \"1.0.0\"\n[limits]\nbatch_calls = 20\nresponse_bytes = 1000\n";

const FUNCTIONS: &str = r#"
import { procedure, query, type Int } from "weir";
import { accounts } from "../collections";

export const put = procedure((args: { owner: string; bytes: Int }): string => {
  accounts.insert({ owner: args.owner, balance: 0, tier: "basic" });
  if (args.bytes < 0) throw new Error("x".repeat(-args.bytes));
  return "x".repeat(args.bytes);
});
export const count = query((): Int => accounts.count());
"#;

async fn bank() -> Bank {
    let texts = [("app.toml", MANIFEST), ("collections.ts", COLLECTIONS), ("functions/rooms.ts", FUNCTIONS)];
    let sources = Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let app = compile(&sources).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    let release = engine.activate(app).await.unwrap();
    Bank { engine, release, _folder: folder }
}

fn puts(count: usize, bytes: i64) -> Vec<Call> {
    let put = |n| Call { function: "put".into(), args: json!({ "owner": format!("o{n}"), "bytes": bytes }) };
    (0..count).map(put).collect()
}

#[tokio::test]
async fn a_batch_has_so_many_calls_and_makes_none_of_more() {
    let bank = bank().await;
    for atomic in [true, false] {
        let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, puts(21, 1), atomic, |_| None).await;
        let error = outcomes.unwrap_err();
        assert_eq!(error.limit, Some(Limit::BatchCalls));
        assert!(error.message.contains("batch_calls = 20"), "{error}");
    }
    assert_eq!(bank.show("count", json!({})).await, "0");
    let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, puts(20, 1), false, |_| None).await;
    assert!(outcomes.unwrap().iter().all(Result::is_ok));
}

#[tokio::test]
async fn no_call_is_made_once_the_results_have_filled_their_room() {
    // Values and messages of failures alike: those that fit and the one that reaches the limit.
    for bytes in [400, -400] {
        let bank = bank().await;
        let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, puts(6, bytes), false, |_| None).await;
        let limits: Vec<_> = outcomes.unwrap().iter().map(|it| it.as_ref().err().and_then(|it| it.limit)).collect();
        let full = Some(Limit::ResponseBytes);
        assert_eq!(limits, [None, None, None, full, full, full]);
        assert_eq!(bank.show("count", json!({})).await, if bytes > 0 { "3" } else { "0" });
    }
}

#[tokio::test]
async fn an_atomic_batch_whose_results_find_no_room_writes_nothing() {
    let bank = bank().await;
    let scope = |_| Some(IdempotencyKey::parse("k").unwrap().scope(&Caller::Developer, "batch"));
    let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, puts(6, 400), true, scope).await;
    let shown: Vec<String> =
        outcomes.unwrap().into_iter().map(|it| show(it.map(|answer| answer.value.take()))).collect();
    assert!(shown[3].starts_with("LIMIT_EXCEEDED (response_bytes): past the limit response_bytes = 1000"), "{shown:?}");
    assert_eq!(shown.iter().filter(|outcome| outcome.starts_with("ROLLED_BACK")).count(), 5, "{shown:?}");
    assert_eq!(bank.show("count", json!({})).await, "0");
    // Nothing is kept: the key does for another request.
    let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, puts(2, 400), true, scope).await;
    assert!(outcomes.unwrap().iter().all(Result::is_ok));
}

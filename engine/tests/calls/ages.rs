//! Transactions that are open for too long, or do more than a transaction may: they end, whatever their scripts make of
//! it, nothing of them is committed, and nothing of that is kept for a repeat.

use weir_sandbox::pool::PoolOptions;

use super::*;

const MANIFEST: &str = "name = \"aged\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = 30000\ncpu_ms = 30000\n\
                        host_calls = 4000000000\ndocuments_read = 4000000000\n";

/// `insist` reads until its transaction is cut, and goes on if it can; `burn` computes for some tens of milliseconds.
const FUNCTIONS: &str = r#"
import { attempt, procedure, query, type ID, type Int } from "weir";
import { accounts } from "../collections";

function outlive(): void {
  for (;;) accounts.get("nobody");
}
export const open = procedure((args: { owner: string; note?: string }): ID =>
  accounts.insert({ owner: args.owner, note: args.note, balance: 0, tier: "basic" }).id);
export const owners = query((): string => accounts.orderBy("owner").all().map((account) => account.owner).join(" "));
export const insist = procedure((args: { how: string }): string => {
  accounts.insert({ owner: args.how, balance: 0, tier: "basic" });
  if (args.how === "attempt") return "went on: " + attempt(outlive).ok;
  if (args.how === "catch") try { outlive(); } catch { return "went on"; }
  return "written";
});
export const swallow = procedure((args: { owners: string[]; note?: string }): Int => {
  let done = 0;
  for (const owner of args.owners) try {
    accounts.insert({ owner, note: args.note, balance: 0, tier: "basic" });
    done++;
  } catch {}
  return done;
});
export const large = procedure((args: { bytes: Int }): string => {
  accounts.insert({ owner: "large", balance: 0, tier: "basic" });
  return "x".repeat(args.bytes);
});
export const reread = procedure((args: { times: Int }): Int => {
  let done = 0;
  for (let i = 0; i < args.times; i++) try { accounts.get("nobody"); done++; } catch {}
  return done;
});
export const burn = query((args: { times: Int }): Int => {
  let x = 1;
  for (let i = 0; i < args.times * 2_000_000; i++) x = (x * 16807) % 2147483647;
  return x % 1;
});
"#;

async fn bank(options: Options, pool: PoolOptions) -> Bank {
    let texts = [("app.toml", MANIFEST), ("collections.ts", COLLECTIONS), ("functions/aged.ts", FUNCTIONS)];
    let sources = Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let app = compile(&sources).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), options).unwrap();
    let engine = Engine::start(store, pool).unwrap();
    let release = engine.activate(app).await.unwrap();
    Bank { engine, release, _folder: folder }
}

fn aged(transaction_age_max: Duration) -> Options {
    Options { transaction_age_max, upkeep_interval: Duration::from_millis(5), ..Options::default() }
}

async fn together(bank: &Bank, calls: Vec<Call>) -> Vec<String> {
    let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, calls, true, |_| None).await.unwrap();
    outcomes.into_iter().map(|outcome| show(outcome.map(|answer| answer.value.take()))).collect()
}

fn call(function: &str, args: Value) -> Call {
    Call { function: function.into(), args }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_goes_no_further_commits_nothing_and_is_not_kept() {
    let bank = bank(aged(Duration::from_millis(300)), PoolOptions::default()).await;
    for how in ["attempt", "catch"] {
        let cut = once(&bank, how, "insist", json!({ "how": how })).await;
        assert!(cut.starts_with("UNAVAILABLE: the transaction took longer than transaction_age_max = 300 ms"), "{cut}");
        assert_eq!(bank.show("owners", json!({})).await, "\"\"");
    }
    // What is kept of one request conflicts with another of the same key.
    assert_eq!(once(&bank, "catch", "insist", json!({ "how": "now" })).await, "\"written\"");
    let calls = vec![
        call("open", json!({ "owner": "ada" })),
        call("insist", json!({ "how": "attempt" })),
        call("open", json!({ "owner": "bob" })),
    ];
    let shown = together(&bank, calls).await;
    assert!(shown[0].starts_with("ROLLED_BACK") && shown[2].starts_with("ROLLED_BACK"), "{shown:?}");
    assert!(shown[1].starts_with("UNAVAILABLE"), "{shown:?}");
    assert_eq!(bank.show("owners", json!({})).await, "\"now\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_waited_for_too_long_is_run_on_the_state_of_now() {
    let pool = PoolOptions { isolates: 1, ..PoolOptions::default() };
    let bank = Arc::new(bank(aged(Duration::from_millis(500)), pool).await);
    let burning = tokio::spawn({
        let bank = bank.clone();
        async move { bank.call("burn", json!({ "times": 25 })).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    assert_eq!(burning.await.unwrap(), Ok(json!(0)));
    assert_eq!(bank.show("owners", json!({})).await, "\"ada\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_on_no_longer_than_its_transaction_may() {
    let bank = bank(aged(Duration::from_millis(300)), PoolOptions::default()).await;
    let shown = together(&bank, vec![call("burn", json!({ "times": 5 })); 60]).await;
    let (ends, others): (Vec<_>, Vec<_>) = shown.iter().partition(|outcome| outcome.starts_with("UNAVAILABLE"));
    assert_eq!(ends.len(), 1, "{shown:?}");
    assert!(others.iter().all(|outcome| outcome.starts_with("ROLLED_BACK")), "{shown:?}");
    assert!(ends[0].contains("make the calls of a large batch in several"), "{ends:?}");
}

#[tokio::test]
async fn the_limits_of_a_transaction_have_their_names_and_cannot_be_caught() {
    let options = Options {
        transaction_documents_written_max: 3,
        transaction_documents_read_max: 40,
        transaction_bytes_max: 2_000,
        ..Options::default()
    };
    let bank = bank(options, PoolOptions::default()).await;
    let mut shown = together(&bank, (0..4).map(|n| call("open", json!({ "owner": format!("o{n}") }))).collect()).await;
    shown.push(once(&bank, "k", "swallow", json!({ "owners": ["a", "b", "c", "d"] })).await);
    shown.push(once(&bank, "k", "swallow", json!({ "owners": ["a"], "note": "x".repeat(3_000) })).await);
    shown.push(once(&bank, "k", "reread", json!({ "times": 41 })).await);
    shown.push(once(&bank, "k", "reread", json!({ "times": 40 })).await);
    shown.push(once(&bank, "l", "large", json!({ "bytes": 2_000 })).await);
    shown.push(bank.show("owners", json!({})).await);
    expect![[r#"
        ROLLED_BACK: nothing of the batch is kept, because call 4 of 4 failed
        ROLLED_BACK: nothing of the batch is kept, because call 4 of 4 failed
        ROLLED_BACK: nothing of the batch is kept, because call 4 of 4 failed
        LIMIT_EXCEEDED (transaction_documents_written_max): past the limit transaction_documents_written_max: a transaction writes at most 3 documents: write less, or in several transactions at functions/aged.ts:8
        LIMIT_EXCEEDED (transaction_documents_written_max): past the limit transaction_documents_written_max: a transaction writes at most 3 documents: write less, or in several transactions at functions/aged.ts:17
        LIMIT_EXCEEDED (transaction_bytes_max): past the limit transaction_bytes_max: a transaction writes at most 2000 bytes: write less, or in several transactions at functions/aged.ts:17
        LIMIT_EXCEEDED (transaction_documents_read_max): past the limit transaction_documents_read_max: a transaction reads at most 40 documents: read less, or in several transactions at functions/aged.ts:29
        40
        LIMIT_EXCEEDED (transaction_bytes_max): past the limit transaction_bytes_max: a transaction writes at most 2000 bytes, and keeps its outcome among them: return less, or make several
        """#]]
    .assert_eq(&shown.join("\n"));
}

//! Calls against an app on a real store: what they give, what they leave behind, what watchers see.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

#[path = "calls/ages.rs"]
mod ages;
#[path = "calls/attempts.rs"]
mod attempts;
#[path = "calls/fairness.rs"]
mod fairness;
#[path = "calls/rooms.rs"]
mod rooms;
#[path = "calls/rows.rs"]
mod rows;

use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::call::{Call, CallError, Caller};
use weir_engine::idempotency::IdempotencyKey;
use weir_engine::import::{ImportError, import};
use weir_engine::live::Watch;
use weir_engine::release::Release;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::commit::Timestamp;
use weir_schema::limits::Limit;
use weir_store::{Options, Store};

const MANIFEST: &str = "name = \"test\"\nversion = \"1.0.0\"\n[limits]\nwall_ms = 5000\ncpu_ms = 5000\ndocuments_read = 200\ndocuments_counted = 100\ndocuments_written = 100\nread_bytes = 40000\nwritten_bytes = 20000\n";

const COLLECTIONS: &str = r#"
import { collection, type DateTime, type Int, type Ref } from "weir";
export interface Account { owner: string; balance: Int; note?: string; tier: "basic" | "fee-free" }
export interface Entry { account: Ref<Account>; amount: Int; at: DateTime }
export const accounts = collection<Account>({ unique: ["owner"], index: ["tier"] });
export const entries = collection<Entry>({ index: [["account", "at"]] });
export interface Card { account: Ref<Account>; last?: Ref<Entry>; before: Ref<Card> | null }
export const cards = collection<Card>({ onDelete: { account: "cascade", last: "setNull" } });
"#;

const FUNCTIONS: &str = r#"
import { action, avg, call, count, fail, max, min, now, procedure, query, sum, view, type Doc, type ID, type Int, type JSON, type Page } from "weir";
import { accounts, cards, entries, type Account, type Card, type Entry } from "../collections";

export const open = procedure((args: { owner: string; balance?: Int }): Doc<Account> =>
  accounts.insert({ owner: args.owner, balance: args.balance ?? 0, tier: "basic" }));
export const balance = query((args: { owner: string }): Int | null =>
  accounts.where("owner", args.owner).first()?.balance ?? null);
export const deposit = procedure((args: { owner: string; amount: Int }): Int => {
  const account = accounts.where("owner", args.owner).first();
  if (!account) fail("NO_ACCOUNT", "no account of " + args.owner);
  entries.insert({ account: account.id, amount: args.amount, at: now() });
  if (args.amount < 0) throw new Error("cannot deposit less than nothing");
  return accounts.patch(account.id, { balance: account.balance + args.amount }).balance;
});
export const statement = query((args: { owner: string; first?: Int; after?: string }): Page<Doc<Entry>> => {
  const account = accounts.where("owner", args.owner).first();
  return entries.where("account", account?.id ?? "nobody").orderBy("at").page({ first: args.first, after: args.after });
});
export const edit = procedure((args: { id: ID; how: string; value: JSON }): JSON =>
  args.how === "patch" ? accounts.patch(args.id, args.value)
    : args.how === "unset" ? accounts.patch(args.id, { note: undefined })
    : args.how === "replace" ? accounts.replace(args.id, args.value)
    : accounts.delete(args.id));
export const byTier = view.groupBy(accounts, (a) => a.tier, {
  n: count(), total: sum((a) => a.balance), mean: avg((a) => a.balance), least: min((a) => a.balance), most: max((a) => a.owner) });
export const wrong = query((args: { how: string }): Account =>
  (args.how === "shape" ? { owner: 1 } : args.how === "undefined" ? undefined : { owner: "x", balance: 1.5, tier: "basic" }) as unknown as Account);
export const scanAll = query((): Int => entries.all().length);
export const countAll = query((): Int => entries.count());
export const unindexed = query((): Int => accounts.where("balance", 1).count());
export const flood = procedure((args: { n: Int }): Int => {
  const id = accounts.insert({ owner: "flood", balance: 0, tier: "basic" }).id;
  for (let i = 1; i < args.n; i++) entries.insert({ account: id, amount: i, at: now() });
  return args.n;
});
export const hoard = procedure((args: { owner: string; bytes: Int }): Int => {
  accounts.insert({ owner: args.owner, note: "x".repeat(args.bytes), balance: 0, tier: "basic" });
  return args.bytes;
});
export const readNotes = query((args: { times: Int }): Int => {
  let n = 0;
  for (let i = 0; i < args.times; i++) n += accounts.all().length;
  return n;
});
export const readNote = query((args: { owner: string; times: Int }): Int => {
  let n = 0;
  for (let i = 0; i < args.times; i++) n += accounts.get(accounts.where("owner", args.owner).first()!.id)!.note!.length;
  return n;
});
export const move = action(async (args: { from: string; to: string; amount: Int }): Promise<Int> => {
  await call(deposit, { owner: args.to, amount: args.amount });
  return (await call(balance, { owner: args.to })) ?? 0;
});
export const when = query((): string => now());
export const issue = procedure((args: { account: ID; last?: ID; n: Int }): ID[] => {
  const ids: ID[] = [];
  for (let i = 0; i < args.n; i++) ids.push(cards.insert({ account: args.account, last: args.last, before: null }).id);
  return ids;
});
export const close = procedure((args: { id: ID }): JSON => {
  try {
    return accounts.delete(args.id);
  } catch (error) {
    return { caught: (error as Error).message, left: cards.count() };
  }
});
export const retract = procedure((args: { id: ID }): boolean => entries.delete(args.id));
export const entryIds = query((): ID[] => entries.all().map((entry) => entry.id));
export const allCards = query((): Doc<Card>[] => cards.all());
/** Writes, and computes for some hundred milliseconds after it. */
export const depositFirst = action(async (args: { owner: string; amount: Int }): Promise<Int> => {
  const after = await call(deposit, args);
  let x = 1;
  for (let i = 0; i < 20_000_000; i++) x = (x * 16807) % 2147483647;
  return after + x % 1;
});
/** Computes for some hundred milliseconds before it writes. */
export const depositLate = procedure((args: { owner: string; amount: Int }): Int => {
  let x = 1;
  for (let i = 0; i < 20_000_000; i++) x = (x * 16807) % 2147483647;
  const account = accounts.where("owner", args.owner).first()!;
  return accounts.patch(account.id, { balance: account.balance + args.amount + x % 1 }).balance;
});
"#;

struct Bank {
    engine: Engine,
    release: Arc<Release>,
    _folder: tempfile::TempDir,
}

impl Bank {
    async fn open() -> Self {
        Self::with(PoolOptions::default()).await
    }

    async fn with(pool: PoolOptions) -> Self {
        Self::of(COLLECTIONS, FUNCTIONS, pool).await
    }

    async fn of(collections: &str, functions: &str, pool: PoolOptions) -> Self {
        let sources = Sources::from_texts([
            ("app.toml".to_owned(), MANIFEST.to_owned()),
            ("collections.ts".to_owned(), collections.to_owned()),
            ("functions/bank.ts".to_owned(), functions.to_owned()),
        ]);
        let app = compile(&sources).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, pool).unwrap();
        let release = engine.activate(app).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    async fn call(&self, function: &str, arguments: Value) -> Result<Value, CallError> {
        self.engine.call(&self.release, &Caller::Developer, function, arguments).await.map(|answer| answer.value.take())
    }

    /// The value, or the error as its code, app code, message and innermost place.
    async fn show(&self, function: &str, arguments: Value) -> String {
        show(self.call(function, arguments).await)
    }

    async fn import(&self, collection: &str, documents: &[Value]) -> Result<Timestamp, ImportError> {
        import(&self.engine, &self.release, collection, documents).await
    }

    fn watch(&self, function: &str, arguments: Value, after: Option<String>) -> Watch {
        self.engine.watch(&self.release, &Caller::Developer, function, arguments, after)
    }
}

fn show(outcome: Result<Value, CallError>) -> String {
    match outcome {
        Ok(value) => value.to_string(),
        Err(error) => {
            let app_code = error.app_code.map(|code| format!(" [{code}]")).unwrap_or_default();
            let limit = error.limit.map(|limit| format!(" ({limit})")).unwrap_or_default();
            let place =
                error.stack.first().map(|frame| format!(" at {}:{}", frame.file, frame.line)).unwrap_or_default();
            format!("{}{app_code}{limit}: {}{place}", error.code, error.message)
        }
    }
}

/// Nothing comes for a while.
async fn assert_silent(watch: &mut Watch) {
    let next = tokio::time::timeout(Duration::from_millis(150), watch.next()).await;
    assert!(next.is_err(), "{next:?}");
}

async fn check(calls: &[(&str, Value)], expected: Expect) {
    let bank = Bank::open().await;
    let mut shown = Vec::new();
    for (function, arguments) in calls {
        shown.push(bank.show(function, arguments.clone()).await);
    }
    expected.assert_eq(&shown.join("\n"));
}

#[tokio::test]
async fn what_a_procedure_writes_a_query_reads() {
    check(
        &[
            ("balance", json!({ "owner": "ada" })),
            ("open", json!({ "owner": "ada", "balance": 5, "id": 1 })),
            ("flood", json!({ "n": 1 })),
            ("deposit", json!({ "owner": "flood", "amount": 7 })),
            ("balance", json!({ "owner": "flood" })),
        ],
        expect![[r#"
            null
            BAD_ARGUMENTS: args: id is not an argument here; declared: owner, balance
            1
            7
            7"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_ended_are_told_so() {
    let functions = r#"
        import { action, call, query, type Int } from "weir";
        export const spin = query((): Int => { for (;;); });
        export const waits = action(async (): Promise<Int> => await call(spin, {}));
    "#;
    let bank = Arc::new(Bank::of(COLLECTIONS, functions, PoolOptions::default()).await);
    let calls = ["spin", "waits"].map(|function| {
        let bank = bank.clone();
        tokio::spawn(async move { bank.show(function, json!({})).await })
    });
    while !bank.engine.is_busy() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bank.engine.end_calls();
    for call in calls {
        assert!(call.await.unwrap().starts_with("UNAVAILABLE: this is not served any more"));
    }
    // Neither does anything run from then on.
    assert!(bank.show("spin", json!({})).await.starts_with("UNAVAILABLE: this is not served any more"));
    bank.engine.close().await;
}

#[tokio::test]
async fn a_failed_procedure_leaves_nothing() {
    check(
        &[
            ("flood", json!({ "n": 1 })),
            ("deposit", json!({ "owner": "flood", "amount": -1 })),
            ("deposit", json!({ "owner": "nobody", "amount": 1 })),
            ("scanAll", json!(null)),
            ("open", json!({ "owner": "flood" })),
        ],
        expect![[r#"
            1
            FUNCTION_FAILED: cannot deposit less than nothing at functions/bank.ts:13
            FUNCTION_FAILED [NO_ACCOUNT]: no account of nobody at functions/bank.ts:11
            0
            CONFLICT: accounts has a document with the same owner already"#]],
    )
    .await;
}

#[tokio::test]
async fn results_have_their_declared_shape() {
    check(
        &[
            ("wrong", json!({ "how": "shape" })),
            ("wrong", json!({ "how": "undefined" })),
            ("wrong", json!({ "how": "half" })),
            ("wrong", json!({})),
            ("nothing", json!({})),
        ],
        expect![[r#"
            FUNCTION_FAILED: wrong returned the wrong shape: result.owner: expected a string, got 1 at functions/bank.ts:27
            FUNCTION_FAILED: wrong returned undefined where a value is declared at functions/bank.ts:27
            FUNCTION_FAILED: wrong returned the wrong shape: result.balance: expected Int, a whole number of 32 bits, got 1.5 at functions/bank.ts:27
            BAD_ARGUMENTS: args.how: missing; declared as a string
            NOT_FOUND: there is no function "nothing" in test 1.0.0"#]],
    )
    .await;
}

#[tokio::test]
async fn limits_on_documents_are_kept() {
    check(
        &[
            ("flood", json!({ "n": 101 })),
            ("scanAll", json!({})),
            ("flood", json!({ "n": 100 })),
            ("deposit", json!({ "owner": "flood", "amount": 1 })),
            ("scanAll", json!({})),
            ("countAll", json!({})),
            ("deposit", json!({ "owner": "flood", "amount": 1 })),
            ("countAll", json!({})),
            ("unindexed", json!({})),
        ],
        expect![[r#"
            LIMIT_EXCEEDED (documents_written): past the limit documents_written = 100; app.toml can raise it under [limits] at functions/bank.ts:32
            0
            100
            1
            100
            100
            2
            LIMIT_EXCEEDED (documents_counted): past the limit documents_counted = 100; app.toml can raise it under [limits] at functions/bank.ts:30
            FUNCTION_FAILED: accounts has no index for where("balance"): declare index: ["balance"] in its collection at functions/bank.ts:31"#]],
    )
    .await;
}

#[tokio::test]
async fn documents_are_patched_replaced_and_deleted() {
    let bank = Bank::open().await;
    let opened = bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let id = opened["id"].as_str().unwrap();
    let mut shown = Vec::new();
    for (how, value) in [
        ("patch", json!({ "note": "hi", "id": id })),
        ("patch", json!({ "note": null })),
        ("patch", json!({ "note": "ho", "balance": 3 })),
        ("unset", json!(null)),
        ("patch", json!({ "colour": "red" })),
        ("patch", json!({ "id": "other" })),
        ("patch", json!({ "tier": "gold" })),
        ("replace", json!({ "owner": "bob" })),
        ("replace", json!({ "owner": "bob", "balance": 1, "tier": "fee-free" })),
        ("delete", json!(null)),
        ("delete", json!(null)),
        ("patch", json!({ "note": "gone" })),
    ] {
        let outcome = bank.show("edit", json!({ "id": id, "how": how, "value": value })).await;
        shown.push(format!("{how}: {}", outcome.replace(id, "<id>")));
    }
    expect![[r#"
        patch: {"id":"<id>","owner":"ada","balance":0,"note":"hi","tier":"basic"}
        patch: {"id":"<id>","owner":"ada","balance":0,"tier":"basic"}
        patch: {"id":"<id>","owner":"ada","balance":3,"note":"ho","tier":"basic"}
        unset: {"id":"<id>","owner":"ada","balance":3,"tier":"basic"}
        patch: FUNCTION_FAILED: accounts: colour is not a member here; declared: owner, balance, note, tier at functions/bank.ts:21
        patch: FUNCTION_FAILED: accounts: the id "other" cannot be put in the place of <id>; ids do not change at functions/bank.ts:21
        patch: FUNCTION_FAILED: accounts.tier: expected AccountTier ("basic" | "fee-free"), got "gold" at functions/bank.ts:21
        replace: FUNCTION_FAILED: accounts.balance: missing; declared as Int, a whole number of 32 bits at functions/bank.ts:23
        replace: {"id":"<id>","owner":"bob","balance":1,"tier":"fee-free"}
        delete: true
        delete: false
        patch: FUNCTION_FAILED: accounts has no document <id>; insert makes new ones at functions/bank.ts:21"#]]
    .assert_eq(&shown.join("\n"));
}

/// A bank with an account of two entries, and their ids.
async fn with_entries() -> (Bank, String, Vec<String>) {
    let bank = Bank::open().await;
    let opened = bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    bank.call("deposit", json!({ "owner": "ada", "amount": 1 })).await.unwrap();
    bank.call("deposit", json!({ "owner": "ada", "amount": 2 })).await.unwrap();
    let entries = serde_json::from_value(bank.call("entryIds", json!({})).await.unwrap()).unwrap();
    (bank, opened["id"].as_str().unwrap().to_owned(), entries)
}

#[tokio::test]
async fn a_script_hears_of_references_what_is_its_to_know() {
    let (bank, account, entries) = with_entries().await;
    let issued = bank.call("issue", json!({ "account": account, "last": entries[0], "n": 2 })).await.unwrap();
    let mut shown = Vec::new();
    for (function, arguments) in [
        ("issue", json!({ "account": "nobody", "n": 1 })),
        ("issue", json!({ "account": account, "last": account, "n": 1 })),
        ("close", json!({ "id": account })),
        ("edit", json!({ "id": account, "how": "delete", "value": null })),
        ("retract", json!({ "id": entries[0] })),
        ("allCards", json!({})),
        ("retract", json!({ "id": entries[1] })),
        ("close", json!({ "id": account })),
        ("allCards", json!({})),
    ] {
        let mut outcome = bank.show(function, arguments).await.replace(&account, "<account>");
        for (number, id) in issued.as_array().unwrap().iter().enumerate() {
            outcome = outcome.replace(id.as_str().unwrap(), &format!("<card {number}>"));
        }
        // The new document has an id of its own.
        let outcome: Vec<&str> = outcome.split(' ').map(|word| if word.len() == 26 { "<new>" } else { word }).collect();
        shown.push(format!("{function}: {}", outcome.join(" ")));
    }
    expect![[r#"
        issue: FUNCTION_FAILED: cards <new> cannot be stored: its account leads to accounts "nobody", which does not exist at functions/bank.ts:58
        issue: FUNCTION_FAILED: cards <new> cannot be stored: its last leads to entries "<account>", which does not exist at functions/bank.ts:58
        close: {"caught":"the document of accounts cannot be deleted: entries has documents whose account leads to it","left":2}
        edit: FUNCTION_FAILED: the document of accounts cannot be deleted: entries has documents whose account leads to it at functions/bank.ts:24
        retract: true
        allCards: [{"id":"<card 0>","account":"<account>","last":null,"before":null},{"id":"<card 1>","account":"<account>","last":null,"before":null}]
        retract: true
        close: true
        allCards: []"#]].assert_eq(&shown.join("\n"));
}

#[tokio::test]
async fn bytes_are_bounded_as_documents_are() {
    let bank = Bank::open().await;
    assert_eq!(bank.show("hoard", json!({ "owner": "a", "bytes": 15_000 })).await, "15000");
    let refused = bank.call("hoard", json!({ "owner": "b", "bytes": 20_000 })).await.unwrap_err();
    assert_eq!(refused.limit, Some(Limit::WrittenBytes), "{refused}");
    assert_eq!(bank.show("readNotes", json!({ "times": 2 })).await, "2");
    let refused = bank.call("readNotes", json!({ "times": 3 })).await.unwrap_err();
    assert_eq!(refused.limit, Some(Limit::ReadBytes), "{refused}");
    assert_eq!(bank.show("readNote", json!({ "owner": "a", "times": 1 })).await, "15000");
    let refused = bank.call("readNote", json!({ "owner": "a", "times": 2 })).await.unwrap_err();
    assert_eq!(refused.limit, Some(Limit::ReadBytes), "{refused}");
}

#[tokio::test]
async fn what_is_deleted_along_counts_as_written() {
    let (bank, account, entries) = with_entries().await;
    for entry in entries {
        bank.call("retract", json!({ "id": entry })).await.unwrap();
    }
    bank.call("issue", json!({ "account": account, "n": 99 })).await.unwrap();
    let more = bank.call("issue", json!({ "account": account, "n": 1 })).await.unwrap();
    let refused = bank.call("close", json!({ "id": account })).await.unwrap_err();
    assert_eq!(refused.limit, Some(Limit::DocumentsWritten), "{refused}");
    let imported = json!({ "id": more[0], "account": "ada" });
    bank.import("accounts", &[json!({ "id": "ada", "owner": "other", "balance": 0, "tier": "basic" })]).await.unwrap();
    bank.import("cards", &[imported]).await.unwrap();
    assert_eq!(bank.show("close", json!({ "id": account })).await, "true");
}

#[tokio::test]
async fn imported_documents_refer_to_what_is_there_or_comes_with_them() {
    let (bank, account, _) = with_entries().await;
    let card = |id: &str, before: &str| json!({ "id": id, "account": account, "before": before });
    let refused = bank.import("cards", &[card("a", "b"), card("b", "x"), card("c", "a")]).await.unwrap_err();
    expect![[r#"1: BAD_ARGUMENTS: cards b cannot be stored: its before leads to cards "x", which does not exist"#]]
        .assert_eq(&format!("{}: {}", refused.index, refused.error));
    bank.import("cards", &[card("a", "b"), card("b", "c"), card("c", "a")]).await.unwrap();
    assert_eq!(bank.call("allCards", json!({})).await.unwrap().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn contention_never_fails_a_procedure() {
    let bank = Arc::new(Bank::open().await);
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let bank = bank.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    bank.call("deposit", json!({ "owner": "ada", "amount": 1 })).await.unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(bank.show("balance", json!({ "owner": "ada" })).await, "80");
    assert_eq!(bank.show("scanAll", json!({})).await, "80");
}

#[tokio::test]
async fn a_batch_is_all_or_none_unless_told_otherwise() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let calls = || {
        let call = |function: &str, args: Value| Call { function: function.into(), args };
        vec![
            call("deposit", json!({ "owner": "ada", "amount": 1 })),
            call("deposit", json!({ "owner": "bob", "amount": 2 })),
            call("balance", json!({ "owner": "ada" })),
        ]
    };
    let mut shown = Vec::new();
    for atomic in [true, false] {
        let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, calls(), atomic, |_| None).await.unwrap();
        shown.extend(outcomes.into_iter().map(|outcome| show(outcome.map(|answer| answer.value.take()))));
    }
    expect![[r#"
        ROLLED_BACK: nothing of the batch is kept, because call 2 of 3 failed
        FUNCTION_FAILED [NO_ACCOUNT]: no account of bob at functions/bank.ts:11
        ROLLED_BACK: nothing of the batch is kept, because call 2 of 3 failed
        1
        FUNCTION_FAILED [NO_ACCOUNT]: no account of bob at functions/bank.ts:11
        1"#]]
    .assert_eq(&shown.join("\n"));
}

#[tokio::test]
async fn calls_of_a_batch_see_the_writes_before_them() {
    let bank = Bank::open().await;
    let call = |function: &str, args: Value| Call { function: function.into(), args };
    let calls = [
        call("open", json!({ "owner": "ada", "balance": 1 })),
        call("deposit", json!({ "owner": "ada", "amount": 2 })),
        call("balance", json!({ "owner": "ada" })),
        call("move", json!({ "from": "ada", "to": "ada", "amount": 1 })),
    ];
    let outcomes =
        bank.engine.batch(&bank.release, &Caller::Developer, calls[..3].to_vec(), true, |_| None).await.unwrap();
    assert_eq!(*outcomes[2].as_ref().unwrap().value, json!(3));
    let outcomes =
        bank.engine.batch(&bank.release, &Caller::Developer, calls[3..].to_vec(), true, |_| None).await.unwrap();
    assert!(show(outcomes[0].clone().map(|answer| answer.value.take())).contains("atomic: false"));
}

#[tokio::test]
async fn actions_call_queries_and_procedures() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada", "balance": 1 })).await.unwrap();
    assert_eq!(bank.show("move", json!({ "from": "x", "to": "ada", "amount": 4 })).await, "5");
    let failed = bank.show("move", json!({ "from": "x", "to": "nobody", "amount": 4 })).await;
    assert_eq!(failed, "FUNCTION_FAILED [NO_ACCOUNT]: deposit: no account of nobody at functions/bank.ts:52");
}

#[tokio::test]
async fn views_group_documents() {
    let bank = Bank::open().await;
    for (owner, balance) in [("ada", 4), ("bob", 6), ("eve", 1)] {
        bank.call("open", json!({ "owner": owner, "balance": balance })).await.unwrap();
    }
    let rows = bank.show("byTier", json!({})).await;
    expect![[r#"[{"key":"basic","n":3,"total":11,"mean":3.6666666666666665,"least":1,"most":"eve"}]"#]]
        .assert_eq(&rows);
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    for amount in 1..=5 {
        bank.call("deposit", json!({ "owner": "ada", "amount": amount })).await.unwrap();
    }
    let (mut after, mut pages) = (Value::Null, Vec::new());
    loop {
        let page = bank.call("statement", json!({ "owner": "ada", "first": 2, "after": after })).await.unwrap();
        let amounts: Vec<&Value> =
            page["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]["amount"]).collect();
        let info = &page["pageInfo"];
        pages.push(format!("{} {} {}", json!(amounts), info["hasPreviousPage"], info["hasNextPage"]));
        after = info["endCursor"].clone();
        if info["hasNextPage"] == json!(false) {
            break;
        }
    }
    assert_eq!(pages, ["[1,2] false true", "[3,4] true true", "[5] true false"]);
    let bad = bank.show("statement", json!({ "owner": "ada", "after": "nonsense" })).await;
    assert_eq!(bad, "FUNCTION_FAILED: this is not a cursor at functions/bank.ts:18");
}

#[tokio::test]
async fn a_watch_emits_when_and_only_when_its_result_changes() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    bank.call("open", json!({ "owner": "bob" })).await.unwrap();
    let mut watch = bank.watch("balance", json!({ "owner": "ada" }), None);
    let first = watch.next().await.unwrap();
    assert_eq!(*first.value, json!(0));
    bank.call("deposit", json!({ "owner": "bob", "amount": 1 })).await.unwrap();
    // Touched, but with the same result.
    bank.call("deposit", json!({ "owner": "ada", "amount": 0 })).await.unwrap();
    assert_silent(&mut watch).await;
    bank.call("deposit", json!({ "owner": "ada", "amount": 3 })).await.unwrap();
    let second = watch.next().await.unwrap();
    assert_eq!(*second.value, json!(3));
    assert!(second.commit > first.commit);

    let mut resumed = bank.watch("balance", json!({ "owner": "ada" }), Some(second.cursor));
    assert_silent(&mut resumed).await;
    bank.call("deposit", json!({ "owner": "ada", "amount": 1 })).await.unwrap();
    assert_eq!(*resumed.next().await.unwrap().value, json!(4));
    let mut behind = bank.watch("balance", json!({ "owner": "ada" }), Some(first.cursor));
    assert_eq!(*behind.next().await.unwrap().value, json!(4));
}

#[tokio::test]
async fn a_slow_watcher_gets_the_newest_value() {
    let bank = Bank::open().await;
    let mut watch = bank.watch("balance", json!({ "owner": "ada" }), None);
    assert_eq!(*watch.next().await.unwrap().value, json!(null));
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    for _ in 0..5 {
        bank.call("deposit", json!({ "owner": "ada", "amount": 1 })).await.unwrap();
    }
    // Some that were under way may come first.
    let mut seen = vec![watch.next().await.unwrap()];
    while *seen.last().unwrap().value != json!(5) {
        seen.push(watch.next().await.unwrap());
    }
    assert!(seen.len() < 7 && seen.is_sorted_by_key(|emission| emission.commit), "{seen:?}");
    assert_silent(&mut watch).await;
}

#[tokio::test]
async fn an_error_does_not_end_a_watch() {
    let bank = Bank::open().await;
    bank.call("flood", json!({ "n": 100 })).await.unwrap();
    let mut watch = bank.watch("scanAll", json!({}), None);
    assert_eq!(*watch.next().await.unwrap().value, json!(99));
    for _ in 0..102 {
        bank.call("deposit", json!({ "owner": "flood", "amount": 1 })).await.unwrap();
    }
    let error = loop {
        match watch.next().await {
            Ok(emission) => assert!(emission.value.as_u64().unwrap() <= 200),
            Err(error) => break error,
        }
    };
    assert_eq!(error.limit, Some(Limit::DocumentsRead));
    bank.call("deposit", json!({ "owner": "flood", "amount": 1 })).await.unwrap();
    assert_silent(&mut watch).await;
    let mut unreadable = bank.watch("deposit", json!({ "owner": "flood", "amount": 1 }), None);
    assert_eq!(unreadable.next().await.unwrap_err().code.as_str(), "BAD_ARGUMENTS");
    assert_silent(&mut unreadable).await;
}

#[tokio::test]
async fn watches_that_find_no_room_are_run_later() {
    let bank = Bank::with(PoolOptions { isolates: 1, queue_max: 1, ..PoolOptions::default() }).await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let mut watches: Vec<_> = (0..20).map(|_| bank.watch("balance", json!({ "owner": "ada" }), None)).collect();
    for _ in 0..2 {
        let firsts = watches.iter_mut().map(|watch| tokio::time::timeout(Duration::from_secs(20), watch.next()));
        for next in futures_util::future::join_all(firsts).await {
            next.expect("it is run in the end").unwrap();
        }
        while bank.call("deposit", json!({ "owner": "ada", "amount": 1 })).await.is_err() {}
    }
}

#[tokio::test]
async fn the_time_is_that_of_the_call() {
    let bank = Bank::open().await;
    let said = bank.call("when", json!({})).await.unwrap();
    let said = weir_schema::datetime::parse(said.as_str().unwrap()).unwrap().seconds;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(said.try_into().unwrap()) < 60);
}

async fn once(bank: &Bank, key: &str, function: &str, arguments: Value) -> String {
    let scope = IdempotencyKey::parse(key).unwrap().scope(&Caller::Developer, "field");
    let called = bank.engine.call_once(&bank.release, &Caller::Developer, function, arguments, Some(scope));
    show(called.await.map(|answer| answer.value.take()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_with_a_key_came_to_first_is_returned_again() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let deposit = |amount: i64| json!({ "owner": "ada", "amount": amount });
    let repeats = (0..8).map(|_| once(&bank, "a", "deposit", deposit(5)));
    assert_eq!(futures_util::future::join_all(repeats).await, vec!["5"; 8]);
    assert_eq!(once(&bank, "b", "deposit", deposit(5)).await, "10");

    // A failure of the script is kept too, without what it wrote.
    let failed = once(&bank, "c", "deposit", deposit(-1)).await;
    assert!(failed.contains("cannot deposit less than nothing"), "{failed}");
    assert!(once(&bank, "c", "deposit", deposit(-1)).await.contains("cannot deposit less than nothing"));
    let unknown = json!({ "owner": "bob", "amount": 1 });
    let failed = once(&bank, "d", "deposit", unknown.clone()).await;
    bank.call("open", json!({ "owner": "bob" })).await.unwrap();
    assert!(failed.contains("NO_ACCOUNT"), "{failed}");
    assert!(once(&bank, "d", "deposit", unknown.clone()).await.contains("NO_ACCOUNT"));
    assert_eq!(once(&bank, "e", "deposit", unknown).await, "1");

    // A limit says nothing about the call: the next try runs.
    let many = once(&bank, "f", "flood", json!({ "n": 101 })).await;
    assert!(many.contains("LIMIT_EXCEEDED"), "{many}");
    assert!(once(&bank, "f", "flood", json!({ "n": 101 })).await.contains("LIMIT_EXCEEDED"));

    let other = once(&bank, "a", "deposit", deposit(6)).await;
    assert!(other.starts_with("CONFLICT"), "{other}");
    assert_eq!(bank.show("balance", json!({ "owner": "ada" })).await, "10");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_with_a_key_runs_once_also_when_its_caller_goes_away() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let arguments = json!({ "owner": "ada", "amount": 5 });
    let scope = IdempotencyKey::parse("k").unwrap().scope(&Caller::Developer, "depositFirst");
    let (engine, release, given) = (bank.engine.clone(), bank.release.clone(), arguments.clone());
    let caller = tokio::spawn(async move {
        engine.call_once(&release, &Caller::Developer, "depositFirst", given, Some(scope)).await
    });
    while bank.show("balance", json!({ "owner": "ada" })).await == "0" {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    caller.abort();
    let again = bank.engine.call_once(&bank.release, &Caller::Developer, "depositFirst", arguments, Some(scope)).await;
    assert_eq!(*again.unwrap().value, json!(5));
    assert_eq!(bank.show("balance", json!({ "owner": "ada" })).await, "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_with_a_key_runs_once_also_while_it_is_running() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let arguments = json!({ "from": "nobody", "to": "ada", "amount": 3 });
    let repeats = (0..4).map(|_| once(&bank, "a", "move", arguments.clone()));
    assert_eq!(futures_util::future::join_all(repeats).await, vec!["3"; 4]);
    assert_eq!(bank.show("balance", json!({ "owner": "ada" })).await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn contention_fails_no_call() {
    let bank = Bank::open().await;
    bank.call("open", json!({ "owner": "ada" })).await.unwrap();
    let deposits = (0..64).map(|_| bank.call("deposit", json!({ "owner": "ada", "amount": 1 })));
    for deposited in futures_util::future::join_all(deposits).await {
        deposited.unwrap();
    }
    assert_eq!(bank.show("balance", json!({ "owner": "ada" })).await, "64");
    assert_eq!(bank.show("countAll", json!({})).await, "64");
}

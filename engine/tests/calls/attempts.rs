//! `attempt(fn)`: what it takes back, what it leaves, and what is never written whatever happens.

use super::*;

const COLLECTIONS: &str = r#"
import { collection, type Int, type Ref } from "weir";
export interface Thing { name: string; n: Int }
export interface Part { of: Ref<Thing>; name: string }
export const things = collection<Thing>({ unique: ["name"], index: ["n"] });
export const parts = collection<Part>({ index: ["name"], onDelete: { of: "cascade" } });
"#;

/// `play` takes a program: `["put", name]`, `["delete", name]`, `["part", name]`, `["attempt", steps…]`, `["fail", code]`,
/// `["random"]`, `["call", steps…]` and `["catch", steps…]`.
const FUNCTIONS: &str = r#"
import { action, attempt, call, fail, procedure, query, type ID, type Int, type JSON } from "weir";
import { parts, things } from "../collections";

function put(name: string): ID {
  const found = things.where("name", name).first();
  return found ? things.patch(found.id, { n: found.n + 1 }).id : things.insert({ name, n: 1 }).id;
}
function run(steps: JSON): JSON {
  const seen: JSON[] = [];
  for (const [what, ...rest] of steps) {
    if (what === "put") put(rest[0]);
    else if (what === "delete") things.delete(things.where("name", rest[0]).first()!.id);
    else if (what === "part") parts.insert({ of: put(rest[0]), name: rest[0] });
    else if (what === "fail") fail(rest[0], "as told");
    else if (what === "random") seen.push(Math.random());
    else if (what === "call") seen.push(play({ steps: rest }));
    else if (what === "catch") try { run(rest) } catch { seen.push("caught") }
    else {
      const tried = attempt(() => run(rest));
      seen.push(tried.ok ? tried.value : tried.error.code ?? tried.error.message);
    }
  }
  return [...seen, ...things.orderBy("n").all().map((t) => t.name + t.n), ...parts.all().map((p) => p.name)].join(" ");
}
export const play = procedure((args: { steps: JSON }): JSON => run(args.steps));
export const state = query((): JSON => [...things.orderBy("n").all().map((t) => t.name + t.n), ...parts.all().map((p) => p.name)].join(" "));
export const inQuery = query((): JSON => attempt(() => 1));
export const inAction = action(async (): Promise<JSON> => attempt(() => 1));
export const actionPlays = action(async (args: { steps: JSON }): Promise<JSON> => await call(play, args));
export const nest = procedure((args: { depth: Int }): JSON => {
  const down = (left: Int): JSON => {
    put("level" + left);
    if (left === 0) return "deep";
    const tried = attempt(() => down(left - 1));
    return tried.ok ? tried.value : tried.error.message;
  };
  return down(args.depth);
});
export const waste = procedure((args: { times: Int }): Int => {
  for (let i = 0; i < args.times; i++) attempt(() => { put("wasted" + i); fail("NO"); });
  return things.count();
});
export const exhaust = procedure((args: { swallow: boolean }): Int => {
  const dive = (): Int => {
    try {
      return dive();
    } catch {
      // Somewhere near the end of the stack it begins to fit again.
      const tried = attempt(() => { put("never"); fail("NO"); });
      return tried.ok ? 1 : 0;
    }
  };
  const begun = attempt(() => dive());
  return begun.ok ? begun.value : args.swallow ? -1 : fail("OUT", begun.error.message);
});
export const rename = procedure((args: { name: string; to: string; keep: boolean }): Int => {
  const found = things.where("name", args.name).first()!;
  attempt(() => { things.patch(found.id, { name: args.to }); if (!args.keep) fail("NO"); });
  return things.patch(found.id, { n: found.n + 1 }).n;
});
"#;

async fn bank() -> Bank {
    Bank::of(COLLECTIONS, FUNCTIONS, PoolOptions::default()).await
}

/// What each program, one after the other on the same data, gave, and the state after it.
async fn check(programs: &[Value], expected: Expect) {
    let bank = bank().await;
    let mut shown = String::new();
    for steps in programs {
        let outcome = bank.show("play", json!({ "steps": steps })).await;
        shown.push_str(&format!("{steps}\n  => {outcome}\n  => {}\n", bank.show("state", json!({})).await));
    }
    expected.assert_eq(&shown);
}

#[tokio::test]
async fn what_a_failed_attempt_wrote_vanishes_and_the_rest_goes_on() {
    check(
        &[
            json!([["put", "a"], ["attempt", ["put", "b"], ["put", "a"], ["fail", "NO"]], ["put", "c"]]),
            json!([["attempt", ["put", "a"], ["attempt", ["put", "b"], ["fail", "IN"]], ["put", "d"]]]),
            json!([["attempt", ["attempt", ["put", "e"]], ["fail", "OUT"]], ["put", "f"]]),
            json!([["part", "a"], ["part", "a"]]),
            json!([["attempt", ["delete", "a"], ["put", "a"], ["fail", "NO"]], ["put", "a"]]),
            json!([["attempt", ["delete", "a"]], ["attempt", ["put", "a"], ["fail", "NO"]]]),
            json!([["catch", ["put", "g"], ["fail", "KEPT"]], ["attempt", ["call", ["put", "h"], ["fail", "NO"]]]]),
            json!([["attempt", ["put", "i"], ["catch", ["put", "j"], ["fail", "KEPT"]]], ["fail", "ALL"]]),
        ],
        expect![[r#"
            [["put","a"],["attempt",["put","b"],["put","a"],["fail","NO"]],["put","c"]]
              => "NO a1 c1"
              => "a1 c1"
            [["attempt",["put","a"],["attempt",["put","b"],["fail","IN"]],["put","d"]]]
              => "IN c1 d1 a2 c1 d1 a2"
              => "c1 d1 a2"
            [["attempt",["attempt",["put","e"]],["fail","OUT"]],["put","f"]]
              => "OUT c1 d1 f1 a2"
              => "c1 d1 f1 a2"
            [["part","a"],["part","a"]]
              => "c1 d1 f1 a4 a a"
              => "c1 d1 f1 a4 a a"
            [["attempt",["delete","a"],["put","a"],["fail","NO"]],["put","a"]]
              => "NO c1 d1 f1 a5 a a"
              => "c1 d1 f1 a5 a a"
            [["attempt",["delete","a"]],["attempt",["put","a"],["fail","NO"]]]
              => "c1 d1 f1 NO c1 d1 f1"
              => "c1 d1 f1"
            [["catch",["put","g"],["fail","KEPT"]],["attempt",["call",["put","h"],["fail","NO"]]]]
              => "caught NO c1 d1 f1 g1"
              => "c1 d1 f1 g1"
            [["attempt",["put","i"],["catch",["put","j"],["fail","KEPT"]]],["fail","ALL"]]
              => FUNCTION_FAILED [ALL]: as told at functions/bank.ts:15
              => "c1 d1 f1 g1"
        "#]],
    )
    .await;
}

#[tokio::test]
async fn randomness_and_ids_go_on() {
    let bank = bank().await;
    let steps = json!([["random"], ["attempt", ["random"], ["fail", "NO"]], ["random"]]);
    let shown = bank.show("play", json!({ "steps": steps })).await;
    let numbers: Vec<&str> = shown.trim_matches('"').split(' ').collect();
    assert_eq!(numbers[1], "NO");
    assert_ne!(numbers[0], numbers[2]);
}

#[tokio::test]
async fn only_procedures_attempt() {
    let bank = bank().await;
    let mut shown = Vec::new();
    for function in ["inQuery", "inAction"] {
        shown.push(bank.show(function, json!({})).await);
    }
    shown.push(bank.show("actionPlays", json!({ "steps": [["attempt", ["put", "a"], ["fail", "NO"]]] })).await);
    expect![[r#"
        FUNCTION_FAILED: attempt(fn) takes back what fn writes, which only a procedure may; this is a query at functions/bank.ts:28
        FUNCTION_FAILED: an action writes nothing itself, so there is nothing to take back: use attempt in the procedure that it calls at functions/bank.ts:29
        "NO""#]].assert_eq(&shown.join("\n"));
}

#[tokio::test]
async fn attempts_nest_so_deep_and_count_what_they_write() {
    let bank = bank().await;
    assert_eq!(bank.show("nest", json!({ "depth": 64 })).await, "\"deep\"");
    let bank = Bank::of(COLLECTIONS, FUNCTIONS, PoolOptions::default()).await;
    let refused = bank.show("nest", json!({ "depth": 65 })).await;
    assert_eq!(refused, "\"attempts stand in each other more than 64 deep\"");
    // All but the innermost, whose attempt was refused inside of the one around it.
    assert_eq!(bank.show("state", json!({})).await.split(' ').count(), 64);
    assert_eq!(bank.show("waste", json!({ "times": 100 })).await, "64");
    let refused = bank.call("waste", json!({ "times": 101 })).await.unwrap_err();
    assert_eq!(refused.limit, Some(Limit::DocumentsWritten), "{refused}");
}

#[tokio::test]
async fn an_exhausted_stack_keeps_nothing_that_was_to_be_taken_back() {
    let bank = bank().await;
    for swallow in [true, false] {
        // Whether it ends in a value or an error depends on where the stack ends.
        let outcome = bank.call("exhaust", json!({ "swallow": swallow })).await;
        if let Err(error) = outcome {
            assert_eq!(error.code.as_str(), "FUNCTION_FAILED", "{error}");
        }
        assert_eq!(bank.show("state", json!({})).await, "\"\"");
    }
}

#[tokio::test]
async fn who_took_back_a_write_is_not_to_blame_for_it() {
    let bank = bank().await;
    bank.call("play", json!({ "steps": [["put", "a"], ["put", "b"]] })).await.unwrap();
    let rename = |keep: bool| {
        let args = json!({ "name": "a", "to": "b", "keep": keep });
        Call { function: "rename".into(), args }
    };
    let put = |name: &str| Call { function: "play".into(), args: json!({ "steps": [["put", name]] }) };
    let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, vec![put("c"), rename(false)], true, |_| None);
    assert!(outcomes.await.unwrap().iter().all(Result::is_ok));
    let calls = vec![put("d"), rename(true), put("e")];
    let outcomes = bank.engine.batch(&bank.release, &Caller::Developer, calls, true, |_| None).await.unwrap();
    let codes: Vec<&str> = outcomes.iter().map(|outcome| outcome.as_ref().unwrap_err().code.as_str()).collect();
    assert_eq!(codes, ["ROLLED_BACK", "CONFLICT", "ROLLED_BACK"]);
    assert_eq!(bank.show("state", json!({})).await, "\"b1 c1 a2\"");
}

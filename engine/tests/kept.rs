//! What views have computed, kept over restarts: used where nothing has touched it, and computed anew where it cannot be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "test code"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_engine::Engine;
use weir_engine::ResultCounts;
use weir_engine::call::{Answer, Caller};
use weir_engine::release::Release;
use weir_engine::views::{ViewState, ViewStatus};
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::digest::Digest;
use weir_schema::id::DocumentId;
use weir_store::progress::unwatched;
use weir_store::{Existing, KeptKey, Options, Store, restore};

const MANIFEST: &str = "name = \"test\"\nversion = \"1.0.0\"\n[limits]\ncpu_ms = 20000\nwall_ms = 50000\n";

const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Item { kind: string; n: Int }
export const items = collection<Item>({ index: ["kind"] });
export interface Note { text: string }
export const notes = collection<Note>();
"#;

const FUNCTIONS: &str = r#"
import { caller, count, max, now, procedure, query, sum, view, type ID, type Int, type JSON } from "weir";
import { items, notes } from "../collections";
const total = (): Int => items.all().reduce((sum, item) => sum + item.n, 0);

export const eager = view((): Int => total(), { keep: "eager" });
export const ofKind = view((args: { kind: string }): Int => items.where("kind", args.kind).all().length);
export const texts = view((): string[] => notes.all().map((note) => note.text));
export const who = view((): string => caller.kind);
export const hourly = view((): Int => total(), { keep: { every: "1h" } });
export const seldom = view((): Int => total(), { keep: { cron: "0 3 29 2 *" } });
export const chosen = view((): Int => items.get(notes.all().at(-1)?.text ?? "none")?.n ?? 0);
export const over = view((): Int => chosen() + 1, { keep: "eager" });
export const sorted = view.index(items, (item) => item.n);
export const byKind = view.groupBy(items, (item) => { if (item.kind === "bad") throw new Error("bad"); return item.kind; },
  { items: count(), total: sum((item) => item.n), most: max((item) => item.n) });

/** From all documents, whatever is kept. */
export const anew = query((): JSON => {
  const kinds: Record<string, { key: string; items: number; total: number; most: number }> = {};
  for (const item of items.all()) {
    const row = (kinds[item.kind] ??= { key: item.kind, items: 0, total: 0, most: item.n });
    row.items += 1;
    row.total += item.n;
    row.most = Math.max(row.most, item.n);
  }
  return Object.values(kinds).sort((a, b) => (a.key < b.key ? -1 : 1));
});
export const rest = query((args: { kind: string }): JSON => {
  const texts = notes.all().map((note) => note.text);
  const first = items.get(texts.at(-1) ?? "none")?.n ?? 0;
  const keys = items.all().map((item) => item.n).sort((a, b) => a - b).slice(0, 50);
  return [keys, total(), items.all().filter((item) => item.kind === args.kind).length, texts, first, first + 1];
});
export const add = procedure((args: { kind: string; n: Int }): ID => items.insert(args).id);
export const change = procedure((args: { id: ID; kind: string; n: Int }): ID => items.replace(args.id, { kind: args.kind, n: args.n }).id);
export const remove = procedure((args: { id: ID }): boolean => items.delete(args.id));
export const note = procedure((args: { text: string }): ID => notes.insert(args).id);
export const time = query((): string => now());
"#;

/// An app in a data folder that outlasts it.
struct App {
    store: Store,
    engine: Engine,
    release: Arc<Release>,
    folder: TempDir,
}

fn compiled(functions: &str) -> weir_sandbox::App {
    let texts = [("app.toml", MANIFEST), ("collections.ts", COLLECTIONS), ("functions/items.ts", functions)];
    let texts = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
    compile(&Sources::from_texts(texts)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn store(folder: &TempDir) -> Store {
    Store::open(&folder.path().join("data"), Options::default()).unwrap()
}

impl App {
    async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), FUNCTIONS, Duration::ZERO).await
    }

    /// Opens it that long from now, by the clock of the engine.
    async fn open(folder: TempDir, functions: &str, later: Duration) -> Self {
        let store = store(&folder);
        let engine = Engine::start(store.clone(), PoolOptions::default()).unwrap();
        engine.clock().advance(later);
        let release = engine.activate(compiled(functions)).await.unwrap();
        Self { store, engine, release, folder }
    }

    async fn close(self) -> TempDir {
        let Self { store, engine, release, folder } = self;
        engine.close().await;
        drop((engine, release, store));
        folder
    }

    /// What a crash at this moment would leave is opened.
    async fn crashed(self) -> Self {
        let (backup, left) = (self.folder.path().join("backup"), tempfile::tempdir().unwrap());
        self.store.backup(&backup, unwatched()).await.unwrap();
        let data = left.path().join("data");
        restore(&backup, &data, Existing::Keep, &Options::default(), unwatched()).await.unwrap();
        drop(self.close().await);
        Self::open(left, FUNCTIONS, Duration::ZERO).await
    }

    async fn reopened(self) -> Self {
        Self::open(self.close().await, FUNCTIONS, Duration::ZERO).await
    }

    async fn ask(&self, function: &str, arguments: Value) -> Answer {
        self.engine.call(&self.release, &Caller::Developer, function, arguments).await.unwrap()
    }

    async fn value(&self, function: &str, arguments: Value) -> Value {
        self.ask(function, arguments).await.value.take()
    }

    async fn add(&self, kind: &str, n: i32) -> Value {
        self.value("add", json!({ "kind": kind, "n": n })).await
    }

    fn status(&self, view: &str) -> ViewStatus {
        self.engine.views().unwrap().into_iter().find(|status| status.name == view).unwrap()
    }

    /// Waits until a view is as it should be.
    async fn until(&self, view: &str, is_there: impl Fn(&ViewStatus) -> bool) -> ViewStatus {
        let waiting = async {
            loop {
                let status = self.status(view);
                if is_there(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .unwrap_or_else(|_| panic!("{:?}", self.status(view)))
    }

    async fn computed(&self, view: &str) -> ViewStatus {
        self.until(view, |status| status.state == ViewState::Current).await
    }
}

/// The digest under which a view is kept.
fn code_of(store: &Store, view: &str) -> Digest {
    let is_it = |code: &Digest| {
        // Of one that is being built there is no such record yet.
        let text = store.kept(&KeptKey::Groups(*code)).unwrap();
        text.is_some_and(|text| serde_json::from_slice::<Value>(&text).unwrap()["function"] == view)
    };
    store.kept_views().unwrap().into_iter().find(is_it).unwrap()
}

/// Changes what is kept while nobody serves it.
async fn change_kept(folder: &TempDir, change: impl AsyncFnOnce(&Store)) {
    let store = store(folder);
    change(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_warm() {
    let app = App::new().await;
    app.add("a", 1).await;
    app.add("b", 2).await;
    assert_eq!(app.value("ofKind", json!({ "kind": "a" })).await, json!(1));
    assert_eq!(app.value("who", json!({})).await, json!("developer"));
    app.computed("eager").await;
    let app = app.reopened().await;
    let none = ResultCounts { kept: 0, joined: 0, run: 0 };
    assert_eq!(app.engine.result_counts(), none);
    assert_eq!(app.value("eager", json!({})).await, json!(3));
    assert_eq!(app.value("ofKind", json!({ "kind": "a" })).await, json!(1));
    assert_eq!(app.value("who", json!({})).await, json!("developer"));
    assert_eq!(app.engine.result_counts(), ResultCounts { kept: 3, ..none });
    assert_eq!((app.status("eager").runs, app.status("ofKind").runs), (0, 0));
    // Another caller is not the one whose result was kept.
    let other = app.engine.call(&app.release, &Caller::Anonymous, "who", json!({})).await.unwrap();
    assert_eq!(*other.value, json!("anonymous"));
    // What comes back is good until a commit touches it, as all else.
    app.add("a", 5).await;
    assert_eq!(app.value("eager", json!({})).await, json!(8));
    assert_eq!(app.value("ofKind", json!({ "kind": "a" })).await, json!(2));
    let app = app.reopened().await;
    assert_eq!(app.value("ofKind", json!({ "kind": "a" })).await, json!(2));
    assert_eq!(app.engine.result_counts(), ResultCounts { kept: 1, ..none });
    app.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_between_ends_what_it_touches_alone() {
    let app = App::new().await;
    app.add("a", 1).await;
    app.value("note", json!({ "text": "x" })).await;
    app.value("ofKind", json!({ "kind": "a" })).await;
    assert_eq!(app.value("texts", json!({})).await, json!(["x"]));
    app.until("byKind", |status| status.stored == 1).await;
    let folder = app.close().await;
    change_kept(&folder, async |store| {
        let mut transaction = store.begin().unwrap();
        let document = json!({ "kind": "a", "n": 4 }).as_object().cloned().unwrap();
        transaction.put("items", &DocumentId::parse("z").unwrap(), document).unwrap();
        store.commit(transaction).await.unwrap();
    })
    .await;
    let app = App::open(folder, FUNCTIONS, Duration::ZERO).await;
    assert_eq!(app.value("texts", json!({})).await, json!(["x"]));
    assert_eq!(app.value("ofKind", json!({ "kind": "a" })).await, json!(2));
    let counts = app.engine.result_counts();
    assert_eq!((counts.kept, counts.run), (1, 1));
    // Groups learn of it from the journal.
    assert_eq!(app.value("byKind", json!({})).await, json!([{ "key": "a", "items": 2, "total": 5, "most": 4 }]));
    assert_eq!(app.status("byKind").runs, 0);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_views_depends_on_what_these_have_read_last() {
    let app = App::new().await;
    let [first, second] = [app.add("a", 1).await, app.add("a", 1).await];
    app.value("note", json!({ "text": first })).await;
    assert_eq!(app.value("over", json!({})).await, json!(2));
    // The view within reads another document, and gives the same: what is computed from it is not run again.
    app.value("note", json!({ "text": second })).await;
    assert_eq!(app.value("over", json!({})).await, json!(2));
    app.until("over", |status| status.state == ViewState::Current && status.stored > 0).await;
    let app = app.reopened().await;
    assert_eq!(app.value("over", json!({})).await, json!(2));
    assert_eq!((app.status("over").runs, app.status("chosen").runs), (0, 0));
    let folder = app.close().await;
    change_kept(&folder, async |store| {
        let mut transaction = store.begin().unwrap();
        let document = json!({ "kind": "a", "n": 7 }).as_object().cloned().unwrap();
        let id = DocumentId::parse(second.as_str().unwrap()).unwrap();
        transaction.put("items", &id, document).unwrap();
        store.commit(transaction).await.unwrap();
    })
    .await;
    let app = App::open(folder, FUNCTIONS, Duration::ZERO).await;
    assert_eq!(app.value("over", json!({})).await, json!(8));
    app.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_code_computes_anew_what_depends_on_it() {
    let app = App::new().await;
    app.add("a", 2).await;
    app.computed("eager").await;
    app.until("byKind", |status| status.stored == 1).await;
    let folder = app.close().await;
    // In the same process first, then after a restart.
    let changed =
        FUNCTIONS.replace("(item) => item.n),", "(item) => 10 * item.n),").replace("sum + item.n", "sum + 3 * item.n");
    let mut app = App::open(folder, FUNCTIONS, Duration::ZERO).await;
    app.computed("byKind").await;
    app.release = app.engine.activate(compiled(&changed)).await.unwrap();
    for runs in [1, 0] {
        assert_eq!(app.value("eager", json!({})).await, json!(6));
        assert_eq!(app.value("byKind", json!({})).await[0]["total"], json!(20));
        assert_eq!(app.status("byKind").runs, runs);
        app.computed("eager").await;
        app.until("byKind", |status| status.stored == 1).await;
        app = App::open(app.close().await, &changed, Duration::ZERO).await;
        assert_eq!(app.until("byKind", |status| status.state == ViewState::Current).await.runs, 0);
    }
    // Of the code before nothing is left.
    app.until("sorted", |status| status.stored == 1).await;
    let gone = async {
        while app.store.kept_views().unwrap().len() != 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("what nobody needs goes");
    app.close().await;
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_after_a_restart_are_those_of_all_documents() {
    for seed in 1..=3 {
        let (mut random, mut ids) = (Random(seed), Vec::<Value>::new());
        let mut app = App::new().await;
        for round in 0..4 {
            for _ in 0..random.below(30) {
                let (kind, n) = (format!("k{}", random.below(4)), random.below(100) as i32);
                match (random.below(4), ids.is_empty()) {
                    (0, false) => {
                        let id = ids.swap_remove(random.below(ids.len() as u64) as usize);
                        app.value("remove", json!({ "id": id })).await;
                    }
                    (1, false) => {
                        let id = &ids[random.below(ids.len() as u64) as usize];
                        app.value("change", json!({ "id": id, "kind": kind, "n": n })).await;
                    }
                    _ => ids.push(app.add(&kind, n).await),
                }
                if random.below(8) == 0 {
                    app.value("byKind", json!({})).await;
                }
            }
            app.until("byKind", |status| status.stored == ids.len() as u64 && status.state == ViewState::Current).await;
            let builds = app.status("byKind").runs;
            assert_eq!(builds, u64::from(round == 0), "seed {seed}, round {round}");
            app = app.reopened().await;
            assert_eq!(
                app.value("byKind", json!({})).await,
                app.value("anew", json!({})).await,
                "seed {seed}, round {round}"
            );
            app.until("byKind", |status| status.stored == ids.len() as u64).await;
        }
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_at_any_time_every_view_is_that_of_all_documents() {
    for seed in 1..=3 {
        let (mut random, mut ids) = (Random(seed), Vec::<Value>::new());
        let mut app = App::new().await;
        for round in 0..5 {
            for _ in 0..random.below(25) {
                let (kind, n) = (format!("k{}", random.below(3)), random.below(4) as i32);
                match (random.below(8), ids.is_empty()) {
                    (0, false) => {
                        let id = ids.swap_remove(random.below(ids.len() as u64) as usize);
                        app.value("remove", json!({ "id": id })).await;
                    }
                    (1 | 2, false) => {
                        let id = &ids[random.below(ids.len() as u64) as usize];
                        app.value("change", json!({ "id": id, "kind": kind, "n": n })).await;
                    }
                    (3, false) => {
                        let id = &ids[random.below(ids.len() as u64) as usize];
                        app.value("note", json!({ "text": id })).await;
                    }
                    (4 | 5, _) => drop(app.value("ofKind", json!({ "kind": kind })).await),
                    _ => ids.push(app.add(&kind, n).await),
                }
            }
            match random.below(3) {
                // What is kept is of this moment, of some time before, or a mixture.
                0 => drop(app.until("byKind", |status| status.stored == ids.len() as u64).await),
                1 => tokio::time::sleep(Duration::from_millis(1_000 + random.below(100))).await,
                _ => {}
            }
            app = if random.below(4) == 0 { app.reopened().await } else { app.crashed().await };
            for kind in ["k0", "k1", "k2"] {
                let rest = app.value("rest", json!({ "kind": kind })).await;
                let page = app.value("sorted", json!({ "first": 50 })).await;
                let edges = page["edges"].as_array().unwrap();
                let views = json!([
                    edges.iter().map(|edge| edge["key"].clone()).collect::<Vec<_>>(),
                    app.value("eager", json!({})).await,
                    app.value("ofKind", json!({ "kind": kind })).await,
                    app.value("texts", json!({})).await,
                    app.value("chosen", json!({})).await,
                    app.value("over", json!({})).await,
                ]);
                assert_eq!(views, rest, "seed {seed}, round {round}, {kind}");
            }
            assert_eq!(
                app.value("byKind", json!({})).await,
                app.value("anew", json!({})).await,
                "seed {seed}, {round}"
            );
        }
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_fails_is_asked_for_again() {
    let app = App::new().await;
    app.add("a", 1).await;
    let bad = app.add("bad", 1).await;
    app.until("byKind", |status| status.state == ViewState::Failing && status.stored == 2).await;
    let app = app.reopened().await;
    let failing = app.until("byKind", |status| status.state == ViewState::Failing).await;
    assert!(failing.error.unwrap().contains("bad"));
    app.value("remove", json!({ "id": bad })).await;
    assert_eq!(app.value("byKind", json!({})).await, json!([{ "key": "a", "items": 1, "total": 1, "most": 1 }]));
    assert_eq!(app.status("byKind").runs, 0);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_or_missing_is_computed_anew() {
    let app = App::new().await;
    app.add("a", 1).await;
    app.add("b", 2).await;
    app.computed("eager").await;
    app.until("byKind", |status| status.stored == 2).await;
    let mut folder = app.close().await;
    let damages: [fn(Bytes) -> Option<Bytes>; 3] = [
        |_| None,
        |text| Some(text.slice(..text.len() / 2)),
        |text| {
            let mut damaged = text.to_vec();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 1;
            Some(damaged.into())
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        change_kept(&folder, async |store| {
            let mut records = store.kept_results(None, usize::MAX).unwrap().records;
            let code = code_of(store, "byKind");
            let contributions = store.kept_groups(&code, None, usize::MAX).unwrap().records;
            // Half of a text is none; another text is a failure of the disk, which the engine finds.
            records.extend(contributions.into_iter().filter(|_| number < 2));
            let of_documents = |key: &KeptKey| matches!(key, KeptKey::Result(_) | KeptKey::Contribution(..));
            let damaged = records.into_iter().filter(|(key, _)| of_documents(key));
            store.keep(damaged.map(|(key, text)| (key, damage(text))).collect()).await.unwrap();
        })
        .await;
        let app = App::open(folder, FUNCTIONS, Duration::ZERO).await;
        assert_eq!(app.value("eager", json!({})).await, json!(3), "damage {number}");
        assert_eq!(app.value("byKind", json!({})).await, app.value("anew", json!({})).await, "damage {number}");
        app.until("byKind", |status| status.stored == 2).await;
        app.computed("eager").await;
        assert!(app.status("eager").runs > 0, "damage {number}");
        assert_eq!(app.status("byKind").runs, u64::from(number < 2), "damage {number}");
        folder = app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_as_of_another_commit_are_not_used() {
    let app = App::new().await;
    app.add("a", 1).await;
    app.computed("eager").await;
    app.until("byKind", |status| status.stored == 1).await;
    let folder = app.close().await;
    // As of a commit that is not there: as if the data were those of an older copy.
    change_kept(&folder, async |store| {
        let head = |sequence: u64| json!({ "timestamp": 1, "sequence": sequence, "catalog": store.head().catalog });
        let code = code_of(store, "byKind");
        let groups = json!({ "function": "byKind", "head": head(1_000), "records": 1 }).to_string();
        let records = [(KeptKey::Results, head(1_000).to_string()), (KeptKey::Groups(code), groups)];
        store.keep(records.map(|(key, text)| (key, Some(text.into()))).into()).await.unwrap();
    })
    .await;
    let app = App::open(folder, FUNCTIONS, Duration::ZERO).await;
    app.computed("eager").await;
    app.computed("byKind").await;
    assert!(app.status("eager").runs > 0 && app.status("byKind").runs > 0);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_refreshed_and_dropped_when_somebody_says_so() {
    let app = App::new().await;
    app.add("a", 1).await;
    app.value("ofKind", json!({ "kind": "a" })).await;
    app.computed("byKind").await;
    app.computed("eager").await;
    for view in ["byKind", "eager", "seldom"] {
        let before = app.status(view).runs;
        let after = app.engine.refresh_view(view).await.unwrap();
        assert_eq!(after.state, ViewState::Current, "{view}");
        assert!(after.runs > before, "{view}: {after:?}");
    }
    // It needs an argument.
    assert_eq!(app.engine.refresh_view("ofKind").await.unwrap().state, ViewState::Empty);
    assert_eq!(app.value("ofKind", json!({ "kind": "a" })).await, json!(1));
    app.until("ofKind", |status| status.stored == 1).await;
    let dropped = app.engine.drop_view("ofKind").await.unwrap();
    assert_eq!((dropped.state, dropped.stored), (ViewState::Empty, 0));
    let before = app.status("byKind").runs;
    app.engine.drop_view("byKind").await.unwrap();
    app.until("byKind", |status| status.runs == before + 1 && status.state == ViewState::Current).await;
    assert_eq!(app.value("byKind", json!({})).await, app.value("anew", json!({})).await);
    app.engine.drop_view("eager").await.unwrap();
    app.computed("eager").await;
    let error = app.engine.drop_view("add").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no view \"add\": see weir views status");
    app.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_is_that_of_the_run_also_after_a_restart() {
    const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);
    let app = App::new().await;
    app.add("a", 1).await;
    assert_eq!(app.value("hourly", json!({})).await, json!(1));
    app.add("a", 1).await;
    let app = App::open(app.close().await, FUNCTIONS, HALF_AN_HOUR).await;
    let answer = app.ask("hourly", json!({})).await;
    assert_eq!((answer.value.value(), answer.age.unwrap() >= HALF_AN_HOUR), (&json!(1), true));
    assert_eq!(app.status("hourly").runs, 0);
    let app = App::open(app.close().await, FUNCTIONS, 2 * HALF_AN_HOUR).await;
    assert_eq!(app.value("hourly", json!({})).await, json!(2));
    // That run was in the future: nobody can say how old it is.
    let app = App::open(app.close().await, FUNCTIONS, Duration::ZERO).await;
    app.ask("hourly", json!({})).await;
    assert_eq!(app.status("hourly").runs, 1);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_kept_whether_anybody_asks_or_not_and_a_time_that_was_missed_is_made_up_for_once() {
    // The 29th of February comes once in that time.
    const FOUR_YEARS: Duration = Duration::from_secs(1_462 * 86_400);
    let app = App::new().await;
    let first = app.computed("seldom").await;
    assert_eq!(app.value("seldom", json!({})).await, json!(0));
    app.add("a", 1).await;
    assert_eq!(app.value("seldom", json!({})).await, json!(0), "it is as of the last run");
    let mut watch = app.engine.watch(&app.release, &Caller::Developer, "seldom", json!({}), None);
    assert_eq!(*watch.next().await.unwrap().value, json!(0));
    app.engine.clock().advance(FOUR_YEARS);
    let emission = tokio::time::timeout(Duration::from_secs(60), watch.next()).await.unwrap().unwrap();
    assert_eq!(*emission.value, json!(1));
    drop(watch);
    assert_eq!(app.status("seldom").runs, first.runs + 1);
    // Without a restart in between nothing was missed.
    let app = App::open(app.close().await, FUNCTIONS, FOUR_YEARS).await;
    app.add("a", 1).await;
    let answer = app.ask("seldom", json!({})).await;
    assert_eq!((answer.value.value(), answer.age.is_some()), (&json!(1), true));
    let app = App::open(app.close().await, FUNCTIONS, 3 * FOUR_YEARS).await;
    let caught_up = app.until("seldom", |status| status.age_ms.is_some_and(|age_ms| age_ms < 3_600_000)).await;
    assert_eq!(caught_up.runs, 1);
    assert_eq!(app.value("seldom", json!({})).await, json!(2));
    app.close().await;
}

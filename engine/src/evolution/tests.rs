//! A release takes over the documents of another: what is refused, what becomes of documents, wherever it is cut off.

mod rollouts;

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_schema::codec::control::{MigrationDirection, MigrationRecord};
use weir_schema::error::ErrorCode;
use weir_schema::id::DocumentId;
use weir_store::{CommitError, Options, Scan, Store};

use super::convert::Converter;
use super::migrate::{MigrateError, Migrating};
use crate::Engine;
use crate::call::{CallError, Caller};
use crate::control::Actor;
use crate::import::import;
use crate::release::Release;
use crate::rollouts::loaded::Writes;
use MigrationDirection::{Down, Up};

const BASE: &str = r#"
export interface Customer { name: string; tier?: "free" | "pro"; note?: string }
"#;

/// Splits names. `times` counts how often a document was given to `up`.
const SPLIT: &str = r#"
export interface Customer { name: string; tier?: "free" | "pro"; note?: string; first: string; last: string; times: Int }
"#;

const UP: &str = r#"
export const up = procedure((args: { documents: JSON[] }): JSON[] => (args.documents as any[]).map((customer) => {
  const [first, last] = customer.name.split(" ");
  return { ...customer, first, last: last ?? "", times: (customer.times ?? 0) + 1 };
}));
"#;

const DOWN: &str = r#"
export const down = procedure((args: { documents: JSON[] }): JSON[] => (args.documents as any[]).map((customer) => {
  const { first, last, times, ...rest } = customer;
  return rest;
}));
"#;

const FUNCTIONS: &str = r#"
export const edit = procedure((args: { how: string; id: ID; value: JSON }): JSON =>
  (args.how === "patch" ? customers.patch(args.id, args.value as any)
    : args.how === "replace" ? customers.replace(args.id, args.value as any)
    : args.how === "insert" ? customers.insert(args.value as any)
    : customers.delete(args.id)) as JSON);
export const all = query((): Doc<Customer>[] => customers.all());
"#;

fn app(version: &str, collections: &str, functions: &str, migration: &str) -> Sources {
    let manifest = format!("name = \"shop\"\nversion = \"{version}\"\n{migration}");
    let collections = format!(
        "import {{ collection, type Int, type DateTime }} from \"weir\";\n{collections}\nexport const customers = collection<Customer>();"
    );
    let functions = format!(
        "import {{ procedure, query, type Doc, type ID, type JSON }} from \"weir\";\nimport {{ customers, type Customer }} from \"../collections\";\n{FUNCTIONS}\n{functions}"
    );
    let texts = [("app.toml", manifest), ("collections.ts", collections), ("functions/f.ts", functions)];
    Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text)))
}

fn splitting(version: &str) -> Sources {
    let migration = "[migration.customers]\nup = \"up\"\ndown = \"down\"\n";
    app(version, SPLIT, &format!("{UP}{DOWN}"), migration)
}

/// Two releases on one store.
struct Bench {
    engine: Engine,
    base: Arc<Release>,
    candidate: Arc<Release>,
    folder: TempDir,
}

impl Bench {
    async fn new(candidate: &Sources) -> Self {
        Self::open(tempfile::tempdir().unwrap(), &app("1.0.0", BASE, "", ""), candidate).await
    }

    async fn open(folder: TempDir, base: &Sources, candidate: &Sources) -> Self {
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let load = async |sources: &Sources, sequence: u64| {
            let app = compile(sources).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
            engine.load(app, Some(sequence), Writes::NotYet).await.unwrap()
        };
        let (base, candidate) = (load(base, 1).await, load(candidate, 2).await);
        let bench = Self { engine, base, candidate, folder };
        bench.unite().await;
        bench
    }

    async fn unite(&self) {
        let (new, old) = (self.candidate.key(), self.base.key());
        let releases = [(&**new, self.candidate.declarations()), (&**old, self.base.declarations())];
        self.engine.store().apply_releases(&releases).await.unwrap();
    }

    /// As after a crash: what was in memory is gone.
    async fn again(self, candidate: &Sources) -> Self {
        let Self { engine, folder, .. } = self;
        engine.close().await;
        drop(engine);
        Self::open(folder, &app("1.0.0", BASE, "", ""), candidate).await
    }

    async fn fill(&self, count: usize) {
        let customers: Vec<Value> = (0..count)
            .map(|n| match n % 3 {
                0 => json!({ "id": format!("c{n:03}"), "name": format!("A{n} B{n}"), "tier": "pro" }),
                1 => json!({ "id": format!("c{n:03}"), "name": format!("A{n} B{n}") }),
                _ => json!({ "id": format!("c{n:03}"), "name": format!("A{n} B{n}"), "note": "n" }),
            })
            .collect();
        import(&self.engine, &self.base, "customers", &customers).await.unwrap();
    }

    async fn edit(&self, release: &Arc<Release>, how: &str, id: &str, value: Value) -> Result<Value, CallError> {
        let arguments = json!({ "how": how, "id": id, "value": value });
        let called = self.engine.call(release, &Caller::Developer, "edit", arguments).await;
        called.map(|answer| answer.value.take())
    }

    /// All documents by id, as they are stored.
    fn documents(&self) -> BTreeMap<String, String> {
        stored(self.engine.store())
    }

    fn migrating<'e>(&'e self, direction: MigrationDirection, actor: &'e Actor, batch: usize) -> Migrating<'e> {
        let converter = Arc::new(Converter::new(&self.candidate, Some(&self.base)).unwrap());
        Migrating { engine: &self.engine, converter, direction, actor, batch }
    }

    async fn migrate(&self, direction: MigrationDirection) -> Result<Option<MigrationRecord>, MigrateError> {
        self.engine.migrate(&self.candidate, Some(&self.base), direction, &Actor::operator()).await
    }

    fn audited(&self) -> Vec<String> {
        let records = self.engine.store().audit(0, 1_000).unwrap();
        let own = records.into_iter().filter(|record| record.action.starts_with("migration"));
        own.map(|record| format!("{} {}", record.action, record.targets.join(", "))).collect()
    }
}

/// All documents by id, as they are stored.
fn stored(store: &Store) -> BTreeMap<String, String> {
    let mut transaction = store.begin().unwrap();
    let rows = transaction.scan("customers", &Scan::default()).unwrap().rows;
    let documents = rows.into_iter().map(|row| {
        let document: Value = serde_json::from_slice(&row.document).unwrap();
        (document["id"].as_str().unwrap().to_owned(), String::from_utf8(row.document.to_vec()).unwrap())
    });
    documents.collect()
}

/// Whether each document is migrated as its name says it should be.
fn check_split(documents: &BTreeMap<String, String>) {
    for text in documents.values() {
        let document: Value = serde_json::from_str(text).unwrap();
        let name =
            format!("{} {}", document["first"].as_str().unwrap_or("?"), document["last"].as_str().unwrap_or("?"));
        assert_eq!(document["name"].as_str(), Some(name.as_str()), "{text}");
    }
}

fn times(documents: &BTreeMap<String, String>, id: &str) -> Option<i64> {
    serde_json::from_str::<Value>(&documents[id]).unwrap()["times"].as_i64()
}

async fn check_refusal(collections: &str, documents: &[Value], expected: Expect) {
    let bench = Bench::new(&app("2.0.0", collections, "", "")).await;
    import(&bench.engine, &bench.base, "customers", documents).await.unwrap();
    let head = bench.engine.store().head();
    let refused = bench.engine.check_data(&bench.candidate, Some(&bench.base)).await;
    expected.assert_eq(&refused.err().map_or("fits".to_owned(), |error| error.to_string()));
    assert_eq!(bench.engine.store().head(), head, "who is refused changes nothing, and what does not narrow neither");
    bench.edit(&bench.base, "insert", "x", json!({ "name": "x", "tier": "pro" })).await.unwrap();
}

#[tokio::test]
async fn data_that_a_release_does_not_know_is_counted_and_named() {
    let documents: Vec<Value> = (0..6)
        .map(|n| json!({ "id": format!("c{n}"), "name": "x", "tier": if n < 5 { "pro" } else { "free" } }))
        .collect();
    check_refusal(
        r#"export interface Customer { name: string; tier?: "free"; note?: string }"#,
        &documents,
        expect![[r#"the data does not fit shop 2.0.0: 5 of customers: customers.tier: expected "free", got "pro" (c0, c1, c2 and 2 more); migrate these documents first, or have the release keep what they have"#]],
    )
    .await;
    check_refusal(
        r#"export interface Customer { name: string; note?: string; born: DateTime }"#,
        &documents[4..],
        expect![[r#"the data does not fit shop 2.0.0: 2 of customers: customers.tier: is not declared any more (c4, c5); migrate these documents first, or have the release keep what they have"#]],
    )
    .await;
    check_refusal(
        r#"export interface Customer { name: string; tier?: "free" | "pro"; note?: string; more?: Int; parts?: string[] }"#,
        &documents,
        expect!["fits"],
    )
    .await;
}

#[tokio::test]
async fn what_was_found_to_fit_stays_so() {
    let bench = Bench::new(&app("2.0.0", r#"export interface Customer { name: string; tier: "free" }"#, "", "")).await;
    import(&bench.engine, &bench.base, "customers", &[json!({ "id": "a", "name": "x", "tier": "free" })])
        .await
        .unwrap();
    // Written while the documents are looked through, and committed only then.
    let mut late = bench.engine.store().begin().unwrap();
    let name = serde_json::Map::from_iter([("name".to_owned(), json!("late"))]);
    late.put("customers", &DocumentId::parse("late").unwrap(), name).unwrap();
    bench.engine.check_data(&bench.candidate, Some(&bench.base)).await.unwrap();
    assert_eq!(bench.engine.store().commit(late).await, Err(CommitError::Conflict));

    let refused = bench.edit(&bench.base, "patch", "a", json!({ "tier": "pro" })).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (
            ErrorCode::Unavailable,
            r#"customers a cannot be stored: release shop 2.0.0 could not read it: customers.tier: expected "free", got "pro""#
        )
    );
    for release in [&bench.base, &bench.candidate] {
        bench.edit(release, "patch", "a", json!({ "name": "y" })).await.unwrap();
    }
    let imported = import(&bench.engine, &bench.base, "customers", &[json!({ "name": "x" })]).await.unwrap_err();
    assert_eq!(imported.error.code, ErrorCode::Unavailable);
    // Once the release is gone nobody is held to it.
    bench.engine.store().apply_releases(&[(bench.base.key(), bench.base.declarations())]).await.unwrap();
    bench.edit(&bench.base, "patch", "a", json!({ "tier": "pro" })).await.unwrap();
}

#[tokio::test]
async fn a_release_keeps_what_it_does_not_know_of_a_document() {
    let bench = Bench::new(&app("1.1.0", &BASE.replace('}', "; born?: Int }"), "", "")).await;
    bench.engine.check_data(&bench.candidate, Some(&bench.base)).await.unwrap();
    bench.fill(1).await;
    bench.edit(&bench.candidate, "patch", "c000", json!({ "born": 1990 })).await.unwrap();
    bench.edit(&bench.base, "patch", "c000", json!({ "note": "patched" })).await.unwrap();
    assert_eq!(bench.documents()["c000"], r#"{"id":"c000","name":"A0 B0","tier":"pro","note":"patched","born":1990}"#);
    bench.edit(&bench.base, "replace", "c000", json!({ "name": "new" })).await.unwrap();
    assert_eq!(bench.documents()["c000"], r#"{"id":"c000","name":"new","born":1990}"#);
    // Whoever knows a member says what becomes of it, and what nobody declares is still a mistake.
    bench.edit(&bench.candidate, "replace", "c000", json!({ "name": "new" })).await.unwrap();
    assert_eq!(bench.documents()["c000"], r#"{"id":"c000","name":"new"}"#);
    let refused = bench.edit(&bench.base, "patch", "c000", json!({ "born": 1 })).await.unwrap_err();
    assert!(refused.message.contains("born is not a member here"), "{}", refused.message);
}

#[tokio::test]
async fn a_migration_goes_on_wherever_it_is_cut_off_and_is_undone_byte_for_byte() {
    let sources = splitting("2.0.0");
    let mut bench = Bench::new(&sources).await;
    bench.fill(23).await;
    let (before, actor) = (bench.documents(), Actor::operator());
    for (direction, batches) in [(Up, 4), (Down, 4)] {
        let mut made = 0;
        loop {
            let migrating = bench.migrating(direction, &actor, 7);
            assert!(migrating.begin().await.unwrap());
            let over = migrating.next().await.unwrap();
            made += 1;
            if let Some(record) = over {
                let progress = &record.collections["customers"];
                assert_eq!((progress.done, progress.total, progress.changed), (23, 23, 23), "{direction:?}");
                break;
            }
            let migrated = bench.documents().values().filter(|text| text.contains("first")).count();
            assert_eq!(migrated, if direction == Up { made * 7 } else { 23 - made * 7 });
            bench = bench.again(&sources).await;
        }
        assert_eq!(made, batches);
        let documents = bench.documents();
        match direction {
            Up => {
                check_split(&documents);
                assert!(documents.keys().all(|id| times(&documents, id) == Some(1)));
                assert!(bench.engine.migration_status().unwrap().unwrap().is_over);
                bench.engine.check_data(&bench.candidate, Some(&bench.base)).await.unwrap();
                // It is known again, and nothing is done twice.
                bench = bench.again(&sources).await;
                assert!(bench.migrate(Up).await.unwrap().unwrap().is_over);
                assert_eq!(bench.documents(), documents);
            }
            Down => assert_eq!(documents, before),
        }
    }
    assert_eq!(bench.engine.migration_status().unwrap(), None);
    assert!(bench.migrate(Down).await.unwrap().is_none(), "there is nothing to undo");
    expect![[r#"
        migration.begin shop 2.0.0, up
        migration.end shop 2.0.0, up, customers: 23 of 23 changed
        migration.begin shop 2.0.0, down
        migration.end shop 2.0.0, down, customers: 23 of 23 changed"#]]
    .assert_eq(&bench.audited().join("\n"));
}

#[tokio::test]
async fn what_is_written_meanwhile_is_migrated_too() {
    let bench = Bench::new(&splitting("2.0.0")).await;
    bench.fill(20).await;
    let (before, actor) = (bench.documents(), Actor::operator());
    let migrating = bench.migrating(Up, &actor, 7);
    migrating.begin().await.unwrap();
    assert!(migrating.next().await.unwrap().is_none());
    // One that is migrated, one that is not yet, and new ones.
    for id in ["c001", "c019"] {
        bench.edit(&bench.base, "patch", id, json!({ "name": "New Name" })).await.unwrap();
    }
    bench.edit(&bench.base, "replace", "c002", json!({ "name": "Other Name" })).await.unwrap();
    bench.edit(&bench.base, "delete", "c003", Value::Null).await.unwrap();
    bench.edit(&bench.base, "insert", "-", json!({ "name": "Brand New" })).await.unwrap();
    let half = bench.documents();
    assert_eq!((times(&half, "c001"), times(&half, "c002"), times(&half, "c019")), (Some(2), Some(2), None));
    assert_eq!(times(&half, "c000"), Some(1));
    // The release before reads all of them.
    let read = bench.engine.call(&bench.base, &Caller::Developer, "all", json!({})).await.unwrap().value.take();
    assert_eq!(read.as_array().map(Vec::len), Some(20));
    while migrating.next().await.unwrap().is_none() {}
    let done = bench.documents();
    check_split(&done);
    assert_eq!((done.len(), times(&done, "c001"), times(&done, "c019")), (20, Some(2), Some(1)));
    bench.engine.check_data(&bench.candidate, Some(&bench.base)).await.unwrap();
    // Beside the release that has taken over the other one goes on.
    bench.edit(&bench.base, "insert", "-", json!({ "name": "Late Comer" })).await.unwrap();
    bench
        .edit(&bench.candidate, "patch", "c005", json!({ "first": "Only", "last": "Me", "name": "Only Me" }))
        .await
        .unwrap();
    check_split(&bench.documents());
    assert_eq!(times(&bench.documents(), "c005"), Some(1), "the release itself writes documents as they are to be");

    let migrating = bench.migrating(Down, &actor, 7);
    migrating.begin().await.unwrap();
    assert!(migrating.next().await.unwrap().is_none());
    // Calls of the release that still run: what they change is brought back where that was done already.
    for id in ["c000", "c018"] {
        let part = json!({ "name": "X Y", "first": "X", "last": "Y", "times": 9 });
        bench.edit(&bench.candidate, "patch", id, part).await.unwrap();
    }
    let half = bench.documents();
    assert_eq!((times(&half, "c000"), times(&half, "c018")), (None, Some(9)));
    while migrating.next().await.unwrap().is_none() {}
    let after = bench.documents();
    assert!(after.values().all(|text| !text.contains("first") && !text.contains("times")), "{after:#?}");
    for id in ["c004", "c010", "c017"] {
        assert_eq!(after[id], before[id]);
    }
    assert_eq!(after["c018"], before["c018"].replace("A18 B18", "X Y"));
}

#[tokio::test]
async fn a_migration_that_waits_for_its_release_lets_nobody_else_write() {
    let sources = splitting("2.0.0");
    let bench = Bench::new(&sources).await;
    bench.fill(3).await;
    bench.migrate(Up).await.unwrap();
    let bench = bench.again(&sources).await;
    let refused = bench.edit(&bench.base, "patch", "c000", json!({ "name": "New Name" })).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert_eq!(refused.message, "the migration of customers to shop 2.0.0 was cut off and has not gone on yet");
    bench.edit(&bench.candidate, "patch", "c001", json!({ "note": "own" })).await.unwrap();
    bench.migrate(Up).await.unwrap();
    bench.edit(&bench.base, "patch", "c000", json!({ "name": "New Name" })).await.unwrap();
    check_split(&bench.documents());
    let refused = import(&bench.engine, &bench.base, "customers", &[json!({ "name": "x" })]).await.unwrap_err();
    assert!(refused.error.message.contains("import when it is over"), "{}", refused.error.message);

    // Promoted: nothing is undone any more, and nobody else is asked.
    bench.engine.end_migration(&Actor::operator()).await.unwrap();
    assert_eq!(bench.engine.migration_status().unwrap(), None);
    bench.edit(&bench.candidate, "patch", "c000", json!({ "note": "own" })).await.unwrap();
    assert_eq!(bench.audited().last().map(String::as_str), Some("migration.keep shop 2.0.0"));
}

#[tokio::test]
async fn one_migration_at_a_time() {
    let bench = Bench::new(&splitting("2.0.0")).await;
    bench.fill(10).await;
    let actor = Actor::operator();
    let migrating = bench.migrating(Up, &actor, 4);
    migrating.begin().await.unwrap();
    migrating.next().await.unwrap();
    let bench = bench.again(&splitting("3.0.0")).await;
    let refused = bench.migrate(Up).await.unwrap_err().to_string();
    assert_eq!(refused, "the migration to shop 2.0.0 is not over: promote that release or undo it first");
    // Undone half way, it is only undone further.
    let bench = bench.again(&splitting("2.0.0")).await;
    let undoing = bench.migrating(Down, &actor, 3);
    undoing.begin().await.unwrap();
    undoing.next().await.unwrap();
    let refused = bench.migrate(Up).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the migration to shop 2.0.0 is being undone: wait until that is over, or deploy a release whose migration takes documents as they are now"
    );
    bench.migrate(Down).await.unwrap();
    assert!(bench.documents().values().all(|text| !text.contains("first")));
    assert_eq!(bench.engine.migration_status().unwrap(), None);
}

#[tokio::test]
async fn what_a_migration_must_not_make_of_documents() {
    let table = [
        (
            "return args.documents.slice(1);",
            "up of shop 2.0.0 has returned 2 documents for 3: return one for each, in their order",
        ),
        (
            "return args.documents.toReversed();",
            "customers c000 cannot be migrated to shop 2.0.0: its id became \"c002\"; ids do not change, and documents stay in their order",
        ),
        ("return [1, 2, 3];", "customers c000 cannot be migrated to shop 2.0.0: what it becomes is not an object"),
        (
            "return args.documents;",
            "customers c000 cannot be migrated to shop 2.0.0: customers.first: missing; declared as a string",
        ),
        (
            "return args.documents.map((c) => ({ ...c as any, first: '', last: '', times: 0, fist: 1 }));",
            "customers c000 cannot be migrated to shop 2.0.0: customers.fist: neither release declares it",
        ),
        ("throw new Error('not today');", "up of shop 2.0.0: not today"),
    ];
    for (body, message) in table {
        let up = format!("export const up = procedure((args: {{ documents: JSON[] }}): JSON[] => {{ {body} }});");
        let bench = Bench::new(&app("2.0.0", SPLIT, &up, "[migration.customers]\nup = \"up\"\n")).await;
        bench.fill(3).await;
        let before = bench.documents();
        let refused = bench.migrate(Up).await.unwrap_err();
        assert_eq!(refused.to_string(), message);
        assert_eq!(bench.documents(), before);
        // What is written meanwhile needs none of it, until a document is migrated that it changes.
        bench.edit(&bench.base, "patch", "c001", json!({ "note": "x" })).await.unwrap();
        assert!(bench.migrate(Down).await.unwrap().is_some());
        assert_eq!(bench.engine.migration_status().unwrap(), None);
    }
}

#[tokio::test]
async fn a_migration_leaves_the_release_before_what_it_needs() {
    let renamed = r#"export interface Customer { full: string; name?: string; tier?: "free" | "pro"; note?: string }"#;
    let of = |body: &str| {
        let up = format!(
            "export const up = procedure((args: {{ documents: JSON[] }}): JSON[] => (args.documents as any[]).map((c) => {{ {body} }}));"
        );
        app("2.0.0", renamed, &up, "[migration.customers]\nup = \"up\"\n")
    };
    let bench = Bench::new(&of("const { name, ...rest } = c; return { ...rest, full: name };")).await;
    bench.fill(2).await;
    let refused = bench.migrate(Up).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "customers c000 cannot be migrated to shop 2.0.0: customers.name: the release before cannot read it: missing; declared as a string; keep what that one needs until it is gone"
    );
    let bench = Bench::new(&of("return { ...c, full: c.name };")).await;
    bench.fill(2).await;
    let before = bench.documents();
    bench.migrate(Up).await.unwrap();
    assert!(bench.documents().values().all(|text| text.contains("full")));
    // Without a way back what only the release declares is removed.
    bench.migrate(Down).await.unwrap();
    assert_eq!(bench.documents(), before);
}

/// Whatever order commits come in: what is written beside a migration is migrated, and each document once for each state that the
/// release before has given it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_beside_a_migration_leave_nothing_behind() {
    let bench = Arc::new(Bench::new(&splitting("2.0.0")).await);
    bench.fill(60).await;
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let bench = bench.clone();
            tokio::spawn(async move {
                for step in 0..25 {
                    let id = format!("c{:03}", (step * 7 + writer * 20) % 60);
                    let name = json!({ "name": format!("W{writer} S{step}") });
                    let how = ["patch", "replace", "insert"][step % 3];
                    bench.edit(&bench.base, how, &id, name).await.unwrap();
                }
            })
        })
        .collect();
    let actor = Actor::operator();
    let migrating = bench.migrating(Up, &actor, 5);
    migrating.begin().await.unwrap();
    while migrating.next().await.unwrap().is_none() {}
    bench.engine.check_data(&bench.candidate, Some(&bench.base)).await.unwrap();
    check_split(&bench.documents());
    for writer in writers {
        writer.await.unwrap();
    }
    let documents = bench.documents();
    check_split(&documents);
    assert_eq!(documents.len(), 60 + 3 * 8);
}

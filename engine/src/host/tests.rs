//! What a host answers, whoever asks: a worker may send what no script can.

use serde_json::json;
use tempfile::TempDir;
use weir_sandbox::compile::{Sources, compile};
use weir_sandbox::pool::PoolOptions;
use weir_sandbox::protocol::When;
use weir_store::{Options, ReadSet, Store};

use super::*;
use crate::call::{Identity, TokenKind};
use crate::results::key::Class;
use crate::run::Prepared;
use crate::seed::Seed;

const COLLECTIONS: &str = r#"
import { collection, type Int } from "weir";
export interface Note { owner: string; rank: Int }
export const notes = collection<Note>();
"#;

const FUNCTIONS: &str = r#"
import { procedure, query, view, type Int } from "weir";
import { notes } from "../collections";
export const total = view((): Int => notes.count());
export const work = procedure((): Int => total());
export const looks = query((): Int => total());
"#;

/// An own note may be read; which ones these are, no index knows.
const POLICIES: &str = r#"
permit(principal, action == Action::"call", resource);
permit(principal, action == Action::"create", resource);
permit(principal is User, action == Action::"delete", resource);
permit(principal is User, action in Action::"read", resource is Note)
when { resource.owner == principal.subject || resource.rank > 100 };
"#;

struct Bench {
    engine: Engine,
    release: Arc<Release>,
    _folder: TempDir,
}

impl Bench {
    async fn new(limits: &str) -> Self {
        let manifest = format!("name = \"test\"\nversion = \"1.0.0\"\n[limits]\n{limits}\n");
        let texts = [
            ("app.toml", manifest.as_str()),
            ("collections.ts", COLLECTIONS),
            ("functions/notes.ts", FUNCTIONS),
            ("policies.cedar", POLICIES),
        ];
        let sources = Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())));
        let app = compile(&sources).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
        let engine = Engine::start(store, PoolOptions::default()).unwrap();
        let release = engine.activate(app).await.unwrap();
        Self { engine, release, _folder: folder }
    }

    /// The host of a call of `work` by eve.
    fn host(&self) -> RunHost {
        self.begin(&token(TokenKind::User, "eve"), "work").1
    }

    /// The host of a call that is not handed to any isolate, and its end.
    fn begin(&self, caller: &Caller, function: &str) -> (Prepared, RunHost, oneshot::Receiver<Finished>) {
        let prepared = Prepared::new(&self.release, caller, function, json!({})).unwrap();
        let (seed, (done, finished)) = (Seed::draw().unwrap(), oneshot::channel());
        let host = prepared.host(&self.engine, &seed, seed.ids(), done).unwrap();
        let transaction = Some(self.engine.store().begin().unwrap());
        (prepared, RunHost { transaction, ..host }, finished)
    }
}

fn token(kind: TokenKind, subject: &str) -> Caller {
    Caller::Token(Arc::new(Identity {
        kind,
        issuer: "https://issuer.example".to_owned(),
        subject: subject.to_owned(),
        roles: Vec::new(),
        scopes: Vec::new(),
        claims: serde_json::Map::new(),
    }))
}

fn insert(owner: &str) -> HostCall {
    HostCall::Insert { collection: "notes".to_owned(), value: json!({ "owner": owner, "rank": 1 }) }
}

fn count() -> HostCall {
    HostCall::Count { plan: Plan { collection: "notes".to_owned(), equal: Vec::new(), range: None, order: None } }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_inside_of_a_view() {
    let bench = Bench::new("").await;
    let mut host = bench.host();
    let own: Value = serde_json::from_str(&host.ask(insert("eve")).unwrap()).unwrap();
    let id = || own["id"].as_str().unwrap().to_owned();
    let collection = || "notes".to_owned();
    let job = HostCall::Schedule { function: "work".to_owned(), args: json!({}), when: When::After(json!("1h")) };
    let job = host.ask(job).unwrap();
    let view = host.ask(HostCall::View { function: "total".to_owned(), args: json!({}) }).unwrap();
    let number = serde_json::from_str::<Value>(&view).unwrap()["number"].as_u64().unwrap();
    let writes = || {
        [
            insert("eve"),
            HostCall::Replace { collection: collection(), id: id(), value: json!({ "owner": "eve", "rank": 2 }) },
            HostCall::Patch { collection: collection(), id: id(), part: json!({ "rank": 2 }), removed: Vec::new() },
            HostCall::Delete { collection: collection(), id: id() },
            HostCall::Schedule { function: "work".to_owned(), args: json!({}), when: When::After(json!("1h")) },
            HostCall::CancelJob { id: job.trim_matches('"').to_owned() },
            HostCall::Savepoint { step: SavepointStep::Set, number: 0 },
        ]
    };
    for write in writes() {
        let said = format!("{write:?}");
        let refused = host.ask(write).unwrap_err().to_string();
        assert!(refused.contains("a procedure") && refused.ends_with("this is a view"), "{said}: {refused}");
    }
    assert_eq!(host.ask(count()).unwrap(), "1", "a view reads all");
    host.ask(HostCall::ViewResult { number, value: json!(1) }).unwrap();
    // All of it is what the procedure itself may do.
    let done: Vec<String> = writes()
        .into_iter()
        .filter(|write| !matches!(write, HostCall::Replace { .. } | HostCall::Patch { .. }))
        .map(|write| host.ask(write).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    assert_eq!((done.len(), done[1].as_str(), done[3].as_str()), (5, "true", "true"));
    drop(host);
    bench.engine.close().await;
}

/// What is looked at to be counted is read, and takes no longer than a call may.
#[tokio::test(flavor = "multi_thread")]
async fn counting_what_is_hidden_has_the_limits_of_reading() {
    for (limits, expected) in [
        ("", Ok("1".to_owned())),
        ("documents_counted = 1500", Err(HostError::Limit(Limit::DocumentsCounted))),
        ("read_bytes = 50000", Err(HostError::Limit(Limit::ReadBytes))),
        ("wall_ms = 1", Err(HostError::Limit(Limit::Wall))),
    ] {
        let bench = Bench::new(limits).await;
        let mut host = bench.host();
        for owner in ["eve"].into_iter().chain(std::iter::repeat_n("bob", 2_500)) {
            host.ask(insert(owner)).unwrap();
        }
        assert_eq!(host.ask(count()), expected, "{limits}");
        drop(host);
        bench.engine.close().await;
    }
}

/// A script went on in the middle of a view: what comes of that is another for who may do everything, so neither is for the other. It
/// is good until what was read changes, an error too.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_of_a_view_that_was_left_is_for_its_kind_of_callers_alone() {
    let bench = Bench::new("").await;
    let callers = [
        (Caller::Developer, true),
        (Caller::Scheduler, true),
        (Caller::Anonymous, false),
        (token(TokenKind::User, "eve"), false),
        (token(TokenKind::Service, "cron"), false),
    ];
    for (caller, may_do_all) in &callers {
        let (prepared, mut host, finished) = bench.begin(caller, "looks");
        host.ask(HostCall::View { function: "total".to_owned(), args: json!({}) }).unwrap();
        host.ask(count()).unwrap();
        Box::new(host).finish(Outcome::Value("7".to_owned()));
        let ran = prepared.judge(finished.await.unwrap());
        assert_eq!(ran.result.is_ok(), *may_do_all, "{caller:?}: {:?}", ran.result);
        let class = Class::of(prepared.seen(), ran.looked.claims);
        for (other, may) in &callers {
            let (other, ..) = bench.begin(other, "looks");
            assert!(!class.has(other.seen()) || may == may_do_all, "{caller:?} and {:?}", other.seen());
        }
        let reads = ran.transaction.expect("it says what was read").into_read_set();
        assert!(reads.bytes() > ReadSet::default().bytes(), "{caller:?}");
    }
    bench.engine.close().await;
}

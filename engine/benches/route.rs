//! What it costs a call to find its release, and to be counted for it.
//!
//! `cargo bench --bench route` prints the time for each call (aim: under 1 µs): with nothing rolled out, with a canary for callers who are
//! known by a token, a visitor's text or an address, with an experiment of three releases, and for callers who stay on a range of
//! versions. Then what it costs to count a call for guards and for usage. Beside them: an engine's call whose result is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_engine::Engine;
use weir_engine::bundle::key::SigningKey;
use weir_engine::bundle::sign::{Terms, pack, sign};
use weir_engine::call::Caller;
use weir_engine::control::keys::{Validity, trust};
use weir_engine::control::{Actor, releases};
use weir_engine::engine::{RESULTS_BYTES_MAX, Runs};
use weir_engine::release::Release;
use weir_engine::rollouts::line::Line;
use weir_engine::rollouts::traffic::Asker;
use weir_sandbox::compile::Sources;
use weir_sandbox::pool::PoolOptions;
use weir_schema::rollout::{Compared, Event, Share, Step, Strategy, Variant};
use weir_store::{Options, Store};

/// Each of them a promotion and a rollback.
const SWITCHES: usize = 50;
const AIM: Duration = Duration::from_micros(1);
const ROUNDS: usize = 400;
/// Of a round, which is short, so that most are over before something else has the core.
const CALLS: usize = 250;
/// They come in turns.
const CALLERS: usize = 10_000;
/// As many as a store keeps on record.
const RELEASES: u64 = 100;
const AT_ONCE: Strategy = Strategy::BlueGreen { hold: false };
/// After a deployment more isolates are started beside what is measured.
const SETTLED: Duration = Duration::from_secs(1);
/// Longer than a release stays that no call goes to any more.
const DRAINED: Duration = Duration::from_secs(6);
const ISSUER: &str = "https://issuer.example";

fn main() {
    weir_sandbox::isolate::prepare_v8();
    let folder = tempfile::tempdir().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let bench = Bench::open(folder.path()).await;
        bench.deploy(1, AT_ONCE).await;
        bench.deploy(2, AT_ONCE).await;
        let call = bench.kept_call().await;
        println!("Engine::call, a result at hand                 {call:>9.1?}");
        bench.routes("nothing is rolled out");
        let step = Step { share: Share::of(2_000).unwrap(), for_ms: None };
        bench.deploy(3, Strategy::Canary { steps: vec![step] }).await;
        bench.routes("a canary");
        bench.roll(Event::Promote).await;
        let (share, others) =
            (Share::of(3_000).unwrap(), vec![Variant { release: 2, share: Share::of(3_000).unwrap() }]);
        let compared = Compared { metrics: Vec::new(), alpha: Share::of(500).unwrap(), callers_planned: 20_000 };
        bench.deploy(4, Strategy::Experiment { share, others, compared }).await;
        bench.routes("an experiment of 3 releases");
        bench.roll(Event::Choose { release: 4 }).await;
        bench.pinned("4 releases on record").await;
        for sequence in 5..=RELEASES {
            bench.deploy(sequence, AT_ONCE).await;
        }
        bench.pinned("100 releases on record").await;
        bench.switches().await;
        bench.counting(call);
        bench.engine.close().await;
    });
}

/// An engine to which releases are deployed.
struct Bench {
    engine: Engine,
    key: SigningKey,
    subjects: Vec<String>,
}

impl Bench {
    async fn open(folder: &std::path::Path) -> Self {
        let store = Store::open(&folder.join("data"), Options::default()).unwrap();
        let key = SigningKey::generate().unwrap();
        trust(&store, &Actor::operator(), key.public(), Validity::default()).await.unwrap();
        let pool = PoolOptions::default();
        let engine = Engine::start_with(store, pool, None, RESULTS_BYTES_MAX, Runs::SignedBundles).unwrap();
        Self { engine, key, subjects: (0..CALLERS).map(|number| format!("customer-{number:08}")).collect() }
    }

    /// Rolls a version out that has the number of its sequence.
    async fn deploy(&self, sequence: u64, strategy: Strategy) {
        let manifest = format!(
            "name = \"bench\"\nversion = \"{sequence}.0.0\"\n[metrics.paid]\nkind = \"mean\"\ngoal = \"increase\"\n"
        );
        let function = "import { query, type Int } from \"weir\";\nexport const one = query((): Int => 1);\n";
        let texts = [("app.toml", manifest.as_str()), ("functions/f.ts", function)];
        let sources = Sources::from_texts(texts.map(|(path, text)| (path.to_owned(), text.to_owned())));
        let manifest = weir_schema::manifest::parse(&manifest).unwrap();
        let terms = Terms { tenant: None, sequence, expires_ms: u64::MAX };
        let bundle = sign(&pack(&sources).unwrap(), &manifest, terms, std::slice::from_ref(&self.key)).unwrap();
        self.engine.deploy(&bundle, strategy, &Actor::operator(), &|_| Ok(())).await.unwrap();
    }

    async fn roll(&self, event: Event) {
        self.engine.roll(event, &Actor::operator()).await.unwrap();
    }

    fn active(&self) -> Arc<Release> {
        self.engine.releases().borrow().clone().unwrap()
    }

    async fn kept_call(&self) -> Duration {
        let release = self.active();
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            for _ in 0..CALLS {
                black_box(self.engine.call(&release, &Caller::Developer, "one", Value::Null).await.unwrap());
            }
            rounds.push(begun.elapsed());
        }
        median(rounds)
    }

    fn token(&self, call: usize) -> Asker<'_> {
        Asker::Token { issuer: ISSUER, subject: &self.subjects[call] }
    }

    /// The time for each call of a caller whom the number of the call names.
    fn route<'a>(&'a self, asker: impl Fn(usize) -> Asker<'a>) -> Duration {
        each(|call| {
            drop(black_box(self.engine.route(|| asker(call))));
            // As each operation does, which counts in an experiment.
            self.engine.count_caller(asker(call));
        })
    }

    /// All kinds of callers, while something is rolled out.
    fn routes(&self, state: &str) {
        thread::sleep(SETTLED);
        let address = |call: usize| Asker::Address(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + call as u32)));
        show(&format!("{state}, nobody in particular"), self.route(|_| Asker::Nobody));
        show(&format!("{state}, by a token"), self.route(|call| self.token(call)));
        show(&format!("{state}, by a visitor's text"), self.route(|call| Asker::Visitor(&self.subjects[call])));
        show(&format!("{state}, by an address"), self.route(address));
        let both = Barrier::new(2);
        let slower = thread::scope(|scope| {
            let begin = |from: usize| {
                both.wait();
                self.route(|call| self.token((from + call) % CALLERS))
            };
            let threads = [0, CALLERS / 2].map(|from| scope.spawn(move || begin(from)));
            threads.map(|thread| thread.join().unwrap()).into_iter().max().unwrap()
        });
        show(&format!("{state}, by a token, two at a time"), slower);
    }

    /// Callers who stay on a range of versions: that of the active release, and that of the one before it.
    async fn pinned(&self, state: &str) {
        let active = self.active().version().major;
        assert!(releases::list(self.engine.store()).unwrap().len() as u64 >= active);
        for (major, whose) in [(active, "the active release"), (active - 1, "the one before")] {
            let range = format!("^{major}");
            let mut rounds = Vec::with_capacity(ROUNDS);
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                for call in 0..CALLS {
                    let line = Line::parse(&range).unwrap();
                    black_box(self.engine.route_on(&line, self.token(call)).await.unwrap());
                }
                rounds.push(begun.elapsed());
            }
            show(&format!("{state}, {range}: {whose}"), median(rounds));
        }
    }

    /// Promotions and rollbacks, until calls go by them and until they are answered.
    async fn switches(&self) {
        let (mut effects, mut answers) = (Vec::new(), Vec::new());
        let hold = Strategy::BlueGreen { hold: true };
        let back = || Event::RollBack { why: "to and fro".to_owned() };
        // Those that were deployed before the last ones are let go of first.
        tokio::time::sleep(DRAINED).await;
        self.roll(back()).await;
        tokio::time::sleep(SETTLED).await;
        for _ in 0..SWITCHES {
            self.engine.start_rollout(RELEASES, hold.clone(), &Actor::operator()).await.unwrap();
            for event in [Event::Promote, back()] {
                // Whoever does what is due after a change is done.
                tokio::time::sleep(Duration::from_millis(50)).await;
                let mut traffic = self.engine.traffic();
                let effect = tokio::spawn(async move { traffic.changed().await.map(|()| Instant::now()).unwrap() });
                tokio::task::yield_now().await;
                let begun = Instant::now();
                self.roll(event).await;
                answers.push(begun.elapsed());
                effects.push(effect.await.unwrap() - begun);
            }
        }
        for (name, times) in [("calls go by it", &mut effects), ("it is answered", &mut answers)] {
            times.sort_unstable();
            let at = |percent: usize| times[times.len() * percent / 100];
            println!("a switch with 100 releases on record, until {name}: p50 {:.2?}, p99 {:.2?}", at(50), at(99));
        }
    }

    /// What is counted of a call.
    fn counting(&self, call: Duration) {
        let release = self.active();
        let health = each(|_| {
            let begun = Instant::now();
            black_box(release.tally()).count(Ok(()), Some(begun));
        });
        show("counting what a call comes to, for guards", health);
        let tally = release.usage().tally(["Query.one".to_owned()]);
        let usage = each(|_| {
            black_box(release.usage()).called(0);
            black_box(&tally).add();
        });
        show("counting what is asked for, for usage", usage);
        println!("both / a call with its result at hand: {:.3}", (health + usage).as_secs_f64() / call.as_secs_f64());
    }
}

/// The time for each call.
fn each(mut ask: impl FnMut(usize)) -> Duration {
    let round = |round: usize| {
        let begun = Instant::now();
        (0..CALLS).for_each(|call| ask((round * CALLS + call) % CALLERS));
        begun.elapsed()
    };
    median((0..ROUNDS).map(round).collect())
}

/// Of one call, in the round in the middle.
fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort_unstable();
    rounds[rounds.len() / 2] / CALLS as u32
}

fn show(name: &str, time: Duration) {
    println!("{name:<60} {time:>9.1?}, of the aim {:.3}", time.as_secs_f64() / AIM.as_secs_f64());
}

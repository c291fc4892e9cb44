//! kill -9 at random moments under concurrent load, again and again on the same data.
//!
//! In each round the binary is started on what the last kill left, and all that clients were told before has to hold:
//! [`ledger`] has the list. Then clients move money between few accounts until the next kill. What they send is drawn
//! from a seed, which is told; `WEIR_TESTS_SEED` repeats it, as far as a kill at a moment can be repeated.

pub mod connection;
mod ledger;
pub mod random;

use std::env;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use self::connection::Connection;
use self::ledger::{Ledger, Order, Outcome, Tally};
use self::random::Random;
use crate::apps::App;
use crate::weir::{Dev, PATIENCE, run, say};

/// Rounds in all.
const ROUNDS: u64 = 200;
/// Data folders, side by side.
const FOLDERS: u64 = 2;
/// Clients that move money at the same time.
const CLIENTS: u64 = 7;
/// When a kill comes, in milliseconds after the first answer of the round.
const UNDER_LOAD_MS: [u64; 2] = [20, 150];
/// When a kill comes that falls among the first commits, in milliseconds after clients connect.
const FIRST_COMMITS_MS: [u64; 2] = [0, 40];
/// The rounds before the last whose transfers are looked at one by one; at the end all are.
const ROUNDS_LOOKED_AT: u64 = 3;
/// One in so many answers is asked for again at once.
const AT_ONCE_ONE_IN: u64 = 8;
/// Transfers that have to be acknowledged, or the clients did not do what they are there for.
const ACKNOWLEDGED_MIN: usize = 500;

/// When a kill comes.
enum Moment {
    /// Somewhere between the start of the process and its first answer.
    Starting,
    /// Before or soon after the first transfer is answered.
    FirstCommits,
    /// While transfers are answered.
    UnderLoad,
}

impl Moment {
    fn of(round: u64) -> Self {
        match round % 20 {
            0 => Self::Starting,
            10 => Self::FirstCommits,
            _ => Self::UnderLoad,
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_halved_by_kills() {
    let drawn = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let seed = env::var("WEIR_TESTS_SEED").map_or_else(|_| drawn(), |seed| seed.parse().unwrap());
    say(&format!("kills: WEIR_TESTS_SEED={seed}"));
    let started = Instant::now();
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let folders: Vec<_> = (0..FOLDERS).map(|folder| scope.spawn(move || Rounds::new(seed, folder).run())).collect();
        for folder in folders {
            tally.add(&folder.join().unwrap());
        }
    });
    say(&format!("kills: {ROUNDS} rounds in {:.1?}: {tally:?}", started.elapsed()));
    assert!(tally.acknowledged >= ACKNOWLEDGED_MIN, "{tally:?}");
    for count in [tally.refused, tally.unseen, tally.lost, tally.repeated] {
        assert!(count > 0, "a case did not come up: {tally:?}");
    }
}

/// The rounds on one data folder.
struct Rounds {
    seed: u64,
    folder: u64,
    random: Random,
    app: App,
    ledger: Ledger,
    /// How long the last start took.
    start: Duration,
}

impl Rounds {
    fn new(seed: u64, folder: u64) -> Self {
        let app = App::copy_of("tests/fixtures/bank");
        let random = Random::of(seed, &[folder]);
        Self { seed, folder, random, app, ledger: Ledger::default(), start: Duration::from_millis(100) }
    }

    fn run(mut self) -> Tally {
        let mut sequence = 0;
        for round in 0..ROUNDS / FOLDERS {
            match Moment::of(round) {
                Moment::Starting => self.kill_at_start(),
                Moment::FirstCommits => self.round(round, FIRST_COMMITS_MS, Duration::ZERO),
                Moment::UnderLoad => self.round(round, UNDER_LOAD_MS, PATIENCE),
            }
            if round % 10 == 5 {
                sequence = self.examine(sequence);
            }
        }
        let (dev, mut connection) = self.serve();
        self.ledger.check(&mut connection, 0);
        self.ledger.ask_again(&mut connection, &mut self.random);
        self.ledger.check_all(&mut connection);
        assert_eq!(dev.stop(), Some(0));
        self.examine(sequence);
        self.ledger.tally
    }

    fn serve(&mut self) -> (Dev, Connection) {
        let started = Instant::now();
        let dev = Dev::start(&self.app);
        self.start = started.elapsed();
        let connection = Connection::open(&dev.url).unwrap();
        (dev, connection)
    }

    fn kill_at_start(&mut self) {
        let mut starting = Dev::starting(&self.app);
        let moment = self.random.below(1 + self.start.as_millis() as u64);
        thread::sleep(Duration::from_millis(moment));
        starting.process.kill();
    }

    /// Starts, looks, and kills under load: in a window that opens with the first answer, for which it waits so long.
    fn round(&mut self, round: u64, [from, to]: [u64; 2], wait: Duration) {
        let (mut dev, mut connection) = self.serve();
        if self.ledger.accounts.is_empty() {
            self.ledger.open_accounts(&mut connection);
        }
        let since = round.saturating_sub(ROUNDS_LOOKED_AT);
        self.ledger.check(&mut connection, since);
        self.ledger.ask_again(&mut connection, &mut self.random);
        self.ledger.check(&mut connection, since);

        let moment = Duration::from_millis(from + self.random.below(to - from + 1));
        let (url, accounts) = (dev.url.as_str(), self.ledger.accounts.as_slice());
        let (answer, answers) = mpsc::channel();
        let ended: Vec<_> = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let random = Random::of(self.seed, &[self.folder, round, client]);
                    let answer = answer.clone();
                    scope.spawn(move || move_money(url, accounts, round, client, random, answer))
                })
                .collect();
            let auditor = scope.spawn(|| audit(connection));
            drop(answer);
            // Without an answer the clients have ended, and say why when they are joined.
            let _ = answers.recv_timeout(wait);
            thread::sleep(moment);
            dev.process.kill();
            auditor.join().unwrap();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        for (outcomes, unanswered) in ended {
            self.ledger.take(outcomes, unanswered);
        }
    }

    /// Has every record looked at while nothing runs: documents against indexes, the journal, the audit log. The sequence
    /// of the last commit, which has grown at least with what is known.
    fn examine(&self, before: usize) -> usize {
        let data = self.app.data();
        let sequence = doctor(&data);
        assert!(sequence >= before.max(self.ledger.commits()), "commit {sequence} after {before}");
        sequence
    }
}

/// Moves money until the server is gone: what was answered, and the order that was not.
fn move_money(
    url: &str,
    accounts: &[String],
    round: u64,
    client: u64,
    mut random: Random,
    answered: Sender<()>,
) -> (Vec<Outcome>, Option<Order>) {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let Ok(mut connection) = Connection::open(url) else { return (outcomes, None) };
    for number in 0.. {
        let order = Order::draw(&mut random, round, format!("{round}-{client}-{number}"));
        let (request, key) = (order.request(accounts), order.key.clone());
        let Ok(answer) = connection.post(&request, Some(&key)) else { return (outcomes, Some(order)) };
        let outcome = Outcome::of(order.clone(), answer);
        // Only the first one is waited for.
        let _ = answered.send(());
        if random.below(AT_ONCE_ONE_IN) == 0
            && let Ok(again) = connection.post(&request, Some(&key))
        {
            assert_eq!(Outcome::of(order, again), outcome, "another answer than the first");
        }
        outcomes.push(outcome);
    }
    (outcomes, None)
}

/// Counts all money until the server is gone.
fn audit(mut connection: Connection) {
    while let Ok(answer) = connection.post(&json!({ "query": "{ total }" }), None) {
        assert_eq!(answer["data"]["total"], json!(Ledger::total()), "{answer}");
    }
}

fn doctor(data: &Path) -> usize {
    let ended = run(&["doctor", "--data", data.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    let sequence = ended.stdout.split_once("commit ").and_then(|(_, rest)| rest.split_once(','));
    sequence.unwrap_or_else(|| panic!("{}", ended.stdout)).0.parse().unwrap()
}

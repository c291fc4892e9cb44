//! Clients that draw transactions at random and run them, again where they conflict.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, JoinSet};
use weir_checker::{Outcome, Transaction as Recorded};
use weir_store::{Direction, Store};

use super::session::{Closed, Recorder, Session, Step};

/// Clients that run at the same time; every fourth only reads.
const CLIENTS: u32 = 12;
/// Transactions of each, once the store is open again.
const TRANSACTIONS: usize = 60;
/// Attempts at one transaction. Far more than it takes; a test has an end.
const ATTEMPTS_MAX: usize = 10_000;
/// Few, so that clients meet.
const LISTS: [&str; 3] = ["a", "b", "c"];
const REGISTERS: [&str; 5] = ["v", "w", "x", "y", "z"];
const PLACES: i64 = 24;

/// All clients, and what they have seen.
pub struct Clients {
    recorder: Arc<Recorder>,
    seed: u64,
}

/// Whether a client goes on.
#[derive(Debug, Clone, Copy)]
enum Until {
    Done,
    Closed,
}

impl Clients {
    pub fn new(seed: u64) -> Self {
        Self { recorder: Arc::default(), seed }
    }

    /// Runs all clients to the end of their transactions.
    pub async fn run(&self, store: &Store) {
        self.start(store, 1, Until::Done).join_all().await;
    }

    /// Closes the store under its clients after so many attempts.
    pub async fn run_until_closed(&self, store: &Store, attempts: usize) {
        let clients = self.start(store, 2, Until::Closed);
        while self.recorder.attempts() < attempts {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        store.close().await;
        clients.join_all().await;
    }

    /// Reads everything in one transaction.
    pub fn read_all(&self, store: &Store) {
        let mut session = Session::begin(store, &self.recorder, CLIENTS).unwrap();
        let lists = LISTS.map(Step::List);
        let registers = REGISTERS.map(Step::Read);
        for step in lists.iter().chain(&registers).chain(&[Step::Range { from: 0, to: PLACES }]) {
            session.take(step).unwrap();
        }
        session.end();
    }

    pub fn into_history(self) -> Vec<Recorded> {
        Arc::into_inner(self.recorder).unwrap().into_history()
    }

    fn start(&self, store: &Store, phase: u64, until: Until) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let random = Random(self.seed << 32 | phase << 16 | u64::from(client));
            clients.spawn(run(store.clone(), self.recorder.clone(), client, random, until));
        }
        clients
    }
}

async fn run(store: Store, recorder: Arc<Recorder>, client: u32, mut random: Random, until: Until) {
    let mut transactions = 0;
    while matches!(until, Until::Closed) || transactions < TRANSACTIONS {
        transactions += 1;
        let steps = if only_reads(client) { random.reads() } else { random.steps() };
        for attempt in 0.. {
            assert!(attempt < ATTEMPTS_MAX, "{steps:?} does not get through");
            match attempt_at(&store, &recorder, client, &steps, &mut random).await {
                Ok(Outcome::Aborted) => {}
                Ok(Outcome::Committed | Outcome::Unknown) => break,
                Err(Closed) if matches!(until, Until::Closed) => return,
                Err(Closed) => panic!("the store stopped: {:?}", store.is_ready()),
            }
        }
    }
}

fn only_reads(client: u32) -> bool {
    client.is_multiple_of(4)
}

async fn attempt_at(
    store: &Store,
    recorder: &Recorder,
    client: u32,
    steps: &[Step],
    random: &mut Random,
) -> Result<Outcome, Closed> {
    let mut session = Session::begin(store, recorder, client)?;
    for step in steps {
        if let Err(closed) = session.take(step) {
            session.end();
            return Err(closed);
        }
        // Others get a chance to come between.
        for _ in 0..random.below(4) {
            task::yield_now().await;
        }
    }
    if only_reads(client) {
        session.end();
        return Ok(Outcome::Committed);
    }
    Ok(session.commit(store).await)
}

/// SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn place(&mut self) -> i64 {
        self.below(PLACES as u64) as i64
    }

    /// A range of one place, a few or many.
    fn range(&mut self) -> (i64, i64) {
        let from = self.place();
        let length = self.choose(&[1, 3, 12]);
        (from, (from + length).min(PLACES))
    }

    fn steps(&mut self) -> Vec<Step> {
        (0..=self.below(4)).map(|_| self.step()).collect()
    }

    fn reads(&mut self) -> Vec<Step> {
        (0..=self.below(4)).map(|_| self.read()).collect()
    }

    fn step(&mut self) -> Step {
        let (from, to) = self.range();
        match self.below(12) {
            0 | 1 => Step::Append(self.choose(&LISTS)),
            2..=4 => Step::Write(self.choose(&REGISTERS)),
            5 => Step::Insert { at: self.place() },
            6 | 7 => Step::InsertIfNone { from, to },
            8 => Step::Move { from, to, at: self.place() },
            9 => Step::Delete { from, to },
            _ => self.read(),
        }
    }

    fn read(&mut self) -> Step {
        let (from, to) = self.range();
        match self.below(6) {
            0 => Step::List(self.choose(&LISTS)),
            1 | 2 => Step::Read(self.choose(&REGISTERS)),
            3 => {
                let direction = self.choose(&[Direction::Asc, Direction::Desc]);
                Step::Some { from, to, limit: 1 + self.below(3) as usize, direction }
            }
            _ => Step::Range { from, to },
        }
    }
}

//! Clients that draw transactions at random and run them, again where they conflict.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::{self, JoinSet};
use weir_checker::{Outcome, Transaction as Recorded};
use weir_store::{Direction, Options, Run, Store, Transacted};

use super::session::{Attempt, Closed, Recorder, Session, Step, failed};

/// Clients that run at the same time, in four manners.
const CLIENTS: u32 = 12;
/// Transactions of each, once the store is open again.
const TRANSACTIONS: usize = 60;
/// Attempts at one transaction. Far more than it takes; a test has an end.
const ATTEMPTS_MAX: usize = 10_000;
/// How long a turn may last.
const TURN_MAX: Duration = Duration::from_secs(10);
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

    /// How many transactions ran in turn.
    pub fn turns(&self) -> u64 {
        self.recorder.turns()
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

/// How a client makes its transactions.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Only reads, and never commits.
    Reading,
    /// Begins, commits, and begins again after a conflict.
    Optimistic,
    /// Leaves that to the store, which gives it turns.
    InTurn,
    /// The same on what is admitted, which may not be durable yet.
    Ahead,
}

/// A transaction as it was drawn: after each step it steps aside so often.
type Drawn = [(Step, u64)];

impl Manner {
    fn of(client: u32) -> Self {
        match client % 4 {
            0 => Self::Reading,
            1 => Self::InTurn,
            2 => Self::Ahead,
            _ => Self::Optimistic,
        }
    }
}

async fn run(store: Store, recorder: Arc<Recorder>, client: u32, mut random: Random, until: Until) {
    let manner = Manner::of(client);
    let mut transactions = 0;
    while matches!(until, Until::Closed) || transactions < TRANSACTIONS {
        transactions += 1;
        let drawn = random.transaction(manner);
        for attempt in 0.. {
            assert!(attempt < ATTEMPTS_MAX, "{drawn:?} does not get through");
            let outcome = match manner {
                Manner::Reading | Manner::Optimistic => attempt_at(&store, &recorder, client, &drawn).await,
                Manner::InTurn | Manner::Ahead => transact(&store, &recorder, client, &drawn).await,
            };
            match outcome {
                // What stood in the way may be a turn, which ends sooner if nobody insists.
                Ok(Outcome::Aborted) => tokio::time::sleep(Duration::from_millis(1)).await,
                Ok(Outcome::Committed | Outcome::Unknown) => break,
                Err(Closed) if matches!(until, Until::Closed) => return,
                Err(Closed) => panic!("the store stopped: {:?}", store.is_ready()),
            }
        }
    }
}

async fn perform(session: &mut Session<'_>, drawn: &Drawn) -> Result<(), Closed> {
    for (step, pauses) in drawn {
        session.take(step)?;
        // Others get a chance to come between.
        for _ in 0..*pauses {
            task::yield_now().await;
        }
    }
    Ok(())
}

async fn attempt_at(store: &Store, recorder: &Recorder, client: u32, drawn: &Drawn) -> Result<Outcome, Closed> {
    let mut session = Session::begin(store, recorder, client)?;
    if let Err(closed) = perform(&mut session, drawn).await {
        session.end();
        return Err(closed);
    }
    match Manner::of(client) {
        Manner::Reading => {
            session.end();
            Ok(Outcome::Committed)
        }
        Manner::Optimistic | Manner::InTurn | Manner::Ahead => Ok(session.commit(store).await),
    }
}

/// What is known between the runs of one transaction.
struct Runs {
    count: u32,
    /// No later than the next run begins.
    start: u64,
    /// The last run, which has no outcome yet.
    last: Option<Attempt>,
}

async fn transact(store: &Store, recorder: &Recorder, client: u32, drawn: &Drawn) -> Result<Outcome, Closed> {
    let runs = &Mutex::new(Runs { count: 0, start: recorder.now(), last: None });
    let run = |transaction| async move {
        let start = {
            let mut runs = runs.lock();
            runs.count += 1;
            if runs.count > Options::default().attempts_optimistic {
                recorder.note_turn();
            }
            // It runs again because it was refused.
            if let Some(refused) = runs.last.take() {
                recorder.note(refused, Outcome::Aborted);
            }
            runs.start
        };
        let mut session = Session::on(transaction, recorder, client, start);
        let performed = perform(&mut session, drawn).await;
        let (transaction, attempt) = session.into_parts();
        let mut runs = runs.lock();
        (runs.start, runs.last) = (recorder.now(), Some(attempt));
        match performed {
            Ok(()) => Run::Commit(transaction, Ok(())),
            Err(closed) => Run::Abort(Err(closed)),
        }
    };
    let transacted = match Manner::of(client) {
        Manner::Ahead => match store.transact_ahead(TURN_MAX, run).await {
            Ok(ahead) => ahead.settled().await,
            Err(error) => Err(error),
        },
        _ => store.transact(TURN_MAX, run).await,
    };
    let (outcome, end) = match transacted {
        Ok(Transacted { value: Ok(()), .. }) => (Outcome::Committed, Ok(Outcome::Committed)),
        Ok(Transacted { value: Err(closed), .. }) => (Outcome::Aborted, Err(closed)),
        Err(error) => match failed(error) {
            Outcome::Unknown => (Outcome::Unknown, Ok(Outcome::Unknown)),
            outcome => (outcome, Err(Closed)),
        },
    };
    if let Some(last) = runs.lock().last.take() {
        recorder.note(last, outcome);
    }
    end
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

    fn transaction(&mut self, manner: Manner) -> Vec<(Step, u64)> {
        let steps = 1 + self.below(5);
        let step = |random: &mut Self| match manner {
            Manner::Reading => random.read(),
            Manner::Optimistic | Manner::InTurn | Manner::Ahead => random.step(),
        };
        (0..steps).map(|_| (step(self), self.below(4))).collect()
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

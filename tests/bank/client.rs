//! A client: asks, repeats, goes away in the middle, and remembers what it was told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::orders::{Fate, Request, Shape, comparable};
use crate::kills::connection::Connection;
use crate::kills::random::Random;
use crate::weir::eventually;

/// One in so many requests is cut off by its client.
const CUT_ONE_IN: u64 = 10;
/// One in so many answers is asked for again at once, and as many times an older one.
const AGAIN_ONE_IN: u64 = 8;
/// Before a request is repeated that the server had no room for.
const LATER: Duration = Duration::from_millis(20);

/// What all clients share.
pub struct Bank<'a> {
    pub url: &'a str,
    pub accounts: &'a [String],
    /// Before the server is killed or the time is over.
    pub is_over: &'a AtomicBool,
}

/// How often what happened.
#[derive(Debug, Default)]
pub struct Tally {
    made: usize,
    refused: usize,
    made_together: usize,
    refused_together: usize,
    made_in_rows: usize,
    attempts_taken_back_beside_others: usize,
    cut: usize,
    lost_with_the_server: usize,
    repeated: usize,
}

/// One client.
pub struct Client {
    number: u64,
    random: Random,
    asked: u64,
    /// Requests with their first answers and what they said.
    told: Vec<(Request, Value, Vec<Fate>)>,
    /// Requests that may have been done.
    open: Vec<Request>,
    pub tally: Tally,
}

impl Client {
    pub fn new(seed: u64, number: u64) -> Self {
        let random = Random::of(seed, &[number]);
        Self { number, random, asked: 0, told: Vec::new(), open: Vec::new(), tally: Tally::default() }
    }

    /// Asks until it is over, or the server has gone.
    pub fn run(&mut self, bank: &Bank<'_>) {
        let mut connection = None;
        while !bank.is_over.load(Ordering::SeqCst) {
            let request = self.next();
            let open = connection.take().map_or_else(|| Connection::open(bank.url), Ok);
            let Ok(mut open) = open else { return self.has_lost(bank, request) };
            if self.random.below(CUT_ONE_IN) == 0 {
                self.tally.cut += 1;
                // Also past the end: it has all been sent, and nobody waits for the answer.
                let part = self.random.below(1_400) as usize;
                open.cut(&request.to_graphql(bank.accounts), Some(&request.key), part);
                self.open.push(request);
                continue;
            }
            let Ok(answer) = ask(&mut open, bank, &request) else { return self.has_lost(bank, request) };
            if !self.learn(request, answer) {
                thread::sleep(LATER);
            } else if self.random.below(AGAIN_ONE_IN) == 0 {
                // The last one, or any.
                let back = if self.random.below(2) == 0 { 0 } else { self.random.below(self.told.len() as u64) };
                let (request, first, _) = &self.told[self.told.len() - 1 - back as usize];
                let Ok(again) = ask(&mut open, bank, request) else { return self.must_be_over(bank) };
                let is_told = request.fates(&again).is_some();
                assert!(!is_told || *first == again, "another answer than the first: {first} {again}");
                self.tally.repeated += usize::from(is_told);
            }
            connection = Some(open);
        }
    }

    /// Asks again for all that may have been done.
    pub fn settle_all(&mut self, bank: &Bank<'_>) {
        let mut connection = Connection::open(bank.url).unwrap();
        while let Some(request) = self.open.pop() {
            eventually("an answer", || {
                let answer = ask(&mut connection, bank, &request).unwrap();
                request.fates(&answer).is_some().then_some(answer)
            });
            let answer = ask(&mut connection, bank, &request).unwrap();
            assert!(self.learn(request, answer), "an answer that was there is not");
        }
    }

    /// What all orders came to, by their keys.
    pub fn into_fates(self) -> impl Iterator<Item = (String, Fate)> {
        let all = self.told.into_iter().flat_map(|(request, _, fates)| request.orders.into_iter().zip(fates));
        all.map(|(order, fate)| (order.key, fate))
    }

    fn next(&mut self) -> Request {
        if !self.open.is_empty() && self.random.below(3) == 0 {
            let place = self.random.below(self.open.len() as u64) as usize;
            return self.open.swap_remove(place);
        }
        self.asked += 1;
        Request::draw(&mut self.random, format!("{}-{}", self.number, self.asked))
    }

    fn has_lost(&mut self, bank: &Bank<'_>, request: Request) {
        self.must_be_over(bank);
        self.tally.lost_with_the_server += 1;
        self.open.push(request);
    }

    fn must_be_over(&self, bank: &Bank<'_>) {
        assert!(bank.is_over.load(Ordering::SeqCst), "the server does not answer");
    }

    /// Takes a first answer; false where it is none.
    fn learn(&mut self, request: Request, answer: Value) -> bool {
        let Some(fates) = request.fates(&answer) else {
            self.open.push(request);
            return false;
        };
        let made = fates.iter().filter(|fate| **fate != Fate::Refused).count();
        match request.shape {
            Shape::Single => self.tally.made += made,
            Shape::Together => self.tally.made_together += made,
            Shape::Row => self.tally.made_in_rows += made,
            Shape::Attempts if made > 0 => self.tally.attempts_taken_back_beside_others += fates.len() - made,
            Shape::Attempts => {}
        }
        match request.shape {
            Shape::Single => self.tally.refused += fates.len() - made,
            Shape::Together => self.tally.refused_together += fates.len() - made,
            Shape::Row | Shape::Attempts => {}
        }
        self.told.push((request, answer, fates));
        true
    }
}

fn ask(connection: &mut Connection, bank: &Bank<'_>, request: &Request) -> std::io::Result<Value> {
    connection.post(&request.to_graphql(bank.accounts), Some(&request.key)).map(comparable)
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.refused += other.refused;
        self.made_together += other.made_together;
        self.refused_together += other.refused_together;
        self.made_in_rows += other.made_in_rows;
        self.attempts_taken_back_beside_others += other.attempts_taken_back_beside_others;
        self.cut += other.cut;
        self.lost_with_the_server += other.lost_with_the_server;
        self.repeated += other.repeated;
    }

    /// Each count with its name.
    pub fn all(&self) -> [(&'static str, usize); 9] {
        [
            ("made", self.made),
            ("refused", self.refused),
            ("made together", self.made_together),
            ("refused together", self.refused_together),
            ("made in rows", self.made_in_rows),
            ("attempts taken back beside others", self.attempts_taken_back_beside_others),
            ("cut", self.cut),
            ("lost with the server", self.lost_with_the_server),
            ("repeated", self.repeated),
        ]
    }
}

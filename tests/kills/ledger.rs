//! What the clients of one data folder know: what they asked for and what they were answered. Everything that the
//! server says after a kill is held against it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::connection::Connection;
use super::random::Random;
use crate::graphql::strip;

/// So few that transfers are in each other's way.
pub const ACCOUNTS: usize = 20;
/// So little that some transfers are refused.
const BALANCE_AT_FIRST: i64 = 100;
/// The largest amount that is asked for.
const AMOUNT_MAX: u64 = 60;
/// Earlier answers that are asked for again after each kill.
const ASKED_AGAIN: usize = 6;
/// So many answers count as those just before the kill.
const ANSWERED_LAST: usize = 20;

/// A transfer as a client asks for it. Accounts are places in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its name, and the idempotency key of its request.
    pub key: String,
    round: u64,
    source: usize,
    target: usize,
    amount: i64,
}

impl Order {
    /// Draws one.
    pub fn draw(random: &mut Random, round: u64, key: String) -> Self {
        let source = random.below(ACCOUNTS as u64) as usize;
        let target = (source + 1 + random.below(ACCOUNTS as u64 - 1) as usize) % ACCOUNTS;
        let amount = 1 + random.below(AMOUNT_MAX) as i64;
        Self { key, round, source, target, amount }
    }

    /// The request for it.
    pub fn request(&self, accounts: &[String]) -> Value {
        let order = json!({
            "key": self.key, "round": self.round, "amount": self.amount,
            "source": accounts[self.source], "target": accounts[self.target],
        });
        let query = "mutation ($order: OrderInput!) {
            transfer(order: $order) { left transfer { id key round source target amount at } }
        }";
        json!({ "query": query, "variables": { "order": order } })
    }
}

/// What an order came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was asked.
    pub order: Order,
    /// The answer, without the stack of an error: a kept one has none.
    answer: Value,
}

impl Outcome {
    /// Takes an answer. Panics if it is neither a transfer nor a refusal for want of money.
    pub fn of(order: Order, mut answer: Value) -> Self {
        if let Some(errors) = answer.get_mut("errors") {
            strip(errors);
            assert_eq!(errors[0]["extensions"]["appCode"], "POOR", "{order:?}: {errors}");
        }
        Self { order, answer }
    }

    /// The transfer that was made, if it was.
    fn transfer(&self) -> Option<&Value> {
        self.answer.pointer("/data/transfer/transfer")
    }

    fn commit(&self) -> Option<&str> {
        self.answer.pointer("/extensions/weir/commit")?.as_str()
    }
}

/// How often what happened.
#[derive(Debug, Default)]
pub struct Tally {
    /// Transfers that were made and answered before a kill.
    pub acknowledged: usize,
    /// Refusals that were answered before a kill.
    pub refused: usize,
    /// Orders without an answer whose transfer was there after the kill.
    pub unseen: usize,
    /// Orders without an answer whose transfer was not there after the kill.
    pub lost: usize,
    /// Answers from before a kill that were asked for again after it.
    pub repeated: usize,
}

impl Tally {
    /// Adds another folder's.
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unseen += other.unseen;
        self.lost += other.lost;
        self.repeated += other.repeated;
    }
}

/// What is known of one data folder.
#[derive(Default)]
pub struct Ledger {
    /// The ids of the accounts, in the order of their owners.
    pub accounts: Vec<String>,
    /// Transfers that are there: their orders and their ids, by key.
    made: BTreeMap<String, (Order, String)>,
    /// First answers, in the order in which they became known.
    answered: Vec<Outcome>,
    /// Orders whose answer a kill cut off, by key.
    unanswered: HashMap<String, Order>,
    /// Commits of transfers.
    commits: HashSet<String>,
    /// How often what happened.
    pub tally: Tally,
}

impl Ledger {
    /// Opens the accounts.
    pub fn open_accounts(&mut self, connection: &mut Connection) {
        let owners: Vec<String> = (0..ACCOUNTS).map(|place| format!("owner {place:02}")).collect();
        let query =
            "mutation ($owners: [String!]!, $balance: Int!) { open(owners: $owners, balance: $balance) { id } }";
        let variables = json!({ "owners": owners, "balance": BALANCE_AT_FIRST });
        let opened = connection.post(&json!({ "query": query, "variables": variables }), Some("open")).unwrap();
        let opened = opened["data"]["open"].as_array().unwrap_or_else(|| panic!("{opened}"));
        self.accounts = opened.iter().map(|account| text(&account["id"])).collect();
    }

    /// Takes what a client was answered before the kill, and what it was not.
    pub fn take(&mut self, outcomes: Vec<Outcome>, unanswered: Option<Order>) {
        for outcome in outcomes {
            match outcome.transfer() {
                Some(_) => self.tally.acknowledged += 1,
                None => self.tally.refused += 1,
            }
            self.learn(outcome);
        }
        self.unanswered.extend(unanswered.map(|order| (order.key.clone(), order)));
    }

    /// How many commits there are at least.
    pub fn commits(&self) -> usize {
        self.answered.len()
    }

    /// All money there is.
    pub fn total() -> i64 {
        BALANCE_AT_FIRST * ACCOUNTS as i64
    }

    /// Takes a first answer.
    fn learn(&mut self, outcome: Outcome) {
        let order = &outcome.order;
        if let Some(transfer) = outcome.transfer() {
            let id = text(&transfer["id"]);
            self.compare(order, transfer);
            let known = self.made.insert(order.key.clone(), (order.clone(), id.clone()));
            assert!(known.is_none_or(|(_, known)| known == id), "made twice: {order:?}");
            let commit = outcome.commit().unwrap_or_else(|| panic!("{order:?}: no commit"));
            assert!(self.commits.insert(commit.to_owned()), "two transfers in commit {commit}: {order:?}");
        } else {
            assert!(!self.made.contains_key(&order.key), "made and refused: {order:?}");
        }
        self.answered.push(outcome);
    }

    /// Looks at the books after a start: what was acknowledged is there, and nothing that nobody asked for. Of what was
    /// not answered it learns what is there. `since` is the first round that is looked at transfer by transfer.
    pub fn check(&mut self, connection: &mut Connection, since: u64) {
        let query = "query ($since: Int!) { books(since: $since) {
            accounts { id owner balance moves } byOwner { id owner balance moves } byBalance { id owner balance moves }
            recent { id key round source target amount at } transfers indexed
        } }";
        let answer = connection.post(&json!({ "query": query, "variables": { "since": since } }), None).unwrap();
        let books = answer.pointer("/data/books").unwrap_or_else(|| panic!("{answer}"));

        let recent: BTreeMap<String, &Value> = list(&books["recent"]).iter().map(|t| (text(&t["key"]), t)).collect();
        assert_eq!(recent.len(), list(&books["recent"]).len(), "two transfers have one key");
        for (key, &transfer) in &recent {
            if let Some((order, id)) = self.made.get(key) {
                self.compare(order, transfer);
                assert_eq!(*id, text(&transfer["id"]), "{order:?} was made again");
            } else {
                let order = self.unanswered.get(key).unwrap_or_else(|| panic!("nobody asked for {transfer}"));
                self.compare(order, transfer);
                self.made.insert(key.clone(), (order.clone(), text(&transfer["id"])));
                self.tally.unseen += 1;
            }
        }
        for (order, _) in self.made.values().filter(|(order, _)| order.round >= since) {
            assert!(recent.contains_key(&order.key), "{order:?} was acknowledged and is gone");
        }
        let count = json!(self.made.len());
        assert_eq!(books["transfers"], count, "transfers that are known, and those that are there");
        assert_eq!(books["indexed"], json!([count, count, count, count]), "transfers by index");
        self.check_accounts(books);
    }

    /// Each balance follows from the transfers that are there, so that of none there is only a part.
    fn check_accounts(&self, books: &Value) {
        let mut expected = vec![(BALANCE_AT_FIRST, 0); ACCOUNTS];
        for (Order { source, target, amount, .. }, _) in self.made.values() {
            expected[*source].0 -= amount;
            expected[*target].0 += amount;
            expected[*source].1 += 1;
            expected[*target].1 += 1;
        }
        let accounts = self.accounts.iter().zip(&expected).enumerate().map(|(place, (id, (balance, moves)))| {
            json!({ "id": id, "owner": format!("owner {place:02}"), "balance": balance, "moves": moves })
        });
        let accounts: Vec<Value> = accounts.collect();
        assert_eq!(list(&books["byOwner"]), &accounts, "accounts by owner");
        let by = |by: fn(&Value) -> (i64, String)| {
            let mut sorted = accounts.clone();
            sorted.sort_by_key(by);
            sorted
        };
        let by_id = by(|account| (0, text(&account["id"])));
        assert_eq!(list(&books["accounts"]), &by_id, "accounts");
        let by_balance = by(|account| (account["balance"].as_i64().unwrap(), text(&account["id"])));
        assert_eq!(list(&books["byBalance"]), &by_balance, "accounts by balance");
    }

    /// Sends again what was not answered, and some of what was.
    pub fn ask_again(&mut self, connection: &mut Connection, random: &mut Random) {
        for _ in 0..ASKED_AGAIN.min(self.answered.len()) {
            // Every other time one of the last that were answered before the kill.
            let count = self.answered.len();
            let among = if random.below(2) == 0 { count } else { count.min(ANSWERED_LAST) };
            let first = &self.answered[count - 1 - random.below(among as u64) as usize];
            assert_eq!(&self.send(connection, &first.order), first, "another answer than the first");
            self.tally.repeated += 1;
        }
        for (key, order) in std::mem::take(&mut self.unanswered) {
            let outcome = self.send(connection, &order);
            if self.made.contains_key(&key) {
                assert!(outcome.transfer().is_some(), "made and refused: {order:?}");
            } else {
                self.tally.lost += 1;
            }
            self.learn(outcome);
        }
    }

    /// Looks at every transfer, in all ways in which they can be listed.
    pub fn check_all(&mut self, connection: &mut Connection) {
        self.check(connection, 0);
        let mut after = Value::Null;
        let mut listed = Vec::new();
        loop {
            let query = "query ($after: String) { allTransfers(after: $after) {
                edges { node { id key round source target amount at } } pageInfo { hasNextPage endCursor }
            } }";
            let mut answer =
                connection.post(&json!({ "query": query, "variables": { "after": after } }), None).unwrap();
            let mut page = answer["data"]["allTransfers"].take();
            listed.extend(page["edges"].as_array_mut().unwrap().iter_mut().map(|edge| edge["node"].take()));
            if page["pageInfo"]["hasNextPage"] != true {
                break;
            }
            after = page["pageInfo"]["endCursor"].take();
        }
        assert_eq!(listed.len(), self.made.len());
        for (transfer, (order, id)) in listed.iter().zip(self.made.values()) {
            self.compare(order, transfer);
            assert_eq!(*id, text(&transfer["id"]));
        }
        for account in &self.accounts {
            let query = "query ($account: ID!) { movesOf(account: $account) {
                out { id key round source target amount at } in { id key round source target amount at }
            } }";
            let answer =
                connection.post(&json!({ "query": query, "variables": { "account": account } }), None).unwrap();
            for (side, member) in [("out", "source"), ("in", "target")] {
                let mut expected: Vec<&Value> = listed.iter().filter(|t| t[member] == **account).collect();
                expected.sort_by_key(|transfer| (text(&transfer["at"]), text(&transfer["id"])));
                let found: Vec<&Value> = list(&answer["data"]["movesOf"][side]).iter().collect();
                assert_eq!(found, expected, "{account}: {side}");
            }
        }
    }

    fn send(&self, connection: &mut Connection, order: &Order) -> Outcome {
        let answer = connection.post(&order.request(&self.accounts), Some(&order.key)).unwrap();
        Outcome::of(order.clone(), answer)
    }

    /// Compares a transfer with its order.
    fn compare(&self, order: &Order, transfer: &Value) {
        let Order { key, round, source, target, amount } = order;
        let expected = json!([key, round, self.accounts[*source], self.accounts[*target], amount]);
        let found = ["key", "round", "source", "target", "amount"].map(|member| &transfer[member]);
        assert_eq!(json!(found), expected, "{transfer}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

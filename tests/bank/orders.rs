//! What clients ask of the bank, in four shapes, and what it may come to.

use serde_json::{Value, json};

use super::ACCOUNTS;
use crate::graphql::strip;
use crate::kills::random::Random;

/// The largest amount that is asked for.
const AMOUNT_MAX: u64 = 60;
/// So many accounts take part in one of four orders, so that they are in each other's way.
const BUSY: u64 = 10;
/// The most orders in one request.
const ORDERS_MAX: u64 = 6;

/// A transfer as it is asked for. Accounts are places in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub key: String,
    pub source: usize,
    pub target: usize,
    pub amount: i64,
}

/// How orders are put into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `transfer`: one order.
    Single,
    /// `batch`: all or none.
    Together,
    /// `batch(atomic: false)`: each for itself.
    Row,
    /// `transferSome`: one transaction with a savepoint for each.
    Attempts,
}

/// A request, which keeps its key however often it is sent.
#[derive(Debug, Clone)]
pub struct Request {
    pub key: String,
    pub shape: Shape,
    pub orders: Vec<Order>,
}

/// What an order came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    Made { order: Order, id: String, commit: Option<String> },
    Refused,
}

impl Request {
    /// Draws one.
    pub fn draw(random: &mut Random, key: String) -> Self {
        let shape = match random.below(20) {
            0..10 => Shape::Single,
            10..13 => Shape::Together,
            13..16 => Shape::Row,
            _ => Shape::Attempts,
        };
        let count = if shape == Shape::Single { 1 } else { 2 + random.below(ORDERS_MAX - 1) };
        let orders = (0..count).map(|number| Order::draw(random, format!("{key}/{number}"))).collect();
        Self { key, shape, orders }
    }

    /// The request in GraphQL.
    pub fn to_graphql(&self, accounts: &[String]) -> Value {
        let orders: Vec<Value> = self.orders.iter().map(|order| order.to_json(accounts)).collect();
        let calls: Vec<Value> =
            orders.iter().map(|order| json!({ "function": "transfer", "args": { "order": order } })).collect();
        let receipt = "left transfer { id key round source target amount at }";
        let batch = |atomic| {
            format!(
                "mutation ($calls: [CallInput!]!) {{
                    batch(calls: $calls, atomic: {atomic}) {{ value error {{ code message appCode }} }} }}"
            )
        };
        let (query, variables) = match self.shape {
            Shape::Single => (
                format!("mutation ($order: OrderInput!) {{ transfer(order: $order) {{ {receipt} }} }}"),
                json!({ "order": orders[0] }),
            ),
            Shape::Together => (batch(true), json!({ "calls": calls })),
            Shape::Row => (batch(false), json!({ "calls": calls })),
            Shape::Attempts => (
                format!(
                    "mutation ($orders: [OrderInput!]!) {{
                        transferSome(orders: $orders) {{ key code receipt {{ {receipt} }} }} }}"
                ),
                json!({ "orders": orders }),
            ),
        };
        json!({ "query": query, "variables": variables })
    }

    /// What an answer says of each order; `None` where it says that it may be asked again. Panics over anything that
    /// no such request may be told.
    pub fn fates(&self, answer: &Value) -> Option<Vec<Fate>> {
        if is_unavailable(answer.pointer("/errors/0/extensions/code")) {
            return None;
        }
        let commit = answer.pointer("/extensions/weir/commit").and_then(Value::as_str).map(str::to_owned);
        match self.shape {
            Shape::Single => {
                let refusal = answer.pointer("/errors/0/extensions/appCode");
                let receipt = &answer["data"]["transfer"];
                Some(vec![self.fate(&self.orders[0], receipt, refusal, commit, answer)])
            }
            Shape::Together | Shape::Row => {
                let results = answer["data"]["batch"].as_array().unwrap_or_else(|| panic!("{self:?}: {answer}"));
                if results.iter().any(|result| is_unavailable(result.pointer("/error/code"))) {
                    return None;
                }
                let is_refused = results.iter().any(|result| result["error"]["appCode"] == "POOR");
                let fate = |(order, result): (&Order, &Value)| match self.shape {
                    // One to blame, and nothing of the others.
                    Shape::Together if is_refused => {
                        let code = &result["error"];
                        let is_known = code["code"] == "ROLLED_BACK" || code["appCode"] == "POOR";
                        assert!(is_known && result["value"].is_null(), "{self:?}: {answer}");
                        Fate::Refused
                    }
                    Shape::Together => self.fate(order, &result["value"], None, commit.clone(), answer),
                    _ => self.fate(order, &result["value"], result.pointer("/error/appCode"), None, answer),
                };
                assert_eq!(results.len(), self.orders.len());
                Some(self.orders.iter().zip(results).map(fate).collect())
            }
            Shape::Attempts => {
                let settled = answer["data"]["transferSome"].as_array().unwrap_or_else(|| panic!("{self:?}: {answer}"));
                let fate = |(order, settled): (&Order, &Value)| {
                    assert_eq!(settled["key"], *order.key);
                    self.fate(order, &settled["receipt"], settled.get("code"), commit.clone(), answer)
                };
                assert_eq!(settled.len(), self.orders.len());
                Some(self.orders.iter().zip(settled).map(fate).collect())
            }
        }
    }

    fn fate(
        &self,
        order: &Order,
        receipt: &Value,
        refusal: Option<&Value>,
        commit: Option<String>,
        all: &Value,
    ) -> Fate {
        if receipt.is_null() {
            assert_eq!(refusal, Some(&json!("POOR")), "{self:?}: {all}");
            return Fate::Refused;
        }
        let transfer = &receipt["transfer"];
        assert_eq!((&transfer["key"], &transfer["amount"]), (&json!(order.key), &json!(order.amount)), "{all}");
        assert!(receipt["left"].as_i64().is_some_and(|left| left >= 0), "{all}");
        Fate::Made { order: order.clone(), id: transfer["id"].as_str().unwrap().to_owned(), commit }
    }
}

fn is_unavailable(code: Option<&Value>) -> bool {
    code.is_some_and(|code| code == "UNAVAILABLE")
}

/// An answer as every repeat has it: a kept error has no stack.
pub fn comparable(mut answer: Value) -> Value {
    if let Some(errors) = answer.get_mut("errors") {
        strip(errors);
    }
    answer
}

impl Order {
    fn draw(random: &mut Random, key: String) -> Self {
        let among = if random.below(4) == 0 { BUSY } else { ACCOUNTS as u64 };
        let source = random.below(among) as usize;
        let target = (source + 1 + random.below(among - 1) as usize) % ACCOUNTS;
        Self { key, source, target, amount: 1 + random.below(AMOUNT_MAX) as i64 }
    }

    fn to_json(&self, accounts: &[String]) -> Value {
        json!({
            "key": self.key, "round": 0, "amount": self.amount,
            "source": accounts[self.source], "target": accounts[self.target],
        })
    }
}

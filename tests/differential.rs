//! GraphQL as the reference implementation has it: random apps and random requests, asked of Weir and of the npm package
//! `graphql`, whose whole answers are compared.
//!
//! Weir answers through `server/examples/graphql.rs`, which has no engine: what functions return is drawn too, and often wrong,
//! so that nulls propagate. The reference answers through `tests/clients/reference.mjs`, from Weir's own SDL. What both are held
//! to is the same kind of answer (not parsed, not valid, refused, executed), the same `data` with its members in the same
//! order, the same paths and places of errors, and the same calls of functions with the same arguments in the same order.
//! Messages are Weir's own. Where Weir differs on purpose `reference.mjs` says so ("On purpose"), and does the same.
//!
//! [`whole`] asks the real server, with functions that run.
//!
//! Each run asks the same, so that a change fails for what it changes; `WEIR_TESTS_SEED=random` asks what nobody has asked.
//! A failure tells its seed, which `WEIR_TESTS_SEED` repeats, with all that was asked: the document as small as it could be
//! made with the answers still apart.

mod app;
mod document;
mod introspection;
mod literals;
mod mistakes;
mod random;
mod sides;
mod table;
mod whole;

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use self::app::App;
use self::document::Case;
use self::random::Random;
use self::sides::{Sides, difference};
use crate::node;
use crate::weir::say;

/// What is drawn where no seed is asked for.
const SEED: u64 = 7;
/// Random apps.
const APPS: u64 = 12;
/// Requests to each.
const REQUESTS: u64 = 60;
/// Differences that are told of one run.
const TOLD_MAX: usize = 5;
/// Attempts to make a document smaller.
const SHRINKINGS_MAX: usize = 400;

/// The seed of all runs, another that is asked for, or one that no other run has.
fn seed() -> u64 {
    let drawn = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    match env::var("WEIR_TESTS_SEED").as_deref() {
        Err(_) => SEED,
        Ok("random") => drawn(),
        Ok(seed) => seed.parse().unwrap(),
    }
}

#[test]
fn random_requests_are_answered_as_by_the_reference() {
    let Some(packages) = node::packages("random_requests_are_answered_as_by_the_reference") else { return };
    let seed = seed();
    let mut sides = Sides::start(packages);
    let mut told = Vec::new();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for number in 0..APPS {
        let app = App::draw(&mut Random::of(seed, &[number]));
        let text = app.typescript(|_| "return null as never;".into());
        let enums = sides.make(&text, &app.literals(), app::DISCRIMINATOR);
        for request in 0..REQUESTS {
            let case = document::draw(&app, &enums, &mut Random::of(seed, &[number, request]));
            let (weir, reference) = sides.ask(&case.asked());
            *kinds.entry(reference["kind"].as_str().unwrap().to_owned()).or_default() += 1;
            if difference(&weir, &reference).is_some() {
                told.push(tell(&mut sides, &text, case));
            }
            if told.len() == TOLD_MAX {
                break;
            }
        }
    }
    say(&format!("differential: WEIR_TESTS_SEED={seed}, {kinds:?}"));
    assert!(told.is_empty(), "WEIR_TESTS_SEED={seed}\n\n{}", told.join("\n\n"));
}

/// Makes a case smaller and says how its answers differ.
fn tell(sides: &mut Sides, app: &str, mut case: Case) -> String {
    let mut left = SHRINKINGS_MAX;
    let mut size = case.tokens.len() / 2;
    while size > 0 && left > 0 {
        let mut place = 0;
        while place + size <= case.tokens.len() && left > 0 {
            left -= 1;
            let mut smaller = case.clone();
            smaller.tokens.drain(place..place + size);
            let (weir, reference) = sides.ask(&smaller.asked());
            if difference(&weir, &reference).is_some() {
                case = smaller;
            } else {
                place += 1;
            }
        }
        size /= 2;
    }
    let asked = case.asked();
    let (weir, reference) = sides.ask(&asked);
    let why = difference(&weir, &reference).unwrap_or_default();
    let used = |name: &str| asked["query"].as_str().unwrap().contains(name);
    let returns: Value =
        case.returns.iter().filter(|(name, _)| used(name)).map(|(name, value)| json!([name, value])).collect();
    format!(
        "{why}\n{app}\n{}\n\nvariables {}\nreturns {returns}\noperation {:?}\nweir {weir}\nreference {reference}",
        asked["query"].as_str().unwrap(),
        asked["variables"],
        case.operation_name,
    )
}

//! `weir rollout statements|key|verify`: what was stated of rollouts, the key that it is signed with, and whether it is.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};
use weir_engine::bundle::key::PublicKey;
use weir_engine::rollouts::statements::{self, Signed};
use weir_schema::rollout::statement::Statement;

use super::Whose;
use crate::cli::folder::threads;
use crate::cli::keys::{read_public, show};
use crate::cli::progress::Bars;
use crate::cli::remote::Remote;
use crate::cli::{Failure, folder::count};
use crate::control::message::Request;

/// The largest file of statements, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Shows the statements about a rollout; without a number, about the last one.
pub(super) fn list(rollout: Option<u64>, json: bool, whose: &Whose) -> Result<(), Failure> {
    for envelope in signed(rollout, whose)?.statements {
        if json {
            anstream::println!("{envelope}");
        } else {
            let statement = statements::read(&envelope).map_err(Failure::because)?.to_string();
            // What somebody gave as a reason shall not look like lines of ours, nor steer a terminal.
            let line: String = statement.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            anstream::println!("{line}");
        }
    }
    Ok(())
}

/// Prints the key that verifies them.
pub(super) fn key(whose: &Whose) -> Result<(), Failure> {
    show(&PublicKey::parse(&signed(None, whose)?.public_key).map_err(Failure::because)?);
    Ok(())
}

/// Says of each line of a file whether a key has signed it.
pub(super) fn verify(file: &Path, key: &Path) -> Result<(), Failure> {
    let key = read_public(key)?;
    let named = |error: &dyn std::fmt::Display| Failure::because(format!("{}: {error}", file.display()));
    let statements = statements::verify_all(&read(file)?, &key).map_err(|error| named(&error))?;
    if statements.is_empty() {
        return Err(named(&"there is no statement in it: weir rollout statements --json prints them"));
    }
    for group in statements.chunk_by(|before, after| before.rollout == after.rollout) {
        if let Some((Statement { app, rollout, number, .. }, last)) = group.first().zip(group.last()) {
            let (stated, last) = (count(group.len() as u64, "statement"), last.number);
            anstream::println!("rollout {rollout} of {app}: {stated}, {number} to {last}, signed by key {}", key.id());
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    let unreadable = |error: io::Error| Failure::because(format!("cannot read {}: {error}", file.display()));
    let mut text = String::new();
    let input: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(fs::File::open(file).map_err(unreadable)?),
    };
    input.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::because(format!(
            "{} has more than {FILE_BYTES_MAX} bytes: verify it in parts",
            file.display()
        )));
    }
    Ok(text)
}

/// Asks for them: a server elsewhere, who serves the folder, or the folder itself.
fn signed(rollout: Option<u64>, whose: &Whose) -> Result<Signed, Failure> {
    if let Some((server, token_file)) = whose.server.as_ref().zip(whose.token_file.as_ref()) {
        let query = "query($rollout: String) { signed: rolloutStatements(rollout: $rollout) { publicKey statements } }";
        let variables = json!({ "rollout": rollout.map(|number| number.to_string()) });
        let mut data = threads()?.block_on(Remote::of(server, token_file)?.ask(query, variables))?;
        let signed = data.get_mut("signed").map(Value::take).unwrap_or_default();
        return serde_json::from_value(signed).map_err(Failure::because);
    }
    let (folder, bars) = (whose.place.folder()?, Bars::default());
    match folder.ask(&Request::RolloutStatements { rollout }, &bars)? {
        Some(signed) => Ok(signed),
        None => folder.alone(&bars, async |store| statements::signed(store, rollout).map_err(Failure::because)),
    }
}

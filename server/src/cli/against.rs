//! `weir check APP --against URL|FILE`: what the app's schema changes for clients of another one.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use weir_schema::api::Api;
use weir_schema::changes::{self, Change, Severity};
use weir_schema::outline::Outline;
use weir_schema::sdl;

use super::Failure;
use crate::graphql::outline::{self, SDL_BYTES_MAX};

/// The longest that a server may take to send its schema.
const PATIENCE_SECONDS: u64 = 30;

/// Prints a line for each change from the other schema to the app's, and fails if one of them breaks clients.
pub fn report(api: &Api, other: &str) -> Result<(), Failure> {
    let old = parse(&read(other)?, other)?;
    let new = parse(&sdl::print(api), "the app's own schema")?;
    let changes = changes::between(&old, &new);
    anstream::print!("{}", lines(&changes));
    match count(&changes, Severity::Breaking) {
        0 => Ok(()),
        breaking => {
            let what = if breaking == 1 { "a change breaks" } else { "some changes break" };
            Err(Failure::because(format!(
                "{what} clients of {other}: do what the line says, or release this when no client needs the old schema"
            )))
        }
    }
}

fn lines(changes: &[Change]) -> String {
    let mut lines = String::new();
    for Change { kind, description, .. } in changes {
        let advice = kind.advice();
        let space = if advice.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{} {}: {description}{space}{advice}", kind.severity().name(), kind.name());
    }
    let [breaking, dangerous, safe] =
        [Severity::Breaking, Severity::Dangerous, Severity::Safe].map(|severity| count(changes, severity));
    let _ = writeln!(lines, "changes: {breaking} breaking, {dangerous} dangerous, {safe} safe");
    lines
}

fn count(changes: &[Change], severity: Severity) -> usize {
    changes.iter().filter(|change| change.kind.severity() == severity).count()
}

fn parse(text: &str, from: &str) -> Result<Outline, Failure> {
    outline::parse(text).map_err(|error| {
        Failure::because(format!("{from} is no GraphQL schema (give the SDL, as /schema.graphql of a server): {error}"))
    })
}

/// The text at an address or in a file.
fn read(from: &str) -> Result<String, Failure> {
    let bytes = if from.starts_with("http://") {
        fetch(from)
    } else if from.starts_with("https://") {
        Err(format!("only http:// is fetched: `curl -fo schema.graphql {from}`, and give the file"))
    } else {
        File::open(Path::new(from)).map_err(|error| error.to_string()).and_then(bounded)
    };
    let bytes = bytes.map_err(|because| Failure::because(format!("cannot read {from}: {because}")))?;
    String::from_utf8(bytes).map_err(|_| Failure::because(format!("{from} is not in UTF-8: is it a schema?")))
}

fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let response = minreq::get(url).with_timeout(PATIENCE_SECONDS).send_lazy().map_err(|error| error.to_string())?;
    match response.status_code {
        200 => bounded(response),
        503 => Err("503: no release is active there yet".to_owned()),
        404 => Err("404: give the whole address, as http://127.0.0.1:4000/schema.graphql".to_owned()),
        status => Err(format!("the server answers with {status}")),
    }
}

/// All of it, up to what a schema may have.
fn bounded(from: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limit = SDL_BYTES_MAX as u64;
    from.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("it has more than {limit} bytes, which no schema should"));
    }
    Ok(bytes)
}

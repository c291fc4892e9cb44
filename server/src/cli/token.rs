//! `weir token`: makes a token for `weir dev`, and revokes tokens of whatever issuer in a data folder that is served or not.

use std::io::{self, IsTerminal, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};
use weir_engine::call::TokenKind;
use weir_engine::control::{Actor, tokens};
use weir_engine::revoked::{self, Revocation, Revoked, Revoking};
use weir_schema::duration;

use super::folder::{FolderArguments, on_record};
use super::progress::Bars;
use super::{Failure, logging};
use crate::auth::mint::{DevKey, Wanted};
use crate::control::message::{self, Request};

/// The longest that a token of development is good, in seconds.
const EXPIRES_S_MAX: u64 = 365 * 24 * 60 * 60;
/// The longest token that is read, in bytes.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

/// The arguments of `weir token`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    mint: MintArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take tokens no longer, from now on and for good: one, those of a subject, or all of an issuer that were made up to now.
    Revoke(RevokeArguments),
    /// List what was revoked.
    Revoked {
        /// As lines of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: FolderArguments,
    },
}

/// What a token is to say.
#[derive(Debug, Args)]
struct MintArguments {
    /// Who it is for.
    #[arg(long, value_name = "NAME", required = true)]
    subject: Option<String>,
    /// A role; may be given several times.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// A scope; may be given several times.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Another claim: its name, =, and JSON or else text. May be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim)]
    claim: Vec<(String, Value)>,
    /// For how long it is good: 30s, 5m, 1h, 7d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = expires)]
    expires: u64,
    /// For a person or a program.
    #[arg(long, value_enum, default_value_t = Kind::User)]
    kind: Kind,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    User,
    Service,
}

/// Which tokens.
#[derive(Debug, Args)]
struct RevokeArguments {
    /// The issuer, as in iss.
    #[arg(long, value_name = "ISSUER", required_unless_present = "token")]
    issuer: Option<String>,
    /// The token with this jti.
    #[arg(long, value_name = "JTI", conflicts_with = "subject")]
    id: Option<String>,
    /// The tokens with this sub that were made up to now.
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// The token that comes on stdin; it need not be good any more, but must have a jti.
    #[arg(long, conflicts_with_all = ["issuer", "id", "subject"])]
    token: bool,
    /// As a line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: FolderArguments,
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

fn expires(text: &str) -> Result<u64, String> {
    let ms = duration::parse_ms(text).ok_or("write a number and a unit, such as 1h")?;
    let seconds = ms / 1_000;
    if (1..=EXPIRES_S_MAX).contains(&seconds) { Ok(seconds) } else { Err("write a time from 1s to 365d".to_owned()) }
}

/// Prints a token, or asks the process that serves the folder.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let bars = Bars::default();
    match &arguments.command {
        Some(Command::Revoke(arguments)) => revoke(arguments, &bars),
        Some(Command::Revoked { json, folder }) => {
            let lines = revocations(folder, &bars)?.into_iter().map(|revoked| shown(&revoked, *json));
            print(&lines.collect::<Vec<_>>())
        }
        None => mint(&arguments.mint, &bars),
    }
}

fn mint(arguments: &MintArguments, bars: &Bars) -> Result<(), Failure> {
    let key = DevKey::open(&arguments.folder.data()).map_err(Failure::because)?;
    let wanted = Wanted {
        // Without a command the argument parser asks for it.
        subject: arguments.subject.clone().unwrap_or_default(),
        kind: match arguments.kind {
            Kind::User => TokenKind::User,
            Kind::Service => TokenKind::Service,
        },
        roles: arguments.role.clone(),
        scopes: arguments.scope.clone(),
        claims: Map::from_iter(arguments.claim.iter().cloned()),
        expires_s: arguments.expires,
    };
    let token = key.mint(&wanted, now_ms()).map_err(Failure::because)?;
    minted(&wanted.subject, &arguments.folder, bars)?;
    print(&[token])
}

/// Has it on record, by who serves the folder or alone, for whom the key of the data folder was used.
fn minted(subject: &str, folder: &FolderArguments, bars: &Bars) -> Result<(), Failure> {
    let asked: Option<Value> = folder.ask(&Request::TokenMinted { subject: subject.to_owned() }, bars)?;
    match asked {
        Some(_) => Ok(()),
        None => folder.alone(bars, async |store| on_record(store, message::token_minted(subject)).await),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn revoke(arguments: &RevokeArguments, bars: &Bars) -> Result<(), Failure> {
    let RevokeArguments { issuer, id, subject, json, folder, .. } = arguments;
    let revocation = match (issuer, id, subject) {
        (Some(issuer), Some(id), _) => Revocation { issuer: issuer.clone(), of: Revoking::Token(id.clone()) },
        (Some(issuer), None, Some(subject)) => {
            Revocation { issuer: issuer.clone(), of: Revoking::Subject(subject.clone()) }
        }
        (Some(issuer), None, None) => Revocation { issuer: issuer.clone(), of: Revoking::All },
        (None, ..) => of_stdin()?,
    };
    let asked = folder.ask(&Request::RevokeTokens { revocation: revocation.clone() }, bars)?;
    let revoked = match asked {
        Some(revoked) => revoked,
        None => folder.alone(bars, async |store| {
            let revoked = tokens::revoke(store, &Actor::operator(), revocation, now_ms() / 1_000).await;
            revoked.map_err(Failure::because)
        })?,
    };
    print(&[shown(&revoked, *json)])
}

/// The token on stdin. Its signature does not matter: what is revoked by mistake is one that nobody has made.
fn of_stdin() -> Result<Revocation, Failure> {
    let mut text = String::new();
    if io::stdin().is_terminal() {
        anstream::eprintln!("paste the token and end with Ctrl-D");
    }
    let read = io::stdin().lock().take(TOKEN_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::because(format!("the token cannot be read: {error}")))?;
    let claims = text.trim().split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|claims| serde_json::from_slice::<Value>(&claims).ok()).unwrap_or_default();
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    match (claim("iss"), claim("jti")) {
        (Some(issuer), Some(id)) => Ok(Revocation { issuer, of: Revoking::Token(id) }),
        _ => Err(Failure::because("this is no token with iss and jti: revoke by --issuer and --subject instead")),
    }
}

fn revocations(folder: &FolderArguments, bars: &Bars) -> Result<Vec<Revoked>, Failure> {
    let mut all: Vec<Revoked> = Vec::new();
    loop {
        let page: Option<Vec<Revoked>> = folder.ask(&Request::Revocations { after: all.last().cloned() }, bars)?;
        match page {
            Some(page) if page.is_empty() => return Ok(all),
            Some(page) => all.extend(page),
            None => return folder.alone(bars, async |store| revoked::stored(store).map_err(Failure::because)),
        }
    }
}

fn shown(revoked: &Revoked, json: bool) -> String {
    if json {
        // Plain data, which always has a JSON form.
        return serde_json::to_string(revoked).unwrap_or_default();
    }
    let Revoked { revocation: Revocation { issuer, of }, .. } = revoked;
    match of {
        Revoking::Token(id) => format!("revoked the token {id} of {issuer}"),
        Revoking::Subject(subject) => format!("revoked the tokens of {subject} from {issuer} that were made up to now"),
        Revoking::All => format!("revoked all tokens from {issuer} that were made up to now"),
    }
}

/// Writes lines; whoever reads may have seen enough.
fn print(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match lines.iter().try_for_each(|line| writeln!(out, "{line}")) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because(format!("the answer cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_json_or_else_text() {
        let table = [
            ("org=acme", Some(("org", json!("acme")))),
            ("level=3", Some(("level", json!(3)))),
            ("level=\"3\"", Some(("level", json!("3")))),
            ("groups=[\"a\"]", Some(("groups", json!(["a"])))),
            ("note=a=b", Some(("note", json!("a=b")))),
            ("note=", Some(("note", json!("")))),
            ("org", None),
            ("=a", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(name, value)| (name.to_owned(), value));
            assert_eq!(claim(text).ok(), expected, "{text}");
        }
        assert_eq!((expires("90s").ok(), expires("0s").ok(), expires("2y").ok()), (Some(90), None, None));
    }
}

//! `weir keys generate|public|list|trust|revoke`: keys that bundles are signed with, and which of them a server trusts.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use weir_engine::bundle::key::{PublicKey, SigningKey};
use weir_engine::control::{Actor, keys};
use weir_schema::codec::control::SigningKeyRecord;

use super::place::PlaceArguments;
use super::progress::Bars;
use super::signing::{milliseconds, read_key};
use super::times::moment;
use super::{Failure, logging, private_file};
use crate::control::message::{Request, RevokedKey};

/// The arguments of `weir keys`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key: the private part into a file that only you can read, the public part on stdout.
    Generate {
        /// The file of the private part.
        #[arg(long, value_name = "FILE", default_value = "weir-signing-key.pem")]
        out: PathBuf,
    },
    /// Print the public part of a key.
    Public {
        /// The file of the private part.
        #[arg(value_name = "FILE")]
        key: PathBuf,
    },
    /// List the keys that are trusted, and those that were.
    List {
        /// As lines of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Have bundles run that are signed with a key.
    Trust {
        /// The file of the public part: what `weir keys generate` has printed.
        #[arg(value_name = "FILE")]
        key: PathBuf,
        /// For how long: a number and a unit, such as 365d. [default: until it is revoked]
        #[arg(long = "for", value_name = "TIME", value_parser = milliseconds)]
        for_ms: Option<u64>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Have nothing run that is signed with a key alone. It is never trusted again.
    Revoke {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// Asks the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::Generate { out } => {
            let key = SigningKey::generate().map_err(Failure::because)?;
            private_file::create(out, key.to_pem().as_bytes())
                .map_err(|error| Failure::because(format!("cannot write {}: {error}", out.display())))?;
            show(key.public());
        }
        Command::Public { key } => show(read_key(key)?.public()),
        Command::List { json, place } => list(*json, place)?,
        Command::Trust { key, for_ms, place } => trust(key, *for_ms, place)?,
        Command::Revoke { id, place } => revoke(id, place)?,
    }
    Ok(())
}

/// Text before the key is for people: whoever reads the key passes over it.
fn show(public: &PublicKey) {
    anstream::print!("key {}\n{}", public.id(), public.to_pem());
}

fn list(json: bool, place: &PlaceArguments) -> Result<(), Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let keys: Vec<SigningKeyRecord> = match folder.ask(&Request::SigningKeys, &bars)? {
        Some(keys) => keys,
        None => folder.alone(&bars, async |store| keys::list(store).map_err(Failure::because))?,
    };
    for key in &keys {
        match json {
            true => anstream::println!("{}", serde_json::to_string(key).map_err(Failure::because)?),
            false => {
                anstream::println!("{}  trusted {} by {}{}", key.id, moment(key.trusted_ms), key.trusted_by, state(key))
            }
        }
    }
    Ok(())
}

fn state(key: &SigningKeyRecord) -> String {
    match (key.revoked_ms, key.expires_ms) {
        (Some(revoked_ms), _) => format!(", revoked {}", moment(revoked_ms)),
        (None, Some(expires_ms)) => format!(", until {}", moment(expires_ms)),
        (None, None) => String::new(),
    }
}

fn trust(file: &Path, for_ms: Option<u64>, place: &PlaceArguments) -> Result<(), Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::because(format!("{} {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| failure(&format!("cannot be read: {error}")))?;
    let public = PublicKey::parse(&text).map_err(|error| failure(&error))?;
    let (folder, bars) = (place.folder()?, Bars::default());
    let key: SigningKeyRecord = match folder.ask(&Request::TrustKey { public: public.to_pem(), for_ms }, &bars)? {
        Some(key) => key,
        None => folder.alone(&bars, async |store| {
            keys::trust(store, &Actor::operator(), &public, for_ms).await.map_err(Failure::because)
        })?,
    };
    anstream::println!("key {} is trusted{}", key.id, state(&key));
    Ok(())
}

fn revoke(id: &str, place: &PlaceArguments) -> Result<(), Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let revoked: RevokedKey = match folder.ask(&Request::RevokeKey { id: id.to_owned() }, &bars)? {
        Some(revoked) => revoked,
        None => folder.alone(&bars, async |store| {
            RevokedKey::of(store, &Actor::operator(), id).await.map_err(Failure::because)
        })?,
    };
    anstream::println!("key {} is revoked", revoked.key.id);
    if let Some(release) = revoked.orphan {
        anstream::println!(
            "release {release} is signed with no other key: it is served until the server is started again, so deploy it anew before"
        );
    }
    Ok(())
}

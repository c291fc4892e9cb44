//! `weir keys generate|public|sign|list|trust|rotate|revoke|reseal`: keys that bundles are signed with, which of them a server trusts, and
//! the one that it seals bundles by.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use weir_engine::bundle::key::{PublicKey, SigningKey};
use weir_engine::bundle::sign::cosign;
use weir_engine::control::Actor;
use weir_engine::control::keys::{self, RotatedKey, Validity};
use weir_engine::control::resealing::{self, Resealed};
use weir_engine::jobs::Clock;
use weir_schema::codec::control::{SigningKeyRecord, SigningKeyState};

use super::deploy::read_bundle;
use super::folder::count;
use super::pack::write;
use super::place::PlaceArguments;
use super::progress::Bars;
use super::signing::{milliseconds, read_key};
use super::times::{self, moment};
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
    /// Add the signature of a key to a bundle that somebody has signed: both say the same of it.
    Sign {
        /// The bundle.
        #[arg(value_name = "FILE")]
        bundle: PathBuf,
        /// The file of the private part.
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
        /// The file of the bundle with both. [default: it takes the place of the other]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
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
        /// From when on, such as 2026-12-01T00:00:00Z. [default: from now on]
        #[arg(long = "from", value_name = "TIME", value_parser = times::milliseconds)]
        from_ms: Option<u64>,
        /// For how long from then on: a number and a unit, such as 365d. [default: until it is revoked]
        #[arg(long = "for", value_name = "TIME", value_parser = milliseconds)]
        for_ms: Option<u64>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Have bundles run that are signed with a new key, and those that are signed with the one of before for some more time.
    Rotate {
        /// The id of the one of before.
        #[arg(value_name = "ID")]
        id: String,
        /// The file of the public part of the new one. [default: it is made here]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// The file of the private part, where it is made here.
        #[arg(long, value_name = "FILE", default_value = "weir-signing-key.pem", conflicts_with = "to")]
        out: PathBuf,
        /// For how long the one of before still counts.
        #[arg(long = "overlap", value_name = "TIME", default_value = "30d", value_parser = milliseconds)]
        overlap_ms: u64,
        /// For how long the new one does: a number and a unit, such as 365d. [default: until it is revoked]
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
    /// Draw a new key that kept bundles are sealed by, and seal them by it, one after the other. What was cut off goes on.
    Reseal {
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// Asks the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::Generate { out } => show(&generate(out)?),
        Command::Public { key } => show(read_key(key)?.public()),
        Command::Sign { bundle, key, output } => sign(bundle, key, output.as_deref())?,
        Command::List { json, place } => list(*json, place)?,
        Command::Trust { key, from_ms, for_ms, place } => {
            trust(key, Validity { from_ms: *from_ms, for_ms: *for_ms }, place)?;
        }
        Command::Rotate { id, to: Some(to), overlap_ms, for_ms, place, .. } => {
            rotate(id, &read_public(to)?, *overlap_ms, *for_ms, place)?;
        }
        Command::Rotate { id, to: None, out, overlap_ms, for_ms, place } => {
            let public = generate(out)?;
            let rotated = rotate(id, &public, *overlap_ms, *for_ms, place);
            if rotated.is_err() {
                // Nobody trusts it. Where that is not known, it can be revoked.
                let _ = fs::remove_file(out);
            }
            rotated?;
            show(&public);
        }
        Command::Revoke { id, place } => revoke(id, place)?,
        Command::Reseal { place } => reseal(place)?,
    }
    Ok(())
}

/// Makes a key, with a file of its private part.
fn generate(out: &Path) -> Result<PublicKey, Failure> {
    let key = SigningKey::generate().map_err(Failure::because)?;
    private_file::create(out, key.to_pem().as_bytes())
        .map_err(|error| Failure::because(format!("cannot write {}: {error}", out.display())))?;
    Ok(*key.public())
}

/// Text before the key is for people: whoever reads the key passes over it.
pub(super) fn show(public: &PublicKey) {
    anstream::print!("key {}\n{}", public.id(), public.to_pem());
}

/// Says what is signed before all: who signs has to know.
fn sign(bundle: &Path, key: &Path, output: Option<&Path>) -> Result<(), Failure> {
    let key = read_key(key)?;
    let signed = cosign(&read_bundle(bundle)?, &key);
    let (signed, statement) = signed.map_err(|error| Failure::because(format!("{}: {error}", bundle.display())))?;
    write(output.unwrap_or(bundle), &signed)?;
    let tenant = statement.tenant.map(|name| format!(" for the tenant {name}")).unwrap_or_default();
    anstream::println!(
        "{} {}{tenant}, sequence {}, SHA-256 of the content {}, may be deployed until {}: signed with key {} too",
        statement.app,
        statement.version,
        statement.sequence,
        statement.digest,
        moment(statement.expires_ms),
        key.public().id()
    );
    Ok(())
}

fn list(json: bool, place: &PlaceArguments) -> Result<(), Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let keys: Vec<SigningKeyRecord> = match folder.ask(&Request::SigningKeys, &bars)? {
        Some(keys) => keys,
        None => folder.alone(&bars, async |store| keys::list(store).map_err(Failure::because))?,
    };
    let now_ms = Clock::system().now_ms();
    for key in &keys {
        match json {
            true => {
                let listed = Listed { key, state: key.state(now_ms) };
                anstream::println!("{}", serde_json::to_string(&listed).map_err(Failure::because)?);
            }
            false => {
                let (trusted, by) = (moment(key.trusted_ms), &key.trusted_by);
                anstream::println!("{}  {}, trusted {trusted} by {by}", key.id, state(key, now_ms));
            }
        }
    }
    Ok(())
}

/// A key as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    key: &'a SigningKeyRecord,
    state: SigningKeyState,
}

/// How a key stands, in words.
fn state(key: &SigningKeyRecord, now_ms: u64) -> String {
    let until = |word: &str| key.expires_ms.map(|ms| format!("{word} {}", moment(ms))).unwrap_or_default();
    match key.state(now_ms) {
        SigningKeyState::NotYet => {
            format!("not yet, from {}{}", moment(key.valid_from_ms()), until(" until"))
        }
        SigningKeyState::Valid => format!("valid{}", until(", expires")),
        SigningKeyState::Expired => until("expired"),
        SigningKeyState::Revoked => format!("revoked {}", moment(key.revoked_ms.unwrap_or_default())),
    }
}

pub(super) fn read_public(file: &Path) -> Result<PublicKey, Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::because(format!("{} {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failure(&format!("cannot be read: {error}")))?;
    PublicKey::parse(&text).map_err(|error| failure(&error))
}

fn trust(file: &Path, validity: Validity, place: &PlaceArguments) -> Result<(), Failure> {
    let public = read_public(file)?;
    let (folder, bars) = (place.folder()?, Bars::default());
    let key: SigningKeyRecord = match folder.ask(&Request::TrustKey { public: public.to_pem(), validity }, &bars)? {
        Some(key) => key,
        None => folder.alone(&bars, async |store| {
            keys::trust(store, &Actor::operator(), &public, validity).await.map_err(Failure::because)
        })?,
    };
    anstream::println!("key {} is trusted: {}", key.id, state(&key, Clock::system().now_ms()));
    Ok(())
}

fn rotate(
    id: &str,
    public: &PublicKey,
    overlap_ms: u64,
    for_ms: Option<u64>,
    place: &PlaceArguments,
) -> Result<(), Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let request = Request::RotateKey { id: id.to_owned(), public: public.to_pem(), overlap_ms, for_ms };
    let RotatedKey { key, before } = match folder.ask(&request, &bars)? {
        Some(rotated) => rotated,
        None => folder.alone(&bars, async |store| {
            let rotated = keys::rotate(store, &Actor::operator(), id, public, overlap_ms, for_ms).await;
            rotated.map_err(Failure::because)
        })?,
    };
    let now_ms = Clock::system().now_ms();
    anstream::println!("key {} is trusted: {}", key.id, state(&key, now_ms));
    anstream::println!("key {} was before: {}", before.id, state(&before, now_ms));
    Ok(())
}

fn revoke(id: &str, place: &PlaceArguments) -> Result<(), Failure> {
    let (folder, bars, signatures) = (place.folder()?, Bars::default(), place.signatures()?);
    let revoked: RevokedKey = match folder.ask(&Request::RevokeKey { id: id.to_owned() }, &bars)? {
        Some(revoked) => revoked,
        None => folder.alone(&bars, async |store| {
            RevokedKey::of(store, &Actor::operator(), id, signatures).await.map_err(Failure::because)
        })?,
    };
    anstream::println!("key {} is revoked", revoked.key.id);
    if let Some(release) = revoked.orphan {
        anstream::println!(
            "release {release} lacks signatures that count: it is served until the server is started again, so deploy it anew before"
        );
    }
    Ok(())
}

fn reseal(place: &PlaceArguments) -> Result<(), Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let Resealed { was_under_way, bundles, damaged } = match folder.ask(&Request::Reseal, &bars)? {
        Some(resealed) => resealed,
        None => folder
            .alone(&bars, async |store| resealing::reseal(store, &Actor::operator()).await.map_err(Failure::because))?,
    };
    let began = if was_under_way { "the new key that was drawn before" } else { "a new key" };
    anstream::println!("{} sealed by {began}, and the key of before is gone", count(bundles, "bundle"));
    for version in damaged {
        anstream::println!("the bundle of release {version} opens by neither, and did not before: deploy it again");
    }
    Ok(())
}

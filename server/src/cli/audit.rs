//! `weir audit list|verify|head|erase`: what is on record, whether the audit log is whole, its end, signed, to be kept elsewhere,
//! and whom it tells of no more.

mod list;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use weir_engine::bundle::key::PublicKey;
use weir_engine::bundle::signed::BadSigned;
use weir_engine::control::Actor;
use weir_engine::control::audit::{BadHead, SignedHead};
use weir_engine::control::erasure::{self, Erased, Whom};
use weir_engine::jobs::Clock;
use weir_engine::rollouts::statements;
use weir_schema::bundle::envelope::BadEnvelope;
use weir_schema::codec::audit::AuditHead;
use weir_schema::rollout::statement;
use weir_store::AuditReport;

use super::folder::count;
use super::place::PlaceArguments;
use super::progress::Bars;
use super::signing::read_key;
use super::{Failure, logging};
use crate::control::message::Request;

/// The arguments of `weir audit`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what is on record, the oldest first.
    List(list::Arguments),
    /// Follow the audit log from its first record to its last, and say which is the first that was edited, removed, reordered
    /// or cut off.
    Verify {
        /// An earlier end of the log (weir audit head), or a statement about a rollout (weir rollout statements --json), which names
        /// one: the log has to lead through it.
        #[arg(long, value_name = "FILE", requires = "signer")]
        head: Option<PathBuf>,
        /// The public key of who has signed that.
        #[arg(long, value_name = "FILE", requires = "head")]
        signer: Option<PathBuf>,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Print the end of the audit log, signed.
    Head {
        /// Sign with the key in this file, which only you can read.
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Have the audit log tell of somebody no more, for good: whose tokens have a subject, or who has acted from an address. The
    /// log stays whole.
    Erase {
        /// The issuer of the tokens, as in iss.
        #[arg(long, value_name = "ISSUER", requires = "subject")]
        issuer: Option<String>,
        /// Their sub.
        #[arg(long, value_name = "NAME", requires = "issuer")]
        subject: Option<String>,
        /// The address of somebody who showed no token.
        #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["issuer", "subject"], required_unless_present = "issuer")]
        address: Option<IpAddr>,
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// Asks the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::List(arguments) => list::run(arguments),
        Command::Verify { head, signer, place } => {
            let through = head.as_ref().zip(signer.as_ref()).map(|(head, signer)| open(head, signer)).transpose()?;
            verify(through, place)
        }
        Command::Head { key, place } => {
            let key = read_key(key)?;
            let (folder, bars) = (place.folder()?, Bars::default());
            let head: AuditHead = match folder.ask(&Request::AuditHead, &bars)? {
                Some(head) => head,
                None => folder.alone(&bars, async |store| store.audit_head().map_err(Failure::because))?,
            };
            let text = SignedHead::of(head, Clock::system().now_ms()).sign(&key).map_err(Failure::because)?;
            anstream::println!("{}", String::from_utf8_lossy(&text));
            Ok(())
        }
        Command::Erase { issuer, subject, address, place } => {
            let subject =
                issuer.clone().zip(subject.clone()).map(|(issuer, subject)| Whom::Subject { issuer, subject });
            // One of the two is there, or the argument parser has asked for it.
            subject.or(address.map(Whom::Address)).map_or(Ok(()), |whom| erase(&whom, place))
        }
    }
}

/// What somebody has signed earlier.
fn open(head: &PathBuf, signer: &PathBuf) -> Result<AuditHead, Failure> {
    let read = |file: &PathBuf| {
        std::fs::read_to_string(file)
            .map_err(|error| Failure::because(format!("cannot read {}: {error}", file.display())))
    };
    let key = PublicKey::parse(&read(signer)?);
    let key = key.map_err(|error| Failure::because(format!("{} {error}", signer.display())))?;
    let text = read(head)?;
    let text = text.trim_end();
    let because = |error: &dyn std::fmt::Display| Failure::because(format!("{}: {error}", head.display()));
    match SignedHead::open(text.as_bytes(), &key) {
        Err(BadHead::Signed(BadSigned::Envelope(BadEnvelope::Type { found, .. })))
            if found == statement::PAYLOAD_TYPE =>
        {
            Ok(statements::verify(text, &key).map_err(|error| because(&error))?.audit)
        }
        opened => Ok(opened.map_err(|error| because(&error))?.head()),
    }
}

fn erase(whom: &Whom, place: &PlaceArguments) -> Result<(), Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let Erased { id, unsealed } = match folder.ask(&Request::EraseAudit { whom: whom.clone() }, &bars)? {
        Some(erased) => erased,
        None => folder.alone(&bars, async |store| {
            erasure::erase(store, &Actor::operator(), whom).await.map_err(Failure::because)
        })?,
    };
    anstream::println!(
        "erased: the audit log names them {id} and tells nothing else of them{unsealed}; backups made before still do"
    );
    Ok(())
}

fn verify(through: Option<AuditHead>, place: &PlaceArguments) -> Result<(), Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let report: AuditReport = match folder.ask(&Request::VerifyAudit { through }, &bars)? {
        Some(report) => report,
        None => folder
            .alone(&bars, async |store| store.verify_audit(through, bars.watch()).await.map_err(Failure::because))?,
    };
    match report.problem {
        Some(problem) => Err(Failure::because(problem)),
        None => {
            let through = through.map_or_else(String::new, |through| {
                format!(", it leads through record {} as it was signed", through.number)
            });
            anstream::println!(
                "the audit log is whole: {}, the last is {}{through}",
                count(report.records, "record"),
                report.end.digest
            );
            Ok(())
        }
    }
}

//! `weir releases list|show|diff`: what was deployed, and what has changed from one release to another.

use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use weir_engine::control::difference::{Difference, Noticed, Side, find};
use weir_engine::control::releases::{self, OnRecord};
use weir_engine::jobs::Clock;
use weir_schema::bundle::{Bundle, Content};
use weir_schema::codec::control::ReleaseRecord;
use weir_schema::compatibility::Level;
use weir_schema::datetime;

use super::folder::threads;
use super::handed::Handed;
use super::pack::pack_folder;
use super::place::PlaceArguments;
use super::progress::Bars;
use super::remote::{Remote, RemoteArguments};
use super::times::moment;
use super::{Failure, deploy, logging};
use crate::control::message::{Compared, Request};
use crate::releases::{Asked, asked};

/// The arguments of `weir releases`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what was deployed, the newest first.
    List {
        #[command(flatten)]
        how: How,
    },
    /// Show a release, and what clients have asked for of it in the last 30 days.
    Show {
        /// Its version or sequence, or active.
        #[arg(value_name = "RELEASE")]
        release: String,
        #[command(flatten)]
        how: How,
    },
    /// Tell what has changed from one release to another, which version that takes, and who would notice.
    Diff {
        /// The one: a version or a sequence, active, a bundle (weir build), or an app folder.
        #[arg(value_name = "FROM")]
        from: String,
        /// The other.
        #[arg(value_name = "TO")]
        to: String,
        #[command(flatten)]
        how: How,
    },
}

/// Whom to ask, and how to say it.
#[derive(Debug, Args)]
struct How {
    /// As JSON: a line for each release, one for all changes.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    elsewhere: RemoteArguments,
}

/// Asks the process that serves the folder or a server elsewhere, or reads the folder itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::List { how } => {
            let OnRecord { releases, active } = known(how)?;
            let of = |release: &ReleaseRecord| shown(release, active == Some(release.sequence));
            let all: Vec<Value> = releases.iter().rev().map(of).collect();
            match (how.json, all.is_empty()) {
                (true, _) => write(&all.iter().map(ToString::to_string).collect::<Vec<_>>()),
                (false, true) => write(&["no releases: weir deploy makes one".to_owned()]),
                (false, false) => write(&table(&all)),
            }
        }
        Command::Show { release, how } => {
            let all = known(how)?;
            let record = find(&all, release).map_err(Failure::because)?;
            let is_active = all.active == Some(record.sequence);
            show(&record, is_active, &used(how, record.sequence)?, how.json)
        }
        Command::Diff { from, to, how } => {
            let difference = difference(from, to, &how.place, how.elsewhere.remote(how.place.env())?)?;
            if how.json {
                return write(&[serde_json::to_string(&difference).map_err(Failure::because)?]);
            }
            let mut lines = difference.lines(Level::Internal);
            lines.push(summary(&difference));
            write(&lines)
        }
    }
}

/// All releases on record.
fn known(how: &How) -> Result<OnRecord, Failure> {
    if let Some(remote) = how.elsewhere.remote(how.place.env())? {
        let query = "{ releases { app version sequence digest signers deployedMs deployedBy active } }";
        let mut data = threads()?.block_on(remote.ask(query, json!({})))?;
        let mut all = data.get_mut("releases").map(Value::take).unwrap_or_default();
        let mut active = None;
        for release in all.as_array_mut().into_iter().flatten() {
            number(release, "sequence");
            number(release, "deployedMs");
            if release.get("active") == Some(&Value::Bool(true)) {
                active = release.get("sequence").and_then(Value::as_u64);
            }
        }
        let newest_first: Vec<ReleaseRecord> = serde_json::from_value(all).map_err(|_| unclear())?;
        return Ok(OnRecord { releases: newest_first.into_iter().rev().collect(), active });
    }
    let (folder, bars) = (how.place.folder()?, Bars::default());
    match folder.ask(&Request::Releases, &bars)? {
        Some(all) => Ok(all),
        None => folder.alone(&bars, async |store| releases::on_record(store).map_err(Failure::because)),
    }
}

/// What clients have asked for of a release.
fn used(how: &How, release: u64) -> Result<Vec<Asked>, Failure> {
    if let Some(remote) = how.elsewhere.remote(how.place.env())? {
        let query = "query($release: String!) { usage(release: $release) { name count lastMs } }";
        let mut data = threads()?.block_on(remote.ask(query, json!({ "release": release.to_string() })))?;
        let mut all = data.get_mut("usage").map(Value::take).unwrap_or_default();
        for asked in all.as_array_mut().into_iter().flatten() {
            number(asked, "count");
            number(asked, "lastMs");
        }
        return serde_json::from_value(all).map_err(|_| unclear());
    }
    let (folder, bars) = (how.place.folder()?, Bars::default());
    match folder.ask(&Request::Usage { release: Some(release) }, &bars)? {
        Some(all) => Ok(all),
        None => folder.alone(&bars, async |store| {
            asked(store, Some(release), Clock::system().now_ms()).map_err(Failure::because)
        }),
    }
}

/// Whether a text names a release: a version, a sequence, or active.
pub fn names_release(text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text == "active" || is_number || semver::Version::parse(text).is_ok()
}

/// Prints what an app in a folder changes from a release on record, with who would notice, and fails if one of the changes breaks
/// clients.
pub fn against(app: &Path, release: &str, place: &PlaceArguments) -> Result<(), Failure> {
    let to = Side::Bundle(pack_folder(app)?.bundle);
    let difference = between(Side::Release(release.to_owned()), to, place, None)?;
    let mut lines = difference.lines(Level::Internal);
    lines.push(summary(&difference));
    write(&lines)?;
    if difference.level == Level::Breaking {
        return Err(Failure::because(format!(
            "what clients could do with {} they cannot any more: release it when none of them asks for that, or keep it",
            difference.from
        )));
    }
    Ok(())
}

fn difference(from: &str, to: &str, place: &PlaceArguments, elsewhere: Option<Remote>) -> Result<Difference, Failure> {
    between(side(from)?, side(to)?, place, elsewhere)
}

fn between(from: Side, to: Side, place: &PlaceArguments, elsewhere: Option<Remote>) -> Result<Difference, Failure> {
    if let (Side::Bundle(_), Side::Bundle(_)) = (&from, &to) {
        return threads()?.block_on(Difference::between(None, from, to)).map_err(Failure::because);
    }
    if let Some(remote) = elsewhere {
        return remotely(&remote, from, to);
    }
    let (folder, bars) = (place.folder()?, Bars::default());
    let data = folder.data();
    if weir_store::is_data_folder(&data) {
        let mut handed = None;
        let mut compared = |side: &Side| match side {
            Side::Release(name) => Ok(Compared::Release(name.clone())),
            Side::Bundle(bundle) => {
                let file = handed.insert(Handed::over(bundle, &data)?);
                Ok(Compared::Bundle(file.path().to_owned()))
            }
        };
        let request = Request::Diff { from: compared(&from)?, to: compared(&to)? };
        if let Some(difference) = folder.ask(&request, &bars)? {
            return Ok(difference);
        }
    }
    folder.alone(&bars, async |store| Difference::between(Some(store), from, to).await.map_err(Failure::because))
}

/// Asks the control plane of a server elsewhere.
fn remotely(remote: &Remote, from: Side, to: Side) -> Result<Difference, Failure> {
    let of = "{ app from to level leastVersion isEnough more \
               changes { level part coordinate description reachedBy used lastUsedAt usage } }";
    let (query, variables) = match (from, to) {
        (Side::Release(from), Side::Release(to)) => (
            format!("query($from: String!, $to: String!) {{ asked: diff(from: $from, to: $to) {of} }}"),
            json!({ "from": from, "to": to }),
        ),
        (Side::Release(from), Side::Bundle(bundle)) => (
            format!("query($from: String!, $bundle: String!) {{ asked: judge(from: $from, bundle: $bundle) {of} }}"),
            json!({ "from": from, "bundle": STANDARD.encode(bundle) }),
        ),
        (Side::Bundle(_), _) => {
            return Err(Failure::because("FROM has to be a release of that server: name it by version or sequence"));
        }
    };
    let mut data = threads()?.block_on(remote.ask(&query, variables))?;
    let mut asked = data.get_mut("asked").map(Value::take).unwrap_or_default();
    let changes = asked.get_mut("changes").and_then(Value::as_array_mut);
    for change in changes.into_iter().flatten() {
        number(change, "used");
        let at = change.get("lastUsedAt").and_then(Value::as_str).and_then(|at| datetime::parse(at).ok());
        let ms = at.and_then(|at| u64::try_from(at.seconds).ok()).map(|seconds| seconds.saturating_mul(1_000));
        if let Some(change) = change.as_object_mut() {
            change.insert("lastUsedMs".to_owned(), json!(ms));
        }
    }
    serde_json::from_value(asked).map_err(|_| unclear())
}

/// Large numbers are text in the answers of the control plane.
fn number(of: &mut Value, member: &str) {
    if let Some(member) = of.get_mut(member)
        && let Some(number) = member.as_str().and_then(|text| text.parse::<u64>().ok())
    {
        *member = number.into();
    }
}

fn unclear() -> Failure {
    Failure::because("the server gave no answer that can be understood: use the same version of weir")
}

/// What a text names: a release by its version or sequence, and otherwise a file or a folder.
fn side(text: &str) -> Result<Side, Failure> {
    if names_release(text) {
        return Ok(Side::Release(text.to_owned()));
    }
    let path = Path::new(text);
    if path.is_dir() {
        return Ok(Side::Bundle(pack_folder(path)?.bundle));
    }
    if !path.exists() {
        return Err(Failure::because(format!(
            "{text} is neither a release (a version, a sequence, or active) nor a bundle or an app folder that is there"
        )));
    }
    let bundle = deploy::read_bundle(path)?;
    let is_one = Bundle::parse(&bundle).and_then(|bundle| Content::parse(bundle.content));
    is_one.map_err(|error| Failure::because(format!("{text}: {error}")))?;
    Ok(Side::Bundle(bundle))
}

fn summary(difference: &Difference) -> String {
    let Difference { app, from, to, least_version, is_enough, changes, more, .. } = difference;
    let count = |level: Level| {
        changes.iter().filter(|Noticed { change, .. }| change.level == level).count()
            + if level == Level::Internal { *more } else { 0 }
    };
    let counts = Level::ALL.map(|level| format!("{} {}", count(level), level.as_str()));
    let judged = match is_enough {
        true => format!("{to} may follow {from}"),
        false => format!("what follows {from} has to be {least_version} or later, and this is {to}"),
    };
    format!("{app}: {}: {judged}", counts.join(", "))
}

fn shown(release: &ReleaseRecord, is_active: bool) -> Value {
    let mut shown = serde_json::to_value(release).unwrap_or_default();
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("active".to_owned(), is_active.into());
    }
    shown
}

fn table(all: &[Value]) -> Vec<String> {
    let heads = ["VERSION", "SEQUENCE", "DEPLOYED", "BY", "DIGEST", ""].map(str::to_owned);
    let cells = |release: &Value| {
        let text = |name: &str| release.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| release.get(name).and_then(Value::as_u64).unwrap_or_default();
        let digest: String = text("digest").chars().take(12).collect();
        let active = if release.get("active") == Some(&Value::Bool(true)) { "active" } else { "" };
        [
            text("version"),
            number("sequence").to_string(),
            moment(number("deployedMs")),
            text("deployedBy"),
            digest,
            active.to_owned(),
        ]
    };
    let rows: Vec<[String; 6]> = [heads].into_iter().chain(all.iter().map(cells)).collect();
    aligned(&rows)
}

/// Rows as lines, each column as wide as its widest cell.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn show(release: &ReleaseRecord, is_active: bool, used: &[Asked], json: bool) -> Result<(), Failure> {
    if json {
        let mut shown = shown(release, is_active);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("usage".to_owned(), json!(used));
        }
        return write(&[shown.to_string()]);
    }
    let ReleaseRecord { app, tenant, version, sequence, digest, signers, deployed_ms, deployed_by } = release;
    let signers: Vec<String> = signers.iter().map(ToString::to_string).collect();
    let state = if is_active { "active" } else { "not active" };
    let mut lines = vec![
        format!("{app} {version}, {state}"),
        tenant
            .as_ref()
            .map_or_else(|| format!("sequence {sequence}"), |name| format!("sequence {sequence}, of {name}")),
        format!("digest {digest}"),
        format!("signed by {}", signers.join(", ")),
        format!("deployed {} by {deployed_by}", moment(*deployed_ms)),
    ];
    if used.is_empty() {
        lines.push("clients have asked for nothing of it in the last 30 days".to_owned());
    } else {
        let heads = ["ASKED FOR", "TIMES", "LAST"].map(str::to_owned);
        let cells = |asked: &Asked| [asked.name.clone(), asked.count.to_string(), moment(asked.last_ms)];
        let rows: Vec<[String; 3]> = [heads].into_iter().chain(used.iter().map(cells)).collect();
        lines.extend(aligned(&rows));
    }
    write(&lines)
}

/// Writes lines; whoever reads may have seen enough.
fn write(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match lines.iter().try_for_each(|line| writeln!(out, "{line}")) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because(format!("the answer cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

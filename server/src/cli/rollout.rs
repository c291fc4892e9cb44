//! `weir rollout start|status|differences|report|list|advance|pause|resume|promote|unguard|rollback|statements|key|verify`: how one
//! release takes the place of another.

mod statements;

use std::path::PathBuf;

use axum::http::Uri;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::control::Actor;
use weir_engine::engine::{RESULTS_BYTES_MAX, Runs};
use weir_engine::experiments::{ExperimentReport, Observations};
use weir_engine::rollouts::conduct::{self, Guarded, RolloutError};
use weir_engine::rollouts::experiment;
use weir_engine::rollouts::report::ShadowReport;
use weir_engine::rollouts::status::{self, NamedVariant, Status};
use weir_sandbox::isolate::prepare_v8;
use weir_sandbox::pool::PoolOptions;
use weir_schema::rollout::{Rollout, Strategy};

use super::folder::threads;
use super::place::PlaceArguments;
use super::progress::Bars;
use super::remote::Remote;
use super::strategy::{StrategyArguments, variant};
use super::times::moment;
use super::{Failure, logging};
use crate::admin::rollouts::StrategyInput;
use crate::control::message::{Request, Rolling};

/// The arguments of `weir rollout`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Which server is meant.
#[derive(Debug, Args)]
struct Whose {
    #[command(flatten)]
    place: PlaceArguments,
    /// A server elsewhere, such as https://api.example.com, in place of a data folder.
    #[arg(long, value_name = "URL", requires = "token_file", conflicts_with_all = ["data", "config", "tenant"])]
    server: Option<Uri>,
    /// The token of an administrator with the permission deploy, in a file that only you can read.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Roll a release out that is on record.
    Start {
        /// Its version, or its sequence.
        #[arg(value_name = "VERSION|SEQUENCE")]
        release: String,
        #[command(flatten)]
        strategy: StrategyArguments,
        /// One more release of the experiment and its share, such as 2.1.0=25%, several times for several.
        #[arg(long = "variant", value_name = "VERSION=SHARE", value_parser = variant, requires = "experiment")]
        variants: Vec<NamedVariant>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Show which releases take calls, and how far a rollout is.
    Status {
        /// As a line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Show what a shadow rollout has found: which calls would have come to something else.
    Differences {
        /// As a line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Show what comes of an experiment: what to do, and the numbers.
    Report {
        /// The number of its rollout; the last experiment without.
        #[arg(value_name = "NUMBER")]
        experiment: Option<u64>,
        /// As a line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// List the rollouts that are over, the newest last.
    List {
        /// As lines of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Begin the next step now.
    Advance {
        #[command(flatten)]
        whose: Whose,
    },
    /// Begin no further step.
    Pause {
        #[command(flatten)]
        whose: Whose,
    },
    /// Go on with the steps.
    Resume {
        #[command(flatten)]
        whose: Whose,
    },
    /// Move all callers to the release that is rolled out.
    Promote {
        /// Its version, or its sequence: where an experiment has several; or to promote that one or none.
        #[arg(value_name = "VERSION|SEQUENCE")]
        release: Option<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Let a rollout go on whatever its calls come to, also once all callers have moved: from now on it is taken back by hand alone.
    Unguard {
        #[command(flatten)]
        whose: Whose,
    },
    /// Move all callers back: to where they were before the rollout under way, or else to the release that was active before.
    Rollback {
        /// The version, or the sequence, of the release that callers are to leave: it is that one or none.
        #[arg(value_name = "VERSION|SEQUENCE")]
        release: Option<String>,
        /// Why, for the audit log.
        #[arg(long, value_name = "TEXT", default_value = "by hand")]
        why: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Show what was stated of a rollout and signed: each change, from which release to which, why and by whom.
    Statements {
        /// The number of the rollout; the last one that began without.
        #[arg(value_name = "NUMBER")]
        rollout: Option<u64>,
        /// As signed envelopes, one a line, to be kept elsewhere.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Print the public key that statements are verified with.
    Key {
        #[command(flatten)]
        whose: Whose,
    },
    /// Verify statements that were kept elsewhere: that a server has signed each of them, and that none is left out in between.
    Verify {
        /// The file: one statement a line, as --json has printed them. - reads what comes in.
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// The public key of the server: what weir rollout key has printed.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

/// Asks the process that serves the folder, or does it itself.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    match &arguments.command {
        Command::Start { release, strategy, variants, whose } => {
            started(release, (&strategy.strategy(), strategy.guarded()), variants, whose)?.show(false)
        }
        Command::Report { experiment, json, whose } => report(*experiment, *json, whose),
        Command::Status { json, whose } => told(whose)?.show(*json),
        Command::Differences { json, whose } => differences(*json, whose),
        Command::List { json, place } => list(*json, place),
        Command::Advance { whose } => rolled(Rolling::Advance, whose)?.show(false),
        Command::Pause { whose } => rolled(Rolling::Pause, whose)?.show(false),
        Command::Resume { whose } => rolled(Rolling::Resume, whose)?.show(false),
        Command::Promote { release, whose } => {
            rolled(Rolling::Promote { release: release.clone() }, whose)?.show(false)
        }
        Command::Unguard { whose } => rolled(Rolling::Unguard, whose)?.show(false),
        Command::Rollback { release, why, whose } => {
            rolled(Rolling::RollBack { release: release.clone(), why: why.clone() }, whose)?.show(false)
        }
        Command::Statements { rollout, json, whose } => statements::list(*rollout, *json, whose),
        Command::Key { whose } => statements::key(whose),
        Command::Verify { file, key } => statements::verify(file, key),
    }
}

/// What is asked of a server elsewhere.
const STATUS: &str = "{ summary active { ...release } previous { ...release } candidate { ...release } share leftMs \
    variants { version sequence share } progress { what done total } rollout { number strategy phase \
    step why dueAt since startedAt startedBy } } } fragment release on Release { app version sequence }";

/// The same of what was found.
const FOUND: &str = "{ found: shadowReport { summary rollout base candidate share counts { ...counts } baseLatency { ...latency } \
    candidateLatency { ...latency } metrics { metric base { ...given } candidate { ...given } } \
    functions { function counts { ...counts } differences { aspect path base candidate arguments } } } } \
    fragment given on ShadowMetricSum { values sum mean } \
    fragment counts on ShadowCounts { same different skipped } fragment latency on ShadowLatency { p50Ms p95Ms p99Ms }";

/// How rollouts are: as the store has it, or as a server elsewhere tells it.
enum Told {
    Here(Box<Status>),
    Elsewhere(Value),
}

impl Whose {
    /// The server elsewhere, if one is named.
    fn remote(&self) -> Result<Option<Remote>, Failure> {
        let named = self.server.as_ref().zip(self.token_file.as_ref());
        let remote = named.map(|(server, token_file)| Remote::of(server, token_file)).transpose()?;
        Ok(remote.map(|remote| remote.at(self.place.env())))
    }

    /// Asks for what gives a status: `field` of the control plane, with its arguments.
    fn ask(
        &self,
        (field, variables): (&str, Value),
        request: &Request,
        alone: impl AsyncFnOnce(&Engine) -> Result<(), RolloutError>,
    ) -> Result<Told, Failure> {
        if let Some(remote) = self.remote()? {
            let query = format!("{field} {STATUS}");
            let mut data = threads()?.block_on(remote.ask(&query, variables))?;
            return Ok(Told::Elsewhere(data.get_mut("status").map(Value::take).unwrap_or_default()));
        }
        let (folder, bars) = (self.place.folder()?, Bars::default());
        if let Some(status) = folder.ask(request, &bars)? {
            return Ok(Told::Here(Box::new(status)));
        }
        // V8 wants its first call on the main thread, before other threads are started.
        prepare_v8();
        let signatures = self.place.signatures()?;
        folder.alone(&bars, async |store| {
            let pool = PoolOptions::default();
            let engine = Engine::start_with(store.clone(), pool, None, RESULTS_BYTES_MAX, Runs::SignedBundles);
            let engine = engine.map_err(Failure::because)?;
            engine.ask_for_signatures(signatures);
            let done = alone(&engine).await;
            engine.close().await;
            done.map_err(Failure::because)?;
            Ok(Told::Here(Box::new(status::status(store).map_err(Failure::because)?)))
        })
    }
}

impl Told {
    fn show(&self, json: bool) -> Result<(), Failure> {
        match self {
            Self::Here(status) if json => {
                anstream::println!("{}", serde_json::to_string(status).map_err(Failure::because)?);
            }
            Self::Here(status) => anstream::println!("{status}"),
            Self::Elsewhere(status) if json => anstream::println!("{status}"),
            Self::Elsewhere(status) => {
                anstream::println!("{}", status.get("summary").and_then(Value::as_str).unwrap_or_default());
            }
        }
        Ok(())
    }
}

fn started(
    release: &str,
    (strategy, guarded): (&Strategy, Guarded),
    more: &[NamedVariant],
    whose: &Whose,
) -> Result<Told, Failure> {
    let field = "mutation($release: String!, $strategy: StrategyInput, $unguarded: Boolean!) { \
        status: startRollout(release: $release, strategy: $strategy, unguarded: $unguarded)";
    let (given, unguarded) = (StrategyInput::variables(strategy, more), guarded == Guarded::ByHand);
    let variables = json!({ "release": release, "strategy": given, "unguarded": unguarded });
    let (name, variants) = (release.to_owned(), more.to_vec());
    let request = Request::StartRollout { release: name, strategy: strategy.clone(), variants, guarded };
    whose.ask((field, variables), &request, async |engine| {
        let found = status::find(engine.store(), release)?;
        let strategy = status::with_variants(engine.store(), strategy.clone(), more)?;
        engine.start_rollout_guarded(found.sequence, (strategy, guarded), &Actor::operator()).await.map(drop)
    })
}

fn told(whose: &Whose) -> Result<Told, Failure> {
    whose.ask(("{ status: rolloutStatus", json!({})), &Request::RolloutStatus, async |_| Ok(()))
}

fn rolled(rolling: Rolling, whose: &Whose) -> Result<Told, Failure> {
    let (field, variables) = match &rolling {
        Rolling::Advance => ("mutation { status: advanceRollout", json!({})),
        Rolling::Pause => ("mutation { status: pauseRollout", json!({})),
        Rolling::Resume => ("mutation { status: resumeRollout", json!({})),
        Rolling::Promote { release } => {
            ("mutation($release: String) { status: promoteRollout(release: $release)", json!({ "release": release }))
        }
        Rolling::Unguard => ("mutation { status: unguardRollout", json!({})),
        Rolling::RollBack { release, why } => (
            "mutation($release: String, $why: String!) { status: rollBack(release: $release, why: $why)",
            json!({ "release": release, "why": why }),
        ),
    };
    let request = Request::Roll { rolling: rolling.clone() };
    whose.ask((field, variables), &request, async |engine| {
        engine.roll(rolling.event(engine.store())?, &Actor::operator()).await.map(drop)
    })
}

/// Shows what is known of an experiment.
fn report(experiment: Option<u64>, json: bool, whose: &Whose) -> Result<(), Failure> {
    let show = |report: &ExperimentReport| {
        if json {
            anstream::println!("{}", serde_json::to_string(report).map_err(Failure::because)?);
        } else {
            anstream::println!("{report}");
        }
        Ok(())
    };
    if let Some(remote) = whose.remote()? {
        let query = "query($experiment: String) { report: experimentReport(experiment: $experiment) { json } }";
        let variables = json!({ "experiment": experiment.map(|number| number.to_string()) });
        let data = threads()?.block_on(remote.ask(query, variables))?;
        let text = data.pointer("/report/json").and_then(Value::as_str).unwrap_or_default();
        return show(&serde_json::from_str(text).map_err(Failure::because)?);
    }
    let (folder, bars) = (whose.place.folder()?, Bars::default());
    if let Some(report) = folder.ask(&Request::ExperimentReport { experiment }, &bars)? {
        return show(&report);
    }
    folder.alone(&bars, async |store| {
        let observations = Observations::of(store).map_err(Failure::because)?;
        show(&experiment::report(&observations, experiment).map_err(Failure::because)?)
    })
}

fn differences(json: bool, whose: &Whose) -> Result<(), Failure> {
    let none = || Failure::because("no release has shadowed another since the server was started");
    if let Some(remote) = whose.remote()? {
        let mut data = threads()?.block_on(remote.ask(FOUND, json!({})))?;
        let mut found = data.get_mut("found").map(Value::take).filter(Value::is_object).ok_or_else(none)?;
        let summary = found.as_object_mut().and_then(|found| found.shift_remove("summary"));
        if json {
            anstream::println!("{found}");
        } else {
            anstream::println!("{}", summary.as_ref().and_then(Value::as_str).unwrap_or_default());
        }
        return Ok(());
    }
    let found: Option<Option<ShadowReport>> = whose.place.folder()?.ask(&Request::ShadowReport, &Bars::default())?;
    let found = found.ok_or_else(|| {
        Failure::because("nobody serves this folder, and what a shadow rollout has found is in the memory of who does")
    })?;
    let found = found.ok_or_else(none)?;
    if json {
        anstream::println!("{}", serde_json::to_string(&found).map_err(Failure::because)?);
    } else {
        anstream::println!("{found}");
    }
    Ok(())
}

fn list(json: bool, place: &PlaceArguments) -> Result<(), Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let rollouts: Vec<Rollout> = match folder.ask(&Request::Rollouts, &bars)? {
        Some(rollouts) => rollouts,
        None => folder.alone(&bars, async |store| conduct::ended(store).map_err(Failure::because))?,
    };
    for rollout in &rollouts {
        if json {
            anstream::println!("{}", serde_json::to_string(rollout).map_err(Failure::because)?);
        } else {
            let started = moment(rollout.started_ms);
            let Rollout { number, candidate, started_by, .. } = rollout;
            anstream::println!(
                "{number}  sequence {candidate}  begun {started} by {started_by}: {}",
                rollout.in_words()
            );
        }
    }
    Ok(())
}

//! `weir deploy FILE|APP`: has a server serve a bundle, built and signed on the way where it is not yet.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};
use weir_engine::Engine;
use weir_engine::control::Actor;
use weir_engine::control::judge::Incompatible;
use weir_engine::engine::{RESULTS_BYTES_MAX, Runs};
use weir_engine::rollouts::conduct::Guarded;
use weir_sandbox::isolate::prepare_v8;
use weir_sandbox::pool::PoolOptions;
use weir_schema::bundle::{BUNDLE_BYTES_MAX, BadBundle, Bundle, Content};
use weir_schema::manifest;
use weir_schema::rollout::Strategy;
use weir_schema::tenant::TenantName;
use weir_store::is_data_folder;

use super::folder::threads;
use super::handed::Handed;
use super::pack::{Packed, pack_folder};
use super::place::PlaceArguments;
use super::progress::Bars;
use super::remote::{Remote, RemoteArguments};
use super::signing::SigningArguments;
use super::strategy::StrategyArguments;
use super::{Failure, logging};
use crate::admin::rollouts::StrategyInput;
use crate::control::message::{Request, Shipped};
use crate::graphql::schema::servable;

/// The arguments of `weir deploy`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A bundle (weir build), or an app folder, which is built first.
    #[arg(value_name = "FILE|APP")]
    what: PathBuf,
    #[command(flatten)]
    signing: SigningArguments,
    #[command(flatten)]
    strategy: StrategyArguments,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    elsewhere: RemoteArguments,
    /// Deploy it also if its version is too small for what it changes. What clients lose is on record.
    #[arg(long)]
    force: bool,
}

/// How it is deployed.
type How = (Strategy, Incompatible, Guarded);

/// Builds and signs what is not yet, and has it deployed.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    logging::start();
    let Arguments { what, signing, strategy, place, elsewhere, force } = arguments;
    let incompatible = if *force { Incompatible::Forced } else { Incompatible::Refused };
    let how = (strategy.strategy(), incompatible, strategy.guarded());
    if let Some(remote) = elsewhere.remote(place.env())? {
        let tenant = place.tenant().cloned().or_else(|| remote.tenant());
        return upload(&signed(what, signing, tenant.as_ref())?, &how, &remote);
    }
    anstream::println!("{}", ship(&signed(what, signing, place.tenant())?, how, place)?);
    Ok(())
}

/// Asks the control plane of a server elsewhere.
fn upload(bundle: &[u8], (strategy, incompatible, guarded): &How, remote: &Remote) -> Result<(), Failure> {
    let query = "mutation($bundle: String!, $strategy: StrategyInput, $force: Boolean!, $unguarded: Boolean!) { \
        deploy(bundle: $bundle, strategy: $strategy, force: $force, unguarded: $unguarded) { \
        wasActive release { app version sequence } rollout { number } } }";
    let (force, unguarded) = (*incompatible == Incompatible::Forced, *guarded == Guarded::ByHand);
    let strategy = StrategyInput::variables(strategy, &[]);
    let bundle = STANDARD.encode(bundle);
    let variables = json!({ "bundle": bundle, "strategy": strategy, "force": force, "unguarded": unguarded });
    let data = threads()?.block_on(remote.ask(query, variables))?;
    let text = |name: &str| data.pointer(name).and_then(Value::as_str).unwrap_or_default();
    let rollout = data.pointer("/deploy/rollout/number").and_then(Value::as_str);
    let state = match (rollout, data.pointer("/deploy/wasActive")) {
        (Some(number), _) => {
            format!("is being rolled out by rollout {number}: weir rollout status tells how far it is")
        }
        (None, Some(Value::Bool(true))) => "is served already".to_owned(),
        (None, _) => "is served".to_owned(),
    };
    let [app, version, sequence] = ["app", "version", "sequence"].map(|name| text(&format!("/deploy/release/{name}")));
    anstream::println!("{app} {version} {state}, sequence {sequence}");
    Ok(())
}

/// The bundle, signed for whom it is deployed for.
fn signed(what: &Path, signing: &SigningArguments, tenant: Option<&TenantName>) -> Result<Vec<u8>, Failure> {
    if what.is_dir() {
        let Packed { bundle, manifest, .. } = pack_folder(what)?;
        if !signing.has_keys() {
            return Err(Failure::because(
                "a bundle has to be signed: name your key with --key (weir keys generate makes one)",
            ));
        }
        return signing.sign(&bundle, &manifest, tenant);
    }
    let bundle = read_bundle(what)?;
    if !signing.has_keys() {
        return Ok(bundle);
    }
    let failure = |error: &dyn std::fmt::Display| Failure::because(format!("{}: {error}", what.display()));
    let content = Bundle::parse(&bundle).and_then(|bundle| Content::parse(bundle.content));
    let content = content.map_err(|error| failure(&error))?;
    let manifest = content.files.get("app.toml").map_or("", String::as_str);
    let manifest = manifest::parse(manifest).map_err(|error| failure(&format!("its app.toml: {error}")))?;
    signing.sign(&bundle, &manifest, tenant)
}

/// Reads the file of a bundle, if it can be one by its size.
pub fn read_bundle(file: &Path) -> Result<Vec<u8>, Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::because(format!("cannot read {}: {error}", file.display()));
    let length = fs::metadata(file).map_err(|error| failure(&error))?.len();
    if length > BUNDLE_BYTES_MAX as u64 {
        return Err(failure(&BadBundle::TooLarge));
    }
    fs::read(file).map_err(|error| failure(&error))
}

/// Asks the process that serves the folder, or does it itself.
fn ship(bundle: &[u8], how: How, place: &PlaceArguments) -> Result<Shipped, Failure> {
    let (folder, bars) = (place.folder()?, Bars::default());
    let data = folder.data();
    // In what is none nobody listens, and a file would keep it from becoming one.
    if is_data_folder(&data) {
        let handed = Handed::over(bundle, &data)?;
        let (file, (strategy, incompatible, guarded)) = (handed.path().to_owned(), how.clone());
        let request = Request::Deploy { file, strategy, incompatible, guarded };
        if let Some(shipped) = folder.ask(&request, &bars)? {
            return Ok(shipped);
        }
    }
    let signatures = place.signatures()?;
    // V8 wants its first call on the main thread, before other threads are started.
    prepare_v8();
    folder.alone(&bars, async |store| {
        let pool = PoolOptions::default();
        let engine = Engine::start_with(store.clone(), pool, None, RESULTS_BYTES_MAX, Runs::SignedBundles);
        let engine = engine.map_err(Failure::because)?;
        engine.ask_for_signatures(signatures);
        let deployed = engine.deploy_judged(bundle, how, &Actor::operator(), &servable).await;
        engine.close().await;
        deployed.map(Shipped::from).map_err(Failure::because)
    })
}

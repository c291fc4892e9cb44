//! `weir build APP -o FILE`: an app as a bundle.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use weir_engine::bundle::sign::pack;
use weir_sandbox::compile::Sources;
use weir_schema::digest::Digest;
use weir_schema::manifest::Manifest;
use weir_schema::tenant::TenantName;

use super::Failure;
use super::build::{build_or_explain, summary};
use super::signing::SigningArguments;

/// The arguments of `weir build`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The app folder.
    app: PathBuf,
    /// The file of the bundle.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    signing: SigningArguments,
    /// The tenant whom it is signed for. [default: the server itself]
    #[arg(long, value_name = "NAME", requires = "key")]
    tenant: Option<TenantName>,
}

/// Compiles the app, packs it and writes the file.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { app, output, signing, tenant } = arguments;
    let Packed { bundle, manifest, summary } = pack_folder(app)?;
    let (bundle, state) = match signing.has_keys() {
        true => (signing.sign(&bundle, &manifest, tenant.as_ref())?, "signed"),
        false => (bundle, "signed by nobody yet"),
    };
    let digest = Digest::of(&bundle);
    write(output, &bundle)?;
    anstream::println!("{summary}: {} bytes, {state}, SHA-256 {digest}", bundle.len());
    Ok(())
}

/// A bundle that nobody has signed yet.
pub struct Packed {
    /// The bundle.
    pub bundle: Vec<u8>,
    /// The app's `app.toml`.
    pub manifest: Manifest,
    /// What it is, in short.
    pub summary: String,
}

/// Makes a bundle of an app folder; mistakes go to stderr.
pub fn pack_folder(folder: &Path) -> Result<Packed, Failure> {
    let sources = Sources::read(folder).map_err(Failure::because)?;
    let built = build_or_explain(&sources)?;
    let bundle = pack(&sources).map_err(Failure::because)?;
    let summary = summary(&built.app);
    Ok(Packed { bundle, manifest: built.app.manifest, summary })
}

/// Writes a file that is whole or not there.
pub fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".partial");
    let beside = PathBuf::from(beside);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, file));
    written.map_err(|error| Failure::because(format!("cannot write {}: {error}", file.display())))
}

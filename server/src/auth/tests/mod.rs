//! Tokens that are good, and all kinds that are not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod forgery;
mod keys;
mod published;
mod realms;
mod remembered;

use std::path::Path;

use serde_json::{Value, json};

use self::keys::Signer;
use super::remote::Outside;
use super::verify::Issuers;
use crate::config::{Config, TokensSection};

/// The issuers of a `weir.toml` whose paths are in a folder.
fn issuers(folder: &Path, text: &str) -> Result<Issuers, String> {
    let file = folder.join("weir.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::read(&file).map_err(|error| error.to_string())?;
    Issuers::new(&config.issuer, &config.tokens, &Outside::real()).map_err(|error| error.to_string())
}

/// An issuer with a set of one key in a file.
fn section(folder: &Path, name: &str, algorithms: &str, signer: &Signer, kid: &str) -> String {
    std::fs::write(folder.join(format!("{kid}.json")), json!({ "keys": [signer.jwk(kid)] }).to_string()).unwrap();
    format!(
        "[[issuer]]\nissuer = \"{name}\"\nalgorithms = [{algorithms}]\naudience = [\"weir\", \"other\"]\n\
         keys = [{{ file = \"{kid}.json\" }}]\n"
    )
}

/// Writes a file that only its owner can read.
fn write_secret(file: &Path, secret: &[u8]) {
    std::fs::write(file, secret).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn header(algorithm: &str, kid: &str) -> Value {
    json!({ "typ": "JWT", "alg": algorithm, "kid": kid })
}

/// The settings of tests that have times of their own.
fn settings(refresh: u64, believed: u64, interval: u64) -> TokensSection {
    let seconds = std::time::Duration::from_secs;
    TokensSection {
        keys_refresh: seconds(refresh),
        keys_believed: seconds(believed),
        keys_interval: seconds(interval),
        ..TokensSection::default()
    }
}

//! The npm package `@weir/client`: it compiles, its own tests hold against the real binary, and what is built can be imported.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::node;
use crate::weir::{Ended, PATIENCE, binary, finish};

/// The longest that all tests of the package may take.
const PATIENCE_FOR_TESTS: Duration = Duration::from_secs(600);

fn run(package: &Path, script: &str, arguments: &[&str], patience: Duration) -> Ended {
    let mut node = Command::new("node");
    node.arg(script).args(arguments).current_dir(package).env("WEIR_BINARY", binary()).env_remove("WEIR_LOG");
    finish(node, patience)
}

#[track_caller]
fn succeeded(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn the_typescript_client_keeps_its_promises() {
    let test = "the_typescript_client_keeps_its_promises";
    let Some(package) = node::package(test, "clients/typescript", "typescript-client") else { return };
    let compiler = "node_modules/typescript/bin/tsc";
    succeeded(&run(&package, compiler, &["--noEmit", "--pretty", "false"], PATIENCE));
    succeeded(&run(&package, compiler, &["--pretty", "false", "--project", "tsconfig.build.json"], PATIENCE));
    // By its own name, through what package.json exports.
    let import = "const { createClient } = await import('@weir/client'); \
        createClient({ url: 'ws://127.0.0.1:1', webSocketImpl: (await import('ws')).default })";
    succeeded(&run(&package, "--input-type=module", &["--eval", import], PATIENCE));
    succeeded(&run(&package, "node_modules/vitest/vitest.mjs", &["run"], PATIENCE_FOR_TESTS));
}

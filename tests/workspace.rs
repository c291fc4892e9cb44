//! The rules of the workspace itself, read from its files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use toml::Table;

use crate::apps::root;

/// Each package and the ones of this workspace that it may use: dependencies run one way.
const DIRECTIONS: [(&str, &str, &[&str]); 8] = [
    ("schema", "weir-schema", &[]),
    ("migrations", "weir-migrations", &[]),
    ("store", "weir-store", &["weir-schema", "weir-migrations"]),
    ("sandbox", "weir-sandbox", &["weir-schema"]),
    ("engine", "weir-engine", &["weir-schema", "weir-store", "weir-sandbox"]),
    ("server", "weir", &["weir-schema", "weir-store", "weir-sandbox", "weir-engine"]),
    ("tests", "weir-tests", &[]),
    ("tests/checker", "weir-checker", &[]),
];

/// What only tests may use, of any package.
const FOR_TESTS: &str = "weir-checker";

/// Crates that only one package may use. Benchmarks may compare with them.
const CONFINED: [(&str, &str); 10] = [
    ("surrealkv", "store"),
    ("cedar-policy", "engine"),
    ("deno_core", "sandbox"),
    ("oxc", "sandbox"),
    ("swc_ecma_parser", "sandbox"),
    ("landlock", "sandbox"),
    ("seccompiler", "sandbox"),
    ("axum", "server"),
    ("async-graphql", "server"),
    ("clap", "server"),
];

/// The longest file of code, in lines.
const FILE_LINES_MAX: usize = 600;

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn table(path: &str) -> Table {
    text(path).parse().unwrap()
}

/// The names under some of the sections of a package's `Cargo.toml`, also of those for some systems only.
fn dependencies(folder: &str, sections: &[&str]) -> BTreeSet<String> {
    let manifest = table(&format!("{folder}/Cargo.toml"));
    let systems = manifest.get("target").and_then(|systems| systems.as_table()).into_iter().flat_map(Table::values);
    let all: Vec<&Table> = systems.filter_map(|system| system.as_table()).chain([&manifest]).collect();
    let sections = sections.iter().flat_map(|section| all.iter().filter_map(|table| table.get(*section)?.as_table()));
    sections.flat_map(|section| section.keys().cloned()).collect()
}

#[test]
fn dependencies_run_one_way() {
    let members = table("Cargo.toml")["workspace"]["members"].clone();
    let members: BTreeSet<&str> = members.as_array().unwrap().iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, DIRECTIONS.iter().map(|(folder, ..)| *folder).collect());
    for (folder, package, allowed) in DIRECTIONS {
        let name = table(&format!("{folder}/Cargo.toml"))["package"]["name"].as_str().unwrap().to_owned();
        assert_eq!(name, package);
        let is_ours = |used: &str| DIRECTIONS.iter().any(|(_, ours, _)| *ours == used);
        for used in dependencies(folder, &["dependencies", "build-dependencies"]) {
            assert!(!is_ours(&used) || allowed.contains(&used.as_str()), "{package} must not depend on {used}");
        }
        for used in dependencies(folder, &["dev-dependencies"]) {
            let is_allowed = !is_ours(&used) || allowed.contains(&used.as_str()) || used == FOR_TESTS;
            assert!(is_allowed, "{package}'s tests must not depend on {used}");
        }
    }
}

#[test]
fn what_is_wrapped_has_one_user() {
    for (krate, owner) in CONFINED {
        for (folder, package, _) in DIRECTIONS {
            let uses = dependencies(folder, &["dependencies", "build-dependencies"]).contains(krate);
            assert_eq!(uses, folder == owner, "{package} and {krate}");
        }
    }
    let pure = dependencies("schema", &["dependencies"]);
    assert!(!pure.contains("tokio"), "schema is pure");
}

#[test]
fn every_package_inherits_the_lints() {
    let lints = table("Cargo.toml")["workspace"]["lints"].clone();
    assert_eq!(lints["rust"]["missing_docs"].as_str(), Some("deny"));
    for (folder, package, _) in DIRECTIONS {
        let manifest = table(&format!("{folder}/Cargo.toml"));
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{package}");
    }
}

#[test]
fn files_are_one_idea_long() {
    let mut files = Vec::new();
    for (folder, ..) in DIRECTIONS.into_iter().filter(|(folder, ..)| *folder != "tests") {
        find(&root().join(folder), &mut files);
    }
    assert!(files.len() > 100, "{files:?}");
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines; split it at an idea", file.display());
    }
}

/// The files of code in a folder, tests and what others wrote left out.
fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" && name != "assets" {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| ["rs", "js", "ts"].iter().any(|code| extension == *code)) {
            files.push(path);
        }
    }
}

#[test]
fn the_vendored_library_is_the_one_that_was_built() {
    let sums = text("vendor/v8/SHA256SUMS");
    for line in sums.lines() {
        let (expected, name) = line.split_once("  ").unwrap();
        let digest = Sha256::digest(fs::read(root().join("vendor/v8").join(name)).unwrap());
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected, "{name}");
    }
    let archive = table(".cargo/config.toml")["env"]["RUSTY_V8_ARCHIVE"]["value"].as_str().unwrap().to_owned();
    let name = archive.strip_prefix("vendor/v8/").unwrap();
    assert!(sums.contains(name), "{name} has no checksum");
}

#[test]
fn the_vendored_library_is_of_the_locked_version() {
    let locked = table("Cargo.lock");
    let packages = locked["package"].as_array().unwrap();
    let versions: Vec<&str> = packages
        .iter()
        .filter(|package| package["name"].as_str() == Some("v8"))
        .map(|v8| v8["version"].as_str().unwrap())
        .collect();
    let [version] = versions[..] else { panic!("{versions:?}") };
    let vendored = text("vendor/v8/README.md");
    assert!(vendored.contains(&format!("`v8` {version}")), "vendor/v8/README.md is not about {version}");
    let readme = text("README.md");
    assert!(readme.contains(&format!("/v{version}/")), "README.md does not name {version} for other platforms");
}

#[test]
fn the_readme_sets_up_with_two_commands() {
    let readme = text("README.md");
    let (_, set_up) = readme.split_once("\n## Set up\n").unwrap();
    let (set_up, _) = set_up.split_once("\n## ").unwrap();
    let commands: Vec<&str> =
        set_up.split("```sh\n").skip(1).map(|block| block.split_once("\n```").unwrap().0).collect();
    assert_eq!(commands, ["cargo run --release -- dev examples/shop", "cargo test --workspace"]);
}

#[test]
fn packages_of_npm_are_locked_and_name_no_registry() {
    // What is published says which versions of others it works with; all else names one.
    for (folder, exact) in [
        ("tests/clients", "dependencies"),
        ("tests/typed", "dependencies"),
        ("tests/browser", "dependencies"),
        ("tests/benches/edge/node", "dependencies"),
        ("tests/benches/peers", "dependencies"),
        ("clients/typescript", "devDependencies"),
    ] {
        let manifest: Value = serde_json::from_str(&text(&format!("{folder}/package.json"))).unwrap();
        for (name, version) in manifest[exact].as_object().unwrap() {
            let version = version.as_str().unwrap();
            assert!(
                version.split('.').count() == 3 && version.bytes().all(|b| b == b'.' || b.is_ascii_digit()),
                "{name}: {version}"
            );
        }
        let lock: Value = serde_json::from_str(&text(&format!("{folder}/package-lock.json"))).unwrap();
        for section in ["dependencies", "devDependencies", "peerDependencies"] {
            assert_eq!(lock["packages"][""].get(section), manifest.get(section), "{folder}: {section}");
        }
        for (name, package) in lock["packages"].as_object().unwrap() {
            assert!(package.get("resolved").is_none(), "{name}");
            assert!(name.is_empty() || package["integrity"].is_string(), "{name}");
        }
    }
}

#[test]
fn tests_that_the_documentation_of_the_protocol_names_exist() {
    let page = text("docs/websocket-protocol.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.ends_with("the test |"));
    let named: Vec<&str> =
        rows.flat_map(|row| row.rsplit_once(" | ").unwrap().1.split('`').skip(1).step_by(2)).collect();
    let folder = fs::read_dir(root().join("server/tests/server")).unwrap();
    let tests: String = folder.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    for name in &named {
        assert!(tests.contains(&format!("async fn {name}()")), "there is no test {name}");
    }
    assert!(named.len() > 30, "{named:?}");
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from);
    let docs =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| Path::new("docs").join(entry.unwrap().file_name()));
    let packages = ["clients/typescript/README.md", "load-tests/README.md"].map(PathBuf::from);
    for page in pages.into_iter().chain(docs).chain(packages) {
        let folder = root().join(&page).parent().unwrap().to_owned();
        for link in text(page.to_str().unwrap()).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let local = !target.is_empty() && !target.contains("://");
            assert!(!local || folder.join(target).exists(), "{}: {target} does not exist", page.display());
        }
    }
}

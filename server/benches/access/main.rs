//! What it costs to know who calls and what they may do.
//!
//! `cargo bench --bench access` prints medians and ratios; words after `--` name groups: `tokens`, `whole`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark"
)]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../src/auth/tests/keys.rs"]
mod keys;
mod tokens;
mod whole;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |group: &str| wanted.is_empty() || wanted.iter().any(|one| one == group);
    if is_wanted("tokens") {
        tokens::run();
    }
    if is_wanted("whole") {
        whole::run();
    }
}

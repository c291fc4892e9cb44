//! Log lines on stderr, for people at a terminal.
//!
//! `WEIR_LOG` chooses what is shown, in the syntax of `tracing-subscriber`'s `EnvFilter`: `WEIR_LOG=debug`.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Libraries whose everyday lines are not for an app's author.
const QUIETER: [&str; 2] = ["surrealkv=warn", "notify=error"];

/// Starts logging.
pub fn start() {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).with_env_var("WEIR_LOG").from_env_lossy();
    let filter = QUIETER.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}

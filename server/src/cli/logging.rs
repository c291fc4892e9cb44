//! Log lines on stderr, for people at a terminal.
//!
//! `WEIR_LOG` chooses what is shown, in the syntax of `tracing-subscriber`'s `EnvFilter`: `WEIR_LOG=debug`.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Starts logging.
pub fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var("WEIR_LOG")
        .from_env_lossy()
        .add_directive(LevelFilter::WARN.into_directive("surrealkv"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}

/// A filter directive for one crate.
trait IntoDirective {
    fn into_directive(self, target: &str) -> tracing_subscriber::filter::Directive;
}

impl IntoDirective for LevelFilter {
    fn into_directive(self, target: &str) -> tracing_subscriber::filter::Directive {
        format!("{target}={self}").parse().unwrap_or_else(|_| self.into())
    }
}

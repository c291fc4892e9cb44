//! Log lines on stderr, for people at a terminal.
//!
//! What is written while a request is being answered ends with the address of its client and its number. It is not a span: one would be made
//! for each request, and most requests write nothing.
//!
//! `WEIR_LOG` chooses what is shown, in the syntax of `tracing-subscriber`'s `EnvFilter`: `WEIR_LOG=debug`.

use std::fmt;
use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::request_id::RequestId;

/// Libraries whose everyday lines are not for an app's author, and one whose most talkative lines have what clients send, tokens
/// among them.
const QUIETER: [&str; 3] = ["surrealkv=warn", "notify=error", "tungstenite=debug"];

/// Starts logging.
pub fn start() {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).with_env_var("WEIR_LOG").from_env_lossy();
    let filter = QUIETER.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive);
    let is_terminal = stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(is_terminal)
        .event_format(Numbered(Format::default().with_target(false).without_time().with_ansi(is_terminal)))
        .init();
}

/// Lines with the number and the client of the request that is being answered.
struct Numbered(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Numbered
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some((id, client)) = RequestId::current_of_client() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{} client={client} request={id}", line.trim_end())
    }
}

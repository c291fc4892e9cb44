//! A progress bar on stderr, where stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over the bytes of a file.
pub fn bytes(what: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    let template = "{msg:>10} [{bar:30}] {bytes}/{total_bytes} {elapsed} (left: {eta})";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        // The template is a constant: it is the one that works.
        Err(_) => bar,
    }
}

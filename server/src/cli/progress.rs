//! Progress bars on stderr, where stderr is a terminal.

use std::ops::ControlFlow;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use weir_store::progress::{Phase, Progress, Watch};

/// A bar over the bytes of a file.
pub fn bytes(what: &'static str, length: u64) -> ProgressBar {
    styled(
        ProgressBar::new(length).with_message(what),
        "{msg:>10} [{bar:30}] {bytes}/{total_bytes} {elapsed} (left: {eta})",
    )
}

/// A count of records, of which nobody knows how many there are.
fn records(what: &'static str) -> ProgressBar {
    styled(ProgressBar::no_length().with_message(what), "{msg:>10} {human_pos} records {elapsed}")
}

fn styled(bar: ProgressBar, template: &'static str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        // The templates are constants: they are ones that work.
        Err(_) => bar,
    }
}

/// The bars of an operation of the store, one after the other. Cheap to clone; all clones are the same bars.
#[derive(Clone, Default)]
pub struct Bars(Arc<Mutex<Option<(Phase, ProgressBar)>>>);

impl Bars {
    /// Shows how far it is.
    pub fn show(&self, progress: Progress) {
        let Progress { phase, done, total } = progress;
        let mut shown = self.0.lock();
        let bar = match shown.take() {
            Some((before, bar)) if before == phase => bar,
            before => {
                if let Some((_, bar)) = before {
                    bar.finish_and_clear();
                }
                total.map_or_else(|| records(name(phase)), |total| bytes(name(phase), total))
            }
        };
        bar.set_position(done);
        *shown = Some((phase, bar));
    }

    /// Shows what it is told and lets everything go on.
    pub fn watch(&self) -> Watch {
        let bars = self.clone();
        Arc::new(move |progress| {
            bars.show(progress);
            ControlFlow::Continue(())
        })
    }

    /// Takes the last one away.
    pub fn clear(&self) {
        if let Some((_, bar)) = self.0.lock().take() {
            bar.finish_and_clear();
        }
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Checking => "checking",
        Phase::Copying => "copying",
        Phase::Verifying => "verifying",
        Phase::Exporting => "exporting",
        Phase::Loading => "loading",
    }
}

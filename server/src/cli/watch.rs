//! Watches an app folder and says when its files have come to rest.
//!
//! A save is seldom one event: editors truncate, write in pieces, rename. A change counts as finished when nothing has
//! happened for [`QUIET`] and no file that was written to is still open, as far as the system tells (Linux does).

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, timeout, timeout_at};

/// Nothing has happened for so long: the files are at rest.
const QUIET: Duration = Duration::from_millis(40);
/// After this long the developer is told which file is still being written.
const WRITING_LONG: Duration = Duration::from_secs(2);

/// A watched folder. Dropping it ends the watch.
pub struct FolderWatch {
    _watcher: RecommendedWatcher,
    events: Receiver<Event>,
    /// Events did not fit: anything may have changed.
    overflowed: Arc<AtomicBool>,
}

/// Events that wait while a change is being built.
const EVENTS_MAX: usize = 1_024;

impl FolderWatch {
    /// Starts to watch a folder with all that is in it.
    pub fn start(folder: &Path) -> notify::Result<Self> {
        let (sender, events) = channel(EVENTS_MAX);
        let overflowed = Arc::new(AtomicBool::new(false));
        let (root, overflow) = (folder.to_owned(), overflowed.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(mut event) => {
                event.paths.retain(|path| is_source(&root, path));
                let matters = !event.paths.is_empty() || event.need_rescan();
                if matters && sender.try_send(event).is_err() {
                    overflow.store(true, Ordering::Relaxed);
                }
            }
            Err(error) => tracing::warn!("a change may have been missed: {error}"),
        })?;
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(Self { _watcher: watcher, events, overflowed })
    }

    /// Waits for a change of a source file and for the files to come to rest after it.
    pub async fn changed(&mut self) {
        let mut writing = HashSet::new();
        loop {
            match self.events.recv().await {
                Some(event) => {
                    if note(&event, &mut writing) {
                        break;
                    }
                }
                None => std::future::pending::<()>().await,
            }
        }
        let mut patience = Some(Instant::now() + WRITING_LONG);
        loop {
            let next = match (writing.is_empty(), patience) {
                _ if self.overflowed.swap(false, Ordering::Relaxed) => {
                    writing.clear();
                    continue;
                }
                (true, _) => timeout(QUIET, self.events.recv()).await,
                (false, Some(patience)) => timeout_at(patience, self.events.recv()).await,
                (false, None) => Ok(self.events.recv().await),
            };
            match next {
                Ok(Some(event)) => {
                    note(&event, &mut writing);
                }
                Err(_) if !writing.is_empty() => {
                    patience = None;
                    for path in &writing {
                        tracing::info!("waiting for {}, which is still being written", path.display());
                    }
                }
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// Whether the event changes a source file; keeps track of files that are being written.
fn note(event: &Event, writing: &mut HashSet<PathBuf>) -> bool {
    if event.need_rescan() {
        // Events were lost, maybe the one that a file was closed.
        writing.clear();
        return true;
    }
    for path in &event.paths {
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) if cfg!(target_os = "linux") => {
                writing.insert(path.clone());
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Remove(_) => {
                writing.remove(path);
            }
            EventKind::Modify(ModifyKind::Name(_)) => {
                writing.remove(path);
            }
            _ => {}
        }
    }
    !matches!(event.kind, EventKind::Access(AccessKind::Open(_) | AccessKind::Read))
}

/// TypeScript, `app.toml`, `policies.cedar` or a folder of the app; not what tools keep beside it, nor the data.
fn is_source(root: &Path, path: &Path) -> bool {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let hidden = relative.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name.starts_with('.') || name == "node_modules"
    });
    let named = relative == Path::new("app.toml")
        || relative == Path::new("policies.cedar")
        || relative.extension().is_none_or(|extension| extension == "ts");
    !hidden && named
}

//! A worker process, as its host sees it: started, killed, and asked what it died of.
//!
//! Dropping it ends the process. A worker that loses its host ends by itself, since its control channel closes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_schema::limits::Limit;

use super::channel::{Channel, ChannelError};
use super::descriptors;
use super::frame::{self, Report, Setup};
use super::guest;
use crate::lockdown;

/// The longest report of a worker, in bytes.
const REPORT_BYTES_MAX: usize = 4 << 10;

/// What V8 says when it ends the process for want of memory.
const V8_ON_MEMORY: &str = "out of memory";

/// How much of what a worker said on its way out is logged, in bytes.
const LAST_WORDS_BYTES_MAX: u64 = 4 << 10;

/// What it is called in lists of processes: the path that it is started by says nothing.
const NAME: &str = "weir";

/// A worker process.
pub struct Worker {
    id: u32,
    running: Mutex<Option<Running>>,
    dead: AtomicBool,
    /// Whether its host has killed it, with whatever was under way.
    is_killed: AtomicBool,
    under_way: AtomicUsize,
    /// What it died of, once it is dead.
    death: Mutex<Death>,
}

#[derive(Default)]
struct Death {
    /// For the fault of these isolates, as it said itself.
    culprits: HashMap<u32, Limit>,
    /// V8 had no memory left, on a thread of its own, while a single call was under way.
    of_memory_alone: bool,
}

struct Running {
    child: Child,
    control: Channel,
    stderr: Option<ChildStderr>,
}

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No process.
    #[error("cannot start a worker process: {0}")]
    Spawn(#[from] io::Error),
    /// It does not take what it is told.
    #[error("a worker process does not listen: {0}")]
    Channel(#[from] ChannelError),
}

/// The binary that is running, also where its file has been replaced meanwhile.
pub fn this_program() -> io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Ok(own.to_owned()) } else { std::env::current_exe() }
}

impl Worker {
    /// Starts a process with nothing of this one but what it is told, and hands it the far ends of its channels.
    /// `bytes_each` is what each of its isolates may need.
    pub fn start(program: &Path, setup: &Setup, bytes_each: u64, channels: Vec<OwnedFd>) -> Result<Self, StartError> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = Command::new(program)
            .arg0(NAME)
            .arg(guest::ARGUMENT)
            .args([channels.len().to_string(), bytes_each.to_string()])
            .env_clear()
            .envs(guest::ENVIRONMENT)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is for the host alone: its calls come to their ends first.
            .process_group(0)
            .spawn()?;
        let stderr = child.stderr.take();
        match tell(ours, setup, &channels) {
            Ok(control) => Ok(Self {
                id: child.id(),
                running: Mutex::new(Some(Running { child, control, stderr })),
                dead: AtomicBool::new(false),
                is_killed: AtomicBool::new(false),
                under_way: AtomicUsize::new(0),
                death: Mutex::default(),
            }),
            Err(error) => {
                end(&mut child)?;
                Err(error)
            }
        }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What of the lock-down is on, once it has said so. To be asked when its isolates are ready, and once.
    pub fn lock_down(&self) -> Option<lockdown::Report> {
        let mut running = self.running.lock();
        let bytes = running.as_mut()?.control.try_receive().ok()??;
        match frame::read_owned(&bytes) {
            Ok(Report::LockedDown(report)) => Some(report),
            _ => None,
        }
    }

    /// Whether it is known to be dead.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Notes that a call is under way in it, until the value is dropped.
    pub fn enter(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    /// Kills it, with whatever is under way in it. Who hears of that buries it.
    pub fn kill(&self) {
        self.is_killed.store(true, Ordering::Release);
        if let Some(Running { child, .. }) = &mut *self.running.lock()
            && let Err(error) = child.kill()
        {
            tracing::warn!("worker {} cannot be ended: {error}", self.id);
        }
    }

    /// Kills it if it is not dead yet, and finds out what it died of. The first who asks does the work.
    pub fn bury(&self) {
        let mut running = self.running.lock();
        let Some(Running { mut child, mut control, stderr }) = running.take() else { return };
        let ended = end(&mut child);
        let death = &mut *self.death.lock();
        // What it wrote before its end is there still.
        while let Ok(Some(bytes)) = control.try_receive() {
            match frame::read_owned(&bytes) {
                Ok(Report::Culprit { isolate, limit }) => {
                    death.culprits.insert(isolate, limit);
                }
                Ok(Report::LockedDown(_)) => {}
                Err(error) => tracing::warn!("worker {}: {error}", self.id),
            }
        }
        let words = stderr.map(last_words).unwrap_or_default();
        let is_alone = self.under_way.load(Ordering::Relaxed) == 1;
        death.of_memory_alone = is_alone && death.culprits.is_empty() && words.contains(V8_ON_MEMORY);
        self.dead.store(true, Ordering::Release);
        if !self.is_killed.load(Ordering::Acquire) {
            tell_of_its_end(self.id, ended, death, &words);
        }
    }

    /// The limit for which it died, if that was the fault of this isolate's call.
    pub fn culprit(&self, isolate: u32) -> Option<Limit> {
        let death = self.death.lock();
        death.culprits.get(&isolate).copied().or(death.of_memory_alone.then_some(Limit::Heap))
    }

    /// The limit for which it died, whichever isolate's fault it was.
    pub fn any_culprit(&self) -> Option<Limit> {
        self.death.lock().culprits.values().next().copied()
    }
}

/// A call under way in a worker.
pub struct UnderWay(Arc<Worker>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

fn tell_of_its_end(id: u32, ended: io::Result<ExitStatus>, death: &Death, words: &str) {
    let ended = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
    match death.culprits.values().next() {
        Some(limit) => tracing::warn!("worker {id} was ended by a call past {limit} ({ended})"),
        None if death.of_memory_alone => tracing::warn!("worker {id} had no memory left ({ended})"),
        None => {
            let words = if words.is_empty() { String::new() } else { format!(":\n{words}") };
            tracing::error!("worker {id} died ({ended}); calls that were under way in it are made again{words}");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(Running { mut child, .. }) = self.running.get_mut().take()
            && let Err(error) = end(&mut child)
        {
            tracing::warn!("worker {} cannot be ended: {error}", self.id);
        }
    }
}

fn tell(ours: UnixStream, setup: &Setup, channels: &[OwnedFd]) -> Result<Channel, StartError> {
    descriptors::send(&ours, channels)?;
    let mut control = Channel::new(ours, REPORT_BYTES_MAX)?;
    control.send(setup, Some(Instant::now() + START_PATIENCE))?;
    Ok(control)
}

/// Kills a process and waits for its end.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    child.kill()?;
    child.wait()
}

/// What it wrote to stderr, for the log: V8 says there what it could not go on with.
fn last_words(stderr: ChildStderr) -> String {
    let mut words = Vec::new();
    let file = File::from(OwnedFd::from(stderr));
    // The pipe ends with the process, unless it left somebody behind: what is not there by now stays unsaid.
    let _ = rustix::io::ioctl_fionbio(&file, true);
    let _ = file.take(LAST_WORDS_BYTES_MAX).read_to_end(&mut words);
    String::from_utf8_lossy(&words).trim().to_owned()
}

/// How long a worker may take from its start to an isolate that is ready, beyond what loading the app may take.
pub const START_PATIENCE: Duration = Duration::from_secs(20);

//! What goes on on a connection, and when it has been quiet for too long.
//!
//! Requests and the socket count what they do; a timer for each connection looks at the counts now and then. So a request
//! costs a few additions and no timer of its own, and what is to end after some time ends before that has passed twice.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Version;
use futures_util::task::AtomicWaker;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};

use super::options::ConnectionOptions;

/// Fewer bytes than these say nothing about who takes them: they are pings of HTTP/2, and the ends of TLS.
const PROGRESS_BYTES_MIN: u64 = 1 << 10;

/// The counts of a connection.
#[derive(Debug, Default)]
pub struct Activity {
    /// Bytes that have come.
    pub(super) read: AtomicU64,
    /// Bytes that the operating system has taken.
    pub(super) written: AtomicU64,
    /// Whether it takes no more at present.
    pub(super) is_full: AtomicBool,
    /// Requests that have begun.
    requests: AtomicU64,
    /// Those whose responses are not at their ends.
    running: AtomicU32,
    /// Responses of which a piece was taken, and no more was asked for since.
    held: AtomicU32,
    /// The value of `read` when the last response was at its end.
    read_before: AtomicU64,
    /// What [`Bodies`](super::bodies::Bodies) hold of its requests.
    pub(super) bodies: AtomicU64,
    /// Whether it was given up.
    is_cut: AtomicBool,
    /// How many bytes may have come, if that is bounded; otherwise none.
    allowed: AtomicU64,
    /// Who waits to write.
    writer: AtomicWaker,
    /// Whether requests share the connection: then what comes may be anything but the head of one.
    is_shared: AtomicBool,
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// The head of a request has not come whole.
    Head,
    /// No request has come.
    Idle,
    /// There is something to send, and the peer takes nothing.
    Stalled,
}

/// What a look at a connection shows.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// What it would be closed for; `None`: it waits for the server.
    quiet: Option<Quiet>,
    requests: u64,
    written: u64,
}

impl Look {
    /// Whether nothing has happened since another look.
    fn is_as(&self, other: &Self) -> bool {
        let sent = self.written.saturating_sub(other.written) >= PROGRESS_BYTES_MIN;
        // Answers to the head of a request begin after it.
        let sent = sent && self.quiet != Some(Quiet::Head);
        // Who asks for more takes nothing by that.
        let asked = self.requests != other.requests && self.quiet != Some(Quiet::Stalled);
        self.quiet == other.quiet && !asked && !sent
    }
}

/// How long a connection has looked the same.
struct Patience {
    last: Look,
    since: Instant,
}

impl Patience {
    fn new(last: Look, since: Instant) -> Self {
        Self { last, since }
    }

    /// What the connection is to be closed for, after another look.
    fn is_over(&mut self, look: Look, now: Instant, options: &ConnectionOptions) -> Option<Quiet> {
        if !look.is_as(&self.last) {
            *self = Self::new(look, now);
            return None;
        }
        let max = match look.quiet? {
            Quiet::Head => options.header_timeout,
            Quiet::Idle => options.idle_timeout,
            Quiet::Stalled => options.stalled_timeout,
        };
        look.quiet.filter(|_| now.duration_since(self.since) >= max)
    }
}

impl Activity {
    /// Counts a request until its response is at its end.
    pub fn begin(self: &Arc<Self>, version: Version) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.is_shared.store(true, Ordering::Relaxed);
        }
        Running(self.clone())
    }

    /// Whether a response is not at its end.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Gives the connection up.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.writer.wake();
    }

    /// Lets no more than so many bytes come from here on, until [`Self::allow_all`].
    pub fn allow(&self, bytes: u64) {
        self.allowed.store(self.read.load(Ordering::Relaxed).saturating_add(bytes).max(1), Ordering::Relaxed);
    }

    /// Lets come what will.
    pub fn allow_all(&self) {
        self.allowed.store(0, Ordering::Relaxed);
    }

    /// Whether more has come than was let.
    pub fn is_over(&self) -> bool {
        let allowed = self.allowed.load(Ordering::Relaxed);
        allowed > 0 && self.read.load(Ordering::Relaxed) > allowed
    }

    /// Fails once the connection was given up, or more has come than was let.
    pub(super) fn check_read(&self) -> io::Result<()> {
        self.check()?;
        if self.is_over() { Err(io::ErrorKind::QuotaExceeded.into()) } else { Ok(()) }
    }

    /// Fails once the connection was given up.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.is_cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Notes how many bytes were written, and that whoever could write none is to be woken. Fails once the connection was given up.
    pub(super) fn wrote(&self, wrote: Poll<io::Result<usize>>, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        match &wrote {
            Poll::Ready(Ok(bytes)) => drop(self.written.fetch_add(*bytes as u64, Ordering::Relaxed)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.writer.register(cx.waker()),
        }
        let is_full = wrote.is_pending();
        if self.is_full.load(Ordering::Relaxed) != is_full {
            self.is_full.store(is_full, Ordering::Relaxed);
        }
        // Looked at last, so that whoever cuts it wakes who waits here.
        self.check()?;
        wrote
    }

    /// Waits until nothing has happened for as long as that may be.
    pub async fn quiet(&self, options: &ConnectionOptions) -> Quiet {
        let mut patience = Patience::new(self.look(), Instant::now());
        let every = options.header_timeout.min(options.idle_timeout).min(options.stalled_timeout);
        loop {
            sleep(every).await;
            if let Some(quiet) = patience.is_over(self.look(), Instant::now(), options) {
                return quiet;
            }
        }
    }

    fn look(&self) -> Look {
        let requests = self.requests.load(Ordering::Relaxed);
        let written = self.written.load(Ordering::Relaxed);
        let is_held = self.held.load(Ordering::Relaxed) > 0;
        let is_heading = || {
            let more = self.read.load(Ordering::Relaxed) > self.read_before.load(Ordering::Relaxed);
            requests == 0 || more && !self.is_shared.load(Ordering::Relaxed)
        };
        let quiet = match self.running.load(Ordering::Relaxed) {
            _ if is_held || self.is_full.load(Ordering::Relaxed) => Some(Quiet::Stalled),
            0 if is_heading() => Some(Quiet::Head),
            0 => Some(Quiet::Idle),
            _ => None,
        };
        Look { quiet, requests, written }
    }
}

/// A request whose response is not at its end.
#[derive(Debug)]
pub struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.read_before.store(self.0.read.load(Ordering::Relaxed), Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a response, which counts as running to its end.
pub struct Counted {
    body: Body,
    is_held: bool,
    running: Running,
}

impl Counted {
    /// The body of the response to this request.
    pub fn of(body: Body, running: Running) -> Self {
        Self { body, is_held: false, running }
    }

    fn hold(&mut self, is_held: bool) {
        if std::mem::replace(&mut self.is_held, is_held) != is_held {
            let held = &self.running.0.held;
            if is_held {
                held.fetch_add(1, Ordering::Relaxed)
            } else {
                held.fetch_sub(1, Ordering::Relaxed)
            };
        }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        // Also after the last piece: over HTTP/2 it waits there for the peer's window.
        let is_held = matches!(polled, Poll::Ready(Some(Ok(_))));
        self.hold(is_held);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.hold(false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn options() -> ConnectionOptions {
        ConnectionOptions {
            header_timeout: 10 * SECOND,
            idle_timeout: 40 * SECOND,
            stalled_timeout: 20 * SECOND,
            ..ConnectionOptions::default()
        }
    }

    /// Why and after how many seconds a connection is closed on which something is done every second, with a look every ten.
    fn check(mut every_second: impl FnMut(&Arc<Activity>, u32)) -> Option<(Quiet, u32)> {
        let (activity, began) = (Arc::new(Activity::default()), Instant::now());
        let mut patience = Patience::new(activity.look(), began);
        for second in 0..200 {
            if second > 0 && second % 10 == 0 {
                let quiet = patience.is_over(activity.look(), began + second * SECOND, &options());
                if let Some(quiet) = quiet {
                    return Some((quiet, second));
                }
            }
            every_second(&activity, second);
        }
        None
    }

    fn read(activity: &Activity, bytes: u64) {
        activity.read.fetch_add(bytes, Ordering::Relaxed);
    }

    #[test]
    fn a_connection_is_closed_for_what_it_waits_for() {
        // Nothing comes, or a byte of a head each second.
        assert_eq!(check(|_, _| {}), Some((Quiet::Head, 10)));
        assert_eq!(check(|activity, _| read(activity, 1)), Some((Quiet::Head, 10)));
        // A request, and nothing more.
        let once = |activity: &Arc<Activity>, second| {
            if second == 1 {
                read(activity, 100);
                drop(activity.begin(Version::HTTP_11));
            }
        };
        assert_eq!(check(once), Some((Quiet::Idle, 50)));
        // A request, and half of the next.
        let half = |activity: &Arc<Activity>, second| {
            once(activity, second);
            read(activity, u64::from(second > 1));
        };
        assert_eq!(check(half), Some((Quiet::Head, 20)));
        // Over HTTP/2 that may be anything.
        let shared = |activity: &Arc<Activity>, second| {
            read(activity, 1);
            if second == 1 {
                drop(activity.begin(Version::HTTP_2));
            }
        };
        assert_eq!(check(shared), Some((Quiet::Idle, 50)));
        // One request every half a minute.
        let now_and_then = |activity: &Arc<Activity>, second| {
            if second % 30 == 1 {
                drop(activity.begin(Version::HTTP_11));
            }
        };
        assert_eq!(check(now_and_then), None);
    }

    #[test]
    fn a_request_that_runs_may_take_its_time() {
        let mut running = Vec::new();
        let begin = |activity: &Arc<Activity>, second| {
            if second == 0 {
                running.push(activity.begin(Version::HTTP_11));
            }
        };
        assert_eq!(check(begin), None);
    }

    #[test]
    fn a_peer_takes_something_or_is_gone() {
        let mut running = Vec::new();
        let mut check_written = |bytes: u64| {
            check(|activity, second| {
                if second == 0 {
                    running.push(activity.begin(Version::HTTP_11));
                    activity.is_full.store(true, Ordering::Relaxed);
                }
                activity.written.fetch_add(bytes, Ordering::Relaxed);
            })
        };
        assert_eq!(check_written(0), Some((Quiet::Stalled, 30)));
        // Pings of HTTP/2.
        assert_eq!(check_written(1), Some((Quiet::Stalled, 30)));
        assert_eq!(check_written(PROGRESS_BYTES_MIN), None);
    }

    #[tokio::test]
    async fn a_body_of_which_no_more_is_taken_is_held() {
        use http_body_util::BodyExt;

        let activity = Arc::new(Activity::default());
        let pieces = ["a", "b"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let mut body = Counted::of(body, activity.begin(Version::HTTP_2));
        assert_eq!(activity.look().quiet, None);
        body.frame().await.unwrap().unwrap();
        assert_eq!(activity.look().quiet, Some(Quiet::Stalled));
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.is_none());
        assert_eq!(activity.look().quiet, None);
        drop(body);
        assert_eq!(activity.look().quiet, Some(Quiet::Idle));
    }
}

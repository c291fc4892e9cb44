//! Which connection a request came by: its calls wait in a line of their own, and what is written to it is counted.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::Extensions;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use weir_engine::origin::Connection;

/// Numbers the connections that it accepts.
pub struct Numbering {
    listener: TcpListener,
    accepted: u64,
}

/// A connection that was accepted.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    /// Its number.
    pub connection: Connection,
    /// What has been written to it.
    pub written: Written,
}

/// How many bytes the operating system has taken for a connection.
#[derive(Debug, Clone, Default)]
pub struct Written(Arc<Progress>);

#[derive(Debug, Default)]
struct Progress {
    bytes: AtomicU64,
    cut: AtomicBool,
    /// Who waits to write.
    writer: AtomicWaker,
}

/// Nothing was written for too long.
#[derive(Debug, PartialEq, Eq)]
pub struct Stalled;

impl Written {
    /// Waits for something to be sent, for as long as no time of this length passes without a byte.
    pub async fn advancing<T>(&self, stalled: Duration, sending: impl Future<Output = T>) -> Result<T, Stalled> {
        let mut sending = pin!(sending);
        loop {
            let before = self.bytes();
            match timeout(stalled, sending.as_mut()).await {
                Ok(sent) => return Ok(sent),
                Err(_) if self.bytes() == before => return Err(Stalled),
                Err(_) => {}
            }
        }
    }

    /// Ends the connection: whoever writes to it, or reads from it, finds it broken.
    pub fn cut(&self) {
        self.0.cut.store(true, Ordering::Release);
        self.0.writer.wake();
    }

    fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    fn check(&self) -> io::Result<()> {
        if self.0.cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl Numbering {
    /// The first is number 1.
    pub fn of(listener: TcpListener) -> Self {
        Self { listener, accepted: 0 }
    }
}

impl Listener for Numbering {
    type Io = Counting;
    type Addr = Accepted;

    async fn accept(&mut self) -> (Counting, Accepted) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {error}");
        }
        self.accepted += 1;
        let accepted = Accepted { connection: Connection(self.accepted), written: Written::default() };
        (Counting { stream, written: accepted.written.clone() }, accepted)
    }

    /// No peer of ours: number 0.
    fn local_addr(&self) -> io::Result<Accepted> {
        self.listener.local_addr().map(|_| Accepted::default())
    }
}

impl Connected<IncomingStream<'_, Numbering>> for Accepted {
    fn connect_info(stream: IncomingStream<'_, Numbering>) -> Self {
        stream.remote_addr().clone()
    }
}

/// The connection of a request. All that come by no listener of ours are number 0.
pub fn accepted(extensions: &Extensions) -> Accepted {
    extensions.get::<ConnectInfo<Accepted>>().map_or_else(Accepted::default, |ConnectInfo(accepted)| accepted.clone())
}

/// The number of the connection of a request.
pub fn of(extensions: &Extensions) -> Connection {
    accepted(extensions).connection
}

/// A connection that counts what is written to it.
pub struct Counting {
    stream: TcpStream,
    written: Written,
}

impl Counting {
    fn count(&self, wrote: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Progress { bytes, writer, .. } = &*self.written.0;
        match &wrote {
            Poll::Ready(Ok(wrote)) => drop(bytes.fetch_add(*wrote as u64, Ordering::Relaxed)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => writer.register(cx.waker()),
        }
        // Looked at last, so that whoever cuts it wakes who waits here.
        self.written.check()?;
        wrote
    }
}

impl AsyncRead for Counting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.written.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(wrote, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(wrote, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALLED: Duration = Duration::from_millis(2);

    #[tokio::test]
    async fn what_goes_on_is_waited_for_however_long_it_takes() {
        let written = Written::default();
        // Polled whenever the time has passed, and a byte further each time.
        let sending = std::future::poll_fn(|_| match written.0.bytes.fetch_add(1, Ordering::Relaxed) {
            0..10 => Poll::Pending,
            _ => Poll::Ready("sent"),
        });
        assert_eq!(written.advancing(STALLED, sending).await, Ok("sent"));
    }

    #[tokio::test]
    async fn what_does_not_go_on_is_given_up() {
        assert_eq!(Written::default().advancing(STALLED, std::future::pending::<()>()).await, Err(Stalled));
    }
}

//! Which connection a request came by, and from whom: its calls wait in a line of their own, and what is written to it is
//! counted.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::connect_info::ConnectInfo;
use axum::http::Extensions;
use tokio::time::timeout;
use weir_engine::origin::Connection;

use super::activity::Activity;
use crate::graphql::service::Source;

/// A connection that was accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its number.
    pub connection: Connection,
    /// Who has connected, or for whom a trusted proxy says that it has; of a request, whose that is.
    pub address: IpAddr,
    /// What has been written to it.
    pub written: Written,
}

impl Default for Accepted {
    fn default() -> Self {
        Self { connection: Connection::default(), address: Ipv4Addr::UNSPECIFIED.into(), written: Written::default() }
    }
}

impl Accepted {
    /// Where what comes by it comes from.
    pub fn source(&self) -> Source {
        Source { connection: self.connection, address: self.address }
    }
}

/// How many bytes the operating system has taken for a connection.
#[derive(Debug, Clone, Default)]
pub struct Written(pub(super) Arc<Activity>);

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
        self.0.cut();
    }

    /// Lets no more than so many bytes come from here on: whoever reads on finds the connection broken.
    pub fn allow(&self, bytes: usize) {
        self.0.allow(bytes as u64);
    }

    /// Lets come what will.
    pub fn allow_all(&self) {
        self.0.allow_all();
    }

    /// Whether more has come than was let.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    fn bytes(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }
}

/// The connection of a request. All that come by no listener of ours are number 0.
pub fn accepted(extensions: &Extensions) -> Accepted {
    extensions.get::<ConnectInfo<Accepted>>().map_or_else(Accepted::default, |ConnectInfo(accepted)| accepted.clone())
}

/// Where a request comes from.
pub fn source(extensions: &Extensions) -> Source {
    accepted(extensions).source()
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    const STALLED: Duration = Duration::from_millis(2);

    #[tokio::test]
    async fn what_goes_on_is_waited_for_however_long_it_takes() {
        let written = Written::default();
        // Polled whenever the time has passed, and a byte further each time.
        let sending = std::future::poll_fn(|_| match written.0.written.fetch_add(1, Ordering::Relaxed) {
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

//! The accept loop: a place is taken before a connection, and each connection is a task that is joined.
//!
//! Rule: no more connections are open than there are places. Who comes when there is none waits in the line of the operating
//! system, and is taken when another has gone.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use weir_engine::origin::Connection;

use super::connection::{Accepted, Written};
use super::conversation::Conversations;
use super::stream::Counting;

/// How long nothing is accepted after it has failed: until others have closed their files, perhaps.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// Takes connections.
pub struct Acceptor {
    listener: TcpListener,
    places: Arc<Semaphore>,
    accepted: u64,
}

impl Acceptor {
    /// Of those that may be open each has a permit of `places`, until all that it has become is dropped.
    pub fn of(listener: TcpListener, places: Arc<Semaphore>) -> Self {
        Self { listener, places, accepted: 0 }
    }

    /// Holds conversations on all that come until the server is told to stop. Gives those that go on.
    pub async fn run(mut self, conversations: Arc<Conversations>, mut stopping: watch::Receiver<bool>) -> JoinSet<()> {
        let mut running = JoinSet::new();
        loop {
            let taken = tokio::select! {
                taken = self.take() => taken,
                // Those that have ended are let go of.
                Some(_) = running.join_next() => continue,
                _ = stopping.wait_for(|stopping| *stopping) => return running,
            };
            match taken {
                Some((stream, accepted)) => {
                    running.spawn(conversations.clone().hold(stream, accepted));
                }
                // The places are never closed.
                None => return running,
            }
        }
    }

    /// The next connection. Nothing is lost where this is dropped while it waits.
    async fn take(&mut self) -> Option<(Counting, Accepted)> {
        let place = self.places.clone().acquire_owned().await.ok()?;
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => return Some(self.number(stream, peer.ip().to_canonical(), place)),
                Err(error) if is_of_one_peer(&error) => {}
                Err(error) => {
                    tracing::warn!("no connection can be accepted, and none is for {FAILED_PAUSE:?}: {error}");
                    tokio::time::sleep(FAILED_PAUSE).await;
                }
            }
        }
    }

    fn number(&mut self, stream: TcpStream, address: IpAddr, place: OwnedSemaphorePermit) -> (Counting, Accepted) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {error}");
        }
        self.accepted += 1;
        let accepted = Accepted { connection: Connection(self.accepted), address, written: Written::default() };
        (Counting::of(stream, accepted.written.0.clone(), place), accepted)
    }
}

/// Whether it is about the connection that was to be accepted, and says nothing of the next.
fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

//! A body that is needed whole: within a size and a time.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use tokio::time::timeout;

/// Why a body is not there whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is longer than allowed, or the connection broke.
    #[error("the body is too large")]
    TooLarge,
    /// It has not come by then.
    #[error("the body did not come whole within {0:?}")]
    Late(Duration),
}

/// All of a body.
pub async fn whole(body: Body, bytes_max: usize, patience: Duration) -> Result<Bytes, Unread> {
    let read = timeout(patience, to_bytes(body, bytes_max)).await.map_err(|_| Unread::Late(patience))?;
    read.map_err(|_| Unread::TooLarge)
}

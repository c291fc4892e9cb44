//! A body that is needed whole: within a size and a time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::bodies::{Held, NoRoom};

/// How much of a body that is too large is still read, and dropped: most clients look for an answer only when they have sent
/// all, and would find a broken connection.
pub(super) const DROPPED_BYTES_MAX: usize = 32 << 20;

/// Why a body is not there whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is longer than allowed.
    #[error("the request is too large")]
    TooLarge,
    /// The connection broke, or what came is no body.
    #[error("the body broke off")]
    Broken,
    /// It has not come by then.
    #[error("the body did not come whole within {0:?}")]
    Late(Duration),
    /// There is no memory for it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// All of a body, which is held as it comes.
pub async fn whole(body: Body, bytes_max: usize, patience: Duration, held: &mut Held) -> Result<Bytes, Unread> {
    timeout(patience, read(body, bytes_max, held)).await.unwrap_or(Err(Unread::Late(patience)))
}

async fn read(body: Body, bytes_max: usize, held: &mut Held) -> Result<Bytes, Unread> {
    let mut stream = body.into_data_stream();
    let (mut pieces, mut bytes, mut room) = (Vec::new(), 0_usize, Ok(()));
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| Unread::Broken)?;
        bytes = bytes.saturating_add(piece.len());
        if bytes > bytes_max.saturating_add(DROPPED_BYTES_MAX) {
            break;
        }
        if bytes <= bytes_max && room.is_ok() {
            room = held.grow(piece.len());
            pieces.push(piece);
        }
        if bytes > bytes_max || room.is_err() {
            pieces.clear();
        }
    }
    match &mut pieces[..] {
        _ if bytes > bytes_max => Err(Unread::TooLarge),
        _ if room.is_err() => Err(Unread::NoRoom(NoRoom)),
        [piece] => Ok(std::mem::take(piece)),
        pieces => Ok(pieces.concat().into()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::super::bodies::Bodies;
    use super::super::connection::Written;
    use super::*;

    async fn read_pieces(pieces: &'static [&'static str]) -> Result<Bytes, Unread> {
        let body =
            Body::from_stream(stream::iter(pieces.iter().map(|piece| Ok::<_, axum::Error>(Bytes::from(*piece)))));
        whole(body, 5, Duration::from_secs(5), &mut held(5)).await
    }

    fn held(bytes_max: u64) -> Held {
        Bodies::new(bytes_max << 20).hold(&Written::default())
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_end_and_kept_up_to_a_size() {
        for (pieces, expected) in [
            (&[][..], Ok("")),
            (&["12345"], Ok("12345")),
            (&["1", "", "2345"], Ok("12345")),
            (&["123456"], Err(Unread::TooLarge)),
            (&["12345", "6", "7"], Err(Unread::TooLarge)),
        ] {
            assert_eq!(read_pieces(pieces).await, expected.map(Bytes::from), "{pieces:?}");
        }
        let endless = Body::from_stream(stream::repeat_with(|| Ok::<_, axum::Error>(Bytes::from_static(&[0; 65536]))));
        assert_eq!(whole(endless, 5, Duration::from_secs(60), &mut held(5)).await, Err(Unread::TooLarge));
        let silent = Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>());
        let patience = Duration::from_millis(10);
        assert_eq!(whole(silent, 5, patience, &mut held(5)).await, Err(Unread::Late(patience)));
        let broken = Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]));
        assert_eq!(whole(broken, 5, Duration::from_secs(5), &mut held(5)).await, Err(Unread::Broken));
    }
    #[tokio::test]
    async fn a_body_for_which_there_is_no_memory_is_read_and_dropped() {
        let pieces = stream::repeat(Bytes::from_static(&[0; 65536])).take(40).map(Ok::<_, axum::Error>);
        let mut held = held(2);
        let read = whole(Body::from_stream(pieces), 16 << 20, Duration::from_secs(5), &mut held).await;
        assert_eq!(read, Err(Unread::NoRoom(NoRoom)));
    }
}

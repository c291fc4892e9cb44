//! A body line by line, as it comes: no more of it in memory than a line and what one read brought.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::StreamExt;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its bytes, without the end.
    Whole(Vec<u8>),
    /// It has more bytes than a line may have; they were dropped as they came.
    TooLong,
}

/// Why there is no next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenOff {
    /// Nothing came for so long.
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    /// The connection broke, or what came is no body.
    #[error("the body broke off")]
    Broken,
}

/// The lines of a body. Those without anything in them are left out.
pub struct Lines {
    body: BodyDataStream,
    /// What has come and was not looked at.
    rest: Bytes,
    line_bytes_max: usize,
    silence_max: Duration,
}

impl Lines {
    /// Lines of so many bytes at most, with so much time between two pieces of the body.
    pub fn of(body: Body, line_bytes_max: usize, silence_max: Duration) -> Self {
        Self { body: body.into_data_stream(), rest: Bytes::new(), line_bytes_max, silence_max }
    }

    /// The next line; `None` at the end of the body.
    pub async fn next(&mut self) -> Result<Option<Line>, BrokenOff> {
        let mut line = Vec::new();
        let mut is_too_long = false;
        loop {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let piece = self.rest.split_to(end.unwrap_or(self.rest.len()));
            is_too_long |= line.len() + piece.len() > self.line_bytes_max;
            if is_too_long {
                line = Vec::new();
            } else {
                line.extend_from_slice(&piece);
            }
            let is_over = match end {
                Some(_) => {
                    // The end itself.
                    let _ = self.rest.split_to(1);
                    false
                }
                None => match self.read().await? {
                    Some(more) => {
                        self.rest = more;
                        continue;
                    }
                    None => true,
                },
            };
            if is_too_long {
                return Ok(Some(Line::TooLong));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Line::Whole(line)));
            }
            if is_over {
                return Ok(None);
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        match tokio::time::timeout(self.silence_max, self.body.next()).await {
            Ok(Some(Ok(more))) => Ok(Some(more)),
            Ok(Some(Err(_))) => Err(BrokenOff::Broken),
            Ok(None) => Ok(None),
            Err(_) => Err(BrokenOff::Silent(self.silence_max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    async fn lines(pieces: &[&'static str]) -> Vec<String> {
        let pieces = pieces.iter().map(|piece| Ok::<_, axum::Error>(Bytes::from_static(piece.as_bytes())));
        let body = Body::from_stream(stream::iter(pieces.collect::<Vec<_>>()));
        let mut lines = Lines::of(body, 5, Duration::from_secs(5));
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(match line {
                Line::Whole(bytes) => String::from_utf8(bytes).unwrap(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        found
    }

    #[tokio::test]
    async fn lines_are_found_wherever_the_pieces_end() {
        let table: [(&[&str], &[&str]); 9] = [
            (&[], &[]),
            (&["", "\n", " \r\n\n"], &[]),
            (&["a\nb"], &["a", "b"]),
            (&["a\r\n", "\nb\n"], &["a\r", "b"]),
            (&["a", "b", "\nc", "\n"], &["ab", "c"]),
            (&["12345\n", "123456\n", "1\n"], &["12345", "too long", "1"]),
            (&["123", "456", "789", "0\n1"], &["too long", "1"]),
            (&["1234567"], &["too long"]),
            (&["      \n1"], &["too long", "1"]),
        ];
        for (pieces, expected) in table {
            assert_eq!(lines(pieces).await, expected, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn silence_and_a_broken_body_are_told() {
        let silence = Duration::from_millis(20);
        let silent = Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>());
        assert_eq!(Lines::of(silent, 5, silence).next().await, Err(BrokenOff::Silent(silence)));
        let broken = [Ok(Bytes::from_static(b"a\nb")), Err(axum::Error::new("gone"))];
        let mut lines = Lines::of(Body::from_stream(stream::iter(broken)), 5, Duration::from_secs(5));
        assert_eq!(lines.next().await, Ok(Some(Line::Whole(b"a".to_vec()))));
        // Half a line is none.
        assert_eq!(lines.next().await, Err(BrokenOff::Broken));
    }
}

//! PEM text (<https://www.rfc-editor.org/rfc/rfc7468>): bytes in base64 between two lines that say what they are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Characters in a line.
const LINE: usize = 64;

/// Writes bytes down.
pub(super) fn write(label: &str, bytes: &[u8]) -> Zeroizing<String> {
    // All of the room at once: a string that grows leaves copies behind.
    let mut body = Zeroizing::new(String::with_capacity(bytes.len() * 2 + 4));
    STANDARD.encode_string(bytes, &mut body);
    let mut text = Zeroizing::new(String::with_capacity(body.len() * 2 + 2 * label.len() + 64));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    for (place, character) in body.chars().enumerate() {
        if place > 0 && place.is_multiple_of(LINE) {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The bytes under a label; what stands before and behind is for people. `None`: there are none, or more than one.
pub(super) fn read(label: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let (_, rest) = text.split_once(&begin)?;
    let (body, rest) = rest.split_once(&end)?;
    if rest.contains(&begin) {
        return None;
    }
    let mut joined = Zeroizing::new(String::with_capacity(body.len()));
    joined.extend(body.chars().filter(|character| !character.is_ascii_whitespace()));
    STANDARD.decode(joined.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for length in [0, 1, 47, 48, 49, 200] {
            let bytes = vec![7; length];
            let text = write("THING", &bytes);
            assert!(text.lines().all(|line| line.len() <= LINE), "{text:?}");
            assert_eq!(read("THING", &format!("key 1\n{}", *text)).as_deref(), Some(&bytes));
            assert_eq!(read("OTHER", &text), None);
            assert_eq!(read("THING", &format!("{0}{0}", *text)), None, "which one?");
        }
    }
}

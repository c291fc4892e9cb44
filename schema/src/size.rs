//! How long values are as JSON text, without the text being made.

use std::io;

use serde::Serialize;

/// The length of a value as compact JSON text, in bytes.
pub fn json_bytes(value: &impl Serialize) -> usize {
    let mut count = Count(0);
    // Counting does not fail; what has no JSON form is as long as it got.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Counts what is written to it.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_as_long_as_its_text() {
        for value in [json!(null), json!([1, 2.5, "ü\n"]), json!({ "a": { "b": [] } })] {
            assert_eq!(json_bytes(&value), value.to_string().len(), "{value}");
        }
    }
}

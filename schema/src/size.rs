//! How large values are as JSON text, without the text being made.

use std::io;

use serde::Serialize;
use serde_json::Value;

/// The length of a value as compact JSON text, in bytes.
pub fn json_bytes(value: &impl Serialize) -> usize {
    let mut count = Count(0);
    // Counting does not fail; what has no JSON form is as long as it got.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// How deep arrays and objects nest in a value, and how many values it consists of: elements, members, and itself. Recurses as
/// deep as it nests.
pub fn json_measure(value: &Value) -> (usize, usize) {
    let within = |(depth, values): (usize, usize), inner: &Value| {
        let (inner_depth, inner_values) = json_measure(inner);
        (depth.max(inner_depth), values + inner_values)
    };
    let (depth, values) = match value {
        Value::Array(elements) => elements.iter().fold((0, 1), within),
        Value::Object(members) => members.values().fold((0, 1), within),
        _ => return (0, 1),
    };
    (depth + 1, values)
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

    #[test]
    fn a_value_consists_of_itself_and_of_what_is_in_it() {
        let table = [
            (json!(null), (0, 1)),
            (json!([]), (1, 1)),
            (json!([1, { "a": [2, 3] }, "x"]), (3, 7)),
            (json!({ "a": {}, "b": 1 }), (2, 3)),
        ];
        for (value, measure) in table {
            assert_eq!(json_measure(&value), measure, "{value}");
        }
    }
}

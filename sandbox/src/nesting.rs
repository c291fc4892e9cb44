//! What reading JSON text would take, told without building anything: what reads it recurses, and keeps much more for a
//! value than the two bytes that it may have in the text.

/// The measure of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// The deepest nesting of arrays and objects.
    pub depth: usize,
    /// How many values it has, at most: elements, members, and arrays and objects themselves.
    pub values: usize,
}

/// Measures a JSON text. Text that is no JSON has some measure too.
pub fn measure(text: &str) -> Measure {
    let (mut depth, mut deepest, mut values) = (0_usize, 0_usize, 1_usize);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
                values += 1;
            }
            b',' => values += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    Measure { depth: deepest, values }
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_commas_count_and_those_in_strings_do_not() {
        let table = [
            ("1", 0, 1),
            ("[]", 1, 2),
            ("[1,2,3]", 1, 4),
            (r#"{"a":[1,{"b":2}],"c":{}}"#, 3, 7),
            (r#"["[[[,,","\"[","\\"]"#, 1, 4),
            ("]]]][[", 2, 3),
            ("\"[[,", 0, 1),
        ];
        for (text, depth, values) in table {
            assert_eq!(measure(text), Measure { depth, values }, "{text}");
        }
        assert_eq!(measure(&"[".repeat(1_000_000)).depth, 1_000_000);
    }
}

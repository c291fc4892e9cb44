//! How deep JSON text nests, told without building anything: what reads JSON recurses.

/// The deepest nesting of arrays and objects in a JSON text. Text that is no JSON has some depth too.
pub fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
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
    fn brackets_count_and_those_in_strings_do_not() {
        let table = [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[1,{"b":2}],"c":{}}"#, 3),
            (r#"["[[[","\"[","\\"]"#, 1),
            ("]]]][[", 2),
            ("\"[[", 0),
        ];
        for (text, expected) in table {
            assert_eq!(depth(text), expected, "{text}");
        }
        assert_eq!(depth(&"[".repeat(1_000_000)), 1_000_000);
    }
}

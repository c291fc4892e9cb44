//! One indexed value as bytes that sort like the value.
//!
//! | value | bytes |
//! |---|---|
//! | absent or null | `01` |
//! | `false`, `true` | `02`, `03` |
//! | number | `04`, then the IEEE 754 bits, all flipped if negative, else with the sign bit set |
//! | `DateTime` | `05`, then seconds since 1970 plus 2⁶³ and nanoseconds, big endian |
//! | other text | `06`, then UTF-8 with each `00` as `00 ff`, then `00 01` |
//!
//! No encoding is a prefix of another, so components can be strung together. Nulls sort first, as GraphQL APIs over
//! SQL mostly have it; text sorts by code point.

use serde_json::Value;

use crate::datetime;

/// The first byte of an absent or null component.
pub const TAG_NULL: u8 = 0x01;
const TAG_FALSE: u8 = 0x02;
const TAG_TRUE: u8 = 0x03;
const TAG_NUMBER: u8 = 0x04;
const TAG_MOMENT: u8 = 0x05;
const TAG_TEXT: u8 = 0x06;

/// How the text of an indexed field is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TextOrder {
    /// By code point.
    CodePoint,
    /// As moments: the field is a `DateTime`.
    Moment,
}

/// Why a value cannot be part of an index key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadComponent {
    /// Arrays and objects have no order.
    #[error("arrays and objects cannot be indexed")]
    NotAScalar,
    /// Text that the field's type does not allow.
    #[error(transparent)]
    DateTime(#[from] datetime::BadDateTime),
}

/// Appends the encoding of one value.
pub fn encode(out: &mut Vec<u8>, value: &Value, order: TextOrder) -> Result<(), BadComponent> {
    match value {
        Value::Null => out.push(TAG_NULL),
        Value::Bool(false) => out.push(TAG_FALSE),
        Value::Bool(true) => out.push(TAG_TRUE),
        Value::Number(number) => encode_number(out, number.as_f64().unwrap_or_default()),
        Value::String(text) => match order {
            TextOrder::CodePoint => encode_text(out, text),
            TextOrder::Moment => encode_moment(out, datetime::parse(text)?),
        },
        Value::Array(_) | Value::Object(_) => return Err(BadComponent::NotAScalar),
    }
    Ok(())
}

/// What follows the first component; `None` if the bytes do not start with one.
pub fn skip(bytes: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = bytes.split_first()?;
    match *tag {
        TAG_NULL | TAG_FALSE | TAG_TRUE => Some(rest),
        TAG_NUMBER => rest.get(8..),
        TAG_MOMENT => rest.get(12..),
        TAG_TEXT => {
            let mut rest = rest;
            loop {
                let zero = rest.iter().position(|byte| *byte == 0)?;
                let after = rest.get(zero + 2..)?;
                match rest.get(zero + 1)? {
                    0x01 => return Some(after),
                    0xff => rest = after,
                    _ => return None,
                }
            }
        }
        _ => None,
    }
}

fn encode_number(out: &mut Vec<u8>, number: f64) {
    // Adding zero turns -0 into 0, so that both are one key.
    let bits = (number + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.push(TAG_NUMBER);
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn encode_moment(out: &mut Vec<u8>, moment: datetime::Moment) {
    out.push(TAG_MOMENT);
    out.extend_from_slice(&((moment.seconds as u64) ^ (1 << 63)).to_be_bytes());
    out.extend_from_slice(&moment.nanoseconds.to_be_bytes());
}

/// Appends the encoding of text that sorts by code point.
pub fn encode_text(out: &mut Vec<u8>, text: &str) {
    out.push(TAG_TEXT);
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0x00, 0x01]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn bytes(value: &Value, order: TextOrder) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, value, order).unwrap_or_else(|error| panic!("{error}"));
        out
    }

    #[test]
    fn kinds_sort_in_the_documented_order() {
        let rising = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1e300),
            json!(-1),
            json!(0),
            json!(0.5),
            json!(2),
            json!(""),
            json!("a"),
            json!("a\0"),
            json!("ab"),
            json!("b"),
        ];
        for pair in rising.windows(2) {
            if let [low, high] = pair {
                assert!(bytes(low, TextOrder::CodePoint) < bytes(high, TextOrder::CodePoint), "{low} < {high}");
            }
        }
    }

    #[test]
    fn moments_sort_in_time_whatever_their_digits() {
        let rising = [
            "1969-12-31T23:59:59.999Z",
            "1970-01-01T00:00:00.123Z",
            "1970-01-01T00:00:00.1235Z",
            "2026-01-01T00:00:00.000Z",
        ];
        for pair in rising.windows(2) {
            if let [low, high] = pair {
                assert!(
                    bytes(&json!(low), TextOrder::Moment) < bytes(&json!(high), TextOrder::Moment),
                    "{low} < {high}"
                );
            }
        }
    }

    #[test]
    fn both_zeros_are_one_key() {
        assert_eq!(bytes(&json!(-0.0), TextOrder::CodePoint), bytes(&json!(0), TextOrder::CodePoint));
    }

    proptest! {
        #[test]
        fn numbers_sort_as_numbers(a in -1e12f64..1e12, b in -1e12f64..1e12) {
            let order = bytes(&json!(a), TextOrder::CodePoint).cmp(&bytes(&json!(b), TextOrder::CodePoint));
            prop_assert_eq!(Some(order), a.partial_cmp(&b));
        }

        #[test]
        fn text_sorts_by_code_point_also_with_something_behind(a in ".*", b in ".*", tail in any::<u8>()) {
            let mut first = bytes(&json!(a), TextOrder::CodePoint);
            let second = bytes(&json!(b), TextOrder::CodePoint);
            first.push(tail);
            if a != b {
                prop_assert_eq!(first.cmp(&second), a.as_bytes().cmp(b.as_bytes()));
            }
        }
    }
}

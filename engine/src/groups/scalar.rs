//! Keys and values of groups: what JSON has besides arrays and objects, in the order that JavaScript gives them.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value;

use super::ALLOCATION_BYTES;

/// Null, a truth value, a number or a text.
///
/// Within one type the order is that of JavaScript's `<`: texts compare by UTF-16 code units. Null comes first. Values of
/// different types, which `<` would convert, have an order all the same: truth values, numbers, texts.
#[derive(Debug, Clone)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    /// Finite, and never -0.
    Number(f64),
    Text(Arc<str>),
}

impl Scalar {
    /// `None` for arrays and objects.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(is) => Some(Self::Bool(*is)),
            // JavaScript has doubles only. Adding 0 takes the sign of -0.
            Value::Number(number) => number.as_f64().map(|number| Self::Number(number + 0.0)),
            Value::String(text) => Some(Self::Text(text.as_str().into())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// As JSON, in the form that the script's own `JSON.stringify` gives.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(is) => Value::Bool(*is),
            Self::Number(value) => number(*value),
            Self::Text(text) => Value::String(text.as_ref().to_owned()),
        }
    }

    /// What it takes besides its own size, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            // With the two counts of an `Arc`.
            Self::Text(text) => text.len() + 2 * size_of::<usize>() + ALLOCATION_BYTES,
            Self::Null | Self::Bool(_) | Self::Number(_) => 0,
        }
    }

    fn type_rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (Self::Text(a), Self::Text(b)) => cmp_utf16(a, b),
            (a, b) => a.type_rank().cmp(&b.type_rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

/// Compares by UTF-16 code units. UTF-8 gives the same order, except that UTF-16 writes the characters from U+10000 on, whose
/// first byte is from F0 on, with units that come before U+E000 to U+FFFF, whose first byte is EE or EF.
pub(super) fn cmp_utf16(a: &str, b: &str) -> Ordering {
    let rank = |byte: u8| if matches!(byte, 0xee | 0xef) { byte | 0x10 } else { byte };
    let mut pairs = a.bytes().zip(b.bytes());
    match pairs.find(|(a, b)| a != b) {
        Some((a, b)) => rank(a).cmp(&rank(b)),
        None => a.len().cmp(&b.len()),
    }
}

/// A double as JSON, in the form in which it comes back when `JSON.stringify(value)` is parsed: null if it is not finite, and
/// an integer where the text is one that 64 bits hold. That text has the fewest digits that tell the double apart, and zeros
/// after them: 2^63 is 9223372036854776000.
pub(crate) fn number(value: f64) -> Value {
    /// From here on `JSON.stringify` writes an exponent
    /// (<https://tc39.es/ecma262/#sec-numeric-types-number-tostring>).
    const EXPONENT_MIN: f64 = 1e21;
    if value.trunc() != value || value.abs() >= EXPONENT_MIN {
        return Value::from(value);
    }
    // Adding 0 takes the sign of -0. Rust never writes an exponent here, and else writes the same digits.
    let text = (value + 0.0).to_string();
    let unsigned = text.parse::<u64>().map(Value::from);
    unsigned.or_else(|_| text.parse::<i64>().map(Value::from)).unwrap_or_else(|_| Value::from(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Numbers and what `JSON.stringify` of V8 writes for them.
    const WRITTEN: [(f64, &str); 21] = [
        (0.0, "0"),
        (-0.0, "0"),
        (5.0, "5"),
        (-5.0, "-5"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (5e-324, "5e-324"),
        (1e-7, "1e-7"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (9_007_199_254_740_992.0, "9007199254740992"),
        (1_152_921_504_606_846_976.0, "1152921504606847000"),
        (9_223_372_036_854_774_784.0, "9223372036854775000"),
        (9_223_372_036_854_775_808.0, "9223372036854776000"),
        (-9_223_372_036_854_774_784.0, "-9223372036854775000"),
        (-9_223_372_036_854_775_808.0, "-9223372036854776000"),
        (18_446_744_073_709_549_568.0, "18446744073709550000"),
        (18_446_744_073_709_551_616.0, "18446744073709552000"),
        (1e20, "100000000000000000000"),
        (123_456_789_012_345_680_000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (f64::MAX, "1.7976931348623157e+308"),
    ];

    #[test]
    fn numbers_are_as_they_come_back_from_a_script() {
        for (value, written) in WRITTEN {
            let parsed: Value = serde_json::from_str(written).unwrap();
            assert_eq!(number(value), parsed, "{written}");
            assert_eq!(Scalar::of(&parsed).unwrap().to_value(), parsed, "{written}");
            assert_eq!(number(value).to_string(), parsed.to_string());
        }
    }

    #[test]
    fn what_is_not_finite_is_null() {
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(number(value), Value::Null);
        }
    }

    #[test]
    fn the_order_is_that_of_javascript() {
        let ordered = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1e300),
            json!(-10),
            json!(-9.5),
            json!(0),
            json!(5e-324),
            json!(9),
            json!(10),
            json!(1e21),
            json!(""),
            json!("10"),
            json!("9"),
            json!("A"),
            json!("a"),
            json!("a\u{0}"),
            json!("aa"),
            json!("ä"),
            json!("\u{d7ff}"),
            // D83D DE00 in UTF-16.
            json!("\u{1f600}"),
            json!("\u{1f600}a"),
            json!("\u{10ffff}"),
            json!("\u{e000}"),
            json!("\u{ffff}"),
        ];
        let scalars: Vec<Scalar> = ordered.iter().map(|value| Scalar::of(value).unwrap()).collect();
        for (i, a) in scalars.iter().enumerate() {
            for (j, b) in scalars.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{} and {}", ordered[i], ordered[j]);
            }
        }
    }

    #[test]
    fn texts_compare_as_their_code_units_do() {
        let characters = [
            '\0',
            'a',
            '\u{7f}',
            '\u{80}',
            '\u{7ff}',
            '\u{800}',
            '\u{d7ff}',
            '\u{e000}',
            '\u{ffff}',
            '\u{10000}',
            '\u{10ffff}',
        ];
        let pairs = characters.iter().flat_map(|a| characters.iter().map(move |b| format!("{a}{b}")));
        let texts: Vec<String> = pairs.chain(characters.iter().map(char::to_string)).collect();
        for a in &texts {
            for b in &texts {
                assert_eq!(cmp_utf16(a, b), a.encode_utf16().cmp(b.encode_utf16()), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn minus_zero_is_zero_and_one_is_one() {
        let of = |value: Value| Scalar::of(&value).unwrap();
        assert_eq!(of(json!(-0.0)), of(json!(0)));
        assert_eq!(of(json!(1.0)), of(json!(1)));
        assert_eq!(of(json!(1.0)).to_value(), json!(1));
    }

    #[test]
    fn arrays_and_objects_are_no_scalars() {
        assert_eq!(Scalar::of(&json!([])), None);
        assert_eq!(Scalar::of(&json!({})), None);
    }
}

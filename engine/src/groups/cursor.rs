//! Places in sorted views as text that clients keep.
//!
//! A cursor is base64 (RFC 4648, padded) of a JSON list: the view, the parts of the key, the document, and the place among what it
//! contributes. A part is a text: `n` for null, `b0` or `b1`, `t` before a text, or `d` before the 16 hexadecimal digits of a
//! double, so that it is the same wherever it was made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use weir_schema::id::DocumentId;
use weir_store::BadCursor;

use super::index::{Key, Position, Spot};
use super::{Place, Scalar};

/// The cursor of an entry of a view.
pub(super) fn write(view: &str, key: &Key, place: &Place) -> String {
    let parts: Vec<String> = key.scalars().map(written).collect();
    STANDARD.encode(json!([view, parts, place.document, place.contribution]).to_string())
}

/// The place that a cursor names, in a view of this name whose keys have so many parts.
pub(super) fn read(cursor: &str, view: &str, parts: usize) -> Result<Position, BadCursor> {
    let bytes = STANDARD.decode(cursor).map_err(|_| BadCursor::Malformed)?;
    let (of, key, document, contribution): (String, Vec<String>, DocumentId, usize) =
        serde_json::from_slice(&bytes).map_err(|_| BadCursor::Malformed)?;
    let key: Option<Vec<Scalar>> = key.iter().map(|part| scalar(part)).collect();
    let key = key.ok_or(BadCursor::Malformed)?;
    if of != view || key.len() != parts {
        return Err(BadCursor::Foreign);
    }
    Ok(Position::beside(&key, Spot::At(Place { document, contribution })))
}

fn written(part: &Scalar) -> String {
    match part {
        Scalar::Null => "n".to_owned(),
        Scalar::Bool(is) => format!("b{}", u8::from(*is)),
        Scalar::Number(number) => format!("d{:016x}", number.to_bits()),
        Scalar::Text(text) => format!("t{text}"),
    }
}

fn scalar(written: &str) -> Option<Scalar> {
    match written {
        "n" => Some(Scalar::Null),
        "b0" => Some(Scalar::Bool(false)),
        "b1" => Some(Scalar::Bool(true)),
        _ => match written.split_at_checked(1)? {
            ("t", text) => Some(Scalar::Text(text.into())),
            ("d", digits) if digits.len() == 16 => {
                let number = f64::from_bits(u64::from_str_radix(digits, 16).ok()?);
                number.is_finite().then_some(Scalar::Number(number + 0.0))
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let document = DocumentId::parse("dö1").unwrap();
        let scalars = [
            Scalar::Null,
            Scalar::Bool(true),
            Scalar::Number(-0.1),
            Scalar::Number(0.0),
            Scalar::Text("a\"\n\u{1f600}".into()),
        ];
        for scalar in &scalars {
            for key in [vec![scalar.clone()], vec![scalar.clone(), Scalar::Bool(false)]] {
                let place = Place { document: document.clone(), contribution: 7 };
                let position = Position::beside(&key, Spot::At(place.clone()));
                let cursor = write("v", &position.key, &place);
                assert_eq!(read(&cursor, "v", key.len()), Ok(position));
                assert_eq!(read(&cursor, "v", key.len() + 1), Err(BadCursor::Foreign));
                assert_eq!(read(&cursor, "w", key.len()), Err(BadCursor::Foreign));
            }
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let of = |json: &str| STANDARD.encode(json);
        let odd = [
            String::new(),
            "x".into(),
            of("[]"),
            of(r#"["v",["q"],"d",0]"#),
            of(r#"["v",["d12"],"d",0]"#),
            of(r#"["v",["d7ff0000000000000"],"d",0]"#),
            of(r#"["v",["ta"],"",0]"#),
            of(r#"["v",["ta"],"d",-1]"#),
            of(r#"["v",["ta"],"d",0,0]"#),
            of(r#"["v",["b2"],"d",0]"#),
            of(r#"["v",[""],"d",0]"#),
        ];
        for cursor in odd {
            assert_eq!(read(&cursor, "v", 1), Err(BadCursor::Malformed), "{cursor}");
        }
    }
}

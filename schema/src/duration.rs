//! Lengths of time as users write them: a whole number and a unit, `250ms`, `30s`, `5m`, `1h`, `7d`.

/// The length in milliseconds; `None` where the text is none.
pub fn parse_ms(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::parse_ms;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        let table = [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("7d", Some(604_800_000)),
            ("5", None),
            ("m", None),
            ("1.5h", None),
            ("5 m", None),
            ("99999999999999999999s", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_ms(text), expected, "{text:?}");
        }
    }
}

//! Format 2 to 3: administrators are looked up by the digests of their tokens. From this format on audit records are sealed.
//!
//! An administrator is JSON under `Pa` and the name, with the digest in hex as `token`. The look-up is the name under `Pd` and the 32
//! bytes of the digest.
//!
//! The last record that was there before, which nothing of is sealed, is remembered: its number, as JSON, under `Munsealed`. The end of
//! the audit log is JSON under `Maudit`, with that `number`.

use std::io;

use crate::migrate::Records;

const ADMINISTRATORS: &[u8] = b"Pa";
const AFTER_ADMINISTRATORS: &[u8] = b"Pb";
const AUDIT_HEAD: &[u8] = b"Maudit";
const AFTER_AUDIT_HEAD: &[u8] = b"Maudit\0";
const UNSEALED: &[u8] = b"Munsealed";
const TOKENS: &[u8] = b"Pd";
/// More than there can be.
const ADMINISTRATORS_MAX: usize = 10_000;

/// Runs the step. It can be run again.
pub(crate) fn run(records: &mut dyn Records) -> io::Result<()> {
    let mut lookups = Vec::new();
    for (key, text) in records.read(ADMINISTRATORS, AFTER_ADMINISTRATORS, ADMINISTRATORS_MAX)? {
        let name = key.strip_prefix(ADMINISTRATORS).unwrap_or_default().to_vec();
        let damaged =
            || io::Error::other(format!("the administrator {} cannot be read", String::from_utf8_lossy(&name)));
        let record: serde_json::Value = serde_json::from_slice(&text).map_err(io::Error::other)?;
        let digest = record.get("token").and_then(serde_json::Value::as_str).and_then(bytes).ok_or_else(damaged)?;
        lookups.push(([TOKENS, &digest].concat(), Some(name)));
    }
    if let Some((_, head)) = records.read(AUDIT_HEAD, AFTER_AUDIT_HEAD, 1)?.pop() {
        let head: serde_json::Value = serde_json::from_slice(&head).map_err(io::Error::other)?;
        let number = head.get("number").and_then(serde_json::Value::as_u64);
        let number = number.ok_or_else(|| io::Error::other("the end of the audit log cannot be read"))?;
        lookups.push((UNSEALED.to_vec(), Some(number.to_string().into_bytes())));
    }
    if lookups.is_empty() { Ok(()) } else { records.write(lookups) }
}

/// The bytes of 64 digits of hex.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = (hex.len() == 64 && hex.is_ascii()).then_some(hex)?;
    (0..32).map(|place| u8::from_str_radix(digits.get(place * 2..place * 2 + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn each_administrator_is_found_by_the_digest_of_the_token() -> io::Result<()> {
        let mut records = Memory::default();
        let record = |byte: &str| format!("{{\"name\":\"x\",\"token\":\"{}\"}}", byte.repeat(32)).into_bytes();
        records.write(vec![
            (b"Paada".to_vec(), Some(record("0a"))),
            (b"Pabob".to_vec(), Some(record("ff"))),
            (b"Pb".to_vec(), Some(b"a bundle".to_vec())),
        ])?;
        run(&mut records)?;
        run(&mut records)?;
        let expected =
            [(0x0a, "ada"), (0xff, "bob")].map(|(byte, name)| ([b"Pd".as_slice(), &[byte; 32]].concat(), name.into()));
        assert_eq!(records.read(b"Pd", b"Pe", 10)?, expected);
        assert_eq!(records.read(b"M", b"N", 10)?, [], "there was no audit log");
        records.write(vec![(b"Maudit".to_vec(), Some(b"{\"number\":12,\"digest\":\"\"}".to_vec()))])?;
        run(&mut records)?;
        assert_eq!(records.read(b"Mu", b"Mv", 10)?, [(b"Munsealed".to_vec(), b"12".to_vec())]);
        records.write(vec![(b"Pabad".to_vec(), Some(b"{\"token\":\"zz\"}".to_vec()))])?;
        assert!(run(&mut records).is_err());
        Ok(())
    }
}

//! Pure computations on bytes: UTF-8, keyed hashes, comparison in constant time. They know neither host nor call.

use deno_core::op2;
use deno_error::JsErrorBox;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

/// The longest key, and the longest message, of a keyed hash, in bytes: longer than any body that an action gets.
const HMAC_BYTES_MAX: usize = 32 << 20;

/// How many bytes a text has as UTF-8.
#[op2(fast)]
#[smi]
pub fn op_utf8_length(#[string] text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

/// Writes a text as UTF-8 where there is room for just that.
#[op2(fast)]
pub fn op_utf8_write(#[string] text: &str, #[buffer] bytes: &mut [u8]) -> Result<(), JsErrorBox> {
    if bytes.len() != text.len() {
        return Err(JsErrorBox::generic("the text does not fit"));
    }
    bytes.copy_from_slice(text.as_bytes());
    Ok(())
}

/// Reads text; what is not UTF-8 becomes the replacement character.
#[op2]
#[string]
pub fn op_utf8_read(#[buffer] bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a keyed hash (RFC 2104) where there is room for just that: 32, 48 or 64 bytes, which choose SHA-256, SHA-384 or
/// SHA-512.
#[op2(fast)]
pub fn op_hmac(#[buffer] key: &[u8], #[buffer] data: &[u8], #[buffer] hash: &mut [u8]) -> Result<(), JsErrorBox> {
    if key.len().max(data.len()) > HMAC_BYTES_MAX {
        return Err(JsErrorBox::generic(format!("hmac takes at most {HMAC_BYTES_MAX} bytes")));
    }
    match hash.len() {
        32 => keyed::<Hmac<Sha256>>(key, data, hash),
        48 => keyed::<Hmac<Sha384>>(key, data, hash),
        64 => keyed::<Hmac<Sha512>>(key, data, hash),
        _ => Err(JsErrorBox::generic("no such hash")),
    }
}

fn keyed<M: KeyInit + Mac>(key: &[u8], data: &[u8], hash: &mut [u8]) -> Result<(), JsErrorBox> {
    let mut mac = <M as KeyInit>::new_from_slice(key).map_err(|error| JsErrorBox::generic(error.to_string()))?;
    mac.update(data);
    hash.copy_from_slice(&mac.finalize().into_bytes());
    Ok(())
}

/// Whether bytes are the same, in a time that tells only how many they are.
#[op2(fast)]
pub fn op_same_bytes(#[buffer] one: &[u8], #[buffer] other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let difference = one.iter().zip(other).fold(0, |found, (one, other)| std::hint::black_box(found | (one ^ other)));
    std::hint::black_box(difference) == 0
}

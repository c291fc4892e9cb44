//! The key of a data folder that is encrypted apart from others: drawn for it alone, and kept in a file, sealed by the keys of
//! somebody else. Whoever destroys the file has made the folder unreadable, backups of it included.
//!
//! The file is JSON: the number of the key that it is sealed by, a nonce, and the sealed key, both base64. It is sealed by
//! AES-256-GCM with a key that HKDF-SHA256 (RFC 5869) makes of that one for this purpose alone, so that nothing that is encrypted
//! otherwise shares a key with it. For whom it is, and by which key, is part of what is sealed: a file that is put in the place of
//! another opens nothing.
//!
//! What else has a key of its own keeps it in the same form in another place: see `sealing`.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use serde::{Deserialize, Serialize};
use weir_schema::base64;
use zeroize::Zeroizing;

use super::{KEY_BYTES, Key, KeyBytes, KeyId, KeyRing};

/// What keys are made of and for.
const SALT: &[u8] = b"weir sealed key";
const PURPOSE: &[&[u8]] = &[b"data key"];
/// The largest file, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 10;
/// The number that the key has in its ring of one.
const ONLY: KeyId = 1;

/// A file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// By which key it is sealed.
    key: KeyId,
    #[serde(with = "base64")]
    nonce: Vec<u8>,
    #[serde(with = "base64")]
    sealed: Vec<u8>,
}

/// Why there is no key. Shown after the name of the file.
#[derive(Debug, thiserror::Error)]
pub enum SealedKeyError {
    /// The system does not give it out, or does not take it.
    #[error("cannot be used: {0}")]
    Io(#[from] io::Error),
    /// It is something else, or was changed.
    #[error("is not a sealed key of this folder, or was changed")]
    Damaged,
    /// Nobody has the key that it is sealed by.
    #[error("is sealed by encryption key {0}, which is missing from the given keys")]
    KeyMissing(KeyId),
    /// The operating system gives no randomness.
    #[error("cannot be made, the system has no randomness: {0}")]
    NoRandomness(String),
}

/// Draws a key and seals it into a new file.
pub fn make(file: &Path, of: &str, ring: &KeyRing) -> Result<KeyRing, SealedKeyError> {
    let mut bytes = Box::new(KeyBytes::default());
    random(bytes.as_mut_slice())?;
    let mut written = File::options();
    written.write(true).create_new(true);
    private(&mut written);
    let mut opened = written.open(file)?;
    opened.write_all(&seal(&bytes, of, ring)?)?;
    opened.sync_all()?;
    sync_folder_of(file)?;
    Ok(alone(bytes))
}

/// Opens the key in a file.
pub fn open(file: &Path, of: &str, ring: &KeyRing) -> Result<KeyRing, SealedKeyError> {
    Ok(alone(unseal(&read(file)?, of, ring)?))
}

/// The key that a file is sealed by, which takes no key to know.
pub fn sealed_by(file: &Path) -> Result<KeyId, SealedKeyError> {
    Ok(read(file)?.key)
}

/// Seals the key in a file by the active key of a ring, if it is sealed by another. After a crash it is sealed by the one or by
/// the other; where it is not any more, what it was before is written over.
pub fn reseal(file: &Path, of: &str, ring: &KeyRing) -> Result<(), SealedKeyError> {
    let done = if prepare(file, of, ring)? { put(file) } else { discard(file) };
    Ok(done?)
}

/// The first half of that: whether it is sealed by another. Then it is sealed anew in a second file beside, which nobody opens
/// until [`put`] has it take the place of the first, and [`discard`] takes it away.
pub fn prepare(file: &Path, of: &str, ring: &KeyRing) -> Result<bool, SealedKeyError> {
    let written = read(file)?;
    let bytes = unseal(&written, of, ring)?;
    if written.key == ring.active() {
        return Ok(false);
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    let mut opened = options.open(partial(file))?;
    opened.write_all(&seal(&bytes, of, ring)?)?;
    opened.sync_all()?;
    sync_folder_of(file)?;
    Ok(true)
}

/// Has what was prepared take the place of what is there, which is written over.
pub fn put(file: &Path) -> io::Result<()> {
    let mut before = File::options().write(true).open(file)?;
    fs::rename(partial(file), file)?;
    sync_folder_of(file)?;
    write_over(&mut before)
}

/// Takes away what was prepared, if anything was.
pub fn discard(file: &Path) -> io::Result<()> {
    remove(&partial(file))
}

/// Writes over a file and removes it. One that is not there is destroyed already.
pub fn destroy(file: &Path) -> io::Result<()> {
    discard(file)?;
    remove(file)
}

fn remove(file: &Path) -> io::Result<()> {
    match File::options().write(true).open(file) {
        Ok(mut opened) => write_over(&mut opened)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::remove_file(file)?;
    sync_folder_of(file)
}

fn write_over(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut io::repeat(0).take(length), file)?;
    file.sync_all()
}

/// The key that a written one is sealed by, which takes no key to know.
pub(crate) fn wrapped_by(written: &[u8]) -> Result<KeyId, SealedKeyError> {
    Ok(parse(written)?.key)
}

/// Opens a key that [`seal`] has sealed.
pub(crate) fn unwrap(written: &[u8], of: &str, ring: &KeyRing) -> Result<Box<KeyBytes>, SealedKeyError> {
    unseal(&parse(written)?, of, ring)
}

fn alone(bytes: Box<KeyBytes>) -> KeyRing {
    KeyRing { keys: [Key { id: ONLY, bytes }].into() }
}

/// Seals a key by the active one of a ring, as it is to be written.
pub(crate) fn seal(bytes: &KeyBytes, of: &str, ring: &KeyRing) -> Result<Vec<u8>, SealedKeyError> {
    let key = ring.active();
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let sealing = sealing_key(ring, key)?;
    let mut sealed = Zeroizing::new(Vec::with_capacity(KEY_BYTES + AES_256_GCM.tag_len()));
    sealed.extend_from_slice(bytes.as_slice());
    let nonce_once = Nonce::assume_unique_for_key(nonce);
    sealing.seal_in_place_append_tag(nonce_once, about(of, key), &mut *sealed).map_err(|_| SealedKeyError::Damaged)?;
    let written = Written { key, nonce: nonce.to_vec(), sealed: sealed.to_vec() };
    // Plain data, which always has a JSON form.
    Ok(serde_json::to_vec(&written).unwrap_or_default())
}

fn unseal(written: &Written, of: &str, ring: &KeyRing) -> Result<Box<KeyBytes>, SealedKeyError> {
    let opening = sealing_key(ring, written.key)?;
    let nonce = Nonce::try_assume_unique_for_key(&written.nonce).map_err(|_| SealedKeyError::Damaged)?;
    let mut sealed = Zeroizing::new(written.sealed.clone());
    let opened = opening.open_in_place(nonce, about(of, written.key), &mut sealed);
    let opened: &[u8] = opened.map_err(|_| SealedKeyError::Damaged)?;
    let mut bytes = Box::new(KeyBytes::default());
    if opened.len() != KEY_BYTES {
        return Err(SealedKeyError::Damaged);
    }
    bytes.copy_from_slice(opened);
    Ok(bytes)
}

fn about(of: &str, key: KeyId) -> Aad<Vec<u8>> {
    Aad::from(format!("{key} {of}").into_bytes())
}

fn sealing_key(ring: &KeyRing, id: KeyId) -> Result<LessSafeKey, SealedKeyError> {
    let bytes = ring.bytes(id).ok_or(SealedKeyError::KeyMissing(id))?;
    let extracted = Salt::new(HKDF_SHA256, SALT).extract(bytes.as_slice());
    let made = extracted.expand(PURPOSE, &AES_256_GCM).map_err(|_| SealedKeyError::Damaged)?;
    Ok(LessSafeKey::new(UnboundKey::from(made)))
}

fn read(file: &Path) -> Result<Written, SealedKeyError> {
    let mut text = Vec::new();
    File::open(file)?.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    parse(&text)
}

fn parse(text: &[u8]) -> Result<Written, SealedKeyError> {
    serde_json::from_slice(text).map_err(|_| SealedKeyError::Damaged)
}

fn random(bytes: &mut [u8]) -> Result<(), SealedKeyError> {
    getrandom::fill(bytes).map_err(|error| SealedKeyError::NoRandomness(error.to_string()))
}

/// What a file is called until it is whole.
fn partial(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn private(options: &mut fs::OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

fn sync_folder_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => weir_migrations::marker::sync_directory(folder),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ring(ids: &[KeyId]) -> KeyRing {
        let keys: Vec<String> = ids.iter().map(|id| format!("{id} {:064x}", u64::from(*id) << 32)).collect();
        KeyRing::parse(&keys.join("\n")).unwrap()
    }

    #[test]
    fn a_sealed_key_is_opened_by_who_has_sealed_it_and_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("acme.key");
        let made = make(&file, "acme", &ring(&[1])).unwrap();
        assert!(matches!(make(&file, "acme", &ring(&[1])), Err(SealedKeyError::Io(_))), "it is there already");
        let opened = |of: &str, ids: &[KeyId]| open(&file, of, &ring(ids)).map_err(|error| error.to_string());
        assert!(opened("acme", &[1]).unwrap() == made);
        let damaged = "is not a sealed key of this folder, or was changed";
        assert_eq!(opened("other", &[1]).unwrap_err(), damaged);
        let missing = "is sealed by encryption key 1, which is missing from the given keys";
        assert_eq!(opened("acme", &[2]).unwrap_err(), missing);
        let wrong = KeyRing::parse(&format!("1 {:064x}", 7)).unwrap();
        assert_eq!(open(&file, "acme", &wrong).unwrap_err().to_string(), damaged);
        let before = fs::read(&file).unwrap();
        // Nothing that was there before can be read where it was.
        let mut kept = File::open(&file).unwrap();
        reseal(&file, "acme", &ring(&[1, 2])).unwrap();
        let mut left = Vec::new();
        kept.read_to_end(&mut left).unwrap();
        assert_eq!(left, vec![0; before.len()]);
        assert_eq!(sealed_by(&file).unwrap(), 2);
        assert!(opened("acme", &[2]).unwrap() == made);
        // What is only prepared changes nothing, and leaves nothing behind.
        assert!(!prepare(&file, "acme", &ring(&[1, 2])).unwrap());
        assert!(prepare(&file, "acme", &ring(&[1, 2, 3])).unwrap());
        assert!(opened("acme", &[2]).unwrap() == made && partial(&file).exists());
        discard(&file).unwrap();
        discard(&file).unwrap();
        assert!(opened("acme", &[2]).unwrap() == made && !partial(&file).exists());
        assert_eq!(reseal(&file, "acme", &ring(&[1])).unwrap_err().to_string(), missing.replace('1', "2"));
        // Every byte counts.
        let text = fs::read_to_string(&file).unwrap();
        let sealed_at = text.find("\"sealed\":\"").unwrap() + 12;
        let mut changed = text.into_bytes();
        changed[sealed_at] = if changed[sealed_at] == b'A' { b'B' } else { b'A' };
        fs::write(&file, changed).unwrap();
        assert_eq!(opened("acme", &[2]).unwrap_err(), damaged);
    }

    #[test]
    fn what_is_destroyed_is_written_over_and_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("acme.key");
        make(&file, "acme", &ring(&[1])).unwrap();
        // What a crash has left of an exchange.
        fs::write(partial(&file), "half").unwrap();
        let mut kept = File::open(&file).unwrap();
        destroy(&file).unwrap();
        let mut left = Vec::new();
        kept.read_to_end(&mut left).unwrap();
        assert!(!left.is_empty() && left.iter().all(|byte| *byte == 0));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        destroy(&file).unwrap();
    }
}

//! Packs an app into a bundle and signs it.

use weir_sandbox::compile::Sources;
use weir_schema::bundle::envelope::{Envelope, PAYLOAD_TYPE, SIGNATURES_MAX, Signature, pre_authentication_encoding};
use weir_schema::bundle::{BUNDLE_BYTES_MAX, BadBundle, Bundle, Content, Statement};
use weir_schema::digest::Digest;
use weir_schema::manifest::Manifest;

use super::key::{BadKey, SigningKey};

/// Why a bundle is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It is none.
    #[error(transparent)]
    Bundle(#[from] BadBundle),
    /// Somebody has signed it.
    #[error("the bundle is signed already: deploy it as it is, or build it anew")]
    Signed,
    /// Nobody signs it, or too many do.
    #[error("a bundle is signed with 1 to {SIGNATURES_MAX} keys")]
    Keys,
    /// A key cannot be used.
    #[error("a key {0}")]
    Key(#[from] BadKey),
}

/// What whoever signs says besides what the app says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Of two bundles of an app the one with the higher number is the newer.
    pub sequence: u64,
    /// Until when it may be deployed, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// The bundle of an app, signed by nobody yet. It is the same for the same texts.
pub fn pack(sources: &Sources) -> Result<Vec<u8>, BadBundle> {
    let content = content(sources).to_bytes();
    let bundle = Bundle { envelope: None, content: &content }.to_bytes();
    if bundle.len() > BUNDLE_BYTES_MAX { Err(BadBundle::TooLarge) } else { Ok(bundle) }
}

fn content(sources: &Sources) -> Content {
    let text = |path: &str| Some((path.to_owned(), sources.text(path)?.to_owned()));
    Content { files: sources.paths().filter_map(text).collect() }
}

/// The texts in a bundle.
pub fn sources(content: Content) -> Sources {
    Sources::from_texts(content.files)
}

/// Signs a bundle of the app with this manifest that nobody has signed yet.
pub fn sign(bundle: &[u8], manifest: &Manifest, terms: Terms, keys: &[SigningKey]) -> Result<Vec<u8>, SignError> {
    let Bundle { envelope: None, content } = Bundle::parse(bundle)? else { return Err(SignError::Signed) };
    if keys.is_empty() || keys.len() > SIGNATURES_MAX {
        return Err(SignError::Keys);
    }
    let statement = Statement {
        app: manifest.name.clone(),
        version: manifest.version.to_string(),
        sequence: terms.sequence,
        expires_ms: terms.expires_ms,
        digest: Digest::of(content),
    };
    let envelope = seal(PAYLOAD_TYPE, statement.to_bytes(), keys)?;
    let signed = Bundle { envelope: Some(envelope), content }.to_bytes();
    if signed.len() > BUNDLE_BYTES_MAX { Err(BadBundle::TooLarge.into()) } else { Ok(signed) }
}

/// Signs a payload of some type.
pub(crate) fn seal(payload_type: &str, payload: Vec<u8>, keys: &[SigningKey]) -> Result<Envelope, BadKey> {
    let message = pre_authentication_encoding(payload_type, &payload);
    let signature = |key: &SigningKey| Ok(Signature { keyid: key.public().id(), sig: key.sign(&message)? });
    let signatures = keys.iter().map(signature).collect::<Result<_, BadKey>>()?;
    Ok(Envelope { payload_type: payload_type.to_owned(), payload, signatures })
}

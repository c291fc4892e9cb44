//! Packs an app into a bundle and signs it.

use weir_sandbox::compile::Sources;
use weir_schema::bundle::envelope::{
    Envelope, KeyId, PAYLOAD_TYPE, SIGNATURES_MAX, Signature, pre_authentication_encoding,
};
use weir_schema::bundle::{BUNDLE_BYTES_MAX, BadBundle, Bundle, Content, Statement};
use weir_schema::digest::Digest;
use weir_schema::manifest::Manifest;
use weir_schema::tenant::TenantName;

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
    /// Nobody has signed it whom one could join.
    #[error("nobody has signed the bundle: weir build APP -o FILE --key KEYFILE signs it first")]
    Unsigned,
    /// It was changed.
    #[error("the content has the digest {found}, signed is {signed}: build the bundle anew")]
    Digest {
        /// What the statement says.
        signed: Digest,
        /// What it is.
        found: Digest,
    },
    /// It has a signature of the key.
    #[error("key {0} has signed the bundle already: each signature is by another key")]
    Again(KeyId),
    /// Nobody signs it, or too many do.
    #[error("a bundle is signed with 1 to {SIGNATURES_MAX} keys")]
    Keys,
    /// A key cannot be used.
    #[error("a key {0}")]
    Key(#[from] BadKey),
}

/// What whoever signs says besides what the app says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms<'a> {
    /// The tenant whom it is for; `None`: the server itself.
    pub tenant: Option<&'a TenantName>,
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
pub fn sign(bundle: &[u8], manifest: &Manifest, terms: Terms<'_>, keys: &[SigningKey]) -> Result<Vec<u8>, SignError> {
    let Bundle { envelope: None, content } = Bundle::parse(bundle)? else { return Err(SignError::Signed) };
    if keys.is_empty() || keys.len() > SIGNATURES_MAX {
        return Err(SignError::Keys);
    }
    let ids: Vec<KeyId> = keys.iter().map(|key| key.public().id()).collect();
    if let Some(id) = ids.iter().enumerate().find_map(|(place, id)| ids.iter().take(place).find(|before| *before == id))
    {
        return Err(SignError::Again(*id));
    }
    let statement = Statement {
        app: manifest.name.clone(),
        tenant: terms.tenant.cloned(),
        version: manifest.version.to_string(),
        sequence: terms.sequence,
        expires_ms: terms.expires_ms,
        digest: Digest::of(content),
    };
    let envelope = seal(PAYLOAD_TYPE, statement.to_bytes(), keys)?;
    let signed = Bundle { envelope: Some(envelope), content }.to_bytes();
    if signed.len() > BUNDLE_BYTES_MAX { Err(BadBundle::TooLarge.into()) } else { Ok(signed) }
}

/// Adds the signature of a key to a bundle that somebody has signed: of the same statement, which is given back for who signs to see.
pub fn cosign(bundle: &[u8], key: &SigningKey) -> Result<(Vec<u8>, Statement), SignError> {
    let Bundle { envelope: Some(mut envelope), content } = Bundle::parse(bundle)? else {
        return Err(SignError::Unsigned);
    };
    let (statement, found) = (Statement::parse(&envelope.payload)?, Digest::of(content));
    if statement.digest != found {
        return Err(SignError::Digest { signed: statement.digest, found });
    }
    let keyid = key.public().id();
    if envelope.signatures.iter().any(|signature| signature.keyid == keyid) {
        return Err(SignError::Again(keyid));
    }
    if envelope.signatures.len() >= SIGNATURES_MAX {
        return Err(SignError::Keys);
    }
    let sig = key.sign(&envelope.signed())?;
    envelope.signatures.push(Signature { keyid, sig });
    let signed = Bundle { envelope: Some(envelope), content }.to_bytes();
    if signed.len() > BUNDLE_BYTES_MAX { Err(BadBundle::TooLarge.into()) } else { Ok((signed, statement)) }
}

/// Signs a payload of some type.
pub(crate) fn seal(payload_type: &str, payload: Vec<u8>, keys: &[SigningKey]) -> Result<Envelope, BadKey> {
    let message = pre_authentication_encoding(payload_type, &payload);
    let signature = |key: &SigningKey| Ok(Signature { keyid: key.public().id(), sig: key.sign(&message)? });
    let signatures = keys.iter().map(signature).collect::<Result<_, BadKey>>()?;
    Ok(Envelope { payload_type: payload_type.to_owned(), payload, signatures })
}

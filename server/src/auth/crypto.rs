//! The mathematics of tokens: ring, which TLS brings, for jsonwebtoken.
//!
//! Rule: a signature is checked by the algorithm that the issuer has pinned, with a key of that algorithm's family.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{error, hmac};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    // What a private key says of its public one is asked nowhere here.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has jsonwebtoken check signatures with this. Later calls do nothing.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Nobody else installs one.
        let _ = PROVIDER.install_default();
    });
}

/// Tokens are made in `mint.rs`, by one algorithm and without a choice.
fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match (self.means(), self.key.kind()) {
            (Means::Secret(hash), DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hash, secret), message, signature)
            }
            (Means::Curve(curve), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(curve, point).verify(message, signature)
            }
            (Means::Rsa(rsa), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(rsa, der).verify(message, signature)
            }
            (Means::Rsa(rsa), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(rsa, message, signature)
            }
            _ => Err(error::Unspecified),
        };
        checked.map_err(|_| signature::Error::new())
    }
}

/// By what a signature is checked.
enum Means {
    Secret(hmac::Algorithm),
    Curve(&'static dyn VerificationAlgorithm),
    Rsa(&'static RsaParameters),
    /// An algorithm that this page does not know.
    None,
}

impl RingVerifier {
    fn means(&self) -> Means {
        match self.algorithm {
            Algorithm::HS256 => Means::Secret(hmac::HMAC_SHA256),
            Algorithm::HS384 => Means::Secret(hmac::HMAC_SHA384),
            Algorithm::HS512 => Means::Secret(hmac::HMAC_SHA512),
            Algorithm::ES256 => Means::Curve(&ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => Means::Curve(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => Means::Curve(&ED25519),
            Algorithm::RS256 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => Means::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => Means::Rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => Means::Rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => Means::Rsa(&RSA_PSS_2048_8192_SHA512),
            _ => Means::None,
        }
    }
}

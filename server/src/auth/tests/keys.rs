//! Keys that are made when a test runs, and tokens that are signed with them.

use std::sync::{LazyLock, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use num_bigint::BigUint;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use serde_json::{Map, Value, json};

/// Who signs.
pub enum Signer {
    Rsa(&'static Rsa),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Vec<u8>),
}

/// A pair of RSA keys.
pub struct Rsa {
    pair: RsaKeyPair,
    modulus: Vec<u8>,
}

impl Signer {
    /// The same key each time: making one takes a while.
    pub fn rsa() -> Self {
        static KEY: OnceLock<Rsa> = OnceLock::new();
        Self::Rsa(KEY.get_or_init(Rsa::make))
    }

    pub fn p256() -> Self {
        Self::P256(ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING))
    }

    pub fn p384() -> Self {
        Self::P384(ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING))
    }

    pub fn ed25519() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    pub fn secret() -> Self {
        Self::Secret(random(64))
    }

    /// The signature of a message by an algorithm of its kind.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(Rsa { pair, .. }) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    other => panic!("RSA has no {other}"),
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let hash = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }

    /// The public key as a JWK.
    pub fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |pair: &EcdsaKeyPair, curve: &str| {
            let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
            json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) })
        };
        let mut jwk = match self {
            Self::Rsa(rsa) => json!({ "kty": "RSA", "n": text(&rsa.modulus), "e": "AQAB" }),
            Self::P256(pair) => point(pair, "P-256"),
            Self::P384(pair) => point(pair, "P-384"),
            Self::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref()) }),
            Self::Secret(secret) => json!({ "kty": "oct", "k": text(secret) }),
        };
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public key as PEM text (RFC 5280, SubjectPublicKeyInfo).
    pub fn pem(&self) -> String {
        let (algorithm, key): (&[u8], Vec<u8>) = match self {
            Self::Rsa(rsa) => (
                &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00],
                sequence(&[integer(&rsa.modulus), integer(&[1, 0, 1])].concat()),
            ),
            Self::P256(pair) => (
                &[
                    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                    0x03, 0x01, 0x07,
                ],
                pair.public_key().as_ref().to_vec(),
            ),
            Self::P384(pair) => (
                &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
                pair.public_key().as_ref().to_vec(),
            ),
            Self::Ed25519(pair) => (&[0x06, 0x03, 0x2b, 0x65, 0x70], pair.public_key().as_ref().to_vec()),
            Self::Secret(_) => panic!("a secret has no public key"),
        };
        let bits = tagged(0x03, &[&[0], key.as_slice()].concat());
        let text = STANDARD.encode(sequence(&[sequence(algorithm), bits].concat()));
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A token with this header and these claims.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.raw(&header.to_string(), &claims.to_string())
    }

    /// The same of texts that need not be JSON.
    pub fn raw(&self, header: &str, claims: &str) -> String {
        let parsed: Value = serde_json::from_str(header).unwrap_or_default();
        let algorithm = match (parsed["alg"].as_str(), self) {
            (Some(name), Self::Rsa(_)) if name.starts_with("RS") || name.starts_with("PS") => name.to_owned(),
            (_, Self::Rsa(_)) => "RS256".to_owned(),
            (name, _) => name.unwrap_or("HS256").to_owned(),
        };
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.sign(&algorithm, message.as_bytes())))
    }
}

fn ecdsa(algorithm: &'static signature::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
}

pub fn random(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).unwrap();
    random
}

impl Rsa {
    /// A pair of 2,048 bits. ring makes none.
    fn make() -> Self {
        let (one, exponent) = (BigUint::from(1_u8), BigUint::from(65_537_u32));
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(prime);
            (prime(), other.join().unwrap())
        });
        let (p, q) = if first > second { (first, second) } else { (second, first) };
        let (p_less, q_less) = (&p - &one, &q - &one);
        let Some(d) = exponent.modinv(&(&p_less * &q_less)) else { return Self::make() };
        let n = &p * &q;
        let inverse = q.modinv(&p).unwrap();
        let numbers = [BigUint::from(0_u8), n.clone(), exponent, d.clone(), p, q, &d % p_less, &d % q_less, inverse];
        let members: Vec<u8> = numbers.iter().flat_map(|number| integer(&number.to_bytes_be())).collect();
        Self { pair: RsaKeyPair::from_der(&sequence(&members)).unwrap(), modulus: n.to_bytes_be() }
    }
}

/// A number of 1,024 bits that is prime, but for an error that no test will live to see.
fn prime() -> BigUint {
    static SMALL: LazyLock<Vec<u32>> = LazyLock::new(|| {
        (3..5_000)
            .step_by(2)
            .filter(|n: &u32| (3..).step_by(2).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d)))
            .collect()
    });
    loop {
        let mut bytes = random(128);
        // Two primes of which the upper two bits are set have a product of twice their length.
        bytes[0] |= 0b1100_0000;
        bytes[127] |= 1;
        let candidate = BigUint::from_bytes_be(&bytes);
        if SMALL.iter().all(|small| (&candidate % small) != BigUint::from(0_u8)) && is_prime(&candidate) {
            return candidate;
        }
    }
}

/// Miller and Rabin.
fn is_prime(n: &BigUint) -> bool {
    let one = BigUint::from(1_u8);
    let less = n - &one;
    let twos = less.trailing_zeros().unwrap();
    let odd = &less >> twos;
    [2_u8, 3, 5, 7, 11, 13].into_iter().all(|base| {
        let mut power = BigUint::from(base).modpow(&odd, n);
        if power == one || power == less {
            return true;
        }
        (1..twos).any(|_| {
            power = &power * &power % n;
            power == less
        })
    })
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len().saturating_sub(1));
    let bytes = &bytes[zeros..];
    // A first bit that is set would be a sign.
    let sign: &[u8] = if bytes[0] & 0x80 != 0 { &[0] } else { &[] };
    tagged(0x02, &[sign, bytes].concat())
}

fn sequence(members: &[u8]) -> Vec<u8> {
    tagged(0x30, members)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut all = vec![tag];
    match length {
        0..128 => all.push(length as u8),
        128..256 => all.extend([0x81, length as u8]),
        _ => all.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    all.extend_from_slice(content);
    all
}

/// Claims that are good until long after all tests, with changes: null takes a member away.
pub fn claims(issuer: &str, changes: Value) -> Value {
    let mut claims = json!({
        "iss": issuer, "sub": "ada", "aud": "weir", "iat": 1_700_000_000, "exp": 4_000_000_000_u64, "jti": "t1",
    });
    change(&mut claims, changes);
    claims
}

/// An object with changes: null takes a member away.
pub fn change(object: &mut Value, changes: Value) {
    let members: Map<String, Value> = changes.as_object().cloned().unwrap_or_default();
    for (name, value) in members {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().shift_remove(&name)),
            value => object[name] = value,
        }
    }
}

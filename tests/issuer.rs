//! An issuer of the test's own: keys that it signs with, and a server that publishes them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use crate::weir::PATIENCE;

/// An issuer that publishes its keys, and counts who asks for them.
pub struct Issuer {
    /// Its name, and where it is.
    pub url: String,
    keys: Arc<Mutex<Published>>,
}

#[derive(Default)]
struct Published {
    /// Nothing: it is out of order.
    keys: Option<Value>,
    asked: usize,
}

impl Issuer {
    /// Listens, and has published nothing yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys: Arc<Mutex<Published>> = Arc::default();
        let (published, own) = (keys.clone(), url.clone());
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                }
                let mut published = published.lock().unwrap();
                published.asked += 1;
                let body = match (head.starts_with(b"GET /.well-known/openid-configuration "), &published.keys) {
                    (true, _) => Some(json!({ "issuer": own, "jwks_uri": format!("{own}/keys") })),
                    (false, keys) => keys.as_ref().map(|keys| json!({ "keys": keys })),
                };
                let (status, body) =
                    body.map_or(("500 Out of order", String::new()), |body| ("200 OK", body.to_string()));
                // Whoever asks may be gone.
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { url, keys }
    }

    /// Publishes these keys, in place of those before.
    pub fn publish(&self, keys: &[&Key]) {
        self.keys.lock().unwrap().keys = Some(keys.iter().map(|key| key.jwk()).collect());
    }

    /// Answers with an error, from now on.
    pub fn go_out_of_order(&self) {
        self.keys.lock().unwrap().keys = None;
    }

    /// How often it was asked for anything.
    pub fn asked(&self) -> usize {
        self.keys.lock().unwrap().asked
    }
}

/// A key that the issuer signs with.
pub struct Key {
    name: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    /// A new one, under this `kid`.
    pub fn make(name: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { name, pair }
    }

    /// Its public half.
    pub fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.name, "x": x, "y": y })
    }

    /// A token of an issuer for the audience `shop`, good for a long time unless these claims say otherwise.
    pub fn token(&self, issuer: &str, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": self.name, "typ": "JWT" });
        let mut all = json!({ "iss": issuer, "aud": "shop", "exp": 4_000_000_000_u64 });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&all));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

//! Tokens: verified for the first time, and shown again.

use std::hint::black_box;
use std::time::Instant;

use serde_json::json;
use weir::auth::Auth;
use weir::auth::remote::Outside;
use weir::auth::verify::Issuers;
use weir::config::Config;
use weir_engine::Engine;
use weir_engine::call::Caller;
use weir_sandbox::pool::PoolOptions;
use weir_store::{Options, Store};

use super::keys::{Signer, claims};

/// Verifications that are measured together.
const ROUND: u32 = 20;
/// Rounds, of which the median is told.
const ROUNDS: usize = 101;

pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data"), Options::default()).unwrap();
    let engine = Engine::start(store, PoolOptions::default()).unwrap();
    println!("tokens                first      again      ratio");
    let signers = [
        ("RS256", Signer::rsa()),
        ("PS256", Signer::rsa()),
        ("ES256", Signer::p256()),
        ("ES384", Signer::p384()),
        ("EdDSA", Signer::ed25519()),
        ("HS256", Signer::secret()),
    ];
    for (algorithm, signer) in signers {
        let source = match &signer {
            Signer::Secret(secret) => {
                write_secret(&folder.path().join("secret"), secret);
                "secret = { file = \"secret\", kid = \"k\" }".to_owned()
            }
            signer => {
                std::fs::write(folder.path().join("keys.json"), signer.jwk("k").to_string()).unwrap();
                "keys = [{ file = \"keys.json\" }]".to_owned()
            }
        };
        let file = folder.path().join("weir.toml");
        let text =
            format!("[[issuer]]\nissuer = \"i\"\nalgorithms = [\"{algorithm}\"]\naudience = [\"weir\"]\n{source}\n");
        std::fs::write(&file, text).unwrap();
        let config = Config::read(&file).unwrap();
        let issuers = || Issuers::new(&config.issuer, &config.tokens, &Outside::real()).unwrap();
        let more =
            json!({ "roles": ["clerk", "admin"], "scope": "read write", "org": "acme", "email": "ada@acme.example" });
        let token = signer.token(&json!({ "alg": algorithm, "kid": "k", "typ": "JWT" }), &claims("i", more));
        let alone = issuers();
        let auth = Auth::new(engine.clone(), issuers(), 100, Caller::Anonymous);
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let began = Instant::now();
            for _ in 0..ROUND {
                black_box(alone.verify(&token).await.unwrap());
            }
            first.push(began.elapsed() / ROUND);
            let began = Instant::now();
            for _ in 0..ROUND {
                black_box(auth.of_token(&token).await.unwrap());
            }
            again.push(began.elapsed() / ROUND);
        }
        first.sort_unstable();
        again.sort_unstable();
        let (first, again) = (first[ROUNDS / 2].as_nanos() as f64 / 1e3, again[ROUNDS / 2].as_nanos() as f64 / 1e3);
        println!("{algorithm:<16} {first:>7.1} µs {again:>7.2} µs {:>9.1}", first / again);
    }
    engine.close().await;
}

fn write_secret(file: &std::path::Path, secret: &[u8]) {
    std::fs::write(file, secret).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

//! The table of forgeries: each is told apart from the good token beside it, for the right reason.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::keys::{Signer, change, claims, random};
use super::{header, issuers, section, write_secret};
use crate::auth::error::TokenError;
use crate::auth::verify::Issuers;

const RSA: &str = "https://rsa.example";
const EC: &str = "https://ec.example/";
const ED: &str = "https://ed.example";
const HS: &str = "https://hs.example";
const NOW_MS: u64 = 1_800_000_000_000;
const NOW: u64 = NOW_MS / 1_000;

/// Four issuers, each with one key and its algorithms.
struct World {
    issuers: Issuers,
    rsa: Signer,
    ec: Signer,
    ed: Signer,
    hs: Signer,
    secret: Vec<u8>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A text: the newline at the end of a file is none of its secret.
        let secret = URL_SAFE_NO_PAD.encode(random(32)).into_bytes();
        let (rsa, ec, ed) = (Signer::rsa(), Signer::p256(), Signer::ed25519());
        let mut text = section(folder.path(), RSA, "\"RS256\", \"PS384\"", &rsa, "r1");
        text += &section(folder.path(), EC, "\"ES256\"", &ec, "e1");
        text += &section(folder.path(), ED, "\"EdDSA\"", &ed, "d1");
        text += "required = [\"org\"]\nroles = \"realm.roles\"\nscopes = \"scp\"\nkind_claim = \"for\"\n";
        write_secret(&folder.path().join("secret"), &secret);
        text += &format!(
            "[[issuer]]\nissuer = \"{HS}\"\nalgorithms = [\"HS256\"]\naudience = [\"weir\"]\n\
             secret = {{ file = \"secret\", kid = \"h1\" }}\n[tokens]\nclock_skew = \"10s\"\n"
        );
        let issuers = issuers(folder.path(), &text).unwrap();
        Self { issuers, rsa, ec, ed, hs: Signer::Secret(secret.clone()), secret, _folder: folder }
    }

    async fn take(&self, token: &str) -> Result<(), TokenError> {
        self.issuers.verify(token).await?.is_good_at(NOW_MS)
    }

    /// What comes of each token, against what is expected: nothing for a good one.
    async fn check(&self, table: Vec<(&str, String, Option<TokenError>)>) {
        for (name, token, expected) in table {
            let came = self.take(&token).await.err();
            assert_eq!(came, expected, "{name}: {}", token.get(..200).unwrap_or(&token));
        }
    }
}

/// A claim is missing or wrong.
fn claim(name: &str) -> Option<TokenError> {
    Some(TokenError::Claim(name.to_owned()))
}

fn malformed() -> Option<TokenError> {
    Some(TokenError::Malformed("its header and its claims are JSON objects, with each member once"))
}

fn with(mut object: Value, changes: Value) -> Value {
    change(&mut object, changes);
    object
}

#[tokio::test]
async fn good_tokens_are_taken() {
    let world = World::new();
    let of_ed = json!({ "org": "acme", "for": "service", "realm": { "roles": ["b", "a", "b"] }, "scp": "write read" });
    let table = vec![
        ("RS256", world.rsa.token(&header("RS256", "r1"), &claims(RSA, json!({}))), None),
        ("PS384", world.rsa.token(&header("PS384", "r1"), &claims(RSA, json!({}))), None),
        ("ES256", world.ec.token(&header("ES256", "e1"), &claims(EC, json!({}))), None),
        ("EdDSA", world.ed.token(&header("EdDSA", "d1"), &claims(ED, of_ed.clone())), None),
        ("HS256", world.hs.token(&header("HS256", "h1"), &claims(HS, json!({}))), None),
        ("no typ", world.ec.token(&json!({ "alg": "ES256", "kid": "e1" }), &claims(EC, json!({}))), None),
        (
            "an access token (RFC 9068)",
            world.ec.token(&with(header("ES256", "e1"), json!({ "typ": "at+jwt" })), &claims(EC, json!({}))),
            None,
        ),
        (
            "one of several audiences",
            world.ec.token(&header("ES256", "e1"), &claims(EC, json!({ "aud": ["x", "other"] }))),
            None,
        ),
        (
            "a time with a fraction",
            world.ec.token(&header("ES256", "e1"), &claims(EC, json!({ "exp": NOW as f64 + 0.5 }))),
            None,
        ),
    ];
    world.check(table).await;
    let token = world.ed.token(&header("EdDSA", "d1"), &claims(ED, of_ed));
    let verified = world.issuers.verify(&token).await.unwrap();
    let weir_engine::call::Caller::Token(identity) = verified.caller(&Default::default()).unwrap() else {
        panic!("it has shown a token")
    };
    assert_eq!((identity.kind.name(), identity.issuer.as_str(), identity.subject.as_str()), ("service", ED, "ada"));
    assert_eq!((identity.roles.join(" "), identity.scopes.join(" ")), ("a b".to_owned(), "read write".to_owned()));
    assert!(identity.claims.is_empty(), "the app declares none");
}

#[tokio::test]
async fn no_token_chooses_how_it_is_checked() {
    let world = World::new();
    let good = claims(RSA, json!({}));
    let unsigned = |algorithm: &str| {
        let header = json!({ "typ": "JWT", "alg": algorithm, "kid": "r1" });
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(good.to_string()))
    };
    let Value::String(modulus) = world.rsa.jwk("r1")["n"].clone() else { panic!("a modulus") };
    let pem = world.rsa.pem();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let of_key = |secret: Vec<u8>| Signer::Secret(secret).token(&header("HS256", "r1"), &good);
    let algorithm = Some(TokenError::Algorithm);
    let signature = Some(TokenError::Signature);
    let mut table = vec![
        ("none", unsigned("none"), algorithm.clone()),
        ("None", unsigned("None"), algorithm.clone()),
        ("NONE", unsigned("NONE"), algorithm.clone()),
        ("no name", unsigned(""), algorithm.clone()),
        ("RS256 without a signature", unsigned("RS256"), signature.clone()),
        (
            "a number as alg",
            world.rsa.token(&with(header("RS256", "r1"), json!({ "alg": 1 })), &good),
            algorithm.clone(),
        ),
        ("HS256 with the public key, PEM", of_key(pem.clone().into_bytes()), algorithm.clone()),
        (
            "HS256 with the public key, PEM without its end",
            of_key(pem.trim_end().as_bytes().to_vec()),
            algorithm.clone(),
        ),
        ("HS256 with the public key, DER", of_key(STANDARD.decode(der).unwrap()), algorithm.clone()),
        ("HS256 with the modulus", of_key(URL_SAFE_NO_PAD.decode(modulus).unwrap()), algorithm.clone()),
        ("HS256 with nothing", of_key(Vec::new()), algorithm.clone()),
        ("an algorithm that is not pinned", world.rsa.token(&header("RS512", "r1"), &good), algorithm.clone()),
        ("PS256, not pinned", world.rsa.token(&header("PS256", "r1"), &good), algorithm.clone()),
        (
            "PS384 signed as RS384",
            {
                let message = format!(
                    "{}.{}",
                    URL_SAFE_NO_PAD.encode(header("PS384", "r1").to_string()),
                    URL_SAFE_NO_PAD.encode(good.to_string())
                );
                format!("{message}.{}", URL_SAFE_NO_PAD.encode(world.rsa.sign("RS384", message.as_bytes())))
            },
            signature.clone(),
        ),
        (
            "RS256 for who has a secret",
            world.rsa.token(&header("RS256", "h1"), &claims(HS, json!({}))),
            algorithm.clone(),
        ),
        ("HS384, not pinned", world.hs.token(&header("HS384", "h1"), &claims(HS, json!({}))), algorithm.clone()),
        (
            "HS256 with another secret",
            {
                let mut secret = world.secret.clone();
                secret[0] ^= 1;
                Signer::Secret(secret).token(&header("HS256", "h1"), &claims(HS, json!({})))
            },
            signature.clone(),
        ),
        (
            "another curve under its own name",
            Signer::p384().token(&header("ES384", "e1"), &claims(EC, json!({}))),
            algorithm.clone(),
        ),
        (
            "another curve under this one's name",
            Signer::p384().token(&header("ES256", "e1"), &claims(EC, json!({}))),
            signature.clone(),
        ),
        (
            "another key of the same curve",
            Signer::p256().token(&header("ES256", "e1"), &claims(EC, json!({}))),
            signature.clone(),
        ),
        ("a curve where a modulus is", world.ec.token(&header("ES256", "r1"), &good), algorithm.clone()),
        ("Edwards where Weierstrass is", world.ed.token(&header("EdDSA", "e1"), &claims(EC, json!({}))), algorithm),
        ("another issuer's key", world.ec.token(&header("ES256", "e1"), &good), Some(TokenError::Algorithm)),
        ("another issuer's kid", world.rsa.token(&header("RS256", "e1"), &good), Some(TokenError::Key)),
    ];
    for (name, size) in
        [("a signature of zeros", 64), ("an empty signature", 0), ("a short one", 63), ("a long one", 65)]
    {
        let message = world.ec.token(&header("ES256", "e1"), &claims(EC, json!({})));
        let message = message.rsplit_once('.').unwrap().0;
        table.push((name, format!("{message}.{}", URL_SAFE_NO_PAD.encode(vec![0; size])), signature.clone()));
    }
    // Where nobody looks, these are as good as zeros: the order of P-256, twice, and the largest numbers that there are.
    let order = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    let order: Vec<u8> = (0..32).map(|byte| u8::from_str_radix(&order[2 * byte..2 * byte + 2], 16).unwrap()).collect();
    for (name, numbers) in [("the order of the curve", order.repeat(2)), ("the largest numbers", vec![0xff; 64])] {
        let message = world.ec.token(&header("ES256", "e1"), &claims(EC, json!({})));
        let message = message.rsplit_once('.').unwrap().0;
        table.push((name, format!("{message}.{}", URL_SAFE_NO_PAD.encode(numbers)), signature.clone()));
    }
    table.push(("nOnE", unsigned("nOnE"), Some(TokenError::Algorithm)));
    world.check(table).await;
}

#[tokio::test]
async fn what_a_header_says_of_its_key_is_refused_and_followed_nowhere() {
    let world = World::new();
    let good = claims(EC, json!({}));
    let own = Signer::p256();
    let mut table = Vec::new();
    let refused = |name: &'static str| Some(TokenError::Header(name));
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("jwk", own.jwk("e1")),
        ("x5u", json!("https://evil.example/certificate")),
        ("x5c", json!(["MIIB"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
    ] {
        // Signed by the attacker's key, and by the right one: neither is looked at.
        for signer in [&own, &world.ec] {
            let token = signer.token(&with(header("ES256", "e1"), json!({ name: value })), &good);
            table.push((name, token, refused(name)));
        }
    }
    let typ = refused("a typ other than JWT");
    table.push(("typ", world.ec.token(&with(header("ES256", "e1"), json!({ "typ": "JWE" })), &good), typ.clone()));
    table.push(("typ", world.ec.token(&with(header("ES256", "e1"), json!({ "typ": 1 })), &good), typ));
    let unknown = Some(TokenError::Key);
    for kid in [
        "../../../../dev/null",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://evil.example/keys",
        "e1' OR '1'='1",
        "e1\u{0}",
        "E1",
        " e1",
        "e1 ",
        "null",
        "d1",
    ] {
        table.push(("kid", world.ec.token(&header("ES256", kid), &good), unknown.clone()));
    }
    let none = refused("a kid that is none");
    for kid in [json!(1), json!(["e1"]), json!({}), json!(true), json!(""), json!("k".repeat(257))] {
        table.push(("kid", world.ec.token(&with(header("ES256", ""), json!({ "kid": kid })), &good), none.clone()));
    }
    table.push(("kid null", world.ec.raw(r#"{"alg":"ES256","kid":null}"#, &good.to_string()), none));
    table.push(("no kid", world.ec.raw(r#"{"alg":"ES256"}"#, &good.to_string()), unknown));
    let long = world.ec.token(&header("ES256", &"k".repeat(1 << 20)), &good);
    table.push(("a kid of a megabyte", long, Some(TokenError::TooLong(16 << 10))));
    table.push(("two kids", world.ec.raw(r#"{"alg":"ES256","kid":"x","kid":"e1"}"#, &good.to_string()), malformed()));
    table.push((
        "two algs",
        world.ec.raw(r#"{"alg":"none","alg":"ES256","kid":"e1"}"#, &good.to_string()),
        malformed(),
    ));
    world.check(table).await;
}

#[tokio::test]
async fn a_token_has_its_claims_and_each_once() {
    let world = World::new();
    let of = |changes: Value| world.ec.token(&header("ES256", "e1"), &claims(EC, changes));
    let raw = |claims: &str| world.ec.raw(&header("ES256", "e1").to_string(), claims);
    let mut table = vec![
        ("no issuer", of(json!({ "iss": null })), claim("iss")),
        ("a list of issuers", of(json!({ "iss": [EC, RSA] })), claim("iss")),
        ("an issuer nobody knows", of(json!({ "iss": "https://evil.example" })), Some(TokenError::Issuer)),
        ("an issuer that is nearly one", of(json!({ "iss": "https://ec.example" })), Some(TokenError::Issuer)),
        ("another issuer", of(json!({ "iss": HS })), Some(TokenError::Algorithm)),
        ("no audience", of(json!({ "aud": null })), claim("aud")),
        ("another audience", of(json!({ "aud": "weir2" })), Some(TokenError::Audience)),
        ("other audiences", of(json!({ "aud": ["a", "b"] })), Some(TokenError::Audience)),
        ("nobody as audience", of(json!({ "aud": [] })), Some(TokenError::Audience)),
        ("no end", of(json!({ "exp": null })), claim("exp")),
        ("no subject", of(json!({ "sub": null })), claim("sub")),
        ("an empty subject", of(json!({ "sub": "" })), claim("sub")),
        ("a long subject", of(json!({ "sub": "s".repeat(1_025) })), claim("sub")),
        ("an id that is a number", of(json!({ "jti": 1 })), claim("jti")),
        ("roles that are a number", of(json!({ "roles": 1 })), claim("roles")),
        ("a role that is a number", of(json!({ "roles": ["a", 1] })), claim("roles")),
        ("an end as text", of(json!({ "exp": "4000000000" })), claim("exp")),
        ("an end before 1970", of(json!({ "exp": -1 })), claim("exp")),
        ("an end at the end of time", of(json!({ "exp": 1e300 })), claim("exp")),
        ("a start as text", of(json!({ "nbf": "0" })), claim("nbf")),
        ("a birth as a list", of(json!({ "iat": [0] })), claim("iat")),
        (
            "two subjects",
            raw(&format!(r#"{{"iss":"{EC}","sub":"eve","aud":"weir","exp":4e9,"sub":"ada"}}"#)),
            malformed(),
        ),
        (
            "two of one deep down",
            raw(&format!(r#"{{"iss":"{EC}","sub":"a","aud":"weir","exp":4e9,"x":[{{"a":1,"a":2}}]}}"#)),
            malformed(),
        ),
        ("no object", raw("[]"), malformed()),
        ("no JSON", raw("{"), malformed()),
        ("JSON and more", raw(&format!("{} {{}}", claims(EC, json!({})))), malformed()),
    ];
    let of = |changes: Value| world.ed.token(&header("EdDSA", "d1"), &claims(ED, changes));
    table.push(("without what is required", of(json!({ "for": "user" })), claim("org")));
    table.push(("of no kind", of(json!({ "org": "acme" })), claim("for")));
    table.push(("of another kind", of(json!({ "org": "acme", "for": "developer" })), claim("for")));
    world.check(table).await;
}

#[tokio::test]
async fn a_token_is_three_parts_as_they_were_signed() {
    let world = World::new();
    let good = world.ec.token(&header("ES256", "e1"), &claims(EC, json!({})));
    let [head, body, tail] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let other = world.ec.token(&header("ES256", "e1"), &claims(EC, json!({ "sub": "eve" })));
    let other_body = other.split('.').nth(1).unwrap();
    let dots = Some(TokenError::Malformed("it has three parts with dots between"));
    let text = Some(TokenError::Malformed("its parts are base64url"));
    let unread = Some(TokenError::Malformed("its header, claims and signature are base64url"));
    let table = vec![
        ("as it is", good.clone(), None),
        ("another's claims", format!("{head}.{other_body}.{tail}"), Some(TokenError::Signature)),
        ("two parts", format!("{head}.{body}"), dots.clone()),
        ("four parts", format!("{good}.{tail}"), dots.clone()),
        ("nothing", String::new(), dots.clone()),
        ("dots", "..".to_owned(), malformed()),
        ("filled up", format!("{head}.{body}.{tail}=="), unread.clone()),
        ("filled up in front", format!("{head}=.{body}.{tail}"), text.clone()),
        ("with a space", format!("{head}.{body} .{tail}"), text.clone()),
        ("with a line", format!("{head}.{body}\n.{tail}"), text),
        ("a signature that is none", format!("{head}.{body}.!"), unread),
        ("too long", format!("{good}{}", "A".repeat(16 << 10)), Some(TokenError::TooLong(16 << 10))),
    ];
    world.check(table).await;
}

#[tokio::test]
async fn a_token_is_good_in_its_time_whatever_the_clock_does() {
    let world = World::new();
    let claims = claims(EC, json!({ "iat": NOW, "nbf": NOW + 100, "exp": NOW + 200 }));
    let token = world.issuers.verify(&world.ec.token(&header("ES256", "e1"), &claims)).await.unwrap();
    let (early, late) = (Err(TokenError::NotYet), Err(TokenError::Expired));
    // Clocks may be 10 seconds apart. The clock goes forward, and back again.
    for (after_ms, expected) in [
        (0, early.clone()),
        (89_999, early.clone()),
        (90_000, Ok(())),
        (200_000, Ok(())),
        (209_999, Ok(())),
        (210_000, late.clone()),
        (10_000_000_000_000, late),
        (150_000, Ok(())),
        (0, early.clone()),
    ] {
        assert_eq!(token.is_good_at(NOW_MS + after_ms), expected, "{after_ms} ms later");
    }
    assert_eq!(token.is_good_at(0), early);
    let table = vec![
        (
            "expired",
            world.ec.token(&header("ES256", "e1"), &with(claims.clone(), json!({ "nbf": 0, "exp": NOW - 11 }))),
            Some(TokenError::Expired),
        ),
        (
            "made tomorrow",
            world.ec.token(&header("ES256", "e1"), &with(claims.clone(), json!({ "nbf": 0, "iat": NOW + 86_400 }))),
            Some(TokenError::NotYet),
        ),
        (
            "made in a moment",
            world.ec.token(&header("ES256", "e1"), &with(claims, json!({ "nbf": 0, "iat": NOW + 9 }))),
            None,
        ),
    ];
    world.check(table).await;
}

/// A token of an issuer whose clock is ahead, as far as it may be, was made before a revocation that is said now.
#[tokio::test]
async fn what_is_revoked_up_to_now_has_what_a_clock_that_is_ahead_has_made() {
    let world = World::new();
    for ahead_s in [0, 5, 10] {
        let claims = claims(EC, json!({ "iat": NOW + ahead_s }));
        let token = world.issuers.verify(&world.ec.token(&header("ES256", "e1"), &claims)).await.unwrap();
        assert_eq!(token.is_good_at(NOW_MS), Ok(()));
        assert!(token.shown().made_s <= NOW, "{ahead_s} s ahead");
    }
    let later = claims(EC, json!({ "iat": NOW + 11 }));
    let later = world.issuers.verify(&world.ec.token(&header("ES256", "e1"), &later)).await.unwrap();
    assert!(later.shown().made_s > NOW);
}

#[tokio::test]
async fn keys_are_for_what_they_are_and_files_say_what_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (ec, rsa, secret) = (Signer::p256(), Signer::rsa(), URL_SAFE_NO_PAD.encode(random(32)).into_bytes());
    let files = [
        ("ec.pem", ec.pem()),
        ("p384.pem", Signer::p384().pem()),
        ("ed.pem", Signer::ed25519().pem()),
        ("rsa.pem", rsa.pem()),
        ("private.pem", "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n".to_owned()),
        ("certificate.pem", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n".to_owned()),
        ("one.json", ec.jwk("e1").to_string()),
        ("oct.json", json!({ "keys": [Signer::secret().jwk("s")] }).to_string()),
        ("encryption.json", with(ec.jwk("e1"), json!({ "use": "enc" })).to_string()),
        ("other.json", with(ec.jwk("e1"), json!({ "alg": "ES384" })).to_string()),
        ("twice.json", r#"{"kty":"EC","kty":"RSA"}"#.to_owned()),
        ("text", "hello".to_owned()),
    ];
    for (name, text) in files {
        std::fs::write(path.join(name), text).unwrap();
    }
    write_secret(&path.join("secret"), &[&secret[..], b"\n"].concat());
    write_secret(&path.join("short"), &secret[..31]);
    std::fs::write(path.join("open"), &secret).unwrap();
    let with_keys = |algorithm: &str, keys: &str| {
        let text =
            format!("[[issuer]]\nissuer = \"{EC}\"\nalgorithms = [\"{algorithm}\"]\naudience = [\"weir\"]\n{keys}\n");
        issuers(path, &text)
    };
    let file =
        |algorithm: &str, name: &str| with_keys(algorithm, &format!("keys = [{{ file = \"{name}\", kid = \"e1\" }}]"));
    let token = ec.token(&header("ES256", "e1"), &claims(EC, json!({})));
    for name in ["ec.pem", "one.json"] {
        assert!(file("ES256", name).unwrap().verify(&token).await.is_ok(), "{name}");
    }
    let of_rsa = rsa.token(&header("RS512", "e1"), &claims(EC, json!({})));
    assert!(file("RS512", "rsa.pem").unwrap().verify(&of_rsa).await.is_ok());
    let of_secret = Signer::Secret(secret).token(&json!({ "alg": "HS256" }), &claims(EC, json!({})));
    let by_secret = |name: &str| with_keys("HS256", &format!("secret = {{ file = \"{name}\" }}"));
    assert!(by_secret("secret").unwrap().verify(&of_secret).await.is_ok());
    for (made, words) in [
        (file("ES384", "ec.pem"), "has no key for the algorithms of its issuer"),
        (file("ES256", "p384.pem"), "has no key for the algorithms of its issuer"),
        (file("ES256", "ed.pem"), "has no key for the algorithms of its issuer"),
        (file("ES256", "rsa.pem"), "has no key for the algorithms of its issuer"),
        (file("ES256", "oct.json"), "has no key for the algorithms of its issuer"),
        (file("ES256", "encryption.json"), "has no key for the algorithms of its issuer"),
        (file("ES256", "other.json"), "has no key for the algorithms of its issuer"),
        (file("ES256", "private.pem"), "is a private key, which has no place here"),
        (file("ES256", "certificate.pem"), "is no key: it is PEM text that begins with -----BEGIN PUBLIC KEY-----"),
        (file("ES256", "twice.json"), "is no key"),
        (file("ES256", "text"), "is no key"),
        (file("ES256", "gone.pem"), "cannot be read"),
        (by_secret("short"), "is too short for a secret: it has 31 bytes, and at least 32 are needed"),
        (by_secret("open"), "is open to others: restrict it with chmod 600"),
    ] {
        let error = made.err().unwrap_or_else(|| panic!("{words}"));
        assert!(error.contains(words) && error.contains(EC), "{error}");
    }
}

//! `[[issuer]]` and `[tokens]`: whose tokens are taken, for what, and how long what is known of them is believed.
//!
//! Rule: an issuer says which algorithms it uses, and keys come from one place. What would let a token choose either is not to be
//! had.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::{Host, Url};
use weir_engine::call::TokenKind;
use weir_schema::duration;

/// The longest name, claim or audience in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// The most issuers.
pub const ISSUERS_MAX: usize = 100;

/// An entry of `[[issuer]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct IssuerSection {
    /// `iss` of its tokens, to the letter.
    pub issuer: String,
    /// What it signs with.
    pub algorithms: Vec<Algorithm>,
    /// Whom its tokens are for: one of these must be in their `aud`.
    pub audience: Vec<String>,
    /// Where its keys are.
    pub keys: Keys,
    /// Claims that its tokens must have besides `iss`, `sub`, `aud` and `exp`.
    pub required: Vec<String>,
    /// Where in its tokens the roles are, as names with dots between: `realm_access.roles`.
    pub roles: Vec<String>,
    /// Where the scopes are: a text with spaces between, or a list.
    pub scopes: Vec<String>,
    /// For whom its tokens are made.
    pub kind: KindOf,
    /// The claim of its tokens that names the tenant which they are for.
    pub tenant_claim: Option<String>,
}

/// Where the keys of an issuer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// In files.
    Files(Vec<KeyFile>),
    /// In a file that holds a secret which the issuer has too.
    Secret(KeyFile),
    /// A set of keys (RFC 7517) at a URL.
    Jwks(Url),
    /// Where the issuer's `/.well-known/openid-configuration` says.
    Discovery(Url),
}

/// A file with a key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// PEM text, a JWK or a set of them; or a secret.
    pub file: PathBuf,
    /// `kid` of the tokens that are signed with it; without, that of tokens which have none. A JWK says its own.
    #[serde(default)]
    pub kid: Option<String>,
}

/// For whom tokens are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindOf {
    /// All for the same.
    Fixed(TokenKind),
    /// A claim says it: `user` or `service`.
    Claim(String),
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    issuer: String,
    #[serde(deserialize_with = "algorithms")]
    algorithms: Vec<Algorithm>,
    audience: Vec<String>,
    #[serde(default)]
    keys: Vec<KeyFile>,
    secret: Option<KeyFile>,
    jwks_url: Option<String>,
    #[serde(default)]
    discovery: bool,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default = "roles")]
    roles: String,
    #[serde(default = "scope")]
    scopes: String,
    kind: Option<TokenKind>,
    kind_claim: Option<String>,
    tenant_claim: Option<String>,
}

fn roles() -> String {
    "roles".to_owned()
}

fn scope() -> String {
    "scope".to_owned()
}

impl Written {
    /// What has a text that is empty, or longer than anything of its kind.
    fn bad_text(&self) -> Option<&'static str> {
        let named = [("issuer", &self.issuer), ("roles", &self.roles), ("scopes", &self.scopes)];
        let audience = self.audience.iter().map(|text| ("audience", text));
        let required = self.required.iter().map(|text| ("required", text));
        let kids = self.keys.iter().chain(&self.secret).filter_map(|key| key.kid.as_ref()).map(|kid| ("kid", kid));
        let claim = self.kind_claim.iter().map(|claim| ("kind_claim", claim));
        let tenant = self.tenant_claim.iter().map(|claim| ("tenant_claim", claim));
        let mut texts = named.into_iter().chain(audience).chain(required).chain(kids).chain(claim).chain(tenant);
        texts.find(|(_, text)| text.is_empty() || text.len() > TEXT_BYTES_MAX).map(|(name, _)| name)
    }
}

/// Why an issuer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIssuer {
    /// A text that is empty or longer than anything of its kind.
    #[error("{0} has 1 to {TEXT_BYTES_MAX} bytes")]
    Text(&'static str),
    /// Anybody's tokens would do.
    #[error("audience is empty: write whom its tokens are for, as the issuer puts it into aud")]
    Audience,
    /// Nothing to check tokens by.
    #[error("algorithms is empty: write those that the issuer signs with, such as [\"RS256\"]")]
    Algorithms,
    /// A public key could be taken for a secret.
    #[error(
        "HS256, HS384 and HS512 are not to be mixed with others in one issuer: it has a secret, or keys that are public"
    )]
    Mixed,
    /// A secret for algorithms of key pairs, or the other way round.
    #[error(
        "HS256, HS384 and HS512 take secret = {{ file = \"…\" }}, and the other algorithms keys, jwks_url or discovery"
    )]
    Source,
    /// None or several.
    #[error("write one of keys, secret, jwks_url and discovery = true")]
    Sources,
    /// Keys that anybody on the way could exchange.
    #[error("{0} is not a URL that keys are read from: write https://, or http:// with a host of this machine")]
    Url(String),
    /// Both or neither say it.
    #[error("write kind or kind_claim, not both")]
    Kind,
}

impl TryFrom<Written> for IssuerSection {
    type Error = BadIssuer;

    fn try_from(written: Written) -> Result<Self, BadIssuer> {
        if let Some(name) = written.bad_text() {
            return Err(BadIssuer::Text(name));
        }
        let Written { issuer, algorithms, audience, keys, secret, jwks_url, discovery, required, .. } = written;
        if audience.is_empty() {
            return Err(BadIssuer::Audience);
        }
        let secrets = algorithms.iter().filter(|algorithm| algorithm.family() == AlgorithmFamily::Hmac).count();
        let takes_secret = match (secrets, algorithms.len()) {
            (_, 0) => return Err(BadIssuer::Algorithms),
            (0, _) => false,
            (secrets, all) if secrets == all => true,
            _ => return Err(BadIssuer::Mixed),
        };
        let keys = match (keys.as_slice(), secret, jwks_url, discovery) {
            ([_, ..], None, None, false) => Keys::Files(keys),
            ([], Some(secret), None, false) => Keys::Secret(secret),
            ([], None, Some(url), false) => Keys::Jwks(key_url(&url)?),
            ([], None, None, true) => {
                let metadata = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                Keys::Discovery(key_url(&metadata)?)
            }
            _ => return Err(BadIssuer::Sources),
        };
        if takes_secret != matches!(keys, Keys::Secret(_)) {
            return Err(BadIssuer::Source);
        }
        let kind = match (written.kind, written.kind_claim) {
            (Some(_), Some(_)) => return Err(BadIssuer::Kind),
            (_, Some(claim)) => KindOf::Claim(claim),
            (kind, None) => KindOf::Fixed(kind.unwrap_or(TokenKind::User)),
        };
        let path = |text: &str| text.split('.').map(str::to_owned).collect();
        let (roles, scopes) = (path(&written.roles), path(&written.scopes));
        let tenant_claim = written.tenant_claim;
        Ok(Self { issuer, algorithms, audience, keys, required, roles, scopes, kind, tenant_claim })
    }
}

/// A URL that keys may be read from: nobody on the way can put in others.
pub fn key_url(text: &str) -> Result<Url, BadIssuer> {
    let bad = || BadIssuer::Url(text.chars().take(200).collect());
    let url = Url::parse(text).map_err(|_| bad())?;
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => is_of_this_machine(&url),
        _ => false,
    };
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if is_safe && is_plain && text.len() <= TEXT_BYTES_MAX { Ok(url) } else { Err(bad()) }
}

/// Whether a URL leads nowhere but to this machine.
pub fn is_of_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn algorithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Algorithm>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let algorithm = |name: &String| {
        Algorithm::from_str(name).map_err(|_| {
            let all = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384, HS512";
            D::Error::custom(format!("{name:?} is no algorithm of tokens here: there are {all}"))
        })
    };
    names.iter().map(algorithm).collect()
}

impl IssuerSection {
    /// Takes paths for those of this folder.
    pub fn resolve(&mut self, folder: &Path) {
        let files = match &mut self.keys {
            Keys::Files(files) => files.as_mut_slice(),
            Keys::Secret(file) => std::slice::from_mut(file),
            Keys::Jwks(_) | Keys::Discovery(_) => &mut [],
        };
        for KeyFile { file, .. } in files {
            *file = folder.join(&*file);
        }
    }
}

/// Two of one name would be one too many.
pub fn issuers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IssuerSection>, D::Error> {
    let issuers = Vec::<IssuerSection>::deserialize(deserializer)?;
    if issuers.len() > ISSUERS_MAX {
        return Err(D::Error::custom(format!("more than {ISSUERS_MAX} issuers")));
    }
    for (place, IssuerSection { issuer, .. }) in issuers.iter().enumerate() {
        if issuers.iter().take(place).any(|other| other.issuer == *issuer) {
            return Err(D::Error::custom(format!("a second [[issuer]] is named {issuer:?}")));
        }
    }
    Ok(issuers)
}

/// `[tokens]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokensSection {
    /// How far the clocks of issuers may be off: a token is good so much earlier and so much longer.
    #[serde(deserialize_with = "up_to_five_minutes")]
    pub clock_skew: Duration,
    /// The longest token in bytes. A longer one is refused before anything of it is read. Heads of requests have room for 64 KiB.
    #[serde(deserialize_with = "token_bytes")]
    pub token_bytes: usize,
    /// So many verified tokens are remembered, so that the next request with one costs less.
    #[serde(deserialize_with = "some")]
    pub remembered: usize,
    /// Keys from a URL are read again after this time.
    #[serde(deserialize_with = "span")]
    pub keys_refresh: Duration,
    /// Keys from a URL that could not be read again are believed no longer than this.
    #[serde(deserialize_with = "span")]
    pub keys_believed: Duration,
    /// Between two requests for the keys of an issuer passes at least this time, whatever tokens come.
    #[serde(deserialize_with = "span")]
    pub keys_interval: Duration,
}

impl Default for TokensSection {
    fn default() -> Self {
        Self {
            clock_skew: Duration::from_secs(5),
            token_bytes: 16 << 10,
            remembered: 10_000,
            keys_refresh: Duration::from_secs(10 * 60),
            keys_believed: Duration::from_secs(24 * 60 * 60),
            keys_interval: Duration::from_secs(10),
        }
    }
}

fn parsed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let ms = duration::parse_ms(&text);
    let ms =
        ms.ok_or_else(|| D::Error::custom(format!("{text:?} is no time: write a number and a unit, such as \"30s\"")))?;
    Ok(Duration::from_millis(ms))
}

fn up_to_five_minutes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let skew = parsed(deserializer)?;
    let most = Duration::from_secs(5 * 60);
    if skew <= most { Ok(skew) } else { Err(D::Error::custom("more than a clock is ever off: write \"5m\" or less")) }
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let span = parsed(deserializer)?;
    let bounds = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);
    if bounds.contains(&span) { Ok(span) } else { Err(D::Error::custom("write a time from \"1s\" to \"30d\"")) }
}

fn token_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within(deserializer, 256, 32 << 10)
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within(deserializer, 1, 1_000_000)
}

fn within<'de, D: Deserializer<'de>>(deserializer: D, least: usize, most: usize) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom(format!("write a number from {least} to {most}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default, deserialize_with = "issuers")]
        issuer: Vec<IssuerSection>,
        #[serde(default)]
        tokens: TokensSection,
    }

    const GOOD: &str = "[[issuer]]\nissuer = \"https://a.example/\"\nalgorithms = [\"RS256\"]\naudience = [\"weir\"]\n";

    #[test]
    fn an_issuer_has_its_algorithms_and_one_source_of_keys() {
        let text = format!(
            "{GOOD}discovery = true\n[[issuer]]\nissuer = \"b\"\nalgorithms = [\"HS256\"]\naudience = [\"weir\"]\n\
             secret = {{ file = \"s\", kid = \"1\" }}\nkind_claim = \"typ\"\nroles = \"realm_access.roles\"\n\
             [tokens]\nclock_skew = \"0s\"\n"
        );
        let mut file: File = toml::from_str(&text).unwrap();
        let [first, second] = file.issuer.as_mut_slice() else { unreachable!("two") };
        let metadata = Url::parse("https://a.example/.well-known/openid-configuration").unwrap();
        assert_eq!((&first.keys, &first.kind), (&Keys::Discovery(metadata), &KindOf::Fixed(TokenKind::User)));
        second.resolve(Path::new("/etc/weir"));
        let secret = KeyFile { file: "/etc/weir/s".into(), kid: Some("1".to_owned()) };
        assert_eq!((&second.keys, &second.kind), (&Keys::Secret(secret), &KindOf::Claim("typ".to_owned())));
        assert_eq!((second.roles.join("/"), second.scopes.join("/")), ("realm_access/roles".into(), "scope".into()));
        assert_eq!((file.tokens.clock_skew, file.tokens.token_bytes), (Duration::ZERO, 16 << 10));
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let table = [
            (GOOD.to_owned(), "write one of keys, secret, jwks_url and discovery = true"),
            (format!("{GOOD}discovery = true\njwks_url = \"https://a.example/k\"\n"), "write one of"),
            (
                format!("{GOOD}jwks_url = \"http://a.example/k\"\n"),
                "write https://, or http:// with a host of this machine",
            ),
            (format!("{GOOD}jwks_url = \"https://u:p@a.example/k\"\n"), "is not a URL that keys are read from"),
            (format!("{GOOD}jwks_url = \"file:///etc/keys\"\n"), "is not a URL that keys are read from"),
            (format!("{GOOD}secret = {{ file = \"s\" }}\n"), "take secret ="),
            (GOOD.replace("RS256", "HS256") + "discovery = true\n", "take secret ="),
            (GOOD.replace("\"RS256\"", "\"HS256\", \"RS256\"") + "discovery = true\n", "are not to be mixed"),
            (GOOD.replace("RS256", "none") + "discovery = true\n", "\"none\" is no algorithm of tokens here"),
            (GOOD.replace("\"RS256\"", "") + "discovery = true\n", "algorithms is empty"),
            (GOOD.replace("\"weir\"", "") + "discovery = true\n", "audience is empty"),
            (GOOD.replace("https://a.example/", "") + "discovery = true\n", "issuer has 1 to 1024 bytes"),
            (format!("{GOOD}discovery = true\nkind = \"user\"\nkind_claim = \"k\"\n"), "write kind or kind_claim"),
            (format!("{GOOD}discovery = true\n{GOOD}discovery = true\n"), "a second [[issuer]] is named"),
            (format!("{GOOD}discovery = true\nkey = 1\n"), "unknown field `key`"),
            ("[tokens]\nclock_skew = \"1h\"\n".to_owned(), "write \"5m\" or less"),
            ("[tokens]\nclock_skew = 5\n".to_owned(), "invalid type"),
            ("[tokens]\ntoken_bytes = 1000000\n".to_owned(), "write a number from 256 to 32768"),
            ("[tokens]\nkeys_interval = \"0s\"\n".to_owned(), "from \"1s\" to \"30d\""),
            ("[tokens]\nskew = \"1s\"\n".to_owned(), "unknown field `skew`"),
        ];
        for (text, words) in table {
            let error = toml::from_str::<File>(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

//! Whether a token is one, and what it says: everything about it that can be known without the store.
//!
//! Rule: the configuration says how a token is taken. Of its header three members are looked at, `alg`, `kid` and `typ`, to find
//! what the configuration has under `(iss, kid)`; whatever else would have it taken in another way is refused, not ignored.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::watch;
use weir_engine::call::{Caller, Identity, TokenKind};
use weir_engine::revoked::Shown;
use weir_engine::rollouts::traffic::Asker;
use weir_schema::caller::CallerSettings;

use super::crypto;
use super::error::TokenError;
use super::keys::{KID_BYTES_MAX, KeySet, KeysError};
use super::remote::{Outside, Remote, Source};
use super::strict::Strict;
use crate::config::{IssuerSection, Keys, KindOf, TokensSection};

/// The longest subject or id of a token, in bytes.
const NAME_BYTES_MAX: usize = 1_024;
/// The most roles, and the most scopes.
const NAMES_MAX: usize = 1_000;

/// Members of a header that say how a token is to be taken: with which key, or as what.
const REFUSED: [&str; 9] = ["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc", "cty"];

/// Whose tokens are taken.
pub struct Issuers {
    issuers: Vec<Issuer>,
    token_bytes: usize,
    /// Counts sets of keys that were exchanged.
    exchanged: watch::Sender<u64>,
}

/// One of them.
struct Issuer {
    name: String,
    /// How far its clock may be off.
    clock_skew_s: u64,
    keys: IssuerKeys,
    algorithms: Vec<Algorithm>,
    audience: Vec<String>,
    required: Vec<String>,
    roles: Vec<String>,
    scopes: Vec<String>,
    kind: KindOf,
    /// The claim that names a tenant.
    tenant_claim: Option<String>,
}

#[derive(Clone)]
enum IssuerKeys {
    Here(Arc<KeySet>),
    Remote(Arc<Remote>),
}

/// What a token says that was verified.
pub struct Verified {
    /// Of whom it tells.
    identity: Identity,
    /// The tenant that it is for.
    tenant: Option<String>,
    /// `jti`
    id: Option<String>,
    /// When it was made at the earliest, in seconds since 1970; 0 where it does not say. Its issuer's clock may be ahead, and what is
    /// revoked up to now has to end all that was made up to now.
    made_s: u64,
    /// When it was made at the latest, in seconds since 1970: its issuer's clock may be behind, too.
    made_latest_s: u64,
    /// From when on it is good.
    from_ms: u64,
    /// Until when it is good.
    until_ms: u64,
    /// With which keys it was checked.
    issuer: IssuerKeys,
    keys: Arc<KeySet>,
    /// With which of them.
    kid: Option<String>,
    algorithm: Algorithm,
    /// The caller for the app that asked last, by what it declares.
    caller: Mutex<Option<(CallerSettings, Arc<Identity>)>>,
}

/// Why no tokens can be taken.
#[derive(Debug, thiserror::Error)]
#[error("the keys of the issuer {issuer:?}: {error}")]
pub struct IssuersError {
    issuer: String,
    error: KeysError,
}

impl Issuers {
    /// Nobody's.
    pub fn none() -> Self {
        let (exchanged, _) = watch::channel(0);
        Self { issuers: Vec::new(), token_bytes: TokensSection::default().token_bytes, exchanged }
    }

    /// Reads what is in files. What is elsewhere is read when a token needs it.
    pub fn new(sections: &[IssuerSection], tokens: &TokensSection, outside: &Outside) -> Result<Self, IssuersError> {
        crypto::install();
        let (mut issuers, clock_skew_s) = (Vec::new(), tokens.clock_skew.as_secs());
        let (exchanged, _) = watch::channel(0);
        for section in sections {
            let failed = |error| IssuersError { issuer: section.issuer.clone(), error };
            let remote = |source| {
                let (outside, exchanged) = (outside.clone(), exchanged.clone());
                Remote::new(&section.issuer, source, &section.algorithms, tokens, outside, exchanged)
            };
            let keys = match &section.keys {
                Keys::Files(files) => {
                    IssuerKeys::Here(Arc::new(KeySet::of_files(files, &section.algorithms).map_err(failed)?))
                }
                Keys::Secret(file) => {
                    IssuerKeys::Here(Arc::new(KeySet::of_secret(file, &section.algorithms).map_err(failed)?))
                }
                Keys::Jwks(url) => IssuerKeys::Remote(Arc::new(remote(Source::Jwks(url.clone())))),
                Keys::Discovery(metadata) => {
                    let source = Source::Discovery { metadata: metadata.clone(), issuer: section.issuer.clone() };
                    IssuerKeys::Remote(Arc::new(remote(source)))
                }
            };
            issuers.push(Issuer::new(section, keys, clock_skew_s));
        }
        Ok(Self { issuers, token_bytes: tokens.token_bytes, exchanged })
    }

    /// Takes tokens that are signed with this key too, by the clock of this machine.
    pub fn and_own(&mut self, section: &IssuerSection, keys: KeySet) {
        crypto::install();
        self.issuers.push(Issuer::new(section, IssuerKeys::Here(Arc::new(keys)), 0));
    }

    /// Counts each set of published keys that takes the place of another.
    pub fn exchanged(&self) -> watch::Receiver<u64> {
        self.exchanged.subscribe()
    }

    /// Has published keys read again when it is time, though nobody shows a token.
    pub fn keep_young(&self) {
        for issuer in &self.issuers {
            if let IssuerKeys::Remote(remote) = &issuer.keys {
                remote.keep_young();
            }
        }
    }

    /// Whether a token of any of them may name a tenant.
    pub fn have_tenant_claims(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.tenant_claim.is_some())
    }

    /// The longest token.
    pub fn token_bytes(&self) -> usize {
        self.token_bytes
    }

    /// Looks at a token. Whether it is good at a time, and not revoked, is not said yet.
    pub async fn verify(&self, token: &str) -> Result<Verified, TokenError> {
        let (issuer, checked) = self.checked_with(token).await?;
        let key = checked.keys.get(checked.kid.as_deref()).ok_or(TokenError::Key)?;
        if !key.algorithms.contains(&checked.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let decoded = decode::<Strict>(token, &key.decoding, &issuer.validation(checked.algorithm));
        let Value::Object(claims) = decoded.map_err(|error| refusal(error.kind()))?.claims.0 else {
            return Err(TokenError::Malformed("its claims are no object"));
        };
        Self::verified(issuer, checked, claims)
    }

    /// Waits until the keys are here that a token may be checked with, or cannot be had.
    pub async fn wait_for_keys(&self, token: &str) {
        let _ = self.checked_with(token).await;
    }

    /// What a token is to be checked with, by what it says and nobody believes yet.
    async fn checked_with(&self, token: &str) -> Result<(&Issuer, Checked), TokenError> {
        if token.len() > self.token_bytes {
            return Err(TokenError::TooLong(self.token_bytes));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Malformed("it has three parts with dots between"));
        };
        let (algorithm, kid) = read_header(&object(header)?)?;
        let claims = object(claims)?;
        let named = claims.get("iss").and_then(Value::as_str).ok_or_else(|| TokenError::Claim("iss".to_owned()))?;
        let issuer = self.issuers.iter().find(|issuer| issuer.name == named).ok_or(TokenError::Issuer)?;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        let keys = match &issuer.keys {
            IssuerKeys::Here(keys) => keys.clone(),
            IssuerKeys::Remote(remote) => remote.keys(kid.as_deref()).await?,
        };
        Ok((issuer, Checked { keys, kid, algorithm }))
    }

    fn verified(issuer: &Issuer, checked: Checked, claims: Map<String, Value>) -> Result<Verified, TokenError> {
        let missing = |name: &str| TokenError::Claim(name.to_owned());
        let until_s = seconds(&claims, "exp")?.ok_or_else(|| missing("exp"))?;
        let (not_before_s, made_s) = (seconds(&claims, "nbf")?, seconds(&claims, "iat")?);
        let named = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= NAME_BYTES_MAX => Ok(Some(text.clone())),
            Some(_) => Err(missing(name)),
        };
        let subject = named("sub")?.ok_or_else(|| missing("sub"))?;
        let id = named("jti")?;
        // Where somebody else is to decide, what cannot be understood decides nothing.
        let tenant = issuer.tenant_claim.as_deref().map_or(Ok(None), named)?;
        // Otherwise nobody knows whether it names this tenant or one that had the name before.
        if tenant.is_some() && made_s.is_none() {
            return Err(missing("iat"));
        }
        for name in &issuer.required {
            if claims.get(name).is_none_or(Value::is_null) {
                return Err(missing(name));
            }
        }
        let kind = match &issuer.kind {
            KindOf::Fixed(kind) => *kind,
            KindOf::Claim(name) => match claims.get(name).and_then(Value::as_str) {
                Some("user") => TokenKind::User,
                Some("service") => TokenKind::Service,
                _ => return Err(missing(name)),
            },
        };
        let (roles, scopes) = (names(&claims, &issuer.roles)?, names(&claims, &issuer.scopes)?);
        let ms = |seconds: u64| seconds.saturating_mul(1_000);
        let from_s = not_before_s.unwrap_or(0).max(made_s.unwrap_or(0)).saturating_sub(issuer.clock_skew_s);
        Ok(Verified {
            identity: Identity { kind, issuer: issuer.name.clone(), subject, roles, scopes, claims },
            tenant,
            id,
            made_s: made_s.unwrap_or(0).saturating_sub(issuer.clock_skew_s),
            made_latest_s: made_s.unwrap_or(0).saturating_add(issuer.clock_skew_s),
            from_ms: ms(from_s),
            until_ms: ms(until_s.saturating_add(issuer.clock_skew_s)),
            issuer: issuer.keys.clone(),
            keys: checked.keys,
            kid: checked.kid,
            algorithm: checked.algorithm,
            caller: Mutex::default(),
        })
    }
}

/// What a token was checked with.
struct Checked {
    keys: Arc<KeySet>,
    kid: Option<String>,
    algorithm: Algorithm,
}

impl Issuer {
    fn new(section: &IssuerSection, keys: IssuerKeys, clock_skew_s: u64) -> Self {
        let IssuerSection { issuer: name, algorithms, audience, required, roles, scopes, kind, tenant_claim, .. } =
            section.clone();
        Self { name, clock_skew_s, keys, algorithms, audience, required, roles, scopes, kind, tenant_claim }
    }

    /// What jsonwebtoken is to look at. Times are looked at here, by a clock that tests can set.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.name]);
        validation.set_audience(&self.audience);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        validation.validate_exp = false;
        validation
    }
}

impl Verified {
    /// Whether it is good at a time, in milliseconds since 1970.
    pub fn is_good_at(&self, now_ms: u64) -> Result<(), TokenError> {
        if now_ms < self.from_ms {
            return Err(TokenError::NotYet);
        }
        if now_ms >= self.until_ms { Err(TokenError::Expired) } else { Ok(()) }
    }

    /// Until when it is good, in milliseconds since 1970.
    pub fn until_ms(&self) -> u64 {
        self.until_ms
    }

    /// The tenant that it names.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Whether it can have been made at a time or after it, in milliseconds since 1970.
    pub fn may_be_made_since(&self, at_ms: u64) -> bool {
        self.made_latest_s >= at_ms / 1_000
    }

    /// Whose it is.
    pub fn issuer(&self) -> &str {
        &self.identity.issuer
    }

    /// By what its caller is known where calls are split between releases.
    pub fn asker(&self) -> Asker<'_> {
        let Identity { issuer, subject, .. } = &self.identity;
        Asker::Token { issuer, subject }
    }

    /// What a revocation may name it by.
    pub fn shown(&self) -> Shown<'_> {
        let Identity { issuer, subject, .. } = &self.identity;
        Shown { issuer, subject, id: self.id.as_deref(), made_s: self.made_s }
    }

    /// Whether the keys that it was checked with are those that its issuer has.
    pub fn has_its_keys(&self) -> bool {
        match &self.issuer {
            IssuerKeys::Here(_) => true,
            IssuerKeys::Remote(remote) => remote.still_has(&self.keys),
        }
    }

    /// Whether its issuer has taken back the key that it was checked with. Keys in files stay as long as the server runs.
    pub fn has_lost_its_key(&self) -> bool {
        match &self.issuer {
            IssuerKeys::Here(_) => false,
            IssuerKeys::Remote(remote) => remote.has_lost(&self.keys, self.kid.as_deref(), self.algorithm),
        }
    }

    /// Whether another token is the same caller's.
    pub fn is_of_the_same_as(&self, other: &Self) -> bool {
        self.identity.issuer == other.identity.issuer && self.identity.subject == other.identity.subject
    }

    /// Whether another token says the same of its caller, as far as an app can see it.
    pub fn says_the_same_as(&self, other: &Self, app: &CallerSettings) -> bool {
        match (self.caller(app), other.caller(app)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
    }

    /// The caller, with the claims that an app declares.
    pub fn caller(&self, app: &CallerSettings) -> Result<Caller, TokenError> {
        let mut made = self.caller.lock();
        if let Some((for_app, identity)) = made.as_ref()
            && for_app == app
        {
            return Ok(Caller::Token(identity.clone()));
        }
        let mut claims = Map::new();
        for (name, of) in &app.claims {
            match self.identity.claims.get(name) {
                None | Some(Value::Null) => {}
                Some(value) if of.has(value) => {
                    claims.insert(name.clone(), value.clone());
                }
                Some(_) => {
                    return Err(TokenError::Claim(format!("{name} (app.toml declares it as {})", of.described())));
                }
            }
        }
        let identity = Arc::new(Identity { claims, ..self.identity.clone() });
        *made = Some((app.clone(), identity.clone()));
        Ok(Caller::Token(identity))
    }
}

/// A part of a token: a JSON object in base64url.
fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("its parts are base64url"))?;
    match serde_json::from_slice(&text) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        _ => Err(TokenError::Malformed("its header and its claims are JSON objects, with each member once")),
    }
}

/// The algorithm and the `kid`.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), TokenError> {
    if let Some(refused) = REFUSED.into_iter().find(|name| header.contains_key(*name)) {
        return Err(TokenError::Header(refused));
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(typ))
            if ["JWT", "at+jwt", "application/at+jwt"].iter().any(|one| typ.eq_ignore_ascii_case(one)) => {}
        Some(_) => return Err(TokenError::Header("a typ other than JWT")),
    }
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= KID_BYTES_MAX => Some(kid.clone()),
        Some(_) => return Err(TokenError::Header("a kid that is none")),
    };
    let algorithm = header.get("alg").and_then(Value::as_str).and_then(|name| Algorithm::from_str(name).ok());
    Ok((algorithm.ok_or(TokenError::Algorithm)?, kid))
}

/// A time of a token: seconds since 1970, perhaps with a part of one.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_u64();
    // Below 2^53 each whole number is one; later times nobody means.
    let part = value.as_f64().filter(|seconds| (0.0..9e15).contains(seconds)).map(|seconds| seconds as u64);
    whole.or(part).map(Some).ok_or_else(|| TokenError::Claim(name.to_owned()))
}

/// Roles or scopes: a list of texts, or one text with spaces between. Sorted, without repeats; none where there is nothing.
fn names(claims: &Map<String, Value>, path: &[String]) -> Result<Vec<String>, TokenError> {
    let bad = || TokenError::Claim(path.join("."));
    // A claim may have dots in its own name.
    let mut found = claims.get(&path.join("."));
    if found.is_none()
        && let [first, rest @ ..] = path
    {
        found = rest.iter().try_fold(claims.get(first), |value, name| Some(value?.get(name))).flatten();
    }
    let mut names: Vec<String> = match found {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|name| name.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(bad)?
        }
        Some(_) => return Err(bad()),
    };
    names.sort_unstable();
    names.dedup();
    if names.len() > NAMES_MAX { Err(bad()) } else { Ok(names) }
}

/// What jsonwebtoken has found.
fn refusal(error: &ErrorKind) -> TokenError {
    match error {
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => TokenError::Claim(name.clone()),
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenError::Algorithm,
        ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::InvalidToken => {
            TokenError::Malformed("its header, claims and signature are base64url")
        }
        _ => TokenError::Signature,
    }
}

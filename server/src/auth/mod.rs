//! Who calls: from the token of a request or a socket to the [`Caller`].
//!
//! | module | what it does |
//! |---|---|
//! | [`verify`] | whether a token is one, and what it says |
//! | [`keys`] | the keys of an issuer, from files and sets of keys |
//! | [`remote`] | keys that an issuer publishes: when they are read, and for how long they are believed |
//! | [`sessions`] | sockets and streams of events end when their token does |
//! | [`mint`] | tokens for development |
//! | [`realm`] | which tokens are for the server's own app, and which for a tenant |
//! | [`error`] | why a token is not taken |
//! | `crypto` | signatures |
//! | `strict` | JSON in which no member is there twice |

mod crypto;
pub mod error;
pub mod keys;
pub mod mint;
pub mod realm;
pub mod remote;
pub mod sessions;
mod strict;
#[cfg(test)]
mod tests;
pub mod verify;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use weir_engine::Engine;
use weir_engine::call::Caller;
use weir_engine::control::refusals::{Kind, Refused};
use weir_schema::caller::CallerSettings;
use weir_schema::digest::Digest;

use self::error::{RefusedTokens, TokenError, Unauthenticated};
use self::realm::Realm;
use self::sessions::{Session, Sessions};
use self::verify::{Issuers, Verified};

/// Whose tokens are taken.
pub struct Tokens {
    /// The issuers.
    pub issuers: Issuers,
    /// So many verified tokens are remembered.
    pub remembered: usize,
}

impl Default for Tokens {
    /// Nobody's.
    fn default() -> Self {
        Self { issuers: Issuers::none(), remembered: 1 }
    }
}

/// What tokens are checked with, for as long as the server runs.
pub struct Auth {
    issuers: Arc<Issuers>,
    /// For whom they are. An environment has that of its app.
    realm: Arc<Realm>,
    /// Tokens that were verified, by their digest: nobody shall find them in memory by what they are kept under.
    remembered: Cache<Digest, Arc<Verified>>,
    sessions: Arc<Sessions>,
    engine: Engine,
    /// The app of which this is an environment: what is revoked there is revoked here, and who administers it administers this too.
    app: Option<Engine>,
    /// Who somebody is who shows no token.
    tokenless: Caller,
    refused: RefusedTokens,
}

/// What somebody has shown.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing.
    Tokenless(Caller),
    /// A token.
    Token(Arc<Verified>),
}

impl Credentials {
    /// The caller, for an app with these declarations.
    pub fn caller(&self, app: &CallerSettings) -> Result<Caller, TokenError> {
        match self {
            Self::Tokenless(caller) => Ok(caller.clone()),
            Self::Token(verified) => verified.caller(app),
        }
    }

    /// The token, if there is one.
    pub fn token(&self) -> Option<&Arc<Verified>> {
        match self {
            Self::Tokenless(_) => None,
            Self::Token(verified) => Some(verified),
        }
    }
}

/// What somebody has shown last on a connection, which may go on with other tokens of the same caller.
#[derive(Clone)]
pub struct Presented(Arc<Mutex<Credentials>>);

impl Presented {
    /// This, to begin with.
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(Mutex::new(credentials)))
    }

    /// From now on it is this.
    pub fn replace(&self, credentials: Credentials) {
        *self.0.lock() = credentials;
    }

    /// What it is now.
    pub fn credentials(&self) -> Credentials {
        self.0.lock().clone()
    }
}

impl Auth {
    /// Takes the tokens of these issuers, and remembers so many of them.
    pub fn new(engine: Engine, issuers: impl Into<Arc<Issuers>>, remembered: usize, tokenless: Caller) -> Self {
        Self::with(issuers.into(), Arc::new(Realm::Server), remembered, (engine, None), tokenless)
    }

    /// Those of the same issuers that are for a tenant.
    pub fn of_tenant(&self, engine: Engine, realm: Realm) -> Self {
        self.beside(Arc::new(realm), (engine, None))
    }

    /// The same in an environment of this app, where there is another engine.
    pub fn of_environment(&self, engine: Engine) -> Self {
        self.beside(self.realm.clone(), (engine, Some(self.engine.clone())))
    }

    fn beside(&self, realm: Arc<Realm>, engines: (Engine, Option<Engine>)) -> Self {
        let remembered = usize::try_from(self.remembered.capacity()).unwrap_or(usize::MAX);
        Self::with(self.issuers.clone(), realm, remembered, engines, self.tokenless.clone())
    }

    fn with(
        issuers: Arc<Issuers>,
        realm: Arc<Realm>,
        remembered: usize,
        (engine, app): (Engine, Option<Engine>),
        tokenless: Caller,
    ) -> Self {
        let (remembered, sessions, refused) = (Cache::new(remembered), Arc::default(), RefusedTokens::default());
        Self { issuers, realm, remembered, sessions, engine, app, tokenless, refused }
    }

    /// The app of which this is an environment.
    pub fn app(&self) -> Option<&Engine> {
        self.app.as_ref()
    }

    /// By whose revocations tokens go.
    pub fn revoking(&self) -> Vec<Engine> {
        std::iter::once(&self.engine).chain(&self.app).cloned().collect()
    }

    /// Whose tokens are taken.
    pub fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    /// Whether a token may name a tenant.
    pub fn has_tenant_claims(&self) -> bool {
        self.issuers.have_tenant_claims()
    }

    /// Exchanges the issuers all of whose tokens are for this tenant. What goes on with a token of another ends.
    pub fn set_tenant_issuers(&self, by_name: Vec<String>) {
        if let Realm::Tenant { issuers, .. } = &*self.realm {
            *issuers.write() = by_name;
            self.end_foreign();
        }
    }

    /// Ends what goes on with a token that is for somebody else.
    pub fn end_foreign(&self) {
        self.sessions.end(|verified| self.realm.takes(verified).err());
    }

    /// What goes on for longer than a request.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Whether a token was verified before with keys that are still its issuer's, and is remembered.
    pub fn remembers(&self, token: &str) -> bool {
        let remembered = || self.remembered.peek(&Digest::of(token.as_bytes()));
        token.len() <= self.issuers.token_bytes() && remembered().is_some_and(|verified| verified.has_its_keys())
    }

    /// Waits for the keys that a token needs which is not known, if they are not here. Nothing is said of the token.
    pub async fn wait_for_keys(&self, token: &str) {
        if !self.remembers(token) {
            self.issuers.wait_for_keys(token).await;
        }
    }

    /// Who shows nothing.
    pub fn tokenless(&self) -> Credentials {
        Credentials::Tokenless(self.tokenless.clone())
    }

    /// What a token says that comes from an address, if it is one that is good now. One that is not is counted, and on record.
    pub async fn of_token_from(&self, address: IpAddr, token: &str) -> Result<Arc<Verified>, TokenError> {
        let shown = self.of_token(token).await;
        if let Err(error) = &shown {
            self.note_refused(address, error);
        }
        shown
    }

    /// Counts a token that is not taken, and has it on record.
    pub fn note_refused(&self, address: IpAddr, error: &TokenError) {
        self.refused.count(error);
        let (actor, outcome) = ("anonymous".to_owned(), error.to_string());
        let (target, from) = (String::new(), Some(address.to_canonical().to_string()));
        let (kind, person) = (Kind::Access, None);
        self.engine.refused(Refused { kind, actor, person, action: "login", target, from, outcome });
    }

    /// How many tokens were not taken, by the reason, in the order of [`TokenError::REASONS`].
    pub fn refused(&self) -> [u64; TokenError::REASONS.len()] {
        self.refused.read()
    }

    /// What a token says, if it is one that is good now.
    pub async fn of_token(&self, token: &str) -> Result<Arc<Verified>, TokenError> {
        let verified = self.read(token).await?;
        if let Err(error) = self.is_good(&verified) {
            // One that is not good would only take the place of others.
            self.remembered.remove(&Digest::of(token.as_bytes()));
            return Err(error);
        }
        Ok(verified)
    }

    /// What a token says that is one now, for whomever it is, and whether it was revoked or not.
    pub async fn read(&self, token: &str) -> Result<Arc<Verified>, TokenError> {
        // Before anything of it is read.
        if token.len() > self.issuers.token_bytes() {
            return Err(TokenError::TooLong(self.issuers.token_bytes()));
        }
        let digest = Digest::of(token.as_bytes());
        let known = self.remembered.get(&digest).filter(|verified| verified.has_its_keys());
        if let Some(verified) = known {
            return Ok(verified);
        }
        let verified = Arc::new(self.issuers.verify(token).await?);
        verified.is_good_at(self.engine.clock().now_ms())?;
        self.remembered.insert(digest, verified.clone());
        Ok(verified)
    }

    /// Whether a token is good here and now.
    pub fn is_good(&self, verified: &Verified) -> Result<(), TokenError> {
        self.realm.takes(verified)?;
        verified.is_good_at(self.engine.clock().now_ms())?;
        if verified.has_lost_its_key() {
            return Err(TokenError::Key);
        }
        let is_revoked = |engine: &Engine| engine.revoked().has(&verified.shown());
        if is_revoked(&self.engine) || self.app.as_ref().is_some_and(is_revoked) {
            return Err(TokenError::Revoked);
        }
        Ok(())
    }

    /// Begins something that goes on for as long as the token is good; `None` for who has none.
    pub fn session(&self, credentials: &Credentials) -> Result<Option<Session>, TokenError> {
        let Some(verified) = credentials.token() else { return Ok(None) };
        let session = self.sessions.open(verified.clone());
        // What was revoked, or taken back, before it was in the table is not looked for there.
        self.is_good(verified)?;
        Ok(Some(session))
    }
}

/// The token in the header of a request, if it has one.
pub fn token_of(headers: &HeaderMap) -> Result<Option<&str>, Unauthenticated> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| all.next().is_none()).ok_or(Unauthenticated::Scheme)?;
    bearer(text).map(Some).ok_or(Unauthenticated::Scheme)
}

/// The token in `Bearer TOKEN` (RFC 6750, 2.1).
pub fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.trim_ascii().split_once(' ')?;
    let token = token.trim_ascii_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

//! All limits of what is served, in the order in which they are asked.
//!
//! A client's address is known when its connection is; who calls, when its token is verified; what an operation costs and
//! calls, when it has a plan. Who shows no token is known by the address alone, so that there it counts as the caller too.
//! What is served for a tenant has limits for all of its callers together besides, which are asked last: what a caller's own
//! limits refuse takes nothing of the others.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weir_engine::access::rate::PolicyRate;
use weir_engine::origin::Connection;
use weir_schema::rate::{Rate, RateSettings};

use super::Limit;
use super::addresses::{Addresses, Login};
use super::app::{AppRates, TakeName, called};
use super::clock::Clock;
use super::counted::{Counted, Numbers, Who};
use super::held::{Held, Hold};
use super::limiter::{Limited, Limiter, Refused};
use super::standing::{Standing, note};
use super::tables::Tables;
use super::tenant::TenantLimits;
use crate::config::{CallerRates, RateSection};

/// All limits of what is served.
#[derive(Debug)]
pub struct Rates {
    addresses: Arc<Addresses>,
    callers: CallerLimits,
    tenant: Option<TenantLimits>,
    /// Apart from those of callers, so that neither can crowd out the other.
    apps: Tables,
    /// Whether the operator's are on.
    is_on: bool,
    numbers: Numbers,
    refused: [AtomicU64; Limit::ALL.len()],
}

/// The operator's limits of callers.
#[derive(Debug)]
struct CallerLimits {
    tables: Tables,
    requests: Option<Limiter>,
    cost: Option<Limiter>,
    messages: Option<Limiter>,
    sockets: Option<Held>,
    subscriptions: Option<Held>,
}

impl CallerLimits {
    fn new(config: &RateSection, tables: Tables) -> Self {
        let CallerRates { requests, cost, messages, sockets, subscriptions } = &config.caller;
        let is_on = config.enabled;
        let limiter = |limit, rate: &Option<Rate>| rate.filter(|_| is_on).map(|rate| tables.limiter(limit, rate));
        let held = |most: &Option<u32>| most.filter(|_| is_on).map(Held::new);
        Self {
            requests: limiter(Limit::CallerRequests, requests),
            cost: limiter(Limit::CallerCost, cost),
            messages: limiter(Limit::CallerMessages, messages),
            sockets: held(sockets),
            subscriptions: held(subscriptions),
            tables,
        }
    }
}

/// What somebody holds, until it is dropped.
#[derive(Debug, Default)]
pub struct Holds {
    _address: Option<Hold>,
    _caller: Option<Hold>,
    _tenant: Option<Hold>,
}

/// What an operation is about to do.
pub struct Asked<'a> {
    /// What it costs.
    pub cost: u64,
    /// Names each function that it calls, as often as it does.
    pub functions: &'a dyn Fn(TakeName<'_>),
    /// Names each policy by whose rate a call counts, as often as one does.
    pub policies: &'a dyn Fn(TakeName<'_>),
}

impl Rates {
    /// The limits of a configuration, with those of addresses.
    pub fn new(config: &RateSection, clock: Clock) -> Self {
        let addresses = Arc::new(Addresses::new(config, clock.clone()));
        Self::with(config, clock, addresses, None)
    }

    /// The limits of what is served for a tenant. It shares those of addresses with all else that the server serves.
    pub fn of_tenant(config: &RateSection, clock: Clock, addresses: Arc<Addresses>) -> Self {
        let tenant = TenantLimits::new(config, &clock);
        Self::with(config, clock, addresses, Some(tenant))
    }

    fn with(config: &RateSection, clock: Clock, addresses: Arc<Addresses>, tenant: Option<TenantLimits>) -> Self {
        let keys = if tenant.is_some() { config.tenant.keys } else { config.keys };
        Self {
            addresses,
            callers: CallerLimits::new(config, Tables::new(keys, clock.clone())),
            tenant,
            apps: Tables::new(keys, clock),
            is_on: config.enabled,
            numbers: Numbers::default(),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The same of a tenant beside what these are of.
    pub fn beside(&self, config: &RateSection) -> Self {
        Self::of_tenant(config, self.apps.clock().clone(), self.addresses.clone())
    }

    /// Those of addresses, to be shared by the limits of tenants.
    pub fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    /// The limits that an app adds. What callers owe is kept from one release to the next.
    pub fn for_app<'p>(&self, settings: &RateSettings, policies: impl IntoIterator<Item = &'p PolicyRate>) -> AppRates {
        let RateSettings { requests, cost, functions } = settings;
        let limiter = |limit, rate: Rate| self.apps.limiter(limit, rate);
        let of_function = |(name, rate): (&String, &Rate)| (name.clone(), limiter(Limit::Function, *rate));
        let of_policy = |PolicyRate { policy, rate }: &PolicyRate| (policy.clone(), limiter(Limit::Policy, *rate));
        AppRates {
            requests: requests.map(|rate| limiter(Limit::AppRequests, rate)),
            cost: cost.map(|rate| limiter(Limit::AppCost, rate)),
            functions: functions.iter().map(of_function).collect(),
            policies: policies.into_iter().map(of_policy).collect(),
        }
    }

    /// A connection of an address, which counts until the hold is dropped.
    pub fn connection(&self, address: IpAddr) -> Result<Option<Hold>, Limited> {
        self.counted(self.addresses.connection(address))
    }

    /// A request of an address, whatever it is for. How that stands, if there is a limit.
    pub fn request(&self, address: IpAddr) -> Result<Option<Standing>, Limited> {
        self.counted(self.addresses.request(address))
    }

    /// An address shows a token, which counts as one that is none until that is told otherwise. Past the limit only one that is
    /// known may be shown, by whoever has it: others behind the same address may have guessed.
    pub fn login(&self, address: IpAddr, is_known: impl FnOnce() -> bool) -> Result<Login, Limited> {
        match self.addresses.login(address) {
            Err(limited) if !is_known() => self.counted(Err(limited)),
            login => Ok(login.unwrap_or_default()),
        }
    }

    /// A message of a WebSocket.
    pub fn message(&self, who: Who<'_>) -> Result<(), Limited> {
        self.counted(self.addresses.message(who.address))?;
        if let Some(limiter) = &self.callers.messages {
            self.counted(limiter.once(self.key(limiter.limit(), &who.counted())))?;
        }
        self.counted(self.tenant.as_ref().map_or(Ok(()), TenantLimits::message))
    }

    /// A WebSocket of an address, whoever opens it.
    pub fn socket(&self, address: IpAddr) -> Result<Option<Hold>, Limited> {
        self.counted(self.addresses.socket(address))
    }

    /// A WebSocket of a caller.
    pub fn socket_of(&self, who: Who<'_>) -> Result<Holds, Limited> {
        let hold = self.hold(self.callers.sockets.as_ref(), Limit::CallerSockets, who)?;
        let of_tenant = self.counted(self.tenant.as_ref().map_or(Ok(None), TenantLimits::socket))?;
        Ok(Holds { _address: None, _caller: hold, _tenant: of_tenant })
    }

    /// A subscription, over whatever it comes.
    pub fn subscription(&self, who: Who<'_>) -> Result<Holds, Limited> {
        Ok(Holds {
            _address: self.counted(self.addresses.subscription(who.address))?,
            _caller: self.hold(self.callers.subscriptions.as_ref(), Limit::CallerSubscriptions, who)?,
            _tenant: self.counted(self.tenant.as_ref().map_or(Ok(None), TenantLimits::subscription))?,
        })
    }

    /// An operation of a caller: once it is known what it calls and what that costs, and before anything of it runs.
    ///
    /// What is refused by one limit has been counted by those before it.
    pub fn operation(&self, app: &AppRates, who: Who<'_>, asked: &Asked<'_>) -> Result<(), Refused> {
        let counted = who.counted();
        let cost = NonZeroU32::new(u32::try_from(asked.cost).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let one = NonZeroU32::MIN;
        let CallerLimits { requests, cost: caller_cost, .. } = &self.callers;
        let own = [(requests, one), (caller_cost, cost), (&app.requests, one), (&app.cost, cost)];
        for (limiter, many) in own {
            let Some(limiter) = limiter else { continue };
            self.many(limiter, self.key(limiter.limit(), &counted), many)?;
        }
        let functions = called(&app.functions, asked.functions);
        for (name, limiter, many) in functions.chain(called(&app.policies, asked.policies)) {
            self.many(limiter, self.numbers.of((limiter.limit() as u8, &counted, name)), many)?;
        }
        for (limiter, many) in self.tenant.iter().flat_map(|tenant| tenant.operation(cost)) {
            self.many(limiter, limiter.limit() as u64, many)?;
        }
        Ok(())
    }

    /// In whose line the calls wait of callers without a token. Where nobody is limited each connection has its own; where
    /// somebody is, each address: otherwise many connections would have many turns.
    pub fn line(&self, address: IpAddr, connection: Connection) -> Connection {
        if self.is_on { Connection(self.numbers.of(Counted::address(address))) } else { connection }
    }

    /// How often each limit has refused something.
    pub fn refusals(&self) -> [u64; Limit::ALL.len()] {
        self.refused.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// How often a key was put out of its place that still owed something. The addresses that a tenant shares are counted where
    /// they are shared from.
    pub fn overflowed(&self) -> u64 {
        let addresses = if self.tenant.is_some() { 0 } else { self.addresses.tables().displaced() };
        addresses + self.callers.tables.displaced() + self.apps.displaced()
    }

    fn hold(&self, held: Option<&Held>, limit: Limit, who: Who<'_>) -> Result<Option<Hold>, Limited> {
        let hold = |held: &Held| held.take(self.numbers.of(who.counted())).ok_or_else(|| Limited::held(limit));
        self.counted(held.map(hold).transpose())
    }

    /// Counts what a limit has refused.
    fn counted<T>(&self, asked: Result<T, Limited>) -> Result<T, Limited> {
        asked.inspect_err(|limited| self.count(limited.limit))
    }

    fn many(&self, limiter: &Limiter, key: u64, many: NonZeroU32) -> Result<(), Refused> {
        match limiter.check(key, many) {
            Ok(standing) => {
                note(standing);
                Ok(())
            }
            Err(refused) => {
                self.count(limiter.limit());
                if let Refused::Limited(Limited { standing: Some(standing), .. }) = &refused {
                    note(*standing);
                }
                Err(refused)
            }
        }
    }

    fn key(&self, limit: Limit, counted: &Counted<'_>) -> u64 {
        self.numbers.of((limit as u8, counted))
    }

    fn count(&self, limit: Limit) {
        if let Some(count) = self.refused.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;

//! All limits of a server, in the order in which they are asked.
//!
//! A client's address is known when its connection is; who calls, when its token is verified; what an operation costs and
//! calls, when it has a plan. Who shows no token is known by the address alone, so that there it counts as the caller too.
//! Addresses of IPv6 count by their first 64 bits: whoever has one has all that begin like it.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use weir_engine::call::Caller;
use weir_engine::origin::Connection;
use weir_schema::rate::{Rate, RateSettings};

use super::Limit;
use super::app::{AppRates, TakeName};
use super::clock::Clock;
use super::held::{Held, Hold};
use super::limiter::{Limited, Limiter, Refused};
use super::standing::{Standing, note};
use super::table::Table;
use crate::config::{AddressRates, CallerRates, RateSection};

/// All limits of a server.
#[derive(Debug)]
pub struct Rates {
    tables: Tables,
    limits: Limits,
    /// Whether those are on.
    is_on: bool,
    /// Makes keys of addresses and callers that nobody outside can foresee.
    numbers: RandomState,
    refused: [AtomicU64; Limit::ALL.len()],
}

/// Where it is kept who owes what, once somebody may owe something.
#[derive(Debug)]
struct Tables {
    clock: Clock,
    keys: usize,
    addresses: OnceLock<Arc<Table>>,
    callers: OnceLock<Arc<Table>>,
    /// Apart from the others: what is owed here may be owed for hours, and where it has no place it is owed together.
    logins: OnceLock<Arc<Table>>,
    /// So it is here.
    apps: OnceLock<Arc<Table>>,
}

impl Tables {
    fn of_address(&self, limit: Limit, rate: Rate) -> Limiter {
        let table = self.addresses.get_or_init(|| Arc::new(Table::new(self.keys)));
        Limiter::new(limit, rate, table, &self.clock)
    }

    fn of_caller(&self, limit: Limit, rate: Rate) -> Limiter {
        let table = self.callers.get_or_init(|| Arc::new(Table::new(self.keys)));
        Limiter::new(limit, rate, table, &self.clock)
    }

    fn of_logins(&self, rate: Rate) -> Limiter {
        let table = self.logins.get_or_init(|| Arc::new(Table::new(self.keys)));
        Limiter::new(Limit::AddressLogins, rate, table, &self.clock)
    }

    fn of_app(&self, limit: Limit, rate: Rate) -> Limiter {
        let table = self.apps.get_or_init(|| Arc::new(Table::new(self.keys)));
        Limiter::new(limit, rate, table, &self.clock)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Table>> {
        [&self.addresses, &self.callers, &self.logins, &self.apps].into_iter().filter_map(OnceLock::get)
    }
}

/// Those of the operator.
#[derive(Debug, Default)]
struct Limits {
    address_requests: Option<Limiter>,
    address_messages: Option<Limiter>,
    address_logins: Option<Limiter>,
    address_connections: Option<Held>,
    address_sockets: Option<Held>,
    address_subscriptions: Option<Held>,
    caller_requests: Option<Limiter>,
    caller_cost: Option<Limiter>,
    caller_messages: Option<Limiter>,
    caller_sockets: Option<Held>,
    caller_subscriptions: Option<Held>,
}

impl Limits {
    fn of(config: &RateSection, tables: &Tables) -> Self {
        let AddressRates { requests, messages, logins_failed, connections, sockets, subscriptions } = &config.address;
        let CallerRates { requests: operations, cost, messages: sent, sockets: opened, subscriptions: watched } =
            &config.caller;
        let address = |limit, rate: &Option<Rate>| rate.map(|rate| tables.of_address(limit, rate));
        let caller = |limit, rate: &Option<Rate>| rate.map(|rate| tables.of_caller(limit, rate));
        let held = |most: &Option<u32>| most.map(Held::new);
        Self {
            address_requests: address(Limit::AddressRequests, requests),
            address_messages: address(Limit::AddressMessages, messages),
            address_logins: logins_failed.map(|rate| tables.of_logins(rate)),
            address_connections: held(connections),
            address_sockets: held(sockets),
            address_subscriptions: held(subscriptions),
            caller_requests: caller(Limit::CallerRequests, operations),
            caller_cost: caller(Limit::CallerCost, cost),
            caller_messages: caller(Limit::CallerMessages, sent),
            caller_sockets: held(opened),
            caller_subscriptions: held(watched),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The client's address.
    pub address: IpAddr,
    /// Who that is.
    pub caller: &'a Caller,
}

/// By what somebody is counted.
#[derive(Hash)]
enum Counted<'a> {
    V4(u32),
    V6(u64),
    Token(&'a str, &'a str),
}

impl Counted<'_> {
    fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl<'a> Who<'a> {
    fn counted(self) -> Counted<'a> {
        match self.caller {
            Caller::Token(identity) => Counted::Token(&identity.issuer, &identity.subject),
            Caller::Developer | Caller::Scheduler | Caller::Anonymous => Counted::address(self.address),
        }
    }
}

/// What somebody holds, until it is dropped.
#[derive(Debug, Default)]
pub struct Holds {
    _address: Option<Hold>,
    _caller: Option<Hold>,
}

/// What an operation is about to do.
pub struct Asked<'a> {
    /// What it costs.
    pub cost: u64,
    /// Names each function that it calls, as often as it does.
    pub functions: &'a dyn Fn(TakeName<'_>),
}

impl Rates {
    /// The limits of a configuration.
    pub fn new(config: &RateSection, clock: Clock) -> Self {
        let none = OnceLock::new;
        let tables =
            Tables { clock, keys: config.keys, addresses: none(), callers: none(), logins: none(), apps: none() };
        Self {
            limits: if config.enabled { Limits::of(config, &tables) } else { Limits::default() },
            tables,
            is_on: config.enabled,
            numbers: RandomState::new(),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The limits that an app adds. What callers owe is kept from one release to the next.
    pub fn for_app(&self, settings: &RateSettings) -> AppRates {
        let RateSettings { requests, cost, functions } = settings;
        let limiter = |limit, rate: Rate| self.tables.of_app(limit, rate);
        let of_function = |(name, rate): (&String, &Rate)| (name.clone(), limiter(Limit::Function, *rate));
        AppRates {
            requests: requests.map(|rate| limiter(Limit::AppRequests, rate)),
            cost: cost.map(|rate| limiter(Limit::AppCost, rate)),
            functions: functions.iter().map(of_function).collect(),
        }
    }

    /// A connection of an address, which counts until the hold is dropped.
    pub fn connection(&self, address: IpAddr) -> Result<Option<Hold>, Limited> {
        self.hold(self.limits.address_connections.as_ref(), Limit::AddressConnections, Counted::address(address))
    }

    /// A request of an address, whatever it is for. How that stands, if there is a limit.
    pub fn request(&self, address: IpAddr) -> Result<Option<Standing>, Limited> {
        self.once(self.limits.address_requests.as_ref(), &Counted::address(address))
    }

    /// Whether an address may show a token. One that is known may be shown by whoever has it: others behind the same address
    /// may have guessed.
    pub fn may_log_in(&self, address: IpAddr, is_known: impl FnOnce() -> bool) -> Result<(), Limited> {
        let Some(limiter) = &self.limits.address_logins else { return Ok(()) };
        match limiter.would_refuse(self.key(Limit::AddressLogins, &Counted::address(address))) {
            Err(limited) if !is_known() => {
                self.count(limited.limit);
                Err(limited)
            }
            _ => Ok(()),
        }
    }

    /// An address has shown a token that is none.
    pub fn login_failed(&self, address: IpAddr) {
        if let Some(limiter) = &self.limits.address_logins {
            // Past the limit there is no more to be counted.
            let _ = limiter.check(self.key(Limit::AddressLogins, &Counted::address(address)), NonZeroU32::MIN);
        }
    }

    /// A message of a WebSocket.
    pub fn message(&self, who: Who<'_>) -> Result<(), Limited> {
        let Limits { address_messages, caller_messages, .. } = &self.limits;
        self.once(address_messages.as_ref(), &Counted::address(who.address))?;
        self.once(caller_messages.as_ref(), &who.counted()).map(drop)
    }

    /// A WebSocket of an address, whoever opens it.
    pub fn socket(&self, address: IpAddr) -> Result<Option<Hold>, Limited> {
        self.hold(self.limits.address_sockets.as_ref(), Limit::AddressSockets, Counted::address(address))
    }

    /// A WebSocket of a caller.
    pub fn socket_of(&self, who: Who<'_>) -> Result<Option<Hold>, Limited> {
        self.hold(self.limits.caller_sockets.as_ref(), Limit::CallerSockets, who.counted())
    }

    /// A subscription, over whatever it comes.
    pub fn subscription(&self, who: Who<'_>) -> Result<Holds, Limited> {
        let Limits { address_subscriptions, caller_subscriptions, .. } = &self.limits;
        let address = Counted::address(who.address);
        Ok(Holds {
            _address: self.hold(address_subscriptions.as_ref(), Limit::AddressSubscriptions, address)?,
            _caller: self.hold(caller_subscriptions.as_ref(), Limit::CallerSubscriptions, who.counted())?,
        })
    }

    /// An operation of a caller: once it is known what it calls and what that costs, and before anything of it runs.
    ///
    /// What is refused by one limit has been counted by those before it.
    pub fn operation(&self, app: &AppRates, who: Who<'_>, asked: &Asked<'_>) -> Result<(), Refused> {
        let Limits { caller_requests, caller_cost, .. } = &self.limits;
        let counted = who.counted();
        let cost = NonZeroU32::new(u32::try_from(asked.cost).unwrap_or(u32::MAX));
        let all = [(caller_requests, None), (caller_cost, cost), (&app.requests, None), (&app.cost, cost)];
        for (limiter, many) in all {
            let Some(limiter) = limiter else { continue };
            self.many(limiter, self.key(limiter.limit(), &counted), many.unwrap_or(NonZeroU32::MIN))?;
        }
        for (name, limiter, many) in app.called(asked.functions) {
            self.many(limiter, self.numbers.hash_one((&counted, name)), many)?;
        }
        Ok(())
    }

    /// In whose line the calls wait of callers without a token. Where nobody is limited each connection has its own; where
    /// somebody is, each address: otherwise many connections would have many turns.
    pub fn line(&self, address: IpAddr, connection: Connection) -> Connection {
        if self.is_on { Connection(self.numbers.hash_one(Counted::address(address))) } else { connection }
    }

    /// How often each limit has refused something.
    pub fn refusals(&self) -> [u64; Limit::ALL.len()] {
        self.refused.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// How often a key had no place of its own.
    pub fn overflowed(&self) -> u64 {
        self.tables.all().map(|table| table.overflowed()).sum()
    }

    fn hold(&self, held: Option<&Held>, limit: Limit, counted: Counted<'_>) -> Result<Option<Hold>, Limited> {
        let Some(held) = held else { return Ok(None) };
        match held.take(self.numbers.hash_one(counted)) {
            Some(hold) => Ok(Some(hold)),
            None => {
                self.count(limit);
                Err(Limited::held(limit))
            }
        }
    }

    fn once(&self, limiter: Option<&Limiter>, counted: &Counted<'_>) -> Result<Option<Standing>, Limited> {
        let Some(limiter) = limiter else { return Ok(None) };
        match limiter.check(self.key(limiter.limit(), counted), NonZeroU32::MIN) {
            Ok(standing) => Ok(Some(standing)),
            Err(Refused::Limited(limited)) => {
                self.count(limited.limit);
                Err(limited)
            }
            // Every burst allows one.
            Err(Refused::TooMuch { .. }) => Ok(None),
        }
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
        self.numbers.hash_one((limit as u8, counted))
    }

    fn count(&self, limit: Limit) {
        if let Some(count) = self.refused.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;

//! The limits of addresses, which are asked before it is known who calls: of one server, whatever it serves.

use std::net::IpAddr;
use std::sync::Arc;

use weir_schema::rate::Rate;

use super::Limit;
use super::clock::Clock;
use super::counted::{Counted, Numbers};
use super::held::{Held, Hold};
use super::limiter::{Limited, Limiter};
use super::standing::Standing;
use super::tables::Tables;
use crate::config::{AddressRates, RateSection};

/// The limits of addresses. What an address owes it owes to all that share them.
#[derive(Debug)]
pub struct Addresses {
    tables: Tables,
    numbers: Numbers,
    requests: Option<Limiter>,
    messages: Option<Limiter>,
    logins: Option<Limiter>,
    connections: Option<Held>,
    sockets: Option<Held>,
    subscriptions: Option<Held>,
}

/// A token that is being looked at. It counts as one that is none, for as long as it is looked at, and from then on if it was a
/// guess. Whoever gives up before that is known, while an issuer's keys are waited for, has made none.
#[derive(Debug, Default)]
#[must_use = "a token that is none is no guess, unless that is told"]
pub struct Login(Option<(Arc<Addresses>, u64)>);

impl Login {
    /// The token was none: it counts on.
    pub fn is_guess(mut self) {
        self.0 = None;
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        if let Some((addresses, key)) = self.0.take()
            && let Some(limiter) = &addresses.logins
        {
            limiter.give_back(key);
        }
    }
}

impl Addresses {
    /// The limits of a configuration.
    pub fn new(config: &RateSection, clock: Clock) -> Self {
        let (tables, numbers) = (Tables::new(config.keys, clock), Numbers::default());
        let AddressRates { requests, messages, logins_failed, connections, sockets, subscriptions } = &config.address;
        let is_on = config.enabled;
        let limiter = |limit, rate: &Option<Rate>| rate.filter(|_| is_on).map(|rate| tables.limiter(limit, rate));
        let held = |most: &Option<u32>| most.filter(|_| is_on).map(Held::new);
        Self {
            requests: limiter(Limit::AddressRequests, requests),
            messages: limiter(Limit::AddressMessages, messages),
            logins: limiter(Limit::AddressLogins, logins_failed),
            connections: held(connections),
            sockets: held(sockets),
            subscriptions: held(subscriptions),
            tables,
            numbers,
        }
    }

    /// Where it is kept what is owed.
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(super) fn connection(&self, address: IpAddr) -> Result<Option<Hold>, Limited> {
        self.hold(self.connections.as_ref(), Limit::AddressConnections, address)
    }

    pub(super) fn socket(&self, address: IpAddr) -> Result<Option<Hold>, Limited> {
        self.hold(self.sockets.as_ref(), Limit::AddressSockets, address)
    }

    pub(super) fn subscription(&self, address: IpAddr) -> Result<Option<Hold>, Limited> {
        self.hold(self.subscriptions.as_ref(), Limit::AddressSubscriptions, address)
    }

    pub(super) fn request(&self, address: IpAddr) -> Result<Option<Standing>, Limited> {
        self.once(self.requests.as_ref(), address)
    }

    pub(super) fn message(&self, address: IpAddr) -> Result<(), Limited> {
        self.once(self.messages.as_ref(), address).map(drop)
    }

    /// Counts a token before it is looked at, so that guesses at the same time are counted as those one after the other are.
    pub(super) fn login(self: &Arc<Self>, address: IpAddr) -> Result<Login, Limited> {
        let Some(limiter) = &self.logins else { return Ok(Login(None)) };
        let key = self.key(limiter.limit(), address);
        limiter.once(key)?;
        Ok(Login(Some((self.clone(), key))))
    }

    fn hold(&self, held: Option<&Held>, limit: Limit, address: IpAddr) -> Result<Option<Hold>, Limited> {
        let hold = |held: &Held| held.take(self.numbers.of(Counted::address(address)));
        held.map(|held| hold(held).ok_or_else(|| Limited::held(limit))).transpose()
    }

    fn once(&self, limiter: Option<&Limiter>, address: IpAddr) -> Result<Option<Standing>, Limited> {
        limiter.map(|limiter| limiter.once(self.key(limiter.limit(), address))).transpose()
    }

    fn key(&self, limit: Limit, address: IpAddr) -> u64 {
        self.numbers.of((limit as u8, Counted::address(address)))
    }
}

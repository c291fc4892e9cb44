//! The limits of all callers of a tenant together: so that no tenant takes what is there for all.

use std::num::NonZeroU32;
use std::sync::Arc;

use weir_schema::rate::Rate;

use super::Limit;
use super::clock::Clock;
use super::held::{Held, Hold};
use super::limiter::{Limited, Limiter};
use super::table::{Table, WAYS};
use crate::config::{RateSection, TenantRates};

/// The only key of what is held. That of each rate is the number of its limit.
const ALL: u64 = 0;

/// The limits of a tenant.
#[derive(Debug)]
pub(super) struct TenantLimits {
    requests: Option<Limiter>,
    cost: Option<Limiter>,
    messages: Option<Limiter>,
    sockets: Option<Held>,
    subscriptions: Option<Held>,
}

impl TenantLimits {
    pub(super) fn new(config: &RateSection, clock: &Clock) -> Self {
        let TenantRates { keys: _, requests, cost, messages, sockets, subscriptions } = &config.tenant;
        let is_on = config.enabled;
        // One set has a place for each of them.
        let table = Arc::new(Table::new(WAYS));
        let limiter =
            |limit, rate: &Option<Rate>| rate.filter(|_| is_on).map(|rate| Limiter::new(limit, rate, &table, clock));
        let held = |most: &Option<u32>| most.filter(|_| is_on).map(Held::new);
        Self {
            requests: limiter(Limit::TenantRequests, requests),
            cost: limiter(Limit::TenantCost, cost),
            messages: limiter(Limit::TenantMessages, messages),
            sockets: held(sockets),
            subscriptions: held(subscriptions),
        }
    }

    /// By what an operation of a cost is counted, and how much.
    pub(super) fn operation(&self, cost: NonZeroU32) -> impl Iterator<Item = (&Limiter, NonZeroU32)> {
        let both = [(&self.requests, NonZeroU32::MIN), (&self.cost, cost)];
        both.into_iter().filter_map(|(limiter, many)| Some((limiter.as_ref()?, many)))
    }

    pub(super) fn message(&self) -> Result<(), Limited> {
        self.messages.as_ref().map_or(Ok(()), |limiter| limiter.once(limiter.limit() as u64).map(drop))
    }

    pub(super) fn socket(&self) -> Result<Option<Hold>, Limited> {
        hold(self.sockets.as_ref(), Limit::TenantSockets)
    }

    pub(super) fn subscription(&self) -> Result<Option<Hold>, Limited> {
        hold(self.subscriptions.as_ref(), Limit::TenantSubscriptions)
    }
}

fn hold(held: Option<&Held>, limit: Limit) -> Result<Option<Hold>, Limited> {
    held.map(|held| held.take(ALL).ok_or_else(|| Limited::held(limit))).transpose()
}

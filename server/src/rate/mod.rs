//! How often somebody may ask: limits by address before anybody is known, by caller, function, cost and tenant after.
//!
//! | module | what it does |
//! |---|---|
//! | [`clock`] | the time by which all of it goes |
//! | [`table`] | what is owed, by key, in memory that does not grow |
//! | [`tables`] | which limits share such a table |
//! | [`limiter`] | one limit: GCRA over such a table |
//! | [`held`] | how many somebody holds of what lasts: connections, sockets, subscriptions |
//! | [`counted`] | by what somebody is counted |
//! | [`addresses`] | the limits of addresses, asked before it is known who calls |
//! | [`rates`] | all limits, in the order in which they are asked |
//! | `tenant` | those of all callers of a tenant together |
//! | [`app`] | those that an app's `app.toml` adds |
//! | [`standing`] | how a request stands with its limits, for the headers of its response |
//!
//! Rule: an operation is charged before it runs, and does not run where one of its limits says no.

pub mod addresses;
pub mod app;
pub mod clock;
pub mod counted;
pub mod held;
pub mod limiter;
pub mod rates;
pub mod standing;
pub mod table;
pub mod tables;
mod tenant;

pub use addresses::Addresses;
pub use app::AppRates;
pub use counted::Who;
pub use limiter::{Limited, Refused};
pub use rates::Rates;

/// What a limit counts, and of whom. Names what is refused in errors, headers and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// HTTP requests of an address.
    AddressRequests,
    /// WebSocket messages of an address.
    AddressMessages,
    /// Tokens of an address that were none.
    AddressLogins,
    /// Connections that an address holds.
    AddressConnections,
    /// WebSockets that an address holds.
    AddressSockets,
    /// Subscriptions that an address holds.
    AddressSubscriptions,
    /// Operations of a caller.
    CallerRequests,
    /// What the operations of a caller cost.
    CallerCost,
    /// WebSocket messages of a caller.
    CallerMessages,
    /// WebSockets that a caller holds.
    CallerSockets,
    /// Subscriptions that a caller holds.
    CallerSubscriptions,
    /// Operations of a caller, by the app.
    AppRequests,
    /// What the operations of a caller cost, by the app.
    AppCost,
    /// Calls of a function by a caller, by the app.
    Function,
    /// Calls of a caller that one policy allows.
    Policy,
    /// Operations of all callers of a tenant.
    TenantRequests,
    /// What the operations of all callers of a tenant cost.
    TenantCost,
    /// WebSocket messages of all callers of a tenant.
    TenantMessages,
    /// WebSockets that all callers of a tenant hold.
    TenantSockets,
    /// Subscriptions that all callers of a tenant hold.
    TenantSubscriptions,
}

impl Limit {
    /// All of them, each at the place that it has as a number.
    pub const ALL: [Self; 20] = [
        Self::AddressRequests,
        Self::AddressMessages,
        Self::AddressLogins,
        Self::AddressConnections,
        Self::AddressSockets,
        Self::AddressSubscriptions,
        Self::CallerRequests,
        Self::CallerCost,
        Self::CallerMessages,
        Self::CallerSockets,
        Self::CallerSubscriptions,
        Self::AppRequests,
        Self::AppCost,
        Self::Function,
        Self::Policy,
        Self::TenantRequests,
        Self::TenantCost,
        Self::TenantMessages,
        Self::TenantSockets,
        Self::TenantSubscriptions,
    ];

    /// Its name for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddressRequests => "address_requests",
            Self::AddressMessages => "address_messages",
            Self::AddressLogins => "address_logins_failed",
            Self::AddressConnections => "address_connections",
            Self::AddressSockets => "address_sockets",
            Self::AddressSubscriptions => "address_subscriptions",
            Self::CallerRequests => "caller_requests",
            Self::CallerCost => "caller_cost",
            Self::CallerMessages => "caller_messages",
            Self::CallerSockets => "caller_sockets",
            Self::CallerSubscriptions => "caller_subscriptions",
            Self::AppRequests => "app_requests",
            Self::AppCost => "app_cost",
            Self::Function => "app_function",
            Self::Policy => "app_policy",
            Self::TenantRequests => "tenant_requests",
            Self::TenantCost => "tenant_cost",
            Self::TenantMessages => "tenant_messages",
            Self::TenantSockets => "tenant_sockets",
            Self::TenantSubscriptions => "tenant_subscriptions",
        }
    }

    /// What there is too much of, for people.
    fn what(self) -> &'static str {
        match self {
            Self::AddressRequests => "requests from your address",
            Self::AddressMessages => "messages from your address",
            Self::AddressLogins => "tokens from your address that were not accepted",
            Self::AddressConnections => "connections from your address",
            Self::AddressSockets => "WebSockets from your address",
            Self::AddressSubscriptions => "subscriptions from your address",
            Self::CallerRequests | Self::AppRequests => "operations of yours",
            Self::CallerCost | Self::AppCost => "cost of your operations",
            Self::CallerMessages => "messages of yours",
            Self::CallerSockets => "WebSockets of yours",
            Self::CallerSubscriptions => "subscriptions of yours",
            Self::Function => "calls of this function",
            Self::Policy => "calls of this kind",
            Self::TenantRequests => "operations of all callers together",
            Self::TenantCost => "cost of the operations of all callers together",
            Self::TenantMessages => "messages of all callers together",
            Self::TenantSockets => "WebSockets of all callers together",
            Self::TenantSubscriptions => "subscriptions of all callers together",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_its_place_and_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for (place, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, place, "{limit:?}");
            assert!(names.insert(limit.as_str()), "{limit:?}");
        }
    }
}

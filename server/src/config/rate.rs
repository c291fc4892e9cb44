//! `[rate]` of `weir.toml`: how often somebody may ask, and how much they may hold.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use weir_schema::rate::Rate;

/// The section, with what `weir serve` does where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateSection {
    /// Whether the operator's limits are on. Those of an app's `app.toml` always are.
    pub enabled: bool,
    /// Addresses and callers that have places of their own, each. What is owed is remembered of no more.
    #[serde(deserialize_with = "keys")]
    pub keys: usize,
    /// Of each address, before anybody is known.
    pub address: AddressRates,
    /// Of each caller.
    pub caller: CallerRates,
    /// Of all callers of a tenant together.
    pub tenant: TenantRates,
}

/// What each address may do. `"off"` is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressRates {
    /// HTTP requests of whatever kind, those that open WebSockets too; not those for `/healthz` and `/readyz`.
    #[serde(deserialize_with = "rate")]
    pub requests: Option<Rate>,
    /// Messages over all of its WebSockets.
    #[serde(deserialize_with = "rate")]
    pub messages: Option<Rate>,
    /// Tokens that were not accepted.
    #[serde(deserialize_with = "rate")]
    pub logins_failed: Option<Rate>,
    /// Connections that are open, unless it is a trusted proxy.
    #[serde(deserialize_with = "held")]
    pub connections: Option<u32>,
    /// WebSockets that are open.
    #[serde(deserialize_with = "held")]
    pub sockets: Option<u32>,
    /// Subscriptions that run.
    #[serde(deserialize_with = "held")]
    pub subscriptions: Option<u32>,
}

/// What each caller may do. `"off"` is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallerRates {
    /// Operations, over HTTP and WebSockets.
    #[serde(deserialize_with = "rate")]
    pub requests: Option<Rate>,
    /// What they cost together, as `[graphql]` of `app.toml` counts it.
    #[serde(deserialize_with = "rate")]
    pub cost: Option<Rate>,
    /// Messages over all of its WebSockets.
    #[serde(deserialize_with = "rate")]
    pub messages: Option<Rate>,
    /// WebSockets that are open.
    #[serde(deserialize_with = "held")]
    pub sockets: Option<u32>,
    /// Subscriptions that run.
    #[serde(deserialize_with = "held")]
    pub subscriptions: Option<u32>,
}

/// What all callers of a tenant may do together. `"off"` is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantRates {
    /// Callers of each tenant that have places of their own.
    #[serde(deserialize_with = "keys")]
    pub keys: usize,
    /// Operations, over HTTP and WebSockets.
    #[serde(deserialize_with = "rate")]
    pub requests: Option<Rate>,
    /// What they cost together.
    #[serde(deserialize_with = "rate")]
    pub cost: Option<Rate>,
    /// Messages over all WebSockets.
    #[serde(deserialize_with = "rate")]
    pub messages: Option<Rate>,
    /// WebSockets that are open.
    #[serde(deserialize_with = "held")]
    pub sockets: Option<u32>,
    /// Subscriptions that run.
    #[serde(deserialize_with = "held")]
    pub subscriptions: Option<u32>,
}

/// The most keys: 18 bytes each in each table.
pub const KEYS_MAX: usize = 1 << 26;

impl Default for RateSection {
    fn default() -> Self {
        Self {
            enabled: true,
            keys: 1 << 17,
            address: AddressRates::default(),
            caller: CallerRates::default(),
            tenant: TenantRates::default(),
        }
    }
}

impl RateSection {
    /// Without limits but those that an app asks for: as `weir dev` runs.
    pub fn off() -> Self {
        Self { enabled: false, ..Self::default() }
    }
}

/// No more than a tenth of what the server has is held by one address, and what a person or a page does is far below all of
/// them.
impl Default for AddressRates {
    fn default() -> Self {
        Self {
            requests: usual("1000/s burst 5000"),
            messages: usual("2000/s burst 10000"),
            logins_failed: usual("30/m burst 60"),
            connections: Some(2_400),
            sockets: Some(2_400),
            subscriptions: Some(5_000),
        }
    }
}

/// An operation may cost as much as an app's `[graphql]` allows it by default.
impl Default for CallerRates {
    fn default() -> Self {
        Self {
            requests: usual("500/s burst 2500"),
            cost: usual("200000/s burst 2000000"),
            messages: usual("2000/s burst 10000"),
            sockets: Some(2_000),
            subscriptions: Some(5_000),
        }
    }
}

/// What ten callers may do who use all of their own. Of what lasts no tenant holds more than half of what the server has.
impl Default for TenantRates {
    fn default() -> Self {
        Self {
            keys: 1 << 14,
            requests: usual("5000/s burst 25000"),
            cost: usual("2000000/s burst 20000000"),
            messages: usual("20000/s burst 100000"),
            sockets: Some(10_000),
            subscriptions: Some(10_000),
        }
    }
}

fn usual(text: &str) -> Option<Rate> {
    text.parse().ok()
}

/// What switches a limit off.
const OFF: &str = "off";

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rate>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == OFF {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(|error| D::Error::custom(format!("{error}, or \"off\"")))
    }
}

/// A number or `"off"`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, 1 or more, or \"off\"")]
enum Number {
    Of(u32),
    Off(String),
}

fn held<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match Number::deserialize(deserializer)? {
        Number::Of(most) if most > 0 => Ok(Some(most)),
        Number::Off(off) if off == OFF => Ok(None),
        Number::Of(_) | Number::Off(_) => Err(D::Error::custom("expected a number, 1 or more, or \"off\"")),
    }
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let keys = usize::deserialize(deserializer)?;
    if (1..=KEYS_MAX).contains(&keys) {
        Ok(keys)
    } else {
        Err(D::Error::custom(format!("keys = {keys} cannot be: write a number from 1 to {KEYS_MAX}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RateSection {
        toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_is_left_out_is_as_usual() {
        assert_eq!(read(""), RateSection::default());
        let AddressRates { requests, messages, logins_failed, .. } = AddressRates::default();
        let CallerRates { requests: operations, cost, messages: sent, .. } = CallerRates::default();
        assert!([requests, messages, logins_failed, operations, cost, sent].iter().all(Option::is_some));
        let TenantRates { requests, cost: of_all, messages, .. } = TenantRates::default();
        assert!([requests, of_all, messages].iter().all(Option::is_some));
        // What an app allows one operation to cost by default can be paid.
        let burst = cost.map_or(0, |cost| u64::from(cost.burst().get()));
        assert!(burst >= weir_schema::graphql::GraphqlSettings::default().cost, "{burst}");
    }

    #[test]
    fn each_limit_is_set_or_off() {
        let text = "keys = 8\n[address]\nrequests = \"5/s burst 9\"\nconnections = \"off\"\n[caller]\ncost = \"off\"\nsockets = 3\n[tenant]\nkeys = 9\nsockets = \"off\"\n";
        let RateSection { enabled, keys, address, caller, tenant } = read(text);
        assert_eq!(tenant, TenantRates { keys: 9, sockets: None, ..TenantRates::default() });
        assert_eq!((enabled, keys, address.connections, caller.cost, caller.sockets), (true, 8, None, None, Some(3)));
        assert_eq!(address.requests, "5/s burst 9".parse().ok());
        assert_eq!(caller.requests, CallerRates::default().requests);
        assert!(!read("enabled = false").enabled);
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let table = [
            ("keys = 0", "from 1 to 67108864"),
            ("on = true", "unknown field `on`"),
            ("[address]\nrequests = \"many\"", "such as \"10/s\""),
            ("[address]\nrequests = \"many\"", "or \"off\""),
            ("[address]\nrequests = 5", "expected a string"),
            ("[address]\nconnections = 0", "1 or more, or \"off\""),
            ("[address]\nconnections = \"none\"", "1 or more, or \"off\""),
            ("[address]\ncost = \"1/s\"", "unknown field `cost`"),
            ("[tenant]\nkeys = 0", "from 1 to 67108864"),
            ("[tenant]\nconnections = 5", "unknown field `connections`"),
            ("[caller]\nlogins_failed = \"1/s\"", "unknown field `logins_failed`"),
        ];
        for (text, expected) in table {
            let error = toml::from_str::<RateSection>(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

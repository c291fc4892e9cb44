//! `[proxies]`: who may say for whom a connection or a request is.

use std::net::IpAddr;

use serde::Deserialize;
use weir_schema::network::Network;

/// `[proxies]`. Without it nobody is believed, and the client is who has connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxiesSection {
    /// The networks whose hosts are believed.
    pub trusted: Vec<Network>,
    /// The one header in which they say it. All others are the client's own words.
    pub header: Option<ForwardingHeader>,
    /// Whether their connections begin with the PROXY protocol.
    pub proxy_protocol: bool,
}

/// A header that says for whom a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ForwardingHeader {
    /// RFC 7239.
    #[serde(rename = "forwarded")]
    Forwarded,
    /// What was usual before.
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
}

impl ProxiesSection {
    /// Whether an address is that of a proxy that is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// What of it would never be used: what is said without anybody who may say it.
    pub fn unused(&self) -> Option<&'static str> {
        match (self.trusted.is_empty(), self.header, self.proxy_protocol) {
            (true, Some(_), _) => Some("header is read from nobody: list the proxies under trusted"),
            (true, None, true) => Some("proxy_protocol is read from nobody: list the proxies under trusted"),
            (false, None, false) => Some("trusted proxies say nothing: choose a header or set proxy_protocol = true"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_say_what_to_write() {
        let table = [
            ("trusted = [\"10.0.0.1/8\"]", "the network is \"10.0.0.0/8\""),
            ("trusted = [\"2001:db8::1/64\"]", "the network is \"2001:db8::/64\""),
            ("trusted = [\"10.0.0.0/33\"]", "such as \"10.0.0.0/8\""),
            ("trusted = [\"10.0.0.0/+8\"]", "such as \"10.0.0.0/8\""),
            ("trusted = [\"10.0.0.0/\"]", "such as \"10.0.0.0/8\""),
            ("trusted = [\"::ffff:10.0.0.0/104\"]", "such as \"10.0.0.0/8\""),
            ("trusted = [\"proxy.example\"]", "such as \"10.0.0.0/8\""),
            ("header = \"x-real-ip\"", "expected `forwarded` or `x-forwarded-for`"),
            ("trust = []", "unknown field `trust`"),
        ];
        for (text, expected) in table {
            let error = toml::from_str::<ProxiesSection>(text).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_would_never_be_used_is_told() {
        let table = [
            ("", true),
            ("trusted = [\"10.0.0.0/8\"]\nheader = \"forwarded\"", true),
            ("trusted = [\"10.0.0.0/8\"]\nproxy_protocol = true", true),
            ("trusted = [\"10.0.0.0/8\"]", false),
            ("header = \"forwarded\"", false),
            ("proxy_protocol = true", false),
        ];
        for (text, used) in table {
            let proxies: ProxiesSection = toml::from_str(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(proxies.unused().is_none(), used, "{text}");
        }
    }
}

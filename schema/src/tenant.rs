//! Tenants by name and by host: what their names may be, and which text is which host.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// The longest name of a tenant, in bytes: as long as a part of a host's name may be.
const NAME_BYTES_MAX: usize = 63;
/// The longest name of a host, in bytes (RFC 1035, 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// The name of a tenant. It is the name of a folder too, and may be a part of a host's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TenantName(String);

/// Not the name of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the name of a tenant: use 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens, starting with a \
     letter or a digit"
)]
pub struct BadTenantName(String);

impl TenantName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantName {
    type Err = BadTenantName;

    fn from_str(text: &str) -> Result<Self, BadTenantName> {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good =
            !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.starts_with('-') && text.bytes().all(is_part);
        if good { Ok(Self(text.to_owned())) } else { Err(BadTenantName(text.chars().take(100).collect())) }
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TenantName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The name of a host, without a port, as all ways to write it are compared: in lower case, without the dot at its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct HostName(String);

/// Not the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a host: write one such as acme.example.com, without scheme and port")]
pub struct BadHostName(String);

impl HostName {
    /// As it is compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = BadHostName;

    fn from_str(text: &str) -> Result<Self, BadHostName> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
        let good = name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label);
        if good { Ok(Self(name)) } else { Err(BadHostName(text.chars().take(100).collect())) }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_folders_and_of_parts_of_hosts() {
        let long = "a".repeat(NAME_BYTES_MAX);
        let good = ["a", "0", "acme", "acme-2", "a--b", &long];
        let bad = ["", "-a", "Acme", "a.b", "a_b", "a/b", "..", "a b", "ä", "a\0", &format!("{long}a")];
        for name in good {
            assert_eq!(name.parse::<TenantName>().map(|parsed| parsed.to_string()).as_deref(), Ok(name));
        }
        for name in bad {
            assert!(name.parse::<TenantName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_host_is_the_same_however_it_is_written() {
        let host = |text: &str| text.parse::<HostName>().ok().map(|host| host.to_string());
        for text in ["acme.example.com", "ACME.example.COM", "acme.example.com."] {
            assert_eq!(host(text).as_deref(), Some("acme.example.com"), "{text}");
        }
        for text in ["", ".", "a..b", ".a", "a..", "a:80", "http://a", "[::1]", "a/b", "ä.de", &"a.".repeat(200)] {
            assert_eq!(host(text), None, "{text}");
        }
        assert_eq!(host("127.0.0.1").as_deref(), Some("127.0.0.1"));
    }
}

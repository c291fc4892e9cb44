//! What an app asks for outside of its data: hosts that its actions fetch from, secrets that they use.
//!
//! Both are named in `app.toml`, so that whoever runs an app can read there what it reaches. Without a name there is
//! nothing.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::{FETCH_HOSTS_MAX, HOST_BYTES_MAX, SECRET_NAME_BYTES_MAX, SECRETS_MAX};

/// The table `[fetch]` of `app.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fetch {
    /// The hosts that actions may fetch from; none without it.
    #[serde(deserialize_with = "hosts")]
    pub hosts: Vec<AllowedHost>,
}

/// A host that actions may fetch from: `api.example.com`, `*.example.com`, `127.0.0.1:9000`, `[::1]:9000`.
///
/// Without a port it is the one of the URL's scheme, 443 or 80, and no other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllowedHost {
    /// Which host.
    pub host: HostPattern,
    /// The only port; `None`: the one of the scheme.
    pub port: Option<u16>,
}

/// Which host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name, in lower case.
    Name(String),
    /// Every name that ends in a dot and this one.
    Below(String),
    /// This address, written as one.
    Address(IpAddr),
}

/// Why a host is not allowed to stand in `app.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// `https://api.example.com`, `api.example.com/v1`, `user@api.example.com`
    #[error("{0:?} is more than a host: write only the name or the address, such as \"api.example.com\"")]
    More(String),
    /// Not a name.
    #[error(
        "{0:?} is not a host: write a name in lower-case letters, digits, hyphens and dots, such as \"api.example.com\", \
         with xn-- where it has other letters"
    )]
    Name(String),
    /// An asterisk that stands for too much or elsewhere.
    #[error("{0:?}: an asterisk stands for what is below a name of two parts or more, such as \"*.example.com\"")]
    Asterisk(String),
    /// Digits that resolvers read as an address, and people do not.
    #[error("{0:?} is neither a name nor an address: write an address in full, such as \"127.0.0.1\" or \"[::1]\"")]
    Address(String),
    /// Not a port.
    #[error("{0:?} has no port that can be: write one from 1 to 65535 after the colon, or none for 443 and 80")]
    Port(String),
}

impl FromStr for AllowedHost {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let all = || text.to_owned();
        if text.contains(['/', '@', '?', '#', '\\']) || text.chars().any(char::is_whitespace) {
            return Err(BadHost::More(all()));
        }
        if let Some(inside) = text.strip_prefix('[') {
            let (address, rest) = inside.split_once(']').ok_or_else(|| BadHost::Address(all()))?;
            let address: Ipv6Addr = address.parse().map_err(|_| BadHost::Address(all()))?;
            let port = match rest {
                "" => None,
                rest => Some(port(rest.strip_prefix(':').unwrap_or_default()).ok_or_else(|| BadHost::Port(all()))?),
            };
            return Ok(Self { host: HostPattern::Address(address.into()), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => return Err(BadHost::Address(all())),
            Some((host, digits)) => (host, Some(port(digits).ok_or_else(|| BadHost::Port(all()))?)),
            None => (text, None),
        };
        let host = match host.strip_prefix("*.") {
            Some(above) if !above.contains('*') => {
                if !above.contains('.') {
                    return Err(BadHost::Asterisk(all()));
                }
                HostPattern::Below(name(above, text)?)
            }
            None if !host.contains('*') => match host.parse() {
                Ok(address) => HostPattern::Address(address),
                Err(_) => HostPattern::Name(name(host, text)?),
            },
            _ => return Err(BadHost::Asterisk(all())),
        };
        Ok(Self { host, port })
    }
}

/// Digits alone: `parse` would take a sign too.
fn port(digits: &str) -> Option<u16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?.filter(|port| *port > 0)
}

/// A name as the domain name system has it (RFC 1123), underscores allowed.
fn name(name: &str, text: &str) -> Result<String, BadHost> {
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_part)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > HOST_BYTES_MAX || !name.split('.').all(is_label) {
        return Err(BadHost::Name(text.to_owned()));
    }
    // The URL standard takes a host whose last part is a number for an address: `127.1`, `0x7f.0.0.1`.
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if hex || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadHost::Address(text.to_owned()));
    }
    Ok(name.to_owned())
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Name(name) => f.write_str(name)?,
            HostPattern::Below(name) => write!(f, "*.{name}")?,
            HostPattern::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            HostPattern::Address(address) => write!(f, "{address}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for AllowedHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AllowedHost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AllowedHost>, D::Error> {
    let hosts = Vec::deserialize(deserializer)?;
    if hosts.len() > FETCH_HOSTS_MAX {
        return Err(D::Error::custom(format!("more than {FETCH_HOSTS_MAX} hosts")));
    }
    Ok(hosts)
}

/// The name of a secret: upper-case letters, digits and `_`, so that it can be part of a variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SecretName(String);

/// Not the name of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the name of a secret: use 1 to {SECRET_NAME_BYTES_MAX} upper-case letters, digits and `_`, starting \
     with a letter, such as \"PAYMENT_KEY\""
)]
pub struct BadSecretName(String);

impl SecretName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = BadSecretName;

    fn from_str(text: &str) -> Result<Self, BadSecretName> {
        let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let good = text.len() <= SECRET_NAME_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(is_part);
        if good { Ok(Self(text.to_owned())) } else { Err(BadSecretName(text.chars().take(100).collect())) }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Reads the names of secrets: each once.
pub(crate) fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretName>, D::Error> {
    let names = Vec::<SecretName>::deserialize(deserializer)?;
    if names.len() > SECRETS_MAX {
        return Err(D::Error::custom(format!("more than {SECRETS_MAX} secrets")));
    }
    for (place, name) in names.iter().enumerate() {
        if names.iter().take(place).any(|other| other == name) {
            return Err(D::Error::custom(format!("the secret {name} is named twice")));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(HostPattern, Option<u16>), &str>) {
        let parsed = AllowedHost::from_str(text);
        match expected {
            Ok((host, port)) => {
                let allowed = AllowedHost { host, port };
                assert_eq!(parsed, Ok(allowed.clone()), "{text}");
                assert_eq!(AllowedHost::from_str(&allowed.to_string()), Ok(allowed), "{text}");
            }
            Err(words) => {
                let message = parsed.map(|host| host.to_string()).map_err(|error| error.to_string());
                assert!(message.as_ref().is_err_and(|message| message.contains(words)), "{text}: {message:?}");
            }
        }
    }

    #[test]
    fn hosts_are_names_addresses_and_what_is_below_a_name() {
        let name = |name: &str| HostPattern::Name(name.to_owned());
        let below = |name: &str| HostPattern::Below(name.to_owned());
        let address = |text: &str| HostPattern::Address(text.parse().unwrap_or_else(|_| panic!("{text}")));
        check("api.example.com", Ok((name("api.example.com"), None)));
        check("api.example.com:8443", Ok((name("api.example.com"), Some(8443))));
        check("localhost", Ok((name("localhost"), None)));
        check("my_service.internal:80", Ok((name("my_service.internal"), Some(80))));
        check("xn--bcher-kva.example", Ok((name("xn--bcher-kva.example"), None)));
        check("*.example.com", Ok((below("example.com"), None)));
        check("*.example.com:8080", Ok((below("example.com"), Some(8080))));
        check("127.0.0.1:9000", Ok((address("127.0.0.1"), Some(9000))));
        check("10.0.0.7", Ok((address("10.0.0.7"), None)));
        check("[::1]:9000", Ok((address("::1"), Some(9000))));
        check("[2001:db8::7]", Ok((address("2001:db8::7"), None)));
    }

    #[test]
    fn what_is_no_host_is_explained() {
        for text in ["https://api.example.com", "api.example.com/v1", "me@api.example.com", "a b", "host\\x", " a.b"] {
            check(text, Err("is more than a host"));
        }
        for text in ["", "API.example.com", "bücher.example", ".a", "a.", "a..b", "-a.b", "a-.b", "a,b", "a:"] {
            check(text, Err(if text == "a:" { "no port" } else { "is not a host" }));
        }
        check(&format!("{}.example", "x".repeat(64)), Err("is not a host"));
        check(&"ab.".repeat(90), Err("is not a host"));
        for text in ["*", "*.com", "*.localhost", "a.*.com", "*a.example.com", "*.*.example.com"] {
            check(text, Err("an asterisk stands for"));
        }
        for text in ["127.1", "0x7f.0.0.1", "a.0x1", "1.2.3.4.5", "256.0.0.1", "017.0.0.1", "::1", "[::1", "[x]", "1"] {
            check(text, Err("write an address in full"));
        }
        for text in ["a.example:0", "a.example:65536", "a.example:+80", "a.example:http", "[::1]:", "[::1]9"] {
            check(text, Err("no port"));
        }
    }

    #[test]
    fn secrets_have_names_for_the_environment() {
        for good in ["A", "PAYMENT_KEY", "KEY_2"] {
            assert_eq!(SecretName::from_str(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "key", "2KEY", "_KEY", "A-B", "A=B", "Ä", "A\n", &"A".repeat(65)] {
            assert!(SecretName::from_str(bad).is_err(), "{bad}");
        }
    }
}

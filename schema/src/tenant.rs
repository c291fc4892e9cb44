//! Tenants and environments by name and by host: what their names may be, and which text is which host.
//!
//! An **instance** is what has a data folder of its own beside that of the server: a tenant, or an environment of an app, which is
//! the server's own or a tenant's.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// Whether a text is a name, of a tenant or of an environment.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.starts_with('-') && text.bytes().all(is_part)
}

/// The beginning of what is no name, to be told.
fn told(text: &str) -> String {
    text.chars().take(100).collect()
}

impl FromStr for TenantName {
    type Err = BadTenantName;

    fn from_str(text: &str) -> Result<Self, BadTenantName> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(BadTenantName(told(text))) }
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

/// The name of an environment of an app. It may be a part of a host's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct EnvironmentName(String);

/// Not the name of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvironmentName {
    /// None has such a name.
    #[error(
        "{0:?} is not the name of an environment: use 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens, starting \
         with a letter or a digit"
    )]
    Malformed(String),
    /// It is what the app itself is called.
    #[error("{PRODUCTION} is the app itself, whose data is not in an environment: choose another name")]
    Production,
}

/// What the app itself is called among its environments.
pub const PRODUCTION: &str = "production";

impl EnvironmentName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvironmentName {
    type Err = BadEnvironmentName;

    fn from_str(text: &str) -> Result<Self, BadEnvironmentName> {
        match text {
            PRODUCTION => Err(BadEnvironmentName::Production),
            text if is_name(text) => Ok(Self(text.to_owned())),
            text => Err(BadEnvironmentName::Malformed(told(text))),
        }
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EnvironmentName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What stands between a tenant and an environment in the name of an instance. No name has it.
const BEFORE_ENVIRONMENT: char = '+';

/// The name of an instance: `acme` of a tenant, `acme+staging` of an environment of its app, `+staging` of one of the server's own
/// app. It is the name of a folder too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceName {
    /// A tenant.
    Tenant(TenantName),
    /// An environment.
    Environment {
        /// Of which tenant; `None`: of the server's own app.
        of: Option<TenantName>,
        /// Its name, unique among those of the app.
        name: EnvironmentName,
    },
}

/// Not the name of an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInstanceName {
    /// That of the tenant in it is none.
    #[error(transparent)]
    Tenant(#[from] BadTenantName),
    /// That of the environment in it is none.
    #[error(transparent)]
    Environment(#[from] BadEnvironmentName),
}

impl InstanceName {
    /// That of an environment, of a tenant's app or the server's own.
    pub fn environment(of: Option<TenantName>, name: EnvironmentName) -> Self {
        Self::Environment { of, name }
    }

    /// Whose app it runs; `None`: the server's own.
    pub fn tenant(&self) -> Option<&TenantName> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Environment { of, .. } => of.as_ref(),
        }
    }

    /// Which environment it is; `None`: it is a tenant.
    pub fn environment_name(&self) -> Option<&EnvironmentName> {
        match self {
            Self::Tenant(_) => None,
            Self::Environment { name, .. } => Some(name),
        }
    }

    /// For who reads a message: `environment staging of the tenant acme`.
    pub fn told(&self) -> String {
        match self {
            Self::Tenant(tenant) => format!("tenant {tenant}"),
            Self::Environment { of: None, name } => format!("environment {name}"),
            Self::Environment { of: Some(tenant), name } => format!("environment {name} of the tenant {tenant}"),
        }
    }

    /// The command that shows those of its kind.
    pub fn list_command(&self) -> String {
        match self {
            Self::Tenant(_) => "weir tenant list".to_owned(),
            Self::Environment { of: None, .. } => "weir env list".to_owned(),
            Self::Environment { of: Some(tenant), .. } => format!("weir env list --tenant {tenant}"),
        }
    }
}

impl From<TenantName> for InstanceName {
    fn from(tenant: TenantName) -> Self {
        Self::Tenant(tenant)
    }
}

impl FromStr for InstanceName {
    type Err = BadInstanceName;

    fn from_str(text: &str) -> Result<Self, BadInstanceName> {
        Ok(match text.split_once(BEFORE_ENVIRONMENT) {
            None => Self::Tenant(text.parse()?),
            Some(("", name)) => Self::Environment { of: None, name: name.parse()? },
            Some((tenant, name)) => Self::Environment { of: Some(tenant.parse()?), name: name.parse()? },
        })
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tenant) = self.tenant() {
            f.write_str(tenant.as_str())?;
        }
        match self.environment_name() {
            Some(name) => write!(f, "{BEFORE_ENVIRONMENT}{name}"),
            None => Ok(()),
        }
    }
}

impl Serialize for InstanceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InstanceName {
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

    /// Whether it has more labels before those of another.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.strip_suffix(&other.0).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
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
    fn an_instance_is_a_tenant_or_an_environment() {
        for (text, told) in [
            ("acme", "tenant acme"),
            ("+staging", "environment staging"),
            ("acme+pr-42", "environment pr-42 of the tenant acme"),
        ] {
            let name = text.parse::<InstanceName>();
            assert_eq!(name.as_ref().map(ToString::to_string).as_deref(), Ok(text));
            assert_eq!(name.as_ref().map(InstanceName::told).as_deref(), Ok(told));
            let json = name.as_ref().ok().and_then(|name| serde_json::to_string(name).ok());
            assert_eq!(json.and_then(|json| serde_json::from_str(&json).ok()), name.ok());
        }
        for text in ["", "+", "acme+", "+a+b", "acme+production", "+production", "Acme+a", "a/b+c", "+.."] {
            assert!(text.parse::<InstanceName>().is_err(), "{text}");
        }
        let refused = "production".parse::<EnvironmentName>().map_err(|error| error.to_string());
        let expected = "production is the app itself, whose data is not in an environment: choose another name";
        assert_eq!(refused, Err(expected.to_owned()));
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
        let below = |one: &str, other: &str| match (one.parse::<HostName>(), other.parse()) {
            (Ok(one), Ok(other)) => one.is_below(&other),
            _ => false,
        };
        assert!(below("a.acme.example", "acme.example") && below("a.b.acme.example", "acme.example"));
        assert!(!below("acme.example", "acme.example") && !below("xacme.example", "acme.example"));
        assert!(!below("example", "acme.example"));
    }
}

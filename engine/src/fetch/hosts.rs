//! Whether a URL leads to a host that `app.toml` names, and to which addresses a name may be followed.
//!
//! Both are asked anew after each redirect. What a name leads to is looked up once for each request, and the connection
//! goes to one of the addresses that were looked at: an answer that changes in between changes nothing.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;
use url::{Host, Url};
use weir_schema::network::Network;
use weir_schema::outside::{AllowedHost, HostPattern};

use super::addresses::special;
use super::error::FetchError;
use crate::outside::shortened;

/// Looks up the addresses of a name, for a port.
pub type Resolve = Arc<dyn Fn(String, u16) -> Resolving + Send + Sync>;

/// The addresses of a name, in the order in which they are tried.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// The most names that are looked up at one time. Each has a thread until the system gives up, also when nobody waits.
const LOOKUPS_MAX: usize = 64;
/// The most of these for one engine: names whose servers never answer keep other tenants waiting only where many have some.
const LOOKUPS_OF_ONE_MAX: usize = 8;

/// Looks names up as the system does, for one who asks.
pub fn resolve_by_system() -> Resolve {
    static LOOKUPS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS_MAX)));
    in_turn(Arc::new(Semaphore::new(LOOKUPS_OF_ONE_MAX)), LOOKUPS.clone(), look_up)
}

async fn look_up(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    tokio::net::lookup_host((name.as_str(), port)).await.map(Iterator::collect)
}

/// Looks up in a turn of one's own, and then of all. Both are kept until the lookup ends, also when nobody waits for it.
fn in_turn<F>(of_one: Arc<Semaphore>, of_all: Arc<Semaphore>, look_up: fn(String, u16) -> F) -> Resolve
where
    F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    Arc::new(move |name, port| {
        let (of_one, of_all) = (of_one.clone(), of_all.clone());
        Box::pin(async move {
            let own = of_one.acquire_owned().await.map_err(io::Error::other)?;
            let turns = (own, of_all.acquire_owned().await.map_err(io::Error::other)?);
            let lookup = tokio::spawn(async move {
                let found = look_up(name, port).await;
                drop(turns);
                found
            });
            lookup.await.map_err(io::Error::other)?
        })
    })
}

/// Which addresses that are not of the public internet an app may reach.
#[derive(Debug, Clone, Default)]
pub enum Reach {
    /// Those on its list: whoever runs the server runs the app too, and has read the list.
    #[default]
    Listed,
    /// Of those on its list the ones in these networks: whoever has written the list is a stranger to the network of the server.
    Within(Arc<[Network]>),
}

impl Reach {
    /// The kind of an address, if it is one that the list of an app does not open.
    fn closes(&self, address: IpAddr) -> Option<&'static str> {
        match self {
            Self::Listed => None,
            Self::Within(networks) if networks.iter().any(|network| network.contains(address)) => None,
            Self::Within(_) => special(address),
        }
    }
}

/// Where a URL leads to that may be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `api.example.com`, `[::1]`
    pub host: Host<String>,
    /// The one of the URL, or of its scheme.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl Target {
    /// For messages: `api.example.com`, `127.0.0.1:9000`. As the list of `app.toml` would have it.
    pub fn name(&self) -> String {
        if self.port == default_port(self.tls) { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// What a URL leads to, whoever may ask for it.
pub fn target(url: &Url) -> Result<Target, FetchError> {
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        other => return Err(FetchError::Scheme(shortened(other, 20))),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(FetchError::Credentials);
    }
    let host = url.host().ok_or(FetchError::Url(url::ParseError::EmptyHost))?.to_owned();
    Ok(Target { host, port: url.port().unwrap_or(default_port(tls)), tls })
}

/// Looks at a URL: what it leads to, if the list allows that.
pub fn allowed(url: &Url, hosts: &[AllowedHost]) -> Result<Target, FetchError> {
    let target = target(url)?;
    let of_host = || hosts.iter().filter(|allowed| is_of(&allowed.host, &target.host));
    if of_host().any(|allowed| has_port(allowed, &target)) {
        return Ok(target);
    }
    Err(match hosts {
        [] => FetchError::NoHosts(target.name()),
        _ if of_host().next().is_some() => FetchError::Port { host: target.host.to_string(), port: target.port },
        _ => FetchError::Host(target.name()),
    })
}

fn is_of(pattern: &HostPattern, host: &Host<String>) -> bool {
    match (pattern, host) {
        (HostPattern::Name(name), Host::Domain(host)) => name == host,
        (HostPattern::Below(above), Host::Domain(host)) => {
            host.strip_suffix(above.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        }
        (HostPattern::Address(address), Host::Ipv4(host)) => address.to_canonical() == *host,
        (HostPattern::Address(address), Host::Ipv6(host)) => address.to_canonical() == host.to_canonical(),
        _ => false,
    }
}

fn has_port(allowed: &AllowedHost, target: &Target) -> bool {
    allowed.port.unwrap_or(default_port(target.tls)) == target.port
}

/// The addresses to connect to, each of them one that may be connected to.
///
/// An address that stands in the URL is on the list by itself. What a name leads to is of the public internet, or on the
/// list beside the name. Neither counts where `reach` closes it.
pub async fn addresses(
    target: &Target,
    hosts: &[AllowedHost],
    reach: &Reach,
    resolve: &Resolve,
) -> Result<Vec<SocketAddr>, FetchError> {
    let closed = |kind| FetchError::Closed { host: target.name(), kind };
    let written = |address: IpAddr| match reach.closes(address) {
        Some(kind) => Err(closed(kind)),
        None => Ok(vec![SocketAddr::new(address, target.port)]),
    };
    let name = match &target.host {
        Host::Ipv4(address) => return written((*address).into()),
        Host::Ipv6(address) => return written((*address).into()),
        Host::Domain(name) => name,
    };
    // What the resolver says besides is about the machine, not about the name.
    let found = resolve(name.clone(), target.port).await.map_err(|_| FetchError::Unknown(name.clone()))?;
    let is_listed = |address: IpAddr| {
        let is_it = |allowed: &AllowedHost| match allowed.host {
            HostPattern::Address(listed) => {
                listed.to_canonical() == address.to_canonical() && has_port(allowed, target)
            }
            _ => false,
        };
        hosts.iter().any(is_it)
    };
    let (mut refused, mut is_closed) = (None, None);
    let mut good = Vec::new();
    for found in found {
        if let Some(kind) = reach.closes(found.ip()) {
            is_closed.get_or_insert(kind);
            continue;
        }
        match special(found.ip()) {
            Some(kind) if !is_listed(found.ip()) => {
                refused.get_or_insert((found.ip(), kind));
            }
            // Never to another port than the one that was looked at.
            _ => good.push(SocketAddr::new(found.ip(), target.port)),
        }
    }
    match refused {
        _ if !good.is_empty() => Ok(good),
        Some((address, kind)) => {
            let host = match address {
                IpAddr::V4(address) => Host::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            };
            let listed = Target { host, ..target.clone() }.name();
            Err(FetchError::Special { name: name.clone(), address, kind, listed })
        }
        None => Err(is_closed.map_or_else(|| FetchError::Unknown(name.clone()), closed)),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use futures_util::poll;

    use super::*;

    fn list(hosts: &str) -> Vec<AllowedHost> {
        let parse = |host: &str| host.parse().unwrap_or_else(|error| panic!("{error}"));
        hosts.split_whitespace().map(parse).collect()
    }

    /// What comes of URLs, one a line, with a list of hosts.
    fn check(hosts: &str, urls: &[&str], expected: Expect) {
        let hosts = list(hosts);
        let lines: Vec<String> = urls
            .iter()
            .map(|url| {
                let parsed = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
                match allowed(&parsed, &hosts) {
                    Ok(target) => format!("{url} => {}", target.name()),
                    Err(error) => format!("{url} => refused: {error}"),
                }
            })
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_url_leads_to_a_host_of_the_list_or_nowhere() {
        check(
            "api.example.com *.example.org 127.0.0.1:9000 [::1]:9000 plain.example:8080",
            &[
                "https://api.example.com/v1?key=1",
                "http://api.example.com",
                "https://API.example.com:443",
                "https://api.example.com:8443",
                "http://api.example.com:443",
                "https://api.example.com.",
                "https://api.example.com.evil.example",
                "https://evil-api.example.com",
                "https://a.example.org",
                "https://a.b.example.org",
                "https://example.org",
                "https://evilexample.org",
                "https://.example.org",
                "http://127.0.0.1:9000",
                "http://0x7f.1:9000",
                "http://2130706433:9000",
                "http://127.0.0.1:9001",
                "http://127.0.0.1",
                "http://127.0.0.2:9000",
                "http://[::1]:9000",
                "http://[::ffff:127.0.0.1]:9000",
                "http://localhost:9000",
                "http://plain.example:8080",
                "https://plain.example",
                "https://user:word@api.example.com",
                "ftp://api.example.com",
                "file:///etc/passwd",
                "data:text/plain,x",
            ],
            expect![[r#"
                https://api.example.com/v1?key=1 => api.example.com
                http://api.example.com => api.example.com
                https://API.example.com:443 => api.example.com
                https://api.example.com:8443 => refused: the app may fetch from api.example.com at other ports than 8443 only: add "api.example.com:8443" to hosts under [fetch] in app.toml
                http://api.example.com:443 => refused: the app may fetch from api.example.com at other ports than 443 only: add "api.example.com:443" to hosts under [fetch] in app.toml
                https://api.example.com. => refused: the app may not fetch from api.example.com.: add "api.example.com." to hosts under [fetch] in app.toml
                https://api.example.com.evil.example => refused: the app may not fetch from api.example.com.evil.example: add "api.example.com.evil.example" to hosts under [fetch] in app.toml
                https://evil-api.example.com => refused: the app may not fetch from evil-api.example.com: add "evil-api.example.com" to hosts under [fetch] in app.toml
                https://a.example.org => a.example.org
                https://a.b.example.org => a.b.example.org
                https://example.org => refused: the app may not fetch from example.org: add "example.org" to hosts under [fetch] in app.toml
                https://evilexample.org => refused: the app may not fetch from evilexample.org: add "evilexample.org" to hosts under [fetch] in app.toml
                https://.example.org => refused: the app may not fetch from .example.org: add ".example.org" to hosts under [fetch] in app.toml
                http://127.0.0.1:9000 => 127.0.0.1:9000
                http://0x7f.1:9000 => 127.0.0.1:9000
                http://2130706433:9000 => 127.0.0.1:9000
                http://127.0.0.1:9001 => refused: the app may fetch from 127.0.0.1 at other ports than 9001 only: add "127.0.0.1:9001" to hosts under [fetch] in app.toml
                http://127.0.0.1 => refused: the app may fetch from 127.0.0.1 at other ports than 80 only: add "127.0.0.1:80" to hosts under [fetch] in app.toml
                http://127.0.0.2:9000 => refused: the app may not fetch from 127.0.0.2:9000: add "127.0.0.2:9000" to hosts under [fetch] in app.toml
                http://[::1]:9000 => [::1]:9000
                http://[::ffff:127.0.0.1]:9000 => [::ffff:7f00:1]:9000
                http://localhost:9000 => refused: the app may not fetch from localhost:9000: add "localhost:9000" to hosts under [fetch] in app.toml
                http://plain.example:8080 => plain.example:8080
                https://plain.example => refused: the app may fetch from plain.example at other ports than 443 only: add "plain.example:443" to hosts under [fetch] in app.toml
                https://user:word@api.example.com => refused: the URL holds a user or a password: send them in the header authorization
                ftp://api.example.com => refused: ftp: URLs are not fetched; write https:// or http://
                file:///etc/passwd => refused: file: URLs are not fetched; write https:// or http://
                data:text/plain,x => refused: data: URLs are not fetched; write https:// or http://"#]],
        );
        check(
            "",
            &["https://api.example.com", "http://127.0.0.1:9000"],
            expect![[r#"
                https://api.example.com => refused: the app may fetch from no host: add hosts = ["api.example.com"] under [fetch] in app.toml
                http://127.0.0.1:9000 => refused: the app may fetch from no host: add hosts = ["127.0.0.1:9000"] under [fetch] in app.toml"#]],
        );
    }

    /// Where a name is followed that leads to these addresses.
    async fn follow(hosts: &str, leads_to: &'static [&'static str]) -> String {
        reached(hosts, &Reach::Listed, "https://api.example.com/", leads_to).await
    }

    /// Where a URL leads with such a reach, its name, if it has one, to these addresses.
    async fn reached(hosts: &str, reach: &Reach, url: &str, leads_to: &'static [&'static str]) -> String {
        let resolve: Resolve = Arc::new(|_, port| {
            let parse = |text: &&str| SocketAddr::new(text.parse().unwrap_or_else(|_| panic!("{text}")), port);
            let found = leads_to.iter().map(parse).collect();
            Box::pin(async move { Ok(found) })
        });
        let hosts = list(hosts);
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{error}"));
        let target = allowed(&url, &hosts).unwrap_or_else(|error| panic!("{error}"));
        match addresses(&target, &hosts, reach, &resolve).await {
            Ok(found) => found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_name_is_followed_to_the_public_internet_and_to_listed_addresses() {
        let name = "api.example.com";
        assert_eq!(follow(name, &["8.8.8.8", "2606:4700::1111"]).await, "8.8.8.8:443 [2606:4700::1111]:443");
        assert_eq!(follow(name, &["127.0.0.1", "8.8.8.8", "10.0.0.1"]).await, "8.8.8.8:443");
        assert_eq!(follow(name, &[]).await, "there is no address for api.example.com");
        assert_eq!(
            follow(name, &["169.254.169.254", "10.0.0.1"]).await,
            "api.example.com leads to 169.254.169.254, a link-local address: if that is meant, add \"169.254.169.254\" to \
             hosts under [fetch] in app.toml too"
        );
        assert_eq!(
            follow(name, &["::ffff:10.0.0.1"]).await,
            "api.example.com leads to ::ffff:10.0.0.1, a private address: if that is meant, add \"[::ffff:a00:1]\" to \
             hosts under [fetch] in app.toml too"
        );
        assert_eq!(follow("api.example.com 10.0.0.1", &["10.0.0.1", "10.0.0.2"]).await, "10.0.0.1:443");
        assert_eq!(follow("api.example.com 10.0.0.1", &["::ffff:10.0.0.1"]).await, "[::ffff:10.0.0.1]:443");
        // At another port it is another listing.
        assert!(follow("api.example.com 10.0.0.1:8443", &["10.0.0.1"]).await.contains("a private address"));
        // A name for the address does not list it.
        assert!(follow("api.example.com other.example", &["10.0.0.1"]).await.contains("a private address"));
    }

    #[tokio::test]
    async fn the_list_of_a_tenants_app_opens_no_address_that_is_not_of_the_public_internet() {
        let within = |networks: &[&str]| {
            let parse = |text: &&str| text.parse::<Network>().unwrap_or_else(|error| panic!("{error}"));
            Reach::Within(networks.iter().map(parse).collect())
        };
        let (closed, some) = (within(&[]), within(&["10.0.0.5", "192.168.4.0/24"]));
        let written = [
            ("127.0.0.1", "http://127.0.0.1/", "a loopback address"),
            ("127.0.0.1", "http://0x7f.1/", "a loopback address"),
            ("[::1]", "http://[::1]/", "a loopback address"),
            ("127.0.0.1", "http://[::ffff:127.0.0.1]/", "a loopback address"),
            ("169.254.169.254", "http://169.254.169.254/", "a link-local address"),
            ("10.0.0.6", "http://10.0.0.6/", "a private address"),
            ("[fd00::1]", "http://[fd00::1]/", "a unique local address"),
            ("[64:ff9b::a00:5]", "http://[64:ff9b::a00:5]/", "a private address"),
        ];
        for (host, url, kind) in written {
            for reach in [&closed, &some] {
                let refused = reached(host, reach, url, &[]).await;
                assert!(
                    refused.contains(kind) && refused.contains("fetch_addresses under [tenants]"),
                    "{url}: {refused}"
                );
            }
            assert!(!reached(host, &Reach::Listed, url, &[]).await.contains("leads to"), "{url}");
        }
        let url = "https://api.example.com/";
        let listed = "api.example.com 10.0.0.5 10.0.0.6 192.168.4.9";
        assert_eq!(
            reached(listed, &closed, url, &["10.0.0.5", "127.0.0.1"]).await,
            "api.example.com leads to a private address, where the apps of tenants may not fetch from: whoever runs the \
             server can permit that by fetch_addresses under [tenants] in weir.toml"
        );
        assert_eq!(reached(listed, &closed, url, &["10.0.0.5", "8.8.8.8"]).await, "8.8.8.8:443");
        assert_eq!(
            reached(listed, &some, url, &["10.0.0.6", "10.0.0.5", "192.168.4.9"]).await,
            "10.0.0.5:443 192.168.4.9:443"
        );
        assert_eq!(reached("10.0.0.5:80", &some, "http://10.0.0.5/", &[]).await, "10.0.0.5:80");
        // The operator permits, the app lists: it takes both.
        assert!(reached("api.example.com", &some, url, &["10.0.0.5"]).await.contains("add \"10.0.0.5\" to hosts"));
        assert_eq!(reached("8.8.8.8", &closed, "https://8.8.8.8/", &[]).await, "8.8.8.8:443");
    }

    /// Names of `slow.example` are never answered.
    async fn answer(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        if name == "slow.example" {
            std::future::pending::<()>().await;
        }
        Ok(vec![SocketAddr::new(IpAddr::from([8, 8, 8, 8]), port)])
    }

    #[tokio::test]
    async fn names_that_are_never_answered_keep_nobody_else_waiting() {
        let of_all = Arc::new(Semaphore::new(3));
        let resolver = || in_turn(Arc::new(Semaphore::new(2)), of_all.clone(), answer);
        let (one, other) = (resolver(), resolver());
        let mut asking: Vec<Resolving> = (0..5).map(|_| one("slow.example".to_owned(), 443)).collect();
        for asked in &mut asking {
            assert!(poll!(asked).is_pending());
        }
        // Those who ask give up, the system does not.
        drop(asking);
        assert_eq!(of_all.available_permits(), 1);
        assert!(poll!(one("api.example.com".to_owned(), 443)).is_pending());
        let found = other("api.example.com".to_owned(), 443).await;
        assert!(found.is_ok_and(|found| found.len() == 1));
    }
}

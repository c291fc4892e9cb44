//! Which addresses are of the public internet: a name that leads to any other is not followed.
//!
//! The lists are IANA's registries of special-purpose addresses for IPv4 and IPv6
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>).
//! Of IPv6 only `2000::/3` has been given out, so that all else is refused without being named.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address it is that is not of the public internet; `None` for one that is.
pub fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an address of no network"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        [100, 64..=127, ..] => Some("a private address of a carrier"),
        [127, ..] => Some("a loopback address"),
        [169, 254, ..] => Some("a link-local address"),
        [192, 0, 0, _] | [192, 88, 99, _] => Some("an address of protocols"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some("an address of documentation"),
        [198, 18..=19, ..] => Some("an address of benchmarks"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an address of no network"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // IPv4 in other clothes, which the system or a gateway takes off: mapped, and the well-known prefix of NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => special_v4(v4(high, low)),
        // Nobody reaches public IPv4 by these, but a gateway may reach private IPv4: compatible, translated, NAT64 of a
        // network's own, 6to4.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 1, ..] | [0x2002, ..] => {
            Some("an address of IPv4 inside of IPv6")
        }
        [0xfc00..=0xfdff, ..] => Some("a unique local address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a private address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // Teredo, ORCHID and others.
        [0x2001, 0..=0x1ff, ..] => Some("an address of protocols"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("an address of documentation"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_not_special() {
        let table = [
            ("0.0.0.0 0.1.2.3 ::", "an address of no network"),
            ("10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254 192.168.1.1 fec0::1", "a private address"),
            ("100.64.0.1 100.127.255.255", "a private address of a carrier"),
            ("127.0.0.1 127.1.2.3 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1", "a loopback address"),
            ("169.254.169.254 fe80::1 febf::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe", "a link-local address"),
            ("192.0.0.8 192.88.99.1 2001::1 2001:0:5ef5:79fd::1 2001:10::1 2001:1ff::1", "an address of protocols"),
            ("192.0.2.1 198.51.100.7 203.0.113.9 2001:db8::1 3fff::1 3fff:fff::1", "an address of documentation"),
            ("198.18.0.1 198.19.255.255", "an address of benchmarks"),
            ("224.0.0.1 239.255.255.255 ff02::1 ff0e::1", "a multicast address"),
            ("240.0.0.1 255.255.255.255 4000::1 1::1 100::1 5f00::1 e000::1 64:ff9c::1", "a reserved address"),
            ("fc00::1 fdff:ffff::1", "a unique local address"),
            (
                "::7f00:1 ::ffff:0:127.0.0.1 64:ff9b:1::1 2002:7f00:1:: 2002:808:808::",
                "an address of IPv4 inside of IPv6",
            ),
            ("::ffff:10.1.2.3 64:ff9b::a00:1", "a private address"),
        ];
        for (addresses, kind) in table {
            for text in addresses.split(' ') {
                let address = text.parse().unwrap_or_else(|_| panic!("{text}"));
                assert_eq!(special(address), Some(kind), "{text}");
            }
        }
        let public = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.0 126.1.1.1 128.0.0.1 169.253.1.1 \
                      172.15.0.1 172.32.0.1 192.0.1.1 192.167.1.1 192.169.1.1 198.17.1.1 198.20.0.1 223.255.255.255 \
                      2001:200::1 2606:4700::1111 2a00:1450::1 3ffe::1 ::ffff:8.8.8.8 64:ff9b::808:808";
        for text in public.split_whitespace() {
            let address = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(special(address), None, "{text}");
        }
    }
}

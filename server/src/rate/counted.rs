//! By what somebody is counted: an address, or who a token says.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use weir_engine::call::Caller;

/// The bits of an IPv6 address by which it counts: what providers give to one customer (RIPE-690 names /56 the usual and /48 the
/// largest). By 64, the size of one network, each customer would count as 256.
const IPV6_BITS: u32 = 56;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The client's address.
    pub address: IpAddr,
    /// Who that is.
    pub caller: &'a Caller,
}

/// By what somebody is counted.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum Counted<'a> {
    V4(u32),
    V6(u128),
    Token(&'a str, &'a str),
}

impl Counted<'_> {
    pub(super) fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6(address.to_bits() >> (128 - IPV6_BITS)),
        }
    }
}

impl<'a> Who<'a> {
    pub(super) fn counted(self) -> Counted<'a> {
        match self.caller {
            Caller::Token(identity) => Counted::Token(&identity.issuer, &identity.subject),
            Caller::Developer | Caller::Scheduler | Caller::Anonymous => Counted::address(self.address),
        }
    }
}

/// Makes keys that nobody outside can foresee: which keys share a set of a table stays unknown.
#[derive(Debug, Default)]
pub(super) struct Numbers(RandomState);

impl Numbers {
    pub(super) fn of(&self, counted: impl Hash) -> u64 {
        self.0.hash_one(counted)
    }
}

//! Which release a call goes to: the active one, or during a rollout for some callers the one that is to be.
//!
//! Rule: a caller goes to the same release as long as the step of the rollout is the same, on whatever connection and after a
//! restart, and goes back to the other only when the rollout is rolled back.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;
use weir_schema::rollout::{Bucket, Share};

use super::report::Report;
use super::shadow::Shadow;
use crate::engine::Engine;
use crate::release::Release;

/// Which release a call goes to. Replaced whole.
#[derive(Clone, Default)]
pub struct Traffic {
    active: Option<Arc<Release>>,
    split: Option<Split>,
    /// What follows the calls of the active one.
    shadow: Option<Arc<Shadow>>,
    /// What the last one that did so has found.
    report: Option<Arc<Report>>,
}

/// Some callers go elsewhere.
#[derive(Clone)]
struct Split {
    rollout: u64,
    candidate: Arc<Release>,
    share: Share,
}

/// By what a caller is known where calls are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker<'a> {
    /// By a token.
    Token {
        /// Who has issued it.
        issuer: &'a str,
        /// Whose it is.
        subject: &'a str,
    },
    /// By what the client says of itself.
    Visitor(&'a str),
    /// By where the call comes from.
    Address(IpAddr),
    /// By nothing: Weir itself, or the developer.
    Nobody,
}

impl Asker<'_> {
    /// Where they stand among all callers of a rollout; `None`: with those who stay where they are.
    pub fn bucket(self, rollout: u64) -> Option<Bucket> {
        let of = |parts: &[&[u8]]| Some(Bucket::of(rollout, parts));
        match self {
            Self::Token { issuer, subject } => of(&[b"token", issuer.as_bytes(), subject.as_bytes()]),
            Self::Visitor(visitor) => of(&[b"visitor", visitor.as_bytes()]),
            Self::Address(address) => match address.to_canonical() {
                IpAddr::V4(address) => of(&[b"address", &address.octets()]),
                // One customer has a network of 64 bits.
                IpAddr::V6(address) => of(&[b"network", address.octets().first_chunk::<8>()?]),
            },
            Self::Nobody => None,
        }
    }
}

impl Traffic {
    /// All calls go to one release.
    pub fn to(active: Option<Arc<Release>>) -> Self {
        Self { active, ..Self::default() }
    }

    /// The same, but some callers go to another during a rollout.
    pub(crate) fn split(self, rollout: u64, candidate: Arc<Release>, share: Share) -> Self {
        Self { split: Some(Split { rollout, candidate, share }), ..self }
    }

    /// The same, but calls are made once more on another release.
    pub(super) fn shadowed(self, shadow: Arc<Shadow>) -> Self {
        Self { report: Some(shadow.report().clone()), shadow: Some(shadow), ..self }
    }

    /// The same, with what was found before at hand.
    pub(super) fn after(self, before: &Self) -> Self {
        Self { report: before.report.clone(), ..self }
    }

    /// What follows the calls of the active release.
    pub(super) fn shadow(&self) -> Option<&Arc<Shadow>> {
        self.shadow.as_ref()
    }

    /// What it, or the last one, has found.
    pub(super) fn report(&self) -> Option<&Arc<Report>> {
        self.report.as_ref()
    }

    /// The active release.
    pub fn active(&self) -> Option<&Arc<Release>> {
        self.active.as_ref()
    }

    /// That to which some callers go.
    pub fn candidate(&self) -> Option<&Arc<Release>> {
        self.split.as_ref().map(|split| &split.candidate)
    }

    /// Where a caller's calls go. Who asks is looked at during a rollout only.
    pub fn route<'a>(&self, asker: impl FnOnce() -> Asker<'a>) -> Option<&Arc<Release>> {
        match &self.split {
            None => self.active.as_ref(),
            Some(split) => match asker().bucket(split.rollout) {
                Some(bucket) if split.share.has(bucket) => Some(&split.candidate),
                _ => self.active.as_ref(),
            },
        }
    }

    /// Whether calls go to a release.
    pub(crate) fn goes_to(&self, release: &Release) -> bool {
        let shadow = self.shadow.as_ref().map(|shadow| shadow.candidate());
        let all = self.active.iter().chain(self.candidate()).chain(shadow);
        all.into_iter().any(|other| other.number() == release.number())
    }
}

impl Engine {
    /// Where calls go, and each change of that.
    pub fn traffic(&self) -> watch::Receiver<Arc<Traffic>> {
        self.shared().traffic.subscribe()
    }

    /// Where a caller's calls go now; `None`: nothing is deployed yet.
    pub fn route<'a>(&self, asker: impl FnOnce() -> Asker<'a>) -> Option<Arc<Release>> {
        self.shared().traffic.borrow().route(asker).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_stays_where_they_are_whatever_they_come_by() {
        let token = |subject| Asker::Token { issuer: "https://a", subject };
        let addresses = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"];
        let [plain, mapped, one, other, network] = addresses
            .map(|text| Asker::Address(text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).bucket(3));
        assert_eq!((plain, one), (mapped, other));
        assert_ne!(one, network);
        assert_eq!(token("ada").bucket(3), token("ada").bucket(3));
        assert_ne!(token("ada").bucket(3), token("bob").bucket(3));
        assert_ne!(token("ada").bucket(3), Asker::Visitor("ada").bucket(3));
        assert_ne!(token("ada").bucket(3), token("ada").bucket(4));
        assert_eq!(Asker::Nobody.bucket(3), None);
    }
}

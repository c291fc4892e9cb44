//! Which release a call goes to: the active one, or during a rollout for some callers the one that is to be, or one of those that an
//! experiment compares.
//!
//! Rule: a caller goes to the same release as long as the step of the rollout is the same, on whatever connection and after a
//! restart, and goes back to the other only when the rollout is rolled back.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use weir_schema::rollout::{Bucket, Share, place};

use super::line::Offered;
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
    /// The releases that callers may stay on, once somebody has asked for one: to read them from the store for each call would take
    /// longer than the call. They change with the traffic only, which is then another value.
    offered: OnceLock<Offered>,
}

/// Some callers go elsewhere.
#[derive(Clone)]
pub(crate) struct Split {
    /// By its number callers are placed.
    pub(crate) rollout: u64,
    /// Where they go, and whose, one after the other. The candidate is the first.
    pub(crate) beside: Vec<(Arc<Release>, Share)>,
    /// Whether it is an experiment, whose callers are counted.
    pub(crate) is_experiment: bool,
}

/// Where a caller's calls go.
pub(crate) struct Routed<'a> {
    /// There.
    pub(crate) release: &'a Arc<Release>,
    /// The experiment that the caller takes part in, and as which variant of it: 0 is the active release.
    pub(crate) variant: Option<(u64, usize)>,
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
    pub(crate) fn split(self, split: Split) -> Self {
        Self { split: Some(split), ..self }
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

    /// The releases that callers may stay on, if they were asked for before.
    pub(super) fn offered(&self) -> &OnceLock<Offered> {
        &self.offered
    }

    /// The active release.
    pub fn active(&self) -> Option<&Arc<Release>> {
        self.active.as_ref()
    }

    /// Those to which some callers go.
    pub fn beside(&self) -> impl Iterator<Item = &Arc<Release>> {
        self.split.iter().flat_map(|split| split.beside.iter().map(|(release, _)| release))
    }

    /// Where a caller's calls go. Who asks is looked at during a rollout only.
    pub fn route<'a>(&self, asker: impl FnOnce() -> Asker<'a>) -> Option<&Arc<Release>> {
        Some(self.place(asker)?.release)
    }

    /// The same with the variant that the caller sees there.
    pub(crate) fn place<'a>(&self, asker: impl FnOnce() -> Asker<'a>) -> Option<Routed<'_>> {
        let active = Routed { release: self.active.as_ref()?, variant: None };
        let Some(split) = &self.split else { return Some(active) };
        let Some(bucket) = asker().bucket(split.rollout) else { return Some(active) };
        let found = place(split.beside.iter().map(|(_, share)| *share), bucket);
        let release = found.and_then(|found| split.beside.get(found)).map_or(active.release, |(release, _)| release);
        let variant = found.map_or(0, |found| found.saturating_add(1));
        Some(Routed { release, variant: split.is_experiment.then_some((split.rollout, variant)) })
    }

    /// Whether calls go to a release.
    pub(crate) fn goes_to(&self, release: &Release) -> bool {
        let shadow = self.shadow.as_ref().map(|shadow| shadow.candidate());
        let all = self.active.iter().chain(self.beside()).chain(shadow);
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

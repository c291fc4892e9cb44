//! How often a policy lets a caller call: its annotation `@rate("100/m burst 20")`.
//!
//! Cedar gives annotations no meaning, so what this one means is said here: a permit of calls may have it, and whoever enforces
//! rates counts the calls that the policy allows, for each caller. Where several permits allow a call, the one counts that is
//! the most generous; one without a rate is no limit.

use serde_json::Value as Json;
use weir_schema::rate::Rate;
use weir_schema::validate;

use super::action::Action;
use super::eval::Request;
use super::policies::{Actions, Effect, Policies};
use super::value::Uid;
use crate::call::Caller;
use crate::release::Release;

/// The annotation.
pub(super) const ANNOTATION: &str = "rate";

/// The rate of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRate {
    /// The policy, by its `@id`.
    pub policy: String,
    /// How often each caller may make calls that it allows.
    pub rate: Rate,
}

/// The rate that an annotation gives a policy, or what is wrong with that and what to write.
pub(super) fn read(text: &str, id: Option<&str>, effect: Effect, actions: Actions) -> Result<PolicyRate, String> {
    if effect == Effect::Forbid || !actions.iter().eq([Action::Call]) {
        return Err("@rate stands on a permit of Action::\"call\" alone: how often a call is allowed".to_owned());
    }
    let Some(policy) = id.filter(|id| !id.is_empty()) else {
        return Err("a policy with @rate needs an @id, by which it is known how often it was used".to_owned());
    };
    let rate = text.parse().map_err(|error| format!("@rate: {error}"))?;
    Ok(PolicyRate { policy: policy.to_owned(), rate })
}

impl Policies {
    /// How often they allow calls, policy by policy.
    fn rates(&self) -> impl Iterator<Item = &PolicyRate> {
        self.policies.iter().filter_map(|policy| policy.rate.as_ref())
    }

    /// The rate that counts for a call; `None` where no policy limits how often it is made, or it may not be made at all.
    pub(super) fn rate(&self, request: &Request<'_>) -> Option<&PolicyRate> {
        if !self.has_rate(&request.resource.uid) {
            return None;
        }
        let mut most: Option<&PolicyRate> = None;
        for policy in self.policies.iter().filter(|policy| policy.is_about(request)) {
            let is_no_more = |rate: &PolicyRate| most.is_some_and(|most| !is_more(rate.rate, most.rate));
            if policy.rate.as_ref().is_some_and(is_no_more) || !request.satisfies(&policy.condition) {
                continue;
            }
            match (policy.effect, &policy.rate) {
                (Effect::Forbid, _) | (Effect::Permit, None) => return None,
                (Effect::Permit, Some(rate)) => most = Some(rate),
            }
        }
        most
    }

    /// Whether a policy says how often a function is called. Most apps say that of few.
    fn has_rate(&self, function: &Uid) -> bool {
        self.policies.iter().any(|policy| policy.rate.is_some() && policy.resource.has(function))
    }
}

/// More in the same time, or as many and more at once.
fn is_more(one: Rate, other: Rate) -> bool {
    let order = other.interval().cmp(&one.interval());
    order.then(one.burst().cmp(&other.burst())).is_gt()
}

impl Release {
    /// How often its policies allow calls, policy by policy.
    pub fn policy_rates(&self) -> impl Iterator<Item = &PolicyRate> {
        self.policies().into_iter().flat_map(|policies| policies.rates())
    }

    /// The policy by whose rate a call counts: an endpoint's without arguments. One that cannot be made counts by none.
    pub fn rated_by(&self, caller: &Caller, function: &str, arguments: &Json) -> Option<&PolicyRate> {
        let policies = self.policies()?;
        let resource = policies.function(function);
        if !policies.has_rate(&resource.uid) {
            return None;
        }
        let principal = policies.principal(caller)?;
        let checked = match self.function(function) {
            Some((_, declared)) => {
                validate::arguments(declared, &self.declarations().definitions, arguments.clone()).ok()?
            }
            None => Json::Null,
        };
        let context = policies.call_context(function, &checked);
        policies.rate(&Request { principal: &principal, action: Action::Call, resource: &resource, context: &context })
    }
}

//! The limits that an app adds for each of its callers: `[rate]` of its `app.toml`, and what its policies say.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::limiter::Limiter;

/// Is told the name of each function that an operation calls.
pub type TakeName<'n> = &'n mut dyn FnMut(&str);

/// The limits of one release. Made by [`super::Rates::for_app`].
#[derive(Debug, Default)]
pub struct AppRates {
    pub(super) requests: Option<Limiter>,
    pub(super) cost: Option<Limiter>,
    pub(super) functions: HashMap<String, Limiter>,
    /// By the `@id` of the policy.
    pub(super) policies: HashMap<String, Limiter>,
}

impl AppRates {
    /// Whether policies say how often calls may be made.
    pub fn are_by_policy(&self) -> bool {
        !self.policies.is_empty()
    }
}

/// Those with a limit among the names that are told, and how often each is.
pub(super) fn called<'l>(
    limited: &'l HashMap<String, Limiter>,
    names: &dyn Fn(TakeName<'_>),
) -> impl Iterator<Item = (&'l str, &'l Limiter, NonZeroU32)> + use<'l> {
    let mut called: Vec<(&str, &Limiter, NonZeroU32)> = Vec::new();
    if !limited.is_empty() {
        names(&mut |name| {
            let Some((name, limiter)) = limited.get_key_value(name) else { return };
            let name = name.as_str();
            match called.iter_mut().find(|(known, ..)| *known == name) {
                Some((.., many)) => *many = many.saturating_add(1),
                None => called.push((name, limiter, NonZeroU32::MIN)),
            }
        });
    }
    called.into_iter()
}

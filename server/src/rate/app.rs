//! The limits that an app adds for each of its callers: `[rate]` of its `app.toml`.

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
}

impl AppRates {
    /// The functions with a limit among those that an operation calls, and how often it calls each.
    pub(super) fn called(
        &self,
        functions: &dyn Fn(TakeName<'_>),
    ) -> impl Iterator<Item = (&str, &Limiter, NonZeroU32)> {
        let mut called: Vec<(&str, &Limiter, NonZeroU32)> = Vec::new();
        if !self.functions.is_empty() {
            functions(&mut |name| {
                let Some((name, limiter)) = self.functions.get_key_value(name) else { return };
                let name = name.as_str();
                match called.iter_mut().find(|(known, ..)| *known == name) {
                    Some((.., many)) => *many = many.saturating_add(1),
                    None => called.push((name, limiter, NonZeroU32::MIN)),
                }
            });
        }
        called.into_iter()
    }
}

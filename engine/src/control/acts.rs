//! Acts that change nothing in the store and are to be known all the same: copies that were made of it, keys that were used.

use super::{Actor, Changed, ControlError, change};
use weir_schema::codec::audit::Person;
use weir_store::Store;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What kind of act it was.
    pub action: &'static str,
    /// On what.
    pub targets: Vec<String>,
    /// On whom, if on a person.
    pub about: Option<Person>,
}

impl Act {
    /// One that is about nobody.
    pub fn on(action: &'static str, targets: impl IntoIterator<Item = String>) -> Self {
        Self { action, targets: targets.into_iter().collect(), about: None }
    }
}

/// Has it on record that something was done.
pub async fn record(store: &Store, actor: &Actor, act: &Act) -> Result<(), ControlError> {
    let Act { action, targets, about } = act;
    change(store, actor, |_| Ok(Changed { about: about.clone(), ..Changed::new((), action, targets.clone()) })).await
}

//! The engine: one store, the active release, the calls.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use crate::call::{Answer, Call, CallError, Caller};
use crate::live::Watch;
use crate::release::Release;

/// Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// The active release, and every one that replaces it. `None` until the first is activated.
    pub fn releases(&self) -> watch::Receiver<Option<Arc<Release>>> {
        unimplemented!()
    }

    /// Calls a function of a release. Queries and views read one snapshot; procedures commit before they answer.
    pub async fn call(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
    ) -> Result<Answer, CallError> {
        let _ = (release, caller, function, arguments);
        unimplemented!()
    }

    /// Calls many procedures: in one transaction, all or none, if `atomic`; each in its own otherwise.
    ///
    /// There is one outcome per call, in order. In a failed atomic batch the failing call has its error and all others
    /// `ROLLED_BACK`.
    pub async fn batch(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        calls: Vec<Call>,
        atomic: bool,
    ) -> Vec<Result<Answer, CallError>> {
        let _ = (release, caller, calls, atomic);
        unimplemented!()
    }

    /// Watches a query or view: its value now, and again after each commit that changes it.
    ///
    /// With `after`, a cursor of an earlier emission, the first value is left out if it has not changed since.
    pub fn watch(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
        after: Option<String>,
    ) -> Watch {
        let _ = (release, caller, function, arguments, after);
        unimplemented!()
    }
}

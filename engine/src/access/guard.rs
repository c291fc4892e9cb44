//! What binds one run: the policies of its release, who called, and the function that was called.
//!
//! Rule: what a function calls is its own affair. `call` is decided once, for the function that the caller named; documents that
//! it reads and writes, also through others, are decided with the same caller and the same function. So a policy may give a
//! function more than its callers have.

use std::sync::Arc;

use serde_json::Value as Json;
use weir_sandbox::protocol::Observed;
use weir_schema::error::ErrorCode;

use super::action::Action;
use super::eval::{Entity, Request};
use super::policies::Policies;
use super::rows::RowRules;
use crate::call::{CallError, Caller};

/// The policies as they bind one call.
#[derive(Clone)]
pub(crate) struct Guard {
    policies: Arc<Policies>,
    /// `None`: who may do everything.
    principal: Option<Arc<Entity>>,
    /// The name of the function that was called.
    function: Arc<str>,
}

impl Guard {
    pub(crate) fn new(policies: &Arc<Policies>, caller: &Caller, function: &str) -> Self {
        let principal = policies.principal(caller).map(Arc::new);
        Self { policies: policies.clone(), principal, function: function.into() }
    }

    /// Whether the caller may make the call.
    pub(crate) fn check_call(&self, arguments: &Json) -> Result<(), CallError> {
        let Some(principal) = &self.principal else { return Ok(()) };
        let (function, context) =
            (self.policies.function(&self.function), self.policies.call_context(&self.function, arguments));
        let request = Request { principal, action: Action::Call, resource: &function, context: &context };
        if self.policies.allow(&request) {
            return Ok(());
        }
        let message = format!("the caller may not call {}", self.function);
        Err(CallError::new(ErrorCode::Forbidden, message))
    }

    /// The function that was called.
    pub(crate) fn function(&self) -> &Arc<str> {
        &self.function
    }

    /// Whether there are callers who may do less.
    pub(crate) fn binds(&self) -> bool {
        self.principal.is_some()
    }

    /// The rules of a collection; `None` where all is allowed.
    pub(crate) fn rules(&self, collection: &str) -> Option<Arc<RowRules>> {
        self.policies.rules(self.principal.as_ref()?, &self.function, collection)
    }

    /// What a run has looked at of its caller that reads a collection, whoever it is.
    pub(crate) fn observed(&self, collection: &str) -> &[Observed] {
        self.policies.observed(collection)
    }
}

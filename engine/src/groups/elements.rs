//! Elements that are in no contribution: read from their documents, as of the commit that a view has reached.

use serde_json::Value;
use weir_schema::limits::{CallLimits, Limit};
use weir_schema::size::json_bytes;
use weir_store::{Head, Past, Store};

use super::Located;
use crate::call::CallError;

/// Reads elements of one collection at one commit.
pub(super) struct Elements<'a> {
    collection: &'a str,
    /// The members that lead from a document to its elements.
    lists: &'a [String],
    store: &'a Store,
    head: Head,
    /// Once something has been read.
    past: Option<Past>,
    limits: &'a CallLimits,
    /// How long everything that has been read is as JSON text, in bytes.
    bytes: usize,
}

impl<'a> Elements<'a> {
    /// Reads no more than a result may have.
    pub(super) fn new(
        collection: &'a str,
        lists: &'a [String],
        (store, head): (&'a Store, Head),
        limits: &'a CallLimits,
    ) -> Self {
        Self { collection, lists, store, head, past: None, limits, bytes: 0 }
    }

    /// The element, or the document where there are no lists.
    pub(super) fn read(&mut self, located: &Located) -> Result<Value, CallError> {
        let past = match &mut self.past {
            Some(past) => past,
            None => self.past.insert(self.store.at(self.head.timestamp).map_err(CallError::unavailable)?),
        };
        let text = past.get(self.collection, &located.document).map_err(CallError::unavailable)?.unwrap_or_default();
        let mut value: Value = serde_json::from_slice(&text).map_err(CallError::unavailable)?;
        for (list, index) in self.lists.iter().zip(&located.at) {
            let element = value.get_mut(list).and_then(|list| list.get_mut(*index)).map(Value::take);
            value = element.ok_or_else(|| CallError::unavailable("an element of a view is not in its document"))?;
        }
        self.count(if self.lists.is_empty() { text.len() } else { json_bytes(&value) })?;
        Ok(value)
    }

    /// A value that is kept as JSON text.
    pub(super) fn parse(&mut self, text: &str) -> Result<Value, CallError> {
        self.count(text.len())?;
        // The guest wrote it, so that nothing is wrong with it but how deep it nests.
        serde_json::from_str(text).map_err(|_| CallError::limit(Limit::ResultDepth, self.limits.result_depth))
    }

    fn count(&mut self, bytes: usize) -> Result<(), CallError> {
        self.bytes = self.bytes.saturating_add(bytes);
        let allowed = self.limits.result_bytes;
        if self.bytes > allowed { Err(CallError::limit(Limit::ResultBytes, allowed)) } else { Ok(()) }
    }
}

//! Elements that are in no contribution: read from their documents, as of the commit that a view has reached.

use serde_json::Value;
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
}

impl<'a> Elements<'a> {
    pub(super) fn new(collection: &'a str, lists: &'a [String], store: &'a Store, head: Head) -> Self {
        Self { collection, lists, store, head, past: None }
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
        Ok(value)
    }
}

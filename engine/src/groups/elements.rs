//! Elements that are in no contribution: read from their documents, as of the commit that a view has reached.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_schema::id::DocumentId;
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
    /// How long everything is that has been given, as JSON text, in bytes.
    bytes: usize,
    /// How long all documents are that have been read.
    read: usize,
    /// Documents of which another element may be asked for, and how long they are.
    documents: HashMap<DocumentId, Value>,
    at_hand: usize,
    deadline: Instant,
}

impl<'a> Elements<'a> {
    /// Reads no more than a result may have.
    pub(super) fn new(
        collection: &'a str,
        lists: &'a [String],
        (store, head): (&'a Store, Head),
        limits: &'a CallLimits,
    ) -> Self {
        let deadline = Instant::now() + Duration::from_millis(limits.wall_ms);
        let (past, documents) = (None, HashMap::new());
        Self { collection, lists, store, head, past, limits, bytes: 0, read: 0, documents, at_hand: 0, deadline }
    }

    /// The element, or the document where there are no lists.
    pub(super) fn read(&mut self, located: &Located) -> Result<Value, CallError> {
        if self.lists.is_empty() {
            let (value, bytes) = self.document(&located.document)?;
            self.count(bytes)?;
            return Ok(value);
        }
        if !self.documents.contains_key(&located.document) {
            let (value, bytes) = self.document(&located.document)?;
            if self.at_hand > self.limits.result_bytes {
                self.documents.clear();
                self.at_hand = 0;
            }
            self.at_hand += bytes;
            self.documents.insert(located.document.clone(), value);
        }
        let mut element = self.documents.get(&located.document);
        for (list, index) in self.lists.iter().zip(&located.at) {
            element = element.and_then(|element| element.get(list)?.get(*index));
        }
        let missing = || CallError::unavailable("an element of a view is not in its document");
        let element = element.cloned().ok_or_else(missing)?;
        self.count(json_bytes(&element))?;
        Ok(element)
    }

    /// A document, and how long it is.
    fn document(&mut self, id: &DocumentId) -> Result<(Value, usize), CallError> {
        let past = match &mut self.past {
            Some(past) => past,
            None => self.past.insert(self.store.at(self.head.timestamp).map_err(CallError::unavailable)?),
        };
        let text = past.get(self.collection, id).map_err(CallError::unavailable)?.unwrap_or_default();
        self.read = self.read.saturating_add(text.len());
        if self.read > self.limits.read_bytes {
            return Err(CallError::limit(Limit::ReadBytes, self.limits.read_bytes));
        }
        if Instant::now() > self.deadline {
            return Err(CallError::limit(Limit::Wall, self.limits.wall_ms));
        }
        Ok((serde_json::from_slice(&text).map_err(CallError::unavailable)?, text.len()))
    }

    /// A value that is kept as JSON text.
    pub(super) fn parse(&mut self, text: &str) -> Result<Value, CallError> {
        self.count(text.len())?;
        // The guest wrote it, so that nothing is wrong with it but how deep it nests.
        serde_json::from_str(text).map_err(|_| CallError::limit(Limit::ResultDepth, self.limits.result_depth))
    }

    /// Something is part of what is given.
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), CallError> {
        self.bytes = self.bytes.saturating_add(bytes);
        let allowed = self.limits.result_bytes;
        if self.bytes > allowed { Err(CallError::limit(Limit::ResultBytes, allowed)) } else { Ok(()) }
    }
}

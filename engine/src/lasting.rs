//! What goes on for longer than a call: watched queries, lists that are taken piece by piece, streams.

use std::sync::Arc;

use serde_json::Value;

use crate::call::{CallError, Caller};
use crate::engine::Engine;
use crate::lines::{self, Elements};
use crate::live::Watch;
use crate::places::{Place, Places};
use crate::release::Release;
use crate::streams::Stream;

impl Engine {
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
        Watch::new(self, release, caller, function, arguments, after)
    }

    /// Calls a query or view whose result is a list, for a caller who takes it piece by piece.
    pub async fn elements(
        &self,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
    ) -> Result<Elements, CallError> {
        lines::elements(self, release, caller, function, arguments).await
    }

    /// A place for one more `what` of this caller, on this connection.
    pub fn place(&self, places: &Places, caller: &Caller, what: &str) -> Result<Place, CallError> {
        places.take(self.origin().share(caller)).ok_or_else(|| CallError::no_place(what))
    }

    /// A place for one more stream of this caller.
    pub fn stream_place(&self, caller: &Caller) -> Result<Place, CallError> {
        self.place(self.stream_places(), caller, "streams")
    }

    /// Starts a stream, which reads the state of now to its end.
    pub fn stream(
        &self,
        place: Place,
        release: &Arc<Release>,
        caller: &Caller,
        function: &str,
        arguments: Value,
    ) -> Result<Stream, CallError> {
        Stream::start(self, place, release, caller, function, arguments)
    }
}

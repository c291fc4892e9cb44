//! Views that a function reads by calling them: from what is kept, or computed on the way and then kept for others too.
//!
//! A view gives the same whoever computes it: its arguments and its result pass through their declared types here, as they do
//! where a client asks.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use weir_sandbox::protocol::HostError;
use weir_schema::declarations::FunctionKind;
use weir_store::ReadSet;

use crate::content::Content;
use crate::host::RunHost;
use crate::results::key::{Claims, Looked, QueryKey};
use crate::results::{ViewRead, ViewRun, ViewSource};
use crate::run::{self, Prepared};

/// Of so many views a run may know what they gave; those that it reads after these count as part of itself.
const VIEWS_MAX: usize = 256;

/// The views that a run has read.
#[derive(Default)]
pub(crate) struct Views {
    /// Those that are being computed, the innermost last.
    open: Vec<Open>,
    /// Those that gave a result, each after those that it has read itself.
    ended: Vec<ViewRead<Arc<Prepared>>>,
    /// Where among these a question is, and what of the caller its result depends on.
    places: HashMap<QueryKey, (usize, Claims)>,
    /// Those that what runs at the moment has read.
    read: Vec<usize>,
    /// How many bytes of JSON text the results have that were computed on the way.
    bytes: usize,
}

/// A view that is being computed.
struct Open {
    view: Arc<Prepared>,
    begun: Instant,
    /// What its caller had read and looked at; `None` where the view counts as part of its caller.
    caller: Option<CallerReads>,
}

struct CallerReads {
    reads: ReadSet,
    looked: Looked,
    read: Vec<usize>,
}

impl Views {
    /// All of them, and which of them the function itself has read.
    pub(crate) fn end(self) -> (Vec<ViewRead<Arc<Prepared>>>, Vec<usize>) {
        (self.ended, self.read)
    }

    fn add(&mut self, view: Arc<Prepared>, content: Arc<Content>, claims: Claims, source: ViewSource) {
        let key = view.key();
        self.places.insert(key.clone(), (self.ended.len(), claims));
        self.note(self.ended.len());
        self.ended.push(ViewRead { key, sponsor: view, content, source });
    }

    fn note(&mut self, place: usize) {
        if !self.read.contains(&place) {
            self.read.push(place);
        }
    }
}

impl RunHost {
    /// A view is called.
    pub(crate) fn enter_view(&mut self, function: &str, args: Value) -> Result<String, HostError> {
        let args = if args.is_null() { Value::Object(Map::new()) } else { args };
        let view = Prepared::new(&self.release, &self.caller, function, args);
        let view = view.map_err(|error| HostError::Refused(error.message))?;
        if view.function().map_or(true, |function| function.kind != FunctionKind::View) {
            return Err(HostError::Refused(format!("{function} is not a view")));
        }
        let view = Arc::new(view);
        let answer = match self.kept_result(&view) {
            Some(content) => return Ok(format!("{{\"result\":{}}}", content.value())),
            None => format!("{{\"args\":{}}}", view.arguments),
        };
        let caller = self.is_apart(&view).then(|| self.set_apart());
        self.views.open.push(Open { view, begun: Instant::now(), caller });
        Ok(answer)
    }

    /// The view that was called last has returned this.
    pub(crate) fn leave_view(&mut self, value: Value) -> Result<String, HostError> {
        let Some(Open { view, begun, caller }) = self.views.open.pop() else { return Err(no_view()) };
        let checked = view.function().and_then(|function| run::check_value(&self.release, function, value));
        let value = match checked {
            Ok(value) => value,
            Err(error) => {
                self.rejoin(caller);
                return Err(HostError::Refused(error.message));
            }
        };
        let (text, content) = (value.to_string(), Arc::new(Content::from(value)));
        let Some(caller) = caller else { return Ok(text) };
        let bytes = self.views.bytes + text.len();
        if self.looked.is_volatile || bytes > self.release.limits().result_bytes {
            self.rejoin(Some(caller));
            return Ok(text);
        }
        let looked = mem::replace(&mut self.looked, caller.looked);
        self.looked.and(looked);
        let read = mem::replace(&mut self.views.read, caller.read);
        let reads = self.transaction()?.swap_read_set(caller.reads);
        self.views.bytes = bytes;
        let run = ViewRun { reads, read, looked, cost: begun.elapsed() };
        self.views.add(view, content, looked.claims, ViewSource::Run(run));
        Ok(text)
    }

    /// The view that was called last has thrown an error.
    pub(crate) fn fail_view(&mut self) -> Result<String, HostError> {
        let Some(Open { caller, .. }) = self.views.open.pop() else { return Err(no_view()) };
        self.rejoin(caller);
        Ok("null".to_owned())
    }

    /// Whether a view can have a result of its own here: on the state that the run sees, and nothing else.
    fn is_apart(&self, view: &Prepared) -> bool {
        let reads = matches!(self.kind, FunctionKind::Query | FunctionKind::View);
        reads && self.transaction.is_some() && !view.is_timed() && self.views.ended.len() < VIEWS_MAX
    }

    /// What a view gives on the state that the run sees, if that is known.
    fn kept_result(&mut self, view: &Arc<Prepared>) -> Option<Arc<Content>> {
        if !self.is_apart(view) {
            return None;
        }
        let (key, head) = (view.key(), self.transaction.as_ref()?.head());
        if let Some((place, claims)) = self.views.places.get(&key).copied() {
            self.views.note(place);
            self.looked.and(Looked { claims, is_volatile: false });
            return Some(self.views.ended.get(place)?.content.clone());
        }
        let Some(kept) = self.engine.kept_view(&key, &self.caller.in_script(), head.sequence) else {
            return self.maintained(view, head.sequence);
        };
        self.looked.and(Looked { claims: kept.claims, is_volatile: false });
        self.views.add(view.clone(), kept.content.clone(), kept.claims, ViewSource::Kept(kept.id));
        Some(kept.content)
    }

    /// What a maintained view gives as of a commit, if that can be told without reading all documents.
    fn maintained(&mut self, view: &Arc<Prepared>, sequence: u64) -> Option<Arc<Content>> {
        let (release, begun) = (self.release.clone(), Instant::now());
        let (maintained, store) = (release.groups(view.index)?, self.engine.store());
        // An error is told by the function itself.
        let value = maintained.rows_as_of(store, &release, &view.arguments, sequence)?.ok()?;
        let (reads, looked) = (store.reads_of(maintained.collection()), Looked::default());
        let run = ViewRun { reads, read: Vec::new(), looked, cost: begun.elapsed() };
        let content = Arc::new(Content::from(value));
        self.views.add(view.clone(), content.clone(), looked.claims, ViewSource::Run(run));
        Some(content)
    }

    /// From here on what is read belongs to a view.
    fn set_apart(&mut self) -> CallerReads {
        let reads = self.transaction.as_mut().map(|transaction| transaction.swap_read_set(ReadSet::default()));
        let (looked, read) = (mem::take(&mut self.looked), mem::take(&mut self.views.read));
        CallerReads { reads: reads.unwrap_or_default(), looked, read }
    }

    /// What a view has read counts as read by its caller.
    fn rejoin(&mut self, caller: Option<CallerReads>) {
        let Some(CallerReads { reads, looked, read }) = caller else { return };
        if let Some(transaction) = &mut self.transaction {
            let of_view = transaction.swap_read_set(reads);
            transaction.merge_read_set(of_view);
        }
        self.looked.and(looked);
        for place in mem::replace(&mut self.views.read, read) {
            self.views.note(place);
        }
    }
}

fn no_view() -> HostError {
    HostError::Refused("no view is being computed".to_owned())
}

//! Views that a function reads by calling them: from what is kept, or computed on the way and then kept for others too.
//!
//! A view gives the same whoever computes it: its arguments and its result pass through their declared types here, as they do
//! where a client asks.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use weir_sandbox::protocol::{HostError, Observed};
use weir_schema::declarations::FunctionKind;
use weir_store::{ReadSet, Transaction};

use crate::access::hidden::Hidden;
use crate::content::Content;
use crate::groups::view::AsOf;
use crate::host::RunHost;
use crate::results::key::{Claims, Looked, QueryKey};
use crate::results::{ViewRead, ViewRun, ViewSource};
use crate::run::{self, Prepared};

/// How a maintained view answers a run.
enum Maintained {
    /// With this.
    Known(Arc<Content>),
    /// It has to be computed as part of the run.
    Unknown,
    /// Not as of the commit that the run sees: another run may do better.
    Missed,
}

/// Of so many views a run may know what they gave; those that it reads after these count as part of itself.
const VIEWS_MAX: usize = 256;

/// The views that a run has read.
#[derive(Default)]
pub(crate) struct Views {
    /// Whether they can have results of their own: what the run gives is kept, and it sees the state of one commit alone.
    are_apart: bool,
    /// Whether the run rather ends than computes a maintained view from all documents.
    patience: bool,
    /// Those that are being computed, the innermost last.
    open: Vec<Open>,
    /// How many have been computed.
    opened: u64,
    /// Those that gave a result, each after those that it has read itself.
    ended: Vec<ViewRead<Arc<Prepared>>>,
    /// Where among these a question is, and what of the caller its result depends on.
    places: HashMap<QueryKey, (usize, Claims)>,
    /// Those that what runs at the moment has read.
    read: Vec<usize>,
    /// How many bytes of JSON text the questions and the results have.
    bytes: usize,
    /// Whether a script has left one without a word.
    has_lost: bool,
}

/// A view that is being computed.
struct Open {
    number: u64,
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
    /// Those of a run whose result is kept.
    pub(crate) fn apart(patience: bool) -> Self {
        Self { are_apart: true, patience, ..Self::default() }
    }

    /// Whether one is being computed.
    pub(crate) fn is_inside(&self) -> bool {
        !self.open.is_empty()
    }

    /// All of them, and which of them the function itself has read.
    pub(crate) fn end(self) -> (Vec<ViewRead<Arc<Prepared>>>, Vec<usize>) {
        (self.ended, self.read)
    }

    fn add(&mut self, view: &Arc<Prepared>, content: Arc<Content>, claims: Claims, source: ViewSource) {
        let key = view.key();
        self.bytes = self.bytes.saturating_add(key.arguments.len()).saturating_add(content.bytes());
        self.places.insert(key.clone(), (self.ended.len(), claims));
        self.note(self.ended.len());
        self.ended.push(ViewRead { key, sponsor: view.clone(), content, source });
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
        let view = Prepared::undecided(&self.release, &self.caller, function, args);
        let view = view.map_err(|error| HostError::Refused(error.message))?;
        if view.function().map_or(true, |function| function.kind != FunctionKind::View) {
            return Err(HostError::Refused(format!("{function} is not a view")));
        }
        let deep = self.release.limits().call_depth as usize;
        if self.views.open.len() >= deep {
            return Err(HostError::Refused(format!("views nest more than {deep} deep")));
        }
        let view = Arc::new(view);
        if let Some(content) = self.known_result(&view)? {
            return Ok(format!("{{\"result\":{}}}", content.value()));
        }
        let caller = self.has_room(&view, 0).then(|| self.set_apart());
        self.views.opened += 1;
        let number = self.views.opened;
        let answer = format!("{{\"number\":{number},\"args\":{}}}", view.arguments);
        self.views.open.push(Open { number, view, begun: Instant::now(), caller });
        Ok(answer)
    }

    /// A view has returned this.
    pub(crate) fn leave_view(&mut self, number: u64, value: Value) -> Result<String, HostError> {
        let Open { view, begun, caller, .. } = self.close(number)?;
        let checked = view.function().and_then(|function| {
            run::check_value(&self.release, function, value, &Hidden::default()).map(|given| given.value)
        });
        let value = match checked {
            Ok(value) => value,
            Err(error) => {
                self.rejoin(caller);
                return Err(HostError::Refused(error.message));
            }
        };
        let (text, content) = (value.to_string(), Arc::new(Content::from(value)));
        let has_room = self.has_room(&view, content.bytes());
        let caller = match caller {
            Some(caller) if has_room && !self.looked.is_volatile => caller,
            caller => {
                self.rejoin(caller);
                return Ok(text);
            }
        };
        // Here, where nobody waits for it.
        content.digest();
        let looked = mem::replace(&mut self.looked, caller.looked);
        self.looked.and(looked);
        let read = mem::replace(&mut self.views.read, caller.read);
        let reads = self.transaction()?.swap_read_set(caller.reads);
        self.engine.keeping().note_run(self.release.number(), view.index, None);
        let run = ViewRun { reads, read, looked, cost: begun.elapsed() };
        self.views.add(&view, content, looked.claims, ViewSource::Run(run));
        Ok(text)
    }

    /// A view has thrown an error.
    pub(crate) fn fail_view(&mut self, number: u64) -> Result<String, HostError> {
        let Open { caller, .. } = self.close(number)?;
        self.rejoin(caller);
        Ok("null".to_owned())
    }

    /// What the views that are being computed have read counts as read by the function itself: what they give depends on more
    /// than that, or will not be known.
    pub(crate) fn fold_views(&mut self) {
        for place in (0..self.views.open.len()).rev() {
            let caller = self.views.open.get_mut(place).and_then(|open| open.caller.take());
            self.rejoin(caller);
        }
    }

    /// Ends a view, and those inside of it that a script has left without a word: where its stack was full.
    fn close(&mut self, number: u64) -> Result<Open, HostError> {
        if self.views.open.iter().all(|open| open.number != number) {
            return Err(HostError::Refused("this view is not being computed".to_owned()));
        }
        loop {
            match self.views.open.pop() {
                Some(open) if open.number == number => return Ok(open),
                Some(Open { caller, .. }) => {
                    self.views.has_lost = true;
                    self.rejoin(caller);
                }
                None => return Err(HostError::Refused("this view is not being computed".to_owned())),
            }
        }
    }

    /// Whether a script has left a view without a word, or is about to. What it has read since may be more than its caller may
    /// read.
    pub(crate) fn has_lost_a_view(&self) -> bool {
        let is_bound = self.guard.as_ref().is_some_and(|guard| guard.binds()) && self.kind != FunctionKind::View;
        is_bound && (self.views.has_lost || self.views.is_inside())
    }

    /// Where a view was left without a word, what comes of it depends on whether the caller may read all.
    pub(crate) fn note_lost_view(&mut self) {
        if self.guard.is_some() && self.kind != FunctionKind::View && (self.views.has_lost || self.views.is_inside()) {
            self.looked.at(Observed::Kind);
            self.looked.at(Observed::Issuer);
        }
    }

    /// Whether a view can have a result of its own here, with so many bytes in it.
    fn has_room(&self, view: &Prepared, result: usize) -> bool {
        let bytes = self.views.bytes.saturating_add(view.arguments.len()).saturating_add(result);
        let has_room = self.views.ended.len() < VIEWS_MAX && bytes <= self.release.limits().result_bytes;
        self.views.are_apart && has_room && !view.is_timed()
    }

    /// What a view gives on the state that the run sees, if that is known.
    fn known_result(&mut self, view: &Arc<Prepared>) -> Result<Option<Arc<Content>>, HostError> {
        let Some(head) = self.transaction.as_ref().map(Transaction::head) else { return Ok(None) };
        let key = view.key();
        if let Some((place, claims)) = self.views.places.get(&key).copied() {
            self.views.note(place);
            self.looked.and(Looked { claims, is_volatile: false });
            return Ok(self.views.ended.get(place).map(|view| view.content.clone()));
        }
        if !self.has_room(view, 0) {
            return Ok(None);
        }
        let Some(kept) = self.engine.kept_view(&key, view.seen(), head.sequence) else {
            return match self.maintained(view, head.sequence) {
                Maintained::Known(content) => Ok(Some(content)),
                Maintained::Unknown => Ok(None),
                Maintained::Missed if !self.views.patience => Ok(None),
                Maintained::Missed => Err(self.abort_behind()),
            };
        };
        self.looked.and(Looked { claims: kept.claims, is_volatile: false });
        self.views.add(view, kept.content.clone(), kept.claims, ViewSource::Kept(kept.id));
        Ok(Some(kept.content))
    }

    /// What a maintained view gives as of a commit, if that can be told without reading all documents.
    fn maintained(&mut self, view: &Arc<Prepared>, sequence: u64) -> Maintained {
        let (release, begun) = (self.release.clone(), Instant::now());
        let Some(maintained) = release.groups(view.index) else { return Maintained::Unknown };
        release.note_call(&self.function, maintained);
        let store = self.engine.store();
        let value = match maintained.rows_as_of(store, &release, &view.arguments, sequence) {
            AsOf::Rows(Ok(value)) => value,
            // An error is told by the function itself.
            AsOf::Rows(Err(_)) | AsOf::Unkept => return Maintained::Unknown,
            AsOf::Missed => return Maintained::Missed,
        };
        let reads = store.reads_of(maintained.collection());
        let content = Arc::new(Content::from(value));
        if self.has_room(view, content.bytes()) {
            content.digest();
            let looked = Looked::default();
            let run = ViewRun { reads, read: Vec::new(), looked, cost: begun.elapsed() };
            self.views.add(view, content.clone(), looked.claims, ViewSource::Run(run));
        } else {
            match &mut self.transaction {
                Some(transaction) => transaction.merge_read_set(reads),
                None => return Maintained::Unknown,
            }
        }
        Maintained::Known(content)
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

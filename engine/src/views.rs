//! What is kept of views, told and changed from outside: `weir views`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use weir_schema::commit::Timestamp;
use weir_schema::declarations::{Function, FunctionKind, Keep};
use weir_schema::digest::Digest;
use weir_store::{KeptKey, Poisoned, Store};

use crate::call::{CallError, Caller};
use crate::engine::Engine;
use crate::groups::view::GroupView;
use crate::keep::contributions::{self, AsOf};
use crate::keep::record::Record;
use crate::release::Release;
use crate::results::timed::Timing;
use crate::run::Prepared;

/// Bytes of records that are read together.
const PAGE_BYTES: usize = 4 << 20;

/// How a view is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewStatus {
    /// The view.
    pub name: String,
    /// How it is kept: `groups`, `index`, `eager`, `onDemand`, `every 300000 ms`, `cron 0 * * * *`; empty where nobody serves it.
    pub policy: String,
    /// What there is of it.
    pub state: ViewState,
    /// While it is being built: how many documents have been read.
    pub documents: Option<u64>,
    /// And of how many, as far as that is known.
    pub documents_total: Option<u64>,
    /// Why it fails, or why it is computed from all documents each time.
    pub error: Option<String>,
    /// The commit that what is kept is as of; of all results the one that was computed last.
    #[serde(with = "decimal")]
    pub commit: Option<Timestamp>,
    /// How long ago it was computed, in milliseconds, where that is told with it; how long ago it was written, where nobody
    /// serves it.
    pub age_ms: Option<u64>,
    /// Rows of a view of groups, entries of a sorted one; of others the results that are kept, one for each question and class of callers.
    pub rows: u64,
    /// How much memory these take, about, in bytes.
    pub bytes: u64,
    /// Records in the store.
    pub stored: u64,
    /// Their bytes; of those of documents only where nobody serves it.
    pub stored_bytes: u64,
    /// How often its function has run since the server started; of one of documents how often all of these were read.
    pub runs: u64,
}

/// What there is of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ViewState {
    /// What is kept is good.
    Current,
    /// Nothing is kept.
    Empty,
    /// All documents are being read.
    Building,
    /// What is kept is not good any more, and is being computed.
    Stale,
    /// The last run has failed.
    Failing,
    /// It is in the store, and nobody serves it.
    Stored,
}

impl ViewState {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Empty => "empty",
            Self::Building => "building",
            Self::Stale => "stale",
            Self::Failing => "failing",
            Self::Stored => "stored",
        }
    }
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// There is no such view.
    #[error("there is no view {0:?}: see weir views status")]
    Unknown(String),
    /// No release is active.
    #[error("no release is active yet: see the log of the server")]
    NoRelease,
    /// Another release has become active.
    #[error("another release has become active meanwhile: try again")]
    Replaced,
    /// It was tried.
    #[error("{name} fails: {error}")]
    Failed {
        /// The view.
        name: String,
        /// Why.
        error: Box<CallError>,
    },
    /// The store has stopped.
    #[error(transparent)]
    Unavailable(#[from] Poisoned),
}

impl Engine {
    /// How the views of the active release are, in the order of declaration.
    pub fn views(&self) -> Result<Vec<ViewStatus>, ViewError> {
        let release = self.active()?;
        let functions = release.declarations().functions.values().enumerate();
        let views = functions.filter(|(_, function)| function.kind == FunctionKind::View);
        views.map(|(index, function)| self.view(&release, index, function)).collect()
    }

    /// Computes a view now, whatever there is of it, and waits for that. One that needs arguments is forgotten only.
    pub async fn refresh_view(&self, name: &str) -> Result<ViewStatus, ViewError> {
        let (release, index) = self.find_view(name)?;
        match release.groups(index) {
            Some(view) => {
                let mut active = self.releases();
                let is_other =
                    |active: &Option<Arc<Release>>| active.as_ref().is_none_or(|it| it.number() != release.number());
                tokio::select! {
                    () = view.rebuilt() => {}
                    _ = active.wait_for(is_other) => return Err(ViewError::Replaced),
                }
            }
            None => {
                self.compute(&release, index, name).await?;
            }
        }
        self.view_named(&release, index)
    }

    /// Forgets what is kept of a view, in memory and in the store. What is computed without being asked for is computed again.
    pub async fn drop_view(&self, name: &str) -> Result<ViewStatus, ViewError> {
        let (release, index) = self.find_view(name)?;
        if let Some(code) = release.code(index) {
            self.keeping().remove_groups(self, release.number(), &code).await?;
        }
        self.forget_results(&release, index);
        self.keeping().remove_results(self, name).await?;
        if let Some(view) = release.groups(index) {
            view.rebuild();
        }
        self.view_named(&release, index)
    }

    fn active(&self) -> Result<Arc<Release>, ViewError> {
        self.releases().borrow().clone().ok_or(ViewError::NoRelease)
    }

    fn find_view(&self, name: &str) -> Result<(Arc<Release>, usize), ViewError> {
        let release = self.active()?;
        let found = release.function(name).filter(|(_, function)| function.kind == FunctionKind::View);
        let index = found.map(|(index, _)| index).ok_or_else(|| ViewError::Unknown(name.to_owned()))?;
        Ok((release, index))
    }

    /// Forgets the results of a view and runs it for nobody in particular, if it can be.
    async fn compute(&self, release: &Arc<Release>, index: usize, name: &str) -> Result<(), ViewError> {
        let query = Prepared::new(release, &Caller::Scheduler, name, json!({}));
        let engine = self.for_upkeep();
        let computed = match query.as_ref().map(|query| (query, query.timing())) {
            // It is served until there is another.
            Ok((query, Some(timing @ Timing::Cron(_)))) => {
                self.forget_asked(release, index);
                engine.run_scheduled(query, &timing).await.map(drop)
            }
            Ok((query, _)) => {
                self.forget_results(release, index);
                engine.read(query).await.map(drop)
            }
            // It needs arguments.
            Err(_) => {
                self.forget_results(release, index);
                Ok(())
            }
        };
        computed.map_err(|error| ViewError::Failed { name: name.to_owned(), error: Box::new(error) })
    }

    fn view_named(&self, release: &Release, index: usize) -> Result<ViewStatus, ViewError> {
        let function = release.declarations().callable(index).ok_or(ViewError::Replaced)?;
        self.view(release, index, function)
    }

    fn view(&self, release: &Release, index: usize, function: &Function) -> Result<ViewStatus, ViewError> {
        let (stored, stored_bytes) = self.keeping().stored_of(&function.name);
        let runs = self.keeping().runs(release.number(), index);
        let status = ViewStatus {
            name: function.name.clone(),
            policy: policy(function),
            state: ViewState::Empty,
            documents: None,
            documents_total: None,
            error: runs.error.as_ref().map(shortened),
            commit: None,
            age_ms: None,
            rows: 0,
            bytes: 0,
            stored: stored as u64,
            stored_bytes: stored_bytes as u64,
            runs: runs.count,
        };
        if let Some(view) = release.groups(index) {
            return self.of_groups(status, view, release.code(index));
        }
        Ok(match Timing::of(function.keep.as_ref()) {
            Some(_) => self.of_time(status, release, index),
            None => self.of_commits(status, release, index),
        })
    }

    fn of_groups(&self, status: ViewStatus, view: &GroupView, code: Option<Digest>) -> Result<ViewStatus, ViewError> {
        let condition = view.condition();
        let as_of = match code {
            Some(code) => contributions::as_of(self.store(), &code)?,
            None => None,
        };
        let state = match (&condition.building, &condition.error) {
            (Some(_), _) => ViewState::Building,
            (None, Some(_)) => ViewState::Failing,
            (None, None) if condition.head.is_some() => ViewState::Current,
            (None, None) => status.state,
        };
        let error = condition.error.as_ref().map(shortened);
        Ok(ViewStatus {
            state,
            documents: condition.building.map(|(documents, _)| documents),
            documents_total: condition.building.map(|(_, total)| total).filter(|total| *total > 0),
            error: error.or(condition.unkept.map(|why| format!("computed from all documents each time: {why}"))),
            commit: condition.head.map(|head| head.timestamp),
            rows: condition.rows as u64,
            bytes: condition.bytes as u64,
            stored: as_of.and_then(|as_of| as_of.records).unwrap_or_default(),
            // One that is not kept up is run like any other.
            runs: if condition.unkept.is_some() { status.runs } else { condition.builds },
            ..status
        })
    }

    fn of_time(&self, status: ViewStatus, release: &Release, index: usize) -> ViewStatus {
        let (newest, results, bytes) = self.timed_of(release.number(), index);
        let state = match (&newest, &status.error) {
            (_, Some(_)) => ViewState::Failing,
            (Some(_), None) => ViewState::Current,
            (None, None) => ViewState::Empty,
        };
        let age_ms = newest.as_ref().map(|timed| millis(timed.age()));
        let commit = newest.map(|timed| timed.commit);
        ViewStatus { state, commit, age_ms, rows: results as u64, bytes: bytes as u64, ..status }
    }

    fn of_commits(&self, status: ViewStatus, release: &Release, index: usize) -> ViewStatus {
        let (results, good, bytes) = self.count_results(release, index);
        let state = match (&status.error, results, good) {
            (Some(_), ..) => ViewState::Failing,
            (None, 0, _) => ViewState::Empty,
            (None, _, 0) => ViewState::Stale,
            (None, ..) => ViewState::Current,
        };
        let commit = (good > 0).then(|| self.store().head().timestamp);
        ViewStatus { state, commit, rows: good as u64, bytes: bytes as u64, ..status }
    }
}

/// The longest error that is told, in characters.
const ERROR_CHARACTERS: usize = 500;

fn shortened(error: &CallError) -> String {
    error.to_string().chars().take(ERROR_CHARACTERS).collect()
}

fn policy(function: &Function) -> String {
    match &function.keep {
        _ if function.groups.is_some() => "groups".to_owned(),
        _ if function.index.is_some() => "index".to_owned(),
        Some(Keep::Eager) => "eager".to_owned(),
        Some(Keep::EveryMs(every)) => format!("every {every} ms"),
        Some(Keep::Cron(schedule)) => format!("cron {schedule}"),
        Some(Keep::OnDemand) | None => "onDemand".to_owned(),
    }
}

/// What a store that nobody serves has of views, by their names.
pub fn stored(store: &Store, now_ms: u64) -> Result<Vec<ViewStatus>, Poisoned> {
    let mut views: BTreeMap<String, ViewStatus> = BTreeMap::new();
    for (_, record, bytes) in stored_results(store)? {
        let view = views.entry(record.header.function.clone()).or_insert_with(|| empty(&record.header.function));
        view.rows += 1;
        view.stored += 1;
        view.stored_bytes += bytes;
        let age_ms = now_ms.saturating_sub(record.header.at_ms);
        if view.age_ms.is_none_or(|before| age_ms < before) {
            view.age_ms = Some(age_ms);
        }
        view.commit = view.commit.max(Some(record.header.commit));
    }
    for (code, as_of) in stored_groups(store)? {
        let view = views.entry(as_of.function.clone()).or_insert_with(|| empty(&as_of.function));
        view.commit = view.commit.max(Some(as_of.head.timestamp));
        view.age_ms = Some(now_ms.saturating_sub(as_of.head.timestamp.0 / 1_000_000));
        let mut after = None;
        loop {
            let (page, next) = contributions::page(store, &code, after.as_ref())?;
            view.stored += page.len() as u64;
            view.stored_bytes += page.iter().map(|(id, text)| (id.as_str().len() + text.len()) as u64).sum::<u64>();
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(views.into_values().collect())
}

/// Removes what a store that nobody serves has of a view.
pub async fn drop_stored(store: &Store, name: &str) -> Result<ViewStatus, ViewError> {
    let results = stored_results(store)?.into_iter().filter(|(_, record, _)| record.header.function == name);
    let results: Vec<Digest> = results.map(|(place, ..)| place).collect();
    let groups: Vec<Digest> =
        stored_groups(store)?.into_iter().filter(|(_, as_of)| as_of.function == name).map(|(code, _)| code).collect();
    if results.is_empty() && groups.is_empty() {
        return Err(ViewError::Unknown(name.to_owned()));
    }
    store.keep(results.into_iter().map(|place| (KeptKey::Result(place), None)).collect()).await?;
    for code in groups {
        let mut after = None;
        loop {
            after = contributions::remove_some(store, &code, after.as_ref()).await?;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(ViewStatus { state: ViewState::Empty, ..empty(name) })
}

fn empty(name: &str) -> ViewStatus {
    ViewStatus {
        name: name.to_owned(),
        policy: String::new(),
        state: ViewState::Stored,
        documents: None,
        documents_total: None,
        error: None,
        commit: None,
        age_ms: None,
        rows: 0,
        bytes: 0,
        stored: 0,
        stored_bytes: 0,
        runs: 0,
    }
}

fn stored_results(store: &Store) -> Result<Vec<(Digest, Record, u64)>, Poisoned> {
    let (mut results, mut after) = (Vec::new(), None);
    loop {
        let page = store.kept_results(after.as_ref(), PAGE_BYTES)?;
        results.extend(page.records.into_iter().filter_map(|(key, bytes)| match key {
            KeptKey::Result(place) => Some((place, Record::decode(&bytes)?, bytes.len() as u64)),
            _ => None,
        }));
        after = page.next;
        if after.is_none() {
            return Ok(results);
        }
    }
}

fn stored_groups(store: &Store) -> Result<Vec<(Digest, AsOf)>, Poisoned> {
    let mut groups = Vec::new();
    for code in store.kept_views()? {
        groups.extend(contributions::as_of(store, &code)?.map(|as_of| (code, as_of)));
    }
    Ok(groups)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Commits as decimal strings, which doubles could not hold.
mod decimal {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use weir_schema::commit::Timestamp;

    pub(super) fn serialize<S: Serializer>(commit: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        commit.map(|commit| commit.0.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let commit = text.map(|text| text.parse().map(Timestamp));
        commit.transpose().map_err(serde::de::Error::custom)
    }
}

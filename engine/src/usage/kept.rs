//! Counts in the store: a record for each release and day, in which today's counts are added every few seconds.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use weir_schema::codec::usage::UsageRecord;
use weir_schema::compatibility;
use weir_schema::limits::USAGE_DAYS;
use weir_store::{KeptKey, Store};

use super::{Counted, Usage};
use crate::control::ControlError;
use crate::engine::{Engine, Shared};
use crate::release::Release;

/// Between two writes.
const INTERVAL: Duration = Duration::from_secs(5);
/// How precise it is when what is held was asked for last: it is not written more often than that.
const HELD_MS: u64 = 600_000;
/// A day.
const DAY_MS: u64 = 86_400_000;
/// Bytes of records that are read together.
const PAGE_BYTES: usize = 1 << 20;

/// What is counted of the releases of an engine.
#[derive(Default)]
pub(crate) struct Usages {
    known: Mutex<Vec<Arc<Usage>>>,
    /// The day on which what is too old was last removed. Held by who writes.
    cleared: tokio::sync::Mutex<Option<u32>>,
}

impl Engine {
    /// Has it kept what clients ask for of a release that is on record.
    pub(crate) fn count_for(&self, release: &Release, sequence: u64) {
        let usage = release.usage();
        if usage.sequence.set(sequence).is_ok() {
            self.usages().add(usage.clone());
        }
    }

    /// Writes what was counted since the last time. It is done every few seconds anyway.
    pub async fn write_usage(&self) {
        let now_ms = self.clock().now_ms();
        if let Err(error) = self.usages().write(self.store(), now_ms).await {
            tracing::warn!("what clients ask for cannot be kept at the moment: {error}");
        }
    }
}

/// Writes what is counted from time to time, for as long as there is an engine.
pub(crate) async fn run(engine: Weak<Shared>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(engine) = Engine::of(&engine) else { return };
        if engine.is_ready().is_err() {
            return;
        }
        engine.write_usage().await;
    }
}

impl Usages {
    pub(super) fn add(&self, usage: Arc<Usage>) {
        self.known.lock().push(usage);
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.known.lock().len()
    }

    pub(super) async fn write(&self, store: &Store, now_ms: u64) -> Result<(), ControlError> {
        let mut cleared = self.cleared.lock().await;
        let today = day(now_ms);
        // Nobody but this list holds what has ended: after this time there is no more to come of it.
        let (ended, known): (Vec<_>, Vec<_>) = {
            let mut known = self.known.lock();
            let ended = known.extract_if(.., |usage| Arc::strong_count(usage) == 1).collect();
            (ended, known.clone())
        };
        let mut records = Vec::new();
        for usage in ended.iter().chain(&known) {
            let Some(sequence) = usage.sequence.get() else { continue };
            let counted = usage.take();
            if counted.is_empty() {
                continue;
            }
            let key = KeptKey::Usage(*sequence, today);
            let mut record = store.kept(&key)?.map_or_else(|| Ok(UsageRecord::default()), |text| parse(&text))?;
            if add(&mut record, counted, now_ms) {
                records.push((key, Some(Bytes::from(serde_json::to_vec(&record).unwrap_or_default()))));
            }
        }
        if *cleared != Some(today) {
            records.extend(too_old(store, today)?.into_iter().map(|key| (key, None)));
        }
        if !records.is_empty() {
            store.keep(records).await?;
        }
        *cleared = Some(today);
        Ok(())
    }
}

/// Adds counts to a record; says whether it is another.
fn add(record: &mut UsageRecord, counted: Vec<Counted>, now_ms: u64) -> bool {
    let mut is_other = false;
    for Counted { name, count, is_held } in counted {
        let known = record.used.get(&*name).copied().unwrap_or_default();
        let is_stale = is_held && now_ms.saturating_sub(known.last_ms) >= HELD_MS;
        if count > 0 || is_stale {
            record.used.insert(name.into(), known.and((count, now_ms).into()));
            is_other = true;
        }
    }
    is_other
}

fn parse(text: &[u8]) -> Result<UsageRecord, ControlError> {
    serde_json::from_slice(text).map_err(|error| ControlError::Damaged(error.to_string()))
}

fn day(now_ms: u64) -> u32 {
    u32::try_from(now_ms / DAY_MS).unwrap_or(u32::MAX)
}

/// The records of days that do not count any more.
fn too_old(store: &Store, today: u32) -> Result<Vec<KeptKey>, ControlError> {
    let mut old = Vec::new();
    each(store, |key, _| {
        if matches!(key, KeptKey::Usage(_, day) if day.saturating_add(USAGE_DAYS) <= today) {
            old.push(key.clone());
        }
        Ok(())
    })?;
    Ok(old)
}

fn each(store: &Store, mut take: impl FnMut(&KeptKey, &[u8]) -> Result<(), ControlError>) -> Result<(), ControlError> {
    let mut after = None;
    loop {
        let page = store.kept_usage(after.as_ref(), PAGE_BYTES)?;
        for (key, text) in &page.records {
            take(key, text)?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// What clients have asked for in the last days, of a release or of all: what the store has as of a time in milliseconds since 1970.
pub fn read(store: &Store, release: Option<u64>, now_ms: u64) -> Result<compatibility::Usage, ControlError> {
    let (mut usage, today) = (compatibility::Usage::default(), day(now_ms));
    each(store, |key, text| {
        let KeptKey::Usage(sequence, day) = key else { return Ok(()) };
        if day.saturating_add(USAGE_DAYS) > today && release.is_none_or(|release| release == *sequence) {
            usage.add(parse(text)?);
        }
        Ok(())
    })?;
    Ok(usage)
}

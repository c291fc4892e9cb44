//! What has to be done now and then, whatever the callers do: what is too old is cut, ended or erased.

use std::sync::Weak;

use tokio::sync::oneshot;
use weir_schema::codec::key;
use weir_schema::codec::outcome::KeptOutcome;

use crate::clock;
use crate::committer::Request;
use crate::engine::Live;
use crate::error::Poisoned;
use crate::group::Upkeep;
use crate::journal;
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::store::{Core, parse_record};

/// Looks after the store until it is gone or has stopped.
pub(crate) async fn run(core: Weak<Core>) {
    loop {
        let Some(interval) = core.upgrade().map(|core| core.options.upkeep_interval) else { return };
        tokio::time::sleep(interval).await;
        let Some(core) = core.upgrade() else { return };
        if look(&core).await.is_err() {
            // Who waits for commits to come finds out that none will.
            core.published.durable.send_modify(|_| {});
            return;
        }
    }
}

async fn look(core: &Core) -> Result<(), Poisoned> {
    core.engine.check()?;
    let cut = core.readers.cut(core.options.transaction_age_max);
    if cut > 0 {
        tracing::warn!(cut, age_max = ?core.options.transaction_age_max, "cut transactions that were open for too long");
    }
    let ended = core.turns.expire();
    if ended > 0 {
        tracing::warn!(ended, "ended turns that lasted too long");
    }
    while let Some(upkeep) = outdated(core)? {
        let (done, written) = oneshot::channel();
        if core.requests.send(Request::Upkeep { upkeep, done }).await.is_err() || written.await.is_err() {
            return Err(core.health.reason());
        }
    }
    Ok(())
}

/// The next keys to erase, if there are any.
fn outdated(core: &Core) -> Result<Option<Upkeep>, Poisoned> {
    let (live, head) = core.live()?;
    let mut upkeep = Upkeep { since: head.sequence, ..Upkeep::default() };
    outdated_journal(core, &live, &mut upkeep)?;
    expired_outcomes(core, &live, &mut upkeep)?;
    Ok(Some(upkeep).filter(|upkeep| !upkeep.erased.is_empty()))
}

/// The oldest journal entries that are too old or too many.
fn outdated_journal(core: &Core, live: &Live, upkeep: &mut Upkeep) -> Result<(), Poisoned> {
    let end = journal::extent(live)?.end;
    let age_max_ns = u64::try_from(core.options.journal_age_max.as_nanos()).unwrap_or(u64::MAX);
    let oldest_ns = clock::now_ns().saturating_sub(age_max_ns);
    let all = Interval::prefix(key::journal_all());
    for entry in live.entries(&all, Direction::Asc)?.take(core.options.upkeep_batch_max) {
        let (key, text) = entry?;
        let entry = journal::parse(live, &text)?;
        let kept = end.saturating_sub(entry.offset) <= core.options.journal_bytes_max;
        if kept && entry.timestamp.0 >= oldest_ns {
            break;
        }
        upkeep.journal_first = Some(entry.sequence + 1);
        upkeep.erased.push(key);
    }
    Ok(())
}

/// The outcomes whose time is over. A key may have been used again since: then only the first expiry is erased.
fn expired_outcomes(core: &Core, live: &Live, upkeep: &mut Upkeep) -> Result<(), Poisoned> {
    let now_ms = clock::now_ns() / 1_000_000;
    let over = Interval { start: key::expiries_from(0), end: key::expiries_from(now_ms) };
    for entry in live.entries(&over, Direction::Asc)?.take(core.options.upkeep_batch_max) {
        let (expiry, _) = entry?;
        if let Some(key) = key::expiring_outcome(&expiry).map(|digest| key::outcome(&digest))
            && let Some(text) = live.get(&key)?
        {
            let kept: KeptOutcome = parse_record(live, &text, "kept outcome")?;
            if kept.expires_ms <= now_ms {
                upkeep.erased.push(key);
            }
        }
        upkeep.erased.push(expiry);
    }
    Ok(())
}

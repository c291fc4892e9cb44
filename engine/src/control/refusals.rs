//! What was refused, on record: who was denied what, whose login failed, which bundle was not deployed.
//!
//! Rule: whoever is refused can try again as often as they like, so what is alike becomes one record, and no more records are
//! written in a time than are fit to be read. What is beyond that is counted.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use weir_schema::codec::audit::{AuditNote, Person};
use weir_store::{CommitError, Run, Store, Transaction};

use super::TURN_MAX;
use crate::engine::{Engine, Shared};

/// How often what was refused is written.
const INTERVAL: Duration = Duration::from_secs(10);
/// Different ones that are told apart in that time.
const KINDS_MAX: usize = 64;
/// Records of them that are written: the most frequent. The rest is one record.
const RECORDS_MAX: usize = 8;
/// The longest of its texts, in bytes.
const TEXT_BYTES_MAX: usize = 200;

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// Who was.
    pub actor: String,
    /// The person who that is, if it is one.
    pub person: Option<Person>,
    /// What was asked for, such as `login` or `deploy`.
    pub action: &'static str,
    /// Of what.
    pub target: String,
    /// From which address, where it is known.
    pub from: Option<String>,
    /// Why.
    pub outcome: String,
}

/// What was refused since the last was written.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    alike: BTreeMap<Refused, u64>,
    /// Those that were not told apart.
    others: u64,
}

impl Refusals {
    fn add(&self, refused: Refused) {
        let Refused { actor, person, action, target, from, outcome } = refused;
        let refused = Refused {
            actor: shortened(actor),
            person,
            action,
            target: shortened(target),
            from: from.map(shortened),
            outcome: shortened(outcome),
        };
        let mut waiting = self.waiting.lock();
        let has_room = waiting.alike.len() < KINDS_MAX;
        match waiting.alike.get_mut(&refused) {
            Some(times) => *times += 1,
            None if has_room => drop(waiting.alike.insert(refused, 1)),
            None => waiting.others += 1,
        }
    }

    /// The records of what was refused, and from now on of what will be.
    fn take(&self) -> Vec<AuditNote> {
        let Waiting { alike, mut others } = std::mem::take(&mut *self.waiting.lock());
        let mut alike: Vec<(Refused, u64)> = alike.into_iter().collect();
        alike.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        others += alike.iter().skip(RECORDS_MAX).map(|(_, times)| times).sum::<u64>();
        let told = alike.into_iter().take(RECORDS_MAX).map(|(refused, times)| note(refused, times));
        let rest = AuditNote {
            actor: "various".to_owned(),
            action: "refused".to_owned(),
            outcome: Some("more than are told one by one".to_owned()),
            times: Some(others),
            ..AuditNote::default()
        };
        told.chain((others > 0).then_some(rest)).collect()
    }
}

fn note(refused: Refused, times: u64) -> AuditNote {
    let Refused { actor, person, action, target, from, outcome } = refused;
    let targets = if target.is_empty() { Vec::new() } else { vec![target] };
    let times = (times > 1).then_some(times);
    let (action, outcome) = (action.to_owned(), Some(outcome));
    AuditNote { actor, person, action, targets, from, outcome, times, ..AuditNote::default() }
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

impl Engine {
    /// Has it on record that something was refused, soon and together with what is alike.
    pub fn refused(&self, refused: Refused) {
        self.refusals().add(refused);
    }

    /// Writes what was refused since the last time. It is done every ten seconds anyway.
    pub async fn write_refusals(&self) {
        for note in self.refusals().take() {
            if let Err(error) = write(self.store(), &note).await {
                tracing::error!("what was refused is not on record: {error}");
                return;
            }
        }
    }
}

async fn write(store: &Store, note: &AuditNote) -> Result<(), CommitError> {
    let attempt = |mut transaction: Transaction| {
        transaction.record_alone(note.clone());
        ready(Run::Commit(transaction, ()))
    };
    store.transact(TURN_MAX, attempt).await.map(drop)
}

/// Writes what is refused from time to time, for as long as there is an engine.
pub(crate) async fn run(engine: Weak<Shared>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(engine) = Engine::of(&engine) else { return };
        engine.write_refusals().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(actor: &str, from: usize) -> Refused {
        let (actor, target, outcome) = (actor.to_owned(), String::new(), "no such token".to_owned());
        Refused { actor, person: None, action: "login", target, from: Some(format!("10.0.0.{from}")), outcome }
    }

    #[test]
    fn what_is_alike_is_one_record_and_a_flood_is_few() {
        let refusals = Refusals::default();
        assert!(refusals.take().is_empty());
        for from in 0..10_000 {
            refusals.add(refused("anonymous", from));
            refusals.add(refused(&"x".repeat(10_000), 0));
        }
        assert_eq!(refusals.waiting.lock().alike.len(), KINDS_MAX);
        let notes = refusals.take();
        assert_eq!(notes.len(), RECORDS_MAX + 1);
        assert_eq!(notes.iter().map(|note| note.times.unwrap_or(1)).sum::<u64>(), 20_000, "each is counted");
        assert_eq!((notes[0].times, notes[0].actor.len()), (Some(10_000), TEXT_BYTES_MAX + '…'.len_utf8()));
        assert!(refusals.take().is_empty(), "each once");
    }
}

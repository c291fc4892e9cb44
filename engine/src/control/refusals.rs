//! What was refused, on record: who was denied what, whose login failed, which bundle was not deployed.
//!
//! Rule: whoever is refused can try again as often as they like, so what is alike becomes one record, and no more records are
//! written in a time than are fit to be read. What is beyond that is counted. Each [`Kind`] has room of its own: whoever makes
//! calls fail pushes no denial out of the log.

use std::collections::{BTreeMap, VecDeque};
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
/// Different ones of a kind that are told apart in that time.
const DIFFERENT_MAX: usize = 64;
/// Records of a kind that are written: the most frequent. The rest is one record.
const RECORDS_MAX: usize = 8;
/// The longest of its texts, in bytes.
const TEXT_BYTES_MAX: usize = 200;

/// What is refused apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Calls that are denied, and tokens of callers that are no good.
    Access,
    /// Whatever the control plane refuses.
    Control,
    /// Calls that may be made and failed.
    Failure,
}

impl Kind {
    /// As the record about those that are not told one by one names it.
    fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Control => "control",
            Self::Failure => "failures",
        }
    }
}

/// Something that was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// What it counts as.
    pub kind: Kind,
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

/// What was refused and is not on record yet.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    waiting: Mutex<BTreeMap<Kind, Waiting>>,
    /// Held from when some are taken until they are on record, so that whoever has it afterwards finds nothing half done.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    alike: BTreeMap<Refused, u64>,
    /// Those that were not told apart.
    others: u64,
}

impl Waiting {
    fn add(&mut self, refused: Refused, times: u64) {
        let has_room = self.alike.len() < DIFFERENT_MAX;
        match self.alike.get_mut(&refused) {
            Some(known) => *known += times,
            None if has_room => drop(self.alike.insert(refused, times)),
            None => self.others += times,
        }
    }
}

/// What is being written. What is left of it when this is dropped waits again.
struct Taken<'a> {
    refusals: &'a Refusals,
    kind: Kind,
    told: VecDeque<(Refused, u64)>,
    others: u64,
}

impl Taken<'_> {
    /// The next record; `None`: all are written.
    fn next(&self) -> Option<AuditNote> {
        if let Some((refused, times)) = self.told.front() {
            return Some(note(refused.clone(), *times));
        }
        (self.others > 0).then(|| AuditNote {
            actor: "various".to_owned(),
            action: "refused".to_owned(),
            targets: vec![self.kind.name().to_owned()],
            outcome: Some("more than are told one by one".to_owned()),
            times: Some(self.others),
            ..AuditNote::default()
        })
    }

    /// That one is on record.
    fn is_written(&mut self) {
        if self.told.pop_front().is_none() {
            self.others = 0;
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if self.told.is_empty() && self.others == 0 {
            return;
        }
        let mut waiting = self.refusals.waiting.lock();
        let waiting = waiting.entry(self.kind).or_default();
        self.told.drain(..).for_each(|(refused, times)| waiting.add(refused, times));
        waiting.others += self.others;
    }
}

impl Refusals {
    fn add(&self, refused: Refused) {
        let Refused { kind, actor, person, action, target, from, outcome } = refused;
        let refused = Refused {
            kind,
            actor: shortened(actor),
            person,
            action,
            target: shortened(target),
            from: from.map(shortened),
            outcome: shortened(outcome),
        };
        self.waiting.lock().entry(kind).or_default().add(refused, 1);
    }

    /// What waits, and from now on what will.
    fn take(&self) -> Vec<Taken<'_>> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let of_kind = |(kind, Waiting { alike, mut others })| {
            let mut alike: Vec<(Refused, u64)> = alike.into_iter().collect();
            alike.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
            let rest = alike.split_off(RECORDS_MAX.min(alike.len()));
            others += rest.iter().map(|(_, times)| times).sum::<u64>();
            Taken { refusals: self, kind, told: alike.into(), others }
        };
        waiting.into_iter().map(of_kind).collect()
    }

    /// Writes all that was refused before; waits for what is being written. What cannot be written waits for the next time.
    pub(crate) async fn write(&self, store: &Store) -> Result<(), CommitError> {
        let _writing = self.writing.lock().await;
        for mut taken in self.take() {
            while let Some(note) = taken.next() {
                write(store, &note).await?;
                taken.is_written();
            }
        }
        Ok(())
    }
}

fn note(refused: Refused, times: u64) -> AuditNote {
    let Refused { kind: _, actor, person, action, target, from, outcome } = refused;
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
        if let Err(error) = self.refusals().write(self.store()).await {
            tracing::error!("what was refused is not on record yet: {error}");
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
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use futures_util::FutureExt;
    use weir_store::Options;

    use super::*;

    fn refused(kind: Kind, actor: &str, from: usize) -> Refused {
        let (actor, target, outcome) = (actor.to_owned(), String::new(), "no such token".to_owned());
        Refused { kind, actor, person: None, action: "login", target, from: Some(format!("10.0.0.{from}")), outcome }
    }

    /// Each as actor, targets and times, written without a store.
    fn written(refusals: &Refusals) -> Vec<(String, Vec<String>, u64)> {
        let mut all = Vec::new();
        for mut taken in refusals.take() {
            while let Some(note) = taken.next() {
                all.push((note.actor, note.targets, note.times.unwrap_or(1)));
                taken.is_written();
            }
        }
        all
    }

    #[test]
    fn what_is_alike_is_one_record_and_a_flood_is_few() {
        let refusals = Refusals::default();
        assert!(written(&refusals).is_empty());
        for from in 0..10_000 {
            refusals.add(refused(Kind::Access, "anonymous", from));
            refusals.add(refused(Kind::Access, &"x".repeat(10_000), 0));
        }
        assert_eq!(refusals.waiting.lock()[&Kind::Access].alike.len(), DIFFERENT_MAX);
        let all = written(&refusals);
        assert_eq!(all.len(), RECORDS_MAX + 1);
        assert_eq!(all.iter().map(|(.., times)| times).sum::<u64>(), 20_000, "each is counted");
        assert_eq!((all[0].2, all[0].0.len()), (10_000, TEXT_BYTES_MAX + '…'.len_utf8()));
        assert!(written(&refusals).is_empty(), "each once");
    }

    #[test]
    fn a_flood_of_one_kind_leaves_the_others_their_records() {
        let refusals = Refusals::default();
        for from in 0..10_000 {
            refusals.add(refused(Kind::Failure, "ada", from));
        }
        refusals.add(refused(Kind::Access, "bob", 0));
        refusals.add(refused(Kind::Control, "root", 0));
        let all = written(&refusals);
        let of = |wanted: &str| all.iter().filter(|(actor, ..)| actor == wanted).count();
        assert_eq!([of("bob"), of("root"), of("ada"), of("various")], [1, 1, RECORDS_MAX, 1]);
        let rest = all.iter().find(|(actor, ..)| actor == "various").unwrap();
        assert_eq!((rest.1.as_slice(), rest.2), (["failures".to_owned()].as_slice(), 10_000 - RECORDS_MAX as u64));
    }

    #[tokio::test]
    async fn what_cannot_be_written_waits_and_who_writes_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let refusals = Refusals::default();
        for _ in 0..3 {
            refusals.add(refused(Kind::Access, "ada", 1));
        }
        // One has them taken and has not written them: nobody gets past.
        let writing = refusals.writing.lock().await;
        let taken = refusals.take();
        assert!(refusals.write(&store).now_or_never().is_none());
        assert!(store.audit(0, 10).unwrap().is_empty());
        drop((taken, writing));
        refusals.write(&store).await.unwrap();
        assert_eq!(store.audit(0, 10).unwrap()[0].times, Some(3));
        store.close().await;
        for from in 0..=DIFFERENT_MAX {
            refusals.add(refused(Kind::Access, "bob", from));
        }
        assert!(refusals.write(&store).await.is_err());
        let all = written(&refusals);
        assert_eq!(all.iter().map(|(.., times)| times).sum::<u64>(), DIFFERENT_MAX as u64 + 1);
    }
}

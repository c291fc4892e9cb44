//! Some of the audit log, as who may read it asks for it: the oldest first, by who, what and when.
//!
//! Rule: one request looks at so many records and no more, whatever it asks for.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use weir_schema::codec::audit::AuditRecord;
use weir_store::{Poisoned, Store};

/// Records that one request looks at. What comes after is asked for with [`Page::next`].
const LOOKED_AT_MAX: usize = 20_000;

/// Which records are wanted: those to which all that is there applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Who acted.
    pub actor: Option<String>,
    /// What kind of act it was.
    pub action: Option<String>,
    /// One of what was acted on.
    pub target: Option<String>,
    /// What came of it.
    pub outcome: Option<String>,
    /// From when on, in nanoseconds since 1970.
    pub since_ns: Option<u64>,
    /// Before when.
    pub until_ns: Option<u64>,
}

/// Some records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// The number after which to go on; `None` where the log ends.
    pub next: Option<u64>,
}

impl Wanted {
    fn has(&self, record: &AuditRecord) -> bool {
        let Self { actor, action, target, outcome, since_ns, until_ns } = self;
        actor.as_ref().is_none_or(|actor| *actor == record.actor)
            && action.as_ref().is_none_or(|action| *action == record.action)
            && target.as_ref().is_none_or(|target| record.targets.contains(target))
            && outcome.as_ref().is_none_or(|outcome| record.outcome.as_ref() == Some(outcome))
            && since_ns.is_none_or(|since| record.timestamp.0 >= since)
            && until_ns.is_none_or(|until| record.timestamp.0 < until)
    }
}

/// Reads the records after one, at most `first` and about so many bytes of them. Blocks while the disk is read.
pub fn page(store: &Store, wanted: &Wanted, after: u64, first: usize, bytes_max: usize) -> Result<Page, Poisoned> {
    read(store, wanted, after, first, bytes_max, LOOKED_AT_MAX)
}

fn read(
    store: &Store,
    wanted: &Wanted,
    after: u64,
    first: usize,
    bytes_max: usize,
    looked_at_max: usize,
) -> Result<Page, Poisoned> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    let (mut looked_at, mut next) = (0, None);
    store.audit_each(after, |record| {
        let number = record.number;
        looked_at += 1;
        if wanted.has(&record) {
            bytes += size(&record);
            records.push(record);
        }
        if records.len() == first || bytes >= bytes_max || looked_at == looked_at_max {
            next = Some(number);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(Page { records, next })
}

/// About as many bytes as it takes.
fn size(record: &AuditRecord) -> usize {
    let texts = [Some(&record.actor), Some(&record.action), record.from.as_ref(), record.outcome.as_ref()];
    let texts = texts.into_iter().chain([record.arguments.as_ref()]).flatten().chain(&record.targets);
    let sealed = [&record.sealed, &record.about].into_iter().flatten().map(|sealed| sealed.text.len() * 4 / 3);
    texts.map(String::len).chain(sealed).sum::<usize>() + 500
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use weir_store::Options;

    use super::*;
    use crate::control::Actor;
    use crate::control::acts::{Act, record};

    #[tokio::test]
    async fn a_page_has_so_many_records_and_bytes_and_no_more_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        for number in 0..10 {
            let action = if number % 5 == 4 { "backup" } else { "export" };
            record(&store, &Actor::operator(), &Act::on(action, [number.to_string()])).await.unwrap();
        }
        let of = |action: &str| Wanted { action: Some(action.to_owned()), ..Wanted::default() };
        let numbers = |wanted: &Wanted, after, first, bytes, looked_at| {
            let Page { records, next } = read(&store, wanted, after, first, bytes, looked_at).unwrap();
            (records.iter().map(|record| record.number).collect::<Vec<_>>(), next)
        };
        let all = usize::MAX;
        let (any, none) = (Wanted::default(), Wanted { target: Some("11".to_owned()), ..Wanted::default() });
        assert_eq!(numbers(&any, 0, 3, all, 20), (vec![1, 2, 3], Some(3)));
        assert_eq!(numbers(&any, 8, 3, all, 20), (vec![9, 10], None));
        assert_eq!(numbers(&any, 0, all, 1_000, 20), (vec![1, 2], Some(2)), "no more bytes");
        assert_eq!(numbers(&of("backup"), 0, all, all, 20), (vec![5, 10], None));
        // What nothing fits ends as soon, and says where to go on.
        assert_eq!(numbers(&none, 0, all, all, 4), (vec![], Some(4)));
        assert_eq!(numbers(&of("backup"), 4, all, all, 4), (vec![5], Some(8)));
        let since = store.audit(0, 10).unwrap()[6].timestamp.0;
        let recent = Wanted { since_ns: Some(since), ..of("export") };
        let before = Wanted { until_ns: Some(since), ..of("export") };
        assert_eq!(numbers(&recent, 0, all, all, 20).0, [7, 8, 9]);
        assert_eq!(numbers(&before, 0, all, all, 20).0, [1, 2, 3, 4, 6]);
        store.close().await;
    }
}

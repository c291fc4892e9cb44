//! The audit log: each record was made after the one before it, and the last is the one that was written last.
//!
//! Who can write the data folder can write a whole other log, with an end to fit it. So an end can be taken out, signed, and kept
//! elsewhere: the log has to lead through it.

use serde::{Deserialize, Serialize};
use weir_schema::codec::audit::{AuditHead, BrokenChain};
use weir_schema::codec::key;

use super::{Examination, VerifyError};
use crate::engine::Live;
use crate::error::Poisoned;
use crate::progress::{Meter, Phase, Watch};
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::store::{Store, read_record};

/// What is known of an audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// How many records were followed.
    pub records: u64,
    /// The end that was found.
    pub end: AuditHead,
    /// Where it breaks first.
    pub problem: Option<String>,
}

impl Store {
    /// The end of the audit log.
    pub fn audit_head(&self) -> Result<AuditHead, Poisoned> {
        read_record(&self.core().engine.live()?, key::AUDIT_HEAD, "end of the audit log")
    }

    /// The last record from before what tells of people was sealed, by its number; 0: there is none.
    pub fn audit_unsealed(&self) -> Result<u64, Poisoned> {
        read_unsealed(&self.core().engine.live()?)
    }

    /// Follows the audit log to its end, and through an earlier end if one is given. Commits go on meanwhile.
    pub async fn verify_audit(&self, through: Option<AuditHead>, watch: Watch) -> Result<AuditReport, VerifyError> {
        self.blocking(move |core| {
            core.is_ready()?;
            let (live, _) = core.live()?;
            let mut meter = Meter::new(&watch, Phase::Verifying, None);
            let mut chain = Chain { end: AuditHead::default(), through };
            let mut problem = None;
            for entry in live.entries(&Interval::prefix(key::audit_all()), Direction::Asc)? {
                let (key, text) = entry?;
                meter.add(1)?;
                if let Err(broken) = chain.follow(&key, &text) {
                    problem = Some(broken);
                    break;
                }
            }
            let head: AuditHead = read_record(&live, key::AUDIT_HEAD, "end of the audit log")?;
            let problem = problem.or_else(|| chain.ends_at(head).err());
            let (end, records) = (chain.end, chain.end.number);
            Ok(AuditReport { records, end, problem: problem.map(|broken| broken.to_string()) })
        })
        .await?
    }
}

pub(crate) fn read_unsealed(live: &Live) -> Result<u64, Poisoned> {
    read_record(live, key::AUDIT_UNSEALED, "number of the last audit record that is not sealed")
}

/// The log as far as it was followed.
struct Chain {
    end: AuditHead,
    /// An earlier end that it has to lead through.
    through: Option<AuditHead>,
}

impl Chain {
    fn follow(&mut self, key: &[u8], text: &[u8]) -> Result<(), BrokenChain> {
        self.end = self.end.follow(key::audit_number(key).unwrap_or(u64::MAX), text)?;
        match self.through {
            Some(through) if through.number == self.end.number => self.end.ends_at(through),
            _ => Ok(()),
        }
    }

    fn ends_at(&self, head: AuditHead) -> Result<(), BrokenChain> {
        self.end.ends_at(head)?;
        match self.through {
            Some(through) if through.number > self.end.number => self.end.ends_at(through),
            _ => Ok(()),
        }
    }
}

impl Examination<'_> {
    pub(super) fn audit_log(&mut self) -> Result<(), VerifyError> {
        let live = self.live;
        let mut end = Ok(AuditHead::default());
        for entry in live.entries(&Interval::prefix(key::audit_all()), Direction::Asc)? {
            let (key, text) = entry?;
            self.meter.add(1)?;
            self.report.audit_records += 1;
            // Once the chain is broken nothing that follows can be told from what was changed.
            end = end.and_then(|end: AuditHead| end.follow(key::audit_number(&key).unwrap_or(u64::MAX), &text));
        }
        let head: AuditHead = read_record(live, key::AUDIT_HEAD, "end of the audit log")?;
        if let Err(broken) = end.and_then(|end| end.ends_at(head)) {
            self.report.problem(broken);
        }
        match self.people.unreadable(live)? {
            0 => {}
            count => self.report.problem(format_args!(
                "audit log: {count} records about people cannot be opened: {} is not the file that they were written with",
                crate::people::file::FILE
            )),
        }
        Ok(())
    }
}

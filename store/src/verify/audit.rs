//! The audit log: each record was made after the one before it, and the last is the one that was written last.

use weir_schema::codec::audit::AuditHead;
use weir_schema::codec::key;

use super::{Examination, VerifyError};
use crate::read_set::Interval;
use crate::scan::Direction;
use crate::store::read_record;

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
        Ok(())
    }
}

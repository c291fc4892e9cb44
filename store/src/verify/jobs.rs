//! Jobs: each can be read, and stands among those that are due exactly as it says itself.

use weir_schema::codec::job::Job;
use weir_schema::codec::key;

use super::{Examination, VerifyError};
use crate::read_set::Interval;
use crate::scan::Direction;

impl Examination<'_> {
    pub(super) fn jobs(&mut self) -> Result<(), VerifyError> {
        let live = self.live;
        for entry in live.entries(&Interval::prefix(key::jobs_all()), Direction::Asc)? {
            let (key, text) = entry?;
            self.meter.add(1)?;
            self.report.jobs += 1;
            let Some(id) = key::job_id(&key) else {
                self.report.problem(format_args!("jobs: {} is not the key of a job", key.escape_ascii()));
                continue;
            };
            match serde_json::from_slice::<Job>(&text) {
                Err(error) => self.report.problem(format_args!("jobs: {id} cannot be read: {error}")),
                Ok(job) if job.is_pending() && live.get(&key::waiting(job.due_ms, &id))?.is_none() => {
                    self.report.problem(format_args!("jobs: {id} is not among those that are due"));
                }
                Ok(_) => {}
            }
        }
        for entry in live.entries(&Interval::prefix(key::waiting_all()), Direction::Asc)? {
            let (key, _) = entry?;
            self.meter.add(1)?;
            let Some((due_ms, id)) = key::waiting_job(&key) else {
                self.report.problem(format_args!("jobs: {} does not say when a job is due", key.escape_ascii()));
                continue;
            };
            let job = live.get(&key::job(&id))?.and_then(|text| serde_json::from_slice::<Job>(&text).ok());
            if !job.is_some_and(|job| job.is_pending() && job.due_ms == due_ms) {
                self.report.problem(format_args!("jobs: {id} is said to be due at {due_ms}, and is not"));
            }
        }
        Ok(())
    }
}

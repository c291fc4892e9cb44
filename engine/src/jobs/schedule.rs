//! What scripts ask for: a call later on, and that it be forgotten. Both are writes of the procedure's transaction.

use serde_json::{Map, Value};
use weir_sandbox::protocol::{HostError, When};
use weir_schema::codec::job::{Job, JobState};
use weir_schema::declarations::FunctionKind;
use weir_schema::id::DocumentId;
use weir_schema::limits::{JobSettings, Limit};
use weir_schema::{datetime, duration, validate};

use crate::host::RunHost;

impl RunHost {
    /// Schedules a call. The answer is the job's id.
    pub(crate) fn schedule(&mut self, function: &str, args: Value, when: &When) -> Result<String, HostError> {
        let refused = |message: String| HostError::Refused(format!("schedule({function}): {message}"));
        self.must_schedule("schedule")?;
        let release = self.release.clone();
        let (_, declared) =
            release.function(function).ok_or_else(|| refused("there is no such function".to_owned()))?;
        if !matches!(declared.kind, FunctionKind::Procedure | FunctionKind::Action) {
            let kind = declared.kind.as_str();
            return Err(refused(format!("it is a {kind}; only procedures and actions can be called later")));
        }
        let settings = release.jobs();
        let args = if args.is_null() { Value::Object(Map::new()) } else { args };
        let args = validate::arguments(declared, &release.declarations().definitions, args)
            .map_err(|violation| refused(violation.to_string()))?;
        let (bytes, most) = (args.to_string().len(), settings.arguments_bytes);
        if bytes > most {
            let message =
                format!("the arguments have {bytes} bytes, and at most arguments_bytes = {most} under [jobs]");
            return Err(refused(message));
        }
        let scheduled_ms = self.ids.now_ms();
        let due_ms = due_ms(when, scheduled_ms, settings).map_err(refused)?;
        self.used.jobs_scheduled = self.used.jobs_scheduled.saturating_add(1);
        if self.used.jobs_scheduled > release.limits().jobs_scheduled {
            return Err(HostError::Limit(Limit::JobsScheduled));
        }
        self.count_written_bytes(bytes)?;
        // Callers are plain data, which always has a JSON form.
        let caller = serde_json::to_value(&self.caller).unwrap_or_default();
        let job = Job {
            function: function.to_owned(),
            args,
            caller,
            scheduled_ms,
            due_ms,
            state: JobState::Waiting,
            attempts: 0,
            error: None,
            cron: None,
            line: self.engine.line().map(ToString::to_string),
            release: release.sequence(),
        };
        let id = self.ids.next();
        let added = self.transaction()?.add_job(&id, job);
        added.map_err(|error| self.refuse(error.into()))?;
        Ok(Value::from(id.as_str()).to_string())
    }

    /// Forgets a job that has not begun. The answer is whether there was one.
    pub(crate) fn cancel_job(&mut self, id: String) -> Result<String, HostError> {
        self.must_schedule("cancelJob")?;
        let id = DocumentId::parse(id).map_err(|bad| HostError::Refused(format!("cancelJob: {bad}")))?;
        let found = self.transaction()?.job(&id);
        let found = found.map_err(|error| self.refuse(error.into()))?;
        let can_go = found.is_some_and(|job| job.cron.is_none() && job.state != JobState::Running);
        if can_go {
            let removed = self.transaction()?.remove_job(&id);
            removed.map_err(|error| self.refuse(error.into()))?;
        }
        Ok(can_go.to_string())
    }

    fn must_schedule(&self, what: &str) -> Result<(), HostError> {
        match self.running() {
            FunctionKind::Procedure => Ok(()),
            kind => Err(HostError::Refused(format!(
                "{what} writes, which only a procedure may; this is a {}",
                kind.as_str()
            ))),
        }
    }
}

/// When a job is due, in milliseconds since 1970: not before it was scheduled.
fn due_ms(when: &When, now_ms: u64, settings: &JobSettings) -> Result<u64, String> {
    let due_ms = match when {
        When::After(Value::String(text)) => {
            let after = duration::parse_ms(text).ok_or_else(|| {
                format!("{text:?} is no time to wait: write a whole number and ms, s, m, h or d, such as \"5m\"")
            })?;
            now_ms.saturating_add(after)
        }
        When::After(value) => {
            let after = value.as_f64().filter(|after| *after >= 0.0);
            let after = after.ok_or_else(|| format!("{value} is no time to wait: write milliseconds, 0 or more"))?;
            // A cast of a float saturates.
            now_ms.saturating_add(after.ceil() as u64)
        }
        When::At(text) => {
            let moment = datetime::parse(text).map_err(|bad| format!("{text:?} is {bad}"))?;
            let seconds = u64::try_from(moment.seconds).unwrap_or_default();
            seconds.saturating_mul(1_000).saturating_add(u64::from(moment.nanoseconds / 1_000_000)).max(now_ms)
        }
    };
    if due_ms.saturating_sub(now_ms) > settings.ahead_ms {
        return Err(format!("that is later than ahead_ms = {} under [jobs] allows", settings.ahead_ms));
    }
    Ok(due_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn jobs_are_due_after_a_time_or_at_one() {
        let now_ms = 1_000_000_000_000;
        let at = |text: &str| When::At(text.to_owned());
        let settings = JobSettings { ahead_ms: 86_400_000, ..JobSettings::default() };
        let table = [
            (When::After(json!("5m")), Ok(300_000)),
            (When::After(json!(0)), Ok(0)),
            (When::After(json!(-0.0)), Ok(0)),
            (When::After(json!(1.2)), Ok(2)),
            (When::After(json!("1d")), Ok(86_400_000)),
            (at("2001-09-09T01:46:41Z"), Ok(1_000)),
            (at("1970-01-01T00:00:00Z"), Ok(0)),
            (at("0000-01-01T00:00:00Z"), Ok(0)),
            (When::After(json!("86400001ms")), Err("ahead_ms = 86400000")),
            (When::After(json!(1e300)), Err("ahead_ms")),
            (at("9998-12-31T00:00:00Z"), Err("ahead_ms")),
            (When::After(json!(-1)), Err("-1 is no time to wait")),
            (When::After(json!("soon")), Err("\"soon\" is no time to wait")),
            (When::After(json!(null)), Err("null is no time to wait")),
            (When::After(json!([1])), Err("is no time to wait")),
            (at("tomorrow"), Err("not a date and time")),
        ];
        for (when, expected) in table {
            match (due_ms(&when, now_ms, &settings), expected) {
                (Ok(due), Ok(after)) => assert_eq!(due, now_ms + after, "{when:?}"),
                (Err(message), Err(words)) => assert!(message.contains(words), "{when:?}: {message}"),
                (found, _) => panic!("{when:?}: {found:?}"),
            }
        }
    }
}

//! Savepoints of one run: what `attempt(fn)` stands on.
//!
//! A worker may send what it likes. So they are counted here, and nothing is committed over one that is open: whose
//! writes those are that were to be taken back, nobody can tell.

use weir_sandbox::protocol::{HostError, Outcome, SavepointStep, ScriptError};
use weir_schema::id::DocumentId;
use weir_schema::limits::ATTEMPTS_DEEP_MAX;
use weir_store::Transaction;

use crate::experiments::counts::Measurement;

/// The savepoints that are open, the outermost first. Each is how many documents were written before it, and how many values given to
/// metrics.
#[derive(Debug, Default)]
pub struct Attempts {
    open: Vec<(usize, usize)>,
}

impl Attempts {
    /// Sets a savepoint or ends one; its number as JSON text. `written` is what the run has written so far, and
    /// `measured` what it has given to metrics.
    pub(crate) fn take(
        &mut self,
        step: SavepointStep,
        number: usize,
        transaction: &mut Transaction,
        written: &mut Vec<(String, DocumentId)>,
        measured: &mut Vec<Measurement>,
    ) -> Result<String, HostError> {
        let ended = match step {
            SavepointStep::Set if self.open.len() >= ATTEMPTS_DEEP_MAX => {
                let message = format!("attempts stand in each other more than {ATTEMPTS_DEEP_MAX} deep");
                return Err(HostError::Refused(message));
            }
            SavepointStep::Set => {
                self.open.push((written.len(), measured.len()));
                return Ok(transaction.set_savepoint().to_string());
            }
            // One inside of it was not ended: neither may this be.
            SavepointStep::Release if number != self.open.len() => {
                return Err(HostError::Refused(format!("attempt {number} is not the innermost one")));
            }
            SavepointStep::Release => transaction.release(number),
            SavepointStep::RollBack => transaction.roll_back(number),
        };
        ended.map_err(|error| HostError::Refused(error.to_string()))?;
        let before = self.open.drain(number.saturating_sub(1)..).next();
        if let (SavepointStep::RollBack, Some((written_before, measured_before))) = (step, before) {
            written.truncate(written_before);
            measured.truncate(measured_before);
        }
        Ok(number.to_string())
    }

    /// What a run came to: no value, if a savepoint is open.
    pub(crate) fn judge(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Value(_) if !self.open.is_empty() => Outcome::Failed(ScriptError {
                app_code: None,
                message: "an attempt could not be ended, as its stack was exhausted".to_owned(),
                host_call: None,
                stack: Vec::new(),
            }),
            outcome => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_schema::declarations::{Collection, Declarations};
    use weir_store::{Options, Store};

    use super::SavepointStep::{Release, RollBack, Set};
    use super::*;

    #[tokio::test]
    async fn whatever_a_worker_sends_no_savepoint_is_ended_that_is_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let mut declarations = Declarations::default();
        let (name, module) = ("things".to_owned(), String::new());
        let (document, value, indexes, references) = (name.clone(), name.clone(), Vec::new(), Vec::new());
        let collection = Collection { name: name.clone(), document, value, module, indexes, references };
        declarations.collections.insert(name, collection);
        store.apply_collections(&declarations).await.unwrap();
        let mut transaction = store.begin().unwrap();
        let (mut attempts, mut written, mut measured) = (Attempts::default(), Vec::new(), Vec::new());
        let mut shown = Vec::new();
        let steps = [
            (Release, 0),
            (Release, 1),
            (RollBack, 0),
            (RollBack, 1),
            (RollBack, usize::MAX),
            (Set, 7),
            (Set, 0),
            (Release, 1),
            (Release, 3),
            (RollBack, 3),
            (Release, 2),
            (Set, 0),
            (Set, 0),
            (RollBack, 2),
            (RollBack, 3),
            (Release, 2),
        ];
        for (place, (step, number)) in steps.into_iter().enumerate() {
            let id = DocumentId::parse(format!("d{place}")).unwrap();
            transaction.put("things", &id, serde_json::Map::new()).unwrap();
            written.push(("things".to_owned(), id));
            measured.push((0, 1.0));
            let taken = attempts.take(step, number, &mut transaction, &mut written, &mut measured);
            let taken = taken.unwrap_or_else(|error| error.to_string());
            assert_eq!(measured.len(), written.len(), "what is given to metrics goes with what is written");
            shown.push(format!("{step:?} {number}: {taken}; {} open, {} written", attempts.open.len(), written.len()));
        }
        expect_test::expect![[r#"
            Release 0: there is no savepoint 0; 0 open, 1 written
            Release 1: attempt 1 is not the innermost one; 0 open, 2 written
            RollBack 0: there is no savepoint 0; 0 open, 3 written
            RollBack 1: there is no savepoint 1; 0 open, 4 written
            RollBack 18446744073709551615: there is no savepoint 18446744073709551615; 0 open, 5 written
            Set 7: 1; 1 open, 6 written
            Set 0: 2; 2 open, 7 written
            Release 1: attempt 1 is not the innermost one; 2 open, 8 written
            Release 3: attempt 3 is not the innermost one; 2 open, 9 written
            RollBack 3: there is no savepoint 3; 2 open, 10 written
            Release 2: 2; 1 open, 11 written
            Set 0: 2; 2 open, 12 written
            Set 0: 3; 3 open, 13 written
            RollBack 2: 2; 1 open, 12 written
            RollBack 3: there is no savepoint 3; 1 open, 13 written
            Release 2: attempt 2 is not the innermost one; 1 open, 14 written"#]]
        .assert_eq(&shown.join("\n"));
        assert!(matches!(attempts.judge(Outcome::Value("1".into())), Outcome::Failed(_)));
        assert_eq!(attempts.judge(Outcome::Aborted), Outcome::Aborted);
        let set = (0..10_000)
            .map_while(|_| attempts.take(Set, 0, &mut transaction, &mut written, &mut measured).ok())
            .count();
        assert_eq!(set + 1, ATTEMPTS_DEEP_MAX);
        attempts.take(RollBack, 1, &mut transaction, &mut written, &mut measured).unwrap();
        assert_eq!(attempts.judge(Outcome::Value("1".into())), Outcome::Value("1".into()));
        let kept = |(name, id): &(String, DocumentId)| transaction.get(name, id).unwrap().is_some();
        assert!(written.iter().all(kept));
    }
}

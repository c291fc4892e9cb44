//! Results of views with `keep: { every: "5m" }`: good for that long, whatever is committed meanwhile.
//!
//! The only results that time ends. They are told apart by what was asked and by so much of the caller as their run looked at,
//! as all others; one that looked at the time is kept too, since its age is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_sandbox::protocol::ScriptCaller;
use weir_schema::commit::Timestamp;

use super::key::{Class, QueryKey};
use crate::content::Content;

/// Questions that are kept before those are dropped whose time is over.
const QUESTIONS_MIN: usize = 256;
/// How much memory the results take, in bytes of JSON text, before those go whose time is over, and all if that is not enough.
const BYTES_MAX: usize = 64 << 20;

/// All such results.
#[derive(Default)]
pub(crate) struct TimedResults {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    questions: HashMap<QueryKey, Arc<Question>>,
    /// At so many, those are dropped whose time is over.
    cleared_at: usize,
    bytes: usize,
}

/// One question, and the answers to those who ask.
#[derive(Default)]
pub(crate) struct Question {
    /// Held by who runs the function.
    pub(crate) turn: tokio::sync::Mutex<()>,
    answers: Mutex<Vec<(Class, Timed)>>,
}

/// A result, and until when it is good.
#[derive(Debug, Clone)]
pub(crate) struct Timed {
    pub(crate) value: Arc<Content>,
    pub(crate) commit: Timestamp,
    pub(crate) since: Instant,
    pub(crate) until: Instant,
}

impl Timed {
    /// How old it is.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Question {
    /// What there is for a caller.
    pub(crate) fn answer(&self, caller: &ScriptCaller) -> Option<Timed> {
        let (answers, now) = (self.answers.lock(), Instant::now());
        answers.iter().find(|(class, timed)| now < timed.until && class.has(caller)).map(|(_, timed)| timed.clone())
    }

    fn bytes(&self) -> usize {
        self.answers.lock().iter().map(|(_, timed)| timed.value.bytes()).sum()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.answers.lock().iter().all(|(_, timed)| timed.until <= now)
    }
}

impl TimedResults {
    /// A question, asked before or not.
    pub(crate) fn question(&self, key: &QueryKey) -> Arc<Question> {
        let mut kept = self.kept.lock();
        if kept.questions.len() >= kept.cleared_at.max(QUESTIONS_MIN) {
            kept.clear();
        }
        kept.questions.entry(key.clone()).or_default().clone()
    }

    /// Keeps an answer, in the place of those of the same callers and of those whose time is over.
    pub(crate) fn keep(&self, question: &Question, class: Class, timed: Timed) {
        let now = Instant::now();
        let (before, after) = {
            let before = question.bytes();
            let mut answers = question.answers.lock();
            answers.retain(|(other, timed)| *other != class && now < timed.until);
            answers.push((class, timed));
            drop(answers);
            (before, question.bytes())
        };
        let mut kept = self.kept.lock();
        kept.bytes = kept.bytes.saturating_sub(before).saturating_add(after);
        if kept.bytes > BYTES_MAX {
            kept.clear();
        }
    }

    /// Forgets the questions to other releases.
    pub(crate) fn retire_all_but(&self, release: u64) {
        let mut kept = self.kept.lock();
        kept.questions.retain(|key, _| key.release == release);
        kept.bytes = kept.questions.values().map(|question| question.bytes()).sum();
    }
}

impl Kept {
    /// Drops those whose time is over, and all if that is not enough.
    fn clear(&mut self) {
        let now = Instant::now();
        self.questions.retain(|_, question| Arc::strong_count(question) > 1 || !question.is_over(now));
        self.bytes = self.questions.values().map(|question| question.bytes()).sum();
        if self.bytes > BYTES_MAX {
            self.questions.clear();
            self.bytes = 0;
        }
        self.cleared_at = 2 * self.questions.len();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::results::key::Claims;

    fn timed(value: &str, lasts: Duration) -> Timed {
        let since = Instant::now();
        let value = Arc::new(Content::from(json!(value)));
        Timed { value, commit: Timestamp(1), since, until: since + lasts }
    }

    fn key(release: u64, arguments: &str) -> QueryKey {
        QueryKey { release, function: 0, arguments: arguments.into() }
    }

    #[test]
    fn an_answer_is_good_for_its_time_and_its_callers() {
        let (results, hour) = (TimedResults::default(), Duration::from_secs(3_600));
        let user = ScriptCaller { kind: "user", subject: Some("ada".to_owned()) };
        let nobody = ScriptCaller { kind: "anonymous", subject: None };
        let question = results.question(&key(1, "{}"));
        results.keep(&question, Class::of(&user, Claims::ALL), timed("ada's", hour));
        assert_eq!(*results.question(&key(1, "{}")).answer(&user).unwrap().value, json!("ada's"));
        assert!(question.answer(&nobody).is_none());
        results.keep(&question, Class::of(&user, Claims::NONE), timed("all's", Duration::ZERO));
        assert!(question.answer(&nobody).is_none(), "its time is over");
        results.retire_all_but(2);
        assert!(results.question(&key(1, "{}")).answer(&user).is_none());
    }

    #[test]
    fn what_is_over_is_dropped() {
        let results = TimedResults::default();
        for number in 0..10 * QUESTIONS_MIN {
            let question = results.question(&key(1, &number.to_string()));
            let caller = ScriptCaller { kind: "anonymous", subject: None };
            results.keep(&question, Class::of(&caller, Claims::NONE), timed("x", Duration::ZERO));
        }
        assert!(results.kept.lock().questions.len() <= QUESTIONS_MIN);
    }
}

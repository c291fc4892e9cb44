//! Results of views with `keep: { every: "5m" }` or `keep: { cron: "0 * * * *" }`: as of their last run, whatever is committed
//! meanwhile.
//!
//! The only results that time ends. They are told apart by what was asked and by so much of the caller as their run looked at,
//! as all others; one that looked at the time is kept too, since its age is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use weir_sandbox::protocol::ScriptCaller;
use weir_schema::commit::Timestamp;
use weir_schema::cron::Schedule;
use weir_schema::declarations::Keep;

use super::key::{Class, QueryKey};
use super::run::{End, NotRun, run};
use crate::call::CallError;
use crate::content::Content;
use crate::engine::Engine;
use crate::keep::record::Record;
use crate::run::{Prepared, RUNS_MAX};

/// Questions that are kept before those are dropped whose time is over.
const QUESTIONS_MIN: usize = 256;
/// How much memory the results take, in bytes of JSON text, before those go whose time is over, and all but those of the
/// schedule if that is not enough.
const BYTES_MAX: usize = 64 << 20;

/// How long to wait after a scheduled run has failed, if the next is not before.
const FAILED_PAUSE: Duration = Duration::from_secs(60);

/// When a view is computed, if that is a matter of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Timing {
    /// When somebody asks, and that long has gone by.
    Every(Duration),
    /// At these times.
    Cron(Schedule),
}

impl Timing {
    /// That of a policy.
    pub(crate) fn of(keep: Option<&Keep>) -> Option<Self> {
        match keep? {
            Keep::EveryMs(every) => Some(Self::Every(Duration::from_millis(*every))),
            Keep::Cron(schedule) => Some(Self::Cron(schedule.as_ref().clone())),
            Keep::Eager | Keep::OnDemand => None,
        }
    }

    /// How long to wait after a failure.
    pub(crate) fn pause(&self) -> Duration {
        match self {
            Self::Every(every) => *every,
            Self::Cron(_) => FAILED_PAUSE,
        }
    }

    /// How long a result is good that is computed at a time, unless it is replaced before.
    pub(crate) fn lasts(&self, now_ms: u64) -> Duration {
        match self {
            Self::Every(every) => *every,
            Self::Cron(schedule) => {
                let next = schedule.next_after(now_ms).unwrap_or(u64::MAX);
                Duration::from_millis(next.saturating_sub(now_ms))
            }
        }
    }
}

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
pub(crate) struct Question {
    /// Held by who runs the function.
    pub(crate) turn: tokio::sync::Mutex<()>,
    answers: Mutex<Vec<(Class, Timed)>>,
    /// How many answers there have been.
    changed: watch::Sender<u64>,
}

/// A result, and until when it is good.
#[derive(Debug, Clone)]
pub(crate) struct Timed {
    pub(crate) value: Arc<Content>,
    pub(crate) commit: Timestamp,
    /// When it was computed, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// How old it was at a moment.
    age: (Duration, Instant),
    /// `None` for one that is good until the schedule brings another.
    pub(crate) until: Option<Instant>,
}

impl Timed {
    /// One that is so old now and good for so long; `None` for until the schedule brings another.
    pub(crate) fn new(
        value: Arc<Content>,
        commit: Timestamp,
        at_ms: u64,
        age: Duration,
        lasts: Option<Duration>,
    ) -> Self {
        let now = Instant::now();
        // What the clock cannot reach is never over.
        let until = lasts.and_then(|lasts| now.checked_add(lasts));
        Self { value, commit, at_ms, age: (age, now), until }
    }

    /// How old it is.
    pub(crate) fn age(&self) -> Duration {
        let (age, then) = self.age;
        age + then.elapsed()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Default for Question {
    fn default() -> Self {
        Self { turn: tokio::sync::Mutex::default(), answers: Mutex::default(), changed: watch::channel(0).0 }
    }
}

impl Question {
    /// What there is for a caller.
    pub(crate) fn answer(&self, caller: &ScriptCaller) -> Option<Timed> {
        let (answers, now) = (self.answers.lock(), Instant::now());
        answers.iter().find(|(class, timed)| !timed.is_over(now) && class.has(caller)).map(|(_, timed)| timed.clone())
    }

    /// Tells of each new answer.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// When the schedule has had it computed last, in milliseconds since 1970.
    pub(crate) fn scheduled_at_ms(&self) -> Option<u64> {
        let answers = self.answers.lock();
        answers.iter().filter(|(_, timed)| timed.until.is_none()).map(|(_, timed)| timed.at_ms).max()
    }

    fn newest(&self) -> Option<Timed> {
        self.answers.lock().iter().map(|(_, timed)| timed).max_by_key(|timed| timed.at_ms).cloned()
    }

    fn bytes(&self) -> usize {
        self.answers.lock().iter().map(|(_, timed)| timed.value.bytes()).sum()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.answers.lock().iter().all(|(_, timed)| timed.is_over(now))
    }

    fn is_of_schedule(&self) -> bool {
        self.answers.lock().iter().any(|(_, timed)| timed.until.is_none())
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
            let is_of_schedule = timed.until.is_none();
            if is_of_schedule && answers.iter().any(|(_, other)| other.until.is_none() && other.at_ms > timed.at_ms) {
                return;
            }
            // The schedule has one for all whom it suits; those of a run before it, for others, are not good any more.
            let is_replaced = |other: &Timed| is_of_schedule && other.until.is_none();
            answers.retain(|(other, timed)| *other != class && !timed.is_over(now) && !is_replaced(timed));
            answers.push((class, timed));
            drop(answers);
            (before, question.bytes())
        };
        question.changed.send_modify(|changes| *changes += 1);
        let mut kept = self.kept.lock();
        kept.bytes = kept.bytes.saturating_sub(before).saturating_add(after);
        if kept.bytes > BYTES_MAX {
            kept.clear();
        }
    }

    /// Forgets the questions to other releases.
    pub(crate) fn retire_all_but(&self, releases: &[u64]) {
        let mut kept = self.kept.lock();
        kept.questions.retain(|key, _| releases.contains(&key.release));
        kept.count();
    }

    /// Forgets the answers of a function.
    pub(crate) fn forget(&self, release: u64, function: usize) {
        let mut kept = self.kept.lock();
        for (_, question) in kept.questions.iter().filter(|(key, _)| key.release == release && key.function == function)
        {
            question.answers.lock().clear();
            question.changed.send_modify(|changes| *changes += 1);
        }
        kept.count();
    }

    /// Forgets those of them that somebody has asked for, rather than the schedule.
    pub(crate) fn forget_asked(&self, release: u64, function: usize) {
        let mut kept = self.kept.lock();
        for (_, question) in kept.questions.iter().filter(|(key, _)| key.release == release && key.function == function)
        {
            question.answers.lock().retain(|(_, timed)| timed.until.is_none());
        }
        kept.count();
    }

    /// The newest answer of a function, how many there are, and their bytes.
    pub(crate) fn of(&self, release: u64, function: usize) -> (Option<Timed>, usize, usize) {
        let kept = self.kept.lock();
        let all = kept.questions.iter().filter(|(key, _)| key.release == release && key.function == function);
        let questions: Vec<_> = all.map(|(_, question)| question).collect();
        let newest = questions.iter().filter_map(|question| question.newest()).max_by_key(|timed| timed.at_ms);
        let answers = questions.iter().map(|question| question.answers.lock().len()).sum();
        (newest, answers, questions.iter().map(|question| question.bytes()).sum())
    }
}

impl Kept {
    /// Drops those whose time is over, and all but those of the schedule if that is not enough.
    fn clear(&mut self) {
        let now = Instant::now();
        self.questions.retain(|_, question| Arc::strong_count(question) > 1 || !question.is_over(now));
        self.count();
        if self.bytes > BYTES_MAX {
            self.questions.retain(|_, question| Arc::strong_count(question) > 1 || question.is_of_schedule());
            self.count();
        }
        self.cleared_at = 2 * self.questions.len();
    }

    fn count(&mut self) {
        self.bytes = self.questions.values().map(|question| question.bytes()).sum();
    }
}

/// Who has a view of time computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Caller,
    Schedule,
}

impl Engine {
    /// Answers a view that is computed now and then: as of the last time, which one caller makes for all.
    pub(crate) async fn read_timed(&self, query: &Prepared, timing: &Timing) -> Result<Timed, CallError> {
        let (timed, caller) = (&self.results().timed, query.seen());
        let question = timed.question(&query.key());
        if let Some(answer) = question.answer(caller) {
            return Ok(answer);
        }
        let _turn = question.turn.lock().await;
        if let Some(answer) = question.answer(caller) {
            return Ok(answer);
        }
        self.run_timed(query, timing, &question, For::Caller).await
    }

    /// Computes a view whose time has come, whatever there is of it. That is served until it comes again.
    pub(crate) async fn run_scheduled(&self, query: &Prepared, timing: &Timing) -> Result<Timed, CallError> {
        let question = self.results().timed.question(&query.key());
        let _turn = question.turn.lock().await;
        self.run_timed(query, timing, &question, For::Schedule).await
    }

    /// The question, for who waits for its next answer.
    pub(crate) fn timed_question(&self, query: &Prepared) -> Arc<Question> {
        self.results().timed.question(&query.key())
    }

    /// The newest answer of a function, how many there are, and their bytes.
    pub(crate) fn timed_of(&self, release: u64, function: usize) -> (Option<Timed>, usize, usize) {
        self.results().timed.of(release, function)
    }

    /// Brings back an answer that was computed by another process, if it is good still; says whether it is.
    pub(crate) fn restore_timed(&self, key: &QueryKey, timing: &Timing, record: &Record, now_ms: u64) -> bool {
        // Where the clock was set back nobody knows how old it is.
        let Some(age_ms) = now_ms.checked_sub(record.header.at_ms) else { return false };
        let age = Duration::from_millis(age_ms);
        let lasts = match timing {
            Timing::Cron(_) if record.header.is_scheduled => None,
            timing => match timing.lasts(record.header.at_ms).checked_sub(age) {
                None | Some(Duration::ZERO) => return false,
                left => left,
            },
        };
        let answer = Timed::new(record.value.clone(), record.header.commit, record.header.at_ms, age, lasts);
        let timed = &self.results().timed;
        timed.keep(&timed.question(key), record.header.class.clone(), answer);
        true
    }

    async fn run_timed(
        &self,
        query: &Prepared,
        timing: &Timing,
        question: &Question,
        reason: For,
    ) -> Result<Timed, CallError> {
        let mut losses = 0;
        loop {
            match run(self, query).await {
                Ok(End { result, head, looked, cost, .. }) => {
                    let (value, now_ms) = (result?, self.clock().now_ms());
                    let lasts = Some(timing.lasts(now_ms)).filter(|_| reason == For::Caller);
                    let answer = Timed::new(value, head.timestamp, now_ms, Duration::ZERO, lasts);
                    let class = Class::of(query.seen(), looked.claims);
                    self.keeping().note_timed(query, &class, &answer, cost);
                    self.results().timed.keep(question, class, answer.clone());
                    return Ok(answer);
                }
                Err(NotRun::Lost(_)) if losses + 1 < RUNS_MAX => losses += 1,
                Err(NotRun::Never(error) | NotRun::Yet(error) | NotRun::Lost(error)) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::results::key::Claims;

    fn timed(value: &str, lasts: Option<Duration>) -> Timed {
        Timed::new(Arc::new(Content::from(json!(value))), Timestamp(1), 1, Duration::ZERO, lasts)
    }

    fn key(release: u64, arguments: &str) -> QueryKey {
        QueryKey { release, function: 0, arguments: arguments.into(), within: None }
    }

    #[test]
    fn an_answer_is_good_for_its_time_and_its_callers() {
        let (results, hour) = (TimedResults::default(), Some(Duration::from_secs(3_600)));
        let user = ScriptCaller { subject: Some("ada".to_owned()), ..ScriptCaller::without_token("user") };
        let nobody = ScriptCaller::without_token("anonymous");
        let question = results.question(&key(1, "{}"));
        results.keep(&question, Class::of(&user, Claims::ALL), timed("ada's", hour));
        assert_eq!(*results.question(&key(1, "{}")).answer(&user).unwrap().value, json!("ada's"));
        assert!(question.answer(&nobody).is_none());
        results.keep(&question, Class::of(&user, Claims::NONE), timed("all's", Some(Duration::ZERO)));
        assert!(question.answer(&nobody).is_none(), "its time is over");
        results.keep(&question, Class::of(&user, Claims::NONE), timed("of the schedule", None));
        assert_eq!(*question.answer(&nobody).unwrap().value, json!("of the schedule"));
        results.retire_all_but(&[2]);
        assert!(results.question(&key(1, "{}")).answer(&user).is_none());
    }

    #[test]
    fn a_schedule_replaces_its_last_answer_whomever_that_was_for() {
        let results = TimedResults::default();
        let user = ScriptCaller { subject: Some("ada".to_owned()), ..ScriptCaller::without_token("user") };
        let question = results.question(&key(1, "{}"));
        let answer = |value: &str, at_ms: u64| Timed { at_ms, ..timed(value, None) };
        results.keep(&question, Class::of(&user, Claims::NONE), answer("first", 1));
        results.keep(&question, Class::of(&user, Claims::ALL), answer("second", 2));
        assert_eq!(*question.answer(&user).unwrap().value, json!("second"));
        results.keep(&question, Class::of(&user, Claims::NONE), answer("brought back late", 1));
        assert_eq!(*question.answer(&user).unwrap().value, json!("second"));
    }

    #[test]
    fn what_is_over_is_dropped() {
        let results = TimedResults::default();
        for number in 0..10 * QUESTIONS_MIN {
            let question = results.question(&key(1, &number.to_string()));
            let caller = ScriptCaller::without_token("anonymous");
            let lasts = if number == 0 { None } else { Some(Duration::ZERO) };
            results.keep(&question, Class::of(&caller, Claims::NONE), timed("x", lasts));
        }
        assert!(results.kept.lock().questions.len() <= QUESTIONS_MIN);
        let caller = ScriptCaller::without_token("anonymous");
        assert!(results.question(&key(1, "0")).answer(&caller).is_some());
    }
}

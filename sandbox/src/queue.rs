//! Calls that wait for an isolate, in a line for each share, and whose turn it is.
//!
//! Next is who has used least: first among the tenants, then among the callers of that one. What counts is the time for
//! which their calls held seats, so that calls of a second get fewer turns than calls of a microsecond. Nobody saves up turns:
//! who comes new starts where the others are. Nobody's debt grows past [`LAG_MAX`], so that everybody's turn comes. This is
//! start-time fair queueing (Goyal, Vin and Cheng, 1996); what a call costs is estimated when it is taken and put right when
//! it is over.
//!
//! No call waits for longer than it may. One that would, by how fast the calls before it in its line are taken, is refused when
//! it comes; one that did all the same, when its turn comes. So under overload calls are answered as many as there can be,
//! each in its time, and what is refused costs next to nothing: first of those whose lines are long, which is where the load
//! comes from. A whole line that is refused late would have everybody wait for nothing.
//!
//! It knows no thread and no clock: `crew.rs` takes what is here.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::accounts::Accounts;

/// Whose call it is. To the sandbox these are numbers that are equal or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Share {
    /// Tenants have their turns first.
    pub tenant: u64,
    /// The callers of one share the tenant's.
    pub caller: u64,
}

/// How much longer than its turn a share waits, at most, for having used more than others; and what it gets ahead for having
/// been kept from its turns.
pub const LAG_MAX: Duration = Duration::from_secs(1);
/// After this long a call is slow: it no longer counts among those that keep the cores busy for a moment.
pub const SLOW: Duration = Duration::from_millis(2);
/// The least that a call counts for.
const COST_MIN: Duration = Duration::from_micros(1);
/// Shares that are remembered for a debt alone, of one tenant, and tenants.
const RESTING_MAX: usize = 1_024;
/// The shortest and the longest that a refused caller is told to wait.
const RETRY_MIN: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How long it takes until the next call is taken, as long as nobody has seen one taken.
const GAP_UNKNOWN: Duration = Duration::from_millis(10);
/// Between two looks through the whole queue for calls that nobody waits for.
const BETWEEN_SWEEPS: Duration = Duration::from_millis(50);

/// What bounds a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Calls that hold a seat.
    pub seats: usize,
    /// How many of them may be quick: the cores that they keep busy.
    pub quick: usize,
    /// Calls that wait.
    pub waiting_max: usize,
    /// Calls of one share that wait.
    pub waiting_share_max: usize,
    /// How long a call may wait.
    pub wait_max: Duration,
}

/// There is no room for the call, or it would wait for too long: it comes back.
#[derive(Debug)]
pub struct Full<T> {
    /// The call.
    pub call: T,
    /// When it may be worth another try.
    pub retry_after: Duration,
}

/// A seat that is held. To be given back to [`Queue::end`].
#[derive(Debug)]
pub struct Turn {
    share: Share,
    estimate: Duration,
    taken: Instant,
}

/// What comes of looking for the next call.
#[derive(Debug)]
pub struct Next<T> {
    /// The call whose turn it is, and its seat.
    pub taken: Option<(T, Turn)>,
    /// Calls that nobody waits for any more. To be dropped where no lock is held.
    pub unawaited: Vec<T>,
    /// Calls that have waited for too long. To be refused where no lock is held.
    pub late: Vec<Full<T>>,
}

/// Calls that wait, and the seats that others hold.
pub struct Queue<T> {
    bounds: Bounds,
    /// Whether somebody still waits for what comes of a call.
    is_awaited: fn(&T) -> bool,
    tenants: Accounts,
    callers: HashMap<u64, Accounts>,
    lines: HashMap<Share, Line<T>>,
    /// Calls that have a seat for certain, and are to be taken before all others.
    certain: VecDeque<(Share, T)>,
    waiting: usize,
    /// Lines in which somebody waits.
    lines_waiting: usize,
    /// Since when the seats are held, earliest first.
    held: Vec<Instant>,
    gaps: Gaps,
    pace: Pace,
    swept: Option<Instant>,
}

/// A call in its line.
struct Waiting<T> {
    since: Instant,
    call: T,
}

/// The calls of one share that wait, and what is known of those before them.
struct Line<T> {
    calls: VecDeque<Waiting<T>>,
    held: usize,
    cost: Duration,
    gaps: Gaps,
    pace: Pace,
}

/// How long the first that waits does so until it is taken, on average. Of calls that come one by one that is next to
/// nothing; where they wait for each other it is the time from one to the next.
#[derive(Clone, Copy, Default)]
struct Pace {
    average: Duration,
    last: Option<Instant>,
}

impl Pace {
    /// One is taken that has waited.
    fn taken(&mut self, since: Instant, now: Instant) {
        let first_since = self.last.map_or(since, |last| last.max(since));
        self.average = (self.average * 7 + now.saturating_duration_since(first_since)) / 8;
        self.last = Some(now);
    }

    /// How long it takes until so many are taken.
    fn until(&self, calls: usize) -> Duration {
        self.average.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX))
    }
}

/// The time from one call that is taken to the next, on average.
#[derive(Clone, Copy, Default)]
struct Gaps {
    average: Option<Duration>,
    last: Option<Instant>,
}

impl Gaps {
    fn taken(&mut self, now: Instant) {
        if let Some(last) = self.last {
            let gap = now.saturating_duration_since(last);
            self.average = Some(self.average.map_or(gap, |average| (average * 7 + gap) / 8));
        }
        self.last = Some(now);
    }

    /// How long it takes until so many more are taken.
    fn until(&self, calls: usize, now: Instant) -> Duration {
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let since = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        // A gap that is longer than all before it is news.
        let gap = self.average.unwrap_or(GAP_UNKNOWN).max(since);
        gap.saturating_mul(calls).clamp(RETRY_MIN, RETRY_MAX)
    }
}

impl<T> Line<T> {
    fn new() -> Self {
        Self { calls: VecDeque::new(), held: 0, cost: Duration::ZERO, gaps: Gaps::default(), pace: Pace::default() }
    }
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new(bounds: Bounds, is_awaited: fn(&T) -> bool) -> Self {
        Self {
            bounds,
            is_awaited,
            tenants: Accounts::new(LAG_MAX, RESTING_MAX),
            callers: HashMap::new(),
            lines: HashMap::new(),
            certain: VecDeque::new(),
            waiting: 0,
            lines_waiting: 0,
            held: Vec::with_capacity(bounds.seats),
            gaps: Gaps::default(),
            pace: Pace::default(),
            swept: None,
        }
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.waiting + self.certain.len()
    }

    /// Seats that are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Puts a call at the end of its share's line.
    pub fn push(&mut self, share: Share, call: T, now: Instant) -> Result<(), Full<T>> {
        if self.waiting >= self.bounds.waiting_max {
            return Err(Full { call, retry_after: self.gaps.until(self.waiting / 2, now) });
        }
        let line = self.lines.get(&share);
        let before = line.map_or(0, |line| line.calls.len());
        if before >= self.bounds.waiting_share_max {
            let retry_after = line.map_or(RETRY_MIN, |line| line.gaps.until(before / 2, now));
            return Err(Full { call, retry_after });
        }
        // Who comes first in its line waits for one of each other line.
        let wait = match line.filter(|_| before > 0) {
            Some(line) => line.pace.until(before),
            None => self.pace.until(self.lines_waiting),
        };
        // An average is passed now and then. Who would be late by a little waits for nothing.
        if wait + wait / 8 > self.bounds.wait_max {
            let retry_after = wait.saturating_sub(self.bounds.wait_max / 2).clamp(RETRY_MIN, RETRY_MAX);
            return Err(Full { call, retry_after });
        }
        let line = self.lines.entry(share).or_insert_with(Line::new);
        line.calls.push_back(Waiting { since: now, call });
        self.waiting += 1;
        if before == 0 {
            self.lines_waiting += 1;
            let callers = self.callers.entry(share.tenant).or_insert_with(|| Accounts::new(LAG_MAX, RESTING_MAX));
            callers.wait(share.caller);
            self.tenants.wait(share.tenant);
        }
        Ok(())
    }

    /// Takes a call only if a seat is free for it now, whatever its share has used and holds.
    pub fn push_certain(&mut self, share: Share, call: T, now: Instant) -> Result<(), Full<T>> {
        if self.held.len() + self.certain.len() >= self.bounds.seats {
            return Err(Full { call, retry_after: self.gaps.until(1, now) });
        }
        self.certain.push_back((share, call));
        Ok(())
    }

    /// Takes the call whose turn it is, if a seat is free for it.
    pub fn next(&mut self, now: Instant) -> Next<T> {
        let mut next = Next { taken: None, unawaited: Vec::new(), late: Vec::new() };
        if let Some((share, call)) = self.certain.pop_front() {
            let turn = self.seat(share, now);
            next.taken = Some((call, turn));
            return next;
        }
        while let Some(share) = self.whose_turn(now) {
            let Some(Waiting { since, call }) = self.pop(share) else { break };
            if !(self.is_awaited)(&call) {
                self.rest(share);
                next.unawaited.push(call);
            } else if now.saturating_duration_since(since) > self.bounds.wait_max {
                let line = self.lines.get(&share);
                let retry_after = line.map_or(RETRY_MIN, |line| line.gaps.until(line.calls.len() / 2, now));
                self.rest(share);
                next.late.push(Full { call, retry_after });
            } else {
                self.pace.taken(since, now);
                if let Some(line) = self.lines.get_mut(&share) {
                    line.pace.taken(since, now);
                }
                let turn = self.seat(share, now);
                next.taken = Some((call, turn));
                break;
            }
        }
        next
    }

    /// Gives a seat back.
    pub fn end(&mut self, turn: Turn, now: Instant) {
        let Turn { share, estimate, taken } = turn;
        let cost = now.saturating_duration_since(taken).max(COST_MIN);
        if let Some(place) = self.held.iter().position(|since| *since == taken) {
            self.held.remove(place);
        }
        if let Some(line) = self.lines.get_mut(&share) {
            line.held = line.held.saturating_sub(1);
            line.cost = if line.cost.is_zero() { cost } else { (line.cost * 3 + cost) / 4 };
        }
        self.tenants.charge(share.tenant, cost, estimate);
        if let Some(callers) = self.callers.get_mut(&share.tenant) {
            callers.charge(share.caller, cost, estimate);
        }
        self.rest(share);
    }

    /// Whether a call could be taken now.
    pub fn is_due(&self, now: Instant) -> bool {
        !self.certain.is_empty() || self.whose_turn(now).is_some()
    }

    /// Whether a call waits for nothing but that those which run turn out to be slow.
    pub fn is_paced(&self, now: Instant) -> bool {
        !self.has_pace(now) && self.first_with_a_seat().is_some()
    }

    /// Takes out all calls that nobody waits for any more, if that was not tried a moment ago.
    pub fn sweep(&mut self, now: Instant) -> Vec<T> {
        let mut unawaited = Vec::new();
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < BETWEEN_SWEEPS) {
            return unawaited;
        }
        self.swept = Some(now);
        let mut emptied = Vec::new();
        for (share, line) in &mut self.lines {
            let waiting = line.calls.len();
            for _ in 0..waiting {
                let Some(waiting) = line.calls.pop_front() else { break };
                if (self.is_awaited)(&waiting.call) {
                    line.calls.push_back(waiting);
                } else {
                    unawaited.push(waiting.call);
                }
            }
            if waiting > 0 && line.calls.is_empty() {
                emptied.push(*share);
            }
        }
        self.waiting -= unawaited.len();
        for share in emptied {
            self.stop_waiting(share);
            self.rest(share);
        }
        unawaited
    }

    /// The share that is next, as far as there is a seat for it.
    fn whose_turn(&self, now: Instant) -> Option<Share> {
        if self.waiting == 0 || !self.has_pace(now) { None } else { self.first_with_a_seat() }
    }

    /// As many calls as there are cores run at once, beside the slow ones.
    fn has_pace(&self, now: Instant) -> bool {
        let held = self.held.len();
        if held < self.bounds.quick {
            return true;
        }
        let slow = self.held.iter().take_while(|since| now.saturating_duration_since(**since) >= SLOW).count();
        held - slow < self.bounds.quick
    }

    /// The first in order of use that holds fewer seats than are free. Those before it hold one at least, so that there are
    /// no more of them than seats.
    fn first_with_a_seat(&self) -> Option<Share> {
        let free = self.bounds.seats.saturating_sub(self.held.len() + self.certain.len());
        if free == 0 {
            return None;
        }
        let may_take = |share: &Share| self.lines.get(share).is_some_and(|line| line.held < free);
        self.tenants.waiting().find_map(|tenant| {
            let callers = self.callers.get(&tenant)?;
            callers.waiting().map(|caller| Share { tenant, caller }).find(may_take)
        })
    }

    fn pop(&mut self, share: Share) -> Option<Waiting<T>> {
        let line = self.lines.get_mut(&share)?;
        let call = line.calls.pop_front()?;
        self.waiting -= 1;
        if line.calls.is_empty() {
            self.stop_waiting(share);
        }
        Some(call)
    }

    /// The last of a line is taken out of it.
    fn stop_waiting(&mut self, share: Share) {
        self.lines_waiting = self.lines_waiting.saturating_sub(1);
        let Some(callers) = self.callers.get_mut(&share.tenant) else { return };
        callers.stop_waiting(share.caller);
        if callers.waiting().next().is_none() {
            self.tenants.stop_waiting(share.tenant);
        }
    }

    /// Gives a share a seat.
    fn seat(&mut self, share: Share, now: Instant) -> Turn {
        self.gaps.taken(now);
        self.held.push(now);
        let line = self.lines.entry(share).or_insert_with(Line::new);
        line.gaps.taken(now);
        line.held += 1;
        let estimate = line.cost.max(COST_MIN);
        self.tenants.turn(share.tenant, estimate);
        let callers = self.callers.entry(share.tenant).or_insert_with(|| Accounts::new(LAG_MAX, RESTING_MAX));
        callers.turn(share.caller, estimate);
        Turn { share, estimate, taken: now }
    }

    /// Forgets of a share that neither waits nor holds a seat all but what it has used more than others.
    fn rest(&mut self, share: Share) {
        let is_idle = |line: &Line<T>| line.held == 0 && line.calls.is_empty();
        if self.lines.get(&share).is_none_or(|line| !is_idle(line)) {
            return;
        }
        self.lines.remove(&share);
        if self.lines.is_empty() {
            // With nobody there, there is nobody to be in debt to.
            self.tenants.clear();
            self.callers.clear();
            return;
        }
        if let Some(callers) = self.callers.get_mut(&share.tenant) {
            callers.rest(share.caller);
            if callers.is_resting() {
                self.tenants.rest(share.tenant);
            }
        }
        if self.callers.len() > self.tenants.len() {
            self.callers.retain(|tenant, _| self.tenants.knows(*tenant));
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

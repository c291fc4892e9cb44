//! The functions of the model.

use serde_json::{Value, json};
use weir_sandbox::protocol::Observed;

use super::{State, caller};
use crate::results::key::Looked;

/// A function of the model: what it reads, and what else it looks at.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kind: bool,
    pub(super) subject: bool,
    /// Only if the first key it reads is odd does it look at the caller.
    pub(super) sometimes: bool,
    pub(super) time: bool,
    /// Whether it gives no more than whether the sum is large, which most commits do not change.
    pub(super) coarse: bool,
    /// Whether it gives no more than whether the caller is a user, and even that only if it looks.
    pub(super) polite: bool,
    /// The views that it calls, and whose results are part of its own.
    pub(super) calls: &'static [usize],
    /// Whether it calls only the first of them while the first key that it reads is odd.
    pub(super) fewer: bool,
}

const PLAIN: Function = Function {
    from: 0,
    to: 0,
    kind: false,
    subject: false,
    sometimes: false,
    time: false,
    coarse: false,
    polite: false,
    calls: &[],
    fewer: false,
};

pub(super) const FUNCTIONS: [Function; 15] = [
    Function { from: 0, to: 4, ..PLAIN },
    Function { from: 3, to: 4, ..PLAIN },
    Function { from: 2, to: 9, kind: true, ..PLAIN },
    Function { from: 5, to: 8, kind: true, subject: true, sometimes: true, ..PLAIN },
    Function { from: 8, to: 12, subject: true, sometimes: true, ..PLAIN },
    Function { from: 1, to: 3, time: true, ..PLAIN },
    Function { from: 4, to: 7, coarse: true, ..PLAIN },
    // These two see one view by two ways, and the second nothing but views.
    Function { from: 9, to: 10, calls: &[6, 1], ..PLAIN },
    Function { calls: &[7, 6, 3], ..PLAIN },
    Function { from: 11, to: 12, coarse: true, calls: &[8], ..PLAIN },
    Function { calls: &[5, 7], ..PLAIN },
    Function { calls: &[9, 10], ..PLAIN },
    Function { from: 2, to: 3, kind: true, sometimes: true, polite: true, ..PLAIN },
    Function { from: 10, to: 11, calls: &[12, 6], fewer: true, ..PLAIN },
    Function { from: 3, to: 4, coarse: true, calls: &[6, 13, 12], fewer: true, ..PLAIN },
];

impl Function {
    /// The views that it calls on a state.
    pub(super) fn calls_on(&self, state: &State) -> &'static [usize] {
        if self.fewer && state[self.from] % 2 == 1 { &self.calls[..1] } else { self.calls }
    }
}

/// What a function gives on a state: a value, or nothing where it fails.
pub(super) fn result(function: usize, who: usize, state: &State) -> (Option<Value>, Looked) {
    let Function { from, to, kind, subject, sometimes, time, coarse, polite, .. } = FUNCTIONS[function];
    let calls = FUNCTIONS[function].calls_on(state);
    let (mut looked, caller) = (Looked::default(), caller(who));
    let sum = state[from..to].iter().sum::<u64>();
    let mut seen = match (polite, coarse) {
        (true, _) => json!({}),
        (_, true) => json!({ "large": sum > 9 }),
        (_, false) => json!({ "keys": &state[from..to] }),
    };
    let mut fails = sum % 11 == 10;
    for (place, called) in calls.iter().enumerate() {
        let (value, of_view) = result(*called, who, state);
        looked.and(of_view);
        fails |= value.is_none();
        seen[format!("view {place}")] = json!(value);
    }
    if !sometimes || state[from] % 2 == 1 {
        if kind && polite {
            looked.at(Observed::Kind);
            if caller.kind != "user" {
                seen = json!({ "rude": true });
            }
        } else if kind {
            looked.at(Observed::Kind);
            seen["kind"] = json!(caller.kind);
        }
        if subject {
            looked.at(Observed::Subject);
            seen["subject"] = json!(caller.subject);
        }
    }
    if time {
        looked.at(Observed::Time);
    }
    ((!fails).then_some(seen), looked)
}

/// Whether a function, or one that it calls, looks at the time.
pub(super) fn is_volatile(function: usize) -> bool {
    FUNCTIONS[function].time || FUNCTIONS[function].calls.iter().any(|called| is_volatile(*called))
}

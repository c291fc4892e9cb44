//! The order in which a commit runs views and what was computed from them.

use super::*;

/// Watches one function, and lets all that is due run and land in the order in which it is due. Gives which functions ran.
fn settle(model: &mut Model) -> Vec<usize> {
    let mut ran = Vec::new();
    model.deliver(usize::MAX);
    model.note();
    while !model.due.is_empty() {
        for id in std::mem::take(&mut model.due) {
            let Some((departure, watcher)) = model.core.depart_for(id) else { continue };
            let function = watcher / CALLERS.len();
            let saw = model.newest();
            let Computed { value, looked, reads, read, views } = model.compute(function, 0, saw);
            let result = Ok(Arc::new(Content::from(value.expect("no sum of ten"))));
            let (head, cost) = (head(saw), Duration::ZERO);
            let end = RunEnd { result, head, reads, views, read, looked, cost, may_pass: false };
            model.core.land(departure, &question(function), &caller(0), end);
            ran.push(function);
        }
        model.note();
    }
    ran
}

fn set(model: &mut Model, at: usize, to: u64) {
    let mut state = model.states[model.newest()];
    state[at] = to;
    model.states.push(state);
    let Head { sequence, timestamp, .. } = head(model.newest());
    model.unseen.push(Arc::new(Notice { timestamp, sequence, touched: Box::new([key(at)]) }));
}

#[test]
fn views_run_once_for_a_commit_and_before_what_depends_on_them() {
    let mut model = Model::new();
    model.watch(9, 0);
    assert_eq!(settle(&mut model), [9], "the first run computes the views on its way");
    set(&mut model, 4, 8);
    assert_eq!(settle(&mut model), [6], "the sum is not large yet: nothing that depends on it runs");
    set(&mut model, 4, 11);
    assert_eq!(settle(&mut model), [6, 7, 8, 9], "each once, though two see the first");
    set(&mut model, 11, 9);
    assert_eq!(settle(&mut model), [9], "no view has changed");
    set(&mut model, 0, 1);
    assert_eq!(settle(&mut model), [] as [usize; 0], "nobody has read that");
}

#[test]
fn who_depends_on_views_that_stayed_the_same_has_a_result_of_the_newest_commit() {
    let mut model = Model::new();
    model.watch(9, 0);
    settle(&mut model);
    set(&mut model, 4, 8);
    assert_eq!(settle(&mut model), [6]);
    // Both are found, as of the last commit.
    model.read(9, 0);
    model.read(7, 0);
    assert!(model.runs.is_empty() && model.joined.is_empty());
}

#[test]
fn a_view_that_nobody_needs_any_more_is_not_run_for_a_commit() {
    let mut model = Model::new();
    model.watch(9, 0);
    settle(&mut model);
    let watcher = model.watchers.pop().unwrap();
    model.core.unwatch(watcher.watching.id);
    set(&mut model, 4, 8);
    assert_eq!(settle(&mut model), [] as [usize; 0]);
    // All that was computed from it is gone with it, and what was not is still there.
    model.read(1, 0);
    assert!(model.runs.is_empty());
    model.read(6, 0);
    model.read(9, 0);
    assert_eq!(model.runs.len(), 2);
}

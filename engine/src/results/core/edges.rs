//! Which results were computed from which: what a commit puts in doubt, and in which order it is cleared up.
//!
//! An entry is run again only when the views that it was computed from have been, so that each is run once for a commit. Two
//! things make an exception, both so that nobody waits for ever where commits come faster than a view can be run: somebody
//! new who asks, and a run that a commit overtakes.

use std::mem;

use super::{Core, Dependency, Entry, Standing};

impl<S: Clone> Core<S> {
    /// All that was computed from an entry is in doubt, and what was computed from that. What nobody needs goes.
    pub(super) fn doubt_dependents(&mut self, id: u64) {
        let (mut found, mut next) = (Vec::new(), vec![id]);
        while let Some(id) = next.pop() {
            let Some(entry) = self.entries.get(&id) else { continue };
            for dependent in entry.dependents.iter().copied().collect::<Vec<u64>>() {
                let Some(entry) = self.entries.get_mut(&dependent) else { continue };
                if entry.is_fresh() {
                    entry.standing = Standing::Unsettled;
                    self.saving.note_gone(dependent, &entry.key, &entry.class);
                    found.push(dependent);
                    next.push(dependent);
                }
            }
        }
        while let Some(id) = found.pop() {
            self.let_go(id);
        }
    }

    /// Finds out which of the entries in doubt are due: those that are needed and stale, and depend on nothing in doubt. What
    /// nobody needs goes.
    pub(super) fn ripen(&mut self) {
        while let Some(id) = self.doubtful.pop() {
            if !self.is_waiting(id) {
                self.let_go(id);
            } else if self.is_sure_of_views(id) {
                self.due.push(id);
            }
        }
    }

    /// Those that were computed from an entry learn what a run of it gave.
    pub(super) fn inform(&mut self, id: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (digest, is_fresh) = (entry.digest(), entry.is_fresh());
        for dependent in entry.dependents.iter().copied().collect::<Vec<u64>>() {
            let seen = self.entries.get(&dependent).and_then(|entry| entry.dependency(id));
            if seen.is_some_and(|seen| Some(seen.digest) != digest) {
                self.grow_stale(dependent);
            }
            if !is_fresh && self.is_waiting(dependent) {
                // Commits come faster than that can be computed: what depends on it goes on with what there is.
                self.due.push(dependent);
            }
        }
        if is_fresh {
            self.clear_dependents(id);
        }
    }

    /// What was computed from an entry, all of whose views are the same again, is good; what is stale can be run.
    fn clear_dependents(&mut self, id: u64) {
        let (applied, mut next) = (self.applied, vec![id]);
        while let Some(id) = next.pop() {
            let Some(entry) = self.entries.get(&id) else { continue };
            for dependent in entry.dependents.iter().copied().collect::<Vec<u64>>() {
                if !self.is_sure_of_views(dependent) {
                    continue;
                }
                let since = self.views_since(dependent);
                let Some(entry) = self.entries.get_mut(&dependent) else { continue };
                match entry.standing {
                    Standing::Fresh => {}
                    Standing::Stale => self.doubtful.push(dependent),
                    Standing::Unsettled => {
                        entry.standing = Standing::Fresh;
                        // What the views have read may be something else.
                        self.saving.note(dependent, &entry.key);
                        // In between it may have been another.
                        entry.since = entry.since.max(since);
                        if entry.is_owed
                            && let Some(published) = entry.current(applied)
                        {
                            entry.publish(&published);
                        }
                        self.let_go(dependent);
                        next.push(dependent);
                    }
                }
            }
        }
    }

    /// Whether an entry is needed and stale, and nobody runs it.
    fn is_waiting(&self, id: u64) -> bool {
        let entry = self.entries.get(&id);
        entry.is_some_and(|entry| entry.is_needed() && entry.standing == Standing::Stale && entry.flight.is_none())
    }

    /// Whether none of the views that an entry was computed from is in doubt.
    fn is_sure_of_views(&self, id: u64) -> bool {
        let Some(entry) = self.entries.get(&id) else { return false };
        entry
            .dependencies
            .iter()
            .all(|dependency| self.entries.get(&dependency.id).is_some_and(|entry| entry.is_fresh()))
    }

    /// The commit since which it is known of all views that an entry was computed from what they give.
    pub(super) fn views_since(&self, id: u64) -> u64 {
        let views = self.entries.get(&id).map(|entry| entry.views()).unwrap_or_default();
        views.into_iter().filter_map(|view| Some(self.entries.get(&view)?.since)).max().unwrap_or_default()
    }

    /// Says what an entry was computed from, in place of what that was before.
    pub(super) fn depend(&mut self, id: u64, dependencies: Vec<Dependency>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let is_needed = entry.is_needed();
        let before = mem::replace(&mut entry.dependencies, dependencies.clone());
        for view in dependencies.iter().map(|dependency| dependency.id) {
            let Some(entry) = self.entries.get_mut(&view) else { continue };
            self.idle.swap_remove(&view);
            if entry.dependents.insert(id) && is_needed {
                self.need(view);
            }
        }
        let is_gone = |view: &u64| dependencies.iter().all(|dependency| dependency.id != *view);
        for view in before.iter().map(|dependency| dependency.id).filter(is_gone) {
            let Some(entry) = self.entries.get_mut(&view) else { continue };
            let was_needed = entry.dependents.remove(&id) && is_needed;
            for view in if was_needed { self.unneed(view) } else { vec![view] } {
                self.let_go(view);
            }
        }
    }

    /// An entry has become needed: so are the views that it was computed from.
    pub(super) fn need_views(&mut self, id: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        for view in entry.views() {
            self.need(view);
        }
    }

    /// An entry is not needed any more, nor for its sake the views that it was computed from.
    pub(super) fn unneed_views(&mut self, id: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        for view in entry.views() {
            for view in self.unneed(view) {
                self.let_go(view);
            }
        }
    }

    fn need(&mut self, id: u64) {
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            let was_needed = entry.is_needed();
            entry.needed_by += 1;
            if !was_needed {
                next.extend(entry.views());
            }
        }
    }

    /// One entry less needs it. Gives this one, and those that are needed no more.
    fn unneed(&mut self, id: u64) -> Vec<u64> {
        let (mut done, mut next) = (Vec::new(), vec![id]);
        while let Some(id) = next.pop() {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.needed_by = entry.needed_by.saturating_sub(1);
            if !entry.is_needed() {
                next.extend(entry.views());
            }
            done.push(id);
        }
        done
    }

    /// An entry is gone. Gives the views that nobody may need any more.
    pub(super) fn detach(&mut self, id: u64, gone: &Entry<S>) -> Vec<u64> {
        for dependent in &gone.dependents {
            // Nobody would tell it what has changed.
            self.grow_stale(*dependent);
            let Some(entry) = self.entries.get_mut(dependent) else { continue };
            entry.dependencies.retain(|dependency| dependency.id != id);
            self.doubtful.push(*dependent);
        }
        let mut views = Vec::new();
        for view in gone.views() {
            let Some(entry) = self.entries.get_mut(&view) else { continue };
            entry.dependents.remove(&id);
            match gone.is_needed() {
                true => views.extend(self.unneed(view)),
                false => views.push(view),
            }
        }
        views
    }
}

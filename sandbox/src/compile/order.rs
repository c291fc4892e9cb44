//! The modules that a compiled app runs, in the order in which they can be run.

use std::collections::BTreeMap;

use crate::app::Module;

/// Picks the modules that the roots import, each after all that it imports itself. What only types need is left out.
/// Imports that go in circles were refused before.
pub(super) fn dependencies_first(modules: Vec<Module>, is_root: impl Fn(&str) -> bool) -> Vec<Module> {
    let mut waiting: BTreeMap<String, Module> = BTreeMap::new();
    waiting.extend(modules.into_iter().map(|module| (module.path.clone(), module)));
    let roots: Vec<String> = waiting.keys().filter(|path| is_root(path)).cloned().collect();
    let mut sorted = Vec::with_capacity(waiting.len());
    for root in roots {
        place(&root, &mut waiting, &mut sorted);
    }
    sorted
}

fn place(path: &str, waiting: &mut BTreeMap<String, Module>, sorted: &mut Vec<Module>) {
    if let Some(module) = waiting.remove(path) {
        for (_, imported) in &module.imports {
            place(imported, waiting, sorted);
        }
        sorted.push(module);
    }
}

//! Views with `keep: "eager"`: computed when their release becomes active, and after each commit that touches them, whether
//! anybody asks or not.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;
use tracing::Instrument;
use weir_schema::declarations::{FunctionKind, Keep};

use crate::call::Caller;
use crate::engine::Engine;
use crate::release::Release;

/// Watches the eager views of a release, until these tasks are ended or it is not the active one any more.
pub(crate) fn watch_all(engine: &Engine, release: &Arc<Release>, tasks: &mut JoinSet<()>) {
    let functions = release.declarations().functions.values();
    let eager = functions.filter(|function| function.kind == FunctionKind::View && function.keep == Some(Keep::Eager));
    for function in eager {
        let mut watch = engine.watch(release, &Caller::Scheduler, &function.name, json!({}), None);
        let mut active = engine.releases();
        let number = release.number();
        let name = function.name.clone();
        let watching = async move {
            let is_active = |active: &Option<Arc<Release>>| active.as_ref().is_some_and(|it| it.number() == number);
            while is_active(&active.borrow_and_update()) {
                tokio::select! {
                    emission = watch.next() => if let Err(error) = emission {
                        tracing::warn!("the eager view {name} fails: {error}");
                    },
                    changed = active.changed() => if changed.is_err() {
                        return;
                    },
                }
            }
        };
        tasks.spawn(watching.instrument(engine.span().clone()));
    }
}

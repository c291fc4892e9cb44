//! Takes commits into account when nobody asks for a result: those who watch wait for them.

use std::sync::{Arc, Weak};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use weir_store::Notice;

use crate::engine::{Engine, Shared};

/// Runs until the store closes or the engine is gone. What it is told of a commit is only that there is one.
pub(crate) async fn pump(mut notices: Receiver<Arc<Notice>>, engine: Weak<Shared>) {
    loop {
        match notices.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        let Some(engine) = Engine::of(&engine) else { return };
        engine.catch_up();
    }
}

//! Systems without Unix domain sockets: nobody listens, so nobody can be asked.

use std::io;
use std::path::Path;

use serde_json::Value;
use weir_engine::Engine;
use weir_store::Store;
use weir_store::progress::Progress;

use super::AskError;
use super::message::Request;
use crate::tenants::Slot;

/// What would listen.
pub struct Control;

impl Control {
    /// Listens to nobody.
    pub fn start(_store: Store, _engine: Engine, _data: &Path, _tenants: Slot) -> io::Result<Self> {
        Ok(Self)
    }

    /// Has nothing to stop.
    pub async fn stop(self) {}
}

/// Finds nobody to ask.
pub fn ask(_data: &Path, _request: &Request, _show: impl FnMut(Progress)) -> Result<Option<Value>, AskError> {
    Ok(None)
}

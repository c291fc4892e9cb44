//! Why a release cannot be loaded beside those that there are.

use weir_sandbox::diagnostic::Diagnostic;
use weir_sandbox::isolate::IsolateError;
use weir_store::CatalogError;

use crate::control::ControlError;
use crate::secrets::Missing;

/// Why a release cannot become the active one. The one before stays.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// Its modules cannot be loaded.
    #[error(transparent)]
    Load(#[from] IsolateError),
    /// Its collections do not fit the data.
    #[error(transparent)]
    Collections(#[from] CatalogError),
    /// The server's configuration lacks secrets that it names.
    #[error(transparent)]
    Secrets(#[from] Missing),
    /// Only signed bundles run here.
    #[error("only signed bundles run here: deploy one with weir deploy")]
    Unsigned,
    /// Its schema cannot be served.
    #[error("the app cannot be served: {0}")]
    Unservable(String),
    /// What is on record of the releases beside it cannot be read.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// It was cut off.
    #[error("loading the app stopped: {0}")]
    Stopped(String),
    /// Its policies have mistakes.
    #[error("policies.cedar has {} mistakes", .0.len())]
    Policies(Vec<Diagnostic>),
}

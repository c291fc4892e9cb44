//! A compiled app made ready to run.

use weir_sandbox::App;
use weir_schema::declarations::Declarations;

/// A compiled app made ready to run. Stays usable after another release has become the active one.
pub struct Release {
    app: App,
}

impl Release {
    /// What the app declares.
    pub fn declarations(&self) -> &Declarations {
        &self.app.declarations
    }
}

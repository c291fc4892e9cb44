//! A compiled app made ready to run.

use std::sync::Arc;

use weir_sandbox::App;
use weir_sandbox::isolate::IsolateError;
use weir_sandbox::pool::{Pool, PoolOptions};
use weir_sandbox::watchdog::Watchdog;
use weir_schema::declarations::{Declarations, Function, FunctionKind};
use weir_schema::limits::{CallLimits, JobSettings};
use weir_schema::manifest::Cron;

/// A compiled app made ready to run. Stays usable after another release has become the active one.
pub struct Release {
    app: Arc<App>,
    pool: Pool,
}

impl Release {
    /// Loads the app into warm isolates. Blocks until the first is ready.
    pub(crate) fn start(app: App, watchdog: &Watchdog, options: &PoolOptions) -> Result<Self, IsolateError> {
        let app = Arc::new(app);
        let pool = Pool::start(&app, watchdog, options)?;
        Ok(Self { app, pool })
    }

    /// `shop 1.4.0`.
    pub fn name(&self) -> String {
        format!("{} {}", self.app.manifest.name, self.app.manifest.version)
    }

    /// What the app declares.
    pub fn declarations(&self) -> &Declarations {
        &self.app.declarations
    }

    /// What each of its calls may use.
    pub fn limits(&self) -> &CallLimits {
        &self.app.manifest.limits
    }

    /// How its jobs are run.
    pub fn jobs(&self) -> &JobSettings {
        &self.app.manifest.jobs
    }

    /// What is called again and again.
    pub fn crons(&self) -> &[Cron] {
        &self.app.manifest.cron
    }

    /// A function with its place in the declarations.
    pub(crate) fn function(&self, name: &str) -> Option<(usize, &Function)> {
        let (index, _, function) = self.app.declarations.functions.get_full(name)?;
        Some((index, function))
    }

    /// What a function is.
    pub fn kind(&self, name: &str) -> Option<FunctionKind> {
        self.function(name).map(|(_, function)| function.kind)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }
}

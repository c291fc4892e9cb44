//! Lends the records of a folder of an older format to its upgrade, before anything else reads them.

use std::io;
use std::thread;

use tokio::runtime::Runtime;
use weir_migrations::{Record, Records, Upgrade};

use crate::engine::{Engine, Written};
use crate::error::{OpenError, Poisoned};
use crate::read_set::Interval;
use crate::scan::Direction;

/// Runs the upgrade to its end.
pub(crate) fn run(upgrade: Upgrade, engine: &Engine, runtime: &Runtime) -> Result<(), OpenError> {
    tracing::info!("bringing the data folder to format {}", weir_migrations::FORMAT);
    let mut records = Lent { engine, runtime };
    // On a thread of its own: it waits for writes, which the caller's may not where it belongs to another runtime.
    thread::scope(|scope| {
        let running = scope.spawn(|| upgrade.run(&mut records));
        match running.join() {
            Ok(ended) => Ok(ended?),
            Err(_) => Err(OpenError::Threads(io::Error::other("the upgrade of the data folder panicked"))),
        }
    })
}

struct Lent<'a> {
    engine: &'a Engine,
    runtime: &'a Runtime,
}

impl Records for Lent<'_> {
    fn read(&self, from: &[u8], to: &[u8], limit: usize) -> io::Result<Vec<Record>> {
        let live = self.engine.live().map_err(failed)?;
        let interval = Interval { start: from.to_vec(), end: to.to_vec() };
        let entries = live.entries(&interval, Direction::Asc).map_err(failed)?.take(limit);
        entries.map(|entry| entry.map(|(key, value)| (key, value.into())).map_err(failed)).collect()
    }

    fn write(&mut self, records: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> io::Result<()> {
        let mut batch = self.engine.batch().map_err(failed)?;
        for (key, value) in records {
            match value {
                Some(value) => batch.replace(&key, &value),
                None => batch.erase(&key),
            }
            .map_err(failed)?;
        }
        match self.runtime.block_on(batch.commit()).map_err(failed)? {
            Written::Durable => Ok(()),
            Written::Refused => Err(io::Error::other("the engine refused a write of the upgrade")),
        }
    }
}

fn failed(poisoned: Poisoned) -> io::Error {
    io::Error::other(poisoned.reason.to_string())
}

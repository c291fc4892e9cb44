//! Records in memory, whose writes fail from some point on: a power cut for tests.

use std::collections::BTreeMap;
use std::io;

use crate::migrate::{Record, Records};

/// See the module.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Writes until the power is cut; `None`: never.
    pub(crate) writes_left: Option<usize>,
}

impl Records for Memory {
    fn read(&self, from: &[u8], to: &[u8], limit: usize) -> io::Result<Vec<Record>> {
        let found = self.records.range(from.to_vec()..to.to_vec()).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&mut self, records: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> io::Result<()> {
        match &mut self.writes_left {
            Some(0) => return Err(io::Error::other("power cut")),
            Some(left) => *left -= 1,
            None => {}
        }
        for (key, value) in records {
            match value {
                Some(value) => self.records.insert(key, value),
                None => self.records.remove(&key),
            };
        }
        Ok(())
    }
}

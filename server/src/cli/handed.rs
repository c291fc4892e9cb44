//! A bundle as a file for the process that serves a data folder.

use std::fs;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use super::{Failure, private_file};

/// How the names of bundles begin that are handed over.
const HANDED: &str = "deploy-";
/// Nobody needs one for longer.
const HANDED_MAX: Duration = Duration::from_secs(3_600);

/// A bundle in the data folder, where only its owner can read it; it goes with its value.
pub struct Handed(PathBuf);

impl Handed {
    /// Puts a bundle into a data folder.
    pub fn over(bundle: &[u8], data: &Path) -> Result<Self, Failure> {
        sweep(data);
        let name = format!("{HANDED}{}.weir", std::process::id());
        let file = path::absolute(data.join(name)).map_err(Failure::because)?;
        // What another process of this number has left.
        let _ = fs::remove_file(&file);
        let handed = Self(file);
        private_file::create(&handed.0, bundle)
            .map_err(|error| Failure::because(format!("cannot write {}: {error}", handed.0.display())))?;
        Ok(handed)
    }

    /// Its path, which is absolute.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        // Where this fails, the next command sweeps.
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes what commands have left that were killed.
fn sweep(data: &Path) {
    for entry in fs::read_dir(data).into_iter().flatten().flatten() {
        let is_handed = entry.file_name().to_str().is_some_and(|name| name.starts_with(HANDED));
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|made| made.elapsed().ok());
        if is_handed && age.is_some_and(|age| age > HANDED_MAX) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

//! What a tenant or an environment has on the disk: the data folder `DATA/tenants/NAME`, where an environment is `+staging` or
//! `acme+staging`, and beside it, where the server has encryption keys, the
//! file `NAME.key` with the key of that folder, sealed by the server's.
//!
//! Rule: the key goes first. What is left of a folder after that nobody can read, backups of it included. What a restore leaves
//! beside the folder, `NAME.before-restore-TIME` and `NAME.restoring`, is the tenant's too and goes with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use weir_schema::tenant::InstanceName;
use weir_store::keys::sealed::{self, SealedKeyError};
use weir_store::keys::{KeyId, KeyRing};
use weir_store::{OpenError, Options, Store, is_data_folder};

/// The folder of all tenants and environments, in the data folder of the server.
const TENANTS: &str = "tenants";
/// How the name of the file of a key ends.
const KEY: &str = "key";
/// Threads of a tenant's store, which flush, compact and commit.
const WORKER_THREADS: usize = 2;
/// Recent writes that it keeps in memory, in bytes.
const MEMTABLE_BYTES: usize = 16 << 20;
/// Blocks of its tables that it keeps in memory, in bytes.
const BLOCK_CACHE_BYTES: u64 = 8 << 20;

/// Why a tenant's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there.
    #[error("{} is not a data folder: where it was moved away, put it back", .0.display())]
    Missing(PathBuf),
    /// Something is there.
    #[error("{} is there already, and of no tenant: move it away", .0.display())]
    Occupied(PathBuf),
    /// The key is gone, or was never made.
    #[error("{} is missing, so that nobody can read the tenant's data", .0.display())]
    NoKey(PathBuf),
    /// Keys were not given.
    #[error("{} is sealed by encryption keys, and none are given", .0.display())]
    NoKeys(PathBuf),
    /// The key cannot be opened.
    #[error("{} {error}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Why.
        error: SealedKeyError,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What was to look after it is gone.
    #[error("what looked after the keys of tenants was cut off: {0}")]
    CutOff(tokio::task::JoinError),
    /// The system does not let it be made or removed.
    #[error("{}: {error}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// How many tenants of a server have their keys sealed by which of its own, which takes none of them to know.
pub fn sealed_by(data: &Path) -> Result<BTreeMap<KeyId, u64>, FolderError> {
    let all = data.join(TENANTS);
    let mut counts = BTreeMap::new();
    let entries = match fs::read_dir(&all) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(counts),
        read => read.map_err(|error| FolderError::Io { path: all.clone(), error })?,
    };
    for entry in entries {
        let file = entry.map_err(|error| FolderError::Io { path: all.clone(), error })?.path();
        if file.extension().is_some_and(|extension| extension == KEY) {
            let key = sealed::sealed_by(&file).map_err(|error| FolderError::Key { file, error })?;
            *counts.entry(key).or_default() += 1;
        }
    }
    Ok(counts)
}

/// What one has on the disk.
#[derive(Debug, Clone)]
pub struct InstanceFolder {
    name: String,
    path: PathBuf,
    key: PathBuf,
}

impl InstanceFolder {
    /// That of a tenant or an environment, in the data folder of a server.
    pub fn of(data: &Path, name: &InstanceName) -> Self {
        let all = data.join(TENANTS);
        let name = name.to_string();
        // No name has a dot: so none is that of a key.
        Self { path: all.join(&name), key: all.join(format!("{name}.{KEY}")), name }
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys that its store is encrypted with; `None`: it is not.
    pub fn ring(&self, server: Option<&KeyRing>) -> Result<Option<KeyRing>, FolderError> {
        match (server, self.key.exists()) {
            (Some(server), true) => {
                sealed::open(&self.key, &self.name, server).map(Some).map_err(|error| self.of_key(error))
            }
            (Some(_), false) => Err(FolderError::NoKey(self.key.clone())),
            (None, true) => Err(FolderError::NoKeys(self.key.clone())),
            (None, false) => Ok(None),
        }
    }

    /// Whether its key can be opened by these, if it has one.
    pub fn is_readable_by(&self, server: &KeyRing) -> Result<(), FolderError> {
        if self.key.exists() { self.ring(Some(server)).map(drop) } else { Ok(()) }
    }

    /// Seals its key by the active one of the server, if it is sealed by another.
    pub fn reseal_by(&self, server: Option<&KeyRing>) -> Result<(), FolderError> {
        match server.filter(|_| self.key.exists()) {
            Some(server) => sealed::reseal(&self.key, &self.name, server).map_err(|error| self.of_key(error)),
            None => Ok(()),
        }
    }

    /// Seals its key by the active one of these beside what is there, if it is sealed by another; whether it is.
    pub fn prepare_key(&self, server: &KeyRing) -> Result<bool, FolderError> {
        if !self.key.exists() {
            return Ok(false);
        }
        sealed::prepare(&self.key, &self.name, server).map_err(|error| self.of_key(error))
    }

    /// Has what was prepared count.
    pub fn put_key(&self) -> Result<(), FolderError> {
        sealed::put(&self.key).map_err(|error| self.of_key(error.into()))
    }

    /// Takes away what was prepared.
    pub fn discard_key(&self) -> Result<(), FolderError> {
        sealed::discard(&self.key).map_err(|error| self.of_key(error.into()))
    }

    /// What its store is opened with.
    pub fn options(&self, server: Option<&KeyRing>) -> Result<Options, FolderError> {
        Ok(options(self.ring(server)?))
    }

    /// Whether nothing is there: before a name is given, as what is there of a name is removed where its making is cut off.
    pub fn is_free(&self) -> Result<(), FolderError> {
        self.found()?.into_iter().next().map_or(Ok(()), |path| Err(FolderError::Occupied(path)))
    }

    /// All that is there of the name: the folder and, as no name has a dot, whatever begins with the name and a dot. Besides the key
    /// that is what a restore has kept, or was cut off in.
    fn found(&self) -> Result<Vec<PathBuf>, FolderError> {
        let all = self.path.parent().unwrap_or(&self.path);
        let failed = |error| FolderError::Io { path: all.to_owned(), error };
        let entries = match fs::read_dir(all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let rest = entry.file_name();
            let rest = rest.as_encoded_bytes().strip_prefix(self.name.as_bytes());
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b".")) {
                found.push(entry.path());
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Makes the folder, which must not be there, with a key of its own where the server has some. It blocks.
    pub fn make(&self, server: Option<&KeyRing>) -> Result<Store, FolderError> {
        self.is_free()?;
        let all = self.path.parent().unwrap_or(&self.path);
        fs::create_dir_all(all).map_err(|error| FolderError::Io { path: all.to_owned(), error })?;
        let made = server.map(|server| sealed::make(&self.key, &self.name, server));
        let ring = made.transpose().map_err(|error| self.of_key(error))?;
        Ok(Store::open(&self.path, options(ring))?)
    }

    /// Opens the folder, which must be there. It blocks.
    pub fn open(&self, server: Option<&KeyRing>) -> Result<Store, FolderError> {
        if !is_data_folder(&self.path) {
            return Err(FolderError::Missing(self.path.clone()));
        }
        Ok(Store::open(&self.path, self.options(server)?)?)
    }

    /// Removes all of it, the key first. Cut off anywhere it can be done again. It blocks.
    pub fn destroy(&self) -> Result<(), FolderError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| FolderError::Io { path, error }
        };
        sealed::destroy(&self.key).map_err(at(&self.key))?;
        for path in self.found()? {
            let kind = path.symlink_metadata().map_err(at(&path))?.file_type();
            let removed = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(at(&path))?;
        }
        match self.path.parent().map(fs::File::open) {
            Some(Ok(all)) if cfg!(unix) => all.sync_all().map_err(at(&self.path)),
            _ => Ok(()),
        }
    }

    fn of_key(&self, error: SealedKeyError) -> FolderError {
        FolderError::Key { file: self.key.clone(), error }
    }
}

fn options(encryption: Option<KeyRing>) -> Options {
    Options {
        encryption,
        worker_threads: WORKER_THREADS,
        memtable_bytes: MEMTABLE_BYTES,
        block_cache_bytes: BLOCK_CACHE_BYTES,
        ..Options::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ring(id: u32) -> KeyRing {
        KeyRing::parse(&format!("{id} {:064x}", u64::from(id) << 40)).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_has_a_key_of_its_own_that_goes_first() {
        let data = tempfile::tempdir().unwrap();
        let folder = InstanceFolder::of(data.path(), &"acme".parse().unwrap());
        let missing = folder.open(None).err().unwrap().to_string();
        assert!(missing.ends_with("is not a data folder: where it was moved away, put it back"), "{missing}");
        folder.make(Some(&ring(1))).unwrap().close().await;
        assert!(matches!(folder.make(Some(&ring(1))), Err(FolderError::Occupied(_))));
        assert!(matches!(folder.open(None), Err(FolderError::NoKeys(_))));
        assert!(matches!(folder.open(Some(&ring(2))), Err(FolderError::Key { .. })));
        folder.open(Some(&ring(1))).unwrap().close().await;
        assert_eq!(sealed_by(data.path()).unwrap(), BTreeMap::from([(1, 1)]));
        folder
            .reseal_by(Some(&KeyRing::parse(&format!("1 {:064x}\n2 {:064x}", 1_u64 << 40, 2_u64 << 40)).unwrap()))
            .unwrap();
        assert_eq!(sealed_by(data.path()).unwrap(), BTreeMap::from([(2, 1)]));
        folder.open(Some(&ring(2))).unwrap().close().await;
        // What is sealed beside counts once it is told to, and is gone where it is not.
        let both = KeyRing::parse(&format!("2 {:064x}\n3 {:064x}", 2_u64 << 40, 3_u64 << 40)).unwrap();
        assert!(folder.prepare_key(&both).unwrap() && folder.is_readable_by(&ring(2)).is_ok());
        folder.discard_key().unwrap();
        assert!(folder.put_key().is_err() && folder.is_readable_by(&ring(2)).is_ok());
        assert!(folder.prepare_key(&both).unwrap() && !folder.prepare_key(&ring(2)).unwrap());
        folder.put_key().unwrap();
        assert!(folder.is_readable_by(&ring(3)).is_ok() && folder.is_readable_by(&ring(2)).is_err());
        // The key of the server opens nothing of it by itself.
        let with_servers = Options { encryption: Some(ring(3)), ..Options::default() };
        assert!(Store::open(folder.path(), with_servers).is_err());
        // A crash after the key has gone: nobody can read what is left, and it is removed all the same.
        sealed::destroy(&folder.key).unwrap();
        assert!(matches!(folder.open(Some(&ring(2))), Err(FolderError::NoKey(_))));
        assert!(folder.path().join("FORMAT").exists());
        folder.destroy().unwrap();
        folder.destroy().unwrap();
        assert_eq!(fs::read_dir(data.path().join(TENANTS)).unwrap().count(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_restore_has_left_goes_too_and_gives_no_name_away() {
        let data = tempfile::tempdir().unwrap();
        let folder = InstanceFolder::of(data.path(), &"acme".parse().unwrap());
        let beside = |name: &str| data.path().join(TENANTS).join(name);
        folder.make(Some(&ring(1))).unwrap().close().await;
        fs::create_dir_all(beside("acme.before-restore-20260101T000000Z/journal")).unwrap();
        fs::create_dir_all(beside("acme.restoring/data")).unwrap();
        fs::write(beside("acme.key.new"), "sealed").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(data.path(), beside("acme.link")).unwrap();
        let others = ["acme+pr", "acme+pr.key", "acme-2", "acme-2.key", "acm", "acme2.restoring"];
        others.iter().for_each(|name| fs::write(beside(name), "of another").unwrap());
        folder.destroy().unwrap();
        let mut left: Vec<String> = fs::read_dir(data.path().join(TENANTS))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        assert_eq!(left, ["acm", "acme+pr", "acme+pr.key", "acme-2", "acme-2.key", "acme2.restoring"]);
        for name in ["acme", "acme.key", "acme.key.new", "acme.before-restore-20260101T000000Z", "acme.restoring"] {
            folder.is_free().unwrap();
            fs::write(beside(name), "").unwrap();
            assert!(matches!(folder.make(None), Err(FolderError::Occupied(path)) if path == beside(name)), "{name}");
            fs::remove_file(beside(name)).unwrap();
        }
    }
}

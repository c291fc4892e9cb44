//! Where the socket is. A socket's path has room for about a hundred bytes only, so a data folder with a longer one is
//! reached by way of an open handle of it, where the system has paths for those.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The longest path that every system takes.
const PATH_BYTES_MAX: usize = 100;

/// The data folder under a name that is short enough.
pub(super) struct Address {
    folder: PathBuf,
    /// The short name is good for as long as this is open.
    _handle: Option<File>,
}

impl Address {
    pub(super) fn of(data: &Path) -> io::Result<Self> {
        let room = PATH_BYTES_MAX - "/control.new".len();
        if data.as_os_str().len() <= room {
            return Ok(Self { folder: data.to_owned(), _handle: None });
        }
        if cfg!(target_os = "linux") {
            use std::os::fd::AsRawFd;
            let handle = File::open(data)?;
            let folder = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
            return Ok(Self { folder, _handle: Some(handle) });
        }
        let problem = format!("the path of the data folder is longer than {room} bytes");
        Err(io::Error::new(io::ErrorKind::InvalidFilename, problem))
    }

    /// The socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("control")
    }

    /// The socket until its permissions are set.
    pub(super) fn new_socket(&self) -> PathBuf {
        self.folder.join("control.new")
    }
}

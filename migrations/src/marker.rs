//! The file `FORMAT` in a data folder: `{"product":"weir","format":1}`.
//!
//! It is there, whole and synced, before anything else is: a folder with other files and without it is not ours.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The name of the marker in the data folder.
pub const FILE: &str = "FORMAT";
/// What a marker is called until it is whole.
const PARTIAL: &str = "FORMAT.partial";
const PRODUCT: &str = "weir";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    product: String,
    format: u32,
}

/// What a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Empty, absent, or left by a first start that did not get far.
    Nothing,
    /// A data folder of this version of the format.
    Format(u32),
    /// Something else; nothing in it may be touched.
    Foreign,
}

/// Looks at a folder without changing it.
pub fn read(directory: &Path) -> io::Result<Found> {
    match fs::read(directory.join(FILE)) {
        Ok(text) => Ok(match serde_json::from_slice::<Marker>(&text) {
            Ok(marker) if marker.product == PRODUCT => Found::Format(marker.format),
            _ => Found::Foreign,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => without_marker(directory),
        Err(error) => Err(error),
    }
}

/// Whether a folder holds data already, of whatever version.
pub fn is_data_folder(directory: &Path) -> bool {
    matches!(read(directory), Ok(Found::Format(_)))
}

fn without_marker(directory: &Path) -> io::Result<Found> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    for entry in entries {
        if entry?.file_name() != PARTIAL {
            return Ok(Found::Foreign);
        }
    }
    Ok(Found::Nothing)
}

/// Writes the marker so that after a crash it is the old one or the new one, never a part. Creates the folder.
pub fn write(directory: &Path, format: u32) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let marker = serde_json::to_string(&Marker { product: PRODUCT.to_owned(), format })?;
    let partial = directory.join(PARTIAL);
    let mut file = File::create(&partial)?;
    file.write_all(marker.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&partial, directory.join(FILE))?;
    sync_directory(directory)?;
    match directory.canonicalize()?.parent() {
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

/// Makes the names in the folder survive a power cut. Windows has no such call and needs none.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_marker_is_found_again() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("not/yet/there");
        assert_eq!(read(&data)?, Found::Nothing);
        assert!(!is_data_folder(&data));
        write(&data, 7)?;
        assert!(is_data_folder(&data));
        assert_eq!(read(&data)?, Found::Format(7));
        Ok(())
    }

    #[test]
    fn a_half_created_folder_counts_as_nothing() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(PARTIAL), "{\"prod")?;
        assert_eq!(read(folder.path())?, Found::Nothing);
        write(folder.path(), 1)?;
        assert_eq!(read(folder.path())?, Found::Format(1));
        Ok(())
    }

    #[test]
    fn other_folders_are_foreign() -> io::Result<()> {
        let table: [(&str, &str); 3] =
            [("notes.txt", "hello"), (FILE, "{\"product\":\"other\",\"format\":1}"), (FILE, "{\"prod")];
        for (name, text) in table {
            let folder = tempfile::tempdir()?;
            fs::write(folder.path().join(name), text)?;
            assert_eq!(read(folder.path())?, Found::Foreign, "{name}: {text}");
        }
        Ok(())
    }
}

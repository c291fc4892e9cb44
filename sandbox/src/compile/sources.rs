//! The source files of an app, read once into memory: compiling never touches the disk again.
//!
//! Read are `app.toml`, `policies.cedar` and every `.ts` file of the folder. Left out are `.d.ts` files, `node_modules`, names that start
//! with a dot, and links that lead out of the folder. Which of the files belong to the app is for the imports to say.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use weir_schema::limits::{SOURCE_BYTES_MAX, SOURCES_MAX};

/// The texts of an app by path, relative to the app folder and with `/` between folders. Equal sources compile alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    texts: BTreeMap<String, String>,
}

/// Why an app folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// The path is a file.
    #[error("{} is not a folder; name the folder that holds app.toml", .0.display())]
    NotAFolder(PathBuf),
    /// A file past [`SOURCE_BYTES_MAX`].
    #[error("{path} is larger than {SOURCE_BYTES_MAX} bytes; split it, or load data with `weir import`")]
    TooLarge {
        /// Relative to the app folder.
        path: String,
    },
    /// More files or folders than [`SOURCES_MAX`].
    #[error("more than {SOURCES_MAX} TypeScript files or folders; keep only the app in its folder")]
    TooMany,
    /// A file or its name is not UTF-8.
    #[error("{path} is not UTF-8 text; save it as UTF-8")]
    NotUtf8 {
        /// Relative to the app folder.
        path: String,
    },
}

impl Sources {
    /// Reads an app folder. A file that vanishes while the folder is read counts as absent.
    pub fn read(folder: &Path) -> Result<Self, SourcesError> {
        let io = |source| SourcesError::Io { path: folder.to_owned(), source };
        let root = folder.canonicalize().map_err(io)?;
        if !root.is_dir() {
            return Err(SourcesError::NotAFolder(folder.to_owned()));
        }
        let mut texts = BTreeMap::new();
        let mut folders = vec![(root.clone(), String::new())];
        let mut folders_seen = 0;
        while let Some((path, prefix)) = folders.pop() {
            folders_seen += 1;
            for entry in fs::read_dir(&path).map_err(|source| SourcesError::Io { path: path.clone(), source })? {
                let entry = entry.map_err(|source| SourcesError::Io { path: path.clone(), source })?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    continue;
                };
                let relative = format!("{prefix}{name}");
                if name.starts_with('.') || name == "node_modules" {
                    continue;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push((entry.path(), format!("{relative}/"))),
                    Ok(kind) if is_source(&relative) && (kind.is_file() || leads_inside(&entry.path(), &root)) => {
                        if let Some(text) = read_text(&entry.path(), &relative)? {
                            texts.insert(relative, text);
                        }
                    }
                    _ => {}
                }
            }
            if texts.len() > SOURCES_MAX || folders_seen > SOURCES_MAX {
                return Err(SourcesError::TooMany);
            }
        }
        Ok(Self { texts })
    }

    /// Takes texts by path, relative to the app folder and with `/` between folders.
    pub fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let texts = texts.into_iter().map(|(path, text)| (path, without_mark(text))).collect();
        Self { texts }
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// All paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// A file's path as these sources hold it, and its text.
    pub(super) fn entry(&self, path: &str) -> Option<(&str, &str)> {
        self.texts.get_key_value(path).map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

/// Whether a file of this path may belong to an app.
fn is_source(relative: &str) -> bool {
    matches!(relative, "app.toml" | "policies.cedar") || (relative.ends_with(".ts") && !relative.ends_with(".d.ts"))
}

/// Whether a link leads to a file inside the folder.
fn leads_inside(link: &Path, root: &Path) -> bool {
    link.canonicalize().is_ok_and(|target| target.starts_with(root) && target.is_file())
}

fn read_text(path: &Path, relative: &str) -> Result<Option<String>, SourcesError> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|source| SourcesError::Io { path: path.to_owned(), source })?,
    };
    let mut bytes = Vec::new();
    file.take(SOURCE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| SourcesError::Io { path: path.to_owned(), source })?;
    if bytes.len() as u64 > SOURCE_BYTES_MAX {
        return Err(SourcesError::TooLarge { path: relative.to_owned() });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(without_mark(text))),
        Err(_) => Err(SourcesError::NotUtf8 { path: relative.to_owned() }),
    }
}

/// Drops a byte order mark, so that all offsets count from the first character that a person sees.
fn without_mark(text: String) -> String {
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths and contents.
    type Files<'a> = &'a [(&'a str, &'a [u8])];

    fn folder(files: Files) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        for (path, bytes) in files {
            let path = folder.path().join(path);
            let parent = path.parent().unwrap_or_else(|| panic!("{path:?} has no parent"));
            fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)).unwrap_or_else(|error| panic!("{error}"));
        }
        folder
    }

    #[test]
    fn only_what_may_belong_to_the_app_is_read() {
        let app = folder(&[
            ("app.toml", b"\xef\xbb\xbfname = \"a\""),
            ("collections.ts", b"1"),
            ("functions/deep/a.ts", b"2"),
            ("functions/a.d.ts", b"x"),
            ("functions/a.js", b"x"),
            ("node_modules/weir/index.ts", b"x"),
            (".git/a.ts", b"x"),
            ("functions/.hidden.ts", b"x"),
            ("README.md", b"x"),
        ]);
        let outside = folder(&[("secret.ts", b"x")]);
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, app.path().join(name)).unwrap_or_else(|error| panic!("{error}"));
        };
        link(&outside.path().join("secret.ts"), "secret.ts");
        link(outside.path(), "outside");
        link(&app.path().join("collections.ts"), "same.ts");
        let sources = Sources::read(app.path()).unwrap_or_else(|error| panic!("{error}"));
        let paths: Vec<&str> = sources.paths().collect();
        assert_eq!(paths, ["app.toml", "collections.ts", "functions/deep/a.ts", "same.ts"]);
        assert_eq!(sources.text("app.toml"), Some("name = \"a\""));
        assert_eq!(sources, Sources::read(app.path()).unwrap_or_default());
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let large = vec![b' '; SOURCE_BYTES_MAX as usize + 1];
        let table: [(Files, &str); 2] = [
            (&[("functions/a.ts", b"\xff")], "functions/a.ts is not UTF-8 text; save it as UTF-8"),
            (&[("a.ts", &large)], "a.ts is larger than 4194304 bytes; split it, or load data with `weir import`"),
        ];
        for (files, expected) in table {
            let error = Sources::read(folder(files).path()).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(expected));
        }
        let app = folder(&[("app.toml", b"")]);
        let file = Sources::read(&app.path().join("app.toml")).err();
        assert!(matches!(file, Some(SourcesError::NotAFolder(_))), "{file:?}");
        let missing = Sources::read(&app.path().join("missing")).err();
        assert!(matches!(missing, Some(SourcesError::Io { .. })), "{missing:?}");
    }
}

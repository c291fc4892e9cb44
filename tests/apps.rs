//! App folders: copies of the examples and of the fixtures, and small ones written as text.
//!
//! Nothing is ever started on a folder of the source tree: `weir dev` writes beside the app.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The root of the source tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A folder that goes with its value: the app itself, and beside it room for its data.
pub struct App {
    folder: TempDir,
}

impl App {
    /// A copy of an app of the source tree, such as `examples/shop`.
    pub fn copy_of(path: &str) -> Self {
        let app = Self { folder: tempfile::tempdir().unwrap() };
        copy(&root().join(path), &app.path());
        app
    }

    /// An app from text: files follow lines such as `// file: functions/t.ts`; what comes first is `functions/t.ts`.
    /// An `app.toml` is added if there is none.
    pub fn of(text: &str) -> Self {
        let app = Self { folder: tempfile::tempdir().unwrap() };
        app.write("app.toml", "name = \"app\"\nversion = \"1.0.0\"\n");
        let (first, rest) = text.split_once("// file: ").map_or((text, ""), |(first, rest)| (first, rest));
        if !first.trim().is_empty() {
            app.write("functions/t.ts", &unindented(first));
        }
        for part in rest.split("// file: ").filter(|part| !part.is_empty()) {
            let (path, content) = part.split_once('\n').unwrap();
            app.write(path.trim(), &unindented(content));
        }
        app
    }

    /// The folder with `app.toml`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    /// The data folder that servers of this app use.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A place for a file that is not part of the app.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Saves a file of the app.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Reads a file of the app.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Saves a file with a part of it replaced, which must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let before = self.read(path);
        assert!(before.contains(from), "{path} does not contain {from:?}");
        self.write(path, &before.replace(from, to));
    }

    /// The text with the names of the temporary folders taken out.
    pub fn neutral(&self, text: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        text.replace(folder.to_str().unwrap(), "TMP").replace(self.folder.path().to_str().unwrap(), "TMP")
    }
}

/// Copies a folder without what tools leave in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') || name == "node_modules") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// Takes the indentation of the first line from every line, and blank lines from the ends.
fn unindented(text: &str) -> String {
    let lines: Vec<&str> = text.trim_start_matches('\n').trim_end().lines().collect();
    let indent = lines.first().map_or(0, |line| line.len() - line.trim_start().len());
    let cut = |line: &&str| line.get(indent..).unwrap_or_else(|| line.trim_start()).to_owned();
    lines.iter().map(cut).collect::<Vec<_>>().join("\n") + "\n"
}

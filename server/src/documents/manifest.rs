//! Documents as the tools of clients write them.
//!
//! | tool | file |
//! |---|---|
//! | graphql-codegen (`persistedDocuments`), Relay (`persistConfig`) | `{ "id": "query …" }` |
//! | Apollo (`@apollo/generate-persisted-query-manifest`) | `{ "format": "apollo-persisted-query-manifest", "operations": [{ "id", "body" }] }` |
//! | anything else | a document in a file `.graphql` or `.gql`, whose id is its SHA-256 |

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use weir_engine::trusted::{TrustError, canonical_id, id_of};
use weir_schema::digest::Digest;
use weir_schema::graphql::TRUSTED_BYTES_MAX;

/// Why files have no documents.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is none of the known forms.
    #[error("{} is no manifest of documents ({reason}): write {{ \"id\": \"query …\" }}, or one of Apollo's", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A document has an id that cannot be.
    #[error("{}: {error}", path.display())]
    Id {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: TrustError,
    },
    /// Two documents have one id.
    #[error("{}: {id} is the id of another document too", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The id.
        id: String,
    },
    /// A folder has none.
    #[error("there is no document in {}: it has no file .graphql, .gql or .json", path.display())]
    None {
        /// The folder.
        path: PathBuf,
    },
}

/// A manifest, in one of its forms.
#[derive(Deserialize)]
#[serde(untagged)]
enum Manifest {
    Apollo { format: Apollo, operations: Vec<Operation> },
    Flat(BTreeMap<String, String>),
}

#[derive(Deserialize)]
enum Apollo {
    #[serde(rename = "apollo-persisted-query-manifest")]
    PersistedQueries,
}

#[derive(Deserialize)]
struct Operation {
    id: String,
    body: String,
}

/// Reads files and folders: documents by the ids under which they are to be kept.
pub fn read_documents(paths: &[PathBuf]) -> Result<BTreeMap<String, String>, ManifestError> {
    let mut documents = BTreeMap::new();
    for path in paths {
        if !path.is_dir() {
            read_file(path, &mut documents)?;
            continue;
        }
        let failed = |error| ManifestError::Read { path: path.clone(), error };
        let files: Result<Vec<PathBuf>, io::Error> =
            fs::read_dir(path).map_err(failed)?.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut files = files.map_err(failed)?;
        files.retain(|file| file.is_file() && form(file).is_some());
        files.sort();
        if files.is_empty() {
            return Err(ManifestError::None { path: path.clone() });
        }
        files.iter().try_for_each(|file| read_file(file, &mut documents))?;
    }
    Ok(documents)
}

/// What a file is by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Manifest,
    Document,
}

fn form(path: &Path) -> Option<Form> {
    match path.extension()?.to_str()? {
        "json" => Some(Form::Manifest),
        "graphql" | "gql" => Some(Form::Document),
        _ => None,
    }
}

fn read_file(path: &Path, documents: &mut BTreeMap<String, String>) -> Result<(), ManifestError> {
    let failed = |error| ManifestError::Read { path: path.to_owned(), error };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > TRUSTED_BYTES_MAX as u64 * 2 {
        return Err(failed(io::Error::other(format!("it has {length} bytes"))));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let found: Vec<(String, String)> = if form(path) == Some(Form::Document) {
        vec![(id_of(&Digest::of(text.as_bytes())), text)]
    } else {
        let bad = |error: serde_json::Error| ManifestError::Form { path: path.to_owned(), reason: error.to_string() };
        match serde_json::from_str(&text).map_err(bad)? {
            Manifest::Apollo { format: Apollo::PersistedQueries, operations } => {
                operations.into_iter().map(|Operation { id, body }| (id, body)).collect()
            }
            Manifest::Flat(documents) => documents.into_iter().collect(),
        }
    };
    for (id, text) in found {
        let id = canonical_id(&id, &text).map_err(|error| ManifestError::Id { path: path.to_owned(), error })?;
        if documents.insert(id.clone(), text.clone()).is_some_and(|other| other != text) {
            return Err(ManifestError::Twice { path: path.to_owned(), id });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_forms_of_all_tools_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (text, other) = ("query A { a }", "query B { b }");
        let digest = |text: &str| Digest::of(text.as_bytes()).to_string();
        let apollo = json!({
            "format": "apollo-persisted-query-manifest", "version": 1,
            "operations": [{ "id": digest(text), "name": "A", "type": "query", "body": text }]
        });
        let files = [
            ("codegen.json", json!({ digest(text): text, "5d41": other }).to_string()),
            ("apollo.json", apollo.to_string()),
            ("b.graphql", other.to_owned()),
            ("notes.txt", "nothing".to_owned()),
        ];
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let read = |names: &[&str]| {
            let paths: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
            read_documents(&paths).map(|documents| documents.into_keys().collect::<Vec<_>>())
        };
        let (a, b) = (format!("sha256:{}", digest(text)), format!("sha256:{}", digest(other)));
        assert_eq!(read(&["codegen.json"]).unwrap(), ["5d41", &a]);
        assert_eq!(read(&["apollo.json"]).unwrap(), std::slice::from_ref(&a));
        assert_eq!(read(&["b.graphql"]).unwrap(), std::slice::from_ref(&b));
        let mut all = vec!["5d41".to_owned(), a, b];
        all.sort();
        assert_eq!(read(&["."]).unwrap(), all);
        let bad = [
            ("gone.json", "", "cannot read"),
            ("number.json", "{\"a\": 1}", "is no manifest of documents"),
            ("format.json", "{\"format\": \"other\", \"operations\": []}", "is no manifest of documents"),
            ("digest.json", "{\"sha256:00\": \"{ a }\"}", "is not the SHA-256 of its document"),
            ("twice.json", "{\"5d41\": \"{ c }\"}", "is the id of another document too"),
        ];
        for (name, content, words) in bad {
            if !content.is_empty() {
                fs::write(folder.path().join(name), content).unwrap();
            }
            let error = read(&["codegen.json", name]).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(read_documents(&[empty.path().to_owned()]).is_err());
    }
}

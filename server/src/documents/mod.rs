//! Documents that are to be trusted: how tools write them, and whether they fit a schema. The work of `weir documents`, in
//! whichever process has the data folder open.

pub mod manifest;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_engine::trusted::TrustError;

use self::manifest::{ManifestError, read_documents};
use crate::graphql::Schema;

/// Misfits that are told by name.
const MISFITS_MAX: usize = 100;
/// Documents that are listed at once, in bytes.
const PAGE_BYTES: usize = 64 << 10;

/// What came of pushing documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// How many were given.
    pub documents: u64,
    /// How many of them were not trusted before, and are now.
    pub new: u64,
    /// How many do not fit the schema.
    pub misfits: u64,
    /// Some of these.
    pub told: Vec<Misfit>,
}

/// A document that does not fit the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// Its id.
    pub id: String,
    /// What is wrong first.
    pub message: String,
}

/// Why documents were not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Files have none.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// They cannot be kept.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Reads files and has their documents kept, unless some do not fit the schema: then only with `anyway`.
pub async fn push(
    schema: &Schema,
    files: &[PathBuf],
    anyway: bool,
    keep: impl AsyncFnOnce(BTreeMap<String, String>) -> Result<usize, TrustError>,
) -> Result<Pushed, PushError> {
    let documents = read_documents(files)?;
    let mut pushed = Pushed { documents: documents.len() as u64, new: 0, misfits: 0, told: Vec::new() };
    for (id, text) in &documents {
        let Err(errors) = schema.check(text).await else { continue };
        pushed.misfits += 1;
        if let (true, Some(error)) = (pushed.told.len() < MISFITS_MAX, errors.into_iter().next()) {
            pushed.told.push(Misfit { id: id.clone(), message: error.message });
        }
    }
    if pushed.misfits == 0 || anyway {
        pushed.new = keep(documents).await? as u64;
    }
    Ok(pushed)
}

/// Some of the documents: those after an id, at least one.
pub fn page(documents: &BTreeMap<String, Arc<str>>, after: Option<&str>) -> BTreeMap<String, String> {
    let mut bytes = 0;
    let rest = documents.range::<str, _>((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
    let page = rest.take_while(|(id, text)| {
        let is_room = bytes < PAGE_BYTES;
        bytes += id.len() + text.len();
        is_room
    });
    page.map(|(id, text)| (id.clone(), text.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_all_documents_once() {
        let text: Arc<str> = "x".repeat(PAGE_BYTES / 3).into();
        let documents: BTreeMap<String, Arc<str>> = (0..10).map(|i| (format!("id{i}"), text.clone())).collect();
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = page(&documents, found.last().map(String::as_str));
            if page.is_empty() {
                break;
            }
            found.extend(page.into_keys());
            pages += 1;
        }
        assert_eq!((found, pages), (documents.into_keys().collect(), 4));
    }
}

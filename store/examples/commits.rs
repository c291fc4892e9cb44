//! Prints every commit of a data folder that nobody has open, from its journal and its history: a line of JSON for each, with
//! the documents that it wrote as they were after it.
//!
//! `cargo run --example commits -- DATA`

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};
use weir_schema::codec::journal::ChangeKind;
use weir_store::{Options, Store};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("name a data folder")?);
    if !weir_store::is_data_folder(&folder) {
        return Err(format!("{} is no data folder", folder.display()).into());
    }
    let store = Store::open(&folder, Options::default())?;
    let (head, since) = (store.head(), store.history_since());
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut tail = store.tail(1);
    for _ in 0..head.sequence {
        let entry = tail.next().await?;
        let (mut documents, mut deleted) = (Vec::new(), Vec::new());
        // What is older than the history is known by its place alone.
        let mut past = if entry.timestamp < since { None } else { Some(store.at(entry.timestamp)?) };
        for change in &entry.changes {
            if change.kind == ChangeKind::Delete {
                deleted.push(change.id.as_str());
            }
            let Some(past) = past.as_mut().filter(|_| change.kind == ChangeKind::Put) else { continue };
            for collection in past.collections() {
                if let Some(text) = past.get(&collection, &change.id)? {
                    let document: Value = serde_json::from_slice(&text)?;
                    documents.push(json!({ "collection": collection, "document": document }));
                }
            }
        }
        let commit = entry.timestamp.to_string();
        let line = json!({ "sequence": entry.sequence, "commit": commit, "documents": documents, "deleted": deleted });
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    drop(out);
    store.close().await;
    Ok(())
}

//! Declarations, documents and stores for tests, in few words.

use std::path::Path;

use serde_json::{Map, Value};
use tempfile::TempDir;
use weir_schema::declarations::{Collection, Declarations, Index};
use weir_schema::id::DocumentId;
use weir_schema::references::{self, OnDelete, Reference};
use weir_schema::shape::{Definition, Member, ObjectDefinition, Shape, Slot};
use weir_store::{CommitError, Committed, Direction, Options, Rows, Scan, Store, Transaction};

/// Declares collections as `name: member member…; index index…`. A member is text, or `…:date`, `…:list`; an index
/// is its fields joined by `+`, after `!` if it is unique.
///
/// A member `…:ref=things` refers to a document of `things`, `…:refs=things` to many, `…:parts=things` is a list of
/// objects with `of`, a reference each, and `parts`, a list of their own kind. After `/` stands `onDelete`.
pub fn declare(collections: &[&str]) -> Declarations {
    let mut declarations = Declarations::default();
    for line in collections {
        let (name, rest) = line.split_once(':').unwrap();
        let (members, indexes) = rest.split_once(';').unwrap_or((rest, ""));
        let object = ObjectDefinition {
            name: format!("{name}Value"),
            input_name: format!("{name}Input"),
            description: None,
            members: members.split_whitespace().map(member).collect(),
        };
        for text in members.split_whitespace().filter(|text| text.contains(":parts=")) {
            let (part, target) = (part_name(text), target(text));
            declarations.definitions.insert(part.clone(), Definition::Object(part_type(part, target)));
        }
        let indexes = indexes.split_whitespace().map(|index| Index {
            fields: index.trim_start_matches('!').split('+').map(str::to_owned).collect(),
            unique: index.starts_with('!'),
        });
        let collection = Collection {
            name: name.to_owned(),
            document: name.to_owned(),
            value: object.name.clone(),
            module: "collections.ts".to_owned(),
            indexes: indexes.collect(),
            references: Vec::new(),
        };
        declarations.definitions.insert(object.name.clone(), Definition::Object(object));
        declarations.collections.insert(name.to_owned(), collection);
    }
    for line in collections {
        let (name, rest) = line.split_once(':').unwrap();
        let members = rest.split_once(';').map_or(rest, |(members, _)| members);
        for text in members.split_whitespace().filter(|text| text.contains('=')) {
            let found = references::of(&|name| declarations.definitions.get(name), &member(text));
            for (target, places) in found {
                let wanted = text.split_once('/').map_or("restrict", |(_, policy)| policy);
                let on_delete = OnDelete::ALL.into_iter().find(|policy| policy.as_str() == wanted).unwrap();
                let reference = Reference { member: member(text).name, places, target, on_delete };
                declarations.collections[name].references.push(reference);
            }
        }
    }
    declarations
}

fn target(text: &str) -> &str {
    text.split_once('=').unwrap().1.split('/').next().unwrap()
}

fn part_name(text: &str) -> String {
    format!("{}Part", text.split_once(':').unwrap().0)
}

/// `{ of?: Ref<T> | null, parts?: Part[] | null }`
fn part_type(name: String, target: &str) -> ObjectDefinition {
    let parts = Shape::List(Box::new(Slot::required(Shape::Object(name.clone()))));
    let members = vec![open_member("of", Shape::Ref(target.to_owned())), open_member("parts", parts)];
    ObjectDefinition { input_name: format!("{name}Input"), name, description: None, members }
}

fn open_member(name: &str, shape: Shape) -> Member {
    let slot = Slot { shape, nullable: true, optional: true };
    Member { name: name.to_owned(), description: None, slot, literal: None }
}

fn member(text: &str) -> Member {
    let (name, shape) = match text.split_once(':') {
        Some((name, "date")) => (name, Shape::DateTime),
        Some((name, kind)) if kind.starts_with("ref=") => (name, Shape::Ref(target(text).to_owned())),
        Some((name, kind)) if kind.starts_with("refs=") => {
            (name, Shape::List(Box::new(Slot::nullable(Shape::Ref(target(text).to_owned())))))
        }
        Some((name, kind)) if kind.starts_with("parts=") => {
            (name, Shape::List(Box::new(Slot::required(Shape::Object(part_name(text))))))
        }
        Some((name, _)) => (name, Shape::List(Box::new(Slot::required(Shape::String)))),
        None => (text, Shape::String),
    };
    open_member(name, shape)
}

/// A new store in a folder that goes away with it.
pub async fn store(collections: &[&str]) -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply_collections(&declare(collections)).await.unwrap();
    (store, folder)
}

/// A folder in memory where there is one, for what makes many syncs and needs no disk.
pub fn memory_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

pub fn open(folder: &Path) -> Store {
    Store::open(folder, options()).unwrap_or_else(|error| panic!("{error}"))
}

/// Small sizes, so that the limits are met.
pub fn options() -> Options {
    Options { memtable_bytes: 1 << 20, block_cache_bytes: 1 << 20, index_batch_max: 7, ..Options::default() }
}

pub fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).unwrap()
}

/// A document from JSON text.
pub fn doc(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Puts documents as `("id", "{…}")` in one transaction.
pub async fn put_all(store: &Store, collection: &str, documents: &[(&str, &str)]) -> Result<Committed, CommitError> {
    let mut transaction = store.begin().unwrap();
    for (name, text) in documents {
        transaction.put(collection, &id(name), doc(text)).unwrap();
    }
    store.commit(transaction).await
}

/// A scan with equalities and an order, `-` before a descending one.
pub fn scan(equal: &[(&str, Value)], order: &str) -> Scan {
    let equal = equal.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
    let order = match order.strip_prefix('-') {
        Some(field) => Some((field.to_owned(), Direction::Desc)),
        None if order.is_empty() => None,
        None => Some((order.to_owned(), Direction::Asc)),
    };
    Scan { equal, order, ..Scan::default() }
}

/// The ids of rows, joined by blanks.
pub fn ids(rows: &Rows) -> String {
    let ids: Vec<String> = rows
        .rows
        .iter()
        .map(|row| {
            let document: Value = serde_json::from_slice(&row.document).unwrap();
            document["id"].as_str().unwrap().to_owned()
        })
        .collect();
    ids.join(" ")
}

/// The ids that a scan finds.
pub fn find(transaction: &mut Transaction, collection: &str, scan: &Scan) -> String {
    ids(&transaction.scan(collection, scan).unwrap_or_else(|error| panic!("{error}")))
}

/// The engine of a closed store, opened behind its back.
pub fn raw(folder: &Path) -> surrealkv::Tree {
    surrealkv::TreeBuilder::new().with_path(folder.join("tree")).with_versioning(true, 0).build().unwrap()
}

/// Changes or deletes a record of a closed store behind its back.
pub async fn change_raw(folder: &Path, key: &[u8], change: impl FnOnce(String) -> Option<String>) {
    let tree = raw(folder);
    let mut transaction = tree.begin().unwrap();
    let old = String::from_utf8(transaction.get(key).unwrap().unwrap()).unwrap();
    match change(old) {
        Some(new) => transaction.set(key, new.as_str()).unwrap(),
        None => transaction.delete(key).unwrap(),
    }
    transaction.commit().await.unwrap();
    tree.close().await.unwrap();
}

//! `[migration]` in `app.toml`: each entry names a collection and procedures that take documents and return documents.

use oxc::span::Span;
use weir_schema::declarations::{Declarations, Function, FunctionKind};
use weir_schema::manifest::{self, Manifest, Migration};
use weir_schema::shape::{Shape, Slot};

use super::MANIFEST;
use super::report::{File, Report};
use super::sources::Sources;

const SHAPE: &str = "write it as procedure((args: { documents: JSON[] }): JSON[] => …)";

/// Compares the entries with what is declared.
pub(super) fn check(manifest: &Manifest, declarations: &Declarations, sources: &Sources, report: &Report) {
    let Some((path, text)) = sources.entry(MANIFEST) else { return };
    let file = File::new(path, text);
    for (collection, Migration { up, down }) in &manifest.migration {
        let error = |key, message: String, help: &str| {
            let place = manifest::migration_place(text, collection, key).unwrap_or_default();
            report.error_with_help(&file, Span::new(place.start as u32, place.end as u32), message, help);
        };
        if !declarations.collections.contains_key(collection) {
            let known: Vec<&str> = declarations.collections.keys().map(String::as_str).collect();
            let message = format!("the app has no collection {collection:?}; it has: {}", known.join(", "));
            error("", message, "write [migration.COLLECTION] with the exported name of a collection");
        }
        for (key, name) in [("up", Some(up)), ("down", down.as_ref())] {
            let Some(name) = name else { continue };
            match declarations.functions.get(name) {
                None => error(key, format!("the app has no function {name:?}"), SHAPE),
                Some(function) if !takes_documents(function) => {
                    error(key, format!("{name} does not take documents and return documents"), SHAPE);
                }
                Some(_) => {}
            }
        }
    }
}

fn takes_documents(function: &Function) -> bool {
    let is_list = |slot: &Slot| match &slot.shape {
        Shape::List(element) => element.shape == Shape::Json && !slot.may_be_null(),
        _ => false,
    };
    let takes = match function.arguments.as_slice() {
        [only] => only.name == "documents" && is_list(&only.slot),
        _ => false,
    };
    function.kind == FunctionKind::Procedure && takes && is_list(&function.result)
}

//! `checks` of `[rollout]` in `app.toml`: each names a query or a view that can be called without arguments.

use oxc::span::Span;
use serde_json::{Map, Value};
use weir_schema::declarations::Declarations;
use weir_schema::manifest::{self, Manifest};
use weir_schema::validate;

use super::MANIFEST;
use super::report::{File, Report};
use super::sources::Sources;

/// Compares the names with the functions that are declared.
pub(super) fn check(manifest: &Manifest, declarations: &Declarations, sources: &Sources, report: &Report) {
    let Some((path, text)) = sources.entry(MANIFEST) else { return };
    let file = File::new(path, text);
    for (index, name) in manifest.rollout.checks.iter().enumerate() {
        if let Some(message) = mistake(name, declarations) {
            let place = manifest::check_place(text, index).unwrap_or_default();
            let span = Span::new(place.start as u32, place.end as u32);
            let help = "write the exported name of a query or view that takes no arguments";
            report.error_with_help(&file, span, message, help);
        }
    }
}

fn mistake(name: &str, declarations: &Declarations) -> Option<String> {
    let Some(function) = declarations.functions.get(name) else {
        return Some(format!("the app has no function {name:?}"));
    };
    if !function.kind.is_read() {
        return Some(format!("{name} is a {}, and a check must change nothing", function.kind.as_str()));
    }
    let called = validate::arguments(function, &declarations.definitions, Value::Object(Map::new()));
    called.err().map(|violation| format!("{name} cannot be called without arguments: {violation}"))
}

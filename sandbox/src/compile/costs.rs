//! `[graphql.costs]` and `[rate.functions]` in `app.toml`: each entry is of a function that there is.

use std::ops::Range;

use oxc::span::Span;
use weir_schema::declarations::Declarations;
use weir_schema::manifest::{self, Manifest};

use super::MANIFEST;
use super::report::{File, Report};
use super::sources::Sources;

/// Compares the names with the functions that are declared.
pub(super) fn check(manifest: &Manifest, declarations: &Declarations, sources: &Sources, report: &Report) {
    let Some((path, text)) = sources.entry(MANIFEST) else { return };
    let file = File::new(path, text);
    let unknown = |name: &str, place: Option<Range<usize>>, table: &str| {
        if declarations.functions.contains_key(name) {
            return;
        }
        let place = place.unwrap_or_default();
        let message = format!("the app has no function {name:?}");
        let help = format!("write the exported name of a function under [{table}]");
        report.error_with_help(&file, Span::new(place.start as u32, place.end as u32), message, help);
    };
    for name in manifest.graphql.costs.keys() {
        unknown(name, manifest::cost_place(text, name), "graphql.costs");
    }
    for name in manifest.rate.functions.keys() {
        unknown(name, manifest::rate_place(text, name), "rate.functions");
    }
}

//! `[graphql.costs]` in `app.toml`: each entry is the cost of a function that there is.

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
    for name in manifest.graphql.costs.keys().filter(|name| !declarations.functions.contains_key(*name)) {
        let place = manifest::cost_place(text, name).unwrap_or_default();
        let message = format!("the app has no function {name:?}");
        let help = "write the exported name of a function under [graphql.costs]".to_owned();
        report.error_with_help(&file, Span::new(place.start as u32, place.end as u32), message, help);
    }
}

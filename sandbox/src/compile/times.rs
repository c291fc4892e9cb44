//! `wall_ms` in `app.toml`: a call that may go on for longer than its transaction would be cut before it is out of time.

use oxc::span::Span;
use weir_schema::declarations::{Declarations, FunctionKind};
use weir_schema::limits::TRANSACTION_MS_MAX;
use weir_schema::manifest::{self, Manifest};

use super::MANIFEST;
use super::report::{File, Report};
use super::sources::Sources;

/// Compares the time of a call with that of a transaction, if the app has functions that run in one.
pub(super) fn check(manifest: &Manifest, declarations: &Declarations, sources: &Sources, report: &Report) {
    let Some((path, text)) = sources.entry(MANIFEST) else { return };
    let wall_ms = manifest.limits.wall_ms;
    let in_transaction = |kind| matches!(kind, FunctionKind::Query | FunctionKind::View | FunctionKind::Procedure);
    let Some(function) = declarations.functions.values().find(|function| in_transaction(function.kind)) else { return };
    if wall_ms < TRANSACTION_MS_MAX {
        return;
    }
    let (name, kind) = (&function.name, function.kind.as_str());
    let message = format!(
        "wall_ms = {wall_ms} is too long for the {kind} {name}: a transaction is open for {TRANSACTION_MS_MAX} ms at most"
    );
    let help = format!("write {} or less", TRANSACTION_MS_MAX - 1);
    let place = manifest::limit_place(text, "wall_ms").unwrap_or_default();
    report.error_with_help(&File::new(path, text), Span::new(place.start as u32, place.end as u32), message, help);
}

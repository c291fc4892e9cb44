//! `[[cron]]` in `app.toml`: each entry calls a procedure or an action that there is, with arguments that fit it.

use oxc::span::Span;
use serde_json::Value;
use weir_schema::declarations::{Declarations, FunctionKind};
use weir_schema::manifest::{self, Cron, Manifest};
use weir_schema::validate;

use super::MANIFEST;
use super::report::{File, Report};
use super::sources::Sources;

/// Compares the entries with the functions that are declared.
pub(super) fn check(manifest: &Manifest, declarations: &Declarations, sources: &Sources, report: &Report) {
    let Some((path, text)) = sources.entry(MANIFEST) else { return };
    let file = File::new(path, text);
    for (index, cron) in manifest.cron.iter().enumerate() {
        let Some(Mistake { key, message, help }) = mistake(cron, declarations, manifest.jobs.arguments_bytes) else {
            continue;
        };
        let place = manifest::cron_place(text, index, key).unwrap_or_default();
        report.error_with_help(&file, Span::new(place.start as u32, place.end as u32), message, help);
    }
}

struct Mistake {
    key: &'static str,
    message: String,
    help: String,
}

fn mistake(cron: &Cron, declarations: &Declarations, arguments_bytes: usize) -> Option<Mistake> {
    let Cron { call, args, .. } = cron;
    let Some(function) = declarations.functions.get(call) else {
        let message = format!("the app has no function {call:?}");
        return Some(Mistake {
            key: "call",
            message,
            help: "write the exported name of a procedure or action".to_owned(),
        });
    };
    if !matches!(function.kind, FunctionKind::Procedure | FunctionKind::Action) {
        let message = format!("{call} is a {}, whose result nobody would see", function.kind.as_str());
        return Some(Mistake { key: "call", message, help: "call a procedure or an action".to_owned() });
    }
    let args = Value::Object(args.clone());
    match validate::arguments(function, &declarations.definitions, args) {
        Err(violation) => {
            let message = format!("{call} does not take these arguments: {violation}");
            Some(Mistake { key: "args", message, help: "write them as args = { name = value }".to_owned() })
        }
        Ok(args) if args.to_string().len() > arguments_bytes => {
            let message = format!("the arguments have more than arguments_bytes = {arguments_bytes} under [jobs]");
            Some(Mistake { key: "args", message, help: "pass less, or raise the limit".to_owned() })
        }
        Ok(_) => None,
    }
}

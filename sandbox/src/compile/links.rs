//! Checks that every import leads to a module, that the module has the name, and that no imports go in circles.

use std::collections::BTreeSet;

use oxc::span::Span;

use super::graph::{Graph, Meaning};
use super::module::{ExportSource, Module, Request, RequestedName};
use super::report::{File, Report};
use super::sources::Sources;
use super::specifier::{Lost, Target, resolve};
use super::weir;

/// Checks the imports and re-exports of all modules.
pub(super) fn check(graph: &Graph, sources: &Sources, report: &Report) {
    for module in graph.modules() {
        for request in &module.requests {
            match resolve(sources, module.file.path, request.specifier) {
                Ok(_) => {
                    for name in &request.names {
                        check_name(graph, module, request, name, report);
                    }
                }
                Err(lost) => report_lost(module.file, request, lost, report),
            }
        }
        check_local_exports(graph, module, report);
        for (name, span) in &module.repeated {
            let message = format!("the type `{name}` is declared twice in this file");
            report.error_with_help(module.file, *span, message, "write all its members in one declaration");
        }
    }
    Circles { graph, report, open: Vec::new(), done: BTreeSet::new() }.check();
}

fn report_lost(file: &File, request: &Request, lost: Lost, report: &Report) {
    let specifier = request.specifier;
    let (message, help) = match lost {
        Lost::Package => (
            format!("cannot import {specifier:?}: Weir apps have no packages"),
            "import only \"weir\" and files of the app by relative paths, such as \"../collections\"".to_owned(),
        ),
        Lost::Outside => (
            format!("cannot import {specifier:?}: it is outside the app folder"),
            "move the file into the app folder".to_owned(),
        ),
        Lost::NotFound(tried) => {
            (format!("cannot find the file behind {specifier:?}"), format!("tried {}", tried.join(" and ")))
        }
    };
    report.error_with_help(file, request.span, message, help);
}

fn check_name(graph: &Graph, module: &Module, request: &Request, name: &RequestedName, report: &Report) {
    let file = module.file;
    let RequestedName { name, span, runtime } = *name;
    match request.target {
        Target::Weir if !weir::exports(name) => {
            let help = format!("it exports {}, {}", weir::VALUES.join(", "), weir::TYPES.join(", "));
            report.error_with_help(file, span, format!("\"weir\" exports no `{name}`"), help);
        }
        target => match graph.exported(target, name) {
            None => report_missing(graph, file, request, name, span, report),
            Some(meaning) if runtime && is_only_type(&meaning) => {
                let message = format!("`{name}` is a type, and JavaScript asks for it as a value");
                let help = match (request.target, name) {
                    (Target::Weir, "JSON") => {
                        "write `type JSON as Json`, so that `JSON` is JavaScript's own".to_owned()
                    }
                    _ => format!("write `type {name}` to use it as a type"),
                };
                report.error_with_help(file, span, message, help);
            }
            Some(_) => {}
        },
    }
}

fn report_missing(graph: &Graph, file: &File, request: &Request, name: &str, span: Span, report: &Report) {
    let Target::File(path) = request.target else {
        return;
    };
    let names = graph.module(path).map(|module| graph.exported_names(module)).unwrap_or_default();
    let help = if names.is_empty() {
        format!("{path} exports nothing")
    } else {
        format!("{path} exports {}", names.into_iter().collect::<Vec<_>>().join(", "))
    };
    let message = match name {
        "default" => format!("{path} has no default export; Weir apps export by name"),
        name => format!("{path} exports no `{name}`"),
    };
    report.error_with_help(file, span, message, help);
}

/// Whether nothing of the name is left in JavaScript.
fn is_only_type(meaning: &Meaning) -> bool {
    match meaning {
        Meaning::Weir(name) => weir::is_type(name),
        Meaning::Declared(module, name) => !module.values.contains_key(name),
        Meaning::Whole(_) | Meaning::Broken => false,
    }
}

/// Checks that `export { name }` names something of the file.
fn check_local_exports(graph: &Graph, module: &Module, report: &Report) {
    for (name, export) in &module.exports {
        let ExportSource::Local(local) = export.source else {
            continue;
        };
        if graph.lookup(module, local).is_none() {
            report.error(module.file, export.span, format!("`{name}` is exported, but not declared in this file"));
        }
    }
}

/// A search for imports that go in circles.
struct Circles<'g, 'a> {
    graph: &'g Graph<'a>,
    report: &'g Report,
    /// The way from the start to the module at hand.
    open: Vec<&'a str>,
    done: BTreeSet<&'a str>,
}

impl<'g, 'a> Circles<'g, 'a> {
    fn check(&mut self) {
        for module in self.graph.modules() {
            self.visit(module);
        }
    }

    fn visit(&mut self, module: &'g Module<'a>) {
        let path = module.file.path;
        if !self.done.insert(path) {
            return;
        }
        self.open.push(path);
        for request in module.requests.iter().filter(|request| request.runtime) {
            let Target::File(target) = request.target else {
                continue;
            };
            if let Some(start) = self.open.iter().position(|open| *open == target) {
                let circle = self.open.iter().skip(start).chain([&target]).copied().collect::<Vec<_>>();
                self.report.error_with_help(
                    module.file,
                    request.span,
                    format!("imports go in a circle: {}", circle.join(" → ")),
                    "move what both files need into a third one, or use `import type` where only types are needed",
                );
            } else if let Some(next) = self.graph.module(target) {
                self.visit(next);
            }
        }
        self.open.pop();
    }
}

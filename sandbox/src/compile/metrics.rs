//! `[metrics]` in `app.toml`, and the names of metrics in the text: functions that callers convert by are there, and so is what
//! `metric("…", …)` names.
//!
//! A name that is no literal is looked at when the function runs.

use oxc::ast::AstKind;
use oxc::ast::ast::{CallExpression, Expression, IdentifierReference};
use oxc::ast_visit::Visit;
use oxc::semantic::Scoping;
use oxc::span::{GetSpan, Span};
use weir_schema::declarations::{Declarations, FunctionKind};
use weir_schema::manifest::{self, Manifest};
use weir_schema::metrics::is_name;

use super::graph::Graph;
use super::module::Module;
use super::report::{File, Report};
use super::sources::Sources;
use super::unit::Unit;
use super::{MANIFEST, exports, literal};

/// Compares the declared metrics with the functions that are declared.
pub(super) fn check(manifest: &Manifest, declarations: &Declarations, sources: &Sources, report: &Report) {
    let Some((path, text)) = sources.entry(MANIFEST) else { return };
    let file = File::new(path, text);
    for (name, metric) in &manifest.metrics {
        let Some(function) = &metric.function else { continue };
        let message = match declarations.functions.get(function).map(|function| function.kind) {
            Some(FunctionKind::Procedure | FunctionKind::Action) => continue,
            Some(kind) => format!("{function} is a {}, by which nobody converts", kind.as_str()),
            None => format!("the app has no function {function:?}"),
        };
        let place = manifest::metric_function_place(text, name).unwrap_or_default();
        let span = Span::new(place.start as u32, place.end as u32);
        report.error_with_help(&file, span, message, "write the exported name of a procedure or action");
    }
}

/// Compares the names of metrics that stand in the text with those that are declared.
pub(super) fn check_names<'a>(manifest: &Manifest, units: &'a [Unit<'a>], sources: &'a Sources, report: &Report) {
    let graph = Graph::new(units, sources);
    for unit in units {
        if let Some(module) = graph.module(unit.file.path) {
            Names { manifest, graph: &graph, module, scoping: &unit.scoping, report }.visit_program(&unit.program);
        }
    }
}

struct Names<'n, 'a> {
    manifest: &'n Manifest,
    graph: &'n Graph<'a>,
    module: &'n Module<'a>,
    scoping: &'n Scoping,
    report: &'n Report,
}

impl<'a> Names<'_, 'a> {
    /// Whether an identifier means what it means at the top of the module.
    fn is_from_the_top(&self, identifier: &IdentifierReference) -> bool {
        let symbol = identifier.reference_id.get().and_then(|id| self.scoping.get_reference(id).symbol_id());
        symbol.is_some_and(|symbol| self.scoping.symbol_scope_id(symbol) == self.scoping.root_scope_id())
    }

    fn check_call(&self, call: &CallExpression<'a>) {
        let identifier = match call.callee.get_inner_expression() {
            Expression::Identifier(identifier) => Some(identifier),
            Expression::StaticMemberExpression(member) => match &member.object {
                Expression::Identifier(identifier) => Some(identifier),
                _ => None,
            },
            _ => None,
        };
        if !identifier.is_some_and(|identifier| self.is_from_the_top(identifier))
            || exports::weir_name(self.graph, self.module, &call.callee) != Some("metric")
        {
            return;
        }
        if let Some(argument) = call.arguments.first().and_then(literal::argument)
            && let Some(name) = literal::string(argument)
            && !self.manifest.metrics.contains_key(name)
        {
            let message = format!("app.toml declares no metric {name:?}");
            let help = if is_name(name) {
                format!("add [metrics.{name}] with kind = \"mean\" or kind = \"conversion\"")
            } else {
                "name it by lower-case letters, digits and underscores, and declare that under [metrics]".to_owned()
            };
            self.report.error_with_help(self.module.file, argument.span(), message, help);
        }
    }
}

impl<'a> Visit<'a> for Names<'_, 'a> {
    fn enter_node(&mut self, node: AstKind<'a>) {
        if let AstKind::CallExpression(call) = node {
            self.check_call(call);
        }
    }
}

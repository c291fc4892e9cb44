//! What a module must not contain: syntax that needs more than erasing types, and code that runs at the wrong time.
//!
//! State that outlives a call is in [`super::state`].

use std::collections::HashSet;

use oxc::ast::ast::*;
use oxc::ast_visit::{Visit, walk};
use oxc::semantic::Scoping;
use oxc::span::{GetSpan, Span};
use oxc::syntax::scope::{ScopeFlags, ScopeId};
use std::cell::Cell;

use super::elements;
use super::endpoints;
use super::exports::{self, Maker};
use super::graph::{Graph, Meaning};
use super::module::{Module, ValueDeclaration};
use super::report::Report;
use super::state;
use super::unit::Unit;

/// Checks one module.
pub(super) fn check<'a>(graph: &Graph<'a>, unit: &Unit<'a>, report: &Report) {
    let Some(module) = graph.module(unit.file.path) else {
        return;
    };
    let mut restrictions = Restrictions {
        graph,
        module,
        report,
        scoping: &unit.scoping,
        makers: HashSet::new(),
        callees: HashSet::new(),
        sources: HashSet::new(),
        scopes: Vec::new(),
        functions: 0,
    };
    for value in module.values.values() {
        if let ValueDeclaration::Const(value) = value.declaration
            && let Some((_, call)) = exports::maker(graph, module, value)
        {
            for call in [Some(call), endpoints::action_of(graph, module, call)].into_iter().flatten() {
                restrictions.makers.insert(call.span);
                restrictions.callees.extend(first_identifier(&call.callee).map(|first| first.span));
            }
        }
    }
    restrictions.visit_program(&unit.program);
    state::check(graph, module, unit, report);
}

struct Restrictions<'c, 'a> {
    graph: &'c Graph<'a>,
    module: &'c Module<'a>,
    report: &'c Report,
    scoping: &'c Scoping,
    /// The calls that make a constant at the top of the module a function or a collection.
    makers: HashSet<Span>,
    /// The names in those calls: `query` of `query(…)`.
    callees: HashSet<Span>,
    /// The calls of `filter` and `flatMap` that say what a maintained view is over, and those that are reported.
    sources: HashSet<Span>,
    /// For each open scope whether it is that of a function.
    scopes: Vec<bool>,
    /// How many of them are.
    functions: usize,
}

impl<'a> Restrictions<'_, 'a> {
    fn error(&self, span: Span, message: &str, help: &str) {
        self.report.error_with_help(self.module.file, span, message, help);
    }

    /// Whether an identifier means what it means at the top of the module.
    fn is_from_the_top(&self, identifier: &IdentifierReference) -> bool {
        let symbol = identifier.reference_id.get().and_then(|id| self.scoping.get_reference(id).symbol_id());
        symbol.is_some_and(|symbol| self.scoping.symbol_scope_id(symbol) == self.scoping.root_scope_id())
    }

    /// What makes functions and collections must stand where the compiler finds it.
    fn check_call(&self, call: &CallExpression<'a>) {
        let is_found = self.makers.contains(&call.span);
        if !is_found
            && let Some(maker) = exports::callee(self.graph, self.module, &call.callee)
            && first_identifier(&call.callee).is_some_and(|first| self.is_from_the_top(first))
        {
            self.misplaced(call.callee.span(), maker);
        }
    }

    /// A collection is filtered only to say what a maintained view is over.
    fn check_elements(&mut self, call: &CallExpression<'a>) {
        if exports::callee(self.graph, self.module, &call.callee).is_some_and(Maker::is_over_elements) {
            let source = call.arguments.first().and_then(Argument::as_expression);
            source.into_iter().for_each(|source| self.note_source(source));
        }
        let Expression::StaticMemberExpression(member) = call.callee.get_inner_expression() else {
            return;
        };
        let method = member.property.name.as_str();
        if elements::is_step(method)
            && !self.sources.contains(&call.span)
            && let Some(collection) = elements::collection(self.graph, self.module, &member.object)
            && self.is_from_the_top(collection)
        {
            let name = collection.name.as_str();
            let message =
                format!("`{method}` of a collection stands only in view.groupBy({name}.{method}(…), …) and view.index");
            let help = format!("write {name}.all().{method}(…), or narrow it with {name}.where(…)");
            self.error(member.property.span, &message, &help);
            self.note_source(&member.object);
        }
    }

    fn note_source(&mut self, source: &Expression<'a>) {
        let mut source = source.get_inner_expression();
        while let Expression::CallExpression(call) = source
            && let Expression::StaticMemberExpression(member) = call.callee.get_inner_expression()
        {
            self.sources.insert(call.span);
            source = member.object.get_inner_expression();
        }
    }

    /// Nor may it go by another name.
    fn check_name(&self, identifier: &IdentifierReference) {
        let is_found = self.callees.contains(&identifier.span);
        if !is_found
            && self.is_from_the_top(identifier)
            && let Some(Meaning::Weir(name)) = self.graph.lookup(self.module, identifier.name.as_str())
            && let Some(maker) = Maker::named(name)
        {
            self.misplaced(identifier.span, maker);
        }
    }

    /// Parameter properties are set right after `super(…)`, so that has to be in one place. TypeScript has the same rule.
    fn check_super(&self, class: &Class<'a>) {
        if class.heritage.is_none() {
            return;
        }
        for element in &class.body.body {
            if let ClassElement::MethodDefinition(method) = element
                && method.kind.is_constructor()
                && let Some(body) = &method.value.body
                && let Some(property) = method.value.params.items.iter().find(|parameter| parameter.has_modifier())
                && !body.statements.iter().any(is_super_call)
            {
                let message = "a parameter property needs a `super(…)` that is a statement of the constructor itself";
                self.error(property.span, message, "call super outside of any block, or declare a field and set it");
            }
        }
    }

    fn misplaced(&self, span: Span, maker: Maker) {
        let message = match maker {
            Maker::Collection => "a collection must be the value of an exported constant",
            Maker::Endpoint => "an endpoint must be the value of an exported constant",
            Maker::Function(_) | Maker::GroupBy | Maker::Index => {
                "a function must be the value of an exported constant"
            }
        };
        self.error(span, message, "write export const name = … at the top of a file");
    }
}

fn is_super_call(statement: &Statement) -> bool {
    let Statement::ExpressionStatement(statement) = statement else {
        return false;
    };
    matches!(&statement.expression, Expression::CallExpression(call) if call.callee.is_super())
}

fn first_identifier<'e, 'a>(expression: &'e Expression<'a>) -> Option<&'e IdentifierReference<'a>> {
    match expression.get_inner_expression() {
        Expression::Identifier(identifier) => Some(identifier),
        Expression::StaticMemberExpression(member) => first_identifier(&member.object),
        _ => None,
    }
}

impl<'a> Visit<'a> for Restrictions<'_, 'a> {
    fn enter_scope(&mut self, flags: ScopeFlags, _: &Cell<Option<ScopeId>>) {
        self.scopes.push(flags.is_function());
        self.functions += usize::from(flags.is_function());
    }

    fn leave_scope(&mut self) {
        self.functions -= usize::from(self.scopes.pop() == Some(true));
    }

    fn visit_export_named_declaration(&mut self, _: &ExportNamedDeclaration<'a>) {}

    fn visit_identifier_reference(&mut self, identifier: &IdentifierReference<'a>) {
        self.check_name(identifier);
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        self.check_call(call);
        self.check_elements(call);
        walk::walk_call_expression(self, call);
    }

    fn visit_await_expression(&mut self, expression: &AwaitExpression<'a>) {
        if self.functions == 0 {
            let help = "a module is only loaded, never waited for: move the await into an action";
            self.error(expression.span, "`await` cannot stand at the top of a module", help);
        }
        walk::walk_await_expression(self, expression);
    }

    fn visit_for_of_statement(&mut self, statement: &ForOfStatement<'a>) {
        if self.functions == 0 && statement.r#await {
            let help = "a module is only loaded, never waited for: move the loop into an action";
            self.error(statement.span, "`for await` cannot stand at the top of a module", help);
        }
        walk::walk_for_of_statement(self, statement);
    }

    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        if import.with_clause.is_some() || import.phase.is_some() {
            self.error(import.span, "only TypeScript files can be imported", "write import { … } from \"./file\"");
        }
    }

    fn visit_import_expression(&mut self, import: &ImportExpression<'a>) {
        let help = "write import { … } from \"…\" at the top of the file";
        self.error(import.span, "`import()` cannot load anything while code runs", help);
    }

    fn visit_import_meta(&mut self, meta: &ImportMeta) {
        self.error(meta.span, "`import.meta` has nothing to tell here", "leave it out: an app does not know its files");
    }

    fn visit_export_default_declaration(&mut self, export: &ExportDefaultDeclaration<'a>) {
        let help = "export it by a name: export const name = …";
        let span = Span::sized(export.span.start, "export default".len() as u32);
        self.error(span, "a default export has no name, so that nobody can ask for it", help);
    }

    fn visit_class(&mut self, class: &Class<'a>) {
        self.check_super(class);
        walk::walk_class(self, class);
    }

    fn visit_accessor_property(&mut self, accessor: &AccessorProperty<'a>) {
        if accessor.r#type == AccessorPropertyType::AccessorProperty {
            self.error(accessor.key.span(), "`accessor` fields are not supported", "write a field, or get and set");
        }
        walk::walk_accessor_property(self, accessor);
    }

    fn visit_decorator(&mut self, decorator: &Decorator<'a>) {
        self.error(decorator.span, "decorators are not supported", "call the function instead");
    }

    fn visit_ts_enum_declaration(&mut self, enumeration: &TSEnumDeclaration<'a>) {
        if !enumeration.declare {
            let help = "write a union of strings: type Status = \"open\" | \"paid\"";
            self.error(enumeration.id.span, "an `enum` is more than a type", help);
        }
    }

    fn visit_ts_namespace_declaration(&mut self, namespace: &TSNamespaceDeclaration<'a>) {
        if !namespace.declare {
            self.error(namespace.id.span, "a `namespace` is more than a type", "write a file of its own");
        }
    }

    fn visit_ts_import_equals_declaration(&mut self, import: &TSImportEqualsDeclaration<'a>) {
        self.error(import.span, "`import … =` is not a module import", "write import { … } from \"./file\"");
    }

    fn visit_ts_export_assignment(&mut self, export: &TSExportAssignment<'a>) {
        self.error(export.span, "`export =` is not a module export", "write export const name = …");
    }
}

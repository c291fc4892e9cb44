//! State that would outlive a call: a warm isolate serves many calls of many callers, so nothing at the top of a module
//! may change once it is loaded.
//!
//! Refused are variables that can be assigned again, assignments to functions and classes, containers that exist to be
//! changed (`new Map`), static fields of classes, and changes of constants from inside functions. Constants filled while
//! the module loads are fine, also by functions that run at once. What hides behind closures is found in
//! [`super::kept`], and the isolate freezes what constants hold.

use std::cell::Cell;
use std::collections::HashSet;

use oxc::ast::ast::*;
use oxc::ast_visit::{Visit, walk};
use oxc::semantic::{Scoping, SymbolFlags, SymbolId};
use oxc::span::{GetSpan, Span};
use oxc::syntax::scope::{ScopeFlags, ScopeId};

use super::elements;
use super::graph::{Graph, Meaning};
use super::module::{Module, ValueDeclaration};
use super::report::Report;
use super::unit::Unit;

/// Classes of JavaScript whose instances can be changed.
const CONTAINERS: [&str; 26] = [
    "Map",
    "Set",
    "WeakMap",
    "WeakSet",
    "WeakRef",
    "FinalizationRegistry",
    "Array",
    "Object",
    "ArrayBuffer",
    "SharedArrayBuffer",
    "DataView",
    "Int8Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "Int16Array",
    "Uint16Array",
    "Int32Array",
    "Uint32Array",
    "Float16Array",
    "Float32Array",
    "Float64Array",
    "BigInt64Array",
    "BigUint64Array",
    "Date",
    "Promise",
    "Proxy",
];

/// Methods that change the array that they are called on.
pub(super) const ARRAY_CHANGES: [&str; 9] =
    ["push", "pop", "shift", "unshift", "splice", "sort", "reverse", "fill", "copyWithin"];

/// Functions of `Object` and `Reflect` that change their first argument.
pub(super) const OBJECT_CHANGES: [&str; 6] =
    ["assign", "defineProperty", "defineProperties", "setPrototypeOf", "set", "deleteProperty"];

/// Methods that call what they are given before they return.
const ITERATIONS: [&str; 13] = [
    "forEach",
    "map",
    "filter",
    "flatMap",
    "reduce",
    "reduceRight",
    "sort",
    "toSorted",
    "some",
    "every",
    "find",
    "from",
    "replace",
];

/// Checks one module.
pub(super) fn check<'a>(graph: &Graph<'a>, module: &Module<'a>, unit: &Unit<'a>, report: &Report) {
    let scoping = &unit.scoping;
    let mut variables = HashSet::new();
    for symbol in scoping.symbol_ids() {
        if is_changeable_variable(scoping, symbol) {
            let name = scoping.symbol_name(symbol);
            let message = format!("`{name}` at the top of a module would outlive the call that changes it");
            let help = "write const, or move it into the function; what must last belongs in a collection";
            report.error_with_help(module.file, scoping.symbol_span(symbol), message, help);
            variables.insert(symbol);
        }
    }
    State {
        graph,
        module,
        report,
        scoping,
        variables,
        scopes: Vec::new(),
        functions: 0,
        later: 0,
        at_once: HashSet::new(),
    }
    .visit_program(&unit.program);
}

/// Whether a symbol is a `let` or `var` at the top of the module, or in a block there and changed by a function.
fn is_changeable_variable(scoping: &Scoping, symbol: SymbolId) -> bool {
    let flags = scoping.symbol_flags(symbol);
    if !flags.is_variable() || flags.intersects(SymbolFlags::ConstVariable | SymbolFlags::Ambient) {
        return false;
    }
    let scope = scoping.symbol_scope_id(symbol);
    if scope == scoping.root_scope_id() {
        return true;
    }
    let is_in_function = scoping.scope_ancestors(scope).any(|scope| scoping.scope_flags(scope).is_function());
    !is_in_function
        && scoping.get_resolved_references(symbol).filter(|reference| reference.is_write()).any(|reference| {
            let mut between = scoping.scope_ancestors(reference.scope_id()).take_while(|ancestor| *ancestor != scope);
            between.any(|scope| scoping.scope_flags(scope).is_function())
        })
}

struct State<'c, 'a> {
    graph: &'c Graph<'a>,
    module: &'c Module<'a>,
    report: &'c Report,
    scoping: &'c Scoping,
    /// Variables that are reported already.
    variables: HashSet<SymbolId>,
    /// For each open scope whether it is that of a function, and of one that runs later than the module loads.
    scopes: Vec<(bool, bool)>,
    /// How many of them are the first.
    functions: usize,
    /// How many of them are the second.
    later: usize,
    /// Functions that run at once where they stand.
    at_once: HashSet<ScopeId>,
}

impl<'a> State<'_, 'a> {
    fn symbol(&self, identifier: &IdentifierReference) -> Option<SymbolId> {
        identifier.reference_id.get().and_then(|id| self.scoping.get_reference(id).symbol_id())
    }

    /// Whether an identifier stands for something at the top of the module that is not reported already.
    fn is_from_the_top(&self, identifier: &IdentifierReference) -> bool {
        self.symbol(identifier).is_some_and(|symbol| {
            self.scoping.symbol_scope_id(symbol) == self.scoping.root_scope_id() && !self.variables.contains(&symbol)
        })
    }

    /// The same for what is in a block there, too: `for`, `if`, `{ … }`.
    fn lasts(&self, identifier: &IdentifierReference) -> bool {
        self.symbol(identifier).is_some_and(|symbol| {
            let mut scopes = self.scoping.scope_ancestors(self.scoping.symbol_scope_id(symbol));
            !scopes.any(|scope| self.scoping.scope_flags(scope).is_function()) && !self.variables.contains(&symbol)
        })
    }

    /// Notes the functions that a call at the top runs at once: `(() => { … })()`, `list.forEach((one) => { … })`.
    fn note_at_once(&mut self, call: &CallExpression<'a>) {
        if self.later > 0 {
            return;
        }
        let callee = call.callee.get_inner_expression();
        self.at_once.extend(scope_of(callee));
        let member = callee.as_member_expression();
        let method = member.and_then(MemberExpression::static_property_name);
        // What is given to `filter` of a collection runs when the view does.
        let is_view =
            member.is_some_and(|member| elements::collection(self.graph, self.module, member.object()).is_some());
        if method.is_some_and(|method| ITERATIONS.contains(&method)) && !is_view {
            let arguments = call.arguments.iter().filter_map(Argument::as_expression);
            self.at_once.extend(arguments.filter_map(scope_of));
        }
    }

    fn is_global(&self, identifier: &IdentifierReference) -> bool {
        self.symbol(identifier).is_none()
    }

    /// Reports a change of what a constant holds, unless the module is only being loaded.
    fn change(&self, target: &Expression<'a>, span: Span, help: &str) {
        let Some(base) = base(target) else {
            return;
        };
        if self.later > 0 && self.lasts(base) {
            let message = format!("this changes `{}`, which would outlive the call", base.name);
            self.report.error_with_help(self.module.file, span, message, help);
        }
    }

    /// Whether a constant certainly is no array, so that `name.push(…)` is a function of its own.
    fn is_no_array(&self, identifier: &IdentifierReference) -> bool {
        match self.graph.lookup(self.module, identifier.name.as_str()) {
            Some(Meaning::Declared(module, name)) => match module.values.get(name).map(|value| value.declaration) {
                Some(ValueDeclaration::Const(value)) => {
                    !matches!(value.get_inner_expression(), Expression::ArrayExpression(_))
                        && !matches!(value.get_inner_expression(), Expression::CallExpression(_))
                }
                _ => true,
            },
            _ => true,
        }
    }

    fn check_method(&self, call: &CallExpression<'a>, object: &Expression<'a>, method: &str) {
        let copy = "change a copy: [...list], or toSorted(), toReversed(), with()";
        if let Expression::Identifier(identifier) = object.get_inner_expression() {
            if ["Object", "Reflect"].contains(&identifier.name.as_str()) && self.is_global(identifier) {
                if OBJECT_CHANGES.contains(&method)
                    && let Some(first) = call.arguments.first().and_then(Argument::as_expression)
                {
                    self.change(first, call.span, "change a copy: { ...object, member: value }");
                }
                return;
            }
            if self.is_no_array(identifier) {
                return;
            }
        }
        if ARRAY_CHANGES.contains(&method) {
            self.change(object, call.span, copy);
        }
    }

    fn check_target(&self, target: &SimpleAssignmentTarget<'a>) {
        let help = "use a variable inside of the function; what must last belongs in a collection";
        match target {
            SimpleAssignmentTarget::AssignmentTargetIdentifier(identifier) => {
                if self.is_from_the_top(identifier) {
                    let message = format!("this assigns to `{}`, which is no variable", identifier.name);
                    self.report.error_with_help(self.module.file, identifier.span, message, help);
                }
            }
            other => {
                if let Some(member) = other.as_member_expression() {
                    self.change(member.object(), other.span(), help);
                }
            }
        }
    }
}

/// The scope of a function that is written out.
fn scope_of(expression: &Expression) -> Option<ScopeId> {
    match expression.get_inner_expression() {
        Expression::ArrowFunctionExpression(arrow) => arrow.scope_id.get(),
        Expression::FunctionExpression(function) => function.scope_id.get(),
        _ => None,
    }
}

/// The identifier that a chain of members starts from: `a` of `a.b[0].c`.
pub(super) fn base<'e, 'a>(expression: &'e Expression<'a>) -> Option<&'e IdentifierReference<'a>> {
    match expression.get_inner_expression() {
        Expression::Identifier(identifier) => Some(identifier),
        other => base(other.as_member_expression()?.object()),
    }
}

impl<'a> Visit<'a> for State<'_, 'a> {
    fn enter_scope(&mut self, flags: ScopeFlags, scope: &Cell<Option<ScopeId>>) {
        let is_function = flags.is_function();
        let is_later = is_function && !scope.get().is_some_and(|scope| self.at_once.contains(&scope));
        self.scopes.push((is_function, is_later));
        self.functions += usize::from(is_function);
        self.later += usize::from(is_later);
    }

    fn leave_scope(&mut self) {
        if let Some((is_function, is_later)) = self.scopes.pop() {
            self.functions -= usize::from(is_function);
            self.later -= usize::from(is_later);
        }
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        if self.functions == 0
            && let Expression::Identifier(class) = &new.callee
            && CONTAINERS.contains(&class.name.as_str())
            && self.is_global(class)
        {
            let message = format!("a `{}` at the top of a module would outlive the call that changes it", class.name);
            let help = "write an array or object literal, or move it into the function";
            self.report.error_with_help(self.module.file, new.span, message, help);
        }
        walk::walk_new_expression(self, new);
    }

    fn visit_class(&mut self, class: &Class<'a>) {
        if self.functions == 0 {
            for element in &class.body.body {
                let is_static = match element {
                    ClassElement::PropertyDefinition(property) => property.r#static && !property.declare,
                    ClassElement::AccessorProperty(property) => property.r#static,
                    ClassElement::StaticBlock(_) => true,
                    _ => false,
                };
                if is_static {
                    let help = "write a constant beside the class, or a field of its instances";
                    let message = "a static field would outlive the call that changes it";
                    self.report.error_with_help(self.module.file, element.span(), message, help);
                }
            }
        }
        walk::walk_class(self, class);
    }

    fn visit_property_definition(&mut self, property: &PropertyDefinition<'a>) {
        let is_of_instance = usize::from(!property.r#static);
        self.functions += is_of_instance;
        self.later += is_of_instance;
        walk::walk_property_definition(self, property);
        self.functions -= is_of_instance;
        self.later -= is_of_instance;
    }

    fn visit_simple_assignment_target(&mut self, target: &SimpleAssignmentTarget<'a>) {
        self.check_target(target);
        walk::walk_simple_assignment_target(self, target);
    }

    fn visit_assignment_target_property_identifier(&mut self, target: &AssignmentTargetPropertyIdentifier<'a>) {
        if self.is_from_the_top(&target.binding) {
            let message = format!("this assigns to `{}`, which is no variable", target.binding.name);
            let help = "use a variable inside of the function";
            self.report.error_with_help(self.module.file, target.binding.span, message, help);
        }
        walk::walk_assignment_target_property_identifier(self, target);
    }

    fn visit_unary_expression(&mut self, unary: &UnaryExpression<'a>) {
        if unary.operator == UnaryOperator::Delete
            && let Some(member) = unary.argument.as_member_expression()
        {
            self.change(member.object(), unary.span, "change a copy: const { member, ...rest } = object");
        }
        walk::walk_unary_expression(self, unary);
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        if let Expression::StaticMemberExpression(member) = call.callee.get_inner_expression() {
            self.check_method(call, &member.object, member.property.name.as_str());
        }
        self.note_at_once(call);
        walk::walk_call_expression(self, call);
    }
}

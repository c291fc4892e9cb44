//! What each function of a module changes that is not its own, and what it hands out: the facts for [`super::kept`].

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use oxc::ast::AstKind;
use oxc::ast::ast::*;
use oxc::ast_visit::Visit;
use oxc::semantic::{Scoping, SymbolId};
use oxc::span::{GetSpan, Span};
use oxc::syntax::scope::ScopeId;

use super::report::File;
use super::state::{ARRAY_CHANGES, OBJECT_CHANGES, base};
use super::unit::Unit;

/// The top of the module, as a place where code runs.
pub(super) const TOP: usize = 0;

/// Classes whose instances exist to be changed, and the methods that do it.
const CONTAINERS: [&str; 4] = ["Map", "Set", "WeakMap", "WeakSet"];
const CONTAINER_CHANGES: [&str; 4] = ["set", "add", "delete", "clear"];

/// Code that runs together: a function, the top of the module, or the initial value of a field.
pub(super) struct Code<'a> {
    /// The code around it; none for the top.
    pub parent: Option<usize>,
    /// Where the code inside of it ends: it follows its own.
    end: usize,
    /// What it returns.
    pub returned: Vec<&'a Expression<'a>>,
    /// What it assigns to members of anything: `this.next = …`.
    pub assigned: Vec<(&'a Expression<'a>, Base)>,
    /// The variables of code around it that it changes.
    pub changed: Vec<SymbolId>,
    /// The variables of code around it that it mentions.
    pub mentioned: Vec<SymbolId>,
    /// Whether it changes members of `this` when it is called.
    pub changes_this: bool,
    /// The same for functions in it that share its `this`, which may run later.
    pub changes_this_later: bool,
    /// Whether it is a generator function.
    pub is_generator: bool,
    is_arrow: bool,
}

/// Whose member something is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// `this`.
    This,
    /// A variable's.
    Variable(SymbolId),
    /// Of what an expression makes.
    Other,
}

/// What a variable, function or class is declared as.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// With an initial value.
    Expression(&'a Expression<'a>),
    /// A function.
    Function(&'a Function<'a>),
    /// A class.
    Class(&'a Class<'a>),
}

/// The facts of one module.
pub(super) struct Closures<'a> {
    /// Its path and text.
    pub file: &'a File<'a>,
    /// What its names are bound to.
    pub scoping: &'a Scoping,
    /// All of its code; the first is its top.
    pub codes: Vec<Code<'a>>,
    /// What variables are declared as.
    pub values: HashMap<SymbolId, Value<'a>>,
    /// Constants of the top, also of blocks there, with their names.
    pub constants: Vec<(&'a Expression<'a>, Span)>,
    /// Statements of the top that are expressions.
    pub statements: Vec<&'a Expression<'a>>,
    by_scope: HashMap<ScopeId, usize>,
    /// The code at hand.
    open: Vec<usize>,
    /// Calls of methods that change some kinds of objects, with the code at hand. What is declared as what is known only
    /// at the end.
    calls: Vec<(&'a Expression<'a>, &'a str, Vec<usize>)>,
    /// Private fields that hold a container.
    container_fields: HashSet<&'a str>,
}

impl<'a> Closures<'a> {
    /// Reads a module.
    pub(super) fn read(unit: &'a Unit<'a>) -> Self {
        let mut closures = Self {
            file: &unit.file,
            scoping: &unit.scoping,
            codes: Vec::new(),
            values: HashMap::new(),
            constants: Vec::new(),
            statements: Vec::new(),
            by_scope: HashMap::new(),
            open: Vec::new(),
            calls: Vec::new(),
            container_fields: HashSet::new(),
        };
        closures.begin(None, Code::new());
        closures.visit_program(&unit.program);
        closures.note_calls();
        closures.note_references();
        closures
    }

    /// The code of a function.
    pub(super) fn code(&self, scope: Option<ScopeId>) -> Option<usize> {
        self.by_scope.get(&scope?).copied()
    }

    /// The code that a variable belongs to.
    pub(super) fn owner(&self, symbol: SymbolId) -> usize {
        self.code_of_scope(self.scoping.symbol_scope_id(symbol))
    }

    /// Code with all that is inside of it.
    pub(super) fn inside(&self, code: usize) -> Range<usize> {
        code..self.codes.get(code).map_or(code, |code| code.end)
    }

    /// What an identifier stands for.
    pub(super) fn symbol(&self, identifier: &IdentifierReference) -> Option<SymbolId> {
        identifier.reference_id.get().and_then(|id| self.scoping.get_reference(id).symbol_id())
    }

    /// The code that a scope is in.
    pub(super) fn code_of_scope(&self, scope: ScopeId) -> usize {
        self.scoping.scope_ancestors(scope).find_map(|scope| self.by_scope.get(&scope).copied()).unwrap_or(TOP)
    }

    /// Notes which variables of code around it each code assigns to and mentions.
    fn note_references(&mut self) {
        for symbol in self.scoping.symbol_ids() {
            let owner = self.owner(symbol);
            for reference in self.scoping.get_resolved_references(symbol) {
                let code = self.code_of_scope(reference.scope_id());
                if code == owner {
                    continue;
                }
                if let Some(code) = self.codes.get_mut(code) {
                    code.mentioned.push(symbol);
                    if reference.is_write() {
                        code.changed.push(symbol);
                    }
                }
            }
        }
    }

    fn begin(&mut self, scope: Option<ScopeId>, code: Code<'a>) {
        let index = self.codes.len();
        self.by_scope.extend(scope.map(|scope| (scope, index)));
        self.codes.push(Code { parent: self.open.last().copied(), ..code });
        self.open.push(index);
    }

    fn here(&mut self) -> Option<&mut Code<'a>> {
        self.codes.get_mut(*self.open.last()?)
    }

    /// The value of a member is changed, or a method called that changes it.
    fn change(&mut self, target: &Expression<'a>) {
        match self.base_of(target) {
            Base::This => self.change_this(),
            Base::Variable(symbol) => {
                let owner = self.owner(symbol);
                let here = self.open.last().copied();
                if here != Some(owner)
                    && let Some(code) = self.here()
                {
                    code.changed.push(symbol);
                }
            }
            Base::Other => {}
        }
    }

    /// `this` of an arrow function is that of the code around it.
    fn change_this(&mut self) {
        let mut later = false;
        for index in self.open.iter().rev() {
            let Some(code) = self.codes.get_mut(*index) else { return };
            if !code.is_arrow {
                if later {
                    code.changes_this_later = true;
                } else {
                    code.changes_this = true;
                }
                return;
            }
            later = true;
        }
    }

    fn base_of(&self, target: &Expression<'a>) -> Base {
        if let Some(identifier) = base(target) {
            return self.symbol(identifier).map_or(Base::Other, Base::Variable);
        }
        let mut target = target.get_inner_expression();
        while let Some(member) = target.as_member_expression() {
            target = member.object().get_inner_expression();
        }
        if matches!(target, Expression::ThisExpression(_)) { Base::This } else { Base::Other }
    }

    fn change_target(&mut self, target: &SimpleAssignmentTarget<'a>) {
        if let Some(member) = target.as_member_expression() {
            self.change(member.object());
        }
    }

    fn call(&mut self, call: &'a CallExpression<'a>) {
        let Some(member) = call.callee.get_inner_expression().as_member_expression() else {
            return;
        };
        let Some(method) = member.static_property_name() else {
            return;
        };
        let object = member.object();
        if ARRAY_CHANGES.contains(&method) {
            self.change(object);
        } else if CONTAINER_CHANGES.contains(&method) || ["exec", "test"].contains(&method) {
            self.calls.push((object, method, self.open.clone()));
        }
        let changes_first = OBJECT_CHANGES.contains(&method)
            && matches!(object.get_inner_expression(), Expression::Identifier(name)
                if ["Object", "Reflect"].contains(&name.name.as_str()));
        if changes_first && let Some(first) = call.arguments.first().and_then(Argument::as_expression) {
            self.change(first);
        }
    }

    fn note_calls(&mut self) {
        for (object, method, open) in std::mem::take(&mut self.calls) {
            if self.is_changed_by(object, method) {
                self.open = open;
                self.change(object);
            }
        }
    }

    /// Whether the method changes what an expression is known to hold: a container, or a pattern that remembers where it
    /// stopped.
    fn is_changed_by(&self, object: &Expression<'a>, method: &str) -> bool {
        match object.get_inner_expression() {
            Expression::PrivateFieldExpression(field) => {
                CONTAINER_CHANGES.contains(&method) && self.container_fields.contains(field.field.name.as_str())
            }
            Expression::Identifier(name) => {
                let value = self.symbol(name).and_then(|symbol| self.values.get(&symbol));
                match value {
                    Some(Value::Expression(value)) => match value.get_inner_expression() {
                        Expression::RegExpLiteral(pattern) => {
                            ["exec", "test"].contains(&method)
                                && pattern.regex.flags.intersects(RegExpFlags::G | RegExpFlags::Y)
                        }
                        value => CONTAINER_CHANGES.contains(&method) && is_container(value),
                    },
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn declare(&mut self, id: &BindingIdentifier<'a>, value: Value<'a>) {
        self.values.extend(id.symbol_id.get().map(|symbol| (symbol, value)));
    }
}

/// Whether an expression makes a container.
fn is_container(value: &Expression) -> bool {
    matches!(value.get_inner_expression(), Expression::NewExpression(new)
        if matches!(&new.callee, Expression::Identifier(class) if CONTAINERS.contains(&class.name.as_str())))
}

impl Code<'_> {
    fn new() -> Self {
        Self {
            parent: None,
            end: 0,
            returned: Vec::new(),
            assigned: Vec::new(),
            changed: Vec::new(),
            mentioned: Vec::new(),
            changes_this: false,
            changes_this_later: false,
            is_generator: false,
            is_arrow: false,
        }
    }
}

impl<'a> Visit<'a> for Closures<'a> {
    fn enter_node(&mut self, node: AstKind<'a>) {
        match node {
            AstKind::Function(function) => {
                if let Some(id) = &function.id {
                    self.declare(id, Value::Function(function));
                }
                self.begin(function.scope_id.get(), Code { is_generator: function.generator, ..Code::new() });
            }
            AstKind::ArrowFunctionExpression(arrow) => {
                let returned = arrow.get_expression().into_iter().collect();
                self.begin(arrow.scope_id.get(), Code { returned, is_arrow: true, ..Code::new() });
            }
            AstKind::PropertyDefinition(property) => {
                if let PropertyKey::PrivateIdentifier(name) = &property.key
                    && property.value.as_ref().is_some_and(is_container)
                {
                    self.container_fields.insert(name.name.as_str());
                }
                self.begin(None, Code::new());
            }
            AstKind::Class(class) => {
                if let Some(id) = &class.id {
                    self.declare(id, Value::Class(class));
                }
            }
            AstKind::VariableDeclarator(variable) => {
                if let Some(value) = &variable.init {
                    if let BindingPattern::BindingIdentifier(id) = &variable.id {
                        self.declare(id, Value::Expression(value));
                    }
                    if self.open == [TOP] {
                        self.constants.push((value, variable.id.span()));
                    }
                }
            }
            AstKind::ExpressionStatement(statement) if self.open == [TOP] => {
                self.statements.push(&statement.expression);
            }
            AstKind::ReturnStatement(statement) => {
                if let Some(code) = self.here() {
                    code.returned.extend(statement.argument.iter());
                }
            }
            AstKind::AssignmentExpression(assignment) => {
                if let Some(target) = assignment.left.as_simple_assignment_target() {
                    self.change_target(target);
                    if let SimpleAssignmentTarget::PrivateFieldExpression(field) = target
                        && is_container(&assignment.right)
                    {
                        self.container_fields.insert(field.field.name.as_str());
                    }
                    if let Some(member) = target.as_member_expression() {
                        let base = self.base_of(member.object());
                        if let Some(code) = self.here() {
                            code.assigned.push((&assignment.right, base));
                        }
                    }
                }
            }
            AstKind::UpdateExpression(update) => self.change_target(&update.argument),
            AstKind::UnaryExpression(unary) if unary.operator == UnaryOperator::Delete => {
                if let Some(member) = unary.argument.get_inner_expression().as_member_expression() {
                    self.change(member.object());
                }
            }
            AstKind::CallExpression(call) => self.call(call),
            _ => {}
        }
    }

    fn leave_node(&mut self, node: AstKind<'a>) {
        if matches!(node, AstKind::Function(_) | AstKind::ArrowFunctionExpression(_) | AstKind::PropertyDefinition(_)) {
            let end = self.codes.len();
            if let Some(code) = self.here() {
                code.end = end;
            }
            self.open.pop();
        }
    }
}

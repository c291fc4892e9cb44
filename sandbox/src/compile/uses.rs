//! What each declaration at the top of a module uses of all that is declared at the tops of the app's modules: the facts
//! for [`super::dependencies`] and [`super::recursion`].
//!
//! Declarations are looked at whole. Of an object with several functions it is not told which of them uses what.

use std::collections::{HashMap, HashSet};

use oxc::ast::AstKind;
use oxc::ast::ast::*;
use oxc::ast_visit::Visit;
use oxc::semantic::Scoping;
use oxc::span::{GetSpan, Span};

use super::exports::{self, Maker};
use super::graph::{Graph, Meaning};
use super::module::Module;
use super::specifier::Target;
use super::unit::Unit;
use super::{elements, literal};

/// A declaration: the path of its module and its name there.
pub(super) type Key<'a> = (&'a str, &'a str);

/// What a declaration does with another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How<'a> {
    /// Calls it: `f(…)`, `call(f, …)`, `attempt(f)`.
    Called,
    /// Has it called later: `schedule(when, f, …)`.
    Scheduled,
    /// Takes a member of this name: `orders.insert`.
    Member(&'a str),
    /// Groups or sorts what it holds: `view.groupBy(orders, …)`, `view.index(orders, …)`.
    Grouped,
    /// Has it as a value.
    Passed,
}

/// One use.
pub(super) struct Use<'a> {
    /// What is used.
    pub of: Key<'a>,
    /// How.
    pub how: How<'a>,
    /// Where.
    pub span: Span,
}

/// What a declaration is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A function: what it uses, it uses when it is called.
    Function,
    /// A constant or a class.
    Value,
    /// None, but a statement that may fill the constants that it names.
    Statement,
}

/// A declaration, or a statement that is none.
pub(super) struct Item<'a> {
    /// The path of its module.
    pub path: &'a str,
    /// What it is.
    pub form: Form,
    /// What it uses, in the order of the text.
    pub uses: Vec<Use<'a>>,
}

/// The declarations of all modules.
pub(super) struct Items<'a> {
    items: Vec<Item<'a>>,
    /// Several of one name where statements may fill a constant.
    by_key: HashMap<Key<'a>, Vec<usize>>,
}

impl<'a> Items<'a> {
    /// Reads all modules.
    pub(super) fn read(graph: &Graph<'a>, units: &'a [Unit<'a>]) -> Self {
        let mut items = Self { items: Vec::new(), by_key: HashMap::new() };
        for unit in units {
            if let Some(module) = graph.module(unit.file.path) {
                let reader = Reader { graph, module, scoping: &unit.scoping, noted: HashSet::new(), uses: Vec::new() };
                items.read_module(unit, reader);
            }
        }
        items
    }

    /// What stands under a name.
    pub(super) fn of(&self, key: Key<'a>) -> impl Iterator<Item = (usize, &Item<'a>)> {
        let indexes = self.by_key.get(&key).map_or(&[][..], Vec::as_slice);
        indexes.iter().filter_map(|index| Some((*index, self.items.get(*index)?)))
    }

    fn read_module(&mut self, unit: &'a Unit<'a>, mut reader: Reader<'_, 'a>) {
        for statement in &unit.program.body {
            let declaration = match statement {
                Statement::ImportDeclaration(_)
                | Statement::ExportNamedDeclaration(_)
                | Statement::ExportFromDeclaration(_)
                | Statement::ExportAllDeclaration(_) => continue,
                Statement::ExportDeclaration(export) => Some(&export.declaration),
                other => other.as_declaration(),
            };
            match declaration {
                Some(Declaration::VariableDeclaration(variables)) => {
                    for variable in &variables.declarations {
                        reader.visit_variable_declarator(variable);
                        let is_function =
                            variable.init.as_ref().is_some_and(|value| value.get_inner_expression().is_function());
                        let form = if is_function { Form::Function } else { Form::Value };
                        let names = variable.id.get_binding_identifiers();
                        self.add(&mut reader, form, names.iter().map(|id| id.name.as_str()));
                    }
                }
                Some(Declaration::FunctionDeclaration(function)) => {
                    reader.visit_statement(statement);
                    self.add(&mut reader, Form::Function, function.id.iter().map(|id| id.name.as_str()));
                }
                Some(Declaration::ClassDeclaration(class)) => {
                    reader.visit_statement(statement);
                    self.add(&mut reader, Form::Value, class.id.iter().map(|id| id.name.as_str()));
                }
                Some(_) => {}
                None => {
                    reader.visit_statement(statement);
                    let path = reader.module.file.path;
                    let own: HashSet<&str> =
                        reader.uses.iter().filter(|used| used.of.0 == path).map(|used| used.of.1).collect();
                    self.add(&mut reader, Form::Statement, own.into_iter());
                }
            }
        }
    }

    fn add(&mut self, reader: &mut Reader<'_, 'a>, form: Form, names: impl Iterator<Item = &'a str>) {
        let path = reader.module.file.path;
        let index = self.items.len();
        self.items.push(Item { path, form, uses: std::mem::take(&mut reader.uses) });
        for name in names {
            self.by_key.entry((path, name)).or_default().push(index);
        }
    }
}

struct Reader<'r, 'a> {
    graph: &'r Graph<'a>,
    module: &'r Module<'a>,
    scoping: &'r Scoping,
    /// The identifiers whose use is known already from what stands around them.
    noted: HashSet<Span>,
    uses: Vec<Use<'a>>,
}

impl<'a> Reader<'_, 'a> {
    /// What an identifier means, if it means what it does at the top of the module and is there in JavaScript.
    fn meaning_of_name(&self, name: &IdentifierReference<'a>) -> Option<Meaning<'a, '_>> {
        let reference = self.scoping.get_reference(name.reference_id.get()?);
        let scope = self.scoping.symbol_scope_id(reference.symbol_id()?);
        if !reference.is_value() || scope != self.scoping.root_scope_id() {
            return None;
        }
        self.graph.lookup(self.module, name.name.as_str())
    }

    /// The same for an expression that is an identifier, or a member of a whole module; with its identifier.
    fn meaning(&self, expression: &Expression<'a>) -> Option<(Meaning<'a, '_>, Span)> {
        match expression.get_inner_expression() {
            Expression::Identifier(name) => Some((self.meaning_of_name(name)?, name.span)),
            Expression::StaticMemberExpression(member) => {
                self.meaning_in_module(&member.object, member.property.name.as_str())
            }
            _ => None,
        }
    }

    /// What a member of a whole module means; `None` for members of anything else.
    fn meaning_in_module(&self, object: &Expression<'a>, name: &'a str) -> Option<(Meaning<'a, '_>, Span)> {
        let (Meaning::Whole(target), identifier) = self.meaning(object)? else { return None };
        Some((self.graph.exported(target, name)?, identifier))
    }

    fn is_weir(&self, expression: &Expression<'a>, name: &str) -> bool {
        matches!(self.meaning(expression), Some((Meaning::Weir(known), _)) if known == name)
    }

    fn note(&mut self, expression: &Expression<'a>, how: How<'a>) {
        if let Some((Meaning::Declared(module, name), identifier)) = self.meaning(expression) {
            let of = (module.file.path, name);
            self.add(of, how, identifier, expression.span());
        }
    }

    fn add(&mut self, of: Key<'a>, how: How<'a>, identifier: Span, span: Span) {
        if self.noted.insert(identifier) {
            self.uses.push(Use { of, how, span });
        }
    }

    fn call(&mut self, call: &CallExpression<'a>) {
        let argument = |place: usize| call.arguments.get(place).and_then(Argument::as_expression);
        let called = if self.is_weir(&call.callee, "call") || self.is_weir(&call.callee, "attempt") {
            argument(0).map(|function| (function, How::Called))
        } else if self.is_weir(&call.callee, "schedule") {
            argument(1).map(|function| (function, How::Scheduled))
        } else {
            Some((&call.callee, How::Called))
        };
        if let Some((function, how)) = called {
            self.note(function, how);
        }
        if exports::callee(self.graph, self.module, &call.callee).is_some_and(Maker::is_over_elements)
            && let Some(source) = call.arguments.first().and_then(Argument::as_expression)
            && let Some(collection) = elements::collection(self.graph, self.module, source)
            && let Some(Meaning::Declared(module, name)) = self.meaning_of_name(collection)
        {
            let of = (module.file.path, name);
            self.add(of, How::Grouped, collection.span, collection.span);
        }
    }

    fn member(&mut self, member: &StaticMemberExpression<'a>) {
        let name = member.property.name.as_str();
        self.note(&member.object, How::Member(name));
        if let Some((Meaning::Declared(module, declared), identifier)) = self.meaning_in_module(&member.object, name) {
            let of = (module.file.path, declared);
            self.add(of, How::Passed, identifier, member.span);
        }
    }

    /// An identifier that nothing around it explains.
    fn value(&mut self, name: &IdentifierReference<'a>) {
        let Some(meaning) = self.meaning_of_name(name) else { return };
        let of = self.declared(meaning);
        if self.noted.insert(name.span) {
            self.uses.extend(of.into_iter().map(|of| Use { of, how: How::Passed, span: name.span }));
        }
    }

    /// The declarations behind a name. A whole module stands for all that it exports.
    fn declared(&self, meaning: Meaning<'a, '_>) -> Vec<Key<'a>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut queue = vec![meaning];
        while let Some(meaning) = queue.pop() {
            match meaning {
                Meaning::Declared(module, name) => found.push((module.file.path, name)),
                Meaning::Whole(target @ Target::File(path)) if seen.insert(path) => {
                    let names = self.graph.module(path).map(|module| self.graph.exported_names(module));
                    queue.extend(names.into_iter().flatten().filter_map(|name| self.graph.exported(target, name)));
                }
                Meaning::Whole(_) | Meaning::Weir(_) | Meaning::Broken => {}
            }
        }
        found
    }
}

impl<'a> Visit<'a> for Reader<'_, 'a> {
    fn enter_node(&mut self, node: AstKind<'a>) {
        match node {
            AstKind::CallExpression(call) => self.call(call),
            AstKind::NewExpression(new) => self.note(&new.callee, How::Called),
            AstKind::TaggedTemplateExpression(tagged) => self.note(&tagged.tag, How::Called),
            AstKind::StaticMemberExpression(member) => self.member(member),
            AstKind::ComputedMemberExpression(member) => {
                if let Some(name) = literal::string(&member.expression) {
                    self.note(&member.object, How::Member(name));
                }
            }
            AstKind::IdentifierReference(name) => self.value(name),
            _ => {}
        }
    }
}

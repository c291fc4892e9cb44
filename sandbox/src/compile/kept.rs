//! State behind closures: what the top of a module keeps for good must not be able to change itself.
//!
//! `const next = makeCounter()` keeps a function that changes a variable of the call of `makeCounter`, and that variable
//! would outlive the calls that the app serves. The like holds for generators and for instances whose methods change
//! them. Functions that do such things and are called by each call for itself are fine, and so are those of which the top
//! keeps only what they returned. What this cannot see through, such as a closure that a parameter hands on, stays.

use std::cell::RefCell;
use std::collections::HashMap;

use oxc::ast::ast::*;
use oxc::semantic::SymbolId;
use oxc::span::{GetSpan, Span};

use super::closures::{Base, Closures, Code, TOP, Value};
use super::exports;
use super::graph::{Graph, Meaning};
use super::report::Report;
use super::unit::Unit;

/// Checks all modules.
pub(super) fn check<'a>(graph: &Graph<'a>, units: &'a [Unit<'a>], report: &Report) {
    let modules = units.iter().map(|unit| (unit.file.path, Closures::read(unit))).collect();
    let keeper = Keeper { graph, modules, known: RefCell::new(HashMap::new()) };
    for unit in units {
        keeper.check(unit.file.path, report);
    }
}

/// What would outlive the calls.
#[derive(Clone)]
enum State {
    /// A function changes this variable of a function that has returned.
    Variable { name: String, place: String },
    /// A generator remembers where it stopped.
    Generator,
    /// A class has a static field.
    Static { place: String },
    /// Methods change the instances of this class.
    Instance { class: String, place: String },
}

impl State {
    fn message(&self) -> String {
        match self {
            Self::Variable { name, place } => {
                format!("this keeps a function that changes `{name}` ({place}), which would outlive the call")
            }
            Self::Static { place } => {
                format!(
                    "this keeps a class with a static field ({place}), which would outlive the call that changes it"
                )
            }
            Self::Generator => "this keeps a generator, which would outlive the call that moves it on".to_owned(),
            Self::Instance { class, place } => {
                format!("this keeps a `{class}`, which its methods change ({place}): it would outlive the call")
            }
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Generator => "keep what it yields, [...generator], or start it inside of the function",
            _ => "make it inside of the function that needs it; what must last belongs in a collection",
        }
    }
}

/// A place in the code of an app: a module by its path, and code of it.
type Spot<'a> = (&'a str, usize);

struct Keeper<'c, 'a> {
    graph: &'c Graph<'a>,
    modules: HashMap<&'a str, Closures<'a>>,
    /// What a call of each code leaves in its result. While it is worked out it is nothing, which ends recursion.
    known: RefCell<HashMap<Spot<'a>, Option<State>>>,
}

impl<'a> Keeper<'_, 'a> {
    fn check(&self, path: &'a str, report: &Report) {
        let Some(module) = self.modules.get(path) else {
            return;
        };
        for (value, name) in &module.constants {
            self.report(path, value, *name, report);
        }
        let Some(top) = module.codes.first() else {
            return;
        };
        for (value, _) in &top.assigned {
            self.report(path, value, value.span(), report);
        }
        // `(() => { … api.next = … })();`
        let calls = module.statements.iter().filter(|statement| matches!(statement, Expression::CallExpression(_)));
        for statement in calls {
            self.report(path, statement, statement.span(), report);
        }
    }

    fn report(&self, path: &'a str, value: &'a Expression<'a>, span: Span, report: &Report) {
        if let (Some(state), Some(module)) = (self.kept(path, value), self.modules.get(path)) {
            report.error_with_help(module.file, span, state.message(), state.help());
        }
    }

    /// The state in what an expression gives, if it runs once while its module is loaded.
    fn kept(&self, path: &'a str, value: &'a Expression<'a>) -> Option<State> {
        let module = self.modules.get(path)?;
        match value.get_inner_expression() {
            Expression::ArrowFunctionExpression(arrow) => self.of_function((path, module.code(arrow.scope_id.get())?)),
            Expression::FunctionExpression(function) => self.of_function((path, module.code(function.scope_id.get())?)),
            Expression::ClassExpression(class) => self.of_class(path, class),
            Expression::Identifier(name) => self.of_variable(path, module.symbol(name)?),
            Expression::ObjectExpression(object) => object.properties.iter().find_map(|property| match property {
                ObjectPropertyKind::ObjectProperty(property) => self.kept(path, &property.value),
                ObjectPropertyKind::SpreadProperty(spread) => self.kept(path, &spread.argument),
            }),
            Expression::ArrayExpression(array) => {
                // What is spread is used up here: `[...generator()]`.
                array
                    .elements
                    .iter()
                    .filter_map(ArrayExpressionElement::as_expression)
                    .find_map(|one| self.kept(path, one))
            }
            Expression::ConditionalExpression(either) => {
                self.kept(path, &either.consequent).or_else(|| self.kept(path, &either.alternate))
            }
            Expression::LogicalExpression(either) => {
                self.kept(path, &either.left).or_else(|| self.kept(path, &either.right))
            }
            Expression::SequenceExpression(steps) => self.kept(path, steps.expressions.last()?),
            Expression::AssignmentExpression(assignment) => self.kept(path, &assignment.right),
            Expression::CallExpression(call) => self.of_call(path, call),
            Expression::NewExpression(new) => self.of_instance(path, &new.callee),
            _ => None,
        }
    }

    fn of_call(&self, path: &'a str, call: &'a CallExpression<'a>) -> Option<State> {
        let module = self.modules.get(path)?;
        let arguments = || {
            let arguments = call.arguments.iter().filter_map(Argument::as_expression);
            arguments.into_iter().find_map(|argument| self.kept(path, argument))
        };
        let callee = call.callee.get_inner_expression();
        if let Some(member) = callee.as_member_expression() {
            let object = member.object().get_inner_expression();
            return match (object, member.static_property_name()) {
                // These give back what they are given.
                (Expression::Identifier(name), Some("freeze" | "seal" | "assign" | "preventExtensions"))
                    if name.name == "Object" =>
                {
                    arguments()
                }
                (object, Some("bind")) => self.kept(path, object),
                _ => None,
            };
        }
        let makes = self.graph.module(path).and_then(|home| exports::callee(self.graph, home, &call.callee));
        if makes.is_some() {
            return arguments();
        }
        let spot = match callee {
            Expression::ArrowFunctionExpression(arrow) => (path, module.code(arrow.scope_id.get())?),
            Expression::FunctionExpression(function) => (path, module.code(function.scope_id.get())?),
            callee => match self.declared(path, callee)? {
                (path, Value::Function(function)) => (path, self.code(path, function.scope_id.get())?),
                (path, Value::Expression(value)) => match value.get_inner_expression() {
                    Expression::ArrowFunctionExpression(arrow) => (path, self.code(path, arrow.scope_id.get())?),
                    Expression::FunctionExpression(function) => (path, self.code(path, function.scope_id.get())?),
                    _ => return None,
                },
                (_, Value::Class(_)) => return None,
            },
        };
        self.of_result(spot)
    }

    fn code(&self, path: &str, scope: Option<oxc::syntax::scope::ScopeId>) -> Option<usize> {
        self.modules.get(path)?.code(scope)
    }

    /// What an identifier is declared as, in which module.
    fn declared(&self, path: &'a str, expression: &Expression<'a>) -> Option<(&'a str, Value<'a>)> {
        let Expression::Identifier(name) = expression.get_inner_expression() else {
            return None;
        };
        let module = self.modules.get(path)?;
        if let Some(value) = module.symbol(name).and_then(|symbol| module.values.get(&symbol)) {
            return Some((path, *value));
        }
        let meaning = self.graph.lookup(self.graph.module(path)?, name.name.as_str());
        let Some(Meaning::Declared(home, local)) = meaning else {
            return None;
        };
        let home = self.modules.get(home.file.path)?;
        let symbol = home.scoping.get_root_binding(local.into())?;
        Some((home.file.path, *home.values.get(&symbol)?))
    }

    /// The state in the result of a call.
    fn of_result(&self, spot: Spot<'a>) -> Option<State> {
        if let Some(known) = self.known.borrow().get(&spot) {
            return known.clone();
        }
        self.known.borrow_mut().insert(spot, None);
        let found = self.find_in_result(spot);
        self.known.borrow_mut().insert(spot, found.clone());
        found
    }

    fn find_in_result(&self, (path, index): Spot<'a>) -> Option<State> {
        let module = self.modules.get(path)?;
        let code = module.codes.get(index)?;
        if code.is_generator {
            return Some(State::Generator);
        }
        let returned = code.returned.iter().find_map(|value| self.kept(path, value));
        returned.or_else(|| {
            let assigned = code.assigned.iter().filter(|(_, base)| match base {
                Base::This => true,
                Base::Variable(symbol) => module.owner(*symbol) != index || is_returned(module, code, *symbol),
                Base::Other => false,
            });
            assigned.into_iter().find_map(|(value, _)| self.kept(path, value))
        })
    }

    /// The state of a function that is kept: what it, or a function in it or used by it, changes of the code around it.
    fn of_function(&self, (path, kept): Spot<'a>) -> Option<State> {
        let module = self.modules.get(path)?;
        let mut seen = vec![kept];
        let mut queue = vec![kept];
        while let Some(function) = queue.pop() {
            let inside = module.inside(function);
            for code in inside.clone().filter_map(|index| module.codes.get(index)) {
                let is_around = |symbol: &&SymbolId| {
                    let owner = module.owner(**symbol);
                    owner != TOP && !inside.contains(&owner)
                };
                if let Some(symbol) = code.changed.iter().find(is_around) {
                    return Some(variable(module, *symbol));
                }
                for symbol in code.mentioned.iter().filter(is_around) {
                    let next = match module.values.get(symbol) {
                        Some(Value::Function(function)) => module.code(function.scope_id.get()),
                        Some(Value::Expression(value)) => match value.get_inner_expression() {
                            Expression::ArrowFunctionExpression(arrow) => module.code(arrow.scope_id.get()),
                            Expression::FunctionExpression(function) => module.code(function.scope_id.get()),
                            _ => match self.kept(path, value) {
                                Some(state) => return Some(state),
                                None => None,
                            },
                        },
                        _ => None,
                    };
                    if let Some(next) = next.filter(|next| !seen.contains(next)) {
                        seen.push(next);
                        queue.push(next);
                    }
                }
            }
        }
        None
    }

    /// The state of a variable of a function that has run.
    fn of_variable(&self, path: &'a str, symbol: SymbolId) -> Option<State> {
        let module = self.modules.get(path)?;
        // Constants of the top are told where they are declared.
        if module.owner(symbol) == TOP {
            return None;
        }
        match module.values.get(&symbol)? {
            Value::Expression(value) => self.kept(path, value),
            Value::Function(function) => self.of_function((path, module.code(function.scope_id.get())?)),
            Value::Class(class) => self.of_class(path, class),
        }
    }

    /// The state that a class has itself, or that its methods share.
    fn of_class(&self, path: &'a str, class: &'a Class<'a>) -> Option<State> {
        let module = self.modules.get(path)?;
        // Those of classes at the top are told by their syntax.
        let is_inside = class.scope_id.get().is_some_and(|scope| module.code_of_scope(scope) != TOP);
        class.body.body.iter().find_map(|element| match element {
            ClassElement::MethodDefinition(method) => {
                self.of_function((path, module.code(method.value.scope_id.get())?))
            }
            ClassElement::PropertyDefinition(field) if is_inside && field.r#static => {
                Some(State::Static { place: place(module, field.span) })
            }
            _ => None,
        })
    }

    /// The state of an instance: what its methods change of it, or what its constructor keeps.
    fn of_instance(&self, path: &'a str, callee: &'a Expression<'a>) -> Option<State> {
        let (home, class) = match callee.get_inner_expression() {
            Expression::ClassExpression(class) => (path, &**class),
            callee => match self.declared(path, callee)? {
                (home, Value::Class(class)) => (home, class),
                (home, Value::Function(function)) => {
                    return self.of_result((home, self.code(home, function.scope_id.get())?));
                }
                (home, Value::Expression(value)) => match value.get_inner_expression() {
                    Expression::ClassExpression(class) => (home, &**class),
                    _ => return None,
                },
            },
        };
        let module = self.modules.get(home)?;
        let named = || class.id.as_ref().map_or("class", |id| id.name.as_str()).to_owned();
        let changing = class.body.body.iter().find_map(|element| {
            let (span, changes) = match element {
                ClassElement::MethodDefinition(method) if !method.r#static => {
                    let code = module.codes.get(module.code(method.value.scope_id.get())?)?;
                    let is_called = method.kind != MethodDefinitionKind::Constructor;
                    (method.span, code.changes_this_later || (is_called && code.changes_this))
                }
                ClassElement::PropertyDefinition(property) if !property.r#static => {
                    let value = property.value.as_ref()?.get_inner_expression();
                    let Expression::ArrowFunctionExpression(arrow) = value else {
                        return None;
                    };
                    let field = module.codes.get(module.code(arrow.scope_id.get())?)?.parent?;
                    (property.span, module.codes.get(field)?.changes_this_later)
                }
                _ => return None,
            };
            changes.then_some(span)
        });
        if let Some(span) = changing {
            return Some(State::Instance { class: named(), place: place(module, span) });
        }
        class.heritage.as_ref().and_then(|parent| self.of_instance(home, &parent.expression))
    }
}

/// Whether a function returns one of its variables as it is.
fn is_returned(module: &Closures, code: &Code, symbol: SymbolId) -> bool {
    code.returned.iter().any(|value| {
        matches!(value.get_inner_expression(), Expression::Identifier(name) if module.symbol(name) == Some(symbol))
    })
}

fn variable(module: &Closures, symbol: SymbolId) -> State {
    let name = module.scoping.symbol_name(symbol).to_owned();
    State::Variable { name, place: place(module, module.scoping.symbol_span(symbol)) }
}

fn place(module: &Closures, span: Span) -> String {
    format!("{}:{}", module.file.path, module.file.line(span.start))
}
